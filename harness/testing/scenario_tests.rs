//! The scenarios of a folder as tests of `cargo test`.

use super::attempt::execute;
use super::ending::{Ending, ending, inconclusive};
use super::options::options;
use crate::scenario::{self, Plan};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

/// Makes each run of these scenario files and folders a test, called `SCENARIO` or `SCENARIO::VARIANT`, and
/// does what the command line of `cargo test` asks: filters, `--exact`, `--skip`, `--list`, `--test-threads`.
///
/// ```no_run
/// // tests/scenarios.rs, with `harness = false` in its [[test]] section of Cargo.toml
/// fn main() -> std::process::ExitCode {
///     lastfd::scenario_tests(["scenarios"])
/// }
/// ```
///
/// Relative paths start from the folder of the package. Runs that another run could disturb are made alone,
/// within this process. A run that this machine cannot make passes, with the reason on standard error, unless
/// the environment has `LASTFD_REQUIRE=1`.
pub fn scenario_tests(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> ExitCode {
    let arguments = Arguments::from_args();
    let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
    let machine = Arc::new(RwLock::new(()));
    let tests = match scenario::discover(&paths) {
        Ok(files) => files.iter().flat_map(|file| of_file(file, &machine)).collect(),
        Err(error) => vec![failing("scenarios".to_owned(), error.to_string())],
    };
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// The runs of a file; where it is no scenario, a test that says so.
fn of_file(file: &std::path::Path, machine: &Arc<RwLock<()>>) -> Vec<Trial> {
    match scenario::load(file) {
        Ok(plans) => plans.into_iter().map(|plan| test(plan, Arc::clone(machine))).collect(),
        Err(error) => vec![failing(file.display().to_string(), error.to_string())],
    }
}

fn failing(name: String, why: String) -> Trial {
    Trial::test(name, move || Err(why.into()))
}

fn name(plan: &Plan) -> String {
    match &plan.variant {
        Some(variant) => format!("{}::{variant}", plan.scenario),
        None => plan.scenario.clone(),
    }
}

/// `machine`: held by runs that may be made beside others together, and alone by those that may not.
fn test(plan: Plan, machine: Arc<RwLock<()>>) -> Trial {
    let name = name(&plan);
    Trial::test(name.clone(), move || {
        let alone = plan.needs_the_machine().is_some();
        let _alone = alone.then(|| machine.write().unwrap_or_else(PoisonError::into_inner));
        let _beside = (!alone).then(|| machine.read().unwrap_or_else(PoisonError::into_inner));
        made(&plan, &name)
    })
}

fn made(plan: &Plan, name: &str) -> Result<(), Failed> {
    let never = AtomicBool::new(false);
    let (report, error) = execute(plan, &options()?, &never, &mut |_| {}, false)?;
    match ending(&report, error.as_ref()) {
        Ending::Failed(why) => return Err(why.into()),
        Ending::Inconclusive(why) => inconclusive(name, &why),
        Ending::Passed => {}
    }
    Ok(())
}

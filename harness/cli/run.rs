//! `lastfd run`: runs scenario files, every variant of each.

use super::annotations::{self, Sources};
use super::output::{Files, conclude, exit_code, has_room, interrupt_flag, interrupted, say};
use super::own::own_helper;
use super::partition::Partition;
use super::record;
use super::select::{Selection, none_called};
use super::suite::Turns;
use super::values::one_of;
use super::{Exit, Failure, Outcome};
use crate::helper::Helper;
use crate::judge::RUNS_FOR_TIMES;
use crate::launch::Isolation;
use crate::observe::Choice;
use crate::report::suite::Suite;
use crate::report::words;
use crate::run::Options;
use crate::scenario::{Dialogue, InFile, Plan, ReadyWhen, Setting, Stdin};
use std::path::{Path, PathBuf};

/// Run scenarios and check what they expect
#[derive(Debug, clap::Args)]
#[command(after_help = super::exit::HELP)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them [default: scenarios/]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Run only this variant (`base` is the scenario as written)
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Run each variant this many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Try a run that is not as expected again, so many times at most; one that is as expected at a later try
    /// is said to be flaky, and exits with 0
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Begin no further run after one that was not as expected, or did not start
    #[arg(long)]
    fail_fast: bool,
    /// Make so many runs at a time; those that another run could disturb are made alone, after the others
    #[arg(long, short, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Run only every N-th variant, starting with the M-th: one machine's share of the work. `auto` asks the
    /// variables of GitLab, CircleCI, Buildkite or a Slurm array, and with `/N` those of GNU parallel or a
    /// Kubernetes Job; `lastfd report merge` merges the reports
    #[arg(long, value_name = "slice:M/N|auto[/N]")]
    partition: Option<Partition>,
    /// Print what would run, with its limits and inherited descriptors; start nothing
    #[arg(long)]
    dry_run: bool,
    /// Fail (exit 5) instead of skipping when something that a run requires is missing;
    /// LASTFD_REQUIRE_PEERS=1 does the same
    #[arg(long)]
    require_all: bool,
    /// Keep what the runs measure in a file beside each scenario file (`api.recorded.toml` beside
    /// `api.scenario.toml`), which expectations such as `"no worse than recorded by 5 %"` compare with. Each
    /// variant is run 3 times at least, because times vary by themselves
    #[arg(long, conflicts_with_all = ["partition", "retries", "dry_run"])]
    record: bool,
    /// Write the event log of each run to this folder
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    files: Files,
}

/// How to run on this machine
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "This machine")]
pub struct Machine {
    /// How to observe system calls
    #[arg(long, value_parser = one_of(Choice::ALL, Choice::name, Choice::doc), default_value_t)]
    observer: Choice,
    /// How to make sure that no process of the server is left behind; where it is refused, the next one is
    /// tried
    #[arg(long, value_parser = one_of(Isolation::ALL, Isolation::name, Isolation::doc), default_value_t)]
    isolation: Isolation,
    /// Hide all arguments of commands and values of the environment in reports and logs, not only those that
    /// look like secrets
    #[arg(long)]
    redact: bool,
}

impl Machine {
    /// Options of a run on this machine.
    ///
    /// # Errors
    /// This program's own path is not known.
    pub fn options(&self, events: Option<PathBuf>) -> Result<Options, Failure> {
        let options = Options::with(own_helper().map_err(|e| Failure::new(Exit::Fault, e))?);
        let (observer, isolation, redact) = (self.observer, self.isolation, self.redact);
        Ok(Options { observer, isolation, redact, events, ..options })
    }
}

/// Runs what is selected.
///
/// # Errors
/// An invalid scenario, nothing selected, an unwritable path, or a fault.
pub fn run(args: &Args) -> Outcome {
    args.files.preflight()?;
    if let Some(directory) = &args.events {
        writable_folder(directory)?;
    }
    // Before: reading sysctls makes a network namespace.
    let flag = interrupt_flag()?;
    let (plans, sources, mut identity) = select(args)?;
    if interrupted(&flag) {
        return Ok(Exit::Interrupted);
    }
    if args.dry_run {
        plans.iter().try_for_each(|plan| dry_run(plan, &args.machine))?;
        return Ok(Exit::Met);
    }
    let expected = plans;
    let plans = if args.record { record::plans(&expected, &sources)? } else { expected.clone() };
    let repeat = if args.record { args.repeat.max(RUNS_FOR_TIMES) } else { args.repeat };
    let skips_fail = args.require_all || std::env::var("LASTFD_REQUIRE_PEERS").is_ok_and(|v| v == "1");
    let suite = Turns {
        plans: &plans,
        repeat,
        retries: args.retries,
        fail_fast: args.fail_fast,
        jobs: args.jobs.into(),
        events: args.events.as_deref(),
        options: args.machine.options(None)?,
        files: &args.files,
    };
    args.files.begin_lines()?;
    let (done, said) = suite.run(&flag)?;
    let said = said.and(annotate(args, &annotations::of(&done, &sources)));
    identity.complete = !interrupted(&flag) && done.len() == plans.len() * repeat as usize;
    let said = match args.record && identity.complete {
        true => said.and(record::keep(&expected, &sources, &done)),
        false => said,
    };
    let exit = exit_code(&done, skips_fail, interrupted(&flag));
    conclude(&args.files, Some(&identity), done, exit, said)
}

/// Prints annotations where GitHub reads them: beside a report on standard output, on standard error.
fn annotate(args: &Args, text: &str) -> Result<(), Failure> {
    match (text.is_empty(), args.files.quiet()) {
        (true, _) => Ok(()),
        (false, false) => say(text),
        (false, true) => {
            anstream::eprint!("{text}");
            Ok(())
        }
    }
}

/// The runs that the paths and filters select, the files that they are from, and the suite that they are of.
fn select(args: &Args) -> Result<(Vec<Plan>, Sources, Suite), Failure> {
    let part = args.partition.map(|partition| partition.part(|name| std::env::var(name).ok()));
    let part = part.transpose().map_err(|why| Failure::new(Exit::Usage, why))?;
    let (mut plans, mut sources) = (Vec::new(), Sources::new());
    for file in super::check::discovered(&args.paths)? {
        let loaded = super::check::loaded(&file)?;
        sources.extend(loaded.first().map(|plan| (plan.scenario.clone(), file)));
        plans.extend(loaded);
    }
    let mut plans = args.selection.of(plans)?;
    if let Some(name) = &args.variant {
        let (passing, others): (Vec<Plan>, Vec<Plan>) =
            plans.into_iter().partition(|plan| plan.variant_name() == name);
        if passing.is_empty() {
            let there: Vec<&str> = others.iter().map(Plan::variant_name).collect();
            return Err(none_called("no variant is called", name, &there));
        }
        plans = passing;
    }
    let suite = Suite {
        lastfd_version: env!("CARGO_PKG_VERSION").into(),
        hash: hash(&plans, args.repeat),
        runs: plans.iter().map(Plan::title).collect(),
        repeat: args.repeat,
        part,
        complete: false,
    };
    let Some(part) = part else { return Ok((plans, sources, suite)) };
    let selected = part.of_all(plans);
    if selected.is_empty() {
        let message =
            format!("slice {} of {} has no run: {} selected in all", part.part, part.of, suite.runs.len());
        return Err(Failure::new(Exit::NothingSelected, message));
    }
    Ok((selected, sources, suite))
}

/// A hash that distinguishes this suite from others. The same files may be in other folders on another
/// machine.
fn hash(plans: &[Plan], repeat: u32) -> String {
    let plans: Vec<Plan> =
        plans.iter().map(|plan| Plan { directory: PathBuf::new(), ..plan.clone() }).collect();
    let text = serde_json::to_string(&(plans, repeat)).expect("a plan is made of strings and numbers");
    sha1_smol::Sha1::from(text).digest().to_string()
}

/// Finds a folder that cannot be written to before anything is started.
fn writable_folder(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)
        .and_then(|()| tempfile::tempfile_in(directory))
        .and_then(|file| has_room(&file))
        .map_err(|e| {
            Failure::new(Exit::Usage, format!("cannot write event logs to {}: {e}", directory.display()))
        })
}

fn dry_run(plan: &Plan, machine: &Machine) -> Result<(), Failure> {
    let plan = plan.redacted(&plan.redaction(machine.redact));
    let mut text = format!("{}: {}\n", plan.title(), plan.claim);
    for (name, process) in &plan.processes {
        let argv = crate::run::argv(&process.program, &Helper::lastfd("lastfd"));
        let launcher = crate::launch::registration(&process.launcher).name;
        text += &format!("  {name}: {}\n", shell_words::join(&argv));
        let other = [("RLIMIT_NPROC", process.rlimits.nproc), ("RLIMIT_AS", process.rlimits.address_space)];
        let rlimits: String =
            other.into_iter().filter_map(|(name, limit)| Some(format!(", {name} {}", limit?))).collect();
        text += &format!(
            "    launcher {launcher}, started with {}:{}{rlimits}\n",
            process.limits.soft, process.limits.hard
        );
        let setting = &process.setting;
        for line in setting_lines(setting) {
            text += &format!("    {line}\n");
        }
        let stdin = match &setting.stdin {
            None => "/dev/null",
            Some(Stdin::Text(_)) => "a text",
            Some(Stdin::File(InFile { file })) => file,
        };
        text += &format!("    inherits 0 ({stdin}), 1 and 2 (a pipe); every other descriptor is closed\n");
    }
    if let Some(why) = plan.needs_the_machine() {
        text += &format!("  alone, also with --jobs: {}\n", words::plan::alone(why));
    }
    if !plan.sysctls.is_empty() {
        let all: Vec<String> = plan.sysctls.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        text += &format!("  in a network namespace of its own, with {}\n", all.join(", "));
    }
    for moved in &plan.then {
        text += &format!("  then: the soft limit of the live subject becomes {}\n", moved.limit.soft);
    }
    for (name, workload) in &plan.workloads {
        let kind = match &workload.program {
            Some(program) => program.run.first().map_or("", String::as_str),
            None => workload.kind.map_or("asks", Dialogue::name),
        };
        text += &format!("  {name}: {kind} to {}, {}\n", workload.to, words::plan::wanted(workload));
    }
    say(&text)
}

/// The setting of a process, a line for each part.
fn setting_lines(setting: &Setting) -> impl Iterator<Item = String> {
    let files = setting.files.iter().map(|(name, from)| format!("copies {from} to {{scratch}}/{name}"));
    let prepare = setting.prepare.iter();
    let prepare = prepare.map(|prepare| format!("runs `{}` first", shell_words::join(&prepare.run)));
    let user = setting.user.iter().map(|user| format!("runs as user {user}"));
    let directory = setting.directory.iter().map(|directory| format!("starts in {directory}"));
    let ready = setting.ready.iter().map(|ready| match ready {
        ReadyWhen::Path(path) => format!("is ready when {path} exists, and it listens"),
        ReadyWhen::Log(pattern) => format!("is ready when a line matches `{pattern}`, and it listens"),
        ReadyWhen::Command(words) => {
            format!("is ready when `{}` ends with exit status 0, and it listens", shell_words::join(words))
        }
    });
    files.chain(user).chain(directory).chain(prepare).chain(ready)
}

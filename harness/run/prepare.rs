//! A process of the plan, turned into a tree that is blocked right before its exec.

use super::error::Error;
use super::options::Options;
use super::places::Places;
use super::setting;
use crate::helper::Helper;
use crate::launch::{self, Tree};
use crate::scenario::{Plan, Process, Program, ReadyWhen, Setting, User};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;

/// Calls before which a program that calls the bundled upstream is kept waiting, counted from 1: at rest, and
/// twice to see what four calls leave open. Twice, because the first ones may open what all later ones use.
pub(super) const STOPS: [u64; 3] = [1, 5, 9];

/// The name of the socket at which the bundled caller meets the run, in the folder of its process.
pub(super) const DRIVER_SOCKET: &str = "driver.sock";

/// The program's words; `Places::fill` replaces their placeholders.
pub fn argv(program: &Program, helper: &Helper) -> Vec<String> {
    match program {
        Program::Command(words) => words.clone(),
        Program::Serve(serve) => {
            let mut words = helper.argv(&["serve"]);
            words.extend(serve.arguments());
            words.extend(["--port".into(), "{port}".into()]);
            words
        }
        Program::Call(_) => helper.argv(&["drive", "--at", &format!("{{scratch}}/{DRIVER_SOCKET}")]),
    }
}

/// Turns a process of the plan into a tree that is blocked right before exec, with a temporary directory of
/// its own. `stops`: calls before which the bundled upstream keeps a program waiting that calls it.
pub(super) fn prepare(
    plan: &Plan,
    name: &str,
    options: &Options,
    places: &Places,
    trap: bool,
    stops: &[u64],
    interrupted: &AtomicBool,
) -> Result<(Tree, Process, TempDir), Error> {
    let process = &plan.processes[name];
    let no_room =
        |e| Error::Inconclusive(format!("no temporary folder can be made: {e}; TMPDIR says where they go"));
    let scratch = tempfile::Builder::new().prefix("lastfd-").tempdir().map_err(no_room)?;
    places.deliver(scratch.path())?;
    let fill = |word: String| places.fill(&word, name, scratch.path());
    let mut argv: Vec<String> = argv(&process.program, &options.helper).into_iter().map(fill).collect();
    if plan.called().is_some_and(|(upstream, _)| upstream == name) {
        argv.extend(stops.iter().flat_map(|stop| ["--wait-before".into(), stop.to_string()]));
    }
    let given = &process.setting;
    let user = setting::user(given)?;
    let site = launch::Site { helper: &options.helper, scratch: scratch.path() };
    // Until the process itself has a tree, another that is never started removes the folder if lastfd is
    // killed.
    let keeper =
        (!given.files.is_empty()).then(|| Tree::prepare(&setting::keeper(process, site), options.isolation));
    let keeper = keeper.transpose()?;
    let stdin = setting::files(given, &plan.directory, scratch.path(), |word| fill(word.to_owned()))?;
    let named = user.iter().flat_map(User::variables);
    let own = process.env.iter().map(|(key, value)| (key.clone(), fill(value.clone())));
    let env = named.chain(own).collect();
    let ready = given.ready.clone().map(|ready| match ready {
        ReadyWhen::Path(path) => ReadyWhen::Path(fill(path)),
        ReadyWhen::Command(words) => ReadyWhen::Command(words.into_iter().map(fill).collect()),
        log @ ReadyWhen::Log(_) => log,
    });
    let asks_for_port =
        matches!(process.program, Program::Command(_)) && process.words().any(|word| word.contains("{port}"));
    let process = Process { env, setting: Setting { ready, ..given.clone() }, ..process.clone() };
    let mut command = launch::command(&process, argv, site)?;
    let within = process.setting.directory.clone().map(|directory| plan.directory.join(fill(directory)));
    if let Some(own) = within.as_ref().filter(|folder| folder.starts_with(scratch.path())) {
        std::fs::create_dir_all(own).map_err(no_room)?;
    }
    command.directory = Some(within.unwrap_or_else(|| plan.directory.clone()));
    command.scratch = Some(scratch.path().to_path_buf());
    if let Some(user) = &user {
        setting::give(scratch.path(), user)?;
    }
    (command.user, command.stdin) = (user, stdin);
    if let Some(before) = &process.setting.prepare {
        let words = before.run.iter().cloned().map(fill).collect();
        let within = Duration::from_secs_f64(before.within_s);
        // Until the process itself has a tree, this one removes the folder if lastfd is killed.
        let scratch = command.scratch.clone();
        let before = launch::Command { scratch, keeps_scratch: true, ..setting::beside(&command, words) };
        setting::prepared(&before, within, options.isolation, interrupted)?;
    }
    command.trap = trap;
    let tree = Tree::prepare(&command, options.isolation)?;
    drop(keeper);
    let several = places.tls_port(name).is_some();
    let speaks_tls = plan.workloads.values().filter(|load| load.to == name).all(|load| load.tls.is_some());
    let loaded = plan.workloads.values().any(|load| load.to == name);
    // If all of its clients speak TLS, its TLS port counts.
    let secure = if loaded && speaks_tls { places.tls_port(name) } else { None };
    let port = process.port.or(secure).or((asks_for_port || several).then(|| places.port(name)));
    Ok((tree, Process { port, ..process }, scratch))
}

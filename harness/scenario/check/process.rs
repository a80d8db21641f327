//! A process: its program, its setting, its limits and its launcher.

use super::text::seconds;
use crate::scenario::launcher::of_table;
use crate::scenario::launcher_options::{RawContainer, RawSystemd};
use crate::scenario::model::*;
use crate::scenario::problem::Problem;
use crate::scenario::raw::{LauncherName, LauncherTable, RawLauncher, RawProcess};
use crate::scenario::setting::{
    PREPARE_WITHIN_DEFAULT_S, Prepare, ReadyWhen, Setting, stays_where_it_is, wrong_name,
};
use toml::Spanned;

/// Longest time until a process listens when a scenario names none, seconds.
const READY_WITHIN_DEFAULT_S: f64 = 10.0;

/// Time from TERM to KILL when a scenario names none, seconds.
const GRACE_DEFAULT_S: f64 = 2.0;

pub(super) fn process(name: &Spanned<String>, raw: &RawProcess, problems: &mut Vec<Problem>) -> Process {
    let nameless = name.get_ref().is_empty()
        || name.get_ref().contains(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    if nameless {
        let problem = Problem::new(
            name.span(),
            format!("{:?} cannot be the name of a process", name.get_ref()),
            "letters, digits, - and _",
        );
        problems.push(problem.help("the paths of `set` are split at dots"));
    }
    let limits = *raw.limits.get_ref();
    if limits.soft > limits.hard {
        let message = format!("the soft limit of `{}` is above its hard limit", name.get_ref());
        let problem = Problem::new(raw.limits.span(), message, format!("{} > {}", limits.soft, limits.hard));
        problems.push(problem.help("setrlimit(2) refuses that: lower `soft` or raise `hard`"));
    }
    Process {
        program: program(name, raw, problems),
        launcher: raw.launcher.as_ref().map_or(Launcher::Exec, |raw| launcher(raw, problems)),
        limits,
        requires: raw.requires.clone(),
        port: raw.port,
        env: raw.env.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect(),
        ready_within_s: seconds(raw.ready_within.as_ref(), READY_WITHIN_DEFAULT_S, problems),
        grace_s: seconds(raw.grace.as_ref(), GRACE_DEFAULT_S, problems),
        begin: raw.begin.clone(),
        rlimits: raw.rlimits,
        setting: setting(raw, problems),
    }
}

/// The setting that a process starts in.
pub(super) fn setting(raw: &RawProcess, problems: &mut Vec<Problem>) -> Setting {
    let session = raw.launcher.as_ref().is_some_and(|launcher| {
        matches!(
            launcher.get_ref(),
            RawLauncher::Name(LauncherName::Runuser | LauncherName::Su)
                | RawLauncher::Table(LauncherTable::Runuser(_) | LauncherTable::Su(_))
        )
    });
    if let (Some(_), Some(launcher), true) = (&raw.user, &raw.launcher, session) {
        let problem = Problem::new(launcher.span(), "this launcher has a `user` of its own", "here");
        problems.push(problem.help("leave out the `user` of the process"));
    }
    for name in raw.files.keys() {
        if let Some(wrong) = wrong_name(name.get_ref()) {
            problems.push(Problem::new(name.span(), wrong, "here"));
        }
    }
    if let Some(directory) =
        raw.directory.as_ref().filter(|directory| !stays_where_it_is(directory.get_ref()))
    {
        problems.push(Problem::new(
            directory.span(),
            "this is no folder inside `{scratch}`",
            "leads out of it",
        ));
    }
    if let Some(prepare) = raw.prepare.as_ref().filter(|prepare| prepare.get_ref().is_empty()) {
        problems.push(Problem::new(prepare.span(), "the command is empty", "name a program"));
    }
    if let (Some(within), None) = (&raw.prepare_within, &raw.prepare) {
        problems.push(Problem::new(within.span(), "there is no `prepare` that could take so long", "here"));
    }
    match raw.ready.as_ref().map(|ready| (ready, ready.get_ref())) {
        Some((written, ReadyWhen::Log(pattern))) => {
            if let Err(fault) = regex::Regex::new(pattern) {
                problems.push(Problem::new(written.span(), fault.to_string(), "here"));
            }
        }
        Some((written, ReadyWhen::Command(words))) if words.is_empty() => {
            problems.push(Problem::new(written.span(), "the command is empty", "name a program"));
        }
        _ => {}
    }
    let within_s = seconds(raw.prepare_within.as_ref(), PREPARE_WITHIN_DEFAULT_S, problems);
    let words =
        |words: &Spanned<Vec<Spanned<String>>>| words.get_ref().iter().map(|w| w.get_ref().clone()).collect();
    let files = raw.files.iter().map(|(name, from)| (name.get_ref().clone(), from.get_ref().clone()));
    Setting {
        directory: raw.directory.as_ref().map(|directory| directory.get_ref().clone()),
        user: raw.user.clone(),
        stdin: raw.stdin.as_ref().map(|stdin| stdin.get_ref().clone()),
        files: files.collect(),
        prepare: raw.prepare.as_ref().map(|prepare| Prepare { run: words(prepare), within_s }),
        ready: raw.ready.as_ref().map(|ready| ready.get_ref().clone()),
        ..Setting::default()
    }
}

pub(super) fn program(name: &Spanned<String>, raw: &RawProcess, problems: &mut Vec<Problem>) -> Program {
    match (&raw.command, &raw.serve, &raw.call) {
        (Some(command), None, None) => {
            match command.get_ref().first() {
                None => problems.push(Problem::new(command.span(), "the command is empty", "name a program")),
                Some(first) if first.get_ref().is_empty() => {
                    problems.push(Problem::new(first.span(), "the command names no program", "empty"));
                }
                Some(_) => {}
            }
            return Program::Command(command.get_ref().iter().map(|word| word.get_ref().clone()).collect());
        }
        (None, Some(serve), None) => return Program::Serve(serve.get_ref().clone()),
        (None, None, Some(call)) => return Program::Call(call.get_ref().clone()),
        (None, None, None) => {
            let message = format!("`{}` has nothing to run", name.get_ref());
            let help = "add `command = [\"…\"]`, or a bundled server: `serve.http = {}`";
            problems.push(Problem::new(name.span(), message, "neither `command` nor `serve`").help(help));
        }
        (_, Some(_), Some(_)) | (Some(_), _, _) => {
            let spans = [
                raw.command.as_ref().map(Spanned::span),
                raw.serve.as_ref().map(Spanned::span),
                raw.call.as_ref().map(Spanned::span),
            ];
            let names =
                ["`command`", "`serve`", "`call`"].into_iter().zip(&spans).filter(|(_, span)| span.is_some());
            let names: Vec<_> = names.map(|(name, _)| name).collect();
            let message = format!("`{}` has both {}", name.get_ref(), names.join(" and "));
            let last = spans.into_iter().flatten().next_back().expect("two of them");
            problems.push(Problem::new(last, message, "which of them is to run?"));
        }
    }
    Program::Command(Vec::new())
}

pub(super) fn launcher(raw: &Spanned<RawLauncher>, problems: &mut Vec<Problem>) -> Launcher {
    let table = match raw.get_ref() {
        RawLauncher::Name(LauncherName::Exec) => return Launcher::Exec,
        RawLauncher::Name(LauncherName::NohupLike) => return Launcher::NohupLike,
        RawLauncher::Name(LauncherName::Nohup) => return Launcher::Nohup,
        RawLauncher::Name(LauncherName::SupervisorLike) => {
            &LauncherTable::SupervisorLike(Supervisor::default())
        }
        RawLauncher::Name(LauncherName::Supervisord) => &LauncherTable::Supervisord(Supervisor::default()),
        RawLauncher::Name(LauncherName::Shell) => &LauncherTable::Shell(Shell::default()),
        RawLauncher::Name(LauncherName::Runuser) => &LauncherTable::Runuser(Session::default()),
        RawLauncher::Name(LauncherName::Su) => &LauncherTable::Su(Session::default()),
        RawLauncher::Name(LauncherName::SystemdLike) => &LauncherTable::SystemdLike(RawSystemd::default()),
        RawLauncher::Name(LauncherName::ContainerLike) => {
            &LauncherTable::ContainerLike(RawContainer::default())
        }
        RawLauncher::Table(table) => table,
    };
    of_table(table, raw.span(), problems)
}

//! `systemd-like`: the program under a parent of ours that keeps systemd's rules for `LimitNOFILE=`. Standard
//! input is /dev/null, the session is its own, and the environment is `PATH` plus the scenario's variables.
//! The working directory stays the one of the scenario, as `WorkingDirectory=` would make it.

use super::{Command, Error, Site};
use crate::event::Limits;
use crate::scenario::Process;

pub(super) fn command(
    process: &Process,
    limit_nofile: Option<Limits>,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    Ok(under(process, ("systemd-like", "--limit-nofile"), limit_nofile, argv, site))
}

/// The program under the step `name` of `lastfd exec`, with limits as its option.
pub(super) fn under(
    process: &Process,
    name: (&str, &str),
    limits: Option<Limits>,
    argv: Vec<String>,
    site: Site<'_>,
) -> Command {
    let (step, option) = name;
    let mut all = site.helper.argv(&["exec", step]);
    all.extend(limits.map(|Limits { soft, hard }| format!("{option}={soft}:{hard}")));
    all.extend(process.env.keys().map(|key| format!("--keep-env={key}")));
    all.push("--".to_owned());
    all.extend(argv);
    Command::new(process, all, site)
}

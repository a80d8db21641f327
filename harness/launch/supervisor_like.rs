//! `supervisor-like`: the program under a supervisor process of ours (`lastfd exec supervise`) that keeps
//! supervisord's rules.

use super::{Command, Error, Site};
use crate::scenario::{Process, Supervisor};

pub(super) fn command(
    process: &Process,
    options: &Supervisor,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let mut all = site.helper.argv(&["exec", "supervise"]);
    all.push(format!("--minfds={}", options.minfds));
    all.extend(options.autorestart.then(|| "--autorestart".to_owned()));
    all.push(format!("--startretries={}", options.startretries));
    all.push(format!("--stopsignal={}", options.stopsignal));
    all.push(format!("--stopwaitsecs={}", options.stopwaitsecs));
    all.push("--".to_owned());
    all.extend(argv);
    Ok(Command::new(process, all, site))
}

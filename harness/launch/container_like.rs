//! `container-like`: the program under a parent of ours that keeps the rules of `docker run --ulimit
//! nofile=SOFT:HARD`: both limits are set, and the container does not start where they may not be. Without
//! the option the container has its daemon's limits, which here are the limits of the scenario's process. It
//! makes no namespaces beyond the usual ones of a run: they change no limit.

use super::systemd_like::under;
use super::{Command, Error, Site};
use crate::event::Limits;
use crate::scenario::Process;

pub(super) fn command(
    process: &Process,
    ulimit: Option<Limits>,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    Ok(under(process, ("container-like", "--ulimit"), ulimit, argv, site))
}

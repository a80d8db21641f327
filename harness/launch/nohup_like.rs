//! `nohup-like`: the effect of nohup(1) on a program whose output does not go to a terminal: SIGHUP is
//! ignored, and nothing else changes. It writes no `nohup.out`, because the harness's pipe is no terminal; it
//! leaves every limit as it is.

use super::{Command, Error, Site};
use crate::scenario::Process;

pub(super) fn command(process: &Process, argv: Vec<String>, site: Site<'_>) -> Result<Command, Error> {
    Ok(Command { ignore_hangup: true, ..Command::new(process, argv, site) })
}

//! `exec`: nothing between the limits and the program.

use super::{Command, Error, Site};
use crate::scenario::Process;

pub(super) fn command(process: &Process, argv: Vec<String>, site: Site<'_>) -> Result<Command, Error> {
    Ok(Command::new(process, argv, site))
}

//! `nohup`: the real nohup(1), found in `PATH`. It replaces itself by the program, so it is no ancestor of
//! it.

use super::{Command, Error, Site};
use crate::scenario::Process;

pub(super) fn command(process: &Process, argv: Vec<String>, site: Site<'_>) -> Result<Command, Error> {
    let argv = std::iter::once("nohup".to_owned()).chain(argv).collect();
    Ok(Command::new(process, argv, site))
}

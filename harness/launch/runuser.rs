//! `runuser`: the real runuser(1), for root only. Its PAM session sets the limits of runuser itself, which
//! stays as the parent, and the program inherits them.

use super::{Command, Error, Site, session};
use crate::scenario::{Process, Session};

pub(super) fn command(
    process: &Process,
    options: &Session,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let words = ["runuser", "-u", &options.user, "--"].map(str::to_owned);
    session::command("runuser", process, options, words.into_iter().chain(argv).collect(), site)
}

//! `su`: the real su(1), started by root, which it asks for no password. As runuser, but by way of a shell,
//! which it replaces by the program; /bin/sh, because system users have a login shell that starts nothing.

use super::{Command, Error, Site, session};
use crate::scenario::{Process, Session};

pub(super) fn command(
    process: &Process,
    options: &Session,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let words = ["su", "--shell", "/bin/sh", "--command", r#"exec "$@""#, "--", &options.user, "sh"]
        .map(str::to_owned);
    session::command("su", process, options, words.into_iter().chain(argv).collect(), site)
}

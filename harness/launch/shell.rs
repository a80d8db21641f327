//! `shell`: the real /bin/sh, which sets its own limits with `ulimit` and starts the program. It stays as the
//! program's parent, as a login shell does, unless the scenario asks for `exec`. A limit that ulimit refuses
//! ends the launch with the shell's own message.

use super::{Command, Error, Site};
use crate::event::Limits;
use crate::scenario::{Process, Shell};

pub(super) fn command(
    process: &Process,
    options: &Shell,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), script(options, process.limits), "sh".to_owned()];
    Ok(Command::new(process, words.into_iter().chain(argv).collect(), site))
}

/// The script of the shell; the program's words are its positional parameters.
fn script(options: &Shell, Limits { hard, .. }: Limits) -> String {
    let set_soft = options.soft.map(|soft| format!("ulimit -Sn {soft} || exit; "));
    let set_hard = options.hard.map(|hard| format!("ulimit -Hn {hard} || exit; "));
    // The soft limit comes first, to be out of the way of a lower hard one, unless it needs the higher hard
    // one first.
    let hard_first = options.soft.is_some_and(|soft| soft > hard);
    let steps = if hard_first { [set_hard, set_soft] } else { [set_soft, set_hard] };
    // With something after it, the program is no shell's last command, which shells replace themselves by.
    let (before, after) = if options.exec { ("exec ", "") } else { ("", "; exit") };
    let nohup = if options.nohup { "nohup " } else { "" };
    steps.into_iter().flatten().chain([format!(r#"{before}{nohup}"$@"{after}"#)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_in_the_order_that_setrlimit_allows() {
        let from = Limits { soft: 256, hard: 4096 };
        let says = |soft, hard| script(&Shell { soft, hard, exec: true, nohup: false }, from);
        assert_eq!(says(Some(64), Some(128)), r#"ulimit -Sn 64 || exit; ulimit -Hn 128 || exit; exec "$@""#);
        assert_eq!(
            says(Some(8192), Some(8192)),
            r#"ulimit -Hn 8192 || exit; ulimit -Sn 8192 || exit; exec "$@""#
        );
        assert_eq!(says(None, None), r#"exec "$@""#);
    }
}

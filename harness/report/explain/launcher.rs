//! What a shell, a PAM session, a service and a container make of the limits they are started with, in words. Only from the plan: what
//! came of it is the story's.

use super::pair;
use crate::event::Limits;
use crate::scenario::{Launcher, Session, Shell};

/// The rule, and the limits that it leaves where the plan tells; `None` for launchers that are told elsewhere.
pub(super) fn rule(launcher: &Launcher, name: &str, from: Limits) -> Option<(String, Option<Limits>)> {
    let started = format!("`{name}` is started with {} (soft:hard)", pair(from));
    Some(match launcher {
        Launcher::Shell(options) => {
            let left =
                Limits { soft: options.soft.unwrap_or(from.soft), hard: options.hard.unwrap_or(from.hard) };
            (format!("{started}{}.", of_shell(options, left)), Some(left))
        }
        Launcher::Runuser(session) | Launcher::Su(session) => {
            (format!("{started}. {}", of_session(session, name)), None)
        }
        Launcher::SystemdLike { limit_nofile: Some(limits) } => {
            let rule =
                "or, where that may not be set, to the closest that may, as systemd does without a word";
            (
                format!("{started}. Its LimitNOFILE= sets the limits to {}, {rule}.", pair(*limits)),
                Some(*limits),
            )
        }
        Launcher::SystemdLike { limit_nofile: None } => (
            format!(
                "{started}. Without LimitNOFILE= a service has 1024:524288, or the closest that may be set."
            ),
            None,
        ),
        Launcher::ContainerLike { ulimit: Some(limits) } => {
            let rule = "where they may not be set, the container does not start";
            (format!("{started}. Its --ulimit sets the limits to {}; {rule}.", pair(*limits)), Some(*limits))
        }
        Launcher::ContainerLike { ulimit: None } => (
            format!("{started}, as a container's daemon; without --ulimit the container inherits them."),
            Some(from),
        ),
        _ => return None,
    })
}

fn of_shell(options: &Shell, left: Limits) -> String {
    let sets = match (options.soft, options.hard) {
        (None, None) => " and changes no limit".to_owned(),
        _ => format!(
            ", sets its own limits to {} with `ulimit` (where that is refused, nothing is started)",
            pair(left)
        ),
    };
    let starts = match (options.exec, options.nohup) {
        (true, _) => "and replaces itself by what it starts",
        (false, true) => "and stays as the parent of what it starts with nohup",
        (false, false) => "and stays as the parent of what it starts",
    };
    format!("{sets}, {starts}")
}

fn of_session(session: &Session, name: &str) -> String {
    let Session { user, limits_conf, pam_limits } = session;
    let service = match pam_limits {
        None => "whether its PAM service has pam_limits.so is up to this machine".to_owned(),
        Some(true) => "its PAM service has pam_limits.so, which applies limits.conf".to_owned(),
        Some(false) => "its PAM service has no pam_limits.so, so that limits.conf does nothing".to_owned(),
    };
    let conf = match limits_conf.as_deref().map(str::trim) {
        None => "limits.conf is this machine's own".to_owned(),
        Some("") => "limits.conf is empty".to_owned(),
        Some(lines) => {
            format!("limits.conf says `{}`", lines.lines().map(str::trim).collect::<Vec<_>>().join("`, `"))
        }
    };
    format!(
        "It opens a session of {user}: `{name}` of util-linux resets the soft limit to 1024 where the hard limit allows it; {service}; \
         {conf}. A value that may not be set is ignored without a word. What comes of it is read back."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Limits = Limits { soft: 256, hard: 4096 };

    fn told(launcher: &Launcher) -> (String, Option<Limits>) {
        rule(launcher, "it", FROM).unwrap()
    }

    #[test]
    fn what_a_shell_is_not_told_it_inherits() {
        let shell = |soft, hard| Launcher::Shell(Shell { soft, hard, ..Shell::default() });
        assert_eq!(told(&shell(None, None)).1, Some(FROM));
        assert_eq!(told(&shell(Some(64), None)).1, Some(Limits { soft: 64, ..FROM }));
        assert!(told(&shell(Some(64), None)).0.contains("sets its own limits to 64:4096"));
    }

    #[test]
    fn a_session_s_limits_are_not_told_before_it_was_opened() {
        let session = Session {
            limits_conf: Some("* - nofile 100\n".into()),
            pam_limits: Some(false),
            ..Session::default()
        };
        let (text, left) = told(&Launcher::Su(session));
        assert_eq!(left, None);
        assert!(
            text.contains("limits.conf says `* - nofile 100`") && text.contains("limits.conf does nothing"),
            "{text}"
        );
    }

    #[test]
    fn a_container_without_an_ulimit_has_its_daemon_s() {
        assert_eq!(told(&Launcher::ContainerLike { ulimit: None }).1, Some(FROM));
        assert_eq!(told(&Launcher::SystemdLike { limit_nofile: None }).1, None);
    }
}

//! The effect of each launcher on the limits that it starts with. This is from the plan alone; a run reads
//! back the result.

use super::limits::pair;
use crate::event::Limits;
use crate::scenario::{Launcher, Process, Session, Shell};
use serde::Serialize;

/// The name in a scenario file: a string, or the only key of a table.
pub fn name(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    let name = value.as_str().or_else(|| value.as_object()?.keys().next().map(String::as_str));
    name.unwrap_or("it").to_owned()
}

/// The rule of a process's launcher, in sentences.
pub fn rule(process: &Process) -> String {
    let (name, from) = (name(&process.launcher), pair(process.limits));
    let starts = format!("`{name}` starts with {from} (soft:hard)");
    match &process.launcher {
        Launcher::Exec => {
            format!("lastfd sets RLIMIT_NOFILE to {from} (soft:hard) and executes it directly.")
        }
        Launcher::Nohup | Launcher::NohupLike => format!("{starts}, ignores SIGHUP and changes no limit."),
        Launcher::SupervisorLike(options) | Launcher::Supervisord(options) => {
            format!("{starts}. {}", minfds(options.minfds, process.limits))
        }
        Launcher::Shell(options) => format!("{starts}, {}.", shell(options, process.limits)),
        Launcher::Runuser(options) | Launcher::Su(options) => {
            format!("{starts} and opens a session of {}. {}", options.user, session(options, &name))
        }
        Launcher::SystemdLike { limit_nofile: Some(limits) } => format!(
            "{starts}. Its LimitNOFILE= sets the limits to {}; where that is not allowed, it silently uses the \
             closest limits that are, as systemd does.",
            pair(*limits)
        ),
        Launcher::SystemdLike { limit_nofile: None } => format!(
            "{starts}. Without LimitNOFILE= a service gets 1024:524288, or the closest limits that are allowed."
        ),
        Launcher::ContainerLike { ulimit: Some(limits) } => format!(
            "{starts}. Its --ulimit sets the limits to {}; if that is not allowed, the container does not start.",
            pair(*limits)
        ),
        Launcher::ContainerLike { ulimit: None } => {
            format!("{starts}, as a container daemon does; without --ulimit the container inherits them.")
        }
    }
}

/// supervisord's rule: `minfds` raises the soft limit, the hard one only where it is in the way, and lowers
/// neither.
fn minfds(minfds: u64, from: Limits) -> String {
    let to = pair(Limits { soft: minfds, hard: from.hard.max(minfds) });
    match (from.soft >= minfds, from.hard >= minfds) {
        (true, _) => format!(
            "Its minfds is {minfds}, and its soft limit is {} already: nothing changes, and its child inherits {}.",
            from.soft,
            pair(from)
        ),
        (false, true) => format!(
            "Its minfds is {minfds}: it raises the soft limit from {} to {minfds} and leaves the hard limit, and \
             its child inherits {to}.",
            from.soft
        ),
        (false, false) => format!(
            "Its minfds is {minfds}, above the hard limit of {}: if it may (CAP_SYS_RESOURCE), it raises both \
             limits, and its child inherits {to}; otherwise it ends with exit status 2 and starts nothing.",
            from.hard
        ),
    }
}

fn shell(options: &Shell, from: Limits) -> String {
    let to = Limits { soft: options.soft.unwrap_or(from.soft), hard: options.hard.unwrap_or(from.hard) };
    let sets = match (options.soft, options.hard) {
        (None, None) => "changes no limit".to_owned(),
        _ => format!("sets its limits to {} with `ulimit` (if that fails, it starts nothing)", pair(to)),
    };
    let starts = match (options.exec, options.nohup) {
        (true, _) => "replaces itself with the program",
        (false, true) => "stays as the parent of the program, which it starts with nohup",
        (false, false) => "stays as the parent of the program",
    };
    format!("{sets} and {starts}")
}

fn session(options: &Session, name: &str) -> String {
    let service = match options.pam_limits {
        None => "This machine decides whether its PAM service has pam_limits.so.",
        Some(true) => "Its PAM service has pam_limits.so, which applies limits.conf.",
        Some(false) => "Its PAM service has no pam_limits.so, so limits.conf has no effect.",
    };
    let conf = match options.limits_conf.as_deref().map(str::trim) {
        None => "limits.conf is this machine's own.".to_owned(),
        Some("") => "limits.conf is empty.".to_owned(),
        Some(lines) => {
            let lines: Vec<_> = lines.lines().map(str::trim).collect();
            format!("limits.conf says `{}`.", lines.join("`, `"))
        }
    };
    format!(
        "`{name}` of util-linux resets the soft limit to 1024 where the hard limit allows it. {service} {conf} \
         Values that may not be set are silently ignored. The limits are read back afterwards."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Limits = Limits { soft: 256, hard: 4096 };

    #[test]
    fn a_shell_is_said_to_keep_the_limit_that_it_does_not_set() {
        assert!(shell(&Shell { soft: Some(64), ..Shell::default() }, FROM).contains("limits to 64:4096"));
        assert!(shell(&Shell::default(), FROM).contains("changes no limit"));
    }

    #[test]
    fn a_session_without_pam_limits_is_said_to_ignore_limits_conf() {
        let session = Session {
            limits_conf: Some("* - nofile 100\n".into()),
            pam_limits: Some(false),
            ..Session::default()
        };
        let said = super::session(&session, "su");
        assert!(said.contains("`* - nofile 100`") && said.contains("limits.conf has no effect"), "{said}");
    }
}

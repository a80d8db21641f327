//! The manager that keeps a live process's limit, and the change to make there: the sentences of `inspect`.

use crate::limits::managed::Manager;

/// The manager's name, in words.
pub fn name(manager: &Manager) -> String {
    match manager {
        Manager::Supervisord { pid, .. } => format!("supervisord (pid {pid})"),
        Manager::SystemdUnit { unit, user: false } => format!("systemd, unit {unit}"),
        Manager::SystemdUnit { unit, user: true } => format!("the user's systemd, unit {unit}"),
        Manager::Container { runtime, id } if id.is_empty() => format!("a {runtime} container"),
        Manager::Container { runtime, id } => {
            format!("{runtime}, container {}", id.get(..12).unwrap_or(id))
        }
        Manager::Session { by } => format!("a login session ({by})"),
        Manager::Shell { pid, command } => format!("a shell (pid {pid}: {command})"),
    }
}

/// The change that gives the next start this many descriptors, and the restart that it needs.
pub fn advice(manager: &Manager, nofile: u64) -> String {
    match manager {
        Manager::Supervisord { pid, config } => {
            let file =
                config.as_ref().map_or("its configuration file (that of its -c argument)".into(), |file| {
                    file.display().to_string()
                });
            format!(
                "In {file}, section [supervisord]: minfds={nofile}. Then restart supervisord itself (pid {pid}): it sets its limit once, \
                 when it starts; `supervisorctl reload`, `reread` and `update` are not enough. minfds only ever raises, and the \
                 hard limit that supervisord is started with must allow it."
            )
        }
        Manager::SystemdUnit { unit, user } => {
            let (sudo, user) = if *user { ("", " --user") } else { ("sudo ", "") };
            format!(
                "`{sudo}systemctl{user} edit {unit}`: under [Service], LimitNOFILE={nofile}. Then `{sudo}systemctl{user} restart {unit}`: \
                 a reload keeps the old limit. /etc/security/limits.conf does nothing here: no PAM session starts this service."
            )
        }
        Manager::Container { runtime, .. } if runtime == "kubernetes" => format!(
            "A pod cannot ask for a limit: raise LimitNOFILE={nofile} of the container runtime's unit on the node \
             (`sudo systemctl edit containerd`, or crio), restart that daemon, then recreate the pod."
        ),
        Manager::Container { runtime, .. } if runtime == "lxc" => {
            format!(
                "In the container's configuration: lxc.prlimit.nofile = {nofile}. Then restart the container."
            )
        }
        Manager::Container { runtime, .. } => {
            let program = if runtime == "containerd" { "nerdctl" } else { runtime };
            format!(
                "`{program} run --ulimit nofile={nofile}:{nofile} …` (compose: `ulimits: nofile:` of the service). The limit of an \
                 existing container is fixed: recreate it. limits.conf on the host does nothing here."
            )
        }
        Manager::Session { .. } => format!(
            "In /etc/security/limits.conf (or a file in limits.d): `USER soft nofile {nofile}` and `USER hard nofile {nofile}`. \
             It counts from the next session: log out and in, then start the program again. It does nothing for daemons that \
             no PAM session started."
        ),
        Manager::Shell { .. } => format!(
            "`ulimit -n {nofile}` in the shell or script that starts it, then start it again. For every session of a user: \
             /etc/security/limits.conf and a new session; that does nothing for daemons that no PAM session started."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_file_and_the_daemon_to_restart() {
        let config = Some("/etc/supervisor/supervisord.conf".into());
        let supervisord = advice(&Manager::Supervisord { pid: 7, config }, 65536);
        assert!(
            supervisord.contains("/etc/supervisor/supervisord.conf") && supervisord.contains("minfds=65536")
        );
        assert!(supervisord.contains("restart supervisord itself"));
        let systemd = advice(&Manager::SystemdUnit { unit: "nginx.service".into(), user: false }, 65536);
        assert!(systemd.contains("systemctl edit nginx.service") && systemd.contains("LimitNOFILE=65536"));
        assert!(systemd.contains("systemctl restart nginx.service"));
    }
}

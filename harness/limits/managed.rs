//! The managers of a live process, which decide its limits at the next start: a systemd unit, supervisord, a
//! container, a login session, a shell. Reads only.

use crate::event::{Pid, Redaction};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Something that started the process, or one of its ancestors, under limits of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are named in each variant's own terms")]
pub enum Manager {
    /// An ancestor is supervisord; `config` is the file that it was given or, by its default search, found.
    Supervisord { pid: Pid, config: Option<PathBuf> },
    /// A service of the system's systemd, or (`user`) of a user's.
    SystemdUnit { unit: String, user: bool },
    /// A container of this runtime; an empty id where lastfd itself runs inside of it.
    Container { runtime: String, id: String },
    /// A session that PAM opened; `by` is the scope, or the ancestor that opened it.
    Session { by: String },
    /// Started from a shell that nothing above accounts for.
    Shell { pid: Pid, command: String },
}

/// The managers of the process, innermost first: the first decides its soft limit, the others how high it may
/// go.
pub fn of(pid: Pid, ancestors: &[Pid], redaction: &Redaction) -> Vec<Manager> {
    let argvs: Vec<(Pid, Vec<String>)> = ancestors.iter().map(|&pid| (pid, argv(pid))).collect();
    // The process itself may be supervisord: then its own file still decides.
    let mut found: Vec<Manager> =
        argvs.iter().rev().find_map(|(pid, argv)| supervisord(*pid, argv)).into_iter().collect();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    found.extend(from_cgroups(&cgroups));
    if !found.iter().any(|manager| matches!(manager, Manager::Container { .. })) {
        found.extend(inside_container(pid));
    }
    // A login daemon's own unit also holds the sessions that it opens where no pam_systemd moves them out.
    let unit_of_login = |manager: &Manager| match manager {
        Manager::SystemdUnit { unit, .. } => LOGIN_UNITS.contains(&unit.as_str()),
        _ => false,
    };
    if found.iter().all(unit_of_login) {
        let session = argvs.iter().rev().skip(1).find_map(|(_, argv)| session(argv));
        found.splice(0..0, session);
    }
    if found.is_empty() {
        found.extend(argvs.iter().rev().skip(1).find_map(|(pid, argv)| shell(*pid, argv, redaction)));
    }
    found
}

/// The arguments of a process; empty for one without (kernel threads, zombies).
fn argv(pid: Pid) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        Vec::new()
    } else {
        line.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

/// The name that a program was called by: no directories, no `-` of a login shell, nothing after a colon
/// (`sshd: user`).
fn program(word: &str) -> &str {
    let word = word.split([':', ' ']).next().unwrap_or(word);
    word.rsplit('/').next().unwrap_or(word).trim_start_matches('-')
}

fn supervisord(pid: Pid, argv: &[String]) -> Option<Manager> {
    // Itself, or the second or third word after an interpreter (`python3 -m supervisor.supervisord`).
    let at = argv
        .iter()
        .take(4)
        .position(|word| matches!(program(word), "supervisord" | "supervisor.supervisord"))?;
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let config = match config_argument(&argv[at + 1..]) {
        Some(file) => Some(cwd.map_or_else(|| PathBuf::from(file), |cwd| cwd.join(file))),
        None => {
            let here = argv[at].starts_with('/').then(|| Path::new(&argv[at]).parent()).flatten();
            default_configs(cwd.as_deref(), here).into_iter().find(|file| file.exists())
        }
    };
    Some(Manager::Supervisord { pid, config })
}

/// The file of `-c FILE`, `-cFILE`, `--configuration FILE` or `--configuration=FILE`.
fn config_argument(arguments: &[String]) -> Option<&str> {
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if word == "-c" || word == "--configuration" {
            return words.next();
        }
        let glued = word.strip_prefix("--configuration=").or_else(|| word.strip_prefix("-c"));
        if let Some(file) = glued {
            return Some(file);
        }
    }
    None
}

/// Where supervisord looks without `-c`, in its order (its manual, "Configuration File").
fn default_configs(cwd: Option<&Path>, program: Option<&Path>) -> Vec<PathBuf> {
    let above = program.and_then(Path::parent);
    let above = above.into_iter().flat_map(|d| [d.join("etc/supervisord.conf"), d.join("supervisord.conf")]);
    let cwd = cwd.into_iter().flat_map(|d| [d.join("supervisord.conf"), d.join("etc/supervisord.conf")]);
    let etc = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"].map(PathBuf::from);
    above.chain(cwd).chain(etc).collect()
}

/// Units, containers and sessions named in `/proc/PID/cgroup`, innermost first (cgroups(7); both versions).
fn from_cgroups(text: &str) -> Vec<Manager> {
    let mut found = Vec::new();
    // Units are named by systemd's own hierarchy and by version 2's (number 0). Containers may be named by
    // any controller.
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (at, part) in parts.iter().enumerate().rev() {
            let manager = container(parts[..at].last().copied().unwrap_or_default(), part).or_else(|| {
                let names_units = number == "0" || controllers == "name=systemd";
                names_units.then(|| unit(&parts[..at], part)).flatten()
            });
            found.extend(manager.filter(|manager| !found.contains(manager)));
        }
    }
    // A session is opened within the user's slice; the user's manager above it adds nothing.
    if let Some(at) = found.iter().position(|manager| {
        matches!(manager, Manager::SystemdUnit { user: true, .. } | Manager::Session { .. })
    }) {
        found.truncate(at + 1);
    }
    found
}

/// A unit by its cgroup: `foo.service`, or the scope of a login session.
fn unit(above: &[&str], part: &str) -> Option<Manager> {
    if let Some(name) = part.strip_suffix(".service") {
        let user = above.iter().any(|part| part.starts_with("user@"));
        return (!name.is_empty()).then(|| Manager::SystemdUnit { unit: part.to_owned(), user });
    }
    (part.starts_with("session-") && part.ends_with(".scope"))
        .then(|| Manager::Session { by: part.to_owned() })
}

/// A container by its cgroup: `docker-ID.scope` (systemd driver), or `ID` within `docker` (cgroupfs driver).
fn container(above: &str, part: &str) -> Option<Manager> {
    let is_id = |id: &str| id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let found = |runtime: &str, id: &str| Some(Manager::Container { runtime: runtime.into(), id: id.into() });
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in [
        ("docker-", "docker"),
        ("libpod-", "podman"),
        ("cri-containerd-", "kubernetes"),
        ("crio-", "kubernetes"),
        ("nerdctl-", "containerd"),
    ] {
        if let Some(id) = scope.strip_prefix(prefix).filter(|id| is_id(id)) {
            return found(runtime, id);
        }
    }
    match above {
        "docker" if is_id(part) => found("docker", part),
        "libpod_parent" | "libpod" if is_id(part) => found("podman", part),
        "default" | "moby" if is_id(part) => found("containerd", part),
        _ if above.starts_with("pod") && is_id(part) => found("kubernetes", part),
        _ if above == "lxc" || part.starts_with("lxc.payload.") => {
            found("lxc", part.trim_start_matches("lxc.payload."))
        }
        _ => None,
    }
}

/// The marks that docker and podman leave in a container's file system, for a process whose cgroup does not
/// show it. A machine whose disk was made from a container image has them too: they count only outside of the
/// machine's first PID namespace.
fn inside_container(pid: Pid) -> Option<Manager> {
    if crate::sys::proc::in_first_pid_namespace() {
        return None;
    }
    let marks = [("docker", ".dockerenv"), ("podman", "run/.containerenv")];
    let (runtime, _) =
        marks.iter().find(|(_, mark)| Path::new(&format!("/proc/{pid}/root")).join(mark).exists())?;
    Some(Manager::Container { runtime: (*runtime).into(), id: String::new() })
}

/// Programs that open a PAM session for what they start.
const PAM_PROGRAMS: [&str; 13] = [
    "sshd",
    "sshd-session",
    "login",
    "su",
    "sudo",
    "runuser",
    "cron",
    "crond",
    "atd",
    "gdm-session-worker",
    "lightdm",
    "sddm-helper",
    "machinectl",
];

/// Units of the daemons that open sessions.
const LOGIN_UNITS: [&str; 5] =
    ["ssh.service", "sshd.service", "cron.service", "crond.service", "atd.service"];

fn session(argv: &[String]) -> Option<Manager> {
    let by = program(argv.first()?);
    PAM_PROGRAMS.contains(&by).then(|| Manager::Session { by: by.to_owned() })
}

fn shell(pid: Pid, argv: &[String], redaction: &Redaction) -> Option<Manager> {
    let shell = program(argv.first()?);
    let known = ["sh", "bash", "dash", "zsh", "ksh", "fish", "tcsh", "csh", "ash"].contains(&shell);
    known.then(|| Manager::Shell { pid, command: redaction.words(argv).join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(unit: &str, user: bool) -> Manager {
        Manager::SystemdUnit { unit: unit.into(), user }
    }

    #[test]
    fn a_cgroup_names_the_unit_the_container_or_the_session() {
        let id = "0123456789abcdef".repeat(4);
        let container = |runtime: &str| Manager::Container { runtime: runtime.into(), id: id.clone() };
        let session = Manager::Session { by: "session-3.scope".into() };
        for (text, expected) in [
            ("0::/system.slice/nginx.service".to_owned(), vec![unit("nginx.service", false)]),
            (
                "0::/system.slice/system-postgresql.slice/postgresql@15-main.service".into(),
                vec![unit("postgresql@15-main.service", false)],
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app.service".into(),
                vec![unit("app.service", true)],
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/init.scope".into(),
                vec![unit("user@1000.service", false)],
            ),
            ("0::/user.slice/user-1000.slice/session-3.scope".into(), vec![session]),
            (format!("0::/system.slice/docker-{id}.scope"), vec![container("docker")]),
            (format!("12:memory:/docker/{id}\n1:name=systemd:/docker/{id}"), vec![container("docker")]),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), vec![container("podman")]),
            (
                format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
                vec![container("kubernetes")],
            ),
            (format!("4:cpu:/kubepods/besteffort/pod12-34/{id}"), vec![container("kubernetes")]),
            // Only systemd's own hierarchy names units.
            ("4:memory:/system.slice/old.service\n0::/".into(), vec![]),
            ("0::/".into(), vec![]),
        ] {
            assert_eq!(from_cgroups(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_configuration_file_of_supervisord_is_that_of_its_argument() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("-n -c /srv/s.conf", Some("/srv/s.conf")),
            ("-c/srv/s.conf -n", Some("/srv/s.conf")),
            ("--configuration=/srv/s.conf", Some("/srv/s.conf")),
            ("-n --configuration /srv/s.conf", Some("/srv/s.conf")),
            ("-n -l /var/log/s.log", None),
        ] {
            assert_eq!(config_argument(&words(line)), expected, "{line}");
        }
        let argv = words("/usr/bin/python3 /usr/bin/supervisord -c /srv/s.conf");
        let found = supervisord(std::process::id() as i32, &argv);
        assert!(
            matches!(found, Some(Manager::Supervisord { config: Some(file), .. }) if file == Path::new("/srv/s.conf"))
        );
    }

    #[test]
    fn programs_are_known_by_the_name_they_were_called_by() {
        assert_eq!(program("sshd: root@pts/0"), "sshd");
        assert_eq!(program("-bash"), "bash");
        assert_eq!(program("/usr/bin/supervisord"), "supervisord");
        assert_eq!(session(&["su".into(), "-".into()]), Some(Manager::Session { by: "su".into() }));
        assert_eq!(session(&["sum".into()]), None);
    }
}

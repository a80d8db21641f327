//! The command that would raise the limit of a live process now. In words only: nothing here changes a limit.

use crate::event::{Limits, Pid};
use serde::Serialize;

/// A command that would raise the limit of a live process, and what it takes to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Raise {
    /// To copy into a shell.
    pub command: String,
    /// Whether it stays within the hard limit, and the privilege that it needs.
    pub needs: String,
}

/// The facts about the caller that the kernel checks in prlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whether the real user and group of the caller are all three of the process.
    pub same_user: bool,
    /// Whether the caller has CAP_SYS_RESOURCE.
    pub cap_sys_resource: bool,
    /// Whether the caller is root.
    pub root: bool,
}

impl Caller {
    /// This process, as seen from that one.
    pub fn now(pid: Pid) -> Caller {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let all = |field: &str, own: u32| {
            let ids = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
            let mut ids = ids.split_ascii_whitespace().take(3).peekable();
            ids.peek().is_some() && ids.all(|id| id.parse() == Ok(own))
        };
        Caller {
            same_user: all("Uid:", rustix::process::getuid().as_raw())
                && all("Gid:", rustix::process::getgid().as_raw()),
            cap_sys_resource: machine_capable(CAP_SYS_RESOURCE),
            root: rustix::process::geteuid().is_root(),
        }
    }
}

/// capabilities(7): may raise hard limits.
pub const CAP_SYS_RESOURCE: u32 = 24;

/// Whether this process has the capability in effect in its own user namespace, by its number in
/// capabilities(7).
pub fn capable(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(effective.trim(), 16).is_ok_and(|set| set & (1 << number) != 0)
}

/// Whether it has the capability over the whole machine, and not only within a user namespace (a rootless
/// container) where root has every capability and the kernel asks for those outside.
pub fn machine_capable(number: u32) -> bool {
    /// `/proc/PID/ns/user` of the machine's first user namespace (Linux, PROC_USER_INIT_INO).
    const FIRST: &str = "user:[4026531837]";
    capable(number)
        && std::fs::read_link("/proc/self/ns/user").is_ok_and(|namespace| namespace.as_os_str() == FIRST)
}

/// capabilities(7): may look into processes of others.
const CAP_SYS_PTRACE: u32 = 19;

/// Whether this process may look into any other.
pub fn may_read_all() -> bool {
    rustix::process::geteuid().is_root() && machine_capable(CAP_SYS_PTRACE)
}

/// Why this process may not look into another (proc(5): the rights of ptrace(2) apply), and the way out.
/// `again`: the command to run there.
pub fn may_not_read(again: &str) -> String {
    if !rustix::process::geteuid().is_root() {
        return format!("another user's process, or one that changed its user: `sudo {again}` may read it");
    }
    let why = if !capable(CAP_SYS_PTRACE) {
        "this root lacks CAP_SYS_PTRACE (a container, most likely): run it on the host, or give the container `--cap-add SYS_PTRACE`"
    } else if !machine_capable(CAP_SYS_PTRACE) {
        "this root is one of a user namespace only (a rootless container), and the process is outside of it: run it on the host"
    } else {
        "this root has CAP_SYS_PTRACE, so a security module (SELinux, AppArmor, Yama) forbids it: see the kernel's log"
    };
    why.to_owned()
}

/// A soft limit to raise to: four times the one in force and at least 65536, within `fs.nr_open`.
pub fn target(limits: Limits, nr_open: u64) -> u64 {
    limits.soft.saturating_mul(4).max(65536).min(nr_open)
}

/// The commands that would raise the soft limit of the process now: first within its hard limit, then above
/// it. Empty where the soft limit is already the most that `fs.nr_open` allows.
pub fn commands(pid: Pid, limits: Limits, nr_open: u64, caller: Caller) -> Vec<Raise> {
    let target = target(limits, nr_open);
    let within = target.min(limits.hard);
    let mut commands = Vec::new();
    let sudo = if caller.root || caller.cap_sys_resource { "" } else { "sudo " };
    if within > limits.soft {
        let (sudo, needs) = match caller {
            Caller { same_user: true, .. } => ("", "within the hard limit: its own user may do that"),
            Caller { cap_sys_resource: true, .. } => {
                ("", "within the hard limit; another user's process: you have CAP_SYS_RESOURCE")
            }
            Caller { root: true, .. } => ("", NO_CAPABILITY),
            _ => (sudo, "within the hard limit; as its own user, or with CAP_SYS_RESOURCE"),
        };
        let hard = if limits.hard == u64::MAX { "unlimited".to_owned() } else { limits.hard.to_string() };
        commands.push(Raise {
            command: format!("{sudo}prlimit --pid {pid} --nofile={within}:{hard}"),
            needs: needs.into(),
        });
    }
    if target > limits.hard {
        let needs = match caller {
            Caller { cap_sys_resource: true, .. } => "above the hard limit: you have CAP_SYS_RESOURCE",
            Caller { root: true, .. } => NO_CAPABILITY,
            _ => "above the hard limit: needs CAP_SYS_RESOURCE",
        };
        commands.push(Raise {
            command: format!("{sudo}prlimit --pid {pid} --nofile={target}:{target}"),
            needs: needs.into(),
        });
    }
    commands
}

const NO_CAPABILITY: &str =
    "needs CAP_SYS_RESOURCE, which this root does not have (a container, most likely): run it on the host";

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Caller = Caller { same_user: true, cap_sys_resource: false, root: false };

    fn lines(soft: u64, hard: u64, nr_open: u64, caller: Caller) -> Vec<String> {
        commands(7, Limits { soft, hard }, nr_open, caller).into_iter().map(|raise| raise.command).collect()
    }

    #[test]
    fn within_the_hard_limit_no_privilege_is_asked_for() {
        assert_eq!(lines(1024, 524_288, 1 << 20, USER), ["prlimit --pid 7 --nofile=65536:524288"]);
    }

    #[test]
    fn above_the_hard_limit_both_ways_are_shown() {
        let expected = ["prlimit --pid 7 --nofile=4096:4096", "sudo prlimit --pid 7 --nofile=65536:65536"];
        assert_eq!(lines(1024, 4096, 1 << 20, USER), expected);
        assert_eq!(lines(4096, 4096, 1 << 20, USER), expected[1..]);
    }

    #[test]
    fn another_users_process_needs_privilege_even_within_the_hard_limit() {
        let other = Caller { same_user: false, ..USER };
        assert_eq!(lines(1024, 524_288, 1 << 20, other), ["sudo prlimit --pid 7 --nofile=65536:524288"]);
    }

    #[test]
    fn root_without_the_capability_is_told_so() {
        let root = Caller { same_user: true, cap_sys_resource: false, root: true };
        let raise = &commands(7, Limits { soft: 1024, hard: 1024 }, 1 << 20, root)[0];
        assert_eq!(raise.command, "prlimit --pid 7 --nofile=65536:65536");
        assert!(raise.needs.contains("this root does not have"));
    }

    #[test]
    fn nothing_is_proposed_above_nr_open() {
        assert_eq!(lines(1 << 20, 1 << 20, 1 << 20, USER), [""; 0]);
        assert_eq!(lines(1 << 19, 1 << 20, 1 << 20, USER), ["prlimit --pid 7 --nofile=1048576:1048576"]);
    }

    #[test]
    fn the_own_process_belongs_to_the_same_user() {
        assert!(Caller::now(std::process::id() as i32).same_user);
    }
}

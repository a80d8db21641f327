//! The conditions for observing system calls: perf events on tracepoints, ptrace with seccomp filters.

use super::check::{Check, State, sysctl, sysctl_text};
use super::probe::CAP_SYS_ADMIN;
use crate::limits::raise::machine_capable;
use crate::observe::{self, Unavailable};
use crate::sys::tracefs::Events;
use rustix::process::{Resource, getrlimit};

/// capabilities(7).
const CAP_IPC_LOCK: u32 = 14;
const CAP_PERFMON: u32 = 38;

/// The ring of failures that the perf observer asks for on each processor, KiB: 512 pages of 4 KiB and one
/// more.
const RING_KIB: u64 = 2052;

pub(super) fn all() -> Vec<Check> {
    let [perf_here, ptrace_here] = observe::available();
    vec![perf(perf_here), perf_memory(), io_uring(), ptrace(ptrace_here)]
}

/// By what opening an event on io_uring's own tracepoint gave.
fn io_uring() -> Check {
    let name = "perf-io_uring";
    if observe::sees_io_uring() {
        return Check::new(name, State::Ok, "accepts by io_uring are seen, by io_uring's own tracepoints");
    }
    let found = "accepts by io_uring pass by the observers of system calls: they are counted by /proc alone, and no failure of theirs is seen";
    Check::new(name, State::Limited, found)
        .or("run lastfd as root, or with CAP_PERFMON and a readable tracefs, where the subject has a ring")
}

/// By what opening a tracepoint's event gave.
fn perf(here: Result<&str, Unavailable>) -> Check {
    let Some(paranoid) = sysctl::<i64>("kernel/perf_event_paranoid") else {
        return Check::new(
            "perf",
            State::No,
            "the kernel has no perf events (no kernel.perf_event_paranoid)",
        )
        .or("a kernel with CONFIG_PERF_EVENTS and CONFIG_FTRACE_SYSCALLS");
    };
    let privileged = machine_capable(CAP_PERFMON) || machine_capable(CAP_SYS_ADMIN);
    let refused = match here {
        Ok(_) if privileged => {
            return Check::new("perf", State::Ok, "a tracepoint's event opens, by a capability");
        }
        Ok(_) => {
            let found = format!(
                "a tracepoint's event opens for one's own processes (kernel.perf_event_paranoid is {paranoid})"
            );
            return Check::new("perf", State::Ok, found);
        }
        Err(refused) => refused,
    };
    let mut check = Check::new(
        "perf",
        State::No,
        format!("{}; kernel.perf_event_paranoid is {paranoid}", refused.reason),
    );
    if !privileged && paranoid > 2 {
        // 2 suffices: user-space-only events (exclude_kernel) on system-call tracepoints of one's own
        // processes.
        check = check.by(
            "as root; 2 is enough, 1 or lower is not needed",
            "sudo sysctl -w kernel.perf_event_paranoid=2",
        );
    }
    if Events::open().and_then(|events| events.id("syscalls/sys_exit_accept4")).is_err() {
        check = widen_tracefs(check);
    }
    if check.widen.is_empty() { check.or(refused.remedy) } else { check }
}

/// Where tracefs is mounted.
const TRACEFS: &str = "/sys/kernel/tracing";

/// Adds the mount command with which an administrator lets a user read the tracepoints' ids.
fn widen_tracefs(check: Check) -> Check {
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounted.lines().any(|line| {
        let mut fields = line.split(' ');
        fields.nth(1) == Some(TRACEFS) && fields.next() == Some("tracefs")
    });
    let gid = rustix::process::getgid().as_raw();
    // Remounting with mode=755 is not enough where the id files are 0440 (seen on Linux 6.18): their group
    // must be the reader's.
    let command = if mounted {
        format!("sudo mount -o remount,gid={gid},mode=750 {}", TRACEFS)
    } else {
        format!("sudo mount -t tracefs -o gid={gid},mode=750 tracefs {}", TRACEFS)
    };
    check
        .by("as root, read access for your group, until the next boot (mode=755 alone does where the id files are 0444)", command)
        .or("or run lastfd as root; without perf, ptrace observes: exact, and slower at each observed call")
}

fn perf_memory() -> Check {
    let Some(kib) = sysctl::<u64>("kernel/perf_event_mlock_kb") else {
        return Check::new(
            "perf-memory",
            State::No,
            "the kernel has no perf events (no kernel.perf_event_mlock_kb)",
        )
        .or("a kernel with CONFIG_PERF_EVENTS");
    };
    if machine_capable(CAP_IPC_LOCK) || sysctl::<i64>("kernel/perf_event_paranoid") == Some(-1) {
        return Check::new("perf-memory", State::Ok, "ring buffers of any size");
    }
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let locked = getrlimit(Resource::Memlock).current.map_or(u64::MAX, |bytes| bytes / 1024);
    // kernel.perf_event_mlock_kb is for each processor and user; RLIMIT_MEMLOCK comes on top of it.
    let allowed = (kib * cpus).saturating_add(locked);
    let wanted = RING_KIB * cpus;
    let found = format!(
        "{allowed} KiB of ring buffers ({kib} KiB × {cpus} processors, and RLIMIT_MEMLOCK); {wanted} KiB hold every failure"
    );
    if allowed >= wanted {
        Check::new("perf-memory", State::Ok, found)
    } else {
        Check::new(
            "perf-memory",
            State::Limited,
            format!("{found}: with smaller ones totals stay exact and single failures may be lost"),
        )
        .by("as root", format!("sudo sysctl -w kernel.perf_event_mlock_kb={}", RING_KIB * 2))
    }
}

/// By what asking for ptrace and for a seccomp filter gave.
fn ptrace(here: Result<&str, Unavailable>) -> Check {
    let actions = sysctl_text("kernel/seccomp/actions_avail").unwrap_or_default();
    if !actions.split(' ').any(|action| action == "trace") {
        return Check::new("ptrace", State::No, "the kernel has no seccomp filters that stop for a tracer")
            .or("a kernel with CONFIG_SECCOMP_FILTER, and /proc/sys readable");
    }
    let scope = sysctl::<u32>("kernel/yama/ptrace_scope");
    let refused = match here {
        Ok(_) => {
            let whom = match scope {
                None | Some(0) => "allowed for processes of one's own",
                Some(1) => "allowed for one's own descendants (kernel.yama.ptrace_scope is 1)",
                Some(_) => "allowed by CAP_SYS_PTRACE",
            };
            return Check::new("ptrace", State::Ok, format!("{whom}, with seccomp filters"));
        }
        Err(refused) => refused,
    };
    match scope {
        None | Some(0 | 1) => Check::new("ptrace", State::No, refused.reason).or(refused.remedy),
        Some(2) => Check::new("ptrace", State::No, "kernel.yama.ptrace_scope is 2: only with CAP_SYS_PTRACE")
            .by("as root", "sudo sysctl -w kernel.yama.ptrace_scope=1"),
        Some(scope) => Check::new(
            "ptrace",
            State::No,
            format!("kernel.yama.ptrace_scope is {scope}: for nobody, until the next boot"),
        )
        .or("boot with kernel.yama.ptrace_scope=1 in /etc/sysctl.d"),
    }
}

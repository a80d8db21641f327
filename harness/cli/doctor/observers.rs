//! What is needed to observe system calls: perf events on tracepoints, ptrace with seccomp filters.

use super::probe::{CAP_SYS_ADMIN, Probe};
use super::{Check, State, sysctl, sysctl_text};
use crate::limits::raise::{capable, machine_capable};
use rustix::process::{Resource, getrlimit};
use std::path::Path;

/// capabilities(7).
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_PERFMON: u32 = 38;

/// The ring of failures that the perf observer asks for on each processor, KiB: 512 pages of 4 KiB and one more.
const RING_KIB: u64 = 2052;

// SEAM: the integrator replaces the states of `perf` and `ptrace` with what `observe::available()` finds by opening them; the ways
// to widen them stay as they are.

pub(super) fn all() -> Vec<Check> {
    vec![perf(), perf_memory(), ptrace()]
}

/// Where tracefs is mounted; also reached through debugfs on older systems.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Whether the id of a system call's tracepoint is readable.
fn tracepoint_readable() -> bool {
    TRACEFS.iter().any(|at| std::fs::read(Path::new(at).join("events/syscalls/sys_exit_accept4/id")).is_ok())
}

fn perf() -> Check {
    let Some(paranoid) = sysctl::<i64>("kernel/perf_event_paranoid") else {
        return Check::new("perf", State::No, "the kernel has no perf events (no kernel.perf_event_paranoid)")
            .or("a kernel with CONFIG_PERF_EVENTS and CONFIG_FTRACE_SYSCALLS");
    };
    let privileged = machine_capable(CAP_PERFMON) || machine_capable(CAP_SYS_ADMIN);
    let allowed = privileged || paranoid <= 2;
    let readable = tracepoint_readable();
    // Not mounted at all, and one may mount it: lastfd does so in a mount namespace of its own.
    let mountable = !readable && machine_capable(CAP_SYS_ADMIN) && Probe::Tracefs.ask().failed.is_none();
    let events = match (privileged, allowed) {
        (true, _) => "perf events are allowed by a capability".to_owned(),
        (_, true) => format!("perf events of one's own processes are allowed (kernel.perf_event_paranoid is {paranoid})"),
        _ => format!("kernel.perf_event_paranoid is {paranoid}: no perf events without CAP_PERFMON"),
    };
    let ids = match (readable, mountable) {
        (true, _) => "the tracepoints' ids are readable",
        (_, true) => "tracefs is not mounted and can be, privately",
        _ => "the tracepoints' ids are not readable in tracefs",
    };
    let state = if allowed && (readable || mountable) { State::Ok } else { State::No };
    let mut check = Check::new("perf", state, format!("{events}; {ids}"));
    if !allowed {
        // 2 suffices: user-space-only events (exclude_kernel) on system-call tracepoints of one's own processes.
        check = check.by("as root; 2 is enough, 1 or lower is not needed", "sudo sysctl -w kernel.perf_event_paranoid=2");
    }
    if !readable && !mountable {
        check = widen_tracefs(check);
    }
    check
}

/// What an administrator allows so that a user can read the tracepoints' ids.
fn widen_tracefs(check: Check) -> Check {
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounted.lines().any(|line| {
        let mut fields = line.split(' ');
        fields.nth(1) == Some(TRACEFS[0]) && fields.next() == Some("tracefs")
    });
    let gid = rustix::process::getgid().as_raw();
    // Remounting with mode=755 is not enough where the id files are 0440 (seen on Linux 6.18): their group must be the reader's.
    let command = if mounted {
        format!("sudo mount -o remount,gid={gid},mode=750 {}", TRACEFS[0])
    } else {
        format!("sudo mount -t tracefs -o gid={gid},mode=750 tracefs {}", TRACEFS[0])
    };
    check
        .by("as root, read access for your group, until the next boot (mode=755 alone does where the id files are 0444)", command)
        .or("or run lastfd as root; without perf, ptrace observes: exact, and slower at each observed call")
}

fn perf_memory() -> Check {
    let Some(kib) = sysctl::<u64>("kernel/perf_event_mlock_kb") else {
        return Check::new("perf-memory", State::No, "the kernel has no perf events (no kernel.perf_event_mlock_kb)")
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
    let found =
        format!("{allowed} KiB of ring buffers ({kib} KiB × {cpus} processors, and RLIMIT_MEMLOCK); {wanted} KiB hold every failure");
    if allowed >= wanted {
        Check::new("perf-memory", State::Ok, found)
    } else {
        Check::new("perf-memory", State::Limited, format!("{found}: with smaller ones totals stay exact and single failures may be lost"))
            .by("as root", format!("sudo sysctl -w kernel.perf_event_mlock_kb={}", RING_KIB * 2))
    }
}

fn ptrace() -> Check {
    let actions = sysctl_text("kernel/seccomp/actions_avail").unwrap_or_default();
    if !actions.split(' ').any(|action| action == "trace") {
        return Check::new("ptrace", State::No, "the kernel has no seccomp filters that stop for a tracer")
            .or("a kernel with CONFIG_SECCOMP_FILTER, and /proc/sys readable");
    }
    match sysctl::<u32>("kernel/yama/ptrace_scope") {
        None | Some(0) => Check::new("ptrace", State::Ok, "allowed for processes of one's own, with seccomp filters"),
        Some(1) => {
            Check::new("ptrace", State::Ok, "allowed for one's own descendants (kernel.yama.ptrace_scope is 1), with seccomp filters")
        }
        Some(2) if capable(CAP_SYS_PTRACE) => Check::new("ptrace", State::Ok, "allowed by CAP_SYS_PTRACE, with seccomp filters"),
        Some(2) => Check::new("ptrace", State::No, "kernel.yama.ptrace_scope is 2: only with CAP_SYS_PTRACE")
            .by("as root", "sudo sysctl -w kernel.yama.ptrace_scope=1"),
        Some(scope) => Check::new("ptrace", State::No, format!("kernel.yama.ptrace_scope is {scope}: for nobody, until the next boot"))
            .or("boot with kernel.yama.ptrace_scope=1 in /etc/sysctl.d"),
    }
}

//! Calls that a process makes for itself between fork and exec: fork, descriptors, signal dispositions,
//! limits. Safe to call because each is only sound, or only useful, in the single-threaded re-executed steps
//! of `lastfd exec`; none keeps state.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io;

/// Which side of a fork the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller; the child's process id in the caller's PID namespace.
    Parent(i32),
    /// The new process.
    Child,
}

/// fork(2), in a process with one thread: the child may then do anything, allocate too.
///
/// # Errors
/// `EAGAIN` at `RLIMIT_NPROC` or the cgroup's limit; `ENOMEM`, also when the first process of the PID
/// namespace is dead.
///
/// # Panics
/// When the process has more than one thread: locks held by the others would stay held in the child.
pub fn fork() -> io::Result<Side> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert!(threads == 1, "fork from a process of {threads} threads");
    // SAFETY: with a single thread no lock or allocator state can be caught half-way in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid)),
    }
}

/// Ends the process at once, without destructors or exit handlers (_exit(2)): for children of `fork`.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// CPU time, user and system, of all children of this process that have been waited for, and of their
/// children (getrusage(2)).
pub fn children_cpu() -> std::time::Duration {
    // SAFETY: the kernel fills the structure, which holds only numbers.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let of = |time: libc::timeval| {
        let (s, us) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        std::time::Duration::from_micros(s.unwrap_or(0) * 1_000_000 + us.unwrap_or(0))
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Closes every descriptor from this number up (close_range(2), Linux 5.9).
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: for a process that is about to exec: nothing that owns one of these numbers is used or dropped
    // afterwards.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes the numbers `first..end` with one close(2) each, as supervisord does in its children; open or not.
pub fn close_each(first: i32, end: i32) {
    for fd in first..end {
        // SAFETY: for a process that is about to exec: nothing that owns one of these numbers is used or
        // dropped afterwards.
        unsafe { libc::close(fd) };
    }
}

/// Default dispositions for every signal and an empty mask, as a program expects at its start. Rust ignores
/// SIGPIPE, and the harness may have inherited any ignored or blocked signals.
pub fn reset_signals() {
    /// The kernel's struct sigaction, all zero: SIG_DFL, no flags, nothing masked.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // Not through the C library, which refuses to touch the two signals that it uses itself (32 and 33)
        // and that some parents leave ignored. SAFETY: the kernel reads at most the four words; SIGKILL and
        // SIGSTOP are refused and stay as they are.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: the set is initialised by sigemptyset before it is read.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Whether this process ignores a signal: nohup(1) starts programs so.
pub fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & (1 << (signal - 1)) != 0)
}

/// Ignores a signal; stays so across exec.
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is a valid disposition and no handler of ours is replaced.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
}

/// Sets the calling process's own soft and hard `RLIMIT_NOFILE`; `u64::MAX` is unlimited.
///
/// # Errors
/// `EPERM` when the hard limit would rise without CAP_SYS_RESOURCE, or above `fs.nr_open` with it; `EINVAL`
/// when soft is above hard.
pub fn set_nofile(soft: u64, hard: u64) -> io::Result<()> {
    let value = |limit: u64| Some(limit).filter(|&l| l != u64::MAX);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: value(soft), maximum: value(hard) })?)
}

/// Sets the calling process's own `RLIMIT_NPROC` (tasks) and `RLIMIT_AS` (bytes), soft and hard alike;
/// `None`: left as it is.
///
/// # Errors
/// `EPERM` above its hard limit without CAP_SYS_RESOURCE.
pub fn set_rlimits(nproc: Option<u64>, address_space: Option<u64>) -> io::Result<()> {
    for (resource, limit) in [(Resource::Nproc, nproc), (Resource::As, address_space)] {
        if limit.is_some() {
            setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
        }
    }
    Ok(())
}

/// The calling process's own soft and hard `RLIMIT_NOFILE`; `u64::MAX` is unlimited.
pub fn own_nofile() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Whether the process is gone, or only a zombie (or one being reaped) is left. A process whose first thread
/// has exited is not dead while others live.
pub fn dead(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    let Some((_, rest)) = stat.rsplit_once(") ") else { return true };
    // Field 20 of proc_pid_stat(5), from the state on, which is the third: threads, with a first one that has
    // exited.
    let alone = || {
        rest.split(' ')
            .nth(17)
            .and_then(|threads| threads.parse().ok())
            .is_none_or(|threads: u64| threads <= 1)
    };
    rest.starts_with(['Z', 'X', 'x']) && alone()
}

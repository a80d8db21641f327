//! ptrace(2) for a tracer thread: attach, wait, look, resume. Every call must come from the thread that
//! attached.

use std::io;
use std::os::unix::fs::FileExt;

/// Options of every tracee: stop at trapped calls, follow every child, say when one executes or exits, and
/// kill all of them should the tracer die.
const OPTIONS: i32 = libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEEXIT
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_EXITKILL;

/// PTRACE_EVENT_STOP (linux/ptrace.h), which the libc crate does not have for glibc.
const EVENT_STOP: i32 = 128;
/// PTRACE_GET_SYSCALL_INFO (linux/ptrace.h, Linux 5.3).
const GET_SYSCALL_INFO: u32 = 0x420e;
const INFO_EXIT: u8 = 2;
const INFO_SECCOMP: u8 = 3;

/// Why a tracee stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the entry of a trapped call.
    Seccomp,
    /// At the exit of a call (after [`Resume::ToSyscallExit`]).
    Syscall,
    /// It has created this task: a process, or with `thread` maybe a thread.
    Created {
        /// The new task's thread id.
        tid: i32,
        /// By clone(2), which makes threads too.
        clone: bool,
    },
    /// It has executed a program: its thread id has changed to the process's id.
    Exec {
        /// Its thread id before.
        former: i32,
    },
    /// It is about to exit and makes no call any more; with what its process ends, where its exit is that.
    Exiting(Option<End>),
    /// Job control stopped it.
    Group,
    /// The first stop of a new task, or one that needs nothing.
    Other,
    /// It is about to receive this signal.
    Signal(i32),
    /// It is gone.
    Gone(End),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its exit status.
    Code(i32),
    /// The signal that killed it.
    Signal(i32),
}

/// How a tracee goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until the next trapped call or event, receiving this signal (0: none).
    Run(i32),
    /// Until the call that it is in returns.
    ToSyscallExit,
    /// It stays stopped by job control until it is continued.
    Listen,
    /// Untraced from now on.
    Detach,
}

/// Attaches to a task without stopping it; its future children are traced from birth.
///
/// # Errors
/// `EPERM` by another tracer, another user, or a security module; `ESRCH`.
pub fn seize(tid: i32) -> io::Result<()> {
    call(libc::PTRACE_SEIZE, tid, 0, OPTIONS as usize)
}

/// Waits until a task that this thread traces stops or ends, however long that takes: the tracer's thread is
/// for nothing else.
///
/// # Errors
/// `ECHILD` when it traces none any more.
pub fn wait() -> io::Result<(i32, Stop)> {
    let mut status = 0;
    // SAFETY: the status word is ours.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    if tid < 0 {
        let e = io::Error::last_os_error();
        return if e.kind() == io::ErrorKind::Interrupted { wait() } else { Err(e) };
    }
    Ok((tid, stop(tid, status)))
}

fn stop(tid: i32, status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Gone(ended(status));
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Syscall,
        0 => Stop::Signal(signal),
        libc::PTRACE_EVENT_SECCOMP => Stop::Seccomp,
        event @ (libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE) => {
            message(tid).map_or(Stop::Other, |new| Stop::Created {
                tid: new,
                clone: event == libc::PTRACE_EVENT_CLONE,
            })
        }
        libc::PTRACE_EVENT_EXEC => Stop::Exec { former: message(tid).unwrap_or(tid) },
        libc::PTRACE_EVENT_EXIT => Stop::Exiting(message(tid).map(ended)),
        EVENT_STOP if signal != libc::SIGTRAP => Stop::Group,
        _ => Stop::Other,
    }
}

fn ended(status: i32) -> End {
    if libc::WIFEXITED(status) {
        End::Code(libc::WEXITSTATUS(status))
    } else {
        End::Signal(libc::WTERMSIG(status))
    }
}

/// PTRACE_GETEVENTMSG: a thread id in our PID namespace.
fn message(tid: i32) -> Option<i32> {
    let mut value: libc::c_ulong = 0;
    call(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut value) as usize).ok()?;
    i32::try_from(value).ok()
}

/// Lets a stopped task go on.
///
/// # Errors
/// `ESRCH` when it was killed meanwhile: [`wait`] says so next.
pub fn resume(tid: i32, how: Resume) -> io::Result<()> {
    match how {
        Resume::Run(signal) => call(libc::PTRACE_CONT, tid, 0, signal as usize),
        Resume::ToSyscallExit => call(libc::PTRACE_SYSCALL, tid, 0, 0),
        Resume::Listen => call(libc::PTRACE_LISTEN, tid, 0, 0),
        Resume::Detach => call(libc::PTRACE_DETACH, tid, 0, 0),
    }
}

/// The state of a task that is stopped at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syscall {
    /// About to make the call of this number.
    Entry {
        /// The call's number on this architecture.
        number: i64,
        /// The call's first three arguments.
        arguments: [u64; 3],
    },
    /// The call returned: as the kernel gave it, negative errno on failure.
    Exit(i64),
}

/// The call of a stopped task; `None` when it was killed meanwhile, or is stopped at something else.
pub fn syscall(tid: i32) -> Option<Syscall> {
    // `struct ptrace_syscall_info`: op u8 … (24 bytes), then number and six arguments, or the return value.
    let mut info = [0u64; 11];
    call(GET_SYSCALL_INFO, tid, size_of_val(&info), info.as_mut_ptr() as usize).ok()?;
    match info[0].to_ne_bytes()[0] {
        INFO_SECCOMP => {
            Some(Syscall::Entry { number: info[3] as i64, arguments: [info[4], info[5], info[6]] })
        }
        INFO_EXIT => Some(Syscall::Exit(info[3] as i64)),
        _ => None,
    }
}

/// Whether this process may call ptrace(2) at all: a container's filter answers EPERM or ENOSYS for a task
/// that does not exist.
///
/// # Errors
/// The filter's answer.
pub fn allowed() -> io::Result<()> {
    match call(libc::PTRACE_SEIZE, i32::MAX, 0, 0) {
        Err(e) if e.raw_os_error() != Some(libc::ESRCH) => Err(e),
        _ => Ok(()),
    }
}

fn call(request: u32, tid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: `data` is a number, or for GETEVENTMSG and GET_SYSCALL_INFO a buffer of the caller's of at
    // least the size that the request (or `address`) names; the kernel checks `tid`.
    let result = unsafe { libc::ptrace(request as _, tid, address, data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The process (thread-group id) of a thread; `None` when it is gone.
pub fn process_of(tid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// The two 64-bit words at an address of a stopped task; `None` when they cannot be read.
pub fn words_at(tid: i32, address: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    std::fs::File::open(format!("/proc/{tid}/mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    let (first, second) = bytes.split_at(8);
    Some([first, second].map(|word| u64::from_ne_bytes(word.try_into().expect("half of sixteen"))))
}

/// Longest path read of a call's argument, bytes.
const PATH_AT_MOST: usize = 256;

/// The path that an argument (0: the first) of the call of a stopped task points to, cut at 256 bytes; `None`
/// when it cannot be read. At the exit of a call, too, where its arguments are still in their registers.
pub fn path_argument(tid: i32, argument: usize) -> Option<String> {
    // proc_pid_syscall(5): the call's number, its six arguments, the stack pointer and the program counter.
    let line = std::fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let address =
        u64::from_str_radix(line.split(' ').nth(1 + argument)?.trim().trim_start_matches("0x"), 16).ok()?;
    let mut bytes = [0; PATH_AT_MOST];
    let length = std::fs::File::open(format!("/proc/{tid}/mem")).ok()?.read_at(&mut bytes, address).ok()?;
    let path = bytes[..length].split(|&byte| byte == 0).next().filter(|path| !path.is_empty())?;
    Some(String::from_utf8_lossy(path).into_owned())
}

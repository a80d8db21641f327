//! Observers of the subject: its system calls (by perf, or by ptrace), its output.
//!
//! A run chooses the syscall observer before it launches, attaches it while the program's process waits
//! before exec, and drains it every few milliseconds. Observers report events; they never judge, and never
//! change what the subject does beyond the cost they state.

pub mod failures;
pub mod output;
pub mod perf;
pub mod ptrace;
#[cfg(test)]
mod tests;
mod threads;

use crate::event::{Event, ObserverName, Pid};
use crate::sys::proc;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A witness of the subject, from the exec of the launched program on. It sees each descriptor call that
/// succeeds or fails with EMFILE or ENFILE, the life of the subject's processes, and every process that sets
/// a limit of descriptors.
pub trait Syscalls: Send {
    /// Which.
    fn name(&self) -> ObserverName;

    /// Appends the events since the last time, in order of time, and never waits for more. Events of the last
    /// instant may come with the next call, so that the order holds across calls; after [`Syscalls::stop`]
    /// nothing is held back.
    ///
    /// # Errors
    /// The kernel took the observer away.
    fn drain(&mut self, sink: &mut Vec<Event>) -> io::Result<()>;

    /// Reports single failures again, so many more, and at most as many as at first: after a run of them that
    /// was too long, something new is to be seen.
    ///
    /// # Errors
    /// The kernel took the observer away.
    fn sample_again(&mut self, failures: u64) -> io::Result<()>;

    /// Whether its counts are exact. Rates may still be distorted by observing.
    fn exact(&self) -> bool;

    /// Whether it sees what the subject asks of io_uring, which passes by every system call.
    fn sees_io_uring(&self) -> bool {
        false
    }

    /// Ends observing; the next [`Syscalls::drain`] gives the rest and the final totals. Traced processes
    /// stay traced until they exit, because a trapped call without a tracer would fail.
    fn stop(&mut self);
}

crate::named::named! {
    /// Which syscall observer is asked for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    #[non_exhaustive]
    pub enum Choice {
        /// perf; ptrace where perf is not allowed or would see nothing.
        #[default]
        Auto = "auto",
        /// Only perf.
        Perf = "perf",
        /// Only ptrace.
        Ptrace = "ptrace",
        /// Observes no system call: which call fails first stays unknown.
        None = "none",
    }
}

/// Why an observer cannot be used here, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{observer} is not available: {reason}: {remedy}")]
pub struct Unavailable {
    /// `perf` or `ptrace`.
    pub observer: &'static str,
    /// The kernel's refusal.
    pub reason: String,
    /// The way out.
    pub remedy: String,
}

/// An observer that was found to work here, not yet attached to anything.
#[derive(Debug)]
pub enum Chosen {
    /// perf, with the tracepoints it will open.
    Perf(Box<perf::Tracepoints>),
    /// ptrace.
    Ptrace,
    /// None.
    None,
}

impl Chosen {
    /// A guard that makes the next run's attaching quick while it is kept; `None` where nothing does.
    pub fn keep_in_use(&self) -> Option<perf::InUse> {
        if let Chosen::Perf(tracepoints) = self { Some(perf::InUse::keep(tracepoints)) } else { None }
    }

    /// As [`Syscalls::name`].
    pub fn name(&self) -> ObserverName {
        match self {
            Chosen::Perf(_) => perf::NAME,
            Chosen::Ptrace => ptrace::NAME,
            Chosen::None => ObserverName::None,
        }
    }

    /// The numbers of the calls that the launched process must trap (`sys::seccomp::trap`) between the
    /// attaching and its exec; empty where no filter is needed.
    pub fn trapped(&self) -> Vec<i64> {
        if self.wants_trap() { ptrace::trapped() } else { Vec::new() }
    }

    /// Whether the launched process must install the seccomp filter, once attached to.
    pub fn wants_trap(&self) -> bool {
        matches!(self, Chosen::Ptrace)
    }

    /// Attaches to a process that waits before its exec, single-threaded and without children.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn attach(&self, pid: Pid) -> Result<Box<dyn Syscalls>, Unavailable> {
        Ok(match self {
            Chosen::Perf(tracepoints) => Box::new(perf::Perf::attach(tracepoints, pid)?),
            Chosen::Ptrace => Box::new(ptrace::Ptrace::attach(pid)?),
            Chosen::None => Box::new(Nothing),
        })
    }
}

/// Chooses the observer for a run of this executable, by cheap probes on the harness itself (a few
/// milliseconds).
///
/// # Errors
/// Why each observer that was asked for is unavailable.
pub fn choose(choice: Choice, executable: Option<&Path>) -> Result<Chosen, Vec<Unavailable>> {
    let perf = || match executable {
        Some(path) if blind_for(path) => Err(perf::unavailable(
            format!(
                "{} may be executed but not read, or changes its user: perf then counts zero without an error",
                path.display()
            ),
            "run lastfd as root, or let it use ptrace",
        )),
        _ => perf::Tracepoints::probe().map(|tracepoints| Chosen::Perf(Box::new(tracepoints))),
    };
    let ptrace = || ptrace::probe().map(|()| Chosen::Ptrace);
    match choice {
        Choice::None => Ok(Chosen::None),
        Choice::Perf => perf().map_err(|e| vec![e]),
        Choice::Ptrace => ptrace().map_err(|e| vec![e]),
        Choice::Auto => perf().or_else(|first| ptrace().map_err(|second| vec![first, second])),
    }
}

/// The syscall observers, best first: the name of each that works here, or why it does not.
pub fn available() -> [Result<&'static str, Unavailable>; 2] {
    [perf::Tracepoints::probe().map(|_| perf::NAME.name()), ptrace::probe().map(|()| ptrace::NAME.name())]
}

/// Whether requests of io_uring can be observed here.
pub fn sees_io_uring() -> bool {
    perf::Tracepoints::probe().is_ok_and(|tracepoints| tracepoints.see_io_uring())
}

/// Whether perf would count nothing, silently, once this program runs: the kernel ends the observation of a
/// program that its user may not read, or that changes its user (execve(2) makes both undumpable). False for
/// a file that is not there.
pub fn blind_for(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let Ok(file) = std::fs::metadata(path) else { return false };
    let changes_user =
        file.permissions().mode() & 0o4000 != 0 && file.uid() != rustix::process::geteuid().as_raw();
    let changes_group =
        file.permissions().mode() & 0o2010 == 0o2010 && file.gid() != rustix::process::getegid().as_raw();
    changes_user || changes_group || accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).is_err()
}

/// Observes nothing.
#[derive(Debug)]
struct Nothing;

impl Syscalls for Nothing {
    fn name(&self) -> ObserverName {
        ObserverName::None
    }

    fn drain(&mut self, _sink: &mut Vec<Event>) -> io::Result<()> {
        Ok(())
    }

    fn sample_again(&mut self, _failures: u64) -> io::Result<()> {
        Ok(())
    }

    fn exact(&self) -> bool {
        false
    }

    fn stop(&mut self) {}
}

/// The process that a caller means by this number, a number in its own PID namespace; 0 is the caller itself.
/// `None`: none of these.
fn called(number: Pid, caller: Pid, mut processes: impl Iterator<Item = Pid>) -> Option<Pid> {
    let means = |&pid: &Pid| proc::own_pid(pid) == Some(number);
    if number == 0 || means(&caller) { Some(caller) } else { processes.find(means) }
}

/// Whether a call's result says that the table of the process (EMFILE) or of the system (ENFILE) is full.
const fn exhausted(ret: i64) -> bool {
    ret == -(libc::EMFILE as i64) || ret == -(libc::ENFILE as i64)
}

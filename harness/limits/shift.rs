//! Moves `RLIMIT_NOFILE` of a live process with prlimit(2), as an administrator would at two in the morning.
//! Used on the subject of a run only; never on a process that the harness did not start.

use crate::event::{Limits, Pid};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, prlimit};

/// Why the limits of a live process could not be moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has exited.
    #[error("process {0} has exited")]
    Gone(Pid),
    /// The hard limit would rise.
    #[error(
        "the hard limit of process {pid} is {} and cannot be raised to {to}: that needs CAP_SYS_RESOURCE, and an `fs.nr_open` of as much",
        was.hard
    )]
    AboveHard {
        /// The process.
        pid: Pid,
        /// In force.
        was: Limits,
        /// Asked for.
        to: u64,
    },
    /// It belongs to another user.
    #[error(
        "the limits of process {0} are not ours to move: it runs as another user, so that needs CAP_SYS_RESOURCE"
    )]
    Foreign(Pid),
    /// Anything else.
    #[error("prlimit({pid}): {source}")]
    Failed {
        /// The process.
        pid: Pid,
        /// The errno.
        source: Errno,
    },
}

/// Gives a live process these limits; returns those that it had. `hard`: `None` leaves the hard limit as it
/// is, or raises it to `soft` where that is higher.
///
/// # Errors
/// See [`Error`]; then nothing has changed.
pub fn shift(pid: Pid, soft: u64, hard: Option<u64>) -> Result<(Limits, Limits), Error> {
    let of = |limit: Rlimit| Limits {
        soft: limit.current.unwrap_or(u64::MAX),
        hard: limit.maximum.unwrap_or(u64::MAX),
    };
    let value = |limit: u64| Some(limit).filter(|&limit| limit != u64::MAX);
    let failed =
        |source| if source == Errno::SRCH { Error::Gone(pid) } else { Error::Failed { pid, source } };
    let whom = rustix::process::Pid::from_raw(pid).ok_or(Error::Gone(pid))?;
    // /proc tells the limits of processes of other users too, which prlimit does not.
    let (before, most) = crate::sys::proc::nofile(pid).map_err(|_| Error::Gone(pid))?;
    let was = Limits { soft: before, hard: most };
    let to = Limits { soft, hard: hard.unwrap_or(most.max(soft)) };
    match prlimit(Some(whom), Resource::Nofile, Rlimit { current: value(to.soft), maximum: value(to.hard) }) {
        Ok(was) => Ok((of(was), to)),
        Err(Errno::PERM) if to.hard > most => Err(Error::AboveHard { pid, was, to: to.hard }),
        Err(Errno::PERM) => Err(Error::Foreign(pid)),
        Err(source) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_limits_of_a_live_process_are_moved_and_its_hard_limit_only_falls_without_privilege() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let pid = child.id() as Pid;
        let inherited = crate::sys::proc::nofile(pid).expect("its limits");
        let (was, now) = shift(pid, 64, Some(128)).expect("it may be lowered");
        assert_eq!((was.soft, was.hard), inherited);
        assert_eq!(
            (now, crate::sys::proc::nofile(pid).unwrap()),
            (Limits { soft: 64, hard: 128 }, (64, 128))
        );
        assert_eq!(shift(pid, 128, None).expect("up to the hard limit").1, Limits { soft: 128, hard: 128 });
        // Root may lack the capability, and `nr_open` bounds even a process that has it.
        let (soft, hard) = (128, 128);
        assert_eq!(
            shift(pid, u64::MAX - 1, None),
            Err(Error::AboveHard { pid, was: Limits { soft, hard }, to: u64::MAX - 1 })
        );
        assert_eq!(crate::sys::proc::nofile(pid).unwrap(), (128, 128));
        drop(child.stdin.take());
        child.wait().expect("cat ends with its input");
        assert_eq!(shift(pid, 64, None), Err(Error::Gone(pid)));
    }
}

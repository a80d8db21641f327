//! Why a launch, or its end, failed: in terms of what its reader can change.

use super::wire::Step;
use crate::event::{Limits, Pid};
use crate::sys::process::own_nofile;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a process was not started, or not ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lastfd binary could not be executed again.
    #[error("{exe}: cannot be executed again for the launch: {source}")]
    Reexec {
        /// The binary.
        exe: PathBuf,
        /// The error from the kernel.
        source: io::Error,
    },
    /// The harness has no descriptor or memory left for the launch.
    #[error("cannot create the channels of a launch: {0}")]
    Channels(io::Error),
    /// The program was not found.
    #[error("{program}: no such program; looked {place}")]
    NoSuchProgram {
        /// As asked for.
        program: String,
        /// Where it was looked for, in words.
        place: String,
    },
    /// It is there, but its interpreter is not.
    #[error(
        "{program}: it exists, but the interpreter that it names does not (its first line, or its dynamic loader)"
    )]
    NoInterpreter {
        /// As asked for.
        program: String,
    },
    /// It is there, but may not be executed.
    #[error(
        "{program}: not executable: a directory, or without execute permission on it or on its path (`chmod +x`)"
    )]
    NotExecutable {
        /// As asked for.
        program: String,
    },
    /// The working directory cannot be entered.
    #[error("{directory}: cannot change to the working directory: {source}")]
    Directory {
        /// As asked for.
        directory: PathBuf,
        /// The error from the kernel.
        source: io::Error,
    },
    /// The hard limit asked for is above the harness's own, which it may not raise.
    #[error(
        "hard limit is {own} and this run needs {needed}: raising it takes CAP_SYS_RESOURCE; have it raised \
         (`prlimit --pid … --nofile={needed}` as an administrator), or lower `limits.hard`"
    )]
    HardLimit {
        /// The harness's own hard limit.
        own: u64,
        /// The hard limit asked for.
        needed: u64,
    },
    /// More than the kernel allows anybody.
    #[error(
        "fs.nr_open is {nr_open} and this run needs {needed}: raise it (`sysctl fs.nr_open={needed}`), or lower `limits.hard`"
    )]
    NrOpen {
        /// The kernel's bound on hard limits.
        nr_open: u64,
        /// The hard limit asked for.
        needed: u64,
    },
    /// The soft limit asked for is above the hard limit asked for.
    #[error("soft limit {soft} is above the hard limit {hard}: raise `limits.hard`, or lower `limits.soft`")]
    SoftAboveHard {
        /// As asked for.
        soft: u64,
        /// As asked for.
        hard: u64,
    },
    /// A limit of tasks or of address space is above the harness's own hard one, which it may not raise.
    #[error(
        "{program}: RLIMIT_NPROC or RLIMIT_AS is asked for above lastfd's own hard limit, and raising that takes CAP_SYS_RESOURCE; have it \
         raised (`prlimit --pid … --nproc` or `--as` as an administrator), or lower `rlimits`"
    )]
    OtherLimits {
        /// As asked for.
        program: String,
    },
    /// Another step failed.
    #[error("{program}: {step} failed: {source}")]
    Step {
        /// As asked for.
        program: String,
        /// Which.
        step: Step,
        /// The error from the kernel.
        source: io::Error,
    },
    /// The launch step ended and gave no reason.
    #[error("{program}: the launch step ended before the program was executed; its output may say why")]
    Lost {
        /// As asked for.
        program: String,
    },
    /// The launch step did not come on.
    #[error("{program}: no progress in its launch for {} s (a tracer that does not let it go on?)", waited.as_secs())]
    Stuck {
        /// As asked for.
        program: String,
        /// How long.
        waited: Duration,
    },
    /// An argument that a launcher's configuration cannot hold.
    #[error(
        "argument {argument:?} cannot be written into a configuration of {launcher}: it holds a line break or a NUL"
    )]
    Unquotable {
        /// Which launcher.
        launcher: &'static str,
        /// The argument.
        argument: String,
    },
    /// The scratch directory is not writable.
    #[error("{path}: {source}; TMPDIR says where temporary files go")]
    Scratch {
        /// The file.
        path: PathBuf,
        /// The error from the kernel.
        source: io::Error,
    },
    /// Killed, and still there.
    #[error("processes {pids:?} did not end within {} s of SIGKILL (uninterruptible sleep, or another user's)", waited.as_secs())]
    Survivors {
        /// The processes that live.
        pids: Vec<Pid>,
        /// How long.
        waited: Duration,
    },
}

impl Error {
    /// Whether it is the machine that does not allow this launch, rather than something wrong with the
    /// program or its limits.
    pub fn is_of_machine(&self) -> bool {
        match self {
            Error::OtherLimits { .. } | Error::Scratch { .. } => true,
            Error::Step { step, .. } => {
                matches!(step, Step::Mounts | Step::User | Step::Stdin) || step.isolates()
            }
            _ => false,
        }
    }

    /// The error that a failed step means for this command.
    pub(super) fn of_step(step: Step, errno: i32, command: &super::Command) -> Self {
        let program = command.argv.first().cloned().unwrap_or_default();
        let source = io::Error::from_raw_os_error(errno);
        match (step, errno) {
            (Step::Exec, libc::ENOENT | libc::ENOTDIR) => not_found(program, command),
            (Step::Exec, libc::EACCES) => Error::NotExecutable { program },
            (Step::Directory, _) => {
                Error::Directory { directory: command.directory.clone().unwrap_or_default(), source }
            }
            (Step::OtherLimits, libc::EPERM) => Error::OtherLimits { program },
            (Step::Limits, _) => limits(command.limits).unwrap_or(Error::Step { program, step, source }),
            _ => Error::Step { program, step, source },
        }
    }
}

/// Looks again at what exec did not find, for the message only.
fn not_found(program: String, command: &super::Command) -> Error {
    if !program.contains('/') {
        let path = command.env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok());
        return Error::NoSuchProgram { program, place: format!("in PATH={}", path.unwrap_or_default()) };
    }
    let directory = command.directory.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    if directory.join(&program).exists() {
        return Error::NoInterpreter { program };
    }
    Error::NoSuchProgram { program, place: format!("from {}", directory.display()) }
}

/// Why these limits cannot be set, by the rules of setrlimit(2).
fn limits(Limits { soft, hard }: Limits) -> Option<Error> {
    let (_, own) = own_nofile();
    let nr_open =
        std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    match nr_open {
        _ if soft > hard => Some(Error::SoftAboveHard { soft, hard }),
        Some(nr_open) if hard > nr_open => Some(Error::NrOpen { nr_open, needed: hard }),
        _ if hard > own => Some(Error::HardLimit { own, needed: hard }),
        _ => None,
    }
}

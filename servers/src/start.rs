//! Common parts of a server's process and its master: why neither started, the lines that say it did, and the
//! signals that end it.

use crate::baseline::BaselineError;
use crate::relay::CallError;
use crate::tls::TlsError;
use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::io;

/// Said by a worker to its master on standard output when it accepts.
pub(crate) const READY: &str = "ready";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// A blocking accept shows neither whether a client waits, which shedding needs, nor an edge.
    #[error(
        "--accept {0} needs a listener that does not block: leave out --blocking, --threads and --io-uring"
    )]
    PolicyBlocks(&'static str),
    /// tonic closes its connections itself.
    #[error("--accept waits-for-close does not go with grpc, which does not say when it closes a connection")]
    ClosesUnheard,
    /// A second listener where none can be.
    #[error("--tls-port goes with http, grpc and mail, and not with --workers")]
    NoTls,
    /// The option to open a file with each request, for a service that has none.
    #[error("--opens goes with http")]
    NoFile,
    /// A witness that could not tell connections apart.
    #[error("--witness goes with http, tcp and grpc, and not with --workers")]
    NoWitness,
    /// Options of those that accept.
    #[error("datagram serves UDP and accepts nobody: --workers, --threads and --unix do not go with it")]
    AcceptsNobody,
    /// A service whose requests are calls, without an address to call.
    #[error("{0}")]
    NobodyToCall(&'static str),
    /// The signals could not be blocked.
    #[error("cannot block SIGTERM and SIGINT: {0}")]
    Signals(Errno),
    /// No listener.
    #[error("cannot listen on {address}: {source}{}", hint(source.raw_os_error()))]
    Listen {
        /// As asked.
        address: String,
        /// The error of socket, bind or listen.
        source: io::Error,
    },
    /// Standard input of a worker is no bound socket.
    #[error("standard input is not a bound socket, as that of a worker must be: {0}")]
    NotAListener(Errno),
    /// The service's own descriptors or threads.
    #[error("cannot start the service: {source}{}", hint(source.raw_os_error()))]
    Service {
        /// The error of the call that failed.
        source: io::Error,
    },
    /// TLS.
    #[error("cannot speak TLS: {source}{}", hint(source.errno()))]
    Tls {
        /// Which of its files.
        #[from]
        source: TlsError,
    },
    /// The things that its calls need.
    #[error("{source}{}", hint(source.errno()))]
    Calls {
        /// Which step.
        #[from]
        source: CallError,
    },
    /// The baseline.
    #[error("{source}{}", hint(source.errno()))]
    Baseline {
        /// Which of its steps.
        #[from]
        source: BaselineError,
    },
    /// No ring.
    #[error("cannot accept by io_uring: {source}{}", forbidden(source))]
    Ring {
        /// The error of io_uring_setup(2).
        source: io::Error,
    },
    /// A worker could not be started.
    #[error("cannot start a worker: {source}{}", hint(source.raw_os_error()))]
    Worker {
        /// The error of fork, exec or the pipe to it.
        source: io::Error,
    },
    /// The master was gone before its worker could tie itself to it.
    #[error("the master {0} has ended")]
    Orphaned(i32),
}

impl StartError {
    /// 2 for options that do not go together, else 6: the server did not start.
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(
            self,
            StartError::PolicyBlocks(_)
                | StartError::ClosesUnheard
                | StartError::NoTls
                | StartError::NoFile
                | StartError::NoWitness
                | StartError::AcceptsNobody
                | StartError::NobodyToCall(_)
        ) {
            2
        } else {
            6
        }
    }
}

/// The explanation of a failure for want of descriptors.
fn hint(errno: Option<i32>) -> String {
    if errno != Some(Errno::MFILE.raw_os_error()) {
        return String::new();
    }
    let soft = getrlimit(Resource::Nofile).current.map_or("unlimited".to_owned(), |soft| soft.to_string());
    format!(": the soft limit of {soft} descriptors is too low to start")
}

/// The explanation of a refused ring.
fn forbidden(source: &io::Error) -> String {
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::NOSYS) => {
            ": the sysctl kernel.io_uring_disabled or a seccomp filter forbids it, or the kernel has none"
                .to_owned()
        }
        other => hint(other.map(Errno::raw_os_error)),
    }
}

/// `listening ADDRESS`, the line that says a server is ready.
pub(crate) fn announcement(address: &str) -> String {
    format!("listening {address}")
}

/// Sleeps until one of `signals`, all blocked, is sent to the process; returns it. No deadline: a server runs
/// until it gets one.
pub(crate) fn wait_for_signal(signals: &SigSet) -> Signal {
    loop {
        if let Ok(signal) = signals.wait() {
            return signal;
        }
    }
}

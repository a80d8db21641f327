//! A connection to another server, step by step, so that the failing step can be named.

use crate::tls::TlsError;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// Longest that a connect with its handshake, or an answer, is waited for.
pub(super) const WITHIN: Duration = Duration::from_secs(10);

/// Longest that a connection is given to close in order.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// Why a call failed, and at which step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The upload's file.
    #[error("open {}: {source}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// The error of openat.
        source: io::Error,
    },
    /// The uploaded data.
    #[error("write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The error of write or unlink.
        source: io::Error,
    },
    /// The certificate of the backend.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// One of the steps of a connection.
    #[error("dial tcp {to}: {step}: {source}")]
    Dial {
        /// The address that was called.
        to: SocketAddr,
        /// `socket`, `connect`, `TLS handshake`, `HTTP handshake`.
        step: &'static str,
        /// The error of the step.
        source: io::Error,
    },
    /// Connected, and no answer.
    #[error("call {to}: {source}")]
    Call {
        /// The address that was called.
        to: SocketAddr,
        /// The error of hyper or tonic, or the time that ran out.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An option that this request needs was not given.
    #[error("there is nobody to call: {0} is missing")]
    Nobody(&'static str),
    /// The runtime of the service.
    #[error("cannot start the service: {0}")]
    Start(#[source] io::Error),
}

impl CallError {
    /// The errno of the step that failed.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            CallError::Open { source, .. }
            | CallError::Write { source, .. }
            | CallError::Dial { source, .. } => source.raw_os_error(),
            CallError::Certificate(error) => error.errno(),
            CallError::Start(source) => source.raw_os_error(),
            CallError::Call { .. } | CallError::Nobody(_) => None,
        }
    }

    /// The system call that failed with EMFILE, if that was it.
    pub(crate) fn exhausted(&self) -> Option<&'static str> {
        if self.errno() != Some(Errno::MFILE.raw_os_error()) {
            return None;
        }
        match self {
            CallError::Dial { step, .. } => Some(step),
            _ => Some("openat"),
        }
    }
}

/// Connects; no name is looked up.
///
/// # Errors
/// `EMFILE` of socket; the errors of connect.
pub(super) async fn dial(to: SocketAddr) -> Result<TcpStream, CallError> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|source| CallError::Dial { to, step: "socket", source })?;
    let stream = in_time(to, "connect", socket.connect(to)).await?;
    // As every HTTP client does: a request in two writes must not wait for the other side's delayed
    // acknowledgement (40 ms).
    stream.set_nodelay(true).map_err(|source| CallError::Dial { to, step: "connect", source })?;
    Ok(stream)
}

/// A step of a connection, within its time.
pub(super) async fn in_time<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    to: SocketAddr,
    step: &'static str,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    let failed = |source| CallError::Dial { to, step, source };
    match tokio::time::timeout(WITHIN, doing).await {
        Ok(done) => done.map_err(|error| {
            failed(error.into().downcast::<io::Error>().map_or_else(io::Error::other, |error| *error))
        }),
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

/// An answer, within its time.
pub(super) async fn answered<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    to: SocketAddr,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(WITHIN, doing).await {
        Ok(done) => done.map_err(|error| CallError::Call { to, source: error.into() }),
        Err(elapsed) => Err(CallError::Call { to, source: elapsed.into() }),
    }
}

/// Waits until the task of an unused connection has closed it: in order, or by force after a time.
pub(super) async fn closed(mut task: JoinHandle<()>) {
    if tokio::time::timeout(CLOSES_WITHIN, &mut task).await.is_err() {
        task.abort();
        let _ = task.await;
    }
}

//! Connections: certificate, socket, connect and TLS handshake, each with its own deadline and told apart
//! when it fails; and word of when a connection is really closed. Opens one descriptor a connection, and
//! another for a moment where the certificate is read.

use super::course::{Course, Stop};
use super::trust::Trust;
use crate::event::CallStep;
use crate::sys::clock;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpSocket;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A connection that is let go of is closed within this.
const CLOSING: Duration = Duration::from_secs(1);

/// Whom the calls of a workload go to.
pub struct Site {
    /// The listener.
    pub target: SocketAddr,
    /// Request path.
    pub path: String,
    /// Of a TCP connect.
    pub connect_timeout: Duration,
    /// Of a TLS handshake, and of an answer.
    pub read_timeout: Duration,
    /// `None` without TLS.
    pub trust: Option<Trust>,
    /// Connections open now.
    pub open: watch::Sender<usize>,
}

impl Site {
    /// Waits until every connection is closed; they have been let go of.
    pub async fn all_closed(&self) {
        let _ = timeout(CLOSING, self.open.subscribe().wait_for(|open| *open == 0)).await;
    }

    /// Connects to the target.
    ///
    /// # Errors
    /// The step that came to nothing, and why.
    pub async fn dial(self: &Arc<Self>, course: &Course) -> Result<(Wire, Closed), Stop> {
        let tls = self.trust.as_ref().map(Trust::config).transpose()?;
        let socket = if self.target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|e| Stop::io(CallStep::Socket, &e))?;
        let began = clock::now();
        let connected = timeout(self.connect_timeout, socket.connect(self.target)).await;
        let stream = connected
            .map_err(|_| Stop::overdue(CallStep::Connect))?
            .map_err(|e| Stop::io(CallStep::Connect, &e))?;
        course.connected(began);
        let _ = stream.set_nodelay(true); // it may be reset already, which the next step finds out
        let io: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::from(self.target.ip());
                let shaken =
                    timeout(self.read_timeout, TlsConnector::from(config).connect(name, stream)).await;
                let stream = shaken
                    .map_err(|_| Stop::overdue(CallStep::Tls))?
                    .map_err(|e| Stop::io(CallStep::Tls, &e))?;
                course.shaken();
                Box::new(stream)
            }
        };
        let (closing, closed) = oneshot::channel();
        self.open.send_modify(|open| *open += 1);
        Ok((Wire { io, site: Arc::clone(self), _closing: closing }, Closed(closed)))
    }
}

/// Both directions of a connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection. Its descriptor is closed when it is dropped, and then its [`Closed`] says so.
pub struct Wire {
    io: Box<dyn Stream>,
    site: Arc<Site>,
    /// Dropped after the connection.
    _closing: oneshot::Sender<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.io = Box::new(tokio::io::empty());
        self.site.open.send_modify(|open| *open -= 1);
    }
}

/// Tells when a connection is closed.
pub struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Whether it is open still.
    pub fn is_open(&mut self) -> bool {
        self.0.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }

    /// Waits until it is, which follows soon when its owner was dropped.
    pub async fn wait(self) {
        let _ = timeout(CLOSING, self.0).await;
    }
}

/// What a finished call leaves open.
pub struct Left {
    /// Closes the connection when it is dropped, as soon as the runtime turns.
    pub owner: Box<dyn std::any::Any + Send>,
    /// Tells when.
    pub closed: Closed,
}

impl Left {
    /// Closes it.
    pub async fn let_go(self) {
        drop(self.owner);
        self.closed.wait().await;
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

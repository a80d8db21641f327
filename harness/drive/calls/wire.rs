//! Connections: certificate, socket, connect and TLS handshake, each with its own deadline and told apart
//! when it fails; and word of when a connection is really closed. Opens one descriptor a connection, and
//! another for a moment where the certificate is read.

use super::alarms::Alarms;
use super::course::{Course, Stop};
use super::slow::Throttle;
use super::trust::Trust;
use crate::event::CallStep;
use crate::scenario::CALLS_DURATION_MAX_S;
use crate::sys::address::Address;
use crate::sys::clock;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// A connection that is let go of is closed within this.
const CLOSING: Duration = Duration::from_secs(1);
/// Reads of one connection before the others have their turn.
const READS_IN_A_ROW: u32 = 16;
/// Bytes that the kernel takes in for a client that reads slowly; it makes more of it (socket(7)).
const SLOW_BUFFER: u32 = 2048;
/// Bytes that the head of an answer may have where it is read slowly.
const HEAD: u32 = 1024;
/// A Unix socket whose accept queue is full is tried again so often: nothing tells when there is room
/// (unix(7)).
const KNOCK_EVERY: Duration = Duration::from_millis(5);

/// The server that the calls of a workload go to.
pub struct Site {
    /// The listener.
    pub target: Address,
    /// Request path.
    pub path: String,
    /// Deadline of a TCP connect.
    pub connect_timeout: Duration,
    /// Deadline of a TLS handshake, and of an answer.
    pub read_timeout: Duration,
    /// Deadline of the rest of an answer, however it comes.
    pub answer_timeout: Duration,
    /// `None` where TLS is never spoken.
    pub trust: Option<Trust>,
    /// TLS is spoken.
    pub secure: AtomicBool,
    /// Whether that is still to be found out, by the first call.
    pub first: tokio::sync::Mutex<bool>,
    /// Bytes a second that a client reads and writes, at most.
    pub rates: (Option<u32>, Option<u32>),
    /// Connections open now.
    pub open: watch::Sender<usize>,
    /// For the deadlines of answers.
    pub alarms: Alarms,
}

impl Site {
    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure.load(Relaxed)
    }

    /// How long an answer to a request of so many bytes may take. A slow client gets more time: as long as it
    /// takes to write and to read.
    pub fn patience(&self, bytes: usize) -> Duration {
        let takes = |rate: Option<u32>, bytes: f64| rate.map_or(0.0, |rate| bytes / f64::from(rate.max(1)));
        let slow = takes(self.rates.0, HEAD.into()) + takes(self.rates.1, bytes as f64);
        self.read_timeout.saturating_add(Duration::from_secs_f64(slow))
    }

    /// How long the rest of an answer may take, which has so many bytes if it says so. A slow client gets
    /// more time: as long as it takes to read.
    pub fn time_for(&self, bytes: Option<u64>) -> Duration {
        let slow = self.rates.0.zip(bytes).map_or(0.0, |(rate, bytes)| bytes as f64 / f64::from(rate.max(1)));
        self.answer_timeout.saturating_add(Duration::from_secs_f64(slow.min(CALLS_DURATION_MAX_S)))
    }

    /// Waits until every connection is closed; they have been let go of.
    pub async fn all_closed(&self) {
        let _ = timeout(CLOSING, self.open.subscribe().wait_for(|open| *open == 0)).await;
    }

    /// Connects to the target.
    ///
    /// # Errors
    /// The step that failed, and why.
    pub async fn dial(self: &Arc<Self>, course: &Course) -> Result<(Wire, Closed), Stop> {
        let tls = self.trust.as_ref().filter(|_| self.is_secure()).map(Trust::config).transpose()?;
        let stream: Box<dyn Stream> = match &self.target {
            Address::Inet(target) | Address::Udp(target) => Box::new(self.tcp(*target, course).await?),
            Address::Unix(name) => Box::new(self.unix(name, course).await?),
        };
        let io = match tls {
            None => stream,
            Some(config) => {
                let name = ServerName::try_from("localhost").expect("a name");
                let began = clock::now();
                let shaken =
                    timeout(self.read_timeout, TlsConnector::from(config).connect(name, stream)).await;
                let stream = shaken
                    .map_err(|_| Stop::overdue(CallStep::Tls))?
                    .map_err(|e| Stop::io(CallStep::Tls, &e))?;
                course.shaken(began, stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed));
                Box::new(stream)
            }
        };
        let (closing, closed) = oneshot::channel();
        self.open.send_modify(|open| *open += 1);
        let (reads, writes) = (self.rates.0.map(Throttle::new), self.rates.1.map(Throttle::new));
        Ok((
            Wire { io, reads, writes, in_a_row: 0, site: Arc::clone(self), _closing: closing },
            Closed(closed),
        ))
    }
}

impl Site {
    async fn tcp(&self, target: SocketAddr, course: &Course) -> Result<TcpStream, Stop> {
        let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|e| Stop::io(CallStep::Socket, &e))?;
        if self.rates.0.is_some() {
            // Bytes that the kernel takes in are written, as far as the server knows.
            let _ = socket.set_recv_buffer_size(SLOW_BUFFER);
        }
        let began = clock::now();
        let connected = timeout(self.connect_timeout, socket.connect(target)).await;
        let stream = connected
            .map_err(|_| Stop::overdue(CallStep::Connect))?
            .map_err(|e| Stop::io(CallStep::Connect, &e))?;
        course.connected(began);
        let _ = stream.set_nodelay(true); // it may be reset already, which the next step finds out
        Ok(stream)
    }

    async fn unix(&self, name: &SocketAddrUnix, course: &Course) -> Result<UnixStream, Stop> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let socket = socket.map_err(|e| Stop::io(CallStep::Socket, &e.into()))?;
        let began = clock::now();
        let knock = async {
            while let Err(e) = connect(&socket, name) {
                if e != rustix::io::Errno::AGAIN {
                    return Err(io::Error::from(e));
                }
                sleep(KNOCK_EVERY).await;
            }
            Ok(())
        };
        timeout(self.connect_timeout, knock)
            .await
            .map_err(|_| Stop::overdue(CallStep::Connect))?
            .map_err(|e| Stop::io(CallStep::Connect, &e))?;
        course.connected(began);
        UnixStream::from_std(socket.into()).map_err(|e| Stop::io(CallStep::Connect, &e))
    }
}

/// Both directions of a connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection. Its descriptor is closed when it is dropped, and then its [`Closed`] says so.
pub struct Wire {
    io: Box<dyn Stream>,
    reads: Option<Throttle>,
    writes: Option<Throttle>,
    /// Reads since the last that found nothing, or since the others had their turn.
    in_a_row: u32,
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

/// The things that a finished call leaves open.
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
        let wire = &mut *self;
        // Without this a server that sends without end would keep the reader busy for as long.
        if wire.in_a_row >= READS_IN_A_ROW {
            wire.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = match &mut wire.reads {
            Some(slowly) => slowly.poll_read(Pin::new(&mut *wire.io), cx, into),
            None => Pin::new(&mut wire.io).poll_read(cx, into),
        };
        wire.in_a_row = if read.is_pending() { 0 } else { wire.in_a_row + 1 };
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = &mut *self;
        match &mut wire.writes {
            Some(slowly) => slowly.poll_write(Pin::new(&mut *wire.io), cx, bytes),
            None => Pin::new(&mut wire.io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

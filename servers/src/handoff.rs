//! The bridge from acceptor threads into a tokio runtime of one thread. The runtime never accepts: it gets
//! sockets that are accepted, non-blocking and cost it one registration with its epoll instance, no
//! descriptor.

use crate::{Deliver, Door};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};

/// Connections accepted and not yet taken by the runtime, at most; an acceptor that finds it full waits.
pub(crate) const HANDED_OVER: usize = 1024;

/// An accepted connection that an acceptor hands over.
pub(crate) type Accepted = (OwnedFd, Door);

/// Builds the runtime, so that its descriptors are open, and runs `service` on a thread of its own with what
/// is accepted.
///
/// # Errors
/// `EMFILE` under a limit too low for a runtime; `EAGAIN` when no thread can be started.
pub(crate) fn start<F, S>(service: F) -> io::Result<Deliver>
where
    F: FnOnce(Receiver<Accepted>) -> S + Send + 'static,
    S: Future<Output = ()>,
{
    let hand_over = bridge(service)?;
    Ok(Arc::new(move |connection, door| hand_over((connection, door))))
}

/// As [`start`], for any item that an acceptor makes of a connection; returns the function that hands it
/// over.
///
/// # Errors
/// As above.
pub(crate) fn bridge<T, F, S>(service: F) -> io::Result<impl Fn(T) + Send + Sync + 'static>
where
    T: Send + 'static,
    F: FnOnce(Receiver<T>) -> S + Send + 'static,
    S: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, accepted) = channel(HANDED_OVER);
    std::thread::Builder::new()
        .name("service".to_owned())
        .spawn(move || runtime.block_on(service(accepted)))?;
    Ok(move |accepted| {
        sender.blocking_send(accepted).unwrap_or_else(|_| panic!("the service outlives its acceptors"))
    })
}

/// Runs `converse` as a task for each connection.
pub(crate) async fn serve_each<F, C>(mut accepted: Receiver<Accepted>, converse: F)
where
    F: Fn(TcpStream, Door) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    while let Some((connection, door)) = accepted.recv().await {
        // A connection that cannot be registered (epoll's own limit of watches) is closed.
        if let Ok(stream) = into_stream(connection) {
            tokio::spawn(converse(stream, door));
        }
    }
}

/// A tokio stream of an accepted, non-blocking socket.
///
/// # Errors
/// `ENOSPC` beyond fs.epoll.max_user_watches.
pub(crate) fn into_stream(connection: OwnedFd) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(connection.into())?;
    // An answer in two writes must not wait for the client's delayed ACK. A Unix socket, which is read and
    // written alike, has none.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

//! Calls of an HTTP API: GET, HTTP/1.1. The treatment of the connections after the answer can be chosen.

use super::dial::{CallError, answered, closed, dial, in_time};
use crate::args::{AfterCall, Args, Body, Kind};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::task::JoinHandle;

/// The treatment of an answer and of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The answer is kept with its body unread, for ever, and so is the connection: the leak.
    KeptUnread,
    /// The answer is closed with its body unread, and so is the connection.
    ClosedUnread,
    /// Read to its end, and the connection is used for the next call.
    Reused,
    /// Read to its end; the connection stays open, and no call uses it again.
    LeftOpen,
    /// Read to its end; the connection is closed, from this side.
    Closed,
}

/// The fate that options ask for.
pub(super) fn fate(args: &Args) -> Fate {
    match (args.kind, args.calls.after_call, args.calls.body) {
        (Kind::Outbound, AfterCall::LeftOpen, _) => Fate::LeftOpen,
        (Kind::Outbound, AfterCall::Closed, _) => Fate::Closed,
        (_, _, Body::Kept) => Fate::KeptUnread,
        (_, _, Body::Closed) => Fate::ClosedUnread,
        (_, _, Body::Drained) => Fate::Reused,
    }
}

/// The API, and the connections to it.
pub(super) struct Api {
    to: SocketAddr,
    fate: Fate,
    /// Not in use, and to be used again.
    idle: Mutex<Vec<Connection>>,
    /// Never to be used again; bounded by the limit on descriptors, which is what they are for.
    leaked: Mutex<Vec<(Connection, Option<Response<Incoming>>)>>,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    task: JoinHandle<()>,
}

impl Connection {
    async fn open(to: SocketAddr) -> Result<Self, CallError> {
        let stream = dial(to).await?;
        let (sender, connection) =
            in_time(to, "HTTP handshake", http1::handshake(TokioIo::new(stream))).await?;
        // Its error is the sender's too, which reports it.
        Ok(Connection { sender, task: tokio::spawn(async { drop(connection.await) }) })
    }

    async fn close(self) {
        drop(self.sender);
        closed(self.task).await;
    }
}

impl Api {
    pub(super) fn new(to: SocketAddr, fate: Fate) -> Self {
        Api { to, fate, idle: Mutex::default(), leaked: Mutex::default() }
    }

    /// One call; its status does not matter.
    ///
    /// # Errors
    /// See [`CallError`]; descriptors opened for the call are closed.
    pub(super) async fn call(&self) -> Result<(), CallError> {
        let mut connection = match self.reusable() {
            Some(connection) => connection,
            None => Connection::open(self.to).await?,
        };
        let request =
            Request::get("/").header(HOST, self.to.to_string()).body(Empty::new()).expect("a request");
        let mut response = answered(self.to, connection.sender.send_request(request)).await?;
        if matches!(self.fate, Fate::Reused | Fate::LeftOpen | Fate::Closed) {
            answered(self.to, response.body_mut().collect()).await?;
        }
        let leaked = || self.leaked.lock().expect("no caller panics");
        match self.fate {
            Fate::KeptUnread => leaked().push((connection, Some(response))),
            Fate::LeftOpen => leaked().push((connection, None)),
            Fate::Reused => self.idle.lock().expect("no caller panics").push(connection),
            Fate::Closed | Fate::ClosedUnread => {
                drop(response);
                connection.close().await;
            }
        }
        Ok(())
    }

    /// An idle connection that is still open.
    fn reusable(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("no caller panics");
        while let Some(connection) = idle.pop() {
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }
}

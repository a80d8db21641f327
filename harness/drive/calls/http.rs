//! One HTTP/1.1 connection of a caller and the requests on it. Keeps no connections: what becomes of them is the kinds' matter.

use super::course::{Course, Stop};
use super::wire::{Closed, Left, Site};
use crate::event::CallStep;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A connection, and the task that serves it; dropping it closes it, whatever is on its way.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
    /// `None` only while it is taken apart.
    closed: Option<Closed>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// The step that came to nothing.
    pub async fn open(site: &Arc<Site>, course: &Course) -> Result<Connection, Stop> {
        let (wire, closed) = site.dial(course).await?;
        let shaken = http1::handshake(TokioIo::new(wire)).await;
        let (sender, connection) = shaken.map_err(|e| Stop::found(&e, CallStep::Request))?;
        // Its error comes to the request that it belongs to.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, task, closed: Some(closed) })
    }

    /// Asks once, with a body of these bytes; the answer's body is not read.
    ///
    /// # Errors
    /// No answer came, or another than the one asked for.
    pub async fn ask(&mut self, site: &Site, upload: &Bytes) -> Result<Response<Incoming>, Stop> {
        let request = Request::builder()
            .method(if upload.is_empty() { "GET" } else { "POST" })
            .uri(&site.path)
            .header("host", site.target.to_string())
            .body(Full::new(upload.clone()));
        let request = request.map_err(|e| Stop::told(CallStep::Request, e.to_string()))?;
        let asked = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answered =
            timeout(site.read_timeout, asked).await.map_err(|_| Stop::overdue(CallStep::Answer))?;
        let response = answered.map_err(|e| {
            let step = if e.is_body_write_aborted() || e.is_canceled() {
                CallStep::Request
            } else {
                CallStep::Answer
            };
            if e.is_parse() { Stop::told(step, e.to_string()) } else { Stop::found(&e, step) }
        })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(Stop::told(CallStep::Answer, response.status().to_string()))
        }
    }

    /// Whether another request can be made on it.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// As something that a call leaves open, with what belongs to it.
    pub fn left(mut self, more: impl Send + 'static) -> Left {
        let closed = self.closed.take().expect("taken apart once");
        Left { owner: Box::new((self, more)), closed }
    }
}

/// Reads a body to its end.
///
/// # Errors
/// The connection ended before, or nothing came for too long.
pub async fn drain(site: &Site, mut body: Incoming) -> Result<(), Stop> {
    while let Some(frame) =
        timeout(site.read_timeout, body.frame()).await.map_err(|_| Stop::overdue(CallStep::Answer))?
    {
        frame.map_err(|e| Stop::found(&e, CallStep::Answer))?;
    }
    Ok(())
}

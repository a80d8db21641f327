//! One HTTP/1.1 connection of a caller and the requests on it. Keeps no connections: what becomes of them is
//! the kinds' matter.

use super::course::{Course, Stop};
use super::wire::{Closed, Left, Site};
use crate::event::CallStep;
use crate::scenario::{Calls, Request as Wanted};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex};
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

    /// Asks once; the answer's body is not read.
    ///
    /// # Errors
    /// No answer came, or another than the one asked for.
    pub async fn ask(&mut self, site: &Site, asks: &Asks) -> Result<Response<Incoming>, Stop> {
        let request = asks.request(site).map_err(|e| Stop::told(CallStep::Request, e.to_string()))?;
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
        if asks.expects(&response) {
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

/// What the calls of a workload ask.
pub struct Asks {
    upload: Bytes,
    request: Wanted,
    /// Of a conditional request: what the first answer had, under the names that ask for it.
    validators: Mutex<Vec<(HeaderName, HeaderValue)>>,
}

impl Asks {
    /// As a workload says.
    pub fn new(calls: &Calls) -> Asks {
        let upload = vec![b'x'; calls.upload_bytes as usize].into();
        Asks { upload, request: calls.request.clone(), validators: Mutex::default() }
    }

    fn method(&self) -> &str {
        let usual = if self.upload.is_empty() { "GET" } else { "POST" };
        self.request.method.as_deref().unwrap_or(usual)
    }

    fn request(&self, site: &Site) -> hyper::http::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(self.method()).uri(&site.path);
        if !self.names("host") {
            request = request.header("host", site.target.to_string());
        }
        for (name, value) in &self.request.headers {
            request = request.header(name, value);
        }
        for (name, value) in self.validators.lock().expect("no caller panics").iter() {
            request = request.header(name, value);
        }
        request.body(Full::new(self.upload.clone()))
    }

    /// Whether the workload names this header itself.
    fn names(&self, header: &str) -> bool {
        self.request.headers.keys().any(|name| name.eq_ignore_ascii_case(header))
    }

    /// The head and the body as bytes, without what conditional requests add.
    pub fn text(&self, site: &Site) -> (Vec<u8>, &Bytes) {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method(), site.path);
        if !self.names("host") {
            text.push_str(&format!("host: {}\r\n", site.target));
        }
        for (name, value) in &self.request.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.upload.is_empty() && !self.names("content-length") {
            text.push_str(&format!("content-length: {}\r\n", self.upload.len()));
        }
        text.push_str("\r\n");
        (text.into_bytes(), &self.upload)
    }

    /// Whether this is the answer asked for; keeps what a conditional request needs.
    fn expects(&self, response: &Response<Incoming>) -> bool {
        let status = response.status();
        if self.request.conditional && status.is_success() {
            let mut validators = self.validators.lock().expect("no caller panics");
            let conditions = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
            if validators.is_empty() {
                validators.extend(
                    conditions
                        .into_iter()
                        .filter_map(|(has, asks)| Some((asks, response.headers().get(has)?.clone()))),
                );
            }
        }
        match self.request.expect_status {
            Some(wanted) => status == wanted,
            None => status.is_success() || (self.request.conditional && status == StatusCode::NOT_MODIFIED),
        }
    }
}

/// Reads some of a body.
///
/// # Errors
/// As [`drain`].
pub async fn some(site: &Site, body: &mut Incoming) -> Result<(), Stop> {
    let frame = timeout(site.read_timeout, body.frame()).await;
    match frame.map_err(|_| Stop::overdue(CallStep::Answer))? {
        Some(Err(e)) => Err(Stop::found(&e, CallStep::Answer)),
        Some(Ok(_)) | None => Ok(()),
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

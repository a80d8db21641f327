//! One HTTP connection of a caller and the requests on it. Keeps no connections: the kinds of callers decide
//! about them.

use super::course::{Course, Stop};
use super::wire::{Closed, Left, Site};
use crate::event::CallStep;
use crate::scenario::{Calls, Request as Wanted, Version};
use crate::sys::clock;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Mutex as Turns;
use tokio::task::JoinHandle;

/// Longest response head that is taken, as by clients that hold. Bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// A connection, and the task that serves it; dropping it closes it, whatever is on its way.
pub struct Connection {
    sender: Sender,
    task: JoinHandle<()>,
    /// The error with which it ended, if no request has got it.
    why: Arc<Mutex<Option<Stop>>>,
    /// `None` only while it is taken apart.
    closed: Option<Closed>,
}

/// By version of HTTP.
enum Sender {
    /// One request after the other.
    Http1(Turns<http1::SendRequest<Full<Bytes>>>),
    /// Each a stream.
    Http2(http2::SendRequest<Full<Bytes>>),
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
    /// The step that failed.
    pub async fn open(site: &Arc<Site>, version: Version, course: &Course) -> Result<Connection, Stop> {
        let (wire, closed) = site.dial(course).await?;
        let (wire, failed) = (TokioIo::new(wire), |e| stopped(&e, CallStep::Request));
        let why: Arc<Mutex<Option<Stop>>> = Arc::default();
        let (sender, task) = match version {
            Version::Http1 => {
                let shaken = http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(wire).await;
                let (sender, connection) = shaken.map_err(failed)?;
                // Its error goes to the request that it belongs to.
                let task = tokio::spawn(async move { drop(connection.await) });
                (Sender::Http1(Turns::new(sender)), task)
            }
            Version::Http2 => {
                let shaken = http2::handshake(TokioExecutor::new(), wire).await;
                let (sender, connection) = shaken.map_err(failed)?;
                let told = Arc::clone(&why);
                let task = tokio::spawn(async move {
                    if let Err(e) = connection.await {
                        *told.lock().expect("no caller panics") = Some(stopped(&e, CallStep::Answer));
                    }
                });
                (Sender::Http2(sender), task)
            }
        };
        Ok(Connection { sender, task, why, closed: Some(closed) })
    }

    /// Asks once, as part of this call; the answer's body is not read.
    ///
    /// # Errors
    /// No answer came, or another than the one asked for.
    pub async fn ask(&self, site: &Site, asks: &Asks, course: &Course) -> Result<Response<Incoming>, Stop> {
        let request = asks.request(site).map_err(|e| Stop::told(CallStep::Request, e.to_string()))?;
        let asked = async {
            let sent;
            let answer = match &self.sender {
                Sender::Http1(turns) => {
                    let mut sender = turns.lock().await;
                    sender.ready().await?;
                    sent = clock::now();
                    sender.send_request(request).await
                }
                Sender::Http2(shared) => {
                    let mut sender = shared.clone();
                    sender.ready().await?;
                    sent = clock::now();
                    sender.send_request(request).await
                }
            };
            course.headed(sent);
            answer
        };
        let answered = site
            .alarms
            .within(asks.patience(site), asked)
            .await
            .ok_or_else(|| Stop::overdue(CallStep::Answer))?;
        let response = answered.map_err(|e| {
            let unsent = e.is_body_write_aborted() || e.is_canceled();
            let why = self.why.lock().expect("no caller panics").clone().filter(|_| unsent);
            why.unwrap_or_else(|| stopped(&e, if unsent { CallStep::Request } else { CallStep::Answer }))
        })?;
        if asks.expects(&response) {
            Ok(response)
        } else {
            Err(Stop::told(CallStep::Answer, response.status().to_string()))
        }
    }

    /// Whether another request can be made on it.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            // While a request is under way it is.
            Sender::Http1(turns) => turns.try_lock().map_or(true, |sender| !sender.is_closed()),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Whether the unread rest of an answer belongs to a stream, and not to the connection.
    pub fn has_streams(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// The connection as a thing that a call leaves open, with everything that belongs to it.
    pub fn left(mut self, more: impl Send + 'static) -> Left {
        let closed = self.closed.take().expect("taken apart once");
        Left { owner: Box::new((self, more)), closed }
    }
}

/// The requests of a workload's calls.
pub struct Asks {
    upload: Bytes,
    request: Wanted,
    /// For a conditional request: the validators of the first answer, under the names that ask for them.
    validators: Mutex<Vec<(HeaderName, HeaderValue)>>,
    /// What all requests have, over TLS or not.
    common: Mutex<Option<(bool, Request<Full<Bytes>>)>>,
}

impl Asks {
    /// As a workload says.
    pub fn new(calls: &Calls) -> Asks {
        let upload = vec![b'x'; calls.upload_bytes as usize].into();
        Asks {
            upload,
            request: calls.request.clone(),
            validators: Mutex::default(),
            common: Mutex::default(),
        }
    }

    fn method(&self) -> &str {
        let usual = if self.upload.is_empty() { "GET" } else { "POST" };
        self.request.method.as_deref().unwrap_or(usual)
    }

    /// Host and path, as HTTP/2 has them.
    fn uri(&self, site: &Site) -> String {
        let scheme = if site.is_secure() { "https" } else { "http" };
        let host = self.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.map_or_else(|| site.target.host(), |(_, host)| host.clone());
        format!("{scheme}://{host}{}", site.path)
    }

    /// The next request: what all of them have is written once, or once more when TLS is found to be spoken.
    fn request(&self, site: &Site) -> hyper::http::Result<Request<Full<Bytes>>> {
        let mut common = self.common.lock().expect("no caller panics");
        let secure = site.is_secure();
        let written = common.as_ref().filter(|(of, _)| *of == secure).map(|(_, request)| request.clone());
        let mut request = match written {
            Some(request) => request,
            None => common.insert((secure, self.written(site)?)).1.clone(),
        };
        for (name, value) in self.validators.lock().expect("no caller panics").iter() {
            request.headers_mut().append(name, value.clone());
        }
        Ok(request)
    }

    fn written(&self, site: &Site) -> hyper::http::Result<Request<Full<Bytes>>> {
        let streams = self.request.on.version == Version::Http2;
        let uri = if streams { self.uri(site) } else { site.path.clone() };
        let mut request = Request::builder().method(self.method()).uri(uri);
        if !streams && !self.names("host") {
            request = request.header("host", site.target.host());
        }
        let further = |(name, _): &(&String, _)| !(streams && name.eq_ignore_ascii_case("host"));
        for (name, value) in self.request.headers.iter().filter(further) {
            request = request.header(name, value);
        }
        request.body(Full::new(self.upload.clone()))
    }

    /// How long an answer may take.
    pub fn patience(&self, site: &Site) -> Duration {
        if site.rates == (None, None) {
            return site.read_timeout;
        }
        let (head, body) = self.text(site);
        site.patience(head.len() + body.len())
    }

    /// Whether the workload names this header itself.
    fn names(&self, header: &str) -> bool {
        self.request.headers.keys().any(|name| name.eq_ignore_ascii_case(header))
    }

    /// The head and the body as bytes, without what conditional requests add.
    pub fn text(&self, site: &Site) -> (Vec<u8>, &Bytes) {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method(), site.path);
        if !self.names("host") {
            text.push_str(&format!("host: {}\r\n", site.target.host()));
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

/// Why hyper failed at a step.
fn stopped(error: &hyper::Error, step: CallStep) -> Stop {
    let of_http2 = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    match of_http2 {
        _ if error.is_parse() => Stop::told(step, error.to_string()),
        // The server ends this stream alone, or what came is no HTTP/2.
        Some(e) if e.is_reset() || e.is_library() => Stop::told(step, e.to_string()),
        Some(e) if e.is_go_away() && e.is_remote() => Stop::closed(step, e.to_string()),
        _ => Stop::found(error, step),
    }
}

/// Reads some of a body.
///
/// # Errors
/// As [`drain`].
pub async fn some(site: &Site, body: &mut Incoming) -> Result<(), Stop> {
    let frame = site.alarms.within(site.read_timeout, body.frame()).await;
    match frame.ok_or_else(|| Stop::overdue(CallStep::Answer))? {
        Some(Err(e)) => Err(Stop::found(&e, CallStep::Answer)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Reads a body to its end.
///
/// # Errors
/// The connection ended before, nothing came for too long, or it went on for too long.
pub async fn drain(site: &Site, mut body: Incoming) -> Result<(), Stop> {
    let overdue = || Stop::overdue(CallStep::Body);
    let within = site.time_for(body.size_hint().exact());
    let read = async {
        while let Some(frame) =
            site.alarms.within(site.read_timeout, body.frame()).await.ok_or_else(overdue)?
        {
            frame.map_err(|e| Stop::found(&e, CallStep::Body))?;
        }
        Ok(())
    };
    site.alarms.within(within, read).await.ok_or_else(overdue)?
}

//! HTTP/1.1 over hyper: every request is answered with 200 and a small body, and the connection is kept. No time limit
//! ends an idle connection.

use crate::tls::Doorkeeper;
use crate::{Deliver, Door, handoff};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use tokio::net::TcpStream;

/// Opens the runtime and starts its thread.
pub(crate) fn start(doorkeeper: Doorkeeper) -> io::Result<Deliver> {
    handoff::start(|accepted| handoff::serve_each(accepted, move |stream, door| converse(doorkeeper.clone(), stream, door)))
}

async fn converse(doorkeeper: Doorkeeper, stream: TcpStream, door: Door) {
    // An error is the client's: it broke the protocol or left in mid-request. Its connection is closed either way.
    if let Ok(stream) = doorkeeper.admit(stream, door).await {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    }
}

async fn answer<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"held\n")));
    response.headers_mut().insert(CONTENT_TYPE, const { hyper::header::HeaderValue::from_static("text/plain") });
    Ok(response)
}

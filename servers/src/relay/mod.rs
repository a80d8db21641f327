//! Services that call others for each request, over the same accept loop as the rest: `relay` and `outbound`.
//!
//! `relay` is the service of a leak that took two fixes to be found. `POST /upload` writes the body to a
//! file, closes the file and calls an HTTP API. It may forget to read the API's answer. Any other path calls
//! a gRPC backend over TLS, by a channel of its own or by one that all calls share. `outbound` makes one HTTP
//! call by a new connection for any request. A failure is answered with 503 and logged, with the step that
//! failed. Before the service listens, it opens all but the descriptors of the calls themselves.

mod api;
mod backend;
mod dial;

pub(crate) use dial::CallError;

use crate::args::{Args, Kind};
use crate::lines::complain;
use crate::tally::Tally;
use crate::{Deliver, handoff};
use api::Api;
use backend::Backend;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::net::TcpStream;

struct Relay {
    kind: Kind,
    api: Option<Api>,
    backend: Option<Backend>,
    folder: PathBuf,
    uploads: AtomicU64,
    tally: Arc<Tally>,
}

/// Opens the runtime and the parts that all calls share, and starts the runtime's thread.
///
/// # Errors
/// The certificate cannot be used; `EMFILE` under a limit too low to start.
pub(crate) fn start(args: &Args, tally: &Arc<Tally>) -> Result<Deliver, CallError> {
    let relay = Arc::new(Relay {
        kind: args.kind,
        api: args.calls.api.map(|to| Api::new(to, api::fate(args))),
        backend: args.calls.backend.map(|to| Backend::new(to, &args.calls, tally)).transpose()?,
        folder: args.calls.folder.clone().unwrap_or_else(std::env::temp_dir),
        uploads: AtomicU64::new(0),
        tally: tally.clone(),
    });
    let (at_rest, rests) = std::sync::mpsc::channel();
    let deliver = handoff::start(|accepted| async move {
        if let Some(backend) = &relay.backend {
            // A backend that is not there yet is called again by the first request.
            backend.open_shared().await.unwrap_or_else(|error| complain(format_args!("{error}")));
        }
        at_rest.send(()).expect("it is waited for");
        handoff::serve_each(accepted, move |stream, _| converse(relay.clone(), stream)).await;
    });
    let deliver = deliver.map_err(CallError::Start)?;
    rests.recv().expect("the service starts");
    Ok(deliver)
}

async fn converse(relay: Arc<Relay>, stream: TcpStream) {
    let answer = service_fn(|request| answer(relay.clone(), request));
    // An error is the client's: it broke the protocol or left in mid-request. Its connection is closed either
    // way.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    relay.tally.count_closed(1);
}

async fn answer(relay: Arc<Relay>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let done = match (relay.kind, path.as_str()) {
        (Kind::Outbound, _) => drain(request.into_body(), relay.call_api()).await,
        (_, "/upload") => relay.upload(request.into_body()).await,
        _ => drain(request.into_body(), relay.call_backend()).await,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"done\n")));
    match done {
        Ok(()) => relay.tally.count_done(),
        Err(error) => {
            relay.tally.count_failed(error.exhausted());
            complain(format_args!("{path}: {error}"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            *response.body_mut() = Full::new(format!("{error}\n").into());
        }
    }
    Ok(response)
}

/// Does it once the request has been read to its end, so that its connection is free for the next request in
/// any case.
async fn drain(
    mut body: Incoming,
    then: impl Future<Output = Result<(), CallError>>,
) -> Result<(), CallError> {
    while let Some(Ok(_)) = body.frame().await {}
    then.await
}

impl Relay {
    async fn call_api(&self) -> Result<(), CallError> {
        self.api.as_ref().ok_or(CallError::Nobody("--api"))?.call().await
    }

    async fn call_backend(&self) -> Result<(), CallError> {
        self.backend.as_ref().ok_or(CallError::Nobody("--backend"))?.call().await
    }

    /// Writes the body to a file, closes and removes it, and calls the API.
    async fn upload(&self, mut body: Incoming) -> Result<(), CallError> {
        let name = format!("lastfd-upload-{}-{}", std::process::id(), self.uploads.fetch_add(1, Relaxed));
        let path = self.folder.join(name);
        let opened = std::fs::File::create(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(source) => return drain(body, async { Err(CallError::Open { path, source }) }).await,
        };
        let mut written = Ok(());
        while let Some(frame) = body.frame().await {
            // A client that leaves in mid-upload is not answered: its partial file is removed.
            let Some(bytes) = frame.ok().and_then(|frame| frame.into_data().ok()) else { break };
            written = written.and_then(|()| file.write_all(&bytes));
        }
        drop(file);
        let removed = std::fs::remove_file(&path);
        written.and(removed).map_err(|source: io::Error| CallError::Write { path, source })?;
        self.call_api().await
    }
}

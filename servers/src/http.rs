//! HTTP/1.1 over hyper: every request is answered with 200 and a small body, and the connection is kept. No
//! time limit ends an idle connection. A request may need a descriptor of its own for a moment, as a static
//! file or a connection to a database does (`--opens`). All of it may stall once (`--stall-ms`).

use crate::args::{Args, Opens};
use crate::lines::complain;
use crate::tally::Tally;
use crate::tls::Doorkeeper;
use crate::{Deliver, Door, handoff};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// A time in which nobody is answered: it begins with one request, and is over for good.
#[derive(Debug)]
pub(crate) struct Stall {
    lasts: Duration,
    /// Requests to come until it begins.
    requests: AtomicU64,
}

impl Stall {
    /// As asked for.
    pub(crate) fn of(args: &Args) -> Option<Stall> {
        let lasts = Duration::from_millis(args.stall_ms?);
        Some(Stall { lasts, requests: AtomicU64::new(args.stall_at) })
    }

    /// A request came: all of the service waits where it is the one.
    fn met(&self) {
        // Of later requests it wraps around, and never comes to 1 again.
        if self.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::thread::sleep(self.lasts);
        }
    }
}

/// Opens the runtime and starts its thread.
pub(crate) fn start(
    doorkeeper: Doorkeeper,
    opens: Option<Opens>,
    stall: Option<Stall>,
    tally: &Arc<Tally>,
) -> io::Result<Deliver> {
    let (stall, tally) = (Arc::new(stall), tally.clone());
    handoff::start(move |accepted| {
        handoff::serve_each(accepted, move |stream, door| {
            converse(doorkeeper.clone(), opens, stall.clone(), tally.clone(), stream, door)
        })
    })
}

async fn converse(
    doorkeeper: Doorkeeper,
    opens: Option<Opens>,
    stall: Arc<Option<Stall>>,
    tally: Arc<Tally>,
    stream: TcpStream,
    door: Door,
) {
    // An error is the client's: it broke the protocol or left in mid-request; or it is a file's. Its
    // connection is closed either way.
    if let Ok(stream) = doorkeeper.admit(stream, door).await {
        let seat = stream.seat.clone();
        let service = service_fn(|_: Request<_>| async {
            if let Some(seat) = &seat {
                seat.called().await;
            }
            if let Some(stall) = &*stall {
                stall.met();
            }
            answer(opens, &tally)
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
    tally.count_closed(1);
}

fn answer(opens: Option<Opens>, tally: &Tally) -> io::Result<Response<Full<Bytes>>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"held\n")));
    if let Some(opens) = opens
        && let Err(error) = File::open("/dev/null")
    {
        complain(format_args!("open /dev/null: {error}"));
        match opens {
            Opens::Or500 => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            Opens::OrClose => return Err(error),
            Opens::OrExit => tally.end(1),
        }
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, const { hyper::header::HeaderValue::from_static("text/plain") });
    Ok(response)
}

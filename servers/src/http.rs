//! HTTP/1.1 and HTTP/2 over hyper: every request is answered with 200 and a small body, and the connection is
//! kept. No time limit ends an idle connection. A request may need a descriptor of its own for a moment, as a
//! static file or a connection to a database does (`--opens`), or for longer (`--opens-ms`). All of it may
//! stall once (`--stall-ms`).

use crate::args::{Args, Opens};
use crate::lines::complain;
use crate::tally::Tally;
use crate::tls::Doorkeeper;
use crate::{Deliver, Door, handoff};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// The answer to each request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    opens: Option<Opening>,
    computes: Duration,
    body: Bytes,
}

impl Answer {
    /// As asked for.
    pub(crate) fn of(args: &Args) -> Answer {
        let body = b"held\n".iter().cycle().take(args.answer_bytes as usize);
        let computes = Duration::from_micros(args.delay_us.into());
        Answer { opens: Opening::of(args), computes, body: body.copied().collect() }
    }
}

/// The file that each request opens.
#[derive(Debug, Clone, Copy)]
struct Opening {
    or: Opens,
    stays: Duration,
}

impl Opening {
    /// As asked for.
    fn of(args: &Args) -> Option<Opening> {
        Some(Opening { or: args.opens?, stays: Duration::from_millis(args.opens_ms.unwrap_or(0)) })
    }
}

/// A time in which no client is answered: it begins with one request, and is over for good.
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
        // Later requests wrap it around; it does not reach 1 again.
        if self.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::thread::sleep(self.lasts);
        }
    }
}

/// Opens the runtime and starts its thread.
pub(crate) fn start(
    doorkeeper: Doorkeeper,
    gets: Answer,
    stall: Option<Stall>,
    tally: &Arc<Tally>,
) -> io::Result<Deliver> {
    let (stall, tally) = (Arc::new(stall), tally.clone());
    handoff::start(move |accepted| {
        handoff::serve_each(accepted, move |stream, door| {
            converse(doorkeeper.clone(), gets.clone(), stall.clone(), tally.clone(), stream, door)
        })
    })
}

async fn converse(
    doorkeeper: Doorkeeper,
    gets: Answer,
    stall: Arc<Option<Stall>>,
    tally: Arc<Tally>,
    stream: TcpStream,
    door: Door,
) {
    // An error is the client's: it broke the protocol or left in mid-request; or it is a file's. Its
    // connection is closed either way.
    if let Ok(stream) = doorkeeper.admit(stream, door).await {
        let seat = stream.seat.clone();
        let of_service = tally.clone();
        let service = service_fn(move |_: Request<_>| {
            let (seat, stall, tally) = (seat.clone(), stall.clone(), of_service.clone());
            let gets = gets.clone();
            async move {
                if let Some(seat) = &seat {
                    seat.called().await;
                }
                if let Some(stall) = &*stall {
                    stall.met();
                }
                answer(gets, &tally).await
            }
        });
        let mut either = auto::Builder::new(TokioExecutor::new());
        // The limit of its streams is the thing to find, so none is set.
        either.http2().max_concurrent_streams(None);
        let _ = either.serve_connection(TokioIo::new(stream), service).await;
    }
    tally.count_closed(1);
}

async fn answer(gets: Answer, tally: &Tally) -> io::Result<Response<Full<Bytes>>> {
    let began = Instant::now();
    while began.elapsed() < gets.computes {
        std::hint::spin_loop();
    }
    let mut response = Response::new(Full::new(gets.body));
    if let Some(Opening { or, stays }) = gets.opens {
        match (File::open("/dev/null"), or) {
            (Ok(_open), _) if !stays.is_zero() => tokio::time::sleep(stays).await,
            (Ok(_), _) => {}
            (Err(error), or) => {
                complain(format_args!("open /dev/null: {error}"));
                match or {
                    Opens::Or500 => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
                    Opens::OrClose => return Err(error),
                    Opens::OrExit => tally.end(1),
                }
            }
        }
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, const { hyper::header::HeaderValue::from_static("text/plain") });
    Ok(response)
}

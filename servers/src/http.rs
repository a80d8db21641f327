//! HTTP/1.1 over hyper: every request is answered with 200 and a small body, and the connection is kept. No time limit
//! ends an idle connection. A request may need a descriptor of its own for a moment, as a static file or a connection to a
//! database does (`--opens`).

use crate::args::Opens;
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
use tokio::net::TcpStream;

/// Opens the runtime and starts its thread.
pub(crate) fn start(doorkeeper: Doorkeeper, opens: Option<Opens>, tally: &Arc<Tally>) -> io::Result<Deliver> {
    let tally = tally.clone();
    handoff::start(move |accepted| {
        handoff::serve_each(accepted, move |stream, door| {
            converse(doorkeeper.clone(), opens, tally.clone(), stream, door)
        })
    })
}

async fn converse(
    doorkeeper: Doorkeeper,
    opens: Option<Opens>,
    tally: Arc<Tally>,
    stream: TcpStream,
    door: Door,
) {
    // An error is the client's: it broke the protocol or left in mid-request; or it is a file's. Its connection is closed either way.
    if let Ok(stream) = doorkeeper.admit(stream, door).await {
        let seat = stream.seat.clone();
        let service = service_fn(|_: Request<_>| async {
            if let Some(seat) = &seat {
                seat.called().await;
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

//! hyper, with an accept loop as in its examples: the first failed accept ends the server.

use hyper::server::conn::http1;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use lastfd::{Policy, ServerTest};
use std::convert::Infallible;

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

/// Serves until an accept fails.
async fn serve() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)));
    }
}

#[test]
fn a_failed_accept_ends_a_server_that_returns_its_error() {
    ServerTest::closure(|| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(serve()).expect("accept");
    })
    .nofile(64)
    .ceiling("soft - baseline")
    .policy(Policy::Exits)
    .run();
}

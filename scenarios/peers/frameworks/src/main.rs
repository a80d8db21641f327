//! A hello server on each of several frameworks: `frameworks NAME --port N`. What they do at their descriptor
//! limit is each framework's own; only of hyper, which has no accept loop, do the loops stand here: the one
//! of its examples and the two that people make of it.

use actix_web::{App, HttpServer, web};
use axum::routing::get;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tonic::service::Routes;
use tonic::transport::Server;
use warp::Filter;

type Error = Box<dyn std::error::Error + Send + Sync>;

const HELLO: &str = "hello\n";
const USAGE: &str =
    "usage: frameworks axum|warp|actix-web|tonic|hyper|hyper-spawned|hyper-continues --port N";

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, option, port] = words.as_slice() else { return Err(USAGE.into()) };
    if option != "--port" {
        return Err(USAGE.into());
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    if name == "actix-web" {
        return Ok(actix_web::rt::System::new().block_on(actix_web(address))?);
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        match name.as_str() {
            "axum" => axum(address).await,
            "warp" => warp(address).await,
            "tonic" => tonic(address).await,
            "hyper" => hyper(address).await,
            "hyper-spawned" => hyper_spawned(address).await,
            "hyper-continues" => hyper_continues(address).await,
            _ => Err(USAGE.into()),
        }
    })
}

async fn axum(address: SocketAddr) -> Result<(), Error> {
    let app = axum::Router::new().route("/", get(|| async { HELLO }));
    Ok(axum::serve(TcpListener::bind(address).await?, app).await?)
}

async fn warp(address: SocketAddr) -> Result<(), Error> {
    warp::serve(warp::any().map(|| HELLO)).run(address).await;
    Ok(())
}

/// With one worker: by default they are as many as processors, and so would be the descriptors at rest.
async fn actix_web(address: SocketAddr) -> std::io::Result<()> {
    HttpServer::new(|| App::new().default_service(web::to(|| async { HELLO })))
        .workers(1)
        .bind(address)?
        .run()
        .await
}

/// Without a service every call is refused; connections are accepted and HTTP/2 is spoken as with one.
async fn tonic(address: SocketAddr) -> Result<(), Error> {
    Ok(Server::builder().add_routes(Routes::default()).serve(address).await?)
}

/// The accept loop of hyper's examples: the first error ends it, and with it the program.
async fn hyper(address: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream));
    }
}

/// The same in a task whose result nobody looks at: the first error ends the task, and nothing else.
async fn hyper_spawned(address: SocketAddr) -> Result<(), Error> {
    tokio::spawn(hyper(address));
    pending().await
}

/// The same, and an error is passed over.
async fn hyper_continues(address: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(answer(stream));
    }
}

async fn answer(stream: TcpStream) {
    let hello = service_fn(|_| async { Ok::<_, Infallible>(hyper::Response::new(HELLO.to_owned())) });
    // A connection that ends with an error ends that connection only.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), hello).await;
}

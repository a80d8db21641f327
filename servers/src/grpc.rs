//! gRPC over tonic: one small unary call, `lastfd.echo.v1.Echo/Say`; any other is answered with an empty
//! message, which is one of every type (protobuf): so that a caller of another service is answered, too.
//! Tonic's own accept loop is not used: it gets accepted connections as a stream, each after its TLS
//! handshake, if there is one.

use crate::tls::Doorkeeper;
use crate::witness::Seat;
use crate::{Deliver, handoff};
use echo::echo_server::{Echo, EchoServer};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::channel;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Extensions, Request, Response, Status};

/// Generated from `proto/echo.proto`: the service and its client.
#[allow(missing_docs, clippy::all)]
pub mod echo {
    tonic::include_proto!("lastfd.echo.v1");
}

/// Echoes each request.
struct Mirror;

#[tonic::async_trait]
impl Echo for Mirror {
    async fn say(&self, request: Request<echo::Message>) -> Result<Response<echo::Message>, Status> {
        called(seat(request.extensions())).await;
        Ok(Response::new(request.into_inner()))
    }
}

/// Where the calls of a connection are counted.
fn seat(extensions: &Extensions) -> Option<Arc<Seat>> {
    extensions.get::<Option<Arc<Seat>>>().cloned().flatten()
}

/// Counts a call; returns when it is to be answered.
async fn called(seat: Option<Arc<Seat>>) {
    if let Some(seat) = seat {
        seat.called().await;
    }
}

/// Opens the runtime and starts its thread.
pub(crate) fn start(doorkeeper: Doorkeeper) -> io::Result<Deliver> {
    handoff::start(|accepted| async {
        let (sender, admitted) = channel(handoff::HANDED_OVER);
        let admission = handoff::serve_each(accepted, move |stream, door| {
            let (doorkeeper, sender) = (doorkeeper.clone(), sender.clone());
            async move {
                // An error is the client's: it left in mid-handshake, or speaks no TLS.
                if let Ok(stream) = doorkeeper.admit(stream, door).await {
                    let _ = sender.send(stream).await;
                }
            }
        });
        let incoming = ReceiverStream::new(admitted).map(Ok::<_, io::Error>);
        let mut routes = Routes::new(EchoServer::new(Mirror));
        let known = std::mem::take(routes.axum_router_mut());
        *routes.axum_router_mut() = known.fallback_service(Empty);
        let serving = Server::builder().add_routes(routes).serve_with_incoming(incoming);
        let ((), served) = tokio::join!(admission, serving);
        served.expect("a stream of accepted connections does not fail");
    })
}

/// Reads a call to its end and answers with a message of no field.
#[derive(Clone)]
struct Empty;

impl<B> tower_service::Service<hyper::Request<B>> for Empty
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = hyper::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: hyper::Request<B>) -> Self::Future {
        let seat = seat(request.extensions());
        Box::pin(async move {
            called(seat).await;
            // A client that leaves in mid-call is not there to be answered.
            let _ = request.into_body().collect().await;
            // Not compressed, no bytes (gRPC over HTTP/2, "Length-Prefixed-Message").
            let message = Frame::data(Bytes::from_static(&[0; 5]));
            let status =
                HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]);
            let frames = [message, Frame::trailers(status)].map(Ok::<_, Infallible>);
            let mut response = hyper::Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok(response)
        })
    }
}

//! gRPC over tonic: one small unary call, `lastfd.echo.v1.Echo/Say`. Tonic's own accept loop is not used: it gets accepted
//! connections as a stream, each after its TLS handshake, if there is one.

use crate::tls::Doorkeeper;
use crate::{Deliver, handoff};
use echo::echo_server::{Echo, EchoServer};
use std::io;
use tokio::sync::mpsc::channel;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Generated from `proto/echo.proto`: the service and its client.
#[allow(missing_docs, clippy::all)]
pub mod echo {
    tonic::include_proto!("lastfd.echo.v1");
}

/// Says back what it is told.
struct Mirror;

#[tonic::async_trait]
impl Echo for Mirror {
    async fn say(&self, request: Request<echo::Message>) -> Result<Response<echo::Message>, Status> {
        Ok(Response::new(request.into_inner()))
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
        let serving = Server::builder().add_service(EchoServer::new(Mirror)).serve_with_incoming(incoming);
        let ((), served) = tokio::join!(admission, serving);
        served.expect("a stream of accepted connections does not fail");
    })
}

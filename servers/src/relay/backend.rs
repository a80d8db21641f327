//! Calls of a gRPC backend, `lastfd.echo.v1.Echo/Say`, over TLS: by a channel for each call, or by one for
//! all. A channel is one HTTP/2 connection, made by hyper and used by tonic; tonic's own would close after
//! the call has been answered.

use super::dial::{CallError, answered, closed, dial, in_time};
use crate::args::{AfterCall, CallArgs, CertificateRead, Channels};
use crate::grpc::echo::{Message, echo_client::EchoClient};
use crate::tally::Tally;
use crate::tls;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::body::Body;

/// The backend, and the channels to it.
pub(super) struct Backend {
    to: SocketAddr,
    origin: Uri,
    ca: PathBuf,
    /// Read once; `None`: for each channel anew.
    trust: Option<Arc<ClientConfig>>,
    channels: Channels,
    after_call: AfterCall,
    /// The one that all calls share; made again once it has closed.
    shared: tokio::sync::Mutex<Option<Channel>>,
    /// Never to be used again; bounded by the limit on descriptors, which is what they are for.
    leaked: Mutex<Vec<Channel>>,
    tally: Arc<Tally>,
}

struct Channel {
    sender: Sender,
    task: JoinHandle<()>,
}

/// Sends requests on a channel, for tonic's generated client.
#[derive(Clone)]
struct Sender(SendRequest<Body>);

impl tower_service::Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Backend {
    /// Reads the certificate once, even if it is read for each call too: one that cannot be used is no use
    /// starting with.
    ///
    /// # Errors
    /// The certificate cannot be read or used.
    pub(super) fn new(to: SocketAddr, args: &CallArgs, tally: &Arc<Tally>) -> Result<Self, CallError> {
        let ca = args.ca.clone().ok_or(CallError::Nobody("--ca"))?;
        let trust = Arc::new(tls::client(&ca, tls::HTTP_2)?);
        Ok(Backend {
            to,
            origin: Uri::try_from(format!("https://{to}")).expect("an address is an authority"),
            ca,
            trust: (args.certificate_read == CertificateRead::Cached).then_some(trust),
            channels: args.channel,
            after_call: args.after_call,
            shared: tokio::sync::Mutex::new(None),
            leaked: Mutex::default(),
            tally: tally.clone(),
        })
    }

    /// Opens the channel that calls share, if they do.
    ///
    /// # Errors
    /// See [`Backend::call`].
    pub(super) async fn open_shared(&self) -> Result<(), CallError> {
        if self.channels == Channels::Shared { self.sender().await.map(drop) } else { Ok(()) }
    }

    /// One call.
    ///
    /// # Errors
    /// See [`CallError`]; a channel made for it is closed.
    pub(super) async fn call(&self) -> Result<(), CallError> {
        if self.channels == Channels::Shared {
            return self.say(self.sender().await?).await;
        }
        let channel = self.open().await?;
        let said = self.say(channel.sender.clone()).await;
        match self.after_call {
            AfterCall::LeftOpen if said.is_ok() => {
                self.leaked.lock().expect("no caller panics").push(channel)
            }
            _ => {
                drop(channel.sender);
                closed(channel.task).await;
            }
        }
        said
    }

    /// The channel that calls share; the first call that finds it closed makes another, and the rest wait for
    /// that.
    async fn sender(&self) -> Result<Sender, CallError> {
        let mut shared = self.shared.lock().await;
        match shared.as_ref().filter(|channel| !channel.sender.0.is_closed()) {
            Some(channel) => Ok(channel.sender.clone()),
            None => Ok(shared.insert(self.open().await?).sender.clone()),
        }
    }

    /// Reads the certificate if that is not known, connects, and shakes hands.
    async fn open(&self) -> Result<Channel, CallError> {
        let trust = match &self.trust {
            Some(trust) => trust.clone(),
            None => Arc::new(tls::client(&self.ca, tls::HTTP_2)?),
        };
        let stream = dial(self.to).await?;
        let shaking = TlsConnector::from(trust).connect(ServerName::from(self.to.ip()), stream);
        let stream = in_time(self.to, "TLS handshake", shaking).await?;
        self.tally.count_handshake(false);
        let opening = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = in_time(self.to, "HTTP handshake", opening).await?;
        // Its error is the sender's too, which reports it.
        Ok(Channel { sender: Sender(sender), task: tokio::spawn(async { drop(connection.await) }) })
    }

    async fn say(&self, sender: Sender) -> Result<(), CallError> {
        let mut client = EchoClient::with_origin(sender, self.origin.clone());
        answered(self.to, client.say(Message { text: "called".to_owned() })).await.map(drop)
    }
}

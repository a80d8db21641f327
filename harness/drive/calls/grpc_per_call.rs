//! `grpc-per-call`: unary gRPC calls over TLS, with a channel for each or one for all. `lastfd serve grpc`
//! offers the service.

use super::course::{Course, Stop};
use super::wire::{Closed, Left, Site, Wire};
use super::{Call, Calling, Registered};
use crate::event::CallStep;
use crate::scenario::{AfterCall, Caller, Channel as Channels};
use hyper::Uri;
use hyper_util::rt::TokioIo;
use lastfd_servers::grpc::echo::{Message, echo_client::EchoClient};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// This kind.
pub const REGISTERED: Registered = Registered {
    kind: Caller::GrpcPerCall,
    name: "grpc-per-call",
    doc: "gRPC calls over TLS, with a channel for each call or one for all",
    protocols: &[b"h2"],
    make: |site, calls| {
        let text = "x".repeat(calls.upload_bytes as usize);
        Arc::new(GrpcPerCall {
            site,
            text,
            channel: calls.channel,
            after_call: calls.after_call,
            shared: Default::default(),
        })
    },
};

struct GrpcPerCall {
    site: Arc<Site>,
    /// The text that is sent.
    text: String,
    channel: Channels,
    after_call: AfterCall,
    shared: tokio::sync::Mutex<Option<Shared>>,
}

/// The one channel of all calls.
#[derive(Clone)]
struct Shared {
    channel: Channel,
    dialled: Dialled,
}

/// The course of a channel's connector, and the connection that it made last.
#[derive(Clone, Default)]
struct Dialled {
    course: Course,
    closed: Arc<Mutex<Option<Closed>>>,
}

impl Dialled {
    fn closed(&self) -> Option<Closed> {
        self.closed.lock().expect("no panic while connecting").take()
    }
}

/// Connects a channel.
struct Connector {
    site: Arc<Site>,
    dialled: Dialled,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = Stop;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, Stop>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (site, dialled) = (Arc::clone(&self.site), self.dialled.clone());
        Box::pin(async move {
            let (wire, closed) = site.dial(&dialled.course).await?;
            *dialled.closed.lock().expect("no panic while connecting") = Some(closed);
            Ok(TokioIo::new(wire))
        })
    }
}

impl GrpcPerCall {
    async fn connect(&self, dialled: &Dialled) -> Result<Channel, Stop> {
        let scheme = if self.site.is_secure() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.site.target.host()));
        let endpoint = endpoint.map_err(|e| Stop::told(CallStep::Request, e.to_string()))?;
        let connector = Connector { site: Arc::clone(&self.site), dialled: dialled.clone() };
        endpoint.connect_with_connector(connector).await.map_err(|e| Stop::found(&e, CallStep::Request))
    }

    async fn say(&self, channel: Channel) -> Result<(), Stop> {
        let mut client = EchoClient::new(channel);
        let say = client.say(Message { text: self.text.clone() });
        let said = self.site.alarms.within(self.site.read_timeout, say).await;
        said.ok_or_else(|| Stop::overdue(CallStep::Answer))?.map(drop).map_err(|status| stopped(&status))
    }

    async fn on_a_channel_of_its_own(&self, course: &Course) -> Result<Option<Left>, Stop> {
        let dialled = Dialled::default();
        let connected = self.connect(&dialled).await;
        course.adopt(&dialled.course);
        let channel = connected?;
        let said = self.say(channel.clone()).await;
        course.adopt(&dialled.course);
        course.ended();
        let Some(closed) = dialled.closed() else { return said.map(|()| None) };
        let left = Left { owner: Box::new(channel), closed };
        if said.is_ok() && self.after_call == AfterCall::LeftOpen {
            return Ok(Some(left));
        }
        left.let_go().await;
        said.map(|()| None)
    }

    async fn on_the_shared_channel(&self, course: &Course) -> Result<Option<Left>, Stop> {
        let shared = {
            let mut place = self.shared.lock().await;
            match &*place {
                Some(shared) => shared.clone(),
                None => {
                    let dialled = Dialled::default();
                    let connected = self.connect(&dialled).await;
                    course.adopt(&dialled.course);
                    let shared = Shared { channel: connected?, dialled };
                    place.insert(shared).clone()
                }
            }
        };
        let said = self.say(shared.channel).await;
        course.adopt(&shared.dialled.course);
        said.map(|()| None)
    }
}

impl Call for GrpcPerCall {
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a> {
        match self.channel {
            Channels::PerCall => Box::pin(self.on_a_channel_of_its_own(course)),
            Channels::Shared => Box::pin(self.on_the_shared_channel(course)),
        }
    }

    fn idle(&self) -> Vec<Left> {
        let Some(shared) = self.shared.try_lock().ok().and_then(|mut place| place.take()) else {
            return Vec::new();
        };
        shared
            .dialled
            .closed()
            .map(|closed| Left { owner: Box::new(shared.channel), closed })
            .into_iter()
            .collect()
    }
}

/// The meaning of a status: the transport's failure, where it has one, or the server's answer.
fn stopped(status: &Status) -> Stop {
    match std::error::Error::source(status) {
        Some(source) => Stop::found(source, CallStep::Answer),
        None if status.code() == Code::Cancelled => {
            Stop::closed(CallStep::Answer, status.message().to_owned())
        }
        None => Stop::told(CallStep::Answer, format!("{}: {}", status.code(), status.message())),
    }
}

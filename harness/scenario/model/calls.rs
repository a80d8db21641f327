//! Calls: workloads whose clients connect, ask and leave. Also how their connections and bodies end.

use crate::scenario::keep_alive::{OnConnection, Version};
use crate::scenario::schedule::Schedule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workload of calls: each is made, answered or not, and then over, even if it leaves a connection open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// The kind of call.
    pub caller: Caller,
    /// Calls under way at a time.
    pub concurrency: u32,
    /// Shortest time between the starts of two consecutive calls, seconds.
    pub every_s: f64,
    /// Over TLS, at the process's `{tls-port}` if it has one.
    pub tls: bool,
    /// Whether the first call finds out if the server speaks TLS (only `find`): a server that rejects plain
    /// HTTP is tried with TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls_or_not: bool,
    /// PEM file of the trusted certificates; `None`: a bundled server's own, and any for other servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<std::path::PathBuf>,
    /// A handshake takes up the session of an earlier one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumption: bool,
    /// How often a caller reads the certificate that it trusts.
    pub certificate: Certificate,
    /// gRPC: how many channels there are.
    pub channel: Channel,
    /// How a connection is treated after its call.
    pub after_call: AfterCall,
    /// HTTP: how the answer's body is treated.
    pub body: Body,
    /// Bytes sent with each call; 0: a GET.
    pub upload_bytes: u32,
    /// HTTP: the request, where it is more than a GET of the path.
    #[serde(default, skip_serializing_if = "Request::is_plain")]
    pub request: Request,
    /// When they are made, whether earlier ones are answered or not (an open loop); `None`: when a place is
    /// free (a closed loop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// No call is made so long after the first, or later; seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// A TCP connect that takes longer has timed out; seconds.
    pub connect_timeout_s: f64,
    /// A TLS handshake or an answer that takes longer: the server is silent; seconds.
    pub read_timeout_s: f64,
    /// HTTP: an answer that has begun and takes longer does not end; seconds.
    #[serde(default = "Calls::answer_timeout_default_s")]
    pub answer_timeout_s: f64,
}

/// The request of an HTTP call, and how it ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Request {
    /// The method; `None`: GET, or POST with an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Further headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The ETag and Last-Modified of the first answer are sent from then on (RFC 9110, section 13).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conditional: bool,
    /// The status of an answer; `None`: 2xx, and 304 where it is conditional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<u16>,
    /// The caller closes the connection before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave: Option<Leave>,
    /// The requests on each connection.
    #[serde(flatten)]
    pub on: OnConnection,
    /// Bytes of answers that a client reads a second, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_rate: Option<u32>,
    /// Bytes of requests that a client writes a second, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_rate: Option<u32>,
}

impl Request {
    /// Whether it is a GET of the path, and no more.
    pub fn is_plain(&self) -> bool {
        *self == Request::default()
    }

    /// Requests that a connection takes in all, and at a time: by default one, or of HTTP/2 any number.
    pub fn each(&self) -> (u32, u32) {
        let OnConnection { version, requests, streams } = self.on;
        match version {
            Version::Http1 => (requests.unwrap_or(1), 1),
            Version::Http2 => (requests.unwrap_or(u32::MAX), streams.unwrap_or(u32::MAX)),
        }
    }
}

crate::named::named! {
    /// When a caller closes its connection, if not at the end of the answer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Leave {
        /// In the middle of the request: half of its head is sent.
        MidRequest = "mid-request",
        /// When the request is sent.
        BeforeAnswer = "before-answer",
        /// When the head of the answer has come.
        AfterHeaders = "after-headers",
        /// When some of the answer's body has come.
        MidBody = "mid-body",
    }
}

impl Calls {
    /// HTTP calls, one after the other, each on a connection of its own.
    pub fn http(request: Request) -> Calls {
        Calls {
            caller: Caller::HttpPerCall,
            concurrency: 1,
            every_s: 0.0,
            tls: false,
            tls_or_not: false,
            ca: None,
            resumption: false,
            certificate: Certificate::default(),
            channel: Channel::default(),
            after_call: AfterCall::default(),
            body: Body::default(),
            upload_bytes: 0,
            request,
            schedule: None,
            duration_s: None,
            connect_timeout_s: CALL_TIMEOUT_DEFAULT_S,
            read_timeout_s: CALL_TIMEOUT_DEFAULT_S,
            answer_timeout_s: ANSWER_TIMEOUT_DEFAULT_S,
        }
    }

    const fn answer_timeout_default_s() -> f64 {
        ANSWER_TIMEOUT_DEFAULT_S
    }
}

/// Calls of a rate under way at a time when nothing else is asked for, and fewer where the caller's own limit
/// has no room for them.
pub const UNDER_WAY_DEFAULT: u32 = 10_000;

/// Calls in a time that was asked for, at most: each leaves several lines in the event log.
pub const CALLS_IN_A_TIME_MAX: u32 = 1_000_000;

/// The longest time that calls are made for, seconds: a ramp has an end, too.
pub const CALLS_DURATION_MAX_S: f64 = 240.0;

/// A connect or an answer of a call may take this long when nothing else is asked for, seconds.
pub const CALL_TIMEOUT_DEFAULT_S: f64 = 3.0;

/// An answer that has begun may go on for so long when nothing else is asked for, seconds: a large file over
/// loopback takes less.
pub const ANSWER_TIMEOUT_DEFAULT_S: f64 = 60.0;

/// The kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// hyper: the response is kept with its body unread, so the next request needs another connection.
    HttpLeakBody,
    /// tonic over TLS: a channel for each call, or one for all.
    GrpcPerCall,
    /// hyper: a connection for each request.
    HttpPerCall,
    /// A plain caller: one request after the other on new connections; tells a connect that times out from
    /// silence and from an answer.
    Caller,
}

/// How often a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Once, before the first call.
    #[default]
    Cached,
    /// Again for each call, which takes a descriptor for a moment.
    PerCall,
}

/// How many channels a gRPC client makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// One for each call.
    #[default]
    PerCall,
    /// One, made before the first call.
    Shared,
}

/// How a connection is treated after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCall {
    /// It is closed.
    #[default]
    Closed,
    /// It stays open: a leak.
    LeftOpen,
}

/// How the body of a response is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// It is kept and never read: the connection is neither free for the next request nor closed.
    #[default]
    Kept,
    /// It is read to its end, and the connection is used again.
    Drained,
    /// It is closed unread, and the connection is closed.
    Closed,
    /// The whole response is dropped, which closes the connection.
    Dropped,
}

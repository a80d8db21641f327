//! The requests that clients send on one HTTP connection, where there is more than one.

use serde::{Deserialize, Serialize};

crate::named::named! {
    /// A version of HTTP.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[non_exhaustive]
    pub enum Version {
        /// HTTP/1.1: one request at a time on a connection.
        #[default]
        #[serde(rename = "1.1")]
        Http1 = "1.1",
        /// HTTP/2: many requests at a time, each a stream. Without TLS the client begins with it (prior
        /// knowledge).
        #[serde(rename = "2")]
        Http2 = "2",
    }
}

impl Version {
    /// Whether it is the usual one.
    pub fn is_1(&self) -> bool {
        *self == Version::Http1
    }
}

/// The requests on one connection, over HTTP/1.1 by default. How many there are where nothing is said depends
/// on what the connection is for: see `each` of [`KeepAlive`] and of [`Request`](super::Request).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OnConnection {
    /// The HTTP version.
    #[serde(skip_serializing_if = "Version::is_1")]
    pub version: Version,
    /// Requests in all; `None`: as many as are usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// HTTP/2: requests under way at a time, at most; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
}

/// The requests on a connection that is held. By default there is one, before it is held, over HTTP/1.1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct KeepAlive {
    /// The requests before it is held.
    #[serde(flatten)]
    pub on: OnConnection,
    /// A client that holds makes a further request so often, seconds; `None`: it asks nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
}

impl KeepAlive {
    /// Whether it is one request over HTTP/1.1.
    pub fn is_plain(&self) -> bool {
        *self == KeepAlive::default()
    }

    /// Requests before the connection is held, and how many of them at a time: by default one, or as many as
    /// there are streams.
    pub fn each(&self) -> (u32, u32) {
        let requests = self.on.requests.or(self.on.streams).unwrap_or(1).max(1);
        match self.on.version {
            Version::Http1 => (requests, 1),
            Version::Http2 => (requests, self.on.streams.unwrap_or(requests).max(1)),
        }
    }
}

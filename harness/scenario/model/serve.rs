//! The bundled servers: their options, and the arguments of `lastfd serve` that say them.

use super::calls::{AfterCall, Certificate, Channel};
use serde::{Deserialize, Serialize};

/// A bundled server and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Serve {
    /// HTTP/1.1 (hyper): answers every request with 200.
    Http(ServeOptions),
    /// WebSocket (RFC 6455): upgrades the connection and holds it.
    Websocket(ServeOptions),
    /// Accepts and holds connections, with a bare epoll loop.
    Tcp(ServeOptions),
    /// gRPC (tonic): answers calls.
    Grpc(ServeOptions),
    /// HTTP: `POST /upload` writes a file and calls an HTTP API; any other path calls a gRPC backend over
    /// TLS.
    Relay(RelayOptions),
    /// HTTP: each request makes one HTTP call on a new connection.
    Outbound(OutboundOptions),
    /// Takes lines of text from its clients and writes them to log files; never answers.
    Collector(CollectorOptions),
    /// SMTP as far as HELO: speaks first, then answers each line.
    Mail(ServeOptions),
    /// UDP: answers each datagram with the same bytes, and opens sockets for each flow.
    Datagram(DatagramOptions),
}

/// The policies of a bundled server for a failed accept.
pub const ACCEPT_POLICIES: [&str; 15] = [
    "spin",
    "spin-log",
    "fixed-delay",
    "listener-off",
    "backoff",
    "backoff-exit",
    "storm",
    "reserve-fd",
    "cap-close",
    "cap-503",
    "exit",
    "worker-restart",
    "dead",
    "waits-for-close",
    "waits-for-arrival",
];

/// Options of a bundled server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServeOptions {
    /// How it behaves when no descriptor is free; `lastfd serve --help` explains each.
    #[schemars(extend("enum" = ACCEPT_POLICIES))]
    pub accept: Option<String>,
    /// The backlog for listen(2).
    pub backlog: Option<u32>,
    /// How many threads block in accept.
    #[schemars(range(min = 1))]
    pub threads: Option<u32>,
    /// How many forked workers accept, each with a limit of its own.
    #[schemars(range(min = 1))]
    pub workers: Option<u32>,
    /// Whether workers share one listening socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Listeners>,
    /// Accept with io_uring instead of accept4. Only perf as root sees it. Where the kernel forbids io_uring,
    /// the server does not start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub io_uring: bool,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
    /// Also listen on `{tls-port}` and speak TLS there, with a certificate made for the run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// With `tls`: clients may resume sessions, in place of a whole handshake each time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resumption: bool,
    /// `http`, `tcp` and `grpc`, without `workers`: the report has what it saw of those that called it
    /// (`upstream`): connections, calls on each, TLS handshakes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub witness: bool,
    /// `http` only: bytes of each answer. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 67_108_864))]
    pub answer_bytes: Option<u32>,
    /// `http` only: answer no client for so many milliseconds, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<u32>,
    /// With `stall-ms`: the request that the stall begins with; the first is 1. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub stall_at: Option<u32>,
    /// `http` only: each request opens a file for a moment. This says what happens if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<Opens>,
    /// With `opens`: the file stays open for so many milliseconds, and the request is answered then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_ms: Option<u32>,
}

/// Options of the bundled UDP server. A flow is an address that datagrams come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatagramOptions {
    /// Sockets that it opens for each flow. Default: 1.
    pub per_flow: Option<u32>,
    /// Milliseconds of silence after which a flow's sockets are closed. Default: 30000.
    pub idle_ms: Option<u32>,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
}

/// How a request ends if its file cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// It is answered with 500.
    #[serde(rename = "or-500")]
    Or500,
    /// Its connection is closed.
    OrClose,
    /// The process exits.
    OrExit,
}

/// Whether workers share one listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Listeners {
    /// One socket and one accept queue: a worker with room takes the next client.
    Shared,
    /// One socket each on the same port (SO_REUSEPORT): the kernel chooses by a hash, even a worker without
    /// room.
    Reuseport,
}

/// Options of the bundled relay, which calls other services for each request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RelayOptions {
    /// The process that `POST /upload` calls with HTTP, at its `{port}`.
    pub api: Option<String>,
    /// How it treats the body of the API's answer.
    pub body: RelayBody,
    /// The process that other requests call with gRPC, at its `{tls-port}`.
    pub backend: Option<String>,
    /// How many channels it makes to the backend.
    pub channel: Channel,
    /// How often it reads the backend's certificate.
    pub certificate: Certificate,
    /// How a channel is treated after its call.
    pub after_call: AfterCall,
    /// Poll before each accept, instead of accepting until no client waits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub poll_each: bool,
    /// How it behaves when no descriptor is free; `lastfd serve --help` explains each.
    #[schemars(extend("enum" = ACCEPT_POLICIES))]
    pub accept: Option<String>,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
}

/// How the relay treats the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RelayBody {
    /// It is kept and never read: a leak.
    #[default]
    Kept,
    /// It is read to its end, and the connection is used again.
    Drained,
    /// It is closed unread, which closes the connection.
    Closed,
}

/// Options of the bundled outbound service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutboundOptions {
    /// The process that each request calls, at its `{port}`.
    pub api: String,
    /// How the connection is treated after a call.
    #[serde(default)]
    pub after_call: AfterCall,
    /// How it behaves when no descriptor is free; `lastfd serve --help` explains each.
    #[serde(default)]
    #[schemars(extend("enum" = ACCEPT_POLICIES))]
    pub accept: Option<String>,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
}

/// Options of the bundled collector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CollectorOptions {
    /// How many log files it writes.
    pub log: CollectorLog,
    /// How it behaves when no descriptor is free; `lastfd serve --help` explains each.
    #[schemars(extend("enum" = ACCEPT_POLICIES))]
    pub accept: Option<String>,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
}

/// How many log files the collector has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CollectorLog {
    /// One for each connection, open as long as the connection: two descriptors a connection.
    #[default]
    PerConnection,
    /// One for all.
    Shared,
}

crate::named::named! {
    /// The protocol of a bundled upstream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Upstream {
        /// HTTP/1.1: answers every request with 200.
        Http = "http",
        /// The same over TLS.
        Https = "https",
        /// Accepts and holds connections; answers nothing.
        Tcp = "tcp",
        /// gRPC: answers every unary call.
        Grpc = "grpc",
        /// The same over TLS.
        Grpcs = "grpcs",
    }
}

impl Upstream {
    /// Whether it speaks TLS.
    pub const fn tls(self) -> bool {
        matches!(self, Upstream::Https | Upstream::Grpcs)
    }
}

impl Serve {
    /// The protocol that it speaks as a witness of its callers; `None`: it is no witness.
    pub fn witness(&self) -> Option<Upstream> {
        let (plain, over_tls, options) = match self {
            Serve::Http(options) => (Upstream::Http, Upstream::Https, options),
            Serve::Tcp(options) => (Upstream::Tcp, Upstream::Tcp, options),
            Serve::Grpc(options) => (Upstream::Grpc, Upstream::Grpcs, options),
            _ => return None,
        };
        options.witness.then_some(if options.tls { over_tls } else { plain })
    }

    /// Processes that it calls, each with the key that names it.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let (api, backend) = match self {
            Serve::Relay(o) => (o.api.as_ref(), o.backend.as_ref()),
            Serve::Outbound(o) => (Some(&o.api), None),
            _ => (None, None),
        };
        api.map(|api| ("api", api)).into_iter().chain(backend.map(|backend| ("backend", backend)))
    }

    /// Arguments of `lastfd serve`: the kind, then its options.
    pub fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]))
        };
        let at = |process: &String, port: &str| format!("127.0.0.1:{{{process}.{port}}}");
        let (kind, options) = match self {
            Serve::Http(o) => ("http", o),
            Serve::Websocket(o) => ("websocket", o),
            Serve::Tcp(o) => ("tcp", o),
            Serve::Grpc(o) => ("grpc", o),
            Serve::Mail(o) => ("mail", o),
            Serve::Datagram(o) => {
                option("per-flow", o.per_flow.map(|n| n.to_string()));
                option("idle-ms", o.idle_ms.map(|ms| ms.to_string()));
                ("datagram", &ServeOptions { baseline: o.baseline, ..ServeOptions::default() })
            }
            Serve::Relay(o) => {
                option("api", o.api.as_ref().map(|api| at(api, "port")));
                option("body", Some(word(&o.body)));
                option("backend", o.backend.as_ref().map(|backend| at(backend, "tls-port")));
                option("ca", o.backend.as_ref().map(|_| "{certificate}".into()));
                option("channel", Some(word(&o.channel)));
                option("certificate-read", Some(word(&o.certificate)));
                option("after-call", Some(word(&o.after_call)));
                option("folder", Some("{scratch}".into()));
                words.extend(o.poll_each.then(|| "--poll-each".into()));
                (
                    "relay",
                    &ServeOptions {
                        accept: o.accept.clone(),
                        baseline: o.baseline,
                        ..ServeOptions::default()
                    },
                )
            }
            Serve::Outbound(o) => {
                option("api", Some(at(&o.api, "port")));
                option("after-call", Some(word(&o.after_call)));
                (
                    "outbound",
                    &ServeOptions {
                        accept: o.accept.clone(),
                        baseline: o.baseline,
                        ..ServeOptions::default()
                    },
                )
            }
            Serve::Collector(o) => {
                option("log", Some(word(&o.log)));
                option("folder", Some("{scratch}".into()));
                (
                    "collector",
                    &ServeOptions {
                        accept: o.accept.clone(),
                        baseline: o.baseline,
                        ..ServeOptions::default()
                    },
                )
            }
        };
        let numbers = [
            ("--backlog", options.backlog),
            ("--threads", options.threads),
            ("--workers", options.workers),
            ("--baseline", options.baseline),
            ("--opens-ms", options.opens_ms),
            ("--answer-bytes", options.answer_bytes),
            ("--stall-ms", options.stall_ms),
            ("--stall-at", options.stall_at),
        ];
        words.insert(0, kind.to_string());
        words.extend(options.accept.iter().flat_map(|policy| ["--accept".to_string(), policy.clone()]));
        words.extend(options.listeners.iter().flat_map(|whose| ["--listeners".to_string(), word(whose)]));
        words.extend(options.io_uring.then(|| "--io-uring".to_owned()));
        words.extend(options.witness.then(|| "--witness".to_owned()));
        words.extend(options.resumption.then(|| "--resumption".to_owned()));
        if options.tls {
            words.extend(
                ["--tls-port", "{tls-port}", "--certificate", "{certificate}", "--key", "{key}"]
                    .map(str::to_owned),
            );
        }
        words.extend(options.opens.iter().flat_map(|opens| ["--opens".to_string(), word(opens)]));
        words.extend(
            numbers
                .iter()
                .filter_map(|(name, value)| Some([name.to_string(), value.as_ref()?.to_string()]))
                .flatten(),
        );
        words
    }
}

/// The word that stands for a value in scenario files, which is the bundled servers' word too.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| Some(value.as_str()?.to_owned()))
        .expect("an enum of words")
}

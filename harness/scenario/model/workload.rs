//! A workload: its target, the number of its clients, and the dialogue of each.

use super::calls::Calls;
use crate::scenario::exchange::Exchange;
use crate::scenario::keep_alive::KeepAlive;
use crate::scenario::pace::Pace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One workload: clients of one kind for one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Workload {
    /// The dialogue of each client; `None` (only `find`): HTTP where the server answers it, and `tcp`
    /// otherwise.
    pub kind: Option<Dialogue>,
    /// The process it loads.
    pub to: String,
    /// How many clients; `None`: soft limit × 1.5 + the accept queue's capacity.
    pub clients: Option<u32>,
    /// Which of several listeners; `None`: the only one.
    pub port: Option<u16>,
    /// Which Unix socket, in place of a port: its path, or `@` and its abstract name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<String>,
    /// Request path.
    pub path: String,
    /// How fast they come.
    #[serde(default)]
    pub pace: Pace,
    /// The steps of an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// The requests that clients of `http-idle` send, where there is more than one.
    #[serde(default, skip_serializing_if = "KeepAlive::is_plain")]
    pub keep_alive: KeepAlive,
    /// They speak TLS from the first byte. (Calls have their own.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Calls, in place of connections that are held; `kind` is `None` then, and `clients` their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Calls>,
    /// A program of the user's own as the clients; `kind` is `None` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ClientProgram>,
}

impl Workload {
    /// Whether its clients notice that they are answered; `None` (only `find`): it depends on the protocol of
    /// the server.
    pub fn asks(&self) -> Option<bool> {
        match &self.program {
            Some(program) => Some(program.one == One::Each && program.served.is_some()),
            None => self.kind.map(|kind| kind != Dialogue::Tcp),
        }
    }
}

/// A program of the user's own that connects: one process for each client, or one for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientProgram {
    /// Program and arguments; beside the placeholders of any process `{address}`, `{client}` and `{clients}`.
    pub run: Vec<String>,
    /// Variables that are added to its environment, with the same placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How many clients a process is.
    #[serde(default)]
    pub one: One,
    /// A client is served when a line of its output matches this, and holds; `None`: when it ends with exit
    /// status 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// The exit status that says that the server answered with an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_status: Option<u8>,
}

impl ClientProgram {
    /// One process of this command for each client.
    pub fn new(run: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let run = run.into_iter().map(Into::into).collect();
        let run: Vec<String> = run;
        let error_status = Self::error_status_of(&run);
        ClientProgram { run, env: BTreeMap::new(), one: One::Each, served: None, error_status }
    }

    /// The exit status by which this program says that the server answered with an error, where its manual
    /// has one: curl(1) with `--fail`, wget(1).
    pub fn error_status_of(run: &[String]) -> Option<u8> {
        let program = run.first().and_then(|word| word.rsplit('/').next());
        match program {
            Some("curl") => Some(22),
            Some("wget") => Some(8),
            _ => None,
        }
    }

    /// The pattern of a line of output that says that its client is served.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn pattern(&self) -> Result<Option<regex::bytes::Regex>, regex::Error> {
        self.served.as_deref().map(regex::bytes::Regex::new).transpose()
    }
}

crate::named::named! {
    /// How many clients one process of a client program is.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum One {
        /// One process for each client.
        #[default]
        Each = "each",
        /// One process for all clients.
        All = "all",
    }
}

/// TLS of clients that hold connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Tls {
    /// PEM file of the certificates to trust, for `localhost`. Default: any certificate, as the server is on
    /// this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<std::path::PathBuf>,
    /// Whether a client takes up the session of an earlier one. Default: each handshake is a whole one.
    pub resumption: bool,
}

crate::named::named! {
    /// How a client behaves: it connects, is answered once, and holds the connection.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Dialogue {
        /// Connects and holds the connection; asks nothing.
        Tcp = "tcp",
        /// Sends one request, reads the answer, and holds the keep-alive connection.
        HttpIdle = "http-idle",
        /// Upgrades the connection and holds it; answers pings.
        Websocket = "websocket",
        /// Exchanges HTTP/2 settings and holds the connection; answers pings.
        Grpc = "grpc",
        /// Takes the steps of a line or byte protocol, is served when its last `read` matched, and holds.
        Exchange = "exchange",
        /// UDP: sends one datagram from a socket of its own, and is served when the answer matches.
        Datagram = "datagram",
    }
}

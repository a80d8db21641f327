//! The plan of one run: a scenario with one of its variants applied, checked, with every default filled in.
//!
//! It is what the run executes and what the judge reads back from the head of the event log. It says what was
//! asked for, never what happened.

use super::exchange::Exchange;
use super::expect::Expect;
use super::keep_alive::{KeepAlive, OnConnection, Version};
pub use super::launcher_options::{Session, Shell};
use super::pace::Pace;
use super::schedule::Schedule;
use super::setting::Setting;
use crate::compare::Bound;
pub use crate::event::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run: what to start, how to load it, what to expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The scenario's name: its folder or file stem; `find` for a command line.
    pub scenario: String,
    /// The variant's name; `None` for the scenario as written.
    pub variant: Option<String>,
    /// What the run is to show, in the author's words.
    pub claim: String,
    /// What people thought of this run's remedy (or of how it was), in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<String>,
    /// Words that filters select it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The process whose ceiling is asked for.
    pub subject: String,
    /// By name.
    pub processes: BTreeMap<String, Process>,
    /// By name; they run at the same time.
    pub workloads: BTreeMap<String, Workload>,
    /// Set in a network namespace made for the run, in which all of it then happens; by name with dots.
    /// Empty: none is made.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// What is done to the subject once it was watched at the wall, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
    /// How often recovery is sampled.
    #[serde(default, skip_serializing_if = "Recovery::once")]
    pub recovery: Recovery,
    /// What it is compared with, and what that must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Gate>,
    /// Whether the scenario asks that nothing else runs beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// What must be observed.
    pub expect: Expect,
    /// Longest time that saturation is watched, seconds.
    pub hold_s: f64,
    /// The directory relative paths in commands start from: that of the scenario file.
    pub directory: std::path::PathBuf,
}

/// What the scenario as written is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gate {
    /// The variant; `None`: the first.
    pub variant: Option<String>,
    /// Bounds that it must keep.
    pub require: Vec<Bound>,
}

/// How recovery is measured. It depends on where in its own delay the server is when clients leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SampledRecovery")]
pub struct Recovery {
    /// How many times some clients leave, each time at another phase of the server's delay, and new ones take
    /// their place. Then all leave, and a second ramp shows whether the ceiling is the same. Default: 1,
    /// without a second ramp.
    #[schemars(range(min = 1, max = 64))]
    pub rounds: u32,
}

impl Recovery {
    /// Most rounds: a bound on everything.
    pub const ROUNDS_MAX: u32 = 64;

    fn once(&self) -> bool {
        self.rounds == 1
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery { rounds: 1 }
    }
}

/// A change to the live subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Then {
    /// When it happens.
    pub at: Moment,
    /// The new `RLIMIT_NOFILE` of each of its processes that accepts, set with prlimit(2).
    pub limit: MovedLimit,
}

/// When a change to the live subject happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// After the server was watched at its limit (or all clients are in), and before any client leaves.
    Saturated,
}

/// The new limits of a live process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovedLimit {
    /// The new soft limit.
    pub soft: u64,
    /// The new hard limit. Default: unchanged, or the soft limit if that is higher, which needs
    /// CAP_SYS_RESOURCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<u64>,
}

/// One process of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// What runs.
    pub program: Program,
    /// What starts it.
    pub launcher: Launcher,
    /// What the launcher itself is started with.
    pub limits: Limits,
    /// Program names, or `python3:module`, that must be there.
    pub requires: Vec<String>,
    /// The port that `{port}` stands for; `None`: a free one is chosen, or found by itself.
    pub port: Option<u16>,
    /// Variables that are added to its environment.
    pub env: BTreeMap<String, String>,
    /// Longest time until it listens, seconds.
    pub ready_within_s: f64,
    /// Time from TERM to KILL, seconds.
    pub grace_s: f64,
    /// The signal that a client waits for before it calls, without SIG; `None`: it begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    /// Other limits that the launcher itself is started with.
    #[serde(default, skip_serializing_if = "Rlimits::is_empty")]
    pub rlimits: Rlimits,
    /// What surrounds it.
    #[serde(default, skip_serializing_if = "Setting::is_plain")]
    pub setting: Setting,
}

impl Process {
    /// Words in which placeholders may stand.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let command = match &self.program {
            Program::Command(words) => words.clone(),
            Program::Serve(serve) => serve.arguments(),
            // Its calls may be over TLS.
            Program::Call(_) => vec!["{certificate}".into()],
        };
        command.into_iter().chain(self.env.values().cloned()).chain(self.setting.words().cloned())
    }

    /// Whether it is told where the process of this name listens.
    fn names(&self, process: &str) -> bool {
        let ports = super::placeholder::OF_ANOTHER.map(|port| format!("{{{process}.{port}}}"));
        self.words().any(|word| ports.iter().any(|port| word.contains(port)))
    }
}

/// Other resource limits, soft and hard alike (setrlimit(2)). Default: as inherited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rlimits {
    /// `RLIMIT_NPROC`: all processes and threads of the user together. It does not limit root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nproc: Option<u64>,
    /// `RLIMIT_AS`: address space of a process, in bytes.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub address_space: Option<u64>,
}

impl Rlimits {
    /// Whether all are as inherited.
    pub fn is_empty(&self) -> bool {
        *self == Rlimits::default()
    }

    /// Sets one as a command line says it, `nproc=40` or `as=268435456`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let wanted = || format!("`{text}` is not nproc=TASKS or as=BYTES");
        let (name, number) = text.split_once('=').ok_or_else(wanted)?;
        let number = Some(number.parse().map_err(|_| wanted())?);
        match name {
            "nproc" => self.nproc = number,
            "as" => self.address_space = number,
            _ => return Err(wanted()),
        }
        Ok(())
    }
}

/// What runs as a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Program and arguments, with placeholders (`run::Places::fill`).
    Command(Vec<String>),
    /// A bundled server: `lastfd serve KIND …`.
    Serve(Serve),
    /// The bundled caller, which makes the calls of the workload of this name under this process's launcher
    /// and limits.
    Call(String),
}

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

/// What a bundled server can be told to do when accept fails.
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
    /// What it does when no descriptor is free; `lastfd serve --help` explains each.
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
    /// `http` only: answer nobody for so many milliseconds, once.
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

/// What happens to a request if its file cannot be opened.
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
    /// What happens to the body of the API's answer.
    pub body: RelayBody,
    /// The process that other requests call with gRPC, at its `{tls-port}`.
    pub backend: Option<String>,
    /// How many channels it makes to the backend.
    pub channel: Channel,
    /// How often it reads the backend's certificate.
    pub certificate: Certificate,
    /// What happens to a channel after its call.
    pub after_call: AfterCall,
    /// Poll before each accept, instead of accepting until nobody waits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub poll_each: bool,
    /// What it does when no descriptor is free; `lastfd serve --help` explains each.
    #[schemars(extend("enum" = ACCEPT_POLICIES))]
    pub accept: Option<String>,
    /// Hold exactly this many descriptors before the first client comes, as a real service would.
    pub baseline: Option<u32>,
}

/// What the relay does with the body of an answer.
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
    /// What happens to the connection after a call.
    #[serde(default)]
    pub after_call: AfterCall,
    /// What it does when no descriptor is free; `lastfd serve --help` explains each.
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
    /// What it does when no descriptor is free; `lastfd serve --help` explains each.
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

/// What starts a process and so sets its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Launcher {
    /// Sets the limits and executes the program, with nothing between.
    Exec,
    /// SIGHUP ignored, output to nohup.out where it would go to a terminal, limits inherited.
    NohupLike,
    /// A bundled supervisor with supervisord's rules.
    SupervisorLike(Supervisor),
    /// The real nohup(1).
    Nohup,
    /// The real supervisord, with a configuration written for the run.
    Supervisord(Supervisor),
    /// The real /bin/sh, with `ulimit`.
    Shell(Shell),
    /// The real runuser(1), with its PAM session.
    Runuser(Session),
    /// The real su(1), with its PAM session.
    Su(Session),
    /// A bundled parent with the rules of systemd's `LimitNOFILE=`.
    SystemdLike {
        /// `None`: systemd's own default.
        limit_nofile: Option<Limits>,
    },
    /// A bundled parent with the rules of `docker run --ulimit nofile=`.
    ContainerLike {
        /// `None`: as inherited.
        ulimit: Option<Limits>,
    },
}

/// Options of a supervisor, real or bundled, with supervisord's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Supervisor {
    /// Descriptors that must be available. It only raises limits, never lowers them.
    pub minfds: u64,
    /// Start it again when it exits.
    pub autorestart: bool,
    /// How many times in a row a start may fail.
    pub startretries: u32,
    /// The signal that ends the program.
    #[schemars(extend("enum" = ["TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2"]))]
    pub stopsignal: String,
    /// Seconds from the stop signal to SIGKILL.
    #[schemars(range(min = 0))]
    pub stopwaitsecs: f64,
}

impl Default for Supervisor {
    /// supervisord's own defaults (its manual, sections `[supervisord]` and `[program:x]`), but no restart.
    fn default() -> Self {
        Supervisor {
            minfds: 1024,
            autorestart: false,
            startretries: 3,
            stopsignal: "TERM".into(),
            stopwaitsecs: 10.0,
        }
    }
}

/// One workload: clients of one kind for one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Workload {
    /// What each client does; `None` (only `find`): the server is asked with HTTP, and otherwise `tcp`.
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
    /// What clients of `http-idle` ask, where that is more than one request.
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
    /// Whether its clients tell when they are answered; `None` (only `find`): that depends on what the server
    /// speaks.
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

/// A workload of calls: each is made, answered or not, and over, whatever it leaves open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// What a call is.
    pub caller: Caller,
    /// Calls under way at a time.
    pub concurrency: u32,
    /// Shortest time from the start of a call to that of the next, seconds.
    pub every_s: f64,
    /// Over TLS, at the process's `{tls-port}` if it has one.
    pub tls: bool,
    /// Whether over TLS is for the first call to find out (only `find`): what turns plain HTTP away is tried
    /// with TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls_or_not: bool,
    /// PEM file of the certificates to trust; `None`: that of the bundled servers, or of others any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<std::path::PathBuf>,
    /// A handshake takes up the session of an earlier one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumption: bool,
    /// How often a caller reads the certificate that it trusts.
    pub certificate: Certificate,
    /// gRPC: how many channels there are.
    pub channel: Channel,
    /// What becomes of a call's connection.
    pub after_call: AfterCall,
    /// HTTP: what becomes of the answer's body.
    pub body: Body,
    /// Bytes sent with each call; 0: a GET.
    pub upload_bytes: u32,
    /// HTTP: what is asked, where that is more than a GET of the path.
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

/// What an HTTP call asks, and how it ends.
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
    /// What each connection takes.
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

/// What a call is.
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

/// What happens to a connection after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCall {
    /// It is closed.
    #[default]
    Closed,
    /// It stays open: a leak.
    LeftOpen,
}

/// What happens to the body of a response.
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

crate::named::named! {
    /// What a client does: connects, is answered once, and holds.
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

crate::named::named! {
    /// What a bundled upstream serves.
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

impl Process {
    /// A bundled server under these limits, which is all that is asked of it.
    pub fn serving(serve: Serve, limits: Limits) -> Process {
        Process {
            program: Program::Serve(serve),
            launcher: Launcher::Exec,
            limits,
            requires: Vec::new(),
            port: None,
            env: BTreeMap::new(),
            ready_within_s: 30.0,
            grace_s: 2.0,
            begin: None,
            rlimits: Rlimits::default(),
            setting: Setting::default(),
        }
    }
}

impl Serve {
    /// What it serves as a witness of those that call it; `None`: it is none.
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

impl Plan {
    /// Whether the clients of this process send datagrams (UDP), all of them.
    pub fn serves_datagrams(&self, process: &str) -> bool {
        let mut loads = self.workloads.values().filter(|workload| workload.to == process).peekable();
        loads.peek().is_some() && loads.all(|workload| workload.kind == Some(Dialogue::Datagram))
    }

    /// Whether nothing is to connect to the subject: its own calls are what runs into the limit.
    pub fn subject_is_client(&self) -> bool {
        let calls = |process: &Process| matches!(process.program, Program::Call(_));
        // Behind a relay it is loaded too: a process that knows its port is there to connect to it.
        let loaded = || {
            self.workloads.values().any(|workload| workload.to == self.subject)
                || self.processes.values().any(|process| process.names(&self.subject))
        };
        self.processes.get(&self.subject).is_some_and(calls) || !loaded()
    }

    /// Whether the subject may call somebody though nothing is to connect to it: a caller; a program that
    /// waits for a signal, or that knows where another process listens and listens nowhere itself; one whose
    /// first failure is expected in another call than accept.
    pub fn subject_may_call(&self) -> bool {
        let Some(subject) = self.processes.get(&self.subject) else { return true };
        match subject.program {
            Program::Call(_) => return true,
            // They call when they are called.
            Program::Serve(_) => return false,
            Program::Command(_) => {}
        }
        let mut others = self.processes.keys().filter(|name| **name != self.subject);
        let fails_elsewhere = self.expect.first_failure.as_ref().is_some_and(|first| !first.call.accepts());
        let listens = subject.port.is_some() || subject.words().any(|word| word.contains("{port}"));
        subject.begin.is_some() || fails_elsewhere || !listens && others.any(|name| subject.names(name))
    }

    /// The most connections that the subject can be made to hold, or calls that it makes, and what they are
    /// called; `None` where that depends on the run.
    pub fn most_clients(&self) -> Option<(u64, &'static str)> {
        if let Program::Call(workload) = &self.processes.get(&self.subject)?.program {
            return Some((self.workloads.get(workload)?.clients?.into(), "calls"));
        }
        // Those of a process that knows its port are not counted here.
        let mut loads = self.workloads.values().filter(|workload| workload.to == self.subject).peekable();
        if loads.peek().is_none() || self.processes.values().any(|process| process.names(&self.subject)) {
            return None;
        }
        loads.map(|workload| workload.clients.map(u64::from)).sum::<Option<u64>>().map(|all| (all, "clients"))
    }

    /// The bundled server beside the subject that is a witness of those that call it, and what it serves.
    pub fn upstream(&self) -> Option<(&str, Upstream)> {
        let witness = |process: &Process| match &process.program {
            Program::Serve(serve) => serve.witness(),
            _ => None,
        };
        let mut beside = self.processes.iter().filter(|(name, _)| **name != self.subject);
        beside.find_map(|(name, process)| Some((name.as_str(), witness(process)?)))
    }

    /// The bundled upstream that the subject calls, where it is a command that nobody connects to and that
    /// begins by itself.
    pub fn called(&self) -> Option<(&str, Upstream)> {
        let subject = self.processes.get(&self.subject)?;
        let begins = matches!(subject.program, Program::Command(_)) && subject.begin.is_none();
        self.upstream().filter(|(name, _)| begins && self.subject_is_client() && subject.names(name))
    }

    /// What the variant is called on the command line; the scenario as written is `base`.
    pub fn variant_name(&self) -> &str {
        self.variant.as_deref().unwrap_or("base")
    }

    /// Scenario and variant, as `scenario` or `scenario / variant`.
    pub fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} / {variant}", self.scenario),
            None => self.scenario.clone(),
        }
    }
}

//! A scenario file as it is written: types for serde and for the JSON Schema. They say what may stand where;
//! what it means together is checked in `check`. Doc comments here are what an editor shows for a key.

use super::exchange::Step;
use super::expect::{ExpectLimits, FirstFailure, Outcome, Policy, Refusal, SeenAs, Verdict};
use super::keep_alive::Version;
use super::launcher_options::{RawContainer, RawSystemd, Session, Shell};
use super::model::{
    AfterCall, Body, Certificate, Channel, Leave, One, Recovery, Rlimits, Serve, Supervisor, Then, Tls,
};
use super::schedule::Arrivals;
use super::setting::{ReadyWhen, Stdin};
use crate::event::Limits;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use toml::Spanned;

/// A scenario of lastfd: the processes to start, their load, the expectations, and variants of all this.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "lastfd scenario")]
pub(super) struct File {
    /// The claim: the result that the run shows, in one sentence.
    #[schemars(with = "String")]
    pub claim: Spanned<String>,
    /// People's belief when it happened, in their words. A column of the remedy table.
    pub believed: Option<String>,
    /// Words that `--filter` selects the scenario by, such as `["incident", "nightly"]`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<Spanned<String>>,
    /// The process whose ceiling is measured. Needed if there are several processes.
    #[schemars(with = "Option<String>")]
    pub subject: Option<Spanned<String>>,
    /// How long the server is watched at its limit, at most. Default: "5s".
    #[schemars(with = "Option<String>")]
    pub hold: Option<Spanned<String>>,
    /// The processes, by name.
    #[schemars(with = "BTreeMap<String, RawProcess>")]
    pub processes: BTreeMap<Spanned<String>, RawProcess>,
    /// The workloads, by name. They run at the same time.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawWorkload>")]
    pub workloads: BTreeMap<Spanned<String>, RawWorkload>,
    /// Sysctls for the run, such as `"net.core.somaxconn" = 128`. The run then happens in a network namespace
    /// of its own, where most other sysctls have the kernel's defaults. Never set on the host.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawSysctl>")]
    pub sysctls: BTreeMap<Spanned<String>, RawSysctl>,
    /// Changes to the live subject, in this order, such as `{ at = "saturated", limit = { soft = 2048 } }`.
    #[serde(default)]
    #[schemars(with = "Vec<Then>")]
    pub then: Vec<Spanned<Then>>,
    /// How often recovery is measured, such as `{ rounds = 8 }`.
    #[schemars(with = "Option<Recovery>")]
    pub recovery: Option<Spanned<Recovery>>,
    /// How `lastfd compare` judges this file.
    pub compare: Option<RawCompare>,
    /// With `lastfd run -j`, whether nothing else runs at the same time. Default: false; a run that expects
    /// something within a time, or has clients at a rate, is alone in any case.
    #[serde(default)]
    pub alone: bool,
    /// Expected observations. A key that is left out is not judged.
    #[serde(default)]
    pub expect: RawExpect,
    /// The same scenario with something changed. Each is a run of its own.
    #[serde(default)]
    pub variant: Vec<RawVariant>,
}

/// A comparison of the scenario as written with one of its variants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Compare")]
pub(super) struct RawCompare {
    /// The variant that the scenario as written is compared with. Default: the first.
    #[schemars(with = "Option<String>")]
    pub variant: Option<Spanned<String>>,
    /// Bounds that the variant must keep, such as `"connections-opened <= 2"`, `"p99 no worse than 5 %"` or
    /// `"calls-per-s better by 10 %"`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub require: Vec<Spanned<String>>,
}

/// The value of a sysctl: a number, or text such as "10000 20000". The name needs quotes; without them TOML
/// reads a table of tables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Sysctl")]
pub(super) enum RawSysctl {
    Number(i64),
    Words(String),
    Below(BTreeMap<String, RawSysctl>),
}

/// A process. It has exactly one of `command`, `serve` and `call`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Process")]
pub(super) struct RawProcess {
    /// Program and arguments, executed in the folder of the scenario file. `{port}` and `{tls-port}` are its
    /// own ports, `{NAME.port}` and `{NAME.tls-port}` are those of another process ports, `{scratch}` is a
    /// folder that is removed after the run, `{certificate}` and `{key}` are files with a certificate made
    /// for the run.
    #[schemars(with = "Option<Vec<String>>")]
    pub command: Option<Spanned<Vec<Spanned<String>>>>,
    /// A bundled server instead of a command, such as `serve.websocket = { accept = "spin" }`.
    #[schemars(with = "Option<Serve>")]
    pub serve: Option<Spanned<Serve>>,
    /// The bundled caller instead of a command. It makes the calls of the workload with this name, so a
    /// client can be the subject.
    #[schemars(with = "Option<String>")]
    pub call: Option<Spanned<String>>,
    /// How it is started: the name of a launcher, or a table such as `launcher.supervisord = { minfds = 1024
    /// }`. Default: "exec".
    #[schemars(with = "Option<RawLauncher>")]
    pub launcher: Option<Spanned<RawLauncher>>,
    /// `RLIMIT_NOFILE` of the launcher when it starts.
    #[schemars(with = "Limits")]
    pub limits: Spanned<Limits>,
    /// Other limits of the launcher when it starts, such as `{ nproc = 40 }` or `{ as = 268435456 }`. They
    /// show which other resource can run out.
    #[serde(default)]
    pub rlimits: Rlimits,
    /// Programs (`nginx`), files in the scenario's folder (`./server`) or Python modules (`python3:tornado`)
    /// that the run needs. If one is missing, the run is skipped.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The value of `{port}`. Default: a free port.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Variables that are added to its environment.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: BTreeMap<String, Spanned<String>>,
    /// How long it may take until it listens. Default: "10s".
    #[schemars(with = "Option<String>")]
    pub ready_within: Option<Spanned<String>>,
    /// Time from SIGTERM to SIGKILL when it is ended. Default: "2s".
    #[schemars(with = "Option<String>")]
    pub grace: Option<Spanned<String>>,
    /// For a client to which no other connects: the signal that it waits for before it makes calls. Without
    /// it, the client calls as soon as it runs, and the descriptors that are already open cannot be counted.
    #[schemars(extend("enum" = ["HUP", "USR1", "USR2"]))]
    pub begin: Option<String>,
    /// The folder that it starts in, from the folder of the scenario file; `{scratch}` may stand in it.
    /// Default: that folder.
    #[schemars(with = "Option<String>")]
    pub directory: Option<Spanned<String>>,
    /// The user that it runs as, by name or number: for programs that refuse to run as root. Only root may
    /// choose. Its `{scratch}` belongs to that user. Default: lastfd's own.
    pub user: Option<String>,
    /// Its standard input: a text, or `{ file = "input.txt" }`. Default: empty.
    #[schemars(with = "Option<Stdin>")]
    pub stdin: Option<Spanned<Stdin>>,
    /// Files and folders that are copied into its `{scratch}` before it starts, such as `{ "redis.conf" =
    /// "redis.conf" }`: the name there, and the path from the folder of the scenario file. In text files its
    /// placeholders are filled in.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub files: BTreeMap<Spanned<String>, Spanned<String>>,
    /// A command that is run before it, to its end, in its folder and as its user, such as `["initdb",
    /// "{scratch}/data"]`. If it fails, the run is inconclusive. Its limits are lastfd's own.
    #[schemars(with = "Option<Vec<String>>")]
    pub prepare: Option<Spanned<Vec<Spanned<String>>>>,
    /// How long that command may take. Default: "60s".
    #[schemars(with = "Option<String>")]
    pub prepare_within: Option<Spanned<String>>,
    /// A condition that must hold within `ready-within`, besides listening: `{ path = "…" }`, `{ log =
    /// "PATTERN" }` or `{ command = ["…"] }`.
    #[schemars(with = "Option<ReadyWhen>")]
    pub ready: Option<Spanned<ReadyWhen>>,
}

/// How a process is started: the name of a launcher, or a table with options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Launcher")]
pub(super) enum RawLauncher {
    Name(LauncherName),
    Table(LauncherTable),
}

/// A launcher without options.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LauncherName {
    /// Sets the limits and executes the program, with nothing between.
    Exec,
    /// The rules of nohup(1), bundled.
    NohupLike,
    /// The real nohup(1).
    Nohup,
    /// The rules of supervisord, bundled.
    SupervisorLike,
    /// The real supervisord.
    Supervisord,
    /// The real /bin/sh, which stays as the parent.
    Shell,
    /// The real runuser(1): a PAM session of `nobody`. Root only.
    Runuser,
    /// The real su(1): a PAM session of `nobody`. Root only.
    Su,
    /// The rules of a systemd service with default limits, bundled.
    SystemdLike,
    /// The rules of a container with the limits of its daemon, bundled.
    ContainerLike,
}

/// A launcher with options.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LauncherTable {
    /// The rules of supervisord, bundled.
    SupervisorLike(Supervisor),
    /// The real supervisord.
    Supervisord(Supervisor),
    /// The real /bin/sh, with `ulimit`.
    Shell(Shell),
    /// The real runuser(1), with its PAM session. Root only.
    Runuser(Session),
    /// The real su(1), with its PAM session. Root only.
    Su(Session),
    /// The rules of systemd's `LimitNOFILE=`, bundled.
    SystemdLike(RawSystemd),
    /// The rules of `docker run --ulimit nofile=`, bundled.
    ContainerLike(RawContainer),
}

/// How each client behaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Workload")]
pub(super) enum RawWorkload {
    /// Connects and holds the connection; asks nothing.
    Tcp(Load),
    /// Sends one request, reads the answer, and holds the keep-alive connection.
    HttpIdle(Load),
    /// Upgrades the connection and holds it; answers pings.
    Websocket(Load),
    /// Exchanges HTTP/2 settings and holds the connection; answers pings.
    Grpc(Load),
    /// Takes the steps of any line or byte protocol. It is served when its last `read` has matched; then it
    /// holds.
    Exchange(RawExchange),
    /// UDP: sends one datagram from a socket of its own. It is served when the answer matches.
    Datagram(RawDatagram),
    /// A program of your own that connects, such as curl, wrk, k6 or a script.
    Command(RawClients),
    /// HTTP calls that keep each response with its body unread, so that the next call needs another
    /// connection.
    HttpLeakBody(CallLoad),
    /// gRPC calls over TLS, with one channel for each call or one for all.
    GrpcPerCall(CallLoad),
    /// HTTP calls, each on a connection of its own.
    HttpPerCall(CallLoad),
    /// HTTP calls one after the other, beside other workloads. They show what a bystander sees.
    Caller(CallLoad),
}

/// Options of a workload of calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CallLoad {
    /// The process that is called. Default: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// How many calls in all. Default: twice the soft limit and 64 more.
    #[schemars(range(min = 1))]
    pub calls: Option<u32>,
    /// Make calls for this time, such as "10s"; at most a million, or as many as `calls` says.
    #[schemars(with = "Option<String>")]
    pub duration: Option<Spanned<String>>,
    /// Calls at a time. Default: 1; with a `rate`, 10000, or as many as the caller has descriptors for.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Make so many calls a second, such as "200/s", whether earlier ones are answered or not (an open loop).
    /// Default: a call is made when fewer than `concurrency` are under way.
    #[schemars(with = "Option<String>")]
    pub rate: Option<Spanned<String>>,
    /// How the calls of a `rate` are spread. Default: "constant".
    #[schemars(with = "Option<Arrivals>")]
    pub arrivals: Option<Spanned<Arrivals>>,
    /// The gaps of `arrivals = "poisson"` are drawn from this number: the same gaps each time. Default: 1.
    #[schemars(with = "Option<u64>")]
    pub seed: Option<Spanned<u64>>,
    /// Shortest time from the start of one call to the start of the next, such as "50ms". Default: none.
    #[schemars(with = "Option<String>")]
    pub every: Option<Spanned<String>>,
    /// Which port of the process. Default: the only one, or with `tls` its `{tls-port}`.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Call over this Unix socket, in place of a port: its path, or `@` and its abstract name.
    #[schemars(with = "Option<String>")]
    pub unix: Option<Spanned<String>>,
    /// Speak TLS, at the `{tls-port}` of the process if it has one: `true`, or a table with `ca` and
    /// `resumption`. gRPC calls always do. Without `ca` the certificate made for the run is trusted, or where
    /// there is none, any.
    pub tls: Option<RawTls>,
    /// Path of the HTTP request. Default: "/".
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Bytes that each call sends with POST. Default: none; calls use GET.
    pub upload_bytes: u32,
    /// `http-per-call`, `caller`: the HTTP method, such as "HEAD". Default: GET, or POST with `upload-bytes`.
    #[schemars(with = "Option<String>")]
    pub method: Option<Spanned<String>>,
    /// `http-per-call`, `caller`: further headers, such as `{ accept-encoding = "gzip" }`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `http-per-call`, `caller`: send the ETag and Last-Modified of the first answer from then on. An answer
    /// of 304 is expected, too.
    pub conditional: bool,
    /// `http-per-call`, `caller`: the status that is expected. Default: any of 2xx.
    #[schemars(range(min = 100, max = 599))]
    pub expect_status: Option<u16>,
    /// `http-per-call`, `caller`: close the connection before the end of the answer. Default: read it to its
    /// end.
    pub leave: Option<Leave>,
    /// `http-per-call`: how many requests each connection makes before it is closed or left open. Default: 1;
    /// of HTTP/2 any number.
    #[schemars(range(min = 1))]
    pub requests: Option<u32>,
    /// `http-per-call`: the version of HTTP. With "2" many calls share a connection, each a stream.
    #[schemars(with = "Version")]
    pub version: Option<Spanned<Version>>,
    /// `http-per-call` with `version = "2"`: how many calls at a time share a connection. Default: all.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub streams: Option<Spanned<u32>>,
    /// HTTP: a client reads no faster than this, such as "1KiB/s", so a long answer keeps its connection.
    /// Default: as fast as it comes.
    #[schemars(with = "Option<String>")]
    pub read_rate: Option<Spanned<String>>,
    /// HTTP: a client sends its request no faster than this, such as "10B/s". Default: at once.
    #[schemars(with = "Option<String>")]
    pub write_rate: Option<Spanned<String>>,
    /// How often a caller reads the certificate that it trusts.
    pub certificate: Certificate,
    /// `grpc-per-call`: how many channels there are.
    pub channel: Channel,
    /// How the connection is treated after a call.
    pub after_call: AfterCall,
    /// `http-leak-body`: how the body of a response is treated.
    pub body: Body,
    /// A connect that takes longer has timed out. Default: "3s".
    #[schemars(with = "Option<String>")]
    pub connect_timeout: Option<Spanned<String>>,
    /// After this time without an answer (or a TLS handshake), the call counts as connected and silent.
    /// Default: "3s".
    #[schemars(with = "Option<String>")]
    pub read_timeout: Option<Spanned<String>>,
    /// HTTP: an answer that has begun and goes on for longer does not end: the call `waits` at the step
    /// `body`. Default: "60s"; a `read-rate` adds the time that it takes for an answer of a known length.
    #[schemars(with = "Option<String>")]
    pub answer_timeout: Option<Spanned<String>>,
}

/// Options of a workload that holds connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Load {
    /// The process that clients connect to. Default: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// How many clients. Default: 1.5 times the soft limit, and as many more as the accept queue holds; for
    /// two to eight workers, as many as fill them all.
    #[schemars(range(min = 1))]
    pub clients: Option<u32>,
    /// Path of the request. Default: "/".
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// The port, if the process listens on several.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The Unix socket, in place of a port: its path, which starts from the folder of the scenario file and
    /// may hold `{scratch}`, or `@` and its abstract name. Default: none, and if the process listens on no
    /// port, its only Unix socket.
    #[schemars(with = "Option<String>")]
    pub unix: Option<Spanned<String>>,
    /// How fast clients come: "auto", "burst" (all at once), "steady" (only when the work for the earlier
    /// ones is done) or at most so many a second, such as "50/s". Default: "auto", which is steady where a
    /// connection costs work after its accept.
    #[schemars(with = "Option<String>")]
    pub pace: Option<Spanned<String>>,
    /// Another name of `pace = "burst"`.
    #[serde(default)]
    pub burst: bool,
    /// `http-idle`: the version of HTTP. With "2" each request is a stream; without TLS the client begins
    /// with it (prior knowledge).
    #[schemars(with = "Option<Version>")]
    pub version: Option<Spanned<Version>>,
    /// `http-idle`: how many requests a client makes before it holds. Default: 1, or as many as `streams`.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub requests: Option<Spanned<u32>>,
    /// `http-idle` with `version = "2"`: how many of them are under way at a time. Default: all.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub streams: Option<Spanned<u32>>,
    /// `http-idle`: a client that holds makes a further request so often, such as "1s". Default: it asks
    /// nothing more.
    #[schemars(with = "Option<String>")]
    pub every: Option<Spanned<String>>,
    /// Speak TLS from the first byte: true, or a table such as `{ ca = "ca.pem" }`. Default: false. The
    /// `port` is the one that speaks it.
    pub tls: Option<RawTls>,
}

/// TLS of clients that hold connections.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "wanted true, false, or a table with `ca` and `resumption`")]
#[schemars(rename = "TlsOrNot")]
pub(super) enum RawTls {
    Whether(bool),
    Table(Tls),
}

impl RawTls {
    pub fn tls(&self) -> Option<Tls> {
        match self {
            RawTls::Whether(whether) => whether.then(Tls::default),
            RawTls::Table(tls) => Some(tls.clone()),
        }
    }
}

/// Options of an `exchange`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Exchange")]
pub(super) struct RawExchange {
    /// The process that clients connect to. Default: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// The steps of each client, in this order: a list such as `[{ read = "^220" }, { send = 'QUIT\r\n' },
    /// "close"]`.
    #[schemars(with = "Vec<Step>")]
    pub steps: Spanned<Vec<Spanned<Step>>>,
    /// A held client repeats its steps from the mark so often, such as "1s". Default: it says nothing more.
    #[schemars(with = "Option<String>")]
    pub every: Option<Spanned<String>>,
    /// A pattern: where it matches, the server turns the client away, such as "^4" in SMTP. Without it, an
    /// answer that does not match is an error when the server closes after it, or after `read-timeout`.
    #[schemars(with = "Option<String>")]
    pub reject: Option<Spanned<String>>,
    /// An answer that has begun and does not match after this time is an error. Default: "3s".
    #[schemars(with = "Option<String>")]
    pub read_timeout: Option<Spanned<String>>,
    /// How many clients. Default: 1.5 times the soft limit, and as many more as the accept queue holds; for
    /// two to eight workers, as many as fill them all.
    #[schemars(range(min = 1))]
    pub clients: Option<u32>,
    /// The port, if the process listens on several.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The Unix socket, in place of a port: its path, which starts from the folder of the scenario file and
    /// may hold `{scratch}`, or `@` and its abstract name. Default: none, and if the process listens on no
    /// port, its only Unix socket.
    #[schemars(with = "Option<String>")]
    pub unix: Option<Spanned<String>>,
    /// How fast clients come, as for the other workloads that hold connections. Default: "auto".
    #[schemars(with = "Option<String>")]
    pub pace: Option<Spanned<String>>,
    /// Speak TLS from the first byte: true, or a table such as `{ ca = "ca.pem" }`. Default: false. The step
    /// `start-tls` begins it later.
    pub tls: Option<RawTls>,
}

/// Options of a `datagram`. Each client is a flow: a socket of its own, so an address of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Datagram")]
pub(super) struct RawDatagram {
    /// The process that clients send to. Default: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// The text of the datagram. Escapes: `\r \n \t \0 \\ \xHH`; `{client}` stands for the client's number,
    /// always of ten digits.
    #[schemars(with = "Option<String>")]
    pub send: Option<Spanned<String>>,
    /// In its place, bytes in hexadecimal; spaces may stand between them.
    #[schemars(with = "Option<String>")]
    pub send_hex: Option<Spanned<String>>,
    /// The pattern that an answer matches (Rust's `regex`, `^` and `$` at each line). Any other answer turns
    /// the client away. Default: any answer will do.
    #[schemars(with = "Option<String>")]
    pub expect: Option<Spanned<String>>,
    /// Each client sends its datagram again so often, such as "1s", which keeps its flow alive. Default: it
    /// sends one.
    #[schemars(with = "Option<String>")]
    pub every: Option<Spanned<String>>,
    /// How many clients. Default: 1.5 times the soft limit.
    #[schemars(range(min = 1))]
    pub clients: Option<u32>,
    /// The port, if the process serves several.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// How fast clients come, as for the workloads that hold connections. With "burst" or a rate they come
    /// whether others are answered or not; otherwise at most 64 wait for an answer. Default: "auto".
    #[schemars(with = "Option<String>")]
    pub pace: Option<Spanned<String>>,
}

/// Clients that are programs. A client is served when its program ends with exit status 0; otherwise the last
/// line of its output is the error. It runs in the folder of the scenario file, with a soft limit of
/// descriptors as high as the hard limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Clients")]
pub(super) struct RawClients {
    /// Program and arguments. `{address}` is the address and port of the process that clients connect to,
    /// `{port}` its port, `{client}` the client's number from 0, `{clients}` how many this process is;
    /// `{scratch}`, `{certificate}` and `{NAME.port}` are as in the command of a process.
    #[schemars(with = "Vec<String>")]
    pub run: Spanned<Vec<Spanned<String>>>,
    /// Whether there is one process for each client, or one for all. One for all is a load generator such as
    /// wrk: the results of its single clients are unknown. Default: "each".
    #[serde(default)]
    pub one: One,
    /// A pattern (Rust's `regex`): a line of the program's output that matches it says that its client is
    /// served and holds its connection. The program must write each line out at once. Default: none; a client
    /// is served when its program ends with 0.
    #[schemars(with = "Option<String>")]
    pub served: Option<Spanned<String>>,
    /// The exit status by which the program says that the server answered with an error. Its client then got
    /// an error reply. Default: 22 of `curl` (with `--fail`), 8 of `wget`, and none of another program.
    #[schemars(range(min = 1, max = 255))]
    pub error_status: Option<u8>,
    /// Variables that are added to its environment, with the same placeholders.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: BTreeMap<String, Spanned<String>>,
    /// The process that clients connect to. Default: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// How many clients. Default: 1.25 times the soft limit, and 8 more.
    #[schemars(range(min = 1))]
    pub clients: Option<u32>,
    /// The port, if the process listens on several.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// How fast clients come, as for the other workloads that hold connections. One process for all clients
    /// has a pace of its own. Default: "auto".
    #[schemars(with = "Option<String>")]
    pub pace: Option<Spanned<String>>,
}

/// Expected observations. A key that is left out is not judged.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Expect")]
pub(super) struct RawExpect {
    /// Limits in force in the process that accepts.
    #[schemars(with = "Option<ExpectLimits>")]
    pub limits: Option<Spanned<ExpectLimits>>,
    /// Descriptors open before the first client: a number, or an amount as a text.
    pub baseline: Option<u64>,
    /// Connections held at the ceiling (of calls: calls answered before it).
    #[schemars(with = "Option<RawCeiling>")]
    pub ceiling: Option<Spanned<RawCeiling>>,
    /// The first descriptor call that failed.
    pub first_failure: Option<FirstFailure>,
    /// How the server behaves at its ceiling.
    pub policy: Option<Policy>,
    /// The pause between its tries at the ceiling, within 10 %: a constant one such as "1s", or one that
    /// grows, such as `{ first = "5ms", longest = "1s" }`.
    #[schemars(with = "Option<RawDelay>")]
    pub delay: Option<Spanned<RawDelay>>,
    /// Longest time from the moment all clients leave until a new one is served, such as "1s" or "no worse
    /// than recorded by 5 %".
    #[schemars(with = "Option<String>")]
    pub recovers_within: Option<Spanned<String>>,
    /// How the server recovers when clients leave.
    pub recovery: Option<Verdict>,
    /// Longest time from the last change of the limit (`[[then]]`) until it accepts again, such as "2s".
    #[schemars(with = "Option<String>")]
    pub resumes_within: Option<Spanned<String>>,
    /// The ceiling after the last change of the limit (`[[then]]`). In a formula, `soft` and `hard` are the
    /// new limits.
    #[schemars(with = "Option<RawCeiling>")]
    pub ceiling_after: Option<Spanned<RawCeiling>>,
    /// Descriptors that are open after all clients left, less those open before the first client: a number,
    /// or an amount as a text.
    pub leaked: Option<i64>,
    /// Whether `fs.file-max`, the limit of the whole system, stopped it. lastfd reads it and never sets it.
    pub file_max_binds: Option<bool>,
    /// How clients notice failures of descriptor calls other than accept, in any order. `["error-reply"]`:
    /// they get an error, such as 500. `[]`: they notice nothing.
    pub disguise: Option<Vec<SeenAs>>,
    /// How the other listeners of the same processes treat a client that only connects, at the ceiling.
    /// `served` means accepted.
    pub other_listeners: Option<Outcome>,
    /// How the calls of each workload ended, by its name: every way once, in the order in which it first
    /// occurred, such as `a = ["served", "waits", "times-out"]`.
    #[schemars(with = "BTreeMap<String, Vec<Outcome>>")]
    pub outcomes: BTreeMap<Spanned<String>, Vec<Outcome>>,
    /// The keys of metrics and aspects, see `gathered`.
    #[schemars(skip)]
    pub measured: BTreeMap<Spanned<String>, Spanned<RawMeasured>>,
    /// The launcher refuses to start the program, or the program ends before it is ready, such as `{
    /// exit-status = 2, says = "minfds" }`. The scenario's expectations then do not apply to the variant.
    /// Beside other expectations of the same variant: either this, or all of those, for a number that only
    /// some machines permit.
    pub not_started: Option<Refusal>,
}

/// The expected value of a metric or an aspect.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum RawMeasured {
    Integer(i64),
    Number(f64),
    Text(String),
    Words(Vec<String>),
}

/// An expected pause: a constant one, or one that grows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Delay")]
pub(super) enum RawDelay {
    Constant(String),
    Grows(RawGrowth),
}

/// A pause that grows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Growth")]
pub(super) struct RawGrowth {
    /// The pause after the first failure, such as "5ms".
    pub first: String,
    /// The longest pause, however often it fails, such as "1s".
    pub longest: String,
}

/// An expected ceiling: a number, a range (`{ from = 1010, to = 1013 }` or "1010..=1013"), a formula such as
/// "soft - baseline", or "not reached".
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Ceiling")]
pub(super) enum RawCeiling {
    Exactly(u64),
    Range(RawRange),
    Text(String),
}

/// A range; both ends are included.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Range")]
pub(super) struct RawRange {
    /// The smallest number.
    pub from: u64,
    /// The largest number.
    pub to: u64,
}

/// The same scenario with something changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Variant")]
pub(super) struct RawVariant {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The claim of this variant, if it differs from the scenario's claim.
    pub claim: Option<String>,
    /// People's belief about this remedy, in their words. A column of the remedy table.
    pub believed: Option<String>,
    /// The changes: dotted paths in quotes, such as `"processes.server.launcher"`, each with the value that
    /// replaces the whole value there.
    #[serde(default, rename = "set")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub _set: BTreeMap<String, IgnoredAny>,
    /// Replaces the scenario's expectations key by key. With `ceiling = "not reached"` the scenario's
    /// `first-failure`, `policy`, `delay`, `recovery`, `resumes-within` and `disguise` apply only if they are
    /// repeated here; with another `policy`, so does its `delay`.
    #[serde(default)]
    pub expect: RawExpect,
    /// Further needs of this variant. As `requires` of a process.
    #[serde(default)]
    pub requires: Vec<String>,
}

/// The JSON Schema (draft 2020-12) of a scenario file, for editors; `lastfd schema` prints it.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    let schema = settings.into_generator().into_root_schema_for::<File>();
    let mut schema = serde_json::to_value(schema).expect("a schema is JSON");
    super::gathered::described(&mut schema);
    schema
}

/// TOML has no null: an optional key is left out. Removes what schemars says of it.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            object["type"] = only.clone();
        }
    }
    if let Some(serde_json::Value::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|t| t != "null"));
        if let [only] = branches.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only.as_object().cloned().unwrap_or_default());
        }
    }
    if let Some(serde_json::Value::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    if object.get("default").is_some_and(serde_json::Value::is_null) {
        object.remove("default");
    }
}

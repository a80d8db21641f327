//! The plan of a run without a scenario file: where is the ceiling of this command?

use super::Expect;
use super::Pace;
use super::exchange::Exchange;
use super::keep_alive::KeepAlive;
use super::model::*;
use super::placeholder;
use super::setting::Setting;
use crate::event::Redaction;
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;

/// A server command whose ceiling is unknown: [`Find::new`] fills in every default, and [`Find::plan`]
/// makes it a plan that expects nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Find {
    /// Program and arguments; `{port}` is replaced by a free port, `{scratch}` by a temporary folder.
    pub command: Vec<String>,
    /// Descriptor limits that the launcher is started with.
    pub limits: Limits,
    /// Other limits that the launcher is started with.
    pub rlimits: Rlimits,
    /// How the command is started.
    pub launcher: Launcher,
    /// The dialogue of each client; `None`: HTTP where the server answers it, and `tcp` otherwise.
    pub workload: Option<Dialogue>,
    /// Request path.
    pub path: String,
    /// The port to load; `None`: the one the program listens on.
    pub port: Option<u16>,
    /// The Unix socket to load, in place of a port: its path, in which `{scratch}` is replaced too, or `@`
    /// and its abstract name. With neither, a program that listens on no port is loaded by the one Unix
    /// socket that it listens on.
    pub unix: Option<String>,
    /// How many clients; `None`: soft limit × 1.5 + the accept queue's capacity.
    pub clients: Option<u32>,
    /// A bundled server beside the command, for a proxy to connect to: the command, `env` and the text of
    /// copied files name it as `{upstream}`, `{upstream-address}`, `{upstream-port}` and `{ca}`.
    pub upstream: Option<Upstream>,
    /// Whether the command only calls its upstream: no client connects to it, and its ceiling is counted in
    /// calls.
    pub calls: bool,
    /// Variables that are added to its environment.
    pub env: BTreeMap<String, String>,
    /// How fast clients come.
    pub pace: Pace,
    /// The steps of each client, where `workload` is an exchange.
    pub exchange: Option<Exchange>,
    /// The requests of each client, where `workload` is `http-idle` and there is more than one.
    pub keep_alive: KeepAlive,
    /// Clients speak TLS from the first byte.
    pub tls: Option<Tls>,
    /// Calls in place of clients that hold, and how many; `None`: as many as their time or the limit asks
    /// for.
    pub requests: Option<(Calls, Option<u32>)>,
    /// A program of the user's own as the clients.
    pub client: Option<ClientProgram>,
    /// The setting that the command starts in.
    pub setting: Setting,
    /// Longest time that saturation is watched, seconds.
    pub hold_s: f64,
    /// How often recovery is sampled, at most [`Recovery::ROUNDS_MAX`]; with more than one a second ramp
    /// follows.
    pub recoveries: u32,
    /// Longest time until the program listens, seconds.
    pub ready_within_s: f64,
}

/// How the claim of its plan begins; the command follows.
const CLAIM: &str = "the connection ceiling of `";

impl Find {
    /// The command in the claim of its plan.
    pub fn command_in(claim: &str) -> Option<&str> {
        claim.strip_prefix(CLAIM)?.strip_suffix('`')
    }

    /// The name of the scenario in its plan.
    pub const SCENARIO: &'static str = "find";
    /// How its plan calls the command: the subject, and the only process.
    pub const SUBJECT: &'static str = "server";
    /// The same of a command that calls.
    pub const CALLER: &'static str = "caller";
    /// How its plan calls the bundled server beside the command.
    pub const UPSTREAM: &'static str = "upstream";

    /// The placeholder of the upstream that is in one of these words, without its braces.
    pub fn names_upstream<'a>(words: impl IntoIterator<Item = &'a String>) -> Option<&'static str> {
        let in_one = |word: &String| {
            placeholder::OF_UPSTREAM.into_iter().find(|name| word.contains(&format!("{{{name}}}")))
        };
        words.into_iter().find_map(in_one)
    }

    /// This command, executed under these limits.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>, limits: Limits) -> Self {
        Find {
            command: command.into_iter().map(Into::into).collect(),
            limits,
            rlimits: Rlimits::default(),
            launcher: Launcher::Exec,
            workload: None,
            path: "/".into(),
            port: None,
            unix: None,
            clients: None,
            upstream: None,
            calls: false,
            env: BTreeMap::new(),
            pace: Pace::Auto,
            exchange: None,
            keep_alive: KeepAlive::default(),
            tls: None,
            requests: None,
            client: None,
            setting: Setting::default(),
            hold_s: 5.0,
            recoveries: 1,
            ready_within_s: 30.0,
        }
    }

    /// The run that finds it. Relative paths of the command start from the folder that this process is in.
    ///
    /// # Errors
    /// The current folder is unknown, for example because it was removed.
    pub fn plan(self) -> std::io::Result<Plan> {
        let command = shell_words::join(Redaction::default().words(&self.command));
        let claim = format!("{CLAIM}{command}`");
        let mut setting = self.setting;
        setting.names.extend(self.upstream.into_iter().flat_map(names));
        let subject = if self.calls { Self::CALLER } else { Self::SUBJECT };
        let process = Process {
            program: Program::Command(self.command),
            launcher: self.launcher,
            limits: self.limits,
            requires: Vec::new(),
            port: self.port,
            env: self.env,
            ready_within_s: self.ready_within_s,
            grace_s: 2.0,
            begin: None,
            rlimits: self.rlimits,
            setting,
        };
        let workload = Workload {
            kind: self.workload.filter(|_| self.requests.is_none() && self.client.is_none()),
            to: Self::SUBJECT.into(),
            clients: self.requests.as_ref().map_or(self.clients, |(_, count)| *count),
            port: self.port,
            unix: self.unix,
            path: self.path,
            pace: self.pace,
            exchange: self.exchange,
            keep_alive: self.keep_alive,
            tls: self.tls,
            calls: self.requests.map(|(calls, _)| calls),
            program: self.client,
        };
        Ok(Plan {
            scenario: Self::SCENARIO.into(),
            variant: None,
            believed: None,
            claim,
            tags: Vec::new(),
            subject: subject.into(),
            processes: BTreeMap::from_iter(
                self.upstream
                    .map(|serves| (Self::UPSTREAM.into(), beside(serves)))
                    .into_iter()
                    .chain([(subject.into(), process)]),
            ),
            workloads: BTreeMap::from_iter((!self.calls).then(|| ("clients".into(), workload))),
            sysctls: BTreeMap::new(),
            then: Vec::new(),
            recovery: Recovery { rounds: self.recoveries },
            compare: None,
            alone: false,
            expect: Expect::default(),
            hold_s: self.hold_s,
            directory: std::env::current_dir()?,
        })
    }
}

/// The placeholders of the upstream, in those of any scenario.
fn names(upstream: Upstream) -> BTreeMap<String, String> {
    let scheme = match upstream {
        Upstream::Http | Upstream::Grpc => "http",
        Upstream::Https | Upstream::Grpcs => "https",
        Upstream::Tcp => "tcp",
    };
    let port = format!("{{{}.{}}}", Find::UPSTREAM, if upstream.tls() { "tls-port" } else { "port" });
    let address = format!("127.0.0.1:{port}");
    let [url, of_address, of_port, certificate] = placeholder::OF_UPSTREAM.map(String::from);
    let trusted = upstream.tls().then(|| (certificate, "{certificate}".to_owned()));
    let plain = [(url, format!("{scheme}://{address}")), (of_address, address), (of_port, port)];
    plain.into_iter().chain(trusted).collect()
}

/// The bundled server beside the command. Its limit is as high as this process may set it: it is the
/// command's that is looked for.
fn beside(serves: Upstream) -> Process {
    let options = ServeOptions {
        accept: Some("backoff".into()),
        backlog: Some(4096),
        tls: serves.tls(),
        resumption: serves.tls(),
        witness: true,
        ..ServeOptions::default()
    };
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(MOST).min(MOST);
    let serve = match serves {
        Upstream::Http | Upstream::Https => Serve::Http(options),
        Upstream::Tcp => Serve::Tcp(options),
        Upstream::Grpc | Upstream::Grpcs => Serve::Grpc(options),
    };
    Process::serving(serve, Limits { soft: most, hard: most })
}

/// Descriptors of the upstream at most: more than a million clients are never asked for.
const MOST: u64 = 1 << 20;

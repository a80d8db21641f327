//! The options of a bundled server, and how a command line gives them. Parses; starts nothing.

use crate::accept::{Policy, Waiting};
use crate::words::words;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

words! {
    /// The kind of a bundled server.
    pub enum Kind {
        /// HTTP/1.1 (hyper): answers every request with 200 and keeps the connection.
        Http = "http",
        /// RFC 6455: upgrades, holds, answers ping and close.
        Websocket = "websocket",
        /// Accepts and holds, with a bare epoll loop.
        Tcp = "tcp",
        /// gRPC (tonic): `lastfd.echo.v1.Echo/Say`.
        Grpc = "grpc",
        /// HTTP: POST /upload writes a file and calls an HTTP API; any other path calls a gRPC backend over
        /// TLS
        Relay = "relay",
        /// HTTP: each request makes one HTTP call by a new connection
        Outbound = "outbound",
        /// Takes lines of text and writes them to log files; never answers.
        Collector = "collector",
        /// SMTP as far as HELO: speaks first, answers each line; STARTTLS with --certificate and --key
        Mail = "mail",
        /// UDP: answers each datagram with the same bytes; opens sockets for each flow
        Datagram = "datagram",
    }
}

words! {
    /// How the API's answers are treated.
    pub enum Body {
        /// Kept with their bodies unread: the leak.
        Kept = "kept",
        /// Read to their ends; connections are used again.
        Drained = "drained",
        /// Closed unread, and their connections too.
        Closed = "closed",
    }
}

words! {
    /// Channels to the backend.
    pub enum Channels {
        /// One for each call.
        PerCall = "per-call",
        /// One for all calls, made before the server listens.
        Shared = "shared",
    }
}

words! {
    /// How often the backend's certificate is read.
    pub enum CertificateRead {
        /// For each channel anew.
        PerCall = "per-call",
        /// Once, before the server listens.
        Cached = "cached",
    }
}

words! {
    /// How a connection or channel that was made for one call is treated.
    pub enum AfterCall {
        /// It is closed before the request is answered.
        Closed = "closed",
        /// It stays open: the leak.
        LeftOpen = "left-open",
    }
}

words! {
    /// Whether workers share one listening socket or have one each.
    pub enum Listeners {
        /// One for all of them, with one accept queue: any worker that has room takes the next client.
        Shared = "shared",
        /// One each on the same port (SO_REUSEPORT), with a queue each: the kernel chooses a worker for each
        /// client, by a hash of the addresses, and does not ask whether it has room.
        Reuseport = "reuseport",
    }
}

words! {
    /// Log files of the collector.
    pub enum CollectorLog {
        /// One a connection, open as long as that.
        PerConnection = "per-connection",
        /// One for all.
        Shared = "shared",
    }
}

words! {
    /// How a request ends if its file cannot be opened.
    pub enum Opens {
        /// It is answered with 500.
        Or500 = "or-500",
        /// Its connection is closed.
        OrClose = "or-close",
        /// The process exits, as one does that does not look for the error.
        OrExit = "or-exit",
    }
}

/// The services that `relay` and `outbound` call, and how they call them.
#[derive(Debug, Clone)]
pub struct CallArgs {
    /// HTTP API that is called [relay, outbound]
    pub api: Option<SocketAddr>,

    /// How the API's answers are treated [relay]
    pub body: Body,

    /// gRPC backend that is called over TLS [relay]
    pub backend: Option<SocketAddr>,

    /// Certificate to trust in the backend, in PEM [relay]
    pub ca: Option<PathBuf>,

    /// Channels to the backend [relay]
    pub channel: Channels,

    /// How often the certificate is read [relay]
    pub certificate_read: CertificateRead,

    /// How a connection or channel made for one call is treated [relay, outbound]
    pub after_call: AfterCall,

    /// Where uploads and logs are written; default: the temporary directory, where none is left [relay,
    /// collector]
    pub folder: Option<PathBuf>,
}

/// Options of a bundled server.
#[derive(Debug, Clone)]
pub struct Args {
    /// The kind of server
    pub kind: Kind,

    /// Address to listen on
    pub host: IpAddr,

    /// Port to listen on; 0: the kernel chooses
    pub port: u16,

    /// Listen on this Unix socket in place of a port: a path, or @NAME if it is abstract; not with workers
    /// that listen for themselves
    pub unix: Option<String>,

    /// Listen on this port too, and speak TLS there; 0: the kernel chooses [http, grpc and mail]
    pub tls_port: Option<u16>,

    /// Certificate of the TLS port, in PEM
    pub certificate: Option<PathBuf>,

    /// Private key of the TLS port, in PEM
    pub key: Option<PathBuf>,

    /// Let clients resume TLS sessions, in place of a whole handshake each time
    pub resumption: bool,

    /// Tell each connection and call as it comes, in a line of JSON on standard output [http, tcp and grpc,
    /// without --workers]
    pub witness: bool,

    /// Keep the call of this number (the first is 1) and all later ones waiting until SIGUSR1 comes; can be
    /// repeated [http, grpc and tcp; for tcp a call is a connection]
    pub wait_before: Vec<u64>,

    /// How it behaves when accept fails for want of a descriptor
    pub accept: Policy,

    /// Milliseconds that `fixed-delay`, `listener-off` and `storm` wait, and the longest that `backoff` does;
    /// default: as their models do
    pub delay_ms: Option<u64>,

    /// Backlog given to listen(2); the accept queue holds one client more
    pub backlog: u32,

    /// Acceptor threads; more than one: each blocks in accept4
    pub threads: u32,

    /// Block in accept4 with a single thread too, in place of poll and accept until EAGAIN
    pub blocking: bool,

    /// Poll before each accept4, as servers that take one client an event do, in place of accepting until
    /// EAGAIN; always so for `outbound`
    pub poll_each: bool,

    /// Accept by io_uring, in place of accept4; an observer of system calls does not see these accepts
    pub io_uring: bool,

    /// Worker processes; 0: this process accepts by itself, but for `worker-restart`, which needs one
    pub workers: u32,

    /// Whether workers share one listening socket or have one each
    pub listeners: Listeners,

    /// Open what a real service holds when idle until exactly this many descriptors are open, in each
    /// accepting process
    pub baseline: Option<u32>,

    /// Open a file for a moment with each request; and how the request ends when that fails [http]
    pub opens: Option<Opens>,

    /// Keep that file open for so many milliseconds, and answer then [http]
    pub opens_ms: Option<u64>,

    /// Answer each request with so many bytes [http]
    pub answer_bytes: u32,

    /// Compute for so many microseconds before each answer, as a slower release does [http]
    pub delay_us: u32,

    /// Answer no client for so many milliseconds, once: as long as a pause of a garbage collector or a full
    /// disk may take [http]
    pub stall_ms: Option<u64>,

    /// The request (the first is 1) that the stall begins with [http]
    pub stall_at: u64,

    /// Log files of the collector
    pub log: CollectorLog,

    /// Sockets opened for each flow [datagram]
    pub per_flow: u32,

    /// A flow that is silent for so many milliseconds is over [datagram]
    pub idle_ms: u32,

    /// The calls it makes
    pub calls: CallArgs,

    /// This process is a worker of the process with this id. Standard input is the listener, or the bound
    /// socket at whose address it is to listen
    pub worker: Option<i32>,
}

/// The text that `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// Why there are no options to serve with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoArgs {
    /// [`HELP`] was asked for.
    #[error("help was asked for")]
    Help,
    /// The options are wrong.
    #[error("{0}; `--help` lists the options")]
    Wrong(#[from] lexopt::Error),
}

impl Args {
    /// A server of this kind, with every default.
    fn new(kind: Kind) -> Self {
        Args {
            kind,
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            unix: None,
            tls_port: None,
            certificate: None,
            key: None,
            resumption: false,
            witness: false,
            wait_before: Vec::new(),
            accept: Policy::Spin,
            delay_ms: None,
            backlog: 128,
            threads: 1,
            blocking: false,
            poll_each: false,
            io_uring: false,
            workers: 0,
            listeners: Listeners::Shared,
            baseline: None,
            opens: None,
            opens_ms: None,
            answer_bytes: 5,
            delay_us: 0,
            stall_ms: None,
            stall_at: 100,
            log: CollectorLog::PerConnection,
            per_flow: 1,
            idle_ms: 30_000,
            calls: CallArgs {
                api: None,
                body: Body::Kept,
                backend: None,
                ca: None,
                channel: Channels::PerCall,
                certificate_read: CertificateRead::Cached,
                after_call: AfterCall::Closed,
                folder: None,
            },
            worker: None,
        }
    }

    /// The options that these words of a command line give: a kind, and `--name value`.
    ///
    /// # Errors
    /// Help was asked for; an option that is not known, misses its value or another option, or is given a
    /// value that is none of its own.
    pub fn of_words(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, NoArgs> {
        use lexopt::prelude::{Long, Short, Value, ValueExt};
        let mut words = lexopt::Parser::from_args(words);
        // Its place among the options is free.
        let mut args = Args::new(Kind::Http);
        let mut kind = None;
        while let Some(word) = words.next()? {
            let name = match word {
                Short('h') => "help".to_owned(),
                Long(name) => name.to_owned(),
                Value(word) if kind.is_none() => {
                    kind = Some(word.parse()?);
                    continue;
                }
                other => return Err(other.unexpected().into()),
            };
            let mut value = || words.value();
            match name.as_str() {
                "help" => return Err(NoArgs::Help),
                "host" => args.host = value()?.parse()?,
                "port" => args.port = value()?.parse()?,
                "unix" => args.unix = Some(value()?.string()?),
                "tls-port" => args.tls_port = Some(value()?.parse()?),
                "certificate" => args.certificate = Some(value()?.into()),
                "key" => args.key = Some(value()?.into()),
                "resumption" => args.resumption = true,
                "witness" => args.witness = true,
                "wait-before" => args.wait_before.push(value()?.parse_with(within(1, u64::MAX))?),
                "accept" => args.accept = value()?.parse()?,
                "delay-ms" => args.delay_ms = Some(value()?.parse()?),
                "backlog" => args.backlog = value()?.parse_with(within(0, i32::MAX as u32))?,
                "threads" => args.threads = value()?.parse_with(within(1, 1024))?,
                "blocking" => args.blocking = true,
                "poll-each" => args.poll_each = true,
                "io-uring" => args.io_uring = true,
                "workers" => args.workers = value()?.parse_with(within(0, 256))?,
                "listeners" => args.listeners = value()?.parse()?,
                "baseline" => args.baseline = Some(value()?.parse()?),
                "opens" => args.opens = Some(value()?.parse()?),
                "opens-ms" => args.opens_ms = Some(value()?.parse()?),
                "answer-bytes" => args.answer_bytes = value()?.parse_with(within(0, 1 << 26))?,
                "delay-us" | "delay" => args.delay_us = value()?.parse()?,
                "stall-ms" => args.stall_ms = Some(value()?.parse()?),
                "stall-at" => args.stall_at = value()?.parse_with(within(1, u64::MAX))?,
                "log" => args.log = value()?.parse()?,
                "per-flow" => args.per_flow = value()?.parse()?,
                "idle-ms" => args.idle_ms = value()?.parse()?,
                "api" => args.calls.api = Some(value()?.parse()?),
                "body" => args.calls.body = value()?.parse()?,
                "backend" => args.calls.backend = Some(value()?.parse()?),
                "ca" => args.calls.ca = Some(value()?.into()),
                "channel" => args.calls.channel = value()?.parse()?,
                "certificate-read" => args.calls.certificate_read = value()?.parse()?,
                "after-call" => args.calls.after_call = value()?.parse()?,
                "folder" => args.calls.folder = Some(value()?.into()),
                "worker" => args.worker = Some(value()?.parse()?),
                _ => return Err(wrong(&format!("there is no option --{name}"))),
            }
        }
        args.kind = kind.ok_or_else(|| wrong("it is not said what is served"))?;
        args.go_together()?;
        Ok(args)
    }

    /// Finds an option that needs another one, or excludes it.
    fn go_together(&self) -> Result<(), NoArgs> {
        let certified = self.certificate.is_some() && self.key.is_some();
        let rules = [
            (self.unix.is_some() && self.tls_port.is_some(), "--unix has no --tls-port"),
            (self.tls_port.is_some() && !certified, "--tls-port needs --certificate and --key"),
            (self.resumption && self.tls_port.is_none(), "--resumption needs --tls-port"),
            (!self.wait_before.is_empty() && !self.witness, "--wait-before needs --witness"),
            (self.poll_each && self.blocking, "--poll-each excludes --blocking"),
            (
                self.io_uring && (self.blocking || self.poll_each),
                "--io-uring excludes --blocking and --poll-each",
            ),
            (self.opens_ms.is_some() && self.opens.is_none(), "--opens-ms needs --opens"),
            (self.calls.backend.is_some() && self.calls.ca.is_none(), "--backend needs --ca"),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, rule)| Err(wrong(rule)))
    }

    /// Whether the listener blocks. Threads that block in accept4 each hold a descriptor number that no
    /// listing shows; io_uring answers for a listener that does not block at once, as accept4 would, and
    /// otherwise waits in the kernel, where it holds none.
    pub(crate) fn blocks(&self) -> bool {
        self.blocking || self.threads > 1 || self.io_uring
    }

    /// Worker processes: with the policy that restarts them at least one.
    pub(crate) fn workers(&self) -> u32 {
        self.workers.max(u32::from(self.accept == Policy::WorkerRestart))
    }

    /// How acceptors wait.
    pub(crate) fn waiting(&self) -> Waiting {
        match (self.blocks(), self.poll_each || self.kind == Kind::Outbound) {
            _ if self.io_uring => Waiting::Ring,
            _ if self.accept == Policy::WaitsForArrival => Waiting::Edges,
            (true, _) => Waiting::Blocks,
            (false, true) => Waiting::PollsEach,
            (false, false) => Waiting::Polls,
        }
    }

    /// The files of the TLS port's certificate and key; `None` without such a port.
    pub(crate) fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_port.and_then(|_| Some((self.certificate.as_deref()?, self.key.as_deref()?)))
    }
}

fn wrong(why: &str) -> NoArgs {
    NoArgs::Wrong(why.into())
}

/// Reads a number in this range, both ends included.
fn within<N>(least: N, most: N) -> impl FnOnce(&str) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
    N::Err: std::fmt::Display,
{
    move |text| match text.parse::<N>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        Ok(_) => Err(format!("expected {least} to {most}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_option_with_its_default() {
        let source = include_str!("args.rs");
        let hidden = ["delay", "worker"];
        let arms = source.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once(" => "));
        for (name, _) in arms {
            let name = name.split('"').next().expect("a name");
            assert!(
                hidden.contains(&name) || HELP.contains(&format!("--{name}")),
                "--{name} is not in the help"
            );
        }
        assert!(matches!(Args::of_words(["--help"]), Err(NoArgs::Help)));
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for words in [
            "--port 1",
            "http --port 70000",
            "http --threads 0",
            "http --resumption",
            "tcp --blocking --poll-each",
            "http --accept sometimes",
            "http tcp",
        ] {
            assert!(matches!(Args::of_words(words.split(' ')), Err(NoArgs::Wrong(_))), "{words}");
        }
        let args = Args::of_words(
            "--port=0 grpc --accept cap-503 --wait-before 1 --witness --wait-before 5".split(' '),
        );
        let args = args.expect("they go together");
        assert_eq!((args.kind, args.accept, args.wait_before), (Kind::Grpc, Policy::Cap503, vec![1, 5]));
    }
}

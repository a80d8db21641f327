//! The options of a bundled server, to be embedded in a command line of clap. Parses; starts nothing.

use crate::accept::{Policy, Waiting};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// HTTP/1.1 (hyper): answers every request with 200 and keeps the connection.
    Http,
    /// RFC 6455: upgrades, holds, answers ping and close.
    Websocket,
    /// Accepts and holds, with a bare epoll loop.
    Tcp,
    /// gRPC (tonic): `lastfd.echo.v1.Echo/Say`.
    Grpc,
    /// HTTP: POST /upload writes a file and calls an HTTP API; any other path calls a gRPC backend over TLS
    Relay,
    /// HTTP: each request makes one HTTP call by a new connection
    Outbound,
    /// Takes lines of text and writes them to log files; never answers.
    Collector,
    /// SMTP as far as HELO: speaks first, answers each line; STARTTLS with --certificate and --key
    Mail,
    /// UDP: answers each datagram with the same bytes; opens sockets for each flow
    Datagram,
}

/// What becomes of the API's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Body {
    /// Kept with their bodies unread: the leak.
    Kept,
    /// Read to their ends; connections are used again.
    Drained,
    /// Closed unread, and their connections too.
    Closed,
}

/// Channels to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Channels {
    /// One for each call.
    PerCall,
    /// One for all calls, made before the server listens.
    Shared,
}

/// How often the backend's certificate is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CertificateRead {
    /// For each channel anew.
    PerCall,
    /// Once, before the server listens.
    Cached,
}

/// What becomes of a connection or channel that was made for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AfterCall {
    /// It is closed before the request is answered.
    Closed,
    /// It stays open: the leak.
    LeftOpen,
}

/// Whose the listening sockets of workers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Listeners {
    /// One for all of them, with one accept queue: any worker that has room takes the next client.
    Shared,
    /// One each on the same port (SO_REUSEPORT), with a queue each: the kernel chooses a worker for each
    /// client, by a hash of the addresses, and does not ask whether it has room.
    Reuseport,
}

/// Log files of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CollectorLog {
    /// One a connection, open as long as that.
    PerConnection,
    /// One for all.
    Shared,
}

/// What becomes of a request whose file cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Opens {
    /// It is answered with 500.
    #[value(name = "or-500")]
    Or500,
    /// Its connection is closed.
    OrClose,
    /// The process exits, as one does that does not look for the error.
    OrExit,
}

/// Whom `relay` and `outbound` call, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct CallArgs {
    /// HTTP API that is called [relay, outbound]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub api: Option<SocketAddr>,

    /// What becomes of the API's answers [relay]
    #[arg(long, value_enum, default_value_t = Body::Kept)]
    pub body: Body,

    /// gRPC backend that is called over TLS [relay]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "ca")]
    pub backend: Option<SocketAddr>,

    /// Certificate to trust in the backend, in PEM [relay]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Channels to the backend [relay]
    #[arg(long, value_enum, default_value_t = Channels::PerCall)]
    pub channel: Channels,

    /// How often the certificate is read [relay]
    #[arg(long, value_enum, default_value_t = CertificateRead::Cached)]
    pub certificate_read: CertificateRead,

    /// What becomes of a connection or channel made for one call [relay, outbound]
    #[arg(long, value_enum, default_value_t = AfterCall::Closed)]
    pub after_call: AfterCall,

    /// Where uploads and logs are written; default: the temporary directory, where none is left [relay,
    /// collector]
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

/// Options of a bundled server.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What is served
    #[arg(value_enum)]
    pub kind: Kind,

    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on; 0: the kernel chooses
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// Listen on this Unix socket in place of a port: a path, or @NAME if it is abstract; not with workers
    /// that listen for themselves
    #[arg(long, value_name = "PATH", conflicts_with = "tls_port")]
    pub unix: Option<String>,

    /// Listen on this port too, and speak TLS there; 0: the kernel chooses [http, grpc and mail]
    #[arg(long, value_name = "PORT", requires_all = ["certificate", "key"])]
    pub tls_port: Option<u16>,

    /// Certificate of the TLS port, in PEM
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,

    /// Private key of the TLS port, in PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Let clients resume TLS sessions, in place of a whole handshake each time
    #[arg(long, requires = "tls_port")]
    pub resumption: bool,

    /// Tell each connection and call as it comes, in a line of JSON on standard output [http, tcp and grpc,
    /// without --workers]
    #[arg(long)]
    pub witness: bool,

    /// Keep the call of this number (the first is 1) and all later ones waiting until SIGUSR1 comes; can be
    /// repeated [http, grpc and tcp; of tcp a call is a connection]
    #[arg(long, value_name = "N", requires = "witness", value_parser = clap::value_parser!(u64).range(1..))]
    pub wait_before: Vec<u64>,

    /// What it does when accept fails for want of a descriptor
    #[arg(long, value_enum, default_value_t = Policy::Spin)]
    pub accept: Policy,

    /// Milliseconds that `fixed-delay`, `listener-off` and `storm` wait, and the longest that `backoff` does;
    /// default: as their models do
    #[arg(long)]
    pub delay_ms: Option<u64>,

    /// Backlog given to listen(2); the accept queue holds one client more
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=i32::MAX as i64))]
    pub backlog: u32,

    /// Acceptor threads; more than one: each blocks in accept4
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,

    /// Block in accept4 with a single thread too, in place of poll and accept until EAGAIN
    #[arg(long)]
    pub blocking: bool,

    /// Poll before each accept4, as servers that take one client an event do, in place of accepting until
    /// EAGAIN; always so for `outbound`
    #[arg(long, conflicts_with = "blocking")]
    pub poll_each: bool,

    /// Accept by io_uring, in place of accept4; nobody who watches system calls sees these accepts
    #[arg(long, conflicts_with_all = ["blocking", "poll_each"])]
    pub io_uring: bool,

    /// Worker processes; 0: this process accepts by itself, but for `worker-restart`, which needs one
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub workers: u32,

    /// Whose the listening sockets of workers are
    #[arg(long, value_enum, default_value_t = Listeners::Shared)]
    pub listeners: Listeners,

    /// Open what a real service holds when idle until exactly this many descriptors are open, in each
    /// accepting process
    #[arg(long)]
    pub baseline: Option<u32>,

    /// Open a file for a moment with each request; and what becomes of the request when that fails [http]
    #[arg(long, value_enum)]
    pub opens: Option<Opens>,

    /// Keep that file open for so many milliseconds, and answer then [http]
    #[arg(long, value_name = "MS", requires = "opens")]
    pub opens_ms: Option<u64>,

    /// Answer each request with so many bytes [http]
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=1 << 26))]
    pub answer_bytes: u32,

    /// Compute for so many microseconds before each answer, as a slower release does [http]
    #[arg(long, value_name = "US", alias = "delay", default_value_t = 0)]
    pub delay_us: u32,

    /// Answer nobody for so many milliseconds, once: as long as a pause of a garbage collector or a full disk
    /// may take [http]
    #[arg(long, value_name = "MS")]
    pub stall_ms: Option<u64>,

    /// The request (the first is 1) that the stall begins with [http]
    #[arg(long, value_name = "N", requires = "stall_ms", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub stall_at: u64,

    /// Log files of the collector
    #[arg(long, value_enum, default_value_t = CollectorLog::PerConnection)]
    pub log: CollectorLog,

    /// Sockets opened for each flow [datagram]
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub per_flow: u32,

    /// A flow that is silent for so many milliseconds is over [datagram]
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub idle_ms: u32,

    /// The calls it makes
    #[command(flatten)]
    pub calls: CallArgs,

    /// This process is a worker of the process with this id, and standard input is the listener, or what is
    /// bound where it is to listen
    #[arg(long, hide = true)]
    pub worker: Option<i32>,
}

impl Args {
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

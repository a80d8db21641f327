//! The life of one server process: everything is opened first, the listener listens last, then a signal is
//! awaited.
//!
//! The calling thread becomes the one that waits for signals, through sigwait and so without a descriptor. A
//! process that has workers goes to [`crate::workers`] instead and accepts nothing itself.

use crate::accept::{self, Ended, Policy, Reserve, Responder, Taker, Waiting};
use crate::args::{Args, Kind, Listeners};
use crate::baseline;
use crate::lines::{complain, say};
use crate::listener::Listener;
use crate::relay;
use crate::start::{READY, StartError, announcement, wait_for_signal};
use crate::tally::{Counted, Tally};
use crate::tls::{self, Doorkeeper};
use crate::witness::Witness;
use crate::{Deliver, Door, collector, datagram, grpc, http, mail, tcp, websocket, workers};
use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, getppid, getrlimit, set_parent_process_death_signal};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Runs the process that `args` describe to its end.
pub(crate) fn run(args: &Args) -> Result<Infallible, StartError> {
    match args.accept {
        Policy::ReserveFd if args.blocks() => return Err(StartError::PolicyBlocks("reserve-fd")),
        Policy::WaitsForArrival if args.blocks() => {
            return Err(StartError::PolicyBlocks("waits-for-arrival"));
        }
        Policy::WaitsForClose if args.kind == Kind::Grpc => return Err(StartError::ClosesUnheard),
        _ => {}
    }
    if args.tls_port.is_some()
        && (args.workers() > 0 || !matches!(args.kind, Kind::Http | Kind::Grpc | Kind::Mail))
    {
        return Err(StartError::NoTls);
    }
    if args.opens.is_some() && args.kind != Kind::Http {
        return Err(StartError::NoFile);
    }
    if args.witness && (args.workers() > 0 || !matches!(args.kind, Kind::Http | Kind::Tcp | Kind::Grpc)) {
        return Err(StartError::NoWitness);
    }
    match (args.kind, args.calls.api, args.calls.backend) {
        (Kind::Outbound, None, _) => {
            return Err(StartError::NobodyToCall("outbound needs somebody to call: --api"));
        }
        (Kind::Relay, None, None) => {
            return Err(StartError::NobodyToCall("relay needs somebody to call: --api, --backend or both"));
        }
        _ => {}
    }
    if args.kind == Kind::Datagram && (args.workers() > 0 || args.threads > 1 || args.unix.is_some()) {
        return Err(StartError::AcceptsNobody);
    }
    let signals = block_signals(args)?;
    if args.kind == Kind::Datagram {
        return datagram::run(args, &signals);
    }
    if let Some(master) = args.worker {
        die_with(master)?;
        let listener = match args.listeners {
            Listeners::Shared => Listener::Inherited.address().map(|_| Listener::Inherited),
            Listeners::Reuseport => Listener::beside_inherited(args.blocks()),
        };
        let listener = listener.map_err(StartError::NotAListener)?;
        return accept_until_signal(args, vec![(Door::Plain, listener)], signals, |_, _| READY.to_owned());
    }
    let listener = bind(args, args.port)?;
    if args.workers() > 0 {
        return workers::run(args, listener, signals);
    }
    let mut listeners = vec![(Door::Plain, listener)];
    if let Some(port) = args.tls_port {
        listeners.push((Door::Tls, bind(args, port)?));
    }
    accept_until_signal(args, listeners, signals, |door, address| match door {
        Door::Plain => announcement(&address),
        Door::Tls => format!("{} with TLS", announcement(&address)),
    })
}

/// Where it is to listen.
fn asked(args: &Args, port: u16) -> String {
    args.unix
        .as_ref()
        .map_or_else(|| SocketAddr::from((args.host, port)).to_string(), |name| format!("unix:{name}"))
}

fn bind(args: &Args, port: u16) -> Result<Listener, StartError> {
    let several = args.listeners == Listeners::Reuseport;
    match &args.unix {
        Some(name) => Listener::bind_unix(name, args.blocks()),
        None => Listener::bind(SocketAddr::from((args.host, port)), args.blocks(), several),
    }
    .map_err(|errno| StartError::Listen { address: asked(args, port), source: errno.into() })
}

/// Blocks SIGTERM and SIGINT in this thread and all that it starts, and SIGUSR1 where calls may be kept
/// waiting; returns them to be waited for.
fn block_signals(args: &Args) -> Result<SigSet, StartError> {
    let goes_on = args.witness.then_some(Signal::SIGUSR1);
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().chain(goes_on).collect();
    signals.thread_block().map_err(|errno| StartError::Signals(Errno::from_raw_os_error(errno as i32)))?;
    Ok(signals)
}

/// SIGKILL for this process as soon as the master ends, however it does.
fn die_with(master: i32) -> Result<(), StartError> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|errno| StartError::Worker { source: errno.into() })?;
    // A master that had ended before the line above sends nothing.
    if getppid().map(Pid::as_raw_pid) == Some(master) { Ok(()) } else { Err(StartError::Orphaned(master)) }
}

/// Opens everything, accepts on `listeners` until one of `signals` comes, and ends the process.
fn accept_until_signal(
    args: &Args,
    listeners: Vec<(Door, Listener)>,
    signals: SigSet,
    ready: impl Fn(Door, String) -> String,
) -> Result<Infallible, StartError> {
    let service = |source| StartError::Service { source };
    let mut reserves = Vec::new();
    if args.accept == Policy::ReserveFd {
        // Each acceptor has its own spare: it could not count on one that another acceptor gave up.
        for _ in &listeners {
            reserves.push(Reserve::open().map_err(|errno| service(errno.into()))?);
        }
    }
    grow_descriptor_table(&listeners[0].1);
    let tally = Arc::new(Tally::new(Counted {
        handshakes: args.tls_port.is_some() || args.calls.backend.is_some(),
        work: matches!(args.kind, Kind::Relay | Kind::Outbound | Kind::Collector),
        witness: args.witness.then(|| Witness::new(args.wait_before.clone())),
    }));
    let deliver = start_service(args, &tally)?;
    let mut acceptors = Vec::new();
    for (door, listener) in listeners {
        acceptors.push(start_acceptors(args, door, listener, reserves.pop(), &tally, &deliver)?);
    }
    // Last of all descriptors, and open until the process ends.
    let _held = args.baseline.map(baseline::fill).transpose()?;
    let mut said = Vec::new();
    // Where connections are kept waiting, the kernel completes no more of them than one.
    let holds_up = args.kind == Kind::Tcp && !args.wait_before.is_empty();
    let plain = acceptors[0].listener.clone();
    let backlog = if holds_up { 0 } else { args.backlog };
    // The plain listener last: a client that waits for it finds all of them.
    for Acceptors { door, listener, waiting } in acceptors.into_iter().rev() {
        let address = listener.listen(backlog).and_then(|()| listener.address()).map_err(|errno| {
            StartError::Listen {
                address: asked(
                    args,
                    if door == Door::Plain { args.port } else { args.tls_port.unwrap_or(0) },
                ),
                source: errno.into(),
            }
        })?;
        waiting.iter().for_each(|begin| begin.send(()).expect("it waits"));
        said.push(ready(door, address));
    }
    said.iter().rev().for_each(|line| say(line));
    while wait_for_signal(&signals) == Signal::SIGUSR1 {
        if !tally.go_on() && holds_up {
            // It listens already, so this only makes room.
            let _ = plain.listen(args.backlog);
        }
    }
    tally.end(0)
}

/// Grows the descriptor table to the soft limit, up to this many numbers (8 bytes each).
const TABLE_AT_MOST: u64 = 1 << 16;

/// Grows the descriptor table to its full size while no second thread shares it. Later each doubling would
/// stop the acceptor until every CPU has left its RCU read sections, 5–20 ms (Linux, fs/file.c,
/// `expand_fdtable`), and clients would pile up meanwhile.
fn grow_descriptor_table(listener: &Listener) {
    let soft = getrlimit(Resource::Nofile).current.unwrap_or(TABLE_AT_MOST).min(TABLE_AT_MOST);
    // The highest number there is, let go at once. A table that stays small is only slower.
    drop(rustix::io::fcntl_dupfd_cloexec(listener.as_fd(), i32::try_from(soft).map_or(0, |soft| soft - 1)));
}

/// The soft limit of descriptors when the process started to accept.
fn soft_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Opens what the service needs at rest and starts its thread.
fn start_service(args: &Args, tally: &Arc<Tally>) -> Result<Deliver, StartError> {
    let doorkeeper =
        |protocols: &[&[u8]]| Doorkeeper::new(args.tls_files(), protocols, args.resumption, tally);
    match args.kind {
        Kind::Http => {
            // A client that offers both versions is served as one that knows HTTP/1.1 alone.
            let doorkeeper = doorkeeper(&[tls::HTTP_1, tls::HTTP_2])?;
            http::start(doorkeeper, http::Answer::of(args), http::Stall::of(args), tally)
        }
        Kind::Websocket => websocket::start(tally),
        Kind::Tcp => tcp::start(tally),
        Kind::Grpc => grpc::start(doorkeeper(&[tls::HTTP_2])?),
        Kind::Relay | Kind::Outbound => return Ok(relay::start(args, tally)?),
        Kind::Collector => collector::start(args, tally),
        Kind::Mail => mail::start(doorkeeper(&[tls::SMTP])?, tally),
        Kind::Datagram => unreachable!("it accepts nobody"),
    }
    .map_err(|source| StartError::Service { source })
}

/// The acceptor threads of a listener, with all open that they need.
struct Acceptors {
    door: Door,
    listener: Arc<Listener>,
    /// Channels that start the waiting threads.
    waiting: Vec<Sender<()>>,
}

/// Starts the acceptor threads of a listener; one that ends takes the process with it, unless the policy is
/// to fall silent.
fn start_acceptors(
    args: &Args,
    door: Door,
    listener: Listener,
    mut reserve: Option<Reserve>,
    tally: &Arc<Tally>,
    deliver: &Deliver,
) -> Result<Acceptors, StartError> {
    let (listener, mut acceptors) = (Arc::new(listener), Vec::new());
    let way = args.waiting();
    let name = if door == Door::Plain { "accept" } else { "accept-tls" };
    for number in 0..args.threads {
        let delay = args.delay_ms.map_or(args.accept.delay(), Duration::from_millis);
        let responder = Responder::new(args.accept, delay, args.backlog, soft_limit());
        let (listener, tally, deliver, reserve) =
            (listener.clone(), tally.clone(), deliver.clone(), reserve.take());
        let ((opened, open), (begin, begins)) = (channel(), channel::<()>());
        let accept = move || {
            let taker = match Taker::open(way, listener.as_fd()) {
                Ok(taker) => taker,
                Err(source) => return opened.send(source).expect("it is waited for"),
            };
            drop(opened);
            if begins.recv().is_err() {
                return; // The process could not start.
            }
            match accept::run(&listener, way, taker, responder, reserve, &tally, |connection| {
                deliver(connection, door)
            }) {
                Ended::GaveUp(errno) | Ended::Broken(errno) => {
                    complain(format_args!("accept: {errno}"));
                    tally.end(1)
                }
                // Never closed: a client in its queue waits on.
                Ended::FellSilent => std::mem::forget(listener),
            }
        };
        std::thread::Builder::new()
            .name(format!("{name}-{number}"))
            .spawn(accept)
            .map_err(|source| StartError::Service { source })?;
        if let Ok(source) = open.recv() {
            let ring = way == Waiting::Ring;
            return Err(if ring { StartError::Ring { source } } else { StartError::Service { source } });
        }
        acceptors.push(begin);
    }
    Ok(Acceptors { door, listener, waiting: acceptors })
}

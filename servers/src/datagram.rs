//! A UDP relay as far as its descriptors go: it answers each datagram with the same bytes, and may open
//! sockets for each flow, as a TURN server or a DNS forwarder does. A flow is an address that datagrams come
//! from. Its sockets are closed when it has been silent for a while. A datagram of a flow that cannot have
//! its sockets is not answered.

use crate::args::Args;
use crate::baseline;
use crate::lines::{complain, say};
use crate::start::{StartError, announcement, wait_for_signal};
use crate::tally::{Counted, Tally};
use nix::sys::signal::SigSet;
use rustix::io::Errno;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest datagram that UDP takes, bytes.
const DATAGRAM_BYTES: usize = 65_535;

/// Opens everything, serves until one of `signals` comes, and ends the process.
pub(crate) fn run(args: &Args, signals: &SigSet) -> Result<Infallible, StartError> {
    let address = SocketAddr::from((args.host, args.port));
    // The socket that is served comes last: a server that is seen to have it is at rest.
    let _held = args.baseline.map(|all| baseline::fill(all.saturating_sub(1))).transpose()?;
    let refused = |source| StartError::Listen { address: address.to_string(), source };
    let socket = UdpSocket::bind(address).map_err(refused)?;
    say(&announcement(&socket.local_addr().map_err(refused)?.to_string()));
    let tally = Arc::new(Tally::new(Counted { work: true, ..Counted::default() }));
    let (counts, each) = (tally.clone(), args.per_flow);
    let idle = Duration::from_millis(args.idle_ms.into());
    std::thread::Builder::new()
        .name("datagrams".to_owned())
        .spawn(move || {
            let error = serve(&socket, Flows { all: HashMap::new(), each, idle, due: None }, &counts);
            complain(format_args!("UDP: {error}"));
            counts.end(1)
        })
        .map_err(|source| StartError::Service { source })?;
    wait_for_signal(signals);
    tally.end(0)
}

/// Answers datagrams until the socket breaks; returns how.
fn serve(socket: &UdpSocket, mut flows: Flows, tally: &Tally) -> io::Error {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let wait = flows.due.map(|due| due.saturating_duration_since(Instant::now()).max(MOMENT));
        if let Err(error) = socket.set_read_timeout(wait) {
            return error;
        }
        match socket.recv_from(&mut datagram) {
            Ok((length, from)) => match flows.heard(from) {
                Ok(()) => {
                    // A client that is gone gets no answer, and that is no failure.
                    let _ = socket.send_to(&datagram[..length], from);
                    tally.count_done();
                }
                Err(error) => {
                    let full = error.raw_os_error() == Some(Errno::MFILE.raw_os_error());
                    tally.count_failed(full.then_some("socket"));
                }
            },
            // The kernel reports an answer that reached nobody (ECONNREFUSED) at the next call.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return error,
        }
        flows.let_go(Instant::now());
    }
}

/// A wait of no time at all would be one without end.
const MOMENT: Duration = Duration::from_millis(1);

struct Flows {
    all: HashMap<SocketAddr, Flow>,
    /// Sockets of each.
    each: u32,
    /// A flow that is silent for so long is over.
    idle: Duration,
    /// None is over before; `None`: there is none with sockets.
    due: Option<Instant>,
}

struct Flow {
    _sockets: Vec<UdpSocket>,
    heard: Instant,
}

impl Flows {
    /// A datagram came: for a new flow the sockets are opened.
    fn heard(&mut self, from: SocketAddr) -> io::Result<()> {
        let heard = Instant::now();
        if self.each == 0 {
            return Ok(());
        }
        if let Some(flow) = self.all.get_mut(&from) {
            flow.heard = heard;
            return Ok(());
        }
        let sockets = (0..self.each).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
        self.all.insert(from, Flow { _sockets: sockets.collect::<io::Result<_>>()?, heard });
        self.due.get_or_insert(heard + self.idle);
        Ok(())
    }

    /// Closes the flows that are over.
    fn let_go(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.all.retain(|_, flow| flow.heard + self.idle > now);
            self.due = self.all.values().map(|flow| flow.heard + self.idle).min();
        }
    }
}

//! One side, started afresh: its processes, and what lastfd's own side of them has seen.

use crate::compare::{Quantity, Side, Start, Work};
use crate::event::{Event, Seen, What};
use crate::run::companions::{self, Companion, Which};
use crate::run::error::Error;
use crate::run::options::Options;
use crate::run::places::Places;
use crate::scenario::Plan;
use crate::sys::sock_diag::{EVERY_STATE, SockDiag, State};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The settings that every start needs.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub options: &'a Options,
    pub interrupted: &'a AtomicBool,
    /// When the time of the comparison is over.
    pub deadline: Instant,
}

impl Site<'_> {
    /// # Errors
    /// It was interrupted, or the time is over.
    pub fn go_on(&self) -> Result<(), Error> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false if self.over() => Err(Error::Inconclusive(
                "the time was over in the middle of a block; allow more with --within".into(),
            )),
            false => Ok(()),
        }
    }

    /// Whether the time of the comparison is over.
    pub fn over(&self) -> bool {
        self.left().is_zero()
    }

    /// The time that is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A failure after the end of the time says nothing about the program: `in_time` let it wait for less.
    pub fn cut(&self, error: Error) -> Error {
        match error {
            Error::NotStarted(said) if self.over() => Error::Inconclusive(format!(
                "the time was over before a process was ready; allow more with --within. {said}"
            )),
            other => other,
        }
    }

    /// The same plan, whose processes are ready within the time that is left.
    pub fn in_time(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        for process in plan.processes.values_mut() {
            process.ready_within_s = process.ready_within_s.min(self.left().as_secs_f64());
        }
        plan
    }
}

/// Why a block failed.
#[derive(Debug)]
pub struct Failed {
    /// `None`: nobody knows which side failed.
    pub side: Option<Side>,
    pub error: Error,
}

impl Failed {
    /// A failure of this side.
    pub fn of(side: Side) -> impl Fn(Error) -> Failed {
        move |error| Failed { side: Some(side), error }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { side: None, error }
    }
}

/// The error with the name of its side before it.
pub fn named(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotStarted(said) => Error::NotStarted(format!("{name}: {said}")),
        Error::Inconclusive(said) => Error::Inconclusive(format!("{name}: {said}")),
        other => other,
    }
}

/// The processes beside the subject (or all, if it is a server), and their reports.
pub struct Beside {
    pub places: Places,
    pub diag: SockDiag,
    pub companions: BTreeMap<String, Companion>,
    pub sink: Sender<Vec<Event>>,
    pub events: Receiver<Vec<Event>>,
    /// The ports at which they listen.
    ports: Vec<u16>,
    /// Connections there before anybody was called.
    earlier: Busy,
}

impl Beside {
    /// Starts them. `but`: the subject, where it is no server.
    pub fn start(plan: &Plan, but: Option<&str>, site: Site<'_>) -> Result<Beside, Error> {
        site.go_on()?;
        let mut diag = SockDiag::open()?;
        // A port of an earlier start would make its connections wait here, too.
        let mut waiting = HashSet::new();
        diag.sockets(State::TIME_WAIT.bit(), |socket| {
            waiting.extend([socket.local.port(), socket.peer.port()])
        })?;
        let places = Places::choose_but(plan, &mut diag, waiting)?;
        let (sink, events) = channel();
        let which = Which { but, stops: &[] };
        let companions =
            companions::start(plan, which, site.options, &places, &mut diag, &sink, site.interrupted)
                .map_err(|error| site.cut(error))?;
        let listening = |(name, companion): (&String, &Companion)| {
            companion.ready.address.port().into_iter().chain(places.tls_port(name)).collect::<Vec<_>>()
        };
        let ports: Vec<u16> = companions.iter().flat_map(listening).collect();
        let earlier = Busy::at(&mut diag, &ports)?;
        Ok(Beside { places, diag, companions, sink, events, ports, earlier })
    }

    /// The events since the last look, or within this time.
    pub fn next(&self, within: Duration) -> Vec<Event> {
        let first = self.events.recv_timeout(within).unwrap_or_default();
        first.into_iter().chain(self.events.try_iter().flatten()).collect()
    }

    /// Connections that came of this start, and still keep a source port busy.
    pub fn busy(&mut self) -> Result<Busy, Error> {
        let now = Busy::at(&mut self.diag, &self.ports)?;
        let new = |now: HashSet<_>, earlier: &HashSet<_>| now.difference(earlier).copied().collect();
        Ok(Busy { waiting: new(now.waiting, &self.earlier.waiting), open: new(now.open, &self.earlier.open) })
    }
}

/// Connections to some listeners, each by its source port and the listener's.
#[derive(Debug, Default)]
pub struct Busy {
    /// In TIME_WAIT, on either side.
    waiting: HashSet<(u16, u16)>,
    /// In any other state.
    open: HashSet<(u16, u16)>,
}

impl Busy {
    /// At these ports now.
    fn at(diag: &mut SockDiag, ports: &[u16]) -> Result<Busy, Error> {
        let mut busy = Busy::default();
        diag.sockets(EVERY_STATE & !State::LISTEN.bit(), |socket| {
            let (local, peer) = (socket.local.port(), socket.peer.port());
            let connection = if ports.contains(&peer) { (local, peer) } else { (peer, local) };
            if ports.contains(&connection.1) {
                let waits = socket.state == State::TIME_WAIT;
                if waits { &mut busy.waiting } else { &mut busy.open }.insert(connection);
            }
        })?;
        Ok(busy)
    }

    /// Puts both numbers into the values of a start.
    pub fn tell(&self, start: &mut Start) {
        start.values.insert(Quantity::TimeWait, self.waiting.len() as f64);
        start.values.insert(Quantity::SourcePorts, self.waiting.union(&self.open).count() as f64);
    }
}

/// The last counts of a bundled upstream, if any of these events is from it.
pub fn seen(events: &[Event]) -> impl Iterator<Item = (u64, &Seen)> {
    events.iter().filter_map(|event| match &event.is {
        What::Upstream(seen) => Some((event.at, seen)),
        _ => None,
    })
}

/// A failed call in the account of the work.
pub fn failed(work: &mut Work, how: &str) {
    *work.failed.entry(how.to_owned()).or_default() += 1;
}

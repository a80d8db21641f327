//! The driver process (`lastfd drive`): one thread, one epoll instance, all clients of one workload.
//!
//! Orders come as lines on standard input and are obeyed as they are read; events go out as lines, once a
//! turn. A client costs its socket and under 200 bytes. Clients leave by close(2), as real ones do, which
//! leaves TIME_WAIT on their side: [`super::source`] says what of it. The driver never speaks to the subject
//! but as a client, and knows nothing of the run's phases.
//!
//! A `Release` also ends the ramp: clients that were not started are not started any more until a further
//! `Connect`, or the places set free would go to new clients instead of the waiting ones. `Parked` is said
//! when the queue has stayed more than half full for 5 ms, not at each breath of the subject. `connected` of
//! a pacing event counts connects that have succeeded so far, in all.

use super::calls;
use super::client::{Client, Dial, Failure, Heard, Scratch};
use super::dialogue::{Registered, Site};
pub use super::orders::Error;
use super::orders::{Lines, at, parsed};
use super::pacing::{Gate, Load};
use super::probe::{Probe, Question, Seen, failed, outcome};
use super::program::Programs;
use super::protocol::{Kind, Order, Setup};
use super::registry::registered;
use super::report::Reporter;
use super::source::{self, Sources};
use super::tls::Secure;
use crate::event::{Client as State, Label, Outcome, Pacing, Unseen, What};
use crate::scenario::{Dialogue, Pace, Tls};
use crate::sys::address::Address;
use crate::sys::clock;
use crate::sys::sock_diag::SockDiag;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Tokens: a client's index; from here on probes; and standard input.
const PROBES: u64 = 1 << 32;
const ORDERS: u64 = u64::MAX;
/// Events taken in one turn, and connects made in one.
const TURN: usize = 512;
const CONNECTS_A_TURN: u32 = 128;
/// Clients that wait to be watched, at most.
const UNWATCHED: usize = 2048;
const MS: u64 = 1_000_000;
/// Clients that a workload connects from the usual address without looking who uses it; half of that
/// address's room is several workloads'.
const UNASKED: usize = 2_000;
/// No credit for this long: the subject is not just taking breath.
const PARKED_AFTER: u64 = 5 * MS;
/// Without credit the queue is asked again after this, and once parked every millisecond. Long enough for the
/// subject to take all that waits: it may be on the same CPU, so asking without a pause would keep it from
/// that.
const ASK_EVERY: u64 = MS / 10;
/// A full accept queue of a Unix socket is tried again after this; that there is room in it is no event.
const KNOCK_EVERY: u64 = 5 * MS;

/// Makes this process a driver: its soft `RLIMIT_NOFILE` becomes its hard limit, and the kernel kills it when
/// the thread that started it ends.
///
/// # Errors
/// setrlimit or prctl failed.
pub fn prepare() -> Result<(), Error> {
    rlimit::increase_nofile_limit(u64::MAX)
        .map_err(at("raising the soft limit of open files to the hard limit"))?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(at("asking to die with the harness"))
}

/// Reads a `Setup` line and then obeys orders until `Quit` or the end of input. Writes nothing but events.
///
/// # Errors
/// See [`Error`]. The fate of clients is never an error.
pub fn run(stdin: impl AsFd, stdout: impl Write) -> Result<(), Error> {
    let mut lines = Lines::new(stdin.as_fd());
    let setup = loop {
        if let Some(line) = lines.next()? {
            break parsed::<Setup>(&line)?;
        }
        if lines.ended {
            return Err(Error::NoSetup);
        }
        lines.read()?;
    };
    match setup.kind {
        Kind::Hold { dialogue, pace, ref tls } => {
            let tls = tls.clone();
            Driver::new(setup, dialogue, pace, tls, stdout)?.obey(&mut lines)
        }
        Kind::Call { .. } => calls::run(setup, lines, stdout),
        Kind::Program { ref program, pace } => {
            let program = program.clone();
            Programs::new(setup, program, pace, stdout)?.obey(&mut lines)
        }
    }
}

fn unless_interrupted(waited: Result<usize, rustix::io::Errno>) -> Result<(), rustix::io::Errno> {
    match waited {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A question to a held client that is still to be asked: which of how many.
struct Asked {
    nth: u32,
    of: u32,
    deadline_ms: u64,
}

/// The state of a client of the ramp.
enum Place {
    Connecting(Client),
    Connected(Client),
    Served(Client),
    /// An error reply came, and the connection is still open.
    Rejected(Client),
    Gone,
}

impl Place {
    fn client(&mut self) -> Option<&mut Client> {
        match self {
            Place::Connecting(client)
            | Place::Connected(client)
            | Place::Served(client)
            | Place::Rejected(client) => Some(client),
            Place::Gone => None,
        }
    }
}

struct Driver<W> {
    site: Site,
    workload: &'static Registered,
    first_id: u32,
    connect_deadline: u64,
    epoll: OwnedFd,
    report: Reporter<W>,
    scratch: Scratch,
    /// Decided at the first socket: other drivers may connect before.
    sources: Option<Sources>,
    gate: Gate,
    /// Every client ever started, oldest first; its index is its token and its id less `first_id`.
    places: Vec<Place>,
    /// Deadline and index of clients in the handshake, soonest first; some of them have left it.
    deadlines: VecDeque<(u64, usize)>,
    /// To be started in all.
    ordered: usize,
    credit: u32,
    load: Load,
    connected: u32,
    /// The pacing that was last reported; `None` before the first order.
    pacing: Option<Pacing>,
    /// Since when there is no credit.
    starved: Option<u64>,
    /// Clients that wait for room in a Unix socket's accept queue are not dialled again before this.
    knock_at: u64,
    probes: Vec<Probe>,
    probes_made: u64,
    question: Option<Question>,
    /// The questions after it.
    questions: VecDeque<Asked>,
    /// Tokens that have more to read.
    unread: Vec<u64>,
    /// Connected clients that are not watched yet.
    unwatched: Vec<usize>,
    alarms: Alarms,
}

/// When clients are to go on by themselves, by token; one time each.
#[derive(Default)]
struct Alarms {
    soonest: BinaryHeap<Reverse<(u64, u64)>>,
    of: HashMap<u64, u64>,
}

impl Alarms {
    fn set(&mut self, token: u64, at: u64) {
        self.of.insert(token, at);
        self.soonest.push(Reverse((at, token)));
    }

    fn due(&self) -> Option<u64> {
        self.soonest.peek().map(|Reverse((at, _))| *at)
    }

    /// The next that is due, unless it was set anew.
    fn next(&mut self, now: u64) -> Option<u64> {
        while let Some(&Reverse((at, token))) = self.soonest.peek().filter(|Reverse((at, _))| *at <= now) {
            self.soonest.pop();
            if self.of.get(&token) == Some(&at) {
                self.of.remove(&token);
                return Some(token);
            }
        }
        None
    }
}

impl<W: Write> Driver<W> {
    fn new(
        setup: Setup,
        dialogue: Dialogue,
        pace: Pace,
        wanted: Option<Tls>,
        stdout: W,
    ) -> Result<Driver<W>, Error> {
        let target = setup.target.canonical();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(at("making an epoll instance"))?;
        let workload = registered(dialogue);
        let script = setup.exchange.map(|exchange| exchange.compile()).transpose();
        let script = script.map_err(|fault| at("compiling an exchange")(io::Error::other(fault)))?;
        let (tls, starts) = (wanted.is_some(), script.as_ref().is_some_and(|script| script.starts_tls()));
        let alpn = if setup.keep_alive.on.version.is_1() { workload.alpn } else { &["h2"] };
        let secure = wanted.or(starts.then(Tls::default)).map(|tls| Secure::new(&tls, alpn));
        let secure = secure.transpose().map_err(at("reading the certificates to trust"))?;
        Ok(Driver {
            gate: Gate::new(target.clone(), pace, dialogue != Dialogue::Tcp),
            site: Site {
                target,
                path: setup.path,
                script: script.map(Arc::new),
                keep_alive: setup.keep_alive,
                tls,
            },
            workload,
            first_id: setup.first_id,
            connect_deadline: setup.connect_deadline_ms.saturating_mul(MS),
            epoll,
            report: Reporter::new(setup.workload, stdout),
            scratch: Scratch::new(secure),
            sources: None,
            places: Vec::new(),
            deadlines: VecDeque::new(),
            ordered: 0,
            credit: 0,
            load: Load { connecting: 0, unserved: 0 },
            connected: 0,
            pacing: None,
            starved: None,
            knock_at: 0,
            probes: Vec::new(),
            probes_made: 0,
            question: None,
            questions: VecDeque::new(),
            unread: Vec::new(),
            unwatched: Vec::new(),
            alarms: Alarms::default(),
        })
    }

    /// The loop: connect what may connect, say what happened, wait, hear.
    fn obey(&mut self, lines: &mut Lines<'_>) -> Result<(), Error> {
        epoll::add(&self.epoll, lines.from, EventData::new_u64(ORDERS), EventFlags::IN)
            .map_err(at("waiting for orders (is it a pipe?)"))?;
        let mut events = Vec::with_capacity(TURN);
        loop {
            while let Some(line) = lines.next()? {
                match parsed(&line)? {
                    Order::Connect { upto } => self.connect(upto),
                    Order::Release { clients } => self.release(clients)?,
                    Order::Refill { clients } => self.connect((self.ordered as u32).saturating_add(clients)),
                    Order::GiveUp { clients, of } => self.give_up(clients as usize, of as usize),
                    Order::Probe { label, deadline_ms } => self.probe(label, deadline_ms),
                    Order::AskHeld { clients, deadline_ms } => {
                        self.questions.extend((0..clients.max(1)).map(|nth| Asked {
                            nth,
                            of: clients.max(1),
                            deadline_ms,
                        }));
                    }
                    Order::Quit => lines.ended = true,
                }
            }
            if lines.ended {
                return self.report.flush().map_err(at("reporting"));
            }
            self.ask_held();
            self.ramp();
            // While clients connect, a flush for each turn would take the subject's CPU; the run waits for
            // everything else.
            let flushed = if self.places.len() < self.ordered {
                self.report.flush_if_due()
            } else {
                self.report.flush()
            };
            flushed.map_err(at("reporting"))?;
            events.clear();
            self.wait(&mut events).map_err(at("waiting"))?;
            for token in std::mem::take(&mut self.unread) {
                self.hear(token, EventFlags::IN | EventFlags::RDHUP);
            }
            self.wake();
            for event in &events {
                match event.data.u64() {
                    ORDERS => lines.read()?,
                    token => self.hear(token, event.flags),
                }
            }
            self.knock();
            self.overdue();
        }
    }

    /// Waits until something is due or can be read.
    fn wait(&self, events: &mut Vec<epoll::Event>) -> Result<(), rustix::io::Errno> {
        let time = |ns| Timespec { tv_sec: (ns / (1000 * MS)) as i64, tv_nsec: (ns % (1000 * MS)) as _ };
        let mut timeout = self.timeout();
        if let Some(ns @ 1..MS) = timeout {
            // epoll_wait counts in milliseconds, and would round this up.
            unless_interrupted(poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&time(ns))))?;
            timeout = Some(0);
        }
        unless_interrupted(epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            timeout.map(time).as_ref(),
        ))
    }

    fn connect(&mut self, upto: u32) {
        self.ordered = self.ordered.max(upto as usize);
        self.places.reserve_exact(self.ordered - self.places.len());
        // A driver starts while the subject's workers do.
        self.gate.look_again();
        self.say_pacing(Pacing::Ramping);
    }

    fn say_pacing(&mut self, state: Pacing) {
        self.pacing = Some(state);
        self.report.pacing(state, self.connected);
    }

    /// Starts the clients that are ordered, as far as the credit goes.
    fn ramp(&mut self) {
        let mut turn = CONNECTS_A_TURN;
        while self.places.len() < self.ordered && turn > 0 {
            if self.credit == 0 {
                self.credit = self.gate.credit(self.load, clock::now());
            }
            if self.credit == 0 {
                return self.starve();
            }
            if self.starved.take().is_some() && self.pacing == Some(Pacing::Parked) {
                self.say_pacing(Pacing::Ramping);
            }
            let some = self.credit.min(turn).min((self.ordered - self.places.len()) as u32);
            (self.credit, turn) = (self.credit - some, turn - some);
            (0..some).for_each(|_| self.start());
        }
        if self.unwatched.len() >= UNWATCHED {
            self.watch();
        }
        if self.places.len() == self.ordered {
            self.watch();
            (self.credit, self.starved) = (0, None);
            if self.load.connecting == 0 && matches!(self.pacing, Some(Pacing::Ramping | Pacing::Parked)) {
                self.say_pacing(Pacing::Done);
            }
        }
    }

    fn starve(&mut self) {
        self.watch();
        let now = clock::now();
        let since = *self.starved.get_or_insert(now);
        // A client that is not due yet does not wait for the subject.
        if now - since >= PARKED_AFTER && self.pacing != Some(Pacing::Parked) && self.gate.due() <= now {
            self.say_pacing(Pacing::Parked);
        }
    }

    fn start(&mut self) {
        let index = self.places.len();
        let (talk, source) = ((self.workload.start)(&self.site, self.id(index)), self.source());
        self.places.push(Place::Gone);
        let silent = self.workload.kind == Dialogue::Tcp && !self.site.tls;
        let dialled = Client::dial(&self.site.target, source, talk).and_then(|(client, dial)| {
            match dial {
                // A client that asks nothing has nothing to say but goodbye: the ramp goes first.
                Dial::Open if silent => self.unwatched.push(index),
                Dial::Open | Dial::Pending => client.watch(&self.epoll, index as u64, dial)?,
                Dial::Full => {}
            }
            Ok((client, dial))
        });
        match dialled {
            Ok((client, Dial::Open)) => self.opened(index, client),
            Ok((client, Dial::Pending | Dial::Full)) => {
                self.places[index] = Place::Connecting(client);
                self.load.connecting += 1;
                self.deadlines.push_back((clock::now().saturating_add(self.connect_deadline), index));
            }
            Err(failure) => self.report.client(self.id(index), state(failure)),
        }
    }

    /// Whether clients wait for room in the accept queue of a Unix socket. To such a socket a connect is
    /// complete or finds no room.
    fn waits_for_room(&self) -> bool {
        matches!(self.site.target, Address::Unix(_))
            && (self.load.connecting > 0 || self.probes.iter().any(|probe| !probe.is_connected()))
    }

    /// Dials for those again, the oldest first, until one finds no room.
    fn knock(&mut self) {
        let now = clock::now();
        if !self.waits_for_room() || now < self.knock_at {
            return;
        }
        self.knock_at = now + KNOCK_EVERY;
        for at in 0..self.deadlines.len() {
            let index = self.deadlines[at].1;
            let Place::Connecting(client) = &self.places[index] else { continue };
            let dialled = client.dial_again(&self.site.target);
            if dialled == Ok(Dial::Full) {
                return;
            }
            let watched = dialled.and_then(|dial| client.watch(&self.epoll, index as u64, dial));
            self.load.connecting -= 1;
            match (watched, std::mem::replace(&mut self.places[index], Place::Gone)) {
                (Ok(()), Place::Connecting(client)) => self.opened(index, client),
                (Ok(()), _) => unreachable!("it was connecting just now"),
                (Err(failure), _) => self.report.client(self.id(index), state(failure)),
            }
        }
        for at in
            (0..self.probes.len()).rev().filter(|&at| !self.probes[at].is_connected()).collect::<Vec<_>>()
        {
            let probe = &mut self.probes[at];
            match probe.client.dial_again(&self.site.target) {
                Ok(Dial::Full) => return,
                Ok(dial) => match probe.client.watch(&self.epoll, probe.token, dial) {
                    Ok(()) => {
                        let heard = probe.connected(dial, clock::now(), &self.site, &mut self.scratch);
                        self.settle_probe(at, &heard);
                    }
                    Err(failure) => self.probe_lost(at, failure),
                },
                Err(failure) => self.probe_lost(at, failure),
            }
        }
    }

    /// Watches the clients that the ramp left for later.
    fn watch(&mut self) {
        for index in std::mem::take(&mut self.unwatched) {
            let Some(client) = self.places[index].client() else { continue };
            if let Err(failure) = client.watch(&self.epoll, index as u64, Dial::Open) {
                self.report.client(self.id(index), state(failure));
            }
        }
    }

    fn source(&mut self) -> Option<Ipv4Addr> {
        let target = &self.site.target;
        // A workload's first clients need not know who else uses that address: looking takes milliseconds.
        if self.sources.is_none() && self.first_id == 0 && self.places.len() < UNASKED {
            return None;
        }
        let begin = || Sources::new(target, source::taken(target), std::process::id(), clock::now() / MS);
        self.sources.get_or_insert_with(begin).take()
    }

    fn id(&self, index: usize) -> u32 {
        self.first_id + index as u32
    }

    fn opened(&mut self, index: usize, mut client: Client) {
        self.connected += 1;
        self.load.unserved += 1;
        self.report.client(self.id(index), State::Connected);
        let heard = client.open(&self.site, &mut self.scratch);
        self.places[index] = Place::Connected(client);
        self.settle(index, heard);
    }

    /// Time until something is due, nanoseconds; `None`: nothing but events.
    fn timeout(&self) -> Option<u64> {
        let now = clock::now();
        if !self.unread.is_empty() {
            return Some(0);
        }
        let ramp = (self.places.len() < self.ordered).then_some(match self.starved {
            Some(since) if now - since >= PARKED_AFTER => (now + MS).max(self.gate.due()),
            Some(_) => (now + ASK_EVERY).max(self.gate.due()),
            None => now,
        });
        let said = Some(self.report.due()).filter(|&due| due < u64::MAX);
        let due = [
            ramp,
            said,
            self.deadlines.front().map(|(at, _)| *at),
            self.alarms.due(),
            self.question.as_ref().map(|q| q.deadline),
            self.waits_for_room().then_some(self.knock_at),
        ];
        let first = due.into_iter().flatten().chain(self.probes.iter().map(|p| p.deadline)).min()?;
        Some(first.saturating_sub(now))
    }

    fn hear(&mut self, token: u64, flags: EventFlags) {
        if token >= PROBES {
            return self.hear_probe(token, flags);
        }
        let index = token as usize;
        match std::mem::replace(&mut self.places[index], Place::Gone) {
            Place::Connecting(client) => match client.dialled(flags) {
                Ok(Dial::Pending | Dial::Full) => {
                    self.places[index] = Place::Connecting(client);
                    return;
                }
                Ok(Dial::Open) => {
                    self.load.connecting -= 1;
                    self.opened(index, client);
                }
                Err(failure) => {
                    self.load.connecting -= 1;
                    self.report.client(self.id(index), state(failure));
                    return;
                }
            },
            place => self.places[index] = place,
        }
        let Some(client) = self.places[index].client() else { return };
        let heard = client.hear(
            &self.epoll,
            token,
            flags.intersects(EventFlags::RDHUP | EventFlags::HUP),
            &mut self.scratch,
        );
        self.settle(index, heard);
    }

    /// Draws the consequences of a ramp client's news.
    fn settle(&mut self, index: usize, heard: Heard) {
        let id = self.id(index);
        self.note(index as u64, &heard);
        let asked = self.question.as_ref().is_some_and(|q| q.client == index);
        if asked
            && let Some(client) = self.places[index].client()
            && let Some((outcome, detail)) = outcome(&heard, client)
        {
            self.answer(outcome, detail);
        }
        self.places[index] = match std::mem::replace(&mut self.places[index], Place::Gone) {
            Place::Connected(client) => {
                let ending = heard.ended || heard.news.goodbye;
                if heard.news.greeted {
                    self.report.client(id, State::Greeted);
                }
                if heard.news.begun {
                    self.report.client(id, State::Begun);
                }
                if let Some(words) = heard.news.trouble {
                    self.report.client(id, State::ErrorAnswer(words));
                }
                let error = heard.news.error.or_else(|| if ending { client.last_words() } else { None });
                if let Some(words) = error {
                    self.load.unserved -= 1;
                    self.report.client(id, State::ErrorReply(words));
                    Place::Rejected(client)
                } else if heard.news.answered || heard.news.parting {
                    self.load.unserved -= 1;
                    self.report.client(id, State::Served);
                    Place::Served(client)
                } else {
                    Place::Connected(client)
                }
            }
            // The answer to its own question is handled above.
            Place::Served(client) if !asked && heard.news.error.is_some() => {
                self.report.client(id, State::ErrorReply(heard.news.error.unwrap_or_default()));
                Place::Rejected(client)
            }
            place => place,
        };
        let open = !matches!(self.places[index], Place::Gone);
        if heard.news.leaves && open && !heard.ended {
            if matches!(self.places[index], Place::Connected(_)) {
                self.load.unserved -= 1;
            }
            self.report.client(id, State::Released);
            self.places[index] = Place::Gone;
        } else if heard.ended || heard.news.goodbye {
            if matches!(self.places[index], Place::Connected(_)) {
                self.load.unserved -= 1;
            }
            self.report.client(id, if heard.refused { State::Refused } else { State::Closed });
            self.places[index] = Place::Gone;
        } else if heard.more && !self.unread.contains(&(index as u64)) {
            self.unread.push(index as u64);
        }
    }

    /// Sets the alarm that a client asked for.
    fn note(&mut self, token: u64, heard: &Heard) {
        if let Some(after) = heard.news.wake {
            self.alarms.set(token, clock::now().saturating_add(after.as_nanos() as u64));
        }
    }

    /// Lets clients go on whose time has come.
    fn wake(&mut self) {
        let now = clock::now();
        while let Some(token) = self.alarms.next(now) {
            if token >= PROBES {
                if let Some(at) = self.probes.iter().position(|probe| probe.token == token) {
                    let heard = self.probes[at].client.wake(&mut self.scratch);
                    self.settle_probe(at, &heard);
                }
            } else if let Some(client) = self.places[token as usize].client() {
                let heard = client.wake(&mut self.scratch);
                self.settle(token as usize, heard);
            }
        }
    }

    /// Lets clients leave: the served ones first, oldest first, then those that wait, then those in the
    /// handshake.
    fn release(&mut self, clients: u32) -> Result<(), Error> {
        self.ordered = self.places.len();
        self.questions.retain(|asked| asked.nth == 0);
        let mut released = 0;
        for rank in 0..3 {
            for index in 0..self.places.len() {
                if released == clients {
                    break;
                }
                let leaves = match (&self.places[index], rank) {
                    (Place::Served(_), 0) => true,
                    (Place::Connected(_), 1) => {
                        self.load.unserved -= 1;
                        true
                    }
                    (Place::Rejected(_), 1) => true,
                    (Place::Connecting(_), 2) => {
                        self.load.connecting -= 1;
                        true
                    }
                    _ => false,
                };
                if leaves {
                    if self.question.as_ref().is_some_and(|q| q.client == index) {
                        self.answer(Outcome::Closed, "released before it was answered".to_owned());
                    }
                    // Recorded before it is done, so that the client that takes the place comes later.
                    self.report.client(self.id(index), State::Released);
                    self.places[index] = Place::Gone;
                    released += 1;
                    self.report.flush_if_large().map_err(at("reporting"))?;
                }
            }
        }
        if clients == u32::MAX {
            self.dismiss_probes();
        }
        self.report.say(What::Released { clients: released });
        Ok(())
    }

    /// When all clients leave, probes leave with them: their connections would be taken for leaks of the
    /// subject.
    fn dismiss_probes(&mut self) {
        for probe in std::mem::take(&mut self.probes) {
            let label = probe.seen(Outcome::Waits, String::new(), clock::now()).label;
            self.report.say(super::probe::dismissed(label));
        }
    }

    /// Lets clients leave that wait to be accepted: the oldest of the newest `of` without an answer.
    fn give_up(&mut self, clients: usize, of: usize) {
        let waiting =
            self.places.iter().enumerate().rev().filter(|(_, place)| matches!(place, Place::Connected(_)));
        let queue: Vec<usize> = waiting.map(|(index, _)| index).take(of).collect();
        for &index in queue.iter().rev().take(clients) {
            self.load.unserved -= 1;
            self.report.client(self.id(index), State::GaveUp);
            self.places[index] = Place::Gone;
        }
    }

    fn probe(&mut self, label: Label, deadline_ms: u64) {
        let token = PROBES + self.probes_made;
        self.probes_made += 1;
        let talk = (self.workload.start)(&self.site, u32::MAX - self.probes_made as u32);
        let source = self.source();
        let started = clock::now();
        let dialled = Client::dial(&self.site.target, source, talk).and_then(|(client, dial)| {
            if dial != Dial::Full {
                client.watch(&self.epoll, token, dial)?;
            }
            Ok((client, dial))
        });
        match dialled {
            Ok((client, dial)) => {
                let mut probe = Probe::new(token, label, client, started, deadline_ms);
                let heard = probe.connected(dial, clock::now(), &self.site, &mut self.scratch);
                self.report.say_of(started, What::Arrived { workload: self.report.workload() });
                self.probes.push(probe);
                self.settle_probe(self.probes.len() - 1, &heard);
            }
            Err(failure) => self.probe_failed(label, failure),
        }
    }

    /// The connect of this probe failed.
    fn probe_lost(&mut self, at: usize, failure: Failure) {
        let label = self.probes.swap_remove(at).seen(Outcome::Closed, String::new(), clock::now()).label;
        self.probe_failed(label, failure);
    }

    fn probe_failed(&mut self, label: Label, failure: Failure) {
        match (failed(failure), failure) {
            (Some(outcome), _) => self.seen(Seen::at_once(label, outcome, "")),
            (None, Failure::Local(errno)) => {
                let why = format!(
                    "the load generator's own client failed: {}",
                    io::Error::from_raw_os_error(errno)
                );
                self.report.say(What::NotSeen { what: Unseen::Probe { label }, why });
            }
            (None, _) => unreachable!("only local failures have no outcome"),
        }
    }

    fn seen(&mut self, seen: Seen) {
        let workload = self.report.workload();
        self.report.say(seen.event(workload));
    }

    fn hear_probe(&mut self, token: u64, flags: EventFlags) {
        let Some(at) = self.probes.iter().position(|p| p.token == token) else { return };
        let probe = &mut self.probes[at];
        if !probe.is_connected() {
            match probe.client.dialled(flags) {
                Ok(dial) => {
                    let heard = probe.connected(dial, clock::now(), &self.site, &mut self.scratch);
                    self.note(token, &heard);
                }
                Err(failure) => return self.probe_lost(at, failure),
            }
            if !self.probes[at].is_connected() {
                return;
            }
        }
        let heard = self.probes[at].client.hear(
            &self.epoll,
            token,
            flags.intersects(EventFlags::RDHUP | EventFlags::HUP),
            &mut self.scratch,
        );
        self.settle_probe(at, &heard);
    }

    /// Draws the consequences of a probe's news.
    fn settle_probe(&mut self, at: usize, heard: &Heard) {
        let probe = &self.probes[at];
        let token = probe.token;
        if let Some((outcome, detail)) = probe.outcome(heard) {
            let seen = self.probes.swap_remove(at).seen(outcome, detail, clock::now());
            self.seen(seen);
        } else if heard.more {
            self.unread.push(token);
        }
        self.note(token, heard);
    }

    /// Asks a served client the next question, when none is under way.
    fn ask_held(&mut self) {
        while self.question.is_none()
            && let Some(Asked { nth, of, deadline_ms }) = self.questions.pop_front()
        {
            let served = || {
                self.places
                    .iter()
                    .enumerate()
                    .filter(|(_, p)| matches!(p, Place::Served(_)))
                    .map(|(index, _)| index)
            };
            let all = served().count();
            let of = (of as usize).min(all).max(1);
            if nth as usize >= of {
                continue;
            }
            let served = served().nth(nth as usize * all / of);
            let waits = self.places.iter().any(|p| matches!(p, Place::Connected(_)));
            let asked = clock::now();
            match served {
                Some(index) => {
                    let client = self.places[index].client().expect("a served client is held");
                    let Some(heard) = client.ask_again(&self.site, &mut self.scratch) else {
                        let why = "the dialogue of its clients has no question to repeat".into();
                        self.report.say(What::NotSeen { what: Unseen::Probe { label: Label::Held }, why });
                        continue;
                    };
                    self.question = Some(Question::new(index, asked, deadline_ms));
                    self.settle(index, heard);
                }
                None if waits => {
                    // What the server said to those that ask nothing tells a greeting from an error.
                    let heard = |place: &Place| match place {
                        Place::Connected(client) => Some(client.detail()).filter(|said| !said.is_empty()),
                        _ => None,
                    };
                    let why = match self.workload.kind {
                        Dialogue::Tcp => self.places.iter().find_map(heard),
                        _ => Some("no client was answered".to_owned()),
                    };
                    let why = why.unwrap_or_else(|| "open; a tcp client asks nothing".to_owned());
                    self.seen(Seen::at_once(Label::Held, Outcome::Waits, &why));
                }
                None => self.seen(Seen::at_once(Label::Held, Outcome::Closed, "no client is held")),
            }
        }
    }

    fn answer(&mut self, outcome: Outcome, detail: String) {
        if let Some(question) = self.question.take() {
            self.seen(question.seen(outcome, detail, clock::now()));
        }
    }

    /// Whether the kernel will let clients in that found the accept queue full; it also gives them up in the
    /// end (tcp(7), `tcp_syn_retries`).
    fn awaits_retry(&self) -> bool {
        SockDiag::open().and_then(|mut diag| diag.awaits_retry(&self.site.target)).unwrap_or(false)
    }

    /// Ends clients and probes that have passed their deadline.
    fn overdue(&mut self) {
        let now = clock::now();
        // Asked once for all of them.
        let mut retries = None;
        while let Some(&(deadline, index)) = self.deadlines.front() {
            let connecting = matches!(self.places[index], Place::Connecting(_));
            if connecting && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if connecting && *retries.get_or_insert_with(|| self.awaits_retry()) {
                self.deadlines.push_back((now.saturating_add(self.connect_deadline), index));
            } else if connecting {
                self.places[index] = Place::Gone;
                self.load.connecting -= 1;
                self.report.client(self.id(index), State::TimedOut);
            }
        }
        while let Some(at) = self.probes.iter().position(|p| p.deadline <= now) {
            let seen = self.probes.swap_remove(at).overdue(now);
            self.seen(seen);
        }
        if self.question.as_ref().is_some_and(|q| q.deadline <= now) {
            self.questions.clear();
            self.answer(Outcome::Waits, String::new());
        }
    }
}

fn state(failure: Failure) -> State {
    match failure {
        Failure::Refused => State::Refused,
        Failure::TimedOut => State::TimedOut,
        Failure::Local(errno) => State::Local(errno),
    }
}

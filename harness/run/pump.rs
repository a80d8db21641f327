//! The one loop of a run: takes what observers, drivers and the subject's output report, samples the subject,
//! and waits — always for an event, always with a deadline, always ready to be interrupted.

use super::census::{Census, listen_overflows};
use super::error::Error;
use super::journal::Journal;
use super::live::{Live, Step};
use super::moment::{Moment, seconds};
use super::programs::Programs;
use super::resources::Watch;
use crate::drive::Fleet;
use crate::event::{Ended, Event, Nanos, Phase, Pid, What};
use crate::launch::Tree;
use crate::observe::{Syscalls, output::Drain};
use crate::sys::address::Address;
use crate::sys::sock_diag::SockDiag;
use crate::sys::{clock, proc};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often a subject is sampled while it is loaded. A look costs about 50 µs.
const SAMPLE_EVERY: Nanos = 10_000_000;
/// How often the listeners of the port are looked at before the first client.
const STATES_EVERY: Nanos = 250_000_000;
/// How often handshakes are looked at where nothing else moves.
const RETRIES_EVERY: Nanos = 100_000_000;
/// How often it is read how long the process was ready to run.
const READY_EVERY: Nanos = 100_000_000;
/// Perf rings hold 20 ms of a spinning server: they are drained well before.
pub const DRAIN_EVERY: Duration = Duration::from_millis(5);

/// The drivers of one workload.
#[derive(Debug)]
pub struct Load {
    /// The workload's name.
    pub workload: String,
    /// Whether its clients are calls, and not connections that are held.
    pub calls: bool,
    /// Whether these calls have times of their own, however far apart.
    pub scheduled: bool,
    /// Whether its clients tell when they are answered; calls do.
    pub asks: bool,
    /// Whether it loads the subject or is made by it, and does not only load a process beside it.
    pub concerns_subject: bool,
    /// A plain caller: it goes on beside the others, and no phase waits for it.
    pub background: bool,
    /// The processes.
    pub fleet: Fleet,
    /// The tree of its clients, if they are programs.
    pub programs: Option<Programs>,
}

impl Load {
    /// Whether one program is all its clients, which come and leave together.
    pub fn is_one(&self) -> bool {
        self.programs.as_ref().is_some_and(|programs| programs.prober.is_some())
    }

    /// The drivers that send single new clients.
    pub fn prober(&mut self) -> &mut Fleet {
        self.programs.as_mut().and_then(|programs| programs.prober.as_mut()).unwrap_or(&mut self.fleet)
    }

    /// Whether its clients hold connections to the subject.
    pub fn holds(&self) -> bool {
        self.concerns_subject && !self.calls
    }
}

/// Everything a run holds while its subject lives. Dropping it ends the subject and the drivers.
pub struct Pump<'a> {
    /// The events reported so far.
    pub journal: Journal,
    /// The state that the phases need.
    pub live: Live,
    /// The subject's process tree.
    pub tree: Tree,
    /// The syscall observer; `None` where this machine allows none.
    pub observer: Option<Box<dyn Syscalls>>,
    /// Failing calls that it reports one by one, at most.
    pub sampled: u64,
    /// Reads the subject's output.
    pub output: Option<Drain>,
    /// One per workload.
    pub loads: Vec<Load>,
    /// The channel on which the drivers' events arrive.
    pub reports: Receiver<Vec<Event>>,
    /// Looks up listeners.
    pub diag: SockDiag,
    /// Counts TCP sockets by state, once there are clients.
    pub census: Census,
    /// The watch on the subject's other resources.
    pub resources: Watch,
    /// The listener that is loaded and the processes that hold it, those that are expected to accept first.
    pub listener: Option<Address>,
    /// How many sockets listen there: several with SO_REUSEPORT.
    pub listeners: u32,
    /// The process that is sampled: the one that accepts, or calls.
    pub acceptor: Pid,
    /// Whether it is known and sampled.
    pub sampling: bool,
    /// Descriptors of each process of the subject at rest, before the ramp.
    pub rest: HashMap<Pid, u64>,
    /// Whether it has a ring of io_uring, by which it may accept.
    pub ring: bool,
    /// Set by SIGINT and SIGTERM.
    pub interrupted: &'a AtomicBool,
    /// Shows progress.
    pub progress: &'a mut dyn FnMut(&Step),
    /// The phase that goes on.
    now: Option<Phase>,
    /// When the wait that goes on is over, at most; `None`: nothing is waited for.
    deadline: Option<Nanos>,
    sampled_at: Nanos,
    states_at: Nanos,
    /// When it was last looked whether clients are still to come by themselves, and whether they were.
    retries: (Nanos, bool),
    /// Clients in the accept queue, when it was last sampled.
    pub queued: u32,
    cpu: HashMap<Pid, f64>,
    /// When it was last read how long threads had been ready; how long each had run and waited then; and the
    /// busiest, one reading after the other, and all of them.
    ready_at: Nanos,
    ready_of: HashMap<i32, (u64, u64)>,
    ready: [f64; 3],
    /// The subject's processes: the ids that they have in their own PID namespace → their ids here.
    named: HashMap<Pid, Pid>,
    batch: Vec<Event>,
}

impl<'a> Pump<'a> {
    /// A pump for a subject that is prepared but not started.
    pub fn new(
        journal: Journal,
        tree: Tree,
        reports: Receiver<Vec<Event>>,
        diag: SockDiag,
        census: Census,
        interrupted: &'a AtomicBool,
        progress: &'a mut dyn FnMut(&Step),
    ) -> Self {
        Pump {
            journal,
            live: Live::default(),
            acceptor: tree.program(),
            tree,
            observer: None,
            sampled: 0,
            output: None,
            loads: Vec::new(),
            reports,
            diag,
            census,
            resources: Watch::default(),
            listener: None,
            listeners: 1,
            sampling: false,
            rest: HashMap::new(),
            ring: false,
            interrupted,
            progress,
            now: None,
            deadline: None,
            sampled_at: 0,
            retries: (0, false),
            queued: 0,
            cpu: HashMap::new(),
            ready_at: 0,
            ready_of: HashMap::new(),
            ready: [0.0; 3],
            named: HashMap::new(),
            states_at: 0,
            batch: Vec::new(),
        }
    }

    /// Takes in everything that has been reported, after waiting at most `wait` for the drivers.
    ///
    /// # Errors
    /// Interrupted, or a driver died.
    pub fn turn(&mut self, wait: Duration) -> Result<(), Error> {
        match self.reports.recv_timeout(wait) {
            Ok(events) => self.absorb(events),
            // The sender is kept by the run itself, so the channel never disconnects while it goes on.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        while let Ok(events) = self.reports.try_recv() {
            self.absorb(events);
        }
        self.drain()?;
        if self.sampling && clock::now() - self.sampled_at >= SAMPLE_EVERY {
            self.sample();
        }
        if self.interrupted.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Reads the observer's and the output's news.
    pub fn drain(&mut self) -> Result<(), Error> {
        let mut batch = std::mem::take(&mut self.batch);
        if let Some(observer) = &mut self.observer {
            observer.drain(&mut batch)?;
        }
        for event in batch.drain(..) {
            self.live.note(&event);
            self.journal.absorb(event);
        }
        self.batch = batch;
        if self.live.wants_samples()
            && let Some(observer) = &mut self.observer
        {
            observer.sample_again(self.sampled)?;
        }
        Ok(())
    }

    fn absorb(&mut self, events: Vec<Event>) {
        for mut event in events {
            // A bundled server gives the process id that it knows of itself. One that was never seen alive
            // gets 0.
            if let What::OwnCount { pid, .. } = &mut event.is {
                *pid = self.named.get(pid).copied().unwrap_or(0);
            }
            self.live.note(&event);
            self.journal.absorb(event);
        }
    }

    /// Waits until `reached`, or until `deadline` has passed (false), looking at least every `tick`.
    ///
    /// # Errors
    /// As [`Pump::turn`].
    pub fn until(
        &mut self,
        deadline: Duration,
        tick: Duration,
        mut reached: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, Error> {
        let end = clock::now() + deadline.as_nanos() as Nanos;
        let outer = self.deadline.replace(end);
        let waited = loop {
            if let Err(error) = self.turn(Duration::ZERO) {
                break Err(error);
            }
            if reached(self) {
                break Ok(true);
            }
            if clock::now() >= end {
                break Ok(false);
            }
            if let Err(error) = self.turn(tick) {
                break Err(error);
            }
        };
        self.deadline = outer;
        waited
    }

    /// Waits until `ended` gives a reason, or until `deadline` has passed ([`Ended::Time`]), looking at least
    /// every `tick`.
    ///
    /// # Errors
    /// As [`Pump::turn`].
    pub fn until_ended(
        &mut self,
        deadline: Duration,
        tick: Duration,
        mut ended: impl FnMut(&mut Self) -> Option<Ended>,
    ) -> Result<Ended, Error> {
        let mut why = None;
        self.until(deadline, tick, |pump| {
            why = ended(pump);
            why.is_some()
        })?;
        Ok(why.unwrap_or(Ended::Time))
    }

    /// Whether accepts are seen: not those that io_uring makes, where the observer sees system calls only. A
    /// program that has a ring and accepts by system calls is known by the first of them.
    pub fn counts_accepts(&self) -> bool {
        let passes_by = |observer: &dyn Syscalls| {
            self.ring && !observer.sees_io_uring() && self.live.accepted_total() == 0
        };
        !self.serves_datagrams() && self.observer.as_deref().is_some_and(|observer| !passes_by(observer))
    }

    /// Whether the loaded socket is one of UDP: it accepts nobody.
    pub fn serves_datagrams(&self) -> bool {
        self.listener.as_ref().is_some_and(Address::is_udp)
    }

    /// Length of the loaded accept queue now, of all together where several listen; of UDP, bytes in its
    /// receive queue. `None` when the listener is gone or cannot be looked up.
    pub fn queue(&mut self) -> Option<u32> {
        let address = self.listener.as_ref()?;
        if self.listeners > 1 {
            let all = self.diag.sharing(address).ok().filter(|all| !all.is_empty())?;
            return Some(all.iter().map(|listener| listener.queue).sum());
        }
        Some(self.diag.listener(address).ok()??.queue)
    }

    /// Whether nobody waits in the accept queue; a client has none, nor has a listener that is closed.
    pub fn drained(&mut self) -> bool {
        self.listener.is_none() || self.queue() == Some(0) || self.closed_its_listener()
    }

    /// Whether clients that found the accept queue full come by themselves, now that it has room; see
    /// [`SockDiag::awaits_retry`]. Looks at most every [`RETRIES_EVERY`].
    pub fn awaits_retry(&mut self) -> bool {
        let now = clock::now();
        if now - self.retries.0 >= RETRIES_EVERY {
            let come = self.listener.as_ref().map(|address| self.diag.awaits_retry(address));
            self.retries = (now, matches!(come, Some(Ok(true))));
        }
        self.retries.1
    }

    /// Whether its accept loop failed at one time, and has neither failed nor accepted since.
    pub fn never_tried_again(&self) -> bool {
        let live = &self.live;
        let since = live.first_failure.is_some_and(|(at, _)| live.last_accept <= at);
        since && self.counts_accepts() && live.policy.silent() && live.policy.decided().is_none()
    }

    /// Whether it has read the end of no client that has left and that it still holds.
    pub fn leaves_ends_unread(&mut self) -> bool {
        self.listener.as_ref().is_some_and(|address| matches!(self.diag.ends_unread(address), Ok(true)))
    }

    /// Whether nothing listens any more where the clients connect to.
    pub fn closed_its_listener(&mut self) -> bool {
        self.listener.as_ref().is_some_and(|address| matches!(self.diag.listener(address), Ok(None)))
    }

    /// Descriptors of the process that accepts, now; 0 when it has exited.
    pub fn descriptors(&self) -> u64 {
        proc::descriptors(self.acceptor).unwrap_or(0)
    }

    /// Descriptors of each live process of the subject, now. A process that exits meanwhile has none.
    pub fn open(&self) -> Vec<(Pid, u64)> {
        let count = |pid| (pid, proc::descriptors(pid).unwrap_or(0));
        self.tree.processes().into_iter().map(count).filter(|(_, open)| *open > 0).collect()
    }

    /// Whether no process of the subject holds more than at rest, and the one that accepts lives.
    pub fn back(&self) -> bool {
        let more = |&(pid, open): &(Pid, u64)| open > self.rest.get(&pid).copied().unwrap_or(0);
        // None at all: it is exiting, and has not yet.
        self.descriptors() > 0 && !self.open().iter().any(more)
    }

    /// Whether the process that accepts is no more, or nothing of the subject is.
    pub fn died(&mut self) -> bool {
        self.live.exited.contains(&self.acceptor) || self.tree.gone()
    }

    /// Records for how long threads of the process that accepts were ready to run.
    fn note_ready(&mut self, now: Nanos) {
        let threads = proc::ready_ns(self.acceptor);
        let known = !self.ready_of.is_empty();
        let since = |&(tid, ran, waited): &(i32, u64, u64)| {
            let (ran_before, waited_before) = self.ready_of.get(&tid).copied().unwrap_or((ran, waited));
            (ran.saturating_sub(ran_before), waited.saturating_sub(waited_before))
        };
        let spent: Vec<(u64, u64)> = threads.iter().map(since).collect();
        self.ready_of = threads.into_iter().map(|(tid, ran, waited)| (tid, (ran, waited))).collect();
        let busiest = spent.iter().copied().max_by_key(|(ran, waited)| ran + waited);
        let Some((ran, waited)) = busiest else { return };
        let all: u64 = spent.iter().map(|(ran, waited)| ran + waited).sum();
        let more = [ran, waited, all].map(|ns| if known { ns as f64 / 1e9 } else { 0.0 });
        for (total, more) in self.ready.iter_mut().zip(more) {
            *total += more;
        }
        let [ran_s, waited_s, all_s] = self.ready;
        self.journal
            .absorb(Event { at: now, is: What::Ready { pid: self.acceptor, ran_s, waited_s, all_s } });
    }

    /// Records a sample of the subject, and shows progress.
    pub fn sample(&mut self) {
        let now = clock::now();
        self.sampled_at = now;
        let Ok(descriptors) = proc::descriptors(self.acceptor) else { return };
        let queue = self.queue().filter(|_| !self.serves_datagrams());
        self.queued = queue.unwrap_or(0);
        // CPU time that a process had used when it was last seen counts on after its end.
        let processes = self.tree.processes();
        for &pid in &processes {
            let Some(used) = proc::cpu_s(pid) else { continue };
            if self.cpu.insert(pid, used).is_none() {
                self.named.extend(proc::own_pid(pid).map(|own| (own, pid)));
            }
        }
        let cpu_s = self.cpu.values().sum();
        let log_bytes = self.output.as_ref().map_or(0, Drain::bytes);
        // The time is from before the count was read: a sample that seems to follow the first failure must
        // have been taken after it.
        self.journal.absorb(Event {
            at: now,
            is: What::Sample { pid: self.acceptor, descriptors, queue, cpu_s, log_bytes },
        });
        if self.live.first_failure.is_some() && now - self.ready_at >= READY_EVERY {
            self.ready_at = now;
            self.note_ready(now);
        }
        // Only the ramp is timed, so anything that can be read at another time is not read then.
        if self.now.is_some_and(|phase| !matches!(phase, Phase::Launch | Phase::Baseline | Phase::Ramp)) {
            self.beside(now, &processes);
        }
        if self.census.begun() {
            if self.resources.due(now) {
                self.note_resources();
            }
            if self.census.due(now) {
                self.census.order(self.acceptor, processes, self.listener.clone());
            }
        } else if let Some(address) = self.listener.as_ref().filter(|address| !address.is_udp())
            && now - self.states_at >= STATES_EVERY
        {
            self.states_at = now;
            // Before the first client the address has listeners only; to count the others is to walk through
            // every connection of the host.
            if let Ok(listening) = self.diag.listening_at(address) {
                let states = BTreeMap::from([("LISTEN".to_owned(), listening)]);
                let listen_overflows = listen_overflows().unwrap_or(0);
                self.journal.record(What::Tcp {
                    states,
                    listen_overflows,
                    subject: None,
                    namespace: None,
                    descriptors: None,
                    took: 0,
                });
            }
        }
        let left_s = self.deadline.map(|deadline| seconds(deadline.saturating_sub(now)));
        let now = Moment { left_s, ..self.journal.moments.now.clone() };
        (self.progress)(&Step::Now(now));
    }

    /// Records the subject's use of other resources than descriptors, and their bounds.
    pub fn note_resources(&mut self) {
        let used = self.resources.read(self.acceptor, self.tree.processes().len() as u64);
        self.journal.record(What::Resources(Box::new(used)));
    }

    /// Records the memory of these processes and how many connections the loaded listeners have dropped.
    pub fn beside(&mut self, at: Nanos, processes: &[Pid]) {
        let resident: Vec<u64> = processes.iter().filter_map(|&pid| proc::resident(pid)).collect();
        let resident = (!resident.is_empty()).then(|| resident.iter().sum());
        let drops = self.listener.as_ref().and_then(|address| match self.listeners {
            // The sum over all listeners, as for their lengths and capacities.
            2.. => self
                .diag
                .sharing(address)
                .ok()?
                .iter()
                .try_fold(0, |all: u32, one| Some(all.saturating_add(one.drops?))),
            _ => self.diag.drops(address).ok()?,
        });
        self.journal.absorb(Event { at, is: What::Beside { resident, drops } });
    }

    /// Begins a phase.
    pub fn begin(&mut self, phase: Phase) {
        self.now = Some(phase);
        self.journal.record(What::Phase(phase));
        (self.progress)(&Step::Phase(phase));
    }

    /// Ends the phase that goes on, for this reason.
    pub fn end(&mut self, why: Ended) {
        if let Some(phase) = self.now.take() {
            self.journal.record(What::PhaseEnded { phase, why });
        }
    }

    /// Ends the phase that goes on, for this reason, and begins the next one.
    pub fn next(&mut self, why: Ended, phase: Phase) {
        self.end(why);
        self.begin(phase);
    }

    /// Whether no descriptor call has come for `window`, as far as an observer sees, and every thread of the
    /// subject sleeps.
    pub fn quiet(&self, window: Duration) -> bool {
        clock::now().saturating_sub(self.live.last_descriptor_call) >= window.as_nanos() as Nanos
            && self.tree.processes().iter().all(|&pid| proc::asleep(pid))
    }
}

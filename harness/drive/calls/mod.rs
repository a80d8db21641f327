//! The caller: makes the calls of one workload and tells how each ends. It may be the subject itself, under a
//! small limit of descriptors: at rest it has its standard streams and the runtime's three (epoll twice,
//! eventfd), and then opens only what a call needs.
//!
//! One file per kind of caller implements [`Call`]; the registry below is the only place that names them all.
//! A running-out of descriptors is an outcome of the call that meets it. Orders are read by a thread of their
//! own, which takes no descriptor; everything else happens in one thread. Like the driver of clients that
//! hold, it knows nothing of the run's phases.

mod alarms;
mod caller;
mod course;
mod grpc_per_call;
mod http;
mod http_leak_body;
mod http_per_call;
mod pool;
mod punctual;
mod slow;
#[cfg(test)]
mod tests;
mod trust;
mod wire;

use super::orders::{Error, Lines, at, parsed};
use super::probe::Seen;
use super::protocol::{Kind, Order, Setup};
use super::report::Reporter;
use crate::event::{CallStep, Client, Label, Nanos, Outcome, Pacing, Unseen, What};
use crate::scenario::{Caller, Calls, Schedule, Tls, Version};
use crate::sys::clock;
use alarms::Alarms;
use course::{Course, Stop};
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use wire::{Left, Site};

/// Orders that wait to be obeyed; more wait in the pipe.
const ORDERS: usize = 64;
/// Calls started before the others have their turn.
const STARTS_A_TURN: u32 = 128;
const NS: f64 = 1e-9;

/// A call under way: the descriptors that it leaves open, or why it failed.
type Calling<'a> = Pin<Box<dyn Future<Output = Result<Option<Left>, Stop>> + Send + 'a>>;

/// Makes calls of one kind.
trait Call: Send + Sync {
    /// Makes one, and notes its course. Everything that it is to close is closed when it returns.
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a>;

    /// Takes out everything that is open between the calls, for the next of them.
    fn idle(&self) -> Vec<Left>;
}

/// A kind of caller that this binary has.
pub struct Registered {
    /// The caller, by its name in scenarios.
    pub kind: Caller,
    /// The same, as text.
    pub name: &'static str,
    /// A call of this kind, in one line.
    pub doc: &'static str,
    /// The protocols offered by ALPN.
    protocols: &'static [&'static [u8]],
    make: fn(Arc<Site>, &Calls) -> Arc<dyn Call>,
}

/// Every kind of caller, in the order of `lastfd list`.
pub fn registry() -> &'static [Registered] {
    const {
        &[
            http_leak_body::REGISTERED,
            grpc_per_call::REGISTERED,
            http_per_call::REGISTERED,
            caller::REGISTERED,
        ]
    }
}

/// Makes calls as ordered until `Quit` or the end of input. The calls' own deadlines apply; the setup's for
/// connects does not.
///
/// # Errors
/// See [`Error`]. How calls end is never an error.
pub fn run(setup: Setup, lines: Lines<'_>, out: impl Write) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(at("starting the runtime"))?;
    let callers = Callers::new(setup, out)?;
    let (to, orders) = mpsc::channel(ORDERS);
    std::thread::scope(|scope| {
        let reader =
            std::thread::Builder::new().name("orders".into()).spawn_scoped(scope, move || read(lines, &to));
        let reader = reader.map_err(at("starting the thread that reads orders"))?;
        let obeyed = runtime.block_on(callers.obey(orders));
        // It ends with the orders; where obeying failed, the reader of the events is gone, and so is the
        // writer of the orders.
        let read = reader.join().expect("reading orders does not panic");
        obeyed.and(read)
    })
}

/// Hands orders on as they come.
fn read(mut lines: Lines<'_>, to: &mpsc::Sender<Order>) -> Result<(), Error> {
    loop {
        while let Some(line) = lines.next()? {
            let order = parsed(&line)?;
            let last = matches!(order, Order::Quit);
            if to.blocking_send(order).is_err() || last {
                return Ok(());
            }
        }
        if lines.ended {
            return Ok(());
        }
        lines.read()?;
    }
}

/// When a call was to be made.
#[derive(Clone, Copy)]
struct Intended {
    at: Nanos,
    /// Whether as many calls were under way then as may be.
    held: bool,
}

/// A call that is over.
struct Finished {
    id: u32,
    intended: Option<Intended>,
    course: Course,
    result: Result<Option<Left>, Stop>,
}

/// A probe that is over.
struct Probed {
    label: Label,
    /// When the probe started.
    started: Nanos,
    course: Course,
    over: Over,
}

/// How a probe ended.
enum Over {
    Answered,
    Stopped(Stop),
    Overdue,
    /// All left before.
    Dismissed,
}

/// All calls of the workload.
struct Callers<W> {
    site: Arc<Site>,
    call: Arc<dyn Call>,
    report: Reporter<W>,
    first_id: u32,
    concurrency: usize,
    /// Calls take turns on connections, or share them.
    shares: bool,
    every: Duration,
    schedule: Option<Schedule>,
    duration: Option<Duration>,
    /// Calls to be started in all, and those that were.
    ordered: u32,
    started: u32,
    /// No further call is started before this time; in a schedule, it is the time of the next.
    next_start: Nanos,
    /// The times after that.
    times: Box<dyn Iterator<Item = Nanos>>,
    /// No call is started, or intended, from then on.
    until: Nanos,
    /// When as many calls were under way as may be, for the last time.
    full_at: Nanos,
    /// Wakes the loop when the next call of a schedule is to be made.
    alarm: Option<JoinHandle<()>>,
    under_way: BTreeSet<u32>,
    calls: JoinSet<Finished>,
    probes: JoinSet<Probed>,
    /// Tells the probes that all leave.
    dismissal: Arc<Notify>,
    /// The things that finished calls left open, oldest first.
    left: VecDeque<Left>,
    /// Connections made.
    connected: u32,
    /// Everything was let go, and no call was ordered since.
    quiet: bool,
    /// The pacing that was last reported.
    pacing: Option<Pacing>,
}

impl<W: Write> Callers<W> {
    fn new(setup: Setup, out: W) -> Result<Callers<W>, Error> {
        let Kind::Call { calls, certificate } = setup.kind else {
            unreachable!("clients that hold have a driver of their own")
        };
        let kind = registry()
            .iter()
            .find(|entry| entry.kind == calls.caller)
            .expect("every kind of caller is registered");
        let protocols: &[&[u8]] =
            if calls.request.on.version == Version::Http2 { &[b"h2"] } else { kind.protocols };
        let tls = Tls { ca: certificate, resumption: calls.resumption };
        let spoken = calls.tls || calls.tls_or_not;
        let trust = spoken.then(|| trust::Trust::new(tls, calls.certificate, protocols));
        let site = Arc::new(Site {
            target: setup.target.canonical(),
            path: setup.path,
            connect_timeout: duration(calls.connect_timeout_s),
            read_timeout: duration(calls.read_timeout_s),
            answer_timeout: duration(calls.answer_timeout_s),
            trust: trust.transpose().map_err(at("reading the certificate to trust"))?,
            secure: calls.tls.into(),
            first: tokio::sync::Mutex::new(calls.tls_or_not),
            rates: (calls.request.read_rate, calls.request.write_rate),
            open: watch::Sender::new(0),
            alarms: Alarms::default(),
        });
        Ok(Callers {
            call: (kind.make)(Arc::clone(&site), &calls),
            site,
            report: Reporter::new(setup.workload, out),
            first_id: setup.first_id,
            concurrency: calls.concurrency.max(1) as usize,
            shares: calls.request.each().0 > 1,
            every: duration(calls.every_s),
            schedule: calls.schedule,
            duration: calls.duration_s.map(duration),
            ordered: 0,
            started: 0,
            next_start: 0,
            times: Box::new(std::iter::empty()),
            until: Nanos::MAX,
            full_at: 0,
            alarm: None,
            under_way: BTreeSet::new(),
            calls: JoinSet::new(),
            probes: JoinSet::new(),
            dismissal: Arc::default(),
            left: VecDeque::new(),
            connected: 0,
            quiet: false,
            pacing: None,
        })
    }

    /// The loop: start what may start, say what happened, wait.
    async fn obey(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), Error> {
        loop {
            let more = self.start();
            if self.started == self.ordered
                && self.under_way.is_empty()
                && self.pacing == Some(Pacing::Ramping)
            {
                self.pace(Pacing::Done);
            }
            // As with clients that hold: while calls go on, reports wait for a moment.
            let flushed =
                if self.under_way.is_empty() { self.report.flush() } else { self.report.flush_if_due() };
            flushed.and_then(|()| self.report.flush_if_large()).map_err(at("reporting"))?;
            let (paced, due) = (self.room(), self.report.due());
            let now = clock::now();
            let due_in = Duration::from_nanos(due.saturating_sub(now));
            let next_in = Duration::from_nanos(self.next_start.saturating_sub(now));
            if paced && self.schedule.is_some() && self.alarm.is_none() {
                self.alarm = Some(tokio::spawn(punctual::wait_until(self.next_start)));
            }
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Quit) | None => return self.report.flush().map_err(at("reporting")),
                    Some(order) => self.obey_one(order).await,
                },
                Some(finished) = self.calls.join_next() => {
                    // The calls that ended meanwhile are over, too: a turn of this loop costs as much as a
                    // call.
                    let mut finished = Some(finished);
                    while let Some(one) = finished {
                        self.finish(one.expect("no call panics or is cancelled here"));
                        finished = self.calls.try_join_next();
                    }
                }
                Some(probed) = self.probes.join_next() => self.probed(probed.expect("no probe panics")).await,
                () = sleep(next_in), if paced && self.schedule.is_none() => {}
                () = punctual::rung(&mut self.alarm), if paced && self.alarm.is_some() => {}
                () = sleep(due_in), if due < u64::MAX => {}
                () = tokio::task::yield_now(), if more => {}
            }
        }
    }

    async fn obey_one(&mut self, order: Order) {
        match order {
            Order::Connect { upto } => {
                self.ordered = self.ordered.max(upto);
                self.begin();
            }
            Order::Release { clients } => self.release(clients).await,
            Order::Probe { label, deadline_ms } => self.probe(label, Duration::from_millis(deadline_ms)),
            Order::AskHeld { .. } => {
                let (outcome, why) = match self.left.is_empty() {
                    true => (Outcome::Closed, "calls are over, and nothing is held"),
                    false => (Outcome::Waits, "open; nothing is asked on what a call left behind"),
                };
                let seen = Seen::at_once(Label::Held, outcome, why);
                self.report.say(seen.event(self.report.workload()));
            }
            Order::Refill { clients } => {
                self.ordered = self.started.saturating_add(clients);
                self.begin();
                // These calls show what they leave open, and not how long they take: all come at once.
                self.times = Box::new(std::iter::repeat(self.next_start));
            }
            // This order is for clients that hold.
            Order::GiveUp { .. } => {}
            Order::Quit => unreachable!("the loop ends with it"),
        }
    }

    /// Calls are ordered: their times count from now.
    fn begin(&mut self) {
        self.quiet = false;
        self.pace(Pacing::Ramping);
        let now = clock::now();
        self.until = self.duration.map_or(Nanos::MAX, |time| now.saturating_add(time.as_nanos() as Nanos));
        if let Some(schedule) = self.schedule {
            if let Some(earlier) = self.alarm.take() {
                earlier.abort();
            }
            self.times = Box::new(schedule.times().map(move |after| now.saturating_add(after)));
            self.take_next_time();
        }
    }

    fn take_next_time(&mut self) {
        self.next_start = self.times.next().expect("a schedule has no end");
    }

    fn pace(&mut self, state: Pacing) {
        self.pacing = Some(state);
        self.report.pacing(state, self.connected);
    }

    fn room(&self) -> bool {
        self.started < self.ordered && self.under_way.len() < self.concurrency
    }

    /// Starts the calls that may be started; true when more may be at once.
    fn start(&mut self) -> bool {
        for _ in 0..STARTS_A_TURN {
            let now = clock::now();
            let at = if self.schedule.is_some() { self.next_start } else { now };
            if at >= self.until {
                self.ordered = self.started;
            }
            if !self.room() || now < self.next_start {
                return false;
            }
            let intended = self.schedule.map(|_| Intended { at, held: at <= self.full_at });
            if intended.is_some() {
                self.take_next_time();
            } else if !self.every.is_zero() {
                self.next_start = now + self.every.as_nanos() as Nanos;
            }
            let id = self.first_id + self.started;
            self.started += 1;
            self.under_way.insert(id);
            let (call, course) = (Arc::clone(&self.call), Course::default());
            self.calls.spawn(async move {
                course.begun();
                let result = call.call(&course).await;
                course.ended();
                Finished { id, intended, course, result }
            });
        }
        self.room()
    }

    fn finish(&mut self, finished: Finished) {
        let Finished { id, intended, course, result } = finished;
        if self.under_way.len() >= self.concurrency {
            self.full_at = clock::now();
        }
        self.under_way.remove(&id);
        let passed = course.passed();
        if let Some((connected, _)) = passed.connected {
            self.connected += 1;
            self.report.say_of(
                connected,
                What::Client { workload: self.report.workload(), id, state: Client::Connected },
            );
        }
        let kept = self.shares.then(|| {
            let left = self.left.len() + usize::from(matches!(result, Ok(Some(_))));
            self.site.open.borrow().saturating_sub(left) as u32
        });
        let stop = result.as_ref().err();
        let outcome = stop.map_or(Some(Outcome::Served), |stop| stop.outcome);
        let errno = stop.and_then(|stop| stop.errno);
        let state = match outcome {
            Some(Outcome::Served) => Client::Served,
            Some(Outcome::Waits | Outcome::TimesOut) => Client::TimedOut,
            Some(Outcome::Refused) => Client::Refused,
            Some(Outcome::Closed) => Client::Closed,
            Some(Outcome::ErrorReply) => {
                Client::ErrorReply(stop.map_or(String::new(), |stop| stop.words.clone()))
            }
            None => Client::Local(errno.unwrap_or(0)),
        };
        let (began, ended) = (passed.began, passed.ended.expect("a finished call has ended"));
        self.report.say_of(ended, What::Client { workload: self.report.workload(), id, state });
        self.report.say_of(
            ended,
            What::CallEnded {
                workload: self.report.workload(),
                id,
                outcome,
                step: stop.map(|stop| stop.step),
                errno,
                connect_s: passed.connected.map(|(_, took)| took as f64 * NS),
                took_s: (ended - began) as f64 * NS,
                tls_s: passed.shaken.map(|took| took as f64 * NS),
                first_byte_s: passed.headed.map(|took| took as f64 * NS),
                handshakes: passed.handshakes,
                resumed: passed.resumed,
                kept,
                late_s: intended.map(|intended| began.saturating_sub(intended.at) as f64 * NS),
                held: intended.is_some_and(|intended| intended.held),
            },
        );
        self.left.extend(result.ok().flatten());
    }

    fn probe(&mut self, label: Label, deadline: Duration) {
        let (call, dismissed) = (Arc::clone(&self.call), Arc::clone(&self.dismissal).notified_owned());
        self.probes.spawn(async move {
            let (started, course) = (clock::now(), Course::default());
            let result = tokio::select! {
                result = timeout(deadline, call.call(&course)) => Some(result),
                () = dismissed => None,
            };
            course.ended();
            let over = match result {
                Some(Ok(Ok(left))) => {
                    if let Some(left) = left {
                        left.let_go().await;
                    }
                    Over::Answered
                }
                Some(Ok(Err(stop))) => Over::Stopped(stop),
                Some(Err(_)) => Over::Overdue,
                None => Over::Dismissed,
            };
            Probed { label, started, course, over }
        });
    }

    async fn probed(&mut self, probed: Probed) {
        if self.quiet {
            // No call comes that would use again the connections that the probe did not close.
            self.let_go_of_idle().await;
        }
        let Probed { label, started, course, over } = probed;
        let passed = course.passed();
        let stop = match over {
            Over::Answered => None,
            Over::Stopped(stop) => Some(stop),
            Over::Overdue if passed.connected.is_some() => Some(Stop::overdue(CallStep::Answer)),
            Over::Overdue => Some(Stop::overdue(CallStep::Connect)),
            Over::Dismissed => return self.report.say(super::probe::dismissed(label)),
        };
        let Some(outcome) = stop.as_ref().map_or(Some(Outcome::Served), |stop| stop.outcome) else {
            let stop = stop.expect("only what came to nothing has no outcome");
            let why = format!("the caller's own side failed at `{}`: {}", stop.step.name(), stop.words);
            return self.report.say(What::NotSeen { what: Unseen::Probe { label }, why });
        };
        let answered = matches!(outcome, Outcome::Served | Outcome::ErrorReply | Outcome::Closed);
        let ended = passed.ended.unwrap_or(started);
        let since = passed.connected.map_or(started, |(at, _)| at);
        let seen = Seen {
            label,
            outcome,
            detail: stop.map_or_else(String::new, |stop| stop.words),
            connect_s: passed.connected.map(|(_, took)| took as f64 * NS),
            answer_s: answered.then(|| ended.saturating_sub(since) as f64 * NS),
        };
        self.report.say(seen.event(self.report.workload()));
    }

    /// Makes no further calls, and closes the descriptors that earlier ones left open. Without a bound, it
    /// closes all of them, and those that calls under way and to come would use.
    async fn release(&mut self, most: u32) {
        self.ordered = self.started;
        let mut released = 0;
        while released < most
            && let Some(mut left) = self.left.pop_front()
        {
            // The server may have closed it meanwhile.
            released += u32::from(left.closed.is_open());
            left.let_go().await;
        }
        if most == u32::MAX {
            self.calls.abort_all();
            while let Some(ended) = self.calls.join_next().await {
                if let Ok(finished) = ended {
                    self.finish(finished);
                }
            }
            for id in std::mem::take(&mut self.under_way) {
                self.report.client(id, Client::Released);
                released += 1;
            }
            // A call may have ended just now and left something.
            for left in std::mem::take(&mut self.left) {
                left.let_go().await;
                released += 1;
            }
            released += self.let_go_of_idle().await;
            self.quiet = true;
            self.dismiss_probes().await;
            self.site.all_closed().await;
        }
        self.report.say(What::Released { clients: released });
    }

    /// When all clients leave, probes leave with them: their connections would be taken for leaks of the
    /// subject.
    async fn dismiss_probes(&mut self) {
        self.dismissal.notify_waiters();
        while let Some(probed) = self.probes.join_next().await {
            self.probed(probed.expect("no probe panics")).await;
        }
    }

    async fn let_go_of_idle(&self) -> u32 {
        let mut released = 0;
        for left in self.call.idle() {
            left.let_go().await;
            released += 1;
        }
        released
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

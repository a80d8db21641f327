//! One life a client: connected, answered, told, closed and by which side, as its driver saw it.

use super::answers::Answers;
use super::readings::{Asked, Readings};
use super::tries::full;
use crate::event::{Client as State, Event, Label, Nanos, Outcome, Phase, What};
use crate::scenario::{Plan, Workload};
use std::collections::{HashMap, HashSet};

/// A connection that the server closes within this time of taking it was dismissed, never held.
pub(crate) const DISMISSED_WITHIN: Nanos = 1_000_000_000;

/// A client may see by so much later what the server does: that it is connected, has an answer, is closed.
pub(crate) const SEEN_LATE: Nanos = 2_000_000;

/// One client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub connected: Option<Nanos>,
    pub served: Option<Nanos>,
    /// When the server first spoke to it, though it asks nothing.
    pub greeted: Option<Nanos>,
    /// When and how it ended other than by leaving.
    pub ended: Option<(Nanos, Outcome)>,
    /// When the server closed the connection, an error reply before that or not.
    pub closed: Option<Nanos>,
    pub released: Option<Nanos>,
    /// It left while it waited to be accepted, on order.
    pub gave_up: bool,
    /// Our own side's errno.
    pub local: Option<(Nanos, i32)>,
}

impl Client {
    /// When it was first heard of.
    fn first(&self) -> Nanos {
        self.connected.or(self.ended.map(|e| e.0)).unwrap_or(Nanos::MAX)
    }

    fn open_at(&self, at: Nanos) -> bool {
        self.connected.is_some_and(|c| c <= at)
            && self.ended.is_none_or(|e| e.0 > at)
            && self.released.is_none_or(|r| r > at)
    }

    fn take(&mut self, at: Nanos, state: &State, fails: bool) {
        self.gave_up |= *state == State::GaveUp;
        let mut end = |outcome| {
            self.ended.get_or_insert((at, outcome));
        };
        match state {
            State::Closed => {
                end(Outcome::Closed);
                self.closed = self.closed.or(Some(at));
            }
            State::Refused => end(Outcome::Refused),
            State::TimedOut => end(Outcome::TimesOut),
            State::ErrorReply(_) => end(Outcome::ErrorReply),
            State::ErrorAnswer(_) | State::Begun => {}
            State::Connected => self.connected = self.connected.or(Some(at)),
            State::Greeted => self.greeted = self.greeted.or(Some(at)),
            State::Served if fails => end(Outcome::ErrorReply),
            State::Served => self.served = self.served.or(Some(at)),
            State::Released | State::GaveUp => self.released = self.released.or(Some(at)),
            State::Local(errno) => self.local = self.local.or(Some((at, *errno))),
        }
    }

    pub fn served_by(&self, at: Nanos) -> bool {
        self.served.is_some_and(|s| s < at)
    }
}

/// All clients of the subject.
pub(crate) struct Clients<'a> {
    /// By the time of their connect (or of its failure).
    pub all: Vec<Client>,
    /// Whether the dialogue has an answer: false when every workload is `tcp`.
    pub answers: bool,
    /// The outcomes of all clients of the run, the subject's or not, in order of time.
    pub told: Vec<Told<'a>>,
    /// Error replies that clients of the subject got, in order of time: when, and in the server's words.
    pub error_replies: Vec<(Nanos, &'a str)>,
    /// Connections that the subject has accepted before any of these came, and holds: their clients have
    /// left.
    pub left_before: u64,
}

/// A client was answered, got an error reply, or was closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub at: Nanos,
    pub workload: &'a str,
    pub id: u32,
    pub state: &'a State,
}

/// The server's words to every client, before it is asked anything: a client whose connection ends has heard
/// no error by it.
struct Greeting<'a> {
    /// As a probe heard it.
    words: Option<&'a str>,
    /// The first call that failed for want of a descriptor once clients came; a moment later where that is
    /// accept, which says nothing of those that were accepted before.
    wall: Nanos,
}

impl<'a> Greeting<'a> {
    fn of(events: &[&'a Event], words: Option<&'a str>) -> Self {
        let ramp = events.iter().skip_while(|event| event.is != What::Phase(Phase::Ramp));
        let mut failed =
            ramp.filter(|event| matches!(event.is, What::Call { ret, .. } if full(ret).is_some()));
        let wall = failed.next().map_or(0, |event| match event.is {
            What::Call { name, .. } if name.accepts() => event.at.saturating_add(SEEN_LATE),
            _ => event.at,
        });
        Greeting { words, wall }
    }

    /// Whether these last words are what everybody hears: also where the server spoke them before a call
    /// failed.
    fn is(&self, words: &str, spoken: Option<Nanos>) -> bool {
        spoken.is_some_and(|at| at < self.wall || self.words == Some(words))
    }
}

/// A client program that ended with an error and was not seen to be connected.
struct Stranger<'a> {
    at: Nanos,
    workload: &'a str,
    id: u32,
    words: &'a str,
}

impl<'a> Stranger<'a> {
    /// All of them until the ramp was over, and whether the subject accepted its connection: a short one is
    /// seen by its accept only, so as many were as it accepted connections more than clients were seen to be
    /// connected.
    fn all(events: &[&'a Event]) -> Vec<(Stranger<'a>, bool)> {
        let phase = |phase| events.iter().position(|event| event.is == What::Phase(phase));
        let Some(from) = phase(Phase::Ramp) else { return Vec::new() };
        let ramp = &events[from..phase(Phase::Saturate).unwrap_or(events.len()).max(from)];
        let (mut seen, mut strangers) = (0_usize, Vec::new());
        for event in ramp {
            match &event.is {
                What::Client { state: State::Connected, .. } => seen += 1,
                What::ProgramEnded { workload, id: Some(id), words, connected: false, .. } => {
                    strangers.push(Stranger { at: event.at, workload, id: *id, words });
                }
                _ => {}
            }
        }
        let accepts = |event: &&&Event| match event.is {
            What::Call { name, ret, .. } => name.accepts() && ret >= 0,
            _ => false,
        };
        let unseen = ramp.iter().filter(accepts).count().saturating_sub(seen);
        strangers.into_iter().enumerate().map(|(n, one)| (one, n < unseen)).collect()
    }
}

/// A client is known by its workload and its number there.
type Id<'a> = (&'a str, u32);

/// The lives of clients, up to the event that was taken last.
#[derive(Default)]
struct Lives<'a> {
    all: HashMap<Id<'a>, Client>,
    /// Error replies that ended a dialogue, and error answers that did not.
    replies: Vec<(Nanos, &'a str)>,
    answers: Vec<(Id<'a>, (Nanos, &'a str))>,
    /// Clients that got an error which the first client did not get, and those whose last words were the
    /// greeting.
    failing: HashSet<Id<'a>>,
    greeted: HashSet<Id<'a>>,
}

impl<'a> Lives<'a> {
    /// Takes in the state of a client of the subject. `fails`: its answer is an error that the first client
    /// did not get, which is no service.
    fn take(&mut self, at: Nanos, id: Id<'a>, state: &'a State, fails: bool, greeting: &Greeting<'a>) {
        let client = self.all.entry(id).or_default();
        match state {
            State::ErrorReply(words) if greeting.is(words, client.greeted) => {
                self.greeted.insert(id);
                return;
            }
            State::ErrorReply(words) => self.replies.push((at, words)),
            State::ErrorAnswer(words) => self.answers.push((id, (at, words))),
            _ => {}
        }
        self.failing.extend(fails.then_some(id));
        client.take(at, state, fails);
    }

    /// Takes in a client program that was not seen to be connected. `accepted`: it was.
    fn take_stranger(&mut self, end: &Stranger<'a>, accepted: bool) {
        let client = self.all.entry((end.workload, end.id)).or_default();
        client.connected = client.connected.or(accepted.then_some(end.at));
        client.ended.get_or_insert((end.at, Outcome::ErrorReply));
        self.replies.push((end.at, end.words));
    }

    /// The state of a client, of whatever server, where it tells the client something.
    fn told(&self, event: &'a Event) -> Option<Told<'a>> {
        let What::Client { workload, id, state } = &event.is else { return None };
        let of = (workload.as_str(), *id);
        let tells = match state {
            State::ErrorReply(_) => !self.greeted.contains(&of),
            State::Closed => true,
            State::Served => !self.failing.contains(&of),
            State::ErrorAnswer(_) => self.failing.contains(&of),
            _ => false,
        };
        tells.then_some(Told { at: event.at, workload, id: *id, state })
    }

    /// All error replies, in order of time. What the first client got, too, is worth telling where nobody got
    /// anything worse.
    fn error_replies(&self) -> Vec<(Nanos, &'a str)> {
        let fails = |(id, _): &&(Id<'a>, _)| self.failing.contains(id);
        let worse = !self.replies.is_empty() || self.answers.iter().any(|answer| fails(&answer));
        let answers = self.answers.iter().filter(|answer| fails(answer) == worse);
        let mut all: Vec<_> = self.replies.iter().copied().chain(answers.map(|(_, reply)| *reply)).collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// By the time of their connect (or of its failure).
    fn in_order(self) -> Vec<Client> {
        let mut all: Vec<_> = self.all.into_iter().collect();
        all.sort_by_key(|(id, client)| (client.first(), *id));
        all.into_iter().map(|(_, client)| client).collect()
    }
}

impl<'a> Clients<'a> {
    pub(super) fn new(
        plan: &Plan,
        events: &[&'a Event],
        readings: &Readings<'a>,
        answers: &Answers<'a>,
        left_before: u64,
    ) -> Self {
        let direct = plan.workloads.values().any(|w| w.to == plan.subject);
        // Calls come and go: they have measures of their own.
        let loads = |w: &Workload| w.calls.is_none() && (!direct || w.to == plan.subject);
        let greeting = Greeting::of(events, readings.greeting);
        let mut lives = Lives::default();
        for (place, event) in events.iter().enumerate() {
            if let What::Client { workload, id, state } = &event.is
                && plan.workloads.get(workload).is_none_or(loads)
            {
                lives.take(event.at, (workload, *id), state, answers.fails(place), &greeting);
            }
        }
        Stranger::all(events).iter().for_each(|(end, accepted)| lives.take_stranger(end, *accepted));
        // Where the scenario leaves the dialogue open, the run asks with HTTP, and keeps to it where that is
        // answered.
        let speaks_http = |name: &str| {
            let http = |asked: &Asked<'_>| [Label::Http, Label::Https].contains(&asked.label);
            let mut asked = readings.asked.iter().filter(|asked| asked.workload == name && http(asked));
            asked.any(|asked| asked.outcome == Outcome::Served)
        };
        let mut loads = plan.workloads.iter().filter(|(_, w)| loads(w));
        Clients {
            answers: loads.any(|(name, w)| w.asks().unwrap_or_else(|| speaks_http(name))),
            told: events.iter().filter_map(|event| lives.told(event)).collect(),
            error_replies: lives.error_replies(),
            all: lives.in_order(),
            left_before,
        }
    }

    /// Connects that had succeeded by then.
    pub fn connected(&self, until: Nanos) -> u64 {
        self.count(|r| r.connected.is_some_and(|c| c < until))
    }

    /// Answered by then, whether they are still there or not.
    pub fn answered_before(&self, at: Nanos) -> u64 {
        self.count(|r| r.served_by(at))
    }

    /// Clients that had got an error reply by then, and no answer before.
    pub fn told_an_error(&self, until: Nanos) -> u64 {
        let told = |r: &Client| r.ended.is_some_and(|(at, how)| how == Outcome::ErrorReply && at < until);
        self.count(|r| told(r) && !r.served_by(until))
    }

    /// Connections open at this moment, as the clients see it.
    pub fn open_at(&self, at: Nanos) -> u64 {
        self.count(|r| r.open_at(at))
    }

    /// Answered, and open still.
    pub fn served(&self, until: Nanos) -> u64 {
        self.count(|r| r.served_by(until) && r.open_at(until.saturating_sub(1)))
    }

    /// How long a client had been idle when the server closed its connection, an error reply such as 408 or
    /// 421 before that or not: since it was answered, or where it asks nothing since it connected.
    pub fn idle_age(&self, client: &Client) -> Option<Nanos> {
        let (at, _) = client.ended.filter(|(_, how)| matches!(how, Outcome::Closed | Outcome::ErrorReply))?;
        let since = if self.answers { client.served } else { client.connected };
        at.checked_sub(since?)
    }

    /// Ended in this way by then.
    pub fn ended(&self, how: Outcome, until: Nanos) -> u64 {
        self.count(|r| r.ended.is_some_and(|(at, outcome)| outcome == how && at < until))
    }

    /// Answered for the first time in this window.
    pub fn served_between(&self, from: Nanos, until: Nanos) -> u64 {
        self.count(|r| r.served.is_some_and(|at| (from..until).contains(&at)))
    }

    /// Closed by the server within this window, though they had not left, and had not been answered in it.
    pub fn closed_while_they_waited(&self, from: Nanos, until: Nanos) -> u64 {
        self.count(|r| {
            let closed = |(at, how)| how == Outcome::Closed && (from..until).contains(&at);
            let answered = r.served.is_some_and(|at| at >= from);
            r.ended.is_some_and(closed) && !answered && r.released.is_none()
        })
    }

    /// Clients connected, open, and not served at this moment; for `tcp` those beyond what the subject holds.
    pub fn waiting(&self, at: Nanos, held: u64) -> u64 {
        if self.answers { self.count(|r| r.open_at(at) && !r.served_by(at)) } else { self.beyond(at, held) }
    }

    /// Clients that are connected at this moment, beyond so many connections that the subject holds.
    pub fn beyond(&self, at: Nanos, held: u64) -> u64 {
        self.open_at(at).saturating_sub(held.saturating_sub(self.left_before))
    }

    /// How many of those waiting at this moment were served before `until`.
    pub fn waiters_served(&self, at: Nanos, until: Nanos) -> u64 {
        self.count(|r| r.open_at(at) && r.served.is_some_and(|s| (at..until).contains(&s)))
    }

    /// How many of those waiting at this moment were closed or got an error reply before `until`.
    pub fn waiters_turned_away(&self, at: Nanos, until: Nanos) -> u64 {
        self.count(|r| {
            r.open_at(at)
                && !r.served_by(at)
                && r.ended.is_some_and(|(ended, _)| (at..until).contains(&ended))
        })
    }

    /// The first served at or after this moment.
    pub fn first_served(&self, from: Nanos) -> Option<Nanos> {
        self.all.iter().filter_map(|r| r.served).filter(|&s| s >= from).min()
    }

    /// The first failure of our own side.
    pub fn local(&self, until: Nanos) -> Option<(Nanos, i32)> {
        self.all.iter().filter_map(|r| r.local).filter(|l| l.0 < until).min()
    }

    /// How many connects did not complete before their deadline.
    pub fn timed_out(&self, until: Nanos) -> u64 {
        self.count(|r| r.ended.is_some_and(|(at, o)| o == Outcome::TimesOut && at < until))
    }

    /// The first client not served by then, and what it had got; for `tcp` the first turned away, or beyond
    /// `accepts`.
    pub fn first_unserved(&self, accepts: u64, from: Nanos, until: Nanos) -> Option<(Nanos, Outcome)> {
        let outcome = |r: &Client| r.ended.filter(|e| e.0 < until).map_or(Outcome::Waits, |e| e.1);
        let mut rank = 0u64;
        for r in self.all.iter().filter(|r| r.local.is_none() && r.first() < until) {
            rank += u64::from(r.connected.is_some());
            let soon = r.ended.is_some_and(|(at, _)| at.saturating_sub(r.first()) < DISMISSED_WITHIN);
            let turned_away = soon && outcome(r) != Outcome::Waits;
            let unserved = if self.answers {
                !r.served_by(until)
            } else {
                turned_away || (r.connected.is_some() && rank > accepts)
            };
            if unserved && r.first() >= from {
                return Some((r.first(), outcome(r)));
            }
        }
        None
    }

    pub fn count(&self, test: impl Fn(&Client) -> bool) -> u64 {
        self.all.iter().filter(|r| test(r)).count() as u64
    }
}

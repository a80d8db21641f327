//! One life a client: connected, answered, told, closed and by which side, as its driver saw it.

use super::answers::Answers;
use super::tries::full;
use crate::event::{Client as State, Event, Label, Nanos, Outcome, Phase, What, greeting};
use crate::scenario::Plan;
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
    /// As a probe heard it, before the ramp or on a held connection.
    words: Option<&'a str>,
    /// The first call that failed for want of a descriptor once clients came; a moment later where that is
    /// accept, which says nothing of those that were accepted before.
    wall: Nanos,
}

impl<'a> Greeting<'a> {
    fn of(events: &[&'a Event]) -> Self {
        let words = events.iter().find_map(|event| match &event.is {
            What::Probe { label, outcome, detail, .. } => greeting(*label, *outcome, detail),
            _ => None,
        });
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

impl<'a> Clients<'a> {
    pub fn new(plan: &Plan, events: &[&'a Event], left_before: u64) -> Self {
        let to_subject = |name: &str| plan.workloads.get(name).is_none_or(|w| w.to == plan.subject);
        let direct = plan.workloads.values().any(|w| w.to == plan.subject);
        let mut all: HashMap<(&str, u32), Client> = HashMap::new();
        let (mut error_replies, mut answered) = (Vec::new(), Vec::new());
        let mut answers_so_far = Answers::default();
        let mut failing: HashSet<(&str, u32)> = HashSet::new();
        let mut greeted: HashSet<(&str, u32)> = HashSet::new();
        let greeting = Greeting::of(events);
        for event in events {
            let What::Client { workload, id, state } = &event.is else { continue };
            // Calls come and go: they have measures of their own.
            if (direct && !to_subject(workload))
                || plan.workloads.get(workload).is_some_and(|w| w.calls.is_some())
            {
                continue;
            }
            let record = all.entry((workload, *id)).or_default();
            if let State::ErrorReply(words) = state
                && greeting.is(words, record.greeted)
            {
                greeted.insert((workload.as_str(), *id));
                continue;
            }
            match state {
                State::ErrorReply(words) => error_replies.push((event.at, words.as_str())),
                State::ErrorAnswer(words) => {
                    answered.push(((workload.as_str(), *id), (event.at, words.as_str())));
                }
                _ => {}
            }
            // An error that the first client did not get is no service.
            let fails = answers_so_far.fails(workload, *id, state);
            if fails {
                failing.insert((workload.as_str(), *id));
            }
            record.gave_up |= *state == State::GaveUp;
            let mut end = |outcome| {
                record.ended.get_or_insert((event.at, outcome));
            };
            match state {
                State::Closed => {
                    end(Outcome::Closed);
                    record.closed = record.closed.or(Some(event.at));
                }
                State::Refused => end(Outcome::Refused),
                State::TimedOut => end(Outcome::TimesOut),
                State::ErrorReply(_) => end(Outcome::ErrorReply),
                State::ErrorAnswer(_) | State::Begun => {}
                State::Connected => record.connected = record.connected.or(Some(event.at)),
                State::Greeted => record.greeted = record.greeted.or(Some(event.at)),
                State::Served if fails => end(Outcome::ErrorReply),
                State::Served => record.served = record.served.or(Some(event.at)),
                State::Released | State::GaveUp => record.released = record.released.or(Some(event.at)),
                State::Local(errno) => record.local = record.local.or(Some((event.at, *errno))),
            }
        }
        for (end, accepted) in Stranger::all(events) {
            let record = all.entry((end.workload, end.id)).or_default();
            record.connected = record.connected.or(accepted.then_some(end.at));
            record.ended.get_or_insert((end.at, Outcome::ErrorReply));
            error_replies.push((end.at, end.words));
        }
        // What the first client got, too, is worth telling where nobody got anything worse.
        let (failed, usual): (Vec<_>, Vec<_>) =
            answered.into_iter().partition(|(key, _)| failing.contains(key));
        let told = if error_replies.is_empty() && failed.is_empty() { usual } else { failed };
        error_replies.extend(told.into_iter().map(|(_, reply)| reply));
        error_replies.sort_by_key(|(at, _)| *at);
        let mut keyed: Vec<_> = all.into_iter().collect();
        keyed.sort_by_key(|(key, record)| (record.first(), *key));
        // Where the scenario leaves the dialogue open, the run asks with HTTP, and keeps to it where that is
        // answered.
        let speaks_http = |name: &str| {
            events.iter().any(|event| match &event.is {
                What::Probe { workload, label, outcome, .. } => {
                    let http = [Label::Http, Label::Https].contains(label);
                    http && workload == name && *outcome == Outcome::Served
                }
                _ => false,
            })
        };
        let mut loads =
            plan.workloads.iter().filter(|(_, w)| w.calls.is_none() && (!direct || w.to == plan.subject));
        let answers = loads.any(|(name, w)| w.asks().unwrap_or_else(|| speaks_http(name)));
        let told = events.iter().filter_map(|event| match &event.is {
            What::Client { workload, id, state } => {
                let fails = failing.contains(&(workload.as_str(), *id));
                let tells = match state {
                    State::ErrorReply(_) => !greeted.contains(&(workload.as_str(), *id)),
                    State::Closed => true,
                    State::Served => !fails,
                    State::ErrorAnswer(_) => fails,
                    _ => false,
                };
                tells.then_some(Told { at: event.at, workload, id: *id, state })
            }
            _ => None,
        });
        let (all, told) = (keyed.into_iter().map(|(_, record)| record).collect(), told.collect());
        Clients { all, answers, told, error_replies, left_before }
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

//! The calls of each workload of calls, as their callers saw them.

use super::processes::counts_calls;
use crate::event::{CallStep, Client as State, Event, Nanos, Outcome, Pacing, What};
use crate::scenario::{Caller, Plan, Program, Schedule};
use std::collections::BTreeMap;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The outcome; `None`: the caller's own side failed.
    pub outcome: Option<Outcome>,
    /// Where it stopped; `None`: it was answered.
    pub step: Option<CallStep>,
    /// The errno of the system call that failed.
    pub errno: Option<i32>,
}

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Over {
    pub began: Nanos,
    pub at: Nanos,
    pub outcome: Option<Outcome>,
    pub step: Option<CallStep>,
    pub errno: Option<i32>,
    pub took_s: f64,
    pub connected: bool,
    pub handshakes: u32,
    /// Handshakes that resumed an earlier session.
    pub resumed: u32,
    /// Connections that calls share, open then.
    pub kept: Option<u32>,
    /// For a call at a rate: how long after its intended time it was sent, seconds.
    pub late_s: Option<f64>,
    /// It was sent late because as many were under way as may be.
    pub held: bool,
}

impl Over {
    /// How it ended.
    pub fn way(&self) -> Way {
        Way { outcome: self.outcome, step: self.step, errno: self.errno }
    }

    pub fn answered(&self) -> bool {
        self.outcome == Some(Outcome::Served)
    }

    /// Whether it ever had a descriptor.
    fn had_one(&self) -> bool {
        self.outcome.is_some() || self.step > Some(CallStep::Socket)
    }
}

/// The calls of one workload.
pub(crate) struct Made<'a> {
    pub workload: &'a str,
    pub caller: Caller,
    /// Whether they tell the subject's ceiling: it is called, or makes them itself.
    pub counts: bool,
    /// Whether a process of the scenario makes them, and not the harness.
    pub own: bool,
    pub to_subject: bool,
    /// Their rate, in an open loop.
    pub schedule: Option<Schedule>,
    /// Calls to be made; `None`: the run chose.
    pub asked: Option<u64>,
    /// In the order of their ends.
    pub ended: Vec<Over>,
    /// Dropped before their end, and when.
    pub dropped: Vec<Nanos>,
    /// When calls were ordered, and when all of them were over (`false`).
    pub paced: Vec<(Nanos, bool)>,
}

/// All calls, in the order of their workloads' names.
pub(crate) struct Calls<'a>(pub Vec<Made<'a>>);

impl<'a> Calls<'a> {
    pub fn new(plan: &'a Plan, events: &[&Event]) -> Self {
        let calling = plan.processes.iter().filter_map(|(process, p)| {
            if let Program::Call(w) = &p.program { Some((w, process)) } else { None }
        });
        let callers: BTreeMap<&String, &String> = calling.collect();
        let made = plan.workloads.iter().filter_map(|(name, workload)| {
            let by = callers.get(name);
            let to_subject = workload.to == plan.subject;
            let counts = by.is_some_and(|by| **by == plan.subject) || (to_subject && counts_calls(workload));
            let made = Made {
                workload: name,
                caller: workload.calls.as_ref()?.caller,
                counts,
                own: by.is_some(),
                to_subject,
                schedule: workload.calls.as_ref()?.schedule,
                asked: workload.clients.map(u64::from),
                ended: Vec::new(),
                dropped: Vec::new(),
                paced: Vec::new(),
            };
            Some((name.as_str(), made))
        });
        let mut made: BTreeMap<&str, Made> = made.collect();
        for event in events {
            match &event.is {
                What::CallEnded {
                    workload,
                    outcome,
                    step,
                    errno,
                    connect_s,
                    took_s,
                    handshakes,
                    resumed,
                    kept,
                    late_s,
                    held,
                    ..
                } => {
                    let Some(made) = made.get_mut(workload.as_str()) else { continue };
                    let finite = |s: f64| if s.is_finite() { s.max(0.0) } else { 0.0 };
                    let took_s = finite(*took_s);
                    let began = event.at.saturating_sub((took_s * 1e9) as Nanos);
                    let (outcome, step, errno) = (*outcome, *step, *errno);
                    let connected = connect_s.is_some();
                    made.ended.push(Over {
                        began,
                        at: event.at,
                        outcome,
                        step,
                        errno,
                        took_s,
                        connected,
                        handshakes: *handshakes,
                        resumed: *resumed,
                        kept: *kept,
                        late_s: late_s.map(finite),
                        held: *held,
                    });
                }
                What::Client { workload, state: State::Released, .. } => {
                    if let Some(made) = made.get_mut(workload.as_str()) {
                        made.dropped.push(event.at);
                    }
                }
                What::Pacing { workload, state, .. } => {
                    if let Some(made) = made.get_mut(workload.as_str()) {
                        made.paced.push((event.at, *state != Pacing::Done));
                    }
                }
                _ => {}
            }
        }
        Calls(made.into_values().collect())
    }

    /// Calls of the subject answered by then; `None`: no workload of calls is the subject's.
    pub fn answered(&self, until: Nanos) -> Option<u64> {
        let own = || self.0.iter().filter(|made| made.counts);
        own().next()?;
        Some(own().map(|made| answered_by(&made.ended, until)).sum())
    }

    /// How many of the subject's calls were over by then, and how many were to be made if that is known.
    pub fn over(&self, until: Nanos) -> (u64, Option<u64>) {
        let own = || self.0.iter().filter(|made| made.counts);
        (
            own().map(|made| made.ended.iter().filter(|e| e.at < until).count() as u64).sum(),
            own().map(|made| made.asked).sum(),
        )
    }

    /// How most of the subject's calls that were not answered by then ended.
    pub fn mostly(&self, until: Nanos) -> Option<Way> {
        let own = self.0.iter().filter(|made| made.counts).flat_map(|made| &made.ended);
        let mut ways: Vec<(Way, u64)> = Vec::new();
        for way in own.filter(|e| e.at < until && !e.answered()).map(Over::way) {
            match ways.iter_mut().find(|(known, _)| *known == way) {
                Some((_, calls)) => *calls += 1,
                None => ways.push((way, 1)),
            }
        }
        ways.into_iter().max_by_key(|(_, calls)| *calls).map(|(way, _)| way)
    }

    /// The first failure of the harness's own side.
    pub fn local(&self, until: Nanos) -> Option<(Nanos, i32)> {
        let made = self.0.iter().filter(|made| !made.own).flat_map(|made| &made.ended);
        made.filter(|e| e.outcome.is_none() && e.at < until).map(|e| (e.at, e.errno.unwrap_or(0))).min()
    }

    /// Calls to the subject that were over by `until`, but for those answered before `from`: so many
    /// connections it may have closed after `from` because their callers had left.
    pub fn left_after(&self, from: Nanos, until: Nanos) -> u64 {
        let calls = self.0.iter().filter(|made| made.to_subject).flat_map(|made| &made.ended);
        calls.filter(|e| e.connected && e.at < until && !(e.answered() && e.at < from)).count() as u64
    }

    /// How many of the subject's calls were under way then with a descriptor of their own.
    pub fn under_way(&self, at: Nanos) -> u64 {
        let own = self.0.iter().filter(|made| made.counts).flat_map(|made| &made.ended);
        own.filter(|e| e.began <= at && e.at > at && e.had_one()).count() as u64
    }

    /// How many of the subject's calls were answered by then, and how many descriptors were in use by calls:
    /// one for each call under way, and those for connections that calls share.
    pub fn around(&self, at: Nanos) -> (u64, u64) {
        let own = || self.0.iter().filter(|made| made.counts);
        let answered = own().flat_map(|made| &made.ended).filter(|e| e.answered() && e.at <= at).count();
        let kept =
            |made: &Made| made.ended.iter().rev().find(|e| e.at <= at).and_then(|e| e.kept).unwrap_or(0);
        (answered as u64, self.under_way(at) + own().map(|made| u64::from(kept(made))).sum::<u64>())
    }
}

pub(crate) fn answered_by(ended: &[Over], until: Nanos) -> u64 {
    ended.iter().filter(|e| e.answered() && e.at < until).count() as u64
}

/// How much of `[from, to)` calls were ordered and not all over; all of it where nobody said.
pub(crate) fn busy(paced: &[(Nanos, bool)], from: Nanos, to: Nanos) -> Nanos {
    let (mut busy, mut since) = (0, Some(from));
    for &(at, goes_on) in paced.iter().filter(|(at, _)| (from..to).contains(at)) {
        if goes_on {
            since = since.or(Some(at));
        } else if let Some(since) = since.take() {
            busy += at - since;
        }
    }
    busy + since.map_or(0, |since| to.saturating_sub(since))
}

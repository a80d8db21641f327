//! The calls of each workload of calls: how many, how long they took, how they ended, and what they cost the subject in descriptors.

use super::timeline::{Timeline, milli, seconds};
use super::{CallEnds, CallsMade, Latency, Measured, Run};
use crate::event::{CallStep, Client, Nanos, Outcome, Pacing, Phase, What};
use crate::scenario::{Caller, Plan, Program, Workload};
use std::collections::BTreeMap;

/// Ways to end that are listed, at most.
const ENDS: usize = 20;

/// One call that is over.
#[derive(Debug, Clone, Copy)]
struct Ended {
    began: Nanos,
    at: Nanos,
    outcome: Option<Outcome>,
    step: Option<CallStep>,
    errno: Option<i32>,
    took_s: f64,
    connected: bool,
    handshakes: u32,
}

impl Ended {
    fn answered(&self) -> bool {
        self.outcome == Some(Outcome::Served)
    }

    /// Whether it came to have a descriptor at all.
    fn had_one(&self) -> bool {
        self.outcome.is_some() || self.step > Some(CallStep::Socket)
    }
}

/// The calls of one workload.
struct Made {
    workload: String,
    caller: Caller,
    /// Whether they tell the subject's ceiling: it is called, or makes them itself.
    counts: bool,
    /// Whether a process of the scenario makes them, and not the harness.
    own: bool,
    to_subject: bool,
    /// Calls to be made; `None`: the run chose.
    asked: Option<u64>,
    /// In the order of their ends.
    ended: Vec<Ended>,
    /// Dropped before their end, and when.
    dropped: Vec<Nanos>,
    /// When calls were ordered, and when all of them were over (`false`).
    paced: Vec<(Nanos, bool)>,
}

/// All calls, in the order of their workloads' names.
pub(super) struct Calls(Vec<Made>);

/// Whether a workload loads the subject with calls that its ceiling is counted in.
pub(super) fn counts_calls(workload: &Workload) -> bool {
    workload.calls.as_ref().is_some_and(|calls| calls.caller != Caller::Caller)
}

impl Calls {
    pub fn new(plan: &Plan, timeline: &Timeline<'_>) -> Self {
        let calling = plan.processes.iter().filter_map(|(process, p)| {
            if let Program::Call(w) = &p.program { Some((w, process)) } else { None }
        });
        let callers: BTreeMap<&String, &String> = calling.collect();
        let made = plan.workloads.iter().filter_map(|(name, workload)| {
            let by = callers.get(name);
            let to_subject = workload.to == plan.subject;
            let counts = by.is_some_and(|by| **by == plan.subject) || (to_subject && counts_calls(workload));
            let made = Made {
                workload: name.clone(),
                caller: workload.calls.as_ref()?.caller,
                counts,
                own: by.is_some(),
                to_subject,
                asked: workload.clients.map(u64::from),
                ended: Vec::new(),
                dropped: Vec::new(),
                paced: Vec::new(),
            };
            Some((name.as_str(), made))
        });
        let mut made: BTreeMap<&str, Made> = made.collect();
        for event in &timeline.events {
            match &event.is {
                What::CallEnded { workload, outcome, step, errno, connect_s, took_s, handshakes, .. } => {
                    let Some(made) = made.get_mut(workload.as_str()) else { continue };
                    let took_s = if took_s.is_finite() { took_s.max(0.0) } else { 0.0 };
                    let began = event.at.saturating_sub((took_s * 1e9) as Nanos);
                    let (outcome, step, errno) = (*outcome, *step, *errno);
                    let connected = connect_s.is_some();
                    made.ended.push(Ended {
                        began,
                        at: event.at,
                        outcome,
                        step,
                        errno,
                        took_s,
                        connected,
                        handshakes: *handshakes,
                    });
                }
                What::Client { workload, state: Client::Released, .. } => {
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
        Some(own().map(|made| answered(&made.ended, until)).sum())
    }

    /// Of the subject's calls: how many were over by then, and how many were to be made where that is known.
    pub fn over(&self, until: Nanos) -> (u64, Option<u64>) {
        let own = || self.0.iter().filter(|made| made.counts);
        (
            own().map(|made| made.ended.iter().filter(|e| e.at < until).count() as u64).sum(),
            own().map(|made| made.asked).sum(),
        )
    }

    /// What most of the subject's calls that were not answered by then came to, in words.
    pub fn mostly(&self, until: Nanos) -> Option<String> {
        let mut ways: BTreeMap<String, u64> = BTreeMap::new();
        let failed = self
            .0
            .iter()
            .filter(|made| made.counts)
            .flat_map(|made| &made.ended)
            .filter(|e| e.at < until && !e.answered());
        failed.for_each(|e| *ways.entry(way(e.outcome, e.step, e.errno)).or_default() += 1);
        ways.into_iter().max_by_key(|(_, calls)| *calls).map(|(way, _)| way)
    }

    /// The first failure of the harness's own side.
    pub fn local(&self, until: Nanos) -> Option<(Nanos, i32)> {
        let made = self.0.iter().filter(|made| !made.own).flat_map(|made| &made.ended);
        made.filter(|e| e.outcome.is_none() && e.at < until).map(|e| (e.at, e.errno.unwrap_or(0))).min()
    }

    /// Calls to the subject that were over by `until`, but for those answered before `from`: so many connections it may have closed
    /// after `from` because their callers had left.
    pub fn left_after(&self, from: Nanos, until: Nanos) -> u64 {
        let calls = self.0.iter().filter(|made| made.to_subject).flat_map(|made| &made.ended);
        calls.filter(|e| e.connected && e.at < until && !(e.answered() && e.at < from)).count() as u64
    }

    /// Of the subject's calls: answered by then, and under way then.
    fn around(&self, at: Nanos) -> (u64, u64) {
        let own = || self.0.iter().filter(|made| made.counts).flat_map(|made| &made.ended);
        let under_way = own().filter(|e| e.began <= at && e.at > at && e.had_one()).count() as u64;
        (own().filter(|e| e.answered() && e.at <= at).count() as u64, under_way)
    }
}

fn answered(ended: &[Ended], until: Nanos) -> u64 {
    ended.iter().filter(|e| e.answered() && e.at < until).count() as u64
}

/// How calls ended, in a few words.
pub fn way(outcome: Option<Outcome>, step: Option<CallStep>, errno: Option<i32>) -> String {
    let what = match outcome {
        Some(Outcome::Served) => "answered",
        Some(Outcome::Waits) => "connected, and no word",
        Some(Outcome::TimesOut) => "connect timed out",
        Some(Outcome::Refused) => "refused",
        Some(Outcome::Closed) => "closed",
        Some(Outcome::ErrorReply) => "told an error",
        None => "failed on the caller's own side",
    };
    let step = step.map_or(String::new(), |step| format!(" at `{}`", step.name()));
    let errno = errno
        .filter(|_| outcome.is_none())
        .map_or(String::new(), |errno| format!(" with {}", errno_name(errno)));
    format!("{what}{step}{errno}")
}

/// `EMFILE` and `ENFILE` by their names, others by their numbers.
fn errno_name(errno: i32) -> String {
    match super::tree::full((-errno).into()) {
        Some(name) => name.to_owned(),
        None => format!("errno {errno}"),
    }
}

/// Fills in the calls, of a run that came to make any.
pub(super) fn calls(run: &Run<'_>, m: &mut Measured) {
    if run.timeline.start(Phase::Ramp).is_none() {
        return;
    }
    let cost = per_1000(run, m);
    for (i, made) in run.calls.0.iter().enumerate() {
        let one = one(run, m, i, made, &cost);
        m.calls.push(one);
    }
}

fn one(run: &Run<'_>, m: &mut Measured, i: usize, made: &Made, cost: &Result<f64, String>) -> CallsMade {
    let released = run.timeline.released_from();
    let limit = run.followed.first.map_or(run.timeline.watched_until(), |first| first.at).min(released);
    // Begun before anybody was released, whatever became of them then.
    let all: Vec<&Ended> = made.ended.iter().filter(|e| e.began < released).collect();
    let good: Vec<&Ended> = made.ended.iter().filter(|e| e.answered() && e.at < limit).collect();
    let field = |name: &str| format!("calls.{i}.{name}");
    let completed_before_first_failure = match run.followed.first {
        Some(first) => Some(answered(&made.ended, first.at)),
        None => m.missing(
            &field("completed_before_first_failure"),
            "no descriptor call of the subject was seen to fail",
        ),
    };
    let span = good.iter().map(|e| e.began).min().zip(good.iter().map(|e| e.at).max());
    let busy = span.map(|(from, to)| busy(&made.paced, from, to)).filter(|busy| *busy > 0);
    let per_s = match busy {
        Some(busy) => Some(milli(good.len() as f64 / seconds(busy))),
        None => m.missing(&field("per_s"), "no call was answered"),
    };
    let latency_s = match latency(good.iter().map(|e| e.took_s).collect()) {
        Some(latency) => Some(latency),
        None => m.missing(&field("latency_s"), "no call was answered"),
    };
    let shaken: u64 = good.iter().map(|e| u64::from(e.handshakes)).sum();
    let handshakes_per_call = match good.len() {
        0 => m.missing(&field("handshakes_per_call"), "no call was answered"),
        // One for many is not none.
        n => Some((shaken as f64 / n as f64 * 1e6).round() / 1e6),
    };
    let descriptors_per_1000_calls = match cost {
        Ok(cost) if made.counts => Some(*cost),
        Ok(_) => {
            m.missing(&field("descriptors_per_1000_calls"), "these calls are not the subject's own work")
        }
        Err(reason) => m.missing(&field("descriptors_per_1000_calls"), reason.clone()),
    };
    let ends = ends(run, made, &all);
    for (k, end) in ends.iter().enumerate() {
        let absent = [
            ("outcome", end.outcome.is_none(), "the caller's own side failed"),
            ("step", end.step.is_none(), "it was answered"),
        ];
        let absent = absent.into_iter().chain([
            ("errno", end.errno.is_none(), "no system call failed"),
            (
                "accept_queue",
                end.accept_queue.is_none(),
                "the subject is not called, or its accept queue was not sampled",
            ),
            (
                "tcp_states",
                end.tcp_states.is_none(),
                "the subject is not called, or its sockets were not listed",
            ),
        ]);
        for (name, _, reason) in absent.filter(|(_, absent, _)| *absent) {
            m.missing::<()>(&field(&format!("ends.{k}.{name}")), reason);
        }
    }
    CallsMade {
        workload: made.workload.clone(),
        caller: made.caller,
        started: (all.len() + made.dropped.len()) as u64,
        completed: all.iter().filter(|e| e.answered()).count() as u64,
        ends,
        completed_before_first_failure,
        per_s,
        latency_s,
        connections: all.iter().filter(|e| e.connected).count() as u64,
        handshakes: all.iter().map(|e| u64::from(e.handshakes)).sum(),
        handshakes_per_call,
        descriptors_per_1000_calls,
    }
}

/// The ways in which calls ended, in the order in which they began to, with what the subject's listener looked like then.
fn ends(run: &Run<'_>, made: &Made, all: &[&Ended]) -> Vec<CallEnds> {
    let mut ways: Vec<(CallEnds, Vec<f64>)> = Vec::new();
    let mut by_start = all.to_vec();
    by_start.sort_by_key(|e| (e.began, e.at, e.outcome.map(|o| o as u8), e.step, e.errno));
    for e in by_start {
        let known =
            ways.iter_mut().find(|(w, _)| (w.outcome, w.step, w.errno) == (e.outcome, e.step, e.errno));
        if let Some((way, took)) = known {
            way.calls += 1;
            took.push(e.took_s);
        } else if ways.len() < ENDS {
            let (accept_queue, tcp_states) =
                if made.to_subject { listener_at(run, e.began) } else { (None, None) };
            let (outcome, step, errno) = (e.outcome, e.step, e.errno);
            let first_at_s = seconds(e.began);
            ways.push((
                CallEnds {
                    outcome,
                    step,
                    errno,
                    calls: 1,
                    first_at_s,
                    took_s: 0.0,
                    accept_queue,
                    tcp_states,
                },
                vec![e.took_s],
            ));
        }
    }
    ways.into_iter()
        .map(|(way, took)| CallEnds { took_s: latency(took).map_or(0.0, |l| l.p50), ..way })
        .collect()
}

/// The accept queue's length and the sockets' states as last read before this moment.
fn listener_at(run: &Run<'_>, at: Nanos) -> (Option<u32>, Option<BTreeMap<String, u64>>) {
    let before = || run.timeline.between(0, at.saturating_add(1)).iter().rev();
    let queue = before().find_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None });
    let states =
        before().find_map(|e| if let What::Tcp { states, .. } = &e.is { Some(states.clone()) } else { None });
    (queue, states)
}

/// How much of `[from, to)` calls were ordered and not all over; all of it where nobody said.
fn busy(paced: &[(Nanos, bool)], from: Nanos, to: Nanos) -> Nanos {
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

/// Quantiles by nearest rank; `None` of nothing.
pub(super) fn latency(mut took_s: Vec<f64>) -> Option<Latency> {
    took_s.sort_by(f64::total_cmp);
    let rank = |share: f64| took_s.get(((took_s.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
    Some(Latency { p50: rank(0.5)?, p90: rank(0.9)?, p99: rank(0.99)?, max: *took_s.last()? })
}

/// Descriptors that 1000 answered calls leave open in the subject; each call under way is taken to have one.
fn per_1000(run: &Run<'_>, m: &Measured) -> Result<f64, String> {
    if !run.calls.0.iter().any(|made| made.counts) {
        return Err("no workload of calls is the subject's".into());
    }
    let rest = m.baseline.descriptors.ok_or("the descriptors at rest are not known")?;
    let samples = run
        .timeline
        .between(run.timeline.from(Phase::Ramp), run.timeline.released_from())
        .iter()
        .filter_map(|e| match e.is {
            What::Sample { pid, descriptors, .. } if Some(pid) == run.tree.main => Some((e.at, descriptors)),
            _ => None,
        });
    let samples: Vec<(Nanos, u64)> = samples.collect();
    let first = run.followed.first.map_or(Nanos::MAX, |first| first.at);
    let watched = run.timeline.watched_until();
    let sample = samples.iter().find(|s| s.0 >= first).or(samples.iter().rfind(|s| s.0 < watched));
    let (at, descriptors) = sample.ok_or("the descriptors were not sampled while calls were made")?;
    let (answered, under_way) = run.calls.around(*at);
    if answered == 0 {
        return Err("no call was answered before the descriptors were sampled".into());
    }
    let grown = descriptors.saturating_sub(rest).saturating_sub(under_way);
    Ok(milli(grown as f64 * 1000.0 / answered as f64))
}

//! What clients see of a full server: those that it holds, those in the queue, and the next ones.

use super::calls::latency;
use super::clients::Record;
use super::saturation::probes;
use super::timeline::seconds;
use super::{Got, Held, Measured, Run};
use crate::event::{Nanos, Outcome, Phase};

const OUTCOMES: [Outcome; 6] = [
    Outcome::Served,
    Outcome::Waits,
    Outcome::TimesOut,
    Outcome::Refused,
    Outcome::Closed,
    Outcome::ErrorReply,
];

/// Fills in what clients saw.
pub(super) fn seen(run: &Run<'_>, m: &mut Measured) {
    let (watched, released) = (run.timeline.watched_until(), run.timeline.released_from());
    let failed = run.followed.first.map(|first| first.at);
    let wall = failed.unwrap_or_else(|| run.timeline.from(Phase::Saturate).min(watched));
    let records = &run.clients.records;
    let answered = |r: &Record| Some(seconds(r.served.filter(|at| *at < wall)?.saturating_sub(r.connected?)));
    let c = &mut m.saturation.clients;
    c.before_s = latency(records.iter().filter_map(answered).collect());
    c.held = held(run, 0, released);
    let counted = m.ceiling.accepted.filter(|_| super::witness::unseen(run).is_some());
    c.queued = run.clients.waiting(watched.saturating_sub(1), counted.unwrap_or(run.followed.most_in_all));
    let comes_next = |r: &&Record| match failed {
        Some(at) => r.connected.or(r.ended.map(|e| e.0)).is_some_and(|first| (at..released).contains(&first)),
        None => {
            run.clients.answers
                && r.served.is_none_or(|at| at >= watched)
                && (r.connected.is_some() || r.ended.is_some())
        }
    };
    let next: Vec<(Outcome, Option<f64>)> =
        records.iter().filter(comes_next).map(|r| got(r, released)).collect();
    for outcome in OUTCOMES {
        let of: Vec<Option<f64>> = next.iter().filter(|one| one.0 == outcome).map(|one| one.1).collect();
        if !of.is_empty() {
            c.next.push(Got {
                outcome,
                clients: of.len() as u64,
                after_s: latency(of.into_iter().flatten().collect()),
            });
        }
    }
    for (field, reason, absent) in [
        ("before_s", "no client was answered before the wall", c.before_s.is_none()),
        ("held.latency_s", "no held client answered", c.held.latency_s.is_none()),
        (
            "next.after_s",
            "the connect failed, or the client waits still",
            c.next.iter().any(|got| got.after_s.is_none()),
        ),
    ] {
        if absent {
            m.unmeasured.entry(format!("saturation.clients.{field}")).or_insert_with(|| reason.to_owned());
        }
    }
}

/// What a client had got by then, and how long after its connect.
fn got(r: &Record, until: Nanos) -> (Outcome, Option<f64>) {
    let after = |at: Nanos| r.connected.map(|connected| seconds(at.saturating_sub(connected)));
    match (r.served.filter(|at| *at < until), r.ended.filter(|e| e.0 < until)) {
        (_, Some((at, outcome))) => (outcome, after(at)),
        (Some(at), None) => (Outcome::Served, after(at)),
        (None, None) => (Outcome::Waits, None),
    }
}

/// Those that were asked again in this time.
pub(super) fn held(run: &Run<'_>, from: Nanos, until: Nanos) -> Held {
    // Without a question there is an outcome, too, but it takes no time.
    let asked = probes(run).filter(|(at, p)| p.label == "held" && (from..until).contains(at)).map(|(_, p)| p);
    let silent = run.clients.records.iter().any(|r| r.served.is_some());
    let asked: Vec<_> =
        asked.filter(|p| p.answer_s.is_some() || (p.outcome == Outcome::Waits && silent)).collect();
    let of = |wanted: &[Outcome]| asked.iter().filter(|p| wanted.contains(&p.outcome)).count() as u64;
    Held {
        probed: asked.len() as u64,
        answered: of(&[Outcome::Served]),
        silent: of(&[Outcome::Waits]),
        error_replies: of(&[Outcome::ErrorReply]),
        dropped: of(&[Outcome::Closed]),
        latency_s: latency(
            asked.iter().filter(|p| p.outcome == Outcome::Served).filter_map(|p| p.answer_s).collect(),
        ),
    }
}

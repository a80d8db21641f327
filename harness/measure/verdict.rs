//! What a server comes to when clients leave: recovered, degraded, leaking, stuck or gone, from what was measured of its recovery.

use super::timeline::{counted, seconds};
use super::{Ceiling, Measured, Moved, Policy, Run, Verdict};
use crate::event::Phase;

/// Served more slowly by this factor, and by so many seconds more, a server is degraded: a busy machine makes one slow, too.
const SLOWER: f64 = 4.0;
const SLOWER_BY_S: f64 = 0.05;

impl Ceiling {
    /// Whether so many descriptors that stay open were opened once, and not for each client: as many were open under load, too, and what
    /// each client leaks is about as many as there were clients.
    pub fn opened_once(&self, leaked: i64) -> bool {
        self.others.is_some_and(|others| others >= leaked)
            && self.accepted.is_some_and(|held| held as i64 >= leaked.saturating_mul(10))
    }

    /// The most connections held under the limits that were in force when clients left: what a second ramp is compared with. None: no call
    /// failed under those.
    pub fn before_release(&self, moved: &[Moved]) -> Option<u64> {
        match moved.last() {
            None => self.accepted_max.or(self.accepted),
            Some(last) => last.accepted_after.filter(|_| last.next_failure.is_some()),
        }
    }
}

/// Fills in the verdict and what was seen that makes it so.
pub(super) fn verdict(run: &Run<'_>, m: &mut Measured) {
    let (verdict, evidence) = match decided(run, m) {
        Ok((verdict, evidence)) => (Some(verdict), Some(evidence)),
        Err(reason) => {
            m.missing::<()>("recovery.verdict", reason.clone());
            m.missing::<()>("recovery.verdict_evidence", reason);
            (None, None)
        }
    };
    (m.recovery.verdict, m.recovery.verdict_evidence) = (verdict, evidence);
}

fn decided(run: &Run<'_>, m: &Measured) -> Result<(Verdict, String), String> {
    let r = &m.recovery;
    let again =
        if m.saturation.policy == Some(Policy::WorkerRestarts) { ", and another took its place" } else { "" };
    // Of workers, the one at the wall: its clients are gone with it.
    let at_the_wall = run
        .followed
        .first
        .and_then(|first| run.followed.tables.get(&first.pid))
        .and_then(|table| table.exited);
    if let Some((_, held)) = super::ceiling::exited(run).or(at_the_wall) {
        return Ok((
            Verdict::Gone,
            format!("it exited before any client left, with {}{again}", counted(held, "connection")),
        ));
    }
    if let Some(after) = r.exited_s {
        return Ok((Verdict::Gone, format!("it exited {after:.3} s after the first left{again}")));
    }
    if m.ceiling.kind.is_none() {
        return Err(m
            .unmeasured
            .get("ceiling.kind")
            .cloned()
            .unwrap_or_else(|| "its ceiling is not known".into()));
    }
    let Some(recovered) = r.recovered else {
        return Err(m
            .unmeasured
            .get("recovery.recovered")
            .cloned()
            .unwrap_or_else(|| "it was not measured".into()));
    };
    let leaked = r.leaked.filter(|leaked| *leaked > 0);
    let open = leaked.map(|n| match n {
        1 => "1 descriptor more than at rest stays open".to_owned(),
        n => format!("{n} descriptors more than at rest stay open"),
    });
    if !recovered {
        return Ok(match open.filter(|_| full(run)) {
            Some(open) => (Verdict::Leaking, format!("{open}, and no new client gets a place")),
            None => (Verdict::Stuck, format!("all had left, and no new client was served{}", meanwhile(run))),
        });
    }
    let once = leaked.is_some_and(|n| m.ceiling.opened_once(n));
    if m.ceiling.reached != Some(true) {
        return open
            .filter(|_| !once)
            .map(|open| (Verdict::Leaking, open))
            .ok_or_else(|| "it was not at its ceiling".into());
    }
    let first = m.ceiling.before_release(&m.moved);
    let lower = r.second_ceiling.zip(first).is_some_and(|(second, first)| second < first);
    let ceilings: Vec<u64> = r.rounds.iter().filter_map(|round| round.ceiling).collect();
    let (highest, lowest) = (ceilings.first(), ceilings.last());
    let falls = |(first, last): &(&u64, &u64)| first > last && ceilings.is_sorted_by(|a, b| a >= b);
    // Where nothing stays open and as many fit in the end, it is chance.
    if let Some((highest, lowest)) = highest.zip(lowest).filter(falls).filter(|_| open.is_some() || lower) {
        return Ok((
            Verdict::Leaking,
            format!("the ceiling went down from {highest} to {lowest} over {} rounds", ceilings.len()),
        ));
    }
    match (r.second_ceiling, first, open) {
        (Some(second), Some(first), Some(open)) if second < first => {
            return Ok((
                Verdict::Leaking,
                format!("{open}, and the second ceiling is {second} where the first was {first}"),
            ));
        }
        (Some(second), Some(first), None) if second < first => {
            return Ok((
                Verdict::Degraded,
                format!("nothing leaked, and the second ceiling is {second} where the first was {first}"),
            ));
        }
        (None, _, Some(open)) if !once => return Ok((Verdict::Leaking, open)),
        _ => {}
    }
    if let Some(silent) =
        r.rounds.iter().position(|round| round.first_accepted_s.is_some() && round.first_served_s.is_none())
    {
        return Ok((
            Verdict::Degraded,
            format!("in round {} it accepted, and answered none of those that waited", silent + 1),
        ));
    }
    if let Some(slower) = slower(m) {
        return Ok((Verdict::Degraded, slower));
    }
    let same =
        r.second_ceiling.map_or(String::new(), |second| format!(", and the second ceiling is {second}"));
    Ok((Verdict::Recovered, format!("a new client was served after all had left{same}")))
}

/// Whom it took when all had left: a queue of those that are gone is worked off before anybody new is.
fn meanwhile(run: &Run<'_>) -> String {
    let (from, until) = (run.timeline.from(Phase::ReleaseAll), run.timeline.from(Phase::Settle));
    match run.followed.accepts.iter().filter(|at| (from..until).contains(*at)).count() {
        0 => String::new(),
        taken => {
            let within = seconds(until.saturating_sub(from));
            format!(
                " within {within:.1} s, in which it accepted {} of the queue that had gone",
                counted(taken as u64, "client")
            )
        }
    }
}

/// Whether an accept failed for want of a descriptor after all had left.
fn full(run: &Run<'_>) -> bool {
    run.followed.failed_later.is_some_and(|at| at >= run.timeline.from(Phase::ReleaseAll))
}

/// How much more slowly clients are served than before the wall, where that is plain.
fn slower(m: &Measured) -> Option<String> {
    let (before, after) = (m.recovery.before.as_ref()?, m.recovery.after.as_ref()?);
    let (was, is) = (before.latency_s?.p50, after.latency_s?.p50);
    let plain =
        is > was * SLOWER && is > was + SLOWER_BY_S && after.served_per_s * SLOWER < before.served_per_s;
    plain.then(|| {
        format!("half of the clients were answered within {was:.3} s before, and within {is:.3} s after")
    })
}

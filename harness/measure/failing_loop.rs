//! The accept loop of a process that fails at the wall: the rhythm of its tries, what wakes it, and what that
//! makes of it.

use super::ceiling::Ceiling;
use super::facts::{Closing, Facts, Failed, KEPT_FAILURES, SEEN_LATE, Try, Window};
use super::model::{Failing, Rhythm, batches, by_arrivals, rhythm_of_tries};
use super::other_policies::fails_beside;
use super::policy_evidence::{AfterSilence, PolicyEvidence, Seen, Waker};
use super::rates::failures_per_s;
use super::units::seconds;
use crate::event::{Call, Ended, Nanos, Phase};
use crate::scenario::Policy;
use std::ops::Range;

/// Gaps listed at most.
pub(crate) const GAPS: usize = 20;
/// Pauses between the last tries that are a pattern when those before them are none.
const PAUSES: usize = 3;
/// A loop that waits for something tries again within this time of it, also on a busy machine.
const WOKEN_WITHIN: Nanos = 200_000_000;
/// A process that has to wait for a processor for less than this share of the time has one when it wants.
const STARVED: f64 = 0.1;
/// A loop without pauses is ready all the time: it runs, or waits for a processor.
const ALWAYS_READY: f64 = 0.85;
/// One that sleeps between its bursts is ready for less than this.
const OFTEN_READY: f64 = 0.6;
/// A server that fell silent for less may be in a delay of its own; longer ones are known of no server.
const SILENT_AT_LEAST: Nanos = 1_500_000_000;
/// A loop that paused has given up where it then made no try for so many times as long as it ever paused.
const GIVEN_UP: u64 = 4;

/// The failing calls of one process, as far as they were watched.
pub(super) struct FailingLoop {
    first: Failed,
    /// Whether accept itself was seen to fail; otherwise the first call that failed is followed.
    pub in_accept: bool,
    /// One of the calls that are followed.
    call: Call,
    pub times: Vec<Nanos>,
    until: Nanos,
    per_s: Option<f64>,
    /// More failures came than were recorded one by one.
    flooded: bool,
    rhythm: Rhythm,
}

impl FailingLoop {
    pub fn of(facts: &Facts<'_>, ceiling: &Ceiling, first: Failed, watched: Nanos) -> Self {
        let holdings = &facts.holdings;
        let in_accept = holdings.accept_failed();
        let counts = |call: Call| if in_accept { call.accepts() } else { call == first.call };
        let failures = || holdings.failures.iter().filter(|(_, call)| counts(*call));
        let times: Vec<Nanos> = failures().map(|(at, _)| *at).filter(|at| *at < watched).collect();
        let stopped = facts.tries.sampling_stopped().filter(|at| *at < watched);
        let until = stopped.map_or(watched.min(facts.phases.end), |at| at.min(watched));
        // Over the same time as among the costs, so that a report has one rate.
        let per_s = failures_per_s(facts, ceiling, facts.phases.watched_until(), counts).value();
        // Totals are of all listeners.
        let per_s = per_s.filter(|_| !in_accept || !fails_beside(facts, first.pid, watched));
        let lost = facts.tries.lost_in(first.at, watched);
        let flooded = stopped.is_some() || lost || holdings.failures.len() >= KEPT_FAILURES;
        let made = facts.tries.between(first.at, until).iter();
        let accepts: Vec<Nanos> = made.filter(|t| t.accepted() && t.pid == first.pid).map(|t| t.at).collect();
        let of = |times: &[Nanos]| {
            let per_s = per_s.filter(|_| flooded);
            rhythm_of_tries(&Failing { times, accepts: &accepts, until, per_s, flooded })
        };
        // A pause that ends in an accept looks the same as the wait for a client. If all pauses together are
        // no pattern, only those after the last accept count.
        let last = holdings.accepts_between(0, watched).last();
        let last = last.map_or(0, |last| times.partition_point(|at| at < last));
        let rhythm = match of(&times) {
            Rhythm::Unclear | Rhythm::FixedOrGrows { .. } if times.len() - last > PAUSES => {
                of(&times[last..])
            }
            // Each client that arrives may wake it: its behaviour when left alone counts.
            Rhythm::Spin => alone(facts, &times).map_or(Rhythm::Spin, of),
            rhythm => rhythm,
        };
        let rhythm = unless_denied(facts, rhythm, first.at..watched);
        let call = failures().next().map_or(first.call, |(_, call)| *call);
        FailingLoop { first, in_accept, call, times, until, per_s, flooded, rhythm }
    }

    pub fn gaps_s(&self) -> Vec<f64> {
        let starts: Vec<Nanos> = match self.rhythm {
            Rhythm::Spin => self.times.clone(),
            _ => batches(&self.times).iter().map(|batch| batch.0).collect(),
        };
        starts.windows(2).take(GAPS).map(|pair| seconds(pair[1] - pair[0])).collect()
    }

    /// The class that its rhythm makes.
    pub fn judged(&self, facts: &Facts<'_>, waiting: u64) -> Seen {
        let policy = match self.rhythm {
            Rhythm::Once { failures } => return self.silent(facts, waiting, failures),
            _ if waiting > 0 && self.gave_up(facts) => {
                return self.silent(facts, waiting, self.times.len());
            }
            // A loop that fails for each client that arrives has the rhythm of the clients.
            Rhythm::Unclear if self.woken(facts).is_some() => {
                return self.silent(facts, waiting, self.times.len());
            }
            Rhythm::Spin => Policy::Spin,
            Rhythm::Storm { .. } => Policy::Storm,
            Rhythm::Fixed { .. } => Policy::FixedDelay,
            Rhythm::Grows { .. } => Policy::Backoff,
            Rhythm::FixedOrGrows { .. } | Rhythm::Unclear => Policy::Unclear,
        };
        let evidence = PolicyEvidence::Rhythm {
            rhythm: self.rhythm,
            call: self.call,
            failures: self.times.len(),
            per_s: self.per_s,
            waiting,
            held_closed: facts.holdings.held_closed,
        };
        Seen { policy, evidence, rhythm: Some(self.rhythm), gaps_s: self.gaps_s() }
    }

    /// Whether it made no further try, though clients left and it was watched for far longer than it had
    /// paused.
    fn gave_up(&self, facts: &Facts<'_>) -> bool {
        let Some(&last) = self.times.last().filter(|_| self.in_accept && !self.flooded) else { return false };
        let stop = facts.phases.from(Phase::Again).min(facts.phases.end);
        let paused = self.times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let mut tries = facts.tries.between(last + 1, stop).iter();
        let tried = tries.any(|t| t.pid == self.first.pid && t.tries_to_accept());
        let silent = stop.saturating_sub(last.max(facts.phases.from(Phase::ReleaseAll)));
        !tried && silent >= SILENT_AT_LEAST && silent >= paused.saturating_mul(GIVEN_UP)
    }

    /// The event that ended its silence, if no timer of its own was set. The other event had happened before,
    /// to no effect.
    fn woken(&self, facts: &Facts<'_>) -> Option<Waker> {
        let last = *self.times.last()?;
        let until = facts.phases.end.min(facts.readings.other_port_asked());
        let tries = facts.tries.between(last + WOKEN_WITHIN, until).iter();
        let again = tries.filter(|t| t.pid == self.first.pid && t.tries_to_accept()).map(|t| t.at).next()?;
        if facts.timer_at_the_wall() != Some(false) {
            return None;
        }
        let just_before = again.saturating_sub(WOKEN_WITHIN)..again;
        let meanwhile = last + SEEN_LATE..again.saturating_sub(WOKEN_WITHIN);
        let closed = |when: &Range<Nanos>| {
            facts.holdings.lives(|one| one.pid == self.first.pid && when.contains(&one.at)).len() as u64
        };
        let closes = |when: &Range<Nanos>| closed(when) > 0;
        let arrivals = |when: &Range<Nanos>| facts.arrivals().any(|at| when.contains(&at));
        match (closes(&just_before), arrivals(&just_before)) {
            (true, false) if arrivals(&meanwhile) => {
                // Several were needed only if an earlier one had no effect.
                let needed = if closes(&meanwhile) { closed(&(last..again)) } else { 1 };
                Some(Waker::Close { connections: needed })
            }
            (false, true) if closes(&meanwhile) => Some(Waker::Arrival),
            _ => None,
        }
    }

    /// Whether it closed connections when some clients left, and took none of those that waited for longer
    /// than a loop needs.
    fn left_places_free(&self, facts: &Facts<'_>) -> bool {
        let windows = facts.phases.windows(Phase::ReleaseSome, Phase::ReleaseAll);
        let unserved = [Some(Ended::Stalled), Some(Ended::Time)];
        let waited = unserved.contains(&facts.phases.why_ended_last(Phase::ReleaseSome));
        let closed = |one: &Closing| one.pid == self.first.pid;
        let closes =
            |window: &Window| !facts.holdings.lives(|one| closed(one) && window.contains(one.at)).is_empty();
        waited && windows.iter().any(closes)
    }

    /// Failures at one time and then silence.
    fn silent(&self, facts: &Facts<'_>, waiting: u64, failures: usize) -> Seen {
        let released = facts.phases.start(Phase::ReleaseSome).or(facts.phases.start(Phase::ReleaseAll));
        // A client of another port may wake it.
        let stop = facts.phases.from(Phase::Again).min(facts.readings.other_port_asked());
        let accepts = |at: Nanos, own: bool| {
            let mut made = facts.tries.between(at, stop).iter().filter(|t| t.accepted());
            made.any(|t| (t.pid == self.first.pid) == own)
        };
        let again = released.is_some_and(|at| accepts(at, true));
        let others = released.is_some_and(|at| accepts(at, false));
        // Another call that fails is no try to accept.
        let tried = |t: &&Try| {
            let followed = if self.in_accept { t.tries_to_accept() } else { t.call == self.first.call };
            followed && t.pid == self.first.pid && t.failed().is_some()
        };
        let failed = released.is_some_and(|at| facts.tries.between(at, stop).iter().any(|t| tried(&t)));
        let all = stop.min(facts.phases.end).saturating_sub(self.first.at);
        let then = match (waiting, released) {
            (1.., _) if let Some(waker) = self.woken(facts) => AfterSilence::Woken(waker),
            (0, _) => AfterSilence::NobodyWaited,
            (_, None) => AfterSilence::NobodyReleased,
            _ if again => AfterSilence::AcceptsAgain,
            _ if failed => AfterSilence::TriedAgain,
            _ if all < SILENT_AT_LEAST => AfterSilence::TooShort,
            _ if others && self.left_places_free(facts) => {
                AfterSilence::OnlyOthers { pid: self.first.pid, all_s: seconds(all) }
            }
            _ if others => AfterSilence::OthersFirst,
            _ => AfterSilence::NoAccept(seconds(all)),
        };
        let policy = match then {
            AfterSilence::NoAccept(_) | AfterSilence::OnlyOthers { .. } => Policy::AcceptLoopDead,
            AfterSilence::Woken(Waker::Close { .. }) => Policy::WaitsForClose,
            AfterSilence::Woken(Waker::Arrival) => Policy::WaitsForArrival,
            _ => Policy::Unclear,
        };
        let silent_s = seconds(self.until.saturating_sub(self.first.at));
        Seen {
            policy,
            evidence: PolicyEvidence::Silence { failures, silent_s, waiting, then },
            rhythm: Some(self.rhythm),
            gaps_s: self.gaps_s(),
        }
    }
}

/// The tries after the last arrival, where clients arrived about as often as the loop failed.
fn alone<'t>(facts: &Facts<'_>, times: &'t [Nanos]) -> Option<&'t [Nanos]> {
    let (first, last) = (*times.first()?, *times.last()?);
    let connects = facts.clients.all.iter().filter_map(|client| client.connected);
    let arrivals: Vec<Nanos> = connects.filter(|at| (first..=last).contains(at)).collect();
    let newest = *arrivals.iter().max()?;
    let alone = &times[times.partition_point(|at| *at <= newest.saturating_add(SEEN_LATE))..];
    by_arrivals(times.len(), arrivals.len()).then_some(alone)
}

/// Pauses between bursts in which it was ready, and was given no processor, are not its own.
fn unless_denied(facts: &Facts<'_>, rhythm: Rhythm, watched: Range<Nanos>) -> Rhythm {
    let Rhythm::Storm { .. } = rhythm else { return rhythm };
    match facts.readings.ready_shares(watched.start, watched.end) {
        Some([ran, waited, _]) if waited >= STARVED && ran + waited >= ALWAYS_READY => Rhythm::Spin,
        // Which of its threads tries is not known: one may wait for a lock of another that was denied.
        Some([ran, _, all]) if all - ran >= STARVED && all >= OFTEN_READY => Rhythm::Unclear,
        _ => rhythm,
    }
}

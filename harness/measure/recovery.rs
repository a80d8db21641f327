//! The subject's recovery when clients left: who was served then, how soon, and which descriptors it still
//! holds after all left.

use super::baseline::Baseline;
use super::clients_seen::{Probe, probe};
use super::closes::Closes;
use super::facts::{Asked, Closing, DISMISSED_WITHIN, Facts, Window};
use super::known::{Known, OrWhy, Why};
use super::leaks::{SecondRound, StaysOpen};
use super::units::seconds;
use crate::event::{Ended, Label, Nanos, Outcome, Phase, Pid, States};

/// Its recovery when clients left.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Recovery {
    /// Clients that left first, while others waited.
    pub released: Known<u64>,
    /// Whether a new client was served after all had left.
    pub recovered: Known<bool>,
    /// From the first leaving to the first waiter served (for `tcp`: accepted).
    pub first_served_s: Known<f64>,
    /// From the first leaving until the accept queue was seen empty.
    pub queue_drained_s: Known<f64>,
    /// From the release of all clients to the answer to a new one.
    pub new_client_served_s: Known<f64>,
    /// Clients connected and not served when the first left.
    pub waiters: Known<u64>,
    /// How many of those were served (for `tcp`: accepted) later on.
    pub waiters_served: Known<u64>,
    /// How many of those were closed or got an error reply before all had left; `None`: nobody was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiters_turned_away: Option<u64>,
    /// Open after all clients left.
    pub descriptors_after: Known<u64>,
    /// TCP sockets that the subject holds then: those in CLOSE_WAIT the other side has closed, and the
    /// subject has not.
    pub tcp_states_after: Known<States>,
    /// More than at rest, over all processes; negative when fewer. Where clients came again, only what they
    /// added to.
    pub leaked: Known<i64>,
    /// More than at rest, and no more when further clients had come and left.
    pub opened_once: Known<u64>,
    /// The clients that came again; `None`: nothing stayed open, or they would have shown nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_round: Option<SecondRound>,
    /// From the first leaving until the accepting process exited on its own; 0 when it had exited before.
    pub exited_s: Known<f64>,
    /// The result of the new client after all had left.
    pub probe_after: Known<Probe>,
}

impl Recovery {
    /// Whether the new client after all had left was turned away: the server is at work, and not stuck.
    pub(crate) fn turns_away(&self) -> bool {
        let outcome = self.probe_after.get().map(|probe| probe.outcome);
        matches!(outcome, Some(Outcome::Closed | Outcome::ErrorReply))
    }

    /// Whether nothing listened any more for the new client after all had left.
    pub(crate) fn refuses(&self) -> bool {
        self.probe_after.get().is_some_and(|probe| probe.outcome == Outcome::Refused)
    }
}

/// The recovery after some clients left, and after all had.
pub(super) fn recovery(
    facts: &Facts<'_>,
    closes: &Closes,
    baseline: &Baseline,
    stays: &StaysOpen,
) -> Recovery {
    all_left(facts, some_left(facts, closes, in_the_end(facts, baseline, stays)))
}

/// The descriptors in the end; as if no client had left before.
fn in_the_end(facts: &Facts<'_>, baseline: &Baseline, stays: &StaysOpen) -> Recovery {
    let after = descriptors_after(facts);
    let at_rest = facts.phases.why_ended_last(Phase::Settle) == Some(Ended::AtRest);
    Recovery {
        released: Known::Unknown(Why::NoneLeftWhileOthersWaited),
        first_served_s: Known::Unknown(Why::NoneLeftWhileOthersWaited),
        queue_drained_s: Known::Unknown(Why::NoneLeftWhileOthersWaited),
        waiters: Known::Unknown(Why::NoneLeftWhileOthersWaited),
        waiters_served: Known::Unknown(Why::NoneLeftWhileOthersWaited),
        waiters_turned_away: None,
        recovered: Known::Unknown(Why::NeverAllReleased),
        new_client_served_s: Known::Unknown(Why::NeverAllReleased),
        exited_s: Known::Unknown(Why::NeverAllReleased),
        probe_after: Known::Unknown(Why::NeverAllReleased),
        descriptors_after: after.or_why(Why::NotCountedAfterAll),
        tcp_states_after: sockets_after(facts).or_why(Why::SocketsNotListedAfterAll),
        leaked: match (stays.leaked, stays.more) {
            _ if facts.serves_datagrams() && !at_rest => Known::Unknown(Why::FlowsStillOpen),
            (Some(leaked), _) => Known::Value(leaked as i64),
            (None, Some(more)) => Known::Value(more),
            (None, None) => after
                .zip(baseline.descriptors.value())
                .map(|(after, rest)| {
                    // A thread that is between its tries just now has reserved no number.
                    let least = rest.saturating_sub(baseline.reserved());
                    after as i64 - rest.min(after.max(least)) as i64
                })
                .or_why(Why::RestOrEndUnknown),
        },
        opened_once: stays.once.or(at_rest.then_some(0)).or_why(Why::NoSecondRound),
        second_round: stays.second_round,
    }
}

/// The same, with the recovery in the first of several rounds in which some clients left while others waited.
fn some_left(facts: &Facts<'_>, closes: &Closes, recovery: Recovery) -> Recovery {
    let windows = facts.phases.windows(Phase::ReleaseSome, Phase::ReleaseAll);
    let Some(window) = windows.first().copied() else { return recovery };
    let released = facts.told_to_leave(window).or_why(Why::DriverDidNotSay);
    if facts.places_unseen() {
        return Recovery {
            released,
            first_served_s: Known::Unknown(Why::AcceptsPassBy),
            queue_drained_s: Known::Unknown(Why::AcceptsPassBy),
            waiters: Known::Unknown(Why::AcceptsPassBy),
            waiters_served: Known::Unknown(Why::AcceptsPassBy),
            ..recovery
        };
    }
    let (before, until) = (window.from.saturating_sub(1), window.until);
    let held = facts.holdings.most_ever.max(facts.holdings.held_in_all);
    let waiters = facts.clients.waiting(before, held);
    let accepts = facts.holdings.accepts_between(window.from, until);
    let answers = facts.clients.answers;
    let turned_away = match answers {
        true => facts.clients.waiters_turned_away(before, until),
        false => closed_at_once(facts, closes, window, (accepts.len() as u64).saturating_sub(waiters)),
    };
    let served = match answers {
        true => facts.clients.waiters_served(before, until),
        false => (accepts.len() as u64).saturating_sub(turned_away),
    };
    let (first_served_s, queue_drained_s) = match waiters {
        0 => (Known::Unknown(Why::NoClientWaited), Known::Unknown(Why::NoClientWaited)),
        _ => times(facts, window, accepts.first().copied()),
    };
    Recovery {
        released,
        first_served_s,
        queue_drained_s,
        waiters: Known::Value(waiters),
        waiters_served: Known::Value(served.min(waiters)),
        waiters_turned_away: Some(turned_away.min(waiters)).filter(|n| *n > 0),
        ..recovery
    }
}

/// Connections that were accepted in this window, and closed soon after, though their clients stayed: those
/// that asked at the wall and waited have left; `beyond` the waiters, they are accepted last. An idle timer
/// that closes as soon is another thing.
fn closed_at_once(facts: &Facts<'_>, closes: &Closes, window: Window, beyond: u64) -> u64 {
    // What is closed after it belongs to those that all leave.
    let within = |one: &Closing| window.contains(one.at - one.life) && window.contains(one.at);
    let soon = |one: &Closing| within(one) && one.life < DISMISSED_WITHIN;
    let gone = facts.asked(Label::Saturated).filter(|asked| asked.outcome == Outcome::Waits).count();
    let closed = (facts.holdings.lives(soon).len() as u64).saturating_sub(beyond.min(gone as u64));
    if closes.idle.is_some() { 0 } else { closed }
}

/// How soon the first waiter was served, and the queue empty.
fn times(facts: &Facts<'_>, window: Window, accepted: Option<Nanos>) -> (Known<f64>, Known<f64>) {
    let since = facts.began_to_leave(window);
    let served = match facts.clients.answers {
        true => facts.clients.first_served(window.from).filter(|at| *at < window.until),
        false => accepted,
    };
    let first_served = served.map(|at| seconds(at.saturating_sub(since)));
    (
        first_served.or_why(Why::NoWaiterServed),
        facts.queue_empty_after(since, window).or_why(Why::QueueNotSeenEmpty),
    )
}

/// The same, with the recovery after all clients had left.
fn all_left(facts: &Facts<'_>, recovery: Recovery) -> Recovery {
    let Some(phase) = facts.phases.start(Phase::ReleaseAll) else { return recovery };
    let asked: Vec<&Asked<'_>> = facts.asked(Label::AfterAll).filter(|asked| asked.at >= phase).collect();
    let good = served(facts, &asked, phase);
    // A server that is gone has not recovered, even where another one answers at its port.
    let exited = exited(facts);
    let unseen = facts.places_unseen();
    let unserved = match asked.is_empty() {
        true => Why::NoNewClientAfterAll,
        false if unseen => Why::AcceptsPassBy,
        false => Why::NoneServedAfterAll,
    };
    let recovered = match exited {
        Some(_) => Known::Value(false),
        None if good.is_none() && (asked.is_empty() || unseen) => Known::Unknown(unserved.clone()),
        None => Known::Value(good.is_some()),
    };
    let shown = good.map(|(_, asked)| asked).or(asked.last().copied());
    // What was counted as it exited is not what it would have kept.
    let (descriptors_after, leaked) = match exited.is_some() && !another_accepts(facts) {
        true => (Known::Unknown(Why::ExitedBeforeTheCount), Known::Unknown(Why::ExitedBeforeTheCount)),
        false => (recovery.descriptors_after, recovery.leaked),
    };
    let released = facts.phases.from(Phase::ReleaseSome);
    Recovery {
        recovered,
        new_client_served_s: good.map(|(at, _)| seconds(at.saturating_sub(phase))).or_why(unserved),
        exited_s: exited.map(|at| seconds(at.saturating_sub(released))).or_why(Why::DidNotExit),
        descriptors_after,
        leaked,
        probe_after: shown
            .map(|asked| probe(asked, Why::DidNotComeToThat, Why::DidNotComeToThat))
            .or_why(Why::NoNewClientAfterAll),
        ..recovery
    }
}

/// The first new client that was served, and when. A `tcp` client is served when it is accepted, be it after
/// it has gone: that is the last accept, for the queue was empty before.
fn served<'a>(facts: &Facts<'_>, asked: &[&'a Asked<'a>], phase: Nanos) -> Option<(Nanos, &'a Asked<'a>)> {
    let accepted = facts.holdings.accepts_between(phase, facts.phases.from(Phase::Settle)).last().copied();
    asked.iter().find_map(|asked| match asked.outcome {
        Outcome::Served => Some((asked.at, *asked)),
        Outcome::Waits if !facts.clients.answers => accepted.map(|at| (at, *asked)),
        _ => None,
    })
}

/// When the accepting process exited on its own. A server that ends idle workers, when all clients have left
/// and others that accept live on, is still there.
fn exited(facts: &Facts<'_>) -> Option<Nanos> {
    let (from, until) = (facts.phases.from(Phase::Saturate), facts.phases.from(Phase::Stop));
    let main = facts.processes.main?;
    let at = facts.exit_seen(main, from, until)?;
    let idle = at >= facts.phases.from(Phase::ReleaseAll);
    (!idle || !another_accepts(facts)).then_some(at)
}

/// Whether another process than the one that counts has accepted, and did not exit.
fn another_accepts(facts: &Facts<'_>) -> bool {
    let until = facts.phases.from(Phase::Stop);
    let lives = |pid: Pid| facts.processes.main != Some(pid) && facts.exit_seen(pid, 0, until).is_none();
    let mut accepting = facts.holdings.tables.iter().filter(|(_, table)| table.accepts > 0);
    accepting.any(|(pid, _)| lives(*pid))
}

/// The last count after all had left.
fn descriptors_after(facts: &Facts<'_>) -> Option<u64> {
    let from = facts.phases.start(Phase::ReleaseAll)?;
    let until = settled(facts).1.max(from);
    let samples = facts.readings.samples_between(from, until).iter();
    samples.rev().find(|sample| Some(sample.pid) == facts.processes.main).map(|sample| sample.descriptors)
}

/// The settle phase ends with a count.
fn sockets_after(facts: &Facts<'_>) -> Option<States> {
    let (from, until) = settled(facts);
    let settled = facts.readings.sockets.iter().filter(|sockets| (from..until).contains(&sockets.at));
    settled.rev().find_map(|sockets| sockets.subject.cloned())
}

/// From when it settles until clients come again, the last time.
fn settled(facts: &Facts<'_>) -> (Nanos, Nanos) {
    let from = facts.phases.from(Phase::Settle);
    let again = facts.phases.from(Phase::Again);
    (from, facts.phases.second_round().map_or(again, |round| round.min(again)))
}

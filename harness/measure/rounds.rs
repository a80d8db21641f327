//! Recovery as a distribution: the consequences each time that some clients left while others waited, the
//! order in which freed places were given, and whether the server serves in the end as it did before the
//! wall.

use super::ceiling::Ceiling;
use super::clients_seen::held_asked;
use super::facts::{AtTheWall, Client, Facts, Window};
use super::known::{Known, OrWhy, Why};
use super::latency::{Latency, latency};
use super::policy::{AcceptPolicy, Policy};
use super::units::{milli, seconds};
use crate::event::{Label, Nanos, Outcome, Phase, Pid};

/// Share of the pairs of one that was served and one that was not that must be in order.
const IN_ORDER: f64 = 0.95;
/// The first clients of a ramp show what a connection costs, with pauses, and are at most so large a part of
/// it.
const CALIBRATION: usize = 4;

/// The results over all rounds and in the second ramp.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Rounds {
    /// One for each time that some clients left while others waited, in their order.
    pub rounds: Vec<Round>,
    /// Quantiles of `first_served_s` over the rounds in which somebody was served.
    pub first_served_quantiles: Known<Spread>,
    /// Clients that left the accept queue before they were served; each of them still costs an accept.
    pub gave_up: Known<u64>,
    /// The order in which clients get the freed places.
    pub order: Known<PlaceOrder>,
    /// How new clients were served up to the first failed call.
    pub before: Known<Service>,
    /// The service to new clients in a second ramp, after all had left.
    pub after: Known<Service>,
    /// The most connections that the process at the wall held when a call failed in the second ramp.
    pub second_ceiling: Known<u64>,
}

/// A time in which some clients left while others waited, until the next one; with several rounds, new
/// clients came in their place.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Round {
    /// Clients that left while they were held.
    pub released: Known<u64>,
    /// From the server's last failing try to accept until the first of them left.
    pub phase_s: Known<f64>,
    /// From the first leaving to the first accept, as seen at the system call.
    pub first_accepted_s: Known<f64>,
    /// From the first leaving to the first answer (for `tcp`: to the first accept).
    pub first_served_s: Known<f64>,
    /// From the first leaving until the accept queue was seen empty.
    pub queue_drained_s: Known<f64>,
    /// From the first leaving to the first answer to a client that came after that.
    pub new_client_served_s: Known<f64>,
    /// Clients that left while they waited in the accept queue.
    pub gave_up: u64,
    /// Connections that the process at the wall held when it had failed to accept again, with new clients
    /// waiting.
    pub ceiling: Known<u64>,
}

/// How times are spread, seconds; by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[allow(missing_docs, reason = "as in `Latency`")]
#[non_exhaustive]
pub struct Spread {
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub max: f64,
}

/// The order in which clients get freed places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlaceOrder {
    /// To the client that has waited longest.
    OldestFirst,
    /// To the client that came last.
    NewestFirst,
    /// Neither: as with several queues.
    Mixed,
}

impl PlaceOrder {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            PlaceOrder::OldestFirst => "oldest-first",
            PlaceOrder::NewestFirst => "newest-first",
            PlaceOrder::Mixed => "mixed",
        }
    }
}

/// How the new clients of a ramp were served, the last three quarters of them: the first ones come one by
/// one.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Service {
    /// Answered a second (for `tcp`: accepted).
    pub served_per_s: f64,
    /// From connect to answer.
    pub latency_s: Known<Latency>,
    /// Latency of clients that were held at the wall and asked again on their own connections.
    pub held_latency_s: Known<Latency>,
}

/// The rounds, and what came after them.
pub(super) fn rounds(facts: &Facts<'_>, ceiling: &Ceiling, policy: &AcceptPolicy) -> Rounds {
    let windows = facts.phases.windows(Phase::ReleaseSome, Phase::ReleaseAll);
    let again = facts.phases.start(Phase::Again);
    let again = again.map(|from| Window { from, until: facts.phases.from(Phase::Stop) });
    // Without refilling the server is never brought back to its wall.
    let refilled = windows.len() > 1;
    let since = |window: &Window| (*window, facts.began_to_leave(*window));
    let watched: Vec<(Window, Nanos)> =
        windows.iter().map(since).chain(again.map(|window| (window, window.from))).collect();
    let held = match refilled || again.is_some() {
        true => facts.at_the_wall(&watched),
        false => vec![AtTheWall::default(); watched.len()],
    };
    let pauses = policy.policy.value() != Some(Policy::Spin);
    let one = |(window, held): (&Window, &AtTheWall)| {
        round(facts, *window, pauses, held.in_the_end.filter(|_| refilled), refilled)
    };
    let rounds: Vec<Round> = windows.iter().zip(&held).map(one).collect();
    let served = |window: Option<Window>, asked| {
        window.map_or(Known::Unknown(Why::NoSecondRamp), |window| service(facts, ceiling, window, asked))
    };
    let first = Window { from: facts.phases.from(Phase::Ramp), until: facts.phases.watched_until() };
    let before_release = Window { from: 0, until: facts.phases.released_from() };
    Rounds {
        first_served_quantiles: spread(
            rounds.iter().filter_map(|round| round.first_served_s.value()).collect(),
        )
        .or_why(match windows.is_empty() {
            _ if facts.places_unseen() => Why::AcceptsPassBy,
            true => Why::NoneLeftWhileOthersWaited,
            false => Why::NoWaiterServedInAnyRound,
        }),
        rounds,
        gave_up: gave_up(facts),
        order: order(facts, &windows).into(),
        before: served(Some(first), Some(before_release)),
        after: served(again, again),
        second_ceiling: match again {
            Some(_) => second_ceiling(facts, ceiling, held.last()),
            None => Known::Unknown(Why::NoSecondRamp),
        },
    }
}

fn round(facts: &Facts<'_>, window: Window, pauses: bool, ceiling: Option<u64>, refilled: bool) -> Round {
    let since = facts.began_to_leave(window);
    let after = |at: Nanos| seconds(at.saturating_sub(since));
    let within = |at: &Nanos| (since..window.until).contains(at);
    let clients = &facts.clients.all;
    let unseen = facts.accepts_pass_by();
    let accepted = facts.holdings.accepts_between(since, window.until).first().copied();
    // A client that is answered before that had its place already.
    let taken = if facts.holdings.calls_seen && !unseen { accepted.unwrap_or(window.until) } else { since };
    let served = clients.iter().filter_map(|c| c.served).filter(|at| within(at) && *at >= taken).min();
    let new = |c: &&Client| c.connected.is_some_and(|at| within(&at));
    let new_served = clients.iter().filter(new).filter_map(|c| c.served).filter(within).min();
    let gave_up = clients.iter().filter(|c| c.gave_up && c.released.is_some_and(|at| window.contains(at)));
    let (answers, places_unseen) = (facts.clients.answers, facts.places_unseen());
    Round {
        released: facts.told_to_leave(window).or_why(Why::DriverDidNotSay),
        phase_s: match pauses {
            true => tried_before(facts, since).map(|at| seconds(since - at)).or_why(Why::FailuresNotSingle),
            false => Known::Unknown(Why::NoPauseToTellAPhase),
        },
        first_accepted_s: accepted.map(after).or_why(match unseen {
            true => Why::AcceptsPassBy,
            false => Why::NobodyAcceptedInRound,
        }),
        first_served_s: if answers { served } else { accepted }.map(after).or_why(match places_unseen {
            true => Why::AcceptsPassBy,
            false => Why::NobodyServedInRound,
        }),
        queue_drained_s: facts.queue_empty_after(since, window).or_why(Why::MoreWaitedThanLeft),
        new_client_served_s: new_served.map(after).or_why(match (answers, refilled) {
            (false, _) => Why::TcpIsNotAnswered,
            (true, false) => Why::NoNewClientBeforeAll,
            (true, true) => Why::OthersWaitedBefore,
        }),
        gave_up: gave_up.count() as u64,
        ceiling: ceiling.or_why(if refilled { Why::NotAtWallAgain } else { Why::NotRefilled }),
    }
}

/// The last failing accept before this moment, where they are recorded one by one up to then.
fn tried_before(facts: &Facts<'_>, moment: Nanos) -> Option<Nanos> {
    let first = facts.holdings.first?;
    let before = facts.tries.between(first.at, moment).iter();
    let last = before.rev().find(|t| t.pid == first.pid && t.call.accepts() && t.failed().is_some())?.at;
    let stopped = facts.tries.sampling_stops.iter().any(|at| (last..moment).contains(at));
    (!stopped).then_some(last)
}

/// The second ramp's ceiling, if it can be compared with the first: with several workers, another one may be
/// the first to fail.
fn second_ceiling(facts: &Facts<'_>, ceiling: &Ceiling, held: Option<&AtTheWall>) -> Known<u64> {
    let of = |pid: Pid| ceiling.per_process.iter().find(|one| one.pid == pid).map(|one| one.accepted_max);
    let first = facts.holdings.first.map(|first| first.pid);
    let same = |pid| first == Some(pid) || first.and_then(of).is_some_and(|most| Some(most) == of(pid));
    match held.map(|held| (held.most, held.of, held.lost)) {
        Some((Some(most), Some(pid), _)) if same(pid) => Known::Value(most),
        Some((Some(_), ..)) => Known::Unknown(Why::AnotherFailedFirst),
        Some((None, _, true)) => Known::Unknown(Why::LostInSecondRamp),
        _ => Known::Unknown(Why::NoFailureInSecondRamp),
    }
}

fn spread(mut all: Vec<f64>) -> Option<Spread> {
    all.sort_by(f64::total_cmp);
    let quantiles = latency(all.clone())?;
    Some(Spread { min: *all.first()?, p50: quantiles.p50, p90: quantiles.p90, max: quantiles.max })
}

/// Clients that left the accept queue before they were served: on order or with all the others; and those
/// that asked at the wall.
fn gave_up(facts: &Facts<'_>) -> Known<u64> {
    let Some(all) = facts.phases.start(Phase::ReleaseAll) else {
        return Known::Unknown(Why::NeverAllReleased);
    };
    if facts.processes.is_client {
        return Known::Unknown(Why::NobodyWaitsForCalls);
    }
    if facts.places_unseen() {
        return Known::Unknown(Why::AcceptsPassBy);
    }
    let told = facts.clients.all.iter().filter(|c| c.gave_up).count() as u64;
    let held = facts.holdings.most_ever.max(facts.holdings.held_in_all);
    let full = facts.holdings.first.is_some();
    let waited = facts.asked(Label::Saturated).chain(facts.asked(Label::Moved));
    let waited =
        waited.filter(|asked| full && asked.at < all && asked.outcome == Outcome::Waits).count() as u64;
    Known::Value(told + facts.clients.waiting(all.saturating_sub(1), held) + waited)
}

/// The order in which freed places were given: by which clients were served in a round and which were not, or
/// else by the times at which they were served.
fn order(facts: &Facts<'_>, windows: &[Window]) -> Result<PlaceOrder, Why> {
    if windows.is_empty() {
        return Err(Why::NoneLeftWhileOthersWaited);
    }
    if !facts.clients.answers {
        return Err(Why::TcpCannotTell);
    }
    // Pairs in the order of their connects, and in the reverse order.
    let (mut chosen, mut answered) = ((0u64, 0u64), (0u64, 0u64));
    for window in windows {
        let served = waiting_in(facts, *window);
        let unserved = served.iter().filter(|at| at.is_none()).count() as u64;
        let mut before = 0;
        for one in &served {
            match one {
                Some(_) => chosen = (chosen.0 + unserved - before, chosen.1 + before),
                None => before += 1,
            }
        }
        let times: Vec<Nanos> = served.into_iter().flatten().collect();
        let sooner = times.windows(2).filter(|pair| pair[0] <= pair[1]).count() as u64;
        answered = (answered.0 + sooner, answered.1 + (times.len().max(1) as u64 - 1 - sooner));
    }
    let (older, newer) = if chosen == (0, 0) { answered } else { chosen };
    if older + newer == 0 {
        return Err(Why::TooFewWaited);
    }
    Ok(match older as f64 / (older + newer) as f64 {
        share if share >= IN_ORDER => PlaceOrder::OldestFirst,
        share if share <= 1.0 - IN_ORDER => PlaceOrder::NewestFirst,
        _ => PlaceOrder::Mixed,
    })
}

/// Clients that waited through a window, in the order of their connects: when each was served in it.
fn waiting_in(facts: &Facts<'_>, window: Window) -> Vec<Option<Nanos>> {
    let since = facts.began_to_leave(window);
    let waited = |c: &&Client| {
        let gone = c.gave_up || c.ended.is_some_and(|e| e.0 < window.until);
        c.connected.is_some_and(|at| at < window.from)
            && c.released.is_none_or(|at| at >= window.until)
            && !gone
            && c.served.is_none_or(|at| at >= since)
    };
    let waiting = facts.clients.all.iter().filter(waited);
    waiting.map(|c| c.served.filter(|at| *at < window.until)).collect()
}

/// How the new clients of a ramp were served, without the first of them. `asked`: when held ones were asked
/// again.
fn service(facts: &Facts<'_>, ceiling: &Ceiling, window: Window, asked: Option<Window>) -> Known<Service> {
    if facts.processes.is_client {
        return Known::Unknown(Why::CountedInCalls);
    }
    // Up to the first wall, in either ramp: answers may come after the first call that fails.
    let most = ceiling.accepted.value().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let first = |mut all: Vec<Nanos>| {
        all.sort_unstable();
        all.truncate(most);
        all
    };
    let within = |at: Option<Nanos>| at.filter(|at| window.contains(*at));
    let clients = &facts.clients.all;
    let mut answered: Vec<(Nanos, f64)> = clients
        .iter()
        .filter_map(|c| Some((within(c.served)?, within(c.connected)?)))
        .map(|(served, connected)| (served, seconds(served.saturating_sub(connected))))
        .collect();
    answered.sort_by_key(|one| one.0);
    answered.truncate(most);
    let times = match facts.clients.answers {
        true => answered.iter().map(|one| one.0).collect(),
        false => first(facts.holdings.accepts_between(window.from, window.until).to_vec()),
    };
    let connects = first(clients.iter().filter_map(|c| within(c.connected)).collect());
    let times = &times[times.len() / CALIBRATION..];
    // From the connect of the first of them: a server that takes many at once answers them at once.
    let begin = connects.get(connects.len() / CALIBRATION);
    let span = begin.zip(times.last()).map_or(0.0, |(first, last)| seconds(last.saturating_sub(*first)));
    if times.len() < 2 || span <= 0.0 {
        return Known::Unknown(if facts.places_unseen() { Why::AcceptsPassBy } else { Why::TooFewServed });
    }
    let latency_s = latency(answered[answered.len() / CALIBRATION..].iter().map(|one| one.1).collect());
    let held = asked.and_then(|asked| held_asked(facts, asked.from, asked.until).latency_s.value());
    Known::Value(Service {
        served_per_s: milli(times.len() as f64 / span),
        latency_s: latency_s.or_why(Why::TcpIsNotAnswered),
        held_latency_s: held.or_why(Why::NoHeldAnsweredTwice),
    })
}

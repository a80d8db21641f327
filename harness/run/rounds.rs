//! Recovery as a distribution: rounds in which some clients leave at different phases of the server's own
//! delay while others wait, and new ones take their place; and the second ramp, which shows whether the
//! ceiling is still the first one's. Measures nothing.

use super::error::Error;
use super::orders::{
    HELD_ASKED, PROBE_DEADLINE, RAMP_DEADLINE, RAMP_TICK, RECOVERY_DEADLINE, SETTLE_WINDOW, STALL, release,
    some, taken,
};
use super::pump::Pump;
use crate::drive::protocol::Order;
use crate::event::{Ended, Nanos, Pacing, Phase};
use crate::measure::Policy;
use crate::sys::clock;
use std::time::Duration;

/// Failures that are reported one by one in a round of a server whose failures are too many for that.
const SAMPLED_IN_A_ROUND: u64 = 200;
/// Phases are met this exactly.
const TICK: Duration = Duration::from_millis(1);
/// A try is known so long after it was made.
const LATE: Duration = Duration::from_millis(20);
/// No delay is waited for longer.
const DELAY_AT_MOST: Duration = Duration::from_secs(10);
/// In each fourth round, where more than one leaves, so many of those in the queue leave as well: they cost
/// the server a try more.
const GIVE_UP: u32 = 1;
const GIVE_UP_EVERY: u32 = 4;

/// Lets a tenth of the clients and one client leave in turn, so many times, each time with others waiting.
/// `gone`: how many of the newest in the queue have left it already. `why`: the reason for which the phase
/// before ended. Returns why the last one did; and true when the server did not even try to accept: no more
/// rounds were made then.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn rounds(pump: &mut Pump, rounds: u32, gone: u64, mut why: Ended) -> Result<(Ended, bool), Error> {
    let tenth = some(pump);
    let (first, at_first) = (pump.live.accepted_total(), u64::from(pump.queue().unwrap_or(0)));
    let holding: Vec<_> = pump.loads.iter().filter(|load| load.holds()).collect();
    // A client that asks nothing does not know whether it waits: it does if it is one of the newest and all
    // of those wait in one queue.
    let known = holding.iter().all(|load| load.asks) || pump.listeners < 2;
    let may_give_up = holding.len() == 1 && known;
    for round in 0..rounds {
        // They are accepted after all who came before them.
        let gone = if pump.live.accepted_total() - first < at_first { gone } else { 0 };
        let waiting = u64::from(pump.queue().unwrap_or(0)).saturating_sub(gone);
        if waiting == 0 || pump.died() {
            break;
        }
        sampled(pump)?;
        let delay = delay(pump);
        if let Some(delay) = delay {
            meet(pump, delay, f64::from(round) / f64::from(rounds))?;
        }
        pump.next(why, Phase::ReleaseSome);
        let leave = if round % 2 == 0 { tenth } else { 1 };
        // With one place only, nobody would be served in that round.
        let give_up =
            if may_give_up && round % GIVE_UP_EVERY == 0 && leave > 1 && waiting > 1 { GIVE_UP } else { 0 };
        if give_up > 0 {
            each(pump, &Order::GiveUp { clients: give_up, of: waiting as u32 })?;
        }
        let (tried, before) = (pump.live.last_try, taken(pump));
        why = leave_and_watch(pump, leave, waiting, delay)?;
        if taken(pump) == before {
            return Ok((why, pump.counts_accepts() && pump.live.last_try == tried));
        }
        refill(pump, leave as u32 + give_up, delay)?;
    }
    Ok((why, false))
}

/// How long the server pauses between its tries; `None`: it does not.
fn delay(pump: &Pump) -> Option<Duration> {
    let spins = pump.live.policy.decided() == Some(Policy::Spin);
    pump.live.retries.delay().filter(|_| !spins).map(|delay| delay.min(DELAY_AT_MOST))
}

/// Waits until this share of the server's delay is over since a failing try: its last one, where that is not
/// too long ago.
fn meet(pump: &mut Pump, delay: Duration, share: f64) -> Result<(), Error> {
    let since = clock::now() - nanos(delay.mul_f64(share)).min(nanos(LATE));
    let tried = |pump: &Pump| pump.live.retries.settled_since(since);
    // A delay that grows begins again with each accept.
    pump.until(delay * 3 + STALL, TICK, |pump| tried(pump).is_some() || pump.died())?;
    if let Some(tried) = tried(pump) {
        let target = tried + nanos(delay.mul_f64(share));
        pump.until(delay, TICK, |_| clock::now() >= target)?;
    }
    Ok(())
}

/// Lets clients leave, and waits until as many others have their places, or until nothing moves any more.
fn leave_and_watch(
    pump: &mut Pump,
    leave: u64,
    waiting: u64,
    delay: Option<Duration>,
) -> Result<Ended, Error> {
    let before = taken(pump);
    let wanted = before + waiting.min(leave * pump.loads.iter().filter(|load| load.holds()).count() as u64);
    let delay = delay.unwrap_or_default();
    let (since, stalls) = (clock::now(), nanos(PROBE_DEADLINE + delay * 2));
    release(pump, leave as u32)?;
    let why = pump.until_ended(RECOVERY_DEADLINE + delay * 2, TICK, |pump| {
        let now = taken(pump);
        let still = clock::now() - pump.live.last_accept.max(pump.live.last_client).max(since);
        if now >= wanted {
            Some(Ended::Served)
        } else if pump.died() {
            Some(Ended::Gone)
        } else if now > before && still > stalls {
            Some(Ended::Stalled)
        } else {
            (now > before && still > nanos(SETTLE_WINDOW) && pump.drained()).then_some(Ended::Quiet)
        }
    })?;
    pump.sample();
    Ok(why)
}

/// New clients come for those who left, until the server fails again with as many waiting as before.
fn refill(pump: &mut Pump, clients: u32, delay: Option<Duration>) -> Result<(), Error> {
    each(pump, &Order::Refill { clients })?;
    sampled(pump)?;
    pump.until(STALL + delay.unwrap_or_default() * 2, TICK, |pump| {
        let full = pump.live.retries.last().is_some_and(|failed| failed > pump.live.last_accept);
        (full && pump.live.drivers_idle() && pump.queue() > Some(0)) || pump.died()
    })?;
    answered(pump)
}

/// Waits until those that have a place are answered as well: no client event comes any more.
fn answered(pump: &mut Pump) -> Result<(), Error> {
    let still = |pump: &mut Pump| {
        clock::now() - pump.live.last_client.max(pump.live.last_accept) > nanos(SETTLE_WINDOW)
    };
    pump.until(PROBE_DEADLINE, TICK, still)?;
    pump.sample();
    Ok(())
}

/// Connects all clients once more, up to the wall, after all had left; `why` the phase before ended. Returns
/// why the last one did.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn again(pump: &mut Pump, clients: &[u32], why: Ended) -> Result<Ended, Error> {
    let died = pump.died();
    if pump.live.first_failure.is_none() || died || pump.tree.gone() {
        return Ok(why);
    }
    pump.next(why, Phase::Again);
    sampled(pump)?;
    pump.live.once_more(clock::now());
    for (load, &clients) in pump.loads.iter_mut().zip(clients).filter(|(load, _)| load.holds()) {
        load.fleet.order(&Order::Refill { clients }).map_err(|e| Error::Fault(e.to_string()))?;
        pump.live.pacing.insert(load.workload.clone(), Pacing::Ramping);
    }
    let (mut last, mut moved_at) = ((0, 0), clock::now());
    let why = pump.until_ended(RAMP_DEADLINE, RAMP_TICK, |pump| {
        let now = (pump.live.last_accept, pump.live.last_client);
        if now != last {
            (last, moved_at) = (now, clock::now());
        }
        let idle = pump.live.drivers_idle();
        if pump.live.first_failure.is_some() && idle {
            Some(Ended::FirstFailure)
        } else if pump.live.local_failure.is_some() && idle {
            Some(Ended::Generator)
        } else if pump.died() {
            Some(Ended::Gone)
        } else {
            let still = clock::now() - moved_at > nanos(STALL) && !pump.awaits_retry();
            still.then_some(Ended::Stalled)
        }
    })?;
    // A thread that was blocked in accept has its number already.
    answered(pump)?;
    ask_held(pump)?;
    Ok(why)
}

/// Asks clients that are held again, as at the first wall.
fn ask_held(pump: &mut Pump) -> Result<(), Error> {
    let (before, asks) =
        (pump.live.held, HELD_ASKED * pump.loads.iter().filter(|load| load.holds()).count() as u64);
    each(
        pump,
        &Order::AskHeld { clients: HELD_ASKED as u32, deadline_ms: PROBE_DEADLINE.as_millis() as u64 },
    )?;
    // Where fewer are held, fewer answer.
    pump.until(PROBE_DEADLINE, TICK, |pump| pump.live.held >= before + asks || pump.died())?;
    Ok(())
}

/// An order for each workload that holds connections to the subject.
fn each(pump: &mut Pump, order: &Order) -> Result<(), Error> {
    for load in pump.loads.iter_mut().filter(|load| load.holds()) {
        load.fleet.order(order).map_err(|e| Error::Fault(e.to_string()))?;
        if matches!(order, Order::Refill { .. }) {
            pump.live.pacing.insert(load.workload.clone(), Pacing::Ramping);
        }
    }
    Ok(())
}

/// Has single failures reported again, where they were too many.
fn sampled(pump: &mut Pump) -> Result<(), Error> {
    if pump.live.unsampled()
        && let Some(observer) = &mut pump.observer
    {
        observer.sample_again(SAMPLED_IN_A_ROUND)?;
    }
    Ok(())
}

fn nanos(duration: Duration) -> Nanos {
    duration.as_nanos() as Nanos
}

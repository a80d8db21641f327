//! The ramp: clients connect until the ceiling is reached, all are in, or nothing moves any more.

use super::error::Error;
use super::orders::{RAMP_DEADLINE, RAMP_TICK, SETTLE_WINDOW, STALL, order_ramp};
use super::pump::{Load, Pump};
use crate::event::{Ended, Nanos, What};
use crate::sys::clock;
use std::time::Duration;

/// The same for a burst, and for clients of a relay, whose connections to the subject nobody paces: its
/// accept queue overflows, and stays full for as long as the subject needs for what it accepted.
const STALL_OF_A_BURST: Duration = Duration::from_secs(8);

/// The same where clients were accepted and have no answer yet: a look-up of a client's name that nobody
/// answers takes five seconds (resolv.conf(5), `timeout`).
const STALL_OF_ANSWERS: Duration = Duration::from_secs(6);

/// The same for a program that calls: it may have other things to do between two calls.
const STALL_OF_CALLS: Duration = Duration::from_secs(5);

/// A program that calls is watched for so long at most: what a call leaves open is known by then.
const CALLS_DEADLINE: Duration = Duration::from_secs(60);

/// Calls that fail are watched for this long before the ramp counts as ended; nanoseconds.
const CALLS_FAIL_FOR: u64 = 500_000_000;

/// A server that lets no more clients in, however many come and go, has been filled: one that closes idle
/// clients goes on for ever.
const FULL: Duration = Duration::from_secs(10);

/// How many clients stay, and since when no more.
struct Filling {
    most: u64,
    since: Nanos,
}

impl Filling {
    fn since(since: Nanos) -> Self {
        Filling { most: 0, since }
    }

    /// Whether it is full, now that so many stay.
    fn full(&mut self, stay: u64, now: Nanos) -> bool {
        if stay > self.most {
            *self = Filling { most: stay, since: now };
        }
        now.saturating_sub(self.since) > FULL.as_nanos() as u64
    }
}

/// Connects all clients, closed-loop, until the ceiling is reached, all are accepted, or nothing moves any
/// more; returns which.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn ramp(pump: &mut Pump, clients: &[u32], burst: bool) -> Result<Ended, Error> {
    pump.census.ramp_begins();
    let mut ramp = Ramp::of(pump, clients, burst);
    order_ramp(pump, clients)?;
    ramp.wait(pump)
}

/// The state that a ramp keeps from one look to the next.
pub(super) struct Ramp {
    /// Clients asked for, of all workloads that it waits for.
    wanted: u64,
    /// Whether its clients are calls, made by the subject or to it.
    calls: bool,
    stall: Duration,
    /// The newest of what counts as motion, and when that was seen to change.
    newest: (Nanos, Nanos, u64, Nanos),
    moved_at: Nanos,
    /// Since when calls fail.
    failing_at: Option<Nanos>,
    filling: Filling,
}

impl Ramp {
    pub fn of(pump: &Pump, clients: &[u32], burst: bool) -> Self {
        let now = clock::now();
        let relayed = pump.loads.iter().any(|load| !load.concerns_subject && !load.background);
        let awaited = clients.iter().zip(&pump.loads).filter(|(_, load)| !load.background);
        Ramp {
            wanted: awaited.map(|(&clients, _)| u64::from(clients)).sum(),
            calls: pump.loads.iter().any(|load| load.concerns_subject && load.calls),
            stall: match pump.live.enough_calls {
                Some(_) => STALL_OF_CALLS,
                None if burst || relayed => STALL_OF_A_BURST,
                None => STALL,
            },
            newest: (0, 0, 0, 0),
            moved_at: now,
            failing_at: None,
            filling: Filling::since(now),
        }
    }

    /// Waits until it is over; returns why.
    pub fn wait(&mut self, pump: &mut Pump) -> Result<Ended, Error> {
        let calls = pump.live.enough_calls.is_some();
        let deadline = if calls { CALLS_DEADLINE } else { RAMP_DEADLINE };
        let why = pump.until_ended(deadline, RAMP_TICK, |pump| self.ended(pump))?;
        if why == Ended::Time && !calls {
            let reason = format!("the ramp was still going on after {} s", RAMP_DEADLINE.as_secs());
            pump.journal.record(What::Inconclusive { reason });
        }
        Ok(why)
    }

    /// Why it is over, now that this is to be seen.
    fn ended(&mut self, pump: &mut Pump) -> Option<Ended> {
        let now = clock::now();
        if self.failed(pump, now) {
            return Some(Ended::FirstFailure);
        }
        if pump.died() {
            return Some(Ended::Gone);
        }
        if pump.live.local_failure.is_some() && pump.live.drivers_idle() || stranger(pump) {
            return Some(Ended::Generator);
        }
        if pump.live.enough_calls.is_some_and(|enough| pump.live.calls() >= enough) {
            return Some(Ended::AllIn);
        }
        let still = self.still(pump, now);
        let full = self.full(pump, now);
        // All of them are in: once the queue is empty and nothing happens for a moment, nothing will.
        if self.arrived(pump) && still > SETTLE_WINDOW && pump.drained() && pump.quiet(SETTLE_WINDOW) {
            return Some(Ended::AllIn);
        }
        let stall = if owes_answers(pump) { self.stall.max(STALL_OF_ANSWERS) } else { self.stall };
        if still > stall && !pump.awaits_retry() {
            return Some(Ended::Stalled);
        }
        full.then_some(Ended::Full)
    }

    /// Whether the wall is reached: a call failed, and nobody connects any more.
    fn failed(&mut self, pump: &Pump, now: Nanos) -> bool {
        if pump.live.first_failure.is_none() {
            return false;
        }
        // Calls that fail may each take as long as their time-outs: the first few show all there is to see.
        let since = *self.failing_at.get_or_insert(now);
        pump.live.drivers_idle() || (self.calls && now - since > CALLS_FAIL_FOR)
    }

    /// For how long nothing has moved.
    fn still(&mut self, pump: &Pump, now: Nanos) -> Duration {
        let live = &pump.live;
        // Only a client is seen to move by its own calls: a server makes some whether anybody connects or
        // not.
        let own = if pump.listener.is_none() { live.last_descriptor_call } else { 0 };
        let newest = (live.last_accept, live.last_client, live.accepted_total() + live.calls(), own);
        // A program may take its time until it connects, and so may a call that has a time of its own.
        let takes_time = |load: &Load| load.programs.is_some() || load.scheduled;
        let starts = pump.loads.iter().any(takes_time) && !live.drivers_idle();
        if newest != self.newest || starts {
            (self.newest, self.moved_at) = (newest, now);
        }
        Duration::from_nanos(now - self.moved_at)
    }

    /// Whether no more clients stay than a while ago, however many come and go: a server that is slow to take
    /// them from its accept queue is not full. A caller that was answered leaves: calls do not fill.
    pub fn full(&mut self, pump: &Pump, now: Nanos) -> bool {
        let outside = pump.live.ended + u64::from(pump.queued);
        self.filling.full(pump.live.connected.saturating_sub(outside), now) && !self.calls
    }

    /// Whether every client that was asked for has connected and was taken in, or has ended.
    fn arrived(&self, pump: &Pump) -> bool {
        let live = &pump.live;
        // A client may be connected and neither accepted nor queued: the last ACK of its handshake found the
        // queue full.
        let counted = pump.counts_accepts() && pump.loads.iter().all(|load| load.holds());
        let accepted = !counted || live.accepted_total() >= live.connected;
        // A client that asks has arrived when it is answered: a relay may still wait for its own backend.
        let asks = pump.loads.iter().any(|load| !load.background && !load.calls && load.asks);
        let answered = !asks || live.served + live.ended >= live.connected;
        let connected = self.calls || live.connected + live.ended >= self.wanted;
        connected && live.drivers_done() && accepted && answered && !pump.loads.is_empty()
    }
}

/// Whether it has accepted clients that have got no answer yet, as far as its calls tell.
fn owes_answers(pump: &Pump) -> bool {
    let live = &pump.live;
    let asks = pump.loads.iter().any(|load| !load.background && !load.calls && load.asks);
    asks && pump.counts_accepts() && live.accepted_total() > live.served + live.turned_away
}

/// Whether a client program ended with an error of its own, and not the server's: without a connection that
/// it was seen to make or that the server accepted, while nothing kept it out. Says so.
fn stranger(pump: &mut Pump) -> bool {
    let live = &pump.live;
    let (Some(words), None) = (&live.stranger, live.first_failure) else { return false };
    let explained = match pump.counts_accepts() {
        true => live.accepted_total() >= live.connected + live.strangers,
        false => live.connected > 0,
    };
    let reason = format!(
        "a client program ended with an error before it was connected, and nothing kept it out: `{words}`. That is its own, or its \
         command's, and says nothing about the server"
    );
    // The accept of a short connection may be reported later than its end.
    let own = !explained && pump.queue() == Some(0) && pump.quiet(SETTLE_WINDOW);
    if own {
        pump.journal.record(What::Inconclusive { reason });
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn a_server_that_serves_one_after_the_other_is_full_though_clients_come_and_go() {
        let mut slow = Filling::since(0);
        assert!((1..120).all(|n| !slow.full(n, n * 9 * S)), "one more in nine seconds is one more");
        let mut full = Filling::since(0);
        assert!((0..=10).all(|n| !full.full(514 - n % 3, n * S)));
        assert!(full.full(513, 11 * S));
    }
}

//! The wall: the subject is watched until its accept policy is plain.

use super::error::Error;
use super::orders::{HELD_ASKED, NOBODY_WAITS, PROBE_DEADLINE, answers, order, probe, taken};
use super::others;
use super::pump::{DRAIN_EVERY, Pump};
use super::ready::{self};
use crate::drive::protocol::Order;
use crate::event::{Ended, Label, Nanos, Phase, ReceiveQueue, What};
use crate::limits::{chain, inotify, inventory};
use crate::sys::sock_diag::Listener;
use crate::sys::{clock, proc};
use std::time::Duration;

/// Rates are measured over at least this: CPU time has a resolution of 10 ms.
const WATCH_AT_LEAST: Duration = Duration::from_millis(200);

/// A program whose call failed is given this long to exit for it.
const EXITS_WITHIN: Duration = Duration::from_secs(1);

/// A server that greets one client after the other takes no longer for one of them.
const GREETS_WITHIN: Duration = Duration::from_millis(500);

/// A silent process sleeps in a call within this time, if it sleeps at all.
const ASLEEP_WITHIN: Duration = Duration::from_millis(200);

/// A silence while clients wait is watched for this long at most, beyond `hold`: no server is known to pause
/// for longer.
const SILENT_AT_MOST: Duration = Duration::from_secs(35);

/// Watches the subject at the wall until its accept policy is decided, at most for `hold`; returns why the
/// watch ended. Where `hold` is zero nobody watches, and no client is sent. `asks_others`: clients are sent
/// to its other listeners.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn saturate(pump: &mut Pump, process: &str, hold: Duration, asks_others: bool) -> Result<Ended, Error> {
    note_first(pump, process);
    let counted_since = clock::now();
    pump.census.order(pump.acceptor, pump.tree.processes(), pump.listener.clone());
    if pump.tree.gone() {
        return gone(pump);
    }
    let failing = pump.live.first_failure.is_some();
    if failing && hold.is_zero() {
        note_last(pump);
        return Ok(Ended::Time);
    }
    if !failing {
        // Nothing keeps a new client out: it would be one connection more than the workload's.
        let gone = pump.until(WATCH_AT_LEAST, DRAIN_EVERY, |pump| pump.tree.gone())?;
        pump.next(if gone { Ended::Gone } else { Ended::NoFailure }, Phase::Probe);
    }
    let asked_held = ask(pump)?;
    let why = watch(pump, hold, Awaited { failing, counted_since, asked_held })?;
    if why == Ended::Gone && !pump.loads.is_empty() {
        // News of its clients until then come before this answer.
        pump.until(PROBE_DEADLINE * 2, DRAIN_EVERY, |pump| pump.live.probed(Label::Saturated))?;
        return gone(pump);
    }
    let why = silence(pump, why)?;
    note_last(pump);
    others::told(pump, asks_others)?;
    Ok(why)
}

/// Records the state at the wall before any client asks.
fn note_first(pump: &mut Pump, process: &str) {
    // The last words of a process that is gone are recorded in the end.
    let died = pump.died();
    if let Some(output) = &pump.output
        && !died
    {
        // The server may write its message about the first failure only once.
        let since = pump.live.first_failure.map_or_else(clock::now, |(at, _)| at);
        output.mark(since).into_iter().for_each(|line| pump.journal.absorb(line));
    }
    if let Some((allocated, max)) = proc::file_nr() {
        pump.journal.record(What::FileNr { allocated, max });
    }
    pump.note_resources();
    // The descriptors that its calls have left open.
    if calls(pump) {
        pump.journal.record(What::Open(inventory::of_all(&[pump.acceptor])));
    }
    if pump.serves_datagrams() {
        pump.journal.record(What::Open(inventory::of_all(&pump.tree.processes())));
        note_receive_queue(pump);
    }
    let limits = Some(pump.tree.command().limits);
    let links = chain::read(pump.acceptor, limits, pump.tree.program(), pump.journal.redaction());
    let (process, pid) = (process.into(), pump.acceptor);
    pump.journal.record(What::Chain { process, pid, when: Phase::Saturate, links });
}

/// Whether the subject is one that calls.
fn calls(pump: &Pump) -> bool {
    pump.live.enough_calls.is_some()
}

/// Sends a new client of each workload, and asks some that are held; returns how many of these are to answer.
fn ask(pump: &mut Pump) -> Result<u64, Error> {
    probe(pump, Label::Saturated, PROBE_DEADLINE)?;
    // The client that was accepted last may not be answered yet.
    let accepted = HELD_ASKED.min(pump.live.accepted_total());
    if answers(pump) && taken(pump) < accepted {
        pump.until(PROBE_DEADLINE, DRAIN_EVERY, |pump| taken(pump) >= accepted || pump.tree.gone())?;
    }
    let asks = HELD_ASKED.min(pump.live.served.max(1));
    order(pump, &Order::AskHeld { clients: asks as u32, deadline_ms: PROBE_DEADLINE.as_millis() as u64 })?;
    Ok(asks * pump.loads.len() as u64)
}

/// The events that the watch at the wall waits for.
#[derive(Clone, Copy)]
struct Awaited {
    /// Whether a call failed: then the policy is to be decided.
    failing: bool,
    /// A census that began then, or later.
    counted_since: Nanos,
    /// Answers of clients that are held.
    asked_held: u64,
}

/// Watches until everybody has answered and the policy is decided, at most for `hold`; returns why that
/// ended.
fn watch(pump: &mut Pump, hold: Duration, awaited: Awaited) -> Result<Ended, Error> {
    let at_least = if calls(pump) { EXITS_WITHIN } else { WATCH_AT_LEAST };
    let started = clock::now();
    pump.until_ended(hold, DRAIN_EVERY, |pump| {
        if pump.tree.gone() {
            return Some(Ended::Gone);
        }
        let watched = Duration::from_nanos(clock::now() - started);
        let heard = pump.live.held >= awaited.asked_held || watched >= PROBE_DEADLINE;
        let answered = pump.loads.is_empty() || (pump.live.probed(Label::Saturated) && heard);
        if still_greets(pump) {
            return None;
        }
        if !(answered && pump.live.callers_done() && pump.census.counted_since(awaited.counted_since)) {
            return None;
        }
        // A client has no accept policy, nor has UDP: that its calls fail is all there is to see.
        let decided =
            pump.live.policy.decided().is_some() || pump.listener.is_none() || pump.serves_datagrams();
        if !awaited.failing {
            // A slow server still takes clients from its queue.
            let accepts = clock::now().saturating_sub(pump.live.last_accept) < NOBODY_WAITS.as_nanos() as u64;
            (!accepts || pump.drained()).then_some(Ended::Answered)
        } else if decided && watched >= at_least {
            Some(Ended::Decided)
        } else {
            (pump.quiet(NOBODY_WAITS) && pump.drained()).then_some(Ended::Quiet)
        }
    })
}

/// Whether it has greeted some clients lately, and not yet all that it took.
fn still_greets(pump: &mut Pump) -> bool {
    let queued = u64::from(pump.queue().unwrap_or(0));
    let live = &pump.live;
    let lately = clock::now().saturating_sub(live.last_greeting) < GREETS_WITHIN.as_nanos() as u64;
    lately && live.greeted + live.ended + queued < live.connected
}

/// Records the state when the watch is over.
fn note_last(pump: &mut Pump) {
    if pump.live.lacks_inotify {
        let holders = inotify::holders(pump.acceptor);
        pump.journal.record(What::InotifyInstances { most: inotify::most(), holders });
    }
    pump.sample();
    note_receive_queue(pump);
    ready::queues(pump);
}

/// Records the receive queue of a UDP socket.
fn note_receive_queue(pump: &mut Pump) {
    let Some(address) = pump.listener.as_ref().filter(|address| address.is_udp()) else { return };
    if let Ok(Some(Listener { queue: bytes, backlog: capacity, drops: Some(drops), .. })) =
        pump.diag.listener(address)
    {
        pump.journal.record(What::ReceiveQueue(ReceiveQueue { bytes, capacity, drops }));
    }
}

/// The outcome of a new client after the subject is gone.
fn gone(pump: &mut Pump) -> Result<Ended, Error> {
    if pump.listener.is_some() {
        pump.live.probes.remove(&Label::Saturated);
        probe(pump, Label::Saturated, PROBE_DEADLINE)?;
        pump.until(PROBE_DEADLINE * 2, DRAIN_EVERY, |pump| pump.live.probed(Label::Saturated))?;
    }
    Ok(Ended::Gone)
}

/// A server that failed at one time, and has been silent since while clients wait, may be in a long pause:
/// where it waits for a time of its own, or that cannot be read, it is watched until its next try. Returns
/// why the watch ended.
fn silence(pump: &mut Pump, why: Ended) -> Result<Ended, Error> {
    let silent = |pump: &mut Pump| {
        let policy = &pump.live.policy;
        policy.decided().is_none() && policy.silent() && !pump.died() && !pump.drained()
    };
    if why != Ended::Time || pump.live.first_failure.is_none() || !silent(pump) {
        return Ok(why);
    }
    let pid = pump.acceptor;
    let read = |pump: &mut Pump| -> Result<Option<bool>, Error> {
        // A thread may run for a moment.
        pump.until(ASLEEP_WITHIN, DRAIN_EVERY, |_| proc::timer_pending(pid).is_some())?;
        let timer = proc::timer_pending(pid);
        pump.journal.record(What::Waits { pid, timer });
        Ok(timer)
    };
    if read(pump)? == Some(false) {
        return Ok(why);
    }
    let watched = pump.live.first_failure.map_or(0, |(at, _)| clock::now().saturating_sub(at));
    let left = SILENT_AT_MOST.saturating_sub(Duration::from_nanos(watched));
    let ended = pump.until_ended(left, DRAIN_EVERY, |pump| {
        if pump.tree.gone() {
            return Some(Ended::Gone);
        }
        (!silent(pump)).then_some(Ended::Decided)
    })?;
    read(pump)?;
    Ok(ended)
}

//! Orders to the drivers and questions to the subject, in any phase of a load, and how long each may take.

use super::error::Error;
use super::pump::{Load, Pump};
use super::ready::SETTLE_DEADLINE;
use crate::drive::protocol::Order;
use crate::event::{Label, Outcome};
use std::time::Duration;

/// The ramp is looked at this often when no driver reports: seldom enough to leave the CPU to the subject.
pub(super) const RAMP_TICK: Duration = Duration::from_millis(3);

/// No ramp takes longer.
pub(super) const RAMP_DEADLINE: Duration = Duration::from_secs(300);

/// Nothing moves any more: no accept, no answer, no client event for this long ends a ramp that has seen no
/// failure.
pub(super) const STALL: Duration = Duration::from_millis(1500);

/// A new client at the wall is given this long.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_millis(500);

/// Clients of a workload that are held and asked again at the wall, at most.
pub(super) const HELD_ASKED: u64 = 16;

/// A new client after the release is given this long: longer than any usual retry delay.
pub(super) const RECOVERY_DEADLINE: Duration = Duration::from_secs(5);

/// Nobody waits and no descriptor call was made for this long: longer than any usual retry delay, so there is
/// nothing left to watch.
pub(super) const NOBODY_WAITS: Duration = Duration::from_millis(1200);

/// A subject that still closes descriptors, or works off its accept queue, when all have left is waited for
/// this long: one that does it in steps of a second needs half a minute for a queue of 2048.
pub(super) const DRAINING_AT_MOST: Duration = Duration::from_secs(120);

pub(super) const SETTLE_WINDOW: Duration = Duration::from_millis(50);

/// Raises the number of clients each workload is to have in all.
pub(super) fn order_clients(pump: &mut Pump, clients: &[u32]) -> Result<(), Error> {
    order_those(pump, clients, |_| true)
}

/// The same for the ramp: callers beside it make their first call before its clients come, so that they meet
/// the subject while it has room.
pub(super) fn order_ramp(pump: &mut Pump, clients: &[u32]) -> Result<(), Error> {
    order_those(pump, clients, |load| load.background)?;
    pump.until(PROBE_DEADLINE, RAMP_TICK, |pump| pump.live.callers_heard() || pump.died())?;
    order_those(pump, clients, |load| !load.background)
}

fn order_those(pump: &mut Pump, clients: &[u32], which: impl Fn(&Load) -> bool) -> Result<(), Error> {
    for (load, &upto) in pump.loads.iter_mut().zip(clients).filter(|(load, _)| which(load)) {
        load.fleet.order(&Order::Connect { upto }).map_err(|e| Error::Fault(e.to_string()))?;
        // Idle until it says otherwise would end the phase before it began.
        let of = if load.background { &mut pump.live.background } else { &mut pump.live.pacing };
        of.insert(load.workload.clone(), crate::event::Pacing::Ramping);
    }
    Ok(())
}

pub(super) fn order(pump: &mut Pump, order: &Order) -> Result<(), Error> {
    pump.loads
        .iter_mut()
        .try_for_each(|load| load.fleet.order(order))
        .map_err(|e| Error::Fault(e.to_string()))
}

/// Sends a new client of each workload, which reports its outcome under this label.
pub(super) fn probe(pump: &mut Pump, label: Label, deadline: Duration) -> Result<(), Error> {
    let order = Order::Probe { label, deadline_ms: deadline.as_millis() as u64 };
    pump.loads
        .iter_mut()
        .try_for_each(|load| load.prober().order(&order))
        .map_err(|e| Error::Fault(e.to_string()))
}

/// How many clients of each workload leave while others wait: a tenth.
pub(super) fn some(pump: &Pump) -> u64 {
    (pump.live.accepted_total() / 10).clamp(1, 100)
}

/// Clients taken so far. An accept comes before its answer: where there are answers, those are awaited. Who
/// is turned away waits no longer either.
pub(super) fn taken(pump: &Pump) -> u64 {
    if answers(pump) { pump.live.served + pump.live.turned_away } else { pump.live.accepted_total() }
}

/// Whether the subject answers any of its clients.
pub(super) fn answers(pump: &Pump) -> bool {
    pump.loads.iter().any(|load| load.concerns_subject && load.asks)
}

pub(super) fn release(pump: &mut Pump, clients: u32) -> Result<(), Error> {
    pump.live.release_answered = pump.loads.is_empty();
    order(pump, &Order::Release { clients })?;
    pump.until(RECOVERY_DEADLINE, Duration::from_millis(1), |pump| pump.live.release_answered)?;
    Ok(())
}

/// Asks the server in one dialogue, under this label, and returns the outcome.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn asked(
    pump: &mut Pump,
    asker: &mut crate::drive::Fleet,
    label: Label,
) -> Result<Option<Outcome>, Error> {
    let (mut answer, busy) = ask_once(pump, asker, label)?;
    // A first request may wait for something that the server must load.
    if busy && answer == Some(Outcome::Waits) {
        (answer, _) = ask_once(pump, asker, label)?;
    }
    Ok(answer)
}

/// The outcome of one question, and whether the server was at work then; waits until it is at rest.
fn ask_once(
    pump: &mut Pump,
    asker: &mut crate::drive::Fleet,
    label: Label,
) -> Result<(Option<Outcome>, bool), Error> {
    pump.live.probes.remove(&label);
    asker
        .order(&Order::Probe { label, deadline_ms: PROBE_DEADLINE.as_millis() as u64 })
        .map_err(|e| Error::Fault(e.to_string()))?;
    pump.until(PROBE_DEADLINE * 2, Duration::from_millis(1), |pump| pump.live.probes.contains_key(&label))?;
    let answer = pump.live.probes.get(&label).map(|(outcome, _)| *outcome);
    let busy = !pump.quiet(SETTLE_WINDOW);
    pump.until(SETTLE_DEADLINE, Duration::from_millis(1), |pump| pump.quiet(Duration::from_millis(10)))?;
    Ok((answer, busy))
}

/// Connections to the subject, when each workload has so many clients.
pub(super) fn of_subject(pump: &Pump, clients: u64) -> u64 {
    clients * pump.loads.iter().filter(|load| load.holds()).count() as u64
}

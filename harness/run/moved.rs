//! Limits that move: after the watch at the wall, the limits of the subject's live processes are changed. The
//! run then watches until the next ceiling, or until nothing moves any more. Measures nothing itself.

use super::error::Error;
use super::orders::{PROBE_DEADLINE, SETTLE_WINDOW, order};
use super::pump::{DRAIN_EVERY, Pump};
use super::ready::Rest;
use crate::drive::protocol::Order;
use crate::event::{Ended, Event, Label, Phase, Pid, What};
use crate::limits::shift;
use crate::scenario::{MovedLimit, Then};
use crate::sys::clock;
use std::collections::BTreeSet;

/// Takes the steps that the scenario asks for at the wall, in their order, after a phase that ended for the
/// reason `why`; returns why the last phase ended.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn moved(
    pump: &mut Pump,
    then: &[Then],
    clients: &[u32],
    rests: &[Rest],
    mut why: Ended,
) -> Result<Ended, Error> {
    for then in then {
        if pump.tree.gone() {
            return Ok(why);
        }
        pump.next(why, Phase::Moved);
        if let Some(observer) = &mut pump.observer {
            observer.sample_again(pump.sampled)?;
        }
        match shifted(pump, then.limit, &accepting(pump, rests)) {
            Ok(raised) => pump.live.limits_moved(clock::now(), raised),
            Err(reason) => {
                pump.journal.record(What::Inconclusive { reason: reason.to_string() });
                return Ok(Ended::Failed);
            }
        }
        // The clients that were not let in yet go on connecting by themselves; a full queue parks them again.
        why = super::ramp::ramp(pump, clients, false)?;
        // The client that was let in last may not be answered yet, and is no waiter.
        let still = |pump: &mut Pump| {
            clock::now() - pump.live.last_client.max(pump.live.last_accept) > SETTLE_WINDOW.as_nanos() as u64
        };
        pump.until(PROBE_DEADLINE, DRAIN_EVERY, still)?;
        if pump.live.first_failure.is_none() {
            order(
                pump,
                &Order::Probe { label: Label::Moved, deadline_ms: PROBE_DEADLINE.as_millis() as u64 },
            )?;
            pump.until(PROBE_DEADLINE * 2, DRAIN_EVERY, |pump| {
                pump.live.probed(Label::Moved) || pump.tree.gone()
            })?;
            pump.live.probes.remove(&Label::Moved);
        }
        pump.sample();
    }
    Ok(why)
}

/// Live processes of the subject that hold the listener, or were seen to accept.
fn accepting(pump: &Pump, rests: &[Rest]) -> BTreeSet<Pid> {
    let live = pump.tree.processes();
    let all =
        rests.iter().map(|rest| rest.pid).chain(pump.live.accepted.keys().copied()).chain([pump.acceptor]);
    all.filter(|pid| live.contains(pid)).collect()
}

/// Moves the limits of these processes; whether any soft limit was raised.
fn shifted(pump: &mut Pump, to: MovedLimit, pids: &BTreeSet<Pid>) -> Result<bool, shift::Error> {
    let mut raised = false;
    for &pid in pids {
        match shift::shift(pid, to.soft, to.hard) {
            Ok((was, now)) => {
                raised |= now.soft > was.soft;
                pump.journal.absorb(Event {
                    at: clock::now(),
                    is: What::LimitMoved { pid, soft: now.soft, hard: now.hard, was },
                });
            }
            Err(shift::Error::Gone(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(raised)
}

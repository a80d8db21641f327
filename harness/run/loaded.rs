//! The loaded phases, which are the same for servers and clients; and the end of the subject.

use super::error::Error;
use super::pump::Pump;
use super::site::Site;
use super::steady::{self, Steady};
use super::{holders, moved, others, ready, rounds, second_round};
use super::{ramp, recover, saturate};
use crate::event::{Ended, Phase, What};
use crate::scenario::{Pace, Plan, Process};
use rustix::process::Signal;
use std::time::Duration;

/// The loaded phases, which are the same for servers and clients; returns why the last of them ended.
pub(super) fn loaded(
    pump: &mut Pump,
    site: &Site<'_>,
    clients: &[u32],
    rests: &[ready::Rest],
    steady: Option<Steady>,
) -> Result<Ended, Error> {
    let why = match steady {
        Some(steady) => steady::ramp(pump, clients, steady)?,
        None => ramp::ramp(pump, clients, site.pace() == Pace::Burst)?,
    };
    // If there are several workers, the one whose limit was reached is counted and looked at from now on.
    if let Some((_, pid)) = pump.live.first_failure
        && rests.iter().any(|rest| rest.pid == pid)
        && !pump.live.exited.contains(&pid)
        && pid != pump.acceptor
    {
        pump.acceptor = pid;
        pump.sample();
    }
    pump.next(why, Phase::Saturate);
    let (hold, asks) =
        (Duration::from_secs_f64(site.plan.hold_s), site.plan.expect.other_listeners.is_some());
    let why = saturate::saturate(pump, &site.plan.subject, hold, asks)?;
    holders::told(pump);
    let why = moved::moved(pump, &site.plan.then, clients, rests, why)?;
    let rounds = site.plan.recovery.rounds;
    let (why, accepts) = recover::recover(pump, rounds, !hold.is_zero(), why)?;
    pump.next(why, Phase::Settle);
    let why = second_round::settled(pump, why == Ended::Draining)?;
    holders::told(pump);
    let why = if rounds > 1 && accepts { rounds::again(pump, clients, why)? } else { why };
    if !asks {
        // Nothing is counted any more: the effects of such a client are not the load's.
        pump.sampling = false;
        others::told(pump, true)?;
    }
    Ok(why)
}

/// Ends the subject and takes in its last words.
pub(super) fn stop(pump: &mut Pump, plan: &Plan, subject: &Process, result: &Result<Ended, Error>) {
    let why = match result {
        Ok(why) => *why,
        Err(Error::Interrupted) => Ended::Interrupted,
        Err(Error::NotStarted(_)) if pump.tree.gone() => Ended::Gone,
        Err(_) => Ended::Failed,
    };
    pump.next(why, Phase::Stop);
    pump.loads.clear();
    let died = result.is_ok() && pump.died();
    let grace =
        if matches!(result, Err(Error::Interrupted)) { subject.grace_s.min(1.0) } else { subject.grace_s };
    if !pump.tree.gone()
        && let Err(error) = pump.tree.end(Signal::TERM, Duration::from_secs_f64(grace))
    {
        pump.journal.record(What::Inconclusive { reason: error.to_string() });
    }
    if let Some(observer) = &mut pump.observer {
        observer.stop();
    }
    if let Some(output) = &mut pump.output {
        output.finish();
        if died && !output.marked() {
            output.tail().into_iter().for_each(|line| pump.journal.record(What::Output { line }));
        }
    }
    // The subject's own counts came with its last lines. An interrupt was reported already, and a lost
    // observer is no reason to leave the subject behind.
    let _ = pump.turn(Duration::ZERO);
    if let Some(status) = pump.tree.exited() {
        let (process, pid) = (plan.subject.clone(), pump.tree.program());
        pump.journal.record(What::Exited { process, pid, code: status.code, signal: status.signal });
    }
    let why = if pump.tree.gone() { Ended::Gone } else { Ended::Failed };
    pump.end(why);
}

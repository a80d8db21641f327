//! The end of a load: the subject comes back to rest or, where something stays open, a few clients come and
//! leave once more, which shows whether that grows with them. Measures nothing.

use super::error::Error;
use super::orders::{
    DRAINING_AT_MOST, PROBE_DEADLINE, RECOVERY_DEADLINE, SETTLE_WINDOW, answers, release, taken,
};
use super::progress::Progress;
use super::pump::{Load, Pump};
use super::ready::LOOK_EVERY;
use super::recover::{Ticks, settle};
use crate::drive::protocol::Order;
use crate::event::{Descriptor, Ended, Label, Nanos, Outcome, Pacing, Phase, Pid, What};
use crate::limits::inventory;
use crate::sys::{clock, proc};
use std::time::Duration;

/// The round has two halves, each of so many groups at least: a leak grows in both, with the clients.
const HALVES: u32 = 2;
const GROUPS: u64 = 3;
/// Groups of a half, at most: a bound on its time where there is room for a few clients only.
const GROUPS_MAX: u64 = 32;
/// Clients of a group, which are there at the same time, where few are enough: fewer where there is little
/// room.
const GROUP: u64 = 8;
/// Clients of a half, at most: so many show a leak of one descriptor in several hundred connections, and take
/// a second or two.
const HALF_MAX: u64 = 1000;
/// A leak at the rate of the load adds so many in each half.
const ADDS: u64 = 2;
/// Descriptors that close late are waited for this long after each half.
const QUIET_WITHIN: Duration = Duration::from_millis(500);
/// A timer that closes a connection some time after its client has left runs for this long at most: some wait
/// half a minute for what may still come.
const LINGERS: Duration = Duration::from_secs(35);
/// A program that opens descriptors by itself, whoever comes, does so within this time; its rate is known
/// within the other.
const OPENS_WITHIN: Duration = Duration::from_secs(5);
const GROWS_WITHIN: Duration = Duration::from_secs(12);
/// Connections that the other side has closed may be closed by a timer of the program's own: one of 5 s is
/// the usual for those that are idle, where none was seen before.
const IDLE_TIMER: Duration = Duration::from_secs(6);

/// Waits until the subject is back at rest, or keeps open what it has; in the second case also makes the
/// round. `late`: its queue was not worked off in time, so no more time is given. Returns why the last phase
/// ended.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn settled(pump: &mut Pump, late: bool) -> Result<Ended, Error> {
    let end = clock::now() + if late { 0 } else { DRAINING_AT_MOST.as_nanos() as u64 };
    loop {
        let why = settle(pump, end)?;
        // A flow of UDP stays open when its client has left: a few more would all seem to leak.
        let ends = matches!(why, Ended::AtRest | Ended::Gone | Ended::Draining) || pump.serves_datagrams();
        if ends || pump.tree.gone() {
            return Ok(why);
        }
        let before = note_open(pump);
        let clients = each_half(pump);
        let group = room(pump).min(GROUP.max(clients.div_ceil(GROUPS)));
        if !can_tell(pump) {
            return Ok(why);
        }
        // No client more finds room, so only its timers can show whether it closes what it has.
        if group == 0 {
            if why == Ended::Quiet && closes_by_timer(pump, before.descriptors, end)? && clock::now() < end {
                pump.next(why, Phase::Settle);
                continue;
            }
            return Ok(why);
        }
        pump.next(why, Phase::SecondRound);
        let groups = clients.div_ceil(group).clamp(GROUPS, GROUPS_MAX);
        let why = halves(pump, [groups, group], before, end)?;
        let rest: u64 = pump.rest.values().sum();
        if why == Ended::Quiet && !late && before.descriptors > rest && opens_by_itself(pump)? {
            return Ok(Ended::Growing);
        }
        // It closed meanwhile some descriptors that it had kept for long, and may go on.
        if why != Ended::Draining || clock::now() >= end {
            return Ok(why);
        }
        pump.next(why, Phase::Settle);
    }
}

/// Whether it opens a descriptor though nobody is connected, within the time that it needed for those that it
/// has more than at rest.
fn opens_by_itself(pump: &mut Pump) -> Result<bool, Error> {
    let needed = Duration::from_nanos(clock::now() - pump.live.armed_at);
    let before: u64 = pump.open().iter().map(|(_, open)| open).sum();
    let opens = |pump: &mut Pump| pump.open().iter().map(|(_, open)| open).sum::<u64>() > before;
    pump.until(needed.min(OPENS_WITHIN), LOOK_EVERY, |pump| opens(pump) || pump.tree.gone())?;
    if !opens(pump) {
        return Ok(false);
    }
    let mut progress = Progress::of(pump);
    pump.until(GROWS_WITHIN, LOOK_EVERY, |pump| {
        progress.still(pump);
        progress.grows() || pump.tree.gone()
    })?;
    Ok(opens(pump))
}

/// The descriptors that all processes have open.
#[derive(Clone, Copy)]
struct Left {
    descriptors: u64,
    /// Connections that the other side has closed.
    close_wait: usize,
}

/// Records the descriptors that each process has open; returns how many they are together.
fn note_open(pump: &mut Pump) -> Left {
    let open = inventory::of_all(&pump.tree.processes());
    let waits = |one: &&Descriptor| one.connected().is_some_and(|socket| socket.waits_for_close());
    let left = Left {
        descriptors: open.iter().map(|one| one.descriptors).sum(),
        close_wait: open.iter().flat_map(|one| &one.inventory).filter(waits).count(),
    };
    pump.journal.record(What::Open(open));
    left
}

/// How many more descriptors than at rest a process has, of so many that are open.
fn more(pump: &Pump, pid: Pid, open: u64) -> u64 {
    open.saturating_sub(pump.rest.get(&pid).copied().unwrap_or(0))
}

/// Clients that the load had.
fn came(pump: &Pump) -> u64 {
    pump.live.accepted_total().max(pump.live.connected).max(1)
}

/// Clients of each half. One of a hundred may leave something open, and a few clients would not show that: so
/// many come that a leak shows in each half, and no more than the load had.
fn each_half(pump: &Pump) -> u64 {
    let more: u64 = pump.open().into_iter().map(|(pid, open)| more(pump, pid, open)).sum();
    let few = GROUPS * GROUP;
    (came(pump) * ADDS).div_ceil(more.max(1)).clamp(few, came(pump).clamp(few, HALF_MAX))
}

/// Clients of a group at most, so that whatever stays open after all groups finds room: in the process that
/// accepts, and where something stays open now. A full table cannot grow.
fn room(pump: &Pump) -> u64 {
    let more = |pid, open: u64| more(pump, pid, open);
    let came = came(pump);
    let left = |(pid, open): (Pid, u64)| {
        let room = proc::nofile(pid).map_or(0, |(soft, _)| soft.saturating_sub(open));
        let each = more(pid, open).div_ceil(came).max(1);
        room / each / (u64::from(HALVES) * GROUPS + 2)
    };
    let concerned = |&(pid, open): &(Pid, u64)| pid == pump.acceptor || more(pid, open) > 0;
    pump.open().into_iter().filter(concerned).map(left).min().unwrap_or(0)
}

/// Whether clients of this workload can come once more: those that hold, and calls of a server.
fn comes_again(load: &Load) -> bool {
    load.concerns_subject && !load.background
}

/// Whether clients that come now are let in, and leave with all that was theirs: not where the subject is the
/// one that calls.
fn can_tell(pump: &mut Pump) -> bool {
    let silent = !answers(pump);
    let in_again =
        pump.live.probes.get(&Label::AfterAll).is_some_and(|(outcome, _)| {
            *outcome == Outcome::Served || (silent && *outcome == Outcome::Waits)
        });
    let comes = pump.loads.iter().any(comes_again) && pump.listener.is_some();
    let others_call = pump.loads.iter().any(|load| load.calls && !comes_again(load));
    in_again && comes && !others_call && !pump.died() && pump.drained() && !pump.closed_its_listener()
}

/// Makes the round. [`Ended::Draining`]: less was open after a half than before it, or some time after both.
fn halves(pump: &mut Pump, [groups, group]: [u64; 2], first: Left, end: Nanos) -> Result<Ended, Error> {
    let (mut before, mut why) = (first, Ended::Quiet);
    for _ in 0..HALVES {
        let mut left = groups;
        why = Ended::AllIn;
        while left > 0 && why == Ended::AllIn {
            why = come_and_leave(pump, group as u32)?;
            left -= 1;
        }
        if why == Ended::Gone {
            return Ok(why);
        }
        pump.until(QUIET_WITHIN, LOOK_EVERY, |pump| pump.quiet(SETTLE_WINDOW) && pump.drained())?;
        let after = note_open(pump);
        if after.descriptors < before.descriptors {
            return Ok(Ended::Draining);
        }
        before = after;
        // The descriptors that these left open may have filled the table.
        if why != Ended::AllIn {
            break;
        }
    }
    let grew = before.close_wait > first.close_wait;
    if grew && closes_late(pump, before.descriptors, end)? {
        return Ok(Ended::Draining);
    }
    Ok(if why == Ended::AllIn { Ended::Quiet } else { why })
}

/// Whether fewer descriptors than so many are open when nothing has been closed for longer than an idle
/// timer, or the subject is at rest.
fn closes_late(pump: &mut Pump, open: u64, end: Nanos) -> Result<bool, Error> {
    let within = Duration::from_nanos(end.saturating_sub(clock::now()));
    let timer = IDLE_TIMER.max(pump.live.closes_after.unwrap_or_default());
    let mut progress = Progress::of(pump);
    pump.until(within, LOOK_EVERY, |pump| pump.back() || pump.tree.gone() || progress.still(pump) > timer)?;
    Ok(pump.open().iter().map(|(_, open)| open).sum::<u64>() < open)
}

/// Whether fewer descriptors than so many are open when the sleeps of its threads have shown what they do.
fn closes_by_timer(pump: &mut Pump, open: u64, end: Nanos) -> Result<bool, Error> {
    let within = Duration::from_nanos(end.saturating_sub(clock::now())).min(LINGERS);
    let (mut ticks, mut progress, began) = (Ticks::default(), Progress::of(pump), clock::now());
    let mut slept = began;
    pump.until(within, LOOK_EVERY, |pump| {
        let now = clock::now();
        let closes = (progress.still(pump).as_nanos() as u64) < now.saturating_sub(began);
        // A thread may run, or wait for another, for a moment.
        slept = if proc::timer_pending(pump.acceptor) == Some(true) { now } else { slept };
        let none = now - slept > QUIET_WITHIN.as_nanos() as u64;
        closes || none || ticks.all_seen(pump.acceptor, false) || pump.tree.gone()
    })?;
    Ok(pump.open().iter().map(|(_, open)| open).sum::<u64>() < open)
}

/// So many clients of each workload come, are let in, and leave.
fn come_and_leave(pump: &mut Pump, clients: u32) -> Result<Ended, Error> {
    let seen = answers(pump) || pump.counts_accepts();
    let count = |pump: &Pump| if seen { taken(pump) } else { pump.live.connected };
    let mut wanted = count(pump);
    for load in pump.loads.iter_mut().filter(|load| comes_again(load)) {
        load.fleet.order(&Order::Refill { clients }).map_err(|e| Error::Fault(e.to_string()))?;
        pump.live.pacing.insert(load.workload.clone(), Pacing::Ramping);
        wanted += u64::from(clients);
    }
    let came = clock::now();
    let why = pump.until_ended(RECOVERY_DEADLINE, LOOK_EVERY, |pump| {
        if pump.died() {
            return Some(Ended::Gone);
        }
        if count(pump) >= wanted && pump.live.drivers_idle() {
            return Some(Ended::AllIn);
        }
        let late = Duration::from_nanos(clock::now() - came) > PROBE_DEADLINE * 2;
        (late && !pump.awaits_retry()).then_some(Ended::Time)
    })?;
    release(pump, u32::MAX)?;
    Ok(why)
}

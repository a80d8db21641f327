//! The loaded phases: calibrate with a few clients, ramp to the ceiling, watch it, release, and let it settle.
//!
//! Each ends by what is observed — a failing call, a parked driver, a drained queue — and has a deadline for the case that
//! nothing is. They measure nothing themselves.

use super::pump::{DRAIN_EVERY, Pump};
use super::ready::{Ready, Rest};
use super::{Error, Step, others, rounds};
use crate::drive::protocol::Order;
use crate::event::{Nanos, Outcome, Phase, What};
use crate::limits::chain;
use crate::scenario::Dialogue;
use crate::sys::{clock, proc};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Clients that show what a connection costs before the ramp.
const CALIBRATION_CLIENTS: u64 = 8;
const CALIBRATION_DEADLINE: Duration = Duration::from_secs(3);
/// Nothing moves any more: no accept, no answer, no client event for this long ends a ramp that has seen no failure.
pub(super) const STALL: Duration = Duration::from_millis(1500);
/// The same for a burst: what an overflowing accept queue dropped comes again after 1 s, then 2 s and 4 s more (tcp(7), SYN-ACK retries).
const STALL_OF_A_BURST: Duration = Duration::from_secs(8);
/// The ramp is looked at this often when no driver reports: seldom enough to leave the CPU to the subject.
pub(super) const RAMP_TICK: Duration = Duration::from_millis(3);
/// Calls that fail are watched for this long before the ramp counts as ended; nanoseconds.
const CALLS_FAIL_FOR: u64 = 500_000_000;
/// A server that lets nobody more in, however many come and go, has been filled: one that closes who idles goes on for ever.
const FULL: Duration = Duration::from_secs(10);
/// No ramp takes longer.
pub(super) const RAMP_DEADLINE: Duration = Duration::from_secs(300);
/// A new client at the wall is given this long.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_millis(500);
/// A server that turns new clients away, and has closed nothing for so long after all have left, has leaked; one that has no listener
/// for so long will not have one.
const STILL_FULL: Duration = Duration::from_secs(1);
/// Clients of a workload that are held and asked again at the wall, at most.
pub(super) const HELD_ASKED: u64 = 16;
/// A new client after the release is given this long: longer than any usual retry delay.
pub(super) const RECOVERY_DEADLINE: Duration = Duration::from_secs(5);
/// Rates are measured over at least this: CPU time has a resolution of 10 ms.
const WATCH_AT_LEAST: Duration = Duration::from_millis(200);
/// Nobody waits and no descriptor call was made for this long: longer than any usual retry delay, so there is nothing left to watch.
const NOBODY_WAITS: Duration = Duration::from_millis(1200);
pub(super) const SETTLE_WINDOW: Duration = Duration::from_millis(50);
const SETTLE_DEADLINE: Duration = Duration::from_secs(3);

/// Predicts from the descriptors at rest, one for each connection, before any client connects.
pub fn predict(pump: &mut Pump, rest: &Rest) -> u64 {
    let soft = rest.limits.soft;
    // A thread blocked in accept has its next number already; the others' reserved numbers cannot be used by it.
    let taken = rest.counted - u64::from(rest.reserved > 0);
    let ceiling = soft.saturating_sub(taken);
    let formula = match rest.reserved {
        0 | 1 => format!("{soft} − {taken} = {ceiling}"),
        n => format!(
            "{soft} − {} at rest − {} reserved by other threads blocked in accept = {ceiling}",
            rest.counted - n,
            n - 1
        ),
    };
    announce(pump, rest.pid, ceiling, formula, 1.0, 0);
    ceiling
}

fn announce(
    pump: &mut Pump,
    pid: i32,
    ceiling: u64,
    formula: String,
    descriptors_per_connection: f64,
    calibrated_with: u32,
) {
    (pump.progress)(&Step::Predicted { ceiling, formula: formula.clone(), calibrated_with });
    pump.journal.record(What::Prediction {
        pid,
        ceiling,
        formula,
        descriptors_per_connection,
        calibrated_with,
    });
}

/// Connects a few clients to see which process accepts and what a connection costs; predicts again where that differs.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn calibrate(pump: &mut Pump, rests: &[Rest], ready: &Ready) -> Result<(), Error> {
    if pump.loads.iter().any(|load| load.concerns_subject && load.dialogue.is_none()) {
        return calibrate_calls(pump, &rests[0]);
    }
    let smallest = rests.iter().map(|r| r.limits.soft.saturating_sub(r.counted)).min().unwrap_or(0);
    let clients = CALIBRATION_CLIENTS.min(smallest / 4);
    if clients == 0 {
        return Ok(());
    }
    let processes = pump.tree.processes().len() as u64;
    // The client that asked which protocol it speaks may not be gone yet.
    let at_rest = |r: &Rest| proc::descriptors(r.pid).is_ok_and(|now| now <= r.counted);
    pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
        rests.iter().all(at_rest) || pump.quiet(SETTLE_WINDOW)
    })?;
    let before: Vec<u64> = rests.iter().map(|r| proc::descriptors(r.pid).unwrap_or(0)).collect();
    let first: Vec<u32> =
        pump.loads.iter().map(|load| if load.background { 0 } else { clients as u32 }).collect();
    order_clients(pump, &first)?;
    let wanted = first.iter().map(|&c| u64::from(c)).sum();
    let of_subject = clients * pump.loads.iter().filter(|load| load.holds()).count() as u64;
    let rest_total: u64 = rests.iter().map(|r| r.counted).sum();
    pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
        let live = &pump.live;
        let arrived = live.connected + live.ended >= wanted
            && (!pump.counts_accepts() || live.accepted_total() >= of_subject);
        let failed = live.first_failure.is_some();
        (arrived && pump.queue() == Some(0)) || failed || pump.tree.gone()
    })?;
    let count = |rests: &[Rest]| rests.iter().map(|r| proc::descriptors(r.pid).unwrap_or(0)).sum::<u64>();
    if count(rests) != rest_total + of_subject {
        // More or fewer than one each: wait for rest before believing it.
        pump.until(CALIBRATION_DEADLINE, Duration::from_millis(1), |pump| {
            pump.quiet(SETTLE_WINDOW) || pump.live.first_failure.is_some()
        })?;
    }
    let grown: Vec<u64> = rests
        .iter()
        .zip(&before)
        .map(|(r, b)| proc::descriptors(r.pid).unwrap_or(0).saturating_sub(*b))
        .collect();
    // The process that accepts is the one that was seen to; without an observer, the one that grew most.
    let seen = |r: &Rest| pump.live.accepted.get(&r.pid).copied().unwrap_or(0);
    let Some((index, rest)) =
        rests.iter().enumerate().max_by_key(|(i, r)| (seen(r), grown[*i], std::cmp::Reverse(*i)))
    else {
        return Ok(());
    };
    let accepted = if pump.counts_accepts() { seen(rest) } else { of_subject };
    pump.acceptor = rest.pid;
    debug_assert!(ready.holders.contains(&rest.pid));
    if accepted == 0 || pump.live.first_failure.is_some() {
        return Ok(());
    }
    let cost = grown[index] as f64 / accepted as f64;
    let other_process = rest.pid != rests[0].pid;
    if (cost - 1.0).abs() < f64::EPSILON {
        if other_process {
            predict(pump, rest);
        }
        return Ok(());
    }
    let born = (pump.tree.processes().len() as u64).saturating_sub(processes);
    if grown[index] == 0 && born >= accepted {
        let reason = format!(
            "each of {accepted} calibration clients was handed to a process of its own, and the one that accepts closed its copy: the \
             descriptor limit of one process does not bound their number, and will not be reached"
        );
        (pump.progress)(&Step::NotPredicted { reason: reason.clone() });
        let calibrated_with = accepted as u32;
        pump.journal.record(What::NotPredicted {
            pid: rest.pid,
            reason,
            descriptors_per_connection: cost,
            calibrated_with,
        });
        return Ok(());
    }
    if cost < 0.5 {
        let reason = format!(
            "{accepted} calibration clients cost {} descriptors: the subject closes connections, or another process holds them",
            grown[index]
        );
        pump.journal
            .record(What::Unmeasured { field: "prediction.descriptors_per_connection".into(), reason });
        return Ok(());
    }
    let free = rest.limits.soft.saturating_sub(rest.counted);
    // The last connection may be accepted and then lack its other descriptors: it counts as accepted.
    let ceiling = (free as f64 / cost).ceil() as u64;
    let formula = format!("⌈({} − {}) ÷ {cost}⌉ = {ceiling}", rest.limits.soft, rest.counted);
    announce(pump, rest.pid, ceiling, formula, cost, accepted as u32);
    Ok(())
}

/// Makes a few calls to see what a call leaves open; predicts again where that is not one descriptor.
fn calibrate_calls(pump: &mut Pump, rest: &Rest) -> Result<(), Error> {
    let free = rest.limits.soft.saturating_sub(rest.counted);
    let calls = CALIBRATION_CLIENTS.min(free / 4);
    let workloads = pump.loads.iter().filter(|load| load.concerns_subject && !load.background).count() as u64;
    if calls == 0 || workloads == 0 {
        return Ok(());
    }
    // Twice, because the first calls may open what all later ones use.
    let Some(half) = grown_by(pump, rest, 1..=calls / 2)? else { return Ok(()) };
    let Some(whole) = grown_by(pump, rest, calls / 2 + 1..=calls)? else { return Ok(()) };
    let (made, between) = (calls * workloads, (calls - calls / 2) * workloads);
    let cost = whole.saturating_sub(half) as f64 / between as f64;
    if cost < 0.5 {
        let reason = format!(
            "{made} calibration calls left {whole} descriptors open: calls made one after the other have no ceiling"
        );
        pump.journal
            .record(What::Unmeasured { field: "prediction.descriptors_per_connection".into(), reason });
        return Ok(());
    }
    let shared = (whole as f64 - made as f64 * cost).round().max(0.0) as u64;
    if shared == 0 && (cost - 1.0).abs() < f64::EPSILON {
        return Ok(());
    }
    let ceiling = (free.saturating_sub(shared) as f64 / cost).ceil() as u64;
    let less = if shared > 0 { format!(" − {shared} that all calls share") } else { String::new() };
    let room = format!("{} − {}{less}", rest.limits.soft, rest.counted);
    let each = (cost - 1.0).abs() < f64::EPSILON;
    let formula =
        if each { format!("{room} = {ceiling}") } else { format!("⌈({room}) ÷ {cost}⌉ = {ceiling}") };
    announce(pump, rest.pid, ceiling, formula, cost, made as u32);
    Ok(())
}

/// Makes these calls, counted from the first, and counts descriptors more than at rest; `None` when something failed or ended.
fn grown_by(pump: &mut Pump, rest: &Rest, calls: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
    let over = |pump: &Pump| pump.live.first_failure.is_some() || pump.tree.gone();
    // One after the other, however many the workload makes at a time: those that are under way have descriptors, too.
    for upto in calls {
        let upto: Vec<u32> =
            pump.loads.iter().map(|load| if load.background { 0 } else { upto as u32 }).collect();
        order_clients(pump, &upto)?;
        pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
            pump.live.drivers_done() || over(pump)
        })?;
    }
    // What a call leaves open for a moment only is closed by then.
    pump.until(CALIBRATION_DEADLINE, Duration::from_millis(1), |pump| {
        pump.quiet(SETTLE_WINDOW) || over(pump)
    })?;
    Ok((!over(pump)).then(|| pump.descriptors().saturating_sub(rest.counted)))
}

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

/// Connects all clients, closed-loop, until the ceiling is reached, all are accepted, or nothing moves any more.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn ramp(pump: &mut Pump, clients: &[u32], burst: bool) -> Result<(), Error> {
    let stall = if burst { STALL_OF_A_BURST } else { STALL };
    pump.census.ramp_begins();
    order_clients(pump, clients)?;
    let wanted: u64 = clients
        .iter()
        .zip(&pump.loads)
        .filter(|(_, load)| !load.background)
        .map(|(&c, _)| u64::from(c))
        .sum();
    let calls = pump.loads.iter().any(|load| load.concerns_subject && load.dialogue.is_none());
    let mut moved_at = clock::now();
    let mut failing_at = None;
    let mut filling = Filling::since(moved_at);
    let mut last = (0, 0, 0, 0);
    let ended = pump.until(RAMP_DEADLINE, RAMP_TICK, |pump| {
        let live = &pump.live;
        if live.first_failure.is_some() && live.drivers_idle() {
            return true;
        }
        // Calls that fail may each take as long as their time-outs: the first few show all there is to see.
        if live.first_failure.is_some() && calls {
            let now = clock::now();
            if now - *failing_at.get_or_insert(now) > CALLS_FAIL_FOR {
                return true;
            }
        }
        if pump.tree.gone()
            || live.exited.contains(&pump.acceptor)
            || live.local_failure.is_some() && live.drivers_idle()
        {
            return true;
        }
        // Only a client is seen to move by its own calls: a server makes some whether anybody connects or not.
        let own = if pump.listener.is_none() { live.last_descriptor_call } else { 0 };
        let now = (live.last_accept, live.last_client, live.accepted_total(), own);
        if now != last {
            (last, moved_at) = (now, clock::now());
        }
        let still = clock::now() - moved_at;
        // Who called and was answered leaves: only those that stay can fill it.
        let full = filling.full(live.connected.saturating_sub(live.ended), clock::now()) && !calls;
        // A client may be connected and neither accepted nor queued: the last ACK of its handshake found the queue full.
        let counted = pump.loads.iter().all(|load| load.holds());
        // Whoever asks has arrived when he is answered: a relay, the subject or one before it, may still wait for its own backend.
        let asks = pump
            .loads
            .iter()
            .any(|load| !load.background && load.dialogue.is_some_and(|dialogue| dialogue != Dialogue::Tcp));
        let arrived = (!pump.counts_accepts() || !counted || live.accepted_total() >= live.connected)
            && (!asks || live.served + live.ended >= live.connected);
        let all = (calls || live.connected + live.ended >= wanted)
            && live.drivers_done()
            && arrived
            && !pump.loads.is_empty();
        // All of them are in: once the queue is empty and nothing happens for a moment, nothing will.
        if all && still > SETTLE_WINDOW.as_nanos() as u64 && pump.drained() && pump.quiet(SETTLE_WINDOW) {
            return true;
        }
        still > stall.as_nanos() as u64 || full
    })?;
    if !ended {
        let reason = format!("the ramp was still going on after {} s", RAMP_DEADLINE.as_secs());
        pump.journal.record(What::Inconclusive { reason });
    }
    Ok(())
}

/// Raises the number of clients each workload is to have in all.
fn order_clients(pump: &mut Pump, clients: &[u32]) -> Result<(), Error> {
    for (load, &upto) in pump.loads.iter_mut().zip(clients) {
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

/// Watches the subject at the wall until its accept policy is decided, at most for `hold`.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn saturate(pump: &mut Pump, process: &str, hold: Duration) -> Result<(), Error> {
    pump.phase(Phase::Saturate);
    // The last words of what is no more are recorded in the end.
    let died = pump.died();
    if let Some(output) = &pump.output
        && !died
    {
        // What it says at its first failure it may say once.
        let since = pump.live.first_failure.map_or_else(clock::now, |(at, _)| at);
        output.mark(since).into_iter().for_each(|line| pump.journal.absorb(line));
    }
    if let Some((allocated, max)) = proc::file_nr() {
        pump.journal.record(What::FileNr { allocated, max });
    }
    pump.note_resources();
    let launched = pump.tree.program();
    let links = chain::read(pump.acceptor, Some(pump.tree.command().limits), launched);
    pump.journal.record(What::Chain {
        process: process.into(),
        pid: pump.acceptor,
        when: Phase::Saturate,
        links,
    });
    let asked = clock::now();
    pump.census.order(pump.acceptor, pump.tree.processes(), pump.listener.map(|address| address.port()));
    if pump.tree.gone() {
        if pump.listener.is_none() {
            return Ok(());
        }
        order(
            pump,
            &Order::Probe { label: "saturated".into(), deadline_ms: PROBE_DEADLINE.as_millis() as u64 },
        )?;
        pump.until(PROBE_DEADLINE * 2, DRAIN_EVERY, |pump| pump.live.probed("saturated"))?;
        return Ok(());
    }
    let failing = pump.live.first_failure.is_some();
    if !failing {
        // Nothing keeps a new client out: it would be one connection more than the workload's.
        pump.until(WATCH_AT_LEAST, DRAIN_EVERY, |pump| pump.tree.gone())?;
        pump.phase(Phase::Probe);
    }
    order(pump, &Order::Probe { label: "saturated".into(), deadline_ms: PROBE_DEADLINE.as_millis() as u64 })?;
    let asks = HELD_ASKED.min(pump.live.served.max(1));
    order(pump, &Order::AskHeld { clients: asks as u32, deadline_ms: PROBE_DEADLINE.as_millis() as u64 })?;
    let asked_held = asks * pump.loads.len() as u64;
    let started = clock::now();
    pump.until(hold, DRAIN_EVERY, |pump| {
        let heard =
            pump.live.held >= asked_held || clock::now() - started >= PROBE_DEADLINE.as_nanos() as u64;
        let answered = pump.loads.is_empty() || (pump.live.probed("saturated") && heard);
        // A client has no accept policy: that its calls fail is all there is to see.
        let decided = pump.live.policy.decided().is_some() || pump.listener.is_none();
        let watched = decided && clock::now() - started >= WATCH_AT_LEAST.as_nanos() as u64;
        let over = !failing || watched || (pump.quiet(NOBODY_WAITS) && pump.drained());
        (answered && over && pump.live.callers_done() && pump.census.counted_since(asked)) || pump.tree.gone()
    })?;
    pump.sample();
    super::ready::queues(pump);
    others::asked(pump)
}

/// Lets some clients leave, in so many rounds, then all, and waits for what follows: waiters served, the queue drained, a new client
/// answered. Whether it was seen to accept after all had left.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn recover(pump: &mut Pump, rounds: u32) -> Result<bool, Error> {
    if pump.tree.gone() {
        return Ok(false);
    }
    // Probes that nobody accepted have left, and are in the queue still.
    let gone = if matches!(pump.live.probes.get("saturated"), Some((Outcome::Waits, _))) {
        pump.loads.len() as u64
    } else {
        0
    };
    let waiting = u64::from(pump.queue().unwrap_or(0)).saturating_sub(gone);
    let mut dead = false;
    let failed = pump.live.first_failure.is_some() && waiting > 0;
    // Of a client that asks nothing only the accept tells that it was taken.
    let told = answers(pump) || pump.counts_accepts();
    if failed && rounds > 1 && !told {
        let reason = "no rounds were made: the clients ask nothing, and accepts by io_uring pass by the system-call observer";
        pump.journal.record(What::Unmeasured { field: "recovery.rounds".into(), reason: reason.into() });
    }
    if failed && rounds > 1 && told {
        dead = rounds::rounds(pump, rounds, gone)?;
    } else if failed {
        pump.phase(Phase::ReleaseSome);
        let some = some(pump);
        // Freed places go to the oldest waiters: as many as there are places, or waiters.
        let refilled =
            taken(pump) + waiting.min(some * pump.loads.iter().filter(|load| load.holds()).count() as u64);
        let tried = pump.live.last_try;
        release(pump, some as u32)?;
        let left = clock::now();
        let mut elsewhere = false;
        let nobody_tries =
            NOBODY_WAITS.max(pump.live.retries.delay().unwrap_or_default() * 2).as_nanos() as u64;
        let over = pump.until(RECOVERY_DEADLINE, DRAIN_EVERY, |pump| {
            // The places may be another worker's than the one whose queue they wait in.
            let still = clock::now() - pump.live.last_accept.max(left);
            elsewhere = pump.listeners > 1 && still > nobody_tries;
            taken(pump) >= refilled || elsewhere || pump.tree.gone()
        })?;
        dead = (!over || elsewhere) && pump.counts_accepts() && pump.live.last_try == tried;
    }
    pump.phase(Phase::ReleaseAll);
    let all = clock::now();
    release(pump, u32::MAX)?;
    // Who has not tried to accept for so long, with places free, is given a moment more and no longer.
    let recovery = if dead { PROBE_DEADLINE } else { RECOVERY_DEADLINE };
    pump.until(recovery * 2, Duration::from_millis(1), |pump| pump.drained() || pump.tree.gone())?;
    if !pump.tree.gone() && !pump.loads.is_empty() {
        // A client that asks nothing cannot be answered: that the server takes it, even when it has gone, is all there is to see.
        let silent =
            pump.loads.iter().all(|load| !load.concerns_subject || load.dialogue == Some(Dialogue::Tcp));
        let deadline_ms = if silent { 1 } else { recovery.as_millis() as u64 };
        let end = clock::now() + recovery.as_nanos() as u64;
        let mut pause = Duration::from_millis(10);
        let (full, asked) = (pump.descriptors(), clock::now());
        loop {
            let accepted = pump.live.accepted_total();
            pump.live.probes.remove("after-all");
            order(pump, &Order::Probe { label: "after-all".into(), deadline_ms })?;
            pump.until(recovery + PROBE_DEADLINE, Duration::from_millis(1), |pump| {
                let taken = !silent || !pump.counts_accepts() || pump.live.accepted_total() > accepted;
                (pump.live.probed("after-all") && taken) || pump.tree.gone()
            })?;
            // A server that sheds turns away whoever comes before it has seen the others leave.
            let away = [Outcome::Closed, Outcome::ErrorReply, Outcome::Refused];
            let turned_away =
                pump.live.probes.get("after-all").is_some_and(|(outcome, _)| away.contains(outcome));
            // What it held it still holds, and nobody's leaving gives that back; or it lives on without its listener.
            let stuck = pump.descriptors() == full || (!pump.died() && pump.closed_its_listener());
            let for_good = stuck && clock::now() - asked > STILL_FULL.as_nanos() as u64;
            if !turned_away || for_good || pump.tree.gone() || clock::now() >= end {
                break;
            }
            pump.until(pause, Duration::from_millis(1), |pump| pump.tree.gone())?;
            pause = (pause * 2).min(PROBE_DEADLINE);
        }
    }
    Ok(pump.live.last_accept > all)
}

/// How many clients of each workload leave while others wait: a tenth.
pub(super) fn some(pump: &Pump) -> u64 {
    (pump.live.accepted_total() / 10).clamp(1, 100)
}

/// Clients taken so far. An accept comes before its answer: where there are answers, those are awaited. Who is turned away waits no
/// longer either.
pub(super) fn taken(pump: &Pump) -> u64 {
    if answers(pump) { pump.live.served + pump.live.turned_away } else { pump.live.accepted_total() }
}

/// Whether the subject answers any of its clients.
fn answers(pump: &Pump) -> bool {
    pump.loads.iter().any(|load| load.concerns_subject && load.dialogue != Some(Dialogue::Tcp))
}

pub(super) fn release(pump: &mut Pump, clients: u32) -> Result<(), Error> {
    pump.live.release_answered = pump.loads.is_empty();
    order(pump, &Order::Release { clients })?;
    pump.until(RECOVERY_DEADLINE, Duration::from_millis(1), |pump| pump.live.release_answered)?;
    Ok(())
}

/// Waits until the subject is back at rest, or quiet with more descriptors than that.
///
/// # Errors
/// Interrupted.
pub fn settle(pump: &mut Pump, rests: &[Rest]) -> Result<(), Error> {
    pump.phase(Phase::Settle);
    let at_rest = rests.iter().find(|r| r.pid == pump.acceptor).map_or(0, |r| r.counted);
    // None at all: it is exiting, and has not yet.
    let rests = |pump: &Pump| (1..=at_rest).contains(&pump.descriptors());
    let end = clock::now() + SETTLE_DEADLINE.as_nanos() as u64;
    loop {
        pump.until(SETTLE_DEADLINE, Duration::from_millis(1), |pump| {
            pump.tree.gone() || rests(pump) || (pump.quiet(SETTLE_WINDOW * 4) && pump.drained())
        })?;
        let rested = rests(pump);
        let asked = clock::now();
        pump.census.order(pump.acceptor, pump.tree.processes(), pump.listener.map(|address| address.port()));
        pump.until(SETTLE_DEADLINE, Duration::from_millis(1), |pump| {
            pump.census.counted_since(asked) || pump.tree.gone()
        })?;
        pump.sample();
        // Who gave up at another of its listeners is accepted late, and is no leak.
        let disturbed = rested && !rests(pump);
        if !disturbed || pump.tree.gone() || clock::now() >= end {
            break;
        }
    }
    pump.turn(Duration::ZERO)?;
    Ok(())
}

/// Asks the server with HTTP: true when it answers as an HTTP server does, with no error, and keeps the connection.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn speaks_http(pump: &mut Pump, asker: &mut crate::drive::Fleet) -> Result<bool, Error> {
    asker
        .order(&Order::Probe { label: "dialogue".into(), deadline_ms: PROBE_DEADLINE.as_millis() as u64 })
        .map_err(|e| Error::Fault(e.to_string()))?;
    pump.until(PROBE_DEADLINE * 2, Duration::from_millis(1), |pump| {
        pump.live.probes.contains_key("dialogue")
    })?;
    let answer = pump.live.probes.get("dialogue").cloned();
    pump.until(SETTLE_DEADLINE, Duration::from_millis(1), |pump| pump.quiet(Duration::from_millis(10)))?;
    // Where this path is refused (403, 503) no client would ever be served: it is asked nothing. So is an echo.
    Ok(answer.is_some_and(|(outcome, _)| outcome == Outcome::Served))
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

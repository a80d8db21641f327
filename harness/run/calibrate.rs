//! The cost of a connection or a call in descriptors: predicted from the descriptors at rest, and measured
//! with a few clients before the ramp.

use super::error::Error;
use super::live::{Step, Tally, Work};
use super::orders::{PROBE_DEADLINE, SETTLE_WINDOW, answers, order_clients};
use super::pump::{Load, Pump};
use super::ready::{Ready, Rest, WORKS_WITHIN};
use super::steady::{self, First, Steady};
use crate::event::{Formula, Room, Rounding, Unseen, What};
use crate::limits::inventory;
use crate::scenario::Pace;
use crate::sys::{clock, proc};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Clients that show what a connection costs before the ramp.
const CALIBRATION_CLIENTS: u64 = 8;

const CALIBRATION_DEADLINE: Duration = Duration::from_secs(3);

/// Answers that have begun are waited for this long: longer than clients wait for them.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A program that never sleeps is waited for no longer.
const STILL_WITHIN: Duration = Duration::from_millis(500);

/// Predicts from the descriptors at rest, one for each connection, before any client connects.
pub fn predict(pump: &mut Pump, rest: &Rest) -> u64 {
    // A thread blocked in accept has the number for its next client already.
    let reserved = rest.reserved - rest.for_clients;
    let room = Room { reserved, ..Room::new(rest.limits.soft, rest.counted - rest.reserved) };
    announce(pump, rest.pid, Formula::Process(room), 1.0, 0);
    room.ceiling()
}

fn announce(
    pump: &mut Pump,
    pid: i32,
    formula: Formula,
    descriptors_per_connection: f64,
    calibrated_with: u32,
) {
    let ceiling = formula.ceiling();
    pump.live.predicted = ceiling;
    (pump.progress)(&Step::Predicted { ceiling, formula: formula.clone(), calibrated_with });
    pump.journal.record(What::Prediction {
        pid,
        ceiling,
        formula,
        descriptors_per_connection,
        calibrated_with,
    });
}

/// Connects a few clients to see which process accepts and how many descriptors a connection costs; predicts
/// again if either differs. `wanted`: how many clients each workload gets in all, these included. Returns the
/// work that later clients wait for in a steady ramp.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn calibrate(
    pump: &mut Pump,
    rests: &[Rest],
    ready: &Ready,
    wanted: &[u32],
    pace: Pace,
) -> Result<Option<Steady>, Error> {
    if pump.loads.iter().any(|load| load.concerns_subject && load.calls) {
        calibrate_calls(pump, &rests[0], wanted)?;
        return Ok(None);
    }
    let smallest = rests.iter().map(|r| r.limits.soft.saturating_sub(r.counted)).min().unwrap_or(0);
    let clients = CALIBRATION_CLIENTS.min(smallest / 4);
    if clients == 0 {
        return Ok(None);
    }
    let standing = pump.tree.processes();
    let first = first(pump, clients, wanted);
    let held = first.iter().zip(&pump.loads).filter(|(_, load)| load.holds());
    let of_subject: u64 = held.map(|(&clients, _)| u64::from(clients)).sum();
    let others = standing.iter().filter(|pid| rests.iter().all(|rest| rest.pid != **pid));
    let others: Vec<Holder> = others.take(steady::LOOKED_AT).filter_map(|pid| Holder::of(*pid)).collect();
    let Grown { by: grown, work, ended, took } = grown_with(pump, rests, &first, of_subject)?;
    let Some(mut few) = few(pump, rests, &grown, of_subject) else { return Ok(None) };
    few.born = (pump.tree.processes().len() as u64).saturating_sub(standing.len() as u64);
    few.given = others.into_iter().filter_map(Holder::grown).collect();
    pump.acceptor = few.rest.pid;
    debug_assert!(ready.holders.contains(&few.rest.pid));
    if few.accepted > 0 && pump.live.first_failure.is_none() {
        predict_again(pump, &few, few.rest.pid != rests[0].pid, work);
    }
    // A server that calls itself accepts more.
    let accepted = pump.live.accepted_total().min(of_subject).max(few.accepted);
    let (grown, born) = (few.grown, few.born);
    let first = First { sent: first, accepted, grown, standing, born, work, ended, took };
    // Each takes one at least: one that is handed on takes none, and of UDP nobody accepts.
    let takes_some = few.accepted > 0 && few.grown >= few.accepted && !pump.serves_datagrams();
    let answers = answers(pump);
    let mut steady = Steady::of(pump, &first);
    // Those that come at the same time may be answered from one file: only a client that comes alone shows
    // that each needs a number for it.
    let shared = takes_some && pace == Pace::Auto && answers && first.opens_for_several();
    let one = if shared { steady.alone(pump, wanted)? } else { None };
    let opens = first.opens_for_each(answers) || one.is_some_and(|one| few.lacks(one));
    let waits = first.wants(pump, pace, opens);
    if waits && takes_some && (few.grown > few.accepted || opens) {
        let one = if shared { one } else { steady.alone(pump, wanted)? };
        one.into_iter().for_each(|one| predict_with_making(pump, &few, one));
    }
    Ok(waits.then_some(steady))
}

/// Predicts from the room in each of the processes that connections are handed to, in turn.
fn predict_of_holders(pump: &mut Pump, few: &Few, cost: f64) {
    let room = |holder: &Holder| (holder.soft.saturating_sub(holder.at_rest) as f64 / cost) as u64;
    let formula = Formula::Processes(few.given.iter().map(room).collect());
    announce(pump, few.rest.pid, formula, cost, few.accepted as u32);
}

/// Predicts once more, where a connection takes more descriptors while it is made than afterwards: the last
/// one needs them, too.
fn predict_with_making(pump: &mut Pump, few: &Few, one: Tally) {
    if !few.lacks(one) {
        return;
    }
    let each = few.costs().0;
    let room = Room { making: one.most.unsigned_abs(), ..few.room(Rounding::Down) };
    announce(pump, few.rest.pid, Formula::Process(room), each as f64, few.accepted as u32);
}

/// The measurements of the first few clients.
struct Few {
    /// The process that accepts.
    rest: Rest,
    /// Connections that it accepted.
    accepted: u64,
    /// Descriptors by which it grew.
    grown: u64,
    /// Processes by which the subject grew.
    born: u64,
    /// Processes that do not listen, and have more descriptors now.
    given: Vec<Holder>,
}

impl Few {
    /// Descriptors that each connection costs, and those that were opened once: the remainder, such as a log
    /// that the first client opens.
    fn costs(&self) -> (u64, u64) {
        (self.grown / self.accepted, self.grown % self.accepted)
    }

    /// Whether a connection takes more descriptors while it is made than these few have.
    fn lacks(&self, one: Tally) -> bool {
        one.most.max(0).unsigned_abs() > self.costs().0
    }

    /// What is left for connections, and what each of them takes.
    fn room(&self, rounding: Rounding) -> Room {
        let (each, opened_once) = self.costs();
        let room = Room { opened_once, ..Room::new(self.rest.limits.soft, self.rest.counted) };
        if each == 1 { room } else { room.each(each as f64, rounding) }
    }
}

/// A process that does not listen, to which connections may be handed.
struct Holder {
    pid: i32,
    soft: u64,
    /// Before the first client.
    at_rest: u64,
    /// Descriptors more, with the first few.
    more: u64,
}

impl Holder {
    fn of(pid: i32) -> Option<Holder> {
        let at_rest = proc::descriptors(pid).ok()?;
        Some(Holder { pid, soft: proc::nofile(pid).ok()?.0, at_rest, more: 0 })
    }

    fn grown(self) -> Option<Holder> {
        let more = proc::descriptors(self.pid).ok()?.saturating_sub(self.at_rest);
        (more > 0).then_some(Holder { more, ..self })
    }
}

/// The effects of connecting them.
struct Grown {
    /// By how many descriptors each process grew.
    by: Vec<u64>,
    work: Work,
    /// Clients that were turned away.
    ended: u64,
    /// Until everything was still.
    took: Duration,
}

/// A timer of a server is waited for so long: one that is looked at once a second may be over at the third
/// look only.
const TIMER_WITHIN: Duration = Duration::from_millis(2500);

/// Whether one of these processes waits for what comes, and for a short time only, which it did not at rest.
/// Its timer may be that of the client that asked which protocol it speaks.
fn waits_for_a_moment(rests: &[Rest]) -> bool {
    rests.iter().any(|rest| !rest.ticks && proc::waits_at_most(rest.pid, WORKS_WITHIN))
}

/// Connects `first` clients of each workload; the subject holds `of_subject` of them. Returns the growth of
/// each process in descriptors.
fn grown_with(pump: &mut Pump, rests: &[Rest], first: &[u32], of_subject: u64) -> Result<Grown, Error> {
    // The client that asked which protocol it speaks may not be gone yet.
    let at_rest = |r: &Rest| proc::descriptors(r.pid).is_ok_and(|now| now <= r.counted);
    pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
        rests.iter().all(at_rest) || pump.quiet(SETTLE_WINDOW)
    })?;
    // A thread that waits in accept has a number reserved, which its next client takes.
    let reserved = |r: &Rest| r.reserved.min(proc::accepting_on(r.pid).len() as u64);
    let count = |r: &Rest| proc::descriptors(r.pid).unwrap_or(0).saturating_sub(reserved(r));
    let before: Vec<u64> = rests.iter().map(count).collect();
    let (work, ended, began) = (pump.live.work, pump.live.ended, clock::now());
    order_clients(pump, first)?;
    let wanted = first.iter().map(|&c| u64::from(c)).sum();
    pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
        let live = &pump.live;
        let arrived = live.connected + live.ended >= wanted
            && (!pump.counts_accepts() || live.accepted_total() >= of_subject);
        let failed = live.first_failure.is_some();
        (arrived && pump.queue() == Some(0)) || failed || pump.tree.gone()
    })?;
    // An answer that has begun either ends or outlasts the client's patience: then it is not the answer that
    // was asked for.
    let asked = clock::now();
    pump.until(ANSWERED_WITHIN, Duration::from_micros(200), |pump| {
        let live = &pump.live;
        let late = clock::now() - asked >= PROBE_DEADLINE.as_nanos() as u64 && live.half_answered.is_empty();
        let answered = !answers(pump) || live.served + live.ended >= wanted || late;
        answered || live.first_failure.is_some() || pump.tree.gone()
    })?;
    // A connection may cost descriptors after its accept.
    steady::still(pump, STILL_WITHIN)?;
    if waits_for_a_moment(rests) {
        // It may run for a moment.
        let mut waited = clock::now();
        pump.until(TIMER_WITHIN, Duration::from_millis(1), |pump| {
            waited = if waits_for_a_moment(rests) { clock::now() } else { waited };
            let over = clock::now() - waited >= SETTLE_WINDOW.as_nanos() as u64;
            over || pump.live.first_failure.is_some() || pump.tree.gone()
        })?;
        steady::still(pump, STILL_WITHIN)?;
    }
    let took = Duration::from_nanos(clock::now() - began);
    // The counts at rest do not serve here: the client that asked which protocol it speaks may still be
    // there.
    if rests.iter().map(count).sum::<u64>() != before.iter().sum::<u64>() + of_subject {
        // More or fewer than one each: wait for rest before believing it.
        pump.until(CALIBRATION_DEADLINE, Duration::from_millis(1), |pump| {
            pump.quiet(SETTLE_WINDOW) || pump.live.first_failure.is_some()
        })?;
    }
    let by = rests.iter().zip(before).map(|(r, before)| count(r).saturating_sub(before)).collect();
    Ok(Grown { by, work: pump.live.work.since(work), ended: pump.live.ended - ended, took })
}

/// The process that accepts: the one that was seen to; without an observer, the one that grew most.
fn few(pump: &Pump, rests: &[Rest], grown: &[u64], of_subject: u64) -> Option<Few> {
    let seen = |r: &Rest| pump.live.accepted.get(&r.pid).copied().unwrap_or(0);
    let (index, rest) =
        rests.iter().enumerate().max_by_key(|(i, r)| (seen(r), grown[*i], std::cmp::Reverse(*i)))?;
    let accepted = if pump.counts_accepts() { seen(rest) } else { of_subject };
    Some(Few { rest: *rest, accepted, grown: grown[index], born: 0, given: Vec::new() })
}

/// Predicts from the cost of the first few connections, if it is not one descriptor each or `another` process
/// accepts than the one that the first prediction was made for.
fn predict_again(pump: &mut Pump, few: &Few, another: bool, work: Work) {
    let Few { rest, accepted, grown, born, given } = few;
    let cost = *grown as f64 / *accepted as f64;
    if pump.serves_datagrams() {
        return predict_flows(pump, few, cost, work);
    }
    if (cost - 1.0).abs() < f64::EPSILON {
        if another {
            predict(pump, rest);
        }
        return;
    }
    if *grown == 0 && born >= accepted {
        let reason = format!(
            "each of {accepted} calibration clients was handed to a process of its own, and the one that accepts closed its copy: the \
             descriptor limit of one process does not bound their number, and will not be reached"
        );
        return not_predicted(pump, rest.pid, reason, cost, *accepted as u32);
    }
    let held: u64 = given.iter().map(|holder| holder.more).sum();
    if *grown == 0 && held >= *accepted {
        let each = held as f64 / *accepted as f64;
        if (given.len() as u64) < *accepted {
            return predict_of_holders(pump, few, each);
        }
        let reason = format!(
            "each of {accepted} calibration clients was handed to another process: how many processes take turns is not known"
        );
        return not_predicted(pump, rest.pid, reason, each, *accepted as u32);
    }
    if cost < 1.0 {
        let why = format!(
            "{accepted} calibration clients cost {grown} descriptors: the subject closes descriptors, or another process holds them"
        );
        pump.journal.record(What::NotSeen { what: Unseen::CostPerConnection, why });
        return;
    }
    // The last connection may be accepted and then lack its other descriptors: it counts as accepted.
    let formula = Formula::Process(few.room(Rounding::Up));
    announce(pump, rest.pid, formula, few.costs().0 as f64, *accepted as u32);
}

/// Predicts from the descriptors that the first few flows of UDP hold. A flow that lacks a descriptor is not
/// answered, so that parts do not count.
fn predict_flows(pump: &mut Pump, few: &Few, cost: f64, work: Work) {
    let Few { rest, accepted: flows, .. } = few;
    let (pid, calibrated_with) = (rest.pid, *flows as u32);
    if cost >= 1.0 {
        let room = Room::new(rest.limits.soft, rest.counted).each(cost, Rounding::Down);
        return announce(pump, pid, Formula::Process(room), cost, calibrated_with);
    }
    let reason = match work.opened {
        0 => format!(
            "no descriptor was opened for {flows} flows, so the descriptor limit does not bound their number"
        ),
        opened => format!(
            "{opened} descriptors were opened for {flows} flows, and {} closed again: only flows that wait for their answer hold any",
            work.closed
        ),
    };
    not_predicted(pump, pid, reason, cost, calibrated_with);
}

/// Takes the first prediction back.
fn not_predicted(pump: &mut Pump, pid: i32, reason: String, cost: f64, calibrated_with: u32) {
    pump.live.predicted = 0;
    (pump.progress)(&Step::NotPredicted { reason: reason.clone() });
    let descriptors_per_connection = cost;
    pump.journal.record(What::NotPredicted { pid, reason, descriptors_per_connection, calibrated_with });
}

/// The first clients of each workload, in the order of the loads: as many, unless it is to have fewer in all.
fn first(pump: &Pump, clients: u64, wanted: &[u32]) -> Vec<u32> {
    let each = pump.loads.iter().zip(wanted);
    // One program is all of its clients, and starts once.
    each.map(|(load, &all)| if load.background || load.is_one() { 0 } else { all.min(clients as u32) })
        .collect()
}

/// Makes a few calls to see how many descriptors a call leaves open; predicts again if it is not one.
fn calibrate_calls(pump: &mut Pump, rest: &Rest, wanted: &[u32]) -> Result<(), Error> {
    let free = rest.limits.soft.saturating_sub(rest.counted);
    let counted = |load: &&Load| load.concerns_subject && !load.background;
    let workloads = pump.loads.iter().filter(counted).count() as u64;
    let fewest = pump.loads.iter().zip(wanted).filter(|(load, _)| counted(load)).map(|(_, &all)| all).min();
    let calls = CALIBRATION_CLIENTS.min(free / 4).min(fewest.unwrap_or(0).into());
    // Twice, because the first calls may open what all later ones use.
    if calls < 2 {
        return Ok(());
    }
    let Some(half) = grown_by(pump, rest, 1..=calls / 2, wanted)? else { return Ok(()) };
    let Some(whole) = grown_by(pump, rest, calls / 2 + 1..=calls, wanted)? else { return Ok(()) };
    // The descriptors left open by the first calls separate a leak from those that are opened once.
    pump.journal.record(What::Open(inventory::of_all(&pump.tree.processes())));
    let (made, between) = (calls * workloads, (calls - calls / 2) * workloads);
    predict_calls(pump, rest, Growth { half, whole, made, between, under_way: 0 });
    Ok(())
}

/// Descriptors more than at rest after some calls and after twice as many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub half: u64,
    pub whole: u64,
    /// Calls in all, and those from the half on.
    pub made: u64,
    pub between: u64,
    /// Calls under way with their descriptors, at rest as later.
    pub under_way: u64,
}

/// Predicts from the descriptors that calls left open, if they are not one each.
pub(super) fn predict_calls(pump: &mut Pump, rest: &Rest, growth: Growth) {
    let Growth { half, whole, made, between, under_way } = growth;
    let cost = whole.saturating_sub(half) as f64 / between as f64;
    if cost < 0.5 {
        let open = if whole == 1 { "1 descriptor".to_owned() } else { format!("{whole} descriptors") };
        let why = format!(
            "{made} calibration calls left {open} open; calls made one after the other have no ceiling"
        );
        // A caller's own connections are its descriptors; those to a server are closed after each call.
        if pump.listener.is_some() {
            not_predicted(pump, rest.pid, why, cost, made as u32);
        } else {
            pump.journal.record(What::NotSeen { what: Unseen::CostPerConnection, why });
        }
        return;
    }
    let shared = (whole as f64 - made as f64 * cost).round().max(0.0) as u64;
    let each = (cost - 1.0).abs() < f64::EPSILON;
    if shared == 0 && each && under_way == 0 {
        return;
    }
    let room = Room { shared, under_way, ..Room::new(rest.limits.soft, rest.counted) };
    // Calls under way have theirs already.
    let rounding = if under_way > 0 { Rounding::Down } else { Rounding::Up };
    let room = if each { room } else { room.each(cost, rounding) };
    announce(pump, rest.pid, Formula::Process(room), cost, made as u32);
}

/// Makes these calls, counted from the first, and counts descriptors more than at rest; `None` when something
/// failed or ended.
fn grown_by(
    pump: &mut Pump,
    rest: &Rest,
    calls: RangeInclusive<u64>,
    wanted: &[u32],
) -> Result<Option<u64>, Error> {
    let over = |pump: &Pump| pump.live.first_failure.is_some() || pump.tree.gone();
    // One after the other, however many the workload makes at a time: those that are under way have
    // descriptors, too.
    for upto in calls {
        let upto = first(pump, upto, wanted);
        order_clients(pump, &upto)?;
        pump.until(CALIBRATION_DEADLINE, Duration::from_micros(200), |pump| {
            pump.live.drivers_done() || over(pump)
        })?;
    }
    // Descriptors that a call leaves open for a moment only are closed by then.
    pump.until(CALIBRATION_DEADLINE, Duration::from_millis(1), |pump| {
        pump.quiet(SETTLE_WINDOW) || over(pump)
    })?;
    Ok((!over(pump)).then(|| pump.descriptors().saturating_sub(rest.counted)))
}

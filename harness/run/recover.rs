//! The recovery when clients leave: some, then all; and the subject rests again.

use super::error::Error;
use super::orders::{
    DRAINING_AT_MOST, NOBODY_WAITS, PROBE_DEADLINE, RECOVERY_DEADLINE, SETTLE_WINDOW, STALL, answers,
    of_subject, probe, release, some, taken,
};
use super::progress::Progress;
use super::pump::{DRAIN_EVERY, Load, Pump};
use super::ready::{self, SETTLE_DEADLINE};
use super::rounds;
use crate::event::{Ended, Label, Nanos, Outcome, Phase, Pid, Unseen, What};
use crate::scenario::Policy;
use crate::sys::{clock, proc};
use std::collections::HashMap;
use std::time::Duration;

/// A server that turns new clients away, and has closed nothing for so long after all have left, has leaked;
/// one that has no listener for so long will not have one.
const STILL_FULL: Duration = Duration::from_secs(1);

/// A server that turns clients away closes a silent one within this time of its accept.
const TURNED_AWAY_WITHIN: Duration = Duration::from_millis(250);

/// A loop that waits for something tries again within this time of it.
const WOKEN_WITHIN: Duration = Duration::from_millis(200);

/// A flow of UDP is over when nothing came for a while, which no client can see: half a minute or a whole one
/// with most servers.
const FLOW_IDLE: Duration = Duration::from_secs(65);

/// The process that accepts still has descriptors that all who left had caused, and waits for a time of its
/// own: a timer may close them, as one of 60 s that closes idle connections.
struct MayClose {
    /// When it was last seen to wait so.
    seen: Nanos,
    looked: Nanos,
    /// Until when it is waited for; `None`: not at all. There is no wait after calls, because a caller closes
    /// its connection itself, and no timer for idle clients closes what the calls left open. There is none
    /// either once timers have shown that they change nothing.
    end: Option<Nanos>,
    /// For an accept loop that never tried again, or a server that reads no ends: the activity of its
    /// threads' timers since they were first looked at.
    ticks: Ticks,
    began: Nanos,
}

/// Sleeps of threads for a limited time, since they were first looked at.
#[derive(Default)]
pub(super) struct Ticks {
    /// How often each had slept then.
    from: HashMap<i32, u64>,
}

impl Ticks {
    /// A sleep that was under way may end for another reason, and the next one, too.
    const ENOUGH: u64 = 3;

    /// Whether each thread that sleeps for a time has done so often enough to show its behaviour; false if
    /// there is none, unless it `spins`.
    pub fn all_seen(&mut self, pid: Pid, spins: bool) -> bool {
        let Some(now) = proc::timed_sleeps(pid) else { return false };
        let seen =
            |(tid, slept): (&i32, &u64)| self.from.get(tid).is_some_and(|from| slept - from >= Self::ENOUGH);
        let all = (spins || !now.is_empty()) && now.iter().all(seen);
        now.into_iter().for_each(|(tid, slept)| _ = self.from.entry(tid).or_insert(slept));
        all
    }
}

impl MayClose {
    /// How often that is looked up.
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    /// A server that reads no ends may compare ages by the clock as it sweeps: such ages are 30 s or 60 s,
    /// seldom more.
    const SWEEPS_AFTER: Duration = Duration::from_secs(65);
    /// A thread may run for a moment.
    const RUNS_FOR: Duration = Duration::from_secs(2);

    /// All have left just now.
    fn since_now(pump: &Pump) -> Self {
        let calls = pump.loads.iter().any(|load| load.calls);
        let end = (!calls).then(|| clock::now() + DRAINING_AT_MOST.as_nanos() as u64);
        MayClose { seen: 0, looked: 0, end, ticks: Ticks::default(), began: clock::now() }
    }

    /// Whether it was waited for in vain.
    fn over(&self, pump: &Pump) -> bool {
        self.end.is_some_and(|end| clock::now() >= end) && !pump.back()
    }

    /// Whether it waits for a time of its own. It may run just now, between two such waits. A process that
    /// never sleeps has no timer that can be seen.
    fn timer(&self, pump: &Pump) -> Option<bool> {
        let sleeps = !matches!(pump.live.policy.decided(), Some(Policy::Spin | Policy::Storm));
        let lately = self.seen > 0 && clock::now() - self.seen <= Self::RUNS_FOR.as_nanos() as u64;
        if sleeps && lately { Some(true) } else { proc::timer_pending(pump.acceptor) }
    }

    /// Whether it is worth waiting for.
    fn holds(&mut self, pump: &mut Pump) -> bool {
        let now = clock::now();
        if now - self.looked >= Self::LOOK_EVERY.as_nanos() as u64 {
            // It may run just as it is looked at for the first time.
            self.seen = if self.looked == 0 { now } else { self.seen };
            self.looked = now;
            let decided = pump.live.policy.decided();
            match proc::timer_pending(pump.acceptor) {
                Some(true) => self.seen = now,
                Some(false) => self.seen = 0,
                // A loop that tries again without a pause never sleeps.
                None if matches!(decided, Some(Policy::Spin | Policy::Storm)) => self.seen = now,
                None => {}
            }
            // A loop that has not tried since it failed waits for no number: its timers have shown what they
            // do. A server that does not read that clients have left may sweep at a still greater age, which
            // nothing tells: it is waited for no longer, and may close them yet.
            let swept = now - self.began >= Self::SWEEPS_AFTER.as_nanos() as u64;
            let dead = pump.never_tried_again();
            let looks_away = dead || (swept && pump.leaves_ends_unread());
            let spins = decided == Some(Policy::Spin);
            if self.seen > 0 && looks_away && self.ticks.all_seen(pump.acceptor, spins) {
                self.end = if dead { None } else { self.end.map(|end| end.min(now)) };
            }
        }
        let waits = now - self.seen <= Self::RUNS_FOR.as_nanos() as u64;
        waits && self.end.is_some_and(|end| now < end) && !pump.back() && !pump.died()
    }

    /// Waits until it closes something, or it is not worth waiting any longer; whether it closed something.
    fn wait(&mut self, pump: &mut Pump) -> Result<bool, Error> {
        let mut progress = Progress::of(pump);
        let began = clock::now();
        let moved = |progress: &mut Progress, pump: &mut Pump| {
            let still = progress.still(pump).as_nanos() as u64;
            still < clock::now() - began
        };
        pump.until(DRAINING_AT_MOST, Self::LOOK_EVERY, |pump| {
            moved(&mut progress, pump) || !self.holds(pump)
        })?;
        Ok(moved(&mut progress, pump))
    }
}

/// Lets some clients leave, in so many rounds, then all, and waits for the consequences: waiters served, the
/// queue drained, a new client answered. If it was not `watched` at the wall, all leave at once. `why`: the
/// reason for which the phase before ended. Returns why the last one did, and whether the subject was seen to
/// accept after all had left.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn recover(pump: &mut Pump, rounds: u32, watched: bool, why: Ended) -> Result<(Ended, bool), Error> {
    if pump.tree.gone() {
        return Ok((why, false));
    }
    pump.live.retries.clients_leave();
    // Probes that nobody accepted have left, and are in the queue still.
    let gone = if matches!(pump.live.probes.get(&Label::Saturated), Some((Outcome::Waits, _))) {
        pump.loads.len() as u64
    } else {
        0
    };
    let waiting = u64::from(pump.queue().unwrap_or(0)).saturating_sub(gone);
    let failed = pump.live.first_failure.is_some() && waiting > 0;
    // If a client asks nothing, only the accept shows that it was taken.
    let told = answers(pump) || pump.counts_accepts();
    if failed && rounds > 1 && !told {
        let why = "no rounds were made: the clients ask nothing, and accepts by io_uring pass by the system-call observer";
        pump.journal.record(What::NotSeen { what: Unseen::Rounds, why: why.into() });
    }
    let (why, dead) = if failed && rounds > 1 && told {
        rounds::rounds(pump, rounds, gone, why)?
    } else if failed && watched && !pump.loads.iter().any(Load::is_one) {
        pump.next(why, Phase::ReleaseSome);
        release_some(pump, waiting)?
    } else {
        (why, false)
    };
    pump.next(why, Phase::ReleaseAll);
    let all = clock::now();
    // A server that has not tried to accept for so long, with places free, gets a moment more and no longer.
    let why = release_all(pump, if dead { PROBE_DEADLINE } else { RECOVERY_DEADLINE + pause(pump) })?;
    Ok((why, pump.live.last_accept > all))
}

/// How long the server pauses between its tries.
fn pause(pump: &Pump) -> Duration {
    pump.live.retries.pause().unwrap_or_default()
}

/// Lets a tenth leave, and waits until as many of those who wait have their places. Returns why that ended,
/// and whether the server did not even try to accept.
fn release_some(pump: &mut Pump, waiting: u64) -> Result<(Ended, bool), Error> {
    let some = some(pump);
    // Freed places go to the oldest waiters: as many as there are places, or waiters.
    let refilled = taken(pump) + waiting.min(of_subject(pump, some));
    let tried = pump.live.last_try;
    // Where it may wait for one to leave, or for several, one leaves first.
    let alone = u64::from(some > 1 && pump.never_tried_again());
    if alone > 0 {
        release(pump, alone as u32)?;
        pump.until(WOKEN_WITHIN, DRAIN_EVERY, |pump| pump.live.last_try != tried || pump.tree.gone())?;
    }
    release(pump, (some - alone) as u32)?;
    let left = clock::now();
    let nobody_tries = NOBODY_WAITS.max(pause(pump) * 2).as_nanos() as u64;
    let within = RECOVERY_DEADLINE + pause(pump);
    let why = pump.until_ended(within, DRAIN_EVERY, |pump| {
        let still = clock::now() - pump.live.last_accept.max(left);
        if taken(pump) >= refilled {
            Some(Ended::Served)
        } else if pump.tree.gone() {
            Some(Ended::Gone)
        } else {
            // The places may be another worker's than the one whose queue they wait in.
            (pump.listeners > 1 && still > nobody_tries).then_some(Ended::Stalled)
        }
    })?;
    let nobody_taken = matches!(why, Ended::Time | Ended::Stalled);
    Ok((why, nobody_taken && pump.counts_accepts() && pump.live.last_try == tried))
}

/// Lets all leave, waits until nobody is in the queue, as long as that goes on, and then until a new client
/// is answered: so long at the most.
fn release_all(pump: &mut Pump, within: Duration) -> Result<Ended, Error> {
    release(pump, u32::MAX)?;
    let (mut progress, mut may_close, mut paused) = (Progress::of(pump), MayClose::since_now(pump), false);
    let why = pump.until_ended(DRAINING_AT_MOST, Duration::from_millis(1), |pump| {
        if pump.tree.gone() {
            Some(Ended::Gone)
        } else if pump.drained() {
            Some(Ended::Quiet)
        } else {
            let still = progress.still(pump);
            paused |= still > STALL + pause(pump) * 2;
            let still = still > within * 2;
            (still && !may_close.holds(pump)).then_some(Ended::Time)
        }
    })?;
    if paused && why == Ended::Quiet {
        closes_late(pump);
    }
    let late = why == Ended::Time && progress.still(pump) <= within * 2;
    if pump.tree.gone() || pump.loads.is_empty() {
        return Ok(why);
    }
    let held = pump.descriptors();
    let answered = new_client(pump, if late { PROBE_DEADLINE } else { within }, &mut may_close)?;
    // Its timer has fired just after it was waited for.
    if paused && why == Ended::Time && answered == Ended::Answered && pump.descriptors() < held {
        closes_late(pump);
    }
    let why = answered;
    Ok(if late { Ended::Draining } else { why })
}

/// It has just closed connections whose clients had left long before: those that it accepts now it may hold
/// for as long.
fn closes_late(pump: &mut Pump) {
    let now = clock::now();
    let held = Duration::from_nanos(now - pump.live.first_failure.map_or(now, |(at, _)| at));
    pump.live.closes_after = Some(held + held / 8);
}

/// Sends one new client after another until one is not turned away; returns why no more are sent.
fn new_client(pump: &mut Pump, within: Duration, may_close: &mut MayClose) -> Result<Ended, Error> {
    // A client that asks nothing cannot be answered: it only shows that the server takes it, even when it has
    // gone. If clients come through another process, they get that process's answer.
    let direct = pump.loads.iter().any(|load| load.concerns_subject);
    let silent = pump.loads.iter().filter(|load| load.concerns_subject || !direct).all(|load| !load.asks);
    // A datagram that a full server drops is lost: another one comes, for as long as flows may last.
    let datagrams = pump.serves_datagrams();
    let within = if datagrams && pump.live.served > 0 { FLOW_IDLE } else { within };
    // A server that has turned clients away may take this one, too, and close it a moment later.
    let away = [Outcome::Closed, Outcome::ErrorReply, Outcome::Refused];
    let turns_away =
        |pump: &Pump, label| pump.live.probes.get(&label).is_some_and(|(outcome, _)| away.contains(outcome));
    let at_the_wall = turns_away(pump, Label::Saturated);
    let mut deadline = match (silent, datagrams) {
        (true, _) if at_the_wall => TURNED_AWAY_WITHIN,
        (true, _) => Duration::from_millis(1),
        (_, true) => PROBE_DEADLINE,
        _ => within,
    };
    let mut pause = Duration::from_millis(10);
    let (full, asked) = (pump.descriptors(), clock::now());
    let mut again = true;
    loop {
        let accepted = pump.live.accepted_total();
        pump.live.probes.remove(&Label::AfterAll);
        probe(pump, Label::AfterAll, deadline)?;
        let why = pump.until_ended(within + PROBE_DEADLINE, Duration::from_millis(1), |pump| {
            // Nobody will accept a client that was refused: it may have come before the listener was back.
            let refused = matches!(pump.live.probes.get(&Label::AfterAll), Some((Outcome::Refused, _)));
            let seen = !silent || !pump.counts_accepts() || refused;
            let taken = seen || pump.live.accepted_total() > accepted;
            if pump.live.probed(Label::AfterAll) && taken {
                let sent = pump.live.probes.contains_key(&Label::AfterAll);
                return Some(if sent { Ended::Answered } else { Ended::Generator });
            }
            pump.tree.gone().then_some(Ended::Gone)
        })?;
        // A server that sheds turns clients away until it has seen the others leave.
        let waits = matches!(pump.live.probes.get(&Label::AfterAll), Some((Outcome::Waits, _)));
        let turned_away = turns_away(pump, Label::AfterAll) || (datagrams && waits);
        if pump.tree.gone() {
            return Ok(Ended::Gone);
        }
        if turned_away && silent {
            deadline = TURNED_AWAY_WITHIN;
        }
        // A loop that only an arrival wakes took those who had left: the next one wakes it for this one.
        if waits && !silent && pump.live.accepted_total() > accepted && std::mem::take(&mut again) {
            continue;
        }
        if waits && !silent && may_close.holds(pump) && may_close.wait(pump)? {
            closes_late(pump);
            continue;
        }
        // For a silent client, only its accept shows that it does not wait.
        if waits && (!silent || why == Ended::Time) && may_close.over(pump) {
            pump.journal.record(What::Waits { pid: pump.acceptor, timer: may_close.timer(pump) });
        }
        if !turned_away {
            return Ok(why);
        }
        // It has as many descriptors as before, and no client that leaves frees any; or it lives on without
        // its listener.
        let stuck = !datagrams && pump.descriptors() == full || (!pump.died() && pump.closed_its_listener());
        if stuck && clock::now() - asked > STILL_FULL.as_nanos() as u64 {
            // A timer may close those who have left, and make room.
            if may_close.holds(pump) && may_close.wait(pump)? {
                closes_late(pump);
                continue;
            }
            return Ok(Ended::TurnedAway);
        }
        if clock::now() >= asked + within.as_nanos() as u64 {
            return Ok(Ended::Time);
        }
        pump.until(pause, Duration::from_millis(1), |pump| pump.tree.gone())?;
        pause = (pause * 2).min(PROBE_DEADLINE);
    }
}

/// Waits until the subject is back at rest, or quiet with more descriptors than that, until `end` as long as
/// these become fewer; returns which.
///
/// # Errors
/// Interrupted.
pub fn settle(pump: &mut Pump, end: Nanos) -> Result<Ended, Error> {
    let served = matches!(pump.live.probes.get(&Label::AfterAll), Some((Outcome::Served, _)));
    // Where no new client was served, flows were waited for already.
    if pump.serves_datagrams() && served {
        pump.until(FLOW_IDLE, Duration::from_millis(1), |pump| pump.back() || pump.tree.gone())?;
    }
    let closes_after = pump.live.closes_after.unwrap_or_default();
    let patience = (STALL + pause(pump) * 2).max(closes_after);
    let mut progress = Progress::of(pump);
    let disturbed_until = clock::now() + SETTLE_DEADLINE.as_nanos() as u64;
    loop {
        let why = ready::come_to_rest(pump, SETTLE_WINDOW * 4, |pump, rests| {
            if pump.back() {
                return Some(Ended::AtRest);
            }
            if progress.still(pump) < closes_after {
                return None;
            }
            let why = if progress.grows() { Ended::Growing } else { Ended::Quiet };
            ((rests || why == Ended::Growing) && pump.drained()).then_some(why)
        })?;
        let goes_on = why == Ended::Time && !pump.tree.gone() && progress.still(pump) < patience;
        if goes_on && clock::now() < end {
            continue;
        }
        let was_back = pump.back();
        let asked = clock::now();
        pump.census.order(pump.acceptor, pump.tree.processes(), pump.listener.clone());
        pump.until(SETTLE_DEADLINE, Duration::from_millis(1), |pump| {
            pump.census.counted_since(asked) || pump.tree.gone()
        })?;
        pump.sample();
        // A client that gave up at another of its listeners is accepted late, and is no leak.
        let disturbed = was_back && !pump.back();
        if !disturbed || pump.tree.gone() || clock::now() >= disturbed_until {
            pump.turn(Duration::ZERO)?;
            return Ok(if goes_on { Ended::Draining } else { why });
        }
    }
}

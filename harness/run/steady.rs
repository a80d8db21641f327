//! A steady ramp: clients come no faster than the subject settles, because each connection costs work after
//! its accept.
//!
//! The cost of the first clients says what to wait for. Far from the wall several come at a time, never so
//! many that together they could fill a process; near it they come one by one.

use super::error::Error;
use super::live::{Live, Tally, Work};
use super::orders::{SETTLE_WINDOW, answers, order_clients, order_ramp};
use super::pump::Pump;
use super::ramp::Ramp;
use super::stillness::Stillness;
use crate::event::{Ended, Pid, Unseen, What};
use crate::scenario::Pace;
use crate::sys::{clock, proc};
use std::time::Duration;

/// A steady ramp that is not at the wall by then goes on as fast as clients are accepted.
const STEADY_AT_MOST: Duration = Duration::from_secs(120);
/// One batch is waited for no longer: there are programs that never sleep.
const STEP_AT_MOST: Duration = Duration::from_secs(1);
/// Further clients, one by one, that show what happens at the wall.
const BEYOND: u32 = 24;
/// The most that come at a time.
const BATCH: u64 = 64;
/// A batch takes this share of the free descriptors at most: a connection in the making may need more than
/// one that is made.
const SHARE: u64 = 4;
/// Every thread slept, and nothing was reported, for so long: the work that was to be done is done.
const STILL: Duration = Duration::from_millis(1);
/// The same where less was done than for the first clients: so many times as long as theirs took, and within
/// these bounds.
const PATIENCE: u32 = 5;
const UNFINISHED: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(500));
/// Processes whose room is looked at before each batch.
pub const LOOKED_AT: usize = 32;
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Waits until nothing has gone on for a moment, at most for `within`.
///
/// # Errors
/// Interrupted.
pub fn still(pump: &mut Pump, within: Duration) -> Result<(), Error> {
    let mut still = Stillness::default();
    pump.until(within, LOOK_EVERY, |pump| still.look(pump) >= STILL || pump.tree.gone())?;
    Ok(())
}

/// The measurements of the first clients, which say how long to wait for the others.
pub struct Steady {
    /// Clients that have come, of each workload.
    came: Vec<u32>,
    /// Work for each of them, in thousandths.
    each: u64,
    /// Descriptors that each takes for good in one process, at least 1.
    cost: u64,
    /// How long it took until they were settled, for each.
    took: Duration,
    /// Whether clients that ask nothing are greeted.
    greeted: bool,
    /// The processes that were there before the first client, with their soft limits.
    standing: Vec<(Pid, u64)>,
}

/// The measurements that calibration made with its clients.
pub struct First {
    /// How many of each workload.
    pub sent: Vec<u32>,
    /// How many of them the subject accepted.
    pub accepted: u64,
    /// Descriptors that the process which accepts has more.
    pub grown: u64,
    /// Processes that were there before, and those that were not.
    pub standing: Vec<Pid>,
    pub born: u64,
    pub work: Work,
    /// Connections that had ended by themselves.
    pub ended: u64,
    pub took: Duration,
}

impl First {
    /// Whether each of them was answered from a descriptor of its own, such as a file, whether that is open
    /// still or not.
    pub fn opens_for_each(&self, answered: bool) -> bool {
        answered && self.accepted > 0 && self.work.opened >= self.accepted
    }

    /// Whether some descriptors were opened for them and closed again, fewer than one for each.
    pub fn opens_for_several(&self) -> bool {
        self.work.opened > 0 && self.work.closed > 0 && self.work.opened < self.accepted
    }

    /// Whether the others are to wait for the work that these show. `opens`: each is answered from a
    /// descriptor of its own. Records what they show.
    pub fn wants(&self, pump: &mut Pump, pace: Pace, opens: bool) -> bool {
        // A file that was opened and closed again for a request costs nothing that lasts; but a flood that is
        // accepted before it is opened leaves no number for it. A descriptor that was closed beyond that, and
        // not with its client, is a connection that was handed on.
        let Work { opened, closed, born } = self.work;
        let seen = pump.observer.is_some();
        let work = Work {
            opened: if seen {
                opened.saturating_sub(closed)
            } else {
                self.grown.saturating_sub(self.accepted)
            },
            closed: closed.saturating_sub(opened + self.ended),
            born: born.max(self.born),
        };
        let steady = match pace {
            Pace::Steady => true,
            Pace::Auto => work.all() >= self.accepted.max(1) || opens,
            _ => false,
        };
        if steady || work.all() > 0 {
            let Work { opened, closed, born } = work;
            let clients = self.accepted as u32;
            pump.journal.record(What::AfterAccept { clients, opened, closed, born, steady });
        }
        steady
    }
}

/// The work and the counts when a batch began to come.
#[derive(Clone, Copy)]
struct Before {
    work: Work,
    ended: u64,
}

impl Steady {
    /// How the others are to wait for the work that the first clients show.
    pub fn of(pump: &Pump, first: &First) -> Steady {
        let accepted = first.accepted.max(1);
        let soft = |&pid: &Pid| Some((pid, proc::nofile(pid).ok()?.0));
        Steady {
            came: first.sent.clone(),
            each: first.work.all() * 1000 / accepted,
            cost: first.grown.div_ceil(accepted).max(1),
            took: first.took / accepted as u32,
            greeted: pump.live.greeted >= accepted,
            standing: first.standing.iter().take(LOOKED_AT).filter_map(soft).collect(),
        }
    }

    /// Lets one more client come, alone. Returns the descriptors that its connection takes in the process
    /// that accepts, and how many more while it is made. `None` if the observed calls do not match the count
    /// in /proc, or if nobody is left to come.
    ///
    /// # Errors
    /// Interrupted; a driver that cannot be ordered.
    pub fn alone(&mut self, pump: &mut Pump, wanted: &[u32]) -> Result<Option<Tally>, Error> {
        let comes = |i: &usize| pump.loads[*i].holds() && self.came[*i] < wanted[*i];
        let Some(workload) = (0..self.came.len()).find(comes) else { return Ok(None) };
        let count = |pump: &Pump| proc::descriptors(pump.acceptor).map_or(0, |now| now as i64);
        let (before, there) = (Before { work: pump.live.work, ended: pump.live.ended }, count(pump));
        let answers = answers(pump);
        pump.live.tally = Some(Tally::of(pump.acceptor));
        self.came[workload] += 1;
        order_clients(pump, &self.came)?;
        let mut still = Stillness::default();
        pump.until(STEP_AT_MOST, LOOK_EVERY, |pump| {
            let still = still.look(pump) >= self.window(&pump.live, answers, before, 1);
            pump.died() || (pump.live.drivers_done() && still && pump.drained())
        })?;
        let tally = pump.live.tally.take();
        Ok(tally.filter(|tally| tally.now == count(pump) - there && pump.live.first_failure.is_none()))
    }

    /// How many clients of each workload may come at once: they cannot fill a process that was there before
    /// them.
    fn batch(&self, pump: &Pump) -> u32 {
        if pump.live.first_failure.is_some() {
            return 1;
        }
        let free = |&(pid, soft): &(Pid, u64)| Some(soft.saturating_sub(proc::descriptors(pid).ok()?));
        let room = self.standing.iter().filter_map(free).min().unwrap_or(0);
        (room / (self.cost * SHARE) / self.came.len().max(1) as u64).clamp(1, BATCH) as u32
    }

    /// For how long nothing may have gone on, now that so much was done for so many clients: a moment, where
    /// all of it was done and they were answered as the first were.
    fn window(&self, live: &Live, answers: bool, before: Before, clients: u32) -> Duration {
        let answered = if answers { live.served } else { live.greeted };
        let told = !(answers || self.greeted) || answered + live.ended >= live.connected;
        let done = live.work.since(before.work).all() * 1000 >= self.each * u64::from(clients);
        let done = done || live.ended - before.ended >= u64::from(clients);
        if told && done { STILL } else { (self.took * PATIENCE).clamp(UNFINISHED.0, UNFINISHED.1) }
    }
}

/// Connects the clients that have not come yet, each batch when the subject has settled; returns why that
/// ended.
///
/// # Errors
/// Interrupted; a driver that cannot be ordered.
pub fn ramp(pump: &mut Pump, clients: &[u32], mut steady: Steady) -> Result<Ended, Error> {
    pump.census.ramp_begins();
    let mut ramp = Ramp::of(pump, clients, false);
    let answers = answers(pump);
    let began = clock::now();
    let mut beyond = 0;
    while steady.came.iter().zip(clients).any(|(came, all)| came < all) {
        if clock::now() - began > STEADY_AT_MOST.as_nanos() as u64 {
            let why = format!(
                "clients came no faster than it settled for {} s, and it was not full yet; the others came as fast as they were accepted",
                STEADY_AT_MOST.as_secs()
            );
            pump.journal.record(What::NotSeen { what: Unseen::Capacity, why });
            break;
        }
        let batch = steady.batch(pump);
        let came = steady.came.clone();
        let before = Before { work: pump.live.work, ended: pump.live.ended };
        steady.came.iter_mut().zip(clients).for_each(|(came, &all)| *came = (*came + batch).min(all));
        order_clients(pump, &steady.came)?;
        let sent = steady.came.iter().zip(came).map(|(now, before)| now - before).sum();
        let mut still = Stillness::default();
        let mut waits = false;
        let why = pump.until_ended(STEP_AT_MOST, LOOK_EVERY, |pump| {
            if pump.died() {
                return Some(Ended::Gone);
            }
            if pump.live.local_failure.is_some() {
                return Some(Ended::Generator);
            }
            let still = still.look(pump);
            let in_order = pump.live.drivers_done() || pump.live.drivers_idle();
            // A client that it leaves in the queue may stay there for good.
            waits = still >= SETTLE_WINDOW && !pump.drained();
            let settled = pump.live.drivers_done()
                && still >= steady.window(&pump.live, answers, before, sent)
                && pump.drained();
            (in_order && (settled || waits)).then_some(Ended::AtRest)
        })?;
        match why {
            Ended::Gone | Ended::Generator => return Ok(why),
            _ if pump.live.first_failure.is_some() => beyond += sent,
            _ => {}
        }
        if beyond >= BEYOND && !waits {
            return Ok(Ended::FirstFailure);
        }
        // A client that comes now only waits: that costs the subject nothing.
        if waits || (why == Ended::Time && !pump.drained()) {
            break;
        }
        if ramp.full(pump, clock::now()) {
            return Ok(Ended::Full);
        }
    }
    order_ramp(pump, clients)?;
    ramp.wait(pump)
}

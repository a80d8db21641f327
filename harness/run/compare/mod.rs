//! The effects of a comparison: blocks, each a fresh start of both sides in random order, until enough is
//! known. The result is a list of records; `crate::compare` interprets them.

mod caller;
mod load;
mod start;
mod watch;

pub use caller::calls_by_itself;

use super::error::Error;
use super::options::{Options, environment};
use crate::compare::record::SCHEMA;
use crate::compare::{
    Block, Bound, Described, Ending, Header, Kind, LeftOut, Method, Record, Reference, Side, Start, compare,
    same_work,
};
use crate::limits::budget;
use crate::scenario::Plan;
use load::Pace;
use start::Failed;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One block in so many has the first side on both sides.
const NOISE_EVERY: u32 = 5;
/// Blocks that may fail: fewer say nothing of how many do …
const FAILED_FEW: usize = 2;
/// … and of more blocks this share. Blocks that are left out may be the very ones in which one side is bad.
const FAILED_SHARE: f64 = 0.2;

/// All starts of one side after the other take so many times as long as the comparison, at most: it is the
/// same work, but a disturbance may last.
const IN_SEQUENCE: f64 = 10.0;

/// The two sides to compare, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Both sides.
    pub plans: [Plan; 2],
    /// In words.
    pub sides: [Described; 2],
    /// How blocks are made and decided.
    pub method: Method,
    /// A program that calls is ended after so many calls; `None`: it ends by itself.
    pub calls: Option<u64>,
    /// The bounds that the second side must keep.
    pub bounds: Vec<Bound>,
    /// The reference of a recording, or of a comparison with one.
    pub reference: Option<Reference>,
}

/// Compares until enough is known, and reports each record as it is made.
///
/// # Errors
/// Nothing could be compared; a comparison that ends early has a last record that says why.
pub fn compared(
    wanted: &Wanted,
    options: &Options,
    interrupted: &AtomicBool,
    told: &mut dyn FnMut(&Record),
) -> Result<Vec<Record>, Error> {
    budget::raise_own();
    let mut records = Vec::new();
    let mut record = |record: Record, records: &mut Vec<Record>| {
        told(&record);
        records.push(record);
    };
    record(Record::Header(Box::new(header(wanted))), &mut records);
    let mut blocks = Blocks {
        wanted,
        options,
        interrupted,
        random: fastrand::Rng::with_seed(wanted.method.seed),
        pace: Pace::of(wanted.reference.as_ref().and_then(|reference| reference.baseline.as_ref())),
        deadline: Instant::now() + Duration::from_secs_f64(wanted.method.within_s),
    };
    let (mut number, mut made, mut failed, mut pairs) = (0, 0, 0, 0);
    let ending = loop {
        let kind = match number {
            _ if made == 0 => Kind::WarmUp,
            number if number % NOISE_EVERY == 0 => Kind::Noise,
            _ => Kind::Pair,
        };
        let block = match blocks.block(number, kind) {
            Ok(block) => block,
            // A block that an interrupt cuts may fail with another error.
            Err(Failed { error: Error::Interrupted, .. }) => break Ending::Interrupted,
            Err(_) if interrupted.load(Ordering::Relaxed) => break Ending::Interrupted,
            // The end of the time cut it: no side failed, and the reason says what had not ended. A fault of
            // lastfd stays one.
            Err(Failed { error, .. })
                if blocks.site().over() && made > 0 && !matches!(error, Error::Fault(_)) =>
            {
                let reason = error.to_string();
                record(Record::LeftOut(Box::new(LeftOut { number, kind, side: None, reason })), &mut records);
                break Ending::Time;
            }
            Err(Failed { side, error }) => {
                let (inconclusive, reason) = (!matches!(error, Error::NotStarted(_)), error.to_string());
                failed += 1;
                if blocks.site().over() || made == 0 && failed > 1 {
                    break Ending::Failed { inconclusive, reason };
                }
                let all = made + failed;
                if failed > FAILED_FEW && failed as f64 > FAILED_SHARE * all as f64 {
                    let reason =
                        format!("{failed} of {all} blocks failed, which is too many. The last: {reason}");
                    break Ending::Failed { inconclusive, reason };
                }
                // A block of noise has the first side twice.
                let side = side.map(|side| if kind == Kind::Noise { Side::Before } else { side });
                record(Record::LeftOut(Box::new(LeftOut { number, kind, side, reason })), &mut records);
                number += 1;
                continue;
            }
        };
        made += 1;
        let same = same_work(&block.starts, wanted.reference.as_ref());
        let saturated = block.starts.iter().any(|start| start.saturated);
        record(Record::Block(Box::new(block)), &mut records);
        number += 1;
        pairs += u32::from(kind == Kind::Pair);
        if !same && kind != Kind::Noise {
            break Ending::DifferentWork;
        }
        // A disturbance may delay a few of a warm-up.
        if saturated && kind == Kind::Pair {
            break Ending::Saturated;
        }
        if compare(&records).is_some_and(|so_far| so_far.decided()) {
            break Ending::Decided;
        }
        if pairs >= wanted.method.blocks_max {
            break Ending::Blocks;
        }
        if blocks.site().over() {
            break Ending::Time;
        }
    };
    record(Record::End(ending), &mut records);
    Ok(records)
}

/// All starts of the first side, and then all of the second, as in a measurement that does not alternate. One
/// start before them is a warm-up.
///
/// # Errors
/// A side did not start, or its calls could not be made; interrupted.
pub fn in_sequence(
    wanted: &Wanted,
    starts: usize,
    options: &Options,
    interrupted: &AtomicBool,
) -> Result<[Vec<Start>; 2], Error> {
    let deadline = Instant::now() + Duration::from_secs_f64(wanted.method.within_s * IN_SEQUENCE);
    let site = start::Site { options, interrupted, deadline };
    let mut pace = Pace::default();
    let mut one = |side: Side| {
        let (plan, described) = (&wanted.plans[side.at()], &wanted.sides[side.at()]);
        // A load that an interrupt cuts may fail with another error.
        load::alone(plan, &described.name, site, &mut pace)
            .map_err(|error| if interrupted.load(Ordering::Relaxed) { Error::Interrupted } else { error })
    };
    one(Side::Before)?;
    let before = (0..starts).map(|_| one(Side::Before)).collect::<Result<_, _>>()?;
    let after = (0..starts).map(|_| one(Side::After)).collect::<Result<_, _>>()?;
    Ok([before, after])
}

fn header(wanted: &Wanted) -> Header {
    Header {
        schema: SCHEMA.into(),
        lastfd_version: env!("CARGO_PKG_VERSION").into(),
        started_at: jiff::Timestamp::now().to_string(),
        environment: environment(),
        sides: wanted.sides.clone(),
        method: wanted.method,
        bounds: wanted.bounds.clone(),
        reference: wanted.reference.clone(),
    }
}

/// The maker of the blocks.
struct Blocks<'a> {
    wanted: &'a Wanted,
    options: &'a Options,
    interrupted: &'a AtomicBool,
    random: fastrand::Rng,
    pace: Pace,
    deadline: Instant,
}

impl Blocks<'_> {
    fn site(&self) -> start::Site<'_> {
        start::Site { options: self.options, interrupted: self.interrupted, deadline: self.deadline }
    }

    fn block(&mut self, number: u32, kind: Kind) -> Result<Block, Failed> {
        let first = if self.random.bool() { Side::Before } else { Side::After };
        // Nothing waits longer for a process to be ready than there is time.
        let [before, after] = self.wanted.plans.each_ref().map(|plan| self.site().in_time(plan));
        let plans = if kind == Kind::Noise { [&before, &before] } else { [&before, &after] };
        let began = Instant::now();
        let names =
            if kind == Kind::Noise { [0, 0] } else { [0, 1] }.map(|at| self.wanted.sides[at].name.as_str());
        let (starts, alternated) = match caller::calls_by_itself(plans[0]) {
            true => (self.run_to_their_ends(plans, names, first)?, BTreeMap::new()),
            false => {
                let site = start::Site {
                    options: self.options,
                    interrupted: self.interrupted,
                    deadline: self.deadline,
                };
                load::alternate(plans, names, first, site, &mut self.pace, &mut self.random)?
            }
        };
        Ok(Block { number, kind, first, took_s: began.elapsed().as_secs_f64(), starts, alternated })
    }

    /// A program that calls by itself is run to its end: one side after the other.
    fn run_to_their_ends(
        &self,
        plans: [&Plan; 2],
        names: [&str; 2],
        first: Side,
    ) -> Result<[Start; 2], Failed> {
        let mut starts = [Start::default(), Start::default()];
        for side in [first, first.other()] {
            let (plan, name) = (plans[side.at()], names[side.at()]);
            let start = caller::run(plan, name, self.wanted.calls, self.site());
            starts[side.at()] = start.map_err(Failed::of(side))?;
        }
        Ok(starts)
    }
}

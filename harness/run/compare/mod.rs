//! The effects of a comparison: blocks, each a fresh start of both sides in random order, until enough is
//! known. What comes out is a list of records; what they mean `crate::compare` says.

mod caller;
mod load;
mod start;
mod watch;

pub use caller::calls_by_itself;

use super::error::Error;
use super::options::{Options, environment};
use crate::compare::record::SCHEMA;
use crate::compare::{
    Block, Bound, Described, Ending, Header, Kind, Method, Record, Reference, Side, Start, compare, same_work,
};
use crate::limits::budget;
use crate::scenario::Plan;
use load::Pace;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One block in so many has the first side on both sides.
const NOISE_EVERY: u32 = 5;

/// What is compared.
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
    /// What the second side must keep.
    pub bounds: Vec<Bound>,
    /// Of a recording, and of a comparison with one.
    pub reference: Option<Reference>,
}

/// Compares until enough is known; each record is told as it is made.
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
    };
    let (begun, mut number, mut pairs) = (Instant::now(), 0, 0);
    let ending = loop {
        let block = match blocks.block(number) {
            Ok(block) => block,
            // What an interrupt ends in the middle may fail in other words.
            Err(error) if matches!(error, Error::Interrupted) || interrupted.load(Ordering::Relaxed) => {
                break Ending::Interrupted;
            }
            Err(error) => {
                let inconclusive = !matches!(error, Error::NotStarted(_));
                break Ending::Failed { inconclusive, reason: error.to_string() };
            }
        };
        let (kind, same) = (block.kind, same_work(&block.starts, wanted.reference.as_ref()));
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
        if begun.elapsed().as_secs_f64() >= wanted.method.within_s {
            break Ending::Time;
        }
    };
    record(Record::End(ending), &mut records);
    Ok(records)
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

/// What makes the blocks.
struct Blocks<'a> {
    wanted: &'a Wanted,
    options: &'a Options,
    interrupted: &'a AtomicBool,
    random: fastrand::Rng,
    pace: Pace,
}

impl Blocks<'_> {
    fn block(&mut self, number: u32) -> Result<Block, Error> {
        let kind = match number {
            0 => Kind::WarmUp,
            number if number % NOISE_EVERY == 0 => Kind::Noise,
            _ => Kind::Pair,
        };
        let first = if self.random.bool() { Side::Before } else { Side::After };
        let [before, after] = &self.wanted.plans;
        let plans = if kind == Kind::Noise { [before, before] } else { [before, after] };
        let began = Instant::now();
        let names =
            if kind == Kind::Noise { [0, 0] } else { [0, 1] }.map(|at| self.wanted.sides[at].name.as_str());
        let (starts, alternated) = match caller::calls_by_itself(plans[0]) {
            true => (self.run_to_their_ends(plans, names, first)?, BTreeMap::new()),
            false => {
                let site = start::Site { options: self.options, interrupted: self.interrupted };
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
    ) -> Result<[Start; 2], Error> {
        let site = start::Site { options: self.options, interrupted: self.interrupted };
        let mut starts = [Start::default(), Start::default()];
        for side in [first, first.other()] {
            let (plan, name) = (plans[side.at()], names[side.at()]);
            let within = Duration::from_secs_f64(self.wanted.method.within_s).max(caller::ENDS_WITHIN);
            starts[side.at()] = caller::run(plan, name, self.wanted.calls, within, site)?;
        }
        Ok(starts)
    }
}

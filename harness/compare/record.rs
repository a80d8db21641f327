//! The records of a comparison: a header, each block as it ends, and why it stopped. JSON lines; its effects
//! produce nothing else.

use super::baseline::Reference;
use super::bound::Bound;
use super::quantity::Quantity;
use crate::event::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of these records.
pub const SCHEMA: &str = "lastfd/compare-log/1";

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// The first.
    Header(Box<Header>),
    /// A block is over.
    Block(Box<Block>),
    /// A block failed, and is left out.
    LeftOut(Box<LeftOut>),
    /// The last.
    End(Ending),
}

/// The two sides, and how they are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub lastfd_version: String,
    /// RFC 3339.
    pub started_at: String,
    /// The machine.
    pub environment: Environment,
    /// The first side, and the second.
    pub sides: [Described; 2],
    /// How blocks are made and decided.
    pub method: Method,
    /// The bounds that the second side must keep.
    pub bounds: Vec<Bound>,
    /// Only in a recording, or in a comparison with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// A side in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Described {
    /// Its name: `before`, a scenario, a variant.
    pub name: String,
    /// Its subject's words.
    pub command: String,
    /// The load that calls it, or the upstream that it calls.
    pub load: String,
    /// Its soft `RLIMIT_NOFILE`, as asked for.
    pub limit: u64,
}

/// How blocks are made and decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// The seed of every random choice.
    pub seed: u64,
    /// Probability of a false claim, over all quantities that decide.
    pub alpha: f64,
    /// Two sides are the same within this share.
    pub band: f64,
    /// Blocks at most, those of noise not counted.
    pub blocks_max: u32,
    /// Seconds at most.
    pub within_s: f64,
    /// Calls come at a rate: how many there are in a second says nothing.
    pub scheduled: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The one that the other is compared with.
    Before,
    /// The other.
    After,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Before, Side::After];

    /// The place of its values.
    pub const fn at(self) -> usize {
        self as usize
    }

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::Before => Side::After,
            Side::After => Side::Before,
        }
    }
}

/// The starts that a block compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It is not counted: files are read for the first time, and the length of a slice is chosen.
    WarmUp,
    /// Both sides.
    Pair,
    /// The first side twice.
    Noise,
}

/// A block that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Block {
    /// From 0.
    pub number: u32,
    /// The starts that it compares.
    pub kind: Kind,
    /// Which was started, and called, first.
    pub first: Side,
    /// Its length.
    pub took_s: f64,
    /// Both starts.
    pub starts: [Start; 2],
    /// Logarithms of ratios (second to first) from slices that alternated, which a disturbance meets alike:
    /// better than the ratio of the starts' own values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alternated: BTreeMap<Quantity, f64>,
}

/// A block that failed: a side did not start, or its calls could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its number among all blocks, from 0.
    pub number: u32,
    /// The starts that it would have compared.
    pub kind: Kind,
    /// The side that failed. `None`: nobody knows, or the end of the time cut the block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// In words: the run knows them, and no replay can.
    pub reason: String,
}

/// One start of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Start {
    /// Its calls.
    pub work: Work,
    /// The values that could be measured.
    pub values: BTreeMap<Quantity, f64>,
    /// The values that could not be measured, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<Quantity, Missing>,
    /// The generator fell behind its schedule.
    #[serde(default)]
    pub saturated: bool,
}

impl Start {
    /// Keeps a value, or why there is none.
    pub fn note(&mut self, quantity: Quantity, value: Option<f64>, why: Missing) {
        match value {
            Some(value) => self.values.insert(quantity, value).map(drop),
            None => self.missing.insert(quantity, why).map(drop),
        };
    }
}

/// The calls of a start: two sides that did different work are not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Work {
    /// Calls that were answered.
    pub calls: u64,
    /// Calls that ended otherwise, by how they ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
}

impl Work {
    /// Calls that were made, answered or not.
    pub fn made(&self) -> u64 {
        self.calls + self.failed.values().sum::<u64>()
    }
}

/// Why a quantity has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// A percentile needs ten calls beyond it: so many in all.
    FewCalls {
        /// In a block.
        needs: u64,
    },
    /// The subject had exited before it was looked at.
    Exited,
    /// The subject made all of its calls between two looks.
    TooShort,
    /// The recording that it is compared with has none.
    NotRecorded,
}

/// Why a comparison stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ending {
    /// Every quantity that decides is decided.
    Decided,
    /// The bound on blocks.
    Blocks,
    /// The bound on time.
    Time,
    /// The two did different work.
    DifferentWork,
    /// The generator fell behind its schedule.
    Saturated,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// A side did not start, or this machine cannot compare them.
    Failed {
        /// Whether it is the machine's or lastfd's own, and not a side's.
        inconclusive: bool,
        /// In words: the run knows them, and no replay can.
        reason: String,
    },
}

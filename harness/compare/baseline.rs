//! A recording of one side, for comparison with a later version. Counts are kept as they are. Values that
//! depend on the machine are kept as ratios to the bundled server, which ran beside it under the same calls:
//! that server runs beside the later version, too.

use super::quantity::Quantity;
use super::statistics::Interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of the file.
pub const SCHEMA: &str = "lastfd/baseline/1";

/// A recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Baseline {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program that recorded it.
    pub lastfd_version: String,
    /// RFC 3339.
    pub recorded_at: String,
    /// The command that was recorded.
    pub command: String,
    /// The load that called it, or the upstream that it called.
    pub load: String,
    /// Calls of a start: a start with another number of calls is other work.
    pub calls: u64,
    /// By name.
    pub quantities: BTreeMap<Quantity, Kept>,
}

/// The recorded value of a quantity. An interval misses the median with a probability of at most 1 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Kept {
    /// Every start had this value.
    Exactly {
        /// It.
        exactly: f64,
    },
    /// Times and the like: ratios to the bundled server.
    Ratio {
        /// The median over blocks.
        ratio: f64,
        /// The interval's ends.
        low: f64,
        /// See `low`.
        high: f64,
        /// The median on the machine that recorded it, in the quantity's unit.
        seen: f64,
    },
    /// The value itself.
    Value {
        /// The median over blocks.
        value: f64,
        /// The interval's ends.
        low: f64,
        /// See `low`.
        high: f64,
    },
}

impl Kept {
    /// The recorded value where the bundled server has this one now.
    pub fn value(self, reference: f64) -> f64 {
        match self {
            Kept::Exactly { exactly } => exactly,
            Kept::Ratio { ratio, .. } => reference * ratio,
            Kept::Value { value, .. } => value,
        }
    }

    /// The interval about it, by the same.
    pub fn interval(self, reference: f64) -> Interval {
        match self {
            Kept::Exactly { exactly } => Interval::new(exactly, exactly),
            Kept::Ratio { low, high, .. } => Interval::new(reference * low, reference * high),
            Kept::Value { low, high, .. } => Interval::new(low, high),
        }
    }
}

/// A comparison with a recording, or one that is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reference {
    /// The first side is the bundled server. Otherwise it is the second side once more: a program that calls
    /// has nothing to be measured by.
    pub beside: bool,
    /// The recording that the second side is compared with; `None`: the second side is recorded.
    pub baseline: Option<Baseline>,
}

//! Resident memory of the subject: at rest, at the wall, as it grows there, and after all had left.

use super::facts::Facts;
use super::known::{Known, MemoryAt, OrWhy, Why};
use super::units::{milli, seconds};
use crate::event::{Nanos, Phase};

/// Readings that are less apart show what is done for the first time, and no rate.
const RATE_OVER: Nanos = 1_000_000_000;

/// Resident memory of all processes of the subject; memory that they share counts in each.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// With the descriptors at rest.
    pub rest_bytes: Known<u64>,
    /// When the wall was reached.
    pub wall_bytes: Known<u64>,
    /// While it was watched there; negative when it shrank.
    pub growth_bytes_per_s: Known<f64>,
    /// After all clients had left.
    pub after_bytes: Known<u64>,
}

/// Reads the memory at the moments that matter.
pub(super) fn memory(facts: &Facts<'_>) -> Memory {
    let read = |from: Nanos, until: Nanos| {
        let all = facts.readings.beside.iter().filter(move |(at, ..)| (from..until).contains(at));
        all.filter_map(|(at, resident, _)| Some((*at, (*resident)?)))
    };
    let phases = &facts.phases;
    let at_wall: Vec<(Nanos, u64)> = read(facts.wall_begins(), phases.released_from()).collect();
    let growth = match at_wall.first().zip(at_wall.last()).filter(|(a, b)| b.0 > a.0) {
        None => Known::Unknown(Why::TooFewReadings),
        Some((a, b)) if b.0 - a.0 < RATE_OVER => {
            Known::Unknown(Why::TooShortForARate { watched_s: milli(seconds(b.0 - a.0)) })
        }
        Some((a, b)) => Known::Value(milli((b.1 as f64 - a.1 as f64) / seconds(b.0 - a.0))),
    };
    let rest = read(0, phases.from(Phase::Ramp)).next_back();
    let after = read(phases.from(Phase::Settle), phases.from(Phase::Stop)).next_back();
    let bytes = |read: Option<(Nanos, u64)>, when| read.map(|read| read.1).or_why(Why::MemoryNotRead(when));
    Memory {
        rest_bytes: bytes(rest, MemoryAt::Rest),
        wall_bytes: bytes(at_wall.first().copied(), MemoryAt::Wall),
        growth_bytes_per_s: growth,
        after_bytes: bytes(after, MemoryAt::End),
    }
}

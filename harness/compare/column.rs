//! The values of one quantity over all blocks, and the verdict on them.

use super::quantity::{Quantity, Scale};
use super::record::{Block, Missing, Side};
use super::statistics::{Interval, beyond, blocks_needed, confidence, median};

/// Further blocks are estimated up to this number.
const NEEDED_MAX: usize = 1000;
/// Exact values are believed from this number of starts on.
pub const STARTS_EXACT: usize = 3;

/// How the second side differs from the first: of ratios an interval from `0.9` to `1.1` says from 10 % less
/// to 10 % more.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Both have the same value at every start.
    ExactlySame,
    /// Each has a value of its own at every start.
    Exactly {
        /// Whether the second is better.
        better: bool,
    },
    /// The second is better.
    Better(Interval),
    /// The second is worse.
    Worse(Interval),
    /// They differ by less than the band.
    Same(Interval),
    /// The blocks do not decide.
    Open {
        /// `None`: the blocks are too few for one.
        interval: Option<Interval>,
        /// Further blocks that would be enough, about.
        needs: Option<usize>,
    },
    /// It was not measured in any block.
    Unknown(Missing),
}

impl Change {
    /// Whether it is decided.
    pub fn decided(self) -> bool {
        !matches!(self, Change::Open { .. })
    }
}

/// The values of one quantity, block by block.
#[derive(Debug)]
pub struct Column {
    pub quantity: Quantity,
    pub decides: bool,
    /// Of each side, in every block.
    pub sides: [Vec<f64>; 2],
    /// Logarithms of ratios, or differences: of blocks where both sides have a value.
    pub changes: Vec<f64>,
    missing: Option<Missing>,
}

impl Column {
    pub fn of(quantity: Quantity, blocks: &[&Block], decides: bool) -> Column {
        let side = |side: Side| {
            blocks.iter().filter_map(|block| block.starts[side.at()].values.get(&quantity).copied()).collect()
        };
        let missing = blocks
            .iter()
            .flat_map(|block| &block.starts)
            .find_map(|start| start.missing.get(&quantity).copied());
        Column {
            quantity,
            decides,
            sides: Side::BOTH.map(side),
            changes: blocks.iter().filter_map(|block| change(quantity, block)).collect(),
            missing,
        }
    }

    /// Each side's one value, where it has only one; a single start proves nothing.
    pub fn exact(&self) -> Option<[f64; 2]> {
        let only = |values: &[f64]| {
            let first = *values.first()?;
            (values.len() >= STARTS_EXACT && values.iter().all(|value| *value == first)).then_some(first)
        };
        Some([only(&self.sides[0])?, only(&self.sides[1])?])
    }
}

/// A logarithm as the ratio that it is of.
pub fn shown(scale: Scale, change: f64) -> f64 {
    match scale {
        Scale::Ratio => change.exp(),
        Scale::Difference => change,
    }
}

/// How the second side of a block differs from the first.
pub fn change(quantity: Quantity, block: &Block) -> Option<f64> {
    if let Some(alternated) = block.alternated.get(&quantity) {
        return Some(*alternated);
    }
    let value = |side: Side| block.starts[side.at()].values.get(&quantity).copied();
    let (before, after) = (value(Side::Before)?, value(Side::After)?);
    match quantity.scale() {
        Scale::Ratio => Some((after / before).ln()).filter(|ratio| ratio.is_finite()),
        Scale::Difference => Some(after - before),
    }
}

impl Column {
    /// Anytime-valid p-values against "no difference" and against "not the same within the band".
    pub fn p(&self, band: f64) -> [f64; 2] {
        let mirrored: Vec<f64> = self.changes.iter().map(|value| -value).collect();
        // Two-sided: either tail has half of the probability.
        let differ = 2.0 * f64::min(beyond(&self.changes, 0.0), beyond(&mirrored, 0.0));
        let within = match self.quantity.scale() {
            Scale::Ratio => 2.0 * f64::max(beyond(&self.changes, -band), beyond(&mirrored, -band)),
            Scale::Difference => 1.0,
        };
        [differ, within]
    }

    /// The verdict, where it is known whether the sides differ, and whether they are the same.
    pub fn verdict(&self, differs: (bool, f64), same: (bool, f64), band: f64) -> Change {
        if let Some([before, after]) = self.exact() {
            let less = after < before;
            return match before == after {
                true => Change::ExactlySame,
                false => Change::Exactly { better: less == self.quantity.less_is_better() },
            };
        }
        if self.changes.is_empty() {
            return Change::Unknown(self.missing.unwrap_or(Missing::Exited));
        }
        let scale = self.quantity.scale();
        let interval = |level| confidence(&self.changes, level).map(|end| shown(scale, end));
        let less = median(&self.changes) < 0.0;
        match (same, differs) {
            ((true, level), _) => Change::Same(interval(level)),
            (_, (true, level)) if less == self.quantity.less_is_better() => Change::Better(interval(level)),
            (_, (true, level)) => Change::Worse(interval(level)),
            (_, (false, level)) => {
                let within = if scale == Scale::Ratio { band } else { 0.0 };
                let all = blocks_needed(&self.changes, 0.0, within, level, NEEDED_MAX);
                let needs = all.map(|all| all.saturating_sub(self.changes.len()).max(1));
                let bounded = confidence(&self.changes, level).is_bounded();
                Change::Open { interval: bounded.then(|| interval(level)), needs }
            }
        }
    }
}

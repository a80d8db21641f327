//! The values of one quantity over all blocks, and the verdict on them.

use super::baseline::{Baseline, Kept};
use super::quantity::{Quantity, Scale};
use super::record::{Block, Kind, Missing, Side};
use super::statistics::{Interval, beyond, blocks_needed, confidence, median};

/// Further blocks are estimated up to this number.
const NEEDED_MAX: usize = 1000;
/// A value is exact if so many starts have it, including those of the warm-up and of noise blocks: if a value
/// is one of two by chance, so many starts agree in 3 of 100 comparisons.
pub const STARTS_EXACT: usize = 6;
/// A recorded interval misses the median with a probability of at most this.
const RECORDED_ALPHA: f64 = 0.01;

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
    /// The values of each side, in every block.
    pub sides: [Vec<f64>; 2],
    /// The same, with the starts of the warm-up and of noise blocks.
    starts: [Vec<f64>; 2],
    /// Logarithms of ratios, or differences: of blocks where both sides have a value.
    pub changes: Vec<f64>,
    /// How far off the first side may be, if it was recorded: in the unit of `changes`.
    pub off: Interval,
    missing: Option<Missing>,
}

impl Column {
    /// The values of a quantity. `all`: with the warm-up and the blocks of noise, in which both are the first
    /// side.
    pub fn of(quantity: Quantity, blocks: &[&Block], all: &[&Block], decides: bool) -> Column {
        let started = |side: Side| {
            let of = |block: &&Block| {
                let places = Side::BOTH.into_iter().filter(|place| match block.kind {
                    Kind::Noise => side == Side::Before,
                    _ => *place == side,
                });
                places
                    .filter_map(|place| block.starts[place.at()].values.get(&quantity).copied())
                    .collect::<Vec<_>>()
            };
            all.iter().flat_map(of).collect()
        };
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
            starts: Side::BOTH.map(started),
            changes: blocks.iter().filter_map(|block| change(quantity, block)).collect(),
            off: Interval::new(0.0, 0.0),
            missing,
        }
    }

    /// The same with a recording in place of the first side, which is the bundled server.
    pub fn since(self, baseline: &Baseline) -> Column {
        let Some(kept) = baseline.quantities.get(&self.quantity).copied() else {
            return Column { changes: Vec::new(), missing: Some(Missing::NotRecorded), ..self };
        };
        let recorded = |values: &[f64]| values.iter().map(|value| kept.value(*value)).collect();
        let starts = match kept {
            Kept::Exactly { exactly } => vec![exactly; STARTS_EXACT],
            _ => Vec::new(),
        };
        let scale = self.quantity.scale();
        let apart = |from: f64, to: f64| match scale {
            Scale::Ratio => (to / from).ln(),
            Scale::Difference => to - from,
        };
        let changes: Vec<f64> = match kept {
            Kept::Ratio { ratio, .. } => self.changes.iter().map(|change| change - ratio.ln()).collect(),
            _ => self.sides[1].iter().map(|value| apart(kept.value(1.0), *value)).collect(),
        };
        Column {
            sides: [recorded(&self.sides[0]), self.sides[1].clone()],
            starts: [starts, self.starts[1].clone()],
            changes: changes.into_iter().filter(|change| change.is_finite()).collect(),
            off: kept.interval(1.0).map(|end| apart(kept.value(1.0), end)),
            ..self
        }
    }

    /// The recorded value of the second side; `None`: the blocks do not bound it yet. `beside`: the first
    /// side is the bundled server.
    pub fn kept(&self, beside: bool) -> Option<Kept> {
        if let Some(exactly) = self.exact_side(1) {
            return Some(Kept::Exactly { exactly });
        }
        // A file that people read, and that no later run could repeat to more digits.
        let digits = |value: f64| format!("{value:.4e}").parse().unwrap_or(value);
        let values = &self.sides[1];
        let bounded = |values: &[f64]| {
            Some(confidence(values, RECORDED_ALPHA)).filter(|i| i.is_bounded() && i.low <= i.high)
        };
        match self.quantity.of_machine() {
            true if !beside => None,
            true => {
                let Interval { low, high, .. } = bounded(&self.changes)?.map(|end| digits(end.exp()));
                let ratio = digits(median(&self.changes).exp());
                Some(Kept::Ratio { ratio, low, high, seen: digits(median(values)) })
            }
            false => {
                let Interval { low, high, .. } = bounded(values)?.map(digits);
                Some(Kept::Value { value: digits(median(values)), low, high })
            }
        }
    }

    /// The one value of a side, where it has only one.
    pub fn exact_side(&self, side: usize) -> Option<f64> {
        let all = &self.starts[side];
        let first = *all.first()?;
        (all.len() >= STARTS_EXACT && all.iter().all(|value| *value == first)).then_some(first)
    }

    /// Each side's one value.
    pub fn exact(&self) -> Option<[f64; 2]> {
        Some([self.exact_side(0)?, self.exact_side(1)?])
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

/// Anytime-valid p-values of a column.
#[derive(Debug, Clone, Copy)]
pub struct Probable {
    /// Against "the second side's median is not larger", two-sided.
    pub more: f64,
    /// Against "it is not smaller", two-sided.
    pub less: f64,
    /// Against "they differ by more than the band".
    pub same: f64,
}

/// Whether a claim is made, and the level that it was held against.
pub type Claim = (bool, f64);

impl Column {
    /// The p-values of the claims about it.
    pub fn probable(&self, band: f64) -> Probable {
        let mirrored: Vec<f64> = self.changes.iter().map(|value| -value).collect();
        // Either tail has half of the probability.
        let both = |p: f64| (2.0 * p).min(1.0);
        Probable {
            more: both(beyond(&self.changes, self.off.high)),
            less: both(beyond(&mirrored, -self.off.low)),
            same: match self.quantity.scale() {
                Scale::Ratio => both(f64::max(
                    beyond(&self.changes, self.off.high - band),
                    beyond(&mirrored, -self.off.low - band),
                )),
                Scale::Difference => 1.0,
            },
        }
    }

    /// The verdict, where it is known which claims are made.
    pub fn verdict(&self, probable: Probable, differs: Claim, same: Claim, band: f64) -> Change {
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
        let raw = |level| {
            let of_changes = confidence(&self.changes, level);
            Interval::new(of_changes.low - self.off.high, of_changes.high - self.off.low)
        };
        let interval = |level| raw(level).map(|end| shown(scale, end));
        let (differs, level) = differs;
        // If early blocks showed one thing and later ones the contrary, the compared program has changed
        // meanwhile.
        let turned = |level| raw(level).low > raw(level).high;
        let both = probable.more <= level && probable.less <= level;
        let same = (same.0 && !turned(same.1), same.1);
        // A difference has no band: none at all, by the interval, is the same.
        let none = scale == Scale::Difference && raw(level) == Interval::new(0.0, 0.0);
        let less = probable.less < probable.more;
        match (same, differs && !both && !turned(level)) {
            ((true, level), _) => Change::Same(interval(level)),
            _ if none => Change::Same(interval(level)),
            (_, true) if less == self.quantity.less_is_better() => Change::Better(interval(level)),
            (_, true) => Change::Worse(interval(level)),
            (_, false) => {
                let within = if scale == Scale::Ratio { band } else { 0.0 };
                let all = blocks_needed(&self.changes, 0.0, within, level, NEEDED_MAX);
                let needs = all
                    .map(|all| all.saturating_sub(self.changes.len()).max(1))
                    .filter(|_| !both && !turned(level));
                let known = raw(level).is_bounded() && raw(level).low <= raw(level).high;
                Change::Open { interval: known.then(|| interval(level)), needs }
            }
        }
    }
}

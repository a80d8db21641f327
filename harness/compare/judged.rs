//! Verdicts on bounds, by values that do not vary or by probability.

use super::bound::{Bound, Limit};
use super::column::Column;
use super::record::Side;
use super::statistics::{holm, mostly};

/// The verdict on a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judged {
    /// It is kept.
    Kept,
    /// It is broken.
    Broken,
    /// The blocks do not decide.
    Open,
    /// The quantity was not measured.
    NotMeasured,
}

/// The evidence of the blocks about a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// The quantity was not measured.
    None,
    /// It never varies: the bound is kept, or not.
    Exact(bool),
    /// Anytime-valid p-values against "it is not kept" and against "it is kept".
    Probable {
        /// Small: it is kept.
        kept: f64,
        /// Small: it is broken.
        broken: f64,
    },
}

/// The evidence of the blocks about a bound: values that do not vary count themselves, otherwise their median
/// counts.
pub(super) fn evidence(bound: &Bound, columns: &[Column]) -> Evidence {
    let Some(column) = columns.iter().find(|column| column.quantity == bound.quantity) else {
        return Evidence::None;
    };
    // If more is better, the logarithm changes its sign: then less is better for every quantity.
    let sign = if bound.quantity.less_is_better() { 1.0 } else { -1.0 };
    let by = |share: f64| sign * (1.0 + sign * share).ln();
    let kept = |value: f64| match bound.limit {
        Limit::AtMost(most) => value <= most,
        Limit::Below(below) => value < below,
        Limit::AtLeast(least) => value >= least,
        Limit::NoWorse(share) => sign * value <= by(share),
        Limit::Better(share) => sign * value <= by(-share),
    };
    let absolute = !matches!(bound.limit, Limit::NoWorse(_) | Limit::Better(_));
    let after = Side::After.at();
    let (exact, values) = match absolute {
        true => (column.exact_side(after), &column.sides[after]),
        false => {
            let ratio = |[before, after]: [f64; 2]| if before == after { 0.0 } else { (after / before).ln() };
            (column.exact().map(ratio), &column.changes)
        }
    };
    match exact {
        _ if values.is_empty() => Evidence::None,
        Some(value) => Evidence::Exact(kept(value)),
        None => {
            // The recorded side at its best, and at its worst.
            let (best, worst) = match absolute {
                true => (0.0, 0.0),
                false if sign > 0.0 => (column.off.low, column.off.high),
                false => (column.off.high, column.off.low),
            };
            Evidence::Probable {
                kept: mostly(values.iter().map(|value| kept(*value - best))),
                broken: mostly(values.iter().map(|value| !kept(*value - worst))),
            }
        }
    }
}

/// The verdicts on several bounds. Those that are decided by probability share the probability of a false
/// verdict.
pub(super) fn judged(evidence: &[Evidence], alpha: f64) -> Vec<Judged> {
    let claimed = |of: fn(&Evidence) -> f64| holm(&evidence.iter().map(of).collect::<Vec<_>>(), alpha);
    let kept = claimed(|evidence| if let Evidence::Probable { kept, .. } = evidence { *kept } else { 1.0 });
    let broken =
        claimed(|evidence| if let Evidence::Probable { broken, .. } = evidence { *broken } else { 1.0 });
    let judge = |(at, evidence): (usize, &Evidence)| match (evidence, kept[at].0, broken[at].0) {
        (Evidence::None, ..) => Judged::NotMeasured,
        (Evidence::Exact(true), ..) | (_, true, false) => Judged::Kept,
        (Evidence::Exact(false), ..) | (_, false, true) => Judged::Broken,
        // Both at different times: the compared program has changed meanwhile.
        (Evidence::Probable { .. }, ..) => Judged::Open,
    };
    evidence.iter().enumerate().map(judge).collect()
}

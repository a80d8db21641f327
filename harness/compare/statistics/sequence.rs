//! An anytime-valid interval of a median: it may be looked at after each block, and stopped at any of them,
//! and still covers the median with the probability asked for over the whole course.
//!
//! A bet on each block: if the median is `m`, a value lies above `m` with a probability of at most one half,
//! whatever came before. A gambler who stakes on "above" at fair odds for one half then gains nothing on
//! average, so by Ville's inequality (1939) the fortune reaches 1/α with a probability of at most α, ever.
//! The stake is mixed over all probabilities above one half by the Jeffreys prior, so nothing has to be
//! tuned. Values for `m` at which neither gambler (above, below) has got rich make the interval. It assumes
//! no distribution: no variance, no symmetry, no bound; only that blocks are as likely to lie above the
//! median as below it. Howard and Ramdas, *Sequential estimation of quantiles with applications to A/B
//! testing and best-arm identification* (2022), have the general case.

use super::bootstrap::Interval;
use statrs::function::beta::{beta_reg, ln_beta};

/// The Jeffreys prior of a probability: Beta(1/2, 1/2).
const PRIOR: f64 = 0.5;

/// Natural logarithm of the fortune after `hits` of `n` bets on something that happens at most half of the
/// time.
fn fortune(hits: usize, n: usize) -> f64 {
    let (a, b) = (hits as f64 + PRIOR, (n - hits) as f64 + PRIOR);
    // The prior above one half has half of its mass.
    let above = (2.0 * beta_reg(b, a, 0.5)).ln();
    n as f64 * std::f64::consts::LN_2 + ln_beta(a, b) - ln_beta(PRIOR, PRIOR) + above
}

/// The smallest number of hits of `n` whose fortune reaches `1/alpha`; `None`: not even all of them.
fn hits_needed(n: usize, alpha: f64) -> Option<usize> {
    (n / 2..=n).find(|hits| fortune(*hits, n) >= -alpha.ln())
}

/// The confidence sequence of the median at level `1 - alpha`, as far as it has come: the values that all
/// intervals so far have in common. An end that is not bounded yet is infinite.
pub fn confidence(values: &[f64], alpha: f64) -> Interval {
    let mut sorted: Vec<f64> = Vec::with_capacity(values.len());
    let mut common = Interval::new(f64::NEG_INFINITY, f64::INFINITY);
    for value in values {
        sorted.insert(sorted.partition_point(|other| other < value), *value);
        // So many values above a median below this one would have been too much luck.
        if let Some(hits) = hits_needed(sorted.len(), alpha / 2.0) {
            common.low = common.low.max(sorted[sorted.len() - hits]);
            common.high = common.high.min(sorted[hits - 1]);
        }
    }
    common
}

/// An anytime-valid p-value against "it happens at most half of the time", by the largest fortune on the way.
pub fn mostly(happens: impl IntoIterator<Item = bool>) -> f64 {
    let (mut hits, mut best) = (0, 0.0_f64);
    for (at, hit) in happens.into_iter().enumerate() {
        hits += usize::from(hit);
        best = best.max(fortune(hits, at + 1));
    }
    (-best).exp()
}

/// The same against "the median is at most `bound`".
pub fn beyond(values: &[f64], bound: f64) -> f64 {
    mostly(values.iter().map(|value| *value > bound))
}

/// Blocks that would decide, about: after which the interval, if further values are as those so far, keeps to
/// one side of `apart` or inside of `within` about it. `None`: more than `most`.
pub fn blocks_needed(values: &[f64], apart: f64, within: f64, alpha: f64, most: usize) -> Option<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |share: f64| sorted[((share * sorted.len() as f64) as usize).min(sorted.len() - 1)];
    let decides = |n: &usize| {
        let Some(hits) = hits_needed(*n, alpha / 2.0) else { return false };
        let (low, high) = (quantile((n - hits) as f64 / *n as f64), quantile((hits - 1) as f64 / *n as f64));
        low > apart || high < apart || (low > apart - within && high < apart + within)
    };
    let mut n = values.len().max(4);
    while n <= most {
        if decides(&n) {
            return Some(n);
        }
        n += n.div_ceil(8);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fortune_is_the_mean_of_all_stakes() {
        // By hand: the integral of (2p)^k (2(1-p))^(n-k) over the prior above one half, as a sum over many
        // strips.
        let by_strips = |hits: i32, n: i32| {
            let strips = 2_000_000;
            let angle = |i: i32| (f64::from(i) + 0.5) / f64::from(strips) * std::f64::consts::FRAC_PI_4;
            // p = sin²(x) turns the prior into a constant.
            let stake = |x: f64| {
                let p = x.sin().powi(2);
                (2.0 * p).powi(hits) * (2.0 * (1.0 - p)).powi(n - hits)
            };
            (0..strips).map(|i| stake(std::f64::consts::FRAC_PI_4 + angle(i))).sum::<f64>()
                / f64::from(strips)
        };
        for (hits, n) in [(0, 1), (1, 1), (7, 7), (12, 20), (3, 20), (60, 100)] {
            let (ours, theirs) = (fortune(hits as usize, n as usize).exp(), by_strips(hits, n));
            assert!((ours / theirs - 1.0).abs() < 1e-4, "{hits} of {n}: {ours} and not {theirs}");
        }
    }

    #[test]
    fn seven_blocks_of_one_sign_decide_and_six_do_not() {
        let values: Vec<f64> = (1..=7).map(f64::from).collect();
        assert_eq!(confidence(&values, 0.05), Interval::new(1.0, 7.0));
        assert_eq!(confidence(&values[..6], 0.05), Interval::new(f64::NEG_INFINITY, f64::INFINITY));
        assert!(beyond(&values, 0.0) < 0.025 && beyond(&values[..6], 0.0) > 0.025);
    }

    #[test]
    fn no_values_say_nothing() {
        assert_eq!(confidence(&[], 0.05), Interval::new(f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(beyond(&[], 0.0), 1.0);
    }

    #[test]
    fn values_equal_to_the_bound_are_no_evidence() {
        assert!(beyond(&[0.0; 100], 0.0) > 0.9);
    }
}

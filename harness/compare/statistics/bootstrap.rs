//! The interval of a median by the bias-corrected and accelerated bootstrap (BCa; Efron 1987): a description
//! of the blocks that were made, at a fixed number of them. It decides nothing.

use statrs::distribution::{ContinuousCDF, Normal};

/// Both ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// From one end to the other.
    pub const fn new(low: f64, high: f64) -> Interval {
        Interval { low, high }
    }

    /// Whether both ends are known.
    pub fn is_bounded(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    /// Both ends changed alike, by a function that grows.
    pub fn map(self, change: impl Fn(f64) -> f64) -> Interval {
        Interval { low: change(self.low), high: change(self.high) }
    }
}

/// The middle value, or the mean of the two in the middle; `NaN` of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// A statistic of each of so many resamples with replacement, from this seed.
pub fn bootstrap(values: &[f64], statistic: impl Fn(&[f64]) -> f64, resamples: usize, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut drawn = vec![0.0; values.len()];
    let resample = |_| {
        drawn.iter_mut().for_each(|value| *value = values[random.usize(..values.len())]);
        statistic(&drawn)
    };
    (0..resamples).map(resample).collect()
}

/// A statistic of the values without each of them in turn.
pub fn jackknife(values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let without = |left_out: usize| {
        let kept = values.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, value)| *value);
        statistic(&kept.collect::<Vec<_>>())
    };
    (0..values.len()).map(without).collect()
}

/// The BCa interval: percentiles of the bootstrap distribution, moved by its bias about the estimate and by
/// the skewness that the jackknife shows. `None` where the distribution lies on one side of the estimate, or
/// is empty.
pub fn bca(estimate: f64, bootstrap: &[f64], jackknife: &[f64], level: f64) -> Option<Interval> {
    let normal = Normal::standard();
    let mut sorted = bootstrap.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Many resamples of a median are equal to the estimate: they count half.
    let below = sorted.iter().filter(|value| **value < estimate).count() as f64;
    let equal = sorted.iter().filter(|value| **value == estimate).count() as f64;
    let share = (below + equal / 2.0) / sorted.len() as f64;
    let bias = normal.inverse_cdf(share);
    let mean = jackknife.iter().sum::<f64>() / jackknife.len() as f64;
    let (squares, cubes) = jackknife.iter().fold((0.0, 0.0), |(squares, cubes), value| {
        let apart = mean - value;
        (squares + apart.powi(2), cubes + apart.powi(3))
    });
    let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
    let end = |quantile: f64| {
        let z = bias + normal.inverse_cdf(quantile);
        percentile(&sorted, normal.cdf(bias + z / (1.0 - acceleration * z)))
    };
    let tail = (1.0 - level) / 2.0;
    bias.is_finite().then(|| Interval::new(end(tail), end(1.0 - tail)))
}

/// The value at this share of sorted values, between two of them by proportion.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

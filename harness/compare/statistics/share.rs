//! How often something happened, and how sure that is.

use super::bootstrap::Interval;
use statrs::distribution::{Beta, ContinuousCDF};

/// The interval of a share, from so many of so many, at 95 % (Clopper and Pearson, 1934).
pub fn share(hits: u64, of: u64) -> Interval {
    let (hits, misses) = (hits as f64, (of - hits) as f64);
    let quantile = |a: f64, b: f64, at: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(at));
    let low = if hits == 0.0 { 0.0 } else { quantile(hits, misses + 1.0, 0.025) };
    let high = if misses == 0.0 { 1.0 } else { quantile(hits + 1.0, misses, 0.975) };
    Interval::new(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_as_in_the_tables() {
        let close = |interval: Interval, low: f64, high: f64| {
            assert!((interval.low - low).abs() < 1e-3 && (interval.high - high).abs() < 1e-3, "{interval:?}");
        };
        close(share(0, 20), 0.0, 0.1684);
        close(share(1, 20), 0.0013, 0.2487);
        close(share(19, 20), 0.7513, 0.9987);
        close(share(20, 20), 0.8316, 1.0);
    }
}

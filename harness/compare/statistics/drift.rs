//! Whether values move with time: Spearman's rank correlation of the values with their order. Blocks that
//! drift are no repetitions of one thing.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// How values move with their order.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// Spearman's ρ, from -1 to 1.
    pub rho: f64,
    /// Two-sided p-value, by Student's t with n − 2 degrees of freedom.
    pub p: f64,
}

/// The drift of values in the order of time; `None` of fewer than five, or of values that are all the same.
pub fn drift(values: &[f64]) -> Option<Drift> {
    let n = values.len();
    if n < 5 {
        return None;
    }
    let ranks = ranks(values);
    let middle = (n as f64 + 1.0) / 2.0;
    let (mut both, mut own, mut time) = (0.0, 0.0, 0.0);
    for (at, rank) in ranks.iter().enumerate() {
        let (a, b) = (rank - middle, at as f64 + 1.0 - middle);
        (both, own, time) = (both + a * b, own + a * a, time + b * b);
    }
    if own == 0.0 {
        return None;
    }
    let rho = both / (own * time).sqrt();
    let freedom = n as f64 - 2.0;
    let t = rho * (freedom / (1.0 - rho * rho).max(f64::MIN_POSITIVE)).sqrt();
    let p = 2.0 * (1.0 - StudentsT::new(0.0, 1.0, freedom).ok()?.cdf(t.abs()));
    Some(Drift { rho, p })
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|value| below(*value) + (equal(*value) + 1.0) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_drifts_and_what_alternates_does_not() {
        let rises: Vec<f64> = (0..10).map(|n| f64::from(n) + f64::from(n % 2)).collect();
        assert!(drift(&rises).unwrap().rho > 0.9 && drift(&rises).unwrap().p < 0.001);
        let alternates: Vec<f64> = (0..20).map(|n| f64::from(n % 2)).collect();
        assert!(drift(&alternates).unwrap().p > 0.5);
        assert_eq!((drift(&[1.0; 20]), drift(&[1.0, 2.0])), (None, None));
    }
}

//! Welch's t-test, as people use it who measure one side after the other: here to show what that does, not to
//! decide.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The two-sided p-value of Welch's t for two samples; `None` of fewer than two values, or of values that do
/// not vary.
pub fn welch(a: &[f64], b: &[f64]) -> Option<f64> {
    let of = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (n, mean, variance / n)
    };
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let ((n, mean_a, a), (m, mean_b, b)) = (of(a), of(b));
    if a + b <= 0.0 {
        return None;
    }
    let t = (mean_a - mean_b) / (a + b).sqrt();
    let freedom = (a + b).powi(2) / (a.powi(2) / (n - 1.0) + b.powi(2) / (m - 1.0));
    Some(2.0 * (1.0 - StudentsT::new(0.0, 1.0, freedom).ok()?.cdf(t.abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_that_of_scipy() {
        // scipy.stats.ttest_ind(a, b, equal_var=False).
        let p = welch(&[1.0, 2.0, 3.0, 4.0, 5.0], &[4.0, 5.0, 6.0, 7.0, 8.0, 5.0]).unwrap();
        assert!((p - EXPECTED).abs() < 1e-6, "{p}");
        assert_eq!((welch(&[1.0], &[1.0, 2.0]), welch(&[1.0; 3], &[1.0; 3])), (None, None));
    }

    const EXPECTED: f64 = 0.014922150090232527;
}

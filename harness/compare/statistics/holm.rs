//! Several questions asked at once: the step-down rule of Holm (1979), which keeps the probability of any
//! false answer at α.

/// Whether each of these p-values is rejected, and the level that it was held against; all are tested
/// together at level `alpha`.
pub fn holm(p: &[f64], alpha: f64) -> Vec<(bool, f64)> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut asked = vec![(false, alpha); p.len()];
    let mut rejects = true;
    let mut level = alpha;
    for (step, at) in order.into_iter().enumerate() {
        if rejects {
            level = alpha / (p.len() - step) as f64;
            rejects = p[at] <= level;
        }
        asked[at] = (rejects, level);
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_allowed_a_little_more_and_the_first_refusal_ends_it() {
        let rejected = |p: &[f64]| holm(p, 0.05).iter().map(|(rejected, _)| *rejected).collect::<Vec<_>>();
        assert_eq!(rejected(&[0.02, 0.01, 0.04]), [true, true, true]);
        assert_eq!(rejected(&[0.03, 0.01, 0.04]), [false, true, false]);
        assert_eq!(rejected(&[0.02, 0.02, 0.001]), [true, true, true]);
        assert_eq!(holm(&[0.03, 0.01], 0.05), [(true, 0.05), (true, 0.025)]);
        assert_eq!(holm(&[0.5, 0.01, 0.04], 0.05), [(false, 0.025), (true, 0.05 / 3.0), (false, 0.025)]);
        assert_eq!(rejected(&[]), [false; 0]);
    }
}

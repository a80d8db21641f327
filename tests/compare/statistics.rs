//! The statistics against references: BCa against SciPy, coverage by simulation.

use lastfd::internal::compare::statistics::{bca, bootstrap, confidence, jackknife, median};
use serde_json::Value;

/// Samples, their bootstrap distributions, and SciPy's interval for each; `tests/data/bca.py` writes it.
const FIXTURES: &str = include_str!("../data/bca.json");

#[test]
fn bca_intervals_are_scipys_given_the_same_resamples() {
    let fixtures: Vec<Value> = serde_json::from_str(FIXTURES).expect("JSON");
    assert!(fixtures.len() >= 8);
    let numbers =
        |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
    for fixture in fixtures {
        let sample = numbers(&fixture["sample"]);
        let statistic: fn(&[f64]) -> f64 = match fixture["statistic"].as_str() {
            Some("median") => median,
            _ => |values| values.iter().sum::<f64>() / values.len() as f64,
        };
        let distribution = numbers(&fixture["bootstrap"]);
        let level = fixture["level"].as_f64().unwrap();
        let ours = bca(statistic(&sample), &distribution, &jackknife(&sample, statistic), level)
            .expect("an interval");
        for (end, theirs) in [(ours.low, &fixture["low"]), (ours.high, &fixture["high"])] {
            let theirs = theirs.as_f64().unwrap();
            assert!(
                (end - theirs).abs() <= 1e-7 * theirs.abs().max(1.0),
                "{end} and not {theirs}: {}",
                fixture["name"]
            );
        }
    }
}

/// A sample whose true median is zero: normal, heavy tails, drift, or a burst.
fn sample(n: usize, random: &mut fastrand::Rng, kind: u64) -> Vec<f64> {
    let burst = random.usize(..n);
    let slope = 0.02 * (random.f64() - 0.5);
    let mut gauss =
        || (-2.0 * random.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos();
    (0..n)
        .map(|at| {
            let own = gauss() * 0.03;
            match kind % 4 {
                0 => own,
                1 => own / ((gauss().powi(2) + gauss().powi(2)) / 2.0).sqrt(),
                2 => own + slope * (at as f64 / n as f64 - 0.5) * 2.0,
                _ if (burst..burst + n / 6).contains(&at) => own * 10.0,
                _ => own,
            }
        })
        .collect()
}

/// How often each interval covers the true median: BCa at a fixed number of blocks, the sequence at every
/// number of them.
fn coverage(rounds: u64, blocks: usize) -> (f64, f64) {
    let (mut described, mut always) = (0, 0);
    for round in 0..rounds {
        let mut random = fastrand::Rng::with_seed(round);
        let values = sample(blocks, &mut random, round);
        let interval =
            bca(median(&values), &bootstrap(&values, median, 999, round), &jackknife(&values, median), 0.95);
        described += u64::from(interval.is_some_and(|interval| interval.low <= 0.0 && 0.0 <= interval.high));
        let interval = confidence(&values, 0.05);
        always += u64::from(interval.low <= 0.0 && 0.0 <= interval.high);
    }
    (described as f64 / rounds as f64, always as f64 / rounds as f64)
}

#[test]
fn intervals_cover_the_median_as_often_as_they_say() {
    let (described, always) = coverage(200, 30);
    // Of 200 at 93 % to 97 %, and a standard error of 1.6 %.
    assert!((0.89..=0.99).contains(&described), "BCa: {described}");
    assert!(always >= 0.92, "the sequence: {always}");
}

/// `cargo test --release --test tests -- --ignored --nocapture coverage_of_ten_thousand`
#[test]
#[ignore = "minutes: 10,000 simulated comparisons"]
fn coverage_of_ten_thousand() {
    let (described, always) = coverage(10_000, 30);
    println!(
        "of 10000 simulated comparisons of 30 blocks: BCa covers {described}, the sequence at every look {always}"
    );
    assert!((0.93..=0.97).contains(&described) && always >= 0.95);
}

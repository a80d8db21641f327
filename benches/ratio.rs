//! Pairs of measurements taken in turn, and the ratio of each pair: other load on the machine meets both.

use criterion::{Criterion, SamplingMode};
use std::time::Duration;

/// Has criterion call `pair` about as often as fits into `within`, ten times at least; each call measures
/// both sides and returns ours.
pub fn in_turn(criterion: &mut Criterion, name: &str, within: Duration, mut pair: impl FnMut() -> Duration) {
    let mut group = criterion.benchmark_group("in turn");
    group.sampling_mode(SamplingMode::Flat).measurement_time(within);
    group.bench_function(name, |b| b.iter_custom(|pairs| (0..pairs).map(|_| pair()).sum()));
    group.finish();
}

/// The bound of a ratio.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// Costs: the less the better.
    AtMost(f64),
    /// Rates: the more the better.
    AtLeast(f64),
    /// Only shown.
    None,
}

/// Both sides of every pair, in one unit.
#[derive(Debug, Default)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Takes one pair.
    pub fn take(&mut self, ours: f64, floor: f64) {
        self.0.push((ours, floor));
    }

    /// Prints the median of the ratios, where their middle half lies, and whether the bound is kept. Prints
    /// nothing when a filter of criterion's left the benchmark out.
    pub fn print(&self, what: &str, unit: &str, bound: Bound) {
        if self.0.is_empty() {
            return;
        }
        let sorted = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = self.0.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (ratios, ours, floor) = (sorted(|p| p.0 / p.1), sorted(|p| p.0), sorted(|p| p.1));
        let at = |values: &[f64], share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let ratio = at(&ratios, 0.5);
        let verdict = match bound {
            Bound::AtMost(most) => format!("at most {most:.2}: {}", within(ratio <= most)),
            Bound::AtLeast(least) => format!("at least {least:.2}: {}", within(ratio >= least)),
            Bound::None => "no bound".into(),
        };
        println!(
            "ratio {what} = {ratio:.2} ({verdict}); {} {unit} / {} {unit}, middle half {:.2}–{:.2} of {} pairs\n",
            figure(at(&ours, 0.5)),
            figure(at(&floor, 0.5)),
            at(&ratios, 0.25),
            at(&ratios, 0.75),
            ratios.len()
        );
    }
}

/// Prints one figure that has a bound of its own, for what has no floor.
pub fn print_share(what: &str, value: f64, most: f64, unit: &str) {
    let share = value / most;
    println!(
        "ratio {what} = {share:.2} (at most 1: {}); {} {unit} of {} {unit}\n",
        within(share <= 1.0),
        figure(value),
        figure(most)
    );
}

fn within(kept: bool) -> &'static str {
    if kept { "within" } else { "MISSED" }
}

fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

//! How long the launch, the way to the wall and the whole run took.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use super::units::seconds;

/// How long things took, seconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// From the subject's exec until it listens.
    pub launch_s: Known<f64>,
    /// From the subject's exec to its first failed descriptor call.
    pub to_first_failure_s: Known<f64>,
    /// The whole run.
    pub total_s: Known<f64>,
    /// From the run's start to the subject's exec: the zero point of what people read.
    #[serde(skip)]
    pub started_s: f64,
}

/// Reads the times.
pub(super) fn timings(facts: &Facts<'_>) -> Timings {
    let exec = facts.readings.launched.as_ref().map_or(0, |launched| launched.at);
    let since = |at: u64| seconds(at.saturating_sub(exec));
    let total = (!facts.is_empty()).then(|| seconds(facts.phases.end));
    Timings {
        launch_s: facts.readings.listening.first().map(|ready| since(ready.at)).or_why(Why::NeverListened),
        to_first_failure_s: facts.holdings.first.map(|first| since(first.at)).or_why(Why::NoFailureAfterRamp),
        total_s: total.or_why(Why::LogEmpty),
        started_s: seconds(exec),
    }
}

//! How long the launch, the way to the wall and the whole run took.

use super::facts::{Facts, Window};
use super::in_children::InChildren;
use super::known::{Known, OrWhy, Why};
use super::units::seconds;
use crate::event::{Ended, Phase};

/// A step of the run that ended.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Took {
    /// Which.
    pub phase: Phase,
    /// How long it took, seconds.
    pub took_s: f64,
    /// Why it ended then, as the run recorded it.
    pub ended: Ended,
}

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
    /// Each step of the run, in order; one that is repeated, each time.
    pub phases: Vec<Took>,
    /// From the run's start to the subject's exec: the zero point of what people read.
    #[serde(skip)]
    pub started_s: f64,
}

/// Reads the times.
pub(super) fn timings(facts: &Facts<'_>, in_children: Option<&InChildren>) -> Timings {
    let exec = facts.readings.launched.as_ref().map_or(0, |launched| launched.at);
    let since = |at: u64| seconds(at.saturating_sub(exec));
    let first = facts.holdings.first.map(|first| first.at).or(in_children.map(|failed| failed.at));
    let total = (!facts.is_empty()).then(|| seconds(facts.phases.end));
    Timings {
        launch_s: facts.readings.listening.first().map(|ready| since(ready.at)).or_why(Why::NeverListened),
        to_first_failure_s: first.map(since).or_why(Why::NoFailureAfterRamp),
        total_s: total.or_why(Why::LogEmpty),
        phases: facts.phases.spans().into_iter().map(took).collect(),
        started_s: seconds(exec),
    }
}

fn took((phase, window, ended): (Phase, Window, Ended)) -> Took {
    Took { phase, took_s: seconds(window.until - window.from), ended }
}

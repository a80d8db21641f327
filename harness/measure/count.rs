//! Connections by the growth of `/proc`'s descriptor count: the witness that needs no observer.

use super::baseline::Baseline;
use super::facts::{Both, Facts};
use super::limits::LimitsFound;
use super::prediction::Prediction;

/// The values that turn a descriptor count into connections.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    rest: Option<u64>,
    counted: Option<u64>,
    soft: Option<u64>,
    each: Option<f64>,
}

impl Scale {
    pub fn new(limits: &LimitsFound, baseline: &Baseline, prediction: &Prediction) -> Self {
        Scale {
            rest: baseline.descriptors.value(),
            counted: baseline.counted.value(),
            soft: limits.effective.value().map(|limits| limits.soft),
            each: prediction.measured_cost(),
        }
    }

    /// Connections that a count stands for; `None` where that cannot be said.
    pub fn connections(&self, both: Both) -> Option<u64> {
        // More than can be open: calls that return no number, such as socketpair, are not seen to be undone.
        if self.soft.is_some_and(|soft| both.others > i64::try_from(soft).unwrap_or(i64::MAX)) {
            return None;
        }
        // A descriptor of rest that was closed made room for one more of the connections'.
        let growth = (both.descriptors + both.rest_gone).saturating_sub(self.rest?);
        let opened = both.others.saturating_add_unsigned(both.rest_gone);
        Some(match self.each {
            // If both counts are the same, there is nothing to scale: descriptors that a connection cost at
            // first may be closed.
            _ if opened != 0 || growth == both.held => growth.saturating_add_signed(-opened),
            Some(each) => (growth as f64 / each).floor() as u64,
            None => growth,
        })
    }

    /// Numbers below the limit that are free at rest; `None` where that is not known.
    pub fn room(&self) -> Option<u64> {
        Some(self.soft?.saturating_sub(self.counted?))
    }

    /// Whether a count leaves no number below the limit.
    fn full(&self, both: Both) -> Option<bool> {
        let above_the_limit = self.rest?.saturating_sub(self.counted?);
        Some(both.descriptors.saturating_sub(above_the_limit) >= self.soft?)
    }
}

/// The reading of `/proc`, just before the probes, for a subject whose accepts nobody saw.
pub(super) struct Grown {
    /// Connections held by the process that was sampled.
    pub held: u64,
    /// Whether it had no number left.
    pub full: bool,
}

/// Connections by the growth of the descriptor count alone; `None` where it was not sampled.
pub(super) fn grown(facts: &Facts<'_>, scale: &Scale) -> Option<Grown> {
    let both = facts.holdings.at_watch?;
    Some(Grown { full: scale.full(both)?, held: scale.connections(both)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_scaled_only_where_the_calls_do_not_say_the_same() {
        let scale = Scale { rest: Some(7), counted: Some(7), soft: Some(256), each: Some(1.625) };
        let both =
            |descriptors, held, others| Both { pid: 1, descriptors, held, others, rest_gone: 0, still: true };
        // A proxy whose idle connections to its upstream are closed by now.
        assert_eq!(scale.connections(both(128, 121, 0)), Some(121));
        assert_eq!(scale.connections(both(128, 100, 21)), Some(100));
        assert_eq!(
            scale.connections(both(128, 74, 0)),
            Some(74),
            "descriptors that no call was seen to open"
        );
    }

    #[test]
    fn a_process_that_holds_nobody_and_has_closed_its_listener_counts_nobody() {
        let scale = Scale { rest: Some(6), counted: Some(6), soft: Some(64), each: None };
        let both = Both { pid: 1, descriptors: 5, held: 0, others: -1, rest_gone: 1, still: true };
        assert_eq!(scale.connections(both), Some(0));
    }
}

//! The ceiling as it was predicted, before it was reached.

use super::facts::{Facts, Predicted};
use super::known::{Known, OrWhy, Why};
use crate::event::Formula;

/// The ceiling as it was predicted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// Connections.
    pub ceiling: Known<u64>,
    /// The arithmetic.
    pub formula: Known<Formula>,
    /// Assumed to be one, or calibrated.
    pub descriptors_per_connection: Known<f64>,
    /// Clients that the cost was measured with; 0: assumed.
    pub calibrated_with: Known<u32>,
    /// The prediction before the first client, if calibration changed it.
    pub before_first_client: Option<u64>,
}

impl Prediction {
    /// Descriptors that a connection cost the calibration clients; `None` if that was only assumed.
    pub fn measured_cost(&self) -> Option<f64> {
        let measured = self.calibrated_with.value().unwrap_or(0) > 0;
        // No connection takes less than one: where some seemed to, they are not to be counted by what they
        // take.
        self.descriptors_per_connection.value().filter(|each| measured && *each >= 1.0)
    }
}

/// The last prediction. One that was withdrawn is followed by none.
pub(super) fn prediction(facts: &Facts<'_>) -> Prediction {
    let withdrawn = facts.readings.predicted.iter().position(|p| matches!(p, Predicted::Withdrawn { .. }));
    let valid = &facts.readings.predicted[..withdrawn.map_or(facts.readings.predicted.len(), |at| at + 1)];
    let first = valid
        .iter()
        .find_map(|p| if let Predicted::Ceiling { ceiling, .. } = p { Some(*ceiling) } else { None });
    let finite = |each: f64| Some(each).filter(|each| each.is_finite()).or_why(Why::NotFinite);
    match valid.last() {
        None => Prediction {
            ceiling: Known::Unknown(Why::NothingPredicted),
            formula: Known::Unknown(Why::NothingPredicted),
            descriptors_per_connection: Known::Unknown(Why::NothingPredicted),
            calibrated_with: Known::Unknown(Why::NothingPredicted),
            before_first_client: None,
        },
        Some(Predicted::Ceiling { ceiling, formula, descriptors_per_connection, calibrated_with }) => {
            Prediction {
                ceiling: Known::Value(*ceiling),
                formula: Known::Value((*formula).clone()),
                descriptors_per_connection: finite(*descriptors_per_connection),
                calibrated_with: Known::Value(*calibrated_with),
                before_first_client: first.filter(|first| first != ceiling),
            }
        }
        Some(Predicted::Withdrawn { reason, descriptors_per_connection, calibrated_with }) => Prediction {
            ceiling: Known::Unknown(Why::Said((*reason).to_owned())),
            formula: Known::Unknown(Why::Said((*reason).to_owned())),
            descriptors_per_connection: finite(*descriptors_per_connection),
            calibrated_with: Known::Value(*calibrated_with),
            before_first_client: first,
        },
    }
}

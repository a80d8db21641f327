//! The descriptors at rest, before the first client.

use super::facts::Facts;
use super::known::{Known, Why};
use crate::event::{Descriptor, Phase};

/// The descriptors at rest.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Baseline {
    /// Open, from the size of `/proc/PID/fd`; counts numbers reserved by threads blocked in accept.
    pub descriptors: Known<u64>,
    /// Those of them numbered below the soft limit: the others take no place.
    pub counted: Known<u64>,
    /// One by one, as `/proc/PID/fd` lists them.
    pub inventory: Vec<Descriptor>,
    /// False when descriptor calls never stopped.
    pub settled: Known<bool>,
    /// What an earlier reading said, when it was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_from: Option<u64>,
}

impl Baseline {
    /// Numbers that threads blocked in accept hold in advance: with more than one, that many threads accept.
    pub fn reserved(&self) -> u64 {
        self.descriptors.value().unwrap_or(0).saturating_sub(self.inventory.len() as u64)
    }
}

/// The last reading of the process that accepts before the ramp; where it had none, of any.
pub(super) fn baseline(facts: &Facts<'_>) -> Baseline {
    let ramp = facts.phases.from(Phase::Ramp);
    let before = || facts.readings.rests.iter().filter(|rest| rest.at <= ramp);
    let own = before().rfind(|rest| Some(rest.pid) == facts.processes.main).or(before().next_back());
    let Some(rest) = own else {
        let unread = || Known::Unknown(Why::BaselineNotRead);
        let inventory = Vec::new();
        return Baseline {
            descriptors: unread(),
            counted: unread(),
            inventory,
            settled: Known::Unknown(Why::BaselineNotRead),
            changed_from: None,
        };
    };
    let first = before().find(|earlier| earlier.pid == rest.pid).map(|earlier| earlier.descriptors);
    Baseline {
        descriptors: Known::Value(rest.descriptors),
        counted: Known::Value(rest.counted),
        inventory: rest.inventory.to_vec(),
        settled: Known::Value(rest.settled),
        changed_from: first.filter(|first| *first != rest.descriptors),
    }
}

//! Listeners of the subject beside the loaded one: a full table closes those as well.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use crate::event::Outcome;

/// A listener of the subject beside the one that is loaded.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct OtherListener {
    /// As it is bound.
    pub address: String,
    /// The port of the address.
    pub port: u16,
    /// Its accept queue's length at saturation.
    pub queue: u32,
    /// Backlog + 1.
    pub capacity: u32,
    /// SYNs and last ACKs of handshakes that it has dropped since it was made; `None`: not read.
    pub overflows: Option<u32>,
    /// The outcome of a client that connects there at saturation: `served` means accepted, as it asks
    /// nothing.
    pub new_client: Known<Outcome>,
    /// The same last of all, after recovery was measured; `None`: none was sent then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_client_last: Option<Outcome>,
}

/// Whether the run connected to none of them at the wall, because the scenario does not ask for that.
fn last_only(facts: &Facts<'_>) -> bool {
    let released = facts.phases.released_from();
    let mut all = facts.readings.other_listeners.iter();
    facts.plan.expect.other_listeners.is_none() && all.any(|other| other.at >= released)
}

/// Each of them, as they were found at the wall.
pub(super) fn other_listeners(facts: &Facts<'_>) -> Vec<OtherListener> {
    let released = facts.phases.released_from();
    let (wall, last): (Vec<_>, Vec<_>) = facts.readings.other_listeners.iter().partition(|o| o.at < released);
    let last = |address: &str| last.iter().find(|other| other.address == address)?.new_client;
    let untried = match last_only(facts) {
        true => Why::NotAskedAtTheWall,
        false => Why::PortNotTried,
    };
    wall.into_iter()
        .filter_map(|other| {
            Some(OtherListener {
                address: other.address.to_owned(),
                port: other.address.rsplit(':').next()?.parse().ok()?,
                queue: other.queue,
                capacity: other.capacity,
                overflows: other.drops,
                new_client: other.new_client.or_why(untried.clone()),
                new_client_last: last(other.address),
            })
        })
        .collect()
}

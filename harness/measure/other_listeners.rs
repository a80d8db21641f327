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
    /// Of the address.
    pub port: u16,
    /// Its accept queue's length at saturation.
    pub queue: u32,
    /// Backlog + 1.
    pub capacity: u32,
    /// SYNs and last ACKs of handshakes that it has dropped since it was made; `None`: not read.
    pub overflows: Option<u32>,
    /// What a client gets that connects there at saturation: `served` is to be accepted, for it asks nothing.
    pub new_client: Known<Outcome>,
}

/// Each of them, as they were found at the wall.
pub(super) fn other_listeners(facts: &Facts<'_>) -> Vec<OtherListener> {
    let all = facts.readings.other_listeners.iter();
    all.filter_map(|other| {
        Some(OtherListener {
            address: other.address.to_owned(),
            port: other.address.rsplit(':').next()?.parse().ok()?,
            queue: other.queue,
            capacity: other.capacity,
            overflows: other.drops,
            new_client: other.new_client.or_why(Why::PortNotTried),
        })
    })
    .collect()
}

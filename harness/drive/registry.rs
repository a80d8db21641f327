//! Every workload whose clients hold: the one place that names them all.

use super::dialogue::Registered;
use super::{datagram, exchange, grpc, http_idle, tcp, websocket};
use crate::scenario::Dialogue;

/// Every workload, in the order of `lastfd list`.
pub fn registry() -> &'static [Registered] {
    const {
        &[
            tcp::REGISTERED,
            http_idle::REGISTERED,
            websocket::REGISTERED,
            grpc::REGISTERED,
            exchange::REGISTERED,
            datagram::REGISTERED,
        ]
    }
}

/// The registry's entry of one kind.
pub fn registered(kind: Dialogue) -> &'static Registered {
    registry().iter().find(|entry| entry.kind == kind).expect("every kind of dialogue is registered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_registered_once_under_the_name_that_scenarios_use() {
        for kind in Dialogue::ALL {
            let entries: Vec<_> = registry().iter().filter(|e| e.kind == *kind).collect();
            assert_eq!(entries.len(), 1);
            assert_eq!(serde_json::to_value(kind).unwrap(), entries[0].name);
            assert!(!entries[0].doc.is_empty());
        }
    }
}

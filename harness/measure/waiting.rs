//! How many clients wait when the watch of the wall ends, and how many the subject holds then.

use super::ceiling::{Ceiling, Kind};
use super::facts::Facts;

/// Connections that the subject held at its wall, over all its processes: those that it could hold where
/// numbers ran out, else those that stayed. Where nobody saw the accepts of clients that ask nothing, as many
/// as the ceiling counts.
pub(super) fn held(facts: &Facts<'_>, ceiling: &Ceiling) -> u64 {
    let counted = ceiling.accepted.value().filter(|_| facts.places_unseen());
    counted.unwrap_or(match ceiling.kind.value() {
        Some(Kind::Emfile | Kind::Enfile) => facts.holdings.most_in_all,
        _ => facts.holdings.kept_in_all,
    })
}

/// Clients connected then, and neither answered nor, if they ask nothing, held.
pub(super) fn waiting(facts: &Facts<'_>, ceiling: &Ceiling) -> u64 {
    facts.clients.waiting(facts.phases.watched_until().saturating_sub(1), held(facts, ceiling))
}

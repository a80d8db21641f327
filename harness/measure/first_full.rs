//! How full the whole subject was when the first of its processes was.

use super::ceiling::Ceiling;
use super::facts::Facts;
use super::known::{Known, OrWhy, Why};

/// Connections of the whole subject, at its first failed descriptor call and at most.
///
/// This is no capacity: the places left free elsewhere depend on the kernel's choice of a listener, and
/// differ from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FirstFull {
    /// Connections held by all its processes just before that call.
    pub held: u64,
    /// Connections held by all at once, at most, before clients were told to leave.
    pub most: u64,
}

/// Unknown where no call failed in or after the ramp, or where nobody holds.
pub(super) fn first_full(facts: &Facts<'_>, ceiling: &Ceiling) -> Known<FirstFull> {
    if ceiling.in_calls() {
        return Known::Unknown(Why::CountedInCalls);
    }
    if facts.serves_datagrams() {
        return Known::Unknown(Why::UdpAcceptsNobody);
    }
    let held = facts.holdings.first.map(|_| facts.holdings.held_in_all);
    held.map(|held| FirstFull { held, most: held.max(facts.holdings.most_in_all) })
        .or_why(Why::NoFailureAfterRamp)
}

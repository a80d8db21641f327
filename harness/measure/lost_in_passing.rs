//! Connections that were lost on the way to the processes that were to hold them.

use super::closes::Closes;
use super::facts::{Client, Facts};
use super::holders::Holders;
use super::in_children::InChildren;
use crate::event::{Nanos, Outcome};

/// Connections that were passed to processes without a number for them: the kernel drops those, and no call
/// fails (recvmsg(2), MSG_CTRUNC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostInPassing {
    /// How many of the processes that hold connections accepted by others are full.
    pub full: u64,
    /// How many of them were looked at.
    pub processes: u64,
    /// The soft limit of the first of them.
    pub soft: u64,
    /// Clients that were connected when the first came that was lost.
    pub held: u64,
}

/// `None` where a call failed, also in a process that was forked for a connection, no such process is full,
/// or nobody was lost.
pub(super) fn lost_in_passing(
    facts: &Facts<'_>,
    closes: &Closes,
    holders: &Holders,
    in_children: Option<InChildren>,
) -> Option<LostInPassing> {
    let passed_to = || holders.at_the_wall.iter().filter(|holder| !holder.accepts);
    let full = passed_to().filter(|holder| holder.full).count() as u64;
    let soft = passed_to().find(|holder| holder.full)?.soft;
    let watched = facts.phases.watched_until();
    // A process that says that it got no connection lets its master tell the client so.
    let all_full = passed_to().all(|holder| holder.full);
    let lost = |client: &&Client| {
        let ended = |how| how == Outcome::Closed || how == Outcome::ErrorReply && all_full;
        client.ended.is_some_and(|(_, how)| ended(how)) && closes.is_turned_away(facts, client, watched)
    };
    let came = |client: &Client| client.connected;
    let first: Nanos = facts.clients.all.iter().filter(lost).filter_map(came).min()?;
    let held = facts.clients.open_at(first.saturating_sub(1));
    let none_failed = facts.holdings.first.is_none() && in_children.is_none() && facts.exited().is_none();
    none_failed.then(|| LostInPassing { full, processes: passed_to().count() as u64, soft, held })
}

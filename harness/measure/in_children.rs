//! Calls that failed in processes which were forked for connections: each has the limit that it took over,
//! and all that its parent had open when it was forked.

use super::closes::Closes;
use super::facts::{Facts, Try};
use super::holders::Holders;
use super::limits::LimitsFound;
use crate::event::{Call, Client as State, Errno, Nanos, Phase, Pid};
use std::collections::HashSet;

/// A client sees an error reply, or the end of its connection, at most so long after the failed call that is
/// its cause.
pub(super) const CONSEQUENCE: Nanos = 1_000_000_000;

/// Clients that got no service because a call failed in the process that was forked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InChildren {
    /// The first of these processes.
    pub pid: Pid,
    /// Its call that failed first.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: Errno,
    /// When, since the run's start.
    #[serde(skip)]
    pub(super) at: Nanos,
    /// How many processes failed so before clients left.
    pub processes: u64,
    /// The soft limit of each; `None` where none was read.
    pub soft: Option<u64>,
}

/// The failure of another call than accept, in a process that has connections and accepts none itself.
pub(super) fn failed_in_child(facts: &Facts<'_>, made: &Try) -> Option<Errno> {
    let of = facts.holdings.tables.get(&made.pid);
    let child = !facts.processes.counts(made.pid) && of.is_some_and(|table| table.accepts == 0);
    if child && !made.call.accepts() { made.failed() } else { None }
}

/// `None` where a process that accepts failed itself, or no such failure ended a connection.
pub(super) fn in_children(
    facts: &Facts<'_>,
    closes: &Closes,
    holders: &Holders,
    limits: &LimitsFound,
) -> Option<InChildren> {
    if facts.holdings.first.is_some() || facts.processes.is_client {
        return None;
    }
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let tries = facts.tries.between(ramp, released).iter();
    let ended: Vec<&Try> =
        tries.filter(|made| failed_in_child(facts, made).is_some() && ends_service(facts, made)).collect();
    let first = ended.first()?;
    // Fewer explain only a part of those that got no service.
    let turned_away = closes.turned_away(facts, facts.phases.watched_until());
    let processes: HashSet<Pid> = ended.iter().map(|made| made.pid).collect();
    let child = holders.at_the_wall.iter().find(|holder| !holder.accepts).map(|holder| holder.soft);
    let found = InChildren {
        pid: first.pid,
        call: first.call,
        errno: first.failed()?,
        at: first.at,
        processes: processes.len() as u64,
        soft: child.or(limits.effective.value().map(|limits| limits.soft)),
    };
    (ended.len() as u64 >= turned_away.div_ceil(2)).then_some(found)
}

/// Whether the process exited soon after its failure, or a client got an error reply or was closed.
fn ends_service(facts: &Facts<'_>, made: &Try) -> bool {
    let soon = made.at..=made.at.saturating_add(CONSEQUENCE);
    let exit = facts.holdings.exit_of(made.pid);
    let from = facts.clients.told.partition_point(|told| told.at < made.at);
    let mut told = facts.clients.told[from..].iter().take_while(|told| soon.contains(&told.at));
    exit.is_some_and(|at| soon.contains(&at))
        || told.any(|told| matches!(told.state, State::ErrorReply(_) | State::ErrorAnswer(_) | State::Closed))
}

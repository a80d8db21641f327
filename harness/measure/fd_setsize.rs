//! Whether it stopped where select(2) ends: with the first descriptor number that an `fd_set` has no bit for,
//! or with the last that it has one for, under a limit that allows more.

use super::facts::{Facts, Table};
use super::limits::LimitsFound;
use crate::event::{DescriptorKind, Pid};

/// Descriptor numbers that glibc's `fd_set` has a bit for: 0 to 1023 (FD_SETSIZE, bits/typesizes.h).
pub const FD_SETSIZE: u64 = 1024;
/// Numbers that one connection takes at most where the connection, not a file beside it, is watched.
const EACH: i64 = 8;

/// A program that stopped at FD_SETSIZE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FdSetsize {
    /// The highest descriptor number that it was given.
    pub highest: u64,
    /// Its soft limit.
    pub soft: u64,
    /// Connections that are held and cannot be watched, for their number is too high.
    pub unwatched: u64,
}

/// `None` where its numbers ended elsewhere, its limit allows no such number, or a call failed for want of
/// one.
pub(super) fn fd_setsize(facts: &Facts<'_>, limits: &LimitsFound) -> Option<FdSetsize> {
    let soft = limits.effective.value()?.soft;
    if soft <= FD_SETSIZE || facts.holdings.first.is_some() {
        return None;
    }
    let tables = &facts.holdings.tables;
    let exit = facts.exited().map(|(at, _)| at);
    let exited =
        tables.iter().find(|(_, t)| exit.is_some_and(|exit| t.exited.is_some_and(|(at, _)| at == exit)));
    let main = || facts.processes.main.and_then(|main| tables.get_key_value(&main));
    let (pid, table) = exited.or_else(main)?;
    // A process that waits by epoll needs no select(). If a part of it still uses select(), that ends it.
    if exited.is_none() && polls(facts, *pid) {
        return None;
    }
    if let (None, Some(end)) = (exited, written_behind(facts, table, soft)) {
        return Some(end);
    }
    let highest = u64::try_from(last_number(table)?).ok()?;
    let connection = table.accepted_highest.0 >= FD_SETSIZE as i64;
    let unwatched = (connection && (exited.is_some() || !table.closed_highest)).into();
    Some(FdSetsize { highest, soft, unwatched })
}

/// The overrun of a program that goes on for a few connections: it answers each one whose number can be
/// watched and none of the others, for which it writes behind its `fd_set`.
fn written_behind(facts: &Facts<'_>, table: &Table, soft: u64) -> Option<FdSetsize> {
    let highest = u64::try_from(table.accepted_highest.0).ok()?;
    let unwatched = highest.checked_sub(FD_SETSIZE - 1).filter(|above| *above > 0)?;
    let answered = facts.clients.served(facts.phases.watched_until());
    let exactly = facts.clients.answers && answered > 0 && table.at_ramp_end == answered + unwatched;
    exactly.then_some(FdSetsize { highest, soft, unwatched })
}

/// The last number that it was given, where that is the last which can be watched or the first which cannot.
/// A file that is opened to say so, as an interpreter does, comes after it.
fn last_number(table: &Table) -> Option<i64> {
    let end = FD_SETSIZE as i64;
    let (accepted, before) = table.accepted_highest;
    let of_connection = before < end && (end..end + EACH).contains(&accepted);
    let of_any = (end - 1..=end).contains(&table.highest);
    if of_connection { Some(accepted) } else { Some(table.highest).filter(|_| of_any) }
}

/// Whether the process had something at rest that waits for descriptors of any number.
fn polls(facts: &Facts<'_>, pid: Pid) -> bool {
    let rests = facts.readings.rests.iter().filter(|rest| rest.pid == pid);
    rests
        .flat_map(|rest| rest.inventory)
        .any(|open| matches!(open.kind, DescriptorKind::Epoll | DescriptorKind::IoUring))
}

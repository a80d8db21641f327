//! A timer by which the server closes connections that nothing comes from for a while. It differs from a
//! limit of clients, which closes the longest idle connection as the next client comes, too; and from a full
//! server that closes a connection that it holds when accept fails, and takes the next client.

use super::clients::{Client, Clients, GaveWay, IdleTimer};
use super::holdings::Holdings;
use super::tries::{Tries, Try};
use crate::event::Nanos;

/// Connections that the timer must have closed, at least.
const FEW: usize = 4;
/// Some servers look at their timers once a second only.
const TICK: Nanos = 1_050_000_000;
/// A server that closes a connection to take the next client does so this soon after it accepted that client.
const GIVES_WAY_WITHIN: Nanos = 10_000_000;
/// The same on a machine that is starved: it is never later.
const GIVES_WAY_AT_LAST: Nanos = 250_000_000;
/// A server may take so long to turn a client away: it has a shorter timer only if the first clients of all,
/// which it would hold, were closed as well.
const TURNED_AWAY_WITHIN: Nanos = 500_000_000;
const FIRST_CLIENTS: usize = 8;

/// `None` where the connections that the server closed from the ramp on, `until` clients left, were not
/// all of one age, or where each may have given way to a client that was accepted just before.
pub(super) fn idle_timer(
    clients: &Clients<'_>,
    accepts: &[Nanos],
    ramp: Nanos,
    until: Nanos,
) -> Option<IdleTimer> {
    let closed =
        || clients.all.iter().filter_map(|client| Some((client.ended?.0, clients.idle_age(client)?)));
    let mut ages: Vec<Nanos> = Vec::new();
    let (mut alone, mut long_alone) = (0, 0);
    for (at, age) in closed().filter(|(at, _)| (ramp..until).contains(at)) {
        let accepted = accepts[..accepts.partition_point(|accept| *accept <= at)].last();
        let since = accepted.map_or(Nanos::MAX, |accept| at - accept);
        alone += usize::from(since > GIVES_WAY_WITHIN);
        long_alone += usize::from(since > GIVES_WAY_AT_LAST);
        ages.push(age);
    }
    ages.sort_unstable();
    let (shortest, longest) = (*ages.first()?, *ages.last()?);
    // If a client asks nothing, its age includes its time in the queue.
    let of_one_age = longest - shortest <= TICK.max(shortest / 4);
    let by_itself = long_alone >= FEW || alone >= FEW.max(ages.len() / 4);
    let short = shortest < TURNED_AWAY_WITHIN && !first_ended(clients, until);
    let timer = || IdleTimer { ages: shortest..=longest, closed: ages.len() as u64 };
    (ages.len() >= FEW && of_one_age && by_itself && !short).then(timer)
}

/// Whether the first clients of all to connect have ended by then.
fn first_ended(clients: &Clients<'_>, until: Nanos) -> bool {
    let mut came: Vec<&Client> = clients.all.iter().filter(|client| client.connected.is_some()).collect();
    came.sort_by_key(|client| client.connected);
    came.iter().take(FIRST_CLIENTS).all(|client| client.ended.is_some_and(|(at, _)| at < until))
}

/// `None` where the process that failed first did not close about one connection each time that accept had
/// failed, and accept next; where those that it closed were only the newest; and where their clients had left
/// or had just been answered.
pub(super) fn gave_way(
    tries: &Tries,
    holdings: &Holdings,
    clients: &Clients<'_>,
    until: Nanos,
) -> Option<GaveWay> {
    let first = holdings.first.filter(|first| first.call.accepts())?;
    let accepts: Vec<&Try> = tries
        .between(first.at, until)
        .iter()
        .filter(|one| one.pid == first.pid && one.tries_to_accept())
        .collect();
    let closes: Vec<Nanos> = tries.closes.iter().filter(|(_, pid)| *pid == first.pid).map(|c| c.0).collect();
    let closed = |from: Nanos, to: Nanos| {
        closes.partition_point(|at| *at < to).saturating_sub(closes.partition_point(|at| *at < from))
    };
    let made_room = |pair: &&[&Try]| {
        pair[0].failed().is_some() && pair[1].accepted() && closed(pair[0].at, pair[1].at) > 0
    };
    let room = accepts.windows(2).filter(made_room).count() as u64;
    let seen = clients.closed_while_they_waited(first.at, until);
    let failed = accepts.iter().filter(|one| one.failed().is_some()).count() as u64;
    let oldest = holdings.old_closed > 0 && holdings.old_closed * 4 >= room.min(holdings.accepted) * 3;
    let one_each = closed(first.at, until) as u64 <= room * 2 && failed <= room * 2;
    let enough = room.min(seen) >= FEW as u64;
    (enough && oldest && one_each).then_some(GaveWay { clients: room, from: first.at })
}

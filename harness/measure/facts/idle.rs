//! A timer by which the server closes connections that nothing comes from for a while. It differs from a
//! limit of clients, which closes the longest idle connection as the next client comes, too; and from a full
//! server that closes a connection that it holds when accept fails, and takes the next client.

use super::clients::{Client, Clients, GaveWay, IdleTimer, SEEN_LATE};
use super::holdings::{Closing, Holdings};
use super::tries::{Tries, Try};
use crate::event::Nanos;
use std::collections::HashSet;

/// Connections that the timer must have closed, at least.
const FEW: usize = 4;
/// A shorter one is not told from what turns clients away. A client sees a little less of it than there is.
const IDLE_AT_LEAST: Nanos = 100_000_000;
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
/// all of one age, where most of the first clients were not among them, unless held ones were asked again
/// (`refreshed`), or where each may have given way to a client that was accepted just before.
pub(super) fn idle_timer(
    clients: &Clients<'_>,
    holdings: &Holdings,
    ramp: Nanos,
    until: Nanos,
    refreshed: bool,
) -> Option<IdleTimer> {
    let accepts = &holdings.accepts;
    let closed =
        || clients.all.iter().filter_map(|client| Some((client.ended?.0, clients.idle_age(client)?)));
    let (mut ages, mut ends): (Vec<Nanos>, Vec<Nanos>) = (Vec::new(), Vec::new());
    let (mut alone, mut long_alone, mut after) = (0, 0, HashSet::new());
    let held = |(at, age): &(Nanos, Nanos)| (ramp..until).contains(at) && *age >= IDLE_AT_LEAST;
    for (at, age) in closed().filter(held) {
        let accepted = accepts[..accepts.partition_point(|accept| *accept <= at)].last();
        let since = accepted.map_or(Nanos::MAX, |accept| at - accept);
        after.insert(accepted);
        alone += usize::from(since > GIVES_WAY_WITHIN);
        long_alone += usize::from(since > GIVES_WAY_AT_LAST);
        ages.push(age);
        ends.push(at);
    }
    ages.sort_unstable();
    ends.sort_unstable();
    let (shortest, longest) = (*ages.first()?, *ages.last()?);
    // If a client asks nothing, its age includes its time in the queue.
    let of_one_age = longest - shortest <= TICK.max(shortest / 4);
    // Nor do several give way to one.
    let several = ages.len() >= FEW * after.len();
    let by_itself = long_alone >= FEW || alone >= FEW.max(ages.len() / 4) || several;
    // A timer closes the oldest first. Those that were asked again are no older than that.
    let of_all = refreshed && shortest >= TURNED_AWAY_WITHIN || first_ended(clients, until);
    // Of a client that waited for its accept the server counts less than the client does.
    // Those that it turned away at once are not among them.
    let told =
        |at: Nanos| ends.get(ends.partition_point(|end| *end < at)).is_some_and(|end| end - at <= SEEN_LATE);
    let lives = holdings.lives(|one| (ramp..until).contains(&one.at) && told(one.at));
    let lasted = lives.get(lives.len() / 2).map_or(shortest, |median| shortest.min(*median));
    let timer = || IdleTimer { ages: lasted..=longest, closed: ages.len() as u64 };
    (ages.len() >= FEW && of_one_age && by_itself && of_all).then(timer)
}

/// Whether most of the first clients of all to connect have ended by then.
fn first_ended(clients: &Clients<'_>, until: Nanos) -> bool {
    let mut came: Vec<&Client> = clients.all.iter().filter(|client| client.connected.is_some()).collect();
    came.sort_by_key(|client| client.connected);
    came.truncate(FIRST_CLIENTS);
    let ended = came.iter().filter(|client| client.ended.is_some_and(|(at, _)| at < until));
    ended.count() * 2 > came.len()
}

/// `None` where the process that failed first did not close a connection each time that accept had failed, or
/// most that it closed at those times and at once, and accept next; where those that it closed were only the
/// newest; and where their clients had left or had just been answered.
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
    let tried_again = accepts.windows(2).filter(|pair| pair[0].failed().is_some() && pair[1].accepted());
    let made_room: Vec<[Nanos; 2]> = tried_again
        .map(|pair| [pair[0].at, pair[1].at])
        .filter(|[failed, again]| closed(*failed, *again) > 0)
        .collect();
    let (times, all) = (made_room.len() as u64, closed(first.at, until) as u64);
    let connections: u64 = made_room.iter().map(|[failed, again]| closed(*failed, *again) as u64).sum();
    let at_once = made_room.iter().all(|[failed, _]| closed(*failed, *failed + GIVES_WAY_WITHIN) > 0);
    // A timer may fire then, too: it closes those of one age.
    let in_room = |one: &Closing| {
        let before = made_room.partition_point(|[failed, _]| *failed <= one.at);
        let then = before.checked_sub(1).map(|then| made_room[then]);
        one.pid == first.pid && then.is_some_and(|[_, again]| one.at < again)
    };
    let lives = holdings.lives(in_room);
    let of_all_ages = lives.first().zip(lives.last()).is_some_and(|(least, most)| least * 2 < *most);
    let seen = clients.closed_while_they_waited(first.at, until);
    let failed = accepts.iter().filter(|one| one.failed().is_some()).count() as u64;
    let oldest = holdings.old_closed > 0 && holdings.old_closed * 4 >= connections.min(holdings.accepted) * 3;
    let for_room = all <= times * 2 || (at_once && of_all_ages && connections * 4 >= all * 3);
    let enough = connections.min(seen) >= FEW as u64;
    let gave_way = GaveWay { times, connections, from: first.at };
    (enough && oldest && for_room && failed <= times * 2).then_some(gave_way)
}

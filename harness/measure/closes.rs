//! Why the server closes connections that it holds: a timer closes those that nothing comes from for a while;
//! or a full server closes one when accept fails, and takes the next client. A limit of clients, which closes
//! the longest idle connection as the next client comes, is neither. Clients that are closed for another
//! reason before they are held are turned away.

use super::facts::{Asked, Client, Closing, DISMISSED_WITHIN, Facts, SEEN_LATE, Try};
use crate::event::{Label, Nanos, Outcome, Phase};
use std::collections::HashSet;
use std::ops::RangeInclusive;

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

/// A timer by which the server closes connections that nothing comes from for a while.
#[derive(Debug, Clone)]
pub(super) struct IdleTimer {
    /// How old connections were when it closed them, since they were made or, where they were answered, since
    /// then: the shortest and the longest.
    pub ages: RangeInclusive<Nanos>,
    /// How many it closed before any client was told to leave.
    pub closed: u64,
}

impl IdleTimer {
    /// Whether it was this timer that closed the connection of a client that had been idle for so long.
    pub fn closes(&self, age: Nanos) -> bool {
        self.ages.contains(&age)
    }
}

/// A server that closes connections it holds to take further clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct GaveWay {
    /// How often it did so.
    pub times: u64,
    /// Connections that it closed.
    pub connections: u64,
    /// From then on.
    pub from: Nanos,
}

/// Why the server closed connections that it held.
pub(super) struct Closes {
    /// The timer by which the server closes idle clients.
    pub idle: Option<IdleTimer>,
    /// Set if it closed connections that it held to take further clients.
    pub gave_way: Option<GaveWay>,
}

/// By a timer, or to take further clients: each that gives way to another has held its place for as long, so
/// that both look the same.
pub(super) fn closes(facts: &Facts<'_>) -> Closes {
    let gave_way = gave_way(facts);
    let idle = if gave_way.is_none() { idle_timer(facts) } else { None };
    Closes { idle, gave_way }
}

impl Closes {
    /// Clients that were closed, were refused or got an error reply in the ramp, or within a second of
    /// connecting: turned away, not dropped while held.
    pub fn turned_away(&self, facts: &Facts<'_>, until: Nanos) -> u64 {
        facts.clients.count(|r| self.is_turned_away(facts, r, until))
    }

    /// How many of those turned away the server had answered before: it serves them, and keeps none of these
    /// connections.
    pub fn answered_and_closed(&self, facts: &Facts<'_>, until: Nanos) -> u64 {
        let answered =
            |r: &Client| r.ended.is_some_and(|(at, outcome)| outcome == Outcome::Closed && r.served_by(at));
        facts.clients.count(|r| answered(r) && self.is_turned_away(facts, r, until))
    }

    /// Whether it was closed, was refused or got an error reply before the server held it. Closes by an idle
    /// timer, or to take the next client, do not count.
    pub fn is_turned_away(&self, facts: &Facts<'_>, r: &Client, until: Nanos) -> bool {
        let gave_way = |(at, outcome): (Nanos, Outcome)| {
            outcome == Outcome::Closed && self.gave_way.is_some_and(|gave_way| at >= gave_way.from)
        };
        if self.by_timer(facts, r) || r.ended.is_some_and(gave_way) {
            return false;
        }
        r.ended.is_some_and(|(at, outcome)| {
            let soon = r.connected.is_none_or(|c| at.saturating_sub(c) < DISMISSED_WITHIN);
            let unserved = facts.clients.answers && !r.served_by(at);
            let held = || outcome == Outcome::Closed && !unserved && held_until(facts, at);
            outcome != Outcome::TimesOut
                && at < until
                && !held()
                && (at < facts.phases.from(Phase::Saturate) || soon || unserved)
        })
    }

    /// Connected and never served, closed by the server within this window; not by its timer.
    pub fn shed(&self, facts: &Facts<'_>, from: Nanos, until: Nanos) -> u64 {
        facts.clients.count(|r| {
            let here = |at: Nanos| (from..until).contains(&at);
            let late = r.connected.is_some_and(|c| {
                facts.clients.answers
                    || c >= from
                    || r.ended.is_some_and(|e| e.0 - c.min(e.0) < DISMISSED_WITHIN)
            });
            r.served.is_none()
                && late
                && !self.by_timer(facts, r)
                && r.ended
                    .is_some_and(|(at, o)| here(at) && matches!(o, Outcome::Closed | Outcome::ErrorReply))
        })
    }

    /// How many of the connections held (answered; for `tcp` the first `accepted` to connect, but for those
    /// that were turned away, unless a process exited and all its clients ended with it) the server closed in
    /// this window.
    pub fn held_closed(&self, facts: &Facts<'_>, accepted: u64, from: Nanos, until: Nanos) -> u64 {
        let closed =
            |r: &&Client| r.ended.is_some_and(|(at, o)| o == Outcome::Closed && (from..until).contains(&at));
        if facts.clients.answers {
            return facts.clients.all.iter().filter(closed).filter(|r| r.served.is_some()).count() as u64;
        }
        let connected = facts.clients.all.iter().filter(|r| r.connected.is_some());
        let first = connected.take(usize::try_from(accepted).unwrap_or(usize::MAX));
        let exited = facts.exit_at_the_wall().is_some();
        let held = |r: &&Client| exited || !self.is_turned_away(facts, r, until);
        first.filter(closed).filter(held).count() as u64
    }

    /// Whether the subject held as many as it ever did long before its idle timer made room for the first
    /// time: a rule of its own bounds them. One that takes clients slowly is full when the timer closes the
    /// first, and takes half that time for the second half of them.
    pub fn full_before_idle(&self, facts: &Facts<'_>) -> bool {
        let Some(timer) = &self.idle else { return false };
        let until = facts.phases.watched_until();
        let accepts = facts.holdings.accepts.iter().map(|at| (*at, 1));
        let closes = facts.holdings.closes.iter().map(|one| (one.at, -1));
        let mut changes: Vec<(Nanos, i64)> = accepts.chain(closes).filter(|(at, _)| *at < until).collect();
        changes.sort_unstable();
        let held = changes.iter().scan(0, |held, (at, more)| {
            *held += more;
            Some((*at, *held))
        });
        let held: Vec<(Nanos, i64)> = held.collect();
        let most = held.iter().map(|(_, held)| *held).max().unwrap_or(0);
        let full = held.iter().position(|(_, held)| *held == most).unwrap_or(0);
        let half = held[..full].iter().rfind(|(_, held)| *held * 2 <= most);
        half.is_some_and(|(half, _)| held[full].0 - half < timer.ages.start() / 4)
    }

    fn by_timer(&self, facts: &Facts<'_>, client: &Client) -> bool {
        let idle = self.idle.as_ref().zip(facts.clients.idle_age(client));
        idle.is_some_and(|(timer, age)| timer.closes(age))
    }
}

/// Whether the connection that a client saw closed then had been held for a while, by a process that had not
/// just taken another one in its place: each that was closed at that time was.
fn held_until(facts: &Facts<'_>, at: Nanos) -> bool {
    let held = |one: &Closing| {
        let before = facts.tries.between(one.at.saturating_sub(GIVES_WAY_WITHIN), one.at);
        let gives_way = before.iter().any(|made| made.pid == one.pid && made.accepted());
        one.life >= DISMISSED_WITHIN && !gives_way
    };
    let closes = facts.holdings.closes_between(at.saturating_sub(GIVES_WAY_AT_LAST), at);
    !closes.is_empty() && closes.iter().all(held)
}

/// `None` where the connections that the server closed from the ramp on, `until` clients left, were not all
/// of one age, where most of the first clients were not among them, unless held ones were asked again, or
/// where each may have given way to a client that was accepted just before.
fn idle_timer(facts: &Facts<'_>) -> Option<IdleTimer> {
    let (clients, holdings) = (&facts.clients, &facts.holdings);
    let (ramp, until) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
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
    let answered = |asked: &Asked<'_>| asked.outcome == Outcome::Served;
    let refreshed = facts.asked(Label::Held).any(answered);
    let of_all = refreshed && shortest >= TURNED_AWAY_WITHIN || first_ended(facts, until);
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
fn first_ended(facts: &Facts<'_>, until: Nanos) -> bool {
    let mut came: Vec<&Client> =
        facts.clients.all.iter().filter(|client| client.connected.is_some()).collect();
    came.sort_by_key(|client| client.connected);
    came.truncate(FIRST_CLIENTS);
    let ended = came.iter().filter(|client| client.ended.is_some_and(|(at, _)| at < until));
    ended.count() * 2 > came.len()
}

/// `None` where the process that failed first did not close a connection each time that accept had failed, or
/// most that it closed at those times and at once, and accept next; where those that it closed were only the
/// newest; and where their clients had left or had just been answered.
fn gave_way(facts: &Facts<'_>) -> Option<GaveWay> {
    let (tries, holdings, until) = (&facts.tries, &facts.holdings, facts.phases.watched_until());
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
    let seen = facts.clients.closed_while_they_waited(first.at, until);
    let failed = accepts.iter().filter(|one| one.failed().is_some()).count() as u64;
    let oldest = holdings.old_closed > 0 && holdings.old_closed * 4 >= connections.min(holdings.accepted) * 3;
    let for_room = all <= times * 2 || (at_once && of_all_ages && connections * 4 >= all * 3);
    let enough = connections.min(seen) >= FEW as u64;
    let gave_way = GaveWay { times, connections, from: first.at };
    (enough && oldest && for_room && failed <= times * 2).then_some(gave_way)
}

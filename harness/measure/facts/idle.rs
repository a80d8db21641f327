//! A timer by which the server closes connections that nothing comes from for a while. It is told from a
//! limit of clients, which closes the longest idle connection as the next client comes, too.

use super::clients::{Clients, IdleTimer};
use crate::event::Nanos;

/// Connections that the timer must have closed, at least.
const FEW: usize = 4;
/// Some servers look at their timers once a second only.
const TICK: Nanos = 1_050_000_000;
/// What closes a connection to take the next client does so this soon after that was accepted.
const GIVES_WAY_WITHIN: Nanos = 10_000_000;
/// The same on a machine that is starved: it is never later.
const GIVES_WAY_AT_LAST: Nanos = 250_000_000;

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
    let of_one_age = longest - shortest <= TICK.max(shortest / 4);
    let by_itself = long_alone >= FEW || alone >= FEW.max(ages.len() / 4);
    let timer = || IdleTimer { ages: shortest..=longest, closed: ages.len() as u64 };
    (ages.len() >= FEW && of_one_age && by_itself).then(timer)
}

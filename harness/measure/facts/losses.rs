//! Which connections ended with the exit of a process. A client may be slow to notice; where nothing is left
//! that could hold its connection, it is lost all the same.

use super::clients::Client;
use super::run::Facts;
use crate::event::{Nanos, Outcome};

/// A dying process closes its connections before it is seen to exit, by so much at most; or from its first
/// failed call on, where it accepts nobody any more: it may take its time to end.
const CLOSES_BEFORE_EXIT: Nanos = 100_000_000;

/// The losses from the exit of a process.
pub(crate) struct Losses {
    exit: Nanos,
    /// From when on it was dying.
    dying: Nanos,
    /// Connections that the process held, and those that ended with it.
    pub held: u64,
    /// Until when a close counts as its consequence.
    until: Nanos,
    /// Clients that connect from then on are not counted.
    watched: Nanos,
    /// Every process that accepted is gone, with nothing in its place.
    pub gone: bool,
    /// The listener is gone, too, and with it the accept queue.
    refuses: bool,
    answers: bool,
}

impl Losses {
    /// The losses from the exit at the wall; `None` if there was no exit.
    pub fn at_the_wall(facts: &Facts<'_>) -> Option<Self> {
        let (exit, held) = facts.exit_at_the_wall()?;
        let refused = |at: Nanos, outcome: Outcome| at > exit && outcome == Outcome::Refused;
        let asked = facts.readings.asked.iter().map(|asked| (asked.at, asked.outcome));
        let mut ends = asked.chain(facts.clients.all.iter().filter_map(|c| c.ended));
        // The process that exited is the one that lastfd executed, so that nothing above it has the listener;
        // or a client was refused.
        let at_the_wall = facts.holdings.first.map(|first| first.pid).or(facts.processes.main);
        let executed = facts.readings.program_ends.iter().any(|ended| Some(ended.pid) == at_the_wall);
        let refuses = executed || ends.any(|(at, how)| refused(at, how));
        let ends_it = facts.holdings.first.filter(|first| {
            let mut tries = facts.tries.between(first.at, exit).iter();
            !tries.any(|made| made.pid == first.pid && made.accepted())
        });
        let shortly = exit.saturating_sub(CLOSES_BEFORE_EXIT);
        let gone = facts.gone().is_some();
        // Processes that it had handed connections to ended with it.
        let held = if gone { held.max(facts.holdings.held_in_all) } else { held };
        Some(Losses {
            exit,
            dying: ends_it.map_or(shortly, |first| first.at.min(shortly)),
            held,
            until: facts.phases.released_from(),
            watched: facts.phases.watched_until(),
            gone,
            refuses,
            answers: facts.clients.answers,
        })
    }

    /// Whether this client's connection ended with it.
    pub fn took(&self, client: &Client) -> bool {
        let Some(connected) = client.connected.filter(|at| *at < self.watched) else { return false };
        let nothing_holds_it = self.gone && (client.served.is_some() || self.refuses);
        match client.ended {
            Some((at, how)) if at < self.until => {
                let consequence = how == Outcome::Closed && at >= self.dying;
                consequence && (connected < self.exit || nothing_holds_it)
            }
            _ => nothing_holds_it,
        }
    }

    /// Clients that it had answered and that lost their connection.
    pub fn answered(&self, all: &[Client]) -> u64 {
        all.iter().filter(|client| client.served.is_some() && self.took(client)).count() as u64
    }

    /// How many clients lost their connection. Those that ask nothing do not know which of them were held.
    pub fn clients(&self, all: &[Client]) -> u64 {
        let took = all.iter().filter(|client| self.took(client)).count() as u64;
        match self.gone && !self.answers {
            true => {
                let connected =
                    all.iter().filter(|c| c.connected.is_some_and(|at| at < self.watched)).count();
                took.max(self.held.min(connected as u64))
            }
            false => took,
        }
    }
}

//! One account of all clients of the subject: each is counted once, by what had become of it when saturation
//! ended or, where the subject exited, through that exit. Every other count of clients is a part of one of
//! these.

use super::ceiling::Ceiling;
use super::closes::Closes;
use super::facts::{Client, Facts, Losses};
use super::known::{Known, Why};
use super::waiting::held;
use crate::event::{Nanos, Outcome};

/// All clients of a run, each counted once by its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ClientsAccount {
    /// Connects that succeeded: the sum of `held`, `held_with_error`, `waiting`, `turned_away`, `left`,
    /// `closed` and `exit.clients`.
    pub connected: u64,
    /// Connects that did not complete before their deadline.
    pub timed_out: u64,
    /// Connects that were refused.
    pub refused: u64,
    /// Connected and answered; of clients that ask nothing, accepted.
    pub held: u64,
    /// Of those held that ask nothing, the ones that the server had not greeted, though it had greeted the
    /// first of all.
    #[serde(skip_serializing_if = "nobody")]
    pub ungreeted: u64,
    /// Told an error on a connection that the server holds.
    pub held_with_error: u64,
    /// Connected, and neither answered nor, if clients ask nothing, accepted.
    pub waiting: u64,
    /// Closed, or answered with an error, without having been held.
    pub turned_away: u64,
    /// Clients turned away with an error reply.
    pub error_replies: u64,
    /// Clients turned away after an answer: the server keeps no such connection open.
    pub answered_first: u64,
    /// Left by themselves, as their dialogue or their program has it.
    #[serde(skip_serializing_if = "nobody")]
    pub left: u64,
    /// Held for a while, and then closed by the server, which lived on.
    pub closed: u64,
    /// Connections that it still holds of lastfd's own trial requests, which are none of these clients.
    #[serde(skip_serializing_if = "nobody")]
    pub trials_held: u64,
    /// For a process that exited: the losses of its clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Lost>,
}

fn nobody(clients: &u64) -> bool {
    *clients == 0
}

/// Connections that ended with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Lost {
    /// Connections that the process held.
    pub held: u64,
    /// Clients that lost their connection: those that it held, and those in its accept queue.
    pub clients: u64,
}

/// The account; unknown of a subject that makes calls, and where nobody connected.
pub(super) fn clients_account(
    facts: &Facts<'_>,
    closes: &Closes,
    ceiling: &Ceiling,
) -> Known<ClientsAccount> {
    if facts.processes.is_client && facts.clients.all.is_empty() {
        return Known::Unknown(Why::NobodyHolds);
    }
    let watched = facts.phases.watched_until();
    let losses = Losses::at_the_wall(facts);
    let all = &facts.clients.all;
    let fates: Vec<Fate> =
        all.iter().filter_map(|client| fate(facts, closes, client, losses.as_ref())).collect();
    let of = |fate: Fate| fates.iter().filter(|one| **one == fate).count() as u64;
    let unseen = losses.as_ref().map_or(0, |l| (l.clients(all) - of(Fate::Lost)).min(of(Fate::Open)));
    let open = of(Fate::Open) - unseen;
    let by_calls = match &losses {
        Some(losses) if losses.gone => 0,
        // Connections held then are gone with their process.
        Some(_) => facts.holdings.at_watched,
        None => held(facts, ceiling),
    };
    let trials_held = facts.clients.left_before.min(by_calls);
    let by_calls = by_calls - trials_held;
    // A client that asks nothing cannot tell whether it was accepted: as many are held as the subject held.
    let (held_open, never_held) = match facts.clients.answers {
        true => (0, 0),
        false => (open.min(by_calls), of(Fate::Closed).saturating_sub(closed_at_most(facts, watched))),
    };
    // An error reply ends no connection by itself. As many of the clients that were not closed then are held
    // as the subject held.
    let held_with_error = match facts.clients.answers && losses.is_none() {
        true => open_after_error(facts, of(Fate::Error)).min(by_calls.saturating_sub(of(Fate::Answered))),
        false => 0,
    };
    let error_replies = of(Fate::Error) - held_with_error;
    Known::Value(ClientsAccount {
        connected: fates.len() as u64 - of(Fate::TimedOut) - of(Fate::Refused),
        timed_out: of(Fate::TimedOut),
        refused: of(Fate::Refused),
        held: of(Fate::Answered) + held_open,
        ungreeted: greeted(facts, watched).map_or(0, |greeted| held_open.saturating_sub(greeted)),
        held_with_error,
        waiting: open - held_open,
        turned_away: of(Fate::TurnedAway) + of(Fate::AnsweredFirst) + error_replies + never_held,
        error_replies,
        answered_first: of(Fate::AnsweredFirst),
        left: of(Fate::Left),
        closed: of(Fate::Closed) - never_held,
        trials_held,
        exit: losses.map(|losses| Lost { held: losses.held, clients: of(Fate::Lost) + unseen }),
    })
}

impl ClientsAccount {
    /// Clients whose attempt to connect has a known end.
    pub fn came(&self) -> u64 {
        self.connected + self.timed_out + self.refused
    }
}

/// What had become of one client, as it saw that itself.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    TimedOut,
    Refused,
    /// Its connection ended with a process.
    Lost,
    /// Turned away: with an error reply, closed after an answer, or otherwise.
    Error,
    AnsweredFirst,
    TurnedAway,
    /// Held before.
    Closed,
    Left,
    Answered,
    /// Connected, and not answered.
    Open,
}

/// `None`: it had not connected by then.
fn fate(facts: &Facts<'_>, closes: &Closes, client: &Client, losses: Option<&Losses>) -> Option<Fate> {
    let watched = facts.phases.watched_until();
    let in_time = |at: &Nanos| *at < watched;
    let ended = client.ended.filter(|(at, _)| in_time(at));
    let answered = |by: Nanos| facts.clients.answers && client.served.is_some_and(|at| at < by);
    if client.connected.filter(in_time).is_none() {
        return match ended?.1 {
            Outcome::TimesOut => Some(Fate::TimedOut),
            Outcome::Refused => Some(Fate::Refused),
            _ => None,
        };
    }
    Some(match ended {
        _ if losses.is_some_and(|losses| losses.took(client)) => Fate::Lost,
        Some((at, outcome)) if closes.is_turned_away(facts, client, watched) => match outcome {
            Outcome::ErrorReply => Fate::Error,
            Outcome::Closed if answered(at) => Fate::AnsweredFirst,
            _ => Fate::TurnedAway,
        },
        Some(_) => Fate::Closed,
        None if client.released.is_some_and(|at| at < watched) => Fate::Left,
        None if answered(watched) => Fate::Answered,
        None => Fate::Open,
    })
}

/// How many of the clients that were turned away with an error reply were not closed then.
fn open_after_error(facts: &Facts<'_>, errors: u64) -> u64 {
    let watched = facts.phases.watched_until();
    let closed = facts.clients.all.iter().filter(|client| {
        let told = client.ended.is_some_and(|(at, how)| how == Outcome::ErrorReply && at < watched);
        told && client.closed.is_some_and(|at| at < watched)
    });
    errors.saturating_sub(closed.count() as u64)
}

/// Clients that it had greeted by then and that are still there; `None` where it did not greet the first.
fn greeted(facts: &Facts<'_>, watched: Nanos) -> Option<u64> {
    let mut came = facts.clients.all.iter().filter(|client| client.connected.is_some());
    let had = |at: Option<Nanos>| at.is_some_and(|at| at < watched);
    let greeted = |client: &Client| had(client.greeted);
    let gone = |client: &Client| had(client.released) || had(client.ended.map(|(at, _)| at));
    let all = came.clone().filter(|client| greeted(client) && !gone(client)).count() as u64;
    came.next().is_some_and(greeted).then_some(all)
}

/// Connections that the subject had held and can have closed: where it accepted nobody since its first
/// failure, those that it was seen to close. The others that ended waited for it, as at a listener that it
/// closed.
fn closed_at_most(facts: &Facts<'_>, watched: Nanos) -> u64 {
    match facts.holdings.first {
        Some(first)
            if facts.holdings.calls_seen && facts.holdings.accepts_between(first.at, watched).is_empty() =>
        {
            facts.holdings.held_closed
        }
        _ => u64::MAX,
    }
}

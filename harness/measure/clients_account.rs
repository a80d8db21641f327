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
    let mut account = ClientsAccount {
        connected: 0,
        timed_out: 0,
        refused: 0,
        held: 0,
        ungreeted: 0,
        held_with_error: 0,
        waiting: 0,
        turned_away: 0,
        error_replies: 0,
        answered_first: 0,
        left: 0,
        closed: 0,
        trials_held: 0,
        exit: losses.as_ref().map(|losses| Lost { held: losses.held, clients: 0 }),
    };
    facts.clients.all.iter().for_each(|client| account.add(facts, closes, client, watched, losses.as_ref()));
    let closed_after_error = facts.clients.all.iter().filter(|client| {
        let told = client.ended.is_some_and(|(at, how)| how == Outcome::ErrorReply && at < watched);
        told && client.closed.is_some_and(|at| at < watched)
    });
    let open_after_error = account.error_replies.saturating_sub(closed_after_error.count() as u64);
    if let (Some(lost), Some(losses)) = (account.exit.as_mut(), &losses) {
        let unseen = (losses.clients(&facts.clients.all) - lost.clients).min(account.waiting);
        (lost.clients, account.waiting) = (lost.clients + unseen, account.waiting - unseen);
    }
    let gone = losses.as_ref().is_some_and(|losses| losses.gone);
    let by_calls = match losses {
        Some(_) if gone => 0,
        // Connections held then are gone with their process.
        Some(_) => facts.holdings.at_watched,
        None => held(facts, ceiling),
    };
    account.trials_held = facts.clients.left_before.min(by_calls);
    let by_calls = by_calls - account.trials_held;
    if facts.clients.answers && losses.is_none() {
        // An error reply ends no connection by itself. As many of the clients that were not closed then are
        // held as the subject held.
        let kept = open_after_error.min(by_calls.saturating_sub(account.held));
        account.held_with_error = kept;
        account.turned_away -= kept;
        account.error_replies -= kept;
    } else if !facts.clients.answers {
        let never_held = account.closed.saturating_sub(closed_at_most(facts, watched));
        (account.closed, account.turned_away) =
            (account.closed - never_held, account.turned_away + never_held);
        // A client that asks nothing cannot tell whether it was accepted: as many are held as the subject
        // held.
        let held = account.waiting.min(by_calls);
        (account.held, account.waiting) = (held, account.waiting - held);
        account.ungreeted = greeted(facts, watched).map_or(0, |greeted| held.saturating_sub(greeted));
    }
    Known::Value(account)
}

impl ClientsAccount {
    /// Clients whose attempt to connect has a known end.
    pub fn came(&self) -> u64 {
        self.connected + self.timed_out + self.refused
    }

    fn add(
        &mut self,
        facts: &Facts<'_>,
        closes: &Closes,
        client: &Client,
        watched: Nanos,
        losses: Option<&Losses>,
    ) {
        let ended = client.ended.filter(|(at, _)| *at < watched);
        let Some(_) = client.connected.filter(|at| *at < watched) else {
            match ended.map(|(_, outcome)| outcome) {
                Some(Outcome::TimesOut) => self.timed_out += 1,
                Some(Outcome::Refused) => self.refused += 1,
                _ => {}
            }
            return;
        };
        self.connected += 1;
        let answered = |by: Nanos| facts.clients.answers && client.served.is_some_and(|at| at < by);
        if let (true, Some(lost)) = (losses.is_some_and(|losses| losses.took(client)), self.exit.as_mut()) {
            lost.clients += 1;
            return;
        }
        match ended {
            Some(_) if closes.is_turned_away(facts, client, watched) => {
                self.turned_away += 1;
                self.error_replies += u64::from(ended.is_some_and(|end| end.1 == Outcome::ErrorReply));
                self.answered_first +=
                    u64::from(ended.is_some_and(|(at, how)| how == Outcome::Closed && answered(at)));
            }
            Some(_) => self.closed += 1,
            None if client.released.is_some_and(|at| at < watched) => self.left += 1,
            None if answered(watched) => self.held += 1,
            None => self.waiting += 1,
        }
    }
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

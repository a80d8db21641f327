//! Error replies that clients got in place of the expected answer.

use super::facts::Facts;

/// Error replies that clients got before they left; one a client.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ErrorReplies {
    /// The first one in the server's words, and the expected answer in the workload's words.
    pub first: String,
    /// Clients that got the same.
    pub clients: u64,
    /// Clients that got another one.
    pub others: u64,
}

/// `None` when no client got any.
pub(super) fn error_replies(facts: &Facts<'_>) -> Option<ErrorReplies> {
    let until = facts.phases.released_from();
    let all = || facts.clients.error_replies.iter().filter(|(at, _)| *at < until).map(|(_, words)| *words);
    let first = all().next()?;
    let clients = all().filter(|words| *words == first).count() as u64;
    Some(ErrorReplies { first: first.to_owned(), clients, others: all().count() as u64 - clients })
}

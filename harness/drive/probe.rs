//! A probe: one new client beside the others, and what it sees until its deadline.
//! Also the question asked on a held connection. Speaks of one client; the driver's loop brings it its
//! events.

use super::client::{Client, Dial, Failure, Heard};
use super::dialogue::Site;
use crate::event::{Label, Outcome, Unseen, What};

const NS: f64 = 1e-9;

/// A probe under way.
pub struct Probe {
    /// Its epoll token.
    pub token: u64,
    /// Monotonic nanoseconds after which it is over.
    pub deadline: u64,
    /// Its socket.
    pub client: Client,
    label: Label,
    started: u64,
    connected: Option<u64>,
}

/// How a probe ended.
#[derive(Debug, PartialEq)]
pub struct Seen {
    /// Repeated from the order.
    pub label: Label,
    /// The outcome for the client.
    pub outcome: Outcome,
    /// The server's words, or ours.
    pub detail: String,
    /// From the start to the connect's success, seconds.
    pub connect_s: Option<f64>,
    /// From the connect's success (held: from the question) to the answer, the error reply or the end,
    /// seconds.
    pub answer_s: Option<f64>,
}

impl Seen {
    /// As an event of this workload.
    pub fn event(self, workload: String) -> What {
        let Seen { label, outcome, detail, connect_s, answer_s } = self;
        What::Probe { workload, label, outcome, detail, connect_s, answer_s }
    }

    /// Without any times.
    pub fn at_once(label: Label, outcome: Outcome, detail: &str) -> Seen {
        Seen { label, outcome, detail: detail.to_owned(), connect_s: None, answer_s: None }
    }
}

/// The meaning of a client's news for its probe: an outcome with its detail, or nothing yet.
pub fn outcome(heard: &Heard, client: &Client) -> Option<(Outcome, String)> {
    if let Some(error) = &heard.news.error {
        return Some((Outcome::ErrorReply, error.clone()));
    }
    if heard.refused {
        return Some((Outcome::Refused, client.detail()));
    }
    if heard.news.parting {
        return Some((Outcome::Served, client.detail()));
    }
    if heard.ended || heard.news.goodbye {
        return Some(match client.last_words() {
            Some(words) => (Outcome::ErrorReply, words),
            None => (Outcome::Closed, client.detail()),
        });
    }
    // A handshake is an answer to who asks nothing after it.
    let answered = heard.news.answered || (heard.secured && heard.news.greeted);
    answered.then(|| (Outcome::Served, client.detail()))
}

/// The outcome of a failed connect for a client; `None` when the failure is the generator's own.
pub fn failed(failure: Failure) -> Option<Outcome> {
    match failure {
        Failure::Refused => Some(Outcome::Refused),
        Failure::TimedOut => Some(Outcome::TimesOut),
        Failure::Local(_) => None,
    }
}

impl Probe {
    /// Just dialled.
    pub fn new(token: u64, label: Label, client: Client, started: u64, deadline_ms: u64) -> Probe {
        Probe {
            token,
            deadline: started.saturating_add(deadline_ms.saturating_mul(1_000_000)),
            client,
            label,
            started,
            connected: None,
        }
    }

    /// Whether the connect has succeeded.
    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// The connect has succeeded: say what the dialogue opens with.
    pub fn connected(
        &mut self,
        dial: Dial,
        now: u64,
        site: &Site,
        scratch: &mut super::client::Scratch,
    ) -> Heard {
        if dial == Dial::Open && self.connected.is_none() {
            self.connected = Some(now);
            return self.client.open(site, scratch);
        }
        Heard::default()
    }

    /// Its outcome, if the news end it.
    pub fn outcome(&self, heard: &Heard) -> Option<(Outcome, String)> {
        let (outcome, detail) = outcome(heard, &self.client)?;
        // The client that asks which dialogue a server speaks looks for one that holds connections.
        let holds = !(heard.news.parting && self.label.asks_dialogue());
        Some((if holds { outcome } else { Outcome::Closed }, detail))
    }

    /// Its end, with this outcome.
    pub fn seen(&self, outcome: Outcome, detail: String, now: u64) -> Seen {
        let answer_s = match (outcome, self.connected) {
            (Outcome::Served | Outcome::ErrorReply | Outcome::Closed, Some(connected)) => {
                Some((now - connected) as f64 * NS)
            }
            _ => None,
        };
        let connect_s = self.connected.map(|connected| (connected - self.started) as f64 * NS);
        Seen { label: self.label, outcome, detail, connect_s, answer_s }
    }

    /// Its end by the deadline.
    pub fn overdue(&self, now: u64) -> Seen {
        let outcome = if self.is_connected() { Outcome::Waits } else { Outcome::TimesOut };
        self.seen(outcome, self.client.detail(), now)
    }
}

/// The event of a probe that left with all other clients, before its end.
pub fn dismissed(label: Label) -> What {
    let why = "all clients left before it was answered or its time was over".to_owned();
    What::NotSeen { what: Unseen::Probe { label }, why }
}

/// A question on a held connection, under way.
pub struct Question {
    /// Which client was asked.
    pub client: usize,
    /// Monotonic nanoseconds after which it is over.
    pub deadline: u64,
    asked: u64,
}

impl Question {
    /// Just asked.
    pub fn new(client: usize, asked: u64, deadline_ms: u64) -> Question {
        Question { client, deadline: asked.saturating_add(deadline_ms.saturating_mul(1_000_000)), asked }
    }

    /// Its end, with this outcome.
    pub fn seen(&self, outcome: Outcome, detail: String, now: u64) -> Seen {
        let answer_s = (outcome != Outcome::Waits).then_some((now - self.asked) as f64 * NS);
        Seen { label: Label::Held, outcome, detail, connect_s: None, answer_s }
    }
}

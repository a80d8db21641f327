//! When a client beside the others was asked what it gets: the label of its probe.

use serde::{Deserialize, Serialize};

/// The label of a [`What::Probe`](super::What::Probe).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// Before the ramp, which dialogue the server speaks: with HTTP.
    #[serde(rename = "dialogue")]
    Http,
    /// The same with HTTP over TLS.
    #[serde(rename = "dialogue-https")]
    Https,
    /// The same with a TLS handshake, and nothing after it.
    #[serde(rename = "dialogue-tls")]
    Tls,
    /// A new client at the wall.
    Saturated,
    /// A held client at the wall, on its own connection.
    Held,
    /// A new client after limits were moved.
    Moved,
    /// A new client when some had left.
    AfterSome,
    /// A new client when all had left.
    AfterAll,
}

impl Label {
    /// Those that ask which dialogue the server speaks.
    pub const DIALOGUES: [Label; 3] = [Label::Http, Label::Https, Label::Tls];

    /// As in a log and a report.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Http => "dialogue",
            Label::Https => "dialogue-https",
            Label::Tls => "dialogue-tls",
            Label::Saturated => "saturated",
            Label::Held => "held",
            Label::Moved => "moved",
            Label::AfterSome => "after-some",
            Label::AfterAll => "after-all",
        }
    }

    /// Whether it asks which dialogue the server speaks.
    pub fn asks_dialogue(self) -> bool {
        Label::DIALOGUES.contains(&self)
    }
}

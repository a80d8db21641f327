//! The language between the run and a driver process: orders as JSON lines on the driver's standard input,
//! events (`event::Event`, absolute `CLOCK_MONOTONIC` times) as JSON lines on its standard output.

use crate::event::Label;
use crate::scenario::{Calls, ClientProgram, Dialogue, Exchange, KeepAlive, Pace, Tls};
use crate::sys::address::Address;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// First line to a driver: the kind of its clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The workload's name, for the events.
    pub workload: String,
    /// The behaviour of each client.
    pub kind: Kind,
    /// The listener.
    pub target: Address,
    /// Request path, for those that ask.
    pub path: String,
    /// The steps of an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// The requests of `http-idle` clients, if there is more than one.
    #[serde(default, skip_serializing_if = "KeepAlive::is_plain")]
    pub keep_alive: KeepAlive,
    /// Number of this driver's first client, when several processes share a workload.
    pub first_id: u32,
    /// A connect that takes longer than this is `TimedOut`.
    pub connect_deadline_ms: u64,
}

/// The behaviour of a driver's clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Each connects, is answered once, and holds.
    Hold {
        /// The conversation.
        dialogue: Dialogue,
        /// How fast they come. For a steady pace, the run orders them one after the other.
        pace: Pace,
        /// They speak TLS from the first byte.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<Tls>,
    },
    /// Each is a call. `Connect` orders calls, `Release` lets go of what finished calls left open, oldest
    /// first.
    Call {
        /// The calls.
        calls: Calls,
        /// PEM file of the certificate to trust; `None`: without TLS, or any.
        certificate: Option<PathBuf>,
    },
    /// Each is a program of the user's own, or one program is all of them.
    Program {
        /// The program to execute, with all but `{client}` and `{clients}` filled in.
        program: ClientProgram,
        /// How fast they come.
        pace: Pace,
    },
}

/// An order to a driver; each is obeyed as soon as it is read, also in mid-ramp.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Connect until this many clients of this driver have been started in all (closed-loop); more may be
    /// ordered later.
    Connect {
        /// In all, not in addition.
        upto: u32,
    },
    /// Close this many held clients, oldest first (the oldest are those the server accepted); answers with
    /// `Released`.
    Release {
        /// At most this many; all that exist when larger. Parked and pending clients leave last.
        clients: u32,
    },
    /// Connect so many clients more than were started so far, in place of those that left.
    Refill {
        /// In addition.
        clients: u32,
    },
    /// Close so many clients that were not answered, the oldest of the newest `of`, which are those in the
    /// accept queue. Nothing answers it.
    GiveUp {
        /// At most this many.
        clients: u32,
        /// Clients in the accept queue.
        of: u32,
    },
    /// One new client beside the others: answers with one `Probe` event, its label repeated.
    Probe {
        /// Repeated in the event.
        label: Label,
        /// After this it `Waits` (connected) or `TimesOut` (not).
        deadline_ms: u64,
    },
    /// Asks held clients again, one after the other on their own connections, where the dialogue allows that:
    /// the oldest, and others spread over all. Answers with a `Probe` labelled `held` for each, one at least;
    /// one that is silent is the last.
    AskHeld {
        /// At most this many.
        clients: u32,
        /// After this it `Waits`.
        deadline_ms: u64,
    },
    /// Close everything and exit.
    Quit,
}

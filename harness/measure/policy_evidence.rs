//! The observations that show an accept policy.

use super::in_children::InChildren;
use super::model::Rhythm;
use crate::event::{Call, Pid};
use crate::scenario::Policy;

/// The observations of the accept loop.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum PolicyEvidence {
    /// No descriptor call failed.
    NoFailure,
    /// It failed before the first client.
    BeforeClients,
    /// No descriptor call failed, and it turned clients away or left them waiting.
    OwnRule { held: u64, turned_away: u64, error_replies: u64, closed_after_answer: u64, waiting: u64 },
    /// A process exited: after its failures, if any, and with another in its place, if one was started.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        /// The first failed call, so many failures, and seconds from the first to the exit.
        after: Option<(Call, usize, f64)>,
        replaced: Option<Replaced>,
        /// Clients that lost their connection.
        clients_lost: u64,
    },
    /// Clients were accepted and closed at once where this call had failed, and no number was free.
    ClosedForLack { clients: u64, call: Call },
    /// So many clients were accepted and turned away because this call fails, for want of something else than
    /// a number.
    TurnedAway { clients: u64, call: Call },
    /// So many clients were accepted and turned away because a call fails in the processes that were forked
    /// for them.
    InChildren { clients: u64, children: InChildren },
    /// So often it closed connections that it held after accept had failed, so many in all, and took further
    /// clients then.
    GaveWay { times: u64, connections: u64 },
    /// Clients were accepted and closed at once after accept had failed.
    Shed { clients: u64, waiting: u64 },
    /// No descriptor call failed; it used so much of a processor while clients waited, accepted none and
    /// answered none, also when the others had left.
    Deaf { cpu_percent: f64, waiting: u64 },
    /// It closed its listener: so many that waited were reset.
    ListenerClosed { reset: u64 },
    /// So many accepts failed on other listeners only: none was seen to fail on the loaded one.
    OnlyBeside { failures: usize, waiting: u64 },
    /// The rhythm of its failing calls.
    Rhythm {
        rhythm: Rhythm,
        call: Call,
        failures: usize,
        per_s: Option<f64>,
        waiting: u64,
        /// Connections held before that it closed.
        held_closed: u64,
    },
    /// So many failures at one time, then silence for so many seconds.
    Silence { failures: usize, silent_s: f64, waiting: u64, then: AfterSilence },
}

/// The process that took the place of one that exited.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Replaced {
    /// The new process.
    pub pid: Pid,
    /// From the exit to its fork, seconds.
    pub later_s: f64,
    /// How many more came in turn.
    pub others: usize,
}

/// The event that makes a silent accept loop try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waker {
    /// It had closed so many of its connections since it tried last.
    Close { connections: u64 },
    /// A client connected.
    Arrival,
}

/// The event that followed a silence of the accept loop.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AfterSilence {
    /// No timer of its own was set, and this made it try again.
    Woken(Waker),
    /// Nobody was waiting.
    NobodyWaited,
    /// It accepts again after clients left.
    AcceptsAgain,
    /// It tried again after clients left.
    TriedAgain,
    /// Too short to tell a delay from the end.
    TooShort,
    /// No accept after clients left, so many seconds in all.
    NoAccept(f64),
    /// The same of this process, though it had room and clients waited; others accepted.
    #[allow(missing_docs, reason = "named above")]
    OnlyOthers { pid: Pid, all_s: f64 },
    /// Others accepted; whether this one would have is not known.
    OthersFirst,
    /// Nobody was released.
    NobodyReleased,
}

/// A class, with the observations that show it.
pub(super) struct Seen {
    pub policy: Policy,
    pub evidence: PolicyEvidence,
    /// The rhythm of a loop that tries again.
    pub rhythm: Option<Rhythm>,
    pub gaps_s: Vec<f64>,
}

//! A value, or why there is none. Nothing here is said in words: `report::words` does that.

use super::error_replies::ErrorReplies;
use super::facts::Way;
use super::resources::Exhausted;
use crate::event::Ended;
use crate::scenario::Policy;

/// A value that may be unknown: then with the reason, and never as zero.
#[derive(Debug, Clone, PartialEq)]
pub enum Known<T> {
    /// As it was observed.
    Value(T),
    /// Nobody can say it, for this reason.
    Unknown(Why),
}

impl<T> Known<T> {
    /// The value, or the reason.
    ///
    /// # Errors
    /// The reason why it is unknown.
    pub const fn known(&self) -> Result<&T, &Why> {
        match self {
            Known::Value(value) => Ok(value),
            Known::Unknown(why) => Err(why),
        }
    }

    /// The value by reference; `None` when it is unknown.
    pub const fn get(&self) -> Option<&T> {
        match self {
            Known::Value(value) => Some(value),
            Known::Unknown(_) => None,
        }
    }

    /// Why it is unknown; `None` when it is known.
    pub const fn why(&self) -> Option<&Why> {
        match self {
            Known::Value(_) => None,
            Known::Unknown(why) => Some(why),
        }
    }

    /// The same reason, or the value turned into another.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Known::Value(value) => Known::Value(change(value)),
            Known::Unknown(why) => Known::Unknown(why),
        }
    }
}

impl<T: Copy> Known<T> {
    /// The value; `None` when it is unknown.
    pub const fn value(&self) -> Option<T> {
        match self {
            Known::Value(value) => Some(*value),
            Known::Unknown(_) => None,
        }
    }
}

impl<T> From<Result<T, Why>> for Known<T> {
    fn from(result: Result<T, Why>) -> Self {
        match result {
            Ok(value) => Known::Value(value),
            Err(why) => Known::Unknown(why),
        }
    }
}

/// Gives an absent value its reason.
pub(crate) trait OrWhy<T> {
    /// The value, or this reason.
    fn or_why(self, why: Why) -> Known<T>;
}

impl<T> OrWhy<T> for Option<T> {
    fn or_why(self, why: Why) -> Known<T> {
        self.map_or(Known::Unknown(why), Known::Value)
    }
}

/// When memory was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryAt {
    /// With the descriptors at rest.
    Rest,
    /// While the table was full.
    Wall,
    /// After all clients had left.
    End,
}

/// Why a value is unknown.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each has its sentence in `report::words`")]
#[non_exhaustive]
pub enum Why {
    /// In the words of the run.
    Said(String),
    // The run and its launch.
    NoHeader,
    LogEmpty,
    NoSysctls,
    NamespaceNotMade,
    SysctlNotRead,
    NothingToSay,
    NeverExecuted,
    NeverListened,
    NoProcess,
    NotRecorded,
    LimitsNotRead,
    ChainNotRead,
    BaselineNotRead,
    NothingPredicted,
    NotFinite,
    // The ceiling.
    NoObserver,
    BlindByCount {
        descriptors: u64,
        rest: u64,
    },
    BlindByClients {
        served: u64,
    },
    BlindByHolders {
        held: u64,
    },
    AcceptsPassBy,
    AcceptsPassByWithRoom,
    NobodyAnswered {
        refused: u64,
        silent: u64,
        replies: Option<ErrorReplies>,
    },
    EndedBeforeClients,
    LostBefore {
        samples: u64,
    },
    LostAfterFirst {
        samples: u64,
    },
    FailedUnseen {
        accepts: u64,
    },
    HandshakesUnfinished {
        clients: u64,
    },
    /// So many waited when the watch was over, and it was still accepting.
    StillAccepting {
        waiting: u64,
    },
    BehindAnother {
        waiting: u64,
        turned_away: u64,
    },
    ConnectsTimedOut {
        connects: u64,
    },
    OnlySomeConnected {
        connected: u64,
        asked: u64,
        /// Why no more were waited for; `None` where the log does not say.
        ended: Option<Ended>,
    },
    NobodyConnected,
    NoCallOver,
    OnlySomeCalls {
        over: u64,
        asked: u64,
        ended: Option<Ended>,
    },
    NoCallAnswered {
        over: u64,
        mostly: Option<Way>,
    },
    CallsNotCounted,
    CountedInCalls,
    /// Flows of UDP hold no descriptors, as far as the first few tell.
    FlowsHoldNone,
    /// UDP has no connections to accept.
    UdpAcceptsNobody,
    /// So many datagrams were sent, and none was answered.
    NoFlowAnswered {
        flows: u64,
    },
    /// The receive queue dropped so many.
    DatagramsDropped {
        drops: u32,
    },
    /// Flows are over when nothing came for a time that only the server knows.
    FlowsStillOpen,
    /// All had left, and no new client was served within so many seconds; it still waited for a time of its
    /// own, at which it may close what it holds, or tried to accept without a pause.
    NobodyServedWithin {
        within_s: f64,
    },
    /// All had left and left nothing open, and for so many seconds each new client was accepted and turned
    /// away.
    TurnedAwayFor {
        within_s: f64,
    },
    /// All had left, and for so many seconds nothing listened: it had closed its listener by a rule of its
    /// own.
    RefusedFor {
        within_s: f64,
    },
    NobodyHolds,
    TcpAsksNothing,
    ProgramsHoldSilently,
    OneProgramForAll,
    CameFaster,
    AllServed,
    NotSampledAtCeiling,
    NoneHeldWhenCounted,
    HeldByOthers,
    CostNotMeasured,
    NoFailureSeen,
    NoFailureAfterRamp,
    ProcessNeverFailed,
    KilledBySignal,
    NoSignal,
    // The resource that binds.
    NothingStoppedIt {
        though: Option<Box<Exhausted>>,
    },
    CeilingUnknown {
        though: Option<Box<Exhausted>>,
    },
    GeneratorFailed,
    KilledByAnother,
    KilledByAnybody,
    ExitedForNothingSeen,
    DeadForNothingSeen,
    // The accept policy.
    GeneratorFirst,
    SomethingElseRanOut,
    AcceptsNobody,
    AnotherCallFirst,
    NoPauses(Policy),
    // The wall.
    FailureNotKnown,
    TotalsNotRead,
    SamplingStopped,
    SamplesLost,
    TooFewSamples,
    CpuRanBackwards,
    NoNewClientAtWall,
    NoneKnownHeld,
    NoneAnsweredBefore,
    NoHeldAnswered,
    ConnectFailedOrWaits,
    NoConnectOrHeld,
    NoAnswer,
    QueueNotSampled,
    ListenerNotFound,
    DropsNotRead,
    SocketsNotListed,
    FilesNotRead,
    OverflowsReadOnce,
    MemoryNotRead(MemoryAt),
    TooFewReadings,
    /// Readings at the wall were only so far apart.
    TooShortForARate {
        watched_s: f64,
    },
    PortNotTried,
    NotAskedAtTheWall,
    // Limits that were moved.
    NotMovedInTime,
    NoProcessToMove,
    NotRaised,
    NothingHadFailed,
    NobodyWaited,
    DidNotResume,
    NoFailureUnderNewLimits,
    FailedBeforeNewClient,
    // Recovery.
    NoneLeftWhileOthersWaited,
    DriverDidNotSay,
    NoClientWaited,
    NoWaiterServed,
    QueueNotSeenEmpty,
    NeverAllReleased,
    NoNewClientAfterAll,
    NoneServedAfterAll,
    DidNotExit,
    DidNotComeToThat,
    NotCountedAfterAll,
    NoSecondRound,
    FurtherAddedNone,
    SocketsNotListedAfterAll,
    RestOrEndUnknown,
    ExitedBeforeTheCount,
    NotAtItsCeiling,
    // Rounds.
    NoWaiterServedInAnyRound,
    NoPauseToTellAPhase,
    FailuresNotSingle,
    NobodyAcceptedInRound,
    NobodyServedInRound,
    MoreWaitedThanLeft,
    TcpIsNotAnswered,
    TcpCannotTell,
    NoNewClientBeforeAll,
    OthersWaitedBefore,
    NotAtWallAgain,
    NotRefilled,
    NobodyWaitsForCalls,
    TooFewWaited,
    TooFewServed,
    NoHeldAnsweredTwice,
    NoSecondRamp,
    AnotherFailedFirst,
    LostInSecondRamp,
    NoFailureInSecondRamp,
    // Calls.
    NoFailureOfSubject,
    NoCallWasAnswered,
    NoCallWasMade,
    NoRate,
    NothingDrawn,
    TooFewCalls {
        answered: u64,
        needed: u64,
    },
    NotTheSubjectsCalls,
    NoCallsOfTheSubject,
    RestUnknown,
    NotSampledWhileCalling,
    NoCallAnsweredBeforeSample,
    CallersOwnSide,
    ItWasAnswered,
    NoCallFailed,
    NotCalledOrQueueNotSampled,
    NotCalledOrNotListed,
    // The upstream.
    UpstreamSilent,
    UpstreamAnswersNothing,
    UpstreamWithoutTls,
    NobodyCalledUpstream,
    CallsLeaveNothing,
    NeitherSide,
    // Witnesses and series.
    CountedNoCeiling,
    OnlyOneCounted,
    NothingToExplain,
    RateTakesTwo,
    NoListenerThen,
    NotReadWithSample,
    ProcessNotReadable,
    DescriptorsNotReadable,
}

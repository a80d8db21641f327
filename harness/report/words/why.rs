//! Why a value is unknown, in words: each reason's sentence, without a full stop.

use super::{counted, errno_name, evidence, number, phases};
use crate::event::{CallStep, Ended, Outcome};
use crate::measure::{ErrorReplies, Exhausted, MemoryAt, Way, Why};

/// Error replies that clients got in place of what they asked for, and how many; a clause.
pub fn error_replies(replies: &ErrorReplies) -> String {
    let ErrorReplies { first, clients, others, .. } = replies;
    let others = match others {
        0 => String::new(),
        n => format!(", and {n} got another error reply"),
    };
    format!(
        "{} {} answered \"{first}\"{others}",
        counted(*clients, "client"),
        number(*clients, "was", "were")
    )
}

fn because(ended: Option<Ended>) -> String {
    ended.map_or(String::new(), |why| format!(", because {}", phases::ended(why)))
}

/// An observer that saw no accept, though this is so.
fn blind(though: &str) -> String {
    format!(
        "the witnesses disagree: the system-call observer saw no accept, but {though}; another one may see more (`--observer ptrace`: \
         the kernel stops perf in a program that changes its user as it is executed)"
    )
}

/// The reason's sentence.
pub fn why(why: &Why) -> String {
    let plain = match why {
        Why::Said(reason) => return reason.clone(),
        Why::BlindByCount { descriptors, rest } => {
            return format!(
                "the witnesses disagree: the system-call observer saw no accept, but /proc counts {descriptors} descriptors, up from {rest} \
                 before the first client (it may accept through io_uring, or the observer cannot see this program)"
            );
        }
        Why::BlindByClients { served } => {
            return blind(&format!(
                "{} {} served",
                counted(*served, "client"),
                number(*served, "was", "were")
            ));
        }
        Why::BlindByHolders { held } => {
            let held = counted(*held, "connection");
            return blind(&format!("by /proc the server holds {held}"));
        }
        Why::NobodyAnswered { refused, silent, replies } => {
            let got = match replies {
                None if *silent > 0 => {
                    let were = number(*silent, "was", "were");
                    format!(": {} {were} accepted, and got no response", counted(*silent, "connection"))
                }
                None => format!(", and {refused} {} closed or got an error", number(*refused, "was", "were")),
                Some(replies) => format!(": {}", error_replies(replies)),
            };
            return format!(
                "no client got the answer that its workload expects{got}: does the server speak this protocol, at this path?"
            );
        }
        Why::TooShortForARate { watched_s } => {
            return format!("the wall was watched for {watched_s:.3} s, and a rate needs a second");
        }
        Why::TooFewCalls { answered, needed } => {
            return format!(
                "of {} no ten are beyond this percentile: it needs {needed}",
                counted(*answered, "answered call")
            );
        }
        Why::NoFlowAnswered { flows } => {
            return format!(
                "no client got an answer to its datagram ({flows} {} sent): does the server answer this, and does it expect another datagram first?",
                number(*flows, "was", "were")
            );
        }
        Why::DatagramsDropped { drops } => {
            return format!(
                "the receive queue of its socket dropped {}, so clients without an answer say nothing: let them come more slowly (`--pace`)",
                counted((*drops).into(), "datagram")
            );
        }
        Why::NobodyServedWithin { within_s } => {
            return format!(
                "within {within_s:.0} s after all clients had left it served no new one and closed nothing, but it neither waits for \
                 ever nor has exited: a timer of its own may still close what it holds"
            );
        }
        Why::TurnedAwayFor { within_s } => {
            return format!(
                "for {within_s:.0} s after all clients had left it accepted new ones and closed their connections, and nothing \
                 stayed open: a rule of its own may let them in later"
            );
        }
        Why::RefusedFor { within_s } => {
            return format!(
                "for {within_s:.0} s after all clients had left it had no listener, which it closed by a rule of its own: it may open one \
                 later"
            );
        }
        Why::LostBefore { samples } => {
            return format!(
                "the observer lost {} before the ceiling, and /proc does not confirm the count",
                counted(*samples, "sample")
            );
        }
        Why::LostAfterFirst { samples } => {
            return format!("the observer lost {} after the first failure", counted(*samples, "sample"));
        }
        Why::FailedUnseen { accepts } => {
            return format!(
                "the counters show {} that failed for lack of a descriptor, but none was seen, so their time is not known",
                counted(*accepts, "accept")
            );
        }
        Why::HandshakesUnfinished { clients } => {
            return format!(
                "{} connected from the client's side alone, neither accepted nor in the accept queue: the queue overflowed and dropped the \
                 last packet of the handshake (a larger backlog, a slower ramp, or clients that send a request avoid that)",
                number(*clients, "1 client is", &format!("{clients} clients are"))
            );
        }
        Why::StillAccepting { waiting } => {
            return format!(
                "the server was still accepting when the watch ended, and {} in its accept queue: give it more time (`--hold`), or fewer \
                 clients",
                number(*waiting, "1 client was", &format!("{waiting} clients were"))
            );
        }
        Why::BehindAnother { waiting, turned_away } => {
            return format!(
                "{} and {turned_away} {} turned away before they reached the subject, whose accept queue is empty and \
                 which closed nobody: the process in front of it is the limit",
                evidence::wait(*waiting),
                number(*turned_away, "was", "were")
            );
        }
        Why::ConnectsTimedOut { connects } => {
            return format!(
                "{} timed out, although the subject accepted every client that connected: its accept queue overflowed \
                 before it reached a ceiling",
                counted(*connects, "connect")
            );
        }
        Why::OnlySomeConnected { connected, asked, ended } => {
            return format!(
                "only {connected} of {asked} clients connected before the ramp ended{}",
                because(*ended)
            );
        }
        Why::OnlySomeCalls { over, asked, ended } => {
            return format!(
                "only {over} of {asked} calls were over before the ramp ended{}",
                because(*ended)
            );
        }
        Why::NoCallAnswered { over, mostly } => {
            let mostly = mostly.map(|way| format!("; most {}", ended(&way, true))).unwrap_or_default();
            return format!("none of {over} calls was answered, and no descriptor call failed{mostly}");
        }
        Why::NothingStoppedIt { though } => return with_though("nothing stopped it", though.as_deref()),
        Why::CeilingUnknown { though } => return with_though("the ceiling is not known", though.as_deref()),
        Why::NoPauses(policy) => {
            return format!("no pause between its tries is known: its policy is {}", policy.name());
        }
        Why::MemoryNotRead(at) => {
            let when = match at {
                MemoryAt::Rest => "before the first client",
                MemoryAt::Wall => "at the wall",
                MemoryAt::End => "after all clients left",
            };
            return format!("the memory of its processes was not read {when}");
        }
        // The others are always said in the same words.
        Why::NoHeader => "the log has no header",
        Why::LogEmpty => "the log is empty",
        Why::NoSysctls => "the scenario sets no sysctl, so the run has none of its own",
        Why::NamespaceNotMade => "it was not made",
        Why::SysctlNotRead => "it could not be read, as its note says",
        Why::NothingToSay => "there is nothing to say of it",
        Why::NeverExecuted => "the subject was never executed",
        Why::NeverListened => "the subject never listened",
        Why::NoProcess => "no process of the subject was found",
        Why::NotRecorded => "the log does not say",
        Why::LimitsNotRead => "the limits of the process that accepts were never read back",
        Why::ChainNotRead => "the chain of limits was never read",
        Why::BaselineNotRead => "the descriptors open before the first client were never counted",
        Why::NothingPredicted => {
            "nothing was predicted: the limits, or the descriptors open before the first client, are unknown"
        }
        Why::NotFinite => "it is not a finite number",
        Why::NoObserver => {
            "no observer of system calls was there, so nothing counted what the subject accepted"
        }
        Why::AcceptsPassBy => {
            "it accepts through io_uring, which the system-call observer cannot see; perf as root can (`lastfd doctor`)"
        }
        Why::AcceptsPassByWithRoom => {
            "it accepts through io_uring, which the system-call observer cannot see; perf as root can (`lastfd doctor`); /proc shows \
             clients without a descriptor, and room for more"
        }
        Why::EndedBeforeClients => "the run ended before the first client",
        Why::NobodyConnected => "no client connected",
        Why::NoCallOver => "no call was over before the ramp ended",
        Why::CallsNotCounted => "neither the subject nor a workload counted its calls",
        Why::UpstreamSilent => "the bundled upstream said nothing",
        Why::UpstreamAnswersNothing => "a tcp upstream holds connections and answers nothing",
        Why::UpstreamWithoutTls => "the upstream does not speak TLS",
        Why::NobodyCalledUpstream => "nobody connected to the upstream",
        Why::CallsLeaveNothing => "calls leave no descriptor open",
        Why::NeitherSide => "no call that failed accepts or makes a socket",
        Why::CountedInCalls => "its ceiling is counted in calls: see `calls`",
        Why::NobodyHolds => "nobody holds connections to the subject: see `calls`",
        Why::CameFaster => {
            "each connection costs work after its accept, and clients came faster than that was done: `--pace steady` waits for it"
        }
        Why::ProgramsHoldSilently => {
            "a client program that holds its connection does not say whether it was answered: with `served`, a line of its output does"
        }
        Why::OneProgramForAll => "one program is all clients: what each of them got is not known",
        Why::TcpAsksNothing => "clients of a tcp workload ask nothing",
        Why::AllServed => "every client that connected was served",
        Why::NotSampledAtCeiling => "the descriptors were not counted at the ceiling",
        Why::NoneHeldWhenCounted => "no connection was held when the descriptors were counted",
        Why::HeldByOthers => {
            "the process whose descriptors were counted had handed its connections to others"
        }
        Why::CostNotMeasured => "what the first few clients cost was not measured",
        Why::NoFailureSeen => "no descriptor call was seen to fail",
        Why::NoFailureAfterRamp => "no descriptor call failed after the ramp began",
        Why::ProcessNeverFailed => "no descriptor call of that process was seen to fail",
        Why::KilledBySignal => "it was killed by a signal",
        Why::NoSignal => "no signal killed it",
        Why::GeneratorFailed => "the load generator failed",
        Why::KilledByAnother => {
            "signal 9 killed it; its cgroup counts no out-of-memory kill, so the sender is not known"
        }
        Why::KilledByAnybody => {
            "signal 9 killed it; its cgroup cannot be read, so it may have been the out-of-memory killer"
        }
        Why::DeadForNothingSeen => "it never accepts again, and nothing was seen to run out",
        Why::ExitedForNothingSeen => "it exited, and nothing that lastfd watches had run out",
        Why::GeneratorFirst => "the load generator ran out before the subject did",
        Why::SomethingElseRanOut => {
            "no descriptor call failed and it has no rule of its own: something else ran out (see `ceiling.binds`)"
        }
        Why::AcceptsNobody => "it accepts no connections, so there is no accept loop to watch",
        Why::AnotherCallFirst => {
            "another call than accept failed first, so its accept loop is not the question"
        }
        Why::FailureNotKnown => "it is not known whether a call failed",
        Why::TotalsNotRead => "the totals of failed calls were not read at the wall",
        Why::SamplingStopped => "too many calls failed to record each of them",
        Why::SamplesLost => "the observer lost samples",
        Why::TooFewSamples => "fewer than two samples were taken at the wall",
        Why::CpuRanBackwards => "another process took its place, so its CPU time cannot be compared",
        Why::FlowsHoldNone => "no descriptor tells how many clients there are",
        Why::UdpAcceptsNobody => {
            "UDP has no connections to accept, so there is no accept loop and no accept queue"
        }
        Why::FlowsStillOpen => {
            "descriptors of clients were still open a minute after these fell silent; whether they are closed later is not known"
        }
        Why::NoNewClientAtWall => "no new client was sent at the wall",
        Why::NoneKnownHeld => "no connection is known to have been held",
        Why::NoneAnsweredBefore => "no client was answered before the wall",
        Why::NoHeldAnswered => "no held client answered",
        Why::ConnectFailedOrWaits => "the connect failed, or the client still waits",
        Why::NoConnectOrHeld => {
            "the probe did not get so far, or it asked on a held connection, which needs no connect"
        }
        Why::NoAnswer => "there was no answer",
        Why::QueueNotSampled => "the accept queue was not sampled at the wall",
        Why::ListenerNotFound => "the listener was not found",
        Why::DropsNotRead => "the listener's drops were not read",
        Why::SocketsNotListed => "the sockets were not listed at the wall",
        Why::FilesNotRead => "the host's open files were not read at the wall",
        Why::OverflowsReadOnce => "the host's counter was read only once",
        Why::TooFewReadings => "fewer than two readings were taken at the wall",
        Why::NotAskedAtTheWall => {
            "a client there could change what the program does, so none was sent before recovery was measured (`expect.other-listeners` sends \
             one at the limit)"
        }
        Why::PortNotTried => "only loopback addresses are tried, and this one was not tried to the end",
        Why::NotMovedInTime => "the run ended or the subject exited before its limits were moved",
        Why::NoProcessToMove => "no process let its limits be moved",
        Why::NotRaised => "the limit was not raised",
        Why::NothingHadFailed => "no descriptor call had failed before",
        Why::NobodyWaited => "no client waited to be accepted",
        Why::DidNotResume => "it did not accept again",
        Why::NoFailureUnderNewLimits => "no descriptor call was seen to fail under the new limits",
        Why::FailedBeforeNewClient => "a call failed before a new client was sent",
        Why::NoneLeftWhileOthersWaited => "no clients left while others waited",
        Why::DriverDidNotSay => "the driver did not say how many left",
        Why::NoClientWaited => "no client was waiting",
        Why::NoWaiterServed => "no waiting client was served before all clients left",
        Why::QueueNotSeenEmpty => "the accept queue was not seen empty before all clients left",
        Why::NeverAllReleased => "the run ended before all clients left",
        Why::NoNewClientAfterAll => "no new client was sent after all clients left",
        Why::NoneServedAfterAll => "no new client was served after all clients left",
        Why::DidNotExit => "it did not exit",
        Why::DidNotComeToThat => "the run did not get so far",
        Why::NoSecondRound => "no clients came again after all had left",
        Why::FurtherAddedNone => "clients that came again, few at a time, added none",
        Why::NotCountedAfterAll => "the descriptors were not counted after all clients left",
        Why::SocketsNotListedAfterAll => "the sockets were not listed after all clients left",
        Why::RestOrEndUnknown => {
            "the descriptors open before the first client, or after all had left, are not known"
        }
        Why::ExitedBeforeTheCount => "it exited before its descriptors were counted after all clients left",
        Why::NotAtItsCeiling => "it did not reach its ceiling",
        Why::NoWaiterServedInAnyRound => "no waiting client was served in any round",
        Why::NoPauseToTellAPhase => "it tries again without a pause",
        Why::FailuresNotSingle => "its failures were not recorded one by one at that time",
        Why::NobodyAcceptedInRound => "no client was accepted in that round",
        Why::NobodyServedInRound => "no client was served in that round",
        Why::MoreWaitedThanLeft => "more clients waited than left",
        Why::TcpIsNotAnswered => "tcp clients ask nothing, so none is answered",
        Why::TcpCannotTell => "a tcp client cannot tell when it is accepted",
        Why::NoNewClientBeforeAll => "no new client came before all clients left",
        Why::OthersWaitedBefore => "other clients were ahead of the new ones",
        Why::NotAtWallAgain => "no failure with new clients waiting was seen again, or samples were lost",
        Why::NotRefilled => "no new clients replaced those that left",
        Why::NobodyWaitsForCalls => "no client waits for a place: see `calls`",
        Why::TooFewWaited => "fewer than two clients waited for a place, or none got one",
        Why::TooFewServed => "too few clients were served to tell",
        Why::NoHeldAnsweredTwice => "no held client answered a second time",
        Why::NoSecondRamp => "there was no second ramp",
        Why::AnotherFailedFirst => "another process failed first, and its first ceiling was different, too",
        Why::LostInSecondRamp => "the observer lost samples in the second ramp",
        Why::NoFailureInSecondRamp => "no accept was seen to fail in the second ramp",
        Why::NoFailureOfSubject => "no descriptor call of the subject was seen to fail",
        Why::NoCallWasAnswered => "no call was answered",
        Why::NoCallWasMade => "no call was made at the rate",
        Why::NoRate => "the calls have no `rate`: each waited for a free place (a closed loop)",
        Why::NothingDrawn => "constant intervals are not drawn from a seed",
        Why::NotTheSubjectsCalls => "these calls are not the subject's own work",
        Why::NoCallsOfTheSubject => "no workload makes calls of the subject",
        Why::RestUnknown => "the descriptors open before the first client are not known",
        Why::NotSampledWhileCalling => "the descriptors were not sampled while calls were made",
        Why::NoCallAnsweredBeforeSample => "no call was answered before the descriptors were sampled",
        Why::CallersOwnSide => "the caller's side failed",
        Why::ItWasAnswered => "it was answered",
        Why::NoCallFailed => "no system call failed",
        Why::NotCalledOrQueueNotSampled => "the subject is not called, or its accept queue was not sampled",
        Why::NotCalledOrNotListed => "the subject is not called, or its sockets were not listed",
        Why::CountedNoCeiling => "it counted nothing that is a ceiling",
        Why::OnlyOneCounted => "only one witness counted connections",
        Why::NothingToExplain => "there is nothing to explain",
        Why::RateTakesTwo => "a rate takes two samples of the same process",
        Why::NoListenerThen => "no listener of it was found at that time",
        Why::NotReadWithSample => "it is not read while clients connect",
        Why::ProcessNotReadable => "the process was gone or could not be read",
        Why::DescriptorsNotReadable => "the descriptors of the subject could not be read",
    };
    plain.to_owned()
}

/// The same, and what had run out all the same.
fn with_though(why: &str, though: Option<&Exhausted>) -> String {
    match though {
        Some(seen) => format!("{why}, though {}", evidence::exhausted(seen)),
        None => why.to_owned(),
    }
}

/// The same of so many calls, as a verb.
pub fn ended(way: &Way, many: bool) -> String {
    let be = if way.outcome.is_none() {
        ""
    } else if many {
        "were "
    } else {
        "was "
    };
    format!("{be}{}", self::way(way))
}

/// How calls ended, in a few words.
pub fn way(way: &Way) -> String {
    if (way.outcome, way.step) == (Some(Outcome::Waits), Some(CallStep::Body)) {
        return "given an answer that did not end in time".into();
    }
    let what = match way.outcome {
        Some(Outcome::Served) => "answered",
        Some(Outcome::Waits) => "connected without a response",
        Some(Outcome::TimesOut) => "timed out while connecting",
        Some(Outcome::Refused) => "refused",
        Some(Outcome::Closed) => "closed",
        Some(Outcome::ErrorReply) => "given an error reply",
        None => "failed on the caller's side",
    };
    let step = way.step.map_or(String::new(), |step: CallStep| format!(" at `{}`", step.name()));
    let errno = way.errno.filter(|_| way.outcome.is_none());
    format!("{what}{step}{}", errno.map_or(String::new(), |errno| format!(" with {}", errno_name(errno))))
}

//! The steps of a run: how long each took, and what ended it.

use super::super::Report;
use super::sentence;
use crate::event::{Ended, Phase};

/// Each step, its time and what ended it; `None` of a run that recorded none.
pub fn phases(r: &Report) -> Option<String> {
    let took = r.found.timings.phases.iter();
    let steps: Vec<String> = took
        .map(|took| format!("{} {:.3} s ({})", name(took.phase), took.took_s, ended(took.ended)))
        .collect();
    (!steps.is_empty()).then(|| sentence(&steps.join("; ")))
}

/// The name of a step.
pub fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Launch => "launch",
        Phase::Baseline => "becoming idle",
        Phase::Ramp => "clients connect",
        Phase::Saturate => "watched at the wall",
        Phase::Probe => "new client",
        Phase::Moved => "limit moved",
        Phase::ReleaseSome => "some leave",
        Phase::ReleaseAll => "all leave",
        Phase::Settle => "settling",
        Phase::SecondRound => "a few clients again",
        Phase::Again => "clients connect again",
        Phase::Stop => "stop",
    }
}

/// The event that ended a step, as a clause.
pub fn ended(ended: Ended) -> &'static str {
    match ended {
        Ended::Ready => "it was ready",
        Ended::AtRest => "it was idle",
        Ended::AllIn => "every client was in or turned away",
        Ended::FirstFailure => "a call failed",
        Ended::NoFailure => "no call had failed",
        Ended::Stalled => "nothing moved any more",
        Ended::Full => "no more clients stayed",
        Ended::Decided => "its accept policy was clear",
        Ended::Answered => "the new client had its answer",
        Ended::Served => "as many were served as there was room for",
        Ended::TurnedAway => "new clients were turned away",
        Ended::Quiet => "it was quiet",
        Ended::Draining => "it still closed or accepted, and its time was over",
        Ended::Growing => "it opened descriptors by itself",
        Ended::Gone => "it had exited",
        Ended::Generator => "lastfd's own side lacked something",
        Ended::Time => "its time was over",
        Ended::Interrupted => "the run was interrupted",
        Ended::Failed => "the run could not go on",
    }
}

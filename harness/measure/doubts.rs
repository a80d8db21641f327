//! Why nothing can be concluded from a run.

use super::ceiling::{Ceiling, Kind};
use super::facts::Facts;
use super::known::Why;
use super::units::seconds;
use super::upstream;
use super::witness::{Note, Witnesses};
use crate::event::Unseen;

/// A reason to conclude nothing.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum Doubt {
    /// The run ended early, in the words of its error.
    Run(String),
    /// There was no subject to load, for this reason.
    NotStarted(String),
    /// The log ends in mid-run.
    LogCut,
    /// The ceiling cannot be said.
    Ceiling(Why),
    /// The generator's own side failed first.
    Generator { errno: i32, at_s: f64 },
    /// The bundled upstream ran out of descriptors itself.
    Upstream,
    /// The witnesses disagree.
    Witnesses(Vec<Note>),
}

/// Something that the run could not see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotSeen {
    /// The observation that it could not make.
    pub what: Unseen,
    /// Why, in the words of the run.
    pub why: String,
}

/// Observations that the run was to make and could not.
pub(super) fn not_seen(facts: &Facts<'_>) -> Vec<NotSeen> {
    let all = facts.readings.not_seen.iter();
    all.map(|(what, why)| NotSeen { what: (*what).clone(), why: (*why).to_owned() }).collect()
}

/// Everything that keeps the run from being judged; nothing, where it can be.
pub(super) fn doubts(facts: &Facts<'_>, ceiling: &Ceiling, witnesses: &Witnesses) -> Vec<Doubt> {
    let readings = &facts.readings;
    let mut doubts: Vec<Doubt> =
        readings.inconclusive.iter().map(|reason| Doubt::Run((*reason).to_owned())).collect();
    doubts.extend(readings.not_started.map(|reason| Doubt::NotStarted(reason.to_owned())));
    if !facts.complete {
        doubts.push(Doubt::LogCut);
    }
    match (&ceiling.kind, ceiling.reached.get()) {
        // A run that ended before its first client has said why already.
        (kind, None) if doubts.is_empty() || facts.phases.loaded() => {
            doubts.extend(kind.why().cloned().filter(|why| *why != Why::AcceptsPassBy).map(Doubt::Ceiling));
        }
        (kind, _) if kind.value() == Some(Kind::Generator) => {
            doubts.extend(
                facts.generator_failed().map(|(at, errno)| Doubt::Generator { errno, at_s: seconds(at) }),
            );
        }
        _ => {}
    }
    if upstream::exhausted(facts) {
        doubts.push(Doubt::Upstream);
    }
    if witnesses.agreement.value() == Some(false) {
        doubts.push(Doubt::Witnesses(witnesses.notes.clone()));
    }
    doubts
}

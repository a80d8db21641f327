//! Why nothing can be concluded from a run.

use super::errno_name;
use super::evidence::notes;
use super::why::why;
use crate::measure::Doubt;

/// The doubt as a clause.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Run(reason) | Doubt::NotStarted(reason) => reason.clone(),
        Doubt::LogCut => "the log ends in the middle of the run".into(),
        Doubt::Ceiling(reason) => why(reason),
        Doubt::Generator { errno, .. } => format!(
            "lastfd's own side failed with {} before the subject did: give it more descriptors, ports or source addresses",
            errno_name(*errno)
        ),
        Doubt::Witnesses(all) => format!("the witnesses disagree: {}", notes(all).unwrap_or_default()),
    }
}

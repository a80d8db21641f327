//! Why nothing can be concluded from a run.

use super::evidence::notes;
use super::why::why;
use super::{errno_name, sentence};
use crate::measure::Doubt;

/// The doubt as a clause.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Run(reason) | Doubt::NotStarted(reason) => reason.clone(),
        Doubt::LogCut => "the log ends in the middle of the run".into(),
        Doubt::Ceiling(reason) => why(reason),
        Doubt::Generator { errno, .. } => {
            format!("lastfd's own side failed with {} before the subject did", errno_name(*errno))
        }
        Doubt::Upstream => {
            "lastfd's own upstream ran out of descriptors: lower --nofile, or raise the hard limit".into()
        }
        Doubt::Witnesses(all) => format!("the witnesses disagree: {}", notes(all).unwrap_or_default()),
    }
}

/// A sentence that the run says nothing, and for what cause.
pub fn nothing(cause: &str) -> String {
    sentence(&format!("nothing can be concluded from this run: {cause}"))
}

/// A cause in one line: what the subject wrote last stands below.
pub fn cause(reason: &str) -> String {
    match reason.split_once('\n') {
        Some((line, _)) => format!("{} are below", line.trim_end_matches(':')),
        None => reason.to_owned(),
    }
}

/// A sentence that there was no subject to load, and why.
pub fn not_started(why: &str) -> String {
    sentence(&format!("it did not start: {why}"))
}

//! Reasons other than descriptors for a subject to stop.

use crate::measure::error_replies::ErrorReplies;
use crate::measure::fd_setsize::FdSetsize;
use crate::measure::in_children::InChildren;
use crate::measure::lost_in_passing::LostInPassing;

/// Reasons other than descriptors for which it may have stopped.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// Set if its descriptor numbers ended where select(2) ends.
    pub fd_setsize: Option<FdSetsize>,
    /// Whether tasks or memory ran out.
    pub exhausted: bool,
    /// Set if the processes that connections are passed to were full.
    pub lost_in_passing: Option<LostInPassing>,
    /// Set if calls failed in processes that were forked for connections.
    pub in_children: Option<InChildren>,
    /// Error replies that clients got in place of the expected answer.
    pub error_replies: Option<&'a ErrorReplies>,
}

//! What may stop a subject beside its descriptors.

use crate::measure::error_replies::ErrorReplies;
use crate::measure::fd_setsize::FdSetsize;
use crate::measure::holders::LostInPassing;
use crate::measure::in_children::InChildren;

/// What may have stopped it beside its descriptors.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// That its numbers ended where select(2) does.
    pub fd_setsize: Option<FdSetsize>,
    /// Whether tasks or memory ran out.
    pub exhausted: bool,
    /// That the processes which connections are passed to were full.
    pub lost_in_passing: Option<LostInPassing>,
    /// That calls failed in processes which were forked for connections.
    pub in_children: Option<InChildren>,
    /// What clients were told in place of what they asked for.
    pub error_replies: Option<&'a ErrorReplies>,
}

//! Reasons other than the numbers of the process that accepts for a subject to stop.

use crate::measure::fd_setsize::FdSetsize;
use crate::measure::in_children::InChildren;
use crate::measure::lost_in_passing::LostInPassing;
use crate::measure::resources::Exhausted;

/// Each that was seen; why the subject stopped, and what bound it, are asked of all of them.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// Set if its descriptor numbers ended where select(2) ends.
    pub fd_setsize: Option<FdSetsize>,
    /// Tasks or memory that ran out.
    pub exhausted: Option<&'a Exhausted>,
    /// Set if the processes that connections are passed to were full.
    pub lost_in_passing: Option<LostInPassing>,
    /// Set if calls failed in processes that were forked for connections.
    pub in_children: Option<InChildren>,
}

//! The findings of `lastfd inspect` about a process.

use super::groups::Group;
use super::growth::Growth;
use super::tree::Member;
use super::unread::Unread;
use crate::event::{Descriptor, Limits, Link, Pid};
use crate::limits::managed::Manager;
use crate::limits::raise::Raise;
use serde::Serialize;
use std::collections::BTreeMap;

/// All that was found out about the process; the JSON document.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`super::SCHEMA`].
    pub schema: &'static str,
    /// The process as the command line named it: its id, `:PORT` or a name.
    pub asked: String,
    /// Process id, as /proc shows it.
    pub pid: Pid,
    /// Its ids in the PID namespaces that matter.
    pub ids: Ids,
    /// Command line.
    pub command: String,
    /// Limits in force.
    pub limits: Limits,
    /// Descriptors that it can still open; null when its descriptors are not readable.
    pub headroom: Option<u64>,
    /// All processes that were asked for and their descendants, this one too, the one with the smallest share
    /// of its limit left first.
    pub tree: Vec<Member>,
    /// How many are open; null when they are not readable.
    pub descriptors: Option<Counts>,
    /// By kind, most first.
    pub kinds: Vec<Kind>,
    /// By kind and other end, most first.
    pub peers: Vec<Group>,
    /// TCP listeners with the connections that wait in their accept queues.
    pub listeners: Vec<Listener>,
    /// Its TCP sockets whose peer has closed and that it has not closed itself.
    pub close_wait: u64,
    /// Open files that have been deleted.
    pub deleted: u64,
    /// TCP sockets with data that it has not read; null when its descriptors are not readable.
    pub unread: Option<Unread>,
    /// Sockets in TIME_WAIT on its listening ports; they hold no descriptor.
    pub time_wait: u64,
    /// Null when nothing was sampled.
    pub growth: Option<Growth>,
    /// Ancestors and their limits, first ancestor first; the last is the process itself.
    pub chain: Vec<Link>,
    /// The first process of the chain from which on the limits are those in force.
    pub set_by: Option<Pid>,
    /// The managers that keep the process, innermost first.
    pub managed_by: Vec<Manager>,
    /// Changes that give the next start a higher limit, one for each manager.
    pub for_good: Vec<String>,
    /// Commands that would raise the limit now. They were not run.
    pub raise_now: Vec<Raise>,
    /// Every descriptor, by number.
    pub inventory: Vec<Descriptor>,
    /// The values that could not be measured, and why.
    pub unmeasured: BTreeMap<&'static str, String>,
}

impl Report {
    /// Whether the process has exited since it was found: nothing can be raised any more.
    pub fn has_exited(&self) -> bool {
        self.unmeasured.contains_key("raise_now")
    }

    /// The process with the smallest share of its limit left, where that is another one than this.
    pub fn worse(&self) -> Option<&Member> {
        let share = self.tree.iter().find(|member| member.pid == self.pid)?.share();
        self.tree
            .first()
            .filter(|worst| worst.share().is_some_and(|its| share.is_none_or(|share| its < share)))
    }
}

/// The ids of one process.
#[derive(Debug, Serialize)]
pub struct Ids {
    /// The id in the PID namespace of lastfd, which commands take. It differs from the id in /proc where
    /// /proc belongs to an outer namespace.
    pub here: Pid,
    /// From the namespace of /proc inwards; the last is what the process calls itself. Empty when they are
    /// not readable.
    pub namespaces: Vec<Pid>,
    /// Whether lastfd is in the machine's first PID namespace. Otherwise the host knows all processes by
    /// other ids.
    pub whole_machine: bool,
}

/// Descriptors of one kind.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "as in the inventory")]
pub struct Kind {
    pub kind: String,
    pub count: u64,
}

/// One TCP listener.
#[derive(Debug, Serialize)]
pub struct Listener {
    /// Where it listens.
    pub address: String,
    /// Connections in its accept queue: connected, not yet accepted.
    pub waiting: u64,
}

/// Descriptors of the process, counted.
#[derive(Debug, Serialize)]
pub struct Counts {
    /// Taken numbers, by the kernel's count: those listed and those reserved.
    pub open: u64,
    /// Listed in `/proc/PID/fd`.
    pub listed: u64,
    /// Numbers reserved by threads blocked in `accept`, which the listing does not show.
    pub reserved: u64,
    /// Descriptors that take a place under the soft limit: numbered below it, or reserved.
    pub counted: u64,
    /// Descriptors numbered at or above the soft limit, inherited or from before it was lowered; they take no
    /// place.
    pub above_soft: Vec<Descriptor>,
}

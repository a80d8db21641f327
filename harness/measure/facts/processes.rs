//! Which processes of the log are the subject: those that accept, not the launchers above them.

use super::readings::{Chain, Ended, Readings};
use super::tries::Tries;
use crate::event::{Nanos, Pid};
use crate::scenario::{Caller, Plan, Workload};
use std::collections::{BTreeSet, HashSet};

/// The processes whose failures and connections count.
pub(crate) struct Processes {
    /// The process that accepts, as the last chain of limits before the release says.
    pub main: Option<Pid>,
    /// Whether its ceiling is counted in calls: it is a client that no workload loads, or it is loaded with
    /// calls.
    pub is_client: bool,
    /// Whether any of its processes counts, for none is known to accept.
    any: bool,
    launchers: BTreeSet<Pid>,
    accepting: BTreeSet<Pid>,
}

impl Processes {
    pub fn new(plan: &Plan, readings: &Readings<'_>, tries: &Tries, released: Nanos) -> Self {
        let mut accepting: BTreeSet<Pid> = tries.accepting().collect();
        let mut launchers: BTreeSet<Pid> = readings.chains.iter().flat_map(above).collect();
        let main = main(readings, &accepting, released);
        let (calls, holds): (Vec<_>, Vec<_>) =
            plan.workloads.values().filter(|w| w.to == plan.subject).partition(|w| counts_calls(w));
        let is_client = holds.is_empty() && (!calls.is_empty() || plan.subject_is_client());
        launchers.retain(|pid| !accepting.contains(pid) && Some(*pid) != main);
        accepting.extend(main);
        let any = is_client || plan.serves_datagrams(&plan.subject);
        Processes { main, is_client, any, launchers, accepting }
    }

    /// Whether a failure of this process is a failure of the subject.
    pub fn counts(&self, pid: Pid) -> bool {
        let own = self.any || self.accepting.is_empty() || self.accepting.contains(&pid);
        own && !self.launchers.contains(&pid)
    }

    /// The processes above the subject, which are no part of it.
    pub fn above(&self) -> HashSet<Pid> {
        self.launchers.iter().copied().collect()
    }
}

/// The processes that started the process at the chain's end.
fn above<'a>(chain: &Chain<'a>) -> impl Iterator<Item = Pid> + use<'a> {
    let links = chain.links;
    links.iter().take(links.len().saturating_sub(1)).map(|link| link.pid)
}

/// The process that accepts. A master that only holds the listener has a chain too, and its worker may be
/// gone when it is read again.
fn main(readings: &Readings<'_>, accepting: &BTreeSet<Pid>, released: Nanos) -> Option<Pid> {
    let mut chained: Vec<Pid> = Vec::new();
    for chain in &readings.chains {
        // The chain of a process that is gone holds only those above it.
        let whole = chain.links.last().is_some_and(|last| last.pid == chain.pid);
        if whole && (chain.at < released || chained.is_empty()) {
            chained.push(chain.pid);
        }
    }
    let asked = readings.chains.iter().rfind(|chain| chain.at < released).map(|chain| chain.pid);
    // Where nobody saw an accept, it is the one whose descriptors grew: the run asked for that one last.
    let grew = || chained.iter().rfind(|pid| asked == Some(**pid));
    let acceptor =
        chained.iter().rfind(|pid| accepting.contains(pid)).or_else(grew).or(chained.last()).copied();
    let rested = || readings.rests.last().map(|rest| rest.pid);
    let listening = || readings.listening.last().map(|listening| listening.pid);
    acceptor.or_else(rested).or_else(listening).or_else(|| readings.launched.as_ref().map(|l| l.pid))
}

/// Whether a workload loads the subject with calls that its ceiling is counted in.
pub(crate) fn counts_calls(workload: &Workload) -> bool {
    workload.calls.as_ref().is_some_and(|calls| calls.caller != Caller::Caller)
}

/// How a process ended, as the one that started it saw, or as the observer did.
pub(crate) fn ended<'a>(readings: &'a Readings<'_>, pid: Pid) -> Option<&'a Ended> {
    let own = |ended: &&Ended| ended.pid == pid;
    // If both are about the same moment, the process that started it knows best.
    let seen = [readings.ends.iter().rfind(own), readings.program_ends.iter().rfind(own)];
    seen.into_iter().flatten().max_by_key(|ended| ended.at)
}

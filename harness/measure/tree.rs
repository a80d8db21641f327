//! Which processes of the log are the subject: those that accept, not the launchers above them.

use super::timeline::Timeline;
use crate::event::{Call, Nanos, Pid, What};
use crate::scenario::Plan;
use std::collections::BTreeSet;

/// EMFILE (`-24`) or ENFILE (`-23`), as the kernel returns them.
pub(super) fn full(ret: i64) -> Option<&'static str> {
    match ret {
        -24 => Some("EMFILE"),
        -23 => Some("ENFILE"),
        _ => None,
    }
}

/// The processes whose failures and connections count.
pub(super) struct Tree {
    /// The process that accepts, as the last chain of limits before the release says.
    pub main: Option<Pid>,
    /// Whether its ceiling is counted in calls: it is a client, whom no workload loads, or it is loaded with calls.
    pub is_client: bool,
    launchers: BTreeSet<Pid>,
    accepting: BTreeSet<Pid>,
}

impl Tree {
    pub fn new(plan: &Plan, timeline: &Timeline<'_>) -> Self {
        let mut chained = Vec::new();
        let mut asked = None;
        let mut launched = None;
        let mut listening = None;
        let mut rested = None;
        let mut launchers = BTreeSet::new();
        let mut accepting = BTreeSet::new();
        let released = timeline.released_from();
        for event in &timeline.events {
            match &event.is {
                What::Launched { process, pid, .. } if *process == plan.subject => launched = Some(*pid),
                What::Listening { process, pid, .. } if *process == plan.subject => listening = Some(*pid),
                What::Baseline { pid, .. } => rested = Some(*pid),
                What::Chain { process, pid, links, .. } if *process == plan.subject => {
                    asked = Some(*pid).filter(|_| event.at < released).or(asked);
                    if let Some((last, above)) = links.split_last() {
                        launchers.extend(above.iter().map(|l| l.pid));
                        // Of a process that is gone nothing but those above it is found.
                        if last.pid == *pid && (event.at < released || chained.is_empty()) {
                            chained.push(last.pid);
                        }
                    }
                }
                What::Call { pid, name, ret } if name.accepts() && (*ret >= 0 || full(*ret).is_some()) => {
                    accepting.insert(*pid);
                }
                _ => {}
            }
        }
        // Of a master that only holds the listener it is read too, and its worker may be gone when it is read again.
        // Where nobody saw an accept, it is the one whose descriptors grew: that was asked for last.
        let grew = || chained.iter().rfind(|pid| asked == Some(**pid));
        let acceptor =
            chained.iter().rfind(|pid| accepting.contains(pid)).or_else(grew).or(chained.last()).copied();
        let main = acceptor.or(rested).or(listening).or(launched);
        let (calls, holds): (Vec<_>, Vec<_>) = plan
            .workloads
            .values()
            .filter(|w| w.to == plan.subject)
            .partition(|w| super::calls::counts_calls(w));
        let is_client = holds.is_empty() && (!calls.is_empty() || plan.subject_is_client());
        launchers.retain(|pid| !accepting.contains(pid) && Some(*pid) != main);
        accepting.extend(main);
        Tree { main, is_client, launchers, accepting }
    }

    /// Whether a failure of this process is a failure of the subject.
    pub fn counts(&self, pid: Pid) -> bool {
        let own =
            if self.is_client || self.accepting.is_empty() { true } else { self.accepting.contains(&pid) };
        own && !self.launchers.contains(&pid)
    }
}

/// One failed call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    pub pid: Pid,
    pub at: Nanos,
    pub call: Call,
    pub errno: &'static str,
}

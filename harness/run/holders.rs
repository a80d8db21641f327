//! Which processes of the subject hold its connections, by the descriptors in `/proc`: a connection that was
//! passed to another process by a message is in no call that an observer sees.

use super::pump::Pump;
use crate::event::{Holding, What};
use crate::sys::proc;
use crate::sys::sock_diag::State;
use std::collections::HashSet;

/// Processes that are recorded, those with the most connections first.
const TOLD: usize = 64;

/// Records the processes that hold connections of the loaded listener, if the subject has several.
pub fn told(pump: &mut Pump) {
    let processes = pump.tree.processes();
    let Some(address) = pump.listener.as_ref().filter(|address| !address.is_udp() && processes.len() > 1)
    else {
        return;
    };
    let mut connections = HashSet::new();
    let counted = pump.diag.at(address, |state, inode| {
        if state != State::LISTEN && inode != 0 {
            connections.insert(inode);
        }
    });
    if counted.is_err() {
        return;
    }
    let mut all_held: HashSet<u64> = HashSet::new();
    let one = |&pid: &i32| {
        let mut held = HashSet::new();
        proc::sockets(pid, &mut held).ok()?;
        held.retain(|inode| connections.contains(inode));
        all_held.extend(&held);
        let connections = held.len() as u64;
        let (descriptors, soft) = (proc::descriptors(pid).ok()?, proc::nofile(pid).ok()?.0);
        (connections > 0).then_some(Holding { pid, connections, descriptors, soft })
    };
    let mut all: Vec<Holding> = processes.iter().filter_map(one).collect();
    all.sort_by_key(|holding| (std::cmp::Reverse(holding.connections), holding.pid));
    let processes = all.len() as u64;
    all.truncate(TOLD);
    let connections = Some(all_held.len() as u64);
    pump.journal.record(What::Holders { processes, holders: all, connections });
}

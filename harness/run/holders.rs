//! Which processes of the subject hold its connections, by the descriptors in `/proc`: a connection that was passed to another process by a
//! message is in no call that an observer sees.

use super::pump::Pump;
use crate::event::{Holding, What};
use crate::sys::proc;
use crate::sys::sock_diag::{EVERY_STATE, State};
use std::collections::HashSet;

/// Processes that are recorded, those with the most connections first.
const TOLD: usize = 64;

/// Records who holds connections of the loaded port, where the subject has several processes.
pub fn told(pump: &mut Pump) {
    let processes = pump.tree.processes();
    let Some(port) = pump.listener.map(|address| address.port()).filter(|_| processes.len() > 1) else {
        return;
    };
    let mut connections = HashSet::new();
    let counted = pump.diag.sockets(EVERY_STATE, |socket| {
        if socket.local.port() == port && socket.state != State::LISTEN && socket.inode != 0 {
            connections.insert(socket.inode);
        }
    });
    if counted.is_err() {
        return;
    }
    let one = |&pid: &i32| {
        let mut held = HashSet::new();
        proc::sockets(pid, &mut held).ok()?;
        let connections = held.intersection(&connections).count() as u64;
        let (descriptors, soft) = (proc::descriptors(pid).ok()?, proc::nofile(pid).ok()?.0);
        (connections > 0).then_some(Holding { pid, connections, descriptors, soft })
    };
    let mut all: Vec<Holding> = processes.iter().filter_map(one).collect();
    all.sort_by_key(|holding| (std::cmp::Reverse(holding.connections), holding.pid));
    let processes = all.len() as u64;
    all.truncate(TOLD);
    pump.journal.record(What::Holders { processes, holders: all });
}

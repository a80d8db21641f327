//! The listeners of a process beside the loaded one, by their numbers: accepts there belong to another loop.

use crate::event::descriptor::unix_path;
use crate::event::{Change, Descriptor, Pid, What};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The listeners of a subject's processes, by their numbers at rest. A process that is forked later has those
/// of its parent.
#[derive(Debug, Default)]
pub struct Listeners {
    loaded: Option<String>,
    /// As they are bound.
    of: HashMap<Pid, BTreeMap<i32, String>>,
}

impl Listeners {
    /// The address at which its clients come, as it is bound.
    pub fn loads(&mut self, address: &str) {
        self.loaded = Some(address.to_owned());
    }

    /// Takes what says who has which listener.
    pub fn note(&mut self, what: &What) {
        match what {
            What::Baseline { pid, inventory, .. } => self.has(*pid, inventory),
            What::Open(all) => all.iter().for_each(|open| self.has(open.pid, &open.inventory)),
            What::Process { pid, parent, change: Change::Fork } => {
                if let Some(of) = self.of.get(parent).cloned() {
                    self.of.insert(*pid, of);
                }
            }
            _ => {}
        }
    }

    fn has(&mut self, pid: Pid, inventory: &[Descriptor]) {
        let all = inventory.iter().filter_map(|d| Some((d.fd, d.listens()?.to_string())));
        let all: BTreeMap<i32, String> = all.collect();
        if !all.is_empty() {
            self.of.entry(pid).or_insert(all);
        }
    }

    /// The address of the listener that a process has by this number, where that is not the loaded one;
    /// `None` where it is, or where that is not known.
    pub fn beside(&self, pid: Pid, on: Option<i32>) -> Option<&str> {
        let loaded = self.loaded.as_deref()?;
        let address = self.of.get(&pid)?.get(&on?)?;
        (!same(address, loaded)).then_some(address)
    }
}

/// Whether clients of one may come to the other: a port's listeners share them, whatever address each is
/// bound to. A Unix socket may be bound by a path that is relative to the server's folder.
fn same(one: &str, other: &str) -> bool {
    let port = |address: &str| address.rsplit_once(':')?.1.parse::<u16>().ok();
    match (unix_path(one), unix_path(other)) {
        (Some(one), Some(other)) => Path::new(one).ends_with(other) || Path::new(other).ends_with(one),
        (None, None) => one == other || port(one).is_some_and(|one| port(other) == Some(one)),
        _ => false,
    }
}

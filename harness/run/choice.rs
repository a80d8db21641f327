//! Which listener of a process its clients go to.

use super::error::Error;
use crate::scenario::{Plan, Process};
use crate::sys::address::Address;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The listener that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The only port; without any, the only Unix socket.
    Any,
    /// This port.
    Port(u16),
    /// This Unix socket.
    Unix(Address),
    /// UDP: this port, or the only one.
    Udp(Option<u16>),
}

impl Choice {
    /// The choice for a process of the plan: a Unix socket where every workload to it names one, the first of
    /// them. `fill` replaces placeholders.
    ///
    /// # Errors
    /// A name that no Unix socket can have.
    pub fn of(
        plan: &Plan,
        name: &str,
        process: &Process,
        fill: impl Fn(&str) -> String,
    ) -> Result<Choice, Error> {
        if plan.serves_datagrams(name) {
            let mut named =
                plan.workloads.values().filter(|load| load.to == name).filter_map(|load| load.port);
            return Ok(Choice::Udp(process.port.or_else(|| named.next())));
        }
        let loads = plan.workloads.values().filter(|workload| workload.to == name);
        let unix = loads.map(|load| load.unix.as_ref().map(|unix| address(&fill(unix), &plan.directory)));
        let all = unix.map(Option::transpose).collect::<Result<Vec<_>, _>>()?;
        let first = if all.iter().all(Option::is_some) { all.into_iter().flatten().next() } else { None };
        Ok(match (first, process.port) {
            (Some(address), _) => Choice::Unix(address),
            (None, Some(port)) => Choice::Port(port),
            (None, None) => Choice::Any,
        })
    }
}

/// A Unix socket by its path, which may start from this folder, or by its abstract name after `@`.
///
/// # Errors
/// A name that no Unix socket can have.
pub fn address(name: &str, folder: &Path) -> Result<Address, Error> {
    let address = match name.starts_with('@') {
        true => Address::unix(name.as_bytes()),
        false => Address::unix(folder.join(name).as_os_str().as_bytes()),
    };
    address.map_err(|e| Error::NotStarted(format!("`{name}` is no Unix socket's name: {e}")))
}

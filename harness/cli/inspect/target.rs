//! Which processes `lastfd inspect` is asked about: one by its id, or those that listen on a TCP port or have
//! a name.

use crate::cli::{Exit, Failure};
use crate::event::Pid;
use crate::limits::raise;
use crate::sys::{proc, sock_diag::SockDiag};
use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A process, or several, as the command line names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `4711`: this process.
    Pid(Pid),
    /// `:8080`: those that hold a listening TCP socket of this port.
    Port(NonZeroU16),
    /// `nginx`: those that call themselves so, or were started under that name.
    Name(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| format!("`{text}` is not a port: write :1 to :65535"))?;
            return Ok(Target::Port(port));
        }
        if text.is_empty() {
            return Err("write a process id, :PORT or a program's name".into());
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Target::Name(text.into()));
        }
        let pid = text.parse().ok().filter(|pid| *pid > 0);
        pid.map(Target::Pid).ok_or_else(|| format!("`{text}` is not a process id: write 1 to {}", Pid::MAX))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Pid(pid) => pid.fmt(f),
            Target::Port(port) => write!(f, ":{port}"),
            Target::Name(name) => name.fmt(f),
        }
    }
}

impl Target {
    /// The processes, at least one. Whether there is one of that id is not looked at.
    ///
    /// # Errors
    /// [`Exit::NothingSelected`] when there is none; [`Exit::Inconclusive`] when the one that listens cannot
    /// be seen.
    pub fn processes(&self) -> Result<Vec<Pid>, Failure> {
        match self {
            Target::Pid(pid) => Ok(vec![*pid]),
            Target::Port(port) => listening(port.get()),
            Target::Name(name) => named(name),
        }
    }
}

/// Processes of that name, lastfd itself and threads of the kernel left out.
fn named(name: &str) -> Result<Vec<Pid>, Failure> {
    let is = |pid: &Pid| {
        let started_as =
            || proc::arguments(*pid).first().is_some_and(|word| word.rsplit('/').next() == Some(name));
        proc::program(*pid).is_some_and(|program| program == name) || started_as()
    };
    let found: Vec<Pid> =
        others().into_iter().filter(is).filter(|pid| proc::holds_descriptors(*pid)).collect();
    if found.is_empty() {
        return Err(Failure::new(
            Exit::NothingSelected,
            format!(
                "no process is called {name}: `ps -e` lists the names, `pgrep -af {name}` searches command lines for it, and \
                 `lastfd inspect :8080` finds a process by its port"
            ),
        ));
    }
    Ok(found)
}

/// Processes that hold a listening socket of the port in this network namespace, or else in another one.
fn listening(port: u16) -> Result<Vec<Pid>, Failure> {
    let others = others();
    let mut sockets = listeners_here(port);
    if sockets.is_empty() {
        let mut seen = HashSet::from([proc::network("self")]);
        let namespaces = others.iter().filter(|pid| seen.insert(proc::network(&pid.to_string())));
        sockets = namespaces.flat_map(|&pid| listeners_of(&pid.to_string(), port)).collect();
    }
    if sockets.is_empty() {
        let message =
            format!("nothing listens on TCP port {port}: `ss -ltnp` lists the ports that have a listener");
        return Err(Failure::new(Exit::NothingSelected, message));
    }
    let holds = |pid: &Pid| {
        let mut its = HashSet::new();
        proc::sockets(*pid, &mut its).is_ok() && !its.is_disjoint(&sockets)
    };
    let found: Vec<Pid> = others.into_iter().filter(holds).collect();
    if found.is_empty() {
        let why = match raise::may_read_all() {
            true => "/proc shows no process that holds the socket (it may be in another PID namespace): run it on the host".into(),
            false => raise::may_not_read(&format!("lastfd inspect :{port}")),
        };
        let message =
            format!("something listens on TCP port {port}, but not a process that can be seen: {why}");
        return Err(Failure::new(Exit::Inconclusive, message));
    }
    Ok(found)
}

/// Inodes of this network namespace's listeners of the port.
fn listeners_here(port: u16) -> HashSet<u64> {
    match SockDiag::open().and_then(|mut diag| diag.listeners_on(port)) {
        Ok(listeners) => listeners.into_iter().map(|listener| listener.inode).collect(),
        Err(_) => listeners_of("self", port).collect(),
    }
}

/// The same of the namespace of a process.
fn listeners_of(pid: &str, port: u16) -> impl Iterator<Item = u64> + use<> {
    proc::listeners(pid).into_iter().filter(move |(its, _)| *its == port).map(|(_, inode)| inode)
}

/// Every process but this one.
fn others() -> Vec<Pid> {
    let own = proc::own();
    proc::all().into_iter().filter(|pid| *pid != own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_process_a_colon_makes_a_port_and_all_else_is_a_name() {
        let parsed = |text: &str| text.parse::<Target>();
        assert_eq!(parsed("4711"), Ok(Target::Pid(4711)));
        assert_eq!(parsed(":8080"), Ok(Target::Port(8080.try_into().unwrap())));
        assert_eq!(parsed("nginx"), Ok(Target::Name("nginx".into())));
        assert_eq!(parsed("7zip"), Ok(Target::Name("7zip".into())));
        for wrong in ["", "0", "4294967296", ":", ":0", ":65536", ":http"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}

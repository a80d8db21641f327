//! The subject's other listeners: what each has queued at the wall, and what a client that only connects gets
//! there. Several listeners of one process share its table of descriptors, so an admin or health port dies
//! with the one that is loaded. Only loopback addresses are connected to, once each.

use super::error::Error;
use super::orders::PROBE_DEADLINE;
use super::pump::{DRAIN_EVERY, Pump};
use super::ready::reachable;
use crate::event::{Event, Nanos, Outcome, Unseen, What};
use crate::sys::address::Address;
use crate::sys::clock;
use crate::sys::sock_diag::{Listener, SockDiag};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, connect, getsockname, recv, socket_with,
};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::thread::{Builder, JoinHandle};

/// No more are asked.
const AT_MOST: usize = 16;
/// Whether a connection has been accepted is looked up this often; an accept cannot be waited for from
/// outside.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A client on its way.
struct Asker {
    listener: Listener,
    target: Address,
    /// `None`: it is over, or never began.
    socket: Option<OwnedFd>,
    connected: bool,
    accepted: bool,
    got: Option<Outcome>,
}

/// Records the queue of each other listener that was counted and, if `connects`, the outcome of a client that
/// is sent there: at the wall only if the scenario asks for that, and last of all steps there. A client may
/// wedge a server that has no descriptor for it. A client that is accepted takes a place and gives it back,
/// which the accept loop sees.
///
/// # Errors
/// Interrupted.
pub fn told(pump: &mut Pump, connects: bool) -> Result<(), Error> {
    let others = pump.census.others();
    if others.is_empty() || pump.tree.gone() {
        return Ok(());
    }
    // In a thread of its own, because the observer must be drained meanwhile. A subject at a limit of tasks
    // may leave no room for one.
    let asking = match begun(Builder::new(), others, connects) {
        Ok(asking) => asking,
        Err(error) => {
            unasked(pump, &error);
            return Ok(());
        }
    };
    if pump.until(PROBE_DEADLINE * 2, DRAIN_EVERY, |_| asking.is_finished())?
        && let Ok(told) = asking.join()
    {
        match told {
            Ok(told) => told.into_iter().for_each(|event| pump.journal.absorb(event)),
            Err(error) => unasked(pump, &error),
        }
    }
    Ok(())
}

fn unasked(pump: &mut Pump, error: &io::Error) {
    let why = format!("the subject's other listeners could not be asked: {error}");
    pump.journal.record(What::NotSeen { what: Unseen::OtherListeners, why });
}

/// A thread that asks.
fn begun(
    thread: Builder,
    inodes: HashSet<u64>,
    connects: bool,
) -> io::Result<JoinHandle<io::Result<Vec<Event>>>> {
    thread.name("other-listeners".into()).spawn(move || Ok(ask(&mut SockDiag::open()?, &inodes, connects)))
}

/// Tells of the listeners with these inodes, after each has been sent a client where `connects`; takes
/// [`PROBE_DEADLINE`] where one is not accepted.
fn ask(diag: &mut SockDiag, inodes: &HashSet<u64>, connects: bool) -> Vec<Event> {
    let at = clock::now();
    let deadline = at + PROBE_DEADLINE.as_nanos() as Nanos;
    let mut listeners = diag.listeners_with_drops().unwrap_or_default();
    listeners.retain(|listener| inodes.contains(&listener.inode));
    listeners.sort_by_key(|listener| listener.address.port());
    // Several with one address share its clients: the first stands for them.
    listeners.dedup_by(|a, b| a.address == b.address);
    listeners.truncate(AT_MOST);
    let mut askers: Vec<Asker> =
        listeners.into_iter().map(|listener| Asker::new(listener, connects)).collect();
    while askers.iter().any(|asker| asker.socket.is_some()) && clock::now() < deadline {
        askers.iter_mut().for_each(|asker| asker.look(diag));
        let waiting = askers.iter().filter_map(|asker| Some((asker.socket.as_ref()?, asker.connected)));
        let mut wait: Vec<PollFd<'_>> = waiting
            .map(|(socket, connected)| {
                PollFd::new(socket, if connected { PollFlags::IN } else { PollFlags::OUT })
            })
            .collect();
        if !wait.is_empty() {
            // Interrupted or not, the next look tells.
            let _ = poll(&mut wait, Some(&LOOK_EVERY));
        }
    }
    askers.into_iter().map(|asker| Event { at, is: asker.told() }).collect()
}

impl Asker {
    fn new(listener: Listener, connects: bool) -> Self {
        let target = reachable(&listener.address);
        let mut asker =
            Asker { listener, target, socket: None, connected: false, accepted: false, got: None };
        if connects && asker.target.is_local() {
            asker.begin();
        }
        asker
    }

    fn begin(&mut self) {
        // Only ports are listed.
        let Address::Inet(target) = self.target else { return };
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        // A lack of the harness itself says nothing about the subject.
        let Ok(socket) =
            socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
        else {
            return;
        };
        match connect(&socket, &target) {
            Err(Errno::CONNREFUSED) => self.got = Some(Outcome::Refused),
            Ok(()) | Err(Errno::INPROGRESS) => self.socket = Some(socket),
            Err(_) => {}
        }
    }

    /// Looks at its present state. A client that was accepted is looked at once more: it may have been
    /// accepted to be closed.
    fn look(&mut self, diag: &mut SockDiag) {
        let Some(socket) = &self.socket else { return };
        let mut now = [PollFd::new(socket, PollFlags::OUT | PollFlags::IN)];
        let ready = poll(&mut now, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0);
        let flags = now[0].revents();
        if !self.connected {
            match socket_error(socket) {
                Ok(Ok(())) if ready && flags.contains(PollFlags::OUT) => self.connected = true,
                Ok(Ok(())) => return,
                Ok(Err(Errno::CONNREFUSED)) => return self.over(Some(Outcome::Refused)),
                Ok(Err(Errno::TIMEDOUT)) => return self.over(Some(Outcome::TimesOut)),
                Ok(Err(Errno::CONNRESET)) => return self.over(Some(Outcome::Closed)),
                Ok(Err(_)) | Err(_) => return self.over(None),
            }
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return match recv(socket, &mut [0u8; 64], RecvFlags::empty()) {
                // A greeting: a server that sends one has accepted.
                Ok((1.., _)) => self.over(Some(Outcome::Served)),
                Ok(_) | Err(Errno::CONNRESET | Errno::PIPE) => self.over(Some(Outcome::Closed)),
                Err(_) => {}
            };
        }
        if self.accepted {
            return self.over(Some(Outcome::Served));
        }
        let own = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
        let Address::Inet(target) = self.target else { return };
        let seen = own.and_then(|own| diag.connection(target, own).ok()?);
        // A descriptor refers to it: it is no longer in the accept queue.
        self.accepted = seen.is_some_and(|socket| socket.inode != 0);
    }

    fn over(&mut self, got: Option<Outcome>) {
        (self.socket, self.got) = (None, got);
    }

    fn told(self) -> What {
        let overdue = self.socket.is_some().then_some(match (self.accepted, self.connected) {
            (true, _) => Outcome::Served,
            (false, true) => Outcome::Waits,
            (false, false) => Outcome::TimesOut,
        });
        What::OtherListener {
            address: self.listener.address.to_string(),
            queue: self.listener.queue,
            capacity: self.listener.capacity(),
            drops: self.listener.drops,
            new_client: self.got.or(overdue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_cannot_be_made_is_an_error_and_no_panic() {
        // EAGAIN, as at a limit of tasks: no address space has room for such a stack.
        let refused = begun(Builder::new().stack_size(1 << 60), HashSet::new(), true);
        assert_eq!(
            refused.err().and_then(|e| e.raw_os_error()),
            Some(rustix::io::Errno::AGAIN.raw_os_error())
        );
    }
}

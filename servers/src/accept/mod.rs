//! The one accept loop of all bundled servers: `accept4`, or a request of io_uring, and what to do when it
//! fails.
//!
//! An acceptor is a thread. It waits in one of several ways ([`Waiting`]), hands each connection to the
//! service, and leaves every failure for want of a descriptor to its [`Policy`]. It knows no runtime, opens
//! nothing but connections (and the spare of `reserve-fd`, its ring, and the epoll instance of
//! `waits-for-arrival`), and never touches a connection it has handed over.

mod policy;
mod reserve;
mod ring;

pub use policy::{Admission, BUSY, KEPT_FREE, Policy, Reaction, Responder};
pub use reserve::Reserve;
pub use ring::Ring;

use crate::lines::complain;
use crate::listener::address_of;
use crate::tally::Tally;
use reserve::Shed;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How an acceptor waits for the next client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The listener does not block: poll until it is readable, then accept until `EAGAIN`.
    Polls,
    /// The listener does not block: poll, then accept once, as event loops do that take one client an event.
    PollsEach,
    /// The listener does not block: an edge-triggered epoll instance, one descriptor more, tells of each
    /// arrival once.
    Edges,
    /// The listener blocks: the thread sleeps in accept4 and holds one descriptor number meanwhile.
    Blocks,
    /// The listener blocks: the kernel waits, asked by io_uring, and holds no descriptor number meanwhile.
    Ring,
}

/// The way to take clients off the accept queue; belongs to the thread that opens it.
pub enum Taker {
    /// accept4.
    Call,
    /// accept4, after this epoll instance reported a client.
    Edges(OwnedFd),
    /// A request of io_uring.
    Ring(Box<Ring>),
}

impl Taker {
    /// Opens what this way of waiting needs.
    ///
    /// # Errors
    /// The errors of [`Ring::open`]; `EMFILE` where no epoll instance can be opened.
    pub fn open(waiting: Waiting, listener: BorrowedFd<'_>) -> io::Result<Self> {
        match waiting {
            Waiting::Ring => Ring::open().map(|ring| Taker::Ring(Box::new(ring))),
            Waiting::Edges => {
                let edges = epoll::create(CreateFlags::CLOEXEC)?;
                epoll::add(&edges, listener, EventData::new_u64(0), EventFlags::IN | EventFlags::ET)?;
                Ok(Taker::Edges(edges))
            }
            Waiting::Polls | Waiting::PollsEach | Waiting::Blocks => Ok(Taker::Call),
        }
    }

    /// As it is called in a log.
    fn name(&self) -> &'static str {
        if matches!(self, Taker::Ring(_)) { "accept by io_uring" } else { "accept4" }
    }

    fn take<L: AsFd + 'static>(&mut self, listener: &Arc<L>) -> Result<OwnedFd, Errno> {
        match self {
            Taker::Call | Taker::Edges(_) => accept_one(listener.as_fd()),
            Taker::Ring(ring) => ring.accept(listener),
        }
    }
}

/// Why an acceptor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Accept failed, and the policy takes that as fatal.
    GaveUp(Errno),
    /// Accept failed, and the policy is [`Policy::Dead`]: the loop is over, without any report.
    FellSilent,
    /// The listener itself is not usable any more.
    Broken(Errno),
}

/// Accepts until the policy gives up or the listener breaks; each connection goes to `deliver`, non-blocking
/// and close-on-exec.
pub fn run<L: AsFd + 'static>(
    asked: &Arc<L>,
    waiting: Waiting,
    mut taker: Taker,
    mut responder: Responder,
    mut reserve: Option<Reserve>,
    tally: &Tally,
    deliver: impl Fn(OwnedFd),
) -> Ended {
    let listener = asked.as_fd();
    let name = address_of(listener).map_or_else(|_| String::new(), |address| format!(" on {address}"));
    let name = taker.name().to_owned() + &name;
    let wait = |taker: &Taker| match (taker, waiting) {
        (_, Waiting::Blocks | Waiting::Ring) => Ok(()),
        (Taker::Edges(edges), _) => wait_for_edge(edges),
        _ => wait_readable(listener),
    };
    if let Err(errno) = wait(&taker) {
        return Ended::Broken(errno);
    }
    loop {
        // One that is closed after this may have come too late for the try.
        let closed = tally.closed();
        let waited = match taker.take(asked) {
            Ok(connection) => {
                match responder.succeeded(u64::try_from(connection.as_raw_fd()).unwrap_or(0)) {
                    Admission::Served => {
                        tally.count_accepted();
                        deliver(connection);
                    }
                    Admission::Closed => tally.count_shed(),
                    Admission::Told => {
                        tally.count_shed();
                        // Sending to a client that has left fails, and that is no error.
                        let _ = rustix::net::send(&connection, BUSY, SendFlags::NOSIGNAL);
                    }
                }
                if waiting == Waiting::PollsEach { wait(&taker) } else { Ok(()) }
            }
            Err(Errno::AGAIN) => {
                responder.drained();
                wait(&taker)
            }
            Err(errno) if is_of_the_client(errno) => Ok(()),
            Err(errno) if is_shortage(errno) => {
                tally.note_failure(errno);
                match responder.failed() {
                    Reaction::RetryNow { log } => {
                        if log {
                            complain(format_args!("{name}: {errno}"));
                        }
                        Ok(())
                    }
                    Reaction::WaitForClient { log } => {
                        if log {
                            complain(format_args!("{name}: {errno}"));
                        }
                        wait(&taker)
                    }
                    Reaction::WaitForClose => {
                        tally.wait_for_close_after(closed);
                        wait(&taker)
                    }
                    Reaction::RetryAfter { delay, log } => {
                        if log {
                            complain(format_args!("{name}: {errno}; retrying in {delay:?}"));
                        }
                        std::thread::sleep(delay);
                        Ok(())
                    }
                    Reaction::Shed => {
                        match reserve.as_mut().map_or(Shed::NoSpare, |spare| spare.shed(listener)) {
                            Shed::Closed => {
                                tally.count_shed();
                                Ok(())
                            }
                            Shed::NobodyWaits | Shed::NoSpare => wait(&taker),
                        }
                    }
                    Reaction::TurnAwayFor { delay } => {
                        complain(format_args!("{name}: {errno}; not listened to for {delay:?}"));
                        std::thread::sleep(delay);
                        wait(&taker)
                    }
                    Reaction::GiveUp => return Ended::GaveUp(errno),
                    Reaction::FallSilent => return Ended::FellSilent,
                }
            }
            Err(errno) => return Ended::Broken(errno),
        };
        if let Err(errno) = waited {
            return Ended::Broken(errno);
        }
    }
}

/// One accept4 call.
fn accept_one(listener: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Sleeps until a client waits in the accept queue. No deadline: an idle server waits for ever, until its
/// process ends.
fn wait_readable(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(listener, PollFlags::IN)], None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Sleeps until a client arrives after the last one that was reported. No deadline, as above.
fn wait_for_edge(edges: &OwnedFd) -> Result<(), Errno> {
    let mut event = Vec::<Event>::with_capacity(1);
    loop {
        match epoll::wait(edges, rustix::buffer::spare_capacity(&mut event), None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Descriptors or kernel memory ran out: the failures that the policies are about.
fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

/// The failure belongs to the one client that was taken, so the next may be asked for at once: accept(2),
/// "Error handling".
fn is_of_the_client(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::PERM
    )
}

//! Counts TCP sockets by state, in a thread of its own so that the run's loop does not wait for it: sockets
//! that the subject holds by a descriptor, sockets of the loaded port, and all of the network namespace. A
//! count walks through every connection of the host (1 µs each) and every descriptor of the subject, so it is
//! made only when it is ordered, and seldom enough to take a twentieth of one processor at most.

use crate::event::{Event, Nanos, Pid, States, Unseen, What};
use crate::sys::address::Address;
use crate::sys::sock_diag::{EVERY_STATE, SockDiag, State};
use crate::sys::{clock, proc};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The shortest time between the beginnings of two counts.
const EVERY: Nanos = 250_000_000;
/// A ramp that is shorter is left alone.
const RAMP: Nanos = 1_000_000_000;
/// A count is followed by a pause this many times as long as itself.
const PAUSE: Nanos = 20;

/// The sockets to count.
#[derive(Debug)]
struct Order {
    acceptor: Pid,
    subject: Vec<Pid>,
    address: Option<Address>,
}

/// The thread that counts. It ends when this is dropped.
#[derive(Debug)]
pub struct Census {
    orders: SyncSender<Order>,
    /// When the last count began that has been sent, or given up.
    done: Arc<AtomicU64>,
    /// Not before this.
    next: Arc<AtomicU64>,
    /// Inodes of the subject's listeners beside the loaded port, as last counted.
    others: Arc<Mutex<HashSet<u64>>>,
}

impl Census {
    /// A thread that sends its counts to `sink`.
    ///
    /// # Errors
    /// No netlink socket, or no thread.
    pub fn start(sink: Sender<Vec<Event>>) -> io::Result<Self> {
        let mut diag = SockDiag::open()?;
        let (orders, taken) = sync_channel::<Order>(1);
        let (done, next) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(Nanos::MAX)));
        let (done_too, next_too) = (Arc::clone(&done), Arc::clone(&next));
        let others = Arc::<Mutex<HashSet<u64>>>::default();
        let others_too = Arc::clone(&others);
        std::thread::Builder::new().name("census".into()).spawn(move || {
            for order in taken {
                let at = clock::now();
                let mut found = HashSet::new();
                let is = count(&mut diag, &order, &mut found)
                    .unwrap_or_else(|e| What::NotSeen { what: Unseen::Tcp, why: format!("sock_diag: {e}") });
                // The run may be over.
                let _ = sink.send(vec![Event { at, is }]);
                *others_too.lock().unwrap_or_else(PoisonError::into_inner) = found;
                let now = clock::now();
                next_too.store((at + EVERY).max(now + PAUSE * (now - at)), Ordering::Relaxed);
                done_too.store(at, Ordering::Release);
            }
        })?;
        Ok(Census { orders, done, next, others })
    }

    /// The clients begin to connect: from a while after this on it may be time for a count.
    pub fn ramp_begins(&self) {
        self.next.store(clock::now() + RAMP, Ordering::Relaxed);
    }

    /// Whether clients have begun to connect.
    pub fn begun(&self) -> bool {
        self.next.load(Ordering::Relaxed) < Nanos::MAX
    }

    /// Whether it is time for another.
    pub fn due(&self, now: Nanos) -> bool {
        now >= self.next.load(Ordering::Relaxed)
    }

    /// Orders a count of these processes' sockets, of those at this address (its port, or its path), and of
    /// the descriptors of the process that accepts. One that waits already, and begins later than now, will
    /// do.
    pub fn order(&self, acceptor: Pid, subject: Vec<Pid>, address: Option<Address>) {
        let _ = self.orders.try_send(Order { acceptor, subject, address });
    }

    /// Inodes of the subject's listeners beside the loaded port, as last counted.
    pub fn others(&self) -> HashSet<u64> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a count that began at this time or later has been sent, or could not be made.
    pub fn counted_since(&self, at: Nanos) -> bool {
        self.done.load(Ordering::Acquire) >= at
    }
}

/// Counts; `others`: the inodes of listeners that the subject holds beside the loaded one.
fn count(diag: &mut SockDiag, order: &Order, others: &mut HashSet<u64>) -> io::Result<What> {
    let began = clock::now();
    let mut held = HashSet::new();
    // Nothing can be said about a subject that has exited.
    let readable =
        !order.subject.is_empty() && order.subject.iter().all(|&pid| proc::sockets(pid, &mut held).is_ok());
    let descriptors = proc::descriptors(order.acceptor).ok();
    let port = order.address.as_ref().filter(|address| !address.is_udp()).and_then(Address::port);
    let (mut own, mut there, mut namespace) = (Counts::default(), Counts::default(), Counts::default());
    diag.sockets(EVERY_STATE, |socket| {
        namespace.add(socket.state);
        if port == Some(socket.local.port()) {
            there.add(socket.state);
        }
        // Without a descriptor a socket has no inode: in the accept queue, in TIME_WAIT.
        if socket.inode != 0 && held.contains(&socket.inode) {
            own.add(socket.state);
            if socket.state == State::LISTEN && order.address.is_some() && port != Some(socket.local.port()) {
                others.insert(socket.inode);
            }
        }
    })?;
    if let Some(address @ Address::Unix(_)) = &order.address {
        diag.at(address, |state, _| there.add(state))?;
    }
    Ok(What::Tcp {
        states: there.named(),
        listen_overflows: listen_overflows().unwrap_or(0),
        subject: readable.then(|| own.named()),
        namespace: Some(namespace.named()),
        descriptors,
        took: clock::now() - began,
    })
}

/// Sockets by the number of their state.
#[derive(Default)]
struct Counts([u64; 12]);

impl Counts {
    fn add(&mut self, state: State) {
        self.0[state as usize] += 1;
    }

    fn named(&self) -> States {
        let all = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        all.filter_map(|(number, &count)| Some((State::from_number(number as u8)?.to_string(), count)))
            .collect()
    }
}

/// `ListenOverflows` of this network namespace (/proc/net/netstat): connections that a full accept queue
/// turned away.
pub(super) fn listen_overflows() -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = table.lines().filter(|l| l.starts_with("TcpExt:"));
    let column = lines.next()?.split(' ').position(|name| name == "ListenOverflows")?;
    lines.next()?.split(' ').nth(column)?.parse().ok()
}

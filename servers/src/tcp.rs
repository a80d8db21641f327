//! The bare service: holds connections and says nothing; one epoll instance notices hang-ups and closes.
//! Reads nothing, so what a client sends stays in its socket. Connections are kept waiting (`--wait-before`)
//! by an acceptor that sleeps, and an accept queue of one.

use crate::Deliver;
use crate::tally::Tally;
use crate::witness::Seat;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// Connections that are held, each in the slot of its descriptor number.
struct Connections {
    epoll: OwnedFd,
    slots: Mutex<Vec<Option<Held>>>,
}

/// One of them, and where it is counted.
struct Held {
    _connection: OwnedFd,
    _seat: Option<Seat>,
}

/// Hang-ups taken from the kernel at a time.
const EVENTS: usize = 256;

/// Opens the epoll instance and starts the thread that waits on it.
pub(crate) fn start(tally: &Arc<Tally>) -> io::Result<Deliver> {
    let held = Arc::new(Connections {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        slots: Mutex::new(Vec::with_capacity(1024)),
    });
    let (closer, counter, tally) = (held.clone(), tally.clone(), tally.clone());
    std::thread::Builder::new().name("hang-ups".to_owned()).spawn(move || closer.close_hang_ups(&tally))?;
    Ok(Arc::new(move |connection, _| {
        counter.admit();
        held.hold(connection, counter.seat());
    }))
}

impl Connections {
    /// Keeps a connection until its peer hangs up.
    fn hold(&self, connection: OwnedFd, seat: Option<Seat>) {
        let slot = usize::try_from(connection.as_raw_fd()).expect("a descriptor number");
        let mut slots = self.slots.lock().expect("no holder panics");
        if slots.len() <= slot {
            slots.resize_with(slot + 1, || None);
        }
        // In its slot before it is watched: its hang-up may be reported at once. Hang-ups and errors come
        // unasked.
        let watched =
            epoll::add(&self.epoll, &connection, EventData::new_u64(slot as u64), EventFlags::RDHUP);
        slots[slot] = watched.is_ok().then_some(Held { _connection: connection, _seat: seat });
    }

    /// Closes what hangs up, for ever.
    fn close_hang_ups(&self, tally: &Tally) {
        let mut events = Vec::<Event>::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => panic!("epoll_wait on an epoll descriptor of our own: {errno}"),
            }
            let mut slots = self.slots.lock().expect("no holder panics");
            for event in &events {
                slots[usize::try_from(event.data.u64()).expect("a slot")] = None;
            }
            drop(slots);
            tally.count_closed(events.len() as u64);
        }
    }
}

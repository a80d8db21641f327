//! The run's handle of driver processes: one, or several that share a workload whose clients exceed one
//! process's hard limit.
//!
//! Orders go in, batches of events come out through a channel. The handle never looks into the subject, and
//! ends what it started.

use super::merge::Merge;
use super::protocol::{Order, Setup};
use crate::event::{Event, Pid, What};
use crate::sys::clock;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Descriptors that a driver needs beside its clients: standard streams, epoll, netlink, probes, and what it
/// inherited.
pub const MARGIN: u64 = 64;

/// Why a driver could not be started or ordered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process did not start.
    #[error("the load driver did not start: {0}")]
    Start(io::Error),
    /// It is gone: it does not read its orders any more.
    #[error("the load driver (pid {pid}) does not take orders any more: {source}")]
    Gone {
        /// Its process id.
        pid: Pid,
        /// EPIPE.
        source: io::Error,
    },
    /// The harness's own limit cannot be read or leaves no room.
    #[error(
        "the hard limit of open files ({0}) leaves no room for clients: a driver needs {MARGIN} descriptors itself"
    )]
    NoRoom(u64),
}

/// One driver process. Dropping it kills and reaps it, if it was started here.
///
/// The kernel kills it too when the *thread* that spawned it ends: spawn from a thread that outlives the run.
#[derive(Debug)]
pub struct Driver {
    /// `None`: it runs under a launcher, and is not ours to end.
    child: Option<Child>,
    pid: Pid,
    orders: Option<File>,
    ending: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts a driver, by a command that speaks the protocol on its standard input and output (`lastfd
    /// drive`). Its events go to `sink` in batches, and the channel is let go when it has ended.
    ///
    /// # Errors
    /// `Start`, `Gone`.
    pub fn spawn_with(command: Command, setup: &Setup, sink: Sender<Vec<Event>>) -> Result<Driver, Error> {
        Driver::start(command, setup, move |events| {
            let _ = sink.send(events); // the run may be over
        })
    }

    fn start(
        mut command: Command,
        setup: &Setup,
        deliver: impl FnMut(Vec<Event>) + Send + 'static,
    ) -> Result<Driver, Error> {
        // A group of its own: the keys that interrupt the run on a terminal are not for its drivers.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(Error::Start)?;
        let stdout = OwnedFd::from(child.stdout.take().expect("piped"));
        let stdin = OwnedFd::from(child.stdin.take().expect("piped"));
        Driver::attend(child.id() as Pid, Some(child), stdin.into(), stdout.into(), setup, deliver)
    }

    fn attend(
        pid: Pid,
        child: Option<Child>,
        orders: File,
        events: File,
        setup: &Setup,
        deliver: impl FnMut(Vec<Event>) + Send + 'static,
    ) -> Result<Driver, Error> {
        let ending = Arc::new(AtomicBool::new(false));
        let mut driver =
            Driver { child, pid, orders: Some(orders), ending: Arc::clone(&ending), reader: None };
        let workload = setup.workload.clone();
        let reader = move || read(events, &workload, &ending, deliver);
        let builder = std::thread::Builder::new().name("driver-events".into());
        driver.reader = Some(builder.spawn(reader).map_err(Error::Start)?);
        driver.tell(setup)?;
        Ok(driver)
    }

    /// Sends an order.
    ///
    /// # Errors
    /// `Gone`.
    pub fn order(&mut self, order: &Order) -> Result<(), Error> {
        if matches!(order, Order::Quit) {
            self.ending.store(true, Ordering::Relaxed);
        }
        self.tell(order)
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    fn tell(&mut self, what: &impl serde::Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(what).expect("an order is always JSON");
        line.push(b'\n');
        let pid = self.pid();
        let orders = self.orders.as_mut().expect("open until the driver is dropped");
        orders.write_all(&line).map_err(|source| Error::Gone { pid, source })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(orders) = self.orders.take() {
            // If it is a socket, the reader has the other end of the same connection; a pipe is no socket,
            // and says so.
            let _ = rustix::net::shutdown(&orders, rustix::net::Shutdown::Both);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
        if let Some(reader) = self.reader.take()
            && reader.thread().id() != std::thread::current().id()
        {
            let _ = reader.join();
        }
    }
}

/// Brings events from the driver's standard output until it ends.
fn read(mut from: File, workload: &str, ending: &AtomicBool, mut deliver: impl FnMut(Vec<Event>)) {
    let mut chunk = vec![0; 64 * 1024];
    let mut pending = Vec::new();
    loop {
        let length = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        pending.extend_from_slice(&chunk[..length]);
        let Some(last) = pending.iter().rposition(|&b| b == b'\n') else { continue };
        let events = pending[..last].split(|&b| b == b'\n').map(|line| {
            serde_json::from_slice(line).unwrap_or_else(|e| {
                let reason = format!("a line from the load driver of workload `{workload}` is no event: {e}");
                Event { at: clock::now(), is: What::Inconclusive { reason } }
            })
        });
        deliver(events.collect());
        pending.drain(..=last);
    }
    if !ending.load(Ordering::Relaxed) {
        let reason =
            format!("the load driver of workload `{workload}` ended by itself, in the middle of the run");
        deliver(vec![Event { at: clock::now(), is: What::Inconclusive { reason } }]);
    }
}

/// Clients that one driver can hold under this hard limit.
///
/// # Errors
/// `NoRoom`.
pub fn clients_per_driver(hard_limit: u64) -> Result<u32, Error> {
    match hard_limit.saturating_sub(MARGIN) {
        0 => Err(Error::NoRoom(hard_limit)),
        room => Ok(u32::try_from(room).unwrap_or(u32::MAX)),
    }
}

/// As many drivers as a workload's clients need, seen as one. They connect one after the other, in the order
/// of the clients' ids, so the accept queue has one pacer at a time and the first driver has the oldest
/// clients.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Mutex<Shared>>,
    pids: Vec<Pid>,
}

#[derive(Debug)]
struct Shared {
    merge: Merge,
    drivers: Vec<Driver>,
    sink: Sender<Vec<Event>>,
}

impl Shared {
    fn send(&mut self, orders: Vec<(usize, Order)>) -> Result<(), Error> {
        orders.iter().try_for_each(|(shard, order)| self.drivers[*shard].order(order))
    }

    fn bring(&mut self, shard: usize, events: Vec<Event>) {
        let mut merged = Vec::with_capacity(events.len());
        for event in events {
            let orders = self.merge.event(shard, event, &mut merged);
            if let Err(e) = self.send(orders) {
                merged.push(Event { at: clock::now(), is: What::Inconclusive { reason: e.to_string() } });
            }
        }
        let _ = self.sink.send(merged); // the run may be over
    }
}

impl Fleet {
    /// Starts the drivers that `clients` clients need, `each` of them for one driver (see
    /// [`clients_per_driver`]).
    ///
    /// # Errors
    /// `Start`, `Gone`.
    pub fn spawn_with(
        command: impl Fn() -> Command,
        setup: &Setup,
        clients: u32,
        each: u32,
        sink: Sender<Vec<Event>>,
    ) -> Result<Fleet, Error> {
        let shards = clients.div_ceil(each).max(1);
        let shared = Arc::new(Mutex::new(Shared {
            merge: Merge::new(shards as usize, each),
            drivers: Vec::new(),
            sink,
        }));
        let mut pids = Vec::new();
        for shard in 0..shards {
            let setup = Setup { first_id: setup.first_id + shard * each, ..setup.clone() };
            let to = Arc::downgrade(&shared);
            let deliver = move |events| {
                if let Some(shared) = to.upgrade() {
                    shared.lock().expect("no thread panics with the fleet").bring(shard as usize, events);
                }
            };
            let driver = Driver::start(command(), &setup, deliver)?;
            pids.push(driver.pid());
            shared.lock().expect("no thread panics with the fleet").drivers.push(driver);
        }
        Ok(Fleet { shared, pids })
    }

    /// Clients that its drivers can hold.
    ///
    /// # Panics
    /// When a thread of the fleet has panicked.
    pub fn room(&self) -> u32 {
        self.shared.lock().expect("no thread panics with the fleet").merge.room()
    }

    /// A driver that runs already, as the process `pid`, and has connected to the run.
    ///
    /// # Errors
    /// `Start`, `Gone`.
    pub fn over(
        stream: UnixStream,
        pid: Pid,
        setup: &Setup,
        sink: Sender<Vec<Event>>,
    ) -> Result<Fleet, Error> {
        let shared =
            Arc::new(Mutex::new(Shared { merge: Merge::new(1, u32::MAX), drivers: Vec::new(), sink }));
        let to = Arc::downgrade(&shared);
        let deliver = move |events| {
            if let Some(shared) = to.upgrade() {
                shared.lock().expect("no thread panics with the fleet").bring(0, events);
            }
        };
        let events = OwnedFd::from(stream.try_clone().map_err(Error::Start)?);
        let driver = Driver::attend(pid, None, OwnedFd::from(stream).into(), events.into(), setup, deliver)?;
        shared.lock().expect("no thread panics with the fleet").drivers.push(driver);
        Ok(Fleet { shared, pids: vec![pid] })
    }

    /// Sends an order to the workload as a whole; probes and questions go to the first driver.
    ///
    /// # Errors
    /// `Gone`.
    pub fn order(&mut self, order: &Order) -> Result<(), Error> {
        let mut shared = self.shared.lock().expect("no thread panics with the fleet");
        let orders = shared.merge.order(order);
        shared.send(orders)
    }

    /// Process ids of the drivers, in the order of their clients' ids.
    pub fn pids(&self) -> &[Pid] {
        &self.pids
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Outside of the lock: a reader may wait for it with its last events, and is joined here.
        let drivers = match self.shared.lock() {
            Ok(mut shared) => std::mem::take(&mut shared.drivers),
            Err(poisoned) => std::mem::take(&mut poisoned.into_inner().drivers),
        };
        drivers.iter().for_each(|driver| driver.ending.store(true, Ordering::Relaxed));
        drop(drivers);
    }
}

//! From exec to rest: finds the listener of the process tree by itself, waits until the tree is steady and
//! quiet, and names every descriptor. Makes no connection: one would cost a descriptor.

use super::choice::Choice;
use super::error::Error;
use super::live::Step;
use super::pump::Pump;
use super::setting::Condition;
use super::stillness::Stillness;
use crate::event::{Descriptor, DescriptorKind, Ended, Limits, Listens, Phase, Pid, Queue, Unseen, What};
use crate::launch::Tree;
use crate::limits::{chain, inventory, resources};
use crate::scenario::Process;
use crate::sys::address::Address;
use crate::sys::sock_diag::{Listener, SockDiag};
use crate::sys::{clock, proc};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// How often the tree is looked at until it listens and rests: a look costs 40 µs, and 0.3 ms once there is a
/// new listener.
pub const LOOK_EVERY: Duration = Duration::from_micros(400);
/// The shortest time without a descriptor call that counts as rest; a tenth of the start-up time when that is
/// longer. A program that starts in under 50 ms and does not stir for 5 ms is at rest.
const SETTLE_MIN: Duration = Duration::from_millis(5);
const SETTLE_MAX: Duration = Duration::from_millis(250);
/// A program that never rests is measured anyway after this, and the report says so.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(3);

/// A program without a port that rests for this long has no other listener than its Unix socket.
const UNIX_AFTER: Duration = Duration::from_millis(300);

/// One that has UDP sockets and rests for this long serves nothing else: a program that only asks others by
/// UDP as it starts goes on to its port before that.
const UDP_AFTER: Duration = Duration::from_secs(1);

/// The same of a program that sleeps for a time of its own: it may open a port when that is over.
const UDP_AT_LAST: Duration = Duration::from_secs(10);

/// A server may begin its work for a client by a timer, which it waits for in poll(2) or its kin: it is
/// waited for so long. A longer one is that of something else, such as idle clients.
pub const WORKS_WITHIN: Duration = Duration::from_secs(1);

/// A wait that is shorter is not reported. A longer one is reported this often, with the thing that is there
/// instead. Nanoseconds.
const SAY_EVERY: u64 = 2_000_000_000;

/// A listener of the subject, and the processes that hold it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Where clients connect.
    pub address: Address,
    /// `backlog + 1`, of all listeners there together.
    pub capacity: u32,
    /// Sockets that listen there: several with SO_REUSEPORT, each with a queue of its own.
    pub listeners: u32,
    /// Processes that hold it, workers before their master: the process that counts is one that accepts.
    pub holders: Vec<Pid>,
}

/// The descriptors of one holder at rest.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// The process.
    pub pid: Pid,
    /// Its limits now, read back.
    pub limits: Limits,
    /// Numbers taken below the soft limit, with those reserved by blocked accepts.
    pub counted: u64,
    /// How many of these are numbers reserved by threads blocked in accept, and how many of those threads
    /// wait for a client of the loaded listener.
    pub reserved: u64,
    pub for_clients: u64,
    /// Whether it waits for a short time only, though there is no client yet.
    pub ticks: bool,
}

/// Inodes of the listeners that are there already, whoever holds them.
///
/// # Errors
/// The kernel does not list them.
pub fn already(diag: &mut SockDiag) -> std::io::Result<HashSet<u64>> {
    let all = [diag.listeners()?, diag.unix_listeners()?, diag.udp_on(0)?];
    Ok(all.iter().flatten().map(|listener| listener.inode).collect())
}

/// Waits until the tree listens; returns the listener, and for how long nothing may happen until the tree is
/// at rest.
///
/// Many programs listen on a Unix socket for their own ends before they open their port, so one that was not
/// chosen counts only where there is no port once the program has rested for a while, or has not opened one
/// for as long as [`SETTLE_DEADLINE`].
///
/// # Errors
/// It exited, never listened, or listens on several ports and none was chosen; interrupted.
pub fn wait(
    pump: &mut Pump,
    process: &Process,
    choice: &Choice,
    before: &HashSet<u64>,
    mut condition: Option<&mut Condition>,
) -> Result<(Ready, Duration), Error> {
    let deadline = Duration::from_secs_f64(process.ready_within_s);
    let mut found = None;
    let mut holds = condition.is_none();
    let started = clock::now();
    let mut failed = None;
    let (mut said, mut say_at) = (None, started + SAY_EVERY);
    // When it stirred last, and since when it has a Unix socket and no port.
    let (mut stirred, mut unix_since) = (started, None);
    pump.until(deadline, LOOK_EVERY, |pump| {
        let now = clock::now();
        if !pump.quiet(Duration::ZERO) {
            stirred = now;
        }
        let mut seen = listeners(&pump.tree, &mut pump.diag, choice, false, before);
        if matches!((&seen, choice), (Ok(None), Choice::Any | Choice::Port(_))) {
            let unix = match choice {
                Choice::Any => listeners(&pump.tree, &mut pump.diag, choice, true, before),
                _ => Ok(None),
            };
            if !matches!(unix, Ok(None)) {
                let past = |since: u64, time: Duration| now - since >= time.as_nanos() as u64;
                let since = *unix_since.get_or_insert(now);
                let rests = past(stirred.max(since), UNIX_AFTER) && pump.quiet(UNIX_AFTER);
                if rests || past(since, SETTLE_DEADLINE.min(deadline / 2)) {
                    seen = unix;
                }
            } else if now - stirred >= UDP_AFTER.as_nanos() as u64
                && pump.quiet(UDP_AFTER)
                && holds
                && let Some(address) = udp(pump, before)
                && (is_all(pump, &address) || now - started >= UDP_AT_LAST.as_nanos() as u64)
            {
                seen = Err(Error::Inconclusive(udp_only(&address.to_string())));
            }
        }
        match seen {
            Ok(ready) => found = ready,
            Err(error) => failed = Some(error),
        }
        if let Some(condition) = condition.as_deref_mut().filter(|_| !holds) {
            match condition.holds(pump.output.as_ref()) {
                Ok(now) => holds = now,
                Err(error) => failed = Some(error),
            }
            found = found.take().filter(|_| holds);
        }
        if found.is_none() && failed.is_none() && now >= say_at {
            let seen = instead(pump, choice, before).unwrap_or_else(|| "nothing listens yet".into());
            if said.as_ref() != Some(&seen) {
                (pump.progress)(&Step::Waiting { seen: seen.clone() });
            }
            (said, say_at) = (Some(seen), clock::now() + SAY_EVERY);
        }
        found.is_some() || failed.is_some() || pump.tree.gone()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(ready) = found else {
        return Err(match condition.filter(|_| !holds && !pump.tree.gone()) {
            Some(condition) => {
                let (lacks, tail) = (condition.lacks(pump.journal.redaction()), last_lines(pump));
                Error::NotStarted(format!("{lacks} within {} s; {tail}", deadline.as_secs_f64()))
            }
            None => not_listening(pump, choice, before, deadline),
        });
    };
    (pump.listener, pump.listeners) = (Some(ready.address.clone()), ready.listeners);
    pump.acceptor = ready.holders[0];
    pump.sampling = true;
    Ok((ready, window(Duration::from_nanos(clock::now() - started))))
}

/// A UDP socket of the subject to which anybody may send.
fn udp(pump: &mut Pump, before: &HashSet<u64>) -> Option<Address> {
    let all = pump.diag.udp_on(0).ok()?;
    let held = Held::of(&pump.tree, all, before);
    held.ours.first().map(|socket| socket.address.clone())
}

/// Whether the subject is hardly going to open a port beside this UDP one: only something that happens to it
/// wakes it, and the kernel did not choose this port, as it does for a resolver or a logger.
fn is_all(pump: &Pump, address: &Address) -> bool {
    let of_kernel = |port: u16| {
        resources::local_ports().is_some_and(|(first, last)| (first..=last).contains(&port.into()))
    };
    let waits = |pid: &i32| proc::timer_pending(*pid) == Some(false);
    !address.port().is_some_and(of_kernel) && pump.tree.processes().iter().all(waits)
}

/// For how long nothing may happen until a program that took so long to start is at rest.
pub fn window(starting: Duration) -> Duration {
    (starting / 10).clamp(SETTLE_MIN, SETTLE_MAX)
}

/// Waits until the subject rests: for `window` every thread slept at each look, no descriptor call came, and
/// the count of descriptors stayed. `ended` hears at each look whether that is so; where it gives no reason
/// to end although the subject rests, the window begins anew.
///
/// # Errors
/// Interrupted.
pub fn come_to_rest(
    pump: &mut Pump,
    window: Duration,
    mut ended: impl FnMut(&mut Pump, bool) -> Option<Ended>,
) -> Result<Ended, Error> {
    let mut still = Stillness::default();
    pump.until_ended(SETTLE_DEADLINE, LOOK_EVERY, |pump| {
        if pump.tree.gone() {
            return Some(Ended::Gone);
        }
        let rests = still.look(pump) >= window;
        let why = ended(pump, rests);
        if rests && why.is_none() {
            still = Stillness::default();
        }
        why
    })
}

/// Waits until the subject rests with the same listener; returns the listener there is then, and whether it
/// settled.
///
/// # Errors
/// As [`wait`].
pub fn settle(
    pump: &mut Pump,
    choice: &Choice,
    before: &HashSet<u64>,
    first: &Ready,
    window: Duration,
) -> Result<(Ready, Ended), Error> {
    let mut ready = first.clone();
    let unix = matches!(first.address, Address::Unix(_));
    let mut failed = None;
    let why = come_to_rest(pump, window, |pump, rests| {
        if !rests {
            return None;
        }
        // Owners change while daemons fork: only a second look that says the same ends the wait.
        match listeners(&pump.tree, &mut pump.diag, choice, unix, before) {
            Ok(Some(now)) if now == ready => Some(Ended::AtRest),
            Ok(Some(now)) => {
                pump.acceptor = now.holders[0];
                (pump.listener, pump.listeners) = (Some(now.address.clone()), now.listeners);
                ready = now;
                None
            }
            Ok(None) => None,
            Err(error) => {
                failed = Some(error);
                Some(Ended::Failed)
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if pump.tree.gone() {
        return Err(not_listening(pump, choice, before, SETTLE_DEADLINE));
    }
    if why == Ended::Time {
        let why = format!(
            "the subject made descriptor calls or ran without a {} ms pause for {} s",
            window.as_millis(),
            SETTLE_DEADLINE.as_secs()
        );
        pump.journal.record(What::NotSeen { what: Unseen::Settled, why });
    }
    Ok((ready, why))
}

/// Records the descriptors, and the chain of limits, of each process that may accept.
///
/// # Errors
/// None of them can be read any more.
pub fn rest(pump: &mut Pump, name: &str, ready: &Ready, settled: bool) -> Result<Vec<Rest>, Error> {
    let (launched, requested) = (pump.tree.program(), pump.tree.command().limits);
    let mut rests = Vec::new();
    for &pid in &ready.holders {
        let Ok((soft, hard)) = proc::nofile(pid) else { continue };
        let counted = inventory::read(pid).and_then(|inventory| Ok((inventory, proc::descriptors(pid)?)));
        let (inventory, descriptors) = match counted {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => continue,
            other => other?,
        };
        let links = chain::read(pid, Some(requested), launched, pump.journal.redaction());
        pump.journal.record(What::Chain { process: name.into(), pid, when: Phase::Baseline, links });
        let reserved = descriptors.saturating_sub(inventory.len() as u64);
        let counted = inventory.iter().filter(|d| (d.fd as u64) < soft).count() as u64 + reserved;
        let port = ready.address.port();
        let listens = |d: &Descriptor| match port {
            Some(port) => d.listens().is_some_and(|listener| listener.port() == Some(port)),
            None => d.kind == DescriptorKind::Unix,
        };
        let ours = |fd: &i32| inventory.iter().any(|d| d.fd == *fd && listens(d));
        let blocked = proc::accepting_on(pid).iter().filter(|fd| ours(fd)).count() as u64;
        // If that cannot be read, one of them does.
        let for_clients = blocked.max(1).min(reserved);
        pump.ring |= inventory.iter().any(|d| d.kind == DescriptorKind::IoUring);
        pump.rest.insert(pid, descriptors);
        let rest = What::Baseline { pid, descriptors, counted, inventory, settled };
        pump.live.listeners.note(&rest);
        pump.journal.record(rest);
        let ticks = proc::waits_at_most(pid, WORKS_WITHIN);
        rests.push(Rest { pid, limits: Limits { soft, hard }, counted, reserved, for_clients, ticks });
    }
    pump.note_resources();
    let processes = pump.tree.processes();
    let others: Vec<Pid> = processes.iter().copied().filter(|pid| !pump.rest.contains_key(pid)).collect();
    let open = inventory::of_all(&others);
    pump.rest.extend(open.iter().map(|one| (one.pid, one.descriptors)));
    if !open.is_empty() {
        let open = What::Open(open);
        pump.live.listeners.note(&open);
        pump.journal.record(open);
    }
    pump.live.listeners.loads(&ready.address.to_string());
    pump.beside(clock::now(), &processes);
    if rests.is_empty() {
        Err(Error::NotStarted("the subject exited while its descriptors were counted".into()))
    } else {
        Ok(rests)
    }
}

/// The listeners of a process tree, as far as they were not there before. `None`: none yet. `unix`: without a
/// port a Unix socket counts that was not chosen.
///
/// # Errors
/// Several ports, or without any several Unix sockets, and none was chosen.
pub fn listeners(
    tree: &Tree,
    diag: &mut SockDiag,
    choice: &Choice,
    unix: bool,
    before: &HashSet<u64>,
) -> Result<Option<Ready>, Error> {
    let found = match choice {
        Choice::Unix(address) => Held::of(tree, diag.listener(address)?.into_iter().collect(), before),
        Choice::Port(port) => Held::of(tree, diag.listeners_on(*port)?, before),
        Choice::Udp(port) => Held::of(tree, diag.udp_on(port.unwrap_or(0))?, before),
        Choice::Any => match Held::of(tree, diag.listeners()?, before) {
            Held { ours, .. } if ours.is_empty() && unix => Held::of(tree, diag.unix_listeners()?, before),
            tcp => tcp,
        },
    };
    let ports: BTreeSet<u16> = found.ours.iter().filter_map(|l| l.address.port()).collect();
    let sockets: BTreeSet<&Address> = found.ours.iter().map(|l| &l.address).collect();
    let (kind, option, names): (_, _, Vec<String>) = match ports.is_empty() {
        true => ("Unix sockets", "unix", sockets.iter().map(ToString::to_string).collect()),
        false if matches!(choice, Choice::Udp(_)) => {
            ("UDP ports", "port", ports.iter().map(ToString::to_string).collect())
        }
        false => ("ports", "port", ports.iter().map(ToString::to_string).collect()),
    };
    if names.len() > 1 {
        return Err(Error::NotStarted(format!(
            "it listens on several {kind} ({}): choose one with --{option}, or `{option}` in the scenario",
            names.join(", ")
        )));
    }
    Ok(found.ready())
}

/// Listeners that processes of a tree hold.
struct Held {
    ours: Vec<Listener>,
    /// The holder of each listener by inode, parents first.
    owned: Vec<(Pid, u64)>,
}

impl Held {
    /// The listeners of the tree among `all`, but for those that were there before.
    fn of(tree: &Tree, mut all: Vec<Listener>, before: &HashSet<u64>) -> Held {
        all.retain(|listener| !before.contains(&listener.inode));
        let inodes: HashSet<u64> = all.iter().map(|l| l.inode).collect();
        let mut owned: Vec<(Pid, u64)> = Vec::new();
        for pid in if all.is_empty() { Vec::new() } else { tree.processes() } {
            let held = held_sockets(pid).into_iter().filter(|inode| inodes.contains(inode));
            owned.extend(held.map(|inode| (pid, inode)));
        }
        all.retain_mut(|listener| {
            let holder = owned.iter().find(|(_, inode)| *inode == listener.inode);
            holder.is_some_and(|(pid, _)| {
                listener.address = absolute(&listener.address, *pid);
                true
            })
        });
        Held { ours: all, owned }
    }

    /// The listener that clients connect to: if a port has several, the one over IPv4.
    fn ready(self) -> Option<Ready> {
        let listener = self.ours.iter().min_by_key(|l| !l.address.is_ipv4())?;
        let inodes: HashSet<u64> = self.ours.iter().map(|l| l.inode).collect();
        // The tree lists parents before children: reversed, a worker comes before the master that only holds
        // the listener.
        let mut holders: Vec<Pid> =
            self.owned.iter().filter(|(_, inode)| inodes.contains(inode)).map(|&(pid, _)| pid).collect();
        holders.reverse();
        holders.dedup();
        let same = self.ours.iter().filter(|l| l.address == listener.address);
        let (listeners, capacity) =
            same.fold((0, 0_u32), |(n, all), l| (n + 1, all.saturating_add(l.capacity())));
        Some(Ready { address: reachable(&listener.address), capacity, listeners, holders })
    }
}

/// The address of a Unix socket that was bound by a path from the folder of its process.
fn absolute(address: &Address, holder: Pid) -> Address {
    let from_here = || {
        let path = address.path().filter(|path| path.is_relative())?;
        let path = std::fs::read_link(format!("/proc/{holder}/cwd")).ok()?.join(path);
        Address::unix(path.as_os_str().as_bytes()).ok()
    };
    from_here().unwrap_or_else(|| address.clone())
}

/// Records the accept queue of each listener where the clients connect and the room in the process that
/// accepts from it, where there are several.
pub fn queues(pump: &mut Pump) {
    let Some(address) = pump.listener.as_ref().filter(|address| !address.is_udp()) else { return };
    let Ok(mut listeners) = pump.diag.sharing(address) else { return };
    let held = pump.tree.processes().into_iter().map(|pid| Holder {
        pid,
        parent: proc::parent(pid),
        sockets: held_sockets(pid),
    });
    let held: Vec<Holder> = held.collect();
    listeners.retain(|listener| held.iter().any(|holder| holder.sockets.contains(&listener.inode)));
    // The number of listeners now: a worker may have come late.
    pump.listeners = listeners.len() as u32;
    if listeners.len() < 2 {
        return;
    }
    let seen = |listener: &Listener| {
        let pid = accepts_from(&held, listener.inode)?;
        let (soft, _) = proc::nofile(pid).ok()?;
        let room = soft.saturating_sub(inventory::counted(&inventory::read(pid).ok()?, soft));
        Some(Queue { pid, length: listener.queue, capacity: listener.capacity(), room })
    };
    let mut queues: Vec<Queue> = listeners.iter().filter_map(seen).collect();
    if queues.len() < listeners.len() {
        let why = format!(
            "of {} listeners on the port {} are held by one worker alone: which process accepts from the others cannot be told",
            listeners.len(),
            queues.len()
        );
        pump.journal.record(What::NotSeen { what: Unseen::Listeners, why });
    }
    queues.sort_unstable_by_key(|queue| queue.pid);
    pump.journal.record(What::Queues(queues));
}

/// A process and the inodes of its sockets.
struct Holder {
    pid: Pid,
    parent: Option<Pid>,
    sockets: HashSet<u64>,
}

/// The process that accepts from a listener: the only one that holds it, but for the parents that it has it
/// from.
fn accepts_from(held: &[Holder], inode: u64) -> Option<Pid> {
    let holders = || held.iter().filter(|holder| holder.sockets.contains(&inode));
    let mut workers = holders().filter(|holder| !holders().any(|other| other.parent == Some(holder.pid)));
    workers.next().filter(|_| workers.next().is_none()).map(|worker| worker.pid)
}

/// Inodes of the sockets a process holds; empty when it cannot be read.
fn held_sockets(pid: Pid) -> HashSet<u64> {
    let mut inodes = HashSet::new();
    // Nothing is known about a process of another user, or about one that is gone.
    let _ = proc::sockets(pid, &mut inodes);
    inodes
}

/// The address that reaches a listener from here: a loopback address if it is bound to every address.
pub(super) fn reachable(address: &Address) -> Address {
    match address {
        Address::Inet(address) => Address::Inet(loopback(*address)),
        Address::Udp(address) => Address::Udp(loopback(*address)),
        unix @ Address::Unix(_) => unix.clone(),
    }
}

fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V6(ip) if !ip.is_unspecified() => ip.into(),
        IpAddr::V4(ip) if !ip.is_unspecified() => ip.into(),
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        // Bound to [::]: reached over IPv4 unless it is IPv6 only, which a connect tells at once.
        IpAddr::V6(_) => {
            let v4 = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
            if v6_only() { Ipv6Addr::LOCALHOST.into() } else { v4.ip() }
        }
    };
    SocketAddr::new(ip, address.port())
}

/// Whether sockets bound to [::] leave IPv4 alone on this host (ipv6(7), `bindv6only`).
fn v6_only() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|value| value.trim() == "1")
}

/// The error for a missing listener: how the program ended, its last output, or the address at which it
/// listens instead.
fn not_listening(pump: &mut Pump, choice: &Choice, before: &HashSet<u64>, deadline: Duration) -> Error {
    if pump.tree.gone() {
        return gone(pump, "it listened");
    }
    let within = format!("within {} s", deadline.as_secs_f64());
    let why = instead(pump, choice, before).unwrap_or_else(|| match choice {
        Choice::Port(port) => format!("nothing listened on port {port} {within}"),
        Choice::Unix(address) => format!("nothing listened at {address} {within}"),
        Choice::Udp(Some(port)) => format!("no UDP socket was bound to port {port} {within}"),
        Choice::Udp(None) => format!("no UDP socket was bound to a port {within}"),
        Choice::Any => format!("no TCP listener appeared {within}, and no Unix socket that listens"),
    });
    let tail = last_lines(pump);
    Error::NotStarted(format!("{why}; {tail}"))
}

/// The thing that the subject has in place of the listener that the run waits for; `None`: nothing that
/// anybody could connect to.
fn instead(pump: &mut Pump, choice: &Choice, before: &HashSet<u64>) -> Option<String> {
    let asked = match choice {
        Choice::Port(port) => format!(", not on port {port}"),
        Choice::Unix(address) => format!(", not at {address}"),
        Choice::Udp(Some(port)) => format!(", not UDP port {port}"),
        Choice::Udp(None) => ", and serves no UDP".to_owned(),
        Choice::Any => " so far, and does not rest".to_owned(),
    };
    match listeners(&pump.tree, &mut pump.diag, &Choice::Any, true, before) {
        Ok(None) => {}
        Ok(Some(Ready { address: Address::Inet(address), .. })) => {
            return Some(format!("it listens on port {}{asked}", address.port()));
        }
        Ok(Some(Ready { address, .. })) => {
            return Some(format!(
                "it listens at {address}{asked}: choose that with --unix, or `unix` in the scenario"
            ));
        }
        Err(several) => return Some(several.to_string()),
    }
    let pids = pump.tree.processes();
    let elsewhere = pids.iter().filter(|&&pid| proc::in_other_network(pid)).find_map(|&pid| {
        let port = proc::listening_ports(pid).into_iter().min()?;
        Some(format!("it listens on port {port} of a network namespace of its own, which clients from here do not reach"))
    });
    if elsewhere.is_some() {
        return elsewhere;
    }
    let open: Vec<_> = pids.iter().filter_map(|&pid| inventory::read(pid).ok()).flatten().collect();
    if let Some(unix) = open.iter().find(|d| matches!(d.listens(), Some(Listens::Unix(_)))) {
        return Some(format!("it listens on a Unix socket that takes no stream of bytes ({})", unix.detail));
    }
    if let Choice::Udp(port) = choice {
        let address = udp(pump, before).filter(|_| port.is_some())?;
        return Some(format!(
            "it serves {address}{asked}: choose that with --port, or `port` in the scenario"
        ));
    }
    let udp =
        open.iter().find(|d| d.kind == DescriptorKind::Udp).filter(|_| matches!(choice, Choice::Any))?;
    Some(udp_only(&udp.detail))
}

/// Advice for a subject that has UDP sockets and no other.
fn udp_only(address: &str) -> String {
    format!(
        "it serves UDP only ({address}): say what each client sends, and what the answer looks like, with `--udp --send TEXT --expect PATTERN`, \
         or with a `datagram` workload in a scenario"
    )
}

/// The program exited before this event: how, and its last output.
pub fn gone(pump: &mut Pump, before: &str) -> Error {
    let tail = last_lines(pump);
    let status = pump.tree.exited().map_or_else(String::new, |s| format!(" ({})", ended(s)));
    Error::NotStarted(format!("the program exited before {before}{status}; {tail}"))
}

/// The subject's last output.
pub fn last_lines(pump: &mut Pump) -> String {
    let tail = pump.output.as_mut().map(|output| {
        output.finish();
        output.tail()
    });
    let _ = pump.turn(Duration::ZERO);
    let tail = tail.unwrap_or_default();
    if tail.is_empty() {
        String::from("it wrote nothing")
    } else {
        format!("its last lines:\n  {}", tail.join("\n  "))
    }
}

fn ended(status: crate::launch::ExitStatus) -> String {
    match (status.code, status.signal) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "status unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_a_worker_s_that_alone_took_it_over_from_its_master() {
        let holder = |pid, parent, sockets: &[u64]| Holder {
            pid,
            parent: Some(parent),
            sockets: sockets.iter().copied().collect(),
        };
        let own = [holder(10, 1, &[5]), holder(11, 10, &[5, 6]), holder(12, 10, &[5, 7])];
        assert_eq!((accepts_from(&own, 6), accepts_from(&own, 7)), (Some(11), Some(12)));
        let closed = [holder(10, 1, &[6, 7]), holder(11, 10, &[6]), holder(12, 10, &[7])];
        assert_eq!(
            (accepts_from(&closed, 6), accepts_from(&closed, 7)),
            (Some(11), Some(12)),
            "the master only made them"
        );
        let inherited = [holder(10, 1, &[6, 7]), holder(11, 10, &[6, 7]), holder(12, 10, &[6, 7])];
        assert_eq!(
            (accepts_from(&inherited, 6), accepts_from(&inherited, 8)),
            (None, None),
            "either may accept from either"
        );
    }
}

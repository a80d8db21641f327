//! Observes system calls by perf: an in-kernel filter on each call's tracepoint, inherited by threads and
//! children, enabled when the launched program executes.
//!
//! Each cpu has four rings: successes (with requests to close), failures, the life of processes, and
//! refusals. They are read when the run drains, never woken for an event, because waking slows a spinning
//! server sixty-fold. Beside the rings, one counter for each call counts its failures over the whole tree,
//! exactly, sampled or not.
//!
//! Requests of io_uring pass by every system call. Where the kernel lets us, its own tracepoints are observed
//! too. For a subject without a ring they cost nothing but their opening.

mod record;
mod requests;

use super::failures::{Sampled, Totals};
use super::threads::Threads;
use super::{Syscalls, Unavailable, called};
use crate::event::{Call, Event, Nanos, ObserverName, Pid, What};
use crate::sys::clock;
use crate::sys::perf::{Counter, Ring, Source, cpus, discard};
use crate::sys::tracefs::Events;
use record::{Layout, Record};
use requests::Requests;
use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::time::Duration;

/// The observer's name in reports.
pub const NAME: ObserverName = ObserverName::Perf;

/// Pages of each ring where the locked-memory limit allows; halved until it does.
const RING_PAGES: usize = 512;
/// Fewer would lose events between two drains.
const RING_PAGES_AT_LEAST: usize = 8;

const SUCCEEDED: &CStr = c"ret >= 0";
/// A successful call without another result: its arguments decide what it did.
const DONE: &CStr = c"ret == 0";
/// Without CLOSE_RANGE_CLOEXEC (linux/close_range.h), which closes nothing yet.
const CLOSES_NOW: &CStr = c"flags < 4";
/// -EMFILE and -ENFILE, as the kernel's filter language takes them.
const EXHAUSTED: &CStr = c"ret == -24 || ret == -23";

/// The same of accept, and what it fails with for want of memory: ENOMEM and ENOBUFS.
const UNACCEPTED: &CStr = c"ret == -24 || ret == -23 || ret == -12 || ret == -105";
/// Calls that make what a connection may need beside a descriptor, and how they are refused: EAGAIN at a
/// limit of tasks, ENOMEM. fork(3) and threads are one of the first two; each tracepoint more costs a command
/// some 30 ms to take into use and out of it.
const MAKERS: [&str; 3] = ["clone3", "clone", "mmap"];
const REFUSED: &CStr = c"ret == -11 || ret == -12";

/// Refusals that are reported, at most: then the observer stops looking for them. Failed calls have room of
/// their own.
const REFUSED_AT_MOST: u64 = 1_000;

/// How long an event stays back, so that what another cpu is writing this instant can be put before it.
const HOLD_BACK: Duration = Duration::from_micros(100);

/// Why perf cannot be used, and the way out.
pub(super) fn unavailable(reason: impl ToString, remedy: impl ToString) -> Unavailable {
    Unavailable { observer: NAME.name(), reason: reason.to_string(), remedy: remedy.to_string() }
}

/// Says what to do about an error of the kernel's.
fn refused(doing: &str, e: &io::Error) -> Unavailable {
    let remedy = match e.raw_os_error() {
        Some(libc::EMFILE) => format!("raise lastfd's own limit by {} descriptors with `ulimit -n`", descriptors_needed()),
        Some(libc::EACCES | libc::EPERM) => {
            "run as root, or give CAP_PERFMON, or set sysctl kernel.perf_event_paranoid=2 or lower and make tracefs readable \
             for a group of yours (`mount -o remount,gid=GROUP,mode=750 /sys/kernel/tracing`)"
                .into()
        }
        Some(libc::ENOENT | libc::ENODEV | libc::ENOSYS) => "use a kernel built with CONFIG_PERF_EVENTS and CONFIG_FTRACE_SYSCALLS".into(),
        _ => "use ptrace".into(),
    };
    unavailable(format!("{doing}: {e}"), remedy)
}

/// Descriptors of the harness that observing by perf takes.
pub fn descriptors_needed() -> u64 {
    let cpus = cpus().map_or(1, |cpus| cpus.len());
    let calls = Call::ALL.len();
    // Each call and cpu needs a failure event and (but for fcntl) a success event. Each cpu needs events for
    // close, close_range, the processes and refusals. Each call needs its total. One event keeps each
    // tracepoint in use. The exit, the limits, and the events of io_uring come on top.
    let beside = MAKERS.len() + 1 + record::LIMITS.len() + 3;
    (cpus * (2 * calls - 1 + 3 + beside) + calls + calls + 2 + beside) as u64
}

/// The tracepoints of the observed calls on this kernel.
#[derive(Debug, Clone)]
pub struct Tracepoints {
    exits: Vec<(Call, u64)>,
    makers: Vec<(&'static str, u64)>,
    layout: Layout,
}

impl Tracepoints {
    /// Reads their ids and opens one event on the calling thread, to see whether that is allowed.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn probe() -> Result<Self, Unavailable> {
        let unreadable = |e| refused("the ids of tracepoints cannot be read", &e);
        let events = Events::open().map_err(unreadable)?;
        let mut found = Self::read(&events).map_err(unreadable)?;
        let first = cpus().map_err(|e| refused("the cpus cannot be listed", &e))?[0];
        let accept = found.exits[0].1;
        let probed = Counter::open(Source::Samples(accept), 0, Some(first))
            .map_err(|e| refused("perf_event_open", &e))?;
        let mut opened = vec![probed];
        // Without these, the rest works as well as ever for a program without a ring.
        if let Ok((layout, probed)) = requests::probe(&events, first) {
            found.layout.ring = Some(layout);
            opened.push(probed);
        }
        discard(opened);
        Ok(found)
    }

    /// Whether io_uring's own are among them.
    pub fn see_io_uring(&self) -> bool {
        self.layout.ring.is_some()
    }

    fn read(events: &Events) -> io::Result<Self> {
        let mut exits = Vec::new();
        for &call in Call::ALL {
            match events.id(&format!("syscalls/sys_exit_{call}")) {
                Ok(id) => exits.push((call, id)),
                // Not every architecture has every call; accept4, the first, every one has.
                Err(e) if e.kind() == io::ErrorKind::NotFound && call != Call::ALL[0] => {}
                Err(e) => return Err(e),
            }
        }
        // These are additional evidence: observing goes on without them.
        let id = |call: &'static str| Some((call, events.id(&format!("syscalls/sys_exit_{call}")).ok()?));
        let makers = MAKERS.into_iter().filter_map(id).collect();
        let close = "syscalls/sys_enter_close";
        let ret = events.offset("syscalls/sys_exit_accept4", "ret")?;
        let exit_group = "syscalls/sys_enter_exit_group";
        let range = "syscalls/sys_enter_close_range";
        let close_range = || -> io::Result<_> {
            Ok((events.id(range)?, [events.offset(range, "fd")?, events.offset(range, "max_fd")?]))
        };
        let layout = Layout {
            ret,
            close: events.id(close)?,
            fd: events.offset(close, "fd")?,
            close_range: close_range().ok(),
            exit_group: (events.id(exit_group)?, events.offset(exit_group, "error_code")?),
            // Without these it is unknown which process set a limit; the rest works as ever.
            limits: record::LIMITS.map(|call| events.id(&format!("syscalls/sys_exit_{call}")).ok()),
            ring: None,
        };
        Ok(Tracepoints { exits, makers, layout })
    }
}

/// Keeps the observed tracepoints in use from one run to the next: taking one into use, or out of it, waits
/// for RCU, and all of them for a second.
#[derive(Debug)]
pub struct InUse(Vec<Counter>);

impl InUse {
    /// Opens one idle event of each; those that cannot be opened only cost time.
    pub(super) fn keep(tracepoints: &Tracepoints) -> Self {
        let ring = tracepoints.layout.ring.into_iter().flat_map(|ring| [ring.submit, ring.complete]);
        let ids =
            tracepoints.exits.iter().map(|&(_, id)| id).chain(tracepoints.makers.iter().map(|&(_, id)| id));
        let ids = ids.chain([tracepoints.layout.close, tracepoints.layout.exit_group.0]);
        let ids = ids.chain(tracepoints.layout.close_range.map(|(id, _)| id));
        let ids = ids.chain(tracepoints.layout.limits.into_iter().flatten()).chain(ring);
        InUse(ids.filter_map(|id| Counter::open(Source::Held(id), 0, None).ok()).collect())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        discard(std::mem::take(&mut self.0));
    }
}

/// The rings of one cpu.
#[derive(Debug)]
struct Rings {
    successes: Ring,
    failures: Ring,
    tasks: Ring,
    /// Refusals other than of descriptors, in a ring of their own: a flood of them takes no room from the
    /// failures.
    refused: Option<Ring>,
}

/// The observer, attached.
#[derive(Debug)]
pub struct Perf {
    layout: Layout,
    /// By tracepoint id.
    calls: HashMap<u64, Call>,
    makers: HashMap<u64, &'static str>,
    rings: Vec<Rings>,
    /// Everything but the failures.
    steady: Vec<Counter>,
    /// Counters of refusals other than of descriptors, until there are too many.
    refusing: Vec<Counter>,
    refused: u64,
    /// The sampled failures of every call and cpu.
    sampling: Vec<Counter>,
    sampling_stopped: bool,
    /// The failures of each call over the whole tree.
    counters: Vec<(Call, Counter)>,
    /// The failures of io_uring's requests, all operations together.
    ring_counter: Option<Counter>,
    requests: Requests,
    sampled: Sampled,
    totals: Totals,
    threads: Threads,
    /// Newer than the last drain's horizon.
    held_back: Vec<(Nanos, Record)>,
    stopped: bool,
}

/// The events of one cpu, which share its rings.
struct OfCpu {
    tasks: Counter,
    close: Counter,
    /// The first has the ring of all.
    failures: Vec<Counter>,
    successes: Vec<Counter>,
    makers: Vec<Counter>,
}

impl OfCpu {
    fn open(tracepoints: &Tracepoints, pid: Pid, cpu: u32) -> io::Result<Self> {
        let open = |source, filter: Option<&CStr>| -> io::Result<Counter> {
            let counter = Counter::open(source, pid, Some(cpu))?;
            filter.map_or(Ok(()), |f| counter.filter(f))?;
            Ok(counter)
        };
        let layout = tracepoints.layout;
        let tasks = open(Source::Tasks, None)?;
        let close = open(Source::Samples(layout.close), None)?;
        let mut failures = Vec::new();
        let mut successes = vec![open(Source::Samples(layout.exit_group.0), None)?];
        if let Some((id, _)) = layout.close_range {
            successes.push(open(Source::Samples(id), Some(CLOSES_NOW))?);
        }
        for id in layout.limits.into_iter().flatten() {
            let called = Source::Called { id, registers: record::REGISTERS, stack: record::STACK };
            successes.push(open(called, Some(DONE))?);
        }
        for &(call, id) in &tracepoints.exits {
            let failed = if call.accepts() { UNACCEPTED } else { EXHAUSTED };
            let source = match record::FIRST_ARGUMENT {
                Some(registers) if call.accepts() => Source::Called { id, registers, stack: 0 },
                _ => Source::Samples(id),
            };
            failures.push(open(source, Some(failed))?);
            if call != Call::Fcntl {
                successes.push(open(Source::Samples(id), Some(SUCCEEDED))?);
            }
        }
        let makers = tracepoints.makers.iter().map(|&(_, id)| open(Source::Samples(id), Some(REFUSED)));
        let makers = makers.collect::<io::Result<Vec<_>>>()?;
        if let Some(ring) = layout.ring {
            failures.push(open(Source::KernelSamples(ring.complete), Some(requests::EXHAUSTED))?);
            successes.push(open(Source::KernelSamples(ring.submit), Some(requests::CREATES))?);
            successes.push(open(Source::KernelSamples(ring.complete), Some(requests::OTHERWISE))?);
        }
        Ok(OfCpu { tasks, close, failures, successes, makers })
    }

    /// Maps their rings, the largest of so many pages.
    fn rings(&self, pages: usize) -> io::Result<Rings> {
        Ok(Rings {
            successes: Ring::map(&self.close, pages)?,
            failures: Ring::map(&self.failures[0], pages)?,
            tasks: Ring::map(&self.tasks, pages / 8)?,
            refused: self.makers.first().map(|first| Ring::map(first, pages / 8)).transpose()?,
        })
    }

    /// Lets all of one kind write to the ring of their kind.
    fn redirect(&self) -> io::Result<()> {
        self.successes.iter().try_for_each(|counter| counter.redirect(&self.close))?;
        self.failures[1..].iter().try_for_each(|counter| counter.redirect(&self.failures[0]))?;
        self.makers.iter().skip(1).try_for_each(|counter| counter.redirect(&self.makers[0]))
    }
}

/// A counter of failures for each call.
fn failed_calls(tracepoints: &Tracepoints, pid: Pid) -> io::Result<Vec<(Call, Counter)>> {
    let counted = |&(call, id): &(Call, u64)| {
        let counter = Counter::open(Source::Count(id), pid, None)?;
        counter.filter(EXHAUSTED)?;
        Ok((call, counter))
    };
    tracepoints.exits.iter().map(counted).collect()
}

/// A counter of io_uring's failed requests.
fn failed_requests(ring: record::RingLayout, pid: Pid) -> io::Result<Counter> {
    let counter = Counter::open(Source::KernelCount(ring.complete), pid, None)?;
    counter.filter(requests::EXHAUSTED)?;
    Ok(counter)
}

impl Perf {
    /// Opens every event on a process that waits before its exec.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn attach(tracepoints: &Tracepoints, pid: Pid) -> Result<Self, Unavailable> {
        Self::open(tracepoints, pid).map_err(|e| refused("perf_event_open", &e))
    }

    fn open(tracepoints: &Tracepoints, pid: Pid) -> io::Result<Self> {
        let (mut steady, mut sampling, mut refusing, mut rings) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut pages = RING_PAGES;
        for cpu in cpus()? {
            let events = OfCpu::open(tracepoints, pid, cpu)?;
            rings.push(loop {
                match events.rings(pages) {
                    Ok(rings) => break rings,
                    Err(e) if pages <= RING_PAGES_AT_LEAST => return Err(e),
                    Err(_) => pages /= 2,
                }
            });
            events.redirect()?;
            steady.extend([events.tasks, events.close]);
            steady.extend(events.successes);
            sampling.extend(events.failures);
            refusing.extend(events.makers);
        }
        Ok(Perf {
            ring_counter: tracepoints.layout.ring.map(|ring| failed_requests(ring, pid)).transpose()?,
            requests: Requests::default(),
            layout: tracepoints.layout,
            calls: tracepoints.exits.iter().map(|&(call, id)| (id, call)).collect(),
            makers: tracepoints.makers.iter().map(|&(call, id)| (id, call)).collect(),
            rings,
            steady,
            refusing,
            refused: 0,
            sampling,
            sampling_stopped: false,
            counters: failed_calls(tracepoints, pid)?,
            sampled: Sampled::default(),
            totals: Totals::default(),
            threads: Threads::of(pid),
            held_back: Vec::new(),
            stopped: false,
        })
    }

    /// Reads every ring; returns the samples that found no room, and how many of these were failures.
    fn collect(&mut self) -> (u64, u64) {
        let (mut lost, mut lost_failures) = (0, 0);
        let layout = self.layout;
        for rings in &mut self.rings {
            for (ring, failing) in
                [(&mut rings.successes, false), (&mut rings.failures, true), (&mut rings.tasks, false)]
            {
                ring.read(|bytes| match record::parse(bytes, layout) {
                    Some((_, Record::Lost(samples))) if failing => lost_failures += samples,
                    Some((_, Record::Lost(samples))) => lost += samples,
                    Some((at, record)) => self.held_back.push((at, record)),
                    None => {}
                });
            }
            if let Some(ring) = &mut rings.refused {
                // Lost ones are more of the same.
                ring.read(|bytes| self.held_back.extend(record::parse(bytes, layout)));
            }
        }
        (lost, lost_failures)
    }

    fn describe(&mut self, record: Record) -> Option<What> {
        Some(match record {
            Record::Call { pid, tracepoint, ret, on } => match (self.makers.get(&tracepoint), ret) {
                (Some(call), _) => What::Refused { pid, call: (*call).into(), errno: -ret as i32 },
                (None, -105 | -12) => {
                    What::Refused { pid, call: self.calls.get(&tracepoint)?.to_string(), errno: -ret as i32 }
                }
                (None, _) => What::Call { pid, name: *self.calls.get(&tracepoint)?, ret, on },
            },
            Record::Close { pid, fd } => What::Close { pid, fd },
            Record::CloseRange { pid, first, last } => What::CloseRange { pid, first, last },
            Record::Status { pid, code } => What::Status { pid, code: Some(code), signal: None },
            Record::Submitted { request, opcode } => match self.requests.submitted(request, opcode) {
                0 => return None,
                samples => What::Lost { samples },
            },
            Record::Completed { pid, request, ret, more } => {
                self.requests.completed(pid, request, ret, more)?
            }
            Record::Fork { pid, tid, parent } => self.threads.created(pid, tid, parent)?,
            Record::Exec { pid, .. } => self.threads.executed(pid),
            Record::LimitSet { pid: by, of, limits } => {
                What::LimitSet { pid: called(of, by, self.threads.processes())?, by, limits }
            }
            Record::Exit { pid, tid } => self.threads.exited(pid, tid)?,
            Record::Lost(_) => return None,
        })
    }

    /// Stops the sampling of failures, in every process that inherited it; the totals run on.
    fn stop_sampling(&mut self) -> io::Result<()> {
        (self.sampling_stopped, self.requests.stale) = (true, true);
        self.sampling.iter().try_for_each(Counter::disable)
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        // Their mappings would keep them open.
        self.rings.clear();
        let counters = self.counters.drain(..).map(|(_, counter)| counter);
        let counters = counters.chain(self.ring_counter.take());
        discard(
            counters
                .chain(self.steady.drain(..))
                .chain(self.sampling.drain(..))
                .chain(self.refusing.drain(..))
                .collect(),
        );
    }
}

impl Syscalls for Perf {
    fn name(&self) -> ObserverName {
        NAME
    }

    fn drain(&mut self, sink: &mut Vec<Event>) -> io::Result<()> {
        let now = clock::now();
        let (lost, lost_failures) = self.collect();
        let horizon = if self.stopped { Nanos::MAX } else { now - HOLD_BACK.as_nanos() as u64 };
        self.held_back.sort_by_key(|&(at, _)| at);
        let ready = self.held_back.partition_point(|&(at, _)| at <= horizon);
        let records: Vec<_> = self.held_back.drain(..ready).collect();
        for (at, record) in records {
            let refused =
                matches!(record, Record::Call { tracepoint, .. } if self.makers.contains_key(&tracepoint));
            let program = if let Record::Exec { pid, name } = record { Some((pid, name)) } else { None };
            let Some(is) = self.describe(record) else { continue };
            if refused {
                self.refused += 1;
                if self.refused > REFUSED_AT_MOST {
                    continue;
                }
            } else if matches!(is, What::Refused { .. } | What::Call { ret: ..0, .. }) {
                let (pid, on) = if let What::Call { pid, on, .. } = is { (pid, on) } else { (0, None) };
                if !self.sampled.takes(pid, on) {
                    continue;
                }
            }
            sink.push(Event { at, is });
            sink.extend(self.sampled.muted().map(|is| Event { at, is }));
            if let Some((pid, name)) = program {
                let program = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
                sink.push(Event { at, is: What::Executed { pid, program } });
            }
        }
        // Lost failures only mean that there are too many to sample: opening and closing have rings of their
        // own.
        if lost > 0 {
            sink.push(Event { at: now, is: What::Lost { samples: lost } });
        }
        if !self.sampling_stopped && (self.sampled.full() || lost_failures > 0) {
            self.stop_sampling()?;
            sink.push(Event { at: now, is: What::SamplingStopped });
        }
        if self.refused >= REFUSED_AT_MOST && !self.refusing.is_empty() {
            self.refusing.iter().try_for_each(Counter::disable)?;
            self.steady.append(&mut self.refusing);
        }
        if self.stopped || self.totals.due(now) {
            let counts = self
                .counters
                .iter()
                .map(|(call, counter)| Ok((*call, counter.count()?)))
                .collect::<io::Result<Vec<_>>>()?;
            let of_rings = self
                .ring_counter
                .as_ref()
                .map(|all| Ok::<_, io::Error>(self.requests.totals(all.count()?)))
                .transpose()?;
            self.totals.report(now, counts.into_iter().chain(of_rings.into_iter().flatten()), sink);
        }
        Ok(())
    }

    fn sample_again(&mut self, failures: u64) -> io::Result<()> {
        self.sampled = Sampled::with_room_for(failures);
        match std::mem::take(&mut self.sampling_stopped) {
            true => self.sampling.iter().try_for_each(Counter::enable),
            false => Ok(()),
        }
    }

    fn exact(&self) -> bool {
        true
    }

    fn sees_io_uring(&self) -> bool {
        self.layout.ring.is_some()
    }

    fn stop(&mut self) {
        let counters = self
            .steady
            .iter()
            .chain(&self.sampling)
            .chain(&self.refusing)
            .chain(self.counters.iter().map(|(_, counter)| counter));
        let counters = counters.chain(&self.ring_counter);
        for counter in counters {
            // An event that cannot be switched off ends with its descriptor.
            let _ = counter.disable();
        }
        self.stopped = true;
    }
}

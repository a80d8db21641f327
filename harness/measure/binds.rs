//! The resource that bound the subject where it stopped, with the evidence: descriptors, tasks, memory, the
//! accept queue, the generator's ports, or a rule of its own. It is named only if something was seen to run
//! out; if the evidence does not decide, the reason says so.

use super::ceiling::{Beside, Ceiling, Kind};
use super::facts::Facts;
use super::fd_setsize::FdSetsize;
use super::known::{Known, Why};
use super::limits::LimitsFound;
use super::lost_in_passing::LostInPassing;
use super::policy::{AcceptPolicy, Policy};
use super::policy_evidence::PolicyEvidence;
use super::resources::Exhausted;
use super::units::seconds;
use super::waiting::waiting;
use crate::event::{Call, Holder, Phase};

const EADDRNOTAVAIL: i32 = 99;
const SIGKILL: i32 = 9;

/// A resource that a subject can run out of, or another thing that stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Resource {
    /// The soft `RLIMIT_NOFILE` of a process.
    Descriptors,
    /// `fs.file-max`, of the whole host.
    OpenFiles,
    /// Tasks, as it makes threads: `RLIMIT_NPROC`, the pids cgroup, the host.
    Threads,
    /// The same, as it makes processes.
    Processes,
    /// `RLIMIT_AS`, or the memory cgroup.
    Memory,
    /// The backlog, or `net.core.somaxconn`.
    AcceptQueue,
    /// `fs.inotify.max_user_instances`, of all processes of a user.
    InotifyInstances,
    /// The descriptor numbers that select(2) can watch.
    FdSetsize,
    /// A limit of the kernel's that is not the descriptor limit, though the errno is the same: which one was
    /// not seen.
    OtherKernelLimit,
    /// The generator's, not the subject's.
    SourcePorts,
    /// Something else of the generator's.
    Generator,
    /// None of them ran out: it stops by itself.
    OwnRule,
}

impl Resource {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Descriptors => "descriptors",
            Resource::OpenFiles => "open-files",
            Resource::Threads => "threads",
            Resource::Processes => "processes",
            Resource::Memory => "memory",
            Resource::AcceptQueue => "accept-queue",
            Resource::InotifyInstances => "inotify-instances",
            Resource::FdSetsize => "fd-setsize",
            Resource::OtherKernelLimit => "other-kernel-limit",
            Resource::SourcePorts => "source-ports",
            Resource::Generator => "generator",
            Resource::OwnRule => "own-rule",
        }
    }
}

/// The resource that stopped it, with the evidence.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Binds {
    /// The resource.
    pub resource: Resource,
    /// The observations that show it.
    pub evidence: BindsEvidence,
}

/// The observations of the resource that ran out.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum BindsEvidence {
    /// A descriptor call failed with EMFILE, under this soft limit.
    Emfile { soft: Option<u64> },
    /// A descriptor call failed with ENFILE.
    Enfile,
    /// `/proc` counts as many descriptors as this soft limit allows.
    CountFull { soft: Option<u64> },
    /// Processes that connections are passed to were full.
    LostInPassing(LostInPassing),
    /// Nothing ran out; whether refusals of tasks and memory were watched, too.
    OwnRule { policy: Option<PolicyEvidence>, refusals_watched: bool },
    /// Its numbers ended where select(2) does.
    FdSetsize(FdSetsize),
    /// Tasks or memory.
    Exhausted(Exhausted),
    /// This call failed with EMFILE while so many numbers below the soft limit were free. `inotify`: the
    /// reading of its limit, for an inotify call.
    NumbersFree { call: Call, free: u64, soft: u64, inotify: Option<InotifyInstances> },
    /// Clients that the full accept queue lost.
    AcceptQueue(LostToTheQueue),
    /// A call of the generator failed with this errno, at so many seconds since the run's start.
    Generator { errno: i32, at_s: f64 },
    /// A connect of the generator found no free source port; the range, first and last.
    SourcePorts { at_s: f64, range: Option<(u64, u64)> },
}

/// The inotify instances of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InotifyInstances {
    /// `fs.inotify.max_user_instances`.
    pub most: Option<u64>,
    /// Those that were seen, in all of its processes that could be looked into.
    pub seen: u64,
    /// Processes that have some, those with the most first.
    pub holders: Vec<Holder>,
}

/// Clients that were lost with the accept queue full and descriptors free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostToTheQueue {
    /// Connects that timed out.
    pub timed_out: u64,
    /// Handshakes that only their client believes to be complete.
    pub half_done: u64,
    /// The longest that the queue was seen, and its capacity.
    pub longest: u32,
    /// Backlog + 1.
    pub capacity: u32,
    /// How often it overflowed, as the listener itself counts or, where that was not read, the namespace.
    pub overflows: u64,
    /// Whether the listener counted the overflows.
    pub by_listener: bool,
    /// `net.core.somaxconn`, where that is what caps the queue.
    pub somaxconn: Option<u64>,
    /// Descriptors that were open then, and the soft limit.
    pub descriptors: Option<(u64, u64)>,
}

/// Connections that the process which accepted them no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct HandedOver {
    /// Held at the end of the ramp by processes that accept none themselves, and by no other.
    pub connections: u64,
    /// How many processes hold them.
    pub processes: u64,
}

/// Connections that were handed over; `None` where none was.
pub(super) fn handed_over(facts: &Facts<'_>) -> Option<HandedOver> {
    let (connections, processes) = facts.holdings.handed_over;
    (connections > 0).then_some(HandedOver { connections, processes })
}

/// The resource that bound the subject.
pub(super) fn binds(
    facts: &Facts<'_>,
    limits: &LimitsFound,
    ceiling: &Ceiling,
    beside: Beside<'_>,
    policy: &AcceptPolicy,
) -> Known<Binds> {
    let soft = limits.effective.value().map(|limits| limits.soft);
    let of = |resource, evidence| Binds { resource, evidence };
    let found = |resource, evidence| Ok(of(resource, evidence));
    let (exhausted, lost) = (beside.exhausted, beside.lost_in_passing);
    let nothing = |why: fn(Option<Box<Exhausted>>) -> Why| Err(why(exhausted.cloned().map(Box::new)));
    let result = match ceiling.kind.value() {
        Some(Kind::Emfile) => {
            let soft = beside.in_children.map_or(soft, |children| children.soft);
            found(Resource::Descriptors, BindsEvidence::Emfile { soft })
        }
        Some(Kind::Enfile) => found(Resource::OpenFiles, BindsEvidence::Enfile),
        Some(Kind::Generator) => generator(facts).ok_or(Why::GeneratorFailed),
        // The nearest evidence first: the failed call itself, the number where it stopped, processes that
        // were full at the wall. A refusal may have come at any time.
        Some(Kind::OtherLimit | Kind::Exited) => numbers_free(facts)
            .or_else(|| beside.fd_setsize.map(|end| of(Resource::FdSetsize, BindsEvidence::FdSetsize(end))))
            .or_else(|| lost.map(|lost| of(Resource::Descriptors, BindsEvidence::LostInPassing(lost))))
            .or_else(|| exhausted.cloned().map(of_exhausted))
            .ok_or_else(|| unexplained_exit(facts, ceiling)),
        Some(Kind::OwnLimit) if policy.policy.value() == Some(Policy::AcceptLoopDead) => {
            Err(Why::DeadForNothingSeen)
        }
        Some(Kind::OwnLimit) => {
            let policy = policy.evidence.get().cloned();
            found(
                Resource::OwnRule,
                BindsEvidence::OwnRule { policy, refusals_watched: refusals_watched(facts) },
            )
        }
        Some(Kind::NotReached) => nothing(|though| Why::NothingStoppedIt { though }),
        // Nobody saw its calls, but its descriptor count is enough.
        None if ceiling.reached.value() == Some(true) => {
            found(Resource::Descriptors, BindsEvidence::CountFull { soft })
        }
        None if ceiling.reached.value() == Some(false) => nothing(|though| Why::NothingStoppedIt { though }),
        None => match accept_queue(facts, limits, ceiling) {
            Some(lost) => found(Resource::AcceptQueue, BindsEvidence::AcceptQueue(lost)),
            None => nothing(|though| Why::CeilingUnknown { though }),
        },
    };
    result.into()
}

/// A call that failed with EMFILE, and not for want of a number.
fn numbers_free(facts: &Facts<'_>) -> Option<Binds> {
    let (first, room) = facts.holdings.first.zip(facts.holdings.room)?;
    let inotify = facts.readings.inotify.filter(|_| first.call.makes_inotify());
    let inotify = inotify.map(|(most, holders)| InotifyInstances {
        most,
        seen: holders.iter().map(|holder| holder.count).sum(),
        holders: holders.to_vec(),
    });
    let resource = match first.call.makes_inotify() {
        true => Resource::InotifyInstances,
        false => Resource::OtherKernelLimit,
    };
    let evidence =
        BindsEvidence::NumbersFree { call: first.call, free: room.free(), soft: room.soft, inotify };
    Some(Binds { resource, evidence })
}

fn of_exhausted(exhausted: Exhausted) -> Binds {
    let resource = match &exhausted {
        Exhausted::Tasks { .. } if exhausted.of_processes() => Resource::Processes,
        Exhausted::Tasks { .. } => Resource::Threads,
        _ => Resource::Memory,
    };
    Binds { resource, evidence: BindsEvidence::Exhausted(exhausted) }
}

/// Whether refused threads, processes and memory would have been seen.
fn refusals_watched(facts: &Facts<'_>) -> bool {
    facts.readings.observers.iter().any(|observer| observer.name.sees_refusals())
}

fn unexplained_exit(facts: &Facts<'_>, ceiling: &Ceiling) -> Why {
    let killed = ceiling.exit.as_ref().is_some_and(|exit| exit.signal.value() == Some(SIGKILL));
    let counted = facts.readings.resources.iter().any(|(_, r)| r.oom_kills.is_some());
    match (killed, counted) {
        (true, true) => Why::KilledByAnother,
        (true, false) => Why::KilledByAnybody,
        (false, _) => Why::ExitedForNothingSeen,
    }
}

/// Clients that the full accept queue lost, though descriptors were free and nothing failed.
fn accept_queue(facts: &Facts<'_>, limits: &LimitsFound, ceiling: &Ceiling) -> Option<LostToTheQueue> {
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let watched = facts.phases.watched_until();
    let longest = facts.readings.longest_queue(ramp, released)?;
    let capacity = facts.readings.queue_capacity(facts.plan)?;
    let timed_out = facts.clients.timed_out(watched);
    // The last packet of a handshake that finds the queue full is dropped: only its client believes that it
    // is connected.
    let half_done = waiting(facts, ceiling).saturating_sub(longest.into());
    // The listener's own count, where it was read: the other counts the whole namespace, where another
    // program's queue may overflow.
    let drops = facts.readings.drops_before(released);
    let overflows = match drops {
        Some(drops) => u64::from(drops),
        None if longest < capacity => return None,
        None => namespace_overflows(facts)?,
    };
    if timed_out + half_done == 0 || overflows == 0 || facts.holdings.first.is_some() {
        return None;
    }
    let somaxconn = facts.readings.resources.iter().find_map(|(_, r)| r.somaxconn);
    let open = ceiling.descriptors.value().zip(limits.effective.value());
    Some(LostToTheQueue {
        timed_out,
        half_done,
        longest,
        capacity,
        overflows,
        by_listener: drops.is_some(),
        somaxconn: somaxconn.filter(|most| u64::from(capacity) == most.saturating_add(1)),
        descriptors: open.map(|(open, limits)| (open, limits.soft)),
    })
}

/// By how much the namespace's counter grew.
fn namespace_overflows(facts: &Facts<'_>) -> Option<u64> {
    let counted = || facts.readings.sockets.iter().map(|sockets| sockets.overflows);
    Some(counted().max()? - counted().min()?)
}

/// The harness's own side.
fn generator(facts: &Facts<'_>) -> Option<Binds> {
    let (at, errno) = facts.generator_failed()?;
    let at_s = seconds(at);
    if errno != EADDRNOTAVAIL {
        return Some(Binds {
            resource: Resource::Generator,
            evidence: BindsEvidence::Generator { errno, at_s },
        });
    }
    let range = facts.readings.resources.iter().find_map(|(_, r)| r.local_ports);
    Some(Binds { resource: Resource::SourcePorts, evidence: BindsEvidence::SourcePorts { at_s, range } })
}

//! What bound the subject where it stopped, with the evidence: descriptors, tasks, memory, the accept queue, the generator's ports, or a
//! rule of its own. Named only where something was seen to run out; where the evidence does not decide, the reason says so.

use super::timeline::seconds;
use super::{Binds, Kind, Measured, Resource, Run};
use crate::event::{Bound, Nanos, Phase, Pid, Resources, What};
use std::collections::BTreeMap;

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EADDRNOTAVAIL: i32 = 99;
const SIGKILL: i32 = 9;
/// An allocator asks for address space in pieces up to this; bytes.
const PIECE: u64 = 1 << 20;
const MIB: f64 = 1048576.0;

/// Fills in what binds.
pub(super) fn binds(run: &Run<'_>, m: &mut Measured) {
    let found = named(run, m);
    m.ceiling.handed_over = Some(run.followed.handed_over)
        .filter(|(connections, _)| *connections > 0)
        .map(|(connections, processes)| super::HandedOver { connections, processes });
    m.ceiling.binds = match found {
        Ok(binds) => Some(binds),
        Err(reason) => m.missing("ceiling.binds", reason),
    };
}

fn named(run: &Run<'_>, m: &Measured) -> Result<Binds, String> {
    let soft = m.limits.effective.map_or("its limit".to_owned(), |limits| format!("its soft limit of {}", limits.soft));
    let own_rule = || m.saturation.policy_evidence.clone().unwrap_or_default();
    let binds = |resource, evidence: String| Ok(Binds { resource, evidence });
    let none = |why: &str| match exhausted(run) {
        Some(seen) => Err(format!("{why}, though {}", seen.evidence)),
        None => Err(why.to_owned()),
    };
    match m.ceiling.kind {
        Some(Kind::Emfile) => binds(Resource::Descriptors, format!("a descriptor call failed with EMFILE under {soft}")),
        Some(Kind::Enfile) => binds(Resource::OpenFiles, "a descriptor call failed with ENFILE: fs.file-max, of the whole host".into()),
        Some(Kind::Generator) => generator(run).ok_or_else(|| "the generator's own side failed".into()),
        Some(Kind::OtherLimit | Kind::Exited) => exhausted(run).ok_or_else(|| unknown_exit(run, m)),
        Some(Kind::OwnLimit) => binds(Resource::OwnRule, format!("{}{}", own_rule(), not_refused(run))),
        Some(Kind::NotReached) => none("nothing stopped it"),
        None => match accept_queue(run, m) {
            Some(full) => Ok(full),
            None => none("the ceiling is not known"),
        },
    }
}

/// That tasks and memory had nothing to do with it, where that was watched.
fn not_refused(run: &Run<'_>) -> &'static str {
    let perf = run.timeline.events.iter().any(|e| matches!(&e.is, What::Observer { name, .. } if name == "perf"));
    if perf {
        "; no thread, process or memory was refused it"
    } else {
        "; its tasks and memory were below their limits when last looked at"
    }
}

fn unknown_exit(run: &Run<'_>, m: &Measured) -> String {
    let killed = m.ceiling.exit.is_some_and(|exit| exit.signal == Some(SIGKILL));
    let counted = looks(run).any(|(_, r)| r.oom_kills.is_some());
    match (killed, counted) {
        (true, true) => {
            "it was killed by signal 9, and not by the out-of-memory killer as its cgroup counts: who sent it is not known".into()
        }
        (true, false) => "it was killed by signal 9; whether by the out-of-memory killer is not known, as its cgroup cannot be read".into(),
        (false, _) => "it exited, and nothing that was watched had run out".into(),
    }
}

/// The looks at its resources, in order.
fn looks<'a>(run: &'a Run<'_>) -> impl Iterator<Item = (Nanos, &'a Resources)> {
    run.timeline.events.iter().filter_map(|e| if let What::Resources(r) = &e.is { Some((e.at, r)) } else { None })
}

/// What ran out before any client was told to leave, other than descriptors.
pub(super) fn exhausted(run: &Run<'_>) -> Option<Binds> {
    let (ramp, released) = (run.timeline.from(Phase::Ramp), run.timeline.released_from());
    let rest = looks(run).filter(|(at, _)| *at <= ramp).last().map(|(_, r)| r);
    let later: Vec<&Resources> = looks(run).filter(|(at, _)| (ramp..released).contains(at)).map(|(_, r)| r).collect();
    let refused = refusals(run, ramp, released);
    killed(rest, &later).or_else(|| tasks(run, rest, &later, &refused)).or_else(|| memory(run, rest, &later, &refused))
}

/// How often each call was refused, and with how many connections the first time.
type Refusals<'a> = BTreeMap<(&'a str, i32), (u64, Nanos)>;

fn refusals<'a>(run: &'a Run<'_>, from: Nanos, until: Nanos) -> Refusals<'a> {
    let mut refused = Refusals::new();
    for event in run.timeline.between(from, until) {
        if let What::Refused { pid, call, errno } = &event.is
            && of_subject(run, *pid)
        {
            refused.entry((call.as_str(), *errno)).or_insert((0, event.at)).0 += 1;
        }
    }
    refused
}

/// A launcher's troubles are not the subject's.
fn of_subject(run: &Run<'_>, pid: Pid) -> bool {
    run.tree.counts(pid) || run.followed.tables.contains_key(&pid)
}

fn most<'a>(looks: &[&'a Resources], of: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
    looks.iter().filter_map(|r| of(r)).max()
}

/// The out-of-memory killer.
fn killed(rest: Option<&Resources>, later: &[&Resources]) -> Option<Binds> {
    let before = rest?.oom_kills?;
    let kills = most(later, |r| r.oom_kills)?.checked_sub(before).filter(|&kills| kills > 0)?;
    let bound = later.iter().chain(&rest).filter_map(|r| r.group_memory).max_by_key(|bound| bound.used);
    let of = bound.map_or(String::new(), |b| format!(", when {} of its {} MiB were in use", mib(b.used), mib(b.most)));
    let evidence = format!("the out-of-memory killer of its memory cgroup killed {kills} of its processes{of} (memory.events)");
    Some(Binds { resource: Resource::Memory, evidence })
}

/// Threads and processes: a refused clone, or a count that is at its limit and came there with the connections.
fn tasks(run: &Run<'_>, rest: Option<&Resources>, later: &[&Resources], refused: &Refusals<'_>) -> Option<Binds> {
    let grown = |of: fn(&Resources) -> Option<u64>| Some(most(later, of)?.saturating_sub(rest.and_then(of)?));
    let (threads, processes) = (grown(|r| r.threads).unwrap_or(0), grown(|r| Some(r.processes)).unwrap_or(0));
    let makers: Vec<_> = refused.iter().filter(|((call, errno), _)| *errno == EAGAIN && *call != "mmap").collect();
    let at_limit = |bound: Option<Bound>| bound.filter(|b| b.left() == 0);
    let by_group = later.iter().rev().find_map(|r| {
        let refused = r.group_refused?.checked_sub(rest?.group_refused?)?;
        (refused > 0).then_some((r.group_tasks, refused))
    });
    let by_user = later.iter().find_map(|r| at_limit(r.user_tasks));
    let by_host = later.iter().find_map(|r| at_limit(r.host_tasks));
    let limit = if let Some((bound, times)) = by_group {
        let of = bound.map_or(String::new(), |b| format!(" of {}", b.most));
        format!("pids.max{of} of its cgroup, which refused {times} (pids.events)")
    } else if let Some(b) = by_user {
        format!("RLIMIT_NPROC: {} of {} tasks of its user", b.used, b.most)
    } else if let Some(b) = by_host {
        format!("the host's tasks: {} of {} (kernel.threads-max, kernel.pid_max)", b.used, b.most)
    } else if makers.is_empty() || later.is_empty() {
        return None;
    } else {
        let bound = most(later, |r| r.user_tasks.map(|b| b.most));
        let nproc = bound.map_or(String::new(), |most| format!("; RLIMIT_NPROC is {most}"));
        format!("which limit is not known: none was seen to be full{nproc}")
    };
    if makers.is_empty() && threads.max(processes) == 0 {
        return None;
    }
    let resource = if processes > threads { Resource::Processes } else { Resource::Threads };
    let seen = match makers.first() {
        Some(((call, _), (times, at))) => {
            let held = run.followed.accepts.iter().filter(|&&accept| accept <= *at).count();
            format!("{call} was refused with EAGAIN {}, first at {:.3} s, after {held} accepts; ", times_of(*times), seconds(*at))
        }
        None => String::new(),
    };
    Some(Binds { resource, evidence: format!("{seen}{threads} threads and {processes} processes more than at rest; {limit}") })
}

/// Address space and what else is refused with ENOMEM.
fn memory(run: &Run<'_>, rest: Option<&Resources>, later: &[&Resources], refused: &Refusals<'_>) -> Option<Binds> {
    let used = later.iter().filter_map(|r| r.address_space).max_by_key(|bound| bound.used);
    let of = used.map_or(String::new(), |b| format!("; {} of {} MiB of address space in use (RLIMIT_AS)", mib(b.used), mib(b.most)));
    let first = refused.iter().filter(|((_, errno), _)| *errno != EAGAIN).max_by_key(|(_, (times, _))| *times);
    if let Some(((call, errno), (times, at))) = first {
        let name = if *errno == ENOMEM { "ENOMEM" } else { "ENOBUFS" };
        let evidence = format!("{call} was refused with {name} {}, first at {:.3} s{of}", times_of(*times), seconds(*at));
        return Some(Binds { resource: Resource::Memory, evidence });
    }
    let used = used?;
    let grown = used.used.saturating_sub(rest?.address_space?.used);
    let each = grown / run.followed.most_in_all.max(1);
    if grown == 0 || used.left() >= each.max(PIECE) {
        return None;
    }
    let evidence = format!(
        "{} of {} MiB of address space in use (RLIMIT_AS): what is left, {} KiB, is less than a connection took, {} KiB, or an allocator asks for",
        mib(used.used),
        mib(used.most),
        used.left() / 1024,
        each / 1024
    );
    Some(Binds { resource: Resource::Memory, evidence })
}

/// Connects that found the accept queue full, though descriptors were free and whoever arrived was accepted.
fn accept_queue(run: &Run<'_>, m: &Measured) -> Option<Binds> {
    let (ramp, released) = (run.timeline.from(Phase::Ramp), run.timeline.released_from());
    let timed_out = run.clients.timed_out(run.timeline.watched_until());
    let lengths = run.timeline.between(ramp, released).iter();
    let longest = lengths.filter_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None }).max()?;
    let capacity = super::saturation::capacity(run)?;
    if timed_out == 0 || longest < capacity || run.followed.first.is_some() {
        return None;
    }
    let overflows = run.timeline.events.iter().filter_map(|e| match e.is {
        What::Tcp { listen_overflows, .. } => Some(listen_overflows),
        _ => None,
    });
    let (first, last) = (overflows.clone().min()?, overflows.max()?);
    let whose = match looks(run).find_map(|(_, r)| r.somaxconn) {
        Some(most) if u64::from(capacity) == most + 1 => format!("net.core.somaxconn, {most}, whatever backlog it asks for"),
        _ => format!("the backlog of {} that it gives to listen(2)", capacity - 1),
    };
    let free = m
        .limits
        .effective
        .zip(m.ceiling.descriptors)
        .map_or(String::new(), |(limits, open)| format!(", while {open} of {} descriptors were open", limits.soft));
    let evidence = format!(
        "{timed_out} connects timed out with the accept queue at {longest} of {capacity}{free}; it overflowed {} (ListenOverflows). Its \
         capacity is {whose}",
        times_of(last - first)
    );
    Some(Binds { resource: Resource::AcceptQueue, evidence })
}

/// The harness's own side.
fn generator(run: &Run<'_>) -> Option<Binds> {
    let (at, errno) = super::ceiling::generator(run)?;
    let when = format!("with errno {errno} at {:.3} s, on the load generator's side", seconds(at));
    if errno != EADDRNOTAVAIL {
        return Some(Binds { resource: Resource::Generator, evidence: format!("a call failed {when}") });
    }
    let ports = looks(run).find_map(|(_, r)| r.local_ports);
    let ports =
        ports.map_or(String::new(), |(a, b)| format!(": net.ipv4.ip_local_port_range, {a} to {b}, has {} a source address", b + 1 - a));
    Some(Binds { resource: Resource::SourcePorts, evidence: format!("connect failed with EADDRNOTAVAIL, {when}{ports}") })
}

fn times_of(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB)
}

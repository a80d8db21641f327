//! What bound the subject where it stopped, with the evidence: descriptors, tasks, memory, the accept queue, the generator's ports, or a
//! rule of its own. Named only where something was seen to run out; where the evidence does not decide, the reason says so.

use super::timeline::{counted, seconds};
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
    let soft = m
        .limits
        .effective
        .map_or("its limit".to_owned(), |limits| format!("its soft limit of {}", limits.soft));
    let own_rule = || m.saturation.policy_evidence.clone().unwrap_or_default();
    let binds = |resource, evidence: String| Ok(Binds { resource, evidence });
    let none = |why: &str| match exhausted(run) {
        Some(seen) => Err(format!("{why}, though {}", seen.evidence)),
        None => Err(why.to_owned()),
    };
    match m.ceiling.kind {
        Some(Kind::Emfile) => {
            binds(Resource::Descriptors, format!("a descriptor call failed with EMFILE under {soft}"))
        }
        Some(Kind::Enfile) => binds(
            Resource::OpenFiles,
            "a descriptor call failed with ENFILE: fs.file-max, of the whole host".into(),
        ),
        Some(Kind::Generator) => generator(run).ok_or_else(|| "the generator's own side failed".into()),
        Some(Kind::OtherLimit | Kind::Exited) => exhausted(run).ok_or_else(|| unknown_exit(run, m)),
        Some(Kind::OwnLimit) => binds(Resource::OwnRule, format!("{}{}", own_rule(), not_refused(run))),
        Some(Kind::NotReached) => none("nothing stopped it"),
        // Nobody saw its calls, and its descriptor count tells.
        None if m.ceiling.reached == Some(true) => {
            binds(Resource::Descriptors, format!("/proc counts as many as {soft} allows"))
        }
        None if m.ceiling.reached == Some(false) => none("nothing stopped it"),
        None => match accept_queue(run, m) {
            Some(full) => Ok(full),
            None => none("the ceiling is not known"),
        },
    }
}

/// That tasks and memory had nothing to do with it, where that was watched.
fn not_refused(run: &Run<'_>) -> &'static str {
    let perf =
        run.timeline.events.iter().any(|e| matches!(&e.is, What::Observer { name, .. } if name == "perf"));
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
    run.timeline
        .events
        .iter()
        .filter_map(|e| if let What::Resources(r) = &e.is { Some((e.at, r)) } else { None })
}

/// What ran out before any client was told to leave, other than descriptors.
pub(super) fn exhausted(run: &Run<'_>) -> Option<Binds> {
    let (ramp, released) = (run.timeline.from(Phase::Ramp), run.timeline.released_from());
    let rest = looks(run).filter(|(at, _)| *at <= ramp).last().map(|(_, r)| r);
    let later: Vec<&Resources> =
        looks(run).filter(|(at, _)| (ramp..released).contains(at)).map(|(_, r)| r).collect();
    let refused = refusals(run, ramp, released);
    killed(rest, &later)
        .or_else(|| tasks(run, rest, &later, &refused))
        .or_else(|| memory(run, rest, &later, &refused))
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

fn most(looks: &[&Resources], of: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
    looks.iter().filter_map(|r| of(r)).max()
}

/// The out-of-memory killer.
fn killed(rest: Option<&Resources>, later: &[&Resources]) -> Option<Binds> {
    let before = rest?.oom_kills?;
    let kills = most(later, |r| r.oom_kills)?.checked_sub(before).filter(|&kills| kills > 0)?;
    let bound = later.iter().chain(&rest).filter_map(|r| r.group_memory).max_by_key(|bound| bound.used);
    let of = bound
        .map_or(String::new(), |b| format!(", when {} of its {} MiB were in use", mib(b.used), mib(b.most)));
    let evidence = format!(
        "the out-of-memory killer of its memory cgroup killed {kills} of its processes{of} (its count `oom_kill`)"
    );
    Some(Binds { resource: Resource::Memory, evidence })
}

/// Threads and processes: a refused clone, or a count that is at its limit and came there with the connections.
fn tasks(
    run: &Run<'_>,
    rest: Option<&Resources>,
    later: &[&Resources],
    refused: &Refusals<'_>,
) -> Option<Binds> {
    let grown = |of: fn(&Resources) -> Option<u64>| Some(most(later, of)?.saturating_sub(rest.and_then(of)?));
    let (threads, processes) = (grown(|r| r.threads).unwrap_or(0), grown(|r| Some(r.processes)).unwrap_or(0));
    let makers: Vec<_> =
        refused.iter().filter(|((call, errno), _)| *errno == EAGAIN && *call != "mmap").collect();
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
            format!(
                "{call} was refused with EAGAIN {}, first at {:.3} s, after {held} accepts; ",
                times_of(*times),
                seconds(*at)
            )
        }
        None => String::new(),
    };
    let (threads, es) = (counted(threads, "thread"), if processes == 1 { "" } else { "es" });
    Some(Binds {
        resource,
        evidence: format!("{seen}{threads} and {processes} process{es} more than at rest; {limit}"),
    })
}

/// Address space and what else is refused with ENOMEM.
fn memory(
    run: &Run<'_>,
    rest: Option<&Resources>,
    later: &[&Resources],
    refused: &Refusals<'_>,
) -> Option<Binds> {
    let used = later.iter().filter_map(|r| r.address_space).max_by_key(|bound| bound.used);
    let of = used.map_or(String::new(), |b| {
        format!(
            "; {} of {} MiB of address space in use when last looked at (RLIMIT_AS)",
            mib(b.used),
            mib(b.most)
        )
    });
    let first =
        refused.iter().filter(|((_, errno), _)| *errno != EAGAIN).max_by_key(|(_, (times, _))| *times);
    if let Some(((call, errno), (times, at))) = first {
        let name = if *errno == ENOMEM { "ENOMEM" } else { "ENOBUFS" };
        let evidence = format!(
            "{call} was refused with {name} {}, first at {:.3} s{of}",
            times_of(*times),
            seconds(*at)
        );
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

/// Clients that the full accept queue lost, though descriptors were free and nothing failed.
fn accept_queue(run: &Run<'_>, m: &Measured) -> Option<Binds> {
    let (ramp, released) = (run.timeline.from(Phase::Ramp), run.timeline.released_from());
    let watched = run.timeline.watched_until();
    let lengths = run.timeline.between(ramp, released).iter();
    let longest =
        lengths.filter_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None }).max()?;
    let capacity = super::saturation::capacity(run)?;
    let timed_out = run.clients.timed_out(watched);
    // The last packet of a handshake that finds the queue full is dropped: only its client believes that it is connected.
    let waiting = run.clients.waiting(watched.saturating_sub(1), run.followed.kept_in_all);
    let half = waiting.saturating_sub(longest.into());
    // The listener's own count, where it was read: the other is that of the whole namespace, where somebody else's queue may overflow.
    let (overflows, counter) = match super::wall::drops(run) {
        Some(drops) => (u64::from(drops), "drops of the listener"),
        None if longest < capacity => return None,
        None => (overflows(run)?, "ListenOverflows"),
    };
    if timed_out + half == 0 || overflows == 0 || run.followed.first.is_some() {
        return None;
    }
    let whose = match looks(run).find_map(|(_, r)| r.somaxconn) {
        Some(most) if u64::from(capacity) == most.saturating_add(1) => {
            format!("net.core.somaxconn, {most}, whatever backlog it asks for")
        }
        _ => format!("the backlog of {} that it gives to listen(2)", capacity.saturating_sub(1)),
    };
    let open = m.limits.effective.zip(m.ceiling.descriptors);
    let free = open.map_or(String::new(), |(limits, open)| {
        format!(", while {open} of {} descriptors were open", limits.soft)
    });
    let evidence = format!(
        "{} timed out and {} never completed, with the accept queue seen at {longest} of {capacity}{free}; it \
         overflowed {} ({counter}). Its capacity is that of {whose}",
        counted(timed_out, "connect"),
        if half == 1 { "1 handshake was".to_owned() } else { format!("{half} handshakes were") },
        times_of(overflows)
    );
    Some(Binds { resource: Resource::AcceptQueue, evidence })
}

/// By how much the namespace's counter grew.
fn overflows(run: &Run<'_>) -> Option<u64> {
    let counted = run.timeline.events.iter().filter_map(|e| {
        if let What::Tcp { listen_overflows, .. } = e.is { Some(listen_overflows) } else { None }
    });
    Some(counted.clone().max()? - counted.min()?)
}

/// The harness's own side.
fn generator(run: &Run<'_>) -> Option<Binds> {
    let (at, errno) = super::ceiling::generator(run)?;
    let when = format!("at {:.3} s, on the load generator's side", seconds(at));
    if errno != EADDRNOTAVAIL {
        return Some(Binds {
            resource: Resource::Generator,
            evidence: format!("a call failed with errno {errno} {when}"),
        });
    }
    let ports = looks(run).find_map(|(_, r)| r.local_ports);
    let ports = ports.map_or(String::new(), |(first, last)| {
        format!(
            "; net.ipv4.ip_local_port_range, {first} to {last}, has {} for a source address",
            last.saturating_add(1).saturating_sub(first)
        )
    });
    Some(Binds {
        resource: Resource::SourcePorts,
        evidence: format!("connect failed with EADDRNOTAVAIL {when}{ports}"),
    })
}

fn times_of(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Client, Event, Limits, Log};
    use crate::measure::measure;
    use crate::scenario;
    use std::path::Path;

    const SERVER: Pid = 7;
    const MS: Nanos = 1_000_000;

    /// A run of 40 clients of which 20 are accepted and the others closed; `rest` and `wall`: looks at its resources then.
    fn run(rest: Resources, wall: Resources, more: Vec<(Nanos, What)>) -> Measured {
        let text = "claim = \"c\"\nprocesses.server = { command = [\"s\"], limits = { soft = 256, hard = 256 } }\nworkloads.flood.tcp = { clients = 40 }";
        let plan = scenario::parse(text, "x.toml", "x", Path::new(".")).expect("a scenario").remove(0);
        let phase = |at, phase| (at, What::Phase(phase));
        let mut all = vec![
            (0, What::Observer { name: "perf".into(), exact: true, io_uring: true }),
            (
                0,
                What::Launched {
                    process: "server".into(),
                    pid: SERVER,
                    argv: vec![],
                    launcher: "exec".into(),
                    requested: Limits { soft: 256, hard: 256 },
                    isolation: None,
                },
            ),
            (
                1,
                What::Listening {
                    process: "server".into(),
                    pid: SERVER,
                    address: "127.0.0.1:1".into(),
                    capacity: 9,
                },
            ),
            (2, What::Baseline { pid: SERVER, descriptors: 4, counted: 4, inventory: vec![], settled: true }),
            (3, What::Resources(Resources { pid: SERVER, ..rest })),
            phase(4, Phase::Ramp),
            phase(500 * MS, Phase::Saturate),
            (500 * MS, What::Resources(Resources { pid: SERVER, ..wall })),
            phase(700 * MS, Phase::Probe),
            phase(900 * MS, Phase::ReleaseAll),
            phase(1000 * MS, Phase::Stop),
            (1100 * MS, What::End),
        ];
        for id in 0..40u32 {
            let at = (10 + Nanos::from(id)) * MS;
            let client = |state| What::Client { workload: "flood".into(), id, state };
            all.push((at, client(Client::Connected)));
            all.push((
                at,
                What::Call { pid: SERVER, name: crate::event::Call::Accept4, ret: 4 + i64::from(id.min(20)) },
            ));
            if id >= 20 {
                all.push((at + 1, What::Close { pid: SERVER, fd: 24 }));
                all.push((at + 2, client(Client::Closed)));
            }
        }
        all.extend(more);
        let events = all.into_iter().map(|(at, is)| Event { at, is }).collect();
        measure(&plan, &Log { events, complete: true })
    }

    fn threads(threads: u64, user_tasks: Option<Bound>) -> Resources {
        Resources { threads: Some(threads), processes: 1, user_tasks, ..Resources::default() }
    }

    fn bound_by(m: &Measured) -> (Option<Kind>, Option<Resource>, String) {
        let why = m.unmeasured.get("ceiling.binds").cloned();
        let (resource, said) =
            m.ceiling.binds.clone().map_or((None, why), |b| (Some(b.resource), Some(b.evidence)));
        (m.ceiling.kind, resource, said.expect("evidence, or a reason"))
    }

    #[test]
    fn a_server_that_turns_clients_away_with_nothing_exhausted_has_a_rule_of_its_own() {
        let (kind, resource, _) =
            bound_by(&run(threads(1, None), threads(21, Some(Bound { used: 24, most: 40 })), vec![]));
        assert_eq!((kind, resource), (Some(Kind::OwnLimit), Some(Resource::OwnRule)));
        // Full before any client came: the limit did not stop what has not grown.
        let full = Some(Bound { used: 40, most: 40 });
        assert_eq!(bound_by(&run(threads(5, full), threads(5, full), vec![])).1, Some(Resource::OwnRule));
    }

    #[test]
    fn threads_are_named_by_a_refused_clone_or_by_a_limit_that_is_full() {
        let full = Some(Bound { used: 40, most: 40 });
        let (kind, resource, said) = bound_by(&run(threads(1, None), threads(21, full), vec![]));
        assert_eq!((kind, resource), (Some(Kind::OtherLimit), Some(Resource::Threads)));
        assert!(said.contains("20 threads") && said.contains("RLIMIT_NPROC: 40 of 40"), "{said}");
        let refused = |errno| vec![(35 * MS, What::Refused { pid: SERVER, call: "clone3".into(), errno })];
        let group = |refused| Resources {
            group_refused: Some(refused),
            group_tasks: Some(Bound { used: 60, most: 60 }),
            ..threads(21, None)
        };
        let rest = Resources { group_refused: Some(5), ..threads(1, None) };
        let (_, resource, said) = bound_by(&run(rest.clone(), group(6), refused(EAGAIN)));
        assert_eq!(resource, Some(Resource::Threads));
        assert!(
            said.contains("clone3 was refused with EAGAIN once")
                && said.contains("pids.max of 60 of its cgroup, which refused 1"),
            "{said}"
        );
        // A limit that nobody sees to be full is not named.
        let (_, resource, said) = bound_by(&run(rest, group(5), refused(EAGAIN)));
        assert!(resource == Some(Resource::Threads) && said.contains("which limit is not known"), "{said}");
        // What is refused to a launcher, or to another process than the one that accepts, is not the subject's wall.
        let other = vec![(35 * MS, What::Refused { pid: 99, call: "clone".into(), errno: EAGAIN })];
        assert_eq!(bound_by(&run(threads(1, None), threads(21, None), other)).1, Some(Resource::OwnRule));
    }

    #[test]
    fn processes_are_named_where_they_grow_and_not_threads() {
        let wall =
            Resources { processes: 21, user_tasks: Some(Bound { used: 40, most: 40 }), ..threads(1, None) };
        assert_eq!(bound_by(&run(threads(1, None), wall, vec![])).1, Some(Resource::Processes));
    }

    #[test]
    fn memory_is_named_by_a_refused_mmap_by_what_is_left_or_by_the_killer() {
        let memory = |used: u64| Resources {
            address_space: Some(Bound { used: used << 20, most: 100 << 20 }),
            ..threads(1, None)
        };
        let refused = vec![(35 * MS, What::Refused { pid: SERVER, call: "mmap".into(), errno: ENOMEM })];
        let (kind, resource, said) = bound_by(&run(memory(10), memory(60), refused));
        assert_eq!((kind, resource), (Some(Kind::OtherLimit), Some(Resource::Memory)), "{said}");
        // 20 connections took 80 MiB: four each, and two are left; with ten left there is room for more.
        assert_eq!(bound_by(&run(memory(18), memory(98), vec![])).1, Some(Resource::Memory));
        assert_eq!(bound_by(&run(memory(10), memory(90), vec![])).1, Some(Resource::OwnRule));
        let kills = |kills| Resources { oom_kills: Some(kills), ..memory(10) };
        let died = || {
            vec![(
                400 * MS,
                What::Exited { process: "server".into(), pid: SERVER, code: None, signal: Some(SIGKILL) },
            )]
        };
        let (kind, resource, said) = bound_by(&run(kills(3), kills(4), died()));
        assert_eq!((kind, resource), (Some(Kind::Exited), Some(Resource::Memory)));
        assert!(said.contains("killed 1 of its processes"), "{said}");
        let (_, resource, said) = bound_by(&run(kills(3), kills(3), died()));
        assert!(resource.is_none() && said.contains("not by the out-of-memory killer"), "{said}");
        let (_, resource, said) = bound_by(&run(memory(10), memory(10), died()));
        assert!(resource.is_none() && said.contains("is not known"), "{said}");
    }

    #[test]
    fn an_accept_queue_that_lost_clients_is_named_with_whose_number_it_is() {
        let sample = |at, queue| {
            (at, What::Sample { pid: SERVER, descriptors: 24, queue: Some(queue), cpu_s: 0.0, log_bytes: 0 })
        };
        let tcp = |at, listen_overflows| {
            let states = Default::default();
            (
                at,
                What::Tcp {
                    states,
                    listen_overflows,
                    subject: None,
                    namespace: None,
                    descriptors: None,
                    took: 0,
                },
            )
        };
        let late = (41..45)
            .map(|id| (300 * MS, What::Client { workload: "flood".into(), id, state: Client::TimedOut }));
        // Nobody is closed: who is accepted stays.
        let quiet = |m: Vec<(Nanos, What)>, somaxconn| {
            let looks = Resources { somaxconn: Some(somaxconn), ..threads(1, None) };
            let text = "claim = \"c\"\nprocesses.server = { command = [\"s\"], limits = { soft = 256, hard = 256 } }\nworkloads.flood.tcp = { clients = 44 }";
            let plan = scenario::parse(text, "x.toml", "x", Path::new(".")).expect("a scenario").remove(0);
            let all = vec![
                (0, What::Observer { name: "perf".into(), exact: true, io_uring: true }),
                (
                    1,
                    What::Listening {
                        process: "server".into(),
                        pid: SERVER,
                        address: "127.0.0.1:1".into(),
                        capacity: 9,
                    },
                ),
                (2, What::Resources(looks)),
                (4, What::Phase(Phase::Ramp)),
                (5, What::Client { workload: "flood".into(), id: 1, state: Client::Connected }),
                (6, What::Call { pid: SERVER, name: crate::event::Call::Accept4, ret: 4 }),
                (500 * MS, What::Phase(Phase::Saturate)),
                (700 * MS, What::Phase(Phase::Probe)),
                (1100 * MS, What::End),
            ];
            let events = all.into_iter().chain(m).map(|(at, is)| Event { at, is }).collect();
            measure(&plan, &Log { events, complete: true })
        };
        let events = |longest| {
            late.clone()
                .chain([sample(200 * MS, longest), sample(600 * MS, 0), tcp(3, 10), tcp(600 * MS, 17)])
                .collect::<Vec<_>>()
        };
        let (kind, resource, said) = bound_by(&quiet(events(9), 4096));
        assert_eq!((kind, resource), (None, Some(Resource::AcceptQueue)), "{said}");
        for words in ["4 connects timed out", "seen at 9 of 9", "overflowed 7 times", "the backlog of 8"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(bound_by(&quiet(events(9), 8)).2.contains("net.core.somaxconn, 8"));
        // The listener's own count decides: samples miss a moment, and the namespace's counter is everybody's.
        let dropped = |longest, n| {
            let beside = (600 * MS + 1, What::Beside { resident: None, drops: Some(n) });
            bound_by(&quiet(events(longest).into_iter().chain([beside]).collect(), 4096))
        };
        assert!(
            dropped(4, 3).2.contains("overflowed 3 times (drops of the listener)"),
            "{:?}",
            dropped(4, 3)
        );
        assert_ne!(dropped(9, 0).1, Some(Resource::AcceptQueue));
        assert_eq!(bound_by(&quiet(events(5), 4096)).1, None, "a queue that had room lost nobody");
    }

    #[test]
    fn source_ports_are_the_generators() {
        let failed = vec![(
            60 * MS,
            What::Client { workload: "flood".into(), id: 50, state: Client::Local(EADDRNOTAVAIL) },
        )];
        let looks = Resources { local_ports: Some((40_000, 40_099)), ..threads(1, None) };
        let (kind, resource, said) = bound_by(&run(looks.clone(), looks, failed));
        assert_eq!((kind, resource), (Some(Kind::Generator), Some(Resource::SourcePorts)));
        assert!(said.contains("has 100 for a source address"), "{said}");
    }
}

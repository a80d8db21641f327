//! What binds where descriptors do not: runs that are made up here, of 40 clients and a server with a limit
//! of 256.

use lastfd::internal::event::{
    self, Bound, Call, Client, Ended, Errno, Event, Limits, Log, ObserverName, Phase, Resources, What,
};
use lastfd::internal::measure::{
    self, BindsEvidence, Exhausted, Findings, Kind, LostToTheQueue, Refusal, Resource, TaskLimit, Why,
};
use lastfd::internal::scenario::{self, Plan};
use std::path::Path;

const SERVER: i32 = 7;
const MS: u64 = 1_000_000;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EADDRNOTAVAIL: i32 = 99;
const SIGKILL: i32 = 9;

fn plan(clients: u32) -> Plan {
    let text = format!(
        "claim = \"c\"\nprocesses.server = {{ command = [\"s\"], limits = {{ soft = 256, hard = 256 }} }}\n\
         workloads.flood.tcp = {{ clients = {clients} }}"
    );
    scenario::parse(&text, "x.toml", "x", Path::new(".")).expect("a scenario").remove(0)
}

fn measured(clients: u32, all: Vec<(u64, What)>) -> Findings {
    let events = all.into_iter().map(|(at, is)| Event { at, is }).collect();
    measure::measure(&plan(clients), &Log::new(events))
}

fn listening() -> What {
    What::Listening { process: "server".into(), pid: SERVER, address: "127.0.0.1:1".into(), capacity: 9 }
}

fn client(id: u32, state: Client) -> What {
    What::Client { workload: "flood".into(), id, state }
}

fn accepted(ret: i64) -> What {
    What::Call { pid: SERVER, name: Call::Accept4, ret, on: None }
}

/// Of 40 clients 20 are accepted and the others closed; `rest` and `wall`: looks at its resources then.
fn run(rest: Resources, wall: Resources, more: Vec<(u64, What)>) -> Findings {
    let launched = What::Launched {
        process: "server".into(),
        pid: SERVER,
        argv: vec![],
        launcher: "exec".into(),
        requested: Limits { soft: 256, hard: 256 },
        isolation: None,
    };
    let mut all = vec![
        (0, What::Observer { name: ObserverName::Perf, exact: true, io_uring: true }),
        (0, launched),
        (1, listening()),
        (2, What::Baseline { pid: SERVER, descriptors: 4, counted: 4, inventory: vec![], settled: true }),
        (3, What::Resources(Box::new(Resources { pid: SERVER, ..rest }))),
        (4, What::Phase(Phase::Ramp)),
        (500 * MS, What::Phase(Phase::Saturate)),
        (500 * MS, What::Resources(Box::new(Resources { pid: SERVER, ..wall }))),
        (700 * MS, What::Phase(Phase::Probe)),
        (900 * MS, What::Phase(Phase::ReleaseAll)),
        (1000 * MS, What::Phase(Phase::Stop)),
        (1100 * MS, What::End),
    ];
    for id in 0..40u32 {
        let at = (10 + u64::from(id)) * MS;
        all.push((at, client(id, Client::Connected)));
        all.push((at, accepted(4 + i64::from(id.min(20)))));
        if id >= 20 {
            all.push((at + 1, What::Close { pid: SERVER, fd: 24 }));
            all.push((at + 2, client(id, Client::Closed)));
        }
    }
    all.extend(more);
    measured(40, all)
}

fn threads(threads: u64, user_tasks: Option<Bound>) -> Resources {
    Resources { threads: Some(threads), processes: 1, user_tasks, ..Resources::default() }
}

fn resource(m: &Findings) -> Option<Resource> {
    m.binds.get().map(|binds| binds.resource)
}

/// What ran out, of those of tasks and memory.
fn exhausted(m: &Findings) -> &Exhausted {
    match m.binds.get().map(|binds| &binds.evidence) {
        Some(BindsEvidence::Exhausted(seen)) => seen,
        _ => panic!("{:?}", m.binds),
    }
}

/// The limit of tasks that was full.
fn task_limit(m: &Findings) -> TaskLimit {
    match exhausted(m) {
        Exhausted::Tasks { limit, .. } => *limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_turns_clients_away_with_nothing_exhausted_has_a_rule_of_its_own() {
    let m = run(threads(1, None), threads(21, Some(Bound { used: 24, most: 40 })), vec![]);
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (Some(Kind::OwnLimit), Some(Resource::OwnRule)));
    // Full before any client came: the limit did not stop what has not grown.
    let full = Some(Bound { used: 40, most: 40 });
    assert_eq!(resource(&run(threads(5, full), threads(5, full), vec![])), Some(Resource::OwnRule));
}

#[test]
fn threads_are_named_by_a_refused_clone_or_by_a_limit_that_is_full() {
    let full = Bound { used: 40, most: 40 };
    let m = run(threads(1, None), threads(21, Some(full)), vec![]);
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (Some(Kind::OtherLimit), Some(Resource::Threads)));
    assert!(matches!(exhausted(&m), Exhausted::Tasks { threads: 20, processes: 0, .. }), "{:?}", m.binds);
    assert_eq!(task_limit(&m), TaskLimit::User(full));
    let refused = |errno| vec![(35 * MS, What::Refused { pid: SERVER, call: "clone3".into(), errno })];
    let group = |refused| Resources {
        group_refused: Some(refused),
        group_tasks: Some(Bound { used: 60, most: 60 }),
        ..threads(21, None)
    };
    let rest = Resources { group_refused: Some(5), ..threads(1, None) };
    let m = run(rest.clone(), group(6), refused(EAGAIN));
    assert_eq!(resource(&m), Some(Resource::Threads));
    let Exhausted::Tasks { refused: Some(Refusal { call, errno, times, .. }), .. } = exhausted(&m) else {
        panic!("{:?}", m.binds)
    };
    assert_eq!((call.as_str(), *errno, *times), ("clone3", Errno::EAGAIN, 1));
    assert_eq!(task_limit(&m), TaskLimit::Group { most: Some(60), refused: 1 });
    // A limit that nobody sees to be full is not named.
    let m = run(rest, group(5), refused(EAGAIN));
    assert_eq!((resource(&m), task_limit(&m)), (Some(Resource::Threads), TaskLimit::NotKnown(None)));
    // What is refused to a launcher, or to another process than the one that accepts, is not the subject's
    // wall.
    let other = vec![(35 * MS, What::Refused { pid: 99, call: "clone".into(), errno: EAGAIN })];
    let m = run(threads(1, None), threads(21, None), other);
    assert_eq!(resource(&m), Some(Resource::OwnRule));
}

#[test]
fn processes_are_named_where_they_grow_and_not_threads() {
    let wall =
        Resources { processes: 21, user_tasks: Some(Bound { used: 40, most: 40 }), ..threads(1, None) };
    assert_eq!(resource(&run(threads(1, None), wall, vec![])), Some(Resource::Processes));
}

#[test]
fn memory_is_named_by_a_refused_mmap_by_what_is_left_or_by_the_killer() {
    let memory = |used: u64| Resources {
        address_space: Some(Bound { used: used << 20, most: 100 << 20 }),
        ..threads(1, None)
    };
    let refused = vec![(35 * MS, What::Refused { pid: SERVER, call: "mmap".into(), errno: ENOMEM })];
    let m = run(memory(10), memory(60), refused);
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (Some(Kind::OtherLimit), Some(Resource::Memory)));
    // 20 connections took 80 MiB: four each, and two are left; with ten left there is room for more.
    assert_eq!(resource(&run(memory(18), memory(98), vec![])), Some(Resource::Memory));
    assert_eq!(resource(&run(memory(10), memory(90), vec![])), Some(Resource::OwnRule));
}

#[test]
fn a_killed_server_lacked_memory_where_its_group_counts_a_kill_and_not_otherwise() {
    let kills = |kills| Resources { oom_kills: Some(kills), ..threads(1, None) };
    let killed = |rest, wall| {
        let exited =
            What::Exited { process: "server".into(), pid: SERVER, code: None, signal: Some(SIGKILL) };
        run(rest, wall, vec![(400 * MS, exited)])
    };
    let m = killed(kills(3), kills(4));
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (Some(Kind::Exited), Some(Resource::Memory)));
    assert!(matches!(exhausted(&m), Exhausted::Killed { processes: 1, .. }), "{:?}", m.binds);
    assert_eq!(killed(kills(3), kills(3)).binds.why(), Some(&Why::KilledByAnother));
    assert_eq!(killed(threads(1, None), threads(1, None)).binds.why(), Some(&Why::KilledByAnybody));
}

/// Of 44 clients one is accepted and stays, and four connects time out, with the queue seen at its longest so
/// long.
fn queued(longest: u32, somaxconn: u64, more: Vec<(u64, What)>) -> Findings {
    let sample = |at, queue| {
        (at, What::Sample { pid: SERVER, descriptors: 24, queue: Some(queue), cpu_s: 0.0, log_bytes: 0 })
    };
    let tcp = |at, listen_overflows| {
        let states = event::States::default();
        let (subject, namespace, descriptors, took) = (None, None, None, 0);
        (at, What::Tcp { states, listen_overflows, subject, namespace, descriptors, took })
    };
    let mut all = vec![
        (0, What::Observer { name: ObserverName::Perf, exact: true, io_uring: true }),
        (1, listening()),
        (2, What::Resources(Box::new(Resources { somaxconn: Some(somaxconn), ..threads(1, None) }))),
        (4, What::Phase(Phase::Ramp)),
        (5, client(1, Client::Connected)),
        (6, accepted(4)),
        (500 * MS, What::Phase(Phase::Saturate)),
        (700 * MS, What::Phase(Phase::Probe)),
        (1100 * MS, What::End),
    ];
    all.extend((41..45).map(|id| (300 * MS, client(id, Client::TimedOut))));
    all.extend([sample(200 * MS, longest), sample(600 * MS, 0), tcp(3, 10), tcp(600 * MS, 17)]);
    all.extend(more);
    measured(44, all)
}

/// The clients that the queue lost; `None`: it is not what binds.
fn lost(m: &Findings) -> Option<LostToTheQueue> {
    match m.binds.get().map(|binds| &binds.evidence) {
        Some(BindsEvidence::AcceptQueue(lost)) => Some(*lost),
        _ => None,
    }
}

#[test]
fn an_accept_queue_that_lost_clients_is_named_with_whose_number_it_is() {
    let m = queued(9, 4096, vec![]);
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (None, Some(Resource::AcceptQueue)));
    let LostToTheQueue { timed_out, longest, capacity, overflows, by_listener, somaxconn, .. } =
        lost(&m).expect("the queue");
    assert_eq!((timed_out, longest, capacity), (4, 9, 9));
    assert_eq!((overflows, by_listener), (7, false));
    assert_eq!(somaxconn, None, "it is the backlog that it asks for");
    assert_eq!(lost(&queued(9, 8, vec![])).and_then(|lost| lost.somaxconn), Some(8));
    // The listener's own count decides: samples miss a moment, and the namespace's counter is everybody's.
    let dropped = |longest, n| {
        lost(&queued(longest, 4096, vec![(600 * MS + 1, What::Beside { resident: None, drops: Some(n) })]))
    };
    assert_eq!(dropped(4, 3).map(|lost| (lost.overflows, lost.by_listener)), Some((3, true)));
    assert_eq!(dropped(9, 0), None);
    assert_eq!(resource(&queued(5, 4096, vec![])), None, "a queue that had room lost nobody");
}

#[test]
fn source_ports_are_the_generators() {
    let failed = vec![
        (60 * MS, client(50, Client::Local(EADDRNOTAVAIL))),
        (500 * MS, What::PhaseEnded { phase: Phase::Ramp, why: Ended::Generator }),
    ];
    let looks = Resources { local_ports: Some((40_000, 40_099)), ..threads(1, None) };
    let m = run(looks.clone(), looks, failed);
    assert_eq!((m.ceiling.kind.value(), resource(&m)), (Some(Kind::Generator), Some(Resource::SourcePorts)));
    let Some(BindsEvidence::SourcePorts { range, .. }) = m.binds.get().map(|binds| &binds.evidence) else {
        panic!("{:?}", m.binds)
    };
    assert_eq!(*range, Some((40_000, 40_099)));
}

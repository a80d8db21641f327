//! A run with 100,000 clients and ten million failures: how large its log is, and how long reading and
//! measuring it takes. The log is made up here, with what such a run reports: failures are sampled up to a
//! bound, and totals from then on.

use crate::ratio::print_share;
use criterion::Criterion;
use lastfd::internal::event::{
    self, Call, Client, Descriptor, DescriptorKind, Environment, Event, Formula, Limits, Link, Log, Nanos,
    ObserverName, Pacing, Phase, Room, SCHEMA, What, Writer,
};
use lastfd::internal::report::Report;
use lastfd::internal::scenario::{self, Plan};
use std::path::Path;
use std::time::{Duration, Instant};

const CLIENTS: u32 = 100_000;
const FAILURES: u64 = 10_000_000;
/// As the observers do.
const SAMPLED: u64 = 20_000;
const SUBJECT: i32 = 40_000;
const AT_REST: i32 = 7;
const US: Nanos = 1_000;
const MS: Nanos = 1_000_000;

/// Measures reading and measuring, and prints the size.
pub fn bench(criterion: &mut Criterion) {
    let text = format!(
        "claim = \"a large run\"\nsubject = \"server\"\n[processes.server]\ncommand = [\"server\"]\nlimits = {{ soft = {0}, hard = {0} }}\n\
         [workloads.clients]\ntcp = {{ to = \"server\", clients = {CLIENTS} }}\n[expect]\nceiling = {CLIENTS}\n",
        CLIENTS + AT_REST as u32
    );
    let plan = scenario::parse(&text, "large.toml", "large", Path::new(".")).expect("a scenario").remove(0);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("events.jsonl");
    let mut writer = Writer::create(&path).expect("it is writable");
    let events = events(&plan);
    events.iter().for_each(|event| writer.append(event).expect("there is room"));
    writer.flush().expect("there is room");
    let log = Log::new(events);
    assert_eq!(
        Report::of(&plan, &log).found.ceiling.accepted.value(),
        Some(u64::from(CLIENTS)),
        "the log is one of a ceiling"
    );

    let mut criterion_ran = false;
    criterion.bench_function("reading the log of 100,000 clients and ten million failures", |b| {
        b.iter(|| event::read(&path))
    });
    criterion.bench_function("measuring the log of 100,000 clients and ten million failures", |b| {
        criterion_ran = true;
        b.iter(|| Report::of(&plan, &log));
    });
    if criterion_ran {
        let megabytes = std::fs::metadata(&path).expect("it is there").len() as f64 / 1e6;
        print_share("the log of 100,000 clients and ten million failures", megabytes, 50.0, "MB");
        let quickest = (0..5).map(|_| timed(|| Report::of(&plan, &log))).min().expect("five");
        print_share("measuring and judging it, the quickest of five", quickest.as_secs_f64(), 1.0, "s");
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed()
}

fn events(plan: &Plan) -> Vec<Event> {
    let mut log = Growing { at: 0, sampled_at: 0, events: Vec::new() };
    let soft = u64::from(CLIENTS) + AT_REST as u64;
    let limits = Limits { soft, hard: soft };
    let link = Link { pid: SUBJECT, command: "server".into(), soft, hard: soft };
    let environment = Environment {
        kernel: "6.18".into(),
        cpus: 2,
        privileges: "root".into(),
        observers: vec!["perf".into(), "ptrace".into()],
    };
    let plan = serde_json::to_value(plan).expect("a plan is JSON");
    log.say(
        0,
        What::Header {
            schema: SCHEMA.into(),
            lastfd_version: "0.1.0".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
            environment: Box::new(environment),
            plan,
        },
    );
    log.say(0, What::Observer { name: ObserverName::Perf, exact: true, io_uring: true });
    log.say(0, What::Phase(Phase::Launch));
    log.say(
        US,
        What::Launched {
            process: "server".into(),
            pid: SUBJECT,
            argv: vec!["server".into()],
            launcher: "exec".into(),
            requested: limits,
            isolation: None,
        },
    );
    log.say(
        MS,
        What::Listening {
            process: "server".into(),
            pid: SUBJECT,
            address: "127.0.0.1:20000".into(),
            capacity: 129,
        },
    );
    log.say(0, What::Phase(Phase::Baseline));
    log.say(
        10 * MS,
        What::Chain { process: "server".into(), pid: SUBJECT, when: Phase::Baseline, links: vec![link] },
    );
    let inventory = (0..AT_REST)
        .map(|fd| Descriptor { fd, kind: DescriptorKind::Device, detail: "/dev/null".into() })
        .collect();
    let at_rest = AT_REST as u64;
    log.say(
        0,
        What::Baseline { pid: SUBJECT, descriptors: at_rest, counted: at_rest, inventory, settled: true },
    );
    let ceiling = u64::from(CLIENTS);
    log.say(
        0,
        What::Prediction {
            pid: SUBJECT,
            ceiling,
            formula: Formula::Process(Room::new(ceiling + at_rest, at_rest)),
            descriptors_per_connection: 1.0,
            calibrated_with: 0,
        },
    );
    log.say(0, What::Phase(Phase::Ramp));
    log.say(0, What::Pacing { workload: "clients".into(), state: Pacing::Ramping, connected: 0 });
    for id in 0..CLIENTS {
        log.client(10 * US, id, Client::Connected);
        log.say(
            5 * US,
            What::Call {
                pid: SUBJECT,
                name: Call::Accept4,
                ret: i64::from(AT_REST) + i64::from(id),
                on: None,
            },
        );
        log.client(5 * US, id, Client::Served);
        log.sample(u64::from(id) + at_rest);
    }
    for _ in 0..SAMPLED {
        log.say(2 * US, What::Call { pid: SUBJECT, name: Call::Accept4, ret: -24, on: None });
    }
    log.say(0, What::SamplingStopped);
    log.say(0, What::Phase(Phase::Saturate));
    // At 500,000 a second, with a total every 100 ms.
    for total in (SAMPLED..=FAILURES).step_by(50_000) {
        log.say(100 * MS, What::Failures { name: Call::Accept4, total });
        log.sample(soft);
    }
    log.say(0, What::Phase(Phase::ReleaseAll));
    for id in 0..CLIENTS {
        log.client(US, id, Client::Released);
        log.say(2 * US, What::Close { pid: SUBJECT, fd: AT_REST + id as i32 });
    }
    log.say(0, What::Released { clients: CLIENTS });
    log.say(0, What::Phase(Phase::Settle));
    log.sample(at_rest);
    log.say(0, What::Phase(Phase::Stop));
    log.say(MS, What::End);
    log.events
}

struct Growing {
    at: Nanos,
    sampled_at: Nanos,
    events: Vec<Event>,
}

impl Growing {
    fn say(&mut self, later: Nanos, is: What) {
        self.at += later;
        self.events.push(Event { at: self.at, is });
    }

    fn client(&mut self, later: Nanos, id: u32, state: Client) {
        self.say(later, What::Client { workload: "clients".into(), id, state });
    }

    /// As often as a run takes one.
    fn sample(&mut self, descriptors: u64) {
        if self.at - self.sampled_at >= 10 * MS {
            self.sampled_at = self.at;
            self.say(
                0,
                What::Sample {
                    pid: SUBJECT,
                    descriptors,
                    queue: Some(60),
                    cpu_s: self.at as f64 / 1e9,
                    log_bytes: 0,
                },
            );
        }
    }
}

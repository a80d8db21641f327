//! What holds of any log, however unlikely.

use crate::log;
use lastfd::internal::event::{
    self, Call, CallStep, Change, Client, Event, Label, Log, ObserverName, Outcome as Got, Phase, What,
};
use lastfd::internal::measure;
use lastfd::internal::report::{self, Report};
use proptest::prelude::*;
use serde_json::Value;

/// Every null of an object has its own or its parent's reason; in a list, that of the element
/// (`calls.0.per_s`) or of the field in all of them (`series.cpu_percent`).
fn nulls_without_reason(value: &Value, path: &str, known: &Value, missing: &mut Vec<String>) {
    let of_all =
        || path.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
    match value {
        Value::Null if known.get(path).or(known.get(of_all())).is_none() => missing.push(path.to_owned()),
        Value::Array(elements) => {
            let each = elements.iter().enumerate();
            each.for_each(|(i, element)| {
                nulls_without_reason(element, &format!("{path}.{i}"), known, missing)
            });
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "unmeasured") {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                nulls_without_reason(field, &path, known, missing);
            }
        }
        _ => {}
    }
}

/// Fields of the report that are null without a reason.
pub(super) fn unexplained(report: &Report) -> Vec<String> {
    let value = report::json::run(report);
    let mut missing = Vec::new();
    nulls_without_reason(&value, "", &value["unmeasured"], &mut missing);
    missing
}

fn anything() -> impl Strategy<Value = What> {
    let pid = 100..104i32;
    let call = prop::sample::select(vec![
        Call::Accept4,
        Call::Accept,
        Call::RingAccept,
        Call::Openat,
        Call::Socket,
        Call::Pipe2,
        Call::Dup2,
    ]);
    let ret = prop_oneof![Just(-24i64), Just(-23), Just(-11), 3..20i64, Just(i64::MAX)];
    let phases = [
        Phase::Launch,
        Phase::Baseline,
        Phase::Ramp,
        Phase::Saturate,
        Phase::Probe,
        Phase::ReleaseSome,
        Phase::ReleaseAll,
        Phase::Settle,
        Phase::Again,
        Phase::Stop,
    ];
    let states = vec![
        Client::Connected,
        Client::Served,
        Client::Closed,
        Client::Refused,
        Client::TimedOut,
        Client::ErrorReply("x".into()),
        Client::Local(24),
        Client::Released,
        Client::GaveUp,
    ];
    let outcomes = vec![Got::Served, Got::Waits, Got::TimesOut, Got::Refused, Got::Closed, Got::ErrorReply];
    let labels = vec![Label::Saturated, Label::AfterSome, Label::AfterAll, Label::Held];
    prop_oneof![
        4 => prop::sample::select(phases.to_vec()).prop_map(What::Phase),
        8 => (pid.clone(), call, ret, prop::option::of(3..9i32))
            .prop_map(|(pid, name, ret, on)| What::Call { pid, name,
            ret, on }),
        1 => (pid.clone(), 3..9i32).prop_map(|(pid, on)| What::Muted { pid, on }),
        4 => (pid.clone(), 3..20i32).prop_map(|(pid, fd)| What::Close { pid, fd }),
        8 => (0..12u32, prop::sample::select(states)).prop_map(|(id, state)| What::Client { workload: "flood".into(), id, state }),
        4 => (pid.clone(), 0..40u64, prop::option::of(0..9u32), prop::num::f64::ANY, any::<u64>())
            .prop_map(|(pid, descriptors, queue, cpu_s, log_bytes)| What::Sample { pid, descriptors, queue,
                cpu_s, log_bytes }),
        2 => (0..100u64, any::<u64>(), prop::option::of(0..50u64), any::<bool>()).prop_map(|(n, took, held,
            files)| {
            let states = |n| [("ESTABLISHED".to_owned(), n)].into();
            let (subject, namespace) = (held.map(states), held.map(states));
            match files {
                true => What::FileNr { allocated: n, max: 50 },
                false => What::Tcp { states: states(1), listen_overflows: n, subject, namespace,
                    descriptors: held, took },
            }
        }),
        2 => (prop::option::of(any::<u64>()), prop::option::of(any::<u32>())).prop_map(|(resident, drops)|
            What::Beside { resident, drops }),
        1 => (pid.clone(), any::<u32>(),
            prop::option::of(prop::sample::select(outcomes.clone()))).prop_map(
            |(pid, n, new_client)| What::OtherListener {
            address: format!("127.0.0.1:{pid}"), queue: n, capacity: 5, drops: Some(n), new_client
        }),
        1 => pid.clone().prop_map(|pid| What::FailedPath { pid, name: Call::Openat, path: "\u{1b}[2J".into() }),
        2 => (prop::sample::select(labels), prop::sample::select(outcomes.clone()),
            prop::option::of(prop::num::f64::ANY)).prop_map(
            |(label, outcome, s)| What::Probe { workload: "flood".into(), label, outcome, detail: "status 404\u{1b}[2J".into(), connect_s: s, answer_s: s }
        ),
        4 => (0..12u32, prop::option::of(prop::sample::select(outcomes.clone())), prop::num::f64::ANY,
            prop::option::of(-30..30i32), prop::option::of(prop::num::f64::ANY)).prop_map(
            |(id, outcome, took_s, errno, late_s)| What::CallEnded {
                workload: "calls".into(), id, outcome, step: outcome.is_none().then_some(CallStep::Socket), errno, connect_s: None, took_s, tls_s: None, first_byte_s: None, handshakes: 1, resumed: id % 2, kept: (id > 6).then_some(id), late_s, held: id == 0
            }
        ),
        2 => (pid.clone(), any::<u64>(), prop::option::of(any::<u64>()), any::<bool>()).prop_map(|(pid, n,
            limit, kills)| {
            let bound = limit.map(|most| event::Bound { used: n, most });
            What::Resources(Box::new(event::Resources {
                pid,
                threads: Some(n),
                processes: n,
                user_tasks: bound,
                group_refused: Some(n),
                address_space: bound,
                group_memory: bound,
                oom_kills: kills.then_some(n),
                somaxconn: Some(n),
                local_ports: Some((n / 2, n / 3)),
                ..event::Resources::default()
            }))
        }),
        1 => (pid.clone(), prop::sample::select(vec![11, 12])).prop_map(|(pid, errno)| What::Refused { pid, call: "clone".into(), errno }),
        1 => (pid.clone(), prop::num::f64::ANY).prop_map(|(pid, descriptors_per_connection)|
            What::NotPredicted {
            pid, reason: "its own process each".into(), descriptors_per_connection, calibrated_with: 8
        }),
        1 => any::<u64>().prop_map(|total| What::Failures { name: Call::Accept4, total }),
        1 => any::<u64>().prop_map(|samples| What::Lost { samples }),
        1 => Just(What::SamplingStopped),
        1 => any::<u32>().prop_map(|clients| What::Released { clients }),
        1 => pid.clone().prop_map(|pid| What::Process { pid, parent: 100, change: Change::Exit }),
        2 => (pid.clone(), pid.clone(), prop::sample::select(vec![Change::Fork,
            Change::Exec])).prop_map(|(pid, parent, change)| What::Process { pid, parent, change }),
        1 => (pid.clone(), prop::option::of(0..3i32)).prop_map(|(pid, code)| What::Exited { process: "server".into(), pid, code, signal: code.is_none().then_some(9) }),
        1 => (pid.clone(), pid.clone(), prop::option::of(15..18u64)).prop_map(|(pid, by, soft)|
            What::LimitSet {
            pid, by, limits: soft.map(|soft| event::Limits { soft, hard: 64 })
        }),
        1 => (pid.clone(), prop::sample::select(vec!["sh", "server"])).prop_map(|(pid, program)| What::Executed { pid, program: program.into() }),
        1 => (pid.clone(), pid.clone()).prop_map(|(pid, above)| What::Chain {
            process: "server".into(),
            pid,
            when: Phase::Saturate,
            links: [above, pid].map(|pid| event::Link { pid, command: "server".into(), soft: 16, hard: 64 }).to_vec(),
        }),
        1 => (pid.clone(), any::<u64>()).prop_map(|(pid, n)| What::OwnCount { pid, before_first_emfile: n,
            total: n }),
        1 => (pid.clone(), 0..20u64, any::<bool>()).prop_map(|(pid, n, ring)| {
            let kind = event::DescriptorKind::IoUring;
            let open = event::Descriptor { fd: 3, kind, detail: String::new() };
            let inventory = if ring { vec![open] } else { vec![] };
            What::Baseline { pid, descriptors: n, counted: n, inventory, settled: true }
        }),
        1 => (pid.clone(), prop::option::of(0..3i32)).prop_map(|(pid, code)| What::Status { pid, code,
            signal: code.is_none().then_some(9) }),
        1 => prop::collection::vec((pid.clone(), 0..9u32, 0..9u64), 0..4).prop_map(|all| {
            What::Queues(all.into_iter().map(|(pid, length, room)| event::Queue { pid, length, capacity: 5,
                room }).collect())
        }),
        1 => (pid, any::<u64>(), prop::num::f64::ANY).prop_map(|(pid, ceiling, d)| What::Prediction {
            pid,
            ceiling,
            formula: event::Formula::Process(event::Room::new(64, ceiling % 64)),
            descriptors_per_connection: d,
            calibrated_with: 8
        }),
        1 => Just(What::Observer { name: ObserverName::Ptrace, exact: true, io_uring: false }),
        1 => Just(What::Observer { name: ObserverName::Perf, exact: true, io_uring: true }),
        1 => Just(What::End),
    ]
}

/// A spreading or a dense scatter of events: many simultaneous ones.
fn scatter() -> impl Strategy<Value = Vec<Event>> {
    let at = prop_oneof![0..40u64, (0..40u64).prop_map(|t| t * 50_000_000), any::<u64>()];
    prop::collection::vec((at, anything()).prop_map(|(at, is)| Event { at, is }), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_log_makes_measuring_panic_and_no_null_is_without_reason(events in scatter(),
        on_a_real_run in any::<bool>()) {
        let (mut plan, log) = log::told("spin");
        let (calling, _) = log::told(if on_a_real_run { "three-answers" } else { "calls-client" });
        plan.workloads.extend(calling.workloads.into_values().filter(|w| w.calls.is_some()).map(|w| ("calls".to_owned(), w)));
        let mut all = if on_a_real_run { log.events } else { Vec::new() };
        all.extend(events);
        let log = Log::new(all);
        let report = Report::of(&plan, &log);
        let story = report::explain::run(&report, &log, false, 80);
        prop_assert!(story.lines().all(|l| l.chars().count() <= 80) && !story.contains('\u{1b}'), "{}", story);
        prop_assert_eq!(unexplained(&report), Vec::<String>::new());
        let json = report::json::render(std::slice::from_ref(&report));
        let read: Value = serde_json::from_str(&json).unwrap();
        let (read, written) = (&read["runs"][0], report::json::run(&report));
        prop_assert_eq!(&read["verdict"], report.verdict.outcome.name());
        prop_assert_eq!(read["ceiling"]["accepted"].as_u64(), report.found.ceiling.accepted.value());
        prop_assert_eq!(&read["unmeasured"], &written["unmeasured"]);
        let text = report::terminal::render(std::slice::from_ref(&report), false, 80);
        prop_assert!(text.lines().all(|l| l.chars().count() <= 80) && !text.contains('\u{1b}'), "{}", text);
        report::junit::render(std::slice::from_ref(&report));
        report::markdown::render(&[report]);
    }

    #[test]
    fn the_order_in_which_simultaneous_events_were_reported_changes_nothing(events in scatter(),
        seed in any::<u64>()) {
        let (plan, log) = log::told("spin");
        let mut all = log.events;
        all.extend(events);
        let straight = measure::measure(&plan, &Log::new(all.clone()));
        // A shuffle, then the log's own stable sort: only simultaneous events change places.
        let mut state = seed | 1;
        for i in (1..all.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.swap(i, (state >> 33) as usize % (i + 1));
        }
        let shuffled = measure::measure(&plan, &Log::new(all));
        prop_assert_eq!(straight.ceiling, shuffled.ceiling);
        prop_assert_eq!(straight.policy.policy.value(), shuffled.policy.policy.value());
        prop_assert_eq!(straight.policy.evidence, shuffled.policy.evidence);
    }
}

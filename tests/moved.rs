//! Limits that are moved on the live subject: by real runs at small limits, and from a told one with a move
//! put into it.

use crate::log;
use crate::support::{Called, handed_over, lastfd};
use lastfd::internal::event::{Call, Event, Limits, Log, Phase, What};
use lastfd::internal::measure::{self, Findings, Known, Moved, Why};
use lastfd::internal::scenario::Plan;
use serde_json::Value;
use std::path::Path;

/// Runs a bundled server at these limits, whose limit is then moved; its report.
fn moved(serve: &str, limits: &str, workload: &str, then: &str, options: &[&str]) -> Called {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("moved.scenario.toml");
    let text = format!(
        "claim = \"a limit is moved\"\n[processes.server]\nserve.{serve}\nlimits = {limits}\n[workloads.flood]\n{workload}\n\
         [[then]]\nat = \"saturated\"\nlimit = {then}\n"
    );
    std::fs::write(&file, text).expect("written");
    lastfd(&[&["run", "--json", "-"], options, &[file.to_str().expect("UTF-8")]].concat())
}

fn raised(observer: &str) -> Value {
    let options = ["--observer", observer];
    let called = moved(
        "tcp = { accept = \"spin\" }",
        "{ soft = 64, hard = 256 }",
        "tcp = { clients = 200 }",
        "{ soft = 128 }",
        &options,
    );
    assert_eq!(called.code, Some(0), "{called:?}");
    called.run()
}

#[test]
fn a_spinning_server_uses_a_raised_limit_and_stops_at_the_new_one_under_either_observer() {
    for observer in ["perf", "ptrace"] {
        let run = raised(observer);
        let (before, moved) = (&run["ceiling"], &run["moved"][0]);
        assert_eq!(
            (moved["soft"].as_u64(), moved["hard"].as_u64(), moved["was"]["soft"].as_u64()),
            (Some(128), Some(256), Some(64))
        );
        assert_eq!(moved["held"], before["accepted"], "{run:#}");
        assert_eq!(moved["resumed"], true, "{run:#}");
        // Each connection costs one: as many more as the limit is higher.
        assert_eq!(moved["accepted_after"].as_u64(), before["accepted"].as_u64().map(|n| n + 64), "{run:#}");
        assert_eq!(
            (&moved["next_failure"]["call"], &moved["next_failure"]["errno"]),
            (&"accept4".into(), &"EMFILE".into()),
            "{run:#}"
        );
        // Null where the spinning filled a ring before.
        let most = &before["accepted_max"];
        assert!(
            most.is_null() || most == &before["accepted"],
            "what was held later was held under another limit: {run:#}"
        );
        assert_eq!(
            (&run["limits"]["effective"]["soft"], &run["agreement"]),
            (&64.into(), &true.into()),
            "{run:#}"
        );
        assert_eq!(run["recovery"]["leaked"], 0, "{run:#}");
    }
}

#[test]
fn lowering_a_limit_below_what_is_open_closes_nothing_and_fails_the_next_call() {
    let called = moved(
        "http = { accept = \"backoff\" }",
        "{ soft = 128, hard = 128 }",
        "http-idle = { clients = 50 }",
        "{ soft = 32 }",
        &[],
    );
    let run = called.run();
    let moved = &run["moved"][0];
    assert_eq!(run["ceiling"]["kind"], "not-reached", "{run:#}");
    assert_eq!((moved["held"].as_u64(), moved["accepted_after"].as_u64()), (Some(50), Some(50)), "{run:#}");
    assert_eq!(moved["next_failure"]["errno"], "EMFILE", "{run:#}");
    assert_eq!((&moved["resumed"], &moved["new_client"]), (&Value::Null, &"waits".into()), "{run:#}");
    assert_eq!(run["saturation"]["held_closed_by_server"], 0, "{run:#}");
}

#[test]
fn a_limit_that_may_not_be_raised_leaves_the_run_inconclusive_with_the_reason() {
    let nr_open: u64 =
        std::fs::read_to_string("/proc/sys/fs/nr_open").expect("nr_open").trim().parse().expect("a number");
    // Above `nr_open` no privilege helps.
    let beyond = format!("{{ soft = {} }}", nr_open + 1);
    let called = moved(
        "tcp = { accept = \"spin\" }",
        "{ soft = 64, hard = 64 }",
        "tcp = { clients = 100 }",
        &beyond,
        &[],
    );
    assert_eq!(called.code, Some(5), "{called:?}");
    let run = called.run();
    let why = run["reasons"][0]["observed"].as_str().expect("a reason");
    assert!(why.contains("is 64 and cannot be raised to") && why.contains("CAP_SYS_RESOURCE"), "{why}");
    assert!(
        run["moved"].is_null() && run["ceiling"]["kind"] == "emfile",
        "what came before is still told: {run:#}"
    );
}

/// The told run of a server that spins at 8 of 16, with a move put in before the release at 2 s: `calls`
/// follow it.
fn told(soft: u64, was: u64, calls: &[(u64, i64)]) -> Findings {
    let (plan, events) = with_move(soft, was, calls);
    measure::measure(&plan, &Log::new(events))
}

/// What followed the move.
fn first(m: &Findings) -> &Moved {
    &m.moved.get().expect("it was moved")[0]
}

fn with_move(soft: u64, was: u64, calls: &[(u64, i64)]) -> (Plan, Vec<Event>) {
    let (plan, mut log) = log::told("spin");
    let at = log::released(&log.events) - 100_000;
    let limits = What::LimitMoved { pid: 100, soft, hard: 64, was: Limits { soft: was, hard: 64 } };
    log.events.extend([Event { at, is: What::Phase(Phase::Moved) }, Event { at: at + 10, is: limits }]);
    log.events.extend(calls.iter().map(|&(after, ret)| Event {
        at: at + 10 + after,
        is: What::Call { pid: 100, name: Call::Accept4, ret, on: None },
    }));
    (plan, log.events)
}

#[test]
fn connections_that_were_handed_over_count_under_the_moved_limit_too() {
    let (plan, events) = with_move(18, 16, &[(1_000, 16), (2_000, 17), (3_000, -24)]);
    let m = measure::measure(&plan, &Log::new(handed_over(events)));
    assert_eq!(
        (m.ceiling.accepted.value(), first(&m).held, first(&m).accepted_after.value()),
        (Some(8), 8, Some(10))
    );
}

#[test]
fn a_failure_that_began_before_the_limit_was_raised_is_not_the_next_ceiling() {
    let m = told(18, 16, &[(5, -24), (1_000, 16), (2_000, 17), (3_000, -24), (3_001, -24)]);
    let moved = first(&m);
    assert_eq!((moved.held, moved.resumed.value(), moved.accepted_after.value()), (8, Some(true), Some(10)));
    assert!(moved.resumed_s.value().is_some_and(|s| (s - 1e-6).abs() < 1e-9), "{moved:?}");
    assert_eq!(
        moved.next_failure.get().map(|f| f.waiting_clients),
        Some(2),
        "twelve connected, ten are held"
    );
    assert_eq!(
        (m.ceiling.accepted.value(), m.ceiling.accepted_max.value()),
        (Some(8), Some(8)),
        "the ceiling is that before the move"
    );
}

#[test]
fn a_server_that_does_not_use_a_raised_limit_is_said_not_to() {
    let m = told(18, 16, &[(5, -24), (50, -24)]);
    assert_eq!((first(&m).resumed.value(), first(&m).accepted_after.value()), (Some(false), Some(8)));
    assert_eq!(first(&m).next_failure, Known::Unknown(Why::NoFailureUnderNewLimits));
    let lowered = told(8, 16, &[(5, -24)]);
    assert_eq!((first(&lowered).resumed.value(), first(&lowered).accepted_after.value()), (None, Some(8)));
    assert!(first(&lowered).next_failure.get().is_some(), "the next call fails");
}

#[test]
fn moves_that_the_kernel_would_refuse_are_shown_in_the_file() {
    let text = "claim = \"c\"\n[processes.s]\ncommand = [\"x\"]\nlimits = { soft = 64, hard = 64 }\n[workloads.w]\ntcp = {}\n\
                [[then]]\nat = \"saturated\"\nlimit = { soft = 64, hard = 32 }\n";
    let parse = |text: &str| lastfd::internal::scenario::parse(text, "f", "n", Path::new("."));
    let wrong = |text: &str| parse(text).unwrap_err().problems[0].to_string();
    assert!(wrong(text).contains("the soft limit is moved above the hard limit"), "{}", wrong(text));
    assert!(parse(&text.replace("saturated", "saturatd")).is_err());
    let plan = &parse(&text.replace("hard = 32", "hard = 96")).expect("a scenario")[0];
    assert_eq!((plan.then[0].limit.soft, plan.then[0].limit.hard), (64, Some(96)));
    let client = text.replace("hard = 32", "hard = 96").replace("[workloads.w]\ntcp = {}\n", "");
    let client = client.replace("command = [\"x\"]", "command = [\"x\"]\nbegin = \"USR1\"");
    assert!(wrong(&client).contains("nobody connects"), "a client has no accept loop to watch");
}

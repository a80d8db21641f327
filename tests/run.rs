//! The whole command on real processes, at small limits: what it predicts, what it observes, and how it
//! refuses.

use crate::support::{Called, LASTFD, called, eventually, find, lastfd, marked, program, subject};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

/// `lastfd find` on a bundled server; its event log too.
fn bundled(options: &[&str], serve: &[&str]) -> (Called, String) {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let called = find(
        &[options, &["--events", path]].concat(),
        &[&[LASTFD, "serve"], serve, &["--port", "{port}"]].concat(),
    );
    (called, std::fs::read_to_string(path).expect("the log"))
}

/// What the server itself counted: accepts before its first EMFILE, of each of its processes.
fn own_counts(log: &str) -> Vec<u64> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    events.filter_map(|e| e["is"]["own-count"]["before_first_emfile"].as_u64()).collect()
}

/// The server's own count among the witnesses of a report.
fn own_witness(run: &Value) -> &Value {
    let all = run["witnesses"].as_array().expect("a list");
    all.iter()
        .find(|w| w["observer"] == "the server's own count")
        .unwrap_or_else(|| panic!("it is no witness: {run:#}"))
}

#[track_caller]
fn assert_exact(called: &Called, log: &str, soft: u64, call: &str) {
    let run = called.run();
    let ceiling = &run["ceiling"];
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(ceiling["kind"], "emfile", "{run:#}");
    assert_eq!(
        own_counts(log),
        [ceiling["accepted"].as_u64().expect("a number")],
        "the server's own count is the third witness: {run:#}"
    );
    assert_eq!(own_witness(&run)["ceiling"], ceiling["accepted"], "and the report says so: {run:#}");
    assert_eq!(run["agreement"], true, "{run:#}");
    assert_eq!(run["prediction"]["ceiling"], ceiling["accepted"], "{run:#}");
    assert_eq!(
        ceiling["accepted"].as_u64().unwrap() + run["baseline"]["descriptors"].as_u64().unwrap(),
        soft,
        "{run:#}"
    );
    assert_eq!(ceiling["first_failure"]["call"], call, "{run:#}");
    assert_eq!(ceiling["first_failure"]["errno"], "EMFILE", "{run:#}");
}

/// Every policy of the bundled servers, with its class.
pub const CLASSES: [(&str, &str); 15] = [
    ("spin", "spin"),
    ("spin-log", "spin"),
    ("fixed-delay", "fixed-delay"),
    ("listener-off", "fixed-delay"),
    ("backoff", "backoff"),
    ("backoff-exit", "exits"),
    ("storm", "storm"),
    ("reserve-fd", "sheds"),
    ("cap-close", "limits-itself"),
    ("cap-503", "limits-itself"),
    ("exit", "exits"),
    ("worker-restart", "worker-restarts"),
    ("dead", "accept-loop-dead"),
    ("waits-for-close", "waits-for-close"),
    ("waits-for-arrival", "waits-for-arrival"),
];

/// A run of the bundled `tcp` at the wall. Constant delays are shorter than their models', and long enough
/// for a busy machine.
pub fn at_the_wall(policy: &str, observer: &str, soft: u64) -> (Called, String) {
    let nofile = soft.to_string();
    let options = ["--nofile", &nofile, "--observer", observer, "--workload", "tcp", "--hold", "2s"];
    let delay: &[&str] =
        if ["fixed-delay", "listener-off", "storm"].contains(&policy) { &["--delay-ms", "250"] } else { &[] };
    bundled(&options, &[&["tcp", "--accept", policy], delay].concat())
}

#[track_caller]
fn assert_class(called: &Called, policy: &str) {
    let class = CLASSES.iter().find(|(name, _)| *name == policy).expect("listed").1;
    let run = called.run();
    let saturation = &run["saturation"];
    let (evidence, gaps) = (&saturation["policy_evidence"], &saturation["retry_gaps_s"]);
    assert_eq!(
        saturation["policy"], class,
        "{policy}: {evidence}, {gaps}, {}, {}",
        run["ceiling"]["binds"], run["reasons"]
    );
}

fn every_limit(policy: &str, observer: &str) {
    for soft in [32, 64, 256] {
        let (called, log) = at_the_wall(policy, observer, soft);
        assert_exact(&called, &log, soft, "accept4");
        assert_class(&called, policy);
    }
}

/// A cap leaves eight numbers free, and no call fails.
fn caps_at_every_limit(policy: &str, observer: &str) {
    for soft in [32, 64, 256] {
        let (called, _) = at_the_wall(policy, observer, soft);
        let run = called.run();
        assert_class(&called, policy);
        let rest = run["baseline"]["descriptors"].as_u64().expect("a number");
        assert_eq!(run["ceiling"]["kind"], "own-limit", "{run:#}");
        assert_eq!(run["ceiling"]["accepted"], soft - 8 - rest, "{run:#}");
        assert!(run["ceiling"]["first_failure"].is_null(), "{run:#}");
    }
}

/// The ceiling is that of the first worker, which another has replaced by then.
fn restarts_at_every_limit(observer: &str) {
    for soft in [32, 64, 256] {
        let (called, log) = at_the_wall("worker-restart", observer, soft);
        let run = called.run();
        assert_class(&called, "worker-restart");
        assert_eq!(run["prediction"]["ceiling"], run["ceiling"]["accepted"], "{run:#}");
        assert!(
            own_counts(&log).contains(&run["ceiling"]["accepted"].as_u64().expect("a number")),
            "{run:#}"
        );
        assert_eq!(
            run["saturation"]["held_closed_by_server"], run["ceiling"]["accepted"],
            "its clients went with it: {run:#}"
        );
    }
}

/// Dead is told from slow by waiting for longer than any delay: one limit is enough here.
fn dies_silently(observer: &str) {
    let (called, log) = at_the_wall("dead", observer, 64);
    assert_exact(&called, &log, 64, "accept4");
    assert_class(&called, "dead");
    assert_eq!(called.run()["recovery"]["recovered"], false, "{called:?}");
    assert_eq!(called.run()["recovery"]["verdict"], "stuck", "{called:?}");
}

#[test]
fn a_cap_is_exact_under_perf() {
    caps_at_every_limit("cap-close", "perf");
}

#[test]
fn a_cap_is_exact_under_ptrace() {
    caps_at_every_limit("cap-503", "ptrace");
}

#[test]
fn a_worker_that_is_replaced_is_seen_under_perf() {
    restarts_at_every_limit("perf");
}

#[test]
fn a_worker_that_is_replaced_is_seen_under_ptrace() {
    restarts_at_every_limit("ptrace");
}

#[test]
fn a_dead_accept_loop_is_seen_under_perf() {
    dies_silently("perf");
}

#[test]
fn a_dead_accept_loop_is_seen_under_ptrace() {
    dies_silently("ptrace");
}

#[test]
fn those_a_cap_turns_away_are_told_or_not() {
    for (policy, sees) in [("cap-503", "error-reply"), ("cap-close", "closed")] {
        let (called, _) =
            bundled(&["--nofile", "64", "--workload", "http-idle"], &["http", "--accept", policy]);
        let run = called.run();
        assert_eq!(run["saturation"]["new_client"], sees, "{policy}: {run:#}");
        assert_eq!(run["ceiling"]["served"], run["ceiling"]["accepted"], "{policy}: {run:#}");
        assert_class(&called, policy);
    }
}

/// Answers that came before its end count, and a client that comes later is refused.
#[test]
fn a_server_that_exits_keeps_the_count_of_those_it_answered_and_refuses_new_clients() {
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", "64", "--observer", observer];
        let run = bundled(&options, &["http", "--accept", "exit"]).0.run();
        assert_eq!(run["saturation"]["new_client"], "refused", "{:#}", run["saturation"]);
        let (served, accepted) = (&run["ceiling"]["served"], &run["ceiling"]["accepted"]);
        let (served, accepted) = (served.as_u64().expect("a number"), accepted.as_u64().expect("a number"));
        // It takes all that wait from its queue before it answers one of them: those that calibrate have
        // their answers.
        assert!((8..=accepted).contains(&served), "{served} of {accepted}");
    }
}

#[test]
fn what_observing_costs_is_measured_for_either_observer() {
    let cost = |observer| {
        let (called, log) = bundled(
            &["--nofile", "32", "--observer", observer, "--workload", "tcp"],
            &["tcp", "--accept", "backoff"],
        );
        assert_eq!(called.code, Some(0), "{called:?}");
        let measured = log.lines().map(|line| {
            serde_json::from_str::<Value>(line).expect("an event")["is"]["observer-cost"].clone()
        });
        let measured = measured.into_iter().find(Value::is_object).unwrap_or_else(|| panic!("{log}"));
        assert_eq!(measured["name"], observer);
        let said = called.run()["witnesses"][0]["cost"].as_str().expect("a text").to_owned();
        assert!(said.ends_with(" s at most"), "{said}");
        measured["failed_ns"].as_u64().expect("a number")
    };
    // A stop for a tracer is two changes of context: it cannot be as cheap as an entry in a ring.
    let (perf, ptrace) = (cost("perf"), cost("ptrace"));
    assert!(ptrace > perf, "{ptrace} ns by ptrace, {perf} ns by perf");
}

macro_rules! exact {
    ($($name:ident: $policy:literal, $observer:literal;)*) => {$(
        #[test]
        fn $name() {
            every_limit($policy, $observer);
        }
    )*};
}

exact! {
    spin_is_exact_under_perf: "spin", "perf";
    spin_is_exact_under_ptrace: "spin", "ptrace";
    spin_log_is_exact_under_perf: "spin-log", "perf";
    spin_log_is_exact_under_ptrace: "spin-log", "ptrace";
    fixed_delay_is_exact_under_perf: "fixed-delay", "perf";
    fixed_delay_is_exact_under_ptrace: "fixed-delay", "ptrace";
    backoff_is_exact_under_perf: "backoff", "perf";
    backoff_is_exact_under_ptrace: "backoff", "ptrace";
    reserve_fd_is_exact_under_perf: "reserve-fd", "perf";
    reserve_fd_is_exact_under_ptrace: "reserve-fd", "ptrace";
    listener_off_is_exact_under_perf: "listener-off", "perf";
    listener_off_is_exact_under_ptrace: "listener-off", "ptrace";
    backoff_exit_is_exact_under_perf: "backoff-exit", "perf";
    backoff_exit_is_exact_under_ptrace: "backoff-exit", "ptrace";
    storm_is_exact_under_perf: "storm", "perf";
    storm_is_exact_under_ptrace: "storm", "ptrace";
    exit_is_exact_under_perf: "exit", "perf";
    exit_is_exact_under_ptrace: "exit", "ptrace";
    waits_for_close_is_exact_under_perf: "waits-for-close", "perf";
    waits_for_close_is_exact_under_ptrace: "waits-for-close", "ptrace";
    waits_for_arrival_is_exact_under_perf: "waits-for-arrival", "perf";
    waits_for_arrival_is_exact_under_ptrace: "waits-for-arrival", "ptrace";
}

#[test]
fn every_workload_is_exact_on_its_server() {
    for (workload, server) in
        [("tcp", "tcp"), ("http-idle", "http"), ("websocket", "websocket"), ("grpc", "grpc")]
    {
        let (called, log) = bundled(
            &["--nofile", "64", "--workload", workload, "--hold", "1s"],
            &[server, "--accept", "spin"],
        );
        assert_exact(&called, &log, 64, "accept4");
        let run = called.run();
        if workload == "tcp" {
            assert!(run["ceiling"]["served"].is_null(), "tcp asks nothing, so nobody is served: {run:#}");
        } else {
            assert_eq!(run["ceiling"]["served"], run["ceiling"]["accepted"], "{run:#}");
        }
    }
}

#[test]
fn blocking_threads_hold_numbers_that_come_free_one_by_one() {
    let (called, log) = bundled(
        &["--nofile", "64", "--workload", "tcp"],
        &["tcp", "--accept", "fixed-delay", "--threads", "4"],
    );
    let run = called.run();
    let (accepted, most) =
        (run["ceiling"]["accepted"].as_u64().unwrap(), run["ceiling"]["accepted_max"].as_u64().unwrap());
    // Each thread has its next number already; three of them may take their clients after the first fails.
    let predicted = run["prediction"]["ceiling"].as_u64().unwrap();
    assert_eq!(most, predicted, "{run:#}");
    assert!((predicted - 3..=most).contains(&accepted), "{run:#}");
    // A thread whose accept has returned may not have counted it yet when another one's fails; and one may
    // count an accept before the thread whose accept failed has counted that.
    let own = own_counts(&log)[0];
    assert!((accepted - 3..=most).contains(&own), "{own} {run:#}");
    assert_eq!(
        (own_witness(&run)["ceiling"].as_u64(), &run["agreement"]),
        (Some(own), &Value::Bool(true)),
        "{run:#}"
    );
}

#[test]
fn forked_workers_have_a_limit_each() {
    let (called, log) = bundled(
        &["--nofile", "64", "--workload", "tcp", "--clients", "300"],
        &["tcp", "--accept", "fixed-delay", "--workers", "2"],
    );
    let run = called.run();
    let accepted = run["ceiling"]["accepted"].as_u64().unwrap_or_else(|| panic!("{run:#}"));
    assert_eq!(run["prediction"]["ceiling"], accepted, "{run:#}");
    assert!(own_counts(&log).contains(&accepted), "{:?} {run:#}", own_counts(&log));
    // Two say the same number of clients, but only one of them failed first.
    assert_eq!(own_witness(&run)["process"], run["ceiling"]["first_failure"]["pid"], "{run:#}");
    assert_eq!(run["agreement"], true, "{run:#}");
}

/// Its `main` thread has ended before another one listens: a zombie by its state.
#[test]
fn a_server_whose_first_thread_has_exited_is_found_and_exact() {
    let Some(python) = program("python3") else { return };
    let script = "import ctypes, os, socket, threading, time\n\
                  def serve():\n \
                    while open('/proc/self/stat').read().rpartition(') ')[2][0] != 'Z': time.sleep(0.001)\n \
                    listener = socket.create_server(('127.0.0.1', 0)); held = []\n \
                    while True:\n  \
                      try: held.append(listener.accept())\n  \
                      except OSError: time.sleep(0.2)\n\
                  threading.Thread(target=serve).start()\n\
                  ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)\n";
    let called =
        find(&["--nofile", "48", "--workload", "tcp"], &[python.to_str().expect("UTF-8"), "-c", script]);
    let run = called.run();
    assert_eq!((called.code, &run["agreement"]), (Some(0), &true.into()), "{called:?}");
    assert_eq!(run["ceiling"]["accepted"], run["prediction"]["ceiling"], "{run:#}");
}

#[test]
fn a_limit_that_is_high_enough_is_not_reached() {
    let (called, _) = bundled(&["--nofile", "256", "--workload", "http-idle", "--clients", "100"], &["http"]);
    let run = called.run();
    assert_eq!(
        (run["ceiling"]["kind"].as_str(), run["ceiling"]["served"].as_u64()),
        (Some("not-reached"), Some(100)),
        "{run:#}"
    );
    assert_eq!(run["saturation"]["policy"], "none", "{run:#}");
}

#[test]
fn as_many_clients_come_as_were_asked_for_and_no_more() {
    for (workload, clients) in [("tcp", 1), ("http-idle", 5), ("http-idle", 9)] {
        let wanted = clients.to_string();
        let (called, log) =
            bundled(&["--nofile", "64", "--workload", workload, "--clients", &wanted], &["http"]);
        let ceiling = &called.run()["ceiling"];
        assert_eq!(
            [&ceiling["accepted"], &ceiling["connected"]],
            [&json!(clients), &json!(clients)],
            "{ceiling:#}"
        );
        assert_eq!(ceiling["kind"], "not-reached", "{ceiling:#}");
        let ids: std::collections::BTreeSet<u64> = log
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<Value>(line).expect("an event")["is"]["client"]["id"].as_u64()
            })
            .collect();
        assert_eq!(ids.len(), clients, "the driver's own numbers of its clients: {ids:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("few.scenario.toml");
    let text = "claim = 'five of one and three of the other'\nsubject = 's'\n[processes.s]\nserve.http = {}\n\
                limits = { soft = 64, hard = 64 }\n[workloads]\na.http-idle = { clients = 5 }\nb.http-idle = { clients = 3 }\n";
    std::fs::write(&file, text).expect("written");
    let run = lastfd(&["run", "--json", "-", file.to_str().expect("UTF-8")]).run();
    assert_eq!(run["ceiling"]["accepted"], 8, "{run:#}");
}

#[test]
fn a_caller_makes_as_many_calls_as_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls.scenario.toml");
    for calls in [1, 5] {
        let text = format!(
            "claim = 'few calls'\nsubject = 'c'\n[processes.c]\ncall = 'calls'\nlimits = {{ soft = 64, hard = 64 }}\n\
             [processes.api]\nserve.http = {{}}\nlimits = {{ soft = 64, hard = 64 }}\n\
             [workloads.calls]\nhttp-leak-body = {{ to = 'api', calls = {calls} }}\n"
        );
        std::fs::write(&file, text).expect("written");
        let run = lastfd(&["run", "--json", "-", file.to_str().expect("UTF-8")]).run();
        assert_eq!(run["ceiling"]["calls"], calls, "{run:#}");
    }
}

#[test]
fn the_dialogue_is_found_by_asking() {
    let (called, _) = bundled(&["--nofile", "64", "--hold", "1s"], &["http", "--accept", "spin"]);
    assert!(called.run()["ceiling"]["served"].is_u64(), "an HTTP server answers: {called:?}");
    let (called, _) = bundled(&["--nofile", "64", "--hold", "1s"], &["tcp", "--accept", "spin"]);
    assert!(called.run()["ceiling"]["served"].is_null(), "a silent one is only connected to: {called:?}");
}

#[test]
fn two_descriptors_a_connection_are_found_by_calibration() {
    let words = subject("two_descriptors_each");
    let called = find(
        &["--nofile", "64", "--workload", "tcp", "--hold", "1s"],
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let run = called.run();
    assert_eq!(run["prediction"]["descriptors_per_connection"], 2.0, "{run:#}");
    assert_eq!(run["prediction"]["ceiling"], run["ceiling"]["accepted"], "{run:#}");
}

/// As nginx does with a folder that has no index: nobody would ever be served there, and that is not its
/// descriptors' doing.
#[test]
fn where_the_path_is_forbidden_clients_ask_nothing_and_the_server_recovers() {
    let words = subject("forbids");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = find(&["--nofile", "32", "--hold", "500ms", "--clients", "60"], &words).run();
    assert_eq!(
        (&run["recovery"]["verdict"], &run["ceiling"]["served"]),
        (&json!("recovered"), &Value::Null),
        "{run:#}"
    );
    assert_eq!(run["saturation"]["probes"][0]["detail"], "HTTP 403 Forbidden");
}

#[test]
fn a_server_that_limits_itself_is_no_descriptor_ceiling() {
    let words = subject("limits_itself");
    let called = find(
        &["--nofile", "256", "--workload", "tcp", "--clients", "100"],
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let run = called.run();
    assert_eq!(
        (run["ceiling"]["kind"].as_str(), run["ceiling"]["accepted"].as_u64()),
        (Some("own-limit"), Some(30)),
        "{run:#}"
    );
}

#[test]
fn a_subject_that_closed_its_listener_is_not_watched_to_the_end() {
    let began = std::time::Instant::now();
    let run =
        find_subject("closes_its_listener", &["--nofile", "64", "--workload", "tcp", "--hold", "60s"]).run();
    assert_eq!(run["saturation"]["policy"], "accept-loop-dead", "{run:#}");
    assert_eq!(run["saturation"]["new_client"], "refused", "{run:#}");
    assert!(began.elapsed() < Duration::from_secs(60), "it accepts never again, however long it is watched");
}

#[test]
fn connections_that_are_handed_to_forked_processes_are_held() {
    let called = find_subject("a_process_each", &["--nofile", "64", "--clients", "80"]);
    let run = called.run();
    assert_eq!(
        (run["ceiling"]["kind"].as_str(), run["ceiling"]["accepted"].as_u64()),
        (Some("not-reached"), Some(80)),
        "{run:#}"
    );
    assert_eq!(
        run["ceiling"]["handed_over"],
        serde_json::json!({ "connections": 80, "processes": 80 }),
        "{run:#}"
    );
    assert!(
        run["prediction"]["ceiling"].is_null() && run["prediction"]["before_first_client"].is_u64(),
        "{run:#}"
    );
    assert!(
        run["unmeasured"]["prediction.ceiling"]
            .as_str()
            .is_some_and(|why| why.contains("a process of its own")),
        "{run:#}"
    );
    assert!(run["ceiling"]["served"].is_null(), "an echo of the question is no HTTP answer: {run:#}");
    assert_eq!(run["recovery"]["recovered"], true, "a silent client that was accepted is served: {run:#}");
}

#[test]
fn connections_that_were_handed_over_count_where_the_server_then_runs_out_of_descriptors() {
    let run =
        find_subject("a_process_and_a_file_each", &["--nofile", "64", "--workload", "tcp", "--hold", "1s"])
            .run();
    let (ceiling, handed) =
        (&run["ceiling"], run["ceiling"]["handed_over"]["connections"].as_u64().unwrap_or(0));
    assert_eq!(ceiling["kind"], "emfile", "{run:#}");
    let accepted = ceiling["accepted"].as_u64().expect("a number");
    let free = 64 - run["baseline"]["counted"].as_u64().expect("a number");
    // One descriptor stays for each, and the last may want for up to three that it needs for a moment.
    assert!(
        (free - 3..=free).contains(&accepted) && (accepted - 1..=accepted).contains(&handed),
        "{free} places: {run:#}"
    );
}

#[test]
fn those_who_wait_are_served_when_others_leave() {
    let (called, _) = bundled(
        &["--nofile", "64", "--workload", "http-idle", "--hold", "1s"],
        &["http", "--accept", "fixed-delay"],
    );
    let recovery = &called.run()["recovery"];
    assert!(recovery["released"].as_u64() > Some(0) && recovery["first_served_s"].is_f64(), "{called:?}");
    assert_eq!(recovery["waiters_served"], recovery["released"], "one for each place: {called:?}");
}

#[test]
fn a_leak_is_counted_after_everybody_left() {
    let words = subject("leaks");
    let called = find(
        &["--nofile", "256", "--workload", "tcp", "--clients", "20"],
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(
        called.run()["recovery"]["leaked"],
        20 + 2,
        "one file of each client and of the two probes stays open: {called:?}"
    );
}

#[test]
fn a_file_that_is_opened_once_is_not_said_to_leak() {
    let words = subject("opens_once");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let called = lastfd(
        &[&["find", "--nofile", "64", "--workload", "tcp", "--clients", "20", "--"], &words[..]].concat(),
    );
    let said: Vec<&str> = called.stdout.split_whitespace().collect();
    assert!(said.join(" ").contains("opened once"), "{called:?}");
}

#[test]
fn a_replay_says_what_the_run_said() {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let ran = find(
        &["--nofile", "64", "--hold", "1s", "--events", path],
        &[LASTFD, "serve", "http", "--accept", "spin", "--port", "{port}"],
    );
    let replayed = lastfd(&["replay", path, "--json", "-"]);
    assert_eq!(ran.run(), replayed.run());
}

#[track_caller]
fn refused(called: &Called, code: i32, words: &[&str]) {
    assert_eq!(called.code, Some(code), "{called:?}");
    let said = format!("{}{}", called.stdout, called.stderr);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

fn find_subject(name: &str, options: &[&str]) -> Called {
    let words = subject(name);
    find(options, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_program_that_cannot_start_is_told_with_its_reason() {
    refused(&find(&[], &["./no-such-program"]), 6, &["no-such-program"]);
    refused(&find(&[], &["/etc/passwd"]), 6, &["/etc/passwd", "execut"]);
    refused(
        &find(&[], &["sh", "-c", "echo first; echo the last word >&2; exit 3"]),
        6,
        &["exit status 3", "the last word"],
    );
    refused(
        &find_subject("never_listens", &["--ready-within", "300ms"]),
        6,
        &["no TCP listener", "starting, and then nothing"],
    );
    refused(&find_subject("udp_only", &["--ready-within", "300ms"]), 6, &["UDP"]);
    refused(
        &find_subject("unix_only", &["--ready-within", "300ms", "--port", "9"]),
        6,
        &["it listens at unix:@lastfd-test-", "--unix"],
    );
    refused(&find_subject("two_ports", &[]), 6, &["several ports", "--port"]);
}

#[test]
fn a_long_wait_says_what_there_is_instead_of_a_listener() {
    let waits = ["--ready-within", "2.5s"];
    let taken = |name: &str, options: &[&str], words: &str| {
        let told = find_subject(name, &[&waits[..], options].concat());
        refused(&told, 6, &[words]);
        let waiting = format!("lastfd: find: waiting for it to listen: {words}");
        assert!(told.stderr.contains(&waiting), "{waiting:?} is not in {}", told.stderr);
    };
    taken("unix_only", &["--port", "9"], "it listens at unix:@lastfd-test-");
    taken("udp_only", &[], "it serves UDP only (127.0.0.1:");
    let silent = find_subject("never_listens", &waits);
    refused(&silent, 6, &["waiting for it to listen: nothing listens yet", "no TCP listener appeared"]);
    let other = find(&[&waits[..], &["--port", "9"]].concat(), &[LASTFD, "serve", "tcp"]);
    refused(&other, 6, &["it listens on port ", ", not on port 9"]);
    let (Some(_), Some(python)) = (program("unshare"), program("python3")) else { return };
    let python = python.to_str().expect("UTF-8");
    let inside = find(&waits, &["unshare", "-rn", python, "-m", "http.server", "{port}"]);
    if inside.stderr.contains("unshare") {
        return eprintln!("skipped: no network namespace can be made here");
    }
    refused(&inside, 6, &["it listens on port ", " of a network namespace of its own"]);
}

#[test]
fn a_command_that_is_not_there_is_found_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, command: &str| {
        let path = folder.path().join(format!("{name}.scenario.toml"));
        let text = format!(
            "claim = 'x'\nsubject = 's'\n[processes.a]\ncommand = ['touch', 'started']\nlimits = {{ soft = 64, hard = 64 }}\n\
             [processes.s]\ncommand = {command}\nlimits = {{ soft = 64, hard = 64 }}\n[workloads.f]\ntcp = {{}}\n"
        );
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    std::fs::write(folder.path().join("server.py"), "").expect("written");
    for (command, why) in [
        (
            "['no-such-program-of-lastfd']",
            "`no-such-program-of-lastfd` of s cannot be started: no such program in PATH",
        ),
        ("['./serve.py']", "did you mean"),
        ("['./server.py']", "is not executable"),
    ] {
        let path = file("missing", command);
        let check = lastfd(&["check", &path]);
        refused(&check, 0, &["cannot   missing", why]);
        refused(&lastfd(&["run", &path]), 6, &[why]);
        assert!(!folder.path().join("started").exists(), "the other process was started");
    }
    let note = lastfd(&["check", &file("note", "['sh', '{host}']")]);
    refused(&note, 0, &["ready    note", "note: `{host}` of s is not replaced: placeholders are `{port}`, "]);
}

#[test]
fn a_slip_of_a_placeholder_in_a_command_is_told_before_the_start() {
    refused(
        &find(&[], &[LASTFD, "serve", "tcp", "--port", "{prot}"]),
        2,
        &["`{prot}`", "did you mean `{port}`?"],
    );
    refused(&find(&["--nofile", "32"], &["sh", "-c", "echo {print}; exit 3"]), 6, &["{print}"]);
}

#[test]
fn names_that_select_nothing_are_told_with_those_that_there_are() {
    let wrong_variant = lastfd(&["run", "scenarios/websocket-1012", "--variant", "limit rased"]);
    refused(&wrong_variant, 4, &["no variant is called \"limit rased\": there are limit raised, ", "base"]);
    let told = lastfd(&["explain", "scenarios/websocket-1012", "--variant", "limit rased"]);
    assert_eq!((told.code, &told.stderr), (Some(4), &wrong_variant.stderr));
    let filter = lastfd(&["run", "--filter", "policies/spn", "scenarios/policies"]);
    refused(
        &filter,
        4,
        &["no scenario has a name or a tag with \"policies/spn\": there are policies/spin, "],
    );
    let slice = lastfd(&[
        "run",
        "--partition",
        "slice:3/3",
        "scenarios/workloads",
        "--filter",
        "tcp",
        "--variant",
        "base",
    ]);
    refused(&slice, 4, &["slice 3 of 3 has no run: 1 selected in all"]);
}

#[test]
fn limits_that_are_impossible_are_told_before_anything_starts() {
    refused(&find(&["--nofile", "2000000000"], &["true"]), 5, &["hard limit is", "prlimit"]);
    refused(&find(&["--nofile", "2048:1024"], &["true"]), 2, &["2048", "1024"]);
    refused(&find(&["--nofile", "3"], &[LASTFD, "serve", "http", "--port", "{port}"]), 6, &["exit status"]);
    refused(
        &find(&["--nofile", "8"], &[LASTFD, "serve", "http", "--baseline", "9", "--port", "{port}"]),
        6,
        &["exit status"],
    );
}

#[test]
fn a_port_that_is_taken_is_told_before_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    refused(&find(&["--port", &port], &[LASTFD, "serve", "tcp", "--port", "{port}"]), 6, &["already taken"]);
}

#[test]
fn a_report_path_that_cannot_be_written_is_found_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (proof, missing) = (folder.path().join("started"), folder.path().join("none/report.json"));
    let called =
        lastfd(&["find", "--json", missing.to_str().unwrap(), "--", "touch", proof.to_str().unwrap()]);
    refused(&called, 2, &["cannot write"]);
    assert!(!proof.exists(), "the program was started");
}

#[test]
fn a_subject_that_dies_in_mid_ramp_is_reported() {
    let run = find_subject("dies_in_the_ramp", &["--nofile", "256", "--workload", "tcp"]).run();
    assert_eq!(
        (run["ceiling"]["kind"].as_str(), run["saturation"]["policy"].as_str()),
        (Some("exited"), Some("exits")),
        "{run:#}"
    );
}

#[test]
fn without_an_observer_nothing_is_claimed() {
    let (called, _) = bundled(&["--nofile", "64", "--observer", "none", "--workload", "tcp"], &["tcp"]);
    refused(&called, 5, &["inconclusive"]);
    assert!(called.run()["ceiling"]["accepted"].is_null(), "{called:?}");
}

#[test]
fn every_phase_says_why_it_ended() {
    let (called, log) = at_the_wall("spin", "auto", 32);
    assert_eq!(called.code, Some(0), "{called:?}");
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for event in events {
        if let Some(phase) = event["is"]["phase"].as_str() {
            assert_eq!(begun.len(), ended.len(), "{phase} begins when the phase before it has ended");
            begun.push(phase.to_owned());
        }
        if let Value::Object(over) = &event["is"]["phase-ended"] {
            ended
                .push((over["phase"].as_str().unwrap().to_owned(), over["why"].as_str().unwrap().to_owned()));
        }
    }
    let expected = [
        ("launch", "ready"),
        ("baseline", "at-rest"),
        ("ramp", "first-failure"),
        ("saturate", "decided"),
        ("release-some", "served"),
        ("release-all", "answered"),
        ("settle", "at-rest"),
        ("stop", "gone"),
    ];
    assert_eq!(ended, expected.map(|(phase, why)| (phase.to_owned(), why.to_owned())));
    assert_eq!(begun, expected.map(|(phase, _)| phase));
}

#[test]
fn a_log_of_an_older_schema_is_refused_for_its_schema_and_not_for_an_event_it_has() {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let older = [
        r#"{"at":0,"is":{"header":{"schema":"lastfd/events/1"}}}"#,
        r#"{"at":1,"is":{"unmeasured":{"field":"baseline","reason":"it never paused"}}}"#,
        r#"{"at":2,"is":"end"}"#,
    ];
    std::fs::write(log.path(), older.join("\n")).expect("written");
    let replay = lastfd(&["replay", log.path().to_str().unwrap()]);
    refused(&replay, 3, &["lastfd/events/1", "lastfd/events/3", "record the run again"]);
}

#[test]
fn a_log_that_is_foreign_or_cut_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "not a log\n").unwrap();
    refused(&lastfd(&["replay", path]), 3, &["not an event log"]);
    let (_, log) = bundled(&["--nofile", "32", "--workload", "tcp", "--hold", "1s"], &["tcp"]);
    std::fs::write(path, &log[..log.len() / 2]).unwrap();
    refused(&lastfd(&["replay", path]), 5, &["in the middle of the run"]);
}

/// As an unprivileged user, with nothing but a copy of the binary.
#[test]
fn an_unprivileged_user_gets_the_same_number() {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root || program("setpriv").is_none() {
        eprintln!("skipped: only root can become nobody");
        return;
    }
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a folder");
    let copy = folder.path().join("lastfd");
    std::fs::copy(LASTFD, &copy).expect("a copy");
    let copy = copy.to_str().unwrap();
    let find = [
        copy,
        "find",
        "--json",
        "-",
        "--nofile",
        "64",
        "--workload",
        "tcp",
        "--",
        copy,
        "serve",
        "tcp",
        "--accept",
        "fixed-delay",
        "--port",
        "{port}",
    ];
    let called = called(
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .args(find)
            .current_dir("/"),
    );
    let run = called.run();
    assert_eq!(run["prediction"]["ceiling"], run["ceiling"]["accepted"], "{called:?}");
    assert_eq!(run["ceiling"]["first_failure"]["errno"], "EMFILE", "{called:?}");
}

/// A run whose processes all have `mark` (`NAME=value`) in their environment.
fn harness(options: &[&str], mark: &str) -> Command {
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = Command::new(LASTFD);
    command.args(["find", "--nofile", "64", "--workload", "tcp"]).args(options);
    command
        .args(["--", LASTFD, "serve", "tcp", "--accept", "fixed-delay", "--port", "{port}"])
        .env(name, value);
    command
}

/// A command that is executed by another.
fn through(wrapper: &[&str], bare: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(bare.get_program()).args(bare.get_args());
    bare.get_envs().for_each(|(key, value)| _ = command.env(key, value.expect("set")));
    command
}

/// SIGKILL at twenty moments of a run, from its first millisecond to its end: nothing is left.
#[test]
fn sigkill_of_the_harness_leaves_nothing_behind() {
    for moment in 0..20 {
        let mark = format!("LASTFD_TEST_MARK={}-{moment}", std::process::id());
        let mut harness = harness(&[], &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the harness starts");
        // The moments of a run differ in what is alive; a prime step keeps them from falling together.
        std::thread::sleep(Duration::from_millis(moment * 17));
        harness.kill().expect("SIGKILL");
        harness.wait().expect("its end");
        assert!(
            eventually(Duration::from_secs(10), || marked(&mark).is_empty()),
            "left after {} ms: {:?}",
            moment * 17,
            marked(&mark)
        );
    }
}

/// A signal to the harness once its subject and driver are up; how it ended.
fn signalled(signal: rustix::process::Signal, mut harness: Command, mark: &str) -> std::process::Output {
    let harness = harness
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the harness starts");
    assert!(
        eventually(Duration::from_secs(10), || marked(mark).len() >= 5),
        "the subject and its driver came up"
    );
    let pid = rustix::process::Pid::from_child(&harness);
    rustix::process::kill_process(pid, signal).expect("it is alive");
    let out = harness.wait_with_output().expect("its end");
    assert!(eventually(Duration::from_secs(10), || marked(mark).is_empty()), "left: {:?}", marked(mark));
    out
}

#[test]
fn a_signal_that_ends_programs_ends_everything_and_says_so() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
        let mark = format!("LASTFD_TEST_MARK={signal:?}-{}", std::process::id());
        // These tests themselves may be started by nohup.
        let heeding = through(&["env", "--default-signal=HUP"], &harness(&["--hold", "30s"], &mark));
        let out = signalled(signal, heeding, &mark);
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(
            (out.status.code(), said.contains("interrupted")),
            (Some(130), true),
            "{signal:?}: {out:?}"
        );
    }
}

/// nohup(1) starts programs so: the terminal may go.
#[test]
fn a_hang_up_that_is_ignored_interrupts_nothing() {
    let mark = format!("LASTFD_TEST_MARK=nohup-{}", std::process::id());
    let ignoring =
        through(&["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"], &harness(&["--hold", "500ms"], &mark));
    let out = signalled(rustix::process::Signal::HUP, ignoring, &mark);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

#[test]
fn a_scenario_may_have_processes_and_workloads_beside_its_subject() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("two.scenario.toml");
    let text = r#"
        claim = "a backend beside the subject does not disturb it"
        subject = "front"
        [processes.back]
        serve.http = {}
        limits = { soft = 64, hard = 64 }
        [processes.front]
        serve.tcp = { accept = "backoff" }
        limits = { soft = 32, hard = 32 }
        [workloads.flood]
        tcp = { to = "front", clients = 80 }
        [workloads.idle]
        http-idle = { to = "back", clients = 10 }
        [expect]
        ceiling = "soft - baseline"
        leaked = 0
    "#;
    std::fs::write(&file, text).expect("written");
    let called = lastfd(&["run", "--json", "-", file.to_str().unwrap()]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(called.run()["ceiling"]["accepted"], called.run()["prediction"]["ceiling"]);
}

#[test]
fn a_harness_with_too_few_descriptors_says_so() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"ulimit -n 60; exec "$0" "$@""#,
        LASTFD,
        "find",
        "--nofile",
        "32",
        "--observer",
        "perf",
        "--",
        LASTFD,
        "serve",
        "tcp",
        "--port",
        "{port}",
    ]);
    let said = called(&mut command);
    assert_eq!(said.code, Some(5), "{said:?}");
}

/// A burst overflows the accept queue; what was dropped comes again, and the ceiling is exact.
#[test]
fn a_burst_overflows_the_accept_queue() {
    let (called, _) = bundled(
        &["--nofile", "32", "--workload", "http-idle", "--burst", "--clients", "80", "--hold", "1s"],
        &["http", "--accept", "fixed-delay", "--backlog", "8"],
    );
    let run = called.run();
    assert_eq!(run["ceiling"]["accepted"], run["prediction"]["ceiling"], "{run:#}");
    let queue = &run["saturation"]["accept_queue"];
    assert_eq!(
        [&queue["length"], &queue["most"], &queue["capacity"]].map(serde_json::Value::as_u64),
        [Some(9); 3],
        "{run:#}"
    );
    assert!(run["saturation"]["listen_overflows"].as_u64() > Some(0), "the kernel counted them: {run:#}");
}

/// A dialogue that the server does not speak is no ceiling: nobody was served, and no limit had a part in it.
#[test]
fn a_server_that_answers_nobody_is_inconclusive() {
    let (called, _) = bundled(&["--nofile", "64", "--workload", "websocket", "--hold", "1s"], &["http"]);
    refused(&called, 5, &[r#"were answered \"200 OK where 101 was expected\""#]);
    let (called, _) = bundled(&["--nofile", "64", "--workload", "grpc", "--hold", "1s"], &["websocket"]);
    refused(&called, 5, &["no client got the answer that its workload expects"]);
}

#[test]
fn the_first_error_reply_is_named_with_how_many_got_it() {
    let options = ["--nofile", "64", "--workload", "http-idle", "--clients", "30", "--hold", "500ms"];
    let missing = find_subject("finds_nothing", &options).run();
    let wanted = json!({ "first": "HTTP 404 Not Found", "clients": 30, "others": 0 });
    assert_eq!(missing["ceiling"]["error_replies"], wanted, "{missing:#}");
    assert_eq!(
        (&missing["ceiling"]["served"], &missing["verdict"]),
        (&json!(30), &json!("met")),
        "{missing:#}"
    );
    let unavailable = find_subject("is_unavailable", &options);
    refused(&unavailable, 5, &[r#"30 clients were answered \"HTTP 503 Service Unavailable\""#]);
    let words = subject("finds_nothing");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let told = lastfd(&[&["find"], &options[..], &["--full", "--"], &words[..]].concat());
    let said = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("30 clients were answered \"HTTP 404 Not Found\"."), "{}", told.stdout);
}

#[test]
fn a_subject_that_exits_when_clients_leave_has_not_recovered() {
    let run = find_subject(
        "exits_when_a_client_leaves",
        &["--nofile", "256", "--workload", "tcp", "--clients", "20"],
    )
    .run();
    assert_eq!(run["recovery"]["recovered"], false, "{run:#}");
    assert!(run["recovery"]["exited_s"].is_number(), "{run:#}");
    let counts = [&run["recovery"]["leaked"], &run["recovery"]["descriptors_after"]];
    assert_eq!(counts, [&Value::Null; 2], "nothing is left to be counted: {run:#}");
}

#[test]
fn what_a_run_requires_is_skipped_and_with_require_all_the_exit_code_is_5() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lacks.scenario.toml");
    let text = "claim = 'x'\n[processes.s]\ncommand = ['no-such-program']\nrequires = ['no-such-program']\nlimits = { soft = 64, hard = 64 }\n";
    std::fs::write(&path, text.to_owned() + "[workloads.f]\ntcp = { clients = 80 }\n").expect("written");
    let path = path.to_str().expect("UTF-8");
    let run = |all: bool, format: &str| {
        let mut command = Command::new(LASTFD);
        called(
            command
                .args(["run", format, "-", path])
                .args(all.then_some("--require-all"))
                .env_remove("LASTFD_REQUIRE_PEERS"),
        )
    };
    for (all, code) in [(false, 0), (true, 5)] {
        let (json, junit) = (run(all, "--json"), run(all, "--junit"));
        assert_eq!((json.code, json.run()["verdict"].as_str()), (Some(code), Some("skipped")), "{json:?}");
        assert!(
            junit.code == Some(code)
                && junit.stdout.contains("<skipped")
                && junit.stdout.contains("no-such-program"),
            "{junit:?}"
        );
    }
}

#[test]
fn a_low_soft_limit_of_the_harness_itself_is_raised_before_anything_is_opened() {
    let find = format!(
        "ulimit -Sn 40 && exec {LASTFD} find --nofile 64 --json - -- {LASTFD} serve tcp --accept spin --port '{{port}}'"
    );
    let called = called(Command::new("sh").args(["-c", &find]));
    let run = called.run();
    let rest = run["baseline"]["descriptors"].as_u64().unwrap_or_else(|| panic!("it began: {run:#}"));
    assert_eq!((called.code, run["ceiling"]["accepted"].as_u64()), (Some(0), Some(64 - rest)), "{run:#}");
    assert_eq!(run["limits"]["effective"], serde_json::json!({ "soft": 64, "hard": 64 }));
}

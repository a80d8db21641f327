//! Workers with a listener each, and accepts by io_uring: what the report says where the kernel chooses the
//! worker, and where no system call tells of an accept.

use crate::support::{Called, LASTFD, find, lastfd, program};
use serde_json::Value;

/// `lastfd find` on a bundled server; what each of its processes counted before its first EMFILE, and over
/// all.
fn bundled(options: &[&str], serve: &[&str]) -> (Called, Vec<(u64, u64)>) {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let called = find(
        &[options, &["--events", path]].concat(),
        &[&[LASTFD, "serve"], serve, &["--port", "{port}"]].concat(),
    );
    let log = std::fs::read_to_string(path).expect("the log");
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let counts = events.filter_map(|e| {
        let own = &e["is"]["own-count"];
        Some((own["before_first_emfile"].as_u64()?, own["total"].as_u64()?))
    });
    let counts = counts.collect();
    (called, counts)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Eight workers with short queues: of so many, others have room when the first is full and its queue half
/// full.
fn fills_unevenly(observer: &str) {
    let (called, own) = bundled(
        &["--nofile", "32", "--workload", "tcp", "--clients", "400", "--hold", "1s", "--observer", observer],
        &[
            "tcp",
            "--workers",
            "8",
            "--listeners",
            "reuseport",
            "--backlog",
            "4",
            "--accept",
            "fixed-delay",
            "--delay-ms",
            "100",
        ],
    );
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    let accepted = number(&run["ceiling"]["accepted"]);
    assert_eq!(run["prediction"]["ceiling"], accepted, "that of a worker: {run:#}");
    assert!(
        own.iter().any(|(before, total)| *before == accepted && total >= before),
        "as one of them counted itself: {own:?} {run:#}"
    );
    let listeners = run["saturation"]["listeners"].as_array().expect("a list");
    assert_eq!(listeners.len(), 8, "{run:#}");
    assert!(listeners.iter().all(|l| l["capacity"] == 5), "the backlog and one more, each: {run:#}");
    let (mut waits_at_full, mut room_elsewhere) = (false, false);
    for listener in listeners {
        let (length, room) = (number(&listener["length"]), number(&listener["room"]));
        let held = run["ceiling"]["per_process"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|p| p["pid"] == listener["pid"]);
        // What it held then lies between what it held at the ramp's end, or its first failure, and the most;
        // the new client that is tried at the wall may have been one of these, and has left.
        let held =
            held.map_or(0..=0, |p| number(&p["accepted"]).saturating_sub(1)..=number(&p["accepted_max"]));
        assert!(held.contains(&(accepted - room)), "a limit each: {run:#}");
        waits_at_full |= room == 0 && length > 0;
        room_elsewhere |= room > 0 && length == 0;
    }
    assert!(waits_at_full && room_elsewhere, "{run:#}");
}

#[test]
fn workers_with_a_listener_each_fill_unevenly_under_perf() {
    fills_unevenly("perf");
}

#[test]
fn workers_with_a_listener_each_fill_unevenly_under_ptrace() {
    fills_unevenly("ptrace");
}

#[test]
fn a_shared_listener_leaves_nobody_waiting_while_another_worker_has_room() {
    let (called, own) = bundled(
        &["--nofile", "32", "--workload", "tcp", "--clients", "100", "--hold", "1s"],
        &["tcp", "--workers", "2", "--listeners", "shared", "--accept", "fixed-delay", "--delay-ms", "20"],
    );
    let run = called.run();
    assert!(run["saturation"]["listeners"].is_null(), "one for all: {run:#}");
    // Whoever fails first leaves the queue to the other.
    assert!(
        own.len() == 2 && own.iter().all(|(before, _)| *before == number(&run["prediction"]["ceiling"])),
        "{own:?} {run:#}"
    );
}

#[test]
fn what_a_worker_exited_with_is_in_the_report() {
    for observer in ["perf", "ptrace"] {
        let (called, _) = bundled(
            &[
                "--nofile",
                "32",
                "--workload",
                "tcp",
                "--clients",
                "60",
                "--hold",
                "1s",
                "--observer",
                observer,
            ],
            &["tcp", "--accept", "worker-restart"],
        );
        let run = called.run();
        let failed = &run["ceiling"]["first_failure"]["pid"];
        let worker = run["ceiling"]["per_process"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|p| p["pid"] == *failed)
            .expect("listed");
        assert_eq!(worker["exit_code"], 1, "as `lastfd serve --help` has it, under {observer}: {run:#}");
        let evidence = run["saturation"]["policy_evidence"].as_str().expect("a text");
        assert!(evidence.starts_with("it exited with code 1, "), "{evidence}");
    }
}

/// Skips visibly where rings are forbidden, as in most containers.
fn rings() -> bool {
    let allowed = lastfd_servers::accept::Ring::open();
    if let Err(why) = &allowed {
        eprintln!("skipped: no io_uring here: {why}");
    }
    allowed.is_ok()
}

#[test]
fn accepts_by_io_uring_are_exact_under_perf() {
    if !rings() {
        return;
    }
    if !lastfd::internal::observe::sees_io_uring() {
        return eprintln!("skipped: io_uring's tracepoints may not be read");
    }
    for (workload, server, policy) in [
        ("tcp", "tcp", "backoff"),
        ("http-idle", "http", "spin"),
        ("websocket", "websocket", "fixed-delay"),
        ("grpc", "grpc", "spin"),
    ] {
        let (called, own) = bundled(
            &["--nofile", "64", "--workload", workload, "--observer", "perf", "--hold", "1s"],
            &[server, "--io-uring", "--accept", policy, "--delay-ms", "200"],
        );
        let run = called.run();
        let ceiling = &run["ceiling"];
        assert_eq!((&ceiling["kind"], &ceiling["accepted"]), (&"emfile".into(), &own[0].0.into()), "{run:#}");
        assert_eq!(ceiling["accepted"], run["prediction"]["ceiling"], "{run:#}");
        let first = &ceiling["first_failure"];
        assert_eq!(
            (&first["call"], &first["errno"]),
            (&"io_uring:accept".into(), &"EMFILE".into()),
            "{run:#}"
        );
        assert_eq!(
            (&run["saturation"]["policy"], &run["agreement"]),
            (&policy.into(), &true.into()),
            "{run:#}"
        );
    }
}

/// By the descriptor count alone: how many it holds and that its table is full; nothing of what nobody saw.
#[test]
fn accepts_by_io_uring_that_nobody_sees_leave_null_what_is_not_known() {
    if !rings() {
        return;
    }
    let (called, own) = bundled(
        &["--nofile", "64", "--workload", "http-idle", "--observer", "ptrace"],
        &["http", "--io-uring", "--accept", "spin"],
    );
    let run = called.run();
    let ceiling = &run["ceiling"];
    assert_eq!((&ceiling["accepted"], &ceiling["reached"]), (&own[0].0.into(), &true.into()), "{run:#}");
    assert_eq!(ceiling["served"], ceiling["accepted"], "{run:#}");
    assert_eq!(ceiling["binds"]["resource"], "descriptors", "{run:#}");
    for field in ["ceiling.kind", "ceiling.first_failure", "saturation.policy"] {
        let reason =
            run["unmeasured"][field].as_str().unwrap_or_else(|| panic!("{field} has a reason: {run:#}"));
        assert!(reason.contains("io_uring, which the system-call observer cannot see"), "{field}: {reason}");
        let (part, name) = field.split_once('.').expect("a path");
        assert!(run[part][name].is_null(), "{run:#}");
    }
    assert!(
        run["witnesses"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|w| w["observer"] == "ptrace" && w["ceiling"].is_null()),
        "{run:#}"
    );
}

#[test]
fn a_first_failure_that_nobody_could_see_is_inconclusive_and_a_ceiling_is_not() {
    if !rings() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    let judged = |expect: &str| {
        let text = format!(
            "claim = \"it accepts by io_uring\"\n[processes.server]\nserve.tcp = {{ accept = \"backoff\", io-uring = true }}\n\
             limits = {{ soft = 64, hard = 64 }}\n[workloads.flood]\ntcp = {{ clients = 80 }}\n[expect]\n{expect}\n"
        );
        std::fs::write(&file, text).expect("written");
        lastfd(&["run", "--observer", "ptrace", "--json", "-", file.to_str().expect("a UTF-8 path")])
    };
    let ceiling = judged("ceiling = \"soft - baseline\"");
    assert_eq!((ceiling.code, &ceiling.run()["verdict"]), (Some(0), &"met".into()), "{ceiling:?}");
    let failure = judged("first-failure = { call = \"io_uring:accept\", errno = \"EMFILE\" }");
    assert_eq!((failure.code, &failure.run()["verdict"]), (Some(5), &"inconclusive".into()), "{failure:?}");
}

/// Who asks which protocol it speaks is counted by the server, too, and is gone when the clients come.
#[test]
fn a_server_whose_accepts_nobody_sees_may_be_asked_for_its_protocol_first() {
    if !rings() {
        return;
    }
    let (called, _) =
        bundled(&["--nofile", "64", "--observer", "ptrace"], &["http", "--io-uring", "--accept", "spin"]);
    let run = called.run();
    assert_eq!(
        (called.code, &run["agreement"], &run["ceiling"]["accepted"]),
        (Some(0), &true.into(), &55.into()),
        "{run:#}"
    );
}

#[test]
fn workers_that_accept_by_io_uring_have_a_ring_each() {
    if !rings() || !lastfd::internal::observe::sees_io_uring() {
        return eprintln!("skipped: io_uring cannot be used, or not be seen");
    }
    let (called, own) = bundled(
        &["--nofile", "32", "--workload", "tcp", "--clients", "120", "--hold", "1s", "--observer", "perf"],
        &["tcp", "--io-uring", "--workers", "2", "--listeners", "reuseport", "--accept", "backoff"],
    );
    let run = called.run();
    assert_eq!(run["ceiling"]["first_failure"]["call"], "io_uring:accept", "{run:#}");
    assert_eq!(run["prediction"]["ceiling"], run["ceiling"]["accepted"], "{run:#}");
    assert!(own.iter().any(|(before, _)| *before == number(&run["ceiling"]["accepted"])), "{own:?} {run:#}");
}

/// Where the real user is not the effective one, the kernel ends perf's events of a process as it executes a
/// program.
#[test]
fn a_program_that_perf_cannot_follow_is_observed_by_ptrace_without_being_told_to() {
    let root = rustix::process::geteuid().is_root();
    if program("python3").is_none() || !root {
        eprintln!("skipped: only root has another effective user than the real one");
        return;
    }
    let change = "import os, sys; os.setresuid(65534, 0, 0); os.execv(sys.argv[1], sys.argv[1:])";
    let server = ["python3", "-c", change, LASTFD, "serve", "http", "--port", "{port}"];
    let called = find(&["--nofile", "64", "--hold", "1s"], &server);
    let run = called.run();
    assert_eq!(run["verdict"], "met", "{run:#}");
    let witnesses = run["witnesses"].as_array().expect("witnesses");
    assert!(witnesses.iter().any(|witness| witness["observer"] == "ptrace"), "{witnesses:#?}");
    assert_eq!(run["ceiling"]["capacity"], run["prediction"]["ceiling"], "{run:#}");
    assert!(called.stderr.contains("once more, under ptrace"), "{called:?}");
}

//! Recovery: what a server comes to when clients leave, sampled in rounds by real runs at small limits, and
//! from told ones.

use crate::log;
use crate::support::{Called, LASTFD, eventually, find, handed_over, lastfd, marked, subject};
use lastfd::internal::event::{
    self, Call, Client, Descriptor, DescriptorKind, Event, Limits, Log, Phase, What,
};
use lastfd::internal::judge::Outcome;
use lastfd::internal::measure::{self, Findings, Known, PlaceOrder, Verdict, Why};
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::{Expect, Plan};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `lastfd find` on a bundled server at a soft limit of 64.
fn bundled(options: &[&str], serve: &[&str]) -> Called {
    find(
        &[&["--nofile", "64", "--hold", "2s"], options].concat(),
        &[&[LASTFD, "serve"], serve, &["--port", "{port}"]].concat(),
    )
}

fn rounds(run: &Value) -> Vec<Value> {
    run["recovery"]["rounds"].as_array().expect("a list").clone()
}

fn ceilings(run: &Value) -> Vec<u64> {
    rounds(run).iter().filter_map(|round| round["ceiling"].as_u64()).collect()
}

#[test]
fn a_spinning_server_takes_the_oldest_waiters_at_once_and_has_its_ceiling_again() {
    let called = bundled(
        &["--observer", "perf", "--workload", "http-idle", "--recoveries", "4"],
        &["http", "--accept", "spin"],
    );
    let run = called.run();
    let (recovery, accepted) = (&run["recovery"], run["ceiling"]["accepted"].as_u64().expect("a number"));
    assert_eq!(recovery["verdict"], "recovered", "{run:#}");
    assert_eq!(recovery["order"], "oldest-first", "the kernel's queue is one: {run:#}");
    // A tenth and one in turn.
    let released: Vec<_> = rounds(&run).iter().map(|round| round["released"].as_u64()).collect();
    assert_eq!(released, [Some(accepted / 10), Some(1), Some(accepted / 10), Some(1)], "{run:#}");
    // Null where a flood of failures took samples with it.
    let ceilings = ceilings(&run);
    assert!(!ceilings.is_empty() && ceilings.iter().all(|ceiling| *ceiling == accepted), "{run:#}");
    assert_eq!(recovery["second_ceiling"], accepted, "{run:#}");
    assert_eq!(
        (&recovery["rounds"][0]["gave_up"], &recovery["rounds"][1]["gave_up"]),
        (&1.into(), &0.into()),
        "{run:#}"
    );
    assert!(
        recovery["first_served_quantiles"]["p50"].as_f64().expect("a time") < 0.5,
        "no delay of its own: {run:#}"
    );
    for ramp in ["before", "after"] {
        let service = &recovery[ramp];
        assert!(service["latency_s"].is_object() && service["held_latency_s"].is_object(), "{ramp}: {run:#}");
    }
    assert!(called.code == Some(0) && run["recovery"]["leaked"] == 0, "{run:#}");
}

/// Of clients that ask nothing the queue alone tells who waits, and the one that asked at the wall is still
/// in it when it has gone.
#[test]
fn a_tcp_client_that_gives_up_is_the_oldest_that_waits() {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let run =
        bundled(&["--workload", "tcp", "--recoveries", "2", "--events", path], &["tcp", "--accept", "spin"])
            .run();
    let log = event::read(log.path()).expect("a whole log");
    let gave_up = |e: &Event| {
        if let What::Client { id, state: Client::GaveUp, .. } = e.is { Some(u64::from(id)) } else { None }
    };
    // One process takes its clients in their order, which begins with 0.
    let accepted = run["ceiling"]["accepted"].as_u64();
    assert_eq!(log.events.iter().find_map(gave_up), accepted, "{run:#}");
    assert_eq!(run["recovery"]["rounds"][0]["gave_up"], 1, "{run:#}");
}

/// A place that is set free at any phase of a delay of 250 ms is given when the delay is over.
#[test]
fn what_is_left_of_a_fixed_delay_is_waited_for_under_ptrace() {
    let options = ["--observer", "ptrace", "--workload", "tcp", "--recoveries", "4"];
    let run = bundled(&options, &["tcp", "--accept", "fixed-delay", "--delay-ms", "250"]).run();
    let all: Vec<(f64, f64)> = rounds(&run)
        .iter()
        .map(|round| {
            (
                round["phase_s"].as_f64().expect("a phase"),
                round["first_accepted_s"].as_f64().expect("an accept"),
            )
        })
        .collect();
    assert_eq!(all.len(), 4, "{run:#}");
    assert!(
        all.iter().all(|(phase, wait)| phase + wait > 0.249),
        "nobody is let in before a delay is over: {all:?}"
    );
    let mut sums: Vec<f64> = all.iter().map(|(phase, wait)| phase + wait).collect();
    sums.sort_by(f64::total_cmp);
    assert!(sums[0] < 0.4, "on the busiest machine one of four is in time: {all:?}");
    let (least, most) =
        all.iter().fold((f64::MAX, 0f64), |(least, most), (phase, _)| (least.min(*phase), most.max(*phase)));
    assert!(most - least > 0.1, "they begin at different phases of the delay: {all:?}");
    assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
    assert!(
        run["recovery"]["order"].is_null() && run["unmeasured"]["recovery.order"].is_string(),
        "tcp asks nothing: {run:#}"
    );
}

#[test]
fn a_ceiling_that_goes_down_with_each_round_is_a_leak() {
    let words = subject("leaks_and_tries_on");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run =
        find(&["--nofile", "64", "--workload", "tcp", "--hold", "1s", "--recoveries", "4"], &words).run();
    assert_eq!(run["recovery"]["verdict"], "leaking", "{run:#}");
    assert!(run["recovery"]["leaked"].as_i64() > Some(0), "{run:#}");
    let ceilings = ceilings(&run);
    assert!(ceilings.is_sorted_by(|a, b| a >= b), "{run:#}");
}

/// A run of a server of the tests, by an observer, with so many clients that nothing is full.
fn below(observer: &str, server: &str) -> Value {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = ["--nofile", "256", "--workload", "tcp", "--clients", "40", "--observer", observer];
    find(&options, &words).run()
}

#[test]
fn what_grows_with_further_clients_leaks_and_what_does_not_was_opened_once() {
    for observer in ["perf", "ptrace"] {
        let run = below(observer, "keeps_a_file_for_each_client");
        let recovery = &run["recovery"];
        assert_eq!(
            (&recovery["verdict"], &recovery["opened_once"]),
            (&"leaking".into(), &1.into()),
            "{run:#}"
        );
        let leak = &run["leaks"][0];
        assert_eq!(
            (&leak["per"], &leak["kind"], &leak["detail"]),
            (&"connection".into(), &"device".into(), &"/dev/null".into()),
            "{run:#}"
        );
        assert_eq!((&leak["slope"], &leak["interval"]), (&1.0.into(), &vec![1.0, 1.0].into()), "{run:#}");
        assert_eq!(run["leaks"].as_array().map(Vec::len), Some(1), "{run:#}");
        assert!(recovery["leaked"].as_u64() >= Some(40) && recovery["leaked"] == leak["open"], "{run:#}");
        assert!(recovery["second_round"]["clients"].as_u64() >= Some(24), "{run:#}");
    }
}

#[test]
fn what_stays_open_in_another_process_than_the_one_that_accepts_leaks_too() {
    for observer in ["perf", "ptrace"] {
        let run = below(observer, "its_child_keeps_a_file_for_each_client");
        assert_eq!(run["recovery"]["verdict"], "leaking", "{run:#}");
        assert!(run["recovery"]["leaked"].as_u64() >= Some(40), "{run:#}");
        let leak = &run["leaks"][0];
        assert_eq!((&leak["slope"], &leak["detail"]), (&1.0.into(), &"/dev/null".into()), "{run:#}");
        let pid = run["subject"]["pid"].as_i64();
        assert!(leak["processes"][0].as_i64() != pid && leak["processes"][0].is_i64(), "{run:#}");
    }
}

#[test]
fn what_a_server_opens_by_itself_is_no_leak_of_its_clients() {
    for observer in ["perf", "ptrace"] {
        let run = below(observer, "opens_a_file_every_50_ms");
        let growth = &run["baseline"]["growth"];
        let [per_s, watched_s] = ["per_s", "watched_s"].map(|key| growth[key].as_f64().expect("a number"));
        // A sleep is late, never early. A reading that is late by up to one opening counts one more.
        assert!(per_s > 5.0 && per_s * watched_s <= 20.0 * watched_s + 1.01, "{growth:#}");
        assert!(growth["full_after_s"].as_f64() > Some(10.0), "{run:#}");
        let recovery = &run["recovery"];
        assert_eq!((&recovery["leaked"], &run["leaks"]), (&0.into(), &Value::Null), "{run:#}");
        assert_ne!(recovery["verdict"], "leaking", "{run:#}");
    }
}

#[test]
fn a_server_that_is_slow_to_close_is_waited_for_and_leaks_nothing() {
    for observer in ["perf", "ptrace"] {
        let run = below(observer, "closes_one_every_100_ms");
        let recovery = &run["recovery"];
        assert_eq!((&recovery["leaked"], &run["leaks"]), (&0.into(), &Value::Null), "{run:#}");
        assert_ne!(recovery["verdict"], "leaking", "{run:#}");
    }
}

/// While its timers run, each client seems to leave a connection behind.
#[test]
fn a_server_that_closes_by_a_timer_is_waited_for_and_leaks_nothing() {
    for observer in ["perf", "ptrace"] {
        let run = below(observer, "closes_each_after_3_s");
        let recovery = &run["recovery"];
        assert_eq!((&recovery["leaked"], &run["leaks"]), (&0.into(), &Value::Null), "{run:#}");
        assert!(!["leaking", "draining"].contains(&recovery["verdict"].as_str().unwrap_or("")), "{run:#}");
    }
}

/// What the second round's clients left open fills the table before the first of its timers fires.
#[test]
fn a_server_whose_table_is_full_before_its_timers_fire_leaks_nothing() {
    for observer in ["perf", "ptrace"] {
        let words = subject("closes_each_after_3_s");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let few = ["--nofile", "32", "--clients", "8", "--workload", "tcp", "--observer", observer];
        let run = find(&few, &words).run();
        let recovery = &run["recovery"];
        assert_eq!((&recovery["leaked"], &run["leaks"]), (&0.into(), &Value::Null), "{run:#}");
        assert_ne!(recovery["verdict"], "leaking", "{run:#}");
    }
}

/// There is no room for further clients.
#[test]
fn what_a_server_that_is_full_left_open_is_named() {
    for observer in ["perf", "ptrace"] {
        let words = subject("keeps_a_file_for_each_client");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = find(&["--nofile", "32", "--workload", "tcp", "--observer", observer], &words).run();
        let leak = &run["leaks"][0];
        assert_eq!(
            (&run["recovery"]["verdict"], &leak["detail"]),
            (&"leaking".into(), &"/dev/null".into()),
            "{run:#}"
        );
    }
}

/// The told run of a server that spins, had it still closed when its time was over.
#[test]
fn what_still_closes_when_its_time_is_over_is_draining_and_not_stuck() {
    for name in ["spin", "dead", "leak"] {
        let (mut plan, mut log) = log::told(name);
        log::ends(&mut log.events, Phase::ReleaseAll, event::Ended::Draining);
        plan.expect = Expect { recovery: Some(Verdict::Draining), ..Expect::default() };
        let report = Report::of(&plan, &log);
        assert_eq!(verdict(&report.found), Some(Verdict::Draining), "{name}");
        assert_eq!(report.verdict.outcome, Outcome::Met, "{name}");
        assert!(report::terminal::render(&[report], false, 100).contains("draining"), "{name}");
    }
}

#[test]
fn a_server_that_exits_at_its_ceiling_is_gone() {
    let run = bundled(&["--workload", "tcp", "--recoveries", "8"], &["tcp", "--accept", "exit"]).run();
    assert_eq!(run["recovery"]["verdict"], "gone", "{run:#}");
    assert_eq!(run["recovery"]["rounds"], Value::Array(Vec::new()), "{run:#}");
}

#[test]
fn one_round_is_what_a_run_makes_by_itself() {
    let run = bundled(&["--workload", "http-idle"], &["http", "--accept", "spin"]).run();
    let recovery = &run["recovery"];
    assert_eq!((rounds(&run).len(), &recovery["verdict"]), (1, &"recovered".into()), "{run:#}");
    assert_eq!(recovery["rounds"][0]["first_served_s"], recovery["first_served_s"], "{run:#}");
    assert!(recovery["second_ceiling"].is_null() && recovery["after"].is_null(), "no second ramp: {run:#}");
}

#[test]
fn an_interrupt_between_two_rounds_leaves_nothing_behind() {
    let mark = format!("LASTFD_TEST_MARK=rounds-{}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a pair");
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut command = Command::new(LASTFD);
    command
        .args([
            "find",
            "--nofile",
            "64",
            "--workload",
            "tcp",
            "--hold",
            "300ms",
            "--recoveries",
            "64",
            "--events",
        ])
        .arg(log.path());
    command
        .args([
            "--",
            LASTFD,
            "serve",
            "tcp",
            "--accept",
            "fixed-delay",
            "--delay-ms",
            "100",
            "--port",
            "{port}",
        ])
        .env(name, value);
    let harness = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the harness starts");
    let begun =
        || std::fs::read_to_string(log.path()).is_ok_and(|log| log.matches("release-some").count() >= 2);
    assert!(eventually(Duration::from_secs(20), begun), "no second round");
    rustix::process::kill_process(rustix::process::Pid::from_child(&harness), rustix::process::Signal::INT)
        .expect("SIGINT");
    let out = harness.wait_with_output().expect("its end");
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    assert!(eventually(Duration::from_secs(10), || marked(&mark).is_empty()), "left: {:?}", marked(&mark));
}

/// What becomes of it when clients leave.
fn verdict(m: &Findings) -> Option<Verdict> {
    m.end.get().map(|end| end.verdict)
}

#[test]
fn every_verdict_has_its_story() {
    let all = [
        ("spin", Some(Verdict::Recovered)),
        ("own-limit", Some(Verdict::Recovered)),
        ("leak", Some(Verdict::Leaking)),
        ("dead", Some(Verdict::Stuck)),
        ("exits", Some(Verdict::Gone)),
        ("died", Some(Verdict::Gone)),
        ("worker-restarts", Some(Verdict::Gone)),
        ("not-reached", None),
    ];
    for (name, expected) in all {
        let (plan, log) = log::told(name);
        let m = measure::measure(&plan, &log);
        assert_eq!(verdict(&m), expected, "{name}: {:#?} {:?}", m.recovery, m.end);
    }
}

/// As an event loop that closes all it has before it exits.
#[test]
fn clients_are_lost_with_an_exit_also_where_the_process_takes_long_to_end() {
    let (plan, log) = log::told("exits");
    let lost = |events: Vec<Event>| {
        let m = measure::measure(&plan, &Log::new(events));
        let account = m.clients_account.value().expect("an account");
        account.exit.expect("an exit").clients
    };
    let exits =
        |what: &What| matches!(what, What::Process { change: event::Change::Exit, .. } | What::Exited { .. });
    let exit = log.events.iter().find(|e| exits(&e.is)).expect("it exits").at;
    let closed = |what: &What| matches!(what, What::Client { state: Client::Closed, .. });
    let mut later = log.events.clone();
    later.iter_mut().filter(|e| e.at >= exit && !closed(&e.is)).for_each(|e| e.at += 500_000_000);
    later.sort_by_key(|e| e.at);
    assert!(lost(log.events.clone()) > 0);
    assert_eq!(lost(later), lost(log.events.clone()));
}

/// As servers do that keep few idle workers.
#[test]
fn a_worker_that_ends_when_it_is_idle_is_not_the_end_of_its_server() {
    for (name, expected) in [("workers", Verdict::Recovered), ("spin", Verdict::Gone)] {
        let (plan, mut log) = log::told(name);
        let settles = log.events.iter().position(|e| e.is == What::Phase(Phase::Settle)).expect("it settles");
        let at = log.events[settles].at;
        let pid = measure::measure(&plan, &log).subject.pid.value().expect("a process");
        let exit = What::Process { pid, parent: 1, change: event::Change::Exit };
        log.events.insert(settles, Event { at, is: exit });
        let m = measure::measure(&plan, &log);
        assert_eq!(verdict(&m), Some(expected), "{name}: {:?}", m.recovery);
    }
}

/// Its sockets are of several sorts, whose names are long.
#[test]
fn the_first_paragraph_of_a_stuck_server_says_so_whatever_stays_open() {
    let (plan, mut log) = log::told("dead");
    let pid = measure::measure(&plan, &log).subject.pid.value().expect("a process");
    let stop = log.events.iter().position(|e| e.is == What::Phase(Phase::Stop)).expect("an end");
    let sorts = [
        ("tcp", "UNCONN: new or reset"),
        ("tcp", "10.0.0.1:80 ← 10.0.0.1:50000 CLOSE_WAIT"),
        ("unix", "unnamed stream connected"),
        ("file", "/var/lib/a-service/of-some-name/with-a-file-for-each.log"),
    ];
    let open = |(fd, (kind, detail)): (i32, &(&str, &str))| Descriptor {
        fd,
        kind: DescriptorKind::named(kind).unwrap(),
        detail: (*detail).into(),
    };
    let inventory: Vec<Descriptor> = (100..).zip(sorts.iter().cycle().take(40)).map(open).collect();
    let at = log.events[stop].at;
    let all = event::Open { pid, descriptors: 40, inventory };
    log.events.insert(stop, Event { at, is: What::Open(vec![all]) });
    let report = Report::of(&plan, &log);
    assert!(report.found.leaks.len() >= 4, "{:?}", report.found.leaks);
    let paragraph = report::short::paragraph(&report);
    assert!(paragraph.contains("It is stuck"), "{paragraph}");
}

#[test]
fn a_verdict_may_be_expected() {
    let (mut plan, log) = log::told("spin");
    for (expected, outcome) in [(Verdict::Recovered, Outcome::Met), (Verdict::Leaking, Outcome::NotMet)] {
        plan.expect.recovery = Some(expected);
        assert_eq!(Report::of(&plan, &log).verdict.outcome, outcome);
    }
    let (mut plan, log) = log::told("not-reached");
    plan.expect.recovery = Some(Verdict::Recovered);
    assert_eq!(Report::of(&plan, &log).verdict.outcome, Outcome::Inconclusive, "it never was at its ceiling");
}

/// The told run of a server that spins at 8 of 16, whose clients 8 to 11 wait when four leave at 2 s, with
/// these served so many milliseconds later, and others not at all.
fn served_later(answers: &[(u32, u64)]) -> Findings {
    let (plan, log) = log::told("spin");
    let release = log::released(&log.events);
    let waiter = |what: &What| matches!(what, What::Client { id: 8.., state: Client::Served, .. });
    let mut events: Vec<Event> = log.events.into_iter().filter(|e| !waiter(&e.is)).collect();
    events.extend(answers.iter().map(|&(id, ms)| {
        let is = What::Client { workload: "flood".into(), id, state: Client::Served };
        Event { at: release + 1_000_000 + ms * 1_000_000, is }
    }));
    measure::measure(&plan, &Log::new(events))
}

#[test]
fn the_order_of_places_is_told_by_who_gets_one_and_then_by_when() {
    let order = |answers: &[(u32, u64)]| served_later(answers).rounds.order.value();
    assert_eq!(order(&[(8, 1), (9, 2)]), Some(PlaceOrder::OldestFirst), "two of four, the older ones");
    assert_eq!(
        order(&[(8, 2), (9, 1)]),
        Some(PlaceOrder::OldestFirst),
        "threads may answer in another order than they accept"
    );
    assert_eq!(order(&[(10, 1), (11, 2)]), Some(PlaceOrder::NewestFirst));
    assert_eq!(order(&[(8, 1), (11, 2)]), Some(PlaceOrder::Mixed));
    assert_eq!(
        order(&[(8, 1), (9, 2), (10, 3), (11, 4)]),
        Some(PlaceOrder::OldestFirst),
        "all of them, one after the other"
    );
    assert_eq!(order(&[(8, 4), (9, 3), (10, 2), (11, 1)]), Some(PlaceOrder::NewestFirst));
    let nobody = served_later(&[]);
    assert_eq!(
        (nobody.rounds.order.value(), verdict(&nobody)),
        (None, Some(Verdict::Degraded)),
        "places were free, and nobody got one"
    );
    assert_eq!(nobody.rounds.order.why(), Some(&Why::TooFewWaited));
}

#[test]
fn who_leaves_the_queue_unserved_has_given_up() {
    // The one who asked at the wall, until its deadline.
    assert_eq!(served_later(&[(8, 1), (9, 2), (10, 3), (11, 4)]).rounds.gave_up.value(), Some(1));
    assert_eq!(
        served_later(&[(8, 1)]).rounds.gave_up.value(),
        Some(1 + 3),
        "and three that waited until all left"
    );
}

#[test]
fn rounds_that_make_no_sense_are_shown_in_the_file() {
    let text = "claim = \"c\"\nrecovery = { rounds = 8 }\n[processes.s]\ncommand = [\"x\"]\nlimits = { soft = 64, hard = 64 }\n\
                [workloads.w]\ntcp = {}\n[expect]\nrecovery = \"recovered\"\n";
    let parse = |text: &str| lastfd::internal::scenario::parse(text, "f", "n", Path::new("."));
    let plan = &parse(text).expect("a scenario")[0];
    assert_eq!((plan.recovery.rounds, plan.expect.recovery), (8, Some(Verdict::Recovered)));
    let wrong = |from: &str, to: &str| format!("{:?}", parse(&text.replace(from, to)).unwrap_err().problems);
    assert!(
        wrong("rounds = 8", "rounds = 0").contains("recovery.rounds"),
        "{}",
        wrong("rounds = 8", "rounds = 0")
    );
    assert!(wrong("rounds = 8", "rounds = 65").contains("64"));
    assert!(wrong("rounds = 8", "round = 8").contains("did you mean `rounds`?"));
    assert!(wrong("\"recovered\"", "\"recoverd\"").contains("did you mean `recovered`?"));
    assert!(
        wrong("[workloads.w]\ntcp = {}\n", "").contains("no workload has such"),
        "{}",
        wrong("[workloads.w]\ntcp = {}\n", "")
    );
    assert_eq!(lastfd(&["find", "--recoveries", "0", "--", "true"]).code, Some(2));
}

#[test]
fn why_a_server_is_gone_is_told_once_and_markdown_tells_what_a_recovery_came_to() {
    let comes_to = |report: &mut Report, verdict| {
        let Known::Value(end) = &mut report.found.end else { panic!("it has an end") };
        end.verdict = verdict;
    };
    let page = |report: &Report| {
        let text = lastfd::internal::report::terminal::render_full(std::slice::from_ref(report), false, 100);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let row = |report: &Report| {
        let text = lastfd::internal::report::markdown::render(std::slice::from_ref(report));
        text.lines().nth(2).expect("a row").rsplit('|').nth(1).expect("a last cell").trim().to_owned()
    };
    let (plan, log) = log::told("worker-restarts");
    let mut report = Report::of(&plan, &log);
    // Of workers one exited, which is no exit of the server: its successor serves.
    report.found.recovery.exited_s = Known::Unknown(Why::DidNotExit);
    report.found.recovery.recovered = Known::Value(true);
    report.found.recovery.new_client_served_s = Known::Value(0.25);
    let said = page(&report);
    assert!(said.contains("All clients left; a new one was served 0.250 s later. It exited"), "{said}");
    assert!(said.contains("before any client left, and another process replaced it. [gone]"), "{said}");
    assert_eq!(row(&report), "0.250 s (gone)");
    comes_to(&mut report, Verdict::Recovered);
    assert_eq!(row(&report), "0.250 s");
    report.found.recovery.new_client_served_s = Known::Unknown(Why::NoneServedAfterAll);
    comes_to(&mut report, Verdict::Stuck);
    assert_eq!(row(&report), "stuck");
    let (plan, log) = log::told("died");
    let said = page(&Report::of(&plan, &log));
    assert_eq!(said.matches("before any client left").count(), 1, "{said}");
}

/// The told run of a server that spins at 8 of 16, which takes so many in a second ramp, with so many
/// descriptors left open before.
fn second_ramp(takes: i64, left_open: u64) -> Findings {
    let (plan, events) = with_second_ramp(takes, left_open);
    measure::measure(&plan, &Log::new(events))
}

fn with_second_ramp(takes: i64, left_open: u64) -> (Plan, Vec<Event>) {
    let (plan, log) = log::told("spin");
    let at = |phase| log.events.iter().find(|e| e.is == What::Phase(phase)).expect("a phase").at;
    let (all, again) = (at(Phase::ReleaseAll), at(Phase::Stop) - 50_000);
    let call = |after: u64, ret| Event {
        at: again + after,
        is: What::Call { pid: 100, name: Call::Accept4, ret, on: None },
    };
    let mut events: Vec<Event> = log.events.clone();
    for event in events.iter_mut().filter(|e| e.at > all) {
        if let What::Sample { descriptors, .. } = &mut event.is {
            *descriptors += left_open;
        }
    }
    events.push(Event { at: again, is: What::Phase(Phase::Again) });
    events.extend((0..takes).map(|i| call(10 * (i as u64 + 1), 8 + i)));
    events.push(call(1_000, -24));
    (plan, events)
}

#[test]
fn a_second_ceiling_that_is_lower_is_a_leak_where_descriptors_stay_open() {
    for (takes, left_open, expected) in [
        (8, 0, Verdict::Recovered),
        (8, 2, Verdict::Recovered),
        (6, 2, Verdict::Leaking),
        (6, 0, Verdict::Degraded),
    ] {
        let m = second_ramp(takes, left_open);
        assert_eq!(
            (m.rounds.second_ceiling.value(), m.recovery.leaked.value()),
            (Some(takes as u64), Some(left_open as i64)),
            "{:#?}",
            m.recovery
        );
        assert_eq!(verdict(&m), Some(expected), "{:?}", m.end);
        assert_eq!(
            (m.ceiling.accepted.value(), m.ceiling.accepted_max.value()),
            (Some(8), Some(8)),
            "the first ceiling is what it was"
        );
    }
}

/// The told run of a server that holds eleven; with its first client it opens a file, which stays open.
#[test]
fn what_is_opened_once_is_no_leak_and_both_reports_say_so() {
    let (plan, log) = log::told("threads");
    let at = |phase| log.events.iter().find(|e| e.is == What::Phase(phase)).expect("a phase").at;
    let (ramp, all) = (at(Phase::Ramp), at(Phase::ReleaseAll));
    let told = |opened: bool| {
        let mut events = log.events.clone();
        events.extend(opened.then_some(Event {
            at: ramp,
            is: What::Call { pid: 100, name: Call::Openat, ret: 400, on: None },
        }));
        for event in events.iter_mut().filter(|e| e.at > all || (opened && e.at > ramp)) {
            if let What::Sample { descriptors, .. } = &mut event.is {
                *descriptors += 1;
            }
        }
        let log = Log::new(events);
        let report = Report::of(&plan, &log);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let texts = [
            report::terminal::render_full(std::slice::from_ref(&report), false, 100),
            report::explain::run(&report, &log, false, 100),
        ];
        (report, texts.map(words))
    };
    let (once, texts) = told(true);
    assert_eq!(
        (once.found.recovery.leaked.value(), once.found.ceiling.others, once.found.ceiling.accepted.value()),
        (Some(1), Some(1), Some(11))
    );
    assert_eq!(verdict(&once.found), Some(Verdict::Recovered), "{:?}", once.found.end);
    assert!(
        texts
            .iter()
            .all(|text| text
                .contains("1 more descriptor than before the first client stays open, opened once")),
        "{texts:?}"
    );
    let (leak, texts) = told(false);
    assert_eq!((leak.found.recovery.leaked.value(), verdict(&leak.found)), (Some(1), Some(Verdict::Leaking)));
    let told =
        |text: &String| text.contains("1 more descriptor than before the first client stays open: a leak");
    assert!(texts.iter().all(told), "{texts:?}");
}

#[test]
fn a_second_ceiling_that_is_the_same_takes_nothing_from_the_next() {
    let (plan, events) = with_second_ramp(8, 2);
    let log = Log::new(events);
    let report = Report::of(&plan, &log);
    assert_eq!(
        (verdict(&report.found), report.found.recovery.leaked.value()),
        (Some(Verdict::Recovered), Some(2))
    );
    let told = report::terminal::render(std::slice::from_ref(&report), false, 100)
        + &report::explain::run(&report, &log, false, 100);
    assert!(!told.contains("a leak") && !told.contains("It leaks"), "{told}");
}

/// Of three rounds the last ends with one less, and nothing is left open.
#[test]
fn a_ceiling_of_a_round_that_is_one_less_is_no_leak_where_nothing_stays_open() {
    let (plan, log) = log::told("spin");
    let release = log::released(&log.events);
    let mut events: Vec<Event> =
        log.events.iter().filter(|e| !(release..release + 500_000_000).contains(&e.at)).cloned().collect();
    let mut add = |after: u64, is| events.push(Event { at: release + after * 1_000_000, is });
    let call = |ret| What::Call { pid: 100, name: Call::Accept4, ret, on: None };
    for (begin, taken) in [(0, &[8, 9][..]), (20, &[8, 9]), (40, &[8])] {
        add(begin, What::Phase(Phase::ReleaseSome));
        [8, 9].into_iter().for_each(|fd| add(begin + 1, What::Close { pid: 100, fd }));
        (2..).zip(taken).for_each(|(after, ret)| add(begin + after, call(*ret)));
        add(begin + 10, call(-24));
    }
    let m = measure::measure(&plan, &Log::new(events));
    let ceilings: Vec<_> = m.rounds.rounds.iter().map(|round| round.ceiling.value()).collect();
    assert_eq!((ceilings.as_slice(), m.recovery.leaked.value()), (&[Some(8), Some(8), Some(7)][..], Some(0)));
    assert_ne!(verdict(&m), Some(Verdict::Leaking), "{:?}", m.end);
}

/// Its limit is raised by two before anybody leaves; then it spins at ten, or is not brought to its wall
/// again.
#[test]
fn a_second_ceiling_is_compared_with_that_under_the_limits_in_force() {
    for (then, takes, expected) in [
        (&[16, 17, -24][..], 10, Verdict::Recovered),
        (&[16, 17, -24], 8, Verdict::Degraded),
        (&[16], 8, Verdict::Recovered),
    ] {
        let (plan, mut events) = with_second_ramp(takes, 0);
        let at =
            events.iter().find(|e| e.is == What::Phase(Phase::ReleaseSome)).expect("a release").at - 100_000;
        let (was, raised) = (Limits { soft: 16, hard: 64 }, 18);
        let call = |(i, &ret): (u64, &i64)| Event {
            at: at + 10 + 10 * i,
            is: What::Call { pid: 100, name: Call::Accept4, ret, on: None },
        };
        events.extend(
            [What::Phase(Phase::Moved), What::LimitMoved { pid: 100, soft: raised, hard: 64, was }]
                .map(|is| Event { at, is }),
        );
        events.extend((1..).zip(then).map(call));
        let all = events.iter().find(|e| e.is == What::Phase(Phase::ReleaseAll)).expect("a release").at;
        events.extend((16..18).map(|fd| Event { at: all + 1_000_000, is: What::Close { pid: 100, fd } }));
        let m = measure::measure(&plan, &Log::new(events));
        assert_eq!(
            (m.ceiling.accepted.value(), m.rounds.second_ceiling.value()),
            (Some(8), Some(takes as u64))
        );
        assert_eq!(verdict(&m), Some(expected), "{then:?}: {:?}", m.end);
    }
}

#[test]
fn a_leak_that_keeps_every_new_client_out_is_stuck_under_a_moved_limit_as_well() {
    let (plan, mut events) = recorded_leak_that_is_stuck();
    let verdict = |events: &[Event]| verdict(&measure::measure(&plan, &Log::new(events.to_vec())));
    assert_eq!(verdict(&events), Some(Verdict::Stuck));
    let at = events.iter().find(|e| e.is == What::Phase(Phase::ReleaseSome)).expect("a release").at - 100_000;
    events.push(Event { at, is: What::Phase(Phase::Moved) });
    assert_eq!(verdict(&events), Some(Verdict::Stuck), "a limit was moved before");
}

/// A server that fails after all had left, with descriptors open, and serves no new client.
fn recorded_leak_that_is_stuck() -> (Plan, Vec<Event>) {
    let (plan, mut events) = with_second_ramp(8, 8);
    let all = events.iter().find(|e| e.is == What::Phase(Phase::ReleaseAll)).expect("a release").at;
    events
        .retain(|e| e.is != What::Phase(Phase::Again) && (e.at <= all || !matches!(e.is, What::Call { .. })));
    for event in events.iter_mut().filter(|e| e.at > all) {
        if let What::Probe { outcome, .. } = &mut event.is {
            *outcome = event::Outcome::Waits;
        }
    }
    events.push(Event {
        at: all + 5_000_000,
        is: What::Call { pid: 100, name: Call::Accept4, ret: -24, on: None },
    });
    (plan, events)
}

#[test]
fn connections_that_were_handed_over_count_in_the_second_ramp_as_they_did_in_the_first() {
    let (plan, events) = with_second_ramp(8, 0);
    let m = measure::measure(&plan, &Log::new(handed_over(events)));
    assert_eq!((m.ceiling.accepted.value(), m.handed_over.map(|h| h.connections)), (Some(8), Some(8)));
    assert_eq!(
        (m.rounds.second_ceiling.value(), verdict(&m)),
        (Some(8), Some(Verdict::Recovered)),
        "{:?}",
        m.end
    );
}

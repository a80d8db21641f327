//! What a full table does beside the accept loop: requests that fail in disguise, other ports, an accept
//! queue that overflows, memory.

use crate::log;
use crate::support::{Called, find, lastfd, program, recordings};
use lastfd::internal::event::{Call, Change, Client, Errno, Event, Label, Log, Outcome, Phase, SeenAs, What};
use lastfd::internal::judge::{self, NotMeasured, Observed, Outcome as Verdict};
use lastfd::internal::measure::{self, Findings, Kind, Known, MemoryAt, Policy, Why};
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::Expect;
use serde_json::{Value, json};

/// Runs a bundled server of 64 descriptors under a flood of 96 clients.
fn flooded(serve: &str, workload: &str, expect: &str, options: &[&str]) -> Called {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wall.scenario.toml");
    let text = format!(
        "claim = \"a full table\"\n[processes.server]\nserve.{serve}\nlimits = {{ soft = 64, hard = 64 }}\n\
         [workloads.flood]\n{workload} = {{ clients = 96 }}\n[expect]\n{expect}\n"
    );
    std::fs::write(&file, text).expect("written");
    lastfd(&[&["run", "--json", "-"], options, &[file.to_str().expect("UTF-8")]].concat())
}

#[test]
fn a_file_that_cannot_be_opened_is_told_as_500_and_named_under_either_observer() {
    for (observer, paths) in [("perf", json!([])), ("ptrace", json!(["/dev/null"]))] {
        let serve = "http = { opens = \"or-500\", accept = \"listener-off\" }";
        let called = flooded(serve, "http-idle", "disguise = [\"error-reply\"]", &["--observer", observer]);
        assert_eq!(called.code, Some(0), "{called:?}");
        let run = called.run();
        let (failed, disguise) = (&run["saturation"]["failed_calls"], &run["saturation"]["disguise"]);
        assert_eq!(
            (&failed[0]["call"], &failed[0]["errno"], &failed[0]["paths"]),
            (&json!("openat"), &json!("EMFILE"), &paths),
            "{run:#}"
        );
        // The server opens once for each request, and answers each that fails: the kernel counts the one,
        // clients the other.
        assert_eq!(
            (&disguise[0]["call"], &disguise[0]["seen_as"]),
            (&json!("openat"), &json!("error-reply")),
            "{run:#}"
        );
        assert_eq!((&disguise[0]["count"], &disguise[1]), (&failed[0]["count"], &Value::Null), "{run:#}");
        assert!(disguise[0]["reply"].as_str().is_some_and(|reply| reply.contains("500")), "{run:#}");
    }
}

#[test]
fn clients_that_are_closed_because_another_call_fails_are_shed_and_the_call_is_the_cause() {
    for (recorded, cause) in
        [("subject-a-process-and-a-file-each", Call::Openat), ("policy-tcp-64-reserve-fd", Call::Accept4)]
    {
        let (_, plan, log) = recordings().iter().find(|(name, ..)| name == recorded).expect("recorded");
        let found = Report::of(plan, log).found;
        assert_eq!(
            (found.policy.policy.value(), found.policy.cause),
            (Some(Policy::Sheds), Some(cause)),
            "{recorded}"
        );
        // Where accept itself fails, a client that is closed is no disguise.
        let disguised = found.disguise.iter().filter(|d| d.seen_as == SeenAs::Closed).count();
        assert_eq!(disguised, usize::from(!cause.accepts()), "{recorded}: {:?}", found.disguise);
    }
}

/// The first paragraph of a recorded run.
fn first_paragraph(recorded: &str) -> String {
    let (_, plan, log) = recordings().iter().find(|(name, ..)| name == recorded).expect("recorded");
    report::short::paragraph(&Report::of(plan, log))
}

#[test]
fn connections_that_are_held_and_got_only_an_error_are_said_in_the_first_paragraph() {
    let said = first_paragraph("find-upstream-closed");
    assert!(said.starts_with("The server was full at 57 connections"), "{said}");
    assert!(said.contains("It served only 8 of them: 49 got \"HTTP 503"), "{said}");
    assert!(said.contains("(socket failed with EMFILE)"), "{said}");
    assert!(!said.contains("answered none"), "an error reply is an answer: {said}");
    assert!(
        said.contains(
            "only in part: when some clients left, it served none of the 39 that waited and turned 5 of them away"
        ),
        "{said}"
    );
}

#[test]
fn a_server_that_the_question_ends_has_exited_and_has_no_limit_of_its_own() {
    let recorded = "subject-exits-when-a-client-leaves";
    let said = first_paragraph(recorded);
    assert!(said.contains("after lastfd had asked it which protocol it speaks"), "{said}");
    assert!(said.contains("--workload"), "{said}");
    let (_, plan, log) = recordings().iter().find(|(name, ..)| name == recorded).expect("recorded");
    let ceiling = Report::of(plan, log).found.ceiling;
    assert_eq!((ceiling.kind.value(), ceiling.exited_when_asked()), (Some(Kind::Exited), true));
}

#[test]
fn a_caller_that_accepts_nobody_is_not_said_to_have_accepted_connections() {
    let said = |recorded: &str| {
        let (_, plan, log) = recordings().iter().find(|(name, ..)| name == recorded).expect("recorded");
        let text = report::terminal::render_full(&[Report::of(plan, log)], false, 100);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let caller = said("scenario-grpc-leaked-bodies-calls");
    assert!(caller.contains("57 more descriptors than before its first call"), "{caller}");
    assert!(!caller.contains("that it accepted"), "{caller}");
    let relay = said("scenario-grpc-leaked-bodies-service");
    assert!(relay.contains("Besides connections that it accepted"), "{relay}");
}

#[test]
fn a_process_that_dies_of_a_failed_open_is_named_with_the_connections_that_it_held() {
    let called = flooded(
        "http = { opens = \"or-exit\", accept = \"fixed-delay\" }",
        "http-idle",
        "disguise = [\"exit\"]",
        &[],
    );
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    let disguise = run["saturation"]["disguise"].as_array().expect("a list");
    assert_eq!(
        (disguise.len(), &disguise[0]["seen_as"], &disguise[0]["call"]),
        (1, &json!("exit"), &json!("openat")),
        "{run:#}"
    );
    // All that there is room for: nobody had left.
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    assert_eq!(disguise[0]["count"].as_u64(), Some(64 - rest), "{run:#}");
}

/// Recorded; in the moment between the failed open and the exit another thread fails to accept.
#[test]
fn a_failed_accept_just_before_the_exit_does_not_hide_the_open_that_it_died_of() {
    let (_, plan, log) =
        recordings().iter().find(|(name, ..)| name == "scenario-wall-dies").expect("recorded");
    let exits = |e: &&Event| matches!(e.is, What::Process { change: Change::Exit, .. });
    let exit = log.events.iter().rfind(exits).expect("it dies");
    let What::Process { pid, .. } = exit.is else { unreachable!("it was found as one") };
    let failed = Event { at: exit.at - 1, is: What::Call { pid, name: Call::Accept4, ret: -24, on: None } };
    let seen = |log: &Log| {
        measure::measure(plan, log).disguise.iter().map(|d| (d.seen_as, d.call)).collect::<Vec<_>>()
    };
    let wanted = [(SeenAs::Exit, Call::Openat)];
    assert_eq!(seen(log), wanted);
    assert_eq!(seen(&Log::new(log.events.iter().cloned().chain([failed]).collect())), wanted);
}

/// A program that says why it ends fails in that, too: Python opens sources, perror(3) duplicates stderr.
#[test]
fn a_call_that_fails_in_the_message_about_a_failed_accept_is_not_blamed_alone() {
    let openat = What::Call { pid: 100, name: Call::Openat, ret: -24, on: None };
    let report = |change: &dyn Fn(&mut Vec<Event>)| {
        let (plan, log) = log::told("exits");
        let mut events = log.events;
        change(&mut events);
        Report::of(&plan, &Log::new(events))
    };
    let exits = |report: &Report| {
        let all = report.found.disguise.iter().filter(|d| d.seen_as == SeenAs::Exit);
        all.map(|d| (d.call, d.in_order.clone())).collect::<Vec<_>>()
    };
    // Its accept fails at 42 ms, and it exits at 42.5 ms.
    let both = report(&|events| events.push(log::event(42.2, openat.clone())));
    assert_eq!(exits(&both), [(Call::Openat, vec![Call::Accept4, Call::Openat])]);
    let text = report::terminal::render_full(&[both], false, 100);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("make its code survive a failed accept4 or openat."), "{text}");
    assert!(text.contains("exited just after accept4 had failed with EMFILE, and then openat;"), "{text}");
    // It accepted once more in between, so the first failure did not end it.
    let survived = report(&|events| {
        events.extend([log::accept(42.1, 15), log::event(42.2, openat.clone())]);
    });
    assert_eq!(exits(&survived), [(Call::Openat, Vec::new())]);
}

#[test]
fn a_second_port_of_the_process_dies_with_the_first_and_lives_where_there_is_room() {
    let serve = "http = { accept = \"spin\", tls = true, backlog = 20 }";
    let full = flooded(serve, "http-idle", "other-listeners = \"waits\"\ndisguise = []", &[]);
    assert_eq!(full.code, Some(0), "{full:?}");
    let others = full.run()["saturation"]["other_listeners"].clone();
    assert_eq!(
        (others.as_array().map(Vec::len), &others[0]["queue"], &others[0]["capacity"]),
        (Some(1), &json!(0), &json!(21)),
        "{others}"
    );
    let room = flooded(serve, "http-idle", "other-listeners = \"served\"", &[]);
    assert_eq!(room.code, Some(1), "{room:?}");
    assert_eq!(room.run()["reasons"][0]["expectation"], "other-listeners");
}

#[test]
fn an_accept_queue_that_is_full_says_what_it_dropped() {
    // One client fills it; whoever comes next is not answered.
    let run = flooded("tcp = { accept = \"spin\", backlog = 0 }", "tcp", "", &[]).run();
    let queue = &run["saturation"]["accept_queue"];
    assert_eq!(
        (&queue["capacity"], &queue["length"], &queue["most"]),
        (&json!(1), &json!(1), &json!(1)),
        "{run:#}"
    );
    assert_eq!(run["saturation"]["new_client"], "times-out", "{run:#}");
    assert!(queue["overflows"].as_u64() >= Some(1), "the new client's SYN at least: {run:#}");
    let series: Vec<&Value> = run["series"].as_array().expect("a list").iter().collect();
    assert!(
        series
            .iter()
            .any(|point| point["queue_overflows"].as_u64() >= Some(1)
                && point["memory_bytes"].as_u64() > Some(0)),
        "{run:#}"
    );
    assert!(
        run["tcp"].as_array().expect("a list").iter().any(|point| point["port"]["LISTEN"] == 1),
        "{run:#}"
    );
}

#[test]
fn nginx_sheds_nobody_whose_file_it_cannot_open_and_its_pause_is_found_beside() {
    if program("nginx").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().display();
    std::fs::write(folder.path().join("index.html"), "here\n").expect("written");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {here}/{name};\n"))
        .collect();
    let conf = format!(
        "daemon off; master_process off; pid {here}/pid; error_log stderr crit;\nevents {{ worker_connections 4096; }}\n\
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:PORT; root {here}; }} }}\n"
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, conf).expect("written");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("ours");
    let words =
        format!("sed s/PORT/$1/ {} > {here}/conf && exec nginx -c {here}/conf -p {here}", path.display());
    let command = ["sh", "-c", &words, "sh", "{port}"];
    // All at once, so that some are accepted before those that came first are answered.
    let options = ["--nofile", "64", "--workload", "http-idle", "--pace", "burst"];
    let run = find(&options, &command).run();
    let s = &run["saturation"];
    assert_eq!(
        (&s["disguise"][0]["call"], &s["disguise"][0]["seen_as"]),
        (&json!("openat"), &json!("error-reply")),
        "{run:#}"
    );
    assert_eq!(s["policy"], "fixed-delay", "{run:#}");
}

#[test]
fn nobody_connects_to_another_port_before_recovery_was_measured_unless_that_is_asked_for() {
    let called =
        flooded("http = { accept = \"spin\", tls = true, backlog = 20 }", "http-idle", "leaked = 0", &[]);
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    let other = &run["saturation"]["other_listeners"][0];
    assert_eq!(
        (&other["queue"], &other["capacity"], &other["new_client"], &other["new_client_last"]),
        (&json!(0), &json!(21), &json!(null), &json!("served")),
        "{other}"
    );
    let why = run["unmeasured"]["saturation.other_listeners.new_client"].as_str().expect("a reason");
    assert!(why.contains("before recovery was measured"), "{why}");
}

fn with(add: impl FnOnce(u64) -> Vec<Event>) -> (Findings, Report) {
    let (plan, log) = log::told("spin");
    let release = log::released(&log.events);
    let mut events = log.events;
    events.extend(add(release));
    let log = Log::new(events);
    (measure::measure(&plan, &log), Report::of(&plan, &log))
}

/// Of the told server that spins, with these failures and replies just before clients leave: milliseconds
/// before that.
fn replies(failed: &[u64], told: &[u64]) -> Vec<measure::Disguise> {
    const MS: u64 = 1_000_000;
    let (m, _) = with(|release| {
        let fail = |before: &u64| Event {
            at: release - before * MS,
            is: What::Call { pid: 100, name: Call::Socket, ret: -24, on: None },
        };
        let (workload, label, detail) = ("flood".to_owned(), Label::Held, "HTTP 503 Busy".to_owned());
        let reply = |before: &u64| Event {
            at: release - before * MS,
            is: What::Probe {
                workload: workload.clone(),
                label,
                outcome: Outcome::ErrorReply,
                detail: detail.clone(),
                connect_s: None,
                answer_s: Some(0.001),
            },
        };
        failed.iter().map(fail).chain(told.iter().map(reply)).collect()
    });
    assert_eq!(m.policy.policy.value(), Some(Policy::Spin));
    m.disguise
}

#[test]
fn a_reply_is_a_disguise_only_of_a_failure_of_its_own_just_before_it() {
    let one = replies(&[20], &[15]);
    assert_eq!(
        (one.len(), one[0].call, one[0].seen_as, one[0].count),
        (1, Call::Socket, SeenAs::ErrorReply, 1)
    );
    assert_eq!((one[0].errno, one[0].reply.as_str()), (Errno::EMFILE, "HTTP 503 Busy"));
    assert_eq!(replies(&[20], &[25]), [], "the reply came first");
    assert_eq!(replies(&[], &[15]), [], "nothing failed but accept");
    assert_eq!(replies(&[20, 19], &[15, 14, 13])[0].count, 2, "each failure explains one");
    let lines_of_log: Vec<u64> = (5..200).collect();
    assert_eq!(
        replies(&lines_of_log, &[15]),
        [],
        "so many fail for nobody that none is known to be the cause"
    );
}

/// sshd's MaxStartups turns clients away long before its socketpair fails; gevent's pool closes whoever has
/// been idle for two seconds.
#[test]
fn what_is_said_before_anything_failed_and_who_is_closed_for_being_idle_is_no_disguise() {
    const MS: u64 = 1_000_000;
    let told = |id, words: &str| What::Client {
        workload: "flood".into(),
        id,
        state: Client::ErrorReply(words.into()),
    };
    let fails = What::Call { pid: 100, name: Call::Socket, ret: -24, on: None };
    let of = |usual: &str| {
        let (m, _) = with(|release| {
            let ramp = log::began(&log::told("spin").1.events, Phase::Ramp);
            let (late, at) = (release - 20 * MS, release - 15 * MS);
            vec![
                Event { at: ramp + 1, is: told(900, usual) },
                Event { at: late, is: fails.clone() },
                Event { at, is: told(901, "Exceeded MaxStartups") },
            ]
        });
        m.disguise
    };
    assert_eq!(of("Exceeded MaxStartups"), []);
    assert_eq!(of("Not allowed")[0].reply, "Exceeded MaxStartups");

    let closed = |since: u64| {
        let (m, _) = with(|release| {
            let client = |state| What::Client { workload: "flood".into(), id: 902, state };
            vec![
                Event { at: release - 16 * MS - since, is: client(Client::Served) },
                Event { at: release - 16 * MS, is: fails.clone() },
                Event { at: release - 15 * MS, is: client(Client::Closed) },
            ]
        });
        m.disguise.len()
    };
    assert_eq!((closed(5 * MS), closed(1010 * MS)), (1, 0));
}

/// The spinning had ended the report of single failures before the first file could not be opened.
#[test]
fn calls_that_only_the_totals_tell_of_are_named_and_a_way_that_was_not_seen_is_left_open() {
    const MS: u64 = 1_000_000;
    let (mut plan, mut log) = log::told("spin");
    let release = log::released(&log.events);
    let reply = What::Probe {
        workload: "flood".into(),
        label: Label::Held,
        outcome: Outcome::ErrorReply,
        detail: "HTTP 500".into(),
        connect_s: None,
        answer_s: Some(0.001),
    };
    let total = What::Failures { name: Call::Openat, total: 3 };
    log.events
        .extend([Event { at: release - 20 * MS, is: reply }, Event { at: release - 15 * MS, is: total }]);
    let log = Log::new(log.events);
    plan.expect.disguise = Some(vec![SeenAs::ErrorReply]);
    let report = Report::of(&plan, &log);
    let (failed, seen) = (&report.found.failed_calls[0], &report.found.disguise[0]);
    assert_eq!((failed.call, failed.errno, failed.count), (Call::Openat, Errno::EMFILE, 3));
    assert_eq!(
        (seen.call, seen.errno, seen.seen_as, seen.count),
        (Call::Openat, Errno::EMFILE, SeenAs::ErrorReply, 1)
    );
    assert_eq!(report.verdict.outcome, Verdict::Met, "{:?}", report.verdict.reasons);
    plan.expect.disguise = Some(vec![SeenAs::ErrorReply, SeenAs::Closed]);
    assert_eq!(
        Report::of(&plan, &log).verdict.outcome,
        Verdict::Inconclusive,
        "a failure that made a close may be among those that nobody saw"
    );
    let whole = Log::new(log.events.into_iter().filter(|e| e.is != What::SamplingStopped).collect());
    assert_eq!(Report::of(&plan, &whole).verdict.outcome, Verdict::NotMet);
}

/// Of the told server, where each other listener must let clients wait: what its verdict and reason are with
/// these.
fn listeners(found: &[(u16, Option<Outcome>)]) -> (judge::Outcome, Vec<Observed>) {
    let (mut plan, log) = log::told("spin");
    plan.expect = Expect { other_listeners: Some(Outcome::Waits), ..Expect::default() };
    let release = log::released(&log.events);
    let one = |&(port, new_client): &(u16, Option<Outcome>)| {
        let is = What::OtherListener {
            address: format!("0.0.0.0:{port}"),
            queue: 0,
            capacity: 5,
            drops: Some(0),
            new_client,
        };
        Event { at: release - 1, is }
    };
    let report = Report::of(&plan, &Log::new(log.events.into_iter().chain(found.iter().map(one)).collect()));
    let untried = found.iter().any(|(_, got)| got.is_none());
    assert_eq!(
        report::json::run(&report)["unmeasured"].get("saturation.other_listeners.new_client").is_some(),
        untried,
        "a null has its reason"
    );
    (report.verdict.outcome, report.verdict.reasons.into_iter().map(|reason| reason.observed).collect())
}

#[test]
fn a_listener_that_was_not_tried_leaves_the_verdict_open_unless_another_differs() {
    let (waits, served) = (Some(Outcome::Waits), Some(Outcome::Served));
    assert_eq!(listeners(&[(81, waits), (82, waits)]), (judge::Outcome::Met, vec![]));
    let (verdict, reasons) = listeners(&[(81, waits), (82, None)]);
    assert_eq!(verdict, judge::Outcome::Inconclusive);
    assert_eq!(reasons, [Observed::NotMeasured(NotMeasured::PortNotTried(82))]);
    assert_eq!(
        listeners(&[(81, None), (82, served)]).0,
        judge::Outcome::NotMet,
        "whatever the other would say"
    );
    assert_eq!(listeners(&[]).0, judge::Outcome::Inconclusive);
}

#[test]
fn what_happens_at_the_wall_has_one_label_whatever_stopped_it() {
    let (_, mut report) = with(|release| {
        let new_client = Some(Outcome::Waits);
        vec![Event {
            at: release - 1,
            is: What::OtherListener {
                address: "127.0.0.1:81".into(),
                queue: 0,
                capacity: 5,
                drops: None,
                new_client,
            },
        }]
    });
    let labels = |report: &Report| {
        report::terminal::render(std::slice::from_ref(report), false, 100).matches("At the wall").count()
    };
    assert_eq!(labels(&report), 1);
    report.found.policy.policy = Known::Unknown(Why::SomethingElseRanOut);
    report.found.ceiling.kind = Known::Value(Kind::OtherLimit);
    assert_eq!(labels(&report), 1, "something else ran out");
    report.found.ceiling.kind = Known::Unknown(Why::NoObserver);
    assert_eq!(labels(&report), 1, "nobody knows what");
}

#[test]
fn memory_is_told_at_rest_at_the_wall_as_it_grows_and_after() {
    const MS: u64 = 1_000_000;
    let add = |grows: u64, over: u64| {
        move |release: u64| {
            let beside =
                |at, resident| Event { at, is: What::Beside { resident: Some(resident), drops: Some(0) } };
            let wall = release - over - MS;
            vec![beside(1, 10_000_000), beside(wall, 12_000_000), beside(wall + over, 12_000_000 + grows)]
        }
    };
    let (m, report) = with(add(20_000_000, 1000 * MS));
    let memory = m.memory;
    assert_eq!(
        (memory.rest_bytes.value(), memory.wall_bytes.value(), memory.growth_bytes_per_s.value()),
        (Some(10_000_000), Some(12_000_000), Some(20_000_000.0))
    );
    assert_eq!(memory.after_bytes.why(), Some(&Why::MemoryNotRead(MemoryAt::End)));
    let text = |report: Report| {
        report::terminal::render(&[report], false, 100).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = text(report);
    assert!(
        said.contains(
            "Its memory grows by 20.0 MB/s at the wall: 10.0 MB before the first client, 12.0 MB at the wall."
        ),
        "{said}"
    );
    let quiet = text(with(add(10_000, 1000 * MS)).1);
    assert!(!quiet.contains("memory"), "what does not grow has no line: {quiet}");
    let (m, short) = with(add(1_000_000, 50 * MS));
    let why = m.memory.growth_bytes_per_s.why();
    assert_eq!(why, Some(&Why::TooShortForARate { watched_s: 0.05 }), "what is first done is no growth");
    assert!(!text(short).contains("memory grows"));
}

/// A server of `tests/subjects.rs` under a limit of 64 descriptors.
fn limited(server: &str, observer: &str) -> Value {
    let words = crate::support::subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    find(&["--nofile", "64", "--clients", "30", "--observer", observer], &words).run()
}

#[test]
fn a_program_that_is_full_at_rest_has_a_ceiling_of_zero_and_its_retries_are_seen() {
    for observer in ["perf", "ptrace"] {
        let run = limited("is_full_at_rest", observer);
        let ceiling = &run["ceiling"];
        assert_eq!(
            (&ceiling["kind"], &ceiling["capacity"], &ceiling["binds"]["resource"]),
            (&json!("emfile"), &json!(0), &json!("descriptors")),
            "{run:#}"
        );
        assert_eq!(ceiling["first_failure"]["call"], "accept4", "{ceiling:#}");
        assert_eq!(run["saturation"]["policy"], "spin", "{run:#}");
    }
}

#[test]
fn who_is_answered_before_the_connection_is_closed_is_not_turned_away() {
    let run = limited("keeps_four_connections_alive", "perf");
    let account = &run["saturation"]["clients_account"];
    assert_eq!((&account["held"], &account["answered_first"]), (&json!(4), &json!(26)), "{account:#}");
    assert_eq!((&run["ceiling"]["kind"], &run["ceiling"]["capacity"]), (&json!("own-limit"), &json!(4)));
    assert_eq!(run["saturation"]["new_client"], "served", "{run:#}");
}

//! Mechanisms of programs that nobody had in mind: each was reported wrongly once.

use crate::support::{LASTFD, find, lastfd, program, subject};
use lastfd::internal::event::{self, Phase, What};
use serde_json::Value;
use std::path::Path;

/// A run of a server of the tests at a soft limit of 64, by an observer.
fn run(observer: &str, server: &str, options: &[&str]) -> Value {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let fixed = ["--nofile", "64", "--workload", "tcp", "--observer", observer];
    find(&[&fixed, options].concat(), &words).run()
}

/// A run of a Python program of the tests; `None`, visibly, where Python is missing.
fn run_script(observer: &str, script: &str, options: &[&str]) -> Option<Value> {
    program("python3")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects").join(script);
    let command = ["python3", script.to_str().expect("UTF-8"), "{port}"];
    let fixed = ["--nofile", "64", "--workload", "tcp", "--observer", observer];
    Some(find(&[&fixed, options].concat(), &command).run())
}

fn account(found: &Value) -> &Value {
    &found["saturation"]["clients_account"]
}

/// The same run as text, its lines joined.
fn told(server: &str, options: &[&str]) -> String {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let fixed = ["find", "--nofile", "64", "--workload", "tcp"];
    let called = lastfd(&[&fixed, options, &["--"], &words].concat());
    called.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_loop_that_waits_for_several_closes_is_not_said_to_wait_for_one() {
    let said = told("mutes_until_three_have_left", &[]);
    assert!(said.contains("It tries again only when some of its connections are closed"), "{said}");
    assert!(!said.contains("one of its connections"), "{said}");
    assert!(told("mutes", &[]).contains("accepts again only when one of its connections is closed"));
}

#[test]
fn a_server_that_closes_all_that_it_holds_for_the_next_client_sheds_no_new_one() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "gives_way_at_once", &["--clients", "150"]);
        assert_eq!(account(&found)["turned_away"], 0, "{observer}: all were held: {found:#}");
        let evidence = found["saturation"]["policy_evidence"].as_str().unwrap_or_default();
        assert!(evidence.contains("it closed connections that it held"), "{observer}: {found:#}");
    }
}

#[test]
fn a_timer_of_90_ms_for_every_client_sheds_nobody() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "closes_after_90_ms", &["--clients", "200"]);
        assert_ne!(found["saturation"]["policy"], "sheds", "{observer}: {found:#}");
    }
}

#[test]
fn who_closes_only_clients_that_it_cannot_serve_has_no_idle_timer() {
    let found = run("perf", "gives_up_after_700_ms", &["--pace", "burst"]);
    assert!(found["ceiling"]["idle_timeout"].is_null(), "{found:#}");
    // It keeps all others for the whole run.
    assert!(found["ceiling"]["accepted"].as_u64() > Some(20), "{found:#}");
}

#[test]
fn clients_that_wait_for_their_greeting_are_said() {
    let found = run("perf", "greets_five_at_a_time", &[]);
    let clients = account(&found);
    let held = clients["held"].as_u64().expect("a number");
    assert_eq!(clients["ungreeted"], held - 5, "{found:#}");
    let said = told("greets_five_at_a_time", &[]);
    assert!(said.contains("It greeted only 5 of them"), "{said}");
}

/// A run of a server of the tests whose clients wait to be greeted.
fn greeted(server: &str) -> Value {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    find(&["--nofile", "64", "--expect", "^220", "--clients", "60"], &words).run()
}

#[test]
fn a_server_that_still_turns_new_clients_away_when_all_have_left_is_not_stuck() {
    let found = greeted("takes_twenty_in_thirty_seconds");
    assert_eq!(found["ceiling"]["accepted"], 20, "{found:#}");
    assert_eq!(found["recovery"]["recovered"], false, "{found:#}");
    // Another one would be served later.
    assert!(found["recovery"]["verdict"].is_null(), "{found:#}");
}

#[test]
fn connections_that_were_reset_and_stay_open_were_not_opened_once() {
    let words = subject("keeps_twenty_that_were_reset");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for observer in ["perf", "ptrace"] {
        let found = find(&["--nofile", "64", "--expect", "^220", "--observer", observer], &words).run();
        assert_eq!(found["recovery"]["verdict"], "leaking", "{observer}: {found:#}");
        assert_eq!(found["recovery"]["leaked"], 20, "{observer}: {found:#}");
    }
}

#[test]
fn a_loop_that_a_client_of_another_port_wakes_has_not_accepted_when_clients_left() {
    for observer in ["perf", "ptrace"] {
        let options = ["--env", "PORT={port}", "--clients", "80", "--hold", "2s"];
        let found = run(observer, "another_port_wakes_it", &options);
        assert_eq!(found["saturation"]["policy"], "accept-loop-dead", "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "stuck", "{observer}: {found:#}");
    }
}

#[test]
fn a_failure_when_all_have_left_is_no_ceiling() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "takes_twelve_and_then_all", &[]);
        let ceiling = &found["ceiling"];
        assert_eq!(ceiling["accepted"], 12, "{observer}: {found:#}");
        assert_eq!(ceiling["kind"], "own-limit", "{observer}: {found:#}");
        assert!(ceiling["first_failure"].is_null(), "{observer}: {found:#}");
    }
}

#[test]
fn a_greeting_before_the_end_is_no_error_reply() {
    let found = run("perf", "greets_before_it_fails", &[]);
    assert_eq!(found["saturation"]["new_client"], "closed", "{found:#}");
    let said = told("greets_before_it_fails", &[]);
    assert!(!said.contains("error reply"), "{said}");
}

#[test]
fn what_a_timer_closes_two_seconds_after_all_have_left_leaks_not() {
    let found = run("perf", "lingers_for_2_s", &[]);
    assert_eq!(found["recovery"]["leaked"], 0, "{found:#}");
    assert_ne!(found["recovery"]["verdict"], "leaking", "{found:#}");
}

#[test]
fn clients_that_are_taken_when_all_have_left_were_not_held_at_the_wall() {
    let found = run("perf", "opens_its_files_later", &["--clients", "120"]);
    let ceiling = &found["ceiling"];
    let (most, numbers) = (ceiling["accepted_max"].as_u64(), found["ceiling"]["descriptors"].as_u64());
    // Half of the numbers are of files.
    assert!(most <= numbers.map(|n| n / 2 + 1), "{found:#}");
}

#[test]
fn a_worker_is_replaced_by_the_process_that_accepts_next() {
    let serve = [LASTFD, "serve", "tcp", "--port", "{port}", "--accept", "exit"];
    let again = ["sh", "-c", "while :; do \"$@\"; sleep 0.3; done", "sh"];
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let options = ["--nofile", "64", "--workload", "tcp", "--events", path];
    let found = find(&options, &[&again[..], &serve].concat()).run();
    assert_eq!(found["saturation"]["policy"], "worker-restarts", "{found:#}");
    let evidence = found["saturation"]["policy_evidence"].as_str().unwrap_or_default();
    let by = evidence.split_once("process ").and_then(|(_, rest)| rest.split_once(" replaced it"));
    let by: i32 = by.and_then(|(pid, _)| pid.parse().ok()).unwrap_or_else(|| panic!("{found:#}"));
    let log = event::read(log.path()).expect("a whole log");
    let took = log.events.iter().any(|event| match event.is {
        What::Call { pid, name, ret, .. } => pid == by && name.accepts() && ret >= 0,
        _ => false,
    });
    assert!(took, "{by} accepted nobody: {found:#}");
}

#[test]
fn a_server_that_reads_no_ends_is_not_waited_for_as_if_a_timer_might_close_them() {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let found = run("perf", "reads_no_ends", &["--events", path]);
    // It may sweep at a greater age than was waited for.
    assert!(found["recovery"]["verdict"].is_null(), "{found:#}");
    let log = event::read(log.path()).expect("a whole log");
    let begins = |phase| log.events.iter().find(|e| e.is == What::Phase(phase)).map(|e| e.at);
    let waited = begins(Phase::Settle).zip(begins(Phase::ReleaseAll)).map(|(until, from)| until - from);
    // Whoever may close by a timer is waited for twice as long, and longer.
    assert!(waited.is_some_and(|waited| waited < 90_000_000_000), "{waited:?} ns: {found:#}");
}

#[test]
fn closing_the_oldest_for_each_new_client_is_no_closing_of_new_clients() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "gives_way", &["--clients", "150"]);
        let (held, clients) = (found["ceiling"]["accepted"].as_u64(), account(&found));
        assert_eq!(found["saturation"]["policy"], "sheds", "{observer}: {found:#}");
        assert_eq!(clients["turned_away"], 0, "{observer}: all were held for a while: {found:#}");
        // One leaves for each that comes beyond; the probe takes one more.
        let closed = clients["closed"].as_u64().expect("a number");
        let beyond = 150 - held.expect("a number");
        assert!((beyond..=beyond + 3).contains(&closed), "{observer}: {closed} of {beyond}: {found:#}");
    }
}

#[test]
fn a_timer_that_soon_closes_every_client_sheds_nobody() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "closes_after_150_ms", &["--clients", "200"]);
        assert_ne!(found["saturation"]["policy"], "sheds", "{observer}: {found:#}");
        assert_eq!(account(&found)["turned_away"], 0, "{observer}: {found:#}");
        let after_s = found["ceiling"]["idle_timeout"]["after_s"].as_f64();
        assert!(after_s.is_some_and(|s| (0.1..1.0).contains(&s)), "{observer}: {found:#}");
    }
}

#[test]
fn a_server_that_listens_again_when_clients_have_left_recovers() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "listens_again_when_all_have_left", &["--clients", "40"]);
        assert_eq!(found["ceiling"]["accepted"], 20, "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "recovered", "{observer}: {found:#}");
    }
}

#[test]
fn a_server_that_made_room_in_its_pause_is_waited_for_as_long_as_it_pauses() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "pauses_for_6_s_and_makes_room", &["--hold", "1s", "--clients", "100"]);
        assert_eq!(found["saturation"]["policy"], "fixed-delay", "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "recovered", "{observer}: {found:#}");
    }
}

/// A run where every tenth of 40 clients is answered so many seconds later.
fn with_late_answers(seconds: &str) -> Value {
    let late = format!("LATE_S={seconds}");
    let asks = ["--nofile", "64", "--send", "x", "--expect", "y", "--clients", "40", "--env", &late];
    let words = subject("answers_some_late");
    find(&asks, &words.iter().map(String::as_str).collect::<Vec<_>>()).run()
}

#[test]
fn clients_that_are_answered_late_are_no_limit_where_the_next_one_is_answered() {
    let found = with_late_answers("9");
    assert_eq!(found["ceiling"]["kind"], "not-reached", "{found:#}");
    assert_eq!(found["ceiling"]["accepted"], 40, "{found:#}");
    assert_eq!(account(&found)["waiting"], 4, "every tenth waits for its answer: {found:#}");
}

#[test]
fn an_answer_is_waited_for_as_long_as_a_look_up_that_nobody_answers_takes() {
    let found = with_late_answers("4");
    assert_eq!(account(&found)["held"], 40, "{found:#}");
}

#[test]
fn the_answer_that_everybody_gets_is_not_told_as_that_of_the_few_that_got_an_error() {
    let words = subject("redirects_what_it_finds");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = find(&["--nofile", "64", "--workload", "http-idle"], &words).run();
    let replies = &found["ceiling"]["error_replies"];
    assert_eq!(replies["first"], "HTTP 404 Not Found", "{found:#}");
    assert_eq!(replies["others"], 0, "{found:#}");
    let all = find(&["--nofile", "64", "--workload", "http-idle", "--clients", "8"], &words).run();
    let replies = &all["ceiling"]["error_replies"];
    assert_eq!(
        (&replies["first"], &replies["clients"]),
        (&"HTTP 303 See Other".into(), &8.into()),
        "{all:#}"
    );
}

#[test]
fn a_client_that_is_closed_because_another_call_fails_was_never_held() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "needs_a_file_for_each_client", &["--clients", "60"]);
        assert_eq!(found["saturation"]["policy"], "sheds", "{observer}: {found:#}");
        assert_eq!(found["saturation"]["held_closed_by_server"], 0, "{observer}: {found:#}");
        let clients = account(&found);
        let number = |name: &str| clients[name].as_u64().expect("a number");
        assert_eq!(number("turned_away"), number("connected") - number("held"), "{observer}: {found:#}");
    }
}

/// Forks a helper at every twentieth client, which closes all that it was forked with, and lives on. When it
/// has, closes the five oldest clients.
const FORKS_HELPERS: &str = r#"
import os, select, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
ready, held, came = select.poll(), {}, 0
ready.register(server, select.POLLIN)
while True:
    for fd, _ in ready.poll():
        if fd != server.fileno():
            ready.unregister(fd)
            held.pop(fd).close()
            continue
        try: client, _ = server.accept()
        except OSError: time.sleep(0.05); continue
        held[client.fileno()] = client
        ready.register(client, select.POLLIN)
        came += 1
        if came % 20 or came > 40: continue
        closed, copy = os.pipe()
        if os.fork() == 0:
            os.closerange(3, 1 << 20)
            while True: time.sleep(1000)
        os.close(copy)
        os.read(closed, 1)
        os.close(closed)
        for fd in list(held)[:5]:
            ready.unregister(fd)
            held.pop(fd).close()
"#;

#[test]
fn a_forked_helper_that_closes_a_range_holds_no_connection() {
    if program("python3").is_none() {
        return;
    }
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", "64", "--workload", "tcp", "--pace", "burst", "--observer", observer];
        let found = find(&options, &["python3", "-c", FORKS_HELPERS, "{port}"]).run();
        let ceiling = &found["ceiling"];
        assert!(ceiling["handed_over"].is_null(), "{observer}: {found:#}");
        let free = 64 - found["baseline"]["counted"].as_u64().expect("a number");
        assert_eq!(ceiling["accepted"], free, "{observer}: {found:#}");
        assert_eq!(account(&found)["held"], free, "{observer}: {found:#}");
        assert_eq!(account(&found)["turned_away"], 10, "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "recovered", "{observer}: {found:#}");
    }
}

#[test]
fn a_loop_that_gives_up_after_some_tries_is_dead_and_has_no_rhythm() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "gives_up_after_four_tries", &[]);
        assert_eq!(found["saturation"]["policy"], "accept-loop-dead", "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "stuck", "{observer}: {found:#}");
    }
}

#[test]
fn connections_that_are_closed_as_the_next_client_comes_leak_not() {
    let found = run("perf", "closes_them_when_the_next_comes", &[]);
    assert_eq!(found["recovery"]["verdict"], "recovered", "{found:#}");
    assert_eq!(found["recovery"]["leaked"], 0, "{found:#}");
}

#[test]
fn those_that_waited_and_were_closed_as_they_were_accepted_were_not_served() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "forgets_one_file_of_a_client", &["--clients", "60"]);
        let recovery = &found["recovery"];
        let number = |name: &str| recovery[name].as_u64().unwrap_or_else(|| panic!("{name}: {found:#}"));
        // Each that left made room for one at most.
        assert!(number("waiters_served") <= number("released"), "{observer}: {found:#}");
        assert!(number("waiters_turned_away") > 0, "{observer}: {found:#}");
    }
}

#[test]
fn greetings_that_still_come_are_waited_for() {
    let found = run("perf", "greets_one_each_40_ms", &[]);
    // The last one may have been taken just as the watch was over.
    assert!(account(&found)["ungreeted"].as_u64() <= Some(1), "{found:#}");
}

#[test]
fn work_that_a_timer_begins_after_the_accept_counts_for_the_capacity() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "opens_a_file_50_ms_later", &[]);
        let (rest, held) = (found["baseline"]["descriptors"].as_u64(), &found["ceiling"]["capacity"]);
        // Two descriptors for each, and accept needs a free one.
        let most = rest.map(|rest| (64 - rest) / 2);
        assert!(held.as_u64() <= most && held.as_u64() >= most.map(|n| n - 1), "{observer}: {found:#}");
    }
}

#[test]
fn processes_that_say_that_they_are_full_are_what_binds() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "tells_those_for_whom_its_child_has_no_number", &["--clients", "90"]);
        assert_eq!(found["ceiling"]["binds"]["resource"], "descriptors", "{observer}: {found:#}");
    }
}

#[test]
fn one_of_several_processes_that_never_accepts_again_is_named_and_the_server_recovers() {
    let Some(found) = run_script("perf", "one_of_two_gives_up.py", &["--clients", "150"]) else { return };
    assert_eq!(found["saturation"]["policy"], "accept-loop-dead", "{found:#}");
    let evidence = found["saturation"]["policy_evidence"].as_str().unwrap_or_default();
    assert!(evidence.contains("other processes accepted"), "{found:#}");
    assert_eq!(found["recovery"]["recovered"], true, "{found:#}");
}

#[test]
fn a_message_queue_that_fails_with_emfile_is_another_limit_than_that_of_descriptors() {
    for observer in ["perf", "ptrace"] {
        let Some(found) = run_script(observer, "message_queue.py", &["--clients", "60"]) else { return };
        assert_eq!(found["ceiling"]["binds"]["resource"], "other-kernel-limit", "{observer}: {found:#}");
    }
}

/// The same of an HTTP server.
fn run_http(observer: &str, script: &str) -> Option<Value> {
    program("python3")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects").join(script);
    let command = ["python3", script.to_str().expect("UTF-8"), "{port}"];
    let fixed = ["--nofile", "64", "--workload", "http-idle", "--observer", observer];
    Some(find(&fixed, &command).run())
}

/// Clients that come together share the file; one that comes alone shows that each needs a number for it.
#[test]
fn a_file_that_several_clients_share_leaves_no_number_for_the_last_one() {
    for observer in ["perf", "ptrace"] {
        let Some(found) = run_http(observer, "one_file.py") else { return };
        let free = 64 - found["baseline"]["descriptors"].as_u64().expect("a count");
        assert_eq!(found["prediction"]["ceiling"], free - 1, "{observer}: {found:#}");
        assert_eq!(found["ceiling"]["capacity"], free - 1, "{observer}: {found:#}");
    }
}

#[test]
fn a_server_that_holds_two_at_a_time_is_bounded_by_its_rule_and_not_by_its_idle_timer() {
    for observer in ["perf", "ptrace"] {
        let Some(found) = run_http(observer, "two_at_a_time.py") else { return };
        assert_eq!(found["ceiling"]["kind"], "own-limit", "{observer}: {found:#}");
        assert_eq!(found["ceiling"]["accepted"], 2, "{observer}: {found:#}");
        assert_eq!(account(&found)["turned_away"], 0, "{observer}: it held them: {found:#}");
    }
}

#[test]
fn a_client_that_is_given_away_after_two_looks_costs_no_number_for_good() {
    let Some(found) = run_script("perf", "hands_on_later.py", &["--clients", "90"]) else { return };
    assert_eq!(found["ceiling"]["kind"], "not-reached", "{found:#}");
    assert!(found["prediction"]["ceiling"].is_null(), "{found:#}");
}

#[test]
fn a_server_that_closed_its_listener_by_a_rule_of_its_own_may_open_it_again() {
    for observer in ["perf", "ptrace"] {
        let Some(found) = run_script(observer, "enough.py", &[]) else { return };
        assert_eq!(found["verdict"], "met", "{observer}: nothing contradicts: {found:#}");
        assert_eq!(found["ceiling"]["kind"], "own-limit", "{observer}: {found:#}");
        assert_eq!(found["ceiling"]["capacity"], found["ceiling"]["accepted"], "{observer}: {found:#}");
        assert!(found["recovery"]["verdict"].is_null(), "{observer}: {found:#}");
    }
}

/// A client that asks nothing is taken by every server, and closed a moment later by this one.
#[test]
fn a_server_that_closes_each_new_client_after_all_have_left_has_not_recovered() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/enough.py");
    if program("python3").is_none() {
        return;
    }
    let options = ["--nofile", "64", "--workload", "tcp"];
    let found = find(&options, &["python3", script.to_str().expect("UTF-8"), "{port}", "away"]).run();
    assert!(found["recovery"]["verdict"].is_null(), "{found:#}");
    assert_eq!(found["recovery"]["recovered"], false, "{found:#}");
}

/// The number that its thread has reserved becomes the client's: the process does not grow, and has handed
/// nobody on.
#[test]
fn processes_that_block_in_accept_are_not_said_to_hand_their_clients_on() {
    for observer in ["perf", "ptrace"] {
        let Some(found) = run_script(observer, "spares.py", &[]) else { return };
        assert!(!found["prediction"]["ceiling"].is_null(), "{observer}: {found:#}");
        assert_eq!(found["ceiling"]["kind"], "own-limit", "{observer}: {found:#}");
    }
}

#[test]
fn clients_that_a_timer_closes_while_others_come_were_not_turned_away() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/two_at_a_time.py");
    if program("python3").is_none() {
        return;
    }
    let options = ["--nofile", "64", "--workload", "tcp"];
    let found = find(&options, &["python3", script.to_str().expect("UTF-8"), "{port}", "1.5"]).run();
    assert_eq!(account(&found)["turned_away"], 0, "{found:#}");
    assert_eq!(found["ceiling"]["accepted"], 2, "{found:#}");
}

#[test]
fn a_number_that_a_thread_in_accept_keeps_and_a_file_opened_later_are_told_apart() {
    let said = told("opens_a_file_for_its_twentieth_client", &[]);
    assert!(said.contains("already in use, minus 1 opened since"), "{said}");
}

/// None of them was in the accept queue: it had accepted all, and given them away.
#[test]
fn clients_of_processes_that_end_with_their_parent_were_not_in_the_queue() {
    let Some(found) = run_script("perf", "ends_its_children.py", &[]) else { return };
    let exit = &account(&found)["exit"];
    assert!(exit["held"].as_u64() >= Some(20), "{found:#}");
    assert_eq!(exit["held"], exit["clients"], "{found:#}");
}

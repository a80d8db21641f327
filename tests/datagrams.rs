//! Servers that are loaded by UDP: how many flows they answer, what a flow costs, and whether descriptors
//! bound their number at all.

use crate::support::{Called, LASTFD, find, lastfd, program};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `lastfd find` on the bundled UDP server with these options.
fn served(options: &[&str], serve: &[&str]) -> Called {
    find(&[&["--nofile", "64"], options].concat(), &[&[LASTFD, "serve", "datagram"], serve].concat())
}

fn asked(serve: &[&str]) -> Value {
    let called = served(&["--udp", "--send", "ask {client}", "--expect", r"^ask \d{10}$"], serve);
    assert_eq!(called.code, Some(0), "{called:?}");
    called.run()
}

#[test]
fn a_server_that_opens_sockets_for_each_flow_answers_as_many_as_it_has_descriptors_left() {
    for each in [1, 3] {
        let run = asked(&["--per-flow", &each.to_string(), "--idle-ms", "10000"]);
        let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
        let flows = json!((64 - rest) / each);
        let first = &run["ceiling"]["first_failure"];
        assert_eq!((&first["call"], &first["errno"]), (&json!("socket"), &json!("EMFILE")), "{run:#}");
        assert_eq!(run["ceiling"]["capacity"], flows, "{run:#}");
        assert_eq!(run["prediction"]["ceiling"], flows, "{run:#}");
        // What the clients saw is another witness than the calls.
        assert_eq!(run["flows"]["answered"], flows, "{run:#}");
        assert!(run["flows"]["unanswered"].as_u64() > Some(0), "{run:#}");
        assert_eq!(run["flows"]["kinds"], json!([{ "kind": "udp", "descriptors": each as f64 }]), "{run:#}");
        assert_eq!(run["saturation"]["new_client"], "waits", "{run:#}");
        assert!(run["saturation"]["policy"].is_null() && run["saturation"]["accept_queue"].is_null());
        assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
        assert_eq!(run["recovery"]["leaked"], 0, "{run:#}");
        assert!(run["flows"]["closed_after_s"].as_f64() > Some(0.0), "{run:#}");
    }
}

#[test]
fn a_server_that_answers_all_flows_by_one_socket_is_told_apart() {
    let run = asked(&["--per-flow", "0"]);
    assert_eq!(run["flows"]["cost"], "nothing", "{run:#}");
    assert_eq!(run["ceiling"]["kind"], "not-reached", "{run:#}");
    assert_eq!(run["flows"]["unanswered"], 0, "{run:#}");
    assert!(run["flows"]["answered"].as_u64() > Some(64), "{run:#}");
    assert!(run["ceiling"]["capacity"].is_null() && run["prediction"]["ceiling"].is_null(), "{run:#}");
}

/// As a DNS server opens one socket for each query to another server.
#[test]
fn descriptors_that_are_closed_after_the_answer_do_not_bound_flows() {
    let run = asked(&["--per-flow", "1", "--idle-ms", "0"]);
    assert_eq!(run["flows"]["cost"], "closed-again", "{run:#}");
    assert_eq!(run["ceiling"]["kind"], "not-reached", "{run:#}");
    let flows = run["flows"]["answered"].as_u64();
    assert!(flows > Some(64) && run["flows"]["opened"].as_u64() >= flows, "{run:#}");
}

/// A program that announces itself by UDP first, and opens its port later.
#[test]
fn a_port_that_is_opened_after_a_udp_socket_is_waited_for() {
    if program("python3").is_none() {
        return;
    }
    let late = "import socket, sys, threading, time\n\
                u = socket.socket(type=socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); time.sleep(2)\n\
                s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
                def hold(c): c.recv(1); c.close()\n\
                while True:\n    \
                try: threading.Thread(target=hold, args=(s.accept()[0],), daemon=True).start()\n    \
                except OSError: time.sleep(.05)";
    let run = find(&["--nofile", "32", "--hold", "1s"], &["python3", "-c", late, "{port}"]).run();
    assert_eq!(run["ceiling"]["first_failure"]["errno"], "EMFILE", "{run:#}");
}

#[test]
fn a_datagram_has_something_to_send() {
    let file = tempfile::Builder::new().suffix(".scenario.toml").tempfile().expect("a file");
    let text = "claim = 'x'\n[processes.server]\nlimits = { soft = 64, hard = 64 }\nserve.datagram = {}\n[workloads.flows.datagram]\nexpect = 'x'\n[expect]\nceiling = 5\n";
    std::fs::write(file.path(), text).expect("written");
    let checked = lastfd(&["check", file.path().to_str().expect("UTF-8")]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
    assert!(checked.stderr.contains("has something to send"), "{checked:?}");
}

#[test]
fn a_server_that_has_udp_sockets_only_is_recognised_at_once() {
    let began = Instant::now();
    let called = served(&[], &["--port", "{port}"]);
    assert_eq!(called.code, Some(5), "{called:?}");
    // A listener would be waited for half a minute.
    assert!(began.elapsed() < Duration::from_secs(25), "{called:?}");
    assert!(called.stderr.contains("serves UDP only") && called.stderr.contains("--udp"), "{called:?}");
}

#[test]
fn an_answer_that_is_not_the_expected_one_is_shown() {
    let called = served(&["--udp", "--send", "hello", "--expect", "^welcome"], &["--per-flow", "0"]);
    assert_eq!(called.code, Some(5), "{called:?}");
    let replies = &called.run()["ceiling"]["error_replies"];
    assert_eq!(replies["first"], "hello", "{called:?}");
}

#[test]
fn a_datagram_needs_one_text_and_at_most_one_pattern() {
    for wrong in [&["--udp"][..], &["--udp", "--send", "a", "--expect", "("], &["--udp", "--expect", "a"]] {
        assert_eq!(served(wrong, &[]).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_udp_port_that_it_does_not_serve_is_told_from_the_one_that_it_serves() {
    let called = served(&["--ready-within", "1s", "--udp", "--send", "x", "--port", "9"], &[]);
    assert_eq!(called.code, Some(6), "{called:?}");
    assert!(called.stderr.contains("it serves udp:127.0.0.1:"), "{called:?}");
    assert!(called.stderr.contains("not UDP port 9"), "{called:?}");
}

/// Its ceiling would be in two units.
#[test]
fn a_process_is_loaded_by_datagrams_or_by_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("both.scenario.toml");
    let text = "claim = \"c\"\n[processes.server]\nserve.datagram = {}\nlimits = { soft = 64, hard = 64 }\n\
                [workloads.a]\ndatagram = { send = \"x\" }\n[workloads.b]\ntcp = {}\n";
    std::fs::write(&file, text).expect("written");
    let called = lastfd(&["check", file.to_str().expect("UTF-8")]);
    assert_eq!(called.code, Some(3), "{called:?}");
    assert!(called.stderr.contains("by datagrams and by connections"), "{called:?}");
}

//! How fast clients come: as fast as the server settles, where a connection costs work after its accept.

use crate::support::{LASTFD, find, lastfd, program, subject};
use serde_json::{Value, json};
use std::path::Path;

/// A run with a Python server of `tests/subjects`; `None`, visibly, where Python or what the run needs is
/// missing.
fn python(server: &str, options: &[&str]) -> Option<Value> {
    program("python3")?;
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects").join(server);
    decided(find(options, &["python3", server.to_str().expect("UTF-8"), "{port}"]).run())
}

/// The run, unless this machine could not make it.
fn decided(run: Value) -> Option<Value> {
    if run["verdict"] == "inconclusive" {
        eprintln!("skipped: {}", run["reasons"]);
        return None;
    }
    Some(run)
}

/// Clients that the server spoke to, as the event log has them.
fn greeted(events: &Path) -> u64 {
    let log = std::fs::read_to_string(events).expect("a log");
    log.lines().filter(|line| line.contains(r#""state":"greeted""#)).count() as u64
}

#[test]
fn clients_come_no_faster_than_a_server_can_do_the_work_that_follows_an_accept() {
    let folder = tempfile::tempdir().expect("a folder");
    for (nofile, most) in [("64", 13), ("256", 61)] {
        for observer in ["perf", "ptrace"] {
            let events = folder.path().join(format!("{nofile}-{observer}"));
            let log = events.to_str().expect("UTF-8");
            let options = ["--nofile", nofile, "--observer", observer, "--events", log];
            let Some(run) = python("pipes_each.py", &options) else { continue };
            assert_eq!(greeted(&events), most, "{nofile}, {observer}: {run:#}");
            let ceiling = &run["ceiling"];
            assert_eq!(
                (&ceiling["capacity"], &ceiling["burst"]),
                (&json!(most), &Value::Null),
                "{ceiling:#}"
            );
            // Also with those that the last one needs for a moment.
            assert_eq!(run["prediction"]["ceiling"], most, "{:#}", run["prediction"]);
            assert_eq!(ceiling["first_failure"]["call"], "pipe2", "{ceiling:#}");
            assert_eq!(run["recovery"]["recovered"], true, "{run:#}");
        }
    }
}

#[test]
fn a_descriptor_that_is_opened_once_is_no_part_of_what_each_client_costs() {
    let options = ["--nofile", "64", "--workload", "tcp", "--hold", "1s"];
    let Some(run) = python("opens_once.py", &options) else { return };
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    let predicted = &run["prediction"];
    assert_eq!(
        (&predicted["descriptors_per_connection"], &predicted["ceiling"]),
        (&json!(1.0), &json!(64 - rest - 3)),
        "{predicted:#}"
    );
    assert_eq!(run["ceiling"]["accepted"], predicted["ceiling"], "{:#}", run["ceiling"]);
}

#[test]
fn a_burst_says_what_it_came_to_and_is_no_capacity() {
    let options = ["--nofile", "64", "--burst", "--hold", "1s"];
    let Some(run) = python("pipes_each.py", &options) else { return };
    let ceiling = &run["ceiling"];
    assert_eq!((&ceiling["capacity"], &ceiling["burst"]["accepted"]), (&Value::Null, &ceiling["accepted"]));
    let (accepted, served) = (&ceiling["burst"]["accepted"], &ceiling["burst"]["served"]);
    assert!(served.as_u64() < accepted.as_u64(), "a flood is accepted before it is served: {ceiling:#}");
    assert!(run["unmeasured"]["ceiling.capacity"].as_str().is_some_and(|why| why.contains("--pace steady")));
}

/// The timer of the client that asked which protocol it speaks is no habit of the server.
#[test]
fn work_that_follows_the_first_client_of_all_counts_for_the_capacity() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = python("opens_later.py", &["--nofile", "64", "--observer", observer]) else { return };
        let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
        let capacity = run["ceiling"]["capacity"].as_u64();
        assert!(capacity <= Some((64 - rest) / 2 + 1), "{observer}: a connection and a file each: {run:#}");
    }
}

#[test]
fn a_server_that_calls_another_of_its_processes_for_each_client_is_not_flooded() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = python("calls_another.py", &["--nofile", "64", "--observer", observer]) else {
            return;
        };
        let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
        let ceiling = &run["ceiling"];
        assert_eq!(ceiling["capacity"], json!((64 - rest) / 2), "{observer}: {run:#}");
        assert_eq!(ceiling["burst"], Value::Null, "{observer}: {run:#}");
    }
}

#[test]
fn a_server_without_work_after_an_accept_has_one_number_and_no_wait() {
    let own = [LASTFD, "serve", "http", "--accept", "spin", "--port", "{port}"];
    let Some(run) = decided(find(&["--nofile", "64", "--hold", "1s"], &own).run()) else { return };
    let ceiling = &run["ceiling"];
    assert_eq!(
        (&ceiling["capacity"], &ceiling["burst"]),
        (&ceiling["accepted"], &Value::Null),
        "{ceiling:#}"
    );
    let called = lastfd(&[&["find", "--nofile", "64", "--hold", "1s", "--full", "--"], &own[..]].concat());
    assert!(!called.stdout.contains("no faster than it settles"), "{}", called.stdout);
}

/// Two workers behind a master that accepts and passes each connection on; idle connections are kept for a
/// minute.
const CLUSTER: &str = "const cluster = require('cluster'); \
    if (cluster.isPrimary) { cluster.fork(); cluster.fork(); } else { \
      const server = require('http').createServer((_, answer) => answer.end('hello')); \
      server.keepAliveTimeout = 60000; server.listen(process.argv[1], '127.0.0.1'); }";

#[test]
fn the_capacity_of_a_master_that_passes_connections_on_is_that_of_its_workers() {
    if program("node").is_none() {
        return;
    }
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", "64", "--observer", observer, "--hold", "2s"];
        let Some(run) = decided(find(&options, &["node", "-e", CLUSTER, "{port}"]).run()) else { continue };
        let ceiling = &run["ceiling"];
        assert_eq!(ceiling["capacity"], ceiling["served"], "{observer}: {ceiling:#}");
        let (capacity, accepted) = (ceiling["capacity"].as_u64(), ceiling["accepted"].as_u64());
        assert!(capacity > accepted, "the master alone holds {accepted:?}: {ceiling:#}");
        let holders = ceiling["holders"].as_array().expect("those that hold them");
        let workers = holders.iter().filter(|holder| holder["accepts"] == false);
        let held: u64 = workers.map(|holder| holder["connections"].as_u64().expect("a number")).sum();
        assert_eq!(Some(held), capacity, "{holders:#?}");
        assert_eq!(run["prediction"]["ceiling"].as_u64(), capacity, "{:#}", run["prediction"]);
        let connected = ceiling["connected"].as_u64().expect("a number");
        let waiting = ceiling["first_failure"]["waiting_clients"].as_u64().expect("a number");
        assert!(waiting <= connected - held, "who is served does not wait: {ceiling:#}");
        let left = &run["recovery"]["left_full"];
        let accepting = holders.iter().find(|holder| holder["accepts"] == true).expect("the master");
        assert_eq!(
            (left[0]["pid"].as_i64(), left.as_array().map(Vec::len)),
            (accepting["pid"].as_i64(), Some(1))
        );
        assert_eq!(run["recovery"]["recovered"], false, "what it could not pass on stays: {run:#}");
    }
}

#[test]
fn a_pace_is_checked_and_burst_is_another_name_of_one() {
    let wrong = lastfd(&["find", "--pace", "fast", "--", "true"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("`auto`, `burst`, `steady`, or clients a second"), "{wrong:?}");
    let both = lastfd(&["find", "--pace", "steady", "--burst", "--", "true"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

/// A server of `tests/subjects.rs` that passes connections on, under 100 clients that ask nothing; `None`,
/// visibly, where this machine lacks the observer. A run that is inconclusive for another reason is a fault.
fn passing(server: &str, observer: &str) -> Option<Value> {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = ["--nofile", "64", "--workload", "tcp", "--clients", "100", "--observer", observer];
    let run = find(&options, &words).run();
    let observers = run["environment"]["observers"].as_array().expect("those of this machine");
    if !observers.iter().any(|known| known == observer) {
        eprintln!("skipped: no {observer}");
        return None;
    }
    Some(run)
}

#[test]
fn connections_that_are_passed_by_a_message_are_held_though_no_call_says_so() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = passing("passes_twenty_connections_to_each_child", observer) else { continue };
        let (ceiling, account) = (&run["ceiling"], &run["saturation"]["clients_account"]);
        assert_eq!((&ceiling["kind"], &ceiling["accepted"]), (&json!("not-reached"), &json!(100)), "{run:#}");
        assert_eq!((&account["held"], &account["waiting"]), (&json!(100), &json!(0)), "{account:#}");
        assert_eq!(ceiling["holders"].as_array().map(Vec::len), Some(5), "{ceiling:#}");
    }
}

#[test]
fn a_connection_that_is_passed_to_a_full_process_is_lost_for_want_of_its_descriptors() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = passing("passes_eighty_connections_to_each_child", observer) else { continue };
        let ceiling = &run["ceiling"];
        let first = &ceiling["holders"][0];
        assert_eq!((&first["full"], &first["descriptors"]), (&json!(true), &json!(64)), "{ceiling:#}");
        assert_eq!(ceiling["binds"]["resource"], "descriptors", "{ceiling:#}");
        assert_eq!(
            (&ceiling["capacity"], &ceiling["accepted"], &ceiling["kind"]),
            (&first["connections"], &first["connections"], &json!("other-limit")),
            "{ceiling:#}"
        );
        // The first child loses what it has no number for; the second one holds the rest.
        let lost = 80 - first["connections"].as_u64().expect("a number");
        let account = &run["saturation"]["clients_account"];
        assert_eq!(
            (&account["turned_away"], &account["held"]),
            (&json!(lost), &json!(100 - lost)),
            "{run:#}"
        );
        assert_eq!(ceiling["accepted_max"], 100 - lost, "{ceiling:#}");
        assert_eq!(run["saturation"]["policy"], Value::Null, "{run:#}");
    }
}

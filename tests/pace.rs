//! How fast clients come: as fast as the server settles, where a connection costs work after its accept.

use crate::support::{find, lastfd, program};
use serde_json::Value;
use std::path::Path;

/// A run with a Python server of `tests/subjects`; `None`, visibly, where Python or what the run needs is missing.
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
            assert_eq!(run["ceiling"]["first_failure"]["call"], "pipe2", "{run:#}");
            assert_eq!(run["recovery"]["recovered"], true, "{run:#}");
        }
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

//! Mechanisms of programs that nobody had in mind: each was reported wrongly once.

use crate::support::{find, subject};
use lastfd::internal::event::{self, Phase, What};
use serde_json::Value;

/// A run of a server of the tests at a soft limit of 64, by an observer.
fn run(observer: &str, server: &str, options: &[&str]) -> Value {
    let words = subject(server);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let fixed = ["--nofile", "64", "--workload", "tcp", "--observer", observer];
    find(&[&fixed, options].concat(), &words).run()
}

#[test]
fn a_server_that_reads_no_ends_is_not_waited_for_as_if_a_timer_might_close_them() {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = log.path().to_str().expect("a UTF-8 path");
    let found = run("perf", "reads_no_ends", &["--events", path]);
    assert_eq!(found["recovery"]["verdict"], "stuck", "{found:#}");
    let log = event::read(log.path()).expect("a whole log");
    let begins = |phase| log.events.iter().find(|e| e.is == What::Phase(phase)).map(|e| e.at);
    let waited = begins(Phase::Settle).zip(begins(Phase::ReleaseAll)).map(|(until, from)| until - from);
    // Whoever may close by a timer is waited for twice as long, and longer.
    assert!(waited.is_some_and(|waited| waited < 60_000_000_000), "{waited:?} ns: {found:#}");
}

#[test]
fn a_server_that_listens_again_when_clients_have_left_recovers() {
    for observer in ["perf", "ptrace"] {
        let found = run(observer, "listens_again_when_all_have_left", &["--clients", "40"]);
        assert_eq!(found["ceiling"]["accepted"], 20, "{observer}: {found:#}");
        assert_eq!(found["recovery"]["verdict"], "recovered", "{observer}: {found:#}");
    }
}

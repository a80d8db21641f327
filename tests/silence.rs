//! A server that fails once and falls silent: what makes it try again is told from what happened just before,
//! and from whether it has a timer.

use crate::support::{find, subject};
use serde_json::Value;

/// `find` on one of our subjects, whose accept loop is silent for longer than the hold.
fn silent(name: &str, observer: &str) -> Value {
    let options = ["--nofile", "64", "--workload", "tcp", "--observer", observer, "--hold", "500ms"];
    let words = subject(name);
    find(&options, &words.iter().map(String::as_str).collect::<Vec<_>>()).run()
}

#[test]
fn a_loop_that_waits_for_one_of_its_clients_to_leave_is_told_by_the_try_that_follows() {
    for observer in ["perf", "ptrace"] {
        let run = silent("mutes", observer);
        assert_eq!(run["saturation"]["policy"], "waits-for-close", "{observer}: {run:#}");
        assert_eq!(run["recovery"]["recovered"], true, "{observer}: {run:#}");
    }
}

#[test]
fn a_loop_that_hears_only_of_new_clients_is_told_by_the_try_that_follows() {
    for observer in ["perf", "ptrace"] {
        let run = silent("edge_triggered", observer);
        assert_eq!(run["saturation"]["policy"], "waits-for-arrival", "{observer}: {run:#}");
    }
}

#[test]
fn a_pause_that_is_longer_than_the_hold_is_watched_to_its_end() {
    for observer in ["perf", "ptrace"] {
        let run = silent("pauses", observer);
        assert_eq!(run["saturation"]["policy"], "fixed-delay", "{observer}: {run:#}");
        let delay = run["saturation"]["delay_s"]["first"].as_f64().expect("a delay");
        // As long as it sleeps, and no less; by how much it is late is the machine's.
        assert!((3.0..3.3).contains(&delay), "{observer}: {delay}");
    }
}

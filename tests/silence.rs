//! A server that fails once and falls silent: what makes it try again is told from what happened just before,
//! and from whether it has a timer.

use crate::support::{find, program, subject};
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

/// The other is polled by a thread of its own, which spins, or pauses, as soon as the table is full.
#[test]
fn each_of_two_listeners_has_its_own_policy() {
    if program("python3").is_none() {
        return;
    }
    let server = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/two_listeners.py");
    let folder = tempfile::tempdir().expect("a folder");
    let admin = folder.path().join("admin");
    for (observer, loaded, other, policies) in
        [("perf", "0.3", "0", ["fixed-delay", "spin"]), ("ptrace", "0", "0.3", ["spin", "fixed-delay"])]
    {
        let options = ["--nofile", "64", "--workload", "tcp", "--observer", observer];
        let [server, admin] = [&server, &admin].map(|path| path.to_str().expect("UTF-8"));
        let run = find(&options, &["python3", server, "{port}", admin, loaded, other]).run();
        let seen = &run["saturation"];
        assert_eq!(seen["policy"], policies[0], "{observer}: {run:#}");
        assert_eq!(seen["other_policies"][0]["policy"], policies[1], "{observer}: {run:#}");
        assert_eq!(run["ceiling"]["accepted"], 64 - 6, "{observer}: {run:#}");
    }
}

//! `lastfd find` at several limits: real servers, at small limits, and the line through their ceilings.

use crate::support::{LASTFD, find, program, subject};
use serde_json::Value;
use std::path::Path;

fn swept(options: &[&str], command: &[&str]) -> Value {
    let called = find(options, command);
    assert_eq!(called.code, Some(0), "{called:?}");
    let whole: Value =
        serde_json::from_str(&called.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {called:?}"));
    assert_eq!(whole["schema"], "lastfd/report/1");
    assert!(whole.get("remedies").is_none(), "a limit is no remedy of another");
    whole
}

#[test]
fn a_sweep_finds_the_line_that_each_run_predicts() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let options = [
        "--nofile",
        "32,64:128,128",
        "--workload",
        "tcp",
        "--hold",
        "1s",
        "--events",
        log.to_str().expect("UTF-8"),
    ];
    let whole = swept(&options, &[LASTFD, "serve", "tcp", "--accept", "spin", "--port", "{port}"]);
    assert_eq!(whole["runs"].as_array().map(Vec::len), Some(3), "a report each");
    let (points, fit) = (whole["sweep"]["points"].as_array().expect("points"), &whole["sweep"]["fit"]);
    assert_eq!(points.iter().map(|p| p["soft"].as_u64().unwrap()).collect::<Vec<_>>(), [32, 64, 128]);
    for point in points {
        assert_eq!(
            (&point["ceiling"], &point["first_failure"]),
            (&point["predicted"], &"accept4".into()),
            "{whole:#}"
        );
    }
    assert_eq!(fit["at_rest"].as_f64(), points[0]["at_rest"].as_f64(), "{whole:#}");
    assert_eq!(
        (fit["per_connection"].as_f64(), fit["residual"].as_f64(), fit["by"].as_str()),
        (Some(1.0), Some(0.0), Some("emfile"))
    );
    assert!(whole["sweep"]["binds"].is_null(), "{whole:#}");
    for limits in ["32-32", "64-128", "128-128"] {
        assert!(folder.path().join(format!("log.{limits}.jsonl")).is_file(), "each run has its log");
    }
}

#[test]
fn a_limit_that_the_program_halves_is_a_formula_and_says_what_clients_need() {
    let command = subject("keeps_half_of_its_limit");
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let options = ["--nofile", "48,96,192", "--workload", "tcp", "--hold", "1s", "--for-clients", "5000"];
    let whole = swept(&options, &command);
    let fit = &whole["sweep"]["fit"];
    assert_eq!(fit["by"], "own-limit", "{whole:#}");
    let formula = &fit["formula"];
    assert_eq!(
        (&formula["numerator"], &formula["denominator"], &formula["less"]),
        (&1.into(), &2.into(), &18.into()),
        "{fit:#}"
    );
    let needs = &whole["sweep"]["needs"];
    assert_eq!((&needs["soft"], &needs["bound_before"]), (&10018.into(), &false.into()), "{needs:#}");
}

#[test]
fn a_select_loop_stops_at_fd_setsize_and_raising_the_limit_made_it_worse() {
    if program("python3").is_none() {
        return;
    }
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/select_loop.py");
    let command = ["python3", server.to_str().expect("UTF-8"), "{port}", "exit"];
    let whole = swept(&["--nofile", "64,256,2048", "--workload", "tcp", "--clients", "1200"], &command);
    let binds = &whole["sweep"]["binds"];
    assert_eq!(
        (binds["from"].as_u64(), whole["sweep"]["fit"]["points"].as_u64()),
        (Some(2048), Some(2)),
        "{binds:#}"
    );
    assert_eq!((&binds["resource"], &binds["worse"]), (&"fd-setsize".into(), &true.into()), "{binds:#}");
    let what = binds["what"].as_str().expect("a text");
    // Python's own words for it, as it wrote them.
    for words in
        ["the process exited", "with status 1", "FD_SETSIZE", "filedescriptor out of range in select()"]
    {
        assert!(what.contains(words), "{words}: {what}");
    }
}

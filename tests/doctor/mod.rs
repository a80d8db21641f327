//! `lastfd doctor` on this machine: every line is there, for root and for nobody, and nothing is changed.

use crate::inspect::{as_nobody, json, lastfd, plain_text};
use serde_json::Value;

/// Every check that there is.
const NAMES: [&str; 25] = [
    "kernel",
    "own-limit",
    "cap-sys-resource",
    "nr-open",
    "file-max",
    "descriptor-count",
    "perf",
    "perf-memory",
    "perf-io_uring",
    "ptrace",
    "user-namespaces",
    "pid-namespaces",
    "proc-mount",
    "network-namespaces",
    "network-sysctls",
    "source-ports",
    "somaxconn",
    "tcp-max-syn-backlog",
    "sock-diag",
    "supervisord",
    "nohup",
    "nginx",
    "redis-server",
    "go",
    "python3:tornado",
];

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

fn every_line_is_there(report: &Value) {
    assert_eq!(report["schema"], "lastfd/doctor/1");
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    for check in report["checks"].as_array().unwrap() {
        let state = check["state"].as_str().unwrap();
        assert!(["ok", "limited", "no"].contains(&state), "{check}");
        assert_eq!(
            state == "ok",
            check["widen"].as_array().unwrap().is_empty(),
            "what is not ok can be widened: {check}"
        );
    }
}

#[test]
fn every_line_is_there_and_what_is_not_ok_has_a_way_out() {
    every_line_is_there(&json(&lastfd(&["doctor", "--json", "-"]).output().unwrap()));
}

#[test]
fn every_line_is_there_for_nobody_too() {
    let Some((_directory, mut command)) = as_nobody(&["doctor", "--json", "-"]) else { return };
    let report = json(&command.output().unwrap());
    every_line_is_there(&report);
    assert_eq!(check(&report, "cap-sys-resource")["state"], "no");
}

#[test]
fn the_page_is_plain_and_names_every_check() {
    let text = plain_text(&lastfd(&["doctor"]).output().unwrap());
    for name in NAMES {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn what_unshare_can_make_doctor_finds_possible() {
    let report = json(&lastfd(&["doctor", "--json", "-"]).output().unwrap());
    for (name, options) in
        [("user-namespaces", "-U"), ("pid-namespaces", "-Urpf"), ("network-namespaces", "-Urn")]
    {
        let Ok(status) = std::process::Command::new("unshare").args([options, "true"]).status() else {
            eprintln!("skipped: no unshare(1)");
            return;
        };
        assert_eq!(check(&report, name)["state"] == "ok", status.success(), "{name}");
    }
}

#[test]
fn nothing_of_the_machine_is_changed() {
    let state = || {
        let files = [
            "/proc/self/mounts",
            "/proc/sys/kernel/perf_event_paranoid",
            "/proc/sys/net/core/somaxconn",
            "/proc/sys/fs/nr_open",
        ];
        files.map(|file| std::fs::read_to_string(file).ok())
    };
    let before = state();
    assert!(lastfd(&["doctor"]).output().unwrap().status.success());
    assert_eq!(state(), before);
}

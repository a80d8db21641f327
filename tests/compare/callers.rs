//! Real callers, the naive way and the mended way of each: how many connections they open is known from the
//! way that they call.

use super::cli::{compare, row};
use crate::support::program;
use std::path::{Path, PathBuf};
use std::process::Command;

const CALLS: u32 = 30;

/// A source of this folder.
fn source(name: &str) -> String {
    format!("{}/tests/compare/callers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The program, with its whole path; `None`: it is not here, which was said.
fn path(name: &str) -> Option<String> {
    program(name).map(|path| path.display().to_string())
}

/// Compares both ways, and asserts that each call had a connection of its own before, and that there is one
/// for all after.
fn opens(options: &[&str], before: &str, after: &str) {
    opens_at_most(1, options, before, after);
}

/// The same of a client whose pool may have so many connections for one call at a time.
fn opens_at_most(most: u32, options: &[&str], before: &str, after: &str) {
    let bound = format!("connections-opened <= {most}");
    let options = [options, &["--require", &bound, "--json", "-"]].concat();
    let called = compare(&options, before, after);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
    let report = serde_json::from_str(&called.stdout).expect("JSON");
    let opened = row(&report, "connections-opened");
    let after = opened["after"].as_f64().unwrap();
    assert_eq!(opened["before"], f64::from(CALLS), "{report:#}");
    assert!((1.0..=f64::from(most)).contains(&after), "{report:#}");
    let median = row(&report, "calls-per-connection");
    assert_eq!(median["before"], 1.0, "{report:#}");
    assert!(median["after"].as_f64().unwrap() >= f64::from(CALLS) / f64::from(most), "{report:#}");
}

fn python(library: &str) {
    // Debian's own, for which Debian packages the libraries.
    let python = "/usr/bin/python3";
    if !has_module(python, library) {
        return;
    }
    let words = |way| format!("{python} {} {library} {{upstream}} {CALLS} {way}", source("calls.py"));
    opens(&[], &words("per-call"), &words("shared"));
}

fn has_module(python: &str, module: &str) -> bool {
    let there = Command::new(python).args(["-c", &format!("import {module}")]).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        crate::support::skip(&format!("the Python module {module}"));
    }
    there
}

#[test]
fn requests() {
    python("requests");
}

#[test]
fn httpx() {
    python("httpx");
}

#[test]
fn aiohttp() {
    python("aiohttp");
}

#[test]
fn node_fetch() {
    let Some(node) = path("node") else { return };
    let words = |way| format!("{node} {} {{upstream}} {CALLS} {way}", source("calls.mjs"));
    // It takes the next call before the first connection is idle again, and then uses both in turns.
    opens_at_most(2, &[], &words("per-call"), &words("shared"));
}

#[test]
fn java_http_client() {
    let (Some(java), Some(javac)) = (path("java"), program("javac")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let compiled = Command::new(javac).arg("-d").arg(folder.path()).arg(source("Calls.java")).status();
    assert!(compiled.is_ok_and(|status| status.success()), "javac compiles a program of one file");
    let classes = folder.path().display();
    let words = |way| format!("{java} -cp {classes} Calls {{upstream}} {CALLS} {way}");
    opens(&[], &words("per-call"), &words("shared"));
}

#[test]
fn curl() {
    let Some(curl) = path("curl") else { return };
    let each = format!("sh -c 'for i in $(seq {CALLS}); do {curl} -sS -o /dev/null {{upstream}}/; done'");
    let all = format!("{curl} -sS {{upstream}}/[1-{CALLS}] -o /dev/null");
    opens(&[], &each, &all);
}

#[test]
fn go_net_http() {
    let Some(go) = program("go") else { return };
    let folder = tempfile::tempdir().unwrap();
    let binary = built(&go, Path::new(&source("calls.go")), folder.path());
    let words = |way| format!("{} {{upstream}} {CALLS} {way}", binary.display());
    opens(&[], &words("unread"), &words("read"));
}

fn built(go: &Path, source: &Path, folder: &Path) -> PathBuf {
    let binary = folder.join("calls");
    let built = Command::new(go)
        .args(["build", "-o"])
        .args([&binary, &source.to_path_buf()])
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "go builds a program of one file");
    binary
}

#[test]
fn grpc_go() {
    let caller = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/peers/grpc-caller/grpc");
    if !caller.exists() {
        return crate::support::skip("the gRPC caller that ci/install-peers builds");
    }
    let words = |channel| {
        format!(
            "{} caller -calls {CALLS} -backend {{upstream-address}} -certificate {{ca}} -channel {channel}",
            caller.display()
        )
    };
    // It stays when it has made its calls.
    let calls = CALLS.to_string();
    opens(&["--upstream", "grpcs", "--calls", &calls], &words("per-call"), &words("shared"));
}

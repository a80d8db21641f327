//! Real callers, the naive way and the mended way of each (`scenarios/peers/callers`): how many connections
//! they need is known from the way that they call, which is one call at a time.

use super::cli::row;
use crate::support::{Called, LASTFD, called, program, skip};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each caller makes so many.
const CALLS: f64 = 20.0;

/// Compares both ways of a caller: each call had a connection of its own before, and at most so many are
/// opened after. As root, by nobody as well.
fn opens(caller: &str, most: f64) {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/peers");
    assert_opened(&compared(Command::new(LASTFD), &peers, caller), most);
    if rustix::process::geteuid().is_root() {
        let place = tempfile::tempdir().unwrap();
        let exe = readable(&place, &peers);
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(exe);
        assert_opened(&compared(nobody, place.path(), caller), most);
    }
}

fn compared(mut lastfd: Command, peers: &Path, caller: &str) -> Called {
    let file = peers.join(format!("callers/{caller}.scenario.toml"));
    called(lastfd.arg("compare").arg(file).args(["--order-seed", "7", "--within", "300s", "--json", "-"]))
}

fn assert_opened(compared: &Called, most: f64) {
    assert_eq!(compared.code, Some(0), "{}{}", compared.stdout, compared.stderr);
    let report = serde_json::from_str(&compared.stdout).expect("JSON");
    let opened = row(&report, "connections-opened");
    assert_eq!(opened["before"], CALLS, "{report:#}");
    assert!((1.0..=most).contains(&opened["after"].as_f64().unwrap()), "{report:#}");
    let median = row(&report, "calls-per-connection");
    assert_eq!(median["before"], 1.0, "{report:#}");
    assert!(median["after"].as_f64().unwrap() >= CALLS / most, "{report:#}");
}

/// lastfd, and the folders of the callers, where everybody may read them.
fn readable(place: &tempfile::TempDir, peers: &Path) -> PathBuf {
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    for folder in ["callers", "grpc-caller"] {
        fs::create_dir(place.path().join(folder)).unwrap();
        let files = fs::read_dir(peers.join(folder)).unwrap().map(|file| file.unwrap().path());
        for file in files.filter(|file| file.is_file()) {
            fs::copy(&file, place.path().join(folder).join(file.file_name().unwrap())).unwrap();
        }
    }
    let exe = place.path().join("lastfd");
    fs::copy(LASTFD, &exe).unwrap();
    exe
}

fn python(library: &str) {
    // Debian's own, for which Debian packages the libraries.
    let there = Command::new("/usr/bin/python3").args(["-c", &format!("import {library}")]).output();
    match there.is_ok_and(|output| output.status.success()) {
        true => opens(library, 1.0),
        false => skip(&format!("the Python module {library}")),
    }
}

/// One that `ci/install-peers` builds.
fn built(binary: &str, caller: &str) {
    match Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/peers").join(binary).exists() {
        true => opens(caller, 1.0),
        false => skip(&format!("{binary}, which ci/install-peers builds,")),
    }
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
    if program("node").is_some() {
        // It takes the next call before the first connection is idle again, and then uses both in turns.
        opens("node-fetch", 2.0);
    }
}

#[test]
fn java_http_client() {
    if program("java").is_some() {
        opens("java-http-client", 1.0);
    }
}

#[test]
fn curl() {
    if program("curl").is_some() {
        opens("curl", 1.0);
    }
}

#[test]
fn go_net_http() {
    built("callers/go-net-http", "go-net-http");
}

#[test]
fn grpc_go() {
    built("grpc-caller/grpc", "grpc-go");
}

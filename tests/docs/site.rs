//! The folder in which the commands of one page run, as a reader would run them, line by line.

use crate::incidents::{self, NAMES};
use crate::launch;
use crate::support::{Called, LASTFD, called, program};
use lastfd::internal::event::Limits;
use lastfd::internal::launch::{Isolation, Tree};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Programs that a page calls by a name of the reader's, and what stands for each: a line of shell, with the
/// arguments in `"$@"`.
const STAND_INS: [(&str, &str); 7] = [
    ("server", r#"exec lastfd serve http --accept backoff "$@""#),
    ("proxy", r#"exec lastfd serve outbound --after-call left-open --accept backoff "$@""#),
    ("mail-server", r#"exec lastfd serve mail "$@""#),
    ("udp-relay", r#"exec lastfd serve datagram --idle-ms 1000 "$@""#),
    ("udp-server", r#"exec lastfd serve datagram --per-flow 0 "$@""#),
    ("push-server", r#"exec lastfd serve websocket --accept spin-log "$@""#),
    // As Go's runtime does, it raises its own soft limit.
    ("go-server", r#"ulimit -Sn "$(ulimit -Hn)"; exec lastfd serve http --accept backoff "$@""#),
];
/// The process id of the reader's server in every page: the one that the test starts.
const PID: &str = "4711";
/// What a page writes, and what is run in its place.
const WRITTEN: [(&str, &str); 1] = [
    // The program of the clone, which is built already.
    ("cargo run --release -- ", "lastfd "),
];
/// Programs that not every system has: without them a line is skipped.
const NEEDED: [&str; 1] = ["python3"];
/// Lines that are not run here, and why.
const ELSEWHERE: [(&str, &str); 8] = [
    ("RUSTFLAGS=", "it would build everything once more"),
    ("cargo test --workspace", "this test is part of it"),
    ("cargo test --test server_tests", "`cargo test --workspace` runs it"),
    ("cargo install", "it would build everything once more, and install it"),
    ("SOURCE_DATE_EPOCH=0 cargo cyclonedx", "it needs a program that CI has no other use for"),
    ("cargo bench", "a bench asserts nothing, and takes minutes"),
    ("ci/", "it needs root and the network, or takes minutes"),
    (".ci/run", "it runs this test"),
];

pub struct Site {
    folder: tempfile::TempDir,
    /// The reader's server; started when a line names it.
    server: Option<(Tree, BufReader<File>)>,
}

impl Site {
    pub fn new() -> Site {
        let site = Site { folder: tempfile::tempdir().expect("a folder"), server: None };
        // Programs of a run may be another user's.
        std::fs::set_permissions(site.path(), PermissionsExt::from_mode(0o755)).expect("our own");
        std::fs::create_dir(site.path().join("bin")).expect("a new folder");
        std::os::unix::fs::symlink(LASTFD, site.path().join("bin/lastfd")).expect("a link");
        for (name, script) in STAND_INS {
            let path = site.path().join(name);
            // Some launchers give their program an environment of their own.
            let script = script.replace("exec lastfd", &format!("exec '{LASTFD}'"));
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("our own");
        }
        site
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a line; `None` where that is for others to do, or needs a program that is not here.
    pub fn run(&mut self, line: &str) -> Option<Called> {
        if let Some((_, who)) = ELSEWHERE.iter().find(|(start, _)| line.starts_with(start)) {
            eprintln!("not run here: `{line}`: {who}");
            return None;
        }
        let line = WRITTEN.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
        if NEEDED.iter().any(|name| line.split(' ').any(|word| word == *name) && program(name).is_none()) {
            return None;
        }
        if let Some(name) = line.strip_prefix("lastfd run @").filter(|name| NAMES.contains(name)) {
            return Some(incidents::run(name).clone());
        }
        let line = match line.contains(PID) {
            true => line.replace(PID, &self.server().to_string()),
            false => line,
        };
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(["-c", &line]).current_dir(self.path()).env_remove("GITHUB_STEP_SUMMARY");
        command.env_remove("GITHUB_ACTIONS");
        command.env("PATH", format!("{}:{path}", self.path().join("bin").display()));
        Some(called(&mut command))
    }

    /// The process id of the reader's server, which listens. Its limits and descriptors are the same wherever
    /// this test runs.
    fn server(&mut self) -> i32 {
        let (server, _) = self.server.get_or_insert_with(|| {
            let mut command = launch::command(&[LASTFD, "serve", "http", "--accept", "backoff"]);
            command.limits = Limits { soft: 1024, hard: 4096 };
            let mut tree = launch::started(&command, Isolation::Keeper);
            let mut output = BufReader::new(File::from(tree.output().expect("a pipe")));
            let mut listens = String::new();
            output.read_line(&mut listens).expect("its first line");
            assert!(listens.starts_with("listening "), "{listens:?}");
            (tree, output)
        });
        server.program()
    }
}

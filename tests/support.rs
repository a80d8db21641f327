//! What the tests of the whole command share: running it, reading its report, and small subjects of our own.

use flate2::read::GzDecoder;
use lastfd::internal::event::{self, Call, Change, Event, Log, What};
use lastfd::internal::scenario::Plan;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The command under test.
pub const LASTFD: &str = env!("CARGO_BIN_EXE_lastfd");

/// Where recorded runs are; `tests/recording` makes them.
pub const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recorded");

/// Every recorded run, by its name, in the order of the names: read once, however many tests ask.
pub fn recordings() -> &'static [(String, Plan, Log)] {
    static ALL: OnceLock<Vec<(String, Plan, Log)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(RECORDED)
            .expect("the recordings")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        paths.iter().map(|path| recording(path)).collect()
    })
}

fn recording(path: &Path) -> (String, Plan, Log) {
    let file = path.file_name().expect("a file").to_string_lossy().into_owned();
    let name = file.strip_suffix(".jsonl.gz").unwrap_or_else(|| panic!("{file} is no recording")).to_owned();
    let text = BufReader::new(GzDecoder::new(std::fs::File::open(path).expect("it can be read")));
    let (plan, log) = parsed(&file, text);
    (name, plan, log)
}

/// The text of a log, with the plan in its header.
pub fn parsed(shown: &str, text: impl BufRead) -> (Plan, Log) {
    let log = event::parse(shown, text).unwrap_or_else(|e| panic!("{e}"));
    let What::Header { plan, .. } = &log.events[0].is else { panic!("{shown}: no header") };
    (serde_json::from_value(plan.clone()).unwrap_or_else(|e| panic!("{shown}: {e}")), log)
}

/// What one call of the command came to.
#[derive(Debug, Clone)]
pub struct Called {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Called {
    /// The only run of the JSON report on standard output.
    pub fn run(&self) -> Value {
        let whole: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"));
        assert_eq!(whole["schema"], "lastfd/report/1");
        whole["runs"][0].clone()
    }
}

/// Calls the command and waits for its end.
pub fn lastfd(args: &[&str]) -> Called {
    called(Command::new(LASTFD).args(args))
}

/// Runs a prepared command, without a terminal.
pub fn called(command: &mut Command) -> Called {
    let out = command.stdin(Stdio::null()).output().expect("the command starts");
    Called {
        code: out.status.code(),
        stdout: String::from_utf8_lossy(&out.stdout).into(),
        stderr: String::from_utf8_lossy(&out.stderr).into(),
    }
}

/// `lastfd find OPTIONS --json - -- COMMAND`.
pub fn find(options: &[&str], command: &[&str]) -> Called {
    lastfd(&[&["find", "--json", "-"], options, &["--"], command].concat())
}

/// The words that run one of this binary's own subjects (see `subjects`), unmodified, as `find` would any
/// program.
pub fn subject(name: &str) -> Vec<String> {
    let exe = std::env::current_exe().expect("own path").display().to_string();
    vec![
        "env".into(),
        format!("LASTFD_TEST_SUBJECT={name}"),
        exe,
        format!("subjects::{name}"),
        "--exact".into(),
        "--nocapture".into(),
        "--test-threads=1".into(),
    ]
}

/// Whether this process is the named subject; the tests of that name do nothing otherwise.
pub fn is_subject(name: &str) -> bool {
    std::env::var("LASTFD_TEST_SUBJECT").is_ok_and(|v| v == name)
}

/// Waits until `reached`, at most `deadline`; whether it came to be.
pub fn eventually(deadline: Duration, mut reached: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    while !reached() {
        if Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Live processes whose environment holds the text: what a run started, whatever it renamed or daemonised
/// itself to.
pub fn marked(mark: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|env| String::from_utf8_lossy(&env).contains(mark))
    })
    .collect()
}

/// Skips visibly where a program is missing; fails where CI says that it must be there.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(name);
    }
    found
}

/// Says that this is not here; fails where CI says that it must be.
pub fn skip(name: &str) {
    let required = std::env::var("LASTFD_REQUIRE_PEERS").is_ok();
    assert!(!required, "{name} must be installed where LASTFD_REQUIRE_PEERS is set");
    eprintln!("skipped: {name} is not installed");
}

/// The same log of a process that gives each connection to a child of its own, and keeps a file open under
/// its number for as long.
pub fn handed_over(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|e| e.at);
    let (mut children, mut all) = (HashMap::new(), Vec::new());
    for Event { at, is } in events {
        let of = all.len() as i32 + 1000;
        all.push(Event { at, is: is.clone() });
        let life = |pid, change| What::Process { pid, parent: 100, change };
        match is {
            What::Call { pid: 100, name: Call::Accept4, ret: fd @ 0.., .. } => {
                children.insert(fd, of);
                let then = [
                    life(of, Change::Fork),
                    What::Close { pid: 100, fd: fd as i32 },
                    What::Call { pid: 100, name: Call::Openat, ret: fd, on: None },
                ];
                all.extend((1..).zip(then).map(|(later, is)| Event { at: at + later, is }));
            }
            What::Close { pid: 100, fd } => all.extend(
                children.remove(&fd.into()).map(|child| Event { at: at + 1, is: life(child, Change::Exit) }),
            ),
            _ => {}
        }
    }
    all
}

//! `lastfd inspect` on live processes whose descriptors are known because the test made them.

mod diagnosis;
mod held;
mod namespace;
mod tree;

use crate::support::{LASTFD, eventually, program};
use held::{ABOVE, FILE, Held, SOFT};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `lastfd` with these arguments.
pub fn lastfd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastfd"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same as nobody, from a copy that nobody may execute; `None`, and said so, where the test is not root.
pub fn as_nobody(arguments: &[&str]) -> Option<(tempfile::TempDir, Command)> {
    use std::os::unix::fs::PermissionsExt as _;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become nobody");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("lastfd");
    std::fs::copy(env!("CARGO_BIN_EXE_lastfd"), &copy).unwrap();
    for path in [directory.path(), &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(copy);
    command
        .args(arguments)
        .uid(65534)
        .gid(65534)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some((directory, command))
}

/// Standard output as JSON.
pub fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("nothing but the document on standard output")
}

/// Plain text of at most 100 columns.
pub fn plain_text(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(!text.contains('\u{1b}'), "no colours where standard output is no terminal");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
    text
}

fn inspect(process: impl ToString, duration: &str) -> Value {
    json(&lastfd(&["inspect", &process.to_string(), "--for", duration, "--json", "-"]).output().unwrap())
}

/// The page, with its line breaks and on one line.
fn page(process: impl ToString, duration: &str) -> (String, String) {
    let text = plain_text(&lastfd(&["inspect", &process.to_string(), "--for", duration]).output().unwrap());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (text, line)
}

/// Groups of one kind with their counts.
fn peers(report: &Value, kind: &str) -> BTreeMap<String, u64> {
    let peers = report["peers"].as_array().unwrap().iter().filter(|peer| peer["kind"] == kind);
    peers.map(|peer| (peer["what"].as_str().unwrap().to_owned(), peer["count"].as_u64().unwrap())).collect()
}

#[test]
fn every_descriptor_is_named_and_counted_by_kind_and_peer() {
    let held = Held::start("known");
    let report = inspect(held.pid(), "0s");
    let kinds: BTreeMap<&str, u64> = report["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| (kind["kind"].as_str().unwrap(), kind["count"].as_u64().unwrap()))
        .collect();
    // 5 accepted, 2 clients left, 1 client in the queue.
    for (kind, count) in [
        ("tcp", 8),
        ("tcp-listen", 2),
        ("udp", 2),
        ("unix", 2),
        ("epoll", 1),
        ("eventfd", 1),
        ("memfd", 1),
        ("directory", 1),
    ] {
        assert_eq!(kinds.get(kind), Some(&count), "{kind} in {kinds:?}");
    }
    let tcp = peers(&report, "tcp");
    let accepted = tcp.iter().find(|(what, _)| what.starts_with("from 127.0.0.1 to port ")).unwrap();
    let port = accepted.0.rsplit_once(' ').unwrap().1;
    assert_eq!(*accepted.1, 5);
    assert_eq!(tcp[&format!("to 127.0.0.1:{port}")], 3);
    assert_eq!(peers(&report, "file")[FILE], 5, "four, and the one above the limit");
    assert_eq!(report["close_wait"], 3);
    let states = report["peers"].as_array().unwrap().iter().find(|peer| peer["what"] == *accepted.0).unwrap()
        ["states"]
        .clone();
    assert_eq!(states, serde_json::json!({"CLOSE_WAIT": 3, "ESTABLISHED": 2}));
    let listener = report["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["address"] == format!("127.0.0.1:{port}"))
        .unwrap();
    assert_eq!(listener["waiting"], 1);

    let descriptors = &report["descriptors"];
    assert_eq!(descriptors["reserved"], 1, "the thread blocked in accept");
    assert_eq!(descriptors["above_soft"].as_array().unwrap().len(), 1);
    assert_eq!(descriptors["above_soft"][0]["fd"], ABOVE);
    let listed = std::fs::read_dir(format!("/proc/{}/fd", held.pid())).unwrap().count() as u64;
    assert_eq!(descriptors["listed"], listed);
    assert_eq!(descriptors["open"], listed + 1);
    assert_eq!(descriptors["counted"], listed, "one more is reserved, one is above the limit");
    assert_eq!(report["limits"]["soft"], SOFT);
    assert_eq!(report["headroom"], SOFT - listed);
    assert_eq!(report["inventory"].as_array().unwrap().len() as u64, listed);
}

#[test]
fn the_process_that_lowered_its_own_limit_is_the_one_that_set_it() {
    let held = Held::start("known");
    let report = inspect(held.pid(), "0s");
    assert_eq!(report["set_by"], held.pid());
    let chain = report["chain"].as_array().unwrap();
    assert_eq!(chain.last().unwrap()["pid"], held.pid());
    assert_eq!(chain.last().unwrap()["soft"], SOFT);
    let parent = &chain[chain.len() - 2];
    assert_eq!(parent["pid"], std::process::id());
    assert_eq!(parent["soft"], rlimit::Resource::NOFILE.get_soft().unwrap());
}

#[test]
fn the_page_says_what_a_leak_of_closed_connections_is_and_what_to_run() {
    let held = Held::start("known");
    let output = lastfd(&["inspect", &held.pid().to_string(), "--for", "50ms"]).output().unwrap();
    let text = plain_text(&output);
    let chain = format!(
        "It was set by this process itself, or by what it ran before its exec (a script with `ulimit -n`); or by its parent (pid {})",
        std::process::id()
    );
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(&chain), "{text}");
    assert!(text.contains("3 sockets in CLOSE_WAIT: the peer closed and this program did not"), "{text}");
    let hard = rlimit::Resource::NOFILE.get_hard().unwrap();
    let within = hard.min(65536);
    assert!(text.contains(&format!("prlimit --pid {} --nofile={within}:{hard}", held.pid())), "{text}");
    assert_eq!(rlimit::Resource::NOFILE.get_hard().unwrap(), hard, "printed, not run");
    let now = std::fs::read_to_string(format!("/proc/{}/limits", held.pid())).unwrap();
    assert!(now.lines().any(|line| line.starts_with("Max open files")
        && line.split_whitespace().nth(3) == Some(&SOFT.to_string())));
}

#[test]
fn the_printed_command_raises_the_limit_when_someone_runs_it() {
    let held = Held::start("known");
    let report = inspect(held.pid(), "0s");
    let command = report["raise_now"][0]["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let Ok(status) = Command::new(words[0]).args(&words[1..]).status() else {
        eprintln!("skipped: no prlimit(1)");
        return;
    };
    assert!(status.success(), "{command}");
    let raised: u64 = command.rsplit_once('=').unwrap().1.split_once(':').unwrap().0.parse().unwrap();
    assert!(raised > SOFT);
    assert_eq!(inspect(held.pid(), "0s")["limits"]["soft"], raised);
}

#[test]
fn growth_is_the_pace_at_which_the_process_opens_files() {
    let mut held = Held::start("grow");
    let report = inspect(held.pid(), "1s");
    held.finish();
    let pace: f64 = held.line("pace").parse().unwrap();
    let growth = &report["growth"];
    let measured = growth["per_second"].as_f64().unwrap();
    assert!((measured / pace - 1.0).abs() < 0.3, "measured {measured}, opened {pace}");
    assert_eq!(growth["ended"], "time-up");
    assert_eq!(growth["grew"][0]["what"], FILE);
    let left = growth["left_s"].as_f64().unwrap();
    let expected = report["headroom"].as_f64().unwrap() / measured;
    assert!((left / expected - 1.0).abs() < 0.01, "left {left}, expected {expected}");
}

#[test]
fn an_exit_of_the_process_ends_the_measure_at_once() {
    let held = Held::start("grow-and-exit");
    let start = Instant::now();
    let report = inspect(held.pid(), "60s");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(report["growth"]["ended"], "exited");
    assert!(report["growth"]["watched_s"].as_f64().unwrap() < 20.0);
    assert!(report["descriptors"]["listed"].as_u64().unwrap() > 0, "what was read before it exited");
    assert_eq!(report["raise_now"], serde_json::json!([]), "nothing is left to raise");
    assert!(report["unmeasured"]["raise_now"].as_str().is_some_and(|why| why.contains("has exited")));
}

/// Waits until this lastfd watches: its handlers are in place when /proc says that the last of them, of
/// SIGUSR2 (bit 11), is caught.
fn watches(lastfd: u32) -> bool {
    eventually(Duration::from_secs(10), || {
        let status = std::fs::read_to_string(format!("/proc/{lastfd}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & (1 << 11) != 0
    })
}

#[test]
fn ctrl_c_and_its_like_end_the_measure_and_it_still_prints() {
    use rustix::process::Signal;
    let held = Held::start("grow");
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT, Signal::USR1] {
        let child = lastfd(&["inspect", &held.pid().to_string(), "--for", "60s"]).spawn().unwrap();
        assert!(watches(child.id()));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal:?}");
        let text = plain_text(&output);
        assert!(text.contains("interrupted"), "{text}");
        assert!(text.contains("To raise it for good"), "{text}");
    }
}

#[test]
fn another_users_process_still_shows_its_limits_and_says_what_needs_root() {
    let held = Held::start("known");
    let pid = held.pid().to_string();
    let Some((_directory, mut command)) = as_nobody(&["inspect", &pid, "--json", "-"]) else { return };
    let report = json(&command.output().unwrap());
    assert_eq!(report["limits"]["soft"], SOFT);
    assert_eq!(report["chain"].as_array().unwrap().last().unwrap()["pid"], held.pid());
    assert!(report["headroom"].is_null() && report["descriptors"].is_null() && report["growth"].is_null());
    assert!(report["unmeasured"]["headroom"].as_str().unwrap().contains("sudo lastfd inspect"));
    assert!(report["raise_now"][0]["command"].as_str().unwrap().starts_with("sudo prlimit"));
}

#[test]
fn ones_own_process_needs_no_root() {
    let Some((_directory, mut command)) = as_nobody(&["inspect", "1", "--for", "0s", "--json", "-"]) else {
        return;
    };
    // The child of nobody: a process that waits for its standard input.
    let mut own = Command::new("cat");
    let mut own = own.uid(65534).gid(65534).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // Its loader has files open until then.
    let reads = || {
        std::fs::read_to_string(format!("/proc/{}/syscall", own.id()))
            .is_ok_and(|call| call.starts_with("0 0x0 "))
    };
    assert!(crate::support::eventually(Duration::from_secs(10), reads), "cat reads its standard input");
    command = {
        let mut again = Command::new(command.get_program());
        again
            .args(["inspect", &own.id().to_string(), "--for", "0s", "--json", "-"])
            .uid(65534)
            .gid(65534)
            .current_dir("/");
        again
    };
    let report = json(&command.output().unwrap());
    let listed = std::fs::read_dir(format!("/proc/{}/fd", own.id())).unwrap().count();
    assert_eq!(report["descriptors"]["listed"], listed);
    drop(own.stdin.take());
    own.wait().unwrap();
}

/// Its `/proc/PID/fd` is empty then: the table is seen through a thread that lives.
#[test]
fn a_process_whose_first_thread_has_exited_still_shows_its_descriptors() {
    let Some(python) = program("python3") else { return };
    let script = "import ctypes, os, threading, time\n\
                  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n\
                  ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)\n";
    let mut child = Command::new(python).args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
    let folder = format!("/proc/{}", child.id());
    let exited = eventually(Duration::from_secs(20), || {
        std::fs::read_to_string(format!("{folder}/status")).is_ok_and(|status| status.contains("State:\tZ"))
    });
    let task = std::fs::read_dir(format!("{folder}/task")).unwrap().flatten().map(|task| task.path()).max();
    let listed = std::fs::read_dir(task.expect("a thread that lives").join("fd")).unwrap().count();
    let report = inspect(child.id() as i32, "50ms");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(exited && listed >= 3, "{listed}");
    assert_eq!(
        (&report["descriptors"]["open"], &report["growth"]["last"]),
        (&listed.into(), &listed.into()),
        "{report:#}"
    );
    assert_eq!(report["inventory"].as_array().map(Vec::len), Some(listed), "{report:#}");
}

#[test]
fn what_cannot_be_measured_is_an_exit_code_and_a_sentence() {
    let code = |pid: &str| {
        let output = lastfd(&["inspect", pid]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // Beyond the largest pid that Linux gives (2^22).
    let (none, message) = code("8388608");
    assert_eq!(none, Some(5));
    assert!(message.contains("there is no process 8388608"), "{message}");
    for no_process in ["0", ":0", ":http", ""] {
        assert_eq!(code(no_process).0, Some(2), "{no_process}");
    }

    let mut exited = Command::new("true").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&exited);
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
    let (zombie, message) = code(&exited.id().to_string());
    assert_eq!(zombie, Some(5), "{message}");
    assert!(message.contains("zombie"), "{message}");
    exited.wait().unwrap();
}

#[test]
fn the_json_document_has_every_field_of_the_contract() {
    let held = Held::start("known");
    let report = inspect(held.pid(), "50ms");
    assert_eq!(report["schema"], "lastfd/inspect/1");
    let fields: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    for field in [
        "asked",
        "pid",
        "ids",
        "command",
        "limits",
        "headroom",
        "tree",
        "descriptors",
        "kinds",
        "peers",
        "listeners",
        "close_wait",
        "deleted",
        "unread",
        "time_wait",
        "growth",
        "chain",
        "set_by",
        "managed_by",
        "for_good",
        "raise_now",
        "inventory",
        "unmeasured",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    for entry in report["inventory"].as_array().unwrap() {
        assert!(entry["fd"].is_i64() && entry["kind"].is_string() && entry["detail"].is_string(), "{entry}");
    }
}

#[test]
fn a_count_that_falls_is_told_to_fall() {
    let held = Held::start("shrink");
    let output = lastfd(&["inspect", &held.pid().to_string(), "--for", "500ms"]).output().unwrap();
    let text = plain_text(&output);
    assert!(text.contains("it falls by ") && !text.contains("up and down"), "{text}");
}

#[test]
fn a_thread_of_the_kernel_gets_no_advice() {
    let kthreadd = std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd");
    if !kthreadd {
        return eprintln!("skipped: a PID namespace of its own shows no threads of the kernel");
    }
    let output = lastfd(&["inspect", "2"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(5), 0), "{said}");
    assert!(said.contains("process 2: it is a thread of the kernel"), "{said}");
}

#[test]
fn a_root_that_lacks_a_capability_is_told_which_and_not_to_use_sudo() {
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
    // capabilities(7): CAP_SYS_PTRACE is 19.
    if !root || !lastfd::internal::limits::raise::capable(19) || program("setpriv").is_none() {
        return eprintln!("skipped: only root can give up a capability");
    }
    let held = Held::start("known");
    let pid = held.pid().to_string();
    let mut weak = Command::new("setpriv");
    weak.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", "--"]);
    let report = json(&weak.arg(LASTFD).args(["inspect", &pid, "--json", "-"]).output().unwrap());
    let why = report["unmeasured"]["headroom"].as_str().unwrap();
    assert!(why.contains("lacks CAP_SYS_PTRACE") && !why.contains("sudo"), "{why}");
}

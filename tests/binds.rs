//! What binds when descriptors do not: real subjects under a limit of tasks or memory, and a generator
//! without source ports.

use crate::support::{Called, LASTFD, called, find, lastfd, program, subject};
use serde_json::Value;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Under the name `path`; readable by everybody, as a file in a home folder need not be.
fn shown(file: &Path, path: &Path) {
    let readable = std::fs::metadata(file).expect("a file").mode() & 0o5 == 0o5;
    if !readable || std::fs::hard_link(file, path).is_err() {
        std::fs::copy(file, path).expect("a copy");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("our own");
    }
}

/// `lastfd find` for one of our subjects, by a user whom RLIMIT_NPROC binds: as root, nobody.
fn found_by_a_user(name: &str, options: &[&str]) -> Called {
    let words = subject(name);
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = [&["find", "--json", "-"], options, &["--"]].concat();
    if !rustix::process::geteuid().is_root() {
        return lastfd(&[&options[..], &words].concat());
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our own");
    let (own, harness) = (folder.path().join("subject"), folder.path().join("lastfd"));
    shown(&std::env::current_exe().expect("own path"), &own);
    shown(Path::new(LASTFD), &harness);
    words[2] = own.to_str().expect("UTF-8");
    called(Command::new(harness).args([&options[..], &words].concat()).uid(65534).gid(65534).current_dir("/"))
}

#[test]
fn a_limit_that_this_machine_refuses_is_inconclusive_and_no_fault_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our own");
    let harness = folder.path().join("lastfd");
    shown(Path::new(LASTFD), &harness);
    let mut command = Command::new("sh");
    // Kilobytes, soft and hard.
    command.args(["-c", "ulimit -v 8000000 && exec \"$0\" \"$@\""]).arg(harness).current_dir("/");
    command.args(["find", "--json", "-", "--nofile", "64", "--rlimit", "as=16000000000", "--", "true"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let called = called(&mut command);
    assert_eq!(called.code, Some(5), "{called:?}");
    assert!(
        called.stdout.contains("CAP_SYS_RESOURCE") && called.stdout.contains("lower `rlimits`"),
        "{called:?}"
    );
}

/// Tasks of whoever runs the subjects, and 60 more: enough to start where no user namespace counts them
/// apart.
fn nproc() -> String {
    let user = if rustix::process::geteuid().is_root() { 65534 } else { rustix::process::geteuid().as_raw() };
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let tasks = processes
        .filter(|entry| entry.metadata().is_ok_and(|process| process.uid() == user))
        .map(|entry| std::fs::read_dir(entry.path().join("task")).map_or(0, Iterator::count));
    format!("nproc={}", tasks.sum::<usize>() + 60)
}

/// Whether the run's tasks are counted apart from those of other tests; a visible skip where not.
fn counted_apart(run: &Value) -> bool {
    let apart = run["subject"]["isolation"] == "user-namespace";
    if !apart {
        eprintln!("skipped: no user namespace, so other processes of this user count too");
    }
    apart
}

#[test]
fn a_sweep_names_the_threads_that_bind_beyond_the_descriptors() {
    let nproc = nproc();
    let called = found_by_a_user(
        "a_thread_each",
        &["--nofile", "32,48,512", "--workload", "tcp", "--hold", "1s", "--rlimit", &nproc],
    );
    let whole: Value =
        serde_json::from_str(&called.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {called:?}"));
    if !counted_apart(&whole["runs"][0]) {
        return;
    }
    let sweep = &whole["sweep"];
    assert_eq!(
        (sweep["binds"]["from"].as_u64(), sweep["binds"]["resource"].as_str()),
        (Some(512), Some("threads")),
        "{sweep:#}"
    );
    assert_eq!(sweep["fit"]["points"], 2, "{sweep:#}");
    let last = &whole["runs"][2]["ceiling"];
    let most: u64 = nproc[6..].parse().expect("a number");
    let held = last["accepted"].as_u64().expect("a number");
    assert!(
        (most - 12..most).contains(&held) && last["kind"] == "other-limit",
        "a task each, of {most}: {last:#}"
    );
    let evidence = last["binds"]["evidence"].as_str().expect("evidence");
    assert!(evidence.contains(&format!("{most} of {most} tasks (RLIMIT_NPROC)")), "{evidence}");
}

#[test]
fn processes_bind_a_server_that_makes_one_for_each_connection() {
    let nproc = nproc();
    let called = found_by_a_user(
        "a_process_each",
        &["--nofile", "256", "--workload", "tcp", "--hold", "1s", "--rlimit", &nproc],
    );
    let run = called.run();
    if !counted_apart(&run) {
        return;
    }
    assert!(run["prediction"]["ceiling"].is_null(), "the descriptor limit bounds nothing: {run:#}");
    let ceiling = &run["ceiling"];
    assert_eq!(
        (ceiling["kind"].as_str(), ceiling["binds"]["resource"].as_str()),
        (Some("other-limit"), Some("processes")),
        "{ceiling:#}"
    );
    assert_eq!(ceiling["handed_over"]["connections"], ceiling["accepted"], "{ceiling:#}");
}

#[test]
fn memory_binds_a_server_whose_address_space_is_limited() {
    let words = subject("megabytes_each");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = [
        "--nofile",
        "256",
        "--workload",
        "tcp",
        "--clients",
        "150",
        "--hold",
        "1s",
        "--rlimit",
        "as=800000000",
    ];
    let run = find(&options, &words).run();
    let ceiling = &run["ceiling"];
    assert_eq!(
        (ceiling["kind"].as_str(), ceiling["binds"]["resource"].as_str()),
        (Some("other-limit"), Some("memory")),
        "{ceiling:#}"
    );
    assert!(ceiling["accepted"].as_u64() < Some(800_000_000 >> 23), "eight megabytes each: {ceiling:#}");
    assert!(
        ceiling["binds"]["evidence"].as_str().is_some_and(|said| said.contains("762.9 MiB")),
        "{ceiling:#}"
    );
}

#[test]
fn source_ports_are_the_generators_own_and_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ports.scenario.toml");
    let text = r#"
        claim = "a hundred source ports make a hundred connections"
        [processes.server]
        serve.tcp = {}
        limits = { soft = 256, hard = 256 }
        port = 17000
        [workloads.flood]
        tcp = { clients = 150 }
        [sysctls]
        "net.ipv4.ip_local_port_range" = "40000 40099"
    "#;
    std::fs::write(&file, text).expect("written");
    let run = lastfd(&["run", "--json", "-", file.to_str().expect("UTF-8")]).run();
    if run["network_namespace"].is_null() {
        return eprintln!("skipped: no network namespace can be made");
    }
    let ceiling = &run["ceiling"];
    assert_eq!(
        (ceiling["kind"].as_str(), ceiling["binds"]["resource"].as_str()),
        (Some("generator"), Some("source-ports")),
        "{run:#}"
    );
    assert_eq!(
        (ceiling["accepted"].as_u64(), run["verdict"].as_str()),
        (Some(100), Some("inconclusive")),
        "{run:#}"
    );
}

/// How many inotify instances one user may have.
fn inotify_instances() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").expect("a sysctl");
    text.trim().parse().expect("a number")
}

#[test]
fn inotify_instances_bind_a_server_that_makes_one_for_each_client_and_no_descriptor_limit_does() {
    let most = inotify_instances();
    let soft = (most * 4).max(512).to_string();
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", &soft, "--workload", "tcp", "--hold", "1s", "--observer", observer];
        let run = found_by_a_user("an_inotify_instance_each", &options).run();
        if run["witnesses"]
            .as_array()
            .is_none_or(|all| all.iter().all(|witness| witness["observer"] != observer))
        {
            eprintln!("skipped: no {observer} for this user");
            continue;
        }
        let ceiling = &run["ceiling"];
        assert_eq!(
            (ceiling["kind"].as_str(), ceiling["binds"]["resource"].as_str()),
            (Some("other-limit"), Some("inotify-instances")),
            "{observer}: {ceiling:#}"
        );
        assert_eq!(ceiling["first_failure"]["call"], "inotify_init1", "{ceiling:#}");
        let held = ceiling["accepted"].as_u64().expect("a number");
        let own = format!("instances for {held} clients");
        let log = &run["saturation"]["log_sample"];
        assert!(
            log.as_array()
                .expect("lines")
                .iter()
                .any(|line| line.as_str().is_some_and(|line| line.ends_with(&own))),
            "its own count: {log}, {ceiling:#}"
        );
        let evidence = ceiling["binds"]["evidence"].as_str().expect("evidence");
        assert!(evidence.contains(&format!("{most} of {most} inotify instances")), "{evidence}");
        assert!(evidence.contains("it is not RLIMIT_NOFILE"), "{evidence}");
        assert_eq!(run["recovery"]["recovered"], true, "{run:#}");
    }
}

/// A run of the select() loop under a limit of 2048, by this observer; `None`, visibly, where that or Python
/// is missing.
fn select_loop(mode: &str, observer: &str) -> Option<Value> {
    program("python3")?;
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/select_loop.py");
    let command = ["python3", server.to_str().expect("UTF-8"), "{port}", mode];
    let run = find(&["--nofile", "2048", "--clients", "1200", "--observer", observer], &command).run();
    if run["verdict"] == "inconclusive" {
        eprintln!("skipped: {}", run["reasons"]);
        return None;
    }
    Some(run)
}

/// Connections that select() can watch beside what the server has at rest: of 1024 numbers.
fn watchable(run: &Value) -> u64 {
    1024 - run["baseline"]["descriptors"].as_u64().expect("a number")
}

#[test]
fn a_select_loop_that_exits_with_number_1024_has_fd_setsize_for_its_limit() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = select_loop("exit", observer) else { continue };
        let ceiling = &run["ceiling"];
        assert_eq!(
            (
                ceiling["kind"].as_str(),
                ceiling["binds"]["resource"].as_str(),
                ceiling["exit"]["code"].as_i64()
            ),
            (Some("exited"), Some("fd-setsize"), Some(1)),
            "{observer}: {ceiling:#}"
        );
        assert_eq!(ceiling["accepted"].as_u64(), Some(watchable(&run)), "{ceiling:#}");
    }
}

#[test]
fn a_select_loop_that_swallows_the_error_is_dead_and_busy_and_limits_nothing() {
    for observer in ["perf", "ptrace"] {
        let Some(run) = select_loop("stuck", observer) else { continue };
        let (ceiling, saturation) = (&run["ceiling"], &run["saturation"]);
        assert_eq!(
            (ceiling["kind"].as_str(), ceiling["binds"]["resource"].as_str(), saturation["policy"].as_str()),
            (Some("other-limit"), Some("fd-setsize"), Some("accept-loop-dead")),
            "{observer}: {ceiling:#}"
        );
        let evidence = saturation["policy_evidence"].as_str().expect("evidence");
        assert!(evidence.contains("% of a processor"), "{evidence}");
        assert_eq!(ceiling["accepted"].as_u64(), Some(watchable(&run)), "{ceiling:#}");
        assert_eq!(run["recovery"]["verdict"], "stuck", "{:#}", run["recovery"]);
    }
}

#[test]
fn a_server_that_is_killed_with_number_1024_has_fd_setsize_for_its_limit() {
    let words = subject("aborts_at_fd_setsize");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", "2048", "--workload", "tcp", "--clients", "1200", "--observer", observer];
        let run = find(&options, &words).run();
        if run["verdict"] == "inconclusive" {
            eprintln!("skipped: {}", run["reasons"]);
            continue;
        }
        let ceiling = &run["ceiling"];
        assert_eq!(
            (ceiling["binds"]["resource"].as_str(), ceiling["exit"]["signal"].as_i64()),
            (Some("fd-setsize"), Some(6)),
            "{observer}: {ceiling:#}"
        );
        let own = format!("it watched {} connections", ceiling["accepted"]);
        let log = &run["saturation"]["log_sample"];
        assert!(
            log.as_array()
                .expect("lines")
                .iter()
                .any(|line| line.as_str().is_some_and(|line| line.ends_with(&own))),
            "its own count: {log}, {ceiling:#}"
        );
    }
}

#[test]
fn who_is_busy_and_neither_accepts_nor_answers_has_a_dead_accept_loop() {
    let words = subject("busy_with_nothing");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for observer in ["perf", "ptrace"] {
        let options = ["--nofile", "64", "--workload", "tcp", "--clients", "60", "--observer", observer];
        let run = find(&options, &words).run();
        assert_eq!(run["saturation"]["policy"], "accept-loop-dead", "{observer}: {run:#}");
        assert!(run["ceiling"]["binds"].is_null(), "{observer}: {:#}", run["ceiling"]);
    }
}

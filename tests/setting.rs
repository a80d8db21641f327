//! What surrounds a subject: its folder, user, standard input, files, the command before it, and when it is
//! ready.

use crate::support::{Called, LASTFD, eventually, find, lastfd};
use lastfd::internal::scenario::Plan;
use std::path::Path;
use std::time::Duration;

/// Runs the bundled server where these shell commands have succeeded.
fn server(after: &str) -> Vec<String> {
    let script = format!("set -e; {after}; exec {LASTFD} serve http --port {{port}}");
    vec!["sh".into(), "-c".into(), script]
}

fn found(options: &[&str], after: &str) -> Called {
    let words = server(after);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    find(&[&["--nofile", "40", "--workload", "tcp"], options].concat(), &words)
}

fn said(options: &[&str], after: &str) -> (Option<i32>, String) {
    let words = server(after);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let called =
        lastfd(&[&["find", "--nofile", "40", "--workload", "tcp"], options, &["--"], &words].concat());
    (
        called.code,
        format!("{}{}", called.stdout, called.stderr).split_whitespace().collect::<Vec<_>>().join(" "),
    )
}

#[test]
fn files_a_folder_standard_input_and_a_command_before_are_there_when_it_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (conf, input) = (folder.path().join("c.conf"), folder.path().join("input"));
    std::fs::write(&conf, "port={port}\n").expect("written");
    std::fs::write(&input, "hello\n").expect("written");
    let run = found(
        &[
            "--file",
            &format!("etc/c.conf={}", conf.display()),
            "--stdin",
            input.to_str().expect("UTF-8"),
            "--directory",
            "{scratch}/work",
            "--prepare",
            "cp ../etc/c.conf prepared",
        ],
        "grep -q '^port={port}$' prepared; read line; test \"$line\" = hello",
    )
    .run();
    assert_eq!(run["ceiling"]["kind"], "emfile", "{run:#}");
}

#[test]
fn a_command_before_that_fails_or_takes_too_long_is_not_the_programs_fault() {
    for (options, words) in [
        (
            ["--prepare", "sh -c 'echo no space; exit 3'"].as_slice(),
            "ended with exit status 3; its last lines: no space",
        ),
        (
            &["--prepare", "sleep 60", "--prepare-within", "200ms"],
            "was not done within 0.2 s; it wrote nothing",
        ),
        // Whoever writes without end is ended all the same.
        (&["--prepare", "yes", "--prepare-within", "200ms"], "was not done within 0.2 s; "),
        (&["--prepare", "sh -c 'yes & exit 3'"], "ended with exit status 3; "),
        (&["--prepare", "/nowhere/initdb"], "`/nowhere/initdb` cannot be had"),
        (&["--file", "x=/nowhere/x"], "`/nowhere/x` cannot be had"),
        (&["--user", "no-such-user"], "no user no-such-user"),
    ] {
        let (code, said) = said(options, "true");
        assert_eq!(code, Some(5), "{options:?}: {said}");
        let root = rustix::process::geteuid().is_root();
        assert!(said.contains(words) || !root && options[0] == "--user", "{options:?}: {said}");
    }
}

/// SIGKILL of lastfd while the command before runs: neither that nor the folder is left.
#[test]
fn sigkill_while_a_command_before_runs_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = || std::fs::read_dir(folder.path()).expect("it is there").flatten();
    let words = server("true");
    let mut harness = std::process::Command::new(LASTFD)
        .args(["find", "--nofile", "40", "--workload", "tcp"])
        .args(["--prepare", "sh -c 'touch {scratch}/runs; exec sleep 100'", "--"])
        .args(&words)
        .env("TMPDIR", folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("lastfd starts");
    let runs =
        eventually(Duration::from_secs(30), || within().any(|entry| entry.path().join("runs").exists()));
    harness.kill().expect("SIGKILL");
    harness.wait().expect("its end");
    assert!(runs, "the command before was started");
    assert!(eventually(Duration::from_secs(10), || within().next().is_none()), "the folder is left");
}

/// SIGKILL of lastfd while it copies files: the folder that they are copied into is not left.
#[test]
fn sigkill_while_files_are_copied_leaves_nothing() {
    let (folder, source) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
    for n in 0..20_000 {
        let name = source.path().join(n.to_string());
        std::fs::write(name, "port {port}").expect("a file to copy");
    }
    let within = || std::fs::read_dir(folder.path()).expect("it is there").flatten();
    let mut harness = std::process::Command::new(LASTFD)
        .args(["find", "--nofile", "40", "--workload", "tcp", "--file"])
        .arg(format!("all={}", source.path().display()))
        .arg("--")
        .args(server("true"))
        .env("TMPDIR", folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("lastfd starts");
    let copies = |entry: std::fs::DirEntry| {
        std::fs::read_dir(entry.path().join("all")).is_ok_and(|copied| copied.count() > 10)
    };
    let copying = eventually(Duration::from_secs(30), || within().any(copies));
    harness.kill().expect("SIGKILL");
    harness.wait().expect("its end");
    assert!(copying, "files were copied");
    assert!(eventually(Duration::from_secs(20), || within().next().is_none()), "the folder is left");
}

#[test]
fn a_named_pipe_as_standard_input_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, 0o600.into(), 0).expect("made");
    let run = found(&["--stdin", pipe.to_str().expect("UTF-8")], "! read line").run();
    assert_eq!(run["ceiling"]["kind"], "emfile", "{run:#}");
}

#[test]
fn a_program_runs_as_the_user_that_was_asked_for_and_owns_its_folder() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may start a program as another user");
        return;
    }
    // Where this test's own program lies, that user may not look.
    let words = [
        "sh",
        "-c",
        "set -e; test \"$(id -un)\" = nobody; test \"$USER\" = nobody; test -O prepared; echo started >/dev/stderr; \
         exec {scratch}/lastfd serve http --port {port}",
    ];
    let options = [
        "--nofile",
        "40",
        "--user",
        "nobody",
        "--directory",
        "{scratch}",
        "--prepare",
        "touch prepared",
        "--ready-log",
        "^started",
    ];
    let file = format!("lastfd={LASTFD}");
    let run = find(&[&options[..], &["--file", &file]].concat(), &words).run();
    assert_eq!(run["ceiling"]["kind"], "emfile", "{run:#}");
    assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
}

#[test]
fn a_program_is_ready_when_a_path_a_line_or_a_command_says_so() {
    for (options, lacks) in [
        (["--ready-path", "{scratch}/there"].as_slice(), None),
        (&["--ready-log", "^listening"], None),
        (&["--ready-command", "test -e {scratch}/there"], None),
        (&["--ready-path", "{scratch}/nowhere"], Some("nowhere does not exist within 1 s")),
        (
            &["--ready-log", "nonsense"],
            Some("no line of its output matched the pattern of `ready` within 1 s"),
        ),
        (&["--ready-command", "false"], Some("`false` did not end with exit status 0 within 1 s")),
    ] {
        // Only what never comes to be is waited for no longer than this: on a busy machine the others may
        // take longer.
        let within: &[&str] = if lacks.is_some() { &["--ready-within", "1s"] } else { &[] };
        let (code, said) = said(&[options, within].concat(), "touch {scratch}/there");
        match lacks {
            None => assert_eq!(code, Some(0), "{options:?}: {said}"),
            Some(words) => {
                assert_eq!(code, Some(6), "{options:?}: {said}");
                assert!(said.contains(words), "{options:?}: {said}");
            }
        }
    }
}

#[test]
fn a_scenario_says_what_is_wrong_with_what_surrounds_a_process() {
    for (keys, what) in [
        ("files = { \"../x\" = \"x\" }", "this is no name inside `{scratch}`"),
        ("files = { \"stdin\" = \"x\" }", "lastfd may have a file of its own with this name there"),
        ("directory = \"{scratch}/../x\"", "this is no folder inside `{scratch}`"),
        ("prepare = []", "the command is empty"),
        ("prepare-within = \"1s\"", "there is no `prepare` that could take so long"),
        ("ready = { log = \"(\" }", "unclosed group"),
        ("ready = { port = 1 }", "unknown key `port`"),
        ("user = \"nobody\"\nlauncher = \"runuser\"", "this launcher has a `user` of its own"),
        ("directory = \"{scrach}\"", "did you mean `{scratch}`?"),
    ] {
        let text = format!(
            "claim = \"c\"\n[processes.a]\ncommand = [\"x\", \"{{port}}\"]\nlimits = {{ soft = 64, hard = 64 }}\n{keys}\n\
             [workloads.w.tcp]\n"
        );
        let error = Plan::parse(&text, "x", Path::new(".")).expect_err(keys);
        let shown = format!("{error:?}");
        assert!(shown.contains(what), "{keys}: {shown}");
    }
}

#[test]
fn a_dry_run_says_what_surrounds_a_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.scenario.toml");
    let text = "claim = \"c\"\n[processes.a]\ncommand = [\"sh\", \"{port}\"]\nlimits = { soft = 32, hard = 32 }\n\
                stdin = { file = \"input\" }\nuser = \"nobody\"\ndirectory = \"{scratch}\"\nfiles = { conf = \"a.conf\" }\n\
                prepare = [\"make\", \"it\"]\nready = { path = \"there\" }\n[workloads.w.tcp]\n";
    std::fs::write(&file, text).expect("written");
    let called = lastfd(&["run", "--dry-run", file.to_str().expect("UTF-8")]);
    for line in [
        "copies a.conf to {scratch}/conf",
        "runs as user nobody",
        "starts in {scratch}",
        "runs `make it` first",
        "is ready when there exists",
        "inherits 0 (input)",
    ] {
        assert!(called.stdout.contains(line), "{line}: {}{}", called.stdout, called.stderr);
    }
}

//! Where reports go: a disk that is full, a reader that went away, and an interrupt while one is written.

use crate::support::{LASTFD, called, lastfd, program};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

/// A device that is always full.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("the kernel's full device")
}

#[test]
fn a_standard_output_that_is_full_is_told() {
    for args in [
        &["schema"][..],
        &["completions", "bash"],
        &["list", "scenarios"],
        &["check", "scenarios/policies"],
        &["doctor"],
    ] {
        let told = Command::new(LASTFD).args(args).stdout(full()).output().expect("lastfd runs");
        let said = String::from_utf8_lossy(&told.stderr);
        assert_eq!(
            (told.status.code(), said.contains("standard output: No space left")),
            (Some(2), true),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn a_reader_that_closed_the_pipe_has_seen_enough() {
    for args in [&["schema"][..], &["completions", "bash"], &["list", "scenarios"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let told = Command::new(LASTFD).args(args).stdout(writer).output().expect("lastfd runs");
        assert_eq!(
            (told.status.code(), String::from_utf8_lossy(&told.stderr).into_owned()),
            (Some(0), String::new()),
            "{args:?}"
        );
    }
}

#[test]
fn an_event_log_that_is_not_whole_is_told_though_the_run_was() {
    let found = lastfd(&[
        "find",
        "--nofile",
        "32",
        "--hold",
        "500ms",
        "--events",
        "/dev/full",
        "--",
        LASTFD,
        "serve",
        "tcp",
    ]);
    assert_eq!(
        (found.code, found.stderr.contains("the event log is not whole")),
        (Some(2), true),
        "{found:?}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_a_process_is_watched() {
    let pid = std::process::id().to_string();
    let told = lastfd(&["inspect", &pid, "--for", "1h", "--json", "/nonexistent/report.json"]);
    assert_eq!(
        (told.code, told.stderr.contains("cannot write to /nonexistent/report.json")),
        (Some(2), true),
        "{told:?}"
    );
}

#[test]
fn a_run_that_is_refused_leaves_no_empty_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let refused = lastfd(&["run", "--json", report.to_str().expect("UTF-8"), "/nonexistent"]);
    assert_eq!((refused.code, report.exists()), (Some(4), false), "{refused:?}");
}

/// As on a full disk: no file may grow.
#[test]
fn a_temporary_file_that_cannot_be_written_is_no_fault_of_the_program() {
    if program("supervisord").is_none() {
        return;
    }
    let script =
        format!("trap '' XFSZ; ulimit -f 0; exec {LASTFD} find --launcher supervisord -- {LASTFD} serve tcp");
    let told = called(Command::new("sh").args(["-c", &script]));
    assert_eq!(
        (told.code, told.stderr.contains("supervisord.conf: File too large")),
        (Some(5), true),
        "{told:?}"
    );
}

/// Its runs are skipped, and so take no time; but their report is longer than a pipe, and nobody reads it
/// until the interrupt was sent.
#[test]
fn an_interrupt_between_two_runs_is_no_success() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut text = String::from(
        "claim = \"many\"\n[processes.server]\nserve.tcp = {}\nlimits = { soft = 32, hard = 32 }\nrequires = [\"no-such-program\"]\n\
         [workloads.flood]\ntcp = { clients = 8 }\n",
    );
    (0..600).for_each(|n| text += &format!("[[variant]]\nname = \"of many variants the {n}th\"\n"));
    std::fs::write(folder.path().join("scenario.toml"), text).expect("a scenario");
    let mut harness = Command::new(LASTFD)
        .arg("run")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("lastfd runs");
    let mut stdout = harness.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0; '▶'.len_utf8()]).expect("it has begun to report");
    let pid = rustix::process::Pid::from_child(&harness);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("SIGINT");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("its report");
    assert!(!rest.contains("the 599th"), "it went on after the interrupt");
    assert_eq!(harness.wait().expect("an end").code(), Some(130), "{rest}");
}

#[test]
fn a_current_folder_that_was_removed_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = format!("rmdir {}; exec {LASTFD} find -- {LASTFD} serve tcp", folder.path().display());
    let told = called(Command::new("sh").args(["-c", &script]).current_dir(folder.path()));
    assert_eq!(
        (told.code, told.stderr.contains("the current folder cannot be told")),
        (Some(2), true),
        "{told:?}"
    );
}

#[test]
fn the_summary_of_ci_is_looked_at_before_the_start_and_an_empty_name_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    let text = "claim = \"skipped\"\n[processes.server]\nserve.tcp = {}\nlimits = { soft = 32, hard = 32 }\n\
                requires = [\"no-such-program\"]\n[workloads.flood]\ntcp = { clients = 8 }\n";
    std::fs::write(&file, text).expect("a scenario");
    let with = |summary: &str| {
        called(
            Command::new(LASTFD)
                .env("GITHUB_STEP_SUMMARY", summary)
                .env_remove("LASTFD_REQUIRE_PEERS")
                .arg("run")
                .arg(&file),
        )
    };
    let (empty, nowhere) = (with(""), with("/nonexistent/summary.md"));
    assert_eq!(empty.code, Some(0), "{empty:?}");
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (Some(2), ""), "{nowhere:?}");
    let summary = folder.path().join("summary.md");
    assert_eq!(with(summary.to_str().expect("UTF-8")).code, Some(0));
    assert!(std::fs::read_to_string(summary).expect("a summary").contains("skipped"));
}

/// As to a terminal, where escape sequences are not taken out.
#[test]
fn escape_sequences_of_the_subject_do_not_reach_standard_error() {
    let mut find = Command::new(LASTFD);
    find.env("CLICOLOR_FORCE", "1").args([
        "find",
        "--",
        "sh",
        "-c",
        "printf '\\033[2Jboom\\nlast\\n'; exit 1",
    ]);
    let told = called(&mut find);
    let (escapes, lines) = (told.stderr.contains('\u{1b}'), told.stderr.contains("boom\n  last"));
    assert_eq!((told.code, escapes, lines), (Some(6), false, true), "{told:?}");
}

const SUITE: &str = r#"
claim = "one of each"
subject = "server"
[processes.server]
serve.tcp = {}
limits = { soft = 32, hard = 32 }
[workloads.flood]
tcp = { clients = 40 }
[expect]
ceiling = "soft - baseline"
[[variant]]
name = "unmet"
expect = { ceiling = 1 }
[[variant]]
name = "beyond this machine"
set = { "processes.server.limits" = { soft = 9000000000000000000, hard = 9000000000000000000 } }
[[variant]]
name = "does not start"
set = { "processes.server.limits" = { soft = 3, hard = 3 } }
"#;

#[test]
fn an_unmet_expectation_is_not_hidden_by_runs_that_could_not_be_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("suite.scenario.toml");
    let code_without = |variant: &str| {
        // The others of the suite, in the order of the file.
        let left = SUITE.split("[[variant]]").filter(|part| !part.contains(variant)).collect::<Vec<_>>();
        std::fs::write(&file, left.join("[[variant]]")).expect("a scenario");
        lastfd(&["run", file.to_str().expect("UTF-8")]).code
    };
    assert_eq!(code_without("nothing at all"), Some(1));
    assert_eq!(code_without("unmet"), Some(6), "what did not start is worse than what could not be tried");
    assert_eq!(code_without("does not start"), Some(1));
}

/// The order of docs/reference/exit-codes.md.
#[test]
fn which_exit_code_wins_is_said_where_the_codes_are() {
    let reference = include_str!("../docs/reference/exit-codes.md");
    for text in [&lastfd(&["--help"]).stdout, &lastfd(&["run", "--help"]).stdout, reference] {
        assert!(text.contains("130, 70, 2, 3, 1, 6, 5, 0"), "{text}");
    }
}

#[test]
fn a_suite_ends_with_a_tally_and_repetitions_are_one_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("suite.scenario.toml");
    std::fs::write(&file, SUITE).expect("a scenario");
    let markdown = folder.path().join("summary.md");
    let (file, summary) = (file.to_str().expect("UTF-8"), markdown.to_str().expect("UTF-8"));
    let suite = lastfd(&["run", "--markdown", summary, file]).stdout;
    let tally: Vec<&str> = suite.lines().skip_while(|line| *line != "4 runs").collect();
    let begins = [
        "4 runs",
        "✗ not met        suite / unmet: ceiling: expected 1, observed ",
        "? inconclusive   suite / beyond this machine: hard limit is ",
        "? did not start  suite / does not start: the program exited before it listened",
        "✓ 1 met",
    ];
    assert!(
        tally.len() == 5 && tally.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)),
        "{suite}"
    );

    let repeated = &["run", "--repeat", "2", "--variant", "unmet", file];
    let twice = lastfd(repeated).stdout;
    assert!(twice.contains("▶ suite / unmet (2 of 2): one of each"), "{twice}");
    assert!(twice.ends_with("0 met\n") && twice.contains("suite / unmet (0 of 2 met): "), "{twice}");
    let row = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
    let both = lastfd(&[repeated.as_slice(), &["--markdown", "-"]].concat()).stdout;
    assert!(
        row(&both) == 3 && both.contains("| suite / unmet (0 of 2 met) |"),
        "heading, rule, one row: {both}"
    );
    let junit = lastfd(&[repeated.as_slice(), &["--junit", "-"]].concat()).stdout;
    assert!(
        junit.contains("name=\"unmet (1 of 2)\"") && junit.contains("name=\"unmet (2 of 2)\""),
        "{junit}"
    );

    let alone = lastfd(&["run", "--variant", "unmet", file]).stdout;
    assert!(!alone.contains(" runs\n") && !alone.contains(" met\n"), "one run has its own report: {alone}");
    let written = std::fs::read_to_string(markdown).expect("a summary");
    assert!(written.contains("| suite / unmet |"), "{written}");
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fifo = folder.path().join("scenario.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    let fifo = fifo.to_str().expect("UTF-8");
    for (args, code, words) in [
        (["run", fifo], 3, "it is a FIFO"),
        (["check", fifo], 3, "it is a FIFO"),
        (["check", "/dev/zero"], 3, "it is a device"),
        (["replay", fifo], 2, "it is a FIFO"),
        (["replay", "/dev/zero"], 2, "it is a device"),
        (["replay", "/"], 2, "it is a folder"),
    ] {
        let told = lastfd(&args);
        assert!(told.code == Some(code) && told.stderr.contains(words), "{args:?}: {told:?}");
    }
    let events = lastfd(&["explain", "--events", fifo]);
    assert!(events.code == Some(2) && events.stderr.contains("it is a FIFO"), "{events:?}");
}

#[test]
fn a_line_of_a_log_that_is_no_event_is_not_echoed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("run.jsonl");
    let told = std::fs::read_to_string(crate::log::file(folder.path(), "spin")).expect("a log");
    let header = told.lines().next().expect("a header");
    let long = "a".repeat(1_000_000);
    for text in [
        format!("{header}\n{{\"at\":1,\"is\":\"{long}\"}}\n{{}}\n"),
        format!("{{\"at\":1,\"is\":\"{long}\"}}\n"),
        format!("{long}\n"),
    ] {
        std::fs::write(&log, text).expect("written");
        let told = lastfd(&["replay", log.to_str().expect("UTF-8")]);
        assert!(told.code == Some(3) && told.stderr.len() < 1000, "{} bytes", told.stderr.len());
    }
}

#[test]
fn a_bare_number_on_a_command_line_is_seconds() {
    let pid = std::process::id().to_string();
    let shown = lastfd(&["inspect", &pid, "--for", "0", "--json", "-"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for (option, value) in [("--hold", "1"), ("--ready-within", "9")] {
        let found = lastfd(&["find", "--nofile", "32", option, value, "--", LASTFD, "serve", "tcp"]);
        assert_eq!(found.code, Some(0), "{option} {value}: {found:?}");
    }
    let refused = lastfd(&["find", "--hold", "5d", "--", "true"]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains("`5d` is not a time: write 10 or 10s"),
        "{refused:?}"
    );
}

#[test]
fn an_obstacle_of_a_command_line_names_its_options() {
    let told = lastfd(&["find", "--nofile", "2000000000", "--", "true"]);
    let own = !told.stderr.contains("limits.") && !told.stderr.contains("of server");
    assert!(told.code == Some(5) && own && told.stderr.contains("lower `--nofile`"), "{told:?}");
    let mut without = Command::new(LASTFD);
    let missing = called(
        without.args(["find", "--launcher", "supervisord", "--", LASTFD, "serve", "tcp"]).env("PATH", ""),
    );
    assert!(
        missing.code == Some(5) && missing.stderr.contains("`supervisord`, which the launcher needs"),
        "{missing:?}"
    );
}

#[test]
fn rows_of_commands_are_told_apart_in_markdown() {
    for command in [&[LASTFD, "serve", "tcp"][..], &["./no-such-server", "--listen", "8080"]] {
        let found = lastfd(&[&["find", "--nofile", "32", "--markdown", "-", "--"], command].concat());
        let row = found.stdout.lines().find(|line| line.contains("| find |")).map(str::to_owned);
        let named = found.stdout.lines().any(|line| line.starts_with('|') && line.contains(command[1]));
        assert!(row.is_none() && named, "{found:?}");
    }
}

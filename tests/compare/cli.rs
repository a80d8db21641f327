//! `lastfd compare` as people call it: on programs that call, on servers, and on scenario files.

use crate::support::{Called, LASTFD, called, lastfd, marked, program};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A comparison of two commands.
pub fn compare(options: &[&str], before: &str, after: &str) -> Called {
    let own = ["compare", "--order-seed", "7", "--within", "300s"];
    lastfd(&[&own, options, &["--before", before, "--after", after]].concat())
}

/// A row of the JSON report.
pub fn row<'a>(report: &'a Value, quantity: &str) -> &'a Value {
    let rows = report["rows"].as_array().expect("rows");
    rows.iter()
        .find(|row| row["quantity"] == quantity)
        .unwrap_or_else(|| panic!("no {quantity} in {report:#}"))
}

fn report(called: &Called) -> Value {
    serde_json::from_str(&called.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", called.stdout, called.stderr))
}

/// A caller by curl: so many calls over one connection.
fn calls(count: u32) -> Option<String> {
    Some(format!("{} -sS {{upstream}}/[1-{count}] -o /dev/null", program("curl")?.display()))
}

#[test]
fn a_fix_is_proved_and_its_loss_fails() {
    let scenario = "@reuse/body";
    let gate = lastfd(&["compare", scenario, "--order-seed", "7", "--within", "300s", "--json", "-"]);
    assert_eq!(gate.code, Some(0), "{}{}", gate.stdout, gate.stderr);
    let found = report(&gate);
    assert_eq!(found["schema"], "lastfd/compare/1");
    let opened = row(&found, "connections-opened");
    assert_eq!((&opened["before"], &opened["after"]), (&400.0.into(), &1.0.into()), "{found:#}");
    assert_eq!(opened["verdict"], "exactly-better");
    assert_eq!(row(&found, "descriptors-per-1000-calls")["before"], 1000.0);
    // The other way round the fix is lost.
    let named = lastfd(&["compare", scenario, "--variant", "drained", "--within", "300s"]);
    assert!(named.stdout.contains("✓ kept: connections-opened <= 1"), "{}", named.stdout);
    let lost = lastfd(&[
        "compare",
        scenario,
        "--variant",
        "drained",
        "--variant",
        "base",
        "--require",
        "connections-opened <= 2",
    ]);
    assert_eq!(lost.code, Some(1), "{}{}", lost.stdout, lost.stderr);
    assert!(lost.stdout.contains("✗ not kept: connections-opened <= 2: 400 against 1"), "{}", lost.stdout);
    assert!(lost.stdout.starts_with("base opens 400 connections, not 1."), "{}", lost.stdout);
}

#[test]
fn tls_sessions_that_are_resumed_are_counted() {
    let called = lastfd(&[
        "compare",
        "@reuse/grpc",
        "--order-seed",
        "7",
        "--within",
        "300s",
        "--json",
        "-",
        "--require",
        "tls-full <= 1",
    ]);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
    let found = report(&called);
    let full = row(&found, "tls-full");
    assert_eq!((&full["before"], &full["after"]), (&120.0.into(), &1.0.into()), "{found:#}");
}

#[test]
fn a_server_that_computes_before_each_answer_is_slower() {
    let server = |options: &str| format!("{LASTFD} serve http --port {{port}} {options}");
    let options = ["--calls", "60", "--json", "-", "--require", "p50 no worse than 10 %"];
    let called = compare(&options, &server(""), &server("--delay-us 2000"));
    assert_eq!(called.code, Some(1), "{}{}", called.stdout, called.stderr);
    let found = report(&called);
    let p50 = row(&found, "p50");
    assert_eq!(found["bounds"][0]["verdict"], "broken", "{found:#}");
    // Each answer takes two milliseconds more, at least.
    assert!(p50["after"].as_f64().unwrap() >= 2.0, "{found:#}");
    assert_eq!(row(&found, "p99")["unmeasured"], serde_json::json!({ "few-calls": { "needs": 1000 } }));
}

#[test]
fn different_work_is_refused() {
    let (Some(ten), Some(twenty)) = (calls(10), calls(20)) else { return };
    let called = compare(&[], &ten, &twenty);
    assert_eq!(called.code, Some(5), "{}{}", called.stdout, called.stderr);
    let said = called.stdout.replace('\n', " ");
    let refused = "Refused: the two sides did different work. before made 10 calls, all answered; after made 20 calls, all answered.";
    assert!(said.contains(refused), "{said}");
}

#[test]
fn a_program_that_always_calls_the_same_port_is_compared_there() {
    let Some(curl) = program("curl") else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let each = format!("sh -c 'for i in 1 2 3; do {} -sS -o /dev/null {url}/; done'", curl.display());
    let one = format!("{} -sS {url}/[1-3] -o /dev/null", curl.display());
    let options = ["--upstream", "http", "--port", &port.to_string(), "--require", "connections-opened <= 1"];
    let called = compare(&options, &each, &one);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
    assert!(called.stdout.starts_with("after opens 1 connection, not 3."), "{}", called.stdout);
}

#[test]
fn a_program_that_ignores_the_upstream_is_told_so_by_its_name() {
    let Some(calls) = calls(5) else { return };
    let called = compare(&[], &calls, "true 127.0.0.1:8080");
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    let said = called.stdout.replace('\n', " ");
    assert!(said.contains("after ended and never called the upstream"), "{said}");
}

#[test]
fn servers_that_answer_nothing_are_not_compared() {
    let server = format!("{LASTFD} serve mail --port {{port}}");
    let called = compare(&["--calls", "2"], &server, &server);
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    assert!(called.stdout.replace('\n', " ").contains("was answered"), "{}", called.stdout);
}

#[test]
fn two_servers_on_one_port_are_called_one_after_the_other() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("{LASTFD} serve http --port {port}");
    let options = ["--port", &port.to_string(), "--calls", "30", "--require", "connections-opened <= 30"];
    let called = compare(&options, &server, &server);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
}

#[test]
fn secrets_of_a_command_are_not_written() {
    let Some(calls) = calls(5) else { return };
    let secret = format!("{calls} --max-time 9 --user-agent hunter2");
    let called = compare(&["--redact", "--blocks", "1"], &secret, &secret);
    assert!(!called.stdout.contains("hunter2"), "{}", called.stdout);
}

#[test]
fn a_program_that_never_calls_is_told_so() {
    let called = compare(&[], "true {upstream}", "true {upstream}");
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    let said = called.stdout.replace('\n', " ");
    assert!(said.contains("ended and never called the upstream"), "{said}");
}

/// Says something, and fails.
const FAILS: &str = "sh -c 'echo no such host; exit 3' {upstream}";

#[test]
fn a_program_that_fails_is_told_with_its_words() {
    let called = compare(&[], FAILS, FAILS);
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    assert!(called.stdout.contains("ended with exit status 3"), "{}", called.stdout);
    assert!(called.stdout.contains("no such host"), "{}", called.stdout);
}

/// Five calls over one connection, but at its starts with these numbers (a pattern of the shell) it does
/// something else. The file counts them.
fn but_at(count: &Path, starts: &str, otherwise: &str) -> Option<String> {
    std::fs::write(count, "0").unwrap();
    let (file, calls) = (count.display(), calls(5)?);
    Some(format!(
        "sh -c 'n=$(($(cat {file}) + 1)); echo $n > {file}; case $n in {starts}) {otherwise};; esac; exec {calls}'"
    ))
}

#[test]
fn a_block_that_fails_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let Some(after) = but_at(&folder.path().join("count"), "4", "exit 3") else { return };
    let before = calls(5).expect("the same program");
    let events = folder.path().join("blocks.jsonl");
    let options =
        ["--require", "connections-opened <= 1", "--json", "-", "--events", events.to_str().unwrap()];
    let called = compare(&options, &before, &after);
    assert_eq!(called.code, Some(5), "{}{}", called.stdout, called.stderr);
    let found = report(&called);
    assert_eq!(
        (&found["left_out"][0]["number"], &found["left_out"][1]),
        (&3.into(), &Value::Null),
        "{found:#}"
    );
    assert_eq!(found["left_out"][0]["side"], "after", "{found:#}");
    let all = found["blocks"].as_u64().unwrap() + found["noise_blocks"].as_u64().unwrap() + 2;
    let text = lastfd(&["compare", "--replay", events.to_str().unwrap()]).stdout;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = format!("1 of {all} blocks was left out: after ended with exit status 3");
    assert!(words.contains(&said), "{said}: {text}");
    assert!(words.contains("no conclusion: blocks were left out because after failed"), "{text}");
    // The version before may fail: it is the other one that has to pass.
    let failing = but_at(&folder.path().join("count"), "4", "exit 3").expect("the same program");
    let called = compare(&["--require", "connections-opened <= 1"], &failing, &before);
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
    assert!(called.stdout.contains("left out: before ended"), "{}", called.stdout);
}

#[test]
fn a_comparison_ends_when_too_many_blocks_fail() {
    let folder = tempfile::tempdir().unwrap();
    let Some(after) = but_at(&folder.path().join("count"), "[3-9]", "exit 3") else { return };
    let called = compare(&[], &calls(5).expect("the same program"), &after);
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    let words = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "3 of 5 blocks failed, which is too many. The last: after ended with exit status 3";
    assert!(words.contains(said), "{}", called.stdout);
}

#[test]
fn the_time_is_over_in_the_middle_of_a_block_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(after) = but_at(&folder.path().join("count"), "[3-9]", "exec sleep 1000") else { return };
    let (before, began) = (calls(5).expect("the same program"), Instant::now());
    let called =
        lastfd(&["compare", "--before", &before, "--after", &after, "--within", "10s", "--json", "-"]);
    let (took, found) = (began.elapsed(), report(&called));
    assert_eq!((called.code, &found["ending"]), (Some(0), &"time".into()), "{found:#}");
    assert!((10.0..30.0).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(found["blocks"], 1, "{found:#}");
    let reason = found["left_out"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("after had not ended after "), "{found:#}");
}

#[test]
fn a_server_that_the_end_of_the_time_stops_before_it_listens_is_inconclusive() {
    let sleeps = "sh -c 'sleep 1000' {port}";
    let called = lastfd(&["compare", "--before", sleeps, "--after", sleeps, "--within", "2s"]);
    assert_eq!(called.code, Some(5), "{}{}", called.stdout, called.stderr);
    let said = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("the time was over before a process was ready; allow more with --within"),
        "{said}"
    );
}

#[test]
fn a_program_that_does_not_end_is_told_so() {
    let sleeps = "sh -c 'sleep 1000' {upstream}";
    let called = lastfd(&["compare", "--before", sleeps, "--after", sleeps, "--within", "2s"]);
    assert_eq!(called.code, Some(6), "{}{}", called.stdout, called.stderr);
    let said = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("had not ended after 2 s, when the time was over"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_wrong_usage() {
    let said = |args: &[&str]| {
        let called = lastfd(&[&["compare"], args].concat());
        assert_eq!(called.code, Some(2), "{}{}", called.stdout, called.stderr);
        called.stderr
    };
    assert!(said(&[]).contains("what is to be compared?"));
    assert!(said(&["--before", "x {upstream}"]).contains("--after"));
    assert!(said(&["--before", "'x {upstream}", "--after", "x"]).contains("is no command"));
    assert!(
        said(&["@reuse/http", "--variant", "base", "--variant", "nobody"]).contains("no variant `nobody`")
    );
    assert!(said(&["@reuse/http", "--require", "p98 <= 1"]).contains("is not one of"));
    assert!(said(&["--before", "a {upstream}", "--after", "b", "--band", "0%"]).contains("0.1% to 50%"));
    assert!(said(&["--before", "a", "--after", "b", "--build", "true"]).contains("after `--`"));
    let pair = ["--before", "a {upstream}", "--after", "b {upstream}"];
    assert!(said(&[&pair[..], &["--rate", "9/s"]].concat()).contains("are of a server"));
    assert!(said(&[&pair[..], &["--upstream", "tcp"]].concat()).contains("answers none"));
    assert!(
        said(&[&pair[..], &["--upstream", "https", "--port", "9"]].concat()).contains("of a plain upstream")
    );
    assert!(
        said(&["--before", "a", "--after", "b", "--upstream", "http"]).contains("nothing names the upstream")
    );
    assert!(said(&["@reuse/http", "--calls", "5"]).contains("are of commands"));
    assert!(said(&["--after", "x {upstream}"]).contains("--baseline FILE"));
    assert!(said(&["--record", "x.toml"]).contains("a recording is of one side"));
    assert!(said(&["--after", "x", "--record", "/nowhere/x.toml"]).contains("/nowhere/x.toml"));
    assert!(said(&["@workloads/tcp", "--variant", "limit raised"]).contains("clients that hold connections"));
}

#[test]
fn a_bound_that_is_none_points_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.scenario.toml");
    let text = "claim = \"c\"\n[processes.server]\nserve.http = {}\nlimits = { soft = 64, hard = 64 }\n[compare]\nvariant = \"new\"\n\
                require = [\"p99 about 5 %\"]\n[[variant]]\nname = \"now\"\n";
    std::fs::write(&file, text).unwrap();
    let called = lastfd(&["compare", file.to_str().unwrap()]);
    assert_eq!(called.code, Some(3), "{}{}", called.stdout, called.stderr);
    for said in ["no variant has this name", "is no bound", "x.scenario.toml:6:", "x.scenario.toml:7:"] {
        assert!(called.stderr.contains(said), "{said}: {}", called.stderr);
    }
}

/// Calls over TLS to a server that is the subject: nobody but its clients can count the handshakes.
const TLS_SERVER: &str = r#"
claim = "c"
[processes.server]
serve.http = { tls = true, resumption = true }
limits = { soft = 256, hard = 256 }
[workloads.calls]
http-per-call = { to = "server", calls = 60, tls = true }
[compare]
variant = "resumed"
[[variant]]
name = "resumed"
set = { "workloads.calls.http-per-call.tls" = { resumption = true } }
"#;

#[test]
fn sessions_that_a_server_resumes_are_counted_by_its_clients() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.scenario.toml");
    std::fs::write(&file, TLS_SERVER).unwrap();
    let called =
        lastfd(&["compare", file.to_str().unwrap(), "--order-seed", "7", "--blocks", "6", "--json", "-"]);
    assert!(matches!(called.code, Some(0 | 5)), "{}{}", called.stdout, called.stderr);
    let found = report(&called);
    let full = row(&found, "tls-full");
    assert_eq!((&full["before"], &full["after"]), (&60.0.into(), &1.0.into()), "{found:#}");
    assert_eq!(row(&found, "tls-resumed")["after"], 59.0, "{found:#}");
}

#[test]
fn a_recorded_comparison_is_reported_again_and_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blocks.jsonl");
    let file = file.to_str().unwrap();
    let live = lastfd(&["compare", "@reuse/body", "--order-seed", "7", "--events", file]);
    assert_eq!(live.code, Some(0), "{}{}", live.stdout, live.stderr);
    let replayed = lastfd(&["compare", "--replay", file]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    assert_eq!(replayed.stdout, live.stdout);
    for (option, begins) in [("--markdown", "drained opens 1 connection"), ("--junit", "<?xml")] {
        let other = lastfd(&["compare", "--replay", file, option, "-"]);
        assert!(other.stdout.starts_with(begins), "{option}: {}", other.stdout);
    }
    // Killed in the middle of a line, it has no end.
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, &text[..text.len() - 3]).unwrap();
    let killed = lastfd(&["compare", "--replay", file]);
    assert!(killed.stdout.contains("the record has no end: lastfd was killed"), "{}", killed.stdout);
    std::fs::write(file, "{}\n").unwrap();
    assert_eq!(lastfd(&["compare", "--replay", file]).code, Some(3));
}

#[test]
fn a_later_version_is_compared_with_a_recording() {
    let (Some(shared), Some(curl)) = (calls(20), program("curl")) else { return };
    let each = format!("{} -sS -H 'Connection: close' {{upstream}}/[1-20] -o /dev/null", curl.display());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.toml");
    let file = file.to_str().unwrap();
    let recorded = lastfd(&["compare", "--after", &shared, "--record", file]);
    assert_eq!(recorded.code, Some(0), "{}{}", recorded.stdout, recorded.stderr);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("[quantities.connections-opened]\nexactly = 1.0"), "{text}");
    let later = |command: &str| {
        let gate = ["--baseline", file, "--require", "connections-opened <= 1"];
        lastfd(&[&["compare", "--after", command][..], &gate].concat())
    };
    let (kept, lost) = (later(&shared), later(&each));
    assert_eq!(kept.code, Some(0), "{}{}", kept.stdout, kept.stderr);
    assert_eq!(lost.code, Some(1), "{}{}", lost.stdout, lost.stderr);
    assert!(lost.stdout.starts_with("after opens 20 connections, not 1."), "{}", lost.stdout);
    std::fs::write(file, "schema = 3").unwrap();
    let broken = later(&shared);
    assert_eq!(broken.code, Some(3), "{}{}", broken.stdout, broken.stderr);
    assert!(broken.stderr.contains("is no recording"), "{}", broken.stderr);
}

#[test]
fn a_server_is_recorded_by_its_ratio_to_the_bundled_one() {
    let server = format!("{LASTFD} serve http --port {{port}}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.toml");
    let file = file.to_str().unwrap();
    let recorded = lastfd(&[
        "compare", "--after", &server, "--record", file, "--calls", "48", "--band", "50%", "--within", "300s",
    ]);
    assert_eq!(recorded.code, Some(0), "{}{}", recorded.stdout, recorded.stderr);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("calls = 48\n") && text.contains("\nratio = "), "{text}");
    let slower = lastfd(&[
        "compare",
        "--after",
        &format!("{server} --delay-us 5000"),
        "--baseline",
        file,
        "--within",
        "300s",
        "--require",
        "calls-per-s no worse than 50 %",
    ]);
    assert_eq!(slower.code, Some(1), "{}{}", slower.stdout, slower.stderr);
}

#[test]
fn an_interrupted_comparison_reports_what_was_done_and_leaves_nothing_behind() {
    let mark = format!("mark-{}", std::process::id());
    let server = format!("{LASTFD} serve http --port {{port}}");
    let variable = format!("MARK={mark}");
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("blocks.jsonl");
    let child = Command::new(LASTFD)
        .args([
            "compare", "--before", &server, "--after", &server, "--within", "60s", "--json", "-", "--env",
            &variable, "--events",
        ])
        .arg(&events)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = || std::fs::read_to_string(&events).is_ok_and(|text| text.contains("\"pair\""));
    assert!(crate::support::eventually(Duration::from_secs(60), begun), "no block was recorded");
    called(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let found: Value = serde_json::from_slice(&output.stdout).expect("a whole report");
    assert_eq!(found["ending"], "interrupted");
    assert!(found["blocks"].as_u64().unwrap() >= 1, "{found:#}");
    let gone = || marked(&mark).is_empty();
    assert!(crate::support::eventually(Duration::from_secs(10), gone), "left: {:?}", marked(&mark));
}

#[test]
fn two_revisions_are_built_and_compared() {
    let (Some(git), Some(curl)) = (program("git"), program("curl")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let who = ["-c", "user.name=n", "-c", "user.email=e"];
        let done = called(Command::new(&git).args(who).args(words).current_dir(folder.path()));
        assert_eq!(done.code, Some(0), "{words:?}: {}", done.stderr);
    };
    let write =
        |ways: &str| std::fs::write(folder.path().join("job.in"), format!("#!/bin/sh\n{ways}\n")).unwrap();
    run(&["init", "--quiet"]);
    write(&format!("for i in 1 2 3 4 5; do {} -sS -o /dev/null \"$1\"; done", curl.display()));
    run(&["add", "."]);
    run(&["commit", "--quiet", "-m", "each"]);
    write(&format!("{} -sS \"$1/[1-5]\" -o /dev/null", curl.display()));
    run(&["commit", "--quiet", "-a", "-m", "one"]);
    let build = "cp job.in job && chmod +x job";
    let compare = |before: &str, build: &str| {
        let words = ["compare", "--before", before, "--after", "HEAD", "--build", build, "--require"];
        let rest = ["connections-opened <= 1", "--", "./job", "{upstream}"];
        called(Command::new(LASTFD).args(words).args(rest).current_dir(folder.path()))
    };
    let done = compare("HEAD~1", build);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("HEAD opens 1 connection, not 5."), "{}", done.stdout);
    let worktrees = called(Command::new(&git).args(["worktree", "list"]).current_dir(folder.path()));
    assert_eq!(worktrees.stdout.lines().count(), 1, "{}", worktrees.stdout);
    assert!(compare("nowhere", build).stderr.contains("git cannot check out `nowhere`"));
    assert!(compare("HEAD~1", "exit 9").stderr.contains("`exit 9` failed for `HEAD~1`"));
}

#[test]
fn a_self_check_measures_one_side_after_the_other_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checked.jsonl");
    let file = file.to_str().unwrap();
    let own = ["compare", "--self-check", "--rounds", "1", "--disturbed", "--blocks", "2", "--resume", file];
    let checked = lastfd(&own);
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    let lines: Vec<Value> = std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let [same, planted] = &lines[..] else { panic!("{lines:#?}") };
    assert!((0.0..=1.0).contains(&same["in_sequence"].as_f64().unwrap()), "{lines:#?}");
    assert!(planted["in_sequence"].is_null() && same["disturbed"] == true, "{lines:#?}");
    let words = checked.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("a difference was claimed in 0 of 1") || words.contains("claimed in 1 of 1"));
    assert!(words.contains("measured one after the other, with as many starts"), "{words}");
    // What was disturbed is no part of a check that is not.
    let quiet = lastfd(&["compare", "--self-check", "--rounds", "1", "--blocks", "1", "--resume", file]);
    assert_eq!(quiet.code, Some(0), "{}{}", quiet.stdout, quiet.stderr);
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 4);
}

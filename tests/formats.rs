//! What other programs read of a suite: TAP, lines of JSON, Bencher's metric format, and what GitHub shows.

use crate::support::{Called, LASTFD, called, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A name that no format takes as it is.
const HOSTILE: &str = "too many: 100 %, # twice \\ <b>";

/// One run that is met, one that is not, and one that is skipped; quick ones.
fn suite() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("scenarios")).expect("a new folder");
    let text = format!(
        r#"claim = "it holds what its limit leaves"
[processes.server]
serve.tcp = {{ accept = "exit", baseline = 12 }}
limits = {{ soft = 32, hard = 32 }}

[workloads.clients]
tcp = {{ clients = 40 }}

[expect]
ceiling = 20

[[variant]]
name = '{HOSTILE}'
expect = {{ ceiling = 21 }}

[[variant]]
name = "lacking"
requires = ["no-such-program"]
"#
    );
    std::fs::write(folder.path().join("scenarios/held.scenario.toml"), text).expect("written");
    folder
}

/// `lastfd run` in this folder, as GitHub's runner would start it.
fn run(folder: &Path, words: &[&str]) -> Called {
    let mut command = Command::new(LASTFD);
    command.arg("run").args(words).current_dir(folder);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", folder);
    command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md"));
    called(&mut command)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What Perl's own consumer of TAP makes of a file: its plan, a line a test point, and its complaints.
fn consumed(file: &Path) -> Option<String> {
    const CONSUMER: &str = r#"
        use TAP::Parser;
        use TAP::Parser::YAMLish::Reader;
        my $parser = TAP::Parser->new({ source => $ARGV[0] });
        my %count;
        while (my $result = $parser->next) {
            if ($result->is_test) {
                print join("|", $result->is_ok ? "ok" : "not ok", $result->number, $result->description,
                    $result->has_skip ? "skip" : ""), "\n";
            } elsif ($result->is_yaml) {
                my $data = $result->data;
                print "  $data->{outcome}\n";
                print "  $_->{expectation}: $_->{expected}, $_->{observed}\n" for @{$data->{reasons} || []};
            } elsif ($result->is_bailout) {
                print "bails out\n";
            }
        }
        print "plan ", $parser->plan, "; errors ", scalar($parser->parse_errors), "\n";
    "#;
    program("perl")?;
    let read = called(Command::new("perl").args(["-e", CONSUMER]).arg(file));
    assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{}", read.stdout);
    Some(read.stdout)
}

#[test]
fn tap_is_read_by_perl_with_each_outcome_and_its_reasons() {
    let folder = suite();
    let made = run(folder.path(), &["--tap", "report.tap"]);
    assert_eq!(made.code, Some(1), "{made:?}");
    let Some(consumed) = consumed(&folder.path().join("report.tap")) else { return };
    let lines: Vec<&str> = consumed.lines().collect();
    assert_eq!(lines[0], "ok|1|- held|");
    assert!(lines[1].ends_with("met"), "{consumed}");
    // Perl leaves the escapes of version 14 as they are.
    let name = HOSTILE.replace('\\', "\\\\").replace('#', "\\#");
    assert_eq!(lines[2], format!("not ok|2|- held / {name}|"));
    let failed = "  ceiling: 21, 20 (accept4 failed with EMFILE under a soft limit of 32)";
    assert_eq!(lines[3..5], ["  not-met", failed]);
    assert_eq!(lines[5..], ["ok|3|- held / lacking|skip", "  skipped", "plan 1..3; errors 0"]);
}

#[test]
fn tap_of_runs_that_were_not_all_made_bails_out() {
    let folder = suite();
    let words = ["--fail-fast", "--repeat", "2", "--tap", "report.tap", "--variant", HOSTILE];
    assert_eq!(run(folder.path(), &words).code, Some(1));
    let Some(consumed) = consumed(&folder.path().join("report.tap")) else { return };
    assert!(consumed.contains("bails out") && consumed.ends_with("plan 1..1; errors 0\n"), "{consumed}");
}

#[test]
fn each_line_of_json_is_the_report_of_one_run() {
    let folder = suite();
    std::fs::write(folder.path().join("lines"), "of an earlier suite\n").expect("written");
    let made = run(folder.path(), &["--json-lines", "lines", "--json", "whole", "-j", "2"]);
    assert_eq!(made.code, Some(1), "{made:?}");
    let whole: Value = serde_json::from_str(&read(folder.path(), "whole")).expect("JSON");
    let lines = read(folder.path(), "lines");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["schema"] == whole["schema"]));
    let runs: Vec<&Value> = lines.iter().map(|line| &line["runs"][0]).collect();
    assert_eq!(runs, whole["runs"].as_array().expect("a list").iter().collect::<Vec<_>>());
    let alone = run(folder.path(), &["--json-lines", "-", "--variant", "lacking"]);
    let printed: Value = serde_json::from_str(&alone.stdout).expect("nothing else is printed");
    assert_eq!(printed["runs"][0]["verdict"], "skipped");
}

/// The run that is under way is of a server that has long pauses, and is watched for that time.
#[test]
fn an_interrupted_suite_leaves_the_lines_of_what_was_done() {
    let folder = suite();
    let slow = "claim = \"slow\"\n[processes.server]\nserve.tcp = { accept = \"dead\" }\nlimits = { soft = 32, hard = 32 }\n\
                [workloads.clients]\ntcp = {}\n";
    std::fs::write(folder.path().join("scenarios/slow.scenario.toml"), slow).expect("written");
    let mut harness = Command::new(LASTFD)
        .args(["run", "--json-lines", "-", "--tap", "report.tap"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("lastfd runs");
    let mut lines = BufReader::new(harness.stdout.take().expect("a pipe")).lines();
    let mut line = || lines.next().map(|line| line.expect("a line"));
    for _ in 0..3 {
        line().expect("each run of the first scenario has its line before the next begins");
    }
    let pid = rustix::process::Pid::from_child(&harness);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("SIGINT");
    let rest: Vec<String> = std::iter::from_fn(line).collect();
    assert_eq!(harness.wait().expect("an end").code(), Some(130));
    assert!(rest.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{rest:?}");
    assert!(read(folder.path(), "report.tap").ends_with("Bail out! Not all runs were made.\n"));
}

/// bencher.dev/bmf.json, as types.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    value: f64,
    lower_value: Option<f64>,
    upper_value: Option<f64>,
}

#[test]
fn bencher_gets_a_number_a_measure_with_its_range_of_several_runs() {
    let folder = suite();
    let made = run(folder.path(), &["--bencher", "bencher.json", "--repeat", "2"]);
    assert_eq!(made.code, Some(1), "{made:?}");
    let all: BTreeMap<String, BTreeMap<String, Metric>> =
        serde_json::from_str(&read(folder.path(), "bencher.json")).expect("Bencher's format");
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(names, ["held", &format!("held / {HOSTILE}")], "what was skipped has no measure");
    let ceiling = &all["held"]["ceiling"];
    // The scenario says how many descriptors it holds at rest, and its limit.
    assert_eq!((ceiling.value, ceiling.lower_value, ceiling.upper_value), (20.0, Some(20.0), Some(20.0)));
    assert_eq!(all["held"]["descriptors-at-rest"].value, 12.0);
    assert!(all["held"].keys().all(|slug| slug.len() <= 64 && !slug.contains(' ')), "{:?}", all["held"]);
}

/// A workflow command as GitHub's runner reads it: its name, its properties and its message.
fn command(line: &str) -> (String, BTreeMap<String, String>, String) {
    let data = |text: &str| text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%");
    let property = |text: &str| data(&text.replace("%3A", ":").replace("%2C", ","));
    let (head, message) = line.strip_prefix("::").and_then(|rest| rest.split_once("::")).expect("a command");
    let (name, properties) = head.split_once(' ').expect("properties");
    let properties = properties.split(',').map(|each| {
        let (key, value) = each.split_once('=').expect("a value");
        (key.to_owned(), property(value))
    });
    (name.to_owned(), properties.collect(), data(message))
}

#[test]
fn github_shows_an_unmet_expectation_at_its_line() {
    let folder = suite();
    let made = run(folder.path(), &[]);
    let commands: Vec<&str> = made.stdout.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(commands.len(), 1, "what is met, and what is skipped, is not shown: {made:?}");
    let (name, properties, message) = command(commands[0]);
    let text = read(folder.path(), "scenarios/held.scenario.toml");
    let line = 1 + text.lines().position(|line| line.contains("ceiling = 21")).expect("it is there");
    assert_eq!(name, "error");
    assert_eq!(properties["file"], "scenarios/held.scenario.toml");
    assert_eq!(properties["line"], line.to_string());
    assert_eq!(properties["title"], format!("lastfd: held / {HOSTILE}"));
    assert!(
        message.starts_with("ceiling: expected 21, observed 20 (accept4 failed with EMFILE"),
        "{message}"
    );
    // Beside a report on standard output.
    let beside = run(folder.path(), &["--json", "-"]);
    assert!(serde_json::from_str::<Value>(&beside.stdout).is_ok(), "{beside:?}");
    let (head, _) = commands[0].split_once("%0A").expect("a paragraph");
    assert!(beside.stderr.lines().any(|line| line.starts_with(head)), "{}", beside.stderr);
}

#[test]
fn the_step_summary_is_written_by_itself_and_fits() {
    const MOST: usize = 1 << 20;
    let folder = suite();
    run(folder.path(), &[]);
    let summary = read(folder.path(), "summary.md");
    assert!(summary.contains("| ✗ |") && summary.contains("expected 21, observed 20"), "{summary}");
    // Nearly full by what an earlier command of the step wrote.
    let earlier = "x\n".repeat((MOST - summary.len() / 2) / 2);
    std::fs::write(folder.path().join("summary.md"), &earlier).expect("written");
    run(folder.path(), &[]);
    let full = read(folder.path(), "summary.md");
    assert!(full.len() <= MOST && full.len() > earlier.len(), "{} of {MOST}", full.len());
    assert!(full.trim_end().ends_with("writes all of it."), "{}", &full[earlier.len()..]);
}

#[test]
fn merged_parts_have_the_formats_of_one_run() {
    let folder = suite();
    for part in ["1", "2"] {
        let (partition, json) = (format!("slice:{part}/2"), format!("part-{part}.json"));
        run(folder.path(), &["--partition", &partition, "--json", &json]);
    }
    let mut merge = Command::new(LASTFD);
    merge.args(["report", "merge", "part-1.json", "part-2.json", "--tap", "report.tap"]);
    merge.args(["--json-lines", "lines", "--bencher", "bencher.json"]).current_dir(folder.path());
    let merged = called(merge.env_remove("GITHUB_STEP_SUMMARY"));
    assert_eq!(merged.code, Some(1), "{merged:?}");
    assert_eq!(read(folder.path(), "lines").lines().count(), 3);
    let bencher: Value = serde_json::from_str(&read(folder.path(), "bencher.json")).expect("JSON");
    assert_eq!(bencher["held"]["ceiling"]["value"], 20.0);
    if let Some(consumed) = consumed(&folder.path().join("report.tap")) {
        assert!(consumed.ends_with("plan 1..3; errors 0\n"), "{consumed}");
    }
}

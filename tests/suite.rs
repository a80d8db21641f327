//! `lastfd run` on several scenarios: side by side, filtered, tried again, in parts that are merged.

use crate::support::{Called, LASTFD, RECORDED, called, eventually, lastfd, marked};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Three runs that may be made beside others, one of them not as expected, and two that are alone: one by
/// what it expects, one because it says so.
const SIDE: &str = r#"
claim = "stops 8 below"
processes.server = { serve.tcp = { baseline = 8 }, limits = { soft = 32, hard = 32 } }
workloads.flood.tcp = { clients = 48 }
hold = "500ms"
expect.ceiling = "soft - baseline"
[[variant]]
name = "timed"
expect = { recovers-within = "60s" }
[[variant]]
name = "unmet"
expect = { ceiling = 1 }
[[variant]]
name = "higher"
set = { "processes.server.limits" = { soft = 40, hard = 40 } }
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.scenario.toml")), text).expect("a scenario");
    }
    folder
}

/// `lastfd run FOLDER` with these options.
fn run(folder: &TempDir, options: &[&str]) -> Called {
    lastfd(&[&["run", folder.path().to_str().expect("UTF-8")], options].concat())
}

/// The report of the same.
fn report(folder: &TempDir, options: &[&str]) -> (Option<i32>, Value) {
    let called = run(folder, &[options, &["--json", "-"]].concat());
    let report = serde_json::from_str(&called.stdout).unwrap_or_else(|e| panic!("{e}: {called:?}"));
    (called.code, report)
}

fn runs(report: &Value) -> &[Value] {
    report["runs"].as_array().expect("a list of runs")
}

/// What a run of a report is called.
fn title(run: &Value) -> String {
    let scenario = run["scenario"].as_str().expect("a name");
    run["variant"].as_str().map_or(scenario.to_owned(), |variant| format!("{scenario} / {variant}"))
}

/// When a run began and ended, in seconds.
fn span(run: &Value) -> (f64, f64) {
    let began: jiff::Timestamp = run["started_at"].as_str().expect("a time").parse().expect("RFC 3339");
    let began = began.as_duration().as_secs_f64();
    (began, began + run["timings"]["total_s"].as_f64().expect("a number"))
}

#[test]
fn runs_side_by_side_come_out_as_one_after_the_other_and_overlap_where_they_may() {
    let asked = format!("alone = true\n{}", SIDE.split("[[variant]]").next().expect("the head"));
    let folder = folder(&[("a", &asked), ("b", SIDE)]);
    let (one, two) = (report(&folder, &[]), report(&folder, &["-j", "3"]));
    let verdicts = |(code, report): &(Option<i32>, Value)| {
        let of = |run: &Value| (title(run), run["verdict"].clone(), run["ceiling"]["accepted"].clone());
        (*code, runs(report).iter().map(of).collect::<Vec<_>>())
    };
    assert_eq!(verdicts(&one), verdicts(&two));
    let titles: Vec<String> = runs(&two.1).iter().map(title).collect();
    assert_eq!(titles, ["a", "b", "b / timed", "b / unmet", "b / higher"]);
    assert_eq!(two.0, Some(1));

    let overlap = |report: &Value, one: usize, other: usize| {
        let (one, other) = (span(&runs(report)[one]), span(&runs(report)[other]));
        one.0 < other.1 && other.0 < one.1
    };
    // All three begin before the first of them is over.
    assert!(overlap(&two.1, 1, 3) && overlap(&two.1, 3, 4), "{:?}", runs(&two.1).iter().map(span));
    for alone in [0, 2] {
        let others = (0..5).filter(|other| *other != alone);
        assert_eq!(others.filter(|other| overlap(&two.1, alone, *other)).count(), 0, "{alone}");
    }
    assert!(!overlap(&one.1, 1, 3), "without -j there is one at a time");
}

#[test]
fn runs_side_by_side_are_printed_one_after_the_other_with_their_times() {
    let folder = folder(&[("b", SIDE)]);
    let said = run(&folder, &["-j2"]).stdout;
    let lines = said
        .lines()
        .filter(|line| ["▶", "predicted", "✓ test", "✗ test", "took"].iter().any(|s| line.starts_with(s)));
    let mut kinds: Vec<&str> = lines.map(|line| line.split(' ').next().expect("a word")).collect();
    // A second prediction may follow after calibration.
    kinds.dedup();
    let (met, unmet) = (["▶", "predicted", "✓", "took"], ["▶", "predicted", "✗", "took"]);
    assert_eq!(kinds, [met, met, unmet, met].concat(), "{said}");
    let dry = run(&folder, &["--dry-run"]).stdout;
    assert_eq!(
        dry.matches("alone, also with --jobs: it expects something within a time").count(),
        1,
        "{dry}"
    );
}

#[test]
fn an_interrupt_ends_runs_side_by_side_and_leaves_no_process() {
    let endless = "claim = \"waits\"\nhold = \"60s\"\nprocesses.server = { serve.tcp = { accept = \"fixed-delay\" }, \
                   limits = { soft = 32, hard = 32 } }\nworkloads.flood.tcp = { clients = 48 }\nexpect.policy = \"unclear\"\n";
    let folder = folder(&[("a", endless), ("b", endless), ("c", endless)]);
    let mark = format!("LASTFD_TEST_MARK=side-{}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a variable");
    let harness = Command::new(LASTFD)
        .args(["run", "-j2", "--json", "-"])
        .arg(folder.path())
        .env(name, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("lastfd runs");
    // lastfd, and of two runs the stage, the init, the server and the driver.
    assert!(eventually(Duration::from_secs(20), || marked(&mark).len() >= 9), "{:?}", marked(&mark));
    kill_process(Pid::from_child(&harness), Signal::INT).expect("it is alive");
    let out = harness.wait_with_output().expect("its end");
    assert!(eventually(Duration::from_secs(10), || marked(&mark).is_empty()), "left: {:?}", marked(&mark));
    let report: Value = serde_json::from_slice(&out.stdout).expect("a report of what was done");
    assert_eq!((out.status.code(), runs(&report).len()), (Some(130), 2), "the third never began");
}

#[test]
fn a_number_of_jobs_that_makes_no_sense_is_refused() {
    for jobs in ["0", "65", "two"] {
        let refused = called(Command::new(LASTFD).args(["run", "-j", jobs]));
        assert_eq!((refused.code, refused.stderr.contains("--jobs")), (Some(2), true), "{refused:?}");
    }
}

/// Two scenarios with tags, one of them called as a tag of the other.
fn tagged() -> TempDir {
    let with = |tags: &str, claim: &str| {
        let text = SIDE.replace("claim = \"stops 8 below\"", &format!("claim = \"{claim}\"\ntags = {tags}"));
        text.split("[[variant]]").take(2).collect::<Vec<_>>().join("[[variant]]")
    };
    let (push, night) = (with("[\"night\", \"incident\"]", "stops early"), with("[]", "stops late"));
    folder(&[("push", &push), ("nightly", &night)])
}

#[test]
fn one_filter_selects_the_same_in_run_list_and_check() {
    let folder = tagged();
    let path = folder.path().to_str().expect("UTF-8");
    for (filter, wanted) in [
        ("push", &["push", "push / timed"][..]),
        ("night", &["nightly", "nightly / timed", "push", "push / timed"]),
        ("tag:night and variant:base", &["push"]),
        ("claim:LATE and not variant:base", &["nightly / timed"]),
        ("not (incident or variant:timed)", &["nightly"]),
    ] {
        let dry = lastfd(&["run", "--dry-run", "--filter", filter, path]).stdout;
        let titles = |text: &str, of: fn(&str) -> Option<&str>| -> Vec<String> {
            text.lines().filter_map(of).map(str::to_owned).collect()
        };
        let run = titles(&dry, |line| {
            line.split_once(": ").filter(|_| !line.starts_with(' ')).map(|(title, _)| title)
        });
        assert_eq!(run, wanted, "{filter}: {dry}");
        let check = lastfd(&["check", "--filter", filter, path]).stdout;
        assert_eq!(titles(&check, |line| line.strip_prefix("ready    ")), wanted, "{filter}: {check}");
        let list = lastfd(&["list", "--filter", filter, path]).stdout;
        let lines = list.lines().filter(|line| !line.contains("tagged "));
        assert_eq!(lines.count(), wanted.len(), "one line each, and nothing else: {list}");
    }
}

#[test]
fn a_filter_word_that_is_of_no_run_is_told_with_the_nearest_in_each_command() {
    let folder = tagged();
    let path = folder.path().to_str().expect("UTF-8");
    for (filter, code, wanted) in [
        (
            "push and not nightli",
            4,
            "no scenario has a name or a tag with \"nightli\": there are nightly, night, ",
        ),
        ("tag:incidnt", 4, "no scenario has the tag \"incidnt\": there are incident, night"),
        ("variant:time2", 4, "no variant has a name with \"time2\": there are timed, base"),
        ("claim:erly", 4, "no claim has \"erly\": there are early, "),
        ("tag:night and nightly", 4, "the filter selects none of 4 runs"),
        ("push nightly", 2, "there is no `and` or `or` before `nightly`"),
        ("", 2, "a word is missing"),
    ] {
        for command in ["run", "list", "check"] {
            let told = lastfd(&[command, "--filter", filter, path]);
            assert_eq!((told.code, told.stderr.contains(wanted)), (Some(code), true), "{command}: {told:?}");
        }
    }
}

#[test]
fn a_tag_that_a_filter_could_not_name_is_refused() {
    let folder = folder(&[("a", &SIDE.replace("hold =", "tags = [\"night shift\"]\nhold ="))]);
    let told = lastfd(&["check", folder.path().to_str().expect("UTF-8")]);
    let wanted = "a tag is one word of letters, digits, `-` and `_`";
    assert_eq!((told.code, told.stderr.contains(wanted)), (Some(3), true), "{told:?}");
}

/// A server that has a descriptor more at rest when it is started for the first time, and none but that.
fn flaky(folder: &TempDir) {
    let text = format!(
        "claim = \"holds 8 at rest\"\n[processes.server]\nlimits = {{ soft = 32, hard = 32 }}\n\
         command = [\"sh\", \"-c\", \"test -e tried && exec $0 $@ 8; touch tried; exec $0 $@ 9\", \
         {LASTFD:?}, \"serve\", \"tcp\", \"--port\", \"{{port}}\", \"--baseline\"]\n\
         [workloads.flood]\ntcp = {{ clients = 40 }}\n[expect]\nbaseline = 8\n"
    );
    std::fs::write(folder.path().join("flaky.scenario.toml"), text).expect("a scenario");
}

#[test]
fn a_run_that_is_met_at_a_later_try_is_flaky_in_every_report() {
    let once = folder(&[]);
    flaky(&once);
    assert_eq!(run(&once, &[]).code, Some(1), "without retries it is a failure");
    let reports = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| reports.path().join(name).to_str().expect("UTF-8").to_owned();
    let (junit, markdown, json) = (at("junit.xml"), at("summary.md"), at("report.json"));
    let again = folder(&[]);
    flaky(&again);
    let events = at("events");
    let options =
        ["--retries", "2", "--events", &events, "--junit", &junit, "--markdown", &markdown, "--json", &json];
    let said = run(&again, &options);
    assert_eq!(said.code, Some(0), "{said:?}");
    let tally =
        "1 run\n~ flaky          flaky (1 of 2 met, flaky): baseline: expected 8, observed 9\n0 met\n";
    assert!(said.stdout.contains("tried again (2 of 3)") && said.stdout.ends_with(tally), "{}", said.stdout);
    let read = |path: &str| std::fs::read_to_string(path).expect("a report");
    let (junit, markdown) = (read(&junit), read(&markdown));
    assert!(junit.contains("<flakyFailure") && junit.contains("failures=\"0\""), "{junit}");
    assert!(
        markdown.contains("| flaky (1 of 2 met, flaky) |") && markdown.contains("**flaky (1 of 2)**"),
        "{markdown}"
    );
    let report: Value = serde_json::from_str(&read(&json)).expect("JSON");
    let run = &runs(&report)[0];
    assert_eq!((&run["verdict"], &run["flaky"]), (&"met".into(), &true.into()), "{run:#}");
    let earlier = run["earlier"].as_array().expect("a list");
    assert_eq!((earlier.len(), &earlier[0]["verdict"]), (1, &"not-met".into()));
    let mut logs: Vec<_> =
        std::fs::read_dir(&events).expect("a folder").flatten().map(|e| e.file_name()).collect();
    logs.sort();
    assert_eq!(logs, ["flaky.jsonl", "flaky.try-2.jsonl"]);
}

#[test]
fn a_run_that_is_never_met_is_tried_as_often_as_asked_and_what_cannot_be_made_once() {
    let beyond = SIDE.replace("soft = 32, hard = 32", "soft = 2000000000, hard = 2000000000");
    let folder = folder(&[("a", SIDE), ("b", &beyond)]);
    let (code, report) = report(&folder, &["--variant", "unmet", "--retries", "2", "-j2"]);
    let tries = |run: &Value| run["earlier"].as_array().map_or(0, Vec::len);
    assert_eq!(code, Some(1));
    assert_eq!(runs(&report).iter().map(tries).collect::<Vec<_>>(), [2, 0], "{report:#}");
    assert_eq!(runs(&report)[0]["flaky"], false);
}

#[test]
fn fail_fast_begins_nothing_after_a_failure() {
    let folder = folder(&[("a", SIDE)]);
    let stopped = run(&folder, &["--fail-fast", "--json", "-"]);
    let report: Value = serde_json::from_str(&stopped.stdout).expect("JSON");
    let titles: Vec<String> = runs(&report).iter().map(title).collect();
    assert_eq!(titles, ["a", "a / timed", "a / unmet"]);
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.stderr.contains("--fail-fast: 1 of 4 runs were not made"), "{stopped:?}");
}

#[test]
fn the_page_of_merged_parts_has_the_last_try_of_a_run() {
    let (folder, reports) = (folder(&[]), tempfile::tempdir().expect("a temporary folder"));
    flaky(&folder);
    let at = |name: &str| reports.path().join(name).to_str().expect("UTF-8").to_owned();
    let (json, all) = (at("report.json"), at("all.html"));
    let options = ["--retries", "2", "--partition", "slice:1/1", "--events", &at("events"), "--json", &json];
    assert_eq!(run(&folder, &options).code, Some(0));
    let [first, last] = ["events/flaky.jsonl", "events/flaky.try-2.jsonl"].map(&at);
    for logs in [[&first, &last], [&last, &first]] {
        let merged = merge(&[&json, logs[0], logs[1]], &["--html", &all]);
        assert_eq!(merged.code, Some(0), "{merged:?}");
        let page = lastfd(&["replay", "--json", "-", &all]);
        assert_eq!(page.code, Some(0), "the second try is as expected: {page:?}");
        assert_eq!(runs(&serde_json::from_str(&page.stdout).expect("JSON")).len(), 1);
    }
    // A log of something else is named, whether a page is asked for or not.
    let stray = format!("{RECORDED}/scenario-policies-spin.jsonl.gz");
    let refused = merge(&[&json, &stray], &[]);
    assert!(refused.code == Some(3) && refused.stderr.contains(&stray), "{refused:?}");
}

/// The parts of a suite in a folder: the JSON report of each, made with these options.
fn parts(folder: &TempDir, of: usize, options: &[&str], reports: &TempDir) -> Vec<String> {
    let part = |part: usize| {
        let json = reports.path().join(format!("{part}-of-{of}.json")).to_str().expect("UTF-8").to_owned();
        run(folder, &[options, &["--partition", &format!("slice:{part}/{of}"), "--json", &json]].concat());
        json
    };
    (1..=of).map(part).collect()
}

fn merge(reports: &[&String], options: &[&str]) -> Called {
    let reports: Vec<&str> = reports.iter().map(|report| report.as_str()).collect();
    lastfd(&[&["report", "merge"], reports.as_slice(), options].concat())
}

#[test]
fn merged_parts_and_their_pages_are_one_page_in_the_order_of_the_suite() {
    let (folder, reports) = (folder(&[("a", SIDE)]), tempfile::tempdir().expect("a folder"));
    let at = |name: &str| reports.path().join(name).to_str().expect("UTF-8").to_owned();
    let files: Vec<[String; 2]> = [1, 2].map(|n| [at(&format!("{n}.json")), at(&format!("{n}.html"))]).into();
    for (n, [json, html]) in files.iter().enumerate() {
        let slice = format!("slice:{}/2", n + 1);
        run(&folder, &["--partition", &slice, "--json", json, "--html", html]);
    }
    let [[one, first], [two, second]] = &files[..] else { panic!("two parts") };
    let all = at("all.html");
    let merged = merge(&[second, two, first, one], &["--html", &all, "--json", &at("all.json")]);
    assert_eq!(merged.code, Some(1), "{merged:?}");
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(at("all.json")).expect("a report")).expect("JSON");
    let replayed = lastfd(&["replay", "--json", "-", &all]);
    let replayed: Value = serde_json::from_str(&replayed.stdout).expect("JSON");
    let titles = |report: &Value| runs(report).iter().map(title).collect::<Vec<_>>();
    assert_eq!(titles(&replayed), titles(&report));
    assert!(titles(&report).len() > 2, "{report}");

    let without = merge(&[one, two], &["--html", &all]);
    assert!(without.code == Some(3) && without.stderr.contains("add the HTML reports"), "{without:?}");
    let twice = merge(&[one, two, first, second, first], &["--html", &all]);
    assert!(twice.code == Some(3) && twice.stderr.contains("is no run of these parts"), "{twice:?}");
    let pages = merge(&[first, second], &["--html", &all]);
    assert!(pages.code == Some(1) && pages.stdout.contains("runs: "), "{pages:?}");
    let replayed = lastfd(&["replay", "--json", "-", &all]);
    assert_eq!(runs(&serde_json::from_str(&replayed.stdout).expect("JSON")).len(), titles(&report).len());
}

#[test]
fn merged_parts_are_the_report_of_the_whole_suite() {
    let (folder, reports) = (
        folder(&[("a", SIDE), ("b", SIDE.split("[[variant]]").next().expect("a head"))]),
        tempfile::tempdir().expect("a folder"),
    );
    let at = |name: &str| reports.path().join(name).to_str().expect("UTF-8").to_owned();
    let (junit, markdown, json) = (at("junit.xml"), at("summary.md"), at("report.json"));
    let written = ["--junit", &junit, "--markdown", &markdown, "--json", &json];
    let read = |path: &str| std::fs::read_to_string(path).expect("a report");
    // What the formats have beside what differs from run to run: times and process ids.
    let cases = |xml: &str| -> Vec<String> {
        xml.split("<testcase name=\"")
            .skip(1)
            .map(|case| case.split('"').next().expect("a name").to_owned())
            .collect()
    };
    let rows = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with("| "))
            .map(|row| row.split('|').take(3).collect())
            .collect()
    };
    let whole = run(&folder, &[&["--repeat", "2"][..], &written].concat());
    let (suite, whole_cases, whole_rows) = (
        serde_json::from_str::<Value>(&read(&json)).expect("JSON"),
        cases(&read(&junit)),
        rows(&read(&markdown)),
    );
    std::fs::remove_file(&markdown).expect("it is appended to");

    let [one, two, three] = &parts(&folder, 3, &["--repeat", "2"], &reports)[..] else {
        panic!("three parts")
    };
    let merged = merge(&[three, one, two], &written);
    assert_eq!((merged.code, whole.code), (Some(1), Some(1)), "{merged:?}");
    assert!(merged.stdout.ends_with("10 runs of 3 parts: 8 met, 2 not met\n"), "{merged:?}");
    let report: Value = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!(
        runs(&report).iter().map(title).collect::<Vec<_>>(),
        runs(&suite).iter().map(title).collect::<Vec<_>>()
    );
    assert_eq!(report["suite"], suite["suite"]);
    assert_eq!((report["suite"]["part"].is_null(), &report["suite"]["complete"]), (true, &true.into()));
    assert_eq!(cases(&read(&junit)), whole_cases);
    assert_eq!(whole_cases.len(), 10);
    // The remedy tables of scenarios that were split are left out.
    assert_eq!(rows(&read(&markdown)), whole_rows[..6], "a heading and five variants");
    let again = merge(&[&json], &[]);
    assert!(
        again.code == Some(3) && again.stderr.contains("made without `lastfd run --partition`"),
        "{again:?}"
    );
}

#[test]
fn what_does_not_make_one_suite_is_refused() {
    let skipped = SIDE.replace("limits =", "requires = [\"no-such-program\"], limits =");
    let (folder, other) =
        (folder(&[("a", &skipped)]), self::folder(&[("a", &skipped.replace("stops", "ends"))]));
    let (reports, others) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let [one, two] = &parts(&folder, 2, &[], &reports)[..] else { panic!("two parts") };
    let thirds = parts(&folder, 3, &[], &reports);
    let foreign = &parts(&other, 2, &[], &others)[1];
    let fewer = tempfile::tempdir().expect("a folder");
    let narrowed = &parts(&folder, 2, &["--filter", "variant:m"], &fewer)[1];
    let no_json = reports.path().join("text").to_str().expect("UTF-8").to_owned();
    std::fs::write(&no_json, "no JSON").expect("written");
    let edited = |name: &str, edit: &dyn Fn(&mut Value)| {
        let path = reports.path().join(name).to_str().expect("UTF-8").to_owned();
        let mut report: Value =
            serde_json::from_str(&std::fs::read_to_string(two).expect("a report")).expect("JSON");
        edit(&mut report);
        std::fs::write(&path, report.to_string()).expect("written");
        path
    };
    let older = edited("older", &|report| report["suite"]["lastfd_version"] = "0.0.1".into());
    let schema = edited("schema", &|report| report["schema"] = "lastfd/report/0".into());
    let broken = edited("broken", &|report| report["suite"]["part"]["part"] = 7.into());
    let cut = edited("cut", &|report| {
        report["suite"]["complete"] = false.into();
        report["runs"].as_array_mut().expect("a list").pop();
        report["told"].as_array_mut().expect("a list").pop();
    });
    let refused: [(&[&String], i32, &str); 11] = [
        (&[one], 3, "part 2 of 2 is missing: it has a / timed and 1 more"),
        (&[one, two, one], 3, "part 1 of 2 is there twice: "),
        (&[one, foreign], 3, "is of another suite than"),
        (&[one, narrowed], 3, "is of another suite than"),
        (&[one, &thirds[1]], 3, "the suite was split differently"),
        (&[one, &older], 3, "was made by lastfd 0.0.1"),
        (&[one, &schema], 3, "this report has the schema lastfd/report/0"),
        (&[one, &broken], 3, "broken: part 7 of 2"),
        (&[one, &cut], 3, "part 2 of 2 is not whole: it lacks a / higher"),
        (&[one, &no_json], 3, "neither a JSON report, nor"),
        (&[&"/nonexistent/report.json".to_owned()], 2, "No such file"),
    ];
    for (reports, code, wanted) in refused {
        let told = merge(reports, &[]);
        assert_eq!((told.code, told.stderr.contains(wanted)), (Some(code), true), "{wanted}: {told:?}");
    }
    assert_eq!(merge(&[two, one], &[]).code, Some(0), "skipped is no failure");
    // Of five parts the fifth has no run, and writes no report.
    let five = parts(&folder, 5, &[], &reports);
    assert_eq!(merge(&five[..4].iter().collect::<Vec<_>>(), &[]).code, Some(0));
}

#[test]
fn a_partition_that_the_system_names_is_the_slice_of_that_number() {
    let folder = folder(&[("a", SIDE)]);
    let dry = |partition: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new(LASTFD);
        command.args(["run", "--dry-run", "--partition", partition]).arg(folder.path());
        called(command.envs(variables.iter().copied()))
    };
    let slice = dry("slice:2/2", &[]).stdout;
    assert_eq!(dry("auto", &[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "2")]).stdout, slice);
    assert_eq!(dry("auto", &[("CIRCLE_NODE_INDEX", "1"), ("CIRCLE_NODE_TOTAL", "2")]).stdout, slice);
    assert_eq!(dry("auto/2", &[("JOB_COMPLETION_INDEX", "1")]).stdout, slice);
    let refused = dry("auto", &[("JOB_COMPLETION_INDEX", "1")]);
    assert_eq!((refused.code, refused.stderr.contains("write `auto/N`")), (Some(2), true), "{refused:?}");
    let refused = dry("slice:0/2", &[]);
    assert_eq!((refused.code, refused.stderr.contains("1 ≤ M ≤ N")), (Some(2), true), "{refused:?}");
}

/// `lastfd init` in a folder.
fn init(folder: &TempDir, args: &[&str]) -> Called {
    called(Command::new(LASTFD).current_dir(folder.path()).arg("init").args(args))
}

#[test]
fn a_scenario_made_of_a_command_expects_what_was_measured_and_is_met() {
    let empty = folder(&[]);
    let server = |kind: &'static str, policy: &'static str| {
        [LASTFD, "serve", kind, "--baseline", "9", "--accept", policy, "--port", "{port}"]
    };
    for (name, kind, policy, expects) in [
        (
            "push",
            "http",
            "backoff",
            &[
                "http-idle = {}",
                "baseline = 9",
                "ceiling = \"soft - baseline\"",
                "policy = \"backoff\"",
                "leaked = 0",
            ][..],
        ),
        // A cap of its own leaves eight numbers free: 40 - 9 - 8.
        ("cap", "tcp", "cap-close", &["tcp = {}", "ceiling = 23", "policy = \"limits-itself\""]),
    ] {
        let file = format!("{name}.scenario.toml");
        let made = init(&empty, &[&["--nofile", "40:64", &file, "--"][..], &server(kind, policy)].concat());
        assert_eq!(made.code, Some(0), "{made:?}");
        let text = std::fs::read_to_string(empty.path().join(&file)).expect("it was written");
        for line in expects.iter().chain(&["limits = { soft = 40, hard = 64 }", "recovery = \"recovered\""]) {
            assert!(text.lines().any(|there| there == *line), "{line}: {text}");
        }
    }
    assert_eq!(run(&empty, &[]).code, Some(0), "both are met when they are run");
}

#[test]
fn a_scenario_is_not_made_where_there_is_one_or_the_command_does_not_start() {
    let there = folder(&[("mine", SIDE)]);
    let started = there.path().join("started");
    let touch = started.to_str().expect("UTF-8");
    let refused = init(&there, &["mine.scenario.toml", "--", "touch", touch]);
    assert!(refused.code == Some(2) && refused.stderr.contains("not overwritten"), "{refused:?}");
    assert!(!started.exists(), "it was started");
    let ends = init(&there, &["new.scenario.toml", "--", "false"]);
    assert!(ends.code == Some(6) && ends.stderr.contains("no scenario was written"), "{ends:?}");
    let missing = init(&there, &["--", "./no-such-program"]);
    assert!(missing.code == Some(6) && missing.stderr.contains("./no-such-program"), "{missing:?}");
    let both = init(&there, &["--example", "websocket-1012", "--", "true"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    let bare = init(&there, &[]);
    assert!(bare.code == Some(2) && bare.stderr.contains("`lastfd init -- COMMAND`"), "{bare:?}");
    assert_eq!(std::fs::read_dir(there.path()).expect("a folder").count(), 1, "nothing was written");
}

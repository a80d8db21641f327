//! What is said of told runs, in each format.

use super::report;
use crate::log;
use crate::support::{lastfd, recordings};
use lastfd::internal::event;
use lastfd::internal::judge::{self, Observed, Outcome};
use lastfd::internal::measure::Doubt;
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::Ceiling;
use serde_json::Value;

#[test]
fn a_log_that_was_cut_is_inconclusive_and_a_foreign_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = log::file(dir.path(), "truncated");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole + "{\"at\":90000000,\"is\":{\"sample\":{\"pid\":100,\"descri").unwrap();
    assert_eq!(event::read(&path).unwrap(), log::told("truncated").1, "its last line is left out");
    let report = report("truncated");
    let cut = Observed::Doubt(Doubt::LogCut);
    assert!(report.verdict.reasons.iter().any(|reason| reason.observed == cut), "{:?}", report.verdict);
    assert_eq!(report.found.ceiling.accepted.value(), Some(8), "what was seen before is still shown");
    for text in ["", "not a log\n", "{\"at\":0,\"is\":\"end\"}\n", "{\"at\":0,\"is\":{\"hea"] {
        let file = dir.path().join("events.jsonl");
        std::fs::write(&file, text).unwrap();
        let called = lastfd(&["replay", file.to_str().unwrap()]);
        assert_eq!(called.code, Some(3), "{text:?}: {called:?}");
    }
}

#[test]
fn replay_writes_the_report_and_exits_by_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("report.json");
    for (name, exit) in [("spin", 0), ("leak", 1), ("truncated", 5)] {
        let called = lastfd(&[
            "replay",
            log::file(dir.path(), name).to_str().unwrap(),
            "--json",
            json.to_str().unwrap(),
        ]);
        assert_eq!(called.code, Some(exit), "{called:?}");
        let read: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!(read["runs"], Value::Array(vec![report::json::run(&report(name))]));
    }
}

#[test]
fn terminal_reports_tell_the_story_in_a_hundred_columns() {
    for name in [
        "spin",
        "own-limit",
        "threads",
        "workers",
        "conflict",
        "generator",
        "leak",
        "not-reached",
        "died",
        "truncated",
        "calls-client",
        "three-answers",
    ] {
        let text = report::terminal::render(&[report(name)], false, 100);
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
        assert!(!text.contains('\u{1b}'));
        insta::assert_snapshot!(name, text);
    }
    assert!(report::terminal::render(&[report("spin")], true, 100).contains('\u{1b}'));
    let narrow = report::terminal::render(&[report("spin")], false, 60);
    assert!(narrow.lines().all(|l| l.chars().count() <= 60), "{narrow}");
}

#[test]
fn junit_and_markdown_have_one_entry_a_run() {
    let mut reports = vec![report("spin"), report("leak"), report("generator")];
    let (mut plan, _) = log::told("spin");
    plan.scenario = "supervised".into();
    reports.push(Report::skipped(&plan, judge::Verdict::skipped("supervisord", "not installed")));
    let junit = report::junit::render(&reports);
    for (tag, count) in [("<testcase", 4), ("<failure", 1), ("<error", 1), ("<skipped", 1)] {
        assert_eq!(junit.matches(tag).count(), count, "{tag} in {junit}");
    }
    let markdown = report::markdown::render(&reports);
    assert_eq!(markdown.lines().filter(|l| l.starts_with('|')).count(), 2 + 4);
}

#[test]
fn a_formula_that_overflows_in_a_run_leaves_the_verdict_open() {
    let (mut plan, log) = log::told("spin");
    plan.expect.ceiling = Some(Ceiling::Formula("soft * 1e30".into()));
    let report = Report::of(&plan, &log);
    assert_eq!(report.verdict.outcome, Outcome::Inconclusive);
    let said = report::words::judged::observed(&report.verdict.reasons[0]);
    assert!(said.contains("`soft * 1e30` is more than 2^31") && said.contains("soft 16"), "{said}");
}

/// Told runs as the variants of one scenario.
fn remedies() -> Vec<Report> {
    let as_variant = |name: &str, variant: Option<&str>, believed: Option<&str>| {
        let (mut plan, log) = log::told(name);
        (plan.scenario, plan.variant, plan.believed) =
            ("push".into(), variant.map(Into::into), believed.map(Into::into));
        Report::of(&plan, &log)
    };
    let mut reports = vec![
        as_variant("spin", None, Some("`ulimit -n` says 65535, so the limit cannot be it")),
        as_variant("backoff", Some("no_keep_alive"), Some("connections that are closed sooner leave room")),
        as_variant("own-limit", Some("another server"), None),
        as_variant("threads", Some("more threads"), None),
        as_variant("not-reached", Some("limit raised"), Some("more descriptors only hide a leak")),
        as_variant("generator", Some("more clients"), None),
    ];
    let (mut plan, _) = log::told("spin");
    (plan.scenario, plan.variant) = ("push".into(), Some("nginx in front".into()));
    reports.push(Report::skipped(&plan, judge::Verdict::skipped("nginx", "no such program in PATH")));
    reports
}

#[test]
fn a_remedy_table_says_what_was_believed_and_what_became_of_the_ceiling() {
    let reports = remedies();
    let tables = report::remedies::tables(&reports);
    let cured: Vec<_> = tables[0].rows.iter().map(|row| (row.cured, row.ceiling)).collect();
    // 8 of 16 numbers are taken at rest; own-limit stops at 5; 4 threads under 20 end at 14; skips and
    // generators tell nothing.
    let no = Some(false);
    assert_eq!(
        cured,
        [
            (None, Some(8)),
            (no, Some(8)),
            (no, Some(5)),
            (no, Some(14)),
            (Some(true), None),
            (None, None),
            (None, None)
        ]
    );
    let text = report::tables::remedies(&tables, false, 100);
    insta::assert_snapshot!("remedies", text);
    for width in [80, 100] {
        let text = report::tables::remedies(&tables, false, width);
        assert!(text.lines().all(|l| l.chars().count() <= width), "{text}");
    }
    let markdown = report::markdown::render(&reports);
    assert!(
        markdown.contains("| nginx in front | – | – | – | – | skipped: `nginx`: no such program in PATH |"),
        "{markdown}"
    );
    let json: Value = serde_json::from_str(&report::json::render(&reports)).unwrap();
    assert_eq!(json["remedies"][0]["rows"][4]["cured"], true, "{json:#}");
    assert!(
        serde_json::from_str::<Value>(&report::json::render(&reports[..1]))
            .unwrap()
            .get("remedies")
            .is_none()
    );
}

#[test]
fn a_run_that_never_started_gives_its_cause_as_the_reason_for_everything() {
    let reports = recordings().iter().map(|(_, plan, log)| Report::of(plan, log));
    let refused: Vec<Report> = reports.filter(|report| report.found.not_started.is_some()).collect();
    assert!(!refused.is_empty());
    for report in refused {
        let cause = format!(
            "the subject did not start: {}",
            report.found.not_started.as_ref().expect("it says").reason
        );
        let value = report::json::run(&report);
        let reasons = value["unmeasured"].as_object().expect("reasons");
        for (field, reason) in reasons.iter().filter(|(field, _)| *field != "variant") {
            assert_eq!(reason.as_str(), Some(cause.as_str()), "{field}");
        }
    }
}

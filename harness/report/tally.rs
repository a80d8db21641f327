//! The closing tally of several runs: failures first, one line each; repetitions of a variant are one line.
//! Pure.

use super::Report;
use super::page::{Page, cut};
use super::repeats::{Repeats, repeats};
use super::words::{self, judged};
use crate::judge::{Expectation, Outcome, Reason};
use owo_colors::Style;

/// How a run ended, in the order of the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    NotMet,
    Inconclusive,
    NotStarted,
    Flaky,
    Skipped,
    Met,
}

impl Ended {
    fn of(report: &Report) -> Ended {
        match report.verdict.outcome {
            Outcome::Met if report.is_flaky() => Ended::Flaky,
            Outcome::Met => Ended::Met,
            Outcome::NotMet => Ended::NotMet,
            Outcome::Skipped => Ended::Skipped,
            Outcome::Inconclusive if report.found.not_started.is_some() => Ended::NotStarted,
            Outcome::Inconclusive => Ended::Inconclusive,
        }
    }

    fn words(self) -> (&'static str, Style) {
        let style = Style::new();
        match self {
            Ended::NotMet => ("✗ not met", style.red().bold()),
            Ended::Inconclusive => ("? inconclusive", style.yellow().bold()),
            Ended::NotStarted => ("? did not start", style.yellow().bold()),
            Ended::Flaky => ("~ flaky", style.yellow().bold()),
            Ended::Skipped => ("– skipped", style.dimmed()),
            Ended::Met => ("✓ met", style.green().bold()),
        }
    }
}

/// Columns of the longest of the words, and two spaces.
const WORDS: usize = 17;

/// The tally, in lines of at most `width` columns; empty for a single run that was tried once, whose report
/// says it all.
pub fn render(reports: &[Report], colour: bool, width: usize) -> String {
    if reports.iter().flat_map(Report::tries).count() < 2 {
        return String::new();
    }
    let mut page = Page::new(colour, width);
    page.line(&format!("\n{}", words::counted(reports.len() as u64, "run")));
    let mut groups: Vec<(Ended, Vec<&Report>)> = repeats(reports)
        .into_iter()
        .map(|runs| (runs.iter().map(|run| Ended::of(run)).min().expect("a group has a run"), runs))
        .collect();
    groups.sort_by_key(|(ended, _)| *ended);
    let met = groups.iter().filter(|(ended, _)| *ended == Ended::Met).count();
    for (ended, runs) in groups.iter().filter(|(ended, _)| *ended != Ended::Met) {
        let (words, style) = ended.words();
        let worst = runs.iter().find(|run| Ended::of(run) == *ended).expect("it is of one of them");
        let repeats =
            Repeats::of(runs).map_or(String::new(), |repeats| format!(" ({})", words::repeats(&repeats)));
        // A flaky run was met in the end: its first try has the reason.
        let worst = worst.earlier.first().filter(|_| *ended == Ended::Flaky).unwrap_or(worst);
        let reason =
            worst.verdict.reasons.first().map_or(String::new(), |reason| format!(": {}", said(reason)));
        let words = page.styled(&format!("{words:WORDS$}"), style);
        let rest = cut(&format!("{}{repeats}{reason}", worst.title()), width.saturating_sub(WORDS));
        page.line(&format!("{words}{rest}"));
    }
    let (_, style) = Ended::Met.words();
    let met = if met == 0 { "0 met".into() } else { page.styled(&format!("✓ {met} met"), style) };
    page.line(&met);
    page.text
}

/// A reason in words.
fn said(reason: &Reason) -> String {
    let observed = judged::observed(reason);
    match reason.expectation {
        Expectation::Run => observed,
        Expectation::Requires => format!("`{}`: {observed}", judged::expected(reason)),
        _ => format!("{}: expected {}, observed {observed}", judged::name(reason), judged::expected(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Expected, Observed, Verdict};
    use crate::measure::{Doubt, NotStarted};

    fn run(variant: &str, outcome: Outcome, reason: Option<(Expectation, Expected, Observed)>) -> Report {
        let text = "claim = \"c\"\nprocesses.server = { command = [\"s\"], limits = { soft = 64, hard = 64 } }\nworkloads.w.tcp = {}";
        let folder = std::path::Path::new(".");
        let mut plan = crate::scenario::parse(text, "x.toml", "push", folder).expect("a scenario").remove(0);
        plan.variant = Some(variant.into());
        let reasons =
            reason.map(|(expectation, expected, observed)| Reason { expectation, expected, observed });
        let found = crate::measure::measure(&plan, &crate::event::Log::default());
        Report::new(&plan, found, Verdict { outcome, reasons: reasons.into_iter().collect(), judged: 1 })
    }

    fn doubt(reason: &str) -> Option<(Expectation, Expected, Observed)> {
        Some((Expectation::Run, Expected::Judgeable, Observed::Doubt(Doubt::Run(reason.into()))))
    }

    #[test]
    fn failures_come_first_with_their_first_reasons() {
        let mut exits = run("exits", Outcome::Inconclusive, doubt("the program exited\nat once"));
        exits.found.not_started =
            Some(NotStarted { reason: "the program exited".into(), exit_status: Some(1) });
        let missing = (
            Expectation::Requires,
            Expected::Requirement("nginx".into()),
            Observed::Missing("no such program in PATH".into()),
        );
        let missing = Some(missing);
        let reports = [
            run("a", Outcome::Met, None),
            run("nginx", Outcome::Skipped, missing),
            exits,
            run("high", Outcome::Inconclusive, doubt("hard limit is 20000")),
            run("b", Outcome::Met, None),
            run(
                "low",
                Outcome::NotMet,
                Some((
                    Expectation::Baseline,
                    Expected::Number(52),
                    Observed::Number { number: 51, because: None },
                )),
            ),
        ];
        let said = render(&reports, false, 60);
        let wanted = "\n6 runs\n\
            ✗ not met        push / low: baseline: expected 52, observe…\n\
            ? inconclusive   push / high: hard limit is 20000\n\
            ? did not start  push / exits: the program exited at once\n\
            – skipped        push / nginx: `nginx`: no such program in …\n\
            ✓ 2 met\n";
        assert_eq!(said, wanted, "{said}");
        assert_eq!(render(&reports[..1], false, 60), "", "one run has its own report");
    }

    #[test]
    fn repetitions_of_a_variant_are_one_line() {
        let unmet = run(
            "flaky",
            Outcome::NotMet,
            Some((
                Expectation::Baseline,
                Expected::Number(12),
                Observed::Number { number: 13, because: None },
            )),
        );
        let met = |name| run(name, Outcome::Met, None);
        let reports = [met("flaky"), unmet, met("flaky"), met("sure"), met("sure"), met("sure")];
        let said = render(&reports, false, 100);
        let wanted = "\n6 runs\n\
            ✗ not met        push / flaky (2 of 3 met, flaky): baseline: expected 12, observed 13\n\
            ✓ 1 met\n";
        assert_eq!(said, wanted, "{said}");
    }

    #[test]
    fn a_run_that_was_met_at_a_later_try_is_flaky_and_one_that_never_was_is_not() {
        let unmet = |variant, observed| {
            let reason = (
                Expectation::Baseline,
                Expected::Number(12),
                Observed::Number { number: observed, because: None },
            );
            run(variant, Outcome::NotMet, Some(reason))
        };
        let later = Report {
            earlier: vec![unmet("later", 13), unmet("later", 14)],
            ..run("later", Outcome::Met, None)
        };
        let never = Report { earlier: vec![unmet("never", 15)], ..unmet("never", 16) };
        let said = render(&[later.clone(), never], false, 100);
        let wanted = "\n2 runs\n\
            ✗ not met        push / never (0 of 2 met): baseline: expected 12, observed 16\n\
            ~ flaky          push / later (1 of 3 met, flaky): baseline: expected 12, observed 13\n\
            0 met\n";
        assert_eq!(said, wanted, "{said}");
        assert!(render(&[later], false, 100).contains("~ flaky"), "also of a single run");
    }
}

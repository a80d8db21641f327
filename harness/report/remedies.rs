//! The changes that each variant of a scenario made, compared with the scenario as written. Pure: from the
//! reports of several runs to rows; no expectation is judged again. The words of a row are in
//! `words::remedies`.

use super::Report;
use super::repeats::{Repeats, repeats};
use crate::event::{Call, Limits};
use crate::judge::{Outcome, Reason};
use crate::measure::{self, Kind, Moved, Resource};
use serde::Serialize;

/// The remedies of one scenario, with their effects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its name.
    pub scenario: String,
    /// The scenario as written first, then its variants as they were run.
    pub rows: Vec<Row>,
}

/// One remedy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name; `None`: the scenario as written.
    pub variant: Option<String>,
    /// The effect that people believed it to have.
    pub believed: Option<String>,
    /// In force in the process that accepts; `None` when they were not read.
    pub limits: Option<Limits>,
    /// Connections accepted (of a client: calls completed) where it stopped; `None` when it did not stop, or
    /// nobody knows.
    pub ceiling: Option<u64>,
    /// Whether it stopped; `None`: nobody knows.
    pub reached: Option<bool>,
    /// Why it stopped, or that it did not; `None` also where only its descriptor count tells.
    pub kind: Option<Kind>,
    /// Connections held, or calls completed, whether or not it stopped there.
    pub held: Option<u64>,
    /// Whether `held` and `ceiling` are calls of a client.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub calls: bool,
    /// The first descriptor call that failed.
    pub first_failure: Option<FirstFailure>,
    /// Its state after the last move of its limits, where they were moved while it ran (`[[then]]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<AfterMove>,
    /// Whether the ceiling is gone; `None` for the scenario as written, and where the runs do not tell.
    pub cured: Option<bool>,
    /// Why: what became of the ceiling, or why nothing can be said.
    pub verdict: Verdict,
    /// How often it was run, where that is more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// Results of repetitions that ended otherwise than the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Row>,
}

/// A subject whose limits were moved while it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AfterMove {
    /// In force from the last move on.
    pub limits: Limits,
    /// Connections held at the next failure; without one, in the end.
    pub held: Option<u64>,
    /// The first descriptor call that failed under them; none where none did.
    pub first_failure: Option<FirstFailure>,
    /// Whether it accepted again while clients waited; `None` where nobody did.
    pub resumed: Option<bool>,
}

/// A failed call, without when and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names of the JSON report")]
pub struct FirstFailure {
    pub call: Call,
    pub errno: &'static str,
}

impl FirstFailure {
    fn of(failure: &measure::FirstFailure) -> Self {
        FirstFailure { call: failure.call, errno: failure.errno }
    }
}

/// A table for each scenario with at least two variants among the reports (the scenario as written is one),
/// unless all were skipped. Repetitions are one row.
pub fn tables(reports: &[Report]) -> Vec<Table> {
    let mut tables: Vec<(Table, Vec<&Report>)> = Vec::new();
    for report in reports {
        match tables.iter_mut().find(|(table, _)| table.scenario == report.scenario) {
            Some((_, of_scenario)) => of_scenario.push(report),
            None => {
                tables.push((Table { scenario: report.scenario.clone(), rows: Vec::new() }, vec![report]))
            }
        }
    }
    tables.retain(|(_, reports)| {
        let made = reports.iter().any(|report| report.verdict.outcome != Outcome::Skipped);
        made && reports.iter().any(|report| report.variant != reports[0].variant)
    });
    tables
        .into_iter()
        .map(|(mut table, mut reports)| {
            reports.sort_by_key(|report| report.variant.is_some());
            let was = reports.iter().find(|report| report.variant.is_none() && known(report)).copied();
            table.rows = repeats(reports).iter().map(|runs| joined(runs, was)).collect();
            table
        })
        .collect()
}

/// Whether a run tells where its subject stopped, or that it did not.
fn known(report: &Report) -> bool {
    matches!(report.verdict.outcome, Outcome::Met | Outcome::NotMet)
        && report.found.ceiling.stopped().is_some()
}

/// The runs of one variant: the first, and what came to something else.
fn joined(runs: &[&Report], was: Option<&Report>) -> Row {
    let rows: Vec<Row> = runs.iter().map(|report| row(report, was)).collect();
    let mut joined = rows[0].clone();
    for other in &rows[1..] {
        if *other != rows[0] && !joined.otherwise.contains(other) {
            joined.otherwise.push(other.clone());
        }
    }
    joined.cured = joined.cured.filter(|_| rows.iter().all(|row| row.cured == rows[0].cured));
    joined.repeats = Repeats::of(runs);
    joined
}

fn row(report: &Report, was: Option<&Report>) -> Row {
    let ceiling = &report.found.ceiling;
    let held = held(report);
    let stopped = ceiling.stopped();
    let said = said(report, was);
    Row {
        variant: report.variant.clone(),
        believed: report.believed.clone(),
        limits: report.found.limits.effective.value(),
        ceiling: held.filter(|_| stopped == Some(true)),
        reached: stopped,
        kind: ceiling.kind.value(),
        held,
        calls: ceiling.in_calls(),
        first_failure: ceiling.first_failure.get().map(FirstFailure::of),
        moved: moves(report).last().map(|moved| AfterMove {
            limits: Limits { soft: moved.soft, hard: moved.hard },
            held: moved.accepted_after.value(),
            first_failure: moved.next_failure.get().map(FirstFailure::of),
            resumed: moved.resumed.value(),
        }),
        cured: said.cured(),
        verdict: Verdict {
            said,
            live: !moves(report).is_empty(),
            unexpected: report.verdict.outcome == Outcome::NotMet,
        },
        repeats: None,
        otherwise: Vec::new(),
    }
}

/// The effect on the ceiling, and remarks beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The effect on the ceiling.
    pub said: Said,
    /// Whether limits were moved while it ran.
    pub live: bool,
    /// Whether the scenario expects something else.
    pub unexpected: bool,
}

/// The statement of one run about the ceiling.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The scenario as written: whether it stops, and what became of it when its limits were moved.
    AsWritten { stopped: bool, then: Option<Effect> },
    /// It does not start, as expected.
    NotStarted,
    /// It was skipped, for this reason.
    Skipped(Reason),
    /// The run does not tell, for this reason if it gives one.
    NotKnown(Option<Reason>),
    /// The scenario as written does not tell; whether it stops with the remedy (`None`: its limits were
    /// moved, and nobody waited in the scenario as written).
    NothingToCompare { stopped: Option<bool> },
    /// The remedy's effect.
    Remedy(Effect),
}

impl Said {
    /// Whether the ceiling is gone; `None` for the scenario as written, and where the runs do not tell.
    fn cured(&self) -> Option<bool> {
        match self {
            Said::NotStarted | Said::NothingToCompare { stopped: Some(true) } => Some(false),
            Said::Remedy(effect) => effect.cures(),
            Said::AsWritten { .. }
            | Said::Skipped(_)
            | Said::NotKnown(_)
            | Said::NothingToCompare { stopped: Some(false) | None } => None,
        }
    }
}

/// The effect of a change on a ceiling.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Not known: limits were moved, and nobody waited to be accepted.
    NobodyWaited,
    /// It was at so many, and is gone.
    Gone { was: Option<u64> },
    /// There was none, and there is none.
    NeverThere,
    /// There was none; now it is at so many.
    New { at: Option<u64> },
    /// It is still there: where it was, and where it is.
    Stays { was: At, is: At },
}

impl Effect {
    const fn cures(&self) -> Option<bool> {
        match self {
            Effect::NobodyWaited | Effect::NeverThere => None,
            Effect::Gone { .. } => Some(true),
            Effect::New { .. } | Effect::Stays { .. } => Some(false),
        }
    }
}

/// A ceiling: how many were held, and what ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Connections held, or calls completed.
    pub held: Option<u64>,
    /// The end of the load.
    pub how: How,
}

/// The end of a load: the call that fails, or what happens instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// This call fails.
    Fails(Call),
    /// It stops by its own rule.
    OwnRule,
    /// It exits.
    Exits,
    /// Its table is full, by its descriptor count.
    FullTable,
    /// Something else ran out, if it is known what.
    RanOut(Option<Resource>),
    /// It does not accept again.
    NeverAccepts,
    /// No call fails.
    NothingFails,
}

/// A subject at its wall, or not: before its limits were moved, or after.
struct State {
    /// `None`: a limit was raised that nobody then waited for.
    stopped: Option<bool>,
    at: At,
}

impl State {
    /// Before any move.
    fn first(report: &Report) -> State {
        let at = At { held: held(report), how: how(report) };
        State { stopped: report.found.ceiling.stopped(), at }
    }

    /// After the last move, where there was one.
    fn last(report: &Report) -> State {
        let first = State::first(report);
        let Some(moved) = moves(report).last() else { return first };
        let (stopped, how) = match (moved.next_failure.get(), moved.resumed.value()) {
            (Some(failure), _) => (Some(true), How::Fails(failure.call)),
            (None, Some(false)) => (Some(true), How::NeverAccepts),
            (None, Some(true)) => (Some(false), How::NothingFails),
            (None, None) => (first.stopped.filter(|stopped| !stopped), How::NothingFails),
        };
        State { stopped, at: At { held: moved.accepted_after.value(), how } }
    }
}

/// The effect of a change on a ceiling, from one state to another.
fn effect(was: &State, is: &State) -> Effect {
    match (was.stopped, is.stopped) {
        (_, None) => Effect::NobodyWaited,
        (Some(true), Some(false)) => Effect::Gone { was: was.at.held },
        (_, Some(false)) => Effect::NeverThere,
        (Some(false), Some(true)) => Effect::New { at: is.at.held },
        (_, Some(true)) => Effect::Stays { was: was.at, is: is.at },
    }
}

fn said(report: &Report, was: Option<&Report>) -> Said {
    if report.verdict.outcome == Outcome::Met && report.found.not_started.is_some() {
        return Said::NotStarted;
    }
    if !known(report) {
        let reason = report.verdict.reasons.first().cloned();
        return match (report.verdict.outcome, reason) {
            (Outcome::Skipped, Some(reason)) => Said::Skipped(reason),
            (_, reason) => Said::NotKnown(reason),
        };
    }
    let (first, last) = (State::first(report), State::last(report));
    if report.variant.is_none() {
        let then = (!moves(report).is_empty()).then(|| effect(&first, &last));
        return Said::AsWritten { stopped: first.stopped == Some(true), then };
    }
    // One that moves its limits as the scenario as written does is compared after both moves.
    let was = was.map(|was| match moved_to(was) == moved_to(report) {
        true => State::last(was),
        false => State::first(was),
    });
    match was {
        _ if last.stopped.is_none() => Said::Remedy(Effect::NobodyWaited),
        None => Said::NothingToCompare { stopped: last.stopped },
        Some(State { stopped: None, .. }) => Said::NothingToCompare { stopped: None },
        Some(was) => Said::Remedy(effect(&was, &last)),
    }
}

/// To which limits a run moved, in order.
fn moved_to(report: &Report) -> Vec<Limits> {
    moves(report).iter().map(|moved| Limits { soft: moved.soft, hard: moved.hard }).collect()
}

fn moves(report: &Report) -> &[Moved] {
    report.found.moved.get().map_or(&[], Vec::as_slice)
}

/// Connections accepted, or of a client calls completed.
fn held(report: &Report) -> Option<u64> {
    report.found.ceiling.held()
}

fn how(report: &Report) -> How {
    let ceiling = &report.found.ceiling;
    let resource = report.found.binds.get().map(|binds| binds.resource);
    match (ceiling.first_failure.get(), ceiling.kind.value()) {
        (_, Some(Kind::OtherLimit)) => How::RanOut(resource),
        (None, Some(Kind::Exited)) if resource == Some(Resource::FdSetsize) => How::RanOut(resource),
        (Some(first), _) => How::Fails(first.call),
        (None, Some(Kind::OwnLimit)) => How::OwnRule,
        (None, Some(Kind::Exited)) => How::Exits,
        (None, None) if ceiling.stopped() == Some(true) => How::FullTable,
        (None, _) => How::NothingFails,
    }
}

impl Table {
    /// Whether anybody's belief is written down.
    pub fn believed(&self) -> bool {
        self.rows.iter().any(|row| row.believed.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Log;
    use crate::judge::{Expectation, Expected, Observed, Verdict as Judged};
    use crate::measure::{Binds, BindsEvidence, Doubt, FdSetsize, FirstFailure as Failed, Known, Why};
    use crate::report::words::remedies as words;
    use crate::scenario;
    use std::path::Path;

    /// A run of a scenario: nothing measured but where it stopped.
    fn run(variant: Option<&str>, kind: Kind, held: u64, call: Option<Call>) -> Report {
        let text = "claim = \"stops\"\nprocesses.server = { command = [\"s\"], limits = { soft = 64, hard = 64 } }\nworkloads.w.tcp = {}";
        let mut plan = scenario::parse(text, "x.toml", "push", Path::new(".")).expect("a scenario").remove(0);
        plan.variant = variant.map(str::to_owned);
        let mut measured = crate::measure::measure(&plan, &Log::default());
        measured.limits.effective = Known::Value(Limits { soft: 64, hard: 128 });
        measured.ceiling.kind = Known::Value(kind);
        measured.ceiling.accepted = Known::Value(held);
        measured.ceiling.first_failure = call.map_or(Known::Unknown(Why::NoFailureSeen), |call| {
            Known::Value(Failed {
                pid: 7,
                call,
                errno: "EMFILE",
                at_s: 0.1,
                accepted_before: held,
                waiting_clients: 0,
                next_connects: false,
                in_child: false,
                reason: None,
            })
        });
        Report::new(&plan, measured, Judged { outcome: Outcome::Met, reasons: Vec::new(), judged: 1 })
    }

    fn verdicts(reports: &[Report]) -> Vec<(Option<bool>, String)> {
        tables(reports)[0].rows.iter().map(|row| (row.cured, words::verdict(&row.verdict))).collect()
    }

    #[test]
    fn a_limit_beyond_fd_setsize_makes_it_worse_though_more_are_held() {
        let mut raised = run(Some("raised"), Kind::Exited, 1020, None);
        let end = FdSetsize { highest: 1024, soft: 2048, unwatched: 1 };
        let binds = Binds { resource: Resource::FdSetsize, evidence: BindsEvidence::FdSetsize(end) };
        raised.found.binds = Known::Value(binds);
        let said = verdicts(&[run(None, Kind::Emfile, 57, Some(Call::Accept4)), raised]);
        assert!(said[1].1.starts_with("worse: 57 → 1020, accept4 → descriptor numbers"), "{said:?}");
    }

    #[test]
    fn a_remedy_cures_only_where_the_ceiling_is_gone() {
        let reports = [
            run(None, Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("no_keep_alive"), Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("minfds"), Kind::Emfile, 116, Some(Call::Accept4)),
            run(Some("proxy"), Kind::Emfile, 25, Some(Call::Socket)),
            run(Some("cached"), Kind::Emfile, 52, Some(Call::Openat)),
            run(Some("own rule"), Kind::OwnLimit, 40, None),
            run(Some("raised"), Kind::NotReached, 96, None),
        ];
        let wanted = [
            (None, "as written"),
            (Some(false), "no: the same ceiling"),
            (Some(false), "no: 52 → 116"),
            (Some(false), "worse: 52 → 25, accept4 → socket"),
            (Some(false), "no: accept4 → openat"),
            (Some(false), "worse: 52 → 40, accept4 → its own rule"),
            (Some(true), "yes"),
        ];
        assert_eq!(verdicts(&reports), wanted.map(|(cured, text)| (cured, text.to_owned())));
        assert_eq!(tables(&reports)[0].rows[6].ceiling, None, "96 were held, and that is no ceiling");
    }

    /// The same run, whose limits were then moved in the live process.
    fn then(
        mut report: Report,
        soft: u64,
        after: Option<u64>,
        failing: bool,
        resumed: Option<bool>,
    ) -> Report {
        let known = |n: Option<u64>| n.map_or(Known::Unknown(Why::NobodyWaited), Known::Value);
        let next_failure = match failing {
            true => report.found.ceiling.first_failure.clone(),
            false => Known::Unknown(Why::NoFailureUnderNewLimits),
        };
        report.found.moved = Known::Value(vec![Moved {
            soft,
            hard: 256,
            was: Limits { soft: 64, hard: 128 },
            processes: 1,
            at_s: 1.0,
            held: 57,
            resumed: resumed.map_or(Known::Unknown(Why::NobodyWaited), Known::Value),
            resumed_s: Known::Unknown(Why::DidNotResume),
            accepted_after: known(after),
            next_failure,
            new_client: Known::Unknown(Why::FailedBeforeNewClient),
        }]);
        report
    }

    #[test]
    fn a_limit_that_is_moved_in_the_live_process_is_judged_by_what_follows() {
        let stopped = |variant| run(variant, Kind::Emfile, 57, Some(Call::Accept4));
        let reports = [
            stopped(None),
            then(stopped(Some("raised")), 128, Some(121), true, Some(true)),
            then(stopped(Some("raised beyond all clients")), 256, Some(200), false, Some(true)),
            then(stopped(Some("raised, and its loop is dead")), 256, Some(57), false, Some(false)),
            then(stopped(Some("lowered")), 32, Some(57), true, None),
            then(stopped(Some("nobody waits")), 128, None, false, None),
        ];
        let live = ", in the running process";
        let wanted = [
            (None, "as written".to_owned()),
            (Some(false), format!("no: 57 → 121{live}")),
            (Some(true), format!("yes{live}")),
            (Some(false), format!("no: accept4 → it never accepts again{live}")),
            (Some(false), format!("no: the same ceiling{live}")),
            (None, "not known: its limits were moved, and nobody waited to be accepted".to_owned()),
        ];
        assert_eq!(verdicts(&reports), wanted);
        let cells = |row: usize| words::cells(&tables(&reports)[0].rows[row], false);
        assert_eq!(cells(1)[1..4], ["64:128 → 128:256", "57 → 121", "accept4 EMFILE"]);
        assert_eq!(cells(2)[1..4], ["64:128 → 256:256", "57 → none up to 200", "accept4 EMFILE → none"]);
        // Where the scenario as written moves the limit itself, a variant that moves it alike is compared
        // after both.
        let base = then(stopped(None), 128, Some(121), true, Some(true));
        let faster = then(
            run(Some("fewer at rest"), Kind::Emfile, 60, Some(Call::Accept4)),
            128,
            Some(124),
            true,
            Some(true),
        );
        let said = verdicts(&[base, faster, stopped(Some("not moved"))]);
        assert_eq!(said[0], (None, format!("as written; then 57 → 121{live}")));
        assert_eq!(said[1], (Some(false), format!("no: 121 → 124{live}")));
        assert_eq!(said[2], (Some(false), "no: the same ceiling".into()));
    }

    #[test]
    fn without_how_it_was_nothing_is_called_cured() {
        let mut base = run(None, Kind::Emfile, 52, Some(Call::Accept4));
        base.verdict.outcome = Outcome::Inconclusive;
        base.verdict.reasons = vec![Reason {
            expectation: Expectation::Run,
            expected: Expected::Judgeable,
            observed: Observed::Doubt(Doubt::Run("no observer here".into())),
        }];
        let raised = run(Some("raised"), Kind::NotReached, 96, None);
        let said = verdicts(&[base, raised.clone()]);
        assert_eq!(said[0].0, None);
        assert!(said[0].1.starts_with("not known: no observer"), "{said:?}");
        assert_eq!(said[1].0, None, "{said:?}");
        let held = run(None, Kind::NotReached, 96, None);
        assert_eq!(verdicts(&[held.clone(), raised])[1].0, None);
        assert_eq!(
            verdicts(&[held, run(Some("proxy"), Kind::Emfile, 25, None)])[1],
            (Some(false), "worse: no ceiling → 25".into())
        );
    }

    #[test]
    fn a_ceiling_that_only_the_descriptor_count_tells_is_compared_too() {
        let counted = |variant, reached: Option<bool>, held| {
            let mut report = run(variant, Kind::Emfile, held, None);
            let ceiling = &mut report.found.ceiling;
            ceiling.kind = Known::Unknown(Why::AcceptsPassBy);
            ceiling.reached = reached.map_or(Known::Unknown(Why::AcceptsPassBy), Known::Value);
            report
        };
        let reports = [
            counted(None, Some(true), 57),
            counted(Some("raised"), Some(false), 80),
            counted(Some("lost"), None, 9),
        ];
        let said = verdicts(&reports);
        assert_eq!(said[..2], [(None, "as written".into()), (Some(true), "yes".into())]);
        assert!(said[2].1.starts_with("not known"), "{said:?}");
        let cells: Vec<String> =
            tables(&reports)[0].rows.iter().map(|row| words::cells(row, false)[2].clone()).collect();
        assert_eq!(cells, ["57 (by descriptor count)", "none up to 80 (by descriptor count)", "–"]);
        let markdown = crate::report::markdown::render(&reports);
        for cell in [
            "| 57 (by descriptor count) |",
            "| 80 (not-reached, by descriptor count) |",
            "– | – | – | – | – |",
        ] {
            assert!(markdown.contains(cell), "{cell}: {markdown}");
        }
    }

    #[test]
    fn one_variant_alone_makes_no_table_and_repetitions_one_row() {
        let (base, raised) = (
            run(None, Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("raised"), Kind::NotReached, 96, None),
        );
        assert_eq!(tables(&[base.clone(), base.clone()]), []);
        let skipped =
            |report: &Report| Report { verdict: Judged::skipped("nginx", "not found"), ..report.clone() };
        assert_eq!(tables(&[skipped(&base), skipped(&raised)]), []);
        let mut other = raised.clone();
        other.scenario = "other".into();
        assert_eq!(tables(&[base.clone(), other]), []);
        let late = run(None, Kind::Emfile, 53, Some(Call::Accept4));
        let mut unmet = run(Some("raised"), Kind::Emfile, 97, None);
        unmet.verdict.outcome = Outcome::NotMet;
        let rows = &tables(&[raised.clone(), base.clone(), raised, unmet, base, late])[0].rows;
        let cells: Vec<Vec<String>> = rows.iter().map(|row| words::cells(row, false)).collect();
        let wanted = [
            ["(none) (3 of 3 met)", "64:128", "52 or 53", "accept4 EMFILE", "as written"],
            [
                "raised (2 of 3 met, flaky)",
                "64:128",
                "none up to 96 or 97",
                "none",
                "yes or no: 52 → 97, accept4 → no failing call (the scenario expects something …",
            ],
        ];
        assert_eq!(cells, wanted);
        assert_eq!(rows[1].cured, None, "not each time");
    }
}

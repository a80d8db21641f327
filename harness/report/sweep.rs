//! Ceilings at several limits: the line through them, and where something other than the descriptor limit binds. Pure: from the
//! reports of several runs of one program to points, and from these to text. What binds is read off the runs, never guessed.

use super::Report;
use super::terminal::{clean, cut};
use crate::event::Call;
use crate::measure::{Ceiling, Kind, Policy, Resource};
use comfy_table::{ContentArrangement, presets};
use owo_colors::OwoColorize;
use serde::{Deserialize, Serialize};

/// The most descriptors that select(2) can watch with glibc's `fd_set` (FD_SETSIZE, bits/typesizes.h).
const FD_SETSIZE: u64 = 1024;
/// Columns of the table.
const HEADINGS: [&str; 6] = ["limit", "at rest", "predicted", "ceiling", "first failing call", "policy"];
/// Characters of what the program wrote that are shown.
const WORDS: usize = 80;

/// One program at several limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// In the order of the limits.
    pub points: Vec<Point>,
    /// The line, where two points or more lie on one.
    pub fit: Option<Fit>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_fit: Option<String>,
    /// Where something else binds; `None` where it is the same at every limit.
    pub binds: Option<Binds>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The soft limit asked for.
    pub asked: Option<u64>,
    /// The soft limit in force in the process that accepts.
    pub soft: Option<u64>,
    /// Descriptors at rest that take a place.
    pub at_rest: Option<u64>,
    /// The ceiling as predicted.
    pub predicted: Option<u64>,
    /// Connections held where it stopped; `None` where it did not stop, or nobody knows.
    pub ceiling: Option<u64>,
    /// Whether it stopped; `None`: nobody knows.
    #[serde(default)]
    pub reached: Option<bool>,
    /// Why it stopped, or that it did not; `None` also where only its descriptor count tells.
    pub kind: Option<Kind>,
    /// The first descriptor call that failed.
    pub first_failure: Option<Call>,
    /// What it did then.
    pub policy: Option<Policy>,
}

/// ceiling = (soft − at rest) ÷ descriptors a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// What stops it at all of these points: the descriptor limit (`emfile`), or a rule of its own that follows it (`own-limit`).
    pub by: Kind,
    /// How many points it goes through.
    pub points: u32,
    /// Descriptors that are no connections.
    pub at_rest: f64,
    /// Descriptors a connection.
    pub per_connection: f64,
    /// Connections that the point farthest off is away from it.
    pub residual: f64,
}

/// Something other than what the line is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binds {
    /// From this soft limit on.
    pub from: u64,
    /// What, with the evidence.
    pub what: String,
    /// What ran out there, where that was seen; none where it is not known, and where nothing stopped it.
    #[serde(default)]
    pub resource: Option<Resource>,
}

impl Point {
    fn of(r: &Report) -> Point {
        let reached = r.ceiling.stopped();
        Point {
            asked: r.limits.requested.map(|limits| limits.soft),
            soft: r.limits.effective.map(|limits| limits.soft),
            at_rest: r.baseline.counted,
            predicted: r.prediction.ceiling,
            ceiling: r.ceiling.accepted.filter(|_| reached == Some(true)),
            reached,
            kind: r.ceiling.kind,
            first_failure: r.ceiling.first_failure.as_ref().map(|failure| failure.call),
            policy: r.saturation.policy,
        }
    }

    /// What stopped it, or that nothing did: a table that is full by its count is full, whoever saw the call that failed.
    fn stop(&self) -> Option<Kind> {
        self.kind.or(self.ceiling.map(|_| Kind::Emfile))
    }

    /// Limit and ceiling, where it was stopped by this.
    fn stopped_by(&self, kind: Kind) -> Option<(f64, f64)> {
        Some((self.soft? as f64, self.ceiling? as f64)).filter(|_| self.stop() == Some(kind))
    }

    /// What a line of progress says, and the table too.
    fn cells(&self) -> [String; 6] {
        let number = |n: Option<u64>| n.map_or("–".to_owned(), |n| n.to_string());
        let limit = match (self.asked, self.soft) {
            (Some(asked), Some(soft)) if asked != soft => format!("{soft} (asked: {asked})"),
            (asked, soft) => number(soft.or(asked)),
        };
        let ceiling = match (self.ceiling, self.kind) {
            (Some(n), Some(Kind::Emfile)) => n.to_string(),
            (Some(n), Some(kind)) => format!("{n} ({})", kind.name()),
            (Some(n), None) => format!("{n} ({})", Ceiling::BY_COUNT),
            (_, Some(kind)) => kind.name().to_owned(),
            (None, None) if self.reached == Some(false) => {
                format!("{} ({})", Kind::NotReached.name(), Ceiling::BY_COUNT)
            }
            (None, None) => "not known".to_owned(),
        };
        let call = self.first_failure.map_or("–".to_owned(), |call| call.to_string());
        [
            limit,
            number(self.at_rest),
            number(self.predicted),
            ceiling,
            call,
            self.policy.map_or("–", Policy::name).to_owned(),
        ]
    }
}

/// One run of a sweep, in a line.
pub fn line(r: &Report) -> String {
    let [limit, rest, predicted, ceiling, call, policy] = Point::of(r).cells();
    let why = r
        .reasons
        .iter()
        .find(|reason| reason.expectation == "run")
        .map_or(String::new(), |why| format!(": {}", clean(&why.observed)));
    format!(
        "{limit}: {rest} at rest, {predicted} predicted, ceiling {ceiling}, first failing call {call}, policy {policy}{why}\n"
    )
}

impl Sweep {
    /// The runs of one program, in the order of their limits.
    pub fn of(reports: &[Report]) -> Sweep {
        let mut runs: Vec<(Point, &Report)> = reports.iter().map(|r| (Point::of(r), r)).collect();
        runs.sort_by_key(|(point, _)| (point.asked, point.soft));
        let points: Vec<Point> = runs.iter().map(|(point, _)| point.clone()).collect();
        let by = [Kind::Emfile, Kind::OwnLimit]
            .into_iter()
            .find(|kind| points.iter().any(|p| p.stopped_by(*kind).is_some()));
        let fitted =
            by.ok_or_else(|| "no descriptor limit stopped it".to_owned()).and_then(|kind| fit(&points, kind));
        let (fit, no_fit) = match fitted {
            Ok(fit) => (Some(fit), None),
            Err(reason) => (None, Some(reason)),
        };
        let binds = binds(&runs, by, fit.as_ref());
        Sweep { points, fit, no_fit, binds }
    }
}

/// Least squares of the limit over the ceiling: a limit is chosen, and a ceiling is whole, so the slope is what a connection costs.
fn fit(points: &[Point], by: Kind) -> Result<Fit, String> {
    let on: Vec<(f64, f64)> = points.iter().filter_map(|p| p.stopped_by(by)).collect();
    let n = on.len() as f64;
    let (soft, ceiling) = (on.iter().map(|p| p.0).sum::<f64>() / n, on.iter().map(|p| p.1).sum::<f64>() / n);
    let spread: f64 = on.iter().map(|p| (p.1 - ceiling).powi(2)).sum();
    if on.len() < 2 {
        return Err("one point makes no line".to_owned());
    }
    if on.iter().all(|p| p.0 == on[0].0) {
        return Err("only one limit was in force".to_owned());
    }
    if spread == 0.0 {
        return Err(format!(
            "it stopped at {ceiling} every time: that does not depend on the limit asked for"
        ));
    }
    let per_connection = on.iter().map(|p| (p.1 - ceiling) * (p.0 - soft)).sum::<f64>() / spread;
    let at_rest = soft - per_connection * ceiling;
    let off = |p: &(f64, f64)| (p.1 - (p.0 - at_rest) / per_connection).abs();
    let residual = on.iter().map(off).fold(0.0, f64::max);
    let round = |value: f64| (value * 1000.0).round() / 1000.0 + 0.0;
    Ok(Fit {
        by,
        points: on.len() as u32,
        at_rest: round(at_rest),
        per_connection: round(per_connection),
        residual: round(residual),
    })
}

/// Where the runs from some limit on are stopped by something else than the others, and what that is.
fn binds(runs: &[(Point, &Report)], by: Option<Kind>, fit: Option<&Fit>) -> Option<Binds> {
    let capped = |p: &Point| p.soft.zip(p.asked).is_some_and(|(soft, asked)| soft < asked);
    let usual = |p: &Point| {
        by.is_some() && p.stop() == by && !capped(p) && !(by == Some(Kind::OwnLimit) && fit.is_none())
    };
    let first = runs.len() - runs.iter().rev().take_while(|(point, _)| !usual(point)).count();
    // Where all clients were taken nothing binds, as far as they tell; a larger limit may tell more.
    let stopped = runs.iter().skip(first).find(|(point, _)| capped(point) || point.reached != Some(false));
    let (point, report) = stopped.or(runs.get(first))?;
    Some(Binds {
        from: point.asked.or(point.soft)?,
        what: if capped(point) { raised_no_further(point, report) } else { what(point, report) },
        resource: report.ceiling.binds.as_ref().map(|binds| binds.resource),
    })
}

fn raised_no_further(point: &Point, r: &Report) -> String {
    let who =
        r.limits.set_by.as_ref().map_or(String::new(), |by| format!(", set by `{}`", cut(&by.command, 40)));
    format!("the limit in force is {} whatever is asked for{who}", point.soft.unwrap_or_default())
}

/// What stopped this run, by its own evidence.
fn what(point: &Point, r: &Report) -> String {
    let held = r.ceiling.accepted.map_or("an unknown number".to_owned(), |n| n.to_string());
    let evidence = r.saturation.policy_evidence.as_deref().map_or(String::new(), |said| format!(" ({said})"));
    let seen =
        r.ceiling.binds.as_ref().map(|binds| {
            (binds.resource, format!("{}, at {held}: {}", binds.resource.name(), binds.evidence))
        });
    let text = match point.kind {
        Some(Kind::OtherLimit) => seen.map_or_else(|| format!("not known, at {held}"), |(_, seen)| seen),
        Some(Kind::OwnLimit) => {
            let how = match r.saturation.held_closed_by_server.unwrap_or(0) + turned_away(r) {
                0 => "took no more clients",
                _ => "turned clients away",
            };
            format!("the server {how} by its own rule at {held}{evidence}")
        }
        Some(Kind::Exited) => {
            let seen = seen.map_or(String::new(), |(_, seen)| format!("{seen}; "));
            format!("{seen}the process exited with {held} connections held{}{evidence}", status(r))
        }
        Some(Kind::Enfile) => format!("the open files of the whole host, fs.file-max, with {held} held"),
        Some(Kind::Generator) => match seen {
            Some((Resource::SourcePorts, seen)) => {
                format!("source ports of the load generator's own side: {seen}")
            }
            _ => format!("the load generator's own side, with {held} held: {}", unknown(r)),
        },
        Some(Kind::NotReached) if r.ceiling.handed_over.is_some() => {
            return format!(
                "the number of clients: all {held} were accepted, and each has a process of its own, which the descriptor limit of one process \
                 does not bound"
            );
        }
        Some(Kind::NotReached) => {
            return format!("the number of clients: all {held} were accepted, and no descriptor call failed");
        }
        Some(Kind::Emfile) => format!("a descriptor call of another kind, at {held}{evidence}"),
        None if point.reached == Some(false) => {
            return format!("the number of clients: all {held} are held, by its descriptor count");
        }
        None => return seen.map_or_else(|| format!("not known: {}", unknown(r)), |(_, seen)| seen),
    };
    // Descriptors open there; or as many as its connections make.
    let open = r
        .ceiling
        .descriptors
        .into_iter()
        .chain(r.baseline.counted.zip(r.ceiling.accepted).map(|(rest, held)| rest + held));
    let at_setsize = open.into_iter().any(|n| (FD_SETSIZE - 1..=FD_SETSIZE + 1).contains(&n))
        && point.soft > Some(FD_SETSIZE);
    let select = if at_setsize {
        format!(", at {FD_SETSIZE} descriptors: FD_SETSIZE, the most that select() can watch")
    } else {
        String::new()
    };
    let wrote = r
        .saturation
        .log_sample
        .last()
        .map_or(String::new(), |line| format!("; it wrote: {}", cut(line, WORDS)));
    format!("{text}{select}{wrote}")
}

fn turned_away(r: &Report) -> u64 {
    r.ceiling.connected.zip(r.ceiling.served).map_or(0, |(connected, served)| {
        u64::from(connected > served && r.saturation.accept_queue.is_some_and(|q| q.length == 0))
    })
}

fn status(r: &Report) -> String {
    match r.ceiling.exit.map(|exit| (exit.code, exit.signal)) {
        Some((_, Some(signal))) => format!(", by signal {signal}"),
        Some((Some(code), _)) => format!(", with status {code}"),
        _ => String::new(),
    }
}

fn unknown(r: &Report) -> String {
    let why =
        r.reasons.iter().find(|reason| reason.expectation == "run").map(|reason| clean(&reason.observed));
    why.unwrap_or_else(|| "the run does not say".to_owned())
}

impl Sweep {
    /// The line in words, or why there is none.
    fn line(&self) -> Option<String> {
        Some(match (&self.fit, &self.no_fit) {
            (Some(f), _) => {
                let by =
                    if f.by == Kind::OwnLimit { ", by a rule of its own that follows the limit" } else { "" };
                let off = if f.residual < 0.5 {
                    "every point lies on it".to_owned()
                } else {
                    format!("off by {} at most", f.residual)
                };
                format!(
                    "ceiling = (soft − {}) ÷ {}{by}: {} points, {off}.",
                    f.at_rest, f.per_connection, f.points
                )
            }
            (None, Some(reason)) => format!("None: {reason}."),
            (None, None) => return None,
        })
    }

    /// The same with their labels, and what binds from where on.
    pub(super) fn said(&self) -> Vec<(&'static str, String)> {
        let binds = self
            .binds
            .as_ref()
            .map(|binds| format!("From {} on something else binds: {}.", binds.from, binds.what));
        self.line().map(|line| ("Line", line)).into_iter().chain(binds.map(|text| ("Binds", text))).collect()
    }

    /// What binds from some limit on, in a word or two.
    pub(super) fn bound_by(&self) -> Option<&'static str> {
        let binds = self.binds.as_ref()?;
        let nothing =
            self.points.iter().all(|p| p.asked.or(p.soft) < Some(binds.from) || p.reached == Some(false));
        Some(binds.resource.map_or(if nothing { "nothing" } else { "not known" }, Resource::name))
    }

    /// The table: what its columns are called, and its rows.
    pub(super) fn table(&self) -> ([&'static str; 6], Vec<[String; 6]>) {
        (HEADINGS, self.points.iter().map(Point::cells).collect())
    }
}

/// The table, the line and what binds, for a terminal of this width.
pub fn render(sweep: &Sweep, colour: bool, width: usize) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .force_no_tty()
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.try_into().unwrap_or(u16::MAX)).set_header(HEADINGS);
    for point in &sweep.points {
        table.add_row(point.cells());
    }
    let title = "Sweep of the limit";
    let title = if colour { title.bold().to_string() } else { title.to_owned() };
    let mut page = super::terminal::Page::new(colour, width);
    sweep.said().iter().for_each(|(label, text)| page.say(label, text));
    format!("\n{title}\n{}\n{}", table.trim_fmt(), page.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Limits, Log};
    use crate::judge::Verdict;
    use crate::measure::{Exit, FirstFailure};
    use crate::scenario;
    use std::path::Path;

    /// A run at this limit that was stopped so, with seven descriptors at rest.
    fn run(soft: u64, kind: Kind, held: u64) -> Report {
        let text = format!(
            "claim = \"c\"\nprocesses.server = {{ command = [\"s\"], limits = {{ soft = {soft}, hard = {soft} }} }}"
        );
        let plan = scenario::parse(&text, "x.toml", "x", Path::new(".")).expect("a scenario").remove(0);
        let mut m = crate::measure::measure(&plan, &Log::default());
        m.limits.requested = Some(Limits { soft, hard: soft });
        m.limits.effective = m.limits.requested;
        (m.baseline.counted, m.ceiling.kind, m.ceiling.accepted) = (Some(7), Some(kind), Some(held));
        m.ceiling.reached = Some(kind != Kind::NotReached);
        let failed = FirstFailure {
            pid: 1,
            call: Call::Accept4,
            errno: "EMFILE".into(),
            at_s: 1.0,
            accepted_before: held,
            waiting_clients: 0,
            reason: None,
        };
        m.ceiling.first_failure = (kind == Kind::Emfile).then_some(failed);
        Report::new(&plan, m, Verdict { outcome: crate::judge::Outcome::Met, reasons: Vec::new(), judged: 0 })
    }

    fn sweep(points: &[(u64, Kind, u64)]) -> Sweep {
        Sweep::of(&points.iter().map(|&(soft, kind, held)| run(soft, kind, held)).collect::<Vec<_>>())
    }

    #[test]
    fn a_descriptor_a_connection_lies_on_a_line_through_what_is_open_at_rest() {
        let s = sweep(&[(1024, Kind::Emfile, 1017), (64, Kind::Emfile, 57), (256, Kind::Emfile, 249)]);
        assert_eq!(
            s.points.iter().map(|p| p.asked).collect::<Vec<_>>(),
            [Some(64), Some(256), Some(1024)],
            "in their order"
        );
        assert_eq!(
            s.fit,
            Some(Fit { by: Kind::Emfile, points: 3, at_rest: 7.0, per_connection: 1.0, residual: 0.0 })
        );
        assert_eq!((s.no_fit, s.binds), (None, None));
    }

    #[test]
    fn what_a_connection_costs_is_the_slope_and_rounding_is_the_residual() {
        // 57, 250 and 1017 places for two each; the last connection is accepted without its second.
        let fit = sweep(&[(64, Kind::Emfile, 29), (257, Kind::Emfile, 125), (1024, Kind::Emfile, 509)])
            .fit
            .expect("a line");
        assert!(
            (fit.per_connection - 2.0).abs() < 0.01 && (fit.at_rest - 6.5).abs() < 1.0 && fit.residual < 0.5,
            "{fit:?}"
        );
    }

    #[test]
    fn a_rule_of_its_own_that_follows_the_limit_is_a_line_too() {
        let s = sweep(&[(64, Kind::OwnLimit, 32), (256, Kind::OwnLimit, 224), (1024, Kind::OwnLimit, 992)]);
        assert_eq!(
            s.fit,
            Some(Fit { by: Kind::OwnLimit, points: 3, at_rest: 32.0, per_connection: 1.0, residual: 0.0 })
        );
        assert_eq!(s.binds, None);
    }

    #[test]
    fn what_else_binds_is_named_with_its_evidence_and_from_its_first_limit() {
        let own = sweep(&[
            (64, Kind::Emfile, 57),
            (256, Kind::Emfile, 249),
            (1024, Kind::OwnLimit, 300),
            (4096, Kind::OwnLimit, 300),
        ]);
        let binds = own.binds.expect("its own rule");
        assert_eq!((binds.from, own.fit.map(|f| f.points)), (1024, Some(2)));
        assert!(
            binds.what.contains("by its own rule at 300") && !binds.what.contains("select"),
            "{}",
            binds.what
        );
        let all = sweep(&[(64, Kind::Emfile, 57), (256, Kind::NotReached, 100)]);
        assert!(all.binds.expect("the clients").what.contains("all 100 were accepted") && all.fit.is_none());
        let later =
            sweep(&[(64, Kind::NotReached, 100), (256, Kind::NotReached, 400), (1024, Kind::Exited, 1000)]);
        assert_eq!(later.binds.map(|binds| binds.from), Some(1024), "what did not stop binds nothing");
        assert_eq!(all.no_fit.as_deref(), Some("one point makes no line"));
    }

    #[test]
    fn what_was_seen_to_run_out_is_named_with_its_evidence() {
        let mut threads = run(1024, Kind::OtherLimit, 300);
        let evidence = "clone3 was refused with EAGAIN 12 times".to_owned();
        threads.ceiling.binds = Some(crate::measure::Binds { resource: Resource::Threads, evidence });
        let s = Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), threads.clone()]);
        let binds = s.binds.clone().expect("threads");
        assert_eq!(
            (binds.from, binds.resource, s.fit.as_ref().map(|f| f.points)),
            (1024, Some(Resource::Threads), Some(2))
        );
        assert_eq!(binds.what, "threads, at 300: clone3 was refused with EAGAIN 12 times");
        // The formats for machines have it too.
        let reports = [run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), threads];
        let markdown = crate::report::markdown::render_sweep(&reports, &s);
        assert!(
            markdown.contains("| 256 | 7 | – | 249 | accept4 | – |")
                && markdown.contains("From 1024 on something else binds"),
            "{markdown}"
        );
        let junit = crate::report::junit::render_sweep(&reports, &s);
        assert!(
            junit.contains("ceiling = (soft − 7) ÷ 1")
                && junit.contains("name=\"sweep.binds\" value=\"threads\""),
            "{junit}"
        );
        let mut lost = run(64, Kind::NotReached, 0);
        (lost.ceiling.kind, lost.ceiling.accepted, lost.ceiling.reached) = (None, None, None);
        lost.ceiling.binds = Some(crate::measure::Binds {
            resource: Resource::AcceptQueue,
            evidence: "4 connects timed out".into(),
        });
        let binds = Sweep::of(&[lost]).binds.expect("a queue that lost clients, where nothing else is known");
        assert_eq!(binds.what, "the accept queue, at an unknown number: 4 connects timed out");
        let unknown =
            sweep(&[(64, Kind::Emfile, 57), (256, Kind::Emfile, 249), (512, Kind::OtherLimit, 300)]);
        assert!(
            unknown
                .binds
                .is_some_and(|binds| binds.resource.is_none() && binds.what.starts_with("not known"))
        );
    }

    #[test]
    fn ceilings_that_only_the_descriptor_count_tells_are_on_the_line() {
        let counted = |soft, reached, held| {
            let mut report = run(soft, Kind::Emfile, held);
            (report.ceiling.kind, report.ceiling.reached, report.ceiling.first_failure) =
                (None, Some(reached), None);
            report
        };
        let s = Sweep::of(&[counted(64, true, 57), counted(256, true, 249), counted(1024, false, 400)]);
        assert_eq!(
            s.fit,
            Some(Fit { by: Kind::Emfile, points: 2, at_rest: 7.0, per_connection: 1.0, residual: 0.0 })
        );
        let binds = s.binds.clone().expect("the clients");
        assert_eq!(
            (binds.from, binds.what.as_str()),
            (1024, "the number of clients: all 400 are held, by its descriptor count")
        );
        let cells: Vec<String> = s.points.iter().map(|point| point.cells()[3].clone()).collect();
        assert_eq!(
            cells,
            ["57 (by descriptor count)", "249 (by descriptor count)", "not-reached (by descriptor count)"]
        );
    }

    #[test]
    fn fd_setsize_is_named_only_where_it_stopped_at_it_below_its_limit() {
        let mut died = run(4096, Kind::Exited, 1017);
        died.ceiling.exit = Some(Exit { code: None, signal: Some(6) });
        died.saturation.log_sample = vec!["*** buffer overflow detected ***".into()];
        let what = |died: Report| {
            Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), died])
                .binds
                .expect("it exits")
                .what
        };
        let said = what(died.clone());
        for words in
            ["exited with 1017 connections held, by signal 6", "FD_SETSIZE", "it wrote: *** buffer overflow"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
        died.ceiling.accepted = Some(900);
        assert!(!what(died).contains("FD_SETSIZE"));
    }

    #[test]
    fn one_limit_under_several_hard_ones_makes_no_line() {
        let s = sweep(&[(256, Kind::Emfile, 249), (256, Kind::Emfile, 249)]);
        assert_eq!((s.fit, s.no_fit.as_deref(), s.binds), (None, Some("only one limit was in force"), None));
        let s = sweep(&[(256, Kind::Emfile, 249), (256, Kind::Emfile, 248)]);
        assert_eq!(
            (s.fit, s.no_fit.as_deref()),
            (None, Some("only one limit was in force")),
            "and no limit is divided by nothing"
        );
    }

    #[test]
    fn where_all_clients_were_taken_junit_says_that_nothing_binds() {
        let binds = |kind| {
            let reports = [run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), run(1024, kind, 400)];
            crate::report::junit::render_sweep(&reports, &Sweep::of(&reports))
        };
        assert!(binds(Kind::NotReached).contains("name=\"sweep.binds\" value=\"nothing\""));
        assert!(binds(Kind::OtherLimit).contains("name=\"sweep.binds\" value=\"not known\""));
    }

    #[test]
    fn a_ceiling_that_never_moves_is_said_not_to_depend_on_the_limit() {
        let s = sweep(&[(64, Kind::OwnLimit, 30), (256, Kind::OwnLimit, 30)]);
        assert_eq!((s.fit.is_none(), s.binds.map(|b| b.from)), (true, Some(64)));
        assert!(s.no_fit.expect("a reason").contains("does not depend on the limit"));
        let mut kept = run(1024, Kind::Emfile, 249);
        kept.limits.effective = Some(Limits { soft: 256, hard: 1024 });
        let s = Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), kept]);
        let binds = s.binds.expect("the limit is not what was asked for");
        assert_eq!(
            (binds.from, binds.what.as_str()),
            (1024, "the limit in force is 256 whatever is asked for")
        );
    }
}

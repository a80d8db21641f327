//! `lastfd report merge`: the reports of all parts of a suite, as one; and several pages as one.

use super::output::{Files, say};
use super::{Exit, Failure, Outcome, replay};
use crate::event::{self, Event, file};
use crate::judge::Outcome as Verdict;
use crate::report::merge::merge;
use crate::report::told::Told;
use crate::report::{self, Report};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Work with reports that were written
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Merge(Merge),
}

/// Merge the JSON reports of all parts of a suite (`lastfd run --partition`), in any order; with the HTML
/// reports or event logs of the same runs, for one page (`--html`). Pages and logs alone are reported
/// together, too
#[derive(Debug, clap::Args)]
#[command(after_help = super::exit::HELP)]
struct Merge {
    /// JSON reports, one of each part; HTML reports and event logs
    #[arg(value_name = "FILE", required = true)]
    reports: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
}

/// Runs `lastfd report`.
///
/// # Errors
/// A report that cannot be read or written (2); reports that are not the parts of one suite, or logs that do
/// not belong to its runs (3).
pub fn run(args: &Args) -> Outcome {
    let What::Merge(Merge { reports, files }) = &args.what;
    files.preflight()?;
    let (mut parts, mut pages) = (Vec::new(), Vec::new());
    for path in reports {
        match part(path)? {
            Some(part) => parts.push((path.display().to_string(), part)),
            None => {
                let of_file = replay::reports(path, files.carries_logs())?;
                pages.extend(of_file.into_iter().map(|page| (path.as_path(), page)));
            }
        }
    }
    if parts.is_empty() {
        let pages: Vec<Report> = pages.into_iter().map(|(_, page)| page).collect();
        return together(&pages, files);
    }
    let merged = merge(&parts).map_err(|e| Failure::new(Exit::Invalid, e))?;
    let (pages, left_out) = in_order(last_tries(pages), &merged.told, files.carries_logs())?;
    let said = match files.quiet() {
        true => Ok(()),
        false => say(&(sum(&merged.told, parts.len()) + &left_out)),
    };
    let exit = Exit::of_several(merged.told.iter().map(exit));
    exit.once(files.conclude_merged(&merged, &pages).and(said))
}

/// The JSON report in a file; `None`: it is something else, which may have event logs.
fn part(path: &Path) -> Result<Option<Value>, Failure> {
    let bytes =
        file::read_all(path).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", path.display())))?;
    let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_log = serde_json::from_slice::<Event>(first_line).is_ok();
    if is_log || bytes.starts_with(b"<") || bytes.starts_with(&event::GZIP) {
        return Ok(None);
    }
    let broken =
        |e| format!("{}: neither a JSON report, nor an HTML report or event log: {e}", path.display());
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Failure::new(Exit::Invalid, broken(e)))
}

/// Runs of several pages and logs, as one report.
fn together(pages: &[Report], files: &Files) -> Outcome {
    let told: Vec<Told> = report::told::told(pages);
    let said = if files.quiet() { Ok(()) } else { say(&tally(&told, "")) };
    Exit::of_several(told.iter().map(exit)).once(files.write(pages, None).and(said))
}

/// A page, and the file that it is from.
type Page<'a> = (&'a Path, Report);

/// The pages without the logs of earlier tries of a run: `x.jsonl` where there is `x.try-2.jsonl`.
fn last_tries(pages: Vec<Page<'_>>) -> Vec<Page<'_>> {
    let tries: Vec<(String, u32)> = pages.iter().map(|(path, _)| run_and_try(path)).collect();
    let last =
        |(run, number): &(String, u32)| tries.iter().all(|(other, later)| other != run || later <= number);
    pages.into_iter().zip(&tries).filter(|(_, made)| last(made)).map(|(page, _)| page).collect()
}

/// The file of a run's first try, and the number of the try that this file is of (`lastfd run --retries
/// --events`).
fn run_and_try(path: &Path) -> (String, u32) {
    let path = path.display().to_string();
    let of_try = || {
        let (run, rest) = path.rsplit_once(".try-")?;
        let (number, end) = rest.split_once('.')?;
        Some((format!("{run}.{end}"), number.parse().ok()?))
    };
    of_try().unwrap_or((path, 1))
}

/// The pages in the order of the suite's runs, and a line on those that have none: they were skipped.
/// `wanted`: each run that was made needs one.
fn in_order(mut pages: Vec<Page<'_>>, told: &[Told], wanted: bool) -> Result<(Vec<Report>, String), Failure> {
    let mut ordered = Vec::new();
    let mut without = 0;
    for run in told {
        match pages.iter().position(|(_, page)| page.title() == run.title) {
            Some(at) => ordered.push(pages.remove(at).1),
            None if !wanted => {}
            None if run.outcome == Verdict::Skipped => without += 1,
            None => {
                let message = format!(
                    "--html is made from event logs, and there is none of {}: add the HTML reports of all parts \
                     (`lastfd run --html`), or their event logs (`--events`)",
                    run.title
                );
                return Err(Failure::new(Exit::Invalid, message));
            }
        }
    }
    if let Some((path, page)) = pages.first() {
        let message = format!(
            "{}: an event log of {}, which is no run of these parts, or is there twice",
            path.display(),
            page.title()
        );
        return Err(Failure::new(Exit::Invalid, message));
    }
    let runs = if without == 1 { "run is" } else { "runs are" };
    let left_out = format!("{without} skipped {runs} not on the page\n");
    Ok((ordered, if without == 0 { String::new() } else { left_out }))
}

/// How the runs of several parts ended.
fn sum(told: &[Told], parts: usize) -> String {
    tally(told, &format!(" of {parts} parts"))
}

/// How the runs ended.
fn tally(told: &[Told], of: &str) -> String {
    let count = |outcome| told.iter().filter(|run| run.outcome == outcome).count();
    let mut text = format!("{} runs{of}: {} met", told.len(), count(Verdict::Met));
    for (outcome, words) in
        [(Verdict::NotMet, "not met"), (Verdict::Inconclusive, "inconclusive"), (Verdict::Skipped, "skipped")]
    {
        if count(outcome) > 0 {
            text += &format!(", {} {words}", count(outcome));
        }
    }
    let flaky = told.iter().filter(|run| run.outcome == Verdict::Met && !run.earlier.is_empty()).count();
    if flaky > 0 {
        text += &format!(" ({flaky} flaky)");
    }
    let unmet = told.iter().filter(|run| run.outcome == Verdict::NotMet);
    let lines =
        unmet.map(|run| format!("✗ not met  {}: {}\n", run.title, run.why.first().map_or("", |why| why)));
    lines.collect::<String>() + &text + "\n"
}

/// The exit code of a run that was reported.
fn exit(run: &Told) -> Exit {
    match run.outcome {
        Verdict::Inconclusive if run.not_started => Exit::NotStarted,
        outcome => outcome.into(),
    }
}

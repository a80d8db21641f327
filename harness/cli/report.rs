//! `lastfd report merge`: the reports of all parts of a suite, as one.

use super::output::{Files, say};
use super::{Exit, Failure, Outcome};
use crate::judge::Outcome as Verdict;
use crate::report::merge::merge;
use crate::report::told::Told;
use std::path::PathBuf;

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

/// Merge the JSON reports of all parts of a suite (`lastfd run --partition`), in any order
#[derive(Debug, clap::Args)]
#[command(after_help = super::exit::HELP)]
struct Merge {
    /// JSON reports, one of each part
    #[arg(value_name = "FILE", required = true)]
    reports: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
}

/// Does what is asked of reports.
///
/// # Errors
/// A report that cannot be read or written (2); reports that are not the parts of one suite (3).
pub fn run(args: &Args) -> Outcome {
    let What::Merge(Merge { reports, files }) = &args.what;
    files.preflight()?;
    let read = |path: &PathBuf| {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|e| Failure::new(Exit::Usage, format!("{shown}: {e}")))?;
        let document = serde_json::from_str(&text)
            .map_err(|e| Failure::new(Exit::Invalid, format!("{shown}: not a JSON report: {e}")))?;
        Ok((shown, document))
    };
    let reports = reports.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let merged = merge(&reports).map_err(|e| Failure::new(Exit::Invalid, e))?;
    let said = if files.quiet() { Ok(()) } else { say(&sum(&merged.told, reports.len())) };
    let exit = Exit::of_several(merged.told.iter().map(exit));
    exit.once(files.conclude_merged(&merged).and(said))
}

/// How the runs ended.
fn sum(told: &[Told], parts: usize) -> String {
    let count = |outcome| told.iter().filter(|run| run.outcome == outcome).count();
    let mut text = format!("{} runs of {parts} parts: {} met", told.len(), count(Verdict::Met));
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

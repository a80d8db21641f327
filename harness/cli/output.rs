//! Output that `run`, `find` and `replay` share: where reports go, progress on a terminal, and the exit code
//! of several runs.

use super::board::To;
use super::live::Live;
use super::plain::clean;
use super::{Exit, Failure, Outcome};
use crate::compare::Comparison;
use crate::judge::Outcome as Verdict;
use crate::report::merge::Merged;
use crate::report::suite::Suite;
use crate::report::{self, Report, words};
use crate::run::{Error, Step};
use crate::sys;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where reports go besides the terminal
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Reports")]
pub struct Common {
    /// Write the report as JSON; `-` writes it to standard output, and nothing else
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Append the report as Markdown [default: $GITHUB_STEP_SUMMARY if it is set]
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the report as one HTML file with pictures, which needs no network and carries the event log:
    /// `lastfd replay FILE` reads that again
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print all details: the whole chain of limits, every descriptor already open, sockets, memory, the cost
    /// of observing
    #[arg(long)]
    full: bool,
}

/// Where the reports of runs go besides the terminal
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Files {
    #[command(flatten)]
    common: Common,
    /// Write one line of JSON for each run, as it ends: each line is a whole JSON report of one run
    #[arg(long, value_name = "FILE")]
    json_lines: Option<PathBuf>,
    /// Write the report as TAP (Test Anything Protocol)
    #[arg(long, value_name = "FILE")]
    tap: Option<PathBuf>,
    /// Write what was measured in Bencher's metric format (`bencher run --adapter json --file FILE`)
    #[arg(long, value_name = "FILE")]
    bencher: Option<PathBuf>,
}

/// Bytes of a step summary at most: GitHub shows nothing of a longer one.
const SUMMARY_MOST: usize = 1 << 20;

impl Common {
    /// Whether standard output belongs to a machine-readable report.
    fn quiet(&self) -> bool {
        self.paths().any(|path| path == Path::new("-"))
    }

    /// Where reports are asked for.
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.json, &self.junit, &self.markdown, &self.html].into_iter().flatten()
    }

    /// Finds an unwritable path before anything is started.
    ///
    /// # Errors
    /// Which, and why.
    pub fn preflight(&self) -> Result<(), Failure> {
        self.preflight_with(&[])
    }

    fn preflight_with(&self, others: &[&PathBuf]) -> Result<(), Failure> {
        let paths = || self.paths().chain(others.iter().copied());
        if paths().filter(|p| *p == Path::new("-")).count() > 1 {
            return Err(Failure::new(
                Exit::Usage,
                "only one report can be written to standard output: give the others a file",
            ));
        }
        let summary = self.summary();
        for path in paths().chain(&summary).filter(|p| *p != Path::new("-")) {
            writable(path)?;
        }
        Ok(())
    }

    /// The default file for Markdown: the one that CI names, unless that name is empty or `--markdown` names
    /// a file.
    fn summary(&self) -> Option<PathBuf> {
        let named = std::env::var_os("GITHUB_STEP_SUMMARY")
            .filter(|name| !name.is_empty() && self.markdown.is_none());
        named.map(PathBuf::from)
    }

    /// JSON, JUnit, Markdown and HTML, each made where it is asked for.
    fn write_as(&self, [json, junit, markdown, html]: [&dyn Fn() -> String; 4]) -> Result<(), Failure> {
        if let Some(path) = &self.json {
            put(path, &json(), false)?;
        }
        if let Some(path) = &self.junit {
            put(path, &junit(), false)?;
        }
        if let Some(path) = &self.markdown {
            put(path, &markdown(), true)?;
        }
        if let Some(path) = self.summary() {
            let there = std::fs::metadata(&path).map_or(0, |about| about.len() as usize);
            put(&path, &report::markdown::fitted(&markdown(), SUMMARY_MOST.saturating_sub(there)), true)?;
        }
        if let Some(path) = &self.html {
            put(path, &html(), false)?;
        }
        Ok(())
    }

    /// Prints and writes the report of a comparison.
    ///
    /// # Errors
    /// Which path, and why.
    pub fn conclude_comparison(&self, comparison: &Comparison) -> Result<(), Failure> {
        use report::compare;
        let said = match self.quiet() {
            true => Ok(()),
            false => {
                say(&compare::text(comparison, self.full, std::io::stdout().is_terminal(), terminal_width()))
            }
        };
        let (json, junit) = (|| compare::json(comparison), || compare::junit(comparison));
        let (markdown, html) = (|| compare::markdown(comparison), || report::html::compared(comparison));
        self.write_as([&json, &junit, &markdown, &html]).and(said)
    }
}

impl Files {
    /// Whether standard output belongs to a machine-readable report.
    pub fn quiet(&self) -> bool {
        self.common.quiet() || self.others().iter().any(|path| *path == Path::new("-"))
    }

    /// Whether a report carries the event log.
    pub fn carries_logs(&self) -> bool {
        self.common.html.is_some()
    }

    fn others(&self) -> Vec<&PathBuf> {
        [&self.json_lines, &self.tap, &self.bencher].into_iter().flatten().collect()
    }

    /// As [`Common::preflight`].
    ///
    /// # Errors
    /// Which, and why.
    pub fn preflight(&self) -> Result<(), Failure> {
        self.common.preflight_with(&self.others())
    }

    /// Empties the file of lines.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin_lines(&self) -> Result<(), Failure> {
        match self.json_lines.as_deref().filter(|path| *path != Path::new("-")) {
            Some(path) => put(path, "", false),
            None => Ok(()),
        }
    }

    /// Adds the line of a run, as it ends.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&self, report: &Report) -> Result<(), Failure> {
        match &self.json_lines {
            Some(path) => put(path, &report::json::line(report::json::run(report)), true),
            None => Ok(()),
        }
    }

    /// Writes every report that was asked for; of a suite, whose lines are written already, or of runs that
    /// are none.
    ///
    /// # Errors
    /// Which path, and why.
    pub fn write(&self, reports: &[Report], suite: Option<&Suite>) -> Result<(), Failure> {
        let json = || match suite {
            Some(suite) => report::json::render_suite(reports, suite),
            None => report::json::render(reports),
        };
        let junit = || report::junit::render(reports);
        let (markdown, html) = (|| report::markdown::render(reports), || report::html::render(reports));
        self.common.write_as([&json, &junit, &markdown, &html])?;
        if suite.is_none() {
            self.begin_lines()?;
            reports.iter().try_for_each(|report| self.line(report))?;
        }
        self.write_others(reports, suite.is_none_or(|suite| suite.complete))
    }

    /// TAP and Bencher's format of these runs.
    fn write_others(&self, reports: &[Report], whole: bool) -> Result<(), Failure> {
        if let Some(path) = &self.tap {
            put(path, &report::tap::render(&report::told::told(reports), whole), false)?;
        }
        if let Some(path) = &self.bencher {
            let runs: Vec<_> = reports.iter().map(report::json::run).collect();
            put(path, &report::bencher::render(&runs), false)?;
        }
        Ok(())
    }

    /// Prints and writes the result of several runs of one program at different limits; with what so many
    /// clients need, where that is asked for.
    ///
    /// # Errors
    /// Which path, and why.
    pub fn conclude_sweep(&self, reports: &[Report], clients: Option<u64>) -> Result<(), Failure> {
        let sweep = report::sweep::Sweep::of(reports);
        let sweep = match clients {
            Some(clients) => sweep.for_clients(clients),
            None => sweep,
        };
        let said = match self.quiet() {
            true => Ok(()),
            false => say(&report::tables::sweep(&sweep, std::io::stdout().is_terminal(), terminal_width())),
        };
        let json = || report::json::render_sweep(reports, &sweep);
        let (junit, markdown) = (
            || report::junit::render_sweep(reports, &sweep),
            || report::markdown::render_sweep(reports, &sweep),
        );
        let html = || report::html::render_sweep(reports, &sweep);
        self.common.write_as([&json, &junit, &markdown, &html])?;
        self.begin_lines()?;
        reports.iter().try_for_each(|report| self.line(report))?;
        self.write_others(reports, true).and(said)
    }

    /// Writes the reports of the parts of a suite, merged; `pages`: its runs that have event logs.
    ///
    /// # Errors
    /// Which path, and why.
    pub fn conclude_merged(&self, merged: &Merged, pages: &[Report]) -> Result<(), Failure> {
        let (json, junit) =
            (|| report::json::pretty(&merged.document), || report::junit::render_told(&merged.told));
        let markdown = || report::markdown::render_told(&merged.told);
        let html = || report::html::render(pages);
        self.common.write_as([&json, &junit, &markdown, &html])?;
        let runs = merged.document["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(path) = &self.json_lines {
            put(path, &runs.iter().cloned().map(report::json::line).collect::<String>(), false)?;
        }
        if let Some(path) = &self.tap {
            put(path, &report::tap::render(&merged.told, true), false)?;
        }
        if let Some(path) = &self.bencher {
            put(path, &report::bencher::render(runs), false)?;
        }
        Ok(())
    }

    /// Prints the report for people, unless standard output is taken.
    ///
    /// # Errors
    /// As [`say`].
    pub fn print(&self, reports: &[Report]) -> Result<(), Failure> {
        match self.quiet() {
            true => Ok(()),
            false => say(&self.text(reports)),
        }
    }

    /// The report for people.
    pub fn text(&self, reports: &[Report]) -> String {
        let render = if self.common.full { report::terminal::render_full } else { report::terminal::render };
        render(reports, std::io::stdout().is_terminal(), terminal_width())
    }

    /// Prints the remedy tables of several runs and their tally, unless standard output is taken.
    pub fn print_together(&self, reports: &[Report]) -> Result<(), Failure> {
        let (colour, width) = (std::io::stdout().is_terminal(), terminal_width());
        let tables = report::tables::remedies(&report::remedies::tables(reports), colour, width);
        match tables + &report::tally::render(reports, colour, width) {
            text if self.quiet() || text.is_empty() => Ok(()),
            text => say(&text),
        }
    }
}

/// Prints to standard output; a reader that closed the pipe has seen enough.
///
/// # Errors
/// Standard output takes no more: the disk that it goes to is full.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()), STDOUT)
}

/// The name of standard output in a message.
pub const STDOUT: &str = "standard output";

/// Tells a failed write; a reader that closed the pipe has seen enough.
///
/// # Errors
/// Where to, and why.
pub fn written(result: std::io::Result<()>, to: &str) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(unwritable(Path::new(to), &error))
        }
        _ => Ok(()),
    }
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).open(path)
}

/// Finds a file that cannot be written to, before anything is started. One that was not there is not left
/// behind.
///
/// # Errors
/// Which, and why.
pub fn writable(path: &Path) -> Result<(), Failure> {
    let there = std::fs::symlink_metadata(path).is_ok();
    let tried = open(path).and_then(|file| has_room(&file));
    if !there {
        // Nothing to remove when it could not be made.
        let _ = std::fs::remove_file(path);
    }
    tried.map_err(|e| unwritable(path, &e))
}

/// Fails when the file system of the file is full: a report could be begun there, and not written.
///
/// # Errors
/// `ENOSPC`.
pub fn has_room(file: &std::fs::File) -> std::io::Result<()> {
    let full = rustix::fs::fstatvfs(file).is_ok_and(|fs| fs.f_blocks > 0 && fs.f_bavail == 0);
    if full { Err(rustix::io::Errno::NOSPC.into()) } else { Ok(()) }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot write to {}: {error}", path.display()))
}

fn put(path: &Path, text: &str, append: bool) -> Result<(), Failure> {
    if path == Path::new("-") {
        return written(std::io::stdout().write_all(text.as_bytes()), STDOUT);
    }
    let file = if append { open(path) } else { std::fs::File::create(path) };
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| unwritable(path, &e))
}

/// Columns of the terminal, at most 100.
pub fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .map_or(100, |size| usize::from(size.ws_col).clamp(60, 100))
}

/// Signals that end a command with the report so far: those that ask a program to end, and those whose
/// default is to end it. SIGHUP not where nohup(1) ignores it.
pub fn ending_signals() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]
        .into_iter()
        .filter(|signal| *signal != SIGHUP || !sys::process::ignores(SIGHUP))
}

/// Set by the first of [`ending_signals`]; a second one ends the process at once, and with it everything it
/// started.
///
/// # Errors
/// The handlers cannot be installed.
pub fn interrupt_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in ending_signals() {
        // In this order: the second signal finds the flag set and ends the process.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted as u8),
            Arc::clone(&flag),
        )
        .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
        .map_err(|e| Failure::new(Exit::Fault, e))?;
    }
    Ok(flag)
}

/// Whether the run was interrupted.
pub fn interrupted(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Progress of one run on standard error, when that is a terminal; and the prediction on standard output.
pub struct Progress {
    title: String,
    shown: Shown,
    lines: Lines,
}

/// How a run's progress is shown.
enum Shown {
    /// In lines that stay in place.
    Live(Live),
    /// In one line: other runs are made beside this one.
    Line(ProgressBar),
    /// A line for each phase: this terminal cannot move its cursor.
    Phases,
    /// Nobody would see it move.
    Nowhere,
}

/// Where the lines of a run's progress go that belong to the report.
enum Lines {
    /// To standard output, as they come.
    Printed,
    /// Standard output belongs to a machine-readable report.
    Dropped,
    /// To standard output later: other runs are made beside this one.
    Kept(String),
}

impl Progress {
    /// The progress of the run with this title; `quiet`: standard output belongs to a report.
    pub fn new(title: &str, quiet: bool) -> Self {
        let shown = match Live::new(title, To::Stderr, false) {
            Some(live) => Shown::Live(live),
            None if std::io::stderr().is_terminal() => Shown::Phases,
            None => Shown::Nowhere,
        };
        let lines = if quiet { Lines::Dropped } else { Lines::Printed };
        Progress { title: title.to_owned(), shown, lines }
    }

    /// The same of a run beside others, whose lines move below each other.
    pub fn beside(bars: &MultiProgress, title: &str, quiet: bool) -> Self {
        let mut progress = Progress::new(title, quiet);
        if matches!(progress.shown, Shown::Live(_)) {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix}: {msg}").expect("a constant template"),
            );
            bar.set_prefix(title.to_string());
            progress.shown = Shown::Line(bar);
        }
        if !quiet {
            progress.lines = Lines::Kept(String::new());
        }
        progress
    }

    /// Its lines that were not printed.
    pub fn kept(&mut self) -> String {
        match &mut self.lines {
            Lines::Kept(lines) => std::mem::take(lines),
            Lines::Printed | Lines::Dropped => String::new(),
        }
    }

    /// Prints something above the progress.
    pub fn suspend<T>(&mut self, print: impl FnOnce() -> T) -> T {
        match &mut self.shown {
            Shown::Live(live) => live.suspend(print),
            Shown::Line(bar) => bar.suspend(print),
            Shown::Phases | Shown::Nowhere => print(),
        }
    }

    /// A line that belongs to the report. Where it cannot be printed, the report cannot be either, and says
    /// so.
    fn line(&mut self, line: &str) {
        match &mut self.lines {
            Lines::Printed => _ = self.suspend(|| say(line)),
            Lines::Kept(lines) => lines.push_str(line),
            Lines::Dropped => {}
        }
    }

    /// Says something of the run on the standard error output.
    pub fn say(&mut self, text: &str) {
        let text = format!("lastfd: {}: {text}", self.title);
        self.suspend(|| anstream::eprintln!("{text}"));
    }

    /// Shows a step.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Phase(phase) => match &mut self.shown {
                Shown::Line(bar) => bar.set_message(words::phases::name(*phase)),
                Shown::Phases => self.say(words::phases::name(*phase)),
                Shown::Live(live) => live.begin(*phase),
                Shown::Nowhere => {}
            },
            // Not only to a terminal: half a minute is long for a reader of a CI log, too.
            Step::Waiting { seen } => self.say(&format!("waiting for it to listen: {}", clean(seen))),
            Step::Predicted { formula, calibrated_with, .. } => {
                let when = match calibrated_with {
                    0 => "before the first client".to_string(),
                    n => format!("after {n} calibration clients"),
                };
                let formula = words::prediction::formula(formula);
                self.line(&format!("predicted {when}: {formula}\n"));
            }
            Step::NotPredicted { reason } => self.line(&format!("not predicted: {reason}\n")),
            Step::UnderPtrace => self.say("perf saw no accept of this program: once more, under ptrace"),
            Step::Now(now) => match &mut self.shown {
                Shown::Live(live) if live.due() => live.show(now),
                Shown::Live(_) => {}
                Shown::Line(bar) => bar.set_message(format!(
                    "{} connected, {} accepted, {} descriptors",
                    now.clients, now.accepted, now.descriptors
                )),
                Shown::Phases | Shown::Nowhere => {}
            },
        }
        if let Shown::Line(bar) = &self.shown {
            bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Line(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The exit code of several runs; `interrupted` also between two of them.
pub fn exit_code(runs: &[(Report, Option<Error>)], skips_fail: bool, interrupted: bool) -> Exit {
    let each = runs.iter().map(|(report, error)| match error {
        Some(Error::Interrupted) => Exit::Interrupted,
        Some(Error::Fault(_)) => Exit::Fault,
        // As with a report that cannot be written.
        Some(Error::Log(_) | Error::Lost(_)) => Exit::Usage,
        // The scenario may expect that it does not start.
        Some(Error::NotStarted(_)) if report.verdict.outcome == Verdict::Met => Exit::Met,
        Some(Error::NotStarted(_)) => Exit::NotStarted,
        Some(Error::Inconclusive(_)) => Exit::Inconclusive,
        None if report.verdict.outcome == Verdict::Skipped && skips_fail => Exit::Inconclusive,
        None => report.verdict.outcome.into(),
    });
    Exit::of_several(each.chain(interrupted.then_some(Exit::Interrupted)))
}

/// Prints and writes the reports of finished runs, and returns the exit code. `said`: whether earlier output
/// could be printed.
///
/// # Errors
/// A report that cannot be written.
pub fn conclude(
    files: &Files,
    suite: Option<&Suite>,
    runs: Vec<(Report, Option<Error>)>,
    exit: Exit,
    said: Result<(), Failure>,
) -> Outcome {
    tell(&runs);
    let reports: Vec<Report> = runs.into_iter().map(|(report, _)| report).collect();
    let said = said.and(files.print_together(&reports));
    exit.once(files.write(&reports, suite).and(said))
}

/// Why runs ended early, on standard error: the report has it too, but goes elsewhere, or is long.
pub fn tell(runs: &[(Report, Option<Error>)]) {
    // The scenario may expect that it does not start.
    let expected = |report: &Report, error: &Error| {
        report.verdict.outcome == Verdict::Met && matches!(error, Error::NotStarted(_))
    };
    for (report, error) in runs.iter().filter_map(|(report, error)| Some((report, error.as_ref()?))) {
        if !expected(report, error) {
            let lines: Vec<String> = error.to_string().lines().map(clean).collect();
            anstream::eprintln!("lastfd: {}: {}", report.title(), lines.join("\n"));
        }
    }
}

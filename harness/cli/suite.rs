//! The runs of `lastfd run`: each plan as often as it is asked for, side by side where that is asked for,
//! printed in the order of the suite.

use super::output::{Files, Progress, exit_code, interrupted, say};
use super::side_by_side;
use super::{Exit, Failure};
use crate::judge::Outcome;
use crate::run::Options;
use crate::scenario::Plan;
use crate::testing::attempt::{Made, execute};
use indicatif::MultiProgress;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The runs of a suite, and how to make them.
#[derive(Debug)]
pub struct Turns<'a> {
    /// In this order.
    pub plans: &'a [Plan],
    /// How often each is run.
    pub repeat: u32,
    /// How often a run that is not as expected is tried again, at most.
    pub retries: u32,
    /// Whether a run that is not as expected is the last that begins.
    pub fail_fast: bool,
    /// How many runs are made at a time, at most.
    pub jobs: usize,
    /// The folder of event logs.
    pub events: Option<&'a Path>,
    /// How to run.
    pub options: Options,
    /// Where reports go.
    pub files: &'a Files,
}

/// A run of the suite.
struct Turn<'a> {
    plan: &'a Plan,
    number: u32,
}

/// A run of the suite that was made.
struct Done {
    made: Made,
    /// The text to print before its report, where it was not printed as it came.
    before: String,
    took: Duration,
}

impl Turns<'_> {
    /// Makes the runs until `flag` is set; second, whether their reports could be printed.
    ///
    /// # Errors
    /// An event log cannot be written: what was not begun by then is not run.
    pub fn run(&self, flag: &AtomicBool) -> Result<(Vec<Made>, Result<(), Failure>), Failure> {
        let each = |plan| (1..=self.repeat).map(move |number| Turn { plan, number });
        let turns: Vec<Turn> = self.plans.iter().flat_map(each).collect();
        let (stop, bars) = (AtomicBool::new(false), MultiProgress::new());
        let (mut made, mut said, mut failure) = (Vec::new(), Ok(()), None);
        let mut done = |result: Result<Done, Failure>| match result {
            Ok(done) => {
                let print = || {
                    let reports = std::slice::from_ref(&done.made.0);
                    self.say(&done.before)
                        .and_then(|()| self.files.print(reports))
                        .and_then(|()| self.say(&took(done.took, turns.len())))
                };
                let printed = bars.suspend(print);
                let written = self.files.line(&done.made.0);
                said = std::mem::replace(&mut said, Ok(())).and(printed).and(written);
                made.push(done.made);
            }
            Err(error) => failure = failure.take().or(Some(error)),
        };
        side_by_side::each(
            turns.len(),
            self.jobs,
            |turn| turns[turn].plan.needs_the_machine().is_some(),
            || interrupted(flag) || stop.load(Ordering::Relaxed),
            |turn| {
                let result = self.turn(&turns[turn], &bars, flag);
                let failed = result.as_ref().map_or(true, |done| self.fail_fast && has_failed(&done.made));
                stop.fetch_or(failed, Ordering::Relaxed);
                result
            },
            &mut done,
        );
        let left = turns.len() - made.len();
        if self.fail_fast && stop.load(Ordering::Relaxed) && left > 0 && failure.is_none() {
            anstream::eprintln!("lastfd: --fail-fast: {left} of {} runs were not made", turns.len());
        }
        failure.map_or(Ok((made, said)), Err)
    }

    /// Makes one run.
    fn turn(&self, turn: &Turn, bars: &MultiProgress, flag: &AtomicBool) -> Result<Done, Failure> {
        let (plan, quiet) = (turn.plan, self.files.quiet());
        let (title, began) = (plan.title(), Instant::now());
        let claim = plan.redaction(self.options.redact).text(&plan.claim);
        let which = match self.repeat {
            1 => String::new(),
            all => format!(" ({} of {all})", turn.number),
        };
        let mut before = format!("▶ {title}{which}: {claim}\n");
        let mut progress = match self.jobs {
            1 => {
                // As its lines come: where that cannot be printed, the report cannot be either, and says so.
                let _ = self.say(&std::mem::take(&mut before));
                Progress::new(&title, quiet)
            }
            _ => Progress::beside(bars, &title, quiet),
        };
        let mut earlier = Vec::new();
        let mut made = loop {
            let number = earlier.len() as u32 + 1;
            let events = self.events.map(|folder| folder.join(self.file_name(turn, number)));
            let made = {
                let options = Options { events, ..self.options.clone() };
                execute(plan, &options, flag, &mut |step| progress.step(step), self.files.carries_logs())
                    .map_err(|e| Failure::new(Exit::Usage, e))?
            };
            before += &progress.kept();
            if number > self.retries || !may_differ(&made) || interrupted(flag) {
                break made;
            }
            let again = format!("tried again ({} of {})\n", number + 1, self.retries + 1);
            before += &(self.files.text(std::slice::from_ref(&made.0)) + &again);
            if self.jobs == 1 {
                let _ = progress.suspend(|| self.say(&std::mem::take(&mut before)));
            }
            earlier.push(made.0);
        };
        made.0.earlier = earlier;
        Ok(Done { made, before, took: began.elapsed() })
    }

    /// The event log's name, with the number of the run and of its try where there are several.
    fn file_name(&self, turn: &Turn, attempt: u32) -> String {
        let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '.';
        let mut name: String = turn.plan.title().chars().map(|c| if kept(&c) { c } else { '-' }).collect();
        if self.repeat > 1 {
            name += &format!(".{}", turn.number);
        }
        if attempt > 1 {
            name += &format!(".try-{attempt}");
        }
        name + ".jsonl"
    }

    /// Prints, unless standard output is taken.
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.files.quiet() || text.is_empty() { Ok(()) } else { say(text) }
    }
}

/// The time that a run took, where there are several to compare.
fn took(time: Duration, runs: usize) -> String {
    if runs == 1 { String::new() } else { format!("took {:.1} s\n", time.as_secs_f64()) }
}

/// Whether another try may end differently. A run that this machine cannot make fails a second time, too.
fn may_differ((report, error): &Made) -> bool {
    error.is_none() && matches!(report.verdict.outcome, Outcome::NotMet | Outcome::Inconclusive)
}

/// Whether the program failed: not the machine, which may lack something for a run.
fn has_failed(made: &Made) -> bool {
    !matches!(exit_code(std::slice::from_ref(made), false, false), Exit::Met | Exit::Inconclusive)
}

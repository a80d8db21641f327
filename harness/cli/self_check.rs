//! `lastfd compare --self-check`: compares the bundled server with itself, and with one that is slower by a
//! planted delay, again and again, and counts the false claims and the found ones.

use super::neighbour::Neighbour;
use super::output::{interrupted, say};
use super::{Exit, Failure, Outcome};
use crate::compare::statistics::{median, welch};
use crate::compare::{Change, Described, Ending, Method, Quantity, Start, compare};
use crate::event::Limits;
use crate::limits::budget;
use crate::report::words;
use crate::run::compare::{Wanted, compared, in_sequence};
use crate::run::{Error, Options};
use crate::scenario::{Calls, Find, Plan, Request};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// A smaller p of Welch's t is a claim, to those who measure that way.
const ALPHA_OF_WELCH: f64 = 0.05;

/// How it is checked.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Checking the comparison itself")]
pub struct SelfCheck {
    /// Compare the bundled server with itself, and with one that a planted delay makes slower, and count the
    /// false claims and the found ones
    #[arg(long, conflicts_with_all = ["files", "before", "after", "replay", "events"])]
    self_check: bool,
    /// Comparisons of each kind
    #[arg(long, requires = "self_check", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// The planted delay, as a share of a call
    #[arg(long, requires = "self_check", value_name = "PERCENT", default_value = "10%", value_parser = super::values::percent)]
    planted: f64,
    /// Burn half of the CPUs meanwhile, in bursts of half a second to eight seconds, as other programs of a
    /// shared machine do
    #[arg(long, requires = "self_check")]
    disturbed: bool,
    /// Append each result to this file, and go on where it ends
    #[arg(long, requires = "self_check", value_name = "FILE")]
    resume: Option<PathBuf>,
}

/// One comparison, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// Microseconds that the second side computes longer; 0: none.
    pub planted_us: u64,
    /// The same as a share of a call.
    pub planted: f64,
    /// Seed of its order.
    pub seed: u64,
    /// The quantities with the verdict "better".
    pub better: Vec<Quantity>,
    /// The quantities with the verdict "worse".
    pub worse: Vec<Quantity>,
    /// Whether everything was decided before the time was over.
    pub decided: bool,
    /// Blocks of both sides.
    pub blocks: usize,
    /// Seconds.
    pub took_s: f64,
    /// Calls a second of the first side.
    pub calls_per_s: f64,
    /// Whether CPUs were burned meanwhile.
    #[serde(default)]
    pub disturbed: bool,
    /// p of Welch's t for calls a second, of the same program twice: as many starts of the one side as there
    /// were blocks, and then as many of the other.
    #[serde(default)]
    pub in_sequence: Option<f64>,
}

impl SelfCheck {
    /// Whether it was asked for.
    pub fn asked(&self) -> bool {
        self.self_check
    }

    /// Checks, and says what came of it.
    ///
    /// # Errors
    /// The file cannot be read or written; a comparison failed.
    pub fn run(&self, template: Method, options: &Options, flag: &AtomicBool) -> Outcome {
        let mut done = self.earlier()?;
        let mut file = self.appended()?;
        let _neighbour = self.disturbed.then(Neighbour::start);
        let count = |done: &[Checked], planted: bool| {
            done.iter().filter(|one| (one.planted_us > 0) == planted).count()
        };
        while count(&done, true) < self.rounds as usize && !interrupted(flag) {
            let planted = count(&done, false) > count(&done, true);
            let us = if planted { self.delay_us(&done) } else { 0 };
            let Some(one) = self.one(template, us, options, flag)? else { break };
            if let Some(file) = &mut file {
                let line = serde_json::to_string(&one).expect("numbers") + "\n";
                file.write_all(line.as_bytes()).map_err(|e| Failure::new(Exit::Usage, e))?;
            }
            say(&format!(
                "{}\n",
                words::compare::checked(&one.worse, &one.better, us, one.blocks, one.took_s, one.in_sequence)
            ))?;
            done.push(one);
        }
        let of = |planted: bool| done.iter().filter(move |one| (one.planted_us > 0) == planted);
        let claims = of(false).filter(|one| !one.better.is_empty() || !one.worse.is_empty()).count() as u64;
        let in_sequence: Vec<f64> = of(false).filter_map(|one| one.in_sequence).collect();
        let found = of(true).filter(|one| !one.worse.is_empty()).count() as u64;
        let wrong = of(true).filter(|one| !one.better.is_empty()).count() as u64;
        let took: Vec<f64> = of(true).map(|one| one.took_s).collect();
        let (same, planted) = (of(false).count() as u64, of(true).count() as u64);
        let sequential = in_sequence.iter().filter(|p| **p < ALPHA_OF_WELCH).count() as u64;
        let us = of(true).next_back().map_or(0, |one| one.planted_us);
        let facts = [
            words::compare::false_claims(claims, same),
            words::compare::sequential_claims(sequential, in_sequence.len() as u64),
            words::compare::found(found, wrong, planted, self.planted, us, median(&took)),
        ];
        say(&format!("\n{}\n", facts.join("\n")))?;
        Ok(if interrupted(flag) { Exit::Interrupted } else { Exit::Met })
    }

    /// The delay that makes a call slower by the planted share, from the calls that were measured without
    /// one.
    fn delay_us(&self, done: &[Checked]) -> u64 {
        if let Some(earlier) = done.iter().find(|one| one.planted_us > 0 && one.planted == self.planted) {
            return earlier.planted_us;
        }
        let rates: Vec<f64> =
            done.iter().filter(|one| one.planted_us == 0).map(|one| one.calls_per_s).collect();
        ((self.planted * 1e6 / median(&rates)).round() as u64).max(1)
    }

    /// One comparison; `None`: it was interrupted.
    fn one(
        &self,
        template: Method,
        us: u64,
        options: &Options,
        flag: &AtomicBool,
    ) -> Result<Option<Checked>, Failure> {
        let fault = |e: String| Failure::new(Exit::Fault, e);
        let plans = [server(options, 0).map_err(fault)?, server(options, us).map_err(fault)?];
        let seed = fastrand::u64(1..1_000_000);
        let method = Method { seed, ..template };
        let wanted = Wanted {
            plans,
            sides: ["before", "after"].map(side),
            method,
            calls: None,
            bounds: Vec::new(),
            reference: None,
        };
        let records = compared(&wanted, options, flag, &mut |_| {}).map_err(|e| fault(e.to_string()))?;
        let found = compare(&records).ok_or_else(|| fault("a comparison without a header".into()))?;
        match &found.ending {
            Some(Ending::Interrupted) => return Ok(None),
            Some(Ending::Failed { reason, .. }) => return Err(fault(reason.clone())),
            _ => {}
        }
        let claimed = |better: bool| {
            let claims = |change| match change {
                Change::Better(_) | Change::Exactly { better: true } => better,
                Change::Worse(_) | Change::Exactly { better: false } => !better,
                _ => false,
            };
            found
                .rows
                .iter()
                .filter(|row| row.decides && claims(row.change))
                .map(|row| row.quantity)
                .collect()
        };
        let in_sequence = match us {
            0 => match in_sequence(&wanted, found.blocks, options, flag) {
                Ok([before, after]) => welch(&calls_per_s(&before), &calls_per_s(&after)),
                Err(Error::Interrupted) => return Ok(None),
                Err(error) => {
                    say(&words::compare::not_in_sequence(&error.to_string()))?;
                    None
                }
            },
            _ => None,
        };
        Ok(Some(Checked {
            planted_us: us,
            planted: if us > 0 { self.planted } else { 0.0 },
            seed,
            better: claimed(true),
            worse: claimed(false),
            decided: found.decided(),
            blocks: found.blocks,
            took_s: found.took_s,
            calls_per_s: found.row(Quantity::CallsPerS).map_or(f64::NAN, |row| row.medians[0]),
            disturbed: self.disturbed,
            in_sequence,
        }))
    }

    fn earlier(&self) -> Result<Vec<Checked>, Failure> {
        let Some(path) = self.resume.as_ref().filter(|path| path.exists()) else { return Ok(Vec::new()) };
        let wrong = |e: String| Failure::new(Exit::Usage, format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        // A last line without an end was being written when it was killed.
        let whole = all.into_iter().filter(|line| line.ends_with('\n'));
        let read: Result<Vec<Checked>, _> =
            whole.map(|line| serde_json::from_str(line).map_err(|e| wrong(e.to_string()))).collect();
        let alike = |one: &Checked| {
            one.disturbed == self.disturbed && (one.planted_us == 0 || one.planted == self.planted)
        };
        read.map(|all| all.into_iter().filter(alike).collect())
    }

    /// The file, open at the end of its last whole line.
    fn appended(&self) -> Result<Option<std::fs::File>, Failure> {
        let open = |path: &PathBuf| {
            let text = std::fs::read(path).unwrap_or_default();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            file.set_len(whole as u64).map(|()| file)
        };
        self.resume.as_ref().map(open).transpose().map_err(|e| Failure::new(Exit::Usage, e))
    }
}

fn calls_per_s(starts: &[Start]) -> Vec<f64> {
    starts.iter().filter_map(|start| start.values.get(&Quantity::CallsPerS).copied()).collect()
}

fn side(name: &str) -> Described {
    Described {
        name: name.into(),
        command: "the bundled http server".into(),
        load: "http-per-call".into(),
        limit: budget::raise_own().hard,
    }
}

/// The bundled server, which computes for so long before each answer. The words are of equal length.
fn server(options: &Options, us: u64) -> Result<Plan, String> {
    let most = budget::raise_own().hard;
    let mut words = options.helper.argv(&["serve", "http", "--port", "{port}"]);
    words.extend(["--delay-us".into(), format!("{us:06}")]);
    let find = Find {
        requests: Some((Calls::http(Request::default()), None)),
        ..Find::new(words, Limits { soft: most, hard: most })
    };
    find.plan().map_err(|e| e.to_string())
}

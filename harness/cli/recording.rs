//! `lastfd compare --record FILE` and `--baseline FILE`: one side alone, measured by the bundled server.

use super::output::{say, writable};
use super::{Exit, Failure};
use crate::compare::baseline::SCHEMA;
use crate::compare::{Baseline, Comparison, Reference};
use crate::report::words;
use crate::run::compare::calls_by_itself;
use crate::scenario::{Caller, Plan, Process, Serve, ServeOptions};
use std::path::{Path, PathBuf};

/// Whether one side is recorded, or compared with a recording.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Recording")]
pub struct Recording {
    /// Measure one side alone (`--after COMMAND`, or one scenario), and write to this file what a later
    /// version is compared with: counts, and times as ratios to the bundled server, which runs beside it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["before", "build", "baseline", "require"])]
    record: Option<PathBuf>,
    /// Compare one side with such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["before", "build", "replay"])]
    baseline: Option<PathBuf>,
}

impl Recording {
    /// Whether there is one side only.
    pub fn asked(&self) -> bool {
        self.record.is_some() || self.baseline.is_some()
    }

    /// Both sides, in the order of a comparison: the bundled server, and this one. A program that calls has
    /// nothing beside it that does the same.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn sides(&self, plan: &Plan) -> Result<([Plan; 2], Reference), Failure> {
        self.record.as_ref().map_or(Ok(()), |path| writable(path))?;
        let beside = !calls_by_itself(plan) && !plan.subject_is_client();
        let baseline = self.baseline.as_ref().map(|path| read(path)).transpose()?;
        let first = if beside { bundled(plan) } else { plan.clone() };
        Ok(([first, plan.clone()], Reference { beside, baseline }))
    }

    /// Writes what was recorded, and says so.
    ///
    /// # Errors
    /// The file cannot be written; the blocks do not tell enough.
    pub fn keep(&self, comparison: &Comparison) -> Result<(), Failure> {
        let Some(path) = &self.record else { return Ok(()) };
        let Some(baseline) = comparison.recorded() else {
            let why = words::compare::not_recorded(comparison);
            return Err(Failure::new(Exit::Inconclusive, format!("{}: {why}", path.display())));
        };
        let text = toml::to_string_pretty(&baseline).expect("numbers and texts");
        let text = format!("# {}\n{text}", words::compare::RECORDING.replace('\n', "\n# "));
        match path.as_os_str() == "-" {
            true => say(&text),
            false => std::fs::write(path, text)
                .map_err(|e| Failure::new(Exit::Usage, format!("cannot write {}: {e}", path.display()))),
        }
    }
}

fn read(path: &Path) -> Result<Baseline, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(Exit::Usage, format!("cannot read {}: {e}", path.display())))?;
    let invalid =
        |why: String| Failure::new(Exit::Invalid, format!("{} is no recording: {why}", path.display()));
    let baseline: Baseline = toml::from_str(&text).map_err(|e| invalid(e.to_string()))?;
    match baseline.schema == SCHEMA {
        true => Ok(baseline),
        false => Err(invalid(format!(
            "its schema is `{}`, and this lastfd reads `{SCHEMA}`: record it again",
            baseline.schema
        ))),
    }
}

/// The bundled server in place of the subject, under the same calls.
fn bundled(plan: &Plan) -> Plan {
    let calls = plan.workloads.values().find_map(|workload| workload.calls.as_ref());
    let grpc = calls.is_some_and(|calls| calls.caller == Caller::GrpcPerCall);
    let tls = grpc || calls.is_some_and(|calls| calls.tls);
    let options = ServeOptions {
        accept: Some("backoff".into()),
        backlog: Some(4096),
        tls,
        resumption: tls,
        ..ServeOptions::default()
    };
    let serve = if grpc { Serve::Grpc(options) } else { Serve::Http(options) };
    let process = Process::serving(serve, plan.processes[&plan.subject].limits);
    let mut plan = plan.clone();
    plan.processes.insert(plan.subject.clone(), process);
    // Where the subject listens is its own affair.
    for workload in plan.workloads.values_mut() {
        (workload.port, workload.unix) = (None, None);
    }
    plan
}

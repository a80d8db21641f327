//! The report of a run, and one file per format. Each format is a pure function of reports to text; none knows a runner,
//! reads a file or looks at a terminal.

mod calls;
pub mod explain;
pub mod json;
pub mod junit;
pub mod markdown;
mod moved;
pub mod remedies;
mod rounds;
mod seen;
pub mod sweep;
pub mod terminal;
mod wall;

use crate::event::{Environment, Log, Sysctl};
use crate::judge::{Outcome, Reason, Verdict};
use crate::measure::{
    Baseline, CallsMade, Ceiling, LimitsFound, Measured, Moved, NotStarted, Point, Prediction, Recovery,
    Saturation, Subject, TcpPoint, Timings, Witness,
};
use crate::scenario::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run, as other programs read it (contract.md). A field that was not measured is null, and `unmeasured` has its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "contract.md's names; the types say what they hold")]
#[non_exhaustive]
pub struct Report {
    pub scenario: String,
    pub variant: Option<String>,
    pub claim: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<String>,
    pub started_at: Option<String>,
    pub lastfd_version: Option<String>,
    pub environment: Option<Environment>,
    #[serde(default)]
    pub network_namespace: Option<String>,
    #[serde(default)]
    pub sysctls: Vec<Sysctl>,
    pub verdict: Outcome,
    pub reasons: Vec<Reason>,
    pub expectations_judged: u32,
    /// Why there was no subject to load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<NotStarted>,
    pub subject: Subject,
    pub limits: LimitsFound,
    pub baseline: Baseline,
    pub prediction: Prediction,
    pub ceiling: Ceiling,
    pub saturation: Saturation,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
    pub recovery: Recovery,
    /// Of each workload of calls, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallsMade>,
    pub witnesses: Vec<Witness>,
    pub agreement: Option<bool>,
    pub agreement_note: Option<String>,
    pub timings: Timings,
    pub series: Vec<Point>,
    #[serde(default)]
    pub tcp: Vec<TcpPoint>,
    pub unmeasured: BTreeMap<String, String>,
}

impl Report {
    /// The report of an event log: measured, judged. A pure function of its arguments.
    pub fn of(plan: &Plan, log: &Log) -> Self {
        let measured = crate::measure::measure(plan, log);
        let verdict = crate::judge::judge(plan, &measured);
        Report::new(plan, measured, verdict)
    }

    /// The report of a run that was measured and judged.
    pub fn new(plan: &Plan, m: Measured, verdict: Verdict) -> Self {
        let mut report = Report {
            scenario: plan.scenario.clone(),
            variant: plan.variant.clone(),
            claim: plan.claim.clone(),
            believed: plan.believed.clone(),
            started_at: m.started_at,
            lastfd_version: m.lastfd_version,
            environment: m.environment,
            network_namespace: m.network_namespace,
            sysctls: m.sysctls,
            verdict: verdict.outcome,
            reasons: verdict.reasons,
            expectations_judged: verdict.judged,
            not_started: m.not_started,
            subject: m.subject,
            limits: m.limits,
            baseline: m.baseline,
            prediction: m.prediction,
            ceiling: m.ceiling,
            saturation: m.saturation,
            moved: m.moved,
            recovery: m.recovery,
            calls: m.calls,
            witnesses: m.witnesses,
            agreement: m.agreement,
            agreement_note: m.agreement_note,
            timings: m.timings,
            series: m.series,
            tcp: m.tcp,
            unmeasured: m.unmeasured,
        };
        if report.variant.is_none() {
            report.unmeasured.insert("variant".into(), "the scenario as written".into());
        }
        report
    }

    /// The report of a run that was skipped: nothing was measured.
    pub fn skipped(plan: &Plan, verdict: Verdict) -> Self {
        let mut m = crate::measure::measure(plan, &crate::event::Log::default());
        m.unmeasured.values_mut().for_each(|reason| *reason = "the run was skipped".into());
        Report::new(plan, m, verdict)
    }

    /// `scenario`, or `scenario / variant`.
    pub fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} / {variant}", self.scenario),
            None => self.scenario.clone(),
        }
    }
}

/// A count with its noun, in the plural where it is not one.
fn counted(count: u64, noun: &str) -> String {
    match (count, noun.ends_with('s')) {
        (1, _) => format!("1 {noun}"),
        (_, true) => format!("{count} {noun}es"),
        (_, false) => format!("{count} {noun}s"),
    }
}

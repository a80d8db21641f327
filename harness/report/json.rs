//! The report that other programs read: the layout only. A value that is unknown is null, and
//! `unmeasured` has its reason.

use super::told::{Told, told};
use super::words::{self, evidence, judged, why};
use super::{Report, remedies, suite::Suite, sweep};
use crate::event::{Outcome, Unseen};
use crate::measure::{self, Findings, Known};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use serde_json::{Map, Value};

/// The value of `schema`; raised when a field changes its meaning.
pub const SCHEMA: &str = "lastfd/report/1";
/// The key of an object that stands for an unknown value until [`settle`] has replaced it.
const UNKNOWN: &str = "\0unknown";
/// Lists whose elements are separate: `unmeasured` names each by its index. For other lists one reason stands
/// for all elements.
const BY_PLACE: [&str; 3] = ["calls", "ends", "witnesses"];

/// The outermost object.
#[derive(Debug, Clone, Serialize)]
struct Document {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<Suite>,
    runs: Vec<Value>,
    /// Kept for a part of a suite, so that it can be merged with the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    told: Vec<Told>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<remedies::Table>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<sweep::Sweep>,
}

/// The reports as one JSON object, with a newline at its end.
pub fn render(reports: &[Report]) -> String {
    text(reports, remedies::tables(reports), None, None)
}

/// The same of a suite, or of a part of one.
pub fn render_suite(reports: &[Report], suite: &Suite) -> String {
    text(reports, remedies::tables(reports), None, Some(suite.clone()))
}

/// The same of one program at several limits: no limit is another's remedy.
pub fn render_sweep(reports: &[Report], sweep: &sweep::Sweep) -> String {
    text(reports, Vec::new(), Some(sweep.clone()), None)
}

fn text(
    reports: &[Report],
    remedies: Vec<remedies::Table>,
    sweep: Option<sweep::Sweep>,
    suite: Option<Suite>,
) -> String {
    let in_parts = suite.as_ref().is_some_and(|suite| suite.part.is_some());
    let told = if in_parts { told(reports) } else { Vec::new() };
    pretty(&Document {
        schema: SCHEMA,
        suite,
        runs: reports.iter().map(run).collect(),
        told,
        remedies,
        sweep,
    })
}

/// The same of one run on one line: each line of a file of lines is a report of its own.
pub fn line(run: Value) -> String {
    let document = Document {
        schema: SCHEMA,
        suite: None,
        runs: vec![run],
        told: Vec::new(),
        remedies: Vec::new(),
        sweep: None,
    };
    serde_json::to_string(&document).expect("a report has only string keys and finite numbers") + "\n"
}

/// A document with a newline at its end.
pub fn pretty(document: &impl Serialize) -> String {
    let text =
        serde_json::to_string_pretty(document).expect("a report has only string keys and finite numbers");
    text + "\n"
}

/// One run as an object.
pub fn run(report: &Report) -> Value {
    let layout = Run::of(report);
    let mut value = serde_json::to_value(layout).expect("a report has only string keys and finite numbers");
    let mut reasons = Map::new();
    for unseen in &report.found.not_seen {
        reasons.entry(path(&unseen.what)).or_insert(unseen.why.clone().into());
    }
    settle(&mut value, "", &mut reasons);
    // Nothing else was looked at: the cause is the one reason.
    let whole = match &report.found.not_started {
        _ if report.verdict.outcome == crate::judge::Outcome::Skipped => {
            Some("the run was skipped".to_owned())
        }
        Some(refused) => Some(format!("the subject did not start: {}", refused.reason)),
        None => None,
    };
    if let Some(whole) = whole {
        reasons.values_mut().for_each(|reason| *reason = whole.clone().into());
    }
    if report.variant.is_none() {
        reasons.insert("variant".into(), "the scenario as written".into());
    }
    reasons.sort_keys();
    value["unmeasured"] = Value::Object(reasons);
    if !report.earlier.is_empty() {
        value["flaky"] = report.is_flaky().into();
        value["earlier"] = report.earlier.iter().map(run).collect();
    }
    value
}

/// Where the report would have what the run could not see.
fn path(unseen: &Unseen) -> String {
    match unseen {
        Unseen::Settled => "baseline.settled".into(),
        Unseen::Baseline => "baseline".into(),
        Unseen::CostPerConnection => "prediction.descriptors_per_connection".into(),
        Unseen::Capacity => "ceiling.capacity".into(),
        Unseen::Listeners => "saturation.listeners".into(),
        Unseen::OtherListeners => "saturation.other_listeners".into(),
        Unseen::Tcp => "saturation.tcp_states".into(),
        Unseen::Rounds => "recovery.rounds".into(),
        Unseen::ObserverCost => "witnesses.cost".into(),
        Unseen::Probe { label } => format!("probe {}", label.name()),
    }
}

/// Replaces unknown values below `path` by null, and notes their reasons; the first reason of a path stays.
fn settle(value: &mut Value, path: &str, reasons: &mut Map<String, Value>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => {
            if let Some(reason) = map.remove(UNKNOWN) {
                reasons.entry(path).or_insert(reason);
                *value = Value::Null;
                return;
            }
            map.iter_mut().for_each(|(key, value)| settle(value, &below(key), reasons));
        }
        Value::Array(all) => {
            let by_place = BY_PLACE.contains(&path.rsplit('.').next().unwrap_or_default());
            for (i, value) in all.iter_mut().enumerate() {
                let path = if by_place { below(&i.to_string()) } else { path.to_owned() };
                settle(value, &path, reasons);
            }
        }
        _ => {}
    }
}

impl<T: Serialize> Serialize for Known<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.known() {
            Ok(value) => value.serialize(serializer),
            Err(reason) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(UNKNOWN, &why::why(reason))?;
                map.end()
            }
        }
    }
}

/// Serializes types that have words as strings.
macro_rules! said {
    ($($type:ty => $words:path),* $(,)?) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$words(self))
            }
        }
    )*};
}

said! {
    measure::PolicyEvidence => evidence::policy,
    measure::BindsEvidence => evidence::binds,
    measure::Cost => evidence::cost,
    measure::NotTheCeiling => evidence::not_the_ceiling,
    remedies::Verdict => words::remedies::verdict,
    sweep::NoFit => words::sweep::no_fit,
    sweep::What => words::sweep::what,
}

impl Serialize for crate::judge::Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reason = serializer.serialize_struct("Reason", 3)?;
        reason.serialize_field("expectation", &judged::name(self))?;
        reason.serialize_field("expected", &judged::expected(self))?;
        reason.serialize_field("observed", &judged::observed(self))?;
        reason.end()
    }
}

/// A run, in the names and the nesting of docs/reference/report.md.
#[derive(Serialize)]
struct Run<'a> {
    scenario: &'a str,
    variant: Option<&'a str>,
    claim: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    believed: Option<&'a str>,
    #[serde(flatten)]
    made: &'a measure::Made,
    verdict: crate::judge::Outcome,
    reasons: &'a [crate::judge::Reason],
    expectations_judged: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_started: Option<&'a measure::NotStarted>,
    subject: &'a measure::Subject,
    limits: &'a measure::LimitsFound,
    baseline: &'a measure::Baseline,
    prediction: Prediction<'a>,
    ceiling: Ceiling<'a>,
    saturation: Saturation<'a>,
    #[serde(skip_serializing_if = "nothing_moved")]
    moved: &'a Known<Vec<measure::Moved>>,
    recovery: Recovery<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    leaks: &'a [measure::Leak],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    calls: &'a [measure::CallsMade],
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<&'a measure::Flows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a measure::Upstream>,
    witnesses: &'a [measure::Witness],
    agreement: &'a Known<bool>,
    agreement_note: Known<String>,
    timings: &'a measure::Timings,
    series: &'a [measure::Point],
    tcp: &'a [measure::TcpPoint],
}

fn nothing_moved(moved: &Known<Vec<measure::Moved>>) -> bool {
    moved.get().is_some_and(Vec::is_empty)
}

#[derive(Serialize)]
struct Prediction<'a> {
    ceiling: &'a Known<u64>,
    formula: Known<String>,
    descriptors_per_connection: &'a Known<f64>,
    calibrated_with: &'a Known<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_first_client: Option<u64>,
}

#[derive(Serialize)]
struct Ceiling<'a> {
    #[serde(flatten)]
    ceiling: &'a measure::Ceiling,
    binds: &'a Known<measure::Binds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_over: Option<measure::HandedOver>,
    first_full: &'a Known<measure::FirstFull>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    holders: &'a [measure::Holder],
    #[serde(skip_serializing_if = "Option::is_none")]
    error_replies: Option<&'a measure::ErrorReplies>,
}

#[derive(Serialize)]
struct Saturation<'a> {
    #[serde(flatten)]
    policy: &'a measure::AcceptPolicy,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    other_policies: &'a [measure::OtherPolicy],
    #[serde(flatten)]
    costs: &'a measure::Costs,
    held_closed_by_server: &'a Known<u64>,
    new_client: &'a Known<Outcome>,
    #[serde(flatten)]
    sockets: &'a measure::SocketsSeen,
    memory: &'a measure::Memory,
    other_listeners: &'a [measure::OtherListener],
    failed_calls: &'a [measure::FailedCalls],
    disguise: &'a [measure::Disguise],
    clients: &'a measure::ClientsSeen,
    clients_account: &'a Known<measure::ClientsAccount>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    client_programs: &'a [measure::ClientPrograms],
    probes: &'a [measure::Probe],
}

#[derive(Serialize)]
struct Recovery<'a> {
    #[serde(flatten)]
    recovery: &'a measure::Recovery,
    #[serde(flatten)]
    rounds: &'a measure::Rounds,
    verdict: Known<measure::Verdict>,
    verdict_evidence: Known<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    left_full: &'a [measure::Holder],
}

impl<'a> Run<'a> {
    fn of(report: &'a Report) -> Self {
        let f: &Findings = &report.found;
        Run {
            scenario: &report.scenario,
            variant: report.variant.as_deref(),
            claim: &report.claim,
            believed: report.believed.as_deref(),
            made: &f.made,
            verdict: report.verdict.outcome,
            reasons: &report.verdict.reasons,
            expectations_judged: report.verdict.judged,
            not_started: f.not_started.as_ref(),
            subject: &f.subject,
            limits: &f.limits,
            baseline: &f.baseline,
            prediction: Prediction {
                ceiling: &f.prediction.ceiling,
                formula: f.prediction.formula.clone().map(|formula| words::prediction::formula(&formula)),
                descriptors_per_connection: &f.prediction.descriptors_per_connection,
                calibrated_with: &f.prediction.calibrated_with,
                before_first_client: f.prediction.before_first_client,
            },
            ceiling: Ceiling {
                ceiling: &f.ceiling,
                binds: &f.binds,
                handed_over: f.handed_over,
                first_full: &f.first_full,
                holders: &f.holders.at_the_wall,
                error_replies: f.error_replies.as_ref(),
            },
            saturation: Saturation {
                policy: &f.policy,
                other_policies: &f.other_policies,
                costs: &f.costs,
                held_closed_by_server: &f.held_closed,
                new_client: &f.new_client,
                sockets: &f.sockets,
                memory: &f.memory,
                other_listeners: &f.other_listeners,
                failed_calls: &f.failed_calls,
                disguise: &f.disguise,
                clients: &f.clients,
                clients_account: &f.clients_account,
                client_programs: &f.client_programs,
                probes: &f.probes,
            },
            moved: &f.moved,
            recovery: Recovery {
                recovery: &f.recovery,
                rounds: &f.rounds,
                verdict: f.end.clone().map(|end| end.verdict),
                verdict_evidence: f.end.clone().map(|end| evidence::verdict(&end.evidence)),
                left_full: &f.holders.left_full,
            },
            leaks: &f.leaks,
            calls: &f.calls,
            flows: f.flows.as_ref(),
            upstream: f.upstream.as_ref(),
            witnesses: &f.witnesses.all,
            agreement: &f.witnesses.agreement,
            agreement_note: match evidence::notes(&f.witnesses.notes) {
                Some(notes) => Known::Value(notes),
                None => Known::Unknown(measure::Why::NothingToExplain),
            },
            timings: &f.timings,
            series: &f.series,
            tcp: &f.tcp,
        }
    }
}

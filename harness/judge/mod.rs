//! Expectations against what was measured → a verdict with its reasons. Pure. An expectation that was not met is data,
//! not an error; one whose field was not measured leaves the verdict open.

use crate::measure::{Kind, Measured, OtherListener, Policy};
use crate::scenario::{Ceiling, Limits, Outcome as Came, Plan, SeenAs, formula};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Share of an expected delay that the measured one may differ by.
const DELAY_WITHIN: f64 = 0.1;
/// And by so much, seconds: a timer is late by that on a busy machine, which is as long as the shortest delays in use.
const TIMER_LATE_S: f64 = 0.005;

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Everything expected was observed.
    Met,
    /// Something else was observed.
    NotMet,
    /// This run, on this machine, cannot say.
    Inconclusive,
    /// What the run requires is missing.
    Skipped,
}

impl Outcome {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Met => "met",
            Outcome::NotMet => "not-met",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Skipped => "skipped",
        }
    }
}

/// One expectation that was not met or could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// Its name in the scenario file; `run` for what concerns all of it.
    pub expectation: String,
    /// What the scenario says.
    pub expected: String,
    /// What was measured, or why it was not.
    pub observed: String,
}

/// The verdict on one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What it comes to.
    pub outcome: Outcome,
    /// Why; empty when met.
    pub reasons: Vec<Reason>,
    /// How many expectations were judged.
    pub judged: u32,
}

impl Verdict {
    /// For a run that was not made because something it requires is missing.
    pub fn skipped(requirement: &str, reason: &str) -> Self {
        let reason =
            Reason { expectation: "requires".into(), expected: requirement.into(), observed: reason.into() };
        Verdict { outcome: Outcome::Skipped, reasons: vec![reason], judged: 0 }
    }
}

/// The expectations of one run, as they are compared.
#[derive(Default)]
struct Judge {
    unmet: Vec<Reason>,
    open: Vec<Reason>,
    judged: u32,
}

impl Judge {
    /// Compares one expectation with its field: `None` leaves it open for the reason given.
    fn compare(
        &mut self,
        expectation: &str,
        expected: impl ToString,
        observed: Result<(bool, String), String>,
    ) {
        self.judged += 1;
        let reason =
            |observed| Reason { expectation: expectation.into(), expected: expected.to_string(), observed };
        match observed {
            Ok((true, _)) => {}
            Ok((false, observed)) => self.unmet.push(reason(observed)),
            Err(why) => self.open.push(reason(format!("not measured: {why}"))),
        }
    }

    fn equal<T: PartialEq + ToString>(
        &mut self,
        expectation: &str,
        expected: Option<T>,
        m: &Measured,
        field: &str,
        observed: Option<T>,
    ) {
        let Some(expected) = expected else { return };
        let compared = observed.map(|o| (o == expected, o.to_string())).ok_or_else(|| why(m, field));
        self.compare(expectation, expected, compared);
    }
}

/// Judges a measured run by its plan's expectations.
pub fn judge(plan: &Plan, m: &Measured) -> Verdict {
    let expect = &plan.expect;
    let mut judge = Judge::default();
    if let Some(expected) = &expect.not_started {
        match &m.not_started {
            Some(found) => {
                let as_expected = expected.exit_status.is_none_or(|status| found.exit_status == Some(status))
                    && expected.says.as_ref().is_none_or(|text| found.reason.contains(text));
                let status =
                    found.exit_status.map_or(String::new(), |status| format!("exit status {status}: "));
                judge.compare(
                    "not-started",
                    expected,
                    Ok((as_expected, format!("{status}{}", found.reason))),
                );
                return verdict(judge, plan, m);
            }
            None if expect.of_refusal_only() && m.inconclusive.is_empty() => {
                judge.compare("not-started", expected, Ok((false, "it started".to_owned())));
            }
            None => {}
        }
    }
    let effective = m.limits.effective;
    judge.equal("limits.soft", expect.limits.soft, m, "limits.effective", effective.map(|l| l.soft));
    judge.equal("limits.hard", expect.limits.hard, m, "limits.effective", effective.map(|l| l.hard));
    judge.equal("baseline", expect.baseline, m, "baseline.descriptors", m.baseline.descriptors);
    if let Some(expected) = &expect.ceiling {
        judge.compare("ceiling", ceiling_text(expected), ceiling(expected, m));
    }
    if let Some(expected) = &expect.first_failure {
        let found = m.ceiling.first_failure.as_ref();
        let observed = match (found, m.ceiling.kind) {
            (Some(f), _) => Ok((expected.is(f.call, &f.errno), format!("{} {}", f.call, f.errno))),
            (None, Some(_)) => Ok((false, "no call failed".to_owned())),
            (None, None) => Err(why(m, "ceiling.kind")),
        };
        judge.compare("first-failure", format!("{} {}", expected.calls(), expected.errno), observed);
    }
    if let Some(expected) = expect.policy {
        let evidence = m.saturation.policy_evidence.as_deref().unwrap_or_default();
        let observed = m.saturation.policy.map(|p| (p == expected, format!("{} ({evidence})", p.name())));
        judge.compare("policy", expected.name(), observed.ok_or_else(|| why(m, "saturation.policy")));
    }
    if let Some(expected) = &expect.delay {
        let near =
            |expected: f64, seen: f64| (seen - expected).abs() <= (expected * DELAY_WITHIN).max(TIMER_LATE_S);
        let observed = match (m.saturation.delay_s, m.saturation.policy) {
            (Some(seen), _) => Ok((
                near(expected.first_s, seen.first) && near(expected.longest_s, seen.longest),
                seen.to_string(),
            )),
            (None, None | Some(Policy::Unclear)) => Err(why(m, "saturation.delay_s")),
            (None, Some(other)) => Ok((false, format!("no pause between tries ({})", other.name()))),
        };
        judge.compare("delay", expected, observed);
    }
    if let Some(within) = expect.recovers_within_s {
        let observed = match (m.recovery.new_client_served_s, m.recovery.recovered) {
            (Some(s), _) => Ok((s <= within, format!("{s:.3} s"))),
            (None, Some(false)) => Ok((false, "no new client was served after all had left".to_owned())),
            (None, _) => Err(why(m, "recovery.recovered")),
        };
        judge.compare("recovers-within", format!("{within} s"), observed);
    }
    if let Some(expected) = expect.recovery {
        let evidence = m.recovery.verdict_evidence.as_deref().unwrap_or_default();
        let observed = m.recovery.verdict.map(|v| (v == expected, format!("{} ({evidence})", v.name())));
        judge.compare("recovery", expected.name(), observed.ok_or_else(|| why(m, "recovery.verdict")));
    }
    moved(&mut judge, plan, m);
    judge.equal("leaked", expect.leaked, m, "recovery.leaked", m.recovery.leaked);
    for (workload, expected) in &expect.outcomes {
        let words = |outcomes: &[Came]| outcomes.iter().map(|o| o.name()).collect::<Vec<_>>().join(", then ");
        let made = m.calls.iter().find(|made| made.workload == *workload);
        let observed = made.map(|made| {
            let mut met: Vec<Came> = Vec::new();
            for outcome in made.ends.iter().filter_map(|end| end.outcome) {
                if !met.contains(&outcome) {
                    met.push(outcome);
                }
            }
            (met == *expected, words(&met))
        });
        judge.compare(
            &format!("outcomes.{workload}"),
            words(expected),
            observed.ok_or_else(|| format!("no workload `{workload}` made calls")),
        );
    }
    if let Some(expected) = expect.file_max_binds {
        let observed = m.saturation.file_nr.map(|files| {
            // The call that fails says which of the two limits it met.
            let binds = m.ceiling.kind == Some(Kind::Enfile) || files.allocated >= files.max;
            let count = format!("{} of {} open files of the host", files.allocated, files.max);
            (binds == expected, if binds { format!("true ({count})") } else { format!("false ({count})") })
        });
        judge.compare("file-max-binds", expected, observed.ok_or_else(|| why(m, "saturation.file_nr")));
    }
    at_the_wall(&mut judge, plan, m);
    verdict(judge, plan, m)
}

/// What a full table did beside the accept loop.
fn at_the_wall(judge: &mut Judge, plan: &Plan, m: &Measured) {
    if let Some(expected) = &plan.expect.disguise {
        let words = |all: BTreeSet<SeenAs>| match all.is_empty() {
            true => "nobody".to_owned(),
            false => all.into_iter().map(SeenAs::name).collect::<Vec<_>>().join(", "),
        };
        let expected: BTreeSet<SeenAs> = expected.iter().copied().collect();
        let seen: BTreeSet<SeenAs> = m.saturation.disguise.iter().map(|one| one.seen_as).collect();
        // Without the calls there is nothing to tell.
        let observed = match m.unsampled.filter(|_| !expected.is_subset(&seen)) {
            Some(reason) => Err(reason.to_owned()),
            None => {
                m.ceiling.kind.map(|_| (seen == expected, words(seen))).ok_or_else(|| why(m, "ceiling.kind"))
            }
        };
        judge.compare("disguise", words(expected), observed);
    }
    if let Some(expected) = plan.expect.other_listeners {
        let others = &m.saturation.other_listeners;
        let untried = others.iter().find(|other| other.new_client.is_none());
        let differs = others.iter().any(|other| other.new_client.is_some_and(|got| got != expected));
        let one = |other: &OtherListener| {
            format!("port {}: {}", other.port, other.new_client.map_or("not tried", Came::name))
        };
        let observed = match untried {
            _ if others.is_empty() => Err("no other listener of its processes was found".to_owned()),
            Some(other) if !differs => Err(format!(
                "port {} was not tried, or not to the end: only loopback addresses are",
                other.port
            )),
            _ => Ok((!differs, others.iter().map(one).collect::<Vec<_>>().join(", "))),
        };
        judge.compare("other-listeners", expected.name(), observed);
    }
}

/// What followed when the limit was moved, the last time.
fn moved(judge: &mut Judge, plan: &Plan, m: &Measured) {
    let last = m.moved.last();
    if let Some(within) = plan.expect.resumes_within_s {
        let observed = match last.map(|moved| (moved.resumed, moved.resumed_s)) {
            Some((_, Some(s))) => Ok((s <= within, format!("{s:.3} s"))),
            Some((Some(false), None)) => Ok((false, "it did not accept again".to_owned())),
            Some((_, None)) => Err(why(m, "moved.resumed")),
            None => Err(why(m, "moved")),
        };
        judge.compare("resumes-within", format!("{within} s"), observed);
    }
    if let Some(expected) = &plan.expect.ceiling_after {
        let observed = match last {
            Some(moved) => {
                let failed = moved.next_failure.as_ref().map(|f| format!("{} {}", f.call, f.errno));
                let limits = Ok(Limits { soft: moved.soft, hard: moved.hard });
                moved.accepted_after.ok_or_else(|| why(m, "moved.accepted_after")).and_then(|held| {
                    match (expected, failed) {
                        (Ceiling::NotReached, None) => Ok((true, format!("not reached ({held} held)"))),
                        (Ceiling::NotReached, Some(call)) => Ok((false, format!("{held} ({call})"))),
                        (_, None) => Ok((false, format!("not reached: {held} were held"))),
                        (_, Some(_)) => counted(expected, held, limits, m),
                    }
                })
            }
            None => Err(why(m, "moved")),
        };
        judge.compare("ceiling-after", ceiling_text(expected), observed);
    }
}

/// What concerns the run as a whole decides first, then what is surely not met, then what is open.
fn verdict(judge: Judge, plan: &Plan, m: &Measured) -> Verdict {
    let Judge { unmet, open, judged } = judge;
    // Of a run that is expected not to start, that is no reason.
    let judged_anyway = |reason: &&String| {
        plan.expect.not_started.is_some() && m.not_started.as_ref().is_some_and(|n| n.reason == **reason)
    };
    let whole = m.inconclusive.iter().filter(|reason| !judged_anyway(reason)).map(|reason| Reason {
        expectation: "run".into(),
        expected: "a run that can be judged".into(),
        observed: reason.clone(),
    });
    let mut reasons: Vec<Reason> = whole.collect();
    let outcome = match (reasons.is_empty(), unmet.is_empty(), open.is_empty()) {
        (false, ..) => Outcome::Inconclusive,
        (true, false, _) => Outcome::NotMet,
        (true, true, false) => Outcome::Inconclusive,
        (true, true, true) => Outcome::Met,
    };
    reasons.extend(unmet);
    reasons.extend(open);
    Verdict { outcome, reasons, judged }
}

fn why(m: &Measured, field: &str) -> String {
    m.unmeasured.get(field).cloned().unwrap_or_else(|| format!("`{field}` is unknown"))
}

fn ceiling_text(expected: &Ceiling) -> String {
    match expected {
        Ceiling::Exactly(n) => n.to_string(),
        Ceiling::Range(from, to) => format!("{from} to {to}"),
        Ceiling::Formula(text) => text.clone(),
        Ceiling::NotReached => "not reached".into(),
    }
}

/// Whether the ceiling is as expected, and what it is.
fn ceiling(expected: &Ceiling, m: &Measured) -> Result<(bool, String), String> {
    let limits = || m.limits.effective.ok_or_else(|| why(m, "limits.effective"));
    let kind = match (m.ceiling.kind, m.ceiling.reached, m.ceiling.accepted) {
        (Some(kind), ..) => kind,
        // Nobody saw a call fail, and the descriptor count tells how many it holds.
        (None, Some(reached), Some(held)) => {
            return match expected {
                Ceiling::NotReached => Ok((!reached, format!("{held} held, by its descriptor count"))),
                _ if !reached => {
                    Ok((false, format!("not reached: all {held} are held, by its descriptor count")))
                }
                _ => counted(expected, held, limits(), m),
            };
        }
        (None, ..) => return Err(why(m, "ceiling.kind")),
    };
    let number = m.ceiling.accepted.or(m.ceiling.calls);
    let shown = number.map_or_else(|| "an unknown number".to_owned(), |n| n.to_string());
    let unit = if m.ceiling.calls.is_some() { "calls answered" } else { "held" };
    let early = m.ceiling.before_ramp.as_ref().map_or(String::new(), |b| {
        format!(", and {} failed with {} before the first client", b.call, b.errno)
    });
    if *expected == Ceiling::NotReached {
        return Ok(match kind {
            Kind::NotReached => {
                (m.ceiling.first_failure.is_none(), format!("not reached ({shown} {unit}){early}"))
            }
            Kind::Generator => return Err("the generator ran out first".into()),
            other => (false, format!("{shown} ({}){early}", other.name())),
        });
    }
    match kind {
        Kind::NotReached if m.ceiling.calls.is_some() => {
            return Ok((false, format!("not reached: {shown} calls were answered")));
        }
        Kind::NotReached => return Ok((false, format!("not reached: all {shown} were accepted"))),
        Kind::Generator => return Err("the generator ran out first".into()),
        _ => {}
    }
    let field = if m.ceiling.calls.is_some() { "ceiling.calls" } else { "ceiling.accepted" };
    let number = number.ok_or_else(|| why(m, field))?;
    counted(expected, number, limits(), m)
}

/// Whether this many are as many as expected, under these limits.
fn counted(
    expected: &Ceiling,
    number: u64,
    limits: Result<Limits, String>,
    m: &Measured,
) -> Result<(bool, String), String> {
    match expected {
        Ceiling::Exactly(n) => Ok((number == *n, number.to_string())),
        Ceiling::Range(from, to) => Ok(((*from..=*to).contains(&number), number.to_string())),
        Ceiling::Formula(text) => {
            let limits = limits?;
            let rest = m.baseline.counted.ok_or_else(|| why(m, "baseline.counted"))?;
            let values = formula::Values { soft: limits.soft, hard: limits.hard, baseline: rest };
            let formula = formula::parse(text).map_err(|e| e.to_string())?;
            let wanted = formula.count(values).map_err(|why| {
                format!(
                    "`{text}` {why} with soft {}, hard {} and baseline {}",
                    limits.soft, limits.hard, rest
                )
            })?;
            Ok((number == wanted, format!("{number}, where `{text}` is {wanted}")))
        }
        Ceiling::NotReached => unreachable!("that is no number"),
    }
}

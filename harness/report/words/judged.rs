//! Why a run's verdict is not *met*: the name of the expectation as in scenario files, what it says, and what
//! was observed.

use super::{doubts, evidence, why};
use crate::event::SeenAs;
use crate::judge::{self, Expectation, Expected, NotMeasured, Observed, Reason, Verdict};
use crate::measure::BeforeRamp;
use crate::scenario::{Ceiling, Outcome};
use std::collections::BTreeSet;

/// The expectation's name in the scenario file; `run` for what concerns all of it.
pub fn name(reason: &Reason) -> String {
    let name = match &reason.expectation {
        Expectation::Outcomes(workload) => return format!("outcomes.{workload}"),
        Expectation::Run => "run",
        Expectation::Requires => "requires",
        Expectation::NotStarted => "not-started",
        Expectation::SoftLimit => "limits.soft",
        Expectation::HardLimit => "limits.hard",
        Expectation::Baseline => "baseline",
        Expectation::Ceiling => "ceiling",
        Expectation::FirstFailure => "first-failure",
        Expectation::Policy => "policy",
        Expectation::Delay => "delay",
        Expectation::RecoversWithin => "recovers-within",
        Expectation::Recovery => "recovery",
        Expectation::ResumesWithin => "resumes-within",
        Expectation::CeilingAfter => "ceiling-after",
        Expectation::Leaked => "leaked",
        Expectation::FileMaxBinds => "file-max-binds",
        Expectation::Disguise => "disguise",
        Expectation::OtherListeners => "other-listeners",
    };
    name.to_owned()
}

/// The whole of it, in a line.
pub fn reason(reason: &Reason) -> String {
    match reason.expectation {
        Expectation::Run => observed(reason),
        _ => format!("{}: expected {}, observed {}", name(reason), expected(reason), observed(reason)),
    }
}

/// What the scenario says.
pub fn expected(reason: &Reason) -> String {
    match &reason.expected {
        Expected::Judgeable => "a run that can be judged".into(),
        Expected::Requirement(requirement) => requirement.clone(),
        Expected::Refusal(refusal) => refusal.to_string(),
        Expected::Number(n) => n.to_string(),
        Expected::Leaked(n) => n.to_string(),
        Expected::Ceiling(Ceiling::Exactly(n)) => n.to_string(),
        Expected::Ceiling(Ceiling::Range(from, to)) => format!("{from} to {to}"),
        Expected::Ceiling(Ceiling::Formula(text)) => text.clone(),
        Expected::Ceiling(Ceiling::NotReached) => "not reached".into(),
        Expected::Failure(failure) => format!("{} {}", failure.calls(), failure.errno),
        Expected::Policy(policy) => policy.name().into(),
        Expected::Delay(delay) => delay.to_string(),
        Expected::Within(s) => format!("{s} s"),
        Expected::Recovery(verdict) => verdict.name().into(),
        Expected::Outcomes(all) => outcomes(all),
        Expected::FileMaxBinds(binds) => binds.to_string(),
        Expected::SeenAs(all) => seen_as(all),
        Expected::NewClient(outcome) => outcome.name().into(),
    }
}

/// A verdict's mark and name. Where nothing was expected, nothing is met.
pub fn verdict(verdict: &Verdict) -> (&'static str, &'static str) {
    outcome(verdict.outcome, verdict.judged)
}

/// The same of a run of which only that much is known.
pub fn outcome(outcome: judge::Outcome, judged: u32) -> (&'static str, &'static str) {
    use judge::Outcome;
    match outcome {
        Outcome::Met if judged == 0 => ("●", "result"),
        Outcome::Met => ("✓", "as expected"),
        Outcome::NotMet => ("✗", "not as expected"),
        Outcome::Inconclusive => ("?", "inconclusive"),
        Outcome::Skipped => ("–", "skipped"),
    }
}

/// What was measured, or why it was not.
pub fn observed(reason: &Reason) -> String {
    let not_reached_expected = matches!(&reason.expected, Expected::Ceiling(Ceiling::NotReached));
    match &reason.observed {
        Observed::NotMeasured(why) => format!("not measured: {}", not_measured(why)),
        Observed::Doubt(doubt) => doubts::doubt(doubt),
        Observed::Missing(why) => why.clone(),
        Observed::Started => "it started".into(),
        Observed::NotStarted(refused) => {
            let status =
                refused.exit_status.map_or(String::new(), |status| format!("exit status {status}: "));
            format!("{status}{}", refused.reason)
        }
        Observed::Number(n) => n.to_string(),
        Observed::Leaked(n) => n.to_string(),
        Observed::Counted { number, formula } => {
            let text = expected(reason);
            formula
                .map_or_else(|| number.to_string(), |wanted| format!("{number}, where `{text}` is {wanted}"))
        }
        Observed::NotReached { number, calls, before_ramp } => match (not_reached_expected, calls) {
            (true, true) => format!("not reached ({} calls answered){}", shown(*number), early(before_ramp)),
            (true, false) => format!("not reached ({} held){}", shown(*number), early(before_ramp)),
            (false, true) => format!("not reached: {} calls were answered", shown(*number)),
            (false, false) => format!("not reached: all {} were accepted", shown(*number)),
        },
        Observed::Stopped { number, kind, before_ramp } => {
            format!("{} ({}){}", shown(*number), kind.name(), early(before_ramp))
        }
        Observed::HeldByCount(held) if not_reached_expected => {
            format!("{held} held, by its descriptor count")
        }
        Observed::HeldByCount(held) => format!("not reached: all {held} are held, by its descriptor count"),
        Observed::HeldAfter { held, failed: Some((call, errno)) } => format!("{held} ({call} {errno})"),
        Observed::HeldAfter { held, failed: None } => format!("not reached: {held} were held"),
        Observed::Failure(failure) => format!("{} {}", failure.call, failure.errno),
        Observed::NoFailure => "no call failed".into(),
        Observed::Policy(policy, seen) => format!("{} ({})", policy.name(), evidence::policy(seen)),
        Observed::Delay(delay) => evidence::delay(delay),
        Observed::NoPauses(policy) => format!("no pause between tries ({})", policy.name()),
        Observed::After(s) => format!("{s:.3} s"),
        Observed::NobodyServed => "no new client was served after all had left".into(),
        Observed::NotResumed => "it did not accept again".into(),
        Observed::Recovery(end) => format!("{} ({})", end.verdict.name(), evidence::verdict(&end.evidence)),
        Observed::Outcomes(all) => outcomes(all),
        Observed::FileMaxBinds { binds, files } => {
            format!("{binds} ({} of {} open files of the host)", files.allocated, files.max)
        }
        Observed::SeenAs(all) => seen_as(all),
        Observed::OtherListeners(all) => {
            let one = |(port, got): &(u16, Option<Outcome>)| {
                format!("port {port}: {}", got.map_or("not tried", Outcome::name))
            };
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

fn not_measured(not: &NotMeasured) -> String {
    match not {
        NotMeasured::Unknown(reason) => why::why(reason),
        NotMeasured::GeneratorFirst => "the generator ran out first".into(),
        NotMeasured::NothingMoved => "`moved` is unknown".into(),
        NotMeasured::NoCalls(workload) => format!("no workload `{workload}` made calls"),
        NotMeasured::NoOtherListener => "no other listener of its processes was found".into(),
        NotMeasured::PortNotTried(port) => {
            format!("port {port} was not tried, or not to the end: only loopback addresses are")
        }
        NotMeasured::TooFewClients { wanted, came } => {
            format!(
                "{} cannot reach {wanted}: raise `clients`, or leave it out",
                super::counted(*came, "client")
            )
        }
        NotMeasured::Formula(error) => error.to_string(),
        NotMeasured::NoCount { formula, why, values } => format!(
            "`{formula}` {why} with soft {}, hard {} and baseline {}",
            values.soft, values.hard, values.baseline
        ),
    }
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "an unknown number".to_owned(), |n| n.to_string())
}

fn early(before_ramp: &Option<BeforeRamp>) -> String {
    before_ramp.as_ref().map_or(String::new(), |early| {
        format!(", and {} failed with {} before the first client", early.call, early.errno)
    })
}

fn outcomes(all: &[Outcome]) -> String {
    all.iter().map(|outcome| outcome.name()).collect::<Vec<_>>().join(", then ")
}

fn seen_as(all: &BTreeSet<SeenAs>) -> String {
    match all.is_empty() {
        true => "nobody".to_owned(),
        false => all.iter().map(|seen| seen.name()).collect::<Vec<_>>().join(", "),
    }
}

//! Why a run's verdict is not *met*: the name of the expectation as in scenario files, what it says, and what
//! was observed.

use super::{counted, doubts, evidence, limits, rate, recovery, size, time, why};
use crate::event::{Link, SeenAs};
use crate::judge::{
    self, Because, Expectation, Expected, NotMeasured, Observed, RUNS_FOR_TIMES, Reason, Verdict,
};
use crate::measure::BeforeRamp;
use crate::scenario::{Ceiling, Kept, Metric, Outcome, Unit};
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
        Expectation::Amount(metric) => metric.name(),
        Expectation::Aspect(aspect) => aspect.name(),
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

/// The value that the scenario expects.
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
        Expected::Amount(amount) => amount.written.clone(),
        Expected::AnyOf(words) => words.join(" or "),
    }
}

/// A verdict's mark and name. Where nothing was expected, nothing is met.
pub fn verdict(verdict: &Verdict) -> (&'static str, &'static str) {
    outcome(verdict.outcome, verdict.judged)
}

/// The same for a run with only this much known.
pub fn outcome(outcome: judge::Outcome, judged: u32) -> (&'static str, &'static str) {
    use judge::Outcome;
    match outcome {
        Outcome::Met if judged == 0 => ("●", "result"),
        Outcome::Met => ("✓", "test passed"),
        Outcome::NotMet => ("✗", "test failed"),
        Outcome::Inconclusive => ("?", "inconclusive"),
        Outcome::Skipped => ("–", "skipped"),
    }
}

/// The measured value, or why there is none.
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
        Observed::Number { number, because } => format!("{number}{}", explained(because)),
        Observed::Leaked { number, because } => format!("{number}{}", explained(because)),
        Observed::Amount { .. } => amount_seen(reason),
        Observed::Word { seen, because } => {
            let seen = seen.as_deref().unwrap_or("that no client got an error reply");
            format!("{seen}{}", explained(because))
        }
        Observed::Counted { number, formula, because } => {
            let text = expected(reason);
            let wanted = formula.map_or(String::new(), |wanted| format!(", where `{text}` is {wanted}"));
            format!("{number}{wanted}{}", explained(because))
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

/// A number of the table, with what it had to be, what is recorded, and what explains it.
fn amount_seen(reason: &Reason) -> String {
    let (Observed::Amount { value, least, most, kept, because }, Expectation::Amount(metric)) =
        (&reason.observed, &reason.expectation)
    else {
        return String::new();
    };
    let unit = metric.unit();
    let written = expected(reason);
    // A bound that is not written as a number is said as one.
    let bound = match (least, most) {
        (Some(least), Some(most)) if least == most => Some(quantity(unit, *least)),
        (Some(least), Some(most)) => Some(format!("{} to {}", quantity(unit, *least), quantity(unit, *most))),
        (Some(least), None) => Some(format!("at least {}", quantity(unit, *least))),
        (None, Some(most)) => Some(format!("at most {}", quantity(unit, *most))),
        (None, None) => None,
    };
    let formula = matches!(&reason.expected, Expected::Amount(amount) if amount.wanted.has_formula());
    let means = match (kept, bound) {
        (Some(kept), Some(bound)) => format!(", where {} allow {bound}", recorded(*metric, *kept)),
        (None, Some(bound)) if formula => format!(", where `{written}` is {bound}"),
        _ => String::new(),
    };
    let about = about(*metric);
    let why = because.as_ref().map_or(String::new(), |why| format!("; {}", because_of(why)));
    format!("{}{means} ({about}{why})", quantity(unit, *value))
}

/// A metric's description, within a sentence: an acronym keeps its capitals.
fn about(metric: Metric) -> String {
    let text = metric.doc();
    match text.as_bytes() {
        [_, second, ..] if second.is_ascii_lowercase() => {
            format!("{}{}", text[..1].to_lowercase(), &text[1..])
        }
        _ => text.to_owned(),
    }
}

/// A value in the unit of its metric.
pub fn quantity(unit: Unit, value: f64) -> String {
    let trimmed = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match unit {
        Unit::Count => format!("{value:.0}"),
        Unit::Ratio => trimmed(value),
        Unit::Seconds => time(value),
        Unit::Percent => format!("{value:.1} %"),
        Unit::PerSecond => format!("{}/s", trimmed(value)),
        Unit::Bytes => size(value.max(0.0) as u64),
        Unit::BytesPerSecond => rate(value),
    }
}

/// The recorded values of a metric.
fn recorded(metric: Metric, kept: Kept) -> String {
    let unit = metric.unit();
    let runs = counted(u64::from(kept.runs), "recorded run");
    match kept.least == kept.most {
        true => format!("{runs} with {}", quantity(unit, kept.median)),
        false => format!("{runs} with {} to {}", quantity(unit, kept.least), quantity(unit, kept.most)),
    }
}

fn explained(because: &Option<Because>) -> String {
    because.as_ref().map_or(String::new(), |why| format!(" ({})", because_of(why)))
}

fn because_of(because: &Because) -> String {
    match because {
        Because::SetBy(by) if by.command == Link::REQUESTED => "set by the scenario".to_owned(),
        Because::SetBy(by) => format!("set by `{}`, process {}", limits::name(&by.command), by.pid),
        Because::Failed { call, errno, soft } => {
            let under = soft.map_or(String::new(), |soft| format!(" under a soft limit of {soft}"));
            format!("{call} failed with {errno}{under}")
        }
        Because::Policy(policy, seen) => format!("policy {}: {}", policy.name(), evidence::policy(seen)),
        Because::Binds(seen) => evidence::binds(seen),
        Because::End(verdict, seen) => format!("{}: {}", verdict.name(), evidence::verdict(seen)),
        Because::Leaks(all) => {
            format!("left open: {}", all.iter().map(recovery::sort).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Why a number cannot be compared with what is recorded.
pub fn noise(metric: Metric, kept: Kept, by_percent: f64) -> String {
    if kept.runs < RUNS_FOR_TIMES && kept.least == kept.most {
        return format!(
            "it was recorded in {} only, which do not show how much it varies by itself: record at least {RUNS_FOR_TIMES} \
             (`--record --repeat {RUNS_FOR_TIMES}`)",
            counted(u64::from(kept.runs), "run")
        );
    }
    let needed = ((kept.most - kept.least) / kept.median.abs() * 100.0).ceil();
    let way = match needed.is_finite() {
        true => format!("allow {needed} %, or record it on a quieter machine"),
        false => "expect a number in place of the recording".to_owned(),
    };
    format!(
        "{}, so they differ among themselves by more than {by_percent} %, and one run cannot tell so little: {way}",
        recorded(metric, kept)
    )
}

/// Why there is nothing to compare with, and the command that makes it.
pub fn not_recorded(scenario: &str) -> String {
    match scenario {
        "" => "nothing is recorded, and no file is beside this scenario to record in".to_owned(),
        file => format!("nothing is recorded: `lastfd run --record {file}` records it"),
    }
}

fn not_measured(not: &NotMeasured) -> String {
    match not {
        NotMeasured::Absent(metric) => {
            format!("this run has no such number ({})", about(*metric))
        }
        NotMeasured::NotRecorded { scenario } => not_recorded(scenario),
        NotMeasured::Noise { metric, kept, by_percent } => noise(*metric, *kept, *by_percent),
        NotMeasured::Unknown(reason) => why::why(reason),
        NotMeasured::GeneratorFirst => "the generator ran out first".into(),
        NotMeasured::NothingMoved => "`moved` is unknown".into(),
        NotMeasured::NoCalls(workload) => format!("no workload `{workload}` made calls"),
        NotMeasured::NoOtherListener => "no other listener of its processes was found".into(),
        NotMeasured::PortNotTried(port) => {
            format!("port {port} was not tried, or not to the end: only loopback addresses are")
        }
        NotMeasured::Starved { seen, starved_s } => format!(
            "{} were seen, but the server waited {starved_s:.3} s for a processor, so its pauses may be shorter",
            evidence::delay(seen)
        ),
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

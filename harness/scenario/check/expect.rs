//! The expectations of a run: the scenario's own, overlaid with the variant's.

use super::text::{seconds, within};
use crate::scenario::amount::{Amount, Aspect, Metric, NoAmount};
use crate::scenario::expect::{Ceiling, Expect, ExpectDelay, ExpectLimits};
use crate::scenario::formula;
use crate::scenario::formula::{FormulaError, IDENTIFIERS};
use crate::scenario::problem::{Problem, nearest};
use crate::scenario::raw::{RawCeiling, RawDelay, RawExpect, RawMeasured};
use std::collections::BTreeMap;
use toml::Spanned;

/// The scenario's expectations overlaid with the variant's, key by key (also the keys of `limits`).
///
/// A ceiling that is not reached has no first failure, no policy, no delay, no recovery, no resuming, and no
/// failure in disguise. The scenario's own expectations about these no longer apply, unless the variant names
/// them. The scenario's delay does not apply to a variant of another policy.
pub(super) fn merged(base: &RawExpect, variant: Option<&RawExpect>) -> RawExpect {
    let Some(over) = variant.cloned() else { return base.clone() };
    if over.not_started.is_some() {
        return over;
    }
    let mut base = base.clone();
    over.measured.keys().filter_map(metric).for_each(|metric| base.forget(metric));
    let not_reached = match over.ceiling.as_ref().map(Spanned::get_ref) {
        Some(RawCeiling::Text(text)) => text == NOT_REACHED,
        _ => false,
    };
    let own: Vec<Metric> = Metric::ALL.iter().copied().filter(|metric| over.has(*metric)).collect();
    let limits = match (base.limits, over.limits) {
        (Some(base), Some(over)) => {
            let (soft, hard) =
                (over.get_ref().soft.or(base.get_ref().soft), over.get_ref().hard.or(base.get_ref().hard));
            Some(Spanned::new(over.span(), ExpectLimits { soft, hard }))
        }
        (base, over) => over.or(base),
    };
    let stays = |name: &Spanned<String>| match metric(name) {
        Some(metric) => !(own.contains(&metric) || not_reached && metric.of_the_limit()),
        None => !not_reached,
    };
    RawExpect {
        measured: base.measured.into_iter().filter(|(name, _)| stays(name)).chain(over.measured).collect(),
        limits,
        baseline: over.baseline.or(base.baseline),
        ceiling: over.ceiling.or(base.ceiling),
        first_failure: over.first_failure.or(base.first_failure.filter(|_| !not_reached)),
        delay: over.delay.or(base.delay.filter(|_| !not_reached && over.policy.is_none())),
        policy: over.policy.or(base.policy.filter(|_| !not_reached)),
        recovers_within: over.recovers_within.or(base.recovers_within),
        recovery: over.recovery.or(base.recovery.filter(|_| !not_reached)),
        resumes_within: over.resumes_within.or(base.resumes_within.filter(|_| !not_reached)),
        ceiling_after: over.ceiling_after.or(base.ceiling_after),
        leaked: over.leaked.or(base.leaked),
        file_max_binds: over.file_max_binds.or(base.file_max_binds),
        disguise: over.disguise.or(base.disguise.filter(|_| !not_reached)),
        other_listeners: over.other_listeners.or(base.other_listeners),
        outcomes: base.outcomes.into_iter().chain(over.outcomes).collect(),
        not_started: base.not_started,
    }
}

pub(super) fn metric(name: &Spanned<String>) -> Option<Metric> {
    name.get_ref().parse().ok()
}

impl RawExpect {
    /// Whether this metric has a plain value, by the key of its own.
    fn has(&self, metric: Metric) -> bool {
        let limits = self.limits.as_ref().map(|limits| *limits.get_ref()).unwrap_or_default();
        match metric {
            Metric::SoftLimit => limits.soft.is_some(),
            Metric::HardLimit => limits.hard.is_some(),
            Metric::Baseline => self.baseline.is_some(),
            Metric::Leaked => self.leaked.is_some(),
            Metric::RecoversWithin => self.recovers_within.is_some(),
            _ => false,
        }
    }

    /// Takes that value out.
    fn forget(&mut self, metric: Metric) {
        let limits = self.limits.as_mut().map(Spanned::get_mut);
        match (metric, limits) {
            (Metric::SoftLimit, Some(limits)) => limits.soft = None,
            (Metric::HardLimit, Some(limits)) => limits.hard = None,
            (Metric::Baseline, _) => self.baseline = None,
            (Metric::Leaked, _) => self.leaked = None,
            (Metric::RecoversWithin, _) => self.recovers_within = None,
            _ => {}
        }
    }
}

/// The expected amounts.
pub(super) fn amounts(raw: &RawExpect, problems: &mut Vec<Problem>) -> BTreeMap<Metric, Amount> {
    let mut read = |(name, value): (&Spanned<String>, &Spanned<RawMeasured>)| {
        let metric = metric(name)?;
        let text = match value.get_ref() {
            RawMeasured::Integer(number) => number.to_string(),
            RawMeasured::Number(number) => number.to_string(),
            RawMeasured::Text(text) => text.clone(),
            RawMeasured::Words(_) => return None,
        };
        Amount::read(metric, &text)
            .map_err(|error| problems.push(no_amount(value, metric, &text, &error)))
            .ok()
            .map(|amount| (metric, amount))
    };
    raw.measured.iter().filter_map(&mut read).collect()
}

pub(super) fn no_amount(
    value: &Spanned<RawMeasured>,
    metric: Metric,
    text: &str,
    error: &NoAmount,
) -> Problem {
    let at = match error {
        NoAmount::Formula { at, .. } => within(value.span(), text, at.clone()),
        _ => value.span(),
    };
    let help = format!(
        "`{metric}` is {}, a range of two (\"A..=B\"), \"at most …\", \"at least …\", or \"no worse than recorded by 5 %\"",
        metric.unit().example()
    );
    Problem::new(at, format!("{text:?} is not an amount of `{metric}`"), error.to_string()).help(help)
}

/// The expected words.
pub(super) fn aspects(raw: &RawExpect) -> BTreeMap<Aspect, Vec<String>> {
    let read = |(name, value): (&Spanned<String>, &Spanned<RawMeasured>)| {
        let aspect: Aspect = name.get_ref().parse().ok()?;
        match value.get_ref() {
            RawMeasured::Text(text) => Some((aspect, vec![text.clone()])),
            RawMeasured::Words(words) => Some((aspect, words.clone())),
            RawMeasured::Integer(_) | RawMeasured::Number(_) => None,
        }
    };
    raw.measured.iter().filter_map(read).collect()
}

/// How a scenario says that nothing fails.
const NOT_REACHED: &str = "not reached";

pub(super) fn expect(raw: &RawExpect, problems: &mut Vec<Problem>) -> Expect {
    let limits = raw.limits.as_ref().map(|limits| *limits.get_ref()).unwrap_or_default();
    if let (Some(limits), Some(soft), Some(hard)) = (&raw.limits, limits.soft, limits.hard)
        && soft > hard
    {
        problems.push(Problem::new(
            limits.span(),
            "no process has a soft limit above its hard limit",
            format!("{soft} > {hard}"),
        ));
    }
    Expect {
        limits,
        ceiling: raw.ceiling.as_ref().and_then(|raw| ceiling(raw, problems)),
        baseline: raw.baseline,
        first_failure: raw.first_failure.clone(),
        policy: raw.policy,
        delay: raw.delay.as_ref().map(|raw| delay(raw, problems)),
        recovers_within_s: raw
            .recovers_within
            .as_ref()
            .map(|_| seconds(raw.recovers_within.as_ref(), 0.0, problems)),
        recovery: raw.recovery,
        resumes_within_s: raw
            .resumes_within
            .as_ref()
            .map(|_| seconds(raw.resumes_within.as_ref(), 0.0, problems)),
        ceiling_after: raw.ceiling_after.as_ref().and_then(|raw| ceiling(raw, problems)),
        leaked: raw.leaked,
        file_max_binds: raw.file_max_binds,
        disguise: raw.disguise.clone(),
        other_listeners: raw.other_listeners,
        outcomes: raw
            .outcomes
            .iter()
            .map(|(workload, met)| (workload.get_ref().clone(), met.clone()))
            .collect(),
        amounts: amounts(raw, problems),
        aspects: aspects(raw),
        not_started: raw.not_started.clone(),
    }
}

pub(super) fn delay(raw: &Spanned<RawDelay>, problems: &mut Vec<Problem>) -> ExpectDelay {
    let mut read = |text: &String| seconds(Some(&Spanned::new(raw.span(), text.clone())), 0.0, problems);
    match raw.get_ref() {
        RawDelay::Constant(text) => {
            let always_s = read(text);
            ExpectDelay { first_s: always_s, longest_s: always_s }
        }
        RawDelay::Grows(growth) => {
            let delay = ExpectDelay { first_s: read(&growth.first), longest_s: read(&growth.longest) };
            if delay.first_s > delay.longest_s {
                let label = format!("{} > {}", growth.first, growth.longest);
                problems.push(Problem::new(raw.span(), "the first pause is longer than the longest", label));
            }
            delay
        }
    }
}

pub(super) fn ceiling(raw: &Spanned<RawCeiling>, problems: &mut Vec<Problem>) -> Option<Ceiling> {
    let (from, to) = match raw.get_ref() {
        RawCeiling::Exactly(count) => return Some(Ceiling::Exactly(*count)),
        RawCeiling::Text(text) if text == NOT_REACHED => return Some(Ceiling::NotReached),
        RawCeiling::Range(range) => (range.from, range.to),
        RawCeiling::Text(text) => {
            match text.split_once("..=").map(|(from, to)| (from.trim().parse(), to.trim().parse())) {
                Some((Ok(from), Ok(to))) => (from, to),
                Some(_) => {
                    problems.push(Problem::new(
                        raw.span(),
                        format!("{text:?} is not a range"),
                        "wanted two numbers, such as \"1010..=1013\"",
                    ));
                    return None;
                }
                None => {
                    return match formula::parse(text) {
                        Ok(_) => Some(Ceiling::Formula(text.clone())),
                        Err(error) => {
                            problems.push(no_formula(raw, text, &error));
                            None
                        }
                    };
                }
            }
        }
    };
    if from > to {
        problems.push(Problem::new(raw.span(), "the range is empty", format!("{from} > {to}")));
    }
    Some(Ceiling::Range(from, to))
}

pub(super) fn no_formula(raw: &Spanned<RawCeiling>, text: &str, error: &FormulaError) -> Problem {
    let at = within(raw.span(), text, error.at());
    let near = match error {
        FormulaError::Identifier { word, .. } => nearest(word, IDENTIFIERS),
        FormulaError::Wanted { .. } | FormulaError::NoCount { .. } | FormulaError::Long { .. } => None,
    };
    let label = near.map_or(error.to_string(), |near| format!("did you mean `{near}`?"));
    let help = "a ceiling is a number, a range (\"1010..=1013\"), \"not reached\", or a formula with `+ - * /` and parentheses over \
                numbers, `soft`, `hard` and `baseline`";
    Problem::new(at, format!("{text:?} is not a ceiling: {error}"), label).help(help)
}

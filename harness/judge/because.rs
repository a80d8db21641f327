//! Observations that explain a value. Pure.

use super::reason::Because;
use crate::measure::Findings;
use crate::scenario::Metric;

/// The observation that a reader would ask for next to the value.
pub(super) fn because(found: &Findings, metric: Metric) -> Option<Because> {
    match metric {
        Metric::SoftLimit | Metric::HardLimit => set_by(found),
        Metric::Leaked | Metric::OpenedOnce => leaks(found),
        Metric::RecoversWithin => found.end.get().map(|end| Because::End(end.verdict, end.evidence.clone())),
        metric if metric.needs_clients() => first_failure(found),
        metric if metric.of_the_limit() => policy(found),
        _ => None,
    }
}

pub(super) fn set_by(found: &Findings) -> Option<Because> {
    found.limits.set_by.get().cloned().map(Because::SetBy)
}

pub(super) fn leaks(found: &Findings) -> Option<Because> {
    (!found.leaks.is_empty()).then(|| Because::Leaks(found.leaks.clone()))
}

pub(super) fn first_failure(found: &Findings) -> Option<Because> {
    let first = found.ceiling.first_failure.get()?;
    let limits = found.limits.effective.value();
    Some(Because::Failed { call: first.call, errno: first.errno, soft: limits.map(|limits| limits.soft) })
}

pub(super) fn policy(found: &Findings) -> Option<Because> {
    let seen = &found.policy;
    seen.policy.value().zip(seen.evidence.get()).map(|(policy, why)| Because::Policy(policy, why.clone()))
}

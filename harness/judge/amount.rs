//! Numbers and words that are compared as the table of metrics says: one way for all of them.

use super::because::{because, first_failure, policy};
use super::metric::{no_worse, value};
use super::{Because, Compared, Expectation, Expected, Judge, NotMeasured, Observed};
use crate::measure::Findings;
use crate::scenario::formula::Values;
use crate::scenario::{AmountBound, Aspect, Wanted};

impl Judge<'_> {
    pub(super) fn amounts(&mut self) {
        for (metric, amount) in &self.expect.amounts {
            let compared = value(self.found, *metric).and_then(|value| {
                let (kept, [least, most]) = match &amount.wanted {
                    Wanted::Between { least, most } => {
                        (None, [self.bound(least.as_ref())?, self.bound(most.as_ref())?])
                    }
                    Wanted::NoWorse { by_percent, kept, scenario } => {
                        let not_recorded = || NotMeasured::NotRecorded { scenario: scenario.clone() };
                        let kept = kept.ok_or_else(not_recorded)?;
                        (Some(kept), no_worse(*metric, kept, *by_percent)?)
                    }
                };
                let met = least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most);
                let because = because(self.found, *metric);
                Ok((met, Observed::Amount { value, least, most, kept, because }))
            });
            self.compare(Expectation::Amount(*metric), Expected::Amount(amount.clone()), compared);
        }
    }

    /// The value of a range's end under the limits in force.
    fn bound(&self, bound: Option<&AmountBound>) -> Result<Option<f64>, NotMeasured> {
        let values = |formula: &str| -> Result<(String, Values), NotMeasured> {
            let limits = self.found.limits.effective.known()?;
            let baseline = *self.found.baseline.counted.known()?;
            Ok((formula.to_owned(), Values { soft: limits.soft, hard: limits.hard, baseline }))
        };
        match bound {
            None => Ok(None),
            Some(AmountBound::Number(number)) => Ok(Some(*number)),
            Some(bound @ AmountBound::Formula(text)) => {
                let (formula, values) = values(text)?;
                let number = bound.number(values);
                number.map(Some).map_err(|why| NotMeasured::NoCount { formula, why, values })
            }
        }
    }

    pub(super) fn aspects(&mut self) {
        for (aspect, accepted) in &self.expect.aspects {
            let compared: Compared = word(self.found, *aspect).map(|seen| {
                let fits = |accepted: &String| match (&seen, aspect) {
                    (Some(seen), Aspect::ErrorReply) => seen.contains(accepted.as_str()),
                    (Some(seen), _) => seen == accepted,
                    (None, _) => false,
                };
                let because = match aspect {
                    Aspect::Binds => self.found.binds.get().map(|b| Because::Binds(b.evidence.clone())),
                    Aspect::CeilingKind => first_failure(self.found),
                    Aspect::NewClient => policy(self.found),
                    _ => None,
                };
                (accepted.iter().any(fits), Observed::Word { seen, because })
            });
            self.compare(Expectation::Aspect(*aspect), Expected::AnyOf(accepted.clone()), compared);
        }
    }
}

/// The word for this aspect of the run; `None`: no client got an error reply.
fn word(found: &Findings, aspect: Aspect) -> Result<Option<String>, NotMeasured> {
    Ok(match aspect {
        Aspect::CeilingKind => Some(found.ceiling.kind.known()?.name().to_owned()),
        Aspect::Binds => Some(found.binds.known()?.resource.name().to_owned()),
        Aspect::NewClient => Some(found.new_client.known()?.name().to_owned()),
        Aspect::ErrorReply => found.error_replies.as_ref().map(|replies| replies.first.clone()),
    })
}

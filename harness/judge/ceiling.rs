//! Where it stopped, under the first limits and under those that were moved.

use super::because::first_failure;
use super::{Compared, Expectation, Expected, Judge, NotMeasured, Observed};
use crate::event::{Errno, Limits};
use crate::measure::{Findings, Kind, Moved};
use crate::scenario::{Ceiling, formula};

impl Judge<'_> {
    pub(super) fn ceiling(&mut self) {
        let Some(expected) = &self.expect.ceiling else { return };
        let compared = stopped(expected, self.found);
        self.compare(Expectation::Ceiling, Expected::Ceiling(expected.clone()), compared);
    }

    pub(super) fn first_failure(&mut self) {
        let Some(expected) = &self.expect.first_failure else { return };
        let ceiling = &self.found.ceiling;
        let compared = match (ceiling.first_failure.get(), ceiling.kind.known()) {
            (Some(seen), _) => {
                Ok((expected.is(seen.call, Errno::named(seen.errno)), Observed::Failure(seen.clone())))
            }
            (None, Ok(_)) => Ok((false, Observed::NoFailure)),
            (None, Err(why)) => Err(why.into()),
        };
        self.compare(Expectation::FirstFailure, Expected::Failure(expected.clone()), compared);
    }

    /// Under the limits that were moved last.
    pub(super) fn ceiling_after(&mut self) {
        let Some(expected) = &self.expect.ceiling_after else { return };
        let compared = last_moved(self.found).and_then(|moved| after(expected, moved, self.found));
        self.compare(Expectation::CeilingAfter, Expected::Ceiling(expected.clone()), compared);
    }
}

/// The last move of its limits.
pub(super) fn last_moved(found: &Findings) -> Result<&Moved, NotMeasured> {
    found.moved.known()?.last().ok_or(NotMeasured::NothingMoved)
}

/// Whether the ceiling is as expected, and what it is.
fn stopped(expected: &Ceiling, found: &Findings) -> Compared {
    let ceiling = &found.ceiling;
    let kind = match (ceiling.kind.known(), ceiling.reached.value(), ceiling.connections().value()) {
        (Ok(kind), ..) => *kind,
        (Err(_), Some(reached), Some(held)) => return by_count(expected, found, reached, held),
        (Err(why), ..) => return Err(why.into()),
    };
    let calls = ceiling.calls_answered();
    let number = ceiling.connections().known().copied().or_else(|why| calls.ok_or(why));
    let before_ramp = ceiling.before_ramp.clone();
    match kind {
        Kind::Generator => Err(NotMeasured::GeneratorFirst),
        Kind::NotReached => {
            let met = *expected == Ceiling::NotReached && ceiling.first_failure.get().is_none();
            // A load that is too small says nothing of what was expected.
            if let Some((wanted, came)) = beyond(expected, found)? {
                return Err(NotMeasured::TooFewClients { wanted, came });
            }
            Ok((met, Observed::NotReached { number: number.ok(), calls: calls.is_some(), before_ramp }))
        }
        kind if *expected == Ceiling::NotReached => {
            Ok((false, Observed::Stopped { number: number.ok(), kind, before_ramp }))
        }
        _ => counted(expected, number?, effective(found), found),
    }
}

/// The number that is expected, where fewer clients came than that, and how many these were.
fn beyond(expected: &Ceiling, found: &Findings) -> Result<Option<(u64, u64)>, NotMeasured> {
    let wanted = match expected {
        Ceiling::NotReached => return Ok(None),
        Ceiling::Exactly(n) | Ceiling::Range(n, _) => *n,
        Ceiling::Formula(text) => evaluated(text, effective(found)?, found)?,
    };
    let came = found.clients_account.value().map(|account| account.came());
    Ok(came.filter(|came| *came < wanted).map(|came| (wanted, came)))
}

/// The value of a formula under these limits.
fn evaluated(text: &str, limits: Limits, found: &Findings) -> Result<u64, NotMeasured> {
    let values =
        formula::Values { soft: limits.soft, hard: limits.hard, baseline: *found.baseline.counted.known()? };
    let formula = formula::parse(text).map_err(NotMeasured::Formula)?;
    formula.count(values).map_err(|why| NotMeasured::NoCount { formula: text.to_owned(), why, values })
}

/// The same where nobody saw a call fail, and the descriptor count tells how many it holds.
fn by_count(expected: &Ceiling, found: &Findings, reached: bool, held: u64) -> Compared {
    match expected {
        Ceiling::NotReached => Ok((!reached, Observed::HeldByCount(held))),
        _ if !reached => Ok((false, Observed::HeldByCount(held))),
        _ => counted(expected, held, effective(found), found),
    }
}

fn after(expected: &Ceiling, moved: &Moved, found: &Findings) -> Compared {
    let held = *moved.accepted_after.known()?;
    let failed = moved.next_failure.get().map(|failure| (failure.call, failure.errno));
    match (expected, failed) {
        (Ceiling::NotReached, _) | (_, None) => {
            let met = *expected == Ceiling::NotReached && failed.is_none();
            Ok((met, Observed::HeldAfter { held, failed }))
        }
        _ => counted(expected, held, Ok(Limits { soft: moved.soft, hard: moved.hard }), found),
    }
}

fn effective(found: &Findings) -> Result<Limits, NotMeasured> {
    Ok(*found.limits.effective.known()?)
}

/// Whether this many are as many as expected, under these limits.
fn counted(
    expected: &Ceiling,
    number: u64,
    limits: Result<Limits, NotMeasured>,
    found: &Findings,
) -> Compared {
    let (met, formula) = match expected {
        Ceiling::Exactly(n) => (number == *n, None),
        Ceiling::Range(from, to) => ((*from..=*to).contains(&number), None),
        Ceiling::Formula(text) => {
            let wanted = evaluated(text, limits?, found)?;
            (number == wanted, Some(wanted))
        }
        Ceiling::NotReached => unreachable!("that is no number"),
    };
    Ok((met, Observed::Counted { number, formula, because: first_failure(found) }))
}

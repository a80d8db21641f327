//! The subject at the wall: its accept loop, its calls, the outcomes of clients, and its other listeners.

use super::metric::TIMER_LATE_S;
use super::{Expectation, Expected, Judge, NotMeasured, Observed};
use crate::event::SeenAs;
use crate::measure::{Delay, FileNr, Kind, Policy};
use crate::scenario::{ExpectDelay, Outcome};
use std::collections::BTreeSet;

/// Share of an expected delay that the measured one may differ by.
const DELAY_WITHIN: f64 = 0.1;

impl Judge<'_> {
    pub(super) fn policy(&mut self) {
        let Some(expected) = self.expect.policy else { return };
        let seen = &self.found.policy;
        let seen = seen.policy.known().and_then(|policy| Ok((*policy, seen.evidence.known()?.clone())));
        let compared =
            seen.map(|(policy, evidence)| (policy == expected, Observed::Policy(policy, evidence)));
        self.compare(Expectation::Policy, Expected::Policy(expected), compared.map_err(NotMeasured::from));
    }

    pub(super) fn delay(&mut self) {
        let Some(expected) = self.expect.delay else { return };
        let compared = match (self.found.policy.delay_s.known(), self.found.policy.policy.value()) {
            (Ok(seen), _) if near(expected, *seen, 0.0) => Ok((true, Observed::Delay(*seen))),
            // A try is never early, and late where it was given no processor.
            (Ok(seen), _) => match self.found.policy.starved_s.filter(|late| near(expected, *seen, *late)) {
                Some(starved_s) => Err(NotMeasured::Starved { seen: *seen, starved_s }),
                None => Ok((false, Observed::Delay(*seen))),
            },
            (Err(why), None | Some(Policy::Unclear)) => Err(why.into()),
            (Err(_), Some(other)) => Ok((false, Observed::NoPauses(other))),
        };
        self.compare(Expectation::Delay, Expected::Delay(expected), compared);
    }

    /// The outcomes of each workload's calls, in the order in which each outcome first occurred.
    pub(super) fn calls(&mut self) {
        for (workload, expected) in &self.expect.outcomes {
            let made = self.found.calls.iter().find(|made| made.workload == *workload);
            let compared = made.ok_or_else(|| NotMeasured::NoCalls(workload.clone())).map(|made| {
                let mut met: Vec<Outcome> = Vec::new();
                for outcome in made.ends.iter().filter_map(|end| end.outcome.value()) {
                    if !met.contains(&outcome) {
                        met.push(outcome);
                    }
                }
                (met == *expected, Observed::Outcomes(met))
            });
            let expectation = Expectation::Outcomes(workload.clone());
            self.compare(expectation, Expected::Outcomes(expected.clone()), compared);
        }
    }

    /// Whether the bound of the whole host binds. The call that fails says which of the two limits it met.
    pub(super) fn file_max(&mut self) {
        let Some(expected) = self.expect.file_max_binds else { return };
        let enfile = self.found.ceiling.kind.value() == Some(Kind::Enfile);
        let compared = self.found.sockets.file_nr.known().map(|&files| {
            let FileNr { allocated, max } = files;
            let binds = enfile || allocated >= max;
            (binds == expected, Observed::FileMaxBinds { binds, files })
        });
        let expected = Expected::FileMaxBinds(expected);
        self.compare(Expectation::FileMaxBinds, expected, compared.map_err(NotMeasured::from));
    }

    pub(super) fn disguise(&mut self) {
        let Some(expected) = &self.expect.disguise else { return };
        let expected: BTreeSet<SeenAs> = expected.iter().copied().collect();
        let seen: BTreeSet<SeenAs> = self.found.disguise.iter().map(|one| one.seen_as).collect();
        // Without the calls there is nothing to tell.
        let unsampled = self.found.unsampled.as_ref().filter(|_| !expected.is_subset(&seen));
        let compared = match unsampled.or(self.found.ceiling.kind.why()) {
            Some(why) => Err(why.into()),
            None => Ok((seen == expected, Observed::SeenAs(seen))),
        };
        self.compare(Expectation::Disguise, Expected::SeenAs(expected), compared);
    }

    pub(super) fn other_listeners(&mut self) {
        let Some(expected) = self.expect.other_listeners else { return };
        let others = self.found.other_listeners.iter();
        let got: Vec<(u16, Option<Outcome>)> =
            others.map(|other| (other.port, other.new_client.value())).collect();
        let differs = got.iter().any(|(_, got)| got.is_some_and(|got| got != expected));
        let untried = got.iter().find(|(_, got)| got.is_none());
        let compared = match untried {
            _ if got.is_empty() => Err(NotMeasured::NoOtherListener),
            Some((port, _)) if !differs => Err(NotMeasured::PortNotTried(*port)),
            _ => Ok((!differs, Observed::OtherListeners(got))),
        };
        self.compare(Expectation::OtherListeners, Expected::NewClient(expected), compared);
    }
}

/// Whether pauses are as long as expected, or so much longer, seconds, at the most.
fn near(expected: ExpectDelay, seen: Delay, late_s: f64) -> bool {
    let near = |expected: f64, seen: f64| {
        let within = (expected * DELAY_WITHIN).max(TIMER_LATE_S);
        (-within..=within + late_s).contains(&(seen - expected))
    };
    near(expected.first_s, seen.first) && near(expected.longest_s, seen.longest)
}

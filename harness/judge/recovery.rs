//! The subject after clients left, and after its limit was moved.

use super::because::leaks;
use super::ceiling::last_moved;
use super::{Expectation, Expected, Judge, NotMeasured, Observed};

impl Judge<'_> {
    pub(super) fn recovers(&mut self) {
        let Some(within) = self.expect.recovers_within_s else { return };
        let recovery = &self.found.recovery;
        let compared = match (recovery.new_client_served_s.known(), recovery.recovered.known()) {
            (Ok(s), _) => Ok((*s <= within, Observed::After(*s))),
            (Err(_), Ok(false)) => Ok((false, Observed::NobodyServed)),
            (Err(why), Ok(true)) | (Err(_), Err(why)) => Err(why.into()),
        };
        self.compare(Expectation::RecoversWithin, Expected::Within(within), compared);
    }

    pub(super) fn recovery(&mut self) {
        let Some(expected) = self.expect.recovery else { return };
        let compared =
            self.found.end.known().map(|end| (end.verdict == expected, Observed::Recovery(end.clone())));
        self.compare(
            Expectation::Recovery,
            Expected::Recovery(expected),
            compared.map_err(NotMeasured::from),
        );
    }

    /// After the last move.
    pub(super) fn resumes(&mut self) {
        let Some(within) = self.expect.resumes_within_s else { return };
        let compared =
            last_moved(self.found).and_then(|moved| match (moved.resumed.value(), moved.resumed_s.known()) {
                (_, Ok(s)) => Ok((*s <= within, Observed::After(*s))),
                (Some(false), Err(_)) => Ok((false, Observed::NotResumed)),
                (_, Err(why)) => Err(why.into()),
            });
        self.compare(Expectation::ResumesWithin, Expected::Within(within), compared);
    }

    pub(super) fn leaked(&mut self) {
        let Some(expected) = self.expect.leaked else { return };
        let because = leaks(self.found);
        let compared = self.found.recovery.leaked.known();
        let compared =
            compared.map(|leaked| (*leaked == expected, Observed::Leaked { number: *leaked, because }));
        self.compare(Expectation::Leaked, Expected::Leaked(expected), compared.map_err(NotMeasured::from));
    }
}

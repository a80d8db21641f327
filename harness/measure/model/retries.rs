//! The pauses between failing tries of an accept loop, as they are seen while a run goes on: so that clients
//! can be told to leave at a chosen phase of them. Arithmetic on times; what the policy *is* is measured
//! afterwards.

use crate::event::Nanos;
use std::time::Duration;

/// Failures closer than this are one try: several threads, or a burst.
const ONE_TRY: Nanos = 2_000_000;
/// A loop that pauses for less does not pause in earnest.
const PAUSE_AT_LEAST: Nanos = 5_000_000;

/// The tries of one process so far.
#[derive(Debug, Default)]
pub struct Retries {
    /// The last failure.
    last: Option<Nanos>,
    /// Nothing was accepted since then.
    unbroken: bool,
    /// Pauses between two tries without an accept between.
    longest: Nanos,
    /// The longest silence after a failure that an accept ended, before clients were told to leave.
    silent: Nanos,
    leaving: bool,
    shortest: Option<Nanos>,
    /// The last try after which the pause is as long as it gets.
    settled: Option<Nanos>,
}

impl Retries {
    /// An accept failed for want of a descriptor.
    pub fn failed(&mut self, at: Nanos) {
        let before = self.last.replace(at);
        let gap = before.map_or(Nanos::MAX, |before| at.saturating_sub(before));
        let unbroken = std::mem::replace(&mut self.unbroken, true);
        if gap < ONE_TRY {
            return;
        }
        let mut long = false;
        if unbroken {
            self.longest = self.longest.max(gap);
            self.shortest = Some(self.shortest.map_or(gap, |shortest| shortest.min(gap)));
            // Delays that grow double at most: the next one is the longest, or the plateau.
            long = gap.saturating_mul(2) >= self.longest;
        }
        let alike = self
            .shortest
            .is_some_and(|shortest| shortest.saturating_mul(4) >= self.longest.saturating_mul(3));
        if long || alike {
            self.settled = Some(at);
        }
    }

    /// An accept succeeded: a delay that grows begins again. A pause may end with it: what the subject closed
    /// meanwhile made room.
    pub fn accepted(&mut self, at: Nanos) {
        let unbroken = std::mem::replace(&mut self.unbroken, false);
        if let Some(failed) = self.last.filter(|_| unbroken && !self.leaving) {
            self.silent = self.silent.max(at.saturating_sub(failed));
        }
    }

    /// Limits are moved: that may end the silence that goes on now.
    pub fn limits_moved(&mut self) {
        self.unbroken = false;
    }

    /// Clients begin to leave. A silence that ends from now on may have ended because of that.
    pub fn clients_leave(&mut self) {
        self.leaving = true;
    }

    /// How long it may leave clients waiting that it has room for, as far as was seen at the wall; `None`: it
    /// does not.
    pub fn pause(&self) -> Option<Duration> {
        let longest = self.longest.max(self.silent);
        (longest >= PAUSE_AT_LEAST).then(|| Duration::from_nanos(longest))
    }

    /// How long it pauses, at the most; `None`: it does not, or was not seen to try twice.
    pub fn delay(&self) -> Option<Duration> {
        (self.longest >= PAUSE_AT_LEAST).then(|| Duration::from_nanos(self.longest))
    }

    /// The last try since then after which it pauses for [`Retries::delay`].
    pub fn settled_since(&self, since: Nanos) -> Option<Nanos> {
        self.settled.filter(|at| *at >= since)
    }

    /// The last failure.
    pub fn last(&self) -> Option<Nanos> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn told(gaps_ms: &[u64]) -> Retries {
        let (mut retries, mut at) = (Retries::default(), MS);
        retries.failed(at);
        for gap in gaps_ms {
            at += gap * MS;
            retries.failed(at);
        }
        retries
    }

    #[test]
    fn equal_delays_are_met_at_any_try() {
        let mut retries = told(&[500, 501, 499]);
        assert_eq!(retries.delay(), Some(Duration::from_millis(501)));
        retries.accepted(1600 * MS);
        retries.failed(1900 * MS);
        assert_eq!(
            retries.settled_since(1800 * MS),
            Some(1900 * MS),
            "the first try after an accept is as good as another"
        );
    }

    #[test]
    fn a_delay_that_grows_is_met_where_it_has_grown() {
        let mut retries = told(&[5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(retries.delay(), Some(Duration::from_millis(1000)));
        retries.accepted(4900 * MS);
        let mut at = 5000 * MS;
        for gap in [0, 5, 10, 20, 40, 80, 160, 320] {
            at += gap * MS;
            retries.failed(at);
        }
        assert_eq!(retries.settled_since(5000 * MS), None, "it waits 640 ms next");
        retries.failed(at + 640 * MS);
        assert_eq!(retries.settled_since(5000 * MS), Some(at + 640 * MS), "and then a second");
    }

    #[test]
    fn a_pause_may_end_with_an_accept_until_clients_leave() {
        let mut retries = told(&[]);
        retries.accepted(30_001 * MS);
        retries.failed(30_002 * MS);
        assert_eq!((retries.pause(), retries.delay()), (Some(Duration::from_secs(30)), None));
        let mut retries = told(&[]);
        retries.clients_leave();
        retries.accepted(30_001 * MS);
        assert_eq!(retries.pause(), None, "who left made room");
    }

    #[test]
    fn a_loop_that_spins_has_no_delay() {
        let mut retries = Retries::default();
        (0..10_000u64).for_each(|i| retries.failed(i * 3_000 + if i > 5000 { 3 * MS } else { 0 }));
        assert_eq!(
            (retries.delay(), retries.last()),
            (None, Some(9_999 * 3_000 + 3 * MS)),
            "denied the CPU once for 3 ms"
        );
        assert_eq!(told(&[]).delay(), None, "one failure has no gap");
    }
}

//! Whether the subject is at rest.

use super::live::Work;
use super::pump::Pump;
use crate::event::Nanos;
use crate::sys::clock;
use std::time::Duration;

/// For how long nothing has gone on, by looks that follow each other closely: every thread slept at each,
/// nothing was reported, and the count of descriptors stayed.
#[derive(Default)]
pub struct Stillness {
    since: Nanos,
    /// The state at that time: descriptors, and the newest descriptor call, client and work that were
    /// reported.
    newest: (u64, Nanos, Nanos, Work),
}

impl Stillness {
    /// Looks again.
    pub fn look(&mut self, pump: &Pump) -> Duration {
        let (live, now) = (&pump.live, clock::now());
        let newest = (pump.descriptors(), live.last_descriptor_call, live.last_client, live.work);
        if newest != self.newest || self.since == 0 || !pump.quiet(Duration::ZERO) {
            (self.since, self.newest) = (now, newest);
        }
        Duration::from_nanos(now - self.since)
    }
}

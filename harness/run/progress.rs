//! The activity of a subject that nobody is connected to any more: it closes descriptors, it works off its
//! accept queue, or it opens some by itself.

use super::pump::Pump;
use crate::event::Nanos;
use crate::sys::clock;
use std::time::Duration;

/// One descriptor more is no chance if this happened so many times, one after the other, with nobody
/// connected.
const GROWS_AFTER: u32 = 8;
/// The growth must also last so long that its rate is known: samples come every 10 ms. Nanoseconds.
const GROWS_FOR: Nanos = 300_000_000;

/// The least descriptors and the shortest queue that were seen, and when one of them last fell.
pub struct Progress {
    open: u64,
    queue: u32,
    moved_at: Nanos,
    /// The most descriptors since then, and how often there were more than before.
    most: u64,
    rises: u32,
}

impl Progress {
    /// The progress from now on.
    pub fn of(pump: &mut Pump) -> Self {
        let open = open(pump);
        Progress { open, queue: pump.queue().unwrap_or(0), moved_at: clock::now(), most: open, rises: 0 }
    }

    /// Takes in the present counts; returns for how long none has fallen.
    pub fn still(&mut self, pump: &mut Pump) -> Duration {
        let (now, open, queue) = (clock::now(), open(pump), pump.queue().unwrap_or(0));
        if open < self.open || queue < self.queue {
            (self.open, self.queue) = (self.open.min(open), self.queue.min(queue));
            (self.moved_at, self.most, self.rises) = (now, open, 0);
        } else if open > self.most {
            (self.most, self.rises) = (open, self.rises + 1);
        }
        Duration::from_nanos(now - self.moved_at)
    }

    /// Whether it opens one descriptor after another, with nobody in its queue.
    pub fn grows(&self) -> bool {
        let watched = clock::now().saturating_sub(self.moved_at);
        self.rises >= GROWS_AFTER && watched >= GROWS_FOR && self.queue == 0
    }
}

/// Descriptors of all its processes.
fn open(pump: &Pump) -> u64 {
    pump.open().iter().map(|(_, open)| open).sum()
}

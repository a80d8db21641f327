//! The reports of a driver: events as JSON lines, buffered for a moment, because each flush wakes the run on
//! a machine that is busy.

use crate::event::{Client, Event, Nanos, Pacing, What};
use crate::sys::clock;
use std::io::{self, Write};

/// Buffered bytes beyond which a turn does not wait for its end.
const FLUSH_BYTES: usize = 256 * 1024;
/// Events are handed on within this, nanoseconds: every event has its own time, so the wait distorts nothing.
const FLUSH_EVERY: u64 = 2_000_000;

/// Writes events of one workload.
pub struct Reporter<W> {
    workload: String,
    buffer: Vec<u8>,
    /// When the oldest event in the buffer must be handed on; monotonic nanoseconds.
    due: u64,
    to: W,
}

impl<W: Write> Reporter<W> {
    /// For the events of this workload.
    pub fn new(workload: String, to: W) -> Reporter<W> {
        Reporter { workload, buffer: Vec::new(), due: u64::MAX, to }
    }

    /// The workload's name.
    pub fn workload(&self) -> String {
        self.workload.clone()
    }

    /// Something happened now.
    pub fn say(&mut self, is: What) {
        self.say_of(clock::now(), is);
    }

    /// Something happened at this time, which is not long ago.
    pub fn say_of(&mut self, at: Nanos, is: What) {
        if self.buffer.is_empty() {
            self.due = clock::now() + FLUSH_EVERY;
        }
        serde_json::to_writer(&mut self.buffer, &Event { at, is }).expect("an event is always JSON");
        self.buffer.push(b'\n');
    }

    /// A client reached a state now.
    pub fn client(&mut self, id: u32, state: Client) {
        self.say(What::Client { workload: self.workload(), id, state });
    }

    /// The pacing changed now.
    pub fn pacing(&mut self, state: Pacing, connected: u32) {
        self.say(What::Pacing { workload: self.workload(), state, connected });
    }

    /// When [`Reporter::flush_if_due`] has something to do; `u64::MAX`: nothing was said.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Flushes what was said a moment ago.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn flush_if_due(&mut self) -> io::Result<()> {
        if clock::now() >= self.due { self.flush() } else { Ok(()) }
    }

    /// Hands what was said to the reader; waits while the pipe is full.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.to.write_all(&self.buffer)?;
            self.to.flush()?;
            self.buffer.clear();
            self.due = u64::MAX;
        }
        Ok(())
    }

    /// Flushes when much was said within one turn.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn flush_if_large(&mut self) -> io::Result<()> {
        if self.buffer.len() > FLUSH_BYTES { self.flush() } else { Ok(()) }
    }
}

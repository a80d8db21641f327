//! The run's own copy of the event log: times made relative to the run's start, appended to a file when one is asked for.

use crate::event::{Event, LogError, Nanos, What, Writer};
use crate::sys::clock;
use std::path::Path;

/// Everything reported so far, in the order it was reported.
#[derive(Debug)]
pub struct Journal {
    started: Nanos,
    events: Vec<Event>,
    file: Option<Writer>,
    lost: Option<std::io::Error>,
}

impl Journal {
    /// An empty journal whose clock starts now; `file` is created before anything is started.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn open(file: Option<&Path>) -> Result<Self, LogError> {
        let file = file.map(Writer::create).transpose()?;
        Ok(Journal { started: clock::now(), events: Vec::new(), file, lost: None })
    }

    /// Records something that the run itself saw, now.
    pub fn record(&mut self, what: What) {
        self.absorb(Event { at: clock::now(), is: what });
    }

    /// Takes an event with an absolute `CLOCK_MONOTONIC` time.
    pub fn absorb(&mut self, event: Event) {
        let event = Event { at: event.at.saturating_sub(self.started), is: event.is };
        if let Some(writer) = &mut self.file
            && let Err(error) = writer.append(&event)
        {
            self.lost.get_or_insert(error);
            self.file = None;
        }
        self.events.push(event);
    }

    /// All events; and why the file lacks some of them, if it does.
    pub fn close(mut self) -> (Vec<Event>, Option<std::io::Error>) {
        if let Some(Err(error)) = self.file.as_mut().map(Writer::flush) {
            self.lost.get_or_insert(error);
        }
        (self.events, self.lost)
    }
}

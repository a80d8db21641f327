//! The run's own copy of the event log: times made relative to the run's start, appended to a file when one
//! is asked for.

use super::moment::Moments;
use crate::event::{Client, Event, LogError, Nanos, Redaction, What, Writer};
use crate::sys::clock;
use std::path::Path;

/// Everything reported so far, in the order it was reported.
#[derive(Debug)]
pub struct Journal {
    started: Nanos,
    events: Vec<Event>,
    file: Option<Writer>,
    /// The texts that reports leave out.
    redaction: Redaction,
    lost: Option<std::io::Error>,
    /// The run at each moment, from event to event.
    pub moments: Moments,
}

impl Journal {
    /// An empty journal whose clock starts now; `file` is created before anything is started.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn open(file: Option<&Path>, redaction: Redaction) -> Result<Self, LogError> {
        let file = file.map(Writer::create).transpose()?;
        let (events, moments) = (Vec::new(), Moments::default());
        Ok(Journal { started: clock::now(), events, file, redaction, lost: None, moments })
    }

    /// The texts that reports leave out.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Records something that the run itself saw, now.
    pub fn record(&mut self, what: What) {
        self.absorb(Event { at: clock::now(), is: what });
    }

    /// Takes an event with an absolute `CLOCK_MONOTONIC` time.
    pub fn absorb(&mut self, event: Event) {
        let mut event = Event { at: event.at.saturating_sub(self.started), is: event.is };
        redact(&mut event.is, &self.redaction);
        if let Some(writer) = &mut self.file
            && let Err(error) = writer.append(&event)
        {
            self.lost.get_or_insert(error);
            self.file = None;
        }
        self.moments.note(&event);
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

/// Removes from an event the texts that may not be written. The plan and the chain come without them.
fn redact(what: &mut What, redaction: &Redaction) {
    match what {
        What::Launched { argv, .. } => *argv = redaction.words(argv),
        What::Output { line: text }
        | What::Probe { detail: text, .. }
        | What::ProgramEnded { words: text, .. }
        | What::Client { state: Client::ErrorReply(text) | Client::ErrorAnswer(text), .. }
        | What::FailedPath { path: text, .. }
        | What::NotSeen { why: text, .. }
        | What::NotStarted { reason: text }
        | What::Inconclusive { reason: text } => *text = redaction.text(text),
        _ => {}
    }
}

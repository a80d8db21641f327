//! The progress of one call and the reason why it stopped: noted as it goes, so that both are known for a
//! call that was cut off, too.

use crate::event::{CallStep, Nanos, Outcome};
use crate::sys::clock;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step:?}: {words}")]
pub struct Stop {
    /// The step.
    pub step: CallStep,
    /// The outcome; `None`: the caller's own side failed.
    pub outcome: Option<Outcome>,
    /// The errno of the system call that failed.
    pub errno: Option<i32>,
    /// The server's words, or ours.
    pub words: String,
}

impl Stop {
    /// A stop by a deadline: a connect has timed out; a connected client got no response.
    pub fn overdue(step: CallStep) -> Stop {
        let outcome = if step <= CallStep::Connect { Outcome::TimesOut } else { Outcome::Waits };
        Stop { step, outcome: Some(outcome), errno: None, words: "no word before the deadline".into() }
    }

    /// A stop by an answer that is not the one asked for.
    pub fn told(step: CallStep, words: String) -> Stop {
        Stop { step, outcome: Some(Outcome::ErrorReply), errno: None, words }
    }

    /// A stop by the end of the connection.
    pub fn closed(step: CallStep, words: String) -> Stop {
        Stop { step, outcome: Some(Outcome::Closed), errno: None, words }
    }

    /// A stop by a failed system call.
    pub fn io(step: CallStep, error: &io::Error) -> Stop {
        let outcome = match error.kind() {
            _ if step <= CallStep::Socket => None,
            ErrorKind::ConnectionRefused => Some(Outcome::Refused),
            // No Unix socket has this name.
            ErrorKind::NotFound if step == CallStep::Connect => Some(Outcome::Refused),
            ErrorKind::TimedOut if step == CallStep::Connect => Some(Outcome::TimesOut),
            ErrorKind::TimedOut => Some(Outcome::Waits),
            ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionAborted => Some(Outcome::Closed),
            // TLS that is none, or a certificate that is not trusted.
            ErrorKind::InvalidData => Some(Outcome::ErrorReply),
            _ => None,
        };
        Stop { step, outcome, errno: error.raw_os_error(), words: error.to_string() }
    }

    /// The first stop of its kind among an error and its sources; otherwise a stop from the first I/O error,
    /// or from the words.
    pub fn found(error: &(dyn std::error::Error + 'static), step: CallStep) -> Stop {
        let mut io = None;
        let mut cause = Some(error);
        while let Some(e) = cause {
            if let Some(stop) = e.downcast_ref::<Stop>() {
                return stop.clone();
            }
            io = io.or_else(|| e.downcast_ref::<io::Error>());
            cause = e.source();
        }
        io.map_or_else(|| Stop::closed(step, error.to_string()), |e| Stop::io(step, e))
    }
}

/// The progress of a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    /// When it began.
    pub began: Nanos,
    /// Time and duration of its TCP connect.
    pub connected: Option<(Nanos, Nanos)>,
    /// TLS handshakes completed.
    pub handshakes: u32,
    /// Handshakes that resumed an earlier session.
    pub resumed: u32,
    /// How long the handshakes took.
    pub shaken: Option<Nanos>,
    /// How long it took from the first request to the head of its answer.
    pub headed: Option<Nanos>,
    /// When the answer was there, or where it stopped; `None`: it goes on.
    pub ended: Option<Nanos>,
}

/// One call's notes, for the call itself and for its observer.
#[derive(Debug, Clone, Default)]
pub struct Course(Arc<Mutex<Passed>>);

impl Course {
    /// The call begins.
    pub fn begun(&self) {
        self.note(|passed| passed.began = clock::now());
    }

    /// The TCP connect that began then has succeeded.
    pub fn connected(&self, began: Nanos) {
        let now = clock::now();
        self.note(|passed| passed.connected = Some((now, now - began)));
    }

    /// A TLS handshake that began then is complete: it resumed a session or was a whole one.
    pub fn shaken(&self, began: Nanos, resumed: bool) {
        let took = clock::now() - began;
        self.note(|passed| {
            passed.handshakes += 1;
            passed.resumed += u32::from(resumed);
            passed.shaken = Some(passed.shaken.unwrap_or(0) + took);
        });
    }

    /// The answer to a request that was sent then begins; the first time counts.
    pub fn headed(&self, sent: Nanos) {
        let took = clock::now() - sent;
        self.note(|passed| passed.headed = passed.headed.or(Some(took)));
    }

    /// The call is over, whatever closing its connection still takes; the first time counts.
    pub fn ended(&self) {
        self.note(|passed| passed.ended = passed.ended.or(Some(clock::now())));
    }

    /// The progress so far.
    pub fn passed(&self) -> Passed {
        *self.0.lock().expect("no panic while noting")
    }

    /// The call is made once more, from the connect on.
    pub fn again(&self) {
        self.note(|passed| (passed.connected, passed.headed, passed.ended) = (None, None, None));
    }

    /// Takes over the connect and the handshakes of another course, which has none any more.
    pub fn adopt(&self, other: &Course) {
        let taken = std::mem::take(&mut *other.0.lock().expect("no panic while noting"));
        self.note(|passed| {
            passed.connected = passed.connected.or(taken.connected);
            passed.handshakes += taken.handshakes;
            passed.resumed += taken.resumed;
            passed.shaken = passed.shaken.or(taken.shaken);
        });
    }

    fn note(&self, change: impl FnOnce(&mut Passed)) {
        change(&mut self.0.lock().expect("no panic while noting"));
    }
}

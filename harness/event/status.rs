//! The HTTP status in a driver's words: the one place that knows how it is written, for who writes it and who
//! reads it. An event has no field for it.

use std::fmt;

/// The status of an HTTP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Of an answer, error or not: `status 404`.
    Answer(u16),
    /// Of an error reply, before its reason: `HTTP 503`.
    ErrorReply(u16),
}

const ANSWER: &str = "status ";
const ERROR_REPLY: &str = "HTTP ";

impl Status {
    /// The status that these words begin with; `None` where they do not. An echo, or another protocol's
    /// complaint, does not.
    pub fn of(words: &str) -> Option<Status> {
        let number = |rest: &str| rest.get(..3)?.parse().ok();
        let answer = words.strip_prefix(ANSWER).and_then(number).map(Status::Answer);
        answer.or_else(|| words.strip_prefix(ERROR_REPLY).and_then(number).map(Status::ErrorReply))
    }

    /// Its three digits as a number.
    pub const fn number(self) -> u16 {
        match self {
            Status::Answer(number) | Status::ErrorReply(number) => number,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Answer(number) => write!(f, "{ANSWER}{number}"),
            Status::ErrorReply(number) => write!(f, "{ERROR_REPLY}{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_status_is_read_as_it_is_written_and_from_no_other_words() {
        for status in [Status::Answer(404), Status::ErrorReply(503)] {
            assert_eq!(Status::of(&status.to_string()), Some(status));
        }
        assert_eq!(Status::of("status 200, and the server closes after it"), Some(Status::Answer(200)));
        assert_eq!(Status::of("HTTP 503 Service Unavailable"), Some(Status::ErrorReply(503)));
        let other = ["", "HTTP/2: reset", "HTTP/1.1 503 Busy", "404 Not Found", "status", "-ERR 503"];
        assert_eq!(other.map(Status::of), [None; 6]);
    }
}

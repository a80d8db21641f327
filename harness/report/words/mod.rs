//! Every sentence of every report, from typed values: for the terminal, Markdown, JUnit, JSON and `explain`
//! alike. Nothing below this room holds prose, and no other room of the reports makes any. One file a
//! finding: its name, its cause, and why it is unknown.

pub mod advice;
pub mod baseline;
pub mod binds;
pub mod calls;
pub mod ceiling;
pub mod clients;
pub mod compare;
pub mod costs;
pub mod doubts;
pub mod evidence;
pub mod first;
pub mod flows;
pub mod judged;
pub mod kernel;
pub mod launcher;
pub mod limits;
pub mod memory;
pub mod moved;
pub mod network;
pub mod phases;
pub mod picture;
pub mod plan;
pub mod policy;
pub mod prediction;
pub mod recovery;
pub mod remedies;
pub mod rounds;
pub mod sockets;
pub mod story;
pub mod sweep;
pub mod upstream;
pub mod wall;
pub mod why;
pub mod witnesses;

/// The note below a text that was cut.
pub const CUT: &str = "The rest did not fit here: `--markdown FILE` writes all of it.";

use super::Report;
use super::repeats::Repeats;
use crate::event::{DescriptorKind, Errno, Outcome};

/// The mark of a ceiling that was counted by the growth of `/proc`'s descriptor count, because no observer
/// saw the calls.
pub const BY_COUNT: &str = "by descriptor count";

/// How many of several runs met their expectations.
pub fn repeats(repeats: &Repeats) -> String {
    let flaky = if repeats.flaky() { ", flaky" } else { "" };
    format!("{} of {} met{flaky}", repeats.met, repeats.runs)
}

/// A count with its noun, in the plural where it is not one.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {}", noun_of(count, noun))
}

/// The noun of a count, without it.
pub fn noun_of(count: u64, noun: &str) -> String {
    match (count, noun) {
        (1, _) => noun.to_owned(),
        (_, noun) if noun.ends_with('s') => format!("{noun}es"),
        (_, noun) => format!("{noun}s"),
    }
}

/// `one` of one, `many` of more and of none.
pub fn number<T>(count: u64, one: T, many: T) -> T {
    if count == 1 { one } else { many }
}

/// How often.
pub fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

/// A time in the unit that suits it.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// Bytes a second in the unit that suits them.
pub fn rate(bytes_per_s: f64) -> String {
    match bytes_per_s {
        b if b >= 1e6 => format!("{:.1} MB/s", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB/s", b / 1e3),
        b => format!("{b:.0} B/s"),
    }
}

/// Bytes in the unit that suits them.
pub fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    let [first @ .., last] = items else { return String::new() };
    let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
    if first.is_empty() {
        last.as_ref().to_owned()
    } else {
        format!("{} and {}", first.join(", "), last.as_ref())
    }
}

/// A descriptor of this kind, or several.
pub fn of_kind(kind: DescriptorKind, several: bool) -> String {
    let noun = match kind {
        DescriptorKind::Directory if several => return "directories".into(),
        DescriptorKind::Tcp | DescriptorKind::Udp | DescriptorKind::Unix => format!("{kind} socket"),
        DescriptorKind::TcpListen => "tcp listener".into(),
        DescriptorKind::Other => "other descriptor".into(),
        DescriptorKind::Unknown => "descriptor".into(),
        kind => kind.name().to_owned(),
    };
    if several { noun + "s" } else { noun }
}

/// A clause as a sentence: with a capital letter and a full stop.
pub fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if clause.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

/// A clause's first letter as a capital, and no full stop.
pub fn capital(text: &str) -> String {
    sentence(text).trim_end_matches('.').to_owned()
}

/// The name of the subject: a client of something else is no server.
pub fn subject(r: &Report) -> &'static str {
    if is_caller(r) { "the caller" } else { "the server" }
}

/// Whether the subject is a program that calls, and accepts nobody.
pub fn is_caller(r: &Report) -> bool {
    r.found.ceiling.in_calls() && r.found.subject.is_client
}

/// The unit of its ceiling.
pub fn unit(r: &Report) -> &'static str {
    match r.found.flows {
        _ if r.found.ceiling.in_calls() => "call",
        Some(_) => "client",
        None => "connection",
    }
}

/// A time of the run as a reader can compare it: every time in a report has this one zero.
pub fn after_start(r: &Report, at_s: f64) -> String {
    match at_s - r.found.timings.started_s {
        after if after >= 0.0 => format!("{after:.3} s after {} started", subject(r)),
        before => format!("{:.3} s before {} started", -before, subject(r)),
    }
}

/// An errno by its name where it is a frequent one.
pub fn errno_name(errno: i32) -> String {
    Errno::from_raw(errno).to_string()
}

/// The outcome of a client, as a verb.
pub fn got(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Served => "is served",
        Outcome::Waits => "connects but gets no response",
        Outcome::TimesOut => "cannot connect: its connect times out",
        Outcome::Refused => "is refused",
        Outcome::Closed => "connects, and its connection is closed",
        Outcome::ErrorReply => "gets an error reply",
    }
}

/// The outcome of several clients, after their number.
pub fn got_by_many(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Served => "served",
        Outcome::Waits => "connected without a response",
        Outcome::TimesOut => "timed out while connecting",
        Outcome::Refused => "refused",
        Outcome::Closed => "closed",
        Outcome::ErrorReply => "with an error reply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_agrees_with_its_noun() {
        let said =
            [(1, "process"), (2, "process"), (0, "client"), (1, "client")].map(|(n, noun)| counted(n, noun));
        assert_eq!(said, ["1 process", "2 processes", "0 clients", "1 client"]);
    }

    #[test]
    fn a_clause_becomes_one_sentence() {
        assert_eq!(sentence("it exited"), "It exited.");
        assert_eq!(sentence("does the server speak this?"), "Does the server speak this?");
    }
}

//! `exchange`: a dialogue of lines or bytes, written as data. Checked and compiled here; `drive/exchange.rs`
//! speaks it.

use super::duration::duration;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The steps of each client of an `exchange`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exchange {
    /// In this order.
    pub steps: Vec<Step>,
    /// A held client repeats its steps from the mark so often, seconds; `None`: it holds and says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
    /// A pattern: where it matches, the server turns the client away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject: Option<String>,
    /// An answer that has begun and does not match after this time is an error, seconds.
    pub read_timeout_s: f64,
}

/// One step of a dialogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Waits until what came since the last step matches this pattern (Rust's `regex`, `^` and `$` at each
    /// line).
    Read(String),
    /// Waits for this text. Escapes: `\r \n \t \0 \\ \xHH`.
    ReadText(String),
    /// Waits for so many bytes.
    ReadBytes(u32),
    /// Sends this text, with the same escapes; `{client}` stands for the client's number, always of ten
    /// digits.
    Send(String),
    /// Sends these bytes, in hexadecimal; spaces may stand between them.
    SendHex(String),
    /// Waits for so long, such as "100ms".
    Pause(String),
    /// Begins a TLS handshake on the connection.
    StartTls,
    /// From here on the steps are repeated `every` so often, and when a held client is asked again. Without
    /// it nothing is repeated.
    Mark,
    /// Closes the connection. Without it the client holds it.
    Close,
}

/// The longest answer that is looked through for a match, bytes.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that are sent between two reads; bytes that the server does not take by then are kept.
const SEND_BYTES_MAX: usize = 32 * 1024;
/// Shortest time between two repetitions, and for an answer, seconds.
const TIME_MIN_S: f64 = 0.001;
/// Longest pause, seconds.
const PAUSE_MAX_S: f64 = 3600.0;
/// An answer that has begun is waited for this long when nothing else is asked for, seconds.
pub const READ_TIMEOUT_DEFAULT_S: f64 = 3.0;

/// Why steps are no dialogue.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    /// Which step; `None`: all of them together, or `reject`.
    pub step: Option<usize>,
    /// It is the pattern of `reject`.
    pub of_reject: bool,
    /// In words.
    pub what: String,
}

/// A dialogue that can be spoken.
#[derive(Debug)]
pub struct Script {
    /// Without marks.
    pub steps: Vec<Op>,
    /// Where a held client begins when it is asked again; `None`: there is nothing to ask.
    pub again: Option<usize>,
    /// The read that makes a client served.
    pub last_read: usize,
    /// Between two repetitions.
    pub every: Option<Duration>,
    /// The pattern by which the server turns a client away.
    pub reject: Option<Regex>,
    /// From the first byte of an answer to its match.
    pub read_within: Duration,
}

impl Script {
    /// Whether TLS begins in the middle of it.
    pub fn starts_tls(&self) -> bool {
        self.steps.iter().any(|op| matches!(op, Op::StartTls))
    }
}

/// A step that can be taken.
#[derive(Debug)]
pub enum Op {
    /// Waits for the end of this.
    Read(Until),
    /// Sends.
    Send(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Begins TLS.
    StartTls,
    /// Leaves.
    Close,
}

/// The placeholder for the client's number in a text that is sent.
const CLIENT: &[u8] = b"{client}";

/// The bytes that this client sends.
pub fn addressed(bytes: &[u8], client: u32) -> std::borrow::Cow<'_, [u8]> {
    let Some(at) = bytes.windows(CLIENT.len()).position(|part| part == CLIENT) else { return bytes.into() };
    let (before, after) = (&bytes[..at], &bytes[at + CLIENT.len()..]);
    [before, format!("{client:010}").as_bytes(), &addressed(after, client)].concat().into()
}

/// How the end of an answer is found.
#[derive(Debug)]
pub enum Until {
    /// A match.
    Pattern(Regex),
    /// A text.
    Text(Vec<u8>),
    /// A count.
    Bytes(usize),
}

impl Until {
    /// Where the answer ends, once it is there.
    pub fn end(&self, heard: &[u8]) -> Option<usize> {
        match self {
            Until::Pattern(pattern) => pattern.find(heard).map(|found| found.end()),
            Until::Text(text) => {
                heard.windows(text.len()).position(|at| at == text).map(|at| at + text.len())
            }
            Until::Bytes(count) => (heard.len() >= *count).then_some(*count),
        }
    }

    /// As it was asked for.
    pub fn words(&self) -> String {
        match self {
            Until::Pattern(pattern) => format!("`{}`", pattern.as_str()),
            Until::Text(text) => format!("\"{}\"", text.escape_ascii()),
            Until::Bytes(count) => format!("{count} bytes"),
        }
    }
}

impl Exchange {
    /// These steps, and the client holds the connection after them.
    pub fn of(steps: Vec<Step>) -> Exchange {
        Exchange { steps, every_s: None, reject: None, read_timeout_s: READ_TIMEOUT_DEFAULT_S }
    }

    /// One datagram and its answer, where any will do unless a pattern is given.
    pub fn datagram(send: Step, expect: Option<&str>) -> Exchange {
        Exchange::of(vec![Step::Mark, send, Step::Read(expect.unwrap_or("(?s).").to_owned())])
    }

    /// The dialogue that can be spoken.
    ///
    /// # Errors
    /// A step that cannot be taken, and why.
    pub fn compile(&self) -> Result<Script, Fault> {
        let of_all = |what: &str| Fault { step: None, of_reject: false, what: what.into() };
        let (mut steps, mut mark) = (Vec::new(), None);
        for (index, step) in self.steps.iter().enumerate() {
            let at = |what: String| Fault { step: Some(index), of_reject: false, what };
            if matches!(steps.last(), Some(Op::Close)) {
                return Err(at("nothing follows `close`".into()));
            }
            match op(step).map_err(at)? {
                Some(Op::StartTls) if steps.iter().any(|op| matches!(op, Op::StartTls)) => {
                    return Err(at("the connection speaks TLS already".into()));
                }
                Some(op) => steps.push(op),
                None if mark.is_some() => return Err(at("there is a mark already".into())),
                None => mark = Some(steps.len()),
            }
        }
        let is_read = |op: &Op| matches!(op, Op::Read(_));
        let last_read = steps.iter().rposition(is_read).ok_or_else(|| {
            of_all("without a `read` no client is ever served: add one, or use the workload `tcp`")
        })?;
        if mark.is_some_and(|mark| mark > last_read) {
            return Err(of_all("no `read` follows the mark, so nothing can be repeated"));
        }
        let begins_tls = steps.iter().position(|op| matches!(op, Op::StartTls));
        if let (Some(mark), Some(tls)) = (mark, begins_tls)
            && mark <= tls
        {
            return Err(of_all("a connection begins TLS once: the mark follows `start-tls`"));
        }
        let question = |steps: &[Op]| {
            let sent = |op: &Op| if let Op::Send(bytes) = op { bytes.len() } else { 0 };
            steps.iter().map(sent).sum::<usize>()
        };
        if steps.split(is_read).any(|steps| question(steps) > SEND_BYTES_MAX) {
            return Err(of_all("at most 32768 bytes are sent between two reads"));
        }
        let closes = matches!(steps.last(), Some(Op::Close));
        if self.every_s.is_some() && (mark.is_none() || closes) {
            return Err(of_all(if closes {
                "a client that closes its connection repeats nothing: `every` or `close`"
            } else {
                "`every` repeats the steps from the mark, and there is none: add \"mark\" before the first of them"
            }));
        }
        let time = |seconds: f64| {
            let time = Some(seconds).filter(|seconds| (TIME_MIN_S..=PAUSE_MAX_S).contains(seconds));
            time.map(Duration::from_secs_f64)
                .ok_or_else(|| of_all("a time is at least 1 ms, and at most an hour"))
        };
        Ok(Script {
            // A question that was not meant to be repeated may end the connection (a second CONNECT in MQTT).
            again: mark.filter(|_| !closes),
            last_read,
            steps,
            every: self.every_s.map(time).transpose()?,
            reject: self.reject.as_deref().map(pattern).transpose().map_err(|what| Fault {
                step: None,
                of_reject: true,
                what,
            })?,
            read_within: time(self.read_timeout_s)?,
        })
    }
}

/// `None`: a mark.
fn op(step: &Step) -> Result<Option<Op>, String> {
    let read = |until| Op::Read(until);
    Ok(Some(match step {
        Step::Read(text) => read(Until::Pattern(pattern(text)?)),
        Step::ReadText(text) => match unescaped(text)? {
            text if text.is_empty() => return Err("an empty text is always there".into()),
            text => read(Until::Text(text)),
        },
        Step::ReadBytes(count) if (1..=READ_BYTES_MAX as u32).contains(count) => {
            read(Until::Bytes(*count as usize))
        }
        Step::ReadBytes(_) => return Err(format!("from 1 to {READ_BYTES_MAX} bytes can be read")),
        Step::Send(text) => Op::Send(unescaped(text)?),
        Step::SendHex(text) => Op::Send(hex(text)?),
        Step::Pause(text) => match duration(text) {
            Some(seconds) if (0.0..=PAUSE_MAX_S).contains(&seconds) => {
                Op::Pause(Duration::from_secs_f64(seconds))
            }
            _ => return Err("a pause is a time up to an hour, such as \"100ms\"".into()),
        },
        Step::StartTls => Op::StartTls,
        Step::Close => Op::Close,
        Step::Mark => return Ok(None),
    }))
}

/// A pattern over bytes, in which `^` and `$` match at every line.
fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).multi_line(true).build().map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        format!("this pattern does not compile: {}", last.trim_start_matches("error: "))
    })?;
    if built.is_match(b"") {
        return Err("this pattern matches before anything came".into());
    }
    Ok(built)
}

/// The bytes that a text with escapes stands for.
///
/// # Errors
/// An escape that is none, in words.
pub fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, length) = match escape.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'0') => (0, 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => {
                let digits = escape.get(1..3).and_then(hexadecimal);
                (digits.ok_or("`\\x` is followed by two hexadecimal digits")?, 3)
            }
            Some(_) => {
                let other = escape.chars().next().unwrap_or_default();
                return Err(format!(r"`\{other}` is no escape: there are \r \n \t \0 \\ \xHH"));
            }
            None => return Err(r"a backslash at the end: write \\".into()),
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// A byte of two digits, and no sign.
fn hexadecimal(digits: &str) -> Option<u8> {
    let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| all)
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let wanted = "bytes in hexadecimal have two digits each, such as \"10 00 ff\"";
    if digits.is_empty() || digits.len() % 2 == 1 {
        return Err(wanted.into());
    }
    let byte = |pair: &[char]| hexadecimal(&pair.iter().collect::<String>()).ok_or_else(|| wanted.into());
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(steps: &[Step]) -> Result<Script, Fault> {
        Exchange::of(steps.to_vec()).compile()
    }

    fn read(text: &str) -> Step {
        Step::Read(text.into())
    }

    #[test]
    fn escapes_stand_for_their_bytes() {
        assert_eq!(unescaped(r"a\r\n\t\0\\\x7f\xFF").unwrap(), b"a\r\n\t\0\\\x7f\xff");
        assert_eq!(unescaped("ü").unwrap(), "ü".as_bytes());
        for wrong in [r"\q", r"\x4", r"\xzz", "end\\", r"\ü"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_can_say_its_number() {
        assert_eq!(addressed(br"id {client}, {client}!", 7).as_ref(), b"id 0000000007, 0000000007!");
        assert_eq!(addressed(b"id", 7).as_ref(), b"id");
    }

    #[test]
    fn bytes_in_hexadecimal() {
        assert_eq!(hex("10 0C00\nff").unwrap(), [0x10, 0x0c, 0, 0xff]);
        for wrong in ["", "1", "1 0 0", "xx", "é0", "+1"] {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_held_client_is_asked_again_from_the_mark_and_else_nothing() {
        let send = || Step::Send("x".into());
        assert_eq!(compiled(&[read("^220")]).unwrap().again, None);
        assert_eq!(compiled(&[read("^220"), send(), read("^250")]).unwrap().again, None);
        assert_eq!(
            compiled(&[read("a"), Step::Mark, send(), read("b"), send(), read("c")]).unwrap().again,
            Some(1)
        );
        assert_eq!(compiled(&[Step::Mark, send(), read("a"), Step::Close]).unwrap().again, None);
    }

    #[test]
    fn what_is_no_dialogue_is_refused_at_its_step() {
        let step = |steps: &[Step]| compiled(steps).unwrap_err().step;
        assert_eq!(step(&[]), None);
        assert_eq!(step(&[Step::Send("x".into())]), None);
        assert_eq!(step(&[read("a"), Step::Close, read("b")]), Some(2));
        assert_eq!(step(&[read("a"), read("(")]), Some(1));
        assert_eq!(step(&[read("a"), read("^")]), Some(1), "it matches nothing at all");
        assert_eq!(step(&[Step::Mark, Step::StartTls, read("a")]), None);
        assert_eq!(step(&[Step::Send("x".repeat(40_000)), read("a")]), None);
        assert_eq!(step(&[Step::StartTls, Step::StartTls, read("a")]), Some(1));
        assert_eq!(step(&[Step::Mark, read("a"), Step::Mark]), Some(2));
        assert_eq!(step(&[read("a"), Step::Mark]), None);
        assert_eq!(step(&[Step::Pause("soon".into()), read("a")]), Some(0));
        assert_eq!(step(&[Step::ReadBytes(0)]), Some(0));
        assert_eq!(step(&[Step::ReadText(String::new())]), Some(0));
    }

    #[test]
    fn a_repetition_needs_something_to_repeat_and_an_open_connection() {
        let every = |steps: Vec<Step>| Exchange { every_s: Some(1.0), ..Exchange::of(steps) }.compile();
        assert!(every(vec![read("a")]).is_err());
        assert!(every(vec![Step::Mark, read("a"), Step::Close]).is_err());
        assert!(every(vec![Step::Send("x".into()), read("a")]).is_err());
        assert!(every(vec![Step::Mark, read("a")]).is_ok());
    }

    #[test]
    fn an_answer_ends_where_it_matches() {
        let text = b"220-mail\r\n220 ready\r\n";
        assert_eq!(Until::Pattern(pattern("^220 .*$").unwrap()).end(text), Some(20));
        assert_eq!(Until::Text(b"mail\r\n".to_vec()).end(text), Some(10));
        assert_eq!((Until::Bytes(4).end(text), Until::Bytes(100).end(text)), (Some(4), None));
    }
}

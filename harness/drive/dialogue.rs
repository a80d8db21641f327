//! The words that a client sends and understands, as pure state machines: bytes in, bytes out, and their
//! meaning. No sockets, no clock.
//!
//! One file per workload implements [`Talk`]; the registry names them all.

use crate::scenario::exchange::Script;
use crate::scenario::{Dialogue, KeepAlive};
use crate::sys::address::Address;
use std::sync::Arc;
use std::time::Duration;

/// The address that the clients of one workload connect to, and their requests.
#[derive(Debug, Clone)]
pub struct Site {
    /// The listener, for `Host`.
    pub target: Address,
    /// Request path, for those that ask.
    pub path: String,
    /// The steps of an exchange.
    pub script: Option<Arc<Script>>,
    /// The requests of `http-idle` clients.
    pub keep_alive: KeepAlive,
    /// They speak TLS from the first byte.
    pub tls: bool,
}

/// The meaning of bytes from the server; several may come at once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// The answer to the last question is complete, and the connection stays open.
    pub answered: bool,
    /// The answer to the last question is good, and the server closes the connection after it.
    pub parting: bool,
    /// The server spoke, though nothing was asked.
    pub greeted: bool,
    /// An answer began, and is not (yet) the one that the client waits for.
    pub begun: bool,
    /// An answer that is not the one asked for, in the server's words: the first of them, as far as they had
    /// come.
    pub error: Option<String>,
    /// A complete answer of the application that is an error or a redirect, such as `HTTP 404 Not Found`.
    pub trouble: Option<String>,
    /// The server said that it is closing (a close frame, GOAWAY): no more is to be expected.
    pub goodbye: bool,
    /// The client is to go on after this time, whatever comes until then; it replaces an earlier one.
    pub wake: Option<Duration>,
    /// From here on the connection speaks TLS; then the client goes on.
    pub start_tls: bool,
    /// The client closes the connection now.
    pub leaves: bool,
}

/// One client's side of a conversation.
pub trait Talk {
    /// Appends the opening, once the connect has succeeded.
    fn open(&mut self, site: &Site, out: &mut Vec<u8>);

    /// Goes on after the opening, after a question was asked again, when the time that it asked for is over,
    /// or when TLS has begun.
    fn go_on(&mut self, _: &mut Vec<u8>, _: &mut News) {}

    /// A TLS handshake is over.
    fn secured(&mut self, _: &mut News) {}

    /// Takes bytes from the server, cut anywhere; appends the reply to `out` and the meaning of the bytes to
    /// `news`.
    fn receive(&mut self, input: &[u8], out: &mut Vec<u8>, news: &mut News);

    /// Appends a second question on a connection that was answered, or makes it the client's next step; false
    /// when this dialogue has none to ask.
    fn ask_again(&mut self, site: &Site, out: &mut Vec<u8>) -> bool;

    /// The server's last words before it closed unasked, if they are an error reply.
    fn last_words(&self) -> Option<String> {
        None
    }

    /// A few words on the last answer, for a report.
    fn detail(&self) -> String {
        String::new()
    }
}

/// A workload that this binary has.
pub struct Registered {
    /// The dialogue, by its name in scenarios and events.
    pub kind: Dialogue,
    /// The same, as text.
    pub name: &'static str,
    /// The behaviour of each client, in one line.
    pub doc: &'static str,
    /// The protocols that it offers over TLS (ALPN, RFC 7301).
    pub alpn: &'static [&'static str],
    /// Begins a conversation; the number is the client's id.
    pub start: fn(&Site, u32) -> Box<dyn Talk>,
}

/// Printable characters of binary data, in a row, that are a text and no chance: as strings(1) takes it.
const TEXT_BYTES: usize = 4;

/// The first line of a server's words, as printable text of at most 80 characters. For binary data it is the
/// texts in it, so that two answers with the same text are the same though their checksums differ.
pub(super) fn words(bytes: &[u8]) -> String {
    let binary = bytes.contains(&0) || std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_some());
    if binary {
        let printable = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
        let texts = bytes.split(|byte| !printable(byte)).filter(|text| text.len() >= TEXT_BYTES);
        let texts: Vec<_> = texts.filter_map(|text| std::str::from_utf8(text).ok()).map(str::trim).collect();
        return match texts[..] {
            [] => hex(bytes),
            _ => texts.join(" ").chars().take(80).collect(),
        };
    }
    let line = bytes.split(|&b| b == b'\r' || b == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let printable: String =
        text.chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).take(80).collect();
    if printable.is_empty() && !line.is_empty() { hex(line) } else { printable }
}

fn hex(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("bytes {}", hex.join(" "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A site for the tests of dialogues.
    pub fn site() -> Site {
        Site {
            target: "127.0.0.1:8080".parse().unwrap(),
            path: "/ws?x=1".into(),
            script: None,
            keep_alive: KeepAlive::default(),
            tls: false,
        }
    }

    /// Feeds a reply whole, then cut in two at every place, then byte by byte, each to a client of its own,
    /// and demands that all mean the same and are answered with the same bytes.
    pub fn however_cut(client: impl Fn() -> Box<dyn Talk>, reply: &[u8]) -> (News, Vec<u8>) {
        let hear = |pieces: &[&[u8]]| {
            let (mut talk, mut news, mut out) = (client(), News::default(), Vec::new());
            for piece in pieces {
                talk.receive(piece, &mut out, &mut news);
            }
            // An answer that comes in one piece was never waited for.
            (News { begun: false, wake: None, ..news }, out)
        };
        let whole = hear(&[reply]);
        for at in 1..reply.len() {
            let (a, b) = reply.split_at(at);
            assert_eq!(hear(&[a, b]), whole, "cut at {at}");
        }
        assert_eq!(hear(&reply.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
        whole
    }

    #[test]
    fn words_are_one_printable_bounded_line() {
        assert_eq!(
            words(b"\r\n-ERR max number of clients reached\r\nmore"),
            "-ERR max number of clients reached"
        );
        assert_eq!(words(&[b'x'; 500]).len(), 80);
        assert_eq!(words(b"a\x1b[2Jb"), "a[2Jb");
        assert_eq!(words(b"\x15\x03\x01\0\x02\x02\x46"), "bytes 15 03 01 00 02 02 46", "a chance is no text");
        assert_eq!(words(b"\xff\x10\x04Too many connections"), "Too many connections");
        let stun = |checksum: &[u8]| {
            [b"\x01\x13\0\x20id4711\0\x09\x05\x08No socket\x80\x28\0\x04", checksum].concat()
        };
        for checksum in [b"\x0a\xc3\x41\x42", b"z\0\x0d\x7f"] {
            assert_eq!(words(&stun(checksum)), "id4711 No socket");
        }
        assert_eq!(words(b"\x15\x03\x01\0\x02"), "bytes 15 03 01 00 02");
    }
}

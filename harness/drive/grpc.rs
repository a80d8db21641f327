//! `grpc`: the HTTP/2 connection that every gRPC channel is (RFC 9113): settings exchanged both ways, then
//! held; pings are answered.
//!
//! Served once the server's SETTINGS came and ours were acknowledged: both are written by the server's
//! application side of the connection, so it has been accepted and is being read. No call is made.

use super::dialogue::{News, Registered, Site, Talk, words};
use crate::scenario::Dialogue;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::Grpc,
    name: "grpc",
    doc: "exchanges HTTP/2 settings as a gRPC channel does, then holds and answers pings",
    alpn: &["h2"],
    start: |_, _| {
        Box::new(Grpc { pending: Vec::new(), skip: 0, settings: false, acknowledged: false, over: false })
    },
};

/// Connection preface and an empty SETTINGS frame (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const SETTINGS_ACK: &[u8] = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00";
/// Frame types of RFC 9113, section 6.
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const HEAD: usize = 9;
/// The payload of our pings, by which we know their acknowledgements.
const OURS: &[u8; 8] = b"lastfd!?";

struct Grpc {
    /// Bytes of a frame's head, or of a PING's payload, that are not complete yet; without memory otherwise.
    pending: Vec<u8>,
    /// Payload bytes of the current frame that are not looked at.
    skip: u32,
    settings: bool,
    acknowledged: bool,
    over: bool,
}

impl Talk for Grpc {
    fn open(&mut self, _: &Site, out: &mut Vec<u8>) {
        out.extend_from_slice(PREFACE);
    }

    fn receive(&mut self, mut input: &[u8], out: &mut Vec<u8>, news: &mut News) {
        while !input.is_empty() && !self.over {
            if self.skip > 0 {
                let now = (self.skip as usize).min(input.len());
                input = &input[now..];
                self.skip -= now as u32;
                continue;
            }
            let (now, rest) = input.split_at((needed(&self.pending) - self.pending.len()).min(input.len()));
            self.pending.extend_from_slice(now);
            input = rest;
            if self.pending.len() == needed(&self.pending) {
                let frame = std::mem::take(&mut self.pending);
                self.frame(&frame, input, out, news);
            }
        }
    }

    fn ask_again(&mut self, _: &Site, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&[0, 0, 8, PING, 0, 0, 0, 0, 0]);
        out.extend_from_slice(OURS);
        true
    }
}

impl Grpc {
    /// Obeys a frame whose head, and the payload of a PING, are there; `after` is the bytes that followed,
    /// for an error's words.
    fn frame(&mut self, frame: &[u8], after: &[u8], out: &mut Vec<u8>, news: &mut News) {
        let (length, kind, flags) = (length(frame), frame[3], frame[4]);
        if !self.settings && !is_settings(frame) {
            self.over = true;
            news.error = Some(foreign(&[frame, after].concat()));
            return;
        }
        if kind != PING || length != 8 {
            self.skip = length;
        }
        match (kind, flags & ACK != 0) {
            (SETTINGS, false) => {
                out.extend_from_slice(SETTINGS_ACK);
                news.answered |= self.acknowledged && !self.settings;
                self.settings = true;
            }
            (SETTINGS, true) => {
                news.answered |= !self.acknowledged;
                self.acknowledged = true;
            }
            (PING, false) if length == 8 => {
                out.extend_from_slice(&[0, 0, 8, PING, ACK, 0, 0, 0, 0]);
                out.extend_from_slice(&frame[HEAD..]);
            }
            (PING, true) => news.answered |= frame[HEAD..] == *OURS,
            (GOAWAY, _) => {
                news.goodbye = true;
                self.over = true;
            }
            _ => {}
        }
    }
}

/// Whether a frame with this head may be a server's first.
pub(super) fn is_settings(head: &[u8]) -> bool {
    head[3] == SETTINGS && head[4] & ACK == 0
}

/// The peer's words, if they are not HTTP/2.
pub(super) fn foreign(bytes: &[u8]) -> String {
    let said = words(bytes);
    match said.starts_with("HTTP/1") {
        true => format!("{} where HTTP/2 was expected", said.trim_end()),
        false => said,
    }
}

/// Bytes that a frame beginning so must have before it can be obeyed.
fn needed(frame: &[u8]) -> usize {
    if frame.len() >= HEAD && frame[3] == PING && length(frame) == 8 { HEAD + 8 } else { HEAD }
}

fn length(frame: &[u8]) -> u32 {
    u32::from_be_bytes([0, frame[0], frame[1], frame[2]])
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::*;

    const SERVER_SETTINGS: &[u8] = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64";
    const WINDOW_UPDATE: &[u8] = b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x0f\x00\x01";

    fn client() -> Box<dyn Talk> {
        (REGISTERED.start)(&site(), 1)
    }

    #[test]
    fn it_is_served_when_settings_went_both_ways() {
        let reply = [SERVER_SETTINGS, WINDOW_UPDATE, SETTINGS_ACK].concat();
        assert_eq!(
            however_cut(client, &reply),
            (News { answered: true, ..News::default() }, SETTINGS_ACK.to_vec())
        );
        let half = [SERVER_SETTINGS, WINDOW_UPDATE].concat();
        assert_eq!(however_cut(client, &half), (News::default(), SETTINGS_ACK.to_vec()));
    }

    #[test]
    fn pings_are_acknowledged_with_their_own_payload() {
        let reply = [SERVER_SETTINGS, b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678".as_slice()].concat();
        let (_, out) = however_cut(client, &reply);
        assert_eq!(out, [SETTINGS_ACK, b"\x00\x00\x08\x06\x01\x00\x00\x00\x0012345678".as_slice()].concat());
    }

    #[test]
    fn goaway_is_a_goodbye() {
        let reply = [
            SERVER_SETTINGS,
            SETTINGS_ACK,
            b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b".as_slice(),
        ]
        .concat();
        assert!(however_cut(client, &reply).0.goodbye);
    }

    #[test]
    fn what_is_not_http2_is_an_error_reply_in_its_own_words() {
        let mut news = News::default();
        client().receive(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "HTTP/1.1 400 Bad Request where HTTP/2 was expected");
        let mut news = News::default();
        client().receive(b"-ERR unknown command\r\n", &mut Vec::new(), &mut news);
        assert_eq!(news.error.unwrap(), "-ERR unknown command");
        // However it is cut, it is an error; how many words of it were there by then may differ.
        let (mut talk, mut news) = (client(), News::default());
        for byte in b"HTTP/1.1 400 Bad Request\r\n\r\n" {
            talk.receive(&[*byte], &mut Vec::new(), &mut news);
        }
        assert_eq!(
            news,
            News { error: Some("HTTP/1.1 where HTTP/2 was expected".into()), ..News::default() }
        );
    }

    #[test]
    fn a_held_channel_answers_with_the_acknowledgement_of_our_ping() {
        let (mut talk, mut out, mut news) = (client(), Vec::new(), News::default());
        talk.receive(&[SERVER_SETTINGS, SETTINGS_ACK].concat(), &mut out, &mut news);
        out.clear();
        assert!(talk.ask_again(&site(), &mut out));
        let mut acknowledgement = out.clone();
        acknowledgement[4] = 1;
        let mut news = News::default();
        talk.receive(b"\x00\x00\x08\x06\x01\x00\x00\x00\x00another.", &mut out, &mut news);
        assert!(!news.answered);
        talk.receive(&acknowledgement, &mut out, &mut news);
        assert!(news.answered);
    }
}

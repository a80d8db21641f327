//! `websocket`: upgraded (RFC 6455), then held; pings are answered with pongs, a close frame with a close
//! frame.

use super::dialogue::{News, Registered, Site, Talk, words};
use super::http_idle::header;
use crate::scenario::Dialogue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) const REGISTERED: Registered = Registered {
    kind: Dialogue::Websocket,
    name: "websocket",
    doc: "upgrades to WebSocket, checks the server's key, then holds and answers pings",
    alpn: &["http/1.1"],
    start: |_, id| Box::new(Websocket { id, state: State::Head, pending: Vec::new() }),
};

/// Longest response head that is taken. Bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// Opcodes of RFC 6455, section 5.2.
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const WRONG_KEY: &str = "101 with a wrong Sec-WebSocket-Accept";
/// The payload of our pings, by which we know their pongs.
const OURS: &[u8] = b"lastfd";

struct Websocket {
    id: u32,
    state: State,
    /// Bytes of a head, or of a frame's head or control payload, that is not complete yet; without memory
    /// otherwise.
    pending: Vec<u8>,
}

enum State {
    /// Reading the response to the upgrade.
    Head,
    /// Upgraded; at a frame.
    Frames,
    /// This many bytes of a data frame's payload left: it is not looked at.
    Payload(u64),
    /// Turned away, or closed.
    Over,
}

impl Talk for Websocket {
    fn open(&mut self, site: &Site, out: &mut Vec<u8>) {
        let lines = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\n\
             Sec-WebSocket-Version: 13\r\nOrigin: http://{}\r\nUser-Agent: lastfd\r\n\r\n",
            site.path,
            site.target.host(),
            key(self.id),
            site.target.host()
        );
        out.extend_from_slice(lines.as_bytes());
    }

    fn receive(&mut self, mut input: &[u8], out: &mut Vec<u8>, news: &mut News) {
        while !input.is_empty() {
            match self.state {
                State::Head => self.head(&mut input, news),
                State::Frames => self.frame(&mut input, out, news),
                State::Payload(left) => {
                    let now = left.min(input.len() as u64);
                    input = &input[now as usize..];
                    self.state = if now == left { State::Frames } else { State::Payload(left - now) };
                }
                State::Over => return,
            }
        }
    }

    fn ask_again(&mut self, _: &Site, out: &mut Vec<u8>) -> bool {
        send(PING, OURS, self.id, out);
        true
    }
}

impl Websocket {
    fn head(&mut self, input: &mut &[u8], news: &mut News) {
        let before = self.pending.len();
        self.pending.extend_from_slice(input);
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&self.pending) {
            Ok(httparse::Status::Complete(length)) => {
                let status = response.code.unwrap_or(0);
                let error = match (status, header(&response, "sec-websocket-accept")) {
                    (101, Some(accept)) if accept.trim() == expected(self.id) => None,
                    (101, _) => Some(WRONG_KEY.to_owned()),
                    _ => {
                        let reason: String = response.reason.unwrap_or_default().chars().take(60).collect();
                        Some(format!("{} where 101 was expected", format!("{status} {reason}").trim_end()))
                    }
                };
                *input = &input[length - before..];
                self.pending = Vec::new();
                if (100..200).contains(&status) && status != 101 {
                    return;
                }
                news.answered |= error.is_none();
                self.state = if error.is_none() { State::Frames } else { State::Over };
                news.error = error;
            }
            Ok(httparse::Status::Partial) if self.pending.len() < HEAD_BYTES => *input = &[],
            _ => {
                *input = &[];
                self.state = State::Over;
                news.error = Some(words(&std::mem::take(&mut self.pending)));
            }
        }
    }

    /// Takes bytes until a frame's head, and a control frame's payload, are complete; then obeys it.
    fn frame(&mut self, input: &mut &[u8], out: &mut Vec<u8>, news: &mut News) {
        let needed = needed(&self.pending);
        let (now, rest) = input.split_at((needed - self.pending.len()).min(input.len()));
        *input = rest;
        self.pending.extend_from_slice(now);
        if self.pending.len() < self::needed(&self.pending) {
            return;
        }
        let frame = std::mem::take(&mut self.pending);
        let (opcode, length, head) = (frame[0] & 0x0f, payload_length(&frame), head_length(&frame));
        if opcode < CLOSE {
            self.state = if length == 0 { State::Frames } else { State::Payload(length) };
            return;
        }
        let mut payload = frame[head..].to_vec();
        if frame[1] & 0x80 != 0 {
            let mask = [frame[head - 4], frame[head - 3], frame[head - 2], frame[head - 1]];
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        match opcode {
            PING => send(PONG, &payload, self.id, out),
            PONG => news.answered |= payload == OURS,
            CLOSE => {
                send(CLOSE, &payload, self.id, out);
                news.goodbye = true;
                self.state = State::Over;
            }
            _ => {}
        }
    }
}

/// Bytes that a frame beginning so must have before it can be obeyed: its head, and the payload of a control
/// frame.
fn needed(frame: &[u8]) -> usize {
    if frame.len() < 2 {
        return 2;
    }
    let head = head_length(frame);
    if frame.len() < head || frame[0] & 0x0f < CLOSE {
        head
    } else {
        head + payload_length(frame).min(125) as usize
    }
}

fn head_length(frame: &[u8]) -> usize {
    let length = match frame[1] & 0x7f {
        127 => 8,
        126 => 2,
        _ => 0,
    };
    2 + length + if frame[1] & 0x80 == 0 { 0 } else { 4 }
}

/// Payload bytes of a frame whose head is complete.
fn payload_length(frame: &[u8]) -> u64 {
    match frame[1] & 0x7f {
        127 => u64::from_be_bytes(frame[2..10].try_into().expect("eight bytes")),
        126 => u64::from(u16::from_be_bytes([frame[2], frame[3]])),
        short => u64::from(short),
    }
}

/// Appends a control frame, masked as a client must.
fn send(opcode: u8, payload: &[u8], id: u32, out: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(125)];
    let mask = (scattered(u64::from(id)) as u32).to_ne_bytes();
    out.extend_from_slice(&[0x80 | opcode, 0x80 | payload.len() as u8]);
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// The client's key: sixteen bytes that differ from client to client. It guards against caches, not against
/// people.
fn key(id: u32) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&scattered(u64::from(id)).to_ne_bytes());
    bytes[8..].copy_from_slice(&scattered(!u64::from(id)).to_ne_bytes());
    STANDARD.encode(bytes)
}

/// The answer that our key requires of the server (RFC 6455, section 4.2.2).
fn expected(id: u32) -> String {
    accept_of(&key(id))
}

/// `Sec-WebSocket-Accept` for a key.
pub(super) fn accept_of(key: &str) -> String {
    let digest = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    STANDARD.encode(digest.digest().bytes())
}

/// Spreads consecutive numbers over all bits: multiplication by an odd constant and shifts.
fn scattered(number: u64) -> u64 {
    let spread = (number ^ 0x6c61_7374_6664).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (spread >> 32)
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::tests::{however_cut, site};
    use super::*;

    fn client() -> Box<dyn Talk> {
        (REGISTERED.start)(&site(), 7)
    }

    fn upgraded() -> Vec<u8> {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept: {}\r\n\r\n",
            expected(7)
        )
        .into_bytes()
    }

    /// The payload of one masked frame, and its opcode.
    fn unmasked(frame: &[u8]) -> (u8, Vec<u8>) {
        assert_eq!(frame[0] & 0xf0, 0x80, "final, nothing reserved");
        assert_eq!(frame[1] & 0x80, 0x80, "a client masks");
        let mask = &frame[2..6];
        assert_eq!(frame.len(), 6 + usize::from(frame[1] & 0x7f));
        (frame[0] & 0x0f, frame[6..].iter().enumerate().map(|(i, b)| b ^ mask[i % 4]).collect())
    }

    #[test]
    fn the_servers_key_is_computed_as_in_rfc_6455() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes_and_differ() {
        let keys: std::collections::BTreeSet<_> = (0..1000).map(key).collect();
        assert_eq!(keys.len(), 1000);
        assert!(keys.iter().all(|k| STANDARD.decode(k).unwrap().len() == 16));
    }

    #[test]
    fn an_upgrade_is_served_and_pings_are_answered_masked() {
        let reply = [upgraded(), b"\x81\x03abc\x89\x02hi".to_vec()].concat();
        let (news, out) = however_cut(client, &reply);
        assert_eq!(news, News { answered: true, ..News::default() });
        assert_eq!(unmasked(&out), (PONG, b"hi".to_vec()));
    }

    #[test]
    fn data_frames_of_every_length_form_are_skipped() {
        let mut reply = upgraded();
        reply.extend([0x82, 126, 0x01, 0x2c]);
        reply.extend([0x89; 300]);
        reply.extend([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 9]);
        reply.extend([0x88; 9]);
        reply.extend([0x81, 0]);
        reply.extend(b"\x89\x01!");
        let (news, out) = however_cut(client, &reply);
        assert_eq!(news, News { answered: true, ..News::default() });
        assert_eq!(unmasked(&out), (PONG, b"!".to_vec()));
    }

    #[test]
    fn a_close_frame_is_answered_and_is_a_goodbye() {
        let reply = [upgraded(), b"\x88\x02\x03\xe9".to_vec()].concat();
        let (news, out) = however_cut(client, &reply);
        assert!(news.goodbye);
        assert_eq!(unmasked(&out), (CLOSE, vec![0x03, 0xe9]));
    }

    #[test]
    fn another_status_or_a_wrong_key_is_an_error_reply() {
        let error = |reply: &[u8]| however_cut(client, reply).0.error.unwrap();
        assert_eq!(
            error(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbye"),
            "503 Service Unavailable where 101 was expected"
        );
        assert_eq!(error(b"HTTP/1.1 200 OK\r\n\r\n"), "200 OK where 101 was expected");
        assert_eq!(error(b"HTTP/1.1 404\r\n\r\n"), "404 where 101 was expected");
        let wrong = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(error(wrong), WRONG_KEY);
    }

    #[test]
    fn only_the_pong_of_our_own_ping_is_an_answer() {
        let (mut talk, mut out, mut news) = (client(), Vec::new(), News::default());
        talk.receive(&upgraded(), &mut out, &mut news);
        assert!(talk.ask_again(&site(), &mut out));
        let (opcode, payload) = unmasked(&out);
        assert_eq!(opcode, PING);
        let mut news = News::default();
        talk.receive(b"\x8a\x00", &mut out, &mut news);
        assert!(!news.answered);
        let pong = [&[0x8a, payload.len() as u8], payload.as_slice()].concat();
        talk.receive(&pong, &mut out, &mut news);
        assert!(news.answered);
    }
}

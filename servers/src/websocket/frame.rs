//! Frames from a client (RFC 6455 section 5), bytes in, bytes out: control frames are answered, data is
//! dropped. Holds at most one unfinished header or control frame, and nothing while the connection is idle.

/// Whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Read on.
    Open,
    /// Send the reply, then close.
    Close,
}

/// The receiving side of one connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Received and not yet understood.
    pending: Vec<u8>,
    /// Bytes of a data frame's payload still to come.
    skip: u64,
}

/// Payload of a control frame, at most; section 5.5.
const CONTROL_BYTES: usize = 125;

/// "Protocol error", section 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;

/// Bytes of the masking key, section 5.2.
const MASK_BYTES: usize = 4;

/// The bytes at the front, classified.
enum Front {
    /// More bytes are needed to say.
    Incomplete,
    /// A data frame: its header's length and its payload's.
    Data { header: usize, payload: u64 },
    /// A whole control frame: its opcode, its length in all, and its payload, unmasked.
    Control { opcode: u8, length: usize, payload: Vec<u8> },
    /// Breaks the protocol.
    Violation,
}

impl Frames {
    /// Takes the received bytes and appends the bytes to send to `reply`.
    pub(super) fn feed(&mut self, received: &[u8], reply: &mut Vec<u8>) -> Flow {
        self.pending.extend_from_slice(received);
        loop {
            let skipped = self.pending.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.pending.drain(..skipped);
            self.skip -= skipped as u64;
            match front(&self.pending) {
                Front::Incomplete => break,
                Front::Data { header, payload } => {
                    self.pending.drain(..header);
                    self.skip = payload;
                }
                Front::Control { opcode, length, payload } => {
                    self.pending.drain(..length);
                    match opcode {
                        CLOSE => {
                            push_frame(reply, CLOSE, &payload);
                            return Flow::Close;
                        }
                        PING => push_frame(reply, PONG, &payload),
                        _ => {}
                    }
                }
                Front::Violation => {
                    push_frame(reply, CLOSE, &PROTOCOL_ERROR.to_be_bytes());
                    return Flow::Close;
                }
            }
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Flow::Open
    }
}

// Opcodes, section 5.2.
const CONTINUATION: u8 = 0x0;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

fn front(bytes: &[u8]) -> Front {
    let &[first, second, ref rest @ ..] = bytes else { return Front::Incomplete };
    let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0F);
    let control = opcode >= CLOSE;
    let known = matches!(opcode, CONTINUATION..=BINARY | CLOSE..=PONG);
    let masked = second & 0x80 != 0;
    let short = second & 0x7F;
    if reserved != 0 || !known || !masked || control && (!fin || usize::from(short) > CONTROL_BYTES) {
        return Front::Violation;
    }
    let (extended, payload) = match short {
        126 => match rest.first_chunk() {
            Some(&length) => (2, u64::from(u16::from_be_bytes(length))),
            None => return Front::Incomplete,
        },
        127 => match rest.first_chunk() {
            Some(&length) => (8, u64::from_be_bytes(length)),
            None => return Front::Incomplete,
        },
        _ => (0, u64::from(short)),
    };
    let header = 2 + extended + MASK_BYTES;
    if payload >> 63 != 0 || (opcode == CLOSE && payload == 1) {
        return Front::Violation;
    }
    if !control {
        return if bytes.len() < header { Front::Incomplete } else { Front::Data { header, payload } };
    }
    let length = header + usize::from(short);
    let Some(whole) = bytes.get(..length) else { return Front::Incomplete };
    let (head, masked) = whole.split_at(header);
    let mask = &head[head.len() - MASK_BYTES..];
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Front::Control { opcode, length, payload }
}

/// A control frame as a server sends it: final, unmasked.
fn push_frame(reply: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    debug_assert!(payload.len() <= CONTROL_BYTES);
    reply.extend([0x80 | opcode, payload.len() as u8]);
    reply.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 section 5.7: a masked pong "Hello" is `8a 85 37 fa 21 3d 7f 9f 4d 51 58`; here the ping it
    /// answers.
    const PING_HELLO: [u8; 11] = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

    fn feed(frames: &mut Frames, received: &[u8]) -> (Flow, Vec<u8>) {
        let mut reply = Vec::new();
        let flow = frames.feed(received, &mut reply);
        (flow, reply)
    }

    #[test]
    fn a_ping_is_answered_with_its_payload_unmasked() {
        assert_eq!(feed(&mut Frames::default(), &PING_HELLO), (Flow::Open, b"\x8a\x05Hello".to_vec()));
    }

    #[test]
    fn a_ping_in_single_bytes_is_answered_once_and_leaves_no_buffer() {
        let mut frames = Frames::default();
        let replies: Vec<u8> = PING_HELLO.iter().flat_map(|byte| feed(&mut frames, &[*byte]).1).collect();
        assert_eq!(replies, b"\x8a\x05Hello");
        assert_eq!(frames.pending.capacity(), 0);
    }

    #[test]
    fn data_of_every_length_form_is_dropped_up_to_the_next_frame() {
        for length in [5_usize, 126, 65536] {
            let mut stream = vec![0x82];
            match length {
                126 => stream.extend([0xFE, 0, 126]),
                65536 => stream.extend([0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
                short => stream.push(0x80 | short as u8),
            }
            stream.extend([1, 2, 3, 4]);
            stream.extend(std::iter::repeat_n(0x89, length));
            stream.extend(PING_HELLO);
            let mut frames = Frames::default();
            let replies: Vec<u8> = stream.chunks(512).flat_map(|chunk| feed(&mut frames, chunk).1).collect();
            assert_eq!(replies, b"\x8a\x05Hello", "after {length} bytes");
        }
    }

    #[test]
    fn close_is_echoed_with_its_status_code() {
        let mask = [0x11, 0x22, 0x33, 0x44];
        let close = [0x88, 0x82, 0x11, 0x22, 0x33, 0x44, 0x03 ^ mask[0], 0xe8 ^ mask[1]];
        assert_eq!(feed(&mut Frames::default(), &close), (Flow::Close, vec![0x88, 2, 0x03, 0xe8]));
    }

    #[test]
    fn a_broken_protocol_is_closed_with_1002() {
        let unmasked = [0x89, 0x00];
        let reserved_bit = [0xC9, 0x80, 0, 0, 0, 0];
        let unknown_opcode = [0x83, 0x80, 0, 0, 0, 0];
        let fragmented_ping = [0x09, 0x80, 0, 0, 0, 0];
        let long_ping = [0x89, 0xFE, 0, 126, 0, 0];
        for broken in [&unmasked[..], &reserved_bit, &unknown_opcode, &fragmented_ping, &long_ping] {
            assert_eq!(
                feed(&mut Frames::default(), broken),
                (Flow::Close, vec![0x88, 2, 0x03, 0xea]),
                "{broken:x?}"
            );
        }
    }
}

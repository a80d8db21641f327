//! Questions to the kernel's tables of sockets (sock_diag(7), NETLINK_SOCK_DIAG) of any family: bytes out,
//! bytes in. The module of each family gives the bytes their meaning.

use rustix::fd::OwnedFd;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::io;
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h: the only request type there is.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` and `NLM_F_ROOT | NLM_F_MATCH` of linux/netlink.h.
const REQUEST: u16 = 0x1;
const DUMP: u16 = 0x300;
/// `NLMSG_ERROR` and `NLMSG_DONE` of linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The kernel answers within the send; this only bounds a fault.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How many answers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The one that the question names exactly.
    One,
    /// Every one that it fits (a dump).
    All,
}

/// A netlink socket to ask by.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens one (one descriptor) in the caller's network namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel has no sock_diag; `EPERM` or `EACCES` where a security policy
    /// refuses it; `EMFILE`.
    pub fn open() -> io::Result<Netlink> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN))?;
        Ok(Netlink { socket, sequence: 0, buffer: vec![0; 32 * 1024] })
    }

    /// Asks, and hands each answer of at least `shortest` bytes on.
    ///
    /// # Errors
    /// The kernel refused the question, or gave no answer for two seconds; `ENOENT` where the one that was
    /// asked for is not there.
    pub fn ask(
        &mut self,
        question: &[u8],
        wanted: Wanted,
        shortest: usize,
        each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = REQUEST | if wanted == Wanted::All { DUMP } else { 0 };
        let mut message = [0; HEADER].to_vec();
        message[0..4].copy_from_slice(&((HEADER + question.len()) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
        message[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(question);
        sendto(&self.socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        self.answers(wanted, shortest, each)
    }

    /// Reads the answers to the last question: one, or a whole dump.
    fn answers(&mut self, wanted: Wanted, shortest: usize, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let (length, _) = match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let mut rest = &self.buffer[..length];
            while rest.len() >= HEADER {
                let size = (u32_at(rest, 0) as usize).clamp(HEADER, rest.len());
                let (message, after) = rest.split_at(size);
                rest = after.get(size.next_multiple_of(4) - size..).unwrap_or_default();
                let kind = u16::from_ne_bytes([message[4], message[5]]);
                let body = &message[HEADER..];
                if u32_at(message, 8) != self.sequence {
                    continue; // left over from a question that was given up
                }
                match kind {
                    DONE => return Ok(()),
                    ERROR if body.len() >= 4 => {
                        return Err(io::Error::from_raw_os_error(-(u32_at(body, 0) as i32)));
                    }
                    BY_FAMILY if body.len() >= shortest => {
                        each(body);
                        if wanted == Wanted::One {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The number at this place, in the host's order of bytes.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The content of an attribute (`struct rtattr`, rtnetlink(7)) among those that follow an answer.
pub fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while rest.len() >= 4 {
        let (size, kind) =
            (usize::from(u16::from_ne_bytes([rest[0], rest[1]])), u16::from_ne_bytes([rest[2], rest[3]]));
        if kind == wanted {
            return rest.get(4..size);
        }
        rest = rest.get(size.max(4).next_multiple_of(4)..)?;
    }
    None
}

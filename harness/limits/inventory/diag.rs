//! TCP sockets of this network namespace by netlink (sock_diag(7)): what `/proc/net/tcp` says, several times faster. Asks only.

use super::sockets::State;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// One TCP socket of the namespace, whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Its state.
    pub state: State,
    /// For a listener, the connections in its accept queue; otherwise bytes received and not yet read.
    pub receive_queue: u64,
    /// 0 for a socket that no descriptor refers to: in an accept queue, or in TIME_WAIT.
    pub inode: u64,
}

// Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h. Lengths are bytes.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;
const IPPROTO_TCP: u8 = 6;
/// States to ask for, a bit for each by its number. Only the listeners are found without a walk through every connection of the host.
pub const LISTENING: u32 = 1 << 10;
/// All other states.
pub const NOT_LISTENING: u32 = 0x1ffe & !LISTENING;
/// Thousands of these stay for a minute after a load, and no descriptor refers to any.
pub const TIME_WAIT: u32 = 1 << 6;

/// The TCP sockets in these states of the calling process's network namespace, both families.
///
/// # Errors
/// The kernel has no sock_diag, a sandbox forbids netlink, or no answer came within two seconds.
pub fn tcp(states: u32, mut each: impl FnMut(Entry)) -> io::Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(2)))?;
    let mut buffer = vec![0u8; 65536];
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        rustix::net::send(&socket, &request(family, states), SendFlags::empty())?;
        loop {
            let (_, length) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            if messages(&buffer[..length], &mut each)? {
                break;
            }
        }
    }
    Ok(())
}

fn request(family: AddressFamily, states: u32) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    request[HEADER] = family.as_raw() as u8;
    request[HEADER + 1] = IPPROTO_TCP;
    request[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    request
}

/// Passes on each socket of one datagram; whether it was the dump's last.
fn messages(mut rest: &[u8], each: &mut impl FnMut(Entry)) -> io::Result<bool> {
    while rest.len() >= HEADER {
        let length = (word(rest, 0) as usize).max(HEADER);
        match u16::from_ne_bytes([rest[4], rest[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR if rest.len() >= HEADER + 4 => {
                return Err(io::Error::from_raw_os_error((word(rest, HEADER) as i32).wrapping_neg()));
            }
            _ if rest.len() >= ANSWER => entry(&rest[HEADER..]).into_iter().for_each(&mut *each),
            _ => (),
        }
        // Messages are aligned to four bytes (NLMSG_ALIGN).
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`.
fn entry(message: &[u8]) -> Option<Entry> {
    let port = |at| u16::from_be_bytes([message[at], message[at + 1]]);
    let ip = |at: usize| -> IpAddr {
        let octets: [u8; 16] = message[at..at + 16].try_into().expect("sixteen bytes");
        match u16::from(message[0]) == AddressFamily::INET.as_raw() {
            true => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
            false => Ipv6Addr::from(octets).to_canonical(),
        }
    };
    Some(Entry {
        local: SocketAddr::new(ip(8), port(4)),
        peer: SocketAddr::new(ip(24), port(6)),
        state: State::from_number(message[1])?,
        receive_queue: word(message, 56).into(),
        inode: word(message, 68).into(),
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn sockets_are_told_as_getsockname_tells_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut entries = Vec::new();
        tcp(LISTENING | NOT_LISTENING, |entry| entries.push(entry)).unwrap();
        let of = |local| entries.iter().filter(move |entry| entry.local == local).collect::<Vec<_>>();
        let mine = of(client.local_addr().unwrap());
        assert_eq!(mine.len(), 1);
        assert_eq!((mine[0].peer, mine[0].state), (client.peer_addr().unwrap(), State::ESTABLISHED));
        let listening = of(listener.local_addr().unwrap()).into_iter().find(|entry| entry.state == State::LISTEN).unwrap();
        assert_eq!(listening.receive_queue, 1, "connected, not accepted");
        // The connection in the queue has no descriptor, and so no inode.
        assert!(of(listener.local_addr().unwrap()).iter().any(|entry| entry.state == State::ESTABLISHED && entry.inode == 0));
    }

    #[test]
    fn a_datagram_cut_short_is_no_panic() {
        for length in 0..HEADER + 8 {
            let mut bytes = vec![0xff; length];
            bytes.iter_mut().take(4).for_each(|byte| *byte = 0);
            let _ = messages(&bytes, &mut |_| ());
        }
    }
}

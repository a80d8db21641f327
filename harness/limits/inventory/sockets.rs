//! Sockets by inode, from the tables of the process's network namespace: netlink for TCP where that namespace
//! is the caller's too, `/proc/PID/net/{tcp,tcp6,udp,udp6,unix}` for everything else. Reads only.

use crate::event::descriptor::{self, DescriptorKind as Kind};
use crate::sys::sock_diag::{EVERY_STATE, SockDiag, Socket, State};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A TCP socket. IPv4 addresses mapped into IPv6 are shown as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// The process's own end.
    pub local: SocketAddr,
    /// The other end; port 0 for a listener.
    pub peer: SocketAddr,
    /// Its state.
    pub state: State,
    /// Whether the local port has a listener in this namespace: the connection was accepted, not made, by the
    /// process.
    pub accepted: bool,
    /// For a listener, the connections in its accept queue; otherwise bytes received and not yet read.
    pub receive_queue: u64,
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            State::LISTEN => f.write_str(&descriptor::tcp_listens(self.local)),
            state => f.write_str(&descriptor::tcp_connected(self.local, self.accepted, self.peer, state)),
        }
    }
}

/// The sockets asked for, by inode, and what the tables say besides.
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    tcp: HashMap<u64, Tcp>,
    udp: HashMap<u64, String>,
    unix: HashMap<u64, String>,
    /// Sockets in TIME_WAIT in the whole namespace, by local port, where they were asked for. None belongs to
    /// a process or holds a descriptor.
    pub time_wait: HashMap<u16, u64>,
}

impl Sockets {
    /// Reads the tables that can hold these inodes, the cheapest first, until each is named; none when there
    /// are none to look for. With `time_wait` also counts those. A table that cannot be read is left out.
    pub(super) fn read(pid: i32, inodes: &HashSet<u64>, time_wait: bool) -> Sockets {
        let mut sockets = Sockets::default();
        if inodes.is_empty() {
            return sockets;
        }
        let table =
            |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        let mut listening = HashSet::new();
        // Netlink answers for the caller's own network namespace only.
        let mut diag = same_network(pid).then(SockDiag::open).and_then(Result::ok);
        let mut ask = |states, sockets: &mut Sockets, listening: &mut _| {
            diag.as_mut().is_some_and(|diag| {
                diag.sockets(states, |socket| sockets.add(socket, inodes, listening)).is_ok()
            })
        };
        let netlink = ask(State::LISTEN.bit(), &mut sockets, &mut listening);
        if sockets.named() < inodes.len() {
            sockets.unix(&table("unix"), inodes);
        }
        if sockets.named() < inodes.len() {
            sockets.udp(&table("udp"), inodes);
            sockets.udp(&table("udp6"), inodes);
        }
        let others = EVERY_STATE & !State::LISTEN.bit();
        // Thousands in TIME_WAIT stay for a minute after a load, and no descriptor refers to any.
        let states = if time_wait { others } else { others & !State::TIME_WAIT.bit() };
        let enough = netlink && !time_wait && sockets.named() == inodes.len();
        let complete = enough || netlink && ask(states, &mut sockets, &mut listening);
        if !complete {
            for name in ["tcp", "tcp6"] {
                table(name)
                    .lines()
                    .skip(1)
                    .filter_map(tcp_line)
                    .for_each(|socket| sockets.add(socket, inodes, &mut listening));
            }
        }
        for tcp in sockets.tcp.values_mut() {
            tcp.accepted = listening.contains(&tcp.local.port());
        }
        sockets
    }

    /// How many of the inodes have a name by now.
    fn named(&self) -> usize {
        self.tcp.len() + self.udp.len() + self.unix.len()
    }

    /// Kind, detail and, for TCP, the socket itself; `None` when no table lists the inode.
    pub(super) fn name(&self, inode: u64) -> Option<(Kind, String, Option<Tcp>)> {
        if let Some(tcp) = self.tcp.get(&inode) {
            return Some((
                if tcp.state == State::LISTEN { Kind::TcpListen } else { Kind::Tcp },
                tcp.to_string(),
                Some(*tcp),
            ));
        }
        let udp = self.udp.get(&inode).map(|detail| (Kind::Udp, detail.clone(), None));
        udp.or_else(|| self.unix.get(&inode).map(|detail| (Kind::Unix, detail.clone(), None)))
    }

    /// Takes in one socket of the namespace: keeps those asked for, counts those in TIME_WAIT, notes the
    /// ports that are listened on.
    fn add(&mut self, socket: Socket, inodes: &HashSet<u64>, listening: &mut HashSet<u16>) {
        let Socket { local, peer, state, receive_queue, inode } = socket;
        match state {
            State::LISTEN => _ = listening.insert(local.port()),
            State::TIME_WAIT => *self.time_wait.entry(local.port()).or_default() += 1,
            _ => (),
        }
        if inodes.contains(&inode) {
            let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            self.tcp.insert(
                inode,
                Tcp { local: plain(local), peer: plain(peer), state, accepted: false, receive_queue },
            );
        }
    }

    fn udp(&mut self, table: &str, inodes: &HashSet<u64>) {
        for line in table.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let Some(inode) =
                words.get(9).and_then(|inode| inode.parse().ok()).filter(|inode| inodes.contains(inode))
            else {
                continue;
            };
            let (Some(local), Some(peer)) = (address(words[1]), address(words[2])) else { continue };
            let detail = if peer.port() == 0 { local.to_string() } else { format!("{local} → {peer}") };
            self.udp.insert(inode, detail);
        }
    }

    fn unix(&mut self, table: &str, inodes: &HashSet<u64>) {
        /// Flag of a listening socket (`include/linux/net.h`, SO_ACCEPTCON).
        const LISTENING: u32 = 1 << 16;
        for line in table.lines().skip(1) {
            // A path may hold spaces: it is the rest of the line.
            let mut words = line.splitn(8, ' ').skip(3);
            let (Some(flags), Some(kind), Some(state)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Some(rest) = line.splitn(7, ' ').nth(6).map(str::trim_start) else { continue };
            let (inode, path) = rest.split_once(' ').unwrap_or((rest, ""));
            let Some(inode) = inode.parse().ok().filter(|inode| inodes.contains(inode)) else { continue };
            let kind = match kind {
                "0001" => "stream",
                "0002" => "datagram",
                _ => "seqpacket",
            };
            let listens = u32::from_str_radix(flags, 16).unwrap_or(0) & LISTENING != 0;
            let path = if path.is_empty() { "unnamed" } else { path };
            let connected = (!listens).then_some(state == "03");
            self.unix.insert(inode, descriptor::unix(path, kind, connected));
        }
    }
}

/// Whether the process is in the caller's network namespace.
fn same_network(pid: i32) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own))
}

/// One line of `/proc/net/tcp` or `tcp6`: number, addresses, state, queues, timer, retransmits, user,
/// timeout, inode.
fn tcp_line(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, peer, state, queues) = (
        address(words.next()?)?,
        address(words.next()?)?,
        State::from_number(u8::from_str_radix(words.next()?, 16).ok()?)?,
        words.next()?,
    );
    let receive_queue = u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
    Some(Socket { local, peer, state, receive_queue, inode: words.nth(4)?.parse().ok()? })
}

/// An address as /proc/net prints it: the address's 32-bit words in hexadecimal as this machine holds them, a
/// colon, the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(words.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match words.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0; 16];
            for (at, octets) in octets.chunks_exact_mut(4).enumerate() {
                octets.copy_from_slice(&word(at * 8)?);
            }
            Ipv6Addr::from(octets).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The words are in host order: these texts are a little-endian machine's.
    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_of_both_families_are_read() {
        assert_eq!(address("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(address("00000000000000000000000001000000:0050"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(address("0000000000000000FFFF00000100007F:0050"), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(address("0100007F"), None);
        assert_eq!(address("0100007F1:1F90"), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_connection_to_a_listening_port_is_an_accepted_one_and_time_wait_holds_nothing() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:0050 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 11 1 0000000000000000 100 0 0 10 0\n\
             1: 0100007F:0050 0100007F:1388 08 00000000:00000001 00:00000000 00000000     0        0 12 1 0000000000000000 20 0 0 10 -1\n\
             2: 0100007F:0050 0100007F:1389 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000\n\
             3: 0100007F:9000 0100007F:0051 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0000000000000000 20 0 0 10 -1\n";
        let mut sockets = Sockets::default();
        let mut listening = HashSet::new();
        let inodes = HashSet::from([11, 12, 13]);
        table
            .lines()
            .skip(1)
            .filter_map(tcp_line)
            .for_each(|socket| sockets.add(socket, &inodes, &mut listening));
        assert_eq!(listening, HashSet::from([80]));
        for tcp in sockets.tcp.values_mut() {
            tcp.accepted = listening.contains(&tcp.local.port());
        }
        let names: Vec<_> = [11, 12, 13]
            .map(|inode| sockets.name(inode).map(|(kind, detail, _)| (kind, detail)).unwrap())
            .into();
        assert_eq!(names[0], (Kind::TcpListen, "127.0.0.1:80 LISTEN".into()));
        assert_eq!(names[1], (Kind::Tcp, "127.0.0.1:80 ← 127.0.0.1:5000 CLOSE_WAIT".into()));
        assert_eq!(names[2], (Kind::Tcp, "127.0.0.1:36864 → 127.0.0.1:81 ESTABLISHED".into()));
        assert_eq!(sockets.tcp[&11].receive_queue, 3);
        assert_eq!(sockets.time_wait, HashMap::from([(80, 1)]));
        assert!(sockets.name(0).is_none());
    }

    #[test]
    fn unix_sockets_keep_paths_with_spaces() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/with space.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03   22\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 23 @abstract\n";
        let mut sockets = Sockets::default();
        sockets.unix(table, &HashSet::from([21, 22, 23]));
        assert_eq!(sockets.unix[&21], "/run/with space.sock stream listening");
        assert_eq!(sockets.unix[&22], "unnamed stream connected");
        assert_eq!(sockets.unix[&23], "@abstract datagram not connected");
    }
}

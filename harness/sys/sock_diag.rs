//! Sockets of this network namespace as the kernel lists them (sock_diag(7)): listeners of TCP and of Unix
//! stream sockets with their accept queues, UDP sockets that are bound and have no peer, and TCP sockets by
//! state. Asks only; closes and changes nothing. An answer is of the namespace the netlink socket was made
//! in.

use super::address::Address;
use super::netlink::{Netlink, Wanted, attribute, u32_at};
use super::unix_diag::{self, UnixSocket};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of `struct inet_diag_req_v2`, `struct inet_diag_msg`.
const QUESTION: usize = 56;
const ANSWER: usize = 72;
/// `INET_DIAG_SKMEMINFO` of linux/inet_diag.h, as the attribute's type and, less one, as the bit that asks
/// for it; and the place of `SK_MEMINFO_DROPS` (linux/sock_diag.h) in it, in words.
const SKMEMINFO: u16 = 7;
const DROPS: usize = 8;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
/// Its second word: `SK_MEMINFO_RCVBUF`, the size of the receive buffer in bytes.
const RECEIVE_BUFFER: usize = 1;
/// The mask of every state of net/tcp_states.h, a bit by its number, up to `TCP_NEW_SYN_RECV` (12).
pub const EVERY_STATE: u32 = 0x1ffe;

/// State of a TCP socket, by the names that ss(8) and netstat(8) know and the kernel's numbers
/// (`include/net/tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms, missing_docs, reason = "the kernel's names")]
pub enum State {
    ESTABLISHED = 1,
    SYN_SENT,
    SYN_RECV,
    FIN_WAIT1,
    FIN_WAIT2,
    TIME_WAIT,
    CLOSE,
    CLOSE_WAIT,
    LAST_ACK,
    LISTEN,
    CLOSING,
}

impl State {
    /// By the kernel's number; request sockets (`TCP_NEW_SYN_RECV`) are SYN_RECV, as the kernel itself shows
    /// them.
    pub fn from_number(number: u8) -> Option<State> {
        use State::*;
        let order = [
            ESTABLISHED,
            SYN_SENT,
            SYN_RECV,
            FIN_WAIT1,
            FIN_WAIT2,
            TIME_WAIT,
            CLOSE,
            CLOSE_WAIT,
            LAST_ACK,
            LISTEN,
            CLOSING,
            SYN_RECV,
        ];
        order.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Its bit in a mask of states.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A listening TCP socket, or a listening Unix stream socket; or a UDP socket that is bound and has no peer,
/// to which anybody may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address it is bound to; the unspecified address for a wildcard.
    pub address: Address,
    /// Inode of the socket, as in `/proc/PID/fd`.
    pub inode: u64,
    /// User that made it.
    pub uid: u32,
    /// Connections in its accept queue now (rqueue). For UDP, bytes of memory that the datagrams in its
    /// receive queue take.
    pub queue: u32,
    /// Its backlog as listen(2) got it, cut at `somaxconn` (wqueue). For UDP, bytes that its receive queue
    /// may take (`SO_RCVBUF`), 0 unless its drops were asked for.
    pub backlog: u32,
    /// SYNs and last ACKs of handshakes that it has dropped since it was made, usually for a full accept
    /// queue: its share of `ListenDrops` (netstat(8)). For UDP, datagrams that it has dropped, usually for a
    /// full receive queue. `None` unless asked for, and for a Unix socket, which turns a client away and
    /// drops none.
    pub drops: Option<u32>,
}

impl Listener {
    fn of_unix(socket: UnixSocket) -> Option<Listener> {
        let UnixSocket { name, inode, uid, queue, backlog, .. } = socket;
        Some(Listener { address: Address::Unix(name?), inode, uid, queue, backlog, drops: None })
    }

    /// Connections that the accept queue takes before the kernel drops SYNs, or answers connects to a Unix
    /// socket with EAGAIN: one more than the backlog; none for UDP.
    pub fn capacity(&self) -> u32 {
        if self.address.is_udp() {
            return 0;
        }
        self.backlog.saturating_add(1)
    }
}

/// One TCP socket of the namespace, in any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end; port 0 for a listener.
    pub peer: SocketAddr,
    /// Its state.
    pub state: State,
    /// For a listener, the connections in its accept queue; otherwise bytes received and not yet read.
    pub receive_queue: u64,
    /// Inode of the socket; 0 while no descriptor refers to it: in an accept queue, in SYN_RECV or TIME_WAIT.
    pub inode: u64,
}

/// A netlink socket to ask the kernel's socket tables.
#[derive(Debug)]
pub struct SockDiag(Netlink);

impl SockDiag {
    /// Opens a netlink socket (one descriptor) in the caller's network namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel has no sock_diag; `EPERM` or `EACCES` where a security policy
    /// refuses it; `EMFILE`.
    pub fn open() -> io::Result<SockDiag> {
        Netlink::open().map(SockDiag)
    }

    /// Every listening TCP socket of the namespace, IPv4 and IPv6.
    ///
    /// # Errors
    /// The kernel refused the dump, or gave no answer for two seconds.
    pub fn listeners(&mut self) -> io::Result<Vec<Listener>> {
        self.listeners_on(0)
    }

    /// Every listening Unix stream socket of the namespace that has a name, as it was bound: a path may be
    /// relative. Empty where the kernel does not list them (`CONFIG_UNIX_DIAG`).
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn unix_listeners(&mut self) -> io::Result<Vec<Listener>> {
        Ok(unix_diag::listeners(&mut self.0)?.into_iter().filter_map(Listener::of_unix).collect())
    }

    /// UDP sockets of one port (0: of every port) that are bound and have no peer, with their drops: servers,
    /// and clients that ask without connecting first.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn udp_on(&mut self, port: u16) -> io::Result<Vec<Listener>> {
        let mut found = Vec::new();
        for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let question = Question {
                protocol: IPPROTO_UDP,
                states: State::CLOSE.bit(),
                attribute: SKMEMINFO,
                ..Question::of(SocketAddr::new(any, port))
            };
            self.ask(Wanted::All, question, |answer| found.extend(answer.datagrams()))?;
        }
        found.retain(|one| one.address.port().is_some_and(|own| own != 0 && (port == 0 || own == port)));
        Ok(found)
    }

    /// The UDP sockets that a datagram to this address may reach: those bound to it, or to every address.
    fn udp_at(&mut self, address: SocketAddr) -> io::Result<Vec<Listener>> {
        let mut found = self.udp_on(address.port())?;
        let reached = |one: &Listener| match &one.address {
            Address::Udp(own) => {
                own.ip() == address.ip() || own.ip().is_unspecified() && (own.is_ipv6() || address.is_ipv4())
            }
            _ => false,
        };
        found.retain(reached);
        // An own address before any.
        found.sort_by_key(|one| one.address != Address::Udp(address));
        Ok(found)
    }

    /// Listening TCP sockets of one port (0: of every port): several where a program sets SO_REUSEPORT or
    /// binds several addresses.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn listeners_on(&mut self, port: u16) -> io::Result<Vec<Listener>> {
        let mut found = Vec::new();
        self.dump(port, State::LISTEN.bit(), 0, |answer| found.extend(answer.listener()))?;
        Ok(found)
    }

    /// As [`SockDiag::listeners`], with their drops.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn listeners_with_drops(&mut self) -> io::Result<Vec<Listener>> {
        let mut found = Vec::new();
        self.dump(0, State::LISTEN.bit(), SKMEMINFO, |answer| found.extend(answer.listener()))?;
        Ok(found)
    }

    /// The listener that a connect to `address` would reach, a wildcard or dual-stack one included; `None`
    /// when nothing listens.
    ///
    /// For TCP this is one exact look-up, microseconds. Among several sockets with SO_REUSEPORT it returns
    /// one, not always the same. For Unix sockets it walks through all of them, 0.1 ms for each ten thousand.
    ///
    /// # Errors
    /// The kernel refused the question, or gave no answer for two seconds.
    pub fn listener(&mut self, address: &Address) -> io::Result<Option<Listener>> {
        match address {
            Address::Inet(address) => {
                let question = Question { states: State::LISTEN.bit(), ..Question::of(*address) };
                Ok(self.one(question, |answer| answer.listener())?.flatten())
            }
            Address::Udp(address) => Ok(self.udp_at(*address)?.into_iter().next()),
            Address::Unix(name) => {
                let found = unix_diag::listener(&mut self.0, name)?;
                Ok(found
                    .and_then(Listener::of_unix)
                    .map(|found| Listener { address: address.clone(), ..found }))
            }
        }
    }

    /// Every listener bound to the address of the one that a connect to `address` would reach, with its
    /// drops: these listeners share its clients (SO_REUSEPORT). Excludes listeners on another address of the
    /// same port. Empty when nothing listens. A Unix socket shares none.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn sharing(&mut self, address: &Address) -> io::Result<Vec<Listener>> {
        let Some(one) = self.listener(address)? else { return Ok(Vec::new()) };
        let inet = match address {
            Address::Inet(inet) => inet,
            Address::Udp(udp) => {
                let all = self.udp_at(*udp)?;
                return Ok(all.into_iter().filter(|other| other.address == one.address).collect());
            }
            Address::Unix(_) => return Ok(vec![one]),
        };
        let mut found = Vec::new();
        self.dump(inet.port(), State::LISTEN.bit(), SKMEMINFO, |answer| found.extend(answer.listener()))?;
        found.retain(|listener| listener.address == one.address);
        Ok(found)
    }

    /// Drops of the listener that a connect to `address` would reach, since it was made; see
    /// [`Listener::drops`].
    ///
    /// # Errors
    /// As [`SockDiag::listener`].
    pub fn drops(&mut self, address: &Address) -> io::Result<Option<u32>> {
        let address = match address {
            Address::Inet(address) => address,
            Address::Udp(address) => {
                return Ok(self.udp_at(*address)?.first().and_then(|socket| socket.drops));
            }
            Address::Unix(_) => return Ok(None),
        };
        let question =
            Question { states: State::LISTEN.bit(), attribute: SKMEMINFO, ..Question::of(*address) };
        Ok(self.one(question, |answer| answer.listener()?.drops)?.flatten())
    }

    /// The one socket with these two ends, its own first; `None` when there is none. An exact look-up,
    /// microseconds.
    ///
    /// # Errors
    /// As [`SockDiag::listener`].
    pub fn connection(&mut self, local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Socket>> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let found = self
            .one(Question { peer: Some(peer), ..Question::of(local) }, |answer| answer.socket())?
            .flatten();
        // Without such a socket the kernel falls back to a listener on that address.
        Ok(found.filter(|socket| socket.state != State::LISTEN))
    }

    fn one<T>(&mut self, question: Question, read: impl Fn(Answer) -> T) -> io::Result<Option<T>> {
        let mut found = None;
        match self.ask(Wanted::One, question, |answer| found = Some(read(answer))) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(|()| found),
        }
    }

    /// Sockets whose local port is `port`, counted by TCP state, including listeners. SYN_RECV counts request
    /// sockets: clients whose handshake the server has not completed.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn states(&mut self, port: u16) -> io::Result<BTreeMap<String, u64>> {
        let mut counts: BTreeMap<State, u64> = BTreeMap::new();
        self.dump(port, EVERY_STATE, 0, |answer| {
            answer.state().into_iter().for_each(|state| *counts.entry(state).or_default() += 1)
        })?;
        Ok(counts.into_iter().map(|(state, count)| (state.to_string(), count)).collect())
    }

    /// The TCP sockets of the namespace in these states (bits, see [`State::bit`]), IPv4 and IPv6. The
    /// listeners alone are found without a walk through every connection of the host.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn sockets(&mut self, states: u32, mut each: impl FnMut(Socket)) -> io::Result<()> {
        self.dump(0, states, 0, |answer| answer.socket().into_iter().for_each(&mut each))
    }

    /// State and inode of each socket whose local end is this address, including listeners. TCP sockets are
    /// found by the port. For a Unix socket it is the listener and the sockets accepted from it.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn at(&mut self, address: &Address, mut each: impl FnMut(State, u64)) -> io::Result<()> {
        match address {
            Address::Inet(address) => self.sockets(EVERY_STATE, |socket| {
                if socket.local.port() == address.port() {
                    each(socket.state, socket.inode);
                }
            }),
            Address::Udp(address) => {
                self.udp_at(*address)?.iter().for_each(|socket| each(State::CLOSE, socket.inode));
                Ok(())
            }
            Address::Unix(name) => {
                for UnixSocket { listens, inode, .. } in unix_diag::bound(&mut self.0, name)? {
                    each(if listens { State::LISTEN } else { State::ESTABLISHED }, inode);
                }
                Ok(())
            }
        }
    }

    /// Whether the holders of the connections accepted at this address leave their clients' ends unread:
    /// there are some in CLOSE_WAIT, and each has unread bytes, at least its FIN, which counts as one. Not
    /// for a Unix socket.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn ends_unread(&mut self, address: &Address) -> io::Result<bool> {
        let Address::Inet(address) = address else { return Ok(false) };
        let (mut ended, mut unread) = (0, 0);
        self.sockets(State::CLOSE_WAIT.bit(), |socket| {
            if socket.local.port() == address.port() && socket.inode != 0 {
                ended += 1;
                unread += u64::from(socket.receive_queue > 0);
            }
        })?;
        Ok(ended > 0 && unread == ended)
    }

    /// How many sockets listen at this address: for TCP, on its port.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn listening_at(&mut self, address: &Address) -> io::Result<u64> {
        Ok(match address {
            Address::Inet(address) => self.listeners_on(address.port())?.len() as u64,
            Address::Udp(address) => self.udp_at(*address)?.len() as u64,
            Address::Unix(_) => u64::from(self.listener(address)?.is_some()),
        })
    }

    /// Local addresses of the sockets whose peer is `target`, TIME_WAIT left out: the clients' side of a
    /// loopback listener.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn connected_to(&mut self, target: SocketAddr) -> io::Result<Vec<SocketAddr>> {
        let states = EVERY_STATE & !(State::LISTEN.bit() | State::TIME_WAIT.bit());
        let mut found = Vec::new();
        self.of_peer_port(target, states, |socket| {
            if socket.peer == target {
                found.push(socket.local);
            }
        })?;
        Ok(found)
    }

    /// Whether a client comes in by itself, sooner or later: its handshake is under way, because the accept
    /// queue was full when it came, and the queue has room now. The kernel chooses the time of its next try:
    /// after a second at first, then less and less often. Never for UDP, nor for a Unix socket, which drops
    /// no client.
    ///
    /// A walk through every connection of the host, where there is room.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn awaits_retry(&mut self, address: &Address) -> io::Result<bool> {
        let Address::Inet(target) = *address else { return Ok(false) };
        let all = self.sharing(address)?;
        // The kernel chose one of several listeners for each client, and does not say which.
        let room = !all.is_empty() && all.iter().all(|one| one.queue < one.capacity());
        Ok(room && self.handshakes(target)? > 0)
    }

    /// Handshakes under way with a listener of TCP on this host: clients in SYN_SENT towards its port, and
    /// requests in SYN_RECV at it. Where the accept queue was full the kernel drops a SYN or the last ACK,
    /// and the handshake goes on when that is sent again (tcp(7)).
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    fn handshakes(&mut self, target: SocketAddr) -> io::Result<u64> {
        let mut found = 0;
        for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let target = SocketAddr::new(any, target.port());
            self.of_peer_port(target, State::SYN_SENT.bit(), |socket| {
                found += u64::from(socket.peer.port() == target.port());
            })?;
        }
        self.dump(target.port(), State::SYN_RECV.bit(), 0, |_| found += 1)?;
        Ok(found)
    }

    /// Each socket that is connected to the port of `target`, whichever of this host's addresses its peer
    /// has: a client may use another name of it. Not of those that no descriptor refers to.
    ///
    /// # Errors
    /// As [`SockDiag::listeners`].
    pub fn clients_of(&mut self, target: SocketAddr, mut each: impl FnMut(Socket)) -> io::Result<()> {
        use State::{CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2};
        let states =
            [ESTABLISHED, CLOSE_WAIT, FIN_WAIT1, FIN_WAIT2].into_iter().fold(0, |all, s| all | s.bit());
        let both = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        both.into_iter().try_for_each(|any| {
            self.of_peer_port(SocketAddr::new(any, target.port()), states, |socket| {
                if socket.peer.port() == target.port() && socket.inode != 0 {
                    each(socket);
                }
            })
        })
    }

    /// Sockets of one family and in these states whose peer has this port.
    fn of_peer_port(
        &mut self,
        target: SocketAddr,
        states: u32,
        mut each: impl FnMut(Socket),
    ) -> io::Result<()> {
        let any = unspecified(target.ip());
        let peer = Some(SocketAddr::new(any, target.port()));
        let question = Question { states, peer, ..Question::of(SocketAddr::new(any, 0)) };
        self.ask(Wanted::All, question, |answer| answer.socket().into_iter().for_each(&mut each))
    }

    /// Every socket of both families in one of these states, and of this local port where it is not zero (the
    /// kernel filters).
    fn dump(
        &mut self,
        port: u16,
        states: u32,
        attribute: u16,
        mut each: impl FnMut(Answer),
    ) -> io::Result<()> {
        for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let question = Question { states, attribute, ..Question::of(SocketAddr::new(any, port)) };
            self.ask(Wanted::All, question, |answer| {
                if port == 0 || answer.local().port() == port {
                    each(answer);
                }
            })?;
        }
        Ok(())
    }

    fn ask(&mut self, wanted: Wanted, question: Question, mut each: impl FnMut(Answer)) -> io::Result<()> {
        self.0.ask(&question.message(), wanted, ANSWER, |body| each(Answer(body)))
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// A question about sockets with these ends; zeroes stand for any.
#[derive(Clone, Copy)]
struct Question {
    protocol: u8,
    states: u32,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    /// One that each answer is to have beside its first bytes; 0: none.
    attribute: u16,
}

impl Question {
    /// Sockets with this local end, in any state and with any peer.
    fn of(local: SocketAddr) -> Self {
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        Question { protocol: IPPROTO_TCP, states: EVERY_STATE, local, peer: None, attribute: 0 }
    }

    /// `struct inet_diag_req_v2`.
    fn message(self) -> [u8; QUESTION] {
        let mut m = [0; QUESTION];
        m[0] = family(self.local.ip());
        m[1] = self.protocol;
        m[2] = if self.attribute > 0 { 1 << (self.attribute - 1) } else { 0 };
        m[4..8].copy_from_slice(&self.states.to_ne_bytes());
        // struct inet_diag_sockid: sport, dport, src[4], dst[4], interface, cookie[2]
        m[8..10].copy_from_slice(&self.local.port().to_be_bytes());
        let mut end = |at: usize, ip: IpAddr| match ip {
            IpAddr::V4(ip) => m[at..at + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => m[at..at + 16].copy_from_slice(&ip.octets()),
        };
        end(12, self.local.ip());
        if let Some(peer) = self.peer {
            end(28, peer.ip());
            m[10..12].copy_from_slice(&peer.port().to_be_bytes());
        }
        m[48..56].fill(0xff); // INET_DIAG_NOCOOKIE
        m
    }
}

/// A `struct inet_diag_msg` (its first [`ANSWER`] bytes are there), and the attributes that follow it.
#[derive(Clone, Copy)]
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn state(self) -> Option<State> {
        State::from_number(self.0[1])
    }

    fn inode(self) -> u64 {
        u64::from(u32_at(self.0, 68))
    }

    fn local(self) -> SocketAddr {
        self.address(4, 8)
    }

    fn peer(self) -> SocketAddr {
        self.address(6, 24)
    }

    fn address(self, port: usize, ip: usize) -> SocketAddr {
        let octets = &self.0[ip..ip + 16];
        let ip = match self.0[0] {
            AF_INET => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
            _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).expect("sixteen bytes were cut"))),
        };
        SocketAddr::new(ip, u16::from_be_bytes([self.0[port], self.0[port + 1]]))
    }

    fn socket(self) -> Option<Socket> {
        let receive_queue = u32_at(self.0, 56).into();
        Some(Socket {
            local: self.local(),
            peer: self.peer(),
            state: self.state()?,
            receive_queue,
            inode: self.inode(),
        })
    }

    fn listener(self) -> Option<Listener> {
        (self.state() == Some(State::LISTEN)).then(|| Listener {
            address: self.local().into(),
            inode: self.inode(),
            uid: u32_at(self.0, 64),
            queue: u32_at(self.0, 56),
            backlog: u32_at(self.0, 60),
            drops: self.memory(DROPS),
        })
    }

    /// A UDP socket without a peer.
    fn datagrams(self) -> Option<Listener> {
        (self.state() == Some(State::CLOSE) && self.peer().port() == 0).then(|| Listener {
            address: Address::Udp(self.local()),
            inode: self.inode(),
            uid: u32_at(self.0, 64),
            queue: u32_at(self.0, 56),
            backlog: self.memory(RECEIVE_BUFFER).unwrap_or(0),
            drops: self.memory(DROPS),
        })
    }

    /// A word of its memory, where that was asked for.
    fn memory(self, word: usize) -> Option<u32> {
        let words = attribute(&self.0[ANSWER..], SKMEMINFO).filter(|words| words.len() > 4 * word + 3);
        words.map(|words| u32_at(words, 4 * word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    fn listening(address: &str, backlog: i32) -> socket2::Socket {
        let address: SocketAddr = address.parse().unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(backlog).unwrap();
        socket
    }

    fn address(socket: &socket2::Socket) -> SocketAddr {
        socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// Inode of a descriptor of ours from its link in /proc: `socket:[N]`.
    fn inode(socket: &impl AsRawFd) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap()
    }

    /// State numbers of /proc/net/tcp for one local port, counted.
    fn witness(port: u16) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                if words[1].ends_with(&format!(":{port:04X}")) {
                    let name = match words[3] {
                        "01" => "ESTABLISHED",
                        "02" => "SYN_SENT",
                        "03" | "0C" => "SYN_RECV",
                        "04" => "FIN_WAIT1",
                        "05" => "FIN_WAIT2",
                        "06" => "TIME_WAIT",
                        "08" => "CLOSE_WAIT",
                        "09" => "LAST_ACK",
                        "0A" => "LISTEN",
                        other => other,
                    };
                    *counts.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        counts
    }

    #[test]
    fn exact_look_up_gives_the_queue_and_backlog_of_one_listener() {
        let server = listening("127.0.0.1:0", 7);
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
        let found = SockDiag::open().unwrap().listener(&address(&server).into()).unwrap().unwrap();
        assert_eq!((found.address.clone(), found.inode), (address(&server).into(), inode(&server)));
        assert_eq!((found.queue, found.backlog, found.capacity()), (clients.len() as u32, 7, 8));
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn a_wildcard_listener_is_found_through_any_address_that_reaches_it() {
        let mut diag = SockDiag::open().unwrap();
        let v4 = listening("0.0.0.0:0", 1);
        let through = SocketAddr::new([127, 0, 0, 1].into(), address(&v4).port());
        assert_eq!(diag.listener(&through.into()).unwrap().unwrap().inode, inode(&v4));

        let dual = listening("[::]:0", 1);
        let port = address(&dual).port();
        for through in
            [SocketAddr::new([127, 0, 0, 1].into(), port), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)]
        {
            let found = diag.listener(&through.into()).unwrap().unwrap();
            assert_eq!(
                (found.inode, found.address),
                (inode(&dual), SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port).into())
            );
        }
    }

    #[test]
    fn listeners_that_share_an_address_are_told_from_others_of_the_port() {
        let reusing = |address: SocketAddr| {
            let socket =
                socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
                    .unwrap();
            socket.set_reuse_port(true).unwrap();
            if address.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&address.into()).unwrap();
            socket.listen(3).unwrap();
            socket
        };
        let one = reusing("0.0.0.0:0".parse().unwrap());
        let port = address(&one).port();
        let another = reusing(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
        let _elsewhere = [
            reusing(SocketAddr::new([127, 0, 0, 2].into(), port)),
            reusing(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)),
        ];
        let found = SockDiag::open()
            .unwrap()
            .sharing(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).into())
            .unwrap();
        let inodes: std::collections::BTreeSet<u64> = found.iter().map(|listener| listener.inode).collect();
        assert_eq!(inodes, [inode(&one), inode(&another)].into());
        assert!(found.iter().all(|listener| listener.drops == Some(0)));
    }

    #[test]
    fn a_port_where_nothing_listens_has_no_listener_even_when_it_is_connected() {
        let mut diag = SockDiag::open().unwrap();
        let server = listening("127.0.0.1:0", 1);
        let to = address(&server);
        let client = TcpStream::connect(to).unwrap();
        assert_eq!(diag.listener(&client.local_addr().unwrap().into()).unwrap(), None);
        drop(server);
        assert_eq!(diag.listener(&to.into()).unwrap(), None);
    }

    #[test]
    fn the_dump_lists_listeners_of_both_families_and_nothing_else() {
        let servers = [listening("127.0.0.1:0", 3), listening("[::1]:0", 4)];
        let client = TcpStream::connect(address(&servers[0])).unwrap();
        let found = SockDiag::open().unwrap().listeners().unwrap();
        for server in &servers {
            let one = found.iter().find(|l| l.inode == inode(server)).unwrap();
            assert_eq!(one.address, address(server).into());
        }
        assert!(found.iter().all(|l| l.inode != inode(&client)));
    }

    #[test]
    fn states_agree_with_proc_net_tcp() {
        let mut diag = SockDiag::open().unwrap();
        let server = listening("127.0.0.1:0", 2);
        let to = address(&server);
        // Three fill the queue; the others stay in SYN_SENT on their side, or in SYN_RECV on the server's.
        let mut clients: Vec<_> = (0..3).map(|_| TcpStream::connect(to).unwrap()).collect();
        let late: Vec<_> = (0..3)
            .map(|_| {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket.connect(&to.into()).unwrap_err();
                socket
            })
            .collect();
        drop(clients.pop());
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let (ours, theirs) = (diag.states(to.port()).unwrap(), witness(to.port()));
            assert_eq!(ours["LISTEN"], 1);
            if ours == theirs && ours.get("CLOSE_WAIT") == Some(&1) && ours.get("ESTABLISHED") == Some(&2) {
                break;
            }
            assert!(Instant::now() < deadline, "sock_diag {ours:?}, /proc/net/tcp {theirs:?}");
        }
        drop(late);
    }

    #[test]
    fn a_udp_socket_without_a_peer_is_found_with_its_receive_queue_and_drops() {
        let mut diag = SockDiag::open().unwrap();
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(to).unwrap();
        let found = diag.listener(&Address::Udp(to)).unwrap().unwrap();
        assert_eq!((found.address, found.inode), (Address::Udp(to), inode(&server)));
        assert_eq!((found.queue, found.drops), (0, Some(0)));
        assert!(diag.udp_on(0).unwrap().iter().all(|one| one.inode != inode(&client)), "it has a peer");
        while diag.drops(&Address::Udp(to)).unwrap() == Some(0) {
            client.send(&[0; 8192]).unwrap();
        }
        let full = diag.listener(&Address::Udp(to)).unwrap().unwrap();
        assert!(full.queue > 8192 && full.backlog > 8192 && full.drops > Some(0), "{full:?}");
        drop(server);
        assert_eq!(diag.listener(&Address::Udp(to)).unwrap(), None);
    }

    /// A counter of the namespace (/proc/net/netstat): the whole host's, so it is at least what one listener
    /// adds to it.
    fn listen_drops() -> u64 {
        let table = std::fs::read_to_string("/proc/net/netstat").unwrap();
        let mut lines = table.lines().filter(|line| line.starts_with("TcpExt:"));
        let column = lines.next().unwrap().split(' ').position(|name| name == "ListenDrops").unwrap();
        lines.next().unwrap().split(' ').nth(column).unwrap().parse().unwrap()
    }

    #[test]
    fn a_listener_counts_what_its_full_queue_turned_away() {
        let mut diag = SockDiag::open().unwrap();
        let (full, idle) = (listening("127.0.0.1:0", 0), listening("127.0.0.1:0", 0));
        let before = listen_drops();
        assert_eq!(diag.drops(&address(&full).into()).unwrap(), Some(0));
        let _queued = TcpStream::connect(address(&full)).unwrap();
        let late = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        late.set_nonblocking(true).unwrap();
        late.connect(&address(&full).into()).unwrap_err();
        let dropped = diag.drops(&address(&full).into()).unwrap().unwrap();
        assert!(dropped >= 1 && u64::from(dropped) <= listen_drops() - before, "{dropped}");
        let all = diag.listeners_with_drops().unwrap();
        let of = |socket: &socket2::Socket| all.iter().find(|l| l.inode == inode(socket)).unwrap();
        assert_eq!((of(&idle).drops, of(&idle).queue), (Some(0), 0));
        assert!(of(&full).drops >= Some(dropped) && of(&full).queue == 1);
        assert_eq!(
            diag.listeners().unwrap().iter().find(|l| l.inode == inode(&full)).unwrap().drops,
            None,
            "it was not asked for"
        );
    }

    #[test]
    fn a_client_that_found_the_queue_full_is_awaited_from_when_there_is_room_until_it_is_in() {
        let server = listening("127.0.0.1:0", 0);
        let target = address(&server);
        let mut diag = SockDiag::open().unwrap();
        let _first = TcpStream::connect(target).unwrap();
        let late = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        late.set_nonblocking(true).unwrap();
        assert!(late.connect(&target.into()).is_err(), "no room: its SYN is dropped");
        assert!(!diag.awaits_retry(&target.into()).unwrap(), "nobody makes room");
        let _accepted = server.accept().unwrap();
        assert!(diag.awaits_retry(&target.into()).unwrap(), "there is room, and it has not tried again");
        // The kernel sends a SYN again after a second (RFC 6298).
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _late = server.accept().unwrap();
        assert!(!diag.awaits_retry(&target.into()).unwrap(), "nobody else comes");
    }

    #[test]
    fn a_connection_is_found_by_its_two_ends_and_is_seen_to_be_accepted() {
        let mut diag = SockDiag::open().unwrap();
        let server = listening("[::]:0", 8);
        for ip in ["127.0.0.1", "::1"] {
            let to = SocketAddr::new(ip.parse().unwrap(), address(&server).port());
            let client = TcpStream::connect(to).unwrap();
            let from = client.local_addr().unwrap();
            assert_eq!(diag.connection(to, from).unwrap().unwrap().inode, 0, "it is in the accept queue");
            let (accepted, _) = server.accept().unwrap();
            assert_eq!(diag.connection(to, from).unwrap().unwrap().inode, inode(&accepted));
            assert_eq!(diag.connection(to, SocketAddr::new(from.ip(), 1)).unwrap(), None);
        }
    }

    fn connections(port: u16) -> Vec<Socket> {
        let mut found = Vec::new();
        SockDiag::open().unwrap().sockets(EVERY_STATE, |socket| found.push(socket)).unwrap();
        found.retain(|socket| socket.local.port() == port && socket.state != State::LISTEN);
        found
    }

    #[test]
    fn a_connection_has_no_inode_until_it_is_accepted() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let client = TcpStream::connect(to).unwrap();
        let waiting = connections(to.port());
        assert_eq!((waiting.len(), waiting[0].state, waiting[0].inode), (1, State::ESTABLISHED, 0));
        assert_eq!((waiting[0].local, waiting[0].peer), (to, client.local_addr().unwrap()));
        let (accepted, _) = server.accept().unwrap();
        assert_eq!(connections(to.port())[0].inode, inode(&accepted));
    }

    #[test]
    fn receive_queues_are_connections_of_a_listener_and_bytes_of_a_connection() {
        let server = listening("127.0.0.1:0", 7);
        let to = address(&server);
        let client = TcpStream::connect(to).unwrap();
        let (accepted, _) = server.accept().unwrap();
        accepted.send(b"abc").unwrap();
        let _waiting = TcpStream::connect(to).unwrap();
        let mut queues = BTreeMap::new();
        SockDiag::open()
            .unwrap()
            .sockets(EVERY_STATE, |socket| _ = queues.insert(socket.inode, socket.receive_queue))
            .unwrap();
        assert_eq!((queues[&inode(&server)], queues[&inode(&client)]), (1, 3));
    }

    #[test]
    fn a_dump_longer_than_one_datagram_is_complete() {
        let mut diag = SockDiag::open().unwrap();
        let server = listening("127.0.0.1:0", 600);
        let clients: Vec<_> = (0..500).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
        assert_eq!(connections(address(&server).port()).len(), clients.len());
        assert_eq!(diag.states(address(&server).port()).unwrap()["ESTABLISHED"], clients.len() as u64);
    }
}

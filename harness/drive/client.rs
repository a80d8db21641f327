//! One client's socket: dialled without blocking, read and written as its dialogue wants. Decides nothing
//! about pacing or reporting.

use super::dialogue::{News, Site, Talk};
use super::tls::{Secure, Session};
use crate::sys::address::Address;
use crate::sys::sockopt::bind_address_no_port;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
    sockopt,
};
use std::net::{Ipv4Addr, SocketAddr};

/// Answers to the server that are kept while it does not read; later ones are dropped. Bytes.
const UNSENT_BYTES: usize = 64 * 1024;
/// Reads of one client before the others have their turn.
const READS_IN_A_ROW: usize = 16;

/// Why a connect failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// ECONNREFUSED, or of a Unix socket ENOENT: nothing listens.
    Refused,
    /// ETIMEDOUT: the kernel gave up.
    TimedOut,
    /// The generator's own side: EMFILE, EADDRNOTAVAIL, ENOBUFS, an unreachable network.
    Local(i32),
}

/// How far a connect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// The handshake is complete.
    Open,
    /// Still waiting for the peer.
    Pending,
    /// The accept queue of a Unix socket is full (EAGAIN): such a connect has no handshake to wait in, and
    /// nothing tells when there is room (unix(7)), so it is to be dialled again.
    Full,
}

/// A socket and the conversation on it.
pub struct Client {
    socket: OwnedFd,
    /// UDP: the client gets whole datagrams, and they have no end.
    datagrams: bool,
    talk: Box<dyn Talk>,
    /// Once TLS has begun.
    session: Option<Box<Session>>,
    /// Bytes that the kernel did not take yet; without memory otherwise.
    unsent: Vec<u8>,
}

/// The result of reading from a client.
#[derive(Debug, Default)]
pub struct Heard {
    /// The meaning of the bytes.
    pub news: News,
    /// End of file, or reset.
    pub ended: bool,
    /// UDP: nothing serves the port (an ICMP message says so). Then it has ended, too.
    pub refused: bool,
    /// More may be there: read again after the others.
    pub more: bool,
    /// A TLS handshake was completed.
    pub secured: bool,
}

/// Buffers that all clients share.
pub struct Scratch {
    input: Box<[u8]>,
    plain: Vec<u8>,
    output: Vec<u8>,
    /// For handshakes, where clients speak TLS.
    secure: Option<Secure>,
}

impl Scratch {
    /// Buffers of a size that takes any common answer in one read.
    pub fn new(secure: Option<Secure>) -> Scratch {
        let (input, output) = (vec![0; 16 * 1024].into(), Vec::with_capacity(1024));
        Scratch { input, plain: Vec::new(), output, secure }
    }
}

impl Client {
    /// Makes a socket and connects it without waiting. It is to be watched next.
    ///
    /// # Errors
    /// The connect failed at once.
    pub fn dial(
        target: &Address,
        source: Option<Ipv4Addr>,
        talk: Box<dyn Talk>,
    ) -> Result<(Client, Dial), Failure> {
        let family = match target {
            Address::Unix(_) => AddressFamily::UNIX,
            address if address.is_ipv4() => AddressFamily::INET,
            _ => AddressFamily::INET6,
        };
        let kind = if target.is_udp() { SocketType::DGRAM } else { SocketType::STREAM };
        let socket =
            socket_with(family, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).map_err(own)?;
        if let Some(source) = source {
            bind_address_no_port(&socket).map_err(|e| Failure::Local(e.raw_os_error().unwrap_or(0)))?;
            bind(&socket, &SocketAddr::from((source, 0))).map_err(own)?;
        }
        let mut dial = knock(&socket, target)?;
        if dial == Dial::Pending {
            // Over loopback the handshake is complete when connect returns: asking again costs less than a
            // turn through epoll.
            dial = knock(&socket, target)?;
        }
        Ok((Client { socket, datagrams: target.is_udp(), talk, session: None, unsent: Vec::new() }, dial))
    }

    /// Dials again, after [`Dial::Full`].
    ///
    /// # Errors
    /// The connect failed at once.
    pub fn dial_again(&self, target: &Address) -> Result<Dial, Failure> {
        knock(&self.socket, target)
    }

    /// Registers it with the epoll instance under this token; earlier events are reported too.
    ///
    /// # Errors
    /// ENOMEM, or ENOSPC beyond fs.epoll.max_user_watches.
    pub fn watch(&self, epoll: &OwnedFd, token: u64, dial: Dial) -> Result<(), Failure> {
        let mut interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if dial == Dial::Pending {
            interest |= EventFlags::OUT;
        }
        epoll::add(epoll, &self.socket, EventData::new_u64(token), interest).map_err(own)
    }

    /// Whether an event completed the connect.
    ///
    /// # Errors
    /// It failed.
    pub fn dialled(&self, event: EventFlags) -> Result<Dial, Failure> {
        if event.intersects(EventFlags::ERR | EventFlags::HUP) {
            return match sockopt::socket_error(&self.socket).map_err(own)? {
                // Reset after the handshake: it was connected, and reading will say that it has ended.
                Ok(()) | Err(Errno::CONNRESET | Errno::PIPE) => Ok(Dial::Open),
                Err(e) => Err(failure(e)),
            };
        }
        Ok(if event.contains(EventFlags::OUT) { Dial::Open } else { Dial::Pending })
    }

    /// Sends the dialogue's opening, over TLS if the site says so.
    pub fn open(&mut self, site: &Site, scratch: &mut Scratch) -> Heard {
        if site.tls {
            self.session = scratch.secure.as_ref().map(Secure::connect);
        }
        scratch.output.clear();
        self.talk.open(site, &mut scratch.output);
        self.on(scratch)
    }

    /// Asks a second question; `None` when the dialogue has none.
    pub fn ask_again(&mut self, site: &Site, scratch: &mut Scratch) -> Option<Heard> {
        scratch.output.clear();
        let asked = self.talk.ask_again(site, &mut scratch.output);
        asked.then(|| self.on(scratch))
    }

    /// Goes on: the time that the dialogue asked for is over.
    pub fn wake(&mut self, scratch: &mut Scratch) -> Heard {
        scratch.output.clear();
        self.on(scratch)
    }

    /// Goes on after the output that is there already.
    fn on(&mut self, scratch: &mut Scratch) -> Heard {
        let mut heard = Heard::default();
        self.talk.go_on(&mut scratch.output, &mut heard.news);
        self.speak(scratch, &mut heard);
        heard
    }

    /// Sends the output of the dialogue; begins TLS if it asks for it.
    fn speak(&mut self, scratch: &mut Scratch, heard: &mut Heard) {
        self.utter(scratch);
        if std::mem::take(&mut heard.news.start_tls)
            && let Some(secure) = &scratch.secure
        {
            self.session = Some(secure.connect());
            scratch.output.clear();
            // Its output is kept until the handshake is over.
            self.talk.go_on(&mut scratch.output, &mut heard.news);
            self.utter(scratch);
        }
    }

    fn utter(&mut self, scratch: &mut Scratch) {
        if let Some(session) = &mut self.session {
            if !scratch.output.is_empty() {
                session.send(&scratch.output);
            }
            scratch.output.clear();
            session.take(&mut scratch.output);
        }
        self.say(&scratch.output);
    }

    /// Takes bytes that came.
    fn take(&mut self, length: usize, scratch: &mut Scratch, heard: &mut Heard) {
        scratch.output.clear();
        let Some(session) = &mut self.session else {
            self.talk.receive(&scratch.input[..length], &mut scratch.output, &mut heard.news);
            return self.speak(scratch, heard);
        };
        let began = !session.ready();
        scratch.plain.clear();
        let took = session.receive(&scratch.input[..length], &mut scratch.plain);
        if began && session.ready() {
            heard.secured = true;
            self.talk.secured(&mut heard.news);
        }
        if !scratch.plain.is_empty() {
            self.talk.receive(&scratch.plain, &mut scratch.output, &mut heard.news);
        }
        self.speak(scratch, heard);
        match took {
            Ok(ended) => heard.ended |= ended,
            Err(words) => {
                heard.news.error = heard.news.error.take().or(Some(words));
                heard.ended = true;
            }
        }
    }

    /// Reads what is there and answers it. `hung_up`: the event said that the peer has closed, so read up to
    /// the end of file.
    pub fn hear(&mut self, epoll: &OwnedFd, token: u64, hung_up: bool, scratch: &mut Scratch) -> Heard {
        let mut heard = Heard::default();
        self.flush();
        for _ in 0..READS_IN_A_ROW {
            let length = match recv(&self.socket, &mut *scratch.input, RecvFlags::empty()) {
                Ok((0, _)) if !self.datagrams => {
                    heard.ended = true;
                    return heard;
                }
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return heard,
                Err(e) => {
                    heard.ended = true;
                    heard.refused = self.datagrams && e == Errno::CONNREFUSED;
                    return heard;
                }
            };
            self.take(length, scratch, &mut heard);
            if !self.unsent.is_empty() {
                let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                let _ = epoll::modify(epoll, &self.socket, EventData::new_u64(token), interest);
            }
            let over = heard.news.goodbye || heard.news.leaves || heard.ended;
            if over || (length < scratch.input.len() && !hung_up && !self.datagrams) {
                return heard; // edge-triggered: what comes after a short read is an event of its own
            }
        }
        heard.more = true;
        heard
    }

    /// The server's last words before it closed unasked, if they are an error reply.
    pub fn last_words(&self) -> Option<String> {
        self.talk.last_words()
    }

    /// A few words on the last answer.
    pub fn detail(&self) -> String {
        match &self.session {
            Some(session) if !session.ready() => "in the TLS handshake".into(),
            _ => self.talk.detail(),
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.unsent.len() + bytes.len() <= UNSENT_BYTES {
            let sent =
                if self.unsent.is_empty() { send(&self.socket, bytes, SendFlags::NOSIGNAL) } else { Ok(0) };
            match sent {
                Ok(sent) => self.unsent.extend_from_slice(&bytes[sent..]),
                // A datagram that finds no room is lost: the next one is another.
                Err(_) if self.datagrams => {}
                Err(Errno::AGAIN | Errno::INTR) => self.unsent.extend_from_slice(bytes),
                Err(_) => {} // reading says that the connection has ended
            }
        }
    }

    fn flush(&mut self) {
        if !self.unsent.is_empty()
            && let Ok(sent) = send(&self.socket, &self.unsent, SendFlags::NOSIGNAL)
        {
            self.unsent.drain(..sent);
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
        }
    }
}

fn own(e: Errno) -> Failure {
    Failure::Local(e.raw_os_error())
}

fn failure(e: Errno) -> Failure {
    match e {
        Errno::CONNREFUSED => Failure::Refused,
        Errno::TIMEDOUT => Failure::TimedOut,
        other => own(other),
    }
}

fn knock(socket: &OwnedFd, target: &Address) -> Result<Dial, Failure> {
    match target {
        Address::Inet(address) | Address::Udp(address) => dialled(connect(socket, address)),
        Address::Unix(name) => match connect(socket, name) {
            Err(Errno::AGAIN) => Ok(Dial::Full),
            Err(Errno::NOENT) => Err(Failure::Refused),
            other => dialled(other),
        },
    }
}

fn dialled(result: Result<(), Errno>) -> Result<Dial, Failure> {
    match result {
        Ok(()) | Err(Errno::ISCONN | Errno::CONNRESET) => Ok(Dial::Open),
        Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => Ok(Dial::Pending),
        Err(e) => Err(failure(e)),
    }
}

//! The driver against small servers in threads: its behaviour as a server sees it, and its reports about the
//! server.

use super::driver::run;
use super::protocol::{Kind, Order, Setup};
use super::{Driver, Fleet};
use crate::event::{Client, Event, Label, Outcome, Pacing, What};
use crate::scenario::{Dialogue, Exchange, KeepAlive, Pace, Step, Tls};
use crate::sys::address::Address;
use crate::sys::sock_diag::SockDiag;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(20);
const MS: u64 = 1_000_000;

fn setup(kind: Dialogue, target: SocketAddr) -> Setup {
    let kind = Kind::Hold { dialogue: kind, pace: Pace::Auto, tls: None };
    Setup {
        workload: "flood".into(),
        kind,
        target: target.into(),
        path: "/".into(),
        exchange: None,
        keep_alive: KeepAlive::default(),
        first_id: 1,
        connect_deadline_ms: 5000,
    }
}

pub(super) fn listening(backlog: i32) -> (TcpListener, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(backlog).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A driver in a thread, with pipes for its orders and events.
pub(super) struct Rig {
    orders: Option<File>,
    events: Receiver<Event>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Rig {
    pub(super) fn new(setup: Setup) -> Rig {
        let (stdin, orders) = rustix::pipe::pipe().unwrap();
        let (heard, stdout) = rustix::pipe::pipe().unwrap();
        let (to, events) = channel();
        let thread = thread::spawn(move || run(stdin, File::from(stdout)).unwrap());
        thread::spawn(move || {
            for line in BufReader::new(File::from(heard)).lines() {
                let _ = to.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        let mut rig = Rig { orders: Some(File::from(orders)), events, thread: Some(thread) };
        rig.say(&setup);
        rig
    }

    pub(super) fn say(&mut self, what: &impl serde::Serialize) {
        let line = format!("{}\n", serde_json::to_string(what).unwrap());
        self.orders.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The events up to the first one that `last` knows, that one included.
    pub(super) fn until(&self, last: impl Fn(&What) -> bool) -> Vec<What> {
        let (deadline, mut seen) = (Instant::now() + DEADLINE, Vec::new());
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => seen.push(event.is),
                Err(e) => panic!("{e}, after {seen:?}"),
            }
            if last(seen.last().unwrap()) {
                return seen;
            }
        }
    }

    pub(super) fn ramp(&mut self, upto: u32) -> Vec<What> {
        self.say(&Order::Connect { upto });
        self.until(done)
    }

    pub(super) fn probe(&mut self, deadline_ms: u64) -> (Outcome, String, Option<f64>, Option<f64>) {
        self.say(&Order::Probe { label: Label::Saturated, deadline_ms });
        let seen = self.until(|what| matches!(what, What::Probe { .. } | What::NotSeen { .. }));
        match seen.last().unwrap() {
            What::Probe { label, outcome, detail, connect_s, answer_s, .. } => {
                assert_eq!(*label, Label::Saturated);
                (*outcome, detail.clone(), *connect_s, *answer_s)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn ask_held(&mut self) -> (Outcome, String) {
        self.say(&Order::AskHeld { clients: 1, deadline_ms: 3000 });
        match self.until(|what| matches!(what, What::Probe { .. })).pop().unwrap() {
            What::Probe { label, outcome, detail, .. } => {
                assert_eq!(label, Label::Held);
                (outcome, detail)
            }
            _ => unreachable!(),
        }
    }

    pub(super) fn release(&mut self, clients: u32) -> Vec<What> {
        self.say(&Order::Release { clients });
        self.until(|what| matches!(what, What::Released { .. }))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take()
            && !thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

pub(super) fn done(what: &What) -> bool {
    matches!(what, What::Pacing { state: Pacing::Done, .. })
}

fn paced(state: Pacing) -> impl Fn(&What) -> bool {
    move |what| matches!(what, What::Pacing { state: is, .. } if *is == state)
}

/// Ids of the clients that reached this state, in the order of the reports.
fn ids(seen: &[What], wanted: &Client) -> Vec<u32> {
    let id = |what: &What| match what {
        What::Client { id, state, .. } if state == wanted => Some(*id),
        _ => None,
    };
    seen.iter().filter_map(id).collect()
}

/// Reads a request's head.
fn head(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

fn upgrade(stream: &mut TcpStream) {
    let request = head(stream);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = super::websocket::accept_of(key);
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .unwrap();
}

/// Accepts this many and upgrades each.
fn upgraded(listener: &TcpListener, clients: usize) -> Vec<TcpStream> {
    (0..clients)
        .map(|_| {
            let (mut stream, _) = listener.accept().unwrap();
            upgrade(&mut stream);
            stream
        })
        .collect()
}

/// Whether the peer has closed: end of file within the deadline.
fn at_end(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    matches!(stream.read(&mut [0; 512]), Ok(0))
}

/// Whether the peer still holds the connection: nothing to read now.
fn open(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let open = matches!(stream.read(&mut [0; 512]), Err(e) if e.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    open
}

#[test]
fn a_server_that_never_accepts_parks_the_ramp_at_half_of_its_queue() {
    let (_server, to) = listening(15); // capacity 16
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.say(&Order::Connect { upto: 40 });
    let seen = rig.until(paced(Pacing::Parked));
    assert_eq!(ids(&seen, &Client::Connected), (1..=8).collect::<Vec<_>>());
    assert!(matches!(seen.last(), Some(What::Pacing { connected: 8, .. })));
}

#[test]
fn a_parked_ramp_goes_on_when_the_server_accepts_again() {
    let (server, to) = listening(15);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.say(&Order::Connect { upto: 20 });
    rig.until(paced(Pacing::Parked));
    let accepting = thread::spawn(move || (0..20).map(|_| server.accept().unwrap().0).collect::<Vec<_>>());
    let seen = rig.until(done);
    assert!(seen.iter().any(paced(Pacing::Ramping)));
    assert_eq!(ids(&seen, &Client::Connected).len(), 12);
    assert_eq!(accepting.join().unwrap().len(), 20);
}

#[test]
fn a_burst_overflows_the_queue_and_the_rest_time_out() {
    let (_server, to) = listening(3); // capacity 4
    let mut rig = Rig::new(Setup {
        kind: Kind::Hold { dialogue: Dialogue::Tcp, pace: Pace::Burst, tls: None },
        connect_deadline_ms: 300,
        ..setup(Dialogue::Tcp, to)
    });
    let seen = rig.ramp(30);
    let (connected, timed_out) = (ids(&seen, &Client::Connected), ids(&seen, &Client::TimedOut));
    assert_eq!(connected.len() + timed_out.len(), 30);
    // The kernel may complete a few handshakes on the client's side beyond the queue: the last
    // acknowledgement is dropped, not the SYN.
    assert!((4..10).contains(&connected.len()), "{connected:?}");
    assert!(!seen.iter().any(paced(Pacing::Parked)));
}

#[test]
fn who_found_the_queue_full_is_not_given_up_while_there_is_room_again_and_the_kernel_has_not_retried() {
    let (server, to) = listening(3);
    let mut rig = Rig::new(Setup {
        kind: Kind::Hold { dialogue: Dialogue::Tcp, pace: Pace::Burst, tls: None },
        // The first SYN that is dropped is sent again after a second (RFC 6298).
        connect_deadline_ms: 900,
        ..setup(Dialogue::Tcp, to)
    });
    rig.say(&Order::Connect { upto: 30 });
    let (mut diag, began) = (SockDiag::open().unwrap(), Instant::now());
    while diag.drops(&to.into()).unwrap() == Some(0) {
        assert!(began.elapsed() < DEADLINE, "nobody found it full");
    }
    // It ends with this program: one whose last ACK was dropped is connected, and may never be there to
    // accept.
    thread::spawn(move || server.incoming().collect::<Vec<_>>());
    let seen = rig.until(done);
    assert!(ids(&seen, &Client::TimedOut).is_empty());
    assert_eq!(ids(&seen, &Client::Connected).len(), 30);
}

#[test]
fn released_clients_leave_oldest_first_and_the_server_reads_the_end_of_file() {
    let (server, to) = listening(64);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.ramp(10);
    let mut held: Vec<_> = (0..10).map(|_| server.accept().unwrap().0).collect();
    let seen = rig.release(4);
    assert_eq!(ids(&seen, &Client::Released), [1, 2, 3, 4]);
    assert_eq!(seen.last(), Some(&What::Released { clients: 4 }));
    assert!(held[..4].iter_mut().all(at_end));
    assert!(held[4..].iter_mut().all(open));
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 6 }));
    assert!(held[4..].iter_mut().all(at_end));
}

#[test]
fn waiting_clients_leave_after_all_that_were_served() {
    let (server, to) = listening(64);
    let mut rig = Rig::new(setup(Dialogue::Websocket, to));
    rig.ramp(6);
    // The first and the second are never answered; the others are.
    let _waiting: Vec<_> = (0..2).map(|_| server.accept().unwrap().0).collect();
    let _served = upgraded(&server, 4);
    for _ in 0..4 {
        rig.until(|what| matches!(what, What::Client { state: Client::Served, .. }));
    }
    assert_eq!(ids(&rig.release(5), &Client::Released), [3, 4, 5, 6, 1]);
}

#[test]
fn a_release_ends_the_ramp_and_a_later_order_begins_another() {
    let (server, to) = listening(15);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.say(&Order::Connect { upto: 40 });
    rig.until(paced(Pacing::Parked));
    let seen = rig.release(3);
    assert_eq!(seen.last(), Some(&What::Released { clients: 3 }));
    rig.until(done);
    let mut accepted: Vec<_> = (0..8).map(|_| server.accept().unwrap().0).collect();
    assert!(accepted[..3].iter_mut().all(at_end));
    assert_eq!(ids(&rig.ramp(10), &Client::Connected), [9, 10]);
}

#[test]
fn who_gives_up_is_the_oldest_in_the_queue_and_a_refill_comes_in_addition() {
    let (server, to) = listening(64);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.ramp(10);
    let mut held: Vec<_> = (0..4).map(|_| server.accept().unwrap().0).collect();
    rig.say(&Order::GiveUp { clients: 2, of: 6 });
    let mut seen = rig.until(|what| matches!(what, What::Client { state: Client::GaveUp, .. }));
    seen.extend(rig.until(|what| matches!(what, What::Client { state: Client::GaveUp, .. })));
    assert_eq!(ids(&seen, &Client::GaveUp), [5, 6]);
    let mut waited: Vec<_> = (0..3).map(|_| server.accept().unwrap().0).collect();
    assert!(waited[..2].iter_mut().all(at_end), "it is in the queue still");
    assert!(open(&mut waited[2]) && held.iter_mut().all(open));
    rig.say(&Order::Refill { clients: 2 });
    assert_eq!(ids(&rig.until(done), &Client::Connected), [11, 12]);
}

#[test]
fn nothing_listening_is_refused_for_clients_and_probes() {
    let (server, to) = listening(5);
    drop(server);
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    assert_eq!(ids(&rig.ramp(5), &Client::Refused), [1, 2, 3, 4, 5]);
    assert_eq!(rig.probe(1000).0, Outcome::Refused);
}

#[test]
fn a_client_that_the_server_closes_is_closed_and_keeps_its_last_words() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.ramp(2);
    drop(server.accept().unwrap());
    assert_eq!(ids(&rig.until(|what| matches!(what, What::Client { .. })), &Client::Closed), [1]);
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"-ERR max number of clients reached\r\n").unwrap();
    drop(stream);
    let seen = rig.until(|what| matches!(what, What::Client { state: Client::Closed, .. }));
    assert_eq!(ids(&seen, &Client::ErrorReply("-ERR max number of clients reached".into())), [2]);
}

#[test]
fn a_reset_right_after_the_accept_is_connected_and_then_closed() {
    let (server, to) = listening(64);
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    let resetting = thread::spawn(move || {
        for _ in 0..20 {
            let socket = socket2::Socket::from(server.accept().unwrap().0);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    rig.say(&Order::Connect { upto: 20 });
    let (mut seen, all): (Vec<What>, Vec<u32>) = (Vec::new(), (1..=20).collect());
    while ids(&seen, &Client::Closed).len() < 20 {
        seen.extend(rig.until(|what| matches!(what, What::Client { .. })));
    }
    assert_eq!(ids(&seen, &Client::Connected), all);
    assert_eq!(ids(&seen, &Client::Closed).into_iter().collect::<BTreeSet<_>>(), all.into_iter().collect());
    resetting.join().unwrap();
}

#[test]
fn an_http_client_is_served_asked_again_and_turned_away() {
    let (server, to) = listening(64);
    let answering = thread::spawn(move || {
        let answer = |stream: &mut TcpStream, status: &str| {
            let request = head(stream);
            assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").unwrap();
        };
        let (mut held, _) = server.accept().unwrap();
        answer(&mut held, "200 OK");
        answer(&mut held, "200 OK");
        let (mut probe, _) = server.accept().unwrap();
        answer(&mut probe, "503 Service Unavailable");
        assert!(at_end(&mut probe), "a probe leaves when it was answered");
        let (mut probe, _) = server.accept().unwrap();
        answer(&mut probe, "404 Not Found");
        (held, probe) // closed at once, the answered probe would be `closed`
    });
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    rig.say(&Order::Connect { upto: 1 });
    rig.until(|what| matches!(what, What::Client { id: 1, state: Client::Served, .. }));
    assert_eq!(rig.ask_held(), (Outcome::Served, "status 200".into()));
    assert_eq!(rig.probe(3000).0, Outcome::ErrorReply);
    let (outcome, detail, connect_s, answer_s) = rig.probe(3000);
    assert_eq!((outcome, detail.as_str()), (Outcome::Served, "status 404"));
    assert!(connect_s.unwrap() < 1.0 && answer_s.unwrap() < 1.0);
    let (held, _probe) = answering.join().unwrap();
    held.shutdown(Shutdown::Both).unwrap();
    rig.until(|what| matches!(what, What::Client { id: 1, state: Client::Closed, .. }));
    assert_eq!(rig.ask_held(), (Outcome::Closed, "no client is held".into()));
}

#[test]
fn a_probe_waits_in_the_queue_and_times_out_beyond_it() {
    let (_server, to) = listening(1); // capacity 2
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    let begun = Instant::now();
    let (outcome, _, connect_s, answer_s) = rig.probe(100);
    assert_eq!((outcome, answer_s), (Outcome::Waits, None));
    assert!(connect_s.unwrap() < 0.1 && begun.elapsed() >= Duration::from_millis(100));
    let _full: Vec<_> = (0..1).map(|_| TcpStream::connect(to).unwrap()).collect();
    assert_eq!(rig.probe(100).0, Outcome::TimesOut);
}

#[test]
fn where_all_leave_a_probe_leaves_with_them() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    rig.say(&Order::Probe { label: Label::Saturated, deadline_ms: DEADLINE.as_millis() as u64 });
    let (mut probe, _) = server.accept().unwrap();
    head(&mut probe);
    rig.release(1);
    let said = rig.release(u32::MAX);
    assert!(said.iter().any(|what| matches!(what, What::NotSeen { .. })), "{said:?}");
    assert!(at_end(&mut probe));
}

#[test]
fn a_tcp_client_cannot_tell_so_it_waits() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.ramp(1);
    let _accepted = server.accept().unwrap();
    assert_eq!(rig.probe(20).0, Outcome::Waits);
    assert_eq!(rig.ask_held(), (Outcome::Waits, "open; a tcp client asks nothing".into()));
}

#[test]
fn pings_of_the_server_are_answered_while_a_websocket_is_held() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::Websocket, to));
    rig.ramp(1);
    let mut stream = upgraded(&server, 1).remove(0);
    rig.until(|what| matches!(what, What::Client { state: Client::Served, .. }));
    stream.write_all(b"\x89\x02hi").unwrap();
    let mut pong = [0; 8];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!((pong[0], pong[1], pong[6] ^ pong[2], pong[7] ^ pong[3]), (0x8a, 0x82, b'h', b'i'));

    let answering = thread::spawn(move || {
        let mut ping = [0; 12];
        stream.read_exact(&mut ping).unwrap();
        let payload: Vec<u8> = ping[6..].iter().enumerate().map(|(i, b)| b ^ ping[2 + i % 4]).collect();
        stream.write_all(&[&[0x8a, 6], payload.as_slice()].concat()).unwrap();
        stream
    });
    assert_eq!(rig.ask_held().0, Outcome::Served);
    let mut stream = answering.join().unwrap();
    stream.write_all(b"\x88\x00").unwrap();
    rig.until(|what| matches!(what, What::Client { state: Client::Closed, .. }));
    stream.read_exact(&mut [0; 6]).unwrap();
    assert!(at_end(&mut stream));
}

#[test]
fn a_server_that_never_reads_does_not_block_the_others() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::Websocket, to));
    rig.ramp(2);
    let mut streams = upgraded(&server, 2);
    // More pings than both socket buffers hold pongs for; the server reads none of them.
    let pings = b"\x89\x7d".iter().copied().chain([b'x'; 125]).collect::<Vec<u8>>().repeat(4096);
    streams[0].set_write_timeout(Some(DEADLINE)).unwrap();
    for _ in 0..20 {
        streams[0].write_all(&pings).unwrap();
    }
    streams[1].write_all(b"\x89\x00").unwrap();
    streams[1].read_exact(&mut [0; 6]).unwrap();
    // The pongs that were kept are sent once the server reads: a whole number of them.
    let mut first = [0; 131];
    streams[0].read_exact(&mut first).unwrap();
    assert_eq!((first[0], first[1]), (0x8a, 0xfd));
}

#[test]
fn events_carry_the_monotonic_time_of_what_happened() {
    let (_server, to) = listening(64);
    let before = crate::sys::clock::now();
    let mut rig = Rig::new(setup(Dialogue::Tcp, to));
    rig.say(&Order::Connect { upto: 20 });
    let mut last = before;
    for event in rig.events.iter() {
        assert!(event.at >= last && event.at <= crate::sys::clock::now());
        last = event.at;
        if done(&event.is) {
            break;
        }
    }
    assert!(last - before < DEADLINE.as_nanos() as u64);
}

#[test]
fn an_ipv6_listener_is_loaded_and_paced_too() {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"[::1]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(7).unwrap();
    let mut rig = Rig::new(setup(Dialogue::Tcp, socket.local_addr().unwrap().as_socket().unwrap()));
    rig.say(&Order::Connect { upto: 10 });
    assert_eq!(ids(&rig.until(paced(Pacing::Parked)), &Client::Connected), [1, 2, 3, 4]);
}

fn unix(backlog: i32) -> (UnixListener, Setup) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("@lastfd-drive-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(name.replace('@', "\0")).unwrap()).unwrap();
    socket.listen(backlog).unwrap();
    let target = Address::unix(name.as_bytes()).unwrap();
    (
        UnixListener::from(std::os::fd::OwnedFd::from(socket)),
        Setup { target, ..setup(Dialogue::Tcp, SocketAddr::from(([127, 0, 0, 1], 1))) },
    )
}

#[test]
fn a_full_unix_socket_is_dialled_again_until_it_has_room_or_the_time_is_over() {
    let (server, setup) = unix(3); // capacity 4
    let burst = Kind::Hold { dialogue: Dialogue::Tcp, pace: Pace::Burst, tls: None };
    let mut rig = Rig::new(Setup { kind: burst, connect_deadline_ms: 2000, ..setup });
    rig.say(&Order::Connect { upto: 10 });
    rig.until(|what| matches!(what, What::Client { id: 4, state: Client::Connected, .. }));
    // Two places: the oldest that wait take them.
    let _accepted = [server.accept().unwrap(), server.accept().unwrap()];
    let seen = rig.until(done);
    assert_eq!(ids(&seen, &Client::Connected), [5, 6]);
    assert_eq!(ids(&seen, &Client::TimedOut), [7, 8, 9, 10]);
    assert_eq!(rig.probe(100).0, Outcome::TimesOut);
}

#[test]
fn a_unix_socket_is_paced_to_half_of_its_queue_and_refuses_when_nobody_listens() {
    let (server, setup) = unix(9); // capacity 10
    let mut rig = Rig::new(setup);
    rig.say(&Order::Connect { upto: 20 });
    let parked = rig.until(paced(Pacing::Parked));
    assert_eq!(ids(&parked, &Client::Connected), [1, 2, 3, 4, 5]);
    assert_eq!(rig.probe(100).0, Outcome::Waits);
    drop(server);
    let seen = rig.until(done);
    assert_eq!(ids(&seen, &Client::Refused).len(), 15);
    assert_eq!(rig.probe(100).0, Outcome::Refused);
}

#[test]
fn a_line_that_is_no_order_ends_the_driver_with_an_error() {
    let (stdin, orders) = rustix::pipe::pipe().unwrap();
    let mut orders = File::from(orders);
    let setup = serde_json::to_string(&setup(Dialogue::Tcp, "127.0.0.1:9".parse().unwrap())).unwrap();
    write!(orders, "{setup}\n\"conect\"\n").unwrap();
    let error = run(stdin, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("\"conect\"") && error.contains("unknown variant"), "{error}");
}

/// Not a test: the driver process of the tests below, this very binary executed again. Standard output is the
/// test harness's, so events go to descriptor 3.
#[test]
#[ignore = "executed by other tests as their driver process"]
fn as_driver() {
    let out = File::options().write(true).open("/proc/self/fd/3").unwrap();
    super::driver::prepare().unwrap();
    run(std::io::stdin(), out).unwrap();
}

fn driver_process() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec 3>&1 >&2; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "internal::drive::tests::as_driver", "--ignored", "--nocapture"]);
    command
}

/// The events that came through a sink, until one that `last` knows.
fn brought(sink: &Receiver<Vec<Event>>, last: impl Fn(&What) -> bool) -> Vec<What> {
    let (deadline, mut seen) = (Instant::now() + DEADLINE, Vec::new());
    while !seen.iter().any(&last) {
        let batch = sink.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        seen.extend(
            batch.unwrap_or_else(|e| panic!("{e}, after {seen:?}")).into_iter().map(|event| event.is),
        );
    }
    seen
}

#[test]
fn three_hundred_websockets_are_held_by_a_process_of_their_own_that_ends_with_its_handle() {
    let (server, to) = listening(64);
    let accepting = thread::spawn(move || upgraded(&server, 301));
    let (sink, events) = channel();
    let mut driver = Driver::spawn_with(driver_process(), &setup(Dialogue::Websocket, to), sink).unwrap();
    driver.order(&Order::Connect { upto: 300 }).unwrap();
    let mut seen = brought(&events, done);
    while ids(&seen, &Client::Served).len() < 300 {
        seen.extend(brought(&events, |what| matches!(what, What::Client { .. })));
    }
    // Standard streams, descriptor 3, epoll and netlink beside the clients: the witness is /proc.
    let descriptors = crate::sys::proc::descriptors(driver.pid()).unwrap();
    assert!((300..320).contains(&descriptors), "{descriptors}");
    let (soft, hard) = crate::sys::proc::nofile(driver.pid()).unwrap();
    assert_eq!(soft, hard);
    driver.order(&Order::Probe { label: Label::Saturated, deadline_ms: 3000 }).unwrap();
    let seen = brought(&events, |what| matches!(what, What::Probe { .. }));
    assert!(matches!(seen.last(), Some(What::Probe { outcome: Outcome::Served, .. })));
    let mut held = accepting.join().unwrap();
    let pid = driver.pid();
    drop(driver);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "dropped means ended and reaped");
    assert!(held.iter_mut().all(at_end));
}

#[test]
fn a_driver_that_dies_in_the_middle_is_said() {
    let (_server, to) = listening(5);
    let (sink, events) = channel();
    let driver = Driver::spawn_with(driver_process(), &setup(Dialogue::Tcp, to), sink).unwrap();
    let pid = rustix::process::Pid::from_raw(driver.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let seen = brought(&events, |what| matches!(what, What::Inconclusive { .. }));
    assert!(matches!(&seen[0], What::Inconclusive { reason } if reason.contains("flood")));
}

#[test]
fn a_fleet_is_one_workload_over_several_processes() {
    let (server, to) = listening(64);
    let accepting = thread::spawn(move || (0..50).map(|_| server.accept().unwrap()).collect::<Vec<_>>());
    let (sink, events) = channel();
    let mut fleet = Fleet::spawn_with(driver_process, &setup(Dialogue::Tcp, to), 50, 20, sink).unwrap();
    assert_eq!(fleet.pids().len(), 3);
    fleet.order(&Order::Connect { upto: 50 }).unwrap();
    let seen = brought(&events, done);
    assert_eq!(ids(&seen, &Client::Connected), (1..=50).collect::<Vec<_>>());
    assert!(seen.iter().any(|what| matches!(what, What::Pacing { state: Pacing::Done, connected: 50, .. })));
    let mut held = accepting.join().unwrap();
    assert!(
        held.iter().all(|(_, peer)| peer.ip() == Ipv4Addr::LOCALHOST),
        "the usual source address, while it has room"
    );
    fleet.order(&Order::Release { clients: 25 }).unwrap();
    let seen = brought(&events, |what| matches!(what, What::Released { .. }));
    assert_eq!(ids(&seen, &Client::Released), (1..=25).collect::<Vec<_>>());
    assert_eq!(seen.last(), Some(&What::Released { clients: 25 }));
    assert!(
        held[..25].iter_mut().all(|(stream, _)| at_end(stream))
            && held[25..].iter_mut().all(|(stream, _)| open(stream))
    );
    drop(fleet);
    assert!(held[25..].iter_mut().all(|(stream, _)| at_end(stream)));
}

#[test]
fn a_probe_does_not_outlive_its_deadline_by_much() {
    let (_server, to) = listening(5);
    let mut rig = Rig::new(setup(Dialogue::HttpIdle, to));
    let begun = crate::sys::clock::now();
    rig.probe(50);
    let took = crate::sys::clock::now() - begun;
    assert!((50 * MS..2000 * MS).contains(&took), "{took}");
}

/// A setup whose clients each take these steps.
fn exchange(steps: Vec<Step>, tls: Option<Tls>, target: SocketAddr) -> Setup {
    let kind = Kind::Hold { dialogue: Dialogue::Exchange, pace: Pace::Auto, tls };
    Setup { kind, exchange: Some(Exchange::of(steps)), ..setup(Dialogue::Exchange, target) }
}

fn read(text: &str) -> Step {
    Step::Read(text.into())
}

fn send(text: &str) -> Step {
    Step::Send(text.into())
}

/// A server's side of TLS, with a certificate of its own.
fn tls_server() -> rustls::ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}

/// Accepts one client, answers "220" and then each line with "250", after `plain` lines over TLS.
fn mail(server: TcpListener, plain: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        if plain > 0 {
            stream.write_all(b"220 ready\r\n").unwrap();
        }
        let line = |from: &mut dyn Read| {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while !line.ends_with(b"\n") && from.read(&mut byte).is_ok_and(|n| n == 1) {
                line.push(byte[0]);
            }
            line
        };
        for _ in 0..plain {
            assert_eq!(line(&mut stream), b"STARTTLS\r\n");
            stream.write_all(b"220 go ahead\r\n").unwrap();
        }
        let session = rustls::ServerConnection::new(tls_server().into()).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        if plain == 0 {
            stream.write_all(b"220 ready\r\n").unwrap();
        }
        while !line(&mut stream).is_empty() {
            stream.write_all(b"250 OK\r\n").unwrap();
        }
    })
}

#[test]
fn a_client_speaks_tls_from_the_first_byte_or_in_the_middle() {
    let start = vec![read("^220"), send(r"STARTTLS\r\n"), read("^220 go"), Step::StartTls];
    for (plain, begin, tls) in [(0, vec![read("^220")], Some(Tls::default())), (1, start, None)] {
        let (server, to) = listening(5);
        let serving = mail(server, plain);
        let steps = [begin, vec![Step::Mark, send(r"NOOP\r\n"), read("^250")]].concat();
        let mut rig = Rig::new(exchange(steps, tls, to));
        rig.say(&Order::Connect { upto: 1 });
        rig.until(|what| matches!(what, What::Client { state: Client::Served, .. }));
        assert_eq!(rig.ask_held().0, Outcome::Served);
        rig.release(u32::MAX);
        serving.join().unwrap();
    }
}

#[test]
fn a_certificate_is_checked_where_one_is_to_be_trusted() {
    let another = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, another.cert.pem()).unwrap();
    let (server, to) = listening(5);
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut session = rustls::ServerConnection::new(tls_server().into()).unwrap();
        assert!(session.complete_io(&mut stream).is_err(), "the client does not trust it");
    });
    let tls = Tls { ca: Some(file), ..Tls::default() };
    let mut rig = Rig::new(exchange(vec![read("^220")], Some(tls), to));
    let (outcome, detail, ..) = rig.probe(5000);
    assert_eq!(outcome, Outcome::ErrorReply);
    assert!(detail.contains("invalid peer certificate"), "{detail}");
    serving.join().unwrap();
}

#[test]
fn a_server_that_speaks_no_tls_is_quoted() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(exchange(vec![read("^220")], Some(Tls::default()), to));
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"SSH-2.0-server\r\n").unwrap();
        stream
    });
    let (outcome, detail, ..) = rig.probe(5000);
    assert_eq!((outcome, detail.as_str()), (Outcome::ErrorReply, "no TLS: SSH-2.0-server"));
    drop(serving.join().unwrap());
}

#[test]
fn a_client_that_closes_leaves_by_itself_after_it_was_served() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(exchange(vec![read("^220"), Step::Close], None, to));
    rig.say(&Order::Connect { upto: 1 });
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"220 ready\r\n").unwrap();
    let seen = rig.until(|what| matches!(what, What::Client { state: Client::Released, .. }));
    assert!(seen.iter().any(|what| matches!(what, What::Client { state: Client::Served, .. })));
    assert!(at_end(&mut stream));
}

#[test]
fn an_answer_that_never_matches_is_an_error_when_its_time_is_over() {
    let (server, to) = listening(5);
    let mut setup = exchange(vec![read("^250")], None, to);
    setup.exchange.as_mut().unwrap().read_timeout_s = 0.05;
    let mut rig = Rig::new(setup);
    rig.say(&Order::Connect { upto: 1 });
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"220 ready\r\n").unwrap();
    let seen = rig.until(|what| matches!(what, What::Client { state: Client::ErrorReply(_), .. }));
    let Some(What::Client { state: Client::ErrorReply(words), .. }) = seen.last() else { unreachable!() };
    assert_eq!(words, "220 ready where `^250` was expected");
}

#[test]
fn a_greeting_that_asks_nothing_leaves_no_question_for_held_clients() {
    let (server, to) = listening(5);
    let mut rig = Rig::new(exchange(vec![read("^220")], None, to));
    rig.say(&Order::Connect { upto: 1 });
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"220 ready\r\n").unwrap();
    rig.until(|what| matches!(what, What::Client { state: Client::Served, .. }));
    rig.say(&Order::AskHeld { clients: 1, deadline_ms: 3000 });
    rig.until(|what| matches!(what, What::NotSeen { .. }));
}

//! Servers that mean harm: endless banners, heads of any length, one byte at a time, frames without end. The
//! generator neither hangs nor swells: it obeys its orders in time, and its memory has a bound.

use crate::support::LASTFD;
use lastfd::internal::drive::Driver;
use lastfd::internal::drive::protocol::{Kind, Order, Setup};
use lastfd::internal::event::{Event, Label, What};
use lastfd::internal::scenario::KeepAlive;
use lastfd::internal::scenario::exchange::{Exchange, Step};
use lastfd::internal::scenario::{Caller, Calls, Dialogue, Pace, Request, Version};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
/// Each kind of harm comes to so many clients.
const EACH: usize = 3;
/// What one client may cost: the longest head or answer that is taken, some times over. Bytes.
const CLIENT_BYTES: u64 = 2 << 20;

/// What is sent first, and then again and again until the client has gone; or byte by byte.
const HARM: [(&[u8], &[u8]); 8] = [
    (b"", b"no line ends here "),
    (b"HTTP/1.1 200 OK\r\nX: ", b"xxxxxxxxxxxxxxxxxxxxxxxx"),
    (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8\r\nxxxxxxxx\r\n"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1099511627776\r\n\r\n\x1f\x8b\x08",
        b"\0\0\xff\xff",
    ),
    (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    // HTTP/2: settings, then pings that nobody needs.
    (b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x08\x06\0\0\0\0\0pingpong"),
    // A drip.
    (b"HTTP/1.1 200 OK\r\nX: ", b""),
];

fn hostile() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let (first, again) = HARM[n % HARM.len()];
            std::thread::spawn(move || harm(stream.unwrap(), first, again));
        }
    });
    address
}

/// Ends when the client has gone, or after a time: more would show nothing new.
fn harm(mut stream: TcpStream, first: &[u8], again: &[u8]) {
    let end = Instant::now() + DEADLINE;
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let _ = stream.read(&mut [0; 4096]);
    let many: Vec<u8> = again.iter().copied().cycle().take(again.len() * 4096).collect();
    let _ = stream.write_all(first);
    while Instant::now() < end {
        let sent = if many.is_empty() { stream.write_all(b"x") } else { stream.write_all(&many) };
        // Between two bytes of a drip the server listens.
        let gone = many.is_empty() && matches!(stream.read(&mut [0; 64]), Ok(0));
        if sent.is_err() || gone {
            return;
        }
    }
}

struct Rig {
    name: String,
    driver: Driver,
    events: Receiver<Vec<Event>>,
}

impl Rig {
    fn start(name: &str, kind: Kind) -> Rig {
        let mut command = Command::new(LASTFD);
        command.arg("drive");
        let steps =
            vec![Step::Read("^220 ".into()), Step::Send("HELO x\r\n".into()), Step::Read("^250".into())];
        let setup = Setup {
            workload: "clients".into(),
            kind,
            target: hostile().into(),
            path: "/".into(),
            exchange: Some(Exchange::of(steps)),
            keep_alive: KeepAlive::default(),
            first_id: 0,
            connect_deadline_ms: 5000,
        };
        let (to, events) = channel();
        let driver = Driver::spawn_with(command, &setup, to).unwrap();
        Rig { name: name.to_owned(), driver, events }
    }

    fn until(&mut self, last: impl Fn(&What) -> bool) {
        let end = Instant::now() + DEADLINE;
        while let Ok(some) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if some.iter().any(|event| last(&event.is)) {
                return;
            }
        }
        panic!("{}: an order is not obeyed in {DEADLINE:?}", self.name);
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.driver.pid())).unwrap();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(0) * 1024
    }

    /// A new client, which is given so long.
    fn probe(&mut self, deadline_ms: u64) {
        self.driver.order(&Order::Probe { label: Label::Saturated, deadline_ms }).unwrap();
        self.until(|what| matches!(what, What::Probe { .. } | What::NotSeen { .. }));
    }
}

fn kinds() -> Vec<(String, Kind)> {
    let held = [Dialogue::Tcp, Dialogue::HttpIdle, Dialogue::Websocket, Dialogue::Grpc, Dialogue::Exchange];
    let hold = |dialogue: Dialogue| {
        (dialogue.name().to_owned(), Kind::Hold { dialogue, pace: Pace::Burst, tls: None })
    };
    let call = |version: Version| {
        let mut request = Request::default();
        request.on.version = version;
        let (caller, concurrency) = (Caller::HttpPerCall, (HARM.len() * EACH) as u32);
        let calls = Calls { caller, concurrency, read_timeout_s: 1.0, ..Calls::http(request) };
        (format!("HTTP/{version} calls"), Kind::Call { calls, certificate: None })
    };
    held.map(hold).into_iter().chain([Version::Http1, Version::Http2].map(call)).collect()
}

#[test]
fn no_server_makes_the_generator_hang_or_swell() {
    for (name, kind) in kinds() {
        let mut rig = Rig::start(&name, kind);
        let before = rig.resident();
        let clients = (HARM.len() * EACH) as u32;
        rig.driver.order(&Order::Connect { upto: clients }).unwrap();
        rig.probe(300);
        rig.probe(300);
        let grown = rig.resident().saturating_sub(before);
        assert!(grown < u64::from(clients) * CLIENT_BYTES, "{name}: {grown} bytes for {clients} clients");
        rig.driver.order(&Order::Release { clients: u32::MAX }).unwrap();
        rig.until(|what| matches!(what, What::Released { .. }));
    }
}

//! The cost of a held WebSocket client to the load generator, in its own memory and in time. The floor is a
//! bare client that writes a request and reads the head of the answer, one after the other, on a blocking
//! socket.

use crate::LASTFD;
use crate::ratio::{Bound, Pairs, in_turn, print_share};
use criterion::Criterion;
use lastfd::internal::drive::protocol::{Kind, Order, Setup};
use lastfd::internal::drive::{Driver, MARGIN};
use lastfd::internal::event::{Client, Event, What};
use lastfd::internal::scenario::{Dialogue, KeepAlive, Pace};
use lastfd::internal::sys::clock;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const CLIENTS: u32 = 10_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Measures upgrades and memory; says so and leaves them out where the hard limit is too low for the clients.
pub fn bench(criterion: &mut Criterion) {
    let hard = rlimit::getrlimit(rlimit::Resource::NOFILE).expect("a limit").1;
    if hard < u64::from(CLIENTS) + 2 * MARGIN {
        println!("skipped: the hard limit of open files ({hard}) leaves no room for {CLIENTS} clients");
        return;
    }
    let (mut rates, mut bytes) = (Pairs::default(), Vec::new());
    let rate = |time: Duration| f64::from(CLIENTS) / time.as_secs_f64() / 1e3;
    in_turn(criterion, "upgrading and holding 10,000 WebSocket clients", Duration::from_secs(20), || {
        let bare = upgrade_bare();
        let (driven, each) = upgrade_driven();
        rates.take(rate(driven), rate(bare));
        bytes.push(each);
        driven
    });
    rates.print("upgrades a second: lastfd drive / bare blocking client", "thousand/s", Bound::AtLeast(0.8));
    if let Some(most) = bytes.into_iter().max_by(f64::total_cmp) {
        print_share(
            "the generator's own memory for each held WebSocket client (VmRSS), the largest seen",
            most,
            1024.0,
            "bytes",
        );
    }
}

/// The time of all upgrades, and the bytes that each held client added to the driver's resident memory.
fn upgrade_driven() -> (Duration, f64) {
    let server = Server::start();
    let setup = Setup {
        workload: "clients".into(),
        kind: Kind::Hold { dialogue: Dialogue::Websocket, pace: Pace::Auto, tls: None },
        target: server.address.into(),
        path: "/".into(),
        exchange: None,
        keep_alive: KeepAlive::default(),
        first_id: 0,
        connect_deadline_ms: 3000,
    };
    let (sink, events) = channel();
    let mut command = Command::new(LASTFD);
    command.arg("drive");
    let mut driver = Driver::spawn_with(command, &setup, sink).expect("the driver starts");
    // The first client brings in what all of them share.
    order(&mut driver, 1);
    served(&events, 1);
    let before = resident(driver.pid());
    let started = clock::now();
    order(&mut driver, CLIENTS + 1);
    let last = served(&events, CLIENTS);
    let each = (resident(driver.pid()) - before) as f64 / f64::from(CLIENTS);
    (Duration::from_nanos(last - started), each)
}

fn order(driver: &mut Driver, upto: u32) {
    driver.order(&Order::Connect { upto }).expect("the driver takes orders");
}

/// Waits until so many more were served; when the last one was.
fn served(events: &Receiver<Vec<Event>>, mut number: u32) -> u64 {
    loop {
        for Event { at, is } in events.recv_timeout(ANSWER_WITHIN).expect("every client is served") {
            match is {
                What::Client { state: Client::Served, .. } => number -= 1,
                What::Client { state: Client::Connected, .. } | What::Pacing { .. } => {}
                other => panic!("not what holding is: {other:?}"),
            }
            if number == 0 {
                return at;
            }
        }
    }
}

/// VmRSS of the process, bytes.
fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5) has it");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB")
}

fn upgrade_bare() -> Duration {
    let server = Server::start();
    let started = clock::now();
    let held: Vec<TcpStream> = (0..CLIENTS).map(|_| upgraded(server.address)).collect();
    let took = Duration::from_nanos(clock::now() - started);
    drop(server);
    drop(held);
    took
}

fn upgraded(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("connects");
    client.write_all(REQUEST).expect("is sent");
    let (mut head, mut length) = ([0; 1024], 0);
    while !head[..length].ends_with(b"\r\n\r\n") {
        length += client.read(&mut head[length..]).expect("is answered");
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    client
}

/// `lastfd serve websocket` under this process's own limits. Dropping it ends it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(LASTFD)
            .args(["serve", "websocket"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("lastfd runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address =
            line.trim().strip_prefix("listening ").expect("its first line").parse().expect("an address");
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

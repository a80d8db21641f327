//! The cost of a connection of its own to each call, beside the same calls on one connection: HTTP and gRPC,
//! plain and over TLS. Also the cost of the caller's own side: its calls over one connection, beside a bare
//! blocking client's.

use crate::LASTFD;
use crate::ratio::{Bound, Pairs, in_turn};
use criterion::Criterion;
use lastfd::internal::drive::Driver;
use lastfd::internal::drive::protocol::{Kind, Order, Setup};
use lastfd::internal::event::{Event, Outcome, What};
use lastfd::internal::scenario::{Body, Caller, Calls, Certificate, Channel, KeepAlive, Request};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const CALLS: u32 = 400;
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Measures each kind of call both ways, in turn.
pub fn bench(criterion: &mut Criterion) {
    let identity = Identity::make();
    for (name, tls, shared) in [
        ("HTTP", false, Caller::HttpLeakBody),
        ("HTTP over TLS", true, Caller::HttpLeakBody),
        ("gRPC over TLS", true, Caller::GrpcPerCall),
    ] {
        let grpc = shared == Caller::GrpcPerCall;
        let server = Server::start(if grpc { "grpc" } else { "http" }, tls.then_some(&identity));
        let own = if grpc { Caller::GrpcPerCall } else { Caller::HttpPerCall };
        let mut both = [Side::start(&server, own, false), Side::start(&server, shared, true)];
        let mut pairs = Pairs::default();
        in_turn(criterion, &format!("400 calls, {name}"), Duration::from_secs(8), || {
            let [per_call, one] = both.each_mut().map(Side::calls);
            pairs.take(
                per_call.as_secs_f64() * 1e6 / f64::from(CALLS),
                one.as_secs_f64() * 1e6 / f64::from(CALLS),
            );
            per_call
        });
        pairs.print(
            &format!("a call on a connection of its own / on a shared one, {name}"),
            "µs",
            Bound::None,
        );
    }
    let server = Server::start("http", None);
    let mut side = Side::start(&server, Caller::HttpLeakBody, true);
    let mut pairs = Pairs::default();
    in_turn(criterion, "400 calls on one connection", Duration::from_secs(8), || {
        let (driven, bare) = (side.calls(), bare(server.plain));
        pairs.take(f64::from(CALLS) / driven.as_secs_f64(), f64::from(CALLS) / bare.as_secs_f64());
        driven
    });
    pairs.print("calls a second: lastfd drive / bare blocking client", "calls", Bound::None);
}

/// A driver that makes calls one way.
struct Side {
    driver: Driver,
    events: Receiver<Vec<Event>>,
    ordered: u32,
}

impl Side {
    fn start(server: &Server, caller: Caller, shared: bool) -> Side {
        let mut calls = Calls::http(Request::default());
        calls.caller = caller;
        calls.tls = server.tls.is_some();
        (calls.body, calls.certificate) = (Body::Drained, Certificate::Cached);
        calls.channel = if shared { Channel::Shared } else { Channel::PerCall };
        let setup = Setup {
            workload: "calls".into(),
            kind: Kind::Call { calls, certificate: server.certificate.clone() },
            target: server.tls.unwrap_or(server.plain).into(),
            path: "/".into(),
            exchange: None,
            keep_alive: KeepAlive::default(),
            first_id: 0,
            connect_deadline_ms: 3000,
        };
        let (sink, events) = channel();
        let mut command = Command::new(LASTFD);
        command.arg("drive");
        let driver = Driver::spawn_with(command, &setup, sink).expect("the driver starts");
        let mut side = Side { driver, events, ordered: 0 };
        // The first calls bring in what all of them share.
        side.calls();
        side
    }

    /// The time that so many calls take, from the order to the end of the last.
    fn calls(&mut self) -> Duration {
        self.ordered += CALLS;
        let began = Instant::now();
        self.driver.order(&Order::Connect { upto: self.ordered }).expect("the driver takes orders");
        let mut over = 0;
        while over < CALLS {
            for event in self.events.recv_timeout(ENDS_WITHIN).expect("every call ends") {
                if let What::CallEnded { outcome, .. } = event.is {
                    assert_eq!(outcome, Some(Outcome::Served), "every call is answered");
                    over += 1;
                }
            }
        }
        began.elapsed()
    }
}

/// The same calls over one connection, one after the other, by a blocking socket.
fn bare(address: SocketAddr) -> Duration {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut answer = [0; 1024];
    let began = Instant::now();
    for _ in 0..CALLS {
        stream.write_all(REQUEST).expect("is sent");
        let mut length = 0;
        while !answer[..length].ends_with(b"held\n") {
            length += stream.read(&mut answer[length..]).expect("is answered");
        }
    }
    began.elapsed()
}

/// A certificate, and its key, in files.
struct Identity {
    folder: tempfile::TempDir,
}

impl Identity {
    fn make() -> Identity {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("written");
        write("certificate.pem", made.cert.pem());
        write("key.pem", made.signing_key.serialize_pem());
        Identity { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A bundled server. Dropping it ends it.
struct Server {
    child: Child,
    plain: SocketAddr,
    tls: Option<SocketAddr>,
    certificate: Option<PathBuf>,
}

impl Server {
    fn start(kind: &str, identity: Option<&Identity>) -> Server {
        let mut command = Command::new(LASTFD);
        command.args(["serve", kind]).stdout(Stdio::piped());
        let tls = identity.map(|identity| {
            let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = port.local_addr().expect("it is bound");
            command.args(["--tls-port", &address.port().to_string()]);
            let file = |path: &Path| path.display().to_string();
            command.args(["--certificate", &file(&identity.path("certificate.pem"))]);
            command.args(["--key", &file(&identity.path("key.pem"))]);
            address
        });
        let mut child = command.spawn().expect("lastfd runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let plain =
            line.trim().strip_prefix("listening ").expect("its first line").parse().expect("an address");
        let certificate = identity.map(|identity| identity.path("certificate.pem"));
        Server { child, plain, tls, certificate }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

//! The caller as a process of its own (`lastfd drive`), over TLS and under a limit so small that it runs out
//! itself. The servers are of the test, and so is the count of descriptors at rest: `/proc` says it.

use crate::support::{LASTFD, eventually};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use lastfd::internal::drive::Driver;
use lastfd::internal::drive::protocol::{Kind, Order, Setup};
use lastfd::internal::event::{CallStep, Event, Outcome, Pacing, What};
use lastfd::internal::scenario::{AfterCall, Caller, Calls, Certificate, Channel, KeepAlive};
use lastfd_servers::grpc::echo::Message;
use lastfd_servers::grpc::echo::echo_server::{Echo, EchoServer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

const DEADLINE: Duration = Duration::from_secs(30);
const EMFILE: i32 = 24;

/// A server over TLS: gRPC where the client offers h2, HTTP else. Counts connections; the files live as long
/// as it is kept.
struct Server {
    address: SocketAddr,
    certificate: PathBuf,
    accepted: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

struct Mirror;

#[tonic::async_trait]
impl Echo for Mirror {
    async fn say(&self, request: tonic::Request<Message>) -> Result<tonic::Response<Message>, tonic::Status> {
        Ok(tonic::Response::new(request.into_inner()))
    }
}

impl Server {
    fn start() -> Server {
        let identity =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("certificate.pem");
        std::fs::write(&certificate, identity.cert.pem()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let chain = vec![CertificateDer::from(identity.cert.der().to_vec())];
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let mut config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, TlsAcceptor::from(Arc::new(config)), counted));
        });
        Server { address, certificate, accepted, _folder: folder }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, accepted: Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let stream = listener.accept().await.unwrap().0;
        accepted.fetch_add(1, Ordering::SeqCst);
        let tls = tls.clone();
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            // How a connection ends is the client's matter.
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let service = TowerToHyperService::new(EchoServer::new(Mirror));
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            } else {
                let hello = |_: Request<Incoming>| async {
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("hello"))))
                };
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(hello))
                    .await;
            }
        });
    }
}

/// A driver process under this limit, and what it says.
struct Rig {
    driver: Driver,
    events: Receiver<Vec<Event>>,
    /// Descriptors that it holds before its first call.
    at_rest: usize,
    limit: usize,
}

impl Rig {
    fn start(server: &Server, limit: usize, calls: Calls) -> Rig {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" drive"), LASTFD]);
        let certificate = calls.tls.then(|| server.certificate.clone());
        let setup = Setup {
            workload: "calls".into(),
            kind: Kind::Call { calls, certificate },
            target: server.address.into(),
            path: "/".into(),
            exchange: None,
            keep_alive: KeepAlive::default(),
            first_id: 0,
            connect_deadline_ms: 5000,
        };
        let (to, events) = channel();
        let mut driver = Driver::spawn_with(command, &setup, to).unwrap();
        // It answers, so it has opened what it has at rest.
        driver.order(&Order::AskHeld { clients: 1, deadline_ms: 1 }).unwrap();
        let mut rig = Rig { driver, events, at_rest: 0, limit };
        rig.until(|what| matches!(what, What::Probe { .. }));
        rig.at_rest = rig.descriptors();
        rig
    }

    /// Numbers and what they refer to; numbers from the limit on take no place: whoever started the tests
    /// left them open.
    fn numbered(&self) -> Vec<(usize, PathBuf)> {
        let all = std::fs::read_dir(format!("/proc/{}/fd", self.driver.pid())).unwrap().flatten();
        let numbered = all.map(|fd| {
            (
                fd.file_name().to_str().unwrap().parse().unwrap(),
                std::fs::read_link(fd.path()).unwrap_or_default(),
            )
        });
        let mut below: Vec<_> = numbered.filter(|(fd, _)| *fd < self.limit).collect();
        below.sort();
        below
    }

    fn closes_on_exec(&self, fd: usize) -> bool {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", self.driver.pid())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        i32::from_str_radix(flags, 8).unwrap() & libc::O_CLOEXEC != 0
    }

    fn descriptors(&self) -> usize {
        self.numbered().len()
    }

    fn until(&mut self, last: impl Fn(&What) -> bool) -> Vec<What> {
        let (end, mut seen) = (Instant::now() + DEADLINE, Vec::new());
        while !seen.last().is_some_and(&last) {
            let some = self.events.recv_timeout(end.saturating_duration_since(Instant::now()));
            seen.extend(
                some.unwrap_or_else(|e| panic!("{e}, after {seen:?}")).into_iter().map(|event| event.is),
            );
        }
        seen
    }

    /// How so many calls ended.
    fn make(&mut self, upto: u32) -> Ends {
        self.driver.order(&Order::Connect { upto }).unwrap();
        let seen = self.until(|what| matches!(what, What::Pacing { state: Pacing::Done, .. }));
        Ends(seen.into_iter().filter(|what| matches!(what, What::CallEnded { .. })).collect())
    }

    fn release(&mut self) -> u32 {
        self.driver.order(&Order::Release { clients: u32::MAX }).unwrap();
        match self.until(|what| matches!(what, What::Released { .. })).pop() {
            Some(What::Released { clients }) => clients,
            other => panic!("{other:?}"),
        }
    }
}

/// Calls in the order of their ends.
#[derive(Debug)]
struct Ends(Vec<What>);

impl Ends {
    fn served(&self) -> usize {
        self.0
            .iter()
            .filter(|what| matches!(what, What::CallEnded { outcome: Some(Outcome::Served), step: None, .. }))
            .count()
    }

    /// How many were served before the first that was not, and what that one came to.
    fn first_failure(&self) -> Option<(usize, CallStep, Option<i32>)> {
        self.0.iter().enumerate().find_map(|(before, what)| match what {
            What::CallEnded { step: Some(step), errno, outcome, .. } => {
                assert_eq!(*outcome, None, "its own side failed: {what:?}");
                Some((before, *step, *errno))
            }
            _ => None,
        })
    }

    fn handshakes(&self) -> u32 {
        self.0
            .iter()
            .map(|what| if let What::CallEnded { handshakes, .. } = what { *handshakes } else { 0 })
            .sum()
    }
}

fn calls(caller: Caller) -> Calls {
    let request = lastfd::internal::scenario::Request::default();
    Calls { caller, tls: true, connect_timeout_s: 20.0, read_timeout_s: 20.0, ..Calls::http(request) }
}

#[test]
fn at_rest_a_caller_has_opened_three_descriptors_and_a_call_takes_exactly_one() {
    let server = Server::start();
    let mut rig = Rig::start(&server, 64, calls(Caller::HttpLeakBody));
    let anonymous = rig
        .numbered()
        .into_iter()
        .filter_map(|(_, to)| Some(to.to_str()?.strip_prefix("anon_inode:")?.to_owned()));
    assert_eq!(anonymous.collect::<Vec<_>>(), ["[eventpoll]", "[eventfd]", "[eventpoll]"]);
    // What is closed at an exec was opened after it: a test beside this one may leave it something of its
    // own.
    let own = rig.numbered().into_iter().filter(|(fd, _)| rig.closes_on_exec(*fd));
    assert_eq!(own.count(), 3, "the others were inherited: {:?}", rig.numbered());
    for made in 1..=3 {
        assert_eq!(rig.make(made).served(), 1);
        assert_eq!(rig.descriptors(), rig.at_rest + made as usize);
    }
    assert_eq!((rig.release(), rig.descriptors()), (3, rig.at_rest));
}

#[test]
fn bodies_never_read_end_in_emfile_at_the_socket_after_as_many_calls_as_there_was_room() {
    let server = Server::start();
    let mut rig = Rig::start(&server, 64, calls(Caller::HttpLeakBody));
    let room = 64 - rig.at_rest;
    let ends = rig.make(100);
    assert_eq!(ends.first_failure(), Some((room, CallStep::Socket, Some(EMFILE))));
    assert_eq!((ends.0.len(), ends.served(), server.accepted()), (100, room, room));
    assert_eq!((rig.release() as usize, rig.descriptors()), (room, rig.at_rest));
    assert_eq!(rig.make(101).served(), 1, "it lives, and calls again");
}

#[test]
fn one_grpc_call_at_a_time_with_the_channel_left_open_ends_at_the_certificate_and_cached_at_the_socket() {
    for (certificate, step) in
        [(Certificate::PerCall, CallStep::Certificate), (Certificate::Cached, CallStep::Socket)]
    {
        let server = Server::start();
        let mut rig = Rig::start(
            &server,
            64,
            Calls { certificate, after_call: AfterCall::LeftOpen, ..calls(Caller::GrpcPerCall) },
        );
        let room = 64 - rig.at_rest;
        let ends = rig.make(100);
        assert_eq!(ends.first_failure(), Some((room, step, Some(EMFILE))));
        assert_eq!((ends.served(), ends.handshakes() as usize, server.accepted()), (room, room, room));
        assert_eq!((rig.release() as usize, rig.descriptors()), (room, rig.at_rest));
    }
}

#[test]
fn a_grpc_channel_that_is_closed_after_its_call_fails_only_under_concurrency() {
    for (certificate, step) in
        [(Certificate::PerCall, CallStep::Certificate), (Certificate::Cached, CallStep::Socket)]
    {
        let server = Server::start();
        let closed = Calls { certificate, ..calls(Caller::GrpcPerCall) };
        let mut one = Rig::start(&server, 64, closed.clone());
        let ends = one.make(100);
        assert_eq!((ends.first_failure(), ends.served(), ends.handshakes()), (None, 100, 100));
        assert_eq!(one.descriptors(), one.at_rest);
        let mut many = Rig::start(&server, 64, Calls { concurrency: 300, ..closed });
        let ends = many.make(300);
        let (_, first, errno) = ends.first_failure().unwrap();
        assert_eq!((first, errno), (step, Some(EMFILE)));
        assert!(
            eventually(DEADLINE, || many.descriptors() == many.at_rest),
            "what was closed after its call is closed"
        );
    }
}

#[test]
fn one_shared_channel_shakes_hands_once_however_many_calls_go_over_it() {
    let server = Server::start();
    let mut rig = Rig::start(
        &server,
        64,
        Calls { channel: Channel::Shared, concurrency: 200, ..calls(Caller::GrpcPerCall) },
    );
    let ends = rig.make(1000);
    assert_eq!(
        (ends.first_failure(), ends.served(), ends.handshakes(), server.accepted()),
        (None, 1000, 1, 1)
    );
    assert_eq!(rig.descriptors(), rig.at_rest + 1);
    assert_eq!((rig.release(), rig.descriptors()), (1, rig.at_rest));
}

#[test]
fn a_certificate_that_is_not_the_servers_is_an_error_of_the_handshake() {
    let (server, other) = (Server::start(), Server::start());
    let mut rig =
        Rig::start(&Server { certificate: other.certificate.clone(), ..server }, 64, calls(Caller::Caller));
    let ends = rig.make(1);
    assert!(
        matches!(
            ends.0[0],
            What::CallEnded {
                outcome: Some(Outcome::ErrorReply),
                step: Some(CallStep::Tls),
                handshakes: 0,
                ..
            }
        ),
        "{ends:?}"
    );
}

#[test]
fn over_tls_a_server_that_accepts_nobody_is_connected_and_silent_in_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { address: silent.local_addr().unwrap(), _folder: folder, ..server };
    let mut rig = Rig::start(&server, 64, Calls { read_timeout_s: 0.2, ..calls(Caller::Caller) });
    let ends = rig.make(1);
    let What::CallEnded { outcome, step, connect_s, took_s, .. } = &ends.0[0] else { unreachable!() };
    assert_eq!((*outcome, *step), (Some(Outcome::Waits), Some(CallStep::Tls)));
    assert!(connect_s.is_some_and(|s| s < *took_s) && *took_s >= 0.2, "{ends:?}");
}

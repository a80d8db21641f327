//! The caller against small servers in threads: its calls as each server sees them, and its reports about the
//! server.

use crate::drive::protocol::{Kind, Order, Setup};
use crate::drive::tests::{Rig, done, listening};
use crate::event::{CallStep, Client, Label, Outcome, Unseen, What};
use crate::scenario::{
    AfterCall, Arrivals, Body, Caller, Calls, KeepAlive, OnConnection, Request, Schedule, Version,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

fn calls(caller: Caller) -> Calls {
    let request = Request::default();
    Calls { caller, connect_timeout_s: 5.0, read_timeout_s: 5.0, ..Calls::http(request) }
}

fn setup(calls: Calls, target: SocketAddr) -> Setup {
    let kind = Kind::Call { calls, certificate: None };
    Setup {
        workload: "calls".into(),
        kind,
        target: target.into(),
        path: "/stats".into(),
        exchange: None,
        keep_alive: KeepAlive::default(),
        first_id: 0,
        connect_deadline_ms: 5000,
    }
}

/// How a call ended, without its times.
type End = (Option<Outcome>, Option<CallStep>, Option<i32>);

const SERVED: End = (Some(Outcome::Served), None, None);

fn ends(seen: &[What]) -> Vec<End> {
    let end = |what: &What| match what {
        What::CallEnded { outcome, step, errno, .. } => Some((*outcome, *step, *errno)),
        _ => None,
    };
    seen.iter().filter_map(end).collect()
}

fn clients(seen: &[What], wanted: &Client) -> usize {
    seen.iter().filter(|what| matches!(what, What::Client { state, .. } if state == wanted)).count()
}

/// An HTTP server that keeps its connections.
#[derive(Default)]
struct Counts {
    accepted: AtomicU32,
    open: AtomicU32,
    requests: AtomicU32,
    body_bytes: AtomicU32,
}

/// Answers every request with this until the client closes.
fn serving(answer: &'static str) -> (Arc<Counts>, SocketAddr) {
    let (listener, address) = listening(128);
    let counts = Arc::new(Counts::default());
    let of_thread = Arc::clone(&counts);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (counts, stream) = (Arc::clone(&of_thread), stream.unwrap());
            counts.accepted.fetch_add(1, Ordering::SeqCst);
            counts.open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                serve(stream, answer, &counts);
                counts.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (counts, address)
}

fn serve(mut stream: TcpStream, answer: &str, counts: &Counts) {
    while let Some((head, body)) = request(&mut stream) {
        assert!(
            head.contains("/stats HTTP/1.1\r\n") && head.to_lowercase().contains("\r\nhost: 127.0.0.1:"),
            "{head}"
        );
        counts.requests.fetch_add(1, Ordering::SeqCst);
        counts.body_bytes.fetch_add(body as u32, Ordering::SeqCst);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The head of a request and the length of its body; `None` at the end of the connection.
fn request(stream: &mut impl Read) -> Option<(String, usize)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .to_lowercase()
        .lines()
        .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some((head, length))
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[test]
fn every_kind_is_registered_once_under_the_name_that_scenarios_use() {
    for kind in [Caller::HttpLeakBody, Caller::GrpcPerCall, Caller::HttpPerCall, Caller::Caller] {
        let entries: Vec<_> = super::registry().iter().filter(|entry| entry.kind == kind).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(serde_json::to_value(kind).unwrap(), entries[0].name);
    }
}

#[test]
fn a_body_that_is_kept_takes_a_connection_for_each_call_and_a_release_closes_them() {
    let (server, to) = serving(HELLO);
    let mut rig = Rig::new(setup(calls(Caller::HttpLeakBody), to));
    let seen = rig.ramp(10);
    assert_eq!(ends(&seen), [SERVED; 10]);
    assert_eq!((clients(&seen, &Client::Connected), clients(&seen, &Client::Served)), (10, 10));
    assert_eq!((server.accepted.load(Ordering::SeqCst), server.open.load(Ordering::SeqCst)), (10, 10));
    assert_eq!(rig.release(4).last(), Some(&What::Released { clients: 4 }));
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 6 }));
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 0 }));
}

#[test]
fn a_body_that_is_read_or_empty_leaves_its_connection_to_the_next_call() {
    const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for (body, answer) in [(Body::Drained, HELLO), (Body::Kept, EMPTY)] {
        let (server, to) = serving(answer);
        let mut rig = Rig::new(setup(Calls { body, ..calls(Caller::HttpLeakBody) }, to));
        assert_eq!(ends(&rig.ramp(10)), [SERVED; 10]);
        assert_eq!((server.accepted.load(Ordering::SeqCst), server.requests.load(Ordering::SeqCst)), (1, 10));
        assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 1 }));
    }
}

#[test]
fn a_body_that_is_closed_unread_closes_its_connection() {
    for body in [Body::Closed, Body::Dropped] {
        let (server, to) = serving(HELLO);
        let mut rig = Rig::new(setup(Calls { body, ..calls(Caller::HttpLeakBody) }, to));
        assert_eq!(ends(&rig.ramp(10)), [SERVED; 10]);
        assert_eq!(server.accepted.load(Ordering::SeqCst), 10);
        assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 0 }));
    }
}

#[test]
fn a_call_is_a_connection_that_is_closed_or_left_open_and_may_upload() {
    for (after_call, left) in [(AfterCall::Closed, 0), (AfterCall::LeftOpen, 6)] {
        let (server, to) = serving(HELLO);
        let calls = Calls { after_call, upload_bytes: 1000, concurrency: 3, ..calls(Caller::HttpPerCall) };
        let mut rig = Rig::new(setup(calls, to));
        assert_eq!(ends(&rig.ramp(6)), [SERVED; 6]);
        assert_eq!(
            (server.accepted.load(Ordering::SeqCst), server.body_bytes.load(Ordering::SeqCst)),
            (6, 6000)
        );
        assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: left }));
    }
}

#[test]
fn an_error_reply_an_end_and_a_refusal_are_told_apart() {
    let (_server, to) = serving("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let seen = Rig::new(setup(calls(Caller::Caller), to)).ramp(1);
    assert_eq!(ends(&seen), [(Some(Outcome::ErrorReply), Some(CallStep::Answer), None)]);
    assert_eq!(clients(&seen, &Client::ErrorReply("503 Service Unavailable".into())), 1);

    let (listener, to) = listening(8);
    thread::spawn(move || listener.incoming().for_each(|stream| drop(request(&mut stream.unwrap()))));
    let seen = Rig::new(setup(calls(Caller::Caller), to)).ramp(1);
    assert_eq!(ends(&seen), [(Some(Outcome::Closed), Some(CallStep::Answer), None)]);

    let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = Rig::new(setup(calls(Caller::Caller), to)).ramp(1);
    assert_eq!(ends(&seen), [(Some(Outcome::Refused), Some(CallStep::Connect), Some(111))]);
}

#[test]
fn silence_after_the_connect_and_a_connect_that_times_out_are_told_apart() {
    // Nobody accepts: two connections fit into the queue, and the SYN of the third is dropped.
    let (_listener, to) = listening(1);
    let calls =
        Calls { connect_timeout_s: 0.3, read_timeout_s: 0.3, concurrency: 8, ..calls(Caller::Caller) };
    let mut rig = Rig::new(setup(calls, to));
    let seen = rig.ramp(2);
    assert_eq!(ends(&seen), [(Some(Outcome::Waits), Some(CallStep::Answer), None); 2]);
    assert_eq!((clients(&seen, &Client::Connected), clients(&seen, &Client::TimedOut)), (2, 2));
    // They have left, and are in the queue still.
    let seen = rig.ramp(5);
    assert_eq!(ends(&seen), [(Some(Outcome::TimesOut), Some(CallStep::Connect), None); 3]);
    assert_eq!(clients(&seen, &Client::Connected), 0);
    assert_eq!(rig.probe(100).0, Outcome::TimesOut);
}

#[test]
fn calls_are_started_no_faster_than_ordered() {
    let (_server, to) = serving(HELLO);
    let mut rig = Rig::new(setup(Calls { every_s: 0.02, concurrency: 4, ..calls(Caller::HttpPerCall) }, to));
    let began = std::time::Instant::now();
    assert_eq!(ends(&rig.ramp(6)), [SERVED; 6]);
    assert!(began.elapsed().as_millis() >= 100, "five pauses");
}

#[test]
fn a_pause_that_ends_while_its_end_is_looked_for_is_not_slept_through() {
    let (_server, to) = serving(HELLO);
    // The interval is about as long as a call takes, so that some of so many calls end just then.
    for tenths in 1..=10 {
        let mut rig = Rig::new(setup(
            Calls { every_s: f64::from(tenths) / 10_000.0, ..calls(Caller::HttpPerCall) },
            to,
        ));
        assert_eq!(ends(&rig.ramp(100)), [SERVED; 100]);
    }
}

#[test]
fn no_more_calls_go_on_at_a_time_than_ordered_and_a_release_drops_them() {
    let (_listener, to) = listening(64);
    let mut rig = Rig::new(setup(Calls { concurrency: 4, ..calls(Caller::HttpPerCall) }, to));
    rig.say(&Order::Connect { upto: 10 });
    // A probe is beside the calls: it connects while all four wait.
    assert_eq!(rig.probe(200).0, Outcome::Waits);
    let seen = rig.release(u32::MAX);
    assert_eq!(seen.last(), Some(&What::Released { clients: 4 }));
    assert_eq!(clients(&seen, &Client::Released), 4);
    assert_eq!(rig.until(done).len(), 1, "the ramp is over");
}

#[test]
fn an_answer_without_an_end_is_given_up_and_its_connection_closed() {
    let (listener, to) = listening(8);
    let (to_test, closed) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, to_test) = (stream.unwrap(), to_test.clone());
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                while stream.write_all(b"1\r\nx\r\n").is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
                let _ = to_test.send(());
            });
        }
    });
    for caller in [Caller::HttpPerCall, Caller::HttpLeakBody] {
        let body = Body::Drained;
        let calls = Calls { answer_timeout_s: 0.1, body, concurrency: 2, ..calls(caller) };
        let given_up = (Some(Outcome::Waits), Some(CallStep::Body), None);
        assert_eq!(ends(&Rig::new(setup(calls, to)).ramp(2)), [given_up; 2]);
        for _ in 0..2 {
            closed.recv_timeout(Duration::from_secs(20)).expect("its connection is closed");
        }
    }
}

#[test]
fn a_probe_is_one_call_more_that_leaves_nothing_behind() {
    let (server, to) = serving(HELLO);
    let mut rig = Rig::new(setup(calls(Caller::HttpLeakBody), to));
    rig.ramp(2);
    let (outcome, _, connect_s, answer_s) = rig.probe(3000);
    assert!(outcome == Outcome::Served && connect_s.is_some() && answer_s.is_some());
    assert_eq!(server.accepted.load(Ordering::SeqCst), 3);
    assert_eq!(rig.ask_held().0, Outcome::Waits);
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 2 }));
}

#[test]
fn a_probe_after_all_was_let_go_of_keeps_no_connection_for_a_next_call() {
    let (server, to) = serving(HELLO);
    let mut rig = Rig::new(setup(Calls { body: Body::Drained, ..calls(Caller::HttpLeakBody) }, to));
    rig.ramp(2);
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 1 }));
    assert_eq!(rig.probe(3000).0, Outcome::Served);
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 0 }), "it is closed already");
    assert_eq!((ends(&rig.ramp(4)), server.accepted.load(Ordering::SeqCst)), (vec![SERVED; 2], 3));
}

#[test]
fn a_probe_under_way_leaves_with_the_calls() {
    let (_listener, to) = listening(64);
    let mut rig = Rig::new(setup(Calls { concurrency: 2, ..calls(Caller::HttpPerCall) }, to));
    rig.say(&Order::Connect { upto: 2 });
    assert_eq!(rig.probe(200).0, Outcome::Waits, "it waits in the queue of a listener that accepts nobody");
    rig.say(&Order::Probe { label: Label::Saturated, deadline_ms: 60_000 });
    let seen = rig.release(u32::MAX);
    let late = |event: &What| {
        let wanted = Unseen::Probe { label: Label::Saturated };
        matches!(event, What::NotSeen { what, .. } if *what == wanted)
    };
    assert_eq!(seen.iter().filter(|event| late(event)).count(), 1);
    assert_eq!(
        seen.last(),
        Some(&What::Released { clients: 2 }),
        "a probe is none of the workload's clients"
    );
}

/// How late calls at a rate were sent, nanoseconds, and whether they were kept back.
fn lateness(seen: &[What]) -> Vec<(f64, bool)> {
    let late = |what: &What| match what {
        What::CallEnded { late_s, held, .. } => Some((late_s.expect("it has a time of its own"), *held)),
        _ => None,
    };
    seen.iter().filter_map(late).collect()
}

#[test]
fn calls_at_a_rate_are_made_for_a_time_however_slow_they_are() {
    let (server, to) = serving(HELLO);
    let schedule = Some(Schedule::new(1000.0, Arrivals::Constant, None));
    let timed = Calls { schedule, duration_s: Some(0.05), concurrency: 64, ..calls(Caller::HttpPerCall) };
    let mut rig = Rig::new(setup(timed, to));
    let seen = rig.ramp(1_000_000);
    assert_eq!(ends(&seen), [SERVED; 50], "one a millisecond");
    assert_eq!(server.accepted.load(Ordering::SeqCst), 50);
    assert_eq!(lateness(&seen).len(), 50);
}

#[test]
fn calls_of_a_rate_that_its_bound_keeps_back_are_made_late_and_counted() {
    let (_server, to) = serving(HELLO);
    let schedule = Some(Schedule::new(1e6, Arrivals::Poisson, Some(3)));
    let mut rig = Rig::new(setup(Calls { schedule, concurrency: 1, ..calls(Caller::HttpPerCall) }, to));
    let late = lateness(&rig.ramp(50));
    assert_eq!(late.len(), 50, "none is left out");
    assert!(!late[0].1, "the first has a place");
    assert!(
        late[1..].iter().filter(|(_, held)| *held).count() > 25,
        "a call takes longer than a gap: {late:?}"
    );
    assert!(late.is_sorted_by(|a, b| a.0 <= b.0 + 50e-6), "each waits for those before: {late:?}");
}

#[test]
fn calls_of_a_closed_loop_end_with_their_time() {
    let (_server, to) = serving(HELLO);
    let timed = Calls { duration_s: Some(0.05), ..calls(Caller::HttpPerCall) };
    let began = std::time::Instant::now();
    let seen = Rig::new(setup(timed, to)).ramp(1_000_000);
    assert!(!ends(&seen).is_empty() && ends(&seen).iter().all(|end| *end == SERVED));
    assert!(began.elapsed().as_millis() >= 50, "calls are made until then");
}

/// The request of calls that ask nothing special.
fn of(on: OnConnection) -> Request {
    Request { on, ..Request::default() }
}

#[test]
fn each_connection_makes_as_many_requests_as_asked_for_and_is_closed_then() {
    let (server, to) = serving(HELLO);
    let requests = |each| of(OnConnection { requests: Some(each), ..OnConnection::default() });
    let mut rig = Rig::new(setup(Calls { request: requests(4), ..calls(Caller::HttpPerCall) }, to));
    let seen = rig.ramp(10);
    assert_eq!(ends(&seen), [SERVED; 10]);
    assert_eq!(clients(&seen, &Client::Connected), 3, "of 4, 4 and 2 requests");
    assert_eq!((server.accepted.load(Ordering::SeqCst), server.requests.load(Ordering::SeqCst)), (3, 10));
    let kept: Vec<_> = seen
        .iter()
        .filter_map(|what| if let What::CallEnded { kept, .. } = what { *kept } else { None })
        .collect();
    assert_eq!(kept, [1, 1, 1, 0, 1, 1, 1, 0, 1, 1]);
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 1 }));
    let left = Calls { request: requests(4), after_call: AfterCall::LeftOpen, ..calls(Caller::HttpPerCall) };
    let mut rig = Rig::new(setup(left, to));
    assert_eq!(ends(&rig.ramp(10)), [SERVED; 10]);
    assert_eq!(rig.release(2).last(), Some(&What::Released { clients: 2 }), "they have made their requests");
    assert_eq!(rig.release(u32::MAX).last(), Some(&What::Released { clients: 1 }));
}

#[test]
fn a_connection_that_the_server_closes_while_it_is_idle_is_replaced() {
    let (listener, to) = listening(128);
    let server = thread::spawn(move || {
        for _ in 0..3 {
            let mut stream = listener.accept().unwrap().0;
            for _ in 0..2 {
                request(&mut stream).expect("a request");
                stream.write_all(HELLO.as_bytes()).unwrap();
            }
        }
    });
    let request = of(OnConnection { requests: Some(100), ..OnConnection::default() });
    let seen = Rig::new(setup(Calls { request, ..calls(Caller::HttpPerCall) }, to)).ramp(6);
    assert_eq!(ends(&seen), [SERVED; 6]);
    server.join().unwrap();
}

#[test]
fn http_2_over_what_speaks_http_1_is_an_error_reply_and_not_silence() {
    const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let (listener, to) = listening(128);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            request(&mut stream);
            let _ = stream.write_all(REFUSAL);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let request = of(OnConnection { version: Version::Http2, ..OnConnection::default() });
    let seen = Rig::new(setup(Calls { request, ..calls(Caller::HttpPerCall) }, to)).ramp(1);
    assert_eq!(ends(&seen), [(Some(Outcome::ErrorReply), Some(CallStep::Answer), None)], "{seen:?}");
}

#[test]
fn a_slow_client_takes_as_long_as_its_rates_say() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{}", "x".repeat(4000));
    let (server, to) = serving(long.leak());
    let slow = |read_rate, write_rate| Request { read_rate, write_rate, ..Request::default() };
    // A request has more than 40 bytes, and of each turn the last bytes need no further time.
    for (request, least) in
        [(slow(Some(8000), None), 0.4), (slow(None, Some(100)), 0.3), (slow(None, None), 0.0)]
    {
        let seen =
            Rig::new(setup(Calls { request, read_timeout_s: 0.2, ..calls(Caller::HttpPerCall) }, to)).ramp(1);
        assert_eq!(ends(&seen), [SERVED], "its own pace is no silence of the server");
        let took = seen
            .iter()
            .find_map(|what| if let What::CallEnded { took_s, .. } = what { Some(*took_s) } else { None });
        assert!(took.is_some_and(|took| took >= least), "{took:?} and not {least}");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

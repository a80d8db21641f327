use crate::support::{DEADLINE, Server, ask, eventually, is_answered};
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Policies under which clients wait in the accept queue until a descriptor is free.
const PATIENT: [&str; 7] =
    ["spin", "spin-log", "fixed-delay", "listener-off", "backoff", "storm", "waits-for-close"];

fn http(limit: u32, policy: &str) -> Server {
    Server::start(limit, &["http", "--accept", policy, "--delay-ms", "50"])
}

#[test]
fn the_first_emfile_comes_after_limit_less_rest_connections_under_every_policy() {
    for policy in PATIENT.into_iter().chain(["reserve-fd", "exit", "waits-for-arrival"]) {
        for limit in [32, 64] {
            let server = http(limit, policy);
            let ceiling = limit - server.listed();
            let _held = server.fill_to(limit - 1);
            // The last one: under `exit` the process is gone right after it.
            let _last = server.connect();
            let end = if policy == "exit" {
                server.end()
            } else {
                eventually("the table is full", || server.listed() == limit);
                await_failure(&server, policy);
                server.terminate()
            };
            assert_eq!(end.counts.len(), 1, "{policy} under {limit}: {}", end.errors);
            assert_eq!(end.counts[0]["before_first_emfile"], ceiling, "{policy} under {limit}");
            assert_eq!(
                end.status.code(),
                Some(if policy == "exit" { 1 } else { 0 }),
                "{policy} under {limit}"
            );
        }
    }
}

#[test]
fn clients_in_the_queue_are_served_once_others_have_left() {
    for policy in PATIENT {
        let server = http(32, policy);
        let mut held = server.fill();
        let ceiling = held.len();
        let mut waiters = vec![await_failure(&server, policy), server.connect(), server.connect()];
        waiters.iter_mut().for_each(ask);
        for waiter in &mut waiters {
            waiter.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
            assert!(waiter.read(&mut [0]).is_err(), "{policy} answers although its table is full");
            waiter.set_read_timeout(Some(DEADLINE)).expect("set");
        }
        held.truncate(ceiling - waiters.len());
        assert!(waiters.iter_mut().all(is_answered), "{policy}");
        let end = server.terminate();
        assert_eq!(end.counts[0]["total"], ceiling + waiters.len(), "{policy}");
        assert_eq!(end.counts[0]["before_first_emfile"], ceiling, "{policy}");
        assert_eq!(end.counts[0]["shed"], 0, "{policy}");
    }
}

#[test]
fn reserve_fd_closes_new_clients_at_once_and_serves_again_after_a_release() {
    let server = http(32, "reserve-fd");
    let mut held = server.fill();
    let ceiling = held.len();
    for _ in 0..3 {
        let mut shed = server.connect();
        ask(&mut shed);
        assert!(!is_answered(&mut shed));
    }
    eventually("the spare is open again", || server.listed() == 32);
    held.pop();
    eventually("the connection is closed", || server.listed() == 31);
    let mut late = server.connect();
    ask(&mut late);
    assert!(is_answered(&mut late));
    let end = server.terminate();
    assert_eq!(end.counts[0]["total"], ceiling + 4);
    assert_eq!(end.counts[0]["shed"], 3);
}

#[test]
fn only_spin_log_and_backoff_log_and_spin_log_is_quiet_while_nobody_waits() {
    for (policy, logs) in [
        ("spin", false),
        ("fixed-delay", false),
        ("reserve-fd", false),
        ("backoff", true),
        ("spin-log", true),
    ] {
        let server = http(32, policy);
        let _held = server.fill();
        if policy == "spin-log" {
            eventually("the failure is logged", || !server.errors().is_empty());
            let acceptor = server.thread("accept-0");
            eventually("the acceptor sleeps", || is_asleep(&acceptor));
            assert_eq!(server.errors().lines().count(), 1);
            let _waiter = server.connect();
            eventually("it is logged again and again", || server.errors().lines().count() > 100);
        } else if logs {
            eventually("delays double", || {
                let errors = server.errors();
                ["5ms", "10ms", "20ms", "40ms", "50ms"]
                    .iter()
                    .all(|delay| errors.contains(&format!("retrying in {delay}\n")))
            });
        } else {
            let _client = await_failure(&server, policy);
            assert_eq!(server.terminate().errors, "", "{policy}");
        }
    }
}

#[test]
fn a_cap_turns_away_whoever_would_leave_fewer_than_eight_numbers() {
    for (policy, told) in [("cap-close", ""), ("cap-503", "HTTP/1.1 503 Service Unavailable\r\n")] {
        for kind in ["http", "websocket", "tcp", "grpc"] {
            let server = Server::start(32, &[kind, "--accept", policy]);
            let mut held = server.fill_to(24);
            for _ in 0..3 {
                let mut answer = String::new();
                server
                    .connect()
                    .read_to_string(&mut answer)
                    .expect("it is closed, not reset: nothing was asked");
                assert_eq!(answer.lines().next().unwrap_or_default(), told.trim_end(), "{kind} {policy}");
            }
            held.pop();
            eventually("a place is free", || server.listed() == 23);
            held.push(server.connect());
            eventually("it is taken", || server.listed() == 24);
            let end = server.terminate();
            assert_eq!((&end.counts[0]["shed"], end.errors.as_str()), (&3.into(), ""), "{kind} {policy}");
            assert!(end.counts[0]["before_first_emfile"].is_null(), "{kind} {policy}");
        }
    }
}

#[test]
fn a_dead_accept_loop_serves_those_it_has_and_nobody_else() {
    let server = http(32, "dead");
    let mut held = server.fill();
    let acceptor = || std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs").count();
    eventually("the acceptor is gone", || acceptor() == 2);
    ask(&mut held[0]);
    assert!(is_answered(&mut held[0]));
    held.pop();
    eventually("a place is free", || server.listed() == 31);
    let mut late = server.connect();
    ask(&mut late);
    late.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    assert!(late.read(&mut [0]).is_err(), "nobody accepts");
    assert_eq!(waiting(&server), 1);
    assert_eq!(server.terminate().status.code(), Some(0));
}

#[test]
fn one_that_waits_for_an_arrival_leaves_those_who_wait_until_the_next_comes() {
    let server = http(32, "waits-for-arrival");
    let mut held = server.fill();
    let mut waiter = await_failure(&server, "waits-for-arrival");
    ask(&mut waiter);
    held.truncate(held.len() - 2);
    eventually("two places are free", || server.listed() == 30);
    waiter.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    assert!(waiter.read(&mut [0]).is_err(), "nobody has come since");
    waiter.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut next = server.connect();
    ask(&mut next);
    assert!(is_answered(&mut waiter) && is_answered(&mut next));
}

#[test]
fn one_that_waits_for_a_close_serves_as_many_as_leave_and_makes_no_try_meanwhile() {
    for kind in ["http", "websocket", "tcp", "collector"] {
        let server = Server::start(32, &[kind, "--accept", "waits-for-close", "--log", "shared"]);
        let mut held = server.fill();
        let _waiters = [await_failure(&server, "waits-for-close"), server.connect()];
        let acceptor = server.thread("accept-0");
        let used_ns = cpu_ns(&acceptor);
        eventually("both wait", || waiting(&server) == 2);
        assert!(is_asleep(&acceptor) && cpu_ns(&acceptor) == used_ns, "{kind}: nothing wakes it");
        held.pop();
        eventually("one is taken", || waiting(&server) == 1);
        held.pop();
        eventually("so is the other", || waiting(&server) == 0);
    }
}

#[test]
fn a_backoff_that_exits_ends_with_its_eighth_failure() {
    let server = Server::start(32, &["tcp", "--accept", "backoff-exit", "--delay-ms", "5"]);
    let _held = server.fill_to(31);
    let start = Instant::now();
    let _last = server.connect();
    let end = server.end();
    assert_eq!(end.status.code(), Some(1));
    assert!(start.elapsed() >= Duration::from_millis(7 * 5), "{:?}", start.elapsed());
}

#[test]
fn a_worker_that_ends_is_replaced_under_its_policy() {
    let server = Server::start(32, &["tcp", "--accept", "worker-restart", "--baseline", "30"]);
    // Each child is listed with the thread that made it.
    let children = || -> String {
        let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
        threads
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .collect()
    };
    let first = children();
    let _held: Vec<_> = (0..2).map(|_| server.connect()).collect();
    eventually("another took its place", || !children().is_empty() && children() != first);
    let mut late = server.connect();
    late.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    assert!(late.read(&mut [0]).is_err(), "it is held");
    let end = server.terminate();
    assert_eq!((end.status.code(), end.counts.len()), (Some(1), 2), "{}", end.errors);
    assert_eq!(end.counts[0]["before_first_emfile"], 2);
}

#[test]
fn a_release_does_not_cut_a_fixed_delay_short() {
    let delay = Duration::from_millis(400);
    let server = Server::start(32, &["http", "--accept", "fixed-delay", "--delay-ms", "400"]);
    let mut held = server.fill_to(31);
    // The delay begins after this, right behind the last client.
    let start = Instant::now();
    held.extend(server.fill());
    let mut waiter = await_failure(&server, "fixed-delay");
    ask(&mut waiter);
    held.pop();
    assert!(is_answered(&mut waiter));
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[test]
fn the_accept_queue_takes_the_backlog_and_one_more() {
    let server = Server::start(32, &["tcp", "--backlog", "4"]);
    let _held = server.fill();
    let _waiting: Vec<_> = (0..5).map(|_| server.connect()).collect();
    assert_eq!(waiting(&server), 5);
    let beyond = TcpStream::connect_timeout(&server.address, Duration::from_millis(300));
    assert_eq!(beyond.expect_err("a full queue drops the SYN").kind(), std::io::ErrorKind::TimedOut);
}

/// Connects a client to a server with a full table, and waits until accept has failed for certain. Returns
/// the client, which waits in the accept queue or was shed.
fn await_failure(server: &Server, policy: &str) -> TcpStream {
    let acceptor = server.thread("accept-0");
    let used_ns = cpu_ns(&acceptor);
    let mut client = server.connect();
    match policy {
        "reserve-fd" => {
            ask(&mut client);
            assert!(!is_answered(&mut client));
        }
        // Time for very many calls: it does nothing else.
        "spin" => eventually("the acceptor runs", || cpu_ns(&acceptor) > used_ns + 2_000_000),
        // While a client waits it would not sleep in poll.
        "fixed-delay" | "waits-for-close" | "waits-for-arrival" => {
            eventually("the acceptor sleeps", || waiting(server) == 1 && is_asleep(&acceptor))
        }
        _ => eventually("the failure is logged", || !server.errors().is_empty()),
    }
    client
}

/// CPU time of a thread, nanoseconds: the first field of its schedstat.
fn cpu_ns(thread: &Path) -> u64 {
    let text = std::fs::read_to_string(thread.join("schedstat")).expect("it runs");
    text.split(' ').next().and_then(|field| field.parse().ok()).expect("a number")
}

fn is_asleep(thread: &Path) -> bool {
    std::fs::read_to_string(thread.join("stat"))
        .expect("it runs")
        .rsplit(')')
        .next()
        .is_some_and(|fields| fields.starts_with(" S"))
}

/// Clients in the accept queue: `rx_queue` of the LISTEN socket (state 0A) in /proc/net/tcp.
fn waiting(server: &Server) -> u32 {
    let local = format!(":{:04X}", server.address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("readable");
    let mut rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let listener = rows.find(|row| row[1].ends_with(&local) && row[3] == "0A").expect("it listens");
    let (_, queue) = listener[4].split_once(':').expect("tx:rx");
    u32::from_str_radix(queue, 16).expect("a number")
}

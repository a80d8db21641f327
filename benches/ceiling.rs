//! From the start of a server to its first EMFILE at 1024:1024, and the whole run with saturation and
//! recovery, beside the floor: a bare epoll server and one blocking client that connects in a loop.

use crate::LASTFD;
use crate::bare::{Running, Server};
use crate::ratio::{Bound, Pairs, in_turn, ms, print_share};
use criterion::Criterion;
use lastfd::internal::event::{self, Call, Phase, What};
use lastfd::internal::sys::clock;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SOFT_LIMIT: u64 = 1024;

/// Runs `lastfd find` and the floor in turn.
pub fn bench(criterion: &mut Criterion) {
    let (mut first_failures, mut whole_runs) = (Pairs::default(), Pairs::default());
    let mut longest = Duration::ZERO;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let log = folder.path().join("events.jsonl");
    in_turn(criterion, "first failure at 1024 of `serve tcp --accept spin`", Duration::from_secs(12), || {
        let floor = floor();
        let (ours, whole) = find(&log);
        first_failures.take(ms(ours), ms(floor));
        whole_runs.take(ms(whole), ms(floor));
        longest = longest.max(whole);
        ours
    });
    first_failures.print("first failure: lastfd / bare server and client", "ms", Bound::AtMost(2.0));
    whole_runs.print(
        "whole run, with saturation and recovery / bare server and client to the first failure",
        "ms",
        Bound::None,
    );
    if longest > Duration::ZERO {
        print_share(
            "a whole run at 1024 whose server recovers at once, the longest seen",
            longest.as_secs_f64(),
            1.5,
            "s",
        );
    }
}

/// From before the bare server is spawned to its first EMFILE.
fn floor() -> Duration {
    let started = clock::now();
    let mut server = Running::spawn(Server::Ceiling(SOFT_LIMIT));
    let address = server.address();
    let _held: Vec<TcpStream> = (0..SOFT_LIMIT)
        .map(|_| TcpStream::connect(address).expect("connects, or waits in the queue"))
        .collect();
    Duration::from_nanos(server.figure() - started)
}

/// From before the subject's exec to its first failing accept4, by the event log; and the whole command by
/// the clock.
fn find(log: &Path) -> (Duration, Duration) {
    let started = Instant::now();
    let mut command = Command::new(LASTFD);
    command.args(["find", "--nofile", "1024:1024", "--workload", "tcp", "--json", "-", "--events"]).arg(log);
    command.args(["--", LASTFD, "serve", "tcp", "--accept", "spin"]).stdout(Stdio::null());
    assert!(command.status().expect("lastfd runs").success());
    let whole = started.elapsed();
    let events = event::read(log).expect("a log").events;
    let at = |what: fn(&What) -> bool| {
        events.iter().find(|e| what(&e.is)).expect("it is in every log of a ceiling").at
    };
    // A little before `launched`, which is said when the exec has succeeded.
    let launch = at(|is| *is == What::Phase(Phase::Launch));
    let failure = at(|is| matches!(is, What::Call { name: Call::Accept4, ret: -24, .. }));
    (Duration::from_nanos(failure - launch), whole)
}

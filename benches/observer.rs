//! The cost of being observed by perf to a server: with real connections, and while it spins on failing
//! accepts. The floor is the same server unobserved. An observed server is drained as in a run, every 5 ms on
//! another thread.

use crate::bare::{Running, Server};
use crate::ratio::{Bound, Pairs, in_turn};
use criterion::Criterion;
use lastfd::internal::observe::{Choice, choose};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const CONNECTIONS: u64 = 10_000;
const CLIENT_THREADS: u64 = 2;
const FAILURES: u64 = 1_000_000;
/// As a run drains it.
const DRAIN_EVERY: Duration = Duration::from_millis(5);

/// Measures both; says so and leaves them out where perf is not allowed.
pub fn bench(criterion: &mut Criterion) {
    if let Err(refused) = choose(Choice::Perf, None) {
        println!("skipped: {}", refused[0]);
        return;
    }
    let rate = |number: u64, time: Duration| number as f64 / time.as_secs_f64() / 1e3;
    let (mut accepts, mut observed_first) = (Pairs::default(), false);
    in_turn(criterion, "accepting 10,000 connections, observed", Duration::from_secs(20), || {
        // Each is the first of its pair as often as the other: both meet the load that an earlier one leaves
        // to the kernel.
        observed_first = !observed_first;
        let one = accept_all(observed_first);
        let other = accept_all(!observed_first);
        let (bare, observed) = if observed_first { (other, one) } else { (one, other) };
        accepts.take(rate(CONNECTIONS, observed), rate(CONNECTIONS, bare));
        observed
    });
    accepts.print("accepts a second: observed by perf / unobserved", "thousand/s", Bound::AtLeast(0.95));

    let mut spins = Pairs::default();
    in_turn(criterion, "spinning on a million failures, observed", Duration::from_secs(8), || {
        let (bare, observed) = (spin(false), spin(true));
        spins.take(rate(FAILURES, observed), rate(FAILURES, bare));
        observed
    });
    spins.print(
        "failures a second of a spinning server: observed by perf / unobserved",
        "thousand/s",
        Bound::AtLeast(1.0 / 3.0),
    );
}

fn accept_all(observed: bool) -> Duration {
    let mut server = Running::waiting(Server::Accepts(CONNECTIONS));
    let _observer = observed.then(|| Observer::attach(server.pid()));
    server.go();
    let address = server.address();
    let _held: Vec<Vec<TcpStream>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENT_THREADS)
            .map(|_| scope.spawn(move || connect(address, CONNECTIONS / CLIENT_THREADS)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("connects")).collect()
    });
    server.time()
}

fn connect(address: SocketAddr, number: u64) -> Vec<TcpStream> {
    let client = |_| {
        let client = TcpStream::connect(address).expect("connects");
        // Reset at its close: no TIME_WAIT is left for the next pair to meet.
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))
            .expect("a socket lingers or not");
        client
    };
    (0..number).map(client).collect()
}

fn spin(observed: bool) -> Duration {
    let mut server = Running::waiting(Server::Spins(FAILURES));
    let observer = observed.then(|| Observer::attach(server.pid()));
    server.go();
    let _ = server.address();
    let time = server.time();
    if let Some(observer) = observer {
        assert!(observer.saw() >= 20_000, "it was observed");
    }
    time
}

/// perf, attached, and the thread that drains it. Dropping it ends both.
struct Observer {
    alive: Option<Sender<()>>,
    draining: Option<JoinHandle<usize>>,
}

impl Observer {
    fn attach(pid: i32) -> Self {
        let mut perf = choose(Choice::Perf, None)
            .and_then(|chosen| chosen.attach(pid).map_err(|e| vec![e]))
            .expect("perf was allowed");
        let (alive, ended) = channel::<()>();
        let draining = std::thread::spawn(move || {
            let (mut events, mut seen) = (Vec::new(), 0);
            while ended.recv_timeout(DRAIN_EVERY) == Err(RecvTimeoutError::Timeout) {
                perf.drain(&mut events).expect("perf stays");
                seen += events.len();
                events.clear();
            }
            seen
        });
        Observer { alive: Some(alive), draining: Some(draining) }
    }

    /// Ends observing; how many events there were.
    fn saw(mut self) -> usize {
        drop(self.alive.take());
        self.draining.take().map_or(0, |thread| thread.join().expect("drains"))
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.draining.take() {
            let _ = thread.join();
        }
    }
}

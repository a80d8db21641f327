//! A server's report about its callers while it runs (`--witness`): connections, calls on each, TLS
//! handshakes. One line `{"lastfd_upstream":{…}}` on standard output for each connection and each call, with
//! its time; among many thousands only one in a few, so that the number of lines stays bounded. The last
//! line, as the process ends, is exact. Calls may be kept waiting (`--wait-before`), so that a caller can be
//! looked at between two of them.

use crate::lines::say;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Each of the first so many is reported; later ones at a rate of about one in `n ÷ EXACT_UNTIL`.
const EXACT_UNTIL: u64 = 1 << 14;

/// Counts of a server that is a witness. A connection that has ended costs one number in a map, which is
/// bounded by the number of calls that connections differ in.
#[derive(Debug)]
pub(crate) struct Witness {
    counts: Mutex<Counts>,
    /// Calls with a lower number are answered; the others wait.
    answered: watch::Sender<u64>,
    /// Numbers of the calls to wait before next, the last one first.
    stops: Mutex<Vec<u64>>,
    /// Tells threads that wait that the next of them has come.
    goes_on: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    connections: u64,
    open: u64,
    /// Calls that came, and of them those that are answered.
    begun: u64,
    calls: u64,
    waiting: u64,
    full: u64,
    resumed: u64,
    /// Connections by the number of calls that came on each.
    by_calls: BTreeMap<u64, u64>,
}

/// A connection, from its accept until it is closed.
#[derive(Debug)]
pub(crate) struct Seat {
    witness: Arc<Witness>,
    calls: Mutex<u64>,
}

#[derive(Serialize)]
struct Line {
    lastfd_upstream: Told,
}

#[derive(Serialize)]
struct Told {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    at: u64,
    connections: u64,
    open: u64,
    calls: u64,
    waiting: u64,
    handshakes_full: u64,
    handshakes_resumed: u64,
    /// Calls on a connection.
    least: u64,
    median: u64,
    most: u64,
    /// Whether accept has failed for want of a descriptor; only in the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    exhausted: Option<bool>,
}

impl Witness {
    /// A witness that keeps each of these calls, counted from 1, and all later ones waiting, until
    /// [`Witness::go_on`].
    pub(crate) fn new(mut stops: Vec<u64>) -> Self {
        stops.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        let first = stops.pop().unwrap_or(u64::MAX);
        Witness {
            counts: Mutex::default(),
            answered: watch::channel(first).0,
            stops: Mutex::new(stops),
            goes_on: Condvar::new(),
        }
    }

    /// Answers those that wait, up to the next call to wait before; false if there is none.
    pub(crate) fn go_on(&self) -> bool {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        let next = stops.pop();
        self.answered.send_replace(next.unwrap_or(u64::MAX));
        self.goes_on.notify_all();
        next.is_some()
    }

    /// Counts a connection to a server that answers nothing: it is a call. Returns when it is to be counted;
    /// until then the thread sleeps.
    pub(crate) fn admit_here(&self) {
        let number = {
            let mut counts = self.counts();
            counts.begun += 1;
            counts.begun
        };
        let waits = || number >= *self.answered.borrow();
        let stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if waits() {
            let _waits = Waits::begun(self);
            drop(self.goes_on.wait_while(stops, |_| waits()));
        }
    }

    /// A call came; returns when it is to be answered.
    async fn admit(&self) {
        let number = {
            let mut counts = self.counts();
            counts.begun += 1;
            counts.begun
        };
        let mut answered = self.answered.subscribe();
        if number < *answered.borrow_and_update() {
            return;
        }
        let _waits = Waits::begun(self);
        // The sender is of this very value.
        let _ = answered.wait_for(|answered| number < *answered).await;
    }

    /// So many calls more wait.
    fn wait(&self, more: i64) {
        let mut counts = self.counts();
        counts.waiting = counts.waiting.saturating_add_signed(more);
        counts.say(None);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was accepted.
    pub(crate) fn opened(self: &Arc<Self>) -> Seat {
        let mut counts = self.counts();
        counts.connections += 1;
        counts.open += 1;
        *counts.by_calls.entry(0).or_default() += 1;
        counts.tell(counts.connections);
        Seat { witness: self.clone(), calls: Mutex::new(0) }
    }

    /// A handshake is over.
    pub(crate) fn shaken(&self, resumed: bool) {
        let mut counts = self.counts();
        *(if resumed { &mut counts.resumed } else { &mut counts.full }) += 1;
    }

    /// Tells the exact counts, for the last time.
    pub(crate) fn end(&self, exhausted: bool) {
        self.counts().say(Some(exhausted));
    }
}

/// A call that waits: until it is answered, or its caller has given up.
struct Waits<'a>(&'a Witness);

impl Waits<'_> {
    fn begun(witness: &Witness) -> Waits<'_> {
        witness.wait(1);
        Waits(witness)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.wait(-1);
    }
}

impl Seat {
    /// A call came on it, and is answered next: as soon as this returns.
    pub(crate) async fn called(&self) {
        self.witness.admit().await;
        let mut own = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = self.witness.counts();
        if let Some(connections) = counts.by_calls.get_mut(&own) {
            *connections -= 1;
            if *connections == 0 {
                counts.by_calls.remove(&own);
            }
        }
        *own += 1;
        *counts.by_calls.entry(*own).or_default() += 1;
        counts.calls += 1;
        counts.tell(counts.calls);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.witness.counts().open -= 1;
    }
}

impl Counts {
    /// Reports, where the number of this connection or call is one that is reported.
    fn tell(&self, number: u64) {
        let step = (number / EXACT_UNTIL).max(1).next_power_of_two();
        if number.is_multiple_of(step) {
            self.say(None);
        }
    }

    fn say(&self, exhausted: Option<bool>) {
        let &Counts { connections, open, calls, waiting, full, resumed, .. } = self;
        let now = clock_gettime(ClockId::Monotonic);
        let at = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let told = Told {
            at,
            connections,
            open,
            calls,
            waiting,
            handshakes_full: full,
            handshakes_resumed: resumed,
            least: self.nth(0),
            median: self.nth(connections.saturating_sub(1) / 2),
            most: self.nth(connections.saturating_sub(1)),
            exhausted,
        };
        say(&serde_json::to_string(&Line { lastfd_upstream: told }).expect("numbers serialise"));
    }

    /// Calls of the connection with so many connections below it; 0 where there is none.
    fn nth(&self, nth: u64) -> u64 {
        let mut below = 0;
        let found = self.by_calls.iter().find(|(_, connections)| {
            below += **connections;
            below > nth
        });
        found.map_or(0, |(calls, _)| *calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("it opens what it needs")
    }

    #[test]
    fn calls_wait_until_it_is_told_to_go_on() {
        let witness = Arc::new(Witness::new(vec![4, 2]));
        let runtime = runtime();
        let call = || {
            let witness = witness.clone();
            runtime.spawn(async move { witness.opened().called().await })
        };
        let calls: Vec<_> = (0..5).map(|_| call()).collect();
        let over = || {
            runtime.block_on(async {
                for _ in 0..20 {
                    tokio::task::yield_now().await
                }
            });
            calls.iter().filter(|call| call.is_finished()).count()
        };
        let seen = [
            over(),
            {
                witness.go_on();
                over()
            },
            {
                witness.go_on();
                over()
            },
        ];
        assert_eq!(seen, [1, 3, 5]);
        let counts = witness.counts();
        assert_eq!((counts.waiting, counts.calls), (0, 5));
    }

    #[test]
    fn a_thread_that_accepts_waits_until_it_is_told_to_go_on() {
        let witness = Arc::new(Witness::new(vec![1, 3]));
        let accepts = {
            let witness = witness.clone();
            std::thread::spawn(move || (0..4).for_each(|_| witness.admit_here()))
        };
        for (begun, another) in [(1, true), (3, false)] {
            let deadline = Instant::now() + Duration::from_secs(10);
            let waits = || {
                let counts = witness.counts();
                (counts.begun, counts.waiting) == (begun, 1)
            };
            while !waits() {
                assert!(Instant::now() < deadline, "call {begun} does not wait");
                std::thread::yield_now();
            }
            assert_eq!(witness.go_on(), another);
        }
        accepts.join().expect("no panic while waiting");
        let counts = witness.counts();
        assert_eq!((counts.begun, counts.waiting), (4, 0));
    }

    #[test]
    fn a_call_whose_caller_gives_up_waits_no_more() {
        let witness = Arc::new(Witness::new(vec![1]));
        runtime().block_on(async {
            let seat = witness.opened();
            let call = tokio::spawn(async move { seat.called().await });
            tokio::task::yield_now().await;
            assert_eq!(witness.counts().waiting, 1);
            call.abort();
            assert!(call.await.is_err(), "it is dropped");
        });
        let counts = witness.counts();
        assert_eq!((counts.waiting, counts.calls, counts.open), (0, 0, 0));
    }

    #[test]
    fn calls_are_counted_by_connection() {
        let witness = Arc::new(Witness::new(Vec::new()));
        let seats: Vec<Seat> = (0..5).map(|_| witness.opened()).collect();
        runtime().block_on(async {
            for i in [0, 0, 0, 0, 0, 0, 0, 1, 2, 3] {
                seats[i].called().await;
            }
        });
        drop(seats);
        let counts = witness.counts();
        assert_eq!((counts.connections, counts.open, counts.calls), (5, 0, 10));
        assert_eq!([0, 2, 4].map(|nth| counts.nth(nth)), [0, 1, 7]);
        assert_eq!(counts.by_calls.len(), 3, "one number for each count that there is");
    }
}

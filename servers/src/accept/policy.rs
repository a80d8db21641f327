//! The behaviour of a server when accept4 fails for want of a descriptor: the policies found in the field, as
//! a pure state machine. Never sleeps, logs or calls the kernel by itself.

use crate::words::words;
use std::time::Duration;

words! {
    /// Reaction of the accept loop to EMFILE and its like.
    pub enum Policy {
        /// Calls accept4 again at once and says nothing.
        ///
        /// Origin: tonic 0.14 `Server::serve`: its incoming stream goes on to the next item after an error.
        /// tokio keeps the listener marked ready, so it spins even when no client waits.
        Spin = "spin",
        /// Logs the failure and goes back to its event loop, which reports the listener again as long as a
        /// client waits.
        ///
        /// Origin: Tornado `add_accept_handler`, where the `OSError` reaches the IOLoop's log.
        SpinLog = "spin-log",
        /// Sleeps a fixed time, 1 s, then calls accept4 again; says nothing, as these do unless a tracing
        /// subscriber listens.
        ///
        /// Origin: axum 0.8 `serve` and warp 0.4 (hyper 0.14's `sleep_on_errors` before them).
        FixedDelay = "fixed-delay",
        /// Logs the failure and takes the listener out of its event loop for a fixed time, 500 ms; accepts
        /// when a client waits then.
        ///
        /// Origin: nginx, `ngx_disable_accept_events` for `accept_mutex_delay` after EMFILE; actix-server
        /// does so too.
        ListenerOff = "listener-off",
        /// Logs the failure and sleeps 5 ms, doubled with each failure in a row up to 1 s.
        ///
        /// Origin: Go `net/http` `Server.Serve` (its "Accept error: …; retrying in …").
        Backoff = "backoff",
        /// Sleeps a time that is doubled with each failure in a row, and takes the eighth failure as fatal:
        /// exits with code 1.
        ///
        /// Origin: tokio's mini-redis, `Listener::accept`, 1 s to 64 s; here 5 ms to 320 ms, so that the end
        /// is seen soon.
        BackoffExit = "backoff-exit",
        /// Calls accept4 once for each slot of the backlog, whether it fails or not, logs each failure, and
        /// does so again after 1 s.
        ///
        /// Origin: Python's asyncio, `BaseSelectorEventLoop._accept_connection`: its loop goes on after
        /// EMFILE and sets a timer of `ACCEPT_RETRY_DELAY` in each turn. There the timers add up to more with
        /// each round; here they are one.
        Storm = "storm",
        /// Gives up a spare descriptor of /dev/null to accept the client and close its connection, then opens
        /// the spare again.
        ///
        /// Origin: libev's manual, "The special problem of accept()ing when you can't"; libuv
        /// `uv__emfile_trick`.
        ReserveFd = "reserve-fd",
        /// Avoids the failure: accepts, and at once closes any connection that would leave fewer than
        /// [`KEPT_FREE`] descriptors.
        ///
        /// Origin: nginx, `ngx_event_accept` when all `worker_connections` are in use.
        CapClose = "cap-close",
        /// The same, but sends the client a `503 Service Unavailable` before the close, whatever it is about
        /// to ask.
        ///
        /// Origin: redis `acceptCommonHandler` ("-ERR max number of clients reached") and memcached's
        /// `maxconns_fast`, each in the words of its protocol.
        Cap503 = "cap-503",
        /// Ends the process with code 1.
        ///
        /// Origin: hyper's examples, `let (stream, _) = listener.accept().await?;` in `main`.
        Exit = "exit",
        /// Ends the worker with code 1; its master starts another in its place.
        ///
        /// Origin: gunicorn's synchronous worker, which re-raises what accept raised, under its arbiter.
        WorkerRestart = "worker-restart",
        /// Ends the accept loop and nothing else: the listener stays open, the connections are served, and no
        /// client is ever accepted again.
        ///
        /// Origin: a task or thread of its own for the loop, with a result that nobody looks at:
        /// `tokio::spawn` with `accept().await?` in it, or Java's `ServerSocket.accept` in a thread that an
        /// `IOException` ends.
        Dead = "dead",
        /// Stops listening to its listener until one of its own connections is closed, however long that is;
        /// sets no timer.
        ///
        /// Origin: squid, which defers accepting until a descriptor is free, and OpenLDAP's slapd.
        WaitsForClose = "waits-for-close",
        /// Hears of new clients only: fails, and tries again when a further client arrives, though others
        /// wait.
        ///
        /// Origin: event loops that are edge-triggered and leave their loop of accepts at its first error.
        WaitsForArrival = "waits-for-arrival",
    }
}

impl Policy {
    /// Delay of the policy where none is asked for; the longest one where it grows.
    pub const fn delay(self) -> Duration {
        match self {
            Policy::ListenerOff => Duration::from_millis(500),
            _ => Duration::from_secs(1),
        }
    }
}

/// The next action of an acceptor after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Calls accept4 again.
    RetryNow {
        /// Whether the failure is logged first.
        log: bool,
    },
    /// Waits until it hears of a client: one in the queue, or one that arrives, depending on how it waits.
    WaitForClient {
        /// Whether the failure is logged first.
        log: bool,
    },
    /// Waits until one of its own connections is closed, and then for a client.
    WaitForClose,
    /// Sleeps, then calls accept4 again without asking whether anyone waits.
    RetryAfter {
        /// How long.
        delay: Duration,
        /// Whether the failure and the delay are logged first.
        log: bool,
    },
    /// Logs, sleeps, and then waits until a client is in the queue.
    TurnAwayFor {
        /// How long it does not look.
        delay: Duration,
    },
    /// Sheds one waiting client through the spare descriptor.
    Shed,
    /// Stops accepting for good, and ends the process.
    GiveUp,
    /// Stops accepting for good, and nothing else.
    FallSilent,
}

/// The treatment of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Served,
    /// It is closed at once.
    Closed,
    /// It gets [`BUSY`] and is closed.
    Told,
}

/// Numbers below the soft limit that `cap-close` and `cap-503` leave free.
pub const KEPT_FREE: u64 = 8;

/// The answer of `cap-503` to clients that it turns away.
pub const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// First delay of [`Policy::Backoff`]; origin: Go net/http.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);

/// Failures in a row that [`Policy::BackoffExit`] sleeps after; origin: mini-redis, whose delays are 1 s to
/// 64 s.
const PATIENCE: u32 = 7;

/// A policy and where in its delays one acceptor is.
#[derive(Debug, Clone)]
pub struct Responder {
    policy: Policy,
    longest: Duration,
    next_backoff: Duration,
    /// Slots of the backlog: calls of accept4 in a round of `storm`.
    slots: u32,
    /// Calls of accept4 in this round, or failures in a row.
    count: u32,
    /// Lowest descriptor number that is turned away.
    cap: u64,
}

impl Responder {
    /// A responder for `policy`. `delay` is the fixed one, and the longest of `backoff`. `slots`: the
    /// backlog. `soft_limit`: in descriptors.
    pub fn new(policy: Policy, delay: Duration, slots: u32, soft_limit: u64) -> Self {
        Responder {
            policy,
            longest: delay,
            next_backoff: FIRST_BACKOFF.min(delay),
            slots: slots.max(1),
            count: 0,
            cap: soft_limit.saturating_sub(KEPT_FREE),
        }
    }

    /// An accept succeeded and returned this descriptor number: delays start over. The kernel gives the
    /// lowest that is free, so it tells how many are taken: the permit of the policies that have one.
    pub fn succeeded(&mut self, number: u64) -> Admission {
        self.next_backoff = FIRST_BACKOFF.min(self.longest);
        match self.policy {
            Policy::CapClose if number >= self.cap => Admission::Closed,
            Policy::Cap503 if number >= self.cap => Admission::Told,
            Policy::Storm => {
                self.count += 1;
                Admission::Served
            }
            _ => {
                self.count = 0;
                Admission::Served
            }
        }
    }

    /// No client waits any more: a round is over.
    pub fn drained(&mut self) {
        self.count = 0;
    }

    /// An accept failed for want of a descriptor: returns the next action.
    pub fn failed(&mut self) -> Reaction {
        self.count += 1;
        match self.policy {
            // Descriptors that this process does not know of make even a cap fail.
            Policy::Spin | Policy::CapClose | Policy::Cap503 => Reaction::RetryNow { log: false },
            Policy::SpinLog => Reaction::WaitForClient { log: true },
            Policy::WaitsForArrival => Reaction::WaitForClient { log: false },
            Policy::WaitsForClose => Reaction::WaitForClose,
            Policy::FixedDelay => Reaction::RetryAfter { delay: self.longest, log: false },
            Policy::ListenerOff => Reaction::TurnAwayFor { delay: self.longest },
            Policy::Backoff => Reaction::RetryAfter { delay: self.double(), log: true },
            Policy::BackoffExit if self.count > PATIENCE => Reaction::GiveUp,
            Policy::BackoffExit => Reaction::RetryAfter { delay: self.double(), log: false },
            Policy::Storm if self.count < self.slots => Reaction::RetryNow { log: true },
            Policy::Storm => {
                self.count = 0;
                Reaction::RetryAfter { delay: self.longest, log: true }
            }
            Policy::ReserveFd => Reaction::Shed,
            Policy::Exit | Policy::WorkerRestart => Reaction::GiveUp,
            Policy::Dead => Reaction::FallSilent,
        }
    }

    fn double(&mut self) -> Duration {
        let delay = self.next_backoff;
        self.next_backoff = (delay * 2).min(self.longest);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responder(policy: Policy, delay: Duration) -> Responder {
        Responder::new(policy, delay, 4, 32)
    }

    fn delays_ms(responder: &mut Responder, failures: usize) -> Vec<u128> {
        (0..failures)
            .map(|_| match responder.failed() {
                Reaction::RetryAfter { delay, .. } => delay.as_millis(),
                other => panic!("{other:?} is not a delay"),
            })
            .collect()
    }

    #[test]
    fn backoff_doubles_from_5_ms_to_1_s_as_go_does() {
        let mut responder = responder(Policy::Backoff, Duration::from_secs(1));
        assert_eq!(delays_ms(&mut responder, 10), [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn backoff_starts_over_after_a_success() {
        let mut responder = responder(Policy::Backoff, Duration::from_secs(1));
        delays_ms(&mut responder, 4);
        responder.succeeded(9);
        assert_eq!(delays_ms(&mut responder, 2), [5, 10]);
    }

    #[test]
    fn a_longest_delay_below_the_first_is_kept_to() {
        let mut responder = responder(Policy::Backoff, Duration::from_millis(2));
        assert_eq!(delays_ms(&mut responder, 2), [2, 2]);
        responder.succeeded(9);
        assert_eq!(delays_ms(&mut responder, 1), [2]);
    }

    #[test]
    fn fixed_delay_stays_the_same_and_silent() {
        let mut responder = responder(Policy::FixedDelay, Duration::from_millis(500));
        let expected = Reaction::RetryAfter { delay: Duration::from_millis(500), log: false };
        assert_eq!([responder.failed(), responder.failed()], [expected, expected]);
    }

    #[test]
    fn a_backoff_that_exits_sleeps_seven_times_as_mini_redis_does() {
        let mut responder = responder(Policy::BackoffExit, Policy::BackoffExit.delay());
        assert_eq!(delays_ms(&mut responder, 7), [5, 10, 20, 40, 80, 160, 320]);
        assert_eq!(responder.failed(), Reaction::GiveUp);
    }

    #[test]
    fn a_storm_fails_once_for_each_slot_that_is_left_of_its_backlog() {
        let mut responder = responder(Policy::Storm, Duration::from_secs(1));
        let (now, later) = (
            Reaction::RetryNow { log: true },
            Reaction::RetryAfter { delay: Duration::from_secs(1), log: true },
        );
        responder.succeeded(9);
        assert_eq!(
            [(); 3].map(|()| responder.failed()),
            [now, now, later],
            "four slots, one of them with a client"
        );
        assert_eq!([(); 4].map(|()| responder.failed()), [now, now, now, later]);
    }

    #[test]
    fn a_cap_keeps_eight_numbers_free() {
        let mut close = responder(Policy::CapClose, Duration::ZERO);
        assert_eq!((close.succeeded(23), close.succeeded(24)), (Admission::Served, Admission::Closed));
        assert_eq!(responder(Policy::Cap503, Duration::ZERO).succeeded(31), Admission::Told);
        assert_eq!(responder(Policy::Spin, Duration::ZERO).succeeded(31), Admission::Served);
    }
}

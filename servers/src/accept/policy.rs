//! What a server does when accept4 fails for want of a descriptor: the policies found in the field, as a pure state
//! machine. Never sleeps, logs or calls the kernel by itself.

use std::time::Duration;

/// Reaction of the accept loop to EMFILE and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// Calls accept4 again at once and says nothing.
    ///
    /// Origin: tonic 0.14 `Server::serve`, whose incoming stream goes on to the next item after an error; tokio keeps the
    /// listener marked ready, so it spins even with nobody waiting.
    Spin,
    /// Logs the failure and goes back to its event loop, which reports the listener again as long as a client waits.
    ///
    /// Origin: Tornado `add_accept_handler`, where the `OSError` reaches the IOLoop's log.
    SpinLog,
    /// Sleeps a fixed time, 1 s, then calls accept4 again; says nothing, as these do unless a tracing subscriber listens.
    ///
    /// Origin: axum 0.8 `serve` and warp 0.4 (hyper 0.14's `sleep_on_errors` before them).
    FixedDelay,
    /// Logs the failure and sleeps 5 ms, doubled with each failure in a row up to 1 s.
    ///
    /// Origin: Go `net/http` `Server.Serve` (its "Accept error: …; retrying in …").
    Backoff,
    /// Gives up a spare descriptor of /dev/null to accept the client and close its connection, then opens the spare again.
    ///
    /// Origin: libev's manual, "The special problem of accept()ing when you can't"; libuv `uv__emfile_trick`.
    ReserveFd,
    /// Ends the process with code 1.
    ///
    /// Origin: hyper's examples, `let (stream, _) = listener.accept().await?;` in `main`.
    Exit,
}

/// What an acceptor does next after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Calls accept4 again.
    RetryNow,
    /// Logs, then waits until a client is in the queue.
    LogAndWaitForClient,
    /// Sleeps, then calls accept4 again without asking whether anyone waits.
    RetryAfter {
        /// How long.
        delay: Duration,
        /// Whether the failure and the delay are logged first.
        log: bool,
    },
    /// Sheds one waiting client through the spare descriptor.
    Shed,
    /// Stops accepting for good.
    GiveUp,
}

/// First delay of [`Policy::Backoff`]; origin: Go net/http.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);

/// A policy and where in its delays one acceptor is.
#[derive(Debug, Clone)]
pub struct Responder {
    policy: Policy,
    longest: Duration,
    next_backoff: Duration,
}

impl Responder {
    /// Of `policy`; `delay` is that of `fixed-delay`, and the longest of `backoff`.
    pub fn new(policy: Policy, delay: Duration) -> Self {
        Responder { policy, longest: delay, next_backoff: FIRST_BACKOFF.min(delay) }
    }

    /// An accept succeeded: delays start over.
    pub fn succeeded(&mut self) {
        self.next_backoff = FIRST_BACKOFF.min(self.longest);
    }

    /// An accept failed for want of a descriptor: what to do.
    pub fn failed(&mut self) -> Reaction {
        match self.policy {
            Policy::Spin => Reaction::RetryNow,
            Policy::SpinLog => Reaction::LogAndWaitForClient,
            Policy::FixedDelay => Reaction::RetryAfter { delay: self.longest, log: false },
            Policy::Backoff => {
                let delay = self.next_backoff;
                self.next_backoff = (delay * 2).min(self.longest);
                Reaction::RetryAfter { delay, log: true }
            }
            Policy::ReserveFd => Reaction::Shed,
            Policy::Exit => Reaction::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut responder = Responder::new(Policy::Backoff, Duration::from_secs(1));
        assert_eq!(delays_ms(&mut responder, 10), [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn backoff_starts_over_after_a_success() {
        let mut responder = Responder::new(Policy::Backoff, Duration::from_secs(1));
        delays_ms(&mut responder, 4);
        responder.succeeded();
        assert_eq!(delays_ms(&mut responder, 2), [5, 10]);
    }

    #[test]
    fn a_longest_delay_below_the_first_is_kept_to() {
        let mut responder = Responder::new(Policy::Backoff, Duration::from_millis(2));
        assert_eq!(delays_ms(&mut responder, 2), [2, 2]);
        responder.succeeded();
        assert_eq!(delays_ms(&mut responder, 1), [2]);
    }

    #[test]
    fn fixed_delay_stays_the_same_and_silent() {
        let mut responder = Responder::new(Policy::FixedDelay, Duration::from_millis(500));
        let expected = Reaction::RetryAfter { delay: Duration::from_millis(500), log: false };
        assert_eq!([responder.failed(), responder.failed()], [expected, expected]);
    }
}

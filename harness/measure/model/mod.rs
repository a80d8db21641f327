//! The accept loop, estimated from the times of its failing tries: while a run goes on, when clients are
//! released, and afterwards, by one model of timers and of what makes tries late. Arithmetic on times; no
//! I/O, no clock, no processes and no clients.

#[cfg(test)]
mod property;
mod retries;
mod rhythm;
mod timer;
mod watch;

pub use retries::Retries;
pub use rhythm::Rhythm;
pub(crate) use rhythm::{Failing, batches, by_arrivals, rhythm_of_tries};
pub use watch::PolicyWatch;

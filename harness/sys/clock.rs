//! `CLOCK_MONOTONIC`, the clock that perf, the drivers and the harness share.

/// Nanoseconds of `CLOCK_MONOTONIC` (clock_gettime(2)): comparable between processes, not between boots.
pub fn now() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

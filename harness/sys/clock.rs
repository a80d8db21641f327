//! `CLOCK_MONOTONIC`, the clock that perf, the drivers and the harness share.

/// Nanoseconds of `CLOCK_MONOTONIC` (clock_gettime(2)): comparable between processes, not between boots.
pub fn now() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// CPU time of all threads of a process, those that have ended included, nanoseconds
/// (clock_getcpuclockid(3)). `None`: it has exited.
pub fn cpu_ns(pid: i32) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to the variables of this function, and to nothing else.
    let known = unsafe {
        let mut clock = 0;
        libc::clock_getcpuclockid(pid, &raw mut clock) == 0 && libc::clock_gettime(clock, &raw mut time) == 0
    };
    known.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_of_a_process_counts_threads_that_have_ended() {
        let before = cpu_ns(std::process::id() as i32).expect("it runs");
        let spins = || {
            let own = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_nsec;
            let began = own();
            while own() - began < 5_000_000 {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(spins).join().expect("it ends");
        let after = cpu_ns(std::process::id() as i32).expect("it runs");
        assert!(after - before >= 5_000_000, "{} ns", after - before);
        let mut ended = std::process::Command::new("true").spawn().expect("true is there");
        ended.wait().expect("ours");
        assert_eq!(cpu_ns(ended.id() as i32), None);
    }
}

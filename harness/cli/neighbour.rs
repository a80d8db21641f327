//! The load of a shared machine, for `--self-check --disturbed`: CPU is burned in bursts.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A burst, and a pause after it, take as long as something between these.
const BURST_MS: std::ops::Range<u64> = 500..8000;

/// Burns half of the CPUs, in bursts, until it is dropped.
pub struct Neighbour {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Neighbour {
    /// Begins.
    pub fn start() -> Neighbour {
        let over = Arc::new(AtomicBool::new(false));
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let burns = |_| {
            let over = over.clone();
            thread::spawn(move || burn(&over))
        };
        Neighbour { threads: (0..(cpus / 2).max(1)).map(burns).collect(), over }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn burn(over: &AtomicBool) {
    let over = || over.load(Ordering::Relaxed);
    let some_time = || Duration::from_millis(fastrand::u64(BURST_MS));
    while !over() {
        let until = Instant::now() + some_time();
        while Instant::now() < until && !over() {
            spin_loop();
        }
        thread::park_timeout(some_time());
    }
}

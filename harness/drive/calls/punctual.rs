//! Waiting until a time, to some ten microseconds: the runtime's own timer counts milliseconds. Opens
//! nothing.

use crate::event::Nanos;
use crate::sys::clock;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};

/// The runtime's timer may be so late: the rest of the time a thread sleeps.
const COARSE: Duration = Duration::from_millis(2);

/// Returns at this time, or as soon after it as the machine lets it.
pub async fn wait_until(time: Nanos) {
    let left = move || Duration::from_nanos(time.saturating_sub(clock::now()));
    tokio::time::sleep(left().saturating_sub(COARSE)).await;
    if !left().is_zero() {
        let _ = spawn_blocking(move || std::thread::sleep(left())).await;
    }
}

/// Waits for such an alarm, and takes it out; there is one.
pub async fn rung(alarm: &mut Option<JoinHandle<()>>) {
    if let Some(set) = alarm {
        let _ = set.await;
        *alarm = None;
    }
}

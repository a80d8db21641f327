//! Resident memory of the server.

use super::super::Report;
use super::{rate, size};

/// Slower growth of memory at the wall is not worth a line, because first-time work takes some memory. In
/// bytes a second, and as a share of the memory at the wall.
const GROWS_BYTES_PER_S: f64 = 1e6;
const GROWS_PER_S: f64 = 0.05;

/// Memory that grows at the wall.
pub fn grows(r: &Report) -> Option<String> {
    let m = &r.found.memory;
    let wall = m.wall_bytes.value()?;
    let least = GROWS_BYTES_PER_S.max(GROWS_PER_S * wall as f64);
    let grows = m.growth_bytes_per_s.value().filter(|grows| *grows >= least)?;
    Some(format!("Its memory grows by {} at the wall: {}.", rate(grows), moments(r)?))
}

/// Memory before the first client, at the wall and after all clients left.
pub fn moments(r: &Report) -> Option<String> {
    let m = &r.found.memory;
    let said: Vec<String> = [
        (m.rest_bytes.value(), "before the first client"),
        (m.wall_bytes.value(), "at the wall"),
        (m.after_bytes.value(), "after all clients left"),
    ]
    .into_iter()
    .filter_map(|(bytes, when)| Some(format!("{} {when}", size(bytes?))))
    .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

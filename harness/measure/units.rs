//! Numbers as they are reported: seconds, and three digits after the point.

use crate::event::Nanos;

/// Seconds, from nanoseconds.
pub(crate) fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// Three digits after the point: more than any rate here is good for.
pub(crate) fn milli(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

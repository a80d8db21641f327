//! The kernel's behaviour at the limit, and why: the sentences that explain rather than report.

use super::{counted, number};

/// Why an accept fails although nobody waits.
pub const BEFORE_THE_QUEUE: &str = "accept4 takes the descriptor number before it looks at the queue";
/// Why clients connect to a server that cannot accept them.
pub const KERNEL_CONNECTS: &str =
    "the kernel completes the connection and parks it in the accept queue, so connect succeeds";
/// Descriptors that /proc/PID/fd does not list.
pub const RESERVED: &str = "reserved by threads blocked in accept, which /proc/PID/fd does not list";

/// The descriptor numbers that a soft limit allows.
pub fn numbers(soft: u64) -> String {
    match soft {
        0 => "A soft limit of 0 allows no descriptor".to_owned(),
        1 => "A soft limit of 1 allows only descriptor number 0".to_owned(),
        _ => format!("A soft limit of {soft} allows the descriptor numbers 0 to {}", soft - 1),
    }
}

/// Sockets in CLOSE_WAIT.
pub fn close_wait(sockets: u64) -> String {
    let each = number(sockets, "holds a descriptor", "hold a descriptor each");
    format!(
        "{} in CLOSE_WAIT {each}: the other side has closed, and this program has not.",
        counted(sockets, "socket")
    )
}

/// Sockets in TIME_WAIT.
pub fn time_wait(sockets: u64) -> String {
    let hold = number(sockets, "holds", "hold");
    format!("{} in TIME_WAIT {hold} no descriptor: no process owns them.", counted(sockets, "socket"))
}

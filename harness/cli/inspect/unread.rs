//! Data that has arrived in TCP sockets and waits to be read: the receive queues. Pure.

use crate::limits::inventory::{Open, sockets::Tcp};
use crate::sys::sock_diag::State;
use serde::Serialize;
use std::collections::HashMap;
use std::net::SocketAddr;

/// TCP sockets of the process that hold data which it has not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// How many.
    pub sockets: u64,
    /// All TCP sockets that do not listen.
    pub of: u64,
    /// Bytes in all of them.
    pub bytes: u64,
    /// Sockets with unread data that the process connected itself: the data is a response.
    pub outbound: u64,
    /// Sockets that already held data before the watch, and no more than now; null where nothing was watched.
    pub stayed: Option<u64>,
}

/// Counts them after a watch that began with `before`, or at one moment.
pub fn count(before: Option<&[Open]>, after: &[Open]) -> Unread {
    let connections = || after.iter().filter_map(|open| open.tcp).filter(|tcp| tcp.state != State::LISTEN);
    let unread = || connections().filter(|tcp| bytes(tcp) > 0);
    let stayed = before.map(|before| {
        let earlier: HashMap<(SocketAddr, SocketAddr), u64> = before
            .iter()
            .filter_map(|open| open.tcp)
            .map(|tcp| ((tcp.local, tcp.peer), bytes(&tcp)))
            .collect();
        let stays = |tcp: &Tcp| {
            earlier.get(&(tcp.local, tcp.peer)).is_some_and(|&earlier| (1..=bytes(tcp)).contains(&earlier))
        };
        unread().filter(stays).count() as u64
    });
    Unread {
        sockets: unread().count() as u64,
        of: connections().count() as u64,
        bytes: unread().map(|tcp| bytes(&tcp)).sum(),
        outbound: unread().filter(|tcp| !tcp.accepted).count() as u64,
        stayed,
    }
}

/// Bytes that wait in a connection. The kernel counts a FIN that was not read yet as one more.
fn bytes(tcp: &Tcp) -> u64 {
    match tcp.state {
        State::LISTEN => 0,
        State::CLOSE_WAIT | State::LAST_ACK | State::CLOSING => tcp.receive_queue.saturating_sub(1),
        _ => tcp.receive_queue,
    }
}

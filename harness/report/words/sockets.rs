//! The accept queue, several listeners on one port, and TCP sockets by state.

use super::super::Report;
use super::{counted, number};
use crate::event::States;

/// Listeners shown one by one.
const SHOWN: usize = 8;

/// Connections that the full accept queue dropped.
pub fn queue(r: &Report) -> Option<String> {
    let queue = r.found.sockets.accept_queue.get()?;
    let dropped = queue.overflows.value().filter(|n| *n > 0)?;
    let half = queue
        .syn_recv
        .value()
        .filter(|n| *n > 0)
        .map_or(String::new(), |n| format!("; {} half done", counted(n, "handshake")));
    let packets = number(dropped.into(), "packet", "packets");
    Some(format!(
        "Its accept queue was full: the kernel dropped {dropped} {packets} of handshakes, which clients send again{half}."
    ))
}

/// Several listeners on one port: clients wait for one process while another has room.
pub fn listeners(r: &Report) -> Option<String> {
    let all = &r.found.sockets.listeners;
    if all.len() < 2 {
        return None;
    }
    let full: Vec<_> = all.iter().filter(|q| q.room == 0 && q.length > 0).collect();
    let room: Vec<_> = all.iter().filter(|q| q.room > 0).collect();
    let intro = format!(
        "{} listeners share the port (SO_REUSEPORT); each has its own accept queue, and the kernel picks one by a hash of the client's address",
        all.len()
    );
    if full.is_empty() || room.is_empty() {
        let lengths: Vec<String> =
            all.iter().take(SHOWN).map(|q| format!("{} of {}", q.length, q.capacity)).collect();
        return Some(format!("{intro}: {}.", lengths.join(", ")));
    }
    let waiting: Vec<String> = full
        .iter()
        .take(SHOWN)
        .map(|q| {
            let n = u64::from(q.length);
            format!(
                "{} {} for process {}, which is full",
                counted(n, "client"),
                number(n, "waits", "wait"),
                q.pid
            )
        })
        .collect();
    let others: Vec<String> =
        room.iter().take(SHOWN).map(|q| format!("process {} has room for {}", q.pid, q.room)).collect();
    Some(format!("{intro}, even a full one: {}, while {}.", waiting.join(", "), others.join(", ")))
}

/// The same in one short sentence: where clients wait though other processes have room.
pub fn unbalanced(r: &Report) -> Option<String> {
    let all = &r.found.sockets.listeners;
    let waits = all.iter().any(|q| q.room == 0 && q.length > 0);
    let room: u64 = all.iter().map(|q| q.room).sum();
    (waits && room > 0)
        .then(|| format!("Others have room for {room}: the kernel picks one by a hash (SO_REUSEPORT)."))
}

/// Sockets by state: those that hold a descriptor of the subject, and those in TIME_WAIT, which hold none.
pub fn tcp(r: &Report) -> Option<String> {
    let s = &r.found.sockets;
    let (held, all) = (s.tcp_states.get()?, s.tcp_namespace.get()?);
    // These two states are always shown, because the question is about them; a line above shows the listener.
    let always = ["ESTABLISHED", "CLOSE_WAIT"];
    let mut counts: Vec<String> = always.iter().map(|state| format!("{} {state}", of(held, state))).collect();
    counts.extend(
        held.iter()
            .filter(|(state, _)| !always.contains(&state.as_str()) && *state != "LISTEN")
            .map(|(s, n)| format!("{n} {s}")),
    );
    let waiting = match of(all, "TIME_WAIT") {
        0 => "none is in TIME_WAIT".to_owned(),
        n => format!("{n} in TIME_WAIT {} no descriptor", number(n, "holds", "hold")),
    };
    Some(format!("It holds {}; in the whole namespace {waiting}.", counts.join(", ")))
}

/// Sockets that the other side has closed and the subject has not, after all clients had left.
pub fn left_open(r: &Report) -> Option<String> {
    let left = close_wait(r)?;
    let them = number(left, "it", "them");
    Some(format!(
        "In the end it still holds {} in CLOSE_WAIT: the other side has closed {them}, the program has not.",
        counted(left, "socket")
    ))
}

/// How many sockets are left so.
pub fn close_wait(r: &Report) -> Option<u64> {
    r.found.recovery.tcp_states_after.get().map(|states| of(states, "CLOSE_WAIT")).filter(|n| *n > 0)
}

fn of(states: &States, state: &str) -> u64 {
    states.get(state).copied().unwrap_or(0)
}

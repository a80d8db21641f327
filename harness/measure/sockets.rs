//! The accept queue and the TCP sockets at the wall.

use super::facts::{Facts, Sockets};
use super::known::{Known, OrWhy, Why};
use crate::event::{Phase, Queue, States};

/// Sockets at the wall, and what the whole host had of files and overflows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SocketsSeen {
    /// Its longest, and its capacity.
    pub accept_queue: Known<AcceptQueue>,
    /// For several listeners on the port (SO_REUSEPORT): the queue of each, at the end of saturation;
    /// `accept_queue` is all of them together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Queue>,
    /// TCP sockets that the subject holds by a descriptor, of both directions, by state.
    pub tcp_states: Known<States>,
    /// Those of the loaded port on the server's side: also in the accept queue, and half open.
    pub tcp_port: Known<States>,
    /// All of the network namespace: both ends of every connection, and those in TIME_WAIT, which hold no
    /// descriptor.
    pub tcp_namespace: Known<States>,
    /// Open files of the whole host and the most there may be: `fs.file-max`, which is read and never set.
    pub file_nr: Known<FileNr>,
    /// Growth of the host's `ListenOverflows` over the run.
    pub listen_overflows: Known<u64>,
}

/// Open files of the whole host, from `/proc/sys/fs/file-nr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FileNr {
    /// Open now.
    pub allocated: u64,
    /// `fs.file-max`.
    pub max: u64,
}

/// The accept queue of the loaded listener.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct AcceptQueue {
    /// The longest seen at saturation, when the ramp was over.
    pub length: u32,
    /// Backlog + 1.
    pub capacity: Known<u32>,
    /// The longest seen in the whole run.
    pub most: Option<u32>,
    /// SYNs and last ACKs of handshakes that this listener dropped until clients left, for a full queue as a
    /// rule; each may come again.
    pub overflows: Known<u32>,
    /// The most handshakes of its port that were half done, at saturation.
    pub syn_recv: Known<u64>,
}

/// The sockets as seen until clients left.
pub(super) fn sockets(facts: &Facts<'_>) -> SocketsSeen {
    let (begins, released) = (facts.wall_begins(), facts.phases.released_from());
    let in_time = |s: &&Sockets<'_>| (begins..released).contains(&s.at) && s.over_by(released);
    let whole: Vec<&Sockets<'_>> = facts.readings.sockets.iter().filter(in_time).collect();
    let last = |which: fn(&Sockets<'_>) -> Option<States>| {
        whole.iter().rev().find_map(|sockets| which(sockets)).or_why(Why::SocketsNotListed)
    };
    let files = facts.readings.files.iter().rfind(|(at, ..)| *at < released);
    SocketsSeen {
        accept_queue: match facts.serves_datagrams() {
            true => Known::Unknown(Why::UdpAcceptsNobody),
            false => accept_queue(facts, &whole).or_why(Why::QueueNotSampled),
        },
        listeners: facts.readings.queues.to_vec(),
        tcp_states: last(|sockets| sockets.subject.cloned()),
        tcp_port: last(|sockets| Some(sockets.port.clone())),
        tcp_namespace: last(|sockets| sockets.namespace.cloned()),
        file_nr: files.map(|&(_, allocated, max)| FileNr { allocated, max }).or_why(Why::FilesNotRead),
        listen_overflows: match facts.readings.sockets.as_slice() {
            [first, .., last] => Known::Value(last.overflows.saturating_sub(first.overflows)),
            _ => Known::Unknown(Why::OverflowsReadOnce),
        },
    }
}

/// The accept queue at the wall. Once the ramp is over, where that was seen: in it even those wait that it
/// then dismisses.
fn accept_queue(facts: &Facts<'_>, whole: &[&Sockets<'_>]) -> Option<AcceptQueue> {
    let (begins, released) = (facts.wall_begins(), facts.phases.released_from());
    let longest = |from| facts.readings.longest_queue(from, released);
    let ramp_ends = facts.phases.from(Phase::Saturate).max(begins);
    let half_done = whole.iter().map(|s| s.port.get("SYN_RECV").copied().unwrap_or(0)).max();
    Some(AcceptQueue {
        length: longest(ramp_ends).or_else(|| longest(begins))?,
        capacity: facts.readings.queue_capacity(facts.plan).or_why(Why::ListenerNotFound),
        most: facts.readings.samples.iter().filter_map(|sample| sample.queue).max(),
        overflows: facts.readings.drops_before(released).or_why(Why::DropsNotRead),
        syn_recv: half_done.or_why(Why::SocketsNotListed),
    })
}

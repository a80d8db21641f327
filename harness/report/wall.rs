//! Side effects of a full table, in words, for the terminal and for the story of a run: what clients saw in disguise, other listeners,
//! failed calls, the accept queue, memory.

use super::terminal::{cut, got};
use super::{Report, counted};
use crate::event::SeenAs;
use crate::measure::Disguise;

/// Memory that grows by less while the wall is watched is not worth a line, for what is done for the first time takes some: bytes a second,
/// and the part of what there is.
const GROWS_BYTES_PER_S: f64 = 1e6;
const GROWS_PER_S: f64 = 0.05;
/// Of a reply, and of a path.
const SHOWN: usize = 48;

/// A sentence for each thing that there is to say.
pub(super) fn wall(r: &Report) -> Vec<String> {
    let s = &r.saturation;
    let mut said: Vec<String> = s.disguise.iter().map(disguise).collect();
    said.extend(failed(r));
    said.extend(queue(r));
    for other in &s.other_listeners {
        let fate = other.new_client.map_or(String::new(), |new| format!(": a new client there {}", got(new)));
        let overflows =
            other.overflows.filter(|n| *n > 0).map_or(String::new(), |n| format!(", {n} turned away"));
        let queue = format!("accept queue {} of {}{overflows}", other.queue, other.capacity);
        said.push(format!(
            "It listens on {} too, with the same table of descriptors{fate}; {queue}.",
            other.address
        ));
    }
    said.extend(memory(r));
    said
}

fn disguise(d: &Disguise) -> String {
    let call = format!("{} had failed with {}", d.call, d.errno);
    match d.seen_as {
        SeenAs::ErrorReply => {
            let was = if d.count == 1 { "was" } else { "were" };
            format!(
                "In disguise: {} {was} told \"{}\" just after {call}: no fault of the request, but the full table.",
                counted(d.count, "client"),
                cut(&d.reply, SHOWN)
            )
        }
        SeenAs::Closed => {
            let was = if d.count == 1 { "connection was" } else { "connections were" };
            format!("In disguise: {} {was} closed just after {call}.", d.count)
        }
        SeenAs::Exit => {
            format!(
                "In disguise: a process exited just after {call}, and {} that it held ended with it.",
                counted(d.count, "connection")
            )
        }
    }
}

fn failed(r: &Report) -> Option<String> {
    let all = &r.saturation.failed_calls;
    // Of a subject whose own calls are counted these are told of with those.
    let first = all.first().filter(|_| r.ceiling.calls.is_none())?;
    let each =
        all.iter().take(4).map(|one| format!("{} {}×", one.call, one.count)).collect::<Vec<_>>().join(", ");
    let paths: Vec<String> =
        all.iter().flat_map(|one| &one.paths).take(2).map(|path| cut(path, SHOWN)).collect();
    let paths = if paths.is_empty() { String::new() } else { format!(" (such as {})", paths.join(", ")) };
    Some(format!("Beside accept there failed, with {}: {each}{paths}.", first.errno))
}

fn queue(r: &Report) -> Option<String> {
    let queue = r.saturation.accept_queue?;
    let dropped = queue.overflows.filter(|n| *n > 0)?;
    let half = queue
        .syn_recv
        .filter(|n| *n > 0)
        .map_or(String::new(), |n| format!("; {} half done", counted(n, "handshake")));
    let what = match dropped {
        1 => "1 SYN or last ACK of a handshake was dropped".to_owned(),
        n => format!("{n} SYNs or last ACKs of handshakes were dropped"),
    };
    Some(format!("Its accept queue was full: {what}, to come again{half}."))
}

fn memory(r: &Report) -> Option<String> {
    let m = &r.saturation.memory;
    let wall = m.wall_bytes?;
    let grows =
        m.growth_bytes_per_s.filter(|grows| *grows >= GROWS_BYTES_PER_S.max(GROWS_PER_S * wall as f64))?;
    let rest = m.rest_bytes.map_or(String::new(), |bytes| format!(", {} at rest", size(bytes)));
    let after = m.after_bytes.map_or(String::new(), |bytes| format!("; {} after all had left", size(bytes)));
    Some(format!(
        "Its memory grows by {}: {} at the wall{rest}{after}.",
        super::terminal::rate(grows),
        size(wall)
    ))
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

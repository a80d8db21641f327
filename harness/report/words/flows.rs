//! A server that is loaded by UDP: its flows, what they cost in descriptors, and what waits in its receive
//! queue.

use super::super::Report;
use super::{counted, list, number, of_kind, sentence, size, subject, time};
use crate::measure::{FlowCost, Flows};

/// Each sentence that there is to say.
pub fn flows(r: &Report) -> Vec<String> {
    let Some(f) = &r.found.flows else { return Vec::new() };
    [cost(f), ended(f), queue(f), silent(f)].into_iter().flatten().collect()
}

/// Every client is a flow: how many were answered.
pub fn account(r: &Report) -> Option<String> {
    let f = r.found.flows.as_ref().filter(|f| f.all() > 0)?;
    let all = counted(f.all(), "UDP client");
    let parts = [
        (f.answered, "answered"),
        (f.error_replies, "given an error reply"),
        (f.unanswered, "without an answer"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    Some(match &said[..] {
        [_] if f.unanswered == 0 && f.answered > 0 => format!("{all}: all answered."),
        said => format!("{all}: {}.", said.join(", ")),
    })
}

/// The clients that a server with no descriptor left does not answer.
pub fn unanswered(r: &Report) -> Option<String> {
    let silent = r.found.flows.as_ref().map(|f| f.unanswered).filter(|n| *n > 0)?;
    Some(format!("{} got no answer.", counted(silent, "further client")))
}

/// Why a server that answered every flow has no ceiling, as the first words of a report; `None` where it was
/// only not reached.
pub fn unbounded(r: &Report) -> Option<String> {
    let f = r.found.flows.as_ref().filter(|f| f.unanswered + f.error_replies == 0)?;
    let all = format!("{} answered all {}", super::capital(subject(r)), counted(f.answered, "client"));
    match f.cost.value()? {
        FlowCost::Nothing => Some(format!(
            "{all} and opened no descriptor for them: the descriptor limit does not bound how many clients it serves."
        )),
        FlowCost::ClosedAgain => Some(format!(
            "{all} and closed the descriptors of each of them again at once: the descriptor limit bounds only the clients that wait for \
             their answer at the same time."
        )),
        FlowCost::Held => None,
    }
}

/// Advice for a server that answered all flows; `None`: the advice for connections fits, too.
pub fn advice(r: &Report) -> Option<&'static str> {
    let flows = r.found.flows.as_ref()?;
    match flows.cost.value()? {
        FlowCost::Held if flows.closed.value() > Some(0) => Some(
            "The server closes descriptors of silent clients while others come: to hold more, let clients come faster (`--pace`), or send again (`every` in a scenario).",
        ),
        FlowCost::Nothing => Some("A higher descriptor limit changes nothing here."),
        FlowCost::ClosedAgain => Some(
            "To make more clients wait at once, send faster than it answers (`--pace burst`, or a rate).",
        ),
        FlowCost::Held => None,
    }
}

fn cost(f: &Flows) -> Option<String> {
    let all = f.all();
    let (opened, closed) = (f.opened.value(), f.closed.value());
    Some(match f.cost.value()? {
        FlowCost::Held => {
            let kinds = f.kinds.get().filter(|kinds| !kinds.is_empty())?;
            let each = |kind: &crate::measure::KindPerFlow| {
                format!("{} {}", kind.descriptors, of_kind(kind.kind, kind.descriptors != 1.0))
            };
            let kinds: Vec<String> = kinds.iter().map(each).collect();
            format!("The server keeps {} open for each client.", list(&kinds))
        }
        FlowCost::ClosedAgain => format!(
            "For {} it opened {} and closed {} again.",
            counted(all, "client"),
            opened.map_or("some descriptors".to_owned(), |n| counted(n, "descriptor")),
            closed.map_or("some".to_owned(), |n| n.to_string())
        ),
        FlowCost::Nothing => "The sockets that it had before the first client serve all clients.".to_owned(),
    })
}

/// Flows that were over while clients were still there.
fn ended(f: &Flows) -> Option<String> {
    let closed = f.closed.value().filter(|n| *n > 0 && f.cost.value() == Some(FlowCost::Held))?;
    let opened = f.opened.value()?;
    Some(format!("Until clients left it opened {} and closed {closed}.", counted(opened, "descriptor")))
}

fn queue(f: &Flows) -> Option<String> {
    let queue = f.receive_queue.value().filter(|queue| queue.drops > 0)?;
    let lost = u64::from(queue.drops);
    Some(format!(
        "Its receive queue of {} was full: {} {} dropped, which nothing sends again.",
        size(queue.capacity.into()),
        counted(lost, "datagram"),
        number(lost, "was", "were")
    ))
}

/// When the descriptors of silent flows were closed.
fn silent(f: &Flows) -> Option<String> {
    if f.cost.value() != Some(FlowCost::Held) {
        return None;
    }
    Some(match f.closed_after_s.known() {
        Ok(after) => {
            format!("It had closed the descriptors of all clients {} after they left.", time(*after))
        }
        Err(why) => sentence(&super::why::why(why)),
    })
}

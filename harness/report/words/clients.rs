//! The clients: one account of all of them, which every sentence takes its numbers from; and what they see of
//! a full server.

use super::super::Report;
use super::{counted, flows, got, got_by_many, list, number, time};
use crate::event::Outcome;
use crate::measure::{AcceptQueue, ClientPrograms, ClientsAccount, PolicyEvidence, Why};
use crate::report::page::cut;
use crate::scenario::One;

/// Characters shown of an error reply.
const REPLY: usize = 48;

/// Where each client is: connected and held, waiting, turned away; or not connected.
pub fn account(r: &Report) -> Option<String> {
    if r.found.flows.is_some() {
        return flows::account(r);
    }
    let a = r.found.clients_account.get().filter(|a| a.came() > 0)?;
    let text = format!(
        "{} connected: {}.",
        counted(a.connected, "client"),
        all_or_each(&places(r), a.connected).join(", ")
    );
    let text = match a.trials_held {
        0 => text,
        n => format!("{text} It still holds {} of lastfd's trial requests, too.", counted(n, "connection")),
    };
    let mut failed = Vec::new();
    failed.extend((a.timed_out > 0).then(|| format!("{} timed out while connecting", a.timed_out)));
    failed.extend(
        (a.refused > 0).then(|| format!("{} {} refused", a.refused, number(a.refused, "was", "were"))),
    );
    Some(match failed.as_slice() {
        [] => text,
        failed if a.connected == 0 => format!("No client connected: {}.", list(failed)),
        failed => format!("{text} Further clients did not connect: {}.", list(failed)),
    })
}

/// The number of connected clients in each place; places without any are left out.
pub fn places(r: &Report) -> Vec<(u64, String)> {
    let Some(a) = r.found.clients_account.get() else { return Vec::new() };
    let answers = r.found.ceiling.served.get().is_some();
    let all = [
        (a.held, if answers { "answered and held" } else { "held" }.to_owned()),
        (a.held_with_error, "held after an error reply".to_owned()),
        (a.waiting, "waiting".to_owned()),
        (a.turned_away - a.answered_first, turned_away(a)),
        (a.answered_first, "answered and then closed".to_owned()),
        (a.left, "left by themselves".to_owned()),
        (a.closed, "closed after the server had held them for a while".to_owned()),
        (a.exit.map_or(0, |lost| lost.clients), "lost with the exit".to_owned()),
    ];
    all.into_iter().filter(|(n, _)| *n > 0).collect()
}

/// Whether every client that connected left on its own.
pub fn all_left(r: &Report) -> bool {
    r.found.clients_account.get().is_some_and(|a| a.left > 0 && a.left == a.connected)
}

/// Whether those that it does not hold were all answered before it closed their connections.
pub fn all_answered(r: &Report) -> bool {
    let answered = |a: &ClientsAccount| a.waiting == 0 && a.answered_first == a.turned_away;
    r.found.clients_account.get().is_some_and(|a| a.answered_first > 0 && answered(a))
}

/// How the client programs of each workload ended.
pub fn programs(r: &Report) -> Vec<String> {
    let each = r.found.client_programs.iter();
    each.filter_map(|programs| programs_of(programs, r.found.client_programs.len() > 1)).collect()
}

fn programs_of(programs: &ClientPrograms, several: bool) -> Option<String> {
    let of = if several { format!(" of `{}`", programs.workload) } else { String::new() };
    let mut parts = Vec::new();
    parts.extend((programs.served > 0).then(|| (programs.served, "with exit status 0".to_owned())));
    parts.extend((programs.failed > 0).then(|| {
        let last = programs.mostly.as_ref();
        let words = last.map_or(String::new(), |last| match last.programs == programs.failed {
            true => format!(" (`{}`)", last.words),
            false => format!(" (most often `{}`, {} times)", last.words, last.programs),
        });
        let failed = programs.failed;
        let before = match programs.unconnected {
            0 => String::new(),
            n if n == failed => ", before the connection was seen".to_owned(),
            n => format!(", {n} of them before a connection was seen"),
        };
        let error = match programs.error_replies {
            0 => "an error".to_owned(),
            n if n == failed => "an error reply of the server".to_owned(),
            n => format!("an error, {n} of them with an error reply of the server"),
        };
        (failed, format!("with {error}{words}{before}"))
    }));
    if parts.is_empty() {
        return None;
    }
    Some(match programs.one {
        One::Each => {
            let all = programs.served + programs.failed;
            let (ended, how) = (counted(all, "client program"), list(&all_or_each(&parts, all)));
            format!("{ended}{of} ended before any was told to leave: {how}.")
        }
        One::All => {
            let how = list(&each_of(&parts));
            format!("The client program{of} ended before it was told to leave: {how}.")
        }
    })
}

/// `12 held` of each part.
fn each_of(parts: &[(u64, String)]) -> Vec<String> {
    parts.iter().map(|(n, what)| format!("{n} {what}")).collect()
}

/// The same, and `all held` where 12 of 12 are.
fn all_or_each(parts: &[(u64, String)], all: u64) -> Vec<String> {
    match parts {
        [(n, what)] if *n == all && all > 1 => vec![format!("all {what}")],
        parts => each_of(parts),
    }
}

fn turned_away(a: &ClientsAccount) -> String {
    match a.error_replies {
        0 => "turned away".into(),
        told if told == a.turned_away => "turned away with an error reply".into(),
        told => format!("turned away ({told} with an error reply)"),
    }
}

/// The error reply, quoted, that all who were turned away got.
pub fn told_an_error(r: &Report) -> Option<String> {
    let account = r.found.clients_account.get()?;
    let replies = r.found.error_replies.as_ref().filter(|replies| replies.others == 0)?;
    let all = account.error_replies > 0 && account.error_replies == account.turned_away;
    all.then(|| format!("\"{}\"", cut(&replies.first, REPLY)))
}

/// Clients that wait at the wall, where any do.
pub fn waiting(r: &Report) -> Option<u64> {
    r.found.clients_account.get().map(|a| a.waiting).filter(|n| *n > 0)
}

/// The connections that an exit closed, as a clause; `brief`: without where they were.
pub fn lost(r: &Report, brief: bool) -> Option<String> {
    let lost = r.found.clients_account.get()?.exit?;
    let held = counted(lost.held, "held connection");
    let queued = lost.clients.saturating_sub(lost.held);
    Some(match (lost.held, lost.clients) {
        (0, 0) => return None,
        (held, clients) if held == clients => {
            format!("{} lost {} connection", counted(clients, "client"), number(clients, "its", "their"))
        }
        (_, clients) if queued > 0 && brief => {
            format!("{clients} clients lost their connection ({queued} in the queue)")
        }
        (_, clients) if queued > 0 => {
            format!("{clients} clients lost their connection ({} accepted, {queued} in the queue)", lost.held)
        }
        (_, clients) => format!("{held} ended, and {} saw that", counted(clients, "client")),
    })
}

/// Clients beside the workload's that may wait, too.
const PROBES: u32 = 4;

/// Whether a client more is taken: where there was room, where a timer makes some, or where another has to
/// go.
fn makes_room(r: &Report) -> bool {
    let gives_way = matches!(r.found.policy.evidence.get(), Some(PolicyEvidence::GaveWay { .. }));
    let idle = r.found.ceiling.idle_timeout.is_some() && waiting(r).is_none();
    r.found.ceiling.reached.value() == Some(false) || gives_way || idle
}

/// The outcome of a new client at the wall, and how full the accept queue is.
pub fn new_client(r: &Report) -> Option<String> {
    let new = r.found.new_client.value()?;
    let ceiling = &r.found.ceiling;
    // Nobody waits in the queue of a listener that is gone, or beside one that takes its clients.
    let queues = matches!(new, Outcome::Waits | Outcome::TimesOut) && ceiling.reached.value() != Some(false);
    // Where nobody waits, the longest queue was an earlier one.
    let now = |q: &&AcceptQueue| new == Outcome::TimesOut || waiting(r).is_some() || q.length <= PROBES;
    let queue =
        r.found.sockets.accept_queue.get().filter(|_| queues).filter(now).map_or(String::new(), |q| {
            let own = new == Outcome::Waits && u64::from(q.length) > waiting(r).unwrap_or(0);
            let with = if own { "with this one, " } else { "" };
            match q.capacity.value() {
                Some(capacity) => {
                    format!("; {with}the accept queue has {} of its {capacity} places taken", q.length)
                }
                None => format!("; {with}the accept queue holds {}", q.length),
            }
        });
    let asks_nothing = matches!(
        ceiling.served.why(),
        Some(Why::TcpAsksNothing | Why::ProgramsHoldSilently | Why::OneProgramForAll)
    );
    let got = match new {
        // Nobody expects a response where there was room for it.
        Outcome::Waits if asks_nothing && makes_room(r) => "connects and asks nothing",
        Outcome::Waits if r.found.flows.is_some() => "gets no answer",
        new => got(new),
    };
    Some(format!("A new client {got}{queue}."))
}

/// Whether clients that are held still get answers.
pub fn held(r: &Report) -> Option<String> {
    let held = &r.found.clients.held;
    if held.probed == 0 {
        return None;
    }
    let got = [
        (held.answered, number(held.probed, "it got an answer", "got answers")),
        (held.error_replies, number(held.probed, "it got an error", "got an error")),
        (held.silent, number(held.probed, "it got no answer", "got no answer")),
        (
            held.dropped,
            number(held.probed, "it was closed", number(held.dropped, "was closed", "were closed")),
        ),
    ];
    let got: Vec<(u64, &str)> = got.into_iter().filter(|(n, _)| *n > 0).collect();
    let said = match got[..] {
        [(_, what)] if held.probed == 1 => what.to_owned(),
        [(n, what)] if n == held.probed => format!("all {what}"),
        _ => list(&got.iter().map(|(n, what)| format!("{n} {what}")).collect::<Vec<_>>()),
    };
    let asked = number(held.probed, "was", "were");
    Some(format!("{} {asked} asked again: {said}.", counted(held.probed, "held client")))
}

/// How long answers took, before the wall and at it.
pub fn latency(r: &Report) -> Option<String> {
    let c = &r.found.clients;
    let before = c.before_s.value().map(|l| format!("{} before the limit was reached", time(l.p50)));
    let held = c
        .held
        .latency_s
        .value()
        .map(|l| format!("{} at the limit (held clients; {} at most)", time(l.p50), time(l.max)));
    let both: Vec<String> = before.into_iter().chain(held).collect();
    (!both.is_empty()).then(|| format!("Median time to an answer: {}.", both.join(", ")))
}

/// Outcomes of clients that came after the wall was reached.
pub fn next(r: &Report) -> Option<String> {
    let next = &r.found.clients.next;
    if next.is_empty() || r.found.ceiling.reached.value() != Some(true) {
        return None;
    }
    let each: Vec<String> = next
        .iter()
        .map(|got| {
            let after = got.after_s.value().map_or(String::new(), |l| format!(" after {}", time(l.p50)));
            format!("{} {}{after}", got.clients, got_by_many(got.outcome))
        })
        .collect();
    let since = match r.found.ceiling.first_failure.get() {
        Some(_) => "Clients that came after the first failure",
        None => "Clients that were not held",
    };
    Some(format!("{since}: {}.", each.join(", ")))
}

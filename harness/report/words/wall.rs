//! Side effects of a full table: what clients saw in disguise, other listeners, failed calls, the accept
//! queue, memory.

use super::super::Report;
use super::{calls, counted, flows, got, memory, number, policy, sockets, times};
use crate::event::SeenAs;
use crate::measure::{ClientsAccount, Disguise, Kind};
use crate::report::page::cut;

/// Characters shown of a reply, and of a path.
const SHOWN: usize = 48;
/// Characters shown of a reply in the first paragraph.
const SHORT: usize = 24;
/// Calls shown one by one.
const CALLS: usize = 4;

/// A sentence for each thing that there is to say.
pub fn wall(r: &Report) -> Vec<String> {
    let exits = |d: &&Disguise| d.seen_as == SeenAs::Exit;
    let told = r.found.disguise.iter().filter(|d| !exits(d));
    let mut said: Vec<String> = told.map(|d| disguise(r, d)).collect();
    said.extend(exited(&r.found.disguise.iter().filter(exits).collect::<Vec<_>>()));
    said.extend(failed(r));
    said.extend(sockets::queue(r));
    said.extend(others(r));
    said.extend(r.found.other_policies.iter().map(policy::of_another));
    said.extend(memory::grows(r));
    said
}

/// How few of the connections that it held were served, where the others only got an error reply.
pub fn unserved(r: &Report) -> Option<String> {
    let account = r.found.clients_account.get()?;
    // The last one may have been accepted just as the watch was over.
    if account.ungreeted > 1 {
        let (greeted, waits) = (account.held - account.ungreeted, account.ungreeted);
        // The headline has the greeted ones.
        if r.found.ceiling.held() == Some(greeted) {
            return Some(format!("{waits} more that it accepted wait for its greeting."));
        }
        return Some(format!("It greeted only {greeted} of them: {waits} wait for its greeting."));
    }
    if account.held_with_error == 0 {
        return unanswered(r, account);
    }
    let replies = r.found.error_replies.as_ref().filter(|_| !r.found.ceiling.in_calls())?;
    // A call that failed for a few of them is not why all of them got it.
    let explains = |d: &&Disguise| d.reply == replies.first && d.count * 2 >= account.held_with_error;
    let told = r.found.disguise.iter().find(explains);
    let because = told.map_or(String::new(), |told| format!(" ({} failed with {})", told.call, told.errno));
    let served = if account.held == 0 { "none".to_owned() } else { format!("only {}", account.held) };
    let (n, reply) = (account.held_with_error, cut(&replies.first, SHORT));
    let all = account.held + n;
    let of = match r.found.ceiling.held() {
        Some(headline) if headline < all => format!("the {all} that it held later"),
        _ => "them".to_owned(),
    };
    Some(format!("It served {served} of {of}: {n} got \"{reply}\"{because}."))
}

/// How many of the connections that it held got no answer at all.
fn unanswered(r: &Report, account: &ClientsAccount) -> Option<String> {
    let accepted = r.found.ceiling.accepted.value().filter(|_| r.found.ceiling.served.value().is_some())?;
    // The last one may have been accepted just as the call failed. Connections that it closed wait for
    // nothing.
    let over = account.held + account.turned_away + account.closed;
    let silent = accepted.saturating_sub(over).min(account.waiting);
    (silent > 1 && account.held > 0)
        .then(|| format!("It answered only {} of them: {silent} wait for their answer.", account.held))
}

/// The replies to clients that hid the full table, or the number of failed calls, in one short sentence; then
/// shorter. If they went to clients that it held, [`unserved`] says it.
pub fn short(r: &Report) -> Vec<String> {
    let shown = |d: &&Disguise| d.seen_as == SeenAs::ErrorReply && d.count > d.trials;
    let told = r.found.disguise.iter().find(shown).filter(|_| unserved(r).is_none());
    let Some(told) = told else {
        return calls::failed(r).or_else(|| flows::unanswered(r)).into_iter().collect();
    };
    let got = format!("{} got \"{}\"", counted(told.count - told.trials, "client"), cut(&told.reply, SHORT));
    vec![format!("{got}, because {} found no free descriptor.", told.call), format!("{got}.")]
}

fn disguise(r: &Report, d: &Disguise) -> String {
    let other = r.found.ceiling.kind.value() == Some(Kind::OtherLimit);
    let cause = if other { "another limit of the kernel's" } else { "the descriptor limit" };
    let call = format!("{} had failed with {}", d.call, d.errno);
    match d.seen_as {
        SeenAs::ErrorReply => format!(
            "{} got the reply \"{}\" just after {call}: the cause is {cause}, not the request.",
            who(d),
            cut(&d.reply, SHOWN)
        ),
        SeenAs::Closed => {
            let was = number(d.count, "was", "were");
            format!("{} {was} closed just after {call}.", counted(d.count, "connection"))
        }
        SeenAs::Exit => exited(&[d]).concat(),
    }
}

/// Processes that exited, one sentence for each call that failed.
fn exited(all: &[&Disguise]) -> Vec<String> {
    let failed = |d: &Disguise| policy::in_order(d, &format!(" with {}", d.errno));
    let mut ways: Vec<String> = Vec::new();
    for way in all.iter().map(|d| failed(d)) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    let of = |way: String| {
        let same = all.iter().filter(|d| failed(d) == way);
        let (processes, held) = same.fold((0, 0), |(n, held), d| (n + 1, held + d.count));
        let who = if processes == 1 { "A process".to_owned() } else { format!("{processes} processes") };
        format!(
            "{who} exited just after {way}; {} ended with {}.",
            counted(held, "held connection"),
            number(processes, "it", "them")
        )
    };
    ways.into_iter().map(of).collect()
}

/// The recipients of an error reply: clients, those among them that were asked again, and trial requests.
fn who(d: &Disguise) -> String {
    let clients = d.count - d.trials;
    let again = match d.asked_again {
        0 => String::new(),
        n if n == clients => " when asked again".to_owned(),
        n => format!(" ({n} of them when asked again)"),
    };
    let clients = (clients > 0).then(|| format!("{}{again}", counted(clients, "client")));
    let trials = (d.trials > 0).then(|| counted(d.trials, "trial request"));
    clients.into_iter().chain(trials).collect::<Vec<_>>().join(" and ")
}

/// Calls other than accept that failed.
fn failed(r: &Report) -> Option<String> {
    let all = &r.found.failed_calls;
    // A subject that makes calls tells of these with its calls.
    let first = all.first().filter(|_| !r.found.ceiling.in_calls())?;
    // One failure of the call that failed first is the ceiling itself.
    let ceiling = r.found.ceiling.first_failure.get().map(|f| f.call.to_string());
    if all.iter().all(|one| one.count == 1 && Some(one.call.to_string()) == ceiling) {
        return None;
    }
    let each: Vec<String> =
        all.iter().take(CALLS).map(|one| format!("{} {}", one.call, times(one.count))).collect();
    let paths: Vec<String> =
        all.iter().flat_map(|one| &one.paths).take(2).map(|path| cut(path, SHOWN)).collect();
    let paths = if paths.is_empty() { String::new() } else { format!(" (such as {})", paths.join(", ")) };
    Some(format!("Calls other than accept failed with {}: {}{paths}.", first.errno, each.join(", ")))
}

fn others(r: &Report) -> Vec<String> {
    let one = |other: &crate::measure::OtherListener| {
        let last =
            || other.new_client_last.map(|new| format!("; after recovery, a new client there {}", got(new)));
        let fate = other.new_client.value().map(|new| format!("; a new client there {}", got(new)));
        let fate = fate.or_else(last).unwrap_or_default();
        let when = if other.new_client.get().is_some() { "before that" } else { "at the limit" };
        let overflows = other
            .overflows
            .filter(|n| *n > 0)
            .map_or(String::new(), |n| format!(", which dropped {}", counted(n.into(), "packet")));
        format!(
            "Its other listener, {}, takes from the same descriptors{fate}; {} of the {} places in that accept queue were taken {when}{overflows}.",
            other.address, other.queue, other.capacity
        )
    };
    r.found.other_listeners.iter().map(one).collect()
}

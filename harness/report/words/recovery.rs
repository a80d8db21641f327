//! The server after clients leave: who is served, what stays open, and whether it is as before.

use super::super::Report;
use super::{baseline, calls, capital, counted, evidence, number, rounds, sentence, sockets, subject, unit};
use crate::event::{DescriptorKind, Outcome};
use crate::measure::{Holder, Kind, Known, Leak, Policy, Probe, Verdict, VerdictEvidence, Why};

/// Processes, and sorts of what leaks, that are named.
const SHOWN: usize = 4;
/// Characters of the sorts that the first paragraph has room for.
const SHORT: usize = 100;

/// The state after clients leave, in one sentence for the first paragraph; then shorter, with less about what
/// stays open. Empty where an exit says it already.
pub fn short(r: &Report) -> Vec<String> {
    let leaves = [(mostly_leaves(r), false), (briefly_leaves(r), false), (None, true)];
    let said = leaves.iter().filter_map(|(leaves, brief)| leaving(r, leaves.as_deref(), *brief));
    let mut said: Vec<String> = said.collect();
    // The kind of a leak says more than the number of its descriptors.
    let end = r.found.end.get();
    let leaking = end.is_some_and(|end| matches!(end.evidence, VerdictEvidence::StaysOpen { .. }));
    if let Some(each) = briefly_leaves(r).filter(|_| leaking && grows(r)) {
        said.pop();
        said.push(format!("It leaks {each}{}{}.", and_serves(r), full_after(r)));
    }
    let recovered = end.is_some_and(|end| end.verdict == Verdict::Recovered);
    if recovered && r.found.ceiling.in_calls() && calls::leaks(r) {
        said.push("It recovers when all calls are over.".into());
    }
    said.dedup();
    said
}

fn leaving(r: &Report, each: Option<&str>, brief: bool) -> Option<String> {
    let end = match &r.found.end {
        Known::Value(end) => end,
        // Short, so that it stays in the first paragraph.
        Known::Unknown(Why::NobodyServedWithin { within_s }) => {
            return Some(format!(
                "Whether it recovers is not known: it served no new client within {within_s:.0} s, and may do so later."
            ));
        }
        // Where it treats all alike, the headline says it.
        Known::Unknown(Why::TurnedAwayFor { within_s }) if r.found.ceiling.accepted.value() > Some(0) => {
            return Some(format!(
                "Whether it recovers is not known: it turned new clients away for {within_s:.0} s after all had left."
            ));
        }
        Known::Unknown(Why::RefusedFor { within_s }) => {
            return Some(format!(
                "Whether it recovers is not known: its listener stayed closed for {within_s:.0} s after all had left."
            ));
        }
        Known::Unknown(_) => return None,
    };
    Some(match (end.verdict, &end.evidence) {
        (Verdict::Recovered, _) => match once(r).map(|n| n as i64).or(leaked(r)) {
            Some(n) if n > 0 => format!(
                "{}, and leaks nothing; {n} {} open, opened only once.",
                serves(r),
                number(n.unsigned_abs(), "descriptor stays", "descriptors stay")
            ),
            Some(_) if calls::leaks(r) => {
                "It recovers when all calls are over: only then does it close what they opened.".into()
            }
            Some(_) => format!("{}, and leaks nothing.", serves(r)),
            None => format!("{}.", serves(r)),
        },
        (Verdict::Leaking, VerdictEvidence::StaysOpen { descriptors }) => {
            let stayed = number(*descriptors, "extra descriptor stays", "extra descriptors stay");
            let until = full_after(r);
            let (after, serves) = (afterwards(r), if brief { "" } else { and_serves(r) });
            match each.filter(|_| grows(r)) {
                Some(each) => {
                    format!("It leaks {each}: {after}, {descriptors} {stayed} open{}{until}.", serves)
                }
                None => {
                    let leaves = after_colon(each);
                    format!("It leaks: {after}, {descriptors} {stayed} open{leaves}{}{until}.", serves)
                }
            }
        }
        (Verdict::Leaking, evidence) => {
            format!("It leaks: {}{}.", evidence::verdict(evidence), after_colon(each))
        }
        (Verdict::Draining, evidence) => format!("It is draining: {}.", evidence::verdict(evidence)),
        (Verdict::Degraded, VerdictEvidence::AcceptedOnly { turned_away: Some(n), .. }) => {
            let waited = r.found.recovery.waiters.value().map_or(String::new(), |n| format!(" of the {n}"));
            format!(
                "It recovers only in part: when some clients left, it served none{waited} that waited and turned {n} of them away."
            )
        }
        (Verdict::Degraded, evidence) => {
            format!("When clients leave, it recovers only in part: {}.", evidence::verdict(evidence))
        }
        (Verdict::Stuck, evidence) => stuck(r, evidence, each, brief),
        (Verdict::Gone, VerdictEvidence::ExitedAfter { .. }) => sentence(&evidence::verdict(&end.evidence)),
        (Verdict::Gone, _) if r.found.ceiling.in_calls() => sentence(&evidence::verdict(&end.evidence)),
        _ => return None,
    })
}

/// The rest of a sentence that it leaks: whether that fills its limit, or it serves new clients nevertheless.
fn and_serves(r: &Report) -> &'static str {
    let soft = r.found.limits.effective.value().map(|limits| limits.soft);
    let open = r.found.baseline.counted.value().zip(leaked(r).and_then(|n| u64::try_from(n).ok()));
    let full = open.zip(soft).is_some_and(|((rest, leaked), soft)| rest + leaked >= soft);
    let recovered = r.found.recovery.recovered.value() == Some(true) && !r.found.ceiling.in_calls();
    match recovered {
        // One blocked in accept may have had its number before.
        true if full => "; it served one new client then",
        _ if full => ", and none is free",
        true if waited_in_vain(r) => "; it serves new clients once all others have left",
        true => "; it serves new clients when others leave",
        false => "",
    }
}

/// Whether more clients left more open.
fn grows(r: &Report) -> bool {
    r.found.leaks.iter().any(|leak| leak.slope.get().is_some())
}

/// A sentence that nobody is served any more, and the evidence.
fn stuck(r: &Report, evidence: &VerdictEvidence, each: Option<&str>, brief: bool) -> String {
    if let Some(n) = leaked(r).filter(|n| *n > 0) {
        let n = n.unsigned_abs();
        let stay = number(n, "extra descriptor stays", "extra descriptors stay");
        let state = if r.found.leaks.is_empty() { sockets::close_wait(r) } else { None };
        let state = match state {
            _ if brief => String::new(),
            Some(sockets) if sockets >= n => ", all in CLOSE_WAIT".to_owned(),
            Some(sockets) => format!(", {sockets} of them in CLOSE_WAIT"),
            None => after_colon(each),
        };
        return format!(
            "It is stuck: after all clients left, it serves no new one, and {n} {stay} open{state}."
        );
    }
    match evidence {
        VerdictEvidence::NobodyServed { meanwhile: Some((taken, _)) } => format!(
            "It is stuck: after all clients left, it accepted {} that had already gone, and serves no new one.",
            counted(*taken, "client")
        ),
        _ => {
            let nothing = if leaked(r) == Some(0) && !brief { ", though it leaks nothing" } else { "" };
            format!("It is stuck: after all clients left, it serves no new one{nothing}.")
        }
    }
}

/// Descriptors that calls of a caller left open at the wall, where no verdict says what that means, nor the
/// advice how many its peers have closed.
pub fn open_at_the_end(r: &Report) -> Option<u64> {
    let calls = r.found.ceiling.in_calls() && r.found.ceiling.stopped() == Some(true);
    let untold = calls && r.found.end.get().is_none() && sockets::close_wait(r).is_none();
    leaked(r).filter(|n| *n > 0 && untold).map(i64::unsigned_abs)
}

/// Descriptors that calls left open, where no verdict says it, for the first paragraph.
pub fn left_by_calls(r: &Report) -> Option<String> {
    if let Some(n) = open_at_the_end(r) {
        let were = number(n, "extra descriptor was", "extra descriptors were");
        return Some(format!("At the end of the run, {n} {were} still open."));
    }
    if r.found.ceiling.in_calls() && r.found.ceiling.kind.value() == Some(Kind::NotReached) {
        return match once(r).filter(|n| *n > 0) {
            Some(n) => {
                let stay = number(n, "stays open, opened once and not", "stay open, opened once and not");
                Some(format!("{} {stay} for each call.", counted(n, "descriptor")))
            }
            None => (leaked(r) == Some(0)).then(|| match calls::leaks(r) {
                true => "Calls leave descriptors open, but none once all calls are over.".into(),
                false => "The calls left nothing open.".into(),
            }),
        };
    }
    None
}

/// Whether some clients left, and none of those that waited got a place, nor was turned away.
fn waited_in_vain(r: &Report) -> bool {
    let v = &r.found.recovery;
    let left = v.released.value() > Some(0) && v.waiters.value() > Some(0);
    // A place that is free in one process is none for who waits for another.
    let one = r.found.ceiling.per_process.len() < 2;
    left && one && v.waiters_served.value() == Some(0) && v.waiters_turned_away.is_none()
}

fn serves(r: &Report) -> &'static str {
    match r.found.policy.policy.value() {
        _ if r.found.ceiling.in_calls() => "It recovers by itself when all calls are over",
        Some(Policy::WaitsForArrival) => {
            "It recovers when clients have left, but only once a new one arrives"
        }
        _ if waited_in_vain(r) => "It recovers when all clients have left, not when a few have",
        _ => "It recovers when clients leave",
    }
}

/// When everything that could be open for a client is over.
fn afterwards(r: &Report) -> &'static str {
    if r.found.ceiling.in_calls() { "after all calls were over" } else { "after all clients left" }
}

fn leaked(r: &Report) -> Option<i64> {
    r.found.recovery.leaked.value()
}

/// The paragraphs of what was seen, the verdict's name at their end.
pub fn recovery(r: &Report) -> Vec<String> {
    let end = r.found.end.get();
    let mut first = [some_left(r), exited(r), all_left(r), stays_open(r), left_full(r)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let gone = end.filter(|end| end.verdict == Verdict::Gone && first.is_empty());
    first.extend(gone.map(|end| sentence(&evidence::verdict(&end.evidence))));
    let said_all = gone.is_some();
    let mut paragraphs = vec![first.join(" ")];
    paragraphs.extend(rounds::rounds(r));
    paragraphs.retain(|text| !text.is_empty());
    if let (Some(end), Some(last)) = (end, paragraphs.last_mut()) {
        let said = match end.verdict {
            Verdict::Recovered => true,
            Verdict::Leaking => r.found.rounds.rounds.len() < 2,
            Verdict::Gone => said_all || r.found.recovery.exited_s.get().is_some(),
            Verdict::Stuck => {
                r.found.recovery.recovered.value() == Some(false) && r.found.rounds.rounds.len() < 2
            }
            Verdict::Degraded | Verdict::Draining => false,
        };
        let why =
            if said { String::new() } else { format!(" {}", sentence(&evidence::verdict(&end.evidence))) };
        *last += &format!("{why} [{}]", end.verdict.name());
    }
    paragraphs
}

/// Some clients left while others waited.
fn some_left(r: &Report) -> Option<String> {
    let v = &r.found.recovery;
    let (released, waiters) = (v.released.value()?, v.waiters.value().filter(|n| *n > 0)?);
    let first = v.first_served_s.value().map_or(String::new(), |s| match s {
        s if s < 0.0005 => ", the first at once".to_owned(),
        s => format!(", the first after {s:.3} s"),
    });
    let left = counted(released, "client");
    let others = if v.waiters_served.value() > Some(0) { "more" } else { "of them" };
    let away = v
        .waiters_turned_away
        .map_or(String::new(), |n| format!("; {n} {others} {} turned away", number(n, "was", "were")));
    let served = match (v.waiters_served.value().unwrap_or(0), waiters) {
        (0, 1) => "the one that waited was not served".to_owned(),
        (1, 1) => "the one that waited was served".to_owned(),
        (0, n) => format!("none of the {n} that waited was served"),
        (n, all) if n == all => format!("all {n} that waited were served"),
        (n, all) => format!("{n} of the {all} that waited {} served", number(n, "was", "were")),
    };
    Some(format!("{left} left: {served}{first}{away}."))
}

fn exited(r: &Report) -> Option<String> {
    let replaced = r.found.policy.policy.value() == Some(Policy::WorkerRestarts);
    let who = if replaced { "The worker".to_owned() } else { capital(subject(r)) };
    let served = |probe: &Probe| replaced && probe.outcome == Outcome::Served;
    let by_another = match r.found.recovery.probe_after.get().filter(|probe| served(probe)) {
        Some(_) => " Another one served a new client after all had left.",
        None => "",
    };
    Some(match r.found.recovery.exited_s.value()? {
        0.0 => format!("{who} had exited before any client left.{by_another}"),
        after => format!("{who} exited {after:.3} s after the first client left.{by_another}"),
    })
}

/// Which of several processes has no number left, though all clients have left.
fn left_full(r: &Report) -> Option<String> {
    let one = |h: &Holder| {
        format!(
            "process {} is left full: it has {} of {} descriptors open, and {} of them {} to clients that have left",
            h.pid,
            h.descriptors,
            h.soft,
            h.connections,
            number(h.connections, "is a connection", "are connections")
        )
    };
    let full = &r.found.holders.left_full;
    let said: Vec<String> = full.iter().take(SHOWN).map(one).collect();
    (!said.is_empty()).then(|| sentence(&said.join("; ")))
}

/// All clients left, and a new one came.
fn all_left(r: &Report) -> Option<String> {
    let v = &r.found.recovery;
    if v.exited_s.get().is_some() {
        return None;
    }
    let end = r.found.end.get().map(|end| end.verdict);
    Some(match (v.recovered.value(), v.new_client_served_s.value(), r.found.ceiling.in_calls()) {
        (Some(true), Some(s), true) => {
            format!("All calls were over; another one was answered {s:.3} s later.")
        }
        (Some(true), Some(s), false) => format!("All clients left; a new one was served {s:.3} s later."),
        // The verdict's evidence says it.
        (Some(false), ..) if end == Some(Verdict::Gone) => return None,
        (Some(false), _, true) => "All calls were over, and another one failed.".into(),
        (Some(false), _, false) if v.turns_away() => {
            let answered =
                v.probe_after.get().is_some_and(|p| p.outcome == Outcome::Closed && !p.detail.is_empty());
            match answered {
                true => "All clients left; a new one got an answer, and its connection was closed.".into(),
                false => "All clients left, and a new one was turned away.".into(),
            }
        }
        (Some(false), _, false) => "All clients left, and a new one was still not served.".into(),
        _ => return None,
    })
}

/// Descriptors that stay open after all left.
fn stays_open(r: &Report) -> Option<String> {
    let v = &r.found.recovery;
    let n = leaked(r).filter(|_| v.exited_s.get().is_none())?;
    let (once, clients) = (once(r).unwrap_or(0), v.second_round.map_or(0, |round| round.clients));
    if once > 0 {
        let (stays, s) = (number(once, "stays", "stay"), if clients == 1 { "" } else { "s" });
        let more = match r.found.ceiling.in_calls() {
            true => format!("{clients} more call{s} added none"),
            false => format!("{clients} more client{s} came and left, and added none"),
        };
        let once = format!("{} {stays} open, opened once: {more}.", counted(once, "descriptor"));
        let leak = (n > 0).then(|| {
            format!(" {} more {} a leak{}.", n, number(n.unsigned_abs(), "is", "are"), what_leaks(r))
        });
        return Some(once + &leak.unwrap_or_default());
    }
    let than = |more: &str| {
        let descriptors = number(n.unsigned_abs(), "descriptor", "descriptors");
        format!("{} {more} {descriptors} than before {}", n.unsigned_abs(), baseline::before_load(r))
    };
    let many = than("more");
    let stays = number(n.unsigned_abs(), "stays", "stay");
    Some(match n {
        0 if calls::leaks(r) => "What the calls had left open was closed by then.".into(),
        0 => "Nothing leaked.".into(),
        n if n < 0 => {
            format!("{} {} open then.", than("fewer"), number(n.unsigned_abs(), "was", "were"))
        }
        _ if v.recovered.value() == Some(false) => {
            format!("{many} {} still open.", number(n.unsigned_abs(), "was", "were"))
        }
        n => match r.found.end.get().map(|end| end.verdict) {
            Some(Verdict::Leaking) => {
                let again =
                    v.second_round.filter(|_| r.found.leaks.iter().all(|leak| leak.slope.get().is_none()));
                let again = again.map_or(String::new(), |round| {
                    format!(
                        " {} that came again, few at a time, added none.",
                        counted(round.clients, "client")
                    )
                });
                format!("{many} {stays} open: a leak{}.{again}", what_leaks(r))
            }
            _ if r.found.ceiling.opened_once(n) => {
                format!("{many} {stays} open, opened once and not for each {}.", unit(r))
            }
            _ => format!("{many} {stays} open."),
        },
    })
}

/// Descriptors that stay open and do not grow, where clients came again to show it.
fn once(r: &Report) -> Option<u64> {
    r.found.recovery.opened_once.value()
}

/// At the end of a clause.
fn after_colon(each: Option<&str>) -> String {
    each.map_or(String::new(), |each| format!(": {each}"))
}

/// Descriptors that each client leaves open.
fn each_leaves(r: &Report) -> Option<String> {
    let leaves: Vec<String> = r.found.leaks.iter().take(SHOWN).map(|leak| leaves(r, leak)).collect();
    (!leaves.is_empty()).then(|| leaves.join(", "))
}

/// The same for the first paragraph, which has room for the most frequent of several.
fn mostly_leaves(r: &Report) -> Option<String> {
    let all = each_leaves(r)?;
    // As long as after its colon.
    let long = r.found.leaks.len() > 1 && all.chars().count() + 2 > SHORT;
    Some(r.found.leaks.first().filter(|_| long).map_or(all, |leak| most_of(r, leak)))
}

/// `mostly 1 file a connection`, or `87 of them tcp sockets`.
fn most_of(r: &Report, leak: &Leak) -> String {
    match leak.slope.get() {
        Some(_) => format!("mostly {}", many(r, leak)),
        None => {
            let (count, kind) = of_kind(leak);
            format!("{count} of them {kind}")
        }
    }
}

/// The same in a few words: the most frequent, and of what matters of it one.
fn briefly_leaves(r: &Report) -> Option<String> {
    let leak = r.found.leaks.first()?;
    let which = match (leads(leak), leak.kind, leak.detail.as_str()) {
        (Some(leads), DescriptorKind::Tcp, "ESTABLISHED") => {
            let comma = if leak.leads_to.as_ref().is_some_and(|to| to.share < 1.0) { "," } else { "" };
            format!("{comma} {leads}")
        }
        (_, DescriptorKind::Tcp, state) if !state.contains(' ') => format!(" ({state})"),
        _ => String::new(),
    };
    let many = if r.found.leaks.len() > 1 { most_of(r, leak) } else { many(r, leak) };
    Some(format!("{many}{which}"))
}

/// When a table that calls fill will be full, though these did not fill it.
fn full_after(r: &Report) -> String {
    let slope: f64 = r.found.leaks.iter().filter_map(|leak| leak.slope.value()).sum();
    let unfilled = r.found.ceiling.in_calls() && r.found.ceiling.kind.value() == Some(Kind::NotReached);
    let sum = r.found.sum.get().filter(|_| unfilled && slope > 0.0);
    match sum.and_then(|sum| Some((sum.soft, sum.full_after(slope)?))) {
        Some((soft, calls)) => format!("; about {calls} calls fill its limit of {soft}"),
        None => String::new(),
    }
}

/// `1 file a connection`; without a number where the sentence before it has that.
fn many(r: &Report, leak: &Leak) -> String {
    let (count, kind) = of_kind(leak);
    let said = leak.slope.get().is_none() && leaked(r) == i64::try_from(leak.open).ok();
    if said { kind } else { format!("{count} {kind}") }
}

/// How many, and `files a connection`.
fn of_kind(leak: &Leak) -> (String, String) {
    let many = leak.slope.value().unwrap_or(leak.open as f64);
    let count = if many.fract() == 0.0 { format!("{many:.0}") } else { format!("{many:.2}") };
    let each = leak.slope.get().map_or(String::new(), |_| format!(" a {}", leak.per));
    (count, super::of_kind(leak.kind, many > 1.0) + &each)
}

/// ` (/var/log/x, to 10.0.0.2:80)`.
fn detail(leak: &Leak) -> String {
    let detail = Some(leak.detail.clone()).filter(|detail| !detail.is_empty());
    let detail: Vec<String> = detail.into_iter().chain(leads(leak)).collect();
    if detail.is_empty() { String::new() } else { format!(" ({})", detail.join(", ")) }
}

/// `to 10.0.0.2:80`.
fn leads(leak: &Leak) -> Option<String> {
    let to = leak.leads_to.as_ref()?;
    let mostly = if to.share < 1.0 { "most of them " } else { "" };
    Some(format!("{mostly}{} {}", if to.accepted { "accepted on" } else { "to" }, to.address))
}

/// `1 file a connection (/var/log/x)`.
pub fn sort(leak: &Leak) -> String {
    let (count, kind) = of_kind(leak);
    format!("{count} {kind}{}", detail(leak))
}

/// `1 file a connection (/var/log/x) in process 7`.
fn leaves(r: &Report, leak: &Leak) -> String {
    let own = r.found.subject.pid.value().is_some_and(|pid| leak.processes.contains(&pid));
    let elsewhere = leak.processes.first().filter(|_| !own);
    let process = elsewhere.map_or(String::new(), |pid| format!(" in process {pid}"));
    format!("{}{}{process}", many(r, leak), detail(leak))
}

/// The known facts about a leak: how many descriptors for each connection, and their kind.
fn what_leaks(r: &Report) -> String {
    if grows(r) {
        return after_colon(each_leaves(r).as_deref());
    }
    leaked_kinds(r).iter().map(|part| format!(", {part}")).collect()
}

/// How many for each connection, and in which state, where no sort is known to grow.
pub fn leaked_kinds(r: &Report) -> Vec<String> {
    let Some(n) = leaked(r).filter(|n| *n > 0).map(i64::unsigned_abs) else { return Vec::new() };
    let came = r.found.clients_account.get().map_or(0, |a| a.connected);
    let each = match (came, n) {
        (came, n) if came > 0 && n % came == 0 => {
            Some(format!("{} for each of {came} clients that connected", n / came))
        }
        _ => None,
    };
    let kind = match sockets::close_wait(r) {
        Some(sockets) if sockets >= n => Some("all of them sockets in CLOSE_WAIT".to_owned()),
        Some(sockets) => Some(format!("{} of them in CLOSE_WAIT", counted(sockets, "socket"))),
        None => None,
    };
    each.into_iter().chain(kind).collect()
}

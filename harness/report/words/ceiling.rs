//! Where it stopped and why, and what nobody could see of that.

use super::super::Report;
use super::why::why;
use super::{
    BY_COUNT, advice, after_start, binds, counted, flows, got, limits, number, prediction, sentence, subject,
    unit, upstream,
};
use crate::event::{Call, Label, Outcome, Status};
use crate::measure::{Ceiling, FirstFailure, Holder, Kind, PerProcess, Policy, PolicyEvidence, Why};
use crate::report::page::cut;
use crate::scenario::Upstream as Serves;

/// Processes listed one by one.
const SHOWN: usize = 8;
/// Characters shown of a server's answer.
const ANSWER: usize = 60;

/// Where it stopped and why at this number: the first words of a report.
pub fn headline(r: &Report) -> String {
    let (c, server) = (&r.found.ceiling, subject(r));
    let stopped = |why: &str, then: &str| {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let full = if c.in_calls() { "ran out of descriptors" } else { "was full" };
        let server = one_of_several(r).unwrap_or_else(|| server.to_owned());
        sentence(&format!("{server} {full}{}{why}{then}", at(r)))
    };
    let sum = prediction::sum(r).unwrap_or_default();
    match (c.kind.value(), c.first_failure.get()) {
        (Some(Kind::Emfile | Kind::Enfile), Some(f)) if f.reason.is_some() => sentence(&format!(
            "{} failed with {} before the first client connected: {server} needs more descriptors by itself",
            f.call, f.errno
        )),
        (Some(Kind::Emfile | Kind::Enfile), Some(f)) if f.in_child => {
            let fails =
                format!(": {} failed with {} in a process that was forked for a client", f.call, f.errno);
            stopped(&forked(r).unwrap_or_default(), &fails)
        }
        (Some(Kind::Emfile), Some(f)) => stopped(&sum, &format!(": {} failed with {}", f.call, f.errno)),
        (Some(Kind::Enfile), Some(f)) => stopped(
            "",
            &format!(": {} failed with ENFILE, because the host's table of open files is full", f.call),
        ),
        (Some(Kind::Emfile | Kind::Enfile), None) => stopped(&sum, ""),
        (Some(Kind::OwnLimit), _) if c.held() == Some(0) => {
            sentence(&format!("{server} keeps no connection open, though no descriptor call failed"))
        }
        (Some(Kind::OwnLimit), _) if r.found.policy.policy.value() == Some(Policy::AcceptLoopDead) => {
            sentence(&format!(
                "{server} stopped accepting{}, though no descriptor call failed and nothing was seen to run out",
                at(r)
            ))
        }
        (Some(Kind::OwnLimit), _) => {
            let open = r.found.limits.effective.value().zip(c.descriptors.value());
            let open = open.map_or(String::new(), |(limits, open)| {
                format!(", {open} of {} descriptors in use", limits.soft)
            });
            match super::clients::all_answered(r) {
                true => sentence(&format!(
                    "{server} keeps {} open by a rule of its own: no descriptor call failed{open}",
                    counted(c.held().unwrap_or(0), unit(r))
                )),
                false => stopped("", &format!(" by a rule of its own: no descriptor call failed{open}")),
            }
        }
        (Some(Kind::OtherLimit), _) => match r.found.binds.get() {
            Some(b) => stopped("", &format!(": it ran out of {}", binds::resource(b.resource))),
            None => stopped("", ": something other than descriptors ran out"),
        },
        (Some(Kind::Exited), _) => exited(r),
        (Some(Kind::Generator), _) => {
            sentence(&format!("where {server} stops is not known: lastfd itself ran out before it did"))
        }
        (Some(Kind::NotReached), _) => not_reached(r),
        (None, _) => match (c.reached.value(), c.held()) {
            (Some(true), Some(_)) => stopped(&sum, ": counted from /proc, because lastfd saw no call fail"),
            (Some(false), Some(held)) => format!(
                "The ceiling was not reached: {server} holds all {} that came, {BY_COUNT}.",
                counted(held, unit(r))
            ),
            _ => sentence(&format!("where {server} stops is not known: {}", because(c))),
        },
    }
}

/// `process 7 (one of 4)`, where each has a table of its own; `each of 4 processes`, where all held as many.
fn one_of_several(r: &Report) -> Option<String> {
    let several = Some(at_once(r)).filter(|n| *n > 1)?;
    let full = r.found.ceiling.first_failure.get()?;
    let all = r.found.ceiling.held().map(|held| held.saturating_mul(several as u64));
    let alike = r.found.first_full.value().is_some_and(|full| Some(full.most) == all);
    Some(if alike {
        format!("each of {several} processes")
    } else {
        format!("process {} (one of {several})", full.pid)
    })
}

/// Processes that accept, without the one that took the place of another.
fn at_once(r: &Report) -> usize {
    let replaced = match r.found.policy.evidence.get() {
        Some(PolicyEvidence::Exited { replaced: Some(by), .. }) => Some(by.pid),
        _ => None,
    };
    r.found.ceiling.per_process.iter().filter(|process| Some(process.pid) != replaced).count()
}

/// The limit that each process has which is forked for a client.
fn forked(r: &Report) -> Option<String> {
    let Some(PolicyEvidence::InChildren { children, .. }) = r.found.policy.evidence.get() else {
        return None;
    };
    let by = limits::whose(r).map_or(String::new(), |by| format!(", set by {by}"));
    Some(format!("each forked process has a soft limit of {} descriptors{by}", children.soft?))
}

/// ` at 8 connections`, ` after 8 answered calls`; nothing where nobody counted.
fn at(r: &Report) -> String {
    let c = &r.found.ceiling;
    match (c.held(), c.in_calls()) {
        (None, _) => String::new(),
        (Some(n), true) => format!(" after {}", counted(n, call(r))),
        (Some(n), false) => format!(" at {}", counted(n, unit(r))),
    }
}

/// The unit of a call of the subject: an answered call, or a connection where the upstream answers nothing.
fn call(r: &Report) -> &'static str {
    if connects(r) { "connection" } else { "answered call" }
}

/// Whether the subject calls an upstream that answers nothing.
fn connects(r: &Report) -> bool {
    r.found.upstream.as_ref().is_some_and(|seen| seen.serves == Serves::Tcp)
}

/// The descriptors that all processes hold together, where there are several.
pub fn in_all(r: &Report) -> Option<String> {
    let several = at_once(r);
    let full = r.found.first_full.value().filter(|_| several > 1)?;
    let all = if several == 2 { "Both".into() } else { format!("All {several}") };
    Some(format!("{all} processes together hold {}.", full.most))
}

fn exited(r: &Report) -> String {
    let ended = super::policy::ended(r);
    if r.found.ceiling.exited_when_asked() {
        return format!(
            "{} {ended} after lastfd had asked it which protocol it speaks, before the first client came.",
            super::capital(subject(r))
        );
    }
    let held =
        r.found.ceiling.held().map_or(String::new(), |n| format!(" while it held {}", counted(n, unit(r))));
    let why = match r.found.binds.get() {
        Some(b) => format!("it ran out of {}", binds::resource(b.resource)),
        None => "no descriptor call was seen to fail".into(),
    };
    sentence(&format!("{} {ended}{held}: {why}", subject(r)))
}

fn not_reached(r: &Report) -> String {
    if let Some(unbounded) = flows::unbounded(r) {
        return unbounded;
    }
    let c = &r.found.ceiling;
    if let Some(idle) = c.idle_timeout {
        return format!(
            "The ceiling was not reached: no descriptor call failed, and {} closes clients that are idle for {:.2} s while others still \
             come; it held at most {} of {} at the same time.",
            subject(r).to_lowercase(),
            idle.after_s,
            idle.most_held,
            c.connected.value().unwrap_or(idle.most_held),
        );
    }
    let open = r.found.limits.effective.value().zip(c.descriptors.value());
    // After a program has exited, the last count may be any number.
    let open = open.filter(|_| !upstream::is_called(r)).map_or(String::new(), |(limits, open)| {
        format!("; {open} of {} descriptors were in use", limits.soft)
    });
    let all = match (c.held(), c.in_calls()) {
        (None, _) => String::new(),
        (Some(n), true) => {
            let (what, done) = if connects(r) { ("connection", "made") } else { ("call", "answered") };
            format!("{} {} {done} and ", counted(n, what), number(n, "was", "were"))
        }
        (Some(_), false) if super::clients::all_left(r) => {
            format!("all clients left by themselves, {} held none of them, and ", subject(r).to_lowercase())
        }
        (Some(n), false) if r.found.flows.is_some() => {
            format!("{} held {} at the same time and ", subject(r), counted(n, unit(r)))
        }
        (Some(n), false) => format!("{} accepted all {} and ", subject(r), counted(n, unit(r))),
    };
    format!("The ceiling was not reached: {all}no descriptor call failed{open}.")
}

fn because(c: &Ceiling) -> String {
    c.kind.why().map_or_else(|| "it was not measured".into(), why)
}

/// The moment that it stopped: which call failed when, and who was waiting.
pub fn stopped(r: &Report) -> Option<String> {
    let c = &r.found.ceiling;
    if let Some(f) = c.first_failure.get().filter(|_| c.kind.get().is_some()) {
        return Some(failure(r, f));
    }
    match (c.kind.value(), c.reached.value()) {
        (None, Some(_)) => {
            Some(format!("Which call failed first, or whether one did, is not known: {}.", because(c)))
        }
        _ => None,
    }
}

fn failure(r: &Report, f: &FirstFailure) -> String {
    if f.reason.is_some() {
        return early(r, f.call, f.errno, f.at_s);
    }
    let waiting = match f.waiting_clients {
        _ if r.found.ceiling.in_calls() => String::new(),
        0 if f.next_connects => "; a client was just connecting".to_owned(),
        0 if f.call.accepts() => {
            format!("; no client was waiting yet: {} takes a descriptor first, and then a client", f.call)
        }
        0 => "; no client was waiting yet".to_owned(),
        n if r.found.flows.is_some() => format!("; {} had no answer yet", counted(n, "client")),
        n => format!("; {} {} waiting then", counted(n, "client"), number(n, "was", "were")),
    };
    format!("{} failed with {} {}{waiting}.", f.call, f.errno, after_start(r, f.at_s))
}

/// A failure that says nothing of the ceiling.
fn early(r: &Report, call: Call, errno: impl std::fmt::Display, at_s: f64) -> String {
    format!("{call} had failed with {errno} before any client came, {}.", after_start(r, at_s))
}

/// Further facts about the ceiling: later numbers, other processes, what the clients were asked.
pub fn more(r: &Report) -> Vec<String> {
    let c = &r.found.ceiling;
    let mut said = Vec::new();
    said.extend(capacity(r));
    said.extend(error_replies(r));
    said.extend(open_beside(r));
    said.extend(
        c.accepted_max
            .value()
            .zip(c.accepted.value())
            .filter(|(max, held)| max > held)
            .map(|(max, _)| format!("Later it held up to {max} at a time.")),
    );
    said.extend(processes(&c.per_process));
    said.extend(holders(r));
    said.extend(first_full(r));
    said.extend(super::sockets::listeners(r));
    said.extend(binds::binds(r));
    said.extend(follows_the_limit(r));
    said.extend(binds::handed_over(r));
    said.extend(asked_first(r));
    said.extend(before_ramp(r));
    said
}

/// A remark on what one run of a server with a rule of its own cannot show.
fn follows_the_limit(r: &Report) -> Option<String> {
    let own = r.found.ceiling.kind.value() == Some(Kind::OwnLimit) && r.found.ceiling.held() > Some(0);
    let dead = r.found.policy.policy.value() == Some(Policy::AcceptLoopDead);
    (own && !dead).then(|| {
        format!(
            "One run cannot tell whether its ceiling is fixed or follows the descriptor limit: {} can.",
            advice::sweep(r)
        )
    })
}

/// The number that it accepted, where it cannot serve as many.
fn capacity(r: &Report) -> Option<String> {
    let c = &r.found.ceiling;
    let accepted = c.accepted.value()?;
    if let Some(served) = c.capacity.value() {
        // Other threads may take clients after the first failure: the report names them apart.
        let later = c.accepted_max.value() == Some(served) && r.found.baseline.reserved() > 1;
        let for_nothing =
            c.first_failure.get().filter(|first| !first.call.accepts() && served + 1 == accepted);
        if let Some(first) = for_nothing {
            return Some(format!("It had accepted {accepted}; {} failed for the last of them.", first.call));
        }
        // Where none is at its limit, the headline says all.
        let stopped = c.stopped() == Some(true);
        return (stopped && served != accepted && !later).then(|| {
            format!(
                "It serves {} when clients come slowly, over all its processes; the process at its limit held {accepted} then.",
                counted(served, "connection")
            )
        });
    }
    let burst = c.burst.as_ref()?;
    let served = burst.served.value().map_or(String::new(), |n| format!(", and served {n} at most"));
    Some(format!(
        "That is the size of a burst: it accepted {accepted}{served}. What it can serve is not known: {}.",
        why(c.capacity.why()?)
    ))
}

/// The error replies of clients, unless another sentence calls them a failure in disguise, or the reason that
/// there is no ceiling.
fn error_replies(r: &Report) -> Option<String> {
    let replies = r.found.error_replies.as_ref()?;
    let told = r.found.disguise.iter().any(|disguise| disguise.reply == replies.first);
    let told = told || matches!(r.found.ceiling.kind.why(), Some(Why::NobodyAnswered { .. }));
    (!told).then(|| super::sentence(&super::why::error_replies(replies)))
}

/// Descriptors that were no connections.
fn open_beside(r: &Report) -> Option<String> {
    let others = r.found.ceiling.others?;
    // The sum says it.
    let said = r.found.ceiling.in_calls() && r.found.ceiling.held() == Some(others.unsigned_abs());
    if said || upstream::is_called(r) {
        return None;
    }
    let (n, more) = (others.unsigned_abs(), if others > 0 { "more" } else { "fewer" });
    let (descriptors, were) = number(n, ("descriptor", "was"), ("descriptors", "were"));
    let since = super::baseline::before_load(r);
    let when = if r.found.ceiling.first_failure.get().is_some() {
        "at that moment"
    } else {
        "at the end of the ramp"
    };
    let accepted = r.found.ceiling.per_process.iter().any(|process| process.accepted > 0);
    let beside = match (r.found.ceiling.in_calls(), accepted) {
        (true, true) => "Besides connections that it accepted, ",
        // There are none to set them apart from.
        (true, false) => "",
        (false, _) => "Besides the connections, ",
    };
    Some(format!("{beside}{n} {more} {descriptors} than before {since} {were} open {when}."))
}

/// Where others hold the connections than accept them: each of them, and which are full.
fn holders(r: &Report) -> Option<String> {
    let h = &r.found.holders;
    // Where each has a process of its own, that is said already.
    if r.found.handed_over.is_some() && h.at_the_wall.iter().all(|holder| holder.connections <= 1) {
        return None;
    }
    let one = |holder: &Holder| {
        let full = if holder.full { ", is full" } else { "" };
        let accepts = if holder.accepts { ", accepts" } else { "" };
        format!("process {} has {}{accepts}{full}", holder.pid, counted(holder.connections, "connection"))
    };
    let shown: Vec<String> = h.at_the_wall.iter().take(SHOWN).map(one).collect();
    let more = if h.processes > shown.len() as u64 { "; …" } else { "" };
    (!shown.is_empty()).then(|| {
        let all = counted(h.processes, "process");
        let hold = number(h.processes, "holds", "hold");
        format!("{all} {hold} the connections: {}{more}.", shown.join("; "))
    })
}

/// Connections in each process, where there are several.
fn processes(all: &[PerProcess]) -> Vec<String> {
    if all.len() < 2 {
        return Vec::new();
    }
    let shown: Vec<String> =
        all.iter().take(SHOWN).map(|p| format!("{} in process {}", p.accepted, p.pid)).collect();
    let more = if all.len() > SHOWN { ", …" } else { "" };
    let mut said = vec![format!(
        "Each of {} processes has its own table of descriptors. Connections held: {}{more}.",
        all.len(),
        shown.join(", ")
    )];
    said.extend(all.iter().take(SHOWN).filter_map(|p| match (p.exit_code, p.killed_by) {
        (Some(code), _) => Some(format!("Process {} exited with code {code}.", p.pid)),
        (_, Some(signal)) => Some(format!("Process {} was killed by signal {signal}.", p.pid)),
        _ => None,
    }));
    said
}

/// Where one process was full and others had room: how many all of them held.
fn first_full(r: &Report) -> Option<String> {
    let several = r.found.ceiling.per_process.len() > 1;
    let full = r.found.first_full.value().filter(|full| several && full.held < full.most)?;
    Some(format!(
        "When the first process was full, all of them together held {} connections; at most they held {}.",
        full.held, full.most
    ))
}

/// The server's answer when lastfd asked which protocol it speaks.
fn asked_first(r: &Report) -> Option<String> {
    let asked = r.found.probes.iter().rfind(|p| p.label == Label::Http);
    let asked = asked.filter(|p| p.outcome != Outcome::Served)?;
    let served =
        |label: Label| r.found.probes.iter().any(|p| p.label == label && p.outcome == Outcome::Served);
    if served(Label::Https) {
        return Some("The server speaks TLS only, so the clients send HTTP over TLS.".into());
    }
    if served(Label::Tls) {
        let said = "The server speaks TLS and keeps no HTTP connection over it: the clients complete the handshake and hold.";
        return Some(said.into());
    }
    let detail = match asked.detail.as_str() {
        "" => String::new(),
        detail => format!(" ({})", cut(detail, ANSWER)),
    };
    let got = match asked.outcome {
        Outcome::Waits => "got no answer",
        Outcome::Closed => "ended with a closed connection",
        Outcome::Refused => "was refused",
        Outcome::TimesOut => "timed out",
        Outcome::ErrorReply if Status::of(&asked.detail).is_some() => "got an error",
        Outcome::ErrorReply => "got no HTTP answer",
        Outcome::Served => "was answered",
    };
    Some(format!("A trial HTTP request {got}{detail}, so the clients only connect and hold."))
}

fn before_ramp(r: &Report) -> Option<String> {
    let c = &r.found.ceiling;
    let first =
        c.before_ramp.as_ref().filter(|_| c.first_failure.get().is_some_and(|f| f.reason.is_none()))?;
    Some(early(r, first.call, first.errno, first.at_s))
}

/// The first client that got no service.
pub fn first_unserved(r: &Report) -> Option<String> {
    let first = r.found.ceiling.first_unserved.get().filter(|_| r.found.ceiling.kind.get().is_some())?;
    let at = after_start(r, first.at_s);
    Some(format!("The first client without service came {at}; such a client {}.", got(first.outcome)))
}

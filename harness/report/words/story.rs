//! The sentences of `explain` about a recorded run, beside those of its report: who set the limits, and why
//! the server stopped at this call, at this moment.

use super::super::Report;
use super::kernel::{self, KERNEL_CONNECTS};
use super::limits::{Setter, Step, chain, name, pair, set_by};
use super::{counted, number, unit};
use crate::event::{Limits, Link, Outcome};
use crate::report::page::cut;
use std::cmp::Ordering;

/// Longest command line shown, characters.
const COMMAND: usize = 60;

/// The command that was started, and how soon it listened.
pub fn started(r: &Report) -> String {
    let subject = &r.found.subject;
    let Some(argv) = subject.argv.get() else { return format!("`{}` was never executed.", subject.name) };
    let limits = r.found.limits.requested.value();
    let limits = limits.map_or(String::new(), |limits| format!(" with {} (soft:hard)", pair(limits)));
    let through = match subject.launcher.get().map_or("exec", String::as_str) {
        "exec" => "directly".to_owned(),
        launcher => format!("through the launcher `{launcher}`"),
    };
    let listened = r.found.timings.launch_s.value();
    let listened = listened.map_or(String::new(), |s| format!("; it listened {s:.3} s later"));
    format!("lastfd started `{}`{limits}, {through}{listened}.", cut(&argv.join(" "), COMMAND))
}

/// The chain of limits: where they begin, who changes them, and what is in force in the end.
pub fn limits(r: &Report) -> String {
    let Some(effective) = r.found.limits.effective.value() else {
        return "They were never read back from the running process.".into();
    };
    let set_by_run = r.found.limits.set_by.get().filter(|by| Setter::of(r, by) == Setter::Run);
    let mut said = Vec::new();
    let mut above: Option<&Link> = None;
    for step in chain(r, false) {
        said.push(match step {
            Step::Folded(n) => {
                let n = n as u64;
                format!("{} after it {} that.", counted(n, "process"), number(n, "inherits", "inherit"))
            }
            Step::Link(link, _) => {
                let by_run = set_by_run.is_some_and(|by| by.pid == link.pid && by.command == link.command);
                let text = changes(link, above, by_run);
                above = Some(link);
                text
            }
        });
    }
    let by = set_by(r, "it").map_or(String::new(), |by| format!(": {by}"));
    said.push(format!("So {} is in force{by}.", pair(effective)));
    said.join(" ")
}

/// The change that a link makes to the limits of the one above it. `by_run`: this run set them there.
fn changes(link: &Link, above: Option<&Link>, by_run: bool) -> String {
    let value = format!("{}:{}", link.soft, link.hard);
    let who = format!("`{}` ({})", name(&link.command), link.pid);
    let Some(above) = above else { return format!("The chain begins with {who} at {value}.") };
    if link.command == Link::REQUESTED {
        return format!("lastfd sets the limits of this run, {value}.");
    }
    if by_run {
        return format!("lastfd sets the limits of this run, {value}, and executes {who}.");
    }
    let same = above.pid == link.pid;
    let who = if same { format!("the same process, now {who},") } else { who };
    if (link.soft, link.hard) == (above.soft, above.hard) {
        return format!("Then {who} {} that.", if same { "keeps" } else { "inherits" });
    }
    let does = match link.soft.cmp(&above.soft) {
        Ordering::Greater => "raises it to",
        Ordering::Less => "lowers it to",
        Ordering::Equal => "changes it to",
    };
    format!("Then {who} {does} {value}.")
}

/// The descriptor numbers that the limit allows.
pub fn numbers(r: &Report) -> Option<String> {
    r.found.prediction.ceiling.get()?;
    Some(format!("{}.", kernel::numbers(r.found.limits.effective.value()?.soft)))
}

/// The highest descriptor number that was given out before the first failure.
pub fn highest(highest: u64, limits: Option<Limits>) -> String {
    let last = limits.is_some_and(|limits| highest + 1 == limits.soft);
    let last = if last { ", the last that the limit allows" } else { "" };
    format!("The highest descriptor number given out before the first failure was {highest}{last}.")
}

/// Why this call failed, and at this moment.
pub fn why_now(r: &Report) -> Option<String> {
    let first = r.found.ceiling.first_failure.get().filter(|first| first.reason.is_none())?;
    let why = match first.call.accepts() {
        // The sentence before says why where no client waits.
        true => String::new(),
        false => "Any call that needs a descriptor fails then; what is open shows which one took the others."
            .into(),
    };
    let of_the_host = match first.errno {
        "ENFILE" => "ENFILE is the limit of the whole host, not of this process.",
        _ => "",
    };
    Some(format!("{why} {of_the_host}").trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whether it stopped where that was predicted.
pub fn as_predicted(r: &Report) -> Option<String> {
    let ceiling = &r.found.ceiling;
    ceiling.first_failure.get().filter(|first| first.reason.is_none())?;
    let (predicted, held) = (r.found.prediction.ceiling.value()?, ceiling.held()?);
    Some(match predicted == held {
        true => "It stopped at the predicted number.".to_owned(),
        false => format!("It stopped at {held}; {predicted} had been predicted."),
    })
}

/// Why a client that gets no response could connect.
pub fn connects(r: &Report) -> Option<String> {
    let waits = r.found.new_client.value() == Some(Outcome::Waits);
    waits.then(|| format!("It can connect without the program: {KERNEL_CONNECTS}."))
}

/// Sockets that hold a descriptor each, and those that only look as if they did.
pub fn sockets(r: &Report) -> Vec<String> {
    let seen = &r.found.sockets;
    let held = seen.tcp_states.get().and_then(|states| states.get("CLOSE_WAIT")).filter(|n| **n > 0);
    let gone = seen.tcp_namespace.get().and_then(|states| states.get("TIME_WAIT")).filter(|n| **n > 0);
    held.map(|n| kernel::close_wait(*n)).into_iter().chain(gone.map(|n| kernel::time_wait(*n))).collect()
}

/// A change that gives room under the same limit.
pub const fn fewer_at_rest() -> &'static str {
    "Each descriptor fewer that it opens before the first client is room for one more."
}

/// Changes that do not help, though people make them.
pub fn no_remedy(r: &Report) -> String {
    let files = r.found.sockets.file_nr.get();
    let files = files.map_or(String::new(), |f| format!(" ({} of {} are open)", f.allocated, f.max));
    format!(
        "A longer backlog (somaxconn) only lets more clients wait, and fs.file-max limits the whole host{files}: \
         neither changes this number."
    )
}

/// A sentence for a load that did not reach the ceiling.
pub fn nothing_to_change(r: &Report) -> Option<String> {
    if r.found.handed_over.is_some() {
        return Some(
            "Nothing: other processes hold its connections, so more descriptors for this one change nothing."
                .into(),
        );
    }
    let (limits, rest) = r.found.limits.effective.value().zip(r.found.baseline.counted.value())?;
    let room = limits.soft.saturating_sub(rest);
    Some(format!("Nothing, for this load: there is room for {}.", counted(room, unit(r))))
}

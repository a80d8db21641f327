//! What a recorded run did, in the order in which it happened, with the numbers that were measured. A run that ended early is told as
//! far as it came, and why nothing can be concluded from it.

use super::{BEFORE_THE_QUEUE, KERNEL_CONNECTS, numbers, pair};
use crate::event::{Link, Log, Outcome as Got, States, What};
use crate::judge::Outcome;
use crate::measure::{Kind, Policy, Verdict};
use crate::report::Report;
use crate::report::counted;
use crate::report::terminal::{Page, advice, behaviour, cut, got, rate};
use owo_colors::Style;
use std::collections::BTreeMap;

/// Longest command line shown, characters.
const COMMAND: usize = 48;

/// The story of one run: its report, and the log that it was measured from.
pub fn run(report: &Report, log: &Log, colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    let title = page.styled(&format!("{}: {}", report.title(), report.verdict.name()), Style::new().bold());
    page.line(&title);
    page.say("Claim", &report.claim);
    doubts(&mut page, report);
    page.say("Started", &started(report));
    page.say("Limits", &limits(report));
    if let Some(namespace) = report.network_namespace.as_ref().filter(|_| !report.sysctls.is_empty()) {
        let all: Vec<String> = report
            .sysctls
            .iter()
            .map(|s| format!("{} = {}", s.name, s.in_force.as_ref().unwrap_or(&s.asked)))
            .collect();
        page.say(
            "Sysctls",
            &format!("{} in {namespace}, made for this run; the host's stayed as they were.", all.join(", ")),
        );
    }
    page.say("At rest", &at_rest(report));
    if let Some(text) = predicted(report) {
        page.say("Predicted", &text);
    }
    let ramp = ramp(report, log);
    if !ramp.is_empty() {
        page.say("Ramp", &ramp);
    }
    page.say("Stopped", &stopped(report));
    if let Some(early) = report.ceiling.before_ramp.as_ref().filter(|_| report.ceiling.kind.is_some()) {
        page.say(
            "",
            &format!("Before any client came, {} had failed with {} already.", early.call, early.errno),
        );
    }
    let wall = [waiting(report), wall(report), crate::report::wall::wall(report), sockets(report)].concat();
    if !wall.is_empty() {
        page.say("At the wall", &wall.join(" "));
    }
    let recovery = recovery(report);
    if !recovery.is_empty() {
        page.say("Afterwards", &recovery.join(" "));
    }
    let remedy = remedy(report);
    if !remedy.is_empty() {
        page.say("To change it", &remedy.join(" "));
    }
    page.text
}

/// Why the run says nothing, or something else than was expected.
fn doubts(page: &mut Page, r: &Report) {
    let whole = concerns_all(r);
    let reasons = r.reasons.iter().filter(|reason| !(whole && reason.observed.starts_with("not measured")));
    for (i, reason) in reasons.take(4).enumerate() {
        let label = match r.verdict {
            _ if i > 0 => "",
            Outcome::NotMet => "Not met",
            _ => "But",
        };
        page.say(
            label,
            &match reason.expectation.as_str() {
                "run" if i == 0 => format!("nothing can be concluded from this run: {}.", reason.observed),
                "run" => format!("{}.", reason.observed),
                name => format!("{name}: expected {}, observed {}.", reason.expected, reason.observed),
            },
        );
    }
}

/// Whether something keeps the run as a whole from being judged.
fn concerns_all(r: &Report) -> bool {
    r.reasons.iter().any(|reason| reason.expectation == "run")
}

fn started(r: &Report) -> String {
    let Some(argv) = &r.subject.argv else { return format!("`{}` was never executed.", r.subject.name) };
    let asked = r.limits.requested.map_or(String::new(), |l| format!(" with {} (soft:hard)", pair(l)));
    let launcher = r.subject.launcher.as_deref().unwrap_or("exec");
    let listening = r.timings.launch_s.map_or(String::new(), |s| format!("; it listened {s:.3} s later"));
    let through =
        if launcher == "exec" { "nothing between".to_owned() } else { format!("the launcher `{launcher}`") };
    format!("lastfd started `{}`{asked}, {through}{listening}.", cut(&argv.join(" "), COMMAND + 12))
}

/// The chain of limits: runs of links with one value, and where it changes.
fn limits(r: &Report) -> String {
    let Some(effective) = r.limits.effective else {
        return "They were never read back from the live process.".into();
    };
    let mut stretches: Vec<&[Link]> =
        r.limits.chain.chunk_by(|a, b| (a.soft, a.hard) == (b.soft, b.hard)).collect();
    let left_out = stretches.len().saturating_sub(4);
    stretches.drain(..left_out);
    let mut text = String::from(if left_out > 0 { "… " } else { "" });
    let mut above: Option<&Link> = None;
    for links in stretches {
        let (first, last) = (&links[0], &links[links.len() - 1]);
        let value = format!("{}:{}", first.soft, first.hard);
        let name = |link: &Link| format!("`{}` ({})", cut(&link.command, COMMAND), link.pid);
        let inherits = match links.len() {
            1 => String::new(),
            2 => format!(", and {} inherits that", name(last)),
            n => format!(", and {} processes after it inherit that, down to {}", n - 1, name(last)),
        };
        text += &match above {
            None if left_out == 0 => format!("The chain begins with {} at {value}{inherits}. ", name(first)),
            _ if first.command == Link::REQUESTED => {
                format!("lastfd sets what the run asks for, {value}{inherits}. ")
            }
            None => format!("{} has {value}{inherits}. ", name(first)),
            Some(above) => {
                let same = if above.pid == first.pid { "the same process, executed as " } else { "" };
                let does = match first.soft.cmp(&above.soft) {
                    std::cmp::Ordering::Greater => "raises it to",
                    std::cmp::Ordering::Less => "lowers it to",
                    std::cmp::Ordering::Equal => "sets it to",
                };
                format!("Then {same}{} {does} {value}{inherits}. ", name(first))
            }
        };
        above = Some(last);
    }
    let set_by = r.limits.set_by.as_ref();
    text + &match set_by {
        Some(s) if s.command == Link::REQUESTED => {
            format!("So {} is in force because this run asked for it.", pair(effective))
        }
        Some(s) if s.inherited => {
            format!("So {} is in force, and was already so where the chain begins.", pair(effective))
        }
        Some(s) if Some(s.pid) == r.subject.pid => {
            format!("So {} is in force, and the program set it itself.", pair(effective))
        }
        Some(s) => format!(
            "So {} is in force, and `{}` ({}) set it.",
            pair(effective),
            cut(&s.command, COMMAND),
            s.pid
        ),
        None => format!("So {} is in force.", pair(effective)),
    }
}

/// What was open before any client came, in groups.
fn at_rest(r: &Report) -> String {
    let Some(count) = r.baseline.descriptors else {
        return "The descriptors at rest were never counted.".into();
    };
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for descriptor in &r.baseline.inventory {
        *kinds.entry(&descriptor.kind).or_default() += 1;
    }
    let mut kinds: Vec<(&str, u64)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, n)| (std::cmp::Reverse(*n), *kind));
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, n)| format!("{n}× {kind}")).collect();
    let mut text = format!(
        "Before the first client {} open",
        if count == 1 { "1 descriptor was".into() } else { format!("{count} descriptors were") }
    );
    if !kinds.is_empty() {
        text += &format!(": {}", kinds.join(", "));
    }
    let unlisted = count.saturating_sub(r.baseline.inventory.len() as u64);
    if unlisted > 0 && !r.baseline.inventory.is_empty() {
        text += &format!(
            "; and {unlisted} that threads blocked in accept hold in advance, which /proc/PID/fd does not list"
        );
    }
    let above = count.saturating_sub(r.baseline.counted.unwrap_or(count));
    if above > 0 {
        text += &format!("; {above} of them numbered above the limit, where they take no place");
    }
    if r.baseline.settled == Some(false) {
        text += "; it never became quiet, so another moment may have had others";
    }
    text + "."
}

fn predicted(r: &Report) -> Option<String> {
    let Some(ceiling) = r.prediction.ceiling else {
        let (was, why) = (r.prediction.before_first_client?, r.unmeasured.get("prediction.ceiling")?);
        return Some(format!("{was} before the first client, and no number after it: {why}."));
    };
    let soft = r.limits.effective.map(|l| numbers(l.soft));
    let each = r.prediction.descriptors_per_connection.unwrap_or(1.0);
    let cost = match r.prediction.calibrated_with {
        Some(n) if n > 0 => format!("; {n} first clients cost {each} descriptors each"),
        _ => ", one a connection".to_owned(),
    };
    let rest = r.baseline.counted.map_or(String::new(), |n| format!("; {n} are taken at rest"));
    let changed = r
        .prediction
        .before_first_client
        .map_or(String::new(), |n| format!(" (before the first client it had been {n})"));
    Some(format!(
        "{}{rest}, so {ceiling} connections fit{cost}{changed}.",
        soft.unwrap_or_else(|| "The limit is not known".into())
    ))
}

/// How the clients came, up to the last number that was taken.
fn ramp(r: &Report, log: &Log) -> String {
    let Some(connected) = r.ceiling.connected.filter(|n| *n > 0) else { return String::new() };
    let served = r.ceiling.served.map_or(String::new(), |n| {
        format!(", {n} of them were answered and still connected when saturation ended")
    });
    let mut text = format!("{} connected{served}.", counted(connected, "client"));
    if let Some(first) = &r.ceiling.first_failure {
        let highest =
            log.events.iter().take_while(|e| e.at as f64 / 1e9 <= first.at_s).filter_map(|e| match e.is {
                What::Call { pid, ret, name }
                    if pid == first.pid && ret >= 0 && name.returns_descriptor() =>
                {
                    Some(ret)
                }
                _ => None,
            });
        if let Some(highest) = highest.max() {
            text +=
                &format!(" The highest descriptor number given out before the first failure was {highest}");
            let full = r.limits.effective.is_some_and(|l| highest as u64 + 1 == l.soft);
            text += if full { ", the last there is." } else { "." };
        }
    }
    for process in r.ceiling.per_process.iter().take(8).filter(|_| r.ceiling.per_process.len() > 1) {
        text += &format!(" Process {} took {}, under a limit of its own.", process.pid, process.accepted);
    }
    if let Some(handed) = r.ceiling.handed_over {
        let (connections, processes) =
            (counted(handed.connections, "connection"), counted(handed.processes, "process"));
        let (own, none) = if handed.connections == 1 {
            ("its", "did not keep it")
        } else {
            ("their", "kept none of these")
        };
        text += &format!(" It handed {connections} to {processes} of {own} own, and {none}.");
    }
    text
}

/// Where it stopped, and why at that moment.
fn stopped(r: &Report) -> String {
    let c = &r.ceiling;
    let held = c.accepted.or(c.calls).map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
    let unit = if c.calls.is_some() { "calls completed" } else { "connections held" };
    match (c.kind, &c.first_failure) {
        (Some(Kind::Emfile | Kind::Enfile), Some(f)) if f.reason.is_none() => {
            let when =
                r.timings.to_first_failure_s.map_or(String::new(), |s| format!(", {s:.3} s after the start"));
            let by = if c.per_process.len() > 1 { format!(" by process {}", f.pid) } else { String::new() };
            let mut text = format!("With {held} {unit}{by}, {} failed with {}{when}. ", f.call, f.errno);
            text += &failed(f.call, f.waiting_clients);
            if f.errno == "ENFILE" {
                text += " ENFILE is the whole system's table, not this process's limit.";
            }
            if let Some(max) = c.accepted_max.filter(|max| Some(*max) > c.accepted) {
                text += &format!(
                    " Later it held {max}: a thread that was blocked in accept had its number already."
                );
            }
            if let (Some(predicted), Some(accepted)) = (r.prediction.ceiling, c.accepted) {
                text += &match predicted == accepted {
                    true => " That is the number that was predicted.".to_owned(),
                    false => format!(" Predicted were {predicted}."),
                };
            }
            text
        }
        (Some(Kind::Emfile | Kind::Enfile), Some(f)) => {
            format!(
                "{} failed with {} before the first client came: that says nothing of the ceiling, and much of its start.",
                f.call, f.errno
            )
        }
        (Some(Kind::Emfile | Kind::Enfile), None) => format!("With {held} {unit}."),
        (Some(Kind::OwnLimit), _) => {
            format!(
                "It stopped with {held} {unit}, and no descriptor call had failed: that is a rule of its own, below the descriptor limit."
            )
        }
        (Some(Kind::OtherLimit), _) => {
            let what = c.binds.as_ref().map_or(String::new(), |b| {
                format!(" What ran out was {}: {}.", b.resource.name(), b.evidence)
            });
            format!("It stopped with {held} {unit}, and no descriptor call had failed.{what}")
        }
        (Some(Kind::Exited), _) => {
            format!("The process exited with {held} {unit}; no descriptor call was seen to fail before.")
        }
        (Some(Kind::Generator), _) => {
            format!("Not known: the clients' own side ran out first, with {held} {unit}.")
        }
        (Some(Kind::NotReached), _) => {
            format!("It did not stop: all {held} were taken, and no descriptor call failed.")
        }
        (None, _) if c.stopped().is_some() && c.accepted.is_some() => {
            let full = match c.stopped() {
                Some(true) => format!("With {held} {unit} its table was full"),
                _ => format!("It did not stop: all {held} were taken"),
            };
            let why = r.unmeasured.get("ceiling.kind").map_or("it was not measured", String::as_str);
            format!(
                "{full}, by its descriptor count. Which call failed first, or whether one did, is not known: {why}."
            )
        }
        (None, _) if concerns_all(r) => "Not known, because of the above.".into(),
        (None, _) => {
            let why = r.unmeasured.get("ceiling.kind").map_or("it was not measured", String::as_str);
            format!("Not known: {why}.")
        }
    }
}

/// Why this call, at this moment.
fn failed(call: crate::event::Call, waiting: u64) -> String {
    match (call.accepts(), waiting) {
        (true, 0) => format!(
            "Nobody was waiting then: {BEFORE_THE_QUEUE}, so the try after the last client fails by itself."
        ),
        (true, 1) => "By then 1 client had connected and was not accepted yet.".into(),
        (true, n) => format!("By then {n} clients had connected and were not accepted yet."),
        (false, _) => format!(
            "{call} was the first call that needed a new number: not necessarily the one that leaks, which is told by what is open."
        ),
    }
}

/// What a new client got at the wall.
fn waiting(r: &Report) -> Vec<String> {
    let Some(new) = r.saturation.new_client.filter(|_| r.ceiling.reached == Some(true)) else {
        return Vec::new();
    };
    let queue = r.saturation.accept_queue.map(|q| match q.capacity {
        Some(capacity) => format!("the accept queue held {} of {capacity}", q.length),
        None => format!("the accept queue held {}", q.length),
    });
    let mut text = format!("A new client {}", got(new));
    if new == Got::Waits {
        text += &format!(": {KERNEL_CONNECTS}");
    }
    text += &queue.map_or(".".to_owned(), |queue| format!("; {queue}."));
    vec![text]
}

fn wall(r: &Report) -> Vec<String> {
    let s = &r.saturation;
    let Some(policy) = s.policy.filter(|p| *p != Policy::None) else { return Vec::new() };
    let evidence = s.policy_evidence.as_ref().map_or(String::new(), |e| format!(": {e}"));
    let mut text = vec![format!("{}{evidence} ({}).", behaviour(policy), policy.name())];
    let mut costs = Vec::new();
    costs.extend(s.cpu_percent.map(|c| format!("{c:.0} % of a CPU")));
    costs.extend(
        s.log_bytes_per_s
            .map(|b| if b > 0.0 { format!("{} of log", rate(b)) } else { "not a line of log".into() }),
    );
    if !costs.is_empty() {
        text.push(format!("That cost {}.", costs.join(" and ")));
    }
    text
}

/// Sockets that are asked about at such a time: those that leak, and those that only look as if they did.
fn sockets(r: &Report) -> Vec<String> {
    let of = |states: &Option<States>, state: &str| {
        states.as_ref().and_then(|all| all.get(state)).copied().filter(|n| *n > 0)
    };
    let mut text = Vec::new();
    if let Some(n) = of(&r.saturation.tcp_states, "CLOSE_WAIT") {
        text.push(format!(
            "{} in CLOSE_WAIT hold a number each: the other side has closed, and this program has not.",
            counted(n, "socket")
        ));
    }
    if let Some(n) = of(&r.saturation.tcp_namespace, "TIME_WAIT") {
        text.push(format!(
            "{} in TIME_WAIT hold none: the kernel keeps them for nobody.",
            counted(n, "socket")
        ));
    }
    text
}

fn recovery(r: &Report) -> Vec<String> {
    let v = &r.recovery;
    let mut text = Vec::new();
    if let (Some(released), Some(waiters)) = (v.released, v.waiters.filter(|n| *n > 0)) {
        let first = v.first_served_s.map_or(String::new(), |s| format!(", the first {s:.3} s later"));
        text.push(format!(
            "{} left, and {} of {waiters} waiting took their places{first}.",
            counted(released, "client"),
            v.waiters_served.unwrap_or(0)
        ));
    }
    match (v.exited_s, v.recovered, v.new_client_served_s) {
        (Some(_), ..) => {
            text.push("The process exited: what recovers is its successor, if it has one.".into())
        }
        (None, Some(true), Some(s)) => {
            text.push(format!("When all had left, a new client was served {s:.3} s later."))
        }
        (None, Some(false), _) => {
            text.push("When all had left, a new client was still not served: it did not recover.".into())
        }
        _ => {}
    }
    text.extend(crate::report::rounds::rounds(r));
    match v.leaked.filter(|_| v.exited_s.is_none()) {
        Some(0) => text.push("As many descriptors as at rest are open again: nothing leaked.".into()),
        Some(n) if n > 0 => {
            let why = match v.verdict {
                Some(Verdict::Leaking) => format!(": each run of this takes {n} from the next ceiling"),
                _ if r.ceiling.opened_once(n) => ": opened once, and not for each client".to_owned(),
                _ => String::new(),
            };
            text.push(format!("{n} more than at rest {} open{why}.", if n == 1 { "stays" } else { "stay" }));
        }
        _ => {}
    }
    if let (Some(verdict), Some(evidence)) = (v.verdict, &v.verdict_evidence) {
        text.push(format!("So it is {}: {evidence}.", verdict.name()));
    }
    text
}

/// What would move the number, and what would not.
fn remedy(r: &Report) -> Vec<String> {
    let mut text: Vec<String> = advice(r).into_iter().collect();
    let conclusive = matches!(r.verdict, Outcome::Met | Outcome::NotMet);
    match r.ceiling.kind.filter(|_| conclusive) {
        Some(Kind::Emfile) => {
            text.push("Every descriptor fewer at rest is one connection more.".into());
            let table = r
                .saturation
                .file_nr
                .as_ref()
                .map_or(String::new(), |f| format!(", with {} of {} in use,", f.allocated, f.max));
            let queue = "A longer backlog (somaxconn) only lets more clients wait";
            text.push(format!(
                "{queue}, and fs.file-max{table} is the whole host's table: neither moves this number."
            ));
        }
        Some(Kind::NotReached) if r.ceiling.handed_over.is_some() => {
            text.push(
                "Nothing need change: its connections are other processes', and more descriptors for this one change nothing.".into(),
            );
        }
        Some(Kind::NotReached) => {
            let room =
                r.limits.effective.zip(r.baseline.counted).map(|(l, rest)| l.soft.saturating_sub(rest));
            text.extend(room.map(|room| format!("Nothing need change for this load: {room} would fit.")));
        }
        _ => {}
    }
    text
}

//! The report that a person reads at two in the morning, without the manual: what was claimed, who set the limit, what
//! was open at rest, where it stopped and why, what it did there, whether it recovered, and what to do next.

use super::{Report, counted};
use crate::event::{Link, Outcome as Got, Pid, States, Sysctl};
use crate::judge::Outcome;
use crate::measure::{Kind, Policy, Resource, Verdict};
use owo_colors::{OwoColorize, Style};
use std::fmt::Write;

/// Longest line, in characters, where the terminal's own width is not known.
pub const WIDTH: usize = 100;
/// Column where values begin.
const LABEL: usize = 14;
/// Descriptors shown one by one; the others are counted by kind.
const SHOWN: usize = 24;

/// The reports as text of at most `width` columns (40 to 100).
pub fn render(reports: &[Report], colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    for (i, report) in reports.iter().enumerate() {
        if i > 0 {
            page.text.push('\n');
        }
        one(&mut page, report);
    }
    page.text
}

/// Lines with labels, wrapped, styled where colour is wanted.
pub(super) struct Page {
    pub text: String,
    colour: bool,
    width: usize,
}

impl Page {
    /// An empty page of 40 to 100 columns.
    pub fn new(colour: bool, width: usize) -> Self {
        Page { text: String::new(), colour, width: width.clamp(40, WIDTH) }
    }

    pub fn styled(&self, text: &str, style: Style) -> String {
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    /// A paragraph whose first line has a label and whose others are indented to it.
    pub fn say(&mut self, label: &str, text: &str) {
        let lines = wrap(text, self.width - LABEL);
        for (i, line) in lines.iter().enumerate() {
            let label = format!("{:LABEL$}", if i == 0 { label } else { "" });
            let label = self.styled(&label, Style::new().bold());
            self.line(&format!("{label}{line}"));
        }
    }

    /// A line as it is; too long a one was cut by the caller.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}", text.trim_end());
    }
}

/// Control characters of what a subject wrote or was called must not reach the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(super) fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        text
    } else {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in clean(text).split_whitespace() {
        let word = cut(word, width);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

fn one(page: &mut Page, r: &Report) {
    title(page, r);
    if r.verdict == Outcome::Skipped {
        return;
    }
    if let Some(none) = r.not_started.as_ref().filter(|_| r.verdict == Outcome::Met) {
        page.say("Not started", &none.reason);
    }
    network(page, r);
    limits(page, r);
    at_rest(page, r);
    predicted(page, r);
    ceiling(page, r);
    super::calls::calls(r).iter().for_each(|(label, text)| page.say(label, text));
    let label = if at_the_wall(page, r) { "" } else { "At the wall" };
    super::wall::wall(r)
        .iter()
        .enumerate()
        .for_each(|(i, text)| page.say(if i == 0 { label } else { "" }, text));
    tcp(page, r);
    super::moved::moved(r).iter().for_each(|(label, text)| page.say(label, text));
    recovery(page, r);
    witnesses(page, r);
    next(page, r);
}

fn title(page: &mut Page, r: &Report) {
    let (mark, words, style) = match r.verdict {
        Outcome::Met if r.expectations_judged == 0 => ("✓", "measured", Style::new().green().bold()),
        Outcome::Met => ("✓", "met", Style::new().green().bold()),
        Outcome::NotMet => ("✗", "not met", Style::new().red().bold()),
        Outcome::Inconclusive => ("?", "inconclusive", Style::new().yellow().bold()),
        Outcome::Skipped => ("–", "skipped", Style::new().dimmed()),
    };
    let verdict = page.styled(&format!("{mark} {words}"), style);
    let name = cut(&r.title(), page.width - 16);
    page.line(&format!("{verdict}  {name}"));
    if !r.claim.is_empty() {
        page.say("Claim", &r.claim);
    }
    let whole = r.reasons.iter().any(|reason| reason.expectation == "run");
    for reason in r.reasons.iter().filter(|reason| !(whole && reason.observed.starts_with("not measured"))) {
        let text = match (reason.expectation.as_str(), r.verdict) {
            ("run", _) => reason.observed.clone(),
            _ => {
                format!("{}: expected {}, observed {}", reason.expectation, reason.expected, reason.observed)
            }
        };
        page.say("Because", &text);
    }
}

fn limits(page: &mut Page, r: &Report) {
    let Some(effective) = r.limits.effective else { return };
    let asked = r.limits.requested.filter(|asked| *asked != effective);
    let asked = asked.map_or(String::new(), |a| format!(" (started with {}:{})", a.soft, a.hard));
    let who = if r.ceiling.calls.is_some() { "subject" } else { "process that accepts" };
    page.say(
        "Limits",
        &format!("{}:{} soft:hard in force in the {who}{asked}", effective.soft, effective.hard),
    );
    for (depth, link) in r.limits.chain.iter().enumerate() {
        let step =
            if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat((depth - 1).min(12))) };
        let values = format!("{}:{}", link.soft, link.hard);
        let set = r.limits.set_by.as_ref().filter(|s| s.pid == link.pid && s.command == link.command);
        let note = match set {
            Some(s) if s.inherited => "  ← already so here",
            Some(_) => "  ← set here",
            None => "",
        };
        let room =
            page.width.saturating_sub(LABEL + step.chars().count() + values.len() + note.chars().count() + 2);
        let command = cut(&format!("{} ({})", link.command, link.pid), room.max(8));
        let note = page.styled(note, Style::new().yellow().bold());
        page.line(&format!("{:LABEL$}{step}{values}  {command}{note}", ""));
    }
    if let Some(before) = r.limits.earlier.first() {
        page.say(
            "",
            &format!(
                "Read earlier: {}:{}. It changed its own limits while it ran.",
                before.soft, before.hard
            ),
        );
    }
}

/// The sysctls of a run that had a network namespace of its own.
fn network(page: &mut Page, r: &Report) {
    let Some(namespace) = &r.network_namespace else { return };
    let one = |s: &Sysctl| {
        let value = match &s.in_force {
            Some(value) if *value == s.asked => value.clone(),
            Some(value) => format!("{value} (asked: {})", s.asked),
            None => s.asked.clone(),
        };
        let before = s
            .before
            .as_ref()
            .filter(|before| *before != &s.asked)
            .map_or(String::new(), |b| format!(", by default {b}"));
        let note = s.note.as_ref().map_or(String::new(), |note| format!(", {note}"));
        format!("{} = {value}{before}{note}", s.name)
    };
    for (i, sysctl) in r.sysctls.iter().enumerate() {
        page.say(if i == 0 { "Sysctls" } else { "" }, &one(sysctl));
    }
    page.say("", &format!("In force in {namespace} for the whole run; the host's were not touched."));
}

fn at_rest(page: &mut Page, r: &Report) {
    let Some(count) = r.baseline.descriptors else { return };
    let mut text = counted(count, "descriptor");
    let above = count.saturating_sub(r.baseline.counted.unwrap_or(count));
    if above > 0 {
        let _ = write!(text, ", {above} of them numbered above the limit, where they take no place");
    }
    if r.baseline.settled == Some(false) {
        text.push_str("; it never became quiet, so this is what was open when the clients began");
    }
    if let Some(before) = r.baseline.changed_from {
        let _ = write!(text, "; {before} a moment before");
    }
    page.say("At rest", &text);
    for d in r.baseline.inventory.iter().take(SHOWN) {
        let detail = cut(&d.detail, page.width - LABEL - 20);
        page.line(&format!("{:LABEL$}{:>5}  {:<11}  {detail}", "", d.fd, cut(&d.kind, 11)));
    }
    let more = r.baseline.inventory.len().saturating_sub(SHOWN);
    if more > 0 {
        page.say("", &format!("and {more} more: see `baseline.inventory` of the JSON report"));
    }
    let unlisted = count.saturating_sub(r.baseline.inventory.len() as u64);
    if unlisted > 0 && !r.baseline.inventory.is_empty() {
        page.say("", &format!("and {unlisted} that threads blocked in accept hold in advance (/proc counts them, but lists none)"));
    }
}

fn predicted(page: &mut Page, r: &Report) {
    let Some(ceiling) = r.prediction.ceiling else {
        let (why, assumed) = (r.unmeasured.get("prediction.ceiling"), r.prediction.before_first_client);
        if let (Some(why), Some(assumed)) = (why, assumed) {
            page.say("Predicted", &format!("No ceiling ({assumed} before the first client): {why}"));
        }
        return;
    };
    let one = if r.ceiling.calls.is_some() { "call" } else { "connection" };
    let formula = r.prediction.formula.as_deref().unwrap_or_default();
    let each = match (r.prediction.calibrated_with, r.prediction.descriptors_per_connection) {
        (Some(0) | None, _) => format!("one descriptor a {one} assumed"),
        (Some(n), Some(1.0)) => format!("one descriptor a {one}, measured with {n}"),
        (Some(n), each) => format!("{} descriptors a {one}, measured with {n}", each.unwrap_or(1.0)),
    };
    let arithmetic = match (r.limits.effective, r.baseline.counted, r.prediction.descriptors_per_connection) {
        (Some(l), Some(rest), Some(1.0)) if l.soft.checked_sub(rest) == Some(ceiling) => {
            format!("{} − {rest} = {ceiling}", l.soft)
        }
        _ if formula.contains(&ceiling.to_string()) => formula.to_owned(),
        _ => format!("{ceiling} = {formula}"),
    };
    page.say("Predicted", &format!("{arithmetic} {one}s ({each})"));
}

fn ceiling(page: &mut Page, r: &Report) {
    let c = &r.ceiling;
    let held = c.accepted.or(c.calls);
    let unit = if c.calls.is_some() { "calls answered" } else { "accepted" };
    let number = held.map_or_else(|| "an unknown number".to_owned(), |n| format!("{n} {unit}"));
    let text = match (c.kind, &c.first_failure) {
        (Some(Kind::Emfile | Kind::Enfile), Some(f)) => {
            let waiting = match f.waiting_clients {
                0 => "nobody waiting yet".to_owned(),
                n => format!("{} waiting", counted(n, "client")),
            };
            let why = f.reason.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            let waiting = if c.calls.is_some() { String::new() } else { format!(", {waiting}") };
            format!("{number}, then {} → {} {}{waiting}{why}", f.call, f.errno, after_start(r, f.at_s))
        }
        (Some(Kind::OwnLimit), _) => {
            format!("{number}, and no descriptor call failed: it limits itself below the descriptor limit")
        }
        (Some(Kind::OtherLimit), _) => {
            format!("{number}, and no descriptor call failed: something else ran out")
        }
        (Some(Kind::Exited), _) => {
            format!("{number}, then the process exited; no descriptor call was seen to fail")
        }
        (Some(Kind::Generator), _) => format!("not known: the load generator ran out first, with {number}"),
        (Some(Kind::NotReached), _) => format!("not reached: {number}, and no descriptor call failed"),
        (Some(Kind::Emfile | Kind::Enfile), None) => number,
        (None, _) if c.accepted.is_some() && c.reached.is_some() => {
            let full = if c.reached == Some(true) { "its table is full" } else { "not reached" };
            let why = r.unmeasured.get("ceiling.kind").map_or("not measured", String::as_str);
            format!(
                "{number}, by its descriptor count, and {full}. Which call failed first, or whether one did, is not known: {why}"
            )
        }
        (None, _) if r.reasons.iter().any(|reason| reason.expectation == "run") => {
            "not known, because of the above".to_owned()
        }
        (None, _) => {
            format!("not known: {}", r.unmeasured.get("ceiling.kind").map_or("not measured", String::as_str))
        }
    };
    page.say("Ceiling", &text);
    binds(page, r);
    if let Some(others) = c.others {
        let (n, more) = (others.unsigned_abs(), if others > 0 { "more" } else { "fewer" });
        let beside =
            if c.calls.is_some() { "Beside connections that it accepted" } else { "Beside the connections" };
        let were = if n == 1 { "descriptor than at rest was" } else { "descriptors than at rest were" };
        page.say("", &format!("{beside} {n} {more} {were} open then."));
    }
    if let (Some(max), Some(accepted)) = (c.accepted_max, c.accepted)
        && max > accepted
    {
        page.say("", &format!("Later it held {max}."));
    }
    let per_process: Vec<String> =
        c.per_process.iter().map(|p| format!("{} in process {}", p.accepted, p.pid)).collect();
    if per_process.len() > 1 {
        let shown = per_process.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let more = if per_process.len() > 8 { ", …" } else { "" };
        page.say("", &format!("Each process has its own limit: {shown}{more}."));
    }
    for p in c.per_process.iter().filter(|_| per_process.len() > 1).take(8) {
        match (p.exit_code, p.killed_by) {
            (Some(code), _) => page.say("", &format!("Process {} exited with code {code}.", p.pid)),
            (_, Some(signal)) => page.say("", &format!("Process {} was killed by signal {signal}.", p.pid)),
            _ => {}
        }
    }
    if let Some(text) = super::seen::listeners(r) {
        page.say("", &text);
    }
    if let Some(connected) = c.connected.filter(|n| *n > 0) {
        let served = c.served.map_or(String::new(), |n| format!(", {n} served"));
        page.say("", &format!("Of the clients, {connected} connected{served}."));
    }
    if let Some(asked) = r.saturation.probes.iter().find(|p| p.label == "dialogue" && c.served.is_none()) {
        let detail =
            if asked.detail.is_empty() { String::new() } else { format!(" ({})", cut(&asked.detail, 60)) };
        page.say(
            "",
            &format!(
                "Asked with HTTP, a client {}{detail}: so these connect, ask nothing and hold.",
                got(asked.outcome)
            ),
        );
    }
    if let (Some(u), Some(_)) = (&c.first_unserved, c.kind) {
        let what = got(u.outcome);
        page.say(
            "",
            &format!("The first client without service came {}: it {what}.", after_start(r, u.at_s)),
        );
    }
    if let Some(b) =
        c.before_ramp.as_ref().filter(|_| c.first_failure.as_ref().is_some_and(|f| f.reason.is_none()))
    {
        page.say(
            "",
            &format!(
                "Before any client came, {} had failed with {} at {:.3} s already.",
                b.call, b.errno, b.at_s
            ),
        );
    }
}

/// What stopped it, where that is no descriptor and no rule of its own; and what cannot, where each connection has its own process.
fn binds(page: &mut Page, r: &Report) {
    let told = [Resource::Descriptors, Resource::OpenFiles, Resource::OwnRule];
    if let Some(binds) = r.ceiling.binds.as_ref().filter(|binds| !told.contains(&binds.resource)) {
        page.say("", &format!("What bound it: {}: {}.", binds.resource.name(), binds.evidence));
    }
    if let Some(handed) = r.ceiling.handed_over {
        let bound = match r.ceiling.kind {
            Some(Kind::Emfile) => "what it keeps open for each is what its descriptor limit bounds",
            _ => {
                "the descriptor limit of one process does not bound them. Processes do (RLIMIT_NPROC, pids.max of the cgroup), and memory"
            }
        };
        let holders = counted(handed.processes, "process");
        let held = match handed.connections {
            1 => format!("1 of them is held by {holders} that it handed it to, and it does not keep it"),
            n => format!(
                "{n} of them are held by {holders} that it handed them to, and it keeps none of these"
            ),
        };
        page.say("", &format!("{held}: {bound}."));
    }
}

/// What a client got, as a verb.
pub(super) fn got(outcome: Got) -> &'static str {
    match outcome {
        Got::Served => "is served",
        Got::Waits => "is connected, and waits without a word",
        Got::TimesOut => "cannot connect: its connect times out",
        Got::Refused => "is refused",
        Got::Closed => "is connected, and then closed",
        Got::ErrorReply => "is told an error",
    }
}

pub(super) fn behaviour(policy: Policy) -> &'static str {
    match policy {
        Policy::Spin => "It tries to accept again at once, without pause",
        Policy::Storm => "It fails in bursts",
        Policy::FixedDelay => "It pauses for a constant time, then tries again",
        Policy::Backoff => "It pauses longer and longer between tries",
        Policy::Sheds => "It takes waiting clients and closes them, so that nobody waits in vain",
        Policy::LimitsItself => "It stops by a rule of its own",
        Policy::Exits => "It exits",
        Policy::WorkerRestarts => "The worker exits and another takes its place",
        Policy::AcceptLoopDead => "Its accept loop is dead: it never accepts again",
        Policy::Unclear => "What its accept loop does is not clear",
        Policy::None => "",
    }
}

/// What its accept loop does, if that is known: whether anything was said.
fn at_the_wall(page: &mut Page, r: &Report) -> bool {
    let s = &r.saturation;
    match s.policy.filter(|p| *p != Policy::None) {
        Some(policy) => {
            let evidence = s.policy_evidence.as_ref().map_or(String::new(), |e| format!(": {e}"));
            page.say("At the wall", &format!("{}{evidence}. [{}]", behaviour(policy), policy.name()));
        }
        None if r.ceiling.kind == Some(Kind::OtherLimit) => {
            page.say("At the wall", "It goes on without what ran out.")
        }
        None => return false,
    }
    let mut costs = Vec::new();
    costs.extend(s.cpu_percent.map(|c| format!("{c:.0} % CPU")));
    costs.extend(s.failures_per_s.filter(|n| *n > 0.0).map(|n| format!("{n:.0} failed calls/s")));
    costs.extend(
        s.log_bytes_per_s
            .map(|b| if b > 0.0 { format!("{} of log", rate(b)) } else { "nothing logged".into() }),
    );
    if !costs.is_empty() {
        page.say("", &format!("{}.", costs.join(", ")));
    }
    if let Some(new) = s.new_client {
        let queue = s.accept_queue.map_or(String::new(), |q| match q.capacity {
            Some(capacity) => format!("; accept queue {} of {capacity}", q.length),
            None => format!("; accept queue {}", q.length),
        });
        page.say("", &format!("A new client {}{queue}.", got(new)));
    }
    super::seen::seen(r).iter().for_each(|text| page.say("", text));
    if let Some(closed) = s.held_closed_by_server.filter(|n| *n > 0) {
        page.say("", &format!("It closed {} that it held.", counted(closed, "connection")));
    }
    for line in s.log_sample.iter().take(2) {
        let line = cut(line, page.width - LABEL - 2);
        page.line(&format!("{:LABEL$}| {line}", ""));
    }
    true
}

/// Sockets by state, those that hold a descriptor and those that hold none side by side.
fn tcp(page: &mut Page, r: &Report) {
    let s = &r.saturation;
    let (Some(held), Some(all)) = (&s.tcp_states, &s.tcp_namespace) else { return };
    let of = |states: &States, state: &str| states.get(state).copied().unwrap_or(0);
    // These two always, for what they are is the question; the listener is known from above.
    let always = ["ESTABLISHED", "CLOSE_WAIT"];
    let mut counts: Vec<String> = always.iter().map(|state| format!("{} {state}", of(held, state))).collect();
    counts.extend(
        held.iter()
            .filter(|(state, _)| !always.contains(&state.as_str()) && *state != "LISTEN")
            .map(|(s, n)| format!("{n} {s}")),
    );
    let waiting = match of(all, "TIME_WAIT") {
        0 => "none in TIME_WAIT in the namespace".to_owned(),
        1 => "1 TIME_WAIT in the namespace holds no descriptor".to_owned(),
        n => format!("{n} TIME_WAIT in the namespace hold no descriptor"),
    };
    page.say("TCP", &format!("{} held by it; {waiting}.", counts.join(", ")));
    let left = r.recovery.tcp_states_after.as_ref().map_or(0, |states| of(states, "CLOSE_WAIT"));
    if left > 0 {
        page.say("", &format!("After all had left it held {left} CLOSE_WAIT: the other side has closed these, and it has not."));
    }
}

pub(super) fn rate(bytes_per_s: f64) -> String {
    match bytes_per_s {
        b if b >= 1e6 => format!("{:.1} MB/s", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB/s", b / 1e3),
        b => format!("{b:.0} B/s"),
    }
}

fn recovery(page: &mut Page, r: &Report) {
    let (v, called) = (&r.recovery, r.ceiling.calls.is_some());
    let mut text = Vec::new();
    if let (Some(released), Some(waiters)) = (v.released, v.waiters.filter(|n| *n > 0)) {
        let first = v.first_served_s.map_or(String::new(), |s| format!(", the first after {s:.3} s"));
        let served = v.waiters_served.filter(|n| *n > 0).map_or("none".to_owned(), |n| n.to_string());
        let were = if v.waiters_served == Some(1) { "was" } else { "were" };
        let told = v.waiters_turned_away.map_or(String::new(), |n| format!(", {n} turned away"));
        text.push(format!(
            "{} left: {served} of {waiters} waiting {were} served{first}{told}.",
            counted(released, "client")
        ));
    }
    if let Some(exited) = v.exited_s {
        text.push(match exited {
            0.0 => "The process had exited before any client left.".into(),
            after => format!("The process exited {after:.3} s after the first client left."),
        });
    }
    match (v.recovered, v.new_client_served_s) {
        _ if v.exited_s.is_some() => {}
        (Some(true), Some(s)) if called => {
            text.push(format!("All calls were over: another was answered {s:.3} s later."))
        }
        (Some(false), _) if called => {
            text.push("All calls were over, and another was still not answered.".into())
        }
        (Some(true), Some(s)) => text.push(format!("All left: a new client was served {s:.3} s later.")),
        (Some(false), _) => {
            let stuck = v.verdict_evidence.as_ref().filter(|_| v.verdict == Some(Verdict::Stuck));
            let how = stuck.map_or("all left, and a new client was still not served", |how| how);
            text.push(format!("{}{}.", how[..1].to_uppercase(), &how[1..]));
        }
        _ => {}
    }
    match v.leaked.filter(|_| v.exited_s.is_none()) {
        Some(0) => text.push("Nothing leaked.".into()),
        Some(n) if n > 0 && v.recovered == Some(false) => text
            .push(format!("{} more than at rest were open still.", counted(n.unsigned_abs(), "descriptor"))),
        Some(n) if n > 0 => {
            let stays = if n == 1 { "stays" } else { "stay" };
            let why = match v.verdict {
                Some(Verdict::Leaking) => ": a leak",
                _ if r.ceiling.opened_once(n) => ": opened once, and not for each client",
                _ => "",
            };
            text.push(format!(
                "{} more than at rest {stays} open{why}.",
                counted(n.unsigned_abs(), "descriptor")
            ));
        }
        Some(n) => text.push(format!("{} fewer than at rest.", counted(n.unsigned_abs(), "descriptor"))),
        None => {}
    }
    let nothing_else = text.is_empty();
    if nothing_else {
        text.extend(
            v.verdict_evidence
                .as_ref()
                .filter(|_| v.verdict == Some(Verdict::Gone))
                .map(|how| format!("None: {how}.")),
        );
    }
    let mut paragraphs = vec![text.join(" ")];
    paragraphs.extend(super::rounds::rounds(r));
    let all = paragraphs.iter().any(|text| !text.is_empty());
    if let (Some(verdict), Some(last)) = (v.verdict.filter(|_| all), paragraphs.last_mut()) {
        let told = match verdict {
            Verdict::Recovered | Verdict::Stuck => true,
            Verdict::Leaking => v.rounds.len() < 2,
            Verdict::Degraded => false,
            // With its exit, or in place of everything else.
            Verdict::Gone => v.exited_s.is_some() || nothing_else,
        };
        let why = v
            .verdict_evidence
            .as_ref()
            .filter(|_| !told)
            .map_or(String::new(), |why| format!(" Because {why}."));
        *last += &format!("{why} [{}]", verdict.name());
    }
    for (i, text) in paragraphs.iter().enumerate().filter(|_| all) {
        page.say(if i == 0 { "Recovery" } else { "" }, text);
    }
}

fn witnesses(page: &mut Page, r: &Report) {
    let said = r.witnesses.iter().map(|w| {
        let count = match w.ceiling {
            Some(n) => format!(" {n}"),
            // Calls are counted by who makes them; a witness of the system calls saw the failure.
            None if r.ceiling.calls.is_some() => String::new(),
            None => " no number".to_owned(),
        };
        let exact = if w.exact { "" } else { ", not exact" };
        let process = w.process.map_or(String::new(), |pid| format!(" in process {pid}"));
        format!("{}{count}{exact}{process}", w.observer)
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        return;
    }
    let agree = match (r.agreement, &r.agreement_note) {
        (Some(true), None) => " — they agree".to_owned(),
        (Some(true), Some(note)) => format!(" — they agree: {note}"),
        (Some(false), note) => format!(" — they disagree: {}", note.as_deref().unwrap_or_default()),
        (None, _) => String::new(),
    };
    page.say("Witnesses", &format!("{}{agree}", said.join(" · ")));
    for w in &r.witnesses {
        let distorts = if w.observer == "ptrace" { "; rates are distorted by that" } else { "" };
        if w.cost.ends_with("of them") {
            page.say("", &format!("Being observed by {} cost the subject {}{distorts}.", w.observer, w.cost));
        }
    }
}

/// A time of the run as a time since the subject was started, which is what a reader can compare.
pub(super) fn after_start(r: &Report, at_s: f64) -> String {
    match (r.ceiling.first_failure.as_ref(), r.timings.to_first_failure_s) {
        (Some(first), Some(since)) => format!("{:.3} s after its start", at_s - first.at_s + since),
        _ => format!("at {at_s:.3} s"),
    }
}

fn next(page: &mut Page, r: &Report) {
    if let Some(text) = advice(r) {
        page.say("Next", &text);
    }
}

/// Where the launcher of the run is told the limit, if it is the one that set it.
fn launcher_setting(r: &Report, setter: Pid) -> Option<&'static str> {
    r.limits.chain.iter().find(|link| link.command == Link::REQUESTED && link.pid == setter)?;
    Some(match r.subject.launcher.as_deref()? {
        "supervisord" | "supervisor-like" => "`minfds` in supervisord.conf",
        "shell" => "`ulimit -n`",
        "runuser" | "su" => "limits.conf, and `pam_limits.so` in its PAM service",
        "systemd-like" => "`LimitNOFILE=` of the unit",
        "container-like" => "`--ulimit nofile=` of the container",
        _ => return None,
    })
}

/// What a reader would do now.
pub(super) fn advice(r: &Report) -> Option<String> {
    let set_by = r.limits.set_by.as_ref();
    let own = r.subject.pid;
    let soft = r.limits.effective.map_or(0, |l| l.soft);
    Some(match (r.verdict, r.ceiling.kind) {
        (Outcome::Inconclusive, Some(Kind::Generator)) => {
            "Give the harness more room (`lastfd doctor` says which), and run it again.".to_owned()
        }
        (Outcome::Inconclusive, _) => {
            "Nothing can be concluded from this run: remove the cause above, and run it again.".to_owned()
        }
        (_, Some(Kind::Emfile)) => match set_by {
            Some(s)
                if Some(s.pid) == own
                    && r.limits.requested.is_some_and(|asked| asked.soft < soft && asked.hard == soft) =>
            {
                format!(
                    "`{}` raised its own limit as far as it may, to its hard limit of {soft}: raise the hard limit where it is started, and start it again.",
                    cut(&s.command, 40)
                )
            }
            Some(s) if s.command == Link::REQUESTED => {
                format!(
                    "The limit of {soft} is the one that this run asked for (`--nofile`, or `limits` in the scenario), and no launcher \
                     raised it. `lastfd inspect PID` names who sets it for a live process."
                )
            }
            Some(s) if Some(s.pid) == own && !s.inherited => {
                format!(
                    "The limit of {soft} was set by the program itself (`{}`): raise it in its own settings.",
                    cut(&s.command, 40)
                )
            }
            Some(s) => {
                let inherited = if s.inherited { "comes from" } else { "is set by" };
                format!(
                    "The limit of {soft} {inherited} `{}` ({}): raise it there{} and restart that, not only its child.",
                    cut(&s.command, 40),
                    s.pid,
                    launcher_setting(r, s.pid).map_or_else(String::new, |setting| format!(" ({setting})"))
                )
            }
            None => "Raise the soft limit where the process is started, and start it again.".to_owned(),
        },
        (_, Some(Kind::Enfile)) => {
            "The system-wide table is full (`fs.file-max`): a process limit does not help.".to_owned()
        }
        (_, Some(Kind::OwnLimit)) => {
            "Raising the descriptor limit alone may change nothing: look for the program's own setting."
                .to_owned()
        }
        (_, Some(Kind::OtherLimit | Kind::Exited)) if r.ceiling.binds.is_some() => {
            match r.ceiling.binds.as_ref().map(|binds| binds.resource) {
                Some(Resource::Threads | Resource::Processes) => {
                    "More descriptors change nothing: raise what bounds its tasks (`ulimit -u`, `LimitNPROC=`, `TasksMax=`, `--pids-limit`), or \
                     serve more connections with each thread or process."
                        .to_owned()
                }
                _ => "More descriptors change nothing: give it more memory (`ulimit -v`, `MemoryMax=`, `--memory`), or find what each \
                      connection takes."
                    .to_owned(),
            }
        }
        (_, Some(Kind::Exited)) => {
            "Look at what it wrote before it exited: a restart only hides it.".to_owned()
        }
        _ => return None,
    })
}

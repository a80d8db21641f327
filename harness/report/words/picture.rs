//! The text in and under the pictures of an HTML report: titles, descriptions, keys, and the headings around
//! them.

use super::super::Report;
use super::limits::{self, pair};
use super::{after_start, counted, list, noun_of, phases, rate, size, subject, time, unit};
use crate::event::Link;
use crate::judge::Outcome;
use crate::measure::{Happened, OpenKind, Range, Round, Stack, Stretch};
use crate::report::page::cut;

/// A program's name in a header is cut by its layout; these are whole.
pub const OVER_TIME: &str = "Over time";
/// Heading.
pub const WHO_HELD: &str = "Who held what";
/// Heading.
pub const CHAIN: &str = "Where the limit comes from";
/// Heading.
pub const AT_REST: &str = "Open before the first client";
/// Heading.
pub const CLIENTS: &str = "Clients at the wall";
/// Heading.
pub const ROUNDS: &str = "Recovery, round by round";
/// Heading.
pub const FACTS: &str = "All facts";
/// Heading.
pub const LOG: &str = "Event log";
/// Heading.
pub const RUNS: &str = "Verdicts";
/// Heading.
pub const PHASES: &str = "Phases";
/// Heading.
pub const MOMENTS: &str = "Moments";
/// How the time axis is to be read.
pub const AXIS: &str = "Short phases are drawn wider than they are; the table of phases has their times.";
/// The label that opens a table under a picture.
pub const NUMBERS: &str = "The numbers";
/// The label that opens the list of descriptors.
pub const EACH: &str = "Each descriptor";
/// The columns of the table of phases.
pub const PHASE_COLUMNS: [&str; 5] = ["", "phase", "from, s", "took", "ended because"];
/// The columns of the list of descriptors.
pub const INVENTORY_COLUMNS: [&str; 3] = ["number", "kind", "what it is"];
/// The columns of the table of rounds.
pub const ROUND_COLUMNS: [&str; 5] = ["round", "left", "first accepted", "first served", "queue empty"];
/// The columns of the index of runs.
pub const INDEX_COLUMNS: [&str; 4] = ["verdict", "run", "ceiling", "what was found"];
/// The columns of the account of clients.
pub const CLIENT_COLUMNS: [&str; 2] = ["clients", "what became of them"];
/// The heading of a subject's own log.
pub const ITS_LOG: &str = "Its own log begins";
/// The text for a value that was not measured.
pub const NONE: &str = "–";

/// A picture with a time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// Descriptors of the process that accepts.
    Descriptors,
    /// Descriptors of all processes, by kind.
    Kinds,
    /// Descriptors of all processes, by process.
    Processes,
    /// The accept queue of the loaded listener.
    AcceptQueue,
    /// Accepted a second.
    Accepted,
    /// Failed a second.
    Failures,
    /// Share of one processor.
    Cpu,
    /// Bytes a second.
    Log,
    /// Bytes.
    Memory,
}

/// The title of the picture.
pub fn title(chart: Chart) -> &'static str {
    match chart {
        Chart::Descriptors => "Open descriptors of the process that accepts",
        Chart::Kinds => "Open descriptors by what they are",
        Chart::Processes => "Open descriptors by process",
        Chart::AcceptQueue => "Clients in the accept queue",
        Chart::Accepted => "Connections accepted a second",
        Chart::Failures => "Failed descriptor calls a second",
        Chart::Cpu => "CPU, percent of one processor",
        Chart::Log => "Bytes a second to its log",
        Chart::Memory => "Memory in use",
    }
}

/// A value of it with its unit.
pub fn value(chart: Chart, value: f64) -> String {
    match chart {
        Chart::Log => rate(value),
        Chart::Memory => size(value.max(0.0) as u64),
        Chart::Cpu => format!("{value:.0} %"),
        _ if value >= 1e6 => format!("{} million", (value / 1e5).round() / 10.0),
        _ if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

/// A description of the picture, for readers who cannot see it.
pub fn description(r: &Report, chart: Chart, range: Range) -> String {
    let (low, high) = (value(chart, range.low), value(chart, range.high));
    let limit = r.found.limits.effective.value().filter(|_| chart == Chart::Descriptors);
    let under = limit.map_or(String::new(), |limits| format!(", under a soft limit of {}", limits.soft));
    let steps = &r.found.timeline.phases;
    let steps: Vec<String> = steps.iter().map(|step| phases::name(step.phase).to_owned()).collect();
    let steps = if steps.is_empty() { String::new() } else { format!(" The phases are: {}.", list(&steps)) };
    format!("From {low} to {high}{under}.{steps} {AXIS}")
}

/// Its most, beside its title.
pub fn most(chart: Chart, high: f64) -> String {
    format!("at most {}", value(chart, high))
}

/// A remark on charts that are left out: those that stay at zero, and those that were not read.
pub fn flat(zero: &[Chart], unread: &[Chart]) -> Option<String> {
    let names = |charts: &[Chart]| {
        let names: Vec<String> = charts.iter().map(|chart| format!("“{}”", title(*chart))).collect();
        list(&names)
    };
    let said: Vec<String> = [(zero, "stayed at 0"), (unread, "was not read")]
        .into_iter()
        .filter(|(charts, _)| !charts.is_empty())
        .map(|(charts, what)| format!("{} {what}.", names(charts)))
        .collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// The limit, at its line.
pub fn limit(soft: u64) -> String {
    format!("soft limit {soft}")
}

/// A limit too high for its line to be in the picture.
pub fn limit_above(soft: u64) -> String {
    format!("soft limit {soft}, far above this picture")
}

/// The event in a few words.
pub fn happened(r: &Report, what: Happened) -> String {
    match what {
        Happened::FirstFailure => {
            let failed = r.found.ceiling.first_failure.get();
            failed.map_or("first failed call".to_owned(), |f| {
                format!("first failed call: {} {}", f.call, f.errno)
            })
        }
        Happened::FirstUnserved => "first client that was not served".to_owned(),
        Happened::LimitMoved(soft) => format!("soft limit moved to {soft}"),
        Happened::SomeLeave => "some clients leave".to_owned(),
        Happened::FirstServed => "first waiting client served".to_owned(),
        Happened::AllLeave => "all clients leave".to_owned(),
        Happened::NewClientServed => "new client served".to_owned(),
        Happened::Exited => format!("{} exits", subject(r)),
    }
}

/// When, as every time in a report.
pub fn when(r: &Report, at_s: f64) -> String {
    after_start(r, at_s)
}

/// The cells of a phase in the table of phases, after its number.
pub fn phase(r: &Report, place: usize, stretch: &Stretch) -> [String; 4] {
    let took = r.found.timings.phases.iter().filter(|took| took.phase == stretch.phase);
    let before = r.found.timeline.phases.iter().take(place).filter(|other| other.phase == stretch.phase);
    let ended = took.skip(before.count()).map(|took| phases::ended(took.ended)).next();
    [
        phases::name(stretch.phase).to_owned(),
        format!("{:.3}", stretch.from_s - r.found.timings.started_s),
        time(stretch.until_s - stretch.from_s),
        ended.unwrap_or(NONE).to_owned(),
    ]
}

/// The name of descriptors of this kind.
pub fn kind(kind: OpenKind) -> &'static str {
    match kind {
        OpenKind::AtRest => "already open",
        OpenKind::Connection => "connections",
        OpenKind::Socket => "other sockets",
        OpenKind::File => "files",
        OpenKind::Pipe => "pipes",
        OpenKind::Other => "others",
    }
}

/// Each process that has a band, in order.
pub fn processes(stack: &Stack) -> Vec<String> {
    let name = |pid: Option<i32>| match pid {
        Some(pid) => format!("process {pid}"),
        None => counted(stack.others as u64, "other process"),
    };
    stack.processes.iter().map(|band| name(band.pid)).collect()
}

/// The columns of a table of one value over time.
pub const RANGE_COLUMNS: [&str; 3] = ["from, s", "least", "most"];
/// The first column of a table of bands.
pub const FROM: &str = RANGE_COLUMNS[0];

/// The answer in numbers: what each is called, the number, and a remark.
pub fn figures(r: &Report) -> Vec<(&'static str, String, String)> {
    let f = &r.found;
    let mut all = Vec::new();
    if let Some(n) = f.ceiling.held().filter(|_| f.not_started.is_none() && f.doubts.is_empty()) {
        let label = match f.ceiling.stopped() {
            Some(true) => "full at",
            Some(false) => "not full at",
            None => "held",
        };
        all.push((label, n.to_string(), noun_of(n, unit(r))));
    }
    if let Some(effective) = f.limits.effective.value() {
        let by = limits::set_by(r, "it").unwrap_or_default();
        all.push(("limit, soft:hard", pair(effective), by));
    }
    if let Some(rest) = f.baseline.descriptors.value() {
        all.push(("already open", rest.to_string(), "descriptors before the first client".to_owned()));
    }
    if let Some(end) = f.end.get() {
        all.push(("when clients leave", end.verdict.name().to_owned(), String::new()));
    }
    all
}

/// The ceiling in a cell of the index.
pub fn ceiling(r: &Report) -> String {
    match (r.found.ceiling.held(), r.found.ceiling.stopped()) {
        (Some(n), Some(true)) => n.to_string(),
        (Some(n), Some(false)) => format!("none up to {n}"),
        _ => NONE.to_owned(),
    }
}

/// The label that opens the chain of limits with each of its links.
pub const WHOLE_CHAIN: &str = "Each process above";
/// The columns of the whole chain.
pub const LINK_COLUMNS: [&str; 5] = ["process", "command", "soft", "hard", "remark"];

/// The cells of a link.
pub fn link_cells(link: &Link, mark: Option<&str>, most: usize) -> [String; 5] {
    let remark = mark.unwrap_or_default().to_owned();
    [link.pid.to_string(), cut(&link.command, most), link.soft.to_string(), link.hard.to_string(), remark]
}

/// A link of the chain: its limits.
pub fn link(soft: u64, hard: u64) -> String {
    format!("soft {soft}, hard {hard}")
}

/// The explanation of a link's bar.
pub const LINK_BAR: &str =
    "The filled part is the soft limit, the outline the hard limit, on a logarithmic scale.";
/// The explanation of the bar of clients.
pub const CLIENTS_BAR: &str =
    "Clients that connected, by what had become of them when the watch at the wall ended.";
/// The explanation of the picture of rounds.
pub const ROUNDS_PICTURE: &str =
    "When the first waiting client was served after others left, a mark for each round.";

/// The cells of a round.
pub fn round(number: usize, round: &Round) -> [String; 5] {
    let seconds = |value: Option<f64>| value.map_or(NONE.to_owned(), time);
    [
        number.to_string(),
        round.released.value().map_or(NONE.to_owned(), |n| n.to_string()),
        seconds(round.first_accepted_s.value()),
        seconds(round.first_served_s.value()),
        seconds(round.queue_drained_s.value()),
    ]
}

/// A time on the axis of rounds.
pub fn seconds(s: f64) -> String {
    time(s)
}

/// The title of the page.
pub fn page(titles: &[String]) -> String {
    match titles {
        [one] => format!("{one} · lastfd"),
        all => format!("{} · lastfd", counted(all.len() as u64, "run")),
    }
}

/// The heading over several runs: how many, and how they ended.
pub fn runs(all: &[Report]) -> String {
    let ended = |outcome| all.iter().filter(|r| r.verdict.outcome == outcome).count();
    let each = [
        (Outcome::NotMet, "not met"),
        (Outcome::Inconclusive, "inconclusive"),
        (Outcome::Skipped, "skipped"),
        (Outcome::Met, "met"),
    ];
    let each = each.map(|(outcome, name)| (ended(outcome), name));
    let each: Vec<String> =
        each.into_iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    match each.is_empty() {
        true => counted(0, "run"),
        false => format!("{}: {}", counted(all.len() as u64, "run"), each.join(", ")),
    }
}

/// So many more that are left out.
pub fn left_out(number: usize, noun: &str) -> String {
    format!("… and {} more", counted(number as u64, noun))
}

/// The last line of the report: what made it.
pub fn made(r: &Report) -> String {
    let made = &r.found.made;
    let mut said = vec![match made.lastfd_version.get() {
        Some(version) => format!("Measured by lastfd {version}"),
        None => "Measured by lastfd".to_owned(),
    }];
    said.extend(made.started_at.get().map(|at| format!("on {at}")));
    said.extend(made.environment.get().map(|machine| {
        format!("under Linux {} with {}", machine.kernel, counted(machine.cpus.into(), "processor"))
    }));
    format!("{}.", said.join(" "))
}

/// The purpose of the log at the end of a run.
pub fn log(kept: usize, of: usize) -> String {
    match kept < of {
        true => format!(
            "This report carries its event log, thinned from {} to {kept}: the whole one is too long for it.",
            counted(of as u64, "event")
        ),
        false => format!("This report carries its event log, {}.", counted(of as u64, "event")),
    }
}

/// How the log is read back.
pub const REPLAY: &str = "`lastfd replay` of this file measures it again.";
/// The text in place of a log that did not fit.
pub const LOG_TOO_LONG: &str = "The event log is too long for this report, even when thinned.";
/// The link that takes the log out.
pub const DOWNLOAD: &str = "Save the event log";

/// Where the whole log is.
pub fn whole_log(file: Option<&str>) -> String {
    match file {
        Some(file) => format!("The whole log is the file `{file}`."),
        None => "`--events` keeps the whole log.".to_owned(),
    }
}

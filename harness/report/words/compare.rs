//! Sentences of a comparison.

use super::{counted as count, list};
use crate::compare::statistics::{Interval, share as share_of};
use crate::compare::{
    Bound, Change, Comparison, Described, Ending, Judged, Kept, LeftOut, Missing, Quantity, Reference, Row,
    Scale, Work,
};

/// The title of a comparison.
pub const TITLE: &str = "Before and after";
/// The last line of its report: what made it.
pub const MADE: &str = "Compared by lastfd.";

/// How the picture of ratios is to be read; it ends at this ratio.
pub fn ratios(most: f64) -> String {
    let ends = number(most);
    format!(
        "The line in the middle is no change. Left of it the value after is less than before, right of it more; the ends are {ends} times less and more, or beyond. The thick bar is the interval."
    )
}

/// The title of its table.
pub const QUANTITIES: &str = "What was compared";
/// Headings of the table.
pub fn headings(comparison: &Comparison) -> [&'static str; 4] {
    let first = match &comparison.header.reference {
        None => "before",
        Some(Reference { baseline: Some(_), .. }) => "recorded",
        Some(Reference { beside: true, .. }) => "reference",
        Some(_) => "first start",
    };
    match &comparison.header.reference {
        None | Some(Reference { baseline: Some(_), .. }) => ["", first, "after", "change"],
        Some(Reference { beside: true, .. }) => ["", first, "after", "recorded"],
        Some(_) => ["", first, "second start", "recorded"],
    }
}

/// From this ratio on (and from its inverse on downwards) people say "times", not per cent.
const TIMES: f64 = 2.0;

/// The name of a row, with its unit.
pub fn label(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::ConnectionsOpened => "connections opened",
        Quantity::CallsPerConnectionLeast => "calls on a connection, least",
        Quantity::CallsPerConnection => "calls on a connection, median",
        Quantity::TlsFull => "TLS handshakes, full",
        Quantity::TlsResumed => "TLS handshakes, resumed",
        Quantity::Errors => "failed calls",
        Quantity::DescriptorsPeak => "descriptors at peak",
        Quantity::DescriptorsPer1000Calls => "descriptors left by 1000 calls",
        Quantity::TimeWait => "sockets in TIME_WAIT",
        Quantity::CallsPerS => "calls a second",
        Quantity::CpuUsPerCall => "CPU a call, µs",
        Quantity::PeerCpuUsPerCall => "CPU a call on lastfd's side, µs",
        Quantity::SourcePorts => "source ports busy at the end",
        Quantity::QueuedP50 => "queued in lastfd p50, ms",
        Quantity::QueuedP99 => "queued in lastfd p99, ms",
        Quantity::ConnectP50 => "connect p50, ms",
        Quantity::ConnectP99 => "connect p99, ms",
        Quantity::TlsP50 => "TLS handshake p50, ms",
        Quantity::TlsP99 => "TLS handshake p99, ms",
        Quantity::FirstByteP50 => "first byte p50, ms",
        Quantity::FirstByteP99 => "first byte p99, ms",
        Quantity::P50 => "p50, ms",
        Quantity::P90 => "p90, ms",
        Quantity::P99 => "p99, ms",
        Quantity::P999 => "p99.9, ms",
        Quantity::MemoryMib => "memory at peak, MiB",
    }
}

/// The name of a row, without its unit.
fn name_of(quantity: Quantity) -> &'static str {
    let label = label(quantity);
    let has_unit =
        quantity.tail().is_some() || matches!(quantity, Quantity::CpuUsPerCall | Quantity::PeerCpuUsPerCall);
    label.split_once(", ").filter(|_| has_unit).map_or(label, |(name, _)| name)
}

/// The cells of a row.
pub fn cells(comparison: &Comparison, row: &Row) -> [String; 4] {
    let [before, after] = row.medians.map(number);
    let mark = if row.decides { " *" } else { "" };
    let recording = matches!(comparison.header.reference, Some(Reference { baseline: None, .. }));
    let last = if recording { kept(row.kept) } else { change(row) };
    [format!("{}{mark}", label(row.quantity)), before, after, last]
}

/// The value or range that a recording keeps.
fn kept(kept: Option<Kept>) -> String {
    let range = |low: f64, high: f64| format!("{} to {}", number(low), number(high));
    match kept {
        None => "not recorded: too few blocks".into(),
        Some(Kept::Exactly { exactly }) => format!("exactly {}", number(exactly)),
        Some(Kept::Ratio { ratio, low, high, .. }) => {
            format!("{} times the reference ({})", number(ratio), range(low, high))
        }
        Some(Kept::Value { value, low, high }) => format!("{} ({})", number(value), range(low, high)),
    }
}

/// A value with as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "–".into(),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The verdict on a row.
pub fn change(row: &Row) -> String {
    let scale = row.quantity.scale();
    match row.change {
        Change::ExactlySame => "the same, exactly".into(),
        Change::Exactly { better } => {
            let [before, after] = row.medians.map(number);
            format!("{}: exactly {after} against {before}", if better { "better" } else { "worse" })
        }
        Change::Better(interval) => moved("better", scale, row.estimate, interval),
        Change::Worse(interval) => moved("worse", scale, row.estimate, interval),
        Change::Same(interval) => format!("same ({})", range(scale, interval)),
        Change::Open { interval, needs } => {
            let more = match needs {
                Some(needs) => format!("about {} needed", count(needs as u64, "more block")),
                None => "more than 1000 blocks needed".into(),
            };
            match interval {
                Some(interval) => format!("no conclusion ({}; {more})", range(scale, interval)),
                None => format!("no conclusion yet ({more})"),
            }
        }
        Change::Unknown(Missing::FewCalls { needs }) => format!("not shown: it needs {needs} calls a block"),
        Change::Unknown(Missing::Exited) => "not measured: it had ended".into(),
        Change::Unknown(Missing::TooShort) => "not measured: too few calls".into(),
        Change::Unknown(Missing::NotRecorded) => "not compared: it was not recorded".into(),
    }
}

fn moved(word: &str, scale: Scale, estimate: f64, interval: Interval) -> String {
    match scale {
        Scale::Ratio if estimate < TIMES => {
            let (size, range) = share(estimate, interval);
            format!("{word} by {size} ({range})")
        }
        Scale::Ratio => {
            let (size, range) = times(estimate, interval);
            format!("{word}: {size} ({range})")
        }
        Scale::Difference => format!("{word} by {} ({})", number(estimate.abs()), range(scale, interval)),
    }
}

/// By how many per cent, and from how many to how many, if the ratio lies on one side of 1.
fn share(estimate: f64, interval: Interval) -> (String, String) {
    let size = |ratio: f64| format!("{:.1} %", (ratio - 1.0).abs() * 100.0);
    let Interval { low, high, .. } = interval;
    let (least, most) = if estimate < 1.0 { (high, low) } else { (low, high) };
    let one_sided = (low - 1.0) * (high - 1.0) >= 0.0;
    let range = match one_sided {
        true => format!("{} to {}", size(least), size(most)),
        false => range(Scale::Ratio, interval),
    };
    (size(estimate), range)
}

/// How many times, and from how many to how many.
fn times(estimate: f64, interval: Interval) -> (String, String) {
    let size = |ratio: f64| format!("{ratio:.2}");
    (format!("{} times", size(estimate)), format!("{} to {} times", size(interval.low), size(interval.high)))
}

/// From where to where.
fn range(scale: Scale, interval: Interval) -> String {
    let Interval { low, high, .. } = interval;
    match scale {
        Scale::Ratio => format!("{} to {}", percent(low - 1.0), percent(high - 1.0)),
        Scale::Difference => format!("{} to {}", number(low), number(high)),
    }
}

fn percent(share: f64) -> String {
    format!("{}{:.1} %", if share < 0.0 { "−" } else { "+" }, share.abs() * 100.0)
}

/// The header of a recording's file.
pub const RECORDING: &str = "Written by `lastfd compare --record`. Compare a later version with it: `lastfd compare --baseline FILE`.\n\
    Counts are those of one start. A `ratio` is to the bundled server under the same calls, which runs beside either\n\
    version; `seen` is the value on the machine that recorded it. `low` and `high` are the ends of a 99 % interval.";

/// Why nothing could be recorded.
pub fn not_recorded(comparison: &Comparison) -> String {
    let unknown = comparison.rows.iter().filter(|row| row.decides && row.kept.is_none());
    let names: Vec<&str> = unknown.map(|row| name_of(row.quantity)).collect();
    format!(
        "nothing is recorded: {} do not tell {} closely enough; --within and --blocks allow more",
        count(comparison.blocks as u64, "block"),
        list(&names)
    )
}

/// The first paragraph of a recording.
fn of_recording(comparison: &Comparison, beside: bool) -> String {
    let kept = comparison.rows.iter().filter(|row| row.kept.is_some()).count() as u64;
    let by = match beside {
        true => " Times are recorded as ratios to the bundled server, which ran beside it.",
        false => " Times are not recorded: nothing that makes the same calls ran beside it.",
    };
    let after = &comparison.header.sides[1];
    format!("{} of {} can be recorded.{by}", count(kept, "value"), after.name)
}

/// How far it has come, for the line that moves.
pub fn progress(comparison: &Comparison) -> String {
    let open = comparison.rows.iter().filter(|row| row.decides && !row.change.decided()).count();
    match comparison.blocks {
        0 => "warming up".into(),
        blocks => format!("{}; {open} undecided", count(blocks as u64, "block")),
    }
}

/// The first paragraph.
pub fn answer(comparison: &Comparison) -> String {
    let [before, after] = &comparison.header.sides;
    if let Some(works) = &comparison.different_work {
        return format!(
            "Refused: the two sides did different work. {} {}; {} {}. Give both the same work to do.",
            before.name,
            work(&works[0]),
            after.name,
            work(&works[1])
        );
    }
    match &comparison.ending {
        Some(Ending::Failed { reason, .. }) if comparison.blocks == 0 => {
            return format!("Nothing can be compared: {reason}");
        }
        Some(Ending::Saturated) => {
            return "Nothing is compared: lastfd itself fell behind the rate, and started more than 1 % of the \
                    calls over 1 ms late. Lower --rate."
                .into();
        }
        _ => {}
    }
    if let Some(Reference { baseline: None, beside }) = comparison.header.reference {
        return of_recording(comparison, beside);
    }
    let told: Vec<String> = [
        Quantity::ConnectionsOpened,
        Quantity::TlsFull,
        Quantity::DescriptorsPer1000Calls,
        Quantity::CallsPerS,
        Quantity::CpuUsPerCall,
        Quantity::P50,
    ]
    .into_iter()
    .filter_map(|quantity| told(comparison.row(quantity)?, after))
    .collect();
    let rows = comparison.rows.iter().filter(|row| row.decides && !row.change.decided());
    let bounds = comparison.judged.iter().filter(|(_, judged)| *judged == Judged::Open);
    let open: Vec<&str> = match comparison.judged.is_empty() {
        true => rows.map(|row| name_of(row.quantity)).collect(),
        false => bounds.map(|(bound, _)| name_of(bound.quantity)).collect(),
    };
    let open = match open.is_empty() {
        true => String::new(),
        false => format!(" There is no conclusion about {}.", list(&open)),
    };
    match told.is_empty() {
        true if comparison.blocks == 0 => "No block was finished, so nothing is compared.".into(),
        true => format!("No difference between {} and {} is shown.{open}", before.name, after.name),
        false => format!("{}{open}", told.join(" ")),
    }
}

/// One sentence about a row that differs, or is shown to be the same.
fn told(row: &Row, after: &Described) -> Option<String> {
    let name = &after.name;
    let [was, is] = row.medians.map(number);
    let count_of = |noun| count(row.medians[1].round() as u64, noun);
    let amount = |more: &str, less: &str, times_as: &str| match row.change {
        Change::Better(interval) | Change::Worse(interval) => Some(match row.estimate < TIMES {
            true => {
                let (size, range) = share(row.estimate, interval);
                (format!("{size} {}", if row.estimate > 1.0 { more } else { less }), range)
            }
            false => {
                let (size, range) = times(row.estimate, interval);
                (format!("{size} {times_as}"), range)
            }
        }),
        _ => None,
    };
    let same = |what: &str| match row.change {
        Change::Same(interval) => Some(format!("{what} is the same ({}).", range(Scale::Ratio, interval))),
        _ => None,
    };
    match (row.quantity, row.change) {
        (_, Change::Open { .. } | Change::Unknown(_)) => None,
        (Quantity::ConnectionsOpened, Change::ExactlySame) => {
            Some(format!("Both open {}.", count_of("connection")))
        }
        (
            Quantity::ConnectionsOpened | Quantity::TlsFull | Quantity::DescriptorsPer1000Calls,
            Change::Same(_),
        ) => None,
        (Quantity::ConnectionsOpened, _) => {
            Some(format!("{name} opens {}, not {was}.", count_of("connection")))
        }
        (Quantity::TlsFull | Quantity::DescriptorsPer1000Calls, Change::ExactlySame) => None,
        (Quantity::TlsFull, _) => Some(format!(
            "{name} makes {}, not {was}.",
            count(row.medians[1].round() as u64, "full TLS handshake")
        )),
        (Quantity::DescriptorsPer1000Calls, _) => {
            Some(format!("1000 calls of {name} leave {is} descriptors open, not {was}."))
        }
        (Quantity::CallsPerS, _) => amount("more", "fewer", "as many")
            .map(|(amount, range)| format!("{name} makes {amount} calls a second ({range})."))
            .or_else(|| same("The number of calls a second")),
        (Quantity::CpuUsPerCall, _) => amount("more", "less", "as much")
            .map(|(amount, range)| format!("A call takes {amount} CPU ({range})."))
            .or_else(|| same("The CPU of a call")),
        (Quantity::P50, _) => amount("higher", "lower", "as high")
            .map(|(amount, range)| format!("The median latency is {amount} ({range})."))
            .or_else(|| same("The median latency")),
        _ => None,
    }
}

/// Calls of a side, and how many failed.
fn work(work: &Work) -> String {
    let failed = work.made() - work.calls;
    let how = work.failed.iter().map(|(how, n)| format!("{n} {how}")).collect::<Vec<_>>().join(", ");
    match failed {
        0 => format!("made {}, all answered", count(work.calls, "call")),
        _ => format!("made {}, of which {failed} failed ({how})", count(work.made(), "call")),
    }
}

/// A side by its name and its command; without the name where the label says it.
fn side(described: &Described, label: &str) -> String {
    match described.name == label {
        true => described.command.clone(),
        false => format!("{}: {}", described.name, described.command),
    }
}

/// The first side where it was recorded, or is what the other one is measured by.
fn recorded_side(comparison: &Comparison) -> Option<String> {
    Some(match comparison.header.reference.as_ref()? {
        Reference { baseline: Some(baseline), beside } => format!(
            "{}, recorded {}{}.",
            baseline.command,
            baseline.recorded_at.split('T').next().unwrap_or_default(),
            match beside {
                true =>
                    "; its times are what its ratios to the bundled server come to here, beside that server",
                false =>
                    "; its times are not compared: nothing that makes the same calls runs beside the program",
            }
        ),
        Reference { beside: true, .. } => "the bundled server, under the same calls".into(),
        _ => "the same program, started once more".into(),
    })
}

/// A line with a label for each further fact.
pub fn facts(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let method = &comparison.header.method;
    let [before, after] = &comparison.header.sides;
    let mut facts = vec![
        ("Before", recorded_side(comparison).unwrap_or_else(|| side(before, "before"))),
        ("After", side(after, "after")),
        (
            "Calls",
            match before.load == after.load {
                true => before.load.clone(),
                false => format!("before: {}; after: {}", before.load, after.load),
            },
        ),
    ];
    facts.push((
        "Method",
        format!(
            "{} in {:.1} s, each a fresh start of both sides in random order (--order-seed {}). A claimed \
             difference is false with a probability of at most {:.0} %, whenever the comparison stops, and so is \
             a claimed *same*. That is shared by the \
             rows marked *; each other row has it alone. Less than {:.0} % apart is the same.",
            count(comparison.blocks as u64, "block"),
            comparison.took_s + 0.0, // of no blocks it is -0.0
            method.seed,
            method.alpha * 100.0,
            method.band * 100.0
        ),
    ));
    facts.extend(left_out(comparison).map(|text| ("Left out", text)));
    let noise: Vec<String> = comparison
        .rows
        .iter()
        .filter(|row| row.decides && !matches!(row.change, Change::ExactlySame | Change::Exactly { .. }))
        .filter_map(|row| Some(format!("{} ± {:.1} %", name_of(row.quantity), row.noise? * 100.0)))
        .collect();
    if !noise.is_empty() {
        let of = count(comparison.noise_blocks as u64, "block");
        let bundled = comparison.header.reference.as_ref().is_some_and(|reference| reference.beside);
        facts.push((
            "Noise",
            format!(
                "two starts of {} differ by: {} ({of} of it against itself).",
                if bundled { "the bundled server" } else { &before.name },
                noise.join(", ")
            ),
        ));
    }
    for row in &comparison.rows {
        if let Some(drift) = row.drift {
            facts.push((
                "Drift",
                format!(
                    "{}: the ratio {} from block to block (Spearman's ρ {:.2}, p {:.3}): the blocks do not repeat \
                     one thing.",
                    label(row.quantity),
                    if drift.rho > 0.0 { "grows" } else { "falls" },
                    drift.rho,
                    drift.p
                ),
            ));
        }
    }
    facts.extend(exhaustion(comparison).map(|text| ("Limit", text)));
    facts.extend(
        comparison.judged.iter().map(|(bound, judged)| ("Bound", bounded(comparison, bound, *judged))),
    );
    facts.extend(failed_at_times(comparison).map(|text| ("Bound", text)));
    facts.push(("Stopped", ending(comparison.ending.as_ref())));
    facts
}

/// Blocks that failed, and why.
fn left_out(comparison: &Comparison) -> Option<String> {
    // They are left out of the other blocks: without one, the failure itself is the result.
    let first = comparison.left_out.first().filter(|_| comparison.blocks > 0)?;
    let warm_up = 1;
    let failed = comparison.left_out.len();
    let all = count((comparison.blocks + comparison.noise_blocks + warm_up + failed) as u64, "block");
    let were = if failed == 1 { "was" } else { "were" };
    // The last lines of a program differ from start to start.
    let why = |block: &LeftOut| block.reason.lines().next().map(str::to_owned);
    let others = match comparison.left_out.iter().filter(|other| why(other) != why(first)).count() {
        0 => String::new(),
        others => format!(" ({others} for another reason)"),
    };
    Some(format!("{failed} of {all} {were} left out: {}{others}", first.reason))
}

/// Why bounds that were kept do not count.
pub fn failed_at_times(comparison: &Comparison) -> Option<String> {
    let after = &comparison.header.sides[1].name;
    comparison.failed_at_times().then(|| {
        format!(
            "? no conclusion: blocks were left out because {after} failed, and the bounds say nothing about those."
        )
    })
}

/// When each side has used its descriptors up, if one of them leaves any open.
fn exhaustion(comparison: &Comparison) -> Option<String> {
    let growth = comparison.row(Quantity::DescriptorsPer1000Calls)?.medians;
    let peak = comparison.row(Quantity::DescriptorsPeak)?.medians;
    let rate = comparison.row(Quantity::CallsPerS).map(|row| row.medians);
    let shown = !matches!(comparison.row(Quantity::DescriptorsPer1000Calls)?.change, Change::Open { .. });
    if !shown || growth.iter().all(|growth| *growth <= 0.0) {
        return None;
    }
    let of = |at: usize| {
        let side = &comparison.header.sides[at];
        let a_call = growth[at] / 1000.0;
        if a_call <= 0.0 {
            let calls = count(comparison.calls[at], "call");
            return format!("{} shows no growth in {calls} a start", side.name);
        }
        let room = side.limit as f64 - (peak[at] - a_call * comparison.calls[at] as f64);
        let calls = (room / a_call).round();
        let takes = rate.map_or(String::new(), |rate| format!(" ({:.1} s at this rate)", calls / rate[at]));
        format!(
            "{} reaches its limit of {} descriptors after about {calls:.0} calls{takes}",
            side.name, side.limit
        )
    };
    Some(format!("{}; {}.", of(0), of(1)))
}

/// A bound, and what became of it.
pub fn bounded(comparison: &Comparison, limit: &Bound, judged: Judged) -> String {
    let row = comparison.row(limit.quantity);
    let seen = row.map_or(String::new(), |row| {
        let [before, after] = row.medians.map(number);
        format!(": {after} against {before}")
    });
    let verdict = match judged {
        Judged::Kept => "✓ kept",
        Judged::Broken => "✗ not kept",
        Judged::Open => "? no conclusion",
        Judged::NotMeasured => "? not measured",
    };
    format!("{verdict}: {limit}{seen}")
}

/// Why it stopped.
pub fn ending(ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending::Decided) => "everything that decides is decided.".into(),
        Some(Ending::Blocks) => "the number of blocks was reached; --blocks allows more.".into(),
        Some(Ending::Time) => "the time was over; --within allows more.".into(),
        Some(Ending::DifferentWork) => "the two sides did different work.".into(),
        Some(Ending::Saturated) => "lastfd itself fell behind the rate.".into(),
        Some(Ending::Interrupted) => "it was interrupted: this is the comparison as far as it came.".into(),
        Some(Ending::Failed { reason, .. }) => reason.clone(),
        None => "the record has no end: lastfd was killed.".into(),
    }
}

/// One comparison of a self-check.
pub fn checked(
    worse: &[Quantity],
    better: &[Quantity],
    planted_us: u64,
    blocks: usize,
    took_s: f64,
    in_sequence: Option<f64>,
) -> String {
    let what = match planted_us {
        0 => "the same program twice".into(),
        us => format!("slower by {us} µs a call"),
    };
    let claims = |word: &str, of: &[Quantity]| match of {
        [] => None,
        of => Some(format!(
            "{word}: {}",
            list(&of.iter().map(|quantity| name_of(*quantity)).collect::<Vec<_>>())
        )),
    };
    let said: Vec<String> = claims("worse", worse).into_iter().chain(claims("better", better)).collect();
    let said = if said.is_empty() { "no difference claimed".into() } else { said.join("; ") };
    let after = in_sequence.map_or(String::new(), |p| format!("; measured one after the other: p {p:.3}"));
    format!("{what}: {said} ({}, {took_s:.1} s){after}", count(blocks as u64, "block"))
}

/// Why one side was not measured after the other in a round of a self-check.
pub fn not_in_sequence(error: &str) -> String {
    format!("not measured one after the other: {error}\n")
}

/// So many of so many, with the interval of the share.
fn of_all(hits: u64, of: u64) -> String {
    let interval = share_of(hits, of);
    format!("{hits} of {of} (95 %: {:.1} % to {:.1} %)", interval.low * 100.0, interval.high * 100.0)
}

/// False claims of a self-check.
pub fn false_claims(claims: u64, of: u64) -> String {
    format!(
        "The same program twice: a difference was claimed in {}; at most 5 % are expected.",
        of_all(claims, of)
    )
}

/// False claims of those who measure one side after the other.
pub fn sequential_claims(claims: u64, of: u64) -> String {
    format!(
        "The same program measured one after the other, with as many starts (Welch's t at 5 %): a difference was \
         claimed in {}.",
        of_all(claims, of)
    )
}

/// Planted delays of a self-check that were found.
pub fn found(found: u64, wrong: u64, of: u64, planted: f64, us: u64, median_s: f64) -> String {
    let wrong = if wrong == 0 { String::new() } else { format!(" It was called better in {wrong}.") };
    format!(
        "Slower by {:.0} % ({us} µs a call): found in {}, in {median_s:.1} s (median).{wrong}",
        planted * 100.0,
        of_all(found, of)
    )
}

//! The report of `lastfd inspect` as text. Pure.

use super::growth::{Ended, Grown, Growth};
use super::managers;
use super::tree::Member;
use super::unread::Unread;
use super::{Counts, Ids, Report};
use crate::cli::page::{Page, shorten};
use crate::event::{Limits, Link, Pid};
use crate::report::words::{self, counted, size};
use owo_colors::Style;

/// Rows shown of a table; the JSON document has all.
const ROWS_MAX: usize = 12;

/// Width of the labels.
const LABEL: usize = 10;

/// The whole page.
pub fn page(report: &Report) -> Page {
    let mut page = Page::default();
    alarm(&mut page, report);
    page.heading(&format!("Process {}: {}", report.pid, report.command));
    limits(&mut page, report);
    tree(&mut page, report);
    if let Some(counts) = &report.descriptors {
        descriptors(&mut page, report, counts);
    }
    growth(&mut page, report);
    chain(&mut page, report);
    for_good(&mut page, report);
    raise_now(&mut page, report);
    page
}

/// Says before all else that calls fail now, or are about to.
fn alarm(page: &mut Page, report: &Report) {
    if let Some(worse) = report.worse() {
        let who = format!("Process {} ({}), in the tree of process {},", worse.pid, worse.name, report.pid);
        let headroom = worse.headroom.unwrap_or(worse.soft);
        at_limit(&who, worse.soft, headroom, worse.reserved.unwrap_or(0))
            .iter()
            .for_each(|text| page.alarm(text));
    }
    let Limits { soft, .. } = report.limits;
    let Some((counts, headroom)) = report.descriptors.as_ref().zip(report.headroom) else { return };
    // A process that has exited has no limit any more, and a limit that moved meanwhile has its own note.
    if report.has_exited() || report.unmeasured.contains_key("limits") {
        return;
    }
    let who = format!("Process {}", report.pid);
    if let Some(text) = at_limit(&who, soft, headroom, counts.reserved) {
        page.alarm(&text);
    } else if report.growth.as_ref().is_some_and(|growth| growth.max >= soft) && counts.above_soft.is_empty()
    {
        page.alarm(&format!(
            "{who} reached its limit while it was watched: all {soft} descriptors were open. {headroom} are free now."
        ));
    }
}

/// A sentence for a process that is at its limit, or has a twentieth of it left; `None` with more room.
fn at_limit(who: &str, soft: u64, headroom: u64, reserved: u64) -> Option<String> {
    let taken = soft - headroom;
    match headroom {
        0 if reserved > 0 => Some(format!(
            "{who} is at its limit now: {taken} of {soft} descriptors are taken, {reserved} of them by threads that wait in accept. The \
             next open or socket fails with EMFILE."
        )),
        0 => Some(format!(
            "{who} is at its limit now: {taken} of {soft} descriptors are open, so the next open, accept or socket fails with EMFILE."
        )),
        left if left <= soft / 20 => Some(format!(
            "{who} is almost at its limit: {taken} of {soft} descriptors are open, {left} more until EMFILE."
        )),
        _ => None,
    }
}

fn plain(page: &mut Page, label: &str, text: &str) {
    page.item(label, LABEL, Style::new(), text);
}

fn warn(page: &mut Page, label: &str, text: &str) {
    page.item(label, LABEL, Style::new().yellow().bold(), text);
}

fn limits(page: &mut Page, report: &Report) {
    let Limits { soft, hard } = report.limits;
    plain(page, "limit", &format!("{} in force (soft), {} at most (hard)", number(soft), number(hard)));
    match (&report.descriptors, report.headroom) {
        (Some(counts), Some(headroom)) => {
            plain(page, "open", &open(counts, soft));
            let text = format!("{headroom} more until EMFILE");
            if headroom * 10 < soft {
                warn(page, "headroom", &text)
            } else {
                plain(page, "headroom", &text)
            }
            if !counts.above_soft.is_empty() {
                let numbers: Vec<String> = counts
                    .above_soft
                    .iter()
                    .take(8)
                    .map(|d| format!("{} ({} {})", d.fd, d.kind, d.detail))
                    .collect();
                let more = if counts.above_soft.len() > 8 { " …" } else { "" };
                let text = format!(
                    "{} take no place under it: {}{more}",
                    counts.above_soft.len(),
                    numbers.join(", ")
                );
                plain(page, "above it", &text);
            }
        }
        _ => warn(page, "headroom", &format!("not measured: {}", report.unmeasured["headroom"])),
    }
    if let Some(changed) = report.unmeasured.get("limits") {
        warn(page, "note", changed);
    }
    ids(page, report.pid, &report.ids);
}

/// Which ids the page uses, where the process has several.
fn ids(page: &mut Page, pid: Pid, Ids { here, namespaces, whole_machine }: &Ids) {
    if *here != pid {
        let text = format!(
            "/proc shows the ids of an outer PID namespace. Here, where the commands are to be run, process {pid} is {here}."
        );
        warn(page, "pids", &text);
    } else if !whole_machine {
        let text = "process ids are those of this PID namespace (a container); on the host they are others.";
        plain(page, "pids", text);
    }
    if let Some(own) = namespaces.last().filter(|own| *own != here) {
        plain(page, "pids", &format!("in a PID namespace of its own (a container) it is process {own}."));
    }
}

/// The processes found, worst first, where there are several.
fn tree(page: &mut Page, report: &Report) {
    if report.tree.len() < 2 {
        return;
    }
    page.heading("Processes, the one with the least room first");
    let known = |count: Option<u64>| count.map_or("?".into(), |count| count.to_string());
    let rows: Vec<Vec<String>> = report
        .tree
        .iter()
        .enumerate()
        .filter(|(at, member)| *at < ROWS_MAX || member.pid == report.pid)
        .map(|(_, member)| {
            let here = if member.pid == report.pid { "← this report" } else { "" };
            let Member { pid, name, open, soft, headroom, .. } = member;
            vec![pid.to_string(), name.clone(), known(*open), number(*soft), known(*headroom), here.into()]
        })
        .collect();
    page.table(&["PID", "NAME", "OPEN", "SOFT LIMIT", "HEADROOM", ""], &rows);
    if report.tree.len() > rows.len() {
        page.text(&format!("and {} more (all are in --json)", report.tree.len() - rows.len()));
    }
    let own = report.tree.iter().find(|member| member.pid == report.pid).and_then(Member::share);
    // Between workers that are alike there is always one with a little less.
    let much_less = |worse: &&Member| own.zip(worse.share()).is_none_or(|(own, its)| own - its >= 0.05);
    if let Some(Member { pid, name, soft, headroom, .. }) = report.worse().filter(much_less) {
        let left = known(*headroom);
        let text = format!(
            "`lastfd inspect {pid}` is about process {pid} ({name}), which has less room: {left} of {} are left.",
            number(*soft)
        );
        warn(page, "worse", &text);
    }
}

fn open(counts: &Counts, soft: u64) -> String {
    let mut text = format!("{} descriptors", counts.open);
    if counts.reserved > 0 {
        text += &format!(", {} of them reserved by threads blocked in accept", counts.reserved);
    }
    if counts.counted < counts.open {
        text += &format!("; {} numbered below {soft} count", counts.counted);
    }
    text
}

fn number(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".into() } else { limit.to_string() }
}

fn descriptors(page: &mut Page, report: &Report, counts: &Counts) {
    page.heading("Descriptors");
    let kinds: Vec<String> =
        report.kinds.iter().map(|kind| format!("{} {}", kind.count, kind.kind)).collect();
    plain(page, "by kind", &kinds.join(", "));
    for listener in report.listeners.iter().filter(|listener| listener.waiting > 0) {
        let text = format!(
            "{} in the accept queue of {}: clients that are connected and not accepted",
            listener.waiting, listener.address
        );
        warn(page, "queue", &text);
    }
    if report.close_wait > 0 {
        let text = format!(
            "{} in CLOSE_WAIT: the peer closed and this program did not. While that number stays or grows it is a leak \
             on this side, and no higher limit cures it.",
            counted(report.close_wait, "socket")
        );
        warn(page, "CLOSE_WAIT", &text);
    }
    if report.deleted > 0 {
        let text = format!(
            "{} deleted: logs that were rotated away, or temporary files that were not closed. Each keeps its \
             descriptor and its disk space until this program closes it.",
            words::number(report.deleted, "1 open file is", &format!("{} open files are", report.deleted))
        );
        warn(page, "deleted", &text);
    }
    if let Some(unread) = report.unread.as_ref().filter(|unread| unread.sockets > 0) {
        page.item("unread", LABEL, unread_style(unread), &unread_text(unread));
    }
    if report.time_wait > 0 {
        let text = format!(
            "{} on its ports; they hold no descriptor, the kernel keeps them for 60 s",
            report.time_wait
        );
        plain(page, "TIME_WAIT", &text);
    }
    let rows: Vec<Vec<String>> = report
        .peers
        .iter()
        .take(ROWS_MAX)
        .map(|group| {
            let states: Vec<String> =
                group.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
            vec![group.count.to_string(), group.kind.clone(), group.what.clone(), states.join(", ")]
        })
        .collect();
    if !rows.is_empty() {
        page.table(&["COUNT", "KIND", "WHAT", "STATES"], &rows);
    }
    let shown: u64 = report.peers.iter().take(ROWS_MAX).map(|group| group.count).sum();
    if shown < counts.listed {
        page.text(&format!(
            "and {} more of {} kinds (all are in --json)",
            counts.listed - shown,
            report.peers.len() - ROWS_MAX
        ));
    }
}

/// Loud, unless all of it was read while the process was watched.
fn unread_style(unread: &Unread) -> Style {
    if unread.stayed == Some(0) { Style::new() } else { Style::new().yellow().bold() }
}

fn unread_text(unread: &Unread) -> String {
    let Unread { sockets, of, bytes, outbound, stayed } = unread;
    let data = format!("unread data in {sockets} of {of} sockets");
    // A client leaves responses unread, a server leaves requests unread.
    let what = if outbound * 2 >= *sockets { "bodies nobody reads" } else { "requests nobody reads" };
    let in_all =
        if *bytes < 1000 { format!("{bytes} bytes in all") } else { format!("{} in all", size(*bytes)) };
    match stayed {
        None => format!("{data}: {what}, if it stays there ({in_all}; a --for of some seconds shows that)"),
        Some(0) => format!("{data} ({in_all}), none of it for as long as it was watched"),
        Some(stayed) => {
            let now = if stayed < sockets { format!(" in {sockets} sockets") } else { String::new() };
            format!(
                "unread data in {stayed} of {of} sockets: {what}. It stayed there for as long as it was watched ({in_all}{now})."
            )
        }
    }
}

fn growth(page: &mut Page, report: &Report) {
    let Some(growth) = &report.growth else {
        // Unreadable values are reported above; a growth that nobody asked for needs no line.
        return;
    };
    page.heading("Growth");
    let ended = match growth.ended {
        Ended::TimeUp => String::new(),
        Ended::Exited => format!(" of {} asked for: the process exited", seconds(growth.asked_s)),
        Ended::Interrupted => format!(" of {} asked for: interrupted", seconds(growth.asked_s)),
    };
    plain(page, "watched", &format!("{}{ended}", seconds(growth.watched_s)));
    let Growth { first, last, min, max, .. } = growth;
    plain(page, "count", &format!("{first} → {last} (lowest {min}, highest {max})"));
    let full = report.headroom == Some(0) && !report.has_exited();
    match (growth.per_second, growth.left_s) {
        (Some(per_second), Some(_)) if full => {
            warn(page, "pace", &format!("{}, up to its limit", rate(per_second)));
        }
        (Some(per_second), Some(left_s)) => {
            let text =
                format!("{}; at this pace the limit is reached in {}", rate(per_second), seconds(left_s));
            warn(page, "pace", &text);
        }
        _ if full && min == max => plain(page, "pace", "none: it is at its limit, and cannot grow."),
        _ if full => plain(page, "pace", "it moves up and down at its limit: what it closes is taken again."),
        _ if min == max => plain(page, "pace", "none. A slow leak shows with a longer --for (5m)."),
        (Some(per_second), None) if growth.falls() => {
            let text = format!("it falls by {}: more is closed than opened", rate(per_second.abs()));
            plain(page, "pace", &text);
        }
        _ => plain(
            page,
            "pace",
            "no steady growth: it moves up and down. A slow leak shows with a longer --for (5m).",
        ),
    }
    if last > first {
        let labels = std::iter::once("what").chain(std::iter::repeat(""));
        for (label, kind) in labels.zip(&growth.kinds) {
            plain(page, label, &grown(growth, kind));
        }
    }
}

/// One kind that grew, with the groups of it that grew most.
fn grown(growth: &Growth, kind: &Grown) -> String {
    let Grown { kind, by } = kind;
    let groups: Vec<_> = growth.grew.iter().filter(|grew| grew.kind == *kind).collect();
    let text = match groups.as_slice() {
        [] => format!("+{by} {kind}"),
        [one] => format!("+{by} {kind} {}", one.what),
        several => {
            let parts: Vec<String> =
                several.iter().take(4).map(|grew| format!("+{} {}", grew.by, grew.what)).collect();
            let more = if several.len() > 4 { ", …" } else { "" };
            format!("+{by} {kind}: {}{more}", parts.join(", "))
        }
    };
    shorten(text.trim_end(), 300)
}

fn rate(per_second: f64) -> String {
    if per_second >= 1.0 {
        format!("{per_second:.1} descriptors/s")
    } else if per_second * 60.0 >= 1.0 {
        format!("{:.1} descriptors/min", per_second * 60.0)
    } else {
        format!("{:.1} descriptors/h", per_second * 3600.0)
    }
}

/// Seconds in the two largest units that matter.
fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        7200..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} days", whole / 86400),
    }
}

fn chain(page: &mut Page, report: &Report) {
    page.heading("Where the limit comes from");
    let rows: Vec<Vec<String>> = report
        .chain
        .iter()
        .map(|link| {
            let mark = if Some(link.pid) == report.set_by { "set here" } else { "" };
            let limits = format!("{}:{}", number(link.soft), number(link.hard));
            vec![link.pid.to_string(), limits, mark.into(), link.command.clone()]
        })
        .collect();
    page.table(&["PID", "SOFT:HARD", "", "COMMAND"], &rows);
    let Some(at) = report.chain.iter().position(|link| Some(link.pid) == report.set_by) else { return };
    let set_by = &report.chain[at];
    let text = match at.checked_sub(1).map(|above| &report.chain[above]) {
        None => format!("Inherited unchanged from the first ancestor, pid {}.", set_by.pid),
        Some(above) => {
            let who =
                if set_by.pid == report.pid { "this process".into() } else { format!("pid {}", set_by.pid) };
            format!(
                "It was set by {who} itself, or by what it ran before its exec (a script with `ulimit -n`); or by its parent (pid {}), \
                 when it started it; or by `prlimit` from outside. /proc does not tell which, nor of ancestors that have exited.",
                above.pid
            )
        }
    };
    page.text(&text);
}

fn for_good(page: &mut Page, report: &Report) {
    page.heading("To raise it for good");
    for (manager, advice) in report.managed_by.iter().zip(&report.for_good) {
        page.text(&format!("It is kept by {}.", managers::name(manager)));
        page.item("", 2, Style::new(), advice);
    }
    if report.managed_by.is_empty() {
        page.text(&format!(
            "No systemd unit, supervisord, container, session or shell keeps it: {}",
            where_it_was_set(&report.chain, report.set_by)
        ));
    }
}

/// Where to raise a limit that nothing well-known keeps: not at a parent that has another one.
fn where_it_was_set(chain: &[Link], set_by: Option<Pid>) -> String {
    let own = "(nginx: worker_rlimit_nofile)";
    // The last of the chain is the process itself.
    match chain.iter().rposition(|link| Some(link.pid) == set_by) {
        Some(at) if at > 0 && at + 1 == chain.len() => format!(
            "its parent has another limit, so raise it where this one was set: in a setting of the program's own {own}, or by `ulimit -n` \
             or `prlimit` in the script that starts it."
        ),
        at => {
            let who = at.filter(|at| at + 1 < chain.len()).map(|at| &chain[at]);
            let who = who.map_or("whatever starts it".into(), |link| {
                format!("pid {} ({})", link.pid, shorten(&link.command, 40))
            });
            format!(
                "raise the limit of {who}, or put `ulimit -n` into the script that starts it. A program's own setting wins over both {own}."
            )
        }
    }
}

fn raise_now(page: &mut Page, report: &Report) {
    page.heading("To raise it now (not run)");
    if let Some(gone) = report.unmeasured.get("raise_now") {
        return page.text(gone);
    }
    for raise in &report.raise_now {
        page.command(4, &raise.command);
        page.item("", 2, Style::new(), &raise.needs);
    }
    if report.raise_now.is_empty() {
        page.text("The soft limit is already the most that fs.nr_open allows: raise that first (`sudo sysctl -w fs.nr_open=…`).");
    }
    if !report.ids.whole_machine && !report.raise_now.is_empty() {
        page.text("The process id in the command is right in this PID namespace only. On the host, `lastfd inspect` prints it with the host's id.");
    }
    page.text(
        "A program that sized itself when it started (select() with FD_SETSIZE, a table of connections, a configured maximum) may \
         not use what it is given now. Children that run already keep their limit.",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_to_be_raised_where_it_was_set() {
        let link = |pid, soft| Link { pid, command: format!("program-{pid}"), soft, hard: 4096 };
        let advice = |limits: &[u64], set_by| {
            where_it_was_set(
                &limits.iter().zip(1..).map(|(&soft, pid)| link(pid, soft)).collect::<Vec<_>>(),
                set_by,
            )
        };
        assert!(
            advice(&[4096, 1024, 1024, 1024], Some(2)).starts_with("raise the limit of pid 2 (program-2)")
        );
        assert!(
            advice(&[4096, 4096, 32], Some(3)).starts_with("its parent has another limit"),
            "raising the parent's does nothing"
        );
        assert!(advice(&[1024], Some(1)).starts_with("raise the limit of whatever starts it"));
    }

    #[test]
    fn times_are_told_in_units_that_matter() {
        for (value, text) in [
            (0.04, "0.0 s"),
            (9.4, "9.4 s"),
            (61.0, "61 s"),
            (150.0, "2 min 30 s"),
            (7380.0, "2 h 3 min"),
            (300_000.0, "3 days"),
        ] {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(rate(3.04), "3.0 descriptors/s");
        assert_eq!(rate(0.05), "3.0 descriptors/min");
    }
}

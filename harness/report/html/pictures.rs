//! The pictures of one run: over time, the chain of limits, the clients, the rounds of recovery. Each has a
//! title and a description for those who do not see it, and a table of its numbers.

use super::super::Report;
use super::super::words::limits::Step;
use super::super::words::picture::{self as words, Chart};
use super::super::words::{clients, limits, phases};
use super::chart::{Axis, Scale};
use super::detail::Detail;
use super::parts::{closed, table};
use crate::event::Phase;
use crate::measure::{Moment, Range, Soft, Stretch};
use crate::report::page::cut;
use maud::{Markup, html};

/// Heights in pixels: of the large plot, of a small one, and of a row of marks above it.
const LARGE: u32 = 220;
const SMALL: u32 = 72;
const ROW: u32 = 22;
/// Below the plot: the names of phases, and how long they took.
const NAMES: u32 = 40;
/// Marks so near to each other, as parts of the axis, are put into different rows.
const NEAR: f64 = 0.075;
/// Pixels that a picture has where the page is wide, and that a letter takes.
const WIDE: f64 = 680.0;
const LETTER: f64 = 6.6;
/// The part of the axis that a number needs where the page is narrow.
const NUMBER: f64 = 0.04;
/// A limit more than this many times the open descriptors lies beyond the picture.
const BEYOND: f64 = 6.0;
/// Colours of bands where the page's style is blocked.
const BANDS: [&str; 8] =
    ["#8b949e", "#2f6fb5", "#b35900", "#4d7c0f", "#8250a8", "#b0477a", "#0f766e", "#57606a"];
const INK: &str = "#1f2328";
const LINE: &str = "#0b5cad";
const LIMIT: &str = "#b42318";

/// Which group of colours a phase has.
fn shade(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Ramp | Phase::Again | Phase::SecondRound => ("ph load", "#2f6fb5"),
        Phase::Saturate | Phase::Probe => ("ph wall", "#b42318"),
        Phase::ReleaseSome | Phase::ReleaseAll => ("ph leave", "#116329"),
        Phase::Moved => ("ph moved", "#b35900"),
        Phase::Launch | Phase::Baseline | Phase::Settle | Phase::Stop => ("ph", "#8b949e"),
    }
}

/// The run over time: the large picture, the keys to it, and the small ones.
pub fn over_time(r: &Report, id: &str, detail: &Detail) -> Markup {
    let axis = Axis { timeline: &r.found.timeline, each: detail.each };
    let over = &r.found.timeline.over;
    let small = [
        (Chart::AcceptQueue, &over.accept_queue),
        (Chart::Accepted, &over.accepted_per_s),
        (Chart::Failures, &over.failures_per_s),
        (Chart::Cpu, &over.cpu_percent),
        (Chart::Log, &over.log_bytes_per_s),
        (Chart::Memory, &over.memory_bytes),
    ];
    let high = |values: &[Option<Range>]| values.iter().flatten().map(|v| v.high).fold(0.0, f64::max);
    let (drawn, not): (Vec<_>, Vec<_>) = small.into_iter().partition(|(_, values)| high(values) > 0.0);
    let (unread, zero): (Vec<_>, Vec<_>) = not.into_iter().partition(|(_, values)| values.is_empty());
    let names = |charts: Vec<(Chart, &Vec<Option<Range>>)>| -> Vec<Chart> {
        charts.into_iter().map(|(chart, _)| chart).collect()
    };
    html! {
        (large(r, &axis, id, detail))
        (keys(r, detail))
        @if detail.small {
            div.panels {
                @for (chart, values) in &drawn { (panel(r, &axis, *chart, values, id, detail)) }
            }
            @if let Some(flat) = words::flat(&names(zero), &names(unread)) { p.note { (flat) } }
        }
    }
}

/// The row of each mark, so that no two are upon each other.
fn rows(moments: &[Moment], columns: usize) -> Vec<u32> {
    let near = NEAR * columns as f64;
    let mut last: Vec<f64> = Vec::new();
    moments
        .iter()
        .map(|moment| {
            let free = last.iter().position(|place| moment.place - place >= near);
            let row = free.unwrap_or(last.len());
            if row == last.len() {
                last.push(moment.place)
            } else {
                last[row] = moment.place
            }
            row as u32
        })
        .collect()
}

/// `A`, `B` …
fn letter(n: usize) -> char {
    char::from(b'A' + (n % 26) as u8)
}

fn large(r: &Report, axis: &Axis<'_>, id: &str, detail: &Detail) -> Markup {
    let values = axis.thinned(&axis.timeline.over.descriptors);
    let moments = &axis.timeline.moments;
    let rows = rows(moments, axis.columns());
    let top = ROW * rows.iter().max().map_or(0, |row| row + 1) + 6;
    let range = values.iter().flatten().copied().reduce(Range::with);
    let most = range.map_or(0.0, |range| range.high);
    let highest = axis.timeline.soft.iter().map(|soft| soft.soft as f64).fold(0.0, f64::max);
    let inside = highest <= most * BEYOND;
    let scale = Scale::to(if inside { most.max(highest) } else { most }, 4);
    let (line, area) = axis.line(&values, scale.top);
    let height = top + LARGE + NAMES;
    let (title, description) = (format!("{id}-open-t"), format!("{id}-open-d"));
    let last = axis.timeline.soft.last();
    html! {
        figure {
            figcaption { b { (words::title(Chart::Descriptors)) } " " span.most { (words::most(Chart::Descriptors, most)) } }
            svg.chart role="img" width="100%" height=(height) aria-labelledby=(title) aria-describedby=(description)
                font-family="system-ui, sans-serif" font-size="12" {
                title id=(title) { (words::title(Chart::Descriptors)) }
                desc id=(description) {
                    @if let Some(range) = range { (words::description(r, Chart::Descriptors, range)) }
                }
                (shades(axis, top, LARGE))
                (grid(&scale, Chart::Descriptors, top, LARGE))
                (axis.plot(top, LARGE, html! {
                    path.area d=(area) fill=(LINE) fill-opacity="0.12" {}
                    path.line d=(line) fill="none" stroke=(LINE) stroke-width="2" stroke-linejoin="round" vector-effect="non-scaling-stroke" {}
                }))
                @if inside { (limit_line(axis, &scale, top)) }
                @if let Some(soft) = last {
                    @let y = f64::from(top) + scale.pixel(soft.soft as f64, LARGE) - 6.0;
                    text.limit-name x="100%" dx="-4" y=(if inside { y } else { f64::from(top + 14) }) text-anchor="end" fill=(LIMIT) {
                        @if inside { (words::limit(soft.soft)) } @else { (words::limit_above(soft.soft)) }
                    }
                }
                (marks(axis, &rows, top + LARGE))
                (names(axis, top + LARGE))
            }
            (range_table(r, axis, Chart::Descriptors, &values, detail))
        }
    }
}

/// Each phase, with its first column.
fn stretches<'a>(axis: &'a Axis<'_>) -> impl Iterator<Item = (usize, &'a Stretch)> {
    axis.timeline.phases.iter().scan(0, |place, stretch| {
        let first = *place;
        *place += stretch.columns;
        Some((first, stretch))
    })
}

fn shades(axis: &Axis<'_>, top: u32, height: u32) -> Markup {
    html! {
        @for (place, stretch) in stretches(axis) {
            @let (class, fill) = shade(stretch.phase);
            rect class=(class) x=(axis.at(place as f64)) width=(axis.at(stretch.columns as f64)) y=(top)
                height=(height) fill=(fill) fill-opacity="0.08" {}
            @if place > 0 {
                line.edge x1=(axis.at(place as f64)) x2=(axis.at(place as f64)) y1=(top) y2=(top + height)
                    stroke=(INK) stroke-opacity="0.25" {}
            }
        }
    }
}

/// Lines at round values, and what they are.
fn grid(scale: &Scale, chart: Chart, top: u32, height: u32) -> Markup {
    html! {
        @for mark in &scale.marks {
            @let y = f64::from(top) + scale.pixel(*mark, height);
            line.grid x1="0" x2="100%" y1=(y) y2=(y) stroke=(INK) stroke-opacity="0.15" {}
            text.mark x="4" y=(y - 4.0) fill=(INK) { (words::value(chart, *mark)) }
        }
        line.base x1="0" x2="100%" y1=(top + height) y2=(top + height) stroke=(INK) stroke-opacity="0.6" {}
    }
}

/// The soft limit, which may have been moved.
fn limit_line(axis: &Axis<'_>, scale: &Scale, top: u32) -> Markup {
    let soft = &axis.timeline.soft;
    let y = |soft: &Soft| f64::from(top) + scale.pixel(soft.soft as f64, LARGE);
    let ends = soft.iter().skip(1).map(|next| next.place).chain([axis.columns() as f64]);
    html! {
        @for (n, (step, end)) in soft.iter().zip(ends).enumerate() {
            line.limit x1=(axis.at(step.place)) x2=(axis.at(end)) y1=(y(step)) y2=(y(step))
                stroke=(LIMIT) stroke-width="2" stroke-dasharray="6 4" {}
            @if let Some(before) = n.checked_sub(1).map(|n| &soft[n]) {
                line.limit x1=(axis.at(step.place)) x2=(axis.at(step.place)) y1=(y(before)) y2=(y(step))
                    stroke=(LIMIT) stroke-width="2" stroke-dasharray="6 4" {}
            }
        }
    }
}

/// A line and a letter for each moment.
fn marks(axis: &Axis<'_>, rows: &[u32], bottom: u32) -> Markup {
    html! {
        @for (n, (moment, row)) in axis.timeline.moments.iter().zip(rows).enumerate() {
            @let edge = 0.016 * axis.columns() as f64;
            @let x = axis.at(moment.place.clamp(edge, axis.columns() as f64 - edge));
            @let y = row * ROW + 12;
            line.moment x1=(axis.at(moment.place)) x2=(axis.at(moment.place)) y1=(y) y2=(bottom) stroke=(INK)
                stroke-dasharray="2 3" {}
            circle.badge cx=(x) cy=(y) r="9" fill=(INK) {}
            text.letter x=(x) y=(y + 4) text-anchor="middle" fill="#ffffff" font-weight="600" { (letter(n)) }
        }
    }
}

/// Below the plot: the number of each phase, and its name where that has room.
fn names(axis: &Axis<'_>, bottom: u32) -> Markup {
    html! {
        @for (n, (place, stretch)) in stretches(axis).enumerate() {
            @let share = stretch.columns as f64 / axis.columns() as f64;
            @let middle = axis.at(place as f64 + stretch.columns as f64 / 2.0);
            @let name = phases::name(stretch.phase);
            @let fits = (name.len() + 3) as f64 * LETTER <= share * WIDE;
            @if fits {
                text.wide x=(middle) y=(bottom + 18) text-anchor="middle" fill=(INK) { (n + 1) " " (name) }
                text.narrow x=(middle) y=(bottom + 18) text-anchor="middle" fill=(INK) display="none" { (n + 1) }
            } @else if share >= NUMBER {
                text x=(middle) y=(bottom + 18) text-anchor="middle" fill=(INK) { (n + 1) }
            }
            @let took = words::seconds(stretch.until_s - stretch.from_s);
            @if took.chars().count() as f64 * LETTER <= share * WIDE {
                text.wide.took x=(middle) y=(bottom + 34) text-anchor="middle" fill=(INK) { (took) }
            }
        }
    }
}

/// The key of the picture's letters and numbers.
fn keys(r: &Report, detail: &Detail) -> Markup {
    let timeline = &r.found.timeline;
    let phases = timeline.phases.iter().enumerate().take(detail.rows);
    let rows = phases.map(|(n, stretch)| {
        let cells = words::phase(r, n, stretch);
        std::iter::once((n + 1).to_string()).chain(cells).collect::<Vec<_>>()
    });
    html! {
        div.keys {
            @if !timeline.moments.is_empty() {
                div {
                    p.label { (words::MOMENTS) }
                    ol.moments {
                        @for (n, moment) in timeline.moments.iter().enumerate() {
                            li {
                                span.letter { (letter(n)) } " "
                                span { (words::happened(r, moment.what)) } " "
                                span.when { (words::when(r, moment.at_s)) }
                            }
                        }
                    }
                }
            }
            div.phases {
                p.label { (words::PHASES) }
                (table(&words::PHASE_COLUMNS, rows))
                p.note { (words::AXIS) }
            }
        }
    }
}

/// A small picture on the same axis.
fn panel(
    r: &Report,
    axis: &Axis<'_>,
    chart: Chart,
    values: &[Option<Range>],
    id: &str,
    detail: &Detail,
) -> Markup {
    let values = axis.thinned(values);
    let range = values.iter().flatten().copied().reduce(Range::with).unwrap_or(Range::ZERO);
    let scale = Scale::to(range.high, 2);
    let (line, area) = axis.line(&values, scale.top);
    let (title, description) = (format!("{id}-{chart:?}-t"), format!("{id}-{chart:?}-d"));
    html! {
        figure {
            figcaption { b { (words::title(chart)) } " " span.most { (words::most(chart, range.high)) } }
            svg.chart role="img" width="100%" height=(SMALL + 2) aria-labelledby=(title) aria-describedby=(description)
                font-family="system-ui, sans-serif" font-size="11" {
                title id=(title) { (words::title(chart)) }
                desc id=(description) { (words::description(r, chart, range)) }
                (shades(axis, 0, SMALL))
                (grid(&scale, chart, 0, SMALL))
                (axis.plot(0, SMALL, html! {
                    path.area d=(area) fill=(LINE) fill-opacity="0.12" {}
                    path.line d=(line) fill="none" stroke=(LINE) stroke-width="1.5" stroke-linejoin="round" vector-effect="non-scaling-stroke" {}
                }))
                @for moment in &axis.timeline.moments {
                    line.moment x1=(axis.at(moment.place)) x2=(axis.at(moment.place)) y1="0" y2=(SMALL) stroke=(INK)
                        stroke-dasharray="2 3" {}
                }
            }
            (range_table(r, axis, chart, &values, detail))
        }
    }
}

/// Every so many of the drawn columns that have a value, with the least and the most between.
fn range_table(
    r: &Report,
    axis: &Axis<'_>,
    chart: Chart,
    values: &[Option<Range>],
    detail: &Detail,
) -> Markup {
    let each = values.len().div_ceil(detail.rows.max(1)).max(1);
    let rows = values.chunks(each).enumerate().filter_map(|(n, chunk)| {
        let range = chunk.iter().flatten().copied().reduce(Range::with)?;
        let from = from(r, axis, n * each);
        Some(vec![from, words::value(chart, range.low), words::value(chart, range.high)])
    });
    closed(words::NUMBERS, table(&words::RANGE_COLUMNS, rows))
}

/// When a drawn column begins, as every time in a report.
fn from(r: &Report, axis: &Axis<'_>, drawn: usize) -> String {
    let begins = &axis.timeline.begins_s;
    let at = begins.get(drawn * axis.each).copied().unwrap_or_default();
    format!("{:.3}", at - r.found.timings.started_s)
}

/// Bands that stand on each other, each with its name and the number of its colour.
struct Bands<'a> {
    chart: Chart,
    all: Vec<&'a [u64]>,
    names: Vec<String>,
    colours: Vec<usize>,
}

/// The holders of descriptors: by kind, and by process where there are several.
pub fn held(r: &Report, id: &str, detail: &Detail) -> Option<Markup> {
    let stack = r.found.timeline.stack.as_ref()?;
    let axis = Axis { timeline: &r.found.timeline, each: detail.each };
    let kinds = Bands {
        chart: Chart::Kinds,
        all: stack.kinds.iter().map(|(_, open)| open.as_slice()).collect(),
        names: stack.kinds.iter().map(|(kind, _)| words::kind(*kind).to_owned()).collect(),
        colours: stack.kinds.iter().map(|(kind, _)| *kind as usize).collect(),
    };
    let processes = Bands {
        chart: Chart::Processes,
        all: stack.processes.iter().map(|band| band.open.as_slice()).collect(),
        names: words::processes(stack),
        colours: (1..=stack.processes.len()).map(|n| n % BANDS.len()).collect(),
    };
    let some = [kinds, processes].into_iter().filter(|bands| !bands.all.is_empty());
    let some: Vec<Markup> = some.map(|shown| bands(r, &axis, &shown, id, detail)).collect();
    (!some.is_empty()).then(|| html! { @for bands in some { (bands) } })
}

fn bands(r: &Report, axis: &Axis<'_>, shown: &Bands<'_>, id: &str, detail: &Detail) -> Markup {
    let Bands { chart, all, names, colours } = shown;
    let chart = *chart;
    let thinned = axis.thinned_bands(all);
    let columns = thinned.first().map_or(0, Vec::len);
    let sums: Vec<u64> = (0..columns).map(|n| thinned.iter().map(|band| band[n]).sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0) as f64;
    let range = Range { low: sums.iter().copied().min().unwrap_or(0) as f64, high: most };
    let scale = Scale::to(most, 3);
    let areas = axis.stacked(&thinned, scale.top);
    let height = 150;
    let (title, description) = (format!("{id}-{chart:?}-t"), format!("{id}-{chart:?}-d"));
    // A row for the highest column of each group.
    let each = columns.div_ceil(detail.rows.max(1)).max(1);
    let rows = (0..columns).step_by(each).map(|first| {
        let last = (first + each).min(columns);
        let highest = (first..last).max_by_key(|n| sums[*n]).unwrap_or(first);
        let cells = thinned.iter().map(|band| band[highest].to_string());
        std::iter::once(from(r, axis, first)).chain(cells).collect()
    });
    let headings: Vec<&str> = std::iter::once(words::FROM).chain(names.iter().map(String::as_str)).collect();
    html! {
        figure {
            figcaption { b { (words::title(chart)) } " " span.most { (words::most(chart, most)) } }
            svg.chart role="img" width="100%" height=(height + 2) aria-labelledby=(title) aria-describedby=(description)
                font-family="system-ui, sans-serif" font-size="11" {
                title id=(title) { (words::title(chart)) }
                desc id=(description) { (words::description(r, chart, range)) }
                (axis.plot(0, height, html! {
                    @for (area, colour) in areas.iter().zip(colours) {
                        path class=(format!("band b{colour}")) d=(area) fill=(BANDS[*colour]) {}
                    }
                }))
                (grid(&scale, chart, 0, height))
                @for moment in &axis.timeline.moments {
                    line.moment x1=(axis.at(moment.place)) x2=(axis.at(moment.place)) y1="0" y2=(height) stroke=(INK)
                        stroke-dasharray="2 3" {}
                }
            }
            (legend(names, colours))
            (closed(words::NUMBERS, table(&headings, rows)))
        }
    }
}

/// A square in its colour before each name.
fn legend(names: &[String], colours: &[usize]) -> Markup {
    html! {
        ul.legend {
            @for (name, colour) in names.iter().zip(colours) {
                li {
                    svg width="12" height="12" aria-hidden="true" {
                        rect class=(format!("band b{colour}")) width="12" height="12" fill=(BANDS[*colour]) {}
                    }
                    " " (name)
                }
            }
        }
    }
}

/// The chain of limits, first ancestor first, with a bar for each link.
pub fn chain(r: &Report, id: &str, detail: &Detail) -> Option<Markup> {
    let (short, whole) = (limits::chain(r, false), limits::chain(r, true));
    let most = r.found.limits.chain.iter().map(|link| link.hard.max(link.soft)).max()?;
    let rows = || {
        let links = whole.iter().take(detail.rows).filter_map(|step| match step {
            Step::Link(link, mark) => Some((link, mark)),
            Step::Folded(_) => None,
        });
        links.map(|(link, mark)| words::link_cells(link, *mark, detail.text).to_vec())
    };
    Some(html! {
        (links(&short, most, id, detail))
        @if whole.len() > short.len() {
            (closed(words::WHOLE_CHAIN, table(&words::LINK_COLUMNS, rows())))
        }
    })
}

/// These links, each with its bar.
fn links(steps: &[Step<'_>], most: u64, id: &str, detail: &Detail) -> Markup {
    let share = |n: u64| format!("{:.1}%", 100.0 * ((n + 1) as f64).log2() / ((most as f64) + 1.0).log2());
    let left = steps.len().saturating_sub(detail.rows);
    html! {
        ol.chain {
            @for (n, step) in steps.iter().take(detail.rows).enumerate() {
                @match step {
                    Step::Folded(count) => li.folded { (limits::folded(*count)) },
                    Step::Link(link, mark) => li class=(if mark.is_some() { "link here" } else { "link" }) {
                        div.who {
                            code { (cut(&link.command, detail.text)) }
                            " " span.pid { (limits::pid(link.pid)) }
                            @if let Some(mark) = mark { " " strong.mark { (mark) } }
                        }
                        @let (title, description) = (format!("{id}-l{n}-t"), format!("{id}-l{n}-d"));
                        svg.bar role="img" width="100%" height="14" aria-labelledby=(title) aria-describedby=(description) {
                            title id=(title) { (words::link(link.soft, link.hard)) }
                            desc id=(description) { (words::LINK_BAR) }
                            rect.hard x="0.5" y="1" width=(share(link.hard)) height="11" rx="2" fill="none" stroke=(INK) {}
                            rect.soft x="0.5" y="1" width=(share(link.soft)) height="11" rx="2" fill=(if mark.is_some() { LIMIT } else { "#57606a" }) {}
                        }
                        div.pair { (words::link(link.soft, link.hard)) }
                    },
                }
            }
        }
        @if left > 0 { p.more { (words::left_out(left, "process")) } }
        p.note { (words::LINK_BAR) }
    }
}

/// The clients that connected, as parts of one bar.
pub fn clients(r: &Report, id: &str) -> Option<Markup> {
    let places = clients::places(r);
    let all: u64 = places.iter().map(|(n, _)| n).sum();
    if all == 0 {
        return None;
    }
    let names: Vec<String> = places.iter().map(|(n, what)| format!("{n} {what}")).collect();
    let colours: Vec<usize> = (1..=names.len()).map(|n| n % BANDS.len()).collect();
    let percent = |n: u64| format!("{:.2}%", n as f64 * 100.0 / all as f64);
    let before = places.iter().scan(0, |sum, (n, _)| {
        let before = *sum;
        *sum += n;
        Some(before)
    });
    let rows = places.iter().map(|(n, what)| vec![n.to_string(), what.clone()]).collect::<Vec<_>>();
    Some(html! {
        figure {
            svg.chart role="img" width="100%" height="28" aria-labelledby={ (id) "-clients-t" }
                aria-describedby={ (id) "-clients-d" } {
                title id={ (id) "-clients-t" } { (words::CLIENTS) }
                desc id={ (id) "-clients-d" } { (words::CLIENTS_BAR) " " (names.join(", ")) "." }
                @for (((n, _), colour), before) in places.iter().zip(&colours).zip(before) {
                    rect class=(format!("band b{colour}")) x=(percent(before)) width=(percent(*n)) y="0" height="28"
                        fill=(BANDS[*colour]) {}
                }
            }
            (legend(&names, &colours))
            (closed(words::NUMBERS, table(&words::CLIENT_COLUMNS, rows)))
        }
    })
}

/// How soon the first waiting client was served, a mark for each round.
pub fn rounds(r: &Report, id: &str, detail: &Detail) -> Option<Markup> {
    let all = &r.found.rounds.rounds;
    if all.len() < 2 {
        return None;
    }
    let served: Vec<f64> = all.iter().filter_map(|round| round.first_served_s.value()).collect();
    let most = served.iter().copied().fold(0.0, f64::max);
    let scale = Scale::to(most, 3);
    let at = |s: f64| format!("{:.2}%", 2.0 + 96.0 * s / scale.top);
    let spread = r.found.rounds.first_served_quantiles.value();
    let rows = all.iter().zip(1..).take(detail.rows).map(|(round, n)| words::round(n, round).to_vec());
    Some(html! {
        figure {
            @if !served.is_empty() {
                svg.chart role="img" width="100%" height="64" aria-labelledby={ (id) "-rounds-t" }
                    aria-describedby={ (id) "-rounds-d" } font-family="system-ui, sans-serif" font-size="11" {
                    title id={ (id) "-rounds-t" } { (words::ROUNDS) }
                    desc id={ (id) "-rounds-d" } { (words::ROUNDS_PICTURE) }
                    line.base x1="2%" x2="98%" y1="40" y2="40" stroke=(INK) stroke-opacity="0.6" {}
                    @for mark in std::iter::once(&0.0).chain(&scale.marks) {
                        line.edge x1=(at(*mark)) x2=(at(*mark)) y1="36" y2="44" stroke=(INK) {}
                        text.mark x=(at(*mark)) y="58" text-anchor=(if *mark == 0.0 { "start" } else { "middle" }) fill=(INK) { (words::seconds(*mark)) }
                    }
                    @if let Some(spread) = spread {
                        line.limit x1=(at(spread.p50)) x2=(at(spread.p50)) y1="6" y2="40" stroke=(LIMIT) stroke-width="2" {}
                    }
                    @for s in &served {
                        circle.dot cx=(at(*s)) cy="26" r="5" fill=(LINE) fill-opacity="0.55" {}
                    }
                }
            }
            figcaption { (words::ROUNDS_PICTURE) }
            (closed(words::NUMBERS, table(&words::ROUND_COLUMNS, rows)))
        }
    })
}

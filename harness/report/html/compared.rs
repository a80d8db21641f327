//! The page of a comparison: the answer, how far each quantity moved, the table, and all facts.

use super::super::compare::tells;
use super::super::words::compare as words;
use super::super::words::picture::FACTS;
use super::parts::{prose, table};
use crate::compare::statistics::Interval;
use crate::compare::{Change, Comparison, Row, Scale};
use maud::{Markup, html};

/// The picture ends at this ratio and its inverse.
const WIDEST: f64 = 16.0;

/// Title, answer, pictures, table and facts.
pub fn body(comparison: &Comparison) -> Markup {
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| tells(row)).collect();
    let moved: Vec<(&Row, Interval)> = rows.iter().filter_map(|row| Some((*row, ratio(row)?))).collect();
    let cells = |row: &&Row| words::cells(comparison, row).to_vec();
    html! {
        header.top { p.brand { "lastfd" } h1 { (words::TITLE) } }
        main {
            p.lead { (prose(&words::answer(comparison))) }
            section {
                h2 { (words::QUANTITIES) }
                @if !moved.is_empty() { (ratios(&moved)) }
                (table(&words::headings(comparison), rows.iter().map(cells)))
            }
            section {
                h2 { (FACTS) }
                dl.facts {
                    @for (label, text) in words::facts(comparison) {
                        div { dt { (label) } " " dd { @for line in text.lines() { p { (prose(line)) } } } }
                    }
                }
            }
        }
        footer { p { (words::MADE) } }
    }
}

/// After to before: where they differ by a ratio, and the interval of that is known.
fn ratio(row: &Row) -> Option<Interval> {
    let [before, after] = row.medians;
    let interval = match row.change {
        Change::Better(interval) | Change::Worse(interval) | Change::Same(interval) => interval,
        Change::Open { interval, .. } => interval?,
        Change::Exactly { .. } => Interval::new(after / before, after / before),
        Change::ExactlySame | Change::Unknown(_) => return None,
    };
    let drawn = |n: f64| n.is_finite() && n > 0.0;
    (row.quantity.scale() == Scale::Ratio && drawn(interval.low) && drawn(interval.high)).then_some(interval)
}

/// A bar for each quantity, from half to double and beyond; the line in the middle is no change.
fn ratios(rows: &[(&Row, Interval)]) -> Markup {
    let most = rows.iter().flat_map(|(_, interval)| [interval.low, interval.high]);
    let most = most.map(|ratio| ratio.max(1.0 / ratio)).fold(1.25, f64::max).min(WIDEST);
    let place = |ratio: f64| 50.0 + 46.0 * (ratio.log2() / most.log2()).clamp(-1.0, 1.0);
    html! {
        ul.ratios {
            @for (n, (row, interval)) in rows.iter().enumerate() {
                @let (low, high) = (place(interval.low), place(interval.high));
                // Up to the end that is nearer to no change.
                @let sure = if low > 50.0 { low } else { high.min(50.0) };
                @let colour = match row.change {
                    Change::Better(_) | Change::Exactly { better: true } => ("better", "#116329"),
                    Change::Worse(_) | Change::Exactly { better: false } => ("worse", "#a40e26"),
                    _ => ("same", "#57606a"),
                };
                li {
                    span { (words::label(row.quantity)) }
                    svg.chart role="img" width="100%" height="22" aria-labelledby={ "q" (n) "-t" }
                        aria-describedby={ "q" (n) "-d" } {
                        title id={ "q" (n) "-t" } { (words::label(row.quantity)) }
                        desc id={ "q" (n) "-d" } { (words::change(row)) }
                        line.base x1="0" x2="100%" y1="11" y2="11" stroke="#1f2328" stroke-opacity="0.25" {}
                        line.edge x1="50%" x2="50%" y1="1" y2="21" stroke="#1f2328" {}
                        rect class=(colour.0) x={ (format!("{:.2}", sure.min(50.0))) "%" } y="9" height="4"
                            width={ (format!("{:.2}", (sure - 50.0).abs())) "%" } fill=(colour.1) fill-opacity="0.4" {}
                        rect class=(colour.0) x={ (format!("{low:.2}")) "%" } y="7" height="8" rx="2"
                            width={ (format!("{:.2}", (high - low).max(0.4))) "%" } fill=(colour.1) {}
                    }
                    span.change { (words::change(row)) }
                }
            }
        }
        p.note { (words::ratios(most)) }
    }
}

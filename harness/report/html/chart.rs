//! Drawing over the time axis: paths and scales. Positions along the axis are percentages, so that a picture
//! fills any width while its text keeps its size.

use crate::measure::{Range, Timeline};
use maud::{Markup, html};
use std::fmt::Write;

/// Height of a plot in its own units.
const HIGH: f64 = 1000.0;

/// A value for each column; several columns are drawn as one where there is little room.
pub struct Axis<'a> {
    pub timeline: &'a Timeline,
    /// Columns that are drawn as one.
    pub each: usize,
}

/// The part of the axis before a place, in percent.
fn percent(place: f64, columns: usize) -> String {
    let text = format!("{:.2}", place * 100.0 / columns.max(1) as f64);
    text.trim_end_matches('0').trim_end_matches('.').to_owned() + "%"
}

impl Axis<'_> {
    /// All columns.
    pub fn columns(&self) -> usize {
        self.timeline.begins_s.len()
    }

    /// Where a place is, as an attribute has it.
    pub fn at(&self, place: f64) -> String {
        percent(place, self.columns())
    }

    /// The values of columns that are drawn as one.
    pub fn thinned(&self, values: &[Option<Range>]) -> Vec<Option<Range>> {
        let one = |chunk: &[Option<Range>]| chunk.iter().flatten().copied().reduce(Range::with);
        values.chunks(self.each.max(1)).map(one).collect()
    }

    /// The bands with fewer columns: each drawn column shows all bands at the column where their sum is
    /// highest.
    pub fn thinned_bands(&self, bands: &[&[u64]]) -> Vec<Vec<u64>> {
        let all = self.columns();
        let sum = |column: usize| -> u64 { bands.iter().map(|band| band[column]).sum() };
        let highest = |first: usize| {
            let last = (first + self.each.max(1)).min(all);
            (first..last).max_by_key(|column| sum(*column)).unwrap_or(first)
        };
        let columns: Vec<usize> = (0..all).step_by(self.each.max(1)).map(highest).collect();
        bands.iter().map(|band| columns.iter().map(|column| band[*column]).collect()).collect()
    }

    /// The middle of the `n`-th drawn column, in units of half a column.
    fn middle(&self, n: usize) -> usize {
        let each = self.each.max(1);
        (2 * n * each + each).min(2 * self.columns())
    }

    /// The drawing area, of `height` pixels from `top` on: as wide as the picture.
    pub fn plot(&self, top: u32, height: u32, inside: Markup) -> Markup {
        let view = format!("0 0 {} {HIGH}", 2 * self.columns());
        html! {
            svg x="0" y=(top) width="100%" height=(height) viewBox=(view) preserveAspectRatio="none" { (inside) }
        }
    }

    /// A line through the values, and the area below it.
    pub fn line(&self, values: &[Option<Range>], top: f64) -> (String, String) {
        let mut points: Vec<(usize, i64)> = Vec::new();
        for (n, range) in values.iter().enumerate().filter_map(|(n, range)| Some((n, (*range)?))) {
            let (x, low, high) = (self.middle(n), y(range.low, top), y(range.high, top));
            // From the one that is nearer.
            let near = points.last().is_none_or(|(_, last)| last.abs_diff(low) <= last.abs_diff(high));
            let (first, second) = if near { (low, high) } else { (high, low) };
            points.push((x, first));
            points.extend((first != second).then_some((x, second)));
        }
        let line = path(&points);
        let area = match (points.first(), points.last()) {
            (Some((first, _)), Some((last, _))) => format!("{line}L{last} {HIGH}L{first} {HIGH}Z"),
            _ => String::new(),
        };
        (line, area)
    }

    /// The areas of bands that stand on each other.
    pub fn stacked(&self, bands: &[Vec<u64>], top: f64) -> Vec<String> {
        let mut below = vec![0u64; bands.first().map_or(0, Vec::len)];
        bands
            .iter()
            .map(|band| {
                let above: Vec<u64> = below.iter().zip(band).map(|(below, own)| below + own).collect();
                let edge = |values: &[u64]| -> Vec<(usize, i64)> {
                    let y = |value: &u64| y(*value as f64, top);
                    values.iter().enumerate().map(|(n, value)| (self.middle(n), y(value))).collect()
                };
                let mut back = edge(&below);
                back.reverse();
                let area = format!("{}L{}Z", path(&edge(&above)), path(&back).trim_start_matches('M'));
                below = above;
                area
            })
            .collect()
    }
}

/// Down from the top, in units of the plot.
fn y(value: f64, top: f64) -> i64 {
    (HIGH - (value / top.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * HIGH).round() as i64
}

/// A path through points, without those in the middle of a level stretch.
fn path(points: &[(usize, i64)]) -> String {
    let mut text = String::new();
    for (n, (x, y)) in points.iter().enumerate() {
        let level = |other: Option<&(usize, i64)>| other.is_some_and(|(_, other)| other == y);
        if n > 0 && level(points.get(n - 1)) && level(points.get(n + 1)) {
            continue;
        }
        let _ = write!(text, "{}{x} {y}", if n == 0 { 'M' } else { 'L' });
    }
    text
}

/// The top of a scale for values up to this, and the values that are marked on it.
pub struct Scale {
    pub top: f64,
    pub marks: Vec<f64>,
}

impl Scale {
    /// With about so many marks.
    pub fn to(most: f64, marks: usize) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / marks.max(1) as f64;
        let ten = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * ten).into_iter().find(|step| *step >= rough * 0.99);
        let step = step.unwrap_or(ten * 10.0);
        let count = (most / step + 1e-9).floor() as usize;
        Scale { top: most * 1.14, marks: (1..=count.min(12)).map(|n| n as f64 * step).collect() }
    }

    /// Pixels from the top of a plot of this height.
    pub fn pixel(&self, value: f64, height: u32) -> f64 {
        let down = f64::from(height) * (1.0 - (value / self.top).clamp(0.0, 1.0));
        (down * 10.0).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_below_the_most() {
        for (most, marks) in
            [(1024.0, vec![500.0, 1000.0]), (3.0, vec![1.0, 2.0, 3.0]), (0.0, vec![0.5, 1.0])]
        {
            assert_eq!(Scale::to(most, 3).marks, marks, "{most}");
        }
    }

    #[test]
    fn a_level_stretch_is_two_points() {
        assert_eq!(path(&[(1, 5), (3, 5), (5, 5), (7, 9)]), "M1 5L5 5L7 9");
        assert_eq!(path(&[]), "");
    }
}

//! The time axis of a picture: so many columns, each a slice of time. Short phases are drawn wider than they
//! are, for the ramp is over in a moment and is what one wants to see.

use crate::event::{Nanos, Phase};
use crate::measure::facts::Window;

/// Columns in all, but for rounding.
pub(super) const COLUMNS: usize = 240;
/// The part of the axis that each phase has at least, where that leaves enough for the long ones.
const LEAST: f64 = 0.06;
/// The part that the least widths may take together.
const LEAST_IN_ALL: f64 = 0.6;
/// Phases beyond these are drawn as one.
const PHASES: usize = 40;

/// One phase on the axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub phase: Phase,
    pub window: Window,
    /// Its first column, and how many it has.
    pub first: usize,
    pub columns: usize,
}

/// The axis of one run.
pub(super) struct Axis {
    pub parts: Vec<Part>,
    /// All columns.
    pub columns: usize,
}

impl Axis {
    /// An axis of these phases, one after the other.
    pub fn of(mut phases: Vec<(Phase, Window)>) -> Self {
        let end = phases.last().map_or(0, |(_, window)| window.until);
        phases.truncate(PHASES);
        if let Some((_, last)) = phases.last_mut() {
            last.until = end;
        }
        let all: Nanos = phases.iter().map(|(_, window)| window.until - window.from).sum();
        let least = LEAST.min(LEAST_IN_ALL / phases.len().max(1) as f64);
        let shared = 1.0 - least * phases.len() as f64;
        let (mut parts, mut first) = (Vec::new(), 0);
        for (phase, window) in phases {
            let share = (window.until - window.from) as f64 / all.max(1) as f64;
            let columns = (((least + shared * share) * COLUMNS as f64).round() as usize).max(1);
            parts.push(Part { phase, window, first, columns });
            first += columns;
        }
        Axis { parts, columns: first }
    }

    /// The place of a moment, in columns; `None` if it is outside of the axis.
    pub fn place(&self, at: Nanos) -> Option<f64> {
        // The last phase that has begun by then.
        let part = self.parts.iter().rfind(|part| part.window.from <= at)?;
        let length = (part.window.until - part.window.from).max(1) as f64;
        let within = (at - part.window.from) as f64 / length;
        (at <= part.window.until).then(|| part.first as f64 + within.min(1.0) * part.columns as f64)
    }

    /// The column of a moment.
    pub fn column(&self, at: Nanos) -> Option<usize> {
        self.place(at).map(|place| (place as usize).min(self.columns - 1))
    }

    /// When each column begins.
    pub fn begins(&self) -> Vec<Nanos> {
        let slices = |part: &Part| {
            let (from, length) = (part.window.from, u128::from(part.window.until - part.window.from));
            let columns = part.columns as u128;
            (0..columns).map(move |n| from + (length * n / columns) as Nanos)
        };
        self.parts.iter().flat_map(slices).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(spans: &[(Phase, Nanos, Nanos)]) -> Axis {
        Axis::of(spans.iter().map(|&(phase, from, until)| (phase, Window { from, until })).collect())
    }

    #[test]
    fn a_short_phase_is_wide_enough_to_be_seen_and_time_never_runs_backwards() {
        let spans =
            [(Phase::Launch, 0, 5_000), (Phase::Ramp, 5_000, 6_000), (Phase::Saturate, 6_000, 1_000_000)];
        let axis = axis(&spans);
        assert!(axis.parts.iter().all(|part| part.columns >= 14), "{:?}", axis.parts);
        assert!((COLUMNS - 3..=COLUMNS + 3).contains(&axis.columns));
        let places: Vec<f64> = (0..=1_000).map(|at| axis.place(at * 1_000).unwrap()).collect();
        assert!(places.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!((axis.place(1_000_001), axis.column(1_000_000)), (None, Some(axis.columns - 1)));
        let begins = axis.begins();
        assert_eq!(begins.len(), axis.columns);
        assert!(
            begins.iter().enumerate().all(|(n, at)| axis.column(*at).is_some_and(|c| c.abs_diff(n) <= 1))
        );
    }

    #[test]
    fn a_thousand_phases_take_no_more_columns_than_few() {
        let many: Vec<_> = (0..1_000).map(|n| (Phase::ReleaseSome, n, n + 1)).collect();
        let axis = axis(&many);
        assert!(axis.parts.len() == PHASES && axis.columns <= COLUMNS + PHASES, "{}", axis.columns);
        assert_eq!(axis.column(1_000), Some(axis.columns - 1));
    }
}

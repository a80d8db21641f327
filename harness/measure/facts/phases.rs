//! When each phase of the run began and ended.

use crate::event::{Ended, Event, Nanos, Phase, What};

/// A stretch of the run: `from` belongs to it, `until` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub from: Nanos,
    pub until: Nanos,
}

impl Window {
    pub fn contains(&self, at: Nanos) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// The phases of one run.
pub(crate) struct Phases {
    /// Each time that a phase began, in order.
    begun: Vec<(Nanos, Phase)>,
    /// Each time that one ended, and why, in order.
    pub ended: Vec<(Nanos, Phase, Ended)>,
    /// The last event's time.
    pub end: Nanos,
}

impl Phases {
    pub fn new(events: &[&Event]) -> Self {
        let begun = events
            .iter()
            .filter_map(|e| if let What::Phase(phase) = e.is { Some((e.at, phase)) } else { None });
        let ended = events.iter().filter_map(|e| match e.is {
            What::PhaseEnded { phase, why } => Some((e.at, phase, why)),
            _ => None,
        });
        Phases { begun: begun.collect(), ended: ended.collect(), end: events.last().map_or(0, |e| e.at) }
    }

    /// Why the phase ended, the first time; `None` where the log ends before.
    pub fn why_ended(&self, phase: Phase) -> Option<Ended> {
        self.ended.iter().find(|(_, ended, _)| *ended == phase).map(|(.., why)| *why)
    }

    /// The same, the last time.
    pub fn why_ended_last(&self, phase: Phase) -> Option<Ended> {
        self.ended.iter().rfind(|(_, ended, _)| *ended == phase).map(|(.., why)| *why)
    }

    /// Each phase that ended: when it began, when it ended, and why.
    pub fn spans(&self) -> Vec<(Phase, Window, Ended)> {
        let span = |&(until, phase, why): &(Nanos, Phase, Ended)| {
            let begun = self.begun.iter().rfind(|(at, begun)| *begun == phase && *at <= until);
            begun.map(|&(from, _)| (phase, Window { from, until }, why))
        };
        self.ended.iter().filter_map(span).collect()
    }

    /// The run from its first phase to its end, phase by phase: each lasts until the next one begins, the
    /// last until it ended.
    pub fn stretches(&self) -> Vec<(Phase, Window)> {
        let over = self.ended.last().map(|(at, ..)| *at).filter(|_| self.ended.len() >= self.begun.len());
        let ends = self.begun.iter().skip(1).map(|(at, _)| *at).chain([over.unwrap_or(self.end)]);
        let all = self.begun.iter().zip(ends);
        all.map(|(&(from, phase), until)| (phase, Window { from, until: until.max(from) })).collect()
    }

    /// When the phase first began.
    pub fn start(&self, phase: Phase) -> Option<Nanos> {
        self.begun.iter().find(|(_, begun)| *begun == phase).map(|(at, _)| *at)
    }

    /// When the phase last began.
    pub fn last(&self, phase: Phase) -> Option<Nanos> {
        self.begun.iter().rfind(|(_, begun)| *begun == phase).map(|(at, _)| *at)
    }

    /// When the last second round began; `None` where the subject closed some during it, and settled once
    /// more.
    pub fn second_round(&self) -> Option<Nanos> {
        self.last(Phase::SecondRound).filter(|round| self.last(Phase::Settle).is_none_or(|at| at < *round))
    }

    /// When the first of this phase and the later ones began; just after the last event when none did.
    ///
    /// A program that calls as soon as it runs is loaded from its launch on: nobody counts it at rest before.
    pub fn from(&self, phase: Phase) -> Nanos {
        let at_once = self.loaded() && self.start(Phase::Baseline).is_none();
        let phase = if phase == Phase::Ramp && at_once { Phase::Launch } else { phase };
        let later = self.begun.iter().filter(|(_, begun)| *begun as usize >= phase as usize);
        later.map(|(at, _)| *at).min().unwrap_or(self.end.saturating_add(1))
    }

    /// Whether any client was ever told to connect.
    pub fn loaded(&self) -> bool {
        self.start(Phase::Ramp).is_some()
    }

    /// When saturation stops being watched undisturbed: later clients are probes.
    pub fn watched_until(&self) -> Nanos {
        self.from(Phase::Probe)
    }

    /// The end of the wall: the time when limits are moved, or when the first clients begin to leave.
    pub fn released_from(&self) -> Nanos {
        self.from(Phase::Moved)
    }

    /// The windows that begin with each start of `phase`, up to the next one; the last ends where `closing`
    /// begins.
    pub fn windows(&self, phase: Phase, closing: Phase) -> Vec<Window> {
        let close = self.from(closing);
        let starts: Vec<Nanos> = self
            .begun
            .iter()
            .filter(|(at, begun)| *begun == phase && *at < close)
            .map(|(at, _)| *at)
            .collect();
        let ends = starts.iter().skip(1).copied().chain([close]);
        starts.iter().zip(ends).map(|(&from, until)| Window { from, until }).collect()
    }
}

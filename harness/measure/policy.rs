//! What the accept loop does when it cannot accept, told from the times of its failing calls alone: never from the
//! program's name or its log. [`PolicyWatch`] tells the run, while it watches, when it has seen enough.

use super::timeline::seconds;
use super::tree::full;
use crate::event::{Change, Event, Nanos, What};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What an accept loop does with a full table (contract.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Tries again at once, without pause.
    Spin,
    /// Many failures in bursts, with pauses between.
    Storm,
    /// Tries again after a constant time.
    FixedDelay,
    /// Tries again after a time that grows.
    Backoff,
    /// Takes waiting clients and closes them.
    Sheds,
    /// Stops, or turns clients away, by a rule of its own below the limit.
    LimitsItself,
    /// Exits.
    Exits,
    /// A worker exits and another takes its place.
    WorkerRestarts,
    /// Fails once and never accepts again, also when descriptors are free.
    AcceptLoopDead,
    /// None of these fits what was seen.
    Unclear,
    /// Nothing failed.
    None,
}

impl Policy {
    /// As in the report and in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Spin => "spin",
            Policy::Storm => "storm",
            Policy::FixedDelay => "fixed-delay",
            Policy::Backoff => "backoff",
            Policy::Sheds => "sheds",
            Policy::LimitsItself => "limits-itself",
            Policy::Exits => "exits",
            Policy::WorkerRestarts => "worker-restarts",
            Policy::AcceptLoopDead => "accept-loop-dead",
            Policy::Unclear => "unclear",
            Policy::None => "none",
        }
    }
}

/// Failures closer than this are one batch: several threads or listeners that fail together.
const BATCH: Nanos = 2_000_000;
/// A loop whose median gap is below this does not pause in earnest.
const NO_PAUSE: Nanos = 5_000_000;
/// A gap above this is a pause between bursts.
const PAUSE: Nanos = 20_000_000;
/// Failures a second from which a loop without pauses spins.
const SPIN_PER_S: f64 = 200.0;
/// Fewer failures than this say nothing of a rate.
const SPIN_AT_LEAST: usize = 20;
/// Largest gap less smallest, over the median, of gaps that count as equal.
const SPREAD: f64 = 0.25;
/// A gap that grows has at least this ratio to the one before.
const GROWTH: f64 = 1.3;

/// The rhythm of a series of failures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rhythm {
    Spin,
    Storm {
        bursts: usize,
        size: f64,
    },
    Fixed {
        gap_s: f64,
        gaps: usize,
    },
    Grows {
        from_s: f64,
        to_s: f64,
        factor: f64,
    },
    /// One batch, then nothing more.
    Once,
    Unclear,
}

/// Starts and sizes of the batches in sorted times.
pub(super) fn batches(times: &[Nanos]) -> Vec<(Nanos, usize)> {
    let mut all: Vec<(Nanos, usize)> = Vec::new();
    let mut last = 0;
    for &at in times {
        match all.last_mut() {
            Some(batch) if at.saturating_sub(last) < BATCH => batch.1 += 1,
            _ => all.push((at, 1)),
        }
        last = at;
    }
    all
}

fn gaps(times: &[Nanos], stride: usize) -> Vec<f64> {
    times.iter().zip(times.iter().skip(stride)).map(|(a, b)| seconds(b.saturating_sub(*a))).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The rhythm of these failures (sorted), watched until `until`. `per_s` is their exact rate where it is known.
pub(super) fn rhythm(times: &[Nanos], per_s: Option<f64>, until: Nanos) -> Rhythm {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Rhythm::Unclear };
    let raw = gaps(times, 1);
    let span = seconds(last - first);
    let paused: f64 = raw.iter().filter(|g| **g >= seconds(PAUSE)).sum();
    let rate = if span > 0.0 { raw.len() as f64 / span } else { 0.0 }.max(per_s.unwrap_or(0.0));
    if times.len() >= SPIN_AT_LEAST && rate >= SPIN_PER_S && median(&raw) < seconds(NO_PAUSE) && paused <= span / 2.0 {
        return Rhythm::Spin;
    }
    let all = batches(times);
    let size = times.len() as f64 / all.len() as f64;
    if all.len() >= 2 && size >= 10.0 {
        return Rhythm::Storm { bursts: all.len(), size };
    }
    let starts: Vec<Nanos> = all.iter().map(|b| b.0).collect();
    match starts.len() {
        1 => return Rhythm::Once,
        2 => {
            let gap = seconds(starts[1] - starts[0]);
            let silence = seconds(until.saturating_sub(last));
            return if silence <= gap * (1.0 + SPREAD) { Rhythm::Fixed { gap_s: gap, gaps: 1 } } else { Rhythm::Unclear };
        }
        _ => {}
    }
    // Several listeners that retry independently interleave: every second (third …) failure then is one listener's.
    (1..=4).find_map(|stride| fixed(&starts, stride).or_else(|| grows(&starts, stride))).unwrap_or(Rhythm::Unclear)
}

fn fixed(starts: &[Nanos], stride: usize) -> Option<Rhythm> {
    let gaps = gaps(starts, stride);
    let middle = median(&gaps);
    if gaps.len() < 2 * stride || middle <= 0.0 {
        return None;
    }
    let near = gaps.iter().filter(|g| (**g - middle).abs() <= middle * SPREAD / 2.0).count();
    let (most, least) = gaps.iter().fold((0f64, f64::MAX), |(m, l), &g| (m.max(g), l.min(g)));
    let constant = most - least <= middle * SPREAD || (gaps.len() >= 5 && near * 5 >= gaps.len() * 4);
    constant.then_some(Rhythm::Fixed { gap_s: middle, gaps: gaps.len() })
}

fn grows(starts: &[Nanos], stride: usize) -> Option<Rhythm> {
    // One lane at a time: each `stride`th start, from its own first.
    let lane: Vec<Nanos> = starts.iter().step_by(stride).copied().collect();
    let gaps = gaps(&lane, 1);
    let ratios: Vec<f64> = gaps.windows(2).map(|w| if w[0] > 0.0 { w[1] / w[0] } else { 0.0 }).collect();
    let (mut longest, mut run) = (0..0, 0..0);
    for (i, ratio) in ratios.iter().enumerate() {
        run = if *ratio > GROWTH { if run.end == i { run.start..i + 1 } else { i..i + 1 } } else { i + 1..i + 1 };
        if run.len() > longest.len() {
            longest = run.clone();
        }
    }
    if longest.len() < 2 {
        return None;
    }
    // The last step may be cut short by the plateau.
    let steps = &ratios[longest.start..longest.end];
    let full_steps = if steps.len() > 2 { &steps[..steps.len() - 1] } else { steps };
    // A retry that comes late makes one gap longer and the next one shorter: their product is right.
    let factor = full_steps.iter().product::<f64>().powf(1.0 / full_steps.len() as f64);
    let about_constant = full_steps.iter().all(|r| *r <= factor * 1.6 && *r >= factor / 1.6);
    let resets = ratios.iter().filter(|r| **r < 0.75).count();
    let fits = about_constant && resets * 2 <= longest.len();
    let from_s = gaps[..=longest.start].iter().fold(f64::MAX, |least, g| least.min(*g));
    fits.then(|| Rhythm::Grows { from_s, to_s: gaps.iter().fold(0.0, |m: f64, g| m.max(*g)), factor })
}

/// Told of each failing call as it happens, says as soon as the policy is plain. Its memory is bounded.
#[derive(Debug, Clone, Default)]
pub struct PolicyWatch {
    recent: VecDeque<Nanos>,
    starts: VecDeque<Nanos>,
    first: Option<Nanos>,
    decided: Option<Policy>,
}

impl PolicyWatch {
    /// Failures within half a second that are a spin, unless they stop soon: then it was a burst.
    const SPIN: usize = 100;
    const SPINS_FOR: Nanos = 300_000_000;
    const STARTS: usize = 5;

    /// Has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A descriptor call of the accepting process failed with EMFILE or ENFILE.
    pub fn failed(&mut self, at: Nanos) {
        if self.decided.is_some() {
            return;
        }
        let last = self.recent.back().copied();
        let first = *self.first.get_or_insert(at);
        self.recent.push_back(at);
        if self.recent.len() > Self::SPIN {
            self.recent.pop_front();
        }
        if last.is_none_or(|last| at.saturating_sub(last) >= BATCH) {
            self.starts.push_back(at);
            if self.starts.len() > Self::STARTS {
                self.starts.pop_front();
            }
        }
        let within = self.recent.front().map_or(0, |first| at.saturating_sub(*first));
        let gaps = gaps(self.starts.make_contiguous(), 1);
        let three = &gaps[gaps.len().saturating_sub(3)..];
        let (most, least) = three.iter().fold((0f64, f64::MAX), |(m, l), &g| (m.max(g), l.min(g)));
        if self.recent.len() == Self::SPIN && within < 500_000_000 && at.saturating_sub(first) >= Self::SPINS_FOR {
            self.decided = Some(Policy::Spin);
        } else if three.len() == 3 && least >= seconds(NO_PAUSE) && most - least <= median(three) * SPREAD {
            self.decided = Some(Policy::FixedDelay);
        } else if gaps.len() == 4 && gaps.windows(2).all(|w| w[1] > w[0] * GROWTH) {
            self.decided = Some(Policy::Backoff);
        }
    }

    /// So many calls failed that their times are no longer known.
    pub fn flooded(&mut self) {
        self.decided.get_or_insert(Policy::Spin);
    }

    /// The process that failed exited.
    pub fn exited(&mut self) {
        if !self.recent.is_empty() {
            self.decided = Some(Policy::Exits);
        }
    }

    /// The policy, once it is plain; the measured one may be finer (`sheds`, `worker-restarts`).
    pub fn decided(&self) -> Option<Policy> {
        self.decided
    }
}

/// Whether these events of a saturated subject (in order of time) show its policy already.
pub fn decided<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Policy> {
    let mut watch = PolicyWatch::new();
    let mut failing = None;
    for event in events {
        match event.is {
            What::Call { pid, ret, .. } if full(ret).is_some() && failing.is_none_or(|f| f == pid) => {
                failing = Some(pid);
                watch.failed(event.at);
            }
            What::Process { pid, change: Change::Exit, .. } | What::Exited { pid, .. } if failing == Some(pid) => watch.exited(),
            What::SamplingStopped => watch.flooded(),
            _ => {}
        }
    }
    watch.decided()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn after(gaps_ms: &[u64]) -> Vec<Nanos> {
        let mut at = 40 * MS;
        std::iter::once(at)
            .chain(gaps_ms.iter().map(|g| {
                at += g * MS;
                at
            }))
            .collect()
    }

    fn watched(times: &[Nanos]) -> Option<Policy> {
        let mut watch = PolicyWatch::new();
        times.iter().for_each(|&at| watch.failed(at));
        watch.decided()
    }

    #[test]
    fn retries_every_millisecond_without_end_are_a_spin() {
        let times: Vec<Nanos> = (0..400).map(|i| i * MS).collect();
        assert_eq!(rhythm(&times, None, 400 * MS), Rhythm::Spin);
        assert_eq!(watched(&times), Some(Policy::Spin));
    }

    #[test]
    fn delays_that_double_up_to_a_second_are_a_backoff() {
        let times = after(&[5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        let Rhythm::Grows { factor, .. } = rhythm(&times, None, 5000 * MS) else { panic!("{:?}", rhythm(&times, None, 5000 * MS)) };
        assert!((factor - 2.0).abs() < 1e-9);
        assert_eq!(watched(&times), Some(Policy::Backoff));
        assert_eq!(watched(&times[..4]), None, "three gaps are not enough to stop watching");
    }

    #[test]
    fn delays_that_double_are_a_backoff_also_on_a_busy_machine() {
        // A server that doubles from 5 ms, recorded beside eight other loads.
        let times = after(&[8, 10, 28, 40, 99, 160]);
        let Rhythm::Grows { from_s, factor, .. } = rhythm(&times, None, 560 * MS) else { panic!("{:?}", rhythm(&times, None, 560 * MS)) };
        assert!((1.8..2.4).contains(&factor) && from_s < 0.01, "{factor} from {from_s}");
    }

    #[test]
    fn equal_delays_are_a_fixed_delay_also_when_only_one_fits_into_the_hold() {
        assert_eq!(rhythm(&after(&[500, 501, 503]), None, 2000 * MS), Rhythm::Fixed { gap_s: 0.501, gaps: 3 });
        assert_eq!(watched(&after(&[500, 501, 503])), Some(Policy::FixedDelay));
        assert_eq!(rhythm(&after(&[1000]), None, 1900 * MS), Rhythm::Fixed { gap_s: 1.0, gaps: 1 });
        assert_eq!(rhythm(&after(&[1000]), None, 4000 * MS), Rhythm::Unclear, "the next retry never came");
    }

    #[test]
    fn two_listeners_with_delays_of_their_own_are_told_apart() {
        let mut times = after(&[500, 500, 500, 500]);
        times.extend(after(&[500, 500, 500, 500]).iter().map(|t| t + 170 * MS));
        times.sort_unstable();
        assert!(matches!(rhythm(&times, None, 2300 * MS), Rhythm::Fixed { gap_s, .. } if (gap_s - 0.5).abs() < 1e-9));
    }

    #[test]
    fn threads_that_fail_together_count_once() {
        let times: Vec<Nanos> = after(&[1000, 1000, 1000]).iter().flat_map(|t| [*t, t + 1000, t + 2000, t + 3000]).collect();
        assert_eq!(rhythm(&times, None, 3500 * MS), Rhythm::Fixed { gap_s: 1.0, gaps: 3 });
    }

    #[test]
    fn bursts_with_pauses_are_a_storm_not_a_spin() {
        let times: Vec<Nanos> = (0..5u64).flat_map(|burst| (0..50u64).map(move |i| burst * 300 * MS + i * 10_000)).collect();
        assert!(matches!(rhythm(&times, None, 1500 * MS), Rhythm::Storm { bursts: 5, .. }));
    }

    #[test]
    fn gaps_without_a_pattern_are_unclear() {
        assert_eq!(rhythm(&after(&[30, 700, 90, 1300, 50, 200]), None, 3000 * MS), Rhythm::Unclear);
    }
}

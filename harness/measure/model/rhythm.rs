//! The rhythm of failing calls: without pause, in bursts, at a constant distance, at a growing one, or once.
//! Arithmetic on times; knows neither processes nor clients.

use super::super::units::seconds;
use super::timer::{self, Fit, LANES, TRIES, Timer, Try};
use crate::event::Nanos;

/// Failures closer than this are one batch: several threads or listeners that fail together.
pub(super) const BATCH: Nanos = 2_000_000;
/// A loop whose median gap is below this does not pause in earnest.
const NO_PAUSE: Nanos = 5_000_000;
/// A gap from this on is a pause of the loop's own: a busy scheduler, or a quota of CPU time by periods of
/// 100 ms, takes the CPU away for less.
pub(super) const PAUSE: Nanos = 100_000_000;
/// A burst has at least so many failures, on average.
pub(super) const BURST: usize = 10;
/// Share of the time that a storm of two bursts may fail in: a loop that was merely stopped once fails in
/// more.
const STORM_FAILS_FOR: f64 = 0.1;
/// Failures a second from which a loop without pauses spins.
const SPIN_PER_S: f64 = 200.0;
/// So many that come at such a rate are a spin; the watch looks at as many.
pub(super) const SPIN_IN_A_ROW: usize = 100;
/// Fewer failures than this say nothing of a rate.
const SPIN_AT_LEAST: usize = 20;
/// Largest gap less smallest, over the median, of gaps that count as equal.
const SPREAD: f64 = 0.25;
/// A step of a delay that grows is no smaller a part of its longest than one in so many.
const MOST_OF_A_PAUSE: f64 = 10.0;
/// A silence is no pause of a loop that failed at one time, from so many seconds on and so many times as long
/// as that took.
const SILENCE_S: f64 = 1.0;
const SILENCE: f64 = 20.0;

/// Failures of one process, as far as they are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing<'a> {
    /// One by one, sorted.
    pub times: &'a [Nanos],
    /// When the loop accepted, sorted.
    pub accepts: &'a [Nanos],
    /// Watched until, and single failures known until.
    pub until: Nanos,
    /// Their exact rate, where totals tell.
    pub per_s: Option<f64>,
    /// More came than were recorded one by one: a gap between those that were may be the recorder's.
    pub flooded: bool,
}

/// The rhythm of a series of failures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rhythm {
    /// Without pause.
    Spin,
    /// So many bursts, of so many failures on average, and the median pause between them, seconds.
    #[allow(missing_docs, reason = "named above")]
    Storm { bursts: usize, size: f64, pause_s: f64 },
    /// At a constant distance, seconds, so many times.
    #[allow(missing_docs, reason = "named above")]
    Fixed { gap_s: f64, gaps: usize },
    /// At a distance that grows from its first to its longest, by a factor on average, or each time by a
    /// step; seconds. Whether it was seen to grow no more.
    #[allow(missing_docs, reason = "named above")]
    Grows { from_s: f64, to_s: f64, factor: f64, step_s: Option<f64>, levels_off: bool },
    /// One batch of so many, then nothing more.
    #[allow(missing_docs, reason = "named above")]
    Once { failures: usize },
    /// At a constant distance or at one that grows, seconds: neither explains it much better than the other.
    #[allow(missing_docs, reason = "named above")]
    FixedOrGrows { gap_s: f64, from_s: f64, to_s: f64 },
    /// None of these.
    Unclear,
}

impl Rhythm {
    fn of(fit: Fit) -> Rhythm {
        let s = |ms: f64| ms / 1e3;
        let (Some(best), rival) = (fit.best, fit.rival) else { return Rhythm::Unclear };
        match (best, rival) {
            (Timer::Constant { delay, pauses, .. }, None) => Rhythm::Fixed { gap_s: s(delay), gaps: pauses },
            (Timer::Grows { first, longest, factor, step, at_longest }, None) => Rhythm::Grows {
                from_s: s(first),
                to_s: s(longest),
                factor,
                step_s: step.map(s),
                levels_off: at_longest > 0,
            },
            (Timer::Constant { delay, .. }, Some(Timer::Grows { first, longest, .. }))
            | (Timer::Grows { first, longest, .. }, Some(Timer::Constant { delay, .. })) => {
                Rhythm::FixedOrGrows { gap_s: s(delay), from_s: s(first), to_s: s(longest) }
            }
            _ => Rhythm::Unclear,
        }
    }
}

/// Starts and sizes of the batches in sorted times.
pub(crate) fn batches(times: &[Nanos]) -> Vec<(Nanos, usize)> {
    times.chunk_by(|a, b| b.saturating_sub(*a) < BATCH).map(|batch| (batch[0], batch.len())).collect()
}

/// Whether so many tries may each be due to a client that arrived meanwhile.
pub(crate) fn by_arrivals(tries: usize, arrivals: usize) -> bool {
    arrivals * 2 >= tries
}

fn gaps(times: &[Nanos], stride: usize) -> Vec<f64> {
    times.iter().zip(times.iter().skip(stride)).map(|(a, b)| seconds(b.saturating_sub(*a))).collect()
}

/// Of two in the middle the shorter one: a try may be late, and is never early.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// The rhythm of these failures.
pub(super) fn rhythm(failing: &Failing<'_>) -> Rhythm {
    let times = failing.times;
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Rhythm::Unclear };
    if let Some(constant) = after_arrivals(failing) {
        return constant;
    }
    if let Some(storm) = storm(failing) {
        return storm;
    }
    let raw = gaps(times, 1);
    let span = seconds(last - first);
    let rate = if span > 0.0 { raw.len() as f64 / span } else { 0.0 }
        .max(failing.per_s.unwrap_or(0.0))
        .max(densest(times));
    let unpaused = median(&raw) < seconds(NO_PAUSE);
    if times.len() >= BURST && unpaused && fell_silent(failing) {
        return Rhythm::Once { failures: times.len() };
    }
    if times.len() >= SPIN_AT_LEAST && rate >= SPIN_PER_S && unpaused {
        return Rhythm::Spin;
    }
    let starts: Vec<Nanos> = batches(times).iter().map(|batch| batch.0).collect();
    let silence = seconds(failing.until.saturating_sub(last));
    match starts[..] {
        [_] => return Rhythm::Once { failures: times.len() },
        _ if silence >= SILENCE_S && silence >= SILENCE * span => {
            return Rhythm::Once { failures: times.len() };
        }
        [one, other] => {
            let gap_s = seconds(other - one);
            let goes_on = silence <= gap_s * (1.0 + SPREAD);
            return if goes_on { Rhythm::Fixed { gap_s, gaps: 1 } } else { Rhythm::Unclear };
        }
        _ => {}
    }
    match Rhythm::of(timers(times, failing.accepts, failing.until)) {
        Rhythm::Unclear => tried_at_once(times).unwrap_or(Rhythm::Unclear),
        rhythm => rhythm,
    }
}

/// A constant delay of a loop that tries again at once after each first failure, such as when it has
/// collected garbage, and only then waits: a few failures at a time, and equal pauses from the last of some
/// to the first of the next.
fn tried_at_once(times: &[Nanos]) -> Option<Rhythm> {
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max()?;
    let groups: Vec<&[Nanos]> = times.chunk_by(|a, b| b - a < longest / 2).collect();
    let whole = &groups[..groups.len() - 1];
    let size = whole.first()?.len();
    let pauses: Vec<f64> =
        groups.windows(2).map(|two| seconds(two[1][0] - two[0][two[0].len() - 1])).collect();
    let pause = median(&pauses);
    let within = groups.iter().flat_map(|group| gaps(group, 1)).fold(0.0, |m: f64, gap| m.max(gap));
    // A try may be late, and is never early.
    let early = pauses.iter().any(|p| *p < pause * (1.0 - SPREAD / 2.0));
    let late = pauses.iter().filter(|p| **p > pause * (1.0 + SPREAD / 2.0)).count();
    let equal = !early && late * 4 <= pauses.len();
    let alike = (2..=LANES).contains(&size) && whole.iter().all(|group| group.len() == size);
    (pauses.len() >= 3 && alike && equal && within * MOST_OF_A_PAUSE <= pause)
        .then_some(Rhythm::Fixed { gap_s: pause, gaps: pauses.len() })
}

/// The rhythm of these failures, between which the loop may have accepted: that takes time of its own and is
/// no part of a delay, which lasts until the next try.
pub(crate) fn rhythm_of_tries(failing: &Failing<'_>) -> Rhythm {
    let (plain, accepts) = (rhythm(failing), failing.accepts);
    if matches!(plain, Rhythm::Spin | Rhythm::Storm { .. } | Rhythm::Once { .. }) {
        return plain;
    }
    let (mut times, mut accepted) = (Vec::with_capacity(failing.times.len()), 0);
    for pair in failing.times.windows(2) {
        let next = accepts[accepts.partition_point(|&at| at <= pair[0])..]
            .first()
            .copied()
            .unwrap_or(Nanos::MAX)
            .min(pair[1]);
        // The time from there to the failure is taken out.
        times.push(pair[0].saturating_sub(accepted));
        accepted += pair[1] - next;
    }
    times.extend(failing.times.last().map(|last| last.saturating_sub(accepted)));
    match rhythm(&Failing {
        times: &times,
        accepts: &[],
        until: failing.until.saturating_sub(accepted),
        ..*failing
    }) {
        constant @ Rhythm::Fixed { .. } => constant,
        _ => plain,
    }
}

/// Failures a second where a hundred of them are closest: a loop that was denied the CPU now and then spins
/// in between.
fn densest(times: &[Nanos]) -> f64 {
    let shortest = times.windows(SPIN_IN_A_ROW).map(|some| some[SPIN_IN_A_ROW - 1] - some[0]).min();
    shortest.filter(|span| *span > 0).map_or(0.0, |span| SPIN_IN_A_ROW as f64 / seconds(span))
}

/// After the last failure came a silence longer than all that was before it, and nothing that failed went
/// unrecorded. A spinning loop may be denied the CPU at the end of the watch too, but it has spun for longer.
fn fell_silent(failing: &Failing<'_>) -> bool {
    let (Some(&first), Some(&last)) = (failing.times.first(), failing.times.last()) else { return false };
    let silence = failing.until.saturating_sub(last);
    !failing.flooded && silence >= PAUSE && silence > (last - first).saturating_mul(2)
}

/// A constant delay of a loop that also fails for each client that arrives, as an edge-triggered one does:
/// one burst, then few failures at a time with equal pauses between, beside which those within the burst are
/// nothing (a delay that grows reaches its longest by steps).
fn after_arrivals(failing: &Failing<'_>) -> Option<Rhythm> {
    let bursts: Vec<&[Nanos]> = failing.times.chunk_by(|a, b| b.saturating_sub(*a) < PAUSE).collect();
    let (first, others) = bursts.split_first()?;
    if failing.flooded
        || first.len() < 2
        || others.len() < 3
        || others.iter().any(|burst| burst.len() >= first.len().min(BURST))
    {
        return None;
    }
    let starts: Vec<Nanos> = others.iter().map(|burst| burst[0]).collect();
    let pauses = gaps(&starts, 1);
    let pause = median(&pauses);
    // The first of these tries was due since some failure of the burst.
    let due = seconds(starts[0] - first[0]) >= pause * (1.0 - SPREAD / 2.0)
        && seconds(starts[0] - first[first.len() - 1]) <= pause * (1.0 + SPREAD / 2.0);
    let equal = due && pauses.iter().all(|p| (p - pause).abs() <= pause * SPREAD / 2.0);
    let within = bursts.iter().flat_map(|burst| gaps(burst, 1)).fold(0.0, |m: f64, gap| m.max(gap));
    (equal && within * MOST_OF_A_PAUSE <= pause).then_some(Rhythm::Fixed { gap_s: pause, gaps: pauses.len() })
}

/// Bursts that the loop pauses between by itself. A spinning loop that is denied the CPU fails in bursts too:
/// its pauses are the scheduler's, short, or of no regular length, and they do not fill the time.
fn storm(failing: &Failing<'_>) -> Option<Rhythm> {
    let times = failing.times;
    let mut bursts: Vec<(Nanos, Nanos, usize)> = Vec::new();
    for &at in times {
        match bursts.last_mut() {
            Some(burst) if at.saturating_sub(burst.1) < PAUSE => (burst.1, burst.2) = (at, burst.2 + 1),
            _ => bursts.push((at, at, 1)),
        }
    }
    let (first, last) = (bursts.first()?.0, bursts.last()?.1);
    let size = times.len() as f64 / bursts.len() as f64;
    // One great burst, as of clients that arrive, makes no storm of the single tries after it.
    let usual = median(&bursts.iter().map(|burst| burst.2 as f64).collect::<Vec<_>>());
    if bursts.len() < 2 || size < BURST as f64 || usual < BURST as f64 {
        return None;
    }
    let pauses: Vec<f64> = bursts.windows(2).map(|pair| seconds(pair[1].0 - pair[0].1)).collect();
    let (span, paused) = (seconds(last - first), pauses.iter().sum::<f64>());
    let regular = pauses.iter().all(|p| (p - median(&pauses)).abs() <= median(&pauses) * SPREAD);
    let own = match bursts.len() {
        2 => !failing.flooded && span - paused <= span * STORM_FAILS_FOR,
        _ => paused > span / 2.0 && (!failing.flooded || regular),
    };
    own.then(|| Rhythm::Storm { bursts: bursts.len(), size, pause_s: median(&pauses) })
}

/// The timers that explain these failures; `between`: when the loop accepted, which begins delays anew.
pub(super) fn timers(times: &[Nanos], between: &[Nanos], until: Nanos) -> Fit {
    let Some(&first) = times.first() else { return Fit::default() };
    let ms = |at: Nanos| seconds(at.saturating_sub(first)) * 1e3;
    let mut tries: Vec<Try> = Vec::new();
    for batch in times.chunk_by(|a, b| b.saturating_sub(*a) < BATCH) {
        if tries.len() >= TRIES {
            break;
        }
        let before = tries.last().map_or(first, |last| last.nanos);
        let anew = between.get(between.partition_point(|at| *at <= before)).is_some_and(|at| *at <= batch[0]);
        tries.extend(batch.iter().take(LANES).map(|at| Try { nanos: *at, at: ms(*at), anew }));
    }
    // Those after the last one that is looked at are none that did not come.
    let until = times
        .iter()
        .find(|at| tries.last().is_some_and(|last| **at >= last.nanos + BATCH))
        .copied()
        .unwrap_or(until)
        .min(until);
    timer::fit(&tries, ms(until))
}

#[cfg(test)]
mod tests {
    use super::super::watch::PolicyWatch;
    use super::*;
    use crate::measure::Policy;

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

    fn of(times: &[Nanos], until: Nanos) -> Rhythm {
        rhythm(&Failing { times, accepts: &[], until, per_s: None, flooded: false })
    }

    fn watched(times: &[Nanos]) -> Option<Policy> {
        let mut watch = PolicyWatch::new();
        times.iter().for_each(|&at| watch.failed(at));
        watch.decided()
    }

    #[test]
    fn retries_every_millisecond_without_end_are_a_spin() {
        let times: Vec<Nanos> = (0..400).map(|i| i * MS).collect();
        assert_eq!(of(&times, 400 * MS), Rhythm::Spin);
        assert_eq!(watched(&times), Some(Policy::Spin));
    }

    #[test]
    fn delays_that_double_up_to_a_second_are_a_backoff() {
        let times = after(&[5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        let Rhythm::Grows { factor, .. } = of(&times, 5000 * MS) else {
            panic!("{:?}", of(&times, 5000 * MS))
        };
        assert!((factor - 2.0).abs() < 1e-9);
        assert_eq!(watched(&times), Some(Policy::Backoff));
        assert_eq!(
            watched(&times[..10]),
            None,
            "it may end in an exit: until it grows no more it is watched"
        );
    }

    #[test]
    fn delays_that_double_are_a_backoff_also_on_a_busy_machine() {
        // A server that doubles from 5 ms, recorded beside eight other loads.
        let times = after(&[8, 10, 28, 40, 99, 160]);
        let Rhythm::Grows { from_s, factor, .. } = of(&times, 560 * MS) else {
            panic!("{:?}", of(&times, 560 * MS))
        };
        assert!((1.8..2.4).contains(&factor) && from_s < 0.01, "{factor} from {from_s}");
    }

    #[test]
    fn the_first_delay_is_told_from_those_that_follow_where_it_is_late_itself() {
        // Go's, which doubles from 5 ms, recorded on a busy machine: the first is late by as much as it is
        // long.
        for gaps in
            [[11, 13, 20, 41, 80, 161, 320, 641, 1000, 1001], [5, 14, 22, 40, 88, 160, 322, 640, 1003, 1000]]
        {
            let Rhythm::Grows { from_s, to_s, .. } = of(&after(&gaps), 5000 * MS) else { panic!("{gaps:?}") };
            assert!((0.0045..0.0055).contains(&from_s) && to_s == 1.0, "{from_s} to {to_s}");
        }
    }

    #[test]
    fn delays_that_begin_anew_after_an_accept_have_the_first_delay_of_one_rise() {
        // gevent's, which doubles from 10 ms up to 1 s; every two seconds it closes idle connections,
        // accepts, and begins anew.
        let rise = [11, 21, 42, 81, 193, 321, 641, 1121];
        for gaps in [[rise, rise].concat(), [&rise[..5], &rise, &rise[..3]].concat()] {
            let times = after(&gaps);
            let anew = (1..gaps.len()).filter(|i| gaps[*i] == rise[0]);
            let accepts: Vec<Nanos> = anew.map(|i| times[i] - MS / 2).collect();
            let until = times[gaps.len()] + MS;
            let failing = Failing { times: &times, accepts: &accepts, until, per_s: None, flooded: false };
            let Rhythm::Grows { from_s, to_s, .. } = rhythm_of_tries(&failing) else {
                panic!("{gaps:?}: {:?}", rhythm_of_tries(&failing))
            };
            assert!(
                (0.009..=0.011).contains(&from_s) && (1.0..1.2).contains(&to_s),
                "{from_s} to {to_s} of {gaps:?}"
            );
        }
    }

    #[test]
    fn one_retry_that_is_late_does_not_hide_that_delays_double() {
        // From 5 ms to 320 ms, recorded beside three other runs.
        let times = after(&[5, 10, 65, 98, 80, 160, 326]);
        let Rhythm::Grows { factor, .. } = of(&times, 1100 * MS) else {
            panic!("{:?}", of(&times, 1100 * MS))
        };
        assert!((1.8..2.2).contains(&factor), "{factor}");
        assert_eq!(watched(&times), None, "98 and 80 ms are not yet the longest delay");
    }

    #[test]
    fn equal_delays_are_a_fixed_delay_also_when_only_one_fits_into_the_hold() {
        assert_eq!(of(&after(&[500, 501, 503]), 2000 * MS), Rhythm::Fixed { gap_s: 0.501, gaps: 3 });
        assert_eq!(watched(&after(&[500, 501, 503])), Some(Policy::FixedDelay));
        assert_eq!(of(&after(&[1000]), 1900 * MS), Rhythm::Fixed { gap_s: 1.0, gaps: 1 });
        assert_eq!(of(&after(&[1000]), 4000 * MS), Rhythm::Unclear, "the next retry never came");
    }

    #[test]
    fn a_delay_that_grows_by_a_step_is_told_with_the_step() {
        let times = after(&[100, 200, 300, 401, 500, 600, 700, 801, 900]);
        let Rhythm::Grows { step_s: Some(step_s), .. } = of(&times, 4700 * MS) else {
            panic!("{:?}", of(&times, 4700 * MS))
        };
        assert!((0.098..0.102).contains(&step_s), "{step_s}");
        let doubles = after(&[5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert!(matches!(of(&doubles, 5000 * MS), Rhythm::Grows { step_s: None, .. }));
    }

    #[test]
    fn a_loop_that_tries_twice_at_once_and_then_waits_has_a_fixed_delay() {
        // Ruby's, which collects garbage and tries again before accept raises; `rescue` sleeps 450 ms.
        let times = after(&[5, 454, 13, 454, 3, 457, 3, 464, 3, 453, 8, 454, 3, 511]);
        let Rhythm::Fixed { gap_s, gaps: 7 } = of(&times, 3000 * MS) else {
            panic!("{:?}", of(&times, 3000 * MS))
        };
        assert!((0.45..0.46).contains(&gap_s), "{gap_s}");
        let uneven = after(&[5, 454, 454, 3, 210, 3, 464, 3, 3, 453]);
        assert!(!matches!(of(&uneven, 2500 * MS), Rhythm::Fixed { .. }), "{:?}", of(&uneven, 2500 * MS));
    }

    #[test]
    fn two_listeners_with_delays_of_their_own_are_told_apart() {
        let mut times = after(&[500, 500, 500, 500]);
        times.extend(after(&[500, 500, 500, 500]).iter().map(|t| t + 170 * MS));
        times.sort_unstable();
        assert!(matches!(of(&times, 2300 * MS), Rhythm::Fixed { gap_s, .. } if (gap_s - 0.5).abs() < 1e-9));
    }

    #[test]
    fn a_constant_delay_is_one_also_where_two_of_five_retries_are_late() {
        let late = |gaps: &[u64]| of(&after(gaps), 40 * MS + (gaps.iter().sum::<u64>() + 100) * MS);
        assert_eq!(late(&[250, 370, 252, 251, 350]), Rhythm::Fixed { gap_s: 0.251, gaps: 3 });
        assert_eq!(
            late(&[200, 300, 200, 300, 200]),
            Rhythm::Fixed { gap_s: 0.5, gaps: 4 },
            "two listeners take turns"
        );
    }

    #[test]
    fn a_delay_that_grows_does_so_also_where_the_first_try_came_far_too_late() {
        // gevent's, which loads sources to print its first failure, recorded on a busy machine.
        let times = after(&[138, 23, 42, 81, 162, 322, 648, 1006, 1005, 1010]);
        let Rhythm::Grows { from_s, to_s, factor, .. } = of(&times, 4700 * MS) else {
            panic!("{:?}", of(&times, 4700 * MS))
        };
        assert!((0.009..0.012).contains(&from_s) && (1.0..1.01).contains(&to_s), "{from_s} to {to_s}");
        assert!((1.9..2.1).contains(&factor), "{factor}");
        assert_eq!(watched(&times), Some(Policy::Backoff));
    }

    #[test]
    fn what_is_accepted_between_two_failures_is_no_part_of_the_delay() {
        // actix-web, which closes idle connections after 5 s, recorded under ptrace on a busy machine:
        // hundreds of accepts after each delay.
        let times = after(&[501, 697, 1072, 649, 767]);
        let failing = Failing { times: &times, accepts: &[], until: 4000 * MS, per_s: None, flooded: false };
        let accepts: Vec<Nanos> =
            [(1, 517), (2, 599), (3, 505), (4, 501)].iter().map(|&(i, next)| times[i] + next * MS).collect();
        let Rhythm::Fixed { gap_s, gaps: 4 } = rhythm_of_tries(&Failing { accepts: &accepts, ..failing })
        else {
            panic!("{:?}", rhythm_of_tries(&Failing { accepts: &accepts, ..failing }))
        };
        assert!((gap_s - 0.501).abs() < 1e-9, "{gap_s}");
        // Another thread of the process accepts when it likes.
        let times = after(&[1000, 1001, 1000]);
        let accepts = [times[0] + 130 * MS, times[2] + 700 * MS];
        let failing =
            Failing { times: &times, accepts: &accepts, until: 3500 * MS, per_s: None, flooded: false };
        assert_eq!(rhythm_of_tries(&failing), Rhythm::Fixed { gap_s: 1.0, gaps: 3 });
    }

    #[test]
    fn two_listeners_that_fail_just_not_together_back_off() {
        // Recorded of the server with two listeners on a busy machine: the second is two milliseconds late,
        // until it is not.
        let mut times = after(&[5, 3, 2, 8, 2, 18, 2, 38, 2, 79, 160, 320, 640, 1000, 1001]);
        let together: Vec<Nanos> = [&times[..1], &times[10..]].concat();
        times.extend(together.iter().map(|at| at + MS / 2));
        times.sort_unstable();
        let Rhythm::Grows { from_s, to_s, .. } = of(&times, 3500 * MS) else {
            panic!("{:?}", of(&times, 3500 * MS))
        };
        assert!((0.004..0.006).contains(&from_s) && (0.99..1.01).contains(&to_s), "{from_s} {to_s}");
    }

    #[test]
    fn two_loops_that_back_off_do_so_whatever_lies_between_them() {
        let backoff = |from: Nanos, late: Nanos| {
            let next = move |&(at, delay, n): &(Nanos, Nanos, Nanos)| {
                Some((at + delay + late * (n * 7 % 5) / 4, (delay * 2).min(1000 * MS), n + 1))
            };
            std::iter::successors(Some((from, 5 * MS, 0)), next)
                .map(|(at, ..)| at)
                .take_while(|at| *at < 3400 * MS)
        };
        let mut wrong = Vec::new();
        for tenths in (0..1000).step_by(20) {
            let mut times: Vec<Nanos> = backoff(0, MS / 3).chain(backoff(tenths * MS / 10, MS)).collect();
            times.sort_unstable();
            match of(&times, 3500 * MS) {
                Rhythm::Grows { .. } => {}
                other => wrong.push((tenths, other)),
            }
        }
        assert!(wrong.is_empty(), "{} of 50: {:?}", wrong.len(), wrong);
    }

    #[test]
    fn threads_that_fail_together_count_once() {
        let times: Vec<Nanos> =
            after(&[1000, 1000, 1000]).iter().flat_map(|t| [*t, t + 1000, t + 2000, t + 3000]).collect();
        assert_eq!(of(&times, 3500 * MS), Rhythm::Fixed { gap_s: 1.0, gaps: 3 });
    }

    #[test]
    fn a_spinning_loop_that_is_denied_the_cpu_is_no_storm() {
        let bursts = |count: u64, size: u64, gap_ns: u64, every: Nanos| -> Vec<Nanos> {
            (0..count).flat_map(|burst| (0..size).map(move |i| burst * every + i * gap_ns)).collect()
        };
        // Twenty thousand single failures in three time slices, and then totals only: recorded beside eight
        // other loads.
        let slices = bursts(3, 6667, 2500, 60 * MS);
        let flooded = |times: &[Nanos]| {
            rhythm(&Failing { times, accepts: &[], until: 140 * MS, per_s: Some(150_000.0), flooded: true })
        };
        assert_eq!(flooded(&slices), Rhythm::Spin);
        // Slices further apart than any scheduler's, as of a machine that stood still, are no timer's unless
        // they are regular.
        let mut still: Vec<Nanos> =
            slices.iter().map(|t| if *t > 60 * MS { t + 900 * MS } else { *t }).collect();
        still.iter_mut().filter(|t| **t > 1000 * MS).for_each(|t| *t += 200 * MS);
        assert_eq!(flooded(&still), Rhythm::Spin);
        // A quota of a tenth of a CPU: 10 ms in each 100 ms.
        assert_eq!(of(&bursts(20, 200, 50_000, 100 * MS), 2000 * MS), Rhythm::Spin);
        // Stopped once for longer than it ran, in mid-watch and at its end.
        let frozen: Vec<Nanos> =
            (0..3000).map(|i| if i < 1500 { i * MS / 10 } else { i * MS / 10 + 400 * MS }).collect();
        assert_eq!(of(&frozen, 720 * MS), Rhythm::Spin);
        assert_eq!(of(&frozen[..1500], 320 * MS), Rhythm::Spin);
    }

    #[test]
    fn a_slow_loop_without_pauses_spins_also_where_it_is_denied_the_cpu() {
        // Tornado, whose every failure fails to open its sources too, recorded under ptrace on a busy
        // machine.
        let gaps: Vec<u64> = [156]
            .into_iter()
            .chain((0..100).map(|i| [3, 2, 5, 3, 4][i % 5] + if i % 40 == 20 { 60 } else { 0 }))
            .collect();
        let times = after(&gaps);
        assert!(
            (times.len() as f64) < 180.0 * seconds(times[times.len() - 1] - times[0]),
            "fewer than 180 a second in all"
        );
        assert_eq!(watched(&times), Some(Policy::Spin));
        assert_eq!(of(&times, times[times.len() - 1] + 4 * MS), Rhythm::Spin);
    }

    #[test]
    fn of_two_pauses_the_late_one_is_not_the_delay() {
        let burst = |from: u64| (0..20).map(move |n| (from + n) * MS);
        let times: Vec<Nanos> = [1, 493, 913].into_iter().flat_map(burst).collect();
        let Rhythm::Storm { pause_s, .. } = of(&times, 1000 * MS) else {
            panic!("{:?}", of(&times, 1000 * MS))
        };
        assert!((0.39..0.41).contains(&pause_s), "{pause_s}");
        let Rhythm::Fixed { gap_s, .. } = of(&after(&[334, 329, 300, 301]), 1300 * MS) else {
            panic!("{:?}", of(&after(&[334, 329, 300, 301]), 1300 * MS))
        };
        assert!((0.29..0.31).contains(&gap_s), "{gap_s}");
    }

    #[test]
    fn bursts_that_grow_are_a_storm() {
        // An event loop's accepts, a timer for each that failed, recorded under a tracer: 15, 256 and the
        // first of 744.
        let burst = |from: u64, count: u64, every: u64| (0..count).map(move |i| (from + i * every) * MS / 10);
        let mut times: Vec<Nanos> = burst(20_860, 15, 10).chain(burst(30_960, 256, 34)).collect();
        assert_eq!(watched(&times), None, "it paused for as long");
        times.extend(burst(41_350, 20, 29));
        assert_eq!(watched(&times), Some(Policy::Storm));
        assert!(
            matches!(of(&times, 4200 * MS), Rhythm::Storm { bursts: 3, .. }),
            "{:?}",
            of(&times, 4200 * MS)
        );
    }

    #[test]
    fn a_burst_and_then_silence_is_told_with_its_size() {
        let times: Vec<Nanos> = (0..128).map(|i| i * 40_000).collect();
        assert_eq!(of(&times, 600 * MS), Rhythm::Once { failures: 128 });
    }

    #[test]
    fn bursts_that_take_as_long_as_under_a_tracer_are_a_storm() {
        // 128 stops of 80 µs, cut by another load for 30 ms, each second.
        let burst =
            |start: Nanos| (0..128u64).map(move |i| start + i * 80_000 + if i > 60 { 30 * MS } else { 0 });
        for count in [2, 3, 5] {
            let times: Vec<Nanos> = (0..count).flat_map(|n| burst(n * 1000 * MS)).collect();
            let Rhythm::Storm { bursts, size, pause_s } = of(&times, count * 1000 * MS) else {
                panic!("{:?}", of(&times, count * 1000 * MS))
            };
            assert_eq!((bursts as u64, size), (count, 128.0));
            assert!((0.95..1.0).contains(&pause_s), "{pause_s}");
            assert_ne!(watched(&times), Some(Policy::Spin));
        }
        let three: Vec<Nanos> = (0..3).flat_map(|n| burst(n * 1000 * MS)).collect();
        assert_eq!(watched(&three), Some(Policy::Storm));
    }

    #[test]
    fn a_burst_while_clients_arrive_does_not_hide_the_delay_of_the_single_tries_after_it() {
        // gRPC's C core: edge-triggered, so each client that comes makes it fail; alone it tries once a
        // second.
        let arriving = (0..193).map(|i| i * MS);
        let times: Vec<Nanos> = arriving.chain((1..4).map(|i| i * 1001 * MS)).collect();
        let Rhythm::Fixed { gap_s, gaps } = of(&times, 3200 * MS) else {
            panic!("{:?}", of(&times, 3200 * MS))
        };
        assert!((gap_s - 1.001).abs() < 1e-9 && gaps == 2, "{gap_s} {gaps} times");
        // The same under a tracer, which keeps clients from arriving together.
        let times = [622, 629, 1623, 2625, 3626, 4629].map(|ms| ms * MS);
        assert!(
            matches!(of(&times[..5], 4500 * MS), Rhythm::Fixed { gaps: 2, .. }),
            "{:?}",
            of(&times[..5], 4500 * MS)
        );
        // Steps up to a tenth of a second are none of that.
        let steps = after(&[5, 10, 20, 40, 80, 100, 100, 100, 100]);
        assert!(matches!(of(&steps, 700 * MS), Rhythm::Grows { .. }), "{:?}", of(&steps, 700 * MS));
    }

    #[test]
    fn a_loop_that_fails_for_each_arrival_and_no_more_does_not_spin() {
        let clients = |every: usize| {
            let mut watch = PolicyWatch::new();
            for i in 0..600u64 {
                watch.failed(i * 4 * MS);
                if (i as usize).is_multiple_of(every) {
                    watch.arrived(i * 4 * MS);
                }
            }
            watch.decided()
        };
        assert_eq!(clients(1), None);
        assert_eq!(clients(10), Some(Policy::Spin), "it fails whether anybody comes or not");
    }

    #[test]
    fn one_great_burst_makes_no_storm_of_the_tries_after_it() {
        // Two listeners that back off: both fail for each client that arrives, then alone, with growing
        // pauses.
        let arriving = (0..50).map(|i| i * 10 * MS);
        let alone = [628, 630, 884, 886, 1396, 1398, 2396, 2398].map(|ms| ms * MS);
        let times: Vec<Nanos> = arriving.chain(alone).collect();
        assert!(!matches!(of(&times, 3300 * MS), Rhythm::Storm { .. }), "{:?}", of(&times, 3300 * MS));
    }

    #[test]
    fn bursts_with_pauses_are_a_storm_not_a_spin() {
        let times: Vec<Nanos> =
            (0..5u64).flat_map(|burst| (0..50u64).map(move |i| burst * 300 * MS + i * 10_000)).collect();
        assert!(matches!(of(&times, 1500 * MS), Rhythm::Storm { bursts: 5, .. }));
    }

    #[test]
    fn gaps_without_a_pattern_are_unclear() {
        assert_eq!(of(&after(&[30, 700, 90, 1300, 50, 200]), 3000 * MS), Rhythm::Unclear);
    }
}

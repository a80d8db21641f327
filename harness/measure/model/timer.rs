//! Loops that wait for a time of their own between tries. A lane is a thread, a listener or a timer: after a
//! failure it waits for the next delay of its law, and tries again: never early, sometimes late, sometimes
//! unseen. The law and the lanes that explain some tries best are taken; what is too little for them explains
//! nothing. Milliseconds; every cost is a negative log likelihood.

use crate::event::Nanos;
use std::collections::HashSet;

/// The most tries that are looked at, and the most lanes.
pub(super) const TRIES: usize = 64;
pub(super) const LANES: usize = 4;
/// Half of the tries are late by less than so much and such a share of the delay; a hundredth by ten times as
/// much.
const LATE: (f64, f64) = (1.0, 0.002);
/// A try may be early by so much and such a share, because of two clocks or because a law is not known
/// exactly.
const EARLY: (f64, f64) = (1.0, 0.01);
/// A try that nobody saw, and how many of a lane in a row.
const UNSEEN: f64 = 6.0;
const UNSEEN_AT_MOST: usize = 2;
/// Failures that a lane may have had before its first try here.
const BEGUN: usize = 10;
/// A lane more, which may begin at any time; and a try that no lane explains.
const LANE: f64 = 9.0;
const UNEXPLAINED: f64 = 14.0;
/// Threads that fail within so much of each other fail together.
pub(super) const TOGETHER: f64 = 2.0;
/// Each number of a law. One that only makes up for a late try is not worth it.
const PARAMETER: f64 = 4.0;
/// By so much the best is better than the second: odds of 50 to 1.
const MARGIN: f64 = 4.0;
/// Several lanes cost no more than such a share of what no pattern does.
const PLAIN: f64 = 0.5;
/// Gaps without a pattern are of any size between 1 ms and 10 s.
const ANY_SIZE: f64 = 9.2;
/// A delay grows by a factor between these, or by such a share of the one before.
const GROWTH: std::ops::RangeInclusive<f64> = 1.15..=4.2;
/// Two laws, or two delays, that differ by less are the same.
const SAME: f64 = 0.04;
/// A lane's next try is one of so many; the others are of other lanes.
const NEAR: usize = 2 * LANES;
/// Laws that are tried, by what they explain of so many tries; the longest delays that each is tried with;
/// and those that are refined.
const LAWS: usize = 24;
const BEGIN: usize = 24;
const CAPS: usize = 6;
const REFINED: usize = 4;
/// Constant delays that are tried.
const DELAYS: usize = 64;
/// No law begins with a delay below this; its tries since it began are early and late by so much in all.
const SHORTEST: f64 = 1.0;
const EARLY_MS: f64 = 3.0;
const LATE_MS: f64 = 15.0;
const LATE_SHARE: f64 = 0.15;
/// Pauses that are no longer than their delay by such a share are in time.
const IN_TIME: f64 = 0.125;

/// A try; and whether delays begin anew after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    pub nanos: Nanos,
    /// Since the first.
    pub at: f64,
    pub anew: bool,
}

/// How delays follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Growth {
    None,
    Factor(f64),
    Step(f64),
}

/// The delays after the failures in a row of one lane.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Law {
    first: f64,
    growth: Growth,
    longest: f64,
}

impl Law {
    fn constant(delay: f64) -> Law {
        Law { first: delay, growth: Growth::None, longest: delay }
    }

    fn parameters(&self) -> f64 {
        match (self.growth, self.longest.is_finite()) {
            (Growth::None, _) => 1.0,
            (_, capped) => 2.0 + f64::from(u8::from(capped)),
        }
    }

    fn delay(&self, failures: usize) -> f64 {
        let grown = match self.growth {
            Growth::None => self.first,
            Growth::Factor(factor) => self.first * factor.powi(failures.min(40) as i32),
            Growth::Step(step) => self.first + step * failures as f64,
        };
        grown.min(self.longest)
    }

    /// The law by which `a` is the delay after `low` failures, and `b` after `high`.
    fn through(growth: Growth, (low, a): (usize, f64), (high, b): (usize, f64)) -> Option<Law> {
        let steps = (high - low) as f64;
        let law = match growth {
            Growth::None => Law::constant(a.min(b)),
            Growth::Factor(_) => {
                let factor = (b / a).powf(1.0 / steps);
                Law {
                    first: a / factor.powi(low as i32),
                    growth: Growth::Factor(factor),
                    longest: f64::INFINITY,
                }
            }
            Growth::Step(_) => {
                let step = (b - a) / steps;
                Law { first: a - step * low as f64, growth: Growth::Step(step), longest: f64::INFINITY }
            }
        };
        let grows = GROWTH.contains(&(law.delay(1) / law.first));
        (law.first >= SHORTEST && (growth == Growth::None || grows)).then_some(law)
    }

    /// Equal for laws that are about the same.
    fn about(&self) -> (bool, i32, i32) {
        let size = |ms: f64| (ms.ln() / SAME) as i32;
        (matches!(self.growth, Growth::Step(_)), size(self.first), size(self.delay(4)))
    }
}

/// The cost of a try that came so long after it was due; `None`: too early.
fn late(ms: f64, delay: f64) -> Option<f64> {
    let early = EARLY.0 + EARLY.1 * delay;
    match ms {
        ms if ms >= 0.0 => Some(2.0 * (ms / (LATE.0 + LATE.1 * delay)).ln_1p()),
        ms => (ms >= -2.0 * early).then_some(-6.0 * ms / early),
    }
}

/// A pause of a lane: after so many failures, so long, with so many tries in it that were not seen.
#[derive(Debug, Clone, Copy)]
struct Pause {
    failures: usize,
    ms: f64,
    ends: f64,
    unseen: usize,
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    last: Try,
    failures: usize,
    pauses: usize,
}

impl Lane {
    fn due(&self, law: &Law, unseen: usize) -> f64 {
        self.last.at + (0..=unseen).map(|more| law.delay(self.failures + more)).sum::<f64>()
    }

    /// The cost of a try of this lane, with its failures before and the tries unseen among them.
    fn explains(&self, law: &Law, at: f64) -> Option<(f64, usize, usize)> {
        let cost = |lane: Lane, unseen: usize, more: f64| {
            let failures = lane.failures + unseen;
            let late = late(at - lane.due(law, unseen), law.delay(failures))?;
            Some((late + UNSEEN * unseen as f64 + more, failures, unseen))
        };
        let usual = (0..=UNSEEN_AT_MOST).map_while(|unseen| cost(*self, unseen, 0.0));
        // The failures of a lane before its first try here are not known.
        let begun = if self.pauses == 0 && law.growth != Growth::None { BEGUN } else { 0 };
        let later = (1..=begun).map_while(|failures| cost(Lane { failures, ..*self }, 0, PARAMETER));
        usual.chain(later).min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// How a law explains some tries.
#[derive(Debug, Clone)]
struct Explained {
    law: Law,
    cost: f64,
    lanes: usize,
    /// Pauses that each lane made at least.
    each: usize,
    pauses: Vec<Pause>,
    unexplained: usize,
}

impl Explained {
    /// By several lanes, or by one that was late: whichever costs less.
    fn of(law: Law, tries: &[Try], until: f64) -> Explained {
        let [one, several] = [1, LANES].map(|lanes| Explained::by(law, lanes, tries, until));
        if several.cost < one.cost { several } else { one }
    }

    fn by(law: Law, most: usize, tries: &[Try], until: f64) -> Explained {
        let mut lanes: Vec<Lane> = Vec::with_capacity(most);
        let mut pauses = Vec::with_capacity(tries.len());
        let (mut cost, mut unexplained) = (0.0, 0);
        let mut before = f64::NEG_INFINITY;
        for one in tries {
            let lane_more = if one.at - before < TOGETHER { PARAMETER / 2.0 } else { LANE };
            before = one.at;
            let best =
                lanes.iter().enumerate().filter_map(|(i, lane)| Some((i, lane.explains(&law, one.at)?)));
            let best =
                best.min_by(|a, b| a.1.0.total_cmp(&b.1.0)).filter(|(_, (cost, ..))| *cost < UNEXPLAINED);
            match best {
                Some((_, (as_late, ..))) if as_late > lane_more && lanes.len() < most => {
                    cost += lane_more;
                    lanes.push(Lane { last: *one, failures: 0, pauses: 0 });
                }
                Some((i, (as_late, failures, unseen))) => {
                    cost += as_late;
                    let lane = &mut lanes[i];
                    pauses.push(Pause {
                        failures,
                        ms: (one.nanos - lane.last.nanos) as f64 / 1e6,
                        ends: one.at,
                        unseen,
                    });
                    let failures = if one.anew { 0 } else { failures + 1 };
                    *lane = Lane { last: *one, failures, pauses: lane.pauses + 1 };
                }
                None if lanes.len() < most => {
                    cost += if lanes.is_empty() { 0.0 } else { lane_more };
                    lanes.push(Lane { last: *one, failures: 0, pauses: 0 });
                }
                None => (cost, unexplained) = (cost + UNEXPLAINED, unexplained + 1),
            }
        }
        for lane in &lanes {
            let overdue = (until - lane.due(&law, 0)).max(0.0);
            let missed = (0..=UNSEEN_AT_MOST).filter(|unseen| lane.due(&law, *unseen) < until).count();
            cost += (overdue / LATE.0).ln_1p().min(UNSEEN * missed as f64);
        }
        let each = lanes.iter().map(|lane| lane.pauses).min().unwrap_or(0);
        let cost = cost + PARAMETER * law.parameters();
        Explained { law, cost, lanes: lanes.len(), each, pauses, unexplained }
    }

    /// Pauses that are hardly longer than their delay.
    fn in_time(&self) -> impl Iterator<Item = &Pause> {
        self.pauses.iter().filter(|p| {
            let delay = self.law.delay(p.failures);
            p.unseen == 0 && p.ms <= delay + (delay * IN_TIME).max(4.0)
        })
    }

    /// The same by the law that costs its pauses least.
    fn refined(self, tries: &[Try], until: f64) -> Explained {
        let seen: Vec<&Pause> = self.pauses.iter().filter(|pause| pause.unseen == 0).collect();
        let cost = |law: &Law| {
            let late = |pause: &&Pause| {
                let delay = law.delay(pause.failures);
                late(pause.ms - delay, delay).unwrap_or(UNEXPLAINED)
            };
            seen.iter().map(late).sum::<f64>() + PARAMETER * law.parameters()
        };
        let grows = self.law.growth != Growth::None;
        let (below, at_longest): (Vec<&Pause>, Vec<&Pause>) =
            seen.iter().partition(|pause| grows && self.law.delay(pause.failures) < self.law.longest);
        let longest = at_longest.iter().map(|pause| Law { longest: pause.ms, ..self.law });
        let longest =
            longest.min_by(|a, b| cost(a).total_cmp(&cost(b))).map_or(self.law.longest, |law| law.longest);
        let pairs = below.iter().flat_map(|a| below.iter().map(move |b| (a, b)));
        let laws = pairs
            .filter(|(a, b)| a.failures < b.failures)
            .filter_map(|(a, b)| Law::through(self.law.growth, (a.failures, a.ms), (b.failures, b.ms)));
        let laws = laws
            .chain([self.law])
            .flat_map(|law| [longest, f64::INFINITY].map(|longest| Law { longest, ..law }));
        let constant = at_longest.iter().filter(|_| !grows).map(|pause| Law::constant(pause.ms));
        let best = if grows {
            laws.min_by(|a, b| cost(a).total_cmp(&cost(b)))
        } else {
            constant.min_by(|a, b| cost(a).total_cmp(&cost(b)))
        };
        let other = best.map(|law| Explained::of(law, tries, until)).filter(|other| other.cost < self.cost);
        other.unwrap_or(self)
    }
}

/// The pauses of a loop, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Timer {
    /// As long each time; so many were in time, and each lane made so many at least.
    Constant { delay: f64, pauses: usize, each: usize },
    /// From the first to the longest, by a factor on average, or each time by so many ms; so many of each
    /// lane were as long as the longest.
    Grows { first: f64, longest: f64, factor: f64, step: Option<f64>, at_longest: usize },
}

/// The best explanation of some tries, and the other where that is hardly worse.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fit {
    pub best: Option<Timer>,
    pub rival: Option<Timer>,
}

/// The timers that explain these tries, seen until then, if any do.
pub(super) fn fit(tries: &[Try], until: f64) -> Fit {
    let none = no_pattern(tries);
    let delays = delays(tries);
    let constant = delays.iter().map(|(_, delay)| Explained::of(Law::constant(*delay), tries, until));
    let constant = cheapest(constant).map(|best| best.refined(tries, until));
    // One that grows has two numbers: it is not better than what costs no more than these.
    let open = constant.as_ref().is_none_or(|of| of.cost > 2.0 * PARAMETER);
    let growing = if open { growing(tries, until, &delays) } else { None };
    let explained = [constant, growing].into_iter().flatten().filter(|of| {
        // Several lanes explain something of anything.
        let plain = of.cost + MARGIN <= none && (of.lanes == 1 || of.cost <= none * PLAIN);
        plain && of.in_time().count() * 2 >= of.pauses.len() && of.unexplained * 8 <= of.pauses.len()
    });
    let told = explained.filter_map(|of| {
        Some((of.cost, if of.law.growth == Growth::None { constant_of(&of)? } else { growing_of(&of)? }))
    });
    let mut told: Vec<(f64, Timer)> = told.collect();
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rival = told.get(1).filter(|rival| rival.0 < told[0].0 + MARGIN).map(|rival| rival.1);
    Fit { best: told.first().map(|best| best.1), rival }
}

fn cheapest(all: impl Iterator<Item = Explained>) -> Option<Explained> {
    all.min_by(|a, b| a.cost.total_cmp(&b.cost))
}

fn constant_of(of: &Explained) -> Option<Timer> {
    let mut kept: Vec<&Pause> = of.in_time().collect();
    let pauses = kept.chunk_by(|a, b| b.ends - a.ends < TOGETHER).count();
    kept.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    // Of two in the middle the later one is rather late.
    let delay = kept.get(kept.len().saturating_sub(1) / 2)?.ms;
    let timer = Timer::Constant { delay, pauses, each: of.each.min(pauses) };
    (pauses >= 2 && (of.lanes == 1 || of.each >= 2)).then_some(timer)
}

fn growing_of(of: &Explained) -> Option<Timer> {
    let law = of.law;
    let grown = |n: &usize| law.delay(*n) > law.delay(n - 1) * (1.0 + SAME);
    let top = of.in_time().map(|pause| pause.failures).max()?;
    let at_top = |pause: &&Pause| law.delay(pause.failures) >= law.delay(top) * (1.0 - SAME / 2.0);
    let at_top: Vec<f64> = of.in_time().filter(at_top).map(|pause| pause.ms).collect();
    // The delay is as long as the shortest of those: the others are late. A shorter delay that was late is as
    // long by chance only.
    let longest = at_top.iter().copied().fold(f64::MAX, f64::min);
    let as_long = at_top.iter().filter(|ms| **ms <= longest * (1.0 + SAME / 2.0) + LATE.0).count();
    let at_longest = if law.delay(top) < law.longest { 0 } else { as_long / of.lanes };
    let steps = (1..=top).filter(grown).count();
    let levels: HashSet<usize> =
        of.in_time().map(|pause| pause.failures).filter(|n| *n == 0 || grown(n)).collect();
    let factor = match law.growth {
        Growth::Factor(factor) => factor,
        _ => (longest / law.first).powf(1.0 / steps.max(1) as f64),
    };
    let step = if let Growth::Step(step) = law.growth { Some(step) } else { None };
    (levels.len() >= 3).then_some(Timer::Grows { first: law.first, longest, factor, step, at_longest })
}

/// Gaps of any size.
fn no_pattern(tries: &[Try]) -> f64 {
    tries.windows(2).map(|pair| ((pair[1].at - pair[0].at).max(1.0) * ANY_SIZE).ln()).sum()
}

/// Delays that several gaps agree about, those that most do first.
fn delays(tries: &[Try]) -> Vec<(usize, f64)> {
    let mut gaps: Vec<f64> = (1..=LANES)
        .flat_map(|lanes| tries.windows(lanes + 1).map(move |some| some[lanes].at - some[0].at))
        .filter(|gap| *gap >= 5.0)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let mut found: Vec<(usize, f64)> = Vec::new();
    for (i, &gap) in gaps.iter().enumerate() {
        if found.last().is_some_and(|(_, last)| gap <= last * 1.003) {
            continue;
        }
        let agree = gaps[i..].partition_point(|other| *other <= gap * 1.01 + 2.0);
        found.push((agree, gap));
    }
    found.sort_by_key(|(agree, _)| std::cmp::Reverse(*agree));
    found.truncate(DELAYS);
    found
}

/// The law of delays that grow which explains the tries best.
fn growing(tries: &[Try], until: f64, delays: &[(usize, f64)]) -> Option<Explained> {
    let begin = &tries[..tries.len().min(BEGIN)];
    let seen = begin.last()?.at;
    let cheapest_first = |mut all: Vec<Explained>, most: usize| {
        all.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        all.truncate(most);
        all
    };
    let laws = suggested(tries).into_iter().map(|law| Explained::of(law, begin, seen)).collect();
    // The longest delay may have been seen only once.
    let once = tries.windows(2).map(|pair| pair[1].at - pair[0].at).fold(0.0, f64::max);
    let ends =
        (2..=LANES + 1).filter_map(|n| Some(tries.last()?.at - tries.get(tries.len().checked_sub(n)?)?.at));
    let ends: Vec<f64> = ends.chain([once]).collect();
    let capped = |law: Law| {
        let longer = |delay: &f64| *delay > law.first * 1.5;
        let caps = delays.iter().map(|(_, delay)| *delay).filter(longer).take(CAPS);
        let caps = caps.chain(ends.iter().copied().filter(longer)).chain([f64::INFINITY]);
        cheapest(caps.map(|longest| Explained::of(Law { longest, ..law }, tries, until)))
    };
    let all = cheapest_first(laws, LAWS).into_iter().filter_map(|of| capped(of.law)).collect();
    let refined = cheapest_first(all, REFINED).into_iter().map(|of| of.refined(tries, until));
    cheapest(refined.flat_map(|of| [capped(of.law), Some(of)]).flatten().map(|of| of.refined(tries, until)))
}

/// Laws of growth that two gaps, one after the other, suggest.
fn suggested(tries: &[Try]) -> Vec<Law> {
    let batches: Vec<&Try> =
        tries.chunk_by(|a, b| b.at - a.at < TOGETHER).map(|batch| &batch[0]).take(BEGIN).collect();
    let (mut laws, mut known, mut begun) = (Vec::new(), HashSet::new(), (0, 0.0));
    for (i, from) in batches.iter().enumerate() {
        begun = if from.anew { (i, from.at) } else { begun };
        let next = |i: usize| (i + 1..batches.len()).take(NEAR).map(|n| (n, batches[n].at));
        for (j, middle) in next(i) {
            for (_, to) in next(j) {
                let law = |growth| Law::through(growth, (0, middle - from.at), (1, to - middle));
                let pair = [Growth::Factor(1.0), Growth::Step(1.0)].into_iter().filter_map(law);
                let new = pair.flat_map(|law| begins(law, i - begun.0, from.at - begun.1));
                laws.extend(new.filter(|law| known.insert(law.about())));
            }
        }
    }
    laws
}

/// The law as it may have begun so many tries, or so long, before its first delay here: some of these were
/// late, or were not its own.
fn begins(law: Law, failures: usize, after: f64) -> Vec<Law> {
    let (mut law, mut left, mut all) = (law, after, Vec::new());
    for earlier in 0.. {
        if law.first < SHORTEST || left < -EARLY_MS {
            break;
        }
        if earlier == failures || left <= LATE_MS + after * LATE_SHARE {
            all.push(law);
        }
        law.first = match law.growth {
            Growth::Factor(factor) => law.first / factor,
            Growth::Step(step) => law.first - step,
            Growth::None => return all,
        };
        left -= law.first;
    }
    all
}

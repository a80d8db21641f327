//! Noisy automata of the kinds that `servers/src/accept` bundles, watched as a run watches: until
//! [`PolicyWatch`] has decided, otherwise for as long as `--hold` says. The right answer is their class and
//! delay; `unclear` is no fault; the tests bound how many are wrong.

use super::rhythm::{Failing, Rhythm, rhythm};
use super::watch::PolicyWatch;
use crate::event::Nanos;

/// As long as a run watches where nothing is decided, and where nothing but a silence is seen, ms.
const HOLD: f64 = 5000.0;
const SILENT_AT_MOST: f64 = 35_000.0;
/// And at least.
const WATCH_AT_LEAST: f64 = 200.0;

/// A seeded sequence of numbers from 0 to 1 (xorshift).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Chance {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        (0..8).for_each(|_| _ = chance.next());
        chance
    }

    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.next()
    }

    fn of_any_size(&mut self, least: f64, most: f64) -> f64 {
        self.between(least.ln(), most.ln()).exp()
    }

    fn about(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }
}

/// How late tries are, and how many are not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Machine {
    Quiet,
    Starved,
}

impl Machine {
    fn late(self, chance: &mut Chance) -> f64 {
        let mean = match (self, chance.next()) {
            (Machine::Quiet, share) if share < 0.97 => 0.3,
            (Machine::Quiet, share) if share < 0.998 => 3.0,
            (Machine::Quiet, _) => 30.0,
            (Machine::Starved, share) if share < 0.75 => 1.0,
            (Machine::Starved, share) if share < 0.97 => 10.0,
            (Machine::Starved, _) => 60.0,
        };
        chance.about(mean)
    }

    /// The share of tries that nobody sees.
    fn unseen(self, chance: &mut Chance) -> f64 {
        match self {
            Machine::Quiet => 0.0,
            Machine::Starved => chance.between(0.0, 0.1),
        }
    }
}

/// An automaton with its first and its longest delay, ms.
#[derive(Debug, Clone, Copy)]
enum Truth {
    Spin,
    Storm,
    Fixed(f64),
    /// From the first, by a factor and a step, to the longest.
    Grows(f64, f64, f64, f64),
    Once,
}

impl Truth {
    /// A delay that grows is known as far as it had grown.
    fn as_seen(self, until: f64) -> Truth {
        let Truth::Grows(first, factor, step, longest) = self else { return self };
        let (mut at, mut seen) = (0.0, first);
        for n in 0..40 {
            at += self.delay(n);
            if at > until {
                break;
            }
            seen = self.delay(n);
        }
        Truth::Grows(first, factor, step, longest.min(seen))
    }

    fn delay(self, n: i32) -> f64 {
        match self {
            Truth::Fixed(delay) => delay,
            Truth::Grows(first, factor, step, longest) => {
                (first * factor.powi(n.min(40)) + step * f64::from(n)).min(longest)
            }
            _ => 0.0,
        }
    }
}

/// The times of its tries, ms, until they are of no use.
fn automaton(seed: u64, machine: Machine) -> (Truth, Vec<f64>) {
    let mut chance = Chance::new(seed);
    let kind = (chance.next() * 7.0) as usize;
    let lanes = if chance.next() < 0.5 { 1 } else { 2 + (chance.next() * 3.0) as usize };
    let together = chance.next() < 0.5;
    // Lanes that are spread evenly are one lane of a shorter delay: nobody could tell. These are not.
    let spread = [0.0, chance.between(0.1, 0.2), chance.between(0.3, 0.4), chance.between(0.55, 0.9)];
    let mut tries = Vec::new();
    let mut lanes_of = |chance: &mut Chance, longest: f64, delay: &dyn Fn(i32) -> f64| {
        for (lane, offset) in spread.iter().enumerate().take(lanes) {
            let mut at = match (lane, together) {
                (0, _) => 0.0,
                (_, true) => machine.late(chance),
                (_, false) => offset * longest,
            };
            for n in 0.. {
                if at > SILENT_AT_MOST || tries.len() > 2000 * (lane + 1) {
                    break;
                }
                tries.push(at);
                at += delay(n) + machine.late(chance);
            }
        }
    };
    let truth = match kind {
        0 | 1 => {
            let truth = Truth::Fixed(chance.of_any_size(20.0, if lanes > 1 { 1500.0 } else { 5000.0 }));
            lanes_of(&mut chance, truth.delay(0), &|n| truth.delay(n));
            truth
        }
        2 => {
            let (first, factor) = (chance.of_any_size(5.0, 50.0), chance.between(1.5, 3.0));
            let cap = chance.of_any_size(300.0, 2000.0);
            let truth = Truth::Grows(first, factor, 0.0, cap);
            lanes_of(&mut chance, cap, &|n| truth.delay(n));
            truth
        }
        3 => {
            let (step, steps) = (chance.of_any_size(20.0, 200.0), chance.between(4.0, 9.0).floor());
            let truth = Truth::Grows(step, 1.0, step, step * steps);
            lanes_of(&mut chance, step * steps, &|n| truth.delay(n));
            truth
        }
        4 => {
            let (every, mut at) = (chance.of_any_size(0.002, 3.0), 0.0);
            while at < HOLD && tries.len() < 20_000 {
                tries.push(at);
                at += every + if chance.next() < 0.02 { machine.late(&mut chance) } else { 0.0 };
            }
            Truth::Spin
        }
        5 => {
            let (size, pause) = (chance.between(16.0, 216.0), chance.of_any_size(200.0, 2000.0));
            // One timer a burst; or one for each of its failures, so that the next burst is larger, up to the
            // backlog.
            let (grows, mut size, most) = (chance.next() < 0.3, size as usize, 256);
            let mut at = 0.0;
            while at < SILENT_AT_MOST && tries.len() < 20_000 {
                for _ in 0..size {
                    tries.push(at);
                    at += 0.03 + if chance.next() < 0.02 { machine.late(&mut chance) } else { 0.0 };
                }
                at += pause + machine.late(&mut chance);
                size = if grows { (size * 2).min(most) } else { size };
            }
            Truth::Storm
        }
        _ => {
            tries.extend((0..lanes).map(|_| machine.late(&mut chance)));
            Truth::Once
        }
    };
    tries.sort_by(f64::total_cmp);
    let unseen = machine.unseen(&mut chance);
    let first = tries[0];
    tries.retain(|at| *at == first || chance.next() >= unseen);
    (truth, tries)
}

/// The tries that are seen in a run, and until when it watched.
fn watched(tries: &[f64]) -> (Vec<Nanos>, Nanos, bool) {
    let nanos = |ms: f64| ((ms + 40.0) * 1e6) as Nanos;
    let mut watch = PolicyWatch::new();
    let mut until = HOLD;
    let flooded = tries.len() >= 19_000;
    for &at in tries {
        if at > until && !(watch.silent() && at <= SILENT_AT_MOST) {
            break;
        }
        let beyond = at > HOLD;
        watch.failed(nanos(at));
        if beyond || watch.decided().is_some() {
            until = at.max(WATCH_AT_LEAST);
        }
        if beyond {
            break;
        }
    }
    if flooded && watch.decided().is_none() {
        watch.flooded();
        until = until.min(tries[tries.len() - 1].max(WATCH_AT_LEAST));
    }
    // It is a moment until the run has heard.
    let until = until + 1.0;
    (tries.iter().filter(|at| **at < until).map(|at| nanos(*at)).collect(), nanos(until), flooded)
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Told {
    Right,
    Unclear,
    /// The class is right, and a delay is off by more than a tenth.
    Off,
    Wrong,
}

fn told(truth: Truth, found: &Rhythm) -> Told {
    let near = |s: f64, ms: f64| (s * 1e3 - ms).abs() <= ms / 10.0;
    let close = match (truth, *found) {
        (_, Rhythm::Unclear) => return Told::Unclear,
        (Truth::Fixed(delay), Rhythm::Fixed { gap_s, .. }) => near(gap_s, delay),
        (Truth::Grows(first, _, _, cap), Rhythm::Grows { from_s, to_s, .. }) => {
            near(from_s, first) && near(to_s, cap)
        }
        (Truth::Spin, Rhythm::Spin)
        | (Truth::Storm, Rhythm::Storm { .. })
        | (Truth::Once, Rhythm::Once { .. }) => true,
        _ => return Told::Wrong,
    };
    if close { Told::Right } else { Told::Off }
}

/// How many of so many automata are right, unclear, off and wrong.
fn tell(machine: Machine, seeds: u64) -> [usize; 4] {
    let mut counts = [0; 4];
    for seed in 0..seeds {
        let (truth, tries) = automaton(seed, machine);
        let (times, until, flooded) = watched(&tries);
        let per_s = flooded.then(|| tries.len() as f64 / (tries[tries.len() - 1] / 1e3));
        let found = rhythm(&Failing { times: &times, accepts: &[], until, per_s, flooded });
        let truth = truth.as_seen(until as f64 / 1e6 - 40.0);
        let told = told(truth, &found);
        counts[told as usize] += 1;
        if told != Told::Right && (told != Told::Unclear || machine == Machine::Quiet) {
            eprintln!("{machine:?} {seed}: {told:?}: the answer for {truth:?} is {found:?}");
        }
    }
    eprintln!("{machine:?}: of {seeds}, {counts:?} are right, unclear, off, wrong");
    counts
}

#[test]
fn noisy_automata_are_told_on_a_quiet_machine_and_are_never_another_class() {
    let [.., off, wrong] = tell(Machine::Quiet, 40);
    assert!(off <= 1 && wrong == 0, "{off}, {wrong}");
    let [right, .., wrong] = tell(Machine::Starved, 40);
    assert!(right >= 30 && wrong == 0, "{right}, {wrong}");
}

/// `cargo test --release --lib ten_thousand -- --ignored --nocapture`
#[test]
#[ignore = "some minutes"]
fn ten_thousand_noisy_automata() {
    let [right, .., wrong] = tell(Machine::Quiet, 10_000);
    assert!(right >= 9_900 && wrong <= 10, "{right}, {wrong}");
    let [right, .., wrong] = tell(Machine::Starved, 10_000);
    assert!(right >= 8_000 && wrong <= 150, "{right}, {wrong}");
}

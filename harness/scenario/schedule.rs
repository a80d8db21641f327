//! When calls are made that do not wait for the answers to earlier ones: an open loop. Pure; the times count
//! from the first call.

use serde::{Deserialize, Serialize};

/// Times of calls at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schedule {
    /// Calls a second.
    pub per_s: f64,
    /// How they are spread.
    pub arrivals: Arrivals,
    /// Seed of the generator that draws the gaps of `Poisson`.
    pub seed: u64,
}

crate::named::named! {
    /// How the calls of a rate are spread over time.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Arrivals {
        /// One after each interval.
        #[default]
        Constant = "constant",
        /// As independent people come: at exponential gaps.
        Poisson = "poisson",
    }
}

/// The gaps are drawn from this seed when nothing else is asked for, so that each run has the same.
pub const SEED_DEFAULT: u64 = 1;

impl Schedule {
    /// At such a rate.
    pub fn new(per_s: f64, arrivals: Arrivals, seed: Option<u64>) -> Schedule {
        Schedule { per_s, arrivals, seed: seed.unwrap_or(SEED_DEFAULT) }
    }

    /// The times, nanoseconds after the first, which is 0: without an end, never earlier than the one before.
    pub fn times(self) -> impl Iterator<Item = u64> + Send {
        let mut drawn = SplitMix(self.seed);
        let mut at_s = 0.0;
        (0_u64..).map(move |n| {
            let time_s = match self.arrivals {
                // From the number, and not from the time before: errors do not add up.
                Arrivals::Constant => n as f64 / self.per_s,
                Arrivals::Poisson => at_s,
            };
            at_s += -drawn.unit().ln() / self.per_s;
            (time_s * 1e9).round() as u64
        })
    }
}

/// The generator `SplitMix64` (Steele, Lea and Flood, 2014): 64 bits of state, and good enough for gaps.
struct SplitMix(u64);

impl SplitMix {
    /// The next number, uniform in (0, 1].
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first times of a schedule.
    fn times(per_s: f64, arrivals: Arrivals, seed: u64, calls: usize) -> Vec<u64> {
        Schedule { per_s, arrivals, seed }.times().take(calls).collect()
    }

    proptest! {
        #[test]
        fn constant_times_are_exact_and_do_not_drift(per_s in 1..=100_000_u32, n in 0..200_000_usize) {
            let time = Schedule::new(per_s.into(), Arrivals::Constant, None).times().nth(n).unwrap();
            let exact = (n as u128 * 1_000_000_000 * 2 / u128::from(per_s)).div_ceil(2) as u64;
            prop_assert!(time.abs_diff(exact) <= 1, "{time} and not {exact}");
        }

        #[test]
        fn poisson_gaps_are_exponential_and_a_seed_repeats_them(per_s in 1.0..10_000.0_f64, seed: u64) {
            let drawn = times(per_s, Arrivals::Poisson, seed, 20_001);
            prop_assert_eq!(&drawn, &times(per_s, Arrivals::Poisson, seed, 20_001));
            prop_assert_ne!(&drawn, &times(per_s, Arrivals::Poisson, seed ^ 1, 20_001));
            let gaps: Vec<f64> =
                drawn.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9 * per_s).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            // The standard errors over 20000 exponential gaps are 0.007 and 0.020; each bound is seven of
            // them.
            prop_assert!((mean - 1.0).abs() < 0.05, "mean {mean}");
            prop_assert!((variance - 1.0).abs() < 0.14, "variance {variance}");
            // A gap longer than the mean has the probability 1/e.
            let long = gaps.iter().filter(|gap| **gap > 1.0).count() as f64 / gaps.len() as f64;
            prop_assert!((long - (-1.0_f64).exp()).abs() < 0.025, "{long} of the gaps are long");
        }
    }

    #[test]
    fn the_first_call_is_made_at_once() {
        for arrivals in Arrivals::ALL {
            assert_eq!(Schedule::new(0.1, *arrivals, Some(7)).times().next(), Some(0));
        }
    }
}

//! The statistics of a comparison: pure functions of numbers. Nothing here knows what was measured.

mod bootstrap;
mod drift;
mod holm;
mod sequence;
mod share;
mod welch;

pub use bootstrap::{Interval, bca, bootstrap, jackknife, median};
pub use drift::{Drift, drift};
pub use holm::holm;
pub use sequence::{beyond, blocks_needed, confidence, mostly};
pub use share::share;
pub use welch::welch;

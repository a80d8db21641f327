//! Scenario files: TOML text → raw (with spans) → checked → one [`Plan`] per variant. Starts nothing.

pub mod formula;
pub mod model;

pub use model::*;

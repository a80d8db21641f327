//! `lastfd explain`, for a reader who has no manual at hand: [`scenario`] explains what a plan will do,
//! before anything runs; [`run`] explains what a recorded run did. Both are pure; the sentences are those of
//! `words`.

mod arithmetic;
mod changes;
mod plan;
mod story;

pub use plan::scenario;
pub use story::run;

pub(super) use arithmetic::{AtRest, InForce, Kept, Reach, Room, kept, options, own_calls};
pub(super) use changes::Change;

//! Two variants of one subject, side by side: the records of them, and their meaning. Pure: no clock, no
//! process, no file.
//!
//! A *block* is a fresh start of both sides in random order. Each quantity of a block is one number for
//! either side; the logarithm of their ratio is what the statistics see. One block in five has the first side
//! on both sides: its ratio is this machine's noise.

pub mod baseline;
pub mod bound;
pub mod column;
pub mod findings;
pub mod judged;
pub mod quantity;
pub mod record;
pub mod statistics;

pub use baseline::{Baseline, Kept, Reference};
pub use bound::{Bound, Limit};
pub use column::Change;
pub use findings::{Comparison, Row, compare, same_work};
pub use judged::Judged;
pub use quantity::{Quantity, Scale};
pub use record::{
    Block, Described, Ending, Header, Kind, LeftOut, Method, Missing, Record, Side, Start, Work,
};

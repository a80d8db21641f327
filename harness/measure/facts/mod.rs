//! The facts of a log, each question asked once: who accepted, held and closed what and when, which calls
//! failed, what clients saw, what was read. There are no opinions here, and one threshold decides something:
//! how many numbers must be free for a failure not to be for want of one (`room`), which says where the wall
//! is. A thing that nobody saw is a value, too.

mod answers;
mod calls;
mod clients;
mod holdings;
mod listeners;
mod losses;
mod numbers;
mod open;
mod order;
mod phases;
mod processes;
mod readings;
mod room;
mod run;
mod sorts;
mod stillness;
mod table;
mod tries;
mod windows;

pub use calls::Way;
pub(crate) use calls::{Made, Over, answered_by, busy};
pub(crate) use clients::{Client, DISMISSED_WITHIN, SEEN_LATE, Told};
pub(crate) use holdings::{Both, Closing, Failed, KEPT_FAILURES};
pub use listeners::Listeners;
pub(crate) use losses::Losses;
pub use open::OpenKind;
pub(crate) use phases::Window;
pub(crate) use processes::ended;
pub(crate) use readings::{Asked, Observer, Predicted, ProgramEnd, Sample, Sockets};
pub(crate) use run::Facts;
pub(crate) use sorts::{End, Sort};
pub(crate) use table::Table;
pub(crate) use tries::{Total, Try};
pub(crate) use windows::{AtTheWall, Move};

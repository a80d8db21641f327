//! Workloads: the driver process (`lastfd drive`) and the handle that the run holds of it.

mod client;
pub mod dialogue;
pub mod driver;
mod grpc;
mod handle;
mod http_idle;
mod merge;
mod pacing;
mod probe;
pub mod protocol;
mod report;
pub mod source;
mod tcp;
#[cfg(test)]
mod tests;
mod websocket;

pub use dialogue::registry;
pub use handle::{Driver, Error, Fleet, MARGIN, clients_per_driver};
pub use http_idle::HTTP;

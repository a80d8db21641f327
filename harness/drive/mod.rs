//! Workloads: the driver process (`lastfd drive`) and the handle that the run holds of it.
//!
//! A workload is one file with a [`dialogue::Talk`] and one entry of its registry, or a kind of caller in
//! `calls/`. [`driver`] is the process; [`Driver`] and [`Fleet`] are the run's handles; they speak
//! [`protocol`]. Nothing here observes the subject but as its client.

mod calls;
mod client;
mod datagram;
pub mod dialogue;
pub mod driver;
mod exchange;
mod grpc;
mod handle;
#[cfg(test)]
mod hostile;
mod http2;
mod http_idle;
mod merge;
mod orders;
mod pacing;
mod probe;
mod program;
pub mod protocol;
mod registry;
mod repeated;
mod report;
pub mod source;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

pub use calls::registry as callers;
pub use handle::{Driver, Error, Fleet, MARGIN, clients_per_driver};
pub use registry::registry;

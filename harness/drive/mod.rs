//! Workloads: the driver process (`lastfd drive`) and the handle that the run holds of it.

pub mod dialogue;
mod grpc;
mod http_idle;
pub mod protocol;
mod tcp;
mod websocket;

pub use dialogue::registry;

//! Workloads: the driver process (`lastfd drive`) and the handle that the run holds of it.

pub mod protocol;

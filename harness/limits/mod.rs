//! What `RLIMIT_NOFILE` is in force where, what it is spent on, and who set it. Reads other processes only, never assumes from
//! what was asked for; the one limit that it ever changes is the harness's own soft limit ([`budget`]).

pub mod budget;
pub mod chain;
pub mod inventory;
pub mod managed;
pub mod raise;

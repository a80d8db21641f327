//! What `RLIMIT_NOFILE` is in force where, what it is spent on, and who set it. Reads other processes only,
//! never assumes from what was asked for; what it changes is the harness's own soft limit ([`budget`]) and,
//! where a scenario says so, those of its live subject ([`shift`]).

pub mod budget;
pub mod chain;
pub mod inotify;
pub mod inventory;
pub mod managed;
pub mod raise;
pub mod resources;
pub mod shift;

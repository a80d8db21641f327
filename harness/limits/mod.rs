//! The values of `RLIMIT_NOFILE` in force, their use, and their origin. Only reads other processes, and never
//! derives a limit in force from the one that was asked for. It changes the harness's own soft limit
//! ([`budget`]) and, where a scenario says so, the limits of its live subject ([`shift`]).

pub mod budget;
pub mod chain;
pub mod inotify;
pub mod inventory;
pub mod managed;
pub mod raise;
pub mod resources;
pub mod shift;

<<<<<<< HEAD
//! Limits as they are in force: read from live processes, never assumed from what was asked for.

pub mod chain;
=======
//! What `RLIMIT_NOFILE` is in force where, what it is spent on, and who set it. Reads other processes only; the one limit
//! that it ever changes is the harness's own soft limit ([`budget`]).

pub mod budget;
pub mod inventory;
pub mod managed;
pub mod raise;
>>>>>>> h-inspect

//! The kernel's interfaces that no crate gives safely: the only `unsafe` of the harness. Depends on nothing of ours.

pub mod calls;
pub mod clock;
pub mod proc;
pub mod seccomp;
pub mod sock_diag;
pub mod sockopt;

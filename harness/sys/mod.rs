//! The kernel's interfaces that no crate gives safely: the only `unsafe` of the harness. Depends on nothing
//! of ours.

pub mod address;
#[cfg(test)]
pub mod blocked;
pub mod calls;
pub mod clock;
pub mod image;
pub mod namespace;
pub mod netlink;
pub mod netns;
pub mod perf;
pub mod proc;
pub mod process;
pub mod ptrace;
pub mod seccomp;
pub mod sock_diag;
pub mod sockopt;
pub mod tracefs;
pub mod unix_diag;

//! The kernel's interfaces that no crate gives safely: the only `unsafe` of the harness. Depends on nothing of ours.

#[cfg(test)]
pub mod blocked;
pub mod calls;
pub mod clock;
<<<<<<< HEAD
pub mod namespace;
pub mod proc;
pub mod process;
=======
pub mod perf;
pub mod proc;
pub mod ptrace;
>>>>>>> h-observe
pub mod seccomp;
<<<<<<< HEAD
pub mod tracefs;
=======
pub mod unshare;
>>>>>>> h-inspect

//! For tests: a child that waits between fork and exec until it is told to go, as the launcher's children do.

use super::seccomp;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread::JoinHandle;

/// A child before its exec.
pub struct Blocked {
    /// Its process id.
    pub pid: i32,
    go: OwnedFd,
    spawning: JoinHandle<io::Result<Child>>,
}

impl Blocked {
    /// Forks; `trap` are the calls that it traps just before exec.
    pub fn spawn(mut command: Command, trap: Vec<i64>) -> Self {
        let (tell_pid, my_pid) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let step = move || {
            rustix::io::write(&my_pid, &std::process::id().to_ne_bytes())?;
            rustix::io::read(&wait, &mut [0; 1])?;
            if trap.is_empty() { Ok(()) } else { seccomp::trap(&trap) }
        };
        // SAFETY: the step only writes, reads and installs a filter: no allocation, no lock.
        unsafe { command.pre_exec(step) };
        let spawning = std::thread::spawn(move || command.spawn());
        let mut pid = [0; 4];
        assert_eq!(rustix::io::read(&tell_pid, &mut pid).expect("the child's pid"), 4);
        Blocked { pid: i32::from_ne_bytes(pid), go, spawning }
    }

    /// Lets it execute its program.
    pub fn go(self) -> io::Result<Child> {
        rustix::io::write(&self.go, b"g")?;
        self.spawning.join().expect("spawns")
    }
}

//! For tests: whether they run as root, and a child that waits between fork and exec until it may go on, as
//! the launcher's children do.

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
    /// `None` once it was let go.
    spawning: Option<JoinHandle<io::Result<Child>>>,
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
        Blocked { pid: i32::from_ne_bytes(pid), go, spawning: Some(spawning) }
    }

    /// Lets it execute its program.
    pub fn go(mut self) -> io::Result<Child> {
        rustix::io::write(&self.go, b"g")?;
        self.spawning.take().expect("goes once").join().expect("spawns")
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // A test that failed before: the child would wait for ever, because it holds the other end of its own
        // pipe.
        if self.spawning.is_some()
            && let Some(pid) = rustix::process::Pid::from_raw(self.pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Root of the host, and not of a user namespace only: its ids are mapped to themselves.
pub fn host_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    rustix::process::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

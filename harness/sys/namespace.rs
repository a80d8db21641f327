//! Namespaces for the process that calls (unshare(2)): PID, user and mount. Entered, never left.

use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only NEWPID, NEWUSER and NEWNS come here, never FILES: descriptor tables stay shared as they were.
    Ok(unsafe { unshare_unsafe(flags) }?)
}

/// The caller's *next child* becomes process 1 of a PID namespace of its own.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN; `ENOSPC` at `user.max_pid_namespaces`; `EINVAL` where the kernel has none.
pub fn unshare_pid() -> io::Result<()> {
    unshare(UnshareFlags::NEWPID)
}

/// Enters a user namespace, with every capability in it and none outside.
///
/// # Errors
/// `EPERM` where unprivileged user namespaces are switched off; `ENOSPC` at `user.max_user_namespaces`; `EINVAL` with several threads.
pub fn unshare_user() -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER)
}

/// The ids to map into a user namespace; to be read before entering it (afterwards they are the overflow ids).
#[derive(Debug, Clone, Copy)]
pub struct OwnIds {
    uid: u32,
    gid: u32,
}

impl OwnIds {
    /// Those of the caller.
    pub fn read() -> Self {
        OwnIds { uid: getuid().as_raw(), gid: getgid().as_raw() }
    }

    /// Maps the one user and group to themselves: no other id exists inside, and switching users does not work there.
    ///
    /// # Errors
    /// `EPERM` where a security module takes the namespace's capabilities away (Ubuntu's AppArmor since 24.04).
    pub fn map(self) -> io::Result<()> {
        // Without this the kernel refuses an unprivileged gid_map (user_namespaces(7)).
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{0} {0} 1", self.uid))?;
        std::fs::write("/proc/self/gid_map", format!("{0} {0} 1", self.gid))
    }
}

/// Mounts, in a mount namespace of the caller's own, a `/proc` that shows the caller's PID namespace. Nothing outside changes.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, or in a user namespace where parts of the outer `/proc` are hidden (containers): the outer one
/// stays in place then.
pub fn mount_own_proc() -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    let done = |result: i32| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: all strings are NUL-terminated and live through the calls; null stands for "no source, type or data".
    unsafe {
        let recursively_private = libc::MS_REC | libc::MS_PRIVATE;
        done(libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), recursively_private, std::ptr::null()))?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        done(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), flags, std::ptr::null()))
    }
}

//! Namespaces for the calling process and its children (unshare(2)). Entered, never left; changes inside are
//! not visible outside.

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// Moves the caller into new namespaces; in a new PID namespace its *next child* becomes process 1.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, for a user namespace where a seccomp filter, AppArmor or a sysctl forbids
/// it; `ENOSPC` at `user.max_*_namespaces`; `EINVAL` where the kernel has none, for a user namespace also
/// with several threads.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.intersects(UnshareFlags::FILES), "descriptor tables stay shared");
    // SAFETY: unsafe only for UnshareFlags::FILES, which is excluded above.
    Ok(unsafe { unshare_unsafe(flags) }?)
}

/// The ids to map into a user namespace; to be read before entering it (afterwards they are the overflow
/// ids).
#[derive(Debug, Clone, Copy)]
pub struct OwnIds {
    uid: u32,
    gid: u32,
}

impl OwnIds {
    /// The ids of the caller.
    pub fn read() -> Self {
        OwnIds { uid: getuid().as_raw(), gid: getgid().as_raw() }
    }

    /// Maps the one user and group to themselves: no other id exists inside, and switching users does not
    /// work there. The namespace's capabilities last until the next exec.
    ///
    /// # Errors
    /// `EPERM` where a security module takes the namespace's capabilities away (Ubuntu's AppArmor since
    /// 24.04).
    pub fn map(self) -> io::Result<()> {
        self.map_to(self.uid, self.gid)
    }

    /// Maps them to root, which keeps the namespace's capabilities over an exec.
    ///
    /// # Errors
    /// As [`OwnIds::map`].
    pub fn map_to_root(self) -> io::Result<()> {
        self.map_to(0, 0)
    }

    fn map_to(self, uid: u32, gid: u32) -> io::Result<()> {
        // Without this the kernel refuses an unprivileged gid_map (user_namespaces(7)).
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{uid} {} 1", self.uid))?;
        std::fs::write("/proc/self/gid_map", format!("{gid} {} 1", self.gid))
    }
}

/// Makes the mounts of the caller's own mount namespace private, so that none made later shows outside.
///
/// # Errors
/// The error of mount(2); `EPERM` without CAP_SYS_ADMIN in the mount namespace's user namespace.
pub fn private_mounts() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?)
}

/// Mounts a `/proc` that shows the caller's PID namespace; to be done where mounts are private.
///
/// # Errors
/// The error of mount(2). `EPERM` without CAP_SYS_ADMIN, or in a user namespace where parts of the outer
/// `/proc` are covered (containers): the outer one stays in place then.
pub fn mount_proc() -> io::Result<()> {
    Ok(mount(
        "proc",
        "/proc",
        "proc",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        None::<&CStr>,
    )?)
}

/// Mounts it in a mount namespace made for it. Nothing outside changes.
///
/// # Errors
/// As [`unshare`] and [`mount_proc`].
pub fn mount_own_proc() -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    private_mounts()?;
    mount_proc()
}

/// Makes a file or directory appear in place of another of its kind; to be done where mounts are private.
///
/// # Errors
/// The error of mount(2); `ENOENT` when one of them does not exist, `EPERM` without CAP_SYS_ADMIN.
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount_bind(source, target)?)
}

/// Brings up `lo` of the caller's network namespace; a new namespace has it down.
///
/// # Errors
/// The error of socket(2) or ioctl(2), netdevice(7); `EPERM` without CAP_NET_ADMIN in the namespace.
pub fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which `request` is, for the time of the call only.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

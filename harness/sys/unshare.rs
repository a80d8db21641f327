//! Namespaces of one's own, for the calling process and its children (unshare(2)). What is done inside is seen by nobody else.

use rustix::thread::UnshareFlags;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Moves the calling process into new namespaces; a new PID namespace is for its future children only. Where `user` is true it
/// first makes a user namespace in which the caller is root, which needs no privilege.
///
/// Only for a process with a single thread: the kernel refuses a user namespace to any other.
///
/// # Errors
/// That of unshare(2), or of writing the user namespace's maps. `EPERM`: not allowed to this user, or by a seccomp filter or
/// AppArmor; `ENOSPC`: more than `user.max_*_namespaces`; `EINVAL`: several threads, or a kernel without such namespaces.
pub fn namespaces(user: bool, flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.intersects(UnshareFlags::FILES), "descriptor tables stay shared");
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let flags = if user { flags | UnshareFlags::NEWUSER } else { flags };
    // SAFETY: unsafe only for UnshareFlags::FILES, which is excluded above.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    if user {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    Ok(())
}

/// Makes the mounts of the caller's own mount namespace private, so that none made later shows outside.
///
/// # Errors
/// That of mount(2); `EPERM` without CAP_SYS_ADMIN in the mount namespace's user namespace.
pub fn private_mounts() -> io::Result<()> {
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE)
}

/// Mounts a file system of the kernel's (`proc`, `tracefs`), which has no device, at an existing directory.
///
/// # Errors
/// That of mount(2). For `proc`, `EPERM` also where parts of the present /proc are covered, as container runtimes do.
pub fn mount_kernel_fs(kind: &CStr, at: &CStr) -> io::Result<()> {
    mount(kind, at, Some(kind), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}

fn mount(source: &CStr, at: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the strings end with a zero byte and outlive the call; a null type and null data are allowed by mount(2).
    let done = unsafe { libc::mount(source.as_ptr(), at.as_ptr(), kind.map_or(std::ptr::null(), CStr::as_ptr), flags, std::ptr::null()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings up `lo` of the caller's network namespace; a new namespace has it down.
///
/// # Errors
/// That of socket(2) or ioctl(2), netdevice(7); `EPERM` without CAP_NET_ADMIN in the namespace.
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

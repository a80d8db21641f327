//! The descriptors of a live process, each named: number, kind, and what it refers to. Read from
//! `/proc/PID/fd`, `fdinfo` and the socket tables of the process's own network namespace (by netlink where
//! that is the caller's too). Reads only: no descriptor of the process is ever opened or used.
//!
//! A process changes while it is read: a descriptor closed meanwhile is left out, a socket whose table entry
//! has gone is named by its protocol.

pub mod sockets;

use crate::event;
use crate::event::descriptor::{self, Descriptor, DescriptorKind as Kind};
use crate::sys::proc;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use sockets::{Sockets, Tcp};
use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// So many descriptors are named at most where several processes are read: a look at one takes 1 µs, and a
/// line of the log 100 bytes.
const NAMED_AT_MOST: u64 = 20_000;

/// One open descriptor and, where it is a TCP socket that the kernel's table lists, its addresses and state.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Number, kind and detail.
    pub descriptor: Descriptor,
    /// The addresses and state that `descriptor.detail` gives as text; `None` for anything else than a bound
    /// or connected TCP socket.
    pub tcp: Option<Tcp>,
}

/// All open descriptors of a process, and the socket tables that named them.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// In the order of their numbers.
    pub open: Vec<Open>,
    /// The process's network namespace as far as it concerns these descriptors.
    pub sockets: Sockets,
}

/// Every listed descriptor of the process, in the order of their numbers.
///
/// Not listed, though counted by [`crate::sys::proc::descriptors`]: numbers reserved by threads blocked in
/// `accept`.
///
/// # Errors
/// `ENOENT` or `ESRCH` when the process has exited; `EACCES` when it belongs to another user.
pub fn read(pid: i32) -> io::Result<Vec<Descriptor>> {
    Ok(named(pid, false)?.open.into_iter().map(|open| open.descriptor).collect())
}

/// The open descriptors of these processes, apart from those that cannot be read, each named as long as they
/// are not too many all together.
pub fn of_all(pids: &[i32]) -> Vec<event::Open> {
    let mut all = 0;
    let one = |&pid: &i32| {
        let descriptors = proc::descriptors(pid).ok().filter(|open| *open > 0)?;
        all += descriptors;
        let inventory = if all > NAMED_AT_MOST { Vec::new() } else { read(pid).unwrap_or_default() };
        Some(event::Open { pid, descriptors, inventory })
    };
    pids.iter().filter_map(one).collect()
}

/// How many of these take a place under the soft limit: those numbered below it.
///
/// An inherited descriptor numbered at or above the limit stays open and takes no place.
pub fn counted(inventory: &[Descriptor], soft: u64) -> u64 {
    inventory.iter().filter(|descriptor| (descriptor.fd as u64) < soft).count() as u64
}

/// The same as [`read`] returns, with the TCP sockets' addresses and states, and the sockets in TIME_WAIT.
///
/// # Errors
/// The errors of [`read`].
pub fn open(pid: i32) -> io::Result<Inventory> {
    named(pid, true)
}

fn named(pid: i32, time_wait: bool) -> io::Result<Inventory> {
    let pid = proc::shown_by(pid);
    let links = links(pid)?;
    let inodes: HashSet<u64> = links.iter().filter_map(|link| socket_inode(&link.target)).collect();
    let sockets = Sockets::read(pid, &inodes, time_wait);
    let open = links.iter().map(|link| name(pid, link, &sockets)).collect();
    Ok(Inventory { open, sockets })
}

/// One entry of `/proc/PID/fd`.
struct Link {
    fd: i32,
    /// Text of the symbolic link: a path, or `kind:[inode]`.
    target: String,
    /// Type of the file behind a path, with the device's major number; `None` for what has no path.
    file: Option<(FileType, u32)>,
    /// Whether it is open for writing only (the link's own mode, proc(5)).
    write_only: bool,
}

/// The entries of `/proc/PID/fd`, in the order of their numbers.
fn links(pid: i32) -> io::Result<Vec<Link>> {
    let directory = rustix::fs::open(
        format!("/proc/{pid}/fd"),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // Reading oneself would list the descriptor that is used for reading.
    let own = (pid == std::process::id() as i32).then(|| directory.as_raw_fd());
    let mut entries = Dir::read_from(&directory)?;
    let own_too =
        (pid == std::process::id() as i32).then(|| entries.fd().map(|fd| fd.as_raw_fd())).transpose()?;
    let mut links = Vec::new();
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let Some(fd) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if Some(fd) == own || Some(fd) == own_too {
            continue;
        }
        match link(&directory, fd, entry.file_name().to_owned()) {
            Ok(link) => links.push(link),
            Err(Errno::NOENT) => (), // closed since it was listed
            Err(errno) => return Err(errno.into()),
        }
    }
    links.sort_unstable_by_key(|link| link.fd);
    Ok(links)
}

fn link(directory: &OwnedFd, fd: i32, name: CString) -> Result<Link, Errno> {
    let target =
        rustix::fs::readlinkat(directory, &name, Vec::with_capacity(128))?.to_string_lossy().into_owned();
    let file = target.starts_with('/').then(|| {
        // DONT_SYNC: a file on a dead network mount must not hold up the inventory.
        let stat = rustix::fs::statx(
            directory,
            &name,
            AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT,
            StatxFlags::TYPE,
        );
        stat.map_or((FileType::Unknown, 0), |stat| {
            (FileType::from_raw_mode(stat.stx_mode.into()), stat.stx_rdev_major)
        })
    });
    let write_only = target.starts_with("pipe:") && {
        let mode =
            Mode::from_raw_mode(rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        mode.contains(Mode::WUSR) && !mode.contains(Mode::RUSR)
    };
    Ok(Link { fd, target, file, write_only })
}

/// The inode in `socket:[inode]`.
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Kind and detail of one entry.
fn name(pid: i32, link: &Link, sockets: &Sockets) -> Open {
    let fd = link.fd;
    let (kind, detail, tcp) = if let Some(inode) = socket_inode(&link.target) {
        sockets.name(inode).unwrap_or_else(|| {
            let (kind, detail) = unlisted_socket(pid, fd);
            (kind, detail, None)
        })
    } else if let Some((file_type, major)) = link.file {
        (path_kind(&link.target, file_type, major), link.target.clone(), None)
    } else if link.target.starts_with("pipe:") {
        (Kind::Pipe, descriptor::pipe_end(link.write_only, &link.target), None)
    } else {
        let (kind, detail) = anonymous(pid, fd, &link.target);
        (kind, detail, None)
    };
    Open { descriptor: Descriptor { fd, kind, detail }, tcp }
}

/// Major numbers of terminals: virtual consoles, `/dev/tty`, and the slaves of pseudo-terminals (Linux,
/// devices.txt).
const TTY_MAJORS: [u32; 10] = [4, 5, 136, 137, 138, 139, 140, 141, 142, 143];

fn path_kind(path: &str, file_type: FileType, major: u32) -> Kind {
    match file_type {
        FileType::Directory => Kind::Directory,
        FileType::Fifo => Kind::Pipe,
        FileType::CharacterDevice if TTY_MAJORS.contains(&major) => Kind::Tty,
        FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
        FileType::RegularFile if path.starts_with("/memfd:") => Kind::Memfd,
        FileType::RegularFile => Kind::File,
        _ => Kind::Other,
    }
}

/// A socket that no table lists: never bound or connected, reset by its peer, or of a family without a table.
fn unlisted_socket(pid: i32, fd: i32) -> (Kind, String) {
    let mut protocol = [0u8; 32];
    let length = rustix::fs::getxattr(format!("/proc/{pid}/fd/{fd}"), "system.sockprotoname", &mut protocol)
        .unwrap_or(0);
    let protocol = String::from_utf8_lossy(&protocol[..length]).trim_end_matches('\0').to_owned();
    match protocol.as_str() {
        "TCP" | "TCPv6" => (Kind::Tcp, "UNCONN: new or reset".into()),
        "UDP" | "UDPv6" => (Kind::Udp, "not bound".into()),
        "UNIX" | "UNIX-STREAM" => (Kind::Unix, "unnamed".into()),
        "" => (Kind::Socket, "unknown protocol".into()),
        _ => (Kind::Socket, protocol),
    }
}

/// Kind and detail of a descriptor with neither a path nor an address: `anon_inode:[eventpoll]`,
/// `net:[4026531840]` …
fn anonymous(pid: i32, fd: i32, target: &str) -> (Kind, String) {
    let what = target.strip_prefix("anon_inode:").unwrap_or(target);
    let what = what.strip_prefix('[').and_then(|what| what.strip_suffix(']')).unwrap_or(what);
    let info = || std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let lines = |prefix: &str| info().lines().filter(|line| line.starts_with(prefix)).count();
    match what {
        "eventpoll" => (Kind::Epoll, format!("watches {}", lines("tfd:"))),
        "inotify" => (Kind::Inotify, format!("{} watches", lines("inotify "))),
        "eventfd" => (Kind::Eventfd, String::new()),
        "timerfd" => (Kind::Timerfd, String::new()),
        "signalfd" => (Kind::Signalfd, String::new()),
        "io_uring" => (Kind::IoUring, String::new()),
        "pidfd" => {
            let info = info();
            let of = info.lines().find_map(|line| line.strip_prefix("Pid:")).map_or("?", str::trim);
            (Kind::Other, descriptor::pidfd(of))
        }
        _ => (Kind::Other, what.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_numbered_at_the_soft_limit_takes_no_place() {
        let inventory: Vec<_> =
            [0, 63, 64, 500].map(|fd| Descriptor { fd, kind: Kind::File, detail: String::new() }).into();
        assert_eq!(counted(&inventory, 64), 2);
        assert_eq!(counted(&inventory, 65), 3);
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error() {
        // Beyond the largest pid that Linux gives (PID_MAX_LIMIT, 2^22).
        assert_eq!(read(1 << 23).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn links_without_a_path_are_named() {
        assert_eq!(anonymous(0, 0, "anon_inode:[io_uring]"), (Kind::IoUring, String::new()));
        assert_eq!(anonymous(0, 0, "anon_inode:[timerfd]"), (Kind::Timerfd, String::new()));
        assert_eq!(anonymous(0, 0, "net:[4026531840]"), (Kind::Other, "net:[4026531840]".into()));
        assert_eq!(anonymous(0, 0, "anon_inode:inotify").0, Kind::Inotify);
    }
}

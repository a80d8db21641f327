//! The descriptors a real service holds when idle: a log file, a connection to its backend, a random device,
//! sockets and pipes to itself. They fill a process up to an exact count before it listens, and stay open
//! until it ends.
//!
//! None of them ever listens, not for a moment: a search for the server by its LISTEN socket finds only the
//! real one.

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, socket_with, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Why the baseline could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    /// The server alone has more.
    #[error("--baseline {asked} cannot be kept: {open} descriptors are open already")]
    TooMany {
        /// As asked.
        asked: u32,
        /// Open before anything was added.
        open: u32,
    },
    /// No process under this limit has so many.
    #[error("--baseline {asked} cannot be reached: the soft limit is {soft}")]
    AboveLimit {
        /// As asked.
        asked: u32,
        /// The soft `RLIMIT_NOFILE`.
        soft: u64,
    },
    /// /proc could not be listed.
    #[error("cannot count open descriptors in /proc/self/fd: {0}")]
    Count(#[source] io::Error),
    /// One of the descriptors could not be opened.
    #[error("cannot open {what} for the baseline: {source}")]
    Open {
        /// The kind of descriptor that it stands for.
        what: &'static str,
        /// The error of the call that failed.
        source: io::Error,
    },
}

impl BaselineError {
    /// The errno of the call that failed, where one did.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            BaselineError::Count(source) | BaselineError::Open { source, .. } => source.raw_os_error(),
            BaselineError::TooMany { .. } | BaselineError::AboveLimit { .. } => None,
        }
    }
}

/// One thing that an idle service holds.
struct Piece {
    what: &'static str,
    descriptors: u32,
    open: fn() -> io::Result<Vec<OwnedFd>>,
}

/// In turn, over and over; the first costs a single descriptor, so that any number can be reached.
const PIECES: [Piece; 5] = [
    Piece { what: "a log file", descriptors: 1, open: log_file },
    Piece { what: "a backend connection", descriptors: 1, open: backend_connection },
    Piece { what: "/dev/urandom", descriptors: 1, open: random_device },
    Piece { what: "a Unix socket pair", descriptors: 2, open: unix_pair },
    Piece { what: "a pipe", descriptors: 2, open: pipe },
];

/// Opens descriptors until exactly `asked` are open, and returns those to be kept.
///
/// Counted are the descriptors that /proc/self/fd lists with a number below the soft limit: an inherited one
/// above it takes no place. A number that a thread blocked in accept reserves is not listed and so not
/// counted.
///
/// # Errors
/// See [`BaselineError`]; on each of them everything opened here is closed again.
pub(crate) fn fill(asked: u32) -> Result<Vec<OwnedFd>, BaselineError> {
    let soft = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if u64::from(asked) > soft {
        return Err(BaselineError::AboveLimit { asked, soft });
    }
    let open = open_below(soft).map_err(BaselineError::Count)?;
    let mut missing = asked.checked_sub(open).ok_or(BaselineError::TooMany { asked, open })?;
    let mut held = Vec::with_capacity(missing as usize);
    for piece in PIECES.iter().cycle() {
        if missing == 0 {
            break;
        }
        if piece.descriptors <= missing {
            held.extend((piece.open)().map_err(|source| BaselineError::Open { what: piece.what, source })?);
            missing -= piece.descriptors;
        }
    }
    Ok(held)
}

/// Descriptors of this process numbered below `soft`, without the one that lists them.
fn open_below(soft: u64) -> io::Result<u32> {
    let mut listed = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let below = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u64>().ok())
            .is_some_and(|number| number < soft);
        listed += u32::from(below);
    }
    Ok(listed - 1)
}

/// A file in the temporary directory that has no name any more.
fn log_file() -> io::Result<Vec<OwnedFd>> {
    Ok(vec![tempfile::tempfile()?.into()])
}

/// An established, idle loopback TCP connection: a socket connected to itself (simultaneous open, RFC 9293
/// section 3.5), which needs neither a listener nor a second descriptor.
fn backend_connection() -> io::Result<Vec<OwnedFd>> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    connect(&socket, &getsockname(&socket)?)?;
    Ok(vec![socket])
}

fn random_device() -> io::Result<Vec<OwnedFd>> {
    Ok(vec![open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?])
}

fn unix_pair() -> io::Result<Vec<OwnedFd>> {
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(vec![one, other])
}

fn pipe() -> io::Result<Vec<OwnedFd>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(vec![reader, writer])
}

//! An open descriptor: its number, its kind, and what it refers to. The one place that knows how a detail is
//! written: who reads `/proc` writes it with the functions here, and everyone takes it apart with the
//! methods.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One open descriptor: its number, its kind, and what it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the JSON report")]
pub struct Descriptor {
    pub fd: i32,
    pub kind: DescriptorKind,
    /// Path, or addresses and TCP state.
    pub detail: String,
}

macro_rules! kinds {
    ($($variant:ident = $name:literal),*) => {
        /// What a descriptor is; in the order of the names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the names are proc(5)'s and those of the calls that make them")]
        pub enum DescriptorKind {
            $(#[serde(rename = $name)] $variant,)*
            /// Several that were too many to name, which stand in no inventory; or of a later version.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl DescriptorKind {
            /// As in a log and a report.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DescriptorKind::$variant => $name,)*
                    DescriptorKind::Unknown => "unknown",
                }
            }

            /// The kind of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(DescriptorKind::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Device = "device", Directory = "directory", Epoll = "epoll", Eventfd = "eventfd", File = "file",
    Inotify = "inotify", IoUring = "io_uring", Memfd = "memfd", Other = "other", Pipe = "pipe",
    Signalfd = "signalfd", Socket = "socket", Tcp = "tcp", TcpListen = "tcp-listen", Timerfd = "timerfd",
    Tty = "tty", Udp = "udp", Unix = "unix"
}

impl fmt::Display for DescriptorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

const LISTEN: &str = " LISTEN";
const LISTENING: &str = "listening";
const OF: &str = " of ";
/// How the kernel names a pipe without a path.
const PIPE: &str = "pipe:";
const CLOSE_WAIT: &str = "CLOSE_WAIT";
const UNIX: &str = "unix:";

/// The detail of a TCP listener.
pub fn tcp_listens(local: impl fmt::Display) -> String {
    format!("{local}{LISTEN}")
}

/// The detail of a TCP socket that is or was connected.
pub fn tcp_connected(
    local: impl fmt::Display,
    accepted: bool,
    peer: impl fmt::Display,
    state: impl fmt::Display,
) -> String {
    format!("{local} {} {peer} {state}", if accepted { "←" } else { "→" })
}

/// The detail of a pipe that has no path; `target` is the kernel's name of it.
pub fn pipe_end(writes: bool, target: &str) -> String {
    format!("{} end{OF}{target}", if writes { "write" } else { "read" })
}

/// The detail of a pidfd.
pub fn pidfd(pid: &str) -> String {
    format!("pidfd{OF}{pid}")
}

/// The detail of a Unix socket of this kind (`stream`), and whether it is connected; `None`: it listens.
pub fn unix(path: &str, kind: &str, connected: Option<bool>) -> String {
    let state = match connected {
        None => LISTENING,
        Some(true) => "connected",
        Some(false) => "not connected",
    };
    format!("{path} {kind} {state}")
}

/// The path in the address of a Unix socket; `None` of another address.
pub fn unix_path(address: &str) -> Option<&str> {
    address.strip_prefix(UNIX)
}

/// A listener, as a descriptor's detail names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listens<'a> {
    /// Address and port.
    Tcp(&'a str),
    /// Path.
    Unix(&'a str),
}

impl Listens<'_> {
    /// Of TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listens::Tcp(address) => address.rsplit_once(':')?.1.parse().ok(),
            Listens::Unix(_) => None,
        }
    }
}

/// As an address is written.
impl fmt::Display for Listens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listens::Tcp(address) => f.write_str(address),
            Listens::Unix(path) => write!(f, "{UNIX}{path}"),
        }
    }
}

impl Descriptor {
    /// Where it listens; `None` where it does not.
    pub fn listens(&self) -> Option<Listens<'_>> {
        match self.kind {
            DescriptorKind::TcpListen => self.detail.strip_suffix(LISTEN).map(Listens::Tcp),
            DescriptorKind::Unix => {
                let name = self.detail.strip_suffix(LISTENING)?.strip_suffix(' ')?;
                Some(Listens::Unix(name.rsplit_once(' ')?.0))
            }
            _ => None,
        }
    }

    /// The ends and the state of a TCP socket that is or was connected; `None` of anything else.
    pub fn connected(&self) -> Option<Connected<'_>> {
        let [local, arrow @ ("→" | "←"), peer, state] = self.detail.split(' ').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let connected = Connected { local, peer, state, accepted: arrow == "←" };
        (self.kind == DescriptorKind::Tcp).then_some(connected)
    }

    /// The detail without what differs from one descriptor to the next of its sort: addresses, inodes,
    /// counts.
    pub fn shared(&self) -> &str {
        let of = || self.detail.split(OF).next().unwrap_or_default();
        match self.kind {
            DescriptorKind::Tcp => self.connected().map_or(&self.detail, |socket| socket.state),
            DescriptorKind::Pipe => match self.detail.split_once(OF) {
                Some((end, target)) if target.starts_with(PIPE) => end,
                _ => &self.detail,
            },
            DescriptorKind::Udp | DescriptorKind::Epoll | DescriptorKind::Inotify => "",
            DescriptorKind::Other => of(),
            _ => &self.detail,
        }
    }
}

/// A TCP socket that is or was connected, as a descriptor's detail names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected<'a> {
    /// Its own address and port.
    pub local: &'a str,
    /// Those of the other side.
    pub peer: &'a str,
    /// Its state, as ss(8) calls it.
    pub state: &'a str,
    /// Whether its process accepted it.
    pub accepted: bool,
}

impl Connected<'_> {
    /// Whether the other side has closed it and its process has not.
    pub fn waits_for_close(&self) -> bool {
        self.state == CLOSE_WAIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_taken_apart_as_it_was_written() {
        let of = |kind, detail: String| Descriptor { fd: 3, kind, detail };
        let listens = of(DescriptorKind::TcpListen, tcp_listens("[::1]:80"));
        let port = listens.listens().and_then(|listener| listener.port());
        assert_eq!((listens.listens(), port), (Some(Listens::Tcp("[::1]:80")), Some(80)));
        let unix_of = |connected| of(DescriptorKind::Unix, unix("/run/a b.sock", "stream", connected));
        let address = unix_of(None).listens().map(|listener| listener.to_string());
        assert_eq!(address.as_deref().and_then(unix_path), Some("/run/a b.sock"));
        assert_eq!((unix_of(Some(true)).listens(), unix_of(Some(false)).listens()), (None, None));
        let socket = of(DescriptorKind::Tcp, tcp_connected("[::1]:80", true, "[::1]:5000", CLOSE_WAIT));
        let ends = socket.connected().map(|socket| (socket.local, socket.peer, socket.accepted));
        assert_eq!(ends, Some(("[::1]:80", "[::1]:5000", true)));
        assert!(socket.connected().is_some_and(|socket| socket.waits_for_close()));
        let shared = |kind, detail| of(kind, detail).shared().to_owned();
        assert_eq!(shared(DescriptorKind::Pipe, pipe_end(true, "pipe:[7]")), "write end");
        assert_eq!(shared(DescriptorKind::Pipe, "/run/jobs of a day".into()), "/run/jobs of a day");
        assert_eq!(shared(DescriptorKind::Other, pidfd("7")), "pidfd");
    }
}

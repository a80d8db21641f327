//! Unix stream sockets of this network namespace as the kernel lists them (sock_diag(7), AF_UNIX): the
//! listeners with their accept queues, and the connections accepted there. Asks only.

use super::netlink::{Netlink, Wanted, attribute, u32_at};
use rustix::net::SocketAddrUnix;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const AF_UNIX: u8 = 1;
const SOCK_STREAM: u8 = 1;
/// Bytes of `struct unix_diag_req` and `struct unix_diag_msg` (linux/unix_diag.h).
const QUESTION: usize = 24;
const ANSWER: usize = 16;
/// States of net/tcp_states.h that Unix sockets have, and their bits.
const ESTABLISHED: u32 = 1;
const LISTEN: u32 = 10;
/// `UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID`, and `UDIAG_SHOW_PEER`.
const SHOW: u32 = 0x1 | 0x2 | 0x10 | 0x40;
const SHOW_PEER: u32 = 0x4;
/// `UNIX_DIAG_NAME` … `UNIX_DIAG_UID`.
const NAME: u16 = 0;
const VFS: u16 = 1;
const PEER: u16 = 2;
const RQLEN: u16 = 4;
const UID: u16 = 7;

/// A stream socket that listens, or was accepted from one that does: it has the listener's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// As it was bound: a path may be relative to the folder that the process was in. `None`: it has none.
    pub name: Option<SocketAddrUnix>,
    /// Whether it listens.
    pub listens: bool,
    /// Inode of the socket, as in `/proc/PID/fd`.
    pub inode: u64,
    /// Its user; 0 before Linux 5.2, which does not tell.
    pub uid: u32,
    /// Connections in the accept queue of a listener (rqueue).
    pub queue: u32,
    /// Backlog of a listener as listen(2) got it, cut at `somaxconn` (wqueue).
    pub backlog: u32,
    /// Device, as `st_dev` has it, and inode of the file that it is bound to.
    file: Option<(u64, u64)>,
}

/// The listening sockets.
///
/// # Errors
/// The kernel refused the dump, or gave no answer for two seconds. One that cannot list them
/// (`CONFIG_UNIX_DIAG`) lists none.
pub fn listeners(netlink: &mut Netlink) -> io::Result<Vec<UnixSocket>> {
    sockets(netlink, 1 << LISTEN)
}

/// The listener that a connect to this name would reach. Where several were bound to one path, it is the one
/// whose file is there now.
///
/// # Errors
/// As [`listeners`].
pub fn listener(netlink: &mut Netlink, name: &SocketAddrUnix) -> io::Result<Option<UnixSocket>> {
    Ok(reached(listeners(netlink)?, name))
}

/// The listener that a connect would reach, and every open connection that was accepted from it. Connections
/// in its accept queue are not listed.
///
/// # Errors
/// As [`listeners`].
pub fn bound(netlink: &mut Netlink, name: &SocketAddrUnix) -> io::Result<Vec<UnixSocket>> {
    let mut all = sockets(netlink, 1 << LISTEN | 1 << ESTABLISHED)?;
    let listener = reached(all.iter().filter(|socket| socket.listens).cloned().collect(), name);
    let Some(listener) = listener else { return Ok(Vec::new()) };
    all.retain(|socket| match socket.listens {
        true => socket.inode == listener.inode,
        false => socket.name == listener.name && socket.file == listener.file,
    });
    Ok(all)
}

/// Whether the peer of the socket with this inode has been accepted: a descriptor refers to it. `None`: there
/// is no such socket, or it has no peer.
///
/// # Errors
/// The kernel refused the question, or gave no answer for two seconds.
pub fn accepted(netlink: &mut Netlink, inode: u64) -> io::Result<Option<bool>> {
    let mut peer = None;
    let asked = netlink.ask(&question(u32::MAX, inode as u32, SHOW_PEER), Wanted::One, ANSWER, |body| {
        peer =
            attribute(&body[ANSWER..], PEER).filter(|peer| peer.len() >= 4).map(|peer| u32_at(peer, 0) > 0);
    });
    match asked {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(|()| peer),
    }
}

fn sockets(netlink: &mut Netlink, states: u32) -> io::Result<Vec<UnixSocket>> {
    let mut found = Vec::new();
    let asked = netlink.ask(&question(states, 0, SHOW), Wanted::All, ANSWER, |body| found.extend(read(body)));
    match asked {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map(|()| found),
    }
}

/// The one of these listeners that a connect would reach. A path is followed: the file identifies the
/// listener, even when it was bound by another name. Where the file system shows another inode (overlays),
/// the name decides.
fn reached(all: Vec<UnixSocket>, name: &SocketAddrUnix) -> Option<UnixSocket> {
    let Some(path) = name.path_bytes().map(|path| Path::new(OsStr::from_bytes(path))) else {
        return all.into_iter().find(|socket| socket.name.as_ref() == Some(name));
    };
    let there = std::fs::metadata(path).ok();
    let by_file = |socket: &UnixSocket| {
        let (there, file) = (there.as_ref()?, socket.file?);
        let named = socket.name.as_ref()?.path_bytes().map(|path| Path::new(OsStr::from_bytes(path)));
        let same_name = named.and_then(Path::file_name) == path.file_name();
        (there.ino() == file.1 && (there.dev() == file.0 || same_name)).then_some(())
    };
    let found = all.iter().position(|socket| by_file(socket).is_some());
    let found = found.or_else(|| all.iter().position(|socket| socket.name.as_ref() == Some(name)));
    found.map(|at| all[at].clone())
}

/// `struct unix_diag_req`: family, protocol, padding, states, inode, parts to show, cookie.
fn question(states: u32, inode: u32, show: u32) -> [u8; QUESTION] {
    let mut m = [0; QUESTION];
    m[0] = AF_UNIX;
    m[4..8].copy_from_slice(&states.to_ne_bytes());
    m[8..12].copy_from_slice(&inode.to_ne_bytes());
    m[12..16].copy_from_slice(&show.to_ne_bytes());
    m[16..24].fill(0xff); // NOCOOKIE
    m
}

/// A `struct unix_diag_msg` (family, type, state, padding, inode, cookie) and the attributes that follow it;
/// `None` of other than streams.
fn read(body: &[u8]) -> Option<UnixSocket> {
    let wide = |kind| attribute(&body[ANSWER..], kind).filter(|bytes| bytes.len() >= 8);
    let pair = |kind| wide(kind).map(|bytes| (u32_at(bytes, 0), u32_at(bytes, 4)));
    let (queue, backlog) = pair(RQLEN).unwrap_or_default();
    let uid =
        attribute(&body[ANSWER..], UID).filter(|bytes| bytes.len() >= 4).map_or(0, |bytes| u32_at(bytes, 0));
    // The kernel's own numbers: twelve bits of major, twenty of minor.
    let file =
        |(inode, device): (u32, u32)| (rustix::fs::makedev(device >> 20, device & 0xf_ffff), inode.into());
    (body[1] == SOCK_STREAM).then(|| UnixSocket {
        name: attribute(&body[ANSWER..], NAME).and_then(name),
        listens: u32::from(body[2]) == LISTEN,
        inode: u32_at(body, 4).into(),
        uid,
        queue,
        backlog,
        file: pair(VFS).map(file),
    })
}

/// A `sun_path`: an abstract name begins with a byte 0, a path may end with one.
fn name(bytes: &[u8]) -> Option<SocketAddrUnix> {
    match bytes {
        [] => None,
        [0, name @ ..] => SocketAddrUnix::new_abstract_name(name).ok(),
        path => SocketAddrUnix::new(path.split(|byte| *byte == 0).next()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::address::Address;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};

    fn listening(address: &SockAddr, backlog: i32) -> Socket {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(address).unwrap();
        socket.listen(backlog).unwrap();
        socket
    }

    fn inode(socket: &impl AsRawFd) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap()
    }

    fn unix(name: &[u8]) -> SocketAddrUnix {
        match Address::unix(name).unwrap() {
            Address::Unix(name) => name,
            Address::Inet(_) | Address::Udp(_) => unreachable!("a name of a Unix socket"),
        }
    }

    #[test]
    fn an_answer_of_the_kernel_is_a_listener_with_its_name_queue_and_file() {
        let mut body = vec![AF_UNIX, SOCK_STREAM, LISTEN as u8, 0];
        body.extend([7u32, 0, 0].iter().flat_map(|word| word.to_ne_bytes()));
        let attribute = |body: &mut Vec<u8>, kind: u16, content: &[u8]| {
            body.extend((content.len() as u16 + 4).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend_from_slice(content);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        let words = |words: [u32; 2]| words.map(u32::to_ne_bytes).concat();
        attribute(&mut body, NAME, b"/run/s\0");
        attribute(&mut body, VFS, &words([42, 8 << 20 | 3]));
        attribute(&mut body, RQLEN, &words([5, 128]));
        attribute(&mut body, UID, &1000u32.to_ne_bytes());
        let expected = UnixSocket {
            name: Some(unix(b"/run/s")),
            listens: true,
            inode: 7,
            uid: 1000,
            queue: 5,
            backlog: 128,
            file: Some((rustix::fs::makedev(8, 3), 42)),
        };
        assert_eq!(read(&body), Some(expected));
        body[1] = 2; // SOCK_DGRAM
        assert_eq!(read(&body), None);
    }

    #[test]
    fn a_listener_is_found_by_its_path_and_by_its_abstract_name_with_its_queue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let hidden = format!("lastfd-test-{}", std::process::id());
        let servers = [
            (path.as_os_str().as_bytes().to_vec(), listening(&SockAddr::unix(&path).unwrap(), 7)),
            (
                format!("@{hidden}").into_bytes(),
                listening(&SockAddr::unix(format!("\0{hidden}")).unwrap(), 7),
            ),
        ];
        let mut netlink = Netlink::open().unwrap();
        for (name, server) in &servers {
            let to = server.local_addr().unwrap();
            let clients = [(); 3].map(|()| {
                let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                client.connect(&to).unwrap();
                client
            });
            let (accepted_one, _) = server.accept().unwrap();
            let found = listener(&mut netlink, &unix(name)).unwrap().unwrap();
            assert_eq!((found.inode, found.queue, found.backlog), (inode(server), 2, 7));
            assert_eq!(found.uid, rustix::process::geteuid().as_raw());
            let bound: Vec<u64> =
                bound(&mut netlink, &unix(name)).unwrap().iter().map(|one| one.inode).collect();
            assert_eq!(bound.len(), 2, "the listener and what it accepted");
            assert!(bound.contains(&inode(&accepted_one)));
            let seen = clients.each_ref().map(|one| accepted(&mut netlink, inode(one)).unwrap());
            assert_eq!(seen, [Some(true), Some(false), Some(false)]);
        }
    }

    #[test]
    fn a_path_that_was_bound_again_leads_to_the_one_that_is_there_now_by_a_link_too() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("s"), folder.path().join("link"));
        let old = listening(&SockAddr::unix(&path).unwrap(), 1);
        std::fs::remove_file(&path).unwrap();
        let now = listening(&SockAddr::unix(&path).unwrap(), 1);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut netlink = Netlink::open().unwrap();
        let mut at = |path: &Path| listener(&mut netlink, &unix(path.as_os_str().as_bytes())).unwrap();
        assert_ne!(inode(&old), inode(&now));
        assert_eq!(at(&path).unwrap().inode, inode(&now));
        // A file system that shows other devices and inodes than the kernel's tables have cannot tell.
        if folder.path().metadata().unwrap().dev() == now_device(&now, &mut Netlink::open().unwrap()) {
            assert_eq!(at(&link).unwrap().inode, inode(&now));
        }
        let none = SocketAddr::from_abstract_name(b"lastfd-nobody").unwrap();
        assert!(UnixStream::connect_addr(&none).is_err());
        assert!(listener(&mut Netlink::open().unwrap(), &unix(b"@lastfd-nobody")).unwrap().is_none());
    }

    fn now_device(socket: &Socket, netlink: &mut Netlink) -> u64 {
        let all = listeners(netlink).unwrap();
        all.iter().find(|one| one.inode == inode(socket)).and_then(|one| one.file).map_or(0, |file| file.0)
    }
}

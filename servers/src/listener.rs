//! The listening socket: bound first, made to listen last, so that a server that is seen to listen is at
//! rest.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen,
    socket_with, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The owner of the listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    /// Made by this process.
    Own(OwnedFd),
    /// Standard input of a worker: shared with its master and the other workers, or its own.
    Inherited,
}

impl Listener {
    /// A TCP socket bound to `address`, not yet listening. `blocking` is a property of the socket, shared by
    /// all workers. `several`: so may others of this user, each with a queue of its own (SO_REUSEPORT).
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`; `EMFILE` under a limit too low to start.
    pub(crate) fn bind(address: SocketAddr, blocking: bool, several: bool) -> Result<Self, Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let mode = if blocking { SocketFlags::empty() } else { SocketFlags::NONBLOCK };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | mode, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if several {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        bind(&socket, &address)?;
        Ok(Listener::Own(socket))
    }

    /// A Unix socket bound to this path, or to an abstract name after `@`, not yet listening. `blocking` as
    /// in [`Listener::bind`].
    ///
    /// # Errors
    /// `EADDRINUSE`, also where a file of that name is left; `ENOENT`, `EACCES`, `ENAMETOOLONG`.
    pub(crate) fn bind_unix(name: &str, blocking: bool) -> Result<Self, Errno> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            None => SocketAddrUnix::new(name)?,
        };
        let mode = if blocking { SocketFlags::empty() } else { SocketFlags::NONBLOCK };
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | mode, None)?;
        bind(&socket, &address)?;
        Ok(Listener::Own(socket))
    }

    /// One of this worker's own at the address that standard input is bound to, in the place of standard
    /// input: the worker holds as many descriptors as one that shares its listener.
    ///
    /// # Errors
    /// The errors of [`Listener::bind`]; `ENOTSOCK` when standard input is not a socket, `EAFNOSUPPORT` when
    /// it is no TCP socket.
    pub(crate) fn beside_inherited(blocking: bool) -> Result<Self, Errno> {
        let own = Listener::bind(inet(&Listener::Inherited.bound()?)?, blocking, true)?;
        rustix::stdio::dup2_stdin(own)?;
        Ok(Listener::Inherited)
    }

    /// Starts to listen; again on a socket that listens is harmless.
    ///
    /// # Errors
    /// `EADDRINUSE` when another socket listens there meanwhile.
    pub(crate) fn listen(&self, backlog: u32) -> Result<(), Errno> {
        listen(self.as_fd(), i32::try_from(backlog).unwrap_or(i32::MAX))
    }

    /// The address it is bound to, with the port that the kernel chose: `IP:PORT`, `unix:PATH` or
    /// `unix:@NAME`.
    ///
    /// # Errors
    /// `ENOTSOCK` when standard input of a worker is not a socket.
    pub(crate) fn address(&self) -> Result<String, Errno> {
        address_of(self.as_fd())
    }

    fn bound(&self) -> Result<SocketAddrAny, Errno> {
        getsockname(self.as_fd())
    }
}

fn inet(address: &SocketAddrAny) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(address.clone()).map_err(|_| Errno::AFNOSUPPORT)
}

/// Where a socket is bound, as text.
///
/// # Errors
/// `ENOTSOCK`; `EAFNOSUPPORT` of another family.
pub(crate) fn address_of(socket: BorrowedFd<'_>) -> Result<String, Errno> {
    let address = getsockname(socket)?;
    if let Ok(address) = inet(&address) {
        return Ok(address.to_string());
    }
    let unix = SocketAddrUnix::try_from(address).map_err(|_| Errno::AFNOSUPPORT)?;
    let (mark, name) = match unix.abstract_name() {
        Some(name) => ("@", name),
        None => ("", unix.path_bytes().unwrap_or_default()),
    };
    Ok(format!("unix:{mark}{}", String::from_utf8_lossy(name)))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Own(socket) => socket.as_fd(),
            Listener::Inherited => rustix::stdio::stdin(),
        }
    }
}

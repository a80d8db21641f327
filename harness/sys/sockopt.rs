//! Socket options that no crate of ours sets.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets `IP_BIND_ADDRESS_NO_PORT` (ip(7), Linux 4.2): bind(2) with port 0 then fixes the address only, and
/// connect(2) picks a port that is free for that peer, so two sockets may share a port.
///
/// # Errors
/// `ENOPROTOOPT` for a socket that is not IPv4.
pub fn bind_address_no_port(socket: impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is borrowed for the call, and the pointer and length describe `on`, which
    // outlives it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_with_the_option_takes_no_port() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        bind_address_no_port(&socket).unwrap();
        socket.bind(&"127.0.0.2:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap(), "127.0.0.2:0".parse().unwrap());
    }
}

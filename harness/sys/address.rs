//! Where a server is reached: a port of an IP address, by TCP or UDP, or a Unix socket by its path or its
//! abstract name.
//!
//! As text, in logs and on command lines: `127.0.0.1:80`, `[::1]:80`, `udp:127.0.0.1:53`, `unix:/run/x.sock`,
//! `unix:@name`.

use rustix::net::SocketAddrUnix;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

/// The prefix of the text of a Unix socket.
const UNIX: &str = "unix:";
/// The prefix of the text of a UDP socket.
const UDP: &str = "udp:";

/// The address of a stream listener, or of a UDP socket that is bound and has no peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// TCP.
    Inet(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A Unix stream socket (unix(7)).
    Unix(SocketAddrUnix),
}

impl Address {
    /// A Unix socket: a path from its bytes, or an abstract name after `@`, which therefore begins no path.
    ///
    /// # Errors
    /// `ENAMETOOLONG` beyond 107 bytes; `EINVAL` for an empty name, or a byte 0 in a path.
    pub fn unix(name: &[u8]) -> io::Result<Address> {
        Ok(Address::Unix(match name {
            [] => return Err(rustix::io::Errno::INVAL.into()),
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path => SocketAddrUnix::new(path)?,
        }))
    }

    /// The port; `None` of a Unix socket.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Address::Inet(address) | Address::Udp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }

    /// Whether it is of TCP or UDP over IPv4.
    pub const fn is_ipv4(&self) -> bool {
        matches!(self, Address::Inet(address) | Address::Udp(address) if address.is_ipv4())
    }

    /// Whether it is a UDP address: such a socket accepts no connection, and its queue holds datagrams.
    pub const fn is_udp(&self) -> bool {
        matches!(self, Address::Udp(_))
    }

    /// The path of a Unix socket that has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::Unix(name) => name.path_bytes().map(|path| Path::new(std::ffi::OsStr::from_bytes(path))),
            Address::Inet(_) | Address::Udp(_) => None,
        }
    }

    /// Whether nothing but this machine is behind it.
    pub const fn is_local(&self) -> bool {
        match self {
            Address::Inet(address) | Address::Udp(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// The same with an IPv4 address in place of one that is mapped into IPv6.
    pub fn canonical(self) -> Address {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        match self {
            Address::Inet(address) => Address::Inet(plain(address)),
            Address::Udp(address) => Address::Udp(plain(address)),
            unix @ Address::Unix(_) => unix,
        }
    }

    /// As HTTP's `Host` has it: behind a Unix socket there is no host but this one.
    pub fn host(&self) -> String {
        match self {
            Address::Inet(address) | Address::Udp(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Address::Inet(address) => return address.fmt(f),
            Address::Udp(address) => return write!(f, "{UDP}{address}"),
            Address::Unix(name) => name,
        };
        f.write_str(UNIX)?;
        if name.abstract_name().is_some() {
            f.write_char('@')?;
        }
        let bytes = name.path_bytes().or(name.abstract_name()).unwrap_or_default();
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\x5c")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u8)?,
                    c => f.write_char(c)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither IP:PORT nor udp:IP:PORT nor unix:PATH nor unix:@NAME")]
pub struct NoAddress(String);

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let unknown = || NoAddress(text.to_owned());
        if let Some(address) = text.strip_prefix(UDP) {
            return address.parse().map(Address::Udp).map_err(|_| unknown());
        }
        let Some(name) = text.strip_prefix(UNIX) else {
            return text.parse().map(Address::Inet).map_err(|_| unknown());
        };
        let mut parts = name.split("\\x");
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let (code, rest) = part.split_at_checked(2).ok_or_else(unknown)?;
            bytes.push(u8::from_str_radix(code, 16).map_err(|_| unknown())?);
            bytes.extend_from_slice(rest.as_bytes());
        }
        Address::unix(&bytes).map_err(|_| unknown())
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Address, NoAddress> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_read_back_from_its_text() {
        let names: [&[u8]; 6] =
            [b"/run/x.sock", b"s", b"@gone", b"/a b\\x00", b"@\0\xff\n", "/häuser\\".as_bytes()];
        let unix = names.map(|name| Address::unix(name).unwrap());
        let inet = ["127.0.0.1:80", "[::1]:8080"].map(|text| Address::Inet(text.parse().unwrap()));
        let udp = [Address::Udp("127.0.0.1:53".parse().unwrap())];
        for address in unix.iter().chain(&inet).chain(&udp) {
            assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(address));
        }
        assert_eq!(unix[0].to_string(), "unix:/run/x.sock");
        assert_eq!(unix[2].to_string(), "unix:@gone");
        assert_eq!(unix[4].to_string(), "unix:@\\x00\\xff\\x0a");
        assert_eq!(inet[1].to_string(), "[::1]:8080");
        assert_eq!(udp[0].to_string(), "udp:127.0.0.1:53");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:/{}", "x".repeat(108));
        for text in [
            "",
            "unix:",
            "udp:",
            "udp:53",
            "8080",
            "/run/x.sock",
            "unix:/a\\xg0",
            "unix:/a\\x4",
            long.as_str(),
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress(text.to_owned())));
        }
    }

    #[test]
    fn a_host_behind_a_unix_socket_is_this_one() {
        assert_eq!(Address::unix(b"/run/x.sock").unwrap().host(), "localhost");
        assert_eq!(Address::Inet("[::1]:80".parse().unwrap()).host(), "[::1]:80");
    }
}

//! Source addresses: which of 127.0.0.0/8 a client connects from.
//!
//! One source address has 28,232 ports to one destination by default and slows down at half of them, so each serves at most
//! [`CLIENTS_PER_ADDRESS`]. Clients close first and leave TIME_WAIT behind for a minute, which slows the next run from the same address: so
//! each driver begins at another one, told apart by its start time and its process id. Knows no sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Sockets that one source address is used for: well below half of the default ephemeral range (32768–60999), where connect slows.
pub const CLIENTS_PER_ADDRESS: u64 = 10_000;
/// Networks 127.1.0.0/24 to 127.254.255.0/24: one for each driver.
const NETWORKS: u64 = 254 * 256;
/// An odd stride, so that drivers with neighbouring pids started together do not share a network.
const STRIDE: u64 = 7919;

/// The source addresses of one driver.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    first: Option<u32>,
    used: u64,
}

impl Sources {
    /// For a driver started at `started_ms` (milliseconds of a monotonic clock). Another network each millisecond for 65 s: longer than
    /// TIME_WAIT lasts. Targets that are not IPv4 loopback need no source address: the kernel chooses.
    pub fn new(target: SocketAddr, pid: u32, started_ms: u64) -> Sources {
        let network = (started_ms + u64::from(pid) * STRIDE) % NETWORKS;
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + ((network as u32) << 8);
        Sources { first: matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback()).then_some(first), used: 0 }
    }

    /// The address for the next socket; `None`: let the kernel choose.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let block = self.used / CLIENTS_PER_ADDRESS;
        self.used += 1;
        self.first.map(|first| Ipv4Addr::from(first + block as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn target() -> SocketAddr {
        "127.0.0.1:80".parse().unwrap()
    }

    #[test]
    fn no_address_serves_more_than_ten_thousand_sockets_and_all_are_loopback() {
        let mut sources = Sources::new(target(), 4_194_304, u64::from(u32::MAX));
        let mut sockets = BTreeMap::<Ipv4Addr, u32>::new();
        for _ in 0..25_000 {
            *sockets.entry(sources.take().unwrap()).or_default() += 1;
        }
        assert_eq!(sockets.values().copied().collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
        assert!(sockets.keys().all(|ip| ip.is_loopback() && ip.octets()[3] != 0 && ip.octets()[3] != 255));
    }

    #[test]
    fn drivers_started_one_after_another_or_together_begin_at_different_addresses() {
        let first = |pid, ms| Sources::new(target(), pid, ms).take().unwrap();
        assert_ne!(first(2, 1000), first(2, 1001), "the same pid in another PID namespace");
        assert_ne!(first(2, 1000), first(3, 1000));
        assert_ne!(first(2, 1000), first(3, 1002));
        assert_ne!(first(2, 1000), first(2, 61_000), "within TIME_WAIT");
    }

    #[test]
    fn other_targets_are_left_to_the_kernel() {
        for target in ["[::1]:80", "192.0.2.1:80"] {
            assert_eq!(Sources::new(target.parse().unwrap(), 1, 1).take(), None);
        }
    }
}

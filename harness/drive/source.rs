//! Source addresses: which of 127.0.0.0/8 a client connects from.
//!
//! One source address has 28,232 ports to one destination by default and slows down at half of them, so each
//! serves at most [`CLIENTS_PER_ADDRESS`]. The first clients come from the usual address, 127.0.0.1, because
//! programs treat others differently: redis in its protected mode turns away 127.0.0.2. Beyond that every
//! driver has a network of its own, told apart by its start time and process id, so drivers share no address
//! and none meets the TIME_WAIT that an earlier one left behind. On 127.0.0.1 one may: Linux gives such ports
//! out again over loopback once they are a second old (`net.ipv4.tcp_tw_reuse` = 2). A ramp to the same port
//! within that second, after 10,000 clients have left, was measured four times slower; after 1,500, or 2.5 s
//! later, as fast as the first.

use crate::sys::address::Address;
use crate::sys::sock_diag::SockDiag;
use std::net::{IpAddr, Ipv4Addr};

/// Sockets that one source address is used for: well below half of the default ephemeral range (32768–60999),
/// where connect slows.
pub const CLIENTS_PER_ADDRESS: u64 = 10_000;
/// Networks 127.1.0.0/24 to 127.254.255.0/24: one for each driver.
const NETWORKS: u64 = 254 * 256;
/// An odd stride, so that drivers with neighbouring pids started together do not share a network.
const STRIDE: u64 = 7919;

/// The source addresses of one driver.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// Sockets that the usual address may still be used for.
    usual: u64,
    /// The first address of the driver's own network; `None`: the kernel chooses for all.
    first: Option<u32>,
    used: u64,
}

impl Sources {
    /// For a driver started at `started_ms` (milliseconds of a monotonic clock), when `taken` sockets of the
    /// usual address lead to the target already. Each millisecond has another network for 65 s: longer than
    /// TIME_WAIT lasts. Targets that are not IPv4 loopback have no choice of addresses; clients of a Unix
    /// socket have none.
    pub fn new(target: &Address, taken: u64, pid: u32, started_ms: u64) -> Sources {
        let network = (started_ms + u64::from(pid) * STRIDE) % NETWORKS;
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + ((network as u32) << 8);
        let loopback = target.is_ipv4() && target.is_local();
        Sources {
            usual: CLIENTS_PER_ADDRESS.saturating_sub(taken),
            first: loopback.then_some(first),
            used: 0,
        }
    }

    /// The address for the next socket; `None`: let the kernel choose, for a loopback target 127.0.0.1.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let first = self.first?;
        if self.usual > 0 {
            self.usual -= 1;
            return None;
        }
        let block = self.used / CLIENTS_PER_ADDRESS;
        self.used += 1;
        Some(Ipv4Addr::from(first + block as u32))
    }
}

/// Sockets that lead from the usual address to the target now, TIME_WAIT left out; 0 where the kernel does
/// not tell.
pub fn taken(target: &Address) -> u64 {
    let Address::Inet(target) = target else { return 0 };
    let peers = SockDiag::open().and_then(|mut diag| diag.connected_to(*target));
    let usual = |local: &&std::net::SocketAddr| local.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
    peers.map_or(0, |peers| peers.iter().filter(usual).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::net::{TcpListener, TcpStream};

    fn target() -> Address {
        "127.0.0.1:80".parse().unwrap()
    }

    #[test]
    fn no_address_serves_more_than_ten_thousand_sockets_and_the_usual_one_comes_first() {
        let mut sources = Sources::new(&target(), 0, 4_194_304, u64::from(u32::MAX));
        let mut sockets = BTreeMap::<Option<Ipv4Addr>, u32>::new();
        for _ in 0..35_000 {
            *sockets.entry(sources.take()).or_default() += 1;
        }
        assert_eq!(sockets.values().copied().collect::<Vec<_>>(), [10_000, 10_000, 10_000, 5_000]);
        assert_eq!(sockets.keys().next(), Some(&None));
        assert!(
            sockets.keys().flatten().all(|ip| ip.is_loopback() && ip.octets()[1] != 0 && ip.octets()[3] != 0)
        );
    }

    #[test]
    fn what_others_took_of_the_usual_address_is_left_to_them() {
        let mut sources = Sources::new(&target(), 9_999, 1, 1);
        assert!(sources.take().is_none() && sources.take().is_some());
        assert!(Sources::new(&target(), 12_000, 1, 1).take().is_some());

        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let target = Address::Inet(to);
        assert_eq!(taken(&target), 0);
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(to).unwrap()).collect();
        assert_eq!(taken(&target), 3);
        let accepted: Vec<_> = (0..3).map(|_| server.accept().unwrap()).collect();
        drop(clients);
        drop(accepted);
        assert_eq!(taken(&target), 0, "TIME_WAIT is not counted");
    }

    #[test]
    fn drivers_started_one_after_another_or_together_have_networks_of_their_own() {
        let first = |pid, ms| Sources::new(&target(), CLIENTS_PER_ADDRESS, pid, ms).take().unwrap();
        assert_ne!(first(2, 1000), first(2, 1001), "the same pid in another PID namespace");
        assert_ne!(first(2, 1000), first(3, 1000));
        assert_ne!(first(2, 1000), first(3, 1002));
        assert_ne!(first(2, 1000), first(2, 61_000), "within TIME_WAIT");
    }

    #[test]
    fn other_targets_are_left_to_the_kernel() {
        for target in ["[::1]:80", "192.0.2.1:80", "unix:@x"] {
            assert_eq!(Sources::new(&target.parse().unwrap(), CLIENTS_PER_ADDRESS, 1, 1).take(), None);
        }
    }
}

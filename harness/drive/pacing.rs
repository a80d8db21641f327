//! Closed-loop pacing: how many clients may connect now, from the accept queue of the listener. Opens no
//! client sockets.
//!
//! Below half of its capacity the queue never overflows by our own doing, so no SYN is dropped and no second
//! is lost in a retry. Where the kernel does not tell the queue's length, connections that were not answered
//! yet stand for it.

use crate::scenario::Pace;
use crate::sys::address::Address;
use crate::sys::sock_diag::SockDiag;

/// Connections without an answer (or still in the handshake) at a time, where the queue cannot be seen.
const BLIND_OUTSTANDING: u32 = 64;
/// Connects a millisecond of a dialogue that asks nothing, where the queue cannot be seen: 125 µs between
/// two.
const BLIND_PER_MS: u32 = 8;
const MS: u64 = 1_000_000;
/// Connects still in the handshake at a time, without pacing: far more than any accept queue, and a bound.
const BURST_OUTSTANDING: u32 = 4096;

/// The driver's connections, for the gate to count with.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connects in the handshake.
    pub connecting: u32,
    /// Connected, and without an answer.
    pub unserved: u32,
}

/// Says how many clients may connect.
pub struct Gate {
    target: Address,
    sight: Sight,
    /// Nanoseconds between two clients, where they are to come at so many a second; none is due before `due`.
    between: Option<u64>,
    due: u64,
}

enum Sight {
    /// Overflow on purpose.
    Burst,
    /// The queue is asked for; `several` listeners share the port (SO_REUSEPORT), so all are listed and the
    /// fullest counts.
    Queue { diag: SockDiag, several: bool },
    /// The queue cannot be seen; `answers`: the dialogue is answered. Nothing before `next`, monotonic
    /// nanoseconds.
    Blind { answers: bool, next: u64 },
}

impl Gate {
    /// For one listener. `answers`: clients of this dialogue are answered, so unanswered ones can be counted.
    pub fn new(target: Address, pace: Pace, answers: bool) -> Gate {
        let sight = match pace {
            Pace::Burst => Sight::Burst,
            // Nothing keeps a datagram back: at a rate they come whether others were answered or not.
            Pace::PerSecond(_) if target.is_udp() => Sight::Burst,
            _ if target.is_udp() => Sight::Blind { answers: true, next: 0 },
            _ => see(&target).unwrap_or(Sight::Blind { answers, next: 0 }),
        };
        let between = if let Pace::PerSecond(n) = pace { Some((1e9 / n) as u64) } else { None };
        Gate { target, sight, between, due: 0 }
    }

    /// No client is to come before this, monotonic nanoseconds; 0 where they come as fast as they are
    /// accepted.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Looks again whether several share the port: workers may have begun to listen since.
    pub fn look_again(&mut self) {
        if let Sight::Queue { diag, several: known } = &mut self.sight {
            *known = several(diag, &self.target).unwrap_or(*known);
        }
    }

    /// How many clients may connect now, without waiting for the subject to accept any.
    pub fn credit(&mut self, load: Load, now: u64) -> u32 {
        let Some(between) = self.between else { return self.room(load, now) };
        if now < self.due {
            return 0;
        }
        let one = self.room(load, now).min(1);
        if one > 0 {
            self.due = now + between;
        }
        one
    }

    /// How many may connect whatever the pace is.
    fn room(&mut self, load: Load, now: u64) -> u32 {
        match &mut self.sight {
            Sight::Burst => BURST_OUTSTANDING.saturating_sub(load.connecting),
            Sight::Queue { diag, several } => match fullest(diag, &self.target, *several) {
                Some((length, capacity)) => half_free(length, capacity).saturating_sub(load.connecting),
                // Nothing listens any more: connecting shows it as refused, one client after the other.
                None => u32::from(load.connecting == 0),
            },
            Sight::Blind { answers: true, .. } => {
                BLIND_OUTSTANDING.saturating_sub(load.connecting + load.unserved)
            }
            Sight::Blind { next, .. } if now < *next => 0,
            Sight::Blind { next, .. } => {
                *next = now + MS;
                BLIND_PER_MS.min(BLIND_OUTSTANDING.saturating_sub(load.connecting))
            }
        }
    }
}

/// Places up to half of the capacity; one at least in an empty queue, however short it is.
fn half_free(length: u32, capacity: u32) -> u32 {
    (capacity / 2).max(1).saturating_sub(length)
}

fn see(target: &Address) -> Option<Sight> {
    let mut diag = SockDiag::open().ok()?;
    if diag.listener(target).ok()?.is_none() {
        // Another host's queue is never seen; on this one nothing listens (yet).
        return target.is_local().then_some(Sight::Queue { diag, several: false });
    }
    let several = several(&mut diag, target)?;
    Some(Sight::Queue { diag, several })
}

fn several(diag: &mut SockDiag, target: &Address) -> Option<bool> {
    Some(diag.sharing(target).ok()?.len() > 1)
}

/// Length and capacity of the accept queue; if several listeners share the address, of the one with the
/// fewest places up to its half.
fn fullest(diag: &mut SockDiag, target: &Address, several: bool) -> Option<(u32, u32)> {
    if !several {
        let one = diag.listener(target).ok()??;
        return Some((one.queue, one.capacity()));
    }
    let all = diag.sharing(target).ok()?;
    let queues = all.iter().map(|l| (l.queue, l.capacity()));
    queues.min_by_key(|&(length, capacity)| half_free(length, capacity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpStream};

    const IDLE: Load = Load { connecting: 0, unserved: 0 };

    fn listening(reuse: bool, address: SocketAddr, backlog: i32) -> (socket2::Socket, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_port(reuse).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(backlog).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    fn anywhere() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn credit_is_what_is_free_up_to_half_of_the_capacity() {
        let (_server, to) = listening(false, anywhere(), 9);
        let mut gate = Gate::new(to.into(), Pace::Auto, false);
        assert_eq!(gate.credit(IDLE, 0), 5);
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(to).unwrap()).collect();
        assert_eq!(gate.credit(IDLE, 0), 2);
        assert_eq!(gate.credit(Load { connecting: 1, unserved: 100 }, 0), 1);
        let _more: Vec<_> = (0..4).map(|_| TcpStream::connect(to).unwrap()).collect();
        assert_eq!(gate.credit(IDLE, 0), 0);
    }

    #[test]
    fn the_shortest_queue_lets_one_client_in() {
        let (_server, to) = listening(false, anywhere(), 0);
        let mut gate = Gate::new(to.into(), Pace::Auto, false);
        assert_eq!(gate.credit(IDLE, 0), 1);
        let _client = TcpStream::connect(to).unwrap();
        assert_eq!(gate.credit(IDLE, 0), 0);
    }

    #[test]
    fn of_listeners_that_share_a_port_the_fullest_counts() {
        let (_one, to) = listening(true, anywhere(), 9);
        let (_two, _) = listening(true, to, 9);
        let mut gate = Gate::new(to.into(), Pace::Auto, false);
        let mut clients = Vec::new();
        // Ten clients over two queues: one of them holds five or more, half of its capacity.
        for _ in 0..10 {
            clients.push(TcpStream::connect(to).unwrap());
        }
        assert_eq!(gate.credit(IDLE, 0), 0);
    }

    #[test]
    fn a_worker_that_listens_after_the_gate_was_made_counts_from_the_next_look_on() {
        let (_one, to) = listening(true, anywhere(), 9);
        let mut gate = Gate::new(to.into(), Pace::Auto, false);
        let (_two, _) = listening(true, to, 9);
        assert!(matches!(gate.sight, Sight::Queue { several: false, .. }));
        gate.look_again();
        assert!(matches!(gate.sight, Sight::Queue { several: true, .. }));
    }

    #[test]
    fn a_listener_that_is_gone_lets_one_at_a_time_find_out() {
        let (server, to) = listening(false, anywhere(), 9);
        let mut gate = Gate::new(to.into(), Pace::Auto, false);
        drop(server);
        assert_eq!((gate.credit(IDLE, 0), gate.credit(Load { connecting: 1, unserved: 0 }, 0)), (1, 0));
    }

    #[test]
    fn unseen_queues_are_paced_by_answers_or_by_time() {
        let unseen: Address = "192.0.2.1:9".parse().unwrap();
        let mut answered = Gate::new(Address::clone(&unseen), Pace::Auto, true);
        assert_eq!(answered.credit(Load { connecting: 4, unserved: 10 }, 0), 50);
        assert_eq!(answered.credit(Load { connecting: 4, unserved: 60 }, 0), 0);
        let mut silent = Gate::new(Address::clone(&unseen), Pace::Auto, false);
        assert_eq!(
            (silent.credit(IDLE, 5 * MS), silent.credit(IDLE, 6 * MS - 1), silent.credit(IDLE, 6 * MS)),
            (8, 0, 8)
        );
        assert_eq!(silent.credit(Load { connecting: 64, unserved: 0 }, 8 * MS), 0);
    }

    #[test]
    fn so_many_a_second_come_one_at_a_time_and_are_not_made_up_for() {
        let mut gate = Gate::new("192.0.2.1:9".parse().unwrap(), Pace::PerSecond(100.0), true);
        let credits = [0, 9, 10, 19, 20, 1000, 1001].map(|ms| gate.credit(IDLE, (1000 + ms) * MS));
        assert_eq!(credits, [1, 0, 1, 0, 1, 1, 0]);
        assert_eq!(gate.due(), 2010 * MS);
    }

    #[test]
    fn a_burst_is_bounded_only_by_what_is_in_flight() {
        let mut gate = Gate::new("127.0.0.1:9".parse().unwrap(), Pace::Burst, true);
        assert_eq!(gate.credit(Load { connecting: 96, unserved: 9999 }, 0), 4000);
    }
}

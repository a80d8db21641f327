//! Several drivers of one workload seen as one: which driver gets an order, and which events the run sees.
//! Pure.

use super::protocol::Order;
use crate::event::{Event, Pacing, What};
use std::collections::VecDeque;

/// Orders for single drivers, by index.
type Orders = Vec<(usize, Order)>;

/// The state that the drivers share.
#[derive(Debug)]
pub struct Merge {
    /// Clients that each driver can hold.
    each: u32,
    shards: Vec<Shard>,
    /// Clients ordered in all.
    upto: u32,
    /// The driver that connects now.
    ramping: Option<usize>,
    /// The pacing that was last reported to the run.
    said: Option<Pacing>,
    /// Releases under way and to come, by clients; the first is being obeyed.
    releases: VecDeque<Release>,
}

#[derive(Debug, Default, Clone)]
struct Shard {
    /// Connects that have succeeded.
    connected: u32,
    /// `Released` events to come that answer no release of the run.
    unasked: u32,
}

#[derive(Debug)]
struct Release {
    /// The driver that is asked now.
    shard: usize,
    left: u32,
    released: u32,
}

impl Merge {
    /// For this many drivers.
    pub fn new(shards: usize, each: u32) -> Merge {
        assert!(shards > 0 && each > 0, "a workload has a driver, and a driver clients");
        let shards = vec![Shard::default(); shards];
        Merge { each, shards, upto: 0, ramping: None, said: None, releases: VecDeque::new() }
    }

    /// Clients that all drivers together can hold.
    pub fn room(&self) -> u32 {
        self.each.saturating_mul(u32::try_from(self.shards.len()).unwrap_or(u32::MAX))
    }

    /// An order of the run, as orders for drivers.
    pub fn order(&mut self, order: &Order) -> Orders {
        match order {
            Order::Connect { upto } => {
                self.upto = self.upto.max(*upto);
                let shard = *self.ramping.get_or_insert(0);
                self.said = None;
                vec![(shard, self.connect(shard))]
            }
            Order::Release { clients } => {
                // It ends the ramp everywhere; the driver that ramps gets the order, unless it is the one
                // that releases.
                let mut orders = Vec::new();
                self.upto = 0;
                if let Some(shard) = self.ramping.filter(|&shard| shard != 0 || !self.releases.is_empty()) {
                    self.shards[shard].unasked += 1;
                    orders.push((shard, Order::Release { clients: 0 }));
                }
                self.releases.push_back(Release { shard: 0, left: *clients, released: 0 });
                if self.releases.len() == 1 {
                    orders.push((0, Order::Release { clients: *clients }));
                }
                orders
            }
            // The last driver's clients are the newest, and only its numbers do not end where another's
            // begin. More than it can hold would show where the driver ends, and not where the subject does.
            Order::Refill { clients } => {
                self.said = None;
                vec![(self.shards.len() - 1, Order::Refill { clients: (*clients).min(self.each) })]
            }
            Order::GiveUp { .. } => {
                self.said = None;
                vec![(self.shards.len() - 1, order.clone())]
            }
            Order::Probe { .. } | Order::AskHeld { .. } => vec![(0, order.clone())],
            Order::Quit => (0..self.shards.len()).map(|shard| (shard, Order::Quit)).collect(),
        }
    }

    /// Takes in an event of one driver. Events for the run go to `seen`; the orders that follow from it are
    /// returned.
    pub fn event(&mut self, shard: usize, event: Event, seen: &mut Vec<Event>) -> Orders {
        match event.is {
            What::Pacing { workload, state, connected } => {
                self.shards[shard].connected = connected;
                if state == Pacing::Done && self.ramping == Some(shard) {
                    if self.next_has_clients(shard) {
                        self.ramping = Some(shard + 1);
                        return vec![(shard + 1, self.connect(shard + 1))];
                    }
                    self.ramping = None;
                }
                if self.said != Some(state) {
                    self.said = Some(state);
                    let connected = self.shards.iter().map(|s| s.connected).sum();
                    seen.push(Event { at: event.at, is: What::Pacing { workload, state, connected } });
                }
                Vec::new()
            }
            What::Released { .. } if self.shards[shard].unasked > 0 => {
                self.shards[shard].unasked -= 1;
                Vec::new()
            }
            What::Released { clients } => self.released(event.at, clients, seen),
            _ => {
                seen.push(event);
                Vec::new()
            }
        }
    }

    fn released(&mut self, at: u64, clients: u32, seen: &mut Vec<Event>) -> Orders {
        let Some(release) = self.releases.front_mut() else { return Vec::new() };
        release.left = release.left.saturating_sub(clients);
        release.released += clients;
        if release.left > 0 && release.shard + 1 < self.shards.len() {
            release.shard += 1;
            return vec![(release.shard, Order::Release { clients: release.left })];
        }
        seen.push(Event { at, is: What::Released { clients: release.released } });
        self.releases.pop_front();
        self.releases.front().map(|next| (0, Order::Release { clients: next.left })).into_iter().collect()
    }

    /// The clients of one driver out of those ordered in all; the last driver takes the rest.
    fn connect(&self, shard: usize) -> Order {
        let own = self.upto.saturating_sub(shard as u32 * self.each);
        let last = shard + 1 == self.shards.len();
        Order::Connect { upto: if last { own } else { own.min(self.each) } }
    }

    fn next_has_clients(&self, shard: usize) -> bool {
        let next = shard + 1;
        next < self.shards.len() && matches!(self.connect(next), Order::Connect { upto } if upto > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Label;

    /// Drivers that obey at once: the orders that they got, and the events that the run saw.
    struct Rig {
        merge: Merge,
        told: Vec<String>,
        seen: Vec<What>,
    }

    impl Rig {
        fn new(shards: usize, each: u32) -> Rig {
            Rig { merge: Merge::new(shards, each), told: Vec::new(), seen: Vec::new() }
        }

        fn tell(&mut self, orders: Orders) {
            self.told.extend(
                orders
                    .iter()
                    .map(|(shard, order)| format!("{shard} {}", serde_json::to_string(order).unwrap())),
            );
        }

        fn order(&mut self, order: Order) {
            let orders = self.merge.order(&order);
            self.tell(orders);
        }

        fn event(&mut self, shard: usize, is: What) {
            let mut seen = Vec::new();
            let orders = self.merge.event(shard, Event { at: 1, is }, &mut seen);
            self.tell(orders);
            self.seen.extend(seen.into_iter().map(|e| e.is));
        }

        fn told(&mut self) -> Vec<String> {
            std::mem::take(&mut self.told)
        }

        fn seen(&mut self) -> Vec<What> {
            std::mem::take(&mut self.seen)
        }
    }

    fn pacing(state: Pacing, connected: u32) -> What {
        What::Pacing { workload: "flood".into(), state, connected }
    }

    #[test]
    fn drivers_connect_one_after_the_other_and_the_run_sees_one_ramp() {
        let mut rig = Rig::new(3, 100);
        rig.order(Order::Connect { upto: 250 });
        assert_eq!(rig.told(), [r#"0 {"connect":{"upto":100}}"#]);
        rig.event(0, pacing(Pacing::Ramping, 0));
        rig.event(0, pacing(Pacing::Done, 100));
        assert_eq!(rig.told(), [r#"1 {"connect":{"upto":100}}"#]);
        rig.event(1, pacing(Pacing::Ramping, 0));
        rig.event(1, pacing(Pacing::Parked, 40));
        rig.event(1, pacing(Pacing::Ramping, 40));
        rig.event(1, pacing(Pacing::Done, 100));
        assert_eq!(rig.told(), [r#"2 {"connect":{"upto":50}}"#]);
        rig.event(2, pacing(Pacing::Ramping, 0));
        rig.event(2, pacing(Pacing::Done, 50));
        assert_eq!(
            rig.seen(),
            [
                pacing(Pacing::Ramping, 0),
                pacing(Pacing::Parked, 140),
                pacing(Pacing::Ramping, 140),
                pacing(Pacing::Done, 250)
            ]
        );
        assert!(rig.told().is_empty());
    }

    #[test]
    fn a_later_order_answers_with_a_ramp_of_its_own_though_the_first_driver_is_full() {
        let mut rig = Rig::new(2, 100);
        rig.order(Order::Connect { upto: 8 });
        rig.event(0, pacing(Pacing::Ramping, 0));
        rig.event(0, pacing(Pacing::Done, 8));
        rig.order(Order::Connect { upto: 150 });
        rig.event(0, pacing(Pacing::Ramping, 8));
        rig.event(0, pacing(Pacing::Done, 100));
        rig.event(1, pacing(Pacing::Done, 50));
        assert_eq!(
            rig.told(),
            [r#"0 {"connect":{"upto":8}}"#, r#"0 {"connect":{"upto":100}}"#, r#"1 {"connect":{"upto":50}}"#]
        );
        assert_eq!(rig.seen()[2..], [pacing(Pacing::Ramping, 8), pacing(Pacing::Done, 150)]);
    }

    #[test]
    fn more_clients_than_all_can_hold_go_to_the_last() {
        let mut rig = Rig::new(2, 100);
        rig.order(Order::Connect { upto: 300 });
        rig.event(0, pacing(Pacing::Done, 100));
        assert_eq!(rig.told()[1], r#"1 {"connect":{"upto":200}}"#);
    }

    #[test]
    fn a_release_goes_from_driver_to_driver_until_enough_have_left_and_is_told_once() {
        let mut rig = Rig::new(3, 100);
        rig.order(Order::Release { clients: 150 });
        rig.order(Order::Release { clients: u32::MAX });
        rig.event(0, What::Released { clients: 100 });
        rig.event(1, What::Released { clients: 50 });
        assert_eq!(
            rig.told(),
            [
                r#"0 {"release":{"clients":150}}"#,
                r#"1 {"release":{"clients":50}}"#,
                r#"0 {"release":{"clients":4294967295}}"#
            ]
        );
        assert_eq!(rig.seen(), [What::Released { clients: 150 }]);
        rig.event(0, What::Released { clients: 0 });
        rig.event(1, What::Released { clients: 50 });
        rig.event(2, What::Released { clients: 7 });
        assert_eq!(rig.seen(), [What::Released { clients: 57 }]);
    }

    #[test]
    fn a_release_ends_the_ramp_of_whichever_driver_connects() {
        let mut rig = Rig::new(3, 100);
        rig.order(Order::Connect { upto: 300 });
        rig.event(0, pacing(Pacing::Done, 100));
        rig.told();
        rig.order(Order::Release { clients: 10 });
        assert_eq!(rig.told(), [r#"1 {"release":{"clients":0}}"#, r#"0 {"release":{"clients":10}}"#]);
        rig.event(1, What::Released { clients: 0 });
        rig.event(1, pacing(Pacing::Done, 30));
        rig.event(0, What::Released { clients: 10 });
        assert!(rig.told().is_empty(), "the third driver is not told to connect");
        assert_eq!(rig.seen(), [pacing(Pacing::Done, 130), What::Released { clients: 10 }]);
    }

    #[test]
    fn the_newest_clients_are_those_of_the_last_driver() {
        let mut rig = Rig::new(2, 100);
        rig.order(Order::GiveUp { clients: 1, of: 5 });
        rig.order(Order::Refill { clients: 3 });
        rig.order(Order::Refill { clients: 150 });
        assert_eq!(
            rig.told(),
            [
                r#"1 {"give-up":{"clients":1,"of":5}}"#,
                r#"1 {"refill":{"clients":3}}"#,
                r#"1 {"refill":{"clients":100}}"#
            ],
            "one driver holds a hundred"
        );
    }

    #[test]
    fn probes_and_questions_go_to_the_first_driver_and_an_end_to_all() {
        let mut rig = Rig::new(2, 100);
        rig.order(Order::AskHeld { clients: 1, deadline_ms: 5 });
        rig.order(Order::Probe { label: Label::Saturated, deadline_ms: 5 });
        rig.order(Order::Quit);
        assert!(rig.told().iter().map(|t| &t[..1]).eq(["0", "0", "0", "1"]));
    }
}

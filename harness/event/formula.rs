//! The arithmetic of a predicted ceiling, term by term.

use serde::{Deserialize, Serialize};

/// What a predicted ceiling is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Formula {
    /// The room in one process.
    Process(Room),
    /// For how many connections there is room in each of the processes that they are handed to.
    Processes(Vec<u64>),
}

/// The room in one process, and what a connection or a call takes of it. A term that is 0 is not there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Room {
    /// The soft limit.
    pub soft: u64,
    /// Descriptors open at rest, and below the limit.
    pub already_open: u64,
    /// Numbers that threads blocked in accept have reserved for clients of other listeners.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u64,
    /// Opened once, with the first few connections.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub opened_once: u64,
    /// Opened for all calls together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shared: u64,
    /// What each connection or call takes; `None`: one descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// What the last connection takes while it is made, where that is more than afterwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub making: u64,
    /// Calls that were under way at rest, and had their descriptors then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub under_way: u64,
}

/// What each connection or call takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Each {
    /// So many descriptors.
    pub descriptors: f64,
    /// What becomes of a part.
    pub rounding: Rounding,
}

/// What becomes of a connection or a call that finds room for a part of its descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rounding {
    /// It does not count.
    Down,
    /// It counts.
    Up,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Formula {
    /// Connections or calls.
    pub fn ceiling(&self) -> u64 {
        match self {
            Formula::Process(room) => room.ceiling(),
            Formula::Processes(rooms) => rooms.iter().sum(),
        }
    }
}

impl Room {
    /// Under this limit, with so many descriptors at rest: one descriptor for each connection or call.
    pub fn new(soft: u64, already_open: u64) -> Self {
        Room { soft, already_open, ..Room::default() }
    }

    /// The same, where each takes so many.
    pub fn each(self, descriptors: f64, rounding: Rounding) -> Self {
        Room { each: Some(Each { descriptors, rounding }), ..self }
    }

    /// Descriptors that are left for connections or calls.
    pub fn free(&self) -> u64 {
        let taken = [self.already_open, self.reserved, self.opened_once, self.shared];
        taken.into_iter().fold(self.soft, u64::saturating_sub)
    }

    /// Connections or calls.
    pub fn ceiling(&self) -> u64 {
        if self.making > 0 {
            let before = self.free().checked_sub(self.making);
            return before.map_or(0, |free| self.fit(free).saturating_add(1));
        }
        self.fit(self.free()).saturating_add(self.under_way)
    }

    /// How many fit into so many descriptors.
    fn fit(&self, free: u64) -> u64 {
        let Some(Each { descriptors, rounding }) = self.each else { return free };
        let fit = free as f64 / descriptors;
        match rounding {
            Rounding::Down => fit.floor() as u64,
            Rounding::Up => fit.ceil() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connection_needs_what_it_takes_while_it_is_made() {
        let four_each = Room::new(64, 7).each(4.0, Rounding::Down);
        assert_eq!(four_each.ceiling(), 14, "57 are free");
        assert_eq!(Room { making: 9, ..four_each }.ceiling(), 13, "the 13th finds 57 − 12 × 4 = 9");
        assert_eq!(Room { making: 10, ..four_each }.ceiling(), 12);
        assert_eq!(Room { making: 58, ..four_each }.ceiling(), 0, "not even the first");
    }

    #[test]
    fn a_part_counts_where_it_is_rounded_up_and_calls_under_way_have_their_descriptors_already() {
        let room = Room::new(64, 7);
        assert_eq!(room.each(2.0, Rounding::Up).ceiling(), 29);
        assert_eq!(room.each(2.0, Rounding::Down).ceiling(), 28);
        assert_eq!(Room { under_way: 1, shared: 1, ..room.each(2.0, Rounding::Down) }.ceiling(), 29);
        assert_eq!(Room::new(4, 7).ceiling(), 0, "no room at all");
        assert_eq!(Formula::Processes(vec![45, 45]).ceiling(), 90);
    }
}

//! Which answers are those that a server gives when it can: what the first client got. An error of the
//! application, such as 404, is one where the first client got it, too, and an error reply where that got
//! another answer.

use crate::event::Client as State;
use std::collections::{HashMap, HashSet};

/// The answers so far; told of every state of a client in order.
#[derive(Default)]
pub(super) struct Answers<'a> {
    /// Clients whose answer is an error of the application.
    errors: HashSet<(&'a str, u32)>,
    /// Whether the first client of a workload that was answered got no such.
    good: HashMap<&'a str, bool>,
}

impl<'a> Answers<'a> {
    /// Whether this client is answered, and with an error that the first one did not get.
    pub fn fails(&mut self, workload: &'a str, id: u32, state: &State) -> bool {
        let error = self.errors.contains(&(workload, id));
        match state {
            State::ErrorAnswer(_) => {
                self.errors.insert((workload, id));
                false
            }
            State::Served => *self.good.entry(workload).or_insert(!error) && error,
            _ => false,
        }
    }

    /// Whether the first client of this workload got an answer that is no error.
    pub fn are_good(&self, workload: &str) -> bool {
        self.good.get(workload).copied().unwrap_or(false)
    }
}

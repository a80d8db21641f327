//! The answers that a server gives when it can: the ones that the first client got. A status of the
//! application, such as 404 or 302, is one if the first client got it, too, and an error reply if that client
//! got another answer.

use crate::event::{Client as State, Status};
use std::collections::HashMap;

/// The answers so far; it takes in every state of a client in order.
#[derive(Default)]
pub(super) struct Answers<'a> {
    /// Clients whose answer has such a status.
    statuses: HashMap<(&'a str, u32), Option<u16>>,
    /// The status of the first client of each workload that was answered; `None`: its answer was good.
    first: HashMap<&'a str, Option<u16>>,
}

impl<'a> Answers<'a> {
    /// Whether this client is answered, and with a status that the first one did not get.
    pub fn fails(&mut self, workload: &'a str, id: u32, state: &State) -> bool {
        match state {
            State::ErrorAnswer(words) => {
                self.statuses.insert((workload, id), status(words));
                false
            }
            State::Served => {
                let own = self.statuses.get(&(workload, id)).copied();
                let first = *self.first.entry(workload).or_insert(own.flatten());
                own.is_some_and(|own| own != first)
            }
            _ => false,
        }
    }

    /// Whether these words have a status that is not good, and that the first client of this workload did not
    /// get.
    pub fn differs(&self, workload: &str, words: &str) -> bool {
        let first = self.first.get(workload).copied();
        first.is_some_and(|first| status(words).is_some_and(|own| Some(own) != first))
    }
}

/// The status of an HTTP answer where it is no success: a redirect or an error. 304 is what a conditional
/// request asks for.
pub(super) fn status(words: &str) -> Option<u16> {
    Status::of(words).map(Status::number).filter(|status| *status >= 300 && *status != 304)
}

//! The answers that a server gives when it can: the ones that the first client got. A status of the
//! application, such as 404 or 302, is one if the first client got it, too, and an error reply if that client
//! got another answer.

use crate::event::{Client as State, Event, Nanos, Status, What};
use std::collections::{HashMap, HashSet};

/// The answers of all clients.
pub(super) struct Answers<'a> {
    /// When the first client of each workload was answered, and with which status; `None`: its answer was
    /// good.
    first: HashMap<&'a str, (Nanos, Option<u16>)>,
    /// Where in the log a client is answered with a status that the first one did not get.
    failing: HashSet<usize>,
}

impl<'a> Answers<'a> {
    pub fn of(events: &[&'a Event]) -> Self {
        let mut statuses: HashMap<(&str, u32), Option<u16>> = HashMap::new();
        let mut answers = Answers { first: HashMap::new(), failing: HashSet::new() };
        for (place, event) in events.iter().enumerate() {
            match &event.is {
                What::Client { workload, id, state: State::ErrorAnswer(words) } => {
                    statuses.insert((workload, *id), status(words));
                }
                What::Client { workload, id, state: State::Served } => {
                    let own = statuses.get(&(workload.as_str(), *id)).copied();
                    let (_, first) = *answers.first.entry(workload).or_insert((event.at, own.flatten()));
                    answers.failing.extend(own.is_some_and(|own| own != first).then_some(place));
                }
                _ => {}
            }
        }
        answers
    }

    /// Whether the event at this place answers a client with a status that the first one did not get.
    pub fn fails(&self, place: usize) -> bool {
        self.failing.contains(&place)
    }

    /// Whether these words have a status that is not good, and that the first client of this workload, which
    /// was answered by then, did not get.
    pub fn differs(&self, at: Nanos, workload: &str, words: &str) -> bool {
        let first = self.first.get(workload).filter(|(answered, _)| *answered <= at);
        first.is_some_and(|(_, first)| status(words).is_some_and(|own| Some(own) != *first))
    }
}

/// The status of an HTTP answer where it is no success: a redirect or an error. 304 is what a conditional
/// request asks for.
pub(super) fn status(words: &str) -> Option<u16> {
    Status::of(words).map(Status::number).filter(|status| *status >= 300 && *status != 304)
}

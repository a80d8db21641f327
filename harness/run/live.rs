//! The state that the run needs while it goes on, kept up to date from the events: enough to end each phase,
//! no more.
//!
//! It decides nothing about the result; `measure` works from the whole log afterwards.

use super::moment::Moment;
use crate::event::{
    Call, Change, Client, Event, Formula, Label, Nanos, Outcome, Pacing, Phase, Pid, Seen, Unseen, What,
};
use crate::measure::{Listeners, PolicyWatch, Retries};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// As the kernel returns it.
const EMFILE: i64 = -24;

/// The subject's work beside its accepts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Calls that made a descriptor.
    pub opened: u64,
    /// Descriptors closed.
    pub closed: u64,
    /// Processes forked.
    pub born: u64,
}

impl Work {
    /// The work done since then.
    pub fn since(self, before: Work) -> Work {
        let Work { opened, closed, born } = before;
        Work { opened: self.opened - opened, closed: self.closed - closed, born: self.born - born }
    }

    /// All of it.
    pub fn all(self) -> u64 {
        self.opened + self.closed + self.born
    }
}

/// Descriptors more than at its beginning that one process has, by its calls: now, and at most.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    pid: Pid,
    pub now: i64,
    pub most: i64,
}

impl Tally {
    /// A tally of this process, from now on.
    pub fn of(pid: Pid) -> Tally {
        Tally { pid, now: 0, most: 0 }
    }

    fn note(&mut self, pid: Pid, change: i64) {
        if pid == self.pid {
            self.now += change;
            self.most = self.most.max(self.now);
        }
    }
}

/// Running totals. Times are absolute `CLOCK_MONOTONIC`.
#[derive(Debug, Default)]
pub struct Live {
    /// The last call that created or closed a descriptor, in any process of the subject.
    pub last_descriptor_call: Nanos,
    /// Connections accepted so far, per process.
    pub accepted: HashMap<Pid, u64>,
    /// The first EMFILE or ENFILE since [`Live::arm`].
    pub first_failure: Option<(Nanos, Pid)>,
    armed: bool,
    /// Since then.
    pub armed_at: Nanos,
    /// The limits were moved then: a failure before says nothing about the new ones.
    moved: Nanos,
    /// They were raised, and it has not accepted since: a failing call may have begun before the move.
    stuck: bool,
    /// Single failures are no longer reported, and the next one is looked for.
    unsampled: bool,
    /// Clients that connected.
    pub connected: u64,
    /// Connections that the last prediction expects; 0: none was made.
    pub predicted: u64,
    /// Clients that were answered.
    pub served: u64,
    /// Clients that asked nothing, and heard something.
    pub greeted: u64,
    /// When the last of them was.
    pub last_greeting: Nanos,
    /// Clients whose answer has begun, and is not (yet) the one that they wait for.
    pub half_answered: HashSet<(String, u32)>,
    /// Calls other than accept that made a descriptor, descriptors closed, and processes forked, since
    /// [`Live::arm`].
    pub work: Work,
    /// Descriptors of one process, while that is asked.
    pub tally: Option<Tally>,
    /// Clients that were answered and have not ended since, by workload.
    answered: HashMap<String, HashSet<u32>>,
    /// Ended clients whose connection the server closed before an answer, or which got an error reply.
    pub turned_away: u64,
    /// Clients whose connection or connect ended without an order to leave, or that got an error reply.
    pub ended: u64,
    /// A call that makes an inotify instance failed with EMFILE.
    pub lacks_inotify: bool,
    /// Client programs that ended with an error before they were seen to be connected; they count as `ended`,
    /// too. And the words of the first.
    pub strangers: u64,
    pub stranger: Option<String>,
    /// The last change of any client.
    pub last_client: Nanos,
    /// The last accept that succeeded.
    pub last_accept: Nanos,
    /// The last accept that succeeded, or failed for want of a descriptor.
    pub last_try: Nanos,
    /// Why the driver connects or not, for each workload that phases wait for.
    pub pacing: HashMap<String, Pacing>,
    /// The same for plain callers, which go on beside the others.
    pub background: HashMap<String, Pacing>,
    /// Plain callers that have made a call.
    heard: HashSet<String>,
    /// Labels of probes that the generator's own side could not make.
    unanswerable: HashSet<Label>,
    /// Answers to probes, by label, with their details.
    pub probes: HashMap<Label, (Outcome, String)>,
    /// Answers of clients that are held, to a question at the wall.
    pub held: u64,
    /// Orders to release that were obeyed, clients in all.
    pub released: u64,
    /// A `Released` answer came since the last order.
    pub release_answered: bool,
    /// The generator's own side failed.
    pub local_failure: Option<i32>,
    /// The listeners of its processes.
    pub listeners: Listeners,
    /// Whether the accept policy can be decided already.
    pub policy: PolicyWatch,
    /// After how long, at most, it closes connections whose clients have left, where it does so by a timer.
    pub closes_after: Option<Duration>,
    /// How long the process that failed first pauses between its tries, so far.
    pub retries: Retries,
    /// The counts of the bundled upstream.
    pub upstream: Seen,
    /// For a subject that calls the bundled upstream: so many calls are enough to see what each leaves open.
    pub enough_calls: Option<u64>,
    /// Processes of the subject that exited since [`Live::arm`].
    pub exited: Vec<Pid>,
}

impl Live {
    /// The ramp begins: accepts are counted from here, and a failed descriptor call counts as the first
    /// failure.
    pub fn arm(&mut self, now: Nanos) {
        (self.armed, self.armed_at) = (true, now);
        self.accepted.clear();
    }

    /// The limits have been moved: the first failure is looked for anew, after the next accept where they
    /// were `raised`.
    pub fn limits_moved(&mut self, at: Nanos, raised: bool) {
        (self.first_failure, self.moved, self.stuck, self.unsampled) = (None, at, raised, false);
        self.retries.limits_moved();
    }

    /// The wall is to be met anew, by clients that connect from now on.
    pub fn once_more(&mut self, at: Nanos) {
        (self.first_failure, self.local_failure, self.moved, self.stuck) = (None, None, at, false);
    }

    /// Whether single failures are no longer reported; takes it that they will be from now on.
    pub fn unsampled(&mut self) -> bool {
        std::mem::take(&mut self.unsampled)
    }

    /// Whether the observer is to report single failures again; says so once.
    pub fn wants_samples(&mut self) -> bool {
        let looks = self.moved > 0 && !self.stuck && self.first_failure.is_none();
        looks && std::mem::take(&mut self.unsampled)
    }

    /// Connections accepted so far, by any process.
    pub fn accepted_total(&self) -> u64 {
        self.accepted.values().sum()
    }

    /// Whether no driver connects at the moment.
    pub fn drivers_idle(&self) -> bool {
        self.pacing.values().all(|&p| p != Pacing::Ramping)
    }

    /// Whether every driver has connected all its clients.
    pub fn drivers_done(&self) -> bool {
        self.pacing.values().all(|&p| p == Pacing::Done)
    }

    /// Whether every plain caller has made all its calls.
    pub fn callers_done(&self) -> bool {
        self.background.values().all(|&p| p == Pacing::Done)
    }

    /// Whether every plain caller has made a call, whatever came of it.
    pub fn callers_heard(&self) -> bool {
        self.background.keys().all(|caller| self.heard.contains(caller))
    }

    /// Whether the probe with this label has been answered, or never will be.
    pub fn probed(&self, label: Label) -> bool {
        self.probes.contains_key(&label) || self.unanswerable.contains(&label)
    }

    /// Calls that the upstream answered; connections if it answers nothing.
    pub fn calls(&self) -> u64 {
        if self.upstream.calls > 0 { self.upstream.calls } else { self.upstream.connections }
    }

    /// Takes in one event with an absolute time.
    pub fn note(&mut self, event: &Event) {
        self.listeners.note(&event.is);
        match &event.is {
            What::Call { pid, name, ret, .. } if *ret >= 0 => self.called(event.at, *pid, *name),
            What::Call { pid, name, ret, on } => self.failed(event.at, *pid, *name, *ret, *on),
            What::Muted { pid, on } if self.listeners.beside(*pid, Some(*on)).is_none() => {
                self.policy.flooded();
            }
            What::SamplingStopped if self.armed => {
                self.policy.flooded();
                self.unsampled = true;
            }
            What::Close { pid, .. } => {
                self.last_descriptor_call = self.last_descriptor_call.max(event.at);
                self.work.closed += u64::from(self.armed);
                if let Some(tally) = &mut self.tally {
                    tally.note(*pid, -1);
                }
            }
            // How many it closes is not known.
            What::CloseRange { .. } => self.last_descriptor_call = self.last_descriptor_call.max(event.at),
            What::Process { pid, change, .. } if self.armed => self.process(*pid, *change),
            What::Client { workload, id, state } => self.client(event.at, workload, *id, state),
            What::Pacing { workload, state, .. } => {
                for known in [&mut self.pacing, &mut self.background] {
                    if let Some(pacing) = known.get_mut(workload) {
                        *pacing = *state;
                    }
                }
            }
            What::NotSeen { what: Unseen::Probe { label }, .. } => {
                self.held += u64::from(*label == Label::Held);
                self.unanswerable.insert(*label);
            }
            What::Probe { label, outcome, detail, .. } => {
                self.held += u64::from(*label == Label::Held);
                self.probes.insert(*label, (*outcome, detail.clone()));
            }
            What::ProgramEnded { words, connected: false, .. } => {
                self.last_client = self.last_client.max(event.at);
                (self.strangers, self.ended) = (self.strangers + 1, self.ended + 1);
                self.stranger.get_or_insert_with(|| words.clone());
            }
            What::CallEnded { workload, .. } if self.background.contains_key(workload) => {
                self.heard.insert(workload.clone());
            }
            What::Upstream(seen) => self.upstream = seen.clone(),
            What::Released { clients } => {
                self.released += u64::from(*clients);
                self.release_answered = true;
            }
            _ => {}
        }
    }

    /// A descriptor call, whatever came of it.
    fn tried(&mut self, at: Nanos, call: Call) {
        self.last_descriptor_call = self.last_descriptor_call.max(at);
        if call.accepts() {
            self.last_try = self.last_try.max(at);
        }
    }

    /// A descriptor call succeeded.
    fn called(&mut self, at: Nanos, pid: Pid, call: Call) {
        self.tried(at, call);
        if call.accepts() {
            *self.accepted.entry(pid).or_default() += 1;
            self.last_accept = self.last_accept.max(at);
            self.retries.accepted(at);
            self.stuck &= at < self.moved;
        } else if self.armed && call != Call::Fcntl {
            self.work.opened += 1;
        }
        if let Some(tally) = &mut self.tally {
            tally.note(pid, call.descriptors().into());
        }
    }

    /// A descriptor call failed.
    fn failed(&mut self, at: Nanos, pid: Pid, call: Call, ret: i64, on: Option<i32>) {
        self.tried(at, call);
        if !self.armed {
            return;
        }
        self.lacks_inotify |= call.makes_inotify() && ret == EMFILE;
        if at >= self.moved && !self.stuck {
            self.first_failure.get_or_insert((at, pid));
        }
        let loaded = call.accepts() && self.listeners.beside(pid, on).is_none();
        if loaded && self.first_failure.is_none_or(|(_, first)| first == pid) {
            self.policy.failed(at);
            self.retries.failed(at);
        }
    }

    /// A process of the subject was forked, runs another program or exited.
    fn process(&mut self, pid: Pid, change: Change) {
        self.work.born += u64::from(change == Change::Fork);
        if change != Change::Exit {
            self.policy.started();
            return;
        }
        self.exited.push(pid);
        if self.first_failure.is_some_and(|(_, first)| first == pid) {
            self.policy.exited();
        }
    }

    /// Something became of a client.
    fn client(&mut self, at: Nanos, workload: &str, id: u32, state: &Client) {
        self.last_client = self.last_client.max(at);
        if !self.half_answered.is_empty() {
            self.half_answered.remove(&(workload.to_owned(), id));
        }
        match state {
            Client::Connected => {
                self.connected += 1;
                self.policy.arrived(at);
            }
            Client::Served => {
                self.served += 1;
                match self.answered.get_mut(workload) {
                    Some(answered) => answered.insert(id),
                    None => self.answered.entry(workload.to_owned()).or_default().insert(id),
                };
            }
            Client::Greeted => (self.greeted, self.last_greeting) = (self.greeted + 1, at),
            Client::Begun => {
                self.half_answered.insert((workload.to_owned(), id));
            }
            Client::Local(errno) => self.local_failure = Some(*errno),
            Client::ErrorAnswer(_) => {}
            Client::Released | Client::GaveUp => {
                self.answered.get_mut(workload).map(|answered| answered.remove(&id));
            }
            Client::ErrorReply(_) | Client::Closed => {
                // A client that was answered before no longer waited.
                let answered = self.answered.get_mut(workload).is_some_and(|answered| answered.remove(&id));
                self.turned_away += u64::from(!answered);
                self.ended += 1;
            }
            Client::Refused | Client::TimedOut => self.ended += 1,
        }
    }
}

/// A step of a run, as it is shown while the run goes on.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Step {
    /// A phase begins.
    Phase(Phase),
    /// The subject was waited for for two seconds, and clients have nothing to connect to.
    Waiting {
        /// The thing that is there instead.
        seen: String,
    },
    /// The prediction is known; no client has connected yet when `calibrated_with` is 0.
    Predicted {
        /// Connections.
        ceiling: u64,
        /// The arithmetic.
        formula: Formula,
        /// Clients it was measured with.
        calibrated_with: u32,
    },
    /// Calibration showed that the descriptor limit does not bind.
    NotPredicted {
        /// Why.
        reason: String,
    },
    /// perf saw no accept of this program, so the run is made once more.
    UnderPtrace,
    /// The subject was sampled.
    Now(Moment),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_answered_and_is_closed_later_was_not_turned_away() {
        let mut live = Live::default();
        let mut told = |id: u32, state: Client| {
            live.note(&Event { at: 1, is: What::Client { workload: "flood".into(), id, state } });
            live.turned_away
        };
        told(1, Client::Connected);
        told(1, Client::Served);
        assert_eq!(told(1, Client::Closed), 0, "it was held until then");
        told(2, Client::Connected);
        assert_eq!(told(2, Client::Closed), 1);
        // A client of the next round has the number of one that left.
        told(3, Client::Served);
        told(3, Client::Released);
        assert_eq!(told(3, Client::ErrorReply("busy".into())), 2);
    }
}

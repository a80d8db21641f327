//! The run's own records about itself and its subject, sorted by kind: each list in order of time.

use super::answers::{Answers, status};
use crate::event::{
    Call, Descriptor, Environment, Event, Formula, Holder, Holding, Label, Limits, Link, Nanos, ObserverName,
    Open, Outcome, Pid, Queue, ReceiveQueue, Resources, Seen, States, Status, Sysctl, Unseen, What, greeting,
};
use crate::measure::units::seconds;
use crate::scenario::Plan;
use std::collections::{BTreeMap, HashMap};

/// The subject's program, as it was executed.
pub(crate) struct Launched<'a> {
    pub at: Nanos,
    pub pid: Pid,
    pub argv: &'a [String],
    pub launcher: &'a str,
    pub requested: Limits,
    pub isolation: Option<&'a str>,
}

/// A listener of the subject.
pub(crate) struct Listening<'a> {
    pub at: Nanos,
    pub pid: Pid,
    pub address: &'a str,
    pub capacity: u32,
}

/// Limits read back from a process of the subject and those above it.
pub(crate) struct Chain<'a> {
    pub at: Nanos,
    pub pid: Pid,
    pub links: &'a [Link],
}

/// The descriptors of a process at rest.
pub(crate) struct Rest<'a> {
    pub at: Nanos,
    pub pid: Pid,
    pub descriptors: u64,
    pub counted: u64,
    pub inventory: &'a [Descriptor],
    pub settled: bool,
}

/// A prediction, or its withdrawal.
pub(crate) enum Predicted<'a> {
    Ceiling { ceiling: u64, formula: &'a Formula, descriptors_per_connection: f64, calibrated_with: u32 },
    Withdrawn { reason: &'a str, descriptors_per_connection: f64, calibrated_with: u32 },
}

/// One look at the subject.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub at: Nanos,
    pub pid: Pid,
    pub descriptors: u64,
    pub queue: Option<u32>,
    pub cpu_s: f64,
    pub log_bytes: u64,
    pub resident: Option<u64>,
    pub drops: Option<u32>,
}

/// One count of TCP sockets.
pub(crate) struct Sockets<'a> {
    pub at: Nanos,
    pub port: &'a States,
    pub subject: Option<&'a States>,
    pub namespace: Option<&'a States>,
    pub descriptors: Option<u64>,
    pub overflows: u64,
    took: Nanos,
}

impl Sockets<'_> {
    /// A count takes time: whether it was over by then.
    pub fn over_by(&self, at: Nanos) -> bool {
        self.at.saturating_add(self.took) < at
    }
}

/// The result of a new client, or of a held client that asked again.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub at: Nanos,
    pub workload: &'a str,
    pub label: Label,
    pub outcome: Outcome,
    pub detail: &'a str,
    /// The status of its answer, for instance `status 404`: a redirect's or an error's that the first client
    /// did not get, if the answer did not end the connection.
    pub error_status: Option<Status>,
    pub connect_s: Option<f64>,
    pub answer_s: Option<f64>,
}

/// How a process ended (wait(2)).
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub at: Nanos,
    pub pid: Pid,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// How a client program ended.
pub(crate) struct ProgramEnd<'a> {
    pub at: Nanos,
    pub workload: &'a str,
    pub code: Option<i32>,
    pub words: &'a str,
    pub connected: bool,
}

/// A listener of the subject beside the loaded one.
pub(crate) struct Beside<'a> {
    pub at: Nanos,
    pub address: &'a str,
    pub queue: u32,
    pub capacity: u32,
    pub drops: Option<u32>,
    pub new_client: Option<Outcome>,
}

/// A witness of the system calls.
pub(crate) struct Observer {
    pub name: ObserverName,
    pub exact: bool,
    pub io_uring: bool,
}

/// The log's header.
pub(crate) struct Header<'a> {
    pub version: &'a str,
    pub started_at: &'a str,
    pub environment: &'a Environment,
}

/// Everything that was read or noted, apart from descriptor calls and clients.
#[derive(Default)]
pub(crate) struct Readings<'a> {
    pub header: Option<Header<'a>>,
    pub sysctls: Option<(&'a str, &'a [Sysctl])>,
    pub launched: Option<Launched<'a>>,
    pub listening: Vec<Listening<'a>>,
    pub chains: Vec<Chain<'a>>,
    pub rests: Vec<Rest<'a>>,
    /// Descriptors of several processes at one moment.
    pub open: Vec<(Nanos, &'a [Open])>,
    /// Readings of the UDP socket that is loaded.
    pub receive_queues: Vec<(Nanos, ReceiveQueue)>,
    pub predicted: Vec<Predicted<'a>>,
    pub observers: Vec<Observer>,
    /// The cost of each observer: nanoseconds for a descriptor opened and closed, and for a failed call.
    pub costs: BTreeMap<ObserverName, (u64, u64)>,
    pub samples: Vec<Sample>,
    /// Resident memory of all its processes, bytes, and what the loaded listener has dropped.
    pub beside: Vec<(Nanos, Option<u64>, Option<u32>)>,
    pub sockets: Vec<Sockets<'a>>,
    pub resources: Vec<(Nanos, &'a Resources)>,
    /// When the new clients of probes began to connect.
    pub arrived: Vec<Nanos>,
    /// For how long the busiest thread of the process that accepts ran, and waited for a processor, and for
    /// how long all did either, seconds.
    pub ready: Vec<(Nanos, [f64; 3])>,
    /// Whether the process that accepts waited for a time of its own, each time that this was read.
    pub timers: Vec<(Nanos, Option<bool>)>,
    /// `fs.inotify.max_user_instances`, and who has some; read where a call lacked one.
    pub inotify: Option<(Option<u64>, &'a [Holder])>,
    /// Open files of the host, and the most there may be.
    pub files: Vec<(Nanos, u64, u64)>,
    /// The queues of several listeners on the loaded port, as last read.
    pub queues: &'a [Queue],
    pub other_listeners: Vec<Beside<'a>>,
    pub output: Vec<(Nanos, &'a str)>,
    pub asked: Vec<Asked<'a>>,
    /// The server's words to every client before it is asked anything, as a probe heard them, before the ramp
    /// or on a held connection.
    pub greeting: Option<&'a str>,
    /// How many clients were told to leave.
    pub released: Vec<(Nanos, u64)>,
    /// Calls refused for want of something other than descriptors: process, call and errno.
    pub refused: Vec<(Nanos, Pid, &'a str, i32)>,
    pub failed_paths: Vec<(Nanos, Call, &'a str)>,
    /// For each process that counted its accepts: the count up to its first EMFILE, and in all.
    pub own_counts: Vec<(Pid, u64, u64)>,
    /// Ends of the program that was executed for the subject.
    pub program_ends: Vec<Ended>,
    /// Ends of other processes of the tree, as far as they were seen.
    pub ends: Vec<Ended>,
    /// Soft limits that a process set, or that were moved.
    pub softs: Vec<(Nanos, Pid, u64)>,
    /// Parent and child.
    pub forks: Vec<(Nanos, Pid, Pid)>,
    /// The process that forked each. The chain of limits knows it of one that was forked before anything was
    /// observed.
    pub parents: HashMap<Pid, Pid>,
    /// The counts of bundled witnesses beside the subject.
    pub upstream: Vec<(Nanos, &'a Seen)>,
    /// Events that the log had before it was thinned.
    pub thinned: Option<u64>,
    /// Why the run says nothing, in the words of its error.
    pub inconclusive: Vec<&'a str>,
    pub not_started: Option<&'a str>,
    /// Where connections cost work after their accept: whether clients came no faster than it was done.
    pub after_accept: Option<bool>,
    /// The number of processes that hold connections of the loaded port, and the processes.
    pub holders: Vec<(Nanos, u64, &'a [Holding])>,
    /// Client programs that ended by themselves.
    pub programs: Vec<ProgramEnd<'a>>,
    /// Observations that the run could not make, and why.
    pub not_seen: Vec<(&'a Unseen, &'a str)>,
}

impl<'a> Readings<'a> {
    pub(super) fn new(plan: &Plan, events: &[&'a Event], answers: &Answers<'a>) -> Self {
        let mut all = Readings::default();
        events.iter().for_each(|event| all.take(plan, answers, event.at, &event.is));
        all.without_greetings();
        let forked = all.forks.iter().map(|(_, parent, child)| (*child, *parent));
        let links = all.chains.iter().flat_map(|chain| chain.links.windows(2));
        let known: Vec<(Pid, Pid)> = forked.chain(links.map(|pair| (pair[1].pid, pair[0].pid))).collect();
        // What was seen first counts.
        all.parents = known.into_iter().rev().collect();
        all
    }

    fn take(&mut self, plan: &Plan, answers: &Answers<'a>, at: Nanos, what: &'a What) {
        self.of_the_run(what);
        self.of_the_launch(plan, at, what);
        self.of_processes(plan, at, what);
        self.of_a_look(answers, at, what);
    }

    /// About the run as a whole.
    fn of_the_run(&mut self, what: &'a What) {
        match what {
            What::Header { lastfd_version: version, started_at, environment, .. } => {
                self.header.get_or_insert(Header { version, started_at, environment });
            }
            What::Sysctls { namespace, set } => _ = self.sysctls.get_or_insert((namespace, set)),
            What::Observer { name, exact, io_uring } => {
                self.observers.push(Observer { name: *name, exact: *exact, io_uring: *io_uring });
            }
            What::ObserverCost { name, opened_ns, failed_ns } => {
                self.costs.insert(*name, (*opened_ns, *failed_ns));
            }
            What::Thinned { of } => self.thinned = Some(*of),
            What::Inconclusive { reason } => self.inconclusive.push(reason),
            What::NotStarted { reason } => self.not_started = Some(reason),
            What::AfterAccept { steady, .. } => self.after_accept = Some(*steady),
            What::NotSeen { what, why } => self.not_seen.push((what, why)),
            _ => {}
        }
    }

    /// From the exec of the subject to its rest.
    fn of_the_launch(&mut self, plan: &Plan, at: Nanos, what: &'a What) {
        match what {
            What::Launched { process, pid, argv, launcher, requested, isolation }
                if *process == plan.subject =>
            {
                let isolation = isolation.as_deref();
                self.launched =
                    Some(Launched { at, pid: *pid, argv, launcher, requested: *requested, isolation });
            }
            What::Listening { process, pid, address, capacity } if *process == plan.subject => {
                self.listening.push(Listening { at, pid: *pid, address, capacity: *capacity });
            }
            What::Chain { process, pid, links, .. } if *process == plan.subject => {
                self.chains.push(Chain { at, pid: *pid, links });
            }
            What::Baseline { pid, descriptors, counted, inventory, settled } => self.rests.push(Rest {
                at,
                pid: *pid,
                descriptors: *descriptors,
                counted: *counted,
                inventory,
                settled: *settled,
            }),
            What::Prediction { ceiling, formula, descriptors_per_connection, calibrated_with, .. } => {
                self.predicted.push(Predicted::Ceiling {
                    ceiling: *ceiling,
                    formula,
                    descriptors_per_connection: *descriptors_per_connection,
                    calibrated_with: *calibrated_with,
                });
            }
            What::NotPredicted { reason, descriptors_per_connection, calibrated_with, .. } => {
                self.predicted.push(Predicted::Withdrawn {
                    reason,
                    descriptors_per_connection: *descriptors_per_connection,
                    calibrated_with: *calibrated_with,
                });
            }
            _ => {}
        }
    }

    /// Takes in the ends of processes, and the calls that they were refused.
    fn of_processes(&mut self, plan: &Plan, at: Nanos, what: &'a What) {
        match what {
            What::Process { pid, parent, change: crate::event::Change::Fork } => {
                self.forks.push((at, *parent, *pid));
            }
            What::Exited { process, pid, code, signal } if *process == plan.subject => {
                self.program_ends.push(Ended { at, pid: *pid, code: *code, signal: *signal });
            }
            What::Status { pid, code, signal } => {
                self.ends.push(Ended { at, pid: *pid, code: *code, signal: *signal });
            }
            What::OwnCount { pid, before_first_emfile, total } => {
                self.own_counts.push((*pid, *before_first_emfile, *total));
            }
            What::LimitMoved { pid, soft, .. }
            | What::LimitSet { pid, limits: Some(Limits { soft, .. }), .. } => {
                self.softs.push((at, *pid, *soft));
            }
            What::Refused { pid, call, errno } => self.refused.push((at, *pid, call, *errno)),
            What::FailedPath { name, path, .. } => self.failed_paths.push((at, *name, path)),
            What::Output { line } => self.output.push((at, line)),
            _ => {}
        }
    }

    /// Takes in a reading made while clients connected, waited and left.
    fn of_a_look(&mut self, answers: &Answers<'a>, at: Nanos, what: &'a What) {
        match what {
            &What::Sample { pid, descriptors, queue, cpu_s, log_bytes } => {
                let (resident, drops) = (None, None);
                self.samples.push(Sample { at, pid, descriptors, queue, cpu_s, log_bytes, resident, drops });
            }
            What::Beside { resident, drops } => {
                self.beside.push((at, *resident, *drops));
                // It may be taken with a sample.
                if let Some(sample) = self.samples.last_mut().filter(|sample| sample.at == at) {
                    (sample.resident, sample.drops) = (*resident, *drops);
                }
            }
            What::Tcp { states, listen_overflows, subject, namespace, descriptors, took } => {
                self.sockets.push(Sockets {
                    at,
                    port: states,
                    subject: subject.as_ref(),
                    namespace: namespace.as_ref(),
                    descriptors: *descriptors,
                    overflows: *listen_overflows,
                    took: *took,
                });
            }
            What::Open(open) => self.open.push((at, open)),
            What::Resources(resources) => self.resources.push((at, resources)),
            What::Arrived { .. } => self.arrived.push(at),
            What::Ready { ran_s, waited_s, all_s, .. } => self.ready.push((at, [*ran_s, *waited_s, *all_s])),
            What::Waits { timer, .. } => self.timers.push((at, *timer)),
            What::InotifyInstances { most, holders } => self.inotify = Some((*most, holders)),
            What::FileNr { allocated, max } => self.files.push((at, *allocated, *max)),
            What::Queues(queues) => self.queues = queues,
            What::ReceiveQueue(queue) => self.receive_queues.push((at, *queue)),
            What::Holders { processes, holders, .. } => self.holders.push((at, *processes, holders)),
            What::OtherListener { address, queue, capacity, drops, new_client } => {
                let (queue, capacity, drops, new_client) = (*queue, *capacity, *drops, *new_client);
                self.other_listeners.push(Beside { at, address, queue, capacity, drops, new_client });
            }
            What::Probe { workload, label, outcome, detail, connect_s, answer_s } => self.asked.push(Asked {
                at,
                workload,
                label: *label,
                outcome: match outcome {
                    Outcome::Served if answers.differs(at, workload, detail) => Outcome::ErrorReply,
                    outcome => *outcome,
                },
                detail,
                error_status: error_status(detail).filter(|_| answers.differs(at, workload, detail)),
                connect_s: connect_s.filter(|s| s.is_finite()),
                answer_s: answer_s.filter(|s| s.is_finite()),
            }),
            What::ProgramEnded { workload, code, words, connected, .. } => {
                self.programs.push(ProgramEnd { at, workload, code: *code, words, connected: *connected });
            }
            What::Upstream(seen) => self.upstream.push((at, seen)),
            What::Released { clients } => self.released.push((at, u64::from(*clients))),
            _ => {}
        }
    }

    /// A new client whose connection ended after the words that everybody hears, also who asks first and who
    /// is served, has heard no error.
    fn without_greetings(&mut self) {
        let heard = |asked: &Asked<'a>| greeting(asked.label, asked.outcome, asked.detail);
        self.greeting = self.asked.iter().find_map(heard);
        let Some(greeting) = self.greeting else { return };
        for asked in &mut self.asked {
            let new = asked.label != Label::Held && !asked.label.asks_dialogue();
            if new && asked.outcome == Outcome::ErrorReply && asked.detail == greeting {
                asked.outcome = Outcome::Closed;
            }
        }
    }

    /// The shares of the time between the first and the last reading in `[from, until)` for which the busiest
    /// thread of the process that accepts ran, for which it waited for a processor, and for which all did
    /// either; `None` where that was not read twice.
    pub fn ready_shares(&self, from: Nanos, until: Nanos) -> Option<[f64; 3]> {
        let read = || self.ready.iter().filter(|(at, _)| (from..until).contains(at));
        let ((first, before), (last, after)) = (read().next()?, read().next_back()?);
        let share = |i: usize| (after[i] - before[i]).max(0.0) / seconds(last - first);
        (last > first).then(|| [share(0), share(1), share(2)])
    }

    /// For how long the busiest thread of the process that accepts was given no processor though it could
    /// have run, since its first failure was noticed, seconds.
    pub fn starved_s(&self, until: Nanos) -> Option<f64> {
        let read = &self.ready[..self.ready.partition_point(|(at, _)| *at < until)];
        read.last().map(|(_, [_, waited_s, _])| *waited_s)
    }

    /// Samples of `[from, until)`.
    pub fn samples_between(&self, from: Nanos, until: Nanos) -> &[Sample] {
        let first = self.samples.partition_point(|s| s.at < from);
        let last = self.samples.partition_point(|s| s.at < until).max(first);
        &self.samples[first..last]
    }

    /// The longest accept queue in `[from, until)`; `None` where it was not read.
    pub fn longest_queue(&self, from: Nanos, until: Nanos) -> Option<u32> {
        self.samples_between(from, until).iter().filter_map(|s| s.queue).max()
    }

    /// The capacity of the loaded listener: the one whose port the workload names, else the last found.
    pub fn queue_capacity(&self, plan: &Plan) -> Option<u32> {
        let port = plan.workloads.values().filter(|w| w.to == plan.subject).find_map(|w| w.port);
        let ends = port.map(|port| format!(":{port}"));
        let loaded = |l: &&Listening<'_>| ends.as_ref().is_none_or(|end| l.address.ends_with(end.as_str()));
        self.listening.iter().rfind(loaded).map(|l| l.capacity)
    }

    /// Connections that the loaded listener had dropped by then because its accept queue was full.
    pub fn drops_before(&self, until: Nanos) -> Option<u32> {
        self.beside.iter().rev().filter(|(at, ..)| *at < until).find_map(|(.., drops)| *drops)
    }

    /// When a client of another port was first asked: one that is let in there is no doing of the loaded
    /// listener's.
    pub fn other_port_asked(&self) -> Nanos {
        self.other_listeners
            .iter()
            .find(|other| other.new_client.is_some())
            .map_or(Nanos::MAX, |other| other.at)
    }
}

/// The status of an answer, where it is a redirect's or an error's.
fn error_status(detail: &str) -> Option<Status> {
    let answer = |of: &Status| matches!(of, Status::Answer(_)) && status(detail).is_some();
    Status::of(detail).filter(answer)
}

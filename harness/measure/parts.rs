//! What a run was measured to be, in the words of the report: plain values, no behaviour but their own defaults.
//!
//! A field that is `None` has its reason in [`Measured::unmeasured`] under its path (`saturation.cpu_percent`); a number here
//! is always one that was observed.

use crate::event::{
    Call, CallStep, Descriptor, Environment, Limits, Link, Outcome, Pid, Queue, States, Sysctl,
};
use crate::scenario::Caller;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use super::policy::Policy;
pub use super::wall::{Disguise, FailedCalls, Memory, OtherListener};
pub use crate::scenario::Verdict;

/// Everything that one event log says about its run.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// RFC 3339, from the log's header.
    pub started_at: Option<String>,
    /// The version that made the run, not the one that measures it.
    pub lastfd_version: Option<String>,
    /// Where the run was made.
    pub environment: Option<Environment>,
    /// The network namespace that was made for the run, as /proc shows it (`net:[4026532000]`); `None` without sysctls.
    pub network_namespace: Option<String>,
    /// The sysctls that the scenario sets there.
    pub sysctls: Vec<Sysctl>,
    /// The process whose ceiling is asked for.
    pub subject: Subject,
    /// Limits asked for, and those found.
    pub limits: LimitsFound,
    /// At rest.
    pub baseline: Baseline,
    /// As predicted, before it was reached.
    pub prediction: Prediction,
    /// Where it stopped.
    pub ceiling: Ceiling,
    /// What it did there.
    pub saturation: Saturation,
    /// What it did when its limits were moved, in their order.
    pub moved: Vec<Moved>,
    /// What it did when clients left.
    pub recovery: Recovery,
    /// Of each workload of calls.
    pub calls: Vec<CallsMade>,
    /// Who counted what.
    pub witnesses: Vec<Witness>,
    /// Whether all witnesses say the same; `None` with fewer than two.
    pub agreement: Option<bool>,
    /// Why, in words.
    pub agreement_note: Option<String>,
    /// How long it took.
    pub timings: Timings,
    /// Over time, at most 200 points.
    pub series: Vec<Point>,
    /// TCP sockets by state over time, at most 200 points.
    pub tcp: Vec<TcpPoint>,
    /// Path of a field that is null → why.
    pub unmeasured: BTreeMap<String, String>,
    /// Why failed calls may be missing from those before clients left; `None` where all were seen.
    pub unsampled: Option<&'static str>,
    /// Why there was no subject to load; `None` when there was one.
    pub not_started: Option<NotStarted>,
    /// Why nothing can be concluded from this run; empty when it can.
    pub inconclusive: Vec<String>,
}

impl Measured {
    /// Notes why a field is null; the first reason given for it stays.
    pub(super) fn missing<T>(&mut self, field: &str, reason: impl Into<String>) -> Option<T> {
        self.unmeasured.entry(field.to_owned()).or_insert_with(|| reason.into());
        None
    }
}

/// A subject that its launcher refused to start, or that ended before the first client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotStarted {
    /// Why, with the last lines that it wrote.
    pub reason: String,
    /// Of the program that was executed, which is the launcher where there is one; `None`: it was ended by a signal, or by the run.
    pub exit_status: Option<i32>,
}

/// The process under test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subject {
    /// As the scenario calls it.
    pub name: String,
    /// The process that accepts (or, of a client, that connects): not the launcher.
    pub pid: Option<Pid>,
    /// What was executed.
    pub argv: Option<Vec<String>>,
    /// What started it.
    pub launcher: Option<String>,
    /// What keeps its process tree together: `pid-namespace`, `user-namespace` or `keeper`.
    pub isolation: Option<String>,
}

/// `RLIMIT_NOFILE` as asked for and as found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsFound {
    /// What the launcher was started with.
    pub requested: Option<Limits>,
    /// In force in the process that accepts, read back as late as possible before the release.
    pub effective: Option<Limits>,
    /// First ancestor first; the last is the process that accepts.
    pub chain: Vec<Link>,
    /// The link from which on the soft limit has the value in force; the first link when it was inherited from before.
    pub set_by: Option<SetBy>,
    /// Effective limits read earlier that differ: the program changed its own limits while it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Limits>,
}

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBy {
    /// Its process.
    pub pid: Pid,
    /// Its command line.
    pub command: String,
    /// Whether no link above it has another value: it was already so when the chain begins.
    pub inherited: bool,
}

/// The descriptors at rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Baseline {
    /// Open, from the size of `/proc/PID/fd`; counts numbers reserved by threads blocked in accept.
    pub descriptors: Option<u64>,
    /// Those of them numbered below the soft limit: the others take no place.
    pub counted: Option<u64>,
    /// One by one, as `/proc/PID/fd` lists them.
    pub inventory: Vec<Descriptor>,
    /// False when descriptor calls never stopped.
    pub settled: Option<bool>,
    /// What an earlier reading said, when it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_from: Option<u64>,
}

/// The ceiling as it was predicted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prediction {
    /// Connections.
    pub ceiling: Option<u64>,
    /// The arithmetic.
    pub formula: Option<String>,
    /// Assumed to be one, or calibrated.
    pub descriptors_per_connection: Option<f64>,
    /// Clients that the cost was measured with; 0: assumed.
    pub calibrated_with: Option<u32>,
    /// What was predicted before the first client, when calibration said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_first_client: Option<u64>,
}

/// Why the subject stopped where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A descriptor call failed with EMFILE: the process's limit.
    Emfile,
    /// A descriptor call failed with ENFILE: the system's limit.
    Enfile,
    /// It stopped below the limit by its own rule.
    OwnLimit,
    /// The accepting process exited while clients connected.
    Exited,
    /// The harness's own side ran out first.
    Generator,
    /// Every client was accepted and nothing failed.
    NotReached,
    /// It stopped below the limit, and something else had run out: [`Ceiling::binds`] says what.
    OtherLimit,
}

/// What a subject can run out of, or what else stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Resource {
    /// The soft `RLIMIT_NOFILE` of a process.
    Descriptors,
    /// `fs.file-max`, of the whole host.
    OpenFiles,
    /// Tasks, as it makes threads: `RLIMIT_NPROC`, the pids cgroup, the host.
    Threads,
    /// The same, as it makes processes.
    Processes,
    /// `RLIMIT_AS`, or the memory cgroup.
    Memory,
    /// The backlog, or `net.core.somaxconn`.
    AcceptQueue,
    /// The generator's, not the subject's.
    SourcePorts,
    /// Something else of the generator's.
    Generator,
    /// None of them ran out: it stops by itself.
    OwnRule,
}

impl Resource {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Descriptors => "descriptors",
            Resource::OpenFiles => "the open files of the host",
            Resource::Threads => "threads",
            Resource::Processes => "processes",
            Resource::Memory => "memory",
            Resource::AcceptQueue => "the accept queue",
            Resource::SourcePorts => "source ports",
            Resource::Generator => "the load generator",
            Resource::OwnRule => "a rule of its own",
        }
    }
}

/// What stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Binds {
    /// What.
    pub resource: Resource,
    /// What was seen that makes it so.
    pub evidence: String,
}

/// Connections that the process which accepted them no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Held at the end of the ramp by processes that accept none themselves, and by no other.
    pub connections: u64,
    /// How many processes hold them.
    pub processes: u64,
}

impl Kind {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Emfile => "emfile",
            Kind::Enfile => "enfile",
            Kind::OwnLimit => "own-limit",
            Kind::Exited => "exited",
            Kind::Generator => "generator",
            Kind::NotReached => "not-reached",
            Kind::OtherLimit => "other-limit",
        }
    }
}

/// Where the subject stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ceiling {
    /// Whether it stopped at all.
    pub reached: Option<bool>,
    /// Why it stopped.
    pub kind: Option<Kind>,
    /// What ran out, or what else stopped it.
    #[serde(default)]
    pub binds: Option<Binds>,
    /// Of a server that gives each connection to a process of its own: the descriptor limit of one process does not bound these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOver>,
    /// Connections held just before the first failed descriptor call of that process, or at the end of the ramp.
    pub accepted: Option<u64>,
    /// The most that were held later on.
    pub accepted_max: Option<u64>,
    /// Clients answered whose connection is still open when saturation ends.
    pub served: Option<u64>,
    /// Connects that had succeeded when saturation ends.
    pub connected: Option<u64>,
    /// Descriptors open at the ceiling.
    pub descriptors: Option<u64>,
    /// Their growth from rest for each connection held at the same moment.
    pub descriptors_per_connection: Option<f64>,
    /// Open just before the first failure, or where none came at the ceiling, more than at rest, and no connections: what else the connections cost, or what a
    /// thread had open for a moment. Negative when some of those at rest were closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<i64>,
    /// Of a subject that makes calls, or is called: calls answered before the first failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Of a subject that exited: how, as whoever started it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The first descriptor-creating call that failed.
    pub first_failure: Option<FirstFailure>,
    /// The first client that connected (or tried to) and was not served before saturation ended.
    pub first_unserved: Option<FirstUnserved>,
    /// Failures before the first client, which say nothing of the ceiling and must not go unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_ramp: Option<BeforeRamp>,
    /// Each process that accepted or failed.
    pub per_process: Vec<PerProcess>,
}

impl Ceiling {
    /// How a number is told that no failing call confirms.
    pub const BY_COUNT: &'static str = "by descriptor count";

    /// Whether the subject stopped: as its kind says or, where nobody saw its calls, as its descriptor count does. `None`: not known.
    pub fn stopped(&self) -> Option<bool> {
        match self.kind {
            Some(Kind::Generator) => None,
            Some(kind) => Some(kind != Kind::NotReached),
            None => self.reached,
        }
    }
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its status, where it exited.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// The first failed descriptor call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FirstFailure {
    /// The process that made it.
    pub pid: Pid,
    /// Which call.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: String,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Connections held by that process just before.
    pub accepted_before: u64,
    /// Clients connected by then and held by no process of the subject.
    pub waiting_clients: u64,
    /// Why it is not the ceiling, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The first client that got no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstUnserved {
    /// Seconds since the run's start, of its connect (or of that connect's failure).
    pub at_s: f64,
    /// What it had got when saturation ended.
    pub outcome: Outcome,
}

/// Descriptor calls that failed before any client came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BeforeRamp {
    /// The first of them.
    pub call: Call,
    /// Its errno.
    pub errno: String,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// How many were sampled.
    pub failures: u64,
}

/// One process of the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerProcess {
    /// Its thread-group id.
    pub pid: Pid,
    /// Connections held before its own first failure, or at the end of the ramp.
    pub accepted: u64,
    /// The most it held later on.
    pub accepted_max: u64,
    /// Seconds since the run's start.
    pub first_failure_at_s: Option<f64>,
    /// Its exit status, where it exited before clients were told to leave and that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub killed_by: Option<i32>,
}

/// What it did when the table was full.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Saturation {
    /// What its accept loop does.
    pub policy: Option<Policy>,
    /// What was seen that makes it so.
    pub policy_evidence: Option<String>,
    /// The pauses between its tries, where it makes any.
    pub delay_s: Option<Delay>,
    /// Between failing calls of the failing process, at most 20; nearly simultaneous ones count as one.
    pub retry_gaps_s: Vec<f64>,
    /// Failed descriptor calls of the whole tree, from exact totals.
    pub failures_per_s: Option<f64>,
    /// Of one processor.
    pub cpu_percent: Option<f64>,
    /// Written to its output.
    pub log_bytes_per_s: Option<f64>,
    /// What it wrote, at most 10 lines.
    pub log_sample: Vec<String>,
    /// Connections held before that the server closed by itself.
    pub held_closed_by_server: Option<u64>,
    /// What a new client gets.
    pub new_client: Option<Outcome>,
    /// Its longest, and its capacity.
    pub accept_queue: Option<AcceptQueue>,
    /// Of several listeners on the port (SO_REUSEPORT) each one's own queue, at the end of saturation; `accept_queue` is all of them together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Queue>,
    /// TCP sockets that the subject holds by a descriptor, of both directions, by state.
    pub tcp_states: Option<States>,
    /// Those of the loaded port on the server's side: also in the accept queue, and half open.
    pub tcp_port: Option<States>,
    /// All of the network namespace: both ends of every connection, and those in TIME_WAIT, which hold no descriptor.
    pub tcp_namespace: Option<States>,
    /// Open files of the whole host and the most there may be: `fs.file-max`, which is read and never set.
    pub file_nr: Option<FileNr>,
    /// Growth of the host's `ListenOverflows` over the run.
    pub listen_overflows: Option<u64>,
    /// Of all its processes.
    #[serde(default)]
    pub memory: Memory,
    /// Listeners of its processes beside the loaded one, by port.
    #[serde(default)]
    pub other_listeners: Vec<OtherListener>,
    /// Descriptor calls other than accept that failed, by their number.
    #[serde(default)]
    pub failed_calls: Vec<FailedCalls>,
    /// Clients that saw something else of such a failure.
    #[serde(default)]
    pub disguise: Vec<Disguise>,
    /// What the clients see before and at the wall.
    #[serde(default)]
    pub clients: ClientsSeen,
    /// Every probe, in order of time, at most 100.
    pub probes: Vec<Probe>,
}

/// Pauses between tries, seconds: as long as they were seen to be, which is a little more than what the program asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// After the first failure; of a delay that does not grow, the median of all. Of a storm, between its bursts.
    pub first: f64,
    /// The longest of one that grows; otherwise the same.
    pub longest: f64,
}

impl std::fmt::Display for Delay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.first, self.longest) {
            (first, longest) if first == longest => write!(f, "{first:.3} s"),
            (first, longest) => write!(f, "{first:.3} s at first, up to {longest:.3} s"),
        }
    }
}

/// What clients see of a server that is full.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientsSeen {
    /// From the connect to the first answer, of those answered before the first failed call (or the ramp's end); none for `tcp`.
    pub before_s: Option<Latency>,
    /// Those that it holds, asked again at the wall.
    pub held: Held,
    /// Connected and not served when saturation ends: in the accept queue, or accepted and left alone.
    pub queued: u64,
    /// Those that came after the first failed call (without one: those that were not served), by what they got.
    pub next: Vec<Got>,
}

/// Held clients that were asked again on their own connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Asked.
    pub probed: u64,
    /// Answered as before.
    pub answered: u64,
    /// Silent until the deadline; nobody was asked after that.
    pub silent: u64,
    /// Told an error, and not closed.
    #[serde(default)]
    pub error_replies: u64,
    /// Closed.
    pub dropped: u64,
    /// Of the answers.
    pub latency_s: Option<Latency>,
}

/// Clients that got the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Got {
    /// What.
    pub outcome: Outcome,
    /// How many.
    pub clients: u64,
    /// From the connect to it; none where the connect itself failed, and of those that wait.
    pub after_s: Option<Latency>,
}

/// Open files of the whole host, from `/proc/sys/fs/file-nr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNr {
    /// Open now.
    pub allocated: u64,
    /// `fs.file-max`.
    pub max: u64,
}

/// The accept queue of the loaded listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptQueue {
    /// The longest seen at saturation, when the ramp was over.
    pub length: u32,
    /// Backlog + 1.
    pub capacity: Option<u32>,
    /// The longest seen in the whole run.
    #[serde(default)]
    pub most: Option<u32>,
    /// SYNs and last ACKs of handshakes that this listener dropped until clients left, for a full queue as a rule; each may come again.
    #[serde(default)]
    pub overflows: Option<u32>,
    /// The most handshakes of its port that were half done, at saturation.
    #[serde(default)]
    pub syn_recv: Option<u64>,
}

/// What one new client saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// `saturated`, `after-some`, `after-all`, `held`.
    pub label: String,
    /// Which workload asked.
    pub workload: String,
    /// What it got.
    pub outcome: Outcome,
    /// The answer's first line, or the error.
    pub detail: String,
    /// Time of the connect, seconds.
    pub connect_s: Option<f64>,
    /// Time until the answer, seconds.
    pub answer_s: Option<f64>,
}

/// A limit that was moved on the live process, and what followed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// In force from then on.
    pub soft: u64,
    /// In force from then on.
    pub hard: u64,
    /// In force before.
    pub was: Option<Limits>,
    /// Processes whose limits were moved.
    pub processes: u32,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Connections that all its processes held then.
    pub held: u64,
    /// Of a limit that was raised at the wall: whether it accepted again while clients waited.
    pub resumed: Option<bool>,
    /// From the move to that accept.
    pub resumed_s: Option<f64>,
    /// Connections held just before the next failed call, by the process that made it; without one, those held in the end by all.
    pub accepted_after: Option<u64>,
    /// The first descriptor call that failed under the new limits; where they were raised, after it had accepted again.
    pub next_failure: Option<FirstFailure>,
    /// What a new client got, where nothing failed first.
    pub new_client: Option<Outcome>,
}

/// What it did when clients left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recovery {
    /// Clients that left first, while others waited.
    pub released: Option<u64>,
    /// Whether a new client was served after all had left.
    pub recovered: Option<bool>,
    /// From the first leaving to the first waiter served (for `tcp`: accepted).
    pub first_served_s: Option<f64>,
    /// From the first leaving until the accept queue was seen empty.
    pub queue_drained_s: Option<f64>,
    /// From the release of all clients to the answer to a new one.
    pub new_client_served_s: Option<f64>,
    /// Clients connected and not served when the first left.
    pub waiters: Option<u64>,
    /// Of those, served (for `tcp`: accepted) later on.
    pub waiters_served: Option<u64>,
    /// Of those, closed or told an error before all had left; none is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiters_turned_away: Option<u64>,
    /// Open after all clients left.
    pub descriptors_after: Option<u64>,
    /// TCP sockets that the subject holds then: those in CLOSE_WAIT the other side has closed, and the subject has not.
    pub tcp_states_after: Option<States>,
    /// More than at rest; negative when fewer.
    pub leaked: Option<i64>,
    /// From the first leaving until the accepting process exited, though nobody had told it to; 0 when it had exited before.
    pub exited_s: Option<f64>,
    /// What the new client after all had left saw.
    pub probe_after: Option<Probe>,
    /// One for each time that some clients left while others waited, in their order.
    #[serde(default)]
    pub rounds: Vec<Round>,
    /// Of `first_served_s` over the rounds in which somebody was served.
    pub first_served_quantiles: Option<Spread>,
    /// Clients that left the accept queue before they were served; each of them still costs an accept.
    pub gave_up: Option<u64>,
    /// To whom freed places are given.
    pub order: Option<PlaceOrder>,
    /// How new clients were served up to the first failed call.
    pub before: Option<Service>,
    /// The same in a second ramp, after all had left.
    pub after: Option<Service>,
    /// The most connections that the process at the wall held when a call failed in the second ramp.
    pub second_ceiling: Option<u64>,
    /// What it comes to.
    pub verdict: Option<Verdict>,
    /// What was seen that makes it so.
    pub verdict_evidence: Option<String>,
}

/// A time in which some clients left while others waited, until the next one; with several rounds, new clients came in their place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Clients that left while they were held.
    pub released: Option<u64>,
    /// From the server's last failing try to accept until the first of them left.
    pub phase_s: Option<f64>,
    /// From the first leaving to the first accept, as seen at the system call.
    pub first_accepted_s: Option<f64>,
    /// From the first leaving to the first answer (for `tcp`: to the first accept).
    pub first_served_s: Option<f64>,
    /// From the first leaving until the accept queue was seen empty.
    pub queue_drained_s: Option<f64>,
    /// From the first leaving to the first answer to a client that came after that.
    pub new_client_served_s: Option<f64>,
    /// Clients that left while they waited in the accept queue.
    pub gave_up: u64,
    /// Connections that the process at the wall held when it had failed to accept again, with new clients waiting.
    pub ceiling: Option<u64>,
}

/// How times are spread, seconds; by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `Latency`")]
pub struct Spread {
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub max: f64,
}

/// To whom a freed place is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceOrder {
    /// To who has waited longest.
    OldestFirst,
    /// To who came last.
    NewestFirst,
    /// Neither: as with several queues.
    Mixed,
}

impl PlaceOrder {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            PlaceOrder::OldestFirst => "oldest-first",
            PlaceOrder::NewestFirst => "newest-first",
            PlaceOrder::Mixed => "mixed",
        }
    }
}

/// How the new clients of a ramp were served, the last three quarters of them: the first ones come one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Answered a second (for `tcp`: accepted).
    pub served_per_s: f64,
    /// From connect to answer.
    pub latency_s: Option<Latency>,
    /// Of those that were held at the wall and asked again on their own connections.
    pub held_latency_s: Option<Latency>,
}

/// The calls of one workload that were begun before anybody was released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallsMade {
    /// Its name.
    pub workload: String,
    /// What a call is.
    pub caller: Caller,
    /// Calls begun.
    pub started: u64,
    /// Calls answered as asked.
    pub completed: u64,
    /// How they ended, in the order in which each way was first met; those answered among them.
    pub ends: Vec<CallEnds>,
    /// Calls answered before the subject's first failed descriptor call.
    pub completed_before_first_failure: Option<u64>,
    /// Calls answered a second, up to the first failure, while any were to be made.
    pub per_s: Option<f64>,
    /// Of the calls answered up to the first failure.
    pub latency_s: Option<Latency>,
    /// Connections made for them.
    pub connections: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// Of the calls answered up to the first failure.
    pub handshakes_per_call: Option<f64>,
    /// What the subject had open more than at rest, less one for each call under way that had a descriptor, for 1000 calls answered.
    pub descriptors_per_1000_calls: Option<f64>,
}

/// Calls of one workload that ended in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEnds {
    /// What they got; null: the caller's own side failed.
    pub outcome: Option<Outcome>,
    /// Where they stopped; null: they were answered.
    pub step: Option<CallStep>,
    /// Of the system call that failed.
    pub errno: Option<i32>,
    /// How many.
    pub calls: u64,
    /// Seconds since the run's start, when the first of them began.
    pub first_at_s: f64,
    /// Median of the time that they took.
    pub took_s: f64,
    /// Length of the subject's accept queue when the first of them began.
    pub accept_queue: Option<u32>,
    /// Sockets of the subject's port by state, as last counted before that.
    pub tcp_states: Option<BTreeMap<String, u64>>,
}

/// How long calls took, seconds; by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

/// One who counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// `perf`, `ptrace`, `/proc descriptor count`, `the server's own count`.
    pub observer: String,
    /// Whether it can miss nothing.
    pub exact: bool,
    /// What observing costs the subject.
    pub cost: String,
    /// Connections at the first failure, as this witness counts.
    pub ceiling: Option<u64>,
    /// The process whose connections it counts, where several accept; none: those of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Pid>,
}

/// How long things took, seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// From the subject's exec until it listens.
    pub launch_s: Option<f64>,
    /// From the subject's exec to its first failed descriptor call.
    pub to_first_failure_s: Option<f64>,
    /// The whole run.
    pub total_s: Option<f64>,
}

/// One point of the series: the most within its interval for counts, the mean for rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Since the run's start, of the interval's end.
    pub at_s: f64,
    /// Open in the accepting process.
    pub descriptors: u64,
    /// Accept queue length.
    pub accept_queue: Option<u32>,
    /// Failed descriptor calls.
    pub failures_per_s: Option<f64>,
    /// Of one processor.
    pub cpu_percent: Option<f64>,
    /// Written to its output.
    pub log_bytes_per_s: Option<f64>,
    /// Resident in memory, of all its processes; not read while clients connect.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// What the loaded listener has dropped so far; not read while clients connect.
    #[serde(default)]
    pub queue_overflows: Option<u32>,
}

/// TCP sockets by state at one moment, beside the descriptors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TcpPoint {
    /// Since the run's start.
    pub at_s: f64,
    /// Open in the accepting process at the same time.
    pub descriptors: Option<u64>,
    /// Held by a descriptor of the subject; `None` when its descriptors could not be read.
    pub subject: Option<States>,
    /// Of the loaded port on the server's side: SYN_RECV are handshakes that are half done.
    #[serde(default)]
    pub port: States,
    /// All of the network namespace.
    pub namespace: States,
}

//! The event and its log: everything a run observed, one JSON line each, in the order it was reported.
//!
//! The log is the only thing a run produces; measuring, judging and reporting are pure functions of it. Times
//! are `CLOCK_MONOTONIC` nanoseconds, the clock perf, the drivers and the harness share; the log holds them
//! relative to the run's start. This module depends on nothing of ours and never does I/O on anything but the
//! log itself.

mod call;
pub mod descriptor;
mod errno;
pub mod file;
mod formula;
mod greeting;
mod label;
mod log;
mod packed;
mod read;
mod redact;
mod status;

pub use call::{Call, maps_memory};
pub use descriptor::{Connected, Descriptor, DescriptorKind, Listens};
pub use errno::Errno;
pub use formula::{Each, Formula, Room, Rounding};
pub use greeting::{greeted, greeting};
pub use label::Label;
pub use log::{Log, LogError, SCHEMA, Writer, parse};
pub use packed::{BEFORE, GZIP, Packed, logs};
pub use read::{read, read_all};
pub use redact::{HIDDEN, Redaction};
pub use status::Status;

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// A process id as the harness sees it (its own PID namespace), always the thread-group id.
pub type Pid = i32;

/// Monotonic nanoseconds; in a log, since the run's start.
pub type Nanos = u64;

/// One observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened (not when it was read).
    pub at: Nanos,
    /// The event itself.
    pub is: What,
}

/// The two values of `RLIMIT_NOFILE` (getrlimit(2)): the largest descriptor *number* allowed, plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The limit in force.
    pub soft: u64,
    /// The highest value to which the process may raise its soft limit.
    pub hard: u64,
}

/// Datagrams that wait for a server to read them (UDP has no accept queue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReceiveQueue {
    /// Bytes of memory that they take.
    pub bytes: u32,
    /// Bytes that they may take (`SO_RCVBUF`).
    pub capacity: u32,
    /// Datagrams dropped since the socket was made, for a full queue as a rule.
    pub drops: u32,
}

/// A step of a run, in their order; each begins when the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// From exec of the launcher until a listener is ready.
    Launch,
    /// Until no descriptor call comes any more: the descriptors at rest.
    Baseline,
    /// Clients connect.
    Ramp,
    /// The table is full (or the ramp is over) and the subject is watched.
    Saturate,
    /// One new client after another asks what it gets.
    Probe,
    /// The limits of the live subject are moved, and what follows is watched; once for each move.
    Moved,
    /// Some clients leave; once for each round.
    ReleaseSome,
    /// All clients leave.
    ReleaseAll,
    /// Until the subject is quiet again.
    Settle,
    /// A few clients come and leave again, where something stayed open: whether that grows.
    SecondRound,
    /// Clients connect once more, up to the wall.
    Again,
    /// TERM, grace, KILL.
    Stop,
}

/// Why a phase ended. Where several hold at once, the run's first check decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The subject listens; a subject without clients runs.
    Ready,
    /// The subject holds no more descriptors than at rest, and (before the ramp) nothing moved for a while.
    AtRest,
    /// Every client is in, or was turned away, and nothing moves any more.
    AllIn,
    /// A call failed for want of a descriptor, and no driver connects any more.
    FirstFailure,
    /// Nothing failed, so there is no wall to watch.
    NoFailure,
    /// No accept, no answer and no client event came for longer than such a phase waits.
    Stalled,
    /// Clients come and go, and for a while no more of them stay.
    Full,
    /// The accept policy is plain; a subject that calls has none.
    Decided,
    /// The new client got its answer, whichever that is.
    Answered,
    /// As many waiting clients as there were free places are served, or turned away.
    Served,
    /// New clients are turned away, and the subject does nothing that could change that.
    TurnedAway,
    /// No client waits, and the subject does nothing.
    Quiet,
    /// All have left, and the subject still closes descriptors or works off its accept queue: it is waited
    /// for no longer.
    Draining,
    /// No client is connected, and the subject opens one descriptor after another by itself.
    Growing,
    /// The process that accepts (or calls) has exited, or the whole subject.
    Gone,
    /// The load generator itself lacks something, such as a source port: this says nothing about the subject.
    Generator,
    /// The phase's deadline passed.
    Time,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// The run could not go on: `NotStarted` or `Inconclusive` says why.
    Failed,
}

/// A thing that a run could not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// The subject at rest: it never paused for long enough.
    Settled,
    /// The descriptors at rest.
    Baseline,
    /// The cost of a connection, or the descriptors that a call leaves open.
    CostPerConnection,
    /// The clients held and served when they come no faster than the subject settles.
    Capacity,
    /// The processes that accept from some of the listeners on the loaded port.
    Listeners,
    /// The subject's listeners on other ports.
    OtherListeners,
    /// A count of TCP sockets by state.
    Tcp,
    /// Recovery in rounds.
    Rounds,
    /// The cost of observing.
    ObserverCost,
    /// The outcome of a new client: the client with this label could not be made.
    Probe {
        /// As in [`What::Probe`].
        label: Label,
    },
}

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields' names are the field's own terms; each variant is documented")]
#[non_exhaustive]
pub enum What {
    /// First line of a log: which program wrote it, where, and the plan of the run (a `scenario::Plan`).
    Header {
        schema: String,
        lastfd_version: String,
        started_at: String,
        environment: Box<Environment>,
        plan: serde_json::Value,
    },
    /// The run is in a network namespace of its own, where these sysctls were set before anything was
    /// started.
    Sysctls { namespace: String, set: Vec<Sysctl> },
    /// A phase begins.
    Phase(Phase),
    /// The phase is over, for this reason; the next one begins now.
    PhaseEnded { phase: Phase, why: Ended },
    /// A process of the scenario was executed (its exec succeeded) under the limits asked for. `isolation`:
    /// what keeps its tree together, `pid-namespace`, `user-namespace` or `keeper`.
    Launched {
        process: String,
        pid: Pid,
        argv: Vec<String>,
        launcher: String,
        requested: Limits,
        isolation: Option<String>,
    },
    /// A listener of the process tree: found by itself, or the asked-for port. `capacity` is backlog + 1.
    Listening { process: String, pid: Pid, address: String, capacity: u32 },
    /// Limits read back from live processes, first ancestor first; the last link is the process that accepts.
    Chain { process: String, pid: Pid, when: Phase, links: Vec<Link> },
    /// The descriptors of the subject at rest. `settled` is false when it never became quiet.
    Baseline { pid: Pid, descriptors: u64, counted: u64, inventory: Vec<Descriptor>, settled: bool },
    /// The descriptors of several processes of the subject at one moment: before the ramp, the processes that
    /// do not hold the listener; after all clients have left, all that are alive.
    Open(Vec<Open>),
    /// The ceiling as predicted. `calibrated_with` is the number of clients the cost was measured with (0:
    /// assumed).
    Prediction {
        pid: Pid,
        ceiling: u64,
        formula: Formula,
        descriptors_per_connection: f64,
        calibrated_with: u32,
    },
    /// A descriptor-creating call of the subject returned: `ret` as the kernel gave it, negative errno on
    /// failure. `on`: the listener's number for a failed accept; `None`: another call, or not known.
    Call {
        pid: Pid,
        name: Call,
        ret: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<i32>,
    },
    /// The subject asked to close this number.
    Close { pid: Pid, fd: i32 },
    /// The subject asked to close every number of this range (close_range(2), closefrom(3)).
    CloseRange { pid: Pid, first: u32, last: u32 },
    /// Counter totals so far: failures with EMFILE or ENFILE of one call over the whole tree (sampled or
    /// not).
    Failures { name: Call, total: u64 },
    /// The observer no longer records single failures (the bound was reached); `Failures` totals stay exact.
    SamplingStopped,
    /// The observer no longer records single failures of one listener. Its accepts failed most while others
    /// of the process failed, too.
    Muted { pid: Pid, on: i32 },
    /// The observer lost samples; totals stay exact, single events are missing.
    Lost { samples: u64 },
    /// The end of a process of the tree: the code that it gave exit_group(2), or the report to its tracer.
    /// Some processes have no such event: one killed by a signal makes no call.
    Status { pid: Pid, code: Option<i32>, signal: Option<i32> },
    /// A process of the tree forked (`parent` → `pid`), executed, or exited.
    Process { pid: Pid, parent: Pid, change: Change },
    /// A client of a workload changed state.
    Client { workload: String, id: u32, state: Client },
    /// A call of a workload of calls is over. `outcome`: its result; `None` when the caller's own side
    /// failed, with `errno`. `step`: where it stopped; `None` when it was answered as asked. `connect_s`:
    /// time of its TCP connect; `None` on a connection that was open before, or without success. `took_s`:
    /// from its start to the answer, or to where it stopped. `tls_s`: time of its TLS handshakes.
    /// `first_byte_s`: for HTTP, from its first request to the head of the answer. `handshakes`: TLS
    /// handshakes completed for it; `resumed`: how many of these took up an earlier session. `kept`: open
    /// connections that calls take turns on or share; `None` where each call has its own. `late_s`: how long
    /// after its intended time it started; `None` for a call without an intended time. `held`: it was late
    /// because the most calls allowed were under way.
    CallEnded {
        workload: String,
        id: u32,
        outcome: Option<Outcome>,
        step: Option<CallStep>,
        errno: Option<i32>,
        connect_s: Option<f64>,
        took_s: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_s: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_byte_s: Option<f64>,
        handshakes: u32,
        #[serde(default, skip_serializing_if = "is_zero")]
        resumed: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        late_s: Option<f64>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        held: bool,
    },
    /// A client program has ended by itself. `id`: which client it was; `None`: it was all of them. `code` or
    /// `signal`: how it ended, neither where it was never started. `words`: the last line of its output, or
    /// why it was not started. `connected`: whether it was seen to be connected.
    ProgramEnded {
        workload: String,
        id: Option<u32>,
        code: Option<i32>,
        signal: Option<i32>,
        words: String,
        connected: bool,
    },
    /// The driver's pacing: why it is not connecting now. For calls, `connected` counts the connections that
    /// were made for them.
    Pacing { workload: String, state: Pacing, connected: u32 },
    /// A new client began to connect; `Probe` has its outcome.
    Arrived { workload: String },
    /// The outcome of one new client, or of a held one that was asked again. `label` says when it was asked.
    Probe {
        workload: String,
        label: Label,
        outcome: Outcome,
        detail: String,
        connect_s: Option<f64>,
        answer_s: Option<f64>,
    },
    /// prlimit(2) gave a live process of the subject these limits in place of its earlier ones. The event's
    /// time is the return of prlimit(2): a call that had begun before may end after it.
    LimitMoved { pid: Pid, soft: u64, hard: u64, was: Limits },
    /// A process of the tree, `by`, set the `RLIMIT_NOFILE` of `pid`, which is itself but for prlimit(2) of
    /// another: the call succeeded. `limits`: the new ones; `None` where the observer could not read them.
    LimitSet { pid: Pid, by: Pid, limits: Option<Limits> },
    /// A process of the tree has executed this program: the first 15 bytes of its file's name, as the kernel
    /// keeps them. Beside the `Process` of that exec, by an observer that sees it.
    Executed { pid: Pid, program: String },
    /// Cost of the calibration clients after their accepts: descriptors `opened` that were not closed again,
    /// connections that were `closed` while their clients were there, for another process has them, and
    /// processes `born`. `steady`: further clients come only when such work for the earlier ones is done.
    AfterAccept { clients: u32, opened: u64, closed: u64, born: u64, steady: bool },
    /// Processes that hold connections of the loaded port, by `/proc`, where the subject has several
    /// processes: the ones with the most first, and how many there are in all. At the limit, and when all
    /// clients have left. `connections`: all that they hold, each counted once.
    Holders {
        processes: u64,
        holders: Vec<Holding>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connections: Option<u64>,
    },
    /// The clients that the driver made leave.
    Released { clients: u32 },
    /// A sample of the subject's accepting process. `queue`: accept queue length of the listener that is
    /// loaded. `cpu_s` and `log_bytes` are totals so far, over the whole tree.
    Sample { pid: Pid, descriptors: u64, queue: Option<u32>, cpu_s: f64, log_bytes: u64 },
    /// TCP sockets by state. `states`: on the loaded listener's port; `subject`: sockets that a descriptor of
    /// the subject's processes refers to; `namespace`: all in the network namespace. And its listen-overflow
    /// counter (`ListenOverflows`), and the descriptors of the process that accepts, at the same time.
    /// `None`: not counted. A count takes time, so it has no single moment: it began at the event's time and
    /// ended `took` nanoseconds later.
    Tcp {
        states: States,
        listen_overflows: u64,
        #[serde(default)]
        subject: Option<States>,
        #[serde(default)]
        namespace: Option<States>,
        #[serde(default)]
        descriptors: Option<u64>,
        #[serde(default)]
        took: Nanos,
    },
    /// Calibration showed that the descriptor limit of the process that accepts bounds nothing: an earlier
    /// prediction no longer holds.
    NotPredicted { pid: Pid, reason: String, descriptors_per_connection: f64, calibrated_with: u32 },
    /// A call of the subject was refused for want of something other than descriptors: EAGAIN or ENOMEM of
    /// `clone` and its kin, ENOMEM of `mmap`, ENOMEM or ENOBUFS of `accept`. Only perf sees these.
    Refused { pid: Pid, call: String, errno: i32 },
    /// The subject's other resources than descriptors, and their limits.
    Resources(Box<Resources>),
    /// At the end of the watch, where the process that fails had fallen silent: whether it waits for a time
    /// of its own, or holds a timer that is set. `None`: that could not be read, or it ran.
    Waits { pid: Pid, timer: Option<bool> },
    /// At the wall, where a call that makes an inotify instance failed with EMFILE:
    /// `fs.inotify.max_user_instances`, and the instances of the subject's user in the processes that can be
    /// seen, those with the most first.
    InotifyInstances { most: Option<u64>, holders: Vec<Holder> },
    /// Taken with a sample, but never while clients connect: the `resident` memory of all the subject's
    /// processes, bytes (shared memory counts in each), and the `drops` of the loaded listener since it was
    /// made: SYNs and last ACKs that found its queue full.
    Beside { resident: Option<u64>, drops: Option<u32> },
    /// Taken with a sample once a call has failed, a tenth of a second apart, about the process that accepts.
    /// All times are since the first of these readings: how long its busiest thread ran; how long that thread
    /// could have run but was given no processor; how long all its threads together did either. Seconds
    /// (/proc/PID/task/TID/schedstat).
    Ready { pid: Pid, ran_s: f64, waited_s: f64, all_s: f64 },
    /// The receive queue of the UDP socket that is loaded, when the watch at the wall began or ended.
    ReceiveQueue(ReceiveQueue),
    /// Another listener of the subject at the limit, before a client that only connects came to it, and that
    /// client's outcome. `served` means accepted, for it asks nothing. `None`: no client was sent, because
    /// the address is no loopback address, or it could not be.
    OtherListener {
        address: String,
        queue: u32,
        capacity: u32,
        drops: Option<u32>,
        new_client: Option<Outcome>,
    },
    /// The path that a call was to open when it failed for want of a descriptor: a bounded sample, by an
    /// observer that sees it.
    FailedPath { pid: Pid, name: Call, path: String },
    /// The open files of the whole host, and `fs.file-max`, the most there may be (`/proc/sys/fs/file-nr`).
    FileNr { allocated: u64, max: u64 },
    /// A line that the subject wrote (a bounded sample of its output).
    Output { line: String },
    /// A scenario process ended (waitpid status of the program that was executed).
    Exited { process: String, pid: Pid, code: Option<i32>, signal: Option<i32> },
    /// The subject's own count of accepts, printed by the bundled servers at exit. `pid` is 0 when it is not
    /// known which process it was.
    OwnCount { pid: Pid, before_first_emfile: u64, total: u64 },
    /// Counts so far of a bundled server beside the subject (a witness of its callers), from its own report.
    Upstream(Seen),
    /// A witness of the syscalls: which, whether its counts are exact, and whether it sees requests of
    /// io_uring too.
    Observer {
        name: ObserverName,
        exact: bool,
        #[serde(default)]
        io_uring: bool,
    },
    /// The accept queue of each listener of the loaded port, where there are several (SO_REUSEPORT), all at
    /// one moment.
    Queues(Vec<Queue>),
    /// The time that observing adds to opening and closing a descriptor, and to a call that fails with
    /// EMFILE: measured on this machine.
    ObserverCost { name: ObserverName, opened_ns: u64, failed_ns: u64 },
    /// The log was thinned after the run, to fit into a report: it had so many events before.
    Thinned { of: u64 },
    /// Something that the run set out to see and could not, and why.
    NotSeen { what: Unseen, why: String },
    /// The launcher refused, or the program ended or was not ready before the first client, for this reason.
    NotStarted { reason: String },
    /// The run cannot say anything: the verdict is inconclusive for this reason.
    Inconclusive { reason: String },
    /// Last line of a complete log.
    End,
}

impl What {
    /// The process that asked to close descriptors, and their numbers: one, or a range.
    pub fn closes(&self) -> Option<(Pid, RangeInclusive<i64>)> {
        match *self {
            What::Close { pid, fd } => Some((pid, fd.into()..=fd.into())),
            What::CloseRange { pid, first, last } => Some((pid, first.into()..=last.into())),
            _ => None,
        }
    }
}

/// Counts of a bundled server that is a witness (`lastfd serve --witness`), since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// As the scenario calls it.
    #[serde(default)]
    pub process: String,
    /// Connections that it accepted.
    pub connections: u64,
    /// Accepted connections that are still open.
    pub open: u64,
    /// Calls that it answered; 0 where it answers nothing.
    pub calls: u64,
    /// Calls that it keeps waiting.
    #[serde(default, skip_serializing_if = "nothing")]
    pub waiting: u64,
    /// TLS handshakes, whole ones.
    pub handshakes_full: u64,
    /// TLS handshakes by which a session was resumed.
    pub handshakes_resumed: u64,
    /// The fewest calls that came on a connection.
    pub least: u64,
    /// The median of them.
    pub median: u64,
    /// The most.
    pub most: u64,
    /// Said once, as it ends: whether its own accept ever failed for want of a descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<bool>,
}

fn nothing(count: &u64) -> bool {
    *count == 0
}

/// One of several listeners on a port, and the process that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The process: the last one of the tree's processes, a worker rather than its master.
    pub pid: Pid,
    /// Connections in its accept queue.
    pub length: u32,
    /// The most that it takes: backlog + 1.
    pub capacity: u32,
    /// Descriptors that the process can still open below its soft limit.
    pub room: u64,
}

/// Sockets by TCP state, in the kernel's names.
pub type States = std::collections::BTreeMap<String, u64>;

/// Resources that a subject needs beside descriptors, at one moment. `None`: not bounded, not readable, or
/// (of a process) exited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// The process that accepts.
    pub pid: Pid,
    /// Its threads.
    pub threads: Option<u64>,
    /// Live processes of the subject's tree.
    pub processes: u64,
    /// Tasks of its user in its user namespace, and its soft `RLIMIT_NPROC`; `None` too where that does not
    /// bind it (root, CAP_SYS_RESOURCE).
    pub user_tasks: Option<Bound>,
    /// Tasks of the tightest pids cgroup above it, and `pids.max`.
    pub group_tasks: Option<Bound>,
    /// Forks that this cgroup refused so far (`pids.events`).
    pub group_refused: Option<u64>,
    /// Tasks of the host, and the lesser of kernel.threads-max and kernel.pid_max.
    pub host_tasks: Option<Bound>,
    /// Its virtual memory and `RLIMIT_AS`, bytes.
    pub address_space: Option<Bound>,
    /// Memory of the tightest memory cgroup above it, and its limit, bytes.
    pub group_memory: Option<Bound>,
    /// Processes that the out-of-memory killer has killed there so far.
    pub oom_kills: Option<u64>,
    /// `net.core.somaxconn` where the run is made: the most that any backlog can be.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.ip_local_port_range`, first and last: the generator's source ports.
    pub local_ports: Option<(u64, u64)>,
}

/// A process of the subject that holds connections of the loaded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// It.
    pub pid: Pid,
    /// Connections that it has a descriptor for.
    pub connections: u64,
    /// All its descriptors.
    pub descriptors: u64,
    /// Its soft limit.
    pub soft: u64,
}

/// A process that has some of what its user shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// It.
    pub pid: Pid,
    /// Its name, 15 bytes at most.
    pub program: String,
    /// How many.
    pub count: u64,
}

/// How much of something is in use, and the most there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// In use.
    pub used: u64,
    /// The limit.
    pub most: u64,
}

impl Bound {
    /// How much is left.
    pub const fn left(self) -> u64 {
        self.most.saturating_sub(self.used)
    }
}

/// Where a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the JSON report")]
pub struct Environment {
    pub kernel: String,
    pub cpus: u32,
    pub privileges: String,
    /// Syscall observers that this machine allows, best first: `perf`, `ptrace`.
    pub observers: Vec<String>,
}

/// A sysctl that a scenario sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// With dots: `net.core.somaxconn`.
    pub name: String,
    /// As the scenario has it.
    pub asked: String,
    /// In the new namespace, before: the kernel's default.
    pub before: Option<String>,
    /// Read back after it was set.
    pub in_force: Option<String>,
    /// A remark on it.
    pub note: Option<String>,
}

/// One ancestor in the chain of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the JSON report")]
pub struct Link {
    pub pid: Pid,
    pub command: String,
    pub soft: u64,
    pub hard: u64,
}

impl Link {
    /// The command of the link that stands for the limits a run asked for: the launched program's process,
    /// just before its exec.
    pub const REQUESTED: &str = "lastfd exec (limits asked for)";
}

/// The observers of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "perf_event_open(2), ptrace(2), nobody")]
pub enum ObserverName {
    Perf,
    Ptrace,
    None,
}

impl ObserverName {
    /// As in a log and a report.
    pub const fn name(self) -> &'static str {
        match self {
            ObserverName::Perf => "perf",
            ObserverName::Ptrace => "ptrace",
            ObserverName::None => "none",
        }
    }

    /// Whether it sees refused threads, processes and memory too.
    pub const fn sees_refusals(self) -> bool {
        matches!(self, ObserverName::Perf)
    }
}

/// The open descriptors of a process. `inventory` lacks descriptors that were closed meanwhile, and is empty
/// where there are too many to name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `What::Baseline`")]
pub struct Open {
    pub pid: Pid,
    pub descriptors: u64,
    pub inventory: Vec<Descriptor>,
}

/// A change of a process of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "fork(2), execve(2), _exit(2)")]
pub enum Change {
    Fork,
    Exec,
    Exit,
}

/// The state of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// connect(2) succeeded: accepted, or parked in the accept queue; a client cannot tell.
    Connected,
    /// The server spoke first, to a client that asks nothing.
    Greeted,
    /// An answer began, and is not (yet) the one that the client waits for.
    Begun,
    /// An application answer came and the connection stays open.
    Served,
    /// The server closed it (end of file or reset) after it connected.
    Closed,
    /// The connect was refused (ECONNREFUSED).
    Refused,
    /// The connect did not complete before its deadline, or a call's answer did not come before it:
    /// `CallEnded` tells which.
    TimedOut,
    /// An answer came that is not the one asked for, such as `503` or `-ERR`.
    ErrorReply(String),
    /// An answer came that is complete and an error or a redirect, such as `404`: the application speaks, and
    /// `Served` follows where it keeps the connection.
    ErrorAnswer(String),
    /// The generator's own side failed with this errno: a limit of the harness, never the subject's.
    Local(i32),
    /// Left because the driver said so.
    Released,
    /// Left because the driver said so, while it waited in the accept queue: the subject has still to accept
    /// the connection that it left there.
    GaveUp,
}

/// A step of a call, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStep {
    /// Reading the certificate to trust.
    Certificate,
    /// socket(2).
    Socket,
    /// connect(2), until the kernel says that it is connected.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Request,
    /// Waiting for the answer.
    Answer,
    /// Reading the rest of it.
    Body,
}

impl CallStep {
    /// As in the log.
    pub const fn name(self) -> &'static str {
        match self {
            CallStep::Certificate => "certificate",
            CallStep::Socket => "socket",
            CallStep::Connect => "connect",
            CallStep::Tls => "tls",
            CallStep::Request => "request",
            CallStep::Answer => "answer",
            CallStep::Body => "body",
        }
    }
}

/// Why a driver connects or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pacing {
    /// Connecting.
    Ramping,
    /// The accept queue is more than half full: waiting for the subject to accept.
    Parked,
    /// Every client asked for has connected (or failed to).
    Done,
}

/// The outcome for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An answer. For a client that asks nothing: the server accepts it.
    Served,
    /// It is connected, and gets no byte until the deadline.
    Waits,
    /// The connect does not complete until the deadline.
    TimesOut,
    /// The connect fails.
    Refused,
    /// The connection ends (end of file or reset) without an answer.
    Closed,
    /// An answer that is no success, such as 503 or `-ERR`.
    ErrorReply,
}

impl Outcome {
    /// As in a scenario and in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Waits => "waits",
            Outcome::TimesOut => "times-out",
            Outcome::Refused => "refused",
            Outcome::Closed => "closed",
            Outcome::ErrorReply => "error-reply",
        }
    }
}

/// How a client notices that a descriptor call other than accept fails in the process that serves it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SeenAs {
    /// It gets a reply that is no success.
    ErrorReply,
    /// Its connection is closed or reset.
    Closed,
    /// The process exits, and all its connections end.
    Exit,
}

impl SeenAs {
    /// As in a scenario and in the report.
    pub const fn name(self) -> &'static str {
        match self {
            SeenAs::ErrorReply => "error-reply",
            SeenAs::Closed => "closed",
            SeenAs::Exit => "exit",
        }
    }
}
fn is_zero(n: &u32) -> bool {
    *n == 0
}

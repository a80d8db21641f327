//! Measures a run: facts from its log, and findings from the facts.
//!
//! Takes the log that a run left and returns findings for the judge and the reports. Does no I/O, reads no
//! clock, and knows no program: the same log always measures the same. A finding is a function of the facts
//! and of the findings that its signature names. A value that could not be measured is [`Known::Unknown`]
//! with its reason, never zero; `report::words` puts it into words.

mod baseline;
mod binds;
mod calls;
mod ceiling;
mod client_programs;
mod clients_account;
mod clients_seen;
mod closes;
mod costs;
mod count;
mod disguise;
mod doubts;
mod error_replies;
mod facts;
mod failed_calls;
mod failing_loop;
mod fd_setsize;
mod first_full;
mod flows;
mod holders;
mod in_children;
mod known;
mod latency;
mod leaks;
mod limits;
mod lost_in_passing;
mod made;
mod memory;
mod model;
mod moved;
mod open_loop;
mod origins;
mod other_listeners;
mod other_policies;
mod policy;
mod policy_evidence;
mod possible;
mod prediction;
mod rates;
mod recovery;
mod resources;
mod rounds;
mod series;
mod sockets;
mod subject;
mod sum;
mod timeline;
mod timings;
mod units;
mod upstream;
mod verdict;
mod waiting;
mod witness;

pub use baseline::{Baseline, Growth};
pub use binds::{Binds, BindsEvidence, HandedOver, InotifyInstances, LostToTheQueue, Resource};
pub use calls::{CallEnds, CallsMade, Way};
pub use ceiling::{
    BeforeRamp, Burst, Ceiling, Exit, FirstFailure, FirstUnserved, IdleTimeout, Kind, NotTheCeiling,
    PerProcess,
};
pub use client_programs::{ClientPrograms, LastWords};
pub use clients_account::{ClientsAccount, Lost};
pub use clients_seen::{ClientsSeen, Got, Held, Probe};
pub use costs::Costs;
pub use disguise::Disguise;
pub use doubts::{Doubt, NotSeen};
pub use error_replies::ErrorReplies;
pub use facts::{Listeners, OpenKind};
pub use failed_calls::FailedCalls;
pub(crate) use failing_loop::GAPS;
pub use fd_setsize::{FD_SETSIZE, FdSetsize};
pub use first_full::FirstFull;
pub use flows::{FlowCost, Flows, KindPerFlow};
pub use holders::{Holder, Holders};
pub use in_children::InChildren;
pub use known::{Known, MemoryAt, Why};
pub use latency::Latency;
pub use leaks::{LeadsTo, Leak, SecondRound};
pub use limits::LimitsFound;
pub use lost_in_passing::LostInPassing;
pub use made::{Made, Sysctl};
pub use memory::Memory;
pub use model::{PolicyWatch, Retries, Rhythm};
pub use moved::{Moved, before_release};
pub use open_loop::{LATE_S, OpenLoop, Tail};
pub use origins::{By, SetBy};
pub use other_listeners::OtherListener;
pub use other_policies::OtherPolicy;
pub use policy::{AcceptPolicy, Delay, Policy};
pub use policy_evidence::{AfterSilence, PolicyEvidence, Replaced, Waker};
pub use prediction::Prediction;
pub use recovery::Recovery;
pub use resources::{Exhausted, Refusal, TaskLimit};
pub use rounds::{PlaceOrder, Round, Rounds, Service, Spread};
pub use series::{Point, TcpPoint};
pub use sockets::{AcceptQueue, FileNr, SocketsSeen};
pub use subject::{NotStarted, Subject};
pub use sum::{Leaves, Sum, Term};
pub use timeline::{Happened, Moment, Over, ProcessBand, Range, Soft, Stack, Stretch, Timeline};
pub use timings::{Timings, Took};
pub use upstream::{AtFirstFailure, CallsOnEach, Handshakes, KindPerCall, PerCall, Side, Upstream};
pub use verdict::{End, Verdict, VerdictEvidence};
pub use witness::{Cost, Counter, Note, Witness, Witnesses};

use crate::event::{Log, Outcome};
use crate::scenario::Plan;

/// Everything that one event log says about its run: one field a finding.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// The origin of the run: who made it, where and when.
    pub made: Made,
    /// Why there was no subject to load; `None` when there was one.
    pub not_started: Option<NotStarted>,
    /// The process whose ceiling is asked for.
    pub subject: Subject,
    /// Limits asked for, and those found.
    pub limits: LimitsFound,
    /// At rest.
    pub baseline: Baseline,
    /// The ceiling as predicted, before it was reached.
    pub prediction: Prediction,
    /// The ceiling as measured.
    pub ceiling: Ceiling,
    /// The reason why it stopped at this number.
    pub sum: Known<Sum>,
    /// The resource that ran out, or another thing that stopped it.
    pub binds: Known<Binds>,
    /// For a server that gives each connection to a process of its own: the descriptor limit of one process
    /// does not bound these.
    pub handed_over: Option<HandedOver>,
    /// The processes that hold the connections, and those that are left full.
    pub holders: Holders,
    /// How full all its processes were when the first of them was.
    pub first_full: Known<FirstFull>,
    /// The behaviour of its accept loop at the wall.
    pub policy: AcceptPolicy,
    /// The behaviour of the accept loops of other listeners meanwhile.
    pub other_policies: Vec<OtherPolicy>,
    /// The costs of the wall.
    pub costs: Costs,
    /// Connections held before that the server closed by itself at the wall.
    pub held_closed: Known<u64>,
    /// The outcome of a new client at the wall.
    pub new_client: Known<Outcome>,
    /// Error replies that clients got in place of the expected answer; `None` where there were none.
    pub error_replies: Option<ErrorReplies>,
    /// Every client, counted once.
    pub clients_account: Known<ClientsAccount>,
    /// How client programs of the user's own ended, for each workload that has them.
    pub client_programs: Vec<ClientPrograms>,
    /// The server as its clients see it before and at the wall.
    pub clients: ClientsSeen,
    /// Every probe, in order of time, at most 100.
    pub probes: Vec<Probe>,
    /// The accept queue and the TCP sockets at the wall.
    pub sockets: SocketsSeen,
    /// The memory of all its processes.
    pub memory: Memory,
    /// Listeners of its processes beside the loaded one, by port.
    pub other_listeners: Vec<OtherListener>,
    /// Descriptor calls other than accept that failed, by their number.
    pub failed_calls: Vec<FailedCalls>,
    /// Why failed calls may be missing from those before clients left; `None` where all were seen.
    pub unsampled: Option<Why>,
    /// Clients that saw something else of such a failure.
    pub disguise: Vec<Disguise>,
    /// Its reaction when its limits were moved, in their order.
    pub moved: Known<Vec<Moved>>,
    /// Its recovery when clients left.
    pub recovery: Recovery,
    /// Descriptors that clients leave open, the most first: those that grew when some clients came again or,
    /// where none could, all that a leaking or stuck server has open beyond those at rest.
    pub leaks: Vec<Leak>,
    /// The same over several rounds, and in a second ramp.
    pub rounds: Rounds,
    /// The state of the server after clients leave.
    pub end: Known<End>,
    /// The calls of each workload of calls.
    pub calls: Vec<CallsMade>,
    /// The flows of a server that is loaded by UDP; `None`: it is not.
    pub flows: Option<Flows>,
    /// The counts of the bundled upstream; `None` where the run has none.
    pub upstream: Option<Upstream>,
    /// The counts of each witness, and whether they agree.
    pub witnesses: Witnesses,
    /// How long it took.
    pub timings: Timings,
    /// Over time, at most 200 points.
    pub series: Vec<Point>,
    /// TCP sockets by state over time, at most 200 points.
    pub tcp: Vec<TcpPoint>,
    /// The data for a picture of the run.
    pub timeline: Timeline,
    /// Observations that the run was to make and could not.
    pub not_seen: Vec<NotSeen>,
    /// Why nothing can be concluded from this run; empty when it can.
    pub doubts: Vec<Doubt>,
}

/// Measures a run. Takes time linear in the log's length, but for what has to be sorted.
pub fn measure(plan: &Plan, log: &Log) -> Findings {
    let facts = facts::Facts::of(plan, log);
    let limits = limits::limits(&facts);
    let baseline = baseline::baseline(&facts, &limits);
    let prediction = prediction::prediction(&facts);
    let fd_setsize = fd_setsize::fd_setsize(&facts, &limits);
    let exhausted = resources::exhausted(&facts);
    let error_replies = error_replies::error_replies(&facts);
    let handed_over = binds::handed_over(&facts);
    let holders = holders::holders(&facts);
    let closes = closes::closes(&facts);
    let in_children = in_children::in_children(&facts, &closes, &holders, &limits);
    let lost_in_passing = lost_in_passing::lost_in_passing(&facts, &closes, &holders, in_children);
    let beside = ceiling::Beside { fd_setsize, exhausted: exhausted.as_ref(), lost_in_passing, in_children };
    let ceiling =
        ceiling::ceiling(&facts, &limits, &baseline, &prediction, &closes, beside, error_replies.as_ref());
    let costs = costs::costs(&facts, &ceiling);
    let policy =
        policy::policy(&facts, &closes, &ceiling, &costs, exhausted.as_ref(), lost_in_passing, in_children);
    let moved = moved::moved(&facts, &ceiling);
    let stays = leaks::stays_open(&facts, &baseline);
    let recovery = recovery::recovery(&facts, &closes, &baseline, &stays);
    let rounds = rounds::rounds(&facts, &ceiling, &policy);
    let end = verdict::verdict(&facts, &ceiling, &policy, &moved, &recovery, &rounds);
    let witnesses = witness::witnesses(&facts, &limits, &baseline, &prediction, &ceiling, handed_over);
    Findings {
        made: made::made(&facts),
        not_started: subject::not_started(&facts),
        subject: subject::subject(&facts),
        sum: sum::sum(&limits, &baseline, &prediction, &ceiling),
        binds: binds::binds(&facts, &limits, &ceiling, beside, &policy),
        handed_over,
        holders,
        first_full: first_full::first_full(&facts, &ceiling),
        costs,
        held_closed: clients_seen::held_closed(&facts, &closes, &ceiling),
        new_client: clients_seen::new_client(&facts),
        error_replies,
        clients_account: clients_account::clients_account(&facts, &closes, &ceiling),
        client_programs: client_programs::client_programs(&facts),
        clients: clients_seen::clients_seen(&facts, &ceiling),
        probes: clients_seen::probes(&facts),
        sockets: sockets::sockets(&facts),
        memory: memory::memory(&facts),
        other_listeners: other_listeners::other_listeners(&facts),
        other_policies: other_policies::other_policies(&facts),
        failed_calls: failed_calls::failed_calls(&facts, in_children),
        unsampled: failed_calls::unsampled(&facts),
        disguise: disguise::disguise(&facts, &policy),
        leaks: verdict::leaks(&end, stays),
        end,
        calls: calls::calls(&facts, &baseline),
        flows: flows::flows(&facts, &baseline),
        upstream: upstream::upstream(&facts, &limits),
        doubts: doubts::doubts(&facts, &ceiling, &witnesses),
        not_seen: doubts::not_seen(&facts),
        timings: timings::timings(&facts, in_children.as_ref()),
        series: series::series(&facts),
        tcp: series::tcp(&facts),
        timeline: timeline::timeline(&facts, &ceiling, &moved, &recovery),
        limits,
        baseline,
        prediction,
        ceiling,
        policy,
        moved,
        recovery,
        rounds,
        witnesses,
    }
}

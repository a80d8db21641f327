//! Calls that lastfd makes itself: to a server, or as the bundled caller under the limits of the subject.
//! Both sides are up at once, and are called in short slices, one after the other: a disturbance that lasts
//! longer than a slice meets both alike.

use super::start::{Beside, Failed, Site, failed, named, seen};
use super::watch::Watched;
use crate::compare::{Baseline, Missing, Quantity, Side, Start};
use crate::drive::Fleet;
use crate::drive::protocol::Order;
use crate::event::{Event, Outcome, Pacing, Pid, Seen, What};
use crate::launch::Tree;
use crate::run::choice::Choice;
use crate::run::error::Error;
use crate::run::prepare::{DRIVER_SOCKET, prepare};
use crate::run::ready::Ready;
use crate::run::site;
use crate::scenario::{Plan, Program, Workload};
use crate::sys::address::Address;
use crate::sys::clock;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Slices of each side in a block.
const SLICES: u32 = 12;
/// A slice takes about so long: much less than the disturbances of a shared machine.
const SLICE: Duration = Duration::from_millis(40);
/// Calls of a slice, at most.
const SLICE_CALLS_MAX: u32 = 20_000;
/// Slices of calls at a rate: a queue that grows must have the time to.
const SLICES_AT_A_RATE: u32 = 2;
/// Such a slice.
const SLICE_AT_A_RATE: Duration = Duration::from_millis(500);
/// Slices in a block, at most.
const SLICES_MAX: u32 = 400;
/// No slice takes longer.
const SLICE_WITHIN: Duration = Duration::from_secs(60);
/// The bundled caller meets the run within this.
const MET_WITHIN: Duration = Duration::from_secs(30);
/// While calls go on the subject is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A generator that started more than this share of its calls late fell behind, as in `measure`; so late,
/// seconds.
const LATE_SHARE: f64 = 0.01;
const LATE_S: f64 = 0.001;
/// A percentile is given where this many calls lie beyond it.
const BEYOND: f64 = 10.0;

/// Calls of a start: chosen in the first block, where the workload does not say.
#[derive(Debug, Default)]
pub struct Pace {
    calls: Option<u32>,
    /// The time of a call, on the slower side, in the last block, nanoseconds.
    call_ns: Option<f64>,
}

impl Pace {
    /// As many calls as were recorded, in a comparison with a recording.
    pub fn of(baseline: Option<&Baseline>) -> Pace {
        Pace { calls: baseline.and_then(|baseline| u32::try_from(baseline.calls).ok()), call_ns: None }
    }

    /// Slices of a start with so many calls: about 40 ms each, as far as it is known how long a call takes.
    fn slices(&self, calls: u32, scheduled: bool) -> u32 {
        let fit = |ns: f64| (f64::from(calls) * ns / SLICE.as_nanos() as f64) as u32;
        match scheduled {
            true => SLICES_AT_A_RATE.min(calls),
            false => self.call_ns.map_or(SLICES, fit).clamp(SLICES, SLICES_MAX).min(calls),
        }
    }

    /// Notes how long calls took.
    fn note<'a>(&mut self, slices: impl Iterator<Item = &'a Slice>) {
        let each =
            slices.filter(|slice| slice.ended > 0).map(|slice| slice.wall_ns as f64 / slice.ended as f64);
        self.call_ns = each.reduce(f64::max);
    }
}

/// One block: both sides in alternation, and the logarithms of the ratios of their slices.
pub fn alternate(
    plans: [&Plan; 2],
    names: [&str; 2],
    first: Side,
    site: Site<'_>,
    pace: &mut Pace,
    random: &mut fastrand::Rng,
) -> Result<([Start; 2], BTreeMap<Quantity, f64>), Failed> {
    if one_port(plans) {
        return Ok((one_after_the_other(plans, names, first, site, pace)?, BTreeMap::new()));
    }
    let of = |side: Side| move |error| Failed::of(side)(named(names[side.at()])(error));
    let start = |side: Side| Running::start(plans[side.at()], site).map_err(of(side));
    let mut up = match first {
        Side::Before => {
            let before = start(Side::Before)?;
            [before, start(Side::After)?]
        }
        Side::After => {
            let after = start(Side::After)?;
            [start(Side::Before)?, after]
        }
    };
    if let [Some(before), Some(after)] = up.each_ref().map(Running::address)
        && before == after
    {
        return Err(Error::NotStarted(format!(
            "both servers listen on {before}, so the calls of one reach the other: write {{port}} in both commands, or \
             name the port with --port, and one is up at a time"
        ))
        .into());
    }
    let calls = match pace.calls {
        Some(calls) => calls,
        None => *pace.calls.insert(calls_of(&mut up).map_err(|(at, error)| of(Side::BOTH[at])(error))?),
    };
    let mut pairs: Vec<[Slice; 2]> = Vec::new();
    let slices = pace.slices(calls, up[0].scheduled());
    for slice in 0..slices {
        let here = share(calls, slice, slices);
        let first = if random.bool() { Side::Before } else { Side::After };
        let mut pair = [None, None];
        for side in [first, first.other()] {
            pair[side.at()] = Some(up[side.at()].slice(here).map_err(of(side))?);
        }
        if let [Some(before), Some(after)] = pair {
            pairs.push([before, after]);
        }
    }
    pace.note(pairs.iter().flatten());
    let alternated = alternated(&pairs);
    let [before, after] = up;
    let slices = |side: Side| pairs.iter().map(|pair| &pair[side.at()]).collect::<Vec<_>>();
    let before = before.end(names[0], &slices(Side::Before)).map_err(Failed::of(Side::Before))?;
    let after = after.end(names[1], &slices(Side::After)).map_err(Failed::of(Side::After))?;
    Ok(([before, after], alternated))
}

/// Whether both sides have a process that listens on the same port, so that only one side can be up.
fn one_port(plans: [&Plan; 2]) -> bool {
    let ports = |plan: &Plan| plan.processes.values().filter_map(|process| process.port).collect::<Vec<_>>();
    let before = ports(plans[0]);
    ports(plans[1]).iter().any(|port| before.contains(port))
}

/// One block of sides that cannot both be up: all calls of one, and then all of the other.
fn one_after_the_other(
    plans: [&Plan; 2],
    names: [&str; 2],
    first: Side,
    site: Site<'_>,
    pace: &mut Pace,
) -> Result<[Start; 2], Failed> {
    let mut starts = [Start::default(), Start::default()];
    for side in [first, first.other()] {
        let start = alone(plans[side.at()], names[side.at()], site, pace);
        starts[side.at()] = start.map_err(Failed::of(side))?;
    }
    Ok(starts)
}

/// One start of one side, while the other is not up.
pub fn alone(plan: &Plan, name: &str, site: Site<'_>, pace: &mut Pace) -> Result<Start, Error> {
    let mut up = [Running::start(plan, site).map_err(named(name))?];
    let calls = match pace.calls {
        Some(calls) => calls,
        None => *pace.calls.insert(calls_of(&mut up).map_err(|(_, error)| named(name)(error))?),
    };
    let slices = pace.slices(calls, up[0].scheduled());
    let made: Vec<Slice> = (0..slices)
        .map(|slice| up[0].slice(share(calls, slice, slices)))
        .collect::<Result<_, _>>()
        .map_err(named(name))?;
    let [up] = up;
    up.end(name, &made.iter().collect::<Vec<_>>())
}

/// Calls of one of so many slices, which are exactly so many in all.
fn share(calls: u32, slice: u32, slices: u32) -> u32 {
    let upto = |slice: u32| (u64::from(calls) * u64::from(slice) / u64::from(slices)) as u32;
    upto(slice + 1) - upto(slice)
}

/// Calls of a start: the number that the workload asks for, or as many as its slices have time for on both
/// sides. An error comes with the place of the side that failed.
fn calls_of(up: &mut [Running<'_>]) -> Result<u32, (usize, Error)> {
    if let Some(calls) = up[0].workload.clients {
        return Ok(calls.max(1));
    }
    if let Some(schedule) = up[0].workload.calls.as_ref().and_then(|calls| calls.schedule) {
        let slice = (schedule.per_s * SLICE_AT_A_RATE.as_secs_f64()).ceil() as u32;
        return Ok(slice.clamp(1, SLICE_CALLS_MAX) * SLICES_AT_A_RATE);
    }
    let mut calls = 1;
    loop {
        // The first calls of a start are slow: the quickest of three tries counts, on the slower side.
        let mut longest = 0;
        for (at, side) in up.iter_mut().enumerate() {
            let mut slice = || side.slice(calls).map_err(|error| (at, error));
            let tries = [slice()?, slice()?, slice()?];
            longest = longest.max(tries.iter().map(|slice| slice.wall_ns).min().unwrap_or(0));
        }
        let wanted = SLICE.as_nanos() as f64;
        if longest as f64 > wanted / 4.0 || calls >= SLICE_CALLS_MAX / 4 {
            let fit = f64::from(calls) * wanted / (longest.max(1) as f64);
            return Ok((fit as u32).clamp(1, SLICE_CALLS_MAX) * SLICES);
        }
        calls *= 4;
    }
}

/// A quantity that each slice has.
type OfSlice = (Quantity, fn(&Slice) -> f64);

/// For each quantity that every slice has, the median over the pairs.
fn alternated(pairs: &[[Slice; 2]]) -> BTreeMap<Quantity, f64> {
    let of: [OfSlice; 4] = [
        (Quantity::CallsPerS, |slice| slice.took_s.len() as f64 / slice.wall_ns as f64),
        (Quantity::CpuUsPerCall, |slice| slice.cpu_ns.map_or(f64::NAN, |ns| ns as f64)),
        (Quantity::PeerCpuUsPerCall, |slice| slice.peer_ns.map_or(f64::NAN, |ns| ns as f64)),
        (Quantity::P50, |slice| quantile(&slice.took_s, 0.5)),
    ];
    of.into_iter()
        .filter_map(|(quantity, value)| {
            let ratio = |[before, after]: &[Slice; 2]| (value(after) / value(before)).ln();
            let ratios: Vec<f64> = pairs.iter().map(ratio).filter(|ratio| ratio.is_finite()).collect();
            (ratios.len() == pairs.len()).then(|| (quantity, crate::compare::statistics::median(&ratios)))
        })
        .collect()
}

/// By nearest rank; the values need not be sorted.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// The result of one slice.
#[derive(Debug, Default)]
struct Slice {
    /// From the first call's beginning to the last one's end.
    wall_ns: u64,
    /// `None`: the processes have ended.
    cpu_ns: Option<u64>,
    peer_ns: Option<u64>,
    /// Times of calls that were answered, seconds.
    took_s: Vec<f64>,
    connect_s: Vec<f64>,
    tls_s: Vec<f64>,
    first_byte_s: Vec<f64>,
    /// From the intended time to the start.
    queued_s: Vec<f64>,
    handshakes: u64,
    resumed: u64,
    late: u64,
    ended: u64,
    failed: Vec<String>,
}

/// The subject.
enum Subject {
    /// One of the processes that listen.
    Server,
    /// The bundled caller.
    Caller { tree: Box<Tree>, pid: Pid, _scratch: TempDir },
}

/// A side that is up.
struct Running<'a> {
    plan: &'a Plan,
    workload: &'a Workload,
    site: Site<'a>,
    // It comes before the processes that it calls, because it ends first.
    fleet: Fleet,
    subject: Subject,
    beside: Beside,
    ordered: u32,
    watched: Watched,
    seen: Option<Seen>,
}

impl<'a> Running<'a> {
    fn start(plan: &'a Plan, site: Site<'a>) -> Result<Running<'a>, Error> {
        let (name, workload) = calls(plan)?;
        let called = matches!(plan.processes[&plan.subject].program, Program::Call(_));
        let beside = Beside::start(plan, called.then_some(plan.subject.as_str()), site)?;
        let (fleet, subject) = match called {
            true => bundled(plan, name, workload, &beside, site)?,
            false => {
                let subject = &beside.companions[&plan.subject];
                let of = of(plan, site, &beside, subject.scratch.path());
                let kind = of.kind(workload).expect("a workload of calls");
                let wanted = of.wanted(name, workload, kind, &subject.ready, 0);
                (of.crew(wanted)?.fleet, Subject::Server)
            }
        };
        let (ordered, watched, seen) = (0, Watched::default(), None);
        Ok(Running { plan, workload, site, fleet, subject, beside, ordered, watched, seen })
    }

    /// Whether its calls come at a rate.
    fn scheduled(&self) -> bool {
        self.workload.calls.as_ref().is_some_and(|calls| calls.schedule.is_some())
    }

    /// The address where a server listens.
    fn address(&self) -> Option<&Address> {
        match self.subject {
            Subject::Server => Some(&self.beside.companions[&self.plan.subject].ready.address),
            Subject::Caller { .. } => None,
        }
    }

    fn pids(&self) -> Vec<Pid> {
        match &self.subject {
            Subject::Server => self.beside.companions[&self.plan.subject].tree.processes(),
            Subject::Caller { pid, .. } => vec![*pid],
        }
    }

    /// CPU time of the subject, and of lastfd's processes on the other side of its connections; nanoseconds.
    fn cpu(&self) -> [Option<u64>; 2] {
        let of = |pids: &[Pid]| pids.iter().filter_map(|pid| clock::cpu_ns(*pid)).reduce(|a, b| a + b);
        let peer = match &self.subject {
            Subject::Server => self.fleet.pids().to_vec(),
            Subject::Caller { .. } => {
                self.beside.companions.get(&self.workload.to).map_or(Vec::new(), |peer| peer.tree.processes())
            }
        };
        [of(&self.pids()), of(&peer)]
    }

    /// Has so many calls made, and waits until all are over.
    fn slice(&mut self, calls: u32) -> Result<Slice, Error> {
        self.site.go_on()?;
        let before = self.cpu();
        self.ordered += calls;
        let order = Order::Connect { upto: self.ordered };
        self.fleet.order(&order).map_err(|e| Error::Inconclusive(e.to_string()))?;
        let (deadline, mut slice, mut from, mut to) =
            (Instant::now() + SLICE_WITHIN, Slice::default(), u64::MAX, 0);
        let pids = self.pids();
        let mut over = false;
        while !over {
            self.site.go_on()?;
            if Instant::now() > deadline {
                return Err(Error::Inconclusive(format!(
                    "{} calls were not over after {} s",
                    calls,
                    SLICE_WITHIN.as_secs()
                )));
            }
            let events = self.beside.next(LOOK_EVERY);
            self.seen = seen(&events).last().map(|(_, seen)| seen.clone()).or(self.seen.take());
            for event in &events {
                over |= slice.take(event, &mut from, &mut to)?;
            }
            // Nobody knows how many are under way at that moment. With enough slices, the descriptors that
            // are open between them are exact.
            if self.scheduled() {
                self.watched.look(&pids, u64::from(self.ordered - calls) + slice.ended);
            } else {
                self.watched.peak(&pids);
            }
        }
        self.watched.look(&pids, self.ordered.into());
        let after = self.cpu();
        slice.wall_ns = to.saturating_sub(from);
        [slice.cpu_ns, slice.peer_ns] = [0, 1].map(|at| Some(after[at]?.saturating_sub(before[at]?)));
        Ok(slice)
    }

    /// Ends it, and returns the results of all its slices.
    fn end(mut self, name: &str, slices: &[&Slice]) -> Result<Start, Error> {
        let calls = u64::from(self.ordered);
        // Calls that chose the length of a slice were made, too.
        let counted: u64 = slices.iter().map(|slice| slice.ended).sum();
        let busy = self.beside.busy()?;
        let _ = self.fleet.order(&Order::Quit);
        drop(self.fleet);
        if let Subject::Caller { tree, .. } = &mut self.subject {
            let ended = tree.end(Signal::TERM, Duration::from_secs(2));
            ended.map_err(|e| Error::Fault(e.to_string()))?;
        }
        self.beside.companions.clear();
        let last = self.beside.next(Duration::ZERO);
        let seen = seen(&last).last().map(|(_, seen)| seen.clone()).or(self.seen);
        let mut start = Start::default();
        let took: Vec<f64> = slices.iter().flat_map(|slice| &slice.took_s).copied().collect();
        let part = |of: fn(&Slice) -> &Vec<f64>| -> Vec<f64> {
            slices.iter().flat_map(|slice| of(slice)).copied().collect()
        };
        let connects = part(|slice| &slice.connect_s);
        let parts = [
            ([Quantity::QueuedP50, Quantity::QueuedP99], part(|slice| &slice.queued_s)),
            ([Quantity::TlsP50, Quantity::TlsP99], part(|slice| &slice.tls_s)),
            ([Quantity::FirstByteP50, Quantity::FirstByteP99], part(|slice| &slice.first_byte_s)),
        ];
        start.work.calls = took.len() as u64;
        slices.iter().flat_map(|slice| &slice.failed).for_each(|how| failed(&mut start.work, how));
        let late: u64 = slices.iter().map(|slice| slice.late).sum();
        start.saturated = late as f64 > counted as f64 * LATE_SHARE;
        let sum = |of: fn(&Slice) -> u64| slices.iter().map(|slice| of(slice)).sum::<u64>() as f64;
        let answered = took.len().max(1) as f64;
        let mut value = |quantity, value: f64| start.values.insert(quantity, value);
        value(Quantity::Errors, (counted as f64 - took.len() as f64).max(0.0));
        value(Quantity::CallsPerS, answered / (sum(|slice| slice.wall_ns) / 1e9));
        let cpu = |of: fn(&Slice) -> Option<u64>| slices.iter().map(|slice| of(slice)).sum::<Option<u64>>();
        let each = |ns: u64| ns as f64 / 1e3 / answered;
        start.note(Quantity::CpuUsPerCall, cpu(|slice| slice.cpu_ns).map(each), Missing::Exited);
        start.note(Quantity::PeerCpuUsPerCall, cpu(|slice| slice.peer_ns).map(each), Missing::Exited);
        if calls == counted {
            busy.tell(&mut start);
        }
        let mut value = |quantity, value: f64| start.values.insert(quantity, value);
        match seen.filter(|_| calls == counted) {
            Some(seen) => {
                value(Quantity::ConnectionsOpened, seen.connections as f64);
                value(Quantity::CallsPerConnectionLeast, seen.least as f64);
                value(Quantity::CallsPerConnection, seen.median as f64);
                if seen.handshakes_full + seen.handshakes_resumed > 0 {
                    value(Quantity::TlsFull, seen.handshakes_full as f64);
                    value(Quantity::TlsResumed, seen.handshakes_resumed as f64);
                }
            }
            None => {
                value(Quantity::ConnectionsOpened, connects.len() as f64);
                let (handshakes, resumed) = (sum(|slice| slice.handshakes), sum(|slice| slice.resumed));
                if handshakes > 0.0 {
                    value(Quantity::TlsFull, handshakes - resumed);
                    value(Quantity::TlsResumed, resumed);
                }
            }
        }
        if took.is_empty() {
            let how: Vec<String> = start.work.failed.iter().map(|(how, n)| format!("{n} {how}")).collect();
            return Err(Error::NotStarted(format!("no call of {name} was answered: {}", how.join(", "))));
        }
        percentiles(&mut start, &[Quantity::P50, Quantity::P90, Quantity::P99, Quantity::P999], &took);
        percentiles(&mut start, &[Quantity::ConnectP50, Quantity::ConnectP99], &connects);
        parts.iter().for_each(|(quantities, values)| percentiles(&mut start, quantities, values));
        self.watched.told(&mut start, calls);
        Ok(start)
    }
}

/// Percentiles of the calls' values, as far as there are enough calls for them.
fn percentiles(start: &mut Start, quantities: &[Quantity], values: &[f64]) {
    for &quantity in quantities.iter().filter(|_| !values.is_empty()) {
        let tail = quantity.tail().expect("a percentile");
        let needs = (BEYOND / tail).ceil();
        let enough = values.len() as f64 >= needs;
        let value = enough.then(|| quantile(values, 1.0 - tail) * 1e3);
        start.note(quantity, value, Missing::FewCalls { needs: needs as u64 });
    }
}

impl Slice {
    /// Notes an event; whether it says that all calls are over.
    fn take(&mut self, event: &Event, from: &mut u64, to: &mut u64) -> Result<bool, Error> {
        match &event.is {
            What::CallEnded {
                outcome,
                step,
                connect_s,
                took_s,
                tls_s,
                first_byte_s,
                handshakes,
                resumed,
                late_s,
                held,
                ..
            } => {
                *from = (*from).min(event.at.saturating_sub((took_s * 1e9) as u64));
                *to = (*to).max(event.at);
                self.ended += 1;
                self.connect_s.extend(connect_s);
                self.tls_s.extend(tls_s);
                self.first_byte_s.extend(first_byte_s);
                self.queued_s.extend(late_s);
                self.handshakes += u64::from(*handshakes);
                self.resumed += u64::from(*resumed);
                // A call that waits for others to end is late because of the server.
                self.late += u64::from(!held && late_s.is_some_and(|late| late > LATE_S));
                match outcome {
                    // From its intended time, if it had one.
                    Some(Outcome::Served) => self.took_s.push(took_s + late_s.unwrap_or(0.0)),
                    other => {
                        let how = other.map_or("own side", |outcome| outcome.name());
                        let at = step.map_or("", |step| step.name());
                        self.failed.push(format!("{how} at {at}"));
                    }
                }
                Ok(false)
            }
            What::Pacing { state: Pacing::Done, .. } => Ok(self.ended > 0),
            What::Inconclusive { reason } => Err(Error::Inconclusive(reason.clone())),
            _ => Ok(false),
        }
    }
}

/// The workload of calls that is compared.
fn calls(plan: &Plan) -> Result<(&str, &Workload), Error> {
    let own = |name: &str| {
        matches!(&plan.processes[&plan.subject].program, Program::Call(call) if call == name)
            || plan.workloads[name].to == plan.subject
    };
    let found = plan.workloads.iter().find(|(name, load)| load.calls.is_some() && own(name));
    found.map(|(name, load)| (name.as_str(), load)).ok_or_else(|| {
        Error::NotStarted(format!(
            "{} has no workload of calls: a comparison needs http-per-call, http-leak-body or grpc-per-call, or a program that calls",
            plan.title()
        ))
    })
}

/// The facts that `site` needs about one side.
fn of<'a>(plan: &'a Plan, site: Site<'a>, beside: &'a Beside, scratch: &'a Path) -> site::Site<'a> {
    site::Site {
        plan,
        process: &plan.processes[&plan.subject],
        choice: &Choice::Any,
        scratch,
        options: site.options,
        places: &beside.places,
        companions: &beside.companions,
        sink: &beside.sink,
    }
}

/// Starts the bundled caller under the launcher and limits of the subject.
fn bundled(
    plan: &Plan,
    name: &str,
    workload: &Workload,
    beside: &Beside,
    site: Site<'_>,
) -> Result<(Fleet, Subject), Error> {
    let (mut tree, _, scratch) =
        prepare(plan, &plan.subject, site.options, &beside.places, false, &[], site.interrupted)?;
    let path = scratch.path().join(DRIVER_SOCKET);
    let meeting = UnixListener::bind(&path)
        .map_err(|e| Error::Inconclusive(format!("no socket can be made in a temporary folder: {e}")))?;
    // Launchers may change its user.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    tree.start()?;
    meeting.set_nonblocking(true)?;
    let mut fds = [rustix::event::PollFd::new(&meeting, rustix::event::PollFlags::IN)];
    let within = rustix::event::Timespec::try_from(MET_WITHIN.min(site.left())).expect("seconds");
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&within)))
        .map_err(std::io::Error::from)?;
    let met = meeting.accept();
    let absent = |_| site.cut(Error::NotStarted("the bundled caller did not come to call".into()));
    let (stream, _) = met.map_err(absent)?;
    stream.set_nonblocking(false)?;
    let pid = rustix::net::sockopt::socket_peercred(&stream).map_err(std::io::Error::from)?.pid.as_raw_pid();
    let of = of(plan, site, beside, scratch.path());
    let kind = of.kind(workload).expect("a workload of calls");
    let nowhere = Ready {
        address: Address::Inet((Ipv4Addr::UNSPECIFIED, 0).into()),
        capacity: 0,
        listeners: 1,
        holders: vec![pid],
    };
    let wanted = of.wanted(name, workload, kind, &nowhere, 0);
    let fleet = Fleet::over(stream, pid, &wanted.setup, beside.sink.clone())
        .map_err(|e| Error::NotStarted(e.to_string()))?;
    Ok((fleet, Subject::Caller { tree: Box::new(tree), pid, _scratch: scratch }))
}

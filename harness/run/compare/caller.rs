//! A program that calls the bundled upstream by itself: run to its end, while the upstream counts.

use super::start::{Beside, Busy, Site, seen};
use super::watch::Watched;
use crate::compare::{Missing, Quantity, Start};
use crate::event::{Event, Seen};
use crate::observe::output::Drain;
use crate::run::error::Error;
use crate::run::prepare::prepare;
use crate::scenario::{Plan, Program};
use crate::sys::clock;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A program is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Whether the subject is a program that calls a bundled upstream, and that nobody connects to.
pub fn calls_by_itself(plan: &Plan) -> bool {
    let command = matches!(plan.processes[&plan.subject].program, Program::Command(_));
    command && plan.workloads.is_empty() && plan.upstream().is_some()
}

/// Runs it once: to its end, or until it has made so many calls.
pub fn run(plan: &Plan, name: &str, enough: Option<u64>, site: Site<'_>) -> Result<Start, Error> {
    let (upstream, _) = plan.upstream().ok_or_else(|| Error::Fault("a caller without an upstream".into()))?;
    let mut beside = Beside::start(plan, Some(&plan.subject), site)?;
    let peer = beside.companions[upstream].ready.holders[0];
    let (mut tree, process, scratch) =
        prepare(plan, &plan.subject, site.options, &beside.places, false, &[], site.interrupted)?;
    let output = tree.output().map(|fd| Drain::start(fd, |_| ())).transpose()?;
    let before = clock::cpu_ns(peer);
    tree.start().map_err(|e| match e.is_of_machine() {
        true => Error::Inconclusive(format!("{name}: {e}")),
        false => Error::NotStarted(format!("{name}: {e}")),
    })?;
    let (began, mut watched, mut told) = (Instant::now(), Watched::default(), Told::default());
    while !tree.wait_gone(Duration::ZERO) && tree.exited().is_none() {
        if site.over() {
            let _ = tree.end(Signal::TERM, Duration::from_secs_f64(process.grace_s));
            return Err(Error::NotStarted(format!(
                "{name} had not ended after {:.0} s, when the time was over: a program that calls is run to its end, so give it a bounded number of calls, end it after --calls, or allow more time with --within",
                began.elapsed().as_secs_f64()
            )));
        }
        site.go_on()?;
        told.hear(&beside.next(LOOK_EVERY), enough);
        watched.look(&tree.processes(), told.last.calls);
        if told.enough(enough) {
            break;
        }
    }
    told.hear(&beside.next(Duration::ZERO), enough);
    let exit = tree.exited();
    // If the program goes on, its CPU time is read from its threads.
    let alive = || tree.processes().into_iter().filter_map(clock::cpu_ns).reduce(|a, b| a + b);
    let used =
        if told.enough(enough) { alive().map(Duration::from_nanos).or(tree.used()) } else { tree.used() };
    let cpu =
        before.zip(clock::cpu_ns(peer)).map(|(before, after)| after.saturating_sub(before) as f64 / 1e3);
    let ended = tree.end(Signal::TERM, Duration::from_secs_f64(process.grace_s));
    ended.map_err(|e| Error::Fault(e.to_string()))?;
    let mut output = output;
    output.iter_mut().for_each(Drain::finish);
    let said = output.as_ref().map(Drain::tail).unwrap_or_default();
    let busy = beside.busy()?;
    // Its last line is exact.
    let all = told.all;
    beside.companions.clear();
    told.hear(&beside.next(Duration::ZERO), enough);
    if told.enough(enough) {
        told.all = all;
    }
    drop(scratch);
    let ended = match exit {
        _ if told.enough(enough) => None,
        Some(exit) if exit.code == Some(0) => None,
        Some(exit) => Some(exit.code.map_or_else(
            || format!("was killed by signal {}", exit.signal.unwrap_or(0)),
            |code| format!("ended with exit status {code}"),
        )),
        None => Some("ended, and nobody saw how".into()),
    };
    let last_lines = || match said.is_empty() {
        true => "it wrote nothing".to_owned(),
        false => format!("its last lines:\n  {}", said.join("\n  ")),
    };
    if let Some(ended) = ended {
        return Err(Error::NotStarted(format!("{name} {ended}; {}", last_lines())));
    }
    if told.last.connections == 0 {
        return Err(Error::NotStarted(format!(
            "{name} ended and never called the upstream: does it use the address that it is given? {}",
            last_lines()
        )));
    }
    if told.last.calls == 0 {
        return Err(Error::NotStarted(format!(
            "{name} opened {} connections to the upstream, and no call on them was answered; {}",
            told.last.connections,
            last_lines()
        )));
    }
    // At a port that it shares with earlier starts, theirs end meanwhile.
    let busy = plan.processes[upstream].port.is_none().then_some(busy);
    Ok(told.start(&watched, used, cpu, busy))
}

/// The reports of the upstream.
#[derive(Debug, Default)]
struct Told {
    last: Seen,
    /// The first call's time, and the last one's, with the calls until then.
    first: Option<(u64, u64)>,
    newest: (u64, u64),
    /// Calls in all, those after enough included.
    all: u64,
}

impl Told {
    /// Whether it has called so often.
    fn enough(&self, calls: Option<u64>) -> bool {
        calls.is_some_and(|calls| self.last.calls >= calls)
    }

    /// Notes these reports, until it has called often enough.
    fn hear(&mut self, events: &[Event], enough: Option<u64>) {
        for (at, seen) in seen(events) {
            self.all = self.all.max(seen.calls);
            if self.enough(enough) {
                continue;
            }
            self.last = seen.clone();
            if seen.calls > self.newest.1 {
                self.newest = (at.min(clock::now()), seen.calls);
                self.first = self.first.or(Some(self.newest));
            }
        }
    }

    fn start(
        &self,
        watched: &Watched,
        used: Option<Duration>,
        peer_us: Option<f64>,
        busy: Option<Busy>,
    ) -> Start {
        let mut start = Start::default();
        let seen = &self.last;
        start.work.calls = seen.calls;
        // Calls go on while CPU is read.
        let calls = self.all.max(1) as f64;
        let mut value = |quantity, value: f64| start.values.insert(quantity, value);
        value(Quantity::ConnectionsOpened, seen.connections as f64);
        value(Quantity::CallsPerConnectionLeast, seen.least as f64);
        value(Quantity::CallsPerConnection, seen.median as f64);
        if seen.handshakes_full + seen.handshakes_resumed > 0 {
            value(Quantity::TlsFull, seen.handshakes_full as f64);
            value(Quantity::TlsResumed, seen.handshakes_resumed as f64);
        }
        if let Some(busy) = busy {
            busy.tell(&mut start);
        }
        let cpu_us = used.map(|used| used.as_secs_f64() * 1e6 / calls);
        start.note(Quantity::CpuUsPerCall, cpu_us, Missing::Exited);
        start.note(Quantity::PeerCpuUsPerCall, peer_us.map(|us| us / calls), Missing::Exited);
        let span = self.first.map(|first| (self.newest.1 - first.1, self.newest.0.saturating_sub(first.0)));
        let rate = span.filter(|(calls, ns)| *calls > 0 && *ns > 0);
        let per_s = rate.map(|(calls, ns)| calls as f64 / (ns as f64 / 1e9));
        start.note(Quantity::CallsPerS, per_s, Missing::TooShort);
        watched.told(&mut start, seen.calls);
        start
    }
}

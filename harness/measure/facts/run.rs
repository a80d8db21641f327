//! One run's log, read: the facts together, and the questions that need several of them.

use super::answers::Answers;
use super::calls::Calls;
use super::clients::Clients;
use super::holdings::Holdings;
use super::listeners::Listeners;
use super::numbers::Steps;
use super::order::ordered;
use super::phases::{Phases, Window};
use super::processes::Processes;
use super::readings::{Asked, Predicted, Readings};
use super::room::softs;
use super::tries::Tries;
use crate::event::{DescriptorKind, Ended, Event, Label, Log, Nanos, Phase, Pid};
use crate::measure::units::seconds;
use crate::scenario::Plan;

/// One run's log, read.
pub(crate) struct Facts<'a> {
    pub plan: &'a Plan,
    /// Whether the log ends where the run did.
    pub complete: bool,
    pub(super) events: Vec<&'a Event>,
    pub(super) steps: Steps,
    pub phases: Phases,
    pub readings: Readings<'a>,
    pub tries: Tries,
    pub processes: Processes,
    pub listeners: Listeners,
    pub holdings: Holdings,
    pub clients: Clients<'a>,
    pub calls: Calls<'a>,
}

impl<'a> Facts<'a> {
    /// Reads the log; in time linear to its length.
    pub fn of(plan: &'a Plan, log: &'a Log) -> Self {
        let events = ordered(log);
        let phases = Phases::new(&events);
        let answers = Answers::of(&events);
        let readings = Readings::new(plan, &events, &answers);
        let mut listeners = Listeners::default();
        readings.listening.last().into_iter().for_each(|of| listeners.loads(of.address));
        events.iter().for_each(|event| listeners.note(&event.is));
        let tries = Tries::new(&events, &listeners);
        let processes = Processes::new(plan, &readings, &tries, phases.released_from());
        let softs = softs(&events, &readings, &phases);
        let (steps, asked) = (Steps::of(&events), readings.other_port_asked());
        let by_calls = Holdings::new(&events, &steps, &phases, &processes, &listeners, &softs, asked);
        let clients = Clients::new(plan, &events, &readings, &answers, by_calls.of_no_client);
        let holdings = by_calls.with_passed(|at| clients.open_at(at) + clients.left_before);
        let calls = Calls::new(plan, &events);
        Facts {
            plan,
            complete: log.complete,
            events,
            steps,
            phases,
            readings,
            tries,
            processes,
            listeners,
            holdings,
            clients,
            calls,
        }
    }

    /// The events before this moment, in order.
    pub fn events_before(&self, at: Nanos) -> &[&'a Event] {
        &self.events[..self.events.partition_point(|event| event.at < at)]
    }

    /// Whether nothing at all was recorded.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When the wall is reached: at the first failure, or the ramp's end.
    pub fn wall_begins(&self) -> Nanos {
        let ramp_ends = self.phases.from(Phase::Saturate).min(self.phases.watched_until());
        self.holdings.first.map_or(ramp_ends, |first| first.at.min(ramp_ends))
    }

    /// When clients arrived: clients of the load, as they saw it; and clients that try what a new one gets,
    /// which began to connect then.
    pub fn arrivals(&self) -> impl Iterator<Item = Nanos> {
        self.clients
            .all
            .iter()
            .filter_map(|client| client.connected)
            .chain(self.readings.arrived.iter().copied())
    }

    /// Whether the subject waited for a time of its own, when that was last read at the wall.
    pub fn timer_at_the_wall(&self) -> Option<bool> {
        let all_leave = self.phases.from(Phase::ReleaseAll);
        self.readings.timers.iter().rfind(|(at, _)| *at < all_leave).and_then(|(_, timer)| *timer)
    }

    /// Whether it waited for a time of its own, or ran, with descriptors open, when all had left and the run
    /// waited for it no longer.
    pub fn may_close(&self) -> bool {
        let all_leave = self.phases.from(Phase::ReleaseAll);
        self.readings.timers.iter().any(|(at, timer)| *at >= all_leave && *timer != Some(false))
    }

    /// The results of new clients, or of held clients that asked again.
    pub fn asked(&self, label: Label) -> impl Iterator<Item = &Asked<'a>> {
        self.readings.asked.iter().filter(move |asked| asked.label == label)
    }

    /// When the accepting process (or every one of them) exited between the ramp and the release, and how
    /// many connections it held. If nothing of the subject was left for the ramp, the exit before it: a
    /// client that only asked something ended it.
    pub fn exited(&self) -> Option<(Nanos, u64)> {
        let ramp = self.phases.from(Phase::Ramp);
        let nobody_left = self.phases.why_ended(Phase::Ramp) == Some(Ended::Gone);
        let asked = self.readings.arrived.first().copied().filter(|_| nobody_left);
        let since = asked.map_or(ramp, |asked| asked.min(ramp));
        let in_time = |exit: &(Nanos, u64)| exit.0 >= since;
        let of = |pid| self.holdings.tables.get(&pid).and_then(|table| table.exited).filter(in_time);
        if self.processes.is_client && self.ended_well() {
            return None;
        }
        let exit = self.processes.main.and_then(of).or_else(|| {
            let accepting = || self.holdings.tables.values().filter(|table| table.accepts > 0);
            let all = accepting().all(|table| table.exited.is_some_and(|exit| in_time(&exit)));
            if all { accepting().filter_map(|table| table.exited).max() } else { None }
        });
        // No client of the load was there yet.
        exit.map(|(at, held)| (at, if at < ramp { 0 } else { held }))
    }

    /// When the process at the wall (without one, the accepting process) exited before clients were told to
    /// leave, and what it held.
    pub fn exit_at_the_wall(&self) -> Option<(Nanos, u64)> {
        let Some(first) = self.holdings.first else { return self.exited() };
        let table = self.holdings.tables.get(&first.pid);
        table.and_then(|table| table.exited).filter(|(at, _)| *at >= first.at)
    }

    /// When the subject exited at the wall: every process that accepted, with nothing in its place.
    pub fn gone(&self) -> Option<Nanos> {
        let (exit, _) = self.exit_at_the_wall()?;
        let mut accepting = self.holdings.tables.values().filter(|table| table.accepts > 0);
        let all = accepting.all(|table| table.exited.is_some());
        let accepted_on = !self.holdings.accepts_between(exit, self.phases.watched_until()).is_empty();
        (all && !accepted_on).then_some(exit)
    }

    /// Whether a client that is done exited with 0, which is no ceiling.
    fn ended_well(&self) -> bool {
        let last = self.readings.program_ends.last();
        last.is_none_or(|ended| (ended.code, ended.signal) == (Some(0), None))
    }

    /// When a process was first seen to exit, if that was in `[from, until)`.
    pub fn exit_seen(&self, pid: Pid, from: Nanos, until: Nanos) -> Option<Nanos> {
        let exit = self.holdings.tables.get(&pid).and_then(|table| table.gone);
        exit.filter(|at| (from..until).contains(at))
    }

    /// When the harness's own side first failed, and with which errno; `None` where that did not end the
    /// ramp.
    pub fn generator_failed(&self) -> Option<(Nanos, i32)> {
        if self.phases.why_ended(Phase::Ramp) != Some(Ended::Generator) {
            return None;
        }
        let watched = self.phases.watched_until();
        self.clients.local(watched).into_iter().chain(self.calls.local(watched)).min()
    }

    /// When clients began to leave in a window.
    pub fn began_to_leave(&self, window: Window) -> Nanos {
        let told = self.readings.released.iter().map(|(at, _)| *at).find(|at| window.contains(*at));
        let left = self.clients.all.iter().filter_map(|c| c.released).filter(|at| window.contains(*at)).min();
        told.into_iter().chain(left).min().unwrap_or(window.from)
    }

    /// The clients that drivers said they told to leave in a window; `None` where no driver said.
    pub fn told_to_leave(&self, window: Window) -> Option<u64> {
        let told = self.readings.released.iter().filter(|(at, _)| window.contains(*at));
        told.map(|(_, clients)| *clients).reduce(u64::saturating_add)
    }

    /// From this moment until the accept queue was seen empty, within the window; seconds.
    pub fn queue_empty_after(&self, since: Nanos, window: Window) -> Option<f64> {
        let samples = self.readings.samples_between(window.from, window.until).iter();
        let empty = samples.filter(|s| s.at >= since).find(|s| s.queue == Some(0));
        empty.map(|sample| seconds(sample.at - since))
    }

    /// Why nobody saw the subject's accepts and failures: it has a ring of io_uring, the observer sees system
    /// calls only, and among those was no accept. A program may have a ring for its files, and accept by
    /// system calls.
    pub fn accepts_pass_by(&self) -> bool {
        let last = self.readings.observers.last();
        let blind_for_rings = last.is_some_and(|observer| !observer.io_uring);
        let ring = self
            .readings
            .rests
            .iter()
            .flat_map(|rest| rest.inventory)
            .any(|d| d.kind == DescriptorKind::IoUring);
        let saw = !self.holdings.accepts.is_empty() || self.holdings.accept_failed();
        blind_for_rings && ring && !saw && !self.processes.is_client
    }

    /// Failed calls in all up to each of these moments, which are in order: from the totals, or one by one
    /// where there are none.
    pub fn failures_by(&self, moments: impl Iterator<Item = Nanos>) -> Vec<u64> {
        let tries = &self.tries;
        let grown: Vec<(Nanos, u64)> = match tries.totals.is_empty() {
            true => {
                tries.all.iter().filter(|made| made.failed().is_some()).map(|made| (made.at, 1)).collect()
            }
            false => tries.growth().map(|(total, grown)| (total.at, grown)).collect(),
        };
        let (mut grown, mut sum) = (grown.into_iter().peekable(), 0u64);
        let mut by = |moment: Nanos| {
            while let Some((_, more)) = grown.next_if(|(at, _)| *at <= moment) {
                sum = sum.saturating_add(more);
            }
            sum
        };
        moments.map(&mut by).collect()
    }

    /// Whether the subject is loaded by UDP: it accepts nobody.
    pub fn serves_datagrams(&self) -> bool {
        self.plan.serves_datagrams(&self.plan.subject)
    }

    /// Descriptors that each of the first few clients cost; `None` where that was not measured.
    pub fn calibrated_cost(&self) -> Option<f64> {
        self.readings.predicted.iter().rev().find_map(|predicted| match *predicted {
            Predicted::Ceiling { descriptors_per_connection, calibrated_with, .. }
            | Predicted::Withdrawn { descriptors_per_connection, calibrated_with, .. } => {
                (calibrated_with > 0).then_some(descriptors_per_connection)
            }
        })
    }

    /// Whether nobody can say who was accepted, and when: a client that asks nothing does not know either.
    pub fn places_unseen(&self) -> bool {
        self.accepts_pass_by() && !self.clients.answers
    }
}

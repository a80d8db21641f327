//! Which connections each process of the subject held, when it failed, and what `/proc` counted beside that:
//! one pass over the log, in time linear to it.

use super::clients::DISMISSED_WITHIN;
use super::listeners::Listeners;
use super::numbers::{Numbers, Step, Steps};
use super::phases::Phases;
use super::processes::Processes;
use super::room::Room;
use super::stillness::Changes;
use super::table::Table;
use super::tries::Try;
use crate::event::{Call, Change, Client, Descriptor, Errno, Event, Nanos, Phase, Pid, What};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Failing calls whose times are kept; totals come from the counters.
pub(crate) const KEPT_FAILURES: usize = 20_000;
/// Closed within this time of its accept, a connection was not even looked at: what sheds does nothing else
/// meanwhile.
const SHED_WITHIN: Nanos = 250_000_000;
/// A client that left is reported by this much later than the server may have closed its connection: its
/// program has to end first.
const REPORTED_WITHIN: Nanos = 100_000_000;
/// An interpreter needs this long to end on a busy machine.
const TEARDOWN: Nanos = 2_000_000_000;

/// One failed call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    pub pid: Pid,
    pub at: Nanos,
    pub call: Call,
    pub errno: Errno,
}

/// A connection that a process closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    pub at: Nanos,
    pub pid: Pid,
    /// Since its accept.
    pub life: Nanos,
}

/// The descriptor count of `/proc` beside what the calls say, at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Both {
    pub pid: Pid,
    pub descriptors: u64,
    pub held: u64,
    /// Opened since rest by calls other than accept and not closed, less the ones of rest that were closed.
    pub others: i64,
    /// Descriptors of rest that were closed since.
    pub rest_gone: u64,
    /// Whether nothing changed around that moment: otherwise the count may be of a moment before or after.
    pub still: bool,
}

/// The findings of the pass.
#[derive(Default)]
pub(crate) struct Holdings {
    pub tables: BTreeMap<Pid, Table>,
    /// Each time that the open descriptors were listed: which connection had which number of a process.
    pub numbers: BTreeMap<Nanos, HashMap<(Pid, i64), usize>>,
    /// The first failure at or after the ramp.
    pub first: Option<Failed>,
    /// It came with numbers free: how many descriptors its process had, under which limit.
    pub room: Option<Room>,
    /// The first EMFILE that came with numbers free, whatever failed before.
    with_room: Option<(Failed, Room)>,
    /// Connections held by the failing process just before it.
    pub accepted: u64,
    /// Connections held by the whole subject just before it.
    pub held_in_all: u64,
    /// Descriptors more than at rest that the failing process had open just before it and that are no
    /// connections.
    pub others: i64,
    /// Accepts of the failing process that succeeded before it.
    pub accepts_before: u64,
    /// The first failure before the ramp, and how many came there.
    pub early: Option<(Failed, u64)>,
    /// Over all processes: the most that stayed, from the ramp's end to the release.
    pub kept_in_all: u64,
    /// Over all processes: held when saturation ended; and those accepted before the ramp, whose client has
    /// left.
    pub at_watched: u64,
    pub of_no_client: u64,
    /// Over all processes: the fewest held from the first failure until saturation ended.
    pub least_in_all: Option<u64>,
    /// Over all processes: the most held from the ramp's end on until clients leave, under the limits that it
    /// began with; and the most ever, under whatever limits.
    pub most_in_all: u64,
    /// The same before clients left, and in the ramp too.
    pub most_at_once: u64,
    pub most_ever: u64,
    /// At the first sample after the first failure, else at the last before the probes.
    pub at_ceiling: Option<Both>,
    /// Where `/proc` saw the fewest descriptors of the failing process, from its first failure until
    /// saturation ended.
    at_least: Option<Both>,
    /// At the last sample before the probes, whatever failed when.
    pub at_watch: Option<Both>,
    /// Where `/proc` saw the most.
    pub at_most: Option<Both>,
    /// Failing calls of the failing process up to the release, but for accepts from another listener than the
    /// loaded one.
    pub failures: Vec<(Nanos, Call)>,
    /// Connections taken after the first failure and closed again within a second, or at once.
    pub dismissed: u64,
    pub shed: u64,
    /// Connections that any process closed again within a second, at any time before clients left.
    pub turned_away: u64,
    /// Connections held at the first failure that the failing process closed before any client was told to
    /// leave.
    pub held_closed: u64,
    /// The same, however soon after their accept.
    pub old_closed: u64,
    /// Every accept that succeeded.
    pub accepts: Vec<Nanos>,
    /// Every connection that a process closed, in order of time.
    pub closes: Vec<Closing>,
    /// Connections that only processes had which accept none themselves, when the ramp ended, and how many
    /// processes those were.
    pub handed_over: (u64, u64),
    /// When `/proc` was last asked, before clients left, which processes hold connections: how many all of
    /// them held, and how many by their calls.
    pub by_proc: Option<(Nanos, u64, u64)>,
    /// Whether any call of the subject was seen at all since it was at rest.
    pub calls_seen: bool,
}

impl Holdings {
    /// Follows the descriptors of every process of the subject, under these soft limits. `asked`: from then
    /// on a client of another port may be let in.
    ///
    /// A flood may fill a table for a moment with connections that are closed again, because a call fails for
    /// want of something else. The first failure is then that call.
    pub fn new(
        events: &[&Event],
        steps: &Steps,
        phases: &Phases,
        processes: &Processes,
        listeners: &Listeners,
        softs: &BTreeMap<Pid, u64>,
        asked: Nanos,
    ) -> Self {
        let dismissed = dismissals(events, steps, phases.released_from());
        let (changes, moments) = (Changes::of(events), Moments::of(phases, asked));
        let given = Given { events, processes, listeners, softs, dismissed, changes, moments };
        let follow = |wall| Follower::new(&given, wall).followed();
        let found = follow(0);
        let Some((failed, room)) = found.with_room.filter(|(failed, room)| found.lacks_else(*failed, *room))
        else {
            return found;
        };
        let found = follow(failed.at);
        Holdings { room: Some(room), at_ceiling: found.at_least.or(found.at_ceiling), ..found }
    }

    /// Whether this failure, with numbers free, is what keeps clients out: since the first failure of all
    /// numbers were free at some time.
    fn lacks_else(&self, failed: Failed, room: Room) -> bool {
        let free = self
            .at_least
            .map(|both| both.pid == failed.pid && Room { open: both.descriptors, ..room }.plain());
        // `/proc` is not read again for a process that exits at once.
        free.unwrap_or(self.first.is_some_and(|first| first.at == failed.at))
    }

    /// The same, with connections that were passed to another process by a message, which no call tells
    /// (unix(7), SCM_RIGHTS): those that `/proc` finds beyond the calls, of clients that were connected then.
    pub fn with_passed(self, clients: impl Fn(Nanos) -> u64) -> Self {
        let passed = self.by_proc.map(|(at, all, by_calls)| (all.min(clients(at)), by_calls));
        let Some((all, _)) = passed.filter(|(all, by_calls)| all > by_calls) else { return self };
        Holdings {
            kept_in_all: all.max(self.kept_in_all),
            most_in_all: all.max(self.most_in_all),
            most_ever: all.max(self.most_ever),
            at_watched: all.max(self.at_watched),
            ..self
        }
    }

    /// Accepts that succeeded in `[from, until)`, in order of time.
    pub fn accepts_between(&self, from: Nanos, until: Nanos) -> &[Nanos] {
        let first = self.accepts.partition_point(|at| *at < from);
        let last = self.accepts.partition_point(|at| *at < until).max(first);
        &self.accepts[first..last]
    }

    /// The lives of connections that were closed in this window, the shortest first.
    pub fn lives(&self, window: impl Fn(&Closing) -> bool) -> Vec<Nanos> {
        let closed = self.closes.iter().filter(|one| window(one));
        let mut lives: Vec<Nanos> = closed.map(|one| one.life).collect();
        lives.sort_unstable();
        lives
    }

    /// The closes of connections in `[from, until]`, in order of time.
    pub fn closes_between(&self, from: Nanos, until: Nanos) -> &[Closing] {
        let from = self.closes.partition_point(|one| one.at < from);
        let upto = self.closes.partition_point(|one| one.at <= until).max(from);
        &self.closes[from..upto]
    }

    /// When this process exited before clients were told to leave.
    pub fn exit_of(&self, pid: Pid) -> Option<Nanos> {
        self.tables.get(&pid).and_then(|table| table.exited).map(|(at, _)| at)
    }

    /// Whether the failing process was seen to fail in accept.
    pub fn accept_failed(&self) -> bool {
        self.failures.iter().any(|(_, call)| call.accepts())
    }
}

/// Accepts, by their place in the log, whose connections the server closed again soon, and how soon. Each
/// client that left by itself explains one close, the first after it: that one is no dismissal.
fn dismissals(events: &[&Event], steps: &Steps, released: Nanos) -> HashMap<usize, Nanos> {
    let early = |event: &Event| event.at < released;
    // An exit dismisses no client.
    let closes = |step: &&Step| {
        let event = events[step.place];
        early(event) && event.is.closes().is_some() && !step.more && step.edge
    };
    let mut closed: Vec<(usize, Nanos)> =
        steps.iter().filter(closes).map(|step| (step.accept, events[step.place].at)).collect();
    let leaves = |event: &&&Event| matches!(event.is, What::Client { state: Client::Released, .. });
    let mut left: VecDeque<Nanos> =
        events.iter().take_while(|event| early(event)).filter(leaves).map(|event| event.at).collect();
    let mut is_explained = |at: Nanos| {
        while left.front().is_some_and(|left| left + DISMISSED_WITHIN < at) {
            left.pop_front();
        }
        let explains = left.front().is_some_and(|left| *left <= at + REPORTED_WITHIN);
        explains && left.pop_front().is_some()
    };
    closed.retain(|(_, at)| !is_explained(*at));
    let held = closed.into_iter().map(|(accept, at)| (accept, at - events[accept].at));
    held.filter(|&(_, held)| held < DISMISSED_WITHIN).collect()
}

/// The moments that the pass distinguishes.
struct Moments {
    ramp: Nanos,
    ramp_ends: Nanos,
    watched: Nanos,
    asked: Nanos,
    moved: Nanos,
    released: Nanos,
    all_leave: Nanos,
    stop: Nanos,
}

impl Moments {
    fn of(phases: &Phases, asked: Nanos) -> Self {
        Moments {
            ramp: phases.from(Phase::Ramp),
            ramp_ends: phases.from(Phase::Saturate),
            watched: phases.watched_until(),
            asked,
            moved: phases.start(Phase::Moved).unwrap_or(Nanos::MAX),
            released: phases.released_from(),
            all_leave: phases.start(Phase::ReleaseAll).unwrap_or(Nanos::MAX),
            stop: phases.from(Phase::SecondRound),
        }
    }
}

/// What the pass is about.
struct Given<'a> {
    events: &'a [&'a Event],
    processes: &'a Processes,
    listeners: &'a Listeners,
    softs: &'a BTreeMap<Pid, u64>,
    dismissed: HashMap<usize, Nanos>,
    changes: Changes,
    moments: Moments,
}

/// The pass, up to the event that was taken last.
struct Follower<'a> {
    given: &'a Given<'a>,
    /// A failure before this moment is not the wall.
    wall: Nanos,
    numbers: Numbers,
    /// Connections of all processes: held, and of these the ones that the server does not close again at
    /// once.
    held: u64,
    kept: u64,
    /// How many of all those held were accepted before the ramp.
    early: u64,
    ramp_over: bool,
    /// Descriptors of each process when `/proc` was last read.
    counts: HashMap<Pid, u64>,
    /// A failure that seems to come with numbers free, until `/proc` is read again.
    with_room: Option<(Failed, Room)>,
    /// Whether the count at the ceiling was taken at a still moment.
    still: bool,
    found: Holdings,
}

impl<'a> Follower<'a> {
    fn new(given: &'a Given<'a>, wall: Nanos) -> Self {
        let found = Holdings { turned_away: given.dismissed.len() as u64, ..Holdings::default() };
        Follower {
            given,
            wall,
            numbers: Numbers::default(),
            held: 0,
            kept: 0,
            early: 0,
            ramp_over: false,
            counts: HashMap::new(),
            with_room: None,
            still: false,
            found,
        }
    }

    fn followed(mut self) -> Holdings {
        for (place, event) in self.given.events.iter().enumerate() {
            self.take(place, event);
        }
        if !self.ramp_over {
            self.end_ramp();
        }
        // `/proc` is not read again for a process that exits at once.
        self.found.with_room = self.found.with_room.or(self.with_room);
        self.found
    }

    fn take(&mut self, place: usize, event: &Event) {
        if !self.ramp_over && event.at >= self.given.moments.ramp_ends {
            self.found.handed_over = self.numbers.handed_over();
            self.end_ramp();
        }
        if matches!(event.is, What::Open(_)) {
            self.found.numbers.insert(event.at, self.numbers.all());
        }
        if let What::Holders { connections: Some(all), .. } = event.is
            && event.at < self.given.moments.released
        {
            self.found.by_proc = Some((event.at, all, self.held));
        }
        let forked = matches!(event.is, What::Process { change: Change::Fork, .. });
        // A process that was forked to serve a connection accepts nothing itself.
        let known = |pid: &Pid| self.given.processes.counts(*pid) || self.found.tables.contains_key(pid);
        let pid = pid_of(&event.is).filter(known);
        if !forked && pid.is_none() {
            return;
        }
        let before = pid.and_then(|pid| self.found.tables.get(&pid)).map(|table| (table.held, table.emptied));
        let steps = self.numbers.follow(place, &event.is);
        steps.iter().for_each(|step| self.step(event, step));
        if event.at < self.given.moments.watched {
            (self.found.at_watched, self.found.of_no_client) = (self.held, self.early);
        }
        if self.found.first.is_some() && event.at < self.given.moments.watched {
            self.found.least_in_all = Some(self.found.least_in_all.map_or(self.held, |n| n.min(self.held)));
        }
        if let Some(pid) = pid {
            self.of_process(place, pid, event, steps.is_empty(), before.unwrap_or_default());
            self.most(pid, event.at);
        }
    }

    /// A process has one number more, or fewer, for a connection.
    fn step(&mut self, event: &Event, step: &Step) {
        let stays = u64::from(!self.given.dismissed.contains_key(&step.accept));
        let edge = u64::from(step.edge);
        let taken = self.given.events[step.accept].at;
        let early = u64::from(step.edge && taken < self.given.moments.ramp);
        self.early = if step.more { self.early + early } else { self.early - early };
        let table = self.found.tables.entry(step.pid).or_default();
        if step.more {
            table.emptied = None;
            (table.held, table.kept) = (table.held + 1, table.kept + stays);
            (self.held, self.kept) = (self.held + edge, self.kept + edge * stays);
            return;
        }
        table.emptied.get_or_insert((event.at, table.held));
        (table.held, table.kept) = (table.held - 1, table.kept - stays);
        (self.held, self.kept) = (self.held - edge, self.kept - edge * stays);
        let of_first = self.found.first.is_some_and(|f| f.pid == step.pid && taken < f.at);
        let closes = event.is.closes().is_some();
        if closes && step.edge {
            let (at, pid) = (event.at, step.pid);
            self.found.closes.push(Closing { at, pid, life: at - taken });
        }
        let old = of_first && closes && event.at < self.given.moments.released;
        self.found.old_closed += edge * u64::from(old);
        self.found.held_closed += edge * u64::from(old && event.at - taken >= SHED_WITHIN);
    }

    /// Takes in an event of a process. `alone`: its numbers for connections stayed as they were; `before`:
    /// how many it held, and since when it had only closed some.
    fn of_process(
        &mut self,
        place: usize,
        pid: Pid,
        event: &Event,
        alone: bool,
        before: (u64, Option<(Nanos, u64)>),
    ) {
        let at = event.at;
        match &event.is {
            What::Baseline { inventory, .. } if at < self.given.moments.ramp => self.rest(pid, inventory),
            What::Close { .. } | What::CloseRange { .. } => {
                let early = at < self.given.moments.released;
                let (_, numbers) = event.is.closes().expect("it closes");
                let table = self.table(pid);
                table.closed_highest |= early && numbers.contains(&table.accepted_highest.0);
                table.close(numbers, alone);
            }
            What::Process { change: Change::Exec, .. } => {}
            What::Process { .. } | What::Exited { .. } => self.exit(pid, at, before),
            &What::Call { name: call, ret, .. } if ret >= 0 => {
                self.opened(place, &Try { at, pid, call, ret, on: None, beside: false })
            }
            &What::Call { name: call, ret, on, .. } => {
                let beside = self.given.listeners.beside(pid, on).is_some();
                self.failed(&Try { at, pid, call, ret, on, beside });
            }
            &What::Sample { descriptors, .. } if !self.given.changes.dying(pid, at) => {
                self.counted(pid, at, descriptors)
            }
            _ => {}
        }
    }

    fn table(&mut self, pid: Pid) -> &mut Table {
        self.found.tables.entry(pid).or_default()
    }

    fn rest(&mut self, pid: Pid, inventory: &[Descriptor]) {
        let table = self.table(pid);
        table.empty();
        table.rest.extend(inventory.iter().map(|d| i64::from(d.fd)));
    }

    fn exit(&mut self, pid: Pid, at: Nanos, (held, emptied): (u64, Option<(Nanos, u64)>)) {
        let released = self.given.moments.released;
        let table = self.table(pid);
        table.gone.get_or_insert(at);
        if at < released {
            // An interpreter that ends closes what it holds one by one.
            let emptied = emptied.filter(|(since, _)| at.saturating_sub(*since) < TEARDOWN);
            table.exited.get_or_insert((at, emptied.map_or(held, |(_, held)| held)));
        }
        table.empty();
    }

    /// A call that made a descriptor.
    fn opened(&mut self, place: usize, made: &Try) {
        self.found.calls_seen = true;
        if made.accepted() {
            return self.accepted(place, made);
        }
        // The caller of dup2 chooses the number.
        let chosen = matches!(made.call, Call::Dup2 | Call::Dup3);
        let early = made.at < self.given.moments.released;
        let table = self.table(made.pid);
        if made.call.returns_descriptor() {
            table.forget(made.ret);
            if early && !chosen {
                table.highest = table.highest.max(made.ret);
            }
            table.others.insert(made.ret);
        } else if made.call != Call::Fcntl {
            table.unnumbered += 2;
        }
    }

    fn accepted(&mut self, place: usize, made: &Try) {
        let dismissed = self.given.dismissed.get(&place).copied();
        let early = made.at < self.given.moments.released;
        let table = self.table(made.pid);
        table.forget(made.ret);
        table.accepts += 1;
        if early {
            table.accepted_as(made.ret);
        }
        self.found.accepts.push(made.at);
        let first = self.found.first;
        let after_failure =
            made.at < self.given.moments.asked && first.is_some_and(|f| f.pid == made.pid && f.at <= made.at);
        self.found.dismissed += u64::from(dismissed.is_some() && after_failure);
        self.found.shed += u64::from(dismissed.is_some_and(|held| held < SHED_WITHIN) && after_failure);
    }

    /// A call that failed; those that there was no descriptor for count.
    fn failed(&mut self, made: &Try) {
        let Some(errno) = made.failed().filter(|_| self.given.processes.counts(made.pid)) else { return };
        let Moments { ramp, moved, released, stop, .. } = self.given.moments;
        let failed = Failed { pid: made.pid, at: made.at, call: made.call, errno };
        self.found.calls_seen = true;
        if made.at < ramp {
            self.found.early.get_or_insert((failed, 0)).1 += 1;
        } else if made.at < stop.min(moved) {
            if made.at < released {
                self.with_room(failed);
            }
            if made.at >= self.wall {
                self.at_the_wall(failed, made.beside);
            }
        }
    }

    /// Notes a failure with EMFILE though the process has numbers free, as far as calls and `/proc` tell.
    /// fcntl(2) may ask for a number above some other.
    fn with_room(&mut self, failed: Failed) {
        let known = self.found.with_room.or(self.with_room).is_some();
        let Some(&soft) = self.given.softs.get(&failed.pid) else { return };
        if known || failed.errno != Errno::EMFILE || failed.call == Call::Fcntl {
            return;
        }
        let counted = self.counts.get(&failed.pid).copied().unwrap_or(0);
        let Some(open) = self.table(failed.pid).open() else { return };
        let room = Room { open: open.max(counted), soft };
        self.with_room = Some((failed, room)).filter(|_| room.plain());
    }

    /// A failure under the limits that the ramp began with.
    fn at_the_wall(&mut self, failed: Failed, beside: bool) {
        let table = self.found.tables.entry(failed.pid).or_default();
        if table.before_failure.is_none() {
            table.before_failure = Some((failed.at, table.held));
            table.most_after = table.held;
        }
        // When all have left, it takes the queue of those that are gone: that is no ceiling.
        if self.found.first.is_none() && failed.at < self.given.moments.all_leave {
            self.found.first = Some(failed);
            // It has accepted the connections that it handed over to processes of their own, too.
            self.found.accepted = table.held + self.numbers.handed_over().0;
            (self.found.held_in_all, self.found.accepts_before) = (self.held, table.accepts);
            self.found.others = table.others();
            self.found.at_ceiling = None;
        }
        let of_first = self.found.first.is_some_and(|f| f.pid == failed.pid);
        if of_first
            && !beside
            && failed.at < self.given.moments.released
            && self.found.failures.len() < KEPT_FAILURES
        {
            self.found.failures.push((failed.at, failed.call));
        }
    }

    /// `/proc` was read.
    fn counted(&mut self, pid: Pid, at: Nanos, descriptors: u64) {
        let Moments { watched, released, .. } = self.given.moments;
        self.counts.insert(pid, descriptors);
        if let Some((failed, room)) = self.with_room.take_if(|(failed, _)| failed.pid == pid) {
            let room = Room { open: room.open.max(descriptors), ..room };
            self.found.with_room = Some((failed, room)).filter(|_| room.plain());
        }
        let still = self.given.changes.still(pid, at);
        let table = self.table(pid);
        if still {
            table.counted(descriptors);
        }
        let (held, others, rest_gone) = (table.held, table.others(), table.rest_gone);
        let both = Both { pid, descriptors, held, others, rest_gone, still };
        let main = self.given.processes.main == Some(pid);
        if at < watched && main {
            self.found.at_watch = Some(both);
        }
        let at_wall = at < watched && self.found.first.is_some_and(|first| first.pid == pid);
        if at_wall && self.found.at_least.is_none_or(|least| descriptors < least.descriptors) {
            self.found.at_least = Some(both);
        }
        match self.found.first {
            // A count taken while descriptors come and go may belong to the moment before or after: a still
            // one is better.
            Some(first)
                if first.pid == pid
                    && (self.found.at_ceiling.is_none() || still && !self.still && at < released) =>
            {
                (self.found.at_ceiling, self.still) = (Some(both), still);
            }
            None if at < watched && main => self.found.at_ceiling = Some(both),
            _ => {}
        }
        if at < released && self.found.at_most.is_none_or(|most| most.descriptors < descriptors) {
            self.found.at_most = Some(both);
        }
    }

    /// The most that was held, by this process and by all.
    fn most(&mut self, pid: Pid, at: Nanos) {
        let (ramp_over, kept) = (self.ramp_over, self.kept);
        let Moments { moved, watched, released, .. } = self.given.moments;
        // A place that somebody leaves is taken again by whoever waits, to be held or not.
        let as_it_began = at < moved.min(released);
        let table = self.table(pid);
        if (table.before_failure.is_some() || ramp_over) && as_it_began {
            table.most_after = table.most_after.max(table.kept);
        }
        if at < self.given.moments.released {
            self.found.most_at_once = self.found.most_at_once.max(kept);
        }
        if !ramp_over {
            return;
        }
        let found = &mut self.found;
        found.most_ever = found.most_ever.max(kept);
        if as_it_began {
            found.most_in_all = found.most_in_all.max(kept);
        }
        if at < watched {
            found.kept_in_all = found.kept_in_all.max(kept);
        }
    }

    fn end_ramp(&mut self) {
        self.ramp_over = true;
        let kept = self.kept;
        self.found.kept_in_all = kept;
        (self.found.most_in_all, self.found.most_ever) = (kept, kept);
        for table in self.found.tables.values_mut() {
            table.at_ramp_end = table.kept;
            table.most_after = table.most_after.max(table.kept);
        }
    }
}

/// The process that an event changes or counts.
fn pid_of(what: &What) -> Option<Pid> {
    match what {
        What::Call { pid, .. }
        | What::Close { pid, .. }
        | What::CloseRange { pid, .. }
        | What::Sample { pid, .. }
        | What::Baseline { pid, .. }
        | What::Exited { pid, .. }
        | What::Process { pid, change: Change::Exit | Change::Exec, .. } => Some(*pid),
        _ => None,
    }
}

//! Recovery as a distribution: what followed each time that some clients left while others waited, in which order the freed places
//! were given, and whether the server serves in the end as it did before the wall.

use super::calls::latency;
use super::clients::Record;
use super::numbers::Holders;
use super::recovery::began;
use super::saturation::probes;
use super::timeline::{milli, seconds};
use super::tree::full;
use super::{Measured, PlaceOrder, Policy, Probe, Round, Run, Service, Spread};
use crate::event::{Nanos, Outcome, Phase, Pid, What};

/// Share of the pairs of one who was served and one who was not that must be in order.
const IN_ORDER: f64 = 0.95;
/// The first clients of a ramp show what a connection costs, with pauses, and are at most so large a part of it.
const CALIBRATION: usize = 4;

/// A time in which some clients left, until the next such time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    from: Nanos,
    pub until: Nanos,
    /// When the first of them left.
    since: Nanos,
}

/// The rounds of a run, in their order.
pub(super) fn windows(run: &Run<'_>) -> Vec<Window> {
    let all = run.timeline.from(Phase::ReleaseAll);
    let begin = |e: &&&crate::event::Event| e.is == What::Phase(Phase::ReleaseSome) && e.at < all;
    let starts: Vec<Nanos> = run.timeline.events.iter().filter(begin).map(|e| e.at).collect();
    let ends = starts.iter().skip(1).copied().chain([all]);
    starts
        .iter()
        .zip(ends)
        .map(|(&from, until)| Window { from, until, since: began(run, from, until) })
        .collect()
}

/// Fills in the rounds, and what came after them.
pub(super) fn rounds(run: &Run<'_>, m: &mut Measured) {
    let windows = windows(run);
    let again = run.timeline.start(Phase::Again).map(|from| Window {
        from,
        until: run.timeline.from(Phase::Stop),
        since: from,
    });
    // Without refilling the server is never brought back to its wall.
    let refilled = windows.len() > 1;
    let held = if refilled || again.is_some() {
        held(run, windows.iter().chain(&again))
    } else {
        vec![Held::default(); windows.len()]
    };
    let (passed_by, unseen) = (super::witness::passed_by(run), super::witness::unseen(run));
    let pauses = m.saturation.policy != Some(Policy::Spin);
    m.recovery.rounds = windows
        .iter()
        .zip(&held)
        .map(|(window, held)| {
            round(run, *window, pauses, passed_by.is_none(), held.in_the_end.filter(|_| refilled))
        })
        .collect();
    m.recovery.first_served_quantiles =
        spread(m.recovery.rounds.iter().filter_map(|round| round.first_served_s).collect());
    if m.recovery.first_served_quantiles.is_none() {
        let reason = if windows.is_empty() {
            "no clients were released while others waited"
        } else {
            "no waiter was served in any round"
        };
        m.missing::<()>("recovery.first_served_quantiles", unseen.unwrap_or(reason));
    }
    for (field, reason, absent) in [
        (
            "released",
            "the driver did not say how many left",
            m.recovery.rounds.iter().any(|r| r.released.is_none()),
        ),
        ("phase_s", no_phase(pauses), m.recovery.rounds.iter().any(|r| r.phase_s.is_none())),
        (
            "first_accepted_s",
            passed_by.unwrap_or("nobody was accepted in that round"),
            m.recovery.rounds.iter().any(|r| r.first_accepted_s.is_none()),
        ),
        (
            "first_served_s",
            unseen.unwrap_or("nobody was served in that round"),
            m.recovery.rounds.iter().any(|r| r.first_served_s.is_none()),
        ),
        (
            "queue_drained_s",
            "more waited than left",
            m.recovery.rounds.iter().any(|r| r.queue_drained_s.is_none()),
        ),
        (
            "new_client_served_s",
            no_new_client(run, refilled),
            m.recovery.rounds.iter().any(|r| r.new_client_served_s.is_none()),
        ),
        ("ceiling", no_ceiling(refilled), m.recovery.rounds.iter().any(|r| r.ceiling.is_none())),
    ] {
        if absent {
            m.unmeasured.entry(format!("recovery.rounds.{field}")).or_insert_with(|| reason.to_owned());
        }
    }
    m.recovery.gave_up = match run.timeline.start(Phase::ReleaseAll) {
        Some(_) if run.tree.is_client => {
            m.missing("recovery.gave_up", "nobody waits for a place of it: see `calls`")
        }
        Some(_) if unseen.is_some() => m.missing("recovery.gave_up", unseen.unwrap_or_default()),
        Some(all) => Some(gave_up(run, all)),
        None => m.missing("recovery.gave_up", "the clients were never all released"),
    };
    m.recovery.order = match order(run, &windows) {
        Ok(order) => Some(order),
        Err(reason) => m.missing("recovery.order", reason),
    };
    m.recovery.before =
        service(run, m, "before", run.timeline.from(Phase::Ramp), run.timeline.watched_until());
    let second = held.get(windows.len()).filter(|_| again.is_some());
    m.recovery.after = match again {
        Some(window) => service(run, m, "after", window.from, window.until),
        None => m.missing("recovery.after", "there was no second ramp"),
    };
    m.recovery.second_ceiling = match second {
        Some(Held { most: Some(most), of: Some(pid), .. })
            if same_ceiling(m, run.followed.first.map(|first| first.pid), *pid) =>
        {
            Some(*most)
        }
        Some(Held { most: Some(_), .. }) => m.missing(
            "recovery.second_ceiling",
            "another process was the first to fail, and its ceiling was another before, too",
        ),
        Some(Held { lost: true, .. }) => {
            m.missing("recovery.second_ceiling", "the observer lost samples in the second ramp")
        }
        Some(_) => m.missing("recovery.second_ceiling", "no accept was seen to fail in the second ramp"),
        None => m.missing("recovery.second_ceiling", "there was no second ramp"),
    };
}

fn no_new_client(run: &Run<'_>, refilled: bool) -> &'static str {
    match (run.clients.answers, refilled) {
        (false, _) => "a tcp client is not answered",
        (true, false) => "no new client came before all left",
        (true, true) => "others waited before the new clients",
    }
}

fn no_phase(pauses: bool) -> &'static str {
    if pauses { "its failures were not recorded one by one then" } else { "it tries again without pause" }
}

fn no_ceiling(refilled: bool) -> &'static str {
    if refilled {
        "it was not seen to fail again with new clients waiting, or samples were lost"
    } else {
        "no new clients came in the place of those that left"
    }
}

fn round(run: &Run<'_>, window: Window, pauses: bool, seen: bool, ceiling: Option<u64>) -> Round {
    let Window { from, until, since } = window;
    let events = run.timeline.between(from, until);
    let after = |at: Nanos| seconds(at.saturating_sub(since));
    let within = |at: &Nanos| (since..until).contains(at);
    let told = events
        .iter()
        .filter_map(|e| if let What::Released { clients } = e.is { Some(u64::from(clients)) } else { None });
    let accepted = run.followed.accepts.iter().copied().filter(within).min();
    // Who is answered before that had his place already.
    let taken = if run.followed.calls_seen && seen { accepted.unwrap_or(until) } else { since };
    let served =
        run.clients.records.iter().filter_map(|r| r.served).filter(|at| within(at) && *at >= taken).min();
    let new = |r: &&Record| r.connected.is_some_and(|at| within(&at));
    let drained =
        events.iter().find(|e| matches!(e.is, What::Sample { queue: Some(0), .. }) && e.at >= since);
    Round {
        released: told.fold(None, |sum: Option<u64>, n| Some(sum.unwrap_or(0).saturating_add(n))),
        phase_s: tried_before(run, since).filter(|_| pauses).map(|at| seconds(since - at)),
        first_accepted_s: accepted.map(after),
        first_served_s: if run.clients.answers { served } else { accepted }.map(after),
        queue_drained_s: drained.map(|sample| after(sample.at)),
        new_client_served_s: run
            .clients
            .records
            .iter()
            .filter(new)
            .filter_map(|r| r.served)
            .filter(within)
            .min()
            .map(after),
        gave_up: run
            .clients
            .records
            .iter()
            .filter(|r| r.gave_up && r.released.is_some_and(|at| (from..until).contains(&at)))
            .count() as u64,
        ceiling,
    }
}

/// The last failing accept before this moment, where they are recorded one by one up to then.
fn tried_before(run: &Run<'_>, moment: Nanos) -> Option<Nanos> {
    let first = run.followed.first?;
    let before = run.timeline.between(first.at, moment);
    let last = before.iter().rev().find(|e| match e.is {
        What::Call { pid, name, ret } => pid == first.pid && name.accepts() && full(ret).is_some(),
        What::SamplingStopped => true,
        _ => false,
    })?;
    (last.is != What::SamplingStopped).then_some(last.at)
}

/// Whether what these processes held at most is comparable: of workers any may be the first to fail.
fn same_ceiling(m: &Measured, first: Option<Pid>, second: Pid) -> bool {
    let of = |pid: Pid| {
        m.ceiling.per_process.iter().find(|process| process.pid == pid).map(|process| process.accepted_max)
    };
    first == Some(second) || first.and_then(of).is_some_and(|most| Some(most) == of(second))
}

/// Connections that the process at the wall holds in a window, with those that it handed over.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    /// The process: the one that failed first of all; in a second ramp, the one that fails first there.
    of: Option<Pid>,
    /// When the window ends, and the process has failed to accept since its last accept in it.
    in_the_end: Option<u64>,
    /// The most from the first failing accept on, and when that was.
    most: Option<u64>,
    failed: Option<Nanos>,
    accepted: Option<Nanos>,
    failed_last: Option<Nanos>,
    lost: bool,
}

/// Follows the connections that each process holds through these windows, which come one after the other.
fn held<'a>(run: &Run<'_>, windows: impl Iterator<Item = &'a Window>) -> Vec<Held> {
    let windows: Vec<&Window> = windows.collect();
    let mut found = vec![Held::default(); windows.len()];
    let Some(first) = run.followed.first.filter(|_| !windows.is_empty()) else { return found };
    let again = run.timeline.from(Phase::Again);
    for (held, window) in found.iter_mut().zip(&windows) {
        held.of = Some(first.pid).filter(|_| window.from < again);
    }
    let mut held = Holders::new(run.followed.handed_over.0 > 0);
    let mut current = 0;
    for (place, event) in run.timeline.events.iter().enumerate() {
        while windows.get(current).is_some_and(|window| window.until <= event.at) {
            found[current].end(&held);
            current += 1;
        }
        held.follow(place, &event.is, |pid| run.tree.counts(pid));
        if windows.get(current).is_some_and(|window| window.since <= event.at) {
            found[current].note(event.at, &event.is, |pid| run.tree.counts(pid));
            found[current].most =
                found[current].most.max(found[current].failed.map(|_| found[current].own(&held)));
        }
    }
    found[current..].iter_mut().for_each(|window| window.end(&held));
    found
}

impl Held {
    fn own(&self, held: &Holders) -> u64 {
        self.of.map_or(0, |pid| held.of(pid))
    }

    /// Takes in an event of the window; `counts`: whether a process is one of the subject's that accept.
    fn note(&mut self, at: Nanos, what: &What, counts: impl Fn(Pid) -> bool) {
        match *what {
            What::Call { pid, name, ret: 0.. } if self.of == Some(pid) && name.accepts() => {
                self.accepted = Some(at)
            }
            What::Call { pid, name, ret }
                if name.accepts()
                    && full(ret).is_some()
                    && counts(pid)
                    && *self.of.get_or_insert(pid) == pid =>
            {
                self.failed.get_or_insert(at);
                self.failed_last = Some(at);
            }
            What::Lost { .. } => self.lost = true,
            _ => {}
        }
    }

    fn end(&mut self, held: &Holders) {
        let at_the_wall = self.accepted.is_some() && self.failed_last > self.accepted && !self.lost;
        self.in_the_end = at_the_wall.then_some(self.own(held));
        self.most = self.most.filter(|_| !self.lost);
    }
}

fn spread(mut all: Vec<f64>) -> Option<Spread> {
    all.sort_by(f64::total_cmp);
    let quantiles = latency(all.clone())?;
    Some(Spread { min: *all.first()?, p50: quantiles.p50, p90: quantiles.p90, max: quantiles.max })
}

/// Clients that left the accept queue before they were served: told to, or with all the others; and those that asked at the wall.
fn gave_up(run: &Run<'_>, all: Nanos) -> u64 {
    let told = run.clients.records.iter().filter(|r| r.gave_up).count() as u64;
    let held = run.followed.most_ever.max(run.followed.held_in_all);
    let full = run.followed.first.is_some();
    let new = |p: &Probe| p.outcome == Outcome::Waits && (p.label == "saturated" || p.label == "moved");
    let asked = probes(run).filter(|(at, p)| full && *at < all && new(p)).count() as u64;
    told + run.clients.waiting(all.saturating_sub(1), held) + asked
}

/// In which order freed places were given: by who was served in a round and who was not, or else by when those served were.
fn order(run: &Run<'_>, windows: &[Window]) -> Result<PlaceOrder, &'static str> {
    if windows.is_empty() {
        return Err("no clients were released while others waited");
    }
    if !run.clients.answers {
        return Err("a tcp client cannot tell when it is accepted");
    }
    // Pairs in the order of their connects, and in the reverse order.
    let (mut chosen, mut answered) = ((0u64, 0u64), (0u64, 0u64));
    for window in windows {
        let waited = |r: &&Record| {
            let gone = r.gave_up || r.ended.is_some_and(|e| e.0 < window.until);
            r.connected.is_some_and(|at| at < window.from)
                && r.released.is_none_or(|at| at >= window.until)
                && !gone
        };
        let waiting = run
            .clients
            .records
            .iter()
            .filter(waited)
            .filter(|r| r.served.is_none_or(|at| at >= window.since));
        let served: Vec<Option<Nanos>> = waiting.map(|r| r.served.filter(|at| *at < window.until)).collect();
        let unserved = served.iter().filter(|at| at.is_none()).count() as u64;
        let mut before = 0;
        for one in &served {
            match one {
                Some(_) => chosen = (chosen.0 + unserved - before, chosen.1 + before),
                None => before += 1,
            }
        }
        let times: Vec<Nanos> = served.into_iter().flatten().collect();
        let sooner = times.windows(2).filter(|pair| pair[0] <= pair[1]).count() as u64;
        answered = (answered.0 + sooner, answered.1 + (times.len().max(1) as u64 - 1 - sooner));
    }
    let (older, newer) = if chosen == (0, 0) { answered } else { chosen };
    if older + newer == 0 {
        return Err("fewer than two waited for a place, or nobody got one");
    }
    let share = older as f64 / (older + newer) as f64;
    Ok(match share {
        s if s >= IN_ORDER => PlaceOrder::OldestFirst,
        s if s <= 1.0 - IN_ORDER => PlaceOrder::NewestFirst,
        _ => PlaceOrder::Mixed,
    })
}

/// How the new clients of a ramp were served, without the first of them.
fn service(run: &Run<'_>, m: &mut Measured, which: &str, from: Nanos, until: Nanos) -> Option<Service> {
    let field = format!("recovery.{which}");
    if run.tree.is_client {
        return m.missing(&field, "the ceiling is counted in calls: see `calls`");
    }
    let within = |at: &Nanos| (from..until).contains(at);
    // Up to the first wall, in either ramp: answers may come after the first call that fails.
    let most = m.ceiling.accepted.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut answered: Vec<(Nanos, f64)> = run
        .clients
        .records
        .iter()
        .filter_map(|r| Some((r.served.filter(within)?, r.connected.filter(within)?)))
        .map(|(served, connected)| (served, seconds(served.saturating_sub(connected))))
        .collect();
    answered.sort_by_key(|one| one.0);
    answered.truncate(most);
    let mut times: Vec<Nanos> = match run.clients.answers {
        true => answered.iter().map(|one| one.0).collect(),
        false => run.followed.accepts.iter().copied().filter(within).collect(),
    };
    times.sort_unstable();
    times.truncate(most);
    let mut connects: Vec<Nanos> =
        run.clients.records.iter().filter_map(|r| r.connected.filter(within)).collect();
    connects.sort_unstable();
    connects.truncate(most);
    let times = &times[times.len() / CALIBRATION..];
    // From the connect of the first of them: a server that takes many at once answers them at once.
    let begin = connects.get(connects.len() / CALIBRATION);
    let span = begin.zip(times.last()).map_or(0.0, |(first, last)| seconds(last.saturating_sub(*first)));
    if times.len() < 2 || span <= 0.0 {
        return m
            .missing(&field, super::witness::unseen(run).unwrap_or("too few clients were served to tell"));
    }
    let latency_s = latency(answered[answered.len() / CALIBRATION..].iter().map(|one| one.1).collect());
    if latency_s.is_none() {
        m.missing::<()>(&format!("{field}.latency_s"), "a tcp client is not answered");
    }
    let asked = if which == "before" { (0, run.timeline.released_from()) } else { (from, until) };
    let held_latency_s = super::seen::held(run, asked.0, asked.1).latency_s;
    if held_latency_s.is_none() {
        m.missing::<()>(&format!("{field}.held_latency_s"), "no held client answered a second time");
    }
    Some(Service { served_per_s: milli(times.len() as f64 / span), latency_s, held_latency_s })
}

//! Ceilings at several limits: the line through them, and where something other than the descriptor limit
//! binds. Pure: from the reports of several runs of one program to points. The evidence of the runs shows
//! what binds; nothing is guessed. Its words are `words::sweep`.

use super::Report;
use crate::event::Call;
use crate::judge::Reason;
use crate::measure::{self, Exit, Kind, Policy, PolicyEvidence, Resource};
use serde::Serialize;

/// One program at several limits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// In the order of the limits.
    pub points: Vec<Point>,
    /// The line, where two points or more lie on one.
    pub fit: Option<Fit>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_fit: Option<NoFit>,
    /// Where something else binds; `None` where it is the same at every limit.
    pub binds: Option<Binds>,
    /// The limit that the requested clients need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The soft limit asked for.
    pub asked: Option<u64>,
    /// The soft limit in force in the process that accepts.
    pub soft: Option<u64>,
    /// Descriptors at rest that take a place.
    pub at_rest: Option<u64>,
    /// The ceiling as predicted.
    pub predicted: Option<u64>,
    /// Connections held where it stopped; `None` where it did not stop, or nobody knows.
    pub ceiling: Option<u64>,
    /// Whether it stopped; `None`: nobody knows.
    pub reached: Option<bool>,
    /// Why it stopped, or that it did not; `None` also where only its descriptor count tells.
    pub kind: Option<Kind>,
    /// The first descriptor call that failed.
    pub first_failure: Option<Call>,
    /// The policy after that failure.
    pub policy: Option<Policy>,
}

/// ceiling = (soft − at rest) ÷ descriptors a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// The cause that stops it at all of these points: the descriptor limit (`emfile`), or a rule of its own
    /// that follows it (`own-limit`).
    pub by: Kind,
    /// How many points it goes through.
    pub points: u32,
    /// Descriptors that are no connections.
    pub at_rest: f64,
    /// Descriptors a connection.
    pub per_connection: f64,
    /// Connections that the point farthest off is away from it.
    pub residual: f64,
    /// The formula in whole numbers that gives every ceiling exactly; `None` where there is none, or more
    /// than one.
    pub formula: Option<Formula>,
}

/// ceiling = ⌊(numerator × soft − less) ÷ denominator⌋: the rule of programs that compute it from their
/// limit, such as half of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Formula {
    /// Numerator of the share of the limit; 1 where a connection takes whole descriptors.
    pub numerator: i64,
    /// Denominator of the share of the limit: descriptors a connection.
    pub denominator: i64,
    /// Taken off before the division.
    pub less: i64,
}

/// Points that are off by more than so many connections, and than such a share of the largest ceiling, lie on
/// no line: a rounded ceiling is off by less than one, and a process more or less that holds some by a
/// little.
const OFF_AT_MOST: (f64, f64) = (1.0, 0.02);
/// Shares that people write: halves to twentieths.
const DENOMINATOR_AT_MOST: i64 = 20;

impl Formula {
    /// The only one that gives each of these ceilings at its limit.
    fn through(points: &[(i64, i64)]) -> Option<Formula> {
        let coprime = |n: i64, d: i64| (2..=n).all(|divisor| n % divisor > 0 || d % divisor > 0);
        let shares = (1..=DENOMINATOR_AT_MOST).flat_map(|d| (1..=d).map(move |n| (n, d)));
        let mut fitting =
            shares.filter(|&(n, d)| coprime(n, d)).filter_map(|(n, d)| Formula::of(n, d, points));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    /// The one with this share that gives each of these ceilings at its limit, rounding as little as it can.
    fn of(numerator: i64, denominator: i64, points: &[(i64, i64)]) -> Option<Formula> {
        let most = points.iter().map(|(soft, ceiling)| numerator * soft - denominator * ceiling).min()?;
        let least =
            points.iter().map(|(soft, ceiling)| numerator * soft - denominator * (ceiling + 1) + 1).max()?;
        // A program would take off nothing, or a whole number.
        let whole = most - most.rem_euclid(denominator);
        let less = match least..=most {
            range if range.contains(&0) => 0,
            range if numerator > 1 && range.contains(&whole) => whole,
            _ => most,
        };
        (least <= most).then_some(Formula { numerator, denominator, less })
    }

    /// The lowest soft limit with which the program holds so many clients.
    pub const fn soft_for(self, clients: u64) -> u64 {
        let wanted = self.denominator * clients as i64 + self.less;
        let up = wanted + self.numerator - 1;
        up.div_euclid(self.numerator).unsigned_abs()
    }
}

/// The limit that a number of clients needs, by the formula or the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Clients that are to be held.
    pub clients: u64,
    /// The lowest soft limit that holds them; `None` where no line was found.
    pub soft: Option<u64>,
    /// Whether something else stopped it at that limit or a lower one.
    pub bound_before: bool,
}

/// Something other than what the line is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Binds {
    /// From this soft limit on.
    pub from: u64,
    /// The cause, with the evidence.
    pub what: What,
    /// The resource that ran out there, where that was seen; `None` where it is not known, and where nothing
    /// stopped it.
    pub resource: Option<Resource>,
    /// Whether it is worse than under a lower limit: there it only stopped, and here it exits or never
    /// accepts again, at FD_SETSIZE.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub worse: bool,
}

impl Point {
    /// The point of one run.
    pub fn of(r: &Report) -> Point {
        let found = &r.found;
        let reached = found.ceiling.stopped();
        Point {
            asked: found.limits.requested.value().map(|limits| limits.soft),
            soft: found.limits.effective.value().map(|limits| limits.soft),
            at_rest: found.baseline.counted.value(),
            predicted: found.prediction.ceiling.value(),
            ceiling: found.ceiling.connections().value().filter(|_| reached == Some(true)),
            reached,
            kind: found.ceiling.kind.value(),
            first_failure: found.ceiling.first_failure.get().map(|failure| failure.call),
            policy: found.policy.policy.value(),
        }
    }

    /// The cause that stopped it, or that nothing did: a table that is full by its count is full, though no
    /// call was seen to fail.
    fn stop(&self) -> Option<Kind> {
        self.kind.or(self.ceiling.map(|_| Kind::Emfile))
    }

    /// Limit and ceiling, where it was stopped by this.
    fn stopped_by(&self, kind: Kind) -> Option<(f64, f64)> {
        Some((self.soft? as f64, self.ceiling? as f64)).filter(|_| self.stop() == Some(kind))
    }
}

impl What {
    /// Whether nothing stopped the run.
    pub const fn is_nothing(&self) -> bool {
        matches!(self.stop, Stop::AllAccepted { .. } | Stop::AllHeld)
    }
}

/// Why there is no line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoFit {
    /// No descriptor limit stopped it.
    OtherLimits,
    /// Only one run was stopped by it.
    OnePoint,
    /// All runs had the same limit in force.
    OneLimit,
    /// It stopped with so many connections at every limit.
    Constant(u64),
    /// The points lie on no line; from some limit on it may have stopped with as many at each: that limit,
    /// and how many.
    Bent(Option<(u64, u64)>),
}

/// The cause that stopped a run, with what was seen there.
#[derive(Debug, Clone, PartialEq)]
pub struct What {
    /// Connections held then.
    pub held: Option<u64>,
    /// The cause.
    pub stop: Stop,
    /// The last line that it wrote there.
    pub wrote: Option<String>,
}

/// The cause that stopped a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// The limit in force is this one, whatever is asked for; who set it.
    LimitKept { soft: u64, set_by: Option<String> },
    /// This ran out.
    RanOut(measure::Binds),
    /// Its own rule, with what was seen of it; whether it turned clients away, or only took no more.
    OwnRule { turned_away: bool, seen: Option<PolicyEvidence> },
    /// It exited; what had run out before.
    Exited { exit: Option<Exit>, binds: Option<measure::Binds>, seen: Option<PolicyEvidence> },
    /// The open files of the host.
    HostFiles,
    /// The load generator's source ports.
    SourcePorts(measure::Binds),
    /// Something else on the load generator's side.
    Generator(Option<Reason>),
    /// Nothing: all clients were accepted; whether each has a process of its own.
    AllAccepted { handed_over: bool },
    /// Nothing: all clients are held, by its descriptor count.
    AllHeld,
    /// A descriptor call, which is not what the line is made of.
    DescriptorCall(Option<PolicyEvidence>),
    /// Something that was not seen.
    Unseen,
    /// The run does not tell, for this reason.
    NotKnown(Option<Reason>),
}

impl Sweep {
    /// The runs of one program, in the order of their limits.
    pub fn of(reports: &[Report]) -> Sweep {
        let mut runs: Vec<(Point, &Report)> = reports.iter().map(|r| (Point::of(r), r)).collect();
        runs.sort_by_key(|(point, _)| (point.asked, point.soft));
        let points: Vec<Point> = runs.iter().map(|(point, _)| point.clone()).collect();
        let by = [Kind::Emfile, Kind::OwnLimit]
            .into_iter()
            .find(|kind| points.iter().any(|p| p.stopped_by(*kind).is_some()));
        let fitted = by.ok_or(NoFit::OtherLimits).and_then(|kind| fit(&points, kind));
        let (fit, no_fit) = match fitted {
            Ok(fit) => (Some(fit), None),
            Err(reason) => (None, Some(reason)),
        };
        let binds = binds(&runs, by, fit.as_ref());
        Sweep { points, fit, no_fit, binds, needs: None }
    }

    /// The same, with what so many clients need.
    pub fn for_clients(self, clients: u64) -> Sweep {
        let soft = self.fit.as_ref().map(|fit| match fit.formula {
            Some(formula) => formula.soft_for(clients),
            None => (fit.at_rest + fit.per_connection * clients as f64).ceil().max(0.0) as u64,
        });
        let stopped = self.binds.as_ref().filter(|binds| !binds.what.is_nothing());
        let bound_before = stopped.zip(soft).is_some_and(|(binds, soft)| binds.from <= soft);
        Sweep { needs: Some(Needs { clients, soft, bound_before }), ..self }
    }
}

/// Least squares of the limit over the ceiling: a limit is chosen, and a ceiling is whole, so the slope is
/// what a connection costs.
fn fit(points: &[Point], by: Kind) -> Result<Fit, NoFit> {
    let on: Vec<(f64, f64)> = points.iter().filter_map(|p| p.stopped_by(by)).collect();
    let n = on.len() as f64;
    let (soft, ceiling) = (on.iter().map(|p| p.0).sum::<f64>() / n, on.iter().map(|p| p.1).sum::<f64>() / n);
    let spread: f64 = on.iter().map(|p| (p.1 - ceiling).powi(2)).sum();
    if on.len() < 2 {
        return Err(NoFit::OnePoint);
    }
    if on.iter().all(|p| p.0 == on[0].0) {
        return Err(NoFit::OneLimit);
    }
    if spread == 0.0 {
        return Err(NoFit::Constant(ceiling as u64));
    }
    let per_connection = on.iter().map(|p| (p.1 - ceiling) * (p.0 - soft)).sum::<f64>() / spread;
    let at_rest = soft - per_connection * ceiling;
    let off = |p: &(f64, f64)| (p.1 - (p.0 - at_rest) / per_connection).abs();
    let residual = on.iter().map(off).fold(0.0, f64::max);
    let round = |value: f64| (value * 1000.0).round() / 1000.0 + 0.0;
    let formula = Formula::through(&on.iter().map(|p| (p.0 as i64, p.1 as i64)).collect::<Vec<_>>());
    let most = on.iter().map(|p| p.1).fold(0.0, f64::max);
    if formula.is_none() && residual > OFF_AT_MOST.0.max(OFF_AT_MOST.1 * most) {
        let last = on[on.len() - 1].1;
        let level = on.iter().rev().take_while(|p| p.1 == last).collect::<Vec<_>>();
        let from = level.last().filter(|_| level.len() > 1);
        return Err(NoFit::Bent(from.map(|p| (p.0 as u64, last as u64))));
    }
    Ok(Fit {
        by,
        points: on.len() as u32,
        at_rest: round(at_rest),
        per_connection: round(per_connection),
        residual: round(residual),
        formula,
    })
}

/// Where the runs from some limit on are stopped by something else than the others, and what that is.
fn binds(runs: &[(Point, &Report)], by: Option<Kind>, fit: Option<&Fit>) -> Option<Binds> {
    let capped = |p: &Point| p.soft.filter(|soft| p.asked.is_some_and(|asked| *soft < asked));
    let usual = |p: &Point| {
        by.is_some()
            && p.stop() == by
            && capped(p).is_none()
            && !(by == Some(Kind::OwnLimit) && fit.is_none())
    };
    let first = runs.len() - runs.iter().rev().take_while(|(point, _)| !usual(point)).count();
    // Where all clients were taken nothing binds, as far as they tell; a larger limit may tell more.
    let stopped =
        runs.iter().skip(first).find(|(point, _)| capped(point).is_some() || point.reached != Some(false));
    let (point, report) = stopped.or(runs.get(first))?;
    Some(Binds {
        from: point.asked.or(point.soft)?,
        what: capped(point).map_or_else(|| what(point, report), |soft| limit_kept(soft, report)),
        resource: report.found.binds.get().map(|binds| binds.resource),
        worse: at_fd_setsize(report)
            && ends(point)
            && runs.iter().any(|(below, _)| below.soft < point.soft && !ends(below)),
    })
}

/// The cause that stopped this run, by its own evidence.
fn what(point: &Point, r: &Report) -> What {
    let what = What { held: r.found.ceiling.accepted.value(), stop: stop(point, r), wrote: None };
    // Without a call that was seen to fail, what it wrote is no evidence.
    if what.is_nothing() || point.kind.is_none() {
        return what;
    }
    What { wrote: r.found.costs.log_sample.last().cloned(), ..what }
}

/// The limit in force, which is lower than what was asked for.
fn limit_kept(soft: u64, r: &Report) -> What {
    let set_by = r.found.limits.set_by.get().map(|by| by.command.clone());
    let held = r.found.ceiling.accepted.value();
    What { held, stop: Stop::LimitKept { soft, set_by }, wrote: None }
}

fn stop(point: &Point, r: &Report) -> Stop {
    let found = &r.found;
    let binds = found.binds.get().cloned();
    let seen = found.policy.evidence.get().cloned();
    match (point.kind, binds) {
        (Some(Kind::OtherLimit), Some(binds)) => Stop::RanOut(binds),
        (Some(Kind::OtherLimit), None) => Stop::Unseen,
        (Some(Kind::OwnLimit), _) => Stop::OwnRule { turned_away: turned_away(r), seen },
        (Some(Kind::Exited), binds) => Stop::Exited { exit: found.ceiling.exit.clone(), binds, seen },
        (Some(Kind::Enfile), _) => Stop::HostFiles,
        (Some(Kind::Generator), Some(binds)) if binds.resource == Resource::SourcePorts => {
            Stop::SourcePorts(binds)
        }
        (Some(Kind::Generator), _) => Stop::Generator(doubt(r).cloned()),
        (Some(Kind::NotReached), _) => Stop::AllAccepted { handed_over: found.handed_over.is_some() },
        (Some(Kind::Emfile), _) => Stop::DescriptorCall(seen),
        (None, _) if point.reached == Some(false) => Stop::AllHeld,
        (None, Some(binds)) => Stop::RanOut(binds),
        (None, None) => Stop::NotKnown(doubt(r).cloned()),
    }
}

fn at_fd_setsize(r: &Report) -> bool {
    r.found.binds.get().is_some_and(|binds| binds.resource == Resource::FdSetsize)
}

/// Whether the server never serves again after its wall: it exits, or its accept loop is dead.
fn ends(point: &Point) -> bool {
    matches!(point.policy, Some(Policy::Exits | Policy::AcceptLoopDead))
}

fn turned_away(r: &Report) -> bool {
    let ceiling = &r.found.ceiling;
    let unserved =
        ceiling.connected.value().zip(ceiling.served.value()).is_some_and(|(all, served)| all > served);
    let queue_empty = r.found.sockets.accept_queue.get().is_some_and(|q| q.length == 0);
    r.found.held_closed.value().is_some_and(|closed| closed > 0) || unserved && queue_empty
}

/// Why nothing can be concluded from the run.
pub fn doubt(r: &Report) -> Option<&Reason> {
    r.verdict.reasons.iter().find(|reason| reason.of_the_run())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Bound, Errno, Limits, Log};
    use crate::judge::Verdict;
    use crate::measure::{
        Binds, BindsEvidence, Exhausted, Exit, FdSetsize, FirstFailure, Known, LostToTheQueue, Refusal,
        TaskLimit, Why,
    };
    use crate::report::words::sweep as words;
    use crate::scenario;
    use std::path::Path;

    /// A run at this limit that was stopped so, with seven descriptors at rest.
    fn run(soft: u64, kind: Kind, held: u64) -> Report {
        let text = format!(
            "claim = \"c\"\nprocesses.server = {{ command = [\"s\"], limits = {{ soft = {soft}, hard = {soft} }} }}\nworkloads.w.tcp = {{}}"
        );
        let plan = scenario::parse(&text, "x.toml", "x", Path::new(".")).expect("a scenario").remove(0);
        let mut m = crate::measure::measure(&plan, &Log::default());
        m.limits.requested = Known::Value(Limits { soft, hard: soft });
        m.limits.effective = m.limits.requested.clone();
        m.baseline.counted = Known::Value(7);
        (m.ceiling.kind, m.ceiling.accepted) = (Known::Value(kind), Known::Value(held));
        m.ceiling.reached = Known::Value(kind != Kind::NotReached);
        let failed = FirstFailure {
            pid: 1,
            call: Call::Accept4,
            errno: "EMFILE",
            at_s: 1.0,
            accepted_before: held,
            waiting_clients: 0,
            next_connects: false,
            in_child: false,
            reason: None,
        };
        if kind == Kind::Emfile {
            m.ceiling.first_failure = Known::Value(failed);
        }
        Report::new(&plan, m, Verdict { outcome: crate::judge::Outcome::Met, reasons: Vec::new(), judged: 0 })
    }

    /// The sentence about the other cause, with its evidence.
    fn what(sweep: &Sweep) -> String {
        words::what(&sweep.binds.as_ref().expect("something else binds").what)
    }

    /// Subtraction alone.
    fn less(less: i64) -> Option<Formula> {
        Some(Formula { numerator: 1, denominator: 1, less })
    }

    #[test]
    fn a_formula_of_the_programs_own_is_found_and_inverted() {
        let at = |of: fn(i64) -> i64| [64, 256, 1024].map(|soft| (soft, of(soft)));
        let found = |numerator, denominator, less| Some(Formula { numerator, denominator, less });
        assert_eq!(Formula::through(&at(|soft| soft - 32)), found(1, 1, 32));
        assert_eq!(Formula::through(&at(|soft| (soft - 18) / 2)), found(1, 2, 18));
        assert_eq!(Formula::through(&at(|soft| soft / 3)), found(1, 3, 0));
        // 0.9 × (soft − 100) − 2 is 0.9 × soft − 92.
        let [few, more, most] = [200, 500, 2000].map(|soft| (soft, (soft - 100) * 9 / 10 - 2));
        assert_eq!(Formula::through(&[few, more, most]), found(9, 10, 920));
        assert_eq!(found(1, 2, 18).map(|half| half.soft_for(5000)), Some(10018));
        for soft_for in [found(9, 10, 920), found(1, 3, 0), found(2, 3, 7)].into_iter().flatten() {
            let Formula { numerator, denominator, less } = soft_for;
            let holds = |soft: u64| (numerator * soft as i64 - less).div_euclid(denominator);
            let soft = soft_for.soft_for(5000);
            assert!(holds(soft) >= 5000 && holds(soft - 1) < 5000, "{soft_for:?}: {soft}");
        }
        assert_eq!(Formula::through(&[(64, 20), (256, 90), (1024, 900)]), None, "no share of the limit");
        assert_eq!(Formula::through(&[(20, 10), (21, 10)]), None, "many");
    }

    #[test]
    fn what_clients_need_is_said_with_what_binds_before() {
        let s = sweep(&[(64, Kind::Emfile, 57), (256, Kind::Emfile, 249)]);
        let needs = |s: Sweep, clients| s.for_clients(clients).needs.expect("asked");
        assert_eq!(needs(s, 5000), Needs { clients: 5000, soft: Some(5007), bound_before: false });
        let threads =
            [run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), run(1024, Kind::OtherLimit, 300)];
        assert_eq!(
            needs(Sweep::of(&threads), 5000),
            Needs { clients: 5000, soft: Some(5007), bound_before: true }
        );
        assert!(!needs(Sweep::of(&threads), 200).bound_before);
        assert_eq!(needs(sweep(&[(64, Kind::Emfile, 57)]), 5000).soft, None);
    }

    fn sweep(points: &[(u64, Kind, u64)]) -> Sweep {
        Sweep::of(&points.iter().map(|&(soft, kind, held)| run(soft, kind, held)).collect::<Vec<_>>())
    }

    #[test]
    fn a_descriptor_a_connection_lies_on_a_line_through_what_is_open_at_rest() {
        let s = sweep(&[(1024, Kind::Emfile, 1017), (64, Kind::Emfile, 57), (256, Kind::Emfile, 249)]);
        assert_eq!(
            s.points.iter().map(|p| p.asked).collect::<Vec<_>>(),
            [Some(64), Some(256), Some(1024)],
            "in their order"
        );
        assert_eq!(
            s.fit,
            Some(Fit {
                by: Kind::Emfile,
                points: 3,
                at_rest: 7.0,
                per_connection: 1.0,
                residual: 0.0,
                formula: less(7)
            })
        );
        assert_eq!((s.no_fit, s.binds), (None, None));
    }

    #[test]
    fn what_a_connection_costs_is_the_slope_and_rounding_is_the_residual() {
        // 57, 250 and 1017 places for two each; the last connection is accepted without its second.
        let fit = sweep(&[(64, Kind::Emfile, 29), (257, Kind::Emfile, 125), (1024, Kind::Emfile, 509)])
            .fit
            .expect("a line");
        assert!(
            (fit.per_connection - 2.0).abs() < 0.01 && (fit.at_rest - 6.5).abs() < 1.0 && fit.residual < 0.5,
            "{fit:?}"
        );
    }

    #[test]
    fn ceilings_that_bend_are_on_no_line() {
        let root = |soft: u64| (soft as f64).sqrt() as u64;
        let roots = sweep(&[64, 128, 256, 512].map(|soft| (soft, Kind::OwnLimit, root(soft))));
        assert_eq!((roots.fit.clone(), &roots.no_fit), (None, &Some(NoFit::Bent(None))));
        assert_eq!(roots.for_clients(300).needs.and_then(|needs| needs.soft), None);
        let capped = sweep(&[64, 128, 256, 512].map(|soft| (soft, Kind::OwnLimit, (soft - 10).min(200))));
        assert_eq!((capped.fit, capped.no_fit), (None, Some(NoFit::Bent(Some((256, 200))))));
    }

    #[test]
    fn a_rule_of_its_own_that_follows_the_limit_is_a_line_too() {
        let s = sweep(&[(64, Kind::OwnLimit, 32), (256, Kind::OwnLimit, 224), (1024, Kind::OwnLimit, 992)]);
        assert_eq!(
            s.fit,
            Some(Fit {
                by: Kind::OwnLimit,
                points: 3,
                at_rest: 32.0,
                per_connection: 1.0,
                residual: 0.0,
                formula: less(32)
            })
        );
        assert_eq!(s.binds, None);
    }

    #[test]
    fn what_else_binds_is_named_with_its_evidence_and_from_its_first_limit() {
        let own = sweep(&[
            (64, Kind::Emfile, 57),
            (256, Kind::Emfile, 249),
            (1024, Kind::OwnLimit, 300),
            (4096, Kind::OwnLimit, 300),
        ]);
        let said = what(&own);
        assert!(said.contains("by its own rule at 300") && !said.contains("select"), "{said}");
        assert_eq!((own.binds.map(|b| b.from), own.fit.map(|f| f.points)), (Some(1024), Some(2)));
        let all = sweep(&[(64, Kind::Emfile, 57), (256, Kind::NotReached, 100)]);
        assert!(what(&all).contains("all 100 clients were accepted"), "{}", what(&all));
        assert_eq!((all.fit, all.no_fit), (None, Some(NoFit::OnePoint)));
        let later =
            sweep(&[(64, Kind::NotReached, 100), (256, Kind::NotReached, 400), (1024, Kind::Exited, 1000)]);
        assert_eq!(later.binds.map(|binds| binds.from), Some(1024), "what did not stop binds nothing");
    }

    #[test]
    fn what_was_seen_to_run_out_is_named_with_its_evidence() {
        let mut threads = run(1024, Kind::OtherLimit, 300);
        let refused = Refusal {
            call: "clone3".into(),
            errno: Errno::EAGAIN,
            times: 12,
            first_at_s: 0.5,
            after_accepts: 300,
        };
        let limit = TaskLimit::User(Bound { used: 310, most: 310 });
        let exhausted = Exhausted::Tasks { refused: Some(refused), threads: 300, processes: 0, limit };
        threads.found.binds = Known::Value(Binds {
            resource: Resource::Threads,
            evidence: BindsEvidence::Exhausted(exhausted),
        });
        let s = Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), threads.clone()]);
        let binds = s.binds.clone().expect("threads");
        assert_eq!(
            (binds.from, binds.resource, s.fit.as_ref().map(|f| f.points)),
            (1024, Some(Resource::Threads), Some(2))
        );
        let said = what(&s);
        assert!(said.starts_with("threads, at 300: clone3 failed with EAGAIN 12 times"), "{said}");
        // The formats for machines have it too.
        let reports = [run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), threads];
        let markdown = crate::report::markdown::render_sweep(&reports, &s);
        assert!(
            markdown.contains("| 256 | 7 | – | 249 | accept4 | – |")
                && markdown.contains("From 1024 on, something else binds"),
            "{markdown}"
        );
        let junit = crate::report::junit::render_sweep(&reports, &s);
        assert!(
            junit.contains("ceiling = soft − 7") && junit.contains("name=\"sweep.binds\" value=\"threads\""),
            "{junit}"
        );
        let mut lost = run(64, Kind::NotReached, 0);
        let unknown = Why::ConnectsTimedOut { connects: 4 };
        lost.found.ceiling.kind = Known::Unknown(unknown.clone());
        lost.found.ceiling.accepted = Known::Unknown(unknown.clone());
        lost.found.ceiling.reached = Known::Unknown(unknown);
        let queue = LostToTheQueue {
            timed_out: 4,
            half_done: 0,
            longest: 9,
            capacity: 9,
            overflows: 4,
            by_listener: true,
            somaxconn: None,
            descriptors: None,
        };
        let evidence = BindsEvidence::AcceptQueue(queue);
        lost.found.binds = Known::Value(Binds { resource: Resource::AcceptQueue, evidence });
        let said = what(&Sweep::of(&[lost]));
        assert!(said.starts_with("room in its accept queue, at an unknown number: "), "{said}");
        let unknown =
            sweep(&[(64, Kind::Emfile, 57), (256, Kind::Emfile, 249), (512, Kind::OtherLimit, 300)]);
        assert_eq!(what(&unknown), "not known, at 300");
        assert_eq!(unknown.binds.and_then(|binds| binds.resource), None);
    }

    #[test]
    fn ceilings_that_only_the_descriptor_count_tells_are_on_the_line() {
        let counted = |soft, reached, held| {
            let mut report = run(soft, Kind::Emfile, held);
            let ceiling = &mut report.found.ceiling;
            ceiling.kind = Known::Unknown(Why::AcceptsPassBy);
            ceiling.reached = Known::Value(reached);
            ceiling.first_failure = Known::Unknown(Why::AcceptsPassBy);
            report
        };
        let s = Sweep::of(&[counted(64, true, 57), counted(256, true, 249), counted(1024, false, 400)]);
        assert_eq!(
            s.fit,
            Some(Fit {
                by: Kind::Emfile,
                points: 2,
                at_rest: 7.0,
                per_connection: 1.0,
                residual: 0.0,
                formula: less(7)
            })
        );
        assert_eq!(what(&s), "all 400 clients are held, by its descriptor count");
        assert_eq!(s.binds.as_ref().map(|binds| binds.from), Some(1024));
        let cells: Vec<String> = s.points.iter().map(|point| words::cells(point)[3].clone()).collect();
        assert_eq!(
            cells,
            ["57 (by descriptor count)", "249 (by descriptor count)", "not reached (by descriptor count)"]
        );
    }

    #[test]
    fn where_fd_setsize_ends_it_raising_the_limit_made_it_worse() {
        let mut died = run(4096, Kind::Exited, 1016);
        let end = FdSetsize { highest: 1024, soft: 4096, unwatched: 1 };
        let binds = measure::Binds { resource: Resource::FdSetsize, evidence: BindsEvidence::FdSetsize(end) };
        (died.found.binds, died.found.policy.policy) = (Known::Value(binds), Known::Value(Policy::Exits));
        died.found.ceiling.exit = Some(Exit {
            code: Known::Unknown(Why::KilledBySignal),
            signal: Known::Value(6),
            when_asked: false,
        });
        died.found.costs.log_sample = vec!["*** buffer overflow detected ***".into()];
        let s = Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), died.clone()]);
        let said = words::said(&s).pop().expect("what binds").1;
        for words in [
            "exited with 1016 connections held, by signal 6",
            "FD_SETSIZE",
            "it wrote: *** buffer overflow",
            "Raising the limit made it worse",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let alone = Sweep::of(&[died]).binds.expect("FD_SETSIZE");
        assert!(!alone.worse, "nothing to compare with");
    }

    #[test]
    fn one_limit_under_several_hard_ones_makes_no_line() {
        let s = sweep(&[(256, Kind::Emfile, 249), (256, Kind::Emfile, 249)]);
        assert_eq!((s.fit, s.no_fit, s.binds), (None, Some(NoFit::OneLimit), None));
        let s = sweep(&[(256, Kind::Emfile, 249), (256, Kind::Emfile, 248)]);
        assert_eq!((s.fit, s.no_fit), (None, Some(NoFit::OneLimit)), "and no limit is divided by nothing");
    }

    #[test]
    fn where_all_clients_were_taken_junit_says_that_nothing_binds() {
        let binds = |kind| {
            let reports = [run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), run(1024, kind, 400)];
            crate::report::junit::render_sweep(&reports, &Sweep::of(&reports))
        };
        assert!(binds(Kind::NotReached).contains("name=\"sweep.binds\" value=\"nothing\""));
        assert!(binds(Kind::OtherLimit).contains("name=\"sweep.binds\" value=\"not known\""));
    }

    #[test]
    fn a_ceiling_that_never_moves_is_said_not_to_depend_on_the_limit() {
        let s = sweep(&[(64, Kind::OwnLimit, 30), (256, Kind::OwnLimit, 30)]);
        assert_eq!((s.fit.is_none(), s.binds.map(|b| b.from)), (true, Some(64)));
        assert_eq!(s.no_fit, Some(NoFit::Constant(30)));
        let mut kept = run(1024, Kind::Emfile, 249);
        kept.found.limits.effective = Known::Value(Limits { soft: 256, hard: 1024 });
        let s = Sweep::of(&[run(64, Kind::Emfile, 57), run(256, Kind::Emfile, 249), kept]);
        assert_eq!(what(&s), "the limit in force is 256, whatever is asked for");
        assert_eq!(s.binds.map(|binds| binds.from), Some(1024));
    }
}

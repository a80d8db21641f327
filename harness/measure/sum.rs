//! Why it stopped at this number: what took the descriptors that the soft limit allows.

use super::baseline::Baseline;
use super::ceiling::Ceiling;
use super::known::{Known, OrWhy, Why};
use super::limits::LimitsFound;
use super::prediction::Prediction;
use crate::event::{Formula, Room};

/// The soft limit, and what took its descriptors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sum {
    /// The soft limit in force.
    pub soft: u64,
    /// Descriptors that clients or calls can take, as the prediction counts them: a number that a thread
    /// blocked in accept keeps for its next client is free.
    pub free: Known<u64>,
    /// Calls that were under way at rest, and had their descriptors then.
    pub under_way: u64,
    /// What took them, in the order in which it is said; none where nobody counted those at rest.
    pub terms: Vec<Term>,
    /// What the terms leave of the limit.
    pub leaves: Leaves,
}

/// What the terms leave of the soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leaves {
    /// As many connections or calls as the ceiling says.
    TheCeiling,
    /// Nothing: they are all that was open. How many calls were answered by then follows from no sum.
    Nothing,
    /// Nobody knows.
    Unknown,
}

/// Descriptors, and what took them or gave them back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Term {
    /// Open before the first client.
    AlreadyOpen(u64),
    /// The same, but for `kept`: numbers that threads blocked in accept keep for their next clients.
    InUse {
        /// Those that are taken.
        used: u64,
        /// Those that are not.
        kept: u64,
    },
    /// Opened after the first client came, and no connections of clients.
    OpenedSince(u64),
    /// Of those at rest, closed by the time of the first failure.
    ClosedSince(u64),
    /// Connections of clients of a service, open just before the first failure.
    ConnectionsOfClients(u64),
    /// Opened by a service for the calls that came by these connections.
    OpenedByCalls(u64),
    /// Each connection or call takes more than one.
    Each {
        /// So many.
        descriptors: f64,
        /// The last one got only so many; `None`: all that it takes.
        last_got: Option<f64>,
        /// Whether it takes more still while it is made.
        more_while_made: bool,
    },
    /// Opened once, with the first few connections.
    OpenedOnce(u64),
    /// Opened for all calls together.
    SharedByCalls(u64),
    /// The last connection takes so many more while it is made.
    ToMakeTheLast(u64),
    /// Calls that were under way at rest, and had their descriptors then.
    UnderWay(u64),
    /// The arithmetic of the prediction, where its terms are no numbers to take away.
    AsPredicted(Formula),
}

impl Sum {
    /// Calls that fill the limit where each leaves so many descriptors open; `None`: not known.
    pub fn full_after(&self, each: f64) -> Option<u64> {
        let free = self.free.value()?;
        Some(((free as f64 / each) as u64).saturating_add(self.under_way))
    }
}

/// The first of the sums that comes to the ceiling.
pub(super) fn sum(
    limits: &LimitsFound,
    baseline: &Baseline,
    prediction: &Prediction,
    ceiling: &Ceiling,
) -> Known<Sum> {
    let soft = match limits.effective.known() {
        Ok(limits) => limits.soft,
        Err(why) => return Known::Unknown(why.clone()),
    };
    let Some(rest) = baseline.counted.value() else {
        let (free, terms) = (Known::Unknown(Why::BaselineNotRead), Vec::new());
        return Known::Value(Sum { soft, free, under_way: 0, terms, leaves: Leaves::Unknown });
    };
    let found = Found { soft, rest, left: soft.saturating_sub(rest) };
    let explained = match ceiling.held() {
        Some(held) => explained(found, held, baseline, prediction, ceiling),
        None => uncounted(found, ceiling),
    };
    let (terms, leaves) = explained.unwrap_or((vec![Term::AlreadyOpen(rest)], Leaves::Unknown));
    let (free, under_way) = match prediction.formula.get() {
        Some(Formula::Process(room)) => (Some(room.free()), room.under_way),
        // The first prediction takes one descriptor for each.
        _ => (prediction.before_first_client, 0),
    };
    Known::Value(Sum { soft, free: free.or_why(Why::NothingPredicted), under_way, terms, leaves })
}

/// The soft limit, the descriptors at rest below it, and the others.
#[derive(Clone, Copy)]
struct Found {
    soft: u64,
    rest: u64,
    left: u64,
}

/// The same of calls that nobody counted: what they opened may be all that was free.
fn uncounted(found: Found, ceiling: &Ceiling) -> Option<(Vec<Term>, Leaves)> {
    let opened = ceiling.others.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)?;
    let all = ceiling.in_calls() && found.left == opened;
    all.then(|| (vec![Term::AlreadyOpen(found.rest), Term::OpenedByCalls(opened)], Leaves::Nothing))
}

/// The terms that explain so many connections or calls; `None` where none do.
fn explained(
    found: Found,
    held: u64,
    baseline: &Baseline,
    prediction: &Prediction,
    ceiling: &Ceiling,
) -> Option<(Vec<Term>, Leaves)> {
    let open = Term::AlreadyOpen(found.rest);
    let with = |term: Term| Some((vec![open.clone(), term], Leaves::TheCeiling));
    let others = ceiling.others.unwrap_or(0);
    // Descriptors opened since may have taken as many as threads blocked in accept keep for their clients.
    let kept = held.checked_add_signed(others).and_then(|taken| taken.checked_sub(found.left));
    if let Some(kept) = kept.filter(|kept| others > 0 && (1..=baseline.reserved()).contains(kept)) {
        let used = Term::InUse { used: found.rest - kept, kept };
        return Some((vec![used, since(others)], Leaves::TheCeiling));
    }
    if found.left == held {
        return Some((vec![open], Leaves::TheCeiling));
    }
    // Calibration saw what each takes: that says more than how many were opened in all.
    if let Some(each) = each(found.left, held, prediction, ceiling) {
        return with(each);
    }
    if found.left.checked_add_signed(others.saturating_neg()) == Some(held) {
        return with(since(others));
    }
    if ceiling.in_calls() {
        let connections = ceiling.first_failure.get().map_or(0, |first| first.accepted_before);
        if found.left.checked_sub(connections) == Some(held) {
            return with(Term::ConnectionsOfClients(connections));
        }
        let taken = found.rest.checked_add(connections).and_then(|taken| taken.checked_add_signed(others));
        if taken == Some(found.soft) {
            return Some((all_taken(open, connections, others), Leaves::Nothing));
        }
    }
    // The number that a thread blocked in accept has reserved is its next client's.
    let kept = held.saturating_sub(found.left);
    if (1..=baseline.reserved()).contains(&kept) {
        return Some((vec![Term::InUse { used: found.rest - kept, kept }], Leaves::TheCeiling));
    }
    let formula = prediction.formula.get().filter(|_| prediction.ceiling.value() == Some(held))?;
    Some((as_predicted(found, formula), Leaves::TheCeiling))
}

/// The terms of a prediction for these descriptors at rest.
fn as_predicted(found: Found, formula: &Formula) -> Vec<Term> {
    let of_these = |room: &Room| {
        (room.soft, room.already_open, room.reserved) == (found.soft, found.rest, 0) && room.each.is_none()
    };
    let Formula::Process(room) = formula else { return vec![Term::AsPredicted(formula.clone())] };
    if !of_these(room) {
        return vec![Term::AsPredicted(formula.clone())];
    }
    let terms = [
        (room.opened_once, Term::OpenedOnce(room.opened_once)),
        (room.shared, Term::SharedByCalls(room.shared)),
        (room.making.saturating_sub(1), Term::ToMakeTheLast(room.making.saturating_sub(1))),
        (room.under_way, Term::UnderWay(room.under_way)),
    ];
    let there = terms.into_iter().filter(|(n, _)| *n > 0).map(|(_, term)| term);
    std::iter::once(Term::AlreadyOpen(found.rest)).chain(there).collect()
}

/// Descriptors more, or fewer, than at rest.
fn since(others: i64) -> Term {
    let n = others.unsigned_abs();
    if others > 0 { Term::OpenedSince(n) } else { Term::ClosedSince(n) }
}

/// All that is open in a full table of a subject of calls.
fn all_taken(open: Term, connections: u64, others: i64) -> Vec<Term> {
    let of_clients = (connections > 0).then_some(Term::ConnectionsOfClients(connections));
    let opened = match (others, connections) {
        (0, _) => None,
        (1.., 1..) => Some(Term::OpenedByCalls(others.unsigned_abs())),
        _ => Some(since(others)),
    };
    [Some(open), of_clients, opened].into_iter().flatten().collect()
}

/// What each takes, where that is more than one descriptor and explains the ceiling.
fn each(left: u64, held: u64, prediction: &Prediction, ceiling: &Ceiling) -> Option<Term> {
    let each = prediction.measured_cost().filter(|each| *each > 1.0)?;
    let room = left as f64;
    let of = |last_got, more_while_made| Some(Term::Each { descriptors: each, last_got, more_while_made });
    // The last one may find room for its first descriptor only.
    if (room / each).ceil() as u64 == held {
        return of(Some(room % each).filter(|got| *got > 0.0), false);
    }
    // The next one did not find room for all that it takes while it is made.
    let unused = room - held as f64 * each;
    let lost = ceiling.capacity.value() != ceiling.accepted.value();
    if lost && unused >= 0.0 { of(None, unused >= each) } else { None }
}

//! The ceiling as it was predicted, and the sum that makes the one that was found.

use super::super::Report;
use super::why::why;
use super::{counted, limits, list, unit, upstream};
use crate::measure::{Kind, Leaves, Term};

/// The prediction with its arithmetic, or why there is none.
pub fn predicted(r: &Report) -> Option<String> {
    let p = &r.found.prediction;
    let Some(ceiling) = p.ceiling.value() else {
        let (why, assumed) = (p.ceiling.why().map(why)?, p.before_first_client?);
        return Some(format!(
            "None: {why}. Before the first client, {} had been predicted.",
            counted(assumed, unit(r))
        ));
    };
    let one = unit(r);
    let with = if upstream::is_called(r) { "call" } else { "client" };
    let each = match (p.calibrated_with.value(), p.descriptors_per_connection.value()) {
        (Some(0) | None, _) => format!("assuming one descriptor per {one}"),
        (Some(n), Some(1.0)) => {
            format!("one descriptor per {one}, measured with {}", counted(n.into(), with))
        }
        (Some(n), each) => {
            format!(
                "{} descriptors per {one}, measured with {}",
                each.unwrap_or(1.0),
                counted(n.into(), with)
            )
        }
    };
    let sum = match (r.found.limits.effective.value(), r.found.baseline.counted.value()) {
        (Some(limits), Some(rest)) if limits.soft.checked_sub(rest) == Some(ceiling) => {
            format!(" = {} − {rest}", limits.soft)
        }
        _ => p
            .formula
            .get()
            .map_or(String::new(), |formula| format!(" = {}", without_result(formula, ceiling))),
    };
    Some(format!("{}{sum} ({each}){}.", counted(ceiling, one), first(r, ceiling)))
}

/// What came before the predicted number, where that was no descriptor limit; or why there was room for more.
fn first(r: &Report, predicted: u64) -> &'static str {
    let ceiling = &r.found.ceiling;
    let fewer = ceiling.held().is_some_and(|held| held < predicted);
    let more = ceiling.held().is_some_and(|held| held > predicted);
    match ceiling.kind.value() {
        _ if more && r.found.holders.processes > 1 => "; connections went to further processes, too",
        Some(Kind::OwnLimit) if fewer => "; a rule of its own stopped it before that",
        Some(Kind::OtherLimit) if fewer => "; another resource ran out before that",
        _ => "",
    }
}

/// The arithmetic as the run recorded it, without the number that it comes to.
fn without_result(formula: &str, ceiling: u64) -> &str {
    formula.strip_suffix(&format!(" = {ceiling}")).unwrap_or(formula)
}

/// Why it stopped at this number, as a remark in brackets: what remains of the soft limit, and who set that.
pub fn sum(r: &Report) -> Option<String> {
    let sum = r.found.sum.get()?;
    let by = limits::whose(r).map_or(String::new(), |by| format!("; set by {by}"));
    let limit = format!("soft limit of {}", sum.soft);
    let terms = || sum.terms.iter();
    let sum = match sum.leaves {
        Leaves::TheCeiling => terms().fold(limit, |said, term| said + &taken(r, term)),
        Leaves::Nothing => format!("{limit}: {}", list(&terms().map(|of| term(r, of)).collect::<Vec<_>>())),
        Leaves::Unknown => terms().fold(limit, |said, of| format!("{said}, {}", term(r, of))),
    };
    Some(sum + &by + &terms().filter_map(kept).collect::<String>())
}

/// A term of a sum that leaves the ceiling, with what comes before it.
fn taken(r: &Report, of: &Term) -> String {
    let said = term(r, of);
    match of {
        Term::ClosedSince(_) => format!(", plus {said}"),
        Term::Each { .. } => format!(", {said}"),
        Term::AsPredicted(_) => format!(": {said}"),
        _ => format!(", minus {said}"),
    }
}

/// What took descriptors, or gave them back.
fn term(r: &Report, term: &Term) -> String {
    match term {
        Term::AlreadyOpen(n) => format!("{n} already open"),
        Term::InUse { used, .. } => format!("{used} already in use"),
        Term::OpenedSince(n) => format!("{n} opened since"),
        Term::ClosedSince(n) => format!("{n} closed since"),
        Term::ConnectionsOfClients(n) => counted(*n, "client connection"),
        Term::OpenedByCalls(n) => format!("{n} opened by calls"),
        Term::Each { descriptors, last_got, more_while_made } => {
            let last = last_got.map_or(String::new(), |got| format!(", the last one got only {got}"));
            let more = if *more_while_made { " and more while it is made" } else { "" };
            format!("{descriptors} per {}{last}{more}", unit(r))
        }
        Term::AsPredicted(formula) => without_result(formula, r.found.ceiling.held().unwrap_or(0)).to_owned(),
    }
}

/// Which numbers are free for the next clients, though `/proc` counts them.
fn kept(term: &Term) -> Option<String> {
    match term {
        Term::InUse { kept: 1, .. } => Some("; a thread in accept keeps 1 for the next client".to_owned()),
        Term::InUse { kept, .. } => Some(format!("; threads in accept keep {kept} for the next clients")),
        _ => None,
    }
}

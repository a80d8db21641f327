//! The ceiling as it was predicted, with its arithmetic, and the sum that makes the one that was found.

use super::super::Report;
use super::why::why;
use super::{counted, limits, list, unit, upstream};
use crate::event::{Formula, Room, Rounding};
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
        _ => p.formula.get().map_or(String::new(), |formula| format!(" = {}", arithmetic(formula))),
    };
    Some(format!("{}{sum} ({each}){}.", counted(ceiling, one), first(r, ceiling)))
}

/// The cause that stopped it before the predicted number, where that was no descriptor limit; or why there
/// was room for more.
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

/// The arithmetic of a prediction, with its result.
pub fn formula(formula: &Formula) -> String {
    format!("{} = {}", arithmetic(formula), formula.ceiling())
}

/// The same without the result.
fn arithmetic(formula: &Formula) -> String {
    match formula {
        Formula::Process(room) => of_process(room),
        Formula::Processes(rooms) => {
            let rooms: Vec<String> = rooms.iter().map(u64::to_string).collect();
            format!("{}, in the processes that connections are handed to", rooms.join(" + "))
        }
    }
}

fn of_process(room: &Room) -> String {
    let Room { soft, already_open, reserved, opened_once, shared, making, under_way, .. } = *room;
    let at_rest = if reserved > 0 { " at rest" } else { "" };
    let less = |n, what: &str| if n > 0 { format!(" − {n} {what}") } else { String::new() };
    let free = format!(
        "{soft} − {already_open}{at_rest}{}{}{}",
        less(reserved, "reserved by threads blocked in accept for others"),
        less(opened_once, "opened once"),
        less(shared, "that all calls share"),
    );
    let under_way = if under_way > 0 { format!(" + {under_way} already under way") } else { String::new() };
    match room.each {
        None => format!("{free}{}{under_way}", less(making.saturating_sub(1), "more to make the last")),
        Some(each) if making > 0 => {
            format!("⌊({free} − {making} to make the last) ÷ {}⌋ + 1", each.descriptors)
        }
        Some(each) => {
            let [left, right] = match each.rounding {
                Rounding::Up => ["⌈", "⌉"],
                Rounding::Down => ["⌊", "⌋"],
            };
            format!("{left}({free}) ÷ {}{right}{under_way}", each.descriptors)
        }
    }
}

/// Why it stopped at this number, as a remark in brackets: what remains of the soft limit, and who set that.
pub fn sum(r: &Report) -> Option<String> {
    let sum = r.found.sum.get()?;
    let by = limits::whose(r).map_or(String::new(), |by| format!(", set by {by}"));
    let limit = format!("soft limit of {}{by}", sum.soft);
    let terms = || sum.terms.iter();
    Some(match sum.leaves {
        Leaves::TheCeiling => terms().fold(limit, |said, term| said + &taken(r, term)),
        Leaves::Nothing => format!("{limit}: {}", list(&terms().map(|of| term(r, of)).collect::<Vec<_>>())),
        Leaves::Unknown => terms().fold(limit, |said, of| format!("{said}, {}", term(r, of))),
    })
}

/// A term of a sum that leaves the ceiling, with what comes before it.
fn taken(r: &Report, of: &Term) -> String {
    let said = term(r, of);
    match of {
        Term::ClosedSince(_) | Term::UnderWay(_) => format!(", plus {said}"),
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
            let last = last_got.map_or(String::new(), |got| format!(", only {got} for the last"));
            let more = if *more_while_made { " and more while it is made" } else { "" };
            format!("{descriptors} per {}{last}{more}", unit(r))
        }
        Term::OpenedOnce(n) => format!("{n} opened once"),
        Term::SharedByCalls(n) => format!("{n} that all calls share"),
        Term::ToMakeTheLast(n) => format!("{n} more to make the last"),
        Term::UnderWay(n) => format!("{n} already under way"),
        Term::AsPredicted(formula) => arithmetic(formula),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As runs wrote it when a formula was a text.
    #[test]
    fn a_formula_reads_as_event_logs_of_schema_2_had_it() {
        let room = Room::new(64, 7);
        let said = |room: Room| formula(&Formula::Process(room));
        assert_eq!(said(room), "64 − 7 = 57");
        let reserved = Room { reserved: 2, ..Room::new(64, 5) };
        assert_eq!(
            said(reserved),
            "64 − 5 at rest − 2 reserved by threads blocked in accept for others = 57"
        );
        let once = Room { opened_once: 1, ..room };
        assert_eq!(said(once), "64 − 7 − 1 opened once = 56");
        assert_eq!(said(once.each(2.0, Rounding::Up)), "⌈(64 − 7 − 1 opened once) ÷ 2⌉ = 28");
        assert_eq!(said(Room { making: 3, ..room }), "64 − 7 − 2 more to make the last = 55");
        let making = Room { making: 9, ..room.each(4.0, Rounding::Down) };
        assert_eq!(said(making), "⌊(64 − 7 − 9 to make the last) ÷ 4⌋ + 1 = 13");
        assert_eq!(said(room.each(1.0, Rounding::Down)), "⌊(64 − 7) ÷ 1⌋ = 57");
        let calls = Room { shared: 1, under_way: 1, ..Room::new(128, 12) };
        assert_eq!(said(calls), "128 − 12 − 1 that all calls share + 1 already under way = 116");
        let three = calls.each(2.5, Rounding::Down);
        assert_eq!(said(three), "⌊(128 − 12 − 1 that all calls share) ÷ 2.5⌋ + 1 already under way = 47");
        let handed = formula(&Formula::Processes(vec![45, 45]));
        assert_eq!(handed, "45 + 45, in the processes that connections are handed to = 90");
    }
}

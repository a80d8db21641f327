//! The ceiling as it was predicted, and the sum that makes the one that was found.

use super::super::Report;
use super::why::why;
use super::{counted, limits, unit, upstream};
use crate::measure::Kind;

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

/// The arithmetic as the run recorded it, without its result.
fn without_result(formula: &str, ceiling: u64) -> &str {
    formula.strip_suffix(&format!(" = {ceiling}")).unwrap_or(formula)
}

/// Why it stopped at this number, as a remark in brackets: what remains of the soft limit, and who set that.
pub fn sum(r: &Report) -> Option<String> {
    let by = limits::whose(r).map_or(String::new(), |by| format!("; set by {by}"));
    let (sum, more) = remains(r)?;
    Some(sum + &by + &more)
}

/// The descriptors that remain for connections, and a remark about them.
fn remains(r: &Report) -> Option<(String, String)> {
    let f = &r.found;
    let soft = f.limits.effective.value()?.soft;
    let limit = format!("soft limit of {soft}");
    let Some(rest) = f.baseline.counted.value() else {
        return Some((limit, String::new()));
    };
    let open = format!("{rest} already open");
    let plain = format!("{limit}, {open}");
    let Some(held) = f.ceiling.held() else { return Some((plain, String::new())) };
    let left = soft.saturating_sub(rest);
    let each = f.prediction.measured_cost().filter(|each| *each > 1.0);
    let beside = f.ceiling.others.filter(|n| *n != 0);
    let sum = match (each, beside) {
        _ if left == held => format!("{limit}, minus {open}"),
        (_, Some(n)) if left.checked_add_signed(-n) == Some(held) && n > 0 => {
            format!("{limit}, minus {open}, minus {n} opened since")
        }
        (_, Some(n)) if left.checked_add_signed(-n) == Some(held) => {
            format!("{limit}, minus {open}, plus {} closed since", n.unsigned_abs())
        }
        // The last one may find room for its first descriptor only.
        (Some(each), _) if (left as f64 / each).ceil() as u64 == held => {
            let part = match left as f64 % each {
                0.0 => String::new(),
                room => format!(", the last one got only {room}"),
            };
            format!("{limit}, minus {open}, {each} per {}{part}", unit(r))
        }
        // The next one did not find room for all that it takes while it is made.
        (Some(each), _)
            if f.ceiling.capacity.value() != f.ceiling.accepted.value()
                && held as f64 * each <= left as f64 =>
        {
            let more =
                if left as f64 - held as f64 * each < each { "" } else { " and more while it is made" };
            format!("{limit}, minus {open}, {each} per {}{more}", unit(r))
        }
        (_, Some(n)) if f.ceiling.in_calls() && rest.checked_add_signed(n) == Some(soft) => {
            format!("{limit} = {open} + {n} opened since")
        }
        // The number that a thread blocked in accept has reserved is its next client's.
        _ if (1..=f.baseline.reserved()).contains(&held.saturating_sub(left)) => {
            let next = held - left;
            let used = rest - next;
            let waits = match next {
                1 => "; a thread in accept keeps 1 for the next client".to_owned(),
                n => format!("; threads in accept keep {n} for the next clients"),
            };
            return Some((format!("{limit}, minus {used} already in use"), waits));
        }
        _ if f.prediction.ceiling.value() == Some(held) => match f.prediction.formula.get() {
            Some(formula) => {
                let formula = without_result(formula, held);
                match formula.strip_prefix(&format!("{soft} − {rest} ")) {
                    Some(shared) => format!("{limit}, minus {open} {shared}"),
                    None => format!("{limit}: {formula}"),
                }
            }
            None => plain,
        },
        _ => plain,
    };
    Some((sum, String::new()))
}

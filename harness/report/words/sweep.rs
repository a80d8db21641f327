//! A sweep of the limit in words: the table, the line, and what else binds.

use super::{BY_COUNT, counted, evidence, judged};
use crate::measure::{self, Exit, Kind, Policy, PolicyEvidence};
use crate::report::Report;
use crate::report::page::{clean, cut};
use crate::report::sweep::{Fit, Formula, Needs, NoFit, Point, Stop, Sweep, What, doubt};

/// The title of the table.
pub const TITLE: &str = "Sweep of the limit";
/// The columns of the table.
pub const HEADINGS: [&str; 6] =
    ["limit", "already open", "predicted", "ceiling", "first failing call", "policy"];
const NOT_REACHED: &str = "not reached";
/// Characters of what the program wrote that are shown.
const WROTE: usize = 80;
/// Characters of a command line that are shown.
const COMMAND: usize = 40;
/// A ceiling is a whole number: a point nearer than this is on the line.
const ON_THE_LINE: f64 = 0.5;

/// One text for each of the [`HEADINGS`].
pub fn cells(point: &Point) -> [String; 6] {
    let number = |n: Option<u64>| n.map_or("–".to_owned(), |n| n.to_string());
    let limit = match (point.asked, point.soft) {
        (Some(asked), Some(soft)) if asked != soft => format!("{soft} (asked: {asked})"),
        (asked, soft) => number(soft.or(asked)),
    };
    let ceiling = match (point.ceiling, point.kind) {
        (Some(n), Some(Kind::Emfile)) => n.to_string(),
        (Some(n), Some(kind)) => format!("{n} ({})", kind.name()),
        (Some(n), None) => format!("{n} ({BY_COUNT})"),
        (None, Some(Kind::NotReached)) => NOT_REACHED.to_owned(),
        (None, Some(kind)) => kind.name().to_owned(),
        (None, None) if point.reached == Some(false) => format!("{NOT_REACHED} ({BY_COUNT})"),
        (None, None) => "not known".to_owned(),
    };
    let call = point.first_failure.map_or("–".to_owned(), |call| call.to_string());
    let policy = point.policy.map_or("–", Policy::name).to_owned();
    [limit, number(point.at_rest), number(point.predicted), ceiling, call, policy]
}

/// One run of a sweep, as it ends.
pub fn run(report: &Report) -> String {
    let [limit, rest, predicted, ceiling, call, policy] = cells(&Point::of(report));
    let why = doubt(report).map_or(String::new(), |why| format!(": {}", clean(&judged::observed(why))));
    format!(
        "{limit}: {rest} already open, {predicted} predicted, ceiling {ceiling}, first failing call {call}, policy \
         {policy}{why}"
    )
}

/// The line and what else binds, each with its label.
pub fn said(sweep: &Sweep) -> Vec<(&'static str, String)> {
    let line = match (&sweep.fit, &sweep.no_fit) {
        (Some(fit), _) => Some(line(fit)),
        (None, Some(none)) => Some(format!("There is none: {}.", no_fit(none))),
        (None, None) => None,
    };
    let binds = sweep.binds.as_ref().map(|binds| {
        let which = if binds.what.is_nothing() { "nothing" } else { "something else" };
        let worse = if binds.worse { " Raising the limit made it worse." } else { "" };
        format!("From {} on, {which} binds: {}.{worse}", binds.from, what(&binds.what))
    });
    let needs = sweep.needs.map(|needs| ("Needs", self::needs(&needs)));
    let labelled = [line.map(|line| ("Line", line)), binds.map(|text| ("Binds", text)), needs];
    labelled.into_iter().flatten().collect()
}

/// The limit that so many clients need.
fn needs(needs: &Needs) -> String {
    let clients = counted(needs.clients, "client");
    match needs.soft {
        Some(soft) if needs.bound_before => format!(
            "By the line, {clients} would need a soft limit of {soft}, but something else binds before that: a higher limit alone \
             does not do it."
        ),
        Some(soft) => format!("For {clients} it needs a soft limit of {soft}."),
        None => format!("Which limit {clients} would need is not known: there is no line."),
    }
}

/// `(soft − 18) ÷ 2`, `0.9 × soft − 92`.
fn formula(formula: &Formula) -> String {
    let less = |n: i64| match n {
        0 => String::new(),
        n if n < 0 => format!(" + {}", -n),
        n => format!(" − {n}"),
    };
    let Formula { numerator, denominator, less: taken } = *formula;
    match (numerator, denominator) {
        (1, 1) => format!("soft{}", less(taken)),
        (1, by) if taken == 0 => format!("soft ÷ {by}"),
        (1, by) => format!("(soft{}) ÷ {by}", less(taken)),
        // A share with finite decimals is written with them.
        (n, by) if taken % by == 0 && 100 % by == 0 => {
            format!("{} × soft{}", n as f64 / by as f64, less(taken / by))
        }
        (n, by) => format!("({n} × soft{}) ÷ {by}", less(taken)),
    }
}

fn line(fit: &Fit) -> String {
    let by = if fit.by == Kind::OwnLimit { " (its own rule, which follows the limit)" } else { "" };
    if let Some(exact) = fit.formula.filter(|_| fit.by == Kind::OwnLimit) {
        let down = if exact.denominator > 1 { ", rounded down" } else { "" };
        return format!("ceiling = {}{down}{by}: {} points, all exact.", formula(&exact), fit.points);
    }
    let open = match fit.at_rest {
        0.0 => "soft".to_owned(),
        rest if rest < 0.0 => format!("soft + {}", -rest),
        rest => format!("soft − {rest}"),
    };
    let ceiling = match fit.per_connection {
        1.0 => open,
        each if fit.at_rest == 0.0 => format!("{open} ÷ {each}"),
        each => format!("({open}) ÷ {each}"),
    };
    let off = match fit.residual < ON_THE_LINE {
        true => "all on the line".to_owned(),
        false => format!("off by at most {}", fit.residual),
    };
    format!("ceiling = {ceiling}{by}: {} points, {off}.", fit.points)
}

/// Why there is no line.
pub fn no_fit(none: &NoFit) -> String {
    match none {
        NoFit::OtherLimits => "no run was stopped by the descriptor limit".into(),
        NoFit::OnePoint => "one point makes no line".into(),
        NoFit::OneLimit => "only one limit was in force".into(),
        NoFit::Constant(ceiling) => {
            format!("it stopped at {ceiling} every time, which does not depend on the limit asked for")
        }
        NoFit::Bent(Some((from, ceiling))) => {
            format!(
                "from a limit of {from} on it stopped at {ceiling}, which does not depend on the limit asked for"
            )
        }
        NoFit::Bent(None) => "its ceilings grow with the limit, but lie on no line".into(),
    }
}

/// The resource that binds from some limit on, in a word or two.
pub fn bound_by(sweep: &Sweep) -> Option<&'static str> {
    let binds = sweep.binds.as_ref()?;
    let unnamed = if binds.what.is_nothing() { "nothing" } else { "not known" };
    Some(binds.resource.map_or(unnamed, super::binds::resource))
}

/// The cause that stopped a run, with the evidence.
pub fn what(what: &What) -> String {
    let wrote = what.wrote.as_ref().map_or(String::new(), |line| format!("; it wrote: {}", cut(line, WROTE)));
    format!("{}{wrote}", stop(what))
}

fn stop(what: &What) -> String {
    let held = what.held.map_or("an unknown number".to_owned(), |n| n.to_string());
    match &what.stop {
        Stop::LimitKept { soft, set_by } => {
            let who = set_by.as_ref().map_or(String::new(), |by| format!(" (set by `{}`)", cut(by, COMMAND)));
            format!("the limit in force is {soft}, whatever is asked for{who}")
        }
        Stop::RanOut(binds) => ran_out(binds, &held),
        Stop::OwnRule { turned_away, seen } => {
            let how = if *turned_away { "turned clients away" } else { "accepted no more clients" };
            format!("the server {how} by its own rule at {held}{}", in_brackets(seen))
        }
        Stop::Exited { exit, binds, seen } => {
            let before = binds.as_ref().map_or(String::new(), |binds| format!("{}; ", ran_out(binds, &held)));
            let how = exit.as_ref().map_or(String::new(), exited);
            format!("{before}the process exited with {held} connections held{how}{}", in_brackets(seen))
        }
        Stop::HostFiles => format!("the open files of the whole host (fs.file-max), with {held} held"),
        Stop::SourcePorts(binds) => {
            format!("the load generator's own side: {}", ran_out(binds, &held))
        }
        Stop::Generator(doubt) => {
            format!("the load generator's own side, with {held} held: {}", because(doubt))
        }
        Stop::AllAccepted { handed_over: true } => format!(
            "all {held} clients were accepted, and each has a process of its own, so the limit of one process \
             does not bound them"
        ),
        Stop::AllAccepted { handed_over: false } => {
            format!("all {held} clients were accepted, and no descriptor call failed")
        }
        Stop::AllHeld => format!("all {held} clients are held, by its descriptor count"),
        Stop::DescriptorCall(seen) => format!("a descriptor call failed at {held}{}", in_brackets(seen)),
        Stop::Unseen => format!("not known, at {held}"),
        Stop::NotKnown(doubt) => format!("not known: {}", because(doubt)),
    }
}

fn ran_out(binds: &measure::Binds, held: &str) -> String {
    format!("{}, at {held}: {}", super::binds::resource(binds.resource), evidence::binds(&binds.evidence))
}

fn in_brackets(seen: &Option<PolicyEvidence>) -> String {
    seen.as_ref().map_or(String::new(), |seen| format!(" ({})", evidence::policy(seen)))
}

fn exited(exit: &Exit) -> String {
    match (exit.code.value(), exit.signal.value()) {
        (_, Some(signal)) => format!(", by signal {signal}"),
        (Some(code), _) => format!(", with status {code}"),
        _ => String::new(),
    }
}

fn because(doubt: &Option<crate::judge::Reason>) -> String {
    doubt.as_ref().map_or("the run does not tell".to_owned(), |reason| clean(&judged::observed(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_one_descriptor_a_connection_is_a_subtraction() {
        let fit = |at_rest, per_connection, residual| Fit {
            by: Kind::Emfile,
            points: 3,
            at_rest,
            per_connection,
            residual,
            formula: None,
        };
        assert_eq!(line(&fit(5.0, 1.0, 0.0)), "ceiling = soft − 5: 3 points, all on the line.");
        assert_eq!(line(&fit(6.5, 2.0, 0.75)), "ceiling = (soft − 6.5) ÷ 2: 3 points, off by at most 0.75.");
        assert!(line(&fit(0.0, 2.0, 0.0)).starts_with("ceiling = soft ÷ 2:"));
        assert!(line(&fit(-3.0, 1.0, 0.0)).starts_with("ceiling = soft + 3:"));
    }

    #[test]
    fn a_formula_reads_as_its_programmer_would_write_it() {
        let said = |numerator, denominator, less| formula(&Formula { numerator, denominator, less });
        assert_eq!(said(1, 1, 32), "soft − 32");
        assert_eq!(said(1, 3, 0), "soft ÷ 3");
        assert_eq!(said(1, 2, 18), "(soft − 18) ÷ 2");
        assert_eq!(said(9, 10, 920), "0.9 × soft − 92");
        assert_eq!(said(2, 3, 7), "(2 × soft − 7) ÷ 3");
    }
}

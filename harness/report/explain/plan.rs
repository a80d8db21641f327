//! The page of a scenario: its base in full, and each variant by what it changes.

use super::arithmetic::{InForce, Reach, Room};
use super::changes::changes;
use crate::report::page::Page;
use crate::report::words::plan as words;
use crate::scenario::Plan;
use owo_colors::Style;

/// The story of a scenario's plans: the first in full, each other one by what it changes.
pub fn scenario(plans: &[Plan], colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    let Some((first, variants)) = plans.split_first() else { return String::new() };
    let title = page.styled(&first.title(), Style::new().bold());
    page.line(&title);
    page.say("Claim", &first.claim);
    if let Some(believed) = &first.believed {
        page.say("Believed", believed);
    }
    in_full(&mut page, first);
    for plan in variants {
        variant(&mut page, first, plan);
    }
    page.text
}

fn in_full(page: &mut Page, plan: &Plan) {
    for (name, process) in plan.processes.iter().filter(|(name, _)| **name != plan.subject) {
        page.say("Beside it", &words::starts(name, process));
    }
    let Some(subject) = plan.processes.get(&plan.subject) else { return };
    page.say("Starts", &words::subject_starts(&plan.subject, subject));
    page.say("Limits", &words::in_force(InForce::of(plan, subject)));
    if !subject.rlimits.is_empty() {
        page.say("", &words::also_limited(subject));
    }
    if !plan.sysctls.is_empty() {
        page.say("Sysctls", &words::sysctls(plan));
    }
    page.say("Numbers", &words::arithmetic(Room::of(plan, subject), subject));
    for (i, (name, workload)) in plan.workloads.iter().enumerate() {
        page.say(if i == 0 { "Load" } else { "" }, &words::load(name, workload, plan));
    }
    if plan.subject_is_client() {
        page.say("", &words::is_client(&plan.subject));
    }
    if let Some(signal) = &subject.begin {
        page.say("", &words::waits_for(signal));
    }
    if let Some(reach) = Reach::of(plan, subject) {
        page.say("", &words::reach(reach));
    }
    page.say("Then", &words::then(plan, subject));
    for moved in &plan.then {
        page.say("", &words::moves(moved));
    }
    page.say("Expected", &words::expected(&plan.expect));
}

fn variant(page: &mut Page, base: &Plan, plan: &Plan) {
    let name = plan.variant.as_deref().unwrap_or("as written");
    let heading = page.styled(&format!("\nVariant {name}"), Style::new().bold());
    page.line(&heading);
    if let Some(believed) = &plan.believed {
        page.say("Believed", believed);
    }
    page.say("Changes", &words::changes(&changes(base, plan), plan));
    let Some(subject) = plan.processes.get(&plan.subject) else { return };
    let reach = Reach::of(plan, subject).map_or(String::new(), |reach| format!(" {}", words::reach(reach)));
    page.say("Numbers", &format!("{}.{reach}", words::sum(Room::of(plan, subject))));
    page.say("Expected", &words::expected(&plan.expect));
}

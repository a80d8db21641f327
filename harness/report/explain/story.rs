//! The page of a recorded run: first the paragraph that answers, then what happened, in order, and why. The
//! page of a run that ended early stops where the run did.

use crate::event::{Log, What};
use crate::judge::Outcome;
use crate::measure::{Kind, Verdict};
use crate::report::page::Page;
use crate::report::words::{
    baseline, calls, ceiling, clients, costs, judged, moved, network, policy, prediction, recovery, story,
    wall,
};
use crate::report::{Report, short};
use owo_colors::Style;

/// Reasons that are shown.
const REASONS: usize = 4;

/// The story of one run: its report, and the log that it was measured from.
pub fn run(report: &Report, log: &Log, colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    let (r, not_met) = (report, report.verdict.outcome == Outcome::NotMet);
    let verdict = judged::verdict(&r.verdict).1;
    let title = page.styled(&format!("{}: {verdict}", r.title()), Style::new().bold());
    page.line(&title);
    page.paragraph(&short::paragraph(r));
    page.say("Claim", &r.claim);
    page.facts(if not_met { "Not met" } else { "But" }, short::reasons(r).into_iter().take(REASONS));
    page.say("Started", &story::started(r));
    page.facts("Sysctls", network::network(r));
    page.say("Limits", &story::limits(r));
    page.facts("Already open", baseline::at_rest(r));
    page.facts("Predicted", [story::numbers(r), prediction::predicted(r)].into_iter().flatten());
    page.facts("Clients", clients::account(r));
    calls::calls(r).into_iter().for_each(|said| page.facts(said.label, said.texts));
    let why = story::why_now(r).into_iter().chain(highest(r, log)).chain(story::as_predicted(r));
    page.facts("Stopped", ceiling::stopped(r).into_iter().chain(why).chain(ceiling::more(r)));
    let loop_does = policy::at_the_wall(r).into_iter().chain(costs::costs(r));
    let others = wall::wall(r).into_iter().chain(policy::held_closed(r)).chain(story::sockets(r));
    page.facts("At the wall", at_the_wall(r).into_iter().chain(loop_does).chain(others));
    page.facts("Limit moved", moved::moved(r));
    page.facts("Afterwards", recovery::recovery(r));
    if matches!(r.verdict.outcome, Outcome::Met | Outcome::NotMet) {
        page.facts("To change it", changes(r));
    }
    page.text
}

/// The highest descriptor number that the process which failed was given until then.
fn highest(r: &Report, log: &Log) -> Option<String> {
    let first = r.found.ceiling.first_failure.get()?;
    let until = log.events.iter().take_while(|e| e.at as f64 / 1e9 <= first.at_s);
    let given = until.filter_map(|e| match e.is {
        What::Call { pid, ret, name, .. } if pid == first.pid && name.returns_descriptor() => {
            u64::try_from(ret).ok()
        }
        _ => None,
    });
    Some(story::highest(given.max()?, r.found.limits.effective.value()))
}

/// The outcome of a new client, and why it could connect.
fn at_the_wall(r: &Report) -> Vec<String> {
    match r.found.ceiling.reached.value() {
        Some(true) => clients::new_client(r).into_iter().chain(story::connects(r)).collect(),
        _ => Vec::new(),
    }
}

/// Changes that would move the number, and changes that would not.
fn changes(r: &Report) -> Vec<String> {
    let leaks = r.found.end.get().is_some_and(|end| end.verdict == Verdict::Leaking);
    match r.found.ceiling.kind.value() {
        Some(Kind::Emfile) if r.found.ceiling.in_calls() => Vec::new(),
        Some(Kind::Emfile) if leaks => vec![story::no_remedy(r)],
        Some(Kind::Emfile) => vec![story::fewer_at_rest().to_owned(), story::no_remedy(r)],
        Some(Kind::NotReached) => story::nothing_to_change(r).into_iter().collect(),
        _ => Vec::new(),
    }
}

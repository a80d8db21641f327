//! The first paragraph of a report: where it stopped and why at that number, who set the limit, what it does
//! at the wall, whether it recovers, and what to do. Decides which sentences a reader needs; makes none.

use super::Report;
use super::page::{WIDTH, cut, wrap};
use super::words::{
    advice, baseline, ceiling, doubts, flows, judged, limits, moved, policy, recovery, sentence, sockets,
    wall,
};
use crate::judge::{Observed, Outcome, Reason};
use crate::measure::{Doubt, Kind, PolicyEvidence, Verdict};

/// Lines of the paragraph at [`WIDTH`] columns, at most.
pub const LINES: usize = 4;
/// The words of a run or of a subject are cut to this: the reasons below have the whole.
const REASON: usize = 220;
/// The rank of a sentence that stays.
const MOST: u8 = u8::MAX;

/// The first paragraph; empty where the reasons of the verdict say all there is.
pub fn paragraph(r: &Report) -> String {
    if r.verdict.outcome == Outcome::Skipped {
        return String::new();
    }
    let advice = advice::advice(r);
    let said: Vec<Wordings> = match (&r.found.not_started, r.found.doubts.first()) {
        (Some(refused), _) => {
            // Where that was expected, no reason stands below.
            let met = r.verdict.outcome == Outcome::Met;
            let why = if met { refused.reason.clone() } else { doubts::cause(&refused.reason) };
            vec![vec![(MOST, doubts::not_started(&cut(&why, REASON)))]]
        }
        (None, Some(doubt)) => {
            let seen = r.found.ceiling.kind.get().filter(|kind| **kind != Kind::Generator);
            let seen = seen.map(|_| vec![(1, ceiling::headline(r))]);
            let nothing = vec![(MOST, doubts::nothing(&cut(&doubts::doubt(doubt), REASON)))];
            [Some(nothing), seen].into_iter().flatten().collect()
        }
        (None, None) => findings(r),
    };
    let advice = advice.into_iter().enumerate();
    let advice = advice.map(|(at, said)| several(1, if at == 0 { MOST } else { 3 }, said));
    fitted(said.into_iter().chain(advice).collect())
}

/// The wordings of a sentence, the longest first, each with how much it matters: where there is no room, what
/// matters least gives way to the next wording, or goes.
type Wordings = Vec<(u8, String)>;

fn one(rank: u8, text: Option<String>) -> Wordings {
    text.map(|text| (rank, text)).into_iter().collect()
}

/// Wordings of one sentence: the shortest matters `rank`, the longer ones at most `more`.
fn several(more: u8, rank: u8, texts: Vec<String>) -> Wordings {
    let last = texts.len().saturating_sub(1);
    let ranked = texts.into_iter().enumerate();
    ranked.map(|(at, text)| (if at < last { more.min(rank) } else { rank }, text)).collect()
}

/// The findings, in the order in which a reader asks for them.
fn findings(r: &Report) -> Vec<Wordings> {
    let stopped = r.found.ceiling.stopped() == Some(true);
    let descriptors = matches!(r.found.ceiling.kind.value(), Some(Kind::Emfile) | None);
    // How much room there is, and whose doing that is.
    let room = r.found.ceiling.kind.value() == Some(Kind::NotReached)
        && r.found.limits.set_by.get().is_some()
        && flows::unbounded(r).is_none()
        && r.found.ceiling.idle_timeout.is_none();
    // The headline may say whose limit it is.
    let another = stopped && descriptors && limits::whose(r).is_none();
    let by = limits::set_by(r, &limits::the_soft(r)).filter(|_| room || another).map(|by| sentence(&by));
    let recovered = r.found.end.get().is_some_and(|end| end.verdict == Verdict::Recovered);
    // An exit is what happened. Where something stays open for good, that and the limit matter more than the
    // pauses between tries.
    let exits = matches!(r.found.policy.evidence.get(), Some(PolicyEvidence::Exited { .. }));
    let stays = !recovered && r.found.recovery.leaked.value().is_some_and(|leaked| leaked > 0);
    let pauses = match (exits, stays) {
        (true, _) => 6,
        (false, true) => 5,
        (false, false) => 4,
    };
    vec![
        one(MOST, Some(ceiling::headline(r))),
        one(7, wall::unserved(r).filter(|_| stopped)),
        one(5, by),
        one(2, ceiling::in_all(r).filter(|_| stopped)),
        one(5, sockets::unbalanced(r)),
        several(2, pauses, policy::short(r)),
        several(3, if r.found.ceiling.in_calls() { 6 } else { 3 }, wall::short(r)),
        one(3, moved::short(r)),
        // Where nothing stays open, that matters less than what to do.
        several(if recovered || stays { 4 } else { 1 }, if recovered { 5 } else { 6 }, recovery::short(r)),
        one(2, baseline::grows(r)),
        one(if stopped { 5 } else { 1 }, recovery::left_by_calls(r)),
    ]
}

/// Leaves out what matters least until the rest fits; the first sentence and the advice stay.
fn fitted(mut said: Vec<Wordings>) -> String {
    loop {
        // A subject's last words are several lines.
        let words = said.iter().filter_map(|all| all.first()).flat_map(|(_, text)| text.split_whitespace());
        let text = words.collect::<Vec<_>>().join(" ");
        let ranks = said.iter().enumerate().filter_map(|(at, all)| Some((at, all.first()?.0)));
        match ranks.min_by_key(|(_, rank)| *rank) {
            Some((at, rank)) if rank < MOST && wrap(&text, WIDTH).len() > LINES => drop(said[at].remove(0)),
            _ => return text,
        }
    }
}

/// Why the verdict is not *met*, a sentence for each reason that says something of its own.
pub fn reasons(r: &Report) -> Vec<String> {
    own_reasons(r).map(judged::reason).collect()
}

fn own_reasons(r: &Report) -> impl Iterator<Item = &Reason> {
    let whole = r.verdict.reasons.iter().any(|reason| reason.of_the_run());
    r.verdict.reasons.iter().filter(move |reason| !(whole && reason.not_measured().is_some()))
}

/// The same without what the paragraph says already: the one cause that keeps a run from being judged.
pub fn further_reasons(r: &Report) -> Vec<String> {
    let refused = r.found.not_started.as_ref().map(|refused| Doubt::NotStarted(refused.reason.clone()));
    let whole = |doubt: &Doubt| {
        let cause = doubts::doubt(doubt);
        cause.chars().count() <= REASON && !cause.contains('\n')
    };
    let said = refused.or(r.found.doubts.first().cloned()).filter(whole).map(Observed::Doubt);
    own_reasons(r).filter(|reason| Some(&reason.observed) != said.as_ref()).map(judged::reason).collect()
}

//! The lines of a report below its first paragraph, in the order of a run's events: the same for every layout
//! that a person reads.

use super::Report;
use super::words::{
    baseline, calls, ceiling, clients, costs, flows, limits, memory, moved, network, phases, policy,
    prediction, recovery, sentence, sockets, upstream, wall, witnesses,
};

/// Lines of a subject's log that are shown.
const LOG: usize = 2;

/// One part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Sentences, with what they are about; never none.
    Fact(&'static str, Vec<String>),
    /// Here belongs the chain of limits.
    Chain,
    /// Here belong the descriptors at rest, one by one.
    Inventory,
    /// How the subject's own log begins, line by line; never no line.
    Log(Vec<String>),
}

/// All parts; with `full` those that few readers need, too.
pub fn parts(r: &Report, full: bool) -> Vec<Part> {
    let only_full = |text: Option<String>| text.filter(|_| full);
    let claim = only_full(Some(r.claim.clone()).filter(|claim| !claim.is_empty()));
    let mut all = vec![
        fact("Claim", claim),
        fact("Network", network::network(r)),
        fact("Limit", limits::limit(r)),
        Some(Part::Chain),
        fact("Already open", baseline::at_rest(r)),
        full.then_some(Part::Inventory),
        fact("Predicted", prediction::predicted(r)),
        fact(
            "Ceiling",
            ceiling::stopped(r)
                .into_iter()
                .chain(ceiling::more(r))
                .chain(only_full(ceiling::first_unserved(r))),
        ),
    ];
    all.extend(calls::calls(r).into_iter().map(|said| fact(said.label, said.texts)));
    all.extend([
        fact("Upstream", upstream::upstream(r)),
        fact("UDP", flows::flows(r)),
        fact(
            "Clients",
            clients::account(r).into_iter().chain(clients::programs(r)).chain(only_full(clients::next(r))),
        ),
        fact("At the wall", policy::at_the_wall(r).into_iter().chain(wall::wall(r))),
        fact("Cost", costs::costs(r)),
        fact("New client", clients::new_client(r)),
        fact(
            "Held clients",
            clients::held(r).into_iter().chain(policy::held_closed(r)).chain(only_full(clients::latency(r))),
        ),
        Some(Part::Log(costs::log(r, if full { usize::MAX } else { LOG }))).filter(some),
        fact("TCP", only_full(sockets::tcp(r)).into_iter().chain(sockets::left_open(r))),
        fact("Memory", only_full(memory::moments(r)).map(|text| sentence(&text))),
        fact("Limit moved", moved::moved(r)),
        fact("Recovery", recovery::recovery(r)),
        fact("Counted by", witnesses::witnesses(r).filter(|_| r.found.not_started.is_none())),
        fact("Steps", only_full(phases::phases(r))),
        fact("Observing", witnesses::costs(r).into_iter().filter(|_| full)),
        fact("Event log", witnesses::thinned(r)),
    ]);
    all.into_iter().flatten().collect()
}

fn fact(label: &'static str, texts: impl IntoIterator<Item = String>) -> Option<Part> {
    Some(Part::Fact(label, texts.into_iter().collect())).filter(some)
}

fn some(part: &Part) -> bool {
    match part {
        Part::Fact(_, texts) | Part::Log(texts) => !texts.is_empty(),
        Part::Chain | Part::Inventory => true,
    }
}

//! How the clients that are programs of the user's own ended while saturation was watched: the moment of the
//! clients' account.

use super::facts::{Facts, ProgramEnd};
use super::known::Why;
use crate::scenario::One;
use std::collections::BTreeMap;

/// The programs of one workload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ClientPrograms {
    /// The workload's name.
    pub workload: String,
    /// How many clients one of them is.
    pub one: One,
    /// Ended with exit status 0: their clients were served.
    pub served: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// How many of the failed ones said by their exit status that the server answered with an error.
    pub error_replies: u64,
    /// How many of the failed ones were never seen to be connected.
    pub unconnected: u64,
    /// The last output that most of the failed ones share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mostly: Option<LastWords>,
}

/// The last line of a program's output.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LastWords {
    /// In its own words; how it ended, where it wrote none.
    pub words: String,
    /// Programs that wrote the same.
    pub programs: u64,
}

/// One for each workload whose clients are programs.
pub(super) fn client_programs(facts: &Facts<'_>) -> Vec<ClientPrograms> {
    let until = facts.phases.watched_until();
    let all =
        facts.plan.workloads.iter().filter_map(|(name, workload)| Some((name, workload.program.as_ref()?)));
    all.map(|(name, program)| {
        let ended = || facts.readings.programs.iter().filter(|end| end.workload == name && end.at < until);
        let failed: Vec<&ProgramEnd<'_>> = ended().filter(|end| end.code != Some(0)).collect();
        let told =
            |end: &ProgramEnd<'_>| end.code.is_some() && end.code == program.error_status.map(i32::from);
        let mut words: BTreeMap<&str, u64> = BTreeMap::new();
        failed.iter().for_each(|end| *words.entry(end.words).or_default() += 1);
        let mostly = words.into_iter().max_by_key(|(_, programs)| *programs);
        ClientPrograms {
            workload: name.clone(),
            one: program.one,
            served: ended().count() as u64 - failed.len() as u64,
            failed: failed.len() as u64,
            error_replies: failed.iter().filter(|end| told(end)).count() as u64,
            unconnected: failed.iter().filter(|end| !end.connected).count() as u64,
            mostly: mostly.map(|(words, programs)| LastWords { words: words.to_owned(), programs }),
        }
    })
    .collect()
}

/// Why nobody knows whether a client that holds its connection was answered.
pub(super) fn unanswered(facts: &Facts<'_>) -> Why {
    let programs = facts.plan.workloads.values().filter_map(|workload| workload.program.as_ref());
    match programs.map(|program| program.one).next() {
        Some(One::All) => Why::OneProgramForAll,
        Some(One::Each) => Why::ProgramsHoldSilently,
        None => Why::TcpAsksNothing,
    }
}

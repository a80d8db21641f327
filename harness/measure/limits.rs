//! The limit in force in the process that accepts, and which link of the chain set it.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use super::origins::{Origins, SetBy, hard_set_by};
use crate::event::{Limits, Link, Nanos};

/// `RLIMIT_NOFILE` as asked for and as found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct LimitsFound {
    /// The limits with which the launcher was started.
    pub requested: Known<Limits>,
    /// In force in the process that accepts, read back as late as possible before the release.
    pub effective: Known<Limits>,
    /// First ancestor first; the last is the process that accepts.
    pub chain: Vec<Link>,
    /// The link from which on the soft limit has the value in force; the first link when it was inherited
    /// from before.
    pub set_by: Known<SetBy>,
    /// The same for the hard limit, from the values of the chain.
    pub hard_set_by: Known<SetBy>,
    /// Effective limits read earlier that differ: the program changed its own limits while it ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Limits>,
}

/// Reads the limits from the chains of the process that accepts.
pub(super) fn limits(facts: &Facts<'_>) -> LimitsFound {
    let released = facts.phases.released_from();
    let mut read: Vec<(Nanos, &[Link])> = Vec::new();
    for chain in &facts.readings.chains {
        let own = chain
            .links
            .last()
            .is_some_and(|own| own.pid == chain.pid && Some(chain.pid) == facts.processes.main);
        if own && (chain.at < released || read.is_empty()) {
            read.push((chain.at, chain.links));
        }
    }
    let requested = facts.readings.launched.as_ref().map(|l| l.requested).or_why(Why::NeverExecuted);
    let of = |links: &[Link]| links.last().map(|own| Limits { soft: own.soft, hard: own.hard });
    let Some((at, links, effective)) = read.last().and_then(|(at, links)| Some((*at, *links, of(links)?)))
    else {
        let (effective, set_by) = (Known::Unknown(Why::LimitsNotRead), Known::Unknown(Why::ChainNotRead));
        let (chain, earlier, hard_set_by) = (Vec::new(), Vec::new(), Known::Unknown(Why::ChainNotRead));
        return LimitsFound { requested, effective, chain, set_by, hard_set_by, earlier };
    };
    let mut earlier: Vec<Limits> = read[..read.len() - 1].iter().filter_map(|(_, links)| of(links)).collect();
    earlier.retain(|limits| *limits != effective);
    earlier.dedup();
    let (chain, set_by) = match Origins::at(facts, at).told(links) {
        Some((chain, set_by)) => (chain, Known::Value(set_by)),
        None => (links.to_vec(), Known::Unknown(Why::ChainNotRead)),
    };
    let hard_set_by = hard_set_by(&chain).or_why(Why::ChainNotRead);
    LimitsFound { requested, effective: Known::Value(effective), chain, set_by, hard_set_by, earlier }
}

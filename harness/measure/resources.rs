//! Resources other than descriptors that ran out before any client was told to leave: tasks, memory.

use super::facts::Facts;
use super::units::seconds;
use crate::event::{Bound, Errno, Nanos, Phase, Pid, Resources, maps_memory};
use std::collections::BTreeMap;

/// An allocator asks for address space in pieces up to this; bytes.
const PIECE: u64 = 1 << 20;

/// A call that was refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// Its name.
    pub call: String,
    /// `EAGAIN`, `ENOMEM` or `ENOBUFS`.
    pub errno: Errno,
    /// How often.
    pub times: u64,
    /// The first time, seconds since the run's start.
    pub first_at_s: f64,
    /// Accepts that had succeeded by then.
    pub after_accepts: u64,
}

/// Which limit of tasks was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskLimit {
    /// The pids cgroup refused so many forks, under `pids.max` where that could be read.
    #[allow(missing_docs, reason = "named above")]
    Group { most: Option<u64>, refused: u64 },
    /// `RLIMIT_NPROC`.
    User(Bound),
    /// kernel.threads-max or kernel.pid_max.
    Host(Bound),
    /// None was seen to be full; `RLIMIT_NPROC`, where it is set.
    NotKnown(Option<u64>),
}

/// Something that ran out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Exhausted {
    /// Threads or processes, more than at rest, and the limit that stopped them.
    #[allow(missing_docs, reason = "named above")]
    Tasks { refused: Option<Refusal>, threads: u64, processes: u64, limit: TaskLimit },
    /// The out-of-memory killer of its cgroup killed so many of its processes, with so much in use.
    #[allow(missing_docs, reason = "named above")]
    Killed { processes: u64, memory: Option<Bound> },
    /// A call was refused for want of memory; the address space when last looked at.
    #[allow(missing_docs, reason = "named above")]
    MemoryRefused { refused: Refusal, address_space: Option<Bound> },
    /// Less address space is left than a connection takes, bytes, or an allocator asks for.
    #[allow(missing_docs, reason = "named above")]
    MemoryLeft { address_space: Bound, per_connection: u64 },
}

impl Exhausted {
    /// Whether it is processes that ran out, rather than threads.
    pub fn of_processes(&self) -> bool {
        matches!(self, Exhausted::Tasks { threads, processes, .. } if processes > threads)
    }
}

/// The looks at the subject's resources: at rest, and from the ramp to the release.
struct Looks<'a> {
    rest: Option<&'a Resources>,
    later: Vec<&'a Resources>,
}

impl<'a> Looks<'a> {
    fn of(facts: &'a Facts<'_>) -> Self {
        let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
        let all = &facts.readings.resources;
        let later = all.iter().filter(|(at, _)| (ramp..released).contains(at));
        Looks {
            rest: all.iter().rfind(|(at, _)| *at <= ramp).map(|(_, r)| *r),
            later: later.map(|(_, r)| *r).collect(),
        }
    }

    fn most(&self, of: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
        self.later.iter().filter_map(|r| of(r)).max()
    }

    /// By how much a count was higher than at rest.
    fn grown(&self, of: impl Fn(&Resources) -> Option<u64>) -> u64 {
        let rest = self.rest.and_then(&of);
        self.most(of).zip(rest).map_or(0, |(most, rest)| most.saturating_sub(rest))
    }
}

/// The resource other than descriptors that ran out before any client was told to leave.
pub(super) fn exhausted(facts: &Facts<'_>) -> Option<Exhausted> {
    let looks = Looks::of(facts);
    let refused = refusals(facts);
    killed(&looks).or_else(|| tasks(&looks, &refused)).or_else(|| memory(facts, &looks, &refused))
}

/// The subject's refused calls, by their name and errno. A launcher's troubles are not the subject's.
fn refusals(facts: &Facts<'_>) -> Vec<Refusal> {
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let own = |pid: &Pid| facts.processes.counts(*pid) || facts.holdings.tables.contains_key(pid);
    let mut times: BTreeMap<(&str, i32), (u64, Nanos)> = BTreeMap::new();
    for (at, pid, call, errno) in &facts.readings.refused {
        if (ramp..released).contains(at) && own(pid) {
            times.entry((call, *errno)).or_insert((0, *at)).0 += 1;
        }
    }
    let one = |((call, errno), (times, at)): ((&str, i32), (u64, Nanos))| Refusal {
        call: call.to_owned(),
        errno: Errno::from_raw(errno),
        times,
        first_at_s: seconds(at),
        after_accepts: facts.holdings.accepts_between(0, at.saturating_add(1)).len() as u64,
    };
    times.into_iter().map(one).collect()
}

/// The out-of-memory killer.
fn killed(looks: &Looks<'_>) -> Option<Exhausted> {
    let before = looks.rest?.oom_kills?;
    let processes = looks.most(|r| r.oom_kills)?.checked_sub(before).filter(|&kills| kills > 0)?;
    let all = looks.later.iter().chain(&looks.rest);
    Some(Exhausted::Killed {
        processes,
        memory: all.filter_map(|r| r.group_memory).max_by_key(|bound| bound.used),
    })
}

/// Threads and processes: a refused clone, or a count that is at its limit and came there with the
/// connections.
fn tasks(looks: &Looks<'_>, refused: &[Refusal]) -> Option<Exhausted> {
    let (threads, processes) = (looks.grown(|r| r.threads), looks.grown(|r| Some(r.processes)));
    let refused =
        refused.iter().find(|refusal| refusal.errno == Errno::EAGAIN && !maps_memory(&refusal.call));
    if refused.is_none() && threads.max(processes) == 0 {
        return None;
    }
    let limit = full_limit(looks).or_else(|| {
        let nproc = || looks.most(|r| r.user_tasks.map(|bound| bound.most));
        (refused.is_some() && !looks.later.is_empty()).then(|| TaskLimit::NotKnown(nproc()))
    })?;
    Some(Exhausted::Tasks { refused: refused.cloned(), threads, processes, limit })
}

/// The limit of tasks that was seen to be full.
fn full_limit(looks: &Looks<'_>) -> Option<TaskLimit> {
    let full = |bound: Option<Bound>| bound.filter(|bound| bound.left() == 0);
    let by_group = looks.later.iter().rev().find_map(|r| {
        let refused = r.group_refused?.checked_sub(looks.rest?.group_refused?)?;
        let most = r.group_tasks.map(|bound| bound.most);
        (refused > 0).then_some(TaskLimit::Group { most, refused })
    });
    let by_user = || looks.later.iter().find_map(|r| full(r.user_tasks)).map(TaskLimit::User);
    let by_host = || looks.later.iter().find_map(|r| full(r.host_tasks)).map(TaskLimit::Host);
    by_group.or_else(by_user).or_else(by_host)
}

/// Address space and what else is refused with ENOMEM.
fn memory(facts: &Facts<'_>, looks: &Looks<'_>, refused: &[Refusal]) -> Option<Exhausted> {
    let used = looks.later.iter().filter_map(|r| r.address_space).max_by_key(|bound| bound.used);
    let first =
        refused.iter().filter(|refusal| refusal.errno != Errno::EAGAIN).max_by_key(|refusal| refusal.times);
    if let Some(refused) = first {
        return Some(Exhausted::MemoryRefused { refused: refused.clone(), address_space: used });
    }
    let address_space = used?;
    let grown = address_space.used.saturating_sub(looks.rest?.address_space?.used);
    let per_connection = grown / facts.holdings.most_in_all.max(1);
    let enough = grown == 0 || address_space.left() >= per_connection.max(PIECE);
    (!enough).then_some(Exhausted::MemoryLeft { address_space, per_connection })
}

//! The origin of a process's limits, as far as an observer saw it. Each process of the tree begins with the
//! limits of its parent, keeps them through every exec, and may be given others. So the program that set them
//! may be one that the process ran before.

use super::facts::Facts;
use crate::event::{Change, Limits, Link, Nanos, Pid, What};
use std::collections::HashMap;

/// The setter of a limit: mostly a link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SetBy {
    /// Its process.
    pub pid: Pid,
    /// Its command line.
    pub command: String,
    /// Whether no link above it has another value: it was already so when the chain begins.
    pub inherited: bool,
    /// How that is known.
    pub by: By,
    /// The programs that this process ran before, if nobody saw the call: each may have made it as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
}

/// How it is known who set a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum By {
    /// The run asked for it.
    AskedFor,
    /// It was already so where the chain begins.
    Inherited,
    /// The program that the process runs was seen to make the call.
    Program,
    /// Another program was, which the process ran before an exec: the limit stayed.
    BeforeExec,
    /// A process that is not in the chain was: it set the limit of another by prlimit(2), or has ended since.
    AnotherProcess,
    /// Nobody saw the call: the program that the process runs, what it ran before, or somebody from outside.
    Unseen,
}

/// The name of the launched process before its first exec.
const LAUNCH_STEP: &str = "lastfd exec";

/// The processes of the subject's tree, as they were at a time.
#[derive(Default)]
pub(super) struct Origins {
    of: HashMap<Pid, Life>,
    /// Events are missing, and one of them may have set a limit.
    lost: bool,
    /// The words that the launched process was executed with.
    argv: String,
    launched: Option<Pid>,
}

/// One process.
#[derive(Clone, Default)]
struct Life {
    /// The programs that it ran, in order; the last is the present one. The first is its parent's or the
    /// launch's.
    ran: Vec<Ran>,
    /// Its limits, where they are known.
    limits: Option<Limits>,
    set: Option<Setter>,
    /// The limits, and who had set them, before a call whose values nobody saw.
    before: Option<(Limits, Option<Setter>)>,
}

#[derive(Clone, Default)]
struct Ran {
    program: String,
    /// The limits that it set itself, for its own process; `Some(None)` if it is only known that it set them.
    set: Option<Option<Limits>>,
}

/// The origin of limits.
#[derive(Clone, PartialEq)]
enum Setter {
    /// The run asked for them.
    Asked,
    /// A process called setrlimit(2) or prlimit(2) when it ran the program at this place of what it ran.
    Called { pid: Pid, nth: usize, program: String },
}

impl Life {
    fn now(&self) -> usize {
        self.ran.len().saturating_sub(1)
    }

    /// Who set the limits in force. A call after which they are what they were set none.
    fn setter(&self, in_force: Limits) -> Option<&Setter> {
        match &self.before {
            Some((had, set)) if *had == in_force => set.as_ref(),
            _ => self.set.as_ref(),
        }
    }

    fn program(&self) -> String {
        self.ran.last().map_or_else(String::new, |ran| ran.program.clone())
    }
}

impl Origins {
    /// The limits in the process tree of `subject`, from all that had happened by then.
    pub fn at(facts: &Facts<'_>, at: Nanos) -> Self {
        let mut origins = Origins::default();
        // Its exec comes before the event that records it.
        if let Some(launched) = &facts.readings.launched {
            let ran = vec![Ran { program: LAUNCH_STEP.into(), set: None }];
            let life = Life { ran, limits: Some(launched.requested), set: Some(Setter::Asked), before: None };
            origins.of = HashMap::from([(launched.pid, life)]);
            (origins.argv, origins.launched) = (launched.argv.join(" "), Some(launched.pid));
        }
        facts.events_before(at).iter().for_each(|event| origins.note(&event.is));
        origins
    }

    fn note(&mut self, what: &What) {
        match what {
            What::Process { pid, parent, change: Change::Fork } => {
                let mut life = self.of.get(parent).cloned().unwrap_or_default();
                life.ran = vec![Ran { program: life.program(), set: None }];
                self.of.insert(*pid, life);
            }
            What::Executed { pid, program } => {
                let ran = Ran { program: program.clone(), set: None };
                self.of.entry(*pid).or_default().ran.push(ran);
            }
            What::LimitSet { pid, by, limits } => {
                let known = |life: &Life| life.limits.zip(*limits);
                if self.of.get(pid).and_then(known).is_some_and(|(had, has)| had == has) {
                    return;
                }
                let caller = self.of.entry(*by).or_default();
                let setter = Setter::Called { pid: *by, nth: caller.now(), program: caller.program() };
                if by == pid
                    && let Some(ran) = caller.ran.last_mut()
                {
                    ran.set = Some(*limits);
                }
                let life = self.of.entry(*pid).or_default();
                let before = life.limits.map(|had| (had, life.set.clone())).or(life.before.take());
                life.before = before.filter(|_| limits.is_none());
                // A process that lowers the hard limit alone has not set the soft one.
                if known(life).is_none_or(|(had, has)| had.soft != has.soft) {
                    life.set = Some(setter);
                }
                life.limits = *limits;
            }
            What::Lost { samples } => self.lost |= *samples > 0,
            _ => {}
        }
    }

    /// The chain with what its processes ran before where that set limits, and which link set the soft limit
    /// of the last one.
    pub fn told(&self, links: &[Link]) -> Option<(Vec<Link>, SetBy)> {
        let own = links.last()?;
        let in_force = Limits { soft: own.soft, hard: own.hard };
        let life = self.of.get(&own.pid).filter(|life| {
            // Limits other than those that were seen to be set: somebody set them unseen.
            !self.lost && life.limits.is_none_or(|limits| limits == in_force)
        });
        let setter = life.and_then(|life| life.setter(in_force));
        let mut chain: Vec<(Link, Option<usize>)> = Vec::new();
        for link in links {
            let life = self.of.get(&link.pid).filter(|_| link.command != Link::REQUESTED);
            let before = life.map_or(0, Life::now);
            for (nth, ran) in life.iter().flat_map(|life| life.ran.iter().enumerate()).take(before) {
                let called = |setter: &Setter| match setter {
                    Setter::Called { pid, nth: n, .. } => (*pid, *n) == (link.pid, nth),
                    _ => false,
                };
                let is_setter = setter.is_some_and(called);
                let left = ran.set.flatten().or(is_setter.then_some(in_force));
                if let Some(Limits { soft, hard }) = left {
                    let command = self.command(link.pid, nth, &ran.program);
                    chain.push((Link { pid: link.pid, command, soft, hard }, Some(nth)));
                }
            }
            chain.push((link.clone(), life.map(Life::now)));
        }
        let at = |wanted: (Pid, usize)| {
            chain.iter().position(|(l, nth)| Some(wanted.1) == *nth && l.pid == wanted.0)
        };
        let set_by = match setter {
            Some(Setter::Called { pid, nth, program }) => match at((*pid, *nth)) {
                Some(at) => {
                    let runs = self.of.get(pid).is_some_and(|life| life.now() == *nth);
                    of(&chain[at].0, if runs { By::Program } else { By::BeforeExec })
                }
                None => SetBy {
                    pid: *pid,
                    command: self.command(*pid, *nth, program),
                    inherited: false,
                    by: By::AnotherProcess,
                    alternatives: Vec::new(),
                },
            },
            Some(Setter::Asked) => match links.iter().find(|link| link.command == Link::REQUESTED) {
                Some(link) => of(link, By::AskedFor),
                None => SetBy { by: By::AskedFor, alternatives: Vec::new(), ..self.by_value(links)? },
            },
            None => self.by_value(links)?,
        };
        Some((chain.into_iter().map(|(link, _)| link).collect(), set_by))
    }

    /// The setter by the values alone: the first of the last links that have the same soft limit. The limits
    /// asked for were set, even where the harness had the same.
    fn by_value(&self, links: &[Link]) -> Option<SetBy> {
        let mut set_by = first_with(links, |link| link.soft)?;
        if let Some(life) = self.of.get(&set_by.pid).filter(|_| set_by.by == By::Unseen) {
            // Where no exec is seen at all, the launched process was executed with these words all the same.
            let unseen =
                (life.ran.len() == 1 && self.launched == Some(set_by.pid)).then(|| self.argv.clone());
            let ran = life.ran.iter().enumerate().take(life.now());
            let ran = ran.filter(|(_, ran)| ran.program != LAUNCH_STEP);
            let before = ran.map(|(nth, ran)| self.command(set_by.pid, nth, &ran.program)).chain(unseen);
            set_by.alternatives = before.filter(|command| *command != set_by.command).collect();
            set_by.alternatives.dedup();
        }
        Some(set_by)
    }

    /// The words of a program where they are known, or its name.
    fn command(&self, pid: Pid, nth: usize, program: &str) -> String {
        // The launched process: after the launch step the first.
        if self.launched == Some(pid) && nth == 1 { self.argv.clone() } else { program.to_owned() }
    }
}

/// The first of the last links that have the same hard limit.
pub(super) fn hard_set_by(chain: &[Link]) -> Option<SetBy> {
    first_with(chain, |link| link.hard)
}

/// The first of the last links with the value that the last one has, from the limits asked for on.
fn first_with(links: &[Link], value: fn(&Link) -> u64) -> Option<SetBy> {
    let own = value(links.last()?);
    let first = links.iter().rposition(|link| value(link) != own).map_or(0, |above| above + 1);
    let first = first.max(links.iter().rposition(|link| link.command == Link::REQUESTED).unwrap_or(0));
    let link = &links[first.min(links.len() - 1)];
    let by = match first {
        _ if link.command == Link::REQUESTED => By::AskedFor,
        0 => By::Inherited,
        _ => By::Unseen,
    };
    Some(of(link, by))
}

fn of(link: &Link, by: By) -> SetBy {
    SetBy {
        pid: link.pid,
        command: link.command.clone(),
        inherited: by == By::Inherited,
        by,
        alternatives: Vec::new(),
    }
}

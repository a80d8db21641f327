//! The cost of observing to the subject, measured on this machine: a small program opens, closes and fails to
//! open descriptors as fast as it can, once unobserved and once under the run's observer. This is done after
//! the subject has ended, so it disturbs nothing.

use super::{Error, Options};
use crate::event::{Limits, Unseen, What};
use crate::launch::{Command, Tree};
use crate::observe::{self, Chosen, output::Drain};
use crate::sys::clock;
use rustix::io::Errno;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Each kind of call is repeated for this long at a time; nanoseconds.
const BATCH: u64 = 1_000_000;
/// The quickest of so many batches counts: any other work of the machine only makes it slower.
const BATCHES: usize = 5;
/// Both measurements together take milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// The program that is measured (`lastfd exec cost`): prints the nanoseconds of opening and closing a
/// descriptor, and of failing to open one, with EMFILE.
///
/// # Errors
/// A call failed that cannot, or a limit is not in force.
pub fn subject() -> std::io::Result<()> {
    let opened = quickest(|| rustix::io::dup(rustix::stdio::stdin()).map(drop))?;
    let mut full = Vec::new();
    while let Ok(one) = rustix::io::dup(rustix::stdio::stdin()) {
        full.push(one);
    }
    let failed = quickest(|| match rustix::io::dup(rustix::stdio::stdin()) {
        Err(Errno::MFILE) => Ok(()),
        Err(other) => Err(other),
        Ok(_) => Err(Errno::INVAL),
    })?;
    drop(full);
    println!("{opened} {failed}");
    Ok(())
}

fn quickest(call: impl Fn() -> Result<(), Errno>) -> std::io::Result<u64> {
    let mut best = u64::MAX;
    for _ in 0..BATCHES {
        let (started, mut calls) = (clock::now(), 0);
        let took = loop {
            call()?;
            calls += 1;
            let took = clock::now() - started;
            if took >= BATCH {
                break took;
            }
        };
        best = best.min(took / calls);
    }
    Ok(best)
}

/// Measures the observer; says why where that does not work, and never fails the run.
pub fn measure(chosen: &Chosen, options: &Options) -> What {
    let measured = timed(None, options).and_then(|bare| Ok((bare, timed(Some(chosen), options)?)));
    match measured {
        Ok(((open, fail), (open_observed, fail_observed))) => What::ObserverCost {
            name: chosen.name(),
            opened_ns: open_observed.saturating_sub(open),
            failed_ns: fail_observed.saturating_sub(fail),
        },
        Err(error) => What::NotSeen { what: Unseen::ObserverCost, why: error.to_string() },
    }
}

fn timed(observer: Option<&Chosen>, options: &Options) -> Result<(u64, u64), Error> {
    let not_measured = |e: &dyn std::fmt::Display| {
        Error::Inconclusive(format!("what observing costs could not be measured: {e}"))
    };
    let command = Command {
        argv: options.helper.argv(&["exec", "cost"]),
        env: BTreeMap::new(),
        directory: None,
        rlimits: Default::default(),
        limits: Limits { soft: 64, hard: 64 },
        scratch: None,
        keeps_scratch: false,
        mounts: Vec::new(),
        switches_user: false,
        user: None,
        stdin: None,
        ignore_hangup: false,
        trap: observer.is_some_and(Chosen::wants_trap),
        helper: options.helper.clone(),
    };
    let mut tree = Tree::prepare(&command, options.isolation).map_err(|e| not_measured(&e))?;
    let attached =
        observer.map(|chosen| chosen.attach(tree.program())).transpose().map_err(|e| not_measured(&e))?;
    let mut output = tree.output().map(|fd| Drain::start(fd, drop)).transpose()?;
    tree.start().map_err(|e| not_measured(&e))?;
    let ended = tree.wait_gone(DEADLINE);
    if !ended {
        let _ = tree.end(Signal::KILL, Duration::ZERO);
    }
    drop(attached);
    let said = output.as_mut().map(|output| {
        output.finish();
        output.tail()
    });
    let said = said.unwrap_or_default();
    let figures: Vec<u64> = said
        .first()
        .map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect())
        .unwrap_or_default();
    match figures.as_slice() {
        [opened, failed] => Ok((*opened, *failed)),
        _ => Err(not_measured(&format!("it said {said:?}"))),
    }
}

impl Options {
    /// The cost of this observer, measured at the first run of a command.
    pub(super) fn cost(&self, observer: &observe::Chosen) -> What {
        let mut costs = self.costs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        costs.entry(observer.name()).or_insert_with(|| measure(observer, self)).clone()
    }
}

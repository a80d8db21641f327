//! Ceiling, saturation, recovery, witnesses and series, from the plan and the event log alone.
//!
//! Takes the log that a run left; the judge and the reports take what comes out. Does no I/O, reads no clock, and knows no
//! program: the same log always measures the same. What could not be measured is `None` with a reason, never zero.

mod about;
mod binds;
mod calls;
mod ceiling;
mod classify;
mod clients;
mod follow;
mod listed;
mod moved;
mod numbers;
mod parts;
mod policy;
mod recovery;
mod rhythm;
mod rounds;
mod saturation;
mod seen;
mod series;
mod timeline;
mod tree;
mod verdict;
mod wall;
mod witness;

pub use calls::way;
pub use parts::*;
pub use policy::PolicyWatch;

use crate::event::{Log, What};
use crate::scenario::Plan;

/// One run's log, read once in each way that measuring needs.
struct Run<'a> {
    plan: &'a Plan,
    timeline: timeline::Timeline<'a>,
    tree: tree::Tree,
    clients: clients::Clients,
    calls: calls::Calls,
    followed: follow::Followed,
}

/// With which exit status the program that was executed for the subject ended; `None`: by a signal, or not at all.
fn exit_status(plan: &Plan, log: &Log) -> Option<i32> {
    log.events.iter().find_map(|event| match &event.is {
        What::Exited { process, code, .. } if *process == plan.subject => *code,
        _ => None,
    })
}

/// Measures a run. Takes time linear in the log's length.
pub fn measure(plan: &Plan, log: &Log) -> Measured {
    let timeline = timeline::Timeline::new(log);
    let tree = tree::Tree::new(plan, &timeline);
    let clients = clients::Clients::new(plan, &timeline);
    let calls = calls::Calls::new(plan, &timeline);
    let followed = follow::follow(&timeline, &tree);
    let run = Run { plan, timeline, tree, clients, calls, followed };
    let mut m = Measured::default();
    for event in &run.timeline.events {
        match &event.is {
            What::Unmeasured { field, reason } => drop(m.missing::<()>(field, reason)),
            What::Inconclusive { reason } => m.inconclusive.push(reason.clone()),
            What::NotStarted { reason } => {
                m.inconclusive.push(reason.clone());
                m.not_started =
                    Some(NotStarted { reason: reason.clone(), exit_status: exit_status(plan, log) });
            }
            _ => {}
        }
    }
    if !log.complete {
        m.inconclusive.push("log ends in mid-run".into());
    }
    about::about(&run, &mut m);
    ceiling::ceiling(&run, &mut m);
    saturation::saturation(&run, &mut m);
    binds::binds(&run, &mut m);
    moved::moved(&run, &mut m);
    seen::seen(&run, &mut m);
    wall::wall(&run, &mut m);
    recovery::recovery(&run, &mut m);
    rounds::rounds(&run, &mut m);
    verdict::verdict(&run, &mut m);
    calls::calls(&run, &mut m);
    witness::witnesses(&run, &mut m);
    m.series = series::series(&run);
    m.tcp = series::tcp(&run);
    listed::reasons(&mut m);
    m
}

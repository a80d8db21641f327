//! The changes that a variant makes to the scenario as written.

use crate::scenario::{Plan, Process, Recovery, Then, Workload};

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change<'p> {
    /// Another subject.
    Subject(&'p str),
    /// Another process runs, too.
    Added(&'p str, &'p Process),
    /// It runs another program.
    Program(&'p str, &'p Process),
    /// Its launcher, or what that starts with.
    Launcher(&'p str, &'p Process),
    /// Its other limits.
    Rlimits(&'p str, &'p Process),
    /// Its environment.
    Environment(&'p str, &'p Process),
    /// A process does not run.
    Removed(&'p str),
    /// A load that is new or another.
    Load(&'p str, &'p Workload),
    /// A load that is left out.
    NoLoad(&'p str),
    /// The sysctls.
    Sysctls,
    /// How often recovery is sampled.
    Recovery(Recovery),
    /// A limit that is moved while it runs.
    Then(&'p Then),
    /// No limit is moved.
    NoThen,
    /// How long saturation is watched at most, seconds.
    Hold(f64),
}

/// All changes, in the order in which `explain` describes a scenario.
pub fn changes<'p>(base: &'p Plan, plan: &'p Plan) -> Vec<Change<'p>> {
    let mut changes = Vec::new();
    if base.subject != plan.subject {
        changes.push(Change::Subject(&plan.subject));
    }
    for (name, process) in &plan.processes {
        match base.processes.get(name) {
            Some(was) => changes.extend(of_process(name, was, process)),
            None => changes.push(Change::Added(name, process)),
        }
    }
    let gone = base.processes.keys().filter(|name| !plan.processes.contains_key(*name));
    changes.extend(gone.map(|name| Change::Removed(name)));
    let other = plan.workloads.iter().filter(|(name, workload)| base.workloads.get(*name) != Some(workload));
    changes.extend(other.map(|(name, workload)| Change::Load(name, workload)));
    let gone = base.workloads.keys().filter(|name| !plan.workloads.contains_key(*name));
    changes.extend(gone.map(|name| Change::NoLoad(name)));
    if base.sysctls != plan.sysctls {
        changes.push(Change::Sysctls);
    }
    if base.recovery != plan.recovery {
        changes.push(Change::Recovery(plan.recovery));
    }
    if base.then != plan.then {
        changes.extend(plan.then.iter().map(Change::Then));
        changes.extend(plan.then.is_empty().then_some(Change::NoThen));
    }
    if base.hold_s != plan.hold_s {
        changes.push(Change::Hold(plan.hold_s));
    }
    changes
}

fn of_process<'p>(
    name: &'p str,
    was: &'p Process,
    process: &'p Process,
) -> impl Iterator<Item = Change<'p>> + use<'p> {
    let launched = was.launcher != process.launcher || was.limits != process.limits;
    let all = [
        (was.program != process.program).then_some(Change::Program(name, process)),
        launched.then_some(Change::Launcher(name, process)),
        (was.rlimits != process.rlimits).then_some(Change::Rlimits(name, process)),
        (was.env != process.env).then_some(Change::Environment(name, process)),
    ];
    all.into_iter().flatten()
}

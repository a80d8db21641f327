//! The cause that stopped it, where that is neither a descriptor limit nor a rule of its own, and limits that
//! cannot bind.

use super::super::Report;
use super::{counted, evidence, number, sentence};
use crate::measure::{Binds, BindsEvidence, Kind, Resource};

/// The name of a resource.
pub const fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Descriptors => "file descriptors",
        Resource::OpenFiles => "open files of the host",
        Resource::Threads => "threads",
        Resource::Processes => "processes",
        Resource::Memory => "memory",
        Resource::AcceptQueue => "room in its accept queue",
        Resource::InotifyInstances => "inotify instances",
        Resource::FdSetsize => "descriptor numbers that select() can watch (FD_SETSIZE)",
        Resource::OtherKernelLimit => "what another kernel limit allows",
        Resource::SourcePorts => "source ports of the load generator",
        Resource::Generator => "room in the load generator",
        Resource::OwnRule => "what its own rule allows",
    }
}

/// The resource that ran out and its evidence; `None` where the first failed call or the policy says it
/// already.
pub fn binds(r: &Report) -> Option<String> {
    let said = [Resource::Descriptors, Resource::OpenFiles, Resource::OwnRule];
    let lost = |binds: &&Binds| matches!(binds.evidence, BindsEvidence::LostInPassing(_));
    let binds = r.found.binds.get().filter(|binds| lost(binds) || !said.contains(&binds.resource))?;
    let why = evidence::binds(&binds.evidence);
    Some(sentence(&match binds.resource {
        Resource::OtherKernelLimit => format!("another kernel limit stopped it, not RLIMIT_NOFILE: {why}"),
        other => format!("it ran out of {}: {why}", resource(other)),
    }))
}

/// The bound on connections that are handed to processes of their own.
pub fn handed_over(r: &Report) -> Option<String> {
    let handed = r.found.handed_over?;
    let bound = match r.found.ceiling.kind.value() {
        Some(Kind::Emfile) => "its descriptor limit bounds what it keeps open for each of them",
        _ => {
            "no descriptor limit of one process bounds them, but the number of processes does (RLIMIT_NPROC, pids.max) and memory"
        }
    };
    let keeps = number(handed.connections, "keeps no copy of it", "keeps no copy of them");
    Some(format!(
        "It handed {} over to {} and {keeps}: {bound}.",
        counted(handed.connections, "connection"),
        counted(handed.processes, "other process"),
    ))
}

//! `lastfd inspect PID|:PORT|NAME`: the limits, the descriptors and the growth of a live process, and what to
//! do about them. Read-only: it never signals, traces or changes the process, and the commands it prints it
//! never runs.

mod groups;
pub mod growth;
mod managers;
mod render;
mod report;
mod target;
mod tree;
mod unread;

pub use groups::kinds;
pub use report::{Counts, Ids, Kind, Listener, Report};
pub use target::Target;

use super::{Exit, Failure, Outcome, page, time::seconds};
use crate::event::{Descriptor, Limits, Pid, Redaction};
use crate::limits::chain;
use crate::limits::inventory::{self, Inventory};
use crate::limits::managed::{self};
use crate::limits::raise::{self};
use crate::sys::{self, sock_diag::State};
use growth::{Ended, Growth};
use rustix::process::{PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Version of the JSON document.
pub const SCHEMA: &str = "lastfd/inspect/1";

/// Show the descriptor limit of a live process, who set it, what is open, and how soon descriptors run out
///
/// Several processes, and the descendants of each, are compared: the report is about the one with the least
/// room left, unless its process id was given.
///
/// It changes nothing and runs none of the commands that it prints. It needs no root for your own processes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A process id; or :8080, the TCP port that it listens on; or nginx, the name of its program
    #[arg(value_name = "PID|:PORT|NAME")]
    pub process: Target,
    /// How long to watch its descriptors grow: 10, 10s, 500ms, 5m or 1h; 0: not at all. Ctrl-C stops early
    /// and still reports
    #[arg(long = "for", value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub watch: Duration,
    /// Also write the report as JSON to this file; with `-`, write JSON to standard output instead of text
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// Hide all arguments of commands, not only those that look like secrets
    #[arg(long)]
    pub redact: bool,
}

/// The time to watch; at most a day.
///
/// # Errors
/// The fault, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    seconds(text, 86400.0).map(Duration::from_secs_f64)
}

/// Runs the command.
///
/// # Errors
/// [`Exit::Inconclusive`] when there is no such process, or nothing of it can be read;
/// [`Exit::NothingSelected`] when none has that port or name.
pub fn run(args: &Args) -> Outcome {
    page::preflight(args.json.as_deref())?;
    let report = inspect(&args.process, args.watch, args.redact)?;
    let text_to_stdout = args.json.as_deref() != Some("-");
    if let Some(file) = &args.json {
        page::write_json(file, &report)?;
    }
    if text_to_stdout {
        render::page(&report).print()?;
    }
    let interrupted = report.growth.as_ref().is_some_and(|growth| growth.ended == Ended::Interrupted);
    Ok(if interrupted { Exit::Interrupted } else { Exit::Met })
}

/// Reads all of it, watching the growth for so long.
///
/// # Errors
/// The errors of [`run`].
pub fn inspect(target: &Target, watch: Duration, redact: bool) -> Result<Report, Failure> {
    let asked = target.processes()?;
    let pid = worst(target, &asked);
    let (process, here) = pidfd(pid)?;
    let limits = limits(pid, &process)?;
    let mut redaction = Redaction::new(redact);
    redaction.learn(&sys::proc::arguments(pid));
    let chain = chain::read(pid, None, pid, &redaction);
    let managers = managed::of(pid, &chain.iter().map(|link| link.pid).collect::<Vec<_>>(), &redaction);
    let command = match sys::proc::arguments(pid) {
        words if words.is_empty() => sys::proc::command(pid),
        words => redaction.words(&words).join(" "),
    };
    let caller = raise::Caller::now(pid);
    let nr_open = std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1 << 20);
    let enough = raise::target(limits, nr_open);
    let mut report = Report {
        schema: SCHEMA,
        asked: target.to_string(),
        pid,
        ids: Ids {
            here,
            namespaces: sys::proc::ids(&pid.to_string()),
            whole_machine: sys::proc::in_first_pid_namespace(),
        },
        command,
        limits,
        headroom: None,
        tree: Vec::new(),
        descriptors: None,
        kinds: Vec::new(),
        peers: Vec::new(),
        listeners: Vec::new(),
        close_wait: 0,
        deleted: 0,
        unread: None,
        time_wait: 0,
        growth: None,
        set_by: chain
            .get(chain::last_change(&chain, |link| (link.soft, link.hard)).unwrap_or(0))
            .map(|link| link.pid),
        chain,
        for_good: managers.iter().map(|manager| managers::advice(manager, enough)).collect(),
        managed_by: managers,
        raise_now: raise::commands(here, limits, nr_open, caller),
        inventory: Vec::new(),
        unmeasured: BTreeMap::new(),
    };
    match inventory::open(pid) {
        _ if growth::exited(&process) => report.unreadable(&io::ErrorKind::NotFound.into()),
        Ok(before) => report.watch(&process, before, watch)?,
        Err(e) => report.unreadable(&e),
    }
    report.tree = tree::read(&asked);
    Ok(report)
}

/// The process that is asked for; of several the one with the least room.
pub fn worst(target: &Target, asked: &[Pid]) -> Pid {
    match target {
        Target::Pid(pid) => *pid,
        _ => tree::read(asked).first().map_or(asked[0], |worst| worst.pid),
    }
}

/// A handle of the process that no other process can take over, and the id that the process has in this PID
/// namespace.
///
/// # Errors
/// [`Exit::Inconclusive`]: there is no such process, or it cannot be reached.
pub fn pidfd(pid: Pid) -> Result<(OwnedFd, Pid), Failure> {
    let no_such = || {
        let hidden = if hides_processes() && !raise::may_read_all() {
            format!(", or /proc hides it (hidepid): {}", raise::may_not_read(&again(pid)))
        } else {
            String::new()
        };
        Failure::new(Exit::Inconclusive, format!("there is no process {pid}{hidden}"))
    };
    let outside = || {
        let why = "/proc shows it, but it is outside of the PID namespace that lastfd runs in: run lastfd where it runs";
        Failure::new(Exit::Inconclusive, format!("process {pid} cannot be watched: {why}"))
    };
    let here = match sys::proc::reachable_as(pid) {
        Some(here) => here,
        None if Path::new(&format!("/proc/{pid}")).exists() => return Err(outside()),
        None => return Err(no_such()),
    };
    let id = rustix::process::Pid::from_raw(here).ok_or_else(no_such)?;
    let process = pidfd_open(id, PidfdFlags::empty()).map_err(|errno| match errno {
        rustix::io::Errno::SRCH => no_such(),
        rustix::io::Errno::INVAL | rustix::io::Errno::NOENT => Failure::new(
            Exit::Inconclusive,
            format!("{pid} is a thread: give the id of its process (the line Tgid in /proc/{pid}/status)"),
        ),
        errno => {
            Failure::new(Exit::Inconclusive, format!("process {pid} cannot be watched: pidfd_open: {errno}"))
        }
    })?;
    // Another namespace as deep as this one may use the same number for another process.
    if here != pid && shown_as(&process) != Some(pid) {
        return Err(outside());
    }
    Ok((process, here))
}

/// The id by which /proc shows the process of a pidfd.
fn shown_as(process: &OwnedFd) -> Option<Pid> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// This command, for a user who may run it.
fn again(pid: Pid) -> String {
    format!("lastfd inspect {pid}")
}

/// Whether /proc is mounted so that other users' processes do not show (proc(5), hidepid).
fn hides_processes() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        line.split(' ').nth(1) == Some("/proc") && line.contains("hidepid=") && !line.contains("hidepid=0")
    })
}

/// The limits in force in the process.
///
/// # Errors
/// [`Exit::Inconclusive`]: nothing can be measured of it.
pub fn limits(pid: Pid, process: &OwnedFd) -> Result<Limits, Failure> {
    let nothing = |why: &str| nothing(pid, why);
    if growth::exited(process) {
        return Err(nothing("it has exited, and waits for its parent to collect it (a zombie)"));
    }
    if sys::proc::is_kernel_thread(pid) {
        return Err(nothing("it is a thread of the kernel, which has no descriptors"));
    }
    if sys::proc::is_exiting(pid) {
        return Err(nothing("it is exiting just now"));
    }
    match sys::proc::nofile(pid) {
        Ok((soft, hard)) => Ok(Limits { soft, hard }),
        Err(error) => Err(unread(pid, &error)),
    }
}

fn nothing(pid: Pid, why: &str) -> Failure {
    Failure::new(Exit::Inconclusive, format!("nothing can be measured of process {pid}: {why}"))
}

/// The failure to report for a process that could not be read.
pub fn unread(pid: Pid, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => nothing(pid, "it has exited just now"),
        io::ErrorKind::PermissionDenied => nothing(pid, &raise::may_not_read(&again(pid))),
        _ => nothing(pid, &error.to_string()),
    }
}

impl Report {
    /// Watches the growth and fills in what the descriptors are after it, or before it where the process has
    /// exited since.
    fn watch(&mut self, process: &OwnedFd, before: Inventory, duration: Duration) -> Result<(), Failure> {
        if duration.is_zero() {
            self.unmeasured.insert("growth", "not asked for (--for 0s)".into());
            self.count(None, &before);
            return Ok(());
        }
        if io::stderr().is_terminal() {
            eprintln!(
                "watching process {} for {} s (Ctrl-C ends it early)",
                self.pid,
                duration.as_secs_f64()
            );
        }
        let samples = growth::sample(self.pid, process, duration)
            .map_err(|e| Failure::new(Exit::Fault, format!("cannot watch: {e}")))?;
        let after = inventory::open(self.pid).ok().filter(|_| !growth::exited(process));
        match &after {
            Some(after) => self.count(Some(&before), after),
            None => self.count(None, &before),
        }
        let after = after.as_ref().unwrap_or(&before);
        if samples.ended == Ended::Exited {
            self.has_gone();
        } else if let Some((soft, hard)) =
            sys::proc::nofile(self.pid).ok().filter(|now| *now != (self.limits.soft, self.limits.hard))
        {
            let Limits { soft: old_soft, hard: old_hard } = self.limits;
            self.unmeasured.insert(
                "limits",
                format!(
                    "they changed while watched, to {soft}:{hard}; {old_soft}:{old_hard} was in force before"
                ),
            );
        }
        self.growth = Growth::new(&samples, duration, self.headroom.unwrap_or(0), &before.open, &after.open);
        if self.growth.is_none() {
            self.unmeasured.insert("growth", "the process exited before it could be sampled".into());
        }
        Ok(())
    }

    /// Counts what is open after a watch that began with `before`, or at one moment.
    fn count(&mut self, before: Option<&Inventory>, after: &Inventory) {
        let Inventory { open, sockets } = after;
        let descriptors: Vec<Descriptor> = open.iter().map(|open| open.descriptor.clone()).collect();
        let listed = descriptors.len() as u64;
        let reserved = tree::reserved(self.pid, listed);
        let counted = inventory::counted(&descriptors, self.limits.soft) + reserved;
        let above_soft = descriptors
            .iter()
            .filter(|descriptor| descriptor.fd as u64 >= self.limits.soft)
            .cloned()
            .collect();
        self.headroom = Some(self.limits.soft.saturating_sub(counted));
        self.descriptors = Some(Counts { open: listed + reserved, listed, reserved, counted, above_soft });
        self.kinds = groups::kinds(open).into_iter().map(|(kind, count)| Kind { kind, count }).collect();
        self.peers = groups::of(open);
        let listeners = || open.iter().filter_map(|open| open.tcp).filter(|tcp| tcp.state == State::LISTEN);
        self.listeners = listeners()
            .map(|tcp| Listener { address: tcp.local.to_string(), waiting: tcp.receive_queue })
            .collect();
        let mut ports: Vec<u16> = listeners().map(|tcp| tcp.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        self.time_wait = ports.iter().filter_map(|port| sockets.time_wait.get(port)).sum();
        self.deleted = groups::deleted(open);
        self.unread = Some(unread::count(before.map(|before| before.open.as_slice()), open));
        self.close_wait = groups::in_state(open, State::CLOSE_WAIT);
        self.inventory = descriptors;
    }

    /// Nothing can be raised any more.
    fn has_gone(&mut self) {
        self.raise_now.clear();
        self.unmeasured.insert("raise_now", "the process has exited: there is nothing to raise now".into());
    }

    /// Says what is missing and how to get it.
    fn unreadable(&mut self, error: &io::Error) {
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("/proc/{}/fd is not readable: {}", self.pid, raise::may_not_read(&again(self.pid)))
            }
            _ => {
                self.has_gone();
                "the process exited while it was read".into()
            }
        };
        for field in ["headroom", "descriptors", "growth"] {
            self.unmeasured.insert(field, why.clone());
        }
    }
}

//! The processes that a report is about: those asked for and their descendants, and how much each has left
//! under its own limit.

use crate::event::Pid;
use crate::sys::{self, proc};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;

/// One process of them.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Process id.
    pub pid: Pid,
    /// The name of the program.
    pub name: String,
    /// Whether it was asked for; otherwise it descends from one that was.
    pub asked: bool,
    /// Taken descriptor numbers, by the kernel's count; null when they are not readable.
    pub open: Option<u64>,
    /// Numbers reserved by threads blocked in `accept`, counted in `open` too; null when they are not
    /// readable.
    pub reserved: Option<u64>,
    /// Its soft limit.
    pub soft: u64,
    /// Descriptors that it can still open; null when they are not readable.
    pub headroom: Option<u64>,
}

impl Member {
    /// The part of its limit that is left, from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        Some(self.headroom? as f64 / self.soft.max(1) as f64)
    }
}

/// The processes with all their descendants, the one with the smallest share of its limit left first, and
/// those that are not readable last. Not this process, and none that is exiting.
pub fn read(asked: &[Pid]) -> Vec<Member> {
    let own = proc::own();
    let pids: BTreeSet<Pid> =
        asked.iter().flat_map(|&pid| proc::tree(pid)).filter(|pid| *pid != own).collect();
    let mut members: Vec<Member> =
        pids.into_iter().filter_map(|pid| member(pid, asked.contains(&pid))).collect();
    members.sort_by(|a, b| {
        let share = |member: &Member| member.share().unwrap_or(f64::INFINITY);
        share(a).total_cmp(&share(b)).then_with(|| b.open.cmp(&a.open))
    });
    members
}

fn member(pid: Pid, asked: bool) -> Option<Member> {
    let (name, (soft, _)) = (proc::program(pid)?, proc::nofile(pid).ok()?);
    let taken = proc::holds_descriptors(pid).then(|| taken(pid, soft).ok())?;
    Some(Member {
        pid,
        name,
        asked,
        open: taken.map(|taken| taken.open),
        reserved: taken.map(|taken| taken.reserved),
        soft,
        headroom: taken.map(|taken| soft.saturating_sub(taken.counted)),
    })
}

#[derive(Clone, Copy)]
struct Taken {
    open: u64,
    reserved: u64,
    counted: u64,
}

fn taken(pid: Pid, soft: u64) -> io::Result<Taken> {
    let numbers: Vec<u64> = std::fs::read_dir(format!("/proc/{}/fd", proc::shown_by(pid)))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let listed = numbers.len() as u64;
    let reserved = reserved(pid, listed);
    let counted = numbers.into_iter().filter(|number| *number < soft).count() as u64 + reserved;
    Ok(Taken { open: listed + reserved, reserved, counted })
}

/// Numbers reserved by threads blocked in `accept`, where so many descriptors are listed.
pub fn reserved(pid: Pid, listed: u64) -> u64 {
    // The two counts are taken at two moments: fewer than listed means that some were closed between them, or
    // all by exit.
    let total = proc::descriptors(pid).unwrap_or(listed).max(listed);
    // More may also be opened between them: only a thread that waits in accept reserves a number.
    (total - listed).min(accepting_threads(pid))
}

/// Threads of the process that wait in accept(2) or accept4(2), by `/proc/PID/task/TID/syscall`, or, where
/// that is not readable, all of its threads.
fn accepting_threads(pid: Pid) -> u64 {
    let accepts = [sys::calls::number("accept"), sys::calls::number("accept4")];
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let waits_in_accept =
        |task: &std::fs::DirEntry| match std::fs::read_to_string(task.path().join("syscall")) {
            Ok(line) => accepts.contains(&line.split(' ').next().and_then(|number| number.parse().ok())),
            Err(_) => true,
        };
    tasks.flatten().filter(waits_in_accept).count() as u64
}

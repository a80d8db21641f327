//! Which threads make up which process: thread-wise reports of the kernel become the fork, exec and exit of
//! whole processes.

use crate::event::{Change, Pid, What};
use std::collections::{HashMap, HashSet};

/// The living threads of each process of the tree.
#[derive(Debug, Default)]
pub struct Threads(HashMap<Pid, Process>);

#[derive(Debug)]
struct Process {
    /// The process that forked it, which may be gone.
    parent: Pid,
    threads: HashSet<i32>,
}

impl Threads {
    /// A tree of one single-threaded process.
    pub fn of(root: Pid) -> Self {
        let parent = crate::sys::proc::parent(root).unwrap_or(0);
        Threads(HashMap::from([(root, Process { parent, threads: HashSet::from([root]) })]))
    }

    /// The living processes.
    pub fn processes(&self) -> impl Iterator<Item = Pid> {
        self.0.keys().copied()
    }

    /// A task was created by the process `parent`: a process when it is the first of its thread group,
    /// otherwise one thread more.
    pub fn created(&mut self, pid: Pid, tid: i32, parent: Pid) -> Option<What> {
        if let Some(process) = self.0.get_mut(&pid) {
            process.threads.insert(tid);
            return None;
        }
        self.0.insert(pid, Process { parent, threads: HashSet::from([tid]) });
        (pid != parent).then_some(What::Process { pid, parent, change: Change::Fork })
    }

    /// A thread executed a program: it is the only one left, and its thread id is the process's from now on.
    pub fn executed(&mut self, pid: Pid) -> What {
        let process = self.0.entry(pid).or_insert_with(|| Process { parent: 0, threads: HashSet::new() });
        process.threads = HashSet::from([pid]);
        What::Process { pid, parent: process.parent, change: Change::Exec }
    }

    /// A thread exited; an event when it was the process's last. The leader may go before its threads.
    pub fn exited(&mut self, pid: Pid, tid: i32) -> Option<What> {
        let process = self.0.get_mut(&pid)?;
        process.threads.remove(&tid);
        if !process.threads.is_empty() {
            return None;
        }
        let gone = self.0.remove(&pid)?;
        Some(What::Process { pid, parent: gone.parent, change: Change::Exit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: Option<What>) -> Option<Change> {
        what.map(|w| match w {
            What::Process { change, .. } => change,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_process_exits_with_its_last_thread_and_not_with_its_leader() {
        let mut threads = Threads::of(10);
        assert_eq!(threads.created(10, 11, 10), None);
        assert_eq!(threads.exited(10, 10), None);
        assert_eq!(change(threads.exited(10, 11)), Some(Change::Exit));
        assert_eq!(threads.exited(10, 11), None, "only once");
    }

    #[test]
    fn a_thread_that_executes_takes_the_place_of_its_leader() {
        let mut threads = Threads::of(10);
        threads.created(10, 11, 10);
        assert_eq!(threads.exited(10, 10), None);
        threads.executed(10);
        assert_eq!(change(threads.exited(10, 10)), Some(Change::Exit));
    }

    #[test]
    fn a_child_keeps_the_parent_that_forked_it() {
        let mut threads = Threads::of(10);
        assert_eq!(
            threads.created(12, 12, 10),
            Some(What::Process { pid: 12, parent: 10, change: Change::Fork })
        );
        assert_eq!(threads.created(12, 13, 12), None, "a thread is no process");
        assert_eq!(change(threads.exited(10, 10)), Some(Change::Exit));
        assert_eq!(threads.executed(12), What::Process { pid: 12, parent: 10, change: Change::Exec });
    }
}

//! Observes system calls by ptrace, where perf is not allowed or would be blind: a seccomp filter in the
//! subject stops it at the observed calls only, and a tracer in a thread of its own reads what they return.
//!
//! Every call is counted exactly, and each trapped one costs 10–80 µs. The filter stays with the subject for
//! life, and its calls fail where no tracer is: so the tracer never lets go of a process before that exits,
//! not even when observing has ended, and the kernel kills the tree should the harness die.

use super::failures::{Sampled, Totals};
use super::threads::Threads;
use super::{Syscalls, Unavailable, called, exhausted};
use crate::event::{Call, Event, Limits, ObserverName, Pid, What};
use crate::sys::ptrace::{
    End, Resume, Stop, Syscall, allowed, path_argument, process_of, resume, seize, syscall, wait, words_at,
};
use crate::sys::{calls, clock, proc, seccomp};
use libc::CLOSE_RANGE_CLOEXEC;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// The observer's name in reports.
pub const NAME: ObserverName = ObserverName::Ptrace;

/// Events between two drains; more are counted as lost. At 10 µs a call this takes half a second.
const QUEUE_AT_MOST: usize = 65_536;

/// Paths of failed calls that are recorded for one subject.
const PATHS_AT_MOST: u32 = 64;

fn unavailable(reason: impl ToString, remedy: impl ToString) -> Unavailable {
    Unavailable { observer: NAME.name(), reason: reason.to_string(), remedy: remedy.to_string() }
}

/// Whether this process may trace its descendants and the kernel has seccomp filters.
///
/// # Errors
/// See [`Unavailable`].
pub fn probe() -> Result<(), Unavailable> {
    // 3: no process may attach to another. 1 allows descendants, as the subject is; 2 wants CAP_SYS_PTRACE.
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if scope.trim() == "3" || scope.trim() == "2" && !rustix::process::geteuid().is_root() {
        let reason = format!("kernel.yama.ptrace_scope is {}", scope.trim());
        return Err(unavailable(
            reason,
            "set it to 1 with sysctl (3 stays until the next boot), or run as root",
        ));
    }
    allowed().map_err(|e| {
        unavailable(format!("ptrace(2): {e}"), "let the container call ptrace (`--cap-add SYS_PTRACE`)")
    })?;
    if !seccomp::available() {
        return Err(unavailable(
            "no seccomp filters",
            "use a kernel built with CONFIG_SECCOMP_FILTER, outside of a container that forbids them",
        ));
    }
    Ok(())
}

/// The numbers of the calls to trap on this architecture.
pub fn trapped() -> Vec<i64> {
    Call::ALL.iter().map(|call| call.name()).chain(calls::TRACED_BESIDE).filter_map(calls::number).collect()
}

/// State that the tracer's thread and the run share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Vec<Event>>,
    /// By the call's place in [`Call::ALL`].
    failed: Vec<AtomicU64>,
    lost: AtomicU64,
    /// Failures reported one by one so far.
    sampled: Mutex<Sampled>,
    /// The queue is not read any more.
    stopped: AtomicBool,
}

impl Shared {
    fn push(&self, is: What) {
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < QUEUE_AT_MOST {
            queue.push(Event { at: clock::now(), is });
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The observer, attached.
#[derive(Debug)]
pub struct Ptrace {
    shared: Arc<Shared>,
    totals: Totals,
}

impl Ptrace {
    /// Attaches to a process that waits before its exec, and will install the filter.
    ///
    /// No thread of this process may wait(2) for a traced process by its id or for "any child": the kernel
    /// would hand it the tracer's stops, and the tracer would hang. A tracee's parent in another process
    /// waits as ever.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn attach(pid: Pid) -> Result<Self, Unavailable> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            failed: Call::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            lost: AtomicU64::new(0),
            sampled: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let (tell, attached) = mpsc::sync_channel(1);
        let tracer = Arc::clone(&shared);
        let refused = |e: io::Error| {
            unavailable(
                format!("ptrace of process {pid}: {e}"),
                "end the debugger that traces it, or run as root",
            )
        };
        // The thread outlives this value: it ends with the last tracee.
        std::thread::Builder::new()
            .name("tracer".into())
            .spawn(move || {
                let seized = seize(pid);
                let go_on = seized.is_ok();
                let _ = tell.send(seized);
                if go_on {
                    Tracer::new(tracer, pid).run();
                }
            })
            .map_err(refused)?;
        attached
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the tracer's thread ended")))
            .map_err(refused)?;
        Ok(Ptrace { shared, totals: Totals::default() })
    }
}

impl Syscalls for Ptrace {
    fn name(&self) -> ObserverName {
        NAME
    }

    fn drain(&mut self, sink: &mut Vec<Event>) -> io::Result<()> {
        sink.append(&mut self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner));
        let now = clock::now();
        match self.shared.lost.swap(0, Ordering::Relaxed) {
            0 => {}
            samples => sink.push(Event { at: now, is: What::Lost { samples } }),
        }
        if self.shared.stopped.load(Ordering::Relaxed) || self.totals.due(now) {
            let counts = Call::ALL
                .iter()
                .zip(&self.shared.failed)
                .map(|(&call, count)| (call, count.load(Ordering::Relaxed)));
            self.totals.report(now, counts, sink);
        }
        Ok(())
    }

    fn sample_again(&mut self, failures: u64) -> io::Result<()> {
        *self.shared.sampled.lock().unwrap_or_else(PoisonError::into_inner) =
            Sampled::with_room_for(failures);
        Ok(())
    }

    fn exact(&self) -> bool {
        true
    }

    fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Drop for Ptrace {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A trapped call that has still to return.
#[derive(Debug, Clone, Copy)]
enum Inside {
    /// It creates a descriptor; an accept from this listener.
    Call(Call, Option<i32>),
    /// It gives these limits to a process, by the number that its caller knows; 0 is the caller's own.
    Limits(Pid, Option<Limits>),
}

/// The tracer's side, in its thread.
struct Tracer {
    shared: Arc<Shared>,
    calls: HashMap<i64, Call>,
    close: Option<i64>,
    close_range: Option<i64>,
    prlimit: Option<i64>,
    setrlimit: Option<i64>,
    /// The process of each traced thread.
    processes: HashMap<i32, Pid>,
    threads: Threads,
    /// Threads inside a trapped call.
    inside: HashMap<i32, Inside>,
    /// New tasks that stopped before their creator did: they wait for its stop, so that a process is known
    /// before it acts.
    early: HashSet<i32>,
    /// New processes that were let go because their creator may have been killed before it could report them.
    orphans: HashSet<i32>,
    /// Paths reported so far.
    paths: u32,
    /// Set by the first exec, as perf's events are enabled by it: the launcher's own calls are not the
    /// subject's.
    recording: bool,
}

impl Tracer {
    fn new(shared: Arc<Shared>, root: Pid) -> Self {
        let calls = Call::ALL.iter().filter_map(|&call| Some((calls::number(call.name())?, call))).collect();
        Tracer {
            shared,
            calls,
            close: calls::number("close"),
            close_range: calls::number("close_range"),
            prlimit: calls::number("prlimit64"),
            setrlimit: calls::number("setrlimit"),
            processes: HashMap::from([(root, root)]),
            threads: Threads::of(root),
            inside: HashMap::new(),
            early: HashSet::new(),
            orphans: HashSet::new(),
            paths: 0,
            recording: false,
        }
    }

    /// Until no tracee is left.
    fn run(mut self) {
        while let Ok((tid, stop)) = wait() {
            if let Some(how) = self.handle(tid, stop) {
                // A task that cannot be resumed was killed meanwhile; `wait` reports that next.
                let _ = resume(tid, how);
            }
        }
    }

    /// Takes note of a stop and says how the task goes on; `None` when it is gone, or must wait.
    fn handle(&mut self, tid: i32, stop: Stop) -> Option<Resume> {
        match stop {
            Stop::Seccomp => return Some(self.entered(tid)),
            Stop::Syscall => self.left(tid),
            Stop::Created { tid: new, clone } => self.created(tid, new, clone),
            Stop::Exec { former } => self.executed(tid, former),
            Stop::Exiting(end) => {
                self.exited(tid, end);
                return Some(Resume::Detach);
            }
            Stop::Gone(end) => {
                self.exited(tid, Some(end));
                return None;
            }
            Stop::Group => return Some(Resume::Listen),
            Stop::Signal(signal) => return Some(Resume::Run(signal)),
            Stop::Other if !self.processes.contains_key(&tid) => {
                self.early.insert(tid);
                return None;
            }
            Stop::Other => {}
        }
        Some(if self.inside.contains_key(&tid) { Resume::ToSyscallExit } else { Resume::Run(0) })
    }

    /// The process of a thread, known or from /proc; the thread itself where both are silent.
    fn process(&mut self, tid: i32) -> Pid {
        *self.processes.entry(tid).or_insert_with(|| process_of(tid).unwrap_or(tid))
    }

    fn entered(&mut self, tid: i32) -> Resume {
        let Some(Syscall::Entry { number, arguments }) = syscall(tid) else { return Resume::Run(0) };
        let limits = |pointer| words_at(tid, pointer).map(|[soft, hard]| Limits { soft, hard });
        let inside = if Some(number) == self.close {
            let pid = self.process(tid);
            self.record(What::Close { pid, fd: arguments[0] as i32 });
            return Resume::Run(0);
        } else if Some(number) == self.close_range {
            let [first, last, flags] = [arguments[0], arguments[1], arguments[2]].map(|n| n as u32);
            if flags & CLOSE_RANGE_CLOEXEC == 0 {
                let pid = self.process(tid);
                self.record(What::CloseRange { pid, first, last });
            }
            return Resume::Run(0);
        } else if Some(number) == self.prlimit {
            Inside::Limits(arguments[0] as Pid, limits(arguments[2]))
        } else if Some(number) == self.setrlimit {
            Inside::Limits(0, limits(arguments[1]))
        } else if let Some(&call) = self.calls.get(&number) {
            Inside::Call(call, call.accepts().then_some(arguments[0] as i32))
        } else {
            return Resume::Run(0);
        };
        self.inside.insert(tid, inside);
        Resume::ToSyscallExit
    }

    fn left(&mut self, tid: i32) {
        let Some(inside) = self.inside.remove(&tid) else { return };
        let Some(Syscall::Exit(ret)) = syscall(tid) else { return };
        match inside {
            Inside::Call(name, on) => self.returned(tid, name, on, ret),
            Inside::Limits(of, limits) if ret == 0 => {
                let by = self.process(tid);
                if let Some(pid) = called(of, by, self.processes.values().copied()) {
                    self.record(What::LimitSet { pid, by, limits });
                }
            }
            Inside::Limits(..) => {}
        }
    }

    fn returned(&mut self, tid: i32, name: Call, on: Option<i32>, ret: i64) {
        let pid = self.process(tid);
        if exhausted(ret) {
            if !self.recording {
                return;
            }
            self.shared.failed[name as usize].fetch_add(1, Ordering::Relaxed);
            let mut sampled = self.shared.sampled.lock().unwrap_or_else(PoisonError::into_inner);
            let (takes, muted, full) = (sampled.takes(pid, on), sampled.muted(), sampled.full());
            drop(sampled);
            if takes {
                self.record(What::Call { pid, name, ret, on });
                self.path(pid, tid, name);
                muted.into_iter().for_each(|is| self.record(is));
            }
            if takes && full {
                self.record(What::SamplingStopped);
            }
        } else if ret >= 0 && name != Call::Fcntl {
            self.record(What::Call { pid, name, ret, on: None });
        }
    }

    /// Tells what a failed call was to open: it is stopped, and its arguments are where they were.
    fn path(&mut self, pid: Pid, tid: i32, name: Call) {
        let place = match name {
            Call::Openat | Call::Openat2 => 1,
            Call::Open | Call::Creat => 0,
            _ => return,
        };
        if self.paths < PATHS_AT_MOST
            && let Some(path) = path_argument(tid, place)
        {
            self.paths += 1;
            self.record(What::FailedPath { pid, name, path });
        }
    }

    fn created(&mut self, creator: i32, new: i32, clone: bool) {
        if self.orphans.remove(&new) && !self.early.contains(&new) {
            return;
        }
        let parent = self.process(creator);
        let pid = if clone { process_of(new).unwrap_or(parent) } else { new };
        self.join(new, pid, parent);
    }

    /// Counts a new task in, and lets it go if it was waiting for that.
    fn join(&mut self, tid: i32, pid: Pid, parent: Pid) {
        self.processes.insert(tid, pid);
        if let Some(fork) = self.threads.created(pid, tid, parent) {
            self.record(fork);
        }
        if self.early.remove(&tid) {
            let _ = resume(tid, Resume::Run(0));
        }
    }

    fn executed(&mut self, pid: i32, former: i32) {
        for tid in [former, pid] {
            self.processes.remove(&tid);
            self.inside.remove(&tid);
        }
        self.processes.insert(pid, pid);
        self.recording = true;
        let exec = self.threads.executed(pid);
        self.record(exec);
        // Stopped before its first instruction: it has not named itself yet.
        if let Some(program) = proc::program(pid) {
            self.record(What::Executed { pid, program });
        }
    }

    fn exited(&mut self, tid: i32, end: Option<End>) {
        self.inside.remove(&tid);
        self.early.remove(&tid);
        if let Some(pid) = self.processes.remove(&tid)
            && let Some(exit) = self.threads.exited(pid, tid)
        {
            match end {
                Some(End::Code(code)) => self.record(What::Status { pid, code: Some(code), signal: None }),
                Some(End::Signal(signal)) => {
                    self.record(What::Status { pid, code: None, signal: Some(signal) })
                }
                None => {}
            }
            self.record(exit);
        }
        // A thread that waits for its creator is killed with it, or lives and is announced; a process may
        // wait for ever.
        for tid in self.early.clone() {
            if process_of(tid).is_none_or(|pid| pid == tid) {
                self.orphans.insert(tid);
                self.join(tid, tid, proc::parent(tid).unwrap_or(0));
            }
        }
    }

    fn record(&self, is: What) {
        if self.recording {
            self.shared.push(is);
        }
    }
}

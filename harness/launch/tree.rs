//! The harness's side of a launch: it starts the stage, lets the program go, and owns every process that
//! comes of it until the last has ended. Dropping it, and the harness's own death at any moment, ends them
//! all.

use super::wire::{GO, Report};
use super::{Command, Error, Isolation};
use crate::event::{Nanos, Pid};
use crate::sys::{clock, proc, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::{PidfdFlags, Signal};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Bound on each side of the go-ahead: process starts and one exec, on a machine that may be busy.
const LAUNCH_WITHIN: Duration = Duration::from_secs(20);

/// Bound on the end of a tree after SIGKILL.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// How the program's first process ended: one of both, by wait(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit code.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// How a tree ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// No process was left.
    ByItself,
    /// The signal was enough.
    BySignal,
    /// Some did not end within the grace.
    Killed,
}

/// The tree of one launched program. It may be used from any thread, and outlives the thread that made it.
#[derive(Debug)]
pub struct Tree {
    command: Command,
    isolation: Isolation,
    refused: Vec<Error>,
    stage: Child,
    /// Readable when the stage has ended, which is after every process of the tree.
    stage_pidfd: OwnedFd,
    control: OwnedFd,
    init: Pid,
    program: Pid,
    output: Option<OwnedFd>,
    exited: Option<ExitStatus>,
    used: Option<Duration>,
    /// No report can come any more.
    silent: bool,
}

/// Ends a tree at once, from another thread than the one that waits for its end (the second Ctrl-C).
#[derive(Debug)]
pub struct Killer(OwnedFd);

impl Killer {
    /// Has every process of the tree killed; returns before they have ended.
    pub fn kill(&self) {
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

impl Tree {
    /// Starts the launch up to the moment before the program's exec, where observers can attach to
    /// [`Tree::program`]. Tries the strongest isolation asked for, then the weaker ones.
    ///
    /// # Errors
    /// The binary cannot be executed again, the working directory cannot be entered, or no isolation works.
    pub fn prepare(command: &Command, strongest: Isolation) -> Result<Tree, Error> {
        let mut refused = Vec::new();
        let usable = |isolation: Isolation| {
            let other_user = command.switches_user || command.user.is_some();
            isolation >= strongest && !(other_user && isolation == Isolation::UserNamespace)
        };
        for isolation in Isolation::ALL.iter().copied().filter(|&isolation| usable(isolation)) {
            match Tree::spawn(command, isolation) {
                Err(error @ Error::Step { step, .. }) if step.isolates() => refused.push(error),
                Err(error) => return Err(error),
                Ok(mut tree) => {
                    tree.refused = refused;
                    return Ok(tree);
                }
            }
        }
        Err(refused.pop().expect("the keeper is always tried, and what refused it kept"))
    }

    fn spawn(command: &Command, isolation: Isolation) -> Result<Tree, Error> {
        let channels = |errno: Errno| Error::Channels(errno.into());
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(channels)?;
        rustix::net::sockopt::set_socket_passcred(&control, true).map_err(channels)?;
        let (output, written) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(channels)?;
        let also_written = written.try_clone().map_err(Error::Channels)?;

        let mut stage = command.helper.command(&["exec", "stage", "--isolation", isolation.name()]);
        stage.arg0("lastfd");
        stage.args(["--soft", &command.limits.soft.to_string(), "--hard", &command.limits.hard.to_string()]);
        let rlimits =
            [("--nproc", command.rlimits.nproc), ("--address-space", command.rlimits.address_space)];
        for (name, limit) in rlimits.into_iter().filter_map(|(name, limit)| Some((name, limit?))) {
            stage.args([name, &limit.to_string()]);
        }
        stage.args(command.ignore_hangup.then_some("--ignore-hangup")).args(command.trap.then_some("--trap"));
        if let Some(directory) = &command.directory {
            stage.arg("--directory").arg(directory);
        }
        if let Some(scratch) = &command.scratch {
            stage.arg("--scratch").arg(scratch).args(command.keeps_scratch.then_some("--keep-scratch"));
        }
        if let Some(user) = &command.user {
            stage.arg("--user").arg(user.word());
        }
        if let Some(stdin) = &command.stdin {
            stage.arg("--stdin").arg(stdin);
        }
        for mount in &command.mounts {
            stage.arg("--mount").args([&mount.source, &mount.target]);
        }
        stage.arg("--").args(&command.argv).envs(&command.env);
        stage.stdin(Stdio::from(theirs)).stdout(Stdio::from(written)).stderr(Stdio::from(also_written));
        let mut stage_process =
            stage.spawn().map_err(|source| Error::Reexec { exe: command.helper.exe().into(), source })?;
        // Our copies of the stage's ends: while they are open no end of file can come.
        drop(stage);

        let pid = rustix::process::Pid::from_child(&stage_process);
        let stage_pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| {
            let _ = stage_process.kill().and_then(|()| stage_process.wait());
            channels(errno)
        })?;
        let mut tree = Tree {
            command: command.clone(),
            isolation,
            refused: Vec::new(),
            stage: stage_process,
            stage_pidfd,
            control,
            init: 0,
            program: 0,
            output: Some(output),
            exited: None,
            used: None,
            silent: false,
        };
        let deadline = Instant::now() + LAUNCH_WITHIN;
        loop {
            match tree.next_report(deadline)? {
                (Report::Init, sender) => tree.init = sender,
                (Report::Waiting, sender) => {
                    tree.program = sender;
                    return Ok(tree);
                }
                (Report::Failed(step, errno), _) => return Err(Error::of_step(step, errno, command)),
                (Report::Executed | Report::Exited(..), _) => return Err(tree.lost()),
            }
        }
    }

    /// Lets the program take its limits and be executed; returns after the exec, with the time of the signal
    /// to go: no call of the program's own is earlier.
    ///
    /// # Errors
    /// It cannot be executed under these limits; see [`Error`]. Nothing runs then.
    pub fn start(&mut self) -> Result<Nanos, Error> {
        let deadline = Instant::now() + LAUNCH_WITHIN;
        let at = clock::now();
        rustix::net::send(&self.control, GO, SendFlags::NOSIGNAL).map_err(|_| self.lost())?;
        loop {
            match self.next_report(deadline)? {
                (Report::Executed, _) => return Ok(at),
                (Report::Failed(step, errno), _) => return Err(Error::of_step(step, errno, &self.command)),
                (Report::Exited(status, used), _) => self.note_exit(status, used),
                (Report::Init | Report::Waiting, _) => (),
            }
        }
    }

    /// The command that the tree runs.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The means that keep the tree together.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Why the stronger isolations were not used, strongest first.
    pub fn refused(&self) -> &[Error] {
        &self.refused
    }

    /// The program's first process, before and after its exec.
    pub fn program(&self) -> Pid {
        self.program
    }

    /// Live processes of the program, parents before children; neither zombies nor the stage and init of
    /// ours.
    pub fn processes(&self) -> Vec<Pid> {
        proc::tree(self.init).into_iter().filter(|&pid| pid != self.init && !process::dead(pid)).collect()
    }

    /// The read end of the program's standard output and error, once; end of file comes when the last process
    /// that holds them closes.
    pub fn output(&mut self) -> Option<OwnedFd> {
        self.output.take()
    }

    /// How the program's first process ended; `None` while it runs. Others may live on (daemons).
    pub fn exited(&mut self) -> Option<ExitStatus> {
        while self.exited.is_none() && !self.silent {
            match Report::receive(&self.control) {
                Ok(Some((Report::Exited(status, used), _))) => self.note_exit(status, used),
                Ok(Some(_)) => (),
                Ok(None) => self.silent = true,
                Err(_) => break,
            }
        }
        self.exited
    }

    /// CPU that the program's first process used, with the descendants that it waited for; `None` before
    /// [`Tree::exited`] has said that it has ended.
    pub fn used(&self) -> Option<Duration> {
        self.used
    }

    /// Whether every process has ended.
    pub fn gone(&self) -> bool {
        self.wait_gone(Duration::ZERO)
    }

    /// Waits until every process has ended; false when some live on after this time.
    pub fn wait_gone(&self, within: Duration) -> bool {
        ready(&mut [PollFd::new(&self.stage_pidfd, PollFlags::IN)], Instant::now() + within)
    }

    /// Becomes readable when the program's first process has ended ([`Tree::exited`] then says how), to be
    /// polled beside other things.
    pub fn exited_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// A handle that kills the tree from another thread.
    ///
    /// # Errors
    /// `EMFILE`: the harness's own limit.
    pub fn killer(&self) -> io::Result<Killer> {
        Ok(Killer(self.control.try_clone()?))
    }

    /// Ends the tree: the signal to the program's first process, which knows best how to end its own (or to
    /// that one's children, see [`Command::switches_user`]); once that has ended, to every process that is
    /// left (daemons, orphaned workers); after the grace, SIGKILL to all.
    ///
    /// # Errors
    /// [`Error::Survivors`], ten seconds after SIGKILL.
    pub fn end(&mut self, signal: Signal, grace: Duration) -> Result<Ending, Error> {
        if self.gone() {
            return Ok(Ending::ByItself);
        }
        let deadline = Instant::now() + grace;
        let mut told = BTreeSet::from([self.program]);
        if self.exited().is_none() {
            let children = if self.command.switches_user { proc::children(self.program) } else { Vec::new() };
            // Not yet forked, or never: then the first process has no child to wait for.
            let first = if children.is_empty() { vec![self.program] } else { children };
            first.into_iter().for_each(|pid| tell(pid, signal));
        }
        while Instant::now() < deadline {
            if self.exited().is_some() {
                self.processes()
                    .into_iter()
                    .filter(|&pid| told.insert(pid))
                    .for_each(|pid| tell(pid, signal));
            }
            let mut fds = vec![PollFd::new(&self.stage_pidfd, PollFlags::IN)];
            if self.exited.is_none() && !self.silent {
                fds.push(PollFd::new(&self.control, PollFlags::IN));
            }
            ready(&mut fds, deadline);
            if self.gone() {
                return Ok(Ending::BySignal);
            }
        }
        self.kill().map(|()| Ending::Killed)
    }

    /// Kills every process of the tree at once and waits until all have ended.
    ///
    /// # Errors
    /// [`Error::Survivors`], after ten seconds.
    pub fn kill(&mut self) -> Result<(), Error> {
        let _ = shutdown(&self.control, Shutdown::Write);
        let mut pids = Vec::new();
        if !self.wait_gone(KILLED_WITHIN) {
            pids = self.processes();
            // A stopped stage (SIGSTOP) does nothing: its end takes the init of a namespace with it.
            let _ = self.stage.kill();
        }
        let _ = self.stage.wait();
        pids.retain(|&pid| !process::dead(pid));
        if pids.is_empty() { Ok(()) } else { Err(Error::Survivors { pids, waited: KILLED_WITHIN }) }
    }

    fn note_exit(&mut self, status: i32, used_us: u32) {
        self.used = Some(Duration::from_micros(used_us.into()));
        let status = std::process::ExitStatus::from_raw(status);
        self.exited = Some(ExitStatus { code: status.code(), signal: status.signal() });
    }

    fn next_report(&self, deadline: Instant) -> Result<(Report, Pid), Error> {
        loop {
            match Report::receive(&self.control) {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => return Err(self.lost()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => (),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if !ready(&mut [PollFd::new(&self.control, PollFlags::IN)], deadline) {
                        return Err(Error::Stuck { program: self.name(), waited: LAUNCH_WITHIN });
                    }
                }
                Err(e) => return Err(Error::Channels(e)),
            }
        }
    }

    fn name(&self) -> String {
        self.command.argv.first().cloned().unwrap_or_default()
    }

    fn lost(&self) -> Error {
        Error::Lost { program: self.name() }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Polls until one of these is ready; false at the deadline.
fn ready(fds: &mut [PollFd<'_>], deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(fds, Some(&timeout)) {
            Err(Errno::INTR) => (),
            Ok(ready) => return ready > 0,
            Err(_) => return false,
        }
    }
}

/// Sends a signal; a process that has ended meanwhile is no error.
fn tell(pid: Pid, signal: Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

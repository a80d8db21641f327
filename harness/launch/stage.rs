//! The re-executed side of a launch (`lastfd exec stage`): three processes, each forked by the one before.
//!
//! - the *stage*, the harness's child, enters the namespaces and then only waits: when the harness's end of
//!   the control socket closes (also because it was killed), it ends the tree;
//! - the *init*, process 1 of the PID namespace (or a subreaper), reaps, reports the program's exit, and ends
//!   when no process is left;
//! - the *program's process* waits for the harness's go, takes its limits and executes the program.
//!
//! Single-threaded throughout, because it forks. It never decides anything: a failure is reported and the
//! harness chooses.

use super::user::Ids;
use super::wire::{GO, Report, Step};
use super::{Isolation, Mount};
use crate::event::{Call, Limits};
use crate::scenario::Rlimits;
use crate::sys::process::{self, Side};
use crate::sys::{calls, namespace, proc, seccomp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::stdio;
use rustix::thread::UnshareFlags;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The harness's instructions to a stage, from its command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// The isolation to use; no other is tried.
    pub isolation: Isolation,
    /// For the program.
    pub limits: Limits,
    /// For the program.
    pub rlimits: Rlimits,
    /// For the program; as inherited when `None`.
    pub directory: Option<PathBuf>,
    /// Made in a mount namespace for the program.
    pub mounts: Vec<Mount>,
    /// Whether the program starts with SIGHUP ignored.
    pub ignore_hangup: bool,
    /// Whether the program's descriptor calls stop for a tracer.
    pub trap: bool,
    /// Removed when the tree is empty, so that SIGKILL of the harness leaves no file either.
    pub scratch: Option<PathBuf>,
    /// Whether only where the harness has ended.
    pub keeps_scratch: bool,
    /// For the program; as inherited when `None`.
    pub user: Option<Ids>,
    /// The program's standard input; /dev/null when `None`.
    pub stdin: Option<PathBuf>,
    /// Program and arguments.
    pub argv: Vec<OsString>,
}

/// How long a keeper goes on killing what does not die (a process of another user, or in uninterruptible
/// sleep).
const KEEPER_KILLS_FOR: Duration = Duration::from_secs(30);

/// A keeper's pause between two rounds of killing, for children that were forked meanwhile.
const KEEPER_ROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A step that failed.
struct Failed(Step, io::Error);

trait During<T> {
    fn during(self, step: Step) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: Step) -> Result<T, Failed> {
        self.map_err(|e| Failed(step, e.into()))
    }
}

/// Runs the stage; standard input is the control socket, standard output and error are the program's. Returns
/// the exit code when the tree is empty.
pub fn stage(options: &Options) -> i32 {
    let Some(code) = reported(stdio::stdin(), || run(options)) else { return 70 };
    // The harness removes it too, and may have been first. A stage that failed leaves it to the next one.
    if let Some(scratch) = options.scratch.as_ref().filter(|_| !options.keeps_scratch || abandoned()) {
        let _ = std::fs::remove_dir_all(scratch);
    }
    code
}

/// Whether the harness has ended: one that only ends this tree shuts its end of the socket down, and closes
/// it later.
fn abandoned() -> bool {
    let stdin = stdio::stdin();
    let mut control = [PollFd::new(&stdin, PollFlags::empty())];
    poll(&mut control, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
        && control[0].revents().contains(PollFlags::HUP)
}

/// Sends a failure to the harness.
fn reported<T>(control: BorrowedFd<'_>, body: impl FnOnce() -> Result<T, Failed>) -> Option<T> {
    let Failed(step, error) = match body() {
        Ok(value) => return Some(value),
        Err(failed) => failed,
    };
    Report::Failed(step, error.raw_os_error().unwrap_or(0)).send(control);
    None
}

fn run(options: &Options) -> Result<i32, Failed> {
    process::close_from(3).during(Step::Descriptors)?;
    // A session of its own, so that the terminal's Ctrl-C reaches only the harness, which ends the tree in
    // order.
    rustix::process::setsid().during(Step::ForkInit)?;
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP] {
        process::ignore(signal);
    }
    match options.isolation {
        Isolation::PidNamespace => namespace::unshare(UnshareFlags::NEWPID).during(Step::PidNamespace)?,
        Isolation::UserNamespace => {
            let ids = namespace::OwnIds::read();
            namespace::unshare(UnshareFlags::NEWUSER).during(Step::UserNamespace)?;
            ids.map().during(Step::MapIds)?;
            namespace::unshare(UnshareFlags::NEWPID).during(Step::PidNamespace)?;
        }
        Isolation::Keeper => (),
    }
    match process::fork().during(Step::ForkInit)? {
        Side::Child => process::exit_now(reported(stdio::stdin(), || init(options)).unwrap_or(70)),
        Side::Parent(init) => watch(init, options.isolation).during(Step::ForkInit),
    }
}

/// Waits for the end of the init, or of the harness, and in that case ends the tree.
fn watch(init: i32, isolation: Isolation) -> io::Result<i32> {
    let init_pid = Pid::from_raw(init).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = rustix::process::pidfd_open(init_pid, PidfdFlags::empty())?;
    mute()?;
    let stdin = stdio::stdin();
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(&stdin, PollFlags::RDHUP)];
    rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
    if fds[0].revents().is_empty() {
        match isolation {
            // The kernel then kills every process of the namespace, and lets the init be reaped only after
            // the last.
            Isolation::PidNamespace | Isolation::UserNamespace => {
                rustix::process::pidfd_send_signal(&pidfd, Signal::KILL)?
            }
            Isolation::Keeper => kill_descendants(init, &pidfd),
        }
    }
    rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(init_pid), WaitOptions::empty()))?;
    Ok(0)
}

/// Kills all descendants of the init, round after round, until it has reaped the last and ended.
fn kill_descendants(init: i32, pidfd: &OwnedFd) {
    let deadline = Instant::now() + KEEPER_KILLS_FOR;
    while Instant::now() < deadline {
        for pid in proc::tree(init).into_iter().filter(|&pid| pid != init).filter_map(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        if poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&KEEPER_ROUND)).is_ok_and(|ready| ready > 0) {
            return;
        }
    }
}

/// Reaps until no process is left.
fn init(options: &Options) -> Result<i32, Failed> {
    match options.isolation {
        Isolation::PidNamespace | Isolation::UserNamespace => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during(Step::ForkInit)?;
            // Refused in some containers: programs then see the outer /proc, as they would without a
            // namespace.
            let _ = namespace::mount_own_proc();
        }
        Isolation::Keeper => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).during(Step::Subreaper)?
        }
    }
    Report::Init.send(stdio::stdin());
    // Closed by the program's exec: end of file is its success.
    let (executed, exec_closes) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).during(Step::ForkProgram)?;
    let program = match process::fork().during(Step::ForkProgram)? {
        Side::Child => program(options),
        Side::Parent(pid) => pid,
    };
    drop(exec_closes);
    mute().during(Step::Descriptors)?;
    let _ = rustix::io::retry_on_intr(|| rustix::io::read(&executed, &mut [0; 1]));
    drop(executed);
    Report::Executed.send(stdio::stdin());
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_pid() == program => {
                let used = u32::try_from(process::children_cpu().as_micros()).unwrap_or(u32::MAX);
                Report::Exited(status.as_raw(), used).send(stdio::stdin())
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            // ECHILD: orphans become children of the init, so without a child there is no process.
            Err(_) => return Ok(0),
        }
    }
}

/// Gives up the program's output, so that it ends when the program's own processes have closed it.
fn mute() -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Becomes the program, or reports why not.
fn program(options: &Options) -> ! {
    let Ok(control) = stdio::stdin().try_clone_to_owned() else { process::exit_now(70) };
    reported(control.as_fd(), || {
        let _ = rustix::process::setsid();
        let stdin = options.stdin.as_deref().unwrap_or(Path::new("/dev/null"));
        // A named pipe does not wait for a writer here: without one it is at its end.
        let stdin =
            rustix::fs::open(stdin, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
                .during(Step::Stdin)?;
        rustix::fs::fcntl_setfl(&stdin, OFlags::empty()).during(Step::Stdin)?;
        stdio::dup2_stdin(&stdin).during(Step::Descriptors)?;
        drop(stdin);
        if !options.mounts.is_empty() {
            mount(&options.mounts).during(Step::Mounts)?;
        }
        if let Some(directory) = &options.directory {
            rustix::process::chdir(directory).during(Step::Directory)?;
        }
        process::reset_signals();
        if options.ignore_hangup {
            process::ignore(Signal::HUP);
        }
        // Here it has a process id and nothing of it has run: the observers attach.
        Report::Waiting.send(control.as_fd());
        let mut byte = [0; GO.len()];
        let (_, told) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&control, &mut byte, rustix::net::RecvFlags::empty())
        })
        .during(Step::ForkProgram)?;
        if told == 0 {
            process::exit_now(0);
        }
        process::set_nofile(options.limits.soft, options.limits.hard).during(Step::Limits)?;
        process::set_rlimits(options.rlimits.nproc, options.rlimits.address_space)
            .during(Step::OtherLimits)?;
        if options.trap {
            trap().during(Step::Trap)?;
        }
        if let Some(user) = &options.user {
            user.take().during(Step::User)?;
        }
        // Only exec from here on: the trapped calls need a tracer, and the limit may leave no number free.
        let (command, arguments) =
            options.argv.split_first().ok_or(io::ErrorKind::InvalidInput).during(Step::Exec)?;
        Err::<(), _>(std::process::Command::new(command).args(arguments).exec()).during(Step::Exec)
    });
    process::exit_now(127)
}

/// Mounts these where no other process sees them.
fn mount(mounts: &[Mount]) -> io::Result<()> {
    namespace::unshare(UnshareFlags::NEWNS)?;
    namespace::private_mounts()?;
    mounts.iter().try_for_each(|Mount { source, target }| namespace::bind(source, target))
}

/// Installs the filter on every descriptor call. NO_NEW_PRIVS, which breaks setuid programs, only where
/// nothing else helps.
fn trap() -> io::Result<()> {
    let numbers: Vec<i64> = Call::ALL
        .iter()
        .map(|call| call.name())
        .chain(calls::TRACED_BESIDE)
        .filter_map(calls::number)
        .collect();
    match seccomp::trap(&numbers) {
        Err(refused) if refused.raw_os_error() == Some(libc::EACCES) => {
            rustix::thread::set_no_new_privs(true)?;
            seccomp::trap(&numbers)
        }
        result => result,
    }
}

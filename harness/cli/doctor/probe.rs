//! Probes of namespaces, tried in a child process (`lastfd doctor --probe …`, hidden) so that nothing of the
//! caller changes and what was made goes with the child. Bounded: a probe that hangs is killed.

use super::check::{Check, State, sysctl};
use crate::cli::Exit;
use crate::sys::namespace::{self, OwnIds};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time a probe or a program's version may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The number of CAP_SYS_ADMIN in capabilities(7).
pub(super) const CAP_SYS_ADMIN: u32 = 21;

/// The step that a child process tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Probe {
    /// A user namespace in which the caller is root.
    UserNamespace,
    /// A PID namespace whose first child is process 1.
    PidNamespace,
    /// The child of `PidNamespace`.
    PidOne,
    /// A /proc of its own in such a namespace.
    ProcMount,
    /// The child of `ProcMount`.
    ProcOne,
    /// A network namespace with `lo` up, a connection over it.
    NetworkNamespace,
    /// Sysctls of such a namespace, writable.
    NetworkSysctls,
}

/// The answer of a child process: how far it came.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The first step that failed and its errno; `None` when all succeeded.
    pub failed: Option<(String, i32)>,
}

impl Answer {
    fn failed(step: &str, error: &io::Error) -> Answer {
        Answer { failed: Some((step.to_owned(), error.raw_os_error().unwrap_or(0))) }
    }

    /// The failed step in words.
    pub fn reason(&self) -> String {
        match &self.failed {
            None => "all steps succeeded".into(),
            Some((step, 0)) => step.clone(),
            Some((step, errno)) => format!("{step}: {}", io::Error::from_raw_os_error(*errno)),
        }
    }

    fn errno(&self) -> i32 {
        self.failed.as_ref().map_or(0, |(_, errno)| *errno)
    }
}

impl Probe {
    /// Runs the probe in a child process.
    pub fn ask(self) -> Answer {
        let answer = command(self).and_then(|mut command| output(&mut command));
        match answer.map(|output| serde_json::from_slice(&output)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer { failed: Some(("the probe gave no answer".into(), 0)) },
            Err(e) => Answer::failed("starting the probe", &e),
        }
    }

    /// The child's part: tries it in this process and prints the answer.
    pub fn inside(self) -> Exit {
        let answer = match self.attempt() {
            Ok(()) => Answer { failed: None },
            Err((step, e)) => Answer::failed(step, &e),
        };
        let exit = if answer.failed.is_none() { Exit::Met } else { Exit::Inconclusive };
        let text = serde_json::to_vec(&answer).expect("a string and a number");
        if io::stdout().write_all(&text).is_err() { Exit::Fault } else { exit }
    }

    fn attempt(self) -> Result<(), (&'static str, io::Error)> {
        let user = !crate::limits::raise::capable(CAP_SYS_ADMIN);
        let step = |name: &'static str| move |e| (name, e);
        match self {
            Probe::UserNamespace => {
                unshare(true, UnshareFlags::empty()).map_err(step("unshare(CLONE_NEWUSER)"))
            }
            Probe::PidNamespace => {
                unshare(user, UnshareFlags::NEWPID).map_err(step("unshare(CLONE_NEWPID)"))?;
                relay(Probe::PidOne)
            }
            Probe::PidOne => match std::process::id() {
                1 => Ok(()),
                _ => Err(("the first child is not process 1", io::Error::other(""))),
            },
            Probe::ProcMount => {
                unshare(user, UnshareFlags::NEWPID | UnshareFlags::NEWNS)
                    .map_err(step("unshare(CLONE_NEWPID|CLONE_NEWNS)"))?;
                namespace::private_mounts().map_err(step("mount(MS_PRIVATE)"))?;
                relay(Probe::ProcOne)
            }
            Probe::ProcOne => {
                namespace::mount_proc().map_err(step("mount(proc)"))?;
                match std::fs::read_link("/proc/self") {
                    Ok(own) if own.as_os_str() == "1" => Ok(()),
                    _ => Err(("/proc/self is not process 1", io::Error::other(""))),
                }
            }
            Probe::NetworkNamespace => {
                unshare(user, UnshareFlags::NEWNET).map_err(step("unshare(CLONE_NEWNET)"))?;
                namespace::loopback_up().map_err(step("bringing up lo"))?;
                let listener = TcpListener::bind("127.0.0.1:0").map_err(step("bind"))?;
                let address = listener.local_addr().map_err(step("getsockname"))?;
                TcpStream::connect_timeout(&address, DEADLINE / 2).map_err(step("connect over lo"))?;
                Ok(())
            }
            Probe::NetworkSysctls => {
                unshare(user, UnshareFlags::NEWNET).map_err(step("unshare(CLONE_NEWNET)"))?;
                // Opened for writing and not written: the check is made at open.
                for name in ["ipv4/tcp_max_syn_backlog", "core/somaxconn", "ipv4/ip_local_port_range"] {
                    let file = format!("/proc/sys/net/{name}");
                    std::fs::OpenOptions::new()
                        .write(true)
                        .open(file)
                        .map_err(step("opening /proc/sys/net/… for writing"))?;
                }
                Ok(())
            }
        }
    }
}

/// Moves this process into new namespaces. If `user` is true, it also enters a user namespace as root, which
/// needs no privilege.
fn unshare(user: bool, flags: UnshareFlags) -> io::Result<()> {
    if !user {
        return namespace::unshare(flags);
    }
    let ids = OwnIds::read();
    namespace::unshare(flags | UnshareFlags::NEWUSER)?;
    ids.map_to_root()
}

/// Runs a further probe in a child of this one and passes on how it failed.
fn relay(probe: Probe) -> Result<(), (&'static str, io::Error)> {
    let answer = probe.ask();
    let step = match probe {
        Probe::ProcOne => "mount(proc) in the namespace",
        _ => "a child in the namespace",
    };
    match answer.failed {
        None => Ok(()),
        Some((_, errno)) if errno != 0 => Err((step, io::Error::from_raw_os_error(errno))),
        Some((reason, _)) => Err((step, io::Error::other(reason))),
    }
}

fn command(probe: Probe) -> io::Result<Command> {
    use clap::ValueEnum as _;
    let name = probe.to_possible_value().expect("no variant is skipped");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["doctor", "--probe", name.get_name()]);
    Ok(command)
}

/// Standard output of a command that ends within [`DEADLINE`] and writes less than a pipe holds; killed when
/// it does not.
pub(super) fn output(command: &mut Command) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let in_time = ended_by(child.id(), Instant::now() + DEADLINE);
    if !matches!(in_time, Ok(true)) {
        child.kill()?;
    }
    child.wait()?;
    if !in_time? {
        return Err(io::ErrorKind::TimedOut.into());
    }
    // A descendant may still hold the pipe, so only the bytes that are there now are read.
    let mut output = vec![0; 65536];
    let mut stdout = child.stdout.take().expect("piped above");
    rustix::io::ioctl_fionbio(&stdout, true)?;
    match stdout.read(&mut output) {
        Ok(length) => output.truncate(length),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => output.clear(),
        Err(e) => return Err(e),
    }
    Ok(output)
}

/// Whether the child process ends by then. The caller has not collected it, so that its id is its own.
fn ended_by(pid: u32, deadline: Instant) -> io::Result<bool> {
    let pid = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => (),
            ready => return Ok(ready? > 0),
        }
    }
}

pub(super) fn namespaces() -> Vec<Check> {
    let privileged = crate::limits::raise::capable(CAP_SYS_ADMIN);
    let lost_pid = "processes are ended by a subreaper instead: a SIGKILL of lastfd's own keeper could leave some behind";
    vec![
        user(privileged),
        made(
            "pid-namespaces",
            Probe::PidNamespace,
            "processes of a run end with it, whatever happens",
            lost_pid,
            privileged,
        ),
        proc_mount(privileged),
        made(
            "network-namespaces",
            Probe::NetworkNamespace,
            "variants with sysctls run in a network of their own",
            "variants with sysctls are skipped",
            privileged,
        ),
        network_sysctls(),
    ]
}

fn user(privileged: bool) -> Check {
    let answer = Probe::UserNamespace.ask();
    if answer.failed.is_none() {
        let whom = if privileged {
            "not needed here: you have CAP_SYS_ADMIN"
        } else {
            "the other namespaces need no root"
        };
        return Check::new("user-namespaces", State::Ok, format!("can be made; {whom}"));
    }
    let state = if privileged { State::Limited } else { State::No };
    let whom = if privileged { " (not needed here: you have CAP_SYS_ADMIN)" } else { "" };
    widen_user(Check::new("user-namespaces", state, format!("{}{whom}", answer.reason())))
}

/// The settings that forbid user namespaces to a user, those in force first; where none is, what else forbids
/// them.
fn widen_user(check: Check) -> Check {
    let mut check = check;
    let before = check.widen.len();
    if sysctl::<u64>("user/max_user_namespaces") == Some(0) {
        check = check.by("as root; none are allowed now", "sudo sysctl -w user.max_user_namespaces=15000");
    }
    if sysctl::<u64>("kernel/unprivileged_userns_clone") == Some(0) {
        check =
            check.by("as root (Debian's own setting)", "sudo sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if sysctl::<u64>("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        check = check.by(
            "as root (Ubuntu's AppArmor)",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        );
    }
    if check.widen.len() == before {
        check = check.or("no sysctl forbids it: a container's seccomp profile or a service's RestrictNamespaces does. Docker: \
                          `--security-opt seccomp=unconfined`, or `--cap-add SYS_ADMIN`");
    }
    check
}

fn made(name: &'static str, probe: Probe, ok: &str, lost: &str, privileged: bool) -> Check {
    let answer = probe.ask();
    if answer.failed.is_none() {
        return Check::new(name, State::Ok, format!("can be made: {ok}"));
    }
    let check = Check::new(name, State::No, format!("{}: {lost}", answer.reason()));
    let none_left = rustix::io::Errno::NOSPC.raw_os_error();
    if answer.errno() == none_left && name != "user-namespaces" {
        let kind = if name.starts_with("pid") { "pid" } else { "net" };
        return check.by("as root", format!("sudo sysctl -w user.max_{kind}_namespaces=15000"));
    }
    if privileged {
        check.or("you have CAP_SYS_ADMIN: a seccomp profile forbids it, or the kernel was built without")
    } else {
        widen_user(check)
    }
}

fn proc_mount(privileged: bool) -> Check {
    let answer = Probe::ProcMount.ask();
    match &answer.failed {
        None => Check::new(
            "proc-mount",
            State::Ok,
            "a PID namespace gets a /proc of its own: programs inside see their own ids",
        ),
        Some((step, _)) if step.starts_with("mount(proc)") => {
            let found = format!("{}: parts of /proc are covered here, as containers do", answer.reason());
            Check::new("proc-mount", State::Limited, found)
                .or("Docker: `--security-opt systempaths=unconfined`; Kubernetes: `procMount: Unmasked`")
        }
        Some(_) => {
            let check = Check::new("proc-mount", State::No, answer.reason());
            if privileged {
                check.or("a seccomp profile or a security module forbids it")
            } else {
                widen_user(check)
            }
        }
    }
}

fn network_sysctls() -> Check {
    let answer = Probe::NetworkSysctls.ask();
    match &answer.failed {
        None => Check::new("network-sysctls", State::Ok, "somaxconn, tcp_* and the port range can be set within such a namespace"),
        Some(_) => Check::new("network-sysctls", State::No, format!("{}: variants with sysctls are skipped", answer.reason()))
            .or("/proc/sys must be mounted writable: containers mount it read-only unless `--security-opt systempaths=unconfined` or `--privileged`"),
    }
}

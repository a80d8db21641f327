//! The bundled parents that stand for systemd and for a container's runtime (`lastfd exec systemd-like`,
//! `container-like`): limits by the rules of each, then one program in a session and an environment of its
//! own. The parent takes the limits itself and the program inherits them, so that the chain of limits names
//! it. It ends as its program ends, and starts nothing again.
//!
//! Where the real ones differ: systemd and runc keep their own limits and set the program's between fork and
//! exec; runc makes namespaces, which change no limit.

use super::signals::{drained, stream};
use crate::event::Limits;
use crate::sys::process::{self, Side};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;

/// The rules for limits that the parent keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// `LimitNOFILE=`: limits that may not be set are replaced, without an error, by the closest that may
    /// (systemd's `setrlimit_closest`).
    Systemd,
    /// `--ulimit nofile=`: limits that may not be set are an error.
    Container,
}

/// The program to run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rules that the parent keeps.
    pub rules: Rules,
    /// `None`: systemd's default; a container's are inherited.
    pub limits: Option<Limits>,
    /// Environment variables that the program gets beside `PATH`.
    pub keep_env: Vec<String>,
    /// Program and arguments.
    pub argv: Vec<OsString>,
}

/// systemd's default `LimitNOFILE=`: FD_SETSIZE, and HIGH_RLIMIT_NOFILE as far as `fs.nr_open` allows it.
const SYSTEMD_DEFAULT: Limits = Limits { soft: 1024, hard: 524_288 };

/// The only variable that comes from neither the harness nor the scenario: systemd's and the container
/// engines' default.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// systemd's EXIT_EXEC, which `systemctl status` shows as `203/EXEC`.
const SYSTEMD_NOT_EXECUTED: i32 = 203;

/// `docker run`: an error of the engine itself, and a program that is not there.
const CONTAINER_REFUSED: i32 = 125;
const CONTAINER_NOT_EXECUTED: i32 = 127;

/// Runs the program until it ends, and passes TERM on to it; the exit code is the program's, or 128 and its
/// signal.
pub fn run(options: &Options) -> i32 {
    match start(options) {
        Ok(code) => code,
        Err(e) => {
            let (soft, hard) = process::own_nofile();
            let asked = options.limits.map_or_else(String::new, |l| format!(" nofile={}:{}", l.soft, l.hard));
            eprintln!(
                "{}: cannot start{asked}, the limits here are {soft}:{hard}: {e}",
                options.rules.name()
            );
            CONTAINER_REFUSED
        }
    }
}

fn start(options: &Options) -> io::Result<i32> {
    // Before the limits, which may leave no number free.
    let mut child_exited = stream(&[libc::SIGCHLD])?;
    let mut told_to_stop = stream(&[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT])?;
    options.rules.set_limits(options.limits)?;
    let child = match process::fork()? {
        Side::Child => become_program(options),
        Side::Parent(pid) => Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?,
    };
    loop {
        let mut fds = [PollFd::new(&child_exited, PollFlags::IN), PollFd::new(&told_to_stop, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        if drained(&mut child_exited)
            && let Some((_, status)) = rustix::process::waitpid(Some(child), WaitOptions::NOHANG)?
        {
            let by_signal = status.terminating_signal().map(|signal| 128 + signal);
            return Ok(status.exit_status().or(by_signal).unwrap_or(1));
        }
        if drained(&mut told_to_stop) {
            let _ = rustix::process::kill_process(child, Signal::TERM);
        }
    }
}

fn become_program(options: &Options) -> ! {
    let _ = rustix::process::setsid();
    process::reset_signals();
    let kept = options.keep_env.iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    let error = std::process::Command::new(&options.argv[0])
        .args(&options.argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .envs(kept)
        .exec();
    eprintln!("{}: cannot execute {:?}: {error}", options.rules.name(), options.argv[0]);
    process::exit_now(match options.rules {
        Rules::Systemd => SYSTEMD_NOT_EXECUTED,
        Rules::Container => CONTAINER_NOT_EXECUTED,
    })
}

impl Rules {
    fn name(self) -> &'static str {
        match self {
            Rules::Systemd => "systemd-like",
            Rules::Container => "container-like",
        }
    }

    fn set_limits(self, limits: Option<Limits>) -> io::Result<()> {
        match (self, limits) {
            (Rules::Container, None) => Ok(()),
            (Rules::Container, Some(Limits { soft, hard })) => process::set_nofile(soft, hard),
            (Rules::Systemd, limits) => set_closest(limits.unwrap_or_else(systemd_default)),
        }
    }
}

fn systemd_default() -> Limits {
    let nr_open =
        std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    Limits { hard: SYSTEMD_DEFAULT.hard.min(nr_open.unwrap_or(u64::MAX)), ..SYSTEMD_DEFAULT }
}

/// systemd's rule for what only CAP_SYS_RESOURCE may set: as close as the hard limit here allows. systemd
/// says nothing about it.
fn set_closest(asked: Limits) -> io::Result<()> {
    match process::set_nofile(asked.soft, asked.hard) {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
            let (_, own) = process::own_nofile();
            let closest = Limits { soft: asked.soft.min(own), hard: asked.hard.min(own) };
            println!(
                "systemd-like: LimitNOFILE={}:{} may not be set here: {}:{}, the closest that may, is taken",
                asked.soft, asked.hard, closest.soft, closest.hard
            );
            process::set_nofile(closest.soft, closest.hard)
        }
        result => result,
    }
}

//! The bundled supervisor (`lastfd exec supervise`): one program, under the rules of supervisord 4.2.5 for
//! limits, restarts and stopping. Single-threaded, because it forks. It has no control socket and no log of
//! its own beyond its standard output.

use super::signals::{drained, stream};
use crate::sys::process::{self, Side};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

/// The program to run, and supervisord's options for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Descriptors that must be available.
    pub minfds: u64,
    /// Start it again when it exits after it ran.
    pub autorestart: bool,
    /// How often a start may fail in a row.
    pub startretries: u32,
    /// Sent to stop it.
    pub stopsignal: Signal,
    /// From the stop signal to KILL.
    pub stopwait: Duration,
    /// Program and arguments.
    pub argv: Vec<OsString>,
}

/// An exit before this counts as a failed start (supervisord's `startsecs`).
const START: Duration = Duration::from_secs(1);

/// supervisord's exit code for limits that it cannot have.
const LIMITS_REFUSED: i32 = 2;

/// A signal by supervisord's name for it (`stopsignal`), with or without `SIG`.
pub fn signal_named(name: &str) -> Option<Signal> {
    Some(match name.strip_prefix("SIG").unwrap_or(name) {
        "TERM" => Signal::TERM,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => return None,
    })
}

/// Supervises until a signal to stop (TERM, INT or QUIT); the exit code.
pub fn supervise(options: &Options) -> i32 {
    if let Err(e) = raise(options.minfds) {
        let (soft, hard) = process::own_nofile();
        eprintln!("supervise: minfds is {} and the limits here are {soft}:{hard}: {e}", options.minfds);
        return LIMITS_REFUSED;
    }
    match Supervisor::new(options).and_then(|mut supervisor| supervisor.run()) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("supervise: {e}");
            1
        }
    }
}

/// supervisord's rule: limits are only ever raised; the hard one only where it is in the way.
fn raise(minfds: u64) -> io::Result<()> {
    let (soft, hard) = process::own_nofile();
    if soft >= minfds { Ok(()) } else { process::set_nofile(minfds, hard.max(minfds)) }
}

/// supervisord's process states, those that one program needs.
enum State {
    /// Not running and to be started at this time.
    Backoff(Instant),
    /// Running, since then.
    Running(Pid, Instant),
    /// Got a signal to stop; killed at this time.
    Stopping(Pid, Instant),
    /// Exited or fatal: it is not started again.
    Ended,
}

struct Supervisor<'a> {
    options: &'a Options,
    state: State,
    failed_starts: u32,
    child_exited: UnixStream,
    told_to_stop: UnixStream,
    /// Held so that the program's standard input stays open, as under supervisord.
    input: Option<OwnedFd>,
    output: Option<File>,
}

impl<'a> Supervisor<'a> {
    fn new(options: &'a Options) -> io::Result<Self> {
        Ok(Supervisor {
            options,
            state: State::Backoff(Instant::now()),
            failed_starts: 0,
            child_exited: stream(&[libc::SIGCHLD])?,
            told_to_stop: stream(&[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT])?,
            input: None,
            output: None,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let now = Instant::now();
            match self.state {
                State::Backoff(at) if at <= now => self.start(now)?,
                State::Stopping(pid, kill_at) if kill_at <= now => {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                    self.state = State::Stopping(pid, now + self.options.stopwait.max(START));
                }
                _ => self.wait()?,
            }
            if drained(&mut self.child_exited) && self.reap()? {
                return Ok(());
            }
            if drained(&mut self.told_to_stop) {
                match self.state {
                    State::Running(pid, _) => {
                        let _ = rustix::process::kill_process(pid, self.options.stopsignal);
                        self.state = State::Stopping(pid, Instant::now() + self.options.stopwait);
                    }
                    State::Stopping(..) => (),
                    State::Backoff(_) | State::Ended => return Ok(()),
                }
            }
        }
    }

    /// Waits for a signal, output, or the time at which something is due; forwards output.
    fn wait(&mut self) -> io::Result<()> {
        let due = match self.state {
            State::Backoff(at) | State::Stopping(_, at) => Some(at.saturating_duration_since(Instant::now())),
            State::Running(..) | State::Ended => None,
        };
        let timeout = due.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() });
        let mut fds = vec![
            PollFd::new(&self.child_exited, PollFlags::IN),
            PollFd::new(&self.told_to_stop, PollFlags::IN),
        ];
        fds.extend(self.output.as_ref().map(|output| PollFd::new(output, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            result => result?,
        };
        if fds.get(2).is_some_and(|fd| !fd.revents().is_empty()) && !self.forward()? {
            self.output = None;
        }
        Ok(())
    }

    /// Passes on what one read gives; false at end of file.
    fn forward(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 65536];
        let Some(read) = self.output.as_mut().map(|output| output.read(&mut buffer)).transpose()? else {
            return Ok(false);
        };
        io::stdout().write_all(&buffer[..read])?;
        io::stdout().flush()?;
        Ok(read > 0)
    }

    fn start(&mut self, now: Instant) -> io::Result<()> {
        let (program_reads, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (output, program_writes) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        match process::fork()? {
            Side::Child => self.become_program(program_reads, program_writes),
            Side::Parent(pid) => {
                let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
                println!("supervise: spawned {:?} with pid {pid}", self.options.argv[0]);
                self.state = State::Running(pid, now);
            }
        }
        (self.input, self.output) = (Some(input), Some(File::from(output)));
        Ok(())
    }

    fn become_program(&self, input: OwnedFd, output: OwnedFd) -> ! {
        let _ = rustix::process::setpgid(None, None);
        let streams = rustix::stdio::dup2_stdin(&input)
            .and_then(|()| rustix::stdio::dup2_stdout(&output))
            .and_then(|()| rustix::stdio::dup2_stderr(&output));
        process::close_each(3, i32::try_from(self.options.minfds).unwrap_or(i32::MAX));
        process::reset_signals();
        let error = match streams {
            Ok(()) => std::process::Command::new(&self.options.argv[0]).args(&self.options.argv[1..]).exec(),
            Err(errno) => errno.into(),
        };
        eprintln!("supervise: couldn't exec {:?}: {error}", self.options.argv[0]);
        process::exit_now(127)
    }

    /// Takes note of the program's exit; true when that ends the supervisor too.
    fn reap(&mut self) -> io::Result<bool> {
        let (State::Running(pid, _) | State::Stopping(pid, _)) = self.state else { return Ok(false) };
        let Some((_, status)) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG)? else {
            return Ok(false);
        };
        // The program's last output is in the pipe. A descendant that holds the pipe open must not hold the
        // supervisor.
        while self.output.as_ref().is_some_and(readable) {
            if !self.forward()? {
                self.output = None;
            }
        }
        println!("supervise: {:?} {}", self.options.argv[0], ended(status));
        let now = Instant::now();
        self.state = match self.state {
            State::Stopping(..) => return Ok(true),
            State::Running(_, since) if now.duration_since(since) < START => {
                self.failed_starts += 1;
                let retry = self.failed_starts <= self.options.startretries;
                if retry {
                    State::Backoff(now + Duration::from_secs(self.failed_starts.into()))
                } else {
                    State::Ended
                }
            }
            _ => {
                self.failed_starts = 0;
                if self.options.autorestart { State::Backoff(now) } else { State::Ended }
            }
        };
        Ok(false)
    }
}

fn readable(output: &File) -> bool {
    poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn ended(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (_, Some(signal)) => format!("was terminated by signal {signal}"),
        _ => "ended".to_owned(),
    }
}

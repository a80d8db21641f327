//! `lastfd watch PID|:PORT|NAME`: a live process in a few lines that stay in place. Read-only, as `inspect`
//! is.

use super::board::{Board, LOOKS, Row, To};
use super::inspect::{self, Target, growth};
use super::live::used;
use super::output::{STDOUT, ending_signals, say, written};
use super::{Exit, Failure, Outcome, time::seconds};
use crate::event::{Pid, Redaction};
use crate::limits::inventory;
use crate::report::words::{list, size};
use crate::sys::{self, sock_diag::SockDiag, sock_diag::State};
use signal_hook::low_level;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Shortest time between two looks: the view moves at most ten times a second.
const EVERY_MIN_S: f64 = 0.1;
/// Naming every descriptor costs 1 µs each: it is done this often, so that it takes less than 1 % of the
/// time.
const KINDS_EVERY: Duration = Duration::from_secs(1);
/// The same for processes with so many that it takes longer, as a share of the time that it took.
const KINDS_SHARE: u32 = 100;
/// Kinds that are named.
const KINDS: usize = 5;

/// Watch a live process: its descriptors against the limit, accept queue, CPU and kinds, in a few lines that
/// stay in place
///
/// It changes nothing. Where standard output is no terminal, each look is a line. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A process id; or :8080, the TCP port that it listens on; or nginx, the name of its program
    #[arg(value_name = "PID|:PORT|NAME")]
    process: Target,
    /// Time between two looks: 500ms, 2s; at least 100ms
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = interval)]
    every: Duration,
    /// How long to watch: 10s, 5m or 1h. Default: until the process exits, or Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = inspect::duration)]
    watch: Option<Duration>,
    /// Hide all arguments of the command, not only those that look like secrets
    #[arg(long)]
    redact: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match seconds(text, 3600.0)? {
        s if s < EVERY_MIN_S => Err(format!("`{text}` is less than 100ms")),
        s => Ok(Duration::from_secs_f64(s)),
    }
}

/// The process as the last look saw it.
#[derive(Debug, Clone, Default)]
struct Seen {
    pid: Pid,
    command: String,
    watched_s: f64,
    /// Descriptors open, at the last looks.
    open: VecDeque<(f64, u64)>,
    soft: u64,
    /// Processor time since the look before, in per cent of one processor.
    cpu_percent: VecDeque<f64>,
    resident: Option<u64>,
    /// The port of each listener, the length of its accept queue, and the most that it takes.
    queues: Vec<(u16, u64, Option<u64>)>,
    /// The length of all queues together, at the last looks.
    waiting: VecDeque<u64>,
    kinds: Vec<(String, u64)>,
}

/// Watches until the process exits, the time is up, or a signal.
///
/// # Errors
/// The errors of `inspect`.
pub fn run(args: &Args) -> Outcome {
    let pid = inspect::worst(&args.process, &args.process.processes()?);
    let (process, _) = inspect::pidfd(pid)?;
    inspect::limits(pid, &process)?;
    let (interrupted, sender) =
        UnixStream::pair().map_err(|e| Failure::new(Exit::Fault, format!("cannot watch: {e}")))?;
    let register = |signal| low_level::pipe::register(signal, sender.try_clone()?);
    let handlers: io::Result<Vec<_>> = ending_signals().map(register).collect();
    let handlers = handlers.map_err(|e| Failure::new(Exit::Fault, format!("cannot watch: {e}")))?;
    let ended = watch(args, pid, &process, &interrupted);
    handlers.into_iter().for_each(|handler| _ = low_level::unregister(handler));
    ended
}

fn watch(args: &Args, pid: Pid, process: &OwnedFd, interrupted: &UnixStream) -> Outcome {
    let mut redaction = Redaction::new(args.redact);
    redaction.learn(&sys::proc::arguments(pid));
    let command = match sys::proc::arguments(pid) {
        words if words.is_empty() => sys::proc::command(pid),
        words => redaction.words(&words).join(" "),
    };
    let mut board = Board::new(To::Stdout);
    let mut watched = Watched::new(Seen { pid, command, ..Seen::default() });
    let mut due = Instant::now();
    loop {
        if let Err(error) = watched.look() {
            let gone = growth::exited(process) || error.kind() == io::ErrorKind::NotFound;
            let after = watched.seen.watched_s;
            return match gone {
                true => say(&format!("process {pid} exited after {after:.0} s\n")).map(|()| Exit::Met),
                false => Err(inspect::unread(pid, &error)),
            };
        }
        show(&mut board, &watched.seen)?;
        let left = args.watch.map(|watch| watch.saturating_sub(watched.start.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Exit::Met);
        }
        due = (due + args.every).max(Instant::now());
        let until = left.map_or(due, |left| due.min(Instant::now() + left));
        let ended = growth::wait_until(until, process, interrupted);
        match ended.map_err(|e| Failure::new(Exit::Fault, format!("cannot watch: {e}")))? {
            Some(growth::Ended::Interrupted) => {
                return Ok(Exit::Interrupted);
            }
            // The next look finds that it has gone.
            Some(growth::Ended::Exited | growth::Ended::TimeUp) | None => {}
        }
    }
}

/// The watched process, and when each part was last read.
struct Watched {
    seen: Seen,
    start: Instant,
    /// CPU time of the process, and when it was read.
    cpu: Option<(f64, f64)>,
    /// When the descriptors are named next.
    kinds_due: Instant,
    sockets: Option<SockDiag>,
}

impl Watched {
    fn new(seen: Seen) -> Self {
        let now = Instant::now();
        // No queue of another network namespace is known here.
        let sockets = (!sys::proc::in_other_network(seen.pid)).then(|| SockDiag::open().ok()).flatten();
        Watched { seen, start: now, cpu: None, kinds_due: now, sockets }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The process has exited, or cannot be read.
    fn look(&mut self) -> io::Result<()> {
        let pid = self.seen.pid;
        let at = self.start.elapsed().as_secs_f64();
        let open = sys::proc::descriptors(pid)?;
        (self.seen.soft, _) = sys::proc::nofile(pid)?;
        if open == 0 && sys::proc::is_exiting(pid) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.seen.watched_s = at;
        keep(&mut self.seen.open, (at, open));
        self.seen.resident = sys::proc::resident(pid);
        let cpu_s = sys::proc::cpu_s(pid);
        let share = |(before_s, then): (f64, f64)| Some((cpu_s? - before_s) / (at - then) * 100.0);
        if let Some(share) = self.cpu.and_then(share).filter(|share| share.is_finite()) {
            keep(&mut self.seen.cpu_percent, share);
        }
        self.cpu = cpu_s.map(|cpu_s| (cpu_s, at));
        if Instant::now() >= self.kinds_due {
            self.name(pid)?;
        }
        self.queues();
        let waiting = self.seen.queues.iter().map(|(_, waiting, _)| waiting).sum();
        keep(&mut self.seen.waiting, waiting);
        Ok(())
    }

    /// Names every descriptor.
    fn name(&mut self, pid: Pid) -> io::Result<()> {
        let begun = Instant::now();
        let open = inventory::open(pid)?.open;
        self.seen.kinds = inspect::kinds(&open);
        let listeners = open.iter().filter_map(|open| open.tcp).filter(|tcp| tcp.state == State::LISTEN);
        self.seen.queues = listeners.map(|tcp| (tcp.local.port(), tcp.receive_queue, None)).collect();
        self.seen.queues.sort_unstable();
        self.seen.queues.dedup_by_key(|(port, ..)| *port);
        self.kinds_due = Instant::now() + KINDS_EVERY.max(begun.elapsed() * KINDS_SHARE);
        Ok(())
    }

    /// How long the queues are now.
    fn queues(&mut self) {
        let Some(sockets) = &mut self.sockets else { return };
        for (port, waiting, capacity) in &mut self.seen.queues {
            let listeners = sockets.listeners_on(*port).unwrap_or_default();
            if !listeners.is_empty() {
                *waiting = listeners.iter().map(|listener| u64::from(listener.queue)).sum();
                *capacity = Some(listeners.iter().map(|listener| u64::from(listener.capacity())).sum());
            }
        }
    }
}

impl Seen {
    fn now(&self) -> u64 {
        self.open.back().map_or(0, |(_, open)| *open)
    }

    /// Descriptors that it opens a second, over the last looks, where it grows and does not only move up and
    /// down.
    fn grows(&self) -> Option<f64> {
        let points: Vec<(f64, u64)> = self.open.iter().copied().collect();
        growth::steady(&points)
    }

    fn descriptors(&self) -> String {
        used(self.now(), Some(self.soft))
    }

    fn growth(&self) -> String {
        match self.grows() {
            Some(per_s) => {
                let left_s = self.soft.saturating_sub(self.now()) as f64 / per_s;
                format!("+{per_s:.1}/s: at its limit in {}", span(left_s))
            }
            None => "none".to_owned(),
        }
    }

    fn queue(&self) -> String {
        let one = |(port, waiting, capacity): &(u16, u64, Option<u64>)| match capacity {
            Some(capacity) => format!(":{port} {waiting} of {capacity}"),
            None => format!(":{port} {waiting}"),
        };
        match self.queues.as_slice() {
            [] => "no TCP listener".to_owned(),
            all => all.iter().map(one).collect::<Vec<_>>().join(", "),
        }
    }

    fn cpu(&self) -> String {
        self.cpu_percent.back().map_or("…".to_owned(), |share| format!("{share:.0} % of one CPU"))
    }

    fn kinds(&self) -> String {
        let one = |(kind, count): &(String, u64)| format!("{count} {kind}");
        list(&self.kinds.iter().take(KINDS).map(one).collect::<Vec<_>>())
    }

    /// The view.
    fn rows(&self) -> Vec<Row> {
        let memory = self.resident.map_or("…".to_owned(), size);
        let capacity: Option<u64> = self.queues.iter().map(|(.., capacity)| *capacity).sum();
        let open = self.open.iter().map(|(_, open)| *open as f64);
        let most_cpu = self.cpu_percent.iter().copied().fold(100.0, f64::max);
        vec![
            Row::new("process", format!("{}  {}", self.pid, self.command)),
            Row::new("descriptors", self.descriptors()).with(open, Some(self.soft as f64)),
            Row::new("growth", self.growth()),
            Row::new("queue", self.queue())
                .with(self.waiting.iter().map(|waiting| *waiting as f64), capacity.map(|n| n as f64)),
            Row::new("CPU", self.cpu()).with(self.cpu_percent.iter().copied(), Some(most_cpu)),
            Row::new("memory", memory),
            Row::new("kinds", self.kinds()),
        ]
    }

    /// All of it on one line, for a file or another program.
    fn line(&self) -> String {
        format!(
            "{:.1} s  descriptors {}; growth {}; queue {}; CPU {}; {}\n",
            self.watched_s,
            self.descriptors(),
            self.growth(),
            self.queue(),
            self.cpu(),
            self.kinds()
        )
    }
}

/// A time to look forward to, in one unit.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

/// Adds what the last look saw, and drops what no line shows any more.
fn keep<T>(looks: &mut VecDeque<T>, look: T) {
    looks.push_back(look);
    if looks.len() > LOOKS {
        looks.pop_front();
    }
}

/// Shows a look: in place on a terminal that can move its cursor, else as a line.
fn show(board: &mut Option<Board>, seen: &Seen) -> Result<(), Failure> {
    match board {
        Some(board) => written(board.show(&seen.rows()), STDOUT),
        None => say(&seen.line()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::lines;
    use super::*;

    fn seen(open: &[u64]) -> Seen {
        Seen {
            pid: 4711,
            command: "server --port 8080 \u{1b}[2J --with a long list of further arguments".into(),
            open: open.iter().enumerate().map(|(second, open)| (second as f64, *open)).collect(),
            soft: 100,
            cpu_percent: [12.4].into(),
            queues: vec![(8080, 3, Some(129))],
            kinds: vec![("tcp".into(), 20), ("file".into(), 4)],
            ..Seen::default()
        }
    }

    #[test]
    fn the_view_has_seven_lines_that_fit_forty_columns_and_no_escape_of_a_command() {
        let shown = lines(&seen(&[10, 12, 14, 16]).rows(), 39);
        assert_eq!(shown.len(), 7);
        assert!(shown.iter().all(|line| line.chars().count() <= 39), "{shown:#?}");
        assert!(!shown.concat().contains('\u{1b}'), "{shown:#?}");
        let wide = lines(&seen(&[10, 12, 14, 16]).rows(), 79);
        assert!(wide[1].starts_with("descriptors  16 of 100 (16 %), 84 left  "), "{wide:#?}");
        // 84 are left, and two more are opened each second.
        assert_eq!(wide[2], "growth       +2.0/s: at its limit in 42 s");
        assert_eq!(wide[3], "queue        :8080 3 of 129");
    }

    #[test]
    fn what_only_moves_up_and_down_does_not_grow() {
        assert_eq!(seen(&[100]).descriptors(), "100 of 100 (100 %), full");
        assert_eq!(seen(&[20, 40, 15, 38, 21]).growth(), "none");
    }
}

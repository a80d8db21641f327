//! Drains the subject's output: counts its bytes, keeps the tail, and picks out the few lines that mean
//! something. It never interprets what the subject says about itself, but for the bundled servers' closing
//! line.

use crate::event::{Event, Nanos, Pid, Seen, What};
use crate::sys::clock;
use regex::Regex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Lines that the tail keeps.
const TAIL_LINES: usize = 20;
/// Lines reported after [`Drain::mark`].
const MARKED_LINES: usize = 5;
/// Characters that are kept of a line.
const LINE_CHARS: usize = 500;
/// Bytes of the pipe between the subject and us, where /proc/sys/fs/pipe-max-size allows: a log storm then
/// seldom blocks it.
const PIPE_BYTES: usize = 1 << 20;

/// State that the reading thread and the run share.
#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The last, with the time at which each was read.
    tail: VecDeque<(Nanos, String)>,
    /// How many were reported since the mark; `None` before it.
    reported: Option<usize>,
    /// A line that is waited for, until it has come.
    wanted: Option<Regex>,
}

/// A thread that reads the subject's output until its end, or until this value is dropped.
#[derive(Debug)]
pub struct Drain {
    shared: Arc<Shared>,
    /// Closed to end the thread.
    alive: Option<OwnedFd>,
    reading: Option<JoinHandle<()>>,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drain {
    /// Starts reading a pipe (or a terminal's other end). Lines after [`Drain::mark`], and the bundled
    /// servers' own counts, go to `sink`, from the thread, as does what they tell of their callers, which is
    /// no line of the tail.
    ///
    /// # Errors
    /// No descriptor or no thread is to be had.
    pub fn start(fd: OwnedFd, sink: impl FnMut(Event) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (ended, alive) = pipe_with(PipeFlags::CLOEXEC)?;
        // A smaller pipe works as well: it only changes when a subject that logs a storm is made to wait.
        let _ = rustix::pipe::fcntl_setpipe_size(&fd, PIPE_BYTES);
        let reader = Reader { shared: Arc::clone(&shared), line: Vec::new(), sink };
        let reading =
            std::thread::Builder::new().name("output".into()).spawn(move || reader.run(&fd, &ended))?;
        Ok(Drain { shared, alive: Some(alive), reading: Some(reading) })
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// The last lines, oldest first, each cut at 500 characters.
    pub fn tail(&self) -> Vec<String> {
        self.shared.lines().tail.iter().map(|(_, line)| line.clone()).collect()
    }

    /// From now on reports the first five lines after `since` as [`What::Output`]. Returns the ones among
    /// them that were read before, as far as the tail goes back. The second call does nothing.
    pub fn mark(&self, since: Nanos) -> Vec<Event> {
        let mut lines = self.shared.lines();
        if lines.reported.is_some() {
            return Vec::new();
        }
        let read = lines.tail.iter().filter(|(at, _)| *at >= since).take(MARKED_LINES);
        let read: Vec<_> =
            read.map(|(at, line)| Event { at: *at, is: What::Output { line: line.clone() } }).collect();
        lines.reported = Some(read.len());
        read
    }

    /// Waits for a line that matches, from now on.
    pub fn want(&self, pattern: Regex) {
        self.shared.lines().wanted = Some(pattern);
    }

    /// Whether a line is waited for that has not come.
    pub fn wants(&self) -> bool {
        self.shared.lines().wanted.is_some()
    }

    /// Whether lines were to be reported.
    pub fn marked(&self) -> bool {
        self.shared.lines().reported.is_some()
    }
}

impl Drain {
    /// Reads what is there now, and ends reading, even where a process goes on writing. Then [`Drain::tail`]
    /// has the last lines.
    pub fn finish(&mut self) {
        drop(self.alive.take());
        if let Some(reading) = self.reading.take() {
            // It ends at once: its poll returns with the end of `alive`. A panic in it was reported on
            // standard error.
            let _ = reading.join();
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Reader<S> {
    shared: Arc<Shared>,
    /// The kept part of a line that has not ended yet.
    line: Vec<u8>,
    sink: S,
}

impl<S: FnMut(Event)> Reader<S> {
    fn run(mut self, output: &OwnedFd, ended: &OwnedFd) {
        let mut buffer = vec![0; 1 << 16];
        // Bytes still to be read when reading is to end; later output is not waited for.
        let mut left: Option<u64> = None;
        loop {
            let mut ready = [PollFd::new(output, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) if ready[0].revents().is_empty() || left == Some(0) => break,
                Ok(_) if left.is_none() && !ready[1].revents().is_empty() => {
                    left = Some(rustix::io::ioctl_fionread(output).unwrap_or(0));
                    continue;
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => break,
            }
            match rustix::io::read(output, &mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    left = left.map(|left| left.saturating_sub(length as u64));
                    self.take(&buffer[..length]);
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                // EIO: the other end of a terminal was closed.
                Err(_) => break,
            }
        }
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        for part in bytes.split_inclusive(|&b| b == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            // A character has four bytes at most.
            let room = (4 * LINE_CHARS).saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line: String = String::from_utf8_lossy(&self.line).chars().take(LINE_CHARS).collect();
        self.line.clear();
        // This line is no part of the server's log: it is reported as a witness's count.
        if let Some(count) = own_count(&line) {
            return (self.sink)(Event { at: clock::now(), is: count });
        }
        if let Some(seen) = seen(&line) {
            return (self.sink)(seen);
        }
        let at = clock::now();
        let mut lines = self.shared.lines();
        lines.wanted.take_if(|wanted| wanted.is_match(&line));
        let reports = lines
            .reported
            .as_mut()
            .filter(|reported| **reported < MARKED_LINES)
            .map(|reported| *reported += 1);
        if lines.tail.len() == TAIL_LINES {
            lines.tail.pop_front();
        }
        lines.tail.push_back((at, line.clone()));
        drop(lines);
        if reports.is_some() {
            (self.sink)(Event { at, is: What::Output { line } });
        }
    }
}

/// The closing line of a bundled server.
#[derive(serde::Deserialize)]
struct Closing {
    lastfd_server: Counts,
}

#[derive(serde::Deserialize)]
struct Counts {
    /// In the server's own PID namespace, which may not be ours.
    pid: Pid,
    /// `null` when accept never failed.
    before_first_emfile: Option<u64>,
    total: u64,
}

/// The server's own count, when the line is a closing line; without any failure all its accepts came before
/// the first.
fn own_count(line: &str) -> Option<What> {
    // Cheap for the million lines of a log storm that are none.
    if !line.starts_with("{\"lastfd_server\"") {
        return None;
    }
    let Counts { pid, before_first_emfile, total } =
        serde_json::from_str::<Closing>(line).ok()?.lastfd_server;
    Some(What::OwnCount { pid, before_first_emfile: before_first_emfile.unwrap_or(total), total })
}

/// A line of a bundled server about its callers.
#[derive(serde::Deserialize)]
struct Telling {
    lastfd_upstream: Told,
}

#[derive(serde::Deserialize)]
struct Told {
    at: Nanos,
    #[serde(flatten)]
    seen: Seen,
}

/// A bundled server's count of its callers, at the time in the line.
fn seen(line: &str) -> Option<Event> {
    if !line.starts_with("{\"lastfd_upstream\"") {
        return None;
    }
    let Told { at, seen } = serde_json::from_str::<Telling>(line).ok()?.lastfd_upstream;
    Some(Event { at, is: What::Upstream(seen) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    fn drained() -> (std::fs::File, Drain, mpsc::Receiver<Event>) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let (send, events) = mpsc::channel();
        let drain = Drain::start(read, move |event| send.send(event).expect("received")).expect("starts");
        (write.into(), drain, events)
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_tail_is_bounded_in_lines_and_characters_and_every_byte_is_counted() {
        let (mut output, drain, _events) = drained();
        let mut text = "é".repeat(5_000) + "\n";
        for n in 0..30 {
            text += &format!("line {n}\n");
        }
        output.write_all(text.as_bytes()).expect("is read");
        until("all is read", || {
            drain.bytes() == text.len() as u64 && drain.tail().last().is_some_and(|l| l == "line 29")
        });
        assert_eq!(drain.tail().len(), 20);
        assert_eq!(drain.tail()[0], "line 10");
        output.write_all(format!("{}\n", "é".repeat(5_000)).as_bytes()).expect("is read");
        until("the long line ends", || drain.tail().last().is_some_and(|l| *l == "é".repeat(500)));
    }

    #[test]
    fn only_the_first_lines_since_the_mark_are_reported_also_those_that_came_before_it_was_set() {
        let (mut output, drain, events) = drained();
        output.write_all(b"before\n").expect("is read");
        until("it is read", || drain.tail().len() == 1);
        let since = clock::now();
        output.write_all(b"1\n2\n").expect("is read");
        until("they are read", || drain.tail().len() == 3);
        let mut lines = drain.mark(since);
        output.write_all(b"3\n4\n5\n6\n7\n").expect("is read");
        drop(output);
        assert_eq!((lines.len(), drain.marked(), drain.mark(since)), (2, true, Vec::new()));
        lines.extend(events.iter());
        let expected: Vec<_> = ["1", "2", "3", "4", "5"].map(|l| What::Output { line: l.into() }).into();
        assert_eq!(lines.into_iter().map(|e| e.is).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_closing_line_of_a_bundled_server_is_its_own_count() {
        let (mut output, _drain, events) = drained();
        output
            .write_all(b"{\"lastfd_server\":{\"pid\":7,\"before_first_emfile\":25,\"total\":28}}\n")
            .expect("is read");
        output
            .write_all(b"{\"lastfd_server\":{\"pid\":7,\"before_first_emfile\":null,\"total\":28}}")
            .expect("is read");
        drop(output);
        let count = |before| What::OwnCount { pid: 7, before_first_emfile: before, total: 28 };
        assert_eq!(events.iter().map(|e| e.is).collect::<Vec<_>>(), [count(25), count(28)]);
    }

    #[test]
    fn dropping_ends_the_thread_while_the_subject_lives() {
        let (_output, drain, events) = drained();
        drop(drain);
        assert!(
            events
                .recv_timeout(Duration::from_secs(10))
                .is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn dropping_ends_the_thread_while_somebody_writes_without_end() {
        let (mut output, drain, events) = drained();
        let writing = std::thread::spawn(move || while output.write_all(&[b'y'; 4096]).is_ok() {});
        until("something is read", || drain.bytes() > 0);
        std::thread::spawn(move || drop(drain));
        assert!(
            events
                .recv_timeout(Duration::from_secs(10))
                .is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
        );
        writing.join().expect("its pipe is closed");
    }
}

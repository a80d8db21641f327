//! The growth of a process's descriptors: sampled on a timer, until the time is up, the process exits, or a
//! signal such as Ctrl-C's arrives.

use super::groups::{self, Group};
use crate::cli::output::ending_signals;
use crate::{limits::inventory::Open, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use signal_hook::low_level;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Most samples that are taken, however long it lasts.
const SAMPLES_MAX: u32 = 200;

/// Shortest time between two samples: a sample is one stat(2), but a shorter interval says nothing about
/// growth.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// Why sampling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The time asked for is up.
    TimeUp,
    /// The process exited.
    Exited,
    /// Ctrl-C, or another signal that ends a command.
    Interrupted,
}

/// The samples: seconds since the first one, and the descriptors open then.
#[derive(Debug)]
pub struct Samples {
    /// In the order they were taken; the first at 0 s.
    pub points: Vec<(f64, u64)>,
    /// Why the last one is the last.
    pub ended: Ended,
    /// How long was watched, seconds.
    pub watched_s: f64,
}

/// The growth of a process's descriptors, by its samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// How long was to be watched, seconds.
    pub asked_s: f64,
    /// How long was watched, seconds.
    pub watched_s: f64,
    /// Why it ended.
    pub ended: Ended,
    /// Descriptors at the first sample.
    pub first: u64,
    /// Descriptors at the last sample.
    pub last: u64,
    /// The fewest.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// Slope of the line of least squares through the samples, descriptors a second; absent with fewer than
    /// two samples.
    pub per_second: Option<f64>,
    /// Whether it grew, and not merely moved up and down: the net growth is at least half of the whole range.
    pub steady: bool,
    /// Seconds until the headroom is used up at this pace; absent without steady growth.
    pub left_s: Option<f64>,
    /// The kinds there are more of than at the first sample, most first.
    pub kinds: Vec<Grown>,
    /// The same by kind and other end.
    pub grew: Vec<Grew>,
}

/// One kind of descriptor that grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// As in the inventory.
    pub kind: String,
    /// How many more.
    pub by: u64,
}

/// One group of descriptors that grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "those of Group")]
pub struct Grew {
    pub kind: String,
    pub what: String,
    /// How many more.
    pub by: u64,
}

/// Samples the descriptors of the process for so long. `pidfd` refers to that process.
///
/// # Errors
/// The signal handler or poll(2) failed; an exit of the process is none.
pub fn sample(pid: i32, pidfd: &OwnedFd, duration: Duration) -> io::Result<Samples> {
    let (interrupted, sender) = UnixStream::pair()?;
    let handlers: Vec<_> = ending_signals()
        .map(|signal| low_level::pipe::register(signal, sender.try_clone()?))
        .collect::<io::Result<_>>()?;
    let samples = until_ended(pid, pidfd, &interrupted, duration);
    for handler in handlers {
        low_level::unregister(handler);
    }
    samples
}

fn until_ended(
    pid: i32,
    pidfd: &OwnedFd,
    interrupted: &UnixStream,
    duration: Duration,
) -> io::Result<Samples> {
    let interval = (duration / SAMPLES_MAX).max(INTERVAL_MIN);
    let start = Instant::now();
    let mut points = Vec::new();
    let mut due = start;
    let ended = loop {
        // A failure is an exit, or an exec of a set-user-id program: nothing more can be counted. A zombie
        // counts as zero.
        let Some(count) = sys::proc::descriptors(pid).ok().filter(|_| !exited(pidfd)) else {
            break Ended::Exited;
        };
        points.push((start.elapsed().as_secs_f64(), count));
        if start.elapsed() >= duration {
            break Ended::TimeUp;
        }
        due = (due + interval).min(start + duration);
        if let Some(ended) = wait_until(due, pidfd, interrupted)? {
            break ended;
        }
    };
    Ok(Samples { points, ended, watched_s: start.elapsed().as_secs_f64() })
}

/// Whether the process has exited, collected by its parent or not.
pub fn exited(pidfd: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits until then, the process's exit or Ctrl-C, whichever is first.
///
/// # Errors
/// poll(2) failed.
pub fn wait_until(due: Instant, pidfd: &OwnedFd, interrupted: &UnixStream) -> io::Result<Option<Ended>> {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [
            PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(interrupted.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(None),
            Ok(_) if fds[0].revents().contains(PollFlags::IN) => return Ok(Some(Ended::Exited)),
            Ok(_) => return Ok(Some(Ended::Interrupted)),
            Err(Errno::INTR) => (), // the handler has run: the pipe is readable now
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl Growth {
    /// The growth that the samples show. `headroom` is the number of free descriptors at the last sample;
    /// `before` and `after` are the inventories around the samples.
    pub fn new(
        samples: &Samples,
        asked: Duration,
        headroom: u64,
        before: &[Open],
        after: &[Open],
    ) -> Option<Growth> {
        let counts = || samples.points.iter().map(|(_, count)| *count);
        let (first, last, min, max) =
            (counts().next()?, counts().next_back()?, counts().min()?, counts().max()?);
        let (per_second, steady) = (slope(&samples.points), steady(&samples.points).is_some());
        let left_s = per_second.filter(|_| steady).map(|slope| headroom as f64 / slope);
        Some(Growth {
            asked_s: asked.as_secs_f64(),
            watched_s: samples.watched_s,
            ended: samples.ended,
            first,
            last,
            min,
            max,
            per_second,
            steady,
            left_s,
            kinds: grown(before, after),
            grew: grew(before, after),
        })
    }
}

impl Growth {
    /// Whether it fell, and not merely moved up and down: as [`Growth::steady`], downwards.
    pub fn falls(&self) -> bool {
        let net = self.first.saturating_sub(self.last);
        net > 0 && net * 2 >= self.max - self.min && self.per_second.is_some_and(|slope| slope < 0.0)
    }
}

/// Descriptors a second where they grow, and do not only move up and down: the net growth is at least half of
/// the whole range.
pub fn steady(points: &[(f64, u64)]) -> Option<f64> {
    let counts = || points.iter().map(|(_, count)| *count);
    let (first, last) = (counts().next()?, counts().next_back()?);
    let net = last.saturating_sub(first);
    let range = counts().max()? - counts().min()?;
    slope(points).filter(|slope| net > 0 && net * 2 >= range && *slope > 0.0)
}

/// Slope of the line of least squares; `None` with fewer than two moments.
fn slope(points: &[(f64, u64)]) -> Option<f64> {
    let n = points.len() as f64;
    let mean_t = points.iter().map(|(t, _)| t).sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| *y as f64).sum::<f64>() / n;
    let (ty, tt) = points.iter().fold((0.0, 0.0), |(ty, tt), (t, y)| {
        let t = t - mean_t;
        (ty + t * (*y as f64 - mean_y), tt + t * t)
    });
    (tt > 0.0).then(|| ty / tt)
}

/// The kinds with more members after than before, most first.
fn grown(before: &[Open], after: &[Open]) -> Vec<Grown> {
    let before: BTreeMap<String, u64> = groups::kinds(before).into_iter().collect();
    let more = |(kind, count): (String, u64)| {
        let by = count.saturating_sub(before.get(&kind).copied().unwrap_or(0));
        (by > 0).then_some(Grown { kind, by })
    };
    let mut grown: Vec<Grown> = groups::kinds(after).into_iter().filter_map(more).collect();
    grown.sort_by_key(|grown| std::cmp::Reverse(grown.by));
    grown
}

/// The groups with more members after than before, most first.
fn grew(before: &[Open], after: &[Open]) -> Vec<Grew> {
    let counts = |groups: Vec<Group>| {
        groups.into_iter().map(|group| ((group.kind, group.what), group.count)).collect::<BTreeMap<_, _>>()
    };
    let before_counts = counts(groups::of(before));
    let mut grew: Vec<Grew> = counts(groups::of(after))
        .into_iter()
        .filter_map(|((kind, what), count)| {
            let by =
                count.saturating_sub(before_counts.get(&(kind.clone(), what.clone())).copied().unwrap_or(0));
            (by > 0).then_some(Grew { kind, what, by })
        })
        .collect();
    grew.sort_by(|a, b| b.by.cmp(&a.by).then_with(|| a.what.cmp(&b.what)));
    grew
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(counts: &[u64]) -> Samples {
        let points = counts.iter().enumerate().map(|(second, count)| (second as f64, *count)).collect();
        Samples { points, ended: Ended::TimeUp, watched_s: counts.len() as f64 - 1.0 }
    }

    fn growth(counts: &[u64]) -> Growth {
        Growth::new(&samples(counts), Duration::from_secs(5), 90, &[], &[]).unwrap()
    }

    #[test]
    fn a_leak_of_three_a_second_leaves_thirty_seconds_for_ninety() {
        let growth = growth(&[10, 13, 16, 19]);
        assert!((growth.per_second.unwrap() - 3.0).abs() < 1e-9);
        assert!((growth.left_s.unwrap() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn traffic_that_comes_and_goes_is_no_leak() {
        let growth = growth(&[10, 40, 12, 38, 11, 14]);
        assert!(!growth.steady);
        assert_eq!(growth.left_s, None);
        assert_eq!((growth.min, growth.max), (10, 40));
    }

    #[test]
    fn neither_a_shrinking_nor_a_constant_count_has_time_left() {
        assert_eq!(growth(&[10, 9, 8]).left_s, None);
        assert!(
            growth(&[10, 9, 8]).falls() && !growth(&[10, 10, 10]).falls() && !growth(&[8, 9, 10]).falls()
        );
        assert!(!growth(&[20, 40, 2, 38, 11, 19]).falls(), "that one goes up and down");
        assert_eq!(growth(&[10, 10, 10]).left_s, None);
        assert_eq!(growth(&[10]).per_second, None);
    }
}

//! Makes several runs at a time where they may be made beside others, and one at a time where they may not.
//!
//! Runs are threads of this process. Each run changes only things of its own: its processes are in a tree of
//! their own, its observers are attached to that tree, its ports are chosen by turns. Other things are shared
//! on purpose: the raised descriptor limit, the measured cost of observing, the idle events that keep
//! tracepoints in use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Does `work` for each of `turns` until `stopped`: first those that are not `alone`, at most `jobs` at a
/// time, then the others one at a time. Calls `done` in the order of the turns, on this thread, as soon as
/// all before are done.
pub fn each<T: Send>(
    turns: usize,
    jobs: usize,
    alone: impl Fn(usize) -> bool,
    stopped: impl Fn() -> bool + Sync,
    work: impl Fn(usize) -> T + Sync,
    done: impl FnMut(T),
) {
    let (last, first): (Vec<usize>, Vec<usize>) = (0..turns).partition(|turn| jobs == 1 || alone(*turn));
    let mut order = InOrder { next: 0, early: BTreeMap::new(), done };
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, results) = channel();
        let (next, first, work, stopped) = (&next, &first, &work, &stopped);
        for _ in 0..jobs.min(first.len()) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(turn) = first.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !stopped())
                {
                    // The other end is there as long as this scope.
                    let _ = sender.send((*turn, work(*turn)));
                }
            });
        }
        drop(sender);
        results.into_iter().for_each(|(turn, result)| order.take(turn, result));
    });
    for turn in last {
        if stopped() {
            break;
        }
        order.take(turn, work(turn));
    }
    order.finish();
}

/// Hands results on in the order of their turns.
struct InOrder<T, F: FnMut(T)> {
    next: usize,
    early: BTreeMap<usize, T>,
    done: F,
}

impl<T, F: FnMut(T)> InOrder<T, F> {
    fn take(&mut self, turn: usize, result: T) {
        self.early.insert(turn, result);
        while let Some(result) = self.early.remove(&self.next) {
            (self.done)(result);
            self.next += 1;
        }
    }

    /// Hands on the results after a turn that never came.
    fn finish(mut self) {
        std::mem::take(&mut self.early).into_values().for_each(self.done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Barrier, Mutex};

    #[test]
    fn two_are_under_way_at_a_time_and_results_come_in_the_order_of_the_turns() {
        let both = Barrier::new(2);
        let mut done = Vec::new();
        let work = |turn: usize| {
            // Returns only when another one is at work.
            both.wait();
            turn
        };
        each(6, 2, |_| false, || false, work, |turn| done.push(turn));
        assert_eq!(done, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn who_must_be_alone_begins_when_all_others_are_done() {
        let begun = Mutex::new(Vec::new());
        let mut done = Vec::new();
        let work = |turn: usize| {
            begun.lock().unwrap().push(turn);
            turn
        };
        each(5, 3, |turn| turn % 2 == 0, || false, work, |turn| done.push(turn));
        let begun = begun.into_inner().unwrap();
        let mut beside = begun[..2].to_vec();
        beside.sort_unstable();
        assert_eq!((beside.as_slice(), &begun[2..]), (&[1, 3][..], &[0, 2, 4][..]));
        assert_eq!(done, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_stop_leaves_out_what_has_not_begun_and_loses_nothing_that_was_done() {
        let (stop, both) = (AtomicBool::new(false), Barrier::new(2));
        let stopped = || stop.load(Ordering::Relaxed);
        let mut done = Vec::new();
        let work = |turn: usize| {
            stop.fetch_or(turn == 2, Ordering::Relaxed);
            both.wait();
            turn
        };
        // 0 was to be alone, and never begins.
        each(5, 2, |turn| turn == 0, stopped, work, |turn| done.push(turn));
        assert_eq!(done, [1, 2]);
    }
}

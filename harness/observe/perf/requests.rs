//! Requests of io_uring that create a descriptor, by its own tracepoints: submissions and completions. The
//! kernel lets only a process with CAP_PERFMON look there. A completion does not say of what operation, so
//! each is matched with its submission.

use super::record::RingLayout;
use crate::event::{Call, Pid, What};
use crate::sys::perf::{Counter, Source};
use crate::sys::tracefs::Events;
use std::collections::HashMap;
use std::ffi::CStr;
use std::io;

/// Operations that create a descriptor, as [`Call::of_ring`] has them.
pub(super) const CREATES: &CStr = c"opcode == 13 || opcode == 18 || opcode == 28 || opcode == 45";
/// Requests that failed for another reason are over, too.
pub(super) const OTHERWISE: &CStr = c"res != -24 && res != -23";
pub(super) const EXHAUSTED: &CStr = c"res == -24 || res == -23";

/// Requests under way at a time, at most; while failures are no longer recorded one by one, those that failed
/// stay in the map.
const UNDER_WAY_AT_MOST: usize = 1 << 18;

/// Finds the tracepoints, and opens one on the calling thread to see whether that is allowed.
pub(super) fn probe(events: &Events, cpu: u32) -> io::Result<(RingLayout, Counter)> {
    // Renamed in Linux 6.5.
    let submit = ["io_uring/io_uring_submit_req", "io_uring/io_uring_submit_sqe"];
    let submit = submit.into_iter().find(|name| events.id(name).is_ok()).ok_or(io::ErrorKind::NotFound)?;
    let complete = "io_uring/io_uring_complete";
    let (of_submit, of_complete) =
        (|field| events.offset(submit, field), |field| events.offset(complete, field));
    let layout = RingLayout {
        submit: events.id(submit)?,
        submitted: [of_submit("ctx")?, of_submit("user_data")?, of_submit("opcode")?],
        complete: events.id(complete)?,
        completed: [
            of_complete("ctx")?,
            of_complete("user_data")?,
            of_complete("res")?,
            of_complete("cflags")?,
        ],
    };
    let probed = Counter::open(Source::KernelSamples(layout.complete), 0, Some(cpu))?;
    Ok((layout, probed))
}

/// The requests under way, and how many failed. A program may give several requests of one kind the same
/// name. If requests that create nothing have that name at the same time, the two cannot be told apart.
#[derive(Debug, Default)]
pub(super) struct Requests {
    under_way: HashMap<(u64, u64), (Call, u32)>,
    /// Some failures were not seen: their requests still count as under way.
    pub stale: bool,
    /// Failures seen one by one, by operation.
    failed: HashMap<Call, u64>,
}

impl Requests {
    /// Takes note of a submission; how many requests had to be forgotten for it.
    pub fn submitted(&mut self, request: (u64, u64), opcode: u8) -> u64 {
        let Some(call) = Call::of_ring(opcode) else { return 0 };
        let mut forgotten =
            if self.under_way.len() < UNDER_WAY_AT_MOST { 0 } else { self.under_way.drain().count() as u64 };
        let (name, count) = self.under_way.entry(request).or_insert((call, 0));
        if *name != call {
            // A completion may belong to either of them.
            let other = u64::from(std::mem::take(count));
            forgotten += if self.stale { 0 } else { other };
            *name = call;
        }
        *count = count.saturating_add(1);
        forgotten
    }

    /// The event of a completion: `None` where its request creates no descriptor, or failed for another
    /// reason than the want of one.
    pub fn completed(&mut self, pid: Pid, request: (u64, u64), ret: i32, more: bool) -> Option<What> {
        let (name, count) = self.under_way.get_mut(&request)?;
        let name = *name;
        if !more {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&request);
            }
        }
        match ret {
            0.. => {}
            -24 | -23 => *self.failed.entry(name).or_default() += 1,
            _ => return None,
        }
        Some(What::Call { pid, name, ret: ret.into(), on: None })
    }

    /// Failures of each operation; `all` is the total. Failures that were not seen one by one count for the
    /// operation that failed most.
    pub fn totals(&self, all: u64) -> [(Call, u64); 4] {
        let calls = [Call::RingAccept, Call::RingOpenat, Call::RingOpenat2, Call::RingSocket];
        let seen = calls.map(|call| self.failed.get(&call).copied().unwrap_or(0));
        let most = (0..calls.len()).rev().max_by_key(|&i| seen[i]).unwrap_or(0);
        let unseen = if seen[most] > 0 { all.saturating_sub(seen.iter().sum()) } else { 0 };
        std::array::from_fn(|i| (calls[i], seen[i] + if i == most { unseen } else { 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: u8 = 13;
    const RECV: u8 = 27;

    #[test]
    fn a_completion_is_of_the_request_that_its_ring_and_its_data_name() {
        let mut requests = Requests::default();
        requests.submitted((1, 7), ACCEPT);
        requests.submitted((1, 8), RECV);
        assert_eq!(requests.completed(10, (2, 7), 5, false), None, "another ring's");
        assert_eq!(requests.completed(10, (1, 8), 5, false), None, "five bytes are no descriptor");
        assert_eq!(
            requests.completed(10, (1, 7), 5, false),
            Some(What::Call { pid: 10, name: Call::RingAccept, ret: 5, on: None })
        );
        assert_eq!(requests.completed(10, (1, 7), 6, false), None, "it was done");
    }

    #[test]
    fn a_request_that_goes_on_accepts_many() {
        let mut requests = Requests::default();
        requests.submitted((1, 7), ACCEPT);
        let mut took = |ret, more| requests.completed(10, (1, 7), ret, more).is_some();
        assert!(took(5, true) && took(6, true) && took(-24, false));
        assert!(!took(8, false), "a failure ends it");
    }

    #[test]
    fn accepts_under_one_name_are_as_many_as_were_asked_for() {
        let mut requests = Requests::default();
        assert_eq!((0..3).map(|_| requests.submitted((1, 7), ACCEPT)).sum::<u64>(), 0);
        assert!((5..8).all(|fd| requests.completed(10, (1, 7), fd, false).is_some()));
        assert_eq!(requests.completed(10, (1, 7), 64, false), None, "three and no more");
        requests.submitted((1, 7), ACCEPT);
        assert_eq!(requests.completed(10, (1, 7), -125, false), None, "it was cancelled");
        assert_eq!(
            requests.completed(10, (1, 7), 64, false),
            None,
            "the name is given to what creates nothing"
        );
        requests.submitted((1, 7), ACCEPT);
        assert_eq!(
            requests.submitted((1, 7), 18),
            1,
            "whether the accept or the file is done would not be known"
        );
    }

    #[test]
    fn failures_that_were_not_seen_one_by_one_are_those_of_the_operation_that_failed() {
        let mut requests = Requests::default();
        assert_eq!(requests.totals(0).map(|(_, n)| n), [0; 4]);
        for _ in 0..3 {
            requests.submitted((1, 7), ACCEPT);
            requests.completed(10, (1, 7), -24, false);
        }
        requests.submitted((1, 8), 18);
        requests.completed(10, (1, 8), -24, false);
        assert_eq!(
            requests.totals(100),
            [(Call::RingAccept, 99), (Call::RingOpenat, 1), (Call::RingOpenat2, 0), (Call::RingSocket, 0)]
        );
    }
}

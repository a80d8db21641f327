//! Deadlines of answers, over timers that stay armed: nearly every call ends long before its deadline, and
//! arming a timer for each costs as much as reading its answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Timers that no wait uses now. One that was armed for an earlier deadline may ring too soon, and is then
/// set to the deadline of the wait that has it.
#[derive(Default)]
pub struct Alarms(Mutex<Vec<Pin<Box<Sleep>>>>);

impl Alarms {
    /// The output of the future; `None`: this time was over first.
    pub async fn within<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        let deadline = Instant::now().checked_add(time);
        let mut future = pin!(future);
        let mut alarm = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let Some(deadline) = deadline else { return Poll::Pending };
            let alarm = alarm.get_or_insert_with(|| self.alarm(deadline));
            alarm.poll(cx).map(|()| None)
        })
        .await
    }

    /// One that rings no later than this.
    fn alarm(&self, deadline: Instant) -> Alarm<'_> {
        let mut sleep = self.idle().pop().unwrap_or_else(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        Alarm { of: self, deadline, sleep: Some(sleep) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Pin<Box<Sleep>>>> {
        self.0.lock().expect("no panic while waiting")
    }
}

/// A timer in use.
struct Alarm<'a> {
    of: &'a Alarms,
    deadline: Instant,
    /// `None` only while it is dropped.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.as_mut().expect("it is in use");
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.deadline);
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.of.idle().extend(self.sleep.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::timeout;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_timer_that_stays_armed_rings_at_the_deadline_of_each_wait() {
        let alarms = Alarms::default();
        for time in [20, 1, 50, 10, 0] {
            let began = Instant::now();
            // Ends at once, and leaves its timer armed where it waited at all.
            assert_eq!(alarms.within(7 * MS, ready(1)).await, Some(1));
            let early = alarms.within(3 * MS, timeout(MS, pending::<()>())).await;
            assert!(early.is_none_or(|inner| inner.is_err()));
            let waits = Instant::now();
            assert_eq!(alarms.within(time * MS, pending::<()>()).await, None);
            assert!(waits.elapsed() >= time * MS, "{time} ms after {:?}", began.elapsed());
            assert_eq!(alarms.idle().len(), 1);
        }
        assert!(timeout(5 * MS, alarms.within(Duration::MAX, pending::<()>())).await.is_err());
    }

    #[tokio::test]
    async fn waits_at_the_same_time_have_a_timer_each_and_do_not_disturb_each_other() {
        let alarms = Alarms::default();
        let long = alarms.within(Duration::from_secs(60), alarms.within(20 * MS, pending::<()>()));
        assert_eq!(long.await, Some(None));
        assert_eq!(alarms.idle().len(), 2);
        let began = Instant::now();
        let both = async {
            tokio::join!(alarms.within(5 * MS, pending::<()>()), alarms.within(30 * MS, pending::<()>()))
        };
        assert_eq!(timeout(Duration::from_secs(20), both).await.ok(), Some((None, None)));
        assert!(began.elapsed() >= 30 * MS);
    }
}

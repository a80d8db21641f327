//! The processes of a scenario beside its subject: backends and relays. They are started first and ended
//! last, each under its own launcher and limits. Nothing of them is observed but where they listen, and the
//! callers that a bundled witness reports.

use super::choice::Choice;
use super::error::Error;
use super::options::Options;
use super::places::Places;
use super::prepare::prepare;
use super::ready;
use super::setting::Condition;
use crate::event::{Event, Seen, What};
use crate::launch::Tree;
use crate::observe::output::Drain;
use crate::scenario::Plan;
use crate::sys::sock_diag::SockDiag;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often a companion is looked at until it listens.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Which processes are started, and how.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// All but this one.
    pub but: Option<&'a str>,
    /// See [`prepare`].
    pub stops: &'a [u64],
}

/// One of them, running.
#[derive(Debug)]
pub struct Companion {
    pub tree: Tree,
    pub output: Option<Drain>,
    grace: Duration,
    /// Where it listens; clients of a workload may be sent there.
    pub ready: ready::Ready,
    /// Its folder.
    pub scratch: TempDir,
}

/// Starts processes of the plan, one after the other by name, and waits until each listens.
///
/// # Errors
/// One of them never listened.
pub fn start(
    plan: &Plan,
    which: Which<'_>,
    options: &Options,
    places: &Places,
    diag: &mut SockDiag,
    sink: &Sender<Vec<Event>>,
    interrupted: &AtomicBool,
) -> Result<BTreeMap<String, Companion>, Error> {
    let mut running = BTreeMap::new();
    for name in plan.processes.keys().filter(|name| Some(name.as_str()) != which.but) {
        let before = ready::already(diag)?;
        let (mut tree, process, scratch) =
            prepare(plan, name, options, places, false, which.stops, interrupted)?;
        let choice = Choice::of(plan, name, &process, |word| places.fill(word, name, scratch.path()))?;
        let (sink, of) = (sink.clone(), name.clone());
        let report = move |event| tell(&sink, &of, event);
        let output = tree.output().map(|fd| Drain::start(fd, report)).transpose()?;
        let wanted = process.setting.ready.as_ref();
        let mut condition =
            Condition::of(wanted, &plan.directory, tree.command(), options.isolation, output.as_ref())?;
        tree.start().map_err(|e| match e.is_of_machine() {
            true => Error::Inconclusive(format!("{name}: {e}")),
            false => Error::NotStarted(format!("{name}: {e}")),
        })?;
        let deadline = Instant::now() + Duration::from_secs_f64(process.ready_within_s);
        let ready = loop {
            let holds = condition.as_mut().map_or(Ok(true), |condition| condition.holds(output.as_ref()))?;
            if let Some(ready) = ready::listeners(&tree, diag, &choice, false, &before)?.filter(|_| holds) {
                break ready;
            }
            // Its end is an event; until then the deadline is.
            if tree.wait_gone(LOOK_EVERY) || Instant::now() > deadline {
                let said = output.as_ref().map(Drain::tail).unwrap_or_default().join("\n  ");
                let lacks = condition
                    .filter(|_| !holds)
                    .map(|condition| condition.lacks(&plan.redaction(options.redact)));
                let lacks = lacks.unwrap_or_else(|| "it did not come to listen".into());
                return Err(Error::NotStarted(format!("{name}: {lacks}; its last lines:\n  {said}")));
            }
        };
        let grace = Duration::from_secs_f64(process.grace_s);
        running.insert(name.clone(), Companion { tree, output, grace, ready, scratch });
    }
    Ok(running)
}

/// Reports the counts of a witness, with its name; all else that a companion says is its own business.
fn tell(sink: &Sender<Vec<Event>>, process: &str, event: Event) {
    if let What::Upstream(seen) = event.is {
        let seen = Seen { process: process.to_owned(), ..seen };
        // The receiver is gone only when the run is.
        let _ = sink.send(vec![Event { at: event.at, is: What::Upstream(seen) }]);
    }
}

/// Says where each listens.
pub fn introduce(running: &BTreeMap<String, Companion>) -> impl Iterator<Item = What> {
    running.iter().map(|(name, companion)| What::Listening {
        process: name.clone(),
        pid: companion.ready.holders[0],
        address: companion.ready.address.to_string(),
        capacity: companion.ready.capacity,
    })
}

impl Drop for Companion {
    fn drop(&mut self) {
        // A process that does not end in its grace is killed; dropping the tree reports one that cannot be
        // killed.
        let _ = self.tree.end(Signal::TERM, self.grace);
        self.output.take();
    }
}

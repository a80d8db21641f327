//! Records the event logs of `tests/data/recorded` anew:
//!
//!     cargo test --test tests record -- --ignored --nocapture
//!
//! Needed when the log's schema changes, a scenario, a bundled server, or the run itself. Every run is a real
//! one. With `LASTFD_RECORD=TEXT` only the recordings whose name holds the text are made. A recording is kept
//! when the observer and the report agree with the server's own count, and when a replay of the scrubbed log
//! says what the run itself said. What needs a program that is not installed is skipped, says so, and leaves
//! the recording that is there.

mod cases;
mod kept;
mod scrub;
mod small;

use crate::support::{LASTFD, RECORDED};
use cases::Case;
use flate2::{Compression, write::GzEncoder};
use lastfd::internal::event::{Log, What};
use lastfd::internal::report::{Report, json};
use lastfd::internal::run::{self, Error, Options};
use lastfd::internal::scenario;
use scrub::Scrub;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Failing calls that a recording holds one by one: enough to tell a spin from a storm, and few enough to
/// keep the files small.
const SAMPLED: u64 = 3000;
/// A busy machine may spoil a run: the observer loses samples, say.
const TRIES: usize = 3;

#[test]
#[ignore = "a command, not a test: records tests/data/recorded anew, in a quarter of an hour"]
fn record() {
    let wanted = std::env::var("LASTFD_RECORD").unwrap_or_default();
    let scrub = Scrub::of_this_machine();
    std::fs::create_dir_all(RECORDED).expect("a folder");
    let (mut names, mut refused) = (HashSet::new(), Vec::new());
    for case in cases::all() {
        let file = format!("{}.jsonl.gz", case.name);
        assert!(names.insert(file.clone()), "two recordings are called {file}");
        if !case.name.contains(&wanted) {
            continue;
        }
        if let Some(obstacle) = scenario::preflight(&case.plan).first() {
            eprintln!("skipped: {}: {obstacle}", case.name);
            if std::env::var("LASTFD_REQUIRE_PEERS").is_ok() {
                refused.push(format!("{}: {obstacle}", case.name));
            }
            continue;
        }
        match (1..=TRIES).find_map(|n| tried(&case, &scrub, n == TRIES)) {
            Some(Ok(text)) => {
                let size = write(&Path::new(RECORDED).join(&file), &text);
                eprintln!("recorded: {}, {} KB", case.name, size / 1000);
            }
            Some(Err(why)) => refused.push(format!("{}: {why}", case.name)),
            None => unreachable!("the last try says something"),
        }
    }
    if wanted.is_empty() {
        remove_others(&names);
    }
    assert!(refused.is_empty(), "no recording that can be trusted:\n{}", refused.join("\n"));
}

/// The scrubbed log of one run. `None`: it cannot be trusted, and there is another try.
fn tried(case: &Case, scrub: &Scrub, last: bool) -> Option<Result<String, String>> {
    match made(case, scrub) {
        Err(why) if !last => {
            eprintln!("once more: {}: {why}", case.name);
            None
        }
        result => Some(result),
    }
}

fn made(case: &Case, scrub: &Scrub) -> Result<String, String> {
    let mut options = Options::with_lastfd(LASTFD);
    (options.observer, options.sampled) = (case.observer, SAMPLED);
    let run =
        run::run(&case.plan, &options, &AtomicBool::new(false), &mut |_| {}).map_err(|e| e.to_string())?;
    match run.error {
        None | Some(Error::NotStarted(_)) => {}
        Some(error) => return Err(error.to_string()),
    }
    let log = Log::new(run.events);
    let report = Report::of(&case.plan, &log);
    let witnesses = &report.found.witnesses;
    if witnesses.agreement.value() == Some(false) {
        return Err(format!("the witnesses disagree: {:?}", witnesses.notes));
    }
    agrees_with_own_counts(&log, &report)?;
    scrubbed(&log, &report, scrub)
}

/// Compares what the observer saw with what the bundled servers counted themselves, each process before its
/// first EMFILE.
fn agrees_with_own_counts(log: &Log, report: &Report) -> Result<(), String> {
    // Threads that block in accept may have taken a client that they have not counted yet.
    let reserved = report.found.baseline.reserved();
    let late = if reserved > 1 { reserved } else { 0 };
    for event in &log.events {
        let What::OwnCount { pid: of, before_first_emfile: own, .. } = event.is else { continue };
        let accepts = log.events.iter().filter_map(|e| match e.is {
            What::Call { pid, name, ret, .. } if pid == of && name.accepts() => Some(ret),
            _ => None,
        });
        let accepts: Vec<i64> = accepts.collect();
        // Where none was seen to fail, it met no EMFILE, or it accepts by io_uring.
        let Some(seen) = accepts.iter().position(|ret| *ret == -24) else { continue };
        let seen = accepts[..seen].iter().filter(|ret| **ret >= 0).count() as u64;
        if seen.abs_diff(own) > late {
            return Err(format!(
                "the server counted {own} accepts before its first EMFILE, and {seen} were seen"
            ));
        }
    }
    Ok(())
}

/// The log without what is this machine's alone, after a replay of it has said the same as the run.
fn scrubbed(log: &Log, report: &Report, scrub: &Scrub) -> Result<String, String> {
    let named = scrub.ancestors(log);
    let text = scrub.text(&lines(&named));
    if let Some(left) = scrub.left(&text) {
        return Err(format!("after the scrub it still holds {left:?}"));
    }
    let (plan, replayed) = crate::support::parsed("a scrubbed log", text.as_bytes());
    let mut expected = report.clone();
    expected.found.limits = Report::of(&plan, &named).found.limits;
    let (said, says) =
        (scrub.text(&json::render(&[expected])), json::render(&[Report::of(&plan, &replayed)]));
    match said.lines().zip(says.lines()).find(|(said, says)| said != says) {
        Some((said, says)) => Err(format!("scrubbed it says {says:?} and not {said:?}")),
        None => Ok(text),
    }
}

fn lines(log: &Log) -> String {
    log.events.iter().map(|event| serde_json::to_string(event).expect("an event") + "\n").collect()
}

/// Writes a compressed file, which is the same for the same text; returns its size.
fn write(path: &Path, text: &str) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    let bytes = encoder.finish().expect("memory");
    std::fs::write(path, &bytes).expect("tests/data/recorded can be written");
    bytes.len()
}

/// Removes what no case makes any more.
fn remove_others(names: &HashSet<String>) {
    for entry in std::fs::read_dir(RECORDED).expect("the folder").flatten() {
        if !names.contains(&*entry.file_name().to_string_lossy()) {
            eprintln!("removed: {}", entry.path().display());
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
}

//! Runs every accept policy of the bundled servers again and again, at three limits and under both observers,
//! alone or beside loops that burn every processor, and counts the right answers:
//!
//!     cargo test --test tests soak -- --ignored --nocapture
//!
//! `LASTFD_SOAK_ROUNDS` (20) is how often, `LASTFD_SOAK_BURNERS` (0) how many such loops run beside, and
//! `LASTFD_SOAK_JOBS` (1) how many runs are made at a time. Answers are kept in the target folder, a line
//! each: the command goes on where it was stopped, and begins anew where that file is removed.

use super::run::{CLASSES, at_the_wall};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

const LIMITS: [u64; 3] = [32, 64, 256];
const OBSERVERS: [&str; 2] = ["perf", "ptrace"];

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
#[ignore = "a command, not a test: counts right answers, in an hour or two"]
fn soak() {
    let (rounds, burners) = (setting("LASTFD_SOAK_ROUNDS", 20), setting("LASTFD_SOAK_BURNERS", 0));
    let jobs = setting("LASTFD_SOAK_JOBS", 1);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{burners}-burners.tsv"));
    let known = fs::read_to_string(&file).unwrap_or_default();
    let known: BTreeMap<&str, &str> = known.lines().filter_map(|line| line.split_once('\t')).collect();
    let kept = OpenOptions::new().create(true).append(true).open(&file).expect("the file of answers");
    let (stop, answers) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (turns, kept) = (Mutex::new(runs(rounds)), Mutex::new(kept));
    let work = || {
        while let Some((run, policy, class, soft, observer)) = locked(&turns).next() {
            let answer = known.get(run.as_str()).map(|answer| (*answer).to_owned()).unwrap_or_else(|| {
                let answer = answer(policy, class, soft, observer);
                writeln!(locked(&kept), "{run}\t{answer}").expect("the file of answers can be written");
                answer
            });
            if answer != RIGHT {
                eprintln!("{run}: {answer}");
            }
            locked(&answers).push(answer);
        }
    };
    thread::scope(|scope| {
        for _ in 0..burners {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let working: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        working.into_iter().for_each(|one| one.join().expect("it does not panic"));
        stop.store(true, Ordering::Relaxed);
    });
    let answers = answers.into_inner().expect("nobody panicked");
    let count = |begins: &str| answers.iter().filter(|answer| answer.starts_with(begins)).count();
    let (all, right, unclear) = (answers.len(), count(RIGHT), count(UNCLEAR));
    eprintln!(
        "{right} of {all} right, {unclear} unclear, {} wrong; {burners} burners, {jobs} at a time",
        all - right - unclear
    );
    assert_eq!(
        all - right - if burners > 0 { unclear } else { 0 },
        0,
        "wrong answers are in {}",
        file.display()
    );
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

/// Every run: its name, the policy, its class, the soft limit and the observer.
fn runs(rounds: usize) -> impl Iterator<Item = (String, &'static str, &'static str, u64, &'static str)> {
    (0..rounds).flat_map(|round| {
        CLASSES.iter().flat_map(move |&(policy, class)| {
            LIMITS.into_iter().flat_map(move |soft| {
                OBSERVERS.map(|observer| {
                    (format!("{policy} {soft} {observer} {round}"), policy, class, soft, observer)
                })
            })
        })
    })
}

const RIGHT: &str = "right";
const UNCLEAR: &str = "unclear";

/// Whether the report has the policy's class; where it is unclear or inconclusive, with the reason.
fn answer(policy: &str, class: &str, soft: u64, observer: &str) -> String {
    let (called, _) = at_the_wall(policy, observer, soft);
    let run = called.run();
    let found = &run["saturation"]["policy"];
    let evidence = &run["saturation"]["policy_evidence"];
    match found.as_str() {
        Some(found) if found == class => RIGHT.into(),
        Some("unclear") => format!("{UNCLEAR}: {evidence}"),
        None if run["verdict"] == "inconclusive" => format!("{UNCLEAR}: {}", run["reasons"]),
        _ => format!("wrong: {found}: {evidence}"),
    }
}

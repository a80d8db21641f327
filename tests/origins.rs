//! Who set the limit in force: each command is made of steps whose limits are known, and the report must name
//! the step.

use super::support::{LASTFD, find, program, subject};
use crate::log;
use lastfd::internal::event::{Event, Limits, Link, Log, What};
use lastfd::internal::measure::{self, By, Findings};
use serde_json::Value;

/// The observers that this machine has.
fn observers() -> Vec<String> {
    lastfd::internal::run::environment().observers
}

/// Runs a command under 64:4096, observed so.
fn limits(observer: &str, command: &[&str]) -> (Value, Value) {
    let called =
        find(&["--nofile", "64:4096", "--clients", "2", "--hold", "0s", "--observer", observer], command);
    let run = called.run();
    assert!(run["limits"]["effective"].is_object(), "{called:?}");
    (run["limits"].clone(), run["subject"]["pid"].clone())
}

/// Soft limits of the last links of the chain.
fn softs(limits: &Value, last: usize) -> Vec<u64> {
    let chain = limits["chain"].as_array().expect("a chain");
    chain[chain.len() - last..].iter().map(|link| link["soft"].as_u64().expect("a number")).collect()
}

fn server() -> String {
    format!("{LASTFD} serve tcp --port {{port}}")
}

#[test]
fn a_limit_set_before_an_exec_is_not_said_to_be_set_by_the_program_executed() {
    for observer in observers() {
        for script in [
            format!("ulimit -n 40; exec {}", server()),
            format!("ulimit -n 40; exec env A=b {}", server()),
            // Refused, also to root: above fs.nr_open.
            format!("ulimit -n 40; exec sh -c 'ulimit -n 99999999999 2>/dev/null; exec {}'", server()),
        ] {
            let (limits, subject) = limits(&observer, &["sh", "-c", &script]);
            let by = &limits["set_by"];
            assert_eq!((&by["by"], &by["pid"]), (&"before-exec".into(), &subject), "{observer}: {limits}");
            assert!(by["command"].as_str().expect("words").starts_with("sh -c ulimit -n 40;"), "{by}");
            assert_eq!(softs(&limits, 3), [64, 40, 40], "{observer}: asked for, the shell, the program");
        }
    }
}

#[test]
fn of_several_that_set_it_in_turn_the_last_is_named_and_each_is_a_link() {
    for observer in observers() {
        let script = format!("ulimit -n 48; exec sh -c 'ulimit -n 40; exec {}'", server());
        let (limits, subject) = limits(&observer, &["sh", "-c", &script]);
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["pid"], &by["command"]), (&"before-exec".into(), &subject, &"sh".into()));
        assert_eq!(softs(&limits, 4), [64, 48, 40, 40], "{observer}");
    }
}

#[test]
fn a_limit_set_between_fork_and_exec_is_set_by_what_the_child_was_then() {
    for observer in observers() {
        let script = format!("(ulimit -n 40; exec {}) & wait", server());
        let (limits, subject) = limits(&observer, &["sh", "-c", &script]);
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["pid"], &by["command"]), (&"before-exec".into(), &subject, &"sh".into()));
        assert_eq!(softs(&limits, 4), [64, 64, 40, 40], "{observer}: its parent kept its own");
    }
}

#[test]
fn a_limit_set_by_the_program_itself_or_by_its_parent_is_set_by_a_program_that_still_runs() {
    for observer in observers() {
        let own = subject("sets_its_limit");
        let (limits, pid) = limits(&observer, &own.iter().map(String::as_str).collect::<Vec<_>>());
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["pid"]), (&"program".into(), &pid), "{observer}: {limits}");
        assert!(by["command"].as_str().expect("words").contains("subjects::sets_its_limit"), "{by}");

        let script = format!("ulimit -n 40; {}; :", server());
        let (limits, pid) = self::limits(&observer, &["sh", "-c", &script]);
        let by = &limits["set_by"];
        assert_eq!(by["by"], "program", "{observer}: {limits}");
        assert_ne!(by["pid"], pid, "its parent");
    }
}

#[test]
fn programs_that_only_pass_the_limit_on_set_none() {
    for observer in observers() {
        let script = format!("exec env A=b sh -c 'ulimit -n >/dev/null; exec {}'", server());
        let (limits, _) = limits(&observer, &["sh", "-c", &script]);
        assert_eq!(limits["set_by"]["by"], "asked-for", "{observer}: {limits}");
        assert_eq!(softs(&limits, 2), [64, 64]);
    }
}

#[test]
fn prlimit_is_named_as_what_the_process_ran_before_or_as_another_process() {
    if program("prlimit").is_none() {
        return;
    }
    for observer in observers() {
        let words = ["prlimit", "--nofile=40", LASTFD, "serve", "tcp", "--port", "{port}"];
        let (limits, subject) = limits(&observer, &words);
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["pid"]), (&"before-exec".into(), &subject), "{observer}: {limits}");
        assert!(by["command"].as_str().expect("words").starts_with("prlimit --nofile=40 "), "{by}");

        let script = format!("prlimit --pid $$ --nofile=40:4096; exec {}", server());
        let (limits, subject) = self::limits(&observer, &["sh", "-c", &script]);
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["command"]), (&"another-process".into(), &"prlimit".into()), "{limits}");
        assert_ne!(by["pid"], subject, "it did not set its own");
    }
}

#[test]
fn a_shell_that_has_ended_since_is_named_though_it_is_in_no_chain() {
    for observer in observers() {
        let script = format!("(ulimit -n 40; {} & ) ; sleep 1000", server());
        let (limits, subject) = limits(&observer, &["sh", "-c", &script]);
        let by = &limits["set_by"];
        assert_eq!((&by["by"], &by["command"]), (&"another-process".into(), &"sh".into()), "{limits}");
        assert_ne!(by["pid"], subject);
        assert_eq!(softs(&limits, 1), [40]);
    }
}

#[test]
fn without_an_observer_the_program_and_what_it_was_before_are_both_named() {
    let script = format!("ulimit -n 40; exec {}", server());
    let (limits, subject) = limits("none", &["sh", "-c", &script]);
    let by = &limits["set_by"];
    assert_eq!((&by["by"], &by["pid"]), (&"unseen".into(), &subject), "{limits}");
    assert!(by["command"].as_str().expect("words").contains("serve tcp"), "{by}");
    assert!(by["alternatives"][0].as_str().expect("words").starts_with("sh -c ulimit -n 40;"), "{by}");
}

const MS: u64 = 1_000_000;

/// A told run under 16:64 whose process was asked to have 32:64, with these events before it listened.
fn measured(events: &[What]) -> Findings {
    let (plan, log) = log::told("spin");
    let mut log = log.events;
    for event in &mut log {
        match &mut event.is {
            What::Launched { requested, argv, .. } => {
                *requested = Limits { soft: 32, hard: 64 };
                *argv = ["sh", "-c", "exec server"].map(str::to_owned).to_vec();
            }
            What::Chain { links, .. } => {
                let own = links.pop().expect("its own");
                let asked = Link { command: Link::REQUESTED.into(), soft: 32, ..own.clone() };
                links.extend([asked, own]);
            }
            _ => {}
        }
    }
    log.extend(events.iter().zip(2..).map(|(is, ms)| Event { at: ms * MS, is: is.clone() }));
    measure::measure(&plan, &Log::new(log))
}

fn ran(program: &str) -> What {
    What::Executed { pid: 100, program: program.into() }
}

fn set(soft: Option<u64>) -> What {
    What::LimitSet { pid: 100, by: 100, limits: soft.map(|soft| Limits { soft, hard: 64 }) }
}

#[test]
fn a_call_that_may_have_been_lost_or_was_not_seen_leaves_the_alternatives() {
    let found = |events: &[What]| {
        let set_by = measured(events).limits.set_by.get().expect("the chain was read").clone();
        assert_eq!(set_by.pid, 100);
        (set_by.by, set_by.alternatives)
    };
    let steps = |limit| [ran("sh"), limit, ran("server")];
    assert_eq!(found(&steps(set(Some(16)))).0, By::BeforeExec);
    assert_eq!(found(&steps(set(None))).0, By::BeforeExec, "what it set is what was read back");
    let unseen = (By::Unseen, vec!["sh -c exec server".to_owned()]);
    assert_eq!(found(&steps(set(Some(20)))), unseen, "20 is not in force");
    assert_eq!(found(&[ran("sh"), ran("server")]), unseen);
    assert_eq!(found(&[ran("sh"), set(Some(16)), ran("server"), What::Lost { samples: 1 }]), unseen);
    assert_eq!(found(&[]), unseen, "no exec is seen either");
}

#[test]
fn a_call_after_which_the_limit_is_what_it_was_has_not_set_it() {
    let m = measured(&[ran("sh"), set(Some(16)), ran("server"), set(None)]);
    assert_eq!(m.limits.set_by.get().expect("the chain was read").by, By::BeforeExec);
}

#[test]
fn who_changes_the_hard_limit_alone_has_not_set_the_soft_one() {
    let hard = |hard| What::LimitSet { pid: 100, by: 100, limits: Some(Limits { soft: 16, hard }) };
    let m = measured(&[ran("sh"), hard(128), ran("server"), hard(64)]);
    assert_eq!(m.limits.set_by.get().expect("the chain was read").by, By::BeforeExec);
}

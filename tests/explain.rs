//! What `lastfd explain` says: the sums of the scenarios of this repository, and how it tells runs.

use crate::log;
use crate::support::{handed_over, lastfd};
use lastfd::internal::event::{self, Limits, Log, Phase, What};
use lastfd::internal::measure::{self, Known, Why};
use lastfd::internal::report::{Report, explain};
use lastfd::internal::scenario::{self, Ceiling, Plan};
use std::path::{Path, PathBuf};

fn story(name: &str) -> String {
    let (plan, log) = log::told(name);
    explain::run(&Report::of(&plan, &log), &log, false, 100)
}

/// The text as one line, for claims that may be wrapped.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plans(text: &str) -> Vec<Plan> {
    scenario::parse(text, "x.toml", "push", Path::new(".")).expect("a scenario")
}

#[test]
fn the_flagship_is_explained_before_it_runs() {
    let plans = scenario::load(&PathBuf::from("scenarios/websocket-1012/scenario.toml")).unwrap();
    insta::assert_snapshot!("websocket-1012", explain::scenario(&plans, false, 100));
}

#[test]
fn a_run_is_told_in_the_order_in_which_it_happened() {
    for name in ["spin", "workers", "conflict"] {
        insta::assert_snapshot!(name, story(name));
    }
}

#[test]
fn the_sum_that_is_explained_is_the_ceiling_that_a_scenario_expects() {
    let mut compared = 0;
    for file in scenario::discover(&[PathBuf::from("scenarios")]).unwrap() {
        for plan in scenario::load(&file).unwrap() {
            let text = unwrapped(&explain::scenario(std::slice::from_ref(&plan), false, 100));
            let (Some(soft), Some(rest), Some(Ceiling::Exactly(ceiling))) =
                (plan.expect.limits.soft, plan.expect.baseline, plan.expect.ceiling)
            else {
                continue;
            };
            let sum = match soft - rest {
                left if left == ceiling => format!("{soft} − {rest} = {left} remain"),
                left => format!("{soft} − {rest} = {left} remain, and {ceiling} connections use them all"),
            };
            assert!(text.contains(&sum), "{sum}: {text}");
            compared += 1;
        }
    }
    assert!(compared >= 4, "the flagship and Tornado have such variants: {compared}");
}

#[test]
fn what_a_launcher_is_said_to_leave_is_what_its_scenario_expects() {
    let mut told = 0;
    for plan in scenario::load(Path::new("scenarios/launchers/launchers.scenario.toml")).unwrap() {
        let text = unwrapped(&explain::scenario(std::slice::from_ref(&plan), false, 100));
        assert!(!text.contains("The launcher leaves"), "{text}");
        told += usize::from(text.contains("In force: "));
    }
    // All but the three that open a PAM session, whose limits are read back.
    assert!(told >= 8, "{told}");
}

#[test]
fn minfds_is_told_to_raise_and_never_to_lower() {
    let supervised = |soft: u64, hard: u64, minfds: u64| {
        let text = format!(
            "claim = \"x\"\n[processes.server]\ncommand = [\"s\"]\nlimits = {{ soft = {soft}, hard = {hard} }}\n\
             launcher.supervisord = {{ minfds = {minfds} }}\n[workloads.flood]\ntcp = {{ clients = 9 }}\n"
        );
        unwrapped(&explain::scenario(&plans(&text), false, 100))
    };
    // As measured with supervisord: 20000:20000 with minfds 1024 stays; 256:4096 with 1024 is 1024:4096; a
    // hard limit below minfds ends it with status 2.
    assert!(supervised(20000, 20000, 1024).contains("nothing changes, and its child inherits 20000:20000"));
    assert!(supervised(256, 4096, 1024).contains("its child inherits 1024:4096"));
    let refused = supervised(256, 512, 1024);
    assert!(refused.contains("exit status 2") && refused.contains("CAP_SYS_RESOURCE"), "{refused}");
}

#[test]
fn a_variant_is_told_by_what_it_changes() {
    let text = r#"
        claim = "x"
        [processes.server]
        serve.http = { baseline = 10 }
        limits = { soft = 64, hard = 64 }
        [workloads.flood]
        http-idle = { clients = 96 }
        [expect]
        ceiling = 54
        [[variant]]
        name = "fewer clients"
        believed = "there are too many"
        set = { "workloads.flood.http-idle.clients" = 40 }
        expect = { ceiling = "not reached" }
        [[variant]]
        name = "only expected otherwise"
        expect = { leaked = 0 }
    "#;
    let text = explain::scenario(&plans(text), false, 100);
    let (base, variant) = text.split_once("Variant fewer clients").expect("a part of its own");
    assert!(
        unwrapped(base).contains("64 − 10 = 54 remain")
            && unwrapped(base).contains("96 clients are more than 54"),
        "{base}"
    );
    let variant = unwrapped(variant);
    assert!(
        variant.contains("there are too many") && variant.contains("`flood` sends 40 clients"),
        "{variant}"
    );
    assert!(variant.contains("40 clients fit into 54, so the server cannot reach a ceiling"), "{variant}");
    assert!(variant.contains("only what is expected"), "{variant}");
}

#[test]
fn every_expectation_is_told_and_other_limits_too() {
    let told = |expect: &str| {
        let text = format!(
            "claim = \"x\"\n[processes.s]\nserve.http = {{}}\nlimits = {{ soft = 64, hard = 64 }}\n[workloads.w]\ntcp = {{}}\n\
             [[then]]\nat = \"saturated\"\nlimit = {{ soft = 32 }}\n[expect]\n{expect}\n"
        );
        unwrapped(&explain::scenario(&plans(&text), false, 100))
    };
    assert!(told("").contains("nothing: the run is measured, not judged"));
    for (expect, words) in [
        ("disguise = [\"error-reply\", \"exit\"]", "failures in disguise (error-reply, exit)"),
        ("disguise = []", "no failure in disguise"),
        ("other-listeners = \"waits\"", "new clients of its other listeners get `waits`"),
        ("resumes-within = \"2s\"", "accepts again within 2 s"),
        ("ceiling-after = \"soft - baseline\"", "a ceiling of soft - baseline under the moved limit"),
        ("file-max-binds = false", "fs.file-max does not stop it"),
    ] {
        let text = told(expect);
        assert!(text.contains(words) && !text.contains("not judged"), "{expect}: {text}");
    }
    let text = "claim = \"x\"\n[processes.s]\nserve.http = {}\nlimits = { soft = 64, hard = 64 }\nrlimits = { nproc = 40 }\n\
                [workloads.w]\ntcp = {}\n[[variant]]\nname = \"memory\"\nset = { \"processes.s.rlimits\" = { as = 4096 } }\n\
                [[variant]]\nname = \"none\"\nset = { \"processes.s.rlimits\" = {} }\n";
    let text = unwrapped(&explain::scenario(&plans(text), false, 100));
    for words in [
        "It also starts with RLIMIT_NPROC 40",
        "`s` starts with RLIMIT_AS 4096.",
        "`s` starts with no other limit.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn calls_are_told_by_what_each_leaves_open() {
    let caller = |options: &str| {
        let text = format!(
            "claim = \"x\"\nsubject = \"caller\"\n[processes.backend]\nserve.http = {{}}\nlimits = {{ soft = 256, hard = 256 }}\n\
             [processes.caller]\ncall = \"calls\"\nlimits = {{ soft = 64, hard = 64 }}\n\
             [workloads.calls]\n{options}\n[expect]\nbaseline = 10\n"
        );
        unwrapped(&explain::scenario(&plans(&text), false, 100))
    };
    let kept = caller("http-leak-body = { to = \"backend\", calls = 90 }");
    assert!(
        kept.contains("each call keeps a descriptor")
            && kept.contains("90 open connections are more than 54"),
        "{kept}"
    );
    let drained = caller("http-leak-body = { to = \"backend\", calls = 90, body = \"drained\" }");
    assert!(
        drained.contains("one descriptor serves all calls")
            && drained.contains("fits into 54, so the program cannot reach a ceiling"),
        "{drained}"
    );
    let at_once = caller("http-per-call = { to = \"backend\", calls = 900, concurrency = 60 }");
    assert!(
        at_once.contains("60 at a time") && at_once.contains("60 open connections are more than 54"),
        "{at_once}"
    );
}

#[test]
fn every_told_run_has_a_story_that_fits_the_page() {
    for (_, plan, log, _) in log::all() {
        let text = explain::run(&Report::of(&plan, &log), &log, false, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!((12..=50).contains(&text.lines().count()), "{text}");
    }
}

#[test]
fn what_cannot_be_concluded_is_said_first_and_no_number_is_made_up() {
    let conflict = unwrapped(&story("conflict"));
    assert!(
        conflict.contains("Nothing can be concluded from this run: the witnesses disagree"),
        "{conflict}"
    );
    assert!(!conflict.contains("was full at"), "{conflict}");
    assert!(unwrapped(&story("truncated")).contains("the log ends in the middle of the run"));
    // Only a header and the reason: this machine could not make the run.
    let (plan, log) = log::told("spin");
    let reason = What::Inconclusive { reason: "hard limit is 512".into() };
    let events = vec![
        log.events[0].clone(),
        event::Event { at: 1, is: reason },
        event::Event { at: 2, is: What::End },
    ];
    let log = Log::new(events);
    let refused = unwrapped(&explain::run(&Report::of(&plan, &log), &log, false, 100));
    assert!(
        refused.contains("hard limit is 512") && refused.contains("`server` was never executed"),
        "{refused}"
    );
}

#[test]
fn a_ceiling_that_only_the_descriptor_count_tells_is_told_so() {
    let (plan, log) = log::told("spin");
    let mut report = Report::of(&plan, &log);
    report.found.ceiling.kind = Known::Unknown(Why::AcceptsPassBy);
    report.found.ceiling.first_failure = Known::Unknown(Why::AcceptsPassBy);
    for (reached, words) in [
        (Known::Value(true), "Stopped Which call failed first, or whether one did, is not known"),
        (Known::Value(false), "The ceiling was not reached: the server holds all 8 connections"),
        (Known::Unknown(Why::AcceptsPassByWithRoom), "Where the server stops is not known"),
    ] {
        report.found.ceiling.reached = reached;
        let said = unwrapped(&explain::run(&report, &log, false, 100));
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn one_is_told_in_the_singular_and_two_in_the_plural() {
    let (plan, log) = log::told("spin");
    let mut report = Report::of(&plan, &log);
    // The same run, but each connection is handed to a child, and the limit is moved when clients leave.
    let left = |event: &event::Event| event.is == What::Phase(Phase::ReleaseSome);
    let at = log.events.iter().find(|event| left(event)).expect("a release").at - 1;
    let was = Limits { soft: 16, hard: 64 };
    let moved = [What::Phase(Phase::Moved), What::LimitMoved { pid: 100, soft: 64, hard: 64, was }];
    let events = log.events.iter().cloned().chain(moved.map(|is| event::Event { at, is }));
    let other = measure::measure(&plan, &Log::new(handed_over(events.collect())));
    (report.found.handed_over, report.found.moved) = (other.handed_over, other.moved);
    let mut told = |n: u64| {
        let handed = report.found.handed_over.as_mut().expect("handed over");
        (handed.connections, handed.processes) = (n, n);
        report.found.recovery.leaked = Known::Value(n as i64);
        let Known::Value(moved) = &mut report.found.moved else { panic!("it was moved") };
        moved[0].held = n;
        let Known::Value(queue) = &mut report.found.sockets.accept_queue else { panic!("it has a queue") };
        queue.overflows = Known::Value(n as u32);
        let page = lastfd::internal::report::terminal::render(std::slice::from_ref(&report), false, 100);
        unwrapped(&(page + &explain::run(&report, &log, false, 100)))
    };
    let (one, two) = (told(1), told(2));
    for (singular, plural) in [
        (
            "It handed 1 connection over to 1 other process and keeps no copy of it",
            "It handed 2 connections over to 2 other processes and keeps no copy of them",
        ),
        (
            "1 more descriptor than before the first client stays open",
            "2 more descriptors than before the first client stay open",
        ),
        ("while 1 connection was held", "while 2 connections were held"),
        ("dropped 1 packet of handshakes", "dropped 2 packets of handshakes"),
    ] {
        assert!(one.contains(singular) && !one.contains(plural), "{singular}: {one}");
        assert!(two.contains(plural) && !two.contains(singular), "{plural}: {two}");
    }
}

#[test]
fn explain_starts_nothing_and_needs_no_program_that_a_scenario_requires() {
    let called = lastfd(&["explain", "scenarios/websocket-1012", "--variant", "limit raised"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert!(unwrapped(&called.stdout).contains("4096 − 12 = 4084 remain"), "{called:?}");
    assert_eq!(lastfd(&["explain", "scenarios/websocket-1012", "--variant", "no such"]).code, Some(4));
    assert_eq!(lastfd(&["explain"]).code, Some(2));
    let folder = tempfile::tempdir().unwrap();
    let told = lastfd(&["explain", "--events", log::file(folder.path(), "spin").to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(unwrapped(&told.stdout).contains("The server was full at 8 connections"), "{told:?}");
    assert_eq!(lastfd(&["explain", "--events", "Cargo.toml"]).code, Some(3));
}

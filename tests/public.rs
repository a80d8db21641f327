//! What a program that links the library sees, and that it can be one: the names, their room to grow, and an
//! example that is run.

use crate::house::sources;
use lastfd::Options;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every name at the root of the crate. A new one is a promise: it stays, and keeps its meaning.
const NAMES: &[&str] = &[
    "AcceptPolicy",
    "Baseline",
    "Binds",
    "Ceiling",
    "ClientProgram",
    "Dialogue",
    "Event",
    "Exchange",
    "ExchangeStep",
    "ExpectedCeiling",
    "Find",
    "Findings",
    "FirstFailure",
    "InvalidScenario",
    "Isolation",
    "Kind",
    "Known",
    "KeepAlive",
    "Launcher",
    "Limits",
    "Log",
    "LogError",
    "Moment",
    "Observer",
    "OnConnection",
    "OneProgram",
    "Options",
    "Outcome",
    "Pace",
    "Plan",
    "Policy",
    "Prediction",
    "Problem",
    "Reason",
    "Recovery",
    "RecoveryVerdict",
    "Report",
    "Request",
    "Resource",
    "Run",
    "RunError",
    "ScenarioError",
    "ServerTest",
    "Setting",
    "Step",
    "Subject",
    "Tls",
    "UnknownName",
    "Verdict",
    "What",
    "Why",
    "Workload",
    "find",
    "helper",
    "html",
    "json",
    "judge",
    "junit",
    "markdown",
    "measure",
    "run",
    "scenario_tests",
    "text",
];

/// These have all the parts that there can be: two limits; a time, and what happened then; a value, or why
/// there is none.
const COMPLETE: [&str; 3] = ["Limits", "Event", "Known"];

/// What `lib.rs` re-exports: the room, the name there, and the name at the root.
fn exported() -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for list in library().split("pub use internal::").skip(1) {
        let (room, names) = list.split(';').next().unwrap_or_default().split_once("::").expect("a room");
        for name in names.split(['{', '}', ',']).map(str::trim).filter(|name| !name.is_empty()) {
            let path = name.split(" as ").next().unwrap_or_default();
            let shown = name.split(" as ").last().unwrap_or_default();
            let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
            all.push((room.to_owned(), last(path), last(shown)));
        }
    }
    all
}

fn library() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/lib.rs")).expect("lib.rs")
}

#[test]
fn the_names_at_the_root_are_those_that_were_decided_on() {
    let library = library();
    let own = library.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next());
    let names: BTreeSet<String> =
        exported().into_iter().map(|(_, _, name)| name).chain(own.map(str::to_owned)).collect();
    let decided: BTreeSet<String> = NAMES.iter().map(|name| name.to_string()).collect();
    assert_eq!(names, decided);
    assert_eq!(library.matches("pub use ").count(), library.matches("pub use internal::").count());
    let items =
        ["struct", "enum", "trait", "mod", "type", "const", "static"].map(|item| format!("\npub {item} "));
    let declared: Vec<_> = items.iter().filter(|item| library.contains(item.as_str())).collect();
    assert_eq!(declared, ["\npub mod "], "only the hidden rooms are declared here, all else is re-exported");
}

/// What is public of these names in the sources: functions with their signatures, fields and variants.
fn surface() -> String {
    let rooms = sources("harness");
    let mut all = BTreeSet::new();
    for (room, name, shown) in exported() {
        let mut of = |within: &dyn Fn(&Path) -> bool| {
            let mut found = false;
            for (_, text) in rooms.iter().filter(|(path, _)| within(path)) {
                of_name(text, &name, &mut |item| found |= all.insert(format!("{shown} {item}")));
            }
            found
        };
        // What a room re-exports from another is anywhere.
        if !of(&|path| path.components().any(|part| part.as_os_str() == room.as_str())) {
            of(&|_| true);
        }
    }
    all.into_iter().collect::<Vec<_>>().join("\n")
}

fn of_name(text: &str, name: &str, each: &mut dyn FnMut(String)) {
    let lines: Vec<&str> = text.lines().collect();
    let is = |head: &str| {
        let rest = head.strip_prefix(name).unwrap_or("?");
        !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '?')
    };
    for (at, line) in lines.iter().enumerate() {
        let head = line.trim_start();
        let indent = line.len() - head.len();
        let inside = || {
            let body = lines[at + 1..].iter();
            let body = body
                .take_while(move |line| line.trim().is_empty() || line.starts_with(&" ".repeat(indent + 1)));
            body.filter(move |line| line.len() - line.trim_start().len() == indent + 4)
                .map(|line| line.trim())
        };
        if head.strip_prefix("pub fn ").is_some_and(is) && indent == 0 {
            each(signature(&lines[at..]));
        } else if ["pub struct ", "pub enum "].iter().any(|kind| head.strip_prefix(kind).is_some_and(is)) {
            let fields = head.starts_with("pub struct");
            let shown =
                |line: &&str| line.starts_with("pub ") || !fields && line.starts_with(char::is_uppercase);
            inside()
                .filter(shown)
                .for_each(|line| each(format!("{{ {} }}", line.trim_end_matches([',', ' ', '{']))));
        } else if line.strip_prefix("impl ").is_some_and(is) && line.ends_with('{') && !line.contains(" for ")
        {
            for (below, line) in lines[at + 1..].iter().take_while(|line| **line != "}").enumerate() {
                if line.starts_with("    pub fn ") || line.starts_with("    pub const ") {
                    each(signature(&lines[at + 1 + below..]));
                }
            }
        }
    }
}

/// The first item's head, on one line.
fn signature(lines: &[&str]) -> String {
    let mut head = String::new();
    for line in lines {
        head += line.trim();
        head.push(' ');
        if line.ends_with(['{', ';', ',']) && head.matches('(').count() == head.matches(')').count() {
            break;
        }
    }
    head.split(" {").next().unwrap_or_default().trim().to_owned()
}

/// A change here is a change of what other programs may rely on. Bless it as other snapshots, and say it in
/// the changelog.
#[test]
fn the_surface_is_the_one_that_was_decided_on() {
    insta::assert_snapshot!(surface());
}

#[test]
fn every_public_type_may_grow() {
    let rooms = sources("harness");
    for (room, name, shown) in exported() {
        if COMPLETE.contains(&shown.as_str()) || name.starts_with(char::is_lowercase) {
            continue;
        }
        let definitions = |within: &dyn Fn(&Path) -> bool| {
            let mut found = Vec::new();
            for (_, text) in rooms.iter().filter(|(path, _)| within(path)) {
                let lines: Vec<&str> = text.lines().map(str::trim).collect();
                for (at, line) in lines.iter().enumerate() {
                    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
                    if words.next() == Some("pub")
                        && matches!(words.next(), Some("struct" | "enum"))
                        && words.next() == Some(&name)
                    {
                        let above = lines[..at]
                            .iter()
                            .rev()
                            .take_while(|line| !line.is_empty() && !line.ends_with('}'));
                        found.push(above.into_iter().any(|line| *line == "#[non_exhaustive]"));
                    }
                }
            }
            found
        };
        let mut found = definitions(&|path| path.components().any(|part| part.as_os_str() == room.as_str()));
        if found.is_empty() {
            // What a room re-exports from another.
            found = definitions(&|_| true);
        }
        assert!(!found.is_empty() && found.iter().all(|may| *may), "{shown} ({room}::{name}): {found:?}");
    }
}

#[test]
fn a_test_is_its_own_helper_though_its_main_is_not_its_own() {
    Options::new().expect("the library asked before main");
}

/// The example is everything here: it finds the ceiling, drives the clients, owns the processes, and serves.
#[test]
fn a_linking_program_finds_the_ceiling_that_the_server_counted_itself() {
    let own = std::env::current_exe().expect("own path");
    let example = own.parent().and_then(Path::parent).expect("target/PROFILE").join("examples/ceiling");
    assert!(example.exists(), "{}: `cargo build --example ceiling` builds it", example.display());
    let said = tempfile::NamedTempFile::new().expect("a file");
    let script = r#"exec "$0" lastfd-helper serve http --port "$1" > "$2""#;
    let found = Command::new(&example)
        .args(["sh", "-c", script])
        .arg(&example)
        .arg("{port}")
        .arg(said.path())
        .stdin(Stdio::null())
        .output()
        .expect("the example starts");
    let (shown, errors) = (String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
    assert!(found.status.success(), "{shown}{errors}");
    let said = std::fs::read_to_string(said.path()).expect("what the server said");
    let counts: serde_json::Value = said
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .unwrap_or_else(|| panic!("no counts: {said}"));
    let own = counts["lastfd_server"]["before_first_emfile"].as_u64().expect("a number");
    // One of those had come first of all, to ask whether it speaks HTTP, and had left.
    assert!(shown.ends_with(&format!("\nceiling: {}\n", own - 1)), "it counted {own}; {shown}{errors}");
}

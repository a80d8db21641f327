//! The house keeps its shape: imports point one way, `unsafe` stays in one place, what is registered is
//! documented and tried.

mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the house").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|e| e == "rs") => {
                    found.push((path.clone(), std::fs::read_to_string(path).expect("a source")))
                }
                _ => {}
            }
        }
    }
    found
}

/// Modules of the library that a module names by `crate::`.
fn imports(module: &str) -> BTreeSet<String> {
    let texts = sources(&format!("harness/{module}"));
    let word = |text: &str| {
        text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_string()
    };
    let names = texts.iter().flat_map(|(_, text)| {
        text.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split(';').next().unwrap_or_default().split(',').map(word).collect(),
            None => vec![word(rest)],
        })
    });
    names
        .filter(|name| !name.is_empty())
        .filter(|name| {
            name != module && Path::new(env!("CARGO_MANIFEST_DIR")).join("harness").join(name).is_dir()
        })
        .collect()
}

#[test]
fn imports_point_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("event", &[]),
        ("sys", &[]),
        ("limits", &["event", "sys"]),
        ("compare", &["event"]),
        ("scenario", &["compare", "event"]),
        ("launch", &["event", "scenario", "sys"]),
        ("drive", &["event", "scenario", "sys"]),
        ("observe", &["event", "sys"]),
        ("measure", &["event", "scenario"]),
        ("judge", &["event", "measure", "scenario"]),
        ("report", &["compare", "event", "judge", "measure", "scenario"]),
        ("parts", &["drive", "event", "launch", "observe", "run", "scenario", "sys"]),
        ("testing", &["event", "judge", "measure", "observe", "report", "run", "scenario", "sys"]),
        // `measure` for one thing: when the accept policy is plain, saturation need not be watched any
        // longer.
        ("run", &["compare", "drive", "event", "launch", "limits", "measure", "observe", "scenario", "sys"]),
    ];
    for (module, may) in allowed {
        let does = imports(module);
        let wrong: Vec<_> = does.iter().filter(|name| !may.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{module} imports {wrong:?}, and may only import {may:?}");
    }
}

/// Crates of the command line and of the terminal, and the rooms beside `cli` that use them.
const OF_THE_TERMINAL: [(&str, &[&str]); 6] = [
    ("clap", &[]),
    ("miette", &[]),
    ("indicatif", &[]),
    ("comfy_table", &["report"]),
    ("owo_colors", &["report"]),
    ("textwrap", &["report"]),
];

#[test]
fn crates_of_the_terminal_are_used_by_the_commands_only() {
    for (path, text) in sources("harness") {
        let path =
            path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/harness")).expect("of this folder");
        let room = path.components().next().expect("a file").as_os_str().to_str().expect("UTF-8");
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let paths: BTreeSet<&str> = code
            .split("::")
            .filter_map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next())
            .collect();
        for (name, others) in OF_THE_TERMINAL {
            let may = room == "cli" || others.contains(&room);
            assert!(may || !paths.contains(name), "{} uses {name}", path.display());
        }
    }
}

#[test]
fn unsafe_is_in_sys_only() {
    let unsafe_block = ["unsafe", " {"].concat();
    for folder in ["harness", "servers/src"] {
        for (path, text) in sources(folder) {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(&unsafe_block));
            assert!(!code || path.to_string_lossy().contains("harness/sys/"), "unsafe in {}", path.display());
        }
    }
}

#[test]
fn servers_never_depend_on_the_harness() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/servers/Cargo.toml"))
        .expect("the manifest");
    assert!(!manifest.contains("lastfd ="), "the servers' package must build without the harness");
}

#[test]
fn every_launcher_and_workload_has_a_scenario() {
    let plans: Vec<_> =
        lastfd::internal::scenario::discover(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")])
            .expect("scenarios")
            .iter()
            .flat_map(|file| lastfd::internal::scenario::load(file).expect("a valid scenario"))
            .collect();
    for launcher in lastfd::internal::launch::LAUNCHERS {
        let used = plans
            .iter()
            .flat_map(|p| p.processes.values())
            .any(|p| lastfd::internal::launch::registration(&p.launcher).name == launcher.name);
        assert!(used, "no scenario uses the launcher {}", launcher.name);
    }
    for kind in lastfd::internal::scenario::Dialogue::ALL {
        let name = kind.name();
        let used = plans.iter().flat_map(|p| p.workloads.values()).any(|w| w.kind == Some(*kind));
        assert!(used, "no scenario uses the workload {name}");
    }
}

#[test]
fn no_file_of_a_room_is_in_a_circle_with_another() {
    let all = sources("harness");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness");
    let files = circles::Files::new(&root, all.iter().map(|(path, text)| (path.as_path(), text.as_str())));
    let circles = files.circles();
    assert!(circles.is_empty(), "files that cannot be understood alone: {circles:#?}");
}

#[test]
fn circles_are_found_through_re_exports() {
    let sources = [
        ("h/a/mod.rs", "mod x;\nmod y;\npub use x::X;"),
        ("h/a/x.rs", "use super::y::Y;\npub struct X(Y);"),
        ("h/a/y.rs", "pub struct Y;\nfn of(x: &super::X) {}"),
        ("h/a/z.rs", "use super::{X, y::{self, Y}};"),
    ];
    let files =
        circles::Files::new(Path::new("h"), sources.iter().map(|(path, text)| (Path::new(path), *text)));
    assert_eq!(files.circles(), [BTreeSet::from(["a/x".to_owned(), "a/y".to_owned()])]);
}

/// A finding is a function from facts and findings to a value: nobody writes into what another one wrote.
#[test]
fn no_finding_writes_into_another() {
    for (path, text) in sources("harness/measure") {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/measure"));
        // An estimator is told of one try after the other, and changes only itself.
        if below.is_ok_and(|below| below.starts_with("model")) {
            continue;
        }
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        let taken = code.split("&mut ").zip(code.split("&mut ").skip(1));
        let wrong = taken.filter(|(before, after)| before.ends_with(": ") && !after.starts_with("Self"));
        assert_eq!(wrong.count(), 0, "{} takes `&mut` of something", path.display());
    }
}

/// Columns of a line at most, as in rustfmt.toml.
const WIDTH: usize = 110;

/// rustfmt wraps code, and neither comments (`ci/wrap-comments` does) nor what is in a macro.
#[test]
fn no_line_is_too_wide_but_for_strings() {
    let mut wide = Vec::new();
    for folder in ["harness", "servers", "tests", "benches", "examples"] {
        for (path, text) in sources(folder) {
            let mut raw = false;
            for (nth, line) in text.lines().enumerate() {
                let comment = !raw && line.trim_start().starts_with("//");
                // A word may be longer than a line: an address.
                let words = line.split_whitespace().skip(1).map(|word| word.chars().count());
                let breakable = words.max().is_some_and(|longest| longest + 8 < WIDTH);
                // One that goes on over several lines has them at the margin, where rustfmt keeps code short.
                let string = raw || line.contains('"') || line.ends_with('\\') || !line.starts_with(' ');
                if line.chars().count() > WIDTH && breakable && (comment || !string) {
                    wide.push(format!("{}:{}", path.display(), nth + 1));
                }
                // What a raw string contains is as wide as it is.
                raw = match (raw, line.contains("r#\""), line.contains("\"#")) {
                    (_, true, ends) => !ends,
                    (raw, false, ends) => raw && !ends,
                };
            }
        }
    }
    assert!(wide.is_empty(), "wider than {WIDTH} columns: {wide:#?}");
}

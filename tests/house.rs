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
    let word =
        |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    // The constructor's promise is no code that could break it.
    let may =
        |path: &Path| ["harness/sys/", "parts/entry.rs"].iter().any(|at| path.to_string_lossy().contains(at));
    for folder in ["harness", "servers/src"] {
        for (path, text) in sources(folder).into_iter().filter(|(path, _)| !may(path)) {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).any(word);
            assert!(!code, "unsafe in {}", path.display());
        }
    }
}

#[test]
fn nothing_below_the_log_reads_a_clock_starts_a_process_or_opens_a_file() {
    let effects = ["std::fs", "File::open", "Instant::now", "SystemTime", "clock::now", "Command::new"];
    for folder in ["harness/measure", "harness/judge", "harness/report"] {
        for (path, text) in sources(folder) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let found = effects.iter().find(|effect| code.contains(*effect));
            assert_eq!(found, None, "{}", path.display());
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

/// What a file of measure says beside its comments and its tests.
fn measure() -> Vec<(PathBuf, String)> {
    let all = sources("harness/measure");
    let tested = |text: &str| {
        let names = text.split("#[cfg(test)]\nmod ").skip(1);
        names.filter_map(|rest| rest.split_once(';').map(|(name, _)| name.to_owned())).collect::<Vec<_>>()
    };
    let of_tests: BTreeSet<PathBuf> = all
        .iter()
        .flat_map(|(path, text)| tested(text).into_iter().map(|name| path.with_file_name(name + ".rs")))
        .collect();
    let code = |text: &str| {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let own = all.into_iter().filter(|(path, _)| !of_tests.contains(path));
    own.map(|(path, text)| (path, code(&text))).collect()
}

/// Types that a text takes `&mut` of, wherever they stand in a type, but for `self` and `Self`: an estimator
/// that is told of one try after the other changes itself only.
fn written(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices('&') {
        // Returned by a method, it is a part of its own value.
        if code[..at].trim_end().ends_with("->") {
            continue;
        }
        let rest = code[at + 1..].trim_start();
        let rest = match rest.strip_prefix('\'') {
            Some(life) => life.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').trim_start(),
            None => rest,
        };
        let Some(of) = rest.strip_prefix("mut ").map(str::trim_start) else { continue };
        let path: &str = of.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap();
        let last = path.trim_end_matches(':').rsplit("::").next().unwrap_or_default();
        let simple = ["bool", "char", "str", "dyn", "impl", "usize", "isize"].contains(&last)
            || last.len() <= 4 && last.starts_with(['u', 'i', 'f']) && last[1..].parse::<u8>().is_ok();
        let names_type = simple || last.is_empty() || last.starts_with(char::is_uppercase);
        if names_type && last != "Self" {
            found.push(of.chars().take_while(|c| *c != '\n').take(40).collect());
        }
    }
    found
}

/// A finding is a function from facts and findings to a value: nobody writes into what another one wrote.
#[test]
fn no_finding_writes_into_another() {
    for (path, code) in measure() {
        let written = written(&code);
        assert!(written.is_empty(), "{} takes `&mut` of {written:?}", path.display());
    }
}

#[test]
fn what_is_written_into_is_found_wherever_it_stands_in_a_type() {
    let caught = [
        "fn f(to: &mut Findings)",
        "fn f(to: Option<&mut Findings>)",
        "fn f((a, b): (&mut Findings, u8))",
        "fn f<T>(to: &mut T)",
        "fn f(to: &'a mut super::Findings)",
        "fn f(to: &mut [u8])",
        "fn f(to: &mut (u8, u8))",
        "fn f(to: &mut u64)",
        "fn f(to: &mut dyn FnMut(u8))",
        "struct S<'a> { to: &'a mut Vec<u8> }",
    ];
    assert_eq!(caught.map(|code| written(code).len()), [1; 10]);
    let may = ["fn f(&mut self) -> &mut Table", "fn f(&'a mut self)", "|m: &mut Self| m.n", "h(&mut one[i])"];
    assert_eq!(may.map(|code| written(code).len()), [0; 4]);
}

/// Text is compared where it is read from outside only: a value that is known by its text has a type, whose
/// file in `event` knows that text.
#[test]
fn no_finding_compares_text() {
    let calls = ["starts_with", "ends_with", "contains", "strip_prefix", "strip_suffix", "split_once"];
    let calls = calls.map(|call| format!(".{call}(\""));
    let wrong = |line: &str| {
        let arm = line.contains("\" =>") || line.contains("\" |") || line.contains("| \"");
        arm || line.contains("== \"")
            || line.contains("!= \"")
            || calls.iter().any(|call| line.contains(call))
    };
    let mut found = Vec::new();
    for (path, code) in measure() {
        found.extend(
            code.lines().filter(|line| wrong(line)).map(|line| format!("{}: {line}", path.display())),
        );
    }
    assert!(found.is_empty(), "text is compared: {found:#?}");
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

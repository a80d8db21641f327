//! The documentation is true: links lead somewhere, commands and scenarios run, what is shown is what is
//! printed, and what is registered in the code is named. The pages that are made from the code are as the
//! code makes them.

mod pages;
mod site;

use crate::house::sources;
use crate::incidents;
use crate::support::Called;
use clap::{CommandFactory, Parser};
use lastfd::internal::{cli, launch, scenario};
use pages::{Block, Page, root};
use site::Site;
use std::collections::BTreeSet;
use std::path::Path;

/// One test for each page: they run at the same time.
macro_rules! pages {
    ($($name:ident = $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];
        $(
            #[test]
            fn $name() {
                run($path);
            }
        )*
    };
}

pages! {
    the_readme_runs = "README.md",
    the_index_runs = "docs/README.md",
    the_gallery_runs = "docs/gallery.md",
    the_glossary_runs = "docs/glossary.md",
    calls_and_clients_run = "docs/guides/calls-and-clients.md",
    in_your_ci_runs = "docs/guides/in-your-ci.md",
    comparing_runs = "docs/guides/compare.md",
    find_a_ceiling_runs = "docs/guides/find-a-ceiling.md",
    speaking_a_protocol_runs = "docs/guides/speak-a-protocol.md",
    a_page_with_pictures_runs = "docs/guides/html-report.md",
    the_incidents_run = "docs/guides/incidents.md",
    kernel_settings_run = "docs/guides/kernel-settings.md",
    a_live_process_runs = "docs/guides/live-process.md",
    moved_limits_run = "docs/guides/moved-limits.md",
    recovery_runs = "docs/guides/recovery.md",
    a_rust_server_s_own_test_runs = "docs/guides/test-in-rust.md",
    a_regression_suite_runs = "docs/guides/regression-suite-in-ci.md",
    how_it_knows_runs = "docs/how-it-knows.md",
    bundled_servers_run = "docs/reference/bundled-servers-and-policies.md",
    the_command_line_runs = "docs/reference/command-line.md",
    exit_codes_run = "docs/reference/exit-codes.md",
    launchers_run = "docs/reference/launchers.md",
    the_report_runs = "docs/reference/report.md",
    the_scenario_file_runs = "docs/reference/scenario.md",
    workloads_run = "docs/reference/workloads.md",
    the_page_of_leaked_bodies_runs = "scenarios/grpc-leaked-bodies/README.md",
    the_page_of_the_long_connection_runs = "scenarios/long-connection/README.md",
    the_page_of_the_outbound_service_runs = "scenarios/outbound-time-wait/README.md",
    the_page_of_the_statistics_logger_runs = "scenarios/statistics-logger/README.md",
    the_page_of_the_websocket_server_runs = "scenarios/websocket-1012/README.md",
}

/// Pages that are made from the code.
const MADE: [&str; 2] = ["docs/reference/command-line.md", "docs/reference/scenario.md"];

#[test]
fn every_page_has_its_test() {
    let there: BTreeSet<String> = pages::all().iter().map(|page| page.path.display().to_string()).collect();
    assert_eq!(there, PAGES.iter().map(|path| path.to_string()).collect());
}

/// Whether an example has this text, but for the reader's own program.
fn is_compiled(text: &str) -> bool {
    let text = text.replace(r#"[env!("CARGO_BIN_EXE_server"), "--port", "{port}"]"#, "SERVER");
    sources("examples").iter().any(|(_, example)| example.contains(text.trim()))
}

/// Runs a page from top to bottom in a folder of its own.
fn run(path: &str) {
    let page = pages::page(Path::new(path));
    let blocks = page.blocks();
    let mut site = Site::new();
    let scenarios: Vec<(String, &Block)> = scenarios(&blocks);
    for (name, block) in &scenarios {
        let file = site.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a new folder");
        std::fs::write(file, &block.text).expect("written");
    }
    let (mut last, mut lines) = (None, Vec::new());
    for block in &blocks {
        match block.language.as_str() {
            "sh" => {
                for line in commands(block) {
                    last = called(&mut site, &line);
                    last.iter().for_each(|called| assert_ended(&line, called));
                    lines.push(line.text);
                }
            }
            // What the command before it prints. The tables and excerpts of an incident's page have a test of
            // their own.
            "text" if !path.starts_with("scenarios") && !MADE.contains(&path) => {
                assert!(!lines.is_empty(), "{path} shows what nothing has printed");
                last.iter().for_each(|called| _ = incidents::shown(&block.text, &called.stdout));
            }
            "text" | "toml" => {}
            "rust" => {
                assert!(is_compiled(&block.text), "{path} has Rust that no example has: {}", block.text)
            }
            "yaml" => {}
            other => panic!("{path} has a block of {other:?}, which nobody checks"),
        }
    }
    // A scenario that no command of the page has run.
    for (name, _) in scenarios.iter().filter(|(name, _)| !lines.iter().any(|line| runs(line, name))) {
        let line = Line { text: format!("lastfd run {name}"), code: 0 };
        assert_ended(&line, &called(&mut site, &line).expect("it needs nothing"));
    }
}

/// The scenarios of a page, with the names of their files: as the line before the block has it, such as
/// `scenarios/api.scenario.toml`.
fn scenarios(blocks: &[Block]) -> Vec<(String, &Block)> {
    let named = |block: &Block| {
        let words = block.before.split('`').skip(1).step_by(2);
        words.filter(|word| word.ends_with(".scenario.toml")).last().map(str::to_owned)
    };
    let of_cargo = |block: &&Block| block.before.contains("`Cargo.toml`");
    let toml = blocks.iter().filter(|block| block.language == "toml" && !of_cargo(block)).enumerate();
    toml.map(|(i, block)| (named(block).unwrap_or_else(|| format!("{i}.scenario.toml")), block)).collect()
}

/// Whether a line runs all of the scenario of this file.
fn runs(line: &str, file: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let folder = file.split('/').next().unwrap_or_default();
    let all = !["--dry-run", "--variant", "--filter", "--partition"].iter().any(|part| words.contains(part));
    line.starts_with("lastfd run ") && all && words.iter().any(|word| *word == file || *word == folder)
}

/// A line of a block of commands, and the exit code that it is to have.
struct Line {
    text: String,
    code: i32,
}

/// The lines of a block. `# exit code 5` at the end of one says what it ends with, where that is not 0.
fn commands(block: &Block) -> Vec<Line> {
    let whole = block.text.replace("\\\n", " ");
    let lines = whole.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (text, comment) = line.split_once(" #").unwrap_or((line, ""));
            let code =
                comment.split("exit code ").nth(1).map_or(0, |code| code.trim().parse().expect("a code"));
            Line { text: text.trim().to_owned(), code }
        })
        .collect()
}

/// A run whose server had to wait for a processor allows no conclusion: it is made so often.
const TRIES: usize = 3;

fn called(site: &mut Site, line: &Line) -> Option<Called> {
    let starved = |called: &Called| called.code == Some(5) && called.stdout.contains(" for a processor");
    let mut last = site.run(&line.text);
    for _ in 1..TRIES {
        if line.code == 0 && last.as_ref().is_some_and(starved) {
            eprintln!("once more, as this machine was busy: `{}`", line.text);
            last = site.run(&line.text);
        }
    }
    last
}

/// As the page says; where this user may not do all of it, it is inconclusive.
fn assert_ended(line: &Line, called: &Called) {
    if called.code == Some(5) && !rustix::process::geteuid().is_root() {
        eprintln!("skipped in part: this user may not do all of `{}`", line.text);
        return;
    }
    let Called { code, stdout, stderr } = called;
    assert_eq!(*code, Some(line.code), "`{}` prints:\n{stdout}\n{stderr}", line.text);
    // Nor is what was skipped, or was not judged, an example of anything.
    if line.code == 0 && line.text.starts_with("lastfd run ") && !line.text.contains("--dry-run") {
        assert!(stdout.contains("✓"), "`{}` prints:\n{stdout}\n{stderr}", line.text);
    }
}

#[test]
fn every_command_of_the_documentation_is_one_that_parses() {
    let help = cli::Cli::command().render_long_help().to_string();
    let examples = help.lines().map(str::trim).filter(|line| line.starts_with("lastfd "));
    let mut all: Vec<String> =
        examples.map(|line| line.split("   ").next().unwrap_or_default().to_owned()).collect();
    assert!(all.len() > 3, "{all:?}");
    for page in pages::all() {
        let blocks = page.blocks();
        let lines = blocks.iter().filter(|block| block.language == "sh").flat_map(commands);
        all.extend(lines.map(|line| line.text.replace("cargo run --release -- ", "lastfd ")));
    }
    for line in all.iter().filter(|line| line.starts_with("lastfd ")) {
        let words = shell_words::split(line).unwrap_or_else(|e| panic!("`{line}`: {e}"));
        if let Err(error) = cli::Cli::try_parse_from(&words) {
            panic!("`{line}` does not parse: {error}");
        }
    }
}

#[test]
fn every_link_inside_the_documentation_leads_somewhere() {
    for page in pages::with_links() {
        let folder = page.path.parent().unwrap_or(Path::new(""));
        for link in page.links() {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
            assert!(root().join(&path).exists(), "{}: {link} is not there", page.path.display());
            if let Some(anchor) = anchor {
                let anchors = pages::page(&path).anchors();
                assert!(
                    anchors.iter().any(|a| a == anchor),
                    "{}: no heading for {link}",
                    page.path.display()
                );
            }
        }
    }
}

/// Compares what is made from the code; `LASTFD_BLESS=1` writes it.
fn made(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var("LASTFD_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&file, text).expect("written");
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == text,
        "{path} is not as the code makes it: run the tests with LASTFD_BLESS=1, and read the diff"
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    made("scenarios/schema.json", &cli::schema::text());
}

#[test]
fn the_reference_of_scenario_files_is_made_from_the_schema() {
    made(MADE[1], &scenario::reference(&scenario::schema()));
}

#[test]
fn the_reference_of_the_command_line_is_what_help_says() {
    let mut root = cli::Cli::command().term_width(100);
    root.build();
    let visible =
        root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let names: Vec<String> = visible.map(|command| command.get_name().to_owned()).collect();
    let mut text = String::from(
        "# Command line\n\n<!-- Made from `--help` by the tests, with LASTFD_BLESS=1. Edit harness/cli, not this page. -->\n\n\
         `lastfd COMMAND --help` prints the same. The exit codes are on [a page of their own](exit-codes.md).\n",
    );
    let mut add = |title: &str, help: String| {
        let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        text += &format!("\n## {title}\n\n```text\n{}\n```\n", help.trim());
    };
    add("lastfd", root.render_long_help().to_string());
    for name in names {
        let command = root.find_subcommand_mut(&name).expect("it was listed");
        add(&format!("lastfd {name}"), command.render_long_help().to_string());
        let below: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
        for below in below.iter().filter(|below| *below != "help") {
            let help = command.find_subcommand_mut(below).expect("it was listed").render_long_help();
            add(&format!("lastfd {name} {below}"), help.to_string());
        }
    }
    made(MADE[0], &text);
}

/// Whether a page has this word as code, in quotes or not.
fn names(page: &Page, word: &str) -> bool {
    [format!("`{word}`"), format!("`\"{word}\"`")].iter().any(|code| page.text.contains(code))
}

#[test]
fn what_is_registered_in_the_code_is_named_in_the_reference() {
    let words = |schema: &str| {
        let schema = scenario::schema()["$defs"][schema].clone();
        let of = |choice: &serde_json::Value| {
            let table = choice["properties"].as_object().and_then(|keys| keys.keys().next().cloned());
            choice["const"].as_str().map(str::to_owned).or(table).expect("a word")
        };
        schema["oneOf"].as_array().expect("a choice").iter().map(of).collect::<Vec<String>>()
    };
    let all = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let launchers = launch::LAUNCHERS.iter().map(|launcher| launcher.name.to_owned()).collect();
    let expected: [(&str, Vec<String>); 8] = [
        ("docs/reference/launchers.md", launchers),
        ("docs/reference/workloads.md", words("Workload")),
        ("docs/reference/bundled-servers-and-policies.md", words("Serve")),
        ("docs/reference/bundled-servers-and-policies.md", all(&scenario::ACCEPT_POLICIES)),
        ("docs/reference/bundled-servers-and-policies.md", words("Policy")),
        ("docs/reference/report.md", words("Verdict")),
        ("docs/reference/report.md", words("Outcome")),
        ("docs/guides/recovery.md", words("Verdict")),
    ];
    for (path, words) in expected {
        let page = pages::page(Path::new(path));
        assert!(!words.is_empty(), "nothing to look for in {path}");
        for word in words {
            assert!(names(&page, &word), "{path} does not name {word}");
        }
    }
}

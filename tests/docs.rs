//! Every example of the documentation: parsed as the command would, and run where it needs nothing but this repository.

use crate::support::lastfd;
use clap::{CommandFactory, Parser};
use lastfd::internal::cli::Cli;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    text.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")).map(str::to_string))
        .collect()
}

/// Lines that call the command, without their comments.
fn calls(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim().replace("cargo run --release -- ", "lastfd "));
    lines
        .filter(|line| line.starts_with("lastfd "))
        .map(|line| line.split("   ").next().unwrap_or_default().to_string())
        .collect()
}

#[test]
fn every_command_of_the_documentation_is_one_that_parses() {
    let help = Cli::command().render_long_help().to_string();
    let all: Vec<String> =
        blocks("sh").iter().map(String::as_str).chain([help.as_str()]).flat_map(calls).collect();
    assert!(all.len() >= 10, "{all:?}");
    for line in all {
        let words = shell_words::split(line.split(" #").next().unwrap_or_default()).expect("words");
        if let Err(error) = Cli::try_parse_from(&words) {
            panic!("`{line}` does not parse: {error}");
        }
    }
}

#[test]
fn the_readmes_scenario_is_one_that_loads() {
    for block in blocks("toml") {
        let plans =
            lastfd::internal::scenario::parse(&block, "README.md", "readme", std::path::Path::new("."))
                .expect("a scenario");
        assert!(plans.len() > 1, "a scenario and its variant");
    }
}

#[test]
fn the_readmes_scenario_with_sysctls_is_one_that_is_met() {
    let block = blocks("toml").into_iter().find(|block| block.contains("sysctls")).expect("the README's");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.scenario.toml");
    std::fs::write(&file, block).expect("written");
    let called = lastfd(&["run", file.to_str().expect("UTF-8")]);
    assert_eq!(called.code, Some(0), "{called:?}");
    let said = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "net.ipv4.tcp_tw_reuse = 1, by default",
        "for the whole run; the host's were not touched.",
        "ESTABLISHED, 0 CLOSE_WAIT held by it",
        " of 129.",
    ] {
        assert!(said.contains(words), "{words:?} is not in {}", called.stdout);
    }
}

#[test]
fn the_readmes_first_command_shows_what_the_readme_shows() {
    let called = lastfd(&["run", "@websocket-1012"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    // Numbers that are of the machine differ; these lines are the same everywhere.
    let said = [
        "predicted before the first client: 1024 − 12 = 1012",
        "✓ met  websocket-1012",
        "1024:1024 soft:hard in force in the process that accepts",
        "Predicted     1024 − 12 = 1012 connections",
        "1012 accepted, then accept4 → EMFILE",
        "[spin]",
        "Nothing leaked",
    ];
    let readme = readme();
    for line in said {
        assert!(called.stdout.contains(line), "{line:?} is not in {}", called.stdout);
        assert!(readme.contains(line), "{line:?} is not in the README");
    }
}

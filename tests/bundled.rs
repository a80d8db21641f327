//! The scenarios in the binary, from a folder that holds nothing: as after `cargo install`.

use crate::support::{Called, LASTFD, called};
use std::path::Path;
use std::process::Command;

fn here(folder: &Path, args: &[&str]) -> Called {
    called(Command::new(LASTFD).args(args).current_dir(folder))
}

#[test]
fn bundled_scenarios_run_where_there_is_no_folder_of_them() {
    let empty = tempfile::tempdir().expect("a folder");
    let run = here(empty.path(), &["run", "--json", "-", "@workloads/tcp"]);
    assert_eq!((run.code, run.run()["scenario"].as_str()), (Some(0), Some("workloads/tcp")), "{run:?}");
    let dry = here(empty.path(), &["run", "--dry-run", "@policies"]);
    assert!(dry.stdout.contains("policies/spin:") && dry.stdout.contains("policies/dead:"), "{dry:?}");
    let check = here(empty.path(), &["check", "@"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check.stdout.contains(" websocket-1012\n") && check.stdout.contains("grpc-leaked-bodies/service")
    );
    let explain = here(empty.path(), &["explain", "@websocket-1012", "--variant", "base"]);
    assert!(explain.code == Some(0) && explain.stdout.contains("1024 − 12 = 1012"), "{explain:?}");
    let list = here(empty.path(), &["list"]);
    assert!(list.code == Some(0) && list.stdout.contains("    @websocket-1012: "), "{list:?}");
    let variants = here(empty.path(), &["list", "@websocket-1012"]);
    assert!(
        variants.stdout.starts_with("@websocket-1012: ") && variants.stdout.contains("\n    limit raised")
    );
    assert_eq!(std::fs::read_dir(empty.path()).expect("the folder").count(), 0, "nothing was written");
}

#[test]
fn where_there_is_no_scenario_it_is_said_what_to_do() {
    let empty = tempfile::tempdir().expect("a folder");
    for (args, words) in [
        (&["run"][..], "`lastfd run @`"),
        (&["check"], "`lastfd run @`"),
        (&["run", "@websoket-1012"], "did you mean @websocket-1012"),
        (&["run", "."], "`lastfd init --example`"),
        (&["init", "--example", "grpc-leaked-bodies"], "choose one of @grpc-leaked-bodies/calls, @grpc"),
        (&["init", "--example", "no-such-thing"], "`lastfd list @`"),
    ] {
        let told = here(empty.path(), args);
        assert!(told.code == Some(4) && told.stderr.contains(words), "{args:?}: {told:?}");
    }
    let bare = here(empty.path(), &["init"]);
    assert!(bare.code == Some(2) && bare.stderr.contains("`--example`"), "{bare:?}");
}

#[test]
fn an_example_to_start_from_is_written_once_and_is_what_was_bundled() {
    let empty = tempfile::tempdir().expect("a folder");
    let wrote = here(empty.path(), &["init", "--example"]);
    assert_eq!(wrote.code, Some(0), "{wrote:?}");
    let file = empty.path().join("websocket-1012.scenario.toml");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let original = include_str!("../scenarios/websocket-1012/scenario.toml");
    assert!(original.ends_with(&text) && !text.contains("#:schema"), "but for the schema beside it: {text}");
    let listed = here(empty.path(), &["check", "websocket-1012.scenario.toml"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");

    std::fs::write(&file, "mine").expect("written");
    let again = here(empty.path(), &["init", "--example"]);
    assert!(again.code == Some(2) && again.stderr.contains("not overwritten"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "mine");
    let named = here(empty.path(), &["init", "--example", "@policies/spin", "mine.toml"]);
    assert!(named.code == Some(0) && empty.path().join("mine.toml").is_file(), "{named:?}");
    let shown = here(empty.path(), &["init", "--example", "workloads/tcp", "-"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("claim = "), "{shown:?}");
}

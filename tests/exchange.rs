//! Clients that speak a protocol of the user's: steps on the command line and in a scenario, TLS, and what is
//! wrong with them.

use crate::support::{Called, LASTFD, find, lastfd};

const MAIL: [&str; 5] = [LASTFD, "serve", "mail", "--port", "{port}"];
const TLS: [&str; 4] = ["--certificate", "{certificate}", "--key", "{key}"];

/// `lastfd find` on the bundled mail server, with these steps.
fn mail(steps: &[&str]) -> Called {
    find(&[&["--nofile", "48"], steps].concat(), &MAIL)
}

#[test]
fn clients_that_read_a_banner_and_ask_are_served() {
    let run = mail(&["--expect", "^220", "--send", r"HELO x\r\n", "--expect", "^250"]).run();
    let ceiling = &run["ceiling"];
    assert_eq!(ceiling["accepted"], run["witnesses"][0]["ceiling"], "{run:#}");
    assert_eq!(ceiling["served"], ceiling["accepted"], "{run:#}");
    assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
}

#[test]
fn without_a_mark_held_clients_are_not_asked_again() {
    let run = mail(&["--expect", "^220"]).run();
    assert_eq!(run["ceiling"]["served"], run["ceiling"]["accepted"], "{run:#}");
    assert_eq!(run["saturation"]["clients"]["held"]["probed"], 0, "{run:#}");
}

#[test]
fn an_expectation_that_never_matches_names_the_bytes_that_came() {
    let called = mail(&["--expect", "^SSH"]);
    assert_eq!(called.code, Some(5), "{}", called.stderr);
    assert!(
        called.stdout.contains("220 lastfd.example ESMTP where `^SSH` was expected"),
        "{}",
        called.stdout
    );
}

#[test]
fn steps_that_are_no_dialogue_are_refused_before_anything_starts() {
    for (steps, what) in [
        (["--send", "x"].as_slice(), "--send needs an --expect after it"),
        (&["--expect", "("], "--expect '(': this pattern does not compile: unclosed group"),
        (&["--send", r"\q", "--expect", "x"], r"--send '\q': `\q` is no escape"),
        (&["--workload", "exchange"], "--workload exchange has no steps"),
        (&["--workload", "tcp", "--expect", "x"], "leave out --workload tcp"),
    ] {
        let called = mail(steps);
        assert_eq!(called.code, Some(2), "{steps:?}: {}", called.stderr);
        assert!(called.stderr.contains(what), "{steps:?}: {}", called.stderr);
    }
}

#[test]
fn a_port_that_speaks_tls_only_is_recognised() {
    for (kind, says, served) in [
        ("http", "The server speaks TLS only, so the clients send HTTP over TLS.", true),
        ("mail", "The server speaks TLS and keeps no HTTP connection over it", false),
    ] {
        let command = [&[LASTFD, "serve", kind, "--tls-port", "{port}"], TLS.as_slice()].concat();
        let called = lastfd(&[&["find", "--nofile", "48", "--"], command.as_slice()].concat());
        let words = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(says), "{}", called.stdout);
        assert_eq!(words.contains("answered and held"), served, "{}", called.stdout);
    }
}

#[test]
fn a_server_without_tls_is_quoted_where_clients_speak_it() {
    let called = mail(&["--tls", "--expect", "^220"]);
    assert_eq!(called.code, Some(5), "{}", called.stderr);
    assert!(called.stdout.contains("no TLS: 220 lastfd.example ESMTP"), "{}", called.stdout);
}

#[test]
fn a_scenario_points_at_the_step_that_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.scenario.toml");
    for (step, what) in [
        ("{ read = \"(\" }", "this pattern does not compile: unclosed group"),
        ("{ send-hex = \"1\" }", "bytes in hexadecimal have two digits each"),
        ("{ pause = \"soon\" }", "a pause is a time up to an hour"),
        ("{ read-bytes = 0 }", "from 1 to 65536 bytes can be read"),
    ] {
        let text = format!(
            "claim = \"x\"\n[processes.server]\nserve.mail = {{}}\nlimits = {{ soft = 64, hard = 64 }}\n[workloads.flood.exchange]\nsteps = [\n\
             {{ read = \"^220\" }},\n{step},\n]\n"
        );
        std::fs::write(&file, text).expect("written");
        let called = lastfd(&["check", file.to_str().expect("UTF-8")]);
        assert_eq!(called.code, Some(3), "{step}: {}", called.stderr);
        assert!(called.stderr.contains(what) && called.stderr.contains(":8:"), "{step}: {}", called.stderr);
    }
}

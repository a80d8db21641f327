//! `find --calls`: what a request leaves open, long before the limit is reached, and what is no leak.

use crate::support::{Called, LASTFD, find, subject};
use serde_json::Value;

/// `lastfd find --calls` on a server that keeps files.
fn calls(options: &[&str]) -> Called {
    let command = subject("keeps_files");
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    find(&[&["--nofile", "512"], options].concat(), &words)
}

/// The only leak of a run.
fn leak(run: &Value) -> &Value {
    let leaks = run["leaks"].as_array().expect("leaks");
    assert_eq!(leaks.len(), 1, "{run:#}");
    &leaks[0]
}

#[test]
fn a_file_for_each_request_is_found_and_named_before_the_limit_is_reached() {
    for (options, file) in [
        (&["--calls", "100", "--method", "HEAD"][..], "/etc/passwd"),
        (&["--calls", "--conditional"], "/etc/hostname"),
    ] {
        let run = calls(options).run();
        assert_eq!(run["ceiling"]["reached"], false, "{run:#}");
        let leak = leak(&run);
        assert_eq!(
            (&leak["per"], &leak["kind"], &leak["detail"]),
            (&"call".into(), &"file".into(), &file.into())
        );
        assert_eq!(leak["slope"], 1.0, "{run:#}");
        assert_eq!(run["recovery"]["verdict"], "leaking", "{run:#}");
    }
}

#[test]
fn a_pool_that_fills_is_no_leak() {
    let run = calls(&["--calls", "--path", "/pool"]).run();
    assert_eq!(run["recovery"]["opened_once"], 50, "{run:#}");
    assert_eq!((&run["recovery"]["leaked"], &run["leaks"]), (&0.into(), &Value::Null), "{run:#}");
}

#[test]
fn requests_that_leave_nothing_open_have_no_ceiling() {
    let run = calls(&["--calls", "50"]).run();
    assert_eq!(
        (&run["ceiling"]["reached"], &run["recovery"]["leaked"]),
        (&false.into(), &0.into()),
        "{run:#}"
    );
    assert!(run["prediction"]["ceiling"].is_null(), "{run:#}");
}

#[test]
fn at_the_limit_the_leak_is_named_too() {
    let command = subject("keeps_files");
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let run = find(&["--nofile", "48", "--calls", "--method", "HEAD"], &words).run();
    assert_eq!(leak(&run)["detail"], "/etc/passwd", "{run:#}");
    assert_eq!(run["ceiling"]["kind"], "emfile", "{run:#}");
}

#[test]
fn options_of_requests_are_checked_before_anything_starts() {
    for (options, what) in [
        (&["--method", "HEAD"][..], "--calls"),
        (&["--calls", "--method", "A B"], "a method is one word"),
        (&["--calls", "--header", "x"], "a header is NAME: VALUE"),
        (&["--calls", "--header", "a: 1", "--header", "A: 2"], "each --header needs a name of its own"),
        (&["--calls", "--leave", "late"], "mid-body"),
        (&["--rate", "10/s"], "--calls"),
        (&["--calls", "--rate", "0/s"], "a rate is calls a second"),
        (&["--calls", "--rate", "fast"], "a rate is calls a second"),
        (&["--calls", "--rate", "10/s", "--arrivals", "late"], "poisson"),
        (&["--calls", "--rate", "10/s", "--seed", "1"], "--seed is of --arrivals poisson"),
        (&["--calls", "--duration", "0s"], "no call is made in no time"),
        (&["--rate", "10/s", "--calls", "--workload", "tcp"], "--workload"),
    ] {
        let called = calls(options);
        assert_eq!(called.code, Some(2), "{options:?}: {}", called.stderr);
        assert!(called.stderr.contains(what), "{options:?}: {}", called.stderr);
    }
}

/// The calls of a bundled server that listens so.
fn called(listens: &[&str], options: &[&str]) -> Value {
    let command = [&[LASTFD, "serve", "http"], listens].concat();
    let run = find(&[&["--nofile", "128", "--calls", "40"], options].concat(), &command).run();
    run["calls"][0].clone()
}

const TLS: [&str; 6] = ["--tls-port", "{port}", "--certificate", "{certificate}", "--key", "{key}"];

#[test]
fn calls_find_out_that_a_port_speaks_tls_only() {
    for options in [&[][..], &["--tls"], &["--rate", "400/s"]] {
        let calls = called(&TLS, options);
        assert_eq!((&calls["completed"], &calls["handshakes"]), (&40.into(), &40.into()), "{calls:#}");
        assert_eq!(calls["started"], 40, "{calls:#}");
    }
    let plain = called(&["--port", "{port}"], &[]);
    assert_eq!((&plain["completed"], &plain["handshakes"]), (&40.into(), &0.into()), "{plain:#}");
}

#[test]
fn handshakes_take_up_an_earlier_session_where_that_is_asked_for_and_offered() {
    let resumes = [&TLS[..], &["--resumption"]].concat();
    for (listens, options, resumed) in
        [(&resumes, &["--resumption"][..], 39), (&resumes, &[], 0), (&TLS.to_vec(), &["--resumption"], 0)]
    {
        let calls = called(listens, options);
        assert_eq!((&calls["handshakes"], &calls["resumed"]), (&40.into(), &resumed.into()), "{calls:#}");
    }
}

#[test]
fn calls_go_over_a_unix_socket_and_share_connections_as_over_a_port() {
    for options in [&[][..], &["--http2"]] {
        let calls = called(&["--unix", "{scratch}/s"], options);
        let connections = if options.is_empty() { 40 } else { 1 };
        assert_eq!(calls["completed"], 40, "{calls:#}");
        assert_eq!(calls["connections"], connections, "{calls:#}");
    }
    let over_tls = called(&TLS, &["--http2", "--concurrency", "10", "--streams", "5"]);
    assert_eq!((&over_tls["completed"], &over_tls["handshakes"]), (&40.into(), &2.into()), "{over_tls:#}");
}

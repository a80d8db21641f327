//! Subjects that nobody connects to: clients, whose own calls run into their limit.

use crate::support::{Called, find, lastfd, subject};

/// Runs a scenario whose subject is a client of a bundled server, `api`.
fn client(caller: &str, more: &str) -> Called {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("client.scenario.toml");
    let text = format!(
        "claim = \"a client leaks\"\nsubject = \"caller\"\n[processes.api]\nserve.http = {{}}\nlimits = {{ soft = 2048, hard = 2048 }}\n\
         [processes.caller]\nlimits = {{ soft = 64, hard = 64 }}\n{caller}\n{more}\n"
    );
    std::fs::write(&file, text).expect("written");
    lastfd(&["run", "--json", "-", file.to_str().expect("UTF-8")])
}

/// A program of our own that knows nothing of lastfd, with these keys beside it.
fn unmodified(keys: &str, env: &str) -> Called {
    let command = format!(
        "command = {:?}\n{keys}\n[processes.caller.env]\nLASTFD_TEST_PORT = \"{{api.port}}\"\n{env}",
        subject("leaks_connections")
    );
    client(&command, "")
}

/// What the program said that it holds: a witness of its own.
fn said(run: &serde_json::Value) -> u64 {
    let lines =
        run["saturation"]["log_sample"].as_array().expect("lines").iter().filter_map(|line| line.as_str());
    lines
        .filter_map(|line| line.split("holds ").nth(1))
        .next_back()
        .unwrap_or_else(|| panic!("it says so: {run:#}"))
        .parse()
        .expect("a number")
}

#[test]
fn a_client_that_waits_for_a_signal_is_counted_at_rest_and_stops_where_predicted() {
    let run = unmodified("begin = \"USR1\"", "LASTFD_TEST_WAITS = \"1\"").run();
    let first = &run["ceiling"]["first_failure"];
    assert_eq!((&first["call"], &first["errno"]), (&"socket".into(), &"EMFILE".into()), "{run:#}");
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    assert_eq!((run["prediction"]["ceiling"].as_u64(), said(&run)), (Some(64 - rest), 64 - rest), "{run:#}");
}

#[test]
fn a_client_that_calls_at_once_has_no_baseline_and_says_why() {
    let run = unmodified("", "").run();
    assert_eq!(run["ceiling"]["first_failure"]["call"], "socket", "{run:#}");
    assert!(run["baseline"]["descriptors"].is_null() && run["prediction"]["ceiling"].is_null(), "{run:#}");
    assert_eq!(run["limits"]["effective"]["soft"], 64, "{run:#}");
    assert!(said(&run) > 40, "{run:#}");
}

#[test]
fn beside_the_bundled_caller_other_workloads_are_driven_too() {
    let workloads = "[workloads.calls]\nhttp-leak-body = { to = \"api\", calls = 100 }\n[workloads.flood]\nhttp-idle = { to = \"api\", clients = 40 }";
    let called = client("call = \"calls\"", workloads);
    let run = called.run();
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(run["ceiling"]["connected"], 40, "{run:#}");
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    assert_eq!(run["ceiling"]["calls"].as_u64(), Some(64 - rest), "{run:#}");
}

/// It is still at work when the first probe's time is over: asked again, it is an HTTP server.
#[test]
fn a_server_whose_first_request_is_slow_speaks_http_all_the_same() {
    let words = subject("loads_for_its_first_request");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = find(&["--nofile", "32"], &words).run();
    assert_eq!(run["ceiling"]["served"], run["ceiling"]["capacity"], "{run:#}");
    assert!(run["ceiling"]["served"].as_u64() > Some(20), "{run:#}");
}

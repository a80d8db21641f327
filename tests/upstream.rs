//! `find --upstream`: a proxy measured by one command, and what its bundled upstream saw. Other witnesses say what is right: the proxies'
//! own counts, and the arithmetic of two descriptors a connection.

use crate::support::{LASTFD, find, lastfd, program};
use serde_json::{Value, json};

/// The run of a proxy at a limit, with these further options.
fn proxy(options: &[&str], command: &[&str]) -> Value {
    let options = [&["--nofile", "64", "--hold", "1"], options].concat();
    let called = find(&options, command);
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    called.run()
}

/// A service that makes one call of its upstream for each request, each on a connection of its own.
fn outbound(after_call: &str) -> [&str; 8] {
    ["serve", "outbound", "--api", "{upstream-address}", "--port", "{port}", "--after-call", after_call]
}

#[test]
fn a_proxy_that_keeps_a_connection_for_each_client_has_room_for_half_of_them() {
    let command = [&[LASTFD], &outbound("left-open")[..]].concat();
    let run = proxy(&["--upstream", "http"], &command);
    let (rest, held) =
        (run["baseline"]["counted"].as_u64().unwrap(), run["ceiling"]["capacity"].as_u64().unwrap());
    assert!((held as i64 - (64 - rest as i64) / 2).abs() <= 1, "{held} of 64 with {rest} at rest");
    let seen = &run["upstream"];
    assert_eq!(seen["serves"], "http");
    assert_eq!(seen["calls_per_connection"], json!({ "least": 1, "median": 1, "most": 1 }));
    assert_eq!(seen["connections"], seen["calls"]);
    let then = &seen["at_first_failure"];
    assert_eq!(then["connections"], then["open"], "it closes none");
    assert!((then["open"].as_u64().unwrap() as i64 - held as i64).abs() <= 2, "{then} with {held} clients");
    assert!(seen["short"].is_string(), "{seen}");
}

#[test]
fn the_upstream_counts_calls_and_not_only_connections() {
    let command = [&[LASTFD], &outbound("closed")[..]].concat();
    let run = proxy(&["--upstream", "http", "--clients", "20"], &command);
    assert_eq!(run["ceiling"]["kind"], "not-reached");
    // One asks which protocol it speaks, one is the new client of the end; held ones are asked again.
    let calls = run["upstream"]["calls"].as_u64().unwrap();
    assert!((20..=40).contains(&calls), "{calls} calls of 20 clients");
    assert_eq!(run["upstream"]["connections"], calls);
}

#[test]
fn haproxy_takes_two_descriptors_a_connection() {
    let Some(haproxy) = program("haproxy").or(program("../sbin/haproxy")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("haproxy.cfg");
    let text = "global\n no strict-limits\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n \
                timeout server 1h\nlisten proxy\n bind 127.0.0.1:${PORT}\n server one ${BACKEND}\n";
    std::fs::write(&file, text).unwrap();
    let env = ["--env", "PORT={port}", "--env", "BACKEND={upstream-address}"];
    let options = [&["--upstream", "tcp", "--workload", "tcp"][..], &env].concat();
    let run = proxy(&options, &[haproxy.to_str().unwrap(), "-f", file.to_str().unwrap()]);
    let rest = run["baseline"]["counted"].as_u64().unwrap();
    assert_eq!(run["ceiling"]["capacity"], (64 - rest) / 2, "two each, with {rest} at rest");
    assert_eq!(run["upstream"]["open_max"], (64 - rest) / 2);
    assert_eq!(run["upstream"]["calls"], Value::Null);
}

#[test]
fn an_upstream_must_be_named_and_there() {
    let said = |options: &[&str], command: &[&str]| {
        let called = find(options, command);
        assert_eq!(called.code, Some(2), "{}", called.stderr);
        called.stderr
    };
    assert!(said(&[], &["x", "{upstream}"]).contains("add --upstream http"));
    assert!(said(&["--upstream", "http"], &["x"]).contains("nothing names the upstream"));
    assert!(said(&["--upstream", "http"], &["x", "{upstream}", "{ca}"]).contains("--upstream https"));
    assert!(said(&["--upstream", "http"], &["x", "{upsteam}"]).contains("did you mean `{upstream}`?"));
    assert!(said(&["--env", "A={upstream-address}"], &["x"]).contains("`{upstream-address}`"));
    let plain = lastfd(&["find", "--env", "=1", "--", "x"]);
    assert!(plain.stderr.contains("NAME=VALUE"), "{}", plain.stderr);
}

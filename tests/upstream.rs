//! `find --upstream` and `find --caller`: a proxy, or a program that calls, measured by one command, and what
//! the bundled upstream saw. Other witnesses say what is right: the program's own count, and the arithmetic
//! of what a connection or a call takes.

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
    [
        "serve",
        "outbound",
        "--api",
        "127.0.0.1:{upstream-port}",
        "--port",
        "{port}",
        "--after-call",
        after_call,
    ]
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
fn a_file_that_is_copied_may_name_the_upstream() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "{upstream-address}").expect("written");
    let copied = format!("conf/api={}", file.path().display());
    let serves =
        format!("exec {LASTFD} serve outbound --api $(cat $0/conf/api) --port $1 --after-call closed");
    let options = ["--upstream", "http", "--clients", "20", "--file", &copied];
    let run = proxy(&options, &["sh", "-c", &serves, "{scratch}", "{port}"]);
    assert!(run["upstream"]["calls"].as_u64() >= Some(20), "{run:#}");
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
    assert!(said(&[], &["x", "{upstream}"]).contains("add --upstream (or --caller) http"));
    assert!(said(&["--upstream", "http"], &["x"]).contains("nothing names the upstream"));
    assert!(said(&["--upstream", "http"], &["x", "{upstream}", "{ca}"]).contains("--upstream https"));
    assert!(said(&["--upstream", "http"], &["x", "{upsteam}"]).contains("did you mean `{upstream}`?"));
    assert!(said(&["--env", "A={upstream-address}"], &["x"]).contains("`{upstream-address}`"));
    let plain = lastfd(&["find", "--env", "=1", "--", "x"]);
    assert!(plain.stderr.contains("NAME=VALUE"), "{}", plain.stderr);
}

/// A job that makes so many calls, does something with each connection, and writes how many were answered
/// into a file.
const JOB: &str = r#"
import sys, os, http.client, urllib.parse
url, calls, after, count = urllib.parse.urlparse(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
kept, answered, out = [], 0, open(count, "w")
try:
    for n in range(calls):
        c = http.client.HTTPConnection(url.hostname, url.port)
        c.request("GET", "/")
        c.getresponse().read()
        answered += 1
        if after == "pipe": kept.append(os.pipe())
        if after in ("pipe", "keep") or after == "tenth" and n % 10 == 0: kept.append(c)
        else: c.close()
finally:
    out.write(str(answered))
    out.close()
"#;

/// The run of such a job, and how many of its calls were answered as it says itself.
fn job(nofile: &str, calls: &str, after: &str) -> Option<(Value, u64)> {
    let python = program("python3")?;
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let words = [python.to_str().unwrap(), "-c", JOB, "{upstream}", calls, after, count.to_str().unwrap()];
    let called = find(&["--nofile", nofile, "--caller", "http"], &words);
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    let own = std::fs::read_to_string(&count).ok().and_then(|text| text.parse().ok());
    Some((called.run(), own.unwrap_or(0)))
}

#[test]
fn the_ceiling_of_a_caller_is_in_calls_with_descriptors_a_call_by_kind() {
    let Some((run, own)) = job("64", "1000", "keep") else { return };
    assert_eq!(run["ceiling"]["kind"], "emfile");
    assert_eq!(run["ceiling"]["calls"], own);
    assert_eq!(run["prediction"]["ceiling"], own, "after eight calls");
    assert_eq!(run["ceiling"]["first_failure"]["call"], "socket");
    assert_eq!(run["upstream"]["per_call"]["kinds"], json!([{ "kind": "tcp", "descriptors": 1.0 }]));
    assert_eq!(run["recovery"]["verdict"], "gone");
    let Some((run, own)) = job("64", "1000", "pipe") else { return };
    assert_eq!(run["ceiling"]["calls"], own);
    // A pipe is made after its answer: one call more is answered than three descriptors fit for.
    assert!(run["prediction"]["ceiling"].as_u64().unwrap().abs_diff(own) <= 1, "{}", run["prediction"]);
    let kinds = json!([{ "kind": "pipe", "descriptors": 2.0 }, { "kind": "tcp", "descriptors": 1.0 }]);
    assert_eq!(run["upstream"]["per_call"]["kinds"], kinds);
}

/// Connects so many times, opens /dev/null beside each connection, and keeps both.
const HOLDS: &str = "import socket, sys
host, port = sys.argv[1].split(':')
kept = [(socket.create_connection((host, int(port))), open('/dev/null')) for _ in range(int(sys.argv[2]))]
sys.stdin.read()";

#[test]
fn a_caller_of_tcp_is_counted_at_rest_and_its_ceiling_is_in_connections() {
    let Some(_) = program("python3") else { return };
    let with = |observer: &[&str], connections| {
        let job = ["python3", "-c", HOLDS, "{upstream-address}", connections];
        find(&[&["--nofile", "64", "--caller", "tcp"], observer].concat(), &job).run()
    };
    for observer in [&[][..], &["--observer", "ptrace"]] {
        let run = with(observer, "200");
        assert_eq!(run["ceiling"]["first_failure"]["errno"], "EMFILE", "{run:#}");
        // Of 64 three are its standard streams; a pair takes two, and the last pair is not whole.
        assert_eq!(run["ceiling"]["calls"], 31, "{run:#}");
        let kinds = json!([{ "kind": "device", "descriptors": 1.0 }, { "kind": "tcp", "descriptors": 1.0 }]);
        assert_eq!(run["upstream"]["per_call"]["kinds"], kinds, "{run:#}");
        assert_eq!(run["prediction"]["descriptors_per_connection"], 2.0, "{run:#}");
        let predicted = run["prediction"]["ceiling"].as_u64().expect("a number");
        assert!((30..=31).contains(&predicted), "{run:#}");
    }
    // Below its limit: told from the first eight.
    let run = with(&[], "20");
    assert_eq!(
        (&run["ceiling"]["kind"], &run["ceiling"]["calls"]),
        (&json!("not-reached"), &json!(20)),
        "{run:#}"
    );
    assert_eq!(run["upstream"]["per_call"]["descriptors"], 2.0, "{run:#}");
}

#[test]
fn a_caller_that_ends_below_its_limit_is_told_when_it_is_reached() {
    let Some((run, own)) = job("64", "20", "keep") else { return };
    assert_eq!((own, &run["ceiling"]["kind"]), (20, &json!("not-reached")));
    assert_eq!(run["ceiling"]["calls"], 20);
    let free = 64 - run["baseline"]["counted"].as_u64().unwrap();
    assert_eq!(run["upstream"]["per_call"]["full_after"], free + 1, "the first is under way at rest");
    let Some((run, _)) = job("64", "5000", "close") else { return };
    assert_eq!(run["ceiling"]["kind"], "not-reached");
    assert_eq!(run["upstream"]["per_call"]["kinds"], json!([]));
    assert!(run["upstream"]["per_call"]["full_after"].is_null());
}

#[test]
fn a_leak_of_every_tenth_call_is_found_from_many() {
    let Some((run, _)) = job("256", "100000", "tenth") else { return };
    assert_eq!(run["ceiling"]["kind"], "not-reached");
    let each = run["upstream"]["per_call"]["descriptors"].as_f64().unwrap();
    assert!((each - 0.1).abs() < 0.01, "{each} descriptors a call");
}

#[test]
fn a_caller_that_never_calls_or_fails_before_is_told_so() {
    let idle = find(
        &["--nofile", "64", "--caller", "http", "--ready-within", "1s"],
        &["sh", "-c", "exec sleep 60", "{upstream}"],
    );
    assert_eq!(idle.code, Some(5), "{}", idle.stderr);
    assert!(idle.stderr.contains("has not called the upstream for 1 s"), "{}", idle.stderr);
    let failed =
        find(&["--nofile", "64", "--caller", "http"], &["sh", "-c", "echo no route; exit 3", "{upstream}"]);
    assert_eq!(failed.code, Some(6), "{}", failed.stderr);
    let said = &failed.stderr;
    assert!(said.contains("exit status 3") && said.contains("no route"), "{said}");
}

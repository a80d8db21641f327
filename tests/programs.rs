//! Clients that are programs of the user's own: one process each or one for all, what their exit status and
//! output tell, and whose fault a program is that never connects.

use crate::support::{Called, LASTFD, eventually, find, lastfd, marked, program};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

const HTTP: [&str; 5] = [LASTFD, "serve", "http", "--port", "{port}"];

/// Asks, says what it was answered, and holds.
const ASKS: &str = r#"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf "GET / HTTP/1.1\r\nHost: x\r\n\r\n" >&3 &&
    read -r line <&3 && echo "answered $line" && while read -r line; do :; done <&3; exit 1'"#;

/// The same, and leaves with the answer.
const LEAVES: &str = r#"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf "GET / HTTP/1.1\r\nHost: x\r\n\r\n" >&3 && read -r line <&3'"#;

/// Connects so many times, and holds.
const ALL: &str = r#"bash -c 'for ((i = 0; i < {clients}; i++)); do exec {fd}<>/dev/tcp/127.0.0.1/{port} || exit; done; read -r line <&$fd'"#;

/// `lastfd find` with these clients, on the bundled HTTP server.
fn with(options: &[&str]) -> Called {
    find(&[&["--nofile", "40"], options].concat(), &HTTP)
}

fn ceiling_is_right(run: &Value) {
    assert_eq!(run["ceiling"]["kind"], "emfile", "{run:#}");
    assert_eq!(run["ceiling"]["accepted"], run["witnesses"][0]["ceiling"], "{run:#}");
    assert_eq!(run["ceiling"]["accepted"], run["prediction"]["ceiling"], "{run:#}");
    assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
}

#[test]
fn each_client_is_a_program_whose_output_says_that_it_is_served() {
    let Some(_) = program("bash") else { return };
    let run = with(&["--client", ASKS, "--client-served", "^answered HTTP/1.1 200"]).run();
    ceiling_is_right(&run);
    assert_eq!(run["ceiling"]["served"], run["ceiling"]["accepted"], "{run:#}");
    assert_eq!(run["saturation"]["new_client"], "waits", "{run:#}");
}

#[test]
fn one_program_is_all_clients_and_nobody_knows_what_each_was_told() {
    let Some(_) = program("bash") else { return };
    let run = with(&["--client", ALL, "--client-is", "all", "--clients", "44"]).run();
    ceiling_is_right(&run);
    assert_eq!(run["ceiling"]["connected"], 44, "{run:#}");
    assert!(run["ceiling"]["served"].is_null(), "{run:#}");
    let why = run["unmeasured"]["ceiling.served"].as_str().unwrap_or_default();
    assert!(why.contains("one program is all clients"), "{run:#}");
}

#[test]
fn a_program_that_ends_with_status_0_was_served_and_left() {
    let Some(_) = program("bash") else { return };
    let run = with(&["--client", LEAVES, "--clients", "12"]).run();
    assert_eq!(run["ceiling"]["kind"], "not-reached", "{run:#}");
    assert_eq!(run["saturation"]["client_programs"][0]["served"], 12, "{run:#}");
    assert_eq!(run["saturation"]["clients_account"]["left"], 12, "{run:#}");
}

#[test]
fn a_program_that_never_connects_is_not_the_servers_fault() {
    let Some(_) = program("bash") else { return };
    for (client, words) in [
        ("/nowhere/client {address}", "the client program `/nowhere/client` cannot be started"),
        ("bash -c 'echo no module named x; exit 1'", "`no module named x`"),
        ("bash -c 'exit 3'", "`exit status 3, and no output`"),
        ("bash -c 'exec 3<>/dev/tcp/127.0.0.1/1'", "before it was connected"),
    ] {
        let called = lastfd(
            &[&["find", "--nofile", "40", "--clients", "4", "--client", client, "--"], &HTTP[..]].concat(),
        );
        assert_eq!(called.code, Some(5), "{client}: {called:?}");
        let said = called.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{client}: {}", called.stdout);
    }
}

#[test]
fn a_program_that_the_server_turned_away_is_no_stranger() {
    let Some(_) = program("bash") else { return };
    let capped = [&HTTP[..], &["--accept", "cap-close"]].concat();
    let run = find(&["--nofile", "40", "--client", ASKS, "--client-served", "^answered"], &capped).run();
    assert_eq!(run["ceiling"]["kind"], "own-limit", "{run:#}");
    assert_eq!(run["ceiling"]["accepted"], run["ceiling"]["served"], "{run:#}");
    assert!(run["saturation"]["clients_account"]["turned_away"].as_u64() > Some(0), "{run:#}");
}

#[test]
fn what_a_client_program_leaves_behind_ends_with_it_and_is_no_leak() {
    let Some(_) = program("bash") else { return };
    for behind in ["sleep 300", "setsid sleep 300", "setsid bash -c \"sleep 300 & sleep 300\""] {
        let client = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{{port}}; {behind} & exit 0'");
        let run = with(&["--client", &client, "--clients", "6"]).run();
        assert_eq!(run["saturation"]["clients_account"]["left"], 6, "{behind}: {run:#}");
        assert_eq!(run["recovery"]["leaked"], 0, "{behind}: {run:#}");
    }
}

#[test]
fn a_program_that_ends_with_an_error_before_the_server_closes_has_left_by_itself() {
    let Some(_) = program("bash") else { return };
    let client = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 0.2; echo gave up; exit 1'";
    let run = with(&["--client", client, "--clients", "12"]).run();
    assert_eq!(run["ceiling"]["kind"], "not-reached", "{run:#}");
    let (account, ended) = (&run["saturation"]["clients_account"], &run["saturation"]["client_programs"][0]);
    // The watch may end before the last of them does.
    assert_eq!((&account["turned_away"], &account["closed"]), (&0.into(), &0.into()), "{run:#}");
    assert!(account["left"].as_u64() > Some(0) && account["left"] == ended["failed"], "{run:#}");
    assert_eq!(ended["mostly"]["words"], "gave up", "{run:#}");
}

#[test]
fn a_program_that_does_not_notice_that_it_was_closed_is_turned_away_and_does_not_wait() {
    let Some(_) = program("bash") else { return };
    let client = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; exec sleep 300'";
    let capped = [&HTTP[..], &["--accept", "cap-close"]].concat();
    let run = find(&["--nofile", "40", "--hold", "2s", "--client", client], &capped).run();
    let account = &run["saturation"]["clients_account"];
    assert!(account["turned_away"].as_u64() > Some(0), "{run:#}");
    assert_eq!(account["waiting"], 0, "{run:#}");
}

#[test]
fn one_program_that_ends_slowly_brings_no_new_clients() {
    let Some(_) = program("bash") else { return };
    let client =
        ALL.replace("read -r line <&$fd", "trap \"sleep 0.3; exit\" TERM; while :; do sleep 1; done");
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("e.jsonl");
    let log = log.to_str().expect("a path");
    with(&["--client", &client, "--client-is", "all", "--clients", "12", "--events", log]).run();
    let events = std::fs::read_to_string(log).expect("a log");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let released = events.iter().take_while(|event| event["is"]["phase"] != "second-round");
    let connected = released.filter(|event| event["is"]["client"]["state"] == "connected");
    assert_eq!(connected.count(), 12);
}

#[test]
fn a_program_that_writes_without_end_holds_up_nobody() {
    let Some(_) = program("bash") else { return };
    let client = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; exec yes'";
    let run = with(&["--client", client, "--clients", "3"]).run();
    assert_eq!((&run["ceiling"]["kind"], &run["ceiling"]["connected"]), (&"not-reached".into(), &3.into()));
}

#[test]
fn a_dry_run_says_how_many_programs_it_would_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.toml");
    let scenario = "claim = \"x\"\n[processes.server]\nserve.http = {}\nlimits = { soft = 48, hard = 48 }\n\
                    [workloads.flood.command]\nrun = [\"true\"]\n";
    std::fs::write(&file, scenario).expect("written");
    let called = lastfd(&["run", "--dry-run", file.to_str().expect("a path")]);
    assert!(called.stdout.contains("1.25 × soft limit + 8 clients"), "{called:?}");
}

#[test]
fn options_that_fit_no_client_program_are_refused_before_anything_starts() {
    for (options, what) in [
        (["--client", ""].as_slice(), "--client names no program"),
        (&["--client", "'"], "--client ''':"),
        (&["--client", "x", "--client-served", "("], "--client-served: regex parse error"),
        (
            &["--client", "x", "--client-is", "all", "--client-served", "x"],
            "leave it out with --client-is all",
        ),
        (&["--client", "x {adress}"], "did you mean `{address}`?"),
        (&["--client-is", "all"], "--client <CMD>"),
        (&["--client", "x", "--tls"], "cannot be used with"),
    ] {
        let called = with(options);
        assert_eq!(called.code, Some(2), "{options:?}: {}", called.stderr);
        assert!(called.stderr.contains(what), "{options:?}: {}", called.stderr);
    }
}

#[test]
fn no_client_program_outlives_lastfd() {
    let Some(_) = program("bash") else { return };
    let mark = format!("LASTFD_TEST_CLIENTS={}", std::process::id());
    let client = format!("env {mark} {ASKS}");
    let mut run = Command::new(LASTFD);
    run.args(["find", "--nofile", "40", "--client", &client, "--client-served", "^answered", "--"])
        .args(HTTP);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let started = eventually(Duration::from_secs(60), || marked(&mark).len() >= 3);
    run.kill().expect("SIGKILL");
    run.wait().expect("it has ended");
    assert!(started, "no client program ran");
    assert!(eventually(Duration::from_secs(20), || marked(&mark).is_empty()), "{:?}", marked(&mark));
}

/// Answers each request with 503, and keeps the connection open: curl is the first to leave.
const UNAVAILABLE: &str = r"import socket, sys, threading
def answer(client):
    for line in client.makefile('rb'):
        if line == b'\r\n':
            client.sendall(b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()";

#[test]
fn an_http_error_is_an_error_reply_where_the_exit_status_of_curl_says_so() {
    let (Some(_), Some(_)) = (program("curl"), program("python3")) else { return };
    let server = ["python3", "-c", UNAVAILABLE, "{port}"];
    let with = |curl| find(&["--nofile", "40", "--clients", "8", "--client", curl], &server).run();
    let run = with("curl --fail -sS http://{address}/");
    let (account, ended) = (&run["saturation"]["clients_account"], &run["saturation"]["client_programs"][0]);
    assert_eq!((&ended["failed"], &ended["error_replies"]), (&8.into(), &8.into()), "{run:#}");
    assert_eq!(ended["unconnected"], 0, "who was answered was connected: {run:#}");
    assert_eq!((&account["error_replies"], account["left"].as_u64()), (&8.into(), None), "{run:#}");
    // Another exit status says nothing about the server.
    let run = with("bash -c 'curl --fail -sS http://{address}/ || exit 1'");
    let ended = &run["saturation"]["client_programs"][0];
    assert_eq!((&ended["failed"], &ended["error_replies"]), (&8.into(), &0.into()), "{run:#}");
}

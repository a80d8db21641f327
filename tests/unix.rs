//! Unix sockets, by path and by abstract name, and the loopback of IPv6: found, loaded and reported as ports
//! are.

use crate::support::{Called, LASTFD, find, lastfd, program};
use serde_json::{Value, json};

/// `lastfd find` on a bundled HTTP server that listens so.
fn served(options: &[&str], serve: &[&str]) -> Called {
    find(&[&["--nofile", "64", "--hold", "2s"], options].concat(), &[&[LASTFD, "serve"], serve].concat())
}

/// All that a TCP listener's report has: the ceiling by three counts, the queue, the policy, what a new
/// client gets, and recovery.
fn whole(run: &Value, backlog: u64) {
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    assert_eq!(run["ceiling"]["capacity"], json!(64 - rest), "{run:#}");
    assert_eq!(run["prediction"]["ceiling"], json!(64 - rest), "{run:#}");
    assert_eq!(run["ceiling"]["first_failure"]["call"], "accept4", "{run:#}");
    assert_eq!(run["saturation"]["policy"], "spin", "{run:#}");
    assert_eq!(run["saturation"]["accept_queue"]["capacity"], json!(backlog + 1), "{run:#}");
    assert!(run["saturation"]["accept_queue"]["length"].as_u64() > Some(0), "{run:#}");
    assert_eq!(run["saturation"]["new_client"], "waits", "{run:#}");
    assert_eq!(run["saturation"]["tcp_port"]["LISTEN"], 1, "{run:#}");
    assert_eq!(run["recovery"]["verdict"], "recovered", "{run:#}");
    assert_eq!(run["recovery"]["leaked"], 0, "{run:#}");
    let counts = run["witnesses"].as_array().expect("a list");
    assert!(counts.len() > 1 && run["agreement"] != "conflict", "{run:#}");
}

fn is_whole(serve: &[&str]) {
    let called = served(&[], &[&["http", "--accept", "spin", "--backlog", "20"], serve].concat());
    assert_eq!(called.code, Some(0), "{called:?}");
    whole(&called.run(), 20);
}

#[test]
fn a_unix_socket_is_found_by_itself_and_measured_as_a_port_is() {
    is_whole(&["--unix", "{scratch}/s"]);
}

#[test]
fn an_abstract_unix_socket_is_measured_as_a_port_is() {
    is_whole(&["--unix", &format!("@lastfd-test-{}", std::process::id())]);
}

#[test]
fn the_loopback_of_ipv6_is_measured_as_that_of_ipv4_is() {
    is_whole(&["--host", "::1", "--port", "{port}"]);
}

#[test]
fn every_workload_that_holds_connections_loads_a_unix_socket() {
    for (workload, kind) in [("tcp", "tcp"), ("websocket", "websocket"), ("grpc", "grpc")] {
        let called = served(
            &["--workload", workload, "--unix", "{scratch}/s"],
            &[kind, "--accept", "spin", "--backlog", "20", "--unix", "{scratch}/s"],
        );
        assert_eq!(called.code, Some(0), "{called:?}");
        whole(&called.run(), 20);
    }
}

#[test]
fn ptrace_counts_accepts_from_a_unix_socket_too() {
    let called = served(
        &["--observer", "ptrace"],
        &["http", "--accept", "fixed-delay", "--backlog", "20", "--unix", "{scratch}/s"],
    );
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    let rest = run["baseline"]["descriptors"].as_u64().expect("counted");
    assert_eq!(run["ceiling"]["capacity"], json!(64 - rest), "{run:#}");
}

/// No client waits in a handshake: a connect to a full queue is tried until its time is over.
#[test]
fn a_connect_to_a_unix_socket_whose_queue_is_full_times_out() {
    let called = served(
        &["--pace", "burst", "--workload", "tcp", "--clients", "100"],
        &["tcp", "--accept", "spin", "--backlog", "4", "--unix", "{scratch}/s"],
    );
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    let held = run["ceiling"]["accepted"].as_u64().expect("counted");
    assert_eq!(
        run["ceiling"]["connected"],
        json!(held + 5),
        "the queue holds one more than its backlog: {run:#}"
    );
    assert_eq!(run["saturation"]["clients_account"]["timed_out"], json!(95 - held), "{run:#}");
    assert_eq!(run["saturation"]["new_client"], "times-out", "{run:#}");
}

/// A shell that starts several servers, each in a process of its own.
fn together(options: &[&str], each: &[&str]) -> Called {
    let serve: Vec<String> = each.iter().map(|how| format!("\"$0\" serve http {how} & ")).collect();
    let script = format!("trap 'kill $(jobs -p)' TERM; {} wait", serve.concat());
    find(&[&["--nofile", "64", "--hold", "1s"], options].concat(), &["sh", "-c", &script, LASTFD])
}

#[test]
fn a_port_comes_before_a_unix_socket_that_listens_first_unless_that_is_chosen() {
    let (unix, port) = ("--unix {scratch}/s --backlog 6", "--port {port} --backlog 8");
    let capacity = |called: &Called| called.run()["saturation"]["accept_queue"]["capacity"].clone();
    let both = together(&[], &[unix, port]);
    assert_eq!(capacity(&both), 9, "{both:?}");
    let chosen = together(&["--unix", "{scratch}/s"], &[unix, port]);
    assert_eq!(capacity(&chosen), 7, "{chosen:?}");
}

#[test]
fn of_several_unix_sockets_one_is_to_be_chosen_and_one_that_is_not_there_is_named() {
    let both = ["--unix {scratch}/a", "--unix {scratch}/b --backlog 6"];
    let none = together(&[], &both);
    assert_eq!(none.code, Some(6), "{none:?}");
    assert!(none.stdout.contains("several Unix sockets") && none.stdout.contains("--unix"), "{none:?}");
    let one = together(&["--unix", "{scratch}/b"], &both);
    assert_eq!(one.run()["saturation"]["accept_queue"]["capacity"], 7, "{one:?}");
    let wrong = together(&["--unix", "{scratch}/c", "--ready-within", "1s"], &both[..1]);
    assert_eq!(wrong.code, Some(6), "{wrong:?}");
    assert!(wrong.stdout.contains("/a, not at unix:"), "{wrong:?}");
}

#[test]
fn a_workload_of_a_scenario_names_its_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("unix.scenario.toml");
    let scenario = |workload: &str| {
        format!(
            "claim = \"c\"\nsubject = \"s\"\n[processes.s]\ncommand = ['{LASTFD}', 'serve', 'http', '--unix', 's.sock']\n\
             limits = {{ soft = 64, hard = 64 }}\n[workloads.w]\nhttp-idle = {{ {workload} }}\n\
             [expect]\nceiling = \"soft - baseline\"\npolicy = \"spin\"\nrecovers-within = \"1s\"\nleaked = 0\n"
        )
    };
    let run = |workload: &str| {
        std::fs::write(&file, scenario(workload)).expect("our own folder");
        lastfd(&["run", file.to_str().expect("UTF-8")])
    };
    let met = run("unix = \"s.sock\"");
    assert_eq!(met.code, Some(0), "{met:?}");
    let both = run("unix = \"s.sock\", port = 80");
    assert_eq!(both.code, Some(3), "{both:?}");
    assert!(both.stderr.contains("to a port or to a Unix socket"), "{both:?}");
    let slip = run("unix = \"{scrach}/s\"");
    assert!(slip.code == Some(3) && slip.stderr.contains("did you mean `{scratch}`?"), "{slip:?}");
}

#[test]
fn gunicorn_behind_a_unix_socket_is_asked_with_http_and_loaded() {
    if program("gunicorn").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let app =
        "def app(environ, start):\n    start('200 OK', [('Content-Length', '2')])\n    return [b'ok']\n";
    std::fs::write(folder.path().join("lastfd_app.py"), app).expect("our own folder");
    let called = find(
        &["--nofile", "64", "--hold", "2s"],
        &[
            "gunicorn",
            "--chdir",
            folder.path().to_str().expect("UTF-8"),
            "--worker-class",
            "gthread",
            "--threads",
            "100",
            "--keep-alive",
            "60",
            "--bind",
            "unix:{scratch}/s",
            "lastfd_app:app",
        ],
    );
    // Its workers exit at the limit and others replace them, at times that differ: what is known is that it
    // is loaded with HTTP.
    let run = called.run();
    let asked = run["saturation"]["probes"].as_array().expect("a list").iter();
    let dialogue: Vec<&Value> = asked.filter(|p| p["label"] == "dialogue").map(|p| &p["outcome"]).collect();
    assert_eq!(dialogue, ["served"], "{run:#}");
    assert!(run["ceiling"]["connected"].as_u64() > Some(40), "{run:#}");
    assert!(run["saturation"]["accept_queue"]["capacity"].as_u64() > Some(0), "{run:#}");
}

//! Which runs are recorded: every accept policy, every scenario with all its variants, some servers in other
//! ways, and real programs.

use super::small::small;
use crate::support::{LASTFD, subject};
use lastfd::internal::event::Limits;
use lastfd::internal::observe::Choice;
use lastfd::internal::scenario::{self, ACCEPT_POLICIES, Calls, Dialogue, Find, Plan, Request, Upstream};
use std::path::Path;

/// A run that is recorded.
pub struct Case {
    /// Of the file, without its ending.
    pub name: String,
    pub plan: Plan,
    pub observer: Choice,
}

/// Bundled servers in other ways: the file's name, the arguments of `lastfd serve`, and how often recovery is
/// sampled.
const SERVERS: [(&str, &[&str], u32); 14] = [
    ("http-spin-rounds", &["http", "--accept", "spin"], 4),
    ("http-fixed-delay-rounds", &["http", "--accept", "fixed-delay", "--delay-ms", "200"], 4),
    ("http-backoff-rounds", &["http", "--accept", "backoff", "--delay-ms", "160"], 4),
    ("http-storm-rounds", &["http", "--accept", "storm", "--delay-ms", "250"], 4),
    ("http-reserve-fd-rounds", &["http", "--accept", "reserve-fd"], 4),
    ("tcp-spin-rounds", &["tcp", "--accept", "spin"], 4),
    ("tcp-dead-rounds", &["tcp", "--accept", "dead"], 4),
    ("tcp-threads", &["tcp", "--accept", "fixed-delay", "--threads", "4", "--delay-ms", "250"], 1),
    ("tcp-blocking", &["tcp", "--accept", "spin", "--blocking"], 1),
    ("tcp-poll-each", &["tcp", "--accept", "spin", "--poll-each"], 1),
    ("tcp-workers", &["tcp", "--accept", "fixed-delay", "--workers", "2", "--delay-ms", "250"], 1),
    ("tcp-io-uring", &["tcp", "--accept", "spin", "--io-uring"], 1),
    ("http-io-uring", &["http", "--accept", "fixed-delay", "--io-uring", "--delay-ms", "250"], 1),
    (
        "websocket-backlog-4",
        &["websocket", "--accept", "fixed-delay", "--backlog", "4", "--delay-ms", "250"],
        1,
    ),
];

/// Programs of `tests/subjects.rs`, each with a fault of its own.
const SUBJECTS: [&str; 15] = [
    "never_listens",
    "two_ports",
    "opens_once",
    "dies_in_the_ramp",
    "limits_itself",
    "two_descriptors_each",
    "leaks",
    "leaks_and_tries_on",
    "closes_its_listener",
    "a_process_each",
    "a_process_and_a_file_each",
    "keeps_what_clients_left",
    "exits_when_a_client_leaves",
    "a_thread_each",
    "forbids",
];

const NODE: &str =
    "require('http').createServer((_, answer) => answer.end('hello')).listen(process.argv[1], '127.0.0.1')";

/// Real programs, as somebody would give them to `lastfd find`: the file's name, the soft limit, the command.
const PROGRAMS: [(&str, u64, &[&str]); 5] = [
    (
        "python-http-server",
        64,
        &["/usr/bin/python3", "-m", "http.server", "{port}", "--directory", "{scratch}"],
    ),
    ("node-http", 64, &["node", "-e", NODE, "{port}"]),
    ("redis", 64, &["redis-server", "--port", "{port}", "--save", "", "--dir", "{scratch}"]),
    ("go-net-http", 64, &["scenarios/peers/go-net-http/server", "-port", "{port}"]),
    ("java-http-server", 96, &["java", "tests/recording/Server.java", "{port}"]),
];

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(ACCEPT_POLICIES.iter().flat_map(|policy| policies(policy)));
    cases.extend(SERVERS.iter().map(|(name, arguments, rounds)| server(name, arguments, *rounds)));
    cases.extend(unobserved());
    cases.extend(asked_otherwise());
    cases.extend(SUBJECTS.iter().map(|name| Case {
        name: slug(&format!("subject {name}")),
        plan: find(subject(name), 48, 1),
        observer: Choice::Auto,
    }));
    cases.extend(scenarios());
    cases.extend(PROGRAMS.iter().map(|(name, soft, command)| program(name, *soft, command)));
    cases
}

/// A policy of the bundled servers: under perf and under ptrace, with clients that ask and with clients that
/// do not.
fn policies(policy: &str) -> [Case; 2] {
    // Constant delays are shorter than their models', so that a log is short.
    let constant = ["fixed-delay", "listener-off", "storm"].contains(&policy);
    let delay: &[&str] = if constant { &["--delay-ms", "250"] } else { &[] };
    [("http", 32, Choice::Auto), ("tcp", 64, Choice::Ptrace)].map(|(kind, soft, observer)| Case {
        name: format!("policy-{kind}-{soft}-{policy}"),
        plan: find(serve(&[&[kind, "--accept", policy], delay].concat()), soft, 1),
        observer,
    })
}

fn server(name: &str, arguments: &[&str], rounds: u32) -> Case {
    Case { name: format!("server-{name}"), plan: find(serve(arguments), 64, rounds), observer: Choice::Auto }
}

/// What is left to say where nobody sees system calls, or not those of io_uring.
fn unobserved() -> [Case; 2] {
    let http = |name: &str, arguments: &[&str], observer| Case {
        name: name.into(),
        plan: find(serve(arguments), 48, 1),
        observer,
    };
    [
        http("server-http-unobserved", &["http", "--accept", "spin"], Choice::None),
        http("server-http-io-uring-unseen", &["http", "--accept", "spin", "--io-uring"], Choice::Ptrace),
    ]
}

/// A job that makes so many calls of its upstream, each on a connection that it keeps.
const JOB: &str = "
import sys, http.client
kept = []
for _ in range(int(sys.argv[2])):
    kept.append(http.client.HTTPConnection(sys.argv[1]))
    kept[-1].request('GET', '/')
    kept[-1].getresponse().read()
";

/// What `find` can be asked beside the ceiling of a port: a Unix socket, a proxy with its upstream, a command
/// that calls, requests that leave.
fn asked_otherwise() -> [Case; 6] {
    let case = |name: &str, command, ask: &dyn Fn(&mut Find)| {
        let mut find = asking(command, 64, 1);
        ask(&mut find);
        let plan = find.plan().expect("a folder to be in");
        Case { name: format!("find-{name}"), plan, observer: Choice::Auto }
    };
    let proxy = |after_call| {
        let words = [LASTFD, "serve", "outbound", "--api", "{upstream-address}", "--port", "{port}"];
        owned(&[&words[..], &["--after-call", after_call]].concat())
    };
    let job = |calls| owned(&["/usr/bin/python3", "-c", JOB, "{upstream-address}", calls]);
    let to_http = |find: &mut Find| find.upstream = Some(Upstream::Http);
    let calls = |find: &mut Find| {
        (find.upstream, find.calls, find.clients) = (Some(Upstream::Http), true, None);
    };
    let heads = |find: &mut Find| {
        let mut request = Request::default();
        request.method = Some("HEAD".into());
        let calls = Calls::http(request);
        (find.limits, find.requests) = (Limits { soft: 512, hard: 512 }, Some((calls, Some(100))));
    };
    [
        case("unix", owned(&[LASTFD, "serve", "http", "--unix", "{scratch}/s"]), &|_| ()),
        case("upstream-left-open", proxy("left-open"), &to_http),
        case("upstream-closed", proxy("closed"), &to_http),
        case("caller", job("1000"), &calls),
        case("caller-of-few-calls", job("20"), &calls),
        case("calls", subject("keeps_files"), &heads),
    ]
}

/// Every scenario file, each variant.
fn scenarios() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = scenario::discover(&[folder]).expect("there are scenarios");
    let plans = files.iter().flat_map(|file| small(scenario::load(file).expect("a valid scenario")));
    let case =
        |plan: Plan| Case { name: slug(&format!("scenario {}", plan.title())), plan, observer: Choice::Auto };
    plans.map(case).collect()
}

fn program(name: &str, soft: u64, command: &[&str]) -> Case {
    let mut plan = find(owned(command), soft, 1);
    let process = plan.processes.get_mut(Find::SUBJECT).expect("its only process");
    process.requires = vec![command[0].to_owned()];
    Case { name: format!("program-{name}"), plan, observer: Choice::Auto }
}

/// The words that run a bundled server.
fn serve(arguments: &[&str]) -> Vec<String> {
    owned(&[&[LASTFD, "serve"], arguments, &["--port", "{port}"]].concat())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

/// The plan of `lastfd find`, with few clients. Of a server of HTTP and of one that is not known the run
/// asks.
fn find(command: Vec<String>, soft: u64, recoveries: u32) -> Plan {
    asking(command, soft, recoveries).plan().expect("a folder to be in")
}

fn asking(command: Vec<String>, soft: u64, recoveries: u32) -> Find {
    let is = |name| command.iter().any(|word| word == name);
    let workload = match (is("tcp") || is("redis-server"), is("websocket")) {
        (true, _) => Some(Dialogue::Tcp),
        (_, true) => Some(Dialogue::Websocket),
        _ => None,
    };
    let mut find = Find::new(command, Limits { soft, hard: soft });
    find.workload = workload;
    find.clients = Some(soft as u32 * 3 / 2);
    (find.hold_s, find.ready_within_s, find.recoveries) = (3.0, 10.0, recoveries);
    find
}

/// Words joined by dashes.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

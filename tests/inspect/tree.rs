//! Several processes: by their port or name, and the tree of each.

use super::held::{self, FULL, Held};
use super::{inspect, lastfd, page};
use serde_json::Value;
use std::os::unix::process::CommandExt as _;
use std::process::Output;

/// A process with room, whose one worker is full; the worker's process id.
fn master(name: &str) -> (Held, i32) {
    let master = Held::spawn(held::command("master").arg0(name));
    let worker = master.line("worker").parse().unwrap();
    (master, worker)
}

fn pids(report: &Value) -> Vec<i64> {
    report["tree"].as_array().unwrap().iter().map(|member| member["pid"].as_i64().unwrap()).collect()
}

fn code_and_error(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into())
}

#[test]
fn a_worker_at_its_limit_is_said_first_in_the_report_about_its_master() {
    let (master, worker) = master("held");
    let report = inspect(master.pid(), "0s");
    assert_eq!(report["pid"], master.pid(), "the one that was asked for");
    assert_eq!(pids(&report), [i64::from(worker), i64::from(master.pid())], "the worst first");
    let [of_worker, of_master] = [&report["tree"][0], &report["tree"][1]];
    assert_eq!((&of_worker["soft"], &of_worker["headroom"]), (&FULL.into(), &0.into()));
    // One that was inherited may be numbered above the limit.
    assert!(of_worker["open"].as_u64().unwrap() >= FULL, "{report:#}");
    let listed = std::fs::read_dir(format!("/proc/{}/fd", master.pid())).unwrap().count();
    assert_eq!(of_master["open"], listed);
    assert_eq!((&of_worker["asked"], &of_master["asked"]), (&false.into(), &true.into()));

    let (text, line) = page(master.pid(), "0s");
    let first = format!(
        "in the tree of process {}, is at its limit now: {FULL} of {FULL} descriptors are open",
        master.pid()
    );
    assert!(line.starts_with(&format!("Process {worker} (")) && line.contains(&first), "{text}");
    assert!(
        line.contains(&format!("`lastfd inspect {worker}` is about process {worker} ("))
            && line.contains(&format!("0 of {FULL} are left.")),
        "{text}"
    );
}

#[test]
fn a_port_finds_all_that_listen_on_it_and_the_report_is_about_the_worst() {
    let (master, worker) = master("held");
    let port = format!(":{}", master.line("port"));
    let report = inspect(&port, "0s");
    assert_eq!((&report["asked"], &report["pid"]), (&Value::from(port.as_str()), &worker.into()));
    assert_eq!(pids(&report), [i64::from(worker), i64::from(master.pid())]);
    assert!(report["tree"].as_array().unwrap().iter().all(|member| member["asked"] == true), "{report:#}");
    let (text, _) = page(&port, "0s");
    assert!(text.starts_with(&format!("Process {worker} is at its limit now: ")), "{text}");
    let row = text.lines().find(|line| line.contains("this report")).unwrap();
    assert_eq!(row.split_whitespace().next(), Some(worker.to_string().as_str()), "{text}");
}

#[test]
fn a_name_finds_the_processes_that_were_started_under_it() {
    let name = format!("held-{}", std::process::id());
    let (master, worker) = master(&name);
    let report = inspect(&name, "0s");
    assert_eq!(report["pid"], worker);
    assert_eq!(pids(&report), [i64::from(worker), i64::from(master.pid())]);
}

#[test]
fn a_name_or_a_port_that_nobody_has_is_an_exit_code_and_says_how_to_search() {
    let (code, error) = code_and_error(&lastfd(&["inspect", "no-such-program"]).output().unwrap());
    assert_eq!(code, Some(4));
    assert!(
        error.contains("no process is called no-such-program") && error.contains("pgrep -af no-such-program"),
        "{error}"
    );
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, error) = code_and_error(&lastfd(&["inspect", &format!(":{port}")]).output().unwrap());
    assert_eq!(code, Some(4));
    assert!(
        error.contains(&format!("nothing listens on TCP port {port}")) && error.contains("ss -ltnp"),
        "{error}"
    );
}

#[test]
fn a_port_of_another_users_process_says_what_would_see_it() {
    let (master, _) = master("held");
    let port = format!(":{}", master.line("port"));
    let Some((_directory, mut command)) = super::as_nobody(&["inspect", &port]) else { return };
    let (code, error) = code_and_error(&command.output().unwrap());
    assert_eq!(code, Some(5));
    assert!(error.contains(&format!("`sudo lastfd inspect {port}` may read it")), "{error}");
}

//! Runs with sysctls, in a network namespace of their own. Witnesses: what the subject itself reads inside,
//! what this process reads outside at the same time, and /proc/PID/ns/net.

use crate::support::{Called, LASTFD, called, eventually, lastfd, marked, program, subject};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A scenario file with one server, in a folder of its own.
struct Scenario(tempfile::TempDir);

impl Scenario {
    fn new(text: &str) -> Scenario {
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        std::fs::write(folder.path().join("in.scenario.toml"), text).expect("written");
        Scenario(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("in.scenario.toml")
    }

    fn run(&self, options: &[&str]) -> Called {
        lastfd(&[&["run", "--json", "-"], options, &[self.path().to_str().expect("UTF-8")]].concat())
    }
}

/// A bundled server that stops at its limit, `lines` more, and these sysctls.
fn served(process: &str, sysctls: &str) -> String {
    format!(
        r#"
        claim = "it stops where its limit says, with any sysctl"
        [processes.server]
        {process}
        limits = {{ soft = 48, hard = 48 }}
        [workloads.flood]
        tcp = {{ clients = 80 }}
        [sysctls]
        {sysctls}
        [expect]
        ceiling = "soft - baseline"
        "#
    )
}

const SPINS: &str = r#"serve.tcp = { accept = "spin", backlog = 4096 }"#;

/// Every value of the host under /proc/sys/net that this process can read.
fn of_the_host() -> BTreeMap<PathBuf, String> {
    let mut values = BTreeMap::new();
    for folder in ["core", "ipv4"] {
        for entry in
            std::fs::read_dir(Path::new("/proc/sys/net").join(folder)).expect("/proc/sys/net").flatten()
        {
            values.extend(std::fs::read_to_string(entry.path()).ok().map(|value| (entry.path(), value)));
        }
    }
    assert!(values.len() > 50, "{values:?}");
    values
}

fn network_of(pid: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

const FOUR: &str = r#"
    net.core.somaxconn = 77
    "net.ipv4.tcp_fin_timeout" = 7
    "net.ipv4.ip_local_port_range" = "11000  21000"
    "net.ipv4.tcp_tw_reuse" = 0
"#;

#[test]
fn sysctls_are_in_force_inside_and_the_host_keeps_its_own() {
    let before = of_the_host();
    let says = "S=/proc/sys/net; (cat $S/core/somaxconn $S/ipv4/tcp_fin_timeout $S/ipv4/ip_local_port_range; readlink /proc/self/ns/net) > seen";
    let command = format!(
        "command = ['sh', '-c', '{says}; exec \"$0\" serve tcp --accept spin --port {{port}}', '{LASTFD}']\nenv = {{ LASTFD_TEST_MARK = 'sysctl-{}' }}",
        std::process::id()
    );
    let mark = format!("LASTFD_TEST_MARK=sysctl-{}", std::process::id());
    let scenario = Scenario::new(&served(&command, FOUR));
    let events = scenario.0.path().join("events");
    let mut run = Command::new(LASTFD);
    run.args(["run", "--json", "-", "--events"]).arg(&events).arg(scenario.path());
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the run starts");
    let own = network_of("self").expect("its own namespace");
    let inside = || {
        marked(&mark).iter().find_map(|pid| network_of(&pid.to_string()).filter(|network| *network != own))
    };
    let mut found = None;
    assert!(
        eventually(Duration::from_secs(10), || {
            found = inside();
            found.is_some()
        }),
        "the subject runs in another network namespace"
    );
    assert_eq!(of_the_host(), before, "while the run is inside");
    let out = run.wait_with_output().expect("its end");
    assert_eq!(of_the_host(), before, "afterwards");
    let called = Called {
        code: out.status.code(),
        stdout: String::from_utf8_lossy(&out.stdout).into(),
        stderr: String::from_utf8_lossy(&out.stderr).into(),
    };
    assert_eq!(called.code, Some(0), "{called:?}");
    let report = called.run();
    let shown = found.expect("seen above").display().to_string();
    assert!(
        report["network_namespace"].as_str().is_some_and(|name| name.starts_with(&shown)),
        "{shown} {report:#}"
    );
    let in_force = |name: &str| {
        let all = report["sysctls"].as_array().expect("a list");
        all.iter().find(|s| s["name"] == name).map_or(serde_json::Value::Null, |s| s["in_force"].clone())
    };
    assert_eq!(in_force("net.core.somaxconn"), "77");
    assert_eq!(in_force("net.ipv4.ip_local_port_range"), "11000 21000");
    assert_eq!(in_force("net.ipv4.tcp_tw_reuse"), "0");
    let seen = std::fs::read_to_string(scenario.0.path().join("seen")).expect("written by the subject");
    assert_eq!(
        seen.split_ascii_whitespace().collect::<Vec<_>>(),
        ["77", "7", "11000", "21000", &shown],
        "as the subject reads them"
    );
    let replayed = lastfd(&["replay", "--json", "-", events.join("in.jsonl").to_str().expect("UTF-8")]);
    assert_eq!(replayed.run(), report, "the log is whole");
}

#[test]
fn somaxconn_cuts_the_backlog_that_a_server_asks_for() {
    let run = Scenario::new(&served(SPINS, "net.core.somaxconn = 128")).run(&[]).run();
    assert_eq!(run["saturation"]["accept_queue"]["capacity"], 129, "{run:#}");
    let host: u64 = std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .expect("/proc")
        .trim()
        .parse()
        .expect("a number");
    let run = Scenario::new(&served(SPINS, "").replace("[sysctls]", "")).run(&[]).run();
    assert_eq!(
        run["saturation"]["accept_queue"]["capacity"],
        host.min(4096) + 1,
        "without sysctls it is in the host's namespace: {run:#}"
    );
    assert!(
        run["network_namespace"].is_null() && run["unmeasured"]["network_namespace"].is_string(),
        "{run:#}"
    );
}

#[test]
fn variants_have_sysctls_of_their_own_and_the_ceiling_does_not_move() {
    let variants = r#"
        [[variant]]
        name = "none"
        set = { sysctls = {} }
        [[variant]]
        name = "recycle"
        set = { sysctls = { "net.ipv4.tcp_tw_recycle" = 1 } }
        expect = { file-max-binds = false }
    "#;
    let called = Scenario::new(&(served(SPINS, "net.core.somaxconn = 16") + variants)).run(&[]);
    assert_eq!(called.code, Some(0), "{called:?}");
    let whole: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON");
    let runs = whole["runs"].as_array().expect("a list");
    let capacity = |run: &serde_json::Value| run["saturation"]["accept_queue"]["capacity"].as_u64();
    assert_eq!(capacity(&runs[0]), Some(17));
    assert_ne!(capacity(&runs[1]), Some(17));
    let note = serde_json::json!({ "name": "net.ipv4.tcp_tw_recycle", "asked": "1", "before": null, "in_force": null,
                                   "note": "removed in Linux 4.12: has no effect" });
    assert_eq!(runs[2]["sysctls"], serde_json::json!([note]));
    assert!(runs[2]["saturation"]["file_nr"]["max"].as_u64() > Some(0), "{:#}", runs[2]);
    let ceilings: Vec<_> = runs.iter().map(|run| run["ceiling"]["accepted"].as_u64()).collect();
    assert!(ceilings[0].is_some() && ceilings.iter().all(|ceiling| *ceiling == ceilings[0]), "{ceilings:?}");
}

#[test]
fn two_processes_and_two_workloads_meet_inside() {
    let text = r#"
        claim = "a backend beside the subject is reached inside"
        subject = "front"
        [processes.back]
        serve.http = {}
        limits = { soft = 64, hard = 64 }
        [processes.front]
        serve.http = { accept = "spin" }
        limits = { soft = 48, hard = 48 }
        [workloads.flood]
        http-idle = { to = "front", clients = 80 }
        [workloads.idle]
        http-idle = { to = "back", clients = 10 }
        [sysctls]
        net.core.somaxconn = 200
        [expect]
        ceiling = "soft - baseline"
        leaked = 0
    "#;
    let called = Scenario::new(text).run(&[]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(
        called.run()["ceiling"]["served"].as_u64(),
        called.run()["ceiling"]["accepted"].as_u64(),
        "{called:?}"
    );
}

/// As an unprivileged user, with nothing but a copy of the binary: a user namespace, a network namespace, a
/// PID namespace.
#[test]
fn an_unprivileged_user_has_sysctls_too() {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root || program("setpriv").is_none() {
        eprintln!("skipped: only root can become nobody");
        return;
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let granted = Command::new("setpriv")
        .args(nobody)
        .args(["unshare", "--user", "--net", "true"])
        .stderr(Stdio::null())
        .status();
    let granted = granted.is_ok_and(|status| status.success());
    let scenario = Scenario::new(&served(SPINS, FOUR));
    let copy = scenario.0.path().join("lastfd");
    std::fs::copy(LASTFD, &copy).expect("a copy");
    let mut run = Command::new("setpriv");
    run.args(nobody).arg(&copy).args(["run", "--json", "-"]).arg(scenario.path()).current_dir("/");
    let before = of_the_host();
    let called = called(&mut run);
    assert_eq!(of_the_host(), before);
    if !granted {
        assert_eq!(called.code, Some(5), "{called:?}");
        return;
    }
    assert_eq!(called.code, Some(0), "{called:?}");
    let run = called.run();
    assert_eq!(run["saturation"]["accept_queue"]["capacity"], 78, "{run:#}");
    assert!(
        run["network_namespace"].as_str().is_some_and(|name| name.ends_with("in a user namespace")),
        "{run:#}"
    );
    assert_eq!(run["ceiling"]["first_failure"]["errno"], "EMFILE", "{run:#}");
}

#[test]
fn a_machine_that_allows_no_network_namespace_is_inconclusive_with_the_reason() {
    let works = Command::new("unshare")
        .args(["-Ur", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if program("unshare").is_none() || !works {
        eprintln!("skipped: unshare cannot make a user namespace");
        return;
    }
    let scenario = Scenario::new(&served(SPINS, FOUR));
    // The bound is of that user namespace alone.
    let forbid = r#"echo 0 > /proc/sys/user/max_net_namespaces && exec "$0" "$@""#;
    let mut run = Command::new("unshare");
    run.args(["-Ur", "sh", "-c", forbid, LASTFD, "run", "--json", "-"]).arg(scenario.path());
    let called = called(&mut run);
    assert_eq!(called.code, Some(5), "{called:?}");
    let reason = called.run()["reasons"][0]["observed"].as_str().unwrap_or_default().to_owned();
    assert!(
        reason.contains("no network namespace can be made: the bound of `user.max_net_namespaces`")
            && reason.contains("doctor"),
        "{called:?}"
    );
}

#[test]
fn a_sysctl_of_the_whole_host_is_refused_before_anything_starts() {
    for (sysctl, says) in [
        ("\"fs.file-max\" = 1000", ["`fs.file-max` is not per network namespace", "expect.file-max-binds"]),
        (
            "\"net.core.netdev_max_backlog\" = 10",
            ["`net.core.netdev_max_backlog` is not per network namespace", "whole host"],
        ),
        ("net.core.rmem_max = 100000", ["`net.core.rmem_max` is not per network namespace", "whole host"]),
        (
            "\"net.ipv4.tcp_tw_reus\" = 1",
            ["no sysctl `net.ipv4.tcp_tw_reus`", "did you mean `net.ipv4.tcp_tw_reuse`?"],
        ),
        (
            "net.ipv4.tcp_fin_timeout = \"soon\"",
            ["does not take \"soon\" for `net.ipv4.tcp_fin_timeout`", "Invalid argument"],
        ),
        ("\"net.ipv4.../core.somaxconn\" = 1", ["is no name of a sysctl", "words with dots"]),
        ("net.core.somaxconn = 1.5", ["`sysctls.net.core.somaxconn` wants", "not a number"]),
    ] {
        let before = of_the_host();
        for command in ["check", "run"] {
            let scenario = Scenario::new(&served(SPINS, sysctl));
            let called = lastfd(&[command, scenario.path().to_str().expect("UTF-8")]);
            assert_eq!(called.code, Some(3), "{called:?}");
            for words in says {
                // Lines are broken where the page ends.
                let said = called
                    .stderr
                    .split_whitespace()
                    .filter(|word| *word != "│")
                    .collect::<Vec<_>>()
                    .join(" ");
                assert!(said.contains(words), "{words:?} is not in {}", called.stderr);
            }
        }
        assert_eq!(of_the_host(), before);
    }
}

/// SIGKILL at moments of a run: neither the process that makes it nor anything of it is left.
#[test]
fn sigkill_of_the_harness_leaves_nothing_inside() {
    let scenario = Scenario::new(&served(SPINS, FOUR));
    for moment in 0..8 {
        let mark = format!("LASTFD_TEST_MARK=inside-{}-{moment}", std::process::id());
        let (name, value) = mark.split_once('=').expect("as written");
        let mut harness = Command::new(LASTFD);
        harness
            .arg("run")
            .arg(scenario.path())
            .env(name, value)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut harness = harness.spawn().expect("the harness starts");
        std::thread::sleep(Duration::from_millis(moment * 31));
        harness.kill().expect("SIGKILL");
        harness.wait().expect("its end");
        assert!(
            eventually(Duration::from_secs(10), || marked(&mark).is_empty()),
            "left after {} ms: {:?}",
            moment * 31,
            marked(&mark)
        );
    }
}

#[test]
fn an_interrupt_ends_a_run_inside_and_says_so() {
    let mark = format!("LASTFD_TEST_MARK=inside-int-{}", std::process::id());
    let (name, value) = mark.split_once('=').expect("as written");
    let scenario = Scenario::new(&served(r#"serve.tcp = { accept = "backoff" }"#, FOUR));
    let mut harness = Command::new(LASTFD);
    harness
        .arg("run")
        .arg(scenario.path())
        .env(name, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let harness = harness.spawn().expect("the harness starts");
    // The harness, the process inside, its stage and init, the subject and the driver.
    assert!(
        eventually(Duration::from_secs(10), || marked(&mark).len() >= 6),
        "the subject and its driver came up"
    );
    rustix::process::kill_process(rustix::process::Pid::from_child(&harness), rustix::process::Signal::INT)
        .expect("SIGINT");
    let out = harness.wait_with_output().expect("its end");
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    assert!(eventually(Duration::from_secs(10), || marked(&mark).is_empty()), "left: {:?}", marked(&mark));
}

#[test]
fn sockets_in_time_wait_are_counted_and_hold_no_descriptor() {
    let words =
        subject("leaves_time_wait").iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    // A port in TIME_WAIT is not taken by a client of the load.
    let text = served(&format!("command = ['env', 'PORT={{port}}', {words}]"), "net.ipv4.tcp_tw_reuse = 0");
    let scenario = Scenario::new(&text);
    let called = scenario.run(&[]);
    assert_eq!(called.code, Some(0), "forty in TIME_WAIT, and the ceiling is where the limit is: {called:?}");
    let run = called.run();
    let (held, all) = (&run["saturation"]["tcp_states"], &run["saturation"]["tcp_namespace"]);
    assert!(all["TIME_WAIT"].as_u64() >= Some(40), "{run:#}");
    assert_eq!(
        held["ESTABLISHED"], run["ceiling"]["accepted"],
        "as many as the observer saw accepted: {run:#}"
    );
    assert_eq!((held["LISTEN"].as_u64(), held["TIME_WAIT"].as_u64()), (Some(1), None), "{run:#}");
    let points = run["tcp"].as_array().expect("a list");
    let full = |point: &&serde_json::Value| {
        point["descriptors"] == 48 && point["namespace"]["TIME_WAIT"].as_u64() >= Some(40)
    };
    assert!(
        points.iter().any(|point| full(&point)),
        "the table is full, and those in TIME_WAIT are beside it: {run:#}"
    );
    let text = lastfd(&["run", "--full", scenario.path().to_str().expect("UTF-8")]).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("0 CLOSE_WAIT; in the whole namespace ")
            && text.contains("in TIME_WAIT hold no descriptor."),
        "{text}"
    );
}

#[test]
fn a_subject_that_never_closes_is_seen_to_hold_close_wait() {
    let words = subject("keeps_what_clients_left")
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let text = served(&format!("command = [{words}]"), "net.core.somaxconn = 100")
        .replace("ceiling = \"soft - baseline\"", "leaked = 82");
    let called = Scenario::new(&text.replace("= 48", "= 256")).run(&[]);
    let run = called.run();
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(
        run["recovery"]["tcp_states_after"]["CLOSE_WAIT"], 82,
        "eighty clients and two probes: {run:#}"
    );
}

//! What is written of command lines and environments: in no place and no format a secret, and on demand no
//! argument.

use super::support::{LASTFD, called, lastfd, program};
use std::path::Path;
use std::process::Command;

const SECRET: &str = "hunter2hunter2";

/// Everything that a command wrote: both streams and every file of the folder.
fn written(command: &mut Command, folder: &Path) -> Vec<(String, String)> {
    let called = called(command.current_dir(folder).env("GITHUB_STEP_SUMMARY", folder.join("summary.md")));
    let mut all =
        vec![("standard output".to_owned(), called.stdout), ("standard error".to_owned(), called.stderr)];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("ours").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|e| e == "toml") => {}
                path => all.push((path.display().to_string(), std::fs::read_to_string(&path).expect("text"))),
            }
        }
    }
    all
}

fn never(secret: &str, all: &[(String, String)]) {
    for (place, text) in all {
        assert!(!text.contains(secret), "{place} has it:\n{text}");
    }
}

const FORMATS: [&str; 6] = ["--json", "r.json", "--junit", "r.xml", "--markdown", "r.md"];

#[test]
fn no_secret_of_a_client_program_is_written_with_its_last_words() {
    let Some(_) = program("bash") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line <&3; echo "${0#*=} is refused"; exit 1"#;
    let client = format!("bash -c '{script}' --password={SECRET}");
    let find =
        [&["find", "--nofile", "40", "--client", &client, "--events", "e.jsonl"][..], &FORMATS].concat();
    let server = ["--", LASTFD, "serve", "http", "--port", "{port}", "--accept", "cap-close"];
    let all = written(Command::new(LASTFD).args(find).args(server), folder.path());
    never(SECRET, &all);
    assert!(
        all.iter().any(|(place, text)| place.ends_with("e.jsonl") && text.contains("… is refused")),
        "{all:?}"
    );
}

#[test]
fn no_secret_of_a_command_line_is_written_in_any_format() {
    let folder = tempfile::tempdir().expect("a folder");
    // Also in the command line of an ancestor, and in a script before the exec.
    let find =
        [&["find", "--nofile", "64", "--clients", "2", "--hold", "0s", "--events", "e.jsonl"][..], &FORMATS]
            .concat();
    let script = format!(
        "ulimit -n 40; API_TOKEN={SECRET} exec env DB=pg://me:{SECRET}@db \\\"\\$0\\\" serve tcp --port {{port}}"
    );
    let outer =
        format!("'{LASTFD}' {} -- sh -c \"{script}\" '{LASTFD}' --password {SECRET}; :", find.join(" "));
    let all = written(
        Command::new("sh").args(["-c", &outer, "sh", &format!("--password={SECRET}")]),
        folder.path(),
    );
    assert_eq!(all.len(), 6, "four files and two streams: {all:?}");
    never(SECRET, &all);
    let text = |name: &str| &all.iter().find(|(place, _)| place.ends_with(name)).expect("written").1;
    assert!(text("e.jsonl").contains("API_TOKEN=…") && text("r.json").contains("ulimit -n 40; API_TOKEN=…"));
    let chain =
        serde_json::from_str::<serde_json::Value>(text("r.json")).expect("JSON")["runs"][0]["limits"].clone();
    assert_eq!(chain["set_by"]["by"], "before-exec", "{chain}");
    assert!(
        chain["chain"].as_array().expect("a chain").iter().any(|link| link["command"] == "sh"),
        "{chain}"
    );
}

#[test]
fn no_secret_of_the_environment_is_written_also_where_the_program_says_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = format!(
        r#"
claim = "it ends, and says what it knows"
subject = "server"
[processes.server]
command = ["sh", "-c", "echo my key is $API_KEY; exit 3"]
env = {{ API_KEY = "{SECRET}" }}
limits = {{ soft = 64, hard = 64 }}
[workloads.clients]
tcp = {{ to = "server" }}
"#
    );
    std::fs::write(folder.path().join("says.scenario.toml"), scenario).expect("written");
    for sysctls in [false, true] {
        let mut command = Command::new(LASTFD);
        command.args(["run", "says.scenario.toml", "--events", "events"]).args(FORMATS);
        if sysctls {
            let more = "[sysctls]\n\"net.ipv4.tcp_fin_timeout\" = \"30\"\n";
            let file = folder.path().join("says.scenario.toml");
            let text = std::fs::read_to_string(&file).expect("written above");
            std::fs::write(&file, text + more).expect("written");
        }
        let all = written(&mut command, folder.path());
        never(SECRET, &all);
        assert!(
            all.iter().any(|(_, text)| text.contains("my key is …") || text.contains("network namespace")),
            "{all:?}"
        );
    }
    for command in [&["run", "--dry-run"][..], &["explain"]] {
        let all = written(Command::new(LASTFD).args(command).arg("says.scenario.toml"), folder.path());
        never(SECRET, &all);
    }
}

#[test]
fn on_demand_no_argument_is_written_in_any_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(LASTFD);
    command.args([
        "find",
        "--redact",
        "--nofile",
        "64",
        "--clients",
        "2",
        "--hold",
        "0s",
        "--events",
        "e.jsonl",
    ]);
    command.args(FORMATS).args(["--", LASTFD, "serve", "tcp", "--port", "{port}", "--backlog", "57"]);
    let all = written(&mut command, folder.path());
    assert_eq!(all.len(), 6);
    never("--backlog", &all);
    never("serve tcp", &all);
    let json = all.iter().find(|(place, _)| place.ends_with("r.json")).expect("written");
    let run = serde_json::from_str::<serde_json::Value>(&json.1).expect("JSON")["runs"][0].clone();
    assert_eq!(
        (&run["verdict"], &run["subject"]["argv"]),
        (&"met".into(), &serde_json::json!([LASTFD, "…"]))
    );
    let replayed = lastfd(&["replay", folder.path().join("e.jsonl").to_str().expect("UTF-8"), "--json", "-"]);
    assert_eq!(replayed.run()["ceiling"], run["ceiling"], "it is measured again all the same");
}

#[test]
fn a_live_process_is_inspected_without_its_secrets() {
    let mut child = Command::new("sh")
        .args(["-c", "sleep 60; :", "sh", "--password", SECRET, "--port", "fifty-seven"])
        .spawn()
        .expect("sh is there");
    let pid = child.id().to_string();
    let inspect =
        |more: &[&str]| lastfd(&[&["inspect", &pid, "--for", "0s", "--json", "-"], more].concat()).stdout;
    let (plain, page, redacted) =
        (inspect(&[]), lastfd(&["inspect", &pid, "--for", "0s"]).stdout, inspect(&["--redact"]));
    let children = lastfd::internal::sys::proc::tree(child.id() as i32);
    for pid in children.into_iter().rev().filter_map(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    child.wait().expect("ours");
    assert!(
        plain.contains("--password … --port fifty-seven") && page.contains("--password … --port fifty-seven"),
        "{plain}{page}"
    );
    assert!(!plain.contains(SECRET) && !page.contains(SECRET));
    assert!(!redacted.contains("fifty-seven") && !redacted.contains("--port"), "{redacted}");
}

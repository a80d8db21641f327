//! A suite that is recorded and kept: without a regression it stays green, and each of four deliberate ones
//! turns it red, with a sentence that says what changed.

use crate::support::{Called, lastfd, subject};
use std::path::Path;
use tempfile::TempDir;

/// Of the server that cools down, as it was when it was recorded, milliseconds.
const COOLS_MS: u32 = 1500;

/// What can go wrong with the suite below.
#[derive(Clone, Copy)]
struct Suite {
    accept: &'static str,
    minfds: u32,
    leaks: &'static str,
    cools_ms: u32,
}

const AS_RECORDED: Suite = Suite { accept: "backoff", minfds: 96, leaks: "", cools_ms: COOLS_MS };

impl Suite {
    /// Writes its scenario files to a folder.
    fn write(self, folder: &Path) {
        let Suite { accept, minfds, leaks, cools_ms } = self;
        let words: Vec<String> = subject("cools_down").iter().map(|word| format!("{word:?}")).collect();
        let own = |env: &str, soft: u32, expect: &str| {
            format!(
                "claim = \"it recovers\"\nhold = \"1s\"\n[processes.s]\ncommand = [{}]\nenv = {{ {env} }}\nlimits = {{ soft = {soft}, hard = \
                 {soft} }}\n[workloads.clients]\ntcp = {{}}\n[expect]\n{expect}\n",
                words.join(", ")
            )
        };
        let files = [
            (
                "policy",
                format!(
                    "claim = \"it waits\"\nhold = \"1s\"\n[processes.s]\nserve.http = {{ accept = \"{accept}\" }}\nlimits = {{ soft \
                     = 64, hard = 64 }}\n[workloads.clients]\nhttp-idle = {{}}\n[expect]\npolicy = \"backoff\"\nfailures-per-s = \
                     \"at most 500/s\"\n"
                ),
            ),
            (
                "launcher",
                format!(
                    "claim = \"the supervisor raises it\"\nhold = \"1s\"\n[processes.s]\nserve.tcp = {{}}\nlimits = {{ soft = 64, hard = 128 \
                     }}\nlauncher.supervisor-like = {{ minfds = {minfds} }}\n[workloads.clients]\ntcp = {{}}\n[expect]\nlimits = {{ \
                     soft = \"at least 96\" }}\ncapacity = \"no worse than recorded\"\n"
                ),
            ),
            ("leak", own(leaks, 256, "leaked = 0")),
            (
                "recovery",
                own(
                    &format!("COOLS_MS = \"{cools_ms}\""),
                    48,
                    "first-served = \"no worse than recorded by 10 %\"",
                ),
            ),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name).with_extension("scenario.toml"), text).expect("our own folder");
        }
    }
}

fn run(folder: &TempDir, options: &[&str]) -> Called {
    lastfd(&[&["run", folder.path().to_str().expect("UTF-8")], options].concat())
}

/// The only reason of the only run that is not met, of a suite that is run whole.
fn reason(folder: &TempDir, suite: Suite) -> String {
    suite.write(folder.path());
    let called = run(folder, &["--json", "-"]);
    let report: serde_json::Value =
        serde_json::from_str(&called.stdout).unwrap_or_else(|e| panic!("{e}: {called:?}"));
    let runs = report["runs"].as_array().expect("runs");
    let unmet: Vec<_> = runs.iter().filter(|run| run["verdict"] != "met").collect();
    let [run] = unmet.as_slice() else { panic!("one is not met: {unmet:#?}") };
    assert_eq!((called.code, &run["verdict"]), (Some(1), &"not-met".into()), "{:#}", run["reasons"]);
    let reason = &run["reasons"][0];
    let part = |name: &str| reason[name].as_str().expect("text").to_owned();
    format!("{}: expected {}, observed {}", part("expectation"), part("expected"), part("observed"))
}

#[test]
fn each_of_four_regressions_turns_a_recorded_suite_red_and_says_what_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    AS_RECORDED.write(folder.path());
    // Before there is a recording, what compares with one is inconclusive, and names the command.
    let before = run(&folder, &["--filter", "launcher"]);
    assert_eq!(before.code, Some(5), "{before:?}");
    let file = folder.path().join("launcher.scenario.toml");
    let makes_it = format!("lastfd run --record {}", file.display());
    assert!(before.stdout.replace('\n', " ").contains("nothing is recorded"), "{}", before.stdout);
    let json = run(&folder, &["--filter", "launcher", "--json", "-"]).stdout;
    assert!(json.contains(&makes_it), "{json}");

    let check = lastfd(&["check", &file.display().to_string()]);
    let note = check.stdout.lines().find(|line| line.contains("note: ")).expect("a note");
    assert!(check.code == Some(0) && note.contains(&format!("`{makes_it}`")), "{check:?}");

    let recorded = run(&folder, &["--record"]);
    assert_eq!(recorded.code, Some(0), "{}\n{}", recorded.stdout, recorded.stderr);
    let again = run(&folder, &[]);
    assert_eq!(again.code, Some(0), "without a regression: {}", again.stdout);

    let said = [
        reason(&folder, Suite { accept: "spin", ..AS_RECORDED }),
        reason(&folder, Suite { minfds: 64, ..AS_RECORDED }),
        reason(&folder, Suite { leaks: "LEAKS_EVERY = \"100\"", ..AS_RECORDED }),
        reason(&folder, Suite { cools_ms: COOLS_MS * 6 / 5, ..AS_RECORDED }),
    ];
    let wanted = [
        ("policy: expected backoff, observed spin (", "failed accept4 calls a second"),
        ("limits.soft: expected at least 96, observed 64 (", "set by"),
        ("leaked: expected 0, observed ", " a connection (/dev/null)"),
        ("first-served: expected no worse than recorded by 10 %, observed ", "3 recorded runs with "),
    ];
    eprintln!("{}", said.join("\n"));
    for (said, (begins, has)) in said.iter().zip(wanted) {
        assert!(said.starts_with(begins) && said.contains(has), "{said}");
    }
}

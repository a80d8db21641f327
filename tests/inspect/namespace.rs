//! lastfd in a PID namespace that is not the machine's first one.

use super::held::Held;
use crate::support::{LASTFD, program};
use std::process::{Command, Stdio};

/// A line of shell as process 1 of a new PID namespace, with `/proc` of that namespace or the outer one's:
/// what it prints. `None`, and said so, where namespaces are refused.
fn inside(own_proc: bool, script: &str) -> Option<String> {
    let unshare = program("unshare")?;
    let mount: &[&str] = if own_proc { &["--mount-proc"] } else { &[] };
    let unshare = || {
        let mut command = Command::new(&unshare);
        command
            .args(["--pid", "--fork", "--kill-child"])
            .args(mount)
            .args(["sh", "-c"])
            .env("LASTFD", LASTFD);
        command
    };
    if !unshare().arg(":").stderr(Stdio::null()).status().unwrap().success() {
        eprintln!("skipped: a PID namespace is refused here");
        return None;
    }
    let output = unshare().arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn inside_a_namespace_the_ids_are_said_to_be_of_that_namespace() {
    let Some(text) = inside(true, "sleep 60 >/dev/null 2>&1 & \"$LASTFD\" inspect $! --for 0s; kill $!")
    else {
        return;
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        line.contains(
            "process ids are those of this PID namespace (a container); on the host they are others."
        ),
        "{text}"
    );
    assert!(line.contains("is right in this PID namespace only"), "{text}");
    assert!(line.contains("prlimit --pid 2 "), "{text}");
}

/// The command is run there, and the shell's own `ulimit` is the witness of its effect.
#[test]
fn where_proc_is_of_an_outer_namespace_the_command_has_the_id_that_works_inside() {
    if program("prlimit").is_none() {
        return;
    }
    // /proc/self is what an outer /proc calls the shell that reads it.
    let script = "ulimit -Sn 48; read outer rest </proc/self/stat; \"$LASTFD\" inspect $outer --for 0s; \
                  $(\"$LASTFD\" inspect $outer --for 0s | grep -o 'prlimit --pid 1 .*' | head -1); ulimit -Sn";
    let Some(text) = inside(false, script) else { return };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        line.contains("/proc shows the ids of an outer PID namespace.") && line.contains(" is 1. "),
        "{text}"
    );
    let raised: u64 = text.lines().last().unwrap().parse().unwrap();
    assert!(raised > 48, "{text}");
}

#[test]
fn a_process_that_only_an_outer_proc_shows_is_not_taken_for_another() {
    let held = Held::start("known");
    let script = format!("\"$LASTFD\" inspect {} --for 0s 2>&1; echo code $?", held.pid());
    let Some(text) = inside(false, &script) else { return };
    assert!(
        text.contains("outside of the PID namespace that lastfd runs in") && text.contains("code 5"),
        "{text}"
    );
}

#[test]
fn a_process_in_a_namespace_of_its_own_is_named_by_both_ids() {
    let Some(_) = inside(false, ":") else { return };
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", "echo ready; read line"]);
    let mut outer = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(outer.stdout.take().unwrap()), &mut ready)
        .unwrap();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", outer.id())).unwrap();
    let (text, line) = super::page(children.trim(), "0s");
    drop(outer.stdin.take());
    outer.wait().unwrap();
    assert!(line.contains("in a PID namespace of its own (a container) it is process 1."), "{text}");
    assert!(line.contains(&format!("prlimit --pid {} ", children.trim())), "{text}");
}

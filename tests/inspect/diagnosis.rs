//! The first line of the report, and the causes that it names.

use super::held::{self, ADDRESS, ANSWER, ANSWERED, CLIENTS, FULL, Held};
use super::{inspect, lastfd, page, peers};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};

#[test]
fn a_process_at_its_limit_is_said_to_be_first_of_all_and_growth_does_not_contradict_it() {
    let held = Held::start("full");
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", held.pid())).unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    assert_eq!(numbers.filter(|number| *number < FULL).count() as u64, FULL);
    let (text, line) = page(held.pid(), "300ms");
    let first = format!(
        "Process {} is at its limit now: {FULL} of {FULL} descriptors are open, so the next open, accept or socket fails with EMFILE.",
        held.pid()
    );
    assert!(line.starts_with(&first), "{text}");
    assert!(line.contains("pace none: it is at its limit, and cannot grow."), "{text}");
    assert!(!line.contains("A slow leak"), "{text}");
}

#[test]
fn a_process_with_room_raises_no_alarm() {
    let held = Held::start("known");
    let (text, _) = page(held.pid(), "0s");
    assert!(text.starts_with(&format!("Process {}: ", held.pid())), "{text}");
}

#[test]
fn deleted_files_keep_their_mark_and_are_counted_as_such() {
    let held = Held::start("deleted");
    let folder = held.line("folder");
    let report = inspect(held.pid(), "0s");
    assert_eq!(report["deleted"], 5);
    let expected = BTreeMap::from([
        (format!("{folder}/log.0 (deleted)"), 2),
        (format!("deleted files in {folder}/, one descriptor each"), 3),
    ]);
    let files = peers(&report, "file").into_iter().filter(|(what, _)| what.contains(&folder)).collect();
    assert_eq!(expected, files);
    let (text, line) = page(held.pid(), "0s");
    assert!(line.contains("deleted 5 open files are deleted: "), "{text}");
}

#[test]
fn every_kind_that_grew_is_named_and_the_one_that_grew_most_comes_first() {
    let held = Held::start("many-kinds");
    let (text, line) = page(held.pid(), "500ms");
    let growth = line.split_once("what +").expect("it grows").1.split_once("Where the limit").unwrap().0;
    let kinds: Vec<&str> = growth.split(" +").filter(|grew| !grew.contains(" ends")).collect();
    assert!(growth.split_once(' ').unwrap().1.starts_with("pipe: +"), "four of nine: {text}");
    for kind in ["epoll", "eventfd", "timerfd", "inotify", "file"] {
        let named = |grew: &&&str| grew.split(' ').nth(1) == Some(kind);
        assert_eq!(kinds.iter().filter(named).count(), 1, "{kind}: {text}");
    }
    let report = inspect(held.pid(), "500ms");
    let by: Vec<u64> = report["growth"]["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grown| grown["by"].as_u64().unwrap())
        .collect();
    assert!(by.len() == 6 && by.is_sorted_by(|a, b| a >= b) && by[0] >= 2 * by[1], "{by:?}");
}

#[test]
fn answers_that_a_client_does_not_read_are_counted_in_sockets_and_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut accepted: Vec<_> = (0..CLIENTS).map(|_| listener.accept().unwrap().0).collect();
        accepted[..ANSWERED].iter_mut().for_each(|answered| answered.write_all(&[b'x'; ANSWER]).unwrap());
        // A FIN counts as a byte in the kernel's table.
        accepted[ANSWERED].shutdown(Shutdown::Write).unwrap();
        accepted
    });
    let held = Held::spawn(held::command("unread").env(ADDRESS, address));
    let accepted = server.join().unwrap();
    let unread = inspect(held.pid(), "100ms")["unread"].clone();
    let expected = serde_json::json!({
        "sockets": ANSWERED, "of": CLIENTS, "bytes": ANSWERED * ANSWER, "outbound": ANSWERED, "stayed": ANSWERED,
    });
    assert_eq!(unread, expected);
    let (text, line) = page(held.pid(), "100ms");
    let expected = format!(
        "unread data in {ANSWERED} of {CLIENTS} sockets: bodies nobody reads. It stayed there for as long as it was watched (7 kB in all)."
    );
    assert!(line.contains(&expected), "{text}");
    let (text, line) = page(held.pid(), "0s");
    assert!(line.contains("bodies nobody reads, if it stays there"), "one look is no proof: {text}");
    drop(accepted);
}

/// /proc shows one process, which was a shell a moment before.
#[test]
fn a_limit_set_before_an_exec_of_the_same_process_is_not_laid_upon_the_program() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -Sn 48; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let name = || std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
    let runs = crate::support::eventually(std::time::Duration::from_secs(10), || name() == "cat\n");
    let (text, line) = page(child.id(), "0s");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(runs && line.contains("set by this process itself, or by what it ran before its exec"), "{text}");
}

#[test]
fn a_process_that_has_exited_meanwhile_is_not_at_its_limit_now_and_gets_no_command() {
    let mut held = Held::start("full");
    let watch = lastfd(&["inspect", &held.pid().to_string(), "--for", "60s"]).spawn().unwrap();
    assert!(super::watches(watch.id()));
    held.finish();
    let text = super::plain_text(&watch.wait_with_output().unwrap());
    assert!(text.starts_with(&format!("Process {}: ", held.pid())), "{text}");
    assert!(text.contains("nothing to raise now") && !text.contains("prlimit --pid"), "{text}");
}

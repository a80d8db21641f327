use crate::support::{Server, eventually};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

fn collector(limit: u32, folder: &Path, log: &str) -> Server {
    let folder = folder.to_str().expect("text");
    Server::start(
        limit,
        &["collector", "--log", log, "--folder", folder, "--baseline", "12", "--accept", "spin-log"],
    )
}

/// All that is in the files of a folder.
fn logged(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("listed");
    files.map(|file| std::fs::read_to_string(file.expect("listed").path()).expect("text")).collect()
}

#[test]
fn a_log_a_connection_costs_two_descriptors_and_a_shared_log_one() {
    for (log, each, files) in [("per-connection", 2, 4), ("shared", 1, 1)] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = collector(64, folder.path(), log);
        assert_eq!(server.listed(), 12, "{log}");
        let mut clients: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
        eventually("all are held", || server.listed() == 12 + 4 * each);
        clients.iter_mut().for_each(|client| client.write_all(b"requests 17\nerrors 0\n").expect("sent"));
        eventually("all is written", || logged(folder.path()).concat().lines().count() == 8);
        let text = logged(folder.path());
        assert_eq!(text.len(), files, "{log}");
        let from = clients[0].local_addr().expect("an address");
        assert!(
            text.iter().any(|text| text.contains(&format!("{from} requests 17\n{from} errors 0\n"))),
            "{text:?}"
        );
        drop(clients);
        eventually("it is at rest again", || server.listed() == 12);
        assert_eq!(server.terminate().counts[0]["work"]["done"], 8);
    }
}

#[test]
fn the_ceiling_is_half_and_the_first_failing_call_depends_on_which_descriptor_comes_last() {
    for (limit, call, accepted) in [(40, "accept4", 14), (41, "openat", 15)] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder_name = folder.path().to_str().expect("text");
        let server = Server::start(
            limit,
            &["collector", "--folder", folder_name, "--baseline", "12", "--accept", "backoff"],
        );
        // All at once: however fast they come, each gets its log before the next is accepted.
        let held: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
        eventually("accept fails", || server.errors().contains("accept4"));
        assert_eq!(server.listed(), limit);
        let end = server.terminate();
        drop(held);
        assert!(end.errors.lines().all(|line| line.contains("Too many open files")), "{}", end.errors);
        let counts = &end.counts[0];
        assert_eq!(
            (&counts["work"]["first_emfile"]["call"], &counts["total"]),
            (&call.into(), &accepted.into()),
            "under {limit}"
        );
        assert_eq!(logged(folder.path()).len(), 14, "logs under {limit}");
    }
}

#[test]
fn a_log_that_could_not_be_opened_is_tried_again_with_each_line_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = collector(41, folder.path(), "per-connection");
    let mut held: Vec<TcpStream> = Vec::new();
    for descriptors in (14..=40).step_by(2).chain([41]) {
        held.push(server.connect());
        eventually("it is held", || server.listed() == descriptors);
    }
    let opens = || server.errors().lines().filter(|line| line.contains("open /")).count();
    eventually("the last one has no log", || opens() == 1);
    let mut last = held.pop().expect("fifteen");
    last.write_all(b"lost\n").expect("sent");
    eventually("it has none still", || opens() == 2);
    drop(held);
    eventually("the others have left", || server.listed() == 13);
    last.write_all(b"kept\n").expect("sent");
    eventually("it is written", || logged(folder.path()).concat().contains(" kept\n"));
    assert!(!logged(folder.path()).concat().contains("lost"));
}

#[test]
fn without_a_folder_no_log_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(32, &["collector"], &[("TMPDIR", folder.path())]);
    let rest = server.listed();
    let mut client = server.connect();
    client.write_all(b"requests 17\n").expect("sent");
    eventually("it has its log", || server.listed() == rest + 2);
    eventually("the log has no name any more", || {
        std::fs::read_dir(folder.path()).is_ok_and(|mut files| files.next().is_none())
    });
}

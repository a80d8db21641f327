use crate::support::{Server, eventually, listed};
use lastfd_servers::accept::Ring;

/// Skips visibly where rings are forbidden, as in most containers.
fn allowed() -> bool {
    let ring = Ring::open();
    if let Err(why) = &ring {
        eprintln!("skipped: no io_uring here: {why}");
    }
    ring.is_ok()
}

#[test]
fn a_ring_counts_into_the_baseline_and_waits_without_a_number() {
    if !allowed() {
        return;
    }
    for kind in ["http", "websocket", "tcp", "grpc"] {
        let server = Server::start(32, &[kind, "--io-uring", "--baseline", "12"]);
        let links = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs").flatten();
        let rings = links
            .filter(|link| {
                std::fs::read_link(link.path()).is_ok_and(|to| to.ends_with("anon_inode:[io_uring]"))
            })
            .count();
        assert_eq!((rings, server.listed()), (1, 12), "{kind}");
        let held: Vec<_> = (13..=32)
            .map(|descriptors| {
                let client = server.connect();
                eventually("it is accepted", || listed(server.pid(), 32) == descriptors);
                client
            })
            .collect();
        let end = server.terminate();
        assert_eq!(
            (held.len(), &end.counts[0]["total"]),
            (20, &20.into()),
            "{kind}: one descriptor each, and all of them"
        );
    }
}

#[test]
fn a_failed_accept_by_io_uring_is_called_so_in_the_log() {
    if !allowed() {
        return;
    }
    let server = Server::start(32, &["tcp", "--io-uring", "--accept", "backoff", "--delay-ms", "20"]);
    let _held = server.fill();
    eventually("it has failed", || server.errors().contains("accept by io_uring on 127.0.0.1:"));
}

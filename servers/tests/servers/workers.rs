use crate::support::{Server, eventually, listed};
use rustix::process::Signal;
use std::net::TcpStream;

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs");
    text.split_whitespace().map(|child| child.parse().expect("a process id")).collect()
}

/// Reaped or not, it runs no more.
fn is_gone(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().expect("a state").starts_with(" Z"))
}

#[test]
fn each_worker_has_a_limit_and_a_count_of_its_own() {
    let server = Server::start(32, &["http", "--workers", "2", "--baseline", "12", "--accept", "spin-log"]);
    let workers = children(server.pid());
    assert_eq!(workers.len(), 2);
    assert!(workers.iter().all(|&worker| listed(worker, 32) == 12));
    let at_rest = server.listed();
    let held: Vec<TcpStream> = (1..=40)
        .map(|descriptors| {
            let client = server.connect();
            eventually("it is accepted", || {
                workers.iter().map(|&worker| listed(worker, 32)).sum::<u32>() == 24 + descriptors
            });
            client
        })
        .collect();
    eventually("accept has failed in both", || {
        workers.iter().all(|worker| server.errors().contains(&format!("[{worker}]: accept4")))
    });
    assert_eq!(server.listed(), at_rest, "the master holds no connection");
    let end = server.terminate();
    drop(held);
    let mut pids: Vec<u64> =
        end.counts.iter().map(|counts| counts["pid"].as_u64().expect("a process id")).collect();
    pids.sort_unstable();
    assert_eq!(pids, workers.iter().map(|&worker| u64::from(worker)).collect::<Vec<_>>());
    assert!(
        end.counts.iter().all(|counts| counts["total"] == 20 && counts["before_first_emfile"] == 20),
        "{:?}",
        end.counts
    );
    assert_eq!(end.status.code(), Some(0));
}

#[test]
fn workers_have_a_listener_each_where_the_port_is_shared_by_so_reuseport() {
    for (whose, listeners) in [("shared", 1), ("reuseport", 3)] {
        let server = Server::start(32, &["tcp", "--workers", "3", "--listeners", whose, "--baseline", "12"]);
        let table = std::fs::read_to_string("/proc/net/tcp").expect("readable");
        let local = format!(":{:04X}", server.address.port());
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            rows.filter(|row| row[1].ends_with(&local) && row[3] == "0A").count(),
            listeners,
            "{whose}"
        );
        assert!(
            children(server.pid()).iter().all(|&worker| listed(worker, 32) == 12),
            "{whose}: none costs a descriptor more"
        );
        let _client = server.connect();
        assert_eq!(server.terminate().status.code(), Some(0), "{whose}");
    }
}

#[test]
fn workers_die_with_a_master_that_is_killed() {
    let server = Server::start(32, &["tcp", "--workers", "2"]);
    let workers = children(server.pid());
    server.signal(Signal::KILL);
    server.end();
    eventually("no worker is left", || workers.iter().all(|&worker| is_gone(worker)));
}

#[test]
fn a_worker_that_exits_is_not_replaced_and_the_last_one_ends_the_master() {
    let server = Server::start(32, &["tcp", "--workers", "2", "--accept", "exit", "--baseline", "30"]);
    let workers = children(server.pid());
    let _held: Vec<TcpStream> = (0..4).filter_map(|_| TcpStream::connect(server.address).ok()).collect();
    let end = server.end();
    assert_eq!(end.status.code(), Some(1));
    assert_eq!(end.counts.len(), workers.len());
    assert!(end.counts.iter().all(|counts| counts["before_first_emfile"] == 2), "{:?}", end.counts);
}

#[test]
fn a_master_whose_workers_cannot_start_says_why_and_ends() {
    let end = Server::try_start(32, &["tcp", "--workers", "2", "--baseline", "1"]).err().expect("refused");
    assert_eq!(end.status.code(), Some(6));
    assert!(end.errors.contains("--baseline 1 cannot be kept"), "{}", end.errors);
}

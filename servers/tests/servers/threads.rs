use crate::support::{Server, ask, eventually, is_answered, listed};

/// Numbers that threads blocked in accept reserve: the size of /proc/PID/fd counts them (Linux 6.2 or newer),
/// its listing does not. Both count descriptors inherited above the limit.
fn reserved(server: &Server) -> u64 {
    let size = std::fs::metadata(format!("/proc/{}/fd", server.pid())).expect("it runs").len();
    size.saturating_sub(u64::from(listed(server.pid(), u32::MAX)))
}

#[test]
fn four_threads_blocked_in_accept_reserve_four_numbers_that_no_listing_shows() {
    let server = Server::start(64, &["tcp", "--threads", "4", "--baseline", "12"]);
    eventually("four numbers are reserved", || reserved(&server) == 4);
    assert_eq!(server.listed(), 12);
}

#[test]
fn a_blocked_thread_costs_a_place_at_the_first_emfile_but_not_in_the_end() {
    for threads in [1, 4] {
        let server = Server::start(
            64,
            &[
                "http",
                "--blocking",
                "--threads",
                &threads.to_string(),
                "--baseline",
                "12",
                "--accept",
                "backoff",
                "--delay-ms",
                "20",
            ],
        );
        let mut held: Vec<_> = (12..64)
            .map(|descriptors| {
                // A thread that has just accepted must be back in accept, where a number is left for it, or
                // it reserves none.
                let blocked = threads.min(64 - u64::from(descriptors));
                eventually("the threads are blocked", || {
                    server.listed() == descriptors && reserved(&server) == blocked
                });
                // Where none is left, only its log says that it is back.
                eventually("the others have failed", || blocked == threads || !server.errors().is_empty());
                server.connect()
            })
            .collect();
        eventually("the table is full, and accept has failed", || {
            server.listed() == 64 && !server.errors().is_empty()
        });
        // Its number is listed a moment before the server has counted it; its answer comes afterwards.
        let last = held.last_mut().expect("52 of them");
        ask(last);
        assert!(is_answered(last));
        let end = server.terminate();
        assert_eq!(held.len(), 52);
        assert_eq!(end.counts[0]["total"], 52, "{threads} threads");
        assert_eq!(end.counts[0]["before_first_emfile"], 52 - (threads - 1), "{threads} threads");
    }
}

#[test]
fn a_single_thread_that_polls_reserves_nothing() {
    let server = Server::start(64, &["tcp", "--baseline", "12"]);
    assert_eq!(reserved(&server), 0);
}

#[test]
fn reserve_fd_does_not_go_with_threads_that_block() {
    let end =
        Server::try_start(64, &["tcp", "--threads", "2", "--accept", "reserve-fd"]).err().expect("refused");
    assert_eq!(end.status.code(), Some(2));
}

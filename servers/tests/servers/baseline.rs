use crate::support::Server;

#[test]
fn a_baseline_is_kept_to_the_descriptor_by_every_service() {
    for kind in ["http", "websocket", "tcp", "grpc"] {
        for baseline in [9, 10, 11, 23, 64] {
            let server = Server::start(64, &[kind, "--baseline", &baseline.to_string()]);
            assert_eq!(server.listed(), baseline, "{kind}");
        }
    }
}

#[test]
fn a_reserve_counts_into_the_baseline() {
    let server = Server::start(32, &["tcp", "--accept", "reserve-fd", "--baseline", "12"]);
    assert_eq!(server.listed(), 12);
    assert_eq!(server.fill().len(), 20);
}

#[test]
fn the_ceiling_is_the_limit_less_the_baseline() {
    let server = Server::start(64, &["websocket", "--baseline", "12"]);
    let held = server.fill();
    let end = server.terminate();
    assert_eq!(held.len(), 52);
    assert_eq!(end.counts[0]["total"], 52);
}

#[test]
fn what_a_service_opens_at_rest_never_listens() {
    let server = Server::start(64, &["tcp", "--baseline", "40"]);
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("listed")
        .filter_map(|entry| {
            std::fs::read_link(entry.ok()?.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(String::from)
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("readable");
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    let states: Vec<&str> =
        rows.iter().filter(|row| sockets.iter().any(|inode| inode == row[9])).map(|row| row[3]).collect();
    assert_eq!(states.iter().filter(|state| **state == "0A").count(), 1, "{states:?}");
    assert!(
        states.iter().filter(|state| **state == "01").count() > 1,
        "it has backend connections: {states:?}"
    );
}

#[test]
fn a_baseline_that_cannot_be_is_refused_with_the_numbers() {
    let open = Server::start(32, &["http"]).listed();
    let end = Server::try_start(32, &["http", "--baseline", "2"]).err().expect("refused");
    assert_eq!(end.status.code(), Some(6));
    assert!(end.errors.contains(&format!("{open} descriptors are open already")), "{}", end.errors);
    let end = Server::try_start(32, &["http", "--baseline", "33"]).err().expect("refused");
    assert_eq!(end.status.code(), Some(6));
    assert!(end.errors.contains("the soft limit is 32"), "{}", end.errors);
}

#[test]
fn a_limit_too_low_to_start_is_named() {
    let end = Server::try_start(5, &["grpc"]).err().expect("five descriptors are too few for a runtime");
    assert_eq!(end.status.code(), Some(6));
    assert!(end.errors.contains("the soft limit of 5 descriptors is too low"), "{}", end.errors);
    assert!(end.counts.is_empty());
}

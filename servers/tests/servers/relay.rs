use crate::identity::Identity;
use crate::support::{Server, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Sends a request, and returns the answer's status and body.
fn request(client: &mut TcpStream, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(&[head.as_bytes(), body].concat()).expect("sent");
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("an answer") > 0, "{head:?} and no more");
    }
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    let mut text = vec![0; field("content-length:").expect("a length").parse().expect("a number")];
    reader.read_exact(&mut text).expect("a body");
    (head[9..12].parse().expect("a status"), String::from_utf8(text).expect("text"))
}

/// Asks until the answer is a failure, over one connection; returns how many were not, and the failure.
fn until_it_fails(server: &Server, method: &str, path: &str) -> (u32, String) {
    let mut client = server.connect();
    for done in 0..200 {
        let (status, text) = request(&mut client, method, path, b"some bytes");
        if status != 200 {
            assert_eq!(status, 503);
            return (done, text);
        }
    }
    panic!("it never fails");
}

/// A relay and the servers that it calls; none of them runs out of descriptors.
struct Field {
    identity: Identity,
    api: Server,
    backend: Server,
    folder: tempfile::TempDir,
}

impl Field {
    fn new() -> Self {
        let identity = Identity::new();
        let backend = Server::start(1024, &identity.serve("grpc", &[]));
        Field {
            api: Server::start(1024, &["http"]),
            backend,
            identity,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn relay(&self, limit: u32, more: &[&str]) -> Server {
        let (api, backend) = (self.api.address.to_string(), self.backend.tls_address.to_string());
        let folder = self.folder.path().to_str().expect("text");
        let ca = self.identity.certificate();
        let calls = ["relay", "--api", &api, "--backend", &backend, "--ca", &ca, "--folder", folder];
        Server::start(limit, &[&calls, more].concat())
    }
}

#[test]
fn an_unread_body_leaks_one_descriptor_an_upload_until_the_next_upload_cannot_be_opened() {
    let field = Field::new();
    let server = field.relay(48, &["--body", "kept", "--baseline", "12"]);
    let (done, failure) = until_it_fails(&server, "POST", "/upload");
    // 12 at rest and the client's connection: each upload leaves one more, and the next needs one for a
    // moment.
    assert_eq!(done, 48 - 13);
    assert!(failure.starts_with(&format!("open {}", field.folder.path().display())), "{failure}");
    assert!(failure.ends_with("Too many open files (os error 24)\n"), "{failure}");
    assert!(server.errors().contains(&format!("/upload: {failure}")), "{}", server.errors());
    assert_eq!(std::fs::read_dir(field.folder.path()).expect("listed").count(), 0, "uploads are removed");
    let counts = &server.terminate().counts[0];
    assert_eq!(counts["work"]["first_emfile"], serde_json::json!({ "call": "openat", "done_before": 35 }));
    assert_eq!(counts["work"]["failed"], 1);
}

#[test]
fn a_body_that_is_read_or_closed_leaks_nothing_in_500_uploads() {
    let field = Field::new();
    for (body, connections) in [("drained", 1), ("closed", 0)] {
        let server = field.relay(32, &["--body", body, "--baseline", "12"]);
        let mut client = server.connect();
        for _ in 0..500 {
            assert_eq!(
                request(&mut client, "POST", "/upload", b"some bytes"),
                (200, "done\n".to_owned()),
                "{body}"
            );
        }
        assert_eq!(server.listed(), 12 + 1 + connections, "{body}");
        assert_eq!(
            server.terminate().counts[0]["work"],
            serde_json::json!({ "done": 500, "failed": 0, "first_emfile": null })
        );
    }
}

#[test]
fn a_channel_left_open_leaks_one_descriptor_a_call_and_fails_at_the_certificate_if_that_is_read_each_time() {
    let field = Field::new();
    for (read, call, step) in [("per-call", "openat", "open /"), ("cached", "socket", "dial tcp 127.0.0.1:")]
    {
        let server =
            field.relay(48, &["--certificate-read", read, "--after-call", "left-open", "--baseline", "12"]);
        let (done, failure) = until_it_fails(&server, "GET", "/call");
        assert_eq!(done, 48 - 13, "{read}");
        assert!(failure.starts_with(step) && failure.contains("Too many open files"), "{failure}");
        assert_eq!(failure.contains(": socket: "), call == "socket", "{failure}");
        let counts = &server.terminate().counts[0];
        assert_eq!(counts["work"]["first_emfile"], serde_json::json!({ "call": call, "done_before": done }));
        assert_eq!(counts["handshakes"], done);
    }
}

#[test]
fn a_closed_channel_a_call_shakes_hands_each_time_and_a_shared_one_once_and_neither_leaks() {
    let field = Field::new();
    for (channel, at_rest, handshakes) in [("per-call", 12, 40), ("shared", 12, 1)] {
        let server =
            field.relay(32, &["--channel", channel, "--certificate-read", "per-call", "--baseline", "12"]);
        assert_eq!(server.listed(), at_rest, "the shared channel is open at rest");
        let mut client = server.connect();
        for _ in 0..40 {
            assert_eq!(request(&mut client, "GET", "/call", b"").0, 200);
        }
        assert_eq!(server.listed(), at_rest + 1, "{channel}");
        assert_eq!(server.terminate().counts[0]["handshakes"], handshakes, "{channel}");
    }
}

#[test]
fn a_shared_channel_is_opened_before_the_relay_listens() {
    let field = Field::new();
    let bare = field.relay(32, &["--channel", "per-call"]).listed();
    assert_eq!(field.relay(32, &["--channel", "shared"]).listed(), bare + 1);
}

#[test]
fn many_calls_at_once_fail_first_at_the_certificate() {
    let identity = Identity::new();
    // It accepts and never shakes hands, so that calls stay under way.
    let backend = Server::start(1024, &["tcp"]);
    let (to, ca) = (backend.address.to_string(), identity.certificate());
    let server = Server::start(
        48,
        &["relay", "--backend", &to, "--ca", &ca, "--certificate-read", "per-call", "--baseline", "12"],
    );
    // Twenty clients hold one each, and their calls want one each: sixteen are left.
    let mut clients: Vec<TcpStream> = server.fill_to(32);
    clients
        .iter_mut()
        .for_each(|client| client.write_all(b"GET /call HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent"));
    eventually("a call has failed", || !server.errors().is_empty());
    let end = server.terminate();
    let first_line = end.errors.lines().next().expect("it complained");
    assert!(first_line.contains(&format!("/call: open {ca}: Too many open files")), "{first_line}");
    assert_eq!(end.counts[0]["work"]["first_emfile"]["call"], "openat", "{}", end.errors);
}

#[test]
fn outbound_fails_at_socket_when_connections_are_left_open_and_never_when_they_are_closed() {
    let api = Server::start(1024, &["http"]);
    let address = api.address.to_string();
    let start = |after_call| {
        Server::start(48, &["outbound", "--api", &address, "--after-call", after_call, "--baseline", "12"])
    };
    let server = start("left-open");
    let (done, failure) = until_it_fails(&server, "GET", "/");
    assert_eq!(done, 48 - 13);
    assert_eq!(failure, format!("dial tcp {address}: socket: Too many open files (os error 24)\n"));
    assert_eq!(server.terminate().counts[0]["work"]["first_emfile"]["call"], "socket");
    let server = start("closed");
    let mut client = server.connect();
    for _ in 0..100 {
        assert_eq!(request(&mut client, "GET", "/", b"").0, 200);
    }
    assert_eq!(server.listed(), 13);
}

#[test]
fn outbound_fails_at_socket_too_when_each_request_comes_by_a_connection_of_its_own() {
    let api = Server::start(1024, &["http"]);
    let address = api.address.to_string();
    let server =
        Server::start(32, &["outbound", "--api", &address, "--after-call", "left-open", "--baseline", "12"]);
    for leaked in 0.. {
        let (status, _) = request(&mut server.connect(), "GET", "/", b"");
        if status == 503 {
            assert_eq!(leaked, 32 - 12 - 1);
            break;
        }
        eventually("the client's connection is closed", || server.listed() == 12 + leaked + 1);
    }
    let counts = &server.terminate().counts[0];
    assert_eq!(
        (&counts["work"]["first_emfile"]["call"], &counts["before_first_emfile"]),
        (&"socket".into(), &serde_json::Value::Null)
    );
}

#[test]
fn whom_it_calls_must_be_said_and_one_who_is_not_there_is_named_with_the_step() {
    for (arguments, missing) in [
        (&["outbound"][..], "--api"),
        (&["relay"], "--api, --backend"),
        (&["relay", "--backend", "127.0.0.1:1"], "--ca"),
    ] {
        let end = Server::try_start(32, arguments).err().expect("refused");
        assert_eq!(end.status.code(), Some(2), "{}", end.errors);
        assert!(end.errors.contains(missing), "{}", end.errors);
    }
    let server = Server::start(32, &["outbound", "--api", "127.0.0.1:1"]);
    let (status, text) = request(&mut server.connect(), "GET", "/", b"");
    assert_eq!(
        (status, text.as_str()),
        (503, "dial tcp 127.0.0.1:1: connect: Connection refused (os error 111)\n")
    );
    assert!(server.terminate().counts[0]["work"]["first_emfile"].is_null());
}

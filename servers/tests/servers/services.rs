use crate::support::{DEADLINE, End, Server, ask, eventually, is_answered};
use lastfd_servers::grpc::echo::{Message, echo_client::EchoClient};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;

/// RFC 6455 section 1.2, without the optional headers.
const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A masked ping "Hello": the masking of RFC 6455 section 5.7.
const PING: [u8; 11] = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// Sends, and reads until `end` has come.
fn exchange(client: &mut TcpStream, request: &[u8], end: &[u8]) -> Vec<u8> {
    client.set_read_timeout(Some(DEADLINE)).expect("set");
    client.write_all(request).expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(end) {
        let mut byte = [0];
        client
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&answer)));
        answer.push(byte[0]);
    }
    answer
}

fn is_closed(client: &mut TcpStream) -> bool {
    matches!(client.read(&mut [0]), Ok(0)) || client.take_error().is_ok_and(|error| error.is_some())
}

#[test]
fn http_answers_every_request_on_one_connection() {
    let server = Server::start(32, &["http"]);
    let mut client = server.connect();
    for _ in 0..3 {
        ask(&mut client);
        assert!(is_answered(&mut client));
    }
    assert_eq!(server.terminate().counts[0]["total"], 1);
}

#[test]
fn websocket_upgrades_the_sample_of_the_rfc_and_answers_ping_and_close() {
    let server = Server::start(32, &["websocket"]);
    let mut client = server.connect();
    let answer = String::from_utf8(exchange(&mut client, UPGRADE.as_bytes(), b"\r\n\r\n")).expect("text");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert_eq!(exchange(&mut client, &PING, b"Hello"), b"\x8a\x05Hello");
    assert_eq!(exchange(&mut client, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8], &[0xe8]), [0x88, 2, 0x03, 0xe8]);
    assert!(is_closed(&mut client));
}

#[test]
fn websocket_answers_a_ping_that_came_with_the_request() {
    let server = Server::start(32, &["websocket"]);
    let answer = exchange(&mut server.connect(), &[UPGRADE.as_bytes(), &PING].concat(), b"Hello");
    assert!(answer.ends_with(b"\r\n\r\n\x8a\x05Hello"));
}

#[test]
fn websocket_refuses_a_bad_key_and_a_head_without_end() {
    let server = Server::start(32, &["websocket"]);
    let bad_key = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    let without_end = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(4096 - 24));
    assert_eq!(without_end.len(), 4096);
    for (request, status) in [(bad_key, "HTTP/1.1 400 "), (without_end, "HTTP/1.1 431 ")] {
        let mut client = server.connect();
        let answer = exchange(&mut client, request.as_bytes(), b"\r\n\r\n");
        assert!(answer.starts_with(status.as_bytes()), "{}", String::from_utf8_lossy(&answer));
        assert!(is_closed(&mut client));
    }
}

#[test]
fn grpc_says_back_what_it_is_told() {
    let server = Server::start(32, &["grpc"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let said = runtime.block_on(async {
        let mut client = EchoClient::connect(format!("http://{}", server.address)).await.expect("connected");
        client.say(Message { text: "last".to_owned() }).await.expect("answered").into_inner().text
    });
    assert_eq!(said, "last");
    assert_eq!(server.terminate().counts[0]["total"], 1);
}

#[test]
fn every_service_closes_what_its_client_has_left() {
    for kind in ["http", "websocket", "tcp", "grpc"] {
        let server = Server::start(32, &[kind]);
        let rest = server.listed();
        let held = server.fill();
        drop(held);
        eventually(&format!("{kind} is at rest again"), || server.listed() == rest);
    }
}

#[test]
fn tcp_notices_a_hang_up_behind_data_it_does_not_read() {
    let server = Server::start(32, &["tcp"]);
    let rest = server.listed();
    let mut client = server.connect();
    client.write_all(&[0; 4096]).expect("sent");
    eventually("it is held", || server.listed() == rest + 1);
    drop(client);
    eventually("it is closed", || server.listed() == rest);
}

#[test]
fn the_count_is_said_on_either_signal_with_a_full_table() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(32, &["tcp", "--accept", "spin-log"]);
        let (pid, held) = (server.pid(), server.fill());
        eventually("accept has failed", || !server.errors().is_empty());
        server.signal(signal);
        let End { status, counts, .. } = server.end();
        assert_eq!(status.code(), Some(0));
        assert_eq!(
            counts,
            [
                serde_json::json!({ "pid": pid, "before_first_emfile": held.len(), "total": held.len(), "shed": 0 })
            ]
        );
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = Server::start(32, &["tcp"]);
    let port = server.address.port().to_string();
    let end = Server::try_start(32, &["http", "--port", &port]).err().expect("refused");
    assert_eq!(end.status.code(), Some(6));
    assert!(end.errors.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{}", end.errors);
}

#[test]
fn http_stalls_once_with_the_request_that_was_named() {
    let server = Server::start(32, &["http", "--stall-ms", "100", "--stall-at", "2"]);
    let mut client = server.connect();
    ask(&mut client);
    assert!(is_answered(&mut client));
    let began = std::time::Instant::now();
    ask(&mut client);
    assert!(is_answered(&mut client) && began.elapsed().as_millis() >= 100);
    ask(&mut client);
    assert!(is_answered(&mut client));
}

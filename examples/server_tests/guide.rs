//! The tests of docs/guides/test-in-rust.md, with stand-ins for the reader's server.

use lastfd::{Policy, ServerTest};
use std::time::Duration;

#[test]
fn the_server_survives_a_flood() {
    ServerTest::command(SERVER)
        .nofile(64)
        .ceiling("soft - baseline")
        .policy(Policy::Backoff)
        .recovers_within(Duration::from_secs(2))
        .leaks_nothing()
        .run();
}

#[test]
fn the_library_leaks_nothing() {
    ServerTest::closure(|| my_server::serve("127.0.0.1:0")).nofile(64).leaks_nothing().run();
}

/// A bundled server.
const SERVER: [&str; 7] =
    [env!("CARGO_BIN_EXE_lastfd"), "serve", "http", "--accept", "backoff", "--port", "{port}"];

mod my_server {
    use std::io::{Read, Write};

    /// Answers one client after the other, and lets each go.
    pub fn serve(address: &str) {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    }
}

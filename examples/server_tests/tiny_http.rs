//! tiny_http: its accept thread ends with the first failed accept.

use lastfd::{Policy, ServerTest};
use tiny_http::{Response, Server};

#[test]
fn tiny_http_never_accepts_again_after_a_failed_accept() {
    ServerTest::closure(|| {
        let server = Server::http("127.0.0.1:0").expect("a free port");
        loop {
            if let Ok(request) = server.recv() {
                // A client that has left needs no answer.
                let _ = request.respond(Response::from_string("hello"));
            }
        }
    })
    .nofile(64)
    .ceiling(30) // each connection has two descriptors
    .policy(Policy::AcceptLoopDead)
    .run();
}

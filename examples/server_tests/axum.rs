//! axum: sleeps for a second after a failed accept, then goes on.

use axum::{Router, routing::get};
use lastfd::{Policy, ServerTest};
use std::time::Duration;

fn serve() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let app = Router::new().route("/", get(|| async { "hello" }));
        axum::serve(listener, app).await.expect("axum serves until it is killed");
    });
}

#[test]
fn axum_holds_one_descriptor_a_connection_and_leaks_none() {
    ServerTest::closure(serve).nofile(64).ceiling("soft - baseline").leaks_nothing().run();
}

#[test]
fn axum_waits_for_a_second_and_recovers() {
    ServerTest::closure(serve)
        .nofile(64)
        .ceiling("soft - baseline")
        .policy(Policy::FixedDelay)
        .recovers_within(Duration::from_secs(3))
        .leaks_nothing()
        .run();
}

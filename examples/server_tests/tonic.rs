//! tonic: tries again at once, without a pause.

use lastfd::{Dialogue, Policy, ServerTest};
use tonic::{service::Routes, transport::Server};

#[test]
fn tonic_spins_at_its_limit_and_recovers() {
    ServerTest::closure(|| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let address = "127.0.0.1:0".parse().expect("an address");
        // Add your services here: a call of none that is there is answered, too.
        let server = Server::builder().add_routes(Routes::default()).serve(address);
        runtime.block_on(server).expect("tonic serves until it is killed");
    })
    .nofile(64)
    .with(|find| find.workload = Some(Dialogue::Grpc))
    .ceiling("soft - baseline")
    .policy(Policy::Spin)
    .recovers()
    .leaks_nothing()
    .run();
}

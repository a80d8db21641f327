use crate::identity::Identity;
use crate::support::{DEADLINE, Server, ask, eventually, is_answered};
use lastfd_servers::grpc::echo::{Message, echo_client::EchoClient};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::Read;
use std::net::TcpStream;

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A client after its handshake, which offers these protocols.
fn shaken(server: &Server, identity: &Identity, protocols: &[&str]) -> std::io::Result<Client> {
    let mut config = identity.client_config();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config.into(), name).expect("a client");
    let mut client = StreamOwned::new(connection, server.connect_to(server.tls_address));
    client.conn.complete_io(&mut client.sock).map(|_| client)
}

#[test]
fn http_speaks_with_tls_on_one_port_and_without_on_the_other() {
    let identity = Identity::new();
    let server = Server::start(32, &identity.serve("http", &[]));
    let mut plain = server.connect();
    let mut client = shaken(&server, &identity, &["h2", "http/1.1"]).expect("a handshake");
    assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..2 {
        ask(&mut client);
        assert!(is_answered(&mut client));
    }
    ask(&mut plain);
    assert!(is_answered(&mut plain));
    let counts = &server.terminate().counts[0];
    assert_eq!((&counts["total"], &counts["handshakes"]), (&2.into(), &1.into()));
}

#[test]
fn grpc_speaks_h2_with_tls_and_still_answers_without() {
    let identity = Identity::new();
    let server = Server::start(32, &identity.serve("grpc", &[]));
    let client = shaken(&server, &identity, &["h2"]).expect("a handshake");
    assert_eq!(client.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert!(shaken(&server, &identity, &["http/1.1"]).is_err(), "no protocol in common");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let said = runtime.block_on(async {
        let mut client = EchoClient::connect(format!("http://{}", server.address)).await.expect("connected");
        client.say(Message { text: "last".to_owned() }).await.expect("answered").into_inner().text
    });
    assert_eq!(said, "last");
    assert_eq!(server.terminate().counts[0]["handshakes"], 1);
}

#[test]
fn a_client_that_never_shakes_hands_holds_up_nobody() {
    let identity = Identity::new();
    for kind in ["http", "grpc"] {
        let server = Server::start(32, &identity.serve(kind, &[]));
        let rest = server.listed();
        let _silent = server.connect_to(server.tls_address);
        eventually("it is accepted", || server.listed() == rest + 1);
        shaken(&server, &identity, &[]).unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn the_baseline_counts_both_listeners_and_a_connection_with_tls_costs_one_descriptor() {
    let identity = Identity::new();
    for kind in ["http", "grpc"] {
        let server = Server::start(64, &identity.serve(kind, &["--baseline", "14"]));
        assert_eq!(server.listed(), 14, "{kind}");
        let clients: Vec<Client> =
            (0..5).map(|_| shaken(&server, &identity, &[]).expect("a handshake")).collect();
        assert_eq!(server.listed(), 19, "{kind}");
        drop(clients);
        eventually("it is at rest again", || server.listed() == 14);
    }
}

#[test]
fn both_listeners_die_together_when_only_one_is_flooded() {
    let identity = Identity::new();
    let server = Server::start(
        32,
        &identity.serve("http", &["--baseline", "12", "--accept", "backoff", "--delay-ms", "50"]),
    );
    let held = server.fill();
    assert_eq!(held.len(), 20);
    let mut parked = server.connect_to(server.tls_address);
    for address in [server.address, server.tls_address] {
        eventually(&format!("{address} fails"), || {
            server.errors().contains(&format!("accept4 on {address}: Too many open files"))
        });
    }
    parked.set_read_timeout(Some(DEADLINE / 100)).expect("set");
    assert!(parked.read(&mut [0]).is_err(), "connected, and silent");
    drop(held);
    shaken(&server, &identity, &[]).expect("both are served again");
    let end = server.terminate();
    assert_eq!(end.counts[0]["before_first_emfile"], 20);
    assert_eq!(end.counts[0]["total"], 22);
}

#[test]
fn a_tls_port_is_refused_where_there_can_be_none_and_without_its_certificate() {
    let identity = Identity::new();
    for arguments in [
        identity.serve("tcp", &[]),
        identity.serve("websocket", &[]),
        identity.serve("http", &["--workers", "2"]),
    ] {
        let end = Server::try_start(32, &arguments).err().expect("refused");
        assert_eq!(end.status.code(), Some(2), "{arguments:?}");
        assert!(end.errors.contains("--tls-port goes with"), "{}", end.errors);
    }
    let end = Server::try_start(32, &["http", "--tls-port", "0", "--key", "key.pem"]).err().expect("refused");
    assert_eq!(end.status.code(), Some(2));
    assert!(end.errors.contains("--certificate"), "{}", end.errors);
}

#[test]
fn a_certificate_that_cannot_be_read_is_named_with_the_reason() {
    let identity = Identity::new();
    let (certificate, key) = (identity.certificate(), identity.key());
    for (certificate, key, reason) in [
        ("/nowhere.pem", key.as_str(), "open /nowhere.pem: No such file"),
        (key.as_str(), key.as_str(), "holds no certificate in PEM"),
        (certificate.as_str(), certificate.as_str(), "holds no private key in PEM"),
    ] {
        let end =
            Server::try_start(32, &["http", "--tls-port", "0", "--certificate", certificate, "--key", key])
                .err()
                .expect("refused");
        assert_eq!(end.status.code(), Some(6));
        assert!(end.errors.contains(reason), "{}", end.errors);
    }
}

//! Small programs that the tests run under the command: each a test that does nothing unless it is started as that subject, so
//! that no other language need be installed.

use crate::support::{LASTFD, is_subject};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;

/// Blocks until it is killed.
fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn never_listens() {
    if is_subject("never_listens") {
        println!("starting, and then nothing");
        forever();
    }
}

#[test]
fn udp_only() {
    if is_subject("udp_only") {
        let _socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        forever();
    }
}

#[test]
fn two_ports() {
    if is_subject("two_ports") {
        let _both =
            [TcpListener::bind("127.0.0.1:0").expect("one"), TcpListener::bind("127.0.0.1:0").expect("two")];
        forever();
    }
}

#[test]
fn unix_only() {
    if is_subject("unix_only") {
        // Each run has a PID namespace, so that process ids are the same in all of them.
        let own = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let name = SocketAddr::from_abstract_name(format!("lastfd-test-{own:x}")).expect("a name");
        let _socket = UnixListener::bind_addr(&name).expect("a socket");
        forever();
    }
}

/// Gives itself limits of 40 descriptors before it listens.
#[test]
fn sets_its_limit() {
    if is_subject("sets_its_limit") {
        let limit = rustix::process::Rlimit { current: Some(40), maximum: Some(4096) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("below its own");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _clients: Vec<_> = listener.incoming().map_while(Result::ok).collect();
        forever();
    }
}

/// Opens what it serves with its first client, and keeps it open.
#[test]
fn opens_once() {
    if is_subject("opens_once") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut file = None;
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            file.get_or_insert_with(|| std::fs::File::open("/dev/null").expect("a file"));
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    }
}

/// Accepts and holds twenty connections, then aborts.
#[test]
fn dies_in_the_ramp() {
    if is_subject("dies_in_the_ramp") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _held: Vec<_> = listener.incoming().take(20).collect();
        std::process::abort();
    }
}

/// Stops accepting at thirty connections, by its own rule.
#[test]
fn limits_itself() {
    if is_subject("limits_itself") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _held: Vec<_> = listener.incoming().take(30).collect();
        forever();
    }
}

/// Opens a file beside every connection it holds.
#[test]
fn two_descriptors_each() {
    if is_subject("two_descriptors_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            if let Ok((stream, _)) = listener.accept() {
                held.push((stream, std::fs::File::open("/dev/null")));
            }
        }
    }
}

/// Keeps a duplicate of every connection, and closes the first only.
#[test]
fn leaks() {
    if is_subject("leaks") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            held.push(std::fs::File::open("/dev/null"));
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
        forever();
    }
}

/// The same, and goes on trying when it has no descriptor left.
#[test]
fn leaks_and_tries_on() {
    if is_subject("leaks_and_tries_on") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            if let Ok((mut stream, _)) = listener.accept() {
                held.extend(std::fs::File::open("/dev/null"));
                std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
            }
        }
    }
}

/// Accepts until it may not, closes its listener and keeps what it has.
#[test]
fn closes_its_listener() {
    if is_subject("closes_its_listener") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let held: Vec<_> = std::iter::from_fn(|| listener.accept().ok()).collect();
        drop(listener);
        println!("holds {}", held.len());
        forever();
    }
}

/// Gives every connection to a process of its own, which echoes; holds none itself.
#[test]
fn a_process_each() {
    if is_subject("a_process_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut children = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            let output = stream.try_clone().expect("a second number");
            children.push(
                std::process::Command::new("cat")
                    .stdin(OwnedFd::from(stream))
                    .stdout(OwnedFd::from(output))
                    .spawn(),
            );
        }
    }
}

/// The same, and keeps a file open for each, as sshd keeps a pipe: so its descriptors are bounded after all.
#[test]
fn a_process_and_a_file_each() {
    if is_subject("a_process_and_a_file_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            let Ok((stream, _)) = listener.accept() else { continue };
            let (Ok(output), Ok(file)) = (stream.try_clone(), std::fs::File::open("/dev/null")) else {
                continue;
            };
            let child = std::process::Command::new("cat")
                .stdin(OwnedFd::from(stream))
                .stdout(OwnedFd::from(output))
                .spawn();
            held.push((child, file));
        }
    }
}

/// Has a child that calls itself forty times, each time the first to close, which leaves that end in TIME_WAIT; then serves the port of `PORT`.
#[test]
fn leaves_time_wait() {
    if is_subject("leaves_time_wait") {
        let Ok(port) = std::env::var("PORT") else { return call_oneself() };
        let mut child = std::process::Command::new(std::env::current_exe().expect("own path"));
        let called = child.args(std::env::args_os().skip(1)).env_remove("PORT").status().expect("a child");
        assert!(called.success());
        panic!(
            "{}",
            std::process::Command::new(LASTFD)
                .args(["serve", "tcp", "--accept", "spin", "--port", &port])
                .exec()
        );
    }
}

fn call_oneself() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    for _ in 0..40 {
        let caller = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (mut called, _) = listener.accept().expect("its other end");
        drop(caller);
        let _ = called.read(&mut [0]).expect("end of file");
    }
}

/// Accepts and holds, and never looks whether a client has left.
#[test]
fn keeps_what_clients_left() {
    if is_subject("keeps_what_clients_left") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            held.extend(listener.accept().ok());
        }
    }
}

/// Exits when the first of its clients leaves.
#[test]
fn exits_when_a_client_leaves() {
    if is_subject("exits_when_a_client_leaves") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            held.push(stream.try_clone());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                std::process::exit(1);
            });
        }
    }
}

/// A client that never closes: connects to `LASTFD_TEST_PORT` until it may not, after SIGUSR1 where `LASTFD_TEST_WAITS` is set. Says how
/// many connections it has.
#[test]
fn leaks_connections() {
    if is_subject("leaks_connections") {
        // It stays, and with it its two descriptors.
        let mut told =
            signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1]).expect("a handler");
        if std::env::var("LASTFD_TEST_WAITS").is_ok() {
            told.forever().next();
        }
        let port: u16 = std::env::var("LASTFD_TEST_PORT").expect("a port").parse().expect("a number");
        let held: Vec<_> =
            std::iter::from_fn(|| TcpStream::connect(("127.0.0.1", port)).ok()).take(500).collect();
        println!("holds {}", held.len());
        forever();
    }
}

/// Gives every connection to a thread of its own; closes it where there can be none.
#[test]
fn a_thread_each() {
    if is_subject("a_thread_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        while let Ok((mut stream, _)) = listener.accept() {
            let serve = move || std::io::copy(&mut stream, &mut std::io::sink());
            drop(std::thread::Builder::new().spawn(serve));
        }
        panic!("out of descriptors");
    }
}

/// Takes eight megabytes for every connection; closes it where there are none left.
#[test]
fn megabytes_each() {
    if is_subject("megabytes_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            let mut room: Vec<u8> = Vec::new();
            if room.try_reserve_exact(8 << 20).is_ok() {
                held.push((stream, room));
            }
        }
    }
}

/// An HTTP server that forbids every path, and keeps the connection.
/// Answers each request so, whatever is asked.
fn answers_all_with(status: &'static str) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => drop(std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|n| n > 0) {
                    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                }
            })),
            // Its policy at the wall: a fixed delay.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
}

#[test]
fn forbids() {
    if is_subject("forbids") {
        answers_all_with("403 Forbidden");
    }
}

#[test]
fn finds_nothing() {
    if is_subject("finds_nothing") {
        answers_all_with("404 Not Found");
    }
}

#[test]
fn is_unavailable() {
    if is_subject("is_unavailable") {
        answers_all_with("503 Service Unavailable");
    }
}

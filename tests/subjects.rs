//! Small programs that the tests run under the command: each a test that does nothing unless it is started as
//! that subject, so that no other language need be installed.

use crate::support::{LASTFD, is_subject};
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Child;

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

/// Takes what a client sends, until it leaves.
fn hold(mut stream: TcpStream) {
    std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
}

fn a_file() -> std::io::Result<std::fs::File> {
    std::fs::File::open("/dev/null")
}

/// Opens two files with its first client, and one more with each, and keeps them.
#[test]
fn keeps_a_file_for_each_client() {
    if is_subject("keeps_a_file_for_each_client") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _log = std::fs::File::open("/dev/zero").expect("a file");
        let mut kept = Vec::new();
        let mut once = None;
        loop {
            let Ok((stream, _)) = listener.accept() else { continue };
            once.get_or_insert_with(|| std::fs::File::open("/dev/full"));
            kept.extend(a_file());
            hold(stream);
        }
    }
}

/// Tells a child of each client; the child keeps a file for it.
#[test]
fn its_child_keeps_a_file_for_each_client() {
    if is_subject("its_child_keeps_a_file_for_each_client") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let words = crate::support::subject("keeps_a_file_for_each_byte");
        let mut command = std::process::Command::new(&words[0]);
        let child = command.args(&words[1..]).stdin(std::process::Stdio::piped()).spawn();
        let mut child = child.expect("a child").stdin.expect("a pipe");
        loop {
            let Ok((stream, _)) = listener.accept() else { continue };
            child.write_all(b".").expect("a child that reads");
            hold(stream);
        }
    }
}

#[test]
fn keeps_a_file_for_each_byte() {
    if is_subject("keeps_a_file_for_each_byte") {
        let _kept: Vec<_> = std::io::stdin().lock().bytes().map(|_| a_file()).collect();
    }
}

/// Opens a file every 50 ms, for ever.
#[test]
fn opens_a_file_every_50_ms() {
    if is_subject("opens_a_file_every_50_ms") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        std::thread::spawn(move || listener.incoming().flatten().for_each(hold));
        let mut kept = Vec::new();
        loop {
            std::thread::sleep(std::time::Duration::from_millis(50));
            kept.extend(a_file());
        }
    }
}

/// Serves in one thread. When its table is full it waits until a client leaves, then for as many milliseconds
/// as `COOLS_MS` says, and accepts again. It keeps a file for each `LEAKS_EVERY`-th client.
#[test]
fn cools_down() {
    if is_subject("cools_down") {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let (cools, leaks_every) = (number("COOLS_MS").unwrap_or(0), number("LEAKS_EVERY"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("our own");
        let (mut held, mut kept, mut came, mut full) = (Vec::<TcpStream>::new(), Vec::new(), 0, false);
        loop {
            let wants = if full { PollFlags::empty() } else { PollFlags::IN };
            let mut all = vec![PollFd::new(&listener, wants)];
            all.extend(held.iter().map(|client| PollFd::new(client, PollFlags::IN)));
            poll(&mut all, None).expect("descriptors of our own");
            // Clients send nothing, so what can be read is their end.
            let mut left =
                all[1..].iter().map(|polled| !polled.revents().is_empty()).collect::<Vec<_>>().into_iter();
            let before = held.len();
            held.retain(|_| left.next() == Some(false));
            if full && held.len() < before {
                std::thread::sleep(std::time::Duration::from_millis(cools));
                full = false;
            }
            while !full {
                match listener.accept() {
                    Ok((client, _)) => {
                        held.push(client);
                        came += 1;
                        kept.extend(leaks_every.filter(|n| came % n == 0).and_then(|_| a_file().ok()));
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => full = true,
                }
            }
        }
    }
}

/// Holds its clients and never looks at them again; without a number it pauses for 100 ms.
#[test]
fn reads_no_ends() {
    if is_subject("reads_no_ends") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            match listener.accept() {
                Ok((client, _)) => held.push(client),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
    }
}

/// Closes the client that it has held for longest when it has no number for the next one.
#[test]
fn gives_way() {
    if is_subject("gives_way") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = std::collections::VecDeque::new();
        loop {
            match listener.accept() {
                Ok((client, _)) => held.push_back(client),
                Err(_) => drop(held.pop_front()),
            }
        }
    }
}

/// Closes each client 150 ms after it was accepted; without a number it pauses for 40 ms.
#[test]
fn closes_after_150_ms() {
    if is_subject("closes_after_150_ms") {
        let time = std::time::Duration::from_millis(150);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (old, ages) = std::sync::mpsc::channel::<(std::time::Instant, TcpStream)>();
        std::thread::spawn(move || {
            for (since, client) in ages {
                std::thread::sleep(time.saturating_sub(since.elapsed()));
                drop(client);
            }
        });
        loop {
            match listener.accept() {
                Ok((client, _)) => old.send((std::time::Instant::now(), client)).expect("it listens"),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(40)),
            }
        }
    }
}

/// Closes each client 90 ms after it was accepted; without a number it pauses for 200 ms.
#[test]
fn closes_after_90_ms() {
    if is_subject("closes_after_90_ms") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    std::thread::spawn(move || {
                        std::thread::sleep(std::time::Duration::from_millis(90));
                        drop(client);
                    });
                }
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(200)),
            }
        }
    }
}

/// Closes all clients that it holds when it has no number for the next one.
#[test]
fn gives_way_at_once() {
    if is_subject("gives_way_at_once") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        loop {
            match listener.accept() {
                Ok((client, _)) => held.push(client),
                Err(_) => held.clear(),
            }
        }
    }
}

/// Greets each client, and keeps 20 of those that come after its first failed accept until it is ended.
#[test]
fn keeps_twenty_that_were_reset() {
    if is_subject("keeps_twenty_that_were_reset") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (mut failed, mut kept) = (false, 0);
        loop {
            let Ok((mut client, _)) = listener.accept() else {
                failed = true;
                std::thread::sleep(std::time::Duration::from_millis(100));
                continue;
            };
            let keeps = failed && kept < 20;
            kept += i32::from(keeps);
            std::thread::spawn(move || {
                let _ = client.write_all(b"220 ready\r\n");
                let _ = std::io::copy(&mut client, &mut std::io::sink());
                // Whoever has left resets it.
                let _ = client.write_all(b"221 bye\r\n");
                if keeps {
                    std::mem::forget(client);
                }
            });
        }
    }
}

/// Greets and serves twenty clients in thirty seconds, and closes all others at once.
#[test]
fn takes_twenty_in_thirty_seconds() {
    if is_subject("takes_twenty_in_thirty_seconds") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut came: Vec<std::time::Instant> = Vec::new();
        loop {
            let Ok((mut client, _)) = listener.accept() else { continue };
            came.retain(|at| at.elapsed().as_secs() < 30);
            if came.len() < 20 {
                came.push(std::time::Instant::now());
                let _ = client.write_all(b"220 ready\r\n");
                std::thread::spawn(move || std::io::copy(&mut client, &mut std::io::sink()));
            }
        }
    }
}

/// Accepts until that fails, and again only when a client comes to its other port.
#[test]
fn another_port_wakes_it() {
    if is_subject("another_port_wakes_it") {
        let port: u16 = std::env::var("PORT").expect("a port").parse().expect("a number");
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a listener");
        let other = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (wakes, woken) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(client) = other.accept() {
                wakes.send(client).expect("it listens");
            }
        });
        loop {
            match listener.accept() {
                Ok((mut client, _)) => {
                    std::thread::spawn(move || std::io::copy(&mut client, &mut std::io::sink()));
                }
                Err(_) => drop(woken.recv().expect("it listens")),
            }
        }
    }
}

/// Takes twelve clients, and looks at its listener again when these have left: then it takes all that came
/// before it closes any.
#[test]
fn takes_twelve_and_then_all() {
    if is_subject("takes_twelve_and_then_all") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            listener.set_nonblocking(false).expect("a socket");
            let twelve: Vec<TcpStream> =
                (0..12).filter_map(|_| listener.accept().ok()).map(|(client, _)| client).collect();
            for mut client in twelve {
                let _ = std::io::copy(&mut client, &mut std::io::sink());
            }
            listener.set_nonblocking(true).expect("a socket");
            let mut came = Vec::new();
            loop {
                match listener.accept() {
                    Ok((client, _)) => came.push(client),
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => came.clear(),
                }
            }
        }
    }
}

/// Greets and serves five clients at a time, each by a thread; accepts the others.
#[test]
fn greets_five_at_a_time() {
    if is_subject("greets_five_at_a_time") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (queue, next) = std::sync::mpsc::channel::<TcpStream>();
        let next = std::sync::Arc::new(std::sync::Mutex::new(next));
        for _ in 0..5 {
            let next = std::sync::Arc::clone(&next);
            std::thread::spawn(move || {
                loop {
                    let mut client = next.lock().expect("nobody panics").recv().expect("it listens");
                    let _ = client.write_all(b"220 ready\r\n");
                    let _ = std::io::copy(&mut client, &mut std::io::sink());
                }
            });
        }
        loop {
            match listener.accept() {
                Ok((client, _)) => queue.send(client).expect("threads"),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
    }
}

/// Greets each client, and closes it where no file can be opened for it then.
#[test]
fn greets_before_it_fails() {
    if is_subject("greets_before_it_fails") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            let Ok((mut client, _)) = listener.accept() else { continue };
            let _ = client.write_all(b"220 ready\r\n");
            if a_file().is_ok() {
                std::thread::spawn(move || hold(client));
            }
        }
    }
}

/// Closes each client by a timer of its only thread, two seconds after it has left. Has a number in reserve:
/// without another one it takes the next client with that, and closes it.
#[test]
fn lingers_for_2_s() {
    if is_subject("lingers_for_2_s") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (mut clients, mut left) = (Vec::new(), std::collections::VecDeque::new());
        let mut reserve = a_file().ok();
        loop {
            let due = left.front().map(|(due, _): &(std::time::Instant, TcpStream)| *due);
            let wait = due.map(|due| due.saturating_duration_since(std::time::Instant::now()));
            match readable_within(&listener, &clients, true, wait) {
                None => drop(left.pop_front()),
                Some(Some(gone)) => {
                    let due = std::time::Instant::now() + std::time::Duration::from_secs(2);
                    left.push_back((due, clients.swap_remove(gone)));
                }
                Some(None) => match listener.accept() {
                    Ok((client, _)) => clients.push(client),
                    Err(_) => {
                        drop(reserve.take());
                        let _ = listener.accept();
                        reserve = a_file().ok();
                    }
                },
            }
        }
    }
}

/// Opens a file for each client 20 ms after it came. Where it cannot, it keeps the client for 700 ms and
/// closes it, as one that tries to reach another server. Without a number for a client it pauses for 400 ms.
#[test]
fn gives_up_after_700_ms() {
    if is_subject("gives_up_after_700_ms") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            let Ok((client, _)) = listener.accept() else {
                std::thread::sleep(std::time::Duration::from_millis(400));
                continue;
            };
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                match a_file() {
                    Ok(file) => {
                        hold(client);
                        drop(file);
                    }
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(700)),
                }
            });
        }
    }
}

/// Accepts all that wait, and pauses for 100 ms without a number; then opens a file for each, and closes
/// those that it finds none for.
#[test]
fn opens_its_files_later() {
    if is_subject("opens_its_files_later") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("ours");
        let (mut clients, mut files) = (Vec::new(), Vec::new());
        loop {
            if let Some(gone) = readable(&listener, &clients, true) {
                clients.swap_remove(gone);
                files.swap_remove(gone);
                continue;
            }
            let full = loop {
                match listener.accept() {
                    Ok((client, _)) => clients.push(client),
                    Err(e) => break e.kind() != std::io::ErrorKind::WouldBlock,
                }
            };
            files.extend((files.len()..clients.len()).map_while(|_| a_file().ok()));
            clients.truncate(files.len());
            if full {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
}

/// Closes its listener at twenty clients, and listens there again when all have left.
#[test]
fn listens_again_when_all_have_left() {
    if is_subject("listens_again_when_all_have_left") {
        let mut listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("a bound one");
        let open = std::sync::Arc::new((std::sync::Mutex::new(0), std::sync::Condvar::new()));
        let lock = || open.0.lock().expect("nobody panics");
        loop {
            for mut client in listener.incoming().flatten() {
                *lock() += 1;
                let open = std::sync::Arc::clone(&open);
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut client, &mut std::io::sink());
                    drop(client);
                    *open.0.lock().expect("nobody panics") -= 1;
                    open.1.notify_one();
                });
                if *lock() == 20 {
                    break;
                }
            }
            drop(listener);
            drop(open.1.wait_while(lock(), |open| *open > 0));
            // The first client after all have left is refused.
            std::thread::sleep(std::time::Duration::from_millis(100));
            listener = TcpListener::bind(address).expect("the same address");
        }
    }
}

/// Without a number it closes one of its own files, which makes room for one client, and looks for clients
/// again after 6.5 seconds.
#[test]
fn pauses_for_6_s_and_makes_room() {
    if is_subject("pauses_for_6_s_and_makes_room") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut spare: Vec<_> = (0..9).map_while(|_| a_file().ok()).collect();
        loop {
            match listener.accept() {
                Ok((client, _)) => hold(client),
                Err(_) => {
                    spare.pop();
                    std::thread::sleep(std::time::Duration::from_millis(6500));
                }
            }
        }
    }
}

/// Answers each byte at once, but those of every tenth client after so many seconds as `LATE_S` says.
#[test]
fn answers_some_late() {
    if is_subject("answers_some_late") {
        let late = std::env::var("LATE_S").ok().and_then(|text| text.parse().ok()).expect("seconds");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        for (n, mut client) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while client.read(&mut byte).is_ok_and(|read| read > 0) {
                    std::thread::sleep(std::time::Duration::from_secs(if n % 10 == 9 { late } else { 0 }));
                    let _ = client.write_all(b"y");
                }
            });
        }
    }
}

/// Redirects each client, for which it opens a file and keeps it; without a number for that it says 404.
#[test]
fn redirects_what_it_finds() {
    if is_subject("redirects_what_it_finds") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        // With an odd number free, the last one is a connection's that has no file.
        let _odd = a_file();
        loop {
            let Ok((mut client, _)) = listener.accept() else { continue };
            let file = a_file();
            std::thread::spawn(move || {
                let mut request = [0; 1024];
                while client.read(&mut request).is_ok_and(|n| n > 0) {
                    let status = if file.is_ok() { "303 See Other" } else { "404 Not Found" };
                    let _ = write!(client, "HTTP/1.1 {status}\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    }
}

/// Closes each client for which it cannot open a file.
#[test]
fn needs_a_file_for_each_client() {
    if is_subject("needs_a_file_for_each_client") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        // With an odd number free, the last one is a connection's that has no file.
        let _odd = a_file();
        loop {
            if let Ok((mut client, _)) = listener.accept()
                && let Ok(file) = a_file()
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut client, &mut std::io::sink());
                    drop(file);
                });
            }
        }
    }
}

/// Closes one client that has left every 100 ms.
#[test]
fn closes_one_every_100_ms() {
    if is_subject("closes_one_every_100_ms") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let turn = std::sync::Arc::new(std::sync::Mutex::new(()));
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            let turn = std::sync::Arc::clone(&turn);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                let _turn = turn.lock().expect("nobody panics");
                std::thread::sleep(std::time::Duration::from_millis(100));
                drop(stream);
            });
        }
    }
}

/// Closes each client by a timer, three seconds after it has left.
#[test]
fn closes_each_after_3_s() {
    if is_subject("closes_each_after_3_s") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                std::thread::sleep(std::time::Duration::from_secs(3));
                drop(stream);
            });
        }
    }
}

/// Speaks HTTP, and works on its first request for longer than a probe waits.
#[test]
fn loads_for_its_first_request() {
    if is_subject("loads_for_its_first_request") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let loaded = std::sync::Arc::new(std::sync::Once::new());
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            let loaded = std::sync::Arc::clone(&loaded);
            std::thread::spawn(move || {
                let mut request = [0; 1024];
                while stream.read(&mut request).is_ok_and(|n| n > 0) {
                    let begun = std::time::Instant::now();
                    loaded.call_once(|| while begun.elapsed().as_millis() < 700 {});
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            });
        }
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

/// Aborts, as a fortified select() does, with the first connection numbered 1024 or above.
#[test]
fn aborts_at_fd_setsize() {
    use std::os::fd::AsRawFd as _;
    if is_subject("aborts_at_fd_setsize") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if stream.as_raw_fd() >= 1024 {
                println!("it watched {} connections", held.len());
                std::process::abort();
            }
            held.push(stream);
        }
    }
}

/// Accepts thirty connections, and is then busy with nothing for ever.
#[test]
fn busy_with_nothing() {
    if is_subject("busy_with_nothing") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _held: Vec<_> = listener.incoming().take(30).collect();
        loop {
            std::hint::spin_loop();
        }
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

/// Keeps half of what its limit leaves beside eighteen descriptors, and closes every client beyond that.
#[test]
fn keeps_half_of_its_limit() {
    if is_subject("keeps_half_of_its_limit") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let half = (rlimit::Resource::NOFILE.get_soft().expect("its limit") - 18) / 2;
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if (held.len() as u64) < half {
                held.push(stream);
            }
        }
    }
}

/// Makes an inotify instance for each client, and says at the first one that it has none for how many it has
/// made.
#[test]
fn an_inotify_instance_each() {
    use rustix::fs::inotify::{CreateFlags, init};
    if is_subject("an_inotify_instance_each") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (mut made, mut lacked) = (0, false);
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            let Ok(instance) = init(CreateFlags::CLOEXEC) else {
                if !std::mem::replace(&mut lacked, true) {
                    println!("instances for {made} clients");
                }
                let _ = stream.write_all(b"ERR no instance\n");
                continue;
            };
            made += 1;
            let _ = stream.write_all(b"OK\n");
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                drop(instance);
            });
        }
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

/// Has a child that calls itself forty times, each time the first to close, which leaves that end in
/// TIME_WAIT; then serves the port of `PORT`.
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

/// A client that never closes: connects to `LASTFD_TEST_PORT` until it may not, after SIGUSR1 where
/// `LASTFD_TEST_WAITS` is set. Says how many connections it has.
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

/// Stops listening to its listener after a failed accept, until one of its clients leaves; it has no timer.
#[test]
fn mutes() {
    if is_subject("mutes") {
        mutes_until_have_left(1);
    }
}

/// The same, until three have left.
#[test]
fn mutes_until_three_have_left() {
    if is_subject("mutes_until_three_have_left") {
        mutes_until_have_left(3);
    }
}

fn mutes_until_have_left(wanted: usize) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (mut clients, mut missing): (Vec<TcpStream>, usize) = (Vec::new(), 0);
    loop {
        let gone = readable(&listener, &clients, missing == 0);
        match gone {
            Some(client) => {
                clients.swap_remove(client);
                missing = missing.saturating_sub(1);
            }
            None => match listener.accept() {
                Ok((stream, _)) => clients.push(stream),
                Err(_) => missing = wanted,
            },
        }
    }
}

/// Waits for a client that left, its place; `None`: for one that comes, where the listener counts.
fn readable(listener: &TcpListener, clients: &[TcpStream], listens: bool) -> Option<usize> {
    readable_within(listener, clients, listens, None).expect("it waits for as long as it takes")
}

/// The same; `None`: neither came within this time.
fn readable_within(
    listener: &TcpListener,
    clients: &[TcpStream],
    listens: bool,
    within: Option<std::time::Duration>,
) -> Option<Option<usize>> {
    let mut all: Vec<PollFd<'_>> =
        clients.iter().map(|client| PollFd::new(client, PollFlags::IN | PollFlags::HUP)).collect();
    all.extend(listens.then(|| PollFd::new(listener, PollFlags::IN)));
    let within = within.map(|within| within.try_into().expect("not for ever"));
    let ready = poll(&mut all, within.as_ref()).expect("it waits");
    (ready > 0).then(|| all.iter().take(clients.len()).position(|fd| !fd.revents().is_empty()))
}

/// Tries four times to accept, 100 ms apart, and never again; it goes on to close who has left.
#[test]
fn gives_up_after_four_tries() {
    if is_subject("gives_up_after_four_tries") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (mut clients, mut failures): (Vec<TcpStream>, u32) = (Vec::new(), 0);
        loop {
            match readable(&listener, &clients, failures < 4) {
                Some(client) => drop(clients.swap_remove(client)),
                None => match listener.accept() {
                    Ok((stream, _)) => clients.push(stream),
                    Err(_) => {
                        failures += 1;
                        std::thread::sleep(std::time::Duration::from_millis(100));
                    }
                },
            }
        }
    }
}

/// Closes connections whose clients have left only as the next client comes, or as accept fails.
#[test]
fn closes_them_when_the_next_comes() {
    if is_subject("closes_them_when_the_next_comes") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut clients: Vec<TcpStream> = Vec::new();
        let gone = |client: &TcpStream| matches!(client.peek(&mut [0]), Ok(0));
        loop {
            let accepted = listener.accept();
            clients.retain(|client| !gone(client));
            match accepted {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true).expect("a socket");
                    clients.push(stream);
                }
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
    }
}

/// Needs a file for each client, closes clients for which it has none, and forgets the file of the first that
/// leaves once it was full: then each that waits is accepted and closed.
#[test]
fn forgets_one_file_of_a_client() {
    if is_subject("forgets_one_file_of_a_client") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        // With an even number free, accept fails first.
        let free = 64 - std::fs::read_dir("/proc/self/fd").expect("its table").count() + 1;
        let _even = (free % 2 == 1).then(a_file);
        let (mut clients, mut full, mut kept) = (Vec::new(), false, Vec::new());
        let mut files: Vec<std::fs::File> = Vec::new();
        loop {
            match readable(&listener, &clients, true) {
                Some(client) => {
                    clients.swap_remove(client);
                    let file = files.swap_remove(client);
                    if full && kept.is_empty() {
                        kept.push(file);
                    }
                }
                None => match listener.accept() {
                    Ok((stream, _)) => {
                        if let Ok(file) = a_file() {
                            clients.push(stream);
                            files.push(file);
                        }
                    }
                    Err(_) => {
                        full = true;
                        std::thread::sleep(std::time::Duration::from_millis(200));
                    }
                },
            }
        }
    }
}

/// Accepts at once, and greets one client after the other, one each 40 ms.
#[test]
fn greets_one_each_40_ms() {
    if is_subject("greets_one_each_40_ms") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (queue, next) = std::sync::mpsc::channel::<TcpStream>();
        std::thread::spawn(move || {
            for mut client in next {
                std::thread::sleep(std::time::Duration::from_millis(40));
                let _ = client.write_all(b"220 ready\r\n");
                std::thread::spawn(move || hold(client));
            }
        });
        loop {
            match listener.accept() {
                Ok((client, _)) => queue.send(client).expect("a thread"),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
    }
}

/// Opens a file for each client 50 ms after its accept, and greets it then; one without a file is closed.
#[test]
fn opens_a_file_50_ms_later() {
    if is_subject("opens_a_file_50_ms_later") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let later = std::time::Duration::from_millis(50);
        let (mut waits, mut clients, mut files) =
            (Vec::<(TcpStream, std::time::Instant)>::new(), Vec::new(), Vec::new());
        loop {
            let due = waits.first().map(|(_, since)| later.saturating_sub(since.elapsed()));
            match readable_within(&listener, &clients, true, due) {
                Some(Some(client)) => {
                    clients.swap_remove(client);
                    files.swap_remove(client);
                }
                Some(None) => match listener.accept() {
                    Ok((stream, _)) => waits.push((stream, std::time::Instant::now())),
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
                },
                None => {}
            }
            while waits.first().is_some_and(|(_, since)| since.elapsed() >= later) {
                let (mut stream, _) = waits.remove(0);
                if let Ok(file) = a_file() {
                    let _ = stream.write_all(b"220 ready\r\n");
                    clients.push(stream);
                    files.push(file);
                }
            }
        }
    }
}

/// Does nothing for three seconds after a failed accept.
#[test]
fn pauses() {
    if is_subject("pauses") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        loop {
            match listener.accept() {
                Ok((mut stream, _)) => {
                    _ = std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()))
                }
                Err(_) => std::thread::sleep(std::time::Duration::from_secs(3)),
            }
        }
    }
}

/// Is told of each client once, when it comes, and accepts until a call fails: those that it could not accept
/// wait for the next to come.
#[test]
fn edge_triggered() {
    if is_subject("edge_triggered") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("ours");
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
        let add = |source: &dyn AsFd, number: u64, flags| {
            epoll::add(&poller, source.as_fd(), epoll::EventData::new_u64(number), flags)
        };
        add(&listener, 0, epoll::EventFlags::IN | epoll::EventFlags::ET).expect("added");
        let mut clients: std::collections::HashMap<u64, TcpStream> = std::collections::HashMap::new();
        let mut numbers = 1..;
        loop {
            let mut events =
                [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
            epoll::wait(&poller, &mut events, None).expect("it waits");
            match events[0].data.u64() {
                0 => {
                    while let Ok((stream, _)) = listener.accept() {
                        let number = numbers.next().expect("more");
                        add(&stream, number, epoll::EventFlags::IN).expect("added");
                        clients.insert(number, stream);
                    }
                }
                left => drop(clients.remove(&left)),
            }
        }
    }
}

/// A small HTTP server that keeps files open: one for each HEAD, and for `/pool` one a request up to fifty.
#[test]
fn keeps_files() {
    if is_subject("keeps_files") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (mut leaked, mut pool) = (Vec::new(), Vec::new());
        let null = || std::fs::File::open("/dev/null").ok();
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                } else {
                    break;
                }
            }
            if head.starts_with(b"HEAD") {
                leaked.push(std::fs::File::open("/etc/passwd").ok());
            } else if head.starts_with(b"GET /pool") && pool.len() < 50 {
                pool.push(null());
            }
            let etag = String::from_utf8_lossy(&head).contains("if-none-match: \"1\"");
            let answer = match etag {
                true => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
                false => "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 0\r\n\r\n",
            };
            leaked.extend(etag.then(|| std::fs::File::open("/etc/hostname").ok()));
            let _ = stream.write_all(answer.as_bytes()); // it may have left
        }
    }
}

/// Passes each connection to a child, by a message; each child gets so many of them.
fn passes_connections(each: usize) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let words = crate::support::subject("holds_what_it_is_passed");
    let mut children: Vec<(UnixStream, usize, Child)> = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        if children.last().is_none_or(|(_, given, _)| *given == each) {
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            let mut command = std::process::Command::new(&words[0]);
            let child = command.args(&words[1..]).stdin(OwnedFd::from(theirs)).spawn().expect("a child");
            children.push((ours, 0, child));
        }
        let (to, given, _) = children.last_mut().expect("one with room");
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut passed = SendAncillaryBuffer::new(&mut space);
        let fds = [stream.as_fd()];
        passed.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(to, &[std::io::IoSlice::new(b".")], &mut passed, SendFlags::empty())
            .expect("a child that reads");
        *given += 1;
    }
}

#[test]
fn passes_twenty_connections_to_each_child() {
    if is_subject("passes_twenty_connections_to_each_child") {
        passes_connections(20);
    }
}

/// A child of these is full before it has been given them all.
#[test]
fn passes_eighty_connections_to_each_child() {
    if is_subject("passes_eighty_connections_to_each_child") {
        passes_connections(80);
    }
}

/// Passes each connection to a child, which says whether it had a number free. If not, tells the client.
#[test]
fn tells_those_for_whom_its_child_has_no_number() {
    if is_subject("tells_those_for_whom_its_child_has_no_number") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let words = crate::support::subject("says_whether_it_has_a_number");
        let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut command = std::process::Command::new(&words[0]);
        let child = command.args(&words[1..]).stdin(OwnedFd::from(theirs)).spawn().expect("a child");
        let mut children: Vec<Child> = vec![child];
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut passed = SendAncillaryBuffer::new(&mut space);
            let fds = [stream.as_fd()];
            passed.push(SendAncillaryMessage::ScmRights(&fds));
            sendmsg(&ours, &[std::io::IoSlice::new(b".")], &mut passed, SendFlags::empty())
                .expect("a child that reads");
            let mut taken = [0];
            if ours.read_exact(&mut taken).is_err() {
                children.iter_mut().for_each(|child| _ = child.wait());
                return;
            }
            if taken == *b"-" {
                let _ = stream.write_all(b"421 full\r\n");
            }
        }
    }
}

#[test]
fn says_whether_it_has_a_number() {
    if is_subject("says_whether_it_has_a_number") {
        let from = std::io::stdin().as_fd().try_clone_to_owned().expect("its socket");
        let mut from = UnixStream::from(from);
        loop {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut passed = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let read =
                recvmsg(&from, &mut [std::io::IoSliceMut::new(&mut byte)], &mut passed, RecvFlags::empty());
            if read.expect("a message").bytes == 0 {
                return;
            }
            let mut taken = b"-";
            for message in passed.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    for fd in fds {
                        let mut client = TcpStream::from(fd);
                        let _ = client.write_all(b"220 ready\r\n");
                        hold(client);
                        taken = b"+";
                    }
                }
            }
            from.write_all(taken).expect("its master");
        }
    }
}

#[test]
fn holds_what_it_is_passed() {
    if is_subject("holds_what_it_is_passed") {
        let from = std::io::stdin();
        loop {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut passed = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let read =
                recvmsg(&from, &mut [std::io::IoSliceMut::new(&mut byte)], &mut passed, RecvFlags::empty());
            if read.expect("a message").bytes == 0 {
                return;
            }
            for message in passed.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    fds.for_each(|fd| hold(fd.into()));
                }
            }
        }
    }
}

/// Has opened all descriptors that it may have before its first client comes, and tries to accept all the
/// same.
#[test]
fn is_full_at_rest() {
    if is_subject("is_full_at_rest") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let _files: Vec<_> = std::iter::repeat_with(a_file).map_while(Result::ok).collect();
        loop {
            let _ = poll(&mut [PollFd::new(&listener, PollFlags::IN)], None);
            let _ = listener.accept();
        }
    }
}

/// Answers every request; keeps the connection open for the first four clients, and closes it after the
/// answer to any further one.
#[test]
fn keeps_four_connections_alive() {
    if is_subject("keeps_four_connections_alive") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let kept = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for mut stream in listener.incoming().flatten() {
            let kept = std::sync::Arc::clone(&kept);
            std::thread::spawn(move || {
                use std::sync::atomic::Ordering::SeqCst;
                let keeps = kept.fetch_update(SeqCst, SeqCst, |n| (n < 4).then_some(n + 1)).is_ok();
                let connection = if keeps { "keep-alive" } else { "close" };
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: {connection}\r\n\r\nx");
                let mut request = [0; 1024];
                while stream.read(&mut request).is_ok_and(|length| length > 0)
                    && stream.write_all(answer.as_bytes()).is_ok()
                    && keeps
                {}
                if keeps {
                    kept.fetch_sub(1, SeqCst);
                }
            });
        }
    }
}

/// Opens a file with its twentieth client, and keeps it; without a number it pauses.
#[test]
fn opens_a_file_for_its_twentieth_client() {
    if is_subject("opens_a_file_for_its_twentieth_client") {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let (mut clients, mut file) = (0, None);
        loop {
            match listener.accept() {
                Ok((client, _)) => hold(client),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
            clients += 1;
            if clients == 20 {
                file.get_or_insert_with(a_file);
            }
        }
    }
}

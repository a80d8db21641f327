//! The bare servers that floors are measured with: one thread, one epoll instance, nothing else. Each is this
//! binary, executed again with a variable that says which; it prints its port, then one figure, and ends when
//! its standard input does.

use lastfd::internal::sys::clock;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with,
};
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const VARIABLE: &str = "LASTFD_BENCH_SERVER";
/// Longer than any burst of the clients here: no SYN is dropped.
const BACKLOG: i32 = 4096;

/// Which server.
#[derive(Debug, Clone, Copy)]
pub enum Server {
    /// Takes this soft limit, accepts until EMFILE, and prints when that was (monotonic nanoseconds).
    Ceiling(u64),
    /// Accepts so many, and prints how long that took from the first (nanoseconds).
    Accepts(u64),
    /// Fills its table, fails so many accepts in a row, and prints how long that took (nanoseconds).
    Spins(u64),
}

/// Runs the server that the environment names; false when it names none.
pub fn serve_if_asked() -> bool {
    let Ok(asked) = std::env::var(VARIABLE) else { return false };
    let (name, number) = asked.split_once(' ').expect("a name and a number");
    let number = number.parse().expect("a number");
    match name {
        "ceiling" => ceiling(number),
        "accepts" => accepts(number),
        "spins" => spins(number),
        other => panic!("no bare server is called {other}"),
    }
    // The clients leave first, or the harness here ends.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    true
}

fn ceiling(soft: u64) {
    rlimit::setrlimit(rlimit::Resource::NOFILE, soft, soft).expect("a limit below the hard limit");
    let mut held = Vec::with_capacity(soft as usize);
    loop {
        match accept_next(&mut held) {
            Ok(()) => {}
            Err(Errno::MFILE) => break,
            Err(errno) => panic!("accept4: {errno}"),
        }
    }
    say(clock::now());
}

fn accepts(number: u64) {
    let mut held = Vec::with_capacity(number as usize);
    let mut first = None;
    while held.len() < number as usize {
        accept_next(&mut held).expect("the limit is higher");
        first.get_or_insert_with(clock::now);
    }
    say(clock::now() - first.expect("one was accepted"));
}

fn spins(failures: u64) {
    rlimit::setrlimit(rlimit::Resource::NOFILE, 16, 16).expect("a limit below the hard limit");
    let listener = listening();
    let mut full = Vec::new();
    while let Ok(copy) = rustix::io::dup(&listener) {
        full.push(copy);
    }
    let started = clock::now();
    for _ in 0..failures {
        assert_eq!(accept_with(&listener, SocketFlags::CLOEXEC).err(), Some(Errno::MFILE));
    }
    say(clock::now() - started);
}

/// Accepts until no client waits; the listener and the epoll instance are made at the first call.
fn accept_next(held: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    use std::cell::OnceCell;
    thread_local!(static LISTENER: OnceCell<(OwnedFd, OwnedFd)> = const { OnceCell::new() });
    LISTENER.with(|cell| {
        let (listener, epoll) = cell.get_or_init(|| {
            let listener = listening();
            let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll instance");
            epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN)
                .expect("a listener can be watched");
            (listener, epoll)
        });
        loop {
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(connection) => {
                    held.push(connection);
                    return Ok(());
                }
                Err(Errno::AGAIN) => {
                    let mut events = Vec::with_capacity(1);
                    epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), None)?;
                }
                Err(errno) => return Err(errno),
            }
        }
    })
}

fn listening() -> OwnedFd {
    let listener = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .expect("a socket");
    bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    listen(&listener, BACKLOG).expect("a listener");
    say(SocketAddr::try_from(getsockname(&listener).expect("an address")).expect("an IPv4 address").port());
    listener
}

fn say(figure: impl Display) {
    println!("{figure}");
    std::io::stdout().flush().expect("the bench reads");
}

/// A bare server that runs. Dropping it ends it.
pub struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// Executes this binary again at once.
    pub fn spawn(server: Server) -> Self {
        Running::of(Command::new(exe()), server)
    }

    /// Starts a shell that waits for a line before it executes the server: an observer can be attached until
    /// then.
    pub fn waiting(server: Server) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read go; exec \"$0\""]).arg(exe());
        Running::of(shell, server)
    }

    fn of(mut command: Command, server: Server) -> Self {
        let asked = match server {
            Server::Ceiling(soft) => format!("ceiling {soft}"),
            Server::Accepts(number) => format!("accepts {number}"),
            Server::Spins(failures) => format!("spins {failures}"),
        };
        let mut child = command
            .env(VARIABLE, asked)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary runs again");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, lines }
    }

    /// Its process id, before and after the exec.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Lets a waiting one go.
    pub fn go(&mut self) {
        self.child.stdin.as_mut().expect("piped").write_all(b"\n").expect("the shell reads");
    }

    /// Where it listens; to be asked first.
    pub fn address(&mut self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.figure() as u16))
    }

    /// The next figure it prints.
    pub fn figure(&mut self) -> u64 {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().parse().expect("a number")
    }

    /// The next figure as a time.
    pub fn time(&mut self) -> Duration {
        Duration::from_nanos(self.figure())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn exe() -> std::path::PathBuf {
    std::env::current_exe().expect("/proc is mounted")
}

//! A process that holds known descriptors: this test binary again, with only [`held`] selected. It says when
//! it is ready and ends with its standard input, so none outlives the test that started it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Which part the process plays; absent in a test run of its own.
const PART: &str = "LASTFD_TEST_HELD";

/// The file that the parts open; there on any Linux.
pub const FILE: &str = "/proc/version";

/// The soft limit and the number of one descriptor above it in [`known`].
pub const SOFT: u64 = 512;
pub const ABOVE: i32 = 700;

/// The soft limit of [`full`].
pub const FULL: u64 = 64;

/// How many connections [`unread`] makes, how many of them get an answer, and its length in bytes.
pub const CLIENTS: usize = 10;
pub const ANSWERED: usize = 7;
pub const ANSWER: usize = 1000;
/// Where it connects to.
pub const ADDRESS: &str = "LASTFD_TEST_HELD_ADDRESS";

/// Time between two files that `grow` opens.
const PACE: Duration = Duration::from_millis(20);

/// The process, ended when this is dropped.
pub struct Held {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: std::sync::mpsc::Receiver<String>,
    /// The lines before it was ready.
    said: Vec<String>,
}

impl Held {
    /// Starts the process in this part and waits until it is ready.
    pub fn start(part: &str) -> Held {
        Held::spawn(&mut command(part))
    }

    /// The same for a prepared [`command`].
    pub fn spawn(command: &mut Command) -> Held {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut held = Held { stdin: child.stdin.take(), child, lines, said: Vec::new() };
        while held.said.last().is_none_or(|line| line != "ready") {
            let line = held.next_line();
            held.said.push(line);
        }
        held
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Ends the process's standard input, and with it its part.
    pub fn finish(&mut self) {
        self.stdin = None;
    }

    /// The rest of the first line that begins with this word, of those before it was ready or of those that
    /// follow.
    pub fn line(&self, word: &str) -> String {
        let rest = |line: &str| Some(line.strip_prefix(word)?.trim().to_owned());
        let said = self.said.iter().find_map(|line| rest(line));
        said.unwrap_or_else(|| {
            std::iter::repeat_with(|| self.next_line()).find_map(|line| rest(&line)).expect("endless")
        })
    }

    fn next_line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(20)).expect("the held process says so in time")
    }
}

/// The process in this part.
pub fn command(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "inspect::held::held", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process's part; does nothing in a test run of its own.
#[test]
#[ignore = "the part of a process that other tests start"]
fn held() {
    match std::env::var(PART).as_deref() {
        Ok("known") => known(),
        Ok("grow") => grow(usize::MAX),
        Ok("grow-and-exit") => grow(15),
        Ok("shrink") => shrink(),
        Ok("full") => full(),
        Ok("master") => master(),
        Ok("deleted") => deleted(),
        Ok("many-kinds") => many_kinds(),
        Ok("unread") => unread(),
        _ => (),
    }
}

fn ready() {
    println!("\nready");
    std::io::stdout().flush().unwrap();
}

/// Opens files until its limit, [`FULL`], refuses one.
fn full() {
    let hard = rlimit::Resource::NOFILE.get_hard().unwrap();
    rlimit::Resource::NOFILE.set(FULL, hard).unwrap();
    let files: Vec<_> = std::iter::repeat_with(|| File::open(FILE)).map_while(Result::ok).collect();
    ready();
    until_told();
    drop(files);
    // The master may have gone, and nobody reads what the test harness would print.
    std::process::exit(0);
}

/// Listens, and has a worker that is [`full`] and has inherited the listener; says the worker's process id
/// and the port.
fn master() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let name = std::env::args().next().unwrap();
    let mut worker = Held::spawn(std::os::unix::process::CommandExt::arg0(&mut command("full"), name));
    println!("\nport {}\nworker {}", listener.local_addr().unwrap().port(), worker.pid());
    ready();
    until_told();
    worker.finish();
}

/// Has 5 files open of a folder that it deleted; one of them twice.
fn deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<_> =
        (0..4).map(|n| File::create(folder.path().join(format!("log.{n}"))).unwrap()).collect();
    files.push(files[0].try_clone().unwrap());
    println!("\nfolder {}", folder.path().display());
    drop(folder);
    ready();
    until_told();
    drop(files);
}

/// Opens one of five kinds of descriptors each [`PACE`], and two pipes.
fn many_kinds() {
    use rustix::event::{EventfdFlags, epoll, eventfd};
    use rustix::fs::inotify;
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
    let (sender, told) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        until_told();
        drop(sender);
    });
    ready();
    let mut open = Vec::new();
    while told.recv_timeout(PACE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        open.push(epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
        open.push(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        open.push(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap());
        open.push(inotify::init(inotify::CreateFlags::CLOEXEC).unwrap());
        open.push(File::open(FILE).unwrap().into());
        open.extend((0..2).flat_map(|_| <[_; 2]>::from(rustix::pipe::pipe().unwrap())));
    }
}

/// Connects [`CLIENTS`] times to the test and reads nothing, but has seen that everything came: [`ANSWERED`]
/// answers, and a FIN on the next.
fn unread() {
    let address = std::env::var(ADDRESS).unwrap();
    let clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for client in &clients[..ANSWERED] {
        let mut all = [0; ANSWER];
        while client.peek(&mut all).unwrap() < ANSWER {}
    }
    assert_eq!(clients[ANSWERED].peek(&mut [0; 1]).unwrap(), 0, "the test has closed it");
    ready();
    until_told();
    drop(clients);
}

/// Closes one of many files at a time, and then waits.
fn shrink() {
    let mut files: Vec<_> = (0..400).map(|_| File::open(FILE).unwrap()).collect();
    ready();
    while files.pop().is_some() {
        std::thread::sleep(PACE);
    }
    let _ = std::io::stdin().read(&mut [0; 1]);
}

/// 5 accepted connections, 3 of them closed by their client; 1 connection in the accept queue; a thread
/// blocked in accept; and one of much else. `expected` in the test says the same.
fn known() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut pairs: Vec<_> =
        (0..5).map(|_| (Some(TcpStream::connect(address).unwrap()), listener.accept().unwrap().0)).collect();
    for (client, server) in &mut pairs[..3] {
        drop(client.take());
        // End of file: the FIN has arrived, and the state is CLOSE_WAIT.
        assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    }
    let queued = TcpStream::connect(address).unwrap();
    let udp = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()];
    let files: Vec<_> = (0..4).map(|_| File::open(FILE).unwrap()).collect();
    let unix = UnixStream::pair().unwrap();
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
    rustix::event::epoll::add(
        &epoll,
        &listener,
        rustix::event::epoll::EventData::new_u64(0),
        rustix::event::epoll::EventFlags::IN,
    )
    .unwrap();
    let eventfd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    let memfd = rustix::fs::memfd_create("held", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let directory = File::open("/proc").unwrap();
    let above = rustix::io::fcntl_dupfd_cloexec(files[0].as_fd(), ABOVE).unwrap();
    let hard = rlimit::Resource::NOFILE.get_hard().unwrap();
    rlimit::Resource::NOFILE.set(SOFT, hard).unwrap();

    let blocked = TcpListener::bind("127.0.0.1:0").unwrap();
    let blocked_address = blocked.local_addr().unwrap();
    let thread = std::thread::spawn(move || drop(blocked.accept()));
    // The number that accept reserves shows in the size and not in the listing (which itself has one open).
    let deadline = Instant::now() + Duration::from_secs(10);
    while rustix::fs::stat("/proc/self/fd").unwrap().st_size as usize
        == std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
    {
        assert!(Instant::now() < deadline, "the thread blocks in accept in time");
        std::thread::yield_now();
    }
    println!("\nport {}", address.port());
    ready();
    until_told();
    drop(TcpStream::connect(blocked_address));
    thread.join().unwrap();
    drop((listener, pairs, queued, udp, files, unix, epoll, eventfd, memfd, directory, above));
}

/// Opens one file each [`PACE`] until it is told to end, and says how many a second those were.
fn grow(most: usize) {
    let (sender, told) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        until_told();
        drop(sender);
    });
    ready();
    let start = Instant::now();
    let mut files = Vec::new();
    while files.len() < most && told.recv_timeout(PACE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        files.push(File::open(FILE).unwrap());
    }
    println!("\npace {}", files.len() as f64 / start.elapsed().as_secs_f64());
}

fn until_told() {
    let _ = std::io::stdin().read(&mut [0; 1]);
}

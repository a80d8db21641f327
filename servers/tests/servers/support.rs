//! A server under test: started under an exact limit, looked at through /proc, ended for certain.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest that anything here may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub struct Server {
    child: Child,
    output: Receiver<String>,
    errors: std::fs::File,
    limit: u32,
    pub address: SocketAddr,
    /// Address of the second listener, where there is one; else unspecified.
    pub tls_address: SocketAddr,
}

/// How a server ended.
pub struct End {
    pub status: ExitStatus,
    /// The `lastfd_server` objects of its standard output, in order.
    pub counts: Vec<Value>,
    pub errors: String,
}

impl Server {
    /// Starts `serve ARGUMENTS…` with both limits at `limit` and waits until it says that it listens.
    pub fn start(limit: u32, arguments: &[&str]) -> Self {
        Self::try_start(limit, arguments).unwrap_or_else(|end| {
            panic!("serve {arguments:?} under {limit} ended with {}: {}", end.status, end.errors)
        })
    }

    /// The same with variables in its environment.
    pub fn start_with(limit: u32, arguments: &[&str], variables: &[(&str, &Path)]) -> Self {
        Self::launch(limit, arguments, variables)
            .unwrap_or_else(|end| panic!("ended with {}: {}", end.status, end.errors))
    }

    /// The same, or how it ended in place of listening.
    pub fn try_start(limit: u32, arguments: &[&str]) -> Result<Self, End> {
        Self::launch(limit, arguments, &[])
    }

    fn launch(limit: u32, arguments: &[&str], variables: &[(&str, &Path)]) -> Result<Self, End> {
        let errors = tempfile::tempfile().expect("a temporary file");
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string()])
            .arg(program())
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().expect("a descriptor"))
            .spawn()
            .expect("sh starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, output) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut server = Server { child, output, errors, limit, address: nowhere, tls_address: nowhere };
        match server.output.recv_timeout(DEADLINE) {
            Ok(line) => {
                let address =
                    line.strip_prefix("listening ").unwrap_or_else(|| panic!("first line is {line:?}"));
                server.address = address.parse().expect("an address");
                if arguments.contains(&"--tls-port") {
                    let line = server.output.recv_timeout(DEADLINE).expect("a second line");
                    let address =
                        line.strip_prefix("listening ").and_then(|line| line.strip_suffix(" with TLS"));
                    server.tls_address = address.expect("the address of TLS").parse().expect("an address");
                }
                Ok(server)
            }
            Err(_) => Err(server.end()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Descriptors of the process that /proc lists below the limit.
    pub fn listed(&self) -> u32 {
        listed(self.pid(), self.limit)
    }

    /// The directory in /proc of its thread of this name.
    pub fn thread(&self, name: &str) -> PathBuf {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let is_named = |path: &PathBuf| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        threads.map(|entry| entry.expect("listed").path()).find(is_named).expect("a thread of this name")
    }

    /// The text that it wrote to standard error so far.
    pub fn errors(&self) -> String {
        // The offset is shared with the writer: read without moving it.
        let mut bytes = vec![0; self.errors.metadata().expect("a file").len() as usize];
        self.errors.read_exact_at(&mut bytes, 0).expect("readable");
        String::from_utf8(bytes).expect("text")
    }

    pub fn connect(&self) -> TcpStream {
        self.connect_to(self.address)
    }

    /// A connection whose reads have the deadline.
    pub fn connect_to(&self, address: SocketAddr) -> TcpStream {
        let client = TcpStream::connect_timeout(&address, DEADLINE).expect("connected");
        client.set_read_timeout(Some(DEADLINE)).expect("set");
        client
    }

    /// Connects clients one after the other, each accepted before the next, until the table is full.
    pub fn fill(&self) -> Vec<TcpStream> {
        self.fill_to(self.limit)
    }

    /// The same, until this many descriptors are open.
    pub fn fill_to(&self, descriptors: u32) -> Vec<TcpStream> {
        let rest = self.listed();
        (rest + 1..=descriptors)
            .map(|descriptors| {
                let client = self.connect();
                eventually(&format!("{descriptors} descriptors are open"), || self.listed() == descriptors);
                client
            })
            .collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("its own child");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(self) -> End {
        self.signal(Signal::TERM);
        self.end()
    }

    /// How it ends by itself, within the deadline.
    pub fn end(mut self) -> End {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().expect("waits");
            status.is_some()
        });
        let counts = self
            .output
            .iter()
            .map(|line| serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("{line:?} is not JSON"))["lastfd_server"].take())
            .collect();
        End { status: status.expect("ended"), counts, errors: self.errors() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Descriptors of a process that /proc lists below `limit`.
pub fn listed(pid: u32, limit: u32) -> u32 {
    let numbers = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let below = numbers.filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok_and(|fd| fd < limit))
    });
    below.count() as u32
}

/// Waits until `holds`; there is no event for what /proc shows, so it looks every millisecond.
pub fn eventually(claim: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "within {DEADLINE:?}: {claim}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A request to `http` on a connection of its own or kept.
pub fn ask(client: &mut impl Write) {
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").expect("sent");
}

/// Whether a whole 200 answer comes; `false` when the connection ends before.
pub fn is_answered(client: &mut impl Read) -> bool {
    let (mut answer, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        match client.read(&mut chunk) {
            Ok(0) => return false,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("no answer: {error}"),
            Ok(length) => answer.extend_from_slice(&chunk[..length]),
        }
        if answer.ends_with(b"\r\n\r\nheld\n") {
            return answer.starts_with(b"HTTP/1.1 200 OK\r\n");
        }
    }
}

/// The example `serve`, beside the directory of the test binaries.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this binary");
    let program = test.parent().and_then(Path::parent).expect("target/PROFILE").join("examples/serve");
    assert!(
        program.exists(),
        "{} is missing: `cargo test -p lastfd-servers --examples` builds it",
        program.display()
    );
    program
}

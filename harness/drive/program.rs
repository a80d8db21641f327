//! Clients that are programs of the user's own: one process for each client, or one for all.
//!
//! How a program ends and what it writes is the outcome of its client. The kernel's table of sockets shows,
//! by looking, whether it is connected: a connection that is over between two looks is not seen, but exit
//! status 0 of its program proves it. If one program is all clients, each of its connections is one, and
//! nobody knows its outcome.
//!
//! A client is over when its program ends: anything that the program leaves behind is ended then, or it would
//! hold the connection of a client that is gone. Its process group shows what that is, and a variable of its
//! environment shows which processes have left the group. All processes that lost their parent get this
//! process as their parent, which is a subreaper. The programs are in a tree that the run owns, too.

use super::orders::{Error, Lines, at, parsed};
use super::pacing::{Gate, Load};
use super::probe::Seen;
use super::protocol::{Order, Setup};
use super::report::Reporter;
use crate::event::{Client as State, Label, Nanos, Outcome, Pacing, Unseen, What};
use crate::scenario::{ClientProgram, One, Pace};
use crate::sys::address::Address;
use crate::sys::sock_diag::{SockDiag, Socket, State as Tcp};
use crate::sys::{clock, proc};
use regex::bytes::Regex;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpgid, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, waitpid,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

const MS: u64 = 1_000_000;
const ORDERS: u64 = u64::MAX;
/// Events taken in one turn.
const TURN: usize = 128;
/// How often the programs' sockets are looked at while that is of use: a look costs some 0.1 ms.
const LOOK_EVERY: u64 = 3 * MS;
/// The same where one program is all clients, and its connections stand still.
const LOOK_SELDOM: u64 = 10 * MS;
/// A program that does not connect for so long is no longer waited for.
const START_WITHIN: u64 = 10_000 * MS;
/// Programs that start at the same time: they would only wait for each other's CPU.
const STARTING_AT_MOST: u32 = 8;
/// One program for all has all its clients connected when no more of them are than so long ago.
const STANDS_STILL: u64 = 300 * MS;
/// Where each client is a process, their connections are looked at so often, once they are connected.
const LOOK_RARELY: u64 = 100 * MS;
/// Generations of processes that one program leaves behind.
const GENERATIONS: u32 = 64;
/// The variable that marks all processes of a program, by its number.
const MARK: &str = "LASTFD_CLIENT_PROGRAM";
/// Reads for what an ended program wrote last: a pipe has at most 1 MiB (pipe(7)).
const LAST_READS: usize = 64;
/// From SIGTERM to SIGKILL for a program that is to leave.
const GRACE: u64 = 500 * MS;
/// A line of output is read so far, and its last words are reported so far. Bytes; characters.
const LINE_BYTES: usize = 4096;
const WORDS: usize = 200;
const NS: f64 = 1e-9;

/// The owner of a program.
enum Role {
    Client(u32),
    Probe {
        label: Label,
        deadline_ms: u64,
    },
    /// It was told to leave, and is to be killed at this time.
    Leaves(Nanos),
}

/// A program that runs.
struct Running {
    role: Role,
    child: Child,
    /// Readable when it has ended.
    _pidfd: OwnedFd,
    output: Option<OwnedFd>,
    /// The last whole line, and the beginning of the next one.
    last: Vec<u8>,
    line: Vec<u8>,
    started: Nanos,
    connected: Option<Nanos>,
    /// Its sockets that are connected to the server, by inode, as they were seen last.
    sockets: HashMap<u64, Socket>,
    /// Its connection is over, and that was reported, though it runs on.
    over: bool,
    served: bool,
}

impl Running {
    /// Whether a look at its sockets is of use; `all`: it is all clients.
    fn is_watched(&self, all: bool) -> bool {
        !matches!(self.role, Role::Leaves(_)) && !self.over && (all || self.connected.is_none())
    }

    /// Whether it is a client of its own that is connected.
    fn holds(&self) -> bool {
        matches!(self.role, Role::Client(_)) && self.connected.is_some() && !self.over
    }

    fn starting(&self, now: Nanos) -> bool {
        self.connected.is_none() && now - self.started < START_WITHIN && !matches!(self.role, Role::Leaves(_))
    }

    fn words(&self, status: ExitStatus) -> String {
        let text = String::from_utf8_lossy(&self.last);
        match (text.trim(), status.code(), status.signal()) {
            ("", Some(code), _) => format!("exit status {code}, and no output"),
            ("", None, signal) => format!("killed by signal {}, and no output", signal.unwrap_or(0)),
            (text, ..) => text.chars().take(WORDS).collect(),
        }
    }

    /// Takes in a part of its output; whether a line of it matches.
    fn takes(&mut self, bytes: &[u8], served: Option<&Regex>) -> bool {
        let mut matches = false;
        for part in bytes.split_inclusive(|&b| b == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                matches |= self.ends_line(served);
            }
        }
        matches
    }

    fn ends_line(&mut self, served: Option<&Regex>) -> bool {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            self.last = line.to_vec();
        }
        served.is_some_and(|served| served.is_match(line))
    }
}

/// The clients of one workload.
pub struct Programs<W> {
    program: ClientProgram,
    served: Option<Regex>,
    target: Address,
    epoll: OwnedFd,
    diag: SockDiag,
    gate: Gate,
    report: Reporter<W>,
    /// By a number that is given once.
    running: BTreeMap<u64, Running>,
    numbers: u64,
    /// Clients to be started, and those started so far; if one program is all clients, its connections so
    /// far.
    ordered: u32,
    started: u32,
    pacing: Option<Pacing>,
    connected: u32,
    /// For one program that is all clients: its connections by the inodes of their sockets.
    connections: HashMap<u64, (u32, Socket)>,
    /// How many of them there have been at a time, and since when no more.
    most: (usize, Nanos),
    looked: Nanos,
    /// When the connections of those that are connected were looked at.
    watched: Nanos,
    /// A descriptor of a program was the last that its own limit allows: reported once.
    full: bool,
}

impl<W: Write> Programs<W> {
    /// None runs yet.
    ///
    /// # Errors
    /// No epoll instance or netlink socket can be made; the pattern does not compile; prctl(2) fails.
    pub fn new(setup: Setup, program: ClientProgram, pace: Pace, stdout: W) -> Result<Programs<W>, Error> {
        set_child_subreaper(Some(getpid())).map_err(at("taking in what client programs leave behind"))?;
        let served = program.pattern().map_err(io::Error::other);
        Ok(Programs {
            served: served.map_err(at("compiling the pattern of served clients"))?,
            gate: Gate::new(setup.target.clone(), pace, false),
            program,
            target: setup.target,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(at("making an epoll instance"))?,
            diag: SockDiag::open().map_err(at("opening a netlink socket"))?,
            report: Reporter::new(setup.workload, stdout),
            running: BTreeMap::new(),
            numbers: 0,
            ordered: 0,
            started: 0,
            pacing: None,
            connected: 0,
            connections: HashMap::new(),
            most: (0, 0),
            looked: 0,
            watched: 0,
            full: false,
        })
    }

    /// Obeys orders until `Quit` or the end of input, and leaves no program behind.
    ///
    /// # Errors
    /// The driver's own calls failed.
    pub fn obey(mut self, lines: &mut Lines<'_>) -> Result<(), Error> {
        epoll::add(&self.epoll, lines.from, EventData::new_u64(ORDERS), EventFlags::IN)
            .map_err(at("waiting for orders (is it a pipe?)"))?;
        let mut events: Vec<epoll::Event> = Vec::with_capacity(TURN);
        loop {
            while let Some(line) = lines.next()? {
                let order = parsed(&line)?;
                lines.ended |= matches!(order, Order::Quit);
                self.order(order);
            }
            if lines.ended {
                self.running.values().for_each(|one| signal(one, Signal::KILL));
                self.running.values_mut().for_each(|one| drop(one.child.wait()));
                return self.report.flush().map_err(at("reporting"));
            }
            self.start();
            if self.looks_at().is_some_and(|due| due <= clock::now()) {
                self.look();
            }
            self.overdue();
            self.pace();
            self.report.flush().map_err(at("reporting"))?;
            events.clear();
            let timeout =
                self.timeout().map(|ns| Timespec { tv_sec: 0, tv_nsec: ns.div_ceil(MS) as i64 * MS as i64 });
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(at("waiting")(errno)),
            }
            for event in &events {
                match event.data.u64() {
                    ORDERS => lines.read()?,
                    token if token % 2 == 0 => self.hear(token / 2, 1),
                    token => self.ended(token / 2)?,
                }
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Connect { upto } => self.connect(self.ordered.max(upto)),
            Order::Refill { clients } => self.connect(self.ordered.saturating_add(clients)),
            Order::Release { clients } => self.release(clients),
            Order::Probe { label, deadline_ms } => self.probe(label, deadline_ms),
            Order::AskHeld { clients, .. } => {
                let why = "its clients are programs of the user's own, which nobody can ask again".to_owned();
                (0..clients.max(1)).for_each(|_| {
                    self.report
                        .say(What::NotSeen { what: Unseen::Probe { label: Label::Held }, why: why.clone() });
                });
            }
            Order::GiveUp { .. } | Order::Quit => {}
        }
    }

    fn connect(&mut self, upto: u32) {
        self.gate.look_again();
        self.say_pacing(Pacing::Ramping);
        let more = upto - self.ordered;
        self.ordered = upto;
        if self.program.one == One::All && more > 0 {
            self.most = (0, clock::now());
            self.spawn(Role::Client(0), more);
        }
    }

    fn say_pacing(&mut self, state: Pacing) {
        if self.pacing != Some(state) {
            self.pacing = Some(state);
            self.report.pacing(state, self.connected);
        }
    }

    fn count_starting(&self) -> u32 {
        let now = clock::now();
        self.running.values().filter(|one| one.starting(now)).count() as u32
    }

    /// Starts the clients that are ordered, as far as the accept queue has room and the CPU is not at work
    /// for earlier ones.
    fn start(&mut self) {
        while self.program.one == One::Each && self.started < self.ordered {
            let starting = self.count_starting();
            let load = Load { connecting: starting, unserved: 0 };
            if starting >= STARTING_AT_MOST || self.gate.credit(load, clock::now()) == 0 {
                return;
            }
            self.started += 1;
            self.spawn(Role::Client(self.started - 1), 1);
        }
    }

    /// Says whether clients still come.
    fn pace(&mut self) {
        if !matches!(self.pacing, Some(Pacing::Ramping | Pacing::Parked)) {
            return;
        }
        let (now, starting) = (clock::now(), self.count_starting() > 0);
        let all = |open: usize, (most, since): (usize, Nanos)| {
            open >= self.ordered as usize || (most > 0 && now - since >= STANDS_STILL)
        };
        let state = match self.program.one {
            One::Each if self.started < self.ordered && !starting && self.gate.due() <= now => Pacing::Parked,
            One::Each if self.started < self.ordered || starting => Pacing::Ramping,
            One::All if starting => Pacing::Ramping,
            One::All
                if self.running_clients() && self.most.0 > 0 && !all(self.connections.len(), self.most) =>
            {
                Pacing::Ramping
            }
            One::Each | One::All => Pacing::Done,
        };
        self.say_pacing(state);
    }

    fn running_clients(&self) -> bool {
        self.running.values().any(|one| matches!(one.role, Role::Client(_)))
    }

    /// Starts a program for so many clients.
    fn spawn(&mut self, role: Role, clients: u32) {
        let id = match role {
            Role::Client(id) => id,
            _ => u32::MAX,
        };
        match self.executed(id, clients, self.numbers) {
            Ok((child, pidfd, output)) => {
                let number = self.numbers;
                self.numbers += 1;
                let watched =
                    [(output.as_fd(), 2 * number), (pidfd.as_fd(), 2 * number + 1)].into_iter().try_for_each(
                        |(fd, token)| epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN),
                    );
                if let Err(errno) = watched {
                    self.report.client(id, State::Local(errno.raw_os_error()));
                }
                let one = Running {
                    role,
                    child,
                    _pidfd: pidfd,
                    output: Some(output),
                    last: Vec::new(),
                    line: Vec::new(),
                    started: clock::now(),
                    connected: None,
                    sockets: HashMap::new(),
                    over: false,
                    served: false,
                };
                self.running.insert(number, one);
            }
            Err(error) => self.not_started(role, &error),
        }
    }

    fn executed(&self, id: u32, clients: u32, number: u64) -> io::Result<(Child, OwnedFd, OwnedFd)> {
        let fill = |word: &String| {
            word.replace("{clients}", &clients.to_string()).replace("{client}", &id.to_string())
        };
        let words: Vec<String> = self.program.run.iter().map(fill).collect();
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (output, written) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&output, rustix::fs::OFlags::NONBLOCK)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(self.program.env.iter().map(|(key, value)| (key, fill(value))));
        command.env(MARK, number.to_string());
        command.stdin(Stdio::null()).stdout(written.try_clone()?).stderr(written).process_group(0);
        let mut child = command.spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => Ok((child, pidfd, output)),
            Err(errno) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(errno.into())
            }
        }
    }

    /// A lack of this machine is the generator's failure; anything else is the command's own.
    fn not_started(&mut self, role: Role, error: &io::Error) {
        let words = format!("cannot be started: {error}");
        let lacks = [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::ENOMEM];
        match (role, error.raw_os_error().filter(|errno| lacks.contains(errno))) {
            (Role::Client(id), Some(errno)) => self.report.client(id, State::Local(errno)),
            (Role::Client(id), None) => self.say_ended(id, None, words, false),
            (Role::Probe { label, .. }, _) => {
                self.report.say(What::NotSeen { what: Unseen::Probe { label }, why: words });
            }
            (Role::Leaves(_), _) => {}
        }
    }

    fn say_ended(&mut self, id: u32, status: Option<ExitStatus>, words: String, connected: bool) {
        self.report.say(What::ProgramEnded {
            workload: self.report.workload(),
            id: (self.program.one == One::Each).then_some(id),
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            words,
            connected,
        });
    }

    fn probe(&mut self, label: Label, deadline_ms: u64) {
        self.report.say(What::Arrived { workload: self.report.workload() });
        self.spawn(Role::Probe { label, deadline_ms }, 1);
    }

    /// Lets clients leave, the oldest first; if one program is all clients, all or none.
    fn release(&mut self, clients: u32) {
        let mut left = 0;
        self.ordered = if self.program.one == One::Each { self.started } else { self.ordered };
        let kill_at = clock::now() + GRACE;
        if self.program.one == One::Each || clients == u32::MAX {
            for (_, (id, socket)) in self.connections.drain() {
                let closed = socket.state == Tcp::CLOSE_WAIT;
                self.report.client(id, if closed { State::Closed } else { State::Released });
            }
            for one in self.running.values_mut() {
                let Role::Client(id) = one.role else { continue };
                if left == clients {
                    break;
                }
                // Recorded before it is done, so that the client that takes the place comes later.
                if self.program.one == One::Each && one.holds() {
                    self.report.client(id, State::Released);
                }
                one.role = Role::Leaves(kill_at);
                signal(one, Signal::TERM);
                left += 1;
            }
        }
        if clients == u32::MAX {
            for one in self.running.values_mut() {
                if let Role::Probe { label, .. } = one.role {
                    self.report.say(super::probe::dismissed(label));
                    one.role = Role::Leaves(kill_at);
                    signal(one, Signal::TERM);
                }
            }
        }
        self.report.say(What::Released { clients: left });
    }

    /// When the sockets are to be looked at next; `None`: that would tell nothing.
    fn looks_at(&self) -> Option<Nanos> {
        let any = |test: &dyn Fn(&Running) -> bool| self.running.values().any(test);
        match self.program.one {
            One::Each if any(&|one| one.is_watched(false)) => Some(self.looked + LOOK_EVERY),
            One::Each => any(&Running::holds).then_some(self.watched + LOOK_RARELY),
            One::All if !self.running_clients() && self.connections.is_empty() => None,
            One::All if self.pacing == Some(Pacing::Done) => Some(self.looked + LOOK_SELDOM),
            One::All => Some(self.looked + LOOK_EVERY),
        }
    }

    /// Looks which programs are connected, and now and then which still are.
    fn look(&mut self) {
        self.looked = clock::now();
        let Some(table) = self.table() else { return };
        let all = self.program.one == One::All;
        let watched = self.running.iter().filter(|(_, one)| one.is_watched(all));
        let numbers: Vec<u64> = watched.map(|(number, _)| *number).collect();
        let mut own: HashMap<u64, Socket> = HashMap::new();
        for number in numbers {
            let found = self.sockets(number, &table);
            let one = self.running.get_mut(&number).expect("its number is from there");
            if !found.is_empty() && one.connected.is_none() {
                one.connected = Some(clock::now());
                if let (Role::Client(id), false) = (&one.role, all) {
                    self.connected += 1;
                    self.report.client(*id, State::Connected);
                }
            }
            if all {
                own.extend(found);
            } else {
                one.sockets = found;
            }
        }
        if all {
            self.vanished(&own);
            self.appeared(own);
        } else if self.watched + LOOK_RARELY <= self.looked {
            self.watched = self.looked;
            self.watch(&table);
        }
    }

    /// The clients' sockets, by inode.
    fn table(&mut self) -> Option<HashMap<u64, Socket>> {
        let Address::Inet(target) = self.target else { return None };
        let mut table = HashMap::new();
        self.diag.clients_of(target, |socket| _ = table.insert(socket.inode, socket)).ok()?;
        Some(table)
    }

    /// Which of these the processes of a program hold.
    fn sockets(&mut self, number: u64, table: &HashMap<u64, Socket>) -> HashMap<u64, Socket> {
        let mut sockets = HashSet::new();
        for pid in proc::tree(self.running[&number].child.id() as i32) {
            let _ = proc::sockets(pid, &mut sockets); // it may be gone
            let full = |(soft, _)| proc::descriptors(pid).is_ok_and(|open| open >= soft);
            if !self.full && proc::nofile(pid).is_ok_and(full) {
                self.full = true;
                self.report.client(u32::MAX, State::Local(libc::EMFILE));
            }
        }
        sockets.iter().filter_map(|inode| Some((*inode, *table.get(inode)?))).collect()
    }

    /// Looks whether those that were connected still are. One that has connected anew after it closed a
    /// connection itself is.
    fn watch(&mut self, table: &HashMap<u64, Socket>) {
        let holding = self.running.iter().filter(|(_, one)| one.holds());
        let numbers: Vec<u64> = holding.map(|(number, _)| *number).collect();
        for number in numbers {
            let one = self.running.get_mut(&number).expect("its number is from there");
            let before = std::mem::take(&mut one.sockets);
            // The server's end of stream is given this long to be read: a program may be at work on what came
            // before it.
            let ended =
                |was: &Socket, is: &Socket| was.state == Tcp::CLOSE_WAIT && is.state == Tcp::CLOSE_WAIT;
            let is = |(inode, was): (&u64, &Socket)| {
                table.get(inode).filter(|is| !ended(was, is)).map(|is| (*inode, *is))
            };
            let open: HashMap<u64, Socket> = before.iter().filter_map(is).collect();
            if !open.is_empty() {
                one.sockets = open;
                continue;
            }
            let known = !before.is_empty();
            let dismissed = before.values().any(|socket| closed_by_server(&mut self.diag, socket));
            let found = self.sockets(number, table);
            let one = self.running.get_mut(&number).expect("it was there just now");
            let Role::Client(id) = one.role else { continue };
            one.over = known && (dismissed || found.is_empty());
            if one.over {
                self.report.client(id, if dismissed { State::Closed } else { State::Released });
            }
            one.sockets = found;
        }
    }

    /// Connections of the one program that are no more.
    fn vanished(&mut self, own: &HashMap<u64, Socket>) {
        let (report, diag) = (&mut self.report, &mut self.diag);
        self.connections.retain(|inode, (id, socket)| {
            let now = own.get(inode);
            if now.is_none() {
                let closed = closed_by_server(diag, socket);
                report.client(*id, if closed { State::Closed } else { State::Released });
            }
            *socket = now.copied().unwrap_or(*socket);
            now.is_some()
        });
    }

    fn appeared(&mut self, own: HashMap<u64, Socket>) {
        for (inode, socket) in own {
            if !self.connections.contains_key(&inode) {
                self.connections.insert(inode, (self.started, socket));
                self.report.client(self.started, State::Connected);
                (self.started, self.connected) = (self.started + 1, self.connected + 1);
            }
        }
        if self.connections.len() > self.most.0 {
            self.most = (self.connections.len(), clock::now());
        }
    }

    /// Reads what a program has written, in so many reads at most: it may write without end.
    fn hear(&mut self, number: u64, reads: usize) {
        let Some(one) = self.running.get_mut(&number) else { return };
        let mut chunk = [0; 16 * 1024];
        let mut served = false;
        for _ in 0..reads {
            let Some(output) = &one.output else { break };
            match rustix::io::read(output, &mut chunk) {
                Ok(0) => {
                    served |= one.ends_line(self.served.as_ref());
                    one.output = None;
                }
                Ok(length) => served |= one.takes(&chunk[..length], self.served.as_ref()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if served && !one.served {
            one.served = true;
            self.is_served(number);
        }
    }

    /// The client of this program is served, as a line of its output says.
    fn is_served(&mut self, number: u64) {
        let one = self.running.get_mut(&number).expect("it was heard just now");
        let first = one.connected.is_none();
        let since = *one.connected.get_or_insert_with(clock::now);
        match &one.role {
            Role::Client(id) => {
                let id = *id;
                self.say_served(id, first);
            }
            Role::Probe { label, .. } => {
                let label = *label;
                self.seen(number, label, Outcome::Served, String::new(), Some(since));
            }
            Role::Leaves(_) => {}
        }
    }

    /// `first`: it was not seen to be connected before.
    fn say_served(&mut self, id: u32, first: bool) {
        self.say_connected(id, first);
        self.report.client(id, State::Served);
    }

    fn say_connected(&mut self, id: u32, first: bool) {
        if first {
            self.connected += 1;
            self.report.client(id, State::Connected);
        }
    }

    /// A program has ended.
    fn ended(&mut self, number: u64) -> Result<(), Error> {
        let Some(one) = self.running.get(&number) else { return Ok(()) };
        let left_by_itself = !one.sockets.is_empty()
            && !one.sockets.values().any(|socket| closed_by_server(&mut self.diag, socket));
        let leader = Pid::from_child(&one.child);
        // While nobody has waited for the program, no other process has its number.
        signal(one, Signal::KILL);
        self.end_rest(number, leader);
        self.hear(number, LAST_READS);
        let Some(mut one) = self.running.remove(&number) else { return Ok(()) };
        let status = one.child.wait().map_err(at("waiting for a client program"))?;
        one.ends_line(None);
        let (words, connected, fine) = (one.words(status), one.connected.is_some(), status.success());
        let told = self.program.error_status.is_some_and(|error| status.code() == Some(error.into()));
        match one.role {
            Role::Client(id) => {
                match (fine, connected) {
                    _ if self.program.one == One::All => {}
                    // Its connection may have been gone a moment before.
                    (false, _) if told => {
                        self.say_connected(id, !connected);
                        self.report.client(id, State::ErrorReply(words.clone()));
                    }
                    _ if one.over => {}
                    (true, _) => {
                        if !one.served {
                            self.say_served(id, !connected);
                        }
                        self.report.client(id, State::Released);
                    }
                    (false, true) if left_by_itself => self.report.client(id, State::Released),
                    (false, true) if one.served => self.report.client(id, State::Closed),
                    (false, true) => self.report.client(id, State::ErrorReply(words.clone())),
                    (false, false) => {}
                }
                self.say_ended(id, Some(status), words, connected || fine || told);
            }
            Role::Probe { label, .. } => {
                let listens = self.diag.listener(&self.target).is_ok_and(|listener| listener.is_some());
                let outcome = match (fine, connected || listens) {
                    (true, _) => Outcome::Served,
                    (false, true) => Outcome::ErrorReply,
                    (false, false) => Outcome::Refused,
                };
                self.say_seen(label, outcome, words, one.connected, one.started);
            }
            Role::Leaves(_) => {}
        }
        Ok(())
    }

    /// Ends the processes that a program leaves behind.
    fn end_rest(&self, number: u64, leader: Pid) {
        let programs: HashSet<i32> = self.running.values().map(|one| one.child.id() as i32).collect();
        let mark = format!("{MARK}={number}");
        for _ in 0..GENERATIONS {
            let all = proc::children(getpid().as_raw_nonzero().get()).into_iter();
            let orphans: Vec<Pid> =
                all.filter(|pid| !programs.contains(pid)).filter_map(Pid::from_raw).collect();
            let its = |pid: &Pid| {
                getpgid(Some(*pid)) == Ok(leader) || proc::has_variable(pid.as_raw_nonzero().get(), &mark)
            };
            let (its, others): (Vec<Pid>, Vec<Pid>) = orphans.into_iter().partition(its);
            // Nobody else reaps the processes of other programs that have ended.
            others.iter().for_each(|pid| _ = waitpid(Some(*pid), WaitOptions::NOHANG));
            if its.is_empty() {
                return;
            }
            its.iter().for_each(|pid| _ = kill_process(*pid, Signal::KILL));
            // Then their children come here.
            its.iter().for_each(|pid| _ = waitpid(Some(*pid), WaitOptions::empty()));
        }
    }

    /// A probe is over though its program runs on.
    fn seen(&mut self, number: u64, label: Label, outcome: Outcome, words: String, connected: Option<Nanos>) {
        let one = self.running.get_mut(&number).expect("it is the program of this probe");
        one.role = Role::Leaves(clock::now() + GRACE);
        signal(one, Signal::TERM);
        let started = one.started;
        self.say_seen(label, outcome, words, connected, started);
    }

    fn say_seen(
        &mut self,
        label: Label,
        outcome: Outcome,
        detail: String,
        connected: Option<Nanos>,
        started: Nanos,
    ) {
        let answered = matches!(outcome, Outcome::Served | Outcome::ErrorReply);
        let connect_s = connected.map(|connected| (connected - started) as f64 * NS);
        let answer_s = connected.filter(|_| answered).map(|connected| (clock::now() - connected) as f64 * NS);
        let seen = Seen { label, outcome, detail, connect_s, answer_s };
        self.report.say(seen.event(self.report.workload()));
    }

    /// Ends what has passed its deadline.
    fn overdue(&mut self) {
        let now = clock::now();
        let mut over = Vec::new();
        for (number, one) in &mut self.running {
            match &mut one.role {
                Role::Leaves(kill_at) if *kill_at <= now => {
                    *kill_at = now + GRACE;
                    signal(one, Signal::KILL);
                }
                Role::Probe { label, deadline_ms } => {
                    let within = if one.connected.is_some() { *deadline_ms * MS } else { START_WITHIN };
                    if now - one.connected.unwrap_or(one.started) >= within {
                        over.push((*number, *label, one.connected));
                    }
                }
                Role::Leaves(_) | Role::Client(_) => {}
            }
        }
        for (number, label, connected) in over {
            let outcome = if connected.is_some() { Outcome::Waits } else { Outcome::TimesOut };
            self.seen(number, label, outcome, String::new(), connected);
        }
    }

    /// Time until there is something to do without an event, nanoseconds.
    fn timeout(&self) -> Option<u64> {
        let now = clock::now();
        let comes =
            (self.program.one == One::Each && self.started < self.ordered).then_some(now + LOOK_EVERY);
        let waits = self.running.values().any(|one| !matches!(one.role, Role::Client(_)));
        let all = [
            comes,
            waits.then_some(now + LOOK_EVERY),
            self.looks_at(),
            self.stands().then_some(now + LOOK_EVERY),
        ];
        all.into_iter().flatten().min().map(|due| due.saturating_sub(now).min(1000 * MS - 1))
    }

    /// Whether its pacing may change by time alone.
    fn stands(&self) -> bool {
        matches!(self.pacing, Some(Pacing::Ramping | Pacing::Parked))
    }
}

/// To the program and all that it started in its group. One that has ended is what was wanted.
fn signal(one: &Running, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(&one.child), signal);
}

/// Whether the server ended this connection of a client, which was seen so, before the client did. Whoever
/// closes first has a socket that waits for the other's end, or in TIME_WAIT. A reset leaves neither: it is
/// the client's where it had not read all.
fn closed_by_server(diag: &mut SockDiag, seen: &Socket) -> bool {
    use Tcp::{CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, TIME_WAIT};
    if seen.state == CLOSE_WAIT {
        return true;
    }
    let mut state = |local, peer| diag.connection(local, peer).ok().flatten().map(|socket| socket.state);
    match (state(seen.local, seen.peer), state(seen.peer, seen.local)) {
        (Some(FIN_WAIT1 | FIN_WAIT2 | CLOSING | TIME_WAIT), _) => false,
        (_, Some(ESTABLISHED | CLOSE_WAIT | LAST_ACK)) => false,
        (None, None) => seen.receive_queue == 0,
        _ => true,
    }
}

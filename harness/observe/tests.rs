//! Both syscall observers on real programs at small limits. The witness is the program itself: each counts
//! what its own calls returned, and prints it.

use super::*;
use crate::event::{Call, Change, Limits, What};
use crate::sys::blocked::{Blocked, host_root};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Every observer that works here; root is expected to have both.
fn observers() -> Vec<Chosen> {
    let works = |choice| choose(choice, None).inspect_err(|why| eprintln!("skipped: {why:?}")).ok();
    let found: Vec<_> = [Choice::Perf, Choice::Ptrace].into_iter().filter_map(works).collect();
    assert!(found.len() == 2 || !host_root() && found.len() == 1);
    found
}

struct Seen {
    pid: Pid,
    events: Vec<Event>,
    /// The lines that the subject printed, but for `port N`.
    printed: Vec<String>,
    status: ExitStatus,
}

/// Runs a Python program to its end, with this many clients for the port that it prints (`port N`).
fn observe(chosen: &Chosen, program: &str, clients: usize) -> Seen {
    let mut command = Command::new("python3");
    command.args(["-c", program]).stdout(Stdio::piped());
    let blocked = Blocked::spawn(command, chosen.trapped());
    let pid = blocked.pid;
    let mut observer = chosen.attach(pid).expect("attaches");
    let mut child = blocked.go().expect("python3 is there");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (ended, all) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut held = Vec::new();
        let mut printed = Vec::new();
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("port ") {
                // It may have failed as often as it was to, and ended, before the last of them come.
                Some(port) => held.extend(
                    (0..clients).filter_map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).ok()),
                ),
                None => printed.push(line),
            }
        }
        ended.send(printed).expect("is waited for");
    });
    let mut events = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    let printed = loop {
        observer.drain(&mut events).expect("drains");
        match all.recv_timeout(Duration::from_millis(1)) {
            Ok(printed) => break printed,
            Err(_) => assert!(Instant::now() < deadline, "the subject hangs"),
        }
    };
    reading.join().expect("reads");
    // Its output ends before the last process has quite exited; and while it is traced, a wait would take the
    // tracer's stops.
    while !exited(&events, pid) {
        assert!(Instant::now() < deadline, "no exit of {pid} was seen");
        observer.drain(&mut events).expect("drains");
    }
    let status = child.wait().expect("ours");
    observer.stop();
    observer.drain(&mut events).expect("drains");
    events.sort_by_key(|e| e.at);
    Seen { pid, events, printed, status }
}

fn exited(events: &[Event], process: Pid) -> bool {
    events.iter().any(|e| matches!(e.is, What::Process { pid, change: Change::Exit, .. } if pid == process))
}

impl Seen {
    /// Results of one call, in order, in one process or (`None`) all.
    fn results(&self, of: Option<Pid>, call: Call) -> Vec<i64> {
        let result = |e: &Event| match e.is {
            What::Call { pid, name, ret, .. } if name == call && of.is_none_or(|of| of == pid) => Some(ret),
            _ => None,
        };
        self.events.iter().filter_map(result).collect()
    }

    /// The last total of each call's failures.
    fn totals(&self) -> BTreeMap<Call, u64> {
        let total = |e: &Event| match e.is {
            What::Failures { name, total } => Some((name, total)),
            _ => None,
        };
        self.events.iter().filter_map(total).collect()
    }

    fn count(&self, like: impl Fn(&What) -> bool) -> usize {
        self.events.iter().filter(|e| like(&e.is)).count()
    }

    /// The program's output, as numbers.
    fn numbers(&self) -> Vec<Vec<i64>> {
        self.printed
            .iter()
            .map(|l| l.split_whitespace().map(|w| w.parse().expect("a number")).collect())
            .collect()
    }
}

fn failures(results: &[i64]) -> usize {
    results.iter().filter(|&&ret| ret == -24).count()
}

/// The beginning of every server below: a listener under a limit of its own. `take()` accepts by accept4,
/// `take_old()` by accept.
const SERVER: &str = r#"
import ctypes, errno, os, resource, signal, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.accept(-1, None, None)
def limit(n): resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
def listen():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(256)
    print("port", s.getsockname()[1], flush=True)
    return s
def take(s):
    fd, _ = s._accept()
    return fd
def take_old(s):
    fd = libc.accept(s.fileno(), None, None)
    if fd < 0: raise OSError(ctypes.get_errno(), "accept")
    return fd
def serve(s, take, until):
    accepted = failed = 0
    while failed < until:
        try: take(s); accepted += 1
        except OSError as e:
            assert e.errno == errno.EMFILE, e
            failed += 1
    return accepted, failed
"#;

fn program(body: &str) -> String {
    SERVER.to_owned() + body
}

#[test]
fn successes_and_failures_of_accept4_and_of_accept_are_those_that_the_program_counted() {
    for chosen in observers() {
        for (limit, take, call) in [(32, "take", Call::Accept4), (64, "take_old", Call::Accept)] {
            let body = format!("s = listen(); limit({limit}); print(*serve(s, {take}, 7), flush=True)");
            let seen = observe(&chosen, &program(&body), limit + 8);
            let results = seen.results(Some(seen.pid), call);
            let [accepted, failed] = seen.numbers()[0][..] else { panic!("{:?}", seen.printed) };
            assert_eq!(failures(&results) as i64, failed, "{chosen:?} at {limit}");
            assert_eq!(
                results.iter().filter(|&&ret| ret >= 0).count() as i64,
                accepted,
                "{chosen:?} at {limit}"
            );
            assert!(
                results[accepted as usize..].iter().all(|&ret| ret == -24),
                "every success comes before the first failure"
            );
            assert_eq!(results[accepted as usize - 1], limit as i64 - 1, "the last number below the limit");
            assert_eq!(seen.totals(), BTreeMap::from([(call, failed as u64)]));
            assert!(seen.status.success(), "its parent gets its exit status");
        }
    }
}

#[test]
fn every_forked_worker_has_its_own_counts_and_its_threads_are_one_process() {
    let body = r#"
s = listen()
limit(40)
for worker in range(2):
    if os.fork() == 0:
        counts = []
        def run(): counts.append(serve(s, take, 3 + 2 * worker))
        threads = [threading.Thread(target=run) for _ in range(3)]
        for t in threads: t.start()
        for t in threads: t.join()
        os.write(1, f"{os.getpid()} {sum(c[0] for c in counts)} {sum(c[1] for c in counts)}\n".encode())
        os._exit(0)
for worker in range(2): os.wait()
"#;
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 100);
        assert_eq!(seen.printed.len(), 2, "both workers end");
        for counts in seen.numbers() {
            let [pid, accepted, failed] = counts[..] else { panic!("{counts:?}") };
            let results = seen.results(Some(pid as Pid), Call::Accept4);
            assert_eq!(
                (results.iter().filter(|&&r| r >= 0).count() as i64, failures(&results) as i64),
                (accepted, failed),
                "{chosen:?}"
            );
            let life: Vec<_> = seen
                .events
                .iter()
                .filter_map(|e| match e.is {
                    What::Process { pid: p, parent, change } if i64::from(p) == pid => Some((parent, change)),
                    _ => None,
                })
                .collect();
            assert_eq!(
                life,
                [(seen.pid, Change::Fork), (seen.pid, Change::Exit)],
                "{chosen:?}: no thread is a process"
            );
        }
        let total = seen.numbers().iter().map(|counts| counts[2] as u64).sum();
        assert_eq!(seen.totals(), BTreeMap::from([(Call::Accept4, total)]));
    }
}

#[test]
fn a_spinning_subject_fills_no_memory_and_its_totals_stay_exact() {
    for (choice, spins) in [(Choice::Perf, 300_000), (Choice::Ptrace, 21_000)] {
        let Ok(chosen) = choose(choice, None) else { continue };
        let seen = observe(
            &chosen,
            &program(&format!("s = listen(); limit(32); print(*serve(s, take, {spins}), flush=True)")),
            40,
        );
        assert_eq!(seen.totals(), BTreeMap::from([(Call::Accept4, spins)]), "{chosen:?}");
        assert_eq!(seen.count(|is| *is == What::SamplingStopped), 1, "{chosen:?}");
        let sampled = failures(&seen.results(None, Call::Accept4)) as u64;
        assert!((1_000..=failures::SAMPLED_AT_MOST).contains(&sampled), "{chosen:?} sampled {sampled}");
        assert!(seen.count(|is| matches!(is, What::Failures { .. })) >= 2, "totals come while it spins");
    }
}

#[test]
fn a_flood_of_refused_memory_takes_no_failed_accept_with_it() {
    let Ok(chosen) = choose(Choice::Perf, None) else { return };
    let body = r#"
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
for _ in range(25_000): libc.mmap(None, 1 << 62, 0, 0x22, -1, 0)
s = listen(); limit(32); print(*serve(s, take, 3), flush=True)
"#;
    let seen = observe(&chosen, &program(body), 40);
    assert_eq!(
        (failures(&seen.results(None, Call::Accept4)), seen.count(|is| *is == What::SamplingStopped)),
        (3, 0)
    );
    let refused =
        seen.count(|is| matches!(is, What::Refused { call, errno: libc::ENOMEM, .. } if call == "mmap"));
    assert!((1..=1_000).contains(&refused), "{refused} reported");
}

#[test]
fn failures_of_other_calls_have_their_own_names() {
    let body = r#"
import fcntl
limit(16)
try:
    while True: os.open("/dev/null", os.O_RDONLY)
except OSError as e: assert e.errno == errno.EMFILE, e
def fails(make):
    try: make()
    except OSError as e: assert e.errno == errno.EMFILE, e
    else: assert False, make
for make in (os.pipe, socket.socket, socket.socketpair, lambda: os.eventfd(0), lambda: os.memfd_create("m")): fails(make)
assert libc.dup(0) == -1
for _ in range(2): fails(lambda: fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
fcntl.fcntl(0, fcntl.F_GETFL)
"#;
    let once = [
        Call::Openat,
        Call::Pipe2,
        Call::Socket,
        Call::Socketpair,
        Call::Eventfd2,
        Call::MemfdCreate,
        Call::Dup,
    ];
    let expected: BTreeMap<_, _> = once.map(|call| (call, 1)).into_iter().chain([(Call::Fcntl, 2)]).collect();
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 0);
        assert!(seen.status.success());
        assert_eq!(seen.totals(), expected, "{chosen:?}");
        let sampled = seen.count(|is| matches!(is, What::Call { ret: -24, .. }));
        assert_eq!(sampled as u64, expected.values().sum::<u64>());
    }
}

#[test]
fn what_is_closed_is_seen_and_what_the_launcher_did_before_exec_is_not() {
    // Python's dup2 of a descriptor that is not to be inherited is dup3.
    let body = "fd = os.open('/dev/null', os.O_RDONLY); os.dup2(fd, 200, False); os.close(200); print(fd)";
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 0);
        let at = |what: &What| {
            seen.events
                .iter()
                .position(|e| e.is == *what)
                .unwrap_or_else(|| panic!("{chosen:?}: no {what:?}"))
        };
        let opened = at(&What::Call { pid: seen.pid, name: Call::Dup3, ret: 200, on: None });
        assert!(at(&What::Close { pid: seen.pid, fd: 200 }) > opened);
        assert!(
            matches!(seen.events[0].is, What::Process { pid, change: Change::Exec, .. } if pid == seen.pid),
            "{:?}",
            seen.events[0]
        );
    }
}

#[test]
fn a_range_that_is_closed_is_seen_and_one_that_only_the_next_exec_closes_is_not() {
    const ON_EXEC: u32 = 4;
    let range = |first: u32, last: u32, flags| {
        let number = libc::SYS_close_range;
        format!(
            "assert libc.syscall({number}, ctypes.c_uint({first}), ctypes.c_uint({last}), {flags}) == 0\n"
        )
    };
    let body = range(400, 500, ON_EXEC) + &range(300, u32::MAX, 0) + &range(100, 200, 0);
    for chosen in observers() {
        let seen = observe(&chosen, &program(&body), 0);
        assert!(seen.status.success());
        let ranges = seen.events.iter().filter_map(|event| match event.is {
            What::CloseRange { pid, first, last } if pid == seen.pid => Some((first, last)),
            _ => None,
        });
        assert_eq!(ranges.collect::<Vec<_>>(), [(300, u32::MAX), (100, 200)], "{chosen:?}");
    }
}

#[test]
fn a_daemon_is_followed_after_its_parents_are_gone() {
    let body = r#"
s = listen()
limit(32)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        accepted, failed = serve(s, take, 5)
        os.write(1, f"{os.getpid()} {accepted} {failed}\n".encode())
        os.execv("/bin/sh", ["sh", "-c", ":"])
    os._exit(0)
os.wait()
os._exit(0)
"#;
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 40);
        let [pid, accepted, failed] = seen.numbers()[0][..] else { panic!("{:?}", seen.printed) };
        let results = seen.results(Some(pid as Pid), Call::Accept4);
        assert_eq!(
            (results.len() as i64, failures(&results) as i64),
            (accepted + failed, failed),
            "{chosen:?}"
        );
        assert_eq!(
            seen.count(
                |is| matches!(is, What::Process { pid: p, change: Change::Exec, .. } if i64::from(*p) == pid)
            ),
            1,
            "{chosen:?}"
        );
    }
}

#[test]
fn signals_arrive_and_an_interrupted_accept_is_no_failure() {
    let body = r#"
caught = []
signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
signal.signal(signal.SIGCHLD, lambda *_: caught.append(2))
s = listen()
take(s)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try: libc.accept(s.fileno(), None, None)
except OSError: pass
me = os.getpid()
if os.fork() == 0:
    os.kill(me, signal.SIGSTOP)
    while open(f"/proc/{me}/stat").read().rsplit(") ", 1)[1][0] not in "tT": pass
    os.kill(me, signal.SIGCONT)
    os._exit(0)
os.wait()
print(len(caught), flush=True)
os.kill(me, signal.SIGTERM)
"#;
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 1);
        assert_eq!(seen.printed, ["2"], "{chosen:?}");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&seen.status), Some(15), "{chosen:?}");
        assert_eq!(seen.totals(), BTreeMap::new(), "{chosen:?}");
        assert!(seen.results(None, Call::Accept4).iter().all(|&ret| ret >= 0));
    }
}

#[test]
fn a_thread_that_executes_becomes_the_process() {
    let body = r#"
def execute():
    code = SERVER + "s = listen(); limit(32); print(*serve(s, take, 3), flush=True)"
    os.execvp("python3", ["python3", "-c", code])
t = threading.Thread(target=execute)
t.start()
t.join()
"#;
    for chosen in observers() {
        let seen = observe(&chosen, &format!("SERVER = r'''{SERVER}'''\n{SERVER}\n{body}"), 40);
        let [accepted, failed] = seen.numbers()[0][..] else { panic!("{:?}", seen.printed) };
        let results = seen.results(Some(seen.pid), Call::Accept4);
        assert_eq!(
            (results.len() as i64, failures(&results) as i64),
            (accepted + failed, failed),
            "{chosen:?}"
        );
        let exits = seen
            .count(|is| matches!(is, What::Process { pid, change: Change::Exit, .. } if *pid == seen.pid));
        assert_eq!(exits, 1, "{chosen:?}");
    }
}

#[test]
fn who_set_a_limit_is_seen_with_the_program_that_it_ran_then_and_no_call_that_set_none_is() {
    let body = r#"
limit(48)
resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for refused in [(49, 48), (48, 1 << 40)]:
    try: resource.setrlimit(resource.RLIMIT_NOFILE, refused)
    except (ValueError, PermissionError): pass
    else: raise SystemExit("it may")
child = os.fork()
if child == 0:
    limit(40)
    os.execvp("sh", ["sh", "-c", "ulimit -n 36; exec sleep 0"])
os.waitpid(child, 0)
waits, go = os.pipe()
other = os.fork()
if other == 0:
    os.close(go)
    os.read(waits, 1)
    os._exit(0)
resource.prlimit(other, resource.RLIMIT_NOFILE, (20, 30))
time.sleep(0.5) # its limits are read while it lives
os.close(go)
os.waitpid(other, 0)
print(child, other, flush=True)
"#;
    for chosen in observers() {
        let seen = observe(&chosen, &program(body), 0);
        let [child, other] = seen.numbers()[0][..] else { panic!("{:?}", seen.printed) };
        let (own, child, other) = (seen.pid, child as Pid, other as Pid);
        let set = |pid, by, soft, hard| What::LimitSet { pid, by, limits: Some(Limits { soft, hard }) };
        let ran = |pid, program: &str| What::Executed { pid, program: program.into() };
        let told: Vec<_> = seen
            .events
            .iter()
            .filter(|e| matches!(e.is, What::LimitSet { .. } | What::Executed { .. }))
            .map(|e| e.is.clone())
            // `python3` may be a script that finds the real one by others.
            .skip_while(|is| matches!(is, What::Executed { .. }))
            .collect();
        let expected = [
            set(own, own, 48, 48),
            set(child, child, 40, 40),
            ran(child, "sh"),
            set(child, child, 36, 36),
            ran(child, "sleep"),
            set(other, own, 20, 30),
        ];
        assert_eq!(told, expected, "{chosen:?}");
    }
}

#[test]
fn a_choice_that_cannot_work_says_why_and_a_program_that_may_not_be_read_is_left_to_ptrace() {
    assert!(!blind_for(Path::new("/nonexistent")));
    assert!(!blind_for(&std::env::current_exe().expect("our own")));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o111)).expect("ours");
    assert_eq!(
        blind_for(file.path()),
        std::fs::File::open(file.path()).is_err(),
        "root reads it all the same"
    );
    match choose(Choice::Perf, Some(file.path())) {
        Ok(chosen) => assert!(!chosen.wants_trap() && host_root()),
        Err(why) => assert!(why.len() == 1 && why[0].observer == "perf" && !why[0].remedy.is_empty()),
    }
    assert!(
        choose(Choice::None, None).is_ok_and(|chosen| !chosen.wants_trap() && chosen.trapped().is_empty())
    );
}

#[test]
fn perf_takes_no_more_descriptors_than_it_says() {
    let Ok(chosen) = choose(Choice::Perf, None) else { return };
    let ours = || crate::sys::proc::descriptors(std::process::id() as Pid).expect("ours") as i64;
    // Other tests open descriptors at the same time: the least difference of several is the observer's own.
    let taken = (0..5)
        .map(|_| {
            let blocked = Blocked::spawn(Command::new("true"), Vec::new());
            let before = ours();
            let observer = chosen.attach(blocked.pid).expect("attaches");
            let taken = ours() - before;
            drop(observer);
            blocked.go().expect("goes").wait().expect("ours");
            taken
        })
        .min();
    assert!(taken.is_some_and(|n| n <= perf::descriptors_needed() as i64 && n > 0), "{taken:?}");
}

//! The owned process tree and the launchers, with real processes. Witnesses: /proc, the programs' own output,
//! the real supervisord.

use lastfd::internal::event::Limits;
use lastfd::internal::helper::Helper;
use lastfd::internal::launch::{self, Command, Ending, Error, Isolation, Site, Tree};
use lastfd::internal::limits::chain;
use lastfd::internal::scenario::{Launcher, Process, Program, Supervisor};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const EXE: &str = env!("CARGO_BIN_EXE_lastfd");
const EACH: [Isolation; 3] = [Isolation::PidNamespace, Isolation::UserNamespace, Isolation::Keeper];
pub const SOON: Duration = Duration::from_secs(10);

/// In the environment of every process of a tree, so that /proc tells whether one was left behind.
const MARK: &str = "LASTFD_TEST_MARK";
/// What a child of this test binary is to do instead of testing.
const ROLE: &str = "LASTFD_TEST_ROLE";

pub fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: BTreeMap::new(),
        directory: None,
        scratch: None,
        keeps_scratch: false,
        limits: Limits { soft: 64, hard: 64 },
        rlimits: Default::default(),
        ignore_hangup: false,
        trap: false,
        mounts: Vec::new(),
        switches_user: false,
        user: None,
        stdin: None,
        helper: Helper::lastfd(std::env::var_os("LASTFD_TEST_EXE").unwrap_or_else(|| EXE.into())),
    }
}

/// What a tree asked for under this isolation gets, by the witness of unshare(1), run as this user or through
/// `launcher`.
fn granted(asked: Isolation, launcher: &[&str]) -> Isolation {
    let works = |options: &[&str]| {
        let argv = [launcher, &["unshare", "--pid", "--fork"], options, &["true"]].concat();
        let status = std::process::Command::new(argv[0]).args(&argv[1..]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    match asked {
        Isolation::PidNamespace if works(&[]) => Isolation::PidNamespace,
        Isolation::PidNamespace | Isolation::UserNamespace if works(&["--user", "--map-current-user"]) => {
            Isolation::UserNamespace
        }
        _ => Isolation::Keeper,
    }
}

pub fn started(command: &Command, isolation: Isolation) -> Tree {
    let mut tree = Tree::prepare(command, isolation).unwrap();
    tree.start().unwrap();
    tree
}

/// Everything that it wrote, after it ended by itself.
fn output(command: &Command, isolation: Isolation) -> String {
    let mut tree = started(command, isolation);
    let mut text = String::new();
    File::from(tree.output().unwrap()).read_to_string(&mut text).unwrap();
    assert!(tree.wait_gone(SOON));
    text
}

fn refusal(command: &Command) -> Error {
    match Tree::prepare(command, Isolation::default()) {
        Ok(mut tree) => tree.start().unwrap_err(),
        Err(error) => error,
    }
}

/// Pids of the host whose environment holds this mark.
fn marked(mark: &str) -> Vec<String> {
    let needle = format!("{MARK}={mark}\0");
    let holds = |pid: &String| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(holds).collect()
}

pub fn lines(tree: &mut Tree) -> impl Iterator<Item = String> + use<> {
    BufReader::new(File::from(tree.output().unwrap())).lines().map_while(Result::ok)
}

/// A daemon: twice forked, its own session, deaf to TERM and HUP; then the first process ends, or waits.
const DAEMON: &str = r#"
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
        print("daemon", flush=True)
        while True: time.sleep(1000)
    os._exit(0)
if "stay" in sys.argv: time.sleep(1000)
os.wait()
"#;

#[test]
fn limits_are_exactly_those_asked_for_in_every_isolation() {
    for (soft, hard) in [(64, 64), (1024, 2048), (3, 16)] {
        for isolation in EACH {
            let asked = Command { limits: Limits { soft, hard }, ..command(&["sleep", "1000"]) };
            // The dynamic loader itself needs one number more than 3.
            let asked = if soft == 3 {
                Command { argv: vec![EXE.into(), "--version".into()], ..asked }
            } else {
                asked
            };
            let mut tree = Tree::prepare(&asked, isolation).unwrap();
            let program = tree.program();
            let text = || std::fs::read_to_string(format!("/proc/{program}/limits")).unwrap();
            assert!(
                !text().contains(&format!("Max open files            {soft} ")),
                "lowered before the observers attached"
            );
            tree.start().unwrap();
            if soft > 3 {
                let line = text().lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
                assert_eq!(
                    line.split_ascii_whitespace().skip(3).collect::<Vec<_>>(),
                    [soft.to_string(), hard.to_string(), "files".into()]
                );
            }
            assert_eq!(tree.isolation(), granted(isolation, &[]));
        }
    }
}

#[test]
fn program_starts_with_three_descriptors_and_default_signals() {
    // Inheritable on purpose, at a high number.
    let leak = rustix::io::fcntl_dupfd_cloexec(File::open("/dev/null").unwrap(), 40).unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    for isolation in EACH {
        let mut tree = started(&command(&["sleep", "1000"]), isolation);
        let pid = tree.program();
        let fds = || {
            let mut all: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .flatten()
                .map(|e| e.file_name())
                .collect();
            all.sort();
            all
        };
        // The dynamic loader has the libraries open for a moment, and has not begun right after the exec.
        let sleeps = || lastfd::internal::sys::proc::asleep(pid);
        super::support::eventually(SOON, || sleeps() && fds() == ["0", "1", "2"]);
        assert_eq!(fds(), ["0", "1", "2"]);
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for field in ["SigBlk:", "SigIgn:", "SigCgt:"] {
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
        assert_eq!(tree.processes(), [pid]);
        tree.kill().unwrap();
    }
}

#[test]
fn nohup_like_ignores_only_hangup() {
    let tree = started(&Command { ignore_hangup: true, ..command(&["sleep", "1000"]) }, Isolation::default());
    let status = std::fs::read_to_string(format!("/proc/{}/status", tree.program())).unwrap();
    assert!(status.contains("SigIgn:\t0000000000000001\n"), "{status}");
}

#[test]
fn program_is_alone_in_its_namespace_and_knows_its_directory_and_environment() {
    if granted(Isolation::PidNamespace, &[]) == Isolation::Keeper {
        eprintln!("skipped: no namespaces here");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut asked = command(&["sh", "-c", "pwd; echo $COLOUR $$; cd /proc; set -- [0-9]*; echo $#"]);
    asked.directory = Some(scratch.path().canonicalize().unwrap());
    asked.env.insert("COLOUR".into(), "blue".into());
    let text = output(&asked, Isolation::PidNamespace);
    // Process 1 and the shell.
    assert_eq!(text, format!("{}\nblue 2\n2\n", asked.directory.unwrap().display()));
}

#[test]
fn what_cannot_be_executed_is_said_in_the_reader_s_terms() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, mode: u32, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    assert!(matches!(refusal(&command(&["no-such-program-here"])), Error::NoSuchProgram { .. }));
    assert!(matches!(refusal(&command(&["/no/such/program"])), Error::NoSuchProgram { .. }));
    assert!(matches!(refusal(&command(&[&file("plain", 0o644, "x")])), Error::NotExecutable { .. }));
    assert!(matches!(
        refusal(&command(&[&file("script", 0o755, "#!/no/such/interpreter\n")])),
        Error::NoInterpreter { .. }
    ));
    let nowhere = Command { directory: Some("/no/such/directory".into()), ..command(&["true"]) };
    assert!(matches!(refusal(&nowhere), Error::Directory { .. }));
    let crossed = Command { limits: Limits { soft: 65, hard: 64 }, ..command(&["true"]) };
    assert!(matches!(refusal(&crossed), Error::SoftAboveHard { soft: 65, hard: 64 }));
    let huge = Command { limits: Limits { soft: 64, hard: 1 << 40 }, ..command(&["true"]) };
    assert!(matches!(refusal(&huge), Error::NrOpen { needed, .. } if needed == 1 << 40));
}

#[test]
fn hard_limit_above_the_harness_own_is_named_with_both_numbers() {
    let own = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap().1;
    let more = own.saturating_add(1);
    let asked = Command { limits: Limits { soft: 64, hard: more }, ..command(&["true"]) };
    match Tree::prepare(&asked, Isolation::default()).unwrap().start() {
        Ok(_) => eprintln!("skipped: this user may raise the hard limit"),
        Err(error) => assert!(
            error.to_string().starts_with(&format!("hard limit is {own} and this run needs {more}: ")),
            "{error}"
        ),
    }
}

#[test]
fn exit_of_the_first_process_is_reported_as_wait_says() {
    for isolation in EACH {
        let mut by_code = started(&command(&["sh", "-c", "exit 7"]), isolation);
        assert!(by_code.wait_gone(SOON));
        assert_eq!(by_code.exited().unwrap().code, Some(7));
        let mut by_signal = started(&command(&["sh", "-c", "kill -9 $$"]), isolation);
        assert!(by_signal.wait_gone(SOON));
        assert_eq!(by_signal.exited().unwrap().signal, Some(9));
        assert_eq!(by_signal.end(Signal::TERM, SOON).unwrap(), Ending::ByItself);
    }
}

#[test]
fn program_that_obeys_term_is_not_killed() {
    for isolation in EACH {
        let mut tree = started(&command(&["sleep", "1000"]), isolation);
        assert_eq!(tree.exited(), None);
        assert_eq!(tree.end(Signal::TERM, SOON).unwrap(), Ending::BySignal);
        assert_eq!(tree.exited().unwrap().signal, Some(Signal::TERM.as_raw()));
    }
}

#[test]
fn orphans_of_a_program_that_ended_get_the_signal_too() {
    let mut tree =
        started(&command(&["sh", "-c", "sleep 1000 & sleep 1001 & echo ready; wait"]), Isolation::default());
    assert_eq!(lines(&mut tree).next().as_deref(), Some("ready"));
    assert_eq!(tree.processes().len(), 3);
    assert_eq!(tree.end(Signal::TERM, SOON).unwrap(), Ending::BySignal);
}

#[test]
fn daemon_that_left_and_ignores_term_is_ended() {
    for isolation in EACH {
        let mark = format!("daemon-{isolation}-{}", std::process::id());
        let mut asked = command(&["python3", "-c", DAEMON]);
        asked.env.insert(MARK.into(), mark.clone());
        let mut tree = started(&asked, isolation);
        assert_eq!(lines(&mut tree).next().as_deref(), Some("daemon"));
        rustix::event::poll(
            &mut [rustix::event::PollFd::from_borrowed_fd(tree.exited_fd(), rustix::event::PollFlags::IN)],
            None,
        )
        .unwrap();
        assert_eq!(tree.exited().unwrap().code, Some(0));
        assert!(!tree.gone(), "the tree ends when it is empty, not when its first process has ended");
        assert_eq!(tree.processes().len(), 1);
        assert_eq!(tree.end(Signal::TERM, Duration::from_millis(50)).unwrap(), Ending::Killed);
        assert_eq!(marked(&mark), Vec::<String>::new());
    }
}

#[test]
fn dropping_a_tree_ends_it_even_before_its_start() {
    for isolation in EACH {
        let mark = format!("drop-{isolation}-{}", std::process::id());
        let mut asked = command(&["python3", "-c", DAEMON, "stay"]);
        asked.env.insert(MARK.into(), mark.clone());
        drop(Tree::prepare(&asked, isolation).unwrap());
        let mut tree = started(&asked, isolation);
        assert_eq!(lines(&mut tree).next().as_deref(), Some("daemon"));
        // Stage, init, the program and the daemon.
        assert_eq!(marked(&mark).len(), 4);
        drop(tree);
        assert_eq!(marked(&mark), Vec::<String>::new());
    }
}

#[test]
fn killer_cuts_the_grace_short() {
    let mut asked = command(&["python3", "-c", DAEMON, "stay"]);
    asked.ignore_hangup = true;
    let mut tree = started(&asked, Isolation::default());
    assert_eq!(lines(&mut tree).next().as_deref(), Some("daemon"));
    let killer = tree.killer().unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        // HUP is ignored by both processes, so that only the killer can end them.
        let ending = scope.spawn(|| tree.end(Signal::HUP, Duration::from_secs(60)));
        killer.kill();
        ending.join().unwrap().unwrap();
    });
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn tree_outlives_the_thread_that_made_it() {
    for isolation in EACH {
        let tree =
            std::thread::spawn(move || started(&command(&["sleep", "1000"]), isolation)).join().unwrap();
        assert!(!tree.wait_gone(Duration::from_millis(100)));
    }
}

/// Not a test: what the tests below have a child of this binary do.
#[test]
fn role_of_a_child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let isolation = EACH.into_iter().find(|isolation| role.ends_with(&isolation.to_string())).unwrap();
    let mut asked = command(&["python3", "-c", DAEMON, "stay"]);
    asked.env.insert(MARK.into(), std::env::var(ROLE).unwrap());
    let mut tree = started(&asked, isolation);
    assert_eq!(lines(&mut tree).next().as_deref(), Some("daemon"));
    println!("holding {}", tree.isolation());
    loop {
        std::thread::park();
    }
}

/// A child of this binary that holds a tree, killed; what it said it holds.
fn killed_holder(launcher: &[&str], binary: &Path, mark: &str, exe: &Path) -> String {
    let mut argv = launcher.iter().map(std::ffi::OsStr::new).chain([binary.as_os_str()]);
    let mut holder = std::process::Command::new(argv.next().unwrap())
        .args(argv)
        .args(["--exact", "launch::role_of_a_child", "--nocapture"])
        .env(ROLE, mark)
        .env("LASTFD_TEST_EXE", exe)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let held =
        said.find_map(|line| Some(line.split_once("holding ")?.1.to_owned())).expect("the tree was started");
    // Stage, init, the program and the daemon; /proc/PID/environ has `ROLE`, not `MARK`, for the holder
    // itself.
    assert_eq!(marked(mark).len(), 4);
    holder.kill().unwrap();
    holder.wait().unwrap();
    held
}

fn assert_none_left(mark: &str) {
    let deadline = Instant::now() + SOON;
    while !marked(mark).is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", marked(mark));
        std::thread::yield_now();
    }
}

#[test]
fn sigkill_of_the_harness_leaves_no_process_behind() {
    for isolation in EACH {
        let mark = format!("killed-{}-{isolation}", std::process::id());
        let held = killed_holder(&[], &std::env::current_exe().unwrap(), &mark, Path::new(EXE));
        assert_eq!(held, granted(isolation, &[]).to_string());
        assert_none_left(&mark);
    }
}

#[test]
fn nobody_gets_a_user_namespace_and_leaves_nothing_behind() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become nobody");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = |from: &Path, name: &str| {
        let to = place.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let (binary, exe) = (copy(&std::env::current_exe().unwrap(), "tests"), copy(Path::new(EXE), "lastfd"));
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for asked in [Isolation::PidNamespace, Isolation::Keeper] {
        let mark = format!("nobody-{}-{asked}", std::process::id());
        let held = killed_holder(&nobody, &binary, &mark, &exe);
        assert_ne!(held, "pid-namespace");
        assert_eq!(held, granted(asked, &nobody).to_string());
        assert_none_left(&mark);
    }
}

#[test]
fn keeper_takes_over_where_namespaces_are_refused() {
    // The bound is that of a user namespace made for this test.
    let script = "echo 0 > /proc/sys/user/max_pid_namespaces; exec \"$0\" \"$@\"";
    let refusing = ["unshare", "--user", "--map-root-user", "sh", "-c", script];
    if !std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: no user namespaces here");
        return;
    }
    let mark = format!("refused-{}-pid-namespace", std::process::id());
    assert_eq!(killed_holder(&refusing, &std::env::current_exe().unwrap(), &mark, Path::new(EXE)), "keeper");
    assert_none_left(&mark);
}

#[test]
fn sigkill_of_the_stage_ends_a_namespace() {
    for isolation in [Isolation::PidNamespace, Isolation::UserNamespace] {
        if granted(isolation, &[]) == Isolation::Keeper {
            eprintln!("skipped: no {isolation} here");
            continue;
        }
        let mark = format!("stage-{isolation}-{}", std::process::id());
        let mut asked = command(&["python3", "-c", DAEMON, "stay"]);
        asked.env.insert(MARK.into(), mark.clone());
        let mut tree = started(&asked, isolation);
        assert_eq!(lines(&mut tree).next().as_deref(), Some("daemon"));
        let init = lastfd::internal::sys::proc::parent(tree.program()).unwrap();
        let stage =
            rustix::process::Pid::from_raw(lastfd::internal::sys::proc::parent(init).unwrap()).unwrap();
        rustix::process::kill_process(stage, Signal::KILL).unwrap();
        assert_none_left(&mark);
    }
}

pub fn process(launcher: Launcher, soft: u64, hard: u64) -> Process {
    Process {
        program: Program::Command(Vec::new()),
        launcher,
        limits: Limits { soft, hard },
        requires: Vec::new(),
        port: None,
        env: BTreeMap::new(),
        ready_within_s: 10.0,
        grace_s: 5.0,
        begin: None,
        rlimits: Default::default(),
        setting: Default::default(),
    }
}

/// Both supervisors, or the bundled one where the real one is not installed.
fn supervisors(options: Supervisor) -> Vec<Launcher> {
    let mut both = vec![Launcher::SupervisorLike(options.clone())];
    if std::process::Command::new("supervisord").arg("--version").stdout(Stdio::null()).status().is_ok() {
        both.push(Launcher::Supervisord(options));
    } else {
        assert!(std::env::var_os("LASTFD_REQUIRE_PEERS").is_none(), "supervisord must be there");
        eprintln!("skipped: supervisord is not installed");
    }
    both
}

pub fn launched(launcher: Launcher, limits: (u64, u64), argv: &[&str], scratch: &Path) -> Tree {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    let site = Site { helper: &Helper::lastfd(EXE), scratch };
    let command = launch::command(&process(launcher, limits.0, limits.1), argv, site).unwrap();
    started(&command, Isolation::default())
}

#[test]
fn minfds_only_raises_under_the_bundled_and_the_real_supervisor() {
    let hard = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap().1.min(20_000);
    let table =
        [((256, 4096), "1024:4096"), ((1024, 2048), "1024:2048"), ((hard, hard), &*format!("{hard}:{hard}"))];
    for (limits, expected) in table {
        for launcher in supervisors(Supervisor { minfds: 1024, ..Supervisor::default() }) {
            let scratch = tempfile::tempdir().unwrap();
            let mut tree = launched(
                launcher.clone(),
                limits,
                &["sh", "-c", "echo limits $(ulimit -Sn):$(ulimit -Hn); exec sleep 1000"],
                scratch.path(),
            );
            let said =
                lines(&mut tree).find_map(|line| Some(line.strip_prefix("limits ")?.to_owned())).unwrap();
            assert_eq!(said, expected, "{launcher:?}");
        }
    }
}

#[test]
fn chain_names_the_supervisor_that_raised_the_limit() {
    for launcher in supervisors(Supervisor { minfds: 1024, ..Supervisor::default() }) {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(
            launcher.clone(),
            (256, 4096),
            &["sh", "-c", "echo ready; exec sleep 1000"],
            scratch.path(),
        );
        lines(&mut tree).find(|line| line == "ready").unwrap();
        let [supervisor, program] = tree.processes()[..] else { panic!("{:?}", tree.processes()) };
        let links =
            chain::read(program, Some(Limits { soft: 256, hard: 4096 }), tree.program(), &Default::default());
        let tail: Vec<_> =
            links.iter().rev().take(4).rev().map(|link| (link.pid, link.soft, link.hard)).collect();
        assert_eq!(tail[1..], [(supervisor, 256, 4096), (supervisor, 1024, 4096), (program, 1024, 4096)]);
        assert_eq!(chain::last_change(&links, |link| link.soft), Some(links.len() - 2), "{launcher:?}");
    }
}

#[test]
fn minfds_above_the_hard_limit_ends_both_supervisors_with_2() {
    for launcher in supervisors(Supervisor { minfds: 1 << 40, ..Supervisor::default() }) {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), (256, 512), &["sleep", "1000"], scratch.path());
        assert!(tree.wait_gone(SOON));
        assert_eq!(tree.exited().unwrap().code, Some(2), "{launcher:?}");
    }
}

#[test]
fn any_argument_passes_through_every_launcher_unchanged() {
    let odd = [
        "a b",
        "",
        "100%",
        "%(ENV_X)s",
        "x ; y",
        " # z",
        "it's",
        "\"q\"",
        "\\n",
        "$HOME",
        "`id`",
        "*",
        "tab\tx",
        "é",
    ];
    for registered in launch::LAUNCHERS {
        if !registered
            .requires
            .iter()
            .all(|program| std::process::Command::new(program).arg("--version").output().is_ok())
        {
            eprintln!("skipped: {} is not installed", registered.name);
            continue;
        }
        let session = matches!((registered.with_defaults)(), Launcher::Runuser(_) | Launcher::Su(_));
        if session && !rustix::process::geteuid().is_root() {
            eprintln!("skipped: {} is for root", registered.name);
            continue;
        }
        let scratch = tempfile::tempdir().unwrap();
        let argv: Vec<&str> =
            ["python3", "-c", "import sys, time; print('got', sys.argv[1:], flush=True); time.sleep(1000)"]
                .into_iter()
                .chain(odd)
                .collect();
        let mut tree = launched((registered.with_defaults)(), (256, 2048), &argv, scratch.path());
        let got = lines(&mut tree).find_map(|line| Some(line.strip_prefix("got ")?.to_owned())).unwrap();
        let expected = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.argv[1:])"])
            .args(odd)
            .output()
            .unwrap();
        assert_eq!(got, String::from_utf8(expected.stdout).unwrap().trim_end(), "{}", registered.name);
    }
}

/// The supervisor's program runs for longer than startsecs, so that its exit is not a failed start.
fn assert_starts_again(launcher: &Launcher, autorestart: bool) {
    let scratch = tempfile::tempdir().unwrap();
    let program = "test -e ran && { echo again; exec sleep 1000; }; touch ran; sleep 1.2; echo ending";
    let argv = ["sh", "-c", &format!("cd {}; {program}", scratch.path().display())];
    let mut tree = launched(launcher.clone(), (256, 256), &argv, scratch.path());
    let mut said = lines(&mut tree);
    assert!(said.any(|line| line == "ending"), "{launcher:?}");
    assert!(!autorestart || said.any(|line| line == "again"), "{launcher:?}");
    assert_eq!(tree.end(Signal::TERM, SOON).unwrap(), Ending::BySignal, "{launcher:?}");
    assert_eq!(tree.exited().unwrap().code, Some(0), "{launcher:?}");
    assert!(!said.any(|line| line == "again"), "{launcher:?}");
}

#[test]
fn supervisors_start_again_only_with_autorestart_and_end_in_order() {
    std::thread::scope(|scope| {
        for autorestart in [true, false] {
            for launcher in supervisors(Supervisor { autorestart, minfds: 64, ..Supervisor::default() }) {
                scope.spawn(move || assert_starts_again(&launcher, autorestart));
            }
        }
    });
}

#[test]
fn program_deaf_to_its_stop_signal_is_killed_by_its_supervisor() {
    let options =
        Supervisor { minfds: 64, stopsignal: "USR1".into(), stopwaitsecs: 1.0, ..Supervisor::default() };
    std::thread::scope(|scope| {
        for launcher in supervisors(options) {
            scope.spawn(move || {
                let scratch = tempfile::tempdir().unwrap();
                let script = "trap 'echo told' USR1; echo ready; while :; do sleep 0.05; done";
                let mut tree = launched(launcher.clone(), (256, 256), &["sh", "-c", script], scratch.path());
                let mut said = lines(&mut tree);
                assert!(said.any(|line| line == "ready"), "{launcher:?}");
                assert_eq!(tree.end(Signal::TERM, SOON).unwrap(), Ending::BySignal, "{launcher:?}");
                assert!(said.any(|line| line == "told"), "{launcher:?}");
            });
        }
    });
}

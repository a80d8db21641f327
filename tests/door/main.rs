//! The door for tests: what a server's own test asserts, what it says when that is not so, and that many of
//! them do not disturb each other. A binary of its own: its `main` is libtest's, as that of a user's test is.

use lastfd::internal::event::Phase;
use lastfd::{Outcome, Policy, Report, ServerTest};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Numbers that a closure's process has at rest: its standard streams, and the listener.
const AT_REST: u64 = 4;

/// What the servers here wait after a failed accept.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts each client and hands it on.
fn accept(each: impl Fn(TcpStream)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    loop {
        match listener.accept() {
            Ok((stream, _)) => each(stream),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// To a request of any kind.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Answers each client until it leaves.
fn holds() {
    accept(answers);
}

fn answers(mut stream: TcpStream) {
    std::thread::spawn(move || {
        while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) && stream.write_all(ANSWER).is_ok() {}
    });
}

/// The same, with a file for each client, which stays open.
fn leaks() {
    accept(|stream| {
        std::mem::forget(std::fs::File::open("/dev/null"));
        answers(stream);
    });
}

/// What a test that fails says.
fn failure(test: ServerTest) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| test.run())).expect_err("it fails");
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn a_closure_in_a_child_process_holds_what_its_limit_leaves() {
    let report = ServerTest::closure(holds).nofile(64).ceiling(64 - AT_REST).leaks_nothing().run();
    assert_eq!(report.verdict.outcome, Outcome::Met);
    assert_eq!(report.verdict.judged, 2, "the ceiling, and the leak");
}

#[test]
fn policy_and_recovery_are_watched_where_they_are_asserted() {
    let test = ServerTest::closure(holds).ceiling(64 - AT_REST).policy(Policy::FixedDelay);
    let report = test.recovers().recovers_within(Duration::from_secs(5)).leaks_nothing().run();
    assert_eq!(report.verdict.judged, 5);
    assert!(report.found.new_client.get().is_some(), "a new client was sent at the limit");
}

/// How long it was watched at its limit, seconds.
fn watched_s(report: &Report) -> f64 {
    let phases = &report.found.timings.phases;
    phases.iter().find(|took| took.phase == Phase::Saturate).expect("it came there").took_s
}

/// A new client at the limit is waited for, for half a second: one run is compared with the other, as
/// machines are shared.
#[test]
fn nobody_watches_the_limit_where_ceiling_and_leak_alone_are_asserted() {
    let test = ServerTest::closure(holds).ceiling(50..=64).leaks_nothing();
    let (unwatched, watched) = (test.clone().run(), test.policy(Policy::FixedDelay).run());
    assert!(unwatched.found.new_client.get().is_none(), "no new client was sent at the limit");
    assert_eq!(unwatched.found.recovery.leaked.value(), Some(0), "and yet the leak is known");
    let (short, long) = (watched_s(&unwatched), watched_s(&watched));
    assert!(short < long, "{short} s and {long} s");
}

#[test]
fn an_unmet_ceiling_says_what_was_expected_and_what_was_seen() {
    let said = failure(ServerTest::closure(holds).nofile(32).ceiling(31));
    let seen = (32 - AT_REST).to_string();
    assert!(said.contains("31") && said.contains(&seen), "{said}");
    assert!(said.lines().next().is_some_and(|first| first.contains("eiling")), "{said}");
}

#[test]
fn a_leak_fails_the_test_and_is_counted() {
    let said = failure(ServerTest::closure(leaks).nofile(32).leaks_nothing());
    let first = said.lines().next().expect("a line");
    // Files take every number in the end, but for one that a connection needed to get there.
    assert!(first.contains("leaked") && first.contains(&(32 - AT_REST - 1).to_string()), "{said}");
}

#[test]
fn a_server_that_does_not_start_fails_the_test() {
    let said = failure(ServerTest::closure(|| std::process::exit(3)).ceiling(1));
    assert!(said.starts_with("the server did not start: ") && said.contains('3'), "{said}");
    let said = failure(ServerTest::command(["./no-such-server"]).ceiling(1));
    assert!(said.starts_with("the server did not start: ") && said.contains("no-such-server"), "{said}");
}

#[test]
#[should_panic = "`soft -` is no ceiling"]
fn a_formula_that_cannot_be_read_fails_at_once() {
    let _ = ServerTest::closure(holds).ceiling("soft -");
}

#[test]
fn a_command_gets_a_free_port_in_place_of_its_placeholder() {
    let serve = [env!("CARGO_BIN_EXE_lastfd"), "serve", "tcp", "--accept", "exit", "--port", "{port}"];
    ServerTest::command(serve).nofile(48).ceiling("soft - baseline").policy(Policy::Exits).run();
}

/// No kernel allows so many descriptors by default.
#[test]
#[ignore = "the next test runs it"]
fn beyond_the_hard_limit() {
    ServerTest::closure(holds).nofile(1 << 40).ceiling("soft - baseline").run();
}

/// Runs one test of this binary by itself.
fn alone(binary: &str, test: &str) -> Command {
    let mut command = Command::new(binary);
    command.args(["--exact", test, "--include-ignored"]).env_remove("LASTFD_REQUIRE");
    command.stdin(Stdio::null());
    command
}

fn own() -> String {
    std::env::current_exe().expect("own path").to_str().expect("UTF-8").to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn an_inconclusive_test_says_why_and_fails_only_where_that_is_asked_for() {
    let mut test = alone(&own(), "beyond_the_hard_limit");
    let passed = test.output().expect("this binary");
    assert!(passed.status.success(), "{}", said(&passed));
    // libtest shows no captured output of a test that passes.
    let errors = String::from_utf8_lossy(&passed.stderr);
    assert!(
        errors.contains("beyond_the_hard_limit is inconclusive") && errors.contains("hard limit"),
        "{errors}"
    );
    let failed = test.env("LASTFD_REQUIRE", "1").output().expect("this binary");
    assert!(!failed.status.success(), "{}", said(&failed));
    assert!(said(&failed).contains("inconclusive, and LASTFD_REQUIRE=1"), "{}", said(&failed));
}

/// `LASTFD_DOOR_MANY` and `LASTFD_DOOR_ROUNDS` ask for more.
#[test]
fn many_at_a_time_do_not_disturb_each_other() {
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |n| n.parse().expect(name));
    let one = |soft: u64| {
        let test = ServerTest::closure(holds).nofile(soft).ceiling(soft - AT_REST).leaks_nothing();
        assert_eq!(test.run().verdict.outcome, Outcome::Met);
    };
    for _ in 0..number("LASTFD_DOOR_ROUNDS", 1) {
        std::thread::scope(|scope| {
            (0..number("LASTFD_DOOR_MANY", 8)).for_each(|n| _ = scope.spawn(move || one(32 + n)));
        });
    }
}

#[test]
fn it_needs_no_root() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // The folder of this binary may be root's own.
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("door");
    std::fs::copy(own(), &binary).expect("a copy");
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).expect("readable by all");
    let mut test =
        alone(binary.to_str().expect("UTF-8"), "a_closure_in_a_child_process_holds_what_its_limit_leaves");
    let output = test.env("LASTFD_REQUIRE", "1").uid(NOBODY).gid(NOBODY).current_dir("/").output();
    let output = output.expect("the copy starts");
    assert!(output.status.success() && said(&output).contains("1 passed"), "{}", said(&output));
}

/// The example runs the scenarios of the folder `scenarios` where it is started.
fn scenario_tests(folder: &std::path::Path, words: &[&str]) -> Output {
    let own = std::env::current_exe().expect("own path");
    let example = own.parent().and_then(std::path::Path::parent).expect("target/PROFILE");
    let example = example.join("examples/scenario_tests");
    assert!(example.exists(), "{}: `cargo build --examples` builds it", example.display());
    let mut command = Command::new(example);
    command.args(words).current_dir(folder).env_remove("LASTFD_REQUIRE").output().expect("the example starts")
}

/// A folder with one scenario that is met and a variant that is not, one that needs what is not there, and
/// one that is none.
fn suite() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    std::fs::create_dir(&scenarios).expect("a new folder");
    let holds = |ceiling: &str, more: &str| {
        format!(
            "claim = \"it holds what its limit leaves\"\n\
             [processes.server]\nserve.tcp = {{ accept = \"exit\" }}\nlimits = {{ soft = 32, hard = 32 }}\n{more}\
             [workloads.clients]\ntcp = {{ clients = 40 }}\n[expect]\nceiling = {ceiling}\n"
        )
    };
    let wrong = "[[variant]]\nname = \"too many\"\nexpect = { ceiling = 31 }\n";
    let files = [
        ("held", holds("\"soft - baseline\"", "") + wrong),
        ("lacking", holds("1", "requires = [\"no-such-program\"]\n")),
        ("broken", "claim = 3\n".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(scenarios.join(format!("{name}.scenario.toml")), text).expect("written");
    }
    folder
}

#[test]
fn each_run_of_a_folder_of_scenarios_is_a_test_that_filters_select() {
    let folder = suite();
    let listed = said(&scenario_tests(folder.path(), &["--list"]));
    let names: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert_eq!(names, ["scenarios/broken.scenario.toml", "held", "held::too many", "lacking"]);
    let met = scenario_tests(folder.path(), &["--exact", "held"]);
    assert!(met.status.success() && said(&met).contains("1 passed; 0 failed"), "{}", said(&met));
    let all = said(&scenario_tests(folder.path(), &["--skip", "broken"]));
    assert!(all.contains("2 passed; 1 failed"), "{all}");
    assert!(all.contains("expected 31"), "what is not met says why: {all}");
    assert!(all.contains("lacking is inconclusive") && all.contains("no-such-program"), "{all}");
    let broken = said(&scenario_tests(folder.path(), &["broken"]));
    assert!(broken.contains("0 passed; 1 failed") && broken.contains("claim"), "{broken}");
}

//! Shell, PAM sessions and the bundled parents: what each does to limits, with real processes. Witnesses: the
//! shell's own `ulimit`, /proc, the machine's own files.

use super::launch::{SOON, launched, lines, process};
use super::support::{LASTFD, find, lastfd, program};
use lastfd::internal::event::Limits;
use lastfd::internal::helper::Helper;
use lastfd::internal::launch::{Ending, Isolation, Mount, Tree};
use lastfd::internal::limits::chain;
use lastfd::internal::scenario::{Launcher, Session, Shell};
use rustix::process::Signal;
use std::path::Path;

const FROM: (u64, u64) = (256, 4096);

/// Says its limits, then waits.
const SAYS: [&str; 3] = ["sh", "-c", "echo limits $(ulimit -Sn):$(ulimit -Hn); exec sleep 1000"];

fn shell(soft: Option<u64>, hard: Option<u64>) -> Launcher {
    Launcher::Shell(Shell { soft, hard, ..Shell::default() })
}

fn systemd(limits: Option<(u64, u64)>) -> Launcher {
    Launcher::SystemdLike { limit_nofile: limits.map(|(soft, hard)| Limits { soft, hard }) }
}

fn container(limits: Option<(u64, u64)>) -> Launcher {
    Launcher::ContainerLike { ulimit: limits.map(|(soft, hard)| Limits { soft, hard }) }
}

/// Both programs that open a session, with a configuration of the test's own; none where they cannot be used.
fn sessions(user: &str, lines: &str, pam_limits: bool) -> Vec<Launcher> {
    if !rustix::process::geteuid().is_root() || !Path::new("/etc/security/limits.conf").exists() {
        eprintln!("skipped: a PAM session of another user takes root and PAM");
        return Vec::new();
    }
    let session =
        Session { user: user.into(), limits_conf: Some(lines.into()), pam_limits: Some(pam_limits) };
    let mut both = Vec::new();
    both.extend(program("runuser").map(|_| Launcher::Runuser(session.clone())));
    both.extend(program("su").map(|_| Launcher::Su(session)));
    both
}

/// What the program says first with this word.
fn said(tree: &mut Tree, word: &str) -> String {
    lines(tree)
        .find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
        .unwrap_or_else(|| panic!("no line with {word:?}"))
}

fn in_force(launcher: &Launcher, from: (u64, u64)) -> String {
    let scratch = tempfile::tempdir().unwrap();
    said(&mut launched(launcher.clone(), from, &SAYS, scratch.path()), "limits ")
}

#[test]
fn a_shell_sets_what_it_is_told_and_leaves_the_rest() {
    assert_eq!(in_force(&shell(None, None), FROM), "256:4096");
    assert_eq!(in_force(&shell(Some(64), None), FROM), "64:4096");
    assert_eq!(in_force(&shell(None, Some(1024)), FROM), "256:1024");
    assert_eq!(in_force(&shell(Some(64), Some(64)), FROM), "64:64");
    assert_eq!(in_force(&shell(Some(4096), Some(4096)), FROM), "4096:4096");
}

#[test]
fn systemd_s_default_stops_at_the_hard_limit_that_may_not_be_raised() {
    assert_eq!(in_force(&systemd(Some((100, 200))), FROM), "100:200");
    let may_raise = rustix::thread::capabilities(None)
        .unwrap()
        .effective
        .contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
    if may_raise {
        eprintln!("skipped: this user may raise the hard limit");
        return;
    }
    assert_eq!(in_force(&systemd(None), FROM), "1024:4096");
    assert_eq!(in_force(&systemd(Some((65535, 65535))), FROM), "4096:4096");
    assert_eq!(in_force(&systemd(Some((64, 65535))), (64, 128)), "64:128");
}

#[test]
fn a_container_has_its_ulimit_or_else_its_daemon_s() {
    assert_eq!(in_force(&container(Some((100, 200))), FROM), "100:200");
    assert_eq!(in_force(&container(None), FROM), "256:4096");
}

#[test]
fn limits_conf_sets_the_limits_of_a_session_only_through_pam() {
    let lines = "nobody - nofile 100";
    for launcher in sessions("nobody", lines, true) {
        assert_eq!(in_force(&launcher, FROM), "100:100", "{launcher:?}");
    }
    // su and runuser reset the soft limit to FD_SETSIZE themselves.
    for launcher in sessions("nobody", lines, false) {
        assert_eq!(in_force(&launcher, FROM), "1024:4096", "{launcher:?}");
    }
}

#[test]
fn an_asterisk_in_limits_conf_is_not_for_root() {
    for launcher in sessions("nobody", "* hard nofile 300\n* soft nofile 200", true) {
        assert_eq!(in_force(&launcher, FROM), "200:300", "{launcher:?}");
    }
    for launcher in sessions("root", "* hard nofile 300\n* soft nofile 200", true) {
        assert_ne!(in_force(&launcher, FROM), "200:300", "{launcher:?}");
    }
}

#[test]
fn a_limit_that_limits_conf_may_not_set_is_ignored_without_a_word() {
    let beyond = lastfd::internal::sys::proc::nofile(std::process::id() as i32).unwrap().1.saturating_add(1);
    for launcher in sessions("nobody", &format!("nobody - nofile {beyond}"), true) {
        let now = in_force(&launcher, FROM);
        if now == format!("{beyond}:{beyond}") {
            eprintln!("skipped: this user may raise the hard limit");
        } else {
            assert_eq!(now, "1024:4096", "{launcher:?}");
        }
    }
}

#[test]
fn a_private_configuration_is_seen_by_the_launched_tree_alone() {
    let files = ["/etc/security/limits.conf", "/etc/pam.d/runuser", "/etc/pam.d/su", "/proc/1/limits"];
    let read = || files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let mounts = || {
        let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.lines()
            .filter(|line| line.contains("limits") || line.contains("pam.d"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for launcher in sessions("nobody", "# of the test\nnobody - nofile 100", true) {
        let (before, mounted) = (read(), mounts());
        let scratch = tempfile::tempdir().unwrap();
        let inside = ["sh", "-c", "echo conf $(head -1 /etc/security/limits.conf); exec sleep 1000"];
        let mut tree = launched(launcher.clone(), FROM, &inside, scratch.path());
        assert_eq!(said(&mut tree, "conf "), "# of the test");
        assert_eq!(
            (read(), mounts()),
            (before.clone(), mounted.clone()),
            "outside, while it runs: {launcher:?}"
        );
        drop(tree);
        assert_eq!((read(), mounts()), (before, mounted), "afterwards: {launcher:?}");
    }
}

#[test]
fn a_session_sees_the_limits_of_the_machine_s_first_process() {
    let outside = std::fs::read_to_string("/proc/1/limits").unwrap();
    let line = outside.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    for launcher in sessions("nobody", "", true) {
        let scratch = tempfile::tempdir().unwrap();
        let inside = ["sh", "-c", "echo first $(grep '^Max open files' /proc/1/limits); exec sleep 1000"];
        let mut tree = launched(launcher.clone(), FROM, &inside, scratch.path());
        assert_eq!(said(&mut tree, "first "), words.join(" "), "{launcher:?}");
    }
}

#[test]
fn a_session_s_program_may_write_to_its_scratch_folder() {
    for launcher in sessions("nobody", "", true) {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        let script = format!("touch {} && echo wrote $(id -u); exec sleep 1000", file.display());
        let mut tree = launched(launcher, FROM, &["sh", "-c", &script], scratch.path());
        assert_eq!(said(&mut tree, "wrote "), "65534");
        assert!(file.exists());
    }
}

/// Every launcher that stays as the program's parent and has set 100 as its soft limit.
fn parents_at_100() -> Vec<Launcher> {
    let mut all = vec![shell(Some(100), None), systemd(Some((100, 200))), container(Some((100, 200)))];
    all.extend(sessions("nobody", "nobody - nofile 100", true));
    all
}

#[test]
fn the_chain_names_the_launcher_that_set_the_limit() {
    for launcher in parents_at_100() {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), FROM, &SAYS, scratch.path());
        said(&mut tree, "limits ");
        let [parent, program] = tree.processes()[..] else {
            panic!("{:?} of {launcher:?}", tree.processes())
        };
        let links = chain::read(
            program,
            Some(Limits { soft: FROM.0, hard: FROM.1 }),
            tree.program(),
            &Default::default(),
        );
        let tail: Vec<_> = links.iter().rev().take(3).rev().map(|link| (link.pid, link.soft)).collect();
        assert_eq!(tail, [(parent, 256), (parent, 100), (program, 100)], "{launcher:?}");
        let setter = &links[chain::last_change(&links, |link| link.soft).unwrap()];
        let name = lastfd::internal::launch::registration(&launcher).name;
        let shown = if name == "shell" { "/bin/sh" } else { name };
        assert!(setter.pid == parent && setter.command.contains(shown), "{setter:?} of {launcher:?}");
    }
}

#[test]
fn a_shell_told_to_exec_is_no_parent() {
    let scratch = tempfile::tempdir().unwrap();
    let launcher = Launcher::Shell(Shell { soft: Some(100), exec: true, ..Shell::default() });
    let mut tree = launched(launcher, FROM, &SAYS, scratch.path());
    assert_eq!(said(&mut tree, "limits "), "100:4096");
    assert_eq!(tree.processes(), [tree.program()]);
}

#[test]
fn a_shell_may_start_its_program_with_nohup() {
    if program("nohup").is_none() {
        return;
    }
    for exec in [true, false] {
        let scratch = tempfile::tempdir().unwrap();
        let launcher = Launcher::Shell(Shell { soft: Some(100), exec, nohup: true, ..Shell::default() });
        let mut tree = launched(launcher, FROM, &SAYS, scratch.path());
        assert_eq!(said(&mut tree, "limits "), "100:4096");
        let processes = tree.processes();
        assert_eq!(processes.len(), if exec { 1 } else { 2 }, "nohup replaced itself");
        let status = std::fs::read_to_string(format!("/proc/{}/status", processes.last().unwrap())).unwrap();
        assert!(status.contains("SigIgn:\t0000000000000001\n"), "SIGHUP is ignored: {status}");
    }
}

#[test]
fn each_ends_with_its_program_at_the_signal() {
    for launcher in parents_at_100() {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), FROM, &SAYS, scratch.path());
        let mut text = lines(&mut tree);
        text.find(|line| line.starts_with("limits ")).unwrap();
        assert_eq!(tree.end(Signal::TERM, SOON).unwrap(), Ending::BySignal, "{launcher:?}");
        // su and runuser, told themselves, say so and sleep for two seconds.
        assert!(!text.any(|line| line.contains("Session terminated")), "{launcher:?}");
    }
}

#[test]
fn nothing_of_a_session_outlives_its_tree() {
    for launcher in parents_at_100() {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), FROM, &SAYS, scratch.path());
        said(&mut tree, "limits ");
        let all = tree.processes();
        drop(tree);
        assert!(all.len() == 2 && all.into_iter().all(lastfd::internal::sys::process::dead), "{launcher:?}");
    }
}

#[test]
fn each_passes_the_program_s_exit_code_on() {
    let mut all = parents_at_100();
    all.push(container(None));
    for launcher in all {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), FROM, &["sh", "-c", "exit 7"], scratch.path());
        assert!(tree.wait_gone(SOON));
        assert_eq!(tree.exited().unwrap().code, Some(7), "{launcher:?}");
    }
}

#[test]
fn a_refused_limit_ends_the_shell_and_the_container_with_their_own_codes() {
    // Above fs.nr_open, which nobody may.
    let beyond = 1 << 40;
    for (launcher, code) in [
        (shell(Some(FROM.1 + 1), None), 2),
        (shell(None, Some(beyond)), 2),
        (container(Some((64, beyond))), 125),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let mut tree = launched(launcher.clone(), FROM, &SAYS, scratch.path());
        let text: Vec<String> = lines(&mut tree).collect();
        assert!(tree.wait_gone(SOON));
        let exit = tree.exited().unwrap().code;
        assert!(
            exit == Some(code) || code == 2 && exit == Some(1),
            "{exit:?} of {launcher:?}: 1 is bash's, 2 is dash's"
        );
        assert!(!text.is_empty() && !text.iter().any(|line| line.starts_with("limits")), "{text:?}");
    }
}

#[test]
fn a_service_and_a_container_have_a_session_and_an_environment_of_their_own() {
    for launcher in [systemd(None), container(None)] {
        let mut asked = process(launcher.clone(), FROM.0, FROM.1);
        asked.env.insert("COLOUR".into(), "blue".into());
        let scratch = tempfile::tempdir().unwrap();
        let site =
            lastfd::internal::launch::Site { helper: &Helper::lastfd(LASTFD), scratch: scratch.path() };
        let argv = ["sh", "-c", "echo env $(env | sed 's/=.*//' | sort); exec sleep 1000"]
            .map(str::to_owned)
            .to_vec();
        let command = lastfd::internal::launch::command(&asked, argv, site).unwrap();
        let mut tree = Tree::prepare(&command, Isolation::default()).unwrap();
        tree.start().unwrap();
        // PWD, and `_` of some shells, are the shell's own.
        let said = said(&mut tree, "env ");
        let names: Vec<&str> =
            said.split(' ').filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name)).collect();
        assert_eq!(names, ["COLOUR", "PATH"], "{launcher:?}");
        let [parent, program] = tree.processes()[..] else { panic!("{:?}", tree.processes()) };
        let of = |pid| rustix::process::getsid(rustix::process::Pid::from_raw(pid)).unwrap();
        assert_eq!(of(program).as_raw_pid(), program);
        assert_ne!(of(program), of(parent));
    }
}

#[test]
fn a_launcher_with_options_is_found_by_name_in_the_report() {
    let port = ["serve", "tcp", "--port", "{port}"];
    let command: Vec<&str> = std::iter::once(LASTFD).chain(port).collect();
    let options =
        ["--nofile", "64:128", "--hold", "0.2s", "--launcher", "container-like = { ulimit = '48:96' }"];
    let run = find(&options, &command).run();
    assert_eq!(
        (&run["limits"]["effective"]["soft"], &run["limits"]["effective"]["hard"]),
        (&48.into(), &96.into())
    );
    assert_eq!(run["subject"]["launcher"], "container-like");
    assert!(
        run["limits"]["set_by"]["command"]
            .as_str()
            .unwrap()
            .starts_with("lastfd exec container-like --ulimit=48:96"),
        "{run}"
    );
}

#[test]
fn the_report_names_the_setting_of_the_launcher_that_set_the_limit() {
    let settings = [
        ("shell = { soft = 48 }", "set it (`ulimit -n`)", "raise `ulimit -n` in its script"),
        (
            "systemd-like = { limit-nofile = '48:96' }",
            "set it (`LimitNOFILE=`)",
            "raise `LimitNOFILE=` in its unit file",
        ),
        (
            "container-like = { ulimit = '48:96' }",
            "set it (`--ulimit nofile=`)",
            "raise `--ulimit nofile=` of its container",
        ),
        ("exec", "this run set it (`--nofile`)", "raise your service's limit"),
    ];
    for (launcher, setting, advice) in settings {
        let options = ["find", "--nofile", "64:128", "--hold", "0.1s", "--launcher", launcher, "--"];
        let called = lastfd(&[&options[..], &[LASTFD, "serve", "tcp", "--port", "{port}"]].concat());
        let (answer, facts) = called.stdout.split_once("\n\n").unwrap_or_else(|| panic!("{called:?}"));
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line(answer).contains(advice), "{launcher}: {answer}");
        assert!(one_line(facts).contains(setting), "{launcher}: {facts}");
    }
}

#[test]
fn a_shell_that_refuses_is_a_program_that_did_not_start() {
    let called = find(&["--nofile", "64:128", "--launcher", "shell = { soft = 256 }"], &["sleep", "1000"]);
    assert_eq!(called.code, Some(6), "{called:?}");
    assert!(called.stderr.contains("ulimit"), "the shell's own message: {}", called.stderr);
}

#[test]
fn a_session_without_root_is_inconclusive_with_the_reason() {
    use std::os::unix::fs::PermissionsExt;
    if program("setpriv").is_none() || program("runuser").is_none() || program("su").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = place.path().join("lastfd");
    std::fs::copy(LASTFD, &copy).unwrap();
    let root = rustix::process::geteuid().is_root();
    let nobody: &[&str] =
        if root { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] } else { &["env"] };
    for launcher in ["runuser", "su"] {
        let mut command = std::process::Command::new(nobody[0]);
        command
            .args(&nobody[1..])
            .arg(&copy)
            .args(["find", "--launcher", launcher, "--", "sleep", "1000"])
            .current_dir("/");
        let called = super::support::called(&mut command);
        assert_eq!(called.code, Some(5), "{called:?}");
        assert!(called.stderr.contains("root"), "{called:?}");
    }
}

#[test]
fn a_file_that_cannot_be_mounted_is_laid_to_the_machine() {
    let scratch = tempfile::tempdir().unwrap();
    let site = lastfd::internal::launch::Site { helper: &Helper::lastfd(LASTFD), scratch: scratch.path() };
    let mut command =
        lastfd::internal::launch::command(&process(container(None), 64, 64), vec!["true".into()], site)
            .unwrap();
    command.mounts.push(Mount { source: scratch.path().join("absent"), target: "/etc/passwd".into() });
    // As root ENOENT, as anybody else EPERM, or an isolation that is refused before.
    let error = Tree::prepare(&command, Isolation::default()).unwrap_err();
    assert!(error.is_of_machine(), "{error}");
}

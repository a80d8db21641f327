//! The chain of limits: from the first ancestor to a process, the `RLIMIT_NOFILE` that each has now, and
//! which link set the value in force.
//!
//! Only reads `/proc`. It shows the present, not the past: an ancestor that has replaced itself (nohup, env)
//! or has left is not in it.

use crate::event::{Limits, Link, Pid, Redaction};
use crate::helper::WORD;
use crate::sys::proc;
use std::path::Path;

/// The name for lastfd's own processes between the harness and the program.
const KEEPER: &str = "lastfd (keeper)";

/// The name for the requested limits, which the launched program's process took just before its exec.
const REQUESTED: &str = Link::REQUESTED;

/// Characters that are kept of a command line: enough to know it by. The rest may be long.
const COMMAND_CHARS: usize = 120;

/// Far more than any real depth; parents read while processes exit must not make a loop.
const DEPTH_MAX: usize = 256;

/// The chain that ends at `pid`, first ancestor first. With `requested`, the limits asked for are a link of
/// their own, before the launched program: the process is the same one, a moment earlier. Ancestors that end
/// meanwhile are left out.
///
/// The process itself, and the link that set its limits, have their command lines, as these may be written.
/// All others have the program's name alone: the rest of their command lines is private.
pub fn read(pid: Pid, requested: Option<Limits>, launched: Pid, redaction: &Redaction) -> Vec<Link> {
    let ancestors = std::iter::successors(Some(pid), |&pid| proc::parent(pid).filter(|&parent| parent > 0));
    let mut pids: Vec<Pid> = ancestors.take(DEPTH_MAX).collect();
    pids.reverse();
    let links = pids.iter().filter_map(|&pid| {
        let (soft, hard) = proc::nofile(pid).ok()?;
        Some(Link { pid, command: name(pid, &proc::arguments(pid)), soft, hard })
    });
    let mut links = with_request(links.collect(), requested, launched);
    let told = [
        links.len().checked_sub(1),
        last_change(&links, |link| link.soft),
        last_change(&links, |link| (link.soft, link.hard)),
    ];
    for at in told.into_iter().flatten() {
        let link = &mut links[at];
        if ![KEEPER, REQUESTED].contains(&link.command.as_str()) {
            link.command = command(link.pid, &proc::arguments(link.pid), redaction);
        }
    }
    links
}

fn with_request(mut links: Vec<Link>, requested: Option<Limits>, launched: Pid) -> Vec<Link> {
    let Some(Limits { soft, hard }) = requested else { return links };
    // A daemon is the init's child; then the launched program is not in the chain, and came after the init
    // all the same.
    let after_keeper = || links.iter().rposition(|link| link.command == KEEPER).map(|at| at + 1);
    if let Some(at) = links.iter().position(|link| link.pid == launched).or_else(after_keeper) {
        links.insert(at, Link { pid: launched, command: REQUESTED.to_owned(), soft, hard });
    }
    links
}

/// The name of a program, or what stands for a step of our own.
fn name(pid: Pid, words: &[String]) -> String {
    let Some(first) = words.first() else { return comm(pid) };
    match ours(words) {
        Some(("stage", _)) => KEEPER.to_owned(),
        // For a bundled launcher the step says more than the path of our binary.
        Some((step, _)) => format!("lastfd exec {step}"),
        // A program that writes its title over its arguments has no path there.
        None if first.contains(' ') => proc::program(pid).unwrap_or_default(),
        None => base(first).to_owned(),
    }
}

/// The command line of a process as it may be written.
fn command(pid: Pid, words: &[String], redaction: &Redaction) -> String {
    let shown = match ours(words) {
        _ if words.is_empty() => comm(pid),
        Some((_, rest)) => redaction.words(&[&[name(pid, words)], rest].concat()).join(" "),
        None => redaction.words(words).join(" "),
    };
    match shown.char_indices().nth(COMMAND_CHARS) {
        None => shown,
        Some((end, _)) => format!("{}…", &shown[..end]),
    }
}

/// The name of a process without a command line: a kernel thread, or a zombie.
fn comm(pid: Pid) -> String {
    format!("[{}]", proc::program(pid).unwrap_or_default())
}

/// Which step of ours this is (`lastfd exec STEP`, or of a program that links the library), and its words.
fn ours(words: &[String]) -> Option<(&str, &[String])> {
    match words {
        [_, word, exec, step, rest @ ..] if word == WORD && exec == "exec" => Some((step, rest)),
        [first, exec, step, rest @ ..] if base(first) == "lastfd" && exec == "exec" => Some((step, rest)),
        _ => None,
    }
}

/// The last link that has another `limit` than the one before it, or that is the limits asked for; `None`
/// where all have inherited it.
pub fn last_change<T: PartialEq>(links: &[Link], limit: impl Fn(&Link) -> T) -> Option<usize> {
    (1..links.len())
        .rev()
        .find(|&at| links[at].command == REQUESTED || limit(&links[at]) != limit(&links[at - 1]))
}

fn base(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(pid: Pid, command: &str, soft: u64, hard: u64) -> Link {
        Link { pid, command: command.into(), soft, hard }
    }

    const ASKED: Limits = Limits { soft: 256, hard: 4096 };

    fn under_supervisord(soft: u64) -> Vec<Link> {
        let links = vec![
            link(1, "/sbin/init", 1024, 524_288),
            link(30, "lastfd run", 20_000, 20_000),
            link(31, KEEPER, 20_000, 20_000),
            link(33, "/usr/bin/python3 /usr/bin/supervisord --nodaemon", 1024, 4096),
            link(34, "./server --port 1", soft, 4096),
        ];
        with_request(links, Some(ASKED), 33)
    }

    fn soft_changed(links: &[Link]) -> Option<&Link> {
        Some(&links[last_change(links, |link| link.soft)?])
    }

    #[test]
    fn the_supervisor_is_the_last_change_when_its_minfds_raised_the_limit() {
        assert_eq!(soft_changed(&under_supervisord(1024)).unwrap().pid, 33);
        assert_eq!(
            soft_changed(&under_supervisord(1024)).unwrap().soft,
            1024,
            "and not the limits asked for, of the same process"
        );
    }

    #[test]
    fn a_program_that_changes_its_own_limit_is_the_last_change() {
        assert_eq!(soft_changed(&under_supervisord(4096)).unwrap().pid, 34);
        assert_eq!(soft_changed(&under_supervisord(512)).unwrap().pid, 34);
    }

    #[test]
    fn limits_asked_for_are_a_change_even_when_they_equal_the_harness_own() {
        let links = vec![link(1, "init", 64, 64), link(2, KEEPER, 64, 64), link(3, "./server", 64, 64)];
        let links = with_request(links, Some(Limits { soft: 64, hard: 64 }), 3);
        assert_eq!(last_change(&links, |link| link.soft), Some(2));
        assert_eq!(links[2].command, REQUESTED);
    }

    #[test]
    fn a_daemon_that_left_the_launched_program_still_shows_the_limits_asked_for() {
        let links = vec![link(1, "init", 9, 9), link(2, KEEPER, 9, 9), link(7, "daemon", 5, 9)];
        let links = with_request(links, Some(Limits { soft: 5, hard: 9 }), 3);
        assert_eq!(links[2], link(3, REQUESTED, 5, 9));
        assert_eq!(last_change(&links, |link| link.soft), Some(2));
    }

    #[test]
    fn the_last_change_is_the_first_of_the_last_equal_links() {
        let links = [
            link(1, "", 1024, 4096),
            link(5, "", 4096, 4096),
            link(6, "", 1024, 4096),
            link(7, "", 1024, 4096),
        ];
        let of = |links: &[Link]| last_change(links, |link| (link.soft, link.hard));
        assert_eq!(of(&links), Some(2), "not the first, which has the same value by accident");
        assert_eq!(of(&links[..2]), Some(1));
        assert_eq!(of(&links[2..]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn the_chain_of_a_live_process_ends_with_it_and_its_parent() {
        let own = std::process::id() as Pid;
        let links = read(own, None, own, &Redaction::default());
        let [.., parent, last] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!(parent.pid, std::os::unix::process::parent_id() as Pid);
        assert_eq!((last.pid, (last.soft, last.hard)), (own, crate::sys::process::own_nofile()));
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn our_own_steps_are_labelled_and_a_bundled_launcher_keeps_its_name() {
        let shown = |line: &str| {
            let words = words(line);
            (name(0, &words), command(0, &words, &Redaction::default()))
        };
        assert_eq!(shown("lastfd exec stage --isolation keeper -- x").0, KEEPER);
        let supervise = "lastfd exec supervise";
        let with_words = (supervise.into(), format!("{supervise} -- x"));
        assert_eq!(shown("/x/lastfd exec supervise -- x"), with_words);
        assert_eq!(shown("/x/lastfd serve tcp"), ("lastfd".into(), "/x/lastfd serve tcp".into()));
        assert_eq!(shown("lastfd lastfd-helper exec stage --soft 64 -- x").0, KEEPER);
        assert_eq!(shown("/x/own lastfd-helper exec supervise -- x"), with_words);
        assert_eq!(shown("/x/own exec stage -- x"), ("own".into(), "/x/own exec stage -- x".into()));
    }

    #[test]
    fn only_the_process_itself_and_what_set_its_limits_show_their_arguments_and_never_their_secrets() {
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "ulimit -Sn 48; sh -c 'sleep 60 & wait' x --token=hunter2 & wait",
                "y",
                "--token=hunter2",
            ])
            .spawn()
            .expect("sh is there");
        let tree = || proc::tree(child.id() as Pid);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while proc::arguments(*tree().last().expect("the shell")).first().is_none_or(|w| w != "sleep")
            && std::time::Instant::now() < deadline
        {
            std::thread::yield_now();
        }
        let pids = tree();
        let links = read(*pids.last().expect("three"), None, 0, &Redaction::default());
        for pid in pids.iter().rev().filter_map(|&pid| rustix::process::Pid::from_raw(pid)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        child.wait().expect("ours");
        let told: Vec<&str> = links.iter().rev().take(3).rev().map(|link| link.command.as_str()).collect();
        assert_eq!(
            told,
            ["sh -c ulimit -Sn 48; sh -c 'sleep 60 & wait' x --token=… & wait y --token=…", "sh", "sleep 60"]
        );
        assert!(links[..links.len() - 3].iter().all(|link| !link.command.contains(" -")), "{links:?}");
    }
}

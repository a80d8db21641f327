//! The chain of limits: from the first ancestor to a process, what `RLIMIT_NOFILE` each has now, and which link set the value in force.
//!
//! Only reads `/proc`. It shows what is, not what was: an ancestor that has replaced itself (nohup, env) or has left is not in it.

use crate::event::{Limits, Link, Pid};
use crate::helper::WORD;
use crate::sys::proc;
use std::path::Path;

/// What stands for lastfd's own processes between the harness and the program.
const KEEPER: &str = "lastfd (keeper)";

/// What stands for the limits asked for, which the launched program's process took just before its exec.
const REQUESTED: &str = Link::REQUESTED;

/// Of an ancestor's command line this much is kept: enough to know it by. The rest may be long, and may hold secrets.
const COMMAND_CHARS: usize = 120;

/// Far more than any real depth; parents read while processes exit must not make a loop.
const DEPTH_MAX: usize = 256;

/// The chain that ends at `pid`, first ancestor first. With `requested`, the limits asked for are a link of their own, before the
/// launched program: the process is the same one, a moment earlier. Ancestors that end meanwhile are left out.
pub fn read(pid: Pid, requested: Option<Limits>, launched: Pid) -> Vec<Link> {
    let ancestors = std::iter::successors(Some(pid), |&pid| proc::parent(pid).filter(|&parent| parent > 0));
    let mut pids: Vec<Pid> = ancestors.take(DEPTH_MAX).collect();
    pids.reverse();
    let links = pids.iter().filter_map(|&pid| {
        let (soft, hard) = proc::nofile(pid).ok()?;
        Some(Link { pid, command: label(proc::command(pid)), soft, hard })
    });
    with_request(links.collect(), requested, launched)
}

fn with_request(mut links: Vec<Link>, requested: Option<Limits>, launched: Pid) -> Vec<Link> {
    let Some(Limits { soft, hard }) = requested else { return links };
    // A daemon is the init's child; then the launched program is not in the chain, and came after the init all the same.
    let after_keeper = || links.iter().rposition(|link| link.command == KEEPER).map(|at| at + 1);
    if let Some(at) = links.iter().position(|link| link.pid == launched).or_else(after_keeper) {
        links.insert(at, Link { pid: launched, command: REQUESTED.to_owned(), soft, hard });
    }
    links
}

fn label(command: String) -> String {
    let first = command.split(' ').next().unwrap_or_default();
    // A helper of a run, in the `lastfd` program or in one that links the library.
    let rest = command.strip_prefix(first).unwrap_or_default();
    let marked = rest.strip_prefix(&format!(" {WORD}"));
    let step = marked.or((base(first) == "lastfd").then_some(rest)).filter(|step| step.starts_with(" exec "));
    if step.is_some_and(|step| step.starts_with(" exec stage ")) {
        return KEEPER.to_owned();
    }
    // Of a bundled launcher the name tells more than the place of our binary.
    let shown = step.map(|step| format!("lastfd{step}")).unwrap_or(command);
    match shown.char_indices().nth(COMMAND_CHARS) {
        None => shown,
        Some((end, _)) => format!("{}…", &shown[..end]),
    }
}

/// The last link that has another `limit` than the one before it, or that is the limits asked for; `None` where all have inherited it.
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
        let links = read(own, None, own);
        let [.., parent, last] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!(parent.pid, std::os::unix::process::parent_id() as Pid);
        assert_eq!((last.pid, (last.soft, last.hard)), (own, crate::sys::process::own_nofile()));
    }

    #[test]
    fn our_own_steps_are_labelled_and_a_bundled_launcher_keeps_its_name() {
        assert_eq!(label("lastfd exec stage --isolation keeper -- x".into()), KEEPER);
        assert_eq!(label("/x/lastfd exec supervise -- x".into()), "lastfd exec supervise -- x");
        assert_eq!(label("/x/lastfd serve tcp".into()), "/x/lastfd serve tcp");
        assert_eq!(label("lastfd lastfd-helper exec stage --soft 64 -- x".into()), KEEPER);
        assert_eq!(label("/x/own lastfd-helper exec supervise -- x".into()), "lastfd exec supervise -- x");
        assert_eq!(label("/x/own exec stage -- x".into()), "/x/own exec stage -- x");
    }
}

//! /proc of live processes: descriptor counts, the process tree, limits, states, CPU time. Reads only.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The task whose `/proc` entry shows the process's descriptors. It is the first thread, unless that has
/// exited while others live on (a `main` that ended by pthread_exit(3)): then the first thread's table is
/// empty.
pub fn shown_by(pid: i32) -> i32 {
    let holds =
        |task: i32| rustix::fs::stat(format!("/proc/{task}/fd")).is_ok_and(|folder| folder.st_size > 0);
    if holds(pid) {
        return pid;
    }
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).find(|&task| holds(task)).unwrap_or(pid)
}

/// Descriptors open in the process, from the size of `/proc/PID/fd`.
///
/// Counts numbers reserved by threads blocked in `accept` too, which the listing does not show (Linux 6.2 or
/// newer; before, the size is zero and the entries are counted).
///
/// # Errors
/// `ESRCH` or `ENOENT` when the process has exited; `EACCES` when it belongs to another user.
pub fn descriptors(pid: i32) -> io::Result<u64> {
    let path = format!("/proc/{}/fd", shown_by(pid));
    match rustix::fs::stat(&path)?.st_size {
        0 => Ok(std::fs::read_dir(path)?.count() as u64),
        size => Ok(size as u64),
    }
}

/// Adds the inodes of the sockets that the process holds. About 1 µs a descriptor.
///
/// # Errors
/// `EACCES` when it belongs to another user. One that has exited holds none.
pub fn sockets(pid: i32, inodes: &mut HashSet<u64>) -> io::Result<()> {
    let folder = match std::fs::File::open(format!("/proc/{}/fd", shown_by(pid))) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => return Ok(()),
        other => other?,
    };
    let mut link = [MaybeUninit::uninit(); 64];
    for entry in rustix::fs::Dir::read_from(&folder)?.flatten() {
        // Closed meanwhile, or no descriptor: `.` and `..`.
        let Ok((target, _)) = rustix::fs::readlinkat_raw(&folder, entry.file_name(), &mut link) else {
            continue;
        };
        let inode = target.strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
        inodes.extend(inode.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok()));
    }
    Ok(())
}

/// The id of this process in `/proc`. It differs from its own id where `/proc` belongs to an outer PID
/// namespace.
pub fn own() -> i32 {
    let shown = std::fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
    shown.unwrap_or(std::process::id() as i32)
}

/// Every process that `/proc` shows.
pub fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Live children of every thread of the process, in no particular order; empty when it has exited.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| {
            line.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
        })
        .collect()
}

/// The process and all its live descendants, parents before children.
pub fn tree(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found.retain(|&pid| Path::new(&format!("/proc/{pid}")).exists());
    found
}

/// Whether every thread of the process sleeps (state `S`), is stopped or is dead; true for a process that has
/// exited. One that a tracer holds (`t`) is not asleep: it goes on as soon as the tracer, which is the
/// observer, lets it.
pub fn asleep(pid: i32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        !matches!(field(&stat, 0), Some("R" | "D" | "t"))
    })
}

/// Whether a thread of the process sleeps for a limited time, or holds a timerfd that is set: then it acts by
/// itself before long. `Some(false)`: only an event from outside wakes it. From `/proc/PID/task/TID/syscall`;
/// `None` where that cannot be read, or a thread runs, or waits in a call whose time this function does not
/// know.
pub fn timer_pending(pid: i32) -> Option<bool> {
    let mut pending = armed_timerfd(pid)?;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let line = std::fs::read_to_string(task.path().join("syscall")).ok()?;
        pending |= sleeps_for_a_time(&line)?;
    }
    Some(pending)
}

/// How often each thread of the process that sleeps for a limited time has gone to sleep by itself since it
/// began, by its id (`voluntary_ctxt_switches` of proc(5)): it grows when such a time is over. `None` where
/// the count cannot be read, or a timerfd is set, whose end no thread's sleep shows.
pub fn timed_sleeps(pid: i32) -> Option<HashMap<i32, u64>> {
    if armed_timerfd(pid)? {
        return None;
    }
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let timed = tasks.filter_map(|task| {
        let read = |name| std::fs::read_to_string(task.path().join(name)).ok();
        if !sleeps_for_a_time(&read("syscall")?)? {
            return None;
        }
        let status = read("status")?;
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((task.file_name().to_str()?.parse().ok()?, sleeps.trim().parse().ok()?))
    });
    Some(timed.collect())
}

/// The descriptors that threads of the process wait in accept on, one for each thread; none where that cannot
/// be read.
pub fn accepting_on(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lines = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("syscall")).ok());
    lines.filter_map(|line| accepts_on(&line)).collect()
}

fn accepts_on(line: &str) -> Option<i32> {
    let mut words = line.split_ascii_whitespace();
    let call: i64 = words.next()?.parse().ok()?;
    let fd = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    [libc::SYS_accept, libc::SYS_accept4].contains(&call).then_some(fd as u32 as i32)
}

/// Whether the call of such a line ends by itself.
fn sleeps_for_a_time(line: &str) -> Option<bool> {
    let mut words = line.split_ascii_whitespace();
    let call: i64 = words.next()?.parse().ok()?;
    let argument = |words: &mut dyn Iterator<Item = &str>, at: usize| {
        let word = words.nth(at)?.trim_start_matches("0x").to_owned();
        u64::from_str_radix(&word, 16).ok()
    };
    // A number of milliseconds, an int, negative for ever; a pointer to a time, null for ever.
    let number = |value: u64| value as u32 as i32 >= 0;
    let pointer = |value: u64| value != 0;
    Some(match call {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => number(argument(&mut words, 2)?),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => number(argument(&mut words, 3)?),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => pointer(argument(&mut words, 4)?),
        libc::SYS_epoll_pwait => number(argument(&mut words, 3)?),
        libc::SYS_epoll_pwait2 | libc::SYS_futex => pointer(argument(&mut words, 3)?),
        libc::SYS_ppoll | libc::SYS_rt_sigtimedwait => pointer(argument(&mut words, 2)?),
        libc::SYS_pselect6 => pointer(argument(&mut words, 4)?),
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => true,
        libc::SYS_accept | libc::SYS_accept4 | libc::SYS_read | libc::SYS_wait4 | libc::SYS_waitid => false,
        libc::SYS_rt_sigsuspend => false,
        _ => return None,
    })
}

/// Whether a thread of the process waits for descriptors, and for so long at most: in poll(2), epoll_wait(2)
/// or one of their kin. False where that cannot be read.
pub fn waits_at_most(pid: i32, within: Duration) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lines = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("syscall")).ok());
    lines.filter_map(|line| polls_for(pid, &line)).any(|time| time <= within)
}

/// The time for which the call of such a line waits for descriptors; `None`: it does not, or for ever.
fn polls_for(pid: i32, line: &str) -> Option<Duration> {
    let mut words = line.split_ascii_whitespace();
    let call: i64 = words.next()?.parse().ok()?;
    let arguments: Vec<u64> =
        words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect();
    // A number of milliseconds, an int, negative for ever.
    let number = |at: usize| {
        let ms = *arguments.get(at)? as u32 as i32;
        Some(Duration::from_millis(u64::try_from(ms).ok()?))
    };
    // A pointer to seconds and nanoseconds, null for ever.
    let pointer = |at: usize| {
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        let mut time = [0; 16];
        let address = arguments.get(at).copied().filter(|address| *address != 0)?;
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut time, address).ok()?;
        let half = |from: usize| u64::from_ne_bytes(time[from..from + 8].try_into().expect("eight bytes"));
        Some(Duration::from_secs(half(0)).saturating_add(Duration::from_nanos(half(8))))
    };
    match call {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => number(2),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => number(3),
        libc::SYS_epoll_pwait => number(3),
        libc::SYS_ppoll => pointer(2),
        libc::SYS_epoll_pwait2 => pointer(3),
        libc::SYS_pselect6 => pointer(4),
        _ => None,
    }
}

/// Whether it holds a timerfd that is set (proc(5), fdinfo).
fn armed_timerfd(pid: i32) -> Option<bool> {
    let own = shown_by(pid);
    let timers = std::fs::read_dir(format!("/proc/{own}/fd")).ok()?.flatten().filter(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[timerfd]")
    });
    let set = |name: std::ffi::OsString| {
        let info = std::fs::read_to_string(format!("/proc/{own}/fdinfo/{}", name.to_string_lossy()));
        let value = info.unwrap_or_default();
        value.lines().any(|line| line.starts_with("it_value:") && !line.contains("(0, 0)"))
    };
    Some(timers.map(|entry| entry.file_name()).any(set))
}

/// Field of a stat line counted from the one after the command name (which may hold spaces and parentheses):
/// 0 is the state.
fn field(stat: &str, index: usize) -> Option<&str> {
    stat.rsplit_once(") ")?.1.split(' ').nth(index)
}

/// Whether the process is in another network namespace than this one; false where that is not readable.
pub fn in_other_network(pid: i32) -> bool {
    network(&pid.to_string()).is_some_and(|its| Some(its) != network("self"))
}

/// The network namespace of a process, or of `self`, as its link in /proc names it; `None` where that is not
/// readable.
pub fn network(pid: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// TCP ports that anybody listens on in the network namespace of the process.
pub fn listening_ports(pid: i32) -> Vec<u16> {
    listeners(&pid.to_string()).into_iter().map(|(port, _)| port).collect()
}

/// Port and inode of every TCP listener in the network namespace of a process, or of `self`. Reads the whole
/// table.
pub fn listeners(pid: &str) -> Vec<(u16, u64)> {
    /// `TCP_LISTEN` of include/net/tcp_states.h, as the table writes states.
    const LISTEN: &str = "0A";
    let tables = ["tcp", "tcp6"]
        .map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let listener = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let (_, port) = local.rsplit_once(':').filter(|_| state == LISTEN)?;
        Some((u16::from_str_radix(port, 16).ok()?, words.nth(5)?.parse().ok()?))
    };
    tables.iter().flat_map(|table| table.lines().filter_map(listener)).collect()
}

/// Flags of tasks in a stat line (`PF_…` of the kernel's include/linux/sched.h): it is exiting; it is a
/// thread of the kernel.
const EXITING: u64 = 0x4;
const KERNEL_THREAD: u64 = 0x0020_0000;

fn flags(task: impl AsRef<Path>) -> Option<u64> {
    field(&std::fs::read_to_string(task.as_ref().join("stat")).ok()?, 6)?.parse().ok()
}

/// Whether this is a thread of the kernel: it has a limit, and no descriptors.
pub fn is_kernel_thread(pid: i32) -> bool {
    flags(format!("/proc/{pid}")).is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

/// Whether every thread of the process is on its way out.
pub fn is_exiting(pid: i32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let flags: Vec<u64> = tasks.filter_map(|task| flags(task.path())).collect();
    !flags.is_empty() && flags.iter().all(|flags| flags & EXITING != 0)
}

/// Whether it has descriptors of its own: no thread of the kernel, and not on its way out.
pub fn holds_descriptors(pid: i32) -> bool {
    !is_kernel_thread(pid) && !is_exiting(pid)
}

/// Parent process id; `None` when the process has exited.
pub fn parent(pid: i32) -> Option<i32> {
    field(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 1)?.parse().ok()
}

/// The process's id in its own PID namespace: the id that it sees itself. `None` when it has exited.
pub fn own_pid(pid: i32) -> Option<i32> {
    ids(&pid.to_string()).pop()
}

/// The ids of a process, or of `self`, in each PID namespace: the first is the one in `/proc`, the last its
/// own. Empty when it has exited.
pub fn ids(pid: &str) -> Vec<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// The id by which this process can signal the one that `/proc` shows under `pid`. The two ids differ where
/// `/proc` belongs to an outer PID namespace. `None` where the process is outside of this one's namespace, or
/// has exited.
pub fn reachable_as(pid: i32) -> Option<i32> {
    match ids("self").len() {
        0 | 1 => Some(pid),
        depth => ids(&pid.to_string()).get(depth - 1).copied(),
    }
}

/// Whether this process is in the machine's first PID namespace: then its ids are valid for the whole
/// machine.
pub fn in_first_pid_namespace() -> bool {
    /// `/proc/PID/ns/pid` of that namespace (Linux, PROC_PID_INIT_INO).
    const FIRST: &str = "pid:[4026531836]";
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.as_os_str() == FIRST)
}

/// Soft and hard `RLIMIT_NOFILE` from `/proc/PID/limits`, readable for processes of other users too.
///
/// # Errors
/// The process has exited, or the kernel's table has no such line.
pub fn nofile(pid: i32) -> io::Result<(u64, u64)> {
    let table = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let number = |word: &str| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() };
    table
        .lines()
        .find_map(|line| {
            let mut words = line.strip_prefix("Max open files")?.split_ascii_whitespace();
            Some((number(words.next()?)?, number(words.next()?)?))
        })
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/limits has no line for open files")))
}

/// The words a process was executed with, as far as it has not overwritten them; empty for kernel threads and
/// zombies.
pub fn arguments(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    if line.is_empty() {
        Vec::new()
    } else {
        line.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

/// The words that this process was executed with, as bytes: where the C library does not tell them.
pub fn own_words() -> Vec<OsString> {
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    line.split(|&b| b == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// Whether a process was executed with this `NAME=value` in its environment; false of one that has ended.
pub fn has_variable(pid: i32, variable: &str) -> bool {
    let all = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    all.split(|&b| b == 0).any(|one| one == variable.as_bytes())
}

/// Open files of the whole host and `fs.file-max`, the most there may be; `None` without /proc.
pub fn file_nr() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/sys/fs/file-nr").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.nth(1)??))
}

/// Command line, or `[comm]` for a process without one (kernel threads, zombies).
pub fn command(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> =
        line.split(|&b| b == 0).filter(|w| !w.is_empty()).map(String::from_utf8_lossy).collect();
    if words.is_empty() {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        return format!("[{}]", comm.trim_end());
    }
    words.join(" ")
}

/// The name of the program that a process runs, 15 bytes at most, or what that has named itself; `None` when
/// it has exited.
pub fn program(pid: i32) -> Option<String> {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(comm.strip_suffix(b"\n").unwrap_or(&comm)).into_owned())
}

/// User and system CPU seconds that the process has used, all its threads, without its children.
pub fn cpu_s(pid: i32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = field(&stat, 11)?.parse::<u64>().ok()? + field(&stat, 12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The threads of the process with the nanoseconds for which each has run, and for which it could have run
/// and was given no processor, since it began (sched-stats: the first fields of schedstat). None where the
/// kernel does not count that, or the process has exited.
pub fn ready_ns(pid: i32) -> Vec<(i32, u64, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let mut fields = stat.split_whitespace().map(str::parse);
        let tid = task.file_name().to_str()?.parse().ok()?;
        Some((tid, fields.next()?.ok()?, fields.next()?.ok()?))
    };
    tasks.filter_map(of).collect()
}

/// Bytes of the process's memory that are resident (/proc/PID/statm); pages that it shares with others count
/// whole. `None` when it has exited. Microseconds: the kernel keeps the count.
pub fn resident(pid: i32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_accepts_is_told_with_its_listener() {
        let accept = |call: i64| accepts_on(&format!("{call} 0x3 0x7f0 0x7fc 0x80000 0x0 0x0 0x7f1 0x7f2"));
        assert_eq!((accept(libc::SYS_accept), accept(libc::SYS_accept4)), (Some(3), Some(3)));
        assert_eq!((accept(libc::SYS_read), accepts_on("running")), (None, None));
    }

    #[test]
    fn a_thread_that_sleeps_for_a_time_again_and_again_is_counted() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mine = rustix::thread::gettid().as_raw_nonzero().get();
            while tell.send(mine).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let (own_pid, tid) = (own(), told.recv().expect("a thread"));
        let slept = || timed_sleeps(own_pid).and_then(|all| all.get(&tid).copied());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let first =
            std::iter::from_fn(|| (std::time::Instant::now() < deadline).then(slept)).flatten().next();
        let first = first.expect("it sleeps nearly always");
        for _ in 0..4 {
            told.recv().expect("it goes on");
        }
        let later =
            std::iter::from_fn(|| (std::time::Instant::now() < deadline).then(slept)).flatten().next();
        assert!(later.expect("it sleeps") >= first + 2);
    }

    #[test]
    fn a_process_that_its_tracer_holds_is_not_asleep() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        let pid = child.id() as i32;
        let signal = |number| {
            std::process::Command::new("kill")
                .args([format!("-{number}"), pid.to_string()])
                .status()
                .expect("kill is there")
        };
        let reaches = |state: &str| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            let now = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            while field(&now(), 0) != Some(state) && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            field(&now(), 0) == Some(state)
        };
        assert!(reaches("S") && asleep(pid));
        signal("STOP");
        assert!(reaches("T") && asleep(pid), "stopped by job control it rests");
        signal("CONT");
        let traced = crate::sys::ptrace::seize(pid);
        signal("STOP");
        let held = traced.is_ok() && reaches("t") && !asleep(pid);
        child.kill().expect("ours");
        child.wait().expect("ours");
        match traced {
            Ok(()) => assert!(held, "it waits for nothing but its tracer"),
            Err(error) => eprintln!("skipped: ptrace is not allowed here: {error}"),
        }
    }

    #[test]
    fn own_words_are_those_that_the_c_library_tells() {
        assert_eq!(own_words(), std::env::args_os().collect::<Vec<_>>());
    }

    #[test]
    fn the_count_of_descriptors_is_that_of_the_listing() {
        // In a process of its own: other tests open files meanwhile.
        let mut child = std::process::Command::new("sh")
            .args(["-c", "exec sleep 60 3</dev/null 4</dev/null"])
            .spawn()
            .expect("sh is there");
        let pid = child.id() as i32;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // As it loads its libraries it opens files.
        let sleeps = || command(pid) == "sleep 60" && asleep(pid);
        while !sleeps() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let (counted, listed) = (
            descriptors(pid).expect("of a child"),
            std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a child's").count(),
        );
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(counted, listed as u64);
        assert!(counted >= 5, "{counted}");
        assert!(descriptors(i32::MAX).is_err(), "no such process");
    }
}

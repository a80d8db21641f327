//! Other resources of a subject than descriptors, and their limits: tasks (`RLIMIT_NPROC`, the pids cgroup,
//! the host), memory (`RLIMIT_AS`, the memory cgroup), and the bounds of the queue and of the generator's
//! ports. Reads /proc and the cgroup file systems; concludes nothing.

use crate::event::{Bound, Pid, Resources};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Capabilities that lift `RLIMIT_NPROC` (fork(2)): CAP_SYS_ADMIN and CAP_SYS_RESOURCE.
const UNBOUND: u64 = 1 << 21 | 1 << 24;

/// The cgroups of a process, from its own up to the root, for the controllers that bound tasks and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    pids: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Groups {
    /// The cgroups of a live process; empty where none can be read.
    pub fn of(pid: Pid) -> Groups {
        let text = |path: &str| read_to_string(path).unwrap_or_default();
        Groups::from_tables(&text(&format!("/proc/{pid}/cgroup")), &text("/proc/self/mounts"))
    }

    /// From `/proc/PID/cgroup` and `/proc/mounts` (cgroups(7)): version 1 where that has the controller,
    /// version 2 otherwise.
    fn from_tables(member: &str, mounts: &str) -> Groups {
        let find = |controller: &str| {
            let of_v1 = |line: &&str| {
                line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == controller))
            };
            let (line, kind) = match member.lines().find(of_v1) {
                Some(line) => (line, "cgroup"),
                None => (member.lines().find(|line| line.starts_with("0::"))?, "cgroup2"),
            };
            let inside = line.splitn(3, ':').nth(2)?.trim_start_matches('/');
            let root = mounts.lines().find_map(|mount| {
                let words: Vec<&str> = mount.split(' ').collect();
                let fits = *words.get(2)? == kind
                    && (kind == "cgroup2" || words.get(3)?.split(',').any(|option| option == controller));
                fits.then(|| PathBuf::from(words[1]))
            })?;
            let own = root.join(inside);
            Some(own.ancestors().take_while(|folder| folder.starts_with(&root)).map(Path::to_owned).collect())
        };
        Groups { pids: find("pids").unwrap_or_default(), memory: find("memory").unwrap_or_default() }
    }

    /// The tightest bound on tasks, and how often it refused one.
    fn tasks(&self) -> (Option<Bound>, Option<u64>) {
        let bound = |folder: &PathBuf| {
            Some(Bound { used: number(folder, "pids.current")?, most: number(folder, "pids.max")? })
        };
        let tightest = self
            .pids
            .iter()
            .filter_map(|folder| Some((folder, bound(folder)?)))
            .min_by_key(|(_, bound)| bound.left());
        (
            tightest.map(|t| t.1),
            tightest.and_then(|(folder, _)| word_of(&read(folder, "pids.events")?, "max")),
        )
    }

    /// The tightest bound on memory; and how many the out-of-memory killer has killed in the process's own
    /// cgroup.
    fn memory(&self) -> (Option<Bound>, Option<u64>) {
        let bound = |folder: &PathBuf| {
            let either = |new: &str, old: &str| number(folder, new).or_else(|| number(folder, old));
            Some(Bound {
                used: either("memory.current", "memory.usage_in_bytes")?,
                most: either("memory.max", "memory.limit_in_bytes")?,
            })
        };
        let kills = self.memory.iter().find_map(|folder| {
            let text = read(folder, "memory.events").or_else(|| read(folder, "memory.oom_control"))?;
            word_of(&text, "oom_kill")
        });
        // Without a limit version 1 says nearly 2⁶³.
        let bounds = self.memory.iter().filter_map(bound).filter(|bound| bound.most < 1 << 62);
        (bounds.min_by_key(|bound| bound.left()), kills)
    }
}

fn read(folder: &Path, file: &str) -> Option<String> {
    read_to_string(folder.join(file)).ok()
}

/// `None` too for `max`.
fn number(folder: &Path, file: &str) -> Option<u64> {
    read(folder, file)?.trim().parse().ok()
}

/// The number after this word at the beginning of a line.
fn word_of(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?.strip_prefix([' ', '\t', ':'])?.split_ascii_whitespace().next()?.parse().ok()
    })
}

/// The current use by the accepting process, and by its subject: `processes` of them.
pub fn read_of(pid: Pid, processes: u64, groups: &Groups) -> Resources {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let limits = read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let (group_tasks, group_refused) = groups.tasks();
    let (group_memory, oom_kills) = groups.memory();
    let host_tasks = host_tasks();
    let address_space = || {
        Some(Bound { used: word_of(&status, "VmSize")? * 1024, most: soft(&limits, "Max address space")? })
    };
    Resources {
        pid,
        threads: word_of(&status, "Threads"),
        processes,
        user_tasks: user_tasks(pid, &status, &limits, host_tasks),
        group_tasks,
        group_refused,
        host_tasks,
        address_space: address_space(),
        group_memory,
        oom_kills,
        somaxconn: read_to_string("/proc/sys/net/core/somaxconn")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        local_ports: local_ports(),
    }
}

/// The soft limit of a line of `/proc/PID/limits`; `None`: unlimited.
fn soft(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Tasks of the process's user against `RLIMIT_NPROC`, which counts the tasks of one user namespace. Counting
/// them means a look at every process, so it is left out while the whole host has fewer than the limit.
fn user_tasks(pid: Pid, status: &str, limits: &str, host: Option<Bound>) -> Option<Bound> {
    let most = soft(limits, "Max processes")?;
    let user = word_of(status, "Uid")?;
    let first = read_to_string(format!("/proc/{pid}/uid_map")).ok()?;
    // Capabilities count in the first user namespace only, which maps every number to itself.
    let initial = first.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    let capable =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())?
            & UNBOUND
            != 0;
    if initial && (user == 0 || capable) || host.is_some_and(|host| host.used < most) {
        return None;
    }
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let own = namespace(&pid.to_string());
    let tasks = |entry: std::fs::DirEntry| {
        let pid =
            entry.file_name().into_string().ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))?;
        let status = read_to_string(entry.path().join("status")).ok()?;
        let same = word_of(&status, "Uid")? == user && namespace(&pid) == own;
        same.then(|| word_of(&status, "Threads"))?
    };
    Some(Bound { used: std::fs::read_dir("/proc").ok()?.flatten().filter_map(tasks).sum(), most })
}

/// Tasks of the host (/proc/loadavg) against the lesser of the two sysctls that bound them.
fn host_tasks() -> Option<Bound> {
    let used = read_to_string("/proc/loadavg").ok()?.split(' ').nth(3)?.split_once('/')?.1.parse().ok()?;
    let sysctl =
        |name: &str| read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse::<u64>().ok();
    Some(Bound { used, most: ["threads-max", "pid_max"].into_iter().filter_map(sysctl).min()? })
}

/// The first and last port that the kernel gives to a socket that asks for none
/// (`net.ipv4.ip_local_port_range`).
pub fn local_ports() -> Option<(u64, u64)> {
    let text = read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let (first, last) = text.trim().split_once(['\t', ' '])?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                        cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn a_controller_is_looked_for_where_it_is_mounted_up_to_its_root() {
        let groups = Groups::from_tables("8:pids:/a/b\n4:cpu,cpuacct:/\n0::/new\n", BOTH);
        let folders =
            ["/sys/fs/cgroup/pids/a/b", "/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/pids"].map(PathBuf::from);
        assert_eq!(
            (groups.pids.as_slice(), groups.memory[0].as_path()),
            (&folders[..], Path::new("/sys/fs/cgroup/unified/new"))
        );
        let unified = Groups::from_tables("0::/user.slice/it\n", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        assert_eq!(unified.pids, unified.memory);
        assert_eq!(unified.pids.len(), 3);
        assert_eq!(Groups::from_tables("", ""), Groups::default());
    }

    #[test]
    fn the_tightest_group_is_the_one_with_the_least_room() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("own");
        std::fs::create_dir(&own).expect("a folder");
        let write =
            |folder: &Path, file: &str, text: &str| std::fs::write(folder.join(file), text).expect("written");
        for (folder, used, most) in [(root.path(), "90", "100"), (own.as_path(), "5", "max")] {
            write(folder, "pids.current", used);
            write(folder, "pids.max", most);
        }
        write(root.path(), "pids.events", "max 3\n");
        write(&own, "memory.usage_in_bytes", "4096\n");
        write(&own, "memory.limit_in_bytes", "9223372036854771712\n");
        write(&own, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        let all = vec![own, root.path().to_owned()];
        let groups = Groups { pids: all.clone(), memory: all };
        assert_eq!(groups.tasks(), (Some(Bound { used: 90, most: 100 }), Some(3)));
        assert_eq!(groups.memory(), (None, Some(2)), "nearly 2⁶³ bytes are no limit");
    }

    #[test]
    fn limits_and_counts_are_those_of_the_kernels_tables() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             40                   96365                processes \n\
                      Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!((soft(limits, "Max processes"), soft(limits, "Max address space")), (Some(40), None));
        let status = "Uid:\t65534\t65534\t65534\t65534\nVmSize:\t   2048 kB\nThreads:\t7\n";
        assert_eq!(
            (word_of(status, "Uid"), word_of(status, "VmSize"), word_of(status, "Threads")),
            (Some(65534), Some(2048), Some(7))
        );
        let own = read_of(std::process::id() as Pid, 1, &Groups::default());
        let listed = std::fs::read_dir("/proc/self/task").expect("own threads").count() as u64;
        assert!(
            own.threads.is_some_and(|n| n > 0)
                && listed > 0
                && own.host_tasks.is_some_and(|host| host.used >= listed),
            "{own:?}"
        );
    }
}

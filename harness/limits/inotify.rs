//! Inotify instances: the kernel counts them for each user, over all its processes (inotify(7)). Reads /proc
//! only.

use crate::event::{Holder, Pid};
use crate::sys::proc;
use std::os::unix::fs::MetadataExt as _;

/// The target of an inotify instance's link in `/proc/PID/fd`.
const INSTANCE: &str = "anon_inode:inotify";

/// `fs.inotify.max_user_instances`; `None` where the kernel has no inotify.
pub fn most() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok()?.trim().parse().ok()
}

/// The processes of the same user that have some, those with the most first; as far as they can be looked
/// into.
pub fn holders(pid: Pid) -> Vec<Holder> {
    let user = |pid: Pid| std::fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid());
    let Some(own) = user(pid) else { return Vec::new() };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut all: Vec<Holder> = pids.filter(|&pid| user(pid) == Some(own)).filter_map(holder).collect();
    all.sort_by_key(|holder| (std::cmp::Reverse(holder.count), holder.pid));
    all
}

fn holder(pid: Pid) -> Option<Holder> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", proc::shown_by(pid))).ok()?.flatten();
    let instances =
        open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == INSTANCE));
    let count = instances.count() as u64;
    Some(Holder { pid, program: proc::program(pid)?, count }).filter(|holder| holder.count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::inotify;

    #[test]
    fn who_makes_an_instance_has_one_more() {
        let own = std::process::id() as Pid;
        let counted =
            || holders(own).iter().find(|holder| holder.pid == own).map_or(0, |holder| holder.count);
        let before = counted();
        let instance = inotify::init(inotify::CreateFlags::CLOEXEC).expect("one more");
        assert_eq!(counted(), before + 1);
        drop(instance);
        assert!(most() > Some(0));
    }
}

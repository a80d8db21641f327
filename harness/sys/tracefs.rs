//! Where the kernel describes its tracepoints (tracefs): their ids and the layout of their records. Reads
//! only, and mounts nothing anywhere: where tracefs is not mounted, root reads it through a mount that
//! belongs to a descriptor alone.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The directory `events/` of a tracefs.
#[derive(Debug)]
pub struct Events(OwnedFd);

impl Events {
    /// Opens it at the two usual mount points, or else through a detached mount (fsopen(2)), which needs
    /// CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// `EACCES` where it is mounted but not for this user; `EPERM` where it is not and may not be; `ENODEV`
    /// where the kernel has no tracefs.
    pub fn open() -> io::Result<Self> {
        let mut refused = None;
        for mounted in ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"] {
            match directory(CWD, mounted) {
                Ok(fd) => return Ok(Events(fd)),
                Err(rustix::io::Errno::ACCESS) => refused = Some(rustix::io::Errno::ACCESS),
                Err(_) => {}
            }
        }
        detached().map_err(|e| refused.unwrap_or(e).into())
    }

    /// The id of a tracepoint, as perf_event_open(2) takes it.
    ///
    /// # Errors
    /// `ENOENT` where this kernel has no such tracepoint; `EACCES` where only root reads it.
    pub fn id(&self, tracepoint: &str) -> io::Result<u64> {
        let text = self.read(&format!("{tracepoint}/id"))?;
        text.trim().parse().map_err(|_| io::Error::other(format!("{tracepoint}/id holds {text:?}")))
    }

    /// Byte offset of a field in the tracepoint's records.
    ///
    /// # Errors
    /// As [`Events::id`]; also where the record has no such field.
    pub fn offset(&self, tracepoint: &str, field: &str) -> io::Result<usize> {
        let format = self.read(&format!("{tracepoint}/format"))?;
        offset(&format, field)
            .ok_or_else(|| io::Error::other(format!("{tracepoint}/format has no field {field}")))
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::from(openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
            .read_to_string(&mut text)?;
        Ok(text)
    }
}

fn directory(at: impl std::os::fd::AsFd, path: &str) -> rustix::io::Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn detached() -> rustix::io::Result<Events> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    directory(&root, "events").map(Events)
}

/// Finds the line `field:TYPE NAME; offset:N; size:M;` of that name.
fn offset(format: &str, name: &str) -> Option<usize> {
    format.lines().find_map(|line| {
        let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
        let declared = parts.next()?.rsplit([' ', '*']).next()?;
        (declared == name).then(|| parts.find_map(|part| part.strip_prefix("offset:")?.parse().ok()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 prints it.
    const EXIT_ACCEPT4: &str = "name: sys_exit_accept4\nID: 1561\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n\nprint fmt: \"0x%lx\", REC->ret\n";

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(offset(EXIT_ACCEPT4, "ret"), Some(16));
        assert_eq!(offset(EXIT_ACCEPT4, "common_pid"), Some(4));
        assert_eq!(offset(EXIT_ACCEPT4, "pid"), None);
    }

    #[test]
    fn root_reads_an_id_even_where_tracefs_is_not_mounted() {
        let Ok(events) = Events::open() else {
            return assert!(!crate::sys::blocked::host_root(), "root must be able to");
        };
        assert!(events.id("syscalls/sys_exit_accept4").expect("an id") > 0);
        assert_eq!(events.offset("syscalls/sys_exit_accept4", "ret").expect("an offset"), 16);
        assert_eq!(
            events.id("syscalls/sys_exit_nonesuch").expect_err("no such call").kind(),
            io::ErrorKind::NotFound
        );
    }
}

//! A network namespace that this process made for itself, and its sysctls. They are set through
//! [`OwnNetwork`] only, which exists in no other process: a sysctl of the host is never written.

use super::namespace::{self, OwnIds};
use rustix::thread::UnshareFlags;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Why there is no network namespace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// unshare(2) refused it, also together with a user namespace.
    #[error("no network namespace can be made: {}", in_words(.0))]
    Namespace(io::Error),
    /// It was made in a user namespace, which does not take the user's own ids.
    #[error("the user namespace of a network namespace does not take this user: {0}")]
    Ids(io::Error),
    /// `lo` stays down.
    #[error("`lo` of a new network namespace cannot be brought up: {0}")]
    Loopback(io::Error),
}

/// The network namespace that this process is in, made by itself. Most of its sysctls begin with the kernel's
/// defaults, not with the host's values.
#[derive(Debug)]
pub struct OwnNetwork {
    name: String,
    user: bool,
}

impl OwnNetwork {
    /// Leaves the present network namespace for a new one with `lo` up; where that is refused, for one inside
    /// a new user namespace that knows this one user. Children inherit it; there is no way back.
    ///
    /// # Errors
    /// See [`Error`]: without CAP_SYS_ADMIN, where user namespaces are forbidden too.
    ///
    /// # Panics
    /// When the process has more than one thread: the others would stay outside.
    pub fn enter() -> Result<Self, Error> {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        assert!(threads == 1, "a process of {threads} threads cannot enter a namespace as a whole");
        let before = name();
        let ids = OwnIds::read();
        let mut user = false;
        if namespace::unshare(UnshareFlags::NEWNET).is_err() {
            namespace::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(Error::Namespace)?;
            ids.map().map_err(Error::Ids)?;
            user = true;
        }
        let name = name();
        assert_ne!(before, name, "the kernel says that a new network namespace was entered");
        namespace::loopback_up().map_err(Error::Loopback)?;
        Ok(OwnNetwork { name, user })
    }

    /// As /proc shows it: `net:[4026532000]`, inside a user namespace where there is one.
    pub fn name(&self) -> String {
        if self.user { format!("{} in a user namespace", self.name) } else { self.name.clone() }
    }

    /// The sysctls that this namespace has for itself, by name with dots, and whether they can be written.
    ///
    /// Sysctls of the whole host are not among them (`net.core.netdev_max_backlog`), or cannot be written
    /// (`net.core.rmem_max`): the kernel keeps both from every namespace but the first.
    ///
    /// # Errors
    /// /proc/sys is not mounted.
    pub fn sysctls(&self) -> io::Result<BTreeMap<String, bool>> {
        let mut found = BTreeMap::new();
        walk(Path::new("/proc/sys/net"), "net", &mut found)?;
        Ok(found)
    }

    /// The value in force, its words separated by single spaces.
    ///
    /// # Errors
    /// `ENOENT` when this namespace has none of that name; `EACCES` for those that only root reads.
    pub fn get(&self, sysctl: &str) -> io::Result<String> {
        let text = std::fs::read_to_string(path(sysctl))?;
        Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Sets it in this namespace.
    ///
    /// # Errors
    /// As [`OwnNetwork::get`]; `EINVAL` for a value that the kernel does not take; `EACCES` or `EPERM` for
    /// one of the whole host.
    pub fn set(&self, sysctl: &str, value: &str) -> io::Result<()> {
        // One write(2): the kernel takes a value only as a whole.
        std::fs::OpenOptions::new().write(true).open(path(sysctl))?.write_all(value.as_bytes())
    }
}

fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "it takes CAP_SYS_ADMIN, or leave to make user namespaces".into(),
        Some(libc::ENOSPC) => {
            "the bound of `user.max_net_namespaces` or `user.max_user_namespaces` is reached".into()
        }
        _ => error.to_string(),
    }
}

/// Whether the caller's network namespace, or the host, has a sysctl of this name.
pub fn exists(sysctl: &str) -> bool {
    Path::new(&path(sysctl)).is_file()
}

fn name() -> String {
    std::fs::read_link("/proc/self/ns/net").map_or_else(|_| String::new(), |link| link.display().to_string())
}

fn path(sysctl: &str) -> String {
    assert!(
        sysctl.starts_with("net.") && !sysctl.contains(['/']) && !sysctl.contains(".."),
        "{sysctl:?} was checked before"
    );
    format!("/proc/sys/{}", sysctl.replace('.', "/"))
}

fn walk(folder: &Path, name: &str, found: &mut BTreeMap<String, bool>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let below = format!("{name}.{}", entry.file_name().to_string_lossy());
        let about = entry.metadata()?;
        if about.is_dir() {
            walk(&entry.path(), &below, found)?;
        } else {
            found.insert(below, std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o200 != 0);
        }
    }
    Ok(())
}

//! The parts that the launchers that open a PAM session share: a limits.conf and a PAM service of the run's
//! own, put in place of the machine's by bind mounts that only the launched tree sees. The machine's files
//! are never written.
//!
//! Three programs set the limits of such a session, one after the other. First su and runuser of util-linux,
//! before PAM, set the soft limit to 1024 (FD_SETSIZE) and leave the hard one. Then Debian's pam_limits
//! begins with the limits of process 1. Last, limits.conf changes these. The result is set at once or, where
//! it may not be, silently not at all.

use super::{Command, Error, Mount, Site};
use crate::scenario::{Process, Session};
use rustix::thread::{CapabilitySet, capabilities};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file that pam_limits reads.
const LIMITS_CONF: &str = "/etc/security/limits.conf";
const LIMITS_D: &str = "/etc/security/limits.d";

/// Where pam_limits begins. In a PID namespace process 1 is the harness's own init.
const FIRST_PROCESS: &str = "/proc/1/limits";

/// A PAM service that asks no questions; only root reaches its session.
const SERVICE: &str =
    "auth required pam_rootok.so\naccount required pam_permit.so\nsession required pam_permit.so\n";

/// Its session's limits.
const LIMITS_LINE: &str = "session required pam_limits.so\n";

/// `argv`, the words of the PAM program `service` among them, in the private configuration that the session
/// asks for.
pub(super) fn command(
    service: &'static str,
    process: &Process,
    session: &Session,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let mut mounts: Vec<Mount> = of_first_process(site.scratch)?.into_iter().collect();
    if let Some(lines) = &session.limits_conf {
        let text = if lines.ends_with('\n') { lines.clone() } else { format!("{lines}\n") };
        mounts
            .push(Mount { source: written(site.scratch, "limits.conf", &text)?, target: LIMITS_CONF.into() });
        if Path::new(LIMITS_D).is_dir() {
            let source = site.scratch.join("limits.d");
            std::fs::create_dir_all(&source)
                .map_err(|source| Error::Scratch { path: site.scratch.join("limits.d"), source })?;
            mounts.push(Mount { source, target: LIMITS_D.into() });
        }
    }
    if let Some(with_limits) = session.pam_limits {
        let text = if with_limits { format!("{SERVICE}{LIMITS_LINE}") } else { SERVICE.to_owned() };
        mounts.push(Mount {
            source: written(site.scratch, service, &text)?,
            target: Path::new("/etc/pam.d").join(service),
        });
    }
    // The program's `{scratch}` is open to any user, as /tmp is. Files already in it stay root's.
    let open = std::fs::set_permissions(site.scratch, Permissions::from_mode(0o1777));
    open.map_err(|source| Error::Scratch { path: site.scratch.to_owned(), source })?;
    Ok(Command { mounts, switches_user: true, ..Command::new(process, argv, site) })
}

/// Shows the limits of the machine's process 1. `None` where nothing can be mounted: there is no PID
/// namespace then either.
fn of_first_process(scratch: &Path) -> Result<Option<Mount>, Error> {
    let may_mount = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    let Some(text) = std::fs::read_to_string(FIRST_PROCESS).ok().filter(|_| may_mount) else {
        return Ok(None);
    };
    Ok(Some(Mount { source: written(scratch, "process-1-limits", &text)?, target: FIRST_PROCESS.into() }))
}

fn written(scratch: &Path, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = scratch.join(name);
    std::fs::write(&path, text).map_err(|source| Error::Scratch { path: path.clone(), source })?;
    Ok(path)
}

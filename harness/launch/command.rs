//! A program to be started, as data: its limits and surroundings, and the means that keep its process tree
//! together.

use crate::event::Limits;
use crate::helper::Helper;
use crate::scenario::{Process, Rlimits, User};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

crate::named::named! {
    /// The means that keep a process tree together, strongest first.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Isolation {
        /// A PID namespace (CAP_SYS_ADMIN): the kernel ends the tree with its init.
        #[default]
        PidNamespace = "pid-namespace",
        /// A PID namespace inside a user namespace with one user: needs no privilege.
        UserNamespace = "user-namespace",
        /// A subreaper that kills all descendants until none is left: needs no namespace.
        Keeper = "keeper",
    }
}

/// A program to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program, searched in `PATH` when it has no slash, and arguments.
    pub argv: Vec<String>,
    /// Added to the harness's own environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; the harness's own when `None`.
    pub directory: Option<PathBuf>,
    /// Set just before exec.
    pub limits: Limits,
    /// A temporary directory of the run, removed at the latest when the tree is empty, also after SIGKILL of
    /// the harness.
    pub scratch: Option<PathBuf>,
    /// Whether that directory is left to the harness as long as there is one: another tree comes after this.
    pub keeps_scratch: bool,
    /// The same, beside `RLIMIT_NOFILE`.
    pub rlimits: Rlimits,
    /// Whether SIGHUP is ignored; every other signal has its default disposition.
    pub ignore_hangup: bool,
    /// Whether every descriptor call of the program, and `close`, stops for a tracer (a seccomp filter).
    /// Without a tracer attached before [`Tree::start`] those calls fail with ENOSYS.
    pub trap: bool,
    /// Files and directories that the program's tree sees in place of others, in a mount namespace of its
    /// own.
    pub mounts: Vec<Mount>,
    /// Whether it becomes another user, which a user namespace that knows only one does not allow; and
    /// whether the signal that ends it goes to its children: su(1) and runuser(1) would wait two seconds
    /// after passing it on.
    pub switches_user: bool,
    /// The user that it becomes just before exec; `None`: it stays the harness's.
    pub user: Option<User>,
    /// Opened as its standard input; `None`: /dev/null.
    pub stdin: Option<PathBuf>,
    /// The program that does the launch, as `exec`.
    pub helper: Helper,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file or directory that is seen.
    pub source: PathBuf,
    /// The path at which it is seen. It must exist.
    pub target: PathBuf,
}

/// The things that launchers may use: places, not processes.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The bundled launchers, as `exec`.
    pub helper: &'a Helper,
    /// A directory of this process of this run, for configurations and pid files. Absolute.
    pub scratch: &'a Path,
}

impl Command {
    /// `argv` with a scenario process's environment and limits, in the harness's own directory.
    pub fn new(process: &Process, argv: Vec<String>, site: Site<'_>) -> Self {
        Command {
            argv,
            env: process.env.clone(),
            directory: None,
            scratch: None,
            keeps_scratch: false,
            limits: process.limits,
            rlimits: process.rlimits,
            ignore_hangup: false,
            trap: false,
            mounts: Vec::new(),
            switches_user: false,
            user: None,
            stdin: None,
            helper: site.helper.clone(),
        }
    }
}

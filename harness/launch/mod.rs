//! Starting a scenario's processes under exact limits, and ending them for certain: one file per launcher,
//! and the owned process tree.
//!
//! A launcher is data: it turns a scenario's process into a [`Command`], and starts nothing. [`Tree`] starts
//! it in a re-executed copy of this program (`lastfd exec`) and owns everything that comes of it. Never
//! connects to, reads from or waits for what it starts; that is the run's.

mod command;
mod container_like;
mod error;
mod exec;
mod nohup;
mod nohup_like;
pub mod parent;
mod runuser;
mod session;
mod shell;
mod signals;
pub mod stage;
mod su;
pub mod supervise;
mod supervisor_like;
mod supervisord;
mod systemd_like;
mod tree;
pub mod user;
mod wire;

pub use command::{Command, Isolation, Mount, Site};
pub use error::Error;
pub use tree::{Ending, ExitStatus, Killer, Tree};
pub use wire::Step;

use crate::scenario::{Launcher, Process, Session, Shell, Supervisor};

/// The facts about a launcher that are known without using it.
#[derive(Debug, Clone, Copy)]
pub struct Registration {
    /// As in scenario files and `--launcher`.
    pub name: &'static str,
    /// One line for `lastfd list`.
    pub doc: &'static str,
    /// Programs that must be installed.
    pub requires: &'static [&'static str],
    /// The launcher with the defaults of its options.
    pub with_defaults: fn() -> Launcher,
}

/// Every launcher.
pub const LAUNCHERS: &[Registration] = &[
    Registration {
        name: "exec",
        doc: "nothing between: the limits are set, then the program is executed",
        requires: &[],
        with_defaults: || Launcher::Exec,
    },
    Registration {
        name: "nohup-like",
        doc: "SIGHUP ignored and the limits inherited, as nohup does",
        requires: &[],
        with_defaults: || Launcher::NohupLike,
    },
    Registration {
        name: "supervisor-like",
        doc: "a bundled supervisor with supervisord's rules: `minfds` raises the limits it was started with, and never lowers them",
        requires: &[],
        with_defaults: || Launcher::SupervisorLike(Supervisor::default()),
    },
    Registration {
        name: "nohup",
        doc: "the real nohup(1)",
        requires: &["nohup"],
        with_defaults: || Launcher::Nohup,
    },
    Registration {
        name: "supervisord",
        doc: "the real supervisord, with a configuration written for the run",
        requires: &["supervisord"],
        with_defaults: || Launcher::Supervisord(Supervisor::default()),
    },
    Registration {
        name: "shell",
        doc: "the real /bin/sh, which sets its limits with `ulimit -Sn` and `-Hn` (options `soft` and `hard`) and stays as the parent",
        requires: &["sh"],
        with_defaults: || Launcher::Shell(Shell::default()),
    },
    Registration {
        name: "runuser",
        doc: "the real runuser(1): a PAM session of `user`; `limits-conf` and `pam-limits` give it a configuration of its own (root only)",
        requires: &["runuser"],
        with_defaults: || Launcher::Runuser(Session::default()),
    },
    Registration {
        name: "su",
        doc: "the real su(1), as runuser (root only)",
        requires: &["su"],
        with_defaults: || Launcher::Su(Session::default()),
    },
    Registration {
        name: "systemd-like",
        doc: "a bundled parent with systemd's rules: `limit-nofile`, 1024:524288 by default, or the closest that may be set",
        requires: &[],
        with_defaults: || Launcher::SystemdLike { limit_nofile: None },
    },
    Registration {
        name: "container-like",
        doc: "a bundled parent with the rules of `docker run --ulimit nofile=`: `ulimit` sets both limits, or the start is refused",
        requires: &[],
        with_defaults: || Launcher::ContainerLike { ulimit: None },
    },
];

/// The registration of a scenario's launcher.
///
/// # Panics
/// When [`LAUNCHERS`] lacks a variant, which a test rules out.
pub fn registration(launcher: &Launcher) -> &'static Registration {
    let same_kind =
        |r: &&Registration| std::mem::discriminant(&(r.with_defaults)()) == std::mem::discriminant(launcher);
    LAUNCHERS.iter().find(same_kind).expect("every launcher is registered")
}

/// The command that starts `argv` the way the process's launcher does. Writes nothing outside `site.scratch`
/// and starts nothing.
///
/// # Errors
/// [`Error::Unquotable`] and [`Error::Scratch`], from launchers that write a configuration.
pub fn command(process: &Process, argv: Vec<String>, site: Site<'_>) -> Result<Command, Error> {
    match &process.launcher {
        Launcher::Exec => exec::command(process, argv, site),
        Launcher::NohupLike => nohup_like::command(process, argv, site),
        Launcher::SupervisorLike(options) => supervisor_like::command(process, options, argv, site),
        Launcher::Nohup => nohup::command(process, argv, site),
        Launcher::Supervisord(options) => supervisord::command(process, options, argv, site),
        Launcher::Shell(options) => shell::command(process, options, argv, site),
        Launcher::Runuser(options) => runuser::command(process, options, argv, site),
        Launcher::Su(options) => su::command(process, options, argv, site),
        Launcher::SystemdLike { limit_nofile } => systemd_like::command(process, *limit_nofile, argv, site),
        Launcher::ContainerLike { ulimit } => container_like::command(process, *ulimit, argv, site),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_names_are_those_of_scenario_files() {
        for registered in LAUNCHERS {
            let json = serde_json::to_value((registered.with_defaults)()).unwrap();
            let name = json.as_str().or_else(|| json.as_object()?.keys().next().map(String::as_str));
            assert_eq!(name, Some(registered.name));
            assert_eq!(registration(&(registered.with_defaults)()).name, registered.name);
        }
        assert_eq!(LAUNCHERS.len(), 10);
    }
}

//! A process of a run: its program, its launcher, its limits and where it is started.

use super::serve::Serve;
use crate::event::Limits;
use crate::scenario::launcher_options::{Session, Shell};
use crate::scenario::setting::Setting;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One process of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The program to run.
    pub program: Program,
    /// The launcher that starts it.
    pub launcher: Launcher,
    /// The descriptor limits that the launcher itself starts with.
    pub limits: Limits,
    /// Program names, or `python3:module`, that must be there.
    pub requires: Vec<String>,
    /// The port that `{port}` stands for; `None`: a free one is chosen, or found by itself.
    pub port: Option<u16>,
    /// Variables that are added to its environment.
    pub env: BTreeMap<String, String>,
    /// Longest time until it listens, seconds.
    pub ready_within_s: f64,
    /// Time from TERM to KILL, seconds.
    pub grace_s: f64,
    /// The signal that a client waits for before it calls, without SIG; `None`: it begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    /// Other limits that the launcher itself is started with.
    #[serde(default, skip_serializing_if = "Rlimits::is_empty")]
    pub rlimits: Rlimits,
    /// The setting that it starts in.
    #[serde(default, skip_serializing_if = "Setting::is_plain")]
    pub setting: Setting,
}

impl Process {
    /// Words in which placeholders may stand.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let command = match &self.program {
            Program::Command(words) => words.clone(),
            Program::Serve(serve) => serve.arguments(),
            // Its calls may be over TLS.
            Program::Call(_) => vec!["{certificate}".into()],
        };
        command.into_iter().chain(self.env.values().cloned()).chain(self.setting.words().cloned())
    }

    /// Whether its command or environment has the port of the process of this name.
    pub(super) fn names(&self, process: &str) -> bool {
        let ports = crate::scenario::placeholder::OF_ANOTHER.map(|port| format!("{{{process}.{port}}}"));
        self.words().any(|word| ports.iter().any(|port| word.contains(port)))
    }
}

/// Other resource limits, soft and hard alike (setrlimit(2)). Default: as inherited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rlimits {
    /// `RLIMIT_NPROC`: all processes and threads of the user together. It does not limit root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nproc: Option<u64>,
    /// `RLIMIT_AS`: address space of a process, in bytes.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub address_space: Option<u64>,
}

impl Rlimits {
    /// Whether all are as inherited.
    pub fn is_empty(&self) -> bool {
        *self == Rlimits::default()
    }

    /// Sets one as a command line says it, `nproc=40` or `as=268435456`.
    ///
    /// # Errors
    /// A message says why the text is no limit.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let wanted = || format!("`{text}` is not nproc=TASKS or as=BYTES");
        let (name, number) = text.split_once('=').ok_or_else(wanted)?;
        let number = Some(number.parse().map_err(|_| wanted())?);
        match name {
            "nproc" => self.nproc = number,
            "as" => self.address_space = number,
            _ => return Err(wanted()),
        }
        Ok(())
    }
}

/// The program of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Program and arguments, with placeholders (`run::Places::fill`).
    Command(Vec<String>),
    /// A bundled server: `lastfd serve KIND …`.
    Serve(Serve),
    /// The bundled caller, which makes the calls of the workload of this name under this process's launcher
    /// and limits.
    Call(String),
}

/// The launcher of a process, which sets its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Launcher {
    /// Sets the limits and executes the program, with nothing between.
    Exec,
    /// SIGHUP ignored, output to nohup.out where it would go to a terminal, limits inherited.
    NohupLike,
    /// A bundled supervisor with supervisord's rules.
    SupervisorLike(Supervisor),
    /// The real nohup(1).
    Nohup,
    /// The real supervisord, with a configuration written for the run.
    Supervisord(Supervisor),
    /// The real /bin/sh, with `ulimit`.
    Shell(Shell),
    /// The real runuser(1), with its PAM session.
    Runuser(Session),
    /// The real su(1), with its PAM session.
    Su(Session),
    /// A bundled parent with the rules of systemd's `LimitNOFILE=`.
    SystemdLike {
        /// `None`: systemd's own default.
        limit_nofile: Option<Limits>,
    },
    /// A bundled parent with the rules of `docker run --ulimit nofile=`.
    ContainerLike {
        /// `None`: as inherited.
        ulimit: Option<Limits>,
    },
}

/// Options of a supervisor, real or bundled, with supervisord's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Supervisor {
    /// Descriptors that must be available. It only raises limits, never lowers them.
    pub minfds: u64,
    /// Start it again when it exits.
    pub autorestart: bool,
    /// How many times in a row a start may fail.
    pub startretries: u32,
    /// The signal that ends the program.
    #[schemars(extend("enum" = ["TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2"]))]
    pub stopsignal: String,
    /// Seconds from the stop signal to SIGKILL.
    #[schemars(range(min = 0))]
    pub stopwaitsecs: f64,
}

impl Default for Supervisor {
    /// supervisord's own defaults (its manual, sections `[supervisord]` and `[program:x]`), but no restart.
    fn default() -> Self {
        Supervisor {
            minfds: 1024,
            autorestart: false,
            startretries: 3,
            stopsignal: "TERM".into(),
            stopwaitsecs: 10.0,
        }
    }
}

impl Process {
    /// A bundled server under these limits, which is all that is asked of it.
    pub fn serving(serve: Serve, limits: Limits) -> Process {
        Process {
            program: Program::Serve(serve),
            launcher: Launcher::Exec,
            limits,
            requires: Vec::new(),
            port: None,
            env: BTreeMap::new(),
            ready_within_s: 30.0,
            grace_s: 2.0,
            begin: None,
            rlimits: Rlimits::default(),
            setting: Setting::default(),
        }
    }
}

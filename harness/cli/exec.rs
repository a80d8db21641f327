//! `lastfd exec` (hidden): the steps of a launch that run in processes of their own. Not for people.

use crate::event::Limits;
use crate::helper::Helper;
use crate::launch::user::Ids;
use crate::launch::{Isolation, Mount, parent, stage, supervise};
use crate::observe;
use crate::run::{self, inside};
use crate::scenario::{Rlimits, soft_hard};
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The hidden command's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// The owned process tree: isolation, limits, exec.
    Stage {
        #[arg(long)]
        isolation: Isolation,
        #[arg(long)]
        soft: u64,
        #[arg(long)]
        hard: u64,
        #[arg(long)]
        nproc: Option<u64>,
        #[arg(long)]
        address_space: Option<u64>,
        #[arg(long)]
        directory: Option<PathBuf>,
        #[arg(long)]
        scratch: Option<PathBuf>,
        #[arg(long)]
        keep_scratch: bool,
        /// User, group and other groups, by their numbers.
        #[arg(long)]
        user: Option<Ids>,
        #[arg(long)]
        stdin: Option<PathBuf>,
        /// Source and target, in turn.
        #[arg(long, num_args = 2)]
        mount: Vec<PathBuf>,
        #[arg(long)]
        ignore_hangup: bool,
        #[arg(long)]
        trap: bool,
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Opens and closes descriptors as fast as it can, and says how fast.
    Cost,
    /// A run in a network namespace of its own: its plan on standard input, what it reports on standard
    /// output.
    Inside {
        #[arg(long)]
        observer: observe::Choice,
        #[arg(long)]
        isolation: Isolation,
        #[arg(long)]
        sampled: u64,
        #[arg(long)]
        exe: PathBuf,
        /// It links the library: it is not the `lastfd` program.
        #[arg(long)]
        links: bool,
        #[arg(long)]
        redact: bool,
        #[arg(long)]
        events: Option<PathBuf>,
    },
    /// What a network namespace says to the sysctls on standard input.
    Sysctls,
    /// A supervisor with supervisord's rules.
    Supervise {
        #[arg(long)]
        minfds: u64,
        #[arg(long)]
        autorestart: bool,
        #[arg(long)]
        startretries: u32,
        #[arg(long, value_parser = stop_signal)]
        stopsignal: Signal,
        #[arg(long, value_parser = seconds)]
        stopwaitsecs: Duration,
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// A service under systemd's rules.
    SystemdLike {
        #[arg(long, value_parser = soft_hard)]
        limit_nofile: Option<Limits>,
        #[arg(long)]
        keep_env: Vec<String>,
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// A container under docker's rules.
    ContainerLike {
        #[arg(long, value_parser = soft_hard)]
        ulimit: Option<Limits>,
        #[arg(long)]
        keep_env: Vec<String>,
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
}

fn stop_signal(name: &str) -> Result<Signal, String> {
    supervise::signal_named(name)
        .ok_or_else(|| "expected TERM, HUP, INT, QUIT, KILL, USR1 or USR2".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map_err(|e| format!("{e}"))
        .and_then(|s| Duration::try_from_secs_f64(s).map_err(|e| e.to_string()))
}

/// Runs the step; the process's exit code. Must be called while the process has one thread.
pub fn main(args: Args) -> i32 {
    match args.step {
        Step::Stage {
            isolation,
            soft,
            hard,
            nproc,
            address_space,
            directory,
            scratch,
            keep_scratch,
            user,
            stdin,
            mount,
            ignore_hangup,
            trap,
            argv,
        } => {
            let mounts = mount
                .chunks_exact(2)
                .map(|pair| Mount { source: pair[0].clone(), target: pair[1].clone() })
                .collect();
            let (limits, rlimits) = (Limits { soft, hard }, Rlimits { nproc, address_space });
            stage::stage(&stage::Options {
                isolation,
                limits,
                rlimits,
                directory,
                scratch,
                keeps_scratch: keep_scratch,
                user,
                stdin,
                mounts,
                ignore_hangup,
                trap,
                argv,
            })
        }
        Step::Cost => i32::from(crate::run::cost::subject().is_err()),
        Step::Inside { observer, isolation, sampled, exe, links, redact, events } => {
            let helper = if links { Helper::linking(exe) } else { Helper::lastfd(exe) };
            let options = run::Options::with(helper);
            inside::inside(&run::Options { observer, isolation, redact, events, sampled, ..options })
        }
        Step::Sysctls => inside::sysctls(),
        Step::Supervise { minfds, autorestart, startretries, stopsignal, stopwaitsecs: stopwait, argv } => {
            supervise::supervise(&supervise::Options {
                minfds,
                autorestart,
                startretries,
                stopsignal,
                stopwait,
                argv,
            })
        }
        Step::SystemdLike { limit_nofile: limits, keep_env, argv } => {
            parent::run(&parent::Options { rules: parent::Rules::Systemd, limits, keep_env, argv })
        }
        Step::ContainerLike { ulimit: limits, keep_env, argv } => {
            parent::run(&parent::Options { rules: parent::Rules::Container, limits, keep_env, argv })
        }
    }
}

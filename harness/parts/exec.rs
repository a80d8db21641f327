//! `exec`: the steps of a launch that run in processes of their own.

use crate::event::Limits;
use crate::helper::Helper;
use crate::launch::{Isolation, Mount, parent, stage, supervise};
use crate::observe;
use crate::run::{self, inside};
use crate::scenario::{Rlimits, soft_hard};
use lexopt::Parser;
use lexopt::prelude::{Long, Value, ValueExt};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Runs a step; returns the process's exit code. Must be called while the process has one thread.
///
/// # Errors
/// Its options are not those that a run gives.
pub(super) fn main(words: impl Iterator<Item = OsString>) -> Result<u8, String> {
    step(words).map(|code| code as u8).map_err(|e| format!("exec: {e}"))
}

fn step(mut words: impl Iterator<Item = OsString>) -> Result<i32, lexopt::Error> {
    let name = words.next().ok_or("which step?")?;
    let words = Parser::from_args(words);
    Ok(match name.to_str().unwrap_or_default() {
        "stage" => stage::stage(&staged(words)?),
        // Opens and closes descriptors as fast as it can, and says how fast.
        "cost" => i32::from(run::cost::subject().is_err()),
        // A run in a network namespace of its own: its plan on standard input, its reports on standard
        // output.
        "inside" => inside::inside(&from_inside(words)?),
        // The answer of a network namespace to the sysctls on standard input.
        "sysctls" => inside::sysctls(),
        // A supervisor with supervisord's rules.
        "supervise" => supervise::supervise(&supervised(words)?),
        // A service under systemd's rules, and a container under docker's.
        "systemd-like" => parent::run(&under(words, parent::Rules::Systemd, "limit-nofile")?),
        "container-like" => parent::run(&under(words, parent::Rules::Container, "ulimit")?),
        _ => return Err("no step of a launch is called so".into()),
    })
}

/// The owned process tree: isolation, limits, exec.
fn staged(mut words: Parser) -> Result<stage::Options, lexopt::Error> {
    let mut options = stage::Options {
        isolation: Isolation::default(),
        limits: Limits { soft: 0, hard: 0 },
        rlimits: Rlimits::default(),
        directory: None,
        mounts: Vec::new(),
        ignore_hangup: false,
        trap: false,
        scratch: None,
        keeps_scratch: false,
        user: None,
        stdin: None,
        argv: Vec::new(),
    };
    while let Some(word) = words.next()? {
        match word {
            Long("isolation") => options.isolation = words.value()?.parse()?,
            Long("soft") => options.limits.soft = words.value()?.parse()?,
            Long("hard") => options.limits.hard = words.value()?.parse()?,
            Long("nproc") => options.rlimits.nproc = Some(words.value()?.parse()?),
            Long("address-space") => options.rlimits.address_space = Some(words.value()?.parse()?),
            Long("directory") => options.directory = Some(words.value()?.into()),
            Long("scratch") => options.scratch = Some(words.value()?.into()),
            Long("keep-scratch") => options.keeps_scratch = true,
            // User, group and other groups, by their numbers.
            Long("user") => options.user = Some(words.value()?.parse()?),
            Long("stdin") => options.stdin = Some(words.value()?.into()),
            Long("mount") => {
                let (source, target) = (words.value()?.into(), words.value()?.into());
                options.mounts.push(Mount { source, target });
            }
            Long("ignore-hangup") => options.ignore_hangup = true,
            Long("trap") => options.trap = true,
            Value(word) => options.argv.push(word),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn from_inside(mut words: Parser) -> Result<run::Options, lexopt::Error> {
    let (mut exe, mut links) = (PathBuf::new(), false);
    let mut options = run::Options::with(Helper::lastfd(""));
    while let Some(word) = words.next()? {
        match word {
            Long("observer") => options.observer = words.value()?.parse::<observe::Choice>()?,
            Long("isolation") => options.isolation = words.value()?.parse()?,
            Long("sampled") => options.sampled = words.value()?.parse()?,
            Long("exe") => exe = words.value()?.into(),
            // It links the library: it is not the `lastfd` program.
            Long("links") => links = true,
            Long("redact") => options.redact = true,
            Long("events") => options.events = Some(words.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    let helper = if links { Helper::linking(exe) } else { Helper::lastfd(exe) };
    let (observer, isolation) = (options.observer, options.isolation);
    let (redact, events, sampled) = (options.redact, options.events, options.sampled);
    Ok(run::Options { observer, isolation, redact, events, sampled, ..run::Options::with(helper) })
}

fn supervised(mut words: Parser) -> Result<supervise::Options, lexopt::Error> {
    let mut options = supervise::Options {
        minfds: 0,
        autorestart: false,
        startretries: 0,
        stopsignal: rustix::process::Signal::TERM,
        stopwait: Duration::ZERO,
        argv: Vec::new(),
    };
    while let Some(word) = words.next()? {
        match word {
            Long("minfds") => options.minfds = words.value()?.parse()?,
            Long("autorestart") => options.autorestart = true,
            Long("startretries") => options.startretries = words.value()?.parse()?,
            Long("stopsignal") => {
                let named = |name: &str| supervise::signal_named(name).ok_or("no signal is called so");
                options.stopsignal = words.value()?.parse_with(named)?;
            }
            Long("stopwaitsecs") => {
                let seconds = words.value()?.parse()?;
                options.stopwait = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
            }
            Value(word) => options.argv.push(word),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// A parent of ours with these rules; `limits`: its option for them.
fn under(mut words: Parser, rules: parent::Rules, limits: &str) -> Result<parent::Options, lexopt::Error> {
    let mut options = parent::Options { rules, limits: None, keep_env: Vec::new(), argv: Vec::new() };
    while let Some(word) = words.next()? {
        match word {
            Long(name) if name == limits => options.limits = Some(words.value()?.parse_with(soft_hard)?),
            Long("keep-env") => options.keep_env.push(words.value()?.string()?),
            Value(word) => options.argv.push(word),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

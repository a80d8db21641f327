//! A run with sysctls: all of it happens in a process of its own (`lastfd exec inside`) that has entered a
//! new network namespace before it had a second thread, so that whatever it starts, looks up or reads is of
//! that namespace. Here are both sides: the caller's, which passes on what the run reports and ends it by
//! closing its standard input, and the process's own. The host's sysctls are never written.

use super::error::Error;
use super::live::Step;
use super::options::{Options, Run};
use super::phases::made;
use crate::event::{Event, Sysctl, What, Writer};
use crate::helper::Helper;
use crate::scenario::Plan;
use crate::scenario::sysctl::{REMOVED, Trial};
use crate::sys::netns::{self, OwnNetwork};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often the caller looks whether it was interrupted.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines that may wait for the caller.
const WAITING: usize = 1024;

/// A line of the process that makes the run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// A step of the run.
    Step(Step),
    /// One event of the log, when the run is over.
    Event(Event),
    /// Last: why it ended early, if it did.
    Ended(Option<Why>),
}

/// An [`Error`] on its way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Why {
    NotStarted(String),
    Inconclusive(String),
    Interrupted,
    Lost(String),
    Fault(String),
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        match error {
            Error::NotStarted(why) => Why::NotStarted(why),
            Error::Inconclusive(why) => Why::Inconclusive(why),
            Error::Interrupted => Why::Interrupted,
            // The caller has tried the log's path before.
            Error::Log(error) => Why::Fault(error.to_string()),
            Error::Lost(why) => Why::Lost(why),
            Error::Fault(why) => Why::Fault(why),
        }
    }
}

impl From<Why> for Error {
    fn from(why: Why) -> Self {
        match why {
            Why::NotStarted(why) => Error::NotStarted(why),
            Why::Inconclusive(why) => Error::Inconclusive(why),
            Why::Interrupted => Error::Interrupted,
            Why::Lost(why) => Error::Lost(why),
            Why::Fault(why) => Error::Fault(why),
        }
    }
}

/// Makes the run in a process of its own.
///
/// # Errors
/// Only the event log's file, as [`super::run`].
pub(super) fn run(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
) -> Result<Run, Error> {
    if let Some(path) = &options.events {
        drop(Writer::create(path)?);
    }
    let mut command = step(&options.helper, "inside");
    command.args(["--observer", options.observer.name(), "--isolation", options.isolation.name()]);
    command.args(options.helper.links().then_some("--links")).arg("--exe").arg(options.helper.exe());
    command.args(options.redact.then_some("--redact"));
    command.args(["--sampled", &options.sampled.to_string()]);
    if let Some(path) = &options.events {
        command.arg("--events").arg(path);
    }
    let told = plan.redacted(&plan.redaction(options.redact));
    let mut inside = match Inside::start(command, plan) {
        Ok(inside) => inside,
        Err(error) => {
            return Ok(Run::refused(
                &told,
                Error::Fault(format!("the run's process did not start: {error}")),
            ));
        }
    };
    let mut events = Vec::new();
    loop {
        if interrupted.load(Ordering::Relaxed) {
            inside.interrupt();
        }
        match inside.words.recv_timeout(LOOK_EVERY) {
            Ok(Word::Step(step)) => progress(&step),
            Ok(Word::Event(event)) => events.push(event),
            Ok(Word::Ended(why)) => return Ok(Run { events, error: why.map(Error::from) }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Run::refused(
                    &told,
                    Error::Fault("the run's process ended without a word; standard error may say why".into()),
                ));
            }
        }
    }
}

/// Asks a network namespace made for the purpose which sysctls it has, and whether it takes these values.
///
/// # Errors
/// Why there is none.
pub fn try_sysctls(helper: &Helper, asked: &[(String, String)]) -> Result<Trial, String> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut child = step(helper, "sysctls").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().expect("piped above");
        stdin.write_all(&serde_json::to_vec(asked)?)?;
        drop(stdin);
        Ok(child.wait_with_output()?.stdout)
    };
    let answer = ask().map_err(|e| e.to_string())?;
    serde_json::from_slice(&answer)
        .unwrap_or_else(|_| Err("the process that tries sysctls gave no answer".into()))
}

fn step(helper: &Helper, name: &str) -> Command {
    let mut command = helper.command(&["exec", name]);
    command.arg0("lastfd");
    command
}

/// The process that makes a run. Dropping it ends the run and waits for that.
struct Inside {
    process: Child,
    words: Receiver<Word>,
}

impl Inside {
    fn start(mut command: Command, plan: &Plan) -> std::io::Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().expect("piped above");
        let (sender, words) = sync_channel(WAITING);
        let mut inside = Inside { process, words };
        std::thread::Builder::new()
            .name("inside".into())
            .spawn(move || listen(stdout, |word| sender.send(word).is_ok()))?;
        let mut line = serde_json::to_vec(plan)?;
        line.push(b'\n');
        inside.process.stdin.as_mut().expect("piped above").write_all(&line)?;
        Ok(inside)
    }

    /// The end of its standard input interrupts it.
    fn interrupt(&mut self) {
        drop(self.process.stdin.take());
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.interrupt();
        // It ends by itself: every wait of a run has a deadline and looks for an interrupt.
        let _ = self.process.wait();
    }
}

fn listen(stdout: ChildStdout, mut take: impl FnMut(Word) -> bool) {
    for line in BufReader::new(stdout).split(b'\n') {
        let Some(word) = line.ok().and_then(|line| serde_json::from_slice(&line).ok()) else { return };
        if !take(word) {
            return;
        }
    }
}

/// `lastfd exec inside`: enters the namespace, sets the sysctls, makes the run. Must be called while the
/// process has one thread.
pub fn inside(options: &Options) -> i32 {
    // Ctrl-C is the caller's, which then ends this process in order.
    let _ = rustix::process::setsid();
    let mut line = String::new();
    let plan: Option<Plan> = match std::io::stdin().read_line(&mut line) {
        Ok(_) => serde_json::from_str(&line).ok(),
        Err(_) => None,
    };
    let Some(plan) = plan else { return 70 };
    let entered = OwnNetwork::enter();
    // After the namespaces, which may clear it. A caller that is gone already has closed the standard input.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let first = match entered {
        Ok(network) => set(&network, &plan.sysctls),
        Err(error) => Err(Error::Inconclusive(refused(&error))),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        flag.store(true, Ordering::Relaxed);
    });
    let mut out = std::io::stdout().lock();
    let mut say = |word: &Word| {
        // A caller that is gone needs no message.
        let _ = serde_json::to_writer(&mut out, word)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"));
        let _ = out.flush();
    };
    let made =
        made(&plan, options, &interrupted, &mut |step| say(&Word::Step(step.clone())), first.map(Some));
    let (events, error) = match made {
        Ok(run) => (run.events, run.error),
        Err(error) => (Vec::new(), Some(error)),
    };
    events.into_iter().for_each(|event| say(&Word::Event(event)));
    say(&Word::Ended(error.map(Why::from)));
    0
}

/// `lastfd exec sysctls`: answers with a `Result<Trial, String>`. Must be called while the process has one
/// thread.
pub fn sysctls() -> i32 {
    let asked: Vec<(String, String)> = serde_json::from_reader(std::io::stdin()).unwrap_or_default();
    let of_the_host =
        asked.iter().map(|(name, _)| name.clone()).filter(|name| netns::exists(name)).collect::<Vec<_>>();
    let answer = OwnNetwork::enter().map_err(|error| refused(&error)).and_then(|network| {
        let known = network.sysctls().map_err(|error| format!("/proc/sys/net: {error}"))?;
        let of_the_host = of_the_host.into_iter().filter(|name| !known.contains_key(name)).collect();
        let mut trial = Trial { known, of_the_host, refused: Vec::new() };
        for (name, value) in asked.into_iter().filter(|(name, _)| trial.known.get(name) == Some(&true)) {
            if let Err(error) = network.set(&name, &value) {
                trial.refused.push((name, value, error.to_string()));
            }
        }
        Ok(trial)
    });
    i32::from(serde_json::to_writer(std::io::stdout(), &answer).is_err())
}

/// The reason why sysctls are impossible here, and the way out.
fn refused(error: &netns::Error) -> String {
    format!(
        "its sysctls need a network namespace of its own: {error} (`lastfd doctor` says how to allow one)"
    )
}

/// Sets them, each checked to be of this namespace alone, and reads them back.
fn set(network: &OwnNetwork, asked: &BTreeMap<String, String>) -> Result<What, Error> {
    let known = network.sysctls()?;
    let mut set = Vec::new();
    for (name, asked) in asked {
        let removed =
            REMOVED.iter().find(|(removed, _)| removed == name).filter(|_| !known.contains_key(name));
        if let Some((_, note)) = removed {
            set.push(Sysctl {
                name: name.clone(),
                asked: asked.clone(),
                before: None,
                in_force: None,
                note: Some((*note).into()),
            });
            continue;
        }
        if known.get(name) != Some(&true) {
            return Err(Error::Inconclusive(format!(
                "`{name}` is not per network namespace on this kernel, so it is not set"
            )));
        }
        let before = network.get(name).ok();
        let refused =
            |error| Error::Inconclusive(format!("the kernel does not take {asked:?} for `{name}`: {error}"));
        network.set(name, asked).map_err(refused)?;
        let in_force = network.get(name).ok();
        let note = match &in_force {
            Some(value) if value == asked => None,
            Some(_) => Some("the kernel made another value of it".into()),
            None => Some("it was set, and cannot be read back".into()),
        };
        set.push(Sysctl { name: name.clone(), asked: asked.clone(), before, in_force, note });
    }
    Ok(What::Sysctls { namespace: network.name(), set })
}

//! Worker processes, as prefork servers have: each has its own limit and its own count. They share one
//! listener, or have one each on the same port.
//!
//! The master binds, starts its own binary again for each worker with the bound socket as standard input, and
//! relays what the workers print. It holds no connection and never listens itself: the workers do when they
//! are at rest. TERM and INT are passed on; a worker is killed by the kernel when its master ends in any
//! other way. A worker that ends is replaced under the policy `worker-restart` only, at once and however
//! often.

use crate::accept::Policy;
use crate::args::Args;
use crate::lines::{complain, say};
use crate::listener::Listener;
use crate::start::{READY, StartError, announcement, wait_for_signal};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The master's view of its workers.
struct Crew {
    /// Not yet reaped; a worker is signalled and reaped only under the lock, so its id is never another's.
    running: Vec<Child>,
    /// Do not accept yet.
    starting: u32,
    /// The highest exit code so far; 1 for one that was killed.
    worst: u8,
    address: String,
    /// The address was said.
    announced: bool,
    /// A worker that ends is replaced.
    restarts: bool,
}

/// Starts the workers and stays until all of them have ended; does not return but for errors.
pub(crate) fn run(args: &Args, listener: Listener, signals: SigSet) -> Result<Infallible, StartError> {
    let address = listener.address().map_err(StartError::NotAListener)?;
    let mut running = Vec::new();
    let mut outputs = Vec::new();
    for _ in 0..args.workers() {
        // On an error the master ends, and with it, by the kernel, the workers that were started.
        let mut worker = start(&listener)?;
        outputs.push((worker.id(), worker.stdout.take().expect("its output is piped")));
        running.push(worker);
    }
    let restarts = args.accept == Policy::WorkerRestart;
    let crew = Arc::new(Mutex::new(Crew {
        running,
        starting: args.workers(),
        worst: 0,
        address,
        announced: false,
        restarts,
    }));
    let listener = Arc::new(listener);
    for (id, output) in outputs {
        let (crew, listener) = (crew.clone(), listener.clone());
        let keep = move || {
            let mut next = Some((id, output));
            while let Some((id, output)) = next {
                next = relay(id, output, &listener, &crew);
            }
        };
        std::thread::Builder::new().spawn(keep).map_err(|source| StartError::Worker { source })?;
    }
    loop {
        wait_for_signal(&signals);
        let mut crew = crew.lock().expect("no relay panics");
        crew.restarts = false;
        terminate(&crew);
    }
}

/// Starts this binary again with the same arguments, as a worker.
fn start(listener: &Listener) -> Result<Child, StartError> {
    let socket = listener.as_fd().try_clone_to_owned().map_err(|source| StartError::Worker { source })?;
    let mut own_arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = own_arguments.next() {
        command.arg0(name);
    }
    command
        .args(own_arguments)
        .arg(format!("--worker={}", std::process::id()))
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| StartError::Worker { source })
}

/// Passes on what a worker prints, and reaps it at the end of its output; returns the one in its place, if
/// there is any. The last one ends the master.
fn relay(
    id: u32,
    output: ChildStdout,
    listener: &Listener,
    crew: &Mutex<Crew>,
) -> Option<(u32, ChildStdout)> {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line == READY {
            let mut crew = crew.lock().expect("no relay panics");
            // One that takes another's place tells nothing new.
            crew.starting = crew.starting.saturating_sub(1);
            if crew.starting == 0 && !crew.announced {
                crew.announced = true;
                say(&announcement(&crew.address));
            }
        } else {
            say(&line);
        }
    }
    let mut crew = crew.lock().expect("no relay panics");
    let index = crew.running.iter().position(|worker| worker.id() == id).expect("reaped once");
    let mut worker = crew.running.swap_remove(index);
    // Its output is closed because it is ending: this wait is short.
    let code =
        worker.wait().ok().and_then(|status| status.code()).map_or(1, |code| u8::try_from(code).unwrap_or(1));
    crew.worst = crew.worst.max(code);
    if crew.starting > 0 && code != 0 {
        // Workers that cannot start leave a server that was never ready: it ends.
        terminate(&crew);
    } else if crew.restarts {
        match start(listener) {
            Ok(mut worker) => {
                let output = worker.stdout.take().expect("its output is piped");
                let id = worker.id();
                crew.running.push(worker);
                return Some((id, output));
            }
            Err(error) => complain(format_args!("{error}")),
        }
    }
    if crew.running.is_empty() {
        std::process::exit(i32::from(crew.worst));
    }
    None
}

/// TERM to every worker that still runs.
fn terminate(crew: &Crew) {
    for worker in &crew.running {
        let _ = kill(Pid::from_raw(worker.id().cast_signed()), Signal::SIGTERM);
    }
}

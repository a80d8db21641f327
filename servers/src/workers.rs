//! Worker processes that share one listener, as prefork servers do: each has its own limit and its own count.
//!
//! The master binds, starts its own binary again for each worker with the listener as standard input, and relays what the
//! workers print. It holds no connection and never listens itself: the workers do when they are at rest. TERM and INT are
//! passed on; a worker is killed by the kernel when its master ends in any other way. A worker that ends is not replaced.

use crate::args::Args;
use crate::lines::say;
use crate::listener::Listener;
use crate::process::{READY, StartError, announcement, wait_for_signal};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

/// What the master knows of its workers.
struct Crew {
    /// Not yet reaped; a worker is signalled and reaped only under the lock, so its id is never another's.
    running: Vec<Child>,
    /// Do not accept yet.
    starting: u32,
    /// The highest exit code so far; 1 for one that was killed.
    worst: u8,
    address: SocketAddr,
}

/// Starts the workers and stays until all of them have ended; does not return but for errors.
pub(crate) fn run(args: &Args, listener: &Listener, signals: SigSet) -> Result<ExitCode, StartError> {
    let address = listener.address().map_err(StartError::NotAListener)?;
    let mut running = Vec::new();
    let mut outputs = Vec::new();
    for _ in 0..args.workers {
        // On an error the master ends, and with it, by the kernel, the workers that were started.
        let mut worker = start(listener)?;
        outputs.push((worker.id(), worker.stdout.take().expect("its output is piped")));
        running.push(worker);
    }
    let crew = Arc::new(Mutex::new(Crew { running, starting: args.workers, worst: 0, address }));
    for (id, output) in outputs {
        let crew = crew.clone();
        std::thread::Builder::new().spawn(move || relay(id, output, &crew)).map_err(|source| StartError::Worker { source })?;
    }
    loop {
        wait_for_signal(&signals);
        terminate(&crew.lock().expect("no relay panics"));
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

/// Passes on what a worker prints, and reaps it at the end of its output; the last one ends the master.
fn relay(id: u32, output: ChildStdout, crew: &Mutex<Crew>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line == READY {
            let mut crew = crew.lock().expect("no relay panics");
            crew.starting -= 1;
            if crew.starting == 0 {
                say(&announcement(crew.address));
            }
        } else {
            say(&line);
        }
    }
    let mut crew = crew.lock().expect("no relay panics");
    let index = crew.running.iter().position(|worker| worker.id() == id).expect("reaped once");
    let mut worker = crew.running.swap_remove(index);
    // Its output is closed because it is ending: this wait is short.
    let code = worker.wait().ok().and_then(|status| status.code()).map_or(1, |code| u8::try_from(code).unwrap_or(1));
    crew.worst = crew.worst.max(code);
    if crew.starting > 0 && code != 0 {
        // Workers that cannot start leave a server that was never ready: it ends.
        terminate(&crew);
    }
    if crew.running.is_empty() {
        std::process::exit(i32::from(crew.worst));
    }
}

/// TERM to every worker that still runs.
fn terminate(crew: &Crew) {
    for worker in &crew.running {
        let _ = kill(Pid::from_raw(worker.id().cast_signed()), Signal::SIGTERM);
    }
}

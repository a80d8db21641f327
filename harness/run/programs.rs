//! Clients that are programs of the user's own: their driver is started in a tree that the run owns, so that
//! whatever they start ends with the run. Room for them is looked for first: what this machine lacks is never
//! the subject's limit.

use super::error::Error;
use super::options::Options;
use crate::drive::protocol::Setup;
use crate::drive::{Fleet, clients_per_driver};
use crate::event::{Event, Limits};
use crate::launch::{Command, Isolation, Tree};
use crate::limits::{budget, resources};
use crate::scenario::Rlimits;
use crate::sys::address::Address;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name of the socket at which their driver meets the run, in a folder of its own.
const MEETING: &str = "driver.sock";

/// How often it is looked for until it has come.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// It is started within this.
const MET_WITHIN: Duration = Duration::from_secs(20);

/// Descriptors of the driver for each program: its output, and its end.
const DESCRIPTORS_EACH: u64 = 2;

/// Tasks that are left to everybody else.
const TASKS_LEFT: u64 = 64;

/// The tree of the programs of one workload.
#[derive(Debug)]
pub struct Programs {
    /// Where one program is all clients, nobody can send a single one more: a client that only connects is
    /// sent in its place.
    pub prober: Option<Fleet>,
    _tree: Tree,
    _scratch: TempDir,
}

/// Starts the driver of the programs of one workload in this folder; `processes`: so many of them at least.
///
/// # Errors
/// This machine has no room for so many; the driver cannot be started.
pub(super) fn start(
    setup: &Setup,
    processes: u32,
    directory: &Path,
    options: &Options,
    sink: &Sender<Vec<Event>>,
) -> Result<(Fleet, Programs), Error> {
    let no_tree = |e: String| Error::Inconclusive(format!("the client programs have no driver: {e}"));
    if matches!(setup.target, Address::Unix(_)) {
        let why = "client programs are watched at a port, and the server listens on a Unix socket only";
        return Err(Error::Inconclusive(why.into()));
    }
    let hard = budget::raise_own().hard;
    has_room(processes, hard)?;
    let scratch = tempfile::Builder::new().prefix("lastfd-").tempdir().map_err(|e| no_tree(e.to_string()))?;
    let meeting = scratch.path().join(MEETING);
    let listener = UnixListener::bind(&meeting).map_err(|e| no_tree(e.to_string()))?;
    let command = Command {
        argv: options.helper.argv(&["drive", "--at", &meeting.to_string_lossy()]),
        env: Default::default(),
        directory: Some(directory.to_path_buf()),
        limits: Limits { soft: hard, hard },
        scratch: Some(scratch.path().to_path_buf()),
        keeps_scratch: false,
        rlimits: Rlimits::default(),
        ignore_hangup: false,
        trap: false,
        mounts: Vec::new(),
        switches_user: false,
        user: None,
        stdin: None,
        helper: options.helper.clone(),
    };
    // It looks into its programs by their process ids, which a namespace would change.
    let mut tree = Tree::prepare(&command, Isolation::Keeper).map_err(|e| no_tree(e.to_string()))?;
    tree.start().map_err(|e| no_tree(e.to_string()))?;
    let stream = met(&listener, &tree)?;
    let fleet =
        Fleet::over(stream, tree.program(), setup, sink.clone()).map_err(|e| no_tree(e.to_string()))?;
    Ok((fleet, Programs { prober: None, _tree: tree, _scratch: scratch }))
}

/// Whether so many programs fit beside everything else on this machine.
fn has_room(clients: u32, hard: u64) -> Result<(), Error> {
    let clients = u64::from(clients);
    let watched = u64::from(clients_per_driver(hard).map_err(|e| Error::Inconclusive(e.to_string()))?)
        / DESCRIPTORS_EACH;
    if clients > watched {
        return Err(Error::Inconclusive(format!(
            "{clients} client programs need {DESCRIPTORS_EACH} descriptors each, and under the hard limit of {hard} there is room for \
             {watched}: lower `clients`"
        )));
    }
    let used =
        resources::read_of(std::process::id() as i32, 1, &resources::Groups::of(std::process::id() as i32));
    let bounds = [used.user_tasks, used.group_tasks, used.host_tasks];
    let left = bounds.into_iter().flatten().map(|bound| bound.left()).min().unwrap_or(u64::MAX);
    if clients > left.saturating_sub(TASKS_LEFT) {
        return Err(Error::Inconclusive(format!(
            "{clients} client programs are {clients} processes, and {left} more fit on this machine: lower `clients`"
        )));
    }
    Ok(())
}

/// The driver's connection.
fn met(listener: &UnixListener, tree: &Tree) -> Result<UnixStream, Error> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + MET_WITHIN;
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            return Ok(stream);
        }
        if tree.wait_gone(LOOK_EVERY) || Instant::now() > deadline {
            return Err(Error::Inconclusive("the driver of the client programs did not start".into()));
        }
    }
}

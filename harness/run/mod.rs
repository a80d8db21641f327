//! One run: all the effects, in order. Launchers, drivers and observers meet here and nowhere else; what comes out is the
//! event log. It judges nothing.

mod census;
mod client;
mod companions;
pub mod cost;
mod error;
pub mod inside;
mod journal;
mod live;
mod load;
mod moved;
mod others;
mod places;
mod pump;
mod ready;
mod resources;
mod retries;
mod rounds;

pub use error::Error;
pub use journal::Journal;
pub use live::{Live, Step};

use crate::drive::{
    Fleet, clients_per_driver,
    protocol::{Kind, Setup},
};
use crate::event::{Environment, Event, Phase, Pid, SCHEMA, What};
use crate::helper::Helper;
use crate::launch::{self, Isolation, Tree};
use crate::limits::budget;
use crate::observe;
use crate::scenario::{Caller, Calls, Dialogue, Plan, Process, Program, Workload};
use crate::sys::proc;
use crate::sys::sock_diag::SockDiag;
use census::Census;
use companions::Companion;
use places::Places;
use pump::{Load, Pump};
use rustix::process::Signal;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// How to run, apart from what the scenario says. Clones share what one run after another need learn only
/// once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Which syscall observer.
    pub observer: observe::Choice,
    /// The strongest way of owning the process tree that is tried.
    pub isolation: Isolation,
    /// Where the event log is written as well.
    pub events: Option<PathBuf>,
    /// What is executed for the steps of a launch, the bundled servers and the drivers.
    pub(crate) helper: Helper,
    /// What each observer costs, by its name: measured at the first run that uses it.
    pub(crate) costs: Arc<Mutex<HashMap<&'static str, What>>>,
    /// What keeps observers quick from one run to the next.
    pub(crate) in_use: Arc<OnceLock<observe::perf::InUse>>,
}

impl Options {
    /// The best observer and the strongest isolation that this machine allows; the run's other processes are
    /// this program, executed again.
    ///
    /// # Errors
    /// [`Error::Fault`]: `main` has not called `lastfd::helper`, or this program's own path is not known.
    pub fn new() -> Result<Self, Error> {
        Ok(Options::with(Helper::this_program()?))
    }

    /// The same, with an installed `lastfd` program in place of this one: for a program whose `main` is not
    /// its own, such as a test.
    pub fn with_lastfd(program: impl Into<PathBuf>) -> Self {
        Options::with(Helper::lastfd(program))
    }

    pub(crate) fn with(helper: Helper) -> Self {
        Options {
            observer: observe::Choice::default(),
            isolation: Isolation::default(),
            events: None,
            helper,
            costs: Arc::default(),
            in_use: Arc::default(),
        }
    }
}

/// What a run came to: its events always, and why it ended early if it did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// The event log, times relative to the run's start.
    pub events: Vec<Event>,
    /// `None`: every phase was gone through.
    pub error: Option<Error>,
}

/// Runs a plan. `interrupted` is set by SIGINT and SIGTERM; `progress` is told what goes on.
///
/// Whatever happens, no process, file or namespace stays behind; but the soft `RLIMIT_NOFILE` of this process
/// is raised to its hard limit, for observers and clients, and stays there.
///
/// # Errors
/// Only the event log's file; everything else is in [`Run::error`], beside the events so far.
pub fn run(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
) -> Result<Run, Error> {
    // Before anything is opened: the observer alone takes some ninety descriptors a cpu.
    budget::raise_own();
    match plan.sysctls.is_empty() {
        true => made(plan, options, interrupted, progress, Ok(None)),
        false => inside::run(plan, options, interrupted, progress),
    }
}

/// Makes the run where this process is. `first`: what came before its phases, or why there can be none.
fn made(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    first: Result<Option<What>, Error>,
) -> Result<Run, Error> {
    let mut journal = Journal::open(options.events.as_deref())?;
    journal.record(header(plan));
    let mut journal = Some(journal);
    let result = first.and_then(|what| {
        what.into_iter().for_each(|what| journal.as_mut().expect("still here").record(what));
        phases(plan, options, interrupted, progress, &mut journal)
    });
    let mut journal = journal.expect("phases hands the journal back");
    let error = result.err().map(|error| match error {
        // Ctrl-C reaches the launch step too, as long as it is of the same group.
        Error::NotStarted(_) if interrupted.load(Ordering::Relaxed) => Error::Interrupted,
        error => error,
    });
    if let Some(error) = &error {
        journal.record(match error {
            Error::NotStarted(reason) => What::NotStarted { reason: reason.clone() },
            _ => What::Inconclusive { reason: error.to_string() },
        });
    }
    journal.record(What::End);
    let (events, lost) = journal.close();
    Ok(Run { events, error: error.or_else(|| lost.map(|e| Error::Lost(e.to_string()))) })
}

impl Run {
    /// A run that was not begun, because this machine cannot make it.
    pub fn refused(plan: &Plan, error: Error) -> Run {
        let says = [header(plan), What::Inconclusive { reason: error.to_string() }, What::End];
        Run { events: says.into_iter().map(|is| Event { at: 0, is }).collect(), error: Some(error) }
    }
}

/// The first line of a log.
fn header(plan: &Plan) -> What {
    What::Header {
        schema: SCHEMA.into(),
        lastfd_version: env!("CARGO_PKG_VERSION").into(),
        started_at: jiff::Timestamp::now().to_string(),
        environment: environment(),
        plan: serde_json::to_value(plan)
            .expect("a plan is made of strings, numbers and maps with string keys"),
    }
}

/// Everything between the header and the end of the log.
fn phases(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    journal: &mut Option<Journal>,
) -> Result<(), Error> {
    let mut diag = SockDiag::open()?;
    let places = Places::choose(plan, &mut diag)?;
    let companions = companions::start(plan, options, &places, &mut diag)?;
    for what in companions::introduce(&companions) {
        journal.as_mut().expect("still here").record(what);
    }
    let before: HashSet<u64> = diag.listeners()?.iter().map(|l| l.inode).collect();
    let subject = &plan.processes[&plan.subject];
    let executable = executable(&subject.program, options.helper.exe());
    let chosen = match observe::choose(options.observer, executable.as_deref()) {
        Ok(observe::Chosen::None) => Err("none was asked for".to_string()),
        Ok(chosen) => Ok(chosen),
        Err(refused) => Err(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    if let Err(reason) = &chosen {
        let reason = format!("no observer of system calls: {reason} (`lastfd doctor` says how to allow one)");
        journal.as_mut().expect("still here").record(What::Inconclusive { reason });
    }
    let chosen = chosen.ok();
    if options.in_use.get().is_none()
        && let Some(in_use) = chosen.as_ref().and_then(observe::Chosen::keep_in_use)
    {
        let _ = options.in_use.set(in_use); // runs of one command come one after the other
    }
    let trap = chosen.as_ref().is_some_and(observe::Chosen::wants_trap);
    let (tree, process, scratch) = prepare(plan, &plan.subject, options, &places, trap)?;
    let (sink, reports) = channel();
    let census = Census::start(sink.clone())?;
    let mut pump =
        Pump::new(journal.take().expect("still here"), tree, reports, diag, census, interrupted, progress);
    let site = Site {
        plan,
        process: &process,
        scratch: scratch.path(),
        options,
        places: &places,
        companions: &companions,
        sink: &sink,
    };
    let result = attach(&mut pump, chosen.as_ref()).and_then(|()| attended(&mut pump, &site, &before));
    stop(&mut pump, plan, subject, &result);
    if let (Some(chosen), Ok(())) = (&chosen, &result) {
        pump.journal.record(options.cost(chosen));
    }
    *journal = Some(pump.journal);
    result
}

/// Attaches the observer to the process that waits before its exec.
fn attach(pump: &mut Pump, chosen: Option<&observe::Chosen>) -> Result<(), Error> {
    let Some(chosen) = chosen else { return Ok(()) };
    let refused = |e| Error::Inconclusive(format!("the observer could not be attached: {e}"));
    let observer = chosen.attach(pump.tree.program()).map_err(refused)?;
    pump.journal.record(What::Observer {
        name: observer.name().into(),
        exact: observer.exact(),
        io_uring: observer.sees_io_uring(),
    });
    pump.observer = Some(observer);
    Ok(())
}

/// What the phases of a subject look at beside the pump.
struct Site<'a> {
    plan: &'a Plan,
    /// The subject, with its placeholders filled in.
    process: &'a Process,
    /// Its folder.
    scratch: &'a Path,
    options: &'a Options,
    places: &'a Places,
    companions: &'a BTreeMap<String, Companion>,
    /// Where drivers report to.
    sink: &'a Sender<Vec<Event>>,
}

/// The phases of a subject that is prepared: from its exec until it is back at rest.
fn attended(pump: &mut Pump, site: &Site<'_>, before: &HashSet<u64>) -> Result<(), Error> {
    let (plan, process, sink) = (site.plan, site.process, site.sink);
    let lines = sink.clone();
    // The receiver is gone only when the run is.
    let report = move |event| drop(lines.send(vec![event]));
    pump.output = pump.tree.output().map(|fd| observe::output::Drain::start(fd, report)).transpose()?;
    if plan.subject_is_client() {
        return client::attended(pump, site);
    }
    launch(pump, site)?;
    let (found, window) = ready::wait(pump, process, before)?;
    pump.journal.record(listening(plan, pump.acceptor, &found));
    pump.phase(Phase::Baseline);
    // The drivers start while the subject comes to rest: they connect only when they are told.
    let soft = proc::nofile(pump.acceptor).map_or(process.limits.soft, |(soft, _)| soft);
    let mut early = Vec::new();
    for (name, workload) in &plan.workloads {
        if let Some(kind) = site.kind(workload) {
            let wanted = site.wanted(name, workload, kind, &found, soft);
            early.push((fleet(&wanted, site.options, sink)?, wanted));
        }
    }
    let (ready, settled) = ready::settle(pump, process, before, &found, window)?;
    if ready != found {
        pump.journal.record(listening(plan, pump.acceptor, &ready));
    }
    let rests = ready::rest(pump, &plan.subject, &ready, settled)?;
    pump.acceptor = rests[0].pid;
    load::predict(pump, &rests[0]);
    let kinds = kinds(pump, site, &ready)?;
    pump.live.arm();
    pump.phase(Phase::Ramp);
    let mut clients = Vec::new();
    for ((name, workload), kind) in plan.workloads.iter().zip(kinds) {
        let wanted = site.wanted(name, workload, kind, &ready, rests[0].limits.soft);
        clients.push(wanted.clients);
        let fleet = match early.iter().position(|(_, started)| *started == wanted) {
            Some(at) => early.swap_remove(at).0,
            None => fleet(&wanted, site.options, sink)?,
        };
        pump.loads.push(site.load(name, workload, &wanted, fleet));
    }
    drop(early);
    load::calibrate(pump, &rests, &ready)?;
    loaded(pump, site, &clients, &rests)
}

/// Executes the subject.
fn launch(pump: &mut Pump, site: &Site<'_>) -> Result<(), Error> {
    pump.phase(Phase::Launch);
    pump.tree.start()?;
    pump.journal.record(What::Launched {
        process: site.plan.subject.clone(),
        pid: pump.tree.program(),
        argv: pump.tree.command().argv.clone(),
        launcher: launch::registration(&site.process.launcher).name.into(),
        requested: site.process.limits,
        isolation: Some(pump.tree.isolation().to_string()),
    });
    Ok(())
}

/// The loaded phases, which are the same for servers and clients.
fn loaded(pump: &mut Pump, site: &Site<'_>, clients: &[u32], rests: &[ready::Rest]) -> Result<(), Error> {
    load::ramp(pump, clients, site.plan.workloads.values().any(|w| w.burst))?;
    // Of several workers, the one whose limit it is: it is counted and looked at from now on.
    if let Some((_, pid)) = pump.live.first_failure
        && rests.iter().any(|rest| rest.pid == pid)
        && !pump.live.exited.contains(&pid)
        && pid != pump.acceptor
    {
        pump.acceptor = pid;
        pump.sample();
    }
    load::saturate(pump, &site.plan.subject, Duration::from_secs_f64(site.plan.hold_s))?;
    moved::moved(pump, &site.plan.then, clients, rests)?;
    let rounds = site.plan.recovery.rounds;
    let accepts = load::recover(pump, rounds)?;
    load::settle(pump, rests)?;
    if rounds > 1 && accepts { rounds::again(pump, clients) } else { Ok(()) }
}

impl Site<'_> {
    /// The words that the subject is executed with, by whatever launcher.
    fn argv(&self) -> Vec<String> {
        let fill = |word: String| self.places.fill(&word, &self.plan.subject, self.scratch);
        argv(&self.process.program, &self.options.helper).into_iter().map(fill).collect()
    }

    /// What the clients of a workload do; `None`: the server is to be asked first.
    fn kind(&self, workload: &Workload) -> Option<Kind> {
        let call = |calls: &Calls| Kind::Call {
            calls: calls.clone(),
            certificate: self.places.certificate(self.scratch).filter(|_| calls.tls),
        };
        let hold = |dialogue| Kind::Hold { dialogue, burst: workload.burst };
        workload.calls.as_ref().map(call).or(workload.kind.map(hold))
    }

    /// What the drivers of a workload must know before they start. `subject`: where that listens.
    fn wanted(
        &self,
        name: &str,
        workload: &Workload,
        kind: Kind,
        subject: &ready::Ready,
        soft: u64,
    ) -> Wanted {
        let ready = self.companions.get(&workload.to).map_or(subject, |companion| &companion.ready);
        let tls = if workload.calls.as_ref().is_some_and(|calls| calls.tls) {
            self.places.tls_port(&workload.to)
        } else {
            None
        };
        let mut target = ready.address;
        target.set_port(tls.or(workload.port).unwrap_or(target.port()));
        // Room for the limits to come, too: they are moved while these clients connect.
        let soft = self.plan.then.iter().map(|then| then.limit.soft).fold(soft, u64::max);
        let enough = match kind {
            Kind::Hold { .. } => enough(soft, ready),
            Kind::Call { .. } => u32::try_from(soft.saturating_mul(2).saturating_add(64)).unwrap_or(u32::MAX),
        };
        Wanted {
            setup: setup(name, kind, &workload.path, target),
            clients: workload.clients.unwrap_or(enough),
        }
    }

    fn load(&self, name: &str, workload: &Workload, wanted: &Wanted, fleet: Fleet) -> Load {
        let own = matches!(&self.process.program, Program::Call(call) if call == name);
        Load {
            workload: name.to_owned(),
            dialogue: if let Kind::Hold { dialogue, .. } = wanted.setup.kind { Some(dialogue) } else { None },
            concerns_subject: own || workload.to == self.plan.subject,
            background: !own && workload.calls.as_ref().is_some_and(|calls| calls.caller == Caller::Caller),
            fleet,
        }
    }
}

/// Clients that fill a subject with such a soft limit and all its accept queues, and some more.
fn enough(soft: u64, ready: &ready::Ready) -> u32 {
    // Of several listeners each may have a process of its own.
    let places = soft.saturating_add(soft / 2).saturating_mul(ready.listeners.into());
    u32::try_from(places.saturating_add(ready.capacity.into())).unwrap_or(u32::MAX)
}

/// Where the subject listens.
fn listening(plan: &Plan, pid: Pid, ready: &ready::Ready) -> What {
    What::Listening {
        process: plan.subject.clone(),
        pid,
        address: ready.address.to_string(),
        capacity: ready.capacity,
    }
}

/// What each workload's clients do; where a workload leaves it open, the server is asked with HTTP.
fn kinds(pump: &mut Pump, site: &Site<'_>, ready: &ready::Ready) -> Result<Vec<Kind>, Error> {
    let mut kinds = Vec::new();
    for (name, workload) in &site.plan.workloads {
        kinds.push(match site.kind(workload) {
            Some(kind) => kind,
            None => {
                let hold = |dialogue| Kind::Hold { dialogue, burst: workload.burst };
                let wanted = Wanted {
                    setup: setup(name, hold(Dialogue::HttpIdle), &workload.path, ready.address),
                    clients: 1,
                };
                let mut asker = fleet(&wanted, site.options, site.sink)?;
                hold(if load::speaks_http(pump, &mut asker)? { Dialogue::HttpIdle } else { Dialogue::Tcp })
            }
        });
    }
    Ok(kinds)
}

/// What the drivers of a workload must know before they start.
#[derive(Debug, PartialEq)]
struct Wanted {
    setup: Setup,
    clients: u32,
}

/// The driver processes of a workload, started.
fn fleet(wanted: &Wanted, options: &Options, sink: &Sender<Vec<Event>>) -> Result<Fleet, Error> {
    let command = || options.helper.command(&["drive"]);
    let own = budget::raise_own();
    let room = clients_per_driver(own.hard).map_err(|e| Error::Inconclusive(e.to_string()))?;
    // Calls are made by one driver: their order is that of one queue.
    let each = if matches!(wanted.setup.kind, Kind::Call { .. }) { u32::MAX } else { room };
    Fleet::spawn_with(command, &wanted.setup, wanted.clients, each, sink.clone())
        .map_err(|e| Error::Inconclusive(e.to_string()))
}

fn setup(workload: &str, kind: Kind, path: &str, target: SocketAddr) -> Setup {
    Setup {
        workload: workload.into(),
        kind,
        target,
        path: path.into(),
        first_id: 0,
        connect_deadline_ms: 3000,
    }
}

/// Ends the subject and takes in its last words.
fn stop(pump: &mut Pump, plan: &Plan, subject: &Process, result: &Result<(), Error>) {
    pump.phase(Phase::Stop);
    pump.loads.clear();
    let died = result.is_ok() && pump.died();
    let grace =
        if matches!(result, Err(Error::Interrupted)) { subject.grace_s.min(1.0) } else { subject.grace_s };
    if !pump.tree.gone()
        && let Err(error) = pump.tree.end(Signal::TERM, Duration::from_secs_f64(grace))
    {
        pump.journal.record(What::Inconclusive { reason: error.to_string() });
    }
    if let Some(observer) = &mut pump.observer {
        observer.stop();
    }
    if let Some(output) = &mut pump.output {
        output.finish();
        if died && !output.marked() {
            output.tail().into_iter().for_each(|line| pump.journal.record(What::Output { line }));
        }
    }
    // The subject's own counts came with its last lines. An interrupt was reported already, and a lost observer is no reason to leave the subject behind.
    let _ = pump.turn(Duration::ZERO);
    if let Some(status) = pump.tree.exited() {
        let (process, pid) = (plan.subject.clone(), pump.tree.program());
        pump.journal.record(What::Exited { process, pid, code: status.code, signal: status.signal });
    }
}

/// Turns a process of the plan into a tree that is blocked right before exec, with a temporary directory of its own.
fn prepare(
    plan: &Plan,
    name: &str,
    options: &Options,
    places: &Places,
    trap: bool,
) -> Result<(Tree, Process, TempDir), Error> {
    let process = &plan.processes[name];
    let no_room =
        |e| Error::Inconclusive(format!("no temporary folder can be made: {e}; TMPDIR says where they go"));
    let scratch = tempfile::Builder::new().prefix("lastfd-").tempdir().map_err(no_room)?;
    places.deliver(scratch.path())?;
    let fill = |word: String| places.fill(&word, name, scratch.path());
    let argv = argv(&process.program, &options.helper).into_iter().map(fill).collect();
    let env = process.env.iter().map(|(key, value)| (key.clone(), fill(value.clone()))).collect();
    let process = Process { env, ..process.clone() };
    let site = launch::Site { helper: &options.helper, scratch: scratch.path() };
    let mut command = launch::command(&process, argv, site)?;
    command.directory = Some(plan.directory.clone());
    command.scratch = Some(scratch.path().to_path_buf());
    command.trap = trap;
    let tree = Tree::prepare(&command, options.isolation)?;
    let asks_for_port =
        matches!(&process.program, Program::Command(words) if words.iter().any(|w| w.contains("{port}")));
    let several = places.tls_port(name).is_some();
    let port = process.port.or((asks_for_port || several).then(|| places.port(name)));
    Ok((tree, Process { port, ..process }, scratch))
}

/// Where the bundled caller meets the run, in the folder of its process.
const DRIVER_SOCKET: &str = "driver.sock";

/// The program's words; `Places::fill` says what their placeholders stand for.
pub fn argv(program: &Program, helper: &Helper) -> Vec<String> {
    match program {
        Program::Command(words) => words.clone(),
        Program::Serve(serve) => {
            let mut words = helper.argv(&["serve"]);
            words.extend(serve.arguments());
            words.extend(["--port".into(), "{port}".into()]);
            words
        }
        Program::Call(_) => helper.argv(&["drive", "--at", &format!("{{scratch}}/{DRIVER_SOCKET}")]),
    }
}

/// The file that a program's first word means; `None` when there is none, which its exec will say.
fn executable(program: &Program, exe: &Path) -> Option<PathBuf> {
    let Program::Command(words) = program else { return Some(exe.to_path_buf()) };
    let word = Path::new(words.first()?);
    if word.components().count() > 1 {
        return Some(word.to_path_buf());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(word))
        .find(|path| path.is_file())
}

/// Where this run is made.
pub fn environment() -> Environment {
    let privileges = if rustix::process::geteuid().is_root() { "root" } else { "unprivileged" };
    Environment {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        privileges: privileges.into(),
        observers: observe::available().into_iter().filter_map(Result::ok).map(str::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_end_asks_for_as_many_clients_as_can_be_numbered() {
        let ready = |listeners| ready::Ready {
            address: ([127, 0, 0, 1], 1).into(),
            capacity: 129,
            listeners,
            holders: vec![1],
        };
        assert_eq!((enough(64, &ready(1)), enough(64, &ready(4))), (96 + 129, 4 * 96 + 129));
        assert_eq!((enough(1 << 30, &ready(4)), enough(u64::MAX, &ready(1))), (u32::MAX, u32::MAX));
    }
}

//! `lastfd find`: the ceiling of any server program, with no file at all.

use super::client_options::ClientOptions;
use super::dialogue::Steps;
use super::output::{Files, Progress, conclude, exit_code, interrupt_flag, interrupted, say, tell, writable};
use super::requests::Requests;
use super::run::Machine;
use super::setting_options::SettingOptions;
use super::values::one_of;
use super::{Exit, Failure, Outcome, time::seconds};
use crate::event::Limits;
use crate::launch::LAUNCHERS;
use crate::report::{Report, words};
use crate::run::Options;
use crate::scenario::{
    self, Dialogue, Find, Launcher, Pace, Plan, Recovery, Rlimits, Tls, Upstream, launcher_from_toml,
    placeholder, soft_hard,
};
use crate::testing::attempt::{Made, attempt, refusal};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Find how many connections any server program can hold, and what it does at that limit
#[derive(Debug, clap::Args)]
#[command(after_help = super::exit::HELP)]
pub struct Args {
    /// RLIMIT_NOFILE that the launcher starts with; several, separated by commas, make a sweep of one run
    /// each
    #[arg(long, value_name = "SOFT[:HARD]", default_value = "1024:1024", value_delimiter = ',', value_parser = soft_hard)]
    nofile: Vec<Limits>,
    /// Another limit that the launcher starts with: nproc=TASKS or as=BYTES; can be repeated
    #[arg(long, value_name = "NAME=N", value_parser = rlimit)]
    rlimit: Vec<String>,
    /// The launcher of the command: a name, or a name with options as in a scenario file, such as
    /// 'container-like = { ulimit = "64:128" }'
    #[arg(long, default_value = "exec", value_name = "NAME", value_parser = launcher)]
    launcher: Launcher,
    /// `minfds` of the supervisor: the soft limit that it raises to
    #[arg(long, value_name = "N")]
    minfds: Option<u64>,
    /// The dialogue of each client [default: http-idle if the server answers HTTP, otherwise tcp]
    #[arg(long, value_parser = one_of(Dialogue::ALL, Dialogue::name, Dialogue::doc))]
    workload: Option<Dialogue>,
    #[command(flatten)]
    steps: Steps,
    /// Clients send one datagram each (UDP): --send says which, --expect which answer serves them [default:
    /// any]
    #[arg(long, conflicts_with_all = ["tls", "unix", "calls", "caller", "recoveries"])]
    udp: bool,
    /// Clients speak TLS from the first byte, and accept any certificate [default: if the server turns plain
    /// text away and speaks TLS]
    #[arg(long)]
    tls: bool,
    /// With TLS: a client takes up the session of an earlier one, in place of a whole handshake
    #[arg(long, conflicts_with_all = ["udp", "caller"])]
    resumption: bool,
    /// Path of HTTP requests
    #[arg(long, default_value = "/")]
    path: String,
    /// Port to connect to [default: the port on which the program listens]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Unix socket to connect to: its path, or @NAME if it is abstract [default: if the program listens on no
    /// port, the one on which it listens]
    #[arg(long, value_name = "PATH", conflicts_with = "port", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    unix: Option<String>,
    /// Number of clients [default: 1.5 × soft limit + accept queue, and more where several workers share a
    /// listener]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: Option<u32>,
    /// Say which soft limit so many clients need: from a sweep over --nofile, or over 64, 256 and 1024 where
    /// that is one limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    for_clients: Option<u64>,
    /// Watch the server at its limit for at most this long: 5, 5s or 500ms; 0 does not watch it
    #[arg(long, default_value = "5s", value_parser = time, value_name = "TIME")]
    hold: f64,
    /// Rounds of recovery, each at another phase of the server's own delay; with more than one, a second ramp
    /// follows
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=i64::from(Recovery::ROUNDS_MAX)))]
    recoveries: u32,
    /// Wait at most this long until the program listens: 30, 30s or 1m
    #[arg(long, default_value = "30s", value_parser = time, value_name = "TIME")]
    ready_within: f64,
    /// Start a bundled server beside the command, for a proxy to connect to; the command, or a --file, names
    /// it as `{upstream}` (a URL), `{upstream-address}` (ADDRESS:PORT), `{upstream-port}` and, with TLS,
    /// `{ca}` (the certificate to trust)
    #[arg(long, value_name = "KIND", value_parser = one_of(Upstream::ALL, Upstream::name, Upstream::doc))]
    upstream: Option<Upstream>,
    /// The command calls a bundled server of this kind, and nobody connects to it: its ceiling is counted in
    /// calls; the placeholders are those of --upstream
    #[arg(long, value_name = "KIND", value_parser = one_of(Upstream::ALL, Upstream::name, Upstream::doc), conflicts_with_all = ["upstream", "workload", "path", "port", "clients", "for_clients", "recoveries", "pace", "burst", "unix", "send", "expect", "tls", "calls"])]
    caller: Option<Upstream>,
    /// Add a variable to the command's environment, with the same placeholders; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// How fast clients come: auto, burst (all at once), steady (when the work for the earlier ones is done),
    /// or at most so many a second, such as 50/s
    #[arg(long, default_value_t, value_name = "PACE")]
    pace: Pace,
    /// Another name of --pace burst
    #[arg(long, conflicts_with = "pace")]
    burst: bool,
    /// Write the event log to this file, for `lastfd replay` and `lastfd explain`
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    requests: Requests,
    #[command(flatten)]
    client: ClientOptions,
    #[command(flatten)]
    setting: SettingOptions,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    files: Files,
    /// The server program and its arguments; `{port}` stands for a free port, `{scratch}` for a temporary
    /// folder, `{upstream}` for the URL of the bundled server
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Default limits of a sweep: far enough apart to distinguish a third from nine tenths, and quick.
const SWEPT: [u64; 3] = [64, 256, 1024];

impl Args {
    /// The limits of the runs, one each.
    fn limits(&self) -> Vec<Limits> {
        match (self.for_clients, &self.nofile[..]) {
            (Some(_), [_]) => SWEPT.map(|soft| Limits { soft, hard: soft }).to_vec(),
            _ => self.nofile.clone(),
        }
    }
}

impl Args {
    /// Words that may hold placeholders.
    fn words(&self) -> impl Iterator<Item = &String> {
        self.command.iter().chain(self.env.iter().map(|(_, value)| value)).chain(self.setting.words())
    }

    /// An upstream that nothing names is called by nobody, and one that is named must be there. Files that
    /// are copied may name it.
    fn names_its_upstream(&self) -> Result<(), Failure> {
        let option = if self.caller.is_some() { "--caller" } else { "--upstream" };
        match (self.upstream.or(self.caller), Find::names_upstream(self.words())) {
            (None, Some(named)) => Err(usage(format!(
                "`{{{named}}}` is of the bundled upstream: add --upstream (or --caller) http, https, tcp, grpc or grpcs"
            ))),
            (Some(upstream), None) if !self.setting.copies_files() => Err(usage(format!(
                "nothing names the upstream of {option} {upstream}: write `{{upstream}}` (a URL) or \
                 `{{upstream-address}}` where the command, or a --file, takes an address"
            ))),
            (Some(upstream), _) if !upstream.tls() && self.words().any(|word| word.contains("{ca}")) => {
                Err(usage(format!(
                    "`{{ca}}` is the certificate of an upstream with TLS: {option} https or grpcs"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Only looked at: several are laid over each other.
fn rlimit(text: &str) -> Result<String, String> {
    Rlimits::default().set(text).map(|()| text.to_owned())
}

/// A name, or a table of options as in a scenario file.
fn launcher(text: &str) -> Result<Launcher, String> {
    if text.contains('=') {
        return launcher_from_toml(text);
    }
    let names = || LAUNCHERS.iter().map(|l| l.name).collect::<Vec<_>>().join(", ");
    LAUNCHERS
        .iter()
        .find(|l| l.name == text)
        .map(|l| (l.with_defaults)())
        .ok_or_else(|| format!("the launchers are {}", names()))
}

/// A word that looks like a placeholder and is none, and the nearest placeholder.
fn slip(word: &str) -> Option<(String, String)> {
    placeholder::unknown(word, &[Find::SUBJECT, Find::UPSTREAM], &placeholder::OF_UPSTREAM)
        .into_iter()
        .find_map(|unknown| Some((unknown.written, unknown.near?)))
}

/// A variable of an environment and its value.
pub fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A time of this command, at most an hour; in seconds.
fn time(text: &str) -> Result<f64, String> {
    seconds(text, 3600.0)
}

/// Runs the command under its limits and reports.
///
/// # Errors
/// A report path that cannot be written, or a fault.
pub fn run(args: &Args) -> Outcome {
    writable_files(args)?;
    let plan = plan(args)?;
    let flag = interrupt_flag()?;
    if args.limits().len() > 1 {
        return sweep(args, &plan, &flag);
    }
    let mut progress = Progress::new("find", args.files.quiet());
    let options = args.machine.options(args.events.clone())?;
    let (report, error) = execute(&plan, &options, &flag, &mut progress, args.files.carries_logs())?;
    drop(progress);
    let said = args.files.print(std::slice::from_ref(&report));
    let runs = vec![(report, error)];
    let exit = exit_code(&runs, false, false);
    conclude(&args.files, None, runs, exit, said)
}

/// Whether every file that is asked for can be written.
fn writable_files(args: &Args) -> Result<(), Failure> {
    args.files.preflight()?;
    let each = |path: &PathBuf| {
        args.limits().iter().try_for_each(|limits| writable(&events_of(args, path, *limits)))
    };
    args.events.as_ref().map_or(Ok(()), each)
}

/// Something that does not go together.
fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message.into())
}

/// The run that the options describe, with the first of the limits.
fn plan(args: &Args) -> Result<Plan, Failure> {
    let launcher = launched_by(args)?;
    let mut rlimits = Rlimits::default();
    args.rlimit.iter().try_for_each(|text| rlimits.set(text)).map_err(usage)?;
    knows_its_placeholders(args)?;
    args.names_its_upstream()?;
    let udp = args.udp || args.workload == Some(Dialogue::Datagram);
    let exchange = if udp { args.steps.datagram().map(Some) } else { args.steps.exchange() };
    let exchange = exchange.map_err(usage)?;
    let requests = args.requests.asked(args.tls, args.resumption).map_err(usage)?;
    if args.resumption && !args.tls && requests.is_none() {
        return Err(usage("--resumption is of clients that speak TLS: add --tls"));
    }
    let workload = workload(args.workload, udp, exchange.is_some())?;
    let keep_alive = args.requests.kept_alive();
    let workload = if keep_alive.is_plain() { workload } else { Some(of_http(args, workload)?) };
    let find = Find {
        upstream: args.upstream.or(args.caller),
        calls: args.caller.is_some(),
        env: args.env.iter().cloned().collect(),
        rlimits,
        launcher,
        workload,
        keep_alive,
        exchange,
        tls: (args.tls && requests.is_none()).then(|| Tls { resumption: args.resumption, ..Tls::default() }),
        setting: args.setting.setting(),
        client: args.client.program().map_err(usage)?,
        requests,
        path: args.path.clone(),
        port: args.port,
        unix: args.unix.clone(),
        clients: args.clients,
        pace: if args.burst { Pace::Burst } else { args.pace },
        hold_s: args.hold,
        recoveries: args.recoveries,
        ready_within_s: args.ready_within,
        ..Find::new(&args.command, args.limits()[0])
    };
    find.plan()
        .map_err(|e| usage(format!("the current folder cannot be told ({e}): change to one that is there")))
}

/// The launcher, with `--minfds`.
fn launched_by(args: &Args) -> Result<Launcher, Failure> {
    let mut launcher = args.launcher.clone();
    match (&mut launcher, args.minfds) {
        (Launcher::SupervisorLike(supervisor) | Launcher::Supervisord(supervisor), Some(minfds)) => {
            supervisor.minfds = minfds
        }
        (_, Some(_)) => {
            return Err(usage("--minfds is of a supervisor: add --launcher supervisord or supervisor-like"));
        }
        _ => {}
    }
    Ok(launcher)
}

/// Refuses a word that looks like a placeholder and is none.
fn knows_its_placeholders(args: &Args) -> Result<(), Failure> {
    let mut words = args.words().chain(&args.unix);
    let Some((slip, near)) = words.find_map(|word| slip(word)) else { return Ok(()) };
    let help = placeholder::help();
    Err(usage(format!("`{slip}` is not a placeholder: did you mean `{near}`? {help}")))
}

/// The dialogue of clients, where steps or `--udp` decide it; refuses options that exclude each other.
fn workload(asked: Option<Dialogue>, udp: bool, steps: bool) -> Result<Option<Dialogue>, Failure> {
    match (asked, steps) {
        (None | Some(Dialogue::Datagram), true) if udp => Ok(Some(Dialogue::Datagram)),
        (Some(other), _) if udp => {
            Err(usage(format!("--udp is a workload of its own: leave out --workload {}", other.name())))
        }
        (None, true) => Ok(Some(Dialogue::Exchange)),
        (Some(Dialogue::Exchange), false) => Err(usage(
            "--workload exchange has no steps: add --expect, and --send before it if clients speak first",
        )),
        (Some(other), true) if other != Dialogue::Exchange => Err(usage(format!(
            "--send and --expect are an exchange of their own: leave out --workload {}",
            other.name()
        ))),
        (workload, _) => Ok(workload),
    }
}

/// Requests on a connection that is held are of `http-idle`.
fn of_http(args: &Args, workload: Option<Dialogue>) -> Result<Dialogue, Failure> {
    let other = match workload {
        None | Some(Dialogue::HttpIdle) if args.client.is_none() && args.caller.is_none() => {
            return Ok(Dialogue::HttpIdle);
        }
        None => "--client or --caller".into(),
        Some(other) => format!("--workload {}", other.name()),
    };
    let options = "--http2, --requests and --every are of HTTP";
    Err(usage(format!("{options}: leave out {other}, or add --calls for requests that hold nothing")))
}

/// One run, unless this machine cannot make it: said in the words of this command.
fn execute(
    plan: &Plan,
    options: &Options,
    flag: &AtomicBool,
    progress: &mut Progress,
    logs: bool,
) -> Result<Made, Failure> {
    let obstacles = scenario::preflight(plan);
    let refused = obstacles.first().map(|obstacle| refusal(obstacle, obstacle.on_a_command_line()));
    attempt(plan, refused, options, flag, &mut |step| progress.step(step), logs)
        .map_err(|e| Failure::new(Exit::Usage, e))
}

/// The event log of a run: in a sweep each has its own, with the limit before the ending.
fn events_of(args: &Args, path: &Path, limits: Limits) -> PathBuf {
    if args.limits().len() == 1 {
        return path.to_owned();
    }
    let ending = path.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy()));
    path.with_extension(format!("{}-{}{ending}", limits.soft, limits.hard))
}

/// One run for each limit, and the line through all of them.
fn sweep(args: &Args, plan: &Plan, flag: &AtomicBool) -> Outcome {
    let machine = args.machine.options(None)?;
    let (mut done, mut said) = (Vec::new(), Ok(()));
    for limits in args.limits() {
        let mut plan =
            Plan { variant: Some(format!("nofile {}:{}", limits.soft, limits.hard)), ..plan.clone() };
        plan.processes.get_mut(&plan.subject).expect("the one of this command").limits = limits;
        let mut progress = Progress::new(&plan.title(), true);
        let events = args.events.as_ref().map(|path| events_of(args, path, limits));
        let options = Options { events, ..machine.clone() };
        let outcome = execute(&plan, &options, flag, &mut progress, args.files.carries_logs())?;
        drop(progress);
        if !args.files.quiet() {
            said = said.and(say(&format!("{}\n", words::sweep::run(&outcome.0))));
        }
        done.push(outcome);
        if interrupted(flag) {
            break;
        }
    }
    let exit = exit_code(&done, false, interrupted(flag));
    tell(&done);
    let reports: Vec<Report> = done.into_iter().map(|(report, _)| report).collect();
    exit.once(args.files.conclude_sweep(&reports, args.for_clients).and(said))
}

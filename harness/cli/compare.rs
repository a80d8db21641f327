//! `lastfd compare`: two variants of one subject, side by side, with a verdict on each quantity.

use super::check::{discovered, loaded};
use super::output::{Common, interrupt_flag, writable};
use super::recording::Recording;
use super::requests::{header, method, rate};
use super::run::Machine;
use super::self_check::SelfCheck;
use super::time::seconds;
use super::values::{one_of, percent};
use super::worktree::Worktree;
use super::{Exit, Failure, Outcome};
use crate::compare::{Bound, Comparison, Described, Ending, Judged, Method, Record, Reference, compare};
use crate::drive::callers;
use crate::event::Limits;
use crate::limits::budget;
use crate::report;
use crate::run::compare::{Wanted, compared};
use crate::scenario::{
    self, Arrivals, Calls, Find, Plan, Program, Request, Schedule, UNDER_WAY_DEFAULT, Upstream, soft_hard,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compare two variants of a program: connections, handshakes, descriptors, CPU, calls a second and latency,
/// with a verdict on each
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", super::exit::HELP))]
pub struct Args {
    /// Two scenario files, or one with variants; `@NAME` is a bundled scenario
    #[arg(value_name = "SCENARIO", num_args = 0..=2, conflicts_with_all = ["before", "after"])]
    files: Vec<PathBuf>,
    /// A variant of the one scenario file (`base` is the scenario as written): give it twice, before and
    /// after [default: base, and its first variant]
    #[arg(long, value_name = "NAME", requires = "files")]
    variant: Vec<String>,
    /// The command as it was, in shell quotes; with --build a revision that git knows
    #[arg(long, value_name = "COMMAND", requires = "after")]
    before: Option<String>,
    /// The command as it is now; with --build a revision
    #[arg(long, value_name = "COMMAND")]
    after: Option<String>,
    /// Build two revisions with this shell command, each in a git worktree of its own; the command that runs
    /// there follows `--`
    #[arg(long, value_name = "COMMAND", requires = "before")]
    build: Option<String>,
    /// The program calls a bundled server of this kind, whose address it gets as `{upstream}`,
    /// `{upstream-address}`, `{upstream-port}` and `{ca}` [default: http if a placeholder names it]
    #[arg(long, value_name = "KIND", value_parser = one_of(Upstream::ALL, Upstream::name, Upstream::doc))]
    upstream: Option<Upstream>,
    /// The port of the bundled server, for a program that always calls the same; of a server that is
    /// compared, its own port
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Add a variable to both environments, with the same placeholders; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::find::variable)]
    env: Vec<(String, String)>,
    /// RLIMIT_NOFILE of both sides [default: the hard limit of lastfd]
    #[arg(long, value_name = "SOFT[:HARD]", value_parser = soft_hard)]
    nofile: Option<Limits>,
    #[command(flatten)]
    calls: CallsOfServer,
    /// A bound that the second side must keep, such as 'connections-opened <= 2', 'p99 no worse than 5 %' or
    /// 'calls-per-s better by 10 %'; can be repeated [default: those of the scenario file]
    #[arg(long, value_name = "BOUND")]
    require: Vec<Bound>,
    /// The two are the same if they differ by less
    #[arg(long, value_name = "PERCENT", default_value = "3%", value_parser = percent)]
    band: f64,
    /// Blocks at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    blocks: u32,
    /// Stop after this time: 60, 60s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    within: f64,
    /// Draw the order of everything from this number [default: another one each time]
    #[arg(long = "order-seed", value_name = "N")]
    order_seed: Option<u64>,
    /// Write the record of all blocks to this file, for `--replay`
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Report a recorded comparison again; starts nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "before", "after", "events"])]
    replay: Option<PathBuf>,
    #[command(flatten)]
    recording: Recording,
    #[command(flatten)]
    self_check: SelfCheck,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    reports: Common,
    /// With --build: the command that runs in each worktree
    #[arg(last = true, value_name = "COMMAND", requires = "build")]
    command: Vec<String>,
}

/// The calls of a server; a program that calls has calls of its own.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Calls of a server")]
struct CallsOfServer {
    /// Calls of one start [default: as many as a second has time for]; a program that calls is ended after so
    /// many [default: it ends by itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: Option<u32>,
    /// Calls under way at once [default: 1; with --rate 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Option<u32>,
    /// Make so many calls a second, such as 200/s, whether earlier ones are answered or not; latencies count
    /// from the intended times
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<f64>,
    /// Path of the requests
    #[arg(long, default_value = "/")]
    path: String,
    /// Method of the requests [default: GET]
    #[arg(long, value_parser = method)]
    method: Option<String>,
    /// A further header of the requests; can be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
}

impl CallsOfServer {
    /// Whether anything of it is given.
    fn given(&self) -> bool {
        self.calls.is_some() || self.concurrency.is_some() || self.rate.is_some() || self.asks()
    }

    /// Whether an option says which request to make.
    fn asks(&self) -> bool {
        self.path != "/" || self.method.is_some() || !self.header.is_empty()
    }

    fn asked(&self) -> (Calls, Option<u32>) {
        let request = Request {
            method: self.method.clone(),
            headers: self.header.iter().cloned().collect(),
            ..Request::default()
        };
        let mut calls = Calls::http(request);
        if let Some(per_s) = self.rate {
            calls.schedule = Some(Schedule::new(per_s, Arrivals::Constant, None));
            calls.concurrency = UNDER_WAY_DEFAULT;
        }
        calls.concurrency = self.concurrency.unwrap_or(calls.concurrency);
        (calls, self.calls)
    }
}

const EXAMPLES: &str = "\
Examples:
  lastfd compare --before './old {upstream}' --after './new {upstream}'        two callers
  lastfd compare --before './old --port {port}' --after './new --port {port}'  two servers
  lastfd compare --before main --after HEAD --build 'cargo build --release' -- target/release/job {upstream}
  lastfd compare @reuse/http                                                   a bundled scenario";

/// Probability of a false claim.
const ALPHA: f64 = 0.05;

/// Compares, reports, and says whether every bound is kept.
///
/// # Errors
/// Wrong usage, an invalid scenario, or a report that cannot be written.
pub fn run(args: &Args) -> Outcome {
    args.reports.preflight()?;
    if let Some(path) = &args.replay {
        let mut records = recorded(path)?;
        if let (Some(Record::Header(header)), false) = (records.first_mut(), args.require.is_empty()) {
            header.bounds = args.require.clone();
        }
        return conclude(args, &records);
    }
    args.events.as_ref().map_or(Ok(()), |path| writable(path))?;
    let flag = interrupt_flag()?;
    if args.self_check.asked() {
        return args.self_check.run(method_of(args), &args.machine.options(None)?, &flag);
    }
    // They are removed when this ends.
    let (wanted, _worktrees) = wanted(args)?;
    let options = args.machine.options(None)?;
    let mut log = args
        .events
        .as_ref()
        .map(std::fs::File::create)
        .transpose()
        .map_err(|e| Failure::new(Exit::Usage, e))?;
    let bar = progress();
    let mut records: Vec<Record> = Vec::new();
    let mut lost = None;
    let compared = compared(&wanted, &options, &flag, &mut |record| {
        if let Some(log) = &mut log {
            let line = serde_json::to_string(record).expect("numbers and texts") + "\n";
            lost = lost.take().or(log.write_all(line.as_bytes()).err());
        }
        records.push(record.clone());
        if let Some(so_far) = compare(&records) {
            bar.set_message(report::words::compare::progress(&so_far));
            bar.tick();
        }
    });
    bar.finish_and_clear();
    let records = compared.map_err(|e| Failure::new(Exit::Fault, e))?;
    if let Some(error) = lost {
        return Err(Failure::new(Exit::Usage, format!("the record is not whole: {error}")));
    }
    conclude(args, &records)
}

fn progress() -> ProgressBar {
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} compare: {msg}").expect("a constant template"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn conclude(args: &Args, records: &[Record]) -> Outcome {
    let comparison = compare(records)
        .ok_or_else(|| Failure::new(Exit::Invalid, "the record has no header: it is none of a comparison"))?;
    let told = args.reports.conclude_comparison(&comparison);
    let recorded = match comparison.concluded() {
        true => args.recording.keep(&comparison),
        false => Ok(()),
    };
    exit(&comparison).once(told.and(recorded))
}

/// The exit code. Without bounds a comparison that came to an end has met all.
fn exit(comparison: &Comparison) -> Exit {
    let of_bound = |judged: &Judged| match judged {
        Judged::Kept => Exit::Met,
        Judged::Broken => Exit::NotMet,
        Judged::Open | Judged::NotMeasured => Exit::Inconclusive,
    };
    let refused = match &comparison.ending {
        Some(Ending::Interrupted) => Some(Exit::Interrupted),
        Some(Ending::Failed { inconclusive: false, .. }) => Some(Exit::NotStarted),
        _ if !comparison.concluded() || comparison.failed_at_times() => Some(Exit::Inconclusive),
        _ => None,
    };
    let bounds = comparison.judged.iter().map(|(_, judged)| of_bound(judged));
    Exit::of_several(refused.into_iter().chain(bounds).chain([Exit::Met]))
}

/// A recorded comparison.
fn recorded(path: &Path) -> Result<Vec<Record>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(Exit::Usage, format!("cannot read {}: {e}", path.display())))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            Failure::new(Exit::Invalid, format!("{}:{}: no record: {e}", path.display(), number + 1))
        })
    };
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    // A last line without an end was being written when lastfd was killed.
    lines.pop_if(|last| !last.ends_with('\n'));
    lines.into_iter().enumerate().map(line).collect()
}

/// The sides to compare, and the worktrees that they need.
fn wanted(args: &Args) -> Result<(Wanted, Vec<Worktree>), Failure> {
    let usage = |message: &str| Failure::new(Exit::Usage, message);
    let mut reference = None;
    let (plans, names, bounds, worktrees) = match (&args.before, &args.after, &args.build) {
        (None, after, None) if args.recording.asked() => {
            let plan = match after {
                Some(after) => {
                    let words = words(after)?;
                    let caller = are_callers(args, &[&words])?;
                    plan(args, words, caller)?
                }
                None => of_one_file(args)?,
            };
            let (plans, kept) = args.recording.sides(&plan)?;
            let first = match &kept {
                Reference { baseline: Some(_), .. } => "the recorded version",
                Reference { beside: true, .. } => "the bundled server",
                _ => "the first start",
            };
            reference = Some(kept);
            let name = if after.is_some() { "after".into() } else { plan.variant_name().to_owned() };
            (plans, [first.into(), name], Vec::new(), Vec::new())
        }
        (None, Some(_), None) => {
            return Err(usage(
                "--after alone is compared with nothing: give --before COMMAND, --baseline FILE or --record FILE",
            ));
        }
        (Some(before), Some(after), Some(build)) => {
            if args.command.is_empty() {
                return Err(usage("--build needs the command that runs in each worktree, after `--`"));
            }
            let caller = are_callers(args, &[&args.command])?;
            let worktrees = Worktree::both([before, after], build)?;
            let plan = |worktree: &Worktree| {
                let plan = plan(args, args.command.clone(), caller)?;
                Ok::<_, Failure>(Plan { directory: worktree.folder().to_path_buf(), ..plan })
            };
            let plans = [plan(&worktrees[0])?, plan(&worktrees[1])?];
            (plans, [before.clone(), after.clone()], Vec::new(), worktrees)
        }
        (Some(before), Some(after), None) => {
            let (before, after) = (words(before)?, words(after)?);
            let caller = are_callers(args, &[&before, &after])?;
            let plans = [plan(args, before, caller)?, plan(args, after, caller)?];
            (plans, ["before".into(), "after".into()], Vec::new(), Vec::new())
        }
        _ => {
            let (plans, bounds) = of_files(args)?;
            let one = plans[0].scenario == plans[1].scenario;
            let names =
                plans.each_ref().map(|plan| if one { plan.variant_name().to_owned() } else { plan.title() });
            (plans, names, bounds, Vec::new())
        }
    };
    plans.iter().zip(&names).try_for_each(|(plan, name)| comparable(plan, name))?;
    let bounds = if args.require.is_empty() { bounds } else { args.require.clone() };
    let redact = args.machine.options(None)?.redact;
    let hidden = |text: &String| {
        let words = shell_words::split(text).unwrap_or_default();
        shell_words::join(plans[0].redaction(redact).words(&words))
    };
    let before = if reference.is_some() { None } else { args.before.as_ref() };
    let written =
        [before, args.after.as_ref()].map(|command| command.filter(|_| args.build.is_none()).map(hidden));
    let described = |at: usize| Described {
        name: names[at].clone(),
        command: written[at].clone().unwrap_or_else(|| command(&plans[at], redact)),
        load: load(&plans[at]),
        limit: plans[at].processes[&plans[at].subject].limits.soft,
    };
    let mut sides = [described(0), described(1)];
    if let Some(baseline) = reference.as_ref().and_then(|reference| reference.baseline.as_ref()) {
        sides[0] =
            Described { command: baseline.command.clone(), load: baseline.load.clone(), ..sides[0].clone() };
    }
    let method = scheduled(method_of(args), &plans);
    Ok((
        Wanted {
            plans: padded(plans),
            sides,
            method,
            calls: args.calls.calls.map(u64::from),
            bounds,
            reference,
        },
        worktrees,
    ))
}

/// The words of a command in shell quotes.
fn words(text: &str) -> Result<Vec<String>, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let words = shell_words::split(text).map_err(|e| usage(format!("`{text}` is no command: {e}")))?;
    if words.is_empty() { Err(usage("a command is empty".into())) } else { Ok(words) }
}

/// The same for plans whose calls come at a rate.
fn scheduled(method: Method, plans: &[Plan; 2]) -> Method {
    let calls = plans.iter().flat_map(|plan| plan.workloads.values()).filter_map(|load| load.calls.as_ref());
    let scheduled = calls.into_iter().any(|calls| calls.schedule.is_some());
    Method { scheduled, ..method }
}

/// How blocks are made and decided.
fn method_of(args: &Args) -> Method {
    Method {
        seed: args.order_seed.unwrap_or_else(|| fastrand::u64(1..1_000_000)),
        alpha: ALPHA,
        band: args.band,
        blocks_max: args.blocks,
        within_s: args.within,
        scheduled: args.calls.rate.is_some(),
    }
}

/// Whether the commands are programs that call: one of them names the upstream, or it is asked for.
fn are_callers(args: &Args, commands: &[&[String]]) -> Result<bool, Failure> {
    let usage = |message: String| Err(Failure::new(Exit::Usage, message));
    let env = args.env.iter().map(|(_, value)| value);
    let named = Find::names_upstream(commands.iter().copied().flatten().chain(env)).is_some();
    match (named, args.upstream, args.port) {
        (_, Some(Upstream::Tcp), _) => {
            usage("calls are compared, and a tcp upstream answers none: http, https, grpc or grpcs".into())
        }
        (true, Some(upstream), Some(_)) | (false, Some(upstream), Some(_)) if upstream.tls() => {
            usage(format!("--port is of a plain upstream: {upstream} listens on a port of its own for TLS"))
        }
        (false, Some(upstream), None) => usage(format!(
            "nothing names the upstream of --upstream {upstream}: write `{{upstream}}` (a URL) or `{{upstream-address}}` \
             in the commands, or give the port that they always call with --port"
        )),
        _ if named || args.upstream.is_some() => {
            let of_server = &args.calls;
            match of_server.concurrency.is_some() || of_server.rate.is_some() || of_server.asks() {
                true => usage(
                    "--concurrency, --rate, --path, --method and --header are of a server: a program that calls makes \
                     its own calls"
                        .into(),
                ),
                false => Ok(true),
            }
        }
        _ => Ok(false),
    }
}

/// The plan of a command: a program that calls, or a server.
fn plan(args: &Args, command: Vec<String>, caller: bool) -> Result<Plan, Failure> {
    let failed = |e: String| Failure::new(Exit::Usage, e);
    let most = budget::raise_own().hard;
    let find = Find {
        upstream: caller.then(|| args.upstream.unwrap_or(Upstream::Http)),
        calls: caller,
        env: args.env.iter().cloned().collect(),
        requests: (!caller).then(|| args.calls.asked()),
        path: args.calls.path.clone(),
        port: args.port.filter(|_| !caller),
        ..Find::new(&command, args.nofile.unwrap_or(Limits { soft: most, hard: most }))
    };
    let mut plan = find.plan().map_err(|e| failed(format!("the current folder cannot be told: {e}")))?;
    if let (true, Some(port)) = (caller, args.port)
        && let Some(upstream) = plan.processes.get_mut(Find::UPSTREAM)
    {
        upstream.port = Some(port);
    }
    Ok(plan)
}

/// The plan of the one scenario, or of its variant, that is recorded or compared with a recording.
fn of_one_file(args: &Args) -> Result<Plan, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let ([path], [] | [_]) = (&args.files[..], &args.variant[..]) else {
        return Err(usage(
            "a recording is of one side: give --after COMMAND, or one scenario file and one --variant".into(),
        ));
    };
    of_commands(args)?;
    named(&of_file(path)?, args.variant.first(), path)
}

/// A scenario says itself what the options of commands say.
fn of_commands(args: &Args) -> Result<(), Failure> {
    let of_command = args.calls.given() || args.nofile.is_some() || !args.env.is_empty();
    match of_command || args.upstream.is_some() || args.port.is_some() {
        true => Err(Failure::new(
            Exit::Usage,
            "a scenario says what is called, and how: --calls, --concurrency, --rate, --path, --method, --header, \
             --nofile, --env, --upstream and --port are of commands",
        )),
        false => Ok(()),
    }
}

/// The plan of a variant; `base`, and none, is the scenario as written.
fn named(plans: &[Plan], name: Option<&String>, path: &Path) -> Result<Plan, Failure> {
    let wanted = name.filter(|name| name.as_str() != "base");
    let found = plans.iter().find(|plan| plan.variant.as_ref() == wanted);
    let there = || plans.iter().map(Plan::variant_name).collect::<Vec<_>>().join(", ");
    let none = || {
        let wanted = wanted.map_or("base", |w| w);
        format!("{} has no variant `{wanted}`: it has {}", path.display(), there())
    };
    found.cloned().ok_or_else(|| Failure::new(Exit::Usage, none()))
}

/// The plans of scenario files, and their bounds: those of the second file, if its `[compare]` is about this
/// plan.
fn of_files(args: &Args) -> Result<([Plan; 2], Vec<Bound>), Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    of_commands(args)?;
    let (first, second, names) = match (&args.files[..], &args.variant[..]) {
        ([], _) => {
            return Err(usage(
                "what is to be compared? Give --before COMMAND and --after COMMAND, or one or two scenario files".into(),
            ));
        }
        ([path], [before, after]) => (path, path, [Some(before), Some(after)]),
        ([path], [after]) => (path, path, [None, Some(after)]),
        ([path], []) => (path, path, [None, None]),
        ([before, after], []) => (before, after, [None, None]),
        _ => {
            return Err(usage(
                "two variants are of one file: give one file with two --variant, or two files".into(),
            ));
        }
    };
    let (before, after) = (of_file(first)?, of_file(second)?);
    let gate = after.first().and_then(|plan| plan.compare.clone());
    let gated = gate.as_ref().and_then(|gate| gate.variant.clone());
    let gated = gated.or_else(|| after.get(1).and_then(|plan| plan.variant.clone()));
    let default = if args.files.len() == 1 { gated.as_ref() } else { None };
    if args.files.len() == 1 && names[1].is_none() && default.is_none() {
        return Err(usage(format!("{} has no variant to compare with", first.display())));
    }
    let plans = [named(&before, names[0], first)?, named(&after, names[1].or(default), second)?];
    let applies = args.files.len() == 2 || plans[1].variant == gated && plans[0].variant.is_none();
    let bounds = gate.filter(|_| applies).map_or(Vec::new(), |gate| gate.require);
    Ok((plans, bounds))
}

/// Refuses a scenario with parts that a comparison would leave out: it would compare something else then.
fn comparable(plan: &Plan, name: &str) -> Result<(), Failure> {
    let usage = |what: String| {
        Err(Failure::new(Exit::Usage, format!("{name} has {what}, which `compare` does not make")))
    };
    let holds = plan.workloads.iter().find(|(_, workload)| workload.calls.is_none());
    let calls = plan.workloads.values().filter(|workload| workload.calls.is_some()).count();
    match holds {
        _ if !plan.sysctls.is_empty() => usage("sysctls".into()),
        _ if !plan.then.is_empty() => usage("limits that are moved (`then`)".into()),
        Some((name, _)) => usage(format!("clients that hold connections (workload `{name}`)")),
        None if calls > 1 => usage("several workloads".into()),
        None => Ok(()),
    }?;
    match scenario::preflight(plan).first() {
        Some(obstacle) => Err(Failure::new(Exit::Inconclusive, format!("{name}: {obstacle}"))),
        None => Ok(()),
    }
}

/// The plans of the one file that is meant.
fn of_file(path: &Path) -> Result<Vec<Plan>, Failure> {
    match &discovered(&[path.to_path_buf()])?[..] {
        [file] => loaded(file),
        several => Err(Failure::new(
            Exit::Usage,
            format!("{} is {} scenarios: name one file", path.display(), several.len()),
        )),
    }
}

/// The subject's words.
fn command(plan: &Plan, redact: bool) -> String {
    match &plan.processes[&plan.subject].program {
        Program::Command(words) => shell_words::join(plan.redaction(redact).words(words)),
        Program::Serve(serve) => format!("lastfd serve {}", serve.arguments().join(" ")),
        Program::Call(workload) => format!("the bundled caller, workload `{workload}`"),
    }
}

/// The load that calls the subject, or the upstream that it calls.
fn load(plan: &Plan) -> String {
    match (
        plan.upstream().filter(|_| plan.subject_is_client()),
        plan.workloads.iter().find(|(_, w)| w.calls.is_some()),
    ) {
        (Some((name, serves)), None) => format!("the program's own, to the bundled {serves} server `{name}`"),
        (_, Some((name, workload))) => match &workload.calls {
            Some(calls) => {
                let kind = callers().iter().find(|entry| entry.kind == calls.caller);
                format!("workload `{name}`: {}", kind.map_or("", |kind| kind.name))
            }
            None => name.clone(),
        },
        (_, None) => "none".into(),
    }
}

/// Commands and environments of equal length: the stack of a process begins below them, and its alignment can
/// cost per cents.
fn padded(mut plans: [Plan; 2]) -> [Plan; 2] {
    let bytes = |plan: &Plan| {
        let subject = &plan.processes[&plan.subject];
        let env: usize = subject.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        let folder = plan.directory.as_os_str().len();
        env + folder + subject.words().map(|word| word.len() + 1).sum::<usize>()
    };
    let both = plans.each_ref().map(bytes);
    let longest = both[0].max(both[1]);
    for (plan, bytes) in plans.iter_mut().zip(both) {
        let subject = plan.subject.clone();
        if let Some(process) = plan.processes.get_mut(&subject) {
            process.env.insert(PADDING.into(), "x".repeat(longest - bytes));
        }
    }
    plans
}

/// The variable that makes environments equally long.
const PADDING: &str = "LASTFD_PADDING";

fn time(text: &str) -> Result<f64, String> {
    seconds(text, 24.0 * 3600.0)
}

//! `lastfd run`: runs scenario files, every variant of each, one after the other.

use super::check::{none_called, variant};
use super::output::{Files, Progress, conclude, exit_code, has_room, interrupt_flag, interrupted, say};
use super::own::own_helper;
use super::values::one_of;
use super::{Exit, Failure, Outcome};
use crate::event::{Event, Log};
use crate::helper::Helper;
use crate::judge;
use crate::launch::Isolation;
use crate::measure::Why;
use crate::observe::Choice;
use crate::report::{Report, words};
use crate::run::{Error, Options, Run};
use crate::scenario::{self, Dialogue, InFile, Obstacle, Plan, ReadyWhen, Setting, Stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Run scenarios and check what they expect
#[derive(Debug, clap::Args)]
#[command(after_help = super::exit::HELP)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them [default: scenarios/]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only scenarios whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only this variant (`base` is the scenario as written)
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Run each variant this many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Run only every N-th variant, starting with the M-th: one machine's share of the work
    #[arg(long, value_name = "slice:M/N", value_parser = slice)]
    partition: Option<(usize, usize)>,
    /// Print what would run, with its limits and inherited descriptors; start nothing
    #[arg(long)]
    dry_run: bool,
    /// Fail (exit 5) instead of skipping when something that a run requires is missing;
    /// LASTFD_REQUIRE_PEERS=1 does the same
    #[arg(long)]
    require_all: bool,
    /// Write the event log of each run to this folder
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    files: Files,
}

/// How to run on this machine
#[derive(Debug, Clone, clap::Args)]
pub struct Machine {
    /// How to observe system calls
    #[arg(long, value_parser = one_of(Choice::ALL, Choice::name, Choice::doc), default_value_t)]
    observer: Choice,
    /// How to make sure that no process of the server is left behind; where it is refused, the next one is
    /// tried
    #[arg(long, value_parser = one_of(Isolation::ALL, Isolation::name, Isolation::doc), default_value_t)]
    isolation: Isolation,
    /// Hide all arguments of commands and values of the environment in reports and logs, not only those that
    /// look like secrets
    #[arg(long)]
    redact: bool,
}

impl Machine {
    /// Options of a run on this machine.
    ///
    /// # Errors
    /// This program's own path is not known.
    pub fn options(&self, events: Option<PathBuf>) -> Result<Options, Failure> {
        let options = Options::with(own_helper().map_err(|e| Failure::new(Exit::Fault, e))?);
        let (observer, isolation, redact) = (self.observer, self.isolation, self.redact);
        Ok(Options { observer, isolation, redact, events, ..options })
    }
}

fn slice(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.strip_prefix("slice:").and_then(|rest| {
        let (m, n) = rest.split_once('/')?;
        Some((m.parse::<usize>().ok()?, n.parse::<usize>().ok()?))
    });
    parsed
        .filter(|&(m, n)| (1..=n).contains(&m))
        .ok_or_else(|| "slice:M/N with 1 ≤ M ≤ N, such as slice:1/2".into())
}

/// Runs what is selected.
///
/// # Errors
/// An invalid scenario, nothing selected, an unwritable path, or a fault.
pub fn run(args: &Args) -> Outcome {
    args.files.preflight()?;
    if let Some(directory) = &args.events {
        writable_folder(directory)?;
    }
    // Before: reading sysctls makes a network namespace.
    let flag = interrupt_flag()?;
    let plans = select(args)?;
    if interrupted(&flag) {
        return Ok(Exit::Interrupted);
    }
    if args.dry_run {
        plans.iter().try_for_each(|plan| dry_run(plan, &args.machine))?;
        return Ok(Exit::Met);
    }
    let skips_fail = args.require_all || std::env::var("LASTFD_REQUIRE_PEERS").is_ok_and(|v| v == "1");
    let machine = args.machine.options(None)?;
    let (mut done, mut said) = (Vec::new(), Ok(()));
    for (plan, number) in plans.iter().flat_map(|plan| (1..=args.repeat).map(move |n| (plan, n))) {
        let events =
            args.events.as_ref().map(|directory| directory.join(file_name(plan, number, args.repeat)));
        let mut progress = Progress::new(&plan.title(), args.files.quiet());
        if !args.files.quiet() {
            let which =
                if args.repeat == 1 { String::new() } else { format!(" ({number} of {})", args.repeat) };
            let claim = plan.redaction(args.machine.redact).text(&plan.claim);
            said = said.and(say(&format!(
                "▶ {}{which}: {claim}
",
                plan.title()
            )));
        }
        let outcome = execute(
            plan,
            &Options { events, ..machine.clone() },
            &flag,
            &mut progress,
            args.files.carries_logs(),
        )?;
        drop(progress);
        said = said.and(args.files.print(std::slice::from_ref(&outcome.0)));
        done.push(outcome);
        if interrupted(&flag) {
            break;
        }
    }
    let exit = exit_code(&done, skips_fail, interrupted(&flag));
    conclude(&args.files, done, exit, said)
}

/// The runs that the paths and filters select.
fn select(args: &Args) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::new();
    for file in &super::check::discovered(&args.paths)? {
        plans.extend(super::check::loaded(file)?);
    }
    if let Some(text) = &args.filter {
        let holds = |plan: &Plan| plan.scenario.contains(text.as_str());
        plans = narrowed(plans, holds, |plan| &plan.scenario, "no scenario has a name with", text)?;
    }
    if let Some(name) = &args.variant {
        plans = narrowed(plans, |plan| variant(plan) == name, variant, "no variant is called", name)?;
    }
    let all = plans.len();
    if let Some((m, n)) = args.partition {
        plans = plans.into_iter().skip(m - 1).step_by(n).collect();
    }
    match (plans.is_empty(), args.partition) {
        (true, Some((m, n))) => {
            let message = format!("slice {m} of {n} has no run: {all} selected in all");
            Err(Failure::new(Exit::NothingSelected, message))
        }
        _ => Ok(plans),
    }
}

/// The plans that pass; where none does, what they are called.
fn narrowed(
    plans: Vec<Plan>,
    passes: impl Fn(&Plan) -> bool,
    name: impl Fn(&Plan) -> &str,
    none: &str,
    wanted: &str,
) -> Result<Vec<Plan>, Failure> {
    let (passing, others): (Vec<Plan>, Vec<Plan>) = plans.into_iter().partition(passes);
    if passing.is_empty() {
        return Err(none_called(none, wanted, &others.iter().map(name).collect::<Vec<_>>()));
    }
    Ok(passing)
}

fn file_name(plan: &Plan, number: u32, repeat: u32) -> String {
    let name: String = plan
        .title()
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' || c == '.' { c } else { '-' })
        .collect();
    if repeat > 1 { format!("{name}.{number}.jsonl") } else { format!("{name}.jsonl") }
}

/// Finds a folder that cannot be written to before anything is started.
fn writable_folder(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)
        .and_then(|()| tempfile::tempfile_in(directory))
        .and_then(|file| has_room(&file))
        .map_err(|e| {
            Failure::new(Exit::Usage, format!("cannot write event logs to {}: {e}", directory.display()))
        })
}

fn dry_run(plan: &Plan, machine: &Machine) -> Result<(), Failure> {
    let plan = plan.redacted(&plan.redaction(machine.redact));
    let mut text = format!("{}: {}\n", plan.title(), plan.claim);
    for (name, process) in &plan.processes {
        let argv = crate::run::argv(&process.program, &Helper::lastfd("lastfd"));
        let launcher = crate::launch::registration(&process.launcher).name;
        text += &format!("  {name}: {}\n", shell_words::join(&argv));
        let other = [("RLIMIT_NPROC", process.rlimits.nproc), ("RLIMIT_AS", process.rlimits.address_space)];
        let rlimits: String =
            other.into_iter().filter_map(|(name, limit)| Some(format!(", {name} {}", limit?))).collect();
        text += &format!(
            "    launcher {launcher}, started with {}:{}{rlimits}\n",
            process.limits.soft, process.limits.hard
        );
        let setting = &process.setting;
        for line in setting_lines(setting) {
            text += &format!("    {line}\n");
        }
        let stdin = match &setting.stdin {
            None => "/dev/null",
            Some(Stdin::Text(_)) => "a text",
            Some(Stdin::File(InFile { file })) => file,
        };
        text += &format!("    inherits 0 ({stdin}), 1 and 2 (a pipe); every other descriptor is closed\n");
    }
    if !plan.sysctls.is_empty() {
        let all: Vec<String> = plan.sysctls.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        text += &format!("  in a network namespace of its own, with {}\n", all.join(", "));
    }
    for moved in &plan.then {
        text += &format!("  then: the soft limit of the live subject becomes {}\n", moved.limit.soft);
    }
    for (name, workload) in &plan.workloads {
        let kind = match &workload.program {
            Some(program) => program.run.first().map_or("", String::as_str),
            None => workload.kind.map_or("asks", Dialogue::name),
        };
        text += &format!("  {name}: {kind} to {}, {}\n", workload.to, words::plan::wanted(workload));
    }
    say(&text)
}

/// What surrounds a process, a line each.
fn setting_lines(setting: &Setting) -> impl Iterator<Item = String> {
    let files = setting.files.iter().map(|(name, from)| format!("copies {from} to {{scratch}}/{name}"));
    let prepare = setting.prepare.iter();
    let prepare = prepare.map(|prepare| format!("runs `{}` first", shell_words::join(&prepare.run)));
    let user = setting.user.iter().map(|user| format!("runs as user {user}"));
    let directory = setting.directory.iter().map(|directory| format!("starts in {directory}"));
    let ready = setting.ready.iter().map(|ready| match ready {
        ReadyWhen::Path(path) => format!("is ready when {path} exists, and it listens"),
        ReadyWhen::Log(pattern) => format!("is ready when a line matches `{pattern}`, and it listens"),
        ReadyWhen::Command(words) => {
            format!("is ready when `{}` ends with exit status 0, and it listens", shell_words::join(words))
        }
    });
    files.chain(user).chain(directory).chain(prepare).chain(ready)
}

/// One run, measured, judged and made into a report; skipped, or inconclusive, when this machine lacks
/// something for it.
///
/// # Errors
/// The event log cannot be written.
fn execute(
    plan: &Plan,
    options: &Options,
    flag: &AtomicBool,
    progress: &mut Progress,
    logs: bool,
) -> Result<(Report, Option<Error>), Failure> {
    let obstacles = scenario::preflight(plan);
    let told = plan.redacted(&plan.redaction(options.redact));
    for obstacle in &obstacles {
        if let Obstacle::Missing { requirement, why, .. } = obstacle {
            return Ok((Report::skipped(&told, judge::Verdict::skipped(requirement, why)), None));
        }
    }
    let refused = obstacles.first().map(|obstacle| refusal(obstacle, obstacle.to_string()));
    attempt(plan, refused, options, flag, progress, logs)
}

/// Why a run is not begun, in these words.
pub fn refusal(obstacle: &Obstacle, words: String) -> Error {
    match obstacle {
        Obstacle::Program { .. } => Error::NotStarted(words),
        _ => Error::Inconclusive(words),
    }
}

/// One run, unless it is refused; measured, judged and made into a report. `logs`: whether that is to carry
/// the event log.
///
/// # Errors
/// The event log cannot be written.
pub fn attempt(
    plan: &Plan,
    refused: Option<Error>,
    options: &Options,
    flag: &AtomicBool,
    progress: &mut Progress,
    logs: bool,
) -> Result<(Report, Option<Error>), Failure> {
    let told = plan.redacted(&plan.redaction(options.redact));
    if let Some(error) = refused {
        let run = Run::refused(&told, error);
        return Ok((reported(&told, run.events, options, logs), run.error));
    }
    let observed_by = |observer: Choice, progress: &mut Progress| {
        let options = Options { observer, ..options.clone() };
        let run = crate::run::run(plan, &options, flag, &mut |step| progress.step(step))
            .map_err(|e| Failure::new(Exit::Usage, e))?;
        Ok((reported(&told, run.events, &options, logs), run.error))
    };
    let first = observed_by(options.observer, progress)?;
    // perf is stopped by the kernel in a program that changes its user as it is executed: ptrace is not.
    let ptrace = options.observer == Choice::Auto && first.1.is_none() && is_blind(&first.0);
    if !ptrace {
        return Ok(first);
    }
    progress.say("perf saw no accept of this program: once more, under ptrace");
    let second = observed_by(Choice::Ptrace, progress)?;
    Ok(if second.1.is_some() { first } else { second })
}

/// The report of a run, with its log where a report is to carry that.
fn reported(told: &Plan, events: Vec<Event>, options: &Options, logs: bool) -> Report {
    let log = Log::new(events);
    let report = Report::of(told, &log);
    let file = options.events.as_ref().and_then(|path| path.file_name());
    match logs {
        true => report.carrying(&log, file.map(|name| name.to_string_lossy().into_owned())),
        false => report,
    }
}

/// Whether perf saw no accept of a program that served clients.
fn is_blind(report: &Report) -> bool {
    let blind = matches!(
        report.found.ceiling.kind.why(),
        Some(Why::BlindByCount { .. } | Why::BlindByClients { .. })
    );
    blind && report.found.witnesses.all.iter().any(|witness| witness.observer == "perf")
}

//! Advice to the reader: it fits the verdict, the program, and whatever set the limit.

use super::super::Report;
use super::limits::{self, Hard, Setter, name};
use super::{calls, counted, flows, is_caller, number, recovery, sockets};
use crate::event::Ended;
use crate::judge::Outcome;
use crate::measure::{Binds, IdleTimeout, Kind, Policy, Resource, SetBy, Verdict};

/// A process above the program is restarted; what became the program, or is none of its ancestors, is started
/// again.
const RESTART: &str = "restart";
const START: &str = "start";

/// Where the limit of a running service comes from; and the same in fewer words.
const WHO_SETS_IT: [[&str; 2]; 2] =
    [["own limit", "`lastfd inspect PID` shows who sets it"], ["limit", "see `lastfd inspect PID`"]];

/// Programs that begin a session with the limits of limits.conf; and how to begin the next session.
const SESSIONS: [(&str, &str); 6] = [
    ("runuser", "start it through `runuser` again"),
    ("su", "start it through `su` again"),
    ("sudo", "start it through `sudo` again"),
    ("cron", "let `cron` start it again"),
    ("sshd", "log in again"),
    ("login", "log in again"),
];

/// Steps to take, the most important first, each in its wordings, the longest first; empty where nothing
/// needs to be done.
pub fn advice(r: &Report) -> Vec<Vec<String>> {
    let [long, brief] = WHO_SETS_IT.map(|inspect| steps(r, inspect));
    long.into_iter()
        .zip(brief)
        .map(|(long, brief)| if long == brief { vec![long] } else { vec![long, brief] })
        .collect()
}

fn steps(r: &Report, inspect: [&str; 2]) -> Vec<String> {
    let ceiling = &r.found.ceiling;
    if r.found.not_started.is_some() || matches!(r.verdict.outcome, Outcome::Skipped | Outcome::Inconclusive)
    {
        return not_concluded(r).into_iter().map(str::to_owned).collect();
    }
    let select = |binds: &Binds| binds.resource == Resource::FdSetsize;
    let dead = r.found.policy.policy.value() == Some(Policy::AcceptLoopDead);
    let only = match ceiling.kind.value() {
        // Beyond FD_SETSIZE it cannot release the descriptors that it holds.
        _ if r.found.binds.get().is_some_and(select) => other(Resource::FdSetsize).into(),
        // A loop that is dead may close nothing either.
        _ if leaks(r) && dead => {
            let left = "If these are leaks, a higher limit only delays the failure.";
            return mend(r).into_iter().chain([left.to_owned()]).collect();
        }
        _ if leaks(r) => leak(r),
        Some(Kind::Emfile) if calls::leaks(r) => leak_by_calls(r),
        _ if full(r) => return mend(r).into_iter().chain([more_descriptors(r, inspect)]).collect(),
        Some(Kind::Enfile) => "Raise `fs.file-max` on the host: a limit of the process does not help.".into(),
        Some(Kind::OwnLimit) => return own_rule(r),
        Some(Kind::OtherLimit | Kind::Exited) => match r.found.binds.get() {
            Some(binds) => other(binds.resource).into(),
            None if ceiling.exited_when_asked() => {
                "Name what its clients do (`--workload`), so that lastfd need not ask.".into()
            }
            None => "Read what it wrote before it exited: a restart only hides the cause.".into(),
        },
        Some(Kind::NotReached) => match ceiling.idle_timeout {
            Some(idle) if r.found.handed_over.is_none() => faster(r, idle),
            _ => return further(r).into_iter().map(str::to_owned).collect(),
        },
        _ => return Vec::new(),
    };
    vec![only]
}

/// Advice for a run that allows no conclusion, or whose subject did not start.
fn not_concluded(r: &Report) -> Option<&'static str> {
    if let Some(refused) = &r.found.not_started {
        let by_itself = r.verdict.outcome != Outcome::Met && refused.exit_status.is_some();
        return by_itself
            .then_some("Start the same command by hand under the same limit, and read what it writes.");
    }
    Some(match (r.verdict.outcome, r.found.ceiling.kind.value()) {
        (Outcome::Skipped, _) => return None,
        (_, Some(Kind::Generator)) => {
            "Give lastfd more descriptors or ports (`lastfd doctor` shows how), and run it again."
        }
        _ if interrupted(r) => "Run it again to its end.",
        _ => "Run it again when that is out of the way.",
    })
}

/// The way to a ceiling that was not reached.
fn further(r: &Report) -> Option<&'static str> {
    if let Some(flows) = flows::advice(r) {
        return Some(flows);
    }
    if r.found.handed_over.is_some() {
        return Some(
            "Limit the number of its processes (`ulimit -u`, `TasksMax=`): each connection gets one of its own.",
        );
    }
    if r.verdict.outcome == Outcome::Met && r.verdict.judged > 0 && !stays_open(r) {
        return Some("Nothing needs to be done.");
    }
    (r.verdict.judged == 0 && !r.found.ceiling.in_calls()).then(|| match super::clients::all_left(r) {
        true => "To find the ceiling, use clients that hold their connection, or more at the same time.",
        false => "To find the ceiling, connect more clients (`--clients`).",
    })
}

/// The rate of clients that fills its table before its timer closes them.
fn faster(r: &Report, idle: IdleTimeout) -> String {
    let rate = r.found.prediction.ceiling.value().map_or(String::new(), |ceiling| {
        format!(
            ": {ceiling} connections take more than {:.0} clients a second",
            (ceiling as f64 / idle.after_s).ceil()
        )
    });
    let faster = match super::clients::waiting(r) {
        Some(_) => "make it take waiting clients faster",
        None => "let clients come faster (`--pace burst`)",
    };
    format!("To find the ceiling, {faster}, or give its idle timeout more time{rate}.")
}

/// Whether descriptors were left open, be it for a while.
fn stays_open(r: &Report) -> bool {
    r.found.recovery.leaked.value().is_none_or(|leaked| leaked > 0) || calls::leaks(r)
}

/// Whether descriptors that stay open keep it from recovering.
fn leaks(r: &Report) -> bool {
    let stays_open = r.found.recovery.leaked.value().is_some_and(|leaked| leaked > 0);
    match r.found.end.get().map(|end| end.verdict) {
        Some(Verdict::Leaking) => true,
        Some(Verdict::Stuck) => stays_open,
        // No probe asks a caller whether it recovers. If its peers have closed, it has not recovered.
        None => stays_open && r.found.ceiling.in_calls() && sockets::close_wait(r).is_some(),
        _ => false,
    }
}

/// It ran out of its own descriptors.
fn full(r: &Report) -> bool {
    let ceiling = &r.found.ceiling;
    match ceiling.kind.value() {
        Some(Kind::OtherLimit) => {
            r.found.binds.get().is_some_and(|binds| binds.resource == Resource::Descriptors)
        }
        Some(kind) => kind == Kind::Emfile,
        None => ceiling.reached.value() == Some(true),
    }
}

/// Whether a signal ended the run early.
fn interrupted(r: &Report) -> bool {
    r.found.timings.phases.iter().any(|step| step.ended == Ended::Interrupted)
}

fn leak(r: &Report) -> String {
    let mut what = recovery::leaked_kinds(r);
    // Where nothing is said of recovery, nothing said how many.
    if let (None, Some(n)) = (r.found.end.get(), r.found.recovery.leaked.value()) {
        what.insert(
            0,
            format!(
                "{} {} open",
                counted(n.unsigned_abs(), "descriptor"),
                number(n.unsigned_abs(), "stays", "stay")
            ),
        );
    }
    // The sentence before lists the kinds that are known by name, and those of a stuck server.
    let stuck = r.found.end.get().is_some_and(|end| end.verdict == Verdict::Stuck);
    let what = if what.is_empty() || stuck || !r.found.leaks.is_empty() {
        String::new()
    } else {
        format!(" ({})", what.join(", "))
    };
    let runs_out = full(r) || r.found.ceiling.kind.value() == Some(Kind::NotReached);
    let why = match runs_out {
        true => "a higher limit only delays the failure",
        false => "descriptors did not run out, so a higher limit does not help",
    };
    format!("Restart it, then fix the leak{what}: {why}.")
}

fn leak_by_calls(r: &Report) -> String {
    let opens = match calls::left_open_per_1000(r).unwrap_or(0.0) {
        n if n < 1000.0 => format!("about {n:.0} of 1000 calls leave a descriptor open"),
        n => format!("each call leaves {} open", counted((n / 1000.0).round() as u64, "descriptor")),
    };
    format!("Make it close what each call opens: {opens}; a higher limit only delays the failure.")
}

/// The program's own setting makes the number.
fn own_rule(r: &Report) -> Vec<String> {
    if r.found.ceiling.held() == Some(0) {
        return vec!["Check that the clients speak its protocol (`--workload`, `--path`).".into()];
    }
    if r.found.policy.policy.value() == Some(Policy::AcceptLoopDead) {
        return vec![
            "Restart it. Look at what it does meanwhile (`perf top -p PID`, `strace -p PID`).".into(),
        ];
    }
    if super::clients::all_answered(r) {
        return vec![
            "It serves everybody who comes: its own settings say how many connections it keeps alive, and how long.".into(),
        ];
    }
    // One run cannot tell which of the two it is.
    vec![format!(
        "Run {}: if the ceiling grows too, raise the soft limit; if not, look in the server's own settings.",
        sweep(r)
    )]
}

/// The command that runs it under two limits.
pub fn sweep(r: &Report) -> String {
    match r.found.limits.effective.value().map(|limits| limits.soft) {
        Some(soft) => format!("`lastfd find --nofile {soft},{} …`", soft.saturating_mul(2)),
        None => "`lastfd find --nofile 1024,2048 …`".into(),
    }
}

fn other(resource: Resource) -> &'static str {
    match resource {
        Resource::Threads | Resource::Processes => {
            "Raise its limit of tasks (`ulimit -u`, `LimitNPROC=`, `TasksMax=`, `--pids-limit`), or serve more connections with each."
        }
        Resource::InotifyInstances => {
            "Raise `fs.inotify.max_user_instances` (`sysctl`), or make it hold fewer inotify instances: no descriptor limit changes this number."
        }
        Resource::FdSetsize => {
            "Use poll() or epoll in place of select(), or keep its soft limit at 1024 or less: a higher one makes it worse."
        }
        Resource::OtherKernelLimit => {
            "The manual page of the call that failed lists its other limits: no descriptor limit changes this number."
        }
        Resource::AcceptQueue => "Raise its backlog and net.core.somaxconn.",
        _ => {
            "Give it more memory (`ulimit -v`, `MemoryMax=`, `--memory`), or find what each connection takes."
        }
    }
}

/// A change to its code, to make before the limit is raised: it should handle a full table better.
fn mend(r: &Report) -> Option<String> {
    if r.found.ceiling.held() == Some(0) {
        return None;
    }
    let end = r.found.end.get().map(|end| end.verdict);
    Some(match (r.found.policy.policy.value()?, end) {
        (Policy::AcceptLoopDead, Some(Verdict::Stuck | Verdict::Gone))
        | (Policy::WaitsForArrival, Some(Verdict::Stuck)) => {
            "Restart it, then make its code retry a failed accept.".into()
        }
        (Policy::Exits, _) => {
            format!("Restart it, then make its code survive a failed {}.", failed(r))
        }
        (Policy::WorkerRestarts, _) => format!("Make its code survive a failed {}.", failed(r)),
        (Policy::Spin, _) => "Make its code pause after a failed accept.".into(),
        (Policy::WaitsForArrival, _) => {
            "Make its code accept again when one of its connections is closed.".into()
        }
        _ => return None,
    })
}

/// The call whose failure ended a process; which of several it was, the log does not tell.
fn failed(r: &Report) -> String {
    let calls = match super::policy::ended_by(r) {
        Some(ended) if ended.in_order.is_empty() => vec![ended.call],
        Some(ended) => ended.in_order.clone(),
        None => r.found.ceiling.first_failure.get().map(|failed| failed.call).into_iter().collect(),
    };
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    if calls.is_empty() { "accept".to_owned() } else { calls.join(" or ") }
}

/// Where the limit is raised, by whatever set it.
fn more_descriptors(r: &Report, inspect: [&str; 2]) -> String {
    let raise = raise(r, inspect);
    let soft = r.found.limits.effective.value().map(|limits| limits.soft);
    let in_child = r.found.ceiling.first_failure.get().is_some_and(|first| first.in_child);
    match (r.found.ceiling.held(), soft) {
        (Some(0), Some(soft)) if !in_child => format!("It uses all {soft} descriptors by itself: {raise}."),
        _ if recovery::open_at_the_end(r).is_some() => {
            format!("If all its calls had ended by then, they leak: fix that. If some had not, {raise}.")
        }
        _ if r.found.ceiling.in_calls() => format!("For more calls at a time, {raise}."),
        _ => format!("To hold more, {raise}."),
    }
}

fn raise(r: &Report, [limit, inspect]: [&str; 2]) -> String {
    let yours = if is_caller(r) { "your caller's" } else { "your service's" };
    let Some(by) = r.found.limits.set_by.get() else {
        return "raise the soft limit where it is started, and start it again".into();
    };
    match Setter::of(r, by) {
        Setter::Run => format!("raise {yours} {limit} ({inspect})"),
        Setter::ToItsHardLimit => match limits::hard(r) {
            Some(Hard::By(name)) => format!("raise the hard limit in `{name}` and start that again"),
            _ => format!("raise {yours} hard limit ({inspect})"),
        },
        Setter::Program => "raise the limit in the program's own settings".into(),
        Setter::Inherited | Setter::Ancestor => place(r, by, RESTART),
        Setter::BeforeExec | Setter::Another | Setter::Unseen => place(r, by, START),
    }
}

/// The setting to change, and what to restart.
fn place(r: &Report, by: &SetBy, start: &str) -> String {
    let program = name(&by.command);
    let launcher = limits::launcher(r, by);
    let session = name(launcher);
    if let Some((_, again)) = SESSIONS.into_iter().find(|(program, _)| *program == session) {
        return format!("raise `nofile` in limits.conf (pam_limits.so reads it) and {again}");
    }
    match (limits::setting(launcher), start) {
        (Some(setting), _) => format!("raise `{}` {} and {}", setting.name, setting.place, setting.then),
        (None, RESTART) => format!("raise the limit in `{program}` and restart that, not only its child"),
        (None, _) => format!("raise the limit in `{program}` and start it again"),
    }
}

//! Plans at small limits: what a scenario shows at a thousand descriptors, it shows at sixty-four.

use lastfd::internal::event::Limits;
use lastfd::internal::scenario::{Ceiling, Launcher, Plan, Process, Session};

/// A plan whose subject has more descriptors than this is made smaller …
const LARGE: u64 = 128;
/// … so that it has about so many.
const SMALL: u64 = 64;

/// The runs of one scenario file, all made smaller by one factor, which the run as written decides: what is more, or less, stays so.
pub fn small(plans: Vec<Plan>) -> Vec<Plan> {
    let soft = plans.first().map_or(0, |base| in_force(&base.processes[&base.subject]));
    if soft <= LARGE {
        return plans;
    }
    plans.into_iter().map(|plan| smaller(plan, soft / SMALL)).collect()
}

/// The soft limit that the program gets.
fn in_force(process: &Process) -> u64 {
    match &process.launcher {
        Launcher::SupervisorLike(supervisor) | Launcher::Supervisord(supervisor) => {
            supervisor.minfds.max(process.limits.soft)
        }
        _ => process.limits.soft,
    }
}

fn smaller(mut plan: Plan, by: u64) -> Plan {
    let original = plan.processes[&plan.subject].limits.soft;
    for process in plan.processes.values_mut() {
        process.limits = limits(process.limits, by);
        launcher(&mut process.launcher, by);
    }
    for workload in plan.workloads.values_mut().filter(|workload| workload.calls.is_none()) {
        workload.clients = workload.clients.map(|clients| (clients / by as u32).max(1));
    }
    for then in &mut plan.then {
        then.limit.soft = divided(then.limit.soft, by);
        then.limit.hard = then.limit.hard.map(|hard| divided(hard, by));
    }
    let expect = &mut plan.expect;
    for limit in [&mut expect.limits.soft, &mut expect.limits.hard] {
        *limit = limit.map(|limit| divided(limit, by));
    }
    // A number of clients holds for one limit only.
    let of = expect.limits.soft.map_or(original, |soft| soft * by);
    expect.ceiling = expect.ceiling.take().and_then(|ceiling| match ceiling {
        Ceiling::Exactly(at) => divided(of, by).checked_sub(of.saturating_sub(at)).map(Ceiling::Exactly),
        Ceiling::Range(..) => None,
        other => Some(other),
    });
    plan.claim = format!("{} (recorded with limits and clients divided by {by})", plan.claim);
    plan
}

fn launcher(launcher: &mut Launcher, by: u64) {
    match launcher {
        Launcher::SupervisorLike(supervisor) | Launcher::Supervisord(supervisor) => {
            supervisor.minfds = divided(supervisor.minfds, by);
        }
        Launcher::Shell(shell) => {
            shell.soft = shell.soft.map(|soft| divided(soft, by));
            shell.hard = shell.hard.map(|hard| divided(hard, by));
        }
        Launcher::Runuser(session) | Launcher::Su(session) => limits_conf(session, by),
        Launcher::SystemdLike { limit_nofile: set } | Launcher::ContainerLike { ulimit: set } => {
            *set = set.map(|set| limits(set, by));
        }
        // The others take no number.
        _ => {}
    }
}

/// The numbers of its limits.conf.
fn limits_conf(session: &mut Session, by: u64) {
    let line = |line: &str| {
        let words =
            line.split(' ').map(|word| word.parse().map_or(word.to_owned(), |n| divided(n, by).to_string()));
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = |text: String| text.lines().map(line).collect::<Vec<_>>().join("\n");
    session.limits_conf = session.limits_conf.take().map(lines);
}

fn limits(Limits { soft, hard }: Limits, by: u64) -> Limits {
    Limits { soft: divided(soft, by), hard: divided(hard, by) }
}

/// An odd limit stays odd: whether two descriptors a connection leave one over depends on that.
fn divided(n: u64, by: u64) -> u64 {
    n / by + u64::from(n % by == 1)
}

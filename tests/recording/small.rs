//! Plans at small limits: what a scenario shows at a thousand descriptors, it shows at sixty-four.

use lastfd::internal::event::Limits;
use lastfd::internal::scenario::{Caller, Calls, Ceiling, Launcher, Plan, Policy, Process, Program, Session};

/// A plan whose subject has more descriptors than this is made smaller …
const LARGE: u64 = 128;
/// … so that it has about so many.
const SMALL: u64 = 64;

/// The runs of one scenario file, all made smaller by one factor, which the run as written decides: what is
/// more, or less, stays so.
pub fn small(plans: Vec<Plan>) -> Vec<Plan> {
    let soft = plans.first().map_or(0, |base| in_force(&base.processes[&base.subject]));
    if soft <= LARGE {
        return plans;
    }
    plans.into_iter().map(|plan| if fixed(&plan) { plan } else { smaller(plan, soft / SMALL) }).collect()
}

/// Whether it stays as it is: it is small as written, or a number in it is no matter of its limit.
fn fixed(plan: &Plan) -> bool {
    let subject = &plan.processes[&plan.subject];
    let soft = in_force(subject);
    // A session without pam_limits.so gets the soft limit that runuser and su have built in.
    let built_in = match &subject.launcher {
        Launcher::Runuser(session) | Launcher::Su(session) => session.pam_limits == Some(false),
        _ => false,
    };
    let own_rule = match plan.expect.ceiling {
        Some(Ceiling::Exactly(at)) => soft.saturating_sub(at) > SMALL,
        _ => false,
    };
    soft <= LARGE || built_in || own_rule && plan.expect.policy == Some(Policy::LimitsItself)
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
    if let Program::Command(words) = &mut plan.processes.get_mut(&plan.subject).expect("checked").program {
        let limit = plan.expect.limits.soft.unwrap_or(original);
        words
            .iter_mut()
            .for_each(|word| *word = numbers(word, |n| if n == limit { divided(n, by) } else { n }));
    }
    // A bystander fills an accept queue, whose length is what it was.
    let bystands = |calls: &Calls| calls.caller == Caller::Caller;
    for workload in plan.workloads.values_mut().filter(|w| !w.calls.as_ref().is_some_and(bystands)) {
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
    if let Some(says) = expect.not_started.as_mut().and_then(|refusal| refusal.says.as_mut()) {
        *says = numbers(says, |n| divided(n, by));
    }
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
    session.limits_conf = session.limits_conf.take().map(|text| numbers(&text, |n| divided(n, by)));
}

/// The text with other numbers in it.
fn numbers(text: &str, other: impl Fn(u64) -> u64) -> String {
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_digit()).map(|piece| {
        let end = piece.trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        let (digits, after) = piece.split_at(end);
        digits.parse().map_or(piece.to_owned(), |n| format!("{}{after}", other(n)))
    });
    pieces.collect()
}

fn limits(Limits { soft, hard }: Limits, by: u64) -> Limits {
    Limits { soft: divided(soft, by), hard: divided(hard, by) }
}

/// An odd limit stays odd: whether two descriptors a connection leave one over depends on that.
fn divided(n: u64, by: u64) -> u64 {
    n / by + u64::from(n % by == 1)
}

//! The arithmetic of a plan: limits that its launcher leaves, descriptors at rest, what fits and how many
//! come. From the plan alone: nothing is started, and the machine is not asked.

use crate::event::Limits;
use crate::scenario::{
    AfterCall, Body, Caller, Calls, Ceiling, Channel, Launcher, Plan, Process, Program, Serve, ServeOptions,
    Workload,
};

/// The limits that a launcher which starts with `from` leaves to its child; `None` where the plan does not
/// tell.
pub fn left_by(launcher: &Launcher, from: Limits) -> Option<Limits> {
    match launcher {
        Launcher::Exec | Launcher::Nohup | Launcher::NohupLike => Some(from),
        Launcher::SupervisorLike(options) | Launcher::Supervisord(options) if from.soft < options.minfds => {
            Some(Limits { soft: options.minfds, hard: from.hard.max(options.minfds) })
        }
        Launcher::SupervisorLike(_) | Launcher::Supervisord(_) => Some(from),
        Launcher::Shell(options) => {
            Some(Limits { soft: options.soft.unwrap_or(from.soft), hard: options.hard.unwrap_or(from.hard) })
        }
        Launcher::SystemdLike { limit_nofile } => *limit_nofile,
        Launcher::ContainerLike { ulimit } => Some(ulimit.unwrap_or(from)),
        Launcher::Runuser(_) | Launcher::Su(_) => None,
    }
}

/// Limits of the subject, as far as the plan tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// The limits that its launcher leaves.
    pub left: Option<Limits>,
    /// The limits in force in the end: those that the scenario expects or, where it expects none, those that
    /// the launcher leaves.
    pub limits: Option<Limits>,
}

impl InForce {
    /// The limits of this subject of the plan.
    pub fn of(plan: &Plan, subject: &Process) -> Self {
        let left = left_by(&subject.launcher, subject.limits);
        let expected = &plan.expect.limits;
        let soft = expected.soft.or(left.map(|l| l.soft));
        let hard = expected.hard.or(left.map(|l| l.hard));
        let limits = soft.map(|soft| Limits { soft, hard: hard.unwrap_or(soft).max(soft) });
        InForce { left, limits }
    }
}

/// Descriptors open before the first client, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRest {
    /// The scenario expects them.
    Expected(u64),
    /// A bundled server opens them.
    Opened(u64),
}

impl AtRest {
    /// How many.
    pub const fn count(self) -> u64 {
        match self {
            AtRest::Expected(n) | AtRest::Opened(n) => n,
        }
    }
}

/// The subtraction: soft limit less descriptors at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The soft limit in force.
    pub soft: Option<u64>,
    /// Descriptors at rest.
    pub rest: Option<AtRest>,
    /// Connections that use all of the room, where they are fewer than its descriptors.
    pub connections: Option<u64>,
    /// Whether the subject makes the connections, as a client.
    pub client: bool,
    /// Whether it is loaded by UDP.
    pub flows: bool,
}

impl Room {
    /// The room that the plan gives this subject.
    pub fn of(plan: &Plan, subject: &Process) -> Self {
        let opened = options(&subject.program).and_then(|o| o.baseline).map(|n| AtRest::Opened(n.into()));
        let room = Room {
            soft: InForce::of(plan, subject).limits.map(|l| l.soft),
            rest: plan.expect.baseline.map(AtRest::Expected).or(opened),
            connections: None,
            client: plan.subject_is_client(),
            flows: plan.serves_datagrams(&plan.subject),
        };
        let expected = match plan.expect.ceiling {
            Some(Ceiling::Exactly(n)) => Some(n),
            _ => None,
        };
        let connections = expected.filter(|n| !room.client && room.left().is_some_and(|left| *n < left));
        Room { connections, ..room }
    }

    /// Descriptors that are left for connections.
    pub fn left(&self) -> Option<u64> {
        Some(self.soft?.saturating_sub(self.rest?.count()))
    }
}

/// Whether the load fills the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Clients, or connections that calls keep open at the same time.
    pub wanted: u64,
    /// Room for so many.
    pub room: u64,
    /// Whether the subject makes the connections, as a client.
    pub client: bool,
}

impl Reach {
    /// The load on this subject and its room; `None` where the plan does not say.
    pub fn of(plan: &Plan, subject: &Process) -> Option<Self> {
        let room = Room::of(plan, subject);
        let wanted = match room.client {
            true => own_calls(plan, subject).and_then(|(workload, calls)| match kept(calls) {
                Kept::EachCall => workload.clients.map(u64::from),
                // At a rate, it depends on how long each takes.
                Kept::AtOnce => calls.schedule.is_none().then_some(calls.concurrency.into()),
                Kept::One => Some(1),
            }),
            false => {
                let loads = plan.workloads.values().filter(|w| w.to == plan.subject && w.calls.is_none());
                loads.map(|w| w.clients.map(u64::from)).sum()
            }
        };
        Some(Reach { wanted: wanted.filter(|n| *n > 0)?, room: room.left()?, client: room.client })
    }
}

/// How many descriptors calls keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// One for each call that was made.
    EachCall,
    /// One for each call under way.
    AtOnce,
    /// One for all.
    One,
}

/// How many descriptors these calls keep.
pub fn kept(calls: &Calls) -> Kept {
    match (calls.caller, calls.body, calls.channel, calls.after_call) {
        (Caller::HttpLeakBody, Body::Kept, ..) => Kept::EachCall,
        (Caller::HttpLeakBody, Body::Drained, ..) if calls.concurrency <= 1 => Kept::One,
        (Caller::HttpLeakBody, ..) => Kept::AtOnce,
        (Caller::GrpcPerCall, _, Channel::Shared, _) => Kept::One,
        (.., AfterCall::LeftOpen) => Kept::EachCall,
        (.., AfterCall::Closed) => Kept::AtOnce,
    }
}

/// The calls that the subject makes itself, where it is the bundled caller.
pub fn own_calls<'p>(plan: &'p Plan, subject: &Process) -> Option<(&'p Workload, &'p Calls)> {
    let Program::Call(name) = &subject.program else { return None };
    let workload = plan.workloads.get(name)?;
    Some((workload, workload.calls.as_ref()?))
}

/// Options of a bundled server.
pub fn options(program: &Program) -> Option<&ServeOptions> {
    match program {
        Program::Serve(
            Serve::Http(o) | Serve::Websocket(o) | Serve::Tcp(o) | Serve::Grpc(o) | Serve::Mail(o),
        ) => Some(o),
        Program::Serve(_) | Program::Command(_) | Program::Call(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Session, Shell};

    const FROM: Limits = Limits { soft: 256, hard: 4096 };

    #[test]
    fn a_shell_changes_only_the_limits_that_it_is_given() {
        let shell =
            |soft, hard| left_by(&Launcher::Shell(Shell { soft, hard, ..Shell::default() }), FROM).unwrap();
        assert_eq!(shell(None, None), FROM);
        assert_eq!(shell(Some(64), None), Limits { soft: 64, ..FROM });
    }

    #[test]
    fn limits_after_a_pam_session_or_systemd_s_default_are_not_known_from_the_plan() {
        assert_eq!(left_by(&Launcher::Su(Session::default()), FROM), None);
        assert_eq!(left_by(&Launcher::SystemdLike { limit_nofile: None }, FROM), None);
        assert_eq!(left_by(&Launcher::ContainerLike { ulimit: None }, FROM), Some(FROM));
    }
}

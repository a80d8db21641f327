//! The behaviour of its accept loop with a full table.

use super::super::Report;
use super::{clients, costs, counted, evidence, number, sentence, subject, times};
use crate::event::{Outcome, SeenAs};
use crate::measure::{AfterSilence, Disguise, GAPS, OtherPolicy, Policy, PolicyEvidence, Rhythm, Waker};
use crate::report::page::cut;

/// Characters shown of an error reply.
const REPLY: usize = 48;

/// The behaviour behind a policy, as a sentence without its end.
pub const fn behaviour(policy: Policy) -> &'static str {
    match policy {
        Policy::Spin => "It tries to accept again at once, without a pause",
        Policy::Storm => "It fails in bursts",
        Policy::FixedDelay => "It pauses for a constant time and tries again",
        Policy::Backoff => "It pauses longer and longer between tries",
        Policy::Sheds => "It accepts waiting clients and closes them at once",
        Policy::LimitsItself => "It limits itself",
        Policy::Exits => "It exits",
        Policy::WorkerRestarts => "The worker exits and another one replaces it",
        Policy::AcceptLoopDead => "Its accept loop is dead: it never accepts again",
        Policy::WaitsForClose => "It tries again only when one of its connections is closed",
        Policy::WaitsForArrival => "It tries again only when a further client arrives",
        Policy::Unclear => "It is not clear what its accept loop does",
        Policy::None => "",
    }
}

/// Its behaviour at the wall, with the evidence and the policy's name.
pub fn at_the_wall(r: &Report) -> Option<String> {
    let seen = &r.found.policy;
    let policy = seen.policy.value().filter(|policy| *policy != Policy::None)?;
    if let Some(exited @ PolicyEvidence::Exited { .. }) = seen.evidence.get() {
        return Some(format!("{} [{}]", sentence(&evidence::policy(exited)), policy.name()));
    }
    let evidence = seen.evidence.get().map_or(String::new(), |e| format!(": {}", evidence::policy(e)));
    let gaps = irregular(r).map_or(String::new(), |gaps| format!("; the gaps are {gaps}"));
    let behaviour = match seen.evidence.get() {
        Some(PolicyEvidence::GaveWay { .. }) => "It makes room for new clients",
        Some(PolicyEvidence::Silence {
            then: AfterSilence::Woken(Waker::Close { connections: 2.. }),
            ..
        }) => "It tries again only when some of its connections are closed",
        Some(PolicyEvidence::Rhythm { rhythm: Rhythm::Fixed { gaps: 1, .. }, .. }) => {
            "It pauses and tries again"
        }
        _ => behaviour(policy),
    };
    Some(format!("{behaviour}{evidence}{gaps}. [{}]", policy.name()))
}

/// The shortest and the longest gap between tries that fit no pattern, where all are known.
fn irregular(r: &Report) -> Option<String> {
    let Some(PolicyEvidence::Rhythm { rhythm: Rhythm::Unclear, .. }) = r.found.policy.evidence.get() else {
        return None;
    };
    let gaps = &r.found.policy.retry_gaps_s;
    let (shortest, longest) = gaps.iter().fold((f64::MAX, 0f64), |(s, l), gap| (s.min(*gap), l.max(*gap)));
    (3..GAPS).contains(&gaps.len()).then(|| format!("{shortest:.3} s to {longest:.3} s"))
}

/// The behaviour of another listener's loop.
pub fn of_another(other: &OtherPolicy) -> String {
    let how = match (other.policy, other.pause_s) {
        (Policy::Spin, _) => "retries accept without a pause".into(),
        (Policy::Storm, Some(pause)) => format!("retries accept in bursts {pause:.3} s apart"),
        (Policy::FixedDelay, Some(pause)) => format!("retries accept every {pause:.3} s"),
        (Policy::Backoff, Some(pause)) => format!("retries accept after pauses that grow to {pause:.3} s"),
        _ => format!("failed to accept {}, in no pattern that is clear", times(other.failures as u64)),
    };
    format!("The loop of its other listener {} {how}. [{}]", other.listener, other.policy.name())
}

/// How the process at the wall ended: `exited with code 1`.
pub fn ended(r: &Report) -> String {
    match (r.found.ceiling.exit.as_ref(), r.found.policy.evidence.get()) {
        (Some(exit), _) => evidence::ended(exit.code.value(), exit.signal.value()),
        (None, Some(PolicyEvidence::Exited { code, signal, .. })) => evidence::ended(*code, *signal),
        _ => evidence::ended(None, None),
    }
}

/// The same in one short sentence, for the first paragraph; and shorter still, without what it costs and how
/// long its pauses are.
pub fn short(r: &Report) -> Vec<String> {
    let nobody: Waits = |_| String::new();
    let wordings = [
        (false, evidence::unanswered as Waits),
        (false, evidence::wait),
        (true, evidence::wait),
        (true, nobody),
    ];
    let mut said: Vec<String> =
        wordings.into_iter().filter_map(|(brief, waits)| worded(r, brief, waits)).collect();
    said.dedup();
    said
}

/// Says that so many clients wait.
type Waits = fn(u64) -> String;

fn worded(r: &Report, brief: bool, waits: Waits) -> Option<String> {
    let waits = clients::waiting(r).map(waits).filter(|waits| !waits.is_empty());
    let waits = waits.map_or(String::new(), |waits| format!("; {waits}"));
    let server = subject(r);
    let clause = match r.found.policy.evidence.get()? {
        PolicyEvidence::NoFailure | PolicyEvidence::BeforeClients => return None,
        PolicyEvidence::OwnRule { .. } => return own_rule(r),
        PolicyEvidence::Exited { .. } => return Some(exit(r, brief)),
        PolicyEvidence::ClosedForLack { clients, call } => match clients::told_an_error(r) {
            Some(reply) => {
                let reply = if brief { "an error reply" } else { &reply };
                format!(
                    "{server} turns further clients away with {reply}, because {call} fails: {clients} of them"
                )
            }
            None => format!(
                "{server} accepts further clients but closes them, because {call} fails: {clients} of them"
            ),
        },
        PolicyEvidence::TurnedAway { clients, call } => {
            format!("{server} turns further clients away, because {call} fails: {clients} of them")
        }
        PolicyEvidence::InChildren { clients, children } => {
            format!(
                "{server} forks a process for each client, and turns further clients away, because {} fails in it: {clients} of them",
                children.call
            )
        }
        PolicyEvidence::GaveWay { times, connections } if connections > times => {
            format!("{server} closes connections that it holds to take further clients: {connections} so far")
        }
        PolicyEvidence::GaveWay { times, .. } => {
            format!("{server} closes a connection that it holds to take each further client: {times} of them")
        }
        PolicyEvidence::Shed { clients, .. } => {
            format!("{server} accepts further clients and closes them at once: {clients} of them")
        }
        PolicyEvidence::Deaf { cpu_percent, .. } => {
            format!(
                "{server} accepts nobody and answers nobody, and uses {cpu_percent:.0} % of a processor{waits}"
            )
        }
        PolicyEvidence::ListenerClosed { .. } => {
            format!("{server} closed its listener: new clients are refused, though the process lives on")
        }
        PolicyEvidence::OnlyBeside { .. } => {
            format!("how {server} retries accept is not clear: it fails on other listeners only{waits}")
        }
        PolicyEvidence::Rhythm { rhythm, call, .. } => match rhythm {
            Rhythm::Spin if brief => format!("{server} retries {call} without a pause{waits}"),
            Rhythm::Spin => format!("{server} retries {call} without a pause{}{waits}", costs::short(r)),
            Rhythm::Storm { pause_s, .. } => {
                format!("{server} retries {call} in bursts {pause_s:.3} s apart{waits}")
            }
            Rhythm::Fixed { gap_s, gaps: 1 } => {
                format!("{server} retries {call} after {gap_s:.3} s{waits}")
            }
            Rhythm::Fixed { gap_s, .. } => format!("{server} retries {call} every {gap_s:.3} s{waits}"),
            Rhythm::Grows { .. } if brief => format!("{server} retries {call} after growing pauses{waits}"),
            Rhythm::Grows { from_s, to_s, levels_off, .. } => {
                let seen = if *levels_off { "" } else { " at least" };
                format!(
                    "{server} retries {call} after pauses that grow from {from_s:.3} s to {to_s:.3} s{seen}{waits}"
                )
            }
            Rhythm::Once { .. } | Rhythm::FixedOrGrows { .. } | Rhythm::Unclear => {
                format!("how it retries {call} is not clear{waits}")
            }
        },
        PolicyEvidence::Silence { then, silent_s, .. } => match then {
            AfterSilence::Woken(Waker::Close { connections: 1 }) => {
                format!("{server} accepts again only when one of its connections is closed{waits}")
            }
            AfterSilence::Woken(Waker::Close { connections }) => format!(
                "{server} accepts again only when some of its connections are closed, {connections} here{waits}"
            ),
            AfterSilence::Woken(Waker::Arrival) => {
                format!("{server} accepts again only when a new client arrives{waits}")
            }
            AfterSilence::NoAccept(_) if brief => format!("{server} never accepts again{waits}"),
            AfterSilence::NoAccept(_) => {
                format!("{server} never accepts again{}{waits}", costs::short(r))
            }
            AfterSilence::OnlyOthers { pid, .. } => {
                format!("process {pid} never accepts again, others do{waits}")
            }
            AfterSilence::AcceptsAgain | AfterSilence::TriedAgain => {
                format!("{server} stops accepting, and accepts again when clients leave{waits}")
            }
            _ => format!("{server} made no further try for {silent_s:.3} s{waits}"),
        },
    };
    Some(sentence(&clause))
}

fn own_rule(r: &Report) -> Option<String> {
    let account = r.found.clients_account.get()?;
    let words = r.found.error_replies.as_ref().filter(|replies| replies.others == 0);
    let words =
        words.map_or("an error reply".into(), |replies| format!("\"{}\"", cut(&replies.first, REPLY)));
    let away = account.turned_away - account.answered_first;
    let told = match (account.error_replies, away) {
        (0, _) => String::new(),
        (told, all) if told == all => format!(" after {words}"),
        (told, _) => format!(", {told} after {words}"),
    };
    let parted = match account.answered_first {
        0 => None,
        n => Some(sentence(&format!(
            "it answered {} and closed {} after the answer",
            counted(n, "further client"),
            number(n, "its connection", "their connections")
        ))),
    };
    let clause = match (away, account.waiting) {
        (0, 0) => return parted,
        (0, n) => format!("the server leaves {} waiting", counted(n, "further client")),
        (n, 0) => format!("it closed {}{told}", counted(n, "further connection")),
        (n, waiting) => {
            format!("it closed {}{told} and leaves {waiting} waiting", counted(n, "further connection"))
        }
    };
    Some(parted.into_iter().chain([sentence(&clause)]).collect::<Vec<_>>().join(" "))
}

/// An exit: how, when, and how many clients lost their connection.
fn exit(r: &Report, brief: bool) -> String {
    let ended = self::ended(r);
    let Some(PolicyEvidence::Exited { after, replaced, .. }) = r.found.policy.evidence.get() else {
        return String::new();
    };
    let refused =
        if r.found.new_client.value() == Some(Outcome::Refused) { ", and new ones are refused" } else { "" };
    let lost = clients::lost(r, brief).map_or(String::new(), |lost| format!(": {lost}{refused}"));
    match (after, replaced) {
        (_, Some(by)) => {
            let again = match by.others {
                0 => String::new(),
                n => format!(", and {} more followed", counted(n as u64, "process")),
            };
            sentence(&format!("the worker {ended} and process {} replaced it{again}{lost}", by.pid))
        }
        (Some((call, _, after_s)), None) => sentence(&match ended_by(r) {
            Some(failed) if failed.in_order.is_empty() && failed.call != *call => {
                format!("{} {ended}, just after {} had failed{lost}", subject(r), failed.call)
            }
            Some(failed) if failed.in_order.len() > 1 => {
                let calls: Vec<String> = failed.in_order.iter().map(ToString::to_string).collect();
                let calls = calls.join(" and then ");
                format!("{} {ended}, {} {calls} had failed{lost}", subject(r), soon(*after_s))
            }
            _ => format!("{} {ended}, {} the first failed {call}{lost}", subject(r), soon(*after_s)),
        }),
        // The headline says that it exited.
        (None, None) => clients::lost(r, brief).map_or(String::new(), |lost| sentence(&lost)),
    }
}

/// The call other than accept whose failure the process may not have survived.
pub fn ended_by(r: &Report) -> Option<&Disguise> {
    r.found.disguise.iter().find(|d| d.seen_as == SeenAs::Exit)
}

/// `accept4 had failed, and then openat`; `with`: what stands after *failed*.
pub fn in_order(ended: &Disguise, with: &str) -> String {
    let calls = if ended.in_order.is_empty() { std::slice::from_ref(&ended.call) } else { &ended.in_order };
    let then: String = calls.iter().skip(1).map(|call| format!(", and then {call}")).collect();
    format!("{} had failed{with}{then}", calls[0])
}

fn soon(after_s: f64) -> String {
    if after_s < 0.1 { "just after".into() } else { format!("{after_s:.3} s after") }
}

/// Connections that it had held and closed at the wall; the sentence about an exit counts those that the exit
/// closed.
pub fn held_closed(r: &Report) -> Option<String> {
    let exited = matches!(r.found.policy.evidence.get(), Some(PolicyEvidence::Exited { .. }));
    let closed = r.found.held_closed.value().filter(|n| *n > 0 && !exited)?;
    let idle =
        r.found.ceiling.idle_timeout.map_or(String::new(), |idle| {
            format!(": it closes clients that are idle for {:.2} s", idle.after_s)
        });
    Some(format!("It closed {} that it had held{idle}.", counted(closed, "connection")))
}

//! The evidence of a finding: clauses without a full stop, for the JSON report's evidence and for sentences.

use super::{counted, errno_name, number, times};
use crate::event::{Bound, Holder};
use crate::measure::{
    AfterSilence, BindsEvidence, Cost, Delay, Exhausted, FD_SETSIZE, FdSetsize, InotifyInstances,
    LostToTheQueue, NotTheCeiling, Note, PolicyEvidence, Refusal, Rhythm, TaskLimit, VerdictEvidence, Waker,
};

/// Processes named that share what a user may have.
const HOLDERS: usize = 3;
const MIB: f64 = 1_048_576.0;

/// Evidence of an accept policy.
pub fn policy(evidence: &PolicyEvidence) -> String {
    match evidence {
        PolicyEvidence::NoFailure => "no descriptor call failed".into(),
        PolicyEvidence::BeforeClients => "it failed before the first client connected".into(),
        PolicyEvidence::OwnRule { .. } => own_rule(evidence),
        PolicyEvidence::Exited { .. } => exited(evidence),
        PolicyEvidence::ClosedForLack { clients, call } => {
            format!("it closed {} at once because {call} had failed", counted(*clients, "accepted client"))
        }
        PolicyEvidence::TurnedAway { clients, call } => {
            format!(
                "it accepted {} and turned {} away because {call} failed",
                counted(*clients, "further client"),
                number(*clients, "it", "them")
            )
        }
        PolicyEvidence::InChildren { clients, children } => format!(
            "{} {} turned away because {} failed with {} in {} that {} forked for clients{}",
            counted(*clients, "client"),
            number(*clients, "was", "were"),
            children.call,
            children.errno,
            counted(children.processes, "process"),
            number(children.processes, "was", "were"),
            children.soft.map_or(String::new(), |soft| format!(", each under a soft limit of {soft}")),
        ),
        PolicyEvidence::GaveWay { times, connections } if connections > times => format!(
            "each time that accept had failed it closed connections that it held, and took further clients: {connections} connections, {}",
            counted(*times, "time")
        ),
        PolicyEvidence::GaveWay { times, .. } => format!(
            "each time that accept had failed it closed a connection that it held, and took the next client: {times} times"
        ),
        PolicyEvidence::Shed { clients, waiting } => format!(
            "after the first failure it accepted {} and closed {} at once; {}",
            counted(*clients, "client"),
            number(*clients, "it", "them"),
            wait(*waiting)
        ),
        PolicyEvidence::Deaf { cpu_percent, waiting } => format!(
            "no descriptor call failed; it used {cpu_percent:.0} % of a processor while {}, accepted none and answered none, also when the \
             others had left",
            wait(*waiting)
        ),
        PolicyEvidence::ListenerClosed { reset } => format!(
            "it closed its listener: {} {} reset and new clients are refused, while the process lives on",
            counted(*reset, "waiting client"),
            number(*reset, "was", "were"),
        ),
        PolicyEvidence::OnlyBeside { failures, waiting } => format!(
            "accept failed {} on other listeners, and was not seen to fail on the loaded one; {}",
            times(*failures as u64),
            wait(*waiting)
        ),
        PolicyEvidence::Rhythm { .. } => rhythm(evidence),
        PolicyEvidence::Silence { failures, silent_s, waiting, then } => {
            silence(*failures, *silent_s, *waiting, *then)
        }
    }
}

fn own_rule(evidence: &PolicyEvidence) -> String {
    let PolicyEvidence::OwnRule { held, turned_away, error_replies, closed_after_answer, waiting } = evidence
    else {
        return String::new();
    };
    let told = match (*error_replies, *turned_away) {
        (0, _) => String::new(),
        (told, all) if told == all => " with an error reply".into(),
        (told, _) => format!(" ({told} with an error reply)"),
    };
    let closed = match closed_after_answer {
        0 => String::new(),
        n => format!(", closed {} after an answer", counted(*n, "client")),
    };
    let turned = match turned_away {
        0 => String::new(),
        n => format!(", turned {n} away{told}"),
    };
    format!("no descriptor call failed; it holds {held}{turned}{closed}; {}", wait(*waiting))
}

/// `exited with code 1`, `was killed by signal 9` (wait(2)); `exited` where that is not known.
pub fn ended(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "exited".into(),
    }
}

fn exited(evidence: &PolicyEvidence) -> String {
    let PolicyEvidence::Exited { code, signal, after, replaced, clients_lost } = evidence else {
        return String::new();
    };
    let how = match after {
        None => ", and no failed call was seen".to_owned(),
        Some((call, failures, after_s)) => {
            let more = if *failures > 1 { format!(" ({failures} in all)") } else { String::new() };
            format!(", {after_s:.3} s after its first failed {call}{more}")
        }
    };
    let lost = match clients_lost {
        0 => String::new(),
        n => format!("; {} lost {} connection", counted(*n, "client"), number(*n, "its", "their")),
    };
    let place = replaced.map_or(String::new(), |by| {
        let again =
            if by.others > 0 { format!(", and {} more one after another", by.others) } else { String::new() };
        format!("; process {} replaced it {:.3} s later{again}", by.pid, by.later_s)
    });
    format!("it {}{how}{place}{lost}", ended(*code, *signal))
}

fn rhythm(evidence: &PolicyEvidence) -> String {
    let PolicyEvidence::Rhythm { rhythm, call, failures, per_s, waiting, held_closed } = evidence else {
        return String::new();
    };
    let how = match rhythm {
        Rhythm::Spin => match per_s {
            Some(per_s) if *per_s >= 1.0 => format!("{per_s:.0} failed {call} calls a second"),
            _ => format!("at least {failures} failed {call} calls"),
        },
        Rhythm::Storm { bursts, size, pause_s } => {
            format!("{bursts} bursts of {} failures each, {pause_s:.3} s apart", size.round())
        }
        Rhythm::Fixed { gap_s, gaps: 1 } => {
            format!("one pause of {gap_s:.3} s; the run did not wait for a second")
        }
        Rhythm::Fixed { gap_s, gaps } => format!("{gaps} pauses of {gap_s:.3} s"),
        Rhythm::Grows { from_s, to_s, factor, step_s, levels_off } => {
            let by =
                step_s.map_or_else(|| format!("a factor of {factor:.1}"), |step_s| format!("{step_s:.3} s"));
            let on = if *levels_off { "" } else { "; longer ones may follow" };
            format!("pauses grow from {from_s:.3} s to {to_s:.3} s, by {by} each time{on}")
        }
        Rhythm::FixedOrGrows { gap_s, from_s, to_s } => format!(
            "{failures} failures: pauses of {gap_s:.3} s by several threads or listeners, or pauses that grow from {from_s:.3} s to {to_s:.3} s"
        ),
        Rhythm::Once { .. } | Rhythm::Unclear => {
            format!("the gaps between {failures} failures fit no pattern")
        }
    };
    let waits = if *waiting > 0 { format!("; {}", wait(*waiting)) } else { String::new() };
    let closed = match held_closed {
        0 => String::new(),
        closed => format!("; it closed {} meanwhile", counted(*closed, "held connection")),
    };
    how + &waits + &closed
}

fn silence(failures: usize, silent_s: f64, waiting: u64, then: AfterSilence) -> String {
    let failures = match failures {
        1 => "one failure".to_owned(),
        n => format!("{n} failures"),
    };
    let silence = format!("{failures}, then no further try for {silent_s:.3} s");
    let waits = wait(waiting);
    match then {
        AfterSilence::Woken(Waker::Close { connections: 1 }) => format!(
            "{silence} while {waits}; no timer was set, and it tried again when one of its connections was closed"
        ),
        AfterSilence::Woken(Waker::Close { connections }) => format!(
            "{silence} while {waits}; no timer was set, and it tried again when {connections} of its connections had been closed"
        ),
        AfterSilence::Woken(Waker::Arrival) => format!(
            "{silence} while {waits}; no timer was set, and it tried again when a further client arrived, not when connections were closed"
        ),
        AfterSilence::NobodyWaited => format!("{silence}; no client was waiting"),
        AfterSilence::AcceptsAgain => format!("{silence} while {waits}; it accepted again when clients left"),
        AfterSilence::TriedAgain => format!("{silence} while {waits}; it tried again when clients left"),
        AfterSilence::TooShort => {
            format!("{silence} while {waits}, which is too short to tell a long pause from the end")
        }
        AfterSilence::NoAccept(all_s) => {
            format!(
                "{failures}, then no accept for {all_s:.3} s: {silent_s:.3} s while {waits}, the rest after clients left"
            )
        }
        AfterSilence::OnlyOthers { pid, all_s } => format!(
            "{silence} while {waits}; when clients left, other processes accepted, and process {pid}, which had room then, did not, \
             {all_s:.3} s in all"
        ),
        AfterSilence::OthersFirst => {
            format!("{silence} while {waits}; when clients left, only other processes accepted")
        }
        AfterSilence::NobodyReleased => format!("{silence} while {waits}; no client was told to leave"),
    }
}

/// `4 clients wait`.
pub fn wait(n: u64) -> String {
    match n {
        0 => "no client waits".into(),
        n => format!("{} {}", counted(n, "client"), number(n, "waits", "wait")),
    }
}

/// The same, with the remark that they get no answer.
pub fn unanswered(n: u64) -> String {
    match n {
        0 => wait(n),
        n => format!("{} {}, unanswered", counted(n, "further client"), number(n, "waits", "wait")),
    }
}

/// Pauses between tries.
pub fn delay(delay: &Delay) -> String {
    match (delay.first, delay.longest) {
        (first, longest) if first == longest => format!("{first:.3} s"),
        (first, longest) => format!("{first:.3} s at first, up to {longest:.3} s"),
    }
}

/// Evidence of the resource that binds.
pub fn binds(evidence: &BindsEvidence) -> String {
    let under =
        |soft: &Option<u64>| soft.map_or("its soft limit".into(), |soft| format!("its soft limit of {soft}"));
    match evidence {
        BindsEvidence::Emfile { soft } => {
            format!("a descriptor call failed with EMFILE under {}", under(soft))
        }
        BindsEvidence::Enfile => "a descriptor call failed with ENFILE: the whole host has no room for another open file (fs.file-max)".into(),
        BindsEvidence::CountFull { soft } => format!("/proc counts as many descriptors as {} allows", under(soft)),
        BindsEvidence::LostInPassing(lost) => format!(
            "{} of {} that connections are passed to {} no number left under a soft limit of {}; the kernel drops a connection that is passed \
             to a full process, and no call fails (MSG_CTRUNC of recvmsg(2))",
            lost.full,
            counted(lost.processes, "process"),
            number(lost.full, "has", "have"),
            lost.soft
        ),
        BindsEvidence::OwnRule { policy: seen, refusals_watched } => {
            let seen = seen.as_ref().map(policy).unwrap_or_default();
            let refused = match refusals_watched {
                true => "no thread, process or memory was refused",
                false => "its tasks and memory were below their limits when last read",
            };
            format!("{seen}; {refused}")
        }
        BindsEvidence::FdSetsize(FdSetsize { highest, soft, .. }) => format!(
            "the highest number that it was given was {highest} of the 0 to {} that its soft limit allows, and no descriptor call failed; \
             select() can watch the numbers 0 to {}",
            soft.saturating_sub(1),
            FD_SETSIZE - 1
        ),
        BindsEvidence::Exhausted(seen) => exhausted(seen),
        BindsEvidence::NumbersFree { call, free, soft, inotify } => {
            let inotify = inotify.as_ref().map_or(String::new(), |found| format!("; {}", instances(found)));
            format!(
                "{call} failed with EMFILE though {free} of {soft} descriptor numbers were free, so it is not \
                 RLIMIT_NOFILE{inotify}"
            )
        }
        BindsEvidence::AcceptQueue(lost) => accept_queue(lost),
        BindsEvidence::Generator { errno, .. } => {
            format!("a call of the load generator failed with {}", errno_name(*errno))
        }
        BindsEvidence::SourcePorts { range, .. } => {
            let ports = range.map_or(String::new(), |(first, last)| {
                let count = last.saturating_add(1).saturating_sub(first);
                format!("; net.ipv4.ip_local_port_range is {first} to {last}, {count} ports for each source address")
            });
            format!("connect of the load generator failed with EADDRNOTAVAIL{ports}")
        }
    }
}

/// `its user has 128 of 128 inotify instances (fs.inotify.max_user_instances): 127 in `a` (4711), 1 in `b`
/// (77)`.
fn instances(found: &InotifyInstances) -> String {
    let of = found.most.map_or(String::new(), |most| format!(" of {most}"));
    let one = |holder: &Holder| format!("{} in `{}` ({})", holder.count, holder.program, holder.pid);
    let shown: Vec<String> = found.holders.iter().take(HOLDERS).map(one).collect();
    let (colon, more) = match found.holders.len() {
        0 => ("", ""),
        1..=HOLDERS => (": ", ""),
        _ => (": ", ", …"),
    };
    format!(
        "{}{of} inotify instances of its user were seen (fs.inotify.max_user_instances){colon}{}{more}",
        found.seen,
        shown.join(", ")
    )
}

/// Evidence that tasks or memory ran out.
pub fn exhausted(seen: &Exhausted) -> String {
    match seen {
        Exhausted::Tasks { refused, threads, processes, limit } => {
            let refused = refused.as_ref().map_or(String::new(), |refused| {
                format!("{}, first after {}; ", refusal(refused), counted(refused.after_accepts, "accept"))
            });
            let (threads, processes) = (counted(*threads, "thread"), counted(*processes, "process"));
            format!(
                "{refused}{threads} and {processes} more than before the first client; {}",
                task_limit(*limit)
            )
        }
        Exhausted::Killed { processes, memory } => {
            let of = memory.map_or(String::new(), |b| {
                format!(", when {} of its {} MiB were in use", mib(b.used), mib(b.most))
            });
            format!(
                "the out-of-memory killer of its memory cgroup killed {} of it{of} (`oom_kill`)",
                counted(*processes, "process")
            )
        }
        Exhausted::MemoryRefused { refused, address_space } => {
            let of = address_space.map_or(String::new(), |b| {
                format!(
                    "; {} of {} MiB of address space were in use when last read (RLIMIT_AS)",
                    mib(b.used),
                    mib(b.most)
                )
            });
            format!("{}{of}", refusal(refused))
        }
        Exhausted::MemoryLeft { address_space: Bound { used, most }, per_connection } => format!(
            "{} of {} MiB of address space are in use (RLIMIT_AS); the {} KiB left are less than a connection took ({} KiB) or an allocator \
             asks for",
            mib(*used),
            mib(*most),
            most.saturating_sub(*used) / 1024,
            per_connection / 1024
        ),
    }
}

fn refusal(refused: &Refusal) -> String {
    let Refusal { call, errno, times: n, .. } = refused;
    format!("{call} failed with {errno} {}", times(*n))
}

fn task_limit(limit: TaskLimit) -> String {
    match limit {
        TaskLimit::Group { most, refused } => {
            let of = most.map_or(String::new(), |most| format!(" of {most}"));
            format!("pids.max{of} of its cgroup refused {refused} (pids.events)")
        }
        TaskLimit::User(b) => format!("its user has {} of {} tasks (RLIMIT_NPROC)", b.used, b.most),
        TaskLimit::Host(b) => {
            format!("the host has {} of {} tasks (kernel.threads-max, kernel.pid_max)", b.used, b.most)
        }
        TaskLimit::NotKnown(nproc) => {
            let nproc = nproc.map_or(String::new(), |most| format!("; RLIMIT_NPROC is {most}"));
            format!("which limit refused it is not known: none was seen to be full{nproc}")
        }
    }
}

fn accept_queue(lost: &LostToTheQueue) -> String {
    let LostToTheQueue { timed_out, half_done, longest, capacity, overflows, .. } = lost;
    let whose = match lost.somaxconn {
        Some(most) => format!("net.core.somaxconn, {most}, caps whatever backlog it asks for"),
        None => {
            format!("the backlog of {} that it passes to listen(2) sets that", capacity.saturating_sub(1))
        }
    };
    let free = lost
        .descriptors
        .map_or(String::new(), |(open, soft)| format!(" while {open} of {soft} descriptors were in use"));
    let counter = if lost.by_listener { "drops of the listener" } else { "ListenOverflows" };
    format!(
        "{} timed out and {} never completed; the accept queue held {longest} of {capacity}{free} and overflowed {} ({counter}); {whose}",
        counted(*timed_out, "connect"),
        counted(*half_done, "handshake"),
        times(*overflows)
    )
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB)
}

/// Evidence of the verdict after clients leave.
pub fn verdict(evidence: &VerdictEvidence) -> String {
    let again = |replaced: &bool| if *replaced { ", and another process replaced it" } else { "" };
    match evidence {
        VerdictEvidence::CallerExited { after_failure_s: Some(after_s) } => {
            format!("it exited {after_s:.3} s after its first failed call")
        }
        VerdictEvidence::CallerExited { after_failure_s: None } => {
            "it exited, and no descriptor call had failed".into()
        }
        VerdictEvidence::ExitedBefore { held, replaced } => {
            let held = counted(*held, "connection");
            format!("it exited with {held} held, before any client left{}", again(replaced))
        }
        VerdictEvidence::ExitedAfter { after_s, replaced } => {
            format!("it exited {after_s:.3} s after the first client left{}", again(replaced))
        }
        VerdictEvidence::NobodyServed { meanwhile } => {
            let meanwhile = meanwhile.map_or(String::new(), |(taken, within_s)| {
                format!("; in {within_s:.1} s it accepted {} that had already gone", counted(taken, "client"))
            });
            format!("all clients left and a new one was not served{meanwhile}")
        }
        VerdictEvidence::StaysOpen { descriptors } => stays_open(*descriptors),
        VerdictEvidence::StillDrains { after_s, accepted, served } => {
            let taken = match accepted {
                0 => String::new(),
                n => format!("; it accepted {} meanwhile", counted(*n, "client")),
            };
            let served = if *served { "" } else { ", and served no new client so far" };
            format!(
                "{after_s:.1} s after all clients left it still closed descriptors or worked off its accept queue{taken}{served}"
            )
        }
        VerdictEvidence::CeilingFell { from, to, rounds } => {
            format!("the ceiling fell from {from} to {to} over {rounds} rounds")
        }
        VerdictEvidence::SecondLower { descriptors, second, first } => {
            let open = descriptors.map_or("nothing leaked".into(), stays_open);
            format!("{open}, and the second ramp was full at {second}, the first at {first}")
        }
        VerdictEvidence::AcceptedOnly { round, turned_away: None } => {
            format!("in round {round} it accepted waiting clients and answered none of them")
        }
        VerdictEvidence::AcceptedOnly { round, turned_away: Some(n) } => {
            format!("in round {round} it served none of those that waited and turned {n} of them away")
        }
        VerdictEvidence::Slower { was_s, is_s } => {
            format!("half of the clients were answered within {was_s:.3} s before and {is_s:.3} s after")
        }
        VerdictEvidence::Served { second } => {
            let same =
                second.map_or(String::new(), |second| format!(", and a second ramp was full at {second}"));
            format!("it served a new client after all had left{same}")
        }
    }
}

fn stays_open(descriptors: u64) -> String {
    format!("{descriptors} {} open", number(descriptors, "extra descriptor stays", "extra descriptors stay"))
}

/// A difference between witnesses.
pub fn note(note: &Note) -> String {
    match note {
        Note::Others(others) => {
            let (n, more) = (others.unsigned_abs(), if *others > 0 { "more" } else { "fewer" });
            let (descriptors, are) = number(n, ("descriptor", "is"), ("descriptors", "are"));
            format!(
                "besides the connections, {n} {more} {descriptors} than before the first client {are} open"
            )
        }
        Note::OneOfSeveral { pid, held, accepted } => format!(
            "/proc was read for process {pid}, which holds {held} of the {accepted}, as the calls say too"
        ),
        Note::HandedOver { pid, held, handed } => format!(
            "/proc was read for process {pid}, which handed {} to {} and holds {held}",
            handed.connections,
            counted(handed.processes, "other process")
        ),
        Note::Later { held } => format!("/proc was read a moment later, when it held {held}"),
        Note::Reserved { reserved, counted, held } => format!(
            "before the first client, threads in accept had reserved {} for clients that came later, so growth of {counted} means {held} connections",
            super::counted(*reserved, "number")
        ),
        Note::Conflict { descriptors, rest, held } => format!(
            "/proc counts {descriptors} descriptors, {rest} of them open before the first client, and the calls leave {held} connections"
        ),
        Note::CountedLate { counted, threads } => format!(
            "the server's own count says {counted}: some of its {threads} accepting threads had not counted yet at the first failure"
        ),
        Note::NotCompared => "the observer lost samples, so the server's own count is not compared".into(),
        Note::OwnDiffers { counted, other, by_proc } => {
            let who = if *by_proc { "/proc" } else { "the observer" };
            format!("the server counted {counted} accepts before its first EMFILE, and {who} counted {other}")
        }
    }
}

/// All differences; `None` where there is none.
pub fn notes(all: &[Note]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(note).collect::<Vec<_>>().join("; "))
}

/// The cost of being observed.
pub fn cost(cost: &Cost) -> String {
    match cost {
        Cost::Nothing => "none".into(),
        Cost::Sampling => "some time of lastfd's own, none of the server's".into(),
        Cost::NotMeasured => "not measured".into(),
        Cost::Calls { opened_ns, failed_ns, opened, failed, .. } => format!(
            "{} for each of {} opened and closed, {} for each of {}: {:.3} s at most",
            nanos(*opened_ns),
            counted(*opened, "descriptor"),
            nanos(*failed_ns),
            counted(*failed, "failed call"),
            cost.total_s().unwrap_or(0.0)
        ),
    }
}

fn nanos(ns: u64) -> String {
    if ns < 2000 { format!("{ns} ns") } else { format!("{:.1} µs", ns as f64 / 1e3) }
}

/// Why a failure is not the ceiling.
pub fn not_the_ceiling(reason: &NotTheCeiling) -> String {
    match reason {
        NotTheCeiling::BeforeFirstClient => "it failed before the first client connected".into(),
    }
}

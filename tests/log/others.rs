//! Stories of callers and of several workers or threads, and of runs that show little.

use super::{SERVER, Story, Subject, TWELVE, full, scenario, twelve};
use lastfd::internal::event::{
    Call, CallStep, Change, Client, Ended, Label, Outcome as Got, Phase, Unseen, What,
};

/// A worker of process 100.
const WORKER: Subject =
    Subject { pid: 101, above: &[(50, "lastfd run", 20000, 20000), (100, "master", 16, 64)], ..SERVER };

pub(super) fn worker_restarts() -> Story {
    let expect = "ceiling = 8\npolicy = \"worker-restarts\"";
    let scenario = scenario("its worker is replaced", 16, TWELVE, expect);
    let gone = Story::begin("worker-restarts", &WORKER, &scenario)
        .come(8, 8)
        .fail([40.0])
        .sample(40.1, 16, 0)
        .at(41.0, What::Process { pid: 101, parent: 1, change: Change::Exit });
    (0..8)
        .fold(gone, |story, id| story.client(41.1, id, Client::Closed))
        .at(43.0, What::Process { pid: 102, parent: 100, change: Change::Fork })
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .breaks_off(300.0, Ended::Decided, Ended::Time)
}

/// It forks a process for each client, which takes over all that is open: the first five answer theirs, and
/// the others find no number for a file, and exit.
pub(super) fn forks() -> Story {
    let expect = "ceiling = 5\nfirst-failure = { call = \"openat\", errno = \"EMFILE\" }\npolicy = \"sheds\"";
    let story = Story::begin("forks", &SERVER, &scenario("a process for each client", 16, TWELVE, expect));
    let story = (0..12).fold(story, |story, id: u32| {
        let (at, child) = (31.0 + f64::from(id), 200 + id as i32);
        let change = |change| What::Process { pid: child, parent: 100, change };
        let open = |ret| What::Call { pid: child, name: Call::Openat, ret, on: None };
        let served = id < 5;
        // One end of a socket pair stays open for each that is served.
        let taken = story
            .client(at, id, Client::Connected)
            .call(at + 0.1, Call::Accept4, 8 + i64::from(id.min(5)))
            .call(at + 0.2, Call::Socketpair, 0)
            .at(at + 0.3, change(Change::Fork))
            .closes(at + 0.4, 8 + id.min(5) as i32..9 + id.min(5) as i32)
            .closes(at + 0.4, 40..if served { 41 } else { 42 });
        if served {
            return taken.at(at + 0.5, open(15)).client(at + 0.6, id, Client::Served);
        }
        let failed = taken.at(at + 0.5, open(-24)).at(at + 0.6, change(Change::Exit));
        failed.client(at + 0.7, id, Client::Closed)
    });
    story.sample(43.0, 13, 0).phase(45.0, Phase::Saturate, Ended::AllIn).sample(1000.0, 13, 0).breaks_off(
        1045.0,
        Ended::NoFailure,
        Ended::Time,
    )
}

/// Each of four threads has taken the number of its next connection: ten at rest, of which six are listed.
/// The threads fail one after the other, and those that are left take one more client each.
pub(super) fn threads() -> Story {
    const FOUR: Subject = Subject {
        soft: 20,
        rest: &["device", "pipe", "pipe", "tcp-listen", "epoll", "eventfd"],
        reserved: 4,
        ..SERVER
    };
    let scenario = scenario("four threads block in accept", 20, "tcp = { clients = 16 }", "ceiling = 14");
    Story::begin("threads", &FOUR, &scenario)
        .come(11, 6)
        .fail([42.2])
        .sample(42.3, 20, 0)
        .comes(43.0, 11, 17)
        .fail([43.2])
        .comes(44.0, 12, 18)
        .fail([44.2])
        .comes(45.0, 13, 19)
        .fail([45.2])
        .wait(46.0, 14..16)
        .phase(55.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 20, 2)
        .sample(1000.0, 20, 2)
        .phase(1100.0, Phase::Probe, Ended::Time)
        .probe(1200.0, Label::Saturated, Got::Waits, None)
        .at(1405.0, What::OwnCount { pid: 100, before_first_emfile: 11, total: 14 })
        .all_leave(1300.0, 10..10, 10)
}

/// They take turns. The first is full at its eighth, while the other holds seven; then that is full too. Both
/// try again every half second.
pub(super) fn workers() -> Story {
    let twenty = "websocket = { clients = 20, path = \"/ws\" }";
    let scenario = scenario("two workers, two limits", 16, twenty, "ceiling = 8");
    let seven_each = (0..7).fold(Story::begin("workers", &WORKER, &scenario), |story, n| {
        let (at, fd) = (31.0 + f64::from(n), i64::from(8 + n));
        story.process(101).comes(at, 2 * n, fd).process(102).comes(at + 0.5, 2 * n + 1, fd)
    });
    let later = [0.0, 500.0, 1000.0, 1500.0];
    seven_each
        .process(102)
        .comes(41.0, 15, 15)
        .fail(later.map(|ms| 41.2 + ms))
        .process(101)
        .comes(40.0, 14, 15)
        .fail(later.map(|ms| 40.2 + ms))
        .sample(40.5, 16, 0)
        .wait(42.0, 16..20)
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 4)
        .phase(1800.0, Phase::Probe, Ended::Decided)
        .probe(1900.0, Label::Saturated, Got::Waits, None)
        .all_leave(2000.0, 8..16, 8)
}

/// Eight answers, of which each keeps its connection; the next four calls cannot make theirs.
pub(super) fn calls_client() -> Story {
    const CALLER: Subject = Subject {
        name: "stats",
        rest: &["device", "pipe", "pipe", "epoll", "eventfd", "epoll", "unix", "file"],
        above: &[(50, "lastfd run", 20000, 20000)],
        ..SERVER
    };
    let scenario = "claim = \"a client that never closes a body stops at its socket after 8 calls\"\n\
         subject = \"stats\"\nhold = \"1s\"\n\
         [processes.backend]\ncommand = [\"backend\", \"--port\", \"{port}\"]\n\
         limits = { soft = 16, hard = 64 }\n\
         [processes.stats]\ncall = \"fetch\"\nlimits = { soft = 16, hard = 64 }\n\
         [workloads.fetch]\nhttp-leak-body = { to = \"backend\", calls = 12 }\n\
         [expect]\nlimits = { soft = 16, hard = 64 }\nceiling = \"soft - baseline\"\nbaseline = 8\n\
         first-failure = { call = \"socket\", errno = \"EMFILE\" }\nleaked = 0\n";
    let eight = (0..8).fold(Story::begin("leaked-bodies", &CALLER, scenario), |story, id| {
        let (at, took) = (31.1 + f64::from(id), if id == 7 { 1.0 } else { 0.6 });
        let answered = if id == 7 { 39.0 } else { at + 0.5 };
        story.call(at, Call::Socket, i64::from(8 + id)).answered(answered, "fetch", id, took, 1)
    });
    let failed = (8..12).fold(eight, |story, id| {
        let at = 40.01 + f64::from(id - 8) / 10.0;
        story.call(at, Call::Socket, -24).unanswered(at + 0.04, "fetch", id, CallStep::Socket, 0.05)
    });
    let what = Unseen::Probe { label: Label::Saturated };
    let why = "the caller's own side failed at `socket`: Too many open files (os error 24)".into();
    failed
        .sampled(45.0, 16, 0, 0.01, 0)
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sampled(60.0, 16, 0, 0.01, 0)
        .sampled(250.0, 16, 0, 0.01, 0)
        .phase(300.0, Phase::Probe, Ended::Decided)
        .at(301.0, What::NotSeen { what, why })
        .all_leave(400.0, 8..16, 8)
}

/// By a signal, with five clients, and no call has failed.
pub(super) fn died() -> Story {
    let gone = twelve("died", "crashes under load", "ceiling = 8").come(5, 8).exits(36.5, None, Some(11));
    (0..5)
        .fold(gone, |story, id| story.client(36.6, id, Client::Closed))
        .client(37.0, 5, Client::Refused)
        .phase(40.0, Phase::Saturate, Ended::Gone)
        .breaks_off(300.0, Ended::Gone, Ended::Gone)
}

/// It opens what it can before it listens, to see how far it gets.
pub(super) fn early() -> Story {
    let scenario = scenario("probes its limit at start", 64, TWELVE, "ceiling = \"not reached\"");
    Story::begin("early", &Subject { soft: 64, ..SERVER }, &scenario)
        .call(5.0, Call::Openat, -24)
        .come(12, 8)
        .phase(50.0, Phase::Saturate, Ended::AllIn)
        .sample(60.0, 20, 0)
        .phase(300.0, Phase::Probe, Ended::NoFailure)
        .probe(301.0, Label::Saturated, Got::Served, Some(1.0))
        .all_leave(400.0, 8..20, 8)
}

/// Clients are served, and its descriptors grow, but no call is seen.
pub(super) fn conflict() -> Story {
    let served = (0..8).fold(twelve("conflict", "accepts by io_uring", "ceiling = 8"), |story, id| {
        let at = 31.0 + f64::from(id);
        story.client(at, id, Client::Connected).client(at + 0.2, id, Client::Served).sample(
            at + 0.5,
            u64::from(9 + id),
            0,
        )
    });
    served.wait(39.0, 8..12).phase(50.0, Phase::Saturate, Ended::Stalled).sample(60.0, 16, 4).breaks_off(
        300.0,
        Ended::NoFailure,
        Ended::Time,
    )
}

/// The sixth client has no descriptor of its own.
pub(super) fn generator() -> Story {
    twelve("generator", "the harness is too small", "ceiling = 8")
        .come(5, 8)
        .client(36.0, 5, Client::Local(24))
        .phase(40.0, Phase::Saturate, Ended::Generator)
        .sample(60.0, 13, 0)
        .breaks_off(300.0, Ended::NoFailure, Ended::Time)
}

/// The log breaks off in the middle of the watch.
pub(super) fn truncated() -> Story {
    full("truncated", "nobody knows the end", "ceiling = 8")
        .fail([40.0])
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 0)
}

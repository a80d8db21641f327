//! The stories. Clients are called by the order in which they come, from 0 on.

use super::others::{
    calls_client, conflict, died, early, forks, generator, threads, truncated, worker_restarts, workers,
};
use super::{SERVER, Story, Subject, TURNED_AWAY, TWELVE, full, scenario, twelve, twelve_silent};
use lastfd::internal::event::{Call, CallStep, Client, Ended, Label, Log, Outcome as Got, Phase, What};
use lastfd::internal::judge::Outcome;
use lastfd::internal::scenario::Plan;

type Tell = fn() -> Story;

/// By name, with the verdict that its scenario's expectations come to.
const STORIES: [(&str, Tell, Outcome); 23] = [
    ("spin", spin, Outcome::Met),
    ("spin-denied-cpu", spin_denied_cpu, Outcome::Met),
    ("storm", storm, Outcome::Met),
    ("fixed-delay", fixed_delay, Outcome::Met),
    ("backoff", backoff, Outcome::Met),
    ("unclear", unclear, Outcome::Met),
    ("sheds", sheds, Outcome::Met),
    ("own-limit", own_limit, Outcome::Met),
    ("exits", exits, Outcome::Met),
    ("worker-restarts", worker_restarts, Outcome::Met),
    ("forks", forks, Outcome::Met),
    ("threads", threads, Outcome::Met),
    ("workers", workers, Outcome::Met),
    ("not-reached", not_reached, Outcome::Met),
    ("calls-client", calls_client, Outcome::Met),
    ("three-answers", three_answers, Outcome::Met),
    ("dead", dead, Outcome::NotMet),
    ("leak", leak, Outcome::NotMet),
    ("died", died, Outcome::NotMet),
    ("early", early, Outcome::NotMet),
    ("conflict", conflict, Outcome::Inconclusive),
    ("generator", generator, Outcome::Inconclusive),
    ("truncated", truncated, Outcome::Inconclusive),
];

/// All of them.
pub fn all() -> impl Iterator<Item = (&'static str, Plan, Log, Outcome)> {
    STORIES.iter().map(|(name, story, outcome)| {
        let (plan, log) = story().told();
        (*name, plan, log, *outcome)
    })
}

/// The one of this name.
pub fn told(name: &str) -> (Plan, Log) {
    let (_, story, _) = STORIES.iter().find(|(of, ..)| *of == name).unwrap_or_else(|| panic!("no {name}"));
    story().told()
}

/// What a server that is right in everything else does.
fn whole(policy: &str) -> String {
    format!(
        "limits = {{ soft = 16, hard = 64 }}\nceiling = \"soft - baseline\"\nbaseline = 8\n\
         first-failure = {{ call = \"accept4\", errno = \"EMFILE\" }}\npolicy = \"{policy}\"\n\
         recovers-within = \"1s\"\nleaked = 0"
    )
}

fn spin() -> Story {
    let story = full("spin", "holds 8 at rest, stops at 8, and spins", &whole("spin"));
    spins(waits_at_the_wall(story.fail([40.0]))).recovers(Ended::Decided)
}

/// Ten thousand failures in a second; sixty of them are recorded one by one.
fn spins(story: Story) -> Story {
    story
        .fail((0..60).map(|n| 46.0 + f64::from(n) / 10.0))
        .at(52.0, What::SamplingStopped)
        .failures(60.0, 200)
        .sampled(100.0, 16, 4, 1.0, 1000)
        .at(200.0, What::Output { line: "OSError: [Errno 24] Too many open files".into() })
        .failures(540.0, 5000)
        .sampled(600.0, 16, 4, 1.45, 2_501_000)
        .failures(1040.0, 10_000)
        .sampled(1100.0, 16, 4, 1.9, 5_001_000)
}

/// The four come that find no place, and the watch begins. Its sockets were counted before, and are again.
fn waits_at_the_wall(story: Story) -> Story {
    story
        .tcp(20.0, &[("LISTEN", 1)])
        .wait(41.0, 8..12)
        .phase(45.0, Phase::Saturate, Ended::FirstFailure)
        .tcp(700.0, &[("ESTABLISHED", 24), ("LISTEN", 1)])
}

impl Story {
    fn tcp(self, at: f64, states: &[(&str, u64)]) -> Story {
        let states = states.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect();
        let (subject, namespace, descriptors) = (None, None, None);
        self.at(at, What::Tcp { states, listen_overflows: 3, subject, namespace, descriptors, took: 0 })
    }

    /// The watch ended for this reason. Four leave, the four that waited are served, and at last all leave.
    fn recovers(self, watched: Ended) -> Story {
        let asked = self
            .phase(1200.0, Phase::Probe, watched)
            .probe(1400.0, Label::Saturated, Got::Waits, None)
            .phase(1500.0, Phase::ReleaseSome, Ended::Answered)
            .closes(1500.5, 8..12);
        let left = (0..4).fold(asked, |story, id| story.client(1501.0, id, Client::Released));
        let freed = left.at(1501.0, What::Released { clients: 4 });
        let served = (0..4).fold(freed, |story, n| {
            let later = f64::from(n) / 100.0;
            story.call(1503.0 + later, Call::Accept4, i64::from(8 + n)).client(
                1503.5 + later,
                8 + n,
                Client::Served,
            )
        });
        served
            .sampled(1511.0, 16, 0, 2.2, 5_002_000)
            .at(3105.0, What::OwnCount { pid: 100, before_first_emfile: 8, total: 13 })
            .all_leave(3000.0, 8..16, 8)
    }
}

/// It runs for 10 ms in 60.
fn spin_denied_cpu() -> Story {
    let claim = "spins on a busy machine, which lets it run for 10 ms in 60";
    let story = full("spin-denied-cpu", claim, &whole("spin")).fail([40.0]);
    let turn = |n: u32| (0..20).map(move |i| 46.0 + 60.0 * f64::from(n) + f64::from(i) / 2.0);
    waits_at_the_wall(story)
        .fail((0..3).flat_map(turn))
        .sampled(100.0, 16, 4, 1.0, 1000)
        .at(190.0, What::SamplingStopped)
        .failures(200.0, 20_000)
        .failures(540.0, 60_000)
        .sampled(600.0, 16, 4, 1.45, 2_501_000)
        .failures(1040.0, 120_000)
        .sampled(1100.0, 16, 4, 1.9, 5_001_000)
        .recovers(Ended::Decided)
}

/// Bursts of 16 failures within 0.75 ms, 300 ms apart.
fn storm() -> Story {
    let claim = "fails once for each of 16 slots, and again 300 ms later";
    let burst = |n: u32| (0..16).map(move |i| 40.0 + 300.0 * f64::from(n) + f64::from(i) / 20.0);
    let story = waits_at_the_wall(full("storm", claim, &whole("storm")).fail((0..4).flat_map(burst)));
    let watched = [100.0, 600.0, 1100.0];
    watched.into_iter().fold(story, |story, at| story.sampled(at, 16, 4, 1.0, 1000)).recovers(Ended::Decided)
}

/// Two threads fail together, every half second.
fn fixed_delay() -> Story {
    let expect = "ceiling = { from = 8, to = 8 }\npolicy = \"fixed-delay\"";
    full("fixed-delay", "pauses half a second", expect)
        .wait(41.0, 8..12)
        .fail([42.0, 543.0, 1043.5, 1544.0].into_iter().flat_map(|at| [at, at + 0.02]))
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 4)
        .sample(1500.0, 16, 4)
        .phase(1800.0, Phase::Probe, Ended::Decided)
        .probe(1900.0, Label::Saturated, Got::Waits, None)
        .all_leave(2000.0, 8..16, 8)
}

/// After 5 ms, 10 ms, … each a little late.
fn backoff() -> Story {
    let expect = "ceiling = 8\npolicy = \"backoff\"\nrecovers-within = \"1s\"";
    full("backoff", "pauses longer and longer", expect)
        .wait(41.0, 8..12)
        .fail([42.2, 47.3, 57.4, 77.6, 117.7, 197.9, 358.0, 678.2, 1318.3])
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sampled(60.0, 16, 4, 0.1, 100)
        .failures(60.0, 3)
        .sampled(1060.0, 16, 4, 0.11, 900)
        .failures(1100.0, 8)
        .phase(1350.0, Phase::Probe, Ended::Decided)
        .probe(1400.0, Label::Saturated, Got::Waits, None)
        .all_leave(1500.0, 8..16, 8)
}

fn unclear() -> Story {
    let story = full("unclear", "tries again whenever it likes", &whole("unclear"));
    waits_at_the_wall(story.fail([40.0, 70.0, 770.0, 860.0, 1010.0, 1060.0]))
        .sampled(100.0, 16, 4, 1.0, 1000)
        .sampled(600.0, 16, 4, 1.45, 2_501_000)
        .sampled(1100.0, 16, 4, 1.9, 5_001_000)
        .recovers(Ended::Time)
}

/// Number 7 is kept in reserve: given up to accept whoever comes, and taken again when that one is closed.
fn sheds() -> Story {
    let expect = "ceiling = 8\npolicy = \"sheds\"";
    let full = twelve_silent("sheds", "turns clients away at the wall", expect).come(8, 8).fail([40.0]);
    let turned_away = (8..12).fold(full, |story, id| {
        let at = 33.0 + f64::from(id);
        story
            .client(at, id, Client::Connected)
            .fail([at + 0.05])
            .closes(at + 0.06, 7..8)
            .call(at + 0.07, Call::Accept4, 7)
            .closes(at + 0.08, 7..8)
            .call(at + 0.09, Call::Openat, 7)
            .client(at + 0.15, id, Client::Closed)
    });
    turned_away
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 0)
        .sample(1000.0, 16, 0)
        .phase(1100.0, Phase::Probe, Ended::Quiet)
        .probe(1200.0, Label::Saturated, Got::Closed, Some(0.3))
        .all_leave(1300.0, 8..16, 8)
}

/// Five are served; the others are told so and closed. The watch begins while the last one is turned away.
fn own_limit() -> Story {
    let expect = "ceiling = 5\npolicy = \"limits-itself\"";
    let five = twelve("own-limit", "stops below the limit by its own rule", expect).come(5, 8);
    let turned_away = (5..12).fold(five, |story, id| {
        let at = 31.0 + f64::from(id);
        story
            .client(at, id, Client::Connected)
            .call(at + 0.1, Call::Accept4, 13)
            .closes(at + 0.2, 13..14)
            .client(at + 0.3, id, Client::ErrorReply(TURNED_AWAY.into()))
            .client(at + 0.4, id, Client::Closed)
    });
    turned_away
        .phase(42.15, Phase::Saturate, Ended::AllIn)
        .sample(60.0, 13, 0)
        .sample(200.0, 13, 0)
        .phase(300.0, Phase::Probe, Ended::NoFailure)
        .probe(301.0, Label::Saturated, Got::ErrorReply, Some(0.2))
        .all_leave(400.0, 8..13, 8)
}

fn exits() -> Story {
    let full = full("exits", "gives up", "ceiling = 8\npolicy = \"exits\"")
        .wait(41.0, 8..12)
        .sample(39.0, 15, 0)
        .fail([42.0])
        .sample(42.1, 16, 4)
        .exits(42.5, Some(1), None);
    (0..12)
        .fold(full, |story, id| story.client(42.6, id, Client::Closed))
        .phase(45.0, Phase::Saturate, Ended::Gone)
        .phase(60.0, Phase::Probe, Ended::Gone)
        .probe(61.0, Label::Saturated, Got::Refused, None)
        .phase(70.0, Phase::ReleaseAll, Ended::Answered)
        .at(70.0, What::Released { clients: 0 })
        .probe(80.0, Label::AfterAll, Got::Refused, None)
        .phase(90.0, Phase::Settle, Ended::Answered)
        .phase(95.0, Phase::Stop, Ended::Gone)
        .end(99.0, Ended::Gone)
}

/// The last client is accepted just after the ramp.
fn not_reached() -> Story {
    let expect =
        "limits = { soft = 64, hard = 64 }\nceiling = \"not reached\"\npolicy = \"none\"\nleaked = 0";
    let scenario = scenario("the raised limit holds them all", 64, TWELVE, expect);
    Story::begin("not-reached", &Subject { soft: 64, ..SERVER }, &scenario)
        .come(12, 8)
        .phase(42.05, Phase::Saturate, Ended::AllIn)
        .sampled(60.0, 20, 0, 0.1, 0)
        .sampled(160.0, 20, 0, 0.1, 0)
        .phase(300.0, Phase::Probe, Ended::NoFailure)
        .probe(301.0, Label::Saturated, Got::Served, Some(1.0))
        .all_leave(400.0, 8..20, 8)
}

/// The server spins, and a caller beside the flood gets two answers, then silence from the queue, then no
/// connection.
fn three_answers() -> Story {
    let claim = "a caller is answered, then waits in the queue, then cannot connect";
    let caller = "[workloads.service-a]\ncaller = { to = \"server\", calls = 40, connect-timeout = \"300ms\", \
                  read-timeout = \"300ms\" }\n";
    let scenario = scenario(claim, 16, TWELVE, &(whole("spin") + "\n" + caller));
    let full = Story::begin("three-answers", &SERVER, &scenario).come(8, 8).fail([40.0]);
    let a = "service-a";
    spins(waits_at_the_wall(full))
        .answered(32.9, a, 0, 0.4, 0)
        .answered(36.1, a, 1, 0.6, 0)
        .unanswered(450.0, a, 2, CallStep::Answer, 300.0)
        .sampled(610.0, 16, 129, 1.45, 2_501_000)
        .tcp(710.0, &[("ESTABLISHED", 149), ("LISTEN", 1), ("SYN_RECV", 2)])
        .unanswered(760.2, a, 3, CallStep::Answer, 300.2)
        .unanswered(1100.1, a, 4, CallStep::Connect, 300.1)
        .recovers(Ended::Decided)
}

/// It never tries again, whoever leaves.
fn dead() -> Story {
    let expect = "ceiling = 8\npolicy = \"accept-loop-dead\"\nrecovers-within = \"1s\"";
    twelve_silent("dead", "its accept loop dies", expect)
        .come(8, 8)
        .wait(41.0, 8..12)
        .fail([42.0])
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 4)
        .sample(1000.0, 16, 4)
        .phase(1100.0, Phase::Probe, Ended::Time)
        .probe(1200.0, Label::Saturated, Got::Waits, None)
        .phase(1300.0, Phase::ReleaseSome, Ended::Answered)
        .at(1301.0, What::Released { clients: 4 })
        .closes(1301.0, 8..12)
        .sample(1400.0, 12, 4)
        .phase(1500.0, Phase::ReleaseAll, Ended::Time)
        .at(1501.0, What::Released { clients: 4 })
        .closes(1501.0, 12..16)
        .probe(1700.0, Label::AfterAll, Got::Waits, None)
        .phase(1710.0, Phase::Settle, Ended::Time)
        .sample(1800.0, 8, 4)
        .phase(1900.0, Phase::Stop, Ended::AtRest)
        .exits(1905.0, Some(0), None)
        .end(1910.0, Ended::Gone)
}

/// Eleven are open at the end, and eight were at rest.
fn leak() -> Story {
    full("leak", "keeps three of them", "ceiling = 8\nleaked = 0")
        .wait(41.0, 8..12)
        .fail([42.0, 1043.0, 2044.0, 3045.0])
        .phase(50.0, Phase::Saturate, Ended::FirstFailure)
        .sample(60.0, 16, 4)
        .sample(1500.0, 16, 4)
        .phase(3200.0, Phase::Probe, Ended::Decided)
        .probe(3300.0, Label::Saturated, Got::Waits, None)
        .all_leave(3400.0, 8..16, 11)
}

//! Which runs need the machine to themselves: another run beside them could change their result.
//!
//! Runs side by side share processors, memory and the ports of loopback. Each has its own descriptors,
//! processes and limits. So its counts (ceilings, first failures, leaks) do not depend on other runs; its
//! times do.

use super::expect::Outcome;
use super::model::{Plan, Process, Program};
use super::pace::Pace;

/// Why a run needs the machine to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alone {
    /// The scenario says so (`alone = true`).
    Asked,
    /// It expects something within a time, or that a call times out. A processor that is busy with another
    /// run makes it late.
    Time,
    /// Its clients come, or its calls are made, at a rate. A generator that shares its processor falls
    /// behind.
    Rate,
    /// `RLIMIT_NPROC` counts every process and thread of the user, including those of other runs.
    Tasks,
    /// A process of it may listen where another run's does: the scenario names its port, or its command says
    /// by no placeholder where to listen.
    Port,
    /// It holds so many descriptors that others would be slow beside it.
    Large,
}

impl Alone {
    /// Descriptors or clients of a run that count as many. The largest bundled scenario without a reason to
    /// be alone has 4096, and its clients are connected within a second.
    pub const MANY: u64 = 10_000;
}

/// Whether a process has a port of its own, or a command that has none from lastfd, and no folder of its own
/// for a socket.
fn listens_where_others_may(process: &Process) -> bool {
    let is_command = matches!(process.program, Program::Command(_));
    let told = |word: &String| word.contains("port}") || word.contains("{scratch}");
    process.port.is_some() || is_command && !process.words().any(|word| told(&word))
}

/// How calls end by a timeout.
const TIMED: [Outcome; 2] = [Outcome::Waits, Outcome::TimesOut];

impl Plan {
    /// Why this run needs the machine to itself; `None`: it may be made beside others.
    pub fn needs_the_machine(&self) -> Option<Alone> {
        let expect = &self.expect;
        let timed = expect.delay.is_some()
            || expect.recovers_within_s.is_some()
            || expect.resumes_within_s.is_some()
            || expect.amounts.keys().any(|metric| metric.is_timed())
            || expect.outcomes.values().flatten().any(|outcome| TIMED.contains(outcome));
        let mut processes = self.processes.values();
        let calls = || self.workloads.values().filter_map(|load| load.calls.as_ref());
        let paced = || self.workloads.values().any(|load| matches!(load.pace, Pace::PerSecond(_)));
        let clients = self.workloads.values().filter_map(|load| load.clients).map(u64::from);
        let reasons = [
            (Alone::Asked, self.alone),
            (Alone::Time, timed),
            (Alone::Rate, paced() || calls().any(|calls| calls.schedule.is_some() || calls.every_s > 0.0)),
            (Alone::Tasks, processes.clone().any(|process| process.rlimits.nproc.is_some())),
            (Alone::Port, processes.clone().any(listens_where_others_may)),
            (
                Alone::Large,
                processes.any(|process| process.limits.soft > Alone::MANY)
                    || clients.sum::<u64>() > Alone::MANY,
            ),
        ];
        reasons.into_iter().find_map(|(why, holds)| holds.then_some(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(top: &str, process: &str, workload: &str, expect: &str) -> Option<Alone> {
        let text = format!(
            "claim = \"c\"\n{top}\n[processes.s]\nlimits = {{ soft = 64, hard = 64 }}\n{process}\n\
             [workloads.w]\n{workload}\n[expect]\n{expect}\n"
        );
        let folder = std::path::Path::new(".");
        let plans = crate::scenario::parse(&text, "x.toml", "x", folder);
        plans.unwrap_or_else(|e| panic!("{e}: {text}"))[0].needs_the_machine()
    }

    #[test]
    fn what_is_counted_is_the_same_beside_others_and_what_is_timed_is_not() {
        let (serve, tcp) = ("serve.tcp = {}", "tcp = { clients = 96 }");
        let counts = "ceiling = 57\nbaseline = 7\nleaked = 0\npolicy = \"spin\"\nrecovery = \"recovered\"";
        assert_eq!(why("", serve, tcp, counts), None);
        let calls = "http-per-call = { calls = 10 }";
        assert_eq!(why("", "serve.http = {}", calls, "outcomes = { w = [\"served\"] }"), None);
        assert_eq!(why("", "command = [\"s\", \"--port\", \"{port}\"]", tcp, ""), None);
        assert_eq!(why("", "command = [\"s\", \"{scratch}/s.sock\"]", tcp, ""), None);
        let alone = [
            (why("alone = true", serve, tcp, ""), Alone::Asked),
            (why("", serve, tcp, "recovers-within = \"1s\""), Alone::Time),
            (why("", serve, tcp, "delay = \"1s\""), Alone::Time),
            (why("", serve, tcp, "cpu-percent = \"at most 20 %\""), Alone::Time),
            (why("", "serve.http = {}", calls, "outcomes = { w = [\"served\", \"waits\"] }"), Alone::Time),
            (why("", serve, "tcp = { clients = 96, pace = \"50/s\" }", ""), Alone::Rate),
            (why("", "serve.http = {}", "http-per-call = { calls = 10, rate = \"50/s\" }", ""), Alone::Rate),
            (why("", "serve.http = {}", "http-per-call = { calls = 10, every = \"5ms\" }", ""), Alone::Rate),
            (why("", &format!("{serve}\nrlimits = {{ nproc = 40 }}"), tcp, ""), Alone::Tasks),
            (why("", &format!("{serve}\nport = 9001"), tcp, ""), Alone::Port),
            (why("", "command = [\"nginx\", \"-c\", \"nginx.conf\"]", tcp, ""), Alone::Port),
            (why("", serve, "tcp = { clients = 10001 }", ""), Alone::Large),
        ];
        for (found, wanted) in alone {
            assert_eq!(found, Some(wanted));
        }
    }
}

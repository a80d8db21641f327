//! Logs of runs that were never made, built as a story is told: what happened, at which millisecond.
//! `stories` has those that several tests read; the numbers that tests expect of them can be counted by hand.
//! What a real run can show is recorded (`tests/data/recorded`) instead.

mod others;
mod stories;

use lastfd::internal::event::{
    Call, CallStep, Change, Client, Descriptor, DescriptorKind, Ended, Environment, Event, Formula, Label,
    Limits, Link, Log, Nanos, ObserverName, Outcome, Phase, Pid, Room, SCHEMA, What,
};
use lastfd::internal::measure::{self, Findings};
use lastfd::internal::scenario::{self, Plan};
use std::ops::Range;
use std::path::{Path, PathBuf};
pub use stories::{all, told};

/// What a server says that turns clients away.
pub const TURNED_AWAY: &str = "-ERR max number of clients reached";

/// So many milliseconds since the run's start.
pub fn ms(at: f64) -> Nanos {
    (at * 1e6).round() as Nanos
}

/// A run that is told: its plan, and what happened so far.
#[derive(Clone)]
pub struct Story {
    plan: Plan,
    events: Vec<Event>,
    phase: Phase,
    pid: Pid,
    workload: String,
    /// Whether clients ask something, and so are answered.
    asks: bool,
}

/// The process whose ceiling is asked for.
pub struct Subject {
    /// As the scenario calls it.
    pub name: &'static str,
    pub pid: Pid,
    pub soft: u64,
    /// Descriptors at rest, by kind.
    pub rest: &'static [&'static str],
    /// Further numbers taken at rest that its listing does not show.
    pub reserved: u64,
    /// Its ancestors: pid, command, soft and hard limit.
    pub above: &'static [(Pid, &'static str, u64, u64)],
}

/// Eight descriptors at rest under a limit of 16: room for eight connections, numbered 8 to 15.
pub const SERVER: Subject = Subject {
    name: "server",
    pid: 100,
    soft: 16,
    rest: &["device", "pipe", "pipe", "tcp-listen", "epoll", "eventfd", "file", "file"],
    reserved: 0,
    above: &[(10, "bash", 20000, 20000), (50, "lastfd run", 20000, 20000)],
};

impl Story {
    /// A scenario whose subject listens (unless it is a caller), is at rest, and is about to meet clients.
    pub fn begin(name: &str, subject: &Subject, scenario: &str) -> Story {
        let plans = scenario::parse(scenario, name, name, Path::new(".")).unwrap_or_else(|e| panic!("{e:?}"));
        let plan = plans.into_iter().next().expect("a plan");
        let (workload, asks) = match plan.workloads.iter().next() {
            Some((name, workload)) => (name.clone(), workload.kind != Some(scenario::Dialogue::Tcp)),
            None => (String::new(), false),
        };
        let Subject { pid, soft, .. } = *subject;
        let process = subject.name.to_owned();
        let calls = matches!(plan.processes[&process].program, scenario::Program::Call(_));
        let command = if calls { "lastfd drive" } else { "server --port 9000" };
        let story = Story { plan, events: Vec::new(), phase: Phase::Launch, pid, workload, asks };
        let mut story = story.at(0.0, What::Phase(Phase::Launch)).at(0.5, observer()).at(
            1.0,
            What::Launched {
                process: process.clone(),
                pid,
                argv: command.split(' ').map(str::to_owned).collect(),
                launcher: "exec".into(),
                requested: Limits { soft, hard: 64 },
                isolation: None,
            },
        );
        if !calls {
            let (process, address) = (process.clone(), "127.0.0.1:9000".to_owned());
            story = story.at(11.0, What::Listening { process, pid, address, capacity: 129 });
        }
        let link = |pid, command: &str, soft, hard| Link { pid, command: command.to_owned(), soft, hard };
        let above = subject.above.iter().map(|&(pid, command, soft, hard)| link(pid, command, soft, hard));
        let links = above.chain([link(pid, command, soft, 64)]).collect();
        let kinds = (0..).zip(subject.rest);
        let inventory = kinds.map(|(fd, kind)| Descriptor {
            fd,
            kind: DescriptorKind::named(kind).unwrap(),
            detail: detail(fd, kind),
        });
        let descriptors = subject.rest.len() as u64 + subject.reserved;
        let rest = What::Baseline {
            pid,
            descriptors,
            counted: descriptors,
            inventory: inventory.collect(),
            settled: true,
        };
        let predicted = What::Prediction {
            pid,
            ceiling: soft - descriptors,
            formula: Formula::Process(Room::new(soft, descriptors)),
            descriptors_per_connection: 1.0,
            calibrated_with: 0,
        };
        story
            .phase(12.0, Phase::Baseline, Ended::Ready)
            .at(13.0, What::Chain { process, pid, when: Phase::Baseline, links })
            .at(14.0, rest)
            .at(15.0, predicted)
            .phase(30.0, Phase::Ramp, Ended::AtRest)
    }

    /// Anything.
    pub fn at(mut self, at: f64, is: What) -> Story {
        self.events.push(Event { at: ms(at), is });
        self
    }

    /// The phase under way ends, for this reason, and the next one begins.
    pub fn phase(mut self, at: f64, next: Phase, why: Ended) -> Story {
        let ended = What::PhaseEnded { phase: self.phase, why };
        self.phase = next;
        self.at(at, ended).at(at, What::Phase(next))
    }

    /// The last phase ends, and the log.
    pub fn end(self, at: f64, why: Ended) -> Story {
        let phase = self.phase;
        self.at(at, What::PhaseEnded { phase, why }).at(at, What::End)
    }

    /// A client's connection is in this state.
    pub fn client(self, at: f64, id: u32, state: Client) -> Story {
        let workload = self.workload.clone();
        self.at(at, What::Client { workload, id, state })
    }

    /// A call returned.
    pub fn call(self, at: f64, name: Call, ret: i64) -> Story {
        let pid = self.pid;
        self.at(at, What::Call { pid, name, ret, on: None })
    }

    /// From here on it is this process that accepts, fails and is sampled.
    pub fn process(mut self, pid: Pid) -> Story {
        self.pid = pid;
        self
    }

    /// A client connects, and is accepted and answered soon after.
    pub fn comes(self, at: f64, id: u32, fd: i64) -> Story {
        let story = self.client(at, id, Client::Connected).call(at + 0.1, Call::Accept4, fd);
        if story.asks { story.client(at + 0.2, id, Client::Served) } else { story }
    }

    /// So many come from 31 ms on, one a millisecond, and take the numbers from this one on.
    pub fn come(self, clients: u32, fd: i64) -> Story {
        (0..clients).fold(self, |story, id| story.comes(31.0 + f64::from(id), id, fd + i64::from(id)))
    }

    /// These connect, one a millisecond, and nobody accepts them.
    pub fn wait(self, at: f64, ids: Range<u32>) -> Story {
        (0..).zip(ids).fold(self, |story, (n, id)| story.client(at + f64::from(n), id, Client::Connected))
    }

    /// accept4 fails with EMFILE.
    pub fn fail(self, at: impl IntoIterator<Item = f64>) -> Story {
        at.into_iter().fold(self, |story, at| story.call(at, Call::Accept4, -24))
    }

    /// Failures so far.
    pub fn failures(self, at: f64, total: u64) -> Story {
        self.at(at, What::Failures { name: Call::Accept4, total })
    }

    /// It closes these numbers.
    pub fn closes(self, at: f64, fds: Range<i32>) -> Story {
        let pid = self.pid;
        fds.fold(self, |story, fd| story.at(at, What::Close { pid, fd }))
    }

    /// Its descriptors and its accept queue.
    pub fn sample(self, at: f64, descriptors: u64, queue: u32) -> Story {
        self.sampled(at, descriptors, queue, 0.0, 0)
    }

    /// The same, with the CPU time and the bytes logged so far.
    pub fn sampled(self, at: f64, descriptors: u64, queue: u32, cpu_s: f64, log_bytes: u64) -> Story {
        let queue = self.listens().then_some(queue);
        let pid = self.pid;
        self.at(at, What::Sample { pid, descriptors, queue, cpu_s, log_bytes })
    }

    /// What a new client gets. It is answered, or not, in milliseconds.
    pub fn probe(self, at: f64, label: Label, outcome: Outcome, answer: Option<f64>) -> Story {
        let workload = self.workload.clone();
        let connect_s = (outcome != Outcome::Refused).then_some(0.0001);
        let answer_s = answer.map(|ms| ms / 1e3);
        let detail = match outcome {
            Outcome::Served => "101",
            Outcome::ErrorReply => TURNED_AWAY,
            _ => "",
        };
        let detail = detail.into();
        self.at(at, What::Probe { workload, label, outcome, detail, connect_s, answer_s })
    }

    /// A call of the workload is answered, after so many milliseconds.
    pub fn answered(self, at: f64, workload: &str, id: u32, took: f64, handshakes: u32) -> Story {
        self.of_call(at - 0.001, workload, id, Client::Connected)
            .of_call(at, workload, id, Client::Served)
            .at(
                at,
                What::CallEnded {
                    workload: workload.into(),
                    id,
                    outcome: Some(Outcome::Served),
                    step: None,
                    errno: None,
                    connect_s: Some(0.0001),
                    took_s: took / 1e3,
                    tls_s: None,
                    first_byte_s: None,
                    handshakes,
                    resumed: 0,
                    kept: None,
                    late_s: None,
                    held: false,
                },
            )
    }

    /// A call gets no further than this step.
    pub fn unanswered(self, at: f64, workload: &str, id: u32, step: CallStep, took: f64) -> Story {
        let (mut story, connect_s, outcome, errno) = match step {
            CallStep::Socket => (self.of_call(at, workload, id, Client::Local(24)), None, None, Some(24)),
            CallStep::Connect => (self, None, Some(Outcome::TimesOut), None),
            _ => {
                let waits = self.of_call(at - 0.001, workload, id, Client::Connected);
                (waits, Some(0.0001), Some(Outcome::Waits), None)
            }
        };
        if outcome.is_some() {
            story = story.of_call(at, workload, id, Client::TimedOut);
        }
        let (workload, step, took_s) = (workload.into(), Some(step), took / 1e3);
        story.at(
            at,
            What::CallEnded {
                workload,
                id,
                outcome,
                step,
                errno,
                connect_s,
                took_s,
                tls_s: None,
                first_byte_s: None,
                handshakes: 0,
                resumed: 0,
                kept: None,
                late_s: None,
                held: false,
            },
        )
    }

    fn of_call(self, at: f64, workload: &str, id: u32, state: Client) -> Story {
        self.at(at, What::Client { workload: workload.into(), id, state })
    }

    /// Its process exits, with this code, or by this signal.
    pub fn exits(self, at: f64, code: Option<i32>, signal: Option<i32>) -> Story {
        let (pid, process) = (self.pid, self.plan.subject.clone());
        self.at(at, What::Process { pid, parent: 1, change: Change::Exit })
            .at(at, What::Exited { process, pid, code, signal })
    }

    /// All leave; it closes these numbers, serves a new client, comes to rest at so many descriptors, and is
    /// stopped.
    pub fn all_leave(self, at: f64, fds: Range<i32>, rest: u64) -> Story {
        let fd = fds.start;
        let (outcome, answer) = if self.asks { (Outcome::Served, Some(2.0)) } else { (Outcome::Waits, None) };
        let accepts = if self.listens() { Call::Accept4 } else { Call::Socket };
        let before = if self.phase == Phase::ReleaseSome { Ended::Served } else { Ended::Answered };
        self.phase(at, Phase::ReleaseAll, before)
            .closes(at + 1.0, fds)
            .at(at + 2.0, What::Released { clients: 0 })
            .call(at + 10.0, accepts, fd.into())
            .probe(at + 12.0, Label::AfterAll, outcome, answer)
            .closes(at + 13.0, fd..fd + 1)
            .phase(at + 20.0, Phase::Settle, Ended::Answered)
            .sample(at + 50.0, rest, 0)
            .phase(at + 100.0, Phase::Stop, Ended::AtRest)
            .exits(at + 105.0, Some(0), None)
            .end(at + 110.0, Ended::Gone)
    }

    /// The watch ends for this reason, the new client's phase for that one, and nobody is asked to leave.
    pub fn breaks_off(self, at: f64, watch: Ended, asked: Ended) -> Story {
        self.phase(at, Phase::Probe, watch).phase(at + 100.0, Phase::Stop, asked).end(at + 110.0, Ended::Gone)
    }

    /// Whether it is a server, and no caller.
    fn listens(&self) -> bool {
        !matches!(self.plan.processes[&self.plan.subject].program, scenario::Program::Call(_))
    }

    /// The plan, and the log with it in its head.
    pub fn told(mut self) -> (Plan, Log) {
        let header = What::Header {
            schema: SCHEMA.into(),
            lastfd_version: "0.1.0".into(),
            started_at: "2026-01-02T03:04:05Z".into(),
            environment: Box::new(Environment {
                kernel: "6.18.0".into(),
                cpus: 2,
                privileges: "root".into(),
                observers: vec!["perf".into(), "ptrace".into()],
            }),
            plan: serde_json::to_value(&self.plan).expect("a plan"),
        };
        self.events.insert(0, Event { at: 0, is: header });
        (self.plan, Log::new(self.events))
    }
}

/// A scenario of one server.
fn scenario(claim: &str, soft: u64, flood: &str, expect: &str) -> String {
    format!(
        "claim = \"{claim}\"\nhold = \"1s\"\n\
         [processes.server]\ncommand = [\"server\", \"--port\", \"{{port}}\"]\n\
         limits = {{ soft = {soft}, hard = 64 }}\n\
         [workloads.flood]\n{flood}\n[expect]\n{expect}\n"
    )
}

const TWELVE: &str = "websocket = { clients = 12, path = \"/ws\" }";

/// A server that twelve clients are about to come to.
fn twelve(name: &str, claim: &str, expect: &str) -> Story {
    Story::begin(name, &SERVER, &scenario(claim, 16, TWELVE, expect))
}

/// The same, of clients that ask nothing.
fn twelve_silent(name: &str, claim: &str, expect: &str) -> Story {
    Story::begin(name, &SERVER, &scenario(claim, 16, "tcp = { clients = 12 }", expect))
}

/// Eight of the twelve are served, and there is room for no more.
fn full(name: &str, claim: &str, expect: &str) -> Story {
    twelve(name, claim, expect).come(8, 8)
}

/// What is measured of the story of this name.
pub fn measured(name: &str) -> Findings {
    changed(name, |_| ())
}

/// The same where something else happened. Events need not be in order.
pub fn changed(name: &str, change: impl FnOnce(&mut Vec<Event>)) -> Findings {
    let (plan, log) = told(name);
    let mut events = log.events;
    change(&mut events);
    measure::measure(&plan, &Log::new(events))
}

/// The same with one event more.
pub fn with(name: &str, at: f64, is: What) -> Findings {
    changed(name, |events| events.push(event(at, is)))
}

/// When this phase began.
pub fn began(events: &[Event], phase: Phase) -> Nanos {
    events.iter().find(|event| event.is == What::Phase(phase)).expect("it has this phase").at
}

/// Gives this phase another end.
pub fn ends(events: &mut [Event], of: Phase, because: Ended) {
    for event in events {
        if let What::PhaseEnded { phase, why } = &mut event.is
            && *phase == of
        {
            *why = because;
        }
    }
}

/// When the first clients were told to leave.
pub fn released(events: &[Event]) -> Nanos {
    let leave = |is: &What| matches!(is, What::Phase(Phase::ReleaseSome | Phase::ReleaseAll));
    events.iter().find(|event| leave(&event.is)).expect("a release").at
}

/// An event at this millisecond.
pub fn event(at: f64, is: What) -> Event {
    Event { at: ms(at), is }
}

/// accept4 of process 100 returned.
pub fn accept(at: f64, ret: i64) -> Event {
    event(at, What::Call { pid: 100, name: Call::Accept4, ret, on: None })
}

/// Process 100 closed this number.
pub fn close(at: f64, fd: i32) -> Event {
    event(at, What::Close { pid: 100, fd })
}

/// The connection of a client of the flood is in this state.
pub fn client(at: f64, id: u32, state: Client) -> Event {
    event(at, What::Client { workload: "flood".into(), id, state })
}

/// accept4 of process 100 failed with EMFILE on the listener of this number.
pub fn fails_on(at: f64, listener: i32) -> Event {
    event(at, What::Call { pid: 100, name: Call::Accept4, ret: -24, on: Some(listener) })
}

/// Whether a call failed with EMFILE.
pub fn failed(event: &Event) -> bool {
    matches!(event.is, What::Call { ret: -24, .. })
}

/// The told log as a file in this folder, for commands that read one.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("jsonl");
    let lines = told(name).1.events.into_iter().map(|event| serde_json::to_string(&event).expect("an event"));
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").expect("our own folder");
    path
}

fn observer() -> What {
    What::Observer { name: ObserverName::Perf, exact: true, io_uring: false }
}

fn detail(fd: i32, kind: &str) -> String {
    match kind {
        "device" => "/dev/null".into(),
        "tcp-listen" => "127.0.0.1:9000".into(),
        "file" => format!("/srv/log.{fd}"),
        "pipe" => format!("pipe:[{fd}]"),
        "unix" => format!("socket:[{fd}]"),
        other => format!("anon_inode:[event{}]", if other == "epoll" { "poll" } else { "fd" }),
    }
}

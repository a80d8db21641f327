//! The things that the phases of a subject look at beside the pump: the plan, the places, and the drivers of
//! its workloads.

use super::choice::{self, Choice};
use super::companions::Companion;
use super::error::Error;
use super::options::Options;
use super::orders::asked;
use super::places::Places;
use super::prepare::argv;
use super::programs::{self, Programs};
use super::pump::{Load, Pump};
use super::ready;
use crate::drive::{
    Fleet, clients_per_driver,
    protocol::{Kind, Setup},
};
use crate::event::{Event, Label, Outcome, Phase, Pid, What};
use crate::launch::{self};
use crate::limits::budget;
use crate::scenario::{
    CALLS_IN_A_TIME_MAX, Caller, Calls, ClientProgram, Dialogue, KeepAlive, One, Pace, Plan, Process,
    Program, Tls, Workload,
};
use crate::sys::address::Address;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// The things that the phases of a subject look at beside the pump.
pub(super) struct Site<'a> {
    pub plan: &'a Plan,
    /// The subject, with its placeholders filled in.
    pub process: &'a Process,
    /// Which of its listeners is loaded.
    pub choice: &'a Choice,
    /// Its folder.
    pub scratch: &'a Path,
    pub options: &'a Options,
    pub places: &'a Places,
    pub companions: &'a BTreeMap<String, Companion>,
    /// The channel to which drivers report.
    pub sink: &'a Sender<Vec<Event>>,
}

impl Site<'_> {
    /// The words that the subject is executed with, by whatever launcher.
    pub fn argv(&self) -> Vec<String> {
        let fill = |word: String| self.places.fill(&word, &self.plan.subject, self.scratch);
        argv(&self.process.program, &self.options.helper).into_iter().map(fill).collect()
    }

    /// How fast the clients come that the subject holds. If workloads differ, the pace that is least `Auto`
    /// counts.
    pub fn pace(&self) -> Pace {
        let own = self.plan.workloads.values().filter(|w| w.to == self.plan.subject && w.calls.is_none());
        let paces: Vec<Pace> = own.map(|w| w.pace).filter(|pace| *pace != Pace::Auto).collect();
        paces.iter().find(|pace| **pace != Pace::Steady).or(paces.first()).copied().unwrap_or_default()
    }

    /// The kind of clients of a workload; `None`: the server is to be asked first.
    pub fn kind(&self, workload: &Workload) -> Option<Kind> {
        // From the folder of the scenario file, as the paths of its commands.
        let file = |ca: PathBuf| {
            let filled = self.places.fill(&ca.to_string_lossy(), &workload.to, self.scratch);
            self.plan.directory.join(filled)
        };
        let call = |calls: &Calls| Kind::Call {
            calls: calls.clone(),
            certificate: calls
                .ca
                .clone()
                .map(file)
                .or_else(|| self.places.certificate(self.scratch))
                .filter(|_| calls.tls),
        };
        let tls = workload.tls.clone().map(|tls| Tls { ca: tls.ca.map(file), ..tls });
        let hold = |dialogue| Kind::Hold { dialogue, pace: workload.pace, tls: tls.clone() };
        let program =
            |program: &ClientProgram| Kind::Program { program: program.clone(), pace: workload.pace };
        let program = workload.program.as_ref().map(program);
        program.or_else(|| workload.calls.as_ref().map(call)).or(workload.kind.map(hold))
    }

    /// The settings that the drivers of a workload need before they start. `subject`: the address where it
    /// listens.
    pub fn wanted(
        &self,
        name: &str,
        workload: &Workload,
        kind: Kind,
        subject: &ready::Ready,
        soft: u64,
    ) -> Wanted {
        let beside = self.companions.get(&workload.to);
        let ready = beside.map_or(subject, |companion| &companion.ready);
        let tls = if workload.tls.is_some() || workload.calls.as_ref().is_some_and(|calls| calls.tls) {
            self.places.tls_port(&workload.to)
        } else {
            None
        };
        let mut target = ready.address.clone();
        if let (Address::Inet(target) | Address::Udp(target), Some(port)) =
            (&mut target, workload.port.or(tls))
        {
            target.set_port(port);
        }
        if let Some(unix) = &workload.unix {
            let scratch = beside.map_or(self.scratch, |companion| companion.scratch.path());
            let named = choice::address(&self.places.fill(unix, &workload.to, scratch), &self.plan.directory);
            // Looked at before anything was started.
            target = named.unwrap_or(target);
        }
        // Room for the limits to come, too: they are moved while these clients connect.
        let soft = self.plan.then.iter().map(|then| then.limit.soft).fold(soft, u64::max);
        let timed = workload.calls.as_ref().is_some_and(|calls| calls.duration_s.is_some());
        let enough = match kind {
            Kind::Hold { .. } => enough(soft, ready),
            Kind::Call { .. } => u32::try_from(soft.saturating_mul(2).saturating_add(64)).unwrap_or(u32::MAX),
            Kind::Program { .. } => {
                u32::try_from(soft.saturating_add(soft / 4).saturating_add(8)).unwrap_or(u32::MAX)
            }
        };
        let kind = match kind {
            Kind::Program { program, pace } => {
                Kind::Program { program: self.addressed(program, &workload.to, &target), pace }
            }
            other => other,
        };
        Wanted {
            setup: Setup {
                exchange: workload.exchange.clone(),
                keep_alive: workload.keep_alive,
                ..setup(name, kind, &workload.path, target)
            },
            // If a time was asked for, it ends them.
            clients: workload.clients.unwrap_or(if timed { CALLS_IN_A_TIME_MAX } else { enough }),
        }
    }

    /// A client program with the places filled in of the process that it connects to.
    fn addressed(&self, program: ClientProgram, to: &str, target: &Address) -> ClientProgram {
        let port = target.port().map(|port| port.to_string());
        let fill = |word: String| {
            let word = word.replace("{address}", &target.to_string());
            let word = port.iter().fold(word, |word, port| word.replace("{port}", port));
            self.places.fill(&word, to, self.scratch)
        };
        ClientProgram {
            run: program.run.into_iter().map(fill).collect(),
            env: program.env.into_iter().map(|(key, value)| (key, fill(value))).collect(),
            ..program
        }
    }

    /// The drivers of a workload, started.
    pub fn crew(&self, wanted: Wanted) -> Result<Crew, Error> {
        match &wanted.setup.kind {
            Kind::Program { program, .. } => {
                let all = program.one == One::All;
                let processes = if all { 1 } else { wanted.clients };
                let (plan, options) = (self.plan, self.options);
                let started = programs::start(&wanted.setup, processes, &plan.directory, options, self.sink)?;
                let (fleet, mut programs) = started;
                if all {
                    let kind = Kind::Hold { dialogue: Dialogue::Tcp, pace: Pace::Auto, tls: None };
                    let setup = setup(&wanted.setup.workload, kind, "/", wanted.setup.target.clone());
                    programs.prober = Some(self::fleet(&Wanted { setup, clients: 1 }, options, self.sink)?);
                }
                Ok(Crew { wanted, fleet, programs: Some(programs) })
            }
            Kind::Hold { .. } | Kind::Call { .. } => {
                let fleet = fleet(&wanted, self.options, self.sink)?;
                Ok(Crew { wanted, fleet, programs: None })
            }
        }
    }

    pub fn load(&self, name: &str, workload: &Workload, crew: Crew) -> Load {
        let Crew { wanted, fleet, programs } = crew;
        let own = matches!(&self.process.program, Program::Call(call) if call == name);
        Load {
            workload: name.to_owned(),
            calls: matches!(wanted.setup.kind, Kind::Call { .. }),
            scheduled: workload.calls.as_ref().is_some_and(|calls| calls.schedule.is_some()),
            asks: match wanted.setup.kind {
                Kind::Hold { dialogue, .. } => dialogue != Dialogue::Tcp,
                Kind::Call { .. } | Kind::Program { .. } => workload.asks().unwrap_or(true),
            },
            concerns_subject: own || workload.to == self.plan.subject,
            background: !own && workload.calls.as_ref().is_some_and(|calls| calls.caller == Caller::Caller),
            fleet,
            programs,
        }
    }
}

/// The drivers of one workload.
pub(super) struct Crew {
    pub wanted: Wanted,
    pub fleet: Fleet,
    pub programs: Option<Programs>,
}

/// So many processes that accept from one listener are filled, one and all; for more, a user says how many
/// clients come.
const TABLES: u64 = 8;

/// Clients that fill a subject with such a soft limit and all its accept queues, and some more.
fn enough(soft: u64, ready: &ready::Ready) -> u32 {
    // Each of several listeners may have a process of its own, and several processes may accept from one in
    // turn.
    let tables = u64::from(ready.listeners).max(TABLES.min(ready.holders.len() as u64));
    let places = soft.saturating_add(soft / 2).saturating_mul(tables);
    u32::try_from(places.saturating_add(ready.capacity.into())).unwrap_or(u32::MAX)
}

/// The settings that the drivers of a workload need before they start.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub setup: Setup,
    pub clients: u32,
}

/// The driver processes of a workload, started.
pub(super) fn fleet(wanted: &Wanted, options: &Options, sink: &Sender<Vec<Event>>) -> Result<Fleet, Error> {
    let command = || options.helper.command(&["drive"]);
    let own = budget::raise_own();
    let room = clients_per_driver(own.hard).map_err(|e| Error::Inconclusive(e.to_string()))?;
    // Calls are made by one driver: their order is the order of one queue.
    let each = if matches!(wanted.setup.kind, Kind::Call { .. }) { u32::MAX } else { room };
    let mut setup = wanted.setup.clone();
    if let Kind::Call { calls, .. } = &mut setup.kind
        && calls.schedule.is_some()
    {
        calls.concurrency = calls.concurrency.min(room);
    }
    Fleet::spawn_with(command, &setup, wanted.clients, each, sink.clone())
        .map_err(|e| Error::Inconclusive(e.to_string()))
}

pub(super) fn setup(workload: &str, kind: Kind, path: &str, target: Address) -> Setup {
    Setup {
        workload: workload.into(),
        kind,
        target,
        path: path.into(),
        exchange: None,
        keep_alive: KeepAlive::default(),
        first_id: 0,
        connect_deadline_ms: 3000,
    }
}

/// The kind of clients of each workload. If a workload leaves it open, the server is asked with HTTP, and
/// with TLS if it rejects plain text.
pub(super) fn kinds(pump: &mut Pump, site: &Site<'_>, ready: &ready::Ready) -> Result<Vec<Kind>, Error> {
    let mut kinds = Vec::new();
    for (name, workload) in &site.plan.workloads {
        kinds.push(match site.kind(workload) {
            Some(kind) => kind,
            None => {
                let hold = |dialogue, tls: &Option<Tls>| Kind::Hold {
                    dialogue,
                    pace: workload.pace,
                    tls: tls.clone(),
                };
                let mut ask = |dialogue, tls: &Option<Tls>, label| {
                    let setup = setup(name, hold(dialogue, tls), &workload.path, ready.address.clone());
                    asked(pump, &mut fleet(&Wanted { setup, clients: 1 }, site.options, site.sink)?, label)
                };
                // If this path is refused (403, 503), no client would ever be served, so clients ask nothing.
                // So is an echo.
                let (plain, tls) = (&workload.tls, workload.tls.clone().or(Some(Tls::default())));
                match ask(Dialogue::HttpIdle, plain, Label::Http)? {
                    Some(Outcome::Served) => hold(Dialogue::HttpIdle, plain),
                    Some(Outcome::Closed | Outcome::ErrorReply) if plain.is_none() => {
                        if ask(Dialogue::HttpIdle, &tls, Label::Https)? == Some(Outcome::Served) {
                            hold(Dialogue::HttpIdle, &tls)
                        } else if ask(Dialogue::Tcp, &tls, Label::Tls)? == Some(Outcome::Served) {
                            hold(Dialogue::Tcp, &tls)
                        } else {
                            hold(Dialogue::Tcp, plain)
                        }
                    }
                    _ => hold(Dialogue::Tcp, plain),
                }
            }
        });
    }
    Ok(kinds)
}

/// The address where the subject listens.
pub(super) fn listening(plan: &Plan, pid: Pid, ready: &ready::Ready) -> What {
    What::Listening {
        process: plan.subject.clone(),
        pid,
        address: ready.address.to_string(),
        capacity: ready.capacity,
    }
}

/// Executes the subject.
pub(super) fn launch(pump: &mut Pump, site: &Site<'_>) -> Result<(), Error> {
    pump.begin(Phase::Launch);
    pump.tree.start()?;
    pump.journal.record(What::Launched {
        process: site.plan.subject.clone(),
        pid: pump.tree.program(),
        argv: pump.tree.command().argv.clone(),
        launcher: launch::registration(&site.process.launcher).name.into(),
        requested: site.process.limits,
        isolation: Some(pump.tree.isolation().to_string()),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_end_asks_for_as_many_clients_as_can_be_numbered() {
        let shared = |listeners, holders| ready::Ready {
            address: Address::Inet(([127, 0, 0, 1], 1).into()),
            capacity: 129,
            listeners,
            holders: (1..=holders).collect(),
        };
        let ready = |listeners| shared(listeners, 1);
        assert_eq!((enough(64, &ready(1)), enough(64, &ready(4))), (96 + 129, 4 * 96 + 129));
        assert_eq!((enough(64, &shared(1, 2)), enough(64, &shared(4, 4))), (2 * 96 + 129, 4 * 96 + 129));
        assert_eq!(enough(64, &shared(1, 100)), 8 * 96 + 129, "no more than eight by default");
        assert_eq!((enough(1 << 30, &ready(4)), enough(u64::MAX, &ready(1))), (u32::MAX, u32::MAX));
    }
}

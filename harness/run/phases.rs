//! Everything between the header and the end of the log: from the subject's preparation to its end.

use super::calibrate::{calibrate, predict};
use super::census::Census;
use super::choice::Choice;
use super::error::Error;
use super::loaded::{loaded, stop};
use super::options::{Options, Run, early, header};
use super::places::Places;
use super::prepare::{STOPS, prepare};
use super::pump::Pump;
use super::setting::Condition;
use super::site::{Site, kinds, launch as execute, listening};
use super::{caller, client, companions, journal::Journal, live::Step, ready};
use crate::event::{Ended, Event, Phase, Unseen, What};
use crate::observe::{self, failures::SAMPLED_AT_MOST};
use crate::scenario::{self, Plan, Program};
use crate::sys::clock;
use crate::sys::proc;
use crate::sys::sock_diag::SockDiag;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Why the cost of observing is not known of a run that is to be short.
const UNWATCHED: &str = "nobody watched the server at its limit (`hold` is 0)";

/// Makes the run in this process. `first`: the events before its phases, or why there can be no phases.
pub(super) fn made(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    first: Result<Option<What>, Error>,
) -> Result<Run, Error> {
    let redaction = plan.redaction(options.redact);
    let mut journal = Journal::open(options.events.as_deref(), redaction.clone())?;
    journal.record(header(&plan.redacted(&redaction)));
    let mut journal = Some(journal);
    let result = first.and_then(|what| {
        what.into_iter().for_each(|what| journal.as_mut().expect("still here").record(what));
        phases(plan, options, interrupted, progress, &mut journal)
    });
    let mut journal = journal.expect("phases hands the journal back");
    let error = result.err().map(|error| match error {
        // Ctrl-C reaches the launch step too, as long as it is of the same group.
        Error::NotStarted(_) if interrupted.load(Ordering::Relaxed) => Error::Interrupted,
        Error::NotStarted(why) => Error::NotStarted(redaction.text(&why)),
        Error::Inconclusive(why) => Error::Inconclusive(redaction.text(&why)),
        error => error,
    });
    if let Some(error) = &error {
        journal.record(early(error));
    }
    journal.record(What::End);
    let (events, lost) = journal.close();
    Ok(Run { events, error: error.or_else(|| lost.map(|e| Error::Lost(e.to_string()))) })
}

/// Everything between the header and the end of the log.
fn phases(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    journal: &mut Option<Journal>,
) -> Result<(), Error> {
    let mut diag = SockDiag::open()?;
    let places = Places::choose(plan, &mut diag)?;
    let (sink, reports) = channel();
    let beside = companions::Which { but: Some(&plan.subject), stops: &STOPS };
    let companions = companions::start(plan, beside, options, &places, &mut diag, &sink, interrupted)?;
    for what in companions::introduce(&companions) {
        journal.as_mut().expect("still here").record(what);
    }
    let before = ready::already(&mut diag)?;
    let subject = &plan.processes[&plan.subject];
    // A command that is not there says so when it is executed.
    let executable = match subject.program {
        Program::Command(_) => scenario::executable(subject, &plan.directory).ok().flatten(),
        Program::Serve(_) | Program::Call(_) => Some(options.helper.exe().to_path_buf()),
    };
    let chosen = match observe::choose(options.observer, executable.as_deref()) {
        Ok(observe::Chosen::None) => Err("no observer was asked for".to_string()),
        Ok(chosen) => Ok(chosen),
        Err(refused) => Err(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    if let Err(reason) = &chosen {
        let reason =
            format!("nobody observed system calls ({reason}; `lastfd doctor` says how to allow that)");
        journal.as_mut().expect("still here").record(What::Inconclusive { reason });
    }
    let chosen = chosen.ok();
    if options.in_use.get().is_none()
        && let Some(in_use) = chosen.as_ref().and_then(observe::Chosen::keep_in_use)
    {
        let _ = options.in_use.set(in_use); // runs of one command come one after the other
    }
    let trap = chosen.as_ref().is_some_and(observe::Chosen::wants_trap);
    let (tree, process, scratch) = prepare(plan, &plan.subject, options, &places, trap, &STOPS, interrupted)?;
    let choice =
        Choice::of(plan, &plan.subject, &process, |word| places.fill(word, &plan.subject, scratch.path()))?;
    let census = Census::start(sink.clone())?;
    let mut pump =
        Pump::new(journal.take().expect("still here"), tree, reports, diag, census, interrupted, progress);
    let site = Site {
        plan,
        process: &process,
        choice: &choice,
        scratch: scratch.path(),
        options,
        places: &places,
        companions: &companions,
        sink: &sink,
    };
    let result = attach(&mut pump, chosen.as_ref(), options.sampled)
        .and_then(|()| attended(&mut pump, &site, &before));
    stop(&mut pump, plan, subject, &result);
    // Companions report all that they have seen as they end. An interrupt was reported already.
    drop(companions);
    let _ = pump.turn(Duration::ZERO);
    if let (Some(chosen), Ok(_)) = (&chosen, &result) {
        let cost = match plan.hold_s > 0.0 {
            true => options.cost(chosen),
            false => What::NotSeen { what: Unseen::ObserverCost, why: UNWATCHED.into() },
        };
        pump.journal.record(cost);
    }
    *journal = Some(pump.journal);
    result.map(drop)
}

/// Attaches the observer to the process that waits before its exec; it reports so many failing calls one by
/// one.
fn attach(pump: &mut Pump, chosen: Option<&observe::Chosen>, sampled: u64) -> Result<(), Error> {
    let Some(chosen) = chosen else { return Ok(()) };
    let refused = |e| Error::Inconclusive(format!("the observer could not be attached: {e}"));
    let mut observer = chosen.attach(pump.tree.program()).map_err(refused)?;
    pump.sampled = sampled.min(SAMPLED_AT_MOST);
    observer.sample_again(pump.sampled)?;
    pump.journal.record(What::Observer {
        name: observer.name(),
        exact: observer.exact(),
        io_uring: observer.sees_io_uring(),
    });
    pump.observer = Some(observer);
    Ok(())
}

/// The phases of a subject that is prepared: from its exec until it is back at rest; returns why the last of
/// them ended.
fn attended(pump: &mut Pump, site: &Site<'_>, before: &HashSet<u64>) -> Result<Ended, Error> {
    let (plan, process, sink) = (site.plan, site.process, site.sink);
    let lines = sink.clone();
    // The receiver is gone only when the run is. A subject is no witness of itself.
    let report = move |event: Event| {
        if !matches!(event.is, What::Upstream(_)) {
            let _ = lines.send(vec![event]);
        }
    };
    pump.output = pump.tree.output().map(|fd| observe::output::Drain::start(fd, report)).transpose()?;
    let isolation = site.options.isolation;
    let wanted = process.setting.ready.as_ref();
    let (command, output) = (pump.tree.command(), pump.output.as_ref());
    let mut condition = Condition::of(wanted, &plan.directory, command, isolation, output)?;
    if let Some((upstream, serves)) = plan.called() {
        return caller::attended(pump, site, upstream, serves);
    }
    if plan.subject_is_client() {
        return client::attended(pump, site);
    }
    execute(pump, site)?;
    let (found, window) = ready::wait(pump, process, site.choice, before, condition.as_mut())?;
    pump.journal.record(listening(plan, pump.acceptor, &found));
    pump.next(Ended::Ready, Phase::Baseline);
    // The drivers start while the subject settles: they connect only on order.
    let soft = proc::nofile(pump.acceptor).map_or(process.limits.soft, |(soft, _)| soft);
    let mut early = Vec::new();
    for (name, workload) in &plan.workloads {
        if let Some(kind) = site.kind(workload) {
            let wanted = site.wanted(name, workload, kind, &found, soft);
            early.push(site.crew(wanted)?);
        }
    }
    let (ready, why) = ready::settle(pump, site.choice, before, &found, window)?;
    if ready != found {
        pump.journal.record(listening(plan, pump.acceptor, &ready));
    }
    let rests = ready::rest(pump, &plan.subject, &ready, why == Ended::AtRest)?;
    pump.acceptor = rests[0].pid;
    predict(pump, &rests[0]);
    let kinds = kinds(pump, site, &ready)?;
    pump.live.arm(clock::now());
    pump.next(why, Phase::Ramp);
    // A program that is full at rest may have failed too often to be recorded.
    if let Some(observer) = &mut pump.observer {
        observer.sample_again(pump.sampled)?;
    }
    let mut clients = Vec::new();
    for ((name, workload), kind) in plan.workloads.iter().zip(kinds) {
        let wanted = site.wanted(name, workload, kind, &ready, rests[0].limits.soft);
        clients.push(wanted.clients);
        let crew = match early.iter().position(|crew| crew.wanted == wanted) {
            Some(at) => early.swap_remove(at),
            None => site.crew(wanted)?,
        };
        pump.loads.push(site.load(name, workload, crew));
    }
    drop(early);
    let steady = calibrate(pump, &rests, &ready, &clients, site.pace())?;
    // Where clients are handed to other processes, it takes more of them to fill all of these: as many as the
    // drivers have room for.
    let filled = pump.live.predicted.saturating_add(pump.live.predicted / 4 + u64::from(ready.capacity));
    if let ([load], Some(None)) = (&pump.loads[..], plan.workloads.values().map(|of| of.clients).next())
        && load.holds()
        && load.programs.is_none()
    {
        let filled = u32::try_from(filled).unwrap_or(u32::MAX);
        clients[0] = clients[0].max(filled.min(load.fleet.room()));
    }
    loaded(pump, site, &clients, &rests, steady)
}

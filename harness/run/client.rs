//! A subject that nobody connects to: a client, whose own calls run into its limit. The bundled caller meets
//! the run at a socket and calls on order; any other program begins by itself, or at the signal that the
//! scenario names.

use super::calibrate::{calibrate, predict};
use super::error::Error;
use super::loaded::loaded;
use super::prepare::DRIVER_SOCKET;
use super::pump::Pump;
use super::ready::{self, LOOK_EVERY, Ready, Rest};
use super::site::{Crew, Site, launch};
use crate::drive::Fleet;
use crate::drive::protocol::Order;
use crate::event::{Ended, Pacing, Phase, Pid, Unseen, What};
use crate::launch::supervise;
use crate::limits::chain;
use crate::scenario::Program;
use crate::sys::{address::Address, clock, proc};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// The subject's life from its exec until it rests again or has ended; returns why the last phase ended.
pub fn attended(pump: &mut Pump, site: &Site<'_>) -> Result<Ended, Error> {
    match &site.process.program {
        Program::Call(workload) => bundled(pump, site, workload),
        _ => match &site.process.begin {
            Some(begin) => signalled(pump, site, begin),
            None => at_once(pump, site),
        },
    }
}

/// The bundled caller, which makes the calls of this workload.
fn bundled(pump: &mut Pump, site: &Site<'_>, workload: &str) -> Result<Ended, Error> {
    let path = site.scratch.join(DRIVER_SOCKET);
    let meeting = UnixListener::bind(&path)
        .map_err(|e| Error::Inconclusive(format!("no socket can be made in a temporary folder: {e}")))?;
    // Launchers may change its user.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    launch(pump, site)?;
    let started = clock::now();
    let (stream, pid) = met(pump, &meeting, site)?;
    let calls = &site.plan.workloads[workload];
    let kind = site.kind(calls).expect("checked: a caller's workload is of calls");
    let wanted = site.wanted(workload, calls, kind, &nowhere(pid), proc::nofile(pid)?.0);
    let fleet = Fleet::over(stream, pid, &wanted.setup, site.sink.clone())
        .map_err(|e| Error::NotStarted(e.to_string()))?;
    found(pump, pid);
    let mut clients = vec![wanted.clients];
    pump.loads.push(site.load(workload, calls, Crew { wanted, fleet, programs: None }));
    // It answers when everything that calls need is open.
    pump.live.pacing.insert(workload.to_owned(), Pacing::Ramping);
    pump.loads[0].fleet.order(&Order::Connect { upto: 0 }).map_err(|e| Error::NotStarted(e.to_string()))?;
    pump.until(deadline(site), LOOK_EVERY, |pump| pump.live.drivers_done() || pump.tree.gone())?;
    let (rest, why) = at_rest(pump, site, ready::window(Duration::from_nanos(clock::now() - started)))?;
    clients.extend(beside(pump, site, &rest)?);
    pump.live.arm(clock::now());
    pump.next(why, Phase::Ramp);
    calibrate(pump, &[rest], &nowhere(pid), &clients, site.pace())?;
    loaded(pump, site, &clients, &[rest], None)
}

/// The drivers of processes that are loaded beside the subject; returns how many clients each has.
fn beside(pump: &mut Pump, site: &Site<'_>, rest: &Rest) -> Result<Vec<u32>, Error> {
    let mut clients = Vec::new();
    for (name, workload) in &site.plan.workloads {
        let own = matches!(&site.process.program, Program::Call(call) if call == name);
        let Some(kind) = site.kind(workload).filter(|_| !own) else { continue };
        let wanted = site.wanted(name, workload, kind, &nowhere(rest.pid), rest.limits.soft);
        clients.push(wanted.clients);
        let crew = site.crew(wanted)?;
        pump.loads.push(site.load(name, workload, crew));
    }
    Ok(clients)
}

/// Waits until the caller, wherever it is in the tree, has connected.
fn met(pump: &mut Pump, meeting: &UnixListener, site: &Site<'_>) -> Result<(UnixStream, Pid), Error> {
    meeting.set_nonblocking(true)?;
    let mut stream = None;
    pump.until(deadline(site), LOOK_EVERY, |pump| {
        stream = meeting.accept().ok();
        stream.is_some() || pump.tree.gone()
    })?;
    let Some((stream, _)) = stream else { return Err(late(pump, site, "it was ready to call")) };
    stream.set_nonblocking(false)?;
    let pid = rustix::net::sockopt::socket_peercred(&stream).map_err(std::io::Error::from)?.pid.as_raw_pid();
    Ok((stream, pid))
}

/// A program that waits for a signal before it calls.
fn signalled(pump: &mut Pump, site: &Site<'_>, begin: &str) -> Result<Ended, Error> {
    launch(pump, site)?;
    let started = clock::now();
    let pid = running(pump, site)?;
    found(pump, pid);
    let window = ready::window(Duration::from_nanos(clock::now() - started)).max(LONGEST_PAUSE);
    let (rest, why) = at_rest(pump, site, window)?;
    let clients = beside(pump, site, &rest)?;
    pump.live.arm(clock::now());
    pump.next(why, Phase::Ramp);
    let signal = supervise::signal_named(begin)
        .ok_or_else(|| Error::Fault(format!("{begin} passed the check and is no signal")))?;
    let pid =
        rustix::process::Pid::from_raw(pid).ok_or_else(|| Error::Fault("a process without an id".into()))?;
    rustix::process::kill_process(pid, signal).map_err(std::io::Error::from)?;
    loaded(pump, site, &clients, &[rest], None)
}

/// A program that calls as soon as it runs: its descriptors at rest cannot be counted.
pub(super) fn at_once(pump: &mut Pump, site: &Site<'_>) -> Result<Ended, Error> {
    pump.live.arm(clock::now());
    launch(pump, site)?;
    pump.next(Ended::Ready, Phase::Ramp);
    let pid = running(pump, site)?;
    found(pump, pid);
    let links = chain::read(pid, Some(site.process.limits), pump.tree.program(), pump.journal.redaction());
    pump.journal.record(What::Chain {
        process: site.plan.subject.clone(),
        pid,
        when: Phase::Baseline,
        links,
    });
    let why =
        "the client began to call at once; with `begin` it waits for a signal, and is counted before that";
    pump.journal.record(What::NotSeen { what: Unseen::Baseline, why: why.into() });
    loaded(pump, site, &[], &[], None)
}

/// A program that starts slowly may pause for this long before it is at rest.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The process that runs the subject's own words: the launchers above it run others.
fn running(pump: &mut Pump, site: &Site<'_>) -> Result<Pid, Error> {
    let argv = site.argv();
    let mut running = None;
    pump.until(deadline(site), LOOK_EVERY, |pump| {
        let processes = pump.tree.processes();
        running = processes.into_iter().rev().find(|&pid| is_program(&proc::arguments(pid), &argv));
        running.is_some() || pump.tree.gone()
    })?;
    running.ok_or_else(|| late(pump, site, "it was seen to run"))
}

/// Whether a process was executed with these words: as they are, as their end after a program such as env(1)
/// that executes the rest of its own, or through the interpreter that a script's first line names.
fn is_program(arguments: &[String], argv: &[String]) -> bool {
    let interpreted =
        (1..=2).any(|skip| arguments.len() == argv.len() + skip && arguments[skip + 1..] == argv[1..]);
    !arguments.is_empty() && (argv.ends_with(arguments) || interpreted)
}

pub(super) fn found(pump: &mut Pump, pid: Pid) {
    pump.acceptor = pid;
    pump.sampling = true;
}

/// Waits until it rests, counts, and predicts; returns why that wait ended, too.
pub(super) fn at_rest(pump: &mut Pump, site: &Site<'_>, window: Duration) -> Result<(Rest, Ended), Error> {
    pump.next(Ended::Ready, Phase::Baseline);
    let why = ready::come_to_rest(pump, window, |_, rests| rests.then_some(Ended::AtRest))?;
    if pump.tree.gone() {
        return Err(ready::gone(pump, "it called anybody"));
    }
    let settled = why == Ended::AtRest;
    let rest = ready::rest(pump, &site.plan.subject, &nowhere(pump.acceptor), settled)?[0];
    predict(pump, &rest);
    Ok((rest, why))
}

/// A client listens nowhere.
fn nowhere(pid: Pid) -> Ready {
    Ready {
        address: Address::Inet((Ipv4Addr::UNSPECIFIED, 0).into()),
        capacity: 0,
        listeners: 1,
        holders: vec![pid],
    }
}

pub(super) fn deadline(site: &Site<'_>) -> Duration {
    Duration::from_secs_f64(site.process.ready_within_s)
}

fn late(pump: &mut Pump, site: &Site<'_>, what: &str) -> Error {
    if pump.tree.gone() {
        return ready::gone(pump, what);
    }
    Error::NotStarted(format!(
        "{} s passed before {what}; {}",
        site.process.ready_within_s,
        ready::last_lines(pump)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_program_is_known_by_its_words_and_its_launcher_is_not() {
        let argv = words("./caller --to 1");
        assert!(is_program(&words("./caller --to 1"), &argv));
        assert!(is_program(&words("/usr/bin/env python3 ./caller --to 1"), &argv));
        assert!(is_program(&words("./caller --to 1"), &words("nice -n 5 ./caller --to 1")));
        assert!(!is_program(&[], &argv));
        assert!(!is_program(&words("supervisord -c x"), &argv));
        assert!(!is_program(&words("runuser -u nobody -- ./caller --to 1"), &argv));
    }
}

//! A program that calls the bundled upstream and that nobody connects to. The upstream counts its calls, and
//! keeps a few of them waiting: the first until the descriptors at rest are counted, later ones until it is
//! known what those before have left open.

use super::calibrate::{Growth, predict_calls};
use super::client::{at_rest, deadline, found};
use super::error::Error;
use super::loaded::loaded;
use super::orders::SETTLE_WINDOW;
use super::prepare::STOPS;
use super::pump::Pump;
use super::ready::{self, LOOK_EVERY, Rest};
use super::site::{Site, launch};
use crate::event::{Ended, Phase, Pid, What};
use crate::limits::inventory;
use crate::scenario::Upstream;
use crate::sys::sock_diag::EVERY_STATE;
use crate::sys::{clock, proc};
use rustix::process::{Signal, kill_process};
use std::collections::HashSet;
use std::time::Duration;

/// Four calls take no longer, or are not waited for.
const FOUR_CALLS_WITHIN: Duration = Duration::from_secs(10);

/// The subject's life from its exec until it has ended or is left alone; returns why the last phase ended.
/// `upstream`: the name of the process that it calls.
pub(super) fn attended(
    pump: &mut Pump,
    site: &Site<'_>,
    upstream: &str,
    serves: Upstream,
) -> Result<Ended, Error> {
    pump.live.enough_calls = Some(site.process.limits.soft.saturating_mul(2).saturating_add(64));
    launch(pump, site)?;
    let started = clock::now();
    let called = |pump: &Pump| pump.live.upstream.waiting > 0;
    pump.until(deadline(site), LOOK_EVERY, |pump| called(pump) || pump.tree.gone())?;
    if !called(pump) {
        return Err(never(pump, site));
    }
    let ports = [Some(site.places.port(upstream)), site.places.tls_port(upstream)];
    let pid = caller(pump, &ports).unwrap_or(pump.acceptor);
    found(pump, pid);
    if serves == Upstream::Tcp {
        // It may connect several times before it waits.
        pump.until(FOUR_CALLS_WITHIN, LOOK_EVERY, |pump| pump.quiet(SETTLE_WINDOW) || pump.tree.gone())?;
        recount(pump, &ports);
    }
    let (rest, why) = at_rest(pump, site, ready::window(Duration::from_nanos(clock::now() - started)))?;
    pump.live.arm(clock::now());
    pump.next(why, Phase::Ramp);
    let companion = site.companions[upstream].ready.holders[0];
    calibrate(pump, companion, &rest, (serves, &ports))?;
    loaded(pump, site, &[], &[rest], None)
}

/// Why there is nothing to measure: it exited, or it never called.
fn never(pump: &mut Pump, site: &Site<'_>) -> Error {
    if pump.tree.gone() {
        return ready::gone(pump, "it called the upstream");
    }
    Error::Inconclusive(format!(
        "the program runs and has not called the upstream for {} s: does it use the address that it is given? {}",
        site.process.ready_within_s,
        ready::last_lines(pump)
    ))
}

/// The callers' sockets to one of these ports, connected or not yet.
fn sockets_to(pump: &mut Pump, ports: &[Option<u16>]) -> Option<HashSet<u64>> {
    let mut connections = HashSet::new();
    let all = pump.diag.sockets(EVERY_STATE, |socket| {
        if socket.inode != 0 && ports.contains(&Some(socket.peer.port())) {
            connections.insert(socket.inode);
        }
    });
    all.ok().map(|()| connections)
}

/// Recounts connections where each is a call. Those that wait in the kernel wait, too, and the upstream does
/// not see them. The others are open no longer if the program has closed them.
fn recount(pump: &mut Pump, ports: &[Option<u16>]) {
    let open = sockets_to(pump, ports).map_or(0, |sockets| sockets.len() as u64);
    let seen = &mut pump.live.upstream;
    seen.waiting = seen.waiting.max(open.saturating_sub(seen.open));
    pump.journal.record(What::Upstream(seen.clone()));
}

/// The process of the subject that has a connection to one of these ports.
fn caller(pump: &mut Pump, ports: &[Option<u16>]) -> Option<Pid> {
    let connections = sockets_to(pump, ports)?;
    let calls = |pid: &Pid| {
        let mut own = HashSet::new();
        proc::sockets(*pid, &mut own).is_ok() && !own.is_disjoint(&connections)
    };
    pump.tree.processes().into_iter().rev().find(calls)
}

/// Lets some calls be answered to see what they leave open; then all.
fn calibrate(
    pump: &mut Pump,
    upstream: Pid,
    rest: &Rest,
    (serves, ports): (Upstream, &[Option<u16>]),
) -> Result<(), Error> {
    let under_way = pump.live.upstream.waiting;
    // Calls that were begun: those that wait have their descriptors, too.
    let begun = |pump: &Pump| pump.live.upstream.waiting + done(pump, serves);
    let (mut grown, mut stops) = (Vec::new(), STOPS[1..].iter().map(|stop| stop - 1));
    while let Some(answered) = stops.next() {
        go_on(upstream)?;
        let waits = |pump: &mut Pump| done(pump, serves) >= answered && pump.live.upstream.waiting > 0;
        let over = |pump: &mut Pump| pump.live.first_failure.is_some() || pump.tree.gone();
        pump.until(FOUR_CALLS_WITHIN, LOOK_EVERY, |pump| waits(pump) || over(pump))?;
        pump.until(FOUR_CALLS_WITHIN, LOOK_EVERY, |pump| pump.quiet(SETTLE_WINDOW) || over(pump))?;
        if over(pump) || !waits(pump) {
            stops.by_ref().try_for_each(|_| go_on(upstream))?;
            return go_on(upstream);
        }
        if serves == Upstream::Tcp {
            recount(pump, ports);
        }
        pump.journal.record(What::Open(inventory::of_all(&[rest.pid])));
        grown.push((begun(pump), pump.descriptors().saturating_sub(rest.counted)));
    }
    if let [(before, half), (after, whole)] = grown[..]
        && after > before.max(under_way)
    {
        let (made, between) = (after - under_way, after - before);
        predict_calls(pump, rest, Growth { half, whole, made, between, under_way });
    }
    go_on(upstream)
}

/// Calls that are over: answered, or where nothing is answered connected.
fn done(pump: &Pump, serves: Upstream) -> u64 {
    let seen = &pump.live.upstream;
    if serves == Upstream::Tcp { seen.connections } else { seen.calls }
}

/// Tells the upstream to answer those that it keeps waiting.
fn go_on(upstream: Pid) -> Result<(), Error> {
    let pid = rustix::process::Pid::from_raw(upstream)
        .ok_or_else(|| Error::Fault("an upstream without an id".into()))?;
    kill_process(pid, Signal::USR1).map_err(|e| Error::Fault(format!("the upstream is gone: {e}")))
}

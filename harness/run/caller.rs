//! A program that calls the bundled upstream and that nobody connects to. The upstream counts its calls, and
//! keeps a few of them waiting: the first until the descriptors at rest are counted, later ones until it is
//! known what those before have left open.

use super::calibrate::{Growth, predict_calls};
use super::client::{at_once, at_rest, deadline, found};
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

/// From its exec until it has ended or is left alone; returns why the last phase ended. `upstream`: the name
/// of what it calls.
pub(super) fn attended(
    pump: &mut Pump,
    site: &Site<'_>,
    upstream: &str,
    serves: Upstream,
) -> Result<Ended, Error> {
    pump.live.enough_calls = Some(site.process.limits.soft.saturating_mul(2).saturating_add(64));
    if serves == Upstream::Tcp {
        // Its connections are not kept waiting: whoever connects need not know that nobody accepts.
        return at_once(pump, site);
    }
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
    let (rest, why) = at_rest(pump, site, ready::window(Duration::from_nanos(clock::now() - started)))?;
    pump.live.arm();
    pump.next(why, Phase::Ramp);
    let companion = site.companions[upstream].ready.holders[0];
    calibrate(pump, companion, &rest)?;
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

/// The process of the subject that has a connection to one of these ports.
fn caller(pump: &mut Pump, ports: &[Option<u16>]) -> Option<Pid> {
    let mut connections = HashSet::new();
    let all = pump.diag.sockets(EVERY_STATE, |socket| {
        if socket.inode != 0 && ports.contains(&Some(socket.peer.port())) {
            connections.insert(socket.inode);
        }
    });
    all.ok()?;
    let calls = |pid: &Pid| {
        let mut own = HashSet::new();
        proc::sockets(*pid, &mut own).is_ok() && !own.is_disjoint(&connections)
    };
    pump.tree.processes().into_iter().rev().find(calls)
}

/// Lets some calls be answered to see what they leave open; then all.
fn calibrate(pump: &mut Pump, upstream: Pid, rest: &Rest) -> Result<(), Error> {
    let under_way = pump.live.upstream.waiting;
    let (mut grown, mut stops) = (Vec::new(), STOPS[1..].iter().map(|stop| stop - 1));
    while let Some(answered) = stops.next() {
        go_on(upstream)?;
        let waits = |pump: &mut Pump| {
            let seen = &pump.live.upstream;
            seen.calls >= answered && seen.waiting > 0
        };
        let over = |pump: &mut Pump| pump.live.first_failure.is_some() || pump.tree.gone();
        pump.until(FOUR_CALLS_WITHIN, LOOK_EVERY, |pump| waits(pump) || over(pump))?;
        pump.until(FOUR_CALLS_WITHIN, LOOK_EVERY, |pump| pump.quiet(SETTLE_WINDOW) || over(pump))?;
        if over(pump) || !waits(pump) {
            stops.by_ref().try_for_each(|_| go_on(upstream))?;
            return go_on(upstream);
        }
        pump.journal.record(What::Open(inventory::of_all(&[rest.pid])));
        grown.push(pump.descriptors().saturating_sub(rest.counted));
    }
    if let [half, whole] = grown[..] {
        let (made, between) = (STOPS[2] - 1, STOPS[2] - STOPS[1]);
        predict_calls(pump, rest, Growth { half, whole, made, between, under_way });
    }
    go_on(upstream)
}

/// Tells the upstream to answer those that it keeps waiting.
fn go_on(upstream: Pid) -> Result<(), Error> {
    let pid = rustix::process::Pid::from_raw(upstream)
        .ok_or_else(|| Error::Fault("an upstream without an id".into()))?;
    kill_process(pid, Signal::USR1).map_err(|e| Error::Fault(format!("the upstream is gone: {e}")))
}

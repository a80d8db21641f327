//! Workloads whose clients hold connections. Workloads of calls are in `calls.rs`.

use super::calls::calls;
use super::target::{pace, paced, path, target, unix};
use super::text::{check_slips, seconds};
use crate::scenario::duration::duration;
use crate::scenario::exchange::{Exchange, READ_TIMEOUT_DEFAULT_S, Step};
use crate::scenario::keep_alive::{KeepAlive, OnConnection, Version};
use crate::scenario::model::*;
use crate::scenario::placeholder;
use crate::scenario::problem::Problem;
use crate::scenario::raw::{Load, RawClients, RawDatagram, RawExchange, RawTls, RawWorkload};
use toml::Spanned;

pub(super) fn workload(
    raw: &RawWorkload,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let (kind, load): (Dialogue, &Load) = match raw {
        RawWorkload::Tcp(load) => (Dialogue::Tcp, load),
        RawWorkload::HttpIdle(load) => (Dialogue::HttpIdle, load),
        RawWorkload::Websocket(load) => (Dialogue::Websocket, load),
        RawWorkload::Grpc(load) => (Dialogue::Grpc, load),
        RawWorkload::Exchange(raw) => return exchanged(raw, names, subject, problems),
        RawWorkload::Datagram(raw) => return datagrams(raw, names, subject, problems),
        RawWorkload::Command(raw) => return programmed(raw, names, subject, problems),
        RawWorkload::HttpLeakBody(load) => {
            return calls(Caller::HttpLeakBody, load, names, subject, problems);
        }
        RawWorkload::GrpcPerCall(load) => return calls(Caller::GrpcPerCall, load, names, subject, problems),
        RawWorkload::HttpPerCall(load) => return calls(Caller::HttpPerCall, load, names, subject, problems),
        RawWorkload::Caller(load) => return calls(Caller::Caller, load, names, subject, problems),
    };
    Workload {
        kind: Some(kind),
        to: target(load.to.as_ref(), names, subject, problems),
        clients: load.clients,
        port: load.port,
        unix: unix((load.unix.as_ref(), load.port), names, problems),
        path: path(load.path.as_ref(), problems),
        pace: pace(load, problems),
        exchange: None,
        keep_alive: keep_alive(kind, load, problems),
        tls: load.tls.as_ref().and_then(RawTls::tls),
        calls: None,
        program: None,
    }
}

/// The requests that clients of `http-idle` send.
pub(super) fn keep_alive(kind: Dialogue, load: &Load, problems: &mut Vec<Problem>) -> KeepAlive {
    let version = load.version.as_ref().map_or_else(Version::default, |version| *version.get_ref());
    let keys = [
        ("version", load.version.as_ref().map(Spanned::span)),
        ("requests", load.requests.as_ref().map(Spanned::span)),
        ("streams", load.streams.as_ref().map(Spanned::span)),
        ("every", load.every.as_ref().map(Spanned::span)),
    ];
    for (key, at) in keys.into_iter().filter_map(|(key, at)| Some((key, at?))) {
        if kind != Dialogue::HttpIdle {
            problems.push(Problem::new(at, format!("`{key}` is of `http-idle`"), "leave it out"));
        } else if key == "streams" && version.is_1() {
            let problem = Problem::new(at, "`streams` is of HTTP/2", "here");
            problems.push(problem.help("add `version = \"2\"`"));
        }
    }
    if let Some(every) = load.every.as_ref().filter(|every| duration(every.get_ref()) == Some(0.0)) {
        problems.push(Problem::new(every.span(), "no request is made every 0 s", "leave it out"));
    }
    KeepAlive {
        on: OnConnection {
            version,
            requests: load.requests.as_ref().map(|requests| *requests.get_ref()),
            streams: load.streams.as_ref().map(|streams| *streams.get_ref()),
        },
        every_s: load.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
    }
}

/// A dialogue in steps. An error points at the step that is wrong.
pub(super) fn exchanged(
    raw: &RawExchange,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let steps = raw.steps.get_ref();
    let exchange = Exchange {
        every_s: raw.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
        reject: raw.reject.as_ref().map(|reject| reject.get_ref().clone()),
        read_timeout_s: seconds(raw.read_timeout.as_ref(), READ_TIMEOUT_DEFAULT_S, problems),
        ..Exchange::of(steps.iter().map(|step| step.get_ref().clone()).collect())
    };
    if let Err(fault) = exchange.compile() {
        let of_pattern = raw.reject.as_ref().filter(|_| fault.of_reject);
        let span = match (fault.step, of_pattern) {
            (Some(step), _) => steps[step].span(),
            (None, Some(reject)) => reject.span(),
            (None, None) => raw.steps.span(),
        };
        problems.push(Problem::new(span, fault.to_string(), "here"));
    }
    if raw.tls.as_ref().and_then(RawTls::tls).is_some()
        && let Some(step) = steps.iter().find(|step| *step.get_ref() == Step::StartTls)
    {
        problems.push(Problem::new(step.span(), "with `tls` the connection speaks TLS already", "here"));
    }
    Workload {
        kind: Some(Dialogue::Exchange),
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: unix((raw.unix.as_ref(), raw.port), names, problems),
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange: Some(exchange),
        keep_alive: KeepAlive::default(),
        tls: raw.tls.as_ref().and_then(RawTls::tls),
        calls: None,
        program: None,
    }
}

/// Clients that are programs.
pub(super) fn programmed(
    raw: &RawClients,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let words = raw.run.get_ref();
    if words.first().is_none_or(|word| word.get_ref().is_empty()) {
        problems.push(Problem::new(raw.run.span(), "the clients' command names no program", "here"));
    }
    for word in words.iter().chain(raw.env.values()) {
        check_slips(word, names, &placeholder::OF_CLIENT, problems);
    }
    let program = ClientProgram {
        run: words.iter().map(|word| word.get_ref().clone()).collect(),
        env: raw.env.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect(),
        one: raw.one,
        served: raw.served.as_ref().map(|pattern| pattern.get_ref().clone()),
        error_status: None,
    };
    let by_name = ClientProgram::error_status_of(&program.run);
    let program = ClientProgram { error_status: raw.error_status.or(by_name), ..program };
    if let (Some(written), Err(fault)) = (&raw.served, program.pattern()) {
        problems.push(Problem::new(written.span(), fault.to_string(), "here"));
    }
    if let Some(written) = raw.served.as_ref().filter(|_| raw.one == One::All) {
        let message = "one program is all clients: a line of its output says nothing of any of them";
        problems.push(Problem::new(written.span(), message, "leave it out"));
    }
    Workload {
        kind: None,
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: None,
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange: None,
        keep_alive: KeepAlive::default(),
        tls: None,
        calls: None,
        program: Some(program),
    }
}

/// A datagram and its answer. An error points at the key that is wrong.
pub(super) fn datagrams(
    raw: &RawDatagram,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let sends = match (&raw.send, &raw.send_hex) {
        (Some(text), None) => Some((Step::Send(text.get_ref().clone()), text.span())),
        (None, Some(hex)) => Some((Step::SendHex(hex.get_ref().clone()), hex.span())),
        (Some(_), Some(hex)) => {
            problems.push(Problem::new(hex.span(), "a client sends `send` or `send-hex`", "leave out one"));
            None
        }
        // A message that sends nothing is reported under its own name.
        (None, None) => Some((Step::Send(String::new()), 0..0)),
    };
    let exchange = sends.map(|(step, span)| {
        let expect = raw.expect.as_ref().map(|expect| expect.get_ref().as_str());
        let exchange = Exchange {
            every_s: raw.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
            ..Exchange::datagram(step, expect)
        };
        if let Err(fault) = exchange.compile() {
            let other = raw.expect.as_ref().or(raw.every.as_ref()).map(Spanned::span);
            let at = if fault.step == Some(1) { None } else { other }.unwrap_or(span);
            problems.push(Problem::new(at, fault.to_string(), "here"));
        }
        exchange
    });
    Workload {
        kind: Some(Dialogue::Datagram),
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: None,
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange,
        keep_alive: KeepAlive::default(),
        program: None,
        tls: None,
        calls: None,
    }
}

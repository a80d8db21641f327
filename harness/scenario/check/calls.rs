//! Workloads of calls: their requests, and when each is made.

use super::target::{path, target, unix};
use super::text::seconds;
use crate::scenario::keep_alive::{KeepAlive, OnConnection, Version};
use crate::scenario::model::*;
use crate::scenario::pace::{Pace, bytes_per_second, per_second};
use crate::scenario::problem::Problem;
use crate::scenario::raw::{CallLoad, RawTls};
use crate::scenario::schedule::{Arrivals, Schedule};
use std::ops::Range;
use toml::Spanned;

pub(super) fn calls(
    caller: Caller,
    load: &CallLoad,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let tls = load.tls.as_ref().and_then(RawTls::tls);
    let calls = Calls {
        caller,
        concurrency: load.concurrency.unwrap_or(if load.rate.is_some() { UNDER_WAY_DEFAULT } else { 1 }),
        every_s: seconds(load.every.as_ref(), 0.0, problems),
        tls: tls.is_some() || caller == Caller::GrpcPerCall,
        tls_or_not: false,
        resumption: tls.as_ref().is_some_and(|tls| tls.resumption),
        ca: tls.and_then(|tls| tls.ca),
        certificate: load.certificate,
        channel: load.channel,
        after_call: load.after_call,
        body: load.body,
        upload_bytes: load.upload_bytes,
        request: request(caller, load, problems),
        schedule: schedule(caller, load, problems),
        duration_s: load.duration.as_ref().map(|text| calls_for(text, problems)),
        connect_timeout_s: seconds(load.connect_timeout.as_ref(), CALL_TIMEOUT_DEFAULT_S, problems),
        read_timeout_s: seconds(load.read_timeout.as_ref(), CALL_TIMEOUT_DEFAULT_S, problems),
        answer_timeout_s: seconds(load.answer_timeout.as_ref(), ANSWER_TIMEOUT_DEFAULT_S, problems),
    };
    Workload {
        kind: None,
        to: target(load.to.as_ref(), names, subject, problems),
        clients: load.calls,
        port: load.port,
        unix: unix((load.unix.as_ref(), load.port), names, problems),
        path: path(load.path.as_ref(), problems),
        pace: Pace::Auto,
        exchange: None,
        keep_alive: KeepAlive::default(),
        tls: None,
        calls: Some(calls),
        program: None,
    }
}

/// When calls at a rate are made.
pub(super) fn schedule(caller: Caller, load: &CallLoad, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let mut complain = |at: Range<usize>, message: &str, label: &str| {
        problems.push(Problem::new(at, message, label));
    };
    let Some(rate) = &load.rate else {
        let (arrivals, seed) =
            (load.arrivals.as_ref().map(Spanned::span), load.seed.as_ref().map(Spanned::span));
        if let Some(at) = arrivals.or(seed) {
            complain(at, "`arrivals` and `seed` are of a `rate`", "add `rate = \"200/s\"`");
        }
        return None;
    };
    if caller == Caller::Caller {
        complain(rate.span(), "a `caller` makes one call after the other", "`http-per-call` has a rate");
    }
    if let Some(every) = &load.every {
        complain(every.span(), "`rate` says when calls are made", "leave out `every`");
    }
    let arrivals = load.arrivals.as_ref().map_or_else(Arrivals::default, |arrivals| *arrivals.get_ref());
    if let Some(seed) = load.seed.as_ref().filter(|_| arrivals == Arrivals::Constant) {
        complain(seed.span(), "nothing is drawn at constant intervals", "of `arrivals = \"poisson\"`");
    }
    let Some(per_s) = per_second(rate.get_ref()) else {
        let message = format!("{:?} is not a rate", rate.get_ref());
        complain(rate.span(), &message, "calls a second, from \"0.1/s\" to \"1000000/s\"");
        return None;
    };
    Some(Schedule::new(per_s, arrivals, load.seed.as_ref().map(|seed| *seed.get_ref())))
}

/// For how long calls are made, seconds.
pub(super) fn calls_for(text: &Spanned<String>, problems: &mut Vec<Problem>) -> f64 {
    let before = problems.len();
    let seconds = seconds(Some(text), CALLS_DURATION_MAX_S, problems);
    if problems.len() == before && !(seconds > 0.0 && seconds <= CALLS_DURATION_MAX_S) {
        let label = format!("more than none, and at most {CALLS_DURATION_MAX_S} s");
        problems.push(Problem::new(text.span(), "calls are not made for so long", label));
    }
    seconds
}

/// The request of an HTTP call.
pub(super) fn request(caller: Caller, load: &CallLoad, problems: &mut Vec<Problem>) -> Request {
    let mut complain = |at: Range<usize>, message: &str| {
        problems.push(Problem::new(at, message, "here"));
    };
    if let Some(method) = load.method.as_ref().filter(|method| !is_token(method.get_ref())) {
        complain(method.span(), "an HTTP method is one word, such as \"HEAD\"");
    }
    for (name, value) in &load.headers {
        if !is_token(name.get_ref()) {
            complain(name.span(), "a header has a name of letters, digits and hyphens");
        }
        if value.get_ref().chars().any(char::is_control) {
            complain(value.span(), "a header's value has no line ends or other control characters");
        }
    }
    let early = matches!(load.leave, Some(Leave::MidRequest | Leave::BeforeAnswer));
    let version = load.version.as_ref().map_or_else(Version::default, |version| *version.get_ref());
    if let Some(streams) = load.streams.as_ref().filter(|_| version != Version::Http2) {
        complain(streams.span(), "`streams` are of HTTP/2: add `version = \"2\"`");
    }
    let kept = [load.requests.is_some(), load.version.is_some(), load.streams.is_some()].contains(&true);
    let plain = load.method.is_none() && load.headers.is_empty() && load.leave.is_none() && !load.conditional;
    let wrong = match caller {
        Caller::HttpLeakBody | Caller::GrpcPerCall | Caller::Caller if kept => {
            "`requests`, `version` and `streams` are of `http-per-call`"
        }
        Caller::HttpPerCall | Caller::Caller
            if early && (load.conditional || load.expect_status.is_some()) =>
        {
            "a client that leaves before the answer sees neither its status nor its ETag"
        }
        Caller::HttpPerCall if early && version == Version::Http2 => {
            "`leave` before the answer is of HTTP/1.1: a stream of HTTP/2 is not the connection"
        }
        Caller::HttpPerCall | Caller::Caller => "",
        Caller::HttpLeakBody | Caller::GrpcPerCall if plain && load.expect_status.is_none() => "",
        Caller::HttpLeakBody | Caller::GrpcPerCall => {
            "`method`, `headers`, `conditional`, `expect-status` and `leave` are of `http-per-call` and `caller`"
        }
    };
    if !wrong.is_empty() {
        let at = load.method.as_ref().map(Spanned::span).or(load.to.as_ref().map(Spanned::span));
        problems.push(Problem::new(at.unwrap_or(0..0), wrong, "here"));
    }
    let headers = load.headers.iter().map(|(name, value)| (name.get_ref().clone(), value.get_ref().clone()));
    Request {
        method: load.method.as_ref().map(|method| method.get_ref().clone()),
        headers: headers.collect(),
        conditional: load.conditional,
        expect_status: load.expect_status,
        leave: load.leave,
        on: OnConnection {
            version,
            requests: load.requests,
            streams: load.streams.as_ref().map(|streams| *streams.get_ref()),
        },
        read_rate: bytes_rate(load.read_rate.as_ref(), caller, problems),
        write_rate: bytes_rate(load.write_rate.as_ref(), caller, problems),
    }
}

/// Bytes a second of a client of HTTP.
pub(super) fn bytes_rate(
    text: Option<&Spanned<String>>,
    caller: Caller,
    problems: &mut Vec<Problem>,
) -> Option<u32> {
    let text = text?;
    if caller == Caller::GrpcPerCall {
        problems.push(Problem::new(text.span(), "a slow client is one of HTTP", "here"));
    }
    let rate = bytes_per_second(text.get_ref());
    if rate.is_none() {
        let message = format!("{:?} is no rate in bytes", text.get_ref());
        problems.push(Problem::new(text.span(), message, "bytes a second, such as \"10B/s\" or \"1KiB/s\""));
    }
    rate
}

/// A token of HTTP (RFC 9110, section 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

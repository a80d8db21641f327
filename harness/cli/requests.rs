//! `--calls`: HTTP requests, one after the other, in place of clients that hold connections.

use super::time::seconds;
use super::values::one_of;
use crate::scenario::{
    Arrivals, CALLS_DURATION_MAX_S, Calls, KeepAlive, Leave, OnConnection, Request, Schedule,
    UNDER_WAY_DEFAULT, Version, bytes_per_second, is_token, per_second,
};

/// Requests, when nothing else is asked for.
const CALLS_DEFAULT: u32 = 200;

/// The options of calls.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Calls")]
pub struct Requests {
    /// Make N HTTP requests [default: 200, or as many as --duration has time for], each on a connection of
    /// its own that is closed after it, in place of clients that hold: shows what a request leaves open
    #[arg(long, value_name = "N", num_args = 0..=1, value_parser = clap::value_parser!(u32).range(1..=1_000_000),
          conflicts_with_all = ["workload", "clients", "send", "expect", "pace", "burst", "for_clients"])]
    calls: Option<Option<u32>>,
    /// Make so many requests a second, such as 200/s, whether earlier ones are answered or not (an open
    /// loop), and count latencies from the intended times [default: a request when the one before is over]
    #[arg(long, requires = "calls", value_name = "N/s", value_parser = rate)]
    rate: Option<f64>,
    /// How the requests of a rate are spread over time
    #[arg(long, requires = "rate", value_name = "HOW", default_value = "constant", value_parser = one_of(Arrivals::ALL, Arrivals::name, Arrivals::doc))]
    arrivals: Arrivals,
    /// Draw the gaps of --arrivals poisson from this number: the same gaps each time [default: 1]
    #[arg(long, requires = "rate", value_name = "N")]
    seed: Option<u64>,
    /// Make requests for this time: 10, 10s or 1m
    #[arg(long, requires = "calls", value_name = "TIME", value_parser = calls_for)]
    duration: Option<f64>,
    /// Method of the requests [default: GET]
    #[arg(long, requires = "calls", value_parser = method)]
    method: Option<String>,
    /// A further header of the requests; can be repeated
    #[arg(long, requires = "calls", value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Send the ETag and Last-Modified of the first answer from then on; 304 is expected, too
    #[arg(long, requires = "calls")]
    conditional: bool,
    /// Status of an answer [default: 2xx]
    #[arg(long, requires = "calls", value_name = "CODE", value_parser = clap::value_parser!(u16).range(100..600))]
    expect_status: Option<u16>,
    /// Close the connection before the end of the answer
    #[arg(long, requires = "calls", value_name = "WHEN", value_parser = one_of(Leave::ALL, Leave::name, Leave::doc))]
    leave: Option<Leave>,
    /// Make N requests on each connection before it is closed, or without --calls held [default: 1, or of
    /// --http2 all of the calls; without --calls as many as --streams]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests: Option<u32>,
    /// Make so many requests at a time [default: 1, or as many as a --rate needs]
    #[arg(long, requires = "calls", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    concurrency: Option<u32>,
    /// Speak HTTP/2, each request a stream of a connection; without TLS with prior knowledge
    #[arg(long)]
    http2: bool,
    /// At most so many streams at a time on a connection [default: all]
    #[arg(long, requires = "http2", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    streams: Option<u32>,
    /// A client that holds its connection makes a further request so often, such as 1s [default: none]
    #[arg(long, conflicts_with = "calls", value_name = "TIME", value_parser = every)]
    every: Option<f64>,
    /// Read answers no faster than this, such as 1KiB/s: a long answer keeps its connection
    #[arg(long, requires = "calls", value_name = "BYTES/s", value_parser = slowly)]
    read_rate: Option<u32>,
    /// Send requests no faster than this, such as 10B/s
    #[arg(long, requires = "calls", value_name = "BYTES/s", value_parser = slowly)]
    write_rate: Option<u32>,
}

impl Requests {
    /// The requests, and how many. They use TLS if `tls` is set; otherwise the first request may find out
    /// that they must.
    ///
    /// # Errors
    /// A header is given twice, or an answer is asked for that nobody reads.
    pub fn asked(&self, tls: bool, resumption: bool) -> Result<Option<(Calls, Option<u32>)>, String> {
        let Some(count) = self.calls else { return Ok(None) };
        let request = Request {
            method: self.method.clone(),
            headers: self.header.iter().cloned().collect(),
            conditional: self.conditional,
            expect_status: self.expect_status,
            leave: self.leave,
            on: self.on_connection(),
            read_rate: self.read_rate,
            write_rate: self.write_rate,
        };
        if request.headers.len() < self.header.len() {
            return Err("each --header needs a name of its own".into());
        }
        let early = matches!(self.leave, Some(Leave::MidRequest | Leave::BeforeAnswer));
        if early && (self.conditional || self.expect_status.is_some()) {
            return Err("a client that leaves before the answer sees neither its status nor its ETag".into());
        }
        if early && self.http2 {
            return Err(
                "--leave before the answer is of HTTP/1.1: a stream of HTTP/2 is not the connection".into()
            );
        }
        if self.seed.is_some() && self.arrivals == Arrivals::Constant {
            return Err("--seed is of --arrivals poisson: nothing is drawn at constant intervals".into());
        }
        let (duration_s, tls_or_not) = (self.duration, !tls && !early);
        let mut calls = Calls { duration_s, tls, tls_or_not, resumption, ..Calls::http(request) };
        if let Some(per_s) = self.rate {
            calls.schedule = Some(Schedule::new(per_s, self.arrivals, self.seed));
            calls.concurrency = UNDER_WAY_DEFAULT;
        }
        calls.concurrency = self.concurrency.unwrap_or(calls.concurrency);
        Ok(Some((calls, count.or(self.duration.is_none().then_some(CALLS_DEFAULT)))))
    }
}

impl Requests {
    fn on_connection(&self) -> OnConnection {
        let version = if self.http2 { Version::Http2 } else { Version::Http1 };
        OnConnection { version, requests: self.requests, streams: self.streams }
    }

    /// The requests of clients that hold their connections.
    pub fn kept_alive(&self) -> KeepAlive {
        let mut keep_alive = KeepAlive::default();
        if self.calls.is_none() {
            keep_alive.on = self.on_connection();
            keep_alive.every_s = self.every;
        }
        keep_alive
    }
}

/// A time between two requests, seconds.
fn every(text: &str) -> Result<f64, String> {
    match seconds(text, CALLS_DURATION_MAX_S)? {
        s if s > 0.0 => Ok(s),
        _ => Err("no request is made every 0 s".into()),
    }
}

/// Calls a second.
pub fn rate(text: &str) -> Result<f64, String> {
    per_second(text).ok_or("a rate is calls a second, from 0.1/s to 1000000/s, such as 200/s".into())
}

/// Bytes a second.
fn slowly(text: &str) -> Result<u32, String> {
    bytes_per_second(text).ok_or("bytes a second, such as 10B/s, 1KiB/s or 1MiB/s".into())
}

/// A time for calls, seconds.
fn calls_for(text: &str) -> Result<f64, String> {
    match seconds(text, CALLS_DURATION_MAX_S)? {
        s if s > 0.0 => Ok(s),
        _ => Err("no call is made in no time".into()),
    }
}

/// A method of HTTP.
pub fn method(text: &str) -> Result<String, String> {
    is_token(text).then(|| text.to_owned()).ok_or("a method is one word, such as HEAD".into())
}

/// A header's name in small letters, and its value.
pub fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    match parts.filter(|(name, value)| is_token(name) && !value.chars().any(char::is_control)) {
        Some((name, value)) => Ok((name.to_ascii_lowercase(), value.to_owned())),
        None => Err("a header is NAME: VALUE, such as 'If-None-Match: \"1\"'".into()),
    }
}

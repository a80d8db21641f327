//! `--calls`: HTTP requests, one after the other, in place of clients that hold connections.

use super::values::one_of;
use crate::scenario::{Leave, Request, is_token};

/// What the calls are.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Calls")]
pub struct Requests {
    /// Make N HTTP requests, each on a connection of its own that is closed after it, in place of clients that hold: shows what a request leaves open
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "200", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
          conflicts_with_all = ["workload", "clients", "send", "expect", "tls", "pace", "burst", "for_clients", "unix"])]
    calls: Option<u32>,
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
}

impl Requests {
    /// What they ask, and how many.
    ///
    /// # Errors
    /// A header is given twice, or an answer is asked for that nobody reads.
    pub fn asked(&self) -> Result<Option<(Request, u32)>, String> {
        let Some(count) = self.calls else { return Ok(None) };
        let request = Request {
            method: self.method.clone(),
            headers: self.header.iter().cloned().collect(),
            conditional: self.conditional,
            expect_status: self.expect_status,
            leave: self.leave,
        };
        if request.headers.len() < self.header.len() {
            return Err("each --header needs a name of its own".into());
        }
        let early = matches!(self.leave, Some(Leave::MidRequest | Leave::BeforeAnswer));
        if early && (self.conditional || self.expect_status.is_some()) {
            return Err("a client that leaves before the answer sees neither its status nor its ETag".into());
        }
        Ok(Some((request, count)))
    }
}

fn method(text: &str) -> Result<String, String> {
    is_token(text).then(|| text.to_owned()).ok_or("a method is one word, such as HEAD".into())
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    match parts.filter(|(name, value)| is_token(name) && !value.chars().any(char::is_control)) {
        Some((name, value)) => Ok((name.to_ascii_lowercase(), value.to_owned())),
        None => Err("a header is NAME: VALUE, such as 'If-None-Match: \"1\"'".into()),
    }
}

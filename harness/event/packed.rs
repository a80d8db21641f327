//! A log made small, to be carried inside of an HTML report; and taken out of it again.

use super::log::{Log, LogError, parse};
use super::{Event, What};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{BufReader, BufWriter, Read, Write};

/// The text of an HTML report before a log, which ends at the next quotation mark. No text of a subject can
/// look like it: in text and in attributes, quotation marks are escaped.
pub const BEFORE: &str = "href=\"data:application/x-lastfd-events+gzip;base64,";
/// The first bytes of every gzip file.
pub const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes that a packed log may unpack to: a small file must not fill the memory.
const UNPACKED: u64 = 512 << 20;
/// Single failures that stay in each phase, and of how many samples one stays: the first of these that make
/// the log small enough.
const THINNED: [(usize, usize); 5] = [(4_000, 1), (1_000, 2), (1_000, 8), (200, 32), (50, 256)];

/// A log as gzip makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The bytes.
    pub gzip: Vec<u8>,
    /// Events in it, and in the whole log.
    pub kept: usize,
    /// Events in the whole log.
    pub of: usize,
}

impl Packed {
    /// The log in at most so many bytes: whole, else thinned as an observer with a lower bound would have
    /// written it; `None` where that is too long, too.
    pub fn of(log: &Log, most: usize) -> Option<Packed> {
        let all = &log.events;
        if let Some(gzip) = packed(all, most) {
            return Some(Packed { gzip, kept: all.len(), of: all.len() });
        }
        THINNED.into_iter().find_map(|(failures, each)| {
            let events = thinned(all, failures, each);
            let gzip = packed(&events, most)?;
            Some(Packed { gzip, kept: events.len(), of: all.len() })
        })
    }

    /// Whether events are missing.
    pub const fn is_thinned(&self) -> bool {
        self.kept < self.of
    }

    /// As text, to stand after [`BEFORE`].
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.gzip)
    }
}

/// The events in at most so many bytes.
fn packed(events: &[Event], most: usize) -> Option<Vec<u8>> {
    // The encoder clears 32 KiB of its own before each write, and serde_json writes a few bytes at a time.
    let mut text = BufWriter::new(GzEncoder::new(Vec::new(), Compression::default()));
    for event in events {
        if text.get_ref().get_ref().len() > most {
            return None;
        }
        serde_json::to_writer(&mut text, event).expect("an event is JSON");
        text.write_all(b"\n").expect("memory takes all");
    }
    let encoder = text.into_inner().expect("memory takes all");
    Some(encoder.finish().expect("memory takes all")).filter(|gzip| gzip.len() <= most)
}

/// The events without all but the first `failures` single failures of each phase, after which sampling has
/// stopped; and with one of `each` samples.
fn thinned(all: &[Event], failures: usize, each: usize) -> Vec<Event> {
    let (mut kept, mut failed, mut samples, mut stays) = (Vec::new(), 0, 0, true);
    let mut of = all.len() as u64;
    for event in all {
        match &event.is {
            What::Thinned { of: before } => {
                of = *before;
                continue;
            }
            What::Phase(_) => (failed, samples, stays) = (0, 0, true),
            What::Call { ret: ..0, .. } => {
                failed += 1;
                if failed > failures {
                    let stopped = Event { at: event.at, is: What::SamplingStopped };
                    kept.extend((failed == failures + 1).then_some(stopped));
                    continue;
                }
            }
            What::SamplingStopped if failed > failures => continue,
            What::Sample { .. } => {
                stays = samples % each == 0;
                samples += 1;
                if !stays {
                    continue;
                }
            }
            // Read with a sample.
            What::Beside { .. } if !stays => continue,
            _ => {}
        }
        kept.push(event.clone());
    }
    // After the header, which is the first.
    let marked = What::Thinned { of };
    kept.insert(1.min(kept.len()), Event { at: all.first().map_or(0, |event| event.at), is: marked });
    kept
}

/// The logs in a file's bytes: a log, one that gzip packed, or all that an HTML report carries.
///
/// # Errors
/// See [`LogError`].
pub fn logs(shown: &str, bytes: &[u8]) -> Result<Vec<Log>, LogError> {
    if bytes.starts_with(&GZIP) {
        return Ok(vec![unpacked(shown, bytes)?]);
    }
    let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if bytes[blank..].starts_with(b"<") {
        return of_html(shown, bytes);
    }
    Ok(vec![parse(shown, bytes)?])
}

fn of_html(shown: &str, bytes: &[u8]) -> Result<Vec<Log>, LogError> {
    let text = String::from_utf8_lossy(bytes);
    let found: Vec<&str> = text.split(BEFORE).skip(1).collect();
    if found.is_empty() {
        let reason = "it is HTML that carries no event log".to_owned();
        return Err(LogError::Foreign { path: shown.to_owned(), reason });
    }
    let several = found.len() > 1;
    found
        .into_iter()
        .zip(1..)
        .map(|(rest, number)| {
            let which = if several { format!("{shown}: event log {number}") } else { shown.to_owned() };
            let broken = |reason: String| LogError::Broken { path: which.clone(), reason };
            let (base64, _) =
                rest.split_once('"').ok_or_else(|| broken("the file ends in the middle of it".into()))?;
            let gzip = STANDARD.decode(base64).map_err(|e| broken(e.to_string()))?;
            unpacked(&which, &gzip)
        })
        .collect()
}

fn unpacked(shown: &str, gzip: &[u8]) -> Result<Log, LogError> {
    let broken = |reason: String| LogError::Broken { path: shown.to_owned(), reason };
    let mut bytes = Vec::new();
    let read = GzDecoder::new(gzip).take(UNPACKED + 1).read_to_end(&mut bytes);
    read.map_err(|e| broken(e.to_string()))?;
    if bytes.len() as u64 > UNPACKED {
        return Err(broken(format!("it unpacks to more than {} MB", UNPACKED >> 20)));
    }
    parse(shown, BufReader::new(bytes.as_slice()))
}

//! How fast the clients of a workload come.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How fast clients come.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Pace {
    /// As `Steady` where the first clients show that a connection costs work after its accept; otherwise as
    /// fast as they are accepted.
    #[default]
    Auto,
    /// All at once, so that the accept queue overflows.
    Burst,
    /// No faster than the subject settles: the next ones come when the work for the earlier ones is done.
    Steady,
    /// At most so many a second, and no faster than they are accepted.
    PerSecond(f64),
}

/// A text that is no pace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pace: `auto`, `burst`, `steady`, or clients a second such as `50/s`")]
pub struct NoPace(String);

/// Clients a second, at most and at least.
const PER_SECOND: std::ops::RangeInclusive<f64> = 0.1..=1e6;

/// Such a number, from text such as `50/s`; `None`: it is none.
pub fn per_second(text: &str) -> Option<f64> {
    text.strip_suffix("/s")?.trim().parse().ok().filter(|n| PER_SECOND.contains(n))
}

/// Bytes a second, from text such as `10B/s`, `1KiB/s`, `1kB/s` or `1MiB/s`; `None`: it is none, or none of 1
/// B/s to 1 GiB/s.
pub fn bytes_per_second(text: &str) -> Option<u32> {
    let text = text.strip_suffix("/s")?.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let bytes = text[..digits].parse::<u32>().ok()?.checked_mul(byte_unit(&text[digits..])?)?;
    (1..=1 << 30).contains(&bytes).then_some(bytes)
}

/// Bytes of a unit such as `kB` or `MiB`.
pub(super) fn byte_unit(unit: &str) -> Option<u32> {
    Some(match unit.trim() {
        "B" => 1,
        "kB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => return None,
    })
}

impl FromStr for Pace {
    type Err = NoPace;

    fn from_str(text: &str) -> Result<Self, NoPace> {
        match text {
            "auto" => Ok(Pace::Auto),
            "burst" => Ok(Pace::Burst),
            "steady" => Ok(Pace::Steady),
            _ => per_second(text).map(Pace::PerSecond).ok_or_else(|| NoPace(text.to_owned())),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Auto => f.write_str("auto"),
            Pace::Burst => f.write_str("burst"),
            Pace::Steady => f.write_str("steady"),
            Pace::PerSecond(n) => write!(f, "{n}/s"),
        }
    }
}

impl Serialize for Pace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_read_as_it_is_written() {
        for text in ["auto", "burst", "steady", "50/s", "0.5/s"] {
            assert_eq!(text.parse::<Pace>().map(|pace| pace.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "fast", "0/s", "-1/s", "NaN/s", "inf/s", "50"] {
            assert!(text.parse::<Pace>().is_err(), "{text}");
        }
    }
}

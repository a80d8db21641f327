//! How times are spread, by nearest rank.

/// How long things took, seconds; by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

/// Quantiles; `None` of nothing.
pub(super) fn latency(mut took_s: Vec<f64>) -> Option<Latency> {
    took_s.sort_by(f64::total_cmp);
    let rank = |share: f64| took_s.get(((took_s.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
    Some(Latency { p50: rank(0.5)?, p90: rank(0.9)?, p99: rank(0.99)?, max: *took_s.last()? })
}

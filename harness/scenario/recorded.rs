//! The file that `lastfd run --record` keeps beside a scenario file: the measurements of its runs, for people
//! to read and review. Expectations such as `"no worse than recorded by 5 %"` compare with it.

use super::amount::{Kept, Metric, Unit, Wanted};
use super::model::Plan;
use super::{LoadError, bundled};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The schema of the file.
const SCHEMA: &str = "lastfd/recorded/1";
/// The comment at the top of the file.
const HEAD: &str = "\
# What `lastfd run --record` measured of the scenario beside this file, run by run (the scenario as written is
# \"base\"). Expectations such as \"no worse than recorded by 5 %\" compare with it. Times are in seconds, memory
# in bytes. Where runs differ, the median stands beside the least and the most.
";

/// The recorded runs of a scenario, by the name of the variant; `base` is the scenario as written.
pub type Recorded = BTreeMap<String, BTreeMap<Metric, Kept>>;

/// The file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    schema: String,
    #[serde(rename = "lastfd-version")]
    _version: String,
    #[serde(rename = "recorded-at")]
    _at: String,
    #[serde(default)]
    run: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    runs: u32,
    #[serde(flatten)]
    metrics: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Varies { median: f64, least: f64, most: f64 },
}

/// The file beside a scenario file: `api.recorded.toml` beside `api.scenario.toml`. `None`: it is bundled in
/// this program, and nothing is beside it.
pub fn beside(scenario: &Path) -> Option<PathBuf> {
    if bundled::is_meant(scenario) {
        return None;
    }
    let name = scenario.file_name()?.to_str()?;
    Some(scenario.with_file_name(match name.strip_suffix("scenario.toml") {
        Some(begin) => format!("{begin}recorded.toml"),
        None => format!("{name}.recorded.toml"),
    }))
}

/// The recordings beside this scenario file; empty where there is no such file.
///
/// # Errors
/// The file cannot be read, or is no recording.
pub fn read(scenario: &Path) -> Result<Recorded, LoadError> {
    let Some(path) = beside(scenario) else { return Ok(Recorded::new()) };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Recorded::new()),
        text => text.map_err(|source| LoadError::Io { path: path.clone(), source })?,
    };
    parsed(&text).map_err(|why| LoadError::Recorded { path, why })
}

fn parsed(text: &str) -> Result<Recorded, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.schema != SCHEMA {
        return Err(format!("its schema is `{}`, and this lastfd reads `{SCHEMA}`", file.schema));
    }
    let kept = |runs, value| match value {
        Value::Number(n) => Kept { runs, median: n, least: n, most: n },
        Value::Varies { median, least, most } => Kept { runs, median, least, most },
    };
    // A recording of a later version may have metrics that this version does not know: they are left out.
    let metrics = |run: Run| {
        let known = run.metrics.iter().filter_map(|(name, value)| Some((name.parse().ok()?, *value)));
        (run.name, known.map(|(metric, value)| (metric, kept(run.runs, value))).collect())
    };
    Ok(file.run.into_iter().map(metrics).collect())
}

/// The plan as it is recorded: without the expectations that compare with a recording.
pub fn unjudged(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.expect.amounts.retain(|_, amount| !matches!(amount.wanted, Wanted::NoWorse { .. }));
    plan
}

/// The text of the file.
pub fn text(recorded: &Recorded, at: &str) -> String {
    let mut text = format!(
        "{HEAD}\nschema = \"{SCHEMA}\"\nlastfd-version = \"{}\"\nrecorded-at = \"{at}\"\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, metrics) in recorded {
        let runs = metrics.values().map(|kept| kept.runs).max().unwrap_or(0);
        let _ = write!(text, "\n[[run]]\nname = {}\nruns = {runs}\n", toml::Value::from(name.as_str()));
        for (metric, kept) in metrics {
            let number = |value| number(metric.unit(), value);
            let key = if metric.name().contains('.') {
                format!("{:?}", metric.name())
            } else {
                metric.name().into()
            };
            let _ = match kept.least == kept.most {
                true => writeln!(text, "{key} = {}", number(kept.median)),
                false => writeln!(
                    text,
                    "{key} = {{ median = {}, least = {}, most = {} }}",
                    number(kept.median),
                    number(kept.least),
                    number(kept.most)
                ),
            };
        }
    }
    text
}

/// A count without a fraction, and microseconds of a time.
fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count | Unit::Bytes | Unit::BytesPerSecond => format!("{value:.0}"),
        _ => {
            let text = format!("{value:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

impl Plan {
    /// Whether an expectation compares with a recording.
    pub(super) fn compares_with_recorded(&self) -> bool {
        self.expect.amounts.values().any(|amount| matches!(amount.wanted, Wanted::NoWorse { .. }))
    }

    /// Gives each expectation that compares with a recording the recorded values for this plan. `scenario` is
    /// the file's name as in messages.
    pub(super) fn compared_with(&mut self, recorded: &Recorded, scenario: &str) {
        let own = recorded.get(self.variant_name());
        for (metric, amount) in &mut self.expect.amounts {
            if let Wanted::NoWorse { kept, scenario: file, .. } = &mut amount.wanted {
                *kept = own.and_then(|metrics| metrics.get(metric)).copied();
                scenario.clone_into(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let kept = Kept::of(vec![0.25, 0.26, 0.2]).expect("three values");
        let exact = Kept::of(vec![57.0; 3]).expect("three values");
        let base = [(Metric::Capacity, exact), (Metric::SoftLimit, exact), (Metric::FirstServed, kept)];
        let recorded: Recorded = [
            ("base".to_owned(), base.into()),
            ("with \"quotes\"".to_owned(), [(Metric::Leaked, exact)].into()),
        ]
        .into();
        assert_eq!(parsed(&text(&recorded, "2026-01-02T03:04:05Z")), Ok(recorded));
        assert_eq!((kept.median, kept.least, kept.most, kept.runs), (0.25, 0.2, 0.26, 3));
    }

    #[test]
    fn the_file_stands_beside_its_scenario() {
        let of = |path: &str| beside(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(of("s/api.scenario.toml").as_deref(), Some("s/api.recorded.toml"));
        assert_eq!(of("api/scenario.toml").as_deref(), Some("api/recorded.toml"));
        assert_eq!(of("@policies/backoff"), None);
    }
}

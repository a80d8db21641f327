//! The report that other programs read.

use super::{Report, remedies, sweep};
use serde::{Deserialize, Serialize};

/// What `schema` says; raised when a field changes its meaning.
pub const SCHEMA: &str = "lastfd/report/1";

/// The outermost object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// One object a run.
    pub runs: Vec<Report>,
    /// What each remedy changed, where several variants of a scenario were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<remedies::Table>,
    /// The line through the ceilings, where one program was run at several limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<sweep::Sweep>,
}

/// The reports as one JSON object, with a newline at its end.
pub fn render(reports: &[Report]) -> String {
    text(&Document {
        schema: SCHEMA.into(),
        runs: reports.to_vec(),
        remedies: remedies::tables(reports),
        sweep: None,
    })
}

/// The same of one program at several limits: no limit is another's remedy.
pub fn render_sweep(reports: &[Report], sweep: &sweep::Sweep) -> String {
    text(&Document {
        schema: SCHEMA.into(),
        runs: reports.to_vec(),
        remedies: Vec::new(),
        sweep: Some(sweep.clone()),
    })
}

fn text(document: &Document) -> String {
    let text =
        serde_json::to_string_pretty(document).expect("a report has only string keys and finite numbers");
    text + "\n"
}

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not of this shape.
    #[error("not a report of lastfd: {0}")]
    Foreign(#[from] serde_json::Error),
    /// Written by a version with another schema.
    #[error("its schema is {0}, this version reads {SCHEMA}")]
    Schema(String),
}

/// Reads reports back, for merging.
///
/// # Errors
/// See [`JsonError`].
pub fn read(text: &str) -> Result<Vec<Report>, JsonError> {
    let value: serde_json::Value = serde_json::from_str(text)?;
    match value.get("schema").and_then(|s| s.as_str()) {
        Some(SCHEMA) | None => Ok(serde_json::from_value::<Document>(value)?.runs),
        Some(other) => Err(JsonError::Schema(other.into())),
    }
}

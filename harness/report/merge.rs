//! Merges the reports of the parts of a suite into the report of the suite. Pure.

use super::json;
use super::suite::{Part, Suite};
use super::told::Told;
use serde::Deserialize;
use serde_json::{Value, json as object};

/// Why reports do not make a suite.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// It is none of ours.
    #[error("{file}: not a report of `lastfd run --json`: its `schema` is not {}", json::SCHEMA)]
    NoReport {
        /// The file.
        file: String,
    },
    /// Made by a version with another schema.
    #[error(
        "{file}: this report has the schema {found}, and this lastfd merges {} only: make all parts with one \
         version, and merge them with it",
        json::SCHEMA
    )]
    Schema {
        /// The file.
        file: String,
        /// The schema in the file.
        found: String,
    },
    /// It was not made by `--partition`.
    #[error("{0}: not a part of a suite: it was made without `lastfd run --partition`")]
    NoPart(String),
    /// It says something of itself that cannot be.
    #[error("{file}: broken: {why}")]
    Broken {
        /// The report.
        file: String,
        /// The contradiction.
        why: String,
    },
    /// Another program made it.
    #[error("{0} was made by lastfd {1}, and {2} by lastfd {3}: run all parts with one version")]
    Version(String, String, String, String),
    /// It is a part of something else.
    #[error("{0} is of another suite than {1}: the scenarios, the filters, `--variant` or `--repeat` differ")]
    Foreign(String, String),
    /// The suite was split differently.
    #[error("{0} is {1}, and {2} is {3}: the suite was split differently")]
    Split(String, Part, String, Part),
    /// A part is there twice.
    #[error("{part} is there twice: {one} and {other}")]
    Twice {
        /// Which.
        part: Part,
        /// The one report.
        one: String,
        /// The other.
        other: String,
    },
    /// A part is missing.
    #[error("{part} is missing: it has {run}{}", others(*.more))]
    Missing {
        /// Which.
        part: Part,
        /// One of its runs.
        run: String,
        /// How many more it has.
        more: usize,
    },
    /// A part was interrupted.
    #[error("{file}: {part} is not whole: it lacks {run}{}", others(*.more))]
    NotWhole {
        /// The report.
        file: String,
        /// Which.
        part: Part,
        /// A run that it lacks.
        run: String,
        /// How many more it lacks.
        more: usize,
    },
}

fn others(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// Several parts, as one.
#[derive(Debug)]
pub struct Merged {
    /// The report of the whole suite.
    pub document: Value,
    /// Its runs in words.
    pub told: Vec<Told>,
}

/// One report, as far as merging goes.
struct Read<'a> {
    file: &'a str,
    suite: Suite,
    part: Part,
    runs: Vec<Value>,
    told: Vec<Told>,
    remedies: Vec<Value>,
}

impl<'a> Read<'a> {
    fn of(file: &'a str, document: &Value) -> Result<Self, MergeError> {
        match document["schema"].as_str() {
            Some(json::SCHEMA) => {}
            Some(found) if found.starts_with("lastfd/report/") => {
                return Err(MergeError::Schema { file: file.into(), found: found.into() });
            }
            _ => return Err(MergeError::NoReport { file: file.into() }),
        }
        if document["suite"]["part"].is_null() {
            return Err(MergeError::NoPart(file.into()));
        }
        let broken = |why: String| MergeError::Broken { file: file.into(), why };
        let suite: Suite =
            Suite::deserialize(&document["suite"]).map_err(|e| broken(format!("suite: {e}")))?;
        let told: Vec<Told> =
            Vec::deserialize(&document["told"]).map_err(|e| broken(format!("told: {e}")))?;
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let (runs, remedies) = (list("runs"), list("remedies"));
        let part = suite.part.expect("it is not null");
        match (1..=part.of).contains(&part.part) && suite.repeat > 0 && runs.len() == told.len() {
            true => Ok(Read { file, suite, part, runs, told, remedies }),
            false => Err(broken(format!("{} with {} runs, {} in words", part, runs.len(), told.len()))),
        }
    }

    /// The titles that its runs must have.
    fn wanted(&self) -> Vec<&String> {
        let each = |title| std::iter::repeat_n(title, self.suite.repeat as usize);
        self.part.of_all(&self.suite.runs).into_iter().flat_map(each).collect()
    }

    /// Whether it has all its runs.
    fn whole(&self) -> Result<(), MergeError> {
        let missing: Vec<&String> = self.wanted().into_iter().skip(self.told.len()).collect();
        let other = self.wanted().into_iter().zip(&self.told).find(|(title, told)| **title != told.title);
        match (missing.first().copied().or(other.map(|(title, _)| title)), self.suite.complete) {
            (None, true) => Ok(()),
            (run, _) => Err(MergeError::NotWhole {
                file: self.file.into(),
                part: self.part,
                run: run.cloned().unwrap_or_else(|| "the end of its last run".into()),
                more: missing.len().saturating_sub(1),
            }),
        }
    }

    /// Whether it is of the same suite as the first.
    fn belongs_to(&self, first: &Read) -> Result<(), MergeError> {
        let (file, other) = (self.file.to_owned(), first.file.to_owned());
        let versions = [&self.suite.lastfd_version, &first.suite.lastfd_version].map(String::clone);
        if versions[0] != versions[1] {
            let [version, others] = versions;
            return Err(MergeError::Version(file, version, other, others));
        }
        if (&self.suite.hash, &self.suite.runs, self.suite.repeat)
            != (&first.suite.hash, &first.suite.runs, first.suite.repeat)
        {
            return Err(MergeError::Foreign(file, other));
        }
        match self.part.of == first.part.of {
            true => Ok(()),
            false => Err(MergeError::Split(file, self.part, other, first.part)),
        }
    }
}

/// Merges the reports of all parts of a suite, each with the name of its file.
///
/// # Errors
/// They are not all parts of one suite, each once and whole.
pub fn merge(reports: &[(String, Value)]) -> Result<Merged, MergeError> {
    let read = reports.iter().map(|(file, document)| Read::of(file, document));
    let mut read = read.collect::<Result<Vec<_>, _>>()?;
    let (first, rest) = read.split_first().expect("the command line asks for a file at least");
    rest.iter().try_for_each(|other| other.belongs_to(first))?;
    read.sort_by_key(|read| read.part.part);
    if let Some(twice) = read.windows(2).find(|two| two[0].part == two[1].part) {
        let [one, other] = [&twice[0], &twice[1]].map(|read| read.file.to_owned());
        return Err(MergeError::Twice { part: twice[0].part, one, other });
    }
    let suite = Suite { part: None, complete: true, ..read[0].suite.clone() };
    let of = read[0].part.of;
    for part in (1..=of).map(|part| Part { part, of }) {
        let runs = part.of_all(&suite.runs);
        let there = read.iter().any(|read| read.part == part);
        // A part that has no run writes no report.
        if let Some(run) = runs.first().filter(|_| !there) {
            return Err(MergeError::Missing { part, run: (*run).clone(), more: runs.len() - 1 });
        }
    }
    read.iter().try_for_each(Read::whole)?;
    Ok(merged(suite, &read))
}

/// Whole parts in the order of the suite.
fn merged(suite: Suite, parts: &[Read]) -> Merged {
    let (of, repeat) = (parts[0].part.of, suite.repeat as usize);
    let (mut runs, mut told) = (Vec::new(), Vec::new());
    for run in 0..suite.runs.len() {
        let part = parts.iter().find(|part| part.part.part == run % of + 1).expect("none is missing");
        let there = run / of * repeat..(run / of + 1) * repeat;
        runs.extend_from_slice(&part.runs[there.clone()]);
        told.extend_from_slice(&part.told[there]);
    }
    // A table is of all variants of a scenario, or it says too much.
    let whole = |part: &Read, table: &Value| {
        let others = parts.iter().filter(|other| other.part != part.part);
        others.flat_map(|other| &other.told).all(|told| table["scenario"] != told.scenario.as_str())
    };
    let tables = parts.iter().flat_map(|part| part.remedies.iter().filter(move |table| whole(part, table)));
    let mut document = object!({ "schema": json::SCHEMA, "suite": suite, "runs": runs });
    let tables: Vec<Value> = tables.cloned().collect();
    if !tables.is_empty() {
        document["remedies"] = tables.into();
    }
    Merged { document, told }
}

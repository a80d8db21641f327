//! Lays a parsed document beside the JSON Schema of a scenario: unknown keys and values, wrong types, missing keys and numbers
//! out of range, all at once and each with its place. What passes here, serde reads without an error.
//!
//! It knows the keywords that [`super::raw::schema`] uses, not JSON Schema as a whole.

use super::problem::{Problem, unknown};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

static SCHEMA: LazyLock<Value> = LazyLock::new(super::raw::schema);

/// Everything in the document that the schema does not allow.
pub(super) fn problems(document: &Spanned<DeTable<'_>>) -> Vec<Problem> {
    let mut found = Vec::new();
    table(document.get_ref(), &Place { path: String::new(), at: 0..0 }, &branches(&SCHEMA), &mut found);
    found
}

/// Where a value stands: its dotted path, and what to point at when something about a table as a whole is wrong (its key).
struct Place {
    path: String,
    at: Range<usize>,
}

impl Place {
    fn below(&self, key: &str, at: Range<usize>) -> Place {
        Place { path: if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }, at }
    }

    /// `the scenario` at the top, else the quoted path.
    fn shown(&self) -> String {
        if self.path.is_empty() { "the scenario".into() } else { format!("`{}`", self.path) }
    }
}

/// The alternatives that a schema stands for, with references followed.
fn branches(schema: &'static Value) -> Vec<&'static Value> {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        return branches(&SCHEMA["$defs"][name]);
    }
    match schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        Some(alternatives) => alternatives.iter().flat_map(branches).collect(),
        None => vec![schema],
    }
}

fn value(value: &Spanned<DeValue<'_>>, place: &Place, schema: &'static Value, found: &mut Vec<Problem>) {
    let kind = value.get_ref().type_str();
    let all = branches(schema);
    // A branch without a type (`true`) takes anything: the values of `set`.
    let fitting: Vec<_> = all.iter().copied().filter(|branch| branch["type"].as_str().is_none_or(|t| takes(t, kind))).collect();
    if fitting.is_empty() {
        let mut wanted: Vec<_> = all.iter().filter_map(|branch| branch["type"].as_str()).map(in_toml).collect();
        wanted.dedup();
        let wanted = wanted.join(" or ");
        let at = if kind == "table" { place.at.clone() } else { value.span() };
        found.push(Problem::new(at, format!("{} wants {wanted}, not {}", place.shown(), in_toml(kind)), format!("wanted {wanted}")));
        return;
    }
    match value.get_ref() {
        DeValue::String(text) => string(text, value.span(), place, &fitting, found),
        DeValue::Integer(_) | DeValue::Float(_) => number(value, place, &fitting, found),
        DeValue::Array(items) => {
            for (item, schema) in items.iter().flat_map(|item| fitting[0].get("items").map(|schema| (item, schema))) {
                self::value(item, &Place { path: place.path.clone(), at: item.span() }, schema, found);
            }
        }
        DeValue::Table(entries) => table(entries, place, &fitting, found),
        DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Whether a schema's type takes a TOML value of this kind.
fn takes(schema_type: &str, kind: &str) -> bool {
    match schema_type {
        "object" => kind == "table",
        "number" => matches!(kind, "integer" | "float"),
        other => other == kind,
    }
}

/// A type in TOML's words, with its article.
fn in_toml(kind: &str) -> &'static str {
    match kind {
        "string" => "a string",
        "integer" => "an integer",
        "float" | "number" => "a number",
        "boolean" => "a boolean",
        "array" => "an array",
        "table" | "object" => "a table",
        _ => "a date",
    }
}

fn string(text: &str, at: Range<usize>, place: &Place, fitting: &[&'static Value], found: &mut Vec<Problem>) {
    let mut accepted = Vec::new();
    for branch in fitting {
        match (branch["const"].as_str(), branch["enum"].as_array()) {
            (Some(only), _) => accepted.push(only),
            (None, Some(values)) => accepted.extend(values.iter().filter_map(Value::as_str)),
            (None, None) => return, // any text
        }
    }
    if !accepted.contains(&text) {
        found.push(unknown(at, format!("{} cannot be {text:?}", place.shown()), text, accepted));
    }
}

fn number(value: &Spanned<DeValue<'_>>, place: &Place, fitting: &[&'static Value], found: &mut Vec<Problem>) {
    let written = match value.get_ref() {
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix()).map(|n| n as f64).unwrap_or(f64::INFINITY),
        DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
        _ => return,
    };
    let least = fitting.iter().find_map(|branch| branch["minimum"].as_f64());
    let most = fitting.iter().find_map(|branch| branch["maximum"].as_f64()).or(fitting.iter().find_map(|branch| {
        match branch["format"].as_str()? {
            "uint32" => Some(f64::from(u32::MAX)),
            // TOML's integers are 64-bit signed.
            "uint64" | "int64" => Some(i64::MAX as f64),
            _ => None,
        }
    }));
    let mut outside = |label: String| found.push(Problem::new(value.span(), format!("{} is out of range", place.shown()), label));
    match (least, most) {
        (Some(least), _) if written < least => outside(format!("must be at least {least}")),
        (_, Some(most)) if written > most => outside(format!("must be at most {most}")),
        _ if !written.is_finite() => outside("must be a finite number".into()),
        _ => {}
    }
}

fn table(entries: &DeTable<'_>, place: &Place, fitting: &[&'static Value], found: &mut Vec<Problem>) {
    let known: BTreeMap<&str, &'static Value> =
        fitting.iter().filter_map(|b| b["properties"].as_object()).flatten().map(|(key, schema)| (key.as_str(), schema)).collect();
    let any_key = fitting.iter().find_map(|branch| branch.get("additionalProperties").filter(|schema| **schema != Value::Bool(false)));
    for (key, entry) in entries {
        let below = place.below(key.get_ref(), key.span());
        match known.get(key.get_ref().as_ref()).copied().or(any_key) {
            Some(schema) => value(entry, &below, schema, found),
            None => {
                let message = format!("unknown key `{}` in {}", key.get_ref(), place.shown());
                found.push(unknown(key.span(), message, key.get_ref(), known.keys().copied()));
            }
        }
    }
    // Several branches that are tables: the key says which one it is, so there must be exactly one.
    if fitting.len() > 1 {
        if entries.len() != 1 {
            let keys: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            let label = format!("has {} keys, wants one", entries.len());
            found.push(Problem::new(place.at.clone(), format!("{} wants exactly one of {}", place.shown(), keys.join(", ")), label));
        }
        return;
    }
    for missing in fitting[0]["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !entries.keys().any(|key| key.get_ref() == missing) {
            let about = fitting[0]["properties"][missing]["description"].as_str().unwrap_or_default().replace('\n', " ");
            let message = format!("{} has no `{missing}`", place.shown());
            found.push(Problem::new(place.at.clone(), message, format!("`{missing}` is missing")).help(format!("`{missing}`: {about}")));
        }
    }
}

//! Lays a parsed document beside the JSON Schema of a scenario: unknown keys and values, wrong types, missing
//! keys and numbers out of range, all at once and each with its place. A document that passes here is read by
//! serde without an error.
//!
//! It knows the keywords that [`super::raw::schema`] uses, not JSON Schema as a whole.

use super::problem::{Problem, nearest, unknown};
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

/// Where a value stands: its dotted path, and what to point at when something about a table as a whole is
/// wrong (its key).
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
    // A branch without a type (`true`) takes anything: the values of `set`, read where they are laid.
    if all.iter().any(|branch| branch.get("type").is_none()) {
        return;
    }
    let fitting: Vec<_> = all
        .iter()
        .copied()
        .filter(|branch| branch["type"].as_str().is_some_and(|t| takes(t, kind)))
        .collect();
    if fitting.is_empty() {
        let mut wanted: Vec<_> =
            all.iter().filter_map(|branch| branch["type"].as_str()).map(in_toml).collect();
        wanted.dedup();
        let wanted = wanted.join(" or ");
        let at = if kind == "table" { place.at.clone() } else { value.span() };
        let problem = Problem::new(
            at,
            format!("{} wants {wanted}, not {}", place.shown(), in_toml(kind)),
            format!("wanted {wanted}"),
        );
        found.push(explained(problem, place, schema));
        return;
    }
    match value.get_ref() {
        DeValue::String(text) => string(text, value.span(), place, &fitting, found),
        DeValue::Integer(_) | DeValue::Float(_) => {
            found.extend(number(value, place, &fitting).map(|problem| explained(problem, place, schema)))
        }
        DeValue::Array(items) => {
            for (item, schema) in
                items.iter().flat_map(|item| fitting[0].get("items").map(|schema| (item, schema)))
            {
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
pub(super) fn in_toml(kind: &str) -> &'static str {
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
        let words = accepted.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let problem = unknown(at, format!("{} cannot be {text:?}", place.shown()), text, accepted);
        found.push(match text.trim_start().starts_with("no worse") {
            true => problem.help(format!(
                "it is a word, one of {words}; only numbers compare with a recording, such as \
                 `recovers-within`, `first-served`, `leaked` and `capacity`"
            )),
            false => problem,
        });
    }
}

fn number(value: &Spanned<DeValue<'_>>, place: &Place, fitting: &[&'static Value]) -> Option<Problem> {
    let written = match value.get_ref() {
        DeValue::Integer(integer) => {
            i128::from_str_radix(integer.as_str(), integer.radix()).map_or(f64::INFINITY, |n| n as f64)
        }
        DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
        _ => return None,
    };
    let least = fitting.iter().find_map(|branch| branch["minimum"].as_f64()).unwrap_or(f64::MIN);
    // schemars gives no maximum for the types of 32 and 64 bits; TOML's own integers have 64, one of them the
    // sign.
    let most = fitting.iter().find_map(|branch| match branch["format"].as_str() {
        _ if branch["maximum"].is_number() => branch["maximum"].as_f64(),
        Some("uint32") => Some(f64::from(u32::MAX)),
        Some("uint64" | "int64") => Some(i64::MAX as f64),
        _ => None,
    });
    let label = match most.unwrap_or(f64::MAX) {
        _ if written < least => format!("must be at least {least}"),
        most if written > most => format!("must be at most {most}"),
        _ if written.is_nan() => "must be a number".into(),
        _ => return None,
    };
    Some(Problem::new(value.span(), format!("{} is out of range", place.shown()), label))
}

/// The problem with what the schema says of the key, if it says anything.
fn explained(problem: Problem, place: &Place, schema: &Value) -> Problem {
    match (place.path.rsplit('.').next(), schema["description"].as_str()) {
        (Some(key), Some(about)) => problem.help(format!("`{key}`: {}", about.replace('\n', " "))),
        _ => problem,
    }
}

/// The key of this table inside which a key like `key` is known, and that inner key.
fn inside(
    key: &str,
    entries: &DeTable<'_>,
    known: &BTreeMap<&'static str, &'static Value>,
) -> Option<(&'static str, &'static str)> {
    let chosen = known.iter().filter(|(name, _)| entries.keys().any(|key| key.get_ref() == **name));
    chosen.into_iter().find_map(|(name, schema)| {
        let all = branches(schema);
        let keys =
            all.iter().filter_map(|branch| branch["properties"].as_object()).flat_map(|keys| keys.keys());
        Some((*name, nearest(key, keys.map(String::as_str))?))
    })
}

fn table(entries: &DeTable<'_>, place: &Place, fitting: &[&'static Value], found: &mut Vec<Problem>) {
    let known: BTreeMap<&'static str, &'static Value> = fitting
        .iter()
        .filter_map(|b| b["properties"].as_object())
        .flatten()
        .map(|(key, schema)| (key.as_str(), schema))
        .collect();
    let any_key = fitting.iter().find_map(|branch| {
        branch.get("additionalProperties").filter(|schema| **schema != Value::Bool(false))
    });
    for (key, entry) in entries {
        let below = place.below(key.get_ref(), key.span());
        match known.get(key.get_ref().as_ref()).copied().or(any_key) {
            Some(schema) => value(entry, &below, schema, found),
            None => {
                let message = format!("unknown key `{}` in {}", key.get_ref(), place.shown());
                let problem = unknown(key.span(), message.clone(), key.get_ref(), known.keys().copied());
                let one_level_too_high = inside(key.get_ref(), entries, &known).filter(|_| fitting.len() > 1);
                found.push(one_level_too_high.map_or(problem, |(outer, inner)| {
                    let help = format!("it belongs inside `{outer}`: `{outer} = {{ {inner} = … }}`");
                    Problem::new(key.span(), message, format!("did you mean `{outer}.{inner}`?")).help(help)
                }));
            }
        }
    }
    // Several branches that are tables: the key says which one it is, so there must be exactly one.
    if fitting.len() > 1 {
        let chosen = entries.keys().filter(|key| known.contains_key(key.get_ref().as_ref())).count();
        // A single unknown key has been reported already.
        if chosen > 1 || entries.is_empty() {
            let keys: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            let label = format!("has {chosen} of them, wants one");
            found.push(Problem::new(
                place.at.clone(),
                format!("{} wants exactly one of {}", place.shown(), keys.join(", ")),
                label,
            ));
        }
        return;
    }
    for missing in fitting[0]["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !entries.keys().any(|key| key.get_ref() == missing) {
            let message = format!("{} has no `{missing}`", place.shown());
            let problem = Problem::new(place.at.clone(), message, format!("`{missing}` is missing"));
            found.push(explained(problem, &place.below(missing, 0..0), &fitting[0]["properties"][missing]));
        }
    }
}

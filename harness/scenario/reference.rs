//! The page that documents every key of a scenario file, made from the JSON Schema: `lastfd schema
//! --markdown` prints it.

use serde_json::Value;

/// The text of the page before the first table.
const INTRODUCTION: &str = "\
# Scenario file

<!-- Made by `lastfd schema --markdown`. Edit the doc comments in harness/scenario, not this page. -->

A scenario is a TOML file whose name ends in `.scenario.toml`, or is `scenario.toml`. It says what to start, how to load it, and what must be observed. [Guides](../README.md) has examples; `lastfd check FILE` points at a mistake with its line and column; `lastfd schema` prints the JSON Schema for editors.

A time is a number and a unit: `\"500ms\"`, `\"10s\"`, `\"2m\"`. A formula has numbers, `soft`, `hard`, `baseline`, `+`, `-`, `*`, `/` and parentheses, such as `\"(soft - baseline) / 2\"`.
";

/// The page, from the JSON Schema of a scenario file.
pub fn page(schema: &Value) -> String {
    let mut page = Page { schema, done: Vec::new(), text: INTRODUCTION.into() };
    page.section("The file", schema);
    page.text
}

struct Page<'a> {
    schema: &'a Value,
    /// Names of the definitions that have a section, or have one begun.
    done: Vec<&'a str>,
    text: String,
}

impl<'a> Page<'a> {
    /// A heading, the meaning of the definition, its table, and then a section for each definition that it
    /// names first.
    fn section(&mut self, heading: &str, definition: &'a Value) {
        self.text += &format!("\n## {heading}\n\n{}\n", prose(definition));
        let table = table(definition);
        if !table.is_empty() {
            self.text += &format!("\n{table}");
        }
        let mut named = Vec::new();
        references(definition, &mut named);
        for name in named {
            if !self.done.contains(&name) {
                self.done.push(name);
                self.section(name, &self.schema["$defs"][name]);
            }
        }
    }
}

/// The table of an object's keys; or the tables that one key chooses between; or the words that a value may
/// be.
fn table(definition: &Value) -> String {
    let required: Vec<&Value> = definition["required"].as_array().into_iter().flatten().collect();
    if let Some(keys) = definition["properties"].as_object() {
        let row = |(key, value): (&String, &Value)| {
            let must = required.iter().any(|name| *name == key);
            (
                !must,
                format!(
                    "| `{key}` | {}{} | {} |\n",
                    kind(value),
                    if must { ", required" } else { "" },
                    prose(value)
                ),
            )
        };
        let mut rows: Vec<(bool, String)> = keys.iter().map(row).collect();
        rows.sort_by_key(|(optional, _)| *optional);
        return rows
            .into_iter()
            .fold("| key | value | meaning |\n|---|---|---|\n".into(), |text, (_, row)| text + &row);
    }
    let choices: Vec<&Value> = definition["oneOf"].as_array().into_iter().flatten().collect();
    let words = choices
        .iter()
        .filter_map(|choice| Some(format!("| {} | {} |\n", code(choice.get("const")?), prose(choice))));
    let tables = choices.iter().filter_map(|choice| {
        let (key, value) = choice["properties"].as_object()?.iter().next()?;
        Some(format!("| `{key}` | {} | {} |\n", kind(value), prose(choice)))
    });
    let (words, tables): (String, String) = (words.collect(), tables.collect());
    match (words.is_empty(), tables.is_empty()) {
        (false, _) => format!("| value | meaning |\n|---|---|\n{words}"),
        (_, false) => format!("One of:\n\n| key | value | meaning |\n|---|---|---|\n{tables}"),
        _ if definition["anyOf"].is_array() || definition["enum"].is_array() => {
            format!("Written as: {}.\n", kind(definition))
        }
        _ => String::new(),
    }
}

/// The kind of value that a key takes.
fn kind(value: &Value) -> String {
    if let Some(name) = name_of(value) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(code).collect::<Vec<_>>().join(", ");
    }
    if let Some(choices) = value["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match value["type"].as_str() {
        Some("array") => format!("array: {}", kind(&value["items"])),
        Some("object") if value["additionalProperties"].is_object() => {
            format!("table: {} by name", kind(&value["additionalProperties"]))
        }
        Some("object") => "table".into(),
        Some("integer" | "number") => match (value["minimum"].as_u64(), value["maximum"].as_u64()) {
            (Some(from), Some(to)) => format!("number, {from} to {to}"),
            (Some(from @ 1..), None) => format!("number, {from} or more"),
            _ => "number".into(),
        },
        Some("boolean") => "true or false".into(),
        Some(other) => other.into(),
        None => "any".into(),
    }
}

/// The description as one line that fits a cell, with the default where there is one to speak of.
fn prose(value: &Value) -> String {
    let text = value["description"].as_str().unwrap_or_default();
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if let Some(default @ (Value::String(_) | Value::Number(_))) = value.get("default")
        && default != 0
    {
        line += &format!(" Default: {}.", code(default));
    }
    line
}

fn code(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => format!("`{value}`"),
    }
}

/// The definition that this refers to.
fn name_of(value: &Value) -> Option<&str> {
    value["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The definitions that this one refers to, in the order of its tables.
fn references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    into.extend(name_of(value));
    match value {
        Value::Object(map) => {
            map.iter().filter(|(key, _)| *key != "$defs").for_each(|(_, value)| references(value, into))
        }
        Value::Array(all) => all.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

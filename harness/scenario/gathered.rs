//! The keys of `[expect]` that are metrics and aspects: the JSON Schema has one property for each, and before
//! serde reads a document they are moved into one table, so that code has one map of them.

use super::amount::{Amount, Aspect, Metric};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The key of that table: no scenario can have it.
pub(super) const GATHERED: &str = "measured";

/// Metrics that have a key of their own, too, for a plain value.
const OWN: [Metric; 5] =
    [Metric::SoftLimit, Metric::HardLimit, Metric::Baseline, Metric::Leaked, Metric::RecoversWithin];

/// Adds the keys to the schema of a scenario file.
pub(super) fn described(schema: &mut Value) {
    let amount = "What a number must be: the number, a range (\"50..=60\"), \"at most 60\", \"at least 50\", or \"no worse than recorded \
                  by 5 %\" (of what `lastfd run --record` measured; nothing is the same as 0 %). A count may be a formula; any other \
                  number has its unit: \"500ms\", \"20 %\", \"10/s\", \"64MiB\", \"10kB/s\".";
    schema["$defs"]["Amount"] =
        json!({ "description": amount, "anyOf": [{ "type": "number" }, { "type": "string" }] });
    let expect = properties(schema, "Expect");
    for metric in Metric::ALL.iter().filter(|metric| !OWN.contains(metric)) {
        expect.insert(
            metric.name().into(),
            json!({ "description": format!("{}.", metric.doc()), "$ref": "#/$defs/Amount" }),
        );
    }
    for aspect in Aspect::ALL {
        let word = match aspect.words() {
            [] => json!({ "type": "string" }),
            words => json!({ "type": "string", "enum": words }),
        };
        let either = json!([word, { "type": "array", "items": word }]);
        let description = format!("{}.", aspect.doc());
        expect.insert(aspect.name().into(), json!({ "description": description, "anyOf": either }));
    }
    // A plain value stays of its type; a text is an amount.
    let mut or_amount = |definition: &str, key: &str| {
        let plain = &mut properties(schema, definition)[key];
        let about = plain["description"].take();
        let mut number = plain.take();
        number.as_object_mut().expect("a number").remove("description");
        *plain = json!({ "description": about, "anyOf": [number, { "type": "string" }] });
    };
    ["baseline", "leaked"].into_iter().for_each(|key| or_amount("Expect", key));
    ["soft", "hard"].into_iter().for_each(|key| or_amount("ExpectLimits", key));
}

fn properties<'s>(schema: &'s mut Value, definition: &str) -> &'s mut Map<String, Value> {
    schema["$defs"][definition]["properties"].as_object_mut().expect("a table of keys")
}

/// Moves the keys in the `expect` of the scenario and of each variant.
pub(super) fn gather(document: &mut DeTable<'_>) {
    document.get_mut("expect").into_iter().for_each(|expect| gather_in(expect.get_mut()));
    let variants = document.get_mut("variant").map(Spanned::get_mut);
    let Some(DeValue::Array(variants)) = variants else { return };
    for variant in variants.iter_mut().filter_map(|variant| table(variant.get_mut())) {
        variant.get_mut("expect").into_iter().for_each(|expect| gather_in(expect.get_mut()));
    }
}

fn table<'d, 'i>(value: &'d mut DeValue<'i>) -> Option<&'d mut DeTable<'i>> {
    match value {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn gather_in(expect: &mut DeValue<'_>) {
    let Some(expect) = table(expect) else { return };
    let mut found = DeTable::new();
    let names = Metric::ALL.iter().map(|metric| (metric.name(), Some(*metric)));
    for (name, metric) in names.chain(Aspect::ALL.iter().map(|aspect| (aspect.name(), None))) {
        let (place, key) = match name.split_once('.') {
            Some((outer, key)) => (expect.get_mut(outer).and_then(|outer| table(outer.get_mut())), key),
            None => (Some(&mut *expect), name),
        };
        let Some(place) = place else { continue };
        let own = metric.is_some_and(|metric| OWN.contains(&metric));
        let plain = |value: &DeValue<'_>| match value {
            // A time is plain, too.
            DeValue::String(text) => metric == Some(Metric::RecoversWithin) && !Amount::is_one(text),
            _ => true,
        };
        if place.get(key).is_none_or(|value| own && plain(value.get_ref())) {
            continue;
        }
        if let Some((key, value)) = place.remove_entry(key) {
            found.insert(Spanned::new(key.span(), DeString::Owned(name.to_owned())), value);
        }
    }
    if let Some(span) = found.keys().map(Spanned::span).next() {
        let value = Spanned::new(span.clone(), DeValue::Table(found));
        expect.insert(Spanned::new(span, DeString::Borrowed(GATHERED)), value);
    }
}

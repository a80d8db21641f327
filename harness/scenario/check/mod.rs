//! From the text of a scenario to its plans: parse, lay each variant over, read, check what the keys mean
//! together, and fill in every default. Pure: it asks nothing of the machine.

mod across;
mod calls;
mod expect;
mod process;
mod target;
mod text;
mod workload;

use super::model::*;
use super::problem::{Problem, by_likeness};
use super::raw::{File, RawSysctl, RawVariant};
use super::{gathered, set, shape, sysctl};
use crate::compare::Bound;
pub use calls::is_token;

use across::{
    check_called, check_callers, check_datagrams, check_loaded, check_name, check_outcomes,
    check_placeholders, check_reach, check_rounds, check_then,
};
use expect::{expect, merged};
use process::process;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use text::{no_process, seconds};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};
use workload::workload;

/// Longest time that saturation is watched when a scenario names none, seconds (`--hold`).
const HOLD_DEFAULT_S: f64 = 5.0;

/// The plans of a scenario: as written first, then its variants in their order.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn plans(text: &str, name: &str, directory: &Path) -> Result<Vec<Plan>, Vec<Problem>> {
    let document = DeTable::parse(text).map_err(|error| vec![not_toml(&error, text)])?;
    refused(shape::problems(&document))?;
    let base = read(document.clone(), text)?;
    let mut problems = Vec::new();
    let mut plans = vec![plan(&base, None, name, directory, &mut problems)];
    let own_text = ..first_variant(&document);
    for (raw, set) in base.variant.iter().zip(sets(&document)) {
        let mut wrong = Vec::new();
        match varied(&document, set, text) {
            Ok(file) => plans.push(plan(&file, Some(raw), name, directory, &mut wrong)),
            Err(found) => wrong = found,
        }
        wrong.retain(|problem| !problems.contains(problem));
        problems.extend(wrong.into_iter().map(|problem| match own_text.contains(&problem.at.start) {
            true => problem.in_variant(raw.name.get_ref()),
            false => problem,
        }));
    }
    refused(problems).map(|()| plans)
}

fn refused(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn read(document: Spanned<DeTable<'_>>, text: &str) -> Result<File, Vec<Problem>> {
    let mut document = document;
    gathered::gather(document.get_mut());
    File::deserialize(Deserializer::from(document)).map_err(|error| vec![not_toml(&error, text)])
}

/// The scenario with a variant's `set` laid over it.
fn varied<'i>(
    document: &Spanned<DeTable<'i>>,
    set: Option<&DeTable<'i>>,
    text: &str,
) -> Result<File, Vec<Problem>> {
    let (laid, mut problems) = set::laid(document, set);
    problems.extend(shape::problems(&laid));
    refused(problems)?;
    read(laid, text)
}

/// Where the variants begin in the text, in bytes: all text before belongs to the scenario itself.
fn first_variant(document: &Spanned<DeTable<'_>>) -> usize {
    document
        .get_ref()
        .keys()
        .find(|key| key.get_ref() == "variant")
        .map_or(usize::MAX, |key| key.span().start)
}

/// A fault that the TOML parser, or serde, found.
fn not_toml(error: &toml::de::Error, text: &str) -> Problem {
    let at = error.span().unwrap_or(0..0);
    Problem::new(at.start.min(text.len())..at.end.min(text.len()), error.message(), "here")
}

/// The `set` of every variant, in their order.
fn sets<'d, 'i>(document: &'d Spanned<DeTable<'i>>) -> impl Iterator<Item = Option<&'d DeTable<'i>>> {
    let variants = document.get_ref().get("variant").and_then(|variants| variants.get_ref().as_array());
    let tables =
        variants.into_iter().flat_map(|variants| variants.iter()).map(|variant| variant.get_ref().as_table());
    tables.map(|variant| variant?.get("set")?.get_ref().as_table())
}

/// One run. Where something is wrong the problem is reported and a stand-in used, so that the rest is checked
/// too.
fn plan(
    file: &File,
    variant: Option<&RawVariant>,
    name: &str,
    directory: &Path,
    problems: &mut Vec<Problem>,
) -> Plan {
    let names: Vec<&str> = file.processes.keys().map(|name| name.get_ref().as_str()).collect();
    let subject = subject(file, &names, problems);
    let mut processes: BTreeMap<String, Process> = file
        .processes
        .iter()
        .map(|(name, raw)| (name.get_ref().clone(), process(name, raw, problems)))
        .collect();
    if let (Some(variant), Some(process)) = (variant, processes.get_mut(&subject)) {
        process.requires.extend(
            variant
                .requires
                .iter()
                .filter(|r| !file.processes[subject.as_str()].requires.contains(r))
                .cloned(),
        );
    }
    let workloads = file
        .workloads
        .iter()
        .map(|(n, raw)| (n.get_ref().clone(), workload(raw, &names, &subject, problems)))
        .collect();
    check_callers(file, &subject, &workloads, problems);
    check_placeholders(file, &names, problems);
    check_called(file, &names, problems);
    for raw in std::iter::once(&file.expect).chain(variant.map(|variant| &variant.expect)) {
        check_outcomes(raw, &workloads, problems);
    }
    if let Some(variant) = variant {
        check_name(variant, file, problems);
    }
    let expected = merged(&file.expect, variant.map(|variant| &variant.expect));
    let own_claim = variant.and_then(|variant| variant.claim.clone());
    let plan = Plan {
        scenario: name.to_owned(),
        variant: variant.map(|variant| variant.name.get_ref().clone()),
        claim: own_claim.unwrap_or_else(|| file.claim.get_ref().clone()),
        tags: tags(file, problems),
        believed: variant.map_or(&file.believed, |variant| &variant.believed).clone(),
        subject,
        processes,
        workloads,
        sysctls: sysctls(&file.sysctls, problems),
        then: file.then.iter().map(|then| then.get_ref().clone()).collect(),
        recovery: file.recovery.as_ref().map(|recovery| *recovery.get_ref()).unwrap_or_default(),
        compare: gate(file, problems),
        alone: file.alone,
        expect: expect(&expected, problems),
        hold_s: seconds(file.hold.as_ref(), HOLD_DEFAULT_S, problems),
        directory: directory.to_owned(),
    };
    check_loaded(file, &plan, problems);
    check_reach(&expected, &plan, problems);
    check_then(file, &plan, problems);
    check_rounds(file, &plan, problems);
    check_datagrams(file, &plan, problems);
    plan
}

/// The tags of a file, each a word that a filter can name without quotes.
fn tags(file: &File, problems: &mut Vec<Problem>) -> Vec<String> {
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    for tag in file.tags.iter().filter(|tag| !is_word(tag.get_ref())) {
        problems.push(Problem::new(tag.span(), "a tag is one word of letters, digits, `-` and `_`", "here"));
    }
    file.tags.iter().map(|tag| tag.get_ref().clone()).collect()
}

/// How `lastfd compare` judges the file.
fn gate(file: &File, problems: &mut Vec<Problem>) -> Option<Gate> {
    let raw = file.compare.as_ref()?;
    if let Some(wanted) = &raw.variant
        && !file.variant.iter().any(|variant| variant.name.get_ref() == wanted.get_ref())
    {
        let names = file.variant.iter().map(|variant| variant.name.get_ref().as_str());
        let there = by_likeness(wanted.get_ref(), names).join(", ");
        let problem = Problem::new(wanted.span(), "no variant has this name", "here");
        problems.push(problem.help(format!("the variants are: {there}")));
    }
    let bound = |text: &Spanned<String>| {
        let parsed = text.get_ref().parse::<Bound>();
        parsed.map_err(|why| problems.push(Problem::new(text.span(), why, "here"))).ok()
    };
    let require = raw.require.iter().filter_map(bound).collect();
    Some(Gate { variant: raw.variant.as_ref().map(|name| name.get_ref().clone()), require })
}

fn subject(file: &File, names: &[&str], problems: &mut Vec<Problem>) -> String {
    match (&file.subject, names) {
        (Some(subject), _) => {
            if !names.contains(&subject.get_ref().as_str()) {
                problems.push(no_process(subject, "subject", names));
            }
            return subject.get_ref().clone();
        }
        (None, [only]) => return (*only).to_owned(),
        (None, []) => problems.push(
            Problem::new(0..0, "the scenario has no processes", "nothing to start")
                .help("add `[processes.server]` with a `command`"),
        ),
        (None, _) => {
            let problem = Problem::new(
                file.claim.span(),
                "which of the processes is the subject?",
                "`subject` is missing",
            );
            problems.push(problem.help(format!("add `subject = \"…\"` with one of {}", names.join(", "))));
        }
    }
    String::new()
}

/// By their whole names, and with their values as the kernel writes them.
fn sysctls(
    raw: &BTreeMap<Spanned<String>, RawSysctl>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    for (key, value) in raw {
        flatten(key.get_ref(), value, &mut |name, value| {
            problems.extend(sysctl::misnamed(name, key.span()));
            if flat.insert(name.to_owned(), value).is_some() {
                problems.push(Problem::new(key.span(), format!("`{name}` is set twice"), "once is enough"));
            }
        });
    }
    flat
}

/// `net.core.somaxconn = 128` without quotes is a table in a table.
fn flatten(name: &str, value: &RawSysctl, each: &mut impl FnMut(&str, String)) {
    match value {
        RawSysctl::Number(number) => each(name, number.to_string()),
        RawSysctl::Words(text) => each(name, sysctl::words(text)),
        RawSysctl::Below(below) => {
            below.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, each))
        }
    }
}

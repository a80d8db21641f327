//! `lastfd list`: the scenarios that are there and those in the binary, their variants, what they claim and
//! what they need, and the parts that they are made of. It starts nothing.

use super::check::{discovered, loaded};
use super::output::say;
use super::select::Selection;
use super::{Exit, Failure, Outcome};
use crate::scenario::{self, FOLDER, Plan, bundled};
use crate::{drive, launch};
use std::path::{Path, PathBuf};

/// List scenarios and their variants: what each claims and requires
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them [default: scenarios/]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

/// Prints the scenarios, each with its variants below it.
///
/// # Errors
/// No scenario there: `Exit::NothingSelected`. The first that is not valid: `Exit::Invalid`.
pub fn run(args: &Args) -> Outcome {
    let here = match args.paths.is_empty() && !args.selection.narrows() && !Path::new(FOLDER).exists() {
        true => Vec::new(),
        false => discovered(&args.paths)?,
    };
    let (mut text, mut all) = (String::new(), Vec::new());
    for path in here {
        let plans = loaded(&path)?;
        let selected: Vec<&Plan> = plans.iter().filter(|plan| args.selection.selects(plan)).collect();
        if !selected.is_empty() {
            let sign = if bundled::is_meant(&path) { "@" } else { "" };
            text += &format!("{sign}{}", shown(&selected));
        }
        all.extend(plans);
    }
    // A reader who looks for some scenarios does not need a list of the others.
    if args.selection.narrows() {
        args.selection.of(all)?;
        return say(&text).map(|()| Exit::Met);
    }
    if args.paths.is_empty() {
        text += &carried()?;
    }
    say(&(text + &parts()))?;
    Ok(Exit::Met)
}

/// The bundled scenarios, each with its claim.
fn carried() -> Result<String, Failure> {
    let mut text =
        String::from("\nBundled scenarios: `lastfd run @NAME`, `lastfd list @` for their variants\n");
    for path in discovered(&[PathBuf::from("@")])? {
        let plans = scenario::load(&path).map_err(|e| Failure::new(Exit::Fault, e))?;
        text += &format!("    {}: {}\n", path.display(), plans[0].claim);
    }
    Ok(text)
}

/// The parts that scenarios are made of, each with its one line of documentation.
fn parts() -> String {
    let launchers = launch::LAUNCHERS.iter().map(|l| (l.name, l.doc));
    let workloads = drive::registry().iter().map(|w| (w.name, w.doc));
    let callers = drive::callers().iter().map(|c| (c.name, c.doc));
    let lines = |rows: &mut dyn Iterator<Item = (&str, &str)>| {
        rows.map(|(name, doc)| format!("    {name:<16}{doc}\n")).collect::<String>()
    };
    let (launchers, workloads, callers) = (
        lines(&mut launchers.into_iter()),
        lines(&mut workloads.into_iter()),
        lines(&mut callers.into_iter()),
    );
    format!("\nLaunchers\n{launchers}\nWorkloads: each client\n{workloads}\nWorkloads: calls\n{callers}")
}

/// One scenario: name and claim, its tags, what it requires, then one line a variant with what is its own.
fn shown(plans: &[&Plan]) -> String {
    let mut text = String::new();
    let mut base: Option<&Plan> = None;
    for plan in plans {
        let claim_is_own = base.is_none_or(|base| base.claim != plan.claim);
        let requires: Vec<String> =
            requires(plan).into_iter().filter(|r| base.is_none_or(|base| !requires_of(base, r))).collect();
        let (indent, name) = match &plan.variant {
            Some(variant) if base.is_some() => ("    ", variant.clone()),
            _ => ("", plan.title()),
        };
        text += &match claim_is_own {
            true => format!("{indent}{name}: {}\n", plan.claim),
            false => format!("{indent}{name}\n"),
        };
        if base.is_none() && !plan.tags.is_empty() {
            text += &format!("{indent}    tagged {}\n", plan.tags.join(", "));
        }
        if !requires.is_empty() {
            text += &format!("{indent}    requires {}\n", requires.join(", "));
        }
        base.get_or_insert(plan);
    }
    text
}

fn requires(plan: &Plan) -> std::collections::BTreeSet<String> {
    plan.processes.values().flat_map(|process| process.requires.iter().cloned()).collect()
}

fn requires_of(plan: &Plan, requirement: &str) -> bool {
    plan.processes.values().any(|process| process.requires.iter().any(|r| r == requirement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_shows_only_what_is_its_own() {
        let text = r#"
            claim = "stops at 52"
            tags = ["nightly"]
            [processes.server]
            command = ["./server"]
            limits = { soft = 64, hard = 64 }
            requires = ["./server"]
            [workloads.flood]
            tcp = {}
            [[variant]]
            name = "same"
            [[variant]]
            name = "supervised"
            claim = "stops later"
            requires = ["./server", "supervisord"]
        "#;
        let plans = crate::scenario::parse(text, "x.toml", "push", std::path::Path::new(".")).unwrap();
        let wanted = "push: stops at 52\n    tagged nightly\n    requires ./server\n    same\n    supervised: stops later\n        requires supervisord\n";
        let plans: Vec<&Plan> = plans.iter().collect();
        assert_eq!(shown(&plans), wanted);
        let alone =
            "push / supervised: stops later\n    tagged nightly\n    requires ./server, supervisord\n";
        assert_eq!(shown(&plans[2..]), alone, "a filter may leave out the scenario as written");
    }
}

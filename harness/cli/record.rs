//! `lastfd run --record`: keeps beside each scenario file what its runs measured, for expectations such as
//! `"no worse than recorded by 5 %"`.

use super::annotations::Sources;
use super::{Exit, Failure};
use crate::judge::{Outcome, no_worse, value};
use crate::report::words::{counted, judged};
use crate::scenario::recorded::{self, Recorded};
use crate::scenario::{Kept, Metric, Plan, Wanted};
use crate::testing::attempt::Made;
use std::collections::BTreeMap;
use std::path::Path;

/// The plans as they are recorded: what compares with an older recording is not expected.
///
/// # Errors
/// A scenario is bundled in this program: nothing can stand beside it.
pub fn plans(plans: &[Plan], sources: &Sources) -> Result<Vec<Plan>, Failure> {
    if let Some(file) = sources.values().find(|file| recorded::beside(file).is_none()) {
        let message = format!(
            "{} is bundled, and no file can be kept beside it: write it to a file first (`lastfd init --example`)",
            file.display()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(plans.iter().map(recorded::unjudged).collect())
}

/// Writes the files, and says on standard error what they keep. A run that was not as expected is not kept:
/// the older recording of it stays.
///
/// # Errors
/// A recording cannot be read or written.
pub fn keep(plans: &[Plan], sources: &Sources, made: &[Made]) -> Result<(), Failure> {
    for (scenario, file) in sources {
        let own: Vec<&Plan> = plans.iter().filter(|plan| plan.scenario == *scenario).collect();
        if !own.is_empty() {
            keep_one(file, &own, made)?;
        }
    }
    Ok(())
}

fn keep_one(file: &Path, plans: &[&Plan], made: &[Made]) -> Result<(), Failure> {
    let Some(path) = recorded::beside(file) else { return Ok(()) };
    let mut all: Recorded =
        recorded::read(file).map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
    let mut said = String::new();
    for plan in plans {
        let runs: Vec<&Made> = made
            .iter()
            .filter(|(report, _)| report.scenario == plan.scenario && report.variant == plan.variant)
            .collect();
        let right = runs.iter().filter(|(report, _)| report.verdict.outcome == Outcome::Met).count();
        if right < runs.len() || runs.is_empty() {
            said += &format!("{}: not recorded, because a run of it was not as expected\n", plan.title());
            continue;
        }
        let kept = measured(&runs);
        for (metric, why) in too_noisy(plan, &kept) {
            said += &format!("{}: {metric} cannot be compared: {why}\n", plan.title());
        }
        all.insert(plan.variant_name().to_owned(), kept);
    }
    let text = recorded::text(&all, &jiff::Timestamp::now().to_string());
    std::fs::write(&path, text)
        .map_err(|e| Failure::new(Exit::Usage, format!("cannot write {}: {e}", path.display())))?;
    anstream::eprintln!("{said}recorded: {} ({})", path.display(), counted(all.len() as u64, "run"));
    Ok(())
}

/// The metrics that every one of these runs measured.
fn measured(runs: &[&Made]) -> BTreeMap<Metric, Kept> {
    let of = |metric: &Metric| {
        let values: Option<Vec<f64>> =
            runs.iter().map(|(report, _)| value(&report.found, *metric).ok()).collect();
        Some((*metric, Kept::of(values?)?))
    };
    Metric::ALL.iter().filter_map(of).collect()
}

/// Expectations of the scenario that this recording is too noisy for, and what to do about it.
fn too_noisy(plan: &Plan, kept: &BTreeMap<Metric, Kept>) -> Vec<(Metric, String)> {
    let noisy = |(metric, amount): (&Metric, &crate::scenario::Amount)| match amount.wanted {
        Wanted::NoWorse { by_percent, .. } => {
            let kept = *kept.get(metric)?;
            no_worse(*metric, kept, by_percent)
                .err()
                .map(|_| (*metric, judged::noise(*metric, kept, by_percent)))
        }
        _ => None,
    };
    plan.expect.amounts.iter().filter_map(noisy).collect()
}

//! Which of the runs that are there a command is about.

use super::{Exit, Failure};
use crate::scenario::{self, Filter, Of, Plan, Word};

/// Which runs
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selection {
    /// Only these runs: a part of a scenario's name or one of its tags, `tag:X`, `claim:WORD` or `variant:X`,
    /// joined by `and`, `or`, `not` and parentheses, such as 'incident and not peers'
    #[arg(long, value_name = "EXPR")]
    filter: Option<Filter>,
}

impl Selection {
    /// Whether there is a filter.
    pub fn narrows(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether it selects this run.
    pub fn selects(&self, plan: &Plan) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.selects(plan))
    }

    /// The runs that it selects, in their order.
    ///
    /// # Errors
    /// [`Exit::NothingSelected`]: a word of the filter is of none of them, or nothing is left.
    pub fn of(&self, plans: Vec<Plan>) -> Result<Vec<Plan>, Failure> {
        let Some(filter) = &self.filter else { return Ok(plans) };
        // A slip in `not X` would select too much, and nobody would see it.
        let unknown = |word: &&Word| !plans.iter().any(|plan| word.is_of(plan));
        if let Some(word) = filter.words().into_iter().find(unknown) {
            return Err(none_has(word, &plans));
        }
        let all = plans.len();
        let selected: Vec<Plan> = plans.into_iter().filter(|plan| filter.selects(plan)).collect();
        match selected.is_empty() {
            false => Ok(selected),
            true => Err(Failure::new(
                Exit::NothingSelected,
                format!("the filter selects none of {all} runs, though each of its words is of some of them"),
            )),
        }
    }
}

/// The failure when no run matches this word: it lists the names that the runs have, the most similar first.
fn none_has(word: &Word, plans: &[Plan]) -> Failure {
    let (what, have): (_, Vec<&str>) = match word.of {
        Of::Name => {
            let tags = plans.iter().flat_map(|plan| &plan.tags);
            let names = plans.iter().map(|plan| &plan.scenario).chain(tags);
            ("no scenario has a name or a tag with", names.map(String::as_str).collect())
        }
        Of::Tag => {
            let tags = plans.iter().flat_map(|plan| &plan.tags);
            ("no scenario has the tag", tags.map(String::as_str).collect())
        }
        Of::Claim => {
            let words = plans.iter().flat_map(|plan| plan.claim.split_whitespace());
            ("no claim has", words.collect())
        }
        Of::Variant => ("no variant has a name with", plans.iter().map(Plan::variant_name).collect()),
    };
    none_called(what, &word.text, &have)
}

/// Most names that a message lists.
const NAMES_MAX: usize = 8;

/// Nothing is called so: what there is, the most like it first.
pub fn none_called(what: &str, wanted: &str, names: &[&str]) -> Failure {
    let mut names = scenario::by_likeness(wanted, names.iter().copied());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(", and {more} more (`lastfd list` shows all)") };
    let there = match names.as_slice() {
        [] => "there are none".to_owned(),
        [one] => format!("there is only {one}"),
        names => format!("there are {}", names.join(", ")),
    };
    Failure::new(Exit::NothingSelected, format!("{what} {wanted:?}: {there}{more}"))
}

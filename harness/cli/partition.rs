//! Which part of the suite this machine runs: `slice:M/N`, or `auto`, which asks the system that started
//! several of us.

use crate::report::suite::Part;
use std::str::FromStr;

/// The slice that `--partition` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// This slice.
    Slice(Part),
    /// The slice of the system that started this process; with the number of slices where that system does
    /// not tell it.
    Auto(Option<usize>),
}

/// A system that starts a job several times, and the variables by which each learns which it is.
struct System {
    name: &'static str,
    index: &'static str,
    /// The index of the first.
    first: First,
    total: Total,
}

/// The index of the first job of a system.
enum First {
    Is(usize),
    /// This variable's value.
    Named(&'static str),
}

/// How a system tells how many jobs there are.
enum Total {
    /// This variable's value.
    Named(&'static str),
    /// By the last index and the step between indices. A count, if the system sets one, must agree with
    /// them.
    Last { last: &'static str, step: &'static str, count: &'static str },
    /// Not at all; what to write in place of `auto`.
    Untold(&'static str),
}

/// The systems, one a row, with what their manuals say.
const SYSTEMS: [System; 6] = [
    System {
        name: "GitLab",
        index: "CI_NODE_INDEX",
        first: First::Is(1),
        total: Total::Named("CI_NODE_TOTAL"),
    },
    System {
        name: "CircleCI",
        index: "CIRCLE_NODE_INDEX",
        first: First::Is(0),
        total: Total::Named("CIRCLE_NODE_TOTAL"),
    },
    System {
        name: "Buildkite",
        index: "BUILDKITE_PARALLEL_JOB",
        first: First::Is(0),
        total: Total::Named("BUILDKITE_PARALLEL_JOB_COUNT"),
    },
    System {
        name: "GNU parallel",
        index: "PARALLEL_SEQ",
        first: First::Is(1),
        total: Total::Untold("`slice:{#}/{##}`, with parallel's option --plus"),
    },
    System {
        name: "Slurm",
        index: "SLURM_ARRAY_TASK_ID",
        first: First::Named("SLURM_ARRAY_TASK_MIN"),
        total: Total::Last {
            last: "SLURM_ARRAY_TASK_MAX",
            step: "SLURM_ARRAY_TASK_STEP",
            count: "SLURM_ARRAY_TASK_COUNT",
        },
    },
    System {
        name: "Kubernetes",
        index: "JOB_COMPLETION_INDEX",
        first: First::Is(0),
        total: Total::Untold("`auto/N`, where N is the `completions` of the Job"),
    },
];

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "wanted slice:M/N with 1 ≤ M ≤ N such as slice:1/2, auto, or auto/N".to_owned();
        match (text.strip_prefix("slice:"), text.strip_prefix("auto")) {
            (Some(slice), _) => {
                let (part, of) = slice.split_once('/').ok_or_else(wanted)?;
                let (part, of) = (part.parse().map_err(|_| wanted())?, of.parse().map_err(|_| wanted())?);
                self::part(part, of).map(Partition::Slice).ok_or_else(wanted)
            }
            (None, Some("")) => Ok(Partition::Auto(None)),
            (None, Some(rest)) => {
                let of = rest.strip_prefix('/').and_then(|of| of.parse().ok()).filter(|of| *of > 0);
                of.map(|of| Partition::Auto(Some(of))).ok_or_else(wanted)
            }
            (None, None) => Err(wanted()),
        }
    }
}

impl Partition {
    /// The slice, where `variable` has the environment.
    ///
    /// # Errors
    /// No system is known, or what its variables say is no slice.
    pub fn part(self, variable: impl Fn(&str) -> Option<String>) -> Result<Part, String> {
        let of = match self {
            Partition::Slice(slice) => return Ok(slice),
            Partition::Auto(of) => of,
        };
        let named = |systems: &[&System]| {
            systems.iter().map(|s| format!("{} ({})", s.name, s.index)).collect::<Vec<_>>().join(", ")
        };
        let (there, others): (Vec<&System>, Vec<&System>) =
            SYSTEMS.iter().partition(|system| variable(system.index).is_some());
        match there.as_slice() {
            [] => Err(format!("no variable tells which part this is: {}. Write `slice:M/N`", named(&others))),
            [system] => system.part(of, &variable).map_err(|why| format!("{}: {why}", system.name)),
            // One was started by the other: either may be what splits the suite.
            several => Err(format!("several systems tell a part: {}. Write `slice:M/N`", named(several))),
        }
        .map_err(|why| format!("--partition auto: {why}"))
    }
}

/// The `part`-th of so many, if there is one.
fn part(part: usize, of: usize) -> Option<Part> {
    (1..=of).contains(&part).then_some(Part { part, of })
}

impl System {
    /// The slice that its variables tell. `given`: how many there are, as the command line has it.
    fn part(&self, given: Option<usize>, variable: &impl Fn(&str) -> Option<String>) -> Result<Part, String> {
        let number = |name: &str| -> Result<usize, String> {
            let value =
                variable(name).ok_or_else(|| format!("{name} is not set, though {} is", self.index))?;
            value.trim().parse().map_err(|_| format!("{name} is {value:?}, which is no number"))
        };
        let index = number(self.index)?;
        let first = match self.first {
            First::Is(first) => first,
            First::Named(name) => number(name)?,
        };
        let (step, told) = match self.total {
            Total::Named(name) => (1, Some(number(name)?)),
            Total::Untold(_) => (1, None),
            Total::Last { last, step, count } => {
                let (last, step) = (number(last)?, number(step)?);
                let even = step > 0 && last >= first && (last - first) % step == 0;
                let fitting = even.then(|| (last - first) / step + 1);
                let counted = variable(count).map(|_| number(count)).transpose()?;
                let total = fitting.filter(|total| counted.is_none_or(|counted| counted == *total));
                (step, Some(total.ok_or("the array is not evenly stepped: submit it as 1-N")?))
            }
        };
        let of = match (told, given, &self.total) {
            (Some(told), Some(given), _) if told != given => {
                return Err(format!("it tells of {told} parts, and the command line of {given}"));
            }
            (Some(of), ..) | (None, Some(of), _) => of,
            (None, None, Total::Untold(instead)) => {
                return Err(format!("{} does not tell how many there are: write {instead}", self.index));
            }
            (None, None, _) => unreachable!("every other way tells the total"),
        };
        let from_first = index.checked_sub(first).filter(|n| n % step == 0);
        from_first
            .and_then(|n| part(n / step + 1, of))
            .ok_or_else(|| format!("{} is {index}, which is none of {of} parts from {first} on", self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];
    type Told = Result<(usize, usize), String>;

    fn auto(given: Option<usize>, variables: Variables) -> Told {
        let of = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Partition::Auto(given).part(of).map(|slice| (slice.part, slice.of))
    }

    fn array(id: &str, min: &str, max: &str, step: &str, count: &str) -> Told {
        let names = ["ID", "MIN", "MAX", "STEP", "COUNT"].map(|name| format!("SLURM_ARRAY_TASK_{name}"));
        let values = [id, min, max, step, count];
        let all: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
        auto(None, &all)
    }

    #[test]
    fn each_system_tells_its_slice_as_its_manual_says() {
        let cases: [(Variables, (usize, usize)); 5] = [
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3")], (1, 3)),
            (&[("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "3")], (3, 3)),
            (&[("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "3")], (1, 3)),
            (&[("CIRCLE_NODE_INDEX", "2"), ("CIRCLE_NODE_TOTAL", "3")], (3, 3)),
            (&[("BUILDKITE_PARALLEL_JOB", "1"), ("BUILDKITE_PARALLEL_JOB_COUNT", "4")], (2, 4)),
        ];
        for (variables, wanted) in cases {
            assert_eq!(auto(None, variables), Ok(wanted), "{variables:?}");
        }
        assert_eq!(array("1", "1", "4", "1", "4"), Ok((1, 4)));
        assert_eq!(array("14", "10", "18", "4", "3"), Ok((2, 3)), "--array=10-18:4");
        assert_eq!(auto(Some(5), &[("JOB_COMPLETION_INDEX", "4")]), Ok((5, 5)));
        assert_eq!(auto(Some(2), &[("PARALLEL_SEQ", "1")]), Ok((1, 2)));
    }

    #[test]
    fn what_is_no_slice_is_refused_with_the_way_out() {
        let both = [("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "1"), ("PARALLEL_SEQ", "2")];
        let cases: [(Told, &str); 10] = [
            (auto(Some(2), &both), "several systems tell a part: CircleCI (CIRCLE_NODE_INDEX), GNU parallel"),
            (auto(None, &[]), "no variable tells which part this is: GitLab (CI_NODE_INDEX), "),
            (auto(None, &[("JOB_COMPLETION_INDEX", "0")]), "write `auto/N`, where N is the `completions`"),
            (auto(None, &[("PARALLEL_SEQ", "1")]), "write `slice:{#}/{##}`"),
            (auto(None, &[("CI_NODE_INDEX", "1")]), "GitLab: CI_NODE_TOTAL is not set, though"),
            (
                auto(None, &[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "2")]),
                "CI_NODE_INDEX is 0, which is none of 2",
            ),
            (auto(Some(3), &[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "2")]), "it tells of 2 parts, and"),
            (
                auto(None, &[("CIRCLE_NODE_INDEX", "x"), ("CIRCLE_NODE_TOTAL", "2")]),
                "is \"x\", which is no number",
            ),
            // --array=1,2,9: Slurm tells a step of 1, and three tasks.
            (array("9", "1", "9", "1", "3"), "not evenly stepped"),
            (array("5", "1", "9", "3", "3"), "not evenly stepped"),
        ];
        for (told, wanted) in cases {
            let error = told.expect_err(wanted);
            assert!(error.contains(wanted), "{error}");
        }
        for text in ["", "1/2", "slice:0/2", "slice:3/2", "slice:1", "auto/0", "auto:2", "automatic"] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
        assert_eq!("auto/3".parse(), Ok(Partition::Auto(Some(3))));
    }
}

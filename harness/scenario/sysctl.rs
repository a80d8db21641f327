//! Sysctls of a scenario: the form of their names, and the places in the text of those that this machine's
//! kernel does not take in a network namespace. The kernel is asked elsewhere: it answers with a [`Trial`].

use super::problem::{Invalid, Problem, nearest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Sysctls that a kernel may lack for good, each with the remark for the report: scenarios replay old
/// remedies.
pub const REMOVED: [(&str, &str); 1] = [("net.ipv4.tcp_tw_recycle", "removed in Linux 4.12: has no effect")];

/// The response of a trial network namespace to the sysctls of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Every sysctl that such a namespace has for itself, and whether it can be written there.
    pub known: BTreeMap<String, bool>,
    /// Names asked for that it has not, and the host has.
    pub of_the_host: Vec<String>,
    /// Name and value that were refused, and the kernel's reason.
    pub refused: Vec<(String, String, String)>,
}

impl Trial {
    /// Why this one is not taken: in one line, as a label, and the way out.
    fn says(&self, name: &str, value: &str) -> Option<(String, String, String)> {
        if REMOVED.iter().any(|(removed, _)| *removed == name) && !self.known.contains_key(name) {
            return None;
        }
        let host_only =
            || "a sysctl of the whole host is never set: the run would change it for everybody".to_owned();
        match self.known.get(name) {
            Some(true) => {
                let (_, _, why) = self.refused.iter().find(|(n, v, _)| n == name && v == value)?;
                Some((
                    format!("the kernel does not take {value:?} for `{name}`: {why}"),
                    "refused".into(),
                    "see ip-sysctl.rst of the kernel".into(),
                ))
            }
            None if self.of_the_host.iter().any(|n| n == name) => Some((
                format!("`{name}` is not per network namespace"),
                "one value for the whole host".into(),
                host_only(),
            )),
            Some(false) => Some((
                format!("`{name}` is not per network namespace"),
                "can only be read there".into(),
                host_only(),
            )),
            None => {
                let near = nearest_name(name, self.known.keys().map(String::as_str));
                let label = near.map_or("not known there".into(), |near| format!("did you mean `{near}`?"));
                let help = format!(
                    "{} sysctls can be set here, `net.ipv4.tcp_*` among them",
                    self.known.values().filter(|w| **w).count()
                );
                Some((format!("this kernel has no sysctl `{name}`"), label, help))
            }
        }
    }
}

/// The most alike name. The words `net.ipv4.` are alike in all, so the last words are compared where the
/// others are the same.
fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.collect();
    let (stem, last) = name.rsplit_once('.')?;
    let beside = known.iter().filter_map(|k| k.rsplit_once('.').filter(|(s, _)| *s == stem).map(|(_, l)| l));
    match nearest(last, beside) {
        Some(near) => known.iter().find(|k| k.rsplit_once('.') == Some((stem, near))).copied(),
        None => nearest(name, known.iter().copied()),
    }
}

/// The fault in a name, on any machine.
pub(super) fn misnamed(name: &str, at: Range<usize>) -> Option<Problem> {
    if let Some(rest) = name.strip_prefix("net.") {
        let word =
            |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let wrong = !rest.split('.').all(word) || !rest.contains('.');
        return wrong.then(|| {
            Problem::new(at, format!("{name:?} is no name of a sysctl"), "words with dots")
                .help("such as \"net.ipv4.tcp_tw_reuse\"")
        });
    }
    let problem = Problem::new(
        at,
        format!("`{name}` is not per network namespace, so it is not set"),
        "does not begin with `net.`",
    );
    Some(problem.help(match name {
        "fs.file-max" | "fs.file-nr" => {
            "it is of the whole host; every report compares it (`saturation.file_nr`), and `expect.file-max-binds = false` judges it"
        }
        _ => "a sysctl of the whole host is never set: the run would change it for everybody",
    }))
}

/// Everything in the text of a valid scenario that the machine's kernel does not take, at its place.
///
/// # Errors
/// The problems, if there are any.
pub fn tried(text: &str, shown: &str, trial: &Trial) -> Result<(), Invalid> {
    let mut found = Vec::new();
    let Ok(document) = DeTable::parse(text) else { return Ok(()) };
    let document = document.get_ref();
    let mut look = |table: Option<&Spanned<DeValue<'_>>>| {
        each(table, "", &mut |name, at, value| {
            if let Some((message, label, help)) = trial.says(name, value) {
                found.push(Problem::new(at, message, label).help(help));
            }
        })
    };
    look(document.get("sysctls"));
    let variants = document.get("variant").and_then(|v| v.get_ref().as_array());
    for variant in variants.into_iter().flat_map(|v| v.iter()).filter_map(|v| v.get_ref().as_table()) {
        look(variant.get("set").and_then(|set| set.get_ref().as_table()?.get("sysctls")));
    }
    if found.is_empty() { Ok(()) } else { Err(Invalid::new(shown, text, found)) }
}

/// Visits every sysctl of a table, written `"net.ipv4.x" = 1` or `net.ipv4.x = 1`.
fn each(value: Option<&Spanned<DeValue<'_>>>, name: &str, visit: &mut impl FnMut(&str, Range<usize>, &str)) {
    let Some(DeValue::Table(table)) = value.map(Spanned::get_ref) else { return };
    for (key, below) in table {
        let name =
            if name.is_empty() { key.get_ref().to_string() } else { format!("{name}.{}", key.get_ref()) };
        match below.get_ref() {
            DeValue::Table(_) => each(Some(below), &name, visit),
            DeValue::String(text) => visit(&name, key.span(), &words(text)),
            DeValue::Integer(number) => visit(&name, key.span(), number.as_str()),
            _ => {}
        }
    }
}

/// A value as it is compared: its words with single spaces between, as the kernel separates them by tabs.
pub fn words(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[sysctls]\nnet.ipv4.tcp_tw_reuse = 1\n[[variant]]\nset = { sysctls = { \"net.core.somaxcon\" = \"1  2\" } }\n";

    fn trial(known: &[(&str, bool)], refused: &[(&str, &str)]) -> Trial {
        let known = known.iter().map(|(name, writable)| ((*name).to_owned(), *writable)).collect();
        let refused = refused
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into(), "Invalid argument".into()))
            .collect();
        Trial { known, of_the_host: vec!["net.core.netdev_max_backlog".into()], refused }
    }

    fn said(trial: &Trial, text: &str) -> Vec<String> {
        tried(text, "x", trial)
            .err()
            .into_iter()
            .flat_map(|invalid| invalid.problems)
            .map(|problem| format!("{problem:?}"))
            .collect()
    }

    #[test]
    fn both_spellings_and_variants_are_tried_and_the_nearest_name_is_of_the_same_folder() {
        let known =
            [("net.ipv4.tcp_tw_reuse", true), ("net.core.somaxconn", true), ("net.ipv4.somaxcon", true)];
        let problems = said(&trial(&known, &[("net.ipv4.tcp_tw_reuse", "1")]), TEXT);
        assert!(problems[0].contains("does not take \\\"1\\\" for `net.ipv4.tcp_tw_reuse`"), "{problems:?}");
        assert!(
            problems[1].contains("no sysctl `net.core.somaxcon`")
                && problems[1].contains("did you mean `net.core.somaxconn`?"),
            "{problems:?}"
        );
        assert_eq!(problems.len(), 2);
        assert_eq!(
            said(&trial(&[("net.ipv4.tcp_tw_reuse", true), ("net.core.somaxcon", true)], &[]), TEXT),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_of_the_whole_host_is_refused_and_what_was_removed_is_not() {
        let text = "[sysctls]\nnet.core.netdev_max_backlog = 1\nnet.core.rmem_max = 1\nnet.ipv4.tcp_tw_recycle = 1\n";
        let problems = said(&trial(&[("net.core.rmem_max", false)], &[]), text);
        assert!(
            problems.len() == 2
                && problems.iter().all(|problem| problem.contains("is not per network namespace")),
            "{problems:?}"
        );
        // An old kernel that still has it takes it, or not, as any other.
        let problems =
            said(&trial(&[("net.ipv4.tcp_tw_recycle", false), ("net.core.rmem_max", true)], &[]), text);
        assert!(problems.len() == 2 && problems[1].contains("tcp_tw_recycle"), "{problems:?}");
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for name in [
            "net.",
            "net.core",
            "net.core.",
            "net..core",
            "net.core./x",
            "net.core.../x",
            "net.ipv4.\0",
            "kernel.pid_max",
            "fs.nr_open",
            "",
        ] {
            assert!(misnamed(name, 0..1).is_some(), "{name:?}");
        }
        assert!(misnamed("net.ipv4.conf.lo.rp_filter", 0..1).is_none());
    }
}

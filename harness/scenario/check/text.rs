//! Checks that texts of every table share: names of processes, placeholders, times to wait.

use crate::scenario::duration::duration;
use crate::scenario::placeholder;
use crate::scenario::problem::{Problem, unknown};
use std::ops::Range;
use toml::Spanned;

/// No wait of a run is longer, seconds: a bound on everything.
const WAIT_MAX_S: f64 = 3600.0;

pub(super) fn no_process(word: &Spanned<String>, key: &str, names: &[&str]) -> Problem {
    let message = format!("`{key}` names no process of this scenario: {:?}", word.get_ref());
    unknown(word.span(), message, word.get_ref(), names.iter().copied())
}

/// Reports each word that is almost a placeholder, including the placeholders in `beside`.
pub(super) fn check_slips(
    word: &Spanned<String>,
    names: &[&str],
    beside: &[&'static str],
    problems: &mut Vec<Problem>,
) {
    for slip in placeholder::unknown(word.get_ref(), names, beside) {
        if let Some(near) = slip.near {
            let at = within(word.span(), word.get_ref(), slip.at);
            let message = format!("`{}` is not a placeholder", slip.written);
            problems
                .push(Problem::new(at, message, format!("did you mean `{near}`?")).help(placeholder::help()));
        }
    }
}

/// A part of a string's text, in the file: where that is a plain one-line string, and else all of it.
pub(super) fn within(span: Range<usize>, text: &str, part: Range<usize>) -> Range<usize> {
    match span.len() == text.len() + 2 {
        true => span.start + 1 + part.start..span.start + 1 + part.end,
        false => span,
    }
}

/// A duration in seconds; `default_s` where it is left out or wrong.
pub(super) fn seconds(raw: Option<&Spanned<String>>, default_s: f64, problems: &mut Vec<Problem>) -> f64 {
    let Some(raw) = raw else { return default_s };
    let complain =
        |label: String| Problem::new(raw.span(), format!("{:?} is not a time to wait", raw.get_ref()), label);
    match duration(raw.get_ref()) {
        Some(seconds) if (0.0..=WAIT_MAX_S).contains(&seconds) => return seconds,
        Some(seconds) if seconds < 0.0 => problems.push(complain("it cannot be negative".into())),
        Some(_) => problems.push(complain(format!("at most {WAIT_MAX_S} seconds"))),
        None => {
            let unit = if raw.get_ref().parse::<f64>().is_ok() { "a unit" } else { "a number and a unit" };
            let label = format!("wanted {unit}: `ms`, `s`, `m` or `h`");
            problems.push(complain(label).help("such as \"500ms\", \"2.5s\" or \"1m\""));
        }
    }
    default_s
}

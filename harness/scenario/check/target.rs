//! Where the clients of a workload go, and how fast they come.

use super::text::{check_slips, no_process};
use crate::scenario::pace::{NoPace, Pace};
use crate::scenario::problem::Problem;
use crate::scenario::raw::Load;
use toml::Spanned;

pub(super) fn target(
    to: Option<&Spanned<String>>,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> String {
    if let Some(to) = to.filter(|to| !names.contains(&to.get_ref().as_str())) {
        problems.push(no_process(to, "to", names));
    }
    to.map_or(subject, |to| to.get_ref()).to_owned()
}

pub(super) fn unix(
    (unix, port): (Option<&Spanned<String>>, Option<u16>),
    names: &[&str],
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let unix = unix?;
    check_slips(unix, names, &[], problems);
    if port.is_some() {
        problems.push(Problem::new(
            unix.span(),
            "a client connects to a port or to a Unix socket",
            "leave out one",
        ));
    }
    if matches!(unix.get_ref().as_str(), "" | "@") {
        problems.push(Problem::new(unix.span(), "a Unix socket has a path, or a name after `@`", "is empty"));
    }
    Some(unix.get_ref().clone())
}

pub(super) fn path(path: Option<&Spanned<String>>, problems: &mut Vec<Problem>) -> String {
    if let Some(path) = path.filter(|path| !path.get_ref().starts_with('/')) {
        problems.push(Problem::new(path.span(), "a request path begins with `/`", "does not"));
    }
    path.map_or("/", |path| path.get_ref()).to_owned()
}

pub(super) fn pace(load: &Load, problems: &mut Vec<Problem>) -> Pace {
    paced(load.pace.as_ref(), load.burst, problems)
}

pub(super) fn paced(pace: Option<&Spanned<String>>, burst: bool, problems: &mut Vec<Problem>) -> Pace {
    let named = match pace {
        Some(text) => text.get_ref().parse().unwrap_or_else(|error: NoPace| {
            problems.push(Problem::new(text.span(), error.to_string(), "here"));
            Pace::Auto
        }),
        None => return if burst { Pace::Burst } else { Pace::Auto },
    };
    if let Some(text) = pace.filter(|_| burst && named != Pace::Burst) {
        problems.push(Problem::new(
            text.span(),
            "`burst` is another name of `pace = \"burst\"`",
            "another pace",
        ));
    }
    named
}

//! A launcher with its options, as a plan holds it, from what a scenario file or `--launcher` says. It starts
//! nothing.

use super::launcher_options::Session;
use super::model::Launcher;
use super::problem::Problem;
use super::raw::LauncherTable;
use crate::event::Limits;
use std::ops::Range;

/// `SOFT:HARD`, or one number for both.
///
/// # Errors
/// A message says why the text is no pair of limits.
pub fn soft_hard(text: &str) -> Result<Limits, String> {
    let number =
        |word: &str| word.parse::<u64>().map_err(|_| format!("`{word}` is not a number of descriptors"));
    let (soft, hard) = match text.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(text)?, number(text)?),
    };
    if soft > hard {
        Err(format!("the soft limit {soft} is above the hard limit {hard}"))
    } else {
        Ok(Limits { soft, hard })
    }
}

/// A launcher as a command line gives it: as a scenario file would, `NAME = { OPTION = VALUE }`.
///
/// # Errors
/// A message says why the text is no launcher.
pub fn from_toml(text: &str) -> Result<Launcher, String> {
    let table: LauncherTable = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut problems = Vec::new();
    let launcher = of_table(&table, 0..0, &mut problems);
    problems.first().map_or(Ok(launcher), |problem| Err(problem.message.clone()))
}

/// The checked options of a launcher; `at` is where it is written.
pub(super) fn of_table(table: &LauncherTable, at: Range<usize>, problems: &mut Vec<Problem>) -> Launcher {
    let mut pair = |name: &str, text: &Option<String>| match text.as_deref().map(soft_hard).transpose() {
        Ok(limits) => limits,
        Err(why) => {
            let problem =
                Problem::new(at.clone(), format!("`{name}` is not a pair of limits: {why}"), "here");
            problems.push(problem.help("write \"SOFT:HARD\", such as \"1024:4096\", or one number for both"));
            None
        }
    };
    match table {
        LauncherTable::SystemdLike(raw) => {
            Launcher::SystemdLike { limit_nofile: pair("limit-nofile", &raw.limit_nofile) }
        }
        LauncherTable::ContainerLike(raw) => Launcher::ContainerLike { ulimit: pair("ulimit", &raw.ulimit) },
        LauncherTable::SupervisorLike(options) => Launcher::SupervisorLike(options.clone()),
        LauncherTable::Supervisord(options) => Launcher::Supervisord(options.clone()),
        LauncherTable::Shell(options) => {
            if let (Some(soft), Some(hard)) = (options.soft, options.hard)
                && soft > hard
            {
                let problem = Problem::new(
                    at,
                    "the shell's soft limit is above its hard limit",
                    format!("{soft} > {hard}"),
                );
                problems.push(problem.help("setrlimit(2) refuses that: lower `soft` or raise `hard`"));
            }
            Launcher::Shell(options.clone())
        }
        LauncherTable::Runuser(session) => Launcher::Runuser(user_checked(session, at, problems)),
        LauncherTable::Su(session) => Launcher::Su(user_checked(session, at, problems)),
    }
}

/// A name that no program takes for an option or for something else.
fn user_checked(session: &Session, at: Range<usize>, problems: &mut Vec<Problem>) -> Session {
    let user = &session.user;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$'));
    if user.is_empty() || user.starts_with('-') || user.contains(odd) {
        problems.push(Problem::new(
            at,
            format!("{user:?} cannot be a user's name"),
            "letters, digits, _, - and .",
        ));
    }
    session.clone()
}

#[cfg(test)]
mod tests {
    use super::super::launcher_options::Shell;
    use super::*;

    #[test]
    fn one_number_is_both_limits() {
        assert_eq!(soft_hard("65535"), Ok(Limits { soft: 65535, hard: 65535 }));
        assert_eq!(soft_hard("1024:524288"), Ok(Limits { soft: 1024, hard: 524_288 }));
        for wrong in ["", ":", "1024:", "4096:1024", "-1", "many"] {
            assert!(soft_hard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_line_gives_a_launcher_as_a_file_does() {
        let limits = Some(Limits { soft: 64, hard: 128 });
        assert_eq!(
            from_toml("container-like = { ulimit = '64:128' }"),
            Ok(Launcher::ContainerLike { ulimit: limits })
        );
        assert_eq!(
            from_toml("shell.soft = 64"),
            Ok(Launcher::Shell(Shell { soft: Some(64), ..Shell::default() }))
        );
        assert!(
            from_toml("container-like = { ulimit = '128:64' }")
                .unwrap_err()
                .contains("128 is above the hard limit 64")
        );
        assert!(from_toml("su = { user = '-c' }").unwrap_err().contains("user's name"));
        assert!(from_toml("sh = {}").unwrap_err().contains("shell"));
    }
}

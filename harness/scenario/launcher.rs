//! Options of the launchers that stand for a shell, a PAM session, systemd and a container: as a scenario file writes them (the raw
//! types), and as a plan holds them. It starts nothing.

use super::model::Launcher;
use super::problem::Problem;
use super::raw::LauncherTable;
use crate::event::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a shell does before it starts the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shell {
    /// `ulimit -Sn` with this number. Left out: the soft limit stays.
    pub soft: Option<u64>,
    /// `ulimit -Hn` with this number. Left out: the hard limit stays.
    pub hard: Option<u64>,
    /// Whether the shell replaces itself by the program, as the last line of a start script does (`exec "$@"`). Otherwise it
    /// stays as the program's parent, as a login shell does.
    pub exec: bool,
    /// Whether it starts the program with the real nohup(1), which replaces itself by the program and changes no limit.
    pub nohup: bool,
}

/// A session that runuser(1) or su(1) opens, and the PAM configuration it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Session {
    /// Whose session.
    pub user: String,
    /// The lines of `/etc/security/limits.conf` (with nothing in `limits.d`), for the launched program's tree alone. Left out: this
    /// machine's own files.
    pub limits_conf: Option<String>,
    /// A PAM service with (true) or without (false) its line for `pam_limits.so`, for the launched program's tree alone. Without it
    /// `limits.conf` does nothing. Left out: this machine's own service.
    pub pam_limits: Option<bool>,
}

impl Default for Session {
    /// The user that every system has and that `*` in limits.conf means too, under this machine's own configuration.
    fn default() -> Self {
        Session { user: "nobody".into(), limits_conf: None, pam_limits: None }
    }
}

/// A service of systemd.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSystemd {
    /// `LimitNOFILE=`: "SOFT:HARD", or one number for both. Left out: systemd's own default, 1024:524288. What may not be set is
    /// replaced by the closest that may.
    pub limit_nofile: Option<String>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawContainer {
    /// `--ulimit nofile=`: "SOFT:HARD", or one number for both. Left out: the limits that the container daemon has.
    pub ulimit: Option<String>,
}

/// `SOFT:HARD`, or one number for both.
///
/// # Errors
/// What is wrong with it, in words.
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
/// What is wrong with it, in words.
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

//! Third-party programs that the peer scenarios start, looked up on PATH. Only Python is run, to ask it for a
//! module.

use super::check::{Check, State};
use super::probe::output;
use rustix::fs::{Access, access};
use std::path::PathBuf;
use std::process::Command;

pub(super) fn all() -> Vec<Check> {
    let mut checks: Vec<Check> = [
        ("supervisord", "supervisor", "supervisor"),
        ("nohup", "coreutils", "coreutils"),
        ("nginx", "nginx", "nginx"),
        ("redis-server", "redis-server", "redis"),
        ("go", "golang-go", "golang"),
    ]
    .into_iter()
    .map(|(name, debian, fedora)| program(name, debian, fedora))
    .collect();
    checks.push(tornado());
    checks
}

/// Every executable of this name, in the order of PATH.
fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .filter(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
        .collect()
}

fn program(name: &'static str, debian: &str, fedora: &str) -> Check {
    match on_path(name).first() {
        Some(file) => Check::new(name, State::Ok, file.display().to_string()),
        None => {
            install(Check::new(name, State::No, "not on PATH: its scenarios are skipped"), debian, fedora)
        }
    }
}

fn install(check: Check, debian: &str, fedora: &str) -> Check {
    check
        .by("Debian and Ubuntu", format!("sudo apt-get install {debian}"))
        .by("Fedora", format!("sudo dnf install {fedora}"))
}

fn tornado() -> Check {
    /// Its name in the findings: as `requires` of a scenario writes it.
    const NAME: &str = "python3:tornado";
    let pythons = on_path("python3");
    let version = |python: &PathBuf| {
        let text =
            output(Command::new(python).args(["-c", "import tornado; print(tornado.version)"])).ok()?;
        Some(String::from_utf8(text).ok()?.trim().to_owned()).filter(|version| !version.is_empty())
    };
    let Some((at, version)) =
        pythons.iter().enumerate().find_map(|(at, python)| Some((at, version(python)?)))
    else {
        let found = match pythons.first() {
            Some(python) => format!("{} cannot import tornado: its scenarios are skipped", python.display()),
            None => "python3 is not on PATH: its scenarios are skipped".into(),
        };
        return install(Check::new(NAME, State::No, found), "python3-tornado", "python3-tornado");
    };
    let found = format!("{}, tornado {version}", pythons[at].display());
    if at == 0 {
        return Check::new(NAME, State::Ok, found);
    }
    let directory = pythons[at].parent().unwrap_or(&pythons[at]).display();
    Check::new(
        NAME,
        State::Limited,
        format!("{found}; but {} comes first on PATH and cannot import it", pythons[0].display()),
    )
    .by("for this shell", format!("export PATH={directory}:$PATH"))
}

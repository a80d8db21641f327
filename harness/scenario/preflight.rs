//! Checks, before anything starts, of what this machine lacks for a run: missing programs (the run is
//! skipped, or does not start) and limits above the harness's own (it is inconclusive).

use super::discover::beside;
use super::model::{Launcher, Plan, Process, Program, Workload};
use super::user::User;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open};
use rustix::thread::{CapabilitySet, capabilities};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

/// Longest time a Python may take to import one module; then the module counts as missing.
const IMPORT_DEADLINE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Why this machine cannot make a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A `requires` that is not there: the run is skipped.
    #[error("`{requirement}` is missing ({process} requires it): {why}")]
    Missing {
        /// The process that requires it.
        process: String,
        /// As the scenario writes it.
        requirement: String,
        /// Where it was looked for.
        why: String,
    },
    /// A command that no launcher can execute: the run does not start.
    #[error("`{program}` of {process} cannot be started: {why}")]
    Program {
        /// The process with this command.
        process: String,
        /// As the command writes it.
        program: String,
        /// Where it was looked for, or what it is.
        why: String,
    },
    /// Something that surrounds a process and is not to be had: the run is inconclusive.
    #[error("`{what}` of {process} cannot be had: {why}")]
    Setting {
        /// The process.
        process: String,
        /// The user, file or program, as the scenario writes it.
        what: String,
        /// The missing thing, and the way out.
        why: String,
    },
    /// A client program that cannot be executed: the run is inconclusive.
    #[error("`{program}`, the client of {workload}, cannot be started: {why}")]
    Client {
        /// The workload with this program.
        workload: String,
        /// As the scenario writes it.
        program: String,
        /// Where it was looked for, or what it is.
        why: String,
    },
    /// A launcher that this user, or this system, does not allow: the run is inconclusive.
    #[error("the launcher {launcher} of {process} cannot be used here: {why}")]
    Launcher {
        /// The process that is to be started by it.
        process: String,
        /// Its name.
        launcher: &'static str,
        /// The missing thing, and the way out.
        why: String,
    },
    /// A limit that this process may not set: the run is inconclusive.
    #[error(
        "hard limit is {hard} and this run needs {needed}: raise it with `prlimit`, or lower `{lower}` of {process}"
    )]
    HardLimit {
        /// The process that is to be started with it.
        process: String,
        /// The harness's own hard limit.
        hard: u64,
        /// The limit that the scenario asks for.
        needed: u64,
        /// The key to lower.
        lower: &'static str,
    },
}

impl Obstacle {
    /// The same of a command line, which names no process and has options in place of keys.
    pub fn on_a_command_line(&self) -> String {
        match self {
            Obstacle::Missing { requirement, why, .. } => {
                format!("`{requirement}`, which the launcher needs, is missing: {why}")
            }
            Obstacle::Program { program, why, .. } => format!("`{program}` cannot be started: {why}"),
            Obstacle::Setting { what, why, .. } => format!("`{what}` cannot be had: {why}"),
            Obstacle::Client { program, why, .. } => {
                format!("the client program `{program}` cannot be started: {why}")
            }
            Obstacle::Launcher { launcher, why, .. } => {
                format!("the launcher {launcher} cannot be used here: {why}")
            }
            Obstacle::HardLimit { hard, needed, .. } => format!(
                "hard limit is {hard} and this run needs {needed}: raise it with `prlimit`, or lower `--nofile`"
            ),
        }
    }
}

/// The obstacles to the run on this machine; empty when there are none. Starts nothing of the scenario. A
/// Python module is searched by importing it, once in the life of this process.
pub fn preflight(plan: &Plan) -> Vec<Obstacle> {
    plan.processes
        .iter()
        .flat_map(|(name, process)| {
            missing(name, process, &plan.directory)
                .chain(no_program(name, process, &plan.directory))
                .chain(no_session(name, process))
                .chain(too_high(name, process))
                .chain(surroundings(name, process, &plan.directory))
        })
        .chain(plan.workloads.iter().filter_map(|(name, workload)| no_client(name, workload, plan)))
        .collect()
}

/// A user that this process may not become, a file that is not there, a program that is to prepare the run
/// and is not there.
fn surroundings(name: &str, process: &Process, directory: &Path) -> Vec<Obstacle> {
    let setting = &process.setting;
    let mut lacks: Vec<(&String, String)> = Vec::new();
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let may =
        held.contains(CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::CHOWN) && !one_user();
    let own = |user: &String| User::named(user).is_ok_and(|user| user.is_own());
    if let Some(user) = setting.user.as_ref().filter(|user| !may && !own(user)) {
        lacks.push((user, "only root may start a program as another user: run lastfd as root".into()));
    }
    for source in setting.files.values().filter(|source| !directory.join(source).exists()) {
        lacks.push((source, format!("no file {}", directory.join(source).display())));
    }
    if let Some(program) = setting.prepare.iter().find_map(|prepare| prepare.run.first())
        && let Err(why) = file_of(program, process.env.get("PATH"), directory)
    {
        lacks.push((program, why));
    }
    let told = lacks.into_iter().map(|(what, why)| (what.clone(), why));
    told.map(|(what, why)| Obstacle::Setting { process: name.to_owned(), what, why }).collect()
}

/// A client program that cannot be executed, unless `requires` names it: the check of `requires` reports it.
fn no_client(name: &str, workload: &Workload, plan: &Plan) -> Option<Obstacle> {
    let program = workload.program.as_ref()?;
    let word = program.run.first()?;
    if plan.processes.values().any(|process| process.requires.contains(word)) {
        return None;
    }
    let why = file_of(word, program.env.get("PATH"), &plan.directory).err()?;
    Some(Obstacle::Client { workload: name.to_owned(), program: word.clone(), why })
}

fn missing(name: &str, process: &Process, directory: &Path) -> impl Iterator<Item = Obstacle> {
    // A real launcher is required whether or not the scenario says so.
    let launcher =
        launcher_program(&process.launcher).filter(|program| !process.requires.iter().any(|r| r == program));
    process.requires.iter().map(String::as_str).chain(launcher).filter_map(move |requirement| {
        let why = look_for(requirement, directory).err()?;
        Some(Obstacle::Missing { process: name.to_owned(), requirement: requirement.to_owned(), why })
    })
}

/// A command that cannot be executed, unless the check of `requires` already reports it.
fn no_program(name: &str, process: &Process, directory: &Path) -> Option<Obstacle> {
    let Program::Command(words) = &process.program else { return None };
    let told = |word: &String| process.requires.contains(word) && look_for(word, directory).is_err();
    let program = words.first().filter(|word| !told(word))?;
    let why = executable(process, directory).err()?;
    Some(Obstacle::Program { process: name.to_owned(), program: program.clone(), why })
}

/// Where launchers that make an environment of their own look for programs.
const STANDARD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file that the command of a process executes. A path is relative to `directory`; any other word is
/// searched in PATH. `None` for a word with placeholders, and for a bundled program.
///
/// # Errors
/// A message says why there is no such file.
pub fn executable(process: &Process, directory: &Path) -> Result<Option<PathBuf>, String> {
    let Program::Command(words) = &process.program else { return Ok(None) };
    words.first().map_or(Ok(None), |word| file_of(word, process.env.get("PATH"), directory))
}

/// The same of the first word of a command, with the PATH of its own environment.
fn file_of(word: &str, path: Option<&String>, directory: &Path) -> Result<Option<PathBuf>, String> {
    if word.contains('{') {
        return Ok(None);
    }
    if word.contains('/') {
        let file = directory.join(word.strip_prefix("./").unwrap_or(word));
        let about = file.metadata().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let near = beside(&file).map_or(String::new(), |near| format!(": did you mean {near}?"));
                format!("no file {}{near}", file.display())
            }
            _ => format!("{}: {e}", file.display()),
        })?;
        return match (about.is_file(), about.permissions().mode() & 0o111) {
            (false, _) => Err(format!("{} is not a file", file.display())),
            (true, 0) => Err(format!("{} is not executable (`chmod +x`)", file.display())),
            _ => Ok(Some(file)),
        };
    }
    // Searches every PATH that a launcher may use: a program in none of them does not exist.
    let paths = [path.map(OsString::from), std::env::var_os("PATH"), Some(STANDARD_PATH.into())];
    let found = paths.iter().flatten().find_map(|path| in_path(word, path));
    found.map(Some).ok_or_else(|| NOT_IN_PATH.to_owned())
}

const NOT_IN_PATH: &str = "no such program in PATH";

/// The executable of this name in the folders of a PATH.
fn in_path(program: &str, path: &OsStr) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).map(|folder| folder.join(program)).find(runs)
}

/// The program of a launcher that is not bundled.
fn launcher_program(launcher: &Launcher) -> Option<&'static str> {
    match launcher {
        Launcher::Nohup => Some("nohup"),
        Launcher::Supervisord(_) => Some("supervisord"),
        Launcher::Shell(_) => Some("sh"),
        Launcher::Runuser(_) => Some("runuser"),
        Launcher::Su(_) => Some("su"),
        Launcher::Exec
        | Launcher::NohupLike
        | Launcher::SupervisorLike(_)
        | Launcher::SystemdLike { .. }
        | Launcher::ContainerLike { .. } => None,
    }
}

/// Why no PAM session of another user can be opened, as far as is known without trying.
fn no_session(name: &str, process: &Process) -> Option<Obstacle> {
    let (Launcher::Runuser(session) | Launcher::Su(session)) = &process.launcher else { return None };
    let launcher = launcher_program(&process.launcher)?;
    let private = session.limits_conf.is_some() || session.pam_limits.is_some();
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let service = format!("/etc/pam.d/{launcher}");
    let files = [
        (session.limits_conf.is_some(), "/etc/security/limits.conf"),
        (session.pam_limits.is_some(), &service),
    ];
    let absent = files.into_iter().find(|(needed, file)| *needed && !Path::new(file).is_file());
    let why = if !rustix::process::geteuid().is_root() {
        "only root opens the session of another user without a password: run lastfd as root".to_owned()
    } else if !held.contains(CapabilitySet::SETUID | CapabilitySet::SETGID) || one_user() {
        "this root may not become another user (CAP_SETUID, CAP_SETGID, or a user namespace that refuses setgroups): run lastfd where \
         root may"
            .to_owned()
    } else if private && !held.contains(CapabilitySet::SYS_ADMIN) {
        "a PAM configuration for the run alone takes a mount namespace (CAP_SYS_ADMIN): leave out `limits-conf` and `pam-limits`".to_owned()
    } else if let Some((_, file)) = absent {
        format!("{file} does not exist, so that nothing can be put in its place: install PAM")
    } else {
        return None;
    };
    Some(Obstacle::Launcher { process: name.to_owned(), launcher, why })
}

/// Whether this is a user namespace made without privileges, in which groups cannot be set
/// (user_namespaces(7)).
fn one_user() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|allowed| allowed.trim() == "deny")
}

/// A limit above the harness's own hard limit, which only CAP_SYS_RESOURCE may raise, and that not above
/// `fs.nr_open`.
fn too_high(name: &str, process: &Process) -> Option<Obstacle> {
    let own = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let nr_open = || {
        std::fs::read_to_string("/proc/sys/fs/nr_open")
            .ok()
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(own)
    };
    let may_raise = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    let hard = if may_raise { nr_open() } else { own };
    let (needed, lower) = if process.limits.soft > hard {
        (process.limits.soft, "limits.soft")
    } else {
        (process.limits.hard, "limits.hard")
    };
    (needed > hard).then(|| Obstacle::HardLimit { process: name.to_owned(), hard, needed, lower })
}

/// Looks for `nginx` in PATH, for `./server` and other paths as files, for `python3:tornado` by importing it.
fn look_for(requirement: &str, directory: &Path) -> Result<(), String> {
    match requirement.split_once(':') {
        Some((python, module)) => {
            find(python, directory)?;
            imports(python, module)
        }
        None => find(requirement, directory),
    }
}

fn find(program: &str, directory: &Path) -> Result<(), String> {
    if program.contains('/') {
        let file = directory.join(program.strip_prefix("./").unwrap_or(program));
        return if file.exists() { Ok(()) } else { Err(format!("no file {}", file.display())) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    in_path(program, &path).map(|_| ()).ok_or_else(|| NOT_IN_PATH.to_owned())
}

/// Whether this Python imports the module: asked once, for a start of Python takes tens of milliseconds.
fn imports(python: &str, module: &str) -> Result<(), String> {
    static ASKED: LazyLock<Mutex<HashMap<(String, String), bool>>> = LazyLock::new(Mutex::default);
    let mut asked = ASKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let imported = *asked
        .entry((python.into(), module.into()))
        .or_insert_with(|| import(python, module).unwrap_or(false));
    if imported { Ok(()) } else { Err(format!("`{python} -c \"import {module}\"` fails")) }
}

fn import(python: &str, module: &str) -> std::io::Result<bool> {
    // The name goes as an argument: no text of a scenario is run as a program here.
    let script = "import importlib, sys; importlib.import_module(sys.argv[1])";
    let quiet = || Stdio::null();
    let mut child = Command::new(python)
        .args(["-c", script, module])
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        .and_then(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&IMPORT_DEADLINE)));
    if ended.is_ok_and(|ready| ready == 0) {
        child.kill()?;
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_where_it_would_be_executed() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        file("server", 0o755);
        file("notes.txt", 0o644);
        let with = |command: &str, env: &str| {
            let text = format!(
                "claim = 'c'\n[processes.s]\ncommand = [{command:?}]\n{env}limits = {{ soft = 64, hard = 64 }}\n\
                 [workloads.w]\ntcp = {{}}\n"
            );
            let plan = crate::scenario::parse(&text, "x.toml", "x", folder.path()).unwrap().remove(0);
            executable(&plan.processes["s"], folder.path())
        };
        let look = |command: &str| with(command, "");
        assert_eq!(look("./server"), Ok(Some(folder.path().join("server"))));
        assert!(look("./sever").unwrap_err().ends_with("/server?"), "the nearest is named");
        assert!(look("./notes.txt").unwrap_err().contains("not executable"));
        assert!(look("./").unwrap_err().contains("is not a file"));
        assert_eq!(look("{scratch}/made-by-the-run"), Ok(None));
        assert!(look("sh").unwrap().is_some());
        assert_eq!(look("server"), Err("no such program in PATH".into()));
        let env = format!("env = {{ PATH = {:?} }}\n", folder.path());
        assert_eq!(with("server", &env), Ok(Some(folder.path().join("server"))));
    }

    #[test]
    fn a_requirement_is_looked_for_in_path_in_the_folder_and_in_python() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server"), "").unwrap();
        assert_eq!(look_for("sh", folder.path()), Ok(()));
        assert!(look_for("no-such-program-of-lastfd", folder.path()).is_err());
        assert_eq!(look_for("./server", folder.path()), Ok(()));
        assert!(look_for("./sever", folder.path()).is_err());
        assert!(look_for("no-such-program-of-lastfd:os", folder.path()).is_err());
        // `/bin/true` imports every module, `/bin/false` none.
        assert_eq!(look_for("/bin/true:any", folder.path()), Ok(()));
        assert!(look_for("/bin/false:any", folder.path()).unwrap_err().contains("import any"));
    }
}

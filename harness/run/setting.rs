//! The surroundings of a process: the files in its folder, its user, its standard input, the command that is
//! run before it, and when it is ready. A run is inconclusive if a file or user is missing, or if the command
//! before the process fails: neither says anything about the process.

use super::error::Error;
use crate::event::Redaction;
use crate::launch::{Command, ExitStatus, Isolation, Site, Tree};
use crate::observe::output::Drain;
use crate::scenario::{InFile, Process, ReadyWhen, Setting, Stdin, User};
use regex::Regex;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a command before a process is looked after, and a path that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The pause between two tries of a command that says whether a process is ready.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Placeholders are looked for in files of at most this size.
const TEXT_BYTES: u64 = 1 << 20;

/// The name of the file with its text, in the process's folder.
const STDIN: &str = "stdin";

fn cannot(what: impl std::fmt::Display) -> Error {
    Error::Inconclusive(what.to_string())
}

/// The other user that it runs as; `None`: it is lastfd's own.
///
/// # Errors
/// There is no such user.
pub fn user(setting: &Setting) -> Result<Option<User>, Error> {
    let user = setting.user.as_deref().map(User::named).transpose().map_err(cannot)?;
    Ok(user.filter(|user| !user.is_own()))
}

/// Copies its files into its folder, with the placeholders of text filled in; returns the file of its
/// standard input.
///
/// # Errors
/// One of them cannot be read, or written, or lastfd has a file of its own there.
pub fn files(
    setting: &Setting,
    from: &Path,
    scratch: &Path,
    fill: impl Fn(&str) -> String,
) -> Result<Option<PathBuf>, Error> {
    for (name, source) in &setting.files {
        let (source, target) = (from.join(source), scratch.join(name));
        let made = target.parent().map_or(Ok(()), std::fs::create_dir_all);
        // A link that is named itself stands for its target.
        let copied =
            made.and_then(|()| source.canonicalize()).and_then(|real| copied(&real, &target, scratch, &fill));
        match copied {
            Ok(true) => {}
            Ok(false) => return Err(cannot(format!("{} is neither a file nor a folder", source.display()))),
            Err(e) => {
                return Err(cannot(format!("{} cannot be copied into its folder: {e}", source.display())));
            }
        }
    }
    match &setting.stdin {
        None => Ok(None),
        Some(Stdin::File(InFile { file })) => Ok(Some(from.join(fill(file)))),
        Some(Stdin::Text(text)) => {
            let path = scratch.join(STDIN);
            std::fs::write(&path, fill(text)).map_err(|e| cannot(format!("{}: {e}", path.display())))?;
            Ok(Some(path))
        }
    }
}

/// Copies a file, a folder with its contents, or a link as a link. Returns false for anything else, and
/// copies nothing of it. The folder `but`, into which is copied, is left out.
fn copied(source: &Path, target: &Path, but: &Path, fill: &impl Fn(&str) -> String) -> std::io::Result<bool> {
    let about = source.symlink_metadata()?;
    if about.is_dir() {
        std::fs::create_dir_all(target)?;
        for entry in std::fs::read_dir(source)? {
            let entry = entry?;
            if entry.file_name() != but.file_name().unwrap_or_default() {
                copied(&entry.path(), &target.join(entry.file_name()), but, fill)?;
            }
        }
    } else if about.is_symlink() {
        symlink(std::fs::read_link(source)?, target)?;
    } else if about.is_file() {
        let text =
            if about.len() > TEXT_BYTES { None } else { String::from_utf8(std::fs::read(source)?).ok() };
        match text.map(|text| (fill(&text), text)) {
            Some((filled, text)) if filled != text => {
                std::fs::write(target, filled)?;
                std::fs::set_permissions(target, about.permissions())?;
            }
            _ => _ = std::fs::copy(source, target)?,
        }
    }
    Ok(about.is_dir() || about.is_symlink() || about.is_file())
}

/// Gives the folder, and everything in it, to a user. The folder itself comes last, because its owner may
/// exchange its contents meanwhile. No link is followed.
///
/// # Errors
/// This process may not.
pub fn give(folder: &Path, user: &User) -> Result<(), Error> {
    given(folder, user)
        .map_err(|e| cannot(format!("{} cannot be given to user {}: {e}", folder.display(), user.uid)))
}

fn given(path: &Path, user: &User) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::read_dir(path)?.try_for_each(|entry| given(&entry?.path(), user))?;
    }
    lchown(path, Some(user.uid), Some(user.gid))
}

/// Runs a command to its end, in a tree of its own. Processes that it leaves running are ended.
///
/// # Errors
/// It cannot be started, ends otherwise than with exit status 0, or not in time.
pub fn prepared(
    command: &Command,
    within: Duration,
    isolation: Isolation,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let name = command.argv.first().cloned().unwrap_or_default();
    let failed = |how: String, output: Option<&Drain>| {
        let said = output.map(Drain::tail).unwrap_or_default();
        let said = if said.is_empty() {
            "it wrote nothing".into()
        } else {
            format!("its last lines:\n  {}", said.join("\n  "))
        };
        cannot(format!("`{name}`, which prepares the run, {how}; {said}"))
    };
    let mut tree =
        Tree::prepare(command, isolation).map_err(|e| failed(format!("cannot be started: {e}"), None))?;
    let mut output = tree.output().map(|fd| Drain::start(fd, drop)).transpose()?;
    tree.start().map_err(|e| failed(format!("cannot be started: {e}"), None))?;
    let status = ended(&mut tree, within, interrupted);
    // This comes before its last lines are read: a process that it left running may write for ever.
    let killed = tree.kill();
    output.iter_mut().for_each(Drain::finish);
    let how = match status? {
        Some(ExitStatus { code: Some(0), .. }) => return killed.map_err(cannot),
        Some(ExitStatus { code: Some(code), .. }) => format!("ended with exit status {code}"),
        Some(ExitStatus { signal: Some(signal), .. }) => format!("was killed by signal {signal}"),
        Some(_) => "ended, and its exit status is unknown".into(),
        None => format!("was not done within {} s", within.as_secs_f64()),
    };
    Err(failed(how, output.as_ref()))
}

/// How the first process of a tree ended, as soon as it has; `None`: not in this time.
///
/// # Errors
/// Interrupted.
fn ended(tree: &mut Tree, within: Duration, interrupted: &AtomicBool) -> Result<Option<ExitStatus>, Error> {
    let deadline = Instant::now() + within;
    loop {
        // This is asked first: a process that has ended by now has reported how.
        let gone = tree.wait_gone(Duration::ZERO);
        if let Some(status) = tree.exited() {
            return Ok(Some(status));
        }
        if gone {
            return Ok(Some(ExitStatus { code: None, signal: None }));
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        tree.wait_gone(LOOK_EVERY);
    }
}

/// A condition that a process must meet beyond listening.
pub struct Condition {
    when: When,
}

enum When {
    Path(PathBuf),
    Log,
    Command(Box<Asked>),
}

/// A command that says whether a process is ready.
struct Asked {
    command: Command,
    isolation: Isolation,
    running: Option<(Tree, Option<Drain>)>,
    next: Instant,
}

impl Asked {
    /// Whether it has ended with exit status 0, since it was last asked.
    fn says_so(&mut self) -> Result<bool, Error> {
        if self.running.is_none() && Instant::now() >= self.next {
            let mut tree = Tree::prepare(&self.command, self.isolation).map_err(cannot)?;
            let said = tree.output().map(|fd| Drain::start(fd, drop)).transpose()?;
            tree.start().map_err(cannot)?;
            self.running = Some((tree, said));
        }
        let Some(status) = self.running.as_mut().and_then(|(tree, _)| tree.exited()) else {
            return Ok(false);
        };
        (self.running, self.next) = (None, Instant::now() + ASK_AGAIN_AFTER);
        Ok(status.code == Some(0))
    }
}

impl Condition {
    /// The one of this process, if it has any. Its lines are waited for from now on. `command`: as which
    /// others are run beside it.
    ///
    /// # Errors
    /// A pattern that was not checked.
    pub fn of(
        ready: Option<&ReadyWhen>,
        from: &Path,
        command: &Command,
        isolation: Isolation,
        output: Option<&Drain>,
    ) -> Result<Option<Condition>, Error> {
        let when = match ready {
            None => return Ok(None),
            Some(ReadyWhen::Path(path)) => When::Path(from.join(path)),
            Some(ReadyWhen::Log(pattern)) => {
                let pattern = Regex::new(pattern).map_err(|e| Error::Fault(e.to_string()))?;
                output.iter().for_each(|output| output.want(pattern.clone()));
                When::Log
            }
            Some(ReadyWhen::Command(words)) => {
                let command = beside(command, words.clone());
                When::Command(Box::new(Asked { command, isolation, running: None, next: Instant::now() }))
            }
        };
        Ok(Some(Condition { when }))
    }

    /// Whether it holds now.
    ///
    /// # Errors
    /// The command that says so cannot be started.
    pub fn holds(&mut self, output: Option<&Drain>) -> Result<bool, Error> {
        match &mut self.when {
            When::Path(path) => Ok(path.exists()),
            When::Log => Ok(output.is_none_or(|output| !output.wants())),
            When::Command(asked) => asked.says_so(),
        }
    }

    /// The condition that was not met, in words.
    pub fn lacks(&self, redaction: &Redaction) -> String {
        match &self.when {
            When::Path(path) => format!("{} does not exist", path.display()),
            When::Log => "no line of its output matched the pattern of `ready`".into(),
            When::Command(asked) => {
                let words = redaction.words(&asked.command.argv);
                format!("`{}` did not end with exit status 0", shell_words::join(&words))
            }
        }
    }
}

/// Another command in the same place: as the same user, under lastfd's own limits, and observed by nobody.
pub fn beside(command: &Command, argv: Vec<String>) -> Command {
    let (soft, hard) = crate::sys::process::own_nofile();
    Command {
        argv,
        limits: crate::event::Limits { soft, hard },
        rlimits: Default::default(),
        scratch: None,
        stdin: None,
        ignore_hangup: false,
        trap: false,
        mounts: Vec::new(),
        switches_user: false,
        ..command.clone()
    }
}

/// A program whose tree removes the folder of a process if lastfd is killed, and keeps it otherwise.
pub fn keeper(process: &Process, site: Site<'_>) -> Command {
    let scratch = Some(site.scratch.to_path_buf());
    let idle = Command::new(process, vec!["true".into()], site);
    Command { scratch, keeps_scratch: true, env: Default::default(), ..beside(&idle, idle.argv.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_is_copied_with_its_links_as_links_and_without_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, scratch) = (folder.path(), folder.path().join("lastfd-x"));
        let from_file = |name: &str| from.join(name);
        std::fs::create_dir(&scratch).unwrap();
        std::fs::write(from_file("conf"), "port {port}").unwrap();
        std::fs::set_permissions(from_file("conf"), std::fs::Permissions::from_mode(0o444)).unwrap();
        symlink(".", from_file("here")).unwrap();
        symlink("conf", from_file("other")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from_file("socket")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, from_file("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let fill = |text: &str| text.replace("{port}", "80");
        let setting = |name: &str, source: &str| Setting {
            files: [(name.to_owned(), source.to_owned())].into(),
            ..Setting::default()
        };
        files(&setting("all", "."), from, &scratch, fill).unwrap();
        let copy = scratch.join("all");
        assert_eq!(std::fs::read_to_string(copy.join("other")).unwrap(), "port 80");
        assert_eq!(copy.join("conf").metadata().unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(std::fs::read_link(copy.join("here")).unwrap(), Path::new("."));
        let mut names: Vec<_> =
            std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["conf", "here", "other"]);
        let refused = files(&setting("pipe", "pipe"), from, &scratch, fill).unwrap_err();
        assert!(refused.to_string().contains("neither a file nor a folder"), "{refused}");
    }
}

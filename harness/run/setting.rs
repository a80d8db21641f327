//! What surrounds a process: the files in its folder, its user, its standard input, the command that is run before it, and when it is
//! ready. What this machine cannot give, and a command before it that fails, say nothing about the process: the run is inconclusive.

use super::error::Error;
use crate::launch::{Command, ExitStatus, Isolation, Tree, User};
use crate::observe::output::Drain;
use crate::scenario::{InFile, ReadyWhen, Setting, Stdin};
use regex::Regex;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a command before a process is looked after, and a path that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// From the end of a command that says whether a process is ready to its next try.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Placeholders are looked for in files of at most this size.
const TEXT_BYTES: u64 = 1 << 20;

/// Where its text is, in the process's folder.
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

/// Copies its files into its folder, with the placeholders of text filled in; returns the file of its standard input.
///
/// # Errors
/// One of them cannot be read, or written.
pub fn files(
    setting: &Setting,
    from: &Path,
    scratch: &Path,
    fill: impl Fn(&str) -> String,
) -> Result<Option<PathBuf>, Error> {
    for (name, source) in &setting.files {
        let (source, target) = (from.join(source), scratch.join(name));
        let made = target.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| copied(&source, &target, &fill))
            .map_err(|e| cannot(format!("{} cannot be copied into its folder: {e}", source.display())))?;
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

fn copied(source: &Path, target: &Path, fill: &impl Fn(&str) -> String) -> std::io::Result<()> {
    if source.is_dir() {
        std::fs::create_dir_all(target)?;
        for entry in std::fs::read_dir(source)? {
            let entry = entry?;
            copied(&entry.path(), &target.join(entry.file_name()), fill)?;
        }
        return Ok(());
    }
    if std::fs::copy(source, target)? > TEXT_BYTES {
        return Ok(());
    }
    match String::from_utf8(std::fs::read(source)?) {
        Ok(text) if fill(&text) != text => std::fs::write(target, fill(&text)),
        _ => Ok(()),
    }
}

/// Gives the folder, and all that is in it, to a user.
///
/// # Errors
/// This process may not.
pub fn give(folder: &Path, user: &User) -> Result<(), Error> {
    let refused = |e| cannot(format!("{} cannot be given to user {}: {e}", folder.display(), user.uid));
    lchown(folder, Some(user.uid), Some(user.gid)).map_err(refused)?;
    if folder.is_symlink() || !folder.is_dir() {
        return Ok(());
    }
    std::fs::read_dir(folder).map_err(refused)?.flatten().try_for_each(|entry| give(&entry.path(), user))
}

/// Runs a command to its end, in a tree of its own: what it leaves running is ended.
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
    // Before its last lines are read: what it left running may write for ever.
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
        // Asked before: what has ended by now has reported how.
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

/// What a process must come to, beside that it listens.
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
    /// The one of this process, if it has any. Its lines are waited for from now on. `command`: as which others are run beside it.
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

    /// What did not come to be, in words.
    pub fn lacks(&self) -> String {
        match &self.when {
            When::Path(path) => format!("{} does not exist", path.display()),
            When::Log => "no line of its output matched the pattern of `ready`".into(),
            When::Command(asked) => {
                format!("`{}` did not end with exit status 0", shell_words::join(&asked.command.argv))
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

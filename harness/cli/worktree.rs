//! A revision in a git worktree of its own, built there, and removed with this value.

use super::{Exit, Failure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// One revision, built.
#[derive(Debug)]
pub struct Worktree {
    folder: PathBuf,
    _parent: TempDir,
}

impl Worktree {
    /// Both revisions, in folders whose names are equally long.
    ///
    /// # Errors
    /// git does not know a revision, or its build fails: what it said goes to standard error.
    pub fn both(revisions: [&String; 2], build: &str) -> Result<Vec<Worktree>, Failure> {
        revisions.iter().map(|revision| Worktree::built(revision, build)).collect()
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn built(revision: &str, build: &str) -> Result<Worktree, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let parent =
            tempfile::Builder::new().prefix("lastfd-").tempdir().map_err(|e| usage(e.to_string()))?;
        let folder = parent.path().join("tree");
        // From the folder within the repository that lastfd was started in, the command is run in the same
        // one.
        let prefix = said(Command::new("git").args(["rev-parse", "--show-prefix"]))
            .map_err(|e| usage(format!("no git repository here: {e}")))?;
        said(Command::new("git").args(["worktree", "add", "--detach"]).arg(&folder).arg(revision))
            .map_err(|e| usage(format!("git cannot check out `{revision}`: {e}")))?;
        let mut worktree = Worktree { folder, _parent: parent };
        worktree.folder.push(prefix.trim_end());
        let mut shell = Command::new("sh");
        shell.args(["-c", build]).current_dir(&worktree.folder).stdout(Stdio::from(std::io::stderr()));
        match shell.status() {
            Ok(status) if status.success() => Ok(worktree),
            Ok(status) => Err(usage(format!("`{build}` failed for `{revision}`: {status}"))),
            Err(e) => Err(usage(format!("`{build}` cannot be run: {e}"))),
        }
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        let tree = self._parent.path().join("tree");
        // Its folder goes with the parent; this is git's own note of it.
        let _ = said(Command::new("git").args(["worktree", "remove", "--force"]).arg(tree));
    }
}

/// The output of a command.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

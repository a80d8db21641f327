//! The program that is executed again where a part of a run needs a process of its own: the steps of a launch
//! (`exec`), the load generator (`drive`) and the bundled servers (`serve`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first argument of a program that links the library, where it is executed as a helper of a run.
pub const WORD: &str = "lastfd-helper";

/// Whether this process has asked whether it is a helper.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Notes that this process has asked whether it is a helper, so that it can be executed as one.
pub fn asked() {
    ASKED.store(true, Ordering::Relaxed);
}

/// A program that can be executed as a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    exe: PathBuf,
    links: bool,
}

impl Helper {
    /// The `lastfd` program, to which these parts are commands.
    pub fn lastfd(exe: impl Into<PathBuf>) -> Self {
        Helper { exe: exe.into(), links: false }
    }

    /// A program that links the library, which asks before `main` whether it is a helper.
    pub fn linking(exe: impl Into<PathBuf>) -> Self {
        Helper { exe: exe.into(), links: true }
    }

    /// This program, which links the library.
    ///
    /// # Errors
    /// Its own path is not known; or nothing asked before `main` whether it is a helper, so a second copy of
    /// it would start a run instead of helping in this one, and so on without end.
    pub fn this_program() -> std::io::Result<Self> {
        match ASKED.load(Ordering::Relaxed) {
            true => std::env::current_exe().map(Helper::linking),
            false => Err(std::io::Error::other(
                "this program cannot help in its own run: its linker leaves out `.init_array`, so call `lastfd::helper()` first in its `main`",
            )),
        }
    }

    /// Its file.
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// Whether it is a program that links the library.
    pub fn links(&self) -> bool {
        self.links
    }

    /// The words that execute it as this helper.
    pub fn argv(&self, words: &[&str]) -> Vec<String> {
        let exe = self.exe.to_string_lossy();
        let mark = self.links.then_some(WORD);
        std::iter::once(&*exe).chain(mark).chain(words.iter().copied()).map(str::to_owned).collect()
    }

    /// The same, as a command of this process.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command.args(self.links.then_some(WORD)).args(words);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_links_the_library_is_marked() {
        assert_eq!(Helper::lastfd("/x/lastfd").argv(&["exec", "cost"]), ["/x/lastfd", "exec", "cost"]);
        assert_eq!(Helper::linking("/x/own").argv(&["drive"]), ["/x/own", WORD, "drive"]);
        let command = Helper::linking("/x/own").command(&["drive"]);
        assert_eq!(command.get_args().collect::<Vec<_>>(), [WORD, "drive"]);
    }
}

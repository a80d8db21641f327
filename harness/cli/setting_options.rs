//! The surroundings of the command of `find`: its folder, user, standard input and files, commands that run
//! before it, and when it is ready.

use super::time::seconds;
use crate::scenario::{InFile, Prepare, ReadyWhen, Setting, Stdin, stays_where_it_is, wrong_name};

/// The setting options that were given.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How the command starts")]
pub struct SettingOptions {
    /// Start the command in this folder; {scratch} may stand in it [default: this folder]
    #[arg(long, value_name = "DIR", value_parser = directory)]
    directory: Option<String>,
    /// Run the command as this user (a name or a number), who then owns {scratch}; only root may
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Give the command this file as its standard input [default: empty]
    #[arg(long, value_name = "FILE")]
    stdin: Option<String>,
    /// Copy a file or folder into {scratch} before the command starts, with the placeholders in text files
    /// filled in; can be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = file)]
    file: Vec<(String, String)>,
    /// Run this before the command, to its end, as its user, such as 'initdb {scratch}/data'; if it fails,
    /// the run is inconclusive
    #[arg(long, value_name = "CMD", value_parser = words)]
    prepare: Option<Words>,
    /// Wait at most this long for --prepare
    #[arg(long, requires = "prepare", default_value = "60s", value_parser = |text: &str| seconds(text, 3600.0), value_name = "TIME")]
    prepare_within: f64,
    /// Wait until the program listens and this path exists; {scratch} may stand in it
    #[arg(long, value_name = "PATH")]
    ready_path: Option<String>,
    /// Wait until the program listens and a line of its output matches this pattern
    #[arg(long, value_name = "PATTERN", value_parser = pattern, conflicts_with = "ready_path")]
    ready_log: Option<String>,
    /// Wait until the program listens and this command ends with exit status 0. If it connects, it does so
    /// before the descriptors that are already open are counted
    #[arg(long, value_name = "CMD", value_parser = words, conflicts_with_all = ["ready_path", "ready_log"])]
    ready_command: Option<Words>,
}

/// The words of a command in one argument.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, String> {
    let words = shell_words::split(text).map_err(|e| e.to_string())?;
    if words.is_empty() { Err("it names no program".into()) } else { Ok(Words(words)) }
}

fn pattern(text: &str) -> Result<String, String> {
    regex::Regex::new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

fn file(text: &str) -> Result<(String, String), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH")?;
    wrong_name(name).map_or_else(|| Ok((name.into(), path.into())), |wrong| Err(wrong.to_owned()))
}

fn directory(text: &str) -> Result<String, String> {
    if stays_where_it_is(text) { Ok(text.to_owned()) } else { Err("it leads out of {scratch}".to_owned()) }
}

impl SettingOptions {
    /// Words that may hold placeholders.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        let commands = [&self.prepare, &self.ready_command].into_iter().flatten().flat_map(|words| &words.0);
        commands.chain(&self.directory).chain(&self.stdin).chain(&self.ready_path)
    }

    /// Whether files are copied, in which placeholders may stand.
    pub fn copies_files(&self) -> bool {
        !self.file.is_empty()
    }

    /// All of it.
    pub fn setting(&self) -> Setting {
        let path = self.ready_path.clone().map(ReadyWhen::Path);
        let command = self.ready_command.as_ref().map(|words| ReadyWhen::Command(words.0.clone()));
        Setting {
            directory: self.directory.clone(),
            user: self.user.clone(),
            stdin: self.stdin.clone().map(|file| Stdin::File(InFile { file })),
            files: self.file.iter().cloned().collect(),
            prepare: self
                .prepare
                .as_ref()
                .map(|words| Prepare { run: words.0.clone(), within_s: self.prepare_within }),
            ready: path.or(self.ready_log.clone().map(ReadyWhen::Log)).or(command),
            ..Setting::default()
        }
    }
}

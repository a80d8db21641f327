//! The setting of a process: its folder, user, standard input and files, the command that is run before it,
//! and the condition for being ready.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The setting that a process starts in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Setting {
    /// The folder that it starts in, relative to the scenario file's folder, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The user that it runs as; `None`: lastfd's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its standard input; `None`: empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Stdin>,
    /// Copied into `{scratch}` before it starts: the name there, and the file or folder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Placeholders of this process beside those of every process: the name, without braces, and the words
    /// that it stands for. Other placeholders may stand in these.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Run before it, to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
    /// A condition that must hold, besides listening, before it counts as started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyWhen>,
}

impl Setting {
    /// Whether every key has its default.
    pub fn is_plain(&self) -> bool {
        *self == Setting::default()
    }

    /// Words in which placeholders may stand.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        let stdin = self.stdin.iter().map(|stdin| match stdin {
            Stdin::Text(text) | Stdin::File(InFile { file: text }) => text,
        });
        let prepare = self.prepare.iter().flat_map(|prepare| &prepare.run);
        let ready: &[String] = match &self.ready {
            Some(ReadyWhen::Command(words)) => words,
            Some(ReadyWhen::Path(path)) => std::slice::from_ref(path),
            Some(ReadyWhen::Log(_)) | None => &[],
        };
        self.directory.iter().chain(stdin).chain(prepare).chain(ready).chain(self.names.values())
    }
}

/// A process's standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "wanted a text, or a table with `file`")]
pub enum Stdin {
    /// This text.
    Text(String),
    /// The contents of a file.
    File(InFile),
}

/// A file's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InFile {
    /// The file, from the folder of the scenario file; `{scratch}` may stand in it.
    pub file: String,
}

/// A command that is run before a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// Program and arguments.
    pub run: Vec<String>,
    /// The longest that it may take, seconds.
    pub within_s: f64,
}

/// Longest time that a command before a process may take when nothing else is asked for, seconds.
pub const PREPARE_WITHIN_DEFAULT_S: f64 = 60.0;

/// When a process counts as started. It must listen all the same, where clients connect to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Ready")]
pub enum ReadyWhen {
    /// This file or folder exists: a path from the folder of the scenario file; `{scratch}` may stand in it.
    Path(String),
    /// A line of the process's output matches this pattern (Rust's `regex`).
    Log(String),
    /// This command ends with exit status 0. It is run again until then, as the process's user.
    Command(Vec<String>),
}

/// Files that lastfd itself may put into `{scratch}`.
const OWN: [&str; 11] = [
    "driver.sock",
    "stdin",
    "supervisord.conf",
    "supervisord.pid",
    "limits.conf",
    "limits.d",
    "process-1-limits",
    "runuser",
    "su",
    "certificate.pem",
    "key.pem",
];

/// The fault in a name for one of the files of a process, if there is one.
pub fn wrong_name(name: &str) -> Option<&'static str> {
    let first = std::path::Path::new(name).iter().next();
    if !stays_inside(name) {
        Some("this is no name inside `{scratch}`")
    } else if first.is_some_and(|first| OWN.iter().any(|own| first == *own)) {
        Some("lastfd may have a file of its own with this name there")
    } else {
        None
    }
}

/// Whether a folder is elsewhere than in `{scratch}`, or there and not out of it again.
pub fn stays_where_it_is(directory: &str) -> bool {
    let rest = directory.strip_prefix("{scratch}").map(|rest| rest.trim_start_matches('/'));
    rest.is_none_or(|rest| rest.is_empty() || stays_inside(rest))
}

/// Whether this is a name inside a folder: neither absolute nor out of it.
fn stays_inside(name: &str) -> bool {
    let mut parts = std::path::Path::new(name).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

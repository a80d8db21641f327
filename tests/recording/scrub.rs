//! Takes out of a log what is this machine's alone: paths, names of users and hosts, and the command lines
//! above the run.

use crate::support::LASTFD;
use lastfd::internal::event::{Event, Link, Log, What};
use std::path::Path;

/// What a folder of a run is called in a recording.
const SCRATCH: &str = "/tmp/lastfd-scratch";

/// Of what is left, so many characters are shown.
const LEFT: usize = 60;

/// What is replaced by what, in this order.
pub struct Scrub {
    paths: Vec<(String, &'static str)>,
    /// Replaced where they are whole words.
    names: Vec<(String, &'static str)>,
    /// Where runs make their folders.
    temporary: String,
}

impl Scrub {
    pub fn of_this_machine() -> Self {
        let here = env!("CARGO_MANIFEST_DIR");
        let tests = std::env::current_exe().expect("own path").display().to_string();
        let mut paths = vec![
            (LASTFD.to_owned(), "lastfd"),
            (tests, "lastfd-tests"),
            (format!("{here}/"), ""),
            (here.to_owned(), "."),
        ];
        // Without a home the whole tree would be one.
        paths.extend(
            std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| (home, "/home/user")),
        );
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let user = std::env::var("USER").unwrap_or_default();
        let names = [(host, "host"), (user, "user")];
        Scrub {
            paths,
            names: names.into_iter().filter(|(name, _)| telling(name)).collect(),
            temporary: format!("{}/lastfd-", std::env::temp_dir().display()),
        }
    }

    /// The same log, with nothing said of the processes above the one that made the run but their limits.
    pub fn ancestors(&self, log: &Log) -> Log {
        let own = std::process::id() as i32;
        let named = |event: &Event| {
            let mut event = event.clone();
            if let What::Chain { links, .. } = &mut event.is {
                let above = links.iter().position(|link| link.pid == own).unwrap_or(0);
                let name = |(at, link): (usize, &mut Link)| match at.cmp(&above) {
                    std::cmp::Ordering::Less => link.command = "ancestor".into(),
                    std::cmp::Ordering::Equal if link.pid == own => link.command = "lastfd run".into(),
                    _ => {}
                };
                links.iter_mut().enumerate().for_each(name);
            }
            event
        };
        Log::new(log.events.iter().map(named).collect())
    }

    /// The text with every path and name replaced.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.paths {
            text = text.replace(from, to);
        }
        for (from, to) in &self.names {
            text = with_words(&text, from, to);
        }
        self.without_temporary(&text)
    }

    /// What of this machine is still in the text.
    pub fn left(&self, text: &str) -> Option<String> {
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        // Every machine has a folder for temporary files.
        let parent = (parent != std::env::temp_dir()).then(|| parent.display().to_string());
        let all = self.paths.iter().map(|(from, _)| from).filter(|from| telling(from)).chain(&parent);
        let mut found = all.filter(|from| from.len() > 1).filter_map(|from| text.find(from.as_str()));
        found.next().map(|at| text[at..].chars().take(LEFT).collect())
    }

    /// Folders of runs end in six random characters; of a command line that is cut there, in fewer.
    fn without_temporary(&self, text: &str) -> String {
        let mut parts = text.split(&self.temporary);
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let random =
                part.char_indices().take_while(|(at, c)| *at < 6 && c.is_ascii_alphanumeric()).count();
            let folder = random == 6 || part[random..].starts_with('…');
            whole += if folder { SCRATCH } else { &self.temporary };
            whole += &part[if folder { random } else { 0 }..];
        }
        whole
    }
}

/// Whether a name tells anything of its machine: every machine has a root, and short names are words.
fn telling(name: &str) -> bool {
    name.len() > 3 && !["root", "localhost", "user", "host"].contains(&name)
}

/// The text with another word in place of this one, where it stands alone.
fn with_words(text: &str, from: &str, to: &str) -> String {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut whole, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let alone = !before.ends_with(of_word) && !after.starts_with(of_word);
        whole.extend([before, if alone { to } else { from }]);
        rest = after;
    }
    whole + rest
}

#[test]
fn names_are_replaced_as_whole_words_and_folders_of_runs_without_their_random_ends() {
    assert_eq!(with_words("anna@anna-2 annabel", "anna", "user"), "user@user-2 annabel");
    let scrub = Scrub { paths: Vec::new(), names: Vec::new(), temporary: "/var/tmp/lastfd-".into() };
    let text = r#"["/var/tmp/lastfd-a1B2c3/x","/var/tmp/lastfd-a1…","/var/tmp/lastfd-no"]"#;
    assert_eq!(scrub.text(text), r#"["/tmp/lastfd-scratch/x","/tmp/lastfd-scratch…","/var/tmp/lastfd-no"]"#);
}

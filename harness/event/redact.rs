//! Redaction of command lines and environments in everything that is written. Values that look like secrets
//! are left out; on demand, every argument is.
//!
//! It guesses by names: `--password=…`, `API_KEY=…`, `Authorization: …`, `user:…@` in a URL. It hides too
//! much rather than too little, and cannot recognize the secret in `-p hunter2`: for that there is
//! `--redact`.

use std::collections::BTreeSet;

/// The text in place of a hidden value.
pub const HIDDEN: &str = "…";

/// Names that hold one of these name a secret.
const HOLDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "bearer",
];
/// So do those that end so (`apikey`, `requirepass`), or have such a part between `-`, `_` and `.`.
const ENDS: [&str; 4] = ["key", "keys", "pass", "pwd"];
const PARTS: [&str; 3] = ["auth", "pw", "key"];
/// Words of an HTTP authorization before the secret itself.
const SCHEMES: [&str; 4] = ["bearer", "basic", "digest", "token"];
/// Shorter values are not looked for elsewhere: they are found in words that have nothing to do with them.
const KNOWN_AT_LEAST: usize = 6;

/// The values that are left out of everything that is written.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    /// Every argument and every value of the environment.
    all: bool,
    /// Values that were hidden, and are hidden wherever else they stand.
    known: BTreeSet<String>,
}

impl Redaction {
    /// Hides what looks like a secret, or (`all`) every argument.
    pub fn new(all: bool) -> Self {
        Redaction { all, known: BTreeSet::new() }
    }

    /// Looks for secrets in a command, to hide them wherever they stand.
    pub fn learn(&mut self, words: &[String]) {
        let mut found = Vec::new();
        shown(words, &mut found);
        if self.all {
            // The program may write its arguments itself.
            let values = words.iter().skip(1).filter_map(|word| word.split_once('=').map(|(_, value)| value));
            found.extend(values.chain(words.iter().skip(1).map(String::as_str)).map(str::to_owned));
        }
        self.know(found);
    }

    /// The same of a variable of the environment.
    pub fn learn_variable(&mut self, name: &str, value: &str) {
        let mut found = Vec::new();
        variable(name, value, &mut found);
        found.extend(self.all.then(|| value.to_owned()));
        self.know(found);
    }

    fn know(&mut self, found: Vec<String>) {
        self.known.extend(found.into_iter().filter(|value| value.chars().count() >= KNOWN_AT_LEAST));
    }

    /// A command as it may be written.
    pub fn words(&self, words: &[String]) -> Vec<String> {
        match words {
            [program, _, ..] if self.all => vec![self.text(program), HIDDEN.to_owned()],
            _ => {
                let words: Vec<String> = words.iter().map(|word| self.text(word)).collect();
                shown(&words, &mut Vec::new())
            }
        }
    }

    /// The value of a variable as it may be written.
    pub fn variable(&self, name: &str, value: &str) -> String {
        if self.all { HIDDEN.to_owned() } else { self.text(&variable(name, value, &mut Vec::new())) }
    }

    /// A path of a request as it may be written.
    pub fn path(&self, path: &str) -> String {
        self.text(&scanned(path, &mut Vec::new()))
    }

    /// A text as it may be written: without the values that were hidden in commands.
    pub fn text(&self, text: &str) -> String {
        // The longest first: one may hold another.
        let mut known: Vec<&String> = self.known.iter().collect();
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        known.into_iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), HIDDEN))
    }
}

/// Whether a value with this name is a secret.
fn secret(name: &str) -> bool {
    let name = name.to_lowercase();
    HOLDS.iter().any(|part| name.contains(part))
        || ENDS.iter().any(|end| name.ends_with(end))
        || name.split(['-', '_', '.']).any(|part| PARTS.contains(&part))
}

/// Whether this is a placeholder of a scenario (`{key}`), which says nothing itself.
fn stands_for(value: &str) -> bool {
    let name = value.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.is_empty() && name.chars().all(of_a_name))
}

const fn of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Words without their secrets, which are handed to `found`.
fn shown(words: &[String], found: &mut Vec<String>) -> Vec<String> {
    let mut is_value = false;
    let mut each = |word: &String| {
        if std::mem::take(&mut is_value) && !word.starts_with('-') && !stands_for(word) {
            found.push(word.clone());
            return HIDDEN.to_owned();
        }
        let name = &word[..word.find(|c| !of_a_name(c)).unwrap_or(word.len())];
        let rest = &word[name.len()..];
        match rest.chars().next() {
            // All the rest: spaces and quotes are part of the value.
            Some(sign @ ('=' | ':'))
                if secret(name) && !rest.starts_with("://") && !stands_for(&rest[1..]) =>
            {
                found.push(rest[1..].trim().to_owned());
                format!("{name}{sign}{HIDDEN}")
            }
            None => {
                is_value = word.starts_with('-') && secret(name);
                word.clone()
            }
            _ => scanned(word, found),
        }
    };
    words.iter().map(&mut each).collect()
}

fn variable(name: &str, value: &str, found: &mut Vec<String>) -> String {
    if secret(name) {
        found.push(value.to_owned());
        return HIDDEN.to_owned();
    }
    scanned(value, found)
}

/// A text that is more than a word, such as a script, a URL or JSON, without its secrets, which are handed to
/// `found`.
fn scanned(text: &str, found: &mut Vec<String>) -> String {
    let (mut out, whole) = (String::new(), without_passwords(text, found));
    let mut rest = whole.as_str();
    while let Some(start) = rest.find(of_a_name) {
        let length = rest[start..].find(|c| !of_a_name(c)).unwrap_or(rest.len() - start);
        let name = &rest[start..start + length];
        out += &rest[..start];
        // A quote before the name that does not end with it encloses its value, too.
        let before = out.chars().next_back().filter(|c| matches!(c, '"' | '\''));
        out += name;
        rest = &rest[start + length..];
        let enclosed = before.filter(|quote| !rest.starts_with(*quote));
        if secret(name)
            && let Some((gap, value)) = value_after(rest, name.starts_with('-'), enclosed)
        {
            found.push(rest[gap..gap + value].to_owned());
            out += &rest[..gap];
            out += HIDDEN;
            rest = &rest[gap + value..];
        }
    }
    out + rest
}

/// Where after its name a value begins, and how long it is; `None`: there is none. An option's may follow
/// after a space; `enclosed`: both are between two of these.
fn value_after(rest: &str, option: bool, enclosed: Option<char>) -> Option<(usize, usize)> {
    let quote = |c: char| matches!(c, '"' | '\'' | '\\');
    let sign = rest.trim_start_matches(quote).trim_start();
    let value = match sign.strip_prefix(['=', ':']) {
        Some(value) => value.trim_start(),
        None if option && rest.starts_with(char::is_whitespace) && !sign.starts_with('-') => sign,
        None => return None,
    };
    let bare = value.trim_start_matches(quote);
    let ends = |text: &str| match enclosed {
        _ if value.len() > bare.len() => text.find(quote),
        Some(enclosing) => text.find(enclosing),
        None => text.find(char::is_whitespace),
    };
    let mut length = ends(bare).unwrap_or(bare.len());
    if SCHEMES.contains(&bare[..length].to_lowercase().as_str()) {
        let after = bare[length..].trim_start();
        length = bare.len() - after.len() + ends(after).unwrap_or(after.len());
    }
    (length > 0 && !bare.starts_with(HIDDEN) && !stands_for(&bare[..length]))
        .then(|| (rest.len() - bare.len(), length))
}

/// The text without the passwords in its URLs: `scheme://user:…@host`.
fn without_passwords(text: &str, found: &mut Vec<String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out += before;
        rest = after;
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
        // A password may hold a slash, and a path an `@`: where one comes before a slash, it ends the
        // authority.
        let slash = rest[..end].find('/').unwrap_or(end);
        let at_sign = rest[..slash].rfind('@').or_else(|| rest[..end].rfind('@'));
        if let Some(at_sign) = at_sign
            && let Some(colon) = rest[..at_sign].find(':')
        {
            found.push(rest[colon + 1..at_sign].to_owned());
            out += &rest[..=colon];
            out += HIDDEN;
            rest = &rest[at_sign..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|word| (*word).to_owned()).collect()
    }

    fn hidden(line: &[&str]) -> String {
        Redaction::default().words(&words(line)).join(" ")
    }

    #[test]
    fn values_of_options_variables_and_urls_that_look_like_secrets_are_hidden() {
        for (line, shown) in [
            (&["./s", "--password=hunter2", "--port", "80"][..], "./s --password=… --port 80"),
            (&["./s", "--db-password", "hunter2", "x"], "./s --db-password … x"),
            (&["./s", "--password=with spaces 'and' quotes"], "./s --password=…"),
            (&["env", "API_KEY=hunter2", "PORT=80", "./s"], "env API_KEY=… PORT=80 ./s"),
            (&["java", "-Dapp.secret=hunter2", "-jar", "a.jar"], "java -Dapp.secret=… -jar a.jar"),
            (&["redis-server", "--requirepass", "hunter2"], "redis-server --requirepass …"),
            (&["./s", "--aws_secretAccessKey=hunter2"], "./s --aws_secretAccessKey=…"),
            (&["./s", "postgres://me:hunter2@db:5432/x"], "./s postgres://me:…@db:5432/x"),
            (&["./s", "--db=postgres://me:hun/ter2@db/x"], "./s --db=postgres://me:…@db/x"),
            (&["./s", "http://host/?a=1&token=hunter2"], "./s http://host/?a=1&token=…"),
            (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization:…"),
            (
                &["./s", "{\"user\": \"me\", \"password\": \"hunter 2\"}"],
                "./s {\"user\": \"me\", \"password\": \"…\"}",
            ),
        ] {
            assert_eq!(hidden(line), shown);
        }
    }

    #[test]
    fn secrets_inside_of_a_script_are_hidden_and_the_rest_of_it_is_not() {
        let script = |script| hidden(&["sh", "-c", script]).replace("sh -c ", "");
        assert_eq!(
            script("ulimit -n 32; exec ./s --token hunter2 -p 80"),
            "ulimit -n 32; exec ./s --token … -p 80"
        );
        assert_eq!(script("ulimit -n 32; PASSWORD='hunter 2' ./s"), "ulimit -n 32; PASSWORD='…' ./s");
        assert_eq!(
            script("exec ./s -H 'Authorization: Bearer hunter2' x"),
            "exec ./s -H 'Authorization: …' x"
        );
        assert_eq!(script("ulimit -n 32; exec ./s"), "ulimit -n 32; exec ./s");
    }

    #[test]
    fn what_is_no_secret_stays() {
        let line =
            ["./s", "--port", "80", "--keepalive=5", "-v", "/srv/www:/www", "http://h:80/a", "ssh://git@h/x"];
        assert_eq!(hidden(&line), line.join(" "));
        let key = ["./s", "-key", "{key}", "--tls-key={a.key}", "exec ./s --key {key} x"];
        assert_eq!(hidden(&key), key.join(" "), "a placeholder is no value");
        assert_eq!(hidden(&["./s", "--ask-password", "--port", "80"]), "./s --ask-password --port 80");
    }

    #[test]
    fn a_secret_is_hidden_wherever_else_it_stands_and_a_short_one_is_not_looked_for() {
        let mut redaction = Redaction::default();
        redaction.learn(&words(&["./s", "--password=two words", "--token=80"]));
        redaction.learn_variable("API_KEY", "hunter2");
        assert_eq!(redaction.text("got 'two words' and hunter2 on port 80"), "got '…' and … on port 80");
        assert_eq!(
            redaction.words(&words(&["sh", "-c", "./s '--password=two words'"])),
            ["sh", "-c", "./s '--password=…'"]
        );
    }

    #[test]
    fn on_demand_no_argument_and_no_value_is_left() {
        let mut redaction = Redaction::new(true);
        redaction.learn(&words(&["./s", "-p", "hunter2", "--name=somebody"]));
        redaction.learn_variable("COLOUR", "ultramarine");
        let said = "./s: somebody paints hunter2 in ultramarine with -p";
        assert_eq!(redaction.text(said), format!("./s: {HIDDEN} paints {HIDDEN} in {HIDDEN} with -p"));
        assert_eq!(redaction.words(&words(&["./s", "-p", "hunter2"])), ["./s", HIDDEN]);
        assert_eq!(redaction.words(&words(&["./s"])), ["./s"]);
        assert_eq!(redaction.variable("COLOUR", "blue"), HIDDEN);
        assert_eq!(Redaction::default().variable("COLOUR", "blue"), "blue");
        assert_eq!(Redaction::default().variable("DB", "pg://me:hunter2@h"), "pg://me:…@h");
    }
}

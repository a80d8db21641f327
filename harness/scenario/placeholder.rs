//! Placeholders: words in braces that a run fills in, in commands and environments (`run::Places::fill`).
//! Which there are, and which words in braces were meant for one. Pure.

use std::ops::Range;

/// Placeholders for a process's own things.
pub const OWN: [&str; 5] = ["port", "tls-port", "scratch", "certificate", "key"];
/// Placeholders for another process's ports, as `{NAME.port}`.
pub const OF_ANOTHER: [&str; 2] = ["port", "tls-port"];
/// Placeholders in the command of `find` for the bundled upstream.
pub const OF_UPSTREAM: [&str; 4] = ["upstream", "upstream-address", "upstream-port", "ca"];
/// Further placeholders of a client program.
pub const OF_CLIENT: [&str; 3] = ["address", "client", "clients"];
/// Most edits of a slip: two in a word that is long enough to be known by the rest, one in a shorter one, and
/// none in `{ca}`. `{print}` of awk is two from `{port}`.
const EDITS: [(usize, usize); 2] = [(6, 2), (3, 1)];

/// Which placeholders there are, in words.
pub fn help() -> String {
    let all = OWN.map(|own| format!("`{{{own}}}`")).into_iter();
    let all: Vec<String> = all.chain(OF_ANOTHER.map(|port| format!("`{{NAME.{port}}}`"))).collect();
    format!("placeholders are {}", all.join(", "))
}

/// An identifier in braces that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// With its braces.
    pub written: String,
    /// Where, in bytes of the word.
    pub at: Range<usize>,
    /// The placeholder that was meant, with its braces; `None`: it may be meant as it is.
    pub near: Option<String>,
    /// Whether it is all of the argument, or all behind a `=` or `:`.
    pub alone: bool,
}

/// The identifiers in braces that are neither placeholders of every process nor `beside` them. The caller
/// checks whether the process of a `{NAME.port}` is there.
pub fn unknown(word: &str, processes: &[&str], beside: &[&'static str]) -> Vec<Unknown> {
    let own = [&OWN[..], beside].concat();
    let opened = word.match_indices('{').filter(|(at, _)| !word[..*at].ends_with('$'));
    let identifiers = opened.filter_map(|(at, _)| {
        let inside = word[at + 1..].split_once('}')?.0;
        is_identifier(inside).then(|| (at..at + inside.len() + 2, inside))
    });
    let unknown = identifiers.filter_map(|(at, inside)| {
        let near = match inside.split_once('.') {
            Some((_, key)) if OF_ANOTHER.contains(&key) => return None,
            Some((name, key)) if processes.contains(&name) => {
                let near = nearest(key, &OF_ANOTHER).unwrap_or(OF_ANOTHER[0]);
                Some(format!("{{{name}.{near}}}"))
            }
            Some(_) => None,
            None if own.contains(&inside) => return None,
            None => nearest(inside, &own).map(|near| format!("{{{near}}}")),
        };
        let before = word[..at.start].chars().next_back();
        let alone = at.end == word.len() && before.is_none_or(|c| matches!(c, '=' | ':'));
        Some(Unknown { written: word[at.clone()].to_owned(), at, near, alone })
    });
    unknown.collect()
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// The placeholder that this is a slip of. Edits count, and not how alike words begin: two letters that
/// changed places are one.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_lowercase().replace('_', "-");
    let edits = |known: &&'static str| strsim::osa_distance(&word, known);
    let near = *known.iter().min_by_key(|known| edits(known))?;
    let (_, most) = EDITS.into_iter().find(|(length, _)| near.len() >= *length)?;
    (edits(&near) <= most).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant_and_words_of_other_languages_are_left_alone() {
        let near =
            |word: &str| unknown(word, &["server", "back"], &OF_UPSTREAM).into_iter().find_map(|u| u.near);
        for (word, meant) in [
            ("{prot}", "{port}"),
            ("--listen=127.0.0.1:{prt}", "{port}"),
            ("{PORT}", "{port}"),
            ("{tls_port}", "{tls-port}"),
            ("{scrach}/x", "{scratch}"),
            ("{certficat}", "{certificate}"),
            ("{upsteam}", "{upstream}"),
            ("{upstream_address}", "{upstream-address}"),
            ("{back.prot}", "{back.port}"),
            ("{back.tls_prt}", "{back.tls-port}"),
            ("{back.address}", "{back.port}"),
        ] {
            assert_eq!(near(word).as_deref(), Some(meant), "{word}");
        }
        for word in [
            "{port}",
            "{back.port}",
            "{bakc.port}",
            "{print}",
            "${prot}",
            "{}",
            "{ prot }",
            "{\"prot\": 1}",
            "{a,b}",
            "{os.path}",
            "{",
            "}",
            "{prot",
        ] {
            assert_eq!(near(word), None, "{word}");
        }
        let places =
            |word: &str| unknown(word, &[], &[]).into_iter().map(|u| (u.at, u.alone)).collect::<Vec<_>>();
        assert_eq!(places("é{prot}:{host}"), [(2..8, false), (9..15, true)]);
        assert_eq!(places("{host}"), [(0..6, true)]);
    }
}

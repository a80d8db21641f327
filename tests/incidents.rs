//! The five incidents, replayed as the README says, and the pages beside them: what a page shows in its
//! ```text blocks is what a run prints. Numbers that are of the machine or of chance (times, rates, process
//! ids) are not compared; limits, ceilings and predictions are.
//!
//! Of a page a line "…" stands for lines left out. A line of the chain of limits is compared up to where it
//! is cut, or has a path.

use crate::support::{Called, lastfd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One after the other: each is a load of its own, and so is the rest of this binary.
static ALONE: Mutex<()> = Mutex::new(());

/// Words after a number that make it one of the machine's, or of chance.
const UNITS: [&str; 17] = [
    "s",
    "ms",
    "µs",
    "%",
    "B/s",
    "kB/s",
    "MB/s",
    "failed",
    "clients",
    "a",
    "at",
    "times",
    "of",
    "waiting",
    "calls,",
    "TIME_WAIT",
    "CLOSE_WAIT,",
];
/// What stands before such a number.
const LABELS: [&str; 6] = ["queue", "Recovery", "(all", "of", "pid", "(pid"];

/// Words, with what is of the machine or of chance replaced.
fn masked(text: &str) -> Vec<String> {
    let text = text
        .replace("nobody waiting yet", "0 clients waiting")
        .replace("1 client waiting", "1 clients waiting");
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let bare = |word: &str| word.trim_start_matches('(').trim_end_matches([',', ';', '.', ')']).to_owned();
    (0..words.len())
        .map(|i| {
            let (before, word, after) = (
                i.checked_sub(1).map_or("", |i| words[i]),
                bare(words[i]),
                words.get(i + 1).copied().unwrap_or(""),
            );
            let pid = words[i].starts_with('(') && words[i].ends_with(')') && word.parse::<u32>().is_ok();
            let unit = UNITS.contains(&after) || UNITS.contains(&bare(after).as_str());
            let inode = word.contains("[") && number(word.split('[').nth(1).unwrap_or_default());
            let decimal = number(&word) && word.contains('.') && !word.contains(':');
            if pid
                || inode
                || number(&word) && (unit || decimal || LABELS.contains(&before))
                || word.contains("127.0.0.1")
            {
                "#".to_owned()
            } else {
                words[i].to_owned()
            }
        })
        .collect()
}

/// Whether these words stand in the text, one after the other.
fn stands_in(words: &[String], text: &[String]) -> bool {
    words.is_empty() || text.windows(words.len()).any(|window| window == words)
}

/// Cells of a remedy table, row by row, without the blanks at which they may be broken.
fn rows(lines: &[&str]) -> Vec<Vec<String>> {
    let Some(heading) = lines.iter().find(|line| line.trim_start().starts_with("remedy ")) else {
        return Vec::new();
    };
    let columns = ["remedy", "people believed", "limits", "ceiling", "first failure", "cured"].map(|name| {
        let at = heading.find(name).unwrap_or_else(|| panic!("no column {name:?} in {heading:?}"));
        heading[..at].chars().count()
    });
    let mut rows = vec![vec![String::new(); columns.len()]];
    for line in lines.iter().skip_while(|line| !line.starts_with('═')).skip(1) {
        if line.starts_with('─') {
            rows.push(vec![String::new(); columns.len()]);
            continue;
        }
        for (at, c) in line.chars().enumerate().filter(|(_, c)| !c.is_whitespace()) {
            let column = columns.iter().rposition(|&column| column <= at).unwrap_or(0);
            rows.last_mut().expect("one at least")[column].push(c);
        }
    }
    rows.retain(|row| !row[0].is_empty());
    rows
}

/// The remedy table of this scenario in a text.
fn table(text: &str, scenario: &str) -> Vec<Vec<String>> {
    let title = format!("Remedies: {scenario}");
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != title)
        .skip(1)
        .take_while(|line| !line.is_empty() && *line != "```")
        .collect();
    rows(&lines)
}

/// The paragraphs of a report's excerpt: a line with a label and those that continue it.
fn paragraphs(block: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in block.lines() {
        let starts = !line.starts_with(' ') || line.trim_start().starts_with(['└', '|', '…']);
        match all.last_mut().filter(|last| !starts && last.as_str() != "…") {
            Some(last) => *last += &format!(" {}", line.trim()),
            None => all.push(line.trim().to_owned()),
        }
    }
    all.retain(|paragraph| !paragraph.is_empty() && paragraph != "…");
    all
}

/// A line of the chain as far as it is the same everywhere: the deeper it stands the sooner it is cut, and
/// this program's path is not.
fn link(line: &str) -> Vec<String> {
    let words: Vec<String> = masked(line)
        .into_iter()
        .filter(|word| word != "#")
        .take_while(|word| !word.contains(['…', '/']))
        .take(6)
        .collect();
    if words.ends_with(&["exec".into(), "supervise".into()]) || !words.iter().any(|word| word == "serve") {
        words
    } else {
        words[..2].to_vec()
    }
}

/// What a caller's calls came to, without how many and when.
fn outcomes(paragraph: &str) -> Vec<Vec<String>> {
    let before = paragraph.split(" (").map(|part| part.rsplit(". ").next().unwrap_or_default());
    let all: Vec<Vec<String>> = before.filter(|part| !part.contains("accept queue")).map(masked).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    all
}

/// The incidents, by their folders.
pub const NAMES: [&str; 5] =
    ["statistics-logger", "long-connection", "outbound-time-wait", "grpc-leaked-bodies", "websocket-1012"];

/// `lastfd run @NAME`, once for all tests that read what it prints.
pub fn run(name: &str) -> &'static Called {
    static RUNS: [OnceLock<Called>; NAMES.len()] = [const { OnceLock::new() }; NAMES.len()];
    let place = NAMES.iter().position(|known| *known == name).expect("an incident");
    RUNS[place].get_or_init(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        lastfd(&["run", &format!("@{name}")])
    })
}

/// Compares an incident's page with what its run prints. `chance`: remedies whose ceiling is chance, as the
/// table calls them.
fn replayed(folder: &str, scenarios: &[&str], chance: &[&str]) {
    let called = run(folder);
    let root = rustix::process::geteuid().is_root();
    if called.code == Some(5) && !root {
        eprintln!("skipped in part: this user may not do all of {folder}");
    } else {
        assert_eq!(called.code, Some(0), "{}", called.stdout);
    }
    let page =
        std::fs::read_to_string(format!("{}/scenarios/{folder}/README.md", env!("CARGO_MANIFEST_DIR")))
            .expect("its page");
    compare(&page, called, scenarios, chance);
}

fn compare(page: &str, called: &Called, scenarios: &[&str], chance: &[&str]) {
    for scenario in scenarios {
        let (shown, printed) = (table(page, scenario), table(&called.stdout, scenario));
        let names = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
        assert_eq!(names(&shown), names(&printed), "remedies of {scenario}");
        for (shown, printed) in shown.iter().zip(&printed) {
            if printed[5].starts_with("notknown") || printed[5].starts_with("skipped") {
                eprintln!("skipped: {scenario} / {}: {}", printed[0], printed[5]);
            } else if chance.iter().any(|name| name.replace(' ', "") == printed[0]) {
                // Of a service that accepts as well, who fails first is chance too: whoever asks next.
                let same = if scenario.ends_with("/service") { &[0, 1, 2][..] } else { &[0, 1, 2, 4] };
                assert!(
                    same.iter().all(|&column| shown[column] == printed[column]),
                    "a row of {scenario}: {shown:?}, {printed:?}"
                );
            } else {
                assert_eq!(shown, printed, "a row of {scenario}");
            }
        }
    }
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("text\n"));
    let excerpts = blocks.filter(|block| !block.starts_with("Remedies: "));
    let compared: usize = excerpts.map(|block| shown(block, &called.stdout)).sum();
    assert!(compared >= 3, "only {compared} paragraphs of the report are on the page");
}

/// Asserts that each paragraph of an excerpt stands in what was printed; how many there are.
pub fn shown(block: &str, stdout: &str) -> usize {
    let printed = masked(stdout);
    let lines: Vec<Vec<String>> = stdout.lines().map(link).collect();
    let paragraphs = paragraphs(block);
    for paragraph in &paragraphs {
        let found = match paragraph.starts_with('└') {
            true => {
                let here = paragraph.contains("← set here");
                let words = link(paragraph);
                assert!(words.len() > 1, "nothing to compare in {paragraph:?}");
                let stands = |(line, found): (&str, &Vec<String>)| {
                    found.starts_with(&words) && (!here || line.contains("← set here"))
                };
                stdout.lines().zip(&lines).any(stands)
            }
            // What the program wrote is cut at the end of the line.
            false if paragraph.starts_with('|') => stands_in(&link(paragraph), &printed),
            // What the listener looked like at each of these is chance.
            false if paragraph.starts_with("A caller") => {
                outcomes(paragraph).iter().all(|words| stands_in(words, &printed))
            }
            false => stands_in(&masked(paragraph), &printed),
        };
        assert!(
            found,
            "the page shows {paragraph:?}, as {:?}, which is not in:\n{stdout}",
            masked(paragraph)
        );
    }
    paragraphs.len()
}

#[test]
fn the_statistics_logger_is_replayed_as_its_page_says() {
    replayed("statistics-logger", &["statistics-logger"], &[]);
}

#[test]
fn the_long_connection_server_is_replayed_as_its_page_says() {
    replayed("long-connection", &["long-connection"], &[]);
}

#[test]
fn the_outbound_service_is_replayed_as_its_page_says() {
    replayed("outbound-time-wait", &["outbound-time-wait"], &[]);
}

#[test]
fn the_grpc_caller_and_the_leaked_bodies_are_replayed_as_their_page_says() {
    // Under concurrency the number of calls before the first failure is chance, and with it what became of
    // it.
    let chance = ["(none)", "certificate cached", "shared; uploads, 30 clients"];
    let compared_with_chance =
        ["left open, one at a time", "left open, cached, one at a time", "shared; uploads"];
    replayed(
        "grpc-leaked-bodies",
        &["grpc-leaked-bodies/calls", "grpc-leaked-bodies/service"],
        &[&chance[..], &compared_with_chance].concat(),
    );
}

#[test]
fn the_websocket_push_server_is_replayed_as_its_page_says() {
    replayed("websocket-1012", &["websocket-1012"], &[]);
}

#[test]
fn tables_and_paragraphs_are_compared_however_they_are_wrapped() {
    let wide = "Remedies: x\n─\n remedy     people believed   limits   ceiling   first failure   cured\n═\n a word     it is             64:64    52        accept4         no\n─\n";
    let narrow = "Remedies: x\n─\n remedy   people believed   limits   ceiling   first failure   cured\n═\n a        it                64:64    52        accept4         no\n word     is\n─\n";
    assert_eq!(table(wide, "x"), [["aword", "itis", "64:64", "52", "accept4", "no"]]);
    assert_eq!(table(wide, "x"), table(narrow, "x"));
    assert_eq!(
        masked("a limit of 64, after 0.125 s, (4711) of 100 kB/s"),
        masked("a limit of 64, after 7.5 s, (12) of 3 kB/s")
    );
    assert_ne!(masked("52 accepted, then"), masked("53 accepted, then"));
}

/// A supervisor that refuses where `hard` is below its minfds, and starts a server otherwise; run with this
/// expectation.
fn supervised(hard: u32, expect: &str) -> Called {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.scenario.toml");
    let text = format!(
        r#"
        claim = "a supervisor refuses what it may not set"
        [processes.server]
        serve.tcp = {{ accept = "backoff" }}
        launcher.supervisor-like = {{ minfds = 9000000 }}
        limits = {{ soft = 48, hard = 64 }}
        [workloads.flood]
        tcp = {{ clients = 80 }}
        [expect]
        ceiling = "soft - baseline"
        [[variant]]
        name = "this"
        set = {{ "processes.server.launcher" = {{ supervisor-like = {{ minfds = {hard} }} }} }}
        expect = {expect}
        "#
    );
    std::fs::write(&path, text).expect("written");
    lastfd(&["run", "--variant", "this", "--json", "-", path.to_str().expect("UTF-8")])
}

#[test]
fn a_refusal_is_met_only_as_it_is_expected_and_only_where_it_comes() {
    let refused = supervised(9_000_000, "{ not-started = { exit-status = 2, says = 'minfds is 9000000' } }");
    assert_eq!((refused.code, refused.run()["verdict"].as_str()), (Some(0), Some("met")), "{refused:?}");
    assert_eq!(refused.run()["not_started"]["exit_status"], 2);
    for other in ["{ exit-status = 3 }", "{ says = 'out of memory' }"] {
        let refused = supervised(9_000_000, &format!("{{ not-started = {other} }}"));
        assert_eq!(
            (refused.code, refused.run()["verdict"].as_str()),
            (Some(6), Some("not-met")),
            "{refused:?}"
        );
    }
    let started = supervised(56, "{ not-started = {} }");
    assert_eq!(
        (started.code, started.run()["reasons"][0]["observed"].as_str()),
        (Some(1), Some("it started")),
        "{started:?}"
    );
    let either = supervised(
        56,
        "{ limits = { soft = 56 }, ceiling = 'soft - baseline', not-started = { exit-status = 2 } }",
    );
    assert_eq!((either.code, either.run()["expectations_judged"].as_u64()), (Some(0), Some(2)), "{either:?}");
}

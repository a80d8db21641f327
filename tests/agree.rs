//! Every log that is told or recorded, in every format: one quantity has one number, and no count exceeds
//! what is possible.

use crate::log;
use crate::support::recordings;
use lastfd::internal::event::Log;
use lastfd::internal::report::{self, Report, explain, short};
use lastfd::internal::scenario::Plan;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One run in every format.
struct Rendered {
    name: String,
    report: Report,
    json: Value,
    /// Each with its format's name, as one line.
    texts: Vec<(&'static str, String)>,
}

fn rendered(name: &str, plan: &Plan, log: &Log) -> Rendered {
    let report = Report::of(plan, log);
    let one = std::slice::from_ref(&report);
    let whole: Value = serde_json::from_str(&report::json::render(one)).expect("a JSON report");
    let texts = [
        ("terminal", report::terminal::render(one, false, 100)),
        ("full", report::terminal::render_full(one, false, 100)),
        ("markdown", decoded(report::markdown::render(one))),
        ("junit", decoded(report::junit::render(one))),
        ("explain", explain::run(&report, log, false, 100)),
        ("html", of_html(&report::html::render(one))),
    ];
    let texts = texts.map(|(format, text)| (format, unwrapped(&text))).into();
    Rendered { name: name.to_owned(), json: whole["runs"][0].clone(), report, texts }
}

fn all() -> &'static [Rendered] {
    static ALL: OnceLock<Vec<Rendered>> = OnceLock::new();
    ALL.get_or_init(every_log)
}

fn every_log() -> Vec<Rendered> {
    let small = log::all().map(|(name, plan, log, _)| rendered(name, &plan, &log));
    small.chain(recordings().iter().map(|(name, plan, log)| rendered(name, plan, log))).collect()
}

/// Without the escapes of XML and of Markdown.
fn decoded(text: String) -> String {
    let escapes =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&"), ("\\|", "|")];
    escapes.iter().fold(text, |text, (escaped, plain)| text.replace(escaped, plain))
}

/// The text of a page without its pictures and their tables; code stands between backquotes.
fn of_html(page: &str) -> String {
    let (_, body) = page.split_once("<body>").expect("a body");
    let mut body = body.replace("<code>", "`").replace("</code>", "`");
    while let Some(at) = body.find("<svg") {
        let end = at + crate::html::svg(&body[at..]).len();
        body.replace_range(at..end, "");
    }
    for (begin, end) in [("<figure>", "</figure>"), ("<details>", "</details>")] {
        while let Some((before, rest)) = body.split_once(begin) {
            body = format!("{before}{}", rest.split_once(end).expect("its end").1);
        }
    }
    let text = |piece: &str| piece.split_once('>').map_or(piece.to_owned(), |(_, text)| format!(" {text}"));
    decoded(body.split('<').map(text).collect())
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers that stand for `{}` in this pattern, wherever the text has the words around it.
fn numbers(text: &str, pattern: &str) -> Vec<f64> {
    let (before, after) = pattern.split_once("{}").expect("a place for the number");
    let digit = |c: char| c.is_ascii_digit() || c == '.';
    let mut found = Vec::new();
    for (at, _) in text.match_indices(before) {
        let rest = &text[at + before.len()..];
        // What ends in a full stop is a sentence, not a fraction.
        let number = &rest[..rest.find(|c| !digit(c)).unwrap_or(rest.len())];
        let number = number.trim_end_matches('.');
        let alone = before.is_empty() && text[..at].ends_with(digit);
        if !alone && rest[number.len()..].starts_with(after) {
            found.extend(number.parse::<f64>());
        }
    }
    found
}

/// The numbers before these words.
fn before(text: &str, words: &str) -> Vec<f64> {
    text.match_indices(words)
        .filter_map(|(at, _)| {
            let head = text[..at].trim_end();
            let start = head
                .rfind(|c: char| !c.is_ascii_digit())
                .map_or(0, |last| last + head[last..].chars().next().map_or(1, char::len_utf8));
            head[start..].parse().ok()
        })
        .collect()
}

/// A quantity: its place in the JSON report, and how texts say it.
struct Quantity {
    place: &'static str,
    said: &'static [&'static str],
}

const fn quantity(place: &'static str, said: &'static [&'static str]) -> Quantity {
    Quantity { place, said }
}

/// `{}` first: the number before these words.
const QUANTITIES: &[Quantity] = &[
    quantity(
        "ceiling.capacity|ceiling.accepted",
        &["was full at {} connection", "while it held {} connection", "accepted all {} connection"],
    ),
    quantity("ceiling.calls", &["ran out of descriptors after {} answered call"]),
    quantity(
        "limits.effective.soft",
        &[
            "connections (soft limit of {},",
            "answered calls (soft limit of {},",
            "answered calls (soft limit of {}:",
        ],
    ),
    quantity("baseline.descriptors", &["Already open {} descriptor", "It was then {} descriptor"]),
    quantity("baseline.counted", &["{} already open"]),
    quantity("prediction.ceiling", &["Predicted {} connection", "Predicted {} call"]),
    quantity("ceiling.connected", &["Clients {} clients connected:", "Clients {} client connected:"]),
    quantity("ceiling.served", &["connected: {} answered and held", "connected: all {} answered and held"]),
    quantity(
        "saturation.clients_account.waiting",
        &["while {} clients wait,", "; {} clients wait.", "; {} clients wait;", "; {} client waits."],
    ),
    quantity(
        "saturation.clients_account.exit.clients",
        &["; {} clients lost their connection", ": {} clients lost their connection"],
    ),
    quantity("recovery.leaked", &["over, {} extra descriptors stay", "left, {} extra descriptors stay"]),
    quantity("recovery.waiters", &[" of the {} that waited", "left: all {} that waited"]),
    quantity(
        "recovery.new_client_served_s",
        &["a new one was served {} s later", "another one was answered {} s later"],
    ),
    quantity(
        "timings.to_first_failure_s",
        &[
            "failed with EMFILE {} s after the server started;",
            "failed with EMFILE {} s after the server started.",
            "failed with EMFILE {} s after the caller started.",
        ],
    ),
];

/// The value at this place, or at the next one where it is null.
fn at<'a>(json: &'a Value, places: &str) -> &'a Value {
    let values = places.split('|').map(|place| place.split('.').fold(json, |value, key| &value[key]));
    values.reduce(|value, next| if value.is_null() { next } else { value }).expect("a place")
}

#[test]
fn every_text_says_the_numbers_of_the_json_report() {
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    for run in all() {
        for quantity in QUANTITIES {
            let value = at(&run.json, quantity.place).as_f64();
            for (format, text) in &run.texts {
                for said in quantity.said.iter().flat_map(|pattern| match pattern.strip_prefix("{} ") {
                    Some(words) => before(text, words),
                    None => numbers(text, pattern),
                }) {
                    let agrees = value.is_some_and(|value| (value - said).abs() < 0.000_501);
                    assert!(
                        agrees,
                        "{}: {} is {value:?}, and {format} says {said}\n{text}",
                        run.name, quantity.place
                    );
                    *compared.entry(quantity.place).or_default() += 1;
                }
            }
        }
    }
    // A sentence that is worded anew takes its pattern here with it.
    for quantity in QUANTITIES {
        assert!(compared.get(quantity.place).is_some_and(|n| *n >= 4), "{}: {compared:?}", quantity.place);
    }
}

/// A sum in brackets: the limit, each number beside it, and whether these are all of the limit.
fn sum_of(text: &str) -> Option<(i64, Vec<i64>, bool)> {
    let said = text.split_once("(soft limit of ")?.1;
    let said = &said[..said.find(')')?];
    let all = said.contains(": ");
    let parts = said.replace(": ", ", ").replace(" and ", ", ").replace("minus ", "-").replace("plus ", "+");
    let parts = parts.split(", ").filter(|part| !part.starts_with("set by "));
    let mut parts = parts.map(|part| part.split(' ').next().and_then(|n| n.parse().ok()));
    Some((parts.next()??, parts.collect::<Option<_>>()?, all))
}

#[test]
fn the_sum_of_the_headline_leaves_the_ceiling_or_is_all_of_the_limit() {
    let (mut leave, mut take_all) = (0, 0);
    for run in all() {
        let paragraph = short::paragraph(&run.report);
        let Some((soft, terms, all)) = sum_of(&paragraph) else { continue };
        let numbers = || terms.iter();
        let ceiling = ["calls", "capacity", "accepted"].map(|key| run.json["ceiling"][key].as_i64());
        let ceiling = ceiling.into_iter().flatten().next();
        if all {
            assert_eq!(numbers().sum::<i64>(), soft, "{}: {paragraph}", run.name);
            take_all += 1;
        } else if numbers().all(|n| *n < 0) {
            assert_eq!(Some(soft + numbers().sum::<i64>()), ceiling, "{}: {paragraph}", run.name);
            leave += 1;
        }
    }
    assert!(leave > 100 && take_all > 5, "{leave} sums leave the ceiling, {take_all} take all of the limit");
}

#[test]
fn as_many_calls_fill_the_limit_as_were_predicted() {
    let mut compared = 0;
    for run in all() {
        let leaks = run.json["leaks"].as_array().into_iter().flatten();
        let slope: f64 = leaks.filter_map(|leak| leak["slope"].as_f64()).sum();
        let predicted = &run.json["prediction"];
        if predicted["descriptors_per_connection"].as_f64() != Some(slope) {
            continue;
        }
        for said in numbers(&short::paragraph(&run.report), "; about {} calls fill its limit") {
            assert_eq!(predicted["ceiling"].as_f64(), Some(said), "{}", run.name);
            compared += 1;
        }
    }
    assert!(compared >= 2, "{compared}");
}

#[test]
fn every_client_is_counted_once_and_no_count_exceeds_what_is_possible() {
    for run in all() {
        let number = |place: &str| at(&run.json, place).as_u64();
        let account = |key: &str| number(&format!("saturation.clients_account.{key}"));
        let name = &run.name;
        if let Some(connected) = account("connected") {
            let parts = ["held", "held_with_error", "waiting", "turned_away", "closed"]
                .map(|key| account(key).unwrap());
            let lost = account("exit.clients").unwrap_or(0) + account("left").unwrap_or(0);
            assert_eq!(
                parts.iter().sum::<u64>() + lost,
                connected,
                "{name}: {}",
                run.json["saturation"]["clients_account"]
            );
            assert_eq!(number("ceiling.connected"), Some(connected), "{name}");
            let next = run.json["saturation"]["clients"]["next"].as_array().unwrap();
            let next: u64 = next.iter().map(|got| got["clients"].as_u64().unwrap()).sum();
            let came = connected + account("timed_out").unwrap() + account("refused").unwrap();
            assert!(next <= came, "{name}: {next} of {came} came next");
        }
        let (served, connected) = (number("ceiling.served"), number("ceiling.connected"));
        assert!(served.is_none() || served <= connected, "{name}: {served:?} served of {connected:?}");
        possible_under_the_limit(run);
        let total = at(&run.json, "timings.total_s").as_f64().unwrap_or(f64::MAX);
        for (format, text) in &run.texts {
            for cost in numbers(text, "failed calls: {} s at most") {
                assert!(cost <= total + 0.000_5, "{name}: {format} says {cost} s of {total} s");
            }
        }
    }
}

/// Of one process that hands nothing over: its connections and what is listed at rest have numbers below its
/// limit.
fn possible_under_the_limit(run: &Rendered) {
    let number = |place: &str| at(&run.json, place).as_u64();
    let several = run.json["ceiling"]["per_process"].as_array().is_some_and(|all| all.len() > 1);
    let handed = !run.json["ceiling"]["handed_over"].is_null();
    let (Some(soft), Some(accepted), false) =
        (number("limits.effective.soft"), number("ceiling.accepted"), several || handed)
    else {
        return;
    };
    let listed = run.json["baseline"]["inventory"].as_array().unwrap();
    let below = listed.iter().filter(|d| d["fd"].as_u64().is_some_and(|fd| fd < soft)).count() as u64;
    let closed = run.json["ceiling"]["others"].as_i64().filter(|n| *n < 0).map_or(0, i64::unsigned_abs);
    assert!(accepted + below <= soft + closed, "{}: {accepted} and {below} under {soft}", run.name);
}

#[test]
fn the_first_paragraph_is_at_most_four_lines_and_the_same_in_every_format() {
    for run in all() {
        let paragraph = short::paragraph(&run.report);
        let lines = lines_of(&paragraph, 100);
        assert!(lines <= short::LINES, "{}: {lines} lines\n{paragraph}", run.name);
        assert!(paragraph.starts_with(char::is_uppercase), "{}: {paragraph}", run.name);
        // Of one that is as it was expected to be, a row of the table says enough.
        let verdict = &run.report.verdict;
        let met = verdict.outcome == lastfd::Outcome::Met && verdict.judged > 0;
        for (format, text) in run.texts.iter().filter(|(format, _)| *format != "explain") {
            let shown = *format != "markdown" || !met;
            assert_eq!(text.contains(&paragraph), shown, "{}: {format}\n{paragraph}\n{text}", run.name);
        }
    }
}

/// Clients of another port, those that are asked what a new one gets, and one that was on its way.
const BESIDE: u64 = 4;

#[test]
fn clients_that_wait_are_those_in_the_accept_queue() {
    let mut compared = 0;
    for run in all() {
        let saturation = &run.json["saturation"];
        let lives =
            !["exits", "worker-restarts", "sheds", "none"].map(Some).contains(&saturation["policy"].as_str());
        let of_queue = |what: &str| saturation["accept_queue"][what].as_u64();
        // A full queue holds back the others.
        let full = of_queue("length") >= of_queue("capacity");
        let queue = of_queue("length").filter(|n| *n > 0 && !full);
        let Some((queue, waiting)) = queue.zip(saturation["clients_account"]["waiting"].as_u64()) else {
            continue;
        };
        let agree = (waiting..=waiting + BESIDE).contains(&queue);
        assert!(agree || !lives, "{}: {waiting} wait, and {queue} are in the queue", run.name);
        compared += usize::from(lives);
    }
    assert!(compared > 20, "{compared} runs have a queue and an account");
}

/// Lines that words take, none broken.
fn lines_of(text: &str, width: usize) -> usize {
    let mut lines = vec![0];
    for word in text.split_whitespace().map(|word| word.chars().count()) {
        let last = lines.last_mut().expect("one at least");
        match *last {
            0 => *last = word,
            used if used + 1 + word <= width => *last += 1 + word,
            _ => lines.push(word),
        }
    }
    lines.len()
}

/// What a first paragraph says of each question, where it applies.
fn unanswered(run: &Rendered) -> Vec<&'static str> {
    let paragraph = short::paragraph(&run.report);
    let says = |words: &[&str]| words.iter().any(|word| paragraph.contains(word));
    // What it does stands after what happened.
    let after = paragraph.split_once("EMFILE").map_or("", |(_, after)| after);
    let does = |words: &[&str]| words.iter().any(|word| after.contains(word));
    let policy = run.json["saturation"]["policy"].as_str().unwrap_or("none");
    let leaks = paragraph.contains("only delays the failure");
    let exits = ["exits", "worker-restarts"].contains(&policy);
    let recovery = run.json["recovery"]["verdict"].as_str();
    let questions = [
        ("why there", says(&["failed with EMFILE"])),
        ("who set the limit", leaks || says(&["set the soft limit", " set by ", "raised "])),
        (
            "what it does there",
            ["none", "unclear"].contains(&policy)
                || does(&[
                    "The server ",
                    "It served only",
                    "It answered only",
                    "The worker exited",
                    "how it retries",
                    " got \"",
                ]),
        ),
        (
            "whether it recovers",
            recovery.is_none()
                || exits
                || says(&["ecovers", "It leaks", "It is stuck", "When its limit", "exited"]),
        ),
        ("what to do", says(&["raise ", "Close ", "fix the leak", "Restart it", "Make it"])),
    ];
    questions.into_iter().filter(|(_, answered)| !answered).map(|(question, _)| question).collect()
}

#[test]
fn where_descriptors_ran_out_the_first_paragraph_answers_every_question() {
    let ran_out = |run: &&Rendered| {
        let stopped = run.json["ceiling"]["kind"] == "emfile"
            && run.json["ceiling"]["first_failure"]["reason"].is_null();
        stopped && run.json["verdict"] != "inconclusive"
    };
    let all: Vec<&Rendered> = all().iter().filter(ran_out).collect();
    let unanswered: Vec<String> = all
        .iter()
        .filter_map(|run| {
            let missing = unanswered(run);
            let paragraph = short::paragraph(&run.report);
            (!missing.is_empty()).then(|| format!("{}: {missing:?}: {paragraph}", run.name))
        })
        .collect();
    assert!(all.len() >= 60 && unanswered.is_empty(), "of {}:\n{}", all.len(), unanswered.join("\n"));
}

/// Where no call but the followed one fails, its rate is the cost.
#[test]
fn the_rate_of_failed_calls_is_the_same_among_the_evidence_and_the_costs() {
    let mut compared = 0;
    for run in all()
        .iter()
        .filter(|run| run.json["saturation"]["failed_calls"].as_array().is_some_and(Vec::is_empty))
    {
        for (format, text) in &run.texts {
            let rates = ["without a pause: {} failed accept4 calls a second", ", {} failed system calls/s"];
            let rates: Vec<f64> = rates.iter().flat_map(|pattern| numbers(text, pattern)).collect();
            let same = rates.windows(2).all(|pair| pair[0] == pair[1]);
            assert!(same, "{}: {format} says {rates:?} failed calls a second\n{text}", run.name);
            compared += usize::from(rates.len() > 1);
        }
    }
    assert!(compared >= 10, "only {compared} texts give two rates");
}

//! The HTML report: the same bytes for the same events, valid, small and harmless whatever a subject is
//! called and says, and readable again from the log that it carries.

use crate::log::{self, SERVER, ms};
use crate::support::{LASTFD, RECORDED, lastfd, recordings};
use base64::Engine;
use flate2::read::GzDecoder;
use lastfd::internal::event::{self, BEFORE, Call, Event, Log, LogError, Phase, What};
use lastfd::internal::measure::{Happened, OpenKind};
use lastfd::internal::report::html::{self, ALL_BYTES, RUN_BYTES};
use lastfd::internal::report::words::judged;
use lastfd::internal::report::{Report, short};
use lastfd::internal::scenario::Plan;
use scraper::{ElementRef, Html, Selector};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// Elements that could run something, or ask for something.
const ACTIVE: &str = "script, link, iframe, object, embed, img, image, audio, video, form, base, use, foreignObject, \
                      meta[http-equiv=refresh]";

/// One run, and its page, which carries its log.
struct Page {
    name: String,
    report: Report,
    text: String,
}

fn page(name: &str, plan: &Plan, log: &Log) -> Page {
    let report = Report::of(plan, log).carrying(log, Some("events.jsonl".into()));
    Page { name: name.to_owned(), text: html::render(std::slice::from_ref(&report)), report }
}

/// Those of every recorded run.
fn pages() -> &'static [Page] {
    static ALL: OnceLock<Vec<Page>> = OnceLock::new();
    ALL.get_or_init(|| recordings().iter().map(|(name, plan, log)| page(name, plan, log)).collect())
}

/// Without the logs that it carries.
fn without_logs(page: &str) -> String {
    let mut pieces = page.split(BEFORE);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('"').expect("a log has an end").1)
}

fn all<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    document.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

/// What every page must be, whatever is in it.
pub fn is_sound(name: &str, page: &str) -> Html {
    let document = Html::parse_document(page);
    assert!(document.errors.is_empty(), "{name}: {:?}", &document.errors[..document.errors.len().min(5)]);
    let active: Vec<_> = all(&document, ACTIVE).iter().map(|element| element.html()).collect();
    assert_eq!(active, Vec::<String>::new(), "{name}");
    let mut ids = HashSet::new();
    for element in all(&document, "*") {
        for (attribute, value) in element.value().attrs() {
            assert!(!attribute.starts_with("on") && attribute != "style", "{name}: {attribute}={value}");
            let link = matches!(attribute, "href" | "src" | "action");
            let inside =
                value.starts_with('#') || value.starts_with("data:application/x-lastfd-events+gzip;");
            assert!(!link || inside, "{name}: {attribute}={value}");
            if attribute == "id" {
                assert!(ids.insert(value.to_owned()), "{name}: two elements are {value}");
            }
        }
    }
    for reference in all(&document, "[aria-labelledby], [aria-describedby]") {
        for attribute in ["aria-labelledby", "aria-describedby"] {
            let named = reference.attr(attribute);
            assert!(named.is_none_or(|id| ids.contains(id)), "{name}: {attribute} {named:?}");
        }
    }
    allows_its_style_only(name, &document);
    pictures_are_described(name, page, &document);
    headings_are_in_order(name, &document);
    let bad = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!page.contains(bad), "{name}");
    document
}

/// The browser compares this hash with that of the style: otherwise it does not apply it.
fn allows_its_style_only(name: &str, document: &Html) {
    let policy = all(document, "meta[http-equiv=Content-Security-Policy]");
    let policy = policy[0].attr("content").expect("a policy");
    let style = Sha256::digest(text(all(document, "style")[0]));
    let hash = base64::engine::general_purpose::STANDARD.encode(style);
    assert!(policy.starts_with("default-src 'none'; "), "{name}: {policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{name}: {policy}");
    assert!(!policy.contains("unsafe"), "{name}: {policy}");
}

fn pictures_are_described(name: &str, page: &str, document: &Html) {
    // One inside of another is a part of it.
    let (mut pictures, mut rest) = (Vec::new(), page);
    while let Some(at) = rest.find("<svg") {
        let picture = svg(&rest[at..]);
        pictures.push(picture);
        rest = &rest[at + picture.len()..];
    }
    for picture in pictures.iter().take(60) {
        let parsed = roxmltree::Document::parse(picture).unwrap_or_else(|e| panic!("{name}: {e}\n{picture}"));
        let root = parsed.root_element();
        let described = |tag| root.children().any(|child| child.has_tag_name(tag) && child.text().is_some());
        let hidden = root.attribute("aria-hidden") == Some("true");
        assert!(hidden || described("title") && described("desc"), "{name}: {picture}");
    }
    for figure in all(document, "figure") {
        let tables = Selector::parse("details table").expect("a selector");
        assert!(figure.select(&tables).next().is_some(), "{name}: {}", figure.html());
    }
}

/// The element that the text begins with.
pub fn svg(text: &str) -> &str {
    let (mut depth, mut at) = (0, 0);
    loop {
        let opens = text[at..].find("<svg").map(|n| at + n);
        let closes = at + text[at..].find("</svg>").expect("every picture ends");
        match opens.filter(|opens| *opens < closes) {
            Some(opens) => (depth, at) = (depth + 1, opens + 4),
            None if depth == 1 => return &text[..closes + 6],
            None => (depth, at) = (depth - 1, closes + 6),
        }
    }
}

fn headings_are_in_order(name: &str, document: &Html) {
    let mut before = 0;
    for heading in all(document, "h1, h2, h3, h4, h5, h6") {
        let level: u32 = heading.value().name()[1..].parse().expect("a level");
        assert!(level <= before + 1, "{name}: {}", heading.html());
        before = level;
    }
    assert_eq!(all(document, "h1").len(), 1, "{name}");
    assert_eq!(all(document, "main").len(), 1, "{name}");
}

#[test]
fn every_recorded_and_told_run_is_a_sound_page_of_bounded_size() {
    let told: Vec<Page> = log::all().map(|(name, plan, log, _)| page(name, &plan, &log)).collect();
    let mut drawn = 0;
    for Page { name, text, .. } in told.iter().chain(pages()) {
        let document = is_sound(name, text);
        let bytes = without_logs(text).len();
        assert!(bytes <= RUN_BYTES, "{name}: {bytes} bytes");
        drawn += usize::from(!all(&document, "path.line").is_empty());
    }
    assert!(drawn > 200, "{drawn} runs have a picture over time");
}

#[test]
fn the_log_inside_of_a_page_makes_the_same_findings_and_the_same_bytes() {
    for (Page { name, report, text }, (_, plan, log)) in pages().iter().zip(recordings()) {
        let again = event::logs(name, text.as_bytes()).unwrap_or_else(|e| panic!("{e}")).remove(0);
        assert_eq!(again.events.len(), log.events.len(), "{name}");
        let again = page(name, plan, &again);
        assert_eq!(again.report, *report, "{name}");
        assert!(again.text == *text, "{name}: other bytes");
    }
}

#[test]
fn sixty_four_runs_take_no_more_than_a_megabyte_beside_their_logs() {
    let mut largest: Vec<&Page> = pages().iter().collect();
    largest.sort_by_key(|page| std::cmp::Reverse(without_logs(&page.text).len()));
    let runs: Vec<Report> = largest.iter().take(64).map(|page| page.report.clone()).collect();
    let page = html::render(&runs);
    let document = is_sound("64 runs", &page);
    let bytes = without_logs(&page).len();
    assert!(bytes <= ALL_BYTES, "{bytes} bytes");
    let index = all(&document, ".index tbody tr");
    assert_eq!(index.len(), 64);
    for (nth, run) in runs.iter().enumerate() {
        let link = format!("#run-{}", nth + 1);
        let row = index.iter().find(|row| row.html().contains(&format!("\"{link}\""))).expect("its row");
        let (mark, verdict) = judged::verdict(&run.verdict);
        assert!(text(*row).trim_start().starts_with(&format!("{mark} {verdict}")), "{}", row.html());
    }
    // Those that need a reader come first.
    let met: Vec<bool> = index.iter().map(|row| row.html().contains("verdict me")).collect();
    assert!(met.is_sorted(), "{met:?}");
    assert_eq!(all(&document, "article.run").len(), 64);
    assert_eq!(event::logs("64 runs", page.as_bytes()).expect("all of them").len(), 64);
}

/// What a subject may be called, and say.
const HOSTILE: &str = "</title></style></svg>--><script>alert(1)</script>\u{0}\u{7}\u{1b}[31m\u{202e}\"'` onload=x \
                       href=\"data:application/x-lastfd-events+gzip;base64,AAAA\" &amp; ]]>\u{fffe}";

fn hostile_story() -> (Plan, Log) {
    let long = HOSTILE.repeat(10 << 20 >> 7);
    let (mut plan, log) = log::told("spin");
    let mut events = log.events;
    plan.claim = long.clone();
    plan.scenario = HOSTILE.into();
    plan.variant = Some(long.clone());
    for event in &mut events {
        match &mut event.is {
            What::Launched { argv, launcher, .. } => {
                (*argv, *launcher) = (vec![HOSTILE.into(), long.clone()], HOSTILE.into());
            }
            What::Chain { links, .. } => {
                links.iter_mut().for_each(|link| link.command = HOSTILE.into());
                links[0].command = long.clone();
            }
            What::Baseline { inventory, .. } => inventory.iter_mut().for_each(|d| {
                d.detail = long.clone();
            }),
            What::Output { line } => *line = long.clone(),
            What::Header { environment, started_at, .. } => {
                (environment.kernel, *started_at) = (HOSTILE.into(), HOSTILE.into());
            }
            _ => {}
        }
    }
    (plan, Log::new(events))
}

#[test]
fn names_and_logs_that_mean_harm_stay_text_and_stay_small() {
    let (plan, log) = hostile_story();
    let report = Report::of(&plan, &log);
    for runs in [vec![report.clone()], vec![report.clone(), report]] {
        let page = html::render(&runs);
        let document = is_sound("hostile", &page);
        assert!(page.len() <= RUN_BYTES * runs.len(), "{} bytes", page.len());
        // It is shown, and as text.
        let shown = text(all(&document, "main")[0]);
        assert!(shown.contains("<script>alert(1)</script>"), "{}", &shown[..2_000]);
    }
}

/// A million events: failures one by one, and as many readings.
fn a_million() -> (Plan, Log) {
    let (plan, log) = log::told("spin");
    let saturate = log::began(&log.events, Phase::Saturate);
    let mut events = log.events;
    let sample = events.iter().find(|event| matches!(event.is, What::Sample { .. })).expect("one").clone();
    let failed = events.iter().find(|event| log::failed(event)).expect("one").clone();
    for n in 0..500_000u64 {
        events.push(Event { at: saturate + 1_000 + n * 1_999, ..failed.clone() });
        let What::Sample { pid, queue, log_bytes, .. } = sample.is else { unreachable!("it is one") };
        let (descriptors, cpu_s) = (16 + n % 7, n as f64 * 1e-6);
        let is = What::Sample { pid, descriptors, queue, cpu_s, log_bytes: log_bytes + n * n % 1_000_003 };
        events.push(Event { at: saturate + 1_500 + n * 1_999 + n * 7_919 % 331, is });
    }
    (plan, Log::new(events))
}

#[test]
fn a_million_events_make_a_small_page_whose_log_is_thinned_and_says_so() {
    let (plan, log) = a_million();
    let Page { report, text: whole, .. } = page("a million", &plan, &log);
    let document = is_sound("a million", &whole);
    let bytes = without_logs(&whole).len();
    assert!(bytes <= RUN_BYTES, "{bytes} bytes");
    assert!(whole.len() - bytes <= 1 << 20, "{} bytes of log", whole.len() - bytes);
    let said = text(all(&document, "main")[0]);
    assert!(said.contains("thinned from") && said.contains("events.jsonl"), "{said}");
    let thinned = event::logs("a million", whole.as_bytes()).expect("a log").remove(0);
    assert!(thinned.events.len() < 100_000, "{}", thinned.events.len());
    // Where it stopped and who holds is what it was.
    let Page { report: after, text: again, .. } = page("thinned", &plan, &thinned);
    assert_eq!(report.found.ceiling, after.found.ceiling);
    assert_eq!(report.found.clients_account, after.found.clients_account);
    assert_eq!(after.found.made.thinned_from, Some(log.events.len() as u64));
    assert_eq!(report.found.made.thinned_from, None);
    let said = text(all(&Html::parse_document(&again), "main")[0]);
    assert!(said.contains("was thinned to fit into a report"), "{said}");
}

#[test]
fn a_log_that_stays_too_long_is_not_carried_and_its_file_is_named() {
    let (plan, log) = log::told("spin");
    let report = Report::of(&plan, &log);
    let noise = |n: u64| {
        format!(
            "{:x}",
            Sha256::digest(n.to_le_bytes()).iter().fold(0u128, |all, byte| all << 5 ^ u128::from(*byte))
        )
    };
    let lines = (0..60_000).map(|n| log::event(50.0, What::Output { line: noise(n) }));
    let long = Log::new(log.events.iter().cloned().chain(lines).collect());
    let page = html::render(&[report.carrying(&long, Some("run.jsonl".into()))]);
    let document = is_sound("too long", &page);
    let said = text(all(&document, "main")[0]);
    assert!(said.contains("too long for this report") && said.contains("run.jsonl"), "{said}");
    assert!(matches!(event::logs("page", page.as_bytes()), Err(LogError::Foreign { .. })));
}

#[test]
fn what_is_drawn_can_be_counted() {
    let (plan, log) = log::told("spin");
    let found = Report::of(&plan, &log).found;
    let timeline = &found.timeline;
    let columns = timeline.begins_s.len();
    assert_eq!(timeline.phases.iter().map(|stretch| stretch.columns).sum::<usize>(), columns);
    let stack = timeline.stack.as_ref().expect("calls were seen");
    let most = |kind: OpenKind| {
        let band = stack.kinds.iter().find(|(of, _)| *of == kind);
        band.and_then(|(_, open)| open.iter().max().copied())
    };
    assert_eq!((most(OpenKind::AtRest), most(OpenKind::Connection)), (Some(8), Some(8)));
    assert_eq!(most(OpenKind::File), None, "a kind that was never open has no band");
    let highest = timeline.over.descriptors.iter().flatten().map(|range| range.high).fold(0.0, f64::max);
    assert_eq!(highest, f64::from(u32::try_from(SERVER.soft).expect("a small limit")));
    assert_eq!(timeline.soft.iter().map(|soft| soft.soft).collect::<Vec<_>>(), [SERVER.soft]);
    let first = timeline.moments.iter().find(|moment| moment.what == Happened::FirstFailure);
    let failure = log.events.iter().find(|event| log::failed(event)).expect("one").at;
    assert_eq!(first.map(|moment| (moment.at_s * 1e9).round() as u64), Some(failure));
    // It is in the column that has begun by then.
    let place = first.map_or(0, |moment| moment.place as usize);
    assert!(timeline.begins_s[place] * 1e9 <= failure as f64);
}

#[test]
fn two_processes_have_a_band_each() {
    let (plan, log) = log::told("workers");
    let stack = Report::of(&plan, &log).found.timeline.stack.expect("calls were seen");
    let pids: HashSet<_> = stack.processes.iter().filter_map(|band| band.pid).collect();
    assert!(pids.len() >= 2 && pids.len() == stack.processes.len(), "{:?}", stack.processes);
}

/// A connection that was taken, and a file that was opened for it, in a process that forked since.
#[test]
fn what_a_child_shares_with_its_parent_counts_in_both_until_it_executes_something() {
    let child = SERVER.pid + 1;
    let kinds = |executes: bool| {
        let (plan, log) = log::told("not-reached");
        let begin = log::began(&log.events, Phase::Saturate);
        let change = |at: f64, change| {
            let is = What::Process { pid: child, parent: SERVER.pid, change };
            Event { at: begin + ms(at), is }
        };
        let mut events = log.events.clone();
        let opened = What::Call { pid: SERVER.pid, name: Call::Openat, ret: 200, on: None };
        events.push(Event { at: begin + 1, is: opened });
        events.push(change(0.001, event::Change::Fork));
        events.extend(executes.then(|| change(0.002, event::Change::Exec)));
        let timeline = Report::of(&plan, &Log::new(events)).found.timeline;
        let watched = timeline.phases.iter().position(|stretch| stretch.phase == Phase::Saturate);
        let until = timeline.phases.iter().take(watched.expect("a watch") + 1);
        let at_the_end = until.map(|stretch| stretch.columns).sum::<usize>() - 1;
        let stack = timeline.stack.expect("calls were seen");
        let last = stack.kinds.iter().find(|(kind, _)| *kind == OpenKind::File).expect("a file").1.clone();
        last[at_the_end]
    };
    assert_eq!((kinds(false), kinds(true)), (2, 1));
}

/// A report of a recording, written by the command.
fn written(folder: &Path) -> std::path::PathBuf {
    let recording = format!("{RECORDED}/policy-http-32-backoff.jsonl.gz");
    let page = folder.join("report.html");
    let done = lastfd(&["replay", &recording, "--html", page.to_str().expect("a path")]);
    assert_eq!(done.code, Some(0), "{done:?}");
    page
}

#[test]
fn a_page_and_the_log_saved_from_it_are_replayed_as_the_log_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = written(folder.path());
    let text = std::fs::read_to_string(&page).expect("the page");
    let (_, rest) = text.split_once(BEFORE).expect("a log");
    let gzip = base64::engine::general_purpose::STANDARD.decode(rest.split_once('"').expect("its end").0);
    let (saved, plain) = (folder.path().join("saved.jsonl.gz"), folder.path().join("saved.jsonl"));
    let gzip = gzip.expect("base64");
    std::fs::write(&saved, &gzip).expect("written");
    let mut unpacked = Vec::new();
    GzDecoder::new(gzip.as_slice()).read_to_end(&mut unpacked).expect("gzip");
    std::fs::write(&plain, unpacked).expect("written");
    let json = |path: &Path| {
        let done = lastfd(&["replay", path.to_str().expect("a path"), "--json", "-"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    };
    let of_log = json(&plain);
    assert_eq!(json(&page), of_log);
    assert_eq!(json(&saved), of_log);
    // And the page of the page is the same page.
    let again = lastfd(&["replay", page.to_str().expect("a path"), "--html", "-"]);
    assert_eq!(again.stdout, text);
}

#[test]
fn a_broken_log_inside_of_a_page_is_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(written(folder.path())).expect("the page");
    let at = text.find(BEFORE).expect("a log") + BEFORE.len();
    let end = at + text[at..].find('"').expect("its end");
    let packed = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let with = |base64: &str| format!("{}{base64}{}", &text[..at], &text[end..]);
    let middle = at + (end - at) / 8 * 4;
    for (what, page, said) in [
        ("cut", text[..middle].to_owned(), "the file ends in the middle of it"),
        ("not base64", with("%%%%"), "the event log in it is broken"),
        ("not gzip", with(&packed(b"hello")), "the event log in it is broken"),
        ("half of it", with(&text[at..middle]), "the event log in it is broken"),
        ("no log", with("").replace(BEFORE, "href=\"#"), "carries no event log"),
        ("foreign", "<html><p>hello</html>".to_owned(), "carries no event log"),
        ("empty", String::new(), "it is empty"),
    ] {
        let path = folder.path().join("broken.html");
        std::fs::write(&path, page).expect("written");
        let done = lastfd(&["replay", path.to_str().expect("a path")]);
        assert_eq!(done.code, Some(3), "{what}: {done:?}");
        assert!(done.stderr.contains(said), "{what}: {done:?}");
        assert!(done.stderr.contains("broken.html"), "{what}: {done:?}");
    }
}

/// A gigabyte of nothing in a megabyte.
#[test]
fn a_packed_log_that_would_fill_the_memory_is_refused() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..600).for_each(|_| gzip.write_all(&[b' '; 1 << 20]).expect("memory"));
    let error = event::logs("bomb", &gzip.finish().expect("memory")).expect_err("it is too long");
    assert!(error.to_string().contains("unpacks to more than 512 MB"), "{error}");
}

#[test]
fn a_folder_is_no_place_for_a_page_and_a_dash_is_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = format!("{RECORDED}/policy-http-32-backoff.jsonl.gz");
    let done = lastfd(&["replay", &recording, "--html", folder.path().to_str().expect("a path")]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("Is a directory"), "{done:?}");
    let done = lastfd(&["replay", &recording, "--html", "-"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("<!DOCTYPE html>") && done.stdout.trim_end().ends_with("</html>"));
}

#[test]
fn a_run_writes_a_page_that_needs_no_event_log_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("found.html");
    let path = page.to_str().expect("a path");
    let done = lastfd(&[
        "find", "--nofile", "32", "--hold", "500ms", "--html", path, "--json", "-", "--", LASTFD, "serve",
        "tcp", "--port", "{port}",
    ]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let document = is_sound("found", &std::fs::read_to_string(&page).expect("the page"));
    let figure = text(all(&document, ".figures .big")[0]);
    assert_eq!(Some(figure), done.run()["ceiling"]["accepted"].as_u64().map(|n| n.to_string()));
    let again = lastfd(&["replay", path, "--json", "-"]);
    assert_eq!(again.stdout, done.stdout);
}

#[test]
fn the_page_answers_first_in_the_words_of_the_terminal() {
    for Page { name, report, text: page } in pages() {
        let document = Html::parse_document(page);
        let lead = all(&document, ".answer .lead").first().map(|lead| text(*lead)).unwrap_or_default();
        let plain = short::paragraph(report);
        let plain = if plain.matches('`').count().is_multiple_of(2) { plain.replace('`', "") } else { plain };
        assert_eq!(lead, plain, "{name}");
    }
}

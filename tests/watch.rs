//! Lines that stay in place: `lastfd watch` on a server whose descriptors at rest are known, `find` while it
//! goes on, and `replay --live`; as plain lines and on a terminal.

use crate::support::{Called, LASTFD, RECORDED, called, lastfd, marked, program, recordings};
use lastfd::What;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A bundled server under a limit of 64, and its port.
struct Server(Child, String);

impl Server {
    fn start() -> Server {
        let command = format!("ulimit -n 64; exec '{LASTFD}' serve tcp --baseline 12");
        let child =
            Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("its first line");
        let port = line.trim().rsplit(':').next().expect("an address").to_owned();
        Server(child, port)
    }
}

impl Server {
    /// What is said of its descriptors: as many as /proc lists.
    fn descriptors(&self, between: &str) -> String {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).expect("our own").count();
        format!("descriptors{between}{open} of 64 ({} %), {} left", open * 100 / 64, 64 - open)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_look_is_a_line_where_nobody_can_see_it_move() {
    let server = Server::start();
    for process in [server.0.id().to_string(), format!(":{}", server.1)] {
        let Called { code, stdout, stderr } =
            lastfd(&["watch", &process, "--for", "350ms", "--every", "100ms"]);
        assert_eq!(code, Some(0), "{stderr}");
        let lines: Vec<&str> = stdout.lines().collect();
        assert!((4..=5).contains(&lines.len()), "{stdout}");
        let queue = format!("queue :{} 0 of", server.1);
        for line in &lines {
            assert!(line.contains(&server.descriptors(" ")) && line.contains("; growth none;"), "{line}");
            assert!(line.contains(&queue) && !line.contains('\u{1b}'), "{line}");
        }
    }
}

#[test]
fn the_end_of_the_process_ends_the_watch() {
    let mut server = Server::start();
    let mut watch = Command::new(LASTFD);
    watch.args(["watch", &server.0.id().to_string(), "--every", "10s"]).stdout(Stdio::piped());
    let mut watch = watch.spawn().expect("lastfd");
    let mut out = BufReader::new(watch.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("the first look");
    server.0.kill().expect("our own");
    server.0.wait().expect("our own");
    line.clear();
    out.read_line(&mut line).expect("the last line");
    assert!(line.contains("exited after"), "{line}");
    assert!(watch.wait().expect("lastfd").success());
}

#[test]
fn what_cannot_be_watched_is_said() {
    assert_eq!(lastfd(&["watch", ":1"]).code, Some(4));
    assert_eq!(lastfd(&["watch", "4194304"]).code, Some(5));
    assert_eq!(lastfd(&["watch", "1", "--every", "10ms"]).code, Some(2));
}

/// On a terminal of so many columns, by script(1), with this environment: what it prints.
fn on_a_terminal(columns: u32, line: &str, term: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("stty cols {columns}; stty -g; {line}; echo \"exit $?\"; stty -g");
    called(command.args(["-qec", &line, "/dev/null"]).env("TERM", term).env("NO_COLOR", "1")).stdout
}

/// The lines that were shown, one look after the other; panics where the terminal's modes are others after
/// it.
fn looks(shown: &str) -> Vec<String> {
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a pattern");
    let text = escapes.replace_all(shown, "");
    let lines: Vec<&str> =
        text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let [before, view @ .., exit, after] = lines.as_slice() else { panic!("{shown:?}") };
    assert_eq!(before, after, "{shown:?}");
    assert!(exit.starts_with("exit "), "{shown:?}");
    assert!(!shown.contains("\u{1b}[?25l"), "the cursor stays visible: {shown:?}");
    view.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn the_view_stays_in_place_fits_forty_columns_and_leaves_the_terminal_as_it_was() {
    if program("script").is_none() || program("timeout").is_none() {
        return;
    }
    let server = Server::start();
    let line = format!("timeout -s INT 1 '{LASTFD}' watch {} --every 200ms", server.0.id());
    let shown = on_a_terminal(40, &line, "xterm");
    let view = looks(&shown);
    assert!(view.iter().all(|line| line.chars().count() <= 40), "{view:#?}");
    let of = |label: &str| view.iter().filter(|line| line.starts_with(label)).count();
    let said = server.descriptors("  ");
    let open = said.split(',').next().expect("before what is left");
    assert!(of(open) > 1 && of("kinds") > 1, "{view:#?}");
    assert!(shown.contains("\u{1b}["), "it moves the cursor: {shown:?}");
    // timeout(1) says 124 itself.
    assert!(shown.contains("exit 124") || shown.contains("exit 130"), "{shown:?}");

    let dumb = on_a_terminal(40, &format!("'{LASTFD}' watch {} --for 100ms", server.0.id()), "dumb");
    assert!(dumb.contains(&server.descriptors(" ")) && !dumb.contains('\u{1b}'), "{dumb:?}");
}

/// A run of some two seconds that ends at a wall.
const FIND: [&str; 3] = ["find", "--nofile", "64"];

#[test]
fn a_run_shows_what_goes_on_in_place_and_comes_to_the_same() {
    if program("script").is_none() || program("timeout").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json").display().to_string();
    let find = FIND.join(" ");
    let line = |options: &str| format!("'{LASTFD}' {find} {options} -- '{LASTFD}' serve tcp --baseline 12");
    let shown = on_a_terminal(40, &format!("{} >/dev/null", line(&format!("--json {report}"))), "xterm");
    let view = looks(&shown);
    assert!(view.iter().all(|line| line.chars().count() <= 40), "{view:#?}");
    for label in
        ["run   ", "phase  ", "descriptors  64 of 64 (10", "clients  ", "queue  ", "tries  ", "CPU  "]
    {
        assert!(view.iter().any(|line| line.starts_with(label)), "{label}: {view:#?}");
    }
    let of_end = shown.rfind("\u{1b}[J").expect("it clears");
    assert!(!shown[of_end..].contains("descriptors"), "the lines are taken away: {shown:?}");

    assert!(
        view[1].starts_with("phase  ") && !view[2].starts_with("descriptors"),
        "from its start: {view:#?}"
    );

    let off =
        lastfd(&[&FIND[..], &["--json", "-", "--", LASTFD, "serve", "tcp", "--baseline", "12"]].concat());
    let on = std::fs::read_to_string(&report).expect("the report");
    let on = Called { code: Some(0), stdout: on, stderr: String::new() }.run();
    for key in ["/ceiling/accepted", "/ceiling/first_failure/call", "/recovery/leaked", "/saturation/policy"]
    {
        assert_eq!(on.pointer(key), off.run().pointer(key), "{key}");
        assert!(on.pointer(key).is_some_and(|value| !value.is_null()), "{key}");
    }

    let mark = format!("MARK=watched-{}", std::process::id());
    let stopped = format!(
        "timeout --preserve-status -s INT 2 {} >/dev/null",
        line(&format!("--pace 10/s --env {mark}"))
    );
    let interrupted = on_a_terminal(80, &stopped, "xterm");
    assert!(interrupted.contains("exit 130"), "{interrupted:?}");
    assert_eq!(marked(&mark), Vec::<i32>::new(), "nothing is left");
    assert!(looks(&interrupted).iter().any(|line| line.starts_with("descriptors ")), "{interrupted:?}");
    let dumb = on_a_terminal(80, &format!("{} >/dev/null", line("")), "dumb");
    assert!(dumb.contains("lastfd: find: clients connect") && !dumb.contains('\u{1b}'), "{dumb:?}");
}

#[test]
fn a_recording_is_played_as_it_was_and_then_reported() {
    let file = format!("{RECORDED}/scenario-policies-spin.jsonl.gz");
    let samples: Vec<u64> = recordings()
        .iter()
        .find(|(name, ..)| name == "scenario-policies-spin")
        .map(|(.., log)| log.events.iter())
        .expect("a recording")
        .filter_map(|event| match event.is {
            What::Sample { descriptors, .. } => Some(descriptors),
            _ => None,
        })
        .collect();
    let plain = lastfd(&["replay", "--live", "--speed", "1000", &file]);
    let last = plain.stdout.lines().take_while(|line| line.contains(" clients")).last().expect("a line");
    assert!(last.contains(&format!("; descriptors {} of ", samples[samples.len() - 1])), "{plain:?}");
    assert!(plain.stdout.ends_with(&lastfd(&["replay", &file]).stdout), "{plain:?}");
    assert_eq!(lastfd(&["replay", "--live", "--speed", "0", &file]).code, Some(2));
    assert_eq!(lastfd(&["replay", "--speed", "2", &file]).code, Some(2), "--speed is of --live");
    if program("script").is_none() {
        return;
    }
    let shown = on_a_terminal(
        40,
        &format!("'{LASTFD}' replay --live --speed 0.5 '{file}' --json /dev/null"),
        "xterm",
    );
    let most = samples.iter().max().expect("samples");
    let full = format!("descriptors  {most} of ");
    assert!(looks(&shown).iter().any(|line| line.starts_with(&full)), "{shown:?}");
}

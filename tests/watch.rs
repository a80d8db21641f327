//! `lastfd watch` on a server whose descriptors at rest are known, as plain lines and on a terminal.

use crate::support::{Called, LASTFD, called, lastfd, program};
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

/// On a terminal of 40 columns, by script(1), with this environment: what it prints.
fn on_a_terminal(line: &str, term: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("stty cols 40; stty -g; {line}; echo \"exit $?\"; stty -g");
    called(command.args(["-qec", &line, "/dev/null"]).env("TERM", term)).stdout
}

#[test]
fn the_view_stays_in_place_fits_forty_columns_and_leaves_the_terminal_as_it_was() {
    if program("script").is_none() || program("timeout").is_none() {
        return;
    }
    let server = Server::start();
    let line = format!("timeout -s INT 1 '{LASTFD}' watch {} --every 200ms", server.0.id());
    let shown = on_a_terminal(&line, "xterm");
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a pattern");
    let text = escapes.replace_all(&shown, "");
    let lines: Vec<&str> =
        text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let [before, view @ .., after] = lines.as_slice() else { panic!("{shown:?}") };
    assert_eq!(before, after, "{shown:?}");
    let view: Vec<&&str> = view.iter().filter(|line| !line.starts_with("exit ")).collect();
    assert!(view.iter().all(|line| line.chars().count() <= 40), "{view:#?}");
    let of = |label: &str| view.iter().filter(|line| line.starts_with(label)).count();
    assert!(of(&server.descriptors("  ")) > 1 && of("kinds") > 1, "{view:#?}");
    assert!(shown.contains("\u{1b}["), "it moves the cursor: {shown:?}");
    assert!(!shown.contains("\u{1b}[?25l"), "the cursor stays visible: {shown:?}");
    // timeout(1) says 124 itself.
    assert!(shown.contains("exit 124") || shown.contains("exit 130"), "{shown:?}");

    let dumb = on_a_terminal(&format!("'{LASTFD}' watch {} --for 100ms", server.0.id()), "dumb");
    assert!(dumb.contains(&server.descriptors(" ")) && !dumb.contains('\u{1b}'), "{dumb:?}");
}

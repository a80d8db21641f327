//! A first scenario file of a program that was measured: it expects what was just seen. Pure.

use super::Report;
use super::words::first as words;
use crate::event::{Label, Limits, Log, Outcome, What};
use crate::measure::Kind;
use crate::scenario::{Dialogue, Policy};
use std::fmt::Write;
use toml::Value;

/// The command of this run, its limits and its clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Started<'a> {
    /// Program and arguments.
    pub command: &'a [String],
    /// The limits that lastfd started it with.
    pub limits: Limits,
    /// The port that was asked for.
    pub port: Option<u16>,
    /// The dialogue of its clients, and whether they used TLS.
    pub spoken: (Dialogue, bool),
}

/// A key of `[expect]` and its value, in TOML.
pub type Expected = (&'static str, String);

/// The dialogue that the server answered when lastfd tried it, and whether over TLS.
pub fn spoken(log: &Log) -> (Dialogue, bool) {
    let served = |wanted: Label| {
        log.events.iter().any(|event| {
            matches!(&event.is, What::Probe { label, outcome: Outcome::Served, .. } if *label == wanted)
        })
    };
    match [Label::Http, Label::Https, Label::Tls].map(served) {
        [true, ..] => (Dialogue::HttpIdle, false),
        [_, true, _] => (Dialogue::HttpIdle, true),
        [.., tls] => (Dialogue::Tcp, tls),
    }
}

/// Expectations for the next run: each value that this run measured and that has a key.
pub fn expected(report: &Report) -> Vec<Expected> {
    let found = &report.found;
    let (limits, ceiling) = (found.limits.effective.value(), &found.ceiling);
    let (rest, held) = (found.baseline.counted.value(), ceiling.held());
    let stops = match (ceiling.kind.value(), held) {
        (Some(Kind::NotReached), _) => Some("\"not reached\"".to_owned()),
        (Some(Kind::Generator) | None, _) | (_, None) => None,
        (Some(_), Some(held)) => Some(match (limits, rest) {
            // It follows the limit when that is changed.
            (Some(limits), Some(rest)) if limits.soft.checked_sub(rest) == Some(held) => {
                "\"soft - baseline\"".to_owned()
            }
            _ => held.to_string(),
        }),
    };
    let first = ceiling
        .first_failure
        .get()
        .map(|first| format!("{{ call = \"{}\", errno = \"{}\" }}", first.call, first.errno));
    let policy = found.policy.policy.value().filter(|p| !matches!(p, Policy::Unclear | Policy::None));
    let end = found.end.get().map(|end| format!("\"{}\"", end.verdict.name()));
    let all = [
        ("limits", limits.map(|limits| format!("{{ soft = {}, hard = {} }}", limits.soft, limits.hard))),
        ("baseline", rest.map(|rest| rest.to_string())),
        ("ceiling", stops),
        ("first-failure", first),
        ("policy", policy.map(|policy| format!("\"{}\"", policy.name()))),
        ("recovery", end),
        ("leaked", found.recovery.leaked.value().map(|leaked| leaked.to_string())),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// The text of the scenario file.
pub fn text(started: &Started<'_>, report: &Report, expected: &[Expected]) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let words: Vec<String> = started.command.iter().map(|word| quoted(word)).collect();
    let Limits { soft, hard } = started.limits;
    let mut text = format!(
        "# {}\nclaim = {}\n\n[processes.server]\ncommand = [{}]\nlimits = {{ soft = {soft}, hard = {hard} }}\n",
        words::COMMENT,
        quoted(&words::claim(report, started.command)),
        words.join(", ")
    );
    if let Some(port) = started.port {
        let _ = writeln!(text, "port = {port}");
    }
    let (dialogue, tls) = started.spoken;
    let tls = if tls { " tls = true " } else { "" };
    let _ = writeln!(text, "\n[workloads.clients]\n{} = {{{tls}}}\n\n[expect]", dialogue.name());
    for (key, value) in expected {
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

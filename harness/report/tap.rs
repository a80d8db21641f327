//! TAP (Test Anything Protocol): a test point a run, with what was expected and observed in its YAML block.
//!
//! It says version 13, which every consumer reads; what it uses of version 14 (escapes, two spaces before a
//! block) is read the same there.

use super::told::{Told, repeats};
use crate::judge::Outcome;
use std::fmt::Write;

/// These runs. `whole`: whether all that were to be made were made; a stream that is not bails out.
pub fn render(runs: &[Told], whole: bool) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", runs.len());
    let groups = repeats(runs);
    let numbered =
        groups.iter().flat_map(|group| group.iter().zip(1..).map(|(run, n)| (*run, n, group.len())));
    for (point, (run, number, of)) in (1..).zip(numbered) {
        let which = if of == 1 { String::new() } else { format!(" ({number} of {of})") };
        let sign = if matches!(run.outcome, Outcome::Met | Outcome::Skipped) { "ok" } else { "not ok" };
        let _ = write!(text, "{sign} {point} - {}", escaped(&format!("{}{which}", run.title)));
        if run.outcome == Outcome::Skipped {
            let _ = write!(text, " # SKIP {}", escaped(&run.why.join("; ")));
        }
        text.push('\n');
        block(&mut text, run);
    }
    if !whole {
        text += "Bail out! Not all runs were made.\n";
    }
    text
}

/// The YAML block of a test point; JSON's strings are YAML's, too.
fn block(text: &mut String, run: &Told) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let _ = writeln!(text, "  ---\n  outcome: {}", run.outcome.name());
    if let Some(total_s) = run.total_s {
        let _ = writeln!(text, "  duration_ms: {:.3}", total_s * 1000.0);
    }
    if !run.earlier.is_empty() {
        let _ = writeln!(text, "  tries: {}", run.earlier.len() + 1);
    }
    if !matches!(run.outcome, Outcome::Met | Outcome::Skipped) {
        let _ = writeln!(text, "  message: {}", quoted(&run.paragraph));
        if !run.reasons.is_empty() {
            text.push_str("  reasons:\n");
        }
        for reason in &run.reasons {
            let _ = writeln!(
                text,
                "    - expectation: {}\n      expected: {}\n      observed: {}",
                quoted(&reason.expectation),
                quoted(&reason.expected),
                quoted(&reason.observed)
            );
        }
    }
    text.push_str("  ...\n");
}

/// On one line, where a `#` would begin a directive.
fn escaped(text: &str) -> String {
    super::page::clean(text).replace('\\', "\\\\").replace('#', "\\#")
}

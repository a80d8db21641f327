//! `lastfd doctor`: what this machine allows, and how to widen what it does not. Everything is tried, not
//! guessed, in child processes and in namespaces of their own; nothing of the machine is changed, and no
//! command that it prints is run.

mod check;
mod kernel;
mod observers;
mod peers;
mod probe;

pub use check::{Check, State};

use super::page::{self, Page};
use super::{Exit, Outcome};
use owo_colors::Style;
use probe::Probe;
use serde::Serialize;

/// Version of the JSON document.
pub const SCHEMA: &str = "lastfd/doctor/1";

/// Show what this machine allows (limits, observers, namespaces, ports, programs) and how to allow more
///
/// Needs no root and changes nothing. The exit code is 0 whatever it finds: each run says what it lacks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also write the findings as JSON to this file; with `-`, write JSON to standard output instead of text
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// The part of a probe that runs in a child process.
    #[arg(long, value_enum, hide = true)]
    probe: Option<Probe>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    checks: &'a [Check],
}

/// Headings of the page, and the checks below each.
type Sections = Vec<(&'static str, Vec<Check>)>;

/// Runs the command.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &Args) -> Outcome {
    if let Some(probe) = args.probe {
        return Ok(probe.inside());
    }
    page::preflight(args.json.as_deref())?;
    let sections = examine();
    if let Some(file) = &args.json {
        let checks: Vec<Check> = sections.iter().flat_map(|(_, checks)| checks.clone()).collect();
        page::write_json(file, &Report { schema: SCHEMA, checks: &checks })?;
    }
    if args.json.as_deref() != Some("-") {
        render(&sections).print()?;
    }
    Ok(Exit::Met)
}

fn examine() -> Sections {
    vec![
        ("Descriptors", kernel::descriptors()),
        ("Observers", observers::all()),
        ("Namespaces", probe::namespaces()),
        ("Network", kernel::network()),
        ("Programs for the peer scenarios", peers::all()),
    ]
}

fn render(sections: &Sections) -> Page {
    /// Width of the names.
    const NAME: usize = 19;
    let mut page = Page::default();
    for (heading, checks) in sections {
        page.heading(heading);
        for check in checks {
            let (word, style) = match check.state {
                State::Ok => ("ok", Style::new().green()),
                State::Limited => ("limited", Style::new().yellow().bold()),
                State::No => ("no", Style::new().red().bold()),
            };
            page.labelled(&[(word, 7, style), (check.name, NAME, Style::new())], &check.found);
            for way in &check.widen {
                page.item(
                    "",
                    7,
                    Style::new(),
                    &format!("→ {}{}", way.what, if way.command.is_some() { ":" } else { "" }),
                );
                if let Some(command) = &way.command {
                    page.command(13, command);
                }
            }
        }
    }
    page
}

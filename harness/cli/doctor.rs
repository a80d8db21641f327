//! `lastfd doctor`: what this machine allows, and how to widen what it does not. Everything is tried, not guessed, in child
//! processes and in namespaces of their own; nothing of the machine is changed, and no command that it prints is run.

mod kernel;
mod observers;
mod peers;
mod probe;

use super::page::{self, Page};
use super::{Exit, Outcome};
use owo_colors::Style;
use probe::Probe;
use serde::Serialize;

/// Version of the JSON document.
pub const SCHEMA: &str = "lastfd/doctor/1";

/// Shows what this machine allows (limits, observers, namespaces, ports, programs) and how to widen it.
///
/// Needs no root and changes nothing. Exit code 0 whatever it finds: a run says by itself what it misses.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also write the findings as JSON to this file; `-`: to standard output, instead of the text.
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// The part of a probe that runs in a child process.
    #[arg(long, value_enum, hide = true)]
    probe: Option<Probe>,
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// With restrictions, which the check says.
    Limited,
    /// Not at all.
    No,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at; stable, for programs that read the JSON document.
    pub name: &'static str,
    /// Whether it can be used.
    pub state: State,
    /// What was found, and what it means for a run.
    pub found: String,
    /// How to widen it, one way each; empty where there is nothing to widen.
    pub widen: Vec<Way>,
}

/// A way to widen something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// What it does, and who may do it.
    pub what: String,
    /// The command, where it is one.
    pub command: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Check {
        Check { name, state, found: found.into(), widen: Vec::new() }
    }

    /// Adds a way to widen it by a command.
    fn by(mut self, what: impl Into<String>, command: impl Into<String>) -> Check {
        self.widen.push(Way { what: what.into(), command: Some(command.into()) });
        self
    }

    /// Adds a way to widen it that is not a command.
    fn or(mut self, what: impl Into<String>) -> Check {
        self.widen.push(Way { what: what.into(), command: None });
        self
    }
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

/// A number in a file of /proc/sys; `None` where the kernel has no such file or it is not readable.
fn sysctl<T: std::str::FromStr>(name: &str) -> Option<T> {
    sysctl_text(name)?.parse().ok()
}

/// The text of a file of /proc/sys, by its path there.
fn sysctl_text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

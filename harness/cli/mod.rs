//! The commands: one file each. They parse arguments, call the library, print, and say the exit code; nothing
//! else.

mod annotations;
mod board;
pub mod check;
mod client_options;
mod compare;
mod completions;
pub mod diagnostic;
mod dialogue;
mod doctor;
pub mod exit;
mod explain;
mod find;
mod init;
mod inspect;
pub mod list;
mod live;
mod measured;
mod neighbour;
mod output;
mod own;
mod page;
mod partition;
mod plain;
mod record;
mod recording;
mod replay;
mod report;
mod requests;
mod run;
pub mod schema;
pub mod select;
mod self_check;
mod setting_options;
mod side_by_side;
mod suite;
mod time;
mod values;
mod watch;
mod worktree;

pub use exit::{Exit, Failure, Outcome};

use clap::{CommandFactory, Parser, Subcommand};

/// Find the last file descriptor: start any server under an exact limit, predict how many connections it can
/// hold, drive it there, and show which call fails first, what the server does then, and whether it recovers.
#[derive(Debug, Parser)]
#[command(name = "lastfd", version, max_term_width = 100, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  lastfd run @websocket-1012                   reproduce the 1012-connection ceiling
  lastfd explain @websocket-1012               why 1012 and not 1024, in words
  lastfd find -- ./server --listen 8080        the ceiling of any server program
  lastfd find --nofile 256 -- python3 -m http.server 8080
  lastfd inspect 4711 --for 10s                a live process: limits, headroom, leaks
  lastfd watch :8080                           the same, live
  lastfd doctor                                what this machine allows";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Find(Box<find::Args>),
    Compare(Box<compare::Args>),
    Inspect(inspect::Args),
    Watch(watch::Args),
    Replay(replay::Args),
    Report(report::Args),
    List(list::Args),
    Check(check::Args),
    Explain(explain::Args),
    Init(init::Args),
    Schema(schema::Args),
    Doctor(doctor::Args),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

/// Does what the command line of the `lastfd` program asks; the exit code.
pub fn main() -> u8 {
    // Hidden commands, which only runs execute.
    if let Some(code) = crate::parts::run(std::env::args_os().skip(1)) {
        return code;
    }
    let exit = Cli::parse().run().unwrap_or_else(|failure| {
        anstream::eprintln!("{}", failure.message);
        failure.exit
    });
    exit as u8
}

impl Cli {
    /// Runs the command of the command line.
    ///
    /// # Errors
    /// The text for standard error, and the exit code.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Find(args) => find::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Watch(args) => watch::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Report(args) => report::run(&args),
            Command::List(args) => list::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Completions(args) => completions::completions(&args, Cli::command()),
            Command::Man(args) => completions::man(&args, Cli::command()),
        }
    }
}

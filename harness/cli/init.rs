//! `lastfd init`: writes a scenario to start from: a bundled one, or what was measured of a command.

use super::check::discovered;
use super::measured::{Asked, measured};
use super::output::{say, writable};
use super::run::Machine;
use super::{Exit, Failure, Outcome};
use crate::event::Limits;
use crate::scenario::{self, bundled, soft_hard};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a scenario to start from: what was measured of a server program, or a bundled one
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundled scenario to write (`lastfd list @` shows them) [default: websocket-1012]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = bundled::EXAMPLE, conflicts_with = "command")]
    example: Option<String>,
    /// RLIMIT_NOFILE that the command starts with
    #[arg(long, value_name = "SOFT[:HARD]", default_value = "1024:1024", value_parser = soft_hard, conflicts_with = "example")]
    nofile: Limits,
    /// Port to connect to [default: the port on which the program listens]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "example")]
    port: Option<u16>,
    #[command(flatten)]
    machine: Machine,
    /// File to write; `-` is standard output [default: NAME.scenario.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A server program and its arguments: it is measured twice, and the scenario expects what was measured.
    /// It runs in the folder of FILE; `{port}` stands for a free port
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Writes the file, unless there is one.
///
/// # Errors
/// No such example (4); the file is there already, or cannot be written (2); the command could not be
/// measured (5, 6).
pub fn run(args: &Args) -> Outcome {
    match (&args.example, args.command.first()) {
        (Some(name), _) => example(name, args.file.as_deref()),
        (None, Some(program)) => of_command(args, program),
        (None, None) => Err(Failure::new(
            Exit::Usage,
            "`lastfd init` writes a scenario to start from, and needs to know which: `lastfd init -- COMMAND` measures a server \
             program and expects what it measured; `--example` is the WebSocket server that stops at 1012, and `--example NAME` \
             one that `lastfd list @` shows",
        )),
    }
}

/// Measures a command, and writes what it expects.
fn of_command(args: &Args, program: &str) -> Outcome {
    let last = program.rsplit('/').next().unwrap_or(program);
    let file = args.file.clone().unwrap_or_else(|| format!("{last}.scenario.toml").into());
    let to_stdout = file == Path::new("-");
    // Before minutes are spent on what cannot be written.
    if !to_stdout {
        if std::fs::symlink_metadata(&file).is_ok() {
            return Err(unwritten(&file, &ErrorKind::AlreadyExists.into()));
        }
        writable(&file)?;
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !to_stdout);
    let name = scenario::name_of(&file);
    let asked = Asked {
        command: &args.command,
        limits: args.nofile,
        port: args.port,
        machine: &args.machine,
        folder: folder.unwrap_or(Path::new(".")),
        name: &name,
        quiet: to_stdout,
    };
    let written = measured(&asked)?;
    if !written.left_out.is_empty() {
        let keys = written.left_out.join(", ");
        anstream::eprintln!("lastfd: not expected, because a second run differed: {keys}");
    }
    write(&written.text, &file)
}

/// Writes a bundled scenario.
fn example(name: &str, file: Option<&Path>) -> Outcome {
    let path = PathBuf::from(format!("{}{}", bundled::SIGN, name.trim_start_matches(bundled::SIGN)));
    let found = discovered(std::slice::from_ref(&path))?;
    let [one] = found.as_slice() else {
        let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
        let message = format!("{name:?} is several scenarios: choose one of {}", names.join(", "));
        return Err(Failure::new(Exit::NothingSelected, message));
    };
    let text = start(bundled::text(one).expect("it was discovered"));
    let last = one.file_name().map_or(Path::new(name), Path::new).to_string_lossy();
    let named = || format!("{}.scenario.toml", last.trim_start_matches(bundled::SIGN)).into();
    write(text, &file.map_or_else(named, Path::to_owned))
}

/// Writes a scenario to a file that is not there yet, or to standard output.
fn write(text: &str, file: &Path) -> Outcome {
    if file == Path::new("-") {
        return say(text).map(|()| Exit::Met);
    }
    std::fs::File::create_new(file)
        .and_then(|mut new| new.write_all(text.as_bytes()))
        .map_err(|e| unwritten(file, &e))?;
    say(&format!(
        "wrote {0}: `lastfd run {0}` runs it, `lastfd explain {0}` says what it will show\n",
        file.display()
    ))?;
    Ok(Exit::Met)
}

fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    let shown = file.display();
    let message = match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{shown} is there already, and is not overwritten: name another file")
        }
        _ => format!("cannot write to {shown}: {error}"),
    };
    Failure::new(Exit::Usage, message)
}

/// The text without its first line where that names a schema beside it, which a copy elsewhere has not.
fn start(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#:schema") => rest.trim_start(),
        _ => text,
    }
}

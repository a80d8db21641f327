//! `lastfd init`: writes a scenario to start from. It starts nothing.

use super::check::discovered;
use super::output::say;
use super::{Exit, Failure, Outcome};
use crate::scenario::bundled;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a scenario to start from
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundled scenario to write (`lastfd list @` shows them) [default: websocket-1012]
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = bundled::EXAMPLE)]
    example: Option<String>,
    /// File to write; `-` is standard output [default: NAME.scenario.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Writes the file, unless there is one.
///
/// # Errors
/// No such example (4); the file is there already, or cannot be written (2).
pub fn run(args: &Args) -> Outcome {
    let Some(name) = &args.example else {
        let message = "`lastfd init` writes a bundled scenario to start from, and needs to know which: add `--example` for the \
                       WebSocket server that stops at 1012, or `--example NAME` for one that `lastfd list @` shows";
        return Err(Failure::new(Exit::Usage, message));
    };
    let path = PathBuf::from(format!("{}{}", bundled::SIGN, name.trim_start_matches(bundled::SIGN)));
    let found = discovered(std::slice::from_ref(&path))?;
    let [one] = found.as_slice() else {
        let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
        let message = format!("{name:?} is several scenarios: choose one of {}", names.join(", "));
        return Err(Failure::new(Exit::NothingSelected, message));
    };
    let text = start(bundled::text(one).expect("it was discovered"));
    let last = one.file_name().map_or(Path::new(name.as_str()), Path::new).to_string_lossy();
    let file = args.file.clone();
    let file =
        file.unwrap_or_else(|| format!("{}.scenario.toml", last.trim_start_matches(bundled::SIGN)).into());
    if file == Path::new("-") {
        return say(text).map(|()| Exit::Met);
    }
    std::fs::File::create_new(&file).and_then(|mut new| new.write_all(text.as_bytes())).map_err(|e| {
        let shown = file.display();
        Failure::new(
            Exit::Usage,
            match e.kind() {
                ErrorKind::AlreadyExists => {
                    format!("{shown} is there already, and is not overwritten: name another file")
                }
                _ => format!("cannot write to {shown}: {e}"),
            },
        )
    })?;
    say(&format!(
        "wrote {0}: `lastfd run {0}` runs it, `lastfd explain {0}` says what it will show\n",
        file.display()
    ))?;
    Ok(Exit::Met)
}

/// The text without its first line where that names a schema beside it, which a copy elsewhere has not.
fn start(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#:schema") => rest.trim_start(),
        _ => text,
    }
}

//! lastfd
use clap::Parser;

#[derive(Parser)]
enum Command {
    #[command(hide = true)]
    Exec(lastfd::cli::exec::Args),
}

fn main() {
    match Command::parse() {
        Command::Exec(args) => std::process::exit(lastfd::cli::exec::main(args)),
    }
}

//! lastfd
fn main() {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("drive") => lastfd::cli::drive::drive(),
        _ => Err(lastfd::cli::Failure::new(lastfd::cli::Exit::Usage, "usage: lastfd drive")),
    };
    std::process::exit(outcome.map_or_else(
        |failure| {
            eprintln!("{}", failure.message);
            failure.exit as i32
        },
        |exit| exit as i32,
    ));
}

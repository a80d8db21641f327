//! Links the library and finds the ceiling of a server under a limit of 64 descriptors:
//! `cargo run --example ceiling -- ./server --port {port}`

use lastfd::Limits;

fn main() -> Result<(), lastfd::RunError> {
    let report = lastfd::find(std::env::args().skip(1), Limits { soft: 64, hard: 64 })?;
    print!("{}", lastfd::text(std::slice::from_ref(&report), false, 100));
    match report.found.ceiling.accepted.value() {
        Some(connections) => println!("\nceiling: {connections}"),
        None => println!("\nceiling: not found, see above"),
    }
    Ok(())
}

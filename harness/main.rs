//! lastfd
fn main() {}

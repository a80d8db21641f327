//! stub
use super::Outcome;
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_: &Args) -> Outcome { todo!() }

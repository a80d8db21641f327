//! `lastfd serve KIND …` (hidden): a bundled server in this process. What it does is all in `lastfd-servers`.

pub use lastfd_servers::Args;

/// Serves until it is told to stop; call it before any thread is started. Its exit codes are those of
/// [`lastfd_servers::serve`], not the commands' table.
pub fn run(args: Args) -> u8 {
    lastfd_servers::serve(args)
}

//! Exit codes, in one table (contract.md).

/// What the command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Every expectation was met.
    Met = 0,
    /// An expectation was not met.
    NotMet = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// A scenario, or an event log, is not valid.
    Invalid = 3,
    /// The filters select nothing.
    NothingSelected = 4,
    /// This machine cannot run it: a missing program, privilege or limit.
    Inconclusive = 5,
    /// The server did not start.
    NotStarted = 6,
    /// A fault of lastfd.
    Fault = 70,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command stopped early.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// For standard error: what, where, and what to do. May have several lines.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Failure { exit, message: message.to_string() }
    }
}

/// What every command returns.
pub type Outcome = Result<Exit, Failure>;

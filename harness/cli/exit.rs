//! Exit codes, in one table, and which one wins when several runs ended differently.

use crate::judge;

/// The table as `--help` shows it.
pub const HELP: &str = "\
Exit codes: 0 all expectations met, 1 an expectation not met, 2 wrong usage, 3 invalid scenario,
4 nothing selected, 5 inconclusive on this machine, 6 the server did not start, 70 an error in
lastfd, 130 interrupted.
Several runs end with the first of 130, 70, 2, 3, 1, 6, 5, 0 that occurred.";

/// How a command, or one run of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Exit {
    /// The order in which codes win. Codes that cast doubt on all results come first. An unmet expectation
    /// wins over a run that this machine could not make: a regression must not hide behind a missing program.
    const PRECEDENCE: [Exit; 8] = [
        Exit::Interrupted,
        Exit::Fault,
        Exit::Usage,
        Exit::Invalid,
        Exit::NotMet,
        Exit::NotStarted,
        Exit::Inconclusive,
        Exit::Met,
    ];

    /// The code of several runs; [`Exit::NothingSelected`] when there was none.
    pub fn of_several(runs: impl IntoIterator<Item = Exit>) -> Exit {
        let occurred: Vec<Exit> = runs.into_iter().collect();
        Self::PRECEDENCE.into_iter().find(|exit| occurred.contains(exit)).unwrap_or(Exit::NothingSelected)
    }

    /// This code, unless the reports could not be written: then the one of the two that wins.
    ///
    /// # Errors
    /// Reports that could not be written.
    pub fn once(self, written: Result<(), Failure>) -> Outcome {
        written
            .map(|()| self)
            .map_err(|failure| Failure { exit: Exit::of_several([self, failure.exit]), ..failure })
    }
}

/// The code of a run that was judged. Skipped is no failure.
impl From<judge::Outcome> for Exit {
    fn from(verdict: judge::Outcome) -> Self {
        match verdict {
            judge::Outcome::Met | judge::Outcome::Skipped => Exit::Met,
            judge::Outcome::NotMet => Exit::NotMet,
            judge::Outcome::Inconclusive => Exit::Inconclusive,
        }
    }
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

/// The result of every command.
pub type Outcome = Result<Exit, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_codes_the_one_that_stands_first_in_the_contract_wins() {
        let contract = [130, 70, 2, 3, 1, 6, 5, 0];
        let exit = |code: u8| {
            let known = |exit: &Exit| *exit as u8 == code;
            Exit::PRECEDENCE.into_iter().find(known).unwrap_or_else(|| panic!("{code} is no exit code"))
        };
        for (place, &first) in contract.iter().enumerate() {
            for &second in &contract[place..] {
                assert_eq!(Exit::of_several([exit(second), exit(first)]) as u8, first);
                assert_eq!(Exit::of_several([exit(first), exit(second)]) as u8, first);
            }
        }
        assert_eq!(Exit::of_several([]) as u8, 4);
    }

    #[test]
    fn a_report_that_cannot_be_written_hides_no_interrupt_and_no_fault() {
        let unwritten = || Err(Failure::new(Exit::Usage, "a full disk"));
        let codes = [Exit::Interrupted, Exit::Fault, Exit::NotMet, Exit::Met]
            .map(|exit| exit.once(unwritten()).map_err(|failure| failure.exit as u8));
        assert!(matches!(codes, [Err(130), Err(70), Err(2), Err(2)]), "{codes:?}");
        assert!(matches!(Exit::Met.once(Ok(())), Ok(Exit::Met)));
    }
}

//! The harness's own descriptors: its soft limit raised to the hard one, and a check that a run fits before it begins, so
//! that an EMFILE of the harness is never mistaken for one of the subject. It never touches another process's limits.

use crate::{event::Limits, sys};
use std::io;

/// Why the harness cannot have the descriptors that a run needs.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The soft limit is in the way and may be raised.
    #[error(
        "this run needs {needed} descriptors of lastfd's own and {free} are left under its soft limit of {soft}: \
         run `ulimit -n {hard}` in this shell first, or ask for fewer clients"
    )]
    Soft {
        /// Descriptors asked for.
        needed: u64,
        /// Descriptors left.
        free: u64,
        /// Own soft limit.
        soft: u64,
        /// Own hard limit, enough for what is needed.
        hard: u64,
    },
    /// The hard limit is in the way.
    #[error(
        "this run needs {needed} descriptors of lastfd's own and {free} are left under its hard limit of {hard}: ask for fewer \
         clients, or start lastfd with a higher hard limit (`sudo prlimit --pid $$ --nofile={wanted}:{wanted}` in this shell, \
         `docker run --ulimit nofile={wanted}:{wanted}` for a container)"
    )]
    Hard {
        /// Descriptors asked for.
        needed: u64,
        /// Descriptors left.
        free: u64,
        /// Own hard limit.
        hard: u64,
        /// A hard limit that would do.
        wanted: u64,
    },
    /// The own limit or the own descriptors cannot be read.
    #[error("lastfd cannot read its own descriptor limit: {0} (is /proc mounted?)")]
    Unreadable(#[from] io::Error),
}

/// Raises the harness's own soft limit to its hard limit and returns the limits then in force.
///
/// Where the kernel refuses, the limits stay as they are and are returned; [`check`] then says whether they suffice. Children
/// inherit the raised limit: whoever launches a subject sets its limits anyway.
pub fn raise_own() -> Limits {
    // A refusal is not an error here: what counts is what is in force, read back below.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    own().unwrap_or(Limits { soft: 0, hard: 0 })
}

/// The harness's own limits (getrlimit(2)).
///
/// # Errors
/// That of getrlimit(2); none is known for this resource.
pub fn own() -> io::Result<Limits> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    Ok(Limits { soft, hard })
}

/// Whether `needed` more descriptors fit under the harness's own soft limit, besides those that it has open.
///
/// # Errors
/// [`BudgetError::Soft`] or [`BudgetError::Hard`] when they do not fit, by which of the two limits is in the way.
pub fn check(needed: u64) -> Result<(), BudgetError> {
    let Limits { soft, hard } = own()?;
    let open = sys::proc::descriptors(std::process::id() as i32)?;
    fits(needed, open, Limits { soft, hard })
}

/// The arithmetic of [`check`].
fn fits(needed: u64, open: u64, Limits { soft, hard }: Limits) -> Result<(), BudgetError> {
    let wanted = open.saturating_add(needed);
    if wanted <= soft {
        Ok(())
    } else if wanted <= hard {
        Err(BudgetError::Soft { needed, free: soft.saturating_sub(open), soft, hard })
    } else {
        Err(BudgetError::Hard { needed, free: hard.saturating_sub(open), hard, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptor_may_be_used_and_not_one_more() {
        let limits = Limits { soft: 64, hard: 128 };
        assert!(fits(54, 10, limits).is_ok());
        assert!(matches!(fits(55, 10, limits), Err(BudgetError::Soft { free: 54, .. })));
        assert!(matches!(fits(118, 10, limits), Err(BudgetError::Soft { .. })));
        assert!(matches!(fits(119, 10, limits), Err(BudgetError::Hard { free: 118, wanted: 129, .. })));
    }

    #[test]
    fn more_than_any_limit_allows_is_refused() {
        assert!(matches!(check(u64::MAX), Err(BudgetError::Hard { .. })));
        assert!(check(0).is_ok());
    }

    #[test]
    fn raising_leaves_soft_equal_to_hard_as_getrlimit_says() {
        let hard_before = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let raised = raise_own();
        let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(Some(raised.soft), now.current);
        assert_eq!(now.current, now.maximum);
        assert_eq!(now.maximum, hard_before, "the hard limit stays");
    }
}

//! The harness's own descriptors: its soft limit raised to the hard one, so that an EMFILE of the harness is
//! never mistaken for one of the subject. It never touches another process's limits.

use crate::event::Limits;
use std::io;

/// Raises the harness's own soft limit to its hard limit and returns the limits then in force.
///
/// Where the kernel refuses, the limits stay as they are and are returned. Children inherit the raised limit:
/// the launcher of a subject sets the subject's limits anyway.
pub fn raise_own() -> Limits {
    // A refusal is not an error here: only the limits in force count, read back below.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    own().unwrap_or(Limits { soft: 0, hard: 0 })
}

/// The harness's own limits (getrlimit(2)).
///
/// # Errors
/// The error of getrlimit(2); none is known for this resource.
pub fn own() -> io::Result<Limits> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    Ok(Limits { soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

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

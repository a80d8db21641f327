//! How the tests of a process run.

use crate::run::{Error, Options};
use std::sync::OnceLock;

/// Options that all tests of this process share: facts about the machine are learned once.
///
/// # Errors
/// As [`Options::new`].
pub(super) fn options() -> Result<Options, Error> {
    static SHARED: OnceLock<Options> = OnceLock::new();
    match SHARED.get() {
        Some(options) => Ok(options.clone()),
        None => Options::new().map(|options| SHARED.get_or_init(|| options).clone()),
    }
}

//! How the tests of a process run.

use crate::run::{Error, Options};
use std::sync::OnceLock;

/// Options that all tests of this process share: what one learns of the machine, the next need not.
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

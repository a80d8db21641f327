//! This program as the one that a run executes again.

use crate::helper::Helper;

/// The `lastfd` program that this is.
///
/// # Errors
/// Its own path is not known.
pub fn own_helper() -> Result<Helper, String> {
    std::env::current_exe().map(Helper::lastfd).map_err(|e| format!("own path: {e}"))
}

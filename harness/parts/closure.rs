//! `closure PLACE`: serves as the closure of a test, which is at this place of this program.

use crate::sys::image::Place;
use std::ffi::OsString;

/// Calls the closure; returns the exit code when it returns.
///
/// # Errors
/// The place is none of this program's.
pub(super) fn closure(words: impl Iterator<Item = OsString>) -> Result<u8, String> {
    let place = words.last().and_then(|word| word.into_string().ok()).ok_or("its place is missing")?;
    let serve =
        place.parse::<Place>()?.function().map_err(|e| format!("the closure cannot be called: {e}"))?;
    serve();
    Ok(0)
}

//! Times on command lines.

use crate::scenario::duration;

/// Seconds of a time such as `500ms`, `10s`, `2m` or `1h`; a bare number is seconds. At most so long.
///
/// # Errors
/// The fault, in words.
pub fn seconds(text: &str, most_s: f64) -> Result<f64, String> {
    let bare = text.ends_with(|c: char| c.is_ascii_digit());
    let seconds = duration(&format!("{text}{}", if bare { "s" } else { "" }))
        .ok_or_else(|| format!("`{text}` is not a time: write 10 or 10s, 500ms, 5m or 1h"))?;
    if (0.0..=most_s).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("`{text}` is not between 0 and {} h", most_s / 3600.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds_and_a_unit_is_what_it_says() {
        let day = |text: &str| seconds(text, 86400.0);
        for (text, wanted) in [
            ("5", 5.0),
            ("0", 0.0),
            ("1.5", 1.5),
            ("500ms", 0.5),
            ("1.5s", 1.5),
            ("2m", 120.0),
            ("24h", 86400.0),
        ] {
            assert_eq!(day(text), Ok(wanted), "{text}");
        }
        for wrong in ["s", "-1", "-1s", "25h", "86401", "NaN", "NaNs", "infs", "inf", "1d", "1e3", ""] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}

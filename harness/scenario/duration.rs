//! Times as scenario files write them.

/// Seconds of a text such as `500ms`, `2.5s`, `1m` or `1h`; `None` also without a unit.
pub fn duration(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    match text[digits..].trim_start() {
        "ms" => Some(number / 1000.0),
        "s" => Some(number),
        "m" | "min" => Some(number * 60.0),
        "h" => Some(number * 3600.0),
        _ => None,
    }
}

//! Text of others as it may reach a terminal.

/// Without control characters: a command line may hold escape sequences.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

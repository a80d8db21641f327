//! Formulas of expectations: `+ - * /`, parentheses, numbers and named values. Pure; evaluates nothing else.

/// Deepest nesting of parentheses and signs.
const DEPTH: u32 = 64;

/// The value of a formula over these named values.
///
/// # Errors
/// In words: a name that is not given, a character that does not belong, a missing parenthesis, a division by zero.
pub fn evaluate(text: &str, vars: &[(&str, f64)]) -> Result<f64, String> {
    let mut reader = Reader { rest: text, vars, depth: 0 };
    let value = reader.sum()?;
    reader.space();
    match reader.rest.chars().next() {
        Some(c) => Err(format!("`{c}` does not belong in `{text}`")),
        None if value.is_finite() => Ok(value),
        None => Err(format!("`{text}` divides by zero")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    vars: &'a [(&'a str, f64)],
    depth: u32,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value += self.product()?;
            } else if self.take('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.atom()?;
        loop {
            if self.take('*') {
                value *= self.atom()?;
            } else if self.take('/') {
                value /= self.atom()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn atom(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("a formula nests at most {DEPTH} deep"));
        }
        let value = if self.take('(') {
            let value = self.sum()?;
            if !self.take(')') {
                return Err("`)` is missing".into());
            }
            value
        } else if self.take('-') {
            -self.atom()?
        } else {
            self.word()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self) -> Result<f64, String> {
        self.space();
        let length = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        if word.is_empty() {
            return Err("a number or a name is missing".into());
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse().map_err(|_| format!("`{word}` is no number"));
        }
        let found = self.vars.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = self.vars.iter().map(|(name, _)| *name).collect();
            format!("`{word}` is not known here: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn products_bind_before_sums_and_names_stand_for_their_values() {
        let vars = [("soft", 1024.0), ("baseline", 12.0)];
        assert_eq!(evaluate("soft - baseline", &vars), Ok(1012.0));
        assert_eq!(evaluate("(soft - baseline) / 2", &vars), Ok(506.0));
        assert_eq!(evaluate("2 + 3 * -4", &[]), Ok(-10.0));
        assert!(evaluate("soft / 0", &vars).is_err() && evaluate("hart", &vars).is_err() && evaluate("(1", &[]).is_err());
        assert!(evaluate(&"(".repeat(100_000), &[]).is_err());
    }
}

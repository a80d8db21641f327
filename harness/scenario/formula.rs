//! Formulas for an expected ceiling: `+ - * /` and parentheses over numbers, `soft`, `hard` and `baseline`.
//! Parsed when the scenario is checked, evaluated by the judge once the values are known from the run. No
//! I/O.

use std::ops::Range;

/// The identifiers a formula may use, in the order of [`Values`].
pub const IDENTIFIERS: [&str; 3] = ["soft", "hard", "baseline"];

/// Operands and parentheses of one formula: a bound on the recursion over its tree, far above what anyone
/// writes.
const OPERANDS_MAX: u32 = 64;

/// A parsed formula.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    /// An index into [`IDENTIFIERS`].
    Value(usize),
    Negated(Box<Node>),
    Operation(char, Box<Node>, Box<Node>),
}

/// Why a formula gives no number of connections in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCount {
    /// Something is divided by zero.
    #[error("divides by zero")]
    DividesByZero,
    /// Less than nothing.
    #[error("is negative")]
    Negative,
    /// More than any limit can be: `fs.nr_open` itself has 31 bits.
    #[error("is more than 2^31, the most descriptors that any process can have")]
    TooMany,
}

/// One more than the largest count: descriptor numbers are C's `int`.
const COUNT_MAX: f64 = 2_147_483_648.0;

/// The values of the identifiers in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// Soft limit in force.
    pub soft: u64,
    /// Hard limit in force.
    pub hard: u64,
    /// Descriptors open before the first client.
    pub baseline: u64,
}

/// Why a text is no formula; `at` is the place in it, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// A word that is no identifier.
    #[error("`{word}` is not known in a formula")]
    Identifier {
        /// As written.
        word: String,
        /// Its place.
        at: Range<usize>,
    },
    /// Something else stands where this is wanted.
    #[error("wanted {wanted}")]
    Wanted {
        /// The syntax that would fit.
        wanted: &'static str,
        /// Where it would.
        at: Range<usize>,
    },
    /// It gives no number of connections in any run.
    #[error("it {why}, whatever the limits")]
    NoCount {
        /// The reason.
        why: NoCount,
        /// The divisor, or all of it.
        at: Range<usize>,
    },
    /// Longer than anyone writes.
    #[error("more than {OPERANDS_MAX} operands and parentheses")]
    Long {
        /// The first that is too much.
        at: Range<usize>,
    },
}

impl FormulaError {
    /// The place in the formula, in bytes.
    pub fn at(&self) -> Range<usize> {
        match self {
            FormulaError::Identifier { at, .. }
            | FormulaError::Wanted { at, .. }
            | FormulaError::NoCount { at, .. }
            | FormulaError::Long { at } => at.clone(),
        }
    }
}

/// Parses a formula.
///
/// # Errors
/// See [`FormulaError`].
pub fn parse(text: &str) -> Result<Formula, FormulaError> {
    let mut parser = Parser { text, at: 0, operands: 0, by_zero: None };
    let node = parser.sum()?;
    match parser.peek() {
        None => {
            // Only of what parses: in `(soft - 4 / 0` it is the parenthesis that is missing.
            if let Some(at) = parser.by_zero {
                return Err(FormulaError::NoCount { why: NoCount::DividesByZero, at });
            }
            let formula = Formula(node);
            match formula.0.constant().then(|| formula.count(Values { soft: 0, hard: 0, baseline: 0 })) {
                Some(Err(why)) => Err(FormulaError::NoCount { why, at: 0..text.len() }),
                _ => Ok(formula),
            }
        }
        Some(_) => Err(parser.wanted("an operator (`+ - * /`) or the end")),
    }
}

impl Formula {
    /// The exact value.
    ///
    /// # Errors
    /// A division by zero, or more than a float holds.
    pub fn evaluate(&self, values: Values) -> Result<f64, NoCount> {
        self.0
            .evaluate(values)
            .and_then(|value| if value.is_finite() { Ok(value) } else { Err(NoCount::TooMany) })
    }

    /// As [`Formula::count`] with these values of [`IDENTIFIERS`]; `None` where one is used that is not
    /// known.
    pub fn count_with(&self, known: [Option<u64>; 3]) -> Option<u64> {
        let used = |index| self.0.uses(index);
        if (0..known.len()).any(|index| known[index].is_none() && used(index)) {
            return None;
        }
        let [soft, hard, baseline] = known.map(Option::unwrap_or_default);
        self.count(Values { soft, hard, baseline }).ok()
    }

    /// The value as a count of connections: rounded down, for no fraction of a connection is accepted.
    ///
    /// # Errors
    /// See [`NoCount`].
    pub fn count(&self, values: Values) -> Result<u64, NoCount> {
        match self.evaluate(values)? {
            value if value < 0.0 => Err(NoCount::Negative),
            value if value >= COUNT_MAX => Err(NoCount::TooMany),
            value => Ok(value.floor() as u64),
        }
    }
}

impl Node {
    fn evaluate(&self, values: Values) -> Result<f64, NoCount> {
        Ok(match self {
            Node::Number(number) => *number,
            Node::Value(index) => [values.soft, values.hard, values.baseline][*index] as f64,
            Node::Negated(inner) => -inner.evaluate(values)?,
            Node::Operation(operator, left, right) => {
                match (operator, left.evaluate(values)?, right.evaluate(values)?) {
                    ('+', left, right) => left + right,
                    ('-', left, right) => left - right,
                    ('*', left, right) => left * right,
                    (_, _, 0.0) => return Err(NoCount::DividesByZero),
                    (_, left, right) => left / right,
                }
            }
        })
    }

    /// Whether this one of [`IDENTIFIERS`] is in it.
    fn uses(&self, identifier: usize) -> bool {
        match self {
            Node::Number(_) => false,
            Node::Value(index) => *index == identifier,
            Node::Negated(inner) => inner.uses(identifier),
            Node::Operation(_, left, right) => left.uses(identifier) || right.uses(identifier),
        }
    }

    /// Whether it is the same in every run.
    fn constant(&self) -> bool {
        (0..IDENTIFIERS.len()).all(|identifier| !self.uses(identifier))
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    operands: u32,
    /// The first divisor that is zero in every run.
    by_zero: Option<Range<usize>>,
}

impl Parser<'_> {
    /// The next character that is no space; moves up to it.
    fn peek(&mut self) -> Option<char> {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn wanted(&mut self, wanted: &'static str) -> FormulaError {
        let width = self.peek().map_or(0, char::len_utf8);
        FormulaError::Wanted { wanted, at: self.at..self.at + width }
    }

    fn operator(&mut self, accepted: [char; 2]) -> Option<char> {
        let found = self.peek().filter(|c| accepted.contains(c))?;
        self.at += 1;
        Some(found)
    }

    fn sum(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(['+', '-']) {
            left = Node::Operation(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.operand()?;
        while let Some(operator) = self.operator(['*', '/']) {
            self.peek();
            let at = self.at;
            let right = self.operand()?;
            let zero =
                right.constant() && right.evaluate(Values { soft: 0, hard: 0, baseline: 0 }) == Ok(0.0);
            if operator == '/' && zero {
                self.by_zero.get_or_insert(at..self.at);
            }
            left = Node::Operation(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, FormulaError> {
        const OPERAND: &str = "a number, `soft`, `hard`, `baseline` or `(`";
        let first = self.peek().ok_or(FormulaError::Wanted { wanted: OPERAND, at: self.at..self.at })?;
        self.operands += 1;
        if self.operands > OPERANDS_MAX {
            return Err(FormulaError::Long { at: self.at..self.at + first.len_utf8() });
        }
        match first {
            '(' => {
                self.at += 1;
                let inner = self.sum()?;
                self.operator([')', ')']).map(|_| inner).ok_or_else(|| self.wanted("`)`"))
            }
            '-' => {
                self.at += 1;
                Ok(Node::Negated(Box::new(self.operand()?)))
            }
            c if c.is_ascii_digit() || c.is_alphabetic() => self.word(),
            _ => Err(self.wanted(OPERAND)),
        }
    }

    fn word(&mut self) -> Result<Node, FormulaError> {
        let rest = &self.text[self.at..];
        let length =
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let (word, at) = (&rest[..length], self.at..self.at + length);
        self.at += length;
        if let Some(index) = IDENTIFIERS.iter().position(|known| *known == word) {
            return Ok(Node::Value(index));
        }
        // A word that begins with a digit is a number: `inf` and `nan` are not.
        match word.parse() {
            Ok(number) if word.starts_with(|c: char| c.is_ascii_digit()) => Ok(Node::Number(number)),
            _ => Err(FormulaError::Identifier { word: word.into(), at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT_1024: Values = Values { soft: 1024, hard: 4096, baseline: 12 };

    #[track_caller]
    fn value(text: &str) -> Option<f64> {
        // With a value of the run in it, so that it may be negative.
        parse(&format!("{text} + 0 * soft")).unwrap_or_else(|e| panic!("{text}: {e}")).evaluate(AT_1024).ok()
    }

    #[test]
    fn products_bind_tighter_and_operators_of_one_rank_go_left_to_right() {
        assert_eq!(value("soft - baseline"), Some(1012.0));
        assert_eq!(value("hard-soft-baseline"), Some(3060.0));
        assert_eq!(value("2 + 3 * 4"), Some(14.0));
        assert_eq!(value("(2 + 3) * 4"), Some(20.0));
        assert_eq!(value("100 / 10 / 5"), Some(2.0));
        assert_eq!(value("-3 - -5"), Some(2.0));
        assert_eq!(value("soft * 0.5"), Some(512.0));
    }

    #[test]
    fn a_count_is_rounded_down_and_never_negative() {
        assert_eq!(parse("(soft - baseline - 1) / 2").unwrap().count(AT_1024), Ok(505));
        assert_eq!(parse("baseline - soft").unwrap().count(AT_1024), Err(NoCount::Negative));
    }

    #[test]
    fn a_count_is_known_where_all_that_it_uses_is() {
        let count = |text: &str, known| parse(text).unwrap().count_with(known);
        assert_eq!(count("soft - baseline", [Some(64), None, Some(7)]), Some(57));
        assert_eq!(count("soft - baseline", [Some(64), None, None]), None);
        assert_eq!(count("-(1 - soft)", [Some(64), None, None]), Some(63));
        assert_eq!(count("2 * 3", [None; 3]), Some(6));
    }

    #[test]
    fn what_overflows_or_divides_by_zero_in_a_run_says_so_and_saturates_nothing() {
        let count = |text: &str| parse(text).unwrap().count(AT_1024);
        assert_eq!(count("soft / (baseline - 12)"), Err(NoCount::DividesByZero));
        assert_eq!(count("soft * 1e30"), Err(NoCount::TooMany));
        assert_eq!(count("soft * 1e308 * 10"), Err(NoCount::TooMany));
        assert_eq!(count("soft * 1e308 * 10 - soft * 1e308 * 10"), Err(NoCount::TooMany), "it is no number");
        assert_eq!(count("soft * 2097152 - 1"), Ok((1 << 31) - 1));
        assert_eq!(count("soft * 2097152"), Err(NoCount::TooMany));
    }

    #[test]
    fn what_is_wrong_in_every_run_is_found_before_any() {
        let wrong = |text: &str| match parse(text) {
            Err(FormulaError::NoCount { why, at }) => (why, at),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(wrong("soft / 0"), (NoCount::DividesByZero, 7..8));
        assert_eq!(wrong("1 + soft /(2 - 2) * 3"), (NoCount::DividesByZero, 10..17));
        assert_eq!(parse("(soft - baseline / 0").unwrap_err().at(), 20..20, "the parenthesis is missing");
        assert_eq!(parse("soft / 0 -").unwrap_err().at(), 10..10, "and here an operand");
        assert_eq!(wrong("2 - 5"), (NoCount::Negative, 0..5));
        assert_eq!(wrong("1e400").0, NoCount::TooMany);
    }

    #[test]
    fn errors_name_the_place_and_what_is_wrong() {
        let unknown = parse("soft - basline").unwrap_err();
        assert_eq!(unknown, FormulaError::Identifier { word: "basline".into(), at: 7..14 });
        assert_eq!(parse("soft -").unwrap_err().at(), 6..6);
        assert_eq!(parse("soft baseline").unwrap_err().at(), 5..6);
        assert_eq!(parse("(soft - 1").unwrap_err().at(), 9..9);
        assert!(
            parse("").is_err() && parse("1e3").is_ok() && parse("1.2.3").is_err() && parse("inf").is_err()
        );
        assert!(matches!(parse(&format!("1{}", "+1".repeat(100_000))), Err(FormulaError::Long { .. })));
        assert!(matches!(parse(&"(".repeat(100_000)), Err(FormulaError::Long { .. })));
        assert!(matches!(parse(&"-".repeat(100_000)), Err(FormulaError::Long { .. })));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_errors_point_into_the_text(text in "\\PC{0,40}|[-+*/() a-z0-9.]{0,60}") {
            if let Err(error) = parse(&text) {
                prop_assert!(text.get(error.at()).is_some(), "{error} at {:?}", error.at());
            }
        }

        #[test]
        fn sums_and_products_are_those_of_arithmetic(
            a in 0i64..1_000_000, b in 0i64..1_000, c in 1i64..1_000
        ) {
            prop_assert_eq!(value(&format!("{a} - {b} * {c}")), Some((a - b * c) as f64));
            prop_assert_eq!(value(&format!("({a} + {b}) / {c}")), Some((a + b) as f64 / c as f64));
        }
    }
}

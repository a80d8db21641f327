//! Bounds that a comparison must keep: `connections-opened <= 2`, `p99 no worse than 5 %`.

use super::quantity::{Quantity, Scale};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Bound {
    /// The quantity that it bounds.
    pub quantity: Quantity,
    /// How far.
    pub limit: Limit,
}

/// How far a quantity may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// The second side's value is at most this.
    AtMost(f64),
    /// The second side's value is less than this.
    Below(f64),
    /// The second side's value is at least this.
    AtLeast(f64),
    /// The second side is worse than the first by no more than this share.
    NoWorse(f64),
    /// The second side is better than the first by at least this share.
    Better(f64),
}

/// The beginning of a bound's text, the limit that it makes, and whether its number is a share.
type Form = (&'static str, fn(f64) -> Limit, bool);

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Bound, String> {
        let (name, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(|| format!(
            "`{text}` is no bound: write QUANTITY <= NUMBER, QUANTITY no worse than N %, or QUANTITY better by N %"
        ))?;
        let quantity = Quantity::from_str(name).map_err(|unknown| {
            let like = |other: &&&str| strsim::jaro_winkler(name, other);
            let nearest = unknown.accepted.iter().max_by(|a, b| like(a).total_cmp(&like(b)));
            format!("{unknown}: did you mean `{}`?", nearest.expect("there are quantities"))
        })?;
        let rest = rest.trim();
        let number = |text: &str| {
            let text = text.trim();
            let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
            number.ok_or_else(|| format!("`{text}` is no number that is zero or more"))
        };
        let share = |text: &str| match text.trim().strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| percent / 100.0),
            None => Err(format!("`{}` is no share: write 5 %", text.trim())),
        };
        let forms: [Form; 5] = [
            ("<=", Limit::AtMost, false),
            (">=", Limit::AtLeast, false),
            ("<", Limit::Below, false),
            ("no worse than", Limit::NoWorse, true),
            ("better by", Limit::Better, true),
        ];
        let found = forms.iter().find_map(|(word, limit, of_share)| {
            let rest = rest.strip_prefix(word)?;
            Some(if *of_share { share(rest) } else { number(rest) }.map(limit))
        });
        let limit = found.unwrap_or_else(|| {
            Err(format!("`{rest}` is no bound: it begins with <=, <, >=, `no worse than` or `better by`"))
        })?;
        match limit {
            Limit::NoWorse(_) | Limit::Better(_) if quantity.scale() == Scale::Difference => Err(format!(
                "{quantity} may be zero, so it has no ratio: bound the value itself, such as `{quantity} <= 2`"
            )),
            Limit::NoWorse(share) if share >= 1.0 && !quantity.less_is_better() => {
                Err(format!("{quantity} cannot be worse by {} %: nothing would be left", share * 100.0))
            }
            Limit::Better(share) if share >= 1.0 && quantity.less_is_better() => {
                Err(format!("{quantity} cannot be better by {} %: nothing would be left", share * 100.0))
            }
            limit => Ok(Bound { quantity, limit }),
        }
    }
}

impl TryFrom<String> for Bound {
    type Error = String;

    fn try_from(text: String) -> Result<Bound, String> {
        text.parse()
    }
}

impl From<Bound> for String {
    fn from(bound: Bound) -> String {
        bound.to_string()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantity = self.quantity;
        let percent = |share: f64| (share * 1e8).round() / 1e6;
        match self.limit {
            Limit::AtMost(most) => write!(f, "{quantity} <= {most}"),
            Limit::Below(below) => write!(f, "{quantity} < {below}"),
            Limit::AtLeast(least) => write!(f, "{quantity} >= {least}"),
            Limit::NoWorse(share) => write!(f, "{quantity} no worse than {} %", percent(share)),
            Limit::Better(share) => write!(f, "{quantity} better by {} %", percent(share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Limit, String> {
        text.parse::<Bound>().map(|bound| bound.limit)
    }

    #[test]
    fn bounds_are_read_as_people_write_them() {
        assert_eq!(parsed("connections-opened <= 2"), Ok(Limit::AtMost(2.0)));
        assert_eq!(parsed("descriptors-per-1000-calls < 1"), Ok(Limit::Below(1.0)));
        assert_eq!(parsed("calls-per-connection >= 100"), Ok(Limit::AtLeast(100.0)));
        assert_eq!(parsed("p99 no worse than 5 %"), Ok(Limit::NoWorse(0.05)));
        assert_eq!(parsed("p99 no worse than 5%"), Ok(Limit::NoWorse(0.05)));
        assert_eq!(parsed("calls-per-s better by 10 %"), Ok(Limit::Better(0.1)));
    }

    #[test]
    fn a_bound_is_written_as_it_is_read() {
        for text in ["p99 no worse than 5 %", "tls-full <= 2", "errors < 1", "calls-per-s better by 7.5 %"] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bound_that_means_nothing_says_why() {
        for (text, why) in [
            ("p99", "is no bound"),
            ("p98 <= 1", "is not one of"),
            ("conections <= 1", "did you mean `connections-opened`?"),
            ("p99 <= fast", "no number"),
            ("p99 no worse than 5", "no share"),
            ("errors no worse than 5 %", "may be zero"),
            ("p99 about 5", "begins with"),
            ("p50 better by 150 %", "nothing would be left"),
            ("calls-per-s no worse than 100 %", "nothing would be left"),
        ] {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}

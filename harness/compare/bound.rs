//! Bounds that a comparison must keep: `connections-opened <= 2`, `p99 no worse than 5 %`.

use super::column::Column;
use super::quantity::{Quantity, Scale};
use super::record::{Method, Side};
use super::statistics::{beyond, confidence};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Bound {
    /// Of what.
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

/// What became of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judged {
    /// It is kept.
    Kept,
    /// It is broken.
    Broken,
    /// The blocks do not decide.
    Open,
    /// The quantity was not measured.
    NotMeasured,
}

/// How a bound begins, what it is then, and whether its number is a share.
type Form = (&'static str, fn(f64) -> Limit, bool);

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Bound, String> {
        let (name, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(|| format!(
            "`{text}` is no bound: write QUANTITY <= NUMBER, QUANTITY no worse than N %, or QUANTITY better by N %"
        ))?;
        let quantity = Quantity::from_str(name).map_err(|e| e.to_string())?;
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

impl Bound {
    /// What became of it. Values of every start must keep a bound on the value, where they do not vary;
    /// otherwise their median must.
    pub(super) fn judge(&self, columns: &[Column], method: &Method) -> Judged {
        let Some(column) = columns.iter().find(|column| column.quantity == self.quantity) else {
            return Judged::NotMeasured;
        };
        let after = &column.sides[Side::After.at()];
        let kept = |kept| if kept { Judged::Kept } else { Judged::Broken };
        // Of what is the better the more there is, the logarithm is turned round: then less is better of
        // each.
        let less = self.quantity.less_is_better();
        let sign = if less { 1.0 } else { -1.0 };
        let worse: Vec<f64> = column.changes.iter().map(|change| sign * change).collect();
        let by = |share: f64| sign * (1.0 + sign * share).ln();
        match (self.limit, column.exact()) {
            _ if after.is_empty() => Judged::NotMeasured,
            (Limit::AtMost(most), Some([_, after])) => kept(after <= most),
            (Limit::Below(bound), Some([_, after])) => kept(after < bound),
            (Limit::AtLeast(least), Some([_, after])) => kept(after >= least),
            (Limit::AtMost(bound) | Limit::Below(bound), None) => decided(after, bound, method.alpha),
            (Limit::AtLeast(bound), None) => {
                let turned: Vec<f64> = after.iter().map(|value| -value).collect();
                decided(&turned, -bound, method.alpha)
            }
            (Limit::NoWorse(share), Some([before, after])) => kept(sign * (after / before).ln() <= by(share)),
            (Limit::Better(share), Some([before, after])) => kept(sign * (after / before).ln() <= by(-share)),
            _ if worse.is_empty() => Judged::NotMeasured,
            (Limit::NoWorse(share), None) => decided(&worse, by(share), method.alpha),
            (Limit::Better(share), None) => decided(&worse, by(-share), method.alpha),
        }
    }
}

/// Whether the median lies below the bound, as an anytime-valid rule decides.
fn decided(values: &[f64], bound: f64, alpha: f64) -> Judged {
    let turned: Vec<f64> = values.iter().map(|value| -value).collect();
    // Both ends of one interval: looked at as often as one likes.
    let interval = confidence(values, alpha);
    if interval.high <= bound || beyond(&turned, -bound) <= alpha / 2.0 {
        Judged::Kept
    } else if interval.low > bound || beyond(values, bound) <= alpha / 2.0 {
        Judged::Broken
    } else {
        Judged::Open
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
            ("p99 <= fast", "no number"),
            ("p99 no worse than 5", "no share"),
            ("errors no worse than 5 %", "may be zero"),
            ("p99 about 5", "begins with"),
        ] {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}

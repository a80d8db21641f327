//! Which runs a filter such as `incident and not peers` selects. Pure.

use super::model::Plan;
use std::str::FromStr;

/// A filter: words joined by `and`, `or`, `not` and parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The run matches this word.
    Word(Word),
    /// The run does not match this filter.
    Not(Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of them, or both.
    Or(Box<Filter>, Box<Filter>),
}

/// One word of a filter, and where it is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it is searched.
    pub of: Of,
    /// The text.
    pub text: String,
}

/// Where a word is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A part of the scenario's name, or one of its tags.
    Name,
    /// One of its tags.
    Tag,
    /// A part of its claim, in capitals or not.
    Claim,
    /// A part of the variant's name; `base` is the scenario as written.
    Variant,
}

/// The prefixes of a word, which stand before its colon.
const PREFIXES: [(&str, Of); 4] =
    [("name", Of::Name), ("tag", Of::Tag), ("claim", Of::Claim), ("variant", Of::Variant)];

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFilter {
    /// There is no word where one is needed.
    #[error("a word is missing {0}: write a part of a name, `tag:X`, `claim:X` or `variant:X`")]
    NoWord(String),
    /// Words stand beside each other.
    #[error("there is no `and` or `or` before `{0}` (a word with spaces needs quotes, such as \"{0} …\")")]
    NotJoined(String),
    /// A parenthesis has no other.
    #[error("a `{0}` is missing")]
    Parenthesis(char),
    /// A quote has no end.
    #[error("a closing quote is missing after `{0}`")]
    Quote(String),
    /// There is nothing to look in.
    #[error(
        "`{0}:` is not known: use `name:`, `tag:`, `claim:` or `variant:`, or put the whole word in quotes"
    )]
    Prefix(String),
}

impl Filter {
    /// Whether it selects this run.
    pub fn selects(&self, plan: &Plan) -> bool {
        match self {
            Filter::Word(word) => word.is_of(plan),
            Filter::Not(other) => !other.selects(plan),
            Filter::And(one, other) => one.selects(plan) && other.selects(plan),
            Filter::Or(one, other) => one.selects(plan) || other.selects(plan),
        }
    }

    /// Its words, in their order.
    pub fn words(&self) -> Vec<&Word> {
        match self {
            Filter::Word(word) => vec![word],
            Filter::Not(other) => other.words(),
            Filter::And(one, other) | Filter::Or(one, other) => [one.words(), other.words()].concat(),
        }
    }
}

impl Word {
    /// Whether this run has it.
    pub fn is_of(&self, plan: &Plan) -> bool {
        let text = self.text.as_str();
        let tagged = plan.tags.iter().any(|tag| tag == text);
        match self.of {
            Of::Name => plan.scenario.contains(text) || tagged,
            Of::Tag => tagged,
            Of::Claim => plan.claim.to_lowercase().contains(&text.to_lowercase()),
            Of::Variant => plan.variant_name().contains(text),
        }
    }
}

impl FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Self, NoFilter> {
        let mut tokens = Tokens(tokens(text)?.into_iter().peekable());
        let filter = tokens.either()?;
        match tokens.0.next() {
            None => Ok(filter),
            Some(Token::Sign(')')) => Err(NoFilter::Parenthesis('(')),
            Some(token) => Err(NoFilter::NotJoined(token.text())),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Sign(char),
    /// `and`, `or`, `not`.
    Operator(&'static str),
    Word(Word),
}

impl Token {
    fn text(self) -> String {
        match self {
            Token::Sign(sign) => sign.into(),
            Token::Operator(operator) => operator.into(),
            Token::Word(word) => word.text,
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, NoFilter> {
    let (mut rest, mut tokens) = (text.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let token;
        (token, rest) = match first {
            '(' | ')' => (Token::Sign(first), &rest[1..]),
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// The word at the beginning of a text, and what follows it.
fn word(text: &str) -> Result<(Token, &str), NoFilter> {
    let ends =
        |text: &str| text.find(|c: char| c.is_whitespace() || "()\"".contains(c)).unwrap_or(text.len());
    let (bare, rest) = text.split_at(ends(text));
    if let Some(operator) = ["and", "or", "not"].into_iter().find(|operator| *operator == bare) {
        return Ok((Token::Operator(operator), rest));
    }
    let (of, bare, whole) = match bare.split_once(':') {
        None => (Of::Name, bare, bare),
        Some((prefix, after)) => match PREFIXES.iter().find(|(name, _)| *name == prefix) {
            Some((_, of)) => (*of, after, bare),
            None => return Err(NoFilter::Prefix(prefix.to_owned())),
        },
    };
    let (text, rest) = match rest.strip_prefix('"').filter(|_| bare.is_empty()) {
        None => (bare, rest),
        Some(quoted) => quoted.split_once('"').ok_or_else(|| NoFilter::Quote(quoted.to_owned()))?,
    };
    match text {
        "" => Err(NoFilter::NoWord(format!("after `{whole}`"))),
        text => Ok((Token::Word(Word { of, text: text.to_owned() }), rest)),
    }
}

struct Tokens(std::iter::Peekable<std::vec::IntoIter<Token>>);

impl Tokens {
    fn either(&mut self) -> Result<Filter, NoFilter> {
        let mut filter = self.both()?;
        while self.takes("or") {
            filter = Filter::Or(filter.into(), self.both()?.into());
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Filter, NoFilter> {
        let mut filter = self.one()?;
        while self.takes("and") {
            filter = Filter::And(filter.into(), self.one()?.into());
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, NoFilter> {
        match self.0.next() {
            Some(Token::Operator("not")) => Ok(Filter::Not(self.one()?.into())),
            Some(Token::Word(word)) => Ok(Filter::Word(word)),
            Some(Token::Sign('(')) => {
                let inner = self.either()?;
                match self.0.next() {
                    Some(Token::Sign(')')) => Ok(inner),
                    None => Err(NoFilter::Parenthesis(')')),
                    Some(token) => Err(NoFilter::NotJoined(token.text())),
                }
            }
            Some(token) => Err(NoFilter::NoWord(format!("before `{}`", token.text()))),
            None => Err(NoFilter::NoWord("at the end".into())),
        }
    }

    fn takes(&mut self, operator: &str) -> bool {
        self.0.next_if(|token| matches!(token, Token::Operator(it) if *it == operator)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scenario: &str, tags: &str, variant: Option<&str>) -> Plan {
        let text = format!(
            "claim = \"it Stops at 52\"\ntags = {tags}\nprocesses.s = {{ command = [\"s\"], limits = {{ soft = 64, hard = 64 }} }}\n\
             workloads.w.tcp = {{}}"
        );
        let mut plan =
            crate::scenario::parse(&text, "x.toml", scenario, std::path::Path::new(".")).unwrap().remove(0);
        plan.variant = variant.map(str::to_owned);
        plan
    }

    fn selected(filter: &str) -> Vec<String> {
        let plans = [
            plan("policies/spin", "[]", None),
            plan("peers/redis", "[\"incident\"]", None),
            plan("long-connection", "[\"incident\"]", None),
            plan("long-connection", "[\"incident\"]", Some("minfds raised")),
        ];
        let filter: Filter = filter.parse().unwrap_or_else(|e| panic!("{filter}: {e}"));
        plans.iter().filter(|plan| filter.selects(plan)).map(Plan::title).collect()
    }

    #[test]
    fn words_join_with_and_or_not_and_parentheses() {
        let (spin, redis) = ("policies/spin", "peers/redis");
        let (long, raised) = ("long-connection", "long-connection / minfds raised");
        let wanted: [(&str, &[&str]); 13] = [
            ("spin", &[spin]),
            ("incident", &[redis, long, raised]),
            ("incident and not peers", &[long, raised]),
            ("spin or redis", &[spin, redis]),
            // `and` binds more than `or`, and `not` more than both.
            ("spin or incident and redis", &[spin, redis]),
            ("(spin or incident) and redis", &[redis]),
            ("not spin and not long", &[redis]),
            ("not (spin or long)", &[redis]),
            ("tag:incident and variant:base", &[redis, long]),
            ("tag:incid", &[]),
            ("claim:\"stops at\" and spin", &[spin]),
            ("variant:\"minfds raised\"", &[raised]),
            ("\"s/r\"", &[redis]),
        ];
        for (filter, wanted) in wanted {
            assert_eq!(selected(filter), wanted, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_the_way_out() {
        let wrong = [
            ("", "a word is missing at the end"),
            ("a and", "a word is missing at the end"),
            ("or b", "a word is missing before `or`"),
            ("a (b)", "no `and` or `or` before `(`"),
            ("a b", "no `and` or `or` before `b`"),
            ("(a or b", "a `)` is missing"),
            ("a)", "a `(` is missing"),
            ("()", "a word is missing before `)`"),
            ("claim:\"a b", "a closing quote is missing after `a b`"),
            ("name:", "a word is missing after `name:`"),
            ("tags:x", "`tags:` is not known"),
        ];
        for (text, wanted) in wrong {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}

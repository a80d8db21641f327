//! Words of the command line that stand for values of the library.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Parses one of the words of an enum (`named!`); help, completions and the man page list them and what each
/// means.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    doc: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let shown = |&value: &T| PossibleValue::new(name(value)).help(doc(value).trim_end_matches('.'));
    PossibleValuesParser::new(all.iter().map(shown)).map(move |word| {
        *all.iter().find(|&&value| name(value) == word).expect("the parser lets no other word through")
    })
}

/// A share, from text such as `3%`.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim().parse::<f64>().ok();
    number
        .filter(|percent| (0.1..=50.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "a band is from 0.1% to 50%, such as 3%".into())
}

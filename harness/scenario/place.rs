//! Where a scenario file has an expectation, for messages that point at it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, that has this expectation (`ceiling`, `limits.soft`) of this variant. It is in the
/// variant's own `expect`, else in the scenario's; else it is the line where the variant or the scenario
/// begins. `None`: the text is no TOML.
pub fn line_of(text: &str, variant: Option<&str>, expectation: Option<&str>) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let document = document.get_ref();
    let variant = variant.and_then(|name| variant_called(document, name));
    let path = expectation.map(|name| format!("expect.{name}"));
    let own = variant.zip(path.as_deref()).and_then(|(variant, path)| key(variant, path));
    let at = own
        .or_else(|| key(document, path.as_deref()?))
        .or_else(|| key(variant?, "name"))
        .or_else(|| key(document, "claim"))?;
    Some(1 + text[..at].bytes().filter(|byte| *byte == b'\n').count())
}

fn variant_called<'d, 'i>(document: &'d DeTable<'i>, name: &str) -> Option<&'d DeTable<'i>> {
    let variants = document.get("variant")?.get_ref().as_array()?;
    let mut tables = variants.iter().filter_map(|variant| variant.get_ref().as_table());
    tables.find(|table| table.get("name").and_then(|value| value.get_ref().as_str()) == Some(name))
}

/// Where the key at the end of this dotted path begins, or the last before it that is no table; `None` where
/// its table has none such.
fn key(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (found, value): (_, &Spanned<DeValue<'_>>) =
        table.iter().find(|(key, _)| key.get_ref().as_ref() == first)?;
    match (rest, value.get_ref().as_table()) {
        (Some(rest), Some(below)) => key(below, rest),
        _ => Some(found.span().start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
claim = \"it stops\"

[expect]
ceiling = 60
limits = { soft = 64 }

[[variant]]
name = \"raised\"
expect = { ceiling = 124 }

[[variant]]
name = \"lowered\"

[variant.expect]
limits.soft = 32
";

    #[test]
    fn an_expectation_is_where_the_variant_or_else_the_scenario_says_it() {
        let line = |variant, expectation| line_of(TEXT, variant, Some(expectation));
        assert_eq!(line(None, "ceiling"), Some(4));
        assert_eq!(line(Some("raised"), "ceiling"), Some(9));
        assert_eq!(line(Some("lowered"), "ceiling"), Some(4));
        assert_eq!(line(None, "limits.soft"), Some(5));
        assert_eq!(line(Some("lowered"), "limits.soft"), Some(15));
        assert_eq!((line(Some("lowered"), "run"), line(None, "run")), (Some(12), Some(1)));
        assert_eq!(line_of(TEXT, Some("raised"), None), Some(8));
        assert_eq!(line_of("claim = ", None, None), None);
    }
}

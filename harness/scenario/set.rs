//! Lays a variant's `set` over the parsed document: each dotted path has its whole value replaced. The new
//! values keep their spans, so that a fault in them is shown where the variant wrote it.

use super::problem::{Problem, nearest};
use super::shape::in_toml;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The top-level keys a variant may change, and whether what it changes lies below them.
const ROOTS: [(&str, bool); 7] = [
    ("hold", false),
    ("processes", true),
    ("recovery", false),
    ("subject", false),
    ("sysctls", false),
    ("then", false),
    ("workloads", true),
];

/// The document with the entries of `set` in place, and what could not be laid over it.
pub(super) fn laid<'i>(
    document: &Spanned<DeTable<'i>>,
    set: Option<&DeTable<'i>>,
) -> (Spanned<DeTable<'i>>, Vec<Problem>) {
    let mut laid = document.clone();
    // In the order of the paths, so that a path comes before those below it.
    let problems = set
        .into_iter()
        .flatten()
        .filter_map(|(path, value)| replace(laid.get_mut(), path, value).err())
        .collect();
    (laid, problems)
}

fn replace<'i>(
    root: &mut DeTable<'i>,
    path: &Spanned<DeString<'i>>,
    value: &Spanned<DeValue<'i>>,
) -> Result<(), Problem> {
    let segments: Vec<&str> = path.get_ref().split('.').collect();
    let (last, parents) = segments.split_last().expect("split yields at least one segment");
    let problem = |message: String, label: String| Err(Problem::new(path.span(), message, label));
    match ROOTS.iter().find(|(name, _)| *name == segments[0]) {
        None => {
            let near = nearest(segments[0], ROOTS.map(|(name, _)| name));
            let label = near
                .map_or("not known".into(), |near| format!("did you mean `{}`?", with(&segments, 0, near)));
            let roots =
                ROOTS.map(|(name, below)| format!("`{name}{}`", if below { "." } else { "" })).join(", ");
            return problem(format!("`{}` is not a path that a variant can set", path.get_ref()), label)
                .map_err(|p| p.help(format!("a path begins with {roots}")));
        }
        Some((name, true)) if parents.is_empty() => {
            return problem(format!("all of `{name}` would be replaced"), "name what is to change".into())
                .map_err(|p| p.help(format!("quote the whole path: `set = {{ \"{name}.NAME.KEY\" = … }}`")));
        }
        Some(_) => {}
    }
    let mut table = root;
    for (depth, segment) in parents.iter().enumerate() {
        let here = segments[..=depth].join(".");
        let keys: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
        match table.get_mut(*segment).map(Spanned::get_mut) {
            Some(DeValue::Table(below)) => table = below,
            Some(other) => {
                let kind = in_toml(other.type_str());
                return problem(
                    format!("`{here}` is no table to set something in"),
                    format!("it is {kind}: set `{here}`"),
                );
            }
            None => {
                let near = nearest(segment, keys.iter().map(String::as_str));
                let label = near.map_or("not in this scenario".into(), |near| {
                    format!("did you mean `{}`?", with(&segments, depth, near))
                });
                let list: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                return problem(format!("there is no `{here}` to set something in"), label).map_err(|p| {
                    if list.is_empty() { p } else { p.help(format!("written there: {}", list.join(", "))) }
                });
            }
        }
    }
    // Removed first, so that the key's span becomes the variant's too. Whether the key may stand there,
    // `shape` says.
    table.remove(*last);
    table.insert(Spanned::new(path.span(), DeString::Owned((*last).to_owned())), value.clone());
    Ok(())
}

/// The path with one segment replaced.
fn with(segments: &[&str], index: usize, segment: &str) -> String {
    let mut path = segments.to_vec();
    path[index] = segment;
    path.join(".")
}

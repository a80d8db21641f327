//! Which file of a room uses which: from the paths in its text, through re-exports to where a name is
//! defined.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path below the library's root: `["measure", "facts", "table"]`.
type Module = Vec<String>;

/// The files of the library, by module, without comments and unit tests.
pub struct Files(BTreeMap<Module, String>);

impl Files {
    /// Takes every source with its path below `root`.
    pub fn new<'a>(root: &Path, sources: impl Iterator<Item = (&'a Path, &'a str)>) -> Self {
        let module = |path: &Path| {
            let inside = path.strip_prefix(root).expect("a file below the root").with_extension("");
            let mut names: Module = inside.iter().map(|name| name.to_string_lossy().into()).collect();
            names.pop_if(|last| last == "mod");
            names
        };
        Files(sources.map(|(path, text)| (module(path), code(text))).collect())
    }

    /// The circles within rooms: files each of which needs all the others.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let uses: BTreeMap<&Module, BTreeSet<Module>> =
            self.0.keys().filter(|m| !m.is_empty()).map(|m| (m, self.used_by(m))).collect();
        let reach = |from: &Module| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = next.pop() {
                for used in uses.get(&module).into_iter().flatten() {
                    if seen.insert(used.clone()) {
                        next.push(used.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> = uses.keys().map(|m| (*m, reach(m))).collect();
        let circle = |m: &Module| -> BTreeSet<String> {
            let back = |other: &&Module| reached[m].contains(*other) && reached[*other].contains(m);
            reached.keys().copied().filter(back).map(|other| other.join("/")).collect()
        };
        let all: BTreeSet<_> =
            reached.iter().filter(|(m, of)| of.contains(**m)).map(|(m, _)| circle(m)).collect();
        all.into_iter().collect()
    }

    /// The files of its own room that a file uses.
    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let used = paths(&self.0[module]).into_iter().filter_map(|path| self.resolve(module, &path, 0));
        used.filter(|other| other != module && other.first() == module.first()).collect()
    }

    /// The file that a path in `module` leads to; `None` where it leaves the library.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Module::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {}
            name if self.0.contains_key(&[at.clone(), vec![name.to_owned()]].concat()) => {}
            _ => return None,
        }
        while rest.first().is_some_and(|name| name == "super") {
            at.pop();
            rest = &rest[1..];
        }
        while let Some(name) = rest.first() {
            let below = [at.clone(), vec![name.clone()]].concat();
            if !self.0.contains_key(&below) {
                break;
            }
            (at, rest) = (below, &rest[1..]);
        }
        let text = self.0.get(&at)?;
        let Some(name) = rest.first().filter(|_| depth < 4) else { return Some(at) };
        let defined = exports(text).into_iter().find(|export| export.last() == Some(name));
        defined.and_then(|export| self.resolve(&at, &export, depth + 1)).or(Some(at))
    }
}

/// A source without its comments and its unit tests, which may use what they like.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every statement that begins with this word, up to its semicolon.
fn statements(text: &str, public: bool) -> impl Iterator<Item = &str> {
    text.split("use ").zip(text.split("use ").skip(1)).filter_map(move |(before, after)| {
        let line = before.rsplit('\n').next().unwrap_or_default().trim_end();
        let statement = line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')'));
        (statement && line.starts_with("pub") == public).then(|| after.split(';').next().unwrap_or_default())
    })
}

/// The paths that a file re-exports.
fn exports(text: &str) -> Vec<Module> {
    statements(text, true).flat_map(|tree| expand("", tree)).collect()
}

/// The paths that a file uses: in its imports, and written out in its code. What it re-exports is not used by
/// it.
fn paths(text: &str) -> Vec<Module> {
    let mut found: Vec<Module> = statements(text, false).flat_map(|tree| expand("", tree)).collect();
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let whole = |word: &&str| word.contains("::") && !word.starts_with("::") && !word.ends_with("::");
    let words = text.split(|c| !inside(c)).filter(whole);
    let imports: BTreeSet<Module> = exports(text).into_iter().collect();
    found.extend(words.map(split).filter(|path| !imports.contains(path)));
    found
}

fn split(path: &str) -> Module {
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The paths of a tree such as `super::{a, b::{c, d as e}}`.
fn expand(above: &str, tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return vec![split(&format!("{above}{}", tree.split(" as ").next().unwrap_or_default()))];
    };
    let above = format!("{above}{}", &tree[..open]);
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("one part at least").push(c),
        }
    }
    parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| expand(&above, part)).collect()
}

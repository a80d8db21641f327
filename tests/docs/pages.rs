//! The documentation as Markdown: pages, their blocks of code, headings and links.

use std::path::{Path, PathBuf};

/// A page, by its path from the repository's root.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// What stands after the fence, such as `sh`.
    pub language: String,
    pub text: String,
    /// The paragraph before it.
    pub before: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README, all of `docs`, and the incidents' pages.
pub fn all() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    below(&root().join("docs"), &mut paths);
    below(&root().join("scenarios"), &mut paths);
    paths.sort();
    paths.iter().map(|path| page(path)).collect()
}

/// These, and the pages for who changes lastfd: their links lead somewhere, too.
pub fn with_links() -> Vec<Page> {
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    all().into_iter().chain(others.iter().map(|path| page(path))).collect()
}

fn below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository").flatten() {
        match entry.path() {
            path if path.is_dir() => below(&path, into),
            path if path.extension().is_some_and(|ending| ending == "md") => into.push(path),
            _ => {}
        }
    }
}

pub fn page(path: &Path) -> Page {
    Page {
        path: path.strip_prefix(root()).unwrap_or(path).to_owned(),
        text: std::fs::read_to_string(root().join(path))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display())),
    }
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
        let mut before = String::new();
        for line in self.text.lines() {
            match (line.strip_prefix("```"), open.as_mut()) {
                (Some(language), None) => {
                    let before = std::mem::take(&mut before);
                    open = Some(Block { language: language.into(), text: String::new(), before });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text += &format!("{line}\n"),
                (None, None) if line.is_empty() => {}
                (None, None) => before = line.into(),
            }
        }
        assert!(open.is_none(), "{} ends within a block", self.path.display());
        blocks
    }

    /// The text outside blocks, line by line.
    fn prose(&self) -> impl Iterator<Item = &str> {
        self.text.split("```").step_by(2).flat_map(str::lines)
    }

    /// What `#…` may follow in a link, as GitHub makes it of a heading.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let slug = |heading: &str| {
            let kept = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(slug).collect()
    }

    /// Where its links lead, but those to the web.
    pub fn links(&self) -> Vec<String> {
        let ends = self.prose().flat_map(|line| line.split("](").skip(1));
        let targets = ends.filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.starts_with("http")).map(str::to_owned).collect()
    }
}

//! Which scenario files a command line means, and what they are called.

use super::bundled;
use super::name::{FILE, FOLDER, SUFFIX, of_file};
use super::problem::nearest;
use std::io;
use std::path::{Path, PathBuf};

/// Why no scenario was found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The path does not exist.
    #[error("{}: no such file or folder{}", path.display(), near.as_ref().map_or(String::new(), |n| format!(": did you mean {n}?")))]
    Missing {
        /// As given.
        path: PathBuf,
        /// A path beside it with a similar name.
        near: Option<String>,
    },
    /// No path was given, and the folder that is meant then is not there.
    #[error(
        "there is no folder `{FOLDER}` here: name a scenario file or folder, or run the bundled scenarios with `lastfd run @` (one: \
         `lastfd run @{}`); `lastfd init --example` writes one to start from",
        bundled::EXAMPLE
    )]
    NoFolder,
    /// No bundled scenario has this name.
    #[error("{}: no bundled scenario has this name: did you mean {}? (`lastfd list @` shows all)", path.display(), near.join(" or "))]
    NotBundled {
        /// As given.
        path: PathBuf,
        /// The names that are most like it.
        near: Vec<String>,
    },
    /// The folder holds no scenario.
    #[error(
        "{}: no {FILE} and no *{SUFFIX} in this folder or below: `lastfd init --example` writes one to start from",
        path.display()
    )]
    Empty {
        /// As given.
        path: PathBuf,
    },
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error from the kernel.
        source: io::Error,
    },
}

/// The scenario files that these paths mean, `scenarios` where there are none. A path is a file; a folder
/// that holds `scenario.toml`; a folder that is searched, with all below it, for `scenario.toml` and
/// `*.scenario.toml`; or `@NAME` for a bundled scenario. Sorted within a folder; none twice.
///
/// # Errors
/// See [`DiscoverError`].
pub fn discover(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DiscoverError> {
    let default = [PathBuf::from(FOLDER)];
    if paths.is_empty() && !default[0].exists() {
        return Err(DiscoverError::NoFolder);
    }
    let mut found = Vec::new();
    for path in if paths.is_empty() { &default } else { paths } {
        if bundled::is_meant(path) {
            let near = |near| DiscoverError::NotBundled { path: path.clone(), near };
            found.extend(bundled::meant(path).map_err(near)?);
            continue;
        }
        let files = match path.metadata() {
            Ok(about) if about.is_dir() && path.join(FILE).is_file() => vec![path.join(FILE)],
            Ok(about) if about.is_dir() => search(path)?,
            Ok(_) => vec![path.clone()],
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(DiscoverError::Missing { path: path.clone(), near: beside(path) });
            }
            Err(source) => return Err(DiscoverError::Io { path: path.clone(), source }),
        };
        if files.is_empty() {
            return Err(DiscoverError::Empty { path: path.clone() });
        }
        found.extend(files);
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|file| seen.insert(file.clone()));
    Ok(found)
}

/// Every scenario file below a folder, sorted by path. Links are not followed, so this ends.
fn search(folder: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| DiscoverError::Io { path, source }
    };
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
            let entry = entry.map_err(io(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(io(&entry.path()))?;
            if kind.is_dir() && !name.starts_with('.') {
                folders.push(entry.path());
            } else if !kind.is_dir() && (name == FILE || name.ends_with(SUFFIX)) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A path with a similar name, in the folder of a missing one.
pub(super) fn beside(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    let near = nearest(&path.file_name()?.to_string_lossy(), names.iter().map(String::as_str))?;
    Some(path.with_file_name(near).display().to_string())
}

/// The name of the scenario in this file: `websocket-1012` of `scenarios/websocket-1012/scenario.toml`,
/// `policies/spin` of `scenarios/policies/spin.scenario.toml`. Below a folder called `scenarios` all of the
/// path counts, elsewhere the last part.
pub fn name_of(path: &Path) -> String {
    if bundled::is_meant(path) {
        return path.to_string_lossy().trim_start_matches(bundled::SIGN).to_owned();
    }
    of_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_stands_below_scenarios() {
        assert_eq!(name_of(Path::new("/a/scenarios/websocket-1012/scenario.toml")), "websocket-1012");
        assert_eq!(name_of(Path::new("/a/scenarios/peers/nginx/scenario.toml")), "peers/nginx");
        assert_eq!(name_of(Path::new("/a/scenarios/policies/spin.scenario.toml")), "policies/spin");
        assert_eq!(name_of(Path::new("/a/push/scenario.toml")), "push");
        assert_eq!(name_of(Path::new("/a/push/night.scenario.toml")), "night");
        assert_eq!(name_of(Path::new("/scenario.toml")), "scenario");
        assert_eq!(name_of(Path::new("/a/scenarios/scenario.toml")), "scenario");
    }

    #[test]
    fn a_folder_is_searched_and_a_file_named_twice_is_found_once() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "b/scenario.toml",
            "b/extra.scenario.toml",
            "a/x.scenario.toml",
            "a/notes.toml",
            ".git/scenario.toml",
        ] {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let below = |path: &str| root.path().join(path);
        let all = discover(&[root.path().to_owned()]).unwrap();
        assert_eq!(
            all,
            [below("a/x.scenario.toml"), below("b/extra.scenario.toml"), below("b/scenario.toml")]
        );
        assert_eq!(discover(&[below("b"), below("b/scenario.toml")]).unwrap(), [below("b/scenario.toml")]);
        assert_eq!(discover(&[below("a/notes.toml")]).unwrap(), [below("a/notes.toml")]);
        assert!(matches!(discover(&[below("zzz")]), Err(DiscoverError::Missing { near: None, .. })));
        std::fs::create_dir(below("empty")).unwrap();
        assert!(matches!(discover(&[below("empty")]), Err(DiscoverError::Empty { .. })));
        match discover(&[below("emty")]) {
            Err(DiscoverError::Missing { near: Some(near), .. }) => {
                assert!(near.ends_with("/empty"), "{near}")
            }
            other => panic!("{other:?}"),
        }
    }
}

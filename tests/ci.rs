//! What CI elsewhere takes from here: the GitHub action, the GitLab job, and the metadata of `cargo
//! binstall`.

use crate::support::{LASTFD, called};
use std::path::Path;
use std::process::Command;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of a job that make the run.
fn script(path: &str) -> Vec<String> {
    let text = file(path);
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    lines
        .filter(|line| line.starts_with("mkdir ") || line.starts_with("lastfd run "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_github_action_and_the_gitlab_job_make_one_run_and_keep_its_reports() {
    let lines = script("ci/github-action/action.yml");
    assert_eq!(lines, script("ci/gitlab.yml"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(LASTFD, folder.path().join("lastfd")).expect("a link");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let run = |paths: &str| {
        let mut command = Command::new("bash");
        command.args(["-ec", &lines.join("\n")]).current_dir(folder.path()).env("PATH", &path);
        command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
        called(command.env("LASTFD_PATHS", paths).env("LASTFD_OPTIONS", "--retries 1"))
    };
    let right = run("@workloads/tcp");
    assert_eq!(right.code, Some(0), "{right:?}");
    for name in ["junit.xml", "report.json", "report.html"] {
        assert!(folder.path().join("lastfd-report").join(name).is_file(), "{name} is an artifact");
    }
    assert_eq!(run("nowhere").code, Some(4));
}

#[test]
fn cargo_binstall_finds_one_static_program_in_a_release() {
    let manifest: toml::Value = toml::from_str(&file("Cargo.toml")).expect("a manifest");
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let text = |key: &str| binstall[key].as_str().unwrap_or_else(|| panic!("{key}")).to_owned();
    assert_eq!(text("pkg-fmt"), "tgz");
    // The placeholders that cargo-binstall documents (its SUPPORT.md).
    let known = ["repo", "version", "name", "target", "archive-suffix", "bin", "binary-ext"];
    for template in [text("pkg-url"), text("bin-dir")] {
        let names = template.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default().trim());
        assert!(names.clone().count() > 1, "{template}");
        names.for_each(|name| assert!(known.contains(&name), "{template} has {{ {name} }}"));
    }
    assert!(text("pkg-url").ends_with("{ name }-{ target }{ archive-suffix }"));
}

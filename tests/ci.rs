//! What CI elsewhere takes from here: the GitHub action, the GitLab job, the metadata of `cargo binstall`,
//! the container's file, and what a container refuses.

use crate::support::{LASTFD, called, find, program, skip};
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

#[test]
fn the_image_has_the_static_program_of_the_guide() {
    let container = file("ci/Containerfile");
    let built = container.lines().find_map(|line| line.strip_prefix("RUN ")).expect("a build");
    assert!(file("docs/guides/in-your-ci.md").lines().any(|line| line == built), "{built}");
    let made = built.rsplit(' ').next().expect("a target");
    let copied = format!("COPY --from=build /src/target/{made}/release/lastfd /usr/bin/lastfd");
    assert!(container.lines().any(|line| line == copied), "{copied}");
    // `--user` has no other folder for temporary files.
    let tmp = ["RUN mkdir /image && mkdir -m 1777 /image/tmp", "COPY --from=build /image/ /"];
    tmp.iter().for_each(|made| assert!(container.lines().any(|line| line == *made), "{made}"));
    let rust: toml::Value = toml::from_str(&file("Cargo.toml")).expect("a manifest");
    let version = rust["workspace"]["package"]["rust-version"].as_str().expect("a version");
    assert!(container.contains(&format!("library/rust:{version}-")), "the oldest Rust that builds it");
}

#[test]
fn as_in_a_container_of_docker_ptrace_sees_the_same_ceiling() {
    let like_docker = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/like-docker");
    if program("python3").is_none() {
        return;
    }
    if !cfg!(target_arch = "x86_64") {
        return skip("x86_64, for ci/like-docker,");
    }
    let tried = called(Command::new(like_docker).arg("true"));
    let refused =
        ["like-docker: PR_SET_SECCOMP: Permission denied", "like-docker: PR_CAPBSET_DROP: Operation"];
    if refused.iter().any(|refused| tried.stderr.starts_with(refused)) {
        return skip("a capability or seccomp, for ci/like-docker,");
    }
    assert_eq!((tried.code, tried.stderr.as_str()), (Some(0), ""));
    let server = [LASTFD, "serve", "tcp", "--baseline", "12"];
    let outside = find(&["--nofile", "32"], &server).run();
    for options in [&[][..], &["--user", "65534"]] {
        // Another user may not be able to execute it where it was built.
        if called(Command::new(like_docker).args(options).args([LASTFD, "--version"])).code != Some(0) {
            continue;
        }
        let mut inside = Command::new(like_docker);
        inside.args(options).args([LASTFD, "find", "--nofile", "32", "--json", "-", "--"]).args(server);
        let inside = called(&mut inside).run();
        assert_eq!(inside["ceiling"]["accepted"], outside["ceiling"]["accepted"]);
        assert_eq!(inside["ceiling"]["accepted"], 32 - 12);
        assert_eq!(inside["witnesses"][0]["observer"], "ptrace");
        assert_eq!(inside["subject"]["isolation"], "keeper", "no namespace can be made");
    }
}

#[test]
fn one_command_makes_the_pages_of_the_gallery() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut gallery = Command::new(root.join("ci/gallery"));
    let made = called(gallery.arg(folder.path()).env("LASTFD", LASTFD));
    assert_eq!(made.code, Some(0), "{made:?}");
    let page = file("docs/gallery.md");
    let listed = page.lines().filter_map(|line| line.strip_prefix("| [")?.split_once("](../"));
    let logs: Vec<(&str, &str)> =
        listed.map(|(name, rest)| (name, rest.split(')').next().expect("a link"))).collect();
    assert!(logs.len() > 3, "{page}");
    for (name, log) in &logs {
        assert!(root.join(log).is_file(), "{log}");
        assert!(folder.path().join(format!("{name}.html")).is_file(), "{name}");
    }
    let all = std::fs::read_to_string(folder.path().join("all.html")).expect("a page of all");
    let links: Vec<&str> = all.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= logs.len(), "an index: {links:?}");
    links.iter().for_each(|link| assert!(all.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere"));
}

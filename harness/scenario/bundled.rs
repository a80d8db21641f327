//! The scenarios of this repository that need no other files, in the binary: `@NAME` on a command line. Pure.

use super::name::of_file;
use super::problem::by_likeness;
use std::path::{Path, PathBuf};

/// The sign that begins the path of a bundled scenario on a command line. A file with such a name is `./@…`.
pub const SIGN: char = '@';
/// The scenario that `lastfd init --example` writes when no name is given.
pub const EXAMPLE: &str = "websocket-1012";

macro_rules! files {
    ($($path:literal,)*) => {
        /// Path below `scenarios/` and text.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../scenarios/", $path)))),*];
    };
}

files! {
    "grpc-leaked-bodies/calls.scenario.toml",
    "grpc-leaked-bodies/service.scenario.toml",
    "launchers/launchers.scenario.toml",
    "long-connection/scenario.toml",
    "moving/lowered.scenario.toml",
    "moving/raised.scenario.toml",
    "outbound-time-wait/scenario.toml",
    "peers/redis/scenario.toml",
    "policies/backoff-exit.scenario.toml",
    "policies/backoff.scenario.toml",
    "policies/cap-503.scenario.toml",
    "policies/cap-close.scenario.toml",
    "policies/dead.scenario.toml",
    "policies/exit.scenario.toml",
    "policies/fixed-delay.scenario.toml",
    "policies/listener-off.scenario.toml",
    "policies/reserve-fd.scenario.toml",
    "policies/spin-log.scenario.toml",
    "policies/spin.scenario.toml",
    "policies/storm.scenario.toml",
    "policies/waits-for-arrival.scenario.toml",
    "policies/waits-for-close.scenario.toml",
    "policies/worker-restart.scenario.toml",
    "recovery/rounds.scenario.toml",
    "reuse/body.scenario.toml",
    "reuse/grpc.scenario.toml",
    "reuse/http.scenario.toml",
    "reuse/http2.scenario.toml",
    "reuse/pool.scenario.toml",
    "reuse/tls.scenario.toml",
    "services/collector.scenario.toml",
    "services/relay.scenario.toml",
    "services/two-listeners.scenario.toml",
    "statistics-logger/scenario.toml",
    "wall/dies.scenario.toml",
    "wall/disguise.scenario.toml",
    "websocket-1012/scenario.toml",
    "workers/reuseport.scenario.toml",
    "workers/shared.scenario.toml",
    "workloads/grpc.scenario.toml",
    "workloads/client-program.scenario.toml",
    "workloads/datagram.scenario.toml",
    "workloads/exchange.scenario.toml",
    "workloads/http-idle.scenario.toml",
    "workloads/http2.scenario.toml",
    "workloads/open-loop.scenario.toml",
    "workloads/tcp.scenario.toml",
    "workloads/websocket.scenario.toml",
}

/// The names of all, without the sign, in the order of their files.
pub fn names() -> impl Iterator<Item = String> {
    FILES.iter().map(|(path, _)| name_of_file(path))
}

fn name_of_file(path: &str) -> String {
    of_file(&Path::new("/scenarios").join(path))
}

/// Whether a path on a command line means bundled scenarios.
pub fn is_meant(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(SIGN))
}

/// The bundled scenarios that `@NAME` means: one scenario, or all in that folder. The sign alone means all.
/// Each name begins with the sign.
///
/// # Errors
/// There is none: the names that are most like it, with the sign.
pub fn meant(path: &Path) -> Result<Vec<PathBuf>, Vec<String>> {
    let shown = path.to_string_lossy();
    let wanted = shown.trim_start_matches(SIGN).trim_end_matches('/');
    let below = |name: &String| {
        wanted.is_empty()
            || name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found: Vec<PathBuf> = names().filter(below).map(|name| format!("{SIGN}{name}").into()).collect();
    match found.is_empty() {
        false => Ok(found),
        true => {
            let names: Vec<String> = names().collect();
            let near = by_likeness(wanted, names.iter().map(String::as_str));
            Err(near.into_iter().take(NEAR).map(|name| format!("{SIGN}{name}")).collect())
        }
    }
}

/// Names that a message offers.
const NEAR: usize = 3;

/// The text of a bundled scenario, by its name with the sign; `None` for any other path.
pub fn text(path: &Path) -> Option<&'static str> {
    let name = path.to_str()?.strip_prefix(SIGN)?;
    FILES.iter().find(|(path, _)| name_of_file(path) == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_scenario_and_a_folder_all_that_are_in_it() {
        let meant = |path: &str| meant(Path::new(path));
        assert_eq!(meant("@websocket-1012"), Ok(vec!["@websocket-1012".into()]));
        assert_eq!(
            meant("@grpc-leaked-bodies/"),
            Ok(vec!["@grpc-leaked-bodies/calls".into(), "@grpc-leaked-bodies/service".into()])
        );
        assert_eq!(meant("@").map(|all| all.len()), Ok(FILES.len()));
        assert_eq!(meant("@websoket-1012").map_err(|near| near[0].clone()), Err("@websocket-1012".into()));
        assert!(meant("@websocket").is_err(), "a part of a name is none");
    }

    /// A bundled scenario must not need any file that lies beside it.
    #[test]
    fn every_scenario_that_needs_no_other_file_is_bundled() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        for file in super::super::discover(&[root]).expect("the scenarios of this repository") {
            let name = super::super::name_of(&file);
            let text = std::fs::read_to_string(&file).expect("UTF-8");
            let path = PathBuf::from(format!("{SIGN}{name}"));
            match super::text(&path) {
                Some(bundled) => assert!(bundled == text, "{name} is another"),
                None => assert!(name.starts_with("peers/"), "{name} is not bundled"),
            }
        }
    }
}

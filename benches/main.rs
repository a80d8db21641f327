//! How fast the harness is, each figure beside a floor that is measured in the same run, the two in turn: a
//! ratio, and never a time, says whether a bound is kept. `cargo bench` runs all (about a minute and a half);
//! `cargo bench -- spinning` those with that name.
//!
//! criterion shows times and what changed since the last run; the lines that begin with `ratio` are what the
//! bounds are about. A bound that is missed is printed, and fails nothing: machines are shared. The bare
//! servers are this binary, executed again.

mod bare;
mod ceiling;
mod clients;
mod log;
mod observer;
mod ratio;
mod reuse;

use criterion::Criterion;
use std::time::Duration;

/// The command under test, built with the same profile.
const LASTFD: &str = env!("CARGO_BIN_EXE_lastfd");

fn main() {
    if bare::serve_if_asked() {
        return;
    }
    // 10,000 clients are connected from here; where the hard limit is lower, connecting them says so.
    rlimit::increase_nofile_limit(u64::MAX).expect("the soft limit may be raised to the hard limit");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(4))
        .without_plots()
        .configure_from_args();
    ceiling::bench(&mut criterion);
    observer::bench(&mut criterion);
    clients::bench(&mut criterion);
    log::bench(&mut criterion);
    reuse::bench(&mut criterion);
    criterion.final_summary();
}

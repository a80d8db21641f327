//! The servers that `lastfd` bundles, to be driven into descriptor exhaustion: `http`, `websocket`, `tcp`,
//! `grpc` and `mail`, and the services of real incidents: `relay`, `outbound` and `collector`, which open
//! descriptors of their own for their clients. And `datagram`, which accepts no connection: it serves UDP.
//!
//! All of the others accept through [`accept`], which knows no runtime and reacts to a full descriptor table
//! with a selectable [`Policy`]. For the first five a connection costs exactly one descriptor, the one from
//! `accept4`; nothing else is opened after start-up. Every process counts its own accepts and prints them as
//! it ends, as a witness beside whatever watches it from outside.
//!
//! The package never depends on the harness that runs it, and never raises or lowers a limit.

pub mod accept;
mod args;
mod baseline;
mod collector;
mod datagram;
pub mod grpc;
mod handoff;
mod http;
mod lines;
mod listener;
mod mail;
mod process;
mod relay;
mod start;
mod tally;
mod tcp;
mod tls;
mod websocket;
mod witness;
mod words;
mod workers;

pub use accept::Policy;
pub use args::{Args, HELP, Kind, NoArgs};

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The listener through which a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The listener of `--port`.
    Plain,
    /// The listener of `--tls-port`.
    Tls,
}

/// Takes each accepted connection from an acceptor thread; called from several threads at once.
type Deliver = Arc<dyn Fn(OwnedFd, Door) + Send + Sync>;

/// Serves as these words of a command line say ([`HELP`]); see [`serve`].
pub fn main(words: impl IntoIterator<Item = impl Into<std::ffi::OsString>>) -> u8 {
    match Args::of_words(words) {
        Ok(args) => serve(args),
        Err(NoArgs::Help) => {
            print!("{HELP}");
            0
        }
        Err(error) => {
            lines::complain(format_args!("{error}"));
            2
        }
    }
}

/// Serves until SIGTERM or SIGINT, or until the accept policy gives up.
///
/// Prints `listening ADDRESS` on standard output once everything is open (and `listening ADDRESS with TLS`
/// after it, where there is a second listener), and as the process ends one line
/// `{"lastfd_server":{"pid":…,"before_first_emfile":…,"total":…,"shed":…}}` for each process that accepts.
/// Where TLS is spoken `handshakes` is added; where descriptors are opened for clients `work`: how much was
/// `done`, what `failed`, and the `first_emfile` of the process, with its call. With `--witness` it tells
/// each connection and call as it comes, in a line `{"lastfd_upstream":…}`. To be called from `main`, before
/// any other thread is started: it blocks the two signals for all threads to come.
///
/// Exit codes: 0 after a signal, 1 when a policy that takes a failure as fatal met it or accept broke, 2 for
/// options that do not go together, 6 when the server could not start; the reason goes to standard error.
/// Returns only the last of these; the process ends with the others.
pub fn serve(args: Args) -> u8 {
    let Err(error) = process::run(&args);
    lines::complain(format_args!("{error}"));
    error.exit_code()
}

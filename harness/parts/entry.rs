//! Before `main`: a program that links the library may be a helper of a run, and its `main` may not be its
//! own, as in a test.

use super::part::{self, FAULT};
use crate::helper::{WORD, asked};
use crate::sys::{proc, process};
use rustix::process::Signal;
use std::ffi::OsString;
use std::panic::catch_unwind;

/// The exit code after a panic, as Rust's own `main` has it.
const PANICKED: i32 = 101;

ctor::declarative::ctor! {
    /// Called by the C library before `main`, while there is one thread.
    #[ctor(unsafe)]
    fn before_main() {
        // Out of here no panic may unwind.
        if catch_unwind(helper).is_err() {
            std::process::exit(PANICKED);
        }
    }
}

/// Does a helper's part and exits, where a run started this process as its helper; otherwise returns at once.
///
/// A run needs processes of its own beside the subject: one owns the subject's process tree, others are the
/// load generators and the bundled servers. They are the program that links this library, executed again with
/// the first argument `lastfd-helper`, so nothing else has to be installed.
///
/// A call is rarely needed: the C library makes it before `main`, also in a test with a `main` that is not
/// its own. Only a program with a linker that leaves out `.init_array` calls it, first in `main` and before
/// it starts a thread.
pub fn helper() {
    // musl gives constructors no arguments.
    let told: Vec<OsString> = std::env::args_os().collect();
    let own = if told.is_empty() { proc::own_words() } else { told };
    asked();
    let mut words = own.into_iter().skip(1);
    if words.next().is_none_or(|word| word != WORD) {
        return;
    }
    // As Rust's `main` does: a write to a pipe without a reader gives an error.
    process::ignore(Signal::PIPE);
    let code = part::run(words).unwrap_or_else(|| {
        eprintln!("{WORD}: no part of a run is called so; a run starts this, and nobody else");
        FAULT
    });
    std::process::exit(code.into());
}

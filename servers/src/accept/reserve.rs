//! The spare descriptor of the policy `reserve-fd`: held open on /dev/null only to be given up when the table
//! is full.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A spare descriptor. `None` after another thread took its place; it is opened again as soon as there is
/// one.
#[derive(Debug)]
pub struct Reserve {
    spare: Option<OwnedFd>,
}

/// The result of an attempt to shed a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    /// A client was accepted and its connection closed.
    Closed,
    /// The accept queue was empty.
    NobodyWaits,
    /// There was no place to accept into.
    NoSpare,
}

impl Reserve {
    /// Opens the spare.
    ///
    /// # Errors
    /// `EMFILE` when there is no descriptor even now; the errors of open(2) on /dev/null.
    pub fn open() -> Result<Self, Errno> {
        Ok(Reserve { spare: Some(open_null()?) })
    }

    /// Gives up the spare, accepts one waiting client, closes its connection and opens the spare again.
    pub(super) fn shed(&mut self, listener: BorrowedFd<'_>) -> Shed {
        if self.spare.is_none() {
            self.spare = open_null().ok();
        }
        let Some(spare) = self.spare.take() else { return Shed::NoSpare };
        drop(spare);
        let outcome = match super::accept_one(listener) {
            Ok(connection) => {
                drop(connection);
                Shed::Closed
            }
            Err(Errno::MFILE | Errno::NFILE) => Shed::NoSpare,
            // The client had an error, or no client waited: the accept loop asks again when the listener is
            // readable.
            Err(_) => Shed::NobodyWaits,
        };
        self.spare = open_null().ok();
        outcome
    }
}

fn open_null() -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

//! Accepting by io_uring: one request at a time, submitted again after each completion. The kernel holds no
//! descriptor number while it waits, and looks for one before it looks for a client, as accept4 does.

use compio_buf::IntoInner;
use compio_driver::{
    DriverType, Proactor, ProactorBuilder, PushEntry,
    op::{Accept, OpCodeFlag},
};
use rustix::io::{Errno, ioctl_fionbio};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Requests that the ring takes at a time: there is never more than one.
const ENTRIES: u32 = 4;

/// A ring of this thread's own: one descriptor, and one to wake it that is never used.
pub struct Ring(Proactor);

impl Ring {
    /// Sets the ring up.
    ///
    /// # Errors
    /// `EPERM` where `kernel.io_uring_disabled` or a filter forbids it, `ENOSYS` where the kernel has none,
    /// `Unsupported` where it has no accept; `EMFILE`.
    pub fn open() -> io::Result<Self> {
        // Asked here, and not at the first accept: asking takes a ring more for a moment, when the server is
        // not at rest anyway.
        ProactorBuilder::new()
            .capacity(ENTRIES)
            .driver_type(DriverType::IoUring)
            .detect_opcode_support(OpCodeFlag::Accept)
            .build()
            .map(Ring)
    }

    /// Waits for a client of a listener that blocks; close-on-exec and non-blocking. No deadline: an idle
    /// server waits for ever.
    ///
    /// # Errors
    /// The errors of accept(2).
    pub(super) fn accept<L: AsFd + 'static>(&mut self, listener: &Arc<L>) -> Result<OwnedFd, Errno> {
        let mut entry = self.0.push(Accept::new(listener.clone()));
        let done = loop {
            match entry {
                PushEntry::Ready(done) => break done,
                PushEntry::Pending(key) => {
                    match self.0.poll(None) {
                        Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                            return Err(errno(&error));
                        }
                        _ => {}
                    }
                    entry = self.0.pop(key);
                }
            }
        };
        done.0.map_err(|error| errno(&error))?;
        let (connection, _) = done.1.into_inner();
        // The request asks for close-on-exec only.
        ioctl_fionbio(&connection, true)?;
        Ok(connection.into())
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

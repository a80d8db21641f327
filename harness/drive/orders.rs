//! How a driver reads its orders: lines of standard input, taken when it is readable, and what can be wrong
//! with them.

use std::io;

/// Longest line that is taken as an order. Bytes.
const LINE_BYTES: usize = 64 * 1024;

/// Why a driver cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard input ended before the first line.
    #[error("standard input ended before the setup: its first line is a JSON `Setup`")]
    NoSetup,
    /// A line is no order.
    #[error("`{line}` on standard input is not understood: {source}")]
    Line {
        /// The line as it was read.
        line: String,
        /// The fault in it.
        source: serde_json::Error,
    },
    /// A line without an end.
    #[error("a line of standard input is longer than {LINE_BYTES} bytes")]
    LongLine,
    /// A call of the driver itself failed.
    #[error("{step}: {source}")]
    Io {
        /// The step that was tried.
        step: &'static str,
        /// The errno.
        source: io::Error,
    },
}

/// A failure of the driver's own call.
pub fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Io { step, source: source.into() }
}

/// A line as what it must be.
///
/// # Errors
/// `Line`.
pub fn parsed<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(line).map_err(|source| Error::Line {
        line: String::from_utf8_lossy(line).chars().take(200).collect(),
        source,
    })
}

/// Lines of standard input, read only when it is readable.
pub struct Lines<'a> {
    /// Standard input.
    pub from: rustix::fd::BorrowedFd<'a>,
    buffer: Vec<u8>,
    /// The end of input came, or `Quit`.
    pub ended: bool,
}

impl<'a> Lines<'a> {
    /// Nothing read yet.
    pub fn new(from: rustix::fd::BorrowedFd<'a>) -> Lines<'a> {
        Lines { from, buffer: Vec::new(), ended: false }
    }

    /// One read(2), which waits when there is nothing.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&mut self) -> Result<(), Error> {
        let mut chunk = [0; 4096];
        match rustix::io::read(self.from, &mut chunk) {
            Ok(0) => self.ended = true,
            Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(at("reading orders")(e)),
        }
        Ok(())
    }

    /// The next line that has been read whole.
    ///
    /// # Errors
    /// `LongLine`.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.buffer.iter().position(|&b| b == b'\n') {
            Some(end) => {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                Ok(Some(line))
            }
            None if self.buffer.len() > LINE_BYTES => Err(Error::LongLine),
            None => Ok(None),
        }
    }
}

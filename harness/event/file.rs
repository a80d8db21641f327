//! Files that are read: regular ones only, for a FIFO or a device may never end, or never begin.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a regular file to read.
///
/// # Errors
/// As open(2); it is something else.
pub fn open(path: &Path) -> io::Result<File> {
    // open(2) of a FIFO without a writer would wait for one.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind => Err(io::Error::other(format!("it is {}, and not a regular file", name(kind)))),
    }
}

/// All bytes of a regular file.
///
/// # Errors
/// As [`open`] and read(2).
pub fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

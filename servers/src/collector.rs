//! The statistics collector: takes lines of text from TCP clients and writes them to log files, one a
//! connection, open as long as that, or one for all. A connection's log is opened by the acceptor, before the
//! next client is accepted: a client costs two descriptors at once. A log that cannot be opened is tried
//! again with each line, and every line that is lost is complained about; nothing else stops. It never
//! answers.

use crate::args::{Args, CollectorLog};
use crate::lines::complain;
use crate::tally::Tally;
use crate::{Deliver, handoff};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;

/// A longer line is written as several, bytes.
const LINE_BYTES: u64 = 4096;

struct Collector {
    /// Where logs are; `None`: in the temporary directory, and without a name as soon as they are open, so
    /// that none is left.
    folder: Option<PathBuf>,
    /// Open all the time; `None`: each connection has its own.
    shared: Option<File>,
    logs: AtomicU64,
    tally: Arc<Tally>,
}

/// Opens the runtime, and the shared log if there is one, and starts the runtime's thread.
pub(crate) fn start(args: &Args, tally: &Arc<Tally>) -> io::Result<Deliver> {
    let folder = args.calls.folder.clone();
    let mut collector = Collector { folder, shared: None, logs: AtomicU64::new(0), tally: tally.clone() };
    if args.log == CollectorLog::Shared {
        collector.shared = Some(collector.open(&collector.next_log())?);
    }
    let collector = Arc::new(collector);
    let opener = collector.clone();
    let hand_over = handoff::bridge(|mut accepted: Receiver<(OwnedFd, PathBuf, Option<File>)>| async move {
        while let Some((connection, path, own)) = accepted.recv().await {
            // A connection that cannot be registered (epoll's own limit of watches) is closed.
            if let Ok(stream) = handoff::into_stream(connection) {
                tokio::spawn(collect(collector.clone(), stream, path, own));
            }
        }
    })?;
    Ok(Arc::new(move |connection, _| {
        let path = opener.next_log();
        let own = if opener.shared.is_none() { opener.attempt(&path) } else { None };
        hand_over((connection, path, own));
    }))
}

async fn collect(collector: Arc<Collector>, stream: TcpStream, path: PathBuf, mut own: Option<File>) {
    let from = stream.peer_addr().map_or_else(|_| "?".to_owned(), |from| from.to_string());
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // An error is the client's: it left.
    while (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        if collector.shared.is_none() && own.is_none() {
            own = collector.attempt(&path);
        }
        if let Some(mut log) = collector.shared.as_ref().or(own.as_ref()) {
            let text = String::from_utf8_lossy(&line);
            match log.write_all(format!("{from} {}\n", text.trim_end()).as_bytes()) {
                Ok(()) => collector.tally.count_done(),
                Err(error) => complain(format_args!("write {}: {error}", path.display())),
            }
        }
        line.clear();
    }
    drop((reader, own));
    collector.tally.count_closed(1);
}

impl Collector {
    /// The next log's path.
    fn next_log(&self) -> PathBuf {
        let name =
            format!("lastfd-statistics-{}-{}.log", std::process::id(), self.logs.fetch_add(1, Relaxed));
        self.folder.clone().unwrap_or_else(std::env::temp_dir).join(name)
    }

    /// Opens a log, or says why not.
    fn attempt(&self, path: &Path) -> Option<File> {
        self.open(path)
            .inspect_err(|error| {
                let exhausted = error.raw_os_error() == Some(Errno::MFILE.raw_os_error());
                self.tally.count_failed(exhausted.then_some("openat"));
                complain(format_args!("open {}: {error}", path.display()));
            })
            .ok()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        if self.folder.is_none() {
            std::fs::remove_file(path)?;
        }
        Ok(file)
    }
}

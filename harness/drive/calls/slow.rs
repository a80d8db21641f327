//! A client that reads and writes no faster than so many bytes a second, as over a bad line, or as one that
//! means harm.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// So often some bytes are taken, where a byte does not take longer.
const TURNS_PER_S: u32 = 10;
/// Bytes taken at a time, at most.
const PIECE: usize = 4096;

/// One direction of a connection.
pub struct Throttle {
    per_s: u32,
    /// Nothing is taken before it is over.
    pause: Pin<Box<Sleep>>,
}

impl Throttle {
    /// So many bytes a second.
    pub fn new(per_s: u32) -> Throttle {
        Throttle { per_s: per_s.max(1), pause: Box::pin(sleep_until(Instant::now())) }
    }

    /// How many bytes may be taken now.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        ready!(self.pause.as_mut().poll(cx));
        Poll::Ready((self.per_s.div_ceil(TURNS_PER_S) as usize).min(PIECE))
    }

    fn took(&mut self, bytes: usize) {
        let time = Duration::from_secs_f64(bytes as f64 / f64::from(self.per_s));
        self.pause.as_mut().reset(Instant::now() + time);
    }

    /// Reads what may be read.
    pub fn poll_read(
        &mut self,
        mut from: Pin<&mut (impl AsyncRead + ?Sized)>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = ready!(self.poll_turn(cx)).min(into.remaining());
        let mut piece = [0; PIECE];
        let mut read = ReadBuf::new(&mut piece[..most]);
        ready!(from.as_mut().poll_read(cx, &mut read))?;
        into.put_slice(read.filled());
        self.took(read.filled().len());
        Poll::Ready(Ok(()))
    }

    /// Writes what may be written.
    pub fn poll_write(
        &mut self,
        mut to: Pin<&mut (impl AsyncWrite + ?Sized)>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_turn(cx)).min(bytes.len());
        let written = ready!(to.as_mut().poll_write(cx, &bytes[..most]))?;
        self.took(written);
        Poll::Ready(Ok(written))
    }
}

//! RFC 6455, by hand on a tokio stream: upgrades, then holds the connection with as little memory as it can,
//! answers pings and the closing handshake. Data messages are read and dropped. It never speaks first, and no
//! time limit ends a client that is silent, before the upgrade or after.

mod frame;
mod handshake;

use crate::tally::Tally;
use crate::{Deliver, handoff};
use frame::{Flow, Frames};
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Longest request head that is read, bytes.
const HEAD_BYTES: usize = 4096;

/// Bytes read at a time; on the stack of the thread, so an idle connection holds no buffer.
const CHUNK_BYTES: usize = 512;

/// Opens the runtime and starts its thread.
pub(crate) fn start(tally: &Arc<Tally>) -> io::Result<Deliver> {
    let tally = tally.clone();
    handoff::start(move |accepted| {
        handoff::serve_each(accepted, move |stream, _| {
            let tally = tally.clone();
            async move {
                converse(stream).await;
                tally.count_closed(1);
            }
        })
    })
}

async fn converse(mut stream: TcpStream) {
    // An error is the client's: it left. Its connection is closed either way.
    if let Ok(Some(early)) = upgrade(&mut stream).await {
        let _ = hold(&mut stream, early).await;
    }
}

/// Reads the request and answers it; returns the bytes that came after it, or `None` when it was refused.
async fn upgrade(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut received = Vec::new();
    let answer = loop {
        read_chunk(stream, |bytes| received.extend_from_slice(bytes)).await?;
        if let Some(end) = handshake::end_of_head(&received) {
            let early = received.split_off(end);
            break handshake::answer(&received).map(|answer| (answer, early));
        }
        if received.len() >= HEAD_BYTES {
            break Err(handshake::Refusal::HeadTooLarge);
        }
    };
    drop(received);
    match answer {
        Ok((answer, early)) => {
            stream.write_all(answer.as_bytes()).await?;
            Ok(Some(early))
        }
        Err(refusal) => {
            stream.write_all(refusal.response().as_bytes()).await?;
            Ok(None)
        }
    }
}

/// Answers control frames until one side closes.
async fn hold(stream: &mut TcpStream, early: Vec<u8>) -> io::Result<()> {
    let mut frames = Frames::default();
    let mut reply = Vec::new();
    let mut flow = frames.feed(&early, &mut reply);
    drop(early);
    loop {
        if !reply.is_empty() {
            stream.write_all(&reply).await?;
            reply = Vec::new();
        }
        if flow == Flow::Close {
            return Ok(());
        }
        read_chunk(stream, |bytes| flow = frames.feed(bytes, &mut reply)).await?;
    }
}

/// Waits for bytes and passes up to [`CHUNK_BYTES`] of them on.
///
/// # Errors
/// `UnexpectedEof` when the client has left; the errors of recv(2).
async fn read_chunk(stream: &TcpStream, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        stream.readable().await?;
        match read_now(stream, &mut take) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Not async, so that the buffer is no part of any future.
fn read_now(stream: &TcpStream, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut chunk = [0; CHUNK_BYTES];
    match stream.try_read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => {
            take(&chunk[..length]);
            Ok(())
        }
    }
}

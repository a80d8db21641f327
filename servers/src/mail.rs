//! A mail server as far as its clients' first words (SMTP, RFC 5321): it speaks first, answers each line, and
//! holds. STARTTLS (RFC
//! 3207) where it has a certificate. No mail is taken.

use crate::tally::Tally;
use crate::tls::Doorkeeper;
use crate::{Deliver, Door, handoff};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The longest command (RFC 5321, section 4.5.3.1.4), bytes.
const LINE_BYTES: u64 = 512;

const GREETING: &str = "220 lastfd.example ESMTP\r\n";

/// Opens the runtime and starts its thread.
pub(crate) fn start(doorkeeper: Doorkeeper, tally: &Arc<Tally>) -> io::Result<Deliver> {
    let tally = tally.clone();
    handoff::start(move |accepted| {
        handoff::serve_each(accepted, move |stream, door| {
            converse(doorkeeper.clone(), tally.clone(), stream, door)
        })
    })
}

async fn converse(doorkeeper: Doorkeeper, tally: Arc<Tally>, stream: TcpStream, door: Door) {
    // An error is the client's: it left. Its connection is closed either way.
    let _ = session(&doorkeeper, stream, door).await;
    tally.count_closed(1);
}

async fn session(doorkeeper: &Doorkeeper, stream: TcpStream, door: Door) -> io::Result<()> {
    if door == Door::Tls {
        let stream = doorkeeper.admit(stream, door).await?;
        return talk(stream, GREETING, false).await.map(drop);
    }
    if let Some(stream) = talk(stream, GREETING, doorkeeper.speaks_tls()).await? {
        talk(doorkeeper.admit(stream, Door::Tls).await?, "", false).await?;
    }
    Ok(())
}

/// Greets and answers until the client leaves; the stream, where TLS is to begin on it.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greeting: &str,
    may_start_tls: bool,
) -> io::Result<Option<S>> {
    let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
    stream.write_all(greeting.as_bytes()).await?;
    stream.flush().await?;
    while (&mut stream).take(LINE_BYTES).read_until(b'\n', &mut line).await? > 0 {
        let command =
            String::from_utf8_lossy(&line).split_whitespace().next().unwrap_or_default().to_uppercase();
        let answer = match command.as_str() {
            "HELO" | "NOOP" | "RSET" => "250 OK\r\n",
            "EHLO" if may_start_tls => "250-lastfd.example\r\n250 STARTTLS\r\n",
            "EHLO" => "250 lastfd.example\r\n",
            "STARTTLS" if may_start_tls => "220 go ahead\r\n",
            "QUIT" => "221 goodbye\r\n",
            _ => "500 unknown command\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        match command.as_str() {
            "STARTTLS" if may_start_tls => return Ok(Some(stream.into_inner())),
            "QUIT" => break,
            _ => line.clear(),
        }
    }
    Ok(None)
}
